// Copies rows of tables and records of logs under other numbers, in small steps, as they were when
// it began.
//
// Rows lie in the store under the number of their table or tablet (layout.h). New numbers are
// written down as unfinished before rows come under them; what a crash leaves behind is removed at
// the next start.
#pragma once

#include "cluster/core/cell.h"

struct row_range {
    enum store_family family;
    uint32_t from; // The number under which rows are,
    uint32_t to;   // and under which they come.
};

struct row_copies {
    struct cell *cell; // Borrowed.
    struct store_snapshot *snapshot;
    struct row_range *ranges; // stb array.
    size_t range_index;       // At work; all are done at their count.
    struct buffer next;       // Where it goes on; empty at its beginning.
};

// Nothing is to be copied yet. All that was changed before is seen.
void row_copies_init(struct row_copies *copies, struct cell *cell);
void row_copies_release(struct row_copies *copies);

// Plans to copy all that lies under a number of this family, under a new one.
void row_copies_add(struct row_copies *copies, enum store_family family, uint32_t from);

// Copies some more, about `size_max` bytes, into the cell's batch. `*ret_is_done`: all is copied.
MUST_USE struct error *row_copies_step(
    struct row_copies *copies, uint64_t size_max, bool *ret_is_done);

// The copies stay: whoever owns the new numbers is in the cell's batch, too. The plan is empty
// then.
void row_copies_keep(struct row_copies *copies);

// They do not: what was copied is removed.
void row_copies_drop(struct row_copies *copies);

// Removes what was unfinished when the process ended. Call at start.
MUST_USE struct error *row_copies_recover(struct cell *cell);
