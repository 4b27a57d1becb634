#include "coordinator/core/sessions.h"

#include "cluster/core/layout.h"
#include "coordinator/core/log_weight.h"
#include "coordinator/core/queue.h"
#include "model/timestamp.h"

#include <assert.h>
#include <inttypes.h>

static const uint64_t OPEN_TIMEOUT_US = 3000000;
static const uint64_t BACKOFF_US_MIN = 50000;
static const uint64_t BACKOFF_US_MAX = 3000000;

// What no commit waits for, decisions and rows for asynchronous replicas, leaves at once if nothing
// was sent for this long; in a busy stream it gathers until then, and costs a fraction of the
// messages, wake-ups and syncs. More than so many rows are never held back.
static const uint64_t GATHER_US = 1000;
static const uint64_t GATHER_ROW_COUNT_MAX = 256;

// With thousands of idle tables beats are all that goes on. A replica to which nothing else is sent
// hears them less and less often, the period doubled so many times at most; and beats of many
// replicas leave at the same moments, so many in a tick.
enum { IDLE_DOUBLINGS_MAX = 3, BEAT_MOMENT_COUNT = 4 };

enum { BACKOFF_DOUBLINGS_MAX = 10, INCARNATION_INDEX = UINT32_MAX };

// A ROWS message is bounded beyond the table's own limits, so that streams stay responsive.
static const uint64_t MESSAGE_SIZE_MAX = 1 << 20;
enum { MESSAGE_RECORD_COUNT_MAX = 2048 };

// -------------------------------------------------------------------------------------------------
// Progress in the store

static struct error *load_position(
    struct cell *cell, const struct layout_key *key, struct position *position, bool *ret_found)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    TRY(store_get(cell->store, NULL, STORE_META, layout_slice(key), &value, ret_found));
    if (!*ret_found) return NULL;
    struct reader reader = reader_from(buffer_slice(&value));
    position->row_index = get_fixed64(&reader);
    position->timestamp = get_fixed64(&reader);
    return reader_finish(&reader, "Progress of a replica");
}

static void save_position(struct cell *cell, const struct layout_key *key, struct position position)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_fixed64(&value, position.row_index);
    put_fixed64(&value, position.timestamp);
    store_batch_put(&cell->batch, STORE_META, layout_slice(key), buffer_slice(&value));
}

void session_save_progress(struct cell *cell, struct session *session)
{
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        struct session_tablet *tablet = &session->tablets[i];
        if (!tablet->is_progress_dirty) continue;
        tablet->is_progress_dirty = false;
        struct layout_key key = layout_progress(session->replica->object->id, i);
        save_position(cell, &key, tablet->progress);
    }
}

// -------------------------------------------------------------------------------------------------
// Making

// Where a replica begins (Q5: compared with the trim in the same step that creates it): after the
// row index it names, or at the front of the log. Records at or below its start timestamp are sent
// to it as holes.
static struct error *start_position(
    const struct replica *replica, const struct tablet *tablet, struct position *ret_position)
{
    *ret_position = (struct position){0, 0};
    if (arr_count(replica->start_row_indexes) > tablet->index) {
        uint64_t row_index = replica->start_row_indexes[tablet->index];
        return queue_position_of_index(tablet->queue, row_index, ret_position);
    }
    if (tablet->queue->trimmed.timestamp <= replica->start_timestamp) {
        *ret_position = tablet->queue->trimmed;
    }
    return NULL;
}

static struct throttler_config throttler_config(const struct table *table)
{
    return (struct throttler_config){
        .limit = table->settings.throttler_limit,
        .period_us = table->settings.throttler_period_ms * 1000,
    };
}

static struct error *init_tablet(struct cell *cell, struct session *session, uint32_t tablet_index)
{
    const struct replica *replica = session->replica;
    const struct tablet *tablet = &replica->table->tablets[tablet_index];
    struct session_tablet *st = &session->tablets[tablet_index];
    struct throttler_config config = throttler_config(replica->table);
    TRY(feeder_init(&st->feeder, &config, cell->now_us));
    TRY(relative_throttler_init(
        &st->relative_throttler, &replica->table->settings.relative_throttler, cell->now_us));
    TRY(start_position(replica, tablet, &st->start));

    struct layout_key key = layout_progress(replica->object->id, tablet_index);
    bool is_found = false;
    TRY(load_position(cell, &key, &st->progress, &is_found));
    if (is_found) {
        // The trim may have been made durable after the last save, and was allowed by the replica.
        if (st->progress.row_index < tablet->queue->trimmed.row_index &&
            !position_equal(st->progress, st->start)) {
            st->progress = tablet->queue->trimmed;
        }
        return NULL;
    }
    st->progress = st->start;
    st->is_progress_dirty = true;
    return NULL;
}

struct error *session_new(struct cell *cell, struct replica *replica, struct session **ret_session)
{
    struct session *session = must_alloc(calloc(1, sizeof *session));
    session->replica = replica;
    session->tablet_count = replica->table->tablet_count;
    session->tablets = must_alloc(calloc(session->tablet_count, sizeof *session->tablets));
    session->retry_at_us = cell->now_us;
    session->held_until_us = UINT64_MAX;
    struct error *error = NULL;
    for (uint32_t i = 0; !error && i < session->tablet_count; i++) {
        error = init_tablet(cell, session, i);
    }
    struct position incarnation = {0, 0}; // A guid is kept in the form of a position.
    struct layout_key key = layout_progress(replica->object->id, INCARNATION_INDEX);
    bool is_found = false;
    if (!error) error = load_position(cell, &key, &incarnation, &is_found);
    if (error) {
        session_free(session);
        return error;
    }
    session->incarnation = (struct guid){incarnation.row_index, incarnation.timestamp};
    session_save_progress(cell, session);
    *ret_session = session;
    return NULL;
}

void session_free(struct session *session)
{
    if (!session) return;
    session_clear_errors(session);
    for (uint32_t i = 0; i < session->tablet_count; i++) arr_free(session->tablets[i].decisions);
    free(session->tablets);
    free(session);
}

// -------------------------------------------------------------------------------------------------
// Opening and failing

static struct message *new_message(
    const struct coordinator *coordinator, const struct session *session, enum message_kind kind)
{
    struct message *message = message_new(kind);
    message->epoch = coordinator->epoch;
    message->replica_id = session->replica->object->id;
    message->session = session->number;
    return message;
}

static void close_session(struct session *session)
{
    session->state = SESSION_CLOSED;
    session->link = 0;
    session->held_until_us = UINT64_MAX;
    for (uint32_t i = 0; i < session->tablet_count; i++) arr_clear(session->tablets[i].decisions);
}

static bool is_same_relative(
    const struct relative_throttler_config *a, const struct relative_throttler_config *b)
{
    return a->is_enabled == b->is_enabled && !(a->ratio < b->ratio) && !(a->ratio > b->ratio) &&
           a->activation_threshold_ms == b->activation_threshold_ms && a->window_ms == b->window_ms;
}

void session_set_throttlers(struct cell *cell, struct session *session)
{
    const struct table *table = session->replica->table;
    const struct relative_throttler_config *relative = &table->settings.relative_throttler;
    struct throttler_config config = throttler_config(table);
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        struct session_tablet *tablet = &session->tablets[i];
        struct throttler *throttler = &tablet->feeder.throttler;
        bool is_same = throttler->config.limit == config.limit &&
                       throttler->config.period_us == config.period_us;
        // The settings were checked when they were read.
        if (!is_same) error_free(throttler_init(throttler, &config, cell->now_us));
        if (is_same_relative(&tablet->relative_throttler.config, relative)) continue;
        error_free(relative_throttler_init(&tablet->relative_throttler, relative, cell->now_us));
    }
}

void session_reopen(struct coordinator *coordinator, struct session *session)
{
    close_session(session);
    session->retry_at_us = coordinator->cell->now_us;
}

void session_adjust(struct coordinator *coordinator, struct session *session)
{
    const struct replica *replica = session->replica;
    if (session->state == SESSION_CLOSED) return;
    if (session->preserve_timestamps == replica->preserve_timestamps &&
        session->preserve_tablet_index == replica->table->settings.preserve_tablet_index) {
        return;
    }
    session_reopen(coordinator, session);
}

static uint64_t next_retry_at_us(struct cell *cell, uint64_t *failure_count)
{
    uint64_t doublings = MIN(*failure_count, (uint64_t)BACKOFF_DOUBLINGS_MAX);
    uint64_t backoff_us = MIN(BACKOFF_US_MIN << doublings, BACKOFF_US_MAX);
    ++*failure_count;
    return cell->now_us + backoff_us / 2 + rng_below(&cell->rng, backoff_us / 2 + 1);
}

// Replaces an error by a new one, taken over, which is kept only if the replica is enabled.
static void set_error(const struct session *session, struct error **place, struct error *error)
{
    error_free(*place);
    *place = NULL;
    if (session->replica->state == REPLICA_STATE_ENABLED) {
        *place = error;
    } else {
        error_free(error);
    }
}

void session_fail(struct coordinator *coordinator, struct session *session, struct error *error)
{
    close_session(session);
    session->counters.error_count++;
    session->retry_at_us = next_retry_at_us(coordinator->cell, &session->failure_count);
    set_error(session, &session->error, error);
    coordinator->is_dirty = true;
    coordinator->tracker.is_dirty = true;
}

// The replica refuses rows of one tablet, those behind `tail`.
static void fail_tablet(
    struct coordinator *coordinator,
    struct session *session,
    uint32_t tablet_index,
    struct position tail,
    struct error *error)
{
    struct session_tablet *tablet = &session->tablets[tablet_index];
    close_session(session);
    session->counters.error_count++;
    session->retry_at_us = coordinator->cell->now_us;
    tablet->retry_at_us = next_retry_at_us(coordinator->cell, &tablet->failure_count);
    const struct replica *replica = session->replica;
    if (replica->mode == REPLICA_MODE_SYNC) {
        struct tablet *of_table = &replica->table->tablets[tablet_index];
        coordinator_rows_refused(coordinator, replica, of_table, tail.row_index, error);
    }
    set_error(session, &tablet->error, error);
    coordinator->is_dirty = true;
}

const struct error *session_tablet_error(const struct session *session, uint32_t tablet_index)
{
    return session->error ? session->error : session->tablets[tablet_index].error;
}

uint64_t session_error_count(const struct session *session)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        if (session_tablet_error(session, i)) count++;
    }
    return count;
}

static void clear_tablet_error(struct session_tablet *tablet)
{
    error_free(TAKE(tablet->error));
    tablet->failure_count = 0;
    tablet->retry_at_us = 0;
}

void session_clear_errors(struct session *session)
{
    error_free(TAKE(session->error));
    for (uint32_t i = 0; i < session->tablet_count; i++) clear_tablet_error(&session->tablets[i]);
}

// Whether there should be a session: for rows if the replica is enabled, for decisions if it may
// hold undecided records (F2: disabling stops ROWS, not the handshake).
static bool is_wanted(const struct session *session)
{
    const struct replica *replica = session->replica;
    if (replica->state == REPLICA_STATE_ENABLED) return true;
    return replica->was_ever_enabled;
}

void session_open(struct coordinator *coordinator, struct session *session)
{
    struct cell *cell = coordinator->cell;
    if (session->state == SESSION_OPENING && cell->now_us >= session->timeout_at_us) {
        struct error *error = error_new(
            ERROR_TIMEOUT,
            "Replica cluster \"%.*s\" did not answer in time",
            SLICE(buffer_slice(&session->replica->cluster_name)));
        session_fail(coordinator, session, error);
        return;
    }
    if (session->state != SESSION_CLOSED || !is_wanted(session) || coordinator->amnesia) return;
    if (cell->now_us < session->retry_at_us) return;
    struct slice cluster = buffer_slice(&session->replica->cluster_name);
    const struct peer *peer = coordinator_peer(coordinator, cluster);
    if (!peer) {
        session->retry_at_us = UINT64_MAX; // Its link coming up brings us here again.
        if (!cell_knows_cluster(cell, cluster)) {
            const char *text = "Replica cluster \"%.*s\" is not known";
            set_error(session, &session->error, error_new(ERROR_GENERIC, text, SLICE(cluster)));
        }
        return;
    }

    session->state = SESSION_OPENING;
    session->number = ++coordinator->session_number; // S2.
    session->link = peer->link;
    session->timeout_at_us = cell->now_us + OPEN_TIMEOUT_US;
    const struct replica *replica = session->replica;
    struct message *open = new_message(coordinator, session, MESSAGE_OPEN);
    open->meta_cluster_id = cell->cluster_id;
    open->replica_path = arena_copy(&open->arena, buffer_slice(&replica->path));
    open->table_path = object_path(&open->arena, replica->table->object);
    open->mode_revision = replica->table->mode_revision;
    open->start_timestamp = replica->start_timestamp;
    open->is_sorted = table_is_sorted(replica->table);
    session->preserve_timestamps = replica->preserve_timestamps;
    session->preserve_tablet_index = replica->table->settings.preserve_tablet_index;
    open->preserve_timestamps = session->preserve_timestamps;
    open->preserve_tablet_index = session->preserve_tablet_index;
    struct message_tablet *tablets = message_set_tablets(open, session->tablet_count);
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        tablets[i].tablet_index = i;
        tablets[i].tablet_id = replica->table->tablets[i].id;
        tablets[i].from = session->tablets[i].start;
    }
    cell_send(cell, 0, session->link, open);
}

// -------------------------------------------------------------------------------------------------
// The handshake

// The replica remembers as decided what is not in our log: one of the two has lost data (S5).
static struct error *amnesia_error(
    const struct session *session, uint32_t tablet_index, struct position position)
{
    struct error *error = error_new(
        ERROR_GENERIC,
        "Replica %s has a decided record that the replication log lacks: the log of this cluster "
        "or "
        "the replica's has lost data. Nothing is decided or discarded any more; restore the newer "
        "data, or recreate the replica",
        GUID_TEXT(session->replica->object->id));
    error_set_u64(error, "tablet_index", tablet_index);
    error_set_u64(error, "row_index", position.row_index);
    return error_set_u64(error, "timestamp", position.timestamp);
}

static struct error *went_back_error(
    const struct session *session, uint32_t tablet_index, struct position position)
{
    struct error *error = error_new(
        ERROR_GENERIC,
        "Replica %s is behind a position that it had reached: its table was restored or made anew. "
        "Create a new replica for it",
        GUID_TEXT(session->replica->object->id));
    error_set_u64(error, "tablet_index", tablet_index);
    error_set_u64(error, "row_index", position.row_index);
    return error_set_u64(
        error, "known_row_index", session->tablets[tablet_index].progress.row_index);
}

// Checks that the replica's decided position is in our log as a pair, and where it may be.
static struct error *check_decided(
    const struct session *session,
    uint32_t tablet_index,
    const struct queue *queue,
    struct position decided,
    bool *ret_amnesia)
{
    const struct session_tablet *tablet = &session->tablets[tablet_index];
    *ret_amnesia = false;
    if (decided.row_index < tablet->progress.row_index) { // S6.
        return went_back_error(session, tablet_index, decided);
    }
    if (decided.row_index < queue->trimmed.row_index) {
        bool is_all_trimmed = queue->trimmed.row_index == queue->end.row_index;
        struct error *error = error_new(
            ERROR_GENERIC,
            "%s: the log is trimmed beyond the replica's position. Create the replica with a "
            "start_replication_timestamp and load a snapshot",
            is_all_trimmed ? "Replication reader returned zero rows"
                           : "No replication log rows are available");
        error_set_u64(error, "row_index", decided.row_index);
        error_set_u64(error, "trimmed_row_count", queue->trimmed.row_index);
        return error_set_u64(error, "lowest_timestamp", queue->trimmed.timestamp);
    }
    if (position_equal(decided, tablet->start)) return NULL;
    enum queue_lookup lookup = QUEUE_UNKNOWN;
    enum record_state state = RECORD_COMMITTED;
    TRY(queue_find(queue, decided, &lookup, &state));
    bool is_known = (lookup == QUEUE_KNOWN && state != RECORD_UNDECIDED) || lookup == QUEUE_TRIMMED;
    if (is_known) return NULL;
    *ret_amnesia = true;
    return amnesia_error(session, tablet_index, decided);
}

// Answers one record of HELLO (S4).
static struct error *resolve_entry(
    const struct session *session,
    uint32_t tablet_index,
    const struct queue *queue,
    const struct message_entry *entry,
    enum resolution *ret_resolution,
    bool *ret_amnesia)
{
    enum queue_lookup lookup = QUEUE_UNKNOWN;
    enum record_state state = RECORD_COMMITTED;
    TRY(queue_find(queue, entry->position, &lookup, &state));
    bool is_decided_there = entry->state != RECORD_UNDECIDED;
    if (lookup == QUEUE_UNKNOWN && !is_decided_there) {
        *ret_resolution = RESOLUTION_DISCARD;
        return NULL;
    }
    if (lookup != QUEUE_KNOWN || (is_decided_there && state != entry->state)) {
        *ret_amnesia = true; // Below `trimmed` nothing is discarded either.
        return amnesia_error(session, tablet_index, entry->position);
    }
    *ret_resolution = RESOLUTION_KEEP;
    if (state == RECORD_COMMITTED) *ret_resolution = RESOLUTION_COMMIT;
    if (state == RECORD_ABORTED) *ret_resolution = RESOLUTION_ABORT;
    return NULL;
}

static struct error *resolve_tablet(
    struct session *session,
    const struct message_tablet *hello,
    struct message_tablet *ret_answer,
    struct arena *arena,
    struct position *ret_tail,
    bool *ret_amnesia)
{
    uint32_t index = hello->tablet_index;
    const struct queue *queue = session->replica->table->tablets[index].queue;
    TRY(check_decided(session, index, queue, hello->decided, ret_amnesia));
    ret_answer->tablet_index = index;
    ret_answer->resolution_count = hello->entry_count;
    ret_answer->resolutions = ARENA_NEW(arena, enum resolution, hello->entry_count);
    struct position tail = hello->decided;
    bool is_discarding = false;
    for (uint32_t i = 0; i < hello->entry_count; i++) {
        enum resolution *resolution = &ret_answer->resolutions[i];
        TRY(resolve_entry(session, index, queue, &hello->entries[i], resolution, ret_amnesia));
        if (*resolution == RESOLUTION_DISCARD) {
            is_discarding = true;
        } else if (is_discarding) { // Known records cannot follow unknown ones.
            *ret_amnesia = true;
            return amnesia_error(session, index, hello->entries[i].position);
        } else {
            tail = hello->entries[i].position;
        }
    }
    if (!is_discarding && !position_equal(tail, hello->tail)) {
        return error_new(ERROR_GENERIC, "Replica's tail does not follow from the records it lists");
    }
    *ret_tail = tail;
    return NULL;
}

static struct error *check_hello(const struct session *session, const struct message *hello)
{
    if (hello->tablet_count != session->tablet_count) {
        return error_new(ERROR_GENERIC, "Replica answered for another number of tablets");
    }
    for (uint32_t i = 0; i < hello->tablet_count; i++) {
        if (hello->tablets[i].tablet_index != i) {
            return error_new(ERROR_GENERIC, "Replica answered for tablets out of order");
        }
    }
    if (guid_is_null(session->incarnation) ||
        guid_equal(session->incarnation, hello->table_incarnation)) {
        return NULL;
    }
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        const struct session_tablet *tablet = &session->tablets[i];
        if (!position_equal(tablet->progress, tablet->start)) {
            return went_back_error(session, i, hello->tablets[i].decided); // S6: made anew.
        }
    }
    return NULL;
}

static void set_progress(struct session_tablet *tablet, struct position decided)
{
    if (decided.row_index <= tablet->progress.row_index) return;
    tablet->progress = decided;
    tablet->is_progress_dirty = true;
}

static void on_hello(
    struct coordinator *coordinator, struct session *session, const struct message *hello)
{
    struct cell *cell = coordinator->cell;
    struct message *answer = new_message(coordinator, session, MESSAGE_RESOLVE);
    struct message_tablet *answers = message_set_tablets(answer, session->tablet_count);
    struct position *tails = ARENA_NEW(&answer->arena, struct position, session->tablet_count);
    bool is_amnesia = false;
    struct error *error = check_hello(session, hello);
    for (uint32_t i = 0; !error && i < session->tablet_count; i++) {
        error = resolve_tablet(
            session, &hello->tablets[i], &answers[i], &answer->arena, &tails[i], &is_amnesia);
    }
    if (error) {
        if (is_amnesia && !coordinator->amnesia) coordinator->amnesia = error_copy(error);
        answer->error = error_copy(error);
        answer->tablet_count = 0;
        cell_send(cell, 0, session->link, answer);
        session_fail(coordinator, session, error);
        return;
    }
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        feeder_start(&session->tablets[i].feeder, tails[i], hello->tablets[i].decided); // S1.
        set_progress(&session->tablets[i], hello->tablets[i].decided);
    }
    if (!guid_equal(session->incarnation, hello->table_incarnation)) {
        session->incarnation = hello->table_incarnation;
        struct layout_key key = layout_progress(session->replica->object->id, INCARNATION_INDEX);
        struct position form = {session->incarnation.high, session->incarnation.low};
        save_position(cell, &key, form);
    }
    session_save_progress(cell, session);
    cell_apply(cell);
    session->state = SESSION_OPEN;
    coordinator->tracker.is_dirty = true;
    session->beat_at_us = cell->now_us;
    error_free(TAKE(session->error));
    cell_send(cell, 0, session->link, answer);
    coordinator->is_dirty = true;
}

// -------------------------------------------------------------------------------------------------
// Acknowledgements

// Whether a position that the replica names is in our log as that pair (S3).
static struct error *check_pair(
    const struct session *session, const struct queue *queue, struct position position)
{
    enum queue_lookup lookup = QUEUE_UNKNOWN;
    enum record_state state = RECORD_COMMITTED;
    TRY(queue_find(queue, position, &lookup, &state));
    if (lookup == QUEUE_KNOWN || lookup == QUEUE_TRIMMED) return NULL;
    struct error *error = error_new(
        ERROR_GENERIC,
        "Replica %s acknowledged a position that is not in the replication log",
        GUID_TEXT(session->replica->object->id));
    error_set_u64(error, "row_index", position.row_index);
    return error_set_u64(error, "timestamp", position.timestamp);
}

static struct error *acknowledge(struct session *session, const struct message_tablet *ack)
{
    if (ack->tablet_index >= session->tablet_count) {
        return error_new(ERROR_GENERIC, "Replica acknowledged a tablet that does not exist");
    }
    struct session_tablet *tablet = &session->tablets[ack->tablet_index];
    struct feeder *feeder = &tablet->feeder;
    const struct queue *queue = session->replica->table->tablets[ack->tablet_index].queue;
    if (!feeder_knows(feeder, ack->tail)) TRY(check_pair(session, queue, ack->tail));
    if (!position_equal(ack->decided, ack->tail) &&
        !position_equal(ack->decided, feeder->decided) &&
        !position_equal(ack->decided, tablet->start)) {
        TRY(check_pair(session, queue, ack->decided));
    }
    if (ack->tail.row_index > feeder->sent.row_index ||
        ack->decided.row_index > ack->tail.row_index) {
        return error_new(ERROR_GENERIC, "Replica acknowledged more than it was sent");
    }
    bool is_further = ack->tail.row_index > feeder->tail.row_index;
    if (is_further) session->counters.row_count += ack->tail.row_index - feeder->tail.row_index;
    feeder_acknowledge(feeder, ack->tail, ack->decided);
    if (is_further || feeder->tail.row_index == queue->end.row_index) clear_tablet_error(tablet);
    set_progress(tablet, feeder->decided);
    return NULL;
}

static void on_ack(
    struct coordinator *coordinator, struct session *session, const struct message *ack)
{
    for (uint32_t i = 0; i < ack->tablet_count; i++) {
        struct error *error = acknowledge(session, &ack->tablets[i]);
        if (error) {
            session_fail(coordinator, session, error);
            return;
        }
    }
    session->failure_count = 0;
    coordinator->is_dirty = true;
}

void session_receive(
    struct coordinator *coordinator, struct session *session, const struct message *message)
{
    // S2: whatever belongs to another session is dropped unread.
    if (session->state == SESSION_CLOSED || message->session != session->number) return;
    switch (message->kind) {
    case MESSAGE_HELLO:
        if (session->state == SESSION_OPENING) on_hello(coordinator, session, message);
        return;
    case MESSAGE_ACK:
        if (session->state == SESSION_OPEN) on_ack(coordinator, session, message);
        return;
    case MESSAGE_NACK: {
        struct error *error = error_copy(message->error);
        if (!error) error = error_new(ERROR_GENERIC, "Replica ended the session without a reason");
        const struct message_tablet *part = message->tablets;
        bool is_of_tablet =
            message->tablet_count == 1 && part->tablet_index < session->tablet_count;
        if (is_of_tablet && session->state == SESSION_OPEN) {
            fail_tablet(coordinator, session, part->tablet_index, part->tail, error);
        } else {
            session_fail(coordinator, session, error);
        }
        return;
    }
    case MESSAGE_OPEN:
    case MESSAGE_RESOLVE:
    case MESSAGE_ROWS:
    case MESSAGE_DECIDE:
    case MESSAGE_BEAT:
    case MESSAGE_PING:
    case MESSAGE_PONG: return; // Not for a session.
    }
}

// -------------------------------------------------------------------------------------------------
// Feeding

void session_decided(
    struct session *session, uint32_t tablet_index, struct position position, bool is_committed)
{
    if (session->state != SESSION_OPEN) return; // The next handshake tells.
    struct session_tablet *tablet = &session->tablets[tablet_index];
    if (tablet->feeder.sent.row_index < position.row_index) return;
    struct message_decision decision = {.position = position, .is_committed = is_committed};
    arr_add(tablet->decisions, decision);
}

// The closed timestamp of what has been sent on this stream (T2): below the first record that is
// unsent or undecided; if there is none, the last timestamp given out.
static struct error *closed_timestamp(
    struct cell *cell, const struct queue *queue, const struct feeder *feeder, uint64_t *ret_closed)
{
    uint64_t unsent = 0;
    TRY(queue_timestamp_after(queue, feeder->sent.row_index, &unsent));
    const struct record *undecided = queue_first_undecided(queue);
    if (undecided && (unsent == 0 || undecided->timestamp < unsent)) unsent = undecided->timestamp;
    *ret_closed = unsent != 0 ? unsent - 1 : timestamps_close(&cell->timestamps);
    return NULL;
}

static struct error *set_closed(
    struct cell *cell,
    struct session_tablet *tablet,
    const struct queue *queue,
    struct message_tablet *part)
{
    part->to = tablet->feeder.sent; // T3.
    TRY(closed_timestamp(cell, queue, &tablet->feeder, &part->closed_timestamp));
    tablet->feeder.closed_timestamp = part->closed_timestamp;
    return NULL;
}

static bool has_decisions(const struct session *session)
{
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        if (arr_count(session->tablets[i].decisions) > 0) return true;
    }
    return false;
}

static uint64_t unsent_row_count(const struct session *session)
{
    uint64_t count = 0;
    if (session->replica->state != REPLICA_STATE_ENABLED) return 0;
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        const struct queue *queue = session->replica->table->tablets[i].queue;
        count += queue->end.row_index - session->tablets[i].feeder.sent.row_index;
    }
    return count;
}

// Whether what nobody waits for is held back now, to gather with more.
static bool is_gathering(const struct coordinator *coordinator, const struct session *session)
{
    uint64_t now_us = coordinator->cell->now_us;
    return now_us < session->sent_at_us + GATHER_US && !session->is_hurried;
}

// Rows or decisions are sent: the next closed timestamp follows soon.
static void set_sent(struct cell *cell, struct session *session)
{
    uint64_t tick_us = session->replica->table->settings.replication_tick_ms * 1000;
    session->sent_at_us = cell->now_us;
    session->beat_at_us = MIN(session->beat_at_us, cell->now_us + tick_us);
    session->idle_beat_count = 0;
}

static struct error *send_decisions(struct coordinator *coordinator, struct session *session)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        if (arr_count(session->tablets[i].decisions) > 0) count++;
    }
    if (count == 0) return NULL;
    CLEANUP(message_freep)
    struct message *message = new_message(coordinator, session, MESSAGE_DECIDE);
    struct message_tablet *part = message_set_tablets(message, count);
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        struct session_tablet *tablet = &session->tablets[i];
        size_t decision_count = arr_count(tablet->decisions);
        if (decision_count == 0) continue;
        part->tablet_index = i;
        part->decision_count = (uint32_t)decision_count;
        part->decisions = ARENA_NEW(&message->arena, struct message_decision, decision_count);
        memcpy(part->decisions, tablet->decisions, decision_count * sizeof *part->decisions);
        arr_clear(tablet->decisions);
        const struct queue *queue = session->replica->table->tablets[i].queue;
        TRY(set_closed(coordinator->cell, tablet, queue, part));
        part++;
    }
    set_sent(coordinator->cell, session);
    cell_send(coordinator->cell, 0, session->link, TAKE(message));
    return NULL;
}

struct batch_size {
    uint64_t size;   // In bytes, as it is sent.
    uint64_t weight; // Data weight of its log rows.
};

// Gathers the next batch of one tablet: records from `sent` on, as many as limits and the throttler
// allow, at least one.
static struct error *gather_rows(
    const struct cell *cell,
    struct session *session,
    uint32_t index,
    struct message *message,
    struct batch_size *ret_size)
{
    const struct replica *replica = session->replica;
    const struct table_settings *settings = &replica->table->settings;
    const struct tablet *tablet = &replica->table->tablets[index];
    struct feeder *feeder = &session->tablets[index].feeder;
    const struct relative_throttler *relative = &session->tablets[index].relative_throttler;
    struct message_record *records = NULL; // stb array.
    uint64_t allowance = MAX(feeder_allowance(feeder, cell->now_us), UINT64_C(1));
    uint64_t weight_max = MIN(settings->batch_data_weight_max, allowance);
    uint64_t span_ms_max = settings->batch_span_ms_max;
    if (feeder->is_throttled) {
        span_ms_max = MIN(span_ms_max, relative_throttler_span_ms(relative, cell->now_us));
    }
    uint64_t size = 0;
    uint64_t weight = 0;
    uint64_t row_count = 0;
    struct queue_cursor cursor;
    queue_cursor_init(&cursor, tablet->queue, feeder->sent);
    struct error *error = NULL;
    struct position to = feeder->sent;
    while (size < MESSAGE_SIZE_MAX && weight < weight_max &&
           row_count < settings->batch_row_count_max &&
           arr_count(records) <
               MIN(settings->batch_timestamp_count_max, MESSAGE_RECORD_COUNT_MAX)) {
        struct record record = {0};
        bool is_found = false;
        error = queue_cursor_next(&cursor, &record, &is_found);
        if (error || !is_found) break;
        bool is_too_late =
            arr_count(records) > 0 &&
            timestamp_difference_ms(record.timestamp, records[0].timestamp) > span_ms_max;
        if (is_too_late) {
            block_release(record.rows);
            break;
        }
        bool is_undecided = record.state == RECORD_UNDECIDED;
        bool is_unwanted = record.timestamp <= replica->start_timestamp;
        if (is_undecided && (replica->mode == REPLICA_MODE_ASYNC || is_unwanted)) { // F1.
            block_release(record.rows);
            break;
        }
        if (is_unwanted) {
            block_release(TAKE(record.rows)); // It has this from elsewhere.
            record.state = RECORD_ABORTED;
        }
        struct message_record out = {
            .row_index = record.row_index,
            .row_count = record.row_count,
            .timestamp = record.timestamp,
            .state = record.state,
            .rows = record.rows,
        };
        if (is_undecided && record.commit) // C9.
            out.user = arena_copy(&message->arena, record.commit->user);
        arr_add(records, out);
        to = record_end(&record);
        size += block_slice(record.rows).size + sizeof out;
        weight += log_weight(replica->table->schema, block_slice(record.rows));
        row_count += record.row_count;
    }
    queue_cursor_release(&cursor);
    size_t count = arr_count(records);
    if (error) {
        for (size_t i = 0; i < count; i++) block_release(records[i].rows);
        arr_free(records);
        return error;
    }
    *ret_size = (struct batch_size){.size = size, .weight = weight};
    if (count == 0) return NULL;
    struct message_tablet *part = message_set_tablets(message, 1);
    part->tablet_index = index;
    part->from = feeder->sent;
    part->to = to;
    part->records = ARENA_NEW(&message->arena, struct message_record, count);
    part->record_count = (uint32_t)count;
    memcpy(part->records, records, count * sizeof *records);
    arr_free(records);
    return NULL;
}

// When the throttlers let the next batch go.
static uint64_t ready_at(const struct session_tablet *tablet, uint64_t now_us)
{
    if (!tablet->feeder.is_throttled) return now_us;
    uint64_t ready_at_us = feeder_ready_at_us(&tablet->feeder, now_us);
    return MAX(ready_at_us, relative_throttler_ready_at_us(&tablet->relative_throttler, now_us));
}

static struct error *feed_tablet(
    struct coordinator *coordinator, struct session *session, uint32_t index)
{
    struct cell *cell = coordinator->cell;
    const struct tablet *tablet = &session->replica->table->tablets[index];
    struct session_tablet *st = &session->tablets[index];
    struct feeder *feeder = &st->feeder;
    if (!tablet_is_active(tablet)) return NULL;
    if (st->retry_at_us > cell->now_us) {
        session->throttled_until_us = MIN(session->throttled_until_us, st->retry_at_us);
        return NULL;
    }
    feeder->is_throttled = session->replica->mode == REPLICA_MODE_ASYNC;
    while (feeder->sent.row_index < tablet->queue->end.row_index &&
           feeder_has_room(feeder, cell->options.feed_window_size)) {
        uint64_t ready_at_us = ready_at(st, cell->now_us);
        if (ready_at_us > cell->now_us) {
            session->throttled_until_us = MIN(session->throttled_until_us, ready_at_us);
            return NULL;
        }
        CLEANUP(message_freep)
        struct message *message = new_message(coordinator, session, MESSAGE_ROWS);
        struct batch_size size = {0};
        TRY(gather_rows(cell, session, index, message, &size));
        if (message->tablet_count == 0) return NULL;
        struct message_tablet *part = &message->tablets[0];
        assert(part->from.row_index >= tablet->queue->trimmed.row_index); // trim-safe.
        feeder_sent(feeder, part->to, size.size, size.weight, cell->now_us);
        if (feeder->is_throttled) {
            relative_throttler_replayed(
                &st->relative_throttler,
                cell->now_us,
                timestamp_seconds(part->records[0].timestamp) * 1000,
                timestamp_seconds(part->to.timestamp) * 1000);
        }
        session->counters.size += size.size;
        session->counters.batch_count++;
        set_sent(cell, session);
        TRY(set_closed(cell, st, tablet->queue, part));
        cell_send(cell, 0, session->link, TAKE(message));
    }
    return NULL;
}

static struct error *send_beat(struct coordinator *coordinator, struct session *session)
{
    struct cell *cell = coordinator->cell;
    if (cell->now_us < session->beat_at_us) return NULL;
    const struct table *table = session->replica->table;
    uint64_t tick_us = table->settings.replication_tick_ms * 1000;
    uint64_t wanted_us = cell->now_us + (tick_us << session->idle_beat_count);
    uint64_t moment_us = tick_us / BEAT_MOMENT_COUNT;
    session->beat_at_us = wanted_us + moment_us - wanted_us % moment_us;
    session->idle_beat_count = MIN(session->idle_beat_count + 1, IDLE_DOUBLINGS_MAX);
    CLEANUP(message_freep)
    struct message *message = new_message(coordinator, session, MESSAGE_BEAT);
    struct message_tablet *parts = message_set_tablets(message, session->tablet_count);
    message->tablet_count = 0;
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        struct session_tablet *tablet = &session->tablets[i];
        struct message_tablet *part = &parts[message->tablet_count];
        uint64_t told = tablet->feeder.closed_timestamp;
        TRY(set_closed(cell, tablet, table->tablets[i].queue, part));
        part->tablet_index = i;
        if (part->closed_timestamp > told) message->tablet_count++;
    }
    if (message->tablet_count > 0) cell_send(cell, 0, session->link, TAKE(message));
    return NULL;
}

static struct error *feed(struct coordinator *coordinator, struct session *session)
{
    uint64_t now_us = coordinator->cell->now_us;
    bool is_enabled = session->replica->state == REPLICA_STATE_ENABLED;
    bool is_async = session->replica->mode == REPLICA_MODE_ASYNC;
    // Rows for a banned cluster wait, silently (behaviour 10.4).
    bool is_banned =
        is_async && tracker_is_banned(coordinator, buffer_slice(&session->replica->cluster_name));
    uint64_t unsent = is_banned ? 0 : unsent_row_count(session);
    bool is_holding = is_gathering(coordinator, session);
    bool holds_rows = is_holding && is_async && unsent <= GATHER_ROW_COUNT_MAX;
    bool sends_rows = is_enabled && unsent > 0 && !holds_rows;
    bool sends_beat = is_enabled && now_us >= session->beat_at_us;
    // Before rows and closed timestamps decisions leave always (T2).
    bool sends_decisions = has_decisions(session) && (!is_holding || sends_rows || sends_beat);

    bool has_held = (has_decisions(session) && !sends_decisions) || (unsent > 0 && holds_rows);
    session->held_until_us = has_held ? session->sent_at_us + GATHER_US : UINT64_MAX;
    session->is_hurried = false;
    if (sends_decisions) TRY(send_decisions(coordinator, session));
    for (uint32_t i = 0; sends_rows && i < session->tablet_count; i++) {
        TRY(feed_tablet(coordinator, session, i));
    }
    return sends_beat ? send_beat(coordinator, session) : NULL;
}

void session_feed(struct coordinator *coordinator, struct session *session)
{
    if (session->state != SESSION_OPEN || coordinator->amnesia) return;
    session->throttled_until_us = UINT64_MAX;
    struct error *error = feed(coordinator, session);
    if (error) session_fail(coordinator, session, error);
}

// -------------------------------------------------------------------------------------------------

bool session_is_in_sync(const struct session *session, uint32_t tablet_index)
{
    const struct replica *replica = session->replica;
    if (session->state != SESSION_OPEN || replica->state != REPLICA_STATE_ENABLED) return false;
    if (replica->mode != REPLICA_MODE_SYNC) return false;
    const struct queue *queue = replica->table->tablets[tablet_index].queue;
    uint64_t acked = session->tablets[tablet_index].feeder.tail.row_index;
    return acked >= queue->committed_end.row_index;
}

uint64_t session_tablet_lag_ms(
    const struct cell *cell, const struct session *session, uint32_t tablet_index)
{
    const struct replica *replica = session->replica;
    if (replica->mode == REPLICA_MODE_SYNC) return 0;
    const struct queue *queue = replica->table->tablets[tablet_index].queue;
    struct position progress = session->tablets[tablet_index].progress;
    if (queue->end.timestamp == 0 || progress.row_index >= queue->committed_end.row_index) return 0;
    uint64_t newest = MAX(queue->end.timestamp, timestamp_from_wall_us(cell->wall_us));
    return timestamp_difference_ms(newest, progress.timestamp);
}

uint64_t session_lag_ms(const struct cell *cell, const struct session *session)
{
    uint64_t lag_ms = 0;
    for (uint32_t i = 0; i < session->tablet_count; i++)
        lag_ms = MAX(lag_ms, session_tablet_lag_ms(cell, session, i));
    return lag_ms;
}

bool session_may_catch_up(const struct session *session)
{
    const struct replica *replica = session->replica;
    return replica->state == REPLICA_STATE_ENABLED && replica->mode == REPLICA_MODE_SYNC;
}

uint64_t session_wake_at_us(const struct session *session)
{
    if (session->state == SESSION_OPENING) return session->timeout_at_us;
    if (session->state == SESSION_CLOSED) {
        return is_wanted(session) ? session->retry_at_us : UINT64_MAX;
    }
    if (session->replica->state != REPLICA_STATE_ENABLED) return session->held_until_us;
    return MIN(MIN(session->beat_at_us, session->throttled_until_us), session->held_until_us);
}
