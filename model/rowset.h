// Rows as one block of bytes: on the wire, in the replication log, and in answers.
//
// A rowset carries the names of its columns, so it can be read without a schema and outlives
// alter_table: columns are matched by name. Layout: version (1 byte), names (varint count; each
// varint length and bytes), row count (varint), rows; a row is its kind (1 byte), varint value
// count and values; a value is varint column, type byte (0x80 added if aggregate) and payload:
// int64 zigzag varint, uint64 varint, double 8 bytes little endian, boolean 1 byte, string and any
// with a varint length, null nothing.
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "model/value.h"

#define ROWSET_NAME_COUNT_MAX  4096
#define ROWSET_ROW_COUNT_MAX   (1 << 20)
#define ROWSET_VALUE_COUNT_MAX 1024 // In one row.
#define ROWSET_VERSION         1

// Columns whose names begin so are attributes of the row where rows are written as nodes.
#define ROWSET_ATTRIBUTE_PREFIX "$attribute:"

struct rowset {
    struct slice *names;
    uint16_t name_count;
    struct row *rows;
    uint32_t row_count;
};

// Writes a rowset piece by piece: begin, then row_count times a row.
void rowset_encode_begin(
    const struct slice *names, uint16_t name_count, uint32_t row_count, struct buffer *buffer);
void rowset_encode_row(const struct row *row, struct buffer *buffer);

void rowset_encode(const struct rowset *rowset, struct buffer *buffer);

// Reads one piece by piece: names, then rows, without allocating for all rows.
struct rowset_reader {
    struct slice rest;
    struct slice *names; // In the arena.
    uint16_t name_count;
    uint32_t row_count; // Still to be read.
};

// Reads the beginning. Everything is checked, here and in rowset_read_row, against limits and the
// input's size, so that any bytes are safe to read.
MUST_USE struct error *rowset_read_begin(
    struct rowset_reader *reader, struct arena *arena, struct slice bytes);

// Reads the next row into `row`, whose values go to `values`, an array of ROWSET_VALUE_COUNT_MAX.
// Strings are borrowed from the input. Call row_count times; the last one checks that nothing is
// left.
MUST_USE struct error *rowset_read_row(
    struct rowset_reader *reader, struct value *values, struct row *ret_row);

// Decodes everything into `arena`; strings are borrowed from `bytes`.
MUST_USE struct error *rowset_decode(
    struct arena *arena, struct slice bytes, struct rowset *ret_rowset);

// The number of rows without decoding them; 0 if the beginning is malformed.
uint32_t rowset_row_count(struct slice bytes);
