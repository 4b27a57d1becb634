#include "base/memory_store.h"

#include "base/containers.h"
#include "base/hash.h"

#include <assert.h>
#include <stdatomic.h>

// An entry never changes, so tables and the journal share it. The counts are atomic because
// snapshots may be read, and iterators made from them, by other threads.
struct entry {
    atomic_size_t holder_count;
    struct slice key;
    struct slice value; // Both lie behind the struct.
};

// The entries of one family, sorted by key. A table with more than one holder does not change.
struct table {
    atomic_size_t holder_count;
    size_t count;
    size_t capacity;
    struct entry **entries;
};

// How to take one change back: put `previous` (NULL: nothing) where `current` (NULL: nothing) is.
struct undo {
    enum store_family family;
    struct entry *current;
    struct entry *previous;
};

struct store_snapshot {
    struct table *tables[STORE_FAMILY_COUNT];
};

struct memory_store {
    struct store store; // First, to be cast.
    struct table *tables[STORE_FAMILY_COUNT];
    struct undo *journal; // Of batches since the last sync, the oldest first.
    size_t *batch_ends;   // Of each of these batches: where its part of the journal ends.
    bool is_broken;
};

struct memory_iterator {
    struct store_iterator iterator; // First, to be cast.
    struct table *table;
    size_t begin; // The range, as places in the table.
    size_t end;
    size_t at; // `end` if the iterator is not valid.
};

static struct entry *entry_new(struct slice key, struct slice value)
{
    struct entry *entry = must_alloc(malloc(sizeof *entry + key.size + value.size));
    char *bytes = (char *)(entry + 1);
    if (key.size > 0) memcpy(bytes, key.data, key.size);
    if (value.size > 0) memcpy(bytes + key.size, value.data, value.size);
    atomic_init(&entry->holder_count, 1);
    entry->key = slice_from(bytes, key.size);
    entry->value = slice_from(bytes + key.size, value.size);
    return entry;
}

static struct entry *entry_hold(struct entry *entry)
{
    if (entry) atomic_fetch_add(&entry->holder_count, 1);
    return entry;
}

static void entry_release(struct entry *entry)
{
    if (entry && atomic_fetch_sub(&entry->holder_count, 1) == 1) free(entry);
}

static struct table *table_new(size_t capacity)
{
    struct table *table = must_alloc(calloc(1, sizeof *table));
    atomic_init(&table->holder_count, 1);
    table->capacity = MAX(capacity, (size_t)16);
    table->entries = must_alloc(calloc(table->capacity, sizeof(struct entry *)));
    return table;
}

static struct table *table_hold(struct table *table)
{
    atomic_fetch_add(&table->holder_count, 1);
    return table;
}

static void table_release(struct table *table)
{
    if (atomic_fetch_sub(&table->holder_count, 1) != 1) return;
    for (size_t i = 0; i < table->count; i++) entry_release(table->entries[i]);
    free(table->entries);
    free(table);
}

// The first place whose key is at or after `key`.
static size_t table_seek(const struct table *table, struct slice key)
{
    size_t begin = 0;
    size_t end = table->count;
    // Logs are written at their ends, so look there first.
    if (end > 0 && slice_compare(table->entries[end - 1]->key, key) < 0) return end;
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (slice_compare(table->entries[middle]->key, key) < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

static bool table_has(const struct table *table, size_t at, struct slice key)
{
    return at < table->count && slice_equal(table->entries[at]->key, key);
}

// The table to be changed: a copy of its own if somebody else looks at it.
static struct table *change(struct memory_store *memory, enum store_family family)
{
    struct table *table = memory->tables[family];
    if (atomic_load(&table->holder_count) == 1) return table;
    struct table *copy = table_new(table->count + table->count / 4);
    copy->count = table->count;
    for (size_t i = 0; i < table->count; i++) copy->entries[i] = entry_hold(table->entries[i]);
    table_release(table);
    memory->tables[family] = copy;
    return copy;
}

static void insert(struct table *table, size_t at, struct entry *entry)
{
    if (table->count == table->capacity) {
        table->capacity *= 2;
        table->entries =
            must_alloc(realloc(table->entries, table->capacity * sizeof(struct entry *)));
    }
    struct entry **place = &table->entries[at];
    memmove(place + 1, place, (table->count - at) * sizeof(struct entry *));
    *place = entry;
    table->count++;
}

// Removes [begin, end); the entries now belong to the caller.
static void cut(struct table *table, size_t begin, size_t end)
{
    struct entry **place = &table->entries[begin];
    memmove(place, place + (end - begin), (table->count - end) * sizeof(struct entry *));
    table->count -= end - begin;
}

static void apply_put(struct memory_store *memory, const struct store_operation *operation)
{
    struct table *table = change(memory, operation->family);
    struct undo undo = {.family = operation->family};
    struct entry *entry = entry_new(operation->key, operation->value);
    size_t at = table_seek(table, operation->key);
    if (table_has(table, at, operation->key)) {
        undo.previous = table->entries[at]; // The journal takes over the table's hold.
        table->entries[at] = entry;
    } else {
        insert(table, at, entry);
    }
    undo.current = entry_hold(entry);
    arr_add(memory->journal, undo);
}

static void apply_remove(
    struct memory_store *memory, enum store_family family, size_t begin, size_t end)
{
    if (begin >= end) return;
    struct table *table = change(memory, family);
    for (size_t i = begin; i < end; i++) {
        struct undo undo = {.family = family, .previous = table->entries[i]};
        arr_add(memory->journal, undo);
    }
    cut(table, begin, end);
}

static struct error *check_not_broken(const struct memory_store *memory)
{
    return memory->is_broken ? error_new(ERROR_GENERIC, "Store is broken") : NULL;
}

static struct error *memory_apply(struct store *store, const struct store_batch *batch)
{
    struct memory_store *memory = (struct memory_store *)store;
    TRY(check_not_broken(memory));
    TRY(buffer_check(&batch->operations, "Batch"));
    struct slice operations = buffer_slice(&batch->operations);
    struct store_operation operation;
    while (store_operation_next(&operations, &operation)) {
        const struct table *table = memory->tables[operation.family];
        size_t at = table_seek(table, operation.key);
        switch (operation.kind) {
        case STORE_PUT: apply_put(memory, &operation); break;
        case STORE_REMOVE:
            apply_remove(memory, operation.family, at, at + table_has(table, at, operation.key));
            break;
        case STORE_REMOVE_RANGE:
            apply_remove(memory, operation.family, at, table_seek(table, operation.value));
            break;
        }
    }
    arr_add(memory->batch_ends, arr_count(memory->journal));
    return NULL;
}

static void clear_journal(struct memory_store *memory)
{
    for (size_t i = 0; i < arr_count(memory->journal); i++) {
        entry_release(memory->journal[i].current);
        entry_release(memory->journal[i].previous);
    }
    arr_clear(memory->journal);
    arr_clear(memory->batch_ends);
}

static struct error *memory_sync(struct store *store)
{
    struct memory_store *memory = (struct memory_store *)store;
    TRY(check_not_broken(memory));
    clear_journal(memory);
    return NULL;
}

static const struct table *shown_table(
    const struct store *store, const struct store_snapshot *snapshot, enum store_family family)
{
    return snapshot ? snapshot->tables[family]
                    : ((const struct memory_store *)store)->tables[family];
}

static struct error *memory_get(
    struct store *store,
    const struct store_snapshot *snapshot,
    enum store_family family,
    struct slice key,
    struct buffer *value,
    bool *ret_found)
{
    const struct table *table = shown_table(store, snapshot, family);
    size_t at = table_seek(table, key);
    bool is_found = table_has(table, at, key);
    buffer_clear(value);
    if (is_found) buffer_append_slice(value, table->entries[at]->value);
    TRY(buffer_check(value, "Stored value"));
    *ret_found = is_found;
    return NULL;
}

static struct store_snapshot *memory_snapshot_new(struct store *store)
{
    struct memory_store *memory = (struct memory_store *)store;
    struct store_snapshot *snapshot = must_alloc(calloc(1, sizeof *snapshot));
    for (int i = 0; i < STORE_FAMILY_COUNT; i++) {
        snapshot->tables[i] = table_hold(memory->tables[i]);
    }
    return snapshot;
}

static void memory_snapshot_free(struct store *store, struct store_snapshot *snapshot)
{
    (void)store;
    for (int i = 0; i < STORE_FAMILY_COUNT; i++) table_release(snapshot->tables[i]);
    free(snapshot);
}

static struct memory_iterator *to_memory(struct store_iterator *iterator)
{
    return (struct memory_iterator *)iterator;
}

static bool iterator_is_valid(const struct store_iterator *iterator)
{
    const struct memory_iterator *memory = (const struct memory_iterator *)iterator;
    return memory->at < memory->end;
}

static void iterator_seek(struct store_iterator *iterator, struct slice key)
{
    struct memory_iterator *memory = to_memory(iterator);
    size_t at = table_seek(memory->table, key);
    memory->at = MIN(MAX(at, memory->begin), memory->end);
}

static void iterator_seek_for_prev(struct store_iterator *iterator, struct slice key)
{
    struct memory_iterator *memory = to_memory(iterator);
    size_t at = table_seek(memory->table, key);
    if (table_has(memory->table, at, key)) at++;
    at = MIN(at, memory->end); // The place after the one wanted.
    memory->at = at > memory->begin ? at - 1 : memory->end;
}

static void iterator_next(struct store_iterator *iterator)
{
    assert(iterator_is_valid(iterator));
    to_memory(iterator)->at++;
}

static void iterator_prev(struct store_iterator *iterator)
{
    assert(iterator_is_valid(iterator));
    struct memory_iterator *memory = to_memory(iterator);
    memory->at = memory->at > memory->begin ? memory->at - 1 : memory->end;
}

static const struct entry *current_entry(const struct store_iterator *iterator)
{
    assert(iterator_is_valid(iterator));
    const struct memory_iterator *memory = (const struct memory_iterator *)iterator;
    return memory->table->entries[memory->at];
}

static struct slice iterator_key(const struct store_iterator *iterator)
{
    return current_entry(iterator)->key;
}

static struct slice iterator_value(const struct store_iterator *iterator)
{
    return current_entry(iterator)->value;
}

static struct error *iterator_error(const struct store_iterator *iterator)
{
    (void)iterator;
    return NULL;
}

static void iterator_free(struct store_iterator *iterator)
{
    table_release(to_memory(iterator)->table);
    free(iterator);
}

static const struct store_iterator_methods ITERATOR_METHODS = {
    .seek = iterator_seek,
    .seek_for_prev = iterator_seek_for_prev,
    .next = iterator_next,
    .prev = iterator_prev,
    .is_valid = iterator_is_valid,
    .key = iterator_key,
    .value = iterator_value,
    .error = iterator_error,
    .free = iterator_free,
};

static struct store_iterator *memory_iterator_new(
    struct store *store,
    const struct store_snapshot *snapshot,
    enum store_family family,
    struct slice begin,
    struct slice end)
{
    struct memory_iterator *memory = must_alloc(calloc(1, sizeof *memory));
    memory->iterator.methods = &ITERATOR_METHODS;
    memory->table = table_hold((struct table *)shown_table(store, snapshot, family));
    memory->begin = table_seek(memory->table, begin);
    memory->end = end.size > 0 ? table_seek(memory->table, end) : memory->table->count;
    memory->end = MAX(memory->begin, memory->end);
    memory->at = memory->end;
    return &memory->iterator;
}

static struct store_iterator *memory_stem_iterator_new(
    struct store *store, const struct store_snapshot *snapshot, enum store_family family)
{
    struct slice none = slice_from("", 0);
    return memory_iterator_new(store, snapshot, family, none, none);
}

static void memory_close(struct store *store)
{
    struct memory_store *memory = (struct memory_store *)store;
    clear_journal(memory);
    arr_free(memory->journal);
    arr_free(memory->batch_ends);
    for (int i = 0; i < STORE_FAMILY_COUNT; i++) table_release(memory->tables[i]);
    free(memory);
}

static const struct store_methods METHODS = {
    .apply = memory_apply,
    .sync = memory_sync,
    .get = memory_get,
    .snapshot_new = memory_snapshot_new,
    .snapshot_free = memory_snapshot_free,
    .iterator_new = memory_iterator_new,
    .stem_iterator_new = memory_stem_iterator_new,
    .close = memory_close,
};

struct store *memory_store_new(void)
{
    struct memory_store *memory = must_alloc(calloc(1, sizeof *memory));
    memory->store.methods = &METHODS;
    for (int i = 0; i < STORE_FAMILY_COUNT; i++) memory->tables[i] = table_new(0);
    return &memory->store;
}

struct store *memory_store_copy(const struct store *store)
{
    const struct memory_store *memory = (const struct memory_store *)store;
    struct memory_store *copy = must_alloc(calloc(1, sizeof *copy));
    copy->store.methods = &METHODS;
    for (int i = 0; i < STORE_FAMILY_COUNT; i++) {
        copy->tables[i] = table_new(memory->tables[i]->count);
        for (size_t j = 0; j < memory->tables[i]->count; j++)
            insert(copy->tables[i], j, entry_hold(memory->tables[i]->entries[j]));
    }
    return &copy->store;
}

uint64_t memory_store_unsynced_count(const struct store *store)
{
    return arr_count(((const struct memory_store *)store)->batch_ends);
}

static void take_back(struct memory_store *memory, struct undo undo)
{
    struct table *table = change(memory, undo.family);
    struct slice key = undo.current ? undo.current->key : undo.previous->key;
    size_t at = table_seek(table, key);
    if (undo.current) {
        assert(table->entries[at] == undo.current);
        entry_release(table->entries[at]);
        cut(table, at, at + 1);
    } else {
        assert(!table_has(table, at, key));
    }
    if (undo.previous) insert(table, at, undo.previous); // Takes over the journal's hold.
    entry_release(undo.current);
}

void memory_store_crash(struct store *store, uint64_t kept_count)
{
    struct memory_store *memory = (struct memory_store *)store;
    for (int i = 0; i < STORE_FAMILY_COUNT; i++) {
        assert(atomic_load(&memory->tables[i]->holder_count) == 1);
    }
    size_t batch_count = arr_count(memory->batch_ends);
    size_t kept = (size_t)MIN(kept_count, (uint64_t)batch_count);
    size_t kept_end = kept > 0 ? memory->batch_ends[kept - 1] : 0;
    while (arr_count(memory->journal) > kept_end) take_back(memory, arr_pop(memory->journal));
    clear_journal(memory);
}

void memory_store_set_broken(struct store *store, bool is_broken)
{
    ((struct memory_store *)store)->is_broken = is_broken;
}

uint64_t memory_store_hash(const struct store *store)
{
    const struct memory_store *memory = (const struct memory_store *)store;
    uint64_t hash = 0;
    for (int i = 0; i < STORE_FAMILY_COUNT; i++) {
        const struct table *table = memory->tables[i];
        for (size_t j = 0; j < table->count; j++) {
            hash = hash_bytes(table->entries[j]->key, hash);
            hash = hash_bytes(table->entries[j]->value, hash);
        }
        hash = hash_bytes(slice_from(&table->count, sizeof table->count), hash);
    }
    return hash;
}

bool memory_store_get_durable(
    const struct store *store, enum store_family family, struct slice key, struct buffer *value)
{
    const struct memory_store *memory = (const struct memory_store *)store;
    const struct entry *durable = NULL;
    bool is_changed = false;
    // The oldest change since the sync knows what was there before all others.
    for (size_t i = 0; i < arr_count(memory->journal) && !is_changed; i++) {
        const struct undo *undo = &memory->journal[i];
        const struct entry *entry = undo->previous ? undo->previous : undo->current;
        if (undo->family != family || !slice_equal(entry->key, key)) continue;
        durable = undo->previous;
        is_changed = true;
    }
    if (!is_changed) {
        const struct table *table = memory->tables[family];
        size_t at = table_seek(table, key);
        bool is_there = at < table->count && slice_equal(table->entries[at]->key, key);
        if (is_there) durable = table->entries[at];
    }
    if (!durable) return false;
    buffer_clear(value);
    buffer_append_slice(value, durable->value);
    return true;
}
