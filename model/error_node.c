#include "model/error_node.h"

#include "base/buffer.h"
#include "base/number.h"
#include "model/yson.h"

#include <inttypes.h>
#include <limits.h>

// Of one error; what comes over the wire has no more than an error of ours.
enum { ATTRIBUTE_COUNT_MAX = 256, INNER_COUNT_MAX = 256 };

struct attributes {
    struct arena *arena;
    struct node *map;
};

// Attributes are text within; but clients want numbers as numbers (the CLI of YTsaurus prints pid
// and line with %d), so text that is a number, and prints back the same, becomes one.
static void add_attribute(void *context, const char *key, const char *value)
{
    struct attributes *attributes = context;
    struct arena *arena = attributes->arena;
    struct slice text = slice_from_text(value);
    struct node *node = NULL;
    int64_t int64 = 0;
    uint64_t uint64 = 0;
    if (number_parse_int64(text, &int64)) {
        if (strcmp(arena_print(arena, "%" PRId64, int64), value) == 0) {
            node = node_int64(arena, int64);
        }
    } else if (number_parse_uint64(text, &uint64)) {
        if (strcmp(arena_print(arena, "%" PRIu64, uint64), value) == 0) {
            node = node_uint64(arena, uint64);
        }
    }
    if (!node) node = node_string(arena, text);
    node_set_text(arena, attributes->map, key, node);
}

// The recursion below ends at ERROR_DEPTH_MAX.
// NOLINTBEGIN(misc-no-recursion)

static struct node *to_node(struct arena *arena, const struct error *error, int depth)
{
    struct node *node = node_map(arena);
    struct attributes attributes = {.arena = arena, .map = node_map(arena)};
    struct node *inner_errors = node_list(arena);
    if (error) {
        error_each_attribute(error, add_attribute, &attributes);
        const struct error *inner = depth < ERROR_DEPTH_MAX ? error_inner(error) : NULL;
        for (; inner; inner = error_next(inner)) {
            node_add(arena, inner_errors, to_node(arena, inner, depth + 1));
        }
    }
    node_set_text(arena, node, "code", node_int64(arena, error ? (int)error_code(error) : 0));
    node_set_text(arena, node, "message", node_text(arena, error ? error_message(error) : ""));
    node_set_text(arena, node, "attributes", attributes.map);
    node_set_text(arena, node, "inner_errors", inner_errors);
    return node;
}

struct node *error_to_node(struct arena *arena, const struct error *error)
{
    return to_node(arena, error, 1);
}

static int code_from_node(const struct node *node)
{
    const struct node *code = node_find_text(node, "code");
    if (!code) return ERROR_GENERIC;
    if (code->type == NODE_INT64 && code->int64 >= INT_MIN && code->int64 <= INT_MAX) {
        return (int)code->int64;
    }
    if (code->type == NODE_UINT64 && code->uint64 <= INT_MAX) return (int)code->uint64;
    return ERROR_GENERIC;
}

static void set_attribute(
    struct arena *arena, struct error *error, struct slice key, const struct node *value)
{
    struct buffer buffer = {0};
    switch (value->type) {
    case NODE_STRING: buffer_append_slice(&buffer, value->string); break;
    case NODE_INT64: buffer_print(&buffer, "%" PRId64, value->int64); break;
    case NODE_UINT64: buffer_print(&buffer, "%" PRIu64, value->uint64); break;
    case NODE_ENTITY:
    case NODE_DOUBLE:
    case NODE_BOOLEAN:
    case NODE_LIST:
    case NODE_MAP: yson_print(value, YSON_TEXT, &buffer); break;
    }
    // Keys that differ only behind a NUL are one key in C.
    const char *name = arena_copy(arena, key).data;
    if (!error_attribute(error, name)) {
        error_set_str(error, name, arena_copy(arena, buffer_slice(&buffer)).data);
    }
    buffer_release(&buffer);
}

static struct error *from_node(struct arena *arena, const struct node *node, int depth)
{
    if (node->type != NODE_MAP) {
        return error_new(
            ERROR_GENERIC,
            "Malformed error: expected a map, actual %s",
            node_type_name(node->type));
    }
    int code = code_from_node(node);
    if (code == 0) return NULL;
    const struct node *message = node_find_text(node, "message");
    bool has_message = message && message->type == NODE_STRING;
    struct error *error = error_new_with_code(
        code, has_message ? arena_copy(arena, message->string).data : "Unknown error");

    const struct node *attributes = node_find_text(node, "attributes");
    if (attributes && attributes->type == NODE_MAP) {
        uint32_t count = MIN(attributes->count, (uint32_t)ATTRIBUTE_COUNT_MAX);
        for (uint32_t i = 0; i < count; i++) {
            set_attribute(arena, error, attributes->entries[i].key, attributes->entries[i].value);
        }
    }
    const struct node *inner_errors = node_find_text(node, "inner_errors");
    if (depth < ERROR_DEPTH_MAX && inner_errors && inner_errors->type == NODE_LIST) {
        uint32_t count = MIN(inner_errors->count, (uint32_t)INNER_COUNT_MAX);
        for (uint32_t i = 0; i < count; i++) {
            struct error *inner = from_node(arena, inner_errors->entries[i].value, depth + 1);
            if (inner) error_add_inner(error, inner);
        }
    }
    return error;
}

// NOLINTEND(misc-no-recursion)

struct error *error_from_node(const struct node *node)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    return from_node(&arena, node, 1);
}

void error_encode(const struct error *error, struct buffer *buffer)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    yson_print(error_to_node(&arena, error), YSON_BINARY, buffer);
}

struct error *error_decode(struct slice bytes)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *node = NULL;
    struct error *error = yson_parse(&arena, bytes, &node);
    if (error) return error_wrap(error, ERROR_GENERIC, "Malformed error");
    return error_from_node(node);
}
