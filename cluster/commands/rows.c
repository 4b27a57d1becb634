// Rows and transactions: the commands that read and write data, as thin forms of the typed
// requests.
#include "cluster/commands/commands.h"

#include "cluster/reads.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "model/error_node.h"
#include "model/rowset.h"

#include <inttypes.h>

// Reads the command's input as rows and encodes them as a rowset.
static struct error *read_rows(struct request *request, struct slice *ret_rows)
{
    struct rowset rowset;
    TRY(format_read_rows(&request->arena, &request->input_format, request->input, &rowset));
    CLEANUP(buffer_releasep) struct buffer rows = {0};
    rowset_encode(&rowset, &rows);
    TRY(buffer_check(&rows, "Input rows"));
    *ret_rows = arena_copy(&request->arena, buffer_slice(&rows));
    return NULL;
}

static struct error *read_modification(struct request *request, bool is_delete)
{
    const struct node *parameters = request->parameters;
    struct ypath path;
    TRY(command_path(request, &path));
    struct modification *modification = ARENA_NEW(&request->arena, struct modification, 1);
    modification->path = path.text;
    modification->is_delete = is_delete;
    modification->require_sync_replica = true;
    TRY(node_get_boolean(parameters, "update", &modification->is_update));
    TRY(node_get_boolean(parameters, "aggregate", &modification->is_aggregate));
    TRY(node_get_boolean(parameters, "require_sync_replica", &modification->require_sync_replica));
    TRY(read_rows(request, &modification->rows));
    request->modifications = modification;
    request->modification_count = 1;
    return NULL;
}

static void write_rows(struct machine *machine, struct request *request, bool is_delete)
{
    struct error *error = read_modification(request, is_delete);
    if (error) {
        cell_fail(&machine->cell, request, error);
        return;
    }
    machine_modify(machine, request);
}

void command_insert_rows(struct machine *machine, struct request *request)
{
    write_rows(machine, request, false);
}

void command_delete_rows(struct machine *machine, struct request *request)
{
    write_rows(machine, request, true);
}

static struct error *read_timestamp(struct request *request)
{
    request->timestamp = TIMESTAMP_SYNC_LAST_COMMITTED;
    return node_get_uint64(request->parameters, "timestamp", &request->timestamp);
}

static struct error *read_columns(struct request *request)
{
    const struct node *names = node_find_text(request->parameters, "column_names");
    request->column_count = 0;
    if (!names || names->type == NODE_ENTITY) return NULL;
    if (names->type != NODE_LIST) {
        return error_new(ERROR_GENERIC, "Parameter \"column_names\" must be a list");
    }
    request->columns = ARENA_NEW(&request->arena, struct slice, names->count);
    for (uint32_t i = 0; i < names->count; i++) {
        const struct node *name = names->entries[i].value;
        if (name->type != NODE_STRING) {
            return error_new(ERROR_GENERIC, "Parameter \"column_names\" must hold strings");
        }
        request->columns[request->column_count++] = name->string;
    }
    return NULL;
}

static struct error *read_lookup(struct request *request)
{
    struct ypath path;
    TRY(command_path(request, &path));
    request->path = path.text;
    TRY(read_columns(request));
    TRY(read_timestamp(request));
    TRY(node_get_boolean(request->parameters, "keep_missing_rows", &request->keep_missing_rows));
    return read_rows(request, &request->rows);
}

void command_lookup_rows(struct machine *machine, struct request *request)
{
    struct error *error = read_lookup(request);
    if (error) {
        cell_fail(&machine->cell, request, error);
        return;
    }
    machine_lookup(machine, request);
}

static struct error *read_select(struct request *request)
{
    const struct node *parameters = request->parameters;
    TRY(node_get_string(parameters, "query", &request->query));
    if (request->query.size == 0) return error_new(ERROR_GENERIC, "Parameter \"query\" is missing");
    TRY(read_timestamp(request));
    TRY(node_get_uint64(parameters, "input_row_limit", &request->input_row_limit));
    return node_get_uint64(parameters, "output_row_limit", &request->output_row_limit);
}

void command_select_rows(struct machine *machine, struct request *request)
{
    struct error *error = read_select(request);
    if (error) {
        cell_fail(&machine->cell, request, error);
        return;
    }
    machine_select(machine, request);
}

// -------------------------------------------------------------------------------------------------
// Transactions

static struct error *read_start(struct request *request)
{
    struct slice type = SLICE_OF("tablet");
    uint64_t timeout_ms = 0;
    TRY(node_get_string(request->parameters, "type", &type));
    TRY(node_get_uint64(request->parameters, "timeout", &timeout_ms));
    if (!slice_equal_text(type, "tablet")) {
        return error_new(
            ERROR_GENERIC,
            "Transactions of type \"%.*s\" are not offered: give \"type\" = \"tablet\"",
            SLICE(type));
    }
    request->transaction_timeout_us = MIN(timeout_ms, TRANSACTION_TIMEOUT_MS_MAX) * 1000;
    return NULL;
}

void command_start_transaction(struct machine *machine, struct request *request)
{
    struct error *error = read_start(request);
    if (error) {
        cell_fail(&machine->cell, request, error);
        return;
    }
    request->output_kind = OUTPUT_NODE;
    request->node = node_entity(&request->arena);
    machine_start_transaction(machine, request);
}

void command_ping_transaction(struct machine *machine, struct request *request)
{
    machine_ping_transaction(machine, request);
}

void command_commit_transaction(struct machine *machine, struct request *request)
{
    if (guid_is_null(request->transaction_id)) {
        struct error *error = error_new(ERROR_GENERIC, "Parameter \"transaction_id\" is missing");
        cell_fail(&machine->cell, request, error);
        return;
    }
    machine_commit(machine, request);
}

void command_abort_transaction(struct machine *machine, struct request *request)
{
    machine_abort_transaction(machine, request);
}

void command_generate_timestamp(struct machine *machine, struct request *request)
{
    uint64_t timestamp = cell_timestamp(&machine->cell);
    struct error *error = NULL;
    if (timestamp == 0) error = error_new(ERROR_REQUEST_THROTTLED, "No timestamp is left now");
    command_answer(machine, request, error, node_uint64(&request->arena, timestamp));
}

// -------------------------------------------------------------------------------------------------
// Inspection

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
        TRY(read_rows(request, &request->rows));
        TRY(lookup_plan(request, table));
        query->has_keys = request->lookup->key_count > 0;
        for (uint32_t i = 0; i < request->lookup->key_count; i++) {
            query->is_touched[table_tablet_of_key(table, request->lookup->keys[i])->index] = true;
        }
    }
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        const struct tablet *tablet = &table->tablets[i];
        if (!query->is_touched[i] || tablet->state == TABLET_MOUNTED) continue;
        if (tablet->state == TABLET_FROZEN || tablet->state == TABLET_FREEZING) continue;
        return error_new(
            ERROR_TABLET_NOT_MOUNTED,
            "Tablet %s of table %.*s is in \"%s\" state",
            GUID_TEXT(tablet->id),
            SLICE(path.text),
            tablet_state_name(tablet->state));
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
        bool is_in_sync = true;
        for (uint32_t j = 0; query.has_keys && is_in_sync && j < query.table->tablet_count; j++) {
            if (!query.is_touched[j]) continue;
            TRY(is_in_sync_at(replica, j, query.timestamp, closed, &is_in_sync));
        }
        // Who was found reads at this timestamp: the replica should hear soon that it is closed.
        if (is_in_sync) replica->session->beat_at_us = machine->cell.now_us;
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
    struct arena *arena, const struct replica *replica, uint32_t index, uint64_t closed)
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
    if (replica->session->error) {
        struct node *error = error_to_node(arena, replica->session->error);
        node_set_text(arena, map, "replication_error", error);
    }
    return map;
}

static struct node *tablet_info(
    struct machine *machine, struct arena *arena, const struct tablet *tablet, uint64_t closed)
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
    if (!queue) return map;
    struct node *list = node_list(arena);
    for (size_t i = 0; i < arr_count(tablet->table->replicas); i++) {
        const struct replica *replica = tablet->table->replicas[i];
        session_save_progress(&machine->cell, replica->session);
        node_add(arena, list, replica_info(arena, replica, tablet->index, closed));
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
        node_add(
            arena, tablets, tablet_info(machine, arena, &table->tablets[item->uint64], closed));
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

static struct error *get_errors(
    struct machine *machine, struct request *request, struct node **ret_node)
{
    struct arena *arena = &request->arena;
    struct ypath path;
    struct table *table = NULL;
    TRY(command_path(request, &path));
    TRY(tree_resolve_table(&machine->cell.tree, arena, path.text, &table));
    struct node *errors = node_map(arena);
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        const struct replica *replica = table->replicas[i];
        if (!replica->session->error) continue;
        struct node *list = node_list(arena);
        for (uint32_t j = 0; j < table->tablet_count; j++) {
            struct node *error = error_to_node(arena, replica->session->error);
            struct node *attributes = node_find_text(error, "attributes");
            struct node *tablet_id = node_guid(arena, table->tablets[j].id);
            if (attributes) node_set_text(arena, attributes, "tablet_id", tablet_id);
            node_add(arena, list, error);
        }
        node_set(arena, errors, slice_from_text(GUID_TEXT(replica->object->id)), list);
    }
    *ret_node = node_map(arena);
    node_set_text(arena, *ret_node, "tablet_errors", node_map(arena));
    node_set_text(arena, *ret_node, "replication_errors", errors);
    return NULL;
}

void command_get_tablet_errors(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = get_errors(machine, request, &node);
    command_answer(machine, request, error, node);
}
