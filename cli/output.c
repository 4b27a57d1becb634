#include "cli/output.h"

#include "base/buffer.h"
#include "base/containers.h"
#include "model/yson.h"

#include <inttypes.h>
#include <time.h>

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

// -------------------------------------------------------------------------------------------------
// Tables

enum { COLUMN_COUNT_MAX = 16 };

struct table {
    struct arena *arena;
    struct slice columns[COLUMN_COUNT_MAX];
    size_t column_count;
    const char **cells; // stb array: row by row.
};

static const char *cell_text(struct arena *arena, struct slice column, const struct node *value)
{
    if (!value || value->type == NODE_ENTITY) return "";
    if (value->type == NODE_BOOLEAN) return value->boolean ? "yes" : "no";
    if (value->type == NODE_STRING) return arena_print(arena, "%.*s", SLICE(value->string));
    if (value->type == NODE_INT64 && slice_equal_text(column, "time")) {
        time_t seconds = (time_t)(value->int64 / 1000000);
        struct tm utc;
        gmtime_r(&seconds, &utc);
        char text[32];
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
        return arena_print(arena, "%s.%03dZ", text, (int)(value->int64 / 1000 % 1000));
    }
    CLEANUP(buffer_releasep) struct buffer text = {0};
    yson_print(value, YSON_TEXT, &text);
    return arena_print(arena, "%.*s", SLICE(buffer_slice(&text)));
}

static void add_row(struct table *table, const struct node *inner, const struct node *outer)
{
    for (size_t i = 0; i < table->column_count; i++) {
        const struct node *value = inner ? node_find(inner, table->columns[i]) : NULL;
        if (!value && outer) value = node_find(outer, table->columns[i]);
        arr_add(table->cells, cell_text(table->arena, table->columns[i], value));
    }
}

// The list of maps in a map, if there is one.
static const struct node *inner_rows(const struct node *map)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct node *value = map->entries[i].value;
        if (value->type != NODE_LIST || value->count == 0) continue;
        if (value->entries[0].value->type == NODE_MAP) return value;
    }
    return NULL;
}

static void add_map(struct table *table, const struct node *map)
{
    if (map->type != NODE_MAP) return;
    const struct node *inner = inner_rows(map);
    if (!inner) add_row(table, map, NULL);
    for (uint32_t i = 0; inner && i < inner->count; i++)
        add_row(table, inner->entries[i].value, map);
}

static bool is_column_empty(const struct table *table, size_t column)
{
    for (size_t i = column; i < arr_count(table->cells); i += table->column_count) {
        if (table->cells[i][0] != '\0') return false;
    }
    return true;
}

static void print_cells(const struct table *table, FILE *stream)
{
    size_t row_count = arr_count(table->cells) / table->column_count;
    int widths[COLUMN_COUNT_MAX] = {0};
    for (size_t c = 0; c < table->column_count; c++) {
        if (is_column_empty(table, c)) continue;
        widths[c] = (int)table->columns[c].size;
        for (size_t r = 0; r < row_count; r++) {
            int size = (int)strlen(table->cells[r * table->column_count + c]);
            widths[c] = MAX(widths[c], size);
        }
    }
    for (size_t r = 0; r <= row_count; r++) {
        int gap = 0; // Before the next cell: none after the last one.
        for (size_t c = 0; c < table->column_count; c++) {
            if (widths[c] == 0) continue;
            const char *cell = r == 0 ? arena_print(table->arena, "%.*s", SLICE(table->columns[c]))
                                      : table->cells[(r - 1) * table->column_count + c];
            fprintf(stream, "%*s%s", gap, "", cell);
            gap = widths[c] + 2 - (int)strlen(cell);
        }
        fputc('\n', stream);
    }
}

// Prints maps, or a list of them, as lines under a head; columns that nothing fills are left out.
static void print_table(
    struct arena *arena, const char *columns, const struct node *node, FILE *stream)
{
    struct table table = {.arena = arena};
    for (const char *c = columns; *c && table.column_count < COLUMN_COUNT_MAX;) {
        size_t size = strcspn(c, " ");
        table.columns[table.column_count++] = slice_from(c, size);
        c += size + (c[size] == ' ');
    }
    if (node->type != NODE_LIST) add_map(&table, node);
    for (uint32_t i = 0; node->type == NODE_LIST && i < node->count; i++)
        add_map(&table, node->entries[i].value);
    if (arr_count(table.cells) > 0) print_cells(&table, stream);
    arr_free(table.cells);
}

struct error *output_print(
    const struct command *command, bool has_format, struct slice answer, FILE *stream)
{
    enum output_kind kind = command->output;
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
    if (kind == OUTPUT_TABLE) {
        print_table(&arena, command->columns, node, stream);
        return NULL;
    }
    print_scalar(unwrap(node), stream);
    return NULL;
}
