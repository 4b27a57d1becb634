// Finds conflicts between transactions: which rows are locked, and which were written lately.
//
// Snapshot isolation: of two transactions that write one row, the intervals [start, commit] do not
// overlap (no-lost-update). A row is locked from prepare to decision; a committed write is
// remembered with its timestamp. The memory is bounded: when it is full the oldest writes are
// forgotten, and from then on a transaction that started before them is refused, never waved
// through. So it is after a restart, when nothing is remembered.
//
// What is locked is a row, or one lock group of its columns. Besides exclusive locks, which writes
// take, there are shared ones: a weak one only says that nothing was written since the transaction
// began; a strong one also makes those lose who began before it was committed and write later.
//
// Rows are known by a 64-bit hash of table and key; two keys of one hash at worst cost a conflict
// that was none. Belongs to one loop.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROW_LOCKS_LATEST UINT64_MAX // The start of a transaction that reads nothing.

enum row_lock_kind {
    ROW_LOCK_EXCLUSIVE,
    ROW_LOCK_SHARED_STRONG,
    ROW_LOCK_SHARED_WEAK, // Is checked, and not held.
};

struct row_lock_slot {
    uint64_t hash;                // 0 stands for an empty slot.
    uint64_t committed_timestamp; // Of the last write.
    uint64_t shared_timestamp;    // Of the last transaction that committed with a strong lock.
    uint64_t locked_by;    // The timestamp of the transaction that holds it exclusively; 0 if none.
    uint64_t shared_by;    // Of the last one that took it strongly.
    uint32_t shared_count; // How often it is held strongly.
};

struct row_lock_write {
    uint64_t hash;
    uint64_t timestamp;
};

struct row_locks {
    struct row_lock_slot *slots; // Open addressing, linear probing; a power of two.
    size_t slot_count;
    size_t used_count;
    struct row_lock_write *writes; // A ring of remembered writes, oldest first.
    size_t write_count_max;
    size_t write_count;
    size_t write_begin;
    size_t locked_count;
    uint64_t floor; // A transaction that started before it cannot be checked.
};

// Remembers at most `write_count_max` writes. Transactions that start before `floor` are refused.
void row_locks_init(struct row_locks *locks, size_t write_count_max, uint64_t floor);
void row_locks_release(struct row_locks *locks);

enum row_lock_result {
    ROW_LOCK_OK,
    ROW_LOCK_CONFLICT,  // `*ret_winner` is the other's timestamp (of commit, or of prepare).
    ROW_LOCK_FORGOTTEN, // The transaction is older than what is remembered.
};

// Says whether a transaction that started at `start` may lock the row; changes nothing.
enum row_lock_result row_locks_check(
    const struct row_locks *locks,
    uint64_t hash,
    enum row_lock_kind kind,
    uint64_t start,
    uint64_t *ret_winner);

// Locks a row that row_locks_check allows, or that this very transaction has locked already.
void row_locks_lock(
    struct row_locks *locks, uint64_t hash, enum row_lock_kind kind, uint64_t timestamp);

// Unlocks a row; a committed one is remembered as written, or shared, at `timestamp`.
void row_locks_unlock(
    struct row_locks *locks,
    uint64_t hash,
    enum row_lock_kind kind,
    uint64_t timestamp,
    bool is_committed);
