// Executes a command over gRPC: executor ADDRESS COMMAND PARAMETERS, input from standard input.
// Prints the output, or `error CODE`.
#include "client/retable.h"

#include "base/buffer.h"

#include <stdio.h>

static void print(void *context, struct slice piece)
{
    (void)context;
    (void)!fwrite(piece.data, 1, piece.size, stdout);
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    CLEANUP(buffer_releasep) struct buffer input = {0};
    char bytes[4096];
    for (size_t size = 1; size > 0;) {
        size = fread(bytes, 1, sizeof bytes, stdin);
        buffer_append(&input, bytes, size);
    }
    struct retable_client *client = retable_client_new(argv[1], &(struct retable_options){0});
    struct retable_execute execute = {
        .command = argv[2],
        .parameters = slice_from_text(argv[3]),
        .input = buffer_slice(&input),
    };
    struct error *error = retable_execute(client, &execute, print, NULL);
    if (error) printf("error %d", (int)error_code(error));
    error_free(error);
    retable_client_free(client);
    return 0;
}
