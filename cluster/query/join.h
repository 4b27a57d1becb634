// JOIN: takes rows of the first table and gives rows of all tables.
//
// Rows are collected into a batch; then, table after table, the rows that match the batch are read
// by key ranges into a hash table. A table that is not joined by the beginning of its key is read
// once, as a whole. The rows of the last join are not collected but given out at once.
//
//   is         and
//   FILLING    collects rows until the batch is full or there are no more, then opens the table
//   LOADING    reads rows of a table; then it expands the batch and opens the next table, or
//   STREAMING  gives out what matches the batch with the last table; then fills the next batch
//   FINISHED   when there are no more rows
#pragma once

#include "cluster/query/evaluate.h"
#include "cluster/query/input.h"
#include "cluster/query/key_table.h"
#include "cluster/query/plan.h"

struct join_row;

enum join_state { JOIN_FILLING, JOIN_LOADING, JOIN_STREAMING, JOIN_FINISHED };

struct join_batch {
    struct arena arena;
    struct value **rows; // Growing array of stb_ds.
};

struct join {
    const struct query_plan *plan;
    struct row_source *const *sources;
    struct evaluator *evaluator;
    struct input *input;
    uint64_t memory_size_max; // Of joined rows alone; the caller checks the sum.

    enum join_state state;
    struct join_batch batch;
    uint64_t batch_row_count_max; // Grows from batch to batch: a small limit needs few rows.
    bool has_all_rows;            // The first table has no more.

    uint32_t table;           // That is being joined.
    struct row_scan *scan;    // Of it, while loading.
    struct arena ranges;      // Of the scan.
    struct key_table *tables; // Rows by their side of the equations, for each joined table.
    bool *is_loaded;          // Tables that were read as a whole.

    struct value *row;           // The source row at hand.
    const struct value **keys;   // Of the row at hand.
    size_t batch_index;          // While streaming: the row of the batch,
    const struct join_row *next; // and its next match.
};

void join_init(
    struct join *join,
    const struct query_plan *plan,
    struct row_source *const *sources,
    struct evaluator *evaluator,
    struct input *input,
    uint64_t memory_size_max);
void join_release(struct join *join);

// Bytes it holds.
size_t join_size(const struct join *join);

// Whether it is waiting for join_add or join_finish.
static inline bool join_wants_row(const struct join *join)
{
    return join->state == JOIN_FILLING;
}

// Adds a row of the first table, which is copied.
MUST_USE struct error *join_add(struct join *join, const struct value *row);

// There are no more rows.
MUST_USE struct error *join_finish(struct join *join);

// Does some work, at most `*budget` rows, which it takes off the budget. `*ret_row` is a joined
// row, borrowed until the next call, or NULL if none is ready: then it wants a row, or is finished,
// or the budget is used up.
MUST_USE struct error *join_next(struct join *join, uint64_t *budget, const struct value **ret_row);
