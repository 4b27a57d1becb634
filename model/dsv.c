#include "model/dsv.h"

#include <inttypes.h>

// -------------------------------------------------------------------------------------------------
// Formats

static struct error *check_separator(
    const struct node *attributes, const char *name, const char *usual)
{
    struct slice text = slice_from_text(usual);
    TRY(node_get_string(attributes, name, &text));
    if (slice_equal_text(text, usual)) return NULL;
    return error_new(ERROR_GENERIC, "Format attribute \"%s\" is not supported", name);
}

static struct error *read_columns(const struct node *attributes, struct format *format)
{
    const struct node *columns = node_find_text(attributes, "columns");
    if (!columns || columns->type != NODE_LIST || columns->count == 0) {
        return error_new(
            ERROR_GENERIC, "Format \"schemaful_dsv\" needs the attribute \"columns\", a list");
    }
    if (columns->count > ROWSET_VALUE_COUNT_MAX)
        return error_new(ERROR_GENERIC, "Format \"schemaful_dsv\" has too many columns");
    for (uint32_t i = 0; i < columns->count; i++) {
        if (columns->entries[i].value->type != NODE_STRING)
            return error_new(ERROR_GENERIC, "Format attribute \"columns\" must hold strings");
    }
    format->dsv.columns = columns;
    struct slice mode = SLICE_OF("fail");
    TRY(node_get_string(attributes, "missing_value_mode", &mode));
    TRY(node_get_string(attributes, "missing_value_sentinel", &format->dsv.sentinel));
    if (slice_equal_text(mode, "print_sentinel")) {
        format->dsv.has_sentinel = true;
    } else if (!slice_equal_text(mode, "fail")) {
        return error_new(
            ERROR_GENERIC,
            "Format attribute \"missing_value_mode\" must be \"fail\" or \"print_sentinel\"");
    }
    return NULL;
}

struct error *dsv_parse_format(
    const struct node *attributes, bool is_schemaful, struct format *format)
{
    format->kind = is_schemaful ? FORMAT_SCHEMAFUL_DSV : FORMAT_DSV;
    TRY(check_separator(attributes, "record_separator", "\n"));
    TRY(check_separator(attributes, "field_separator", "\t"));
    TRY(check_separator(attributes, "key_value_separator", "="));
    TRY(check_separator(attributes, "escaping_symbol", "\\"));
    return is_schemaful ? read_columns(attributes, format) : NULL;
}

// -------------------------------------------------------------------------------------------------
// Reading

static char unescaped(char c)
{
    switch (c) {
    case 't': return '\t';
    case 'n': return '\n';
    case 'r': return '\r';
    case '0': return '\0';
    default: return c; // Itself: \\ and \=.
    }
}

// Takes the bytes up to a tab or, in a name, an equals sign; `*ret_end` is what ended them, '\n'
// the end of the line.
static struct error *take_text(
    struct arena *arena, struct slice *line, bool is_name, struct slice *ret_text, char *ret_end)
{
    char *text = arena_alloc(arena, line->size + 1);
    size_t size = 0;
    size_t i = 0;
    *ret_end = '\n';
    for (; i < line->size; i++) {
        char c = line->data[i];
        if (c == '\t' || (is_name && c == '=')) {
            *ret_end = c;
            break;
        }
        if (c == '\\') {
            if (++i == line->size) return error_new(ERROR_GENERIC, "Line ends within an escape");
            c = unescaped(line->data[i]);
        }
        text[size++] = c;
    }
    size_t taken = MIN(i + 1, line->size);
    *line = slice_from(line->data + taken, line->size - taken);
    *ret_text = slice_from(text, size);
    return NULL;
}

static struct error *parse_line(struct arena *arena, struct slice line, struct node *map)
{
    while (line.size > 0) {
        struct slice name;
        struct slice value;
        char end = '\n';
        TRY(take_text(arena, &line, true, &name, &end));
        if (end != '=') return error_new(ERROR_GENERIC, "Field without \"=\"");
        TRY(take_text(arena, &line, false, &value, &end));
        if (!node_add_entry(arena, map, name, node_string(arena, value)))
            return error_new(ERROR_GENERIC, "Field \"%.*s\" is there twice", SLICE(name));
    }
    return NULL;
}

static struct error *parse_schemaful_line(
    struct arena *arena, const struct format *format, struct slice line, struct node *map)
{
    const struct node *columns = format->dsv.columns;
    char end = '\t';
    for (uint32_t i = 0; i < columns->count; i++) {
        struct slice value;
        if (end != '\t') {
            return error_new(
                ERROR_GENERIC, "Line has %" PRIu32 " fields of %" PRIu32, i, columns->count);
        }
        TRY(take_text(arena, &line, false, &value, &end));
        bool is_null = format->dsv.has_sentinel && slice_equal(value, format->dsv.sentinel);
        struct node *node = is_null ? node_entity(arena) : node_string(arena, value);
        if (!node_add_entry(arena, map, columns->entries[i].value->string, node))
            return error_new(ERROR_GENERIC, "Format has a column twice");
    }
    if (end == '\t') return error_new(ERROR_GENERIC, "Line has too many fields");
    return NULL;
}

struct error *dsv_parse_item(
    struct arena *arena,
    const struct format *format,
    struct slice *input,
    bool is_end,
    struct node **ret_node)
{
    *ret_node = NULL;
    if (input->size == 0) return NULL;
    const char *newline = memchr(input->data, '\n', input->size);
    if (!newline && !is_end) return error_new(ERROR_GENERIC, "Line is not complete");
    size_t size = newline ? (size_t)(newline - input->data) : input->size;
    struct node *map = node_map(arena);
    struct slice line = slice_from(input->data, size);
    TRY(format->kind == FORMAT_DSV ? parse_line(arena, line, map)
                                   : parse_schemaful_line(arena, format, line, map));
    size_t taken = newline ? size + 1 : size;
    *input = slice_from(input->data + taken, input->size - taken);
    *ret_node = map;
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Writing

static void print_text(struct slice text, bool is_name, struct buffer *buffer)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        switch (c) {
        case '\t': buffer_append_text(buffer, "\\t"); break;
        case '\n': buffer_append_text(buffer, "\\n"); break;
        case '\r': buffer_append_text(buffer, "\\r"); break;
        case '\0': buffer_append_text(buffer, "\\0"); break;
        case '\\': buffer_append_text(buffer, "\\\\"); break;
        case '=': buffer_append_text(buffer, is_name ? "\\=" : "="); break;
        default: buffer_append_byte(buffer, (uint8_t)c);
        }
    }
}

static struct error *print_value(
    struct slice name, const struct value *value, struct buffer *buffer)
{
    if (value->type == VALUE_STRING) {
        print_text(value_slice(value), false, buffer);
        return NULL;
    }
    if (value_print(value, buffer)) return NULL;
    return error_new(
        ERROR_GENERIC, "Column \"%.*s\" has a value that DSV cannot hold", SLICE(name));
}

static struct error *print_schemaful(
    const struct format *format,
    const struct rowset *rowset,
    const struct row *row,
    struct buffer *buffer)
{
    const struct node *columns = format->dsv.columns;
    for (uint32_t i = 0; i < columns->count; i++) {
        struct slice name = columns->entries[i].value->string;
        const struct value *found = NULL;
        for (uint32_t j = 0; j < row->value_count && !found; j++) {
            const struct value *value = &row->values[j];
            bool is_it = slice_equal(rowset->names[value->column], name);
            if (is_it && value->type != VALUE_NULL) found = value;
        }
        if (i > 0) buffer_append_byte(buffer, '\t');
        if (found) {
            TRY(print_value(name, found, buffer));
        } else if (format->dsv.has_sentinel) {
            print_text(format->dsv.sentinel, false, buffer);
        } else {
            return error_new(ERROR_GENERIC, "Column \"%.*s\" has no value", SLICE(name));
        }
    }
    return NULL;
}

struct error *dsv_print_row(
    const struct format *format,
    const struct rowset *rowset,
    const struct row *row,
    struct buffer *buffer)
{
    if (format->kind == FORMAT_SCHEMAFUL_DSV) {
        TRY(print_schemaful(format, rowset, row, buffer));
    } else {
        bool is_first = true;
        for (uint32_t i = 0; i < row->value_count; i++) {
            const struct value *value = &row->values[i];
            struct slice name = rowset->names[value->column];
            if (value->type == VALUE_NULL) continue;
            if (!is_first) buffer_append_byte(buffer, '\t');
            print_text(name, true, buffer);
            buffer_append_byte(buffer, '=');
            TRY(print_value(name, value, buffer));
            is_first = false;
        }
    }
    buffer_append_byte(buffer, '\n');
    return NULL;
}
