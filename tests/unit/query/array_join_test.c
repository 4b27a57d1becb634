#include "tests/test.h"
#include "tests/unit/query/world.h"

TestSuite(query_array_join, .fini = abort_on_leaks);

static struct world new_world(void)
{
    struct world world = world_of(
        "[{name=k;type=int64;sort_order=ascending};{name=a;type=any};{name=b;type=any};"
        "{name=n;type=int64}]",
        "{k=1;a=[1;2;3];b=[x;y]};{k=2;a=[];b=[z]};{k=3;b=[]};{k=4;a=#;n=5};{k=5;a=[7;#;{c=8}];n="
        "6}");
    world_add(
        &world,
        "//u",
        "[{name=x;type=int64;sort_order=ascending};{name=name;type=string}]",
        "{x=1;name=one};{x=3;name=three};{x=7;name=seven}");
    return world;
}

Test(query_array_join, makes_a_row_of_each_item)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(&world, "k, x from [//t] array join a as x"), "1,1 1,2 1,3 5,7 5,# 5,{\"c\"=8;}");
    assert_text(
        world_get(&world, "k, x, y from [//t] array join a as x, b as y where k < 5"),
        "1,1,\"x\" 1,2,\"y\" 1,3,# 2,#,\"z\"");
    assert_text(
        world_get(&world, "k, x from [//t] left array join a as x where k < 5"),
        "1,1 1,2 1,3 2,# 3,# 4,#");
    assert_text(
        world_get(
            &world,
            "k, try_get_int64(x, '') as i from [//t] array join make_list(k, n) as x where k > 3"),
        "4,4 4,5 5,5 5,6");
    assert_text(
        world_get(
            &world, "k, sum(int64(x)) as s from [//t] array join a as x where k = 1 group by k"),
        "1,6");
}

Test(query_array_join, filters_items_by_its_condition)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(&world, "k, x from [//t] array join a as x and int64(x) > 1 where k = 1"),
        "1,2 1,3");
    assert_text(
        world_get(&world, "k, x from [//t] left array join a as x and int64(x) > 9 where k = 1"),
        "1,#");
}

Test(query_array_join, goes_with_other_joins)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(
            &world,
            "k, name from [//t] array join a as i join [//u] as u on int64(i) = u.x where k = 1"),
        "1,one 1,three");
    assert_text(
        world_get(
            &world,
            "k, y, z from [//t] join [//u] as u on k = u.x array join make_list(k, u.x) as y "
            "array join make_list(1, 2) as z where k = 3"),
        "3,3,1 3,3,2 3,3,1 3,3,2");
    world.row_budget = 1;
    assert_text(world_get(&world, "k, x from [//t] array join a as x limit 2"), "1,1 1,2");
}

Test(query_array_join, refuses_what_is_no_list)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_fail(&world, "k from [//t] array join n as x"),
        "ARRAY JOIN takes lists of type any, and \"n\" is int64");
    assert_text(
        world_fail(&world, "k from [//t] array join make_map('a', 1) as x"),
        "ARRAY JOIN takes lists, not a value of type map");
    assert_text(
        world_fail(&world, "k from [//t] array join a as n where n = 1"),
        "Ambiguous reference \"n\": several tables have such a column");
    assert_text(
        world_fail(&world, "k from [//t] array join a"),
        "Error while parsing query: unexpected end of query");
    world.limits.memory_size_max = 100;
    assert_text(
        world_fail(&world, "k, x from [//t] array join a as x"),
        "Query memory limit exceeded while joining tables");
}
