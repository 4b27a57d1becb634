// Functions that look into values of type any, and make them.
#include "cluster/query/functions_code.h"
#include "model/ypath.h"
#include "model/yson.h"

#include <assert.h>
#include <inttypes.h>

static struct error *parse(
    struct function_context *context, const struct value *any, struct node **ret_node)
{
    return yson_parse(context->scratch, value_slice(any), ret_node);
}

static struct value make_any(struct function_context *context, const struct node *node)
{
    CLEANUP(buffer_releasep) struct buffer yson = {.size_max = FUNCTION_STRING_SIZE_MAX};
    yson_print(node, YSON_BINARY, &yson);
    struct value value = function_string(context, &yson);
    if (value.type == VALUE_STRING) value.type = VALUE_ANY;
    return value;
}

// -------------------------------------------------------------------------------------------------
// Looking inside

static const struct node *find_item(const struct node *node, struct slice name)
{
    if (node->type == NODE_MAP) return node_find(node, name);
    if (node->type != NODE_LIST) return NULL;
    bool is_negative = name.size > 0 && name.data[0] == '-'; // From the end.
    uint64_t index = 0;
    if (name.size == 0 || name.size > 10) return NULL;
    for (size_t i = is_negative; i < name.size; i++) {
        if (name.data[i] < '0' || name.data[i] > '9') return NULL;
        index = index * 10 + (uint64_t)(name.data[i] - '0');
    }
    if (is_negative) index = node->count - index;
    return index < node->count ? node->entries[index].value : NULL;
}

// Follows a path such as /a/0/@b; NULL if there is nothing at its end.
static struct error *find(
    struct function_context *context,
    const struct value *any,
    struct slice path_text,
    const struct node **ret_node)
{
    struct node *root;
    TRY(parse(context, any, &root));
    const struct node *node = root;
    *ret_node = NULL;
    if (path_text.size > 0) {
        // A path below a value is a path below the root of a tree.
        char *text = arena_alloc(context->scratch, path_text.size + 1);
        text[0] = '/';
        memcpy(text + 1, path_text.data, path_text.size);
        struct ypath path;
        TRY(ypath_parse(context->scratch, slice_from(text, path_text.size + 1), &path));
        for (uint16_t i = 0; i < path.name_count && node; i++)
            node = find_item(node, path.names[i]);
        if (path.has_attribute && node) node = node->attributes;
        for (uint16_t i = 0; i < path.attribute_count && node; i++) {
            node = find_item(node, path.attribute[i]);
        }
    }
    *ret_node = node;
    return NULL;
}

// What is at a path, if it is of the type that is wanted; otherwise an error, or null for
// try_get_*.
static struct value get(
    struct function_context *context,
    const struct value *const *arguments,
    enum value_type wanted,
    bool is_strict)
{
    const struct node *node;
    struct slice path = value_slice(arguments[1]);
    TRY_FUNCTION(context, find(context, arguments[0], path, &node));
    if (node && wanted == VALUE_ANY) return make_any(context, node);
    struct value value;
    if (node && function_node_value(node, &value) && value.type == wanted) return value;
    if (!is_strict) return value_null(0);
    return function_fail(
        context,
        error_new(
            ERROR_GENERIC,
            "There is no %s at \"%.*s\"%s%s",
            value_type_name(wanted),
            SLICE(path),
            node ? ", but a value of type " : "",
            node ? node_type_name(node->type) : ""));
}

#define GETTERS(name, type)                          \
    FUNCTION(get_##name)                             \
    {                                                \
        assert(count == 2);                          \
        return get(context, arguments, type, true);  \
    }                                                \
    FUNCTION(try_get_##name)                         \
    {                                                \
        assert(count == 2);                          \
        return get(context, arguments, type, false); \
    }

GETTERS(int64, VALUE_INT64)
GETTERS(uint64, VALUE_UINT64)
GETTERS(double, VALUE_DOUBLE)
GETTERS(boolean, VALUE_BOOLEAN)
GETTERS(string, VALUE_STRING)
GETTERS(any, VALUE_ANY)

static struct error *parse_list(
    struct function_context *context, const struct value *any, struct node **ret_list)
{
    TRY(parse(context, any, ret_list));
    if ((*ret_list)->type == NODE_LIST) return NULL;
    return error_new(
        ERROR_GENERIC,
        "Expected a list, got a value of type %s",
        node_type_name((*ret_list)->type));
}

// A number of another type is another value.
FUNCTION(list_contains)
{
    assert(count == 2);
    struct node *list;
    TRY_FUNCTION(context, parse_list(context, arguments[0], &list));
    for (uint32_t i = 0; i < list->count; i++) {
        struct value item;
        if (!function_node_value(list->entries[i].value, &item)) continue;
        if (value_compare(&item, arguments[1]) == 0) return value_boolean(0, true);
    }
    return value_boolean(0, false);
}

static int order_values(const void *a, const void *b)
{
    return value_compare(a, b);
}

static struct error *read_items(
    struct function_context *context,
    const struct value *any,
    struct value **ret_items,
    uint32_t *ret_count)
{
    struct node *list;
    TRY(parse_list(context, any, &list));
    struct value *items = ARENA_NEW(context->scratch, struct value, MAX(list->count, 1u));
    for (uint32_t i = 0; i < list->count; i++) {
        const struct node *item = list->entries[i].value;
        if (function_node_value(item, &items[i])) continue;
        return error_new(
            ERROR_GENERIC,
            "list_has_intersection compares scalars, not a value of type %s",
            node_type_name(item->type));
    }
    *ret_items = items;
    *ret_count = list->count;
    return NULL;
}

FUNCTION(list_has_intersection)
{
    assert(count == 2);
    struct value *a;
    struct value *b;
    uint32_t a_count;
    uint32_t b_count;
    TRY_FUNCTION(context, read_items(context, arguments[0], &a, &a_count));
    TRY_FUNCTION(context, read_items(context, arguments[1], &b, &b_count));
    qsort(a, a_count, sizeof *a, order_values);
    for (uint32_t i = 0; i < b_count; i++) {
        if (bsearch(&b[i], a, a_count, sizeof *a, order_values)) return value_boolean(0, true);
    }
    return value_boolean(0, false);
}

FUNCTION(yson_length)
{
    assert(count == 1);
    struct node *node;
    TRY_FUNCTION(context, parse(context, arguments[0], &node));
    if (node->type == NODE_LIST || node->type == NODE_MAP) return value_int64(0, node->count);
    return function_fail(
        context,
        error_new(
            ERROR_GENERIC,
            "yson_length takes a list or a map, not a value of type %s",
            node_type_name(node->type)));
}

FUNCTION(any_to_yson_string)
{
    assert(count == 1);
    struct node *node;
    TRY_FUNCTION(context, parse(context, arguments[0], &node));
    CLEANUP(buffer_releasep) struct buffer text = {.size_max = FUNCTION_STRING_SIZE_MAX};
    yson_print(node, YSON_TEXT, &text);
    return function_string(context, &text);
}

// -------------------------------------------------------------------------------------------------
// Making

FUNCTION(yson_string_to_any)
{
    assert(count == 1);
    struct node *node;
    TRY_FUNCTION(context, parse(context, arguments[0], &node));
    return make_any(context, node);
}

static struct error *to_node(
    struct function_context *context, const struct value *value, struct node **ret_node)
{
    struct arena *arena = context->scratch;
    switch ((enum value_type)value->type) {
    case VALUE_NULL: *ret_node = node_entity(arena); break;
    case VALUE_INT64: *ret_node = node_int64(arena, value->int64); break;
    case VALUE_UINT64: *ret_node = node_uint64(arena, value->uint64); break;
    case VALUE_DOUBLE: *ret_node = node_double(arena, value->real); break;
    case VALUE_BOOLEAN: *ret_node = node_boolean(arena, value->boolean); break;
    case VALUE_STRING: *ret_node = node_string(arena, value_slice(value)); break;
    case VALUE_ANY: return parse(context, value, ret_node);
    }
    return NULL;
}

FUNCTION(to_any)
{
    assert(count == 1);
    if (arguments[0]->type == VALUE_ANY) return *arguments[0];
    struct node *node = NULL;
    TRY_FUNCTION(context, to_node(context, arguments[0], &node));
    return make_any(context, node);
}

FUNCTION(make_entity)
{
    (void)arguments;
    assert(count == 0);
    return make_any(context, node_entity(context->scratch));
}

FUNCTION(make_list)
{
    struct node *list = node_list(context->scratch);
    for (uint32_t i = 0; i < count; i++) {
        struct node *item = NULL;
        TRY_FUNCTION(context, to_node(context, arguments[i], &item));
        node_add(context->scratch, list, item);
    }
    return make_any(context, list);
}

FUNCTION(make_map)
{
    struct node *map = node_map(context->scratch);
    if (count % 2 != 0) {
        return function_fail(
            context, error_new(ERROR_GENERIC, "make_map takes an even number of arguments"));
    }
    for (uint32_t i = 0; i < count; i += 2) {
        if (arguments[i]->type != VALUE_STRING) {
            return function_fail(
                context,
                error_new(
                    ERROR_GENERIC,
                    "A key of make_map must be a string, not %s",
                    value_type_name(arguments[i]->type)));
        }
        struct node *item = NULL;
        TRY_FUNCTION(context, to_node(context, arguments[i + 1], &item));
        node_set(context->scratch, map, value_slice(arguments[i]), item);
    }
    return make_any(context, map);
}
