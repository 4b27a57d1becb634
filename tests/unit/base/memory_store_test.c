#include "base/memory_store.h"

#include "base/rng.h"
#include "tests/test.h"

#include <inttypes.h>

TestSuite(memory_store, .fini = abort_on_leaks);

enum { KEY_COUNT = 64, BATCH_COUNT_MAX = 16 };

// What a store should have: for each of a few keys its value, 0 for none.
struct contents {
    uint32_t values[STORE_FAMILY_COUNT][KEY_COUNT];
};

static struct slice key_of(uint32_t number, char *bytes)
{
    snprintf(bytes, 8, "k%03" PRIu32, number);
    return slice_from_text(bytes);
}

static struct slice value_of(const uint32_t *value)
{
    return slice_from(value, sizeof *value);
}

static void put(struct store *store, const char *key, const char *value)
{
    struct store_batch batch = {0};
    store_batch_put(&batch, STORE_META, slice_from_text(key), slice_from_text(value));
    assert_ok(store_apply(store, &batch));
    store_batch_release(&batch);
}

static void assert_value(struct store *store, const char *key, const char *expected)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    bool is_found = false;
    assert_ok(store_get(store, NULL, STORE_META, slice_from_text(key), &value, &is_found));
    cr_assert(eq(int, is_found, expected != NULL), "%s", key);
    if (expected) cr_assert(slice_equal_text(buffer_slice(&value), expected), "%s", key);
}

// Adds a few random changes to a batch, and to the contents that it should lead to.
static void random_batch(struct rng *rng, struct store_batch *batch, struct contents *contents)
{
    for (uint64_t i = rng_below(rng, 6); i > 0; i--) {
        char begin_bytes[8];
        char end_bytes[8];
        enum store_family family = (enum store_family)rng_below(rng, STORE_FAMILY_COUNT);
        uint32_t k = (uint32_t)rng_below(rng, KEY_COUNT);
        uint32_t end = k + (uint32_t)rng_below(rng, 10);
        uint32_t value = 1 + (uint32_t)rng_below(rng, 1000000);
        switch (rng_below(rng, 6)) {
        case 0:
            store_batch_remove(batch, family, key_of(k, begin_bytes));
            contents->values[family][k] = 0;
            break;
        case 1:
            store_batch_remove_range(batch, family, key_of(k, begin_bytes), key_of(end, end_bytes));
            for (; k < MIN(end, (uint32_t)KEY_COUNT); k++) contents->values[family][k] = 0;
            break;
        default:
            store_batch_put(batch, family, key_of(k, begin_bytes), value_of(&value));
            contents->values[family][k] = value;
            break;
        }
    }
}

// Compares all that a store, or a snapshot of it, has: key by key, and going through it both ways.
static void check_contents(
    struct store *store,
    const struct store_snapshot *snapshot,
    const struct contents *contents,
    uint64_t seed)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    struct slice none = SLICE_OF("");
    char bytes[8];
    for (int family = 0; family < STORE_FAMILY_COUNT; family++) {
        const uint32_t *values = contents->values[family];
        CLEANUP(store_iterator_freep)
        struct store_iterator *forward =
            store_iterator_new(store, snapshot, (enum store_family)family, none, none);
        store_iterator_seek(forward, none);
        for (uint32_t k = 0; k < KEY_COUNT; k++) {
            bool is_found = false;
            struct slice key = key_of(k, bytes);
            enum store_family at = (enum store_family)family;
            assert_ok(store_get(store, snapshot, at, key, &value, &is_found));
            cr_assert(eq(int, is_found, values[k] != 0), "seed %" PRIu64, seed);
            if (!is_found) continue;
            cr_assert(slice_equal(buffer_slice(&value), value_of(&values[k])));
            cr_assert(store_iterator_is_valid(forward), "seed %" PRIu64, seed);
            cr_assert(slice_equal(store_iterator_key(forward), key), "seed %" PRIu64, seed);
            cr_assert(slice_equal(store_iterator_value(forward), value_of(&values[k])));
            store_iterator_next(forward);
        }
        cr_assert(not(store_iterator_is_valid(forward)));
        assert_ok(store_iterator_error(forward));
    }
}

// A range, from both ends and from a key within.
static void check_range(
    struct store *store, const struct contents *contents, struct rng *rng, uint64_t seed)
{
    char bytes[8];
    char end_bytes[8];
    const uint32_t *values = contents->values[STORE_DATA];
    uint32_t begin = (uint32_t)rng_below(rng, KEY_COUNT);
    uint32_t end = (uint32_t)rng_below(rng, KEY_COUNT);
    uint32_t start = (uint32_t)rng_below(rng, KEY_COUNT);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_iterator_new(store, NULL, STORE_DATA, key_of(begin, bytes), key_of(end, end_bytes));
    cr_assert(not(store_iterator_is_valid(iterator)));

    store_iterator_seek(iterator, key_of(start, bytes));
    for (uint32_t k = MAX(begin, start); k < end; k++) {
        if (!values[k]) continue;
        cr_assert(store_iterator_is_valid(iterator), "seed %" PRIu64, seed);
        cr_assert(slice_equal(store_iterator_key(iterator), key_of(k, bytes)));
        store_iterator_next(iterator);
    }
    cr_assert(not(store_iterator_is_valid(iterator)));

    store_iterator_seek_for_prev(iterator, key_of(start, bytes));
    for (uint32_t k = MIN(end, start + 1); k-- > begin;) {
        if (!values[k]) continue;
        cr_assert(store_iterator_is_valid(iterator), "seed %" PRIu64, seed);
        cr_assert(slice_equal(store_iterator_key(iterator), key_of(k, bytes)));
        store_iterator_prev(iterator);
    }
    cr_assert(not(store_iterator_is_valid(iterator)));
}

// Whatever is applied, synced and lost: what is there is what should be.
Test(memory_store, has_what_was_applied_less_what_a_crash_took_back)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct rng rng = {.state = seed};
        struct store *store = memory_store_new();
        // states[0] is durable, states[i] follows the i-th batch since.
        struct contents states[BATCH_COUNT_MAX + 1] = {0};
        uint64_t unsynced_count = 0;
        for (int i = 0; i < 100; i++) {
            uint64_t dice = rng_below(&rng, 100);
            if (dice < 10 || unsynced_count == BATCH_COUNT_MAX) {
                assert_ok(store_sync(store));
                states[0] = states[unsynced_count];
                unsynced_count = 0;
            } else if (dice < 20) {
                uint64_t kept_count = rng_below(&rng, unsynced_count + 2);
                memory_store_crash(store, kept_count);
                states[0] = states[MIN(kept_count, unsynced_count)];
                unsynced_count = 0;
            } else {
                struct store_batch batch = {0};
                states[unsynced_count + 1] = states[unsynced_count];
                unsynced_count++;
                random_batch(&rng, &batch, &states[unsynced_count]);
                // Somebody may be looking at the state before.
                bool has_snapshot = rng_chance(&rng, 30);
                struct store_snapshot *snapshot = has_snapshot ? store_snapshot_new(store) : NULL;
                assert_ok(store_apply(store, &batch));
                if (snapshot) check_contents(store, snapshot, &states[unsynced_count - 1], seed);
                store_snapshot_free(store, snapshot);
                store_batch_release(&batch);
            }
            cr_assert(eq(u64, memory_store_unsynced_count(store), unsynced_count));
            check_contents(store, NULL, &states[unsynced_count], seed);
            check_range(store, &states[unsynced_count], &rng, seed);
        }
        store_close(store);
    }
}

Test(memory_store, shows_an_iterator_the_state_of_its_creation)
{
    struct store *store = memory_store_new();
    put(store, "a", "1");
    put(store, "b", "2");
    struct slice none = SLICE_OF("");
    struct store_iterator *iterator = store_iterator_new(store, NULL, STORE_META, none, none);
    store_iterator_seek(iterator, none);
    put(store, "a", "3");
    put(store, "aa", "4");
    cr_assert(slice_equal_text(store_iterator_value(iterator), "1"));
    store_iterator_next(iterator);
    cr_assert(slice_equal_text(store_iterator_key(iterator), "b"));
    store_iterator_free(iterator);
    assert_value(store, "a", "3");
    store_close(store);
}

Test(memory_store, fails_to_write_while_it_is_broken)
{
    struct store *store = memory_store_new();
    put(store, "a", "1");
    assert_ok(store_sync(store));
    memory_store_set_broken(store, true);

    struct store_batch batch = {0};
    store_batch_put(&batch, STORE_META, SLICE_OF("a"), SLICE_OF("2"));
    CLEANUP(error_freep) struct error *apply_error = store_apply(store, &batch);
    CLEANUP(error_freep) struct error *sync_error = store_sync(store);
    store_batch_release(&batch);
    cr_assert(apply_error != NULL);
    cr_assert(sync_error != NULL);
    assert_value(store, "a", "1");

    memory_store_set_broken(store, false);
    put(store, "a", "3");
    assert_value(store, "a", "3");
    store_close(store);
}

Test(memory_store, refuses_a_batch_that_was_not_written_whole)
{
    struct store *store = memory_store_new();
    struct store_batch batch = {.operations = {.size_max = 16}};
    store_batch_put(&batch, STORE_META, SLICE_OF("a"), SLICE_OF("1"));
    store_batch_put(&batch, STORE_META, SLICE_OF("b"), SLICE_OF("0123456789abcdef"));
    CLEANUP(error_freep) struct error *error = store_apply(store, &batch);
    store_batch_release(&batch);
    cr_assert(error != NULL);
    assert_value(store, "a", NULL);
    store_close(store);
}

Test(memory_store, is_copied_as_it_is_now)
{
    struct store *store = memory_store_new();
    put(store, "a", "1");
    assert_ok(store_sync(store));
    put(store, "b", "2");
    struct store *copy = memory_store_copy(store);
    cr_assert(eq(u64, memory_store_hash(copy), memory_store_hash(store)));
    put(store, "a", "3");
    put(copy, "c", "4");
    memory_store_crash(copy, 0); // All of the copy is durable, but what came to it.
    assert_value(copy, "a", "1");
    assert_value(copy, "b", "2");
    assert_value(copy, "c", NULL);
    memory_store_crash(store, 0);
    assert_value(store, "a", "1");
    assert_value(store, "b", NULL);
    store_close(store);
    assert_value(copy, "a", "1");
    store_close(copy);
}

Test(memory_store, has_a_hash_of_its_contents)
{
    struct store *a = memory_store_new();
    struct store *b = memory_store_new();
    cr_assert(eq(u64, memory_store_hash(a), memory_store_hash(b)));
    put(a, "x", "1");
    put(a, "y", "2");
    put(b, "y", "3");
    put(b, "x", "1");
    cr_assert(ne(u64, memory_store_hash(a), memory_store_hash(b)));
    put(b, "y", "2");
    cr_assert(eq(u64, memory_store_hash(a), memory_store_hash(b)));
    memory_store_crash(a, 0);
    store_close(b);
    b = memory_store_new();
    cr_assert(eq(u64, memory_store_hash(a), memory_store_hash(b)));
    store_close(a);
    store_close(b);
}
