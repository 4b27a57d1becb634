#include "model/yson.h"
#include "tests/test.h"
#include "tests/unit/query/world.h"

TestSuite(query_placeholders, .fini = abort_on_leaks);

static struct world new_world(void)
{
    return world_of(
        "[{name=k;type=int64;sort_order=ascending};{name=u;type=uint64};{name=s;type=string};"
        "{name=b;type=boolean};{name=d;type=double}]",
        "{k=1;u=18446744073709551615u;s=a;b=%true;d=0.5};{k=2;u=2u;s=\"b'\\\"\\\\\";d=1.5};"
        "{k=-3;s=\"{x}\"}");
}

static void fill(struct world *world, const char *values)
{
    struct node *node;
    assert_ok(yson_parse(&world->arena, slice_from_text(values), &node));
    world->placeholders = node;
}

Test(query_placeholders, stand_for_values_of_every_type)
{
    CLEANUP(world_release) struct world world = new_world();
    fill(
        &world,
        "{i=1;m=-3;u=18446744073709551615u;s=\"b'\\\"\\\\\";b=%true;d=0.5;n=#;e=\"\";"
        "z=\"\\x00\\xff\"}");
    assert_text(world_get(&world, "s from [//t] where k = {i}"), "a");
    assert_text(world_get(&world, "k from [//t] where u = {u}"), "1");
    assert_text(world_get(&world, "k from [//t] where s = {s}"), "2");
    assert_text(world_get(&world, "k from [//t] where b = {b}"), "1");
    assert_text(world_get(&world, "k from [//t] where d > {d}"), "2");
    assert_text(world_get(&world, "k from [//t] where u = {n}"), "-3");
    assert_text(world_get(&world, "length({z}) + length({e}) as l from [//t] limit 1"), "2");
    // Two minus signs would begin a remark.
    assert_text(world_get(&world, "k -{m} as x from [//t] where k = 1"), "4");
    // Not inside of a string.
    assert_text(world_get(&world, "k from [//t] where s = '{x}'"), "-3");
}

Test(query_placeholders, stand_for_tuples_and_lists_of_them)
{
    CLEANUP(world_release) struct world world = new_world();
    fill(&world, "{pair=[1;a];numbers=[1;2;7];pairs=[[2;b];[1;a]];one=[2]}");
    assert_text(world_get(&world, "k from [//t] where (k, s) > {pair}"), "2");
    assert_text(world_get(&world, "k from [//t] where k in {numbers}"), "1 2");
    assert_text(world_get(&world, "k from [//t] where (k, s) in {pairs}"), "1");
    assert_text(world_get(&world, "k from [//t] where k in {one}"), "2");
    size_t range_count;
    const struct query_plan *plan = world_plan(&world, "k from [//t] where k in {numbers}");
    query_plan_ranges(plan, &range_count);
    cr_assert(eq(sz, range_count, 3));
}

Test(query_placeholders, are_refused_without_a_good_value)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_fail(&world, "k from [//t] where k = {i}"), "Placeholder \"i\" has no value");
    fill(&world, "{m={a=1};l=[];n=%nan;deep=[[[1]]];s=\"1 or true\"}");
    assert_text(
        world_fail(&world, "k from [//t] where k = {m}"), "Value of placeholder \"m\" is a map");
    assert_text(
        world_fail(&world, "k from [//t] where k in {l}"),
        "Value of placeholder \"l\" is an empty list");
    assert_text(
        world_fail(&world, "k from [//t] where d = {n}"),
        "Value of placeholder \"n\" is not a number");
    assert_text(
        world_fail(&world, "k from [//t] where k in {deep}"),
        "Value of placeholder \"deep\" is nested too deeply");
    // A value is a value, whatever it looks like.
    assert_text(world_get(&world, "k from [//t] where s = {s}"), "");
    assert_text(
        world_fail(&world, "k from [//t] where {}"),
        "Error while parsing query: unexpected \"{\" at offset 19");
}
