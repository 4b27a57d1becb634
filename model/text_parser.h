// Where a parser of trees of nodes stands in its text, what it has made so far, and how it fails:
// what the parsers of YSON and JSON share. Limits: those of yson.h.
#pragma once

#include "base/arena.h"
#include "base/error.h"

#include <stdint.h>

struct text_parser {
    const char *language; // "YSON", for errors.
    struct arena *arena;  // Borrowed: what nodes are made in.
    const char *begin;
    const char *at;
    const char *end;
    uint64_t node_count;
    uint32_t depth; // Of open brackets.
};

// At the beginning of a text, which is borrowed.
struct text_parser text_parser_from(const char *language, struct arena *arena, struct slice text);

// What is not parsed yet.
struct slice text_parser_rest(const struct text_parser *parser);

// An error that says what is wrong (at most 127 bytes) and where.
MUST_USE PRINTF_LIKE(2, 3) struct error *text_parser_fail(
    const struct text_parser *parser, const char *format, ...);

// An error that says what was expected, and shows what stands there.
MUST_USE struct error *text_parser_fail_unexpected(
    const struct text_parser *parser, const char *expected);

// 326: a string is longer than YSON_STRING_SIZE_MAX.
MUST_USE struct error *text_parser_fail_long_string(const struct text_parser *parser);

// Counts one more node, unless there are YSON_NODE_COUNT_MAX.
MUST_USE struct error *text_parser_count_node(struct text_parser *parser);

// Steps behind an opening bracket, unless YSON_DEPTH_MAX are open. Whoever closes it counts `depth`
// down.
MUST_USE struct error *text_parser_enter(struct text_parser *parser);
