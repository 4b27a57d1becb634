// What a coordinator and a replica's cluster say to each other: protocol section 2.
//
// All messages of one coordinator to one replica cluster travel on one ordered stream. Each belongs
// to a session of one replica and carries the coordinator's epoch. A message owns an arena with all
// that it points to, except rows, which are blocks it holds.
#pragma once

#include "base/arena.h"
#include "base/block.h"
#include "base/error.h"
#include "model/guid.h"
#include "model/position.h"

enum message_kind {
    MESSAGE_OPEN = 1, // Coordinator: begins a session (S1).
    MESSAGE_HELLO,    // Replica: where it stands.
    MESSAGE_RESOLVE,  // Coordinator: what becomes of what the replica holds undecided; or REFUSE.
    MESSAGE_ROWS,     // Coordinator: records from one position to another.
    MESSAGE_DECIDE,   // Coordinator: fates of records sent undecided.
    MESSAGE_BEAT,     // Coordinator: a closed timestamp while idle.
    MESSAGE_ACK,      // Replica: its durable positions.
    MESSAGE_NACK,     // Replica: ends the session, with an error.
    MESSAGE_PING,     // Coordinator: are you there? About the cluster, of no session.
    MESSAGE_PONG,     // Replica's cluster: yes, and whether it takes writes.
};

// What a cluster says of itself in PONG: reasons not to choose its replicas.
enum cluster_flags {
    CLUSTER_SAFE_MODE = 1,         // //sys/@config/enable_safe_mode
    CLUSTER_READ_ONLY = 2,         // //sys/@hydra_read_only
    CLUSTER_INCOMING_DISABLED = 4, // enable_incoming_replication of its tracker's replicator_hint
    CLUSTER_BUNDLE_FAILED = 8,     // Its cell cannot write: the disk is full.
};

struct epoch {
    uint64_t number;
    uint64_t incarnation; // Random: two holders of one number are told apart (E1).
};

// Answers of RESOLVE (S4).
enum resolution { RESOLUTION_COMMIT = 1, RESOLUTION_ABORT, RESOLUTION_KEEP, RESOLUTION_DISCARD };

struct message_entry { // A record that a replica holds behind its decided position.
    struct position position;
    enum record_state state;
};

struct message_record {
    uint64_t row_index; // Of its first row.
    uint64_t row_count;
    uint64_t timestamp;
    enum record_state state;
    struct slice user;  // Undecided: who writes, to be asked for `write` (C9). Empty: not asked.
    struct block *rows; // A rowset; NULL for a hole.
};

struct message_decision {
    struct position position;
    bool is_committed;
};

// The part of a message about one tablet. Which fields count depends on the kind.
struct message_tablet {
    uint32_t tablet_index;
    struct guid tablet_id; // OPEN.

    struct position tail;          // HELLO, ACK, NACK.
    struct position decided;       // HELLO, ACK.
    struct message_entry *entries; // HELLO: in order of position.
    uint32_t entry_count;

    enum resolution *resolutions; // RESOLVE: one for each entry of HELLO.
    uint32_t resolution_count;

    struct position from; // ROWS; OPEN: where a replica that has nothing begins.
    struct position to;   // ROWS; the position at which `closed_timestamp` is valid in all kinds.
    struct message_record *records; // ROWS.
    uint32_t record_count;
    struct message_decision *decisions; // DECIDE.
    uint32_t decision_count;
    uint64_t closed_timestamp; // ROWS, DECIDE, BEAT; 0 if there is none.
};

struct message {
    struct arena arena;
    enum message_kind kind;
    struct epoch epoch; // Of the coordinator; in HELLO what the replica promised to.
    struct guid replica_id;
    uint64_t session;

    uint32_t cluster_flags;        // PONG.
    struct guid meta_cluster_id;   // OPEN.
    struct slice replica_path;     // OPEN.
    struct slice table_path;       // OPEN, for messages.
    uint64_t mode_revision;        // OPEN.
    uint64_t start_timestamp;      // OPEN: rows at or below are not wanted.
    bool is_sorted;                // OPEN.
    bool preserve_timestamps;      // OPEN.
    bool preserve_tablet_index;    // OPEN: of ordered tables.
    struct guid table_incarnation; // HELLO.
    struct error *error;           // RESOLVE that refuses, NACK. Owned.

    struct message_tablet *tablets; // In OPEN, HELLO and RESOLVE all, in order of index.
    uint32_t tablet_count;

    struct message *next; // For queues of messages.
};

// Makes an empty message.
MUST_USE struct message *message_new(enum message_kind kind);
void message_free(struct message *message);

static inline void message_freep(struct message **message)
{
    message_free(*message);
}

// Makes room for `count` tablets.
struct message_tablet *message_set_tablets(struct message *message, uint32_t count);

// A deep copy, blocks included (they belong to one thread).
MUST_USE struct message *message_copy(const struct message *message);

// The bytes that the message takes on the wire, roughly; for limits.
size_t message_size(const struct message *message);

// For traces and logs: "ROWS".
const char *message_kind_name(enum message_kind kind);
