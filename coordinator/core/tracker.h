// Keeps the synchronous replicas of tracked tables where they work: watches clusters and replicas,
// decides by tracker_plan.h, changes modes.
//
// It acts on events: a lost connection counts at once, silence after the suspicion timeout, a
// session that cannot be opened after the same time. What was bad must have been good for the
// recovery period before it is chosen again, so a flickering link causes one switch and no more.
// Belongs to a coordinator. docs/failover.md explains.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "model/node.h"

struct coordinator;
struct message;
struct session;
struct table;

#define TRACKER_HISTORY_COUNT_MAX UINT64_C(10000)

enum health_cause {
    HEALTH_GOOD,
    HEALTH_UNKNOWN, // Too early to say.
    HEALTH_BANNED,
    HEALTH_UNREACHABLE,
    HEALTH_SILENT,
    HEALTH_SAFE_MODE,
    HEALTH_READ_ONLY,
    HEALTH_INCOMING_DISABLED,
    HEALTH_NO_SESSION,
    HEALTH_LAGGING,
    HEALTH_BUNDLE_FAILED,
    HEALTH_RECOVERING, // Good, but not for long enough.
};

struct health {            // What the tracker knows of a replica.
    uint64_t seen_at_us;   // Since when it is enabled, as far as we know; 0 if it is not.
    uint64_t closed_at_us; // Since when its session is not open; 0 while it is.
    uint64_t bad_at_us;    // When it was last found bad; 0 for never.
    bool was_open;         // Its session has been open since `seen_at_us`.
    uint64_t lag_ms;       // Grows no faster than the clock.
    uint64_t lag_at_us;    // When that was taken; 0 for never.
    enum health_cause cause;
};

struct tracker {
    bool is_dirty;          // Something happened that may call for a decision.
    uint64_t looked_at_us;  // When all tables were looked at last.
    uint64_t ticked_at_us;  // When tracker_tick was called last.
    uint64_t next_sequence; // Of the history.
};

// Loads the end of the history.
MUST_USE struct error *tracker_init(struct coordinator *coordinator);

// Time has passed, or something has happened: asks clusters whether they are there, and decides.
void tracker_tick(struct coordinator *coordinator);

// A message, PONG or any other, has come from a cluster.
void tracker_heard(struct coordinator *coordinator, uint64_t link, const struct message *message);

// When tracker_tick is wanted at the latest.
uint64_t tracker_wake_at_us(const struct coordinator *coordinator);

// Whether replication to this cluster is stopped by `banned_replica_clusters`.
bool tracker_is_banned(const struct coordinator *coordinator, struct slice cluster);

// Moves the synchronous replica of a table to a cluster by hand: makes the replica there
// synchronous and the other synchronous ones asynchronous, in one step. Fails, changing nothing, if
// there is no such replica or it is not fit. With `is_dry_run` it only says what it would do.
// `*ret_changes` lists the changes.
MUST_USE struct error *tracker_switch_over(
    struct coordinator *coordinator,
    struct table *table,
    struct slice cluster,
    bool is_dry_run,
    struct arena *arena,
    struct node **ret_changes);

// Records in the history that somebody changed a replica's mode from `from`.
void tracker_record_change(
    struct coordinator *coordinator, const struct session *session, bool was_sync);

// What the tracker thinks of a table: options, replicas with their health, what it would do.
struct node *tracker_table_status(
    struct coordinator *coordinator, struct arena *arena, struct table *table);

// The last `count` changes, the newest first; of one table, or of all if it is NULL.
MUST_USE struct error *tracker_history(
    const struct coordinator *coordinator,
    struct arena *arena,
    const struct table *table,
    uint64_t count,
    struct node **ret_list);
