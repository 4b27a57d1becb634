#include "cluster/http_error.h"

#include "base/utf8.h"
#include "model/error_node.h"
#include "model/json.h"

enum { MESSAGE_SIZE_MAX = 1000 };

#define REPLACEMENT UINT32_C(0xfffd)

static uint32_t next_code_point(struct slice *text)
{
    uint32_t code_point = utf8_next(text);
    if (code_point != UTF8_INVALID) return code_point;
    *text = slice_from(text->data + 1, text->size - 1);
    return REPLACEMENT;
}

static struct slice mend_text(struct arena *arena, struct slice text)
{
    if (utf8_is_valid(text)) return text;
    char *mended = arena_alloc(arena, text.size * UTF8_SIZE_MAX);
    size_t size = 0;
    while (text.size > 0) size += utf8_encode(next_code_point(&text), mended + size);
    return slice_from(mended, size);
}

// Makes UTF-8 of all strings of an error's node.
// NOLINTNEXTLINE(misc-no-recursion): ERROR_DEPTH_MAX.
static void mend(struct arena *arena, struct node *node)
{
    if (node->type == NODE_STRING) node->string = mend_text(arena, node->string);
    if (node->type != NODE_MAP && node->type != NODE_LIST) return;
    for (uint32_t i = 0; i < node->count; i++) {
        node->entries[i].key = mend_text(arena, node->entries[i].key);
        mend(arena, node->entries[i].value);
    }
}

static void print_ascii(struct slice json, struct buffer *buffer)
{
    while (json.size > 0) {
        uint32_t code_point = next_code_point(&json);
        if (code_point < 0x7f) {
            buffer_append_byte(buffer, (uint8_t)code_point);
        } else if (code_point < 0x10000) {
            buffer_print(buffer, "\\u%04x", code_point);
        } else {
            code_point -= 0x10000;
            buffer_print(
                buffer,
                "\\u%04x\\u%04x",
                0xd800 + (code_point >> 10),
                0xdc00 + (code_point & 0x3ff));
        }
    }
}

void http_error_print(const struct error *error, struct buffer *json)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer text = {0};
    struct node *node = error_to_node(&arena, error);
    mend(&arena, node);
    struct error *failure = json_print(node, &(struct json_options){0}, &text);
    if (failure) abort(); // All strings are UTF-8, and there are no doubles.
    print_ascii(buffer_slice(&text), json);
}

const char *http_error_message(struct arena *arena, const struct error *error)
{
    struct slice text = slice_from_text(error_message(error));
    char *message = arena_alloc(arena, MIN(text.size, (size_t)MESSAGE_SIZE_MAX) + 1);
    for (size_t i = 0; i < MIN(text.size, (size_t)MESSAGE_SIZE_MAX); i++) {
        bool is_plain = text.data[i] >= 0x20 && text.data[i] < 0x7f;
        message[i] = is_plain ? text.data[i] : '?';
    }
    return message;
}
