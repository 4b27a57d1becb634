#include "cluster/core/row_locks.h"

#include "base/rng.h"
#include "tests/test.h"

#include <inttypes.h>

TestSuite(row_locks, .fini = abort_on_leaks);

enum { ROW_COUNT = 24, WRITE_COUNT_MAX = 10 };

static enum row_lock_result check(const struct row_locks *locks, uint64_t hash, uint64_t start)
{
    uint64_t winner = 0;
    return row_locks_check(locks, hash, ROW_LOCK_EXCLUSIVE, start, &winner);
}

static void write_row(struct row_locks *locks, uint64_t hash, uint64_t timestamp)
{
    row_locks_lock(locks, hash, ROW_LOCK_EXCLUSIVE, timestamp);
    row_locks_unlock(locks, hash, ROW_LOCK_EXCLUSIVE, timestamp, true);
}

Test(row_locks, a_locked_row_conflicts_whenever_one_started)
{
    struct row_locks locks;
    row_locks_init(&locks, WRITE_COUNT_MAX, 0);
    row_locks_lock(&locks, 5, ROW_LOCK_EXCLUSIVE, 100);
    uint64_t winner = 0;
    cr_assert(
        eq(int, row_locks_check(&locks, 5, ROW_LOCK_EXCLUSIVE, 200, &winner), ROW_LOCK_CONFLICT));
    cr_assert(eq(u64, winner, 100));
    cr_assert(eq(int, check(&locks, 5, ROW_LOCKS_LATEST), ROW_LOCK_CONFLICT));
    cr_assert(eq(int, check(&locks, 6, 1), ROW_LOCK_OK));
    row_locks_release(&locks);
}

Test(row_locks, a_committed_write_conflicts_with_older_transactions_only)
{
    struct row_locks locks;
    row_locks_init(&locks, WRITE_COUNT_MAX, 0);
    write_row(&locks, 5, 100);
    uint64_t winner = 0;
    cr_assert(
        eq(int, row_locks_check(&locks, 5, ROW_LOCK_EXCLUSIVE, 99, &winner), ROW_LOCK_CONFLICT));
    cr_assert(eq(u64, winner, 100));
    cr_assert(eq(int, check(&locks, 5, 100), ROW_LOCK_OK));
    cr_assert(eq(int, check(&locks, 5, ROW_LOCKS_LATEST), ROW_LOCK_OK));
    row_locks_release(&locks);
}

Test(row_locks, an_aborted_write_leaves_what_was_known_before)
{
    struct row_locks locks;
    row_locks_init(&locks, WRITE_COUNT_MAX, 0);
    write_row(&locks, 5, 100);
    row_locks_lock(&locks, 5, ROW_LOCK_EXCLUSIVE, 200);
    row_locks_unlock(&locks, 5, ROW_LOCK_EXCLUSIVE, 200, false);
    cr_assert(eq(int, check(&locks, 5, 150), ROW_LOCK_OK));
    cr_assert(eq(int, check(&locks, 5, 50), ROW_LOCK_CONFLICT));
    row_locks_lock(&locks, 6, ROW_LOCK_EXCLUSIVE, 300);
    row_locks_unlock(&locks, 6, ROW_LOCK_EXCLUSIVE, 300, false);
    cr_assert(eq(sz, locks.used_count, 1));
    row_locks_release(&locks);
}

Test(row_locks, a_transaction_may_lock_and_unlock_one_row_twice)
{
    struct row_locks locks;
    row_locks_init(&locks, WRITE_COUNT_MAX, 0);
    row_locks_lock(&locks, 5, ROW_LOCK_EXCLUSIVE, 100);
    row_locks_lock(&locks, 5, ROW_LOCK_EXCLUSIVE, 100);
    cr_assert(eq(sz, locks.locked_count, 1));
    row_locks_unlock(&locks, 5, ROW_LOCK_EXCLUSIVE, 100, true);
    row_locks_unlock(&locks, 5, ROW_LOCK_EXCLUSIVE, 100, true);
    cr_assert(eq(sz, locks.locked_count, 0));
    cr_assert(eq(sz, locks.write_count, 1));
    row_locks_release(&locks);
}

Test(row_locks, who_started_below_the_floor_is_refused)
{
    struct row_locks locks;
    row_locks_init(&locks, WRITE_COUNT_MAX, 1000);
    cr_assert(eq(int, check(&locks, 5, 999), ROW_LOCK_FORGOTTEN));
    cr_assert(eq(int, check(&locks, 5, 1000), ROW_LOCK_OK));
    row_locks_release(&locks);
}

Test(row_locks, a_full_memory_forgets_the_oldest_and_raises_the_floor)
{
    struct row_locks locks;
    row_locks_init(&locks, 3, 0);
    for (uint64_t i = 1; i <= 4; i++) write_row(&locks, i, 10 * i);
    cr_assert(eq(u64, locks.floor, 10));
    cr_assert(eq(int, check(&locks, 1, 9), ROW_LOCK_FORGOTTEN)); // Not: no conflict.
    cr_assert(eq(int, check(&locks, 1, 10), ROW_LOCK_OK));
    cr_assert(eq(int, check(&locks, 2, 15), ROW_LOCK_CONFLICT));
    cr_assert(eq(sz, locks.used_count, 3));
    row_locks_release(&locks);
}

Test(row_locks, hash_zero_is_a_hash_like_others)
{
    struct row_locks locks;
    row_locks_init(&locks, 3, 0);
    row_locks_lock(&locks, 0, ROW_LOCK_EXCLUSIVE, 10);
    cr_assert(eq(int, check(&locks, 0, 20), ROW_LOCK_CONFLICT));
    row_locks_unlock(&locks, 0, ROW_LOCK_EXCLUSIVE, 10, true);
    cr_assert(eq(int, check(&locks, 0, 5), ROW_LOCK_CONFLICT));
    cr_assert(eq(int, check(&locks, 0, 20), ROW_LOCK_OK));
    row_locks_release(&locks);
}

static enum row_lock_result check_as(
    const struct row_locks *locks, enum row_lock_kind kind, uint64_t start)
{
    uint64_t winner = 0;
    return row_locks_check(locks, 5, kind, start, &winner);
}

Test(row_locks, shared_locks_live_together_and_lose_against_writes)
{
    const enum row_lock_kind kinds[] = {ROW_LOCK_SHARED_STRONG, ROW_LOCK_SHARED_WEAK};
    struct row_locks locks;
    row_locks_init(&locks, WRITE_COUNT_MAX, 0);
    write_row(&locks, 5, 100);
    row_locks_lock(&locks, 5, ROW_LOCK_SHARED_STRONG, 200);
    for (int i = 0; i < 2; i++) {
        cr_assert(eq(int, check_as(&locks, kinds[i], 150), ROW_LOCK_OK));
        cr_assert(eq(int, check_as(&locks, kinds[i], 99), ROW_LOCK_CONFLICT));
    }
    row_locks_unlock(&locks, 5, ROW_LOCK_SHARED_STRONG, 200, false);
    row_locks_lock(&locks, 5, ROW_LOCK_EXCLUSIVE, 300);
    for (int i = 0; i < 2; i++) {
        cr_assert(eq(int, check_as(&locks, kinds[i], 250), ROW_LOCK_CONFLICT));
    }
    row_locks_release(&locks);
}

Test(row_locks, a_strong_lock_keeps_off_writers_and_a_weak_one_does_not)
{
    struct row_locks locks;
    row_locks_init(&locks, WRITE_COUNT_MAX, 0);
    row_locks_lock(&locks, 5, ROW_LOCK_SHARED_WEAK, 100);
    cr_assert(eq(int, check(&locks, 5, 50), ROW_LOCK_OK));
    row_locks_unlock(&locks, 5, ROW_LOCK_SHARED_WEAK, 100, true);
    cr_assert(eq(int, check(&locks, 5, 50), ROW_LOCK_OK));

    row_locks_lock(&locks, 5, ROW_LOCK_SHARED_STRONG, 200);
    row_locks_lock(&locks, 5, ROW_LOCK_SHARED_STRONG, 201);
    cr_assert(eq(int, check(&locks, 5, 300), ROW_LOCK_CONFLICT)); // While it is held.
    row_locks_unlock(&locks, 5, ROW_LOCK_SHARED_STRONG, 201, true);
    cr_assert(eq(int, check(&locks, 5, 300), ROW_LOCK_CONFLICT));
    row_locks_unlock(&locks, 5, ROW_LOCK_SHARED_STRONG, 200, false);
    cr_assert(eq(int, check(&locks, 5, 300), ROW_LOCK_OK));
    cr_assert(eq(int, check(&locks, 5, 200), ROW_LOCK_CONFLICT)); // It started before 201.
    cr_assert(eq(int, check_as(&locks, ROW_LOCK_SHARED_STRONG, 200), ROW_LOCK_OK));
    for (uint64_t i = 0; i < WRITE_COUNT_MAX; i++) write_row(&locks, 6, 400 + i);
    cr_assert(eq(int, check(&locks, 5, 200), ROW_LOCK_FORGOTTEN));
    cr_assert(eq(sz, locks.used_count, 1)); // Nothing is left of row 5.
    row_locks_release(&locks);
}

// What should be known of each row, and in what order rows were written.
struct model {
    uint64_t locked_by[ROW_COUNT];
    uint64_t written_at[ROW_COUNT];
    uint64_t writes[4096]; // Timestamps in order of commit.
    size_t write_count;
};

// All hashes have their homes in a few neighbouring slots, at the end of the table and around it,
// so that rows stand in each other's way.
static uint64_t hash_of(uint64_t row)
{
    return (row + 1) * (UINT64_C(1) << 32) + (1024 - 3 + row % 5) % 1024;
}

static enum row_lock_result expected(const struct model *model, uint64_t row, uint64_t start)
{
    uint64_t floor = 0;
    for (size_t i = 0; i + WRITE_COUNT_MAX < model->write_count; i++) {
        floor = MAX(floor, model->writes[i]);
    }
    if (model->locked_by[row] != 0) return ROW_LOCK_CONFLICT;
    bool is_remembered = false;
    for (size_t i = 0; i < model->write_count; i++) {
        bool is_kept = i + WRITE_COUNT_MAX >= model->write_count;
        if (is_kept && model->writes[i] == model->written_at[row]) is_remembered = true;
    }
    if (is_remembered && model->written_at[row] > start) return ROW_LOCK_CONFLICT;
    return start < floor ? ROW_LOCK_FORGOTTEN : ROW_LOCK_OK;
}

static void act(struct rng *rng, struct row_locks *locks, struct model *model, uint64_t *timestamp)
{
    uint64_t row = rng_below(rng, ROW_COUNT);
    if (model->locked_by[row] == 0) {
        uint64_t start = rng_chance(rng, 30) ? rng_below(rng, *timestamp + 1) : ROW_LOCKS_LATEST;
        if (check(locks, hash_of(row), start) != ROW_LOCK_OK) return;
        row_locks_lock(locks, hash_of(row), ROW_LOCK_EXCLUSIVE, ++*timestamp);
        model->locked_by[row] = *timestamp;
        return;
    }
    bool is_committed = rng_chance(rng, 60);
    row_locks_unlock(locks, hash_of(row), ROW_LOCK_EXCLUSIVE, model->locked_by[row], is_committed);
    if (is_committed) {
        model->written_at[row] = model->locked_by[row];
        model->writes[model->write_count++] = model->locked_by[row];
    }
    model->locked_by[row] = 0;
}

Test(row_locks, behaves_like_a_plain_map)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rng rng = {.state = seed};
        struct row_locks locks;
        struct model model = {0};
        uint64_t timestamp = 0;
        row_locks_init(&locks, WRITE_COUNT_MAX, 0);
        for (int i = 0; i < 1000; i++) {
            act(&rng, &locks, &model, &timestamp);
            uint64_t start = rng_below(&rng, timestamp + 2);
            for (uint64_t row = 0; row < ROW_COUNT; row++) {
                enum row_lock_result result = check(&locks, hash_of(row), start);
                cr_assert(
                    eq(int, result, expected(&model, row, start)),
                    "seed %" PRIu64 ", step %d, row %" PRIu64 ", start %" PRIu64,
                    seed,
                    i,
                    row,
                    start);
            }
        }
        row_locks_release(&locks);
    }
}

Test(row_locks, grows_with_what_is_locked)
{
    struct row_locks locks;
    row_locks_init(&locks, 4, 0);
    for (uint64_t i = 1; i <= 5000; i++) row_locks_lock(&locks, i * 1024, ROW_LOCK_EXCLUSIVE, i);
    cr_assert(eq(sz, locks.locked_count, 5000));
    for (uint64_t i = 1; i <= 5000; i++) {
        cr_assert(eq(int, check(&locks, i * 1024, ROW_LOCKS_LATEST), ROW_LOCK_CONFLICT));
    }
    for (uint64_t i = 1; i <= 5000; i++)
        row_locks_unlock(&locks, i * 1024, ROW_LOCK_EXCLUSIVE, i, false);
    cr_assert(eq(sz, locks.used_count, 0));
    row_locks_release(&locks);
}
