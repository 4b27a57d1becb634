// Schemas of a replicated table and of its replicas' tables: how far they may differ, and what
// happens while they are changed.
#include "rules.h"

TestSuite(schema_evolution, .fini = abort_on_leaks);

#define VALUE  "{name=value;type=string}"
#define SCHEMA "schema=[" KEY ";" VALUE "]"
#define NEWER  "schema=[" KEY ";" VALUE ";{name=more;type=int64}]"
#define INDEX  "tablets/0/current_replication_row_index"

static const char *const MODES[] = {"mode=async", "mode=sync"};

static const char *start(
    struct machine_world *world, const char *mode, const char *schema, const char *of_replica)
{
    world_init(world, 2);
    rules_table(world, META, "replicated_table", "//tmp/t", schema);
    return rules_replica(world, "//tmp/r", mode, of_replica);
}

static void alter_table(struct machine_world *world, int node, const char *path, const char *schema)
{
    const char *table = world_text(world, "{path=\"%s\"}", path);
    world_do(world, node, "unmount_table", table, NULL);
    const char *state = world_text(world, "%s/@tablet_state", path);
    world_wait(world, node, state, "unmounted");
    const char *parameters = world_text(world, "{path=\"%s\";%s}", path, schema);
    world_do(world, node, "alter_table", parameters, NULL);
    world_do(world, node, "mount_table", table, NULL);
}

// -------------------------------------------------------------------------------------------------
// Agreement

Test(schema_evolution, nothing_is_checked_when_a_replica_is_created)
{
    struct machine_world world;
    const char *id = start(
        &world,
        "mode=async",
        SCHEMA,
        "schema=[{name=quite;type=int64;sort_order=ascending};{name=other;type=double}]");
    assert_text(rules_attribute(&world, id, "state"), "enabled");
    assert_text(rules_attribute(&world, id, "error_count"), "0");
    rules_insert(&world, "{key=1;value=a}");
    rules_wait_error(&world, id, "Unexpected column \\\"key\\\"");
    world_release(&world);
}

Test(schema_evolution, value_columns_are_matched_by_name)
{
    for (int i = 0; i < 2; i++) {
        struct machine_world world;
        const char *id = start(
            &world,
            MODES[i],
            "schema=[" KEY ";{name=a;type=string};{name=b;type=int64}]",
            "schema=[" KEY ";{name=b;type=int64};{name=a;type=string}]");
        rules_insert(&world, "{key=1;a=x;b=5};{key=2;b=6}");
        rules_catch_up(&world, id);
        assert_text(
            rules_rows(&world, REPLICA, "//tmp/r"),
            "{\"key\"=1;\"b\"=5;\"a\"=\"x\";};\n{\"key\"=2;\"b\"=6;\"a\"=#;};\n");
        world_release(&world);
    }
}

Test(schema_evolution, computed_key_columns_are_made_on_the_replicas_cluster)
{
    static const char *const TABLES[] = {
        "schema=[{name=h;type=int64;sort_order=ascending;expression=\"key * 2\"};" KEY ";" VALUE
        "]",
        "schema=[{name=h;type=int64;sort_order=ascending};" KEY ";" VALUE "]",
    };
    for (int i = 0; i < 4; i++) {
        struct machine_world world;
        bool is_plain = i / 2 == 1;
        const char *computed = "schema=[{name=h;type=int64;sort_order=ascending;expression=\"key * "
                               "3\"};" KEY ";" VALUE "]";
        const char *id = start(&world, MODES[i % 2], TABLES[is_plain], computed);
        const char *rows = is_plain ? "{h=7;key=1;value=a};{h=7;key=2;value=b}"
                                    : "{key=1;value=a};{key=2;value=b}";
        rules_insert(&world, rows);
        rules_catch_up(&world, id);
        assert_text(
            rules_rows(&world, REPLICA, "//tmp/r"),
            "{\"h\"=3;\"key\"=1;\"value\"=\"a\";};\n{\"h\"=6;\"key\"=2;\"value\"=\"b\";};\n");
        const char *key = is_plain ? "{h=7;key=1}" : "{key=1}";
        world_do(&world, META, "delete_rows", NO_SYNC, key);
        rules_catch_up(&world, id);
        assert_text(
            rules_rows(&world, REPLICA, "//tmp/r"), "{\"h\"=6;\"key\"=2;\"value\"=\"b\";};\n");
        world_release(&world);
    }
}

Test(schema_evolution, a_stricter_sync_replica_fails_writes_of_bad_rows)
{
    struct machine_world world;
    const char *strict = "schema=[" KEY ";{name=value;type=string;required=%true}]";
    const char *id = start(&world, "mode=sync", SCHEMA, strict);
    const char *text = "Required column \"value\" cannot have \"null\" value";
    cr_assert(world_try(&world, META, "insert_rows", T, "{key=1};{key=2;value=b}") == NULL);
    cr_assert(error_says(world.error, 307, text));
    world_do(&world, META, "insert_rows", T, "{key=2;value=a}"); // Good ones pass.
    assert_text(rules_rows(&world, REPLICA, "//tmp/r"), "{\"key\"=2;\"value\"=\"a\";};\n");
    rules_catch_up(&world, id);
    world_release(&world);
}

Test(schema_evolution, a_stricter_async_replica_stops_at_the_first_bad_row)
{
    struct machine_world world;
    const char *strict = "schema=[" KEY ";{name=value;type=string;required=%true}]";
    const char *id = start(&world, "mode=async", SCHEMA, strict);
    rules_insert(&world, "{key=1;value=a}");
    rules_insert(&world, "{key=2}");
    rules_insert(&world, "{key=3;value=c}");
    rules_wait_error(&world, id, "Required column \\\"value\\\" cannot have \\\"null\\\" value");
    world_run(&world, 20 * SECOND);
    assert_text(rules_attribute(&world, id, INDEX), "1");
    assert_text(rules_rows(&world, REPLICA, "//tmp/r"), "{\"key\"=1;\"value\"=\"a\";};\n");
    world_release(&world);
}

Test(schema_evolution, a_looser_replica_is_fine)
{
    for (int i = 0; i < 2; i++) {
        struct machine_world world;
        const char *strict = "schema=[" KEY ";{name=value;type=string;required=%true}]";
        const char *id = start(&world, MODES[i], strict, SCHEMA);
        assert_refused(&world, META, "insert_rows", NO_SYNC, "{key=1}", 323, "value");
        rules_insert(&world, "{key=1;value=a}");
        rules_catch_up(&world, id);
        world_release(&world);
    }
}

Test(schema_evolution, fewer_columns_are_an_error_and_more_nullable_ones_get_null)
{
    static const struct {
        const char *of_replica;
        const char *row;
        const char *text; // NULL where the row arrives.
    } ROWS[] = {
        {"schema=[" KEY ";{name=value;type=string}]",
         "{key=1;part=p;value=a}",
         "Unexpected column \"part\""},
        {"schema=[" KEY ";{name=part;type=string;sort_order=ascending};{name=other;type=int64}]",
         "{key=1;part=p;value=a}",
         "Unexpected column \"value\""},
        // A column that the row does not carry is not missed.
        {"schema=[" KEY ";{name=part;type=string;sort_order=ascending};{name=other;type=int64}]",
         "{key=1;part=p}",
         NULL},
        {"schema=[" KEY ";{name=part;type=string;sort_order=ascending};{name=value;type=string};"
         "{name=extra;type=int64}]",
         "{key=1;part=p;value=a}",
         NULL},
    };
    const char *schema =
        "schema=[" KEY ";{name=part;type=string;sort_order=ascending};{name=value;type=string}]";
    for (size_t i = 0; i < 2 * sizeof ROWS / sizeof *ROWS; i++) {
        struct machine_world world;
        const char *text = ROWS[i / 2].text;
        bool is_sync = i % 2 == 1;
        const char *id = start(&world, MODES[i % 2], schema, ROWS[i / 2].of_replica);
        if (is_sync && text) {
            cr_assert(world_try(&world, META, "insert_rows", T, ROWS[i / 2].row) == NULL);
            cr_assert(error_says(world.error, 0, text), "case %zu", i);
            assert_text(rules_rows(&world, REPLICA, "//tmp/r"), "");
        } else if (text) {
            rules_insert(&world, ROWS[i / 2].row);
            rules_wait(&world, id, "error_count", "1");
            assert_text(rules_attribute(&world, id, INDEX), "0");
        } else {
            rules_insert(&world, ROWS[i / 2].row);
            rules_catch_up(&world, id);
            const char *rows = rules_rows(&world, REPLICA, "//tmp/r");
            cr_assert(strstr(rows, "=#;};\n") != NULL, "%s", rows);
        }
        world_release(&world);
    }
}

// -------------------------------------------------------------------------------------------------
// Evolution

Test(schema_evolution, replicas_first_and_nothing_stops)
{
    for (int i = 0; i < 2; i++) {
        struct machine_world world;
        const char *id = start(&world, MODES[i], SCHEMA, SCHEMA);
        rules_insert(&world, "{key=1;value=a}");
        rules_catch_up(&world, id);
        alter_table(&world, REPLICA, "//tmp/r", NEWER);
        world_run(&world, 5 * SECOND);
        rules_insert(&world, "{key=2;value=b}");
        rules_catch_up(&world, id);
        alter_table(&world, META, "//tmp/t", NEWER);
        world_run(&world, 5 * SECOND);
        rules_insert(&world, "{key=3;more=5}");
        rules_catch_up(&world, id);
        assert_text(
            rules_rows(&world, REPLICA, "//tmp/r"),
            "{\"key\"=1;\"value\"=\"a\";\"more\"=#;};\n"
            "{\"key\"=2;\"value\"=\"b\";\"more\"=#;};\n"
            "{\"key\"=3;\"value\"=#;\"more\"=5;};\n");
        world_release(&world);
    }
}

Test(schema_evolution, the_replicated_table_first_and_rows_wait_for_the_replica)
{
    for (int i = 0; i < 2; i++) {
        struct machine_world world;
        const char *id = start(&world, MODES[i], SCHEMA, SCHEMA);
        alter_table(&world, META, "//tmp/t", NEWER);
        world_run(&world, 5 * SECOND);
        if (i == 1) {
            cr_assert(world_try(&world, META, "insert_rows", T, "{key=1;more=5}") == NULL);
            cr_assert(error_says(world.error, 0, "Unexpected column \"more\""));
        } else {
            rules_insert(&world, "{key=1;more=5}");
            rules_insert(&world, "{key=2;value=b}");
            rules_wait_error(&world, id, "Unexpected column \\\"more\\\"");
            assert_text(rules_rows(&world, REPLICA, "//tmp/r"), "");
        }
        alter_table(&world, REPLICA, "//tmp/r", NEWER);
        world_run(&world, 5 * SECOND);
        if (i == 1) world_do(&world, META, "insert_rows", T, "{key=1;more=5};{key=2;value=b}");
        rules_catch_up(&world, id);
        assert_text( // Nothing is lost.
            rules_rows(&world, REPLICA, "//tmp/r"),
            "{\"key\"=1;\"value\"=#;\"more\"=5;};\n{\"key\"=2;\"value\"=\"b\";\"more\"=#;};\n");
        world_release(&world);
    }
}
