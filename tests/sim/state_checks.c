#include "tests/sim/state_checks.h"

#include "base/coding.h"
#include "cluster/core/layout.h"
#include "cluster/reads.h"
#include "coordinator/core/commits.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "replica_node/core/source.h"
#include "tests/sim/operator.h"

#include <assert.h>
#include <inttypes.h>

enum { TABLE_COUNT = 2, REPLICA_COUNT = 2, LOG_COUNT_MAX = 2 };

struct tablet_past { // The last seen.
    struct position decided[REPLICA_COUNT];
    uint64_t trimmed;
    uint64_t frozen_end; // Of the log while the tablet was frozen; UINT64_MAX if it was not.
};

struct promise { // To what a replica listens, as far as it would survive a crash.
    struct guid replica_id;
    uint32_t node;
    uint64_t epoch;
};

struct state_checks {
    struct tablet_past tablets[TABLE_COUNT][LOG_COUNT_MAX];
    uint64_t late; // The timestamp of a transaction beyond its deadline after the last turn, or 0.
    uint64_t revisions[TABLE_COUNT]; // Of modes when the meta-cluster's turn began.
    struct promise *promises;        // stb array.
};

// The queue or the list, which were created first; NULL if there is none yet, or the node is down.
static struct table *logged_table(const struct world *world, size_t index)
{
    const struct machine *machine = world->hosts[META].machine;
    if (!machine || arr_count(machine->coordinator.tables) <= index) return NULL;
    return machine->coordinator.tables[index];
}

void state_checks_begin(struct world *world)
{
    world->state_checks = must_alloc(calloc(1, sizeof *world->state_checks));
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        for (size_t i = 0; i < LOG_COUNT_MAX; i++)
            world->state_checks->tablets[t][i].frozen_end = UINT64_MAX;
    }
}

void state_checks_release(struct world *world)
{
    if (world->state_checks) arr_free(world->state_checks->promises);
    free(TAKE(world->state_checks));
}

// -------------------------------------------------------------------------------------------------
// What is acknowledged

static uint32_t node_of(const struct replica *replica)
{
    return slice_equal_text(buffer_slice(&replica->cluster_name), "first") ? 1 : 2;
}

static const struct record *queue_record(const struct queue *queue, size_t i)
{
    return &queue->records[(queue->record_begin + i) & (queue->record_capacity - 1)];
}

bool state_checks_durable_position(
    struct world *world,
    uint32_t node,
    struct guid replica_id,
    struct guid tablet_id,
    struct position *ret_tail,
    struct position *ret_decided)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    struct layout_key key = layout_source(replica_id, tablet_id);
    struct store *store = world->hosts[node].store;
    if (!memory_store_get_durable(store, STORE_META, layout_slice(&key), &value)) return false;
    struct reader reader = reader_from(buffer_slice(&value));
    ret_tail->row_index = get_fixed64(&reader);
    ret_tail->timestamp = get_fixed64(&reader);
    ret_decided->row_index = get_fixed64(&reader);
    ret_decided->timestamp = get_fixed64(&reader);
    return true;
}

void state_checks_on_turn_begin(struct world *world, uint32_t node)
{
    for (size_t t = 0; node == META && t < TABLE_COUNT; t++) {
        const struct table *table = logged_table(world, t);
        if (table) world->state_checks->revisions[t] = table->mode_revision;
    }
}

// Whether modes have changed in this turn of the meta-cluster: then those by which something was
// decided may not be these.
static bool are_modes_new(struct world *world, const struct table *table)
{
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        if (table != logged_table(world, t)) continue;
        return table->mode_revision != world->state_checks->revisions[t];
    }
    return true;
}

// ack-durable, ack-has-sync: at the moment of the answer.
void state_checks_on_commit(
    struct world *world,
    struct tablet *tablet,
    uint64_t timestamp,
    bool require_sync_replica,
    bool is_repetition)
{
    size_t sync_count = 0;
    size_t holder_count = 0;
    const struct table *table = tablet->table;
    // The tracker comes before decisions, and after repetitions.
    bool may_have_changed =
        world->hosts[META].took_command || (is_repetition && are_modes_new(world, table));
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        const struct replica *replica = table->replicas[i];
        bool is_sync = replica->mode == REPLICA_MODE_SYNC;
        if (is_sync) sync_count++;
        uint32_t node = node_of(replica);
        struct position tail = {0};
        struct position decided = {0};
        bool is_held = state_checks_durable_position(
                           world, node, replica->object->id, tablet->id, &tail, &decided) &&
                       tail.timestamp >= timestamp;
        if (is_held) holder_count++;
        if (!is_held && is_sync && !may_have_changed) {
            world_fail(
                world,
                "ack-durable: %" PRIu64 " is acknowledged, and replica %zu has durably %" PRIu64,
                timestamp,
                i,
                tail.timestamp);
        }
    }
    bool has_sync = may_have_changed ? holder_count > 0 : sync_count > 0;
    if (!has_sync && require_sync_replica) {
        world_fail(world, "ack-has-sync: %" PRIu64 " is acknowledged without one", timestamp);
    }
    // Its own record.
    const struct queue *queue = tablet->queue;
    for (size_t i = 0; i < queue->record_count; i++) {
        const struct record *record = queue_record(queue, i);
        if (record->timestamp != timestamp) continue;
        CLEANUP(buffer_releasep) struct buffer value = {0};
        struct layout_key key = layout_queue_record(queue->tablet_number, record->row_index);
        struct store *store = world->hosts[META].store;
        if (!memory_store_get_durable(store, STORE_QUEUE, layout_slice(&key), &value)) {
            world_fail(world, "ack-durable: record of %" PRIu64 " is not synced", timestamp);
        }
        if (record->state != RECORD_COMMITTED) {
            world_fail(world, "decide-once: %" PRIu64 " is acknowledged undecided", timestamp);
        }
    }
}

static void check_snapshot_is_held(
    struct world *world,
    const struct replica *replica,
    const struct tablet *tablet,
    uint64_t timestamp)
{
    struct position tail = {0};
    struct position decided = {0};
    uint32_t node = node_of(replica);
    (void)state_checks_durable_position(
        world, node, replica->object->id, tablet->id, &tail, &decided);
    const struct queue *queue = tablet->queue;
    for (size_t i = 0; i < queue->record_count; i++) {
        const struct record *record = queue_record(queue, i);
        if (record->timestamp > timestamp || record->state != RECORD_COMMITTED) continue;
        if (record->row_index < tail.row_index) continue;
        world_fail(
            world,
            "in-sync-true: node %u is in sync at %" PRIu64 " without row %" PRIu64,
            node,
            timestamp,
            record->row_index);
    }
}

// in-sync-true: who is named has every committed record of the time, and will not lose it.
void state_checks_on_in_sync(struct world *world, const struct request *request, uint64_t timestamp)
{
    const struct table *table = world_table(world, META, QUEUE);
    for (uint32_t i = 0; request->node && i < request->node->count; i++) {
        struct guid id = GUID_NULL;
        struct error *error = guid_parse(request->node->entries[i].value->string, &id);
        assert(!error);
        error_free(error);
        for (size_t r = 0; r < arr_count(table->replicas); r++) {
            const struct replica *replica = table->replicas[r];
            if (!guid_equal(replica->object->id, id)) continue;
            for (uint32_t j = 0; j < table->tablet_count; j++)
                check_snapshot_is_held(world, replica, &table->tablets[j], timestamp);
        }
    }
}

// no-stale-answer: who is asked has everything that is committed in the tablet, or in all.
void state_checks_on_forward(struct world *world, const struct request *request)
{
    const struct table *table = world_table(world, META, QUEUE);
    if (!request->lookup || world->hosts[META].took_command || are_modes_new(world, table)) return;
    for (size_t r = 0; r < arr_count(table->replicas); r++) {
        const struct replica *replica = table->replicas[r];
        if (!guid_equal(replica->object->id, request->upstream_replica_id)) continue;
        for (uint32_t i = 0; i < table->tablet_count; i++) {
            uint32_t asked = request->lookup->tablet_index;
            if (asked != UINT32_MAX && asked != i) continue;
            struct position tail = {0};
            struct position decided = {0};
            struct guid tablet_id = table->tablets[i].id;
            uint32_t node = node_of(replica);
            (void)state_checks_durable_position(
                world, node, replica->object->id, tablet_id, &tail, &decided);
            bool is_sync = replica->mode == REPLICA_MODE_SYNC;
            if (is_sync && tail.row_index >= table->tablets[i].queue->committed_end.row_index)
                continue;
            world_fail(
                world,
                "no-stale-answer: a read is sent to node %u, which is %s and has %" PRIu64
                " of %" PRIu64,
                node,
                replica_mode_name(replica->mode),
                tail.row_index,
                table->tablets[i].queue->committed_end.row_index);
        }
    }
}

// async-is-prefix: what is shown will not be lost.
bool state_checks_on_stale_read(struct world *world, uint32_t node)
{
    const struct table *table = world_table(world, node, REPLICA);
    if (!table || !table->sink) return false;
    bool is_settled = true;
    for (size_t i = 0; i < arr_count(table->sink->sources); i++) {
        const struct source *source = table->sink->sources[i];
        for (uint32_t j = 0; j < source->tablet_count; j++) {
            const struct source_tablet *tablet = &source->tablets[j];
            struct position tail = {0};
            struct position decided = {0};
            (void)state_checks_durable_position(
                world, node, source->replica_id, tablet->tablet_id, &tail, &decided);
            if (arr_count(tablet->entries) > 0) is_settled = false;
            if (tail.row_index >= tablet->decided.row_index) continue;
            world_fail(
                world,
                "async-is-prefix: node %u shows what is up to %" PRIu64
                ", and has durably %" PRIu64,
                node,
                tablet->decided.row_index,
                tail.row_index);
        }
    }
    return is_settled;
}

// -------------------------------------------------------------------------------------------------
// At any time

// monotone, as far as it would survive a crash; and queue-order.
static void check_trimmed(
    struct world *world, const struct tablet *tablet, struct tablet_past *past)
{
    const struct queue *queue = tablet->queue;
    if (queue->trimmed.row_index < past->trimmed)
        world_fail(world, "monotone: trimmed went back to %" PRIu64, queue->trimmed.row_index);
    const struct cell *cell = &world->hosts[META].machine->cell;
    if (cell->durable_lsn == cell->lsn) past->trimmed = queue->trimmed.row_index;
    uint64_t timestamp = queue->trimmed.timestamp;
    for (size_t i = 0; i < queue->record_count; i++) {
        const struct record *record = queue_record(queue, i);
        if (record->timestamp < timestamp)
            world_fail(world, "queue-order: row %" PRIu64 " is older", record->row_index);
        timestamp = record->timestamp;
    }
}

// frozen-is-delivered: a log that is frozen does not grow.
static void check_frozen(struct world *world, const struct tablet *tablet, struct tablet_past *past)
{
    uint64_t end = tablet->queue->end.row_index;
    if (tablet->state == TABLET_FROZEN && past->frozen_end < end)
        world_fail(world, "frozen-is-delivered: a frozen log grows to %" PRIu64, end);
    past->frozen_end = tablet->state == TABLET_FROZEN ? end : UINT64_MAX;
}

static void check_logs(struct world *world, size_t table_index)
{
    const struct table *table = logged_table(world, table_index);
    for (uint32_t i = 0; table && i < table->tablet_count; i++) {
        struct tablet_past *past = &world->state_checks->tablets[table_index][i];
        check_trimmed(world, &table->tablets[i], past);
        check_frozen(world, &table->tablets[i], past);
    }
}

// mode-switch-safe, frozen-is-delivered, isolation: what the coordinator believes of a replica, and
// what it lets be on its way.
static void check_session(
    struct world *world,
    const struct replica *replica,
    uint32_t index,
    struct position tail,
    struct position decided)
{
    const struct session *session = replica->session;
    const struct session_tablet *tablet = &session->tablets[index];
    const struct queue *queue = replica->table->tablets[index].queue;
    if (session_is_in_sync(session, index) && tail.row_index < queue->committed_end.row_index) {
        world_fail(
            world,
            "mode-switch-safe: node %u counts as in sync with %" PRIu64 " of %" PRIu64,
            node_of(replica),
            tail.row_index,
            queue->committed_end.row_index);
    }
    if (tablet->progress.row_index > decided.row_index) {
        world_fail(
            world,
            "frozen-is-delivered: node %u is said to have %" PRIu64 ", and has %" PRIu64,
            node_of(replica),
            tablet->progress.row_index,
            decided.row_index);
    }
    const struct feeder *feeder = &tablet->feeder;
    if (feeder->batch_count == 0) return;
    size_t newest = (feeder->batch_begin + feeder->batch_count - 1) % FEEDER_BATCH_COUNT_MAX;
    uint64_t before = feeder->in_flight_size - feeder->batches[newest].size;
    if (before < world->hosts[META].machine->cell.options.feed_window_size) return;
    world_fail(world, "isolation: %" PRIu64 " bytes wait for node %u", before, node_of(replica));
}

// log-match, one-position, monotone, trim-safe: of every replica's durable decided position.
static void check_positions(struct world *world, size_t table_index)
{
    struct table *table = logged_table(world, table_index);
    for (uint32_t i = 0; table && i < table->tablet_count; i++) {
        struct tablet *tablet = &table->tablets[i];
        struct tablet_past *past = &world->state_checks->tablets[table_index][i];
        for (uint32_t r = 0; r < REPLICA_COUNT; r++) {
            struct position tail = {0};
            struct position decided = {0};
            struct guid replica_id = table->replicas[r]->object->id;
            if (!state_checks_durable_position(
                    world, r + 1, replica_id, tablet->id, &tail, &decided))
                continue;
            struct position *seen = &past->decided[r];
            if (decided.row_index < seen->row_index) {
                world_fail(
                    world, "monotone: replica %u went back to %" PRIu64, r, decided.row_index);
            }
            *seen = decided;
            check_session(world, table->replicas[r], i, tail, decided);
            if (decided.row_index > tail.row_index) {
                world_fail(world, "monotone: replica %u has decided beyond its tail", r);
            }
            if (tablet->queue->trimmed.row_index > decided.row_index) {
                world_fail(
                    world,
                    "trim-safe: trimmed %" PRIu64 " beyond %" PRIu64 " of replica %u",
                    tablet->queue->trimmed.row_index,
                    decided.row_index,
                    r);
            }
            enum queue_lookup lookup = QUEUE_UNKNOWN;
            enum record_state fate = RECORD_UNDECIDED;
            struct error *error = queue_find(tablet->queue, decided, &lookup, &fate);
            bool is_known = lookup == QUEUE_KNOWN || lookup == QUEUE_TRIMMED;
            if (error || !is_known || (lookup == QUEUE_KNOWN && fate == RECORD_UNDECIDED)) {
                world_fail(
                    world,
                    "log-match: replica %u has decided (%" PRIu64 ", %" PRIu64 "), unknown here",
                    r,
                    decided.row_index,
                    decided.timestamp);
            }
            error_free(error);
        }
    }
}

// undecided-bounded: this side alone can end a transaction, in the turn after its deadline.
static void check_deadlines(struct world *world)
{
    const struct coordinator *coordinator = &world->hosts[META].machine->coordinator;
    uint64_t late_before = world->state_checks->late;
    const struct commit *commit = NULL;
    world->state_checks->late = 0;
    DL_FOREACH (coordinator->commits, commit) {
        if (commit->state != COMMIT_PREPARED) continue;
        if (commit->deadline_us >= coordinator->cell->now_us) continue;
        world->state_checks->late = commit->timestamp;
        if (commit->timestamp != late_before) continue;
        world_fail(world, "undecided-bounded: %" PRIu64 " is still undecided", commit->timestamp);
    }
}

static uint64_t *promise_of(struct world *world, uint32_t node, struct guid replica_id)
{
    struct state_checks *checks = world->state_checks;
    for (size_t i = 0; i < arr_count(checks->promises); i++) {
        struct promise *promise = &checks->promises[i];
        if (promise->node == node && guid_equal(promise->replica_id, replica_id))
            return &promise->epoch;
    }
    struct promise promise = {.replica_id = replica_id, .node = node};
    arr_add(checks->promises, promise);
    return &checks->promises[arr_count(checks->promises) - 1].epoch;
}

// fenced-by-epoch, fenced-by-upstream: whom replica tables of a node listen to.
static void check_sources(struct world *world, uint32_t node)
{
    const struct machine *machine = world->hosts[node].machine;
    const struct source *source = machine->sources.by_id;
    for (; source; source = source->hh.next) {
        if (source->is_resolved && source->preserve_timestamps &&
            !guid_equal(source->table->upstream_replica_id, source->replica_id)) {
            world_fail(world, "fenced-by-upstream: node %u takes another replica's rows", node);
        }
        uint64_t *promised = promise_of(world, node, source->replica_id);
        if (source->promised.number < *promised) {
            world_fail(
                world,
                "fenced-by-epoch: node %u listens to %" PRIu64 " after %" PRIu64,
                node,
                source->promised.number,
                *promised);
        }
        if (machine->cell.durable_lsn == machine->cell.lsn) *promised = source->promised.number;
    }
}

void state_checks_on_turn(struct world *world, uint32_t node)
{
    const struct machine *machine = world->hosts[node].machine;
    if (machine->cell.fatal) {
        world_fail(world, "node %u stops: %s", node, error_message(machine->cell.fatal));
    }
    if (machine->coordinator.amnesia) {
        world_fail(world, "amnesia: %s", error_message(machine->coordinator.amnesia));
    }
    if (node == META) check_deadlines(world);
    for (size_t t = 0; node == META && t < TABLE_COUNT; t++) check_logs(world, t);
    if (node != META) check_sources(world, node);
    if (!world->hosts[META].machine || world->is_spoilt || !rng_chance(&world->rng, 10)) return;
    for (size_t t = 0; t < TABLE_COUNT; t++) check_positions(world, t);
}

// lag-truthful: who has everything is not behind.
void state_checks_finish(struct world *world)
{
    const struct machine *machine = world->hosts[META].machine;
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        const struct table *table = logged_table(world, t);
        for (size_t i = 0; i < arr_count(table->replicas); i++) {
            const struct session *session = table->replicas[i]->session;
            uint64_t lag_ms = session_lag_ms(&machine->cell, session);
            if (lag_ms == 0 && session_error_count(session) == 0) continue;
            world_fail(
                world,
                "lag-truthful: replica %zu of table %zu has everything, a lag of %" PRIu64
                " ms and %" PRIu64 " errors",
                i,
                t,
                lag_ms,
                session_error_count(session));
        }
    }
}
