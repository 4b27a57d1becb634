#include "model/value.h"

#include "tests/test.h"
#include "tests/unit/model/random_value.h"

#include <inttypes.h>

TestSuite(value, .fini = abort_on_leaks);

Test(value, sorts_by_type_before_all_else)
{
    struct value values[] = {
        value_null(0),
        value_int64(0, INT64_MIN),
        value_int64(0, INT64_MAX),
        value_uint64(0, 0),
        value_uint64(0, UINT64_MAX),
        value_double(0, -INFINITY),
        value_double(0, INFINITY),
        value_double(0, NAN),
        value_boolean(0, false),
        value_boolean(0, true),
        value_string(0, SLICE_OF("")),
        value_string(0, SLICE_OF("a")),
        value_string(0, SLICE_OF("a\0")),
        value_string(0, SLICE_OF("\xff")),
    };
    int count = sizeof values / sizeof *values;
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            int order = value_compare(&values[i], &values[j]);
            cr_assert(eq(int, (order > 0) - (order < 0), (i > j) - (i < j)));
        }
    }
}

Test(value, is_ordered_totally)
{
    for (uint64_t seed = 0; seed < 20000; seed++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        struct rng rng = {.state = seed};
        struct value a = random_value(&arena, &rng, 0);
        struct value b = random_value(&arena, &rng, 1);
        struct value c = random_value(&arena, &rng, 2);
        int a_b = value_compare(&a, &b);
        int b_c = value_compare(&b, &c);
        cr_assert(eq(int, value_compare(&a, &a), 0));
        cr_assert(eq(int, value_compare(&b, &a) > 0, a_b < 0), "seed %" PRIu64, seed);
        if (a_b <= 0 && b_c <= 0) cr_assert(value_compare(&a, &c) <= 0, "seed %" PRIu64, seed);
    }
}

Test(value, has_the_data_weight_of_ytsaurus)
{
    struct value values[] = {
        value_null(0),
        value_int64(0, 1),
        value_uint64(0, 1),
        value_double(0, 1),
        value_boolean(0, true),
        value_string(0, SLICE_OF("abc")),
    };
    static const uint64_t WEIGHTS[] = {0, 8, 8, 8, 1, 3};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        cr_assert(eq(u64, value_data_weight(&values[i]), WEIGHTS[i]));
    }
}
