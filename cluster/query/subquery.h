// A query in FROM: runs in steps as its outer query wants rows, which wait in between.
#pragma once

#include "cluster/query/plan.h"

struct subquery {
    struct query_sink sink; // First.
    const struct query_plan *plan;
    struct query_execution *execution;
    uint64_t memory_size_max;
    struct arena arena;  // Of the rows.
    struct value **rows; // Growing array of those that wait.
    size_t next;         // Which comes next.
    bool is_done;
};

// `sources` are those of its tables. To stay at its address until released.
void subquery_init(
    struct subquery *subquery,
    const struct query_plan *plan,
    struct row_source *const *sources,
    const struct query_limits *limits);

// A zeroed struct is allowed.
void subquery_release(struct subquery *subquery);

// Takes the next row, borrowed until the next call; NULL at the end, and when the budget is used
// up.
MUST_USE struct error *subquery_next(
    struct subquery *subquery, uint64_t *budget, const struct value **ret_row, bool *ret_at_end);
