#include "cluster/query/order.h"

#include <assert.h>

struct order_entry {
    uint64_t sequence;
    size_t capacity;       // Of the bytes after the values.
    struct value values[]; // Keys, then values, then the bytes of both.
};

void order_init(
    struct order *order,
    const struct plan_order *keys,
    uint32_t key_count,
    uint32_t value_count,
    uint64_t count_max)
{
    *order = (struct order){
        .keys = keys,
        .key_count = key_count,
        .value_count = value_count,
        .count_max = count_max,
    };
}

void order_release(struct order *order)
{
    arena_release(&order->arena);
    free(order->entries);
    *order = (struct order){0};
}

size_t order_size(const struct order *order)
{
    return order->arena.size + order->capacity * sizeof *order->entries;
}

static int compare_keys(
    const struct order *order, const struct value *const *keys, const struct order_entry *entry)
{
    for (uint32_t i = 0; i < order->key_count; i++) {
        int result = value_compare(keys[i], &entry->values[i]);
        if (result != 0) return order->keys[i].is_descending ? -result : result;
    }
    return 0;
}

static bool is_before(
    const struct order *order, const struct order_entry *a, const struct order_entry *b)
{
    for (uint32_t i = 0; i < order->key_count; i++) {
        int result = value_compare(&a->values[i], &b->values[i]);
        if (result != 0) return (result < 0) != order->keys[i].is_descending;
    }
    return a->sequence < b->sequence;
}

// Whether `a` belongs nearer to the top: the last one while rows come, the first one when sealed.
static bool is_above(
    const struct order *order, const struct order_entry *a, const struct order_entry *b)
{
    return order->is_sealed ? is_before(order, a, b) : is_before(order, b, a);
}

static void sift_up(struct order *order, uint64_t i)
{
    struct order_entry *entry = order->entries[i];
    while (i > 0) {
        uint64_t parent = (i - 1) / 2;
        if (!is_above(order, entry, order->entries[parent])) break;
        order->entries[i] = order->entries[parent];
        i = parent;
    }
    order->entries[i] = entry;
}

static void sift_down(struct order *order, uint64_t i)
{
    struct order_entry *entry = order->entries[i];
    for (;;) {
        uint64_t child = 2 * i + 1;
        if (child >= order->count) break;
        if (child + 1 < order->count &&
            is_above(order, order->entries[child + 1], order->entries[child])) {
            child++;
        }
        if (!is_above(order, order->entries[child], entry)) break;
        order->entries[i] = order->entries[child];
        i = child;
    }
    order->entries[i] = entry;
}

bool order_admits(const struct order *order, const struct value *const *keys)
{
    assert(!order->is_sealed);
    if (order->count < order->count_max) return true;
    // Later rows lose against equal ones.
    return order->count_max > 0 && compare_keys(order, keys, order->entries[0]) < 0;
}

static bool has_bytes(const struct value *value)
{
    return value->type == VALUE_STRING || value->type == VALUE_ANY;
}

static size_t entry_size(
    const struct order *order, const struct value *const *keys, const struct value *values)
{
    size_t size = 0;
    for (uint32_t i = 0; i < order->key_count; i++) {
        if (has_bytes(keys[i])) size += keys[i]->size;
    }
    for (uint32_t i = 0; i < order->value_count; i++) {
        if (has_bytes(&values[i])) size += values[i].size;
    }
    return size;
}

static void copy_value(struct value *to, const struct value *from, char **bytes)
{
    *to = *from;
    if (!has_bytes(from)) return;
    if (from->size > 0) memcpy(*bytes, from->data, from->size);
    to->data = *bytes;
    *bytes += from->size;
}

static void fill_entry(
    const struct order *order,
    struct order_entry *entry,
    const struct value *const *keys,
    const struct value *values)
{
    char *bytes = (char *)&entry->values[order->key_count + order->value_count];
    struct value *to = entry->values;
    for (uint32_t i = 0; i < order->key_count; i++) copy_value(to++, keys[i], &bytes);
    for (uint32_t i = 0; i < order->value_count; i++) copy_value(to++, &values[i], &bytes);
}

static struct order_entry *new_entry(struct order *order, size_t capacity)
{
    size_t value_count = (size_t)order->key_count + order->value_count;
    struct order_entry *entry =
        arena_alloc(&order->arena, sizeof *entry + value_count * sizeof(struct value) + capacity);
    entry->capacity = capacity;
    return entry;
}

void order_add(struct order *order, const struct value *const *keys, const struct value *values)
{
    assert(!order->is_sealed && order->count_max > 0);
    size_t size = entry_size(order, keys, values);
    if (order->count == order->count_max) {
        // The memory of the row that goes is used again. If it is too small, its successor gets at
        // least twice as much, so that what is left behind stays in proportion.
        struct order_entry *entry = order->entries[0];
        if (entry->capacity < size) entry = new_entry(order, MAX(size, 2 * entry->capacity));
        fill_entry(order, entry, keys, values);
        entry->sequence = order->sequence++;
        order->entries[0] = entry;
        sift_down(order, 0);
        return;
    }
    if (order->count == order->capacity) {
        order->capacity = MAX(64, order->capacity * 2);
        order->entries =
            must_alloc(realloc(order->entries, order->capacity * sizeof *order->entries));
    }
    struct order_entry *entry = new_entry(order, size);
    fill_entry(order, entry, keys, values);
    entry->sequence = order->sequence++;
    order->entries[order->count++] = entry;
    // Without a bound nothing is ever pushed out, and the heap is made when sealed.
    if (order->count_max != UINT64_MAX) sift_up(order, order->count - 1);
}

void order_seal(struct order *order)
{
    assert(!order->is_sealed);
    order->is_sealed = true;
    for (uint64_t i = order->count / 2; i > 0; i--) sift_down(order, i - 1);
}

const struct value *order_pop(struct order *order)
{
    assert(order->is_sealed);
    if (order->count == 0) return NULL;
    struct order_entry *first = order->entries[0];
    order->entries[0] = order->entries[--order->count];
    if (order->count > 0) sift_down(order, 0);
    return &first->values[order->key_count];
}
