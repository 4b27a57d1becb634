#include "cluster/core/timestamps.h"

#include "base/rng.h"
#include "model/timestamp.h"
#include "tests/test.h"

#include <inttypes.h>

TestSuite(timestamps, .fini = abort_on_leaks);

#define SECOND_US UINT64_C(1000000)
#define WALL_US   (UINT64_C(1700000000) * SECOND_US)

// As a cell does: writes the ceiling ahead, and has it durable at once.
static void extend(struct timestamps *timestamps)
{
    uint64_t ceiling = timestamps_extension(timestamps);
    if (ceiling != 0) timestamps_set_ceiling(timestamps, ceiling);
}

Test(timestamps, are_none_before_a_ceiling_is_durable)
{
    struct timestamps timestamps;
    timestamps_init(&timestamps, 0, WALL_US);
    cr_assert(eq(u64, timestamps_next(&timestamps), 0));
    cr_assert(eq(u64, timestamps_close(&timestamps), 0));
    extend(&timestamps);
    cr_assert(eq(u64, timestamp_seconds(timestamps_next(&timestamps)), 1700000000));
}

Test(timestamps, follow_the_wall_clock)
{
    struct timestamps timestamps;
    timestamps_init(&timestamps, 0, WALL_US);
    extend(&timestamps);
    uint64_t first = timestamps_next(&timestamps);
    cr_assert(eq(u64, timestamps_next(&timestamps), first + 1));
    timestamps_tick(&timestamps, WALL_US + 3 * SECOND_US);
    cr_assert(eq(u64, timestamp_difference_ms(timestamps_next(&timestamps), first), 3000));
}

Test(timestamps, begin_above_the_ceiling_after_a_restart)
{
    struct timestamps before;
    timestamps_init(&before, 0, WALL_US);
    extend(&before);
    uint64_t last = timestamps_next(&before);
    struct timestamps after;
    timestamps_init(&after, before.ceiling, WALL_US);
    cr_assert(eq(u64, timestamps_next(&after), 0)); // Not before there is a new ceiling.
    extend(&after);
    cr_assert(lt(u64, before.ceiling, timestamps_next(&after)));
    cr_assert(lt(u64, last, before.ceiling + 1));
}

Test(timestamps, do_not_go_back_with_the_clock)
{
    struct timestamps timestamps;
    timestamps_init(&timestamps, 0, WALL_US);
    extend(&timestamps);
    uint64_t last = timestamps_next(&timestamps);
    timestamps_tick(&timestamps, WALL_US - 3600 * SECOND_US);
    extend(&timestamps);
    cr_assert(eq(u64, timestamps_next(&timestamps), last + 1));
}

Test(timestamps, do_not_pass_the_ceiling_when_the_clock_jumps_ahead)
{
    struct timestamps timestamps;
    timestamps_init(&timestamps, 0, WALL_US);
    extend(&timestamps);
    uint64_t ceiling = timestamps.ceiling;
    timestamps_tick(&timestamps, WALL_US + 86400 * SECOND_US);
    cr_assert(eq(u64, timestamps_next(&timestamps), ceiling));
    cr_assert(eq(u64, timestamps_next(&timestamps), 0));
    cr_assert(eq(u64, timestamps_close(&timestamps), ceiling));
    extend(&timestamps);
    cr_assert(eq(u64, timestamp_difference_ms(timestamps_next(&timestamps), ceiling), 86390000));
}

Test(timestamps, are_above_whatever_was_closed)
{
    struct timestamps timestamps;
    timestamps_init(&timestamps, 0, WALL_US);
    extend(&timestamps);
    uint64_t closed = timestamps_close(&timestamps);
    uint64_t next = timestamps_next(&timestamps);
    cr_assert(eq(u64, next, closed + 1));
    cr_assert(eq(u64, timestamps_close(&timestamps), next));
}

Test(timestamps, keep_a_stock_and_do_not_extend_without_need)
{
    struct timestamps timestamps;
    timestamps_init(&timestamps, 0, WALL_US);
    cr_assert(ne(u64, timestamps_extension(&timestamps), 0));
    extend(&timestamps);
    cr_assert(eq(u64, timestamps_extension(&timestamps), 0));
    timestamps_tick(&timestamps, WALL_US + 4 * SECOND_US);
    cr_assert(eq(u64, timestamps_extension(&timestamps), 0));
    timestamps_tick(&timestamps, WALL_US + 6 * SECOND_US);
    cr_assert(lt(u64, timestamps.ceiling, timestamps_extension(&timestamps)));
}

Test(timestamps, drift_little_over_many_restarts_with_a_clock_behind)
{
    uint64_t ceiling = timestamp_from_wall_us(WALL_US);
    for (int i = 0; i < 1000; i++) {
        struct timestamps timestamps;
        timestamps_init(&timestamps, ceiling, WALL_US - 3600 * SECOND_US);
        extend(&timestamps);
        ceiling = timestamps.ceiling;
    }
    cr_assert(lt(u64, timestamp_seconds(ceiling), 1700000000 + 2));
}

// Steps at random: clocks that jump both ways, ceilings that come late, crashes.
Test(timestamps, only_grow_and_stay_below_a_durable_ceiling)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct rng rng = {.state = seed};
        struct timestamps timestamps;
        uint64_t wall_us = WALL_US;
        uint64_t last = 0;
        timestamps_init(&timestamps, 0, wall_us);
        for (int i = 0; i < 1000; i++) {
            uint64_t jump_us = rng_below(&rng, 20 * SECOND_US);
            wall_us = rng_chance(&rng, 50) ? wall_us + jump_us : wall_us - jump_us;
            if (rng_chance(&rng, 5)) wall_us = WALL_US + rng_below(&rng, 100000 * SECOND_US);
            timestamps_tick(&timestamps, wall_us);
            if (rng_chance(&rng, 60)) extend(&timestamps);
            if (rng_chance(&rng, 5)) timestamps_init(&timestamps, timestamps.ceiling, wall_us);
            if (rng_chance(&rng, 30)) {
                uint64_t closed = timestamps_close(&timestamps);
                cr_assert(le(u64, closed, timestamps.ceiling), "seed %" PRIu64, seed);
                last = MAX(last, closed);
            }
            uint64_t next = timestamps_next(&timestamps);
            if (next == 0) continue;
            cr_assert(lt(u64, last, next), "seed %" PRIu64, seed);
            cr_assert(le(u64, next, timestamps.ceiling), "seed %" PRIu64, seed);
            last = next;
        }
    }
}
