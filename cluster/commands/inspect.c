// What tablets and replicas are doing: get_in_sync_replicas, get_tablet_infos, get_tablet_errors,
// get_table_pivot_keys.
#include "cluster/commands/commands.h"

#include "cluster/reads.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "model/error_node.h"

#include <inttypes.h>

static const uint64_t ERROR_TABLET_COUNT = 5; // get_tablet_errors shows, if not told otherwise.

static struct error *check_inspectable(const struct tablet *tablet, struct slice path)
{
    if (tablet->state == TABLET_MOUNTED || tablet->state == TABLET_FROZEN ||
        tablet->state == TABLET_FREEZING) {
        return NULL;
    }
    return error_new(
        ERROR_TABLET_NOT_MOUNTED,
        "Tablet %s of table %.*s is in \"%s\" state",
        GUID_TEXT(tablet->id),
        SLICE(path),
        tablet_state_name(tablet->state));
}

// Whether a reader of the replica at this timestamp sees all of the tablet up to it (in-sync-true).
static struct error *is_in_sync_at(
    const struct replica *replica, uint32_t index, uint64_t timestamp, uint64_t closed, bool *ret)
{
    const struct session *session = replica->session;
    *ret = session_is_in_sync(session, index);
    if (*ret || timestamp > TIMESTAMP_MAX) return NULL;
    if (session->state != SESSION_OPEN || replica->state != REPLICA_STATE_ENABLED) return NULL;
    if (!replica->preserve_timestamps || timestamp > closed) return NULL;
    uint64_t next = 0;
    uint64_t row_index = session->tablets[index].progress.row_index;
    TRY(queue_timestamp_after(replica->table->tablets[index].queue, row_index, &next));
    *ret = next == 0 || next > timestamp;
    return NULL;
}

struct in_sync_query {
    struct table *table;
    uint64_t timestamp;
    bool all_keys;
    bool has_keys;
    bool *is_touched; // By tablet.
};

static struct error *read_in_sync(
    struct machine *machine, struct request *request, struct in_sync_query *query)
{
    struct arena *arena = &request->arena;
    struct ypath path;
    TRY(command_path(request, &path));
    TRY(tree_resolve_table(&machine->cell.tree, arena, path.text, &query->table));
    struct table *table = query->table;
    TRY(node_get_uint64(request->parameters, "timestamp", &query->timestamp));
    TRY(node_get_boolean(request->parameters, "all_keys", &query->all_keys));
    bool is_ordinary = query->timestamp >= TIMESTAMP_MIN && query->timestamp <= TIMESTAMP_MAX;
    if (!is_ordinary && query->timestamp != TIMESTAMP_SYNC_LAST_COMMITTED) {
        return error_new(
            ERROR_GENERIC, "Invalid GetInSyncReplicas timestamp %" PRIx64, query->timestamp);
    }
    if (!table->is_dynamic) {
        return error_new(ERROR_GENERIC, "Table %.*s is not dynamic", SLICE(path.text));
    }
    if (!table_is_sorted(table)) {
        return error_new(ERROR_TABLE_MUST_BE_SORTED, "Table %.*s is not sorted", SLICE(path.text));
    }
    if (!table->is_replicated) {
        return error_new(ERROR_GENERIC, "Table %.*s is not replicated", SLICE(path.text));
    }
    query->is_touched = ARENA_NEW(arena, bool, table->tablet_count);
    if (query->all_keys) {
        query->has_keys = true;
        memset(query->is_touched, true, table->tablet_count);
    } else {
        request->path = path.text;
        TRY(command_read_rows(machine, request, path.text, &request->rows));
        TRY(lookup_plan(request, table));
        query->has_keys = request->lookup->key_count > 0;
        for (uint32_t i = 0; i < request->lookup->key_count; i++) {
            query->is_touched[table_tablet_of_key(table, request->lookup->keys[i])->index] = true;
        }
    }
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        if (query->is_touched[i]) TRY(check_inspectable(&table->tablets[i], path.text));
    }
    return NULL;
}

static struct error *find_in_sync(
    struct machine *machine, struct request *request, struct node **ret_node)
{
    struct in_sync_query query = {0};
    TRY(read_in_sync(machine, request, &query));
    uint64_t closed = timestamps_close(&machine->cell.timestamps);
    struct node *list = node_list(&request->arena);
    for (size_t i = 0; i < arr_count(query.table->replicas); i++) {
        const struct replica *replica = query.table->replicas[i];
        struct slice cluster = buffer_slice(&replica->cluster_name);
        bool is_in_sync =
            !query.has_keys || !cluster_config_is_unread(&machine->cell.config, cluster);
        for (uint32_t j = 0; query.has_keys && is_in_sync && j < query.table->tablet_count; j++) {
            if (!query.is_touched[j]) continue;
            TRY(is_in_sync_at(replica, j, query.timestamp, closed, &is_in_sync));
        }
        // Who was found reads at this timestamp: the replica should hear soon that it is closed.
        if (is_in_sync) coordinator_beat(&machine->coordinator, replica->session);
        if (is_in_sync) {
            node_add(&request->arena, list, node_guid(&request->arena, replica->object->id));
        }
    }
    *ret_node = list;
    return NULL;
}

void command_get_in_sync_replicas(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = find_in_sync(machine, request, &node);
    command_answer(machine, request, error, node);
}

static void set_int(struct arena *arena, struct node *map, const char *key, uint64_t number)
{
    node_set_text(arena, map, key, node_int64(arena, (int64_t)number));
}

static void set_timestamp(struct arena *arena, struct node *map, const char *key, uint64_t number)
{
    node_set_text(arena, map, key, node_uint64(arena, number));
}

static struct node *replica_info(
    struct arena *arena,
    const struct replica *replica,
    uint32_t index,
    uint64_t closed,
    bool with_errors)
{
    const struct queue *queue = replica->table->tablets[index].queue;
    struct position progress = replica->session->tablets[index].progress;
    bool is_caught_up =
        progress.row_index >= queue->end.row_index && replica->state == REPLICA_STATE_ENABLED;
    struct node *map = node_map(arena);
    node_set_text(arena, map, "replica_id", node_guid(arena, replica->object->id));
    uint64_t last = is_caught_up ? closed : progress.timestamp;
    set_timestamp(arena, map, "last_replication_timestamp", last);
    node_set_text(arena, map, "mode", node_text(arena, replica_mode_name(replica->mode)));
    uint64_t current = progress.row_index;
    if (session_is_in_sync(replica->session, index)) {
        current = MAX(current, replica->session->tablets[index].feeder.tail.row_index);
    }
    set_int(arena, map, "current_replication_row_index", current);
    set_int(arena, map, "committed_replication_row_index", progress.row_index);
    const struct error *error = session_tablet_error(replica->session, index);
    if (error && with_errors) {
        node_set_text(arena, map, "replication_error", error_to_node(arena, error));
    }
    return map;
}

static struct node *tablet_info(
    struct machine *machine,
    struct arena *arena,
    const struct tablet *tablet,
    uint64_t closed,
    bool with_errors)
{
    struct node *map = node_map(arena);
    const struct queue *queue = tablet->queue;
    set_int(arena, map, "total_row_count", queue ? queue->end.row_index : tablet->total_row_count);
    set_int(
        arena,
        map,
        "trimmed_row_count",
        queue ? queue->trimmed.row_index : tablet->trimmed_row_count);
    set_int(arena, map, "delayed_lockless_row_count", 0);
    set_timestamp(arena, map, "barrier_timestamp", closed);
    set_timestamp(arena, map, "last_write_timestamp", tablet->last_write_timestamp);
    // A tablet that cannot be written stops the process: there are no errors of tablets to list.
    if (with_errors) node_set_text(arena, map, "tablet_errors", node_list(arena));
    if (!queue) return map;
    struct node *list = node_list(arena);
    for (size_t i = 0; i < arr_count(tablet->table->replicas); i++) {
        const struct replica *replica = tablet->table->replicas[i];
        session_save_progress(&machine->cell, replica->session);
        node_add(arena, list, replica_info(arena, replica, tablet->index, closed, with_errors));
    }
    node_set_text(arena, map, "replica_infos", list);
    return map;
}

static struct error *get_infos(
    struct machine *machine, struct request *request, struct node **ret_node)
{
    struct arena *arena = &request->arena;
    struct ypath path;
    struct table *table = NULL;
    TRY(command_path(request, &path));
    TRY(tree_resolve_table(&machine->cell.tree, arena, path.text, &table));
    const struct node *indexes = node_find_text(request->parameters, "tablet_indexes");
    if (!indexes || indexes->type != NODE_LIST) {
        return error_new(ERROR_GENERIC, "Parameter \"tablet_indexes\" must be a list");
    }
    bool with_errors = false;
    TRY(node_get_boolean(request->parameters, "request_errors", &with_errors));
    uint64_t closed = timestamps_close(&machine->cell.timestamps);
    struct node *tablets = node_list(arena);
    for (uint32_t i = 0; i < indexes->count; i++) {
        const struct node *item = indexes->entries[i].value;
        bool is_number = item->type == NODE_INT64 || item->type == NODE_UINT64;
        if (!is_number || item->uint64 >= table->tablet_count) {
            return error_new(
                ERROR_GENERIC,
                "Invalid tablet index: actual %" PRId64 ", expected in range [0, %u]",
                is_number ? item->int64 : -1,
                table->tablet_count - 1);
        }
        const struct tablet *tablet = &table->tablets[item->uint64];
        TRY(check_inspectable(tablet, path.text));
        node_add(arena, tablets, tablet_info(machine, arena, tablet, closed, with_errors));
    }
    *ret_node = node_map(arena);
    node_set_text(arena, *ret_node, "tablets", tablets);
    return NULL;
}

void command_get_tablet_infos(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = get_infos(machine, request, &node);
    command_answer(machine, request, error, node);
}

// Adds a tablet's errors to the lists of the replicas that have them; says whether there is any.
static bool add_errors(
    struct arena *arena, const struct table *table, uint32_t index, struct node *errors)
{
    bool has_errors = false;
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        const struct replica *replica = table->replicas[i];
        const struct error *error = session_tablet_error(replica->session, index);
        if (!error) continue;
        has_errors = true;
        if (!errors) continue;
        struct slice id = slice_from_text(GUID_TEXT(replica->object->id));
        struct node *list = node_find(errors, id);
        if (!list) {
            list = node_list(arena);
            node_set(arena, errors, id, list);
        }
        struct node *node = error_to_node(arena, error);
        struct node *attributes = node_find_text(node, "attributes");
        struct node *tablet_id = node_guid(arena, table->tablets[index].id);
        if (attributes) node_set_text(arena, attributes, "tablet_id", tablet_id);
        node_add(arena, list, node);
    }
    return has_errors;
}

static struct error *get_errors(
    struct machine *machine, struct request *request, struct node **ret_node)
{
    struct arena *arena = &request->arena;
    struct ypath path;
    struct table *table = NULL;
    uint64_t limit = ERROR_TABLET_COUNT;
    TRY(command_path(request, &path));
    TRY(tree_resolve_table(&machine->cell.tree, arena, path.text, &table));
    TRY(node_get_uint64(request->parameters, "limit", &limit));
    if (limit == 0) return error_new(ERROR_GENERIC, "Parameter \"limit\" must be positive");
    struct node *errors = node_map(arena);
    bool is_incomplete = false;
    for (uint32_t i = 0; i < table->tablet_count && !is_incomplete; i++) {
        if (limit > 0) {
            limit -= add_errors(arena, table, i, errors);
        } else {
            is_incomplete = add_errors(arena, table, i, NULL);
        }
    }
    *ret_node = node_map(arena);
    // A tablet that cannot be written stops the process: there are none of tablets themselves.
    node_set_text(arena, *ret_node, "tablet_errors", node_map(arena));
    node_set_text(arena, *ret_node, "replication_errors", errors);
    if (is_incomplete) node_set_text(arena, *ret_node, "incomplete", node_boolean(arena, true));
    return NULL;
}

void command_get_tablet_errors(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = get_errors(machine, request, &node);
    command_answer(machine, request, error, node);
}

// -------------------------------------------------------------------------------------------------
// Pivot keys

static struct error *get_pivots(
    struct machine *machine, struct request *request, struct node **ret_node)
{
    struct arena *arena = &request->arena;
    struct ypath path;
    struct table *table = NULL;
    bool as_lists = false;
    TRY(command_path(request, &path));
    TRY(tree_resolve_table(&machine->cell.tree, arena, path.text, &table));
    TRY(node_get_boolean(request->parameters, "represent_key_as_list", &as_lists));
    if (!table_is_sorted(table)) {
        return error_new(ERROR_TABLE_MUST_BE_SORTED, "Table %.*s is not sorted", SLICE(path.text));
    }
    *ret_node = node_list(arena);
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        struct node *list = pivot_to_node(arena, &table->tablets[i]);
        struct node *map = node_map(arena);
        for (uint32_t j = 0; j < list->count; j++) {
            node_set(arena, map, table->schema->columns[j].name, list->entries[j].value);
        }
        node_add(arena, *ret_node, as_lists ? list : map);
    }
    return NULL;
}

void command_get_table_pivot_keys(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = get_pivots(machine, request, &node);
    command_answer(machine, request, error, node);
}
