// Reads rows on behalf of a query: counts them, and stops at the limit.
#pragma once

#include "cluster/query/plan.h"

struct input {
    uint64_t row_count_max; // UINT64_MAX for no limit.
    bool fail_on_limit;
    struct query_statistics *statistics; // Borrowed.
};

// The next row of a scan over a table; NULL at its end, and when the limit has been reached: then
// the statistics say that the input is incomplete, or it fails with 1709.
MUST_USE struct error *input_next(
    struct input *input,
    const struct plan_table *table,
    struct row_scan *scan,
    const struct value **ret_row);
