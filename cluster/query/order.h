// ORDER BY: keeps the first rows by some keys, at most as many as asked for, and gives them back in
// order.
//
// While rows come it is a heap with the last one on top, to be pushed out by a better one. Rows
// with equal keys keep the order in which they came.
#pragma once

#include "base/arena.h"
#include "cluster/query/plan.h"

struct order_entry;

struct order {
    const struct plan_order *keys;
    uint32_t key_count;
    uint32_t value_count;
    uint64_t count_max;
    struct arena arena;
    struct order_entry **entries;
    uint64_t count;
    uint64_t capacity;
    uint64_t sequence;
    bool is_sealed;
};

// `keys` are borrowed as long as it lives.
void order_init(
    struct order *order,
    const struct plan_order *keys,
    uint32_t key_count,
    uint32_t value_count,
    uint64_t count_max);
void order_release(struct order *order);

// Bytes it holds.
size_t order_size(const struct order *order);

// Whether a row with these keys would be kept now.
bool order_admits(const struct order *order, const struct value *const *keys);

// Adds a row that is admitted; everything is copied.
void order_add(struct order *order, const struct value *const *keys, const struct value *values);

// No more rows will come.
void order_seal(struct order *order);

// Takes out the values of the first row; NULL if there are no more. Borrowed as long as the order
// lives.
const struct value *order_pop(struct order *order);
