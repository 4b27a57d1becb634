// JSON as YTsaurus speaks it: attributes as {"$attributes": {…}, "$value": …}, bytes above 127 by
// `encode_utf8` (each byte as the code point of the same number) or as they are.
//
// The reader keeps exact 64-bit integers: what fits int64 becomes int64, else uint64, other numbers
// doubles. {"$type": "uint64", "$value": "1"} gives a type, too; a key that begins with `$` has one
// more in front. Limits as in yson.h; a key twice in one object is an error.
// Source: YTsaurus docs "JSON format"; yt/yt/core/json.
#pragma once

#include "base/buffer.h"
#include "model/node.h"

enum json_attributes_mode {
    JSON_ATTRIBUTES_ON_DEMAND, // "$attributes" where there are any.
    JSON_ATTRIBUTES_NEVER,
    JSON_ATTRIBUTES_ALWAYS,
};

// Zeroed, but for `encode_utf8`, these are the defaults of YTsaurus. The first two lines are for
// reading, too.
struct json_options {
    bool encode_utf8; // YTsaurus defaults to true.
    bool is_plain;    // `$` means nothing, and attributes are not written.
    bool is_pretty;
    bool stringify;           // Writes numbers and booleans as strings.
    bool annotate_with_types; // Writes scalars as {"$type": …, "$value": …}.
    bool stringify_nan_and_infinity;
    enum json_attributes_mode attributes_mode;
    uint64_t
        string_length_limit; // In bytes; longer ones are cut and marked "$incomplete". 0: none.
};

#define JSON_OPTIONS_DEFAULT ((struct json_options){.encode_utf8 = true})

// Parses exactly one value.
MUST_USE struct error *json_parse(
    struct arena *arena,
    struct slice text,
    const struct json_options *options,
    struct node **ret_node);

// Takes the next value off `text` (values are separated by white space); NULL at the end.
MUST_USE struct error *json_parse_item(
    struct arena *arena,
    struct slice *text,
    const struct json_options *options,
    struct node **ret_node);

// Writes one value. Fails if encode_utf8 is off and a string is not UTF-8, and on NaN and infinity
// unless they may be strings; `buffer` then has the beginning.
MUST_USE struct error *json_print(
    const struct node *node, const struct json_options *options, struct buffer *buffer);
