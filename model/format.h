// The formats in which commands take and give data: yson, json, and for rows dsv and schemaful_dsv.
//
// A format is a string with attributes, as parameters have it: <format=text>yson, json.
// Structured data is one node; tabular data is a sequence of rows, each a map from column to value.
#pragma once

#include "base/buffer.h"
#include "model/conversion.h"
#include "model/json.h"
#include "model/node.h"
#include "model/rowset.h"
#include "model/yson.h"

struct format {
    enum { FORMAT_YSON, FORMAT_JSON, FORMAT_DSV, FORMAT_SCHEMAFUL_DSV } kind;
    enum yson_format yson; // `yson` without attribute `format` is binary.
    struct json_options json;
    struct conversions conversions; // Of rows that are read.
    bool skip_null_values;          // JSON: rows are written without their nulls.
    struct {
        const struct node *columns; // SCHEMAFUL_DSV: a list of strings. Borrowed from the node.
        bool has_sentinel;          // Stands for a null.
        struct slice sentinel;
    } dsv;
};

// Reads a format from its node (a string with attributes). Unknown names are refused, unknown
// attributes ignored.
MUST_USE struct error *format_parse(const struct node *node, struct format *ret_format);

// The MIME type of what is written in a format.
const char *format_mime_type(const struct format *format);

// Reads a node from `input`, written in `format`.
MUST_USE struct error *format_read_node(
    struct arena *arena, const struct format *format, struct slice input, struct node **ret_node);

// Writes a node. There is no newline at the end but in pretty JSON, like in the HTTP proxy.
MUST_USE struct error *format_write_node(
    const struct format *format, const struct node *node, struct buffer *buffer);

// A value as a node; `name` is its column's, for errors: an any may hold no YSON.
MUST_USE struct error *value_to_node(
    struct arena *arena, struct slice name, const struct value *value, struct node **ret_node);

// Reads rows: maps separated by `;` (YSON list fragment) or white space (JSON). Each map key
// becomes a name of the rowset; values: entity null, string, int64, uint64, double, boolean as they
// are, lists, maps and values with attributes as any (binary YSON). Row kinds are all ROW_WRITE.
// Errors name the row's number, from 0. `$tablet_index` and `$row_index` are ordinary names here.
// The limits are those of rowset.h. Everything is copied into `arena`. The fields of DSV are
// strings.
MUST_USE struct error *format_read_rows(
    struct arena *arena,
    const struct format *format,
    struct slice input,
    struct rowset *ret_rowset);

// Takes one row off `input`, as a node; NULL at its end. Unless `is_end`, more may come: then a row
// that is not complete, or may not be, is an error too, and `input` stays as it is.
MUST_USE struct error *format_read_item(
    struct arena *arena,
    const struct format *format,
    struct slice *input,
    bool is_end,
    struct node **ret_node);

// Writes the rows of a rowset. YSON: each row is followed by ";" and, in text and pretty, a
// newline. JSON: each on a line of its own. Rows of kind ROW_MISSING are written as entity / null;
// DSV leaves them out. Columns with ROWSET_ATTRIBUTE_PREFIX become attributes of the row. `scratch`
// is used for what a row needs on the way, and reset.
MUST_USE struct error *format_write_rows(
    struct arena *scratch,
    const struct format *format,
    const struct rowset *rowset,
    struct buffer *buffer);
