// Reads texts, each a line of hexadecimal, parses them as YSON, and answers each by a line: the
// same as binary YSON in hexadecimal, or "refused".
#include "model/yson.h"

#include <stdio.h>

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

int main(void)
{
    char *line = NULL;
    size_t capacity = 0;
    for (;;) {
        ssize_t size = getline(&line, &capacity, stdin);
        if (size <= 0) break;
        CLEANUP(arena_releasep) struct arena arena = {0};
        CLEANUP(buffer_releasep) struct buffer text = {0};
        CLEANUP(buffer_releasep) struct buffer binary = {0};
        for (ssize_t i = 0; i + 2 < size + 1 && line[i] != '\n'; i += 2)
            buffer_append_byte(&text, (uint8_t)(digit(line[i]) * 16 + digit(line[i + 1])));
        struct node *node = NULL;
        struct error *error = yson_parse(&arena, buffer_slice(&text), &node);
        if (error) {
            printf("refused %s\n", error_message(error));
            error_free(error);
            continue;
        }
        yson_print(node, YSON_BINARY, &binary);
        for (size_t i = 0; i < binary.size; i++) printf("%02x", (unsigned char)binary.data[i]);
        putchar('\n');
    }
    free(line);
    return 0;
}
