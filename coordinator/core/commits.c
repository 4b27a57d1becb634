#include "coordinator/core/commits.h"

#include "base/coding.h"
#include "cluster/core/layout.h"
#include "cluster/core/subjects.h"
#include "coordinator/core/mutations.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "model/rowset.h"

#include <assert.h>

#define REPLICA_TEXT(replica) GUID_TEXT((replica)->object->id)

static struct slice table_path(struct arena *arena, const struct table *table)
{
    return object_path(arena, table->object);
}

// -------------------------------------------------------------------------------------------------
// Deciding

// Whether every replica in mode sync now has acknowledged the part, and there is one if there must
// be (C4). The set is never remembered: it is asked anew each time.
static bool is_part_covered(const struct commit_part *part)
{
    const struct table *table = part->tablet->table;
    size_t sync_count = 0;
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        const struct replica *replica = table->replicas[i];
        if (replica->mode != REPLICA_MODE_SYNC) continue;
        sync_count++;
        const struct session *session = replica->session;
        if (session->state != SESSION_OPEN) return false;
        if (session->tablets[part->tablet->index].feeder.tail.row_index < part->end.row_index) {
            return false;
        }
    }
    // A table without replicas is written to its log alone.
    return sync_count > 0 || !part->require_sync_replica || arr_count(table->replicas) == 0;
}

bool commits_cover(const struct commit_part *parts, uint32_t part_count)
{
    for (uint32_t i = 0; i < part_count; i++) {
        if (!is_part_covered(&parts[i])) return false;
    }
    return true;
}

static void free_commit(struct commit *commit)
{
    request_free(commit->request);
    error_free(commit->error);
    free(commit->parts);
    free(commit);
}

// Rows of ordinary tables become visible with the decision.
static void apply_local(struct coordinator *coordinator, struct commit *commit, bool is_committed)
{
    struct cell *cell = coordinator->cell;
    if (commit->local.tablet_count == 0) return;
    for (uint32_t i = 0; i < commit->local.tablet_count; i++) {
        const struct tablet_write *write = &commit->local.tablets[i];
        write->tablet->undecided_count--;
        if (!is_committed) continue;
        writes_apply(
            &cell->batch, write->tablet, write->changes, write->change_count, commit->timestamp);
    }
    if (commit->part_count == 0) return;
    struct layout_key key = layout_prepared(commit->timestamp);
    store_batch_remove(&cell->batch, STORE_META, layout_slice(&key));
}

// C5: settles the records, lets go of the rows, tells replicas and client, in one step.
static void decide(
    struct coordinator *coordinator, struct commit *commit, bool is_committed, struct error *error)
{
    struct cell *cell = coordinator->cell;
    for (uint32_t i = 0; i < commit->part_count; i++) {
        struct commit_part *part = &commit->parts[i];
        struct tablet *tablet = part->tablet;
        queue_decide(tablet->queue, part->end, is_committed);
        tablet->undecided_count--;
        struct table *table = tablet->table;
        if (is_committed) {
            table->counters.commit_row_count += part->row_count;
            table->counters.commit_data_weight += part->data_weight;
        }
        for (size_t j = 0; j < arr_count(table->replicas); j++) {
            session_decided(table->replicas[j]->session, tablet->index, part->end, is_committed);
        }
        coordinator_stir_table(coordinator, table);
    }
    for (uint32_t i = 0; i < commit->claim_count; i++) {
        const struct row_claim *claim = &commit->claims[i];
        row_locks_unlock(&cell->locks, claim->hash, claim->kind, commit->timestamp, is_committed);
    }
    apply_local(coordinator, commit, is_committed);
    bool is_alone = commit->part_count == 0;
    if (is_alone) {
        cell_apply_urgent(cell);
    } else {
        cell_apply(cell);
    }
    DL_DELETE(coordinator->commits, commit);
    coordinator->commit_count--;
    coordinator->commit_size -= commit->size;
    coordinator->is_dirty = true;
    struct request *request = TAKE(commit->request);
    request->commit_timestamp = is_committed ? commit->timestamp : 0;
    request->error = error;
    // The rows of a committed transaction are durable already; what the decision wrote may follow.
    cell_reply(cell, commit->lsn, request);
    free_commit(commit);
}

// Names the transaction, if it is not that of a single command.
static const char *transaction_text(struct arena *arena, const struct commit *commit)
{
    struct guid id = commit->request->transaction_id;
    return guid_is_null(id) ? "" : arena_print(arena, " %s", GUID_TEXT(id));
}

static struct error *late_error(const struct commit *commit)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct error *error = error_new(
        ERROR_SYNC_REPLICA_NOT_IN_SYNC,
        "Error committing transaction%s: it was aborted, since sync replicas did not confirm it in "
        "time",
        transaction_text(&arena, commit));
    for (uint32_t i = 0; i < commit->part_count; i++) {
        const struct table *table = commit->parts[i].tablet->table;
        bool has_sync = false;
        for (size_t j = 0; j < arr_count(table->replicas); j++) {
            const struct replica *replica = table->replicas[j];
            if (replica->mode != REPLICA_MODE_SYNC) continue;
            has_sync = true;
            struct error *inner = error_new(
                ERROR_SYNC_REPLICA_NOT_IN_SYNC,
                "Cannot write to sync replica %s since it is not in-sync yet",
                REPLICA_TEXT(replica));
            const struct error *cause =
                session_tablet_error(replica->session, commit->parts[i].tablet->index);
            if (cause) error_add_inner(inner, error_copy(cause));
            error_add_inner(error, inner);
        }
        if (!has_sync && commit->parts[i].require_sync_replica) {
            error_add_inner(
                error,
                error_new(
                    ERROR_NO_SYNC_REPLICAS,
                    "Table %.*s has no synchronous replicas and \"require_sync_replica\" option is "
                    "set",
                    SLICE(table_path(&arena, table))));
        }
    }
    return error;
}

// C6: from here on the transaction can only become aborted; it is, and is told, when this is
// durable.
static void begin_abort(struct coordinator *coordinator, struct commit *commit)
{
    assert(commit->state == COMMIT_PREPARED);
    struct cell *cell = coordinator->cell;
    for (uint32_t i = 0; i < commit->part_count; i++) {
        const struct commit_part *part = &commit->parts[i];
        queue_write_abort(part->tablet->queue, &cell->batch, part->end);
    }
    if (commit->local.tablet_count > 0) {
        struct layout_key key = layout_prepared(commit->timestamp);
        store_batch_remove(&cell->batch, STORE_META, layout_slice(&key));
    }
    // In the same batch: a mutation whose abort is durable must not be found as done after a
    // restart.
    mutations_forget(coordinator, commit->mutation_id);
    cell_apply_urgent(cell);
    commit->state = COMMIT_ABORTING;
    commit->lsn = cell->lsn;
}

bool coordinator_rows_refused(
    struct coordinator *coordinator,
    const struct replica *replica,
    const struct tablet *tablet,
    uint64_t row_index,
    const struct error *error)
{
    const struct record *record = queue_cached_at(tablet->queue, row_index);
    if (!record || record->state != RECORD_UNDECIDED || coordinator->amnesia) return false;
    struct commit *commit = record->commit;
    if (commit->state != COMMIT_PREPARED) return true;
    begin_abort(coordinator, commit);
    struct arena arena CLEANUP(arena_releasep) = {0};
    commit->error = error_wrap(
        error_copy(error),
        error_code(error),
        "Error committing transaction%s: sync replica %s refuses its rows",
        transaction_text(&arena, commit),
        REPLICA_TEXT(replica));
    return true;
}

static void evaluate_commit(struct coordinator *coordinator, struct commit *commit)
{
    struct cell *cell = coordinator->cell;
    if (commit->lsn > cell->durable_lsn) return;
    if (commit->state == COMMIT_ABORTING) {
        struct error *error = TAKE(commit->error);
        decide(coordinator, commit, false, error ? error : late_error(commit));
        return;
    }
    if (commits_cover(commit->parts, commit->part_count)) {
        decide(coordinator, commit, true, NULL);
    }
}

// M4: after each switch, each acknowledgement, each sync.
static void evaluate_commits(struct coordinator *coordinator)
{
    if (coordinator->amnesia) return;
    struct commit *commit = NULL;
    struct commit *next = NULL;
    DL_FOREACH_SAFE (coordinator->commits, commit, next) {
        // Commits are in the order of timestamps and LSNs; only aborts are out of it.
        if (commit->state == COMMIT_PREPARED && commit->lsn > coordinator->cell->durable_lsn)
            continue;
        evaluate_commit(coordinator, commit);
    }
}

static void abort_late_commits(struct coordinator *coordinator)
{
    uint64_t now_us = coordinator->cell->now_us;
    if (now_us < coordinator->next_deadline_us) return;
    coordinator->next_deadline_us = UINT64_MAX;
    struct commit *commit = NULL;
    DL_FOREACH (coordinator->commits, commit) {
        if (commit->state != COMMIT_PREPARED) continue;
        if (commit->deadline_us <= now_us && !coordinator->amnesia) {
            begin_abort(coordinator, commit);
        } else {
            uint64_t deadline_us = MAX(commit->deadline_us, now_us + 1);
            coordinator->next_deadline_us = MIN(coordinator->next_deadline_us, deadline_us);
        }
    }
}

struct commit *commits_find(const struct coordinator *coordinator, struct guid mutation_id)
{
    struct commit *commit = NULL;
    DL_FOREACH (coordinator->commits, commit) {
        if (guid_equal(commit->mutation_id, mutation_id)) return commit;
    }
    return NULL;
}

void commits_tick(struct coordinator *coordinator)
{
    evaluate_commits(coordinator);
    abort_late_commits(coordinator);
}

void commits_release(struct coordinator *coordinator)
{
    struct commit *commit = NULL;
    struct commit *next = NULL;
    DL_FOREACH_SAFE (coordinator->commits, commit, next) {
        DL_DELETE(coordinator->commits, commit);
        free_commit(commit);
    }
}

// -------------------------------------------------------------------------------------------------
// Preparing

static struct error *throttled_error(const struct coordinator *coordinator)
{
    struct error *error = error_new(
        ERROR_REQUEST_THROTTLED, "Too many transactions wait for replicas: try again later");
    error_set_u64(error, "commit_count", coordinator->commit_count);
    return error_set_u64(error, "commit_size", coordinator->commit_size);
}

// C1: courtesy, not safety. `*ret_may_wait`: whether waiting a little may help.
static struct error *check_replicas(const struct tablet_write *write, bool *ret_may_wait)
{
    const struct table *table = write->tablet->table;
    size_t sync_count = 0;
    *ret_may_wait = true;
    struct error *error = NULL;
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        const struct replica *replica = table->replicas[i];
        if (replica->mode != REPLICA_MODE_SYNC) continue;
        sync_count++;
        if (session_is_in_sync(replica->session, write->tablet->index)) continue;
        if (!session_may_catch_up(replica->session)) *ret_may_wait = false;
        if (error) continue;
        error = error_new(
            ERROR_SYNC_REPLICA_NOT_IN_SYNC,
            "Cannot write to sync replica %s since it is not in-sync yet",
            REPLICA_TEXT(replica));
        const struct error *cause = session_tablet_error(replica->session, write->tablet->index);
        if (cause) error_add_inner(error, error_copy(cause));
    }
    if (sync_count == 0 && write->require_sync_replica && arr_count(table->replicas) > 0) {
        *ret_may_wait = false;
        struct arena arena CLEANUP(arena_releasep) = {0};
        return error_new(
            ERROR_NO_SYNC_REPLICAS,
            "Table %.*s has no synchronous replicas and \"require_sync_replica\" option is set",
            SLICE(table_path(&arena, table)));
    }
    return error;
}

static struct error *check_conflicts(
    const struct cell *cell, const struct writes *writes, uint64_t start)
{
    for (uint32_t i = 0; i < writes->claim_count; i++) {
        const struct row_claim *claim = &writes->claims[i];
        uint64_t winner = 0;
        switch (row_locks_check(&cell->locks, claim->hash, claim->kind, start, &winner)) {
        case ROW_LOCK_OK: break;
        case ROW_LOCK_CONFLICT: {
            struct arena arena CLEANUP(arena_releasep) = {0};
            struct slice path = table_path(&arena, claim->table);
            struct error *error = error_new(
                ERROR_TRANSACTION_LOCK_CONFLICT, "Row lock conflict due to concurrent write");
            error_set_str(error, "table_path", arena_print(&arena, "%.*s", SLICE(path)));
            return error_set_u64(error, "winner_transaction_commit_timestamp", winner);
        }
        case ROW_LOCK_FORGOTTEN: {
            struct error *error = error_new(
                ERROR_TRANSACTION_LOCK_CONFLICT,
                "Row lock conflict cannot be ruled out: the transaction is older than the writes "
                "that are remembered. Begin it again");
            return error_set_u64(error, "start_timestamp", start);
        }
        }
    }
    return NULL;
}

static struct error *check_commit(
    const struct coordinator *coordinator,
    const struct writes *writes,
    uint64_t start,
    bool *ret_may_wait)
{
    *ret_may_wait = false;
    if (coordinator->amnesia) return error_copy(coordinator->amnesia);
    for (uint32_t i = 0; i < writes->tablet_count; i++) {
        if (!writes->tablets[i].tablet->queue) continue;
        TRY(check_replicas(&writes->tablets[i], ret_may_wait));
    }
    *ret_may_wait = false;
    TRY(check_conflicts(coordinator->cell, writes, start));
    if (coordinator->commit_count >= COMMIT_COUNT_MAX ||
        coordinator->commit_size >= COMMIT_SIZE_MAX) {
        return throttled_error(coordinator);
    }
    return NULL;
}

// Rows of ordinary tables in an undecided transaction, kept beside the replication log's records.
static void save_local(struct cell *cell, const struct writes *local, uint64_t timestamp)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_varint(&value, local->tablet_count);
    for (uint32_t i = 0; i < local->tablet_count; i++) {
        const struct tablet_write *write = &local->tablets[i];
        put_fixed64(&value, write->tablet->id.high);
        put_fixed64(&value, write->tablet->id.low);
        CLEANUP(buffer_releasep) struct buffer rows = {0};
        writes_encode(write->tablet->table->schema, write->changes, write->change_count, &rows);
        put_bytes(&value, buffer_slice(&rows));
    }
    struct layout_key key = layout_prepared(timestamp);
    store_batch_put(&cell->batch, STORE_META, layout_slice(&key), buffer_slice(&value));
}

static void lock_rows(struct cell *cell, const struct writes *writes, struct commit *commit)
{
    commit->claims = writes->claims;
    commit->claim_count = writes->claim_count;
    for (uint32_t i = 0; i < commit->claim_count; i++) {
        const struct row_claim *claim = &commit->claims[i];
        row_locks_lock(&cell->locks, claim->hash, claim->kind, commit->timestamp);
    }
}

static void append_part(struct cell *cell, const struct tablet_write *write, struct commit *commit)
{
    struct tablet *tablet = write->tablet;
    CLEANUP(buffer_releasep) struct buffer rows = {0};
    writes_encode(tablet->table->schema, write->changes, write->change_count, &rows);
    struct block *block = block_new(buffer_slice(&rows));
    commit->size += block->size;
    commit->parts[commit->part_count++] = (struct commit_part){
        .tablet = tablet,
        .end = queue_append(
            tablet->queue, &cell->batch, commit->timestamp, write->change_count, block, commit),
        .require_sync_replica = write->require_sync_replica,
        .row_count = write->change_count,
        .data_weight = write->data_weight,
    };
    block_release(block);
    tablet->undecided_count++;
    tablet->last_write_timestamp = commit->timestamp;
}

// Splits what a transaction writes into records for replication logs and rows of ordinary tables.
static void split_writes(
    struct cell *cell, struct arena *arena, const struct writes *writes, struct commit *commit)
{
    commit->parts = must_alloc(calloc(writes->tablet_count + 1, sizeof *commit->parts));
    commit->local.tablets = ARENA_NEW(arena, struct tablet_write, writes->tablet_count);
    for (uint32_t i = 0; i < writes->tablet_count; i++) {
        const struct tablet_write *write = &writes->tablets[i];
        write->tablet->table->counters.write_row_count += write->change_count;
        write->tablet->table->counters.write_data_weight += write->data_weight;
        if (write->tablet->queue) {
            append_part(cell, write, commit);
        } else {
            commit->local.tablets[commit->local.tablet_count++] = *write;
            write->tablet->undecided_count++;
        }
    }
}

// C2, C3: timestamp, row indexes and records in one step; one batch for all of it.
static void prepare(
    struct coordinator *coordinator,
    struct request *request,
    const struct writes *writes,
    uint64_t timestamp)
{
    struct cell *cell = coordinator->cell;
    uint64_t timeout_at_us = cell->now_us + cell->options.commit_timeout_us;
    struct commit *commit = must_alloc(calloc(1, sizeof *commit));
    commit->request = request;
    commit->mutation_id = request->mutation_id;
    if (!user_is_super(&cell->tree, request->user)) commit->user = request->user; // C9.
    commit->timestamp = timestamp;
    commit->deadline_us = MIN(request->deadline_us, timeout_at_us);
    lock_rows(cell, writes, commit);
    split_writes(cell, &request->arena, writes, commit);
    for (uint32_t i = 0; i < commit->part_count; i++)
        coordinator_stir_table(coordinator, commit->parts[i].tablet->table);
    if (commit->part_count > 0 && commit->local.tablet_count > 0) {
        save_local(cell, &commit->local, timestamp);
    }
    if (!guid_is_null(commit->mutation_id)) {
        mutations_save(coordinator, commit->mutation_id, commit);
    }
    bool is_alone = commit->part_count == 0; // Ordinary tables only: durable means committed.
    DL_APPEND(coordinator->commits, commit);
    coordinator->commit_count++;
    coordinator->commit_size += commit->size;
    coordinator->next_deadline_us = MIN(coordinator->next_deadline_us, commit->deadline_us);
    coordinator->is_dirty = true;
    if (is_alone) {
        // Locks alone leave nothing to be made durable.
        bool is_stored = cell->batch.count > 0 || commit->local.tablet_count > 0;
        commit->lsn = cell->lsn + is_stored;
        decide(coordinator, commit, true, NULL);
        return;
    }
    cell_apply_urgent(cell);
    commit->lsn = cell->lsn;
}

void coordinator_commit(
    struct coordinator *coordinator,
    struct request *request,
    const struct writes *writes,
    uint64_t start)
{
    struct cell *cell = coordinator->cell;
    bool may_wait = false;
    struct error *error = check_commit(coordinator, writes, start, &may_wait);
    if (error && may_wait && cell->now_us < request->wait_until_us) {
        error_free(error);
        coordinator_wait(coordinator, request);
        return;
    }
    if (!error && writes->tablet_count == 0 && writes->claim_count == 0) {
        request->commit_timestamp = timestamps_close(&cell->timestamps);
        cell_reply(cell, cell->lsn, request);
        return;
    }
    uint64_t timestamp = 0;
    if (!error) {
        timestamp = cell_timestamp(cell);
        if (timestamp == 0) error = error_new(ERROR_REQUEST_THROTTLED, "No timestamp is left now");
    }
    if (error && !guid_is_null(request->transaction_id)) {
        const char *id = GUID_TEXT(request->transaction_id);
        error = error_wrap(error, error_code(error), "Error committing transaction %s", id);
    }
    if (error) {
        cell_fail(cell, request, error);
        return;
    }
    prepare(coordinator, request, writes, timestamp);
}
