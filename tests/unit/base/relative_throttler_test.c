#include "base/relative_throttler.h"

#include "tests/test.h"

TestSuite(relative_throttler, .fini = abort_on_leaks);

#define MS      UINT64_C(1000)
#define SECOND  UINT64_C(1000000)
#define SECONDS UINT64_C(1000) // Of log time, in ms.

static struct relative_throttler throttler_of(double ratio)
{
    const struct relative_throttler_config config = {
        .is_enabled = true,
        .ratio = ratio,
        .activation_threshold_ms = 60 * SECONDS,
        .window_ms = 30 * SECONDS,
    };
    struct relative_throttler throttler;
    assert_ok(relative_throttler_init(&throttler, &config, 0));
    return throttler;
}

// Replays a log with a record in each second, as fast as allowed; returns how long it takes.
static uint64_t replay(struct relative_throttler *throttler, uint64_t second_count)
{
    uint64_t now_us = 0;
    for (uint64_t i = 1; i <= second_count; i++) {
        now_us = relative_throttler_ready_at_us(throttler, now_us);
        relative_throttler_replayed(throttler, now_us, i * SECONDS, i * SECONDS);
    }
    return now_us;
}

Test(relative_throttler, catches_up_at_the_ratio_after_a_burst_of_one_window)
{
    static const double RATIOS[] = {0.01, 0.5, 1, 2, 10};
    for (int i = 0; i < 5; i++) {
        struct relative_throttler throttler = throttler_of(RATIOS[i]);
        uint64_t second_count = 3600 + (uint64_t)(30 * RATIOS[i]);
        double ratio = 3600 / ((double)replay(&throttler, second_count) / (double)SECOND);
        cr_assert(ratio > RATIOS[i] * 0.99 && ratio < RATIOS[i] * 1.01, "%g", ratio);
    }
}

Test(relative_throttler, does_not_hold_back_what_keeps_up)
{
    struct relative_throttler throttler = throttler_of(1);
    for (uint64_t i = 0; i < 1000; i++) {
        // The time of records is known in whole seconds.
        uint64_t now_us = 100 * SECOND + i * 170 * MS;
        cr_assert(eq(u64, relative_throttler_ready_at_us(&throttler, now_us), now_us));
        uint64_t log_ms = now_us / SECOND * SECONDS;
        relative_throttler_replayed(&throttler, now_us, log_ms, log_ms);
    }
}

Test(relative_throttler, jumps_over_gaps_in_the_log)
{
    struct relative_throttler throttler = throttler_of(2);
    relative_throttler_replayed(&throttler, 0, 100 * SECONDS, 100 * SECONDS);
    cr_assert(eq(u64, relative_throttler_span_ms(&throttler, 0), 60 * SECONDS));
    relative_throttler_replayed(&throttler, 0, 161 * SECONDS, 171 * SECONDS);
    cr_assert(eq(u64, relative_throttler_span_ms(&throttler, 0), 50 * SECONDS));
    relative_throttler_replayed(&throttler, 0, 231 * SECONDS, 231 * SECONDS); // No gap.
    cr_assert(eq(u64, relative_throttler_span_ms(&throttler, 0), 0));
    uint64_t ready_at_us = relative_throttler_ready_at_us(&throttler, 0);
    cr_assert(ready_at_us > 4 * SECOND && ready_at_us < 6 * SECOND); // 10 s of debt.
}

Test(relative_throttler, does_nothing_unless_it_is_enabled)
{
    struct relative_throttler throttler = throttler_of(1);
    throttler.config.is_enabled = false;
    cr_assert(eq(u64, replay(&throttler, 3600), 0));
    cr_assert(eq(u64, relative_throttler_span_ms(&throttler, 0), UINT64_MAX));
}

Test(relative_throttler, refuses_what_is_out_of_bounds)
{
    static const struct relative_throttler_config CONFIGS[] = {
        {.ratio = 0, .window_ms = 1},
        {.ratio = -1, .window_ms = 1},
        {.ratio = 1e7, .window_ms = 1},
        {.ratio = 1, .window_ms = 0},
        {.ratio = 1, .window_ms = 60001},
    };
    for (size_t i = 0; i < sizeof CONFIGS / sizeof *CONFIGS; i++) {
        struct relative_throttler throttler;
        CLEANUP(error_freep)
        struct error *error = relative_throttler_init(&throttler, &CONFIGS[i], 0);
        cr_assert(error_code(error) == ERROR_GENERIC, "case %zu", i);
    }
}
