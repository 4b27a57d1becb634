// What a cluster holds of the sources of its replica tables: positions, and the records behind
// them with their states, in memory and in the store.
//
// A source is a replica id of some meta-cluster. Each of its tablets has a tail and a decided
// position; records behind the decided one are kept with their state (protocol sections 1, 3, 5).
// Rows become visible when their record is decided, in a sorted table at once, in an ordered one in
// the order of the log. Rows, states and positions go into the cell's batch together
// (one-position); the caller applies it.
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

struct sources {          // Of a cluster.
    struct cell *cell;    // Borrowed.
    struct source *by_id; // Owned.
    bool is_changed;      // Something was decided or closed since waiting reads were looked at.
};

// Loads what the store holds; all that was undecided still is (A5).
MUST_USE struct error *sources_init(struct sources *sources, struct cell *cell);
void sources_release(struct sources *sources);

// The source of this replica id, NULL if there is none.
struct source *sources_find(const struct sources *sources, struct guid replica_id);

// The table is to be removed: forgets its sources, in the store too.
void sources_table_removing(struct sources *sources, struct table *table);

// A new source of the table, which begins where the OPEN says.
struct source *source_begin(
    struct sources *sources, struct table *table, const struct message *open);

// The tablets are those of the OPEN from now on: a replicated table without rows may have been
// resharded. Nothing may have been received for the old ones.
void source_change_tablets(
    struct sources *sources, struct source *source, const struct message *open);

// Writes down the promised epoch, the session and the tablets.
void source_save(struct sources *sources, const struct source *source);

// Writes down a tablet's tail and decided position. Call after every change of them.
void source_save_positions(
    struct sources *sources, const struct source *source, const struct source_tablet *tablet);

// Takes the next record of a tablet's log: applies its rows if it is decided and may be shown,
// keeps it otherwise, and moves the tail. Refuses what does not begin at the tail, rows that the
// table cannot take, and more than SOURCE_ENTRY_COUNT_MAX; then nothing has changed.
MUST_USE struct error *source_add(
    struct sources *sources,
    struct source *source,
    struct source_tablet *tablet,
    const struct message_record *record);

// The kept record that ends at this position, NULL if there is none: equal as a pair (S3). Valid
// until entries are added or dropped.
struct source_entry *source_find_entry(struct source_tablet *tablet, struct position position);

// A3. A decision that is here already changes nothing. Call source_advance after the last one.
MUST_USE struct error *source_decide(
    struct sources *sources,
    struct source *source,
    struct source_tablet *tablet,
    struct source_entry *entry,
    bool is_committed);

// S4. Drops all kept records but the first `kept_count`: none of the others may be decided. `tail`
// is the end of the last one that stays.
void source_discard(
    struct sources *sources,
    struct source *source,
    struct source_tablet *tablet,
    size_t kept_count,
    struct position tail);

// Moves the decided position over all that is decided, in order; what an ordered table could not
// show before the gap closed is shown now.
MUST_USE struct error *source_advance(
    struct sources *sources, struct source *source, struct source_tablet *tablet);

// Takes over the closed timestamp that came with a message, if it is about all that is here (T3)
// and greater than the last one (T4).
void source_close_timestamp(
    struct sources *sources, struct source_tablet *tablet, const struct message_tablet *part);
