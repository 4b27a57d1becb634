#include "base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum { CAPACITY_MIN = 64 };

static size_t size_max(const struct buffer *buffer)
{
    return buffer->size_max ? buffer->size_max : BUFFER_SIZE_MAX;
}

void buffer_init(struct buffer *buffer, size_t max)
{
    *buffer = (struct buffer){.size_max = max};
}

void buffer_release(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){.size_max = buffer->size_max};
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->is_overflowed = false;
}

char *buffer_reserve(struct buffer *buffer, size_t size)
{
    if (size > size_max(buffer) - buffer->size || buffer->is_overflowed) {
        buffer->is_overflowed = true;
        return NULL;
    }
    if (buffer->capacity - buffer->size < size) {
        size_t capacity = MAX(buffer->capacity * 2, buffer->size + size);
        capacity =
            MIN(MAX(capacity, (size_t)CAPACITY_MIN), MAX(size_max(buffer), (size_t)CAPACITY_MIN));
        buffer->data = must_alloc(realloc(buffer->data, capacity));
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->size;
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    char *place = buffer_reserve(buffer, size);
    if (!place || size == 0) return;
    memcpy(place, data, size);
    buffer->size += size;
}

void buffer_append_slice(struct buffer *buffer, struct slice bytes)
{
    buffer_append(buffer, bytes.data, bytes.size);
}

void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_append_byte(struct buffer *buffer, uint8_t byte)
{
    buffer_append(buffer, &byte, 1);
}

void buffer_print(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0) abort();
    char *place = buffer_reserve(buffer, (size_t)size + 1); // vsnprintf adds a NUL.
    if (place) {
        vsnprintf(place, (size_t)size + 1, format, again);
        buffer->size += (size_t)size;
    }
    va_end(again);
}

struct error *buffer_check(const struct buffer *buffer, const char *what)
{
    if (!buffer->is_overflowed) return NULL;
    struct error *error = error_new(ERROR_GENERIC, "%s is larger than its limit", what);
    return error_set_u64(error, "size_max", size_max(buffer));
}
