// YSON: text, pretty and binary, read and written as YTsaurus does.
//
// The reader takes any mixture of text and binary. Limits: nesting of YSON_DEPTH_MAX, strings of
// YSON_STRING_SIZE_MAX, YSON_NODE_COUNT_MAX nodes (a node costs fifty times its two bytes of text).
// A key twice in one map is an error. Errors name the offset and what was found there.
// Source: YTsaurus docs "YSON"; yt/yt/core/yson.
#pragma once

#include "base/buffer.h"
#include "model/node.h"

#define YSON_DEPTH_MAX       64
#define YSON_STRING_SIZE_MAX (UINT64_C(16) << 20)
#define YSON_NODE_COUNT_MAX  (UINT64_C(1) << 20)

enum yson_format {
    YSON_TEXT,   // {"a"=1;"b"=[1;2;];}
    YSON_PRETTY, // The same over many lines, indented by 4, each item followed by ";".
    YSON_BINARY,
};

// Parses exactly one node; white space around it is allowed. Strings are copied into the arena.
MUST_USE struct error *yson_parse(struct arena *arena, struct slice text, struct node **ret_node);

// Parses the items of a list fragment one by one: `rows` of {…};{…}. Takes one item off `text`,
// which starts as the whole input; `*ret_node` is NULL at its end.
MUST_USE struct error *yson_parse_item(
    struct arena *arena, struct slice *text, struct node **ret_node);

// Writes one node. Pretty form has no newline at the end; `{}` and `[]` stay on one line.
void yson_print(const struct node *node, enum yson_format format, struct buffer *buffer);

// Writes a string quoted and escaped, as text YSON has it.
void yson_print_string(struct slice string, struct buffer *buffer);
