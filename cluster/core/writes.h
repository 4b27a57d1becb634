// Turns what a client wants to write into what each tablet gets: checked, ordered by tablet, one
// change a row.
//
// Rows are checked against the table's schema; keys are encoded; several changes of one row in one
// transaction are merged in their order (a delete or a whole row replaces, an update adds). Nothing
// is written here and nothing depends on the state of rows, so an error costs nothing.
#pragma once

#include "cluster/core/objects.h"
#include "cluster/core/request.h"
#include "cluster/core/row_locks.h"

#define TRANSACTION_ROW_COUNT_MAX (1 << 18)
#define ROW_DATA_WEIGHT_MAX       (UINT64_C(32) << 20)

struct row_change {
    struct slice key; // Encoded, without the table's number; empty in ordered tables.
    uint64_t hash;    // Of table and key, for row locks.
    struct row row;   // `column` of values is an index into the table's schema.
};

struct tablet_write {
    struct tablet *tablet;
    bool require_sync_replica; // Of any of its modifications.
    struct row_change *changes;
    uint32_t change_count;
    uint64_t data_weight;
};

struct row_claim { // A lock that a transaction takes: of a row, or of one of its lock groups.
    const struct table *table;
    uint64_t hash;
    enum row_lock_kind kind;
};

struct writes {
    struct tablet_write *tablets; // In the order in which they were first named.
    uint32_t tablet_count;
    uint64_t row_count;
    struct row_claim *claims; // Of rows of sorted tables, of those written and of those locked.
    uint32_t claim_count;
};

// Resolves tables, checks that the user (empty: root) may write them and that tablets are mounted,
// and does the above. All in `arena`; strings are
// borrowed from the modifications. Errors: those of behaviour 5.6, wrapped in
// `Error preparing rows for table %v` only where the row is at fault.
MUST_USE struct error *writes_prepare(
    struct tree *tree,
    struct arena *arena,
    struct slice user,
    const struct modification *modifications,
    uint32_t modification_count,
    struct writes *ret_writes);

// The data weight of changes: 1 for each row, and its values.
uint64_t writes_data_weight(const struct row_change *changes, uint32_t change_count);

// Maps the names of a rowset to columns of a schema: SCHEMA_NO_COLUMN for those it does not have.
void writes_map_names(
    const struct schema *schema,
    const struct slice *names,
    uint16_t name_count,
    uint16_t *ret_columns);

// The hash of a row; under it its main lock is held.
uint64_t row_hash(const struct table *table, struct slice key);

// Writes changes as a rowset under the schema's column names: what a replication log record holds.
void writes_encode(
    const struct schema *schema,
    const struct row_change *changes,
    uint32_t change_count,
    struct buffer *buffer);

// Reads such a rowset for a table whose schema may differ from the writer's: columns are matched by
// name, rows are checked as in writes_prepare; columns that the record does not name are not
// touched. Strings are borrowed from `rows`.
MUST_USE struct error *writes_decode(
    struct arena *arena,
    const struct table *table,
    struct slice rows,
    struct row_change **ret_changes,
    uint32_t *ret_change_count);

// Adds committed changes of one tablet to a batch, as versions or rows at `timestamp`. Ordered
// tablets grow by them.
void writes_apply(
    struct store_batch *batch,
    struct tablet *tablet,
    const struct row_change *changes,
    uint32_t change_count,
    uint64_t timestamp);
