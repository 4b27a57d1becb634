// What an open session tells its replica: rows, decisions, closed timestamps, beats; and when.
#include "coordinator/core/session_parts.h"

#include "coordinator/core/log_weight.h"
#include "coordinator/core/queue.h"
#include "model/timestamp.h"

#include <assert.h>

// What no commit waits for, decisions and rows for asynchronous replicas, leaves at once if nothing
// was sent for this long; in a busy stream it gathers until then, and costs a fraction of the
// messages, wake-ups and syncs. More than so many rows are never held back.
static const uint64_t GATHER_US = 1000;
static const uint64_t GATHER_ROW_COUNT_MAX = 256;

// With thousands of idle tables beats are all that goes on. A replica to which nothing else is sent
// hears them less and less often, the period doubled so many times at most; and beats of many
// replicas leave at the same moments, so many in a tick.
enum { IDLE_DOUBLINGS_MAX = 3, BEAT_MOMENT_COUNT = 4 };

// A ROWS message is bounded beyond the table's own limits, so that streams stay responsive.
static const uint64_t MESSAGE_SIZE_MAX = 1 << 20;
enum { MESSAGE_RECORD_COUNT_MAX = 2048 };

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
    struct message *message = session_message(coordinator, session, MESSAGE_DECIDE);
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
        // In a moment it is a hole, which nobody refuses.
        bool is_aborting = is_undecided && record.commit && record.commit->state == COMMIT_ABORTING;
        bool is_early = is_undecided && (replica->mode == REPLICA_MODE_ASYNC || is_unwanted); // F1.
        if (is_early || is_aborting) {
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
            if (st->throttled_at_us == 0) st->throttled_at_us = MAX(cell->now_us, UINT64_C(1));
            session->throttled_until_us = MIN(session->throttled_until_us, ready_at_us);
            return NULL;
        }
        bool was_throttled = st->throttled_at_us != 0;
        uint64_t throttled_us = was_throttled ? cell->now_us - st->throttled_at_us : 0;
        st->throttled_at_us = 0;
        CLEANUP(message_freep)
        struct message *message = session_message(coordinator, session, MESSAGE_ROWS);
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
        struct session_counters *counters = &session->counters;
        counters->size += size.size;
        counters->batch_count++;
        counters->sent_row_count += part->to.row_index - part->from.row_index;
        counters->sent_weight += size.weight;
        counters->throttled_us += throttled_us;
        if (was_throttled) counters->throttled_weight += size.weight;
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
    struct message *message = session_message(coordinator, session, MESSAGE_BEAT);
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
