// Attributes that are structures, kept complete: //sys/@config, @replicated_table_options of a
// replicated table, @options of a collocation, and a table's place in one.
//
// What is set or removed in such a structure, as a whole or by path, is read with its checks and
// written back whole, so that what is shown names every option.
#include "cluster/commands/commands.h"

#include "model/yson.h"

enum setting {
    SETTING_NONE,
    SETTING_CONFIG,
    SETTING_OPTIONS,
    SETTING_COLLOCATION_OPTIONS,
    SETTING_COLLOCATION,
};

static enum setting find_setting(
    const struct machine *machine, const struct object *object, struct slice name)
{
    bool is_replicated = object->table && object->table->is_replicated;
    if (object == cell_sys(&machine->cell) && slice_equal_text(name, "config"))
        return SETTING_CONFIG;
    if (is_replicated && slice_equal_text(name, "replicated_table_options")) return SETTING_OPTIONS;
    if (object->collocation && slice_equal_text(name, "options"))
        return SETTING_COLLOCATION_OPTIONS;
    if (object->table && slice_equal_text(name, "replication_collocation_id"))
        return SETTING_COLLOCATION;
    return SETTING_NONE;
}

struct node *setting_get(
    const struct machine *machine,
    struct arena *arena,
    const struct object *object,
    struct slice name)
{
    switch (find_setting(machine, object, name)) {
    case SETTING_NONE: return NULL;
    case SETTING_CONFIG: return cluster_config_node(arena, &machine->cell.config);
    case SETTING_OPTIONS: return tracker_options_node(arena, &object->table->tracker_options);
    case SETTING_COLLOCATION_OPTIONS:
        return collocation_options_node(arena, &object->collocation->options);
    case SETTING_COLLOCATION:
        if (!object->table->collocation) return NULL;
        return node_guid(arena, object->table->collocation->object->id);
    }
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Structures

// The structure with what is at the path replaced, or removed if `value` is NULL.
static struct error *change(
    struct arena *arena, struct node *whole, const struct ypath *path, struct node *value)
{
    struct node *map = whole;
    for (uint16_t i = 1; i + 1 < path->attribute_count; i++) {
        struct node *next = node_find(map, path->attribute[i]);
        if (!next || next->type != NODE_MAP) {
            return error_new(
                ERROR_RESOLVE_ERROR, "Attribute \"%.*s\" is not found", SLICE(path->attribute[i]));
        }
        map = next;
    }
    struct slice last = path->attribute[path->attribute_count - 1];
    if (value) {
        node_set(arena, map, last, value);
    } else if (!node_remove(map, last)) {
        return error_new(ERROR_RESOLVE_ERROR, "Attribute \"%.*s\" is not found", SLICE(last));
    }
    return NULL;
}

static struct error *save(
    struct machine *machine, struct object *object, const struct node *attributes)
{
    TRY(object_set_attributes(object, attributes));
    object_save(&machine->cell.batch, object);
    machine->coordinator.is_dirty = true;
    machine->coordinator.tracker.is_dirty = true;
    coordinator_stir_all(&machine->coordinator); // A ban holds rows back.
    return NULL;
}

static struct error *change_structure(
    struct machine *machine,
    struct arena *arena,
    struct object *object,
    const struct ypath *path,
    struct node *value)
{
    struct node *attributes = NULL;
    TRY(object_attributes(arena, object, &attributes));
    struct node *whole = value;
    if (path->attribute_count > 1) {
        whole = setting_get(machine, arena, object, path->attribute[0]);
        TRY(change(arena, whole, path, value));
    }
    if (whole) {
        node_set(arena, attributes, path->attribute[0], whole);
    } else {
        node_remove(attributes, path->attribute[0]);
    }
    if (object->table) {
        TRY(table_read_tracker_options(object->table, attributes));
    } else if (object->collocation) {
        TRY(collocation_read_options(object->collocation, attributes));
        // It is shown as it is kept: complete.
        if (whole) {
            whole = collocation_options_node(arena, &object->collocation->options);
            node_set(arena, attributes, path->attribute[0], whole);
        }
    } else {
        TRY(cell_read_config(&machine->cell, attributes));
    }
    return save(machine, object, attributes);
}

// -------------------------------------------------------------------------------------------------
// Collocations

static struct error *find_collocation(
    const struct machine *machine, const struct node *value, struct collocation **ret_collocation)
{
    struct guid id = GUID_NULL;
    if (value->type != NODE_STRING) {
        return error_new(
            ERROR_GENERIC, "Attribute \"replication_collocation_id\" must be the id of an object");
    }
    TRY(guid_parse(value->string, &id));
    struct object *object = tree_find(&machine->cell.tree, id);
    if (!object || !object->collocation)
        return error_new(ERROR_RESOLVE_ERROR, "No such table collocation %s", GUID_TEXT(id));
    *ret_collocation = object->collocation;
    return NULL;
}

static struct error *check_member(const struct machine *machine, const struct table *table)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    (void)machine;
    if (!table->is_replicated) {
        return error_new(
            ERROR_GENERIC,
            "Unexpected type of table %.*s: expected \"replicated_table\", actual \"table\"",
            SLICE(object_path(&arena, table->object)));
    }
    if (!table->collocation) return NULL;
    return error_new(
        ERROR_GENERIC,
        "Table %.*s already belongs to replication collocation %s",
        SLICE(object_path(&arena, table->object)),
        GUID_TEXT(table->collocation->object->id));
}

static struct error *check_count(size_t count)
{
    if (count <= COLLOCATION_TABLE_COUNT_MAX) return NULL;
    return error_new(
        ERROR_GENERIC,
        "Too many tables in collocation: %zu > %d",
        count,
        COLLOCATION_TABLE_COUNT_MAX);
}

static struct error *change_collocation(
    struct machine *machine, struct object *object, const struct node *value)
{
    struct cell *cell = &machine->cell;
    struct table *table = object->table;
    struct collocation *collocation = NULL;
    if (!table->is_replicated) {
        return error_new(
            ERROR_GENERIC,
            "Attribute \"replication_collocation_id\" cannot be set for tables of type \"table\"");
    }
    if (value) {
        TRY(find_collocation(machine, value, &collocation));
        if (table->collocation == collocation) return NULL;
        TRY(check_member(machine, table));
        TRY(check_count(arr_count(collocation->tables) + 1));
    } else if (!table->collocation) {
        return error_new(
            ERROR_RESOLVE_ERROR, "Attribute \"replication_collocation_id\" is not found");
    }
    table_set_collocation(&cell->tree, &cell->batch, table, collocation);
    machine->coordinator.tracker.is_dirty = true;
    return NULL;
}

// Finds a table by path or, in a list of ids, by id.
static struct error *find_member(
    const struct machine *machine,
    struct arena *arena,
    const struct node *item,
    bool is_id,
    struct table **ret_table)
{
    if (item->type != NODE_STRING)
        return error_new(ERROR_GENERIC, "Tables of a collocation are named by strings");
    struct slice text = item->string;
    if (is_id) text = slice_from_text(arena_print(arena, "#%.*s", SLICE(text)));
    struct ypath path;
    TRY(ypath_parse(arena, text, &path));
    struct object *object = NULL;
    TRY(tree_resolve(&machine->cell.tree, &path, &object));
    if (!object->table || path.has_attribute) {
        return error_new(
            ERROR_GENERIC,
            "Object %.*s is expected to be a table, actual type is \"%s\"",
            SLICE(item->string),
            object_type_name(object->type));
    }
    *ret_table = object->table;
    return NULL;
}

static struct error *read_members(
    const struct machine *machine,
    struct arena *arena,
    const struct node *attributes,
    struct table ***ret_tables,
    uint32_t *ret_count)
{
    const struct node *ids = node_find_text(attributes, "table_ids");
    const struct node *paths = node_find_text(attributes, "table_paths");
    if (ids && paths)
        return error_new(ERROR_GENERIC, "Cannot specify both \"table_ids\" and \"table_paths\"");
    const struct node *list = ids ? ids : paths;
    if (list && list->type != NODE_LIST)
        return error_new(ERROR_GENERIC, "Tables of a collocation must be a list");
    if (!list || list->count == 0)
        return error_new(ERROR_GENERIC, "Collocated table set must be non-empty");
    TRY(check_count(list->count));
    struct table **tables = ARENA_NEW(arena, struct table *, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        TRY(find_member(machine, arena, list->entries[i].value, ids != NULL, &tables[i]));
        for (uint32_t j = 0; j < i; j++) {
            if (tables[j] != tables[i]) continue;
            return error_new(
                ERROR_GENERIC,
                "Duplicate table %.*s",
                SLICE(object_path(arena, tables[i]->object)));
        }
        TRY(check_member(machine, tables[i]));
    }
    *ret_tables = tables;
    *ret_count = list->count;
    return NULL;
}

struct error *create_collocation(
    struct machine *machine,
    struct slice user,
    struct arena *arena,
    const struct node *attributes,
    struct object **ret_object)
{
    static const char *const KNOWN[] = {
        "collocation_type", "table_ids", "table_paths", "options", NULL};
    struct cell *cell = &machine->cell;
    struct slice type = SLICE_OF("replication");
    struct table **tables = NULL;
    uint32_t count = 0;
    TRY(check_known_keys(attributes, "A table collocation", KNOWN));
    TRY(node_get_string(attributes, "collocation_type", &type));
    if (!slice_equal_text(type, "replication"))
        return error_new(ERROR_GENERIC, "Unknown collocation type \"%.*s\"", SLICE(type));
    TRY(read_members(machine, arena, attributes, &tables, &count));
    for (uint32_t i = 0; i < count; i++)
        TRY(access_check(&cell->tree, user, PERMISSION_WRITE, tables[i]->object));
    struct collocation_options options;
    TRY(collocation_options_parse(node_find_text(attributes, "options"), &options));
    struct object *object = object_new(
        &cell->tree, &cell->batch, OBJECT_TABLE_COLLOCATION, NULL, SLICE_OF(""), cell->wall_us);
    struct collocation *collocation = object_add_collocation(object);
    collocation->options = options;
    struct node *kept = node_map(arena);
    if (node_find_text(attributes, "options"))
        node_set_text(arena, kept, "options", collocation_options_node(arena, &options));
    TRY(object_set_attributes(object, kept));
    object_save(&cell->batch, object);
    for (uint32_t i = 0; i < count; i++)
        table_set_collocation(&cell->tree, &cell->batch, tables[i], collocation);
    machine->coordinator.tracker.is_dirty = true;
    *ret_object = object;
    return NULL;
}

struct error *setting_set(
    struct machine *machine,
    struct arena *arena,
    struct object *object,
    const struct ypath *path,
    struct node *value,
    bool *ret_done)
{
    enum setting setting = find_setting(machine, object, path->attribute[0]);
    *ret_done = setting != SETTING_NONE;
    switch (setting) {
    case SETTING_NONE: return NULL;
    case SETTING_CONFIG:
    case SETTING_OPTIONS:
    case SETTING_COLLOCATION_OPTIONS: return change_structure(machine, arena, object, path, value);
    case SETTING_COLLOCATION: return change_collocation(machine, object, value);
    }
    return NULL;
}
