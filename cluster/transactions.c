// Tablet transactions: begun, collecting modifications, committed or expired. Master transactions.
#include "cluster/machine.h"

#include "cluster/commands/commands.h"

static void free_transaction(struct machine *machine, struct transaction *transaction)
{
    HASH_DEL(machine->transactions, transaction);
    if (transaction->is_master) node_locks_release(machine, transaction->id);
    arr_free(transaction->modifications);
    arena_release(&transaction->arena);
    free(transaction);
}

void machine_free_transactions(struct machine *machine)
{
    while (machine->transactions) free_transaction(machine, machine->transactions);
}

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

void machine_touch_transaction(struct machine *machine, struct transaction *transaction)
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
    machine_touch_transaction(machine, transaction);
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
    if (transaction) machine_touch_transaction(machine, transaction);
    cell_reply(&machine->cell, 0, request);
}

void machine_abort_transaction(struct machine *machine, struct request *request)
{
    struct transaction *transaction = NULL;
    request->error = find_transaction(machine, request->transaction_id, &transaction);
    if (transaction) free_transaction(machine, transaction);
    reply_kept(machine, request);
}

void machine_expire_transactions(struct machine *machine)
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
        request->user,
        request->modifications,
        request->modification_count,
        &writes));
    for (uint32_t i = 0; i < request->modification_count; i++) {
        struct modification copy =
            copy_modification(&transaction->arena, &request->modifications[i]);
        arr_add(transaction->modifications, copy);
    }
    machine_touch_transaction(machine, transaction);
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
        request->user,
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
    cell_limit_wait(&machine->cell, request, machine->cell.options.sync_wait_us);
    uint64_t start = request->start_timestamp ? request->start_timestamp : ROW_LOCKS_LATEST;
    coordinator_commit(&machine->coordinator, request, &writes, start);
}
