#include "bench/histogram.h"

#include "base/rng.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

Test(histogram, has_no_quantiles_when_it_is_empty)
{
    struct histogram histogram = {0};
    cr_assert_eq(histogram_quantile_us(&histogram, 0.5), 0);
}

Test(histogram, is_exact_for_small_values)
{
    struct histogram histogram = {0};
    for (uint64_t i = 1; i <= 100; i++) histogram_add(&histogram, i);
    cr_assert_eq(histogram_quantile_us(&histogram, 0.5), 50);
    cr_assert_eq(histogram_quantile_us(&histogram, 0.99), 99);
    cr_assert_eq(histogram_quantile_us(&histogram, 1), 100);
}

Test(histogram, is_off_by_less_than_a_hundredth_for_all_values)
{
    enum { COUNT = 10000 };
    static uint64_t values[COUNT];
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct rng rng = {.state = seed};
        struct histogram histogram = {0};
        for (int i = 0; i < COUNT; i++) {
            values[i] = rng_next(&rng) >> (27 + rng_below(&rng, 37));
            histogram_add(&histogram, values[i]);
        }
        qsort(values, COUNT, sizeof *values, compare);
        for (int i = 0; i < COUNT; i += 100) {
            double found = histogram_quantile_us(&histogram, (i + 1) / (double)COUNT);
            double wanted = (double)values[i];
            cr_assert_geq(found, wanted * 0.992 - 0.5, "seed %lu, rank %d", seed, i);
            cr_assert_leq(found, wanted * 1.008 + 0.5, "seed %lu, rank %d", seed, i);
        }
    }
}

Test(histogram, takes_values_beyond_its_buckets)
{
    struct histogram histogram = {0};
    histogram_add(&histogram, UINT64_MAX);
    cr_assert_eq(histogram.count, 1);
    cr_assert_eq(histogram.max_us, UINT64_MAX);
    cr_assert_gt(histogram_quantile_us(&histogram, 0.5), 1e11);
}

Test(histogram, merges_as_if_all_had_been_added_to_one)
{
    struct histogram one = {0};
    struct histogram other = {0};
    for (uint64_t i = 0; i < 1000; i++) histogram_add(i % 3 ? &one : &other, i * i);
    histogram_merge(&one, &other);
    cr_assert_eq(one.count, 1000);
    cr_assert_eq(one.max_us, 998001);
    double middle = histogram_quantile_us(&one, 0.5);
    cr_assert_lt(middle > 249001 ? middle - 249001 : 249001 - middle, 2500);
}
