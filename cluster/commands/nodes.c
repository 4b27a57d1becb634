// set, remove, multiset_attributes: changes of nodes and of attributes by path.
#include "cluster/commands/commands.h"

#include "cluster/core/subjects.h"

#define NO_NAME slice_from("", 0)

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
    if (error) return node_unresolved(path, error);
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
    node_give_access(machine, request->user, NULL, object_child(parent, name));
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
    struct error *error = node_resolve(machine, &path, &object, &used);
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
