// Commands about the tracker, retable's own: what it thinks, what it did, and switching by hand.
#include "cluster/commands/commands.h"

#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"

enum { HISTORY_COUNT_DEFAULT = 100, WAIT_MS_DEFAULT = 30000, WAIT_MS_MAX = 3600000 };

// The replicated table that parameter `path` names; NULL if there is no such parameter.
static struct error *find_replicated(
    const struct machine *machine, struct request *request, struct table **ret_table)
{
    *ret_table = NULL;
    const struct node *given = node_find_text(request->parameters, "path");
    if (!given || given->type == NODE_ENTITY) return NULL;
    struct ypath path;
    TRY(command_path(request, &path));
    TRY(tree_resolve_table(&machine->cell.tree, &request->arena, path.text, ret_table));
    if ((*ret_table)->is_replicated) return NULL;
    return error_new(ERROR_GENERIC, "%.*s is not a replicated table", SLICE(path.text));
}

static struct error *check_meta(const struct machine *machine)
{
    if (machine->cell.options.is_meta) return NULL;
    return error_new(
        ERROR_GENERIC,
        "This cluster has no replicated tables: ask the meta-cluster, which retable-coordinator "
        "serves");
}

static struct error *do_status(
    struct machine *machine, struct request *request, struct node **ret_node)
{
    TRY(check_meta(machine));
    struct table *table = NULL;
    TRY(find_replicated(machine, request, &table));
    struct coordinator *coordinator = &machine->coordinator;
    if (table) {
        *ret_node = tracker_table_status(coordinator, &request->arena, table);
        return NULL;
    }
    *ret_node = node_list(&request->arena);
    for (size_t i = 0; i < arr_count(coordinator->tables); i++) {
        struct node *status =
            tracker_table_status(coordinator, &request->arena, coordinator->tables[i]);
        node_add(&request->arena, *ret_node, status);
    }
    return NULL;
}

void command_get_tracker_status(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = do_status(machine, request, &node);
    command_answer(machine, request, error, node);
}

static struct error *do_history(
    struct machine *machine, struct request *request, struct node **ret_node)
{
    TRY(check_meta(machine));
    struct table *table = NULL;
    uint64_t count = HISTORY_COUNT_DEFAULT;
    TRY(find_replicated(machine, request, &table));
    TRY(node_get_uint64(request->parameters, "limit", &count));
    return tracker_history(&machine->coordinator, &request->arena, table, count, ret_node);
}

void command_get_tracker_history(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = do_history(machine, request, &node);
    command_answer(machine, request, error, node);
}

static struct error *do_switch_over(
    struct machine *machine, struct request *request, struct node **ret_node)
{
    TRY(check_meta(machine));
    struct table *table = NULL;
    struct slice cluster = {0};
    bool is_dry_run = false;
    TRY(find_replicated(machine, request, &table));
    TRY(node_get_string(request->parameters, "cluster_name", &cluster));
    TRY(node_get_boolean(request->parameters, "dry_run", &is_dry_run));
    if (!table) return error_new(ERROR_GENERIC, "Parameter \"path\" is missing");
    if (cluster.size == 0) return error_new(ERROR_GENERIC, "Parameter \"cluster_name\" is missing");
    return tracker_switch_over(
        &machine->coordinator, table, cluster, is_dry_run, &request->arena, ret_node);
}

void command_switch_over(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = do_switch_over(machine, request, &node);
    command_answer(machine, request, error, node);
}

// -------------------------------------------------------------------------------------------------
// Waiting

static struct error *has_replica_reached(
    const struct replica *replica, uint64_t timestamp, bool *ret_reached)
{
    *ret_reached = true;
    for (uint32_t i = 0; i < replica->table->tablet_count && *ret_reached; i++) {
        uint64_t missing = 0; // The timestamp of the first record it does not have.
        TRY(queue_timestamp_after(
            replica->table->tablets[i].queue,
            replica->session->tablets[i].progress.row_index,
            &missing));
        *ret_reached = missing == 0 || missing > timestamp;
    }
    return NULL;
}

// What is still waited for, as an error; NULL if nothing is.
static struct error *find_missing(
    const struct machine *machine, struct request *request, struct error **ret_missing)
{
    struct table *table = NULL;
    struct slice cluster = {0};
    bool is_found = false;
    TRY(find_replicated(machine, request, &table));
    TRY(node_get_string(request->parameters, "cluster_name", &cluster));
    if (!table) return error_new(ERROR_GENERIC, "Parameter \"path\" is missing");
    for (size_t i = 0; i < arr_count(table->replicas) && !*ret_missing; i++) {
        const struct replica *replica = table->replicas[i];
        struct slice name = buffer_slice(&replica->cluster_name);
        bool is_meant =
            cluster.size > 0 ? slice_equal(name, cluster) : replica->state == REPLICA_STATE_ENABLED;
        if (!is_meant) continue;
        is_found = true;
        bool has_reached = false;
        TRY(has_replica_reached(replica, request->timestamp, &has_reached));
        if (has_reached) continue;
        *ret_missing = error_new(
            ERROR_TIMEOUT, "Replica on cluster \"%.*s\" does not have everything yet", SLICE(name));
        if (replica->session->error)
            error_add_inner(*ret_missing, error_copy(replica->session->error));
    }
    if (is_found) return NULL;
    return error_new(ERROR_GENERIC, "There is no such replica to wait for");
}

void command_wait_replicas(struct machine *machine, struct request *request)
{
    struct cell *cell = &machine->cell;
    struct error *error = check_meta(machine);
    if (!error && request->wait_until_us == 0) {
        uint64_t timeout_ms = WAIT_MS_DEFAULT;
        error = node_get_uint64(request->parameters, "timeout", &timeout_ms);
        uint64_t limit_us = cell->now_us + MIN(timeout_ms, (uint64_t)WAIT_MS_MAX) * 1000;
        request->wait_until_us = MAX(MIN(request->deadline_us, limit_us), UINT64_C(1));
        request->timestamp = timestamps_close(&cell->timestamps);
    }
    struct error *missing = NULL;
    if (!error) error = find_missing(machine, request, &missing);
    if (!error && missing && cell->now_us < request->wait_until_us) {
        error_free(missing);
        coordinator_wait(&machine->coordinator, request);
        return;
    }
    command_answer(machine, request, error ? error : missing, NULL);
}

// -------------------------------------------------------------------------------------------------
// Bans

static struct error *change_ban(struct machine *machine, struct request *request, bool is_banned)
{
    struct arena *arena = &request->arena;
    struct slice cluster = {0};
    TRY(check_meta(machine));
    TRY(node_get_string(request->parameters, "cluster_name", &cluster));
    if (cluster.size == 0) return error_new(ERROR_GENERIC, "Parameter \"cluster_name\" is missing");
    const struct tracker_config *config = &machine->cell.config.tracker;
    struct node *list = node_list(arena);
    for (uint32_t i = 0; i < config->banned_count; i++) {
        if (!slice_equal(config->banned[i], cluster))
            node_add(arena, list, node_string(arena, config->banned[i]));
    }
    bool was_banned = list->count < config->banned_count;
    if (is_banned && machine_peer_address(machine, cluster).size == 0) {
        return error_new(ERROR_GENERIC, "Cannot find cluster with name \"%.*s\"", SLICE(cluster));
    }
    if (!is_banned && !was_banned)
        return error_new(ERROR_GENERIC, "Cluster \"%.*s\" is not banned", SLICE(cluster));
    if (is_banned) node_add(arena, list, node_string(arena, cluster));
    static const char PATH[] = "//sys/@config/tablet_manager/replicated_table_tracker/"
                               "replicator_hint/banned_replica_clusters";
    struct ypath path;
    bool is_done = false;
    TRY(ypath_parse(arena, slice_from_text(PATH), &path));
    return setting_set(machine, arena, cell_sys(&machine->cell), &path, list, &is_done);
}

void command_ban_replica_cluster(struct machine *machine, struct request *request)
{
    command_answer(machine, request, change_ban(machine, request, true), NULL);
}

void command_unban_replica_cluster(struct machine *machine, struct request *request)
{
    command_answer(machine, request, change_ban(machine, request, false), NULL);
}
