// Values inside nodes: what a path leads to behind a document, and what a node may hold.
#include "cluster/commands/commands.h"

#include "model/yson.h"

static struct error *parse_list_index(
    const struct node *list, struct slice name, uint32_t *ret_index)
{
    int64_t index = 0;
    bool is_negative = name.size > 1 && name.data[0] == '-';
    bool is_number = name.size > 0 && name.size < 10;
    for (size_t i = is_negative; is_number && i < name.size; i++) {
        if (name.data[i] < '0' || name.data[i] > '9') is_number = false;
        index = index * 10 + (name.data[i] - '0');
    }
    if (is_negative) index = (int64_t)list->count - index;
    if (!is_number || index < 0 || index >= (int64_t)list->count) {
        return error_new(ERROR_RESOLVE_ERROR, "List has no item \"%.*s\"", SLICE(name));
    }
    *ret_index = (uint32_t)index;
    return NULL;
}

static struct error *no_key(struct slice name)
{
    return error_new(ERROR_RESOLVE_ERROR, "Value has no key \"%.*s\"", SLICE(name));
}

struct error *value_descend(
    struct node *value, const struct slice *names, uint16_t name_count, struct node **ret_value)
{
    for (uint16_t i = 0; i < name_count; i++) {
        struct node *next = NULL;
        if (value->type == NODE_LIST) {
            uint32_t index = 0;
            TRY(parse_list_index(value, names[i], &index));
            next = value->entries[index].value;
        } else {
            next = node_find(value, names[i]);
        }
        if (!next) return no_key(names[i]);
        value = next;
    }
    *ret_value = value;
    return NULL;
}

struct error *value_put(
    struct arena *arena,
    struct node *value,
    const struct slice *names,
    uint16_t name_count,
    struct node *item)
{
    struct slice last = names[name_count - 1];
    TRY(value_descend(value, names, (uint16_t)(name_count - 1), &value));
    if (value->type == NODE_LIST) {
        if (slice_equal_text(last, "end")) {
            node_add(arena, value, item);
            return NULL;
        }
        uint32_t index = 0;
        TRY(parse_list_index(value, last, &index));
        value->entries[index].value = item;
        return NULL;
    }
    if (value->type != NODE_MAP) return no_key(last);
    node_set(arena, value, last, item);
    return NULL;
}

struct error *value_drop(struct node *value, const struct slice *names, uint16_t name_count)
{
    struct slice last = names[name_count - 1];
    TRY(value_descend(value, names, (uint16_t)(name_count - 1), &value));
    if (value->type == NODE_LIST) {
        uint32_t index = 0;
        TRY(parse_list_index(value, last, &index));
        for (uint32_t i = index; i + 1 < value->count; i++)
            value->entries[i] = value->entries[i + 1];
        value->count--;
        return NULL;
    }
    return node_remove(value, last) ? NULL : no_key(last);
}

struct error *value_check_size(const struct node *value, const char *what)
{
    CLEANUP(buffer_releasep) struct buffer text = {0};
    buffer_init(&text, OBJECT_VALUE_SIZE_MAX);
    yson_print(value, YSON_BINARY, &text);
    return buffer_check(&text, what);
}

struct error *object_value(
    struct arena *arena, const struct object *object, struct node **ret_value)
{
    if (object->value.size > 0) return yson_parse(arena, buffer_slice(&object->value), ret_value);
    *ret_value = node_entity(arena);
    return NULL;
}

struct error *object_set_value(struct cell *cell, struct object *object, const struct node *value)
{
    TRY(value_check_size(value, "Value of a node"));
    buffer_clear(&object->value);
    yson_print(value, YSON_BINARY, &object->value);
    object_save(&cell->batch, object);
    return NULL;
}

bool object_has_inner_value(const struct object *object)
{
    return object->type == OBJECT_DOCUMENT || object->type == OBJECT_LIST_NODE;
}
