// A borrowed run of bytes. It is not NUL-terminated and may hold any byte.
#pragma once

#include "base/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data; // Borrowed.
    size_t size;
};

// Prints a slice: printf("%.*s", SLICE(x)).
#define SLICE(slice) (int)(slice).size, (slice).data

// A string literal or other constant text as a slice.
#define SLICE_OF(literal) ((struct slice){.data = (literal), .size = sizeof(literal) - 1})

static inline struct slice slice_from(const void *data, size_t size)
{
    return (struct slice){.data = data, .size = size};
}

static inline struct slice slice_from_text(const char *text)
{
    return (struct slice){.data = text, .size = strlen(text)};
}

// Orders by bytes as unsigned numbers; a prefix comes before what it begins.
static inline int slice_compare(struct slice a, struct slice b)
{
    size_t size = MIN(a.size, b.size);
    int order = size == 0 ? 0 : memcmp(a.data, b.data, size);
    if (order != 0) return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool slice_equal_text(struct slice a, const char *text)
{
    return slice_equal(a, slice_from_text(text));
}

static inline bool slice_has_prefix(struct slice a, struct slice prefix)
{
    return a.size >= prefix.size && slice_equal(slice_from(a.data, prefix.size), prefix);
}
