#include "tests/sim/history.h"

#include "tests/sim/clients.h"
#include "tests/sim/operator.h"

#include <inttypes.h>

static const struct version *all_versions(const struct history *history)
{
    return history->versions[history->whole];
}

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

// converge: both replicas hold the same.
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

// converge, where one replica drops old versions: the others are all there, none is new, and below
// the retained timestamp a row is still what it was then.
static void check_retained(struct world *world, const struct history *history)
{
    const struct version *kept = history->versions[1 - history->whole];
    const struct version *all = all_versions(history);
    uint64_t retained = history->retained_timestamp;
    for (size_t i = 0; i < arr_count(kept); i++) {
        if (find_version(all, kept[i].key, kept[i].value, kept[i].timestamp)) continue;
        world_fail(
            world, "converge: %" PRId64 " of key %" PRId64 " is new", kept[i].value, kept[i].key);
    }
    for (size_t i = 0; i < arr_count(all); i++) {
        if (all[i].timestamp <= retained) continue;
        if (find_version(kept, all[i].key, all[i].value, all[i].timestamp)) continue;
        world_fail(
            world, "converge: %" PRId64 " of key %" PRId64 " is gone", all[i].value, all[i].key);
    }
    for (int64_t key = 0; key < KEY_COUNT; key++) {
        const struct version *was = version_at(all, key, retained);
        const struct version *is = version_at(kept, key, retained);
        if ((was ? was->value : 0) == (is ? is->value : 0)) continue;
        world_fail(world, "converge: key %" PRId64 " is another at the retained timestamp", key);
    }
}

// exactly-once, error-is-final, unknown-is-honest, cancel-is-neutral, commit-atomic: each
// transaction is there whole, once, or not at all.
static void check_transaction(
    struct world *world, const struct history *history, const struct past_transaction *past)
{
    const struct version *versions = all_versions(history);
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
        const char *name = past->was_left       ? "cancel-is-neutral"
                           : past->was_repeated ? "unknown-is-honest"
                                                : "error-is-final";
        world_fail(world, "%s: %" PRId64 " had failed and is there", name, past->value);
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
            find_version(all_versions(history), past->keys[i], past->value, 0);
        if (!own) return;
        for (size_t j = 0; j < arr_count(all_versions(history)); j++) {
            const struct version *other = &all_versions(history)[j];
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
    for (size_t i = 0; i < arr_count(all_versions(history)); i++) {
        const struct version *version = &all_versions(history)[i];
        if (version->value == 0) continue;
        if (version->value == TRESPASS_VALUE) {
            world_fail(world, "fenced-by-upstream: a row was written past the log");
        } else if (!find_writer(history, version->value)) {
            world_fail(world, "exactly-once: nobody wrote %" PRId64, version->value);
        }
    }
    for (size_t i = 1; i < arr_count(history->lists[0]); i++) {
        if (history->lists[0][i].timestamp >= history->lists[0][i - 1].timestamp) continue;
        world_fail(world, "in-order: the list goes back in time at %zu", i);
    }
}

// no-dirty-read: what was read was not refused.
static void check_writer(struct world *world, const struct history *history, size_t read_index)
{
    const struct past_read *read = &history->reads[read_index];
    const struct past_transaction *writer = find_writer(history, read->value);
    if (!writer || writer->outcome != OUTCOME_FAILED) return;
    world_fail(
        world,
        "no-dirty-read: %" PRId64 " of key %" PRId64 " was read, and failed",
        read->value,
        read->key);
}

// The timestamp of what a read saw; for a missing row, of the newest version that may explain it.
static bool seen_timestamp(
    const struct history *history, const struct past_read *read, uint64_t lowest, uint64_t *ret)
{
    *ret = 0;
    bool is_explained = read->value == 0 && lowest == 0;
    for (size_t i = 0; i < arr_count(all_versions(history)); i++) {
        const struct version *version = &all_versions(history)[i];
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
        if (other->kind != READ_LATEST || other->key != read->key || other->value == 0) continue;
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
    const struct version *version = version_at(all_versions(history), read->key, read->timestamp);
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

// -------------------------------------------------------------------------------------------------
// async-is-prefix

// What a read of one tablet says about how far its log was applied: at least up to `begin`, and
// before `end`.
struct prefix {
    uint64_t begin;
    uint64_t end;
};

static struct prefix prefix_of(const struct history *history, const struct past_read *read)
{
    struct prefix prefix = {0, UINT64_MAX};
    bool is_deleted = false;
    for (size_t i = 0; i < arr_count(all_versions(history)); i++) {
        const struct version *version = &all_versions(history)[i];
        if (version->key != read->key) continue;
        if (version->value == 0) is_deleted = true;
        if (version->value == read->value) prefix.begin = version->timestamp;
    }
    if (read->value == 0 && is_deleted) return (struct prefix){0, UINT64_MAX}; // Perhaps by this.
    for (size_t i = 0; i < arr_count(all_versions(history)); i++) {
        const struct version *version = &all_versions(history)[i];
        if (version->key != read->key || version->timestamp <= prefix.begin) continue;
        prefix.end = MIN(prefix.end, version->timestamp);
    }
    return prefix;
}

static bool is_of_tablet(const struct past_read *read, size_t tablet)
{
    return (read->key >= PIVOT_KEY) == (tablet == 1);
}

// All that a read shows of a tablet must be of one prefix of its log.
static void check_prefixes(struct world *world, const struct history *history, size_t tablet)
{
    struct stale {
        struct prefix prefix;
        const struct past_read *read;
    } *found = NULL; // stb array.
    for (size_t i = 0; i < arr_count(history->reads); i++) {
        const struct past_read *read = &history->reads[i];
        if (read->kind != READ_STALE || !read->is_settled || !is_of_tablet(read, tablet)) continue;
        struct prefix prefix = prefix_of(history, read);
        size_t last = arr_count(found);
        if (last > 0 && found[last - 1].read->token == read->token) {
            struct prefix *whole = &found[last - 1].prefix;
            whole->begin = MAX(whole->begin, prefix.begin);
            whole->end = MIN(whole->end, prefix.end);
        } else {
            struct stale stale = {prefix, read};
            arr_add(found, stale);
        }
    }
    for (size_t i = 0; i < arr_count(found); i++) {
        const struct past_read *read = found[i].read;
        if (found[i].prefix.begin >= found[i].prefix.end) {
            world_fail(
                world,
                "async-is-prefix: node %u shows of tablet %zu what is of %" PRIu64
                " without what is of %" PRIu64,
                read->node,
                tablet,
                found[i].prefix.begin,
                found[i].prefix.end);
        }
        for (size_t j = 0; j < i; j++) {
            const struct past_read *other = found[j].read;
            if (other->node != read->node || other->return_us >= read->invoke_us) continue;
            if (found[j].prefix.begin < found[i].prefix.end) continue;
            world_fail(
                world,
                "async-is-prefix: node %u showed of tablet %zu what is of %" PRIu64
                ", and then not what is of %" PRIu64,
                read->node,
                tablet,
                found[j].prefix.begin,
                found[i].prefix.end);
        }
    }
    arr_free(found);
}

// -------------------------------------------------------------------------------------------------

void history_check(struct world *world, const struct history *history)
{
    if (history->retained_timestamp > 0) {
        check_retained(world, history);
    } else {
        check_equal(world, history->versions[0], history->versions[1], "sorted replicas");
    }
    check_equal(world, history->lists[0], history->lists[1], "ordered replicas");
    for (size_t i = 0; i < arr_count(history->reads); i++) check_writer(world, history, i);
    check_versions(world, history);
    for (size_t i = 0; i < arr_count(history->transactions); i++) {
        check_transaction(world, history, &history->transactions[i]);
        check_lost_update(world, history, &history->transactions[i]);
    }
    for (size_t i = 0; i < arr_count(history->reads); i++) {
        const struct past_read *read = &history->reads[i];
        if (read->kind == READ_SNAPSHOT) check_snapshot(world, history, read);
        if (read->kind == READ_LATEST) check_read(world, history, read);
    }
    for (size_t i = 0; i < 2; i++) check_prefixes(world, history, i);
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
