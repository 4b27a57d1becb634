// What a predicate over key columns implies of the computed ones, for deriving ranges.
#pragma once

#include "cluster/query/typing.h"

// Adds to a predicate over a table's columns, part of a conjunction or NULL, what it implies of
// computed key columns: with the key `h = farm_hash(k), k`, `k = 1` implies `h = farm_hash(1)`, and
// `k in (1, 2)` implies that (h, k) is one of two pairs. The result is for ranges_derive alone.
// Fails if an expression of the schema cannot be bound.
MUST_USE struct error *implied_add(
    struct typer *typer,
    const struct schema *schema,
    const struct expression *predicate,
    const struct expression **ret_predicate);
