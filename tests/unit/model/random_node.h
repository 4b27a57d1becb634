// Random trees for tests of what reads and writes them.
#pragma once

#include "base/rng.h"
#include "model/node.h"

#include <string.h>

#define RANDOM_STRING_SIZE_MAX 12

// Mostly printable; all bytes if `is_text` is false, otherwise ASCII.
static inline struct slice random_string(struct arena *arena, struct rng *rng, bool is_text)
{
    char bytes[RANDOM_STRING_SIZE_MAX];
    size_t size = (size_t)rng_below(rng, RANDOM_STRING_SIZE_MAX + 1);
    for (size_t i = 0; i < size; i++) {
        uint64_t byte = rng_chance(rng, 30) ? rng_below(rng, 256) : 'a' + rng_below(rng, 4);
        bytes[i] = (char)(is_text ? byte & 0x7f : byte);
    }
    return arena_copy(arena, slice_from(bytes, size));
}

static inline uint64_t random_number(struct rng *rng)
{
    return rng_next(rng) >> rng_below(rng, 64);
}

// Any finite double, in all magnitudes.
static inline double random_double(struct rng *rng)
{
    double number = 0;
    uint64_t bits = rng_next(rng);
    if (rng_chance(rng, 50)) return (double)(int64_t)random_number(rng) / 100;
    if ((bits >> 52 & 0x7ff) == 0x7ff) bits ^= UINT64_C(1) << 52; // Infinity or NaN.
    memcpy(&number, &bits, sizeof number);
    return number;
}

static inline struct node *random_node(
    struct arena *arena, struct rng *rng, uint32_t depth, bool is_text);

static inline struct node *random_map(
    struct arena *arena, struct rng *rng, uint32_t depth, bool is_text)
{
    struct node *map = node_map(arena);
    uint64_t count = rng_chance(rng, 5) ? 100 : rng_below(rng, 4);
    for (uint64_t i = 0; i < count; i++) {
        struct slice key = random_string(arena, rng, is_text);
        node_set(arena, map, key, random_node(arena, rng, depth, is_text));
    }
    return map;
}

static inline struct node *random_plain_node(
    struct arena *arena, struct rng *rng, uint32_t depth, bool is_text)
{
    struct node *list = NULL;
    uint64_t number = random_number(rng);
    switch (rng_below(rng, depth > 0 ? 8 : 6)) {
    case 0: return node_entity(arena);
    case 1: return node_string(arena, random_string(arena, rng, is_text));
    case 2: return node_int64(arena, (int64_t)(rng_chance(rng, 50) ? number : -number));
    case 3: return node_uint64(arena, number);
    case 4: return node_double(arena, random_double(rng));
    case 5: return node_boolean(arena, rng_chance(rng, 50));
    case 6: return random_map(arena, rng, depth - 1, is_text);
    default:
        list = node_list(arena);
        for (uint64_t i = rng_below(rng, 4); i > 0; i--) {
            node_add(arena, list, random_node(arena, rng, depth - 1, is_text));
        }
        return list;
    }
}

static inline struct node *random_node(
    struct arena *arena, struct rng *rng, uint32_t depth, bool is_text)
{
    struct node *node = random_plain_node(arena, rng, depth, is_text);
    if (depth > 0 && rng_chance(rng, 15)) {
        node->attributes = random_map(arena, rng, depth - 1, is_text);
    }
    return node;
}
