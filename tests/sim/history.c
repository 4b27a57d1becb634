#include "tests/sim/history.h"

#include <inttypes.h>

static const struct version *find_version(
    const struct version *versions, int64_t key, int64_t value, uint64_t timestamp)
{
    for (size_t i = 0; i < arr_count(versions); i++) {
        const struct version *version = &versions[i];
        if (version->key != key || version->value != value) continue;
        if (timestamp != 0 && version->timestamp != timestamp) continue;
        return version;
    }
    return NULL;
}

// The newest version of a key at or below a timestamp; NULL if there is none.
static const struct version *version_at(
    const struct version *versions, int64_t key, uint64_t timestamp)
{
    const struct version *newest = NULL;
    for (size_t i = 0; i < arr_count(versions); i++) {
        const struct version *version = &versions[i];
        if (version->key != key || version->timestamp > timestamp) continue;
        if (!newest || version->timestamp > newest->timestamp) newest = version;
    }
    return newest;
}

static const struct past_transaction *find_writer(const struct history *history, int64_t value)
{
    if (value < 1 || (size_t)value > arr_count(history->transactions)) return NULL;
    return &history->transactions[value - 1];
}

// converge: both replicas hold the same, and so the versions of the first speak for all.
static void check_equal(
    struct world *world, const struct version *a, const struct version *b, const char *what)
{
    if (arr_count(a) != arr_count(b)) {
        world_fail(world, "converge: %s: %zu and %zu rows", what, arr_count(a), arr_count(b));
        return;
    }
    for (size_t i = 0; i < arr_count(a); i++) {
        bool is_same =
            a[i].key == b[i].key && a[i].value == b[i].value && a[i].timestamp == b[i].timestamp;
        if (is_same) continue;
        world_fail(world, "converge: %s differ at row %zu", what, i);
        return;
    }
}

// exactly-once, error-is-final, commit-atomic: each transaction is there whole, once, or not at
// all.
static void check_transaction(
    struct world *world, const struct history *history, const struct past_transaction *past)
{
    const struct version *versions = history->versions[0];
    size_t found = 0;
    uint64_t timestamp = past->timestamp;
    for (size_t i = 0; i < past->key_count; i++) {
        int64_t value = past->is_delete ? 0 : past->value;
        if (past->is_delete && timestamp == 0) return; // Which delete is whose cannot be told.
        const struct version *version = find_version(versions, past->keys[i], value, timestamp);
        if (version) timestamp = version->timestamp;
        if (version) found++;
    }
    size_t listed = 0;
    for (size_t i = 0; i < arr_count(history->lists[0]); i++) {
        if (history->lists[0][i].value == past->value) listed++;
    }
    size_t local = 0;
    for (size_t i = 0; i < past->key_count && past->is_local; i++) {
        if (find_version(history->local, past->keys[i], past->value, timestamp)) local++;
    }
    if (past->outcome == OUTCOME_OK && found != past->key_count) {
        world_fail(
            world,
            "exactly-once: %" PRId64 " was acknowledged, and %zu of %zu rows are there",
            past->value,
            found,
            past->key_count);
    }
    if (past->outcome == OUTCOME_FAILED && found + listed + local > 0) {
        world_fail(world, "error-is-final: %" PRId64 " had failed and is there", past->value);
    }
    bool is_there = found > 0;
    if (is_there && found != past->key_count) {
        world_fail(world, "commit-atomic: %" PRId64 " is there in part", past->value);
    }
    if (past->is_listed && listed != (is_there ? 1u : 0u)) {
        world_fail(
            world, "commit-atomic: %" PRId64 " is %zu times in the list", past->value, listed);
    }
    if (past->is_local && local != (is_there ? past->key_count : 0)) {
        world_fail(world, "commit-atomic: %" PRId64 " differs in the ordinary table", past->value);
    }
}

// no-lost-update: nobody wrote a row between start and commit of a transaction that wrote it.
static void check_lost_update(
    struct world *world, const struct history *history, const struct past_transaction *past)
{
    if (past->start_timestamp == 0 || past->is_delete) return;
    for (size_t i = 0; i < past->key_count; i++) {
        const struct version *own =
            find_version(history->versions[0], past->keys[i], past->value, 0);
        if (!own) return;
        for (size_t j = 0; j < arr_count(history->versions[0]); j++) {
            const struct version *other = &history->versions[0][j];
            if (other->key != own->key || other->timestamp <= past->start_timestamp) continue;
            if (other->timestamp >= own->timestamp) continue;
            world_fail(
                world,
                "no-lost-update: %" PRId64 " overwrote %" PRId64 " unseen",
                past->value,
                other->value);
        }
    }
}

static void check_versions(struct world *world, const struct history *history)
{
    for (size_t i = 0; i < arr_count(history->versions[0]); i++) {
        const struct version *version = &history->versions[0][i];
        if (version->value == 0) continue;
        if (!find_writer(history, version->value)) {
            world_fail(world, "exactly-once: nobody wrote %" PRId64, version->value);
        }
    }
    for (size_t i = 1; i < arr_count(history->lists[0]); i++) {
        if (history->lists[0][i].timestamp >= history->lists[0][i - 1].timestamp) continue;
        world_fail(world, "in-order: the list goes back in time at %zu", i);
    }
}

// The timestamp of what a read saw; for a missing row, of the newest version that may explain it.
static bool seen_timestamp(
    const struct history *history, const struct past_read *read, uint64_t lowest, uint64_t *ret)
{
    *ret = 0;
    bool is_explained = read->value == 0 && lowest == 0;
    for (size_t i = 0; i < arr_count(history->versions[0]); i++) {
        const struct version *version = &history->versions[0][i];
        if (version->key != read->key || version->value != read->value) continue;
        is_explained = true;
        *ret = MAX(*ret, version->timestamp);
    }
    return is_explained;
}

// sync-read-linearizable: timestamps order all writes of a key, so a read must see nothing older
// than what was acknowledged, or seen by a read that had ended, before it began.
static void check_read(
    struct world *world, const struct history *history, const struct past_read *read)
{
    uint64_t lowest = 0;
    for (size_t i = 0; i < arr_count(history->transactions); i++) {
        const struct past_transaction *past = &history->transactions[i];
        if (past->outcome != OUTCOME_OK || past->return_us >= read->invoke_us) continue;
        for (size_t j = 0; j < past->key_count; j++) {
            if (past->keys[j] == read->key) lowest = MAX(lowest, past->timestamp);
        }
    }
    for (size_t i = 0; i < arr_count(history->reads); i++) {
        const struct past_read *other = &history->reads[i];
        if (other->is_snapshot || other->key != read->key || other->value == 0) continue;
        if (other->return_us >= read->invoke_us) continue;
        uint64_t seen = 0;
        if (seen_timestamp(history, other, 0, &seen)) lowest = MAX(lowest, seen);
    }
    uint64_t seen = 0;
    if (!seen_timestamp(history, read, lowest, &seen)) {
        world_fail(
            world,
            "no-dirty-read: key %" PRId64 " was read as %" PRId64 ", which is not there",
            read->key,
            read->value);
        return;
    }
    if (seen < lowest) {
        world_fail(
            world,
            "sync-read-linearizable: key %" PRId64 " was read as %" PRId64 " of %" PRIu64
            " after %" PRIu64 " was known",
            read->key,
            read->value,
            seen,
            lowest);
    }
}

// snapshot-stable: a read at T shows exactly the transactions at or below T.
static void check_snapshot(
    struct world *world, const struct history *history, const struct past_read *read)
{
    const struct version *version = version_at(history->versions[0], read->key, read->timestamp);
    int64_t expected = version ? version->value : 0;
    if (expected == read->value) return;
    world_fail(
        world,
        "snapshot-stable: key %" PRId64 " at %" PRIu64 " was read as %" PRId64 ", is %" PRId64,
        read->key,
        read->timestamp,
        read->value,
        expected);
}

void history_check(struct world *world, const struct history *history)
{
    check_equal(world, history->versions[0], history->versions[1], "sorted replicas");
    check_equal(world, history->lists[0], history->lists[1], "ordered replicas");
    check_versions(world, history);
    for (size_t i = 0; i < arr_count(history->transactions); i++) {
        check_transaction(world, history, &history->transactions[i]);
        check_lost_update(world, history, &history->transactions[i]);
    }
    for (size_t i = 0; i < arr_count(history->reads); i++) {
        const struct past_read *read = &history->reads[i];
        if (read->is_snapshot) {
            check_snapshot(world, history, read);
        } else {
            check_read(world, history, read);
        }
    }
}

void history_release(struct history *history)
{
    arr_free(history->transactions);
    arr_free(history->reads);
    for (size_t i = 0; i < 2; i++) {
        arr_free(history->versions[i]);
        arr_free(history->lists[i]);
    }
    arr_free(history->local);
}
