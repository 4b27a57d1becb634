// The meta-cluster's part of the protocol: commits with synchronous replicas, sessions with all
// replicas, feeding, trimming. docs/commit.md and docs/replication.md explain; names such as C4 or
// S5 are rules listed there.
//
// Works on a cell, which it shares with the rest of the cluster's machine. It reacts to requests,
// messages of replicas, links that come and go, time, and durability; it answers by effects of the
// cell.
#pragma once

#include "cluster/core/cell.h"
#include "cluster/core/writes.h"
#include "coordinator/core/agenda.h"
#include "coordinator/core/tracker.h"
#include "model/position.h"

#define COMMIT_COUNT_MAX              16384                // Undecided at a time.
#define COMMIT_SIZE_MAX               (UINT64_C(96) << 20) // Their bytes.
#define REMEMBERED_MUTATION_COUNT_MAX 100000
#define REMEMBERED_MUTATION_US        UINT64_C(600000000)

struct commit_part { // One tablet's record of a transaction.
    struct tablet *tablet;
    struct position end;
    bool require_sync_replica;
    uint32_t row_count;
    uint64_t data_weight;
};

enum commit_state {
    COMMIT_PREPARED, // Waits for durability here and on the sync replicas, or for its deadline.
    COMMIT_ABORTING, // Its abort record is written: it can only become aborted (C6).
};

// A transaction between prepare and decision.
struct commit {
    struct request *request; // To be answered. Owned.
    struct guid mutation_id;
    struct slice
        user; // Who is asked about at sync replicas (C9); empty for nobody. In the request.
    uint64_t timestamp;
    uint64_t deadline_us;
    enum commit_state state;
    uint64_t lsn;  // Durable here when this is (C4); while aborting, of the abort record.
    uint64_t size; // In bytes.
    struct commit_part *parts;
    uint32_t part_count;
    struct error *error;      // Why it is being aborted, if not for its deadline. Owned.
    struct row_claim *claims; // The locks it holds. In the request, as `local`.
    uint32_t claim_count;
    struct writes
        local; // What it writes to ordinary tables, applied when committed. In the request.
    struct commit *next;
    struct commit *prev;
};

struct mutation { // A remembered outcome.
    struct guid id;
    bool is_command;    // It has an answer; otherwise it is a commit, which has positions.
    uint64_t timestamp; // Of the commit.
    uint64_t remembered_until_wall_us;
    UT_hash_handle hh;
};

struct peer {             // A replica cluster to which there is a link, outgoing.
    struct slice cluster; // Owned.
    uint64_t link;
    uint64_t heard_at_us; // When something last came from there.
    uint64_t ping_at_us;
    uint32_t flags;                // What it said of itself: enum cluster_flags.
    uint64_t bundle_failure_count; // How often it said in a row that its bundle is failed.
    bool is_suspect;               // It has been silent for too long.
    UT_hash_handle hh;
};

struct coordinator {
    struct cell *cell; // Borrowed.
    struct epoch epoch;
    uint64_t session_number; // The last one given out; they grow within an incarnation (S2).
    struct error *amnesia;   // Why it may not lead (S5); NULL while all is well.
    struct commit *commits;  // Undecided, in the order of timestamps.
    uint64_t commit_count;
    uint64_t commit_size;
    struct session **sessions; // stb array; borrowed from the replicas.
    struct table **tables;     // stb array: the replicated ones; borrowed.
    struct tracker tracker;
    struct request *waiting;    // Commits and reads that wait for a sync replica to catch up.
    struct mutation *mutations; // By id, oldest first.
    struct peer *peers;         // By cluster.
    uint64_t next_deadline_us;  // No commit's deadline is before it.
    uint64_t next_trim_us;
    struct agenda agenda; // Sessions that are to be looked at.
    bool is_dirty;        // Something changed that feeding or waiting requests care about.
};

// Recovers (R1-R3): begins a new epoch, loads queues, applies what was committed. Must be durable
// (cell_apply, sync) before anything is sent.
MUST_USE struct error *coordinator_init(struct coordinator *coordinator, struct cell *cell);
void coordinator_release(struct coordinator *coordinator);

// Commits what `writes` holds, of which at least a part goes to replicated tables or none; answers
// the request, now or later, and takes it over. `start` is the transaction's start timestamp, or
// ROW_LOCKS_LATEST. The writes live in the request's arena.
void coordinator_commit(
    struct coordinator *coordinator,
    struct request *request,
    const struct writes *writes,
    uint64_t start);

// Whether this mutation is known; then its request is taken over and will be answered as the first
// one was (C7).
MUST_USE struct error *coordinator_repeat(
    struct coordinator *coordinator, struct request *request, bool *ret_taken);

// The answer that a command with this mutation id was given; empty if none is known. In the arena.
MUST_USE struct error *coordinator_find_answer(
    struct coordinator *coordinator,
    struct arena *arena,
    struct guid mutation_id,
    struct slice *ret_answer);

// Keeps a command's answer with the batch that is being gathered, as long as outcomes of commits
// are kept. `timestamp` is new and the command's own.
void coordinator_keep_answer(
    struct coordinator *coordinator,
    struct guid mutation_id,
    uint64_t timestamp,
    struct slice answer);

// Chooses a replica, at random, that serves a read of this table now (RD1): mode sync, and it has
// every committed record of the tablets asked for (`tablet_index` alone, or all if it is
// UINT32_MAX), and it is none that the request or the cluster's config has banned. Fails with 1736.
// `*ret_may_wait`: on failure, whether waiting a little may help.
MUST_USE struct error *coordinator_choose_replica(
    struct coordinator *coordinator,
    const struct request *request,
    struct table *table,
    uint32_t tablet_index,
    struct replica **ret_replica,
    bool *ret_may_wait);

// Puts a request aside until something changes or its time is up; then it is handed back by
// coordinator_take_ready.
void coordinator_wait(struct coordinator *coordinator, struct request *request);

// The list of requests to be tried again; NULL if there is none. Those that still have to wait are
// put aside anew.
struct request *coordinator_take_ready(struct coordinator *coordinator);

// Life of objects, called in the course of commands. The replica's session is made and unmade here.
MUST_USE struct error *coordinator_table_added(
    struct coordinator *coordinator, struct table *table);
void coordinator_table_removing(struct coordinator *coordinator, struct table *table);
MUST_USE struct error *coordinator_replica_added(
    struct coordinator *coordinator, struct replica *replica);
void coordinator_replica_removing(struct coordinator *coordinator, struct replica *replica);

// The link to a cluster; NULL if there is none.
struct peer *coordinator_peer(const struct coordinator *coordinator, struct slice cluster);

// A replica was removed: what only it needed of the log is trimmed at once.
void coordinator_log_freed(struct coordinator *coordinator, struct table *table);

// The replica's mode or state, the table's settings or tablets' states have changed (M1-M4).
void coordinator_table_changed(struct coordinator *coordinator, struct table *table);

// A replica in mode sync refuses the rows of a tablet's record that begins at `row_index`: if it is
// undecided its transaction is aborted without waiting for its deadline. Returns whether it is
// being aborted: then the record will not be in anybody's way. The error is copied.
bool coordinator_rows_refused(
    struct coordinator *coordinator,
    const struct replica *replica,
    const struct tablet *tablet,
    uint64_t row_index,
    const struct error *error);

// A link to a replica cluster is there, or is gone.
void coordinator_link_up(struct coordinator *coordinator, uint64_t link, struct slice cluster);
void coordinator_link_down(struct coordinator *coordinator, uint64_t link);

// A message of a replica (HELLO, ACK, NACK) has come.
void coordinator_receive(
    struct coordinator *coordinator, uint64_t link, const struct message *message);

// Something has happened that this session, those of a table, or all may care about: they are
// looked at with the next coordinator_flush. What comes by the functions above counts without this.
void coordinator_stir(struct coordinator *coordinator, struct session *session);
void coordinator_stir_table(struct coordinator *coordinator, const struct table *table);
void coordinator_stir_all(struct coordinator *coordinator);

// Somebody waits for what a session may hold back: it leaves with the next coordinator_flush.
void coordinator_hurry(struct coordinator *coordinator, struct session *session);

// The replica should hear at once how far its log is closed.
void coordinator_beat(struct coordinator *coordinator, struct session *session);

// Time has passed; everything applied so far may have become durable: decides, aborts, trims.
void coordinator_tick(struct coordinator *coordinator);

// Opens sessions, and sends what there is to send. Call at the end of each turn, before and after
// the sync.
void coordinator_flush(struct coordinator *coordinator);

// When coordinator_tick should be called at the latest.
uint64_t coordinator_wake_at_us(const struct coordinator *coordinator);

// The clusters to which there should be links: calls for each name, once or more.
void coordinator_each_cluster(
    const struct coordinator *coordinator,
    void (*visit)(void *context, struct slice cluster),
    void *context);
