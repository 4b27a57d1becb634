#include "tests/test.h"
#include "tests/unit/query/world.h"

TestSuite(query_execute, .fini = abort_on_leaks);

static struct world new_world(void)
{
    return world_of(
        "[{name=k;type=int64;sort_order=ascending};{name=g;type=string};{name=v;type=int64}]",
        "{k=1;g=a;v=10};{k=2;g=b;v=20};{k=3;g=a;v=30};{k=4;g=c};{k=5;g=b;v=50};{k=6;v=60}");
}

Test(query_execute, selects_everything_in_the_order_of_the_key)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_get(&world, "* from [//t]"), "1,a,10 2,b,20 3,a,30 4,c,# 5,b,50 6,#,60");
    assert_text(world_get(&world, "select * from [//t] limit 1"), "1,a,10");
    cr_assert(eq(u64, world.statistics.rows_read, 1));
    cr_assert(eq(u64, world.statistics.rows_written, 1));
}

Test(query_execute, reads_only_the_columns_it_needs)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_get(&world, "v from [//t] where k = 3"), "30");
    cr_assert(world.tables[0].columns[0]);
    cr_assert(not(world.tables[0].columns[1]));
    cr_assert(world.tables[0].columns[2]);
    cr_assert(eq(u64, world.statistics.data_weight_read, 16));
}

Test(query_execute, names_columns_after_aliases_and_expressions)
{
    CLEANUP(world_release) struct world world = new_world();
    struct query_output output = query_plan_output(world_plan(
        &world,
        "k, k + 1 as next, v*2 + [k], t.g, sum(1)+count(*) from [//t] as t group by k, v, g"));
    cr_assert(eq(u16, output.count, 5));
    cr_assert(slice_equal_text(output.names[0], "k"));
    cr_assert(slice_equal_text(output.names[1], "next"));
    cr_assert(slice_equal_text(output.names[2], "(v * 2) + k"));
    cr_assert(slice_equal_text(output.names[3], "t.g"));
    cr_assert(slice_equal_text(output.names[4], "sum(1) + count(*)"));
    cr_assert(eq(int, output.types[3], VALUE_STRING));
    assert_text(world_fail(&world, "k, v as k from [//t]"), "Column \"k\" is twice in the output");
}

Test(query_execute, filters_by_what_is_true_not_by_what_is_null)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_get(&world, "k from [//t] where v > 20"), "3 5 6");
    assert_text(world_get(&world, "k from [//t] where v + 1 = v + 1 and null"), "");
    assert_text(world_get(&world, "k from [//t] where v is null or g is null"), "4 6");
    assert_text(world_get(&world, "k from [//t] where false"), "");
    cr_assert(eq(u64, world.statistics.rows_read, 0));
    assert_text(
        world_fail(&world, "k from [//t] where v"), "WHERE must be boolean, and \"v\" is int64");
}

Test(query_execute, sees_aliases_everywhere)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_get(&world, "v / 10 as x from [//t] where x > 2"), "3 5 6");
    assert_text(world_get(&world, "x from [//t] where (v / 10 as x) > 2"), "3 5 6");
    assert_text(world_get(&world, "((1 as x) + x) as y from [//t] limit 1"), "2");
    // Over a column of the same name, but in its own definition.
    assert_text(world_get(&world, "v / 10 as v, v as w from [//t] limit 2"), "1,1 2,2");
    assert_text(
        world_get(&world, "k % 2 as p, sum(v) as s from [//t] group by p order by s"), "0,80 1,90");
    assert_text(world_fail(&world, "k as x, v as x from [//t]"), "Redefinition of alias \"x\"");
    assert_text(world_fail(&world, "x + 1 as x from [//t]"), "Undefined reference \"x\"");
    assert_text(world_fail(&world, "y as x, x as y from [//t]"), "Undefined reference \"x\"");
}

Test(query_execute, groups_in_the_order_of_first_rows)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(&world, "g, sum(v), count(*), count(v) from [//t] group by g"),
        "a,40,2,2 b,70,2,2 c,#,1,0 #,60,1,1");
    assert_text(world_get(&world, "sum(1) from [//t] group by 1"), "6");
    assert_text(world_get(&world, "sum(1) from [//t] where k > 100 group by 1"), "");
    assert_text(
        world_get(&world, "k % 2 as p, min(v), max(g) from [//t] group by p"), "1,10,b 0,20,c");
    assert_text(world_get(&world, "avg(v), first(g), min(g) from [//t] group by null"), "34,a,a");
    assert_text(
        world_get(&world, "k % 2 + 1, sum(v) * 2 from [//t] group by k % 2"), "2,180 1,160");
    assert_text(world_get(&world, "g from [//t] group by g limit 2"), "a b");
    cr_assert(eq(u64, world.statistics.rows_read, 2));
    assert_text(world_get(&world, "g, sum(v) from [//t] group by g limit 2"), "a,40 b,70");
    assert_text(world_get(&world, "g, sum(v) from [//t] group by g offset 1 limit 1"), "b,70");
}

Test(query_execute, filters_groups)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_get(&world, "g from [//t] group by g having count(*) > 1 and g != 'b'"), "a");
    assert_text(
        world_get(&world, "g, s from [//t] group by g having (sum(v) as s) > 50"), "b,70 #,60");
    assert_text(world_get(&world, "g from [//t] group by g having sum(v) > 50 limit 1"), "b");
    assert_text(world_fail(&world, "g from [//t] having g = 'a'"), "HAVING needs GROUP BY");
}

Test(query_execute, refuses_columns_and_aggregates_out_of_place)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_fail(&world, "v from [//t] group by g"),
        "Column \"v\" in \"v\" is neither a key of GROUP BY nor inside of an aggregate function");
    assert_text(
        world_fail(&world, "sum(v) from [//t]"),
        "Misuse of aggregate function \"sum\": the query has no GROUP BY");
    assert_text(
        world_fail(&world, "g from [//t] where sum(v) > 1 group by g"),
        "Misuse of aggregate function \"sum\": it is inside of WHERE");
    assert_text(
        world_fail(&world, "sum(max(v)) from [//t] group by g"),
        "Misuse of aggregate function \"max\": it is inside of another one");
    assert_text(
        world_fail(&world, "* from [//t] group by g"), "\"*\" cannot be used with GROUP BY");
    assert_text(
        world_fail(&world, "sum(g) from [//t] group by k"),
        "Wrong type for argument 1 to function \"sum\": expected int64 or uint64 or double, got "
        "string");
    assert_text(
        world_fail(&world, "max(*) from [//t] group by k"), "Only count takes \"*\", not \"max\"");
}

Test(query_execute, orders_by_several_keys_and_keeps_what_is_equal_in_place)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_get(&world, "k from [//t] order by g, v desc"), "6 3 1 5 2 4");
    assert_text(world_get(&world, "k from [//t] order by g desc"), "4 2 5 1 3 6");
    assert_text(world_get(&world, "k from [//t] order by v desc limit 2"), "6 5");
    assert_text(world_get(&world, "k from [//t] order by v limit 2"), "4 1");
    assert_text(world_get(&world, "k from [//t] order by v offset 1 limit 2"), "1 2");
    assert_text(world_get(&world, "k from [//t] order by 1 limit 3"), "1 2 3");
    assert_text(world_get(&world, "g from [//t] order by -k limit 0"), "");
    assert_text(
        world_get(&world, "g, sum(v) as s from [//t] group by g order by s desc, g limit 2"),
        "b,70 #,60");
    assert_text(
        world_get(&world, "concat(g, '!') as x from [//t] order by x desc limit 2"), "c! b!");
}

Test(query_execute, skips_and_limits)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_get(&world, "k from [//t] offset 4"), "5 6");
    assert_text(world_get(&world, "k from [//t] offset 1 limit 2"), "2 3");
    assert_text(world_get(&world, "k from [//t] limit 2 offset 1"), "2 3");
    assert_text(world_get(&world, "k from [//t] offset 100"), "");
    assert_text(world_get(&world, "k from [//t] limit 0"), "");
    cr_assert(eq(u64, world.statistics.rows_read, 0));
    assert_text(world_get(&world, "k from [//t] limit 18446744073709551615 offset 5"), "6");
}

Test(query_execute, gives_the_same_in_steps_of_any_size)
{
    CLEANUP(world_release) struct world world = new_world();
    for (world.row_budget = 0; world.row_budget < 20; world.row_budget++) {
        assert_text(
            world_get(&world, "g, sum(v) as s from [//t] group by g order by s desc"),
            "b,70 #,60 a,40 c,#");
    }
    world.row_budget = 1;
    world_get(&world, "k from [//t]");
    cr_assert(eq(u64, world.step_count, 7));
}

Test(query_execute, stops_or_fails_at_limits)
{
    CLEANUP(world_release) struct world world = new_world();
    world.limits = (struct query_limits){.input_row_count_max = 3};
    assert_text(world_get(&world, "k from [//t]"), "1 2 3");
    cr_assert(world.statistics.is_input_incomplete);
    world.limits.fail_on_limit = true;
    CLEANUP(error_freep) struct error *input_error = world_error(&world, "k from [//t]");
    cr_assert(error_find(input_error, ERROR_QUERY_INPUT_ROW_COUNT_LIMIT_EXCEEDED) != NULL);
    assert_text(world_get(&world, "k from [//t] where k <= 3"), "1 2 3");
    cr_assert(not(world.statistics.is_input_incomplete));

    world.limits = (struct query_limits){.output_row_count_max = 2};
    assert_text(world_get(&world, "k from [//t]"), "1 2");
    cr_assert(world.statistics.is_output_incomplete);
    assert_text(world_get(&world, "k from [//t] order by k desc"), "6 5");
    assert_text(world_get(&world, "g, count(*) from [//t] group by g"), "a,2 b,2");
    cr_assert(world.statistics.is_output_incomplete);
    assert_text(world_get(&world, "k from [//t] limit 2"), "1 2");
    cr_assert(not(world.statistics.is_output_incomplete));
    world.limits.fail_on_limit = true;
    CLEANUP(error_freep) struct error *output_error = world_error(&world, "k from [//t]");
    cr_assert(error_find(output_error, ERROR_QUERY_OUTPUT_ROW_COUNT_LIMIT_EXCEEDED) != NULL);
    CLEANUP(error_freep) struct error *group_error = world_error(&world, "g from [//t] group by g");
    cr_assert(error_find(group_error, ERROR_QUERY_OUTPUT_ROW_COUNT_LIMIT_EXCEEDED) != NULL);

    world.limits = (struct query_limits){.memory_size_max = 100};
    assert_text(world_fail(&world, "k from [//t] order by k"), "Query memory limit exceeded");
    assert_text(world_fail(&world, "k from [//t] group by k"), "Query memory limit exceeded");
    assert_text(world_get(&world, "k from [//t] where k = 1"), "1");
}

Test(query_execute, hands_on_the_error_of_a_source)
{
    CLEANUP(world_release) struct world world = new_world();
    world.tables[0].fail_after = 2;
    assert_text(world_fail(&world, "sum(v) from [//t] group by 1"), "Disk is broken");
}

Test(query_execute, can_be_given_up_in_the_middle)
{
    CLEANUP(world_release) struct world world = new_world();
    struct query_plan *plan = world_plan(&world, "g, sum(v) from [//t] group by g order by g");
    struct row_source *source = &world.tables[0].source;
    struct query_sink sink = {0};
    CLEANUP(query_execution_freep)
    struct query_execution *execution = query_execution_new(plan, &source, 1, &world.limits, &sink);
    bool is_done = true;
    assert_ok(query_step(execution, 2, &is_done));
    cr_assert(not(is_done));
    cr_assert(eq(u64, query_execution_statistics(execution).rows_read, 2));
}

Test(query_execute, limits_what_aliases_make_of_a_short_text)
{
    CLEANUP(world_release) struct world world = new_world();
    CLEANUP(buffer_releasep) struct buffer text = {0};
    buffer_append_text(&text, "k + k as a0");
    for (int i = 1; i < 60; i++) buffer_print(&text, ", a%d + a%d as a%d", i - 1, i - 1, i);
    buffer_append_text(&text, " from [//t]");
    buffer_append_byte(&text, 0);
    assert_text(world_fail(&world, text.data), "Query is too complex");
}

Test(query_execute, limits_the_depth_that_aliases_make)
{
    CLEANUP(world_release) struct world world = new_world();
    CLEANUP(buffer_releasep) struct buffer text = {0};
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 150; k++) buffer_append_text(&text, "concat(");
        buffer_append_text(&text, i == 0 ? "g" : "");
        if (i > 0) buffer_print(&text, "a%d", i - 1);
        for (int k = 0; k < 150; k++) buffer_append_text(&text, ", 'x')");
        buffer_print(&text, " as a%d, ", i);
    }
    buffer_append_text(&text, "k from [//t]");
    buffer_append_byte(&text, 0);
    CLEANUP(error_freep) struct error *error = world_error(&world, text.data);
    cr_assert(error_find(error, ERROR_QUERY_EXPRESSION_DEPTH_LIMIT_EXCEEDED) != NULL);
}

Test(query_execute, limits_the_strings_that_aliases_make)
{
    CLEANUP(world_release) struct world world = new_world();
    CLEANUP(buffer_releasep) struct buffer text = {0};
    buffer_append_text(&text, "concat('0123456789abcdef', '!') as a0");
    for (int i = 1; i < 16; i++) {
        buffer_print(
            &text, ", (concat(a%d, '') as b%d), concat(b%d, b%d) as a%d", i - 1, i, i, i, i);
    }
    buffer_append_text(&text, " from [//t]");
    buffer_append_byte(&text, 0);
    assert_text(world_fail(&world, text.data), "Query is too complex");

    buffer_clear(&text);
    const char *megabyte = arena_alloc(&world.arena, 1 << 19);
    memset((char *)megabyte, 'x', (1 << 19) - 1);
    buffer_print(&text, "(concat('%s', g) as a), ", megabyte);
    for (int i = 0; i < 200; i++) buffer_print(&text, "concat(a, '%d'), ", i);
    buffer_append_text(&text, "k from [//t]");
    buffer_append_byte(&text, 0);
    assert_text(world_fail(&world, text.data), "Strings computed for one row take too much memory");
}

Test(query_execute, groups_many_keys)
{
    CLEANUP(world_release) struct world world;
    world_init(&world);
    struct world_table *table = world_add(
        &world,
        "//t",
        "[{name=k;type=int64;sort_order=ascending};{name=s;type=string};{name=d;type=double}]",
        "");
    for (int64_t i = 0; i < 20000; i++) {
        char text[32];
        snprintf(text, sizeof text, "name-%d", (int)(i % 5000));
        struct value values[] = {
            value_int64(0, i),
            value_string(1, slice_from_text(text)),
            i % 3 == 0 ? value_double(2, -0.0) : value_double(2, 0.0),
        };
        world_table_add(&world, table, values);
    }
    world_table_sort(table);
    assert_text(
        world_get(&world, "s, sum(k) as x from [//t] group by s order by x desc limit 2"),
        "name-4999,49996 name-4998,49992");
    assert_text(world_get(&world, "count(*) from [//t] group by d"), "20000");
}
