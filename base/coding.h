// Numbers and byte runs in records: fixed-width, variable-width (LEB128) and zigzag.
//
// Writing appends to a buffer. Reading takes from a `struct reader`; what does not fit or is not
// well formed yields zeros and marks the reader as broken, to be asked once at the end: decoders
// then need no error path for each field, and never read outside the input.
#pragma once

#include "base/buffer.h"
#include "base/slice.h"

#include <stdint.h>

void put_u8(struct buffer *buffer, uint8_t number);
void put_fixed32(struct buffer *buffer, uint32_t number);  // Little endian.
void put_fixed64(struct buffer *buffer, uint64_t number);  // Little endian.
void put_big32(struct buffer *buffer, uint32_t number);    // Big endian: sorts as the number does.
void put_big64(struct buffer *buffer, uint64_t number);    // Big endian.
void put_varint(struct buffer *buffer, uint64_t number);   // 1 to 10 bytes.
void put_bytes(struct buffer *buffer, struct slice bytes); // A varint length, then the bytes.

struct reader {
    struct slice rest; // What is still to be read.
    bool is_broken;
};

static inline struct reader reader_from(struct slice bytes)
{
    return (struct reader){.rest = bytes};
}

uint8_t get_u8(struct reader *reader);
uint32_t get_fixed32(struct reader *reader);
uint64_t get_fixed64(struct reader *reader);
uint32_t get_big32(struct reader *reader);
uint64_t get_big64(struct reader *reader);
uint64_t get_varint(struct reader *reader);
struct slice get_bytes(struct reader *reader);            // Borrowed from the input.
struct slice get_raw(struct reader *reader, size_t size); // Borrowed from the input.

// Fails if the reader is broken or has bytes left over; `what` names the record.
MUST_USE struct error *reader_finish(const struct reader *reader, const char *what);

static inline uint64_t zigzag(int64_t number)
{
    return ((uint64_t)number << 1) ^ (uint64_t)(number >> 63);
}

static inline int64_t unzigzag(uint64_t number)
{
    return (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
}
