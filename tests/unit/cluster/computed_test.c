// Computed key columns: made at writes, deletes, locks and lookups, on the replica's cluster too
// (behaviour 9).
#include "machine_world.h"

TestSuite(computed, .fini = abort_on_leaks);

#define T "{path=\"//tmp/t\"}"
#define SCHEMA                                                                                 \
    "[{name=h;type=int64;sort_order=ascending;expression=\"k % 10 + 1\"};{name=k;type=int64;"  \
    "sort_order=ascending};{name=s;type=string;sort_order=ascending;expression=\"lower(u)\"};" \
    "{name=u;type=string;sort_order=ascending};{name=v;type=int64}]"

static void create(
    struct machine_world *world, int node, const char *type, const char *path, const char *more)
{
    const char *text =
        world_text(world, "{type=%s;path=\"%s\";attributes={dynamic=%%true;%s}}", type, path, more);
    world_do(world, node, "create", text, NULL);
    world_do(world, node, "mount_table", world_text(world, "{path=\"%s\"}", path), NULL);
}

Test(computed, columns_are_made_of_the_others)
{
    struct machine_world world;
    world_init(&world, 1);
    create(&world, META, "table", "//tmp/t", "schema=" SCHEMA);
    world_do(&world, META, "insert_rows", T, "{k=17;u=AB;v=1};{k=4;u=c;v=2}");
    assert_text(
        world_do(&world, META, "select_rows", "{query=\"* from [//tmp/t]\"}", NULL),
        "{\"h\"=5;\"k\"=4;\"s\"=\"c\";\"u\"=\"c\";\"v\"=2;};\n"
        "{\"h\"=8;\"k\"=17;\"s\"=\"ab\";\"u\"=\"AB\";\"v\"=1;};\n");
    assert_text(
        world_do(
            &world, META, "lookup_rows", "{path=\"//tmp/t\";column_names=[h;s;v]}", "{k=17;u=AB}"),
        "{\"h\"=8;\"s\"=\"ab\";\"v\"=1;};\n");
    world_do(&world, META, "insert_rows", "{path=\"//tmp/t\";update=%true}", "{k=17;u=AB;v=3}");
    world_do(&world, META, "delete_rows", T, "{k=4;u=c}");
    world_do(&world, META, "lock_rows", T, "{k=4;u=c}");
    world_restart(&world, META);
    world_do(&world, META, "insert_rows", T, "{k=5;u=#;v=5}");
    assert_text(
        world_do(&world, META, "select_rows", "{query=\"h, k, s, v from [//tmp/t]\"}", NULL),
        "{\"h\"=6;\"k\"=5;\"s\"=#;\"v\"=5;};\n{\"h\"=8;\"k\"=17;\"s\"=\"ab\";\"v\"=3;};\n");
    const char *text = "Column \"h\" is computed automatically and should not be provided by user";
    assert_refused(&world, META, "insert_rows", T, "{h=1;k=1;u=a;v=1}", 1, text);
    assert_refused(&world, META, "delete_rows", T, "{h=1;k=1;u=a}", 1, text);
    assert_refused(&world, META, "lookup_rows", T, "{h=1;k=1;u=a}", 1, text);
    world_release(&world);
}

Test(computed, wrong_expressions_are_refused)
{
    const struct {
        const char *expression;
        const char *text;
    } cases[] = {
        {"k +", "Error in the expression of computed column \"h\""},
        {"nothing", "nothing"},
        {"v", "v"}, // No key column,
        {"s", "s"}, // and a computed one.
        {"u", "declared type is \"int64\" but expression type is \"string\""},
        {"k) from [x] where (true", "Error in the expression"},
        {"k as a, u", "Error in the expression"},
        {"k) as a, (k", "It is not an expression"},
        {"sum(k)", "Error in the expression"},
        {"if(u rlike \\\"a\\\", 1, 2)", "Regular expressions are too slow"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct machine_world world;
        world_init(&world, 1);
        const char *text = world_text(
            &world,
            "{type=table;path=\"//tmp/t\";attributes={dynamic=%%true;schema=[{name=h;type=int64;"
            "sort_order=ascending;expression=\"%s\"};{name=k;type=int64;sort_order=ascending};"
            "{name=s;type=string;sort_order=ascending;expression=\"lower(u)\"};{name=u;type=string;"
            "sort_order=ascending};{name=v;type=int64}]}}",
            cases[i].expression);
        assert_refused(&world, META, "create", text, NULL, 1, cases[i].text);
        world_release(&world);
    }
}

// What cannot be computed for a row is the row's error.
Test(computed, values_that_cannot_be_made_fail_the_write)
{
    struct machine_world world;
    world_init(&world, 1);
    create(
        &world,
        META,
        "table",
        "//tmp/t",
        "schema=[{name=h;type=int8;sort_order=ascending;expression=\"100 / k\"};{name=k;type=int64;"
        "sort_order=ascending};{name=v;type=int64}]");
    assert_refused(&world, META, "insert_rows", T, "{k=0}", 1, "ivision by zero");
    world_do(&world, META, "insert_rows", T, "{k=3}");
    assert_text(
        world_do(&world, META, "lookup_rows", T, "{k=3}"), "{\"h\"=33;\"k\"=3;\"v\"=#;};\n");
    world_release(&world);
}

// The replica computes the column, whether the replicated table has it plain, computed or not at
// all.
Test(computed, columns_of_a_replica_are_made_there)
{
    const char *const schemas[] = {
        // As in the replica.
        "[{name=h;type=int64;sort_order=ascending;expression=\"k % 10\"};{name=k;type=int64;sort_"
        "order=ascending};{name=v;type=int64}]",
        // Plain: users give what they like.
        "[{name=h;type=int64;sort_order=ascending};{name=k;type=int64;sort_order=ascending};{name="
        "v;"
        "type=int64}]",
        "[{name=k;type=int64;sort_order=ascending};{name=v;type=int64}]",
    };
    const char *const modes[] = {"sync", "async"};
    for (int i = 0; i < 6; i++) {
        struct machine_world world;
        world_init(&world, 2);
        create(
            &world,
            META,
            "replicated_table",
            "//tmp/t",
            world_text(&world, "schema=%s", schemas[i / 2]));
        const char *text = world_text(
            &world,
            "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;"
            "replica_path=\"//tmp/r\";mode=%s;enabled=%%true}}",
            modes[i % 2]);
        const char *quoted = world_do(&world, META, "create", text, NULL);
        text = world_text(&world, "upstream_replica_id=%s;schema=%s", quoted, schemas[0]);
        create(&world, REPLICA, "table", "//tmp/r", text);
        world_run(&world, 5 * SECOND);
        const char *write = "{path=\"//tmp/t\";require_sync_replica=%false}";
        bool is_plain = i / 2 == 1;
        world_do(
            &world,
            META,
            "insert_rows",
            write,
            is_plain ? "{h=77;k=17;v=1};{h=88;k=18;v=2}" : "{k=17;v=1};{k=18;v=2}");
        world_do(&world, META, "delete_rows", write, is_plain ? "{h=88;k=18}" : "{k=18}");
        world_run(&world, SECOND);
        assert_text(
            world_do(&world, REPLICA, "select_rows", "{query=\"* from [//tmp/r]\"}", NULL),
            "{\"h\"=7;\"k\"=17;\"v\"=1;};\n");
        if (i == 0) {
            // 6.4: keys are given without them.
            const char *id = world_text(&world, "[%s;]", quoted);
            const char *at = "{path=\"//tmp/t\";timestamp=4611686018427387649u}";
            assert_text(world_do(&world, META, "get_in_sync_replicas", at, "{k=17}"), id);
            assert_text(
                world_do(&world, META, "lookup_rows", T, "{k=17}"),
                "{\"h\"=7;\"k\"=17;\"v\"=1;};\n");
        }
        world_release(&world);
    }
}
