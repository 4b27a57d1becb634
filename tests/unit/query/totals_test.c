// Aggregates beyond sums and counts, and rows of totals.
#include "tests/test.h"
#include "tests/unit/query/world.h"

#include "base/rng.h"
#include "cluster/query/cardinality.h"

#include <inttypes.h>
#include <math.h>

TestSuite(query_totals, .fini = abort_on_leaks);

static struct world new_world(void)
{
    return world_of(
        "[{name=k;type=int64;sort_order=ascending};{name=g;type=string};{name=v;type=int64};"
        "{name=d;type=double};{name=s;type=string}]",
        "{k=1;g=a;v=10;d=1.5;s=x};{k=2;g=b;v=20;s=y};{k=3;g=a;v=30;d=0.5;s=z};{k=4;g=c;s=x};"
        "{k=5;g=b;v=50;d=-1.0};{k=6;g=a;v=10;d=2.5;s=w}");
}

Test(query_totals, finds_what_goes_with_an_extreme)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(&world, "g, argmin(s, v), argmax(s, v), argmax(k, d) from [//t] group by g"),
        "a,x,z,6 b,y,#,5 c,#,#,#");
    assert_text(
        world_fail(&world, "argmin(s) from [//t] group by g"),
        "Wrong number of arguments to function \"argmin\": expected 2, got 1");
    assert_text(
        world_get(&world, "argmax(s, v) as x, argmax(k, v) as y from [//t] group by 1"), "#,5");
}

Test(query_totals, counts_different_values)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(&world, "g, cardinality(v), cardinality(s) from [//t] group by g"),
        "a,2u,3u b,2u,1u c,0u,1u");
    assert_text(world_get(&world, "cardinality(k % 2 = 0) from [//t] group by 1"), "2u");
}

Test(query_totals, makes_lists_of_values)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(
            &world,
            "g, array_agg(v, true) as v, array_agg(d, false) as d, array_agg(s, true) as s "
            "from [//t] group by g with totals"),
        "a,[10;30;10;],[1.5;0.5;2.5;],[\"x\";\"z\";\"w\";] b,[20;50;],[#;-1.;],[\"y\";] "
        "c,[],[#;],[\"x\";] "
        "#,[10;30;10;20;50;],[1.5;0.5;2.5;#;-1.;#;],[\"x\";\"z\";\"w\";\"y\";\"x\";]");
    assert_text(
        world_get(
            &world, "yson_length(array_agg(make_list(k, s), true)) as n from [//t] group by 1"),
        "6");
    assert_text(
        world_fail(&world, "array_agg(v, k > 1) from [//t] group by g"),
        "Wrong type for argument 2 to function \"array_agg\": expected true or false, got boolean");
}

Test(query_totals, come_after_the_groups_with_keys_that_are_null)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(
            &world,
            "g, sum(v), count(*), avg(v), min(s), first(s), argmax(g, v), cardinality(s), max(d) "
            "from [//t] group by g with totals"),
        "a,50,3,16.6667,w,x,a,3u,2.5 b,70,2,35,y,y,b,1u,-1 c,#,1,#,x,x,#,1u,# "
        "#,120,6,24,w,x,b,4u,2.5");
    assert_text(
        world_get(&world, "g, sum(v) + 1 as x from [//t] group by g with totals order by x desc"),
        "b,71 a,51 c,# #,121");
    assert_text(
        world_get(&world, "sum(v) as x from [//t] where k > 100 group by g with totals"), "");
}

Test(query_totals, are_of_groups_before_or_after_having)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(&world, "g, sum(v) as x from [//t] group by g with totals having x > 50"),
        "b,70 #,120");
    assert_text(
        world_get(&world, "g, sum(v) as x from [//t] group by g having x > 50 with totals"),
        "b,70 #,70");
    assert_text(
        world_get(&world, "g, sum(v) as x from [//t] group by g having x > 500 with totals"), "");
}

Test(query_totals, are_not_counted_by_limit_and_offset)
{
    CLEANUP(world_release) struct world world = new_world();
    // Without order, limit is a limit of groups.
    assert_text(
        world_get(&world, "g, sum(v) as x from [//t] group by g with totals limit 1"), "a,50 #,50");
    assert_text(
        world_get(
            &world, "g, sum(v) as x from [//t] group by g with totals order by x offset 1 limit 1"),
        "a,50 #,120");
}

Test(query_totals, forbid_groups_that_look_like_them)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_fail(&world, "sum(v) from [//t] group by d with totals"),
        "Null values are forbidden in group key of a query WITH TOTALS");
    assert_text(
        world_get(&world, "d, v, sum(k) from [//t] where k in (4, 2) group by d, v, g with totals"),
        "#,20,2 #,#,4 #,#,6");
}

static uint64_t hash_of(uint64_t number)
{
    struct rng rng = {.state = number};
    return rng_next(&rng);
}

Test(query_totals, counts_few_values_exactly_and_many_within_three_percent)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct cardinality all = {0};
    struct cardinality odd = {0};
    struct cardinality merged = {0};
    uint64_t next_check = 1;
    for (uint64_t i = 1; i <= 1000000; i++) {
        cardinality_add(&all, &arena, hash_of(i));
        cardinality_add(&all, &arena, hash_of(i / 2 + 1));
        cardinality_add(i % 2 == 1 ? &odd : &merged, &arena, hash_of(i));
        if (i != next_check) continue;
        uint64_t count = cardinality_count(&all);
        double wrong = fabs((double)count - (double)i) / (double)i;
        bool is_good = i <= CARDINALITY_EXACT_MAX ? count == i : wrong < 0.03;
        cr_assert(is_good, "%" PRIu64 " counted as %" PRIu64, i, count);
        next_check += next_check / 3 + 1;
    }
    cardinality_merge(&merged, &arena, &odd);
    cr_assert(eq(u64, cardinality_count(&merged), cardinality_count(&all)));

    struct cardinality few = {0};
    for (uint64_t i = 0; i < 100; i++) cardinality_add(&few, &arena, i);
    cr_assert(eq(u64, cardinality_count(&few), 99)); // 0 stands for 1.
    cardinality_merge(&few, &arena, &merged);
    cr_assert(few.registers != NULL);
    cr_assert(arena.size < 1 << 20);
}
