// What select_rows and explain_query take and say, on tables of a cluster and of its replicas.
#include "machine_world.h"

#include "base/coding.h"

TestSuite(queries, .fini = abort_on_leaks);

static void make(struct machine_world *world, int node, const char *path, const char *more)
{
    const char *parameters =
        world_text(world, "{type=table;path=\"%s\";attributes={dynamic=%%true;%s}}", path, more);
    world_do(world, node, "create", parameters, NULL);
    world_do(world, node, "mount_table", world_text(world, "{path=\"%s\"}", path), NULL);
}

#define KEYED                                                                                     \
    "schema=[{name=a;type=int64;sort_order=ascending};{name=b;type=string;sort_order=ascending};" \
    "{name=v;type=uint64}]"

// 100 rows: a from 0 to 9, b from a to j.
static void start(struct machine_world *world)
{
    world_init(world, 1);
    make(world, META, "//tmp/s", KEYED);
    make(world, META, "//tmp/o", "tablet_count=2;schema=[{name=v;type=string}]");
    for (int a = 0; a < 10; a++) {
        for (int b = 0; b < 10; b++) {
            const char *row = world_text(world, "{a=%d;b=%c;v=%du}", a, 'a' + b, 10 * a + b);
            world_do(world, META, "insert_rows", "{path=\"//tmp/s\"}", row);
        }
    }
    for (int i = 0; i < 10; i++) {
        const char *row = world_text(world, "{v=x;\"$tablet_index\"=%d}", i % 2);
        world_do(world, META, "insert_rows", "{path=\"//tmp/o\"}", row);
    }
}

// u.v is 0 to 99, so each of the hundred rows finds one; there is no key to look it up by.
Test(queries, join_a_table_that_is_read_as_a_whole)
{
    struct machine_world world;
    start(&world);
    const char *const query =
        "{allow_join_without_index=%true;query=\"sum(1) as n from [//tmp/s] as t "
        "join [//tmp/s] as u on uint64(t.a) = u.v group by 1\"}";
    assert_text(world_do(&world, META, "select_rows", query, NULL), "{\"n\"=100;};\n");
    world_release(&world);
}

static uint64_t response_number(struct machine_world *world, const char *name)
{
    struct node *node;
    uint64_t number = UINT64_MAX;
    assert_ok(yson_parse(&world->arena, slice_from_text(world->response), &node));
    assert_ok(node_get_uint64(node, name, &number));
    return number;
}

// How many rows a query reads and writes, as "read written".
static const char *counts(struct machine_world *world, const char *query)
{
    const char *parameters = world_text(world, "{query=\"%s\";enable_statistics=%%true}", query);
    world_do(world, META, "select_rows", parameters, NULL);
    return world_text(
        world,
        "%d %d",
        (int)response_number(world, "rows_read"),
        (int)response_number(world, "rows_written"));
}

Test(queries, read_only_the_key_ranges_they_need)
{
    struct machine_world world;
    start(&world);
    assert_text(counts(&world, "* from [//tmp/s]"), "100 100");
    assert_text(counts(&world, "* from [//tmp/s] where a = 3"), "10 10");
    assert_text(counts(&world, "* from [//tmp/s] where a = 3 and b = 'c'"), "1 1");
    assert_text(counts(&world, "* from [//tmp/s] where a in (1, 3) and b > 'h'"), "4 4");
    assert_text(counts(&world, "* from [//tmp/s] where a between 2 and 4"), "30 30");
    assert_text(counts(&world, "* from [//tmp/s] where a between (2 and 2, 4 and 5)"), "30 30");
    assert_text(counts(&world, "* from [//tmp/s] where (a, b) >= (8, 'f')"), "15 15");
    assert_text(counts(&world, "* from [//tmp/s] where (a, b) in ((1, 'a'), (2, 'z'))"), "1 1");
    assert_text(counts(&world, "* from [//tmp/s] where (a, b) between (3, 'c') and (4)"), "18 18");
    assert_text(counts(&world, "* from [//tmp/s] where a < 2 and v > 15u"), "20 4");
    assert_text(counts(&world, "* from [//tmp/s] where a = 1 or a = 5 and b = 'b'"), "11 11");
    assert_text(counts(&world, "* from [//tmp/s] where a = 1 and is_prefix('c', b)"), "1 1");
    assert_text(counts(&world, "sum(1) from [//tmp/s] where a > 7 group by 1"), "20 1");
    assert_text(counts(&world, "* from [//tmp/s] where b = 'c'"), "100 10");
    assert_text(counts(&world, "* from [//tmp/s] where false"), "0 0");
    assert_text(counts(&world, "* from [//tmp/s] limit 5"), "5 5");
    world_release(&world);
}

Test(queries, of_ordered_tables_read_only_the_rows_they_need)
{
    struct machine_world world;
    start(&world);
    assert_text(counts(&world, "* from [//tmp/o]"), "10 10");
    assert_text(counts(&world, "* from [//tmp/o] where [$tablet_index] = 1"), "5 5");
    assert_text(
        counts(&world, "* from [//tmp/o] where [$tablet_index] = 1 and [$row_index] >= 3"), "2 2");
    assert_text(
        counts(&world, "* from [//tmp/o] where ([$tablet_index], [$row_index]) > (0, 3)"), "6 6");
    assert_text(
        counts(&world, "* from [//tmp/o] where [$tablet_index] in (0, 1) and [$row_index] = 2"),
        "2 2");
    assert_text(counts(&world, "* from [//tmp/o] where [$row_index] = 2"), "10 2");
    assert_text(counts(&world, "* from [//tmp/o] where [$tablet_index] = 7"), "0 0");
    assert_text(counts(&world, "* from [//tmp/o] where [$row_index] < null"), "10 0");
    world_release(&world);
}

Test(queries, know_computed_columns_by_the_others)
{
    struct machine_world world;
    start(&world);
    make(
        &world,
        META,
        "//tmp/h",
        "schema=[{name=h;type=uint64;sort_order=ascending;expression=\"farm_hash(a) % 7\"};"
        "{name=a;type=int64;sort_order=ascending};{name=b;type=int64;sort_order=ascending};"
        "{name=v;type=int64}]");
    for (int i = 0; i < 60; i++) {
        const char *row = world_text(&world, "{a=%d;b=%d;v=%d}", i / 3, i % 3, i);
        world_do(&world, META, "insert_rows", "{path=\"//tmp/h\"}", row);
    }
    assert_text(counts(&world, "* from [//tmp/h] where a = 4"), "3 3");
    assert_text(counts(&world, "* from [//tmp/h] where a = 4 and b = 2"), "1 1");
    assert_text(counts(&world, "* from [//tmp/h] where (a, b) = (4, 2)"), "1 1");
    assert_text(counts(&world, "* from [//tmp/h] where (a, b) > (4, 2) and a = 4"), "0 0");
    assert_text(counts(&world, "* from [//tmp/h] where a in (1, 5, 7, 100)"), "9 9");
    assert_text(counts(&world, "* from [//tmp/h] where a in (1, 5) and b in (0, 1)"), "4 4");
    assert_text(counts(&world, "* from [//tmp/h] where (a, b) in ((1, 1), (2, 7))"), "1 1");
    assert_text(counts(&world, "* from [//tmp/h] where b = 1"), "60 20");
    assert_text(counts(&world, "* from [//tmp/h] where a = 1 or b = 1"), "60 22");
    assert_text(counts(&world, "* from [//tmp/h] where a = 4 and h = 100"), "0 0");
    assert_text(counts(&world, "* from [//tmp/h] where h = 3 and a < 2"), "0 0");
    world_release(&world);
}

Test(queries, say_what_they_have_done_only_if_asked)
{
    struct machine_world world;
    start(&world);
    world_do(&world, META, "select_rows", "{query=\"* from [//tmp/s] where a = 1\"}", NULL);
    assert_text(world.response, "");
    world_do(
        &world,
        META,
        "select_rows",
        "{query=\"* from [//tmp/s] where a = 1\";output_row_limit=5;enable_statistics=%true;"
        "fail_on_incomplete_result=%false}",
        NULL);
    assert_text(
        world.response,
        "{\"rows_read\"=6u;\"data_weight_read\"=102u;\"rows_written\"=5u;\"memory_usage\"=0u;"
        "\"execute_time\"=0u;\"incomplete_input\"=%false;\"incomplete_output\"=%true;"
        "\"inner_statistics\"=[];}");
    world_release(&world);
}

Test(queries, are_explained_without_being_run)
{
    struct machine_world world;
    start(&world);
    const char *plan = world_do(
        &world,
        META,
        "explain_query",
        "{query=\"v + 1 as w from [//tmp/s] where a = 1 and b in {names} limit 3\";"
        "placeholder_values={names=[x;y]}}",
        NULL);
    assert_text(
        plan,
        "{\"query\"={\"table\"=\"//tmp/s\";\"columns\"=[\"a\";\"b\";\"v\";];"
        "\"where_expression\"=\"(a = 1) AND (b IN (\\\"x\\\", \\\"y\\\"))\";\"range_count\"=2u;"
        "\"ranges\"=[[[1;\"x\";];[1;\"x\";<\"type\"=\"max\";>#;];];[[1;\"y\";];[1;\"y\";"
        "<\"type\"=\"max\";>#;];];];\"is_ordered_scan\"=%true;\"joins\"=[];\"limit\"=3u;"
        "\"output\"=[{\"name\"=\"w\";\"type\"=\"uint64\";};];};}");
    assert_refused(
        &world, META, "explain_query", "{query=\"x from [//tmp/s]\"}", NULL, 1, "Undefined");
    assert_refused(
        &world, META, "explain_query", "{query=\"* from [//tmp/x]\"}", NULL, 500, "//tmp/x");
    assert_refused(&world, META, "explain_query", "{}", NULL, 1, "\"query\" is missing");
    world_release(&world);
}

Test(queries, are_refused_what_their_options_forbid)
{
    struct machine_world world;
    start(&world);
    const struct {
        const char *query;
        const char *options;
        const char *text; // NULL if it is done.
    } queries[] = {
        {"* from [//tmp/s]", "allow_full_scan=%false", "Full scan of table //tmp/s is forbidden"},
        {"* from [//tmp/s] where b = 'x'", "allow_full_scan=%false", "Full scan"},
        {"* from [//tmp/s] where a > 3", "allow_full_scan=%false", NULL},
        {"a, t.v from [//tmp/s] join [//tmp/s] as t on b = t.b",
         "",
         "Foreign table key is not used in the join clause"},
        {"a, t.v from [//tmp/s] join [//tmp/s] as t on b = t.b",
         "allow_join_without_index=%true",
         NULL},
        {"a, t.v from [//tmp/s] join [//tmp/s] as t on (a, b) = (t.a, t.b)", "", NULL},
        {"b, sum(v) from [//tmp/s] group by a, b", "memory_limit_per_node=1", "memory limit"},
        {"b, sum(v) from [//tmp/s] group by a, b", "memory_limit_per_node=1000000", NULL},
        {"* from [//tmp/s]", "input_row_limit=10", "Query input row count limit exceeded"},
        {"* from [//tmp/s]", "input_row_limit=10;fail_on_incomplete_result=%false", NULL},
        {"* from [//tmp/s]", "output_row_limit=10", "Query output row count limit exceeded"},
        {"* from [//tmp/s]", "placeholder_values=[1]", "must be a map"},
        {"* from [//tmp/s] where a = {x}", "", "Placeholder \"x\" has no value"},
        {"* from [//tmp/s] where a = {x}", "placeholder_values={x=1}", NULL},
        {"* from [//tmp/s]", "udf_registry_path=\"//tmp\"", "\"udf_registry_path\" is not"},
        {"* from [//tmp/s]", "execution_pool=x;max_subqueries=4;verbose_logging=%true", NULL},
    };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        const char *parameters =
            world_text(&world, "{query=\"%s\";%s}", queries[i].query, queries[i].options);
        if (queries[i].text) {
            assert_refused(&world, META, "select_rows", parameters, NULL, 0, queries[i].text);
        } else {
            world_do(&world, META, "select_rows", parameters, NULL);
        }
    }
    world_release(&world);
}

Test(queries, derive_no_more_ranges_than_they_may)
{
    struct machine_world world;
    start(&world);
    const char *query =
        "query=\"* from [//tmp/s] where a in (1, 3, 5, 7)\";enable_statistics=%true";
    world_do(&world, META, "select_rows", world_text(&world, "{%s}", query), NULL);
    cr_assert(eq(u64, response_number(&world, "rows_read"), 40));
    const char *limited = world_text(&world, "{%s;range_expansion_limit=2}", query);
    world_do(&world, META, "select_rows", limited, NULL);
    cr_assert(eq(u64, response_number(&world, "rows_read"), 60));
    cr_assert(eq(u64, response_number(&world, "rows_written"), 40));
    world_release(&world);
}

Test(queries, end_at_their_time_limit)
{
    struct machine_world world;
    start(&world);
    world.read_step_us = 1000;
    const char *query = "query=\"sum(v) from [//tmp/s] group by 1\";enable_statistics=%true";
    world_do(&world, META, "select_rows", world_text(&world, "{%s;timeout=100}", query), NULL);
    cr_assert(response_number(&world, "execute_time") >= 1000);
    assert_refused(
        &world,
        META,
        "select_rows",
        world_text(&world, "{%s;timeout=1}", query),
        NULL,
        3,
        "did not finish within its time limit");
    world_release(&world);
}

Test(queries, of_replicated_tables_say_what_the_replica_has_done)
{
    struct machine_world world;
    world_init(&world, 2);
    world_do(
        &world,
        META,
        "create",
        "{type=replicated_table;path=\"//tmp/r\";attributes={dynamic=%true;" KEYED "}}",
        NULL);
    const char *id = world_do(
        &world,
        META,
        "create",
        "{type=table_replica;attributes={table_path=\"//tmp/r\";cluster_name=replica;"
        "replica_path=\"//tmp/copy\";mode=sync;enabled=%true}}",
        NULL);
    make(&world, REPLICA, "//tmp/copy", world_text(&world, KEYED ";upstream_replica_id=%s", id));
    world_do(&world, META, "mount_table", "{path=\"//tmp/r\"}", NULL);
    world_run(&world, 1000000);
    world_do(&world, META, "insert_rows", "{path=\"//tmp/r\"}", "{a=1;b=x};{a=2;b=y};{a=3;b=z}");
    assert_text(
        world_do(
            &world,
            META,
            "select_rows",
            "{query=\"a, b from [//tmp/r] where a in {keys}\";placeholder_values={keys=[1;2]};"
            "enable_statistics=%true}",
            NULL),
        "{\"a\"=1;\"b\"=\"x\";};\n{\"a\"=2;\"b\"=\"y\";};\n");
    cr_assert(eq(u64, response_number(&world, "rows_read"), 2));
    cr_assert(
        world_try(
            &world,
            META,
            "select_rows",
            "{query=\"a, b from [//tmp/r]\";allow_full_scan=%false}",
            NULL) == NULL);
    cr_assert(error_says(world.error, 0, "Full scan"));
    // A plan needs no replica.
    world_unlink(&world);
    const char *plan =
        world_do(&world, META, "explain_query", "{query=\"* from [//tmp/r] where a = 1\"}", NULL);
    cr_assert(strstr(plan, "\"range_count\"=1u") != NULL);
    world_release(&world);
}
