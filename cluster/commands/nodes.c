// create, get, set, exists, list, remove: the tree of nodes, and attributes by path.
#include "cluster/commands/commands.h"

#include "cluster/core/subjects.h"
#include "coordinator/core/sessions.h"
#include "model/yson.h"

#define NO_NAME slice_from("", 0)

enum { GET_NODE_COUNT_MAX = 100000 };

// -------------------------------------------------------------------------------------------------
// create

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

// Gives a new object its owner and its ACL, which is taken over in parts.
static void give_access(
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
    give_access(machine, request->user, access, *ret_object);
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

// -------------------------------------------------------------------------------------------------
// get, list, exists

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

// Resolves a path that may lead into a document: `*ret_used` of its names lead to the object, the
// rest to a place in its value.
static struct error *resolve(
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

static struct error *unresolved(const struct ypath *path, struct error *error)
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
    return error ? unresolved(path, error) : NULL;
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
    TRY(resolve(machine, &path, &object, &used));
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
    TRY(resolve(machine, &path, &object, &used));
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

// -------------------------------------------------------------------------------------------------
// set

static enum object_type type_of_value(const struct node *value)
{
    switch (value->type) {
    case NODE_MAP: return OBJECT_MAP_NODE;
    case NODE_LIST: return OBJECT_LIST_NODE;
    case NODE_STRING: return OBJECT_STRING_NODE;
    case NODE_INT64: return OBJECT_INT64_NODE;
    case NODE_UINT64: return OBJECT_UINT64_NODE;
    case NODE_DOUBLE: return OBJECT_DOUBLE_NODE;
    case NODE_BOOLEAN: return OBJECT_BOOLEAN_NODE;
    case NODE_ENTITY: return OBJECT_DOCUMENT;
    }
    return OBJECT_DOCUMENT;
}

// Checks what is to be nodes, before any is made: their names and sizes.
// NOLINTNEXTLINE(misc-no-recursion): YSON_DEPTH_MAX.
static struct error *check_value(const struct node *value)
{
    if (value->type != NODE_MAP) return value_check_size(value, "Value of a node");
    for (uint32_t i = 0; i < value->count; i++) {
        size_t size = value->entries[i].key.size;
        if (size == 0 || size > OBJECT_NAME_SIZE_MAX) {
            return error_new(
                ERROR_GENERIC, "Names of nodes must have 1 to %d bytes", OBJECT_NAME_SIZE_MAX);
        }
        TRY(check_value(value->entries[i].value));
    }
    return NULL;
}

// Makes a node, and for a map all below it.
// NOLINTNEXTLINE(misc-no-recursion): YSON_DEPTH_MAX.
static struct error *make_value(
    struct machine *machine, struct object *parent, struct slice name, const struct node *value)
{
    struct cell *cell = &machine->cell;
    struct object *object =
        object_new(&cell->tree, &cell->batch, type_of_value(value), parent, name, cell->wall_us);
    if (value->type != NODE_MAP) return object_set_value(cell, object, value);
    for (uint32_t i = 0; i < value->count; i++) {
        TRY(make_value(machine, object, value->entries[i].key, value->entries[i].value));
    }
    return NULL;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree.
static struct error *check_removable(const struct machine *machine, const struct object *object)
{
    if (tree_is_fixed(&machine->cell.tree, object)) {
        return error_new(ERROR_GENERIC, "This node belongs to the cluster and cannot be removed");
    }
    if (subject_is_builtin(object)) {
        return error_new(
            ERROR_GENERIC,
            "Built-in subject \"%.*s\" cannot be removed",
            SLICE(buffer_slice(&object->name)));
    }
    // A replica, too, may go only when it has nothing undecided that nobody would decide (M5).
    const struct table *table = object->replica ? object->replica->table : object->table;
    for (uint32_t i = 0; table && i < table->tablet_count; i++) {
        if (table->tablets[i].undecided_count == 0) continue;
        return error_new(
            ERROR_GENERIC,
            "Cannot remove %s: tablet %s has undecided transactions, try again",
            object_type_name(object->type),
            GUID_TEXT(table->tablets[i].id));
    }
    for (struct object *child = object->children; child; child = child->hh_name.next) {
        TRY(check_removable(machine, child));
    }
    return NULL;
}

static struct error *set_existing(
    struct machine *machine,
    struct slice user,
    struct object *object,
    const struct node *value,
    bool is_forced)
{
    struct tree *tree = &machine->cell.tree;
    TRY(access_check(tree, user, PERMISSION_WRITE, object));
    if (object->table || object->replica || object->membership) {
        return error_new(ERROR_GENERIC, "Cannot set a %s", object_type_name(object->type));
    }
    TRY(node_claim(machine, object, NODE_LOCK_EXCLUSIVE, NO_NAME));
    if (object->type == OBJECT_DOCUMENT) return object_set_value(&machine->cell, object, value);
    bool is_map = object->type == OBJECT_MAP_NODE;
    if (is_map != (value->type == NODE_MAP)) {
        return error_new(
            ERROR_GENERIC,
            "Cannot set a node of type \"%s\" to a value of type \"%s\": remove it first",
            object_type_name(object->type),
            node_type_name(value->type));
    }
    if (!is_map) {
        object->type = type_of_value(value);
        return object_set_value(&machine->cell, object, value);
    }
    if (object->children && !is_forced) {
        return error_new(
            ERROR_GENERIC, "Cannot replace a map node that has children without \"force\"");
    }
    for (struct object *child = object->children; child; child = child->hh_name.next) {
        TRY(check_removable(machine, child)); // All of them or none.
        TRY(access_check_removal(tree, user, child));
    }
    TRY(node_claim_all(machine, object));
    while (object->children) TRY(object_drop(machine, user, object->children, true));
    for (uint32_t i = 0; i < value->count; i++) {
        TRY(make_value(machine, object, value->entries[i].key, value->entries[i].value));
    }
    return NULL;
}

// Changes one place in the value of a document: `value` is put there, or with NULL what is there is
// taken out.
static struct error *set_inner(
    struct machine *machine,
    struct arena *arena,
    struct object *object,
    const struct ypath *path,
    uint16_t used,
    struct node *value)
{
    struct node *whole = NULL;
    TRY(node_claim(machine, object, NODE_LOCK_EXCLUSIVE, NO_NAME));
    TRY(object_value(arena, object, &whole));
    const struct slice *names = path->names + used;
    uint16_t count = (uint16_t)(path->name_count - used);
    struct error *error =
        value ? value_put(arena, whole, names, count, value) : value_drop(whole, names, count);
    if (error) return unresolved(path, error);
    return object_set_value(&machine->cell, object, whole);
}

static struct error *check_attribute_path(
    struct machine *machine,
    struct slice user,
    const struct object *object,
    const struct ypath *path)
{
    struct slice name = path->attribute_count > 0 ? path->attribute[0] : NO_NAME;
    return attribute_check_access(machine, user, object, name);
}

static struct error *do_set(struct machine *machine, struct request *request)
{
    struct arena *arena = &request->arena;
    struct ypath path;
    TRY(command_path(request, &path));
    struct node *value = NULL;
    TRY(format_read_node(arena, &request->input_format, request->input, &value));
    if (path.has_attribute) {
        struct object *object = NULL;
        TRY(tree_resolve(&machine->cell.tree, &path, &object));
        TRY(check_attribute_path(machine, request->user, object, &path));
        return attribute_set(machine, arena, object, &path, value);
    }
    bool is_recursive = false;
    bool is_forced = false;
    TRY(node_get_boolean(request->parameters, "recursive", &is_recursive));
    TRY(node_get_boolean(request->parameters, "force", &is_forced));
    uint16_t used = 0;
    struct object *object = tree_walk(&machine->cell.tree, &path, &used);
    if (object && used < path.name_count && object_has_inner_value(object)) {
        TRY(access_check(&machine->cell.tree, request->user, PERMISSION_WRITE, object));
        return set_inner(machine, arena, object, &path, used, value);
    }
    bool is_document = object && used == path.name_count && object->type == OBJECT_DOCUMENT;
    if (!is_document) TRY(check_value(value));
    struct object *parent = NULL;
    TRY(node_find_parent(machine, request->user, &path, is_recursive, &parent, &object));
    if (object) return set_existing(machine, request->user, object, value, is_forced);
    struct slice name = path.names[path.name_count - 1];
    TRY(make_value(machine, parent, name, value));
    give_access(machine, request->user, NULL, object_child(parent, name));
    return NULL;
}

void command_set(struct machine *machine, struct request *request)
{
    struct error *error = do_set(machine, request);
    if (!error) machine->coordinator.is_dirty = true; // Addresses of clusters may have changed.
    command_answer(machine, request, error, NULL);
}

// -------------------------------------------------------------------------------------------------
// remove

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree.
static void leave_parts(struct machine *machine, struct object *object)
{
    if (object->table) {
        if (object->table->is_replicated) {
            coordinator_table_removing(&machine->coordinator, object->table);
        }
        receiver_table_removing(&machine->sources, object->table);
    }
    if (object->replica) coordinator_replica_removing(&machine->coordinator, object->replica);
    for (struct object *child = object->children; child; child = child->hh_name.next) {
        leave_parts(machine, child);
    }
}

struct error *object_drop(
    struct machine *machine, struct slice user, struct object *object, bool is_recursive)
{
    struct cell *cell = &machine->cell;
    TRY(access_check_removal(&cell->tree, user, object));
    if (object->children && !is_recursive) {
        return error_new(
            ERROR_GENERIC, "Cannot remove a node that has children without \"recursive\"");
    }
    TRY(check_removable(machine, object));
    TRY(node_claim_all(machine, object));
    TRY(node_claim_child(machine, object->parent, buffer_slice(&object->name)));
    struct table *table = object->replica ? object->replica->table : NULL;
    if (table) TRY(node_claim(machine, table->object, NODE_LOCK_EXCLUSIVE, NO_NAME));
    leave_parts(machine, object);
    object_remove(&cell->tree, &cell->batch, object);
    if (table) {
        table->mode_revision++;
        object_save(&cell->batch, table->object);
        coordinator_table_changed(&machine->coordinator, table);
        coordinator_log_freed(&machine->coordinator, table);
    }
    return NULL;
}

static struct error *do_remove(struct machine *machine, struct request *request)
{
    struct ypath path;
    TRY(command_path(request, &path));
    if (!path.has_attribute) path.keeps_link = true;
    bool is_recursive = true;
    bool is_forced = false;
    TRY(node_get_boolean(request->parameters, "recursive", &is_recursive));
    TRY(node_get_boolean(request->parameters, "force", &is_forced));
    struct object *object = NULL;
    uint16_t used = 0;
    struct error *error = resolve(machine, &path, &object, &used);
    if (!error && used < path.name_count) {
        TRY(access_check(&machine->cell.tree, request->user, PERMISSION_WRITE, object));
        error = set_inner(machine, &request->arena, object, &path, used, NULL);
        if (!error) return NULL;
    }
    if (error && is_forced && error_find(error, ERROR_RESOLVE_ERROR)) {
        error_free(error);
        return NULL;
    }
    TRY(error);
    if (path.has_attribute) {
        TRY(check_attribute_path(machine, request->user, object, &path));
        return attribute_remove(machine, &request->arena, object, &path);
    }
    return object_drop(machine, request->user, object, is_recursive);
}

void command_remove(struct machine *machine, struct request *request)
{
    command_answer(machine, request, do_remove(machine, request), NULL);
}

// -------------------------------------------------------------------------------------------------
// multiset_attributes

static struct error *multiset(struct machine *machine, struct request *request)
{
    struct arena *arena = &request->arena;
    struct ypath path;
    struct node *values = NULL;
    struct object *object = NULL;
    TRY(command_path(request, &path));
    if (!path.has_attribute) {
        return error_new(ERROR_GENERIC, "Path %.*s must end in \"/@\"", SLICE(path.text));
    }
    TRY(format_read_node(arena, &request->input_format, request->input, &values));
    if (values->type != NODE_MAP) {
        return error_new(ERROR_GENERIC, "Attributes to be set must be given as a map");
    }
    TRY(tree_resolve(&machine->cell.tree, &path, &object));
    for (uint32_t i = 0; i < values->count; i++) {
        struct slice name = path.attribute_count > 0 ? path.attribute[0] : values->entries[i].key;
        TRY(attribute_check_access(machine, request->user, object, name));
        if (rights_is_attribute(name)) {
            return error_new(
                ERROR_GENERIC, "Attribute \"%.*s\" is set by the command \"set\"", SLICE(name));
        }
    }
    struct ypath one = path;
    one.attribute = ARENA_NEW(arena, struct slice, path.attribute_count + 1);
    one.attribute_count = (uint16_t)(path.attribute_count + 1);
    for (uint16_t i = 0; i < path.attribute_count; i++) one.attribute[i] = path.attribute[i];
    // All or none: what the first ones changed is taken back.
    CLEANUP(buffer_releasep) struct buffer attributes = {0};
    buffer_append_slice(&attributes, buffer_slice(&object->attributes));
    bool is_tracked = object->replica && object->replica->is_tracked;
    struct error *error = NULL;
    for (uint32_t i = 0; !error && i < values->count; i++) {
        one.attribute[path.attribute_count] = values->entries[i].key;
        error = attribute_set(machine, arena, object, &one, values->entries[i].value);
    }
    if (!error) return NULL;
    buffer_clear(&object->attributes);
    buffer_append_slice(&object->attributes, buffer_slice(&attributes));
    if (object->replica) object->replica->is_tracked = is_tracked;
    object_save(&machine->cell.batch, object);
    return error;
}

void command_multiset_attributes(struct machine *machine, struct request *request)
{
    command_answer(machine, request, multiset(machine, request), NULL);
}
