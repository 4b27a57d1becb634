#include "cluster/core/row_locks.h"

#include "base/base.h"

#include <assert.h>
#include <string.h>

enum { SLOT_COUNT_MIN = 1024 };

void row_locks_init(struct row_locks *locks, size_t write_count_max, uint64_t floor)
{
    assert(write_count_max > 0);
    *locks = (struct row_locks){
        .slot_count = SLOT_COUNT_MIN,
        .slots = must_alloc(calloc(SLOT_COUNT_MIN, sizeof *locks->slots)),
        .write_count_max = write_count_max,
        .writes = must_alloc(calloc(write_count_max, sizeof *locks->writes)),
        .floor = floor,
    };
}

void row_locks_release(struct row_locks *locks)
{
    free(locks->slots);
    free(locks->writes);
    *locks = (struct row_locks){0};
}

static uint64_t usable(uint64_t hash)
{
    return hash ? hash : 1;
}

// The slot of the row, or the empty one where it would go.
static size_t probe(const struct row_locks *locks, uint64_t hash)
{
    size_t mask = locks->slot_count - 1;
    size_t i = hash & mask;
    while (locks->slots[i].hash != 0 && locks->slots[i].hash != hash) i = (i + 1) & mask;
    return i;
}

static void grow(struct row_locks *locks)
{
    struct row_lock_slot *old = locks->slots;
    size_t old_count = locks->slot_count;
    locks->slot_count *= 2;
    locks->slots = must_alloc(calloc(locks->slot_count, sizeof *locks->slots));
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].hash != 0) locks->slots[probe(locks, old[i].hash)] = old[i];
    }
    free(old);
}

// Empties a slot and moves up those behind it that would no longer be found.
static void remove_slot(struct row_locks *locks, size_t hole)
{
    size_t mask = locks->slot_count - 1;
    size_t i = hole;
    while (true) {
        i = (i + 1) & mask;
        if (locks->slots[i].hash == 0) break;
        size_t home = locks->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask)) continue;
        locks->slots[hole] = locks->slots[i];
        hole = i;
    }
    locks->slots[hole] = (struct row_lock_slot){0};
    locks->used_count--;
}

// Whether nothing is known of a row any more, so that its slot can go.
static bool is_idle(const struct row_lock_slot *slot)
{
    return slot->committed_timestamp == 0 && slot->shared_timestamp == 0 && slot->locked_by == 0 &&
           slot->shared_count == 0;
}

enum row_lock_result row_locks_check(
    const struct row_locks *locks,
    uint64_t hash,
    enum row_lock_kind kind,
    uint64_t start,
    uint64_t *ret_winner)
{
    const struct row_lock_slot *slot = &locks->slots[probe(locks, usable(hash))];
    uint64_t winner = slot->locked_by;
    if (winner == 0 && slot->committed_timestamp > start) winner = slot->committed_timestamp;
    if (winner == 0 && kind == ROW_LOCK_EXCLUSIVE) {
        if (slot->shared_timestamp > start) winner = slot->shared_timestamp;
        if (slot->shared_count > 0) winner = slot->shared_by;
    }
    if (winner != 0) {
        *ret_winner = winner;
        return ROW_LOCK_CONFLICT;
    }
    return start < locks->floor ? ROW_LOCK_FORGOTTEN : ROW_LOCK_OK;
}

void row_locks_lock(
    struct row_locks *locks, uint64_t hash, enum row_lock_kind kind, uint64_t timestamp)
{
    if (kind == ROW_LOCK_SHARED_WEAK) return;
    hash = usable(hash);
    if (locks->used_count * 2 >= locks->slot_count) grow(locks);
    struct row_lock_slot *slot = &locks->slots[probe(locks, hash)];
    assert(slot->locked_by == 0 || slot->locked_by == timestamp);
    if (slot->hash == 0) {
        slot->hash = hash;
        locks->used_count++;
    }
    if (kind == ROW_LOCK_SHARED_STRONG) {
        slot->shared_count++;
        slot->shared_by = timestamp;
        return;
    }
    if (slot->locked_by == 0) locks->locked_count++;
    slot->locked_by = timestamp;
}

static void forget_oldest(struct row_locks *locks)
{
    struct row_lock_write write = locks->writes[locks->write_begin];
    locks->write_begin = (locks->write_begin + 1) % locks->write_count_max;
    locks->write_count--;
    locks->floor = MAX(locks->floor, write.timestamp);
    size_t i = probe(locks, write.hash);
    struct row_lock_slot *slot = &locks->slots[i];
    if (slot->hash == 0) return;
    // If not, it was written or shared again.
    if (slot->committed_timestamp == write.timestamp) slot->committed_timestamp = 0;
    if (slot->shared_timestamp == write.timestamp) slot->shared_timestamp = 0;
    if (is_idle(slot)) remove_slot(locks, i);
}

static void remember(struct row_locks *locks, uint64_t hash, uint64_t timestamp)
{
    if (locks->write_count == locks->write_count_max) forget_oldest(locks);
    size_t end = (locks->write_begin + locks->write_count) % locks->write_count_max;
    locks->writes[end] = (struct row_lock_write){.hash = hash, .timestamp = timestamp};
    locks->write_count++;
}

void row_locks_unlock(
    struct row_locks *locks,
    uint64_t hash,
    enum row_lock_kind kind,
    uint64_t timestamp,
    bool is_committed)
{
    if (kind == ROW_LOCK_SHARED_WEAK) return;
    hash = usable(hash);
    size_t i = probe(locks, hash);
    struct row_lock_slot *slot = &locks->slots[i];
    if (kind == ROW_LOCK_SHARED_STRONG) {
        assert(slot->shared_count > 0);
        slot->shared_count--;
        if (is_committed) slot->shared_timestamp = MAX(slot->shared_timestamp, timestamp);
    } else {
        if (slot->hash == 0 || slot->locked_by != timestamp) return; // One row twice.
        slot->locked_by = 0;
        locks->locked_count--;
        if (is_committed) slot->committed_timestamp = timestamp;
    }
    if (is_idle(slot)) remove_slot(locks, i);
    if (is_committed) remember(locks, hash, timestamp);
}
