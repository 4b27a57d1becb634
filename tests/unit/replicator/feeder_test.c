#include "replicator/core/feeder.h"

#include "base/rng.h"
#include "tests/test.h"

#include <inttypes.h>

TestSuite(feeder, .fini = abort_on_leaks);

static const struct throttler_config UNLIMITED = {.limit = 0, .period_us = 1000000};

static struct position at(uint64_t row_index, uint64_t timestamp)
{
    return (struct position){row_index, timestamp};
}

static struct feeder *feeder_at(struct feeder *feeder, struct position tail)
{
    assert_ok(feeder_init(feeder, &UNLIMITED, 0));
    feeder_start(feeder, tail, tail);
    return feeder;
}

Test(feeder, sends_until_the_window_is_full_and_again_when_it_is_acknowledged)
{
    struct feeder feeder;
    feeder_at(&feeder, at(10, 100));
    cr_assert(feeder_has_room(&feeder, 50));
    feeder_sent(&feeder, at(12, 110), 30, 30, 0);
    cr_assert(feeder_has_room(&feeder, 50)); // A batch may overshoot.
    feeder_sent(&feeder, at(15, 120), 30, 30, 0);
    cr_assert(not(feeder_has_room(&feeder, 50)));
    feeder_acknowledge(&feeder, at(12, 110), at(10, 100), 0);
    cr_assert(feeder_has_room(&feeder, 50));
    cr_assert(eq(u64, feeder.in_flight_size, 30));
    feeder_acknowledge(&feeder, at(15, 120), at(15, 120), 0);
    cr_assert(eq(u64, feeder.in_flight_size, 0));
    cr_assert(eq(u64, feeder.decided.row_index, 15));
}

Test(feeder, counts_batches_as_well_as_bytes)
{
    struct feeder feeder;
    feeder_at(&feeder, at(0, 0));
    for (uint64_t i = 1; i <= FEEDER_BATCH_COUNT_MAX; i++) {
        cr_assert(feeder_has_room(&feeder, 1 << 20));
        feeder_sent(&feeder, at(i, i), 1, 1, 0);
    }
    cr_assert(not(feeder_has_room(&feeder, 1 << 20)));
}

Test(feeder, knows_the_ends_of_its_batches_as_pairs)
{
    struct feeder feeder;
    feeder_at(&feeder, at(10, 100));
    feeder_sent(&feeder, at(12, 110), 1, 1, 0);
    feeder_sent(&feeder, at(15, 120), 1, 1, 0);
    cr_assert(feeder_knows(&feeder, at(10, 100)));
    cr_assert(feeder_knows(&feeder, at(12, 110)));
    cr_assert(feeder_knows(&feeder, at(15, 120)));
    cr_assert(not(feeder_knows(&feeder, at(12, 111))));
    cr_assert(not(feeder_knows(&feeder, at(13, 115))));
    feeder_acknowledge(&feeder, at(15, 120), at(10, 100), 0);
    cr_assert(not(feeder_knows(&feeder, at(12, 110))));
    cr_assert(feeder_knows(&feeder, at(15, 120)));
}

Test(feeder, is_not_moved_back_by_an_old_acknowledgement)
{
    struct feeder feeder;
    feeder_at(&feeder, at(10, 100));
    feeder_sent(&feeder, at(12, 110), 1, 1, 0);
    feeder_sent(&feeder, at(15, 120), 1, 1, 0);
    feeder_acknowledge(&feeder, at(15, 120), at(12, 110), 0);
    feeder_acknowledge(&feeder, at(12, 110), at(10, 100), 0);
    cr_assert(eq(u64, feeder.tail.row_index, 15));
    cr_assert(eq(u64, feeder.decided.row_index, 12));
}

Test(feeder, forgets_an_earlier_session)
{
    struct feeder feeder;
    feeder_at(&feeder, at(10, 100));
    feeder_sent(&feeder, at(12, 110), 7, 7, 0);
    feeder.closed_timestamp = 110;
    feeder_start(&feeder, at(11, 105), at(10, 100));
    cr_assert(eq(u64, feeder.sent.row_index, 11));
    cr_assert(eq(u64, feeder.in_flight_size, 0));
    cr_assert(eq(u64, feeder.closed_timestamp, 0));
    cr_assert(not(feeder_knows(&feeder, at(12, 110))));
}

Test(feeder, pays_back_what_a_batch_overdrew)
{
    struct feeder feeder;
    const struct throttler_config config = {.limit = 100, .period_us = 1000000};
    assert_ok(feeder_init(&feeder, &config, 0));
    feeder_start(&feeder, at(0, 0), at(0, 0));
    cr_assert(eq(u64, feeder_ready_at_us(&feeder, 0), 0));
    feeder_sent(&feeder, at(1, 1), 600, 600, 0); // 100 were saved up: 5 s of debt.
    uint64_t ready_at_us = feeder_ready_at_us(&feeder, 0);
    cr_assert(le(u64, 5000000, ready_at_us));
    cr_assert(le(u64, ready_at_us, 5100000));
    cr_assert(eq(u64, feeder_ready_at_us(&feeder, 6000000), 6000000));
}

Test(feeder, is_not_throttled_where_commits_wait_for_it)
{
    struct feeder feeder;
    const struct throttler_config config = {.limit = 100, .period_us = 1000000};
    assert_ok(feeder_init(&feeder, &config, 0));
    feeder_start(&feeder, at(0, 0), at(0, 0));
    feeder.is_throttled = false;
    feeder_sent(&feeder, at(1, 1), 100000, 100000, 0);
    cr_assert(eq(u64, feeder_ready_at_us(&feeder, 0), 0));
}

Test(feeder, refuses_a_throttler_out_of_bounds)
{
    struct feeder feeder;
    const struct throttler_config config = {
        .limit = THROTTLER_LIMIT_MAX + 1,
        .period_us = 1000000,
    };
    CLEANUP(error_freep) struct error *error = feeder_init(&feeder, &config, 0);
    cr_assert(ne(ptr, error, NULL));
}

Test(feeder, times_what_it_sends)
{
    struct feeder feeder;
    feeder_at(&feeder, at(10, 100));
    const struct feeder_counters *counters = &feeder.counters;
    feeder_sent(&feeder, at(12, 110), 1, 30, 1000);
    feeder_sent(&feeder, at(15, 120), 1, 40, 2000);
    feeder_acknowledge(&feeder, at(11, 105), at(10, 100), 2500); // Not a whole batch.
    cr_assert(eq(u64, counters->kept_count, 0));
    feeder_acknowledge(&feeder, at(15, 120), at(10, 100), 5000);
    cr_assert(eq(u64, counters->weight, 70));
    cr_assert(eq(u64, counters->kept_count, 2));
    cr_assert(eq(u64, counters->keep_us, 4000 + 3000));
    feeder_acknowledge(&feeder, at(15, 120), at(12, 110), 6000);
    cr_assert(eq(u64, counters->decided_count, 0)); // Not up to the end.
    feeder_acknowledge(&feeder, at(15, 120), at(15, 120), 9000);
    cr_assert(eq(u64, counters->decided_count, 1));
    cr_assert(eq(u64, counters->decide_us, 4000));
    // What is decided as it is kept takes no time.
    feeder_sent(&feeder, at(16, 130), 1, 5, 10000);
    feeder_acknowledge(&feeder, at(16, 130), at(16, 130), 11000);
    cr_assert(eq(u64, counters->keep_us, 8000));
    cr_assert(eq(u64, counters->decided_count, 2));
    cr_assert(eq(u64, counters->decide_us, 4000));
    // Of what a new session finds kept nobody knows since when.
    feeder_sent(&feeder, at(17, 140), 1, 5, 12000);
    feeder_sent(&feeder, at(18, 150), 1, 6, 12000);
    feeder_start(&feeder, at(17, 140), at(17, 140));
    cr_assert(eq(u64, counters->weight, 80));
    cr_assert(eq(u64, counters->kept_count, 3));
    cr_assert(eq(u64, counters->keep_us, 8000));
}

// Sends and acknowledges at random: what is in flight is what was sent and not acknowledged.
Test(feeder, counts_what_is_in_flight)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct rng rng = {.state = seed};
        struct feeder feeder;
        feeder_at(&feeder, at(0, 0));
        uint64_t sizes[1024] = {0}; // Of the batch that ends at this row index.
        uint64_t sent = 0;
        uint64_t acknowledged = 0;
        for (int i = 0; i < 2000 && sent < 1000; i++) {
            if (rng_chance(&rng, 60) && feeder_has_room(&feeder, 2000)) {
                sent += 1 + rng_below(&rng, 4);
                sizes[sent] = 1 + rng_below(&rng, 300);
                feeder_sent(&feeder, at(sent, 2 * sent), sizes[sent], sizes[sent], 0);
            } else if (sent > acknowledged) {
                acknowledged += 1 + rng_below(&rng, sent - acknowledged);
                bool is_end = sizes[acknowledged] > 0;
                bool is_known = feeder_knows(&feeder, at(acknowledged, 2 * acknowledged));
                cr_assert(eq(int, is_known, is_end), "seed %" PRIu64, seed);
                feeder_acknowledge(
                    &feeder,
                    at(acknowledged, 2 * acknowledged),
                    at(feeder.decided.row_index, 0),
                    0);
            }
            uint64_t size = 0;
            for (uint64_t j = acknowledged + 1; j <= sent; j++) size += sizes[j];
            cr_assert(eq(u64, feeder.in_flight_size, size), "seed %" PRIu64 ", step %d", seed, i);
        }
    }
}
