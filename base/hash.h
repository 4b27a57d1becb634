// A fast 64-bit hash of bytes (XXH3), stable across processes and machines of one byte order.
#pragma once

#include "base/slice.h"

#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t hash_bytes(struct slice bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}
