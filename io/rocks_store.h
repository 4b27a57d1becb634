// A store (base/store.h) in a data folder, kept by RocksDB.
//
// apply() writes to the log's buffer and the memtables, sync() writes the log out and flushes it to
// the disk: so any number of batches share one fsync. Both may block: sync always, apply when
// compaction is far behind.
//
// It opens what is whole or nothing. A log is never shortened but for a record torn at its very
// end, which no sync had covered; a folder with parts missing is refused. After a failed apply or
// sync every later call fails with the same error, until the store has been closed and opened
// again.
//
// Memory: block cache + write buffers + some 30 MB. Two background threads, which do not survive a
// fork: a child that writes waits for them for ever.
#pragma once

#include "base/store.h"

#include <stdint.h>

struct rocks_store_options {
    uint64_t block_cache_size;  // In bytes; 0 stands for 64 MiB. Holds indexes and filters, too.
    uint64_t write_buffer_size; // In bytes, of all memtables together; 0 stands for 64 MiB.
    uint64_t free_size_min;     // In bytes; for rocks_store_check_space. 0 stands for 64 MiB.
};

// Opens the store in the folder `path`, or makes a new one if the folder is absent or has none.
// Fails if another process has it open, or if something of it is lost or damaged.
MUST_USE struct error *rocks_store_open(
    const char *path, const struct rocks_store_options *options, struct store **ret_store);

// Fails with ERROR_ACCOUNT_LIMIT_EXCEEDED if the file system has less than `free_size_min` left.
// Asked before new work is accepted, so that what finishes old work (abort records, trims) still
// finds room: once a write fails for lack of space, the store is broken like after any other
// failure.
MUST_USE struct error *rocks_store_check_space(struct store *store);

// What RocksDB says of a column family: "rocksdb.estimate-live-data-size" and the like; 0 if it
// does not know the property. For metrics.
uint64_t rocks_store_property(struct store *store, enum store_family family, const char *name);

// How often a run of records was read from the family of replication logs, and how long that took
// in all, from the making of each iterator to its end. For metrics; any thread.
struct rocks_store_reads {
    uint64_t count;
    uint64_t us;
};
struct rocks_store_reads rocks_store_log_reads(const struct store *store);
