// Counts different values by their hashes: exactly as long as there are few, then by HyperLogLog.
//
// A set of up to CARDINALITY_EXACT_MAX hashes grows as needed; beyond that it becomes 2^14
// registers (16 KB), whose estimate is off by 0.8 % in one standard deviation. So a million small
// groups cost little, and one of a billion values no more than another.
//
// Source: O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017, whose
// estimator needs no tables and has no bias anywhere.
#pragma once

#include "base/arena.h"

#include <stdint.h>

#define CARDINALITY_EXACT_MAX 2048

struct cardinality {
    uint64_t *hashes; // A hash table with open addressing; 0 is a free place. NULL of registers.
    uint32_t capacity;
    uint32_t count;     // Of hashes.
    uint8_t *registers; // NULL while the count is exact.
};

// Adds a value by its hash; equal values must have equal hashes. A zeroed struct has none. Memory
// comes from the arena.
void cardinality_add(struct cardinality *cardinality, struct arena *arena, uint64_t hash);

// Adds everything that another one has.
void cardinality_merge(
    struct cardinality *cardinality, struct arena *arena, const struct cardinality *other);

// How many different hashes there are: exactly, or about.
uint64_t cardinality_count(const struct cardinality *cardinality);
