// What values of rows may become on input so that they have the types of their columns: attributes
// enable_…_conversion of an input format.
//
// Integers become each other, and doubles, when rows are checked (column_convert_value), unless
// that is switched off; all else is done here, if a format asks for it. A format that has no types,
// such as DSV, writes columns that are not strings with enable_string_to_all_conversion. Source:
// YTsaurus docs "Formats", type conversion.
#pragma once

#include "base/arena.h"
#include "model/node.h"
#include "model/schema.h"

struct conversions {
    bool string_to_all;    // Text of a number or a boolean becomes one.
    bool all_to_string;    // And the other way.
    bool forbids_integers; // An int64 is no uint64, however small, nor the other way.
};

// Reads a format's attributes; NULL has none.
MUST_USE struct error *conversions_parse(
    const struct node *attributes, struct conversions *ret_conversions);

// Whether there is nothing to do.
bool conversions_are_default(const struct conversions *conversions);

// Converts one value for its column. What has another type than the conversions are about stays as
// it is, for column_check_value to judge; text that cannot be read as the column's type is 307.
MUST_USE struct error *conversions_apply(
    const struct conversions *conversions,
    const struct column *column,
    struct arena *arena,
    struct value *value);
