// The replication log of one tablet: records with row indexes and commit timestamps, some
// undecided.
//
// A record is what one transaction adds to one tablet. It is in the store from prepare on; an
// aborted one has an abort record beside it and stays as a hole. The newest records are also in
// memory (every undecided one is), so replicas that keep up cost no reads. What is in the store
// without an abort record and not in memory as undecided is committed: that is rule R1 as well.
//
// The queue changes memory at once and writes into the caller's batch. Belongs to one loop.
#pragma once

#include "base/block.h"
#include "base/store.h"
#include "model/position.h"

struct commit; // coordinator/core/commits.h

// Decided records kept in memory, for replicas that are a little behind.
#define QUEUE_CACHE_RECORD_COUNT_MAX 4096
#define QUEUE_CACHE_SIZE_MAX         (UINT64_C(8) << 20)

struct record {
    uint64_t row_index; // Of its first row.
    uint32_t row_count;
    enum record_state state;
    uint64_t timestamp;
    struct block *rows;    // A rowset. Held; NULL for a hole.
    struct commit *commit; // While undecided. Borrowed.
};

struct queue {
    uint32_t tablet_number;
    struct store *store;    // Borrowed.
    struct record *records; // A ring: the newest records, oldest first.
    size_t record_capacity; // A power of two.
    size_t record_begin;
    size_t record_count;
    size_t
        decided_count; // Of records in memory: how many are decided before the first that is not.
    uint64_t cached_size;          // Of rows in memory, in bytes.
    struct position committed_end; // Of the newest committed record.
    struct position end;           // Of the newest record: the total row count, its timestamp.
    struct position
        trimmed; // Rows below are gone; its timestamp is the last trimmed record's (Q4).
};

// Loads where the log begins and ends. Everything in it is committed or aborted (R1).
MUST_USE struct error *queue_init(struct queue *queue, struct store *store, uint32_t tablet_number);
void queue_release(struct queue *queue);

// Appends an undecided record and returns its position. The rows are held. Timestamps must grow
// (C2).
struct position queue_append(
    struct queue *queue,
    struct store_batch *batch,
    uint64_t timestamp,
    uint32_t row_count,
    struct block *rows,
    struct commit *commit);

// Writes the abort record of the undecided record at `position` (C6). The record stays undecided
// until queue_decide, which the caller calls when the batch is durable.
void queue_write_abort(struct queue *queue, struct store_batch *batch, struct position position);

// Settles an undecided record.
void queue_decide(struct queue *queue, struct position position, bool is_committed);

// The record that ends at this row index, if it is in memory; NULL otherwise.
struct record *queue_cached_record(const struct queue *queue, uint64_t end_row_index);

// The record that begins at this row index, if it is in memory; NULL otherwise.
const struct record *queue_cached_at(const struct queue *queue, uint64_t row_index);

enum queue_lookup {
    QUEUE_KNOWN,         // The pair is in the log; `*ret_state` says what it is.
    QUEUE_UNKNOWN,       // It is not, and lies above what is trimmed.
    QUEUE_TRIMMED,       // Its index is below or at what is trimmed (at it: the pair matches).
    QUEUE_TRIMMED_OTHER, // Its index is where the log is trimmed and its timestamp differs.
};

// Looks a position up as a pair (rule S3), (0, 0) being known.
MUST_USE struct error *queue_find(
    const struct queue *queue,
    struct position position,
    enum queue_lookup *ret_lookup,
    enum record_state *ret_state);

// Where a reader is in the log. Goes through memory or the store, whichever has the record.
struct queue_cursor {
    const struct queue *queue;
    struct store_iterator *iterator; // Owned; NULL while memory serves.
    struct position at;              // The next record begins here.
};

// Starts reading behind a position known to be in the log.
void queue_cursor_init(
    struct queue_cursor *cursor, const struct queue *queue, struct position from);
void queue_cursor_release(struct queue_cursor *cursor);

// Reads the next record; its rows are held for the caller, who releases them. False at the end.
MUST_USE struct error *queue_cursor_next(
    struct queue_cursor *cursor, struct record *ret_record, bool *ret_found);

// The timestamp of the first record that ends above `row_index`, 0 if there is none.
MUST_USE struct error *queue_timestamp_after(
    const struct queue *queue, uint64_t row_index, uint64_t *ret_timestamp);

// The end of the last record that ends at or below this row index.
MUST_USE struct error *queue_position_of_index(
    const struct queue *queue, uint64_t row_index, struct position *ret_position);

// Drops decided records up to `row_index` whose timestamps are at or below `timestamp_max`, at most
// `record_count_max` of them, and returns whether anything was dropped.
MUST_USE struct error *queue_trim(
    struct queue *queue,
    struct store_batch *batch,
    uint64_t row_index,
    uint64_t timestamp_max,
    size_t record_count_max,
    bool *ret_trimmed);

// The first undecided record, or NULL.
const struct record *queue_first_undecided(const struct queue *queue);

static inline struct position record_end(const struct record *record)
{
    return (struct position){record->row_index + record->row_count, record->timestamp};
}
