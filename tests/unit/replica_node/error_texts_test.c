// The codes and texts of behaviour.md, section 15 (and of section 11's table), row by row.
//
// What one command can meet stands in the tables below; what needs a course of its own has tests
// named after their codes. Elsewhere are: 1717 writes_test.c, 1725 transactions_test.c, 308, 320,
// 321, 326 writing_test.c (rows_have_limits, schemas_have_limits), 402 locks_test.c, 902
// rocks_store_test.c. docs/compatibility.md has the codes that do not occur, and why.
#include "rules.h"

TestSuite(error_texts, .fini = abort_on_leaks);

#define SCHEMA  "schema=" WORLD_SCHEMA
#define ORDERED "schema=[{name=v;type=int64}]"

struct refusal {
    int code; // 0 where the outer error decides.
    const char *text;
    const char *command;
    const char *parameters;
    const char *input;
};

// `%s` in parameters stands for `id`.
static void check(
    struct machine_world *world, const char *id, const struct refusal *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *parameters = rows[i].parameters;
        const char *place = strstr(parameters, "%s");
        if (place) {
            parameters =
                world_text(world, "%.*s%s%s", (int)(place - parameters), parameters, id, place + 2);
        }
        int code = rows[i].code;
        assert_refused(world, META, rows[i].command, parameters, rows[i].input, code, rows[i].text);
    }
}

#define CHECK(world, id, rows) check((world), (id), (rows), sizeof(rows) / sizeof *(rows))

static void create(
    struct machine_world *world, const char *type, const char *path, const char *more)
{
    rules_create(
        world,
        META,
        world_text(
            world, "{type=%s;path=\"%s\";attributes={dynamic=%%true;%s}}", type, path, more));
}

// Beside //tmp/t with an asynchronous replica: //tmp/s and //tmp/o, ordinary, sorted and ordered,
// //tmp/two with its second tablet unmounted, //tmp/idle, unmounted and replicated.
static const char *start(struct machine_world *world)
{
    const char *id = rules_world(world, SCHEMA, "mode=async");
    rules_table(world, META, "table", "//tmp/s", SCHEMA);
    rules_table(world, META, "table", "//tmp/o", ORDERED);
    create(world, "table", "//tmp/two", "pivot_keys=[[];[10]];" SCHEMA);
    world_do(world, META, "mount_table", "{path=\"//tmp/two\";last_tablet_index=0}", NULL);
    create(world, "replicated_table", "//tmp/idle", SCHEMA);
    return id;
}

Test(error_texts, table_15_of_codes)
{
    static const struct refusal ROWS[] = {
        {1702,
         "Table //tmp/idle has no mounted tablets",
         "insert_rows",
         "{path=\"//tmp/idle\"}",
         "{key=1}"},
        {1702,
         "of table //tmp/two is in \"unmounted\" state",
         "insert_rows",
         "{path=\"//tmp/two\"}",
         "{key=11}"},
        {1702,
         "while it is in \"unmounted\" state",
         "lookup_rows",
         "{path=\"//tmp/two\"}",
         "{key=11}"},
        {1705,
         "Replica table //tmp/r at cluster \"replica\" already exists",
         "create",
         "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;"
         "replica_path=\"//tmp/r\"}}",
         NULL},
        {1706, "in \"unmounted\" state", "freeze_table", "{path=\"//tmp/idle\"}", NULL},
        {1706,
         "Cannot create replica table: incompatible atomicity and preserve_timestamps",
         "create",
         "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;"
         "replica_path=\"//tmp/x\";atomicity=none;preserve_timestamps=%false}}",
         NULL},
        {1706,
         "Cannot set atomicity none with preserveTimestamps false",
         "alter_table_replica",
         "{replica_id=\"%s\";atomicity=none;preserve_timestamps=%false}",
         NULL},
        {1709,
         "",
         "select_rows",
         "{query=\"* from [//tmp/s]\";input_row_limit=1;fail_on_incomplete_result=%true}",
         NULL},
        {1710,
         "",
         "select_rows",
         "{query=\"* from [//tmp/s]\";output_row_limit=1;fail_on_incomplete_result=%true}",
         NULL},
        {1714,
         "Table //tmp/t has no synchronous replicas and \"require_sync_replica\" option is set",
         "insert_rows",
         T,
         "{key=1}"},
        {1716, "Table //tmp/o is not sorted", "lookup_rows", "{path=\"//tmp/o\"}", "{v=1}"},
        {1716,
         "Cannot perform deletes in a non-sorted table //tmp/o",
         "delete_rows",
         "{path=\"//tmp/o\"}",
         "{v=1}"},
        {1716,
         "Cannot perform lock in a non-sorted table //tmp/o",
         "lock_rows",
         "{path=\"//tmp/o\";locks=[]}",
         "{v=1}"},
        {1726, "No such column", "lookup_rows", "{path=\"//tmp/s\";column_names=[x]}", "{key=1}"},
        {1736, "No in-sync replicas found for table //tmp/t", "lookup_rows", T, "{key=1}"},
        {1736,
         "No in-sync replicas found for table //tmp/t",
         "select_rows",
         "{query=\"* from [//tmp/t]\"}",
         NULL},
        {1736,
         "No single cluster contains in-sync replicas for all involved tables",
         "select_rows",
         "{query=\"a.key from [//tmp/t] as a join [//tmp/idle] as b on a.key = b.key\"}",
         NULL},
        {307,
         "Required column \"r\" cannot have \"null\" value",
         "insert_rows",
         "{path=\"//tmp/strict\"}",
         "{key=1;r=#}"},
        {307,
         "Invalid type: expected \"int64\", actual \"string\"",
         "insert_rows",
         "{path=\"//tmp/s\"}",
         "{key=a}"},
        {316,
         "Table schemas are incompatible",
         "alter_table",
         "{path=\"//tmp/idle\";schema=[" KEY ";{name=value;type=int64};{name=sum;type=int64;"
         "aggregate=sum}]}",
         NULL},
        {322,
         "Duplicate column",
         "create",
         "{type=table;path=\"//tmp/x\";attributes={dynamic=%true;schema=[{name=a;type=int64};"
         "{name=a;type=int64}]}}",
         NULL},
        {323,
         "Missing required column \"r\" in table schema",
         "insert_rows",
         "{path=\"//tmp/strict\"}",
         "{key=1}"},
        {3, "", "wait_replicas", "{path=\"//tmp/late\";timeout=1}", NULL},
        {500, "Error resolving path //tmp/x", "get", "{path=\"//tmp/x\"}", NULL},
        {901, "Access denied", "set", "{path=\"//tmp/denied/@x\"}", "1"},
        {11000, "No such transaction", "commit_transaction", "{transaction_id=\"1-2-3-4\"}", NULL},
    };
    struct machine_world world;
    const char *id = start(&world);
    rules_table(
        &world,
        META,
        "table",
        "//tmp/strict",
        "schema=[" KEY ";{name=r;type=int64;required=%true}]");
    rules_table(&world, META, "replicated_table", "//tmp/late", SCHEMA);
    rules_create(
        &world,
        META,
        "{type=table_replica;attributes={table_path=\"//tmp/late\";cluster_name=replica;"
        "replica_path=\"//tmp/late\";enabled=%true}}");
    world_do(
        &world,
        META,
        "insert_rows",
        "{path=\"//tmp/late\";require_sync_replica=%false}",
        "{key=1}");
    world_do(&world, META, "insert_rows", "{path=\"//tmp/s\"}", "{key=1};{key=2};{key=3}");
    rules_create(&world, META, "{type=user;attributes={name=eve}}");
    world_do(
        &world,
        META,
        "create",
        "{type=map_node;path=\"//tmp/denied\";attributes={acl=[{action=deny;subjects=[eve];"
        "permissions=[write]}]}}",
        NULL);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        world.user = ROWS[i].code == 901 ? "eve" : NULL;
        check(&world, id, &ROWS[i], 1);
    }
    world_release(&world);
}

Test(error_texts, code_1700_of_a_row_written_since_the_transaction_started)
{
    struct machine_world world;
    start(&world);
    const char *quoted = world_do(&world, META, "start_transaction", "{type=tablet}", NULL);
    const char *insert = world_text(&world, "{path=\"//tmp/s\";transaction_id=%s}", quoted);
    world_do(&world, META, "insert_rows", insert, "{key=1}");
    world_do(&world, META, "insert_rows", "{path=\"//tmp/s\"}", "{key=1}");
    const char *commit = world_text(&world, "{transaction_id=%s}", quoted);
    cr_assert(world_try(&world, META, "commit_transaction", commit, NULL) == NULL);
    cr_assert(error_says(world.error, 1700, "Row lock conflict due to concurrent write"));
    cr_assert(error_says(world.error, 0, "Error committing transaction"));
    world_release(&world);
}

Test(error_texts, code_1711_of_an_expression_too_deep)
{
    struct machine_world world;
    start(&world);
    CLEANUP(buffer_releasep) struct buffer query = {0};
    buffer_append_text(&query, "{query=\"");
    for (int i = 0; i < 300; i++) buffer_append_text(&query, "(key+");
    buffer_append_text(&query, "1");
    for (int i = 0; i < 300; i++) buffer_append_text(&query, ")");
    buffer_append_text(&query, " as a from [//tmp/s]\"}");
    const char *parameters = world_text(&world, "%.*s", SLICE(buffer_slice(&query)));
    assert_refused(&world, META, "select_rows", parameters, NULL, 1711, "depth limit");
    world_release(&world);
}

// A replica waits with the answer until it knows what there is at a timestamp.
Test(error_texts, code_1713_of_a_read_that_waits_too_long)
{
    struct machine_world world;
    rules_world(&world, SCHEMA, "mode=sync");
    world_do(&world, META, "insert_rows", T, "{key=1;value=a}");
    world_run(&world, SECOND);
    world.is_link_held = true;
    const char *now = world_do(&world, META, "generate_timestamp", "{}", NULL);
    const char *lookup = world_text(&world, "{path=\"//tmp/r\";timestamp=%s;timeout=500}", now);
    assert_refused(&world, REPLICA, "lookup_rows", lookup, "{key=1}", 1713, "Read waited too long");
    struct request *request = world_begin(&world, REPLICA, "lookup_rows", lookup, "{key=1}");
    world.is_link_held = false;
    cr_assert(world_finish(&world, request) != NULL); // It only had to wait.
    world_release(&world);
}

Test(error_texts, code_1715_of_a_replicated_table_as_a_replica)
{
    struct machine_world world;
    const char *id = rules_world(&world, SCHEMA, "mode=async");
    // The node of cluster "replica" takes the place of one that holds replicated tables.
    world_table(&world, REPLICA, "//tmp/r")->is_replicated = true;
    world_unlink(&world);
    world_link(&world);
    rules_wait_error(&world, id, "Replicated table //tmp/r cannot act as a replication sink");
    world_table(&world, REPLICA, "//tmp/r")->is_replicated = false;
    const char *errors = world_do(&world, META, "get_tablet_errors", T, NULL);
    cr_assert(strstr(errors, "\"code\"=1715;") != NULL, "%s", errors);
    world_release(&world);
}

Test(error_texts, code_1718_of_a_table_of_another_replica_or_of_none)
{
    static const char *const ROWS[][2] = {
        {"1-2-3-4", "Mismatched upstream replica: expected 1-2-3-4, got "},
        {"0-0-0-0", "Table is not bound to any upstream replica but replica "},
    };
    for (size_t i = 0; i < 2; i++) {
        struct machine_world world;
        const char *id = rules_world(&world, SCHEMA, "mode=async");
        world_do(&world, REPLICA, "unmount_table", R, NULL);
        world_run(&world, SECOND);
        const char *alter =
            world_text(&world, "{path=\"//tmp/r\";upstream_replica_id=\"%s\"}", ROWS[i][0]);
        world_do(&world, REPLICA, "alter_table", alter, NULL);
        world_do(&world, REPLICA, "mount_table", R, NULL);
        rules_insert(&world, "{key=1}");
        rules_wait_error(&world, id, ROWS[i][1]);
        const char *errors = world_do(&world, META, "get_tablet_errors", T, NULL);
        cr_assert(strstr(errors, "\"code\"=1718;") != NULL, "%s", errors);
        world_release(&world);
    }
}

Test(error_texts, code_1732_of_a_sync_replica_that_is_not_in_sync)
{
    struct machine_world world;
    const char *id = rules_world(&world, SCHEMA, "mode=sync");
    rules_alter(&world, id, "enabled=%false");
    const char *text =
        world_text(&world, "Cannot write to sync replica %s since it is not in-sync yet", id);
    assert_refused(&world, META, "insert_rows", T, "{key=1}", 1732, text);
    assert_refused(&world, META, "insert_rows", NO_SYNC, "{key=1}", 1732, text);
    world_release(&world);
}

Test(error_texts, code_906_in_the_901_of_safe_mode)
{
    struct machine_world world;
    start(&world);
    world_do(&world, META, "set", "{path=\"//sys/@config/enable_safe_mode\"}", "%true");
    cr_assert(world_try(&world, META, "insert_rows", "{path=\"//tmp/s\"}", "{key=1}") == NULL);
    cr_assert(error_says(world.error, 901, "is in safe mode"));
    cr_assert(error_says(world.error, 906, ""));
    world_release(&world);
}

Test(error_texts, table_15_of_texts_without_a_code)
{
    static const struct refusal ROWS[] = {
        {1,
         "Table of type \"replicated_table\" must be dynamic",
         "create",
         "{type=replicated_table;path=\"//tmp/x\";attributes={" SCHEMA "}}",
         NULL},
        {1,
         "Upstream replica can only be set for dynamic tables",
         "create",
         "{type=table;path=\"//tmp/x\";attributes={upstream_replica_id=\"1-2-3-4\";" SCHEMA "}}",
         NULL},
        {1,
         "Upstream replica cannot be set for replicated tables",
         "create",
         "{type=replicated_table;path=\"//tmp/x\";attributes={dynamic=%true;"
         "upstream_replica_id=\"1-2-3-4\";" SCHEMA "}}",
         NULL},
        {1,
         "Upstream replica cannot be explicitly set for replicated tables",
         "alter_table",
         "{path=\"//tmp/idle\";upstream_replica_id=\"1-2-3-4\"}",
         NULL},
        {1,
         "Cannot specify both \"tablet_count\" and \"pivot_keys\"",
         "create",
         "{type=table;path=\"//tmp/"
         "x\";attributes={dynamic=%true;tablet_count=1;pivot_keys=[[]];" SCHEMA "}}",
         NULL},
        {1,
         "Tablet count must be positive",
         "create",
         "{type=table;path=\"//tmp/x\";attributes={dynamic=%true;tablet_count=0;" ORDERED "}}",
         NULL},
        {1,
         "Tablet count cannot exceed the limit of 1024",
         "create",
         "{type=table;path=\"//tmp/x\";attributes={dynamic=%true;tablet_count=5000;" ORDERED "}}",
         NULL},
        {1,
         "Table of type \"replicated_table\" only support \"full\" atomicity, cannot set it to "
         "\"none\"",
         "set",
         "{path=\"//tmp/idle/@atomicity\"}",
         "none"},
        {1,
         "Table of type \"replicated_table\" only support \"strong\" commit ordering, cannot set "
         "it to \"weak\"",
         "set",
         "{path=\"//tmp/idle/@commit_ordering\"}",
         "weak"},
        {1,
         "Cannot alter table of type \"replicated_table\"",
         "alter_table",
         "{path=\"//tmp/idle\";dynamic=%true}",
         NULL},
        {1,
         "Cannot switch mode from dynamic to static for table type \"replicated_table\"",
         "alter_table",
         "{path=\"//tmp/idle\";dynamic=%false}",
         NULL},
        {1,
         "Pivot keys must be provided to reshard a replicated table",
         "reshard_table",
         "{path=\"//tmp/idle\";tablet_count=2}",
         NULL},
        {1,
         "Table is ordered; must provide tablet count",
         "reshard_table",
         "{path=\"//tmp/log\";pivot_keys=[[]]}",
         NULL},
        {1,
         "Cannot reshard non-empty table of type \"replicated_table\"",
         "reshard_table",
         "{path=\"//tmp/used\";pivot_keys=[[];[1]]}",
         NULL},
        {1,
         "Pivot keys must be strictly increasing",
         "reshard_table",
         "{path=\"//tmp/idle\";pivot_keys=[[];[2];[1]]}",
         NULL},
        {0,
         "Cannot copy dynamic table since not all tablets are frozen or unmounted",
         "copy",
         "{source_path=\"//tmp/t\";destination_path=\"//tmp/x\"}",
         NULL},
        {1,
         "//tmp/s is not a replicated table",
         "create",
         "{type=table_replica;attributes={table_path=\"//tmp/s\";cluster_name=replica;"
         "replica_path=\"//tmp/x\"}}",
         NULL},
        {1,
         "Invalid size of \"start_replication_row_indexes\": expected zero or 1, got 2",
         "create",
         "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;"
         "replica_path=\"//tmp/x\";start_replication_row_indexes=[0;0]}}",
         NULL},
        {1,
         "Cannot find cluster with name \"elsewhere\"",
         "create",
         "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=elsewhere;"
         "replica_path=\"//tmp/x\"}}",
         NULL},
        {1,
         "Invalid replica mode \"async_to_sync\"",
         "alter_table_replica",
         "{replica_id=\"%s\";mode=async_to_sync}",
         NULL},
        {1,
         "Cannot use \"update\" mode for ordered tables",
         "insert_rows",
         "{path=\"//tmp/o\";update=%true}",
         "{v=1}"},
        {1,
         "Invalid tablet index: actual 5, expected in range [0, 0]",
         "insert_rows",
         "{path=\"//tmp/o\"}",
         "{v=1;\"$tablet_index\"=5}"},
        {1,
         "Error preparing rows for table //tmp/s",
         "insert_rows",
         "{path=\"//tmp/s\"}",
         "{key=1;nothing=1}"},
        {1,
         "Table is bound to upstream replica 1-2-3-4; direct modifications are forbidden",
         "insert_rows",
         "{path=\"//tmp/bound\"}",
         "{key=1}"},
        {1,
         "Query involves both replicated and non-replicated tables",
         "select_rows",
         "{query=\"a.key from [//tmp/t] as a join [//tmp/s] as b on a.key = b.key\"}",
         NULL},
        {1,
         "Invalid read timestamp 3fffffffffffff02",
         "lookup_rows",
         "{path=\"//tmp/s\";timestamp=4611686018427387650u}",
         "{key=1}"},
        {1,
         "Invalid GetInSyncReplicas timestamp 3fffffffffffff04",
         "get_in_sync_replicas",
         "{path=\"//tmp/t\";timestamp=4611686018427387652u}",
         "{key=1}"},
        {1,
         "\"min_sync_replica_count\" must be less or equal to \"max_sync_replica_count\"",
         "set",
         "{path=\"//tmp/t/@replicated_table_options\"}",
         "{min_sync_replica_count=2;max_sync_replica_count=1}"},
    };
    struct machine_world world;
    const char *id = start(&world);
    create(&world, "replicated_table", "//tmp/log", ORDERED);
    rules_table(&world, META, "replicated_table", "//tmp/used", SCHEMA);
    world_do(&world, META, "insert_rows", "{path=\"//tmp/used\"}", "{key=1}");
    world_do(&world, META, "unmount_table", "{path=\"//tmp/used\"}", NULL);
    rules_table(&world, META, "table", "//tmp/bound", "upstream_replica_id=\"1-2-3-4\";" SCHEMA);
    CHECK(&world, id, ROWS);
    world_release(&world);
}

Test(error_texts, texts_of_replicas_on_their_way)
{
    struct machine_world world;
    const char *id = rules_world(&world, SCHEMA, "mode=async");
    world.is_link_held = true;
    rules_insert(&world, "{key=1}");
    world_run(&world, 10 * MS);
    rules_alter(&world, id, "enabled=%false"); // Rows are on their way.
    assert_text(rules_attribute(&world, id, "state"), "disabling");
    static const struct refusal ROWS[] = {
        {1706,
         "is in \"disabling\" state",
         "alter_table_replica",
         "{replica_id=\"%s\";enabled=%true}",
         NULL},
        {1706, "since replica ", "unmount_table", T, NULL},
    };
    CHECK(&world, id, ROWS);
    world.is_link_held = false;
    rules_wait(&world, id, "state", "disabled");
    world_release(&world);
}

Test(error_texts, table_11_of_collocations)
{
    static const struct refusal ROWS[] = {
        {1,
         "Collocated table set must be non-empty",
         "create",
         "{type=table_collocation;attributes={collocation_type=replication;table_ids=[]}}",
         NULL},
        {1,
         "Duplicate table",
         "create",
         "{type=table_collocation;attributes={collocation_type=replication;"
         "table_paths=[\"//tmp/t\";\"//tmp/t\"]}}",
         NULL},
        {1,
         "is expected to be a table, actual type is \"map_node\"",
         "create",
         "{type=table_collocation;attributes={collocation_type=replication;"
         "table_paths=[\"//tmp\"]}}",
         NULL},
        {500,
         "No such table collocation 1-2-516-4",
         "set",
         "{path=\"//tmp/t/@replication_collocation_id\"}",
         "\"1-2-516-4\""},
    };
    struct machine_world world;
    CHECK(&world, start(&world), ROWS);
    world_release(&world);
}
