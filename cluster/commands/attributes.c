// Attributes: what an object shows behind `@`, computed here or kept as the user set it.
#include "cluster/commands/commands.h"

#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "model/error_node.h"
#include "model/key.h"
#include "model/timestamp.h"

#include <time.h>

// What is asked about, and where the answer lives.
struct subject {
    struct machine *machine;
    struct arena *arena;
    struct object *object;
};

struct attribute {
    const char *name;
    bool is_opaque; // Shown by name only.
    // NULL if the object has no such attribute.
    struct node *(*get)(const struct subject *subject);
};

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

static struct node *get_creation_time(const struct subject *s)
{
    time_t seconds = (time_t)(s->object->created_wall_us / 1000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char date[32];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    unsigned micros = (unsigned)(s->object->created_wall_us % 1000000);
    return node_text(s->arena, arena_print(s->arena, "%s.%06uZ", date, micros));
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

// -------------------------------------------------------------------------------------------------
// Tablets

static uint64_t total_rows(const struct tablet *tablet)
{
    return tablet->queue ? tablet->queue->end.row_index : tablet->total_row_count;
}

static uint64_t trimmed_rows(const struct tablet *tablet)
{
    return tablet->queue ? tablet->queue->trimmed.row_index : tablet->trimmed_row_count;
}

struct node *pivot_to_node(struct arena *arena, const struct tablet *tablet)
{
    struct node *list = node_list(arena);
    struct value values[SCHEMA_KEY_COLUMN_COUNT_MAX];
    size_t count = 0;
    struct slice pivot = buffer_slice(&tablet->pivot);
    uint16_t key_column_count = tablet->table->schema->key_column_count;
    struct error *error = key_decode(arena, pivot, key_column_count, values, &count);
    error_free(error); // Our own encoding; an empty pivot has no values.
    for (size_t i = 0; !error && i < count; i++) {
        struct node *item = node_entity(arena);
        switch ((enum value_type)values[i].type) {
        case VALUE_INT64: item = node_int64(arena, values[i].int64); break;
        case VALUE_UINT64: item = node_uint64(arena, values[i].uint64); break;
        case VALUE_DOUBLE: item = node_double(arena, values[i].real); break;
        case VALUE_BOOLEAN: item = node_boolean(arena, values[i].boolean); break;
        case VALUE_STRING: item = node_string(arena, value_slice(&values[i])); break;
        case VALUE_NULL:
        case VALUE_ANY: break;
        }
        node_add(arena, list, item);
    }
    return list;
}

static void set_int(struct arena *arena, struct node *map, const char *key, uint64_t number)
{
    node_set_text(arena, map, key, node_int64(arena, (int64_t)number));
}

static uint64_t replication_error_count(const struct tablet *tablet)
{
    uint64_t count = 0;
    for (size_t i = 0; i < arr_count(tablet->table->replicas); i++) {
        if (session_tablet_error(tablet->table->replicas[i]->session, tablet->index)) count++;
    }
    return count;
}

static struct node *tablet_node(
    const struct machine *machine, struct arena *arena, struct tablet *tablet)
{
    struct node *map = node_map(arena);
    set_int(arena, map, "index", tablet->index);
    node_set_text(arena, map, "tablet_id", node_guid(arena, tablet->id));
    node_set_text(arena, map, "state", node_text(arena, tablet_state_name(tablet->state)));
    if (table_is_sorted(tablet->table)) {
        node_set_text(arena, map, "pivot_key", pivot_to_node(arena, tablet));
    }
    if (tablet->queue || !table_is_sorted(tablet->table)) {
        set_int(arena, map, "trimmed_row_count", trimmed_rows(tablet));
        set_int(arena, map, "flushed_row_count", total_rows(tablet));
    }
    node_set_text(
        arena, map, "last_commit_timestamp", node_uint64(arena, tablet->last_write_timestamp));
    set_int(arena, map, "error_count", 0);
    set_int(arena, map, "replication_error_count", replication_error_count(tablet));
    if (tablet_is_active(tablet)) {
        struct guid cell_id = guid_make(1, machine->cell.options.cell_tag, OBJECT_TABLET_CELL, 1);
        node_set_text(arena, map, "cell_id", node_guid(arena, cell_id));
    }
    return map;
}

// -------------------------------------------------------------------------------------------------
// Tables

static struct node *get_dynamic(const struct subject *s)
{
    return s->object->table ? node_boolean(s->arena, s->object->table->is_dynamic) : NULL;
}

static struct node *get_schema(const struct subject *s)
{
    return s->object->table ? schema_to_node(s->arena, s->object->table->schema) : NULL;
}

static struct node *get_sorted(const struct subject *s)
{
    return s->object->table ? node_boolean(s->arena, table_is_sorted(s->object->table)) : NULL;
}

static struct node *get_key_columns(const struct subject *s)
{
    if (!s->object->table) return NULL;
    const struct schema *schema = s->object->table->schema;
    struct node *list = node_list(s->arena);
    for (uint16_t i = 0; i < schema->key_column_count; i++) {
        node_add(s->arena, list, node_string(s->arena, schema->columns[i].name));
    }
    return list;
}

static struct node *get_tablet_count(const struct subject *s)
{
    return s->object->table ? node_int64(s->arena, s->object->table->tablet_count) : NULL;
}

static struct node *get_tablet_state(const struct subject *s)
{
    if (!s->object->table) return NULL;
    const struct table *table = s->object->table;
    const char *state = "none";
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        const char *name = tablet_state_name(table->tablets[i].state);
        if (i > 0 && strcmp(state, name) != 0) return node_text(s->arena, "mixed");
        state = name;
    }
    return node_text(s->arena, state);
}

static struct node *get_tablets(const struct subject *s)
{
    if (!s->object->table) return NULL;
    struct node *list = node_list(s->arena);
    for (uint32_t i = 0; i < s->object->table->tablet_count; i++) {
        struct tablet *tablet = &s->object->table->tablets[i];
        node_add(s->arena, list, tablet_node(s->machine, s->arena, tablet));
    }
    return list;
}

static struct node *get_pivot_keys(const struct subject *s)
{
    if (!s->object->table || !table_is_sorted(s->object->table)) return NULL;
    struct node *list = node_list(s->arena);
    for (uint32_t i = 0; i < s->object->table->tablet_count; i++) {
        node_add(s->arena, list, pivot_to_node(s->arena, &s->object->table->tablets[i]));
    }
    return list;
}

static struct node *get_tablet_count_by_state(const struct subject *s)
{
    if (!s->object->table) return NULL;
    struct node *map = node_map(s->arena);
    for (int state = TABLET_MOUNTING; state <= TABLET_FROZEN_MOUNTING; state++) {
        int64_t count = 0;
        for (uint32_t i = 0; i < s->object->table->tablet_count; i++) {
            if ((int)s->object->table->tablets[i].state == state) count++;
        }
        const char *name = tablet_state_name((enum tablet_state)state);
        node_set_text(s->arena, map, name, node_int64(s->arena, count));
    }
    return map;
}

static struct node *get_upstream_replica_id(const struct subject *s)
{
    const struct table *table = s->object->table;
    return table && !table->is_replicated ? node_guid(s->arena, table->upstream_replica_id) : NULL;
}

static struct node *get_last_commit_timestamp(const struct subject *s)
{
    if (!s->object->table) return NULL;
    uint64_t last = 0;
    for (uint32_t i = 0; i < s->object->table->tablet_count; i++) {
        last = MAX(last, s->object->table->tablets[i].last_write_timestamp);
    }
    return node_uint64(s->arena, last);
}

static struct node *get_tablet_error_count(const struct subject *s)
{
    if (!s->object->table) return NULL;
    uint64_t count = 0;
    for (uint32_t i = 0; i < s->object->table->tablet_count; i++) {
        count += replication_error_count(&s->object->table->tablets[i]);
    }
    return node_int64(s->arena, (int64_t)count);
}

static struct node *get_default_text(const struct subject *s, const char *text)
{
    return s->object->table ? node_text(s->arena, text) : NULL;
}

static struct node *get_atomicity(const struct subject *s)
{
    if (s->object->replica) {
        return node_text(s->arena, s->object->replica->is_atomicity_none ? "none" : "full");
    }
    return get_default_text(s, "full");
}

static struct node *get_bundle(const struct subject *s)
{
    return get_default_text(s, "default");
}

static struct node *get_memory_mode(const struct subject *s)
{
    return get_default_text(s, "none");
}

// -------------------------------------------------------------------------------------------------
// Replicas

static struct node *get_mode(const struct subject *s)
{
    const struct replica *replica = s->object->replica;
    return replica ? node_text(s->arena, replica_mode_name(replica->mode)) : NULL;
}

static struct node *get_state(const struct subject *s)
{
    const struct replica *replica = s->object->replica;
    return replica ? node_text(s->arena, replica_state_name(replica->state)) : NULL;
}

static struct node *get_cluster_name(const struct subject *s)
{
    const struct replica *replica = s->object->replica;
    return replica ? node_string(s->arena, buffer_slice(&replica->cluster_name)) : NULL;
}

static struct node *get_replica_path(const struct subject *s)
{
    const struct replica *replica = s->object->replica;
    return replica ? node_string(s->arena, buffer_slice(&replica->path)) : NULL;
}

static struct node *get_table_id(const struct subject *s)
{
    const struct replica *replica = s->object->replica;
    return replica ? node_guid(s->arena, replica->table->object->id) : NULL;
}

static struct node *get_table_path(const struct subject *s)
{
    const struct replica *replica = s->object->replica;
    return replica ? node_string(s->arena, object_path(s->arena, replica->table->object)) : NULL;
}

static struct node *get_start_timestamp(const struct subject *s)
{
    const struct replica *replica = s->object->replica;
    return replica ? node_uint64(s->arena, replica->start_timestamp) : NULL;
}

static struct node *get_preserve_timestamps(const struct subject *s)
{
    const struct replica *replica = s->object->replica;
    return replica ? node_boolean(s->arena, replica->preserve_timestamps) : NULL;
}

static struct node *get_tracked(const struct subject *s)
{
    const struct replica *replica = s->object->replica;
    return replica ? node_boolean(s->arena, replica->is_tracked) : NULL;
}

static struct node *get_lag(const struct subject *s)
{
    const struct replica *replica = s->object->replica;
    return replica
               ? node_int64(s->arena, (int64_t)session_lag_ms(&s->machine->cell, replica->session))
               : NULL;
}

static struct node *get_error_count(const struct subject *s)
{
    const struct replica *replica = s->object->replica;
    return replica ? node_int64(s->arena, (int64_t)session_error_count(replica->session)) : NULL;
}

static struct node *replica_tablet_node(
    const struct subject *s, const struct replica *replica, uint32_t index)
{
    struct arena *arena = s->arena;
    const struct tablet *tablet = &replica->table->tablets[index];
    const struct session_tablet *progress = &replica->session->tablets[index];
    enum replica_state state = tablet_is_active(tablet) ? replica->state : REPLICA_STATE_NONE;
    struct node *map = node_map(arena);
    set_int(arena, map, "flushed_row_count", total_rows(tablet));
    node_set_text(arena, map, "tablet_id", node_guid(arena, tablet->id));
    set_int(arena, map, "trimmed_row_count", trimmed_rows(tablet));
    uint64_t lag_ms = session_tablet_lag_ms(&s->machine->cell, replica->session, index);
    set_int(arena, map, "replication_lag_time", lag_ms);
    node_set_text(
        arena,
        map,
        "current_replication_timestamp",
        node_uint64(arena, progress->progress.timestamp));
    set_int(arena, map, "current_replication_row_index", progress->progress.row_index);
    set_int(arena, map, "committed_replication_row_index", progress->progress.row_index);
    node_set_text(arena, map, "state", node_text(arena, replica_state_name(state)));
    const struct error *error = session_tablet_error(replica->session, index);
    node_set_text(arena, map, "has_error", node_boolean(arena, error != NULL));
    if (error) node_set_text(arena, map, "replication_error", error_to_node(arena, error));
    return map;
}

static struct node *get_replica_tablets(const struct subject *s)
{
    const struct replica *replica = s->object->replica;
    if (!replica) return NULL;
    // What is shown never falls, through a restart too: it is made durable with the answer.
    session_save_progress(&s->machine->cell, replica->session);
    struct node *list = node_list(s->arena);
    for (uint32_t i = 0; i < replica->table->tablet_count; i++) {
        node_add(s->arena, list, replica_tablet_node(s, replica, i));
    }
    return list;
}

static struct node *get_tablets_of_any(const struct subject *s)
{
    return s->object->replica ? get_replica_tablets(s) : get_tablets(s);
}

static struct node *get_replicas(const struct subject *s)
{
    const struct table *table = s->object->table;
    if (!table || !table->is_replicated) return NULL;
    struct node *map = node_map(s->arena);
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        const struct replica *replica = table->replicas[i];
        struct subject one = {s->machine, s->arena, replica->object};
        struct node *info = node_map(s->arena);
        node_set_text(s->arena, info, "cluster_name", get_cluster_name(&one));
        node_set_text(s->arena, info, "replica_path", get_replica_path(&one));
        node_set_text(s->arena, info, "state", get_state(&one));
        node_set_text(s->arena, info, "mode", get_mode(&one));
        node_set_text(s->arena, info, "replication_lag_time", get_lag(&one));
        node_set_text(s->arena, info, "error_count", get_error_count(&one));
        node_set_text(s->arena, info, "replicated_table_tracker_enabled", get_tracked(&one));
        node_set(s->arena, map, slice_from_text(GUID_TEXT(replica->object->id)), info);
    }
    return map;
}

// -------------------------------------------------------------------------------------------------

static struct node *get_config(const struct subject *s)
{
    return setting_get(s->machine, s->arena, s->object, SLICE_OF("config"));
}

static struct node *get_tracker_options(const struct subject *s)
{
    return setting_get(s->machine, s->arena, s->object, SLICE_OF("replicated_table_options"));
}

static struct node *get_collocation_id(const struct subject *s)
{
    return setting_get(s->machine, s->arena, s->object, SLICE_OF("replication_collocation_id"));
}

// Paths or ids of a collocation's tables, asked of it or of one of them.
static struct node *list_collocated(const struct subject *s, bool is_by_path)
{
    const struct collocation *collocation =
        s->object->table ? s->object->table->collocation : s->object->collocation;
    if (!collocation) return NULL;
    struct node *list = node_list(s->arena);
    for (size_t i = 0; i < arr_count(collocation->tables); i++) {
        const struct object *object = collocation->tables[i]->object;
        struct node *item = is_by_path ? node_string(s->arena, object_path(s->arena, object))
                                       : node_guid(s->arena, object->id);
        node_add(s->arena, list, item);
    }
    return list;
}

static struct node *get_collocation_paths(const struct subject *s)
{
    return s->object->table ? list_collocated(s, true) : NULL;
}

static struct node *get_member_paths(const struct subject *s)
{
    return s->object->collocation ? list_collocated(s, true) : NULL;
}

static struct node *get_member_ids(const struct subject *s)
{
    return s->object->collocation ? list_collocated(s, false) : NULL;
}

static struct node *get_collocation_type(const struct subject *s)
{
    return s->object->collocation ? node_text(s->arena, "replication") : NULL;
}

static const struct attribute ATTRIBUTES[] = {
    {"config", true, get_config},
    {"replicated_table_options", false, get_tracker_options},
    {"replication_collocation_id", false, get_collocation_id},
    {"replication_collocation_table_paths", true, get_collocation_paths},
    {"collocation_type", false, get_collocation_type},
    {"table_ids", false, get_member_ids},
    {"table_paths", true, get_member_paths},
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
    {"dynamic", false, get_dynamic},
    {"schema", false, get_schema},
    {"sorted", false, get_sorted},
    {"key_columns", false, get_key_columns},
    {"tablet_count", false, get_tablet_count},
    {"tablet_state", false, get_tablet_state},
    {"actual_tablet_state", false, get_tablet_state},
    {"expected_tablet_state", false, get_tablet_state},
    {"tablet_count_by_state", true, get_tablet_count_by_state},
    {"tablets", true, get_tablets_of_any},
    {"pivot_keys", true, get_pivot_keys},
    {"upstream_replica_id", false, get_upstream_replica_id},
    {"last_commit_timestamp", false, get_last_commit_timestamp},
    {"tablet_error_count", false, get_tablet_error_count},
    {"atomicity", false, get_atomicity},
    {"tablet_cell_bundle", false, get_bundle},
    {"in_memory_mode", false, get_memory_mode},
    {"replicas", true, get_replicas},
    {"cluster_name", false, get_cluster_name},
    {"replica_path", false, get_replica_path},
    {"table_id", false, get_table_id},
    {"table_path", true, get_table_path},
    {"start_replication_timestamp", false, get_start_timestamp},
    {"state", false, get_state},
    {"mode", false, get_mode},
    {"preserve_timestamps", false, get_preserve_timestamps},
    {"enable_replicated_table_tracker", false, get_tracked},
    {"replication_lag_time", true, get_lag},
    {"error_count", true, get_error_count},
};

static const struct attribute *find_attribute(const struct subject *subject, struct slice name)
{
    for (size_t i = 0; i < sizeof ATTRIBUTES / sizeof *ATTRIBUTES; i++) {
        if (!slice_equal_text(name, ATTRIBUTES[i].name)) continue;
        return ATTRIBUTES[i].get(subject) ? &ATTRIBUTES[i] : NULL;
    }
    return NULL;
}

static struct error *no_attribute(struct slice name)
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
        value = node_find(user, path->attribute[0]);
    }
    if (!value) {
        struct slice at = object_path(arena, object);
        return error_wrap(
            no_attribute(path->attribute[0]),
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
    for (size_t i = 0; i < sizeof ATTRIBUTES / sizeof *ATTRIBUTES; i++) {
        if (ATTRIBUTES[i].is_opaque) continue;
        struct node *value = ATTRIBUTES[i].get(&subject);
        if (value) node_set_text(arena, map, ATTRIBUTES[i].name, value);
    }
    *ret_map = map;
    return NULL;
}

struct error *tablet_attribute_get(
    struct machine *machine,
    struct arena *arena,
    struct tablet *tablet,
    const struct ypath *path,
    struct node **ret_value)
{
    struct node *map = tablet_node(machine, arena, tablet);
    node_set_text(arena, map, "id", node_guid(arena, tablet->id));
    node_set_text(arena, map, "type", node_text(arena, "tablet"));
    node_set_text(arena, map, "table_id", node_guid(arena, tablet->table->object->id));
    struct slice table_path = object_path(arena, tablet->table->object);
    node_set_text(arena, map, "table_path", node_string(arena, table_path));
    *ret_value = map;
    if (!path->has_attribute || path->attribute_count == 0) return NULL;
    struct node *value = node_find(map, path->attribute[0]);
    if (!value) return no_attribute(path->attribute[0]);
    return value_descend(
        value, path->attribute + 1, (uint16_t)(path->attribute_count - 1), ret_value);
}

// -------------------------------------------------------------------------------------------------
// Setting

static bool is_builtin(struct slice name)
{
    for (size_t i = 0; i < sizeof ATTRIBUTES / sizeof *ATTRIBUTES; i++) {
        if (slice_equal_text(name, ATTRIBUTES[i].name)) return true;
    }
    return false;
}

// What replicated tables have of one kind only.
static bool is_fixed_mode(struct slice name)
{
    return slice_equal_text(name, "atomicity") || slice_equal_text(name, "commit_ordering") ||
           slice_equal_text(name, "in_memory_mode");
}

static struct error *save_user_attributes(
    struct machine *machine, struct object *object, const struct node *map)
{
    struct table_settings settings = {0};
    if (object->table) TRY(table_settings_read(map, &settings));
    if (object == cell_sys(&machine->cell)) TRY(cell_read_config(&machine->cell, map));
    TRY(object_set_attributes(object, map));
    object_save(&machine->cell.batch, object);
    return NULL;
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
    if (object->table && slice_equal_text(name, "upstream_replica_id")) {
        return error_new(
            ERROR_GENERIC,
            object->table->is_replicated
                ? "Upstream replica cannot be set for replicated tables"
                : "Attribute \"upstream_replica_id\" is changed by alter_table");
    }
    if (object->table && object->table->is_replicated && is_fixed_mode(name)) {
        struct node *given = node_map(arena);
        node_set(arena, given, name, value);
        return replicated_attributes_check(given); // There is one value, and it is that already.
    }
    if (find_attribute(&subject, name) ||
        (is_builtin(name) && (object->table || object->replica))) {
        return error_new(ERROR_GENERIC, "Builtin attribute \"%.*s\" cannot be set", SLICE(name));
    }
    struct node *map = NULL;
    TRY(object_attributes(arena, object, &map));
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
    TRY(object_attributes(arena, object, &map));
    if (!node_find(map, name)) {
        if (!is_builtin(name)) return no_attribute(name);
        return error_new(
            ERROR_GENERIC, "Builtin attribute \"%.*s\" cannot be removed", SLICE(name));
    }
    TRY(value_drop(map, path->attribute, path->attribute_count));
    return save_user_attributes(machine, object, map);
}
