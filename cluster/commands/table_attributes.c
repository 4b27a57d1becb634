// Attributes of tables, tablets, replicas and collocations.
#include "cluster/commands/attributes.h"

#include "base/hash.h"
#include "cluster/commands/commands.h"
#include "coordinator/core/sessions.h"
#include "model/error_node.h"
#include "model/timestamp.h"

static void set_int(struct arena *arena, struct node *map, const char *key, uint64_t number)
{
    node_set_text(arena, map, key, node_int64(arena, (int64_t)number));
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

enum { OBJECT_TYPE_SCHEMA = 1300 }; // As YTsaurus numbers it; there are no such objects here.

// The same for equal schemas, as a schema that tables share.
static struct node *get_schema_id(const struct subject *s)
{
    if (!s->object->table) return NULL;
    CLEANUP(buffer_releasep) struct buffer text = {0};
    yson_print(schema_to_node(s->arena, s->object->table->schema), YSON_BINARY, &text);
    uint64_t hash = hash_bytes(buffer_slice(&text), 0);
    uint16_t cell_tag = s->machine->cell.options.cell_tag;
    const enum object_type type = (enum object_type)OBJECT_TYPE_SCHEMA;
    return node_guid(s->arena, guid_make(hash, cell_tag, type, (uint32_t)(hash >> 32)));
}

static struct node *get_tablet_statistics(const struct subject *s)
{
    const struct table *table = s->object->table;
    return table ? tablets_statistics(s->arena, table->tablets, table->tablet_count) : NULL;
}

static struct node *get_chunk_row_count(const struct subject *s)
{
    const struct table *table = s->object->table;
    if (!table || (table_is_sorted(table) && !table->is_replicated)) return NULL;
    uint64_t count = 0;
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        count += tablet_total_row_count(&table->tablets[i]) -
                 tablet_trimmed_row_count(&table->tablets[i]);
    }
    return node_int64(s->arena, (int64_t)count);
}

// Shown of sorted tables; how many rows an ordinary one has nobody counts.
static struct node *get_unmerged_row_count(const struct subject *s)
{
    const struct table *table = s->object->table;
    return table && table_is_sorted(table) ? get_chunk_row_count(s) : NULL;
}

static struct node *get_tablet_count(const struct subject *s)
{
    return s->object->table ? node_int64(s->arena, s->object->table->tablet_count) : NULL;
}

static enum tablet_state state_of(const struct tablet *tablet, bool is_expected)
{
    return is_expected ? tablet_state_expected(tablet->state) : tablet->state;
}

// The state that all tablets have, or "mixed".
static struct node *common_state(const struct subject *s, bool is_expected)
{
    const struct table *table = s->object->table;
    if (!table) return NULL;
    enum tablet_state first = state_of(&table->tablets[0], is_expected);
    for (uint32_t i = 1; i < table->tablet_count; i++) {
        if (state_of(&table->tablets[i], is_expected) != first) return node_text(s->arena, "mixed");
    }
    return node_text(s->arena, tablet_state_name(first));
}

static struct node *get_actual_tablet_state(const struct subject *s)
{
    return common_state(s, false);
}

static struct node *get_expected_tablet_state(const struct subject *s)
{
    return common_state(s, true);
}

static struct node *get_tablet_state(const struct subject *s)
{
    const struct table *table = s->object->table;
    if (table && table_is_moving(table)) return node_text(s->arena, "transient");
    return common_state(s, false);
}

static struct node *get_last_mount_transaction_id(const struct subject *s)
{
    const struct table *table = s->object->table;
    if (!table || guid_is_null(table->mount_id) || !table_is_moving(table)) return NULL;
    return node_guid(s->arena, table->mount_id);
}

// A command that moves tablets is one step: nobody ever comes while it is under way.
static struct node *get_current_mount_transaction_id(const struct subject *s)
{
    (void)s;
    return NULL;
}

static struct node *get_tablets(const struct subject *s)
{
    if (!s->object->table) return NULL;
    struct node *list = node_list(s->arena);
    for (uint32_t i = 0; i < s->object->table->tablet_count; i++) {
        struct tablet *tablet = &s->object->table->tablets[i];
        node_add(s->arena, list, tablet_to_node(s->machine, s->arena, tablet));
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

static struct node *count_by_state(const struct subject *s, bool is_expected)
{
    if (!s->object->table) return NULL;
    struct node *map = node_map(s->arena);
    for (int state = TABLET_MOUNTING; state <= TABLET_FROZEN_MOUNTING; state++) {
        int64_t count = 0;
        for (uint32_t i = 0; i < s->object->table->tablet_count; i++) {
            if ((int)state_of(&s->object->table->tablets[i], is_expected) == state) count++;
        }
        const char *name = tablet_state_name((enum tablet_state)state);
        node_set_text(s->arena, map, name, node_int64(s->arena, count));
    }
    return map;
}

static struct node *get_tablet_count_by_state(const struct subject *s)
{
    return count_by_state(s, false);
}

static struct node *get_tablet_count_by_expected_state(const struct subject *s)
{
    return count_by_state(s, true);
}

static struct node *get_upstream_replica_id(const struct subject *s)
{
    const struct table *table = s->object->table;
    return table ? node_guid(s->arena, table->upstream_replica_id) : NULL;
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
        count += tablet_replication_error_count(&s->object->table->tablets[i]);
    }
    return node_int64(s->arena, (int64_t)count);
}

static struct node *get_default_text(const struct subject *s, const char *text)
{
    return s->object->table ? node_text(s->arena, text) : NULL;
}

static struct node *get_effective_mount_config(const struct subject *s)
{
    const struct table *table = s->object->table;
    return table ? table_settings_to_node(s->arena, &table->settings) : NULL;
}

static struct node *get_retained_timestamp(const struct subject *s)
{
    const struct table *table = s->object->table;
    return table ? node_uint64(s->arena, MAX(table->retained_timestamp, TIMESTAMP_MIN)) : NULL;
}

// Nothing has to be loaded into memory.
static struct node *get_preload_state(const struct subject *s)
{
    return get_default_text(s, "complete");
}

static struct node *get_bundle(const struct subject *s)
{
    return get_default_text(s, "default");
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

static struct node *get_atomicity(const struct subject *s)
{
    const struct replica *replica = s->object->replica;
    return replica ? node_text(s->arena, replica->is_atomicity_none ? "none" : "full") : NULL;
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
    set_int(arena, map, "flushed_row_count", tablet_total_row_count(tablet));
    node_set_text(arena, map, "tablet_id", node_guid(arena, tablet->id));
    set_int(arena, map, "trimmed_row_count", tablet_trimmed_row_count(tablet));
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

static struct node *get_external_cell_tag(const struct subject *s)
{
    if (!s->object->collocation) return NULL;
    return node_uint64(s->arena, s->machine->cell.options.cell_tag);
}

const struct attribute TABLE_ATTRIBUTES[] = {
    {"replicated_table_options", false, get_tracker_options},
    {"replication_collocation_id", false, get_collocation_id},
    {"replication_collocation_table_paths", true, get_collocation_paths},
    {"collocation_type", false, get_collocation_type},
    {"external_cell_tag", false, get_external_cell_tag},
    {"table_ids", false, get_member_ids},
    {"table_paths", true, get_member_paths},
    {"dynamic", false, get_dynamic},
    {"schema", false, get_schema},
    {"schema_id", false, get_schema_id},
    {"sorted", false, get_sorted},
    {"key_columns", false, get_key_columns},
    {"tablet_count", false, get_tablet_count},
    {"tablet_state", false, get_tablet_state},
    {"actual_tablet_state", false, get_actual_tablet_state},
    {"expected_tablet_state", false, get_expected_tablet_state},
    {"current_mount_transaction_id", false, get_current_mount_transaction_id},
    {"last_mount_transaction_id", false, get_last_mount_transaction_id},
    {"tablet_count_by_state", true, get_tablet_count_by_state},
    {"tablet_count_by_expected_state", true, get_tablet_count_by_expected_state},
    {"tablets", true, get_tablets_of_any},
    {"pivot_keys", true, get_pivot_keys},
    {"upstream_replica_id", false, get_upstream_replica_id},
    {"last_commit_timestamp", false, get_last_commit_timestamp},
    {"retained_timestamp", false, get_retained_timestamp},
    {"unflushed_timestamp", false, get_last_commit_timestamp}, // All is stored at once.
    {"tablet_error_count", false, get_tablet_error_count},
    {"tablet_statistics", true, get_tablet_statistics},
    {"chunk_row_count", false, get_chunk_row_count},
    {"unmerged_row_count", false, get_unmerged_row_count},
    {"preload_state", false, get_preload_state},
    {"atomicity", false, get_atomicity},
    {"effective_mount_config", true, get_effective_mount_config},
    {"tablet_cell_bundle", false, get_bundle},
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
    {0},
};
