#include "model/key.h"

#include "tests/test.h"
#include "tests/unit/model/random_value.h"

#include <inttypes.h>

TestSuite(key, .fini = abort_on_leaks);

enum { COUNT_MAX = 4 };

static size_t random_row(struct arena *arena, struct rng *rng, struct value *values)
{
    size_t count = (size_t)rng_below(rng, COUNT_MAX + 1);
    for (size_t i = 0; i < count; i++) values[i] = random_value(arena, rng, (uint16_t)i);
    return count;
}

static int compare_rows(
    const struct value *a, size_t a_count, const struct value *b, size_t b_count)
{
    for (size_t i = 0; i < MIN(a_count, b_count); i++) {
        int order = value_compare(&a[i], &b[i]);
        if (order != 0) return order;
    }
    return a_count < b_count ? -1 : a_count > b_count;
}

static int sign(int number)
{
    return (number > 0) - (number < 0);
}

Test(key, sorts_as_its_values_do)
{
    for (uint64_t seed = 0; seed < 20000; seed++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        CLEANUP(buffer_releasep) struct buffer a_key = {0};
        CLEANUP(buffer_releasep) struct buffer b_key = {0};
        struct rng rng = {.state = seed};
        struct value a[COUNT_MAX];
        struct value b[COUNT_MAX];
        size_t a_count = random_row(&arena, &rng, a);
        size_t b_count = random_row(&arena, &rng, b);
        size_t common = (size_t)rng_below(&rng, MIN(a_count, b_count) + 1);
        memcpy(b, a, common * sizeof *a);

        key_encode(a, a_count, &a_key);
        for (size_t i = 0; i < b_count; i++) key_encode_value(&b[i], &b_key);
        int order = slice_compare(buffer_slice(&a_key), buffer_slice(&b_key));
        cr_assert(
            eq(int, sign(order), sign(compare_rows(a, a_count, b, b_count))),
            "seed %" PRIu64,
            seed);
    }
}

Test(key, reads_back_what_it_was_made_of)
{
    for (uint64_t seed = 0; seed < 5000; seed++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        CLEANUP(buffer_releasep) struct buffer key = {0};
        struct rng rng = {.state = seed};
        struct value values[COUNT_MAX];
        struct value decoded[COUNT_MAX];
        size_t count = random_row(&arena, &rng, values);
        size_t decoded_count = 0;
        key_encode(values, count, &key);
        assert_ok(key_decode(&arena, buffer_slice(&key), COUNT_MAX, decoded, &decoded_count));
        cr_assert(eq(sz, decoded_count, count));
        for (size_t i = 0; i < count; i++) {
            cr_assert(eq(int, value_compare(&values[i], &decoded[i]), 0), "seed %" PRIu64, seed);
            cr_assert(eq(u16, decoded[i].column, (uint16_t)i));
        }
    }
}

Test(key, has_a_successor_behind_all_that_begin_with_it)
{
    for (uint64_t seed = 0; seed < 5000; seed++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        CLEANUP(buffer_releasep) struct buffer prefix = {0};
        CLEANUP(buffer_releasep) struct buffer key = {0};
        CLEANUP(buffer_releasep) struct buffer successor = {0};
        struct rng rng = {.state = seed};
        struct value values[COUNT_MAX];
        size_t count = random_row(&arena, &rng, values);
        size_t prefix_count = (size_t)rng_below(&rng, count + 1);
        key_encode(values, count, &key);
        key_encode(values, prefix_count, &prefix);
        key_encode(values, prefix_count, &successor);
        key_successor(&successor);
        cr_assert(slice_compare(buffer_slice(&prefix), buffer_slice(&key)) <= 0);
        cr_assert(slice_compare(buffer_slice(&key), buffer_slice(&successor)) < 0);

        // And before all others that come behind.
        struct value others[COUNT_MAX];
        size_t other_count = random_row(&arena, &rng, others);
        buffer_clear(&key);
        key_encode(others, other_count, &key);
        bool is_behind = slice_compare(buffer_slice(&key), buffer_slice(&successor)) > 0;
        int order = compare_rows(others, MIN(other_count, prefix_count), values, prefix_count);
        cr_assert(eq(int, is_behind, order > 0), "seed %" PRIu64, seed);
    }
}

Test(key, takes_the_two_zeros_and_all_nans_for_one)
{
    CLEANUP(buffer_releasep) struct buffer a = {0};
    CLEANUP(buffer_releasep) struct buffer b = {0};
    struct value values[] = {value_double(0, 0.0), value_double(0, -0.0)};
    struct value nans[] = {value_double(0, NAN), value_double(0, -NAN)};
    key_encode_value(&values[0], &a);
    key_encode_value(&nans[0], &a);
    key_encode_value(&values[1], &b);
    key_encode_value(&nans[1], &b);
    cr_assert(slice_equal(buffer_slice(&a), buffer_slice(&b)));
}

Test(key, is_refused_when_malformed)
{
    static const struct slice KEYS[] = {
        SLICE_OF("\x00"),
        SLICE_OF("\x07"),
        SLICE_OF("\xff"),
        SLICE_OF("\x03"),
        SLICE_OF("\x03"
                 "1234567"),
        SLICE_OF("\x06"),
        SLICE_OF("\x06\x02"),
        SLICE_OF("\x10"),
        SLICE_OF("\x10"
                 "abc"),
        SLICE_OF("\x10"
                 "abc\x00"),
        SLICE_OF("\x10"
                 "abc\x00\x02"),
        SLICE_OF("\x10"
                 "abc\x00\xff"),
    };
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        struct value values[COUNT_MAX];
        size_t count = 0;
        CLEANUP(error_freep)
        struct error *error = key_decode(&arena, KEYS[i], COUNT_MAX, values, &count);
        cr_assert(error != NULL, "%zu", i);
    }
}

Test(key, is_refused_with_too_many_values)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct value values[2];
    size_t count = 0;
    CLEANUP(error_freep)
    struct error *error = key_decode(&arena, SLICE_OF("\2\2\2"), 2, values, &count);
    assert_text(error_message(error), "Key has too many values");
    assert_text(error_attribute(error, "count_max"), "2");
}

Test(key, is_not_written_in_part)
{
    CLEANUP(buffer_releasep) struct buffer buffer;
    buffer_init(&buffer, 16);
    struct value values[] = {value_int64(0, 1), value_int64(1, 2)};
    key_encode(values, 2, &buffer);
    cr_assert(buffer.is_overflowed);
    cr_assert(eq(sz, buffer.size, 0));
}
