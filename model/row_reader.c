#include "model/row_reader.h"

#include "base/containers.h"

#include <inttypes.h>

struct row_reader {
    struct format format;
    size_t size_max;
    struct buffer text; // Of the row that is not complete yet.
    size_t tried_size;  // Of the text when it was last found incomplete.
    struct buffer rows; // Encoded.
    uint32_t row_count;
    struct slice *names;  // stb array; their text is in `arena`.
    struct node *columns; // From name to column, in `arena`.
    struct arena arena;
    struct arena scratch; // Of one row: nodes take many times the memory of what they become.
};

struct row_reader *row_reader_new(const struct format *format, size_t size_max)
{
    struct row_reader *reader = must_alloc(calloc(1, sizeof *reader));
    reader->format = *format;
    reader->size_max = size_max;
    reader->columns = node_map(&reader->arena);
    buffer_init(&reader->text, ROW_TEXT_SIZE_MAX);
    buffer_init(&reader->rows, size_max);
    return reader;
}

void row_reader_free(struct row_reader *reader)
{
    if (!reader) return;
    buffer_release(&reader->text);
    buffer_release(&reader->rows);
    arr_free(reader->names);
    arena_release(&reader->arena);
    arena_release(&reader->scratch);
    free(reader);
}

// Finds the column of a name, or adds one. Rows mostly have the same names in the same order, so
// the name at the same place is tried first.
static struct error *find_column(
    struct row_reader *reader, struct slice name, uint32_t place, uint16_t *ret_column)
{
    if (place < arr_count(reader->names) && slice_equal(reader->names[place], name)) {
        *ret_column = (uint16_t)place;
        return NULL;
    }
    const struct node *column = node_find(reader->columns, name);
    if (column) {
        *ret_column = (uint16_t)column->int64;
        return NULL;
    }
    if (arr_count(reader->names) == ROWSET_NAME_COUNT_MAX) {
        struct error *error = error_new(ERROR_GENERIC, "Too many columns");
        return error_set_u64(error, "limit", ROWSET_NAME_COUNT_MAX);
    }
    struct arena *arena = &reader->arena;
    name = arena_copy(arena, name);
    *ret_column = (uint16_t)arr_count(reader->names);
    arr_add(reader->names, name);
    node_add_entry(arena, reader->columns, name, node_int64(arena, *ret_column));
    return NULL;
}

static struct value node_to_value(struct arena *arena, const struct node *node, uint16_t column)
{
    bool has_attributes = node->attributes && node->attributes->count > 0;
    switch (has_attributes ? NODE_MAP : node->type) {
    case NODE_ENTITY: return value_null(column);
    case NODE_STRING: return value_string(column, node->string);
    case NODE_INT64: return value_int64(column, node->int64);
    case NODE_UINT64: return value_uint64(column, node->uint64);
    case NODE_DOUBLE: return value_double(column, node->real);
    case NODE_BOOLEAN: return value_boolean(column, node->boolean);
    case NODE_LIST:
    case NODE_MAP: break;
    }
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    yson_print(node, YSON_BINARY, &buffer);
    struct value value = value_string(column, arena_copy(arena, buffer_slice(&buffer)));
    value.type = VALUE_ANY;
    return value;
}

static struct error *too_large(const struct row_reader *reader)
{
    struct error *error = error_new(
        ERROR_TOO_MANY_ROWS_IN_TRANSACTION, "Rows of one request take too much room: split it");
    return error_set_u64(error, "size_max", reader->size_max);
}

static struct error *add_row(struct row_reader *reader, const struct node *node)
{
    if (node->type == NODE_ENTITY) return error_new(ERROR_GENERIC, "Row cannot be null");
    if (node->type != NODE_MAP) {
        return error_new(
            ERROR_GENERIC, "Row: expected \"map\", actual \"%s\"", node_type_name(node->type));
    }
    if (reader->row_count == ROWSET_ROW_COUNT_MAX) {
        struct error *error =
            error_new(ERROR_TOO_MANY_ROWS_IN_TRANSACTION, "Too many rows in one request: split it");
        return error_set_u64(error, "limit", ROWSET_ROW_COUNT_MAX);
    }
    if (node->count > ROWSET_VALUE_COUNT_MAX) {
        return error_new(
            ERROR_TOO_MANY_VALUES_IN_ROW,
            "Too many values in row: actual %" PRIu32 ", limit %d",
            node->count,
            ROWSET_VALUE_COUNT_MAX);
    }
    struct row row = {.kind = ROW_WRITE, .value_count = node->count};
    row.values = ARENA_NEW(&reader->scratch, struct value, node->count);
    for (uint32_t i = 0; i < node->count; i++) {
        uint16_t column = 0;
        TRY(find_column(reader, node->entries[i].key, i, &column));
        row.values[i] = node_to_value(&reader->scratch, node->entries[i].value, column);
    }
    rowset_encode_row(&row, &reader->rows);
    reader->row_count++;
    return reader->rows.is_overflowed ? too_large(reader) : NULL;
}

// Reads the rows at the beginning of `*text`, up to one that is not complete.
static struct error *read_rows(struct row_reader *reader, struct slice *text, bool is_end)
{
    for (;;) {
        struct node *node = NULL;
        arena_reset(&reader->scratch);
        struct error *error =
            format_read_item(&reader->scratch, &reader->format, text, is_end, &node);
        if (error && !is_end) { // There is more to come, which may complete it.
            error_free(error);
            reader->tried_size = text->size;
            return NULL;
        }
        if (!error && !node) return NULL;
        if (!error) error = add_row(reader, node);
        if (!error) continue;
        return error_wrap(
            error, error_code(error), "Error parsing row %" PRIu32, reader->row_count);
    }
}

static struct error *check_row_size(const struct row_reader *reader)
{
    if (!reader->text.is_overflowed) return NULL;
    return error_new(
        ERROR_ROW_WEIGHT_LIMIT_EXCEEDED,
        "Row is too large: the limit of its text is %" PRIu64 " bytes",
        ROW_TEXT_SIZE_MAX);
}

struct error *row_reader_feed(struct row_reader *reader, struct slice piece)
{
    if (reader->text.size == 0) {
        reader->tried_size = 0;
        TRY(read_rows(reader, &piece, false));
        buffer_append_slice(&reader->text, piece);
        return check_row_size(reader);
    }
    buffer_append_slice(&reader->text, piece);
    TRY(check_row_size(reader));
    // What was not complete is tried again when there is twice as much, so that a large row costs
    // no more than a few times its size.
    if (reader->text.size < 2 * reader->tried_size) return NULL;
    struct slice text = buffer_slice(&reader->text);
    TRY(read_rows(reader, &text, false));
    if (text.size > 0) memmove(reader->text.data, text.data, text.size);
    reader->text.size = text.size;
    return NULL;
}

struct error *row_reader_finish(struct row_reader *reader, struct buffer *rowset)
{
    struct slice text = buffer_slice(&reader->text);
    TRY(read_rows(reader, &text, true));
    uint16_t name_count = (uint16_t)arr_count(reader->names);
    rowset_encode_begin(reader->names, name_count, reader->row_count, rowset);
    buffer_append_slice(rowset, buffer_slice(&reader->rows));
    return buffer_check(rowset, "Rows");
}

size_t row_reader_size(const struct row_reader *reader)
{
    return reader->text.capacity + reader->rows.capacity + reader->arena.size +
           reader->scratch.size;
}
