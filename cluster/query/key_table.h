// A hash table from tuples of values to entries, each with room for its user's data: groups of
// GROUP BY, and rows of a joined table.
//
// Open addressing over an array of entries in the order of their addition, so that nothing depends
// on the order of hashes. Null equals null, -0 equals 0, NaN equals NaN.
#pragma once

#include "base/arena.h"
#include "model/value.h"

#define KEY_TABLE_ENTRY_COUNT_MAX (UINT32_MAX / 4)

struct key_entry {
    uint64_t hash;
    struct value keys[]; // Then the user's data.
};

struct key_table {
    struct arena arena; // Of the entries; users may keep more in it.
    uint32_t key_count;
    size_t data_size;
    struct key_entry **entries;
    uint32_t count;
    uint32_t capacity;
    uint64_t *slots; // The upper half of the hash, and the entry's number + 1; 0 if free.
    uint64_t slot_count;
    struct key_entry *last; // That was found: neighbours are often alike.
};

void key_table_init(struct key_table *table, uint32_t key_count, size_t data_size);
void key_table_release(struct key_table *table);

// Forgets all entries; some memory is kept.
void key_table_clear(struct key_table *table);

// Bytes it holds.
size_t key_table_size(const struct key_table *table);

// NULL if there is none.
struct key_entry *key_table_find(
    struct key_table *table, const struct value *const *keys, uint64_t *ret_hash);

// Adds an entry that key_table_find has not found; `hash` is what it gave. Keys are copied, the
// data is zeroed.
struct key_entry *key_table_add(
    struct key_table *table, const struct value *const *keys, uint64_t hash);

// A good hash of one value; what is equal here has the same.
uint64_t key_table_hash(const struct value *value);

static inline void *key_entry_data(const struct key_table *table, struct key_entry *entry)
{
    return &entry->keys[table->key_count];
}
