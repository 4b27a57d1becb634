// DSV: rows as lines of fields, `name=value` (dsv) or values in a given order (schemaful_dsv).
//
// Fields are separated by tabs; in names and values \t, \n, \r, \\, \0 and (in names) \= stand for
// what would separate. All that is read is a string: the types of columns decide what becomes of it
// (format attribute enable_string_to_all_conversion). Nulls are left out of dsv; schemaful_dsv has
// the sentinel in their place, or refuses them. Lists, maps and other values of type any cannot be
// written. Source: YTsaurus docs "DSV", "SCHEMAFUL_DSV".
#pragma once

#include "model/format.h"

// Reads the attributes of a format `dsv` or `schemaful_dsv`. Separators other than the usual ones
// are refused.
MUST_USE struct error *dsv_parse_format(
    const struct node *attributes, bool is_schemaful, struct format *format);

// Takes a line off `input`, as a map; NULL at the end. Fails if the last line is not complete and
// more is to come.
MUST_USE struct error *dsv_parse_item(
    struct arena *arena,
    const struct format *format,
    struct slice *input,
    bool is_end,
    struct node **ret_node);

// Writes a row with its newline.
MUST_USE struct error *dsv_print_row(
    const struct format *format,
    const struct rowset *rowset,
    const struct row *row,
    struct buffer *buffer);
