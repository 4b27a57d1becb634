// Reads rows that come in pieces, in any format, and keeps them as an encoded rowset.
//
// So a body that is being received takes no more memory than its rows, and the work is done as it
// comes. What a row is, and which values it may have, is said at format_read_rows.
#pragma once

#include "model/format.h"

#define ROW_TEXT_SIZE_MAX (UINT64_C(32) << 20) // Of one row, as it is written.

struct row_reader;

// Rows may take `size_max` bytes, encoded.
MUST_USE struct row_reader *row_reader_new(const struct format *format, size_t size_max);
void row_reader_free(struct row_reader *reader);

// Reads what has come. An error names the row by its number, from 0; nothing may be fed afterwards.
// Too many rows are 1717.
MUST_USE struct error *row_reader_feed(struct row_reader *reader, struct slice piece);

// The input is complete: appends the rowset.
MUST_USE struct error *row_reader_finish(struct row_reader *reader, struct buffer *rowset);

// The bytes that it holds now.
size_t row_reader_size(const struct row_reader *reader);
