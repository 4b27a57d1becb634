// Where a lookup or a select is answered and at which timestamp: from tables of this cluster, now
// or when what it may meet is decided, or by the cluster of a replica that is in sync.
#include "cluster/machine.h"

#include "cluster/commands/commands.h"
#include "cluster/core/access.h"
#include "cluster/reads.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "model/timestamp.h"

enum { FORWARD_COUNT_MAX = 10 };

static const uint64_t READ_WAIT_US = 10000000; // Without a deadline of the client.

static struct error *check_readable(
    const struct machine *machine,
    const struct request *request,
    const struct table *table,
    uint32_t tablet_index)
{
    (void)machine;
    if (!table->is_dynamic) return error_new(ERROR_GENERIC, "Table is not dynamic");
    if (!guid_is_null(request->upstream_replica_id) &&
        !guid_equal(request->upstream_replica_id, table->upstream_replica_id) &&
        !guid_is_null(table->upstream_replica_id)) {
        struct arena arena CLEANUP(arena_releasep) = {0};
        char expected[GUID_TEXT_MAX];
        guid_print(request->upstream_replica_id, expected);
        return error_new(
            ERROR_UPSTREAM_REPLICA_MISMATCH,
            "Invalid upstream replica id for chosen sync replica \"%.*s\": expected %s, got %s",
            SLICE(object_path(&arena, table->object)),
            expected,
            GUID_TEXT(table->upstream_replica_id));
    }
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        const struct tablet *tablet = &table->tablets[i];
        if (tablet_is_readable(tablet) || (tablet_index != UINT32_MAX && i != tablet_index))
            continue;
        struct error *error = error_new(
            ERROR_TABLET_NOT_MOUNTED,
            "Cannot read from tablet %s while it is in \"%s\" state",
            GUID_TEXT(tablet->id),
            tablet_state_name(tablet->state));
        error_set_str(error, "tablet_id", GUID_TEXT(tablet->id));
        bool is_unmounted = tablet->state == TABLET_UNMOUNTED;
        return error_set_str(error, "is_tablet_unmounted", is_unmounted ? "true" : "false");
    }
    return NULL;
}

static struct error *check_timestamp(const struct request *request)
{
    uint64_t timestamp = request->timestamp;
    if (timestamp >= TIMESTAMP_MIN && timestamp <= TIMESTAMP_MAX) return NULL;
    if (timestamp == TIMESTAMP_SYNC_LAST_COMMITTED) return NULL;
    if (timestamp == TIMESTAMP_ASYNC_LAST_COMMITTED) return NULL;
    if (timestamp == TIMESTAMP_LAST_CONSISTENT) return NULL;
    return error_new(ERROR_GENERIC, "Invalid read timestamp %llx", (unsigned long long)timestamp);
}

// A read at T of a table that has no upstream: T must be closed here, and no transaction at or
// below it undecided.
static struct error *check_own_timestamp(
    struct machine *machine, const struct request *request, bool *ret_must_wait)
{
    *ret_must_wait = false;
    if (request->timestamp > TIMESTAMP_MAX) return NULL;
    if (request->timestamp > timestamps_close(&machine->cell.timestamps)) {
        struct error *error = error_new(ERROR_GENERIC, "Read timestamp is in the future");
        return error_set_u64(error, "timestamp", request->timestamp);
    }
    const struct commit *commit = NULL;
    DL_FOREACH (machine->coordinator.commits, commit) {
        if (commit->timestamp <= request->timestamp) *ret_must_wait = true;
    }
    return NULL;
}

// Whether a read of a table of this cluster has to wait, or is too late.
static struct error *check_wait(
    struct machine *machine,
    struct request *request,
    struct table *table,
    const struct lookup_plan *lookup,
    bool *ret_must_wait)
{
    *ret_must_wait = false;
    if (request->timestamp < table->retained_timestamp) {
        struct error *error = error_new(
            ERROR_GENERIC,
            "Timestamp %llu is less than retained timestamp %llu of table #%s: read at a later "
            "one, "
            "or set a greater \"min_data_ttl\"",
            (unsigned long long)request->timestamp,
            (unsigned long long)table->retained_timestamp,
            GUID_TEXT(table->object->id));
        return error_set_u64(error, "retained_timestamp", table->retained_timestamp);
    }
    if (guid_is_null(table->upstream_replica_id)) {
        TRY(check_own_timestamp(machine, request, ret_must_wait));
    }
    const uint64_t *hashes = lookup ? lookup->hashes : NULL;
    size_t hash_count = lookup ? lookup->key_count : 0;
    if (read_must_wait(table, request, hashes, hash_count)) {
        *ret_must_wait = true;
    }
    cell_limit_wait(&machine->cell, request, READ_WAIT_US);
    if (!*ret_must_wait || machine->cell.now_us < request->wait_until_us) return NULL;
    struct error *error = error_new(
        ERROR_BLOCKED_ROW_WAIT_TIMEOUT,
        "Read waited too long for rows that are prepared and not decided, or for its timestamp");
    error_set_u64(error, "timestamp", request->timestamp);
    return error_set_u64(error, "closed_timestamp", table_closed_timestamp(table));
}

// The newest timestamp at which all of these tables are complete here; 0 if that is not known yet.
static uint64_t consistent_timestamp(
    struct machine *machine, struct table *const *tables, size_t count)
{
    uint64_t closed = UINT64_MAX;
    for (size_t i = 0; i < count; i++) closed = MIN(closed, table_closed_timestamp(tables[i]));
    return closed < UINT64_MAX ? closed : timestamps_close(&machine->cell.timestamps);
}

// Gives a read that asks for a consistent state its timestamp, one for all tables. With
// `*ret_must_wait` the state is not here yet.
static struct error *choose_timestamp(
    struct machine *machine,
    struct request *request,
    struct table *const *tables,
    size_t count,
    bool *ret_must_wait)
{
    *ret_must_wait = false;
    bool is_chosen = request->timestamp <= TIMESTAMP_MAX;
    if (is_chosen && request->min_timestamp > request->timestamp) {
        return error_new(
            ERROR_GENERIC, "A read at \"timestamp\" cannot have a greater \"min_timestamp\"");
    }
    bool is_asked = request->timestamp == TIMESTAMP_LAST_CONSISTENT || request->min_timestamp > 0;
    if (is_chosen || !is_asked) return NULL;
    if (request->min_timestamp > TIMESTAMP_MAX)
        return error_new(ERROR_GENERIC, "Invalid read timestamp in \"min_timestamp\"");
    uint64_t closed = consistent_timestamp(machine, tables, count);
    if (closed >= MAX(request->min_timestamp, TIMESTAMP_MIN)) {
        request->timestamp = closed;
        return NULL;
    }
    cell_limit_wait(&machine->cell, request, READ_WAIT_US);
    *ret_must_wait = machine->cell.now_us < request->wait_until_us;
    if (*ret_must_wait) return NULL;
    struct error *error =
        error_new(ERROR_TIMEOUT, "This cluster does not have the asked timestamp yet");
    error_set_u64(error, "min_timestamp", request->min_timestamp);
    return error_set_u64(error, "closed_timestamp", closed);
}

static void run_read(struct machine *machine, struct request *request)
{
    // What was applied and must be durable before it is seen is synced first.
    cell_effect(
        &machine->cell,
        (struct effect){.kind = EFFECT_READ, .lsn = machine->cell.urgent_lsn, .request = request});
}

static void forward(struct machine *machine, struct request *request, struct slice cluster)
{
    request->forward_count++;
    cell_effect(
        &machine->cell,
        (struct effect){
            .kind = EFFECT_FORWARD,
            .request = request,
            .cluster = arena_copy(&request->arena, cluster),
        });
}

// Says by which replicas the read has failed before none was left, and why; and which clusters are
// not read by config.
static struct error *add_bans(
    const struct machine *machine, struct request *request, struct error *error)
{
    const struct cluster_config *config = &machine->cell.config;
    if (config->unread_count > 0) {
        CLEANUP(buffer_releasep) struct buffer names = {0};
        for (uint32_t i = 0; i < config->unread_count; i++) {
            buffer_print(&names, "%s%.*s", i ? ", " : "", SLICE(config->unread[i]));
        }
        buffer_append_byte(&names, 0);
        error_set_str(error, "banned_in_sync_replica_clusters", names.data);
    }
    if (!request->ban_cause) return error;
    CLEANUP(buffer_releasep) struct buffer ids = {0};
    for (size_t i = 0; i < arr_count(request->banned_replicas); i++) {
        buffer_print(&ids, "%s%s", i ? ", " : "", GUID_TEXT(request->banned_replicas[i]));
    }
    buffer_append_byte(&ids, 0);
    error_add_inner(error, TAKE(request->ban_cause));
    return error_set_str(error, "banned_replicas", ids.data);
}

// Chooses a replica for a read of one replicated table; true if it can go on now.
static struct error *choose(
    struct machine *machine,
    struct request *request,
    struct table *table,
    uint32_t tablet_index,
    struct replica **ret_replica,
    bool *ret_waits)
{
    *ret_waits = false;
    cell_limit_wait(&machine->cell, request, machine->cell.options.sync_wait_us);
    bool may_wait = false;
    struct error *error = coordinator_choose_replica(
        &machine->coordinator, request, table, tablet_index, ret_replica, &may_wait);
    if (!error) return NULL;
    if (!may_wait || machine->cell.now_us >= request->wait_until_us) {
        return add_bans(machine, request, error);
    }
    error_free(error);
    coordinator_wait(&machine->coordinator, request);
    *ret_waits = true;
    return NULL;
}

static bool is_own_cluster(const struct machine *machine, struct slice cluster)
{
    return slice_equal(cluster, buffer_slice(&machine->cell.cluster_name));
}

// RD3: a read of several tablets that must be atomic gets a timestamp; and the replicas hear soon
// that a read's timestamp is closed.
static void give_timestamp(
    struct machine *machine, struct request *request, const struct table *table, bool is_wide)
{
    request->min_timestamp = 0; // A synchronous replica has everything.
    if (request->timestamp > TIMESTAMP_MAX) {
        if (!is_wide && request->timestamp != TIMESTAMP_LAST_CONSISTENT) return;
        request->timestamp = timestamps_close(&machine->cell.timestamps);
    }
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        coordinator_beat(&machine->coordinator, table->replicas[i]->session);
    }
}

static struct error *lookup_replicated(
    struct machine *machine, struct request *request, struct table *table, bool *ret_taken)
{
    struct replica *replica = NULL;
    bool waits = false;
    TRY(lookup_plan(request, table));
    uint32_t tablet_index = request->lookup->tablet_index;
    TRY(choose(machine, request, table, tablet_index, &replica, &waits));
    *ret_taken = waits;
    if (waits) return NULL;
    give_timestamp(machine, request, table, tablet_index == UINT32_MAX);
    request->asked_path = request->path;
    request->path = arena_copy(&request->arena, buffer_slice(&replica->path));
    request->upstream_replica_id = replica->object->id;
    struct slice cluster = buffer_slice(&replica->cluster_name);
    if (is_own_cluster(machine, cluster)) return NULL;
    *ret_taken = true;
    forward(machine, request, cluster);
    return NULL;
}

// Reads in a transaction see the state at its start.
static struct error *read_in_transaction(struct machine *machine, struct request *request)
{
    if (guid_is_null(request->transaction_id)) return NULL;
    if (request->timestamp != TIMESTAMP_SYNC_LAST_COMMITTED) return NULL;
    struct transaction *transaction = NULL;
    TRY(machine_find_transaction(machine, request->transaction_id, false, &transaction));
    machine_touch_transaction(machine, transaction);
    request->timestamp = transaction->start_timestamp;
    return NULL;
}

// The table at a path, if the user may read it.
static struct error *find_readable(
    struct machine *machine, struct request *request, struct slice path, struct table **ret_table)
{
    struct tree *tree = &machine->cell.tree;
    TRY(tree_resolve_table(tree, &request->arena, path, ret_table));
    return access_check(tree, request->user, PERMISSION_READ, (*ret_table)->object);
}

static struct error *start_lookup(struct machine *machine, struct request *request, bool *ret_taken)
{
    struct table *table = NULL;
    TRY(check_timestamp(request));
    TRY(read_in_transaction(machine, request));
    TRY(find_readable(machine, request, request->path, &table));
    if (table->is_replicated) {
        if (rowset_row_count(request->rows) > 0) {
            TRY(lookup_replicated(machine, request, table, ret_taken));
            if (*ret_taken) return NULL;
            TRY(find_readable(machine, request, request->path, &table));
        } else {
            TRY(lookup_plan(request, table));
        }
    }
    bool must_wait = false;
    TRY(choose_timestamp(machine, request, &table, 1, &must_wait));
    *ret_taken = must_wait;
    if (must_wait) {
        waiting_reads_add(&machine->waiting_reads, request);
        return NULL;
    }
    TRY(lookup_plan(request, table));
    if (request->lookup->key_count > 0) {
        TRY(check_readable(machine, request, table, request->lookup->tablet_index));
    }
    TRY(check_wait(machine, request, table, request->lookup, &must_wait));
    *ret_taken = true;
    if (must_wait) {
        waiting_reads_add(&machine->waiting_reads, request);
    } else {
        run_read(machine, request);
    }
    return NULL;
}

void machine_lookup(struct machine *machine, struct request *request)
{
    bool is_taken = false;
    struct error *error = start_lookup(machine, request, &is_taken);
    if (error) cell_fail(&machine->cell, request, error);
}

static struct error *no_common_cluster(const struct select_plan *plan)
{
    if (plan->path_count == 1) {
        return error_new(
            ERROR_NO_IN_SYNC_REPLICAS,
            "No in-sync replicas found for table %.*s",
            SLICE(plan->paths[0]));
    }
    CLEANUP(buffer_releasep) struct buffer paths = {0};
    for (size_t i = 0; i < plan->path_count; i++) {
        buffer_print(&paths, "%s%.*s", i ? ", " : "", SLICE(plan->paths[i]));
    }
    return error_new(
        ERROR_NO_IN_SYNC_REPLICAS,
        "No single cluster contains in-sync replicas for all involved tables [%.*s]",
        SLICE(buffer_slice(&paths)));
}

// How fresh a replica is that has all of a table; less than that is the timestamp of what it has.
enum { REPLICA_UNREADABLE = 0 };
static const uint64_t REPLICA_IN_SYNC = UINT64_MAX;
static const uint64_t REPLICA_CAUGHT_UP = UINT64_MAX - 1;

static uint64_t replica_freshness(const struct replica *replica)
{
    const struct session *session = replica->session;
    uint64_t freshness = REPLICA_IN_SYNC;
    if (session->state != SESSION_OPEN || replica->state != REPLICA_STATE_ENABLED)
        return REPLICA_UNREADABLE;
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        struct position progress = session->tablets[i].progress;
        const struct queue *queue = replica->table->tablets[i].queue;
        if (session_is_in_sync(session, i)) continue;
        bool is_caught_up = progress.row_index >= queue->committed_end.row_index;
        uint64_t known = is_caught_up ? REPLICA_CAUGHT_UP : MAX(progress.timestamp, UINT64_C(1));
        freshness = MIN(freshness, known);
    }
    return freshness;
}

// The freshest replica of a table on a cluster, in sync unless it may be stale; NULL if there is
// none.
static struct replica *find_fresh(
    const struct request *request,
    const struct table *table,
    struct slice cluster,
    bool may_be_stale,
    uint64_t *ret_freshness)
{
    struct replica *best = NULL;
    uint64_t least = may_be_stale ? REPLICA_UNREADABLE + 1 : REPLICA_IN_SYNC;
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        struct replica *replica = table->replicas[i];
        if (!slice_equal(buffer_slice(&replica->cluster_name), cluster)) continue;
        if (request_has_banned(request, replica->object->id)) continue;
        uint64_t freshness = replica_freshness(replica);
        if (freshness < least || (best && freshness <= *ret_freshness)) continue;
        best = replica;
        *ret_freshness = freshness;
    }
    return best;
}

// Where a query over replicated tables can go.
struct select_route {
    struct slice cluster;
    struct replica *replicas[QUERY_TABLE_COUNT_MAX]; // One for each table.
    uint64_t freshness;                              // The least of theirs.
};

// A route to this cluster, if it has fit replicas of all tables.
static bool find_route(
    const struct request *request,
    struct table *const *tables,
    struct slice cluster,
    struct select_route *ret_route)
{
    const struct select_plan *plan = request->select;
    struct select_route route = {.cluster = cluster, .freshness = REPLICA_IN_SYNC};
    for (size_t i = 0; i < plan->path_count; i++) {
        uint64_t freshness = 0;
        bool may_be_stale = query_table_may_be_stale(plan->query, i);
        route.replicas[i] = find_fresh(request, tables[i], cluster, may_be_stale, &freshness);
        if (!route.replicas[i]) return false;
        route.freshness = MIN(route.freshness, freshness);
    }
    *ret_route = route;
    return true;
}

// Prepares a query to be answered where the route leads.
static void take_route(
    struct machine *machine,
    struct request *request,
    struct table *const *tables,
    const struct select_route *route)
{
    size_t count = request->select->path_count;
    request->table_paths = ARENA_NEW(&request->arena, struct slice, count);
    request->table_path_count = (uint32_t)count;
    if (count == 1) request->upstream_replica_id = route->replicas[0]->object->id;
    // What is behind shows a state that it once had as a whole.
    bool is_stale = route->freshness < REPLICA_IN_SYNC;
    if (is_stale && request->timestamp > TIMESTAMP_MAX)
        request->timestamp = TIMESTAMP_LAST_CONSISTENT;
    for (size_t i = 0; i < count; i++) {
        struct slice path = buffer_slice(&route->replicas[i]->path);
        request->table_paths[i] = arena_copy(&request->arena, path);
        coordinator_hurry(&machine->coordinator, route->replicas[i]->session); // For decisions.
        bool is_wide = count > 1 || tables[i]->tablet_count > 1;
        if (!is_stale) give_timestamp(machine, request, tables[i], is_wide);
    }
}

// Finds one cluster with fit replicas of all tables, and sends the query there: of several of the
// same freshness to any.
static struct error *select_replicated(
    struct machine *machine, struct request *request, struct table **tables, bool *ret_taken)
{
    const struct select_plan *plan = request->select;
    struct select_route best = {.freshness = REPLICA_UNREADABLE};
    bool may_wait = false;
    if (machine->coordinator.amnesia) return error_copy(machine->coordinator.amnesia);
    size_t count = arr_count(tables[0]->replicas);
    size_t first = count > 0 ? rng_below(&machine->cell.rng, count) : 0;
    for (size_t i = 0; i < count; i++) {
        const struct replica *candidate = tables[0]->replicas[(first + i) % count];
        struct slice cluster = buffer_slice(&candidate->cluster_name);
        struct select_route route;
        if (cluster_config_is_unread(&machine->cell.config, cluster)) continue;
        bool is_banned = request_has_banned(request, candidate->object->id);
        if (!is_banned && session_may_catch_up(candidate->session)) may_wait = true;
        if (!find_route(request, tables, cluster, &route)) continue;
        if (route.freshness > best.freshness) best = route;
    }
    if (best.freshness > REPLICA_UNREADABLE) {
        take_route(machine, request, tables, &best);
        if (is_own_cluster(machine, best.cluster)) return NULL;
        *ret_taken = true;
        forward(machine, request, best.cluster);
        return NULL;
    }
    cell_limit_wait(&machine->cell, request, machine->cell.options.sync_wait_us);
    if (may_wait && machine->cell.now_us < request->wait_until_us) {
        *ret_taken = true;
        coordinator_wait(&machine->coordinator, request);
        return NULL;
    }
    return add_bans(machine, request, no_common_cluster(plan));
}

static struct error *resolve_tables(
    struct machine *machine, struct request *request, struct table **tables)
{
    const struct select_plan *plan = request->select;
    for (size_t i = 0; i < plan->path_count; i++) {
        bool is_given = request->table_path_count > 0;
        struct slice path = is_given ? request->table_paths[i] : plan->paths[i];
        TRY(find_readable(machine, request, path, &tables[i]));
    }
    return NULL;
}

static struct error *start_select(struct machine *machine, struct request *request, bool *ret_taken)
{
    TRY(check_timestamp(request));
    TRY(read_in_transaction(machine, request));
    TRY(select_parse(request));
    const struct select_plan *plan = request->select;
    struct table **tables = ARENA_NEW(&request->arena, struct table *, plan->path_count);
    TRY(resolve_tables(machine, request, tables));
    if (request->is_explanation) {
        TRY(select_bind(request, tables));
        request->node = select_explain(request, &request->arena);
        request->output_kind = OUTPUT_NODE;
        *ret_taken = true;
        cell_reply(&machine->cell, machine->cell.lsn, request);
        return NULL;
    }
    size_t replicated_count = 0;
    for (size_t i = 0; i < plan->path_count; i++) replicated_count += tables[i]->is_replicated;
    if (replicated_count > 0) {
        if (replicated_count < plan->path_count) {
            return error_new(
                ERROR_GENERIC, "Query involves both replicated and non-replicated tables");
        }
        TRY(select_replicated(machine, request, tables, ret_taken));
        if (*ret_taken) return NULL;
        TRY(resolve_tables(machine, request, tables));
    }
    TRY(choose_timestamp(machine, request, tables, plan->path_count, ret_taken));
    if (*ret_taken) {
        waiting_reads_add(&machine->waiting_reads, request);
        return NULL;
    }
    for (size_t i = 0; i < plan->path_count; i++) {
        TRY(check_readable(machine, request, tables[i], UINT32_MAX));
    }
    TRY(select_bind(request, tables));
    *ret_taken = true;
    for (size_t i = 0; i < plan->path_count; i++) {
        bool must_wait = false;
        struct error *error = check_wait(machine, request, tables[i], NULL, &must_wait);
        if (error) {
            *ret_taken = false;
            return error;
        }
        if (!must_wait) continue;
        waiting_reads_add(&machine->waiting_reads, request);
        return NULL;
    }
    run_read(machine, request);
    return NULL;
}

// Whether it is the replica's table that is wrong, so that another replica may do.
static bool is_fault_of_replica(const struct request *request, const struct error *error)
{
    if (guid_is_null(request->upstream_replica_id)) return false;
    return error_find(error, ERROR_TABLET_NOT_MOUNTED) || error_find(error, ERROR_RESOLVE_ERROR) ||
           error_find(error, ERROR_UPSTREAM_REPLICA_MISMATCH);
}

bool machine_read_again(struct machine *machine, struct request *request, struct error *error)
{
    bool is_over =
        machine->cell.now_us >= request->deadline_us || request->forward_count >= FORWARD_COUNT_MAX;
    bool is_unreachable = error_find(error, ERROR_RPC_UNAVAILABLE) != NULL;
    if (is_over || (!is_unreachable && !is_fault_of_replica(request, error))) {
        request->error = error;
        return false;
    }
    if (is_unreachable) {
        error_free(error); // It may be chosen again, when its session is open.
    } else {
        arr_add(request->banned_replicas, request->upstream_replica_id);
        error_free(request->ban_cause);
        request->ban_cause = error;
    }
    if (request->asked_path.size > 0) request->path = request->asked_path;
    request->upstream_replica_id = GUID_NULL;
    request->table_path_count = 0;
    request->lookup = NULL;
    request->select = NULL;
    request->wait_until_us = 0;
    buffer_clear(&request->output);
    arr_clear(request->block_ends);
    if (request->kind == REQUEST_COMMAND) { // Its handler has made a read of it.
        command_execute(machine, request);
    } else {
        machine_request(machine, request);
    }
    return true;
}

void machine_select(struct machine *machine, struct request *request)
{
    bool is_taken = false;
    struct error *error = start_select(machine, request, &is_taken);
    if (error) cell_fail(&machine->cell, request, error);
}
