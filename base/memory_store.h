// A store in memory with exact crash semantics, for the simulator and unit tests.
//
// It knows which batches are durable. A crash takes back what was applied since the last sync, all
// of it or, if asked, all but the first few batches (a disk may have written more than was synced).
//
// A snapshot or an iterator costs nothing until the store is changed; then the family that it shows
// is copied, once (pointers, not bytes). A change moves the pointers behind it: meant for up to
// some hundred thousand keys.
#pragma once

#include "base/store.h"

#include <stdint.h>

struct memory_store;

// Makes an empty one; store_close frees it.
MUST_USE struct store *memory_store_new(void);

// The number of batches applied since the last sync.
uint64_t memory_store_unsynced_count(const struct store *store);

// Loses the batches applied since the last sync, but keeps the `kept_count` oldest of them, which
// are durable from now on. Snapshots and iterators must be gone.
void memory_store_crash(struct store *store, uint64_t kept_count);

// Reads a key as a crash would leave it now: as of the last sync. False if it would not be there.
bool memory_store_get_durable(
    const struct store *store, enum store_family family, struct slice key, struct buffer *value);

// Makes another one that holds all that this one holds now, durably: the image of a disk.
MUST_USE struct store *memory_store_copy(const struct store *store);

// From now on every apply and sync fails, as on a dead disk; reads go on. False heals it.
void memory_store_set_broken(struct store *store, bool is_broken);

// A hash of everything in it, for comparing replicas and traces.
uint64_t memory_store_hash(const struct store *store);
