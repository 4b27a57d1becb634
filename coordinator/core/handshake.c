// The handshake: the replica's positions in HELLO against the log, and RESOLVE that answers them.
#include "coordinator/core/session_parts.h"

#include "coordinator/core/queue.h"

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

void session_on_hello(
    struct coordinator *coordinator, struct session *session, const struct message *hello)
{
    struct cell *cell = coordinator->cell;
    struct message *answer = session_message(coordinator, session, MESSAGE_RESOLVE);
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
        session_set_progress(&session->tablets[i], hello->tablets[i].decided);
    }
    session_set_incarnation(cell, session, hello->table_incarnation);
    session_save_progress(cell, session);
    cell_apply(cell);
    session->state = SESSION_OPEN;
    session->counters.open_count++;
    session->counters.open_us += cell->now_us - session->opening_at_us;
    coordinator->tracker.is_dirty = true;
    session->beat_at_us = cell->now_us;
    error_free(TAKE(session->error));
    cell_send(cell, 0, session->link, answer);
    coordinator->is_dirty = true;
}
