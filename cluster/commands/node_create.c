// create: nodes of every type, by path; and the folders that they are made in.
#include "cluster/commands/commands.h"

static struct error *already_exists(const struct ypath *path)
{
    return error_new(ERROR_ALREADY_EXISTS, "Node %.*s already exists", SLICE(path->text));
}

struct error *node_check_folder(const struct machine *machine, const struct object *folder)
{
    const struct tree *tree = &machine->cell.tree;
    if (folder != tree->users && folder != tree->groups) return NULL;
    return error_new(
        ERROR_GENERIC, "Users and groups are created without a path, by attribute \"name\"");
}

struct error *node_find_parent(
    struct machine *machine,
    struct slice user,
    const struct ypath *path,
    bool is_recursive,
    struct object **ret_parent,
    struct object **ret_existing)
{
    struct cell *cell = &machine->cell;
    uint16_t name_count = 0;
    struct object *object = tree_walk(&cell->tree, path, &name_count);
    *ret_existing = NULL;
    if (object && name_count == path->name_count) {
        *ret_existing = object;
        return NULL;
    }
    bool is_far = object && name_count + 1 < path->name_count;
    if (!object || (is_far && !is_recursive) || object->type != OBJECT_MAP_NODE) {
        struct object *unused = NULL;
        return tree_resolve(&cell->tree, path, &unused);
    }
    for (uint16_t i = name_count; i < path->name_count; i++) {
        if (path->names[i].size == 0 || path->names[i].size > OBJECT_NAME_SIZE_MAX) {
            return error_new(
                ERROR_GENERIC,
                "Names of nodes in %.*s must have 1 to %d bytes",
                SLICE(path->text),
                OBJECT_NAME_SIZE_MAX);
        }
    }
    if (HASH_COUNT(cell->tree.objects) >= OBJECT_COUNT_MAX) {
        return error_new(ERROR_GENERIC, "The cluster has too many objects");
    }
    TRY(node_check_folder(machine, object));
    TRY(access_check(&cell->tree, user, PERMISSIONS_CHANGE_CHILDREN, object));
    TRY(node_claim_child(machine, object, path->names[name_count]));
    for (uint16_t i = name_count; i + 1 < path->name_count; i++) {
        object = object_new(
            &cell->tree, &cell->batch, OBJECT_MAP_NODE, object, path->names[i], cell->wall_us);
    }
    *ret_parent = object;
    return NULL;
}

struct create_options {
    enum object_type type;
    bool is_recursive;
    bool ignore_existing;
    bool force;
    struct node *attributes;
    const struct node *value; // Of nodes that have one; NULL for others.
};

// The value that a new node of this type has if none is given; NULL if it has none.
static struct node *first_value(struct arena *arena, enum object_type type)
{
    if (type == OBJECT_DOCUMENT) return node_entity(arena);
    if (type == OBJECT_STRING_NODE) return node_text(arena, "");
    if (type == OBJECT_INT64_NODE) return node_int64(arena, 0);
    if (type == OBJECT_UINT64_NODE) return node_uint64(arena, 0);
    if (type == OBJECT_DOUBLE_NODE) return node_double(arena, 0);
    if (type == OBJECT_BOOLEAN_NODE) return node_boolean(arena, false);
    if (type == OBJECT_LIST_NODE) return node_list(arena);
    return NULL;
}

// The attribute `value` is what the node is to hold.
static struct error *read_value(struct arena *arena, struct create_options *options)
{
    const struct node *first = first_value(arena, options->type);
    options->value = first;
    const struct node *given = node_find_text(options->attributes, "value");
    if (!first || !given) return NULL;
    options->value = given;
    if (options->type == OBJECT_DOCUMENT || given->type == first->type) return NULL;
    return error_new(
        ERROR_GENERIC,
        "A node of type \"%s\" cannot have a value of type \"%s\"",
        object_type_name(options->type),
        node_type_name(given->type));
}

static struct error *read_create(struct request *request, struct create_options *options)
{
    struct slice type = {0};
    TRY(node_get_string(request->parameters, "type", &type));
    TRY(node_get_boolean(request->parameters, "recursive", &options->is_recursive));
    TRY(node_get_boolean(request->parameters, "ignore_existing", &options->ignore_existing));
    TRY(node_get_boolean(request->parameters, "force", &options->force));
    if (type.size == 0) return error_new(ERROR_GENERIC, "Parameter \"type\" is missing");
    if (!object_type_parse(type, &options->type)) {
        return error_new(ERROR_GENERIC, "Unknown object type \"%.*s\"", SLICE(type));
    }
    struct node *attributes = node_find_text(request->parameters, "attributes");
    if (!attributes || attributes->type == NODE_ENTITY) attributes = node_map(&request->arena);
    if (attributes->type != NODE_MAP) {
        return error_new(ERROR_GENERIC, "Parameter \"attributes\" must be a map");
    }
    options->attributes = attributes;
    return read_value(&request->arena, options);
}

static struct error *create_node(
    struct machine *machine,
    const struct create_options *options,
    struct object *parent,
    struct slice name,
    struct object **ret_object)
{
    struct cell *cell = &machine->cell;
    switch (options->type) {
    case OBJECT_TABLE:
    case OBJECT_REPLICATED_TABLE:
        return create_table(
            machine,
            parent,
            name,
            options->type == OBJECT_REPLICATED_TABLE,
            options->attributes,
            ret_object);
    case OBJECT_MAP_NODE:
    case OBJECT_DOCUMENT:
    case OBJECT_STRING_NODE:
    case OBJECT_INT64_NODE:
    case OBJECT_UINT64_NODE:
    case OBJECT_DOUBLE_NODE:
    case OBJECT_BOOLEAN_NODE:
    case OBJECT_LIST_NODE: break;
    case OBJECT_LINK: return error_new(ERROR_GENERIC, "A link is made by the command \"link\"");
    case OBJECT_TABLET_CELL:
    case OBJECT_TABLET:
    case OBJECT_TABLE_REPLICA:
    case OBJECT_TABLE_COLLOCATION:
    case OBJECT_ATOMIC_TABLET_TRANSACTION:
    case OBJECT_TRANSACTION:
    case OBJECT_LOCK:
    case OBJECT_USER:
    case OBJECT_GROUP:
    case OBJECT_CLUSTER:
        return error_new(
            ERROR_GENERIC,
            "An object of type \"%s\" cannot be created at a path",
            object_type_name(options->type));
    }
    struct object *object =
        object_new(&cell->tree, &cell->batch, options->type, parent, name, cell->wall_us);
    *ret_object = object;
    node_remove(options->attributes, SLICE_OF("value"));
    TRY(object_set_attributes(object, options->attributes));
    if (options->value) return object_set_value(cell, object, options->value);
    object_save(&cell->batch, object);
    return NULL;
}

static struct error *check_create(
    const struct machine *machine, const struct create_options *options)
{
    TRY(value_check_size(options->attributes, "Attributes of an object"));
    bool is_replicated = options->type == OBJECT_REPLICATED_TABLE;
    if (options->type != OBJECT_TABLE && !is_replicated) return NULL;
    return create_table_check(machine, is_replicated, options->attributes);
}

// An ACL is set by whoever may administer what is replaced, or where it comes to be.
static struct error *check_new_access(
    struct machine *machine, struct slice user, const struct object *at)
{
    return at ? access_check(&machine->cell.tree, user, PERMISSION_ADMINISTER, at) : NULL;
}

void node_give_access(
    struct machine *machine, struct slice user, const struct access *access, struct object *object)
{
    struct cell *cell = &machine->cell;
    access_own(&cell->tree, &cell->batch, user, object);
    if (!access) return;
    access_free(TAKE(object->access));
    access_copy(access, object);
    if (!access->owner) access_own(&cell->tree, &cell->batch, user, object);
    object_save(&cell->batch, object);
}

static struct error *create_at_path(
    struct machine *machine,
    struct request *request,
    const struct create_options *options,
    struct object **ret_object)
{
    struct ypath path;
    TRY(command_path(request, &path));
    if (path.has_attribute) {
        return error_new(ERROR_GENERIC, "Cannot create an object at an attribute");
    }
    uint16_t name_count = 0;
    struct object *existing = tree_walk(&machine->cell.tree, &path, &name_count);
    if (existing && name_count == path.name_count && options->ignore_existing &&
        existing->type == options->type) {
        *ret_object = existing;
        return NULL;
    }
    CLEANUP(access_freep) struct access *access = NULL;
    TRY(rights_take(machine, options->attributes, &access));
    if (access) TRY(check_new_access(machine, request->user, existing));
    TRY(check_create(machine, options)); // Before anything is made or removed.
    struct object *parent = NULL;
    TRY(node_find_parent(
        machine, request->user, &path, options->is_recursive, &parent, ret_object));
    if (*ret_object && (!options->force || !(*ret_object)->parent)) return already_exists(&path);
    struct slice name = path.name_count > 0 ? path.names[path.name_count - 1] : slice_from("", 0);
    if (*ret_object) {
        parent = (*ret_object)->parent;
        TRY(node_check_folder(machine, parent));
        TRY(object_drop(machine, request->user, *ret_object, true));
    }
    TRY(create_node(machine, options, parent, name, ret_object));
    node_give_access(machine, request->user, access, *ret_object);
    return NULL;
}

void command_create(struct machine *machine, struct request *request)
{
    struct create_options options = {0};
    struct object *object = NULL;
    struct error *error = read_create(request, &options);
    if (!error && options.type == OBJECT_TABLE_REPLICA) {
        error = create_replica(machine, request->user, options.attributes, &object);
    } else if (!error && options.type == OBJECT_TABLE_COLLOCATION) {
        error = create_collocation(
            machine, request->user, &request->arena, options.attributes, &object);
    } else if (!error && (options.type == OBJECT_USER || options.type == OBJECT_GROUP)) {
        error = create_subject(machine, request, options.type, &object);
    } else if (!error) {
        error = create_at_path(machine, request, &options, &object);
    }
    struct node *node = error ? NULL : node_guid(&request->arena, object->id);
    command_answer(machine, request, error, node);
}
