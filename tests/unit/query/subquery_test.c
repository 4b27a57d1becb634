#include "tests/test.h"
#include "tests/unit/query/world.h"

TestSuite(query_subquery, .fini = abort_on_leaks);

static struct world new_world(void)
{
    struct world world = world_of(
        "[{name=k;type=int64;sort_order=ascending};{name=g;type=string};{name=v;type=int64}]",
        "{k=1;g=a;v=10};{k=2;g=b;v=20};{k=3;g=a;v=30};{k=4;g=c};{k=5;g=b;v=50};{k=6;v=60}");
    world_add(
        &world,
        "//u",
        "[{name=g;type=string;sort_order=ascending};{name=name;type=string}]",
        "{g=a;name=Anna};{g=b;name=Bert}");
    return world;
}

Test(query_subquery, is_a_table_to_the_outer_query)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_get(&world, "b as c from (select k as b from [//t])"), "1 2 3 4 5 6");
    assert_text(
        world_get(&world, "* from (k, v * 2 as w from [//t] where v > 20)"), "3,60 5,100 6,120");
    assert_text(
        world_get(&world, "q.g, q.s from (g, sum(v) as s from [//t] group by g) as q where s > 50"),
        "b,70 #,60");
    assert_text(
        world_get(
            &world,
            "max(s) as m, count(*) as c from (g, sum(v) as s from [//t] group by g) group by 1"),
        "70,4");
    assert_text(
        world_get(&world, "k from (k from [//t] order by k desc limit 3) order by k limit 2"),
        "4 5");
    assert_text(world_get(&world, "x from (null as x from [//t] limit 2)"), "# #");
    assert_text(
        world_get(&world, "x + 1 as y from (k as x from (k from [//t] where k > 4))"), "6 7");
}

Test(query_subquery, is_joined_and_reads_what_it_needs)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(
            &world,
            "s.k, u.name from (k, g from [//t] where k between 2 and 4) as s "
            "left join [//u] as u on s.g = u.g"),
        "2,Bert 3,Anna 4,#");
    cr_assert(eq(u64, world.statistics.rows_read, 5));
    assert_text(world_get(&world, "k from (k from [//t]) limit 2"), "1 2");
    cr_assert(world.statistics.rows_read <= 6);
    world.bind_options.forbids_full_scan = true;
    assert_text(world_get(&world, "x from (k as x from [//t] where k = 3)"), "3");
    assert_text(
        world_fail(&world, "x from (k as x from [//t]) where x = 3"),
        "Full scan of table //t is forbidden: restrict its key columns in WHERE, or set "
        "\"allow_full_scan\"");
}

Test(query_subquery, goes_on_step_by_step_within_its_limits)
{
    CLEANUP(world_release) struct world world = new_world();
    world.row_budget = 1;
    assert_text(
        world_get(
            &world, "g, n from (g, count(*) as n from [//t] group by g) order by n, g limit 9"),
        "#,1 c,1 a,2 b,2");
    cr_assert(world.step_count > 10);
    world.limits.input_row_count_max = 3;
    assert_text(world_get(&world, "x from (k as x from [//t])"), "1 2 3");
    cr_assert(world.statistics.is_input_incomplete);
    world.limits.memory_size_max = 1;
    assert_text(
        world_fail(&world, "x from (k as x from [//t])"),
        "Query memory limit exceeded by rows of a subquery");
}

Test(query_subquery, hides_what_is_inside)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_fail(&world, "v from (k from [//t])"), "Undefined reference \"v\"");
    assert_text(world_get(&world, "a + 1 as b from (k as a, v as b from [//t] where a = 1)"), "2");
    assert_text(
        world_fail(&world, "k from [//t] join (g from [//u]) as u on g = u.g"),
        "A subquery in JOIN is not supported (at offset 18)");
    assert_text(
        world_fail(&world, "k from (k from (k from (k from (k from (k from [//t])))))"),
        "Subqueries are nested too deeply");
    assert_text(
        world_fail(&world, "k from (k from [//t]"),
        "Error while parsing query: unexpected end of query");
    assert_text(
        world_fail(&world, "k from (k, k + 1 as k from [//t])"),
        "Column \"k\" is twice in the output");
}
