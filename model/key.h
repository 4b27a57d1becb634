// Keys as bytes: the order of encoded keys is the order of rows.
//
// Each value is its type byte (null < int64 < … < any) and then: int64 big endian with the sign bit
// flipped; uint64 big endian; double with sign flipped or all bits inverted, -0 as 0 and every NaN
// alike, last; boolean one byte; string and any with 00 escaped as 00 ff and ended by 00 01.
// So a key that is a prefix of another in values comes first, and key_successor gives the first key
// that does not begin with it.
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "model/value.h"

#define KEY_SIZE_MAX (UINT64_C(16) << 10)

// Appends one value; its `column` is not part of it.
void key_encode_value(const struct value *value, struct buffer *buffer);

void key_encode(const struct value *values, size_t count, struct buffer *buffer);

// Decodes all values in `key`; columns are numbered from 0. Strings live in `arena` if they had to
// be unescaped, otherwise they are borrowed from `key`. Fails if there are more than `count_max`.
MUST_USE struct error *key_decode(
    struct arena *arena,
    struct slice key,
    size_t count_max,
    struct value *values,
    size_t *ret_count);

// Turns a key prefix into the first key after all that begin with it, in place. (Appends ff: no
// type byte is that great.)
void key_successor(struct buffer *key);
