// {names} in the text of a query, which stand for values that come beside it.
//
// They are replaced by literals before the query is parsed, so values cannot change its structure.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "model/node.h"

// Fills the placeholders of `text` in: a scalar becomes a literal, a list a tuple of them, a list
// of lists a tuple of tuples. `values` is a map, or NULL for none. Without placeholders `*ret_text`
// is the text itself. Fails if a value is missing, a map, NaN or an empty list.
MUST_USE struct error *placeholders_fill(
    struct arena *arena, struct slice text, const struct node *values, struct slice *ret_text);
