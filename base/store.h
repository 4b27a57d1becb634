// An ordered key-value store: what a cell keeps, and its only way to keep anything.
//
// Keys live in a few fixed column families and are ordered by bytes. A batch is applied as a whole
// and can be read at once, but it is durable only when store_sync has returned: a crash takes back
// every batch since the last sync, or some suffix of them, never a batch in the middle and never a
// part of one. So the owner applies what a turn of its loop brings, syncs once, and only then lets
// anybody know.
//
// Two implementations: io/rocks_store.h (RocksDB) and base/memory_store.h (exact crash semantics,
// for the simulator and unit tests). Reading is allowed from several threads through snapshots; all
// the rest belongs to one thread.
//
// A store that fails to write or sync is broken for good: what was in flight is unknown until the
// store has been opened again (protocol rule R4). Every later call fails.
#pragma once

#include "base/buffer.h"
#include "base/slice.h"

enum store_family {
    STORE_META,  // Objects, positions, epochs, mutation ids: small and hot.
    STORE_QUEUE, // Replication logs.
    STORE_DATA,  // Rows of tables.
    STORE_FAMILY_COUNT,
};

// Changes to be applied together. A zeroed struct is an empty batch.
struct store_batch {
    struct buffer operations; // In the form that store_batch_* write; see store.c.
    size_t count;
};

void store_batch_put(
    struct store_batch *batch, enum store_family family, struct slice key, struct slice value);
void store_batch_remove(struct store_batch *batch, enum store_family family, struct slice key);

// Removes the keys in [begin, end).
void store_batch_remove_range(
    struct store_batch *batch, enum store_family family, struct slice begin, struct slice end);

void store_batch_clear(struct store_batch *batch);
void store_batch_release(struct store_batch *batch);

enum store_operation_kind { STORE_PUT = 1, STORE_REMOVE, STORE_REMOVE_RANGE };

struct store_operation {
    enum store_operation_kind kind;
    enum store_family family;
    struct slice key;   // Or the beginning of the range.
    struct slice value; // Or the end of the range.
};

// Takes the next operation off `operations`, which starts as the batch's bytes; false at the end.
// For implementations.
bool store_operation_next(struct slice *operations, struct store_operation *ret_operation);

struct store;
struct store_snapshot;
struct store_iterator;

// What an implementation provides; callers use the functions below.
struct store_methods {
    struct error *(*apply)(struct store *store, const struct store_batch *batch);
    struct error *(*sync)(struct store *store);
    struct error *(*get)(
        struct store *store,
        const struct store_snapshot *snapshot,
        enum store_family family,
        struct slice key,
        struct buffer *value,
        bool *ret_found);
    struct store_snapshot *(*snapshot_new)(struct store *store);
    void (*snapshot_free)(struct store *store, struct store_snapshot *snapshot);
    struct store_iterator *(*iterator_new)(
        struct store *store,
        const struct store_snapshot *snapshot,
        enum store_family family,
        struct slice begin,
        struct slice end);
    struct store_iterator *(*stem_iterator_new)(
        struct store *store, const struct store_snapshot *snapshot, enum store_family family);
    void (*close)(struct store *store);
};

struct store {
    const struct store_methods *methods;
};

struct store_iterator_methods {
    void (*seek)(struct store_iterator *iterator, struct slice key);
    void (*seek_for_prev)(struct store_iterator *iterator, struct slice key);
    void (*next)(struct store_iterator *iterator);
    void (*prev)(struct store_iterator *iterator);
    bool (*is_valid)(const struct store_iterator *iterator);
    struct slice (*key)(const struct store_iterator *iterator);
    struct slice (*value)(const struct store_iterator *iterator);
    struct error *(*error)(const struct store_iterator *iterator);
    void (*free)(struct store_iterator *iterator);
};

struct store_iterator {
    const struct store_iterator_methods *methods;
};

// Applies a batch: visible to reads at once, durable after the next store_sync. The batch is
// copied.
MUST_USE static inline struct error *store_apply(
    struct store *store, const struct store_batch *batch)
{
    return store->methods->apply(store, batch);
}

// Makes everything applied so far durable.
MUST_USE static inline struct error *store_sync(struct store *store)
{
    return store->methods->sync(store);
}

// Reads one key into `value`, whose old content goes; `snapshot` may be NULL for the newest state.
MUST_USE static inline struct error *store_get(
    struct store *store,
    const struct store_snapshot *snapshot,
    enum store_family family,
    struct slice key,
    struct buffer *value,
    bool *ret_found)
{
    return store->methods->get(store, snapshot, family, key, value, ret_found);
}

// A frozen view of everything applied so far; to be freed soon, since it pins what it shows.
static inline struct store_snapshot *store_snapshot_new(struct store *store)
{
    return store->methods->snapshot_new(store);
}

static inline void store_snapshot_free(struct store *store, struct store_snapshot *snapshot)
{
    if (snapshot) store->methods->snapshot_free(store, snapshot);
}

// Iterates over the keys in [begin, end) of one family; an empty `end` stands for no end. It shows
// `snapshot`, or if that is NULL the state at its creation. Starts nowhere: seek first.
static inline struct store_iterator *store_iterator_new(
    struct store *store,
    const struct store_snapshot *snapshot,
    enum store_family family,
    struct slice begin,
    struct slice end)
{
    return store->methods->iterator_new(store, snapshot, family, begin, end);
}

// The last bytes of a key that tell versions of one thing apart; what comes before is its stem.
#define STORE_VERSION_SIZE 8

// For reading single things by store_iterator_seek: after it, the iterator shows the keys with the
// stem of the key sought, in order, and nothing that is certain behind them. Cheaper than
// store_iterator_new, since what cannot hold the stem is left out. No other move is allowed but
// store_iterator_next. Keys of 12 bytes and less have no stem.
static inline struct store_iterator *store_stem_iterator_new(
    struct store *store, const struct store_snapshot *snapshot, enum store_family family)
{
    return store->methods->stem_iterator_new(store, snapshot, family);
}

// Goes to the first key at or after `key` (or at or after the range's begin, if that is greater).
static inline void store_iterator_seek(struct store_iterator *iterator, struct slice key)
{
    iterator->methods->seek(iterator, key);
}

// Goes to the last key at or before `key`.
static inline void store_iterator_seek_for_prev(struct store_iterator *iterator, struct slice key)
{
    iterator->methods->seek_for_prev(iterator, key);
}

static inline void store_iterator_next(struct store_iterator *iterator)
{
    iterator->methods->next(iterator);
}

static inline void store_iterator_prev(struct store_iterator *iterator)
{
    iterator->methods->prev(iterator);
}

// False at the end of the range and after an error; ask store_iterator_error which.
static inline bool store_iterator_is_valid(const struct store_iterator *iterator)
{
    return iterator->methods->is_valid(iterator);
}

// Borrowed until the iterator moves.
static inline struct slice store_iterator_key(const struct store_iterator *iterator)
{
    return iterator->methods->key(iterator);
}

static inline struct slice store_iterator_value(const struct store_iterator *iterator)
{
    return iterator->methods->value(iterator);
}

MUST_USE static inline struct error *store_iterator_error(const struct store_iterator *iterator)
{
    return iterator->methods->error(iterator);
}

static inline void store_iterator_free(struct store_iterator *iterator)
{
    if (iterator) iterator->methods->free(iterator);
}

static inline void store_iterator_freep(struct store_iterator **iterator)
{
    store_iterator_free(*iterator);
}

// Closes it without syncing; NULL is allowed.
static inline void store_close(struct store *store)
{
    if (store) store->methods->close(store);
}
