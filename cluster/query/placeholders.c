#include "cluster/query/placeholders.h"

#include "cluster/query/lexer.h"
#include "cluster/query/query.h"

#include <math.h>

enum { LIST_DEPTH_MAX = 2 };

static struct error *refuse(struct slice name, const char *what)
{
    return error_new(ERROR_GENERIC, "Value of placeholder \"%.*s\" is %s", SLICE(name), what);
}

static struct error *print_value(
    struct slice name, const struct node *node, int depth, struct buffer *text)
{
    struct value value = value_null(0);
    switch (node->type) {
    case NODE_ENTITY: break;
    case NODE_STRING: value = value_string(0, node->string); break;
    case NODE_INT64: value = value_int64(0, node->int64); break;
    case NODE_UINT64: value = value_uint64(0, node->uint64); break;
    case NODE_DOUBLE:
        if (isnan(node->real)) return refuse(name, "not a number");
        value = value_double(0, node->real);
        break;
    case NODE_BOOLEAN: value = value_boolean(0, node->boolean); break;
    case NODE_LIST:
        if (node->count == 0) return refuse(name, "an empty list");
        if (depth == LIST_DEPTH_MAX) return refuse(name, "nested too deeply");
        for (uint32_t i = 0; i < node->count; i++) {
            buffer_append_text(text, i == 0 ? "(" : ",");
            TRY(print_value(name, node->entries[i].value, depth + 1, text));
        }
        buffer_append_byte(text, ')');
        return NULL;
    case NODE_MAP: return refuse(name, "a map");
    }
    // Apart from what is around it: two minus signs would begin a remark.
    buffer_append_byte(text, ' ');
    syntax_print_value(&value, text);
    buffer_append_byte(text, ' ');
    return NULL;
}

struct error *placeholders_fill(
    struct arena *arena, struct slice text, const struct node *values, struct slice *ret_text)
{
    struct lexer lexer = {text.data, text.data + text.size};
    CLEANUP(buffer_releasep) struct buffer filled = {.size_max = 2 * QUERY_TEXT_SIZE_MAX};
    const char *copied = text.data; // What comes before is in `filled`.
    for (;;) {
        struct token token = lexer_next(&lexer);
        if (token.kind == LEXER_END || token.kind == LEXER_MISTAKE) break;
        if (token.kind != LEXER_PLACEHOLDER) continue;
        struct slice name = slice_from(token.text.data + 1, token.text.size - 2);
        const struct node *value = node_find(values, name);
        if (!value) {
            return error_set_u64(
                error_new(ERROR_GENERIC, "Placeholder \"%.*s\" has no value", SLICE(name)),
                "offset",
                (uint64_t)(token.text.data - text.data));
        }
        buffer_append(&filled, copied, (size_t)(token.text.data - copied));
        TRY(print_value(name, value, 0, &filled));
        copied = lexer.cursor;
    }
    *ret_text = text;
    if (copied == text.data) return NULL;
    buffer_append(&filled, copied, (size_t)(text.data + text.size - copied));
    TRY(buffer_check(&filled, "Query with its placeholders filled in"));
    *ret_text = arena_copy(arena, buffer_slice(&filled));
    return NULL;
}
