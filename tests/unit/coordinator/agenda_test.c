#include "coordinator/core/agenda.h"

#include "base/rng.h"
#include "tests/test.h"

TestSuite(agenda, .fini = abort_on_leaks);

enum { ITEM_COUNT = 200, STEP_COUNT = 20000, TIME_MAX = 1000 };

Test(agenda, what_is_stirred_is_taken_once)
{
    struct agenda agenda = {0};
    struct agenda_item items[2] = {0};
    cr_assert_null(agenda_take(&agenda));
    cr_assert_eq(agenda_wake_at_us(&agenda), UINT64_MAX);
    agenda_stir(&agenda, &items[0]);
    agenda_stir(&agenda, &items[0]);
    cr_assert_eq(agenda_wake_at_us(&agenda), 0);
    cr_assert_eq(agenda_take(&agenda), &items[0]);
    cr_assert_null(agenda_take(&agenda));
    agenda_release(&agenda);
}

Test(agenda, the_last_time_that_was_said_counts)
{
    struct agenda agenda = {0};
    struct agenda_item item = {0};
    agenda_schedule(&agenda, &item, 10);
    agenda_schedule(&agenda, &item, 30);
    cr_assert_eq(agenda_wake_at_us(&agenda), 30);
    agenda_tick(&agenda, 29);
    cr_assert_null(agenda_take(&agenda));
    agenda_tick(&agenda, 30);
    cr_assert_eq(agenda_take(&agenda), &item);
    agenda_schedule(&agenda, &item, 40);
    agenda_schedule(&agenda, &item, UINT64_MAX);
    cr_assert_eq(agenda_wake_at_us(&agenda), UINT64_MAX);
    agenda_release(&agenda);
}

static uint64_t earliest(const struct agenda_item *items, const uint64_t *times)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < ITEM_COUNT; i++) {
        if (items[i].ready_place != 0) return 0;
        least = MIN(least, times[i]);
    }
    return least;
}

// Against an array that is searched as a whole.
Test(agenda, any_order_of_calls)
{
    struct agenda agenda = {0};
    struct agenda_item items[ITEM_COUNT] = {0};
    uint64_t times[ITEM_COUNT];
    bool is_ready[ITEM_COUNT] = {0};
    for (size_t i = 0; i < ITEM_COUNT; i++) times[i] = UINT64_MAX;
    struct rng rng = {.state = 7};
    for (int step = 0; step < STEP_COUNT; step++) {
        size_t i = rng_below(&rng, ITEM_COUNT);
        uint64_t time = rng_below(&rng, TIME_MAX);
        switch (rng_below(&rng, 8)) {
        case 0:
            agenda_stir(&agenda, &items[i]);
            is_ready[i] = true;
            break;
        case 1:
            agenda_remove(&agenda, &items[i]);
            is_ready[i] = false;
            times[i] = UINT64_MAX;
            break;
        case 2:
            agenda_tick(&agenda, time / 4);
            for (size_t j = 0; j < ITEM_COUNT; j++) {
                if (times[j] > time / 4) continue;
                is_ready[j] = true;
                times[j] = UINT64_MAX;
            }
            break;
        case 3:
            for (;;) {
                const struct agenda_item *item = agenda_take(&agenda);
                if (!item) break;
                cr_assert(is_ready[item - items]);
                is_ready[item - items] = false;
            }
            for (size_t j = 0; j < ITEM_COUNT; j++) cr_assert_not(is_ready[j]);
            break;
        case 4: time = UINT64_MAX; // Fall through.
        default:
            agenda_schedule(&agenda, &items[i], time);
            times[i] = time;
            break;
        }
        cr_assert_eq(agenda_wake_at_us(&agenda), earliest(items, times));
    }
    agenda_release(&agenda);
}
