// Which lookups are run at once and which leave the loop: by what those before them took.
#include "cluster/lookup_cost.h"
#include "tests/test.h"

TestSuite(lookup_cost, .fini = abort_on_leaks);

// So many lookups of a hundred keys, each key as slow as said.
static void learn(struct lookup_cost *cost, int times, uint64_t key_us)
{
    for (int i = 0; i < times; i++) lookup_cost_learn(cost, 100, 100 * key_us);
}

Test(lookup_cost, is_unknown_at_first_and_keeps_everything_here)
{
    struct lookup_cost cost = {0};
    cr_assert(not(lookup_cost_is_long(&cost, 1)));
    cr_assert(not(lookup_cost_is_long(&cost, UINT64_MAX)));
    lookup_cost_learn(&cost, 0, 1000000); // Of no keys: it says nothing.
    cr_assert(not(lookup_cost_is_long(&cost, UINT64_MAX)));
}

Test(lookup_cost, sends_away_what_takes_longer_than_the_limit)
{
    struct lookup_cost cost = {0};
    learn(&cost, 200, 4); // Rows in memory: a hundred keys are the limit.
    cr_assert(not(lookup_cost_is_long(&cost, 0)));
    cr_assert(not(lookup_cost_is_long(&cost, 99)));
    cr_assert(lookup_cost_is_long(&cost, 102));
    cr_assert(lookup_cost_is_long(&cost, UINT64_MAX));
    learn(&cost, 200, 2 * READER_AWAY_US); // Rows on disk: not even one.
    cr_assert(lookup_cost_is_long(&cost, 1));
    cr_assert(not(lookup_cost_is_long(&cost, 0)));
}

Test(lookup_cost, follows_what_is_measured_soon_and_in_both_directions)
{
    struct lookup_cost cost = {0};
    learn(&cost, 200, 2);
    for (int slow = 0; slow < 2; slow++) {
        int count = 0;
        for (; lookup_cost_is_long(&cost, 10) != (slow == 0); count++) {
            cr_assert(lt(int, count, 100));
            learn(&cost, 1, slow == 0 ? 100 : 2);
        }
        cr_assert(gt(int, count, 1), "one measurement decides nothing");
        cr_assert(lt(int, count, 20), "the cost of now is known after %d", count);
    }
}

Test(lookup_cost, gets_over_one_that_was_held_up)
{
    struct lookup_cost cost = {0};
    learn(&cost, 200, 2);
    lookup_cost_learn(&cost, 1, 100000); // The core was another process's for 100 ms.
    cr_assert(lookup_cost_is_long(&cost, 1));
    learn(&cost, 80, 2);
    cr_assert(not(lookup_cost_is_long(&cost, 100)));
}

Test(lookup_cost, bears_any_measurement)
{
    struct lookup_cost cost = {0};
    for (int i = 0; i < 1000; i++) lookup_cost_learn(&cost, 1, UINT64_MAX);
    cr_assert(lookup_cost_is_long(&cost, 1));
    uint64_t slowest = cost.key_ns;
    lookup_cost_learn(&cost, 1, UINT64_MAX);
    cr_assert(ge(u64, cost.key_ns, slowest));
    lookup_cost_learn(&cost, UINT64_MAX, UINT64_MAX);
    cr_assert(lt(u64, cost.key_ns, slowest));
}
