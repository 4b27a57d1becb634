// Immutable bytes shared by several holders of one thread: a record's rows on their way to a queue,
// a cache and several replicas.
#pragma once

#include "base/slice.h"

#include <stdint.h>

struct block {
    uint64_t holder_count;
    size_t size;
    char data[];
};

// A copy of the bytes, with one holder.
MUST_USE static inline struct block *block_new(struct slice bytes)
{
    struct block *block = must_alloc(malloc(sizeof *block + bytes.size));
    block->holder_count = 1;
    block->size = bytes.size;
    if (bytes.size > 0) memcpy(block->data, bytes.data, bytes.size);
    return block;
}

// One more holder; returns the block. NULL is allowed.
static inline struct block *block_hold(struct block *block)
{
    if (block) block->holder_count++;
    return block;
}

// One holder less; the last one frees. NULL is allowed.
static inline void block_release(struct block *block)
{
    if (block && --block->holder_count == 0) free(block);
}

static inline struct slice block_slice(const struct block *block)
{
    return block ? slice_from(block->data, block->size) : slice_from("", 0);
}
