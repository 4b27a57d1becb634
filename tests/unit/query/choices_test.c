#include "tests/test.h"
#include "tests/unit/query/world.h"

TestSuite(query_choices, .fini = abort_on_leaks);

static struct world new_world(void)
{
    return world_of(
        "[{name=k;type=int64;sort_order=ascending};{name=u;type=uint64};{name=b;type=boolean};"
        "{name=s;type=string};{name=n;type=int64}]",
        "{k=7;u=5u;b=%true;s=abc}");
}

Test(query_choices, case_takes_the_first_condition_that_is_true)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_value(&world, "case when k < 5 then 'a' when k < 9 then 'b' else 'c' end"), "b");
    assert_text(world_value(&world, "case when k > 9 then 'a' else s end"), "abc");
    assert_text(world_value(&world, "case when k > 9 then 'a' end"), "#");
    // Where if gives null.
    assert_text(world_value(&world, "case when null then 1 when n + 1 = 2 then 3 else 2 end"), "2");
    assert_text(world_value(&world, "case when b then 1 else 1 / 0 end"), "1");
    assert_text(world_value(&world, "case b when true then 2 end + 1"), "3");
}

Test(query_choices, case_compares_an_operand)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "case k when 1 then 'a' when 3 + 4 then 'b' end"), "b");
    assert_text(world_value(&world, "case n when 1 then 'a' when null then 'none' end"), "none");
    assert_text(world_value(&world, "case u when 5 then 1 else 2 end + u"), "6u");
    assert_text(
        world_fail_value(&world, "case s when 1 then 2 end"),
        "Type mismatch in expression \"case s when 1 then 2 end\": string and int64");
    assert_text(
        world_fail_value(&world, "case when b then 1 else 's' end"),
        "Type mismatch in expression \"case when b then 1 else 's' end\": int64 and string");
}

Test(query_choices, its_words_are_names_elsewhere)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(&world, "k as end, u as [then], s as totals from [//t] order by end limit 1"),
        "7,5u,abc");
}

Test(query_choices, coalesce_takes_the_first_that_is_not_null)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "coalesce(n, null, k, 1)"), "7");
    assert_text(world_value(&world, "coalesce(n, null)"), "#");
    assert_text(world_value(&world, "coalesce(null, u)"), "5u");
    assert_text(world_value(&world, "if_null(n, 4)"), "4");
    assert_text(
        world_fail_value(&world, "if_null(n)"),
        "Wrong number of arguments to function \"if_null\": expected 2, got 1");
}

Test(query_choices, transform_looks_a_value_up)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "transform(k, (1, 7, 7), ('a', 'b', 'c'))"), "b");
    assert_text(world_value(&world, "transform(k, (1, 2), ('a', 'b'))"), "#");
    assert_text(world_value(&world, "transform(k, (1, 2), ('a', 'b'), s)"), "abc");
    assert_text(world_value(&world, "transform(u, (5), (2)) + 1"), "3");
    assert_text(world_value(&world, "transform(n, (null, 2), (1, 2))"), "1");
    assert_text(
        world_value(&world, "transform((k, s), ((1, 'a'), (7, 'abc')), (10, 20), 30)"), "20");
    assert_text(world_value(&world, "transform((k, s), ((7, 'abc')), (10))"), "10");
    assert_text(world_value(&world, "transform(k, (7), (null), 4)"), "#");
    assert_text(
        world_fail_value(&world, "transform(k, (1, 2), ('a'))"),
        "Size mismatch for source and result arrays in transform: 2 and 1");
    assert_text(
        world_fail_value(&world, "transform(k, (1, 2), ('a', 3))"),
        "Type mismatch in expression \"transform(k, (1, 2), ('a', 3))\": string and int64");
    assert_text(
        world_fail_value(&world, "transform(k, (1, u), (1, 2))"),
        "A list takes constants, and \"u\" is none");
}

Test(query_choices, between_takes_a_list_of_ranges)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "k between (1 and 2, 6 and 8)"), "true");
    assert_text(world_value(&world, "k between (1 and 2, 8 and 9)"), "false");
    assert_text(world_value(&world, "k not between (1 and 2) and b"), "true");
    assert_text(world_value(&world, "(k, u) between ((7, 1) and (7, 4), (7, 5) and (7))"), "true");
    assert_text(world_value(&world, "k between (1) and (9)"), "true");
    assert_text(
        world_fail_value(&world, "k between (1 and 2, 3)"),
        "BETWEEN takes ranges like \"1 AND 2\", and \"3\" is none");
}

Test(query_choices, concatenates_by_an_operator)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "s || 'd' || 'e' = 'abcde'"), "true");
    assert_text(world_value(&world, "-inf < inf"), "true");
    assert_text(world_value(&world, "is_inf(inf)"), "true");
}
