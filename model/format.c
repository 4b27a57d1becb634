#include "model/format.h"

#include "model/dsv.h"
#include "model/row_reader.h"

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
    } else if (slice_equal_text(node->string, "dsv")) {
        TRY(dsv_parse_format(node->attributes, false, &format));
    } else if (slice_equal_text(node->string, "schemaful_dsv")) {
        TRY(dsv_parse_format(node->attributes, true, &format));
    } else {
        return unknown("Format", node->string);
    }
    TRY(conversions_parse(node->attributes, &format.conversions));
    *ret_format = format;
    return NULL;
}

const char *format_mime_type(const struct format *format)
{
    switch (format->kind) {
    case FORMAT_JSON: return "application/json";
    case FORMAT_DSV:
    case FORMAT_SCHEMAFUL_DSV: return "text/tab-separated-values";
    case FORMAT_YSON: break;
    }
    switch (format->yson) {
    case YSON_TEXT: return "application/x-yt-yson-text";
    case YSON_PRETTY: return "application/x-yt-yson-pretty";
    case YSON_BINARY: break;
    }
    return "application/x-yt-yson-binary";
}

static struct error *for_rows_only(void)
{
    return error_new(ERROR_GENERIC, "Format \"dsv\" is for rows: take \"yson\" or \"json\"");
}

struct error *format_read_node(
    struct arena *arena, const struct format *format, struct slice input, struct node **ret_node)
{
    switch (format->kind) {
    case FORMAT_YSON: return yson_parse(arena, input, ret_node);
    case FORMAT_JSON: return json_parse(arena, input, &format->json, ret_node);
    case FORMAT_DSV:
    case FORMAT_SCHEMAFUL_DSV: return for_rows_only();
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
    case FORMAT_DSV:
    case FORMAT_SCHEMAFUL_DSV: return for_rows_only();
    }
    return buffer_check(buffer, "Output");
}

static struct error *cut_short(void)
{
    return error_new(ERROR_GENERIC, "The row may go on");
}

struct error *format_read_item(
    struct arena *arena,
    const struct format *format,
    struct slice *input,
    bool is_end,
    struct node **ret_node)
{
    switch (format->kind) {
    case FORMAT_YSON: {
        struct slice rest = *input;
        TRY(yson_parse_item(arena, &rest, ret_node));
        // A row whose separator has not come yet: one more row without it is an error.
        bool is_open = *ret_node && rest.size == 0 && input->data[input->size - 1] != ';';
        if (is_open && !is_end) return cut_short();
        *input = rest;
        return NULL;
    }
    case FORMAT_JSON: return json_parse_item(arena, input, &format->json, ret_node);
    case FORMAT_DSV:
    case FORMAT_SCHEMAFUL_DSV: return dsv_parse_item(arena, format, input, is_end, ret_node);
    }
    return NULL;
}

struct error *format_read_rows(
    struct arena *arena, const struct format *format, struct slice input, struct rowset *ret_rowset)
{
    struct row_reader *reader = row_reader_new(format, BUFFER_SIZE_MAX);
    CLEANUP(buffer_releasep) struct buffer rows = {0};
    struct error *error = row_reader_feed(reader, input);
    if (!error) error = row_reader_finish(reader, &rows);
    row_reader_free(reader);
    if (error) return error;
    return rowset_decode(arena, arena_copy(arena, buffer_slice(&rows)), ret_rowset);
}

struct error *value_to_node(
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
    const struct slice attribute_prefix = slice_from_text(ROWSET_ATTRIBUTE_PREFIX);
    struct node *map = node_map(arena);
    for (uint32_t i = 0; i < row->value_count; i++) {
        const struct value *value = &row->values[i];
        assert(value->column < rowset->name_count);
        struct slice name = rowset->names[value->column];
        if (skip_null_values && value->type == VALUE_NULL) continue;
        struct node *node = NULL;
        TRY(value_to_node(arena, name, value, &node));
        if (slice_has_prefix(name, attribute_prefix)) {
            const char *key = arena_print(
                arena,
                "%.*s",
                (int)(name.size - attribute_prefix.size),
                name.data + attribute_prefix.size);
            node_set_attribute(arena, map, key, node);
            continue;
        }
        node_add_entry(arena, map, name, node);
    }
    *ret_node = map;
    return NULL;
}

struct error *format_write_rows(
    struct arena *scratch,
    const struct format *format,
    const struct rowset *rowset,
    struct buffer *buffer)
{
    bool is_dsv = format->kind == FORMAT_DSV || format->kind == FORMAT_SCHEMAFUL_DSV;
    bool skip_null_values = format->kind == FORMAT_JSON && format->skip_null_values;
    for (uint32_t i = 0; i < rowset->row_count && !buffer->is_overflowed; i++) {
        struct node *node = NULL;
        arena_reset(scratch);
        if (is_dsv) {
            if (rowset->rows[i].kind == ROW_MISSING) continue;
            TRY(dsv_print_row(format, rowset, &rowset->rows[i], buffer));
            continue;
        }
        TRY(row_to_node(scratch, rowset, &rowset->rows[i], skip_null_values, &node));
        switch (format->kind) {
        case FORMAT_YSON:
            yson_print(node, format->yson, buffer);
            buffer_append_text(buffer, format->yson == YSON_BINARY ? ";" : ";\n");
            break;
        case FORMAT_JSON:
            TRY(json_print(node, &format->json, buffer));
            buffer_append_byte(buffer, '\n');
            break;
        case FORMAT_DSV:
        case FORMAT_SCHEMAFUL_DSV: break; // Done above.
        }
    }
    return buffer_check(buffer, "Output");
}
