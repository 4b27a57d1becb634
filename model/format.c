#include "model/format.h"

#include <assert.h>
#include <inttypes.h>

static struct error *unknown(const char *what, struct slice name)
{
    struct slice shown = slice_from(name.data, MIN(name.size, (size_t)64));
    return error_new(ERROR_GENERIC, "%s \"%.*s\" is not supported", what, SLICE(shown));
}

static struct error *parse_yson(const struct node *attributes, struct format *format)
{
    struct slice name = SLICE_OF("binary");
    TRY(node_get_string(attributes, "format", &name));
    if (slice_equal_text(name, "binary")) {
        format->yson = YSON_BINARY;
    } else if (slice_equal_text(name, "text")) {
        format->yson = YSON_TEXT;
    } else if (slice_equal_text(name, "pretty")) {
        format->yson = YSON_PRETTY;
    } else {
        return unknown("YSON format", name);
    }
    return NULL;
}

static struct error *parse_attributes_mode(
    const struct node *attributes, enum json_attributes_mode *mode)
{
    struct slice name = SLICE_OF("on_demand");
    TRY(node_get_string(attributes, "attributes_mode", &name));
    if (slice_equal_text(name, "on_demand")) {
        *mode = JSON_ATTRIBUTES_ON_DEMAND;
    } else if (slice_equal_text(name, "never")) {
        *mode = JSON_ATTRIBUTES_NEVER;
    } else if (slice_equal_text(name, "always")) {
        *mode = JSON_ATTRIBUTES_ALWAYS;
    } else {
        return unknown("Attributes mode", name);
    }
    return NULL;
}

static struct error *parse_json(const struct node *attributes, struct format *format)
{
    struct json_options *json = &format->json;
    struct slice name = SLICE_OF("text");
    TRY(node_get_string(attributes, "format", &name));
    if (!slice_equal_text(name, "text") && !slice_equal_text(name, "pretty")) {
        return unknown("JSON format", name);
    }
    json->is_pretty = slice_equal_text(name, "pretty");
    TRY(parse_attributes_mode(attributes, &json->attributes_mode));
    TRY(node_get_boolean(attributes, "encode_utf8", &json->encode_utf8));
    TRY(node_get_boolean(attributes, "plain", &json->is_plain));
    TRY(node_get_boolean(attributes, "stringify", &json->stringify));
    TRY(node_get_boolean(attributes, "annotate_with_types", &json->annotate_with_types));
    TRY(node_get_boolean(
        attributes, "stringify_nan_and_infinity", &json->stringify_nan_and_infinity));
    TRY(node_get_uint64(attributes, "string_length_limit", &json->string_length_limit));
    return node_get_boolean(attributes, "skip_null_values", &format->skip_null_values);
}

struct error *format_parse(const struct node *node, struct format *ret_format)
{
    struct format format = {.json = JSON_OPTIONS_DEFAULT};
    if (node->type != NODE_STRING) {
        return error_new(
            ERROR_GENERIC,
            "Format: expected \"string\", actual \"%s\"",
            node_type_name(node->type));
    }
    if (slice_equal_text(node->string, "yson")) {
        format.kind = FORMAT_YSON;
        TRY(parse_yson(node->attributes, &format));
    } else if (slice_equal_text(node->string, "json")) {
        format.kind = FORMAT_JSON;
        TRY(parse_json(node->attributes, &format));
    } else {
        return unknown("Format", node->string);
    }
    *ret_format = format;
    return NULL;
}

struct error *format_read_node(
    struct arena *arena, const struct format *format, struct slice input, struct node **ret_node)
{
    switch (format->kind) {
    case FORMAT_YSON: return yson_parse(arena, input, ret_node);
    case FORMAT_JSON: return json_parse(arena, input, &format->json, ret_node);
    }
    return NULL;
}

struct error *format_write_node(
    const struct format *format, const struct node *node, struct buffer *buffer)
{
    switch (format->kind) {
    case FORMAT_YSON: yson_print(node, format->yson, buffer); break;
    case FORMAT_JSON:
        TRY(json_print(node, &format->json, buffer));
        if (format->json.is_pretty) buffer_append_byte(buffer, '\n');
        break;
    }
    return buffer_check(buffer, "Output");
}

struct row_reader {
    struct arena *arena;
    struct rowset rowset;
    struct node *columns; // From name to column, in the arena.
    uint32_t name_capacity;
    uint32_t row_capacity;
};

// Makes room in an array of the arena: returns it or a greater copy.
static void *reserve(
    struct arena *arena, void *items, size_t size, uint32_t count, uint32_t *capacity)
{
    if (count < *capacity) return items;
    *capacity = MAX(*capacity * 2, (uint32_t)16);
    void *copy = arena_alloc(arena, size * *capacity);
    return count > 0 ? memcpy(copy, items, size * count) : copy;
}

static struct error *limit_exceeded(const char *what, uint64_t limit)
{
    return error_set_u64(error_new(ERROR_GENERIC, "Too many %s", what), "limit", limit);
}

// Finds the column of a name, or adds one. Rows mostly have the same names in the same order, so
// the name at the same place is tried first.
static struct error *find_column(
    struct row_reader *reader, struct slice name, uint32_t place, uint16_t *ret_column)
{
    struct rowset *rowset = &reader->rowset;
    if (place < rowset->name_count && slice_equal(rowset->names[place], name)) {
        *ret_column = (uint16_t)place;
        return NULL;
    }
    const struct node *column = node_find(reader->columns, name);
    if (column) {
        *ret_column = (uint16_t)column->int64;
        return NULL;
    }
    if (rowset->name_count == ROWSET_NAME_COUNT_MAX) {
        return limit_exceeded("columns", ROWSET_NAME_COUNT_MAX);
    }
    rowset->names = reserve(
        reader->arena, rowset->names, sizeof name, rowset->name_count, &reader->name_capacity);
    name = arena_copy(reader->arena, name);
    rowset->names[rowset->name_count] = name;
    node_add_entry(
        reader->arena, reader->columns, name, node_int64(reader->arena, rowset->name_count));
    *ret_column = rowset->name_count++;
    return NULL;
}

static struct value node_to_value(struct arena *arena, const struct node *node, uint16_t column)
{
    bool has_attributes = node->attributes && node->attributes->count > 0;
    switch (has_attributes ? NODE_MAP : node->type) {
    case NODE_ENTITY: return value_null(column);
    case NODE_STRING: return value_string(column, arena_copy(arena, node->string));
    case NODE_INT64: return value_int64(column, node->int64);
    case NODE_UINT64: return value_uint64(column, node->uint64);
    case NODE_DOUBLE: return value_double(column, node->real);
    case NODE_BOOLEAN: return value_boolean(column, node->boolean);
    case NODE_LIST:
    case NODE_MAP: break;
    }
    struct buffer buffer = {0};
    yson_print(node, YSON_BINARY, &buffer);
    struct value value = value_string(column, arena_copy(arena, buffer_slice(&buffer)));
    value.type = VALUE_ANY;
    buffer_release(&buffer);
    return value;
}

static struct error *add_row(struct row_reader *reader, const struct node *node)
{
    struct rowset *rowset = &reader->rowset;
    if (node->type != NODE_MAP) {
        return error_new(
            ERROR_GENERIC, "Row: expected \"map\", actual \"%s\"", node_type_name(node->type));
    }
    if (rowset->row_count == ROWSET_ROW_COUNT_MAX) {
        return limit_exceeded("rows", ROWSET_ROW_COUNT_MAX);
    }
    if (node->count > ROWSET_VALUE_COUNT_MAX) {
        return limit_exceeded("values in a row", ROWSET_VALUE_COUNT_MAX);
    }
    struct value *values = ARENA_NEW(reader->arena, struct value, node->count);
    for (uint32_t i = 0; i < node->count; i++) {
        uint16_t column = 0;
        TRY(find_column(reader, node->entries[i].key, i, &column));
        values[i] = node_to_value(reader->arena, node->entries[i].value, column);
    }
    rowset->rows = reserve(
        reader->arena, rowset->rows, sizeof(struct row), rowset->row_count, &reader->row_capacity);
    rowset->rows[rowset->row_count++] =
        (struct row){.kind = ROW_WRITE, .value_count = node->count, .values = values};
    return NULL;
}

static struct error *read_item(
    struct arena *arena, const struct format *format, struct slice *input, struct node **ret_node)
{
    switch (format->kind) {
    case FORMAT_YSON: return yson_parse_item(arena, input, ret_node);
    case FORMAT_JSON: return json_parse_item(arena, input, &format->json, ret_node);
    }
    return NULL;
}

struct error *format_read_rows(
    struct arena *arena, const struct format *format, struct slice input, struct rowset *ret_rowset)
{
    struct row_reader reader = {.arena = arena, .columns = node_map(arena)};
    // Nodes of one row at a time: they take many times the memory of values.
    CLEANUP(arena_releasep) struct arena scratch = {0};
    for (;;) {
        struct node *node = NULL;
        arena_reset(&scratch);
        struct error *error = read_item(&scratch, format, &input, &node);
        if (!error && !node) break;
        if (!error) error = add_row(&reader, node);
        if (error) {
            uint32_t row_index = reader.rowset.row_count;
            return error_wrap(error, ERROR_GENERIC, "Error parsing row %" PRIu32, row_index);
        }
    }
    *ret_rowset = reader.rowset;
    return NULL;
}

static struct error *value_to_node(
    struct arena *arena, struct slice name, const struct value *value, struct node **ret_node)
{
    switch ((enum value_type)value->type) {
    case VALUE_NULL: *ret_node = node_entity(arena); return NULL;
    case VALUE_INT64: *ret_node = node_int64(arena, value->int64); return NULL;
    case VALUE_UINT64: *ret_node = node_uint64(arena, value->uint64); return NULL;
    case VALUE_DOUBLE: *ret_node = node_double(arena, value->real); return NULL;
    case VALUE_BOOLEAN: *ret_node = node_boolean(arena, value->boolean); return NULL;
    case VALUE_STRING: *ret_node = node_string(arena, value_slice(value)); return NULL;
    case VALUE_ANY: break;
    }
    struct error *error = yson_parse(arena, value_slice(value), ret_node);
    if (!error) return NULL;
    return error_wrap(error, ERROR_GENERIC, "Value of column \"%.*s\" is not YSON", SLICE(name));
}

static struct error *row_to_node(
    struct arena *arena,
    const struct rowset *rowset,
    const struct row *row,
    bool skip_null_values,
    struct node **ret_node)
{
    if (row->kind == ROW_MISSING) {
        *ret_node = node_entity(arena);
        return NULL;
    }
    struct node *map = node_map(arena);
    for (uint32_t i = 0; i < row->value_count; i++) {
        const struct value *value = &row->values[i];
        assert(value->column < rowset->name_count);
        struct slice name = rowset->names[value->column];
        if (skip_null_values && value->type == VALUE_NULL) continue;
        struct node *node = NULL;
        TRY(value_to_node(arena, name, value, &node));
        node_add_entry(arena, map, name, node);
    }
    *ret_node = map;
    return NULL;
}

struct error *format_write_rows(
    const struct format *format, const struct rowset *rowset, struct buffer *buffer)
{
    CLEANUP(arena_releasep) struct arena scratch = {0};
    bool skip_null_values = format->kind == FORMAT_JSON && format->skip_null_values;
    for (uint32_t i = 0; i < rowset->row_count && !buffer->is_overflowed; i++) {
        struct node *node = NULL;
        arena_reset(&scratch);
        TRY(row_to_node(&scratch, rowset, &rowset->rows[i], skip_null_values, &node));
        switch (format->kind) {
        case FORMAT_YSON:
            yson_print(node, format->yson, buffer);
            buffer_append_text(buffer, format->yson == YSON_BINARY ? ";" : ";\n");
            break;
        case FORMAT_JSON:
            TRY(json_print(node, &format->json, buffer));
            buffer_append_byte(buffer, '\n');
            break;
        }
    }
    return buffer_check(buffer, "Output");
}
