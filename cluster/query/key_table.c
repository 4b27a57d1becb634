#include "cluster/query/key_table.h"

#include "base/hash.h"

#include <assert.h>
#include <math.h>

enum { SLOT_COUNT_MIN = 256 };

void key_table_init(struct key_table *table, uint32_t key_count, size_t data_size)
{
    *table = (struct key_table){
        .key_count = key_count,
        .data_size = data_size,
        .slot_count = SLOT_COUNT_MIN,
        .slots = must_alloc(calloc(SLOT_COUNT_MIN, sizeof(uint64_t))),
    };
}

void key_table_release(struct key_table *table)
{
    arena_release(&table->arena);
    free(table->entries);
    free(table->slots);
    *table = (struct key_table){0};
}

void key_table_clear(struct key_table *table)
{
    arena_reset(&table->arena);
    memset(table->slots, 0, table->slot_count * sizeof *table->slots);
    table->count = 0;
    table->last = NULL;
}

size_t key_table_size(const struct key_table *table)
{
    return table->arena.size + table->capacity * sizeof *table->entries +
           table->slot_count * sizeof *table->slots;
}

static uint64_t mix(uint64_t number)
{
    number *= UINT64_C(0x9e3779b97f4a7c15);
    number ^= number >> 32;
    number *= UINT64_C(0xd6e8feb86659fd93);
    return number ^ (number >> 29);
}

static uint64_t hash_value(const struct value *value, uint64_t seed)
{
    switch ((enum value_type)value->type) {
    case VALUE_NULL: return mix(seed + 1);
    case VALUE_INT64:
    case VALUE_UINT64: return mix(seed ^ value->uint64);
    case VALUE_DOUBLE: {
        struct value real = *value;
        if (isnan(real.real)) {
            real.uint64 = UINT64_MAX;
        } else if (real.real == 0) {
            real.uint64 = 0;
        }
        return mix(seed ^ real.uint64);
    }
    case VALUE_BOOLEAN: return mix(seed + 2 + value->boolean);
    case VALUE_STRING:
    case VALUE_ANY: return hash_bytes(value_slice(value), seed);
    }
    return seed;
}

uint64_t key_table_hash(const struct value *value)
{
    return mix(hash_value(value, value->type));
}

static bool equal(const struct value *a, const struct value *b)
{
    if (a->type != b->type) return false;
    if (a->type == VALUE_INT64 || a->type == VALUE_UINT64) return a->uint64 == b->uint64;
    return value_compare(a, b) == 0;
}

static bool has_keys(
    const struct key_table *table, const struct key_entry *entry, const struct value *const *keys)
{
    for (uint32_t i = 0; i < table->key_count; i++) {
        if (!equal(&entry->keys[i], keys[i])) return false;
    }
    return true;
}

// What a slot keeps of the hash, to save looking at most entries that are others.
static uint64_t tag(uint64_t hash)
{
    return hash & ~(uint64_t)UINT32_MAX;
}

struct key_entry *key_table_find(
    struct key_table *table, const struct value *const *keys, uint64_t *ret_hash)
{
    if (table->last && has_keys(table, table->last, keys)) {
        *ret_hash = table->last->hash;
        return table->last;
    }
    uint64_t hash = 0;
    for (uint32_t i = 0; i < table->key_count; i++) hash = hash_value(keys[i], hash);
    *ret_hash = hash;
    uint64_t mask = table->slot_count - 1;
    for (uint64_t i = hash & mask; table->slots[i] != 0; i = (i + 1) & mask) {
        if (tag(table->slots[i]) != tag(hash)) continue;
        struct key_entry *entry = table->entries[(uint32_t)table->slots[i] - 1];
        if (!has_keys(table, entry, keys)) continue;
        table->last = entry;
        return entry;
    }
    return NULL;
}

static void put_slot(struct key_table *table, uint64_t hash, uint32_t index)
{
    uint64_t mask = table->slot_count - 1;
    uint64_t i = hash & mask;
    while (table->slots[i] != 0) i = (i + 1) & mask;
    table->slots[i] = tag(hash) | (index + 1);
}

static void grow(struct key_table *table)
{
    free(table->slots);
    table->slot_count *= 2;
    table->slots = must_alloc(calloc(table->slot_count, sizeof *table->slots));
    for (uint32_t i = 0; i < table->count; i++) put_slot(table, table->entries[i]->hash, i);
}

struct key_entry *key_table_add(
    struct key_table *table, const struct value *const *keys, uint64_t hash)
{
    assert(table->count < KEY_TABLE_ENTRY_COUNT_MAX);
    if (table->count * UINT64_C(2) >= table->slot_count) grow(table);
    if (table->count == table->capacity) {
        table->capacity = MAX(64, table->capacity * 2);
        table->entries =
            must_alloc(realloc(table->entries, table->capacity * sizeof *table->entries));
    }
    size_t size = sizeof(struct key_entry) + table->key_count * sizeof(struct value);
    struct key_entry *entry = arena_alloc(&table->arena, size + table->data_size);
    entry->hash = hash;
    for (uint32_t i = 0; i < table->key_count; i++) {
        entry->keys[i] = *keys[i];
        if (keys[i]->type == VALUE_STRING || keys[i]->type == VALUE_ANY) {
            entry->keys[i].data = arena_copy(&table->arena, value_slice(keys[i])).data;
        }
    }
    put_slot(table, hash, table->count);
    table->entries[table->count++] = entry;
    table->last = entry;
    return entry;
}
