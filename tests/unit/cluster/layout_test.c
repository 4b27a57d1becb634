#include "cluster/core/layout.h"

#include "base/rng.h"
#include "tests/test.h"

#include <inttypes.h>

TestSuite(layout, .fini = abort_on_leaks);

// Numbers that differ in their high bytes, in their low bytes, or hardly.
static uint64_t random_number(struct rng *rng)
{
    uint64_t number = rng_next(rng) >> rng_below(rng, 64);
    return rng_chance(rng, 30) ? number | UINT64_C(1) << 63 : number;
}

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

static int order_of(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare(struct layout_key a, struct layout_key b)
{
    return sign(slice_compare(layout_slice(&a), layout_slice(&b)));
}

Test(layout, keys_sort_as_their_numbers)
{
    for (uint64_t seed = 1; seed <= 5000; seed++) {
        struct rng rng = {.state = seed};
        uint64_t a = random_number(&rng);
        uint64_t b = rng_chance(&rng, 20) ? a : random_number(&rng);
        uint32_t tablet_a = (uint32_t)random_number(&rng);
        uint32_t tablet_b = rng_chance(&rng, 60) ? tablet_a : (uint32_t)random_number(&rng);
        int order = tablet_a != tablet_b ? order_of(tablet_a, tablet_b) : order_of(a, b);
        int found[] = {
            compare(layout_queue_record(tablet_a, a), layout_queue_record(tablet_b, b)),
            compare(layout_queue_abort(tablet_a, a), layout_queue_abort(tablet_b, b)),
            compare(layout_ordered_row(tablet_a, a), layout_ordered_row(tablet_b, b)),
        };
        for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
            cr_assert(eq(int, found[i], order), "seed %" PRIu64 ", key %zu", seed, i);
        }
        struct guid replica = {1, 2};
        struct guid tablet = {3, 4};
        int of_record = compare(
            layout_source_record(replica, tablet, a), layout_source_record(replica, tablet, b));
        cr_assert(eq(int, of_record, order_of(a, b)), "seed %" PRIu64, seed);
        int of_prepared = compare(layout_prepared(a), layout_prepared(b));
        cr_assert(eq(int, of_prepared, order_of(a, b)), "seed %" PRIu64, seed);
        int of_progress =
            compare(layout_progress(replica, tablet_a), layout_progress(replica, tablet_b));
        cr_assert(eq(int, of_progress, order_of(tablet_a, tablet_b)), "seed %" PRIu64, seed);
    }
}

Test(layout, kinds_of_keys_never_meet)
{
    struct guid id = {7, 8};
    struct layout_key keys[] = {
        layout_cell("epoch"),
        layout_object(id),
        layout_mutation(7),
        layout_prepared(7),
        layout_progress(id, 8),
        layout_source_epoch(id),
        layout_source(id, id),
        layout_source_record(id, id, 9),
        layout_ordered_trimmed(7),
    };
    size_t count = sizeof keys / sizeof *keys;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            cr_assert(ne(chr, keys[i].data[0], keys[j].data[0]), "%zu and %zu", i, j);
        }
    }
    cr_assert(ne(int, compare(layout_queue_record(1, 2), layout_queue_abort(1, 2)), 0));
    cr_assert(ne(int, compare(layout_queue_record(1, 0), layout_queue_trimmed(1)), 0));
}

Test(layout, after_a_prefix_come_the_keys_that_do_not_begin_with_it)
{
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        struct rng rng = {.state = seed};
        uint32_t tablet = (uint32_t)rng_below(&rng, UINT32_MAX);
        struct layout_key begin = layout_prefix(layout_queue_record(tablet, 0), 5);
        struct layout_key end = layout_after(begin);
        uint64_t row_index = random_number(&rng);
        cr_assert(eq(int, compare(begin, layout_queue_record(tablet, row_index)), -1));
        cr_assert(eq(int, compare(layout_queue_record(tablet, row_index), end), -1));
        cr_assert(lt(int, compare(end, layout_queue_record(tablet + 1, 0)), 1));
        cr_assert(lt(int, compare(end, layout_queue_abort(tablet, row_index)), 1));
    }
}

Test(layout, a_prefix_that_ends_in_the_last_byte_is_passed_too)
{
    struct layout_key begin = layout_prefix(layout_ordered_row(0x01ffffff, 0), 4);
    struct layout_key end = layout_after(begin);
    cr_assert(eq(int, compare(layout_ordered_row(0x01ffffff, UINT64_MAX), end), -1));
    cr_assert(lt(int, compare(end, layout_ordered_row(0x02000000, 0)), 1));
}
