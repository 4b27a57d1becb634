#include "coordinator/core/coordinator.h"

#include "base/coding.h"
#include "cluster/core/layout.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "model/rowset.h"

#include <assert.h>

static const uint64_t TRIM_PERIOD_US = 1000000;
enum { TRIM_RECORD_COUNT_MAX = 20000 };

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

static bool are_parts_covered(const struct commit_part *parts, uint32_t part_count)
{
    for (uint32_t i = 0; i < part_count; i++) {
        if (!is_part_covered(&parts[i])) return false;
    }
    return true;
}

static void remember_mutation(
    struct coordinator *coordinator, struct guid id, uint64_t timestamp, bool is_command)
{
    struct mutation *mutation = must_alloc(calloc(1, sizeof *mutation));
    mutation->id = id;
    mutation->timestamp = timestamp;
    mutation->is_command = is_command;
    mutation->remembered_until_wall_us = coordinator->cell->wall_us + REMEMBERED_MUTATION_US;
    HASH_ADD(hh, coordinator->mutations, id, sizeof mutation->id, mutation);
}

static void forget_mutation(
    struct coordinator *coordinator, struct mutation *mutation, struct store_batch *batch)
{
    struct layout_key key = layout_mutation(mutation->timestamp);
    store_batch_remove(batch, STORE_META, layout_slice(&key));
    HASH_DEL(coordinator->mutations, mutation);
    free(mutation);
}

static void forget_old_mutations(struct coordinator *coordinator)
{
    struct cell *cell = coordinator->cell;
    while (coordinator->mutations) {
        struct mutation *oldest = coordinator->mutations;
        bool is_old = oldest->remembered_until_wall_us <= cell->wall_us;
        if (!is_old && HASH_COUNT(coordinator->mutations) <= REMEMBERED_MUTATION_COUNT_MAX) break;
        forget_mutation(coordinator, oldest, &cell->batch);
    }
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

static struct error *late_error(const struct commit *commit)
{
    struct error *error = error_new(
        ERROR_SYNC_REPLICA_NOT_IN_SYNC,
        "Error committing transaction: it was aborted, since sync replicas did not confirm it in "
        "time");
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
            struct arena arena CLEANUP(arena_releasep) = {0};
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
    struct mutation *mutation = NULL;
    HASH_FIND(hh, coordinator->mutations, &commit->mutation_id, sizeof(struct guid), mutation);
    if (mutation) forget_mutation(coordinator, mutation, &cell->batch);
    cell_apply_urgent(cell);
    commit->state = COMMIT_ABORTING;
    commit->lsn = cell->lsn;
}

void coordinator_rows_refused(
    struct coordinator *coordinator,
    const struct replica *replica,
    const struct tablet *tablet,
    uint64_t row_index,
    const struct error *error)
{
    const struct record *record = queue_cached_at(tablet->queue, row_index);
    if (!record || record->state != RECORD_UNDECIDED || coordinator->amnesia) return;
    struct commit *commit = record->commit;
    if (commit->state != COMMIT_PREPARED) return;
    begin_abort(coordinator, commit);
    commit->error = error_wrap(
        error_copy(error),
        error_code(error),
        "Error committing transaction: sync replica %s refuses its rows",
        REPLICA_TEXT(replica));
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
    if (are_parts_covered(commit->parts, commit->part_count)) {
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

// The record of a mutation: what it takes to answer its repetition (C7).
static void save_mutation(
    struct coordinator *coordinator, struct guid id, const struct commit *commit)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_fixed64(&value, id.high);
    put_fixed64(&value, id.low);
    put_fixed64(&value, coordinator->cell->wall_us);
    put_varint(&value, commit->part_count);
    for (uint32_t i = 0; i < commit->part_count; i++) {
        const struct commit_part *part = &commit->parts[i];
        put_fixed64(&value, part->tablet->id.high);
        put_fixed64(&value, part->tablet->id.low);
        put_fixed64(&value, part->end.row_index);
        put_fixed64(&value, part->end.timestamp);
        put_u8(&value, part->require_sync_replica);
    }
    // By timestamp, not by id: keys that grow are cheap to insert.
    struct layout_key key = layout_mutation(commit->timestamp);
    store_batch_put(
        &coordinator->cell->batch, STORE_META, layout_slice(&key), buffer_slice(&value));
    remember_mutation(coordinator, id, commit->timestamp, false);
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
    commit->timestamp = timestamp;
    commit->deadline_us = MIN(request->deadline_us, timeout_at_us);
    lock_rows(cell, writes, commit);
    split_writes(cell, &request->arena, writes, commit);
    if (commit->part_count > 0 && commit->local.tablet_count > 0) {
        save_local(cell, &commit->local, timestamp);
    }
    if (!guid_is_null(commit->mutation_id)) {
        save_mutation(coordinator, commit->mutation_id, commit);
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
    if (error) {
        cell_fail(cell, request, error);
        return;
    }
    prepare(coordinator, request, writes, timestamp);
}

// -------------------------------------------------------------------------------------------------
// Repeated requests

static struct commit *find_commit(const struct coordinator *coordinator, struct guid mutation_id)
{
    struct commit *commit = NULL;
    DL_FOREACH (coordinator->commits, commit) {
        if (guid_equal(commit->mutation_id, mutation_id)) return commit;
    }
    return NULL;
}

static struct error *load_mutation(
    const struct coordinator *coordinator,
    struct arena *arena,
    uint64_t timestamp,
    struct commit_part **ret_parts,
    uint32_t *ret_part_count)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    struct layout_key key = layout_mutation(timestamp);
    bool is_found = false;
    TRY(store_get(
        coordinator->cell->store, NULL, STORE_META, layout_slice(&key), &value, &is_found));
    struct reader reader = reader_from(buffer_slice(&value));
    get_fixed64(&reader); // The id.
    get_fixed64(&reader);
    get_fixed64(&reader); // When.
    uint64_t count = get_varint(&reader);
    if (count > value.size) return error_new(ERROR_GENERIC, "Outcome of a mutation is malformed");
    *ret_parts = ARENA_NEW(arena, struct commit_part, count);
    *ret_part_count = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct guid tablet_id;
        tablet_id.high = get_fixed64(&reader);
        tablet_id.low = get_fixed64(&reader);
        struct commit_part part = {.tablet = tree_find_tablet(&coordinator->cell->tree, tablet_id)};
        part.end.row_index = get_fixed64(&reader);
        part.end.timestamp = get_fixed64(&reader);
        part.require_sync_replica = get_u8(&reader) != 0;
        // A table that is gone since has no replicas to wait for.
        if (part.tablet && part.tablet->queue) (*ret_parts)[(*ret_part_count)++] = part;
    }
    return reader_finish(&reader, "Outcome of a mutation");
}

struct error *coordinator_repeat(
    struct coordinator *coordinator, struct request *request, bool *ret_taken)
{
    struct cell *cell = coordinator->cell;
    *ret_taken = false;
    if (guid_is_null(request->mutation_id)) return NULL;
    struct mutation *mutation = NULL;
    HASH_FIND(hh, coordinator->mutations, &request->mutation_id, sizeof(struct guid), mutation);
    if (!mutation) return NULL;
    if (mutation->is_command) {
        return error_new(
            ERROR_GENERIC,
            "Mutation id %s is that of another request",
            GUID_TEXT(request->mutation_id));
    }

    uint64_t timestamp = mutation->timestamp;
    struct commit_part *parts = NULL;
    uint32_t part_count = 0;
    TRY(load_mutation(coordinator, &request->arena, timestamp, &parts, &part_count));
    bool is_undecided = find_commit(coordinator, request->mutation_id) != NULL;
    *ret_taken = true;
    // C7: a record that recovery made committed may still be on no replica.
    if (!is_undecided && !coordinator->amnesia && are_parts_covered(parts, part_count)) {
        request->commit_timestamp = timestamp;
        cell_reply(cell, cell->lsn, request);
        return NULL;
    }
    uint64_t limit_us = MIN(request->deadline_us, cell->now_us + cell->options.commit_timeout_us);
    if (request->wait_until_us < limit_us && request->wait_sequence == 0) {
        request->wait_until_us = limit_us;
        request->wait_sequence = 1;
    }
    if (cell->now_us < request->wait_until_us) {
        coordinator_wait(coordinator, request);
        return NULL;
    }
    struct error *error = error_new(
        ERROR_TIMEOUT,
        "Outcome of the repeated transaction is unknown: its sync replicas have not confirmed it "
        "yet");
    cell_fail(cell, request, error_set_str(error, "outcome", "unknown"));
    return NULL;
}

struct error *coordinator_find_answer(
    struct coordinator *coordinator,
    struct arena *arena,
    struct guid mutation_id,
    struct slice *ret_answer)
{
    struct mutation *mutation = NULL;
    *ret_answer = slice_from("", 0);
    HASH_FIND(hh, coordinator->mutations, &mutation_id, sizeof mutation_id, mutation);
    if (!mutation || !mutation->is_command) return NULL;
    CLEANUP(buffer_releasep) struct buffer value = {0};
    struct layout_key key = layout_mutation(mutation->timestamp);
    bool is_found = false;
    TRY(store_get(
        coordinator->cell->store, NULL, STORE_META, layout_slice(&key), &value, &is_found));
    struct reader reader = reader_from(buffer_slice(&value));
    get_raw(&reader, 3 * sizeof(uint64_t)); // The id, and when.
    get_varint(&reader);
    *ret_answer = arena_copy(arena, get_bytes(&reader));
    return reader_finish(&reader, "Outcome of a mutation");
}

void coordinator_keep_answer(
    struct coordinator *coordinator,
    struct guid mutation_id,
    uint64_t timestamp,
    struct slice answer)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_fixed64(&value, mutation_id.high);
    put_fixed64(&value, mutation_id.low);
    put_fixed64(&value, coordinator->cell->wall_us);
    put_varint(&value, 0); // It has no positions.
    put_bytes(&value, answer);
    struct layout_key key = layout_mutation(timestamp);
    store_batch_put(
        &coordinator->cell->batch, STORE_META, layout_slice(&key), buffer_slice(&value));
    remember_mutation(coordinator, mutation_id, timestamp, true);
}

// -------------------------------------------------------------------------------------------------
// Reads, and waiting

struct error *coordinator_choose_replica(
    struct coordinator *coordinator,
    struct table *table,
    uint32_t tablet_index,
    struct replica **ret_replica,
    bool *ret_may_wait)
{
    *ret_may_wait = false;
    if (coordinator->amnesia) return error_copy(coordinator->amnesia);
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        struct replica *replica = table->replicas[i];
        bool is_in_sync = true;
        for (uint32_t j = 0; j < table->tablet_count; j++) {
            if (tablet_index != UINT32_MAX && j != tablet_index) continue;
            if (!session_is_in_sync(replica->session, j)) is_in_sync = false;
        }
        if (is_in_sync) {
            replica->session->is_hurried = true; // The read would wait for decisions.
            *ret_replica = replica;
            return NULL;
        }
        if (session_may_catch_up(replica->session)) *ret_may_wait = true;
    }
    struct arena arena CLEANUP(arena_releasep) = {0};
    return error_new(
        ERROR_NO_IN_SYNC_REPLICAS,
        "No in-sync replicas found for table %.*s",
        SLICE(table_path(&arena, table)));
}

void coordinator_wait(struct coordinator *coordinator, struct request *request)
{
    DL_APPEND(coordinator->waiting, request);
}

struct request *coordinator_take_ready(struct coordinator *coordinator)
{
    bool is_time = false;
    const struct request *request = NULL;
    DL_FOREACH (coordinator->waiting, request) {
        if (request->wait_until_us <= coordinator->cell->now_us) is_time = true;
    }
    if (!coordinator->is_dirty && !is_time) return NULL;
    coordinator->is_dirty = false;
    return TAKE(coordinator->waiting);
}

// -------------------------------------------------------------------------------------------------
// Life of objects

struct error *coordinator_table_added(struct coordinator *coordinator, struct table *table)
{
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        struct tablet *tablet = &table->tablets[i];
        assert(!tablet->queue);
        struct queue *queue = must_alloc(calloc(1, sizeof *queue));
        tablet->queue = queue;
        TRY(queue_init(queue, coordinator->cell->store, tablet->number));
        tablet->last_write_timestamp = queue->end.timestamp;
    }
    arr_add(coordinator->tables, table);
    return NULL;
}

void coordinator_table_removing(struct coordinator *coordinator, struct table *table)
{
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        coordinator_replica_removing(coordinator, table->replicas[i]);
    }
    for (size_t i = 0; i < arr_count(coordinator->tables); i++) {
        if (coordinator->tables[i] != table) continue;
        arr_remove(coordinator->tables, i);
        break;
    }
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        struct tablet *tablet = &table->tablets[i];
        assert(tablet->undecided_count == 0);
        if (!tablet->queue) continue;
        queue_release(tablet->queue);
        free(TAKE(tablet->queue));
    }
}

struct error *coordinator_replica_added(struct coordinator *coordinator, struct replica *replica)
{
    coordinator_stir(coordinator);
    TRY(session_new(coordinator->cell, replica, &replica->session));
    arr_add(coordinator->sessions, replica->session);
    coordinator->is_dirty = true;
    return NULL;
}

void coordinator_replica_removing(struct coordinator *coordinator, struct replica *replica)
{
    coordinator_stir(coordinator);
    replica->session->is_hurried = true; // It is told at once what it has not heard (M5).
    session_feed(coordinator, replica->session);
    for (size_t i = 0; i < arr_count(coordinator->sessions); i++) {
        if (coordinator->sessions[i] == replica->session) {
            arr_remove(coordinator->sessions, i);
            break;
        }
    }
    session_free(TAKE(replica->session));
    coordinator->is_dirty = true;
}

void coordinator_table_changed(struct coordinator *coordinator, struct table *table)
{
    coordinator_stir(coordinator);
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        struct session *session = table->replicas[i]->session;
        struct throttler_config config = {
            .limit = table->settings.throttler_limit,
            .period_us = table->settings.throttler_period_ms * 1000,
        };
        for (uint32_t j = 0; j < session->tablet_count; j++) {
            struct throttler *throttler = &session->tablets[j].feeder.throttler;
            if (throttler->config.limit == config.limit &&
                throttler->config.period_us == config.period_us) {
                continue;
            }
            // The settings were checked when they were read.
            error_free(throttler_init(throttler, &config, coordinator->cell->now_us));
        }
        session_adjust(coordinator, session);
        if (session->state == SESSION_CLOSED) {
            session->retry_at_us = coordinator->cell->now_us;
            session->failure_count = 0;
        }
        if (table->replicas[i]->state != REPLICA_STATE_ENABLED) session_clear_errors(session);
    }
    coordinator->is_dirty = true;
    coordinator->tracker.is_dirty = true;
}

// -------------------------------------------------------------------------------------------------
// Links and messages

static void each_replica(
    struct coordinator *coordinator,
    void (*visit)(struct coordinator *coordinator, struct session *session, void *context),
    void *context)
{
    for (size_t i = 0; i < arr_count(coordinator->sessions); i++) {
        visit(coordinator, coordinator->sessions[i], context);
    }
}

static void on_peer_up(struct coordinator *coordinator, struct session *session, void *context)
{
    const struct peer *peer = context;
    if (!slice_equal(buffer_slice(&session->replica->cluster_name), peer->cluster)) return;
    session->retry_at_us = coordinator->cell->now_us;
}

void coordinator_link_up(struct coordinator *coordinator, uint64_t link, struct slice cluster)
{
    coordinator_stir(coordinator);
    struct peer *peer = coordinator_peer(coordinator, cluster);
    if (peer)
        coordinator_link_down(coordinator, peer->link); // Its end comes later, and means nothing.
    peer = must_alloc(calloc(1, sizeof *peer));
    char *name = must_alloc(malloc(cluster.size + 1));
    memcpy(name, cluster.data, cluster.size);
    peer->cluster = slice_from(name, cluster.size);
    peer->link = link;
    peer->heard_at_us = coordinator->cell->now_us;
    HASH_ADD_KEYPTR(hh, coordinator->peers, peer->cluster.data, peer->cluster.size, peer);
    coordinator->tracker.is_dirty = true;
    each_replica(coordinator, on_peer_up, peer);
    coordinator->is_dirty = true;
}

struct peer *coordinator_peer(const struct coordinator *coordinator, struct slice cluster)
{
    struct peer *peer = NULL;
    HASH_FIND(hh, coordinator->peers, cluster.data, cluster.size, peer);
    return peer;
}

static void free_peer(struct coordinator *coordinator, struct peer *peer)
{
    HASH_DEL(coordinator->peers, peer);
    free((void *)(uintptr_t)peer->cluster.data);
    free(peer);
}

static void on_peer_down(struct coordinator *coordinator, struct session *session, void *context)
{
    const uint64_t *link = context;
    if (session->state == SESSION_CLOSED || session->link != *link) return;
    struct error *error = error_new(
        ERROR_RPC_UNAVAILABLE,
        "Connection to replica cluster \"%.*s\" is lost",
        SLICE(buffer_slice(&session->replica->cluster_name)));
    session_fail(coordinator, session, error); // S7.
}

void coordinator_link_down(struct coordinator *coordinator, uint64_t link)
{
    coordinator_stir(coordinator);
    struct peer *peer = NULL;
    struct peer *next = NULL;
    HASH_ITER (hh, coordinator->peers, peer, next) {
        if (peer->link == link) free_peer(coordinator, peer);
    }
    each_replica(coordinator, on_peer_down, &link);
    coordinator->is_dirty = true;
    coordinator->tracker.is_dirty = true;
}

void coordinator_receive(
    struct coordinator *coordinator, uint64_t link, const struct message *message)
{
    tracker_heard(coordinator, link, message);
    if (message->kind == MESSAGE_PONG) return;
    coordinator_stir(coordinator);
    struct object *object = tree_find(&coordinator->cell->tree, message->replica_id);
    if (!object || !object->replica || !object->replica->session) return; // Removed meanwhile.
    if (object->replica->session->link != link) return;                   // S2.
    session_receive(coordinator, object->replica->session, message);
}

void coordinator_each_cluster(
    const struct coordinator *coordinator,
    void (*visit)(void *context, struct slice cluster),
    void *context)
{
    for (struct object *o = coordinator->cell->tree.objects; o; o = o->hh.next) {
        if (!o->replica || !o->replica->was_ever_enabled) continue;
        visit(context, buffer_slice(&o->replica->cluster_name));
    }
}

// -------------------------------------------------------------------------------------------------
// Trimming

// The log up to here is not needed by any replica, whatever its mode and state (Q4).
static uint64_t needless_row_index(const struct tablet *tablet)
{
    const struct table *table = tablet->table;
    uint64_t row_index = UINT64_MAX;
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        const struct session *session = table->replicas[i]->session;
        row_index = MIN(row_index, session->tablets[tablet->index].progress.row_index);
    }
    return row_index;
}

static struct error *trim_tablet(struct coordinator *coordinator, struct tablet *tablet)
{
    struct cell *cell = coordinator->cell;
    const struct table *table = tablet->table;
    if (arr_count(table->replicas) == 0 || !tablet_is_active(tablet)) return NULL;
    uint64_t row_index = needless_row_index(tablet);
    uint64_t ttl_us = table->settings.min_replication_log_ttl_ms * 1000;
    uint64_t timestamp_max = 0;
    if (cell->wall_us >= ttl_us) timestamp_max = timestamp_from_wall_us(cell->wall_us - ttl_us);
    if (tablet->freed_row_index > tablet->queue->trimmed.row_index) {
        row_index = MIN(row_index, tablet->freed_row_index);
        timestamp_max = TIMESTAMP_MAX;
    }
    bool is_trimmed = false;
    TRY(queue_trim(
        tablet->queue, &cell->batch, row_index, timestamp_max, TRIM_RECORD_COUNT_MAX, &is_trimmed));
    if (!is_trimmed) return NULL;
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        session_save_progress(cell, table->replicas[i]->session);
    }
    return NULL;
}

void coordinator_log_freed(struct coordinator *coordinator, struct table *table)
{
    for (uint32_t i = 0; i < table->tablet_count && arr_count(table->replicas) > 0; i++) {
        table->tablets[i].freed_row_index = needless_row_index(&table->tablets[i]);
    }
    coordinator->next_trim_us = coordinator->cell->now_us;
}

static void trim(struct coordinator *coordinator)
{
    struct cell *cell = coordinator->cell;
    if (cell->now_us < coordinator->next_trim_us || coordinator->amnesia) return;
    coordinator->next_trim_us = cell->now_us + TRIM_PERIOD_US;
    for (struct tablet *tablet = cell->tree.tablets; tablet; tablet = tablet->hh.next) {
        if (!tablet->queue) continue;
        struct error *error = trim_tablet(coordinator, tablet);
        if (error && !cell->fatal) cell->fatal = TAKE(error);
        error_free(error);
    }
    forget_old_mutations(coordinator);
    cell_apply(cell);
}

// -------------------------------------------------------------------------------------------------
// Turns

// A replica is disabled once nothing is on its way to it any more, so that its indexes are exact.
static void settle_disabling(struct coordinator *coordinator, struct session *session)
{
    struct replica *replica = session->replica;
    if (replica->state != REPLICA_STATE_DISABLING) return;
    for (uint32_t i = 0; session->state == SESSION_OPEN && i < session->tablet_count; i++) {
        const struct feeder *feeder = &session->tablets[i].feeder;
        if (feeder->tail.row_index < feeder->sent.row_index) return;
    }
    replica->state = REPLICA_STATE_DISABLED;
    session_save_progress(coordinator->cell, session);
    object_save(&coordinator->cell->batch, replica->object);
    cell_apply(coordinator->cell);
}

static void open_session(struct coordinator *coordinator, struct session *session, void *context)
{
    (void)context;
    settle_disabling(coordinator, session);
    session_open(coordinator, session);
}

static void feed_session(struct coordinator *coordinator, struct session *session, void *context)
{
    (void)context;
    session_feed(coordinator, session);
    uint64_t wake_at_us = session_wake_at_us(session);
    coordinator->sessions_wake_at_us = MIN(coordinator->sessions_wake_at_us, wake_at_us);
}

static bool are_sessions_due(const struct coordinator *coordinator)
{
    return coordinator->are_sessions_dirty ||
           coordinator->cell->now_us >= coordinator->sessions_wake_at_us;
}

void coordinator_tick(struct coordinator *coordinator)
{
    tracker_tick(coordinator); // First: what it changes may decide what waits (M4).
    evaluate_commits(coordinator);
    abort_late_commits(coordinator);
    if (are_sessions_due(coordinator)) each_replica(coordinator, open_session, NULL);
    trim(coordinator);
}

void coordinator_flush(struct coordinator *coordinator)
{
    if (!are_sessions_due(coordinator)) return;
    coordinator->are_sessions_dirty = false;
    coordinator->sessions_wake_at_us = UINT64_MAX;
    each_replica(coordinator, feed_session, NULL);
}

uint64_t coordinator_wake_at_us(const struct coordinator *coordinator)
{
    if (coordinator->amnesia) return UINT64_MAX; // Nothing goes on but refusals.
    uint64_t wake_at_us = MIN(coordinator->next_deadline_us, coordinator->next_trim_us);
    wake_at_us = MIN(wake_at_us, tracker_wake_at_us(coordinator));
    wake_at_us = MIN(wake_at_us, coordinator->sessions_wake_at_us);
    const struct request *request = NULL;
    DL_FOREACH (coordinator->waiting, request) wake_at_us = MIN(wake_at_us, request->wait_until_us);
    return wake_at_us;
}

// -------------------------------------------------------------------------------------------------
// Recovery

static struct error *begin_epoch(struct coordinator *coordinator) // E1.
{
    struct cell *cell = coordinator->cell;
    CLEANUP(buffer_releasep) struct buffer value = {0};
    bool is_found = false;
    TRY(cell_get(cell, "epoch", &value, &is_found));
    uint64_t number = 0;
    if (is_found) {
        struct reader reader = reader_from(buffer_slice(&value));
        number = get_fixed64(&reader);
        TRY(reader_finish(&reader, "Epoch"));
    }
    coordinator->epoch.number = number + 1;
    coordinator->epoch.incarnation = cell->options.incarnation;
    buffer_clear(&value);
    put_fixed64(&value, coordinator->epoch.number);
    struct layout_key key = layout_cell("epoch");
    store_batch_put(&cell->batch, STORE_META, layout_slice(&key), buffer_slice(&value));
    return NULL;
}

// Rows of ordinary tables whose transaction has no abort record: it is committed (R1).
static struct error *apply_prepared(struct cell *cell, struct slice key, struct slice value)
{
    struct reader key_reader = reader_from(slice_from(key.data + 1, key.size - 1));
    uint64_t timestamp = get_big64(&key_reader);
    TRY(reader_finish(&key_reader, "Key of prepared rows"));
    struct reader reader = reader_from(value);
    uint64_t count = get_varint(&reader);
    for (uint64_t i = 0; i < count && !reader.is_broken; i++) {
        struct guid tablet_id;
        tablet_id.high = get_fixed64(&reader);
        tablet_id.low = get_fixed64(&reader);
        struct slice rows = get_bytes(&reader);
        struct tablet *tablet = tree_find_tablet(&cell->tree, tablet_id);
        if (!tablet || reader.is_broken) continue;
        struct arena arena CLEANUP(arena_releasep) = {0};
        struct row_change *changes = NULL;
        uint32_t change_count = 0;
        TRY(writes_decode(&arena, tablet->table, rows, &changes, &change_count));
        writes_apply(&cell->batch, tablet, changes, change_count, timestamp);
    }
    store_batch_remove(&cell->batch, STORE_META, key);
    return reader_finish(&reader, "Prepared rows");
}

static struct error *recover_prepared(struct cell *cell)
{
    struct layout_key begin = layout_prefix(layout_prepared(0), 1);
    struct layout_key end = layout_after(begin);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_iterator_new(cell->store, NULL, STORE_META, layout_slice(&begin), layout_slice(&end));
    for (store_iterator_seek(iterator, layout_slice(&begin)); store_iterator_is_valid(iterator);
         store_iterator_next(iterator)) {
        TRY(apply_prepared(cell, store_iterator_key(iterator), store_iterator_value(iterator)));
    }
    return store_iterator_error(iterator);
}

static struct error *load_mutations(struct coordinator *coordinator)
{
    struct cell *cell = coordinator->cell;
    struct layout_key begin = layout_prefix(layout_mutation(0), 1);
    struct layout_key end = layout_after(begin);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_iterator_new(cell->store, NULL, STORE_META, layout_slice(&begin), layout_slice(&end));
    for (store_iterator_seek(iterator, layout_slice(&begin)); store_iterator_is_valid(iterator);
         store_iterator_next(iterator)) {
        struct slice key = store_iterator_key(iterator);
        struct reader key_reader = reader_from(slice_from(key.data + 1, key.size - 1));
        uint64_t timestamp = get_big64(&key_reader);
        struct reader reader = reader_from(store_iterator_value(iterator));
        struct guid id;
        id.high = get_fixed64(&reader);
        id.low = get_fixed64(&reader);
        get_fixed64(&reader); // When.
        bool is_command = get_varint(&reader) == 0 && reader.rest.size > 0;
        if (reader.is_broken) return error_new(ERROR_GENERIC, "Outcome of a mutation is malformed");
        remember_mutation(coordinator, id, timestamp, is_command);
    }
    return store_iterator_error(iterator);
}

struct error *coordinator_init(struct coordinator *coordinator, struct cell *cell)
{
    *coordinator = (struct coordinator){
        .cell = cell,
        .next_deadline_us = UINT64_MAX,
        .next_trim_us = cell->now_us + TRIM_PERIOD_US,
        .is_dirty = true,
    };
    TRY(begin_epoch(coordinator));
    TRY(recover_prepared(cell));
    TRY(load_mutations(coordinator));
    TRY(tracker_init(coordinator));
    for (struct object *o = cell->tree.objects; o; o = o->hh.next) {
        if (o->table && o->table->is_replicated)
            TRY(coordinator_table_added(coordinator, o->table));
    }
    for (struct object *o = cell->tree.objects; o; o = o->hh.next) {
        if (o->replica) TRY(coordinator_replica_added(coordinator, o->replica));
    }
    return NULL;
}

void coordinator_release(struct coordinator *coordinator)
{
    struct commit *commit = NULL;
    struct commit *next_commit = NULL;
    DL_FOREACH_SAFE (coordinator->commits, commit, next_commit) {
        DL_DELETE(coordinator->commits, commit);
        free_commit(commit);
    }
    struct request *request = NULL;
    struct request *next_request = NULL;
    DL_FOREACH_SAFE (coordinator->waiting, request, next_request) {
        DL_DELETE(coordinator->waiting, request);
        request_free(request);
    }
    arr_free(coordinator->sessions);
    arr_free(coordinator->tables);
    while (coordinator->mutations) {
        struct mutation *mutation = coordinator->mutations;
        HASH_DEL(coordinator->mutations, mutation);
        free(mutation);
    }
    while (coordinator->peers) free_peer(coordinator, coordinator->peers);
    if (coordinator->cell) {
        for (struct object *o = coordinator->cell->tree.objects; o; o = o->hh.next) {
            if (o->replica) session_free(TAKE(o->replica->session));
            if (!o->table) continue;
            for (uint32_t i = 0; i < o->table->tablet_count; i++) {
                struct tablet *tablet = &o->table->tablets[i];
                if (!tablet->queue) continue;
                queue_release(tablet->queue);
                free(TAKE(tablet->queue));
            }
        }
    }
    error_free(TAKE(coordinator->amnesia));
}
