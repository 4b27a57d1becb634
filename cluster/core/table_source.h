// Tables of this cluster as sources of rows for queries: scans over a snapshot of the store.
#pragma once

#include "base/store.h"
#include "cluster/query/row_source.h"
#include "model/schema.h"

// A table as a query sees it, apart from the tree, which may change meanwhile.
struct source_table {
    struct slice path;
    struct schema
        *schema; // Of an ordered table with two key columns in front: table_source_schema.
    bool is_sorted;
    uint32_t table_number;
    uint32_t *tablet_numbers; // Of ordered tables.
    uint32_t tablet_count;
};

struct table_source {
    struct row_source base;           // First.
    const struct source_table *table; // Borrowed, like what follows.
    struct store *store;
    const struct store_snapshot *snapshot; // NULL for the newest state.
    uint64_t timestamp;                    // Rows as of this.
};

// The schema of an ordered table as queries see it: $tablet_index and $row_index come first, as its
// key, and the columns of `schema` follow.
struct schema *table_source_schema(struct arena *arena, const struct schema *schema);

// Whether a range of a sorted table is one whole key, which is then its beginning: it is looked up,
// not scanned.
bool table_source_is_point(const struct source_table *table, const struct row_range *range);

void table_source_init(
    struct table_source *source,
    const struct source_table *table,
    struct store *store,
    const struct store_snapshot *snapshot,
    uint64_t timestamp);
