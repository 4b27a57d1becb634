// get, list, exists: the tree of nodes, values of documents, and attributes by path.
#include "cluster/commands/commands.h"

enum { GET_NODE_COUNT_MAX = 100000 };

struct get_options {
    struct machine *machine;
    struct arena *arena;
    struct slice user;
    const struct node *attributes; // Names to show beside values; NULL for none.
    uint32_t node_count;
};

static bool may_read(const struct get_options *options, const struct object *object)
{
    struct tree *tree = &options->machine->cell.tree;
    struct error *error = access_check(tree, options->user, PERMISSION_READ, object);
    error_free(error);
    return error == NULL;
}

static struct error *attach_attributes(
    struct get_options *options, struct object *object, struct node *node)
{
    const struct node *names = options->attributes;
    if (!may_read(options, object)) return NULL;
    for (uint32_t i = 0; names && i < names->count; i++) {
        const struct node *name = names->entries[i].value;
        if (name->type != NODE_STRING) continue;
        struct slice part = name->string;
        struct ypath path = {.has_attribute = true, .attribute = &part, .attribute_count = 1};
        struct node *value = NULL;
        struct error *error =
            attribute_get(options->machine, options->arena, object, &path, &value);
        error_free(error); // What an object does not have is not shown.
        if (!value) continue;
        const char *key = arena_print(options->arena, "%.*s", SLICE(part));
        node_set_attribute(options->arena, node, key, value);
    }
    return NULL;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree.
static struct error *object_to_node(
    struct get_options *options, struct object *object, struct node **ret_node)
{
    struct node *node = NULL;
    if (++options->node_count > GET_NODE_COUNT_MAX) {
        struct error *error = error_new(ERROR_GENERIC, "Too many nodes: get a smaller part");
        return error_set_u64(error, "node_count_max", GET_NODE_COUNT_MAX);
    }
    // Of what may not be read it is seen that it is there.
    if (object->type == OBJECT_LINK || !may_read(options, object)) {
        node = node_entity(options->arena);
    } else if (object->type == OBJECT_MAP_NODE) {
        node = node_map(options->arena);
        for (struct object *child = object->children; child; child = child->hh_name.next) {
            struct node *value = NULL;
            TRY(object_to_node(options, child, &value));
            node_set(options->arena, node, buffer_slice(&child->name), value);
        }
    } else {
        TRY(object_value(options->arena, object, &node));
    }
    TRY(attach_attributes(options, object, node));
    *ret_node = node;
    return NULL;
}

struct error *node_resolve(
    const struct machine *machine,
    const struct ypath *path,
    struct object **ret_object,
    uint16_t *ret_used)
{
    struct object *object = tree_walk(&machine->cell.tree, path, ret_used);
    if (object && *ret_used < path->name_count && object_has_inner_value(object)) {
        if (path->has_attribute) {
            return error_new(
                ERROR_RESOLVE_ERROR,
                "Error resolving path %.*s: what is inside a document has no attributes",
                SLICE(path->text));
        }
        *ret_object = object;
        return NULL;
    }
    *ret_used = path->name_count;
    return tree_resolve(&machine->cell.tree, path, ret_object);
}

struct error *node_unresolved(const struct ypath *path, struct error *error)
{
    return error_wrap(error, ERROR_RESOLVE_ERROR, "Error resolving path %.*s", SLICE(path->text));
}

static struct error *get_inner(
    struct arena *arena,
    const struct object *object,
    const struct ypath *path,
    uint16_t used,
    struct node **ret_node)
{
    TRY(object_value(arena, object, ret_node));
    uint16_t count = (uint16_t)(path->name_count - used);
    struct error *error = value_descend(*ret_node, path->names + used, count, ret_node);
    return error ? node_unresolved(path, error) : NULL;
}

// `is_free`: whether something is there may be asked by anybody.
static struct error *do_get(
    struct machine *machine, struct request *request, bool is_free, struct node **ret_node)
{
    struct tree *tree = &machine->cell.tree;
    struct slice user = is_free ? (struct slice){0} : request->user;
    struct arena *arena = &request->arena;
    struct ypath path;
    TRY(command_path(request, &path));
    uint16_t used = 0;
    struct tablet *tablet = tablet_of_path(machine, &path, &used);
    if (tablet) {
        TRY(access_check(tree, user, PERMISSION_READ, tablet->table->object));
        return tablet_get(machine, arena, tablet, &path, used, ret_node);
    }
    struct object *object = NULL;
    TRY(node_resolve(machine, &path, &object, &used));
    TRY(access_check(tree, user, PERMISSION_READ, object));
    if (used < path.name_count) return get_inner(arena, object, &path, used, ret_node);
    if (path.has_attribute && path.attribute_count == 0) {
        return attribute_get_all(machine, arena, object, ret_node);
    }
    if (path.has_attribute) return attribute_get(machine, arena, object, &path, ret_node);
    struct get_options options = {
        .machine = machine,
        .arena = arena,
        .user = user,
        .attributes = node_find_text(request->parameters, "attributes"),
    };
    if (options.attributes && options.attributes->type != NODE_LIST) options.attributes = NULL;
    return object_to_node(&options, object, ret_node);
}

void command_get(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = do_get(machine, request, false, &node);
    command_answer(machine, request, error, node);
}

static struct error *do_list(
    struct machine *machine, struct request *request, struct node **ret_node)
{
    struct arena *arena = &request->arena;
    struct ypath path;
    TRY(command_path(request, &path));
    struct object *object = NULL;
    uint16_t used = 0;
    TRY(node_resolve(machine, &path, &object, &used));
    TRY(access_check(&machine->cell.tree, request->user, PERMISSION_READ, object));
    struct node *list = node_list(arena);
    *ret_node = list;
    if (path.has_attribute || object->type == OBJECT_DOCUMENT) {
        struct node *value = NULL;
        if (!path.has_attribute) {
            TRY(get_inner(arena, object, &path, used, &value));
        } else if (path.attribute_count == 0) {
            TRY(attribute_get_all(machine, arena, object, &value));
        } else {
            TRY(attribute_get(machine, arena, object, &path, &value));
        }
        if (value->type != NODE_MAP) {
            return error_new(ERROR_GENERIC, "\"%.*s\" is not a map", SLICE(path.text));
        }
        for (uint32_t i = 0; i < value->count; i++) {
            node_add(arena, list, node_string(arena, value->entries[i].key));
        }
        return NULL;
    }
    if (object->type != OBJECT_MAP_NODE) {
        return error_new(
            ERROR_GENERIC,
            "Cannot list %.*s: it is a %s",
            SLICE(path.text),
            object_type_name(object->type));
    }
    struct get_options options = {
        .machine = machine,
        .arena = arena,
        .user = request->user,
        .attributes = node_find_text(request->parameters, "attributes"),
    };
    if (options.attributes && options.attributes->type != NODE_LIST) options.attributes = NULL;
    uint64_t limit_max = UINT64_MAX;
    TRY(node_get_uint64(request->parameters, "max_size", &limit_max));
    for (struct object *child = object->children; child; child = child->hh_name.next) {
        if (list->count >= limit_max) break;
        struct node *name = node_string(arena, buffer_slice(&child->name));
        TRY(attach_attributes(&options, child, name));
        node_add(arena, list, name);
    }
    return NULL;
}

void command_list(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = do_list(machine, request, &node);
    command_answer(machine, request, error, node);
}

void command_exists(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = do_get(machine, request, true, &node);
    bool exists = !error;
    if (error && error_find(error, ERROR_RESOLVE_ERROR)) {
        error_free(error);
        error = NULL;
    }
    command_answer(machine, request, error, node_boolean(&request->arena, exists));
}
