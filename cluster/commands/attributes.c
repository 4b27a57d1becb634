// Attributes: what an object shows behind `@`, computed here or kept as the user set it.
#include "cluster/commands/attributes.h"

#include "cluster/commands/commands.h"

#include <time.h>

// -------------------------------------------------------------------------------------------------
// Any object

static struct node *get_id(const struct subject *s)
{
    return node_guid(s->arena, s->object->id);
}

static struct node *get_type(const struct subject *s)
{
    return node_text(s->arena, object_type_name(s->object->type));
}

static struct node *get_path(const struct subject *s)
{
    return node_string(s->arena, object_path(s->arena, s->object));
}

static struct node *get_key(const struct subject *s)
{
    if (!s->object->parent) return NULL;
    return node_string(s->arena, buffer_slice(&s->object->name));
}

static struct node *get_parent_id(const struct subject *s)
{
    return s->object->parent ? node_guid(s->arena, s->object->parent->id) : NULL;
}

static struct node *get_count(const struct subject *s)
{
    if (s->object->type != OBJECT_MAP_NODE) return NULL;
    return node_int64(s->arena, HASH_CNT(hh_name, s->object->children));
}

struct node *wall_time_to_node(struct arena *arena, uint64_t wall_us)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char date[32];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    unsigned micros = (unsigned)(wall_us % 1000000);
    return node_text(arena, arena_print(arena, "%s.%06uZ", date, micros));
}

static struct node *get_creation_time(const struct subject *s)
{
    return wall_time_to_node(s->arena, s->object->created_wall_us);
}

static struct node *get_locks(const struct subject *s)
{
    return node_locks_of(s->machine, s->arena, s->object);
}

static struct node *get_lock_count(const struct subject *s)
{
    return node_int64(s->arena, get_locks(s)->count);
}

static struct node *get_target_path(const struct subject *s)
{
    if (s->object->type != OBJECT_LINK) return NULL;
    return node_string(s->arena, buffer_slice(&s->object->value));
}

static struct node *get_broken(const struct subject *s)
{
    if (s->object->type != OBJECT_LINK) return NULL;
    struct ypath path = {.root = s->object->id};
    uint16_t name_count = 0;
    bool is_broken = tree_walk(&s->machine->cell.tree, &path, &name_count) == NULL;
    return node_boolean(s->arena, is_broken);
}

static struct node *get_config(const struct subject *s)
{
    return setting_get(s->machine, s->arena, s->object, SLICE_OF("config"));
}

static const struct attribute OBJECT_ATTRIBUTES[] = {
    {"config", true, get_config},
    {"id", false, get_id},
    {"type", false, get_type},
    {"path", false, get_path},
    {"key", false, get_key},
    {"parent_id", false, get_parent_id},
    {"creation_time", false, get_creation_time},
    {"count", false, get_count},
    {"locks", true, get_locks},
    {"lock_count", false, get_lock_count},
    {"target_path", false, get_target_path},
    {"broken", false, get_broken},
    {0},
};

static const struct attribute *const ATTRIBUTES[] = {
    OBJECT_ATTRIBUTES, TABLE_ATTRIBUTES, RIGHTS_ATTRIBUTES};

enum { ATTRIBUTE_TABLE_COUNT = sizeof ATTRIBUTES / sizeof *ATTRIBUTES };

static const struct attribute *find_in(const struct attribute *attributes, struct slice name)
{
    for (const struct attribute *a = attributes; a->name; a++) {
        if (slice_equal_text(name, a->name)) return a;
    }
    return NULL;
}

// The attribute of this name, whichever objects have it; NULL if there is none.
static const struct attribute *find_builtin(struct slice name)
{
    const struct attribute *found = NULL;
    for (int i = 0; i < ATTRIBUTE_TABLE_COUNT && !found; i++) found = find_in(ATTRIBUTES[i], name);
    return found;
}

static const struct attribute *find_attribute(const struct subject *subject, struct slice name)
{
    const struct attribute *attribute = find_builtin(name);
    return attribute && attribute->get(subject) ? attribute : NULL;
}

struct error *attribute_not_found(struct slice name)
{
    return error_new(ERROR_RESOLVE_ERROR, "Attribute \"%.*s\" is not found", SLICE(name));
}

struct error *attribute_get(
    struct machine *machine,
    struct arena *arena,
    struct object *object,
    const struct ypath *path,
    struct node **ret_value)
{
    struct subject subject = {machine, arena, object};
    const struct attribute *attribute = find_attribute(&subject, path->attribute[0]);
    struct node *value = NULL;
    if (attribute) {
        value = attribute->get(&subject);
    } else {
        struct node *user = NULL;
        TRY(object_attributes(arena, object, &user));
        if (object->table) {
            table_options_add_defaults(arena, object->table, path->attribute[0], user);
        }
        value = node_find(user, path->attribute[0]);
    }
    if (!value) {
        struct slice at = object_path(arena, object);
        return error_wrap(
            attribute_not_found(path->attribute[0]),
            ERROR_RESOLVE_ERROR,
            "Error resolving path %.*s/@%.*s",
            SLICE(at),
            SLICE(path->attribute[0]));
    }
    return value_descend(
        value, path->attribute + 1, (uint16_t)(path->attribute_count - 1), ret_value);
}

struct error *attribute_get_all(
    struct machine *machine, struct arena *arena, struct object *object, struct node **ret_map)
{
    struct subject subject = {machine, arena, object};
    struct node *map = NULL;
    TRY(object_attributes(arena, object, &map));
    if (object->table) table_options_add_defaults(arena, object->table, SLICE_OF(""), map);
    for (int i = 0; i < ATTRIBUTE_TABLE_COUNT; i++) {
        for (const struct attribute *a = ATTRIBUTES[i]; a->name; a++) {
            struct node *value = a->is_opaque ? NULL : a->get(&subject);
            if (value) node_set_text(arena, map, a->name, value);
        }
    }
    *ret_map = map;
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Setting

static struct error *save_user_attributes(
    struct machine *machine, struct object *object, const struct node *map)
{
    struct table_settings settings = {0};
    if (object->table) {
        TRY(table_options_check(object->table->is_replicated, map));
        TRY(table_settings_read(map, &settings));
    }
    if (object == cell_sys(&machine->cell)) TRY(cell_read_config(&machine->cell, map));
    TRY(object_set_attributes(object, map));
    object_save(&machine->cell.batch, object);
    return NULL;
}

struct error *attribute_check_access(
    struct machine *machine, struct slice user, const struct object *object, struct slice name)
{
    bool is_right = rights_is_attribute(name);
    if (object->replica) object = object->replica->table->object;
    return access_check(
        &machine->cell.tree, user, is_right ? PERMISSION_ADMINISTER : PERMISSION_WRITE, object);
}

struct error *attribute_set(
    struct machine *machine,
    struct arena *arena,
    struct object *object,
    const struct ypath *path,
    struct node *value)
{
    if (path->attribute_count == 0) {
        return error_new(ERROR_GENERIC, "All attributes cannot be set at once: name one");
    }
    bool is_done = false;
    struct error *error = setting_set(machine, arena, object, path, value, &is_done);
    if (error || is_done) return error;
    struct slice name = path->attribute[0];
    TRY(node_claim(machine, object, NODE_LOCK_ATTRIBUTE, name));
    if (rights_is_attribute(name)) return rights_set(machine, arena, object, path, value);
    if (object->replica && slice_equal_text(name, "enable_replicated_table_tracker")) {
        if (value->type != NODE_BOOLEAN || path->attribute_count > 1) {
            return error_new(
                ERROR_GENERIC, "Attribute \"enable_replicated_table_tracker\" must be boolean");
        }
        object->replica->is_tracked = value->boolean;
        object_save(&machine->cell.batch, object);
        return NULL;
    }
    struct subject subject = {machine, arena, object};
    if (object->table && slice_equal_text(name, "tablet_cell_bundle")) {
        TRY(table_check_unmounted(object->table, "change tablet cell bundle"));
        struct node *given = node_map(arena);
        node_set(arena, given, name, value);
        return bundle_check(given);
    }
    if (object->table && slice_equal_text(name, "upstream_replica_id")) {
        return error_new(
            ERROR_GENERIC,
            object->table->is_replicated
                ? "Upstream replica cannot be set for replicated tables"
                : "Attribute \"upstream_replica_id\" is changed by alter_table");
    }
    bool is_option = object->table && table_option_exists(name);
    if (is_option) TRY(table_option_check_set(object->table, name, value));
    bool is_typed = object->table || object->replica;
    bool is_known = find_in(OBJECT_ATTRIBUTES, name) || find_in(TABLE_ATTRIBUTES, name);
    if (!is_option && (find_attribute(&subject, name) || (is_typed && is_known))) {
        return error_new(ERROR_GENERIC, "Builtin attribute \"%.*s\" cannot be set", SLICE(name));
    }
    struct node *map = NULL;
    TRY(object_attributes(arena, object, &map));
    // Of a default a part may be set.
    if (is_option) table_options_add_defaults(arena, object->table, name, map);
    TRY(value_put(arena, map, path->attribute, path->attribute_count, value));
    return save_user_attributes(machine, object, map);
}

struct error *attribute_remove(
    struct machine *machine, struct arena *arena, struct object *object, const struct ypath *path)
{
    if (path->attribute_count == 0) {
        return error_new(ERROR_GENERIC, "All attributes cannot be removed at once: name one");
    }
    bool is_done = false;
    struct error *error = setting_set(machine, arena, object, path, NULL, &is_done);
    if (error || is_done) return error;
    struct node *map = NULL;
    struct slice name = path->attribute[0];
    TRY(node_claim(machine, object, NODE_LOCK_ATTRIBUTE, name));
    if (rights_is_attribute(name)) return rights_set(machine, arena, object, path, NULL);
    if (object->table && table_option_exists(name)) {
        TRY(table_option_check_remove(object->table, name));
    }
    TRY(object_attributes(arena, object, &map));
    if (!node_find(map, name)) {
        if (!find_builtin(name)) return attribute_not_found(name);
        return error_new(
            ERROR_GENERIC, "Builtin attribute \"%.*s\" cannot be removed", SLICE(name));
    }
    TRY(value_drop(map, path->attribute, path->attribute_count));
    return save_user_attributes(machine, object, map);
}
