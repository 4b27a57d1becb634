// Bytes that are owned and grow, up to a maximum given at init.
//
// Appending past the maximum appends nothing and marks the buffer as overflowed; the writer goes on
// and asks once, at the end, with buffer_check. So encoders need no error path for each byte.
#pragma once

#include "base/error.h"
#include "base/slice.h"

#include <stdint.h>

struct buffer {
    char *data;
    size_t size;
    size_t capacity;
    size_t size_max; // 0 stands for BUFFER_SIZE_MAX, so that a zeroed struct is an empty buffer.
    bool is_overflowed;
};

#define BUFFER_SIZE_MAX (UINT64_C(1) << 30)

void buffer_init(struct buffer *buffer, size_t size_max);
void buffer_release(struct buffer *buffer);

// Empties it; the memory is kept.
void buffer_clear(struct buffer *buffer);

// Makes room for `size` more bytes and returns where they go, NULL if that would overflow. The
// caller writes them and adds to `size` of the buffer.
MUST_USE char *buffer_reserve(struct buffer *buffer, size_t size);

void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_append_slice(struct buffer *buffer, struct slice bytes);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_append_byte(struct buffer *buffer, uint8_t byte);
PRINTF_LIKE(2, 3) void buffer_print(struct buffer *buffer, const char *format, ...);

// The content, borrowed until the next change.
static inline struct slice buffer_slice(const struct buffer *buffer)
{
    return slice_from(buffer->data, buffer->size);
}

// Fails with ERROR_GENERIC, naming `what` and the limit, if something did not fit.
MUST_USE struct error *buffer_check(const struct buffer *buffer, const char *what);

static inline void buffer_releasep(struct buffer *buffer)
{
    buffer_release(buffer);
}
