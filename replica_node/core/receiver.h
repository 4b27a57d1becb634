// The receiving end of replication: what a cluster's tables hold as replicas of tables elsewhere.
//
// For each source (a replica id of some meta-cluster) and each of its tablets there are a tail and
// a decided position; records behind the decided one are kept with their state (protocol sections
// 1, 3, 5). Rows become visible when their record is decided, in a sorted table at once, in an
// ordered one in the order of the log. Rows, states and positions change in one batch;
// acknowledgements wait until it is durable (A2). A source decides nothing here: who must decide is
// the coordinator (C8).
#pragma once

#include "cluster/core/cell.h"
#include "cluster/core/writes.h"

// Undecided records that may be held for one source tablet; a coordinator that sends more is
// refused.
#define SOURCE_ENTRY_COUNT_MAX 65536

struct source_entry { // A record behind the decided position.
    struct position end;
    uint64_t row_index;
    enum record_state state;
    bool is_unsaved;    // Its state is not in the batch yet.
    bool is_applied;    // Its rows are visible (sorted tables need not wait for the gap).
    uint64_t sequence;  // Among the table's undecided records; readers wait by it.
    struct block *rows; // Until applied; NULL for a hole.
    uint64_t *hashes;   // Of its rows' keys while undecided, if they are few; NULL otherwise.
    uint32_t hash_count;
};

struct source_tablet {
    struct guid tablet_id;
    struct position tail;
    struct position decided;
    struct source_entry *entries; // stb array, in order of position.
    uint32_t undecided_count;
    uint64_t closed_timestamp; // B: volatile (T4).
    bool is_ack_due;           // Somebody may wait for it.
    bool is_ack_wanted;        // It may leave whenever what it says is durable.
};

struct source {
    struct guid replica_id; // The key.
    struct guid meta_cluster_id;
    struct table *table;   // Borrowed.
    struct epoch promised; // Durable (E2).
    uint64_t session;
    uint64_t link;    // Of the open session; 0 if there is none.
    bool is_resolved; // RESOLVE was applied: rows may come (S1).
    bool preserve_timestamps;
    bool preserve_tablet_index;
    struct source_tablet *tablets;
    uint32_t tablet_count;
    UT_hash_handle hh;
};

struct sink {                // Of a table: what its readers need to know.
    struct source **sources; // stb array; borrowed.
    uint32_t undecided_count;
    uint64_t next_sequence;
};

struct receiver {
    struct cell *cell;       // Borrowed.
    struct source *sources;  // By replica id. Owned.
    struct request *waiting; // Reads that wait for undecided rows or for a closed timestamp.
    bool is_dirty;           // Something was decided or closed since waiting reads were looked at.
};

// Loads what the store holds; all that was undecided still is (A5).
MUST_USE struct error *receiver_init(struct receiver *receiver, struct cell *cell);
void receiver_release(struct receiver *receiver);

// A message of a coordinator (OPEN, RESOLVE, ROWS, DECIDE, BEAT) has come on an incoming link.
void receiver_receive(struct receiver *receiver, uint64_t link, const struct message *message);

// The incoming link is gone: its sessions are over.
void receiver_link_down(struct receiver *receiver, uint64_t link);

// Queues acknowledgements of what has been received; they leave when it is durable. Call at the end
// of a turn.
void receiver_flush(struct receiver *receiver);

// The table is to be removed: forgets its sources.
void receiver_table_removing(struct receiver *receiver, struct table *table);

// Whether a read of this table must wait, and until what: RD2, T4. Of a lookup `hashes` are the
// keys'; other reads give NULL. On the first call `request->wait_sequence` is 0 and gets set.
bool receiver_must_wait(
    struct receiver *receiver,
    struct table *table,
    struct request *request,
    const uint64_t *hashes,
    size_t hash_count);

// The greatest timestamp at which a read of this table needs no waiting; UINT64_MAX if it has no
// upstream.
uint64_t receiver_closed_timestamp(const struct table *table);

// Puts a read aside; receiver_take_ready gives back all that may have become ready.
void receiver_wait(struct receiver *receiver, struct request *request);
struct request *receiver_take_ready(struct receiver *receiver);
uint64_t receiver_wake_at_us(const struct receiver *receiver);
