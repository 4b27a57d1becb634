// Where a query's rows come from: the interface between the engine and whoever keeps the rows.
//
// A source is one table, seen at one moment. The engine opens a scan over key ranges and pulls
// rows, one at a time, in key order; the implementation reads a snapshot of a store, or an array in
// a test. It shares nothing between scans, of which several may be open at once.
#pragma once

#include "base/error.h"
#include "base/slice.h"
#include "model/value.h"

// The keys in [begin, end), encoded by model/key.h. An empty `begin` is the beginning of the table,
// an empty `end` stands for no end. A bound may end in the middle of a key or of a value; it is
// only compared with the bytes of keys.
struct row_range {
    struct slice begin;
    struct slice end;
};

struct row_source;
struct row_scan;

struct row_source_methods {
    // Opens a scan over `ranges`, which are sorted, do not overlap and may be none at all; they and
    // `columns` are borrowed until the scan is closed. `columns` has an entry for each column of
    // the schema; where it is false, the value is not looked at and may be anything.
    struct error *(*open)(
        struct row_source *source,
        const struct row_range *ranges,
        size_t range_count,
        const bool *columns,
        struct row_scan **ret_scan);
};

struct row_scan_methods {
    // The next row as an array of values, one for each column of the schema, in its order; NULL
    // after the last row. A value is null or of its column's type (column_value_type). `column` in
    // a value is not looked at. Everything is borrowed until the next call.
    struct error *(*next)(struct row_scan *scan, const struct value **ret_row);
    void (*close)(struct row_scan *scan);
};

// To be embedded as the first field of what implements it.
struct row_source {
    const struct row_source_methods *methods;
};

struct row_scan {
    const struct row_scan_methods *methods;
};

MUST_USE static inline struct error *row_source_open(
    struct row_source *source,
    const struct row_range *ranges,
    size_t range_count,
    const bool *columns,
    struct row_scan **ret_scan)
{
    return source->methods->open(source, ranges, range_count, columns, ret_scan);
}

MUST_USE static inline struct error *row_scan_next(
    struct row_scan *scan, const struct value **ret_row)
{
    return scan->methods->next(scan, ret_row);
}

// NULL is allowed.
static inline void row_scan_close(struct row_scan *scan)
{
    if (scan) scan->methods->close(scan);
}

static inline void row_scan_closep(struct row_scan **scan)
{
    row_scan_close(*scan);
}
