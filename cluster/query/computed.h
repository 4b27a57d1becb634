// Computed key columns: values that a table's schema makes of the other key columns.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "model/schema.h"

struct computed;

// Binds the expressions of a schema; `*ret_computed` is NULL if it has none. Nothing is borrowed.
// Errors, of code 1: an expression that is none, that names what is no plain key column, or that
// gives another type than its column has.
MUST_USE struct error *computed_new(const struct schema *schema, struct computed **ret_computed);
void computed_free(struct computed *computed);

// Fills in the computed columns of a row, of which `values` has at least the key columns by their
// index; the others must be there, nulls included. Strings are made in `arena`. NULL computes
// nothing. Errors: of the evaluation, and of values that do not fit their columns.
MUST_USE struct error *computed_evaluate(
    struct computed *computed, struct arena *arena, struct value *values);

// Fills in those computed columns that depend only on key columns whose values are known, as
// `is_known` says by their index, and marks them as known. One whose evaluation fails is left out.
void computed_infer(
    struct computed *computed, struct arena *arena, struct value *values, bool *is_known);
