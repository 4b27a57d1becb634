#include "cluster/machine.h"

#include "cluster/commands/commands.h"
#include "cluster/core/layout.h"
#include "cluster/reads.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "model/rowset.h"
#include "model/timestamp.h"
#include "model/yson.h"

#include <assert.h>

enum { FORWARD_COUNT_MAX = 10 };

static const uint64_t READ_WAIT_US = 10000000; // Without a deadline of the client.

struct error *machine_new(
    const struct cell_options *options,
    uint64_t now_us,
    uint64_t wall_us,
    struct machine **ret_machine)
{
    struct machine *machine = must_alloc(calloc(1, sizeof *machine));
    machine->transactions_expire_at_us = UINT64_MAX;
    machine->has_leaving_tablets = true;
    struct error *error = cell_init(&machine->cell, options, now_us, wall_us);
    retention_init(&machine->retention, now_us);
    if (!error) error = sources_init(&machine->sources, &machine->cell);
    if (!error) error = coordinator_init(&machine->coordinator, &machine->cell);
    if (!error) {
        cell_apply_urgent(&machine->cell);
        error = TAKE(machine->cell.fatal);
    }
    if (!error) error = store_sync(options->store);
    if (error) {
        machine_free(machine);
        return error;
    }
    cell_synced(&machine->cell);
    *ret_machine = machine;
    return NULL;
}

static void free_transaction(struct machine *machine, struct transaction *transaction)
{
    HASH_DEL(machine->transactions, transaction);
    if (transaction->is_master) node_locks_release(machine, transaction->id);
    arr_free(transaction->modifications);
    arena_release(&transaction->arena);
    free(transaction);
}

void machine_free(struct machine *machine)
{
    if (!machine) return;
    while (machine->transactions) free_transaction(machine, machine->transactions);
    coordinator_release(&machine->coordinator);
    waiting_reads_release(&machine->waiting_reads);
    sources_release(&machine->sources);
    retention_release(&machine->retention);
    cell_release(&machine->cell);
    free(machine);
}

// -------------------------------------------------------------------------------------------------
// Transactions

static struct error *find_transaction(
    const struct machine *machine, struct guid id, struct transaction **ret_transaction)
{
    HASH_FIND(hh, machine->transactions, &id, sizeof id, *ret_transaction);
    if (*ret_transaction) return NULL;
    return error_new(ERROR_NO_SUCH_TRANSACTION, "No such transaction %s", GUID_TEXT(id));
}

struct error *machine_find_transaction(
    const struct machine *machine,
    struct guid id,
    bool is_master,
    struct transaction **ret_transaction)
{
    struct transaction *transaction = NULL;
    TRY(find_transaction(machine, id, &transaction));
    if (transaction->is_master != is_master) {
        return error_new(
            ERROR_GENERIC,
            "Transaction %s is not a %s transaction",
            GUID_TEXT(id),
            is_master ? "master" : "tablet");
    }
    *ret_transaction = transaction;
    return NULL;
}

static void touch_transaction(struct machine *machine, struct transaction *transaction)
{
    transaction->expires_at_us = machine->cell.now_us + transaction->timeout_us;
    machine->transactions_expire_at_us =
        MIN(machine->transactions_expire_at_us, transaction->expires_at_us);
}

// An answer that is kept must be durable before it is given.
static void reply_kept(struct machine *machine, struct request *request)
{
    command_keep_answer(machine, request);
    bool is_kept = !guid_is_null(request->mutation_id);
    cell_reply(&machine->cell, is_kept ? machine->cell.lsn : 0, request);
}

void machine_start_transaction(struct machine *machine, struct request *request)
{
    struct cell *cell = &machine->cell;
    if (HASH_COUNT(machine->transactions) >= TRANSACTION_COUNT_MAX) {
        struct error *error = error_new(ERROR_REQUEST_THROTTLED, "Too many open transactions");
        cell_fail(cell, request, error_set_u64(error, "count_max", TRANSACTION_COUNT_MAX));
        return;
    }
    struct transaction *transaction = must_alloc(calloc(1, sizeof *transaction));
    transaction->start_timestamp = cell_timestamp(cell);
    // Unique as timestamps are; nothing about a transaction needs to outlive the process.
    transaction->id = guid_make(
        transaction->start_timestamp,
        cell->options.cell_tag,
        request->is_master_transaction ? OBJECT_TRANSACTION : OBJECT_ATOMIC_TABLET_TRANSACTION,
        (uint32_t)rng_next(&cell->rng));
    transaction->is_master = request->is_master_transaction;
    uint64_t timeout_us = request->transaction_timeout_us;
    transaction->timeout_us = timeout_us ? timeout_us : TRANSACTION_TIMEOUT_US;
    HASH_ADD(hh, machine->transactions, id, sizeof transaction->id, transaction);
    touch_transaction(machine, transaction);
    request->id = transaction->id;
    if (request->output_kind == OUTPUT_NODE) {
        request->node = node_guid(&request->arena, transaction->id); // Asked for as a command.
    }
    request->commit_timestamp = transaction->start_timestamp;
    reply_kept(machine, request);
}

void machine_ping_transaction(struct machine *machine, struct request *request)
{
    struct transaction *transaction = NULL;
    request->error = find_transaction(machine, request->transaction_id, &transaction);
    if (transaction) touch_transaction(machine, transaction);
    cell_reply(&machine->cell, 0, request);
}

void machine_abort_transaction(struct machine *machine, struct request *request)
{
    struct transaction *transaction = NULL;
    request->error = find_transaction(machine, request->transaction_id, &transaction);
    if (transaction) free_transaction(machine, transaction);
    reply_kept(machine, request);
}

static void expire_transactions(struct machine *machine)
{
    uint64_t now_us = machine->cell.now_us;
    if (now_us < machine->transactions_expire_at_us) return;
    machine->transactions_expire_at_us = UINT64_MAX;
    struct transaction *transaction = NULL;
    struct transaction *next = NULL;
    HASH_ITER (hh, machine->transactions, transaction, next) {
        if (transaction->expires_at_us <= now_us) {
            free_transaction(machine, transaction);
        } else {
            machine->transactions_expire_at_us =
                MIN(machine->transactions_expire_at_us, transaction->expires_at_us);
        }
    }
}

static struct modification copy_modification(
    struct arena *arena, const struct modification *modification)
{
    struct modification copy = *modification;
    copy.path = arena_copy(arena, modification->path);
    copy.rows = arena_copy(arena, modification->rows);
    copy.lock_names = arena_copy(arena, modification->lock_names);
    return copy;
}

static struct error *add_modifications(struct machine *machine, struct request *request)
{
    struct transaction *transaction = NULL;
    TRY(machine_find_transaction(machine, request->transaction_id, false, &transaction));
    uint64_t size = transaction->arena.size;
    for (uint32_t i = 0; i < request->modification_count; i++) {
        size += request->modifications[i].rows.size;
    }
    if (size > TRANSACTION_SIZE_MAX) {
        struct error *error =
            error_new(ERROR_TOO_MANY_ROWS_IN_TRANSACTION, "Transaction is too large: split it");
        return error_set_u64(error, "size_max", TRANSACTION_SIZE_MAX);
    }
    // Rows at fault are refused now, not at the end.
    struct writes writes;
    TRY(writes_prepare(
        &machine->cell.tree,
        &request->arena,
        request->modifications,
        request->modification_count,
        &writes));
    for (uint32_t i = 0; i < request->modification_count; i++) {
        struct modification copy =
            copy_modification(&transaction->arena, &request->modifications[i]);
        arr_add(transaction->modifications, copy);
    }
    touch_transaction(machine, transaction);
    return NULL;
}

static void make_choices(struct machine *machine, struct request *request)
{
    for (uint32_t i = 0; i < request->modification_count; i++) {
        struct modification *modification = &request->modifications[i];
        while (modification->choice == 0) modification->choice = rng_next(&machine->cell.rng);
    }
}

void machine_modify(struct machine *machine, struct request *request)
{
    make_choices(machine, request);
    if (guid_is_null(request->transaction_id)) {
        machine_commit(machine, request);
        return;
    }
    request->error = add_modifications(machine, request);
    cell_reply(&machine->cell, machine->cell.lsn, request);
}

// Puts the transaction's modifications before those that come with the commit, and ends it.
static struct error *merge_transaction(struct machine *machine, struct request *request)
{
    struct transaction *transaction = NULL;
    TRY(machine_find_transaction(machine, request->transaction_id, false, &transaction));
    size_t count = arr_count(transaction->modifications);
    struct modification *all =
        ARENA_NEW(&request->arena, struct modification, count + request->modification_count);
    for (size_t i = 0; i < count; i++) {
        all[i] = copy_modification(&request->arena, &transaction->modifications[i]);
    }
    for (uint32_t i = 0; i < request->modification_count; i++) {
        all[count + i] = request->modifications[i];
    }
    request->modifications = all;
    request->modification_count += (uint32_t)count;
    request->start_timestamp = transaction->start_timestamp;
    request->is_merged = true;
    free_transaction(machine, transaction);
    return NULL;
}

static void limit_wait(const struct machine *machine, struct request *request, uint64_t wait_us)
{
    if (request->wait_until_us != 0) return;
    request->wait_until_us = MIN(request->deadline_us, machine->cell.now_us + wait_us);
}

static struct error *start_commit(
    struct machine *machine, struct request *request, struct writes *writes, bool *ret_taken)
{
    bool is_transaction = !guid_is_null(request->transaction_id);
    if (is_transaction && guid_is_null(request->mutation_id)) {
        request->mutation_id = request->transaction_id; // retry-once.
    }
    TRY(coordinator_repeat(&machine->coordinator, request, ret_taken));
    if (*ret_taken) return NULL;
    if (is_transaction && !request->is_merged) TRY(merge_transaction(machine, request));
    return writes_prepare(
        &machine->cell.tree,
        &request->arena,
        request->modifications,
        request->modification_count,
        writes);
}

void machine_commit(struct machine *machine, struct request *request)
{
    struct writes writes = {0};
    bool is_taken = false;
    make_choices(machine, request);
    struct error *error = start_commit(machine, request, &writes, &is_taken);
    if (is_taken) return;
    if (!error && writes.row_count > 0) error = cell_check_writable(&machine->cell);
    if (error) {
        cell_fail(&machine->cell, request, error);
        return;
    }
    limit_wait(machine, request, machine->cell.options.sync_wait_us);
    uint64_t start = request->start_timestamp ? request->start_timestamp : ROW_LOCKS_LATEST;
    coordinator_commit(&machine->coordinator, request, &writes, start);
}

// -------------------------------------------------------------------------------------------------
// Reads

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
        char expected[GUID_TEXT_MAX];
        guid_print(request->upstream_replica_id, expected);
        return error_new(
            ERROR_UPSTREAM_REPLICA_MISMATCH,
            "Invalid upstream replica id for chosen sync replica: expected %s, got %s",
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
        return error_set_str(error, "tablet_id", GUID_TEXT(tablet->id));
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
    limit_wait(machine, request, READ_WAIT_US);
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
    limit_wait(machine, request, READ_WAIT_US);
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
    limit_wait(machine, request, machine->cell.options.sync_wait_us);
    bool may_wait = false;
    struct error *error = coordinator_choose_replica(
        &machine->coordinator, table, tablet_index, ret_replica, &may_wait);
    if (!error || !may_wait || machine->cell.now_us >= request->wait_until_us) return error;
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
    touch_transaction(machine, transaction);
    request->timestamp = transaction->start_timestamp;
    return NULL;
}

static struct error *start_lookup(struct machine *machine, struct request *request, bool *ret_taken)
{
    struct table *table = NULL;
    TRY(check_timestamp(request));
    TRY(read_in_transaction(machine, request));
    TRY(tree_resolve_table(&machine->cell.tree, &request->arena, request->path, &table));
    if (table->is_replicated) {
        if (rowset_row_count(request->rows) > 0) {
            TRY(lookup_replicated(machine, request, table, ret_taken));
            if (*ret_taken) return NULL;
            TRY(tree_resolve_table(&machine->cell.tree, &request->arena, request->path, &table));
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

static struct replica *find_in_sync(struct table *table, struct slice cluster)
{
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        struct replica *replica = table->replicas[i];
        if (!slice_equal(buffer_slice(&replica->cluster_name), cluster)) continue;
        bool is_in_sync = true;
        for (uint32_t j = 0; j < table->tablet_count; j++) {
            if (!session_is_in_sync(replica->session, j)) is_in_sync = false;
        }
        if (is_in_sync) return replica;
    }
    return NULL;
}

// Finds one cluster with in-sync replicas of all tables, and sends the query there.
static struct error *select_replicated(
    struct machine *machine, struct request *request, struct table **tables, bool *ret_taken)
{
    const struct select_plan *plan = request->select;
    struct slice *paths = ARENA_NEW(&request->arena, struct slice, plan->path_count);
    bool may_wait = false;
    if (machine->coordinator.amnesia) return error_copy(machine->coordinator.amnesia);
    for (size_t i = 0; i < arr_count(tables[0]->replicas); i++) {
        struct slice cluster = buffer_slice(&tables[0]->replicas[i]->cluster_name);
        if (session_may_catch_up(tables[0]->replicas[i]->session)) may_wait = true;
        size_t found = 0;
        for (; found < plan->path_count; found++) {
            struct replica *replica = find_in_sync(tables[found], cluster);
            if (!replica) break;
            coordinator_hurry(&machine->coordinator, replica->session); // For decisions.
            paths[found] = arena_copy(&request->arena, buffer_slice(&replica->path));
            if (plan->path_count == 1) request->upstream_replica_id = replica->object->id;
        }
        if (found < plan->path_count) continue;
        for (size_t j = 0; j < plan->path_count; j++) {
            bool is_wide = plan->path_count > 1 || tables[j]->tablet_count > 1;
            give_timestamp(machine, request, tables[j], is_wide);
        }
        request->table_paths = paths;
        request->table_path_count = (uint32_t)plan->path_count;
        if (is_own_cluster(machine, cluster)) return NULL;
        *ret_taken = true;
        forward(machine, request, cluster);
        return NULL;
    }
    limit_wait(machine, request, machine->cell.options.sync_wait_us);
    if (may_wait && machine->cell.now_us < request->wait_until_us) {
        *ret_taken = true;
        coordinator_wait(&machine->coordinator, request);
        return NULL;
    }
    return no_common_cluster(plan);
}

static struct error *resolve_tables(
    struct machine *machine, struct request *request, struct table **tables)
{
    const struct select_plan *plan = request->select;
    for (size_t i = 0; i < plan->path_count; i++) {
        bool is_given = request->table_path_count > 0;
        struct slice path = is_given ? request->table_paths[i] : plan->paths[i];
        TRY(tree_resolve_table(&machine->cell.tree, &request->arena, path, &tables[i]));
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

bool machine_read_again(struct machine *machine, struct request *request, struct error *error)
{
    bool is_over = machine->cell.now_us >= request->deadline_us;
    if (!error_find(error, ERROR_RPC_UNAVAILABLE) || is_over ||
        request->forward_count >= FORWARD_COUNT_MAX) {
        request->error = error;
        return false;
    }
    error_free(error);
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

// -------------------------------------------------------------------------------------------------
// Requests

void machine_request(struct machine *machine, struct request *request)
{
    machine->request_count++;
    switch (request->kind) {
    case REQUEST_COMMAND: command_execute(machine, request); return;
    case REQUEST_COMMIT: machine_commit(machine, request); return;
    case REQUEST_LOOKUP: machine_lookup(machine, request); return;
    case REQUEST_SELECT: machine_select(machine, request); return;
    case REQUEST_START_TRANSACTION: machine_start_transaction(machine, request); return;
    case REQUEST_PING_TRANSACTION: machine_ping_transaction(machine, request); return;
    case REQUEST_ABORT_TRANSACTION: machine_abort_transaction(machine, request); return;
    case REQUEST_MODIFY: machine_modify(machine, request); return;
    }
}

struct error *request_write_output(struct request *request, struct buffer *output)
{
    const struct format *format = &request->output_format;
    if (request->output_kind != OUTPUT_ROWSET) {
        struct node *node = command_result(request);
        return node ? format_write_node(format, node, output) : NULL;
    }
    CLEANUP(arena_releasep) struct arena scratch = {0};
    size_t begin = 0;
    size_t block_count = arr_count(request->block_ends);
    for (size_t i = 0; i < MAX(block_count, (size_t)1); i++) {
        size_t end = block_count > 0 ? request->block_ends[i] : request->output.size;
        struct arena arena CLEANUP(arena_releasep) = {0};
        struct rowset rowset;
        TRY(rowset_decode(&arena, slice_from(request->output.data + begin, end - begin), &rowset));
        TRY(format_write_rows(&scratch, format, &rowset, output));
        begin = end;
    }
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Links and time

void machine_link_up(struct machine *machine, uint64_t link, struct slice cluster)
{
    coordinator_link_up(&machine->coordinator, link, cluster);
}

void machine_link_down(struct machine *machine, uint64_t link)
{
    coordinator_link_down(&machine->coordinator, link);
    receiver_link_down(&machine->sources, link);
}

void machine_receive(struct machine *machine, uint64_t link, struct message *message)
{
    switch (message->kind) {
    case MESSAGE_OPEN:
    case MESSAGE_RESOLVE:
    case MESSAGE_ROWS:
    case MESSAGE_DECIDE:
    case MESSAGE_PING:
    case MESSAGE_BEAT: receiver_receive(&machine->sources, link, message); break;
    case MESSAGE_HELLO:
    case MESSAGE_ACK:
    case MESSAGE_PONG:
    case MESSAGE_NACK: coordinator_receive(&machine->coordinator, link, message); break;
    }
    message_free(message);
}

void machine_tick(struct machine *machine, uint64_t now_us, uint64_t wall_us)
{
    struct cell *cell = &machine->cell;
    assert(now_us >= cell->now_us);
    cell->now_us = now_us;
    cell->wall_us = wall_us;
    cell_extend_ceiling(cell);
    cell_apply(cell);
    expire_transactions(machine);
    retention_tick(&machine->retention, cell, table_closed_timestamp);
}

// Tablets move on when nothing is undecided on them any more.
static void settle_tablets(struct machine *machine)
{
    struct cell *cell = &machine->cell;
    if (!machine->has_leaving_tablets) return;
    machine->has_leaving_tablets = false;
    for (struct tablet *tablet = cell->tree.tablets; tablet; tablet = tablet->hh.next) {
        bool is_leaving = tablet->state == TABLET_FREEZING || tablet->state == TABLET_UNMOUNTING;
        if (!is_leaving) continue;
        if (tablet->undecided_count > 0) {
            machine->has_leaving_tablets = true;
            continue;
        }
        tablet->state = tablet->state == TABLET_FREEZING ? TABLET_FROZEN : TABLET_UNMOUNTED;
        object_save(&cell->batch, tablet->table->object);
        for (size_t i = 0; i < arr_count(tablet->table->replicas); i++) {
            session_save_progress(cell, tablet->table->replicas[i]->session);
        }
        machine->coordinator.is_dirty = true;
    }
    cell_apply(cell);
}

static void retry(struct machine *machine, struct request *list)
{
    struct request *request = NULL;
    struct request *next = NULL;
    DL_FOREACH_SAFE (list, request, next) {
        request->next = NULL;
        request->prev = NULL;
        machine_request(machine, request);
    }
}

void machine_settle(struct machine *machine)
{
    if (machine->cell.fatal) return;
    coordinator_tick(&machine->coordinator);
    settle_tablets(machine);
    retry(machine, coordinator_take_ready(&machine->coordinator));
    retry(
        machine,
        waiting_reads_take(&machine->waiting_reads, &machine->sources, machine->cell.now_us));
    receiver_flush(&machine->sources);
    coordinator_flush(&machine->coordinator);
}

void machine_synced(struct machine *machine)
{
    cell_synced(&machine->cell);
}

uint64_t machine_wake_at_us(const struct machine *machine)
{
    const struct cell *cell = &machine->cell;
    uint64_t wake_at_us = coordinator_wake_at_us(&machine->coordinator);
    wake_at_us = MIN(wake_at_us, waiting_reads_wake_at_us(&machine->waiting_reads));
    wake_at_us = MIN(wake_at_us, machine->transactions_expire_at_us);
    wake_at_us = MIN(wake_at_us, machine->retention.step_at_us);
    wake_at_us = MIN(wake_at_us, cell->sync_at_us);
    return MIN(wake_at_us, cell->now_us + 1000000); // The ceiling of timestamps.
}

// -------------------------------------------------------------------------------------------------
// Peers

static struct object *clusters_node(const struct machine *machine)
{
    struct object *sys = object_child(machine->cell.tree.root, SLICE_OF("sys"));
    return sys ? object_child(sys, SLICE_OF("clusters")) : NULL;
}

// A node's value if it is a string; borrowed from the node, so short strings only: binary YSON has
// one byte of type and a varint length before the bytes.
static struct slice string_value(const struct object *object)
{
    struct reader reader = reader_from(buffer_slice(&object->value));
    if (get_u8(&reader) != 0x01) return slice_from("", 0);
    uint64_t size = get_varint(&reader);
    size = (size >> 1) ^ (~(size & 1) + 1); // Lengths are zigzag in binary YSON.
    struct slice bytes = get_raw(&reader, size);
    return reader.is_broken ? slice_from("", 0) : bytes;
}

struct slice machine_peer_address(const struct machine *machine, struct slice cluster)
{
    struct object *clusters = clusters_node(machine);
    struct object *node = clusters ? object_child(clusters, cluster) : NULL;
    if (!node) return slice_from("", 0);
    if (node->type == OBJECT_STRING_NODE) return string_value(node);
    struct object *address = object_child(node, SLICE_OF("address"));
    return address ? string_value(address) : slice_from("", 0);
}

struct peer_visit {
    const struct machine *machine;
    void (*visit)(void *context, struct slice cluster, struct slice address);
    void *context;
};

static void visit_cluster(void *context, struct slice cluster)
{
    const struct peer_visit *visit = context;
    visit->visit(visit->context, cluster, machine_peer_address(visit->machine, cluster));
}

void machine_each_peer(
    const struct machine *machine,
    void (*visit)(void *context, struct slice cluster, struct slice address),
    void *context)
{
    struct peer_visit all = {.machine = machine, .visit = visit, .context = context};
    coordinator_each_cluster(&machine->coordinator, visit_cluster, &all);
}

void machine_set_peer(struct machine *machine, struct slice cluster, struct slice address)
{
    struct cell *cell = &machine->cell;
    struct object *clusters = clusters_node(machine);
    if (!clusters || slice_equal(machine_peer_address(machine, cluster), address)) return;
    struct object *node = object_child(clusters, cluster);
    if (node) object_remove(&cell->tree, &cell->batch, node);
    node = object_new(&cell->tree, &cell->batch, OBJECT_MAP_NODE, clusters, cluster, cell->wall_us);
    struct object *leaf = object_new(
        &cell->tree, &cell->batch, OBJECT_STRING_NODE, node, SLICE_OF("address"), cell->wall_us);
    struct arena arena CLEANUP(arena_releasep) = {0};
    yson_print(node_string(&arena, address), YSON_BINARY, &leaf->value);
    object_save(&cell->batch, leaf);
    cell_apply_urgent(cell);
}
