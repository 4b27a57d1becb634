// Rows of tables as they lie in the store.
//
// A sorted table keeps versions: table number ++ key ++ inverted timestamp -> kind, and the values
// written at that timestamp. A write replaces the row, an update changes the columns it has, a
// delete is a version too. A read at T merges the versions at or below T, newest first, down to the
// first that is no update. Values are stored by column id, so alter_table changes nothing here. An
// ordered table keeps rows: tablet number ++ row index -> commit timestamp and values.
//
// In stored values `column` is the id of the column; in rows given and returned it is the column's
// index in the schema. Only committed rows are ever written here.
#pragma once

#include "base/store.h"
#include "model/schema.h"

// Appends the key of a row of a sorted table, without timestamp: the table's number and the encoded
// values of the key columns.
void version_begin_key(uint32_t table_number, struct buffer *key);

// Adds a version of the row with this key (from version_begin_key on) to a batch. `values` are by
// index in the schema; key columns among them are skipped.
void version_put(
    struct store_batch *batch,
    const struct schema *schema,
    struct slice key,
    uint64_t timestamp,
    const struct row *row);

// What an aggregating column has when `newer` comes on top of `older`; a null changes nothing.
struct value value_aggregate(
    struct slice function, const struct value *older, const struct value *newer);

// Reads the row with this key as of `timestamp` into `values`, one for each column of the schema,
// whose strings live in `arena`. Key columns are set from the key. `*ret_timestamp`, if not NULL,
// gets the timestamp of the newest version at or below. With no such row `*ret_found` is false.
MUST_USE struct error *version_read(
    struct store_iterator *iterator,
    struct arena *arena,
    const struct schema *schema,
    struct slice key,
    uint64_t timestamp,
    struct value *values,
    bool *ret_found);

#define ROW_VERSION_COUNT_MAX 65536 // That a history can have.

// A version of a row as it was written.
struct row_version {
    uint64_t timestamp;
    enum row_kind kind;
    // Those of value columns that it was written with; what a full write does not have is null.
    struct value *values;
    uint32_t value_count;
    struct row_version *older; // NULL for the last.
};

// Reads the versions of a row at or below `timestamp` into the arena, newest first: NULL if there
// is none. With `is_merged` only those that a read merges: down to the first that is no update.
MUST_USE struct error *version_history(
    struct store_iterator *iterator,
    struct arena *arena,
    const struct schema *schema,
    struct slice key,
    uint64_t timestamp,
    bool is_merged,
    struct row_version **ret_newest);

// Scans the rows of a sorted table in key order.
struct version_scan {
    struct store_iterator *iterator; // Owned.
    const struct schema *schema;
    const bool *wanted; // By column; NULL for all. Borrowed, like the next but one.
    uint32_t table_number;
    uint64_t timestamp;
    struct buffer key;   // Of the row that was read last.
    struct arena *arena; // For strings of rows.
    bool is_at_row;      // The iterator stands at a version of that row.
};

// Starts a scan of keys in [begin, end), both without the table's number; an empty end is none.
// Value columns that are not wanted are null.
void version_scan_init(
    struct version_scan *scan,
    struct store *store,
    const struct store_snapshot *snapshot,
    const struct schema *schema,
    const bool *wanted,
    uint32_t table_number,
    struct slice begin,
    struct slice end,
    uint64_t timestamp,
    struct arena *arena);
void version_scan_release(struct version_scan *scan);

// Reads the next row into `values`; false at the end. Strings live until the next call, or until
// the caller resets the arena.
MUST_USE struct error *version_scan_next(
    struct version_scan *scan, struct value *values, bool *ret_found);

// Adds a row of an ordered table to a batch.
void ordered_put(
    struct store_batch *batch,
    const struct schema *schema,
    uint32_t tablet_number,
    uint64_t row_index,
    uint64_t timestamp,
    const struct row *row);

// Decodes a row of an ordered table; `values` as in version_read. A column $timestamp gets the
// timestamp.
MUST_USE struct error *ordered_decode(
    struct arena *arena,
    const struct schema *schema,
    struct slice stored,
    uint64_t *ret_timestamp,
    struct value *values);
