#include "cli/output.h"

#include "base/buffer.h"
#include "model/yson.h"

#include <inttypes.h>

static void print_bytes(struct slice bytes, FILE *stream)
{
    fwrite(bytes.data, 1, bytes.size, stream);
    if (bytes.size > 0 && bytes.data[bytes.size - 1] != '\n') fputc('\n', stream);
}

// {node_id=...} and the like: answers of version 4 of the API come in a map of one.
static const struct node *unwrap(const struct node *node)
{
    bool is_wrapped = node->type == NODE_MAP && node->count == 1;
    return is_wrapped ? node->entries[0].value : node;
}

static void print_scalar(const struct node *node, FILE *stream)
{
    CLEANUP(buffer_releasep) struct buffer text = {0};
    if (node->type == NODE_STRING) {
        buffer_append_slice(&text, node->string);
    } else if (node->type == NODE_BOOLEAN) {
        buffer_append_text(&text, node->boolean ? "true" : "false");
    } else if (node->type == NODE_UINT64) {
        buffer_print(&text, "%" PRIu64, node->uint64);
    } else {
        yson_print(node, YSON_TEXT, &text);
    }
    print_bytes(buffer_slice(&text), stream);
}

static int compare_names(const void *a, const void *b)
{
    const struct node *first = ((const struct node_entry *)a)->value;
    const struct node *second = ((const struct node_entry *)b)->value;
    return slice_compare(first->string, second->string);
}

static struct error *print_names(const struct node *list, FILE *stream)
{
    for (uint32_t i = 0; list->type == NODE_LIST && i < list->count; i++) {
        if (list->entries[i].value->type != NODE_STRING)
            return error_new(ERROR_GENERIC, "The server listed something that is not a name");
    }
    if (list->type != NODE_LIST)
        return error_new(ERROR_GENERIC, "The server sent something that is not a list");
    if (list->count > 0) qsort(list->entries, list->count, sizeof *list->entries, compare_names);
    for (uint32_t i = 0; i < list->count; i++) print_scalar(list->entries[i].value, stream);
    return NULL;
}

struct error *output_print(
    enum output_kind kind, bool has_format, struct slice answer, FILE *stream)
{
    if (kind == OUTPUT_NONE) return NULL;
    if (kind == OUTPUT_ROWS || kind == OUTPUT_STRUCTURED || has_format) {
        print_bytes(answer, stream);
        return NULL;
    }
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *node = NULL;
    struct error *error = yson_parse(&arena, answer, &node);
    if (error) return error_wrap(error, ERROR_GENERIC, "The server's answer cannot be read");
    if (kind == OUTPUT_NAMES) return print_names(unwrap(node), stream);
    print_scalar(unwrap(node), stream);
    return NULL;
}
