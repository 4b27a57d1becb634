// Derives from a predicate which key ranges can hold rows that satisfy it.
//
// An optimisation only: what is read must still be filtered by the whole predicate, and ranges may
// be wider than need be. They are built column by column: as long as the predicate pins a key
// column to single values, each of these is followed into the next column; any other restriction
// ends the range. So `a = 1 and b in (3, 4)` gives two ranges, and `(a, b) > (1, 2)` gives one that
// begins after [1, 2].
#pragma once

#include "cluster/query/expression.h"
#include "cluster/query/row_source.h"
#include "model/schema.h"

// `predicate` may be NULL: everything. In it, columns are numbered as in the schema. The ranges are
// sorted, do not overlap or touch, and are at most `count_max`: beyond it the last one is widened,
// and they are not exact.
void ranges_derive(
    struct arena *arena,
    const struct expression *predicate,
    const struct schema *schema,
    size_t count_max,
    struct row_range **ret_ranges,
    size_t *ret_count,
    bool *ret_is_exact);

// Whether a part of a conjunction is about nothing but the first key column, in such a way that it
// holds of all rows in the ranges if these are exact: so it need not be looked at again.
bool ranges_decide(const struct expression *part);
