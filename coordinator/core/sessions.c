#include "coordinator/core/session_parts.h"

#include "cluster/core/layout.h"
#include "coordinator/core/queue.h"
#include "model/timestamp.h"

static const uint64_t OPEN_TIMEOUT_US = 3000000;
static const uint64_t BACKOFF_US_MIN = 50000;
static const uint64_t BACKOFF_US_MAX = 3000000;

enum { BACKOFF_DOUBLINGS_MAX = 10, INCARNATION_INDEX = UINT32_MAX };

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

void session_set_progress(struct session_tablet *tablet, struct position decided)
{
    if (decided.row_index <= tablet->progress.row_index) return;
    tablet->progress = decided;
    tablet->is_progress_dirty = true;
}

void session_set_incarnation(struct cell *cell, struct session *session, struct guid incarnation)
{
    if (guid_equal(session->incarnation, incarnation)) return;
    session->incarnation = incarnation;
    struct layout_key key = layout_progress(session->replica->object->id, INCARNATION_INDEX);
    save_position(cell, &key, (struct position){incarnation.high, incarnation.low});
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

struct message *session_message(
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
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        arr_clear(session->tablets[i].decisions);
        session->tablets[i].throttled_at_us = 0;
    }
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
    const struct replica *replica = session->replica;
    const struct tablet *of_table = &replica->table->tablets[tablet_index];
    bool is_passing =
        replica->mode == REPLICA_MODE_SYNC &&
        coordinator_rows_refused(coordinator, replica, of_table, tail.row_index, error);
    if (!is_passing)
        tablet->retry_at_us = next_retry_at_us(coordinator->cell, &tablet->failure_count);
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
    session->opening_at_us = cell->now_us;
    session->timeout_at_us = cell->now_us + OPEN_TIMEOUT_US;
    const struct replica *replica = session->replica;
    struct message *open = session_message(coordinator, session, MESSAGE_OPEN);
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

static struct error *acknowledge(
    struct session *session, const struct message_tablet *ack, uint64_t now_us)
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
    feeder_acknowledge(feeder, ack->tail, ack->decided, now_us);
    if (is_further || feeder->tail.row_index == queue->end.row_index) clear_tablet_error(tablet);
    session_set_progress(tablet, feeder->decided);
    return NULL;
}

static void on_ack(
    struct coordinator *coordinator, struct session *session, const struct message *ack)
{
    for (uint32_t i = 0; i < ack->tablet_count; i++) {
        struct error *error = acknowledge(session, &ack->tablets[i], coordinator->cell->now_us);
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
        if (session->state == SESSION_OPENING) session_on_hello(coordinator, session, message);
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
// What it is like

bool session_is_in_sync(const struct session *session, uint32_t tablet_index)
{
    const struct replica *replica = session->replica;
    if (session->state != SESSION_OPEN || replica->state != REPLICA_STATE_ENABLED) return false;
    if (replica->mode != REPLICA_MODE_SYNC) return false;
    const struct queue *queue = replica->table->tablets[tablet_index].queue;
    uint64_t acked = session->tablets[tablet_index].feeder.tail.row_index;
    return acked >= queue->committed_end.row_index;
}

struct feeder_counters session_feeder_counters(const struct session *session)
{
    struct feeder_counters sum = {0};
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        const struct feeder_counters *counters = &session->tablets[i].feeder.counters;
        sum.weight += counters->weight;
        sum.kept_count += counters->kept_count;
        sum.keep_us += counters->keep_us;
        sum.decided_count += counters->decided_count;
        sum.decide_us += counters->decide_us;
    }
    return sum;
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

// The timestamp of the first record behind `row_index` that is newer than `timestamp`; 0 if there
// is none. Timestamps grow with row indexes.
static struct error *find_newer(
    const struct queue *queue, uint64_t row_index, uint64_t timestamp, uint64_t *ret_timestamp)
{
    uint64_t low = row_index;             // What is behind it is not newer,
    uint64_t high = queue->end.row_index; // and what is behind this is, or there is nothing.
    TRY(queue_timestamp_after(queue, low, ret_timestamp));
    if (*ret_timestamp == 0 || *ret_timestamp > timestamp) return NULL;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        TRY(queue_timestamp_after(queue, middle, ret_timestamp));
        if (*ret_timestamp > timestamp) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return queue_timestamp_after(queue, high, ret_timestamp);
}

static uint64_t tablet_backlog_ms(
    const struct cell *cell, const struct session *session, uint32_t tablet_index)
{
    const struct replica *replica = session->replica;
    const struct queue *queue = replica->table->tablets[tablet_index].queue;
    uint64_t row_index = session->tablets[tablet_index].progress.row_index;
    bool has_all = row_index >= queue->committed_end.row_index;
    if (has_all || session_is_in_sync(session, tablet_index)) return 0;
    uint64_t oldest = 0;
    struct error *error = find_newer(queue, row_index, replica->start_timestamp, &oldest);
    if (error) { // The store is at fault, and will say so to whoever reads the log next.
        error_free(error);
        return session_tablet_lag_ms(cell, session, tablet_index);
    }
    uint64_t newest = MAX(queue->end.timestamp, timestamp_from_wall_us(cell->wall_us));
    return oldest == 0 ? 0 : timestamp_difference_ms(newest, oldest);
}

uint64_t session_backlog_ms(const struct cell *cell, const struct session *session)
{
    uint64_t backlog_ms = 0;
    for (uint32_t i = 0; i < session->tablet_count; i++)
        backlog_ms = MAX(backlog_ms, tablet_backlog_ms(cell, session, i));
    return backlog_ms;
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
