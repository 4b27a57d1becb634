#include "base/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>

enum { CHUNK_SIZE_MIN = 4096 - 64, CHUNK_SIZE_MAX = 256 * 1024, ALIGNMENT = 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    _Alignas(ALIGNMENT) char data[];
};

static void add_chunk(struct arena *arena, size_t size_min)
{
    // Chunks double, so that a big request needs few and a small one wastes little.
    size_t size =
        arena->chunks ? MIN(arena->chunks->size * 2, (size_t)CHUNK_SIZE_MAX) : CHUNK_SIZE_MIN;
    size = MAX(size, size_min);
    struct arena_chunk *chunk = must_alloc(malloc(sizeof *chunk + size));
    chunk->next = arena->chunks;
    chunk->size = size;
    arena->chunks = chunk;
    arena->free = chunk->data;
    arena->end = chunk->data + size;
    arena->size += size;
}

static void free_chunks(struct arena_chunk *chunk)
{
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void arena_release(struct arena *arena)
{
    free_chunks(arena->chunks);
    *arena = (struct arena){0};
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *kept = arena->chunks;
    if (!kept) return;
    free_chunks(kept->next);
    kept->next = NULL;
    *arena = (struct arena){
        .chunks = kept,
        .free = kept->data,
        .end = kept->data + kept->size,
        .size = kept->size,
    };
}

void *arena_alloc(struct arena *arena, size_t size)
{
    assert(size < SIZE_MAX / 2);
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!arena->free || (size_t)(arena->end - arena->free) < size) add_chunk(arena, size);
    void *memory = arena->free;
    arena->free += size;
    return memset(memory, 0, size);
}

struct slice arena_copy(struct arena *arena, struct slice bytes)
{
    char *copy = arena_alloc(arena, bytes.size + 1);
    if (bytes.size > 0) memcpy(copy, bytes.data, bytes.size);
    return slice_from(copy, bytes.size);
}

char *arena_print(struct arena *arena, const char *format, ...)
{
    assert(format); // Under UBSan, gcc 12 otherwise warns of its own check for NULL.
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0) abort();
    char *text = arena_alloc(arena, (size_t)size + 1);
    vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text;
}
