// The coordinator's conversation with one replica: handshake, positions, what it is told.
//
//   CLOSED   until a link is there and the backoff is over: OPEN is sent          -> OPENING
//   OPENING  HELLO that fits: RESOLVE is sent, feeding begins                      -> OPEN
//            HELLO that does not: RESOLVE with an error (S5, S6)                   -> CLOSED
//   OPEN     ACK: positions are believed (S3). NACK, or the link gone              -> CLOSED
//
// A NACK that names a tablet is about rows of this tablet alone: the session opens again at once,
// and this tablet is fed after a backoff of its own, so that others go on.
//
// Protocol sections 3, 6 and 9.
#pragma once

#include "coordinator/core/coordinator.h"
#include "replicator/core/feeder.h"

enum session_state { SESSION_CLOSED, SESSION_OPENING, SESSION_OPEN };

struct session_tablet {
    struct feeder feeder;
    struct relative_throttler relative_throttler; // Counts where the feeder's does.
    struct position start;                        // Where the replica began.
    struct position progress; // Its last known durable decided position: a lower bound.
    bool is_progress_dirty;   // `progress` is not in the store yet.
    struct error *error;      // Why its rows are refused; NULL after a success.
    uint64_t failure_count;
    uint64_t retry_at_us;               // While it has an error: no rows are sent before.
    uint64_t throttled_at_us;           // Since when throttlers hold its next batch up; 0: not.
    struct message_decision *decisions; // stb array: to be told.
};

struct session_counters {      // Since the start; for metrics.
    uint64_t row_count;        // That the replica has got and kept.
    uint64_t size;             // Sent, in bytes.
    uint64_t batch_count;      // The same in batches,
    uint64_t sent_row_count;   // rows,
    uint64_t sent_weight;      // and data weight.
    uint64_t throttled_us;     // How long batches were held up by throttlers before they were sent;
    uint64_t throttled_weight; // the data weight of those.
    uint64_t open_count;       // Handshakes that succeeded, and how long they took.
    uint64_t open_us;
    uint64_t error_count;
    uint64_t switch_count; // Changes of the replica's mode by the tracker.
};

struct session {
    struct agenda_item item; // First: in the coordinator's agenda.
    struct session_counters counters;
    struct replica *replica; // Borrowed.
    enum session_state state;
    uint64_t number;
    uint64_t link;              // 0 while closed.
    bool preserve_timestamps;   // As the replica was told in this session.
    bool preserve_tablet_index; // The same.
    uint64_t retry_at_us;
    uint64_t opening_at_us; // When it was last begun to be opened.
    uint64_t timeout_at_us; // While opening.
    bool is_hurried; // Somebody waits for what may be held back: it leaves with the next feeding.
    uint64_t sent_at_us;    // When rows or decisions were last sent.
    uint64_t held_until_us; // When what is held back now will be sent; UINT64_MAX if nothing is.
    uint64_t beat_at_us;
    uint32_t idle_beat_count;    // Since something else was sent; at most what is told apart.
    uint64_t throttled_until_us; // When the throttler or its backoff lets the first tablet go on.
    uint64_t failure_count;
    struct error *error;            // The last failure of all tablets; NULL after a success.
    struct health health;           // The tracker's.
    struct guid incarnation;        // Of the replica table, once known.
    struct session_tablet *tablets; // As many as the table's.
    uint32_t tablet_count;
};

MUST_USE struct error *session_new(
    struct cell *cell, struct replica *replica, struct session **ret_session);
void session_free(struct session *session);

// Opens the session if it is closed, wanted, and its time has come.
void session_open(struct coordinator *coordinator, struct session *session);

// Ends it; the error is taken over and kept if the replica is enabled. Tries again after a backoff.
void session_fail(struct coordinator *coordinator, struct session *session, struct error *error);

// Ends it, to be opened anew at once: what it told of the replica holds no longer.
void session_reopen(struct coordinator *coordinator, struct session *session);

// The table's settings may have changed: throttlers begin anew where theirs have.
void session_set_throttlers(struct cell *cell, struct session *session);

// What the session told of the replica's options may have changed: then it is opened anew.
void session_adjust(struct coordinator *coordinator, struct session *session);

void session_receive(
    struct coordinator *coordinator, struct session *session, const struct message *message);

// Sends decisions, rows and closed timestamps, as much as may go out now.
void session_feed(struct coordinator *coordinator, struct session *session);

// A record was decided: the replica is told if it holds it undecided (F2).
void session_decided(
    struct session *session, uint32_t tablet_index, struct position position, bool is_committed);

// Why replication of this tablet does not go on; NULL if nothing is wrong.
const struct error *session_tablet_error(const struct session *session, uint32_t tablet_index);

// How many tablets have such an error.
uint64_t session_error_count(const struct session *session);

// Forgets all errors: of a replica that is disabled.
void session_clear_errors(struct session *session);

// Whether the replica has every committed record of the tablet, in an open session, in mode sync
// (RD1).
bool session_is_in_sync(const struct session *session, uint32_t tablet_index);

// Whether waiting may bring it in sync: it is enabled and sync, and connected or about to be.
bool session_may_catch_up(const struct session *session);

// Writes progress that is not in the store yet into the cell's batch.
void session_save_progress(struct cell *cell, struct session *session);

// What the feeders of all tablets have counted.
struct feeder_counters session_feeder_counters(const struct session *session);

// How far behind the log's newest record the replica is, by the commit timestamp of the last record
// it durably has (behaviour 4.5); 0 for synchronous replicas.
uint64_t session_tablet_lag_ms(
    const struct cell *cell, const struct session *session, uint32_t tablet_index);
uint64_t session_lag_ms(const struct cell *cell, const struct session *session);

// How long the oldest committed row has waited that the replica should have and does not, of all
// tablets; 0 if it has all. Unlike lag it does not jump with the first row after a silence.
uint64_t session_backlog_ms(const struct cell *cell, const struct session *session);

// When it next wants session_open or session_feed called because of time.
uint64_t session_wake_at_us(const struct session *session);
