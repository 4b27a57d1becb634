#include "cluster/http_parameters.h"

#include "base/number.h"

#include <ctype.h>

enum { DEPTH_MAX = 32 };

// -------------------------------------------------------------------------------------------------
// Merging

// Adds the entries of `from` to `to`.
// NOLINTNEXTLINE(misc-no-recursion): as deep as parsers allow.
static void merge(struct arena *arena, struct node *to, const struct node *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        const struct node_entry *entry = &from->entries[i];
        struct node *old = node_find(to, entry->key);
        bool are_maps = old && old->type == NODE_MAP && entry->value->type == NODE_MAP;
        if (are_maps && !entry->value->attributes) {
            merge(arena, old, entry->value);
        } else {
            node_set(arena, to, entry->key, entry->value);
        }
    }
}

static struct error *merge_parameters(
    struct arena *arena, struct node *to, const struct node *from, const char *place)
{
    if (from->type != NODE_MAP) {
        return error_new(
            ERROR_GENERIC,
            "Parameters in %s: expected \"map\", actual \"%s\"",
            place,
            node_type_name(from->type));
    }
    merge(arena, to, from);
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Formats in headers

static bool is_mime_type(struct slice header, const char *name)
{
    size_t size = strlen(name);
    bool is_longer = header.size > size;
    if (header.size < size || strncasecmp(header.data, name, size) != 0) return false;
    return !is_longer || header.data[size] == ';' || isspace((unsigned char)header.data[size]);
}

static struct node *format_node(struct arena *arena, const char *name, const char *yson)
{
    struct node *node = node_text(arena, name);
    if (yson) node_set_attribute(arena, node, "format", node_text(arena, yson));
    return node;
}

// The format of a MIME type, or NULL.
static struct node *format_of_mime(struct arena *arena, struct slice header)
{
    if (is_mime_type(header, "application/json")) return format_node(arena, "json", NULL);
    if (is_mime_type(header, "application/x-yt-yson-binary"))
        return format_node(arena, "yson", "binary");
    if (is_mime_type(header, "application/x-yt-yson-text"))
        return format_node(arena, "yson", "text");
    if (is_mime_type(header, "application/x-yt-yson-pretty"))
        return format_node(arena, "yson", "pretty");
    return NULL;
}

static struct error *parse_header(
    struct arena *arena,
    const struct format *format,
    struct slice text,
    const char *header,
    struct node **ret_node)
{
    struct error *error = format_read_node(arena, format, text, ret_node);
    return error ? error_wrap(error, ERROR_GENERIC, "Cannot parse header %s", header) : NULL;
}

struct error *http_parameters_header_format(
    struct arena *arena, struct slice header, struct format *format)
{
    *format = (struct format){.kind = FORMAT_JSON, .json = JSON_OPTIONS_DEFAULT};
    if (header.size == 0) return NULL;
    struct node *node = NULL;
    struct error *error = yson_parse(arena, header, &node);
    if (!error) error = format_parse(node, format);
    if (!error) return NULL;
    return error_wrap(error, ERROR_GENERIC, "Cannot parse header X-YT-Header-Format");
}

static struct error *add_format(
    struct arena *arena,
    const struct format *header_format,
    struct slice header,
    const char *header_name,
    struct slice mime,
    const char *name,
    struct node *parameters)
{
    struct node *format = NULL;
    if (header.size > 0) {
        TRY(parse_header(arena, header_format, header, header_name, &format));
    } else {
        format = format_of_mime(arena, mime);
    }
    if (format) node_set_text(arena, parameters, name, format);
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// The query

static struct error *bad_key(struct slice key)
{
    return error_new(
        ERROR_GENERIC,
        "Malformed key \"%.*s\" in the query",
        (int)MIN(key.size, (size_t)64),
        key.data);
}

static struct node *query_value(struct arena *arena, struct slice text)
{
    int64_t number = 0;
    if (number_parse_int64(text, &number)) return node_int64(arena, number);
    return node_string(arena, text);
}

// The item of a list at [index] or, with an empty index, behind its end; NULL if that is not there
// and not the next.
static struct node **list_place(struct arena *arena, struct node *list, struct slice index)
{
    uint64_t position = list->count;
    if (index.size > 0 && !number_parse_uint64(index, &position)) return NULL;
    if (position > list->count) return NULL;
    if (position == list->count) node_add(arena, list, node_entity(arena));
    return &list->entries[position].value;
}

static struct node **map_place(struct arena *arena, struct node *map, struct slice key)
{
    if (!node_find(map, key)) node_set(arena, map, key, node_entity(arena));
    for (uint32_t i = 0; i < map->count; i++) {
        if (slice_equal(map->entries[i].key, key)) return &map->entries[i].value;
    }
    return NULL;
}

// Finds where a[b][c] is to be put, making maps and lists on the way.
static struct node **find_place(struct arena *arena, struct node *map, struct slice key)
{
    const char *bracket = memchr(key.data, '[', key.size);
    size_t size = bracket ? (size_t)(bracket - key.data) : key.size;
    if (size == 0) return NULL;
    struct node **place = map_place(arena, map, slice_from(key.data, size));
    for (int depth = 0; place && size < key.size; depth++) {
        key = slice_from(key.data + size, key.size - size);
        const char *end = memchr(key.data, ']', key.size);
        if (key.data[0] != '[' || !end || depth == DEPTH_MAX) return NULL;
        struct slice name = slice_from(key.data + 1, (size_t)(end - key.data) - 1);
        size = name.size + 2;
        uint64_t index = 0;
        bool is_index = name.size == 0 || number_parse_uint64(name, &index);
        if ((*place)->type == NODE_ENTITY) *place = is_index ? node_list(arena) : node_map(arena);
        if ((*place)->type == NODE_LIST) {
            place = list_place(arena, *place, name);
        } else {
            place = (*place)->type == NODE_MAP ? map_place(arena, *place, name) : NULL;
        }
    }
    return place;
}

// {"$value"=x;"$attributes"={…}} becomes <…>x, as in JSON.
// NOLINTNEXTLINE(misc-no-recursion): DEPTH_MAX.
static struct error *attach_attributes(struct arena *arena, struct node **node)
{
    bool is_collection = (*node)->type == NODE_MAP || (*node)->type == NODE_LIST;
    if (!is_collection) return NULL;
    for (uint32_t i = 0; i < (*node)->count; i++)
        TRY(attach_attributes(arena, &(*node)->entries[i].value));
    struct node *value = node_find_text(*node, "$value");
    struct node *attributes = node_find_text(*node, "$attributes");
    if (!value) return NULL;
    if (attributes && attributes->type != NODE_MAP)
        return error_new(ERROR_GENERIC, "\"$attributes\" in the query must be a map");
    value->attributes = attributes;
    *node = value;
    return NULL;
}

static struct error *read_query(
    struct arena *arena, const struct http_head *head, struct node *parameters)
{
    struct node *map = node_map(arena);
    for (size_t i = 0; i < head->query_count; i++) {
        const struct http_parameter *pair = &head->query[i];
        struct node **place = find_place(arena, map, pair->key);
        if (!place) return bad_key(pair->key);
        *place = query_value(arena, pair->value);
    }
    for (uint32_t i = 0; i < map->count; i++) TRY(attach_attributes(arena, &map->entries[i].value));
    merge(arena, parameters, map);
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// The header X-YT-Parameters

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return -1;
}

static struct error *decode_base64(struct arena *arena, struct slice text, struct slice *ret_bytes)
{
    while (text.size > 0 && text.data[text.size - 1] == '=') text.size--;
    char *bytes = arena_alloc(arena, text.size + 1);
    size_t size = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < text.size; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0) return error_new(ERROR_GENERIC, "Parts of X-YT-Parameters are not base64");
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 > 0) bytes[size++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    if (text.size % 4 == 1)
        return error_new(ERROR_GENERIC, "Parts of X-YT-Parameters are not base64");
    *ret_bytes = slice_from(bytes, size);
    return NULL;
}

static struct error *read_parts(
    struct arena *arena, const struct http_head *head, struct slice *ret_text)
{
    CLEANUP(buffer_releasep) struct buffer text = {0};
    for (size_t i = 0; i < head->part_count; i++) buffer_append_slice(&text, head->parts[i]);
    return decode_base64(arena, buffer_slice(&text), ret_text);
}

static struct error *read_header(
    struct arena *arena,
    const struct http_head *head,
    const struct format *header_format,
    struct node *parameters)
{
    struct slice text = head->parameters;
    if (head->part_count > 0) TRY(read_parts(arena, head, &text));
    if (text.size == 0) return NULL;
    struct node *node = NULL;
    TRY(parse_header(arena, header_format, text, "X-YT-Parameters", &node));
    return merge_parameters(arena, parameters, node, "header X-YT-Parameters");
}

// -------------------------------------------------------------------------------------------------

struct error *http_parameters_read(
    struct arena *arena, const struct http_head *head, struct node **ret_parameters)
{
    struct node *parameters = node_map(arena);
    struct format format;
    TRY(http_parameters_header_format(arena, head->header_format, &format));
    TRY(add_format(
        arena,
        &format,
        head->input_format,
        "X-YT-Input-Format",
        head->content_type,
        "input_format",
        parameters));
    TRY(add_format(
        arena,
        &format,
        head->output_format,
        "X-YT-Output-Format",
        head->accept,
        "output_format",
        parameters));
    TRY(read_query(arena, head, parameters));
    TRY(read_header(arena, head, &format, parameters));
    *ret_parameters = parameters;
    return NULL;
}

struct error *http_parameters_add_body(
    struct arena *arena, struct node *parameters, struct slice body)
{
    struct format format = {.kind = FORMAT_JSON, .json = JSON_OPTIONS_DEFAULT};
    if (body.size == 0) return NULL;
    TRY(http_parameters_format(parameters, "input_format", &format));
    struct node *node = NULL;
    struct error *error = format_read_node(arena, &format, body, &node);
    if (error) return error_wrap(error, ERROR_GENERIC, "Cannot parse the parameters in the body");
    return merge_parameters(arena, parameters, node, "the body");
}

struct error *http_parameters_format(
    const struct node *parameters, const char *name, struct format *format)
{
    const struct node *node = node_find_text(parameters, name);
    if (!node || node->type == NODE_ENTITY) return NULL;
    struct error *error = format_parse(node, format);
    return error ? error_wrap(error, error_code(error), "Invalid parameter \"%s\"", name) : NULL;
}
