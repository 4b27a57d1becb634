// Memory of one request, freed all at once.
//
// Nothing is freed alone. What is allocated is aligned for any type and zeroed. An arena belongs to
// one thread at a time.
#pragma once

#include "base/slice.h"

#include <stdarg.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; // The newest first.
    char *free;                 // What is left of the newest chunk: [free, end).
    char *end;
    size_t size; // In bytes, of all chunks; for limits and metrics.
};

// A zeroed struct is an empty arena: struct arena arena = {0};
void arena_release(struct arena *arena);

// Frees everything but one chunk, so that the arena can be used again without calls to malloc.
void arena_reset(struct arena *arena);

// Allocates `size` zeroed bytes (a valid pointer for 0 as well).
MUST_USE void *arena_alloc(struct arena *arena, size_t size);

// Allocates an array of `count` zeroed items of a type.
#define ARENA_NEW(arena, type, count) ((type *)arena_alloc((arena), sizeof(type) * (count)))

// Copies bytes; the copy is followed by a NUL that does not count.
MUST_USE struct slice arena_copy(struct arena *arena, struct slice bytes);

// Prints into the arena; NUL-terminated.
MUST_USE PRINTF_LIKE(2, 3) char *arena_print(struct arena *arena, const char *format, ...);

static inline void arena_releasep(struct arena *arena)
{
    arena_release(arena);
}
