// Which locks writes and lock_rows take: of rows, or of lock groups of their columns.
//
// A row has a main lock, of the columns without a lock group, and a lock for each group. Who takes
// the main lock takes all: so do deletes and writes of whole rows. Sets of locks have a bit for
// each, the main lock's being the lowest.
// Source: behaviour of YTsaurus's TLockMask (yt/yt/client/table_client/row_base.h).
#pragma once

#include "cluster/core/writes.h"

struct lock_groups {
    uint32_t count;
    struct slice names[SCHEMA_LOCK_COUNT_MAX];
};

// The lock groups of a schema; names are borrowed from it.
void lock_groups_find(const struct schema *schema, struct lock_groups *ret_groups);

// The locks that a write takes.
uint64_t lock_groups_of_change(
    const struct schema *schema, const struct lock_groups *groups, const struct row *row);

// The locks of a list of names, as a modification has it; `path` is for the message about one that
// the table does not have.
MUST_USE struct error *lock_groups_read(
    const struct lock_groups *groups, struct slice names, struct slice path, uint64_t *ret_locks);

// Writes the claims of one row, a member of `locks` each, to an array; returns how many there are.
uint32_t claims_put(
    const struct table *table,
    uint64_t hash,
    uint64_t locks,
    enum row_lock_kind kind,
    struct row_claim *claims);
