// Tablets: what they show in @tablets of their table, by their ids and under //sys/tablets.
#include "cluster/commands/attributes.h"

#include "cluster/commands/commands.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "model/error_node.h"
#include "model/key.h"

uint64_t tablet_total_row_count(const struct tablet *tablet)
{
    return tablet->queue ? tablet->queue->end.row_index : tablet->total_row_count;
}

uint64_t tablet_trimmed_row_count(const struct tablet *tablet)
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

uint64_t tablet_replication_error_count(const struct tablet *tablet)
{
    uint64_t count = 0;
    for (size_t i = 0; i < arr_count(tablet->table->replicas); i++) {
        if (session_tablet_error(tablet->table->replicas[i]->session, tablet->index)) count++;
    }
    return count;
}

struct node *tablets_statistics(struct arena *arena, const struct tablet *tablets, uint32_t count)
{
    uint64_t row_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        row_count += tablet_total_row_count(&tablets[i]) - tablet_trimmed_row_count(&tablets[i]);
    }
    struct node *map = node_map(arena);
    set_int(arena, map, "tablet_count", count);
    // Of ordered tables and replication logs; how many rows a sorted table has nobody counts.
    set_int(arena, map, "unmerged_row_count", row_count);
    // Rows are not kept in memory on purpose, so nothing is ever to be loaded.
    set_int(arena, map, "preload_pending_store_count", 0);
    set_int(arena, map, "preload_completed_store_count", 0);
    set_int(arena, map, "preload_failed_store_count", 0);
    return map;
}

struct node *tablet_to_node(
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
        set_int(arena, map, "trimmed_row_count", tablet_trimmed_row_count(tablet));
        set_int(arena, map, "flushed_row_count", tablet_total_row_count(tablet));
    }
    node_set_text(
        arena, map, "last_commit_timestamp", node_uint64(arena, tablet->last_write_timestamp));
    node_set_text(arena, map, "statistics", tablets_statistics(arena, tablet, 1));
    set_int(arena, map, "error_count", 0);
    set_int(arena, map, "replication_error_count", tablet_replication_error_count(tablet));
    if (tablet_is_active(tablet)) {
        node_set_text(arena, map, "cell_id", node_guid(arena, cell_id(&machine->cell)));
        struct slice address = buffer_slice(&machine->cell.address);
        if (address.size > 0)
            node_set_text(arena, map, "cell_leader_address", node_string(arena, address));
        uint64_t mounted_wall_us = tablet->mounted_wall_us;
        node_set_text(arena, map, "mount_time", wall_time_to_node(arena, mounted_wall_us));
        // It only has to be another one after each mount.
        node_set_text(arena, map, "mount_revision", node_uint64(arena, mounted_wall_us));
    }
    return map;
}

// -------------------------------------------------------------------------------------------------
// A tablet as an object

// What a tablet knows of a replica.
static struct node *replica_orchid(
    struct arena *arena, const struct tablet *tablet, const struct replica *replica)
{
    const struct session_tablet *progress = &replica->session->tablets[tablet->index];
    uint64_t current = progress->progress.row_index;
    if (session_is_in_sync(replica->session, tablet->index)) {
        current = MAX(current, progress->feeder.tail.row_index);
    }
    enum replica_state state = tablet_is_active(tablet) ? replica->state : REPLICA_STATE_NONE;
    const char *atomicity = replica->is_atomicity_none ? "none" : "full";
    const struct {
        const char *name;
        struct node *value;
    } entries[] = {
        {"cluster_name", node_string(arena, buffer_slice(&replica->cluster_name))},
        {"replica_path", node_string(arena, buffer_slice(&replica->path))},
        {"state", node_text(arena, replica_state_name(state))},
        {"mode", node_text(arena, replica_mode_name(replica->mode))},
        {"atomicity", node_text(arena, atomicity)},
        {"preserve_timestamps", node_boolean(arena, replica->preserve_timestamps)},
        {"start_replication_timestamp", node_uint64(arena, replica->start_timestamp)},
        {"current_replication_row_index", node_int64(arena, (int64_t)current)},
        {"committed_replication_row_index",
         node_int64(arena, (int64_t)progress->progress.row_index)},
        {"current_replication_timestamp", node_uint64(arena, progress->progress.timestamp)},
        // Rows go to replicas without transactions of their own.
        {"prepared_replication_transaction", node_guid(arena, GUID_NULL)},
        {"prepared_replication_row_index", node_int64(arena, -1)},
    };
    struct node *map = node_map(arena);
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        node_set_text(arena, map, entries[i].name, entries[i].value);
    }
    return map;
}

static struct node *tablet_orchid(struct arena *arena, const struct tablet *tablet)
{
    struct node *map = node_map(arena);
    node_set_text(arena, map, "state", node_text(arena, tablet_state_name(tablet->state)));
    set_int(arena, map, "total_row_count", tablet_total_row_count(tablet));
    set_int(arena, map, "trimmed_row_count", tablet_trimmed_row_count(tablet));
    set_int(arena, map, "undecided_transaction_count", tablet->undecided_count);
    if (!tablet->queue) return map;
    struct node *replicas = node_map(arena);
    struct node *errors = node_map(arena);
    for (size_t i = 0; i < arr_count(tablet->table->replicas); i++) {
        const struct replica *replica = tablet->table->replicas[i];
        struct slice id = slice_from_text(GUID_TEXT(replica->object->id));
        node_set(arena, replicas, id, replica_orchid(arena, tablet, replica));
        const struct error *error = session_tablet_error(replica->session, tablet->index);
        if (error) node_set(arena, errors, id, error_to_node(arena, error));
    }
    node_set_text(arena, map, "replicas", replicas);
    node_set_text(arena, map, "replication_errors", errors);
    return map;
}

struct tablet *tablet_of_path(
    const struct machine *machine, const struct ypath *path, uint16_t *ret_name_count)
{
    *ret_name_count = 0;
    if (!guid_is_null(path->root)) return tree_find_tablet(&machine->cell.tree, path->root);
    struct guid id;
    if (path->name_count < 3 || !slice_equal_text(path->names[0], "sys") ||
        !slice_equal_text(path->names[1], "tablets")) {
        return NULL;
    }
    struct error *error = guid_parse(path->names[2], &id);
    bool is_id = !error;
    error_free(error); // What is no id is the name of a node that is not there.
    *ret_name_count = 3;
    return is_id ? tree_find_tablet(&machine->cell.tree, id) : NULL;
}

struct error *tablet_get(
    struct machine *machine,
    struct arena *arena,
    struct tablet *tablet,
    const struct ypath *path,
    uint16_t name_count,
    struct node **ret_value)
{
    if (path->name_count > name_count) {
        struct node *map = node_map(arena);
        node_set_text(arena, map, "orchid", tablet_orchid(arena, tablet));
        uint16_t rest = (uint16_t)(path->name_count - name_count);
        return value_descend(map, path->names + name_count, rest, ret_value);
    }
    struct node *map = tablet_to_node(machine, arena, tablet);
    node_set_text(arena, map, "id", node_guid(arena, tablet->id));
    node_set_text(arena, map, "type", node_text(arena, "tablet"));
    node_set_text(arena, map, "table_id", node_guid(arena, tablet->table->object->id));
    struct slice table_path = object_path(arena, tablet->table->object);
    node_set_text(arena, map, "table_path", node_string(arena, table_path));
    *ret_value = map;
    if (!path->has_attribute || path->attribute_count == 0) return NULL;
    struct node *value = node_find(map, path->attribute[0]);
    if (!value) return attribute_not_found(path->attribute[0]);
    return value_descend(
        value, path->attribute + 1, (uint16_t)(path->attribute_count - 1), ret_value);
}
