// Replication from one machine to another: what arrives, what stops it, what starts it again.
#include "coordinator/core/sessions.h"
#include "tests/unit/cluster/machine_world.h"

TestSuite(replication, .fini = abort_on_leaks);

#define T   "{path=\"//tmp/t\"}"
#define R   "{path=\"//tmp/r\"}"
#define KEY "{name=key;type=int64;sort_order=ascending}"

static const char *attribute(struct machine_world *world, const char *id, const char *name)
{
    return world_get(world, META, world_text(world, "#%s/@%s", id, name));
}

static void wait_for(
    struct machine_world *world, const char *id, const char *name, const char *value)
{
    world_wait(world, META, world_text(world, "#%s/@%s", id, name), value);
}

static void alter(struct machine_world *world, const char *id, const char *change)
{
    const char *parameters = world_text(world, "{replica_id=\"%s\";%s}", id, change);
    world_do(world, META, "alter_table_replica", parameters, NULL);
}

static void insert(struct machine_world *world, const char *rows)
{
    const char *parameters = "{path=\"//tmp/t\";require_sync_replica=%false}";
    world_do(world, META, "insert_rows", parameters, rows);
}

// Waits until the replica has all of the log.
static void wait_until_caught_up(struct machine_world *world, const char *id)
{
    const char *total = world_get(world, META, "//tmp/t/@tablets/0/flushed_row_count");
    wait_for(world, id, "tablets/0/current_replication_row_index", total);
    assert_text(attribute(world, id, "error_count"), "0");
}

static const char *on_replica(struct machine_world *world)
{
    return world_do(
        world, REPLICA, "select_rows", "{query=\"key, value, sum from [//tmp/r]\"}", NULL);
}

// What the replica's session complains about.
static void assert_error(struct machine_world *world, const char *id, const char *text)
{
    const char *errors = "";
    for (int i = 0; i < 100 && !strstr(errors, text); i++) {
        world_run(world, SECOND / 10);
        errors = world_do(world, META, "get_tablet_errors", T, NULL);
    }
    cr_assert(ne(ptr, strstr(errors, text), NULL), "%s is not in %s", text, errors);
    assert_text(attribute(world, id, "error_count"), "1");
    cr_assert(ne(ptr, strstr(errors, id), NULL));
    assert_text(attribute(world, id, "tablets/0/has_error"), "%true");
}

Test(replication, a_sync_replica_has_a_row_when_its_write_is_done)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_do(&world, META, "insert_rows", T, "{key=1;value=a};{key=2;sum=5}");
    assert_text(
        on_replica(&world),
        "{\"key\"=1;\"value\"=\"a\";\"sum\"=#;};\n{\"key\"=2;\"value\"=#;\"sum\"=5;};\n");
    assert_text(attribute(&world, id, "replication_lag_time"), "0");
    assert_text(
        world_get(&world, REPLICA, "//tmp/r/@last_commit_timestamp"),
        world_get(&world, META, "//tmp/t/@last_commit_timestamp"));
    wait_until_caught_up(&world, id);
    world_release(&world);
}

Test(replication, an_async_replica_gets_everything_in_time)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    insert(&world, "{key=1;value=a;sum=1}");
    world_do(
        &world,
        META,
        "insert_rows",
        "{path=\"//tmp/t\";update=%true;aggregate=%true;require_sync_replica=%false}",
        "{key=1;sum=2};{key=2;sum=3}");
    world_do(
        &world,
        META,
        "insert_rows",
        "{path=\"//tmp/t\";aggregate=%true;require_sync_replica=%false}",
        "{key=1;sum=10}");
    insert(&world, "{key=3}");
    world_do(
        &world, META, "delete_rows", "{path=\"//tmp/t\";require_sync_replica=%false}", "{key=3}");
    wait_until_caught_up(&world, id);
    assert_text(
        on_replica(&world),
        "{\"key\"=1;\"value\"=#;\"sum\"=13;};\n{\"key\"=2;\"value\"=#;\"sum\"=3;};\n");
    assert_text(attribute(&world, id, "replication_lag_time"), "0");
    world_release(&world);
}

// Behaviour 5.2.
Test(replication, decides_which_writes_are_refused)
{
    struct machine_world world;
    world_init(&world, 2);
    world_do(
        &world,
        META,
        "create",
        "{type=replicated_table;path=\"//tmp/n\";attributes={dynamic=%true;schema=" WORLD_SCHEMA
        "}}",
        NULL);
    world_do(&world, META, "mount_table", "{path=\"//tmp/n\"}", NULL);
    world_do(&world, META, "insert_rows", "{path=\"//tmp/n\"}", "{key=1}"); // No replicas: fine.

    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    assert_refused(
        &world,
        META,
        "insert_rows",
        T,
        "{key=1}",
        1714,
        "Table //tmp/t has no synchronous replicas and \"require_sync_replica\" option is set");
    insert(&world, "{key=1}");
    alter(&world, id, "mode=sync");
    wait_until_caught_up(&world, id);
    world_do(&world, META, "insert_rows", T, "{key=2}");
    alter(&world, id, "enabled=%false");
    const char *text =
        world_text(&world, "Cannot write to sync replica %s since it is not in-sync yet", id);
    assert_refused(&world, META, "insert_rows", T, "{key=3}", 1732, text);
    assert_refused(
        &world,
        META,
        "insert_rows",
        "{path=\"//tmp/t\";require_sync_replica=%false}",
        "{key=3}",
        1732,
        text);
    alter(&world, id, "mode=async");
    insert(&world, "{key=3}");
    world_release(&world);
}

Test(replication, of_a_replica_that_is_cut_off_refuses_writes_until_it_is_back)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_unlink(&world);
    const char *text =
        world_text(&world, "Cannot write to sync replica %s since it is not in-sync yet", id);
    assert_refused(&world, META, "insert_rows", T, "{key=1}", 1732, text);
    world_link(&world);
    world_do(&world, META, "insert_rows", T, "{key=1}");
    assert_text(on_replica(&world), "{\"key\"=1;\"value\"=#;\"sum\"=#;};\n");
    world_release(&world);
}

Test(replication, tells_a_repetition_what_becomes_of_a_commit_that_waits)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    for (int ends_well = 0; ends_well < 2; ends_well++) {
        const char *id = world_do(&world, META, "start_transaction", "{type=tablet}", NULL);
        id = world_text(&world, "{transaction_id=%s}", id);
        const char *row = world_text(&world, "{path=\"//tmp/t\";%s", id + 1);
        world_do(&world, META, "insert_rows", row, "{key=1;value=a}");
        world_unlink(&world);
        struct request *first = world_begin(&world, META, "commit_transaction", id, NULL);
        struct request *second = world_begin(&world, META, "commit_transaction", id, NULL);
        cr_assert(not(world_is_answered(&world, first)));
        cr_assert(not(world_is_answered(&world, second)));
        if (!ends_well) world_run(&world, SECOND);
        world_link(&world);
        const char *answer = world_finish(&world, first);
        cr_assert(eq(int, answer != NULL, ends_well));
        answer = world_finish(&world, second);
        cr_assert(eq(int, answer != NULL, ends_well));
        if (!ends_well) cr_assert(error_says(world.error, ERROR_NO_SUCH_TRANSACTION, ""));
    }
    assert_text(on_replica(&world), "{\"key\"=1;\"value\"=\"a\";\"sum\"=#;};\n");
    world_release(&world);
}

Test(replication, stops_at_an_unmounted_table_and_goes_on_when_it_is_mounted)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    insert(&world, "{key=1}");
    wait_until_caught_up(&world, id);
    world_do(&world, REPLICA, "unmount_table", R, NULL);
    insert(&world, "{key=2}");
    assert_error(&world, id, "Table //tmp/r has no mounted tablets");
    world_run(&world, 5 * SECOND);
    cr_assert(ne(str, (char *)attribute(&world, id, "replication_lag_time"), "0"));
    world_do(&world, REPLICA, "mount_table", R, NULL);
    wait_until_caught_up(&world, id);
    assert_text(
        on_replica(&world),
        "{\"key\"=1;\"value\"=#;\"sum\"=#;};\n{\"key\"=2;\"value\"=#;\"sum\"=#;};\n");
    assert_text(attribute(&world, id, "replication_lag_time"), "0");
    world_release(&world);
}

Test(replication, ends_with_an_error_when_the_table_is_removed)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    insert(&world, "{key=1}");
    wait_until_caught_up(&world, id);
    world_do(&world, REPLICA, "remove", R, NULL);
    assert_error(&world, id, "//tmp/r"); // Nothing is written meanwhile.
    const char *parameters = world_text(
        &world,
        "{type=table;path=\"//tmp/r\";attributes={dynamic=%%true;upstream_replica_id=\"%s\";"
        "schema=" WORLD_SCHEMA "}}",
        id);
    world_do(&world, REPLICA, "create", parameters, NULL);
    world_do(&world, REPLICA, "mount_table", R, NULL);
    assert_error(&world, id, "is behind a position that it had reached");
    assert_text(on_replica(&world), "");
    world_release(&world);
}

Test(replication, stops_at_a_missing_column_and_goes_on_when_it_is_added)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    world_do(&world, META, "unmount_table", T, NULL);
    world_do(
        &world,
        META,
        "alter_table",
        "{path=\"//tmp/t\";schema=[" KEY
        ";{name=value;type=string};{name=sum;type=int64;aggregate=sum};{name=more;type=int64}]}",
        NULL);
    world_do(&world, META, "mount_table", T, NULL);
    insert(&world, "{key=1}"); // Its null in the new column does no harm.
    wait_until_caught_up(&world, id);
    insert(&world, "{key=2;more=5}");
    assert_error(&world, id, "Unexpected column \\\"more\\\"");
    world_do(&world, REPLICA, "unmount_table", R, NULL);
    world_do(
        &world,
        REPLICA,
        "alter_table",
        "{path=\"//tmp/r\";schema=[" KEY
        ";{name=value;type=string};{name=sum;type=int64;aggregate=sum};{name=more;type=int64}]}",
        NULL);
    world_do(&world, REPLICA, "mount_table", R, NULL);
    wait_until_caught_up(&world, id);
    assert_text(
        world_do(
            &world, REPLICA, "lookup_rows", "{path=\"//tmp/r\";column_names=[more]}", "{key=2}"),
        "{\"more\"=5;};\n");
    world_release(&world);
}

// Replicas of //tmp/t that cannot work, by what is wrong about their tables.
Test(replication, refuses_tables_that_do_not_fit)
{
    const struct {
        const char *create; // %s: the replica's id.
        const char *text;
    } cases[] = {
        {"{type=table;path=\"//tmp/x\";attributes={dynamic=%%true;schema=" WORLD_SCHEMA
         ";upstream_replica_id=\"1-2-3-4\"}}",
         "Mismatched upstream replica: expected 1-2-3-4, got "},
        {"{type=table;path=\"//tmp/x\";attributes={dynamic=%%true;schema=" WORLD_SCHEMA "}}",
         "Table is not bound to any upstream replica but replica "},
        {"{type=table;path=\"//tmp/"
         "x\";attributes={dynamic=%%true;schema=[{name=value;type=string}];"
         "upstream_replica_id=\"%s\"}}",
         "Replicated table and replica table should be either both sorted or both ordered, but "
         "replicated table is sorted and replica table is ordered"},
        {"{type=map_node;path=\"//tmp/x\";attributes={a=\"%s\"}}", "//tmp/x"},
        {"{type=map_node;path=\"//tmp/y\";attributes={a=\"%s\"}}", "Error resolving path //tmp/x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct machine_world world;
        world_init(&world, 2);
        world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
        const char *quoted = world_do(
            &world,
            META,
            "create",
            "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;"
            "replica_path=\"//tmp/x\";enabled=%true}}",
            NULL);
        const char *id = world_text(&world, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
        world_do(&world, REPLICA, "create", world_text(&world, cases[i].create, id), NULL);
        const char *mount = "{path=\"//tmp/x\"}";
        error_free(world.error);
        world.error = NULL;
        world_try(&world, REPLICA, "mount_table", mount, NULL);
        assert_error(&world, id, cases[i].text);
        world_do(&world, META, "insert_rows", T, "{key=1}"); // The other replica is not affected.
        world_release(&world);
    }
}

Test(replication, mends_itself_when_the_upstream_id_is_mended)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    world_do(&world, REPLICA, "unmount_table", R, NULL);
    world_do(
        &world, REPLICA, "alter_table", "{path=\"//tmp/r\";upstream_replica_id=\"1-2-3-4\"}", NULL);
    world_do(&world, REPLICA, "mount_table", R, NULL);
    insert(&world, "{key=1}");
    assert_error(&world, id, "Mismatched upstream replica");
    const char *errors = world_do(&world, META, "get_tablet_errors", T, NULL);
    cr_assert(ne(ptr, strstr(errors, "\"code\"=1718"), NULL));
    world_do(&world, REPLICA, "unmount_table", R, NULL);
    const char *parameters =
        world_text(&world, "{path=\"//tmp/r\";upstream_replica_id=\"%s\"}", id);
    world_do(&world, REPLICA, "alter_table", parameters, NULL);
    world_do(&world, REPLICA, "mount_table", R, NULL);
    wait_until_caught_up(&world, id);
    assert_text(on_replica(&world), "{\"key\"=1;\"value\"=#;\"sum\"=#;};\n");
    world_release(&world);
}

Test(replication, stops_when_disabled_and_goes_on_when_enabled)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    insert(&world, "{key=1};{key=2}");
    world_run(&world, SECOND);
    alter(&world, id, "enabled=%false");
    assert_text(attribute(&world, id, "state"), "disabled");
    assert_text(attribute(&world, id, "tablets/0/current_replication_row_index"), "2");
    insert(&world, "{key=3}");
    world_run(&world, 10 * SECOND);
    assert_text(attribute(&world, id, "tablets/0/current_replication_row_index"), "2");
    assert_text(
        on_replica(&world),
        "{\"key\"=1;\"value\"=#;\"sum\"=#;};\n{\"key\"=2;\"value\"=#;\"sum\"=#;};\n");
    alter(&world, id, "enabled=%true");
    assert_text(attribute(&world, id, "state"), "enabled");
    wait_until_caught_up(&world, id);
    world_release(&world);
}

// Behaviour 3.3.
Test(replication, drains_a_frozen_queue)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    world_unlink(&world);
    insert(&world, "{key=1};{key=2};{key=3}");
    world_do(&world, META, "freeze_table", T, NULL);
    world_wait(&world, META, "//tmp/t/@tablet_state", "frozen");
    assert_text(attribute(&world, id, "tablets/0/flushed_row_count"), "3");
    assert_text(attribute(&world, id, "tablets/0/current_replication_row_index"), "0");
    assert_refused(
        &world,
        META,
        "insert_rows",
        "{path=\"//tmp/t\";require_sync_replica=%false}",
        "{key=4}",
        1702,
        "\"frozen\"");
    world_link(&world);
    wait_for(&world, id, "tablets/0/current_replication_row_index", "3");
    wait_for(&world, id, "tablets/0/committed_replication_row_index", "3");
    world_do(&world, META, "unfreeze_table", T, NULL);
    insert(&world, "{key=4}");
    wait_until_caught_up(&world, id);
    world_release(&world);
}

Test(replication, waits_for_a_mount_and_needs_nothing_else)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    world_unlink(&world);
    insert(&world, "{key=1}");
    world_do(&world, META, "unmount_table", T, NULL);
    assert_text(attribute(&world, id, "state"), "enabled");
    assert_text(attribute(&world, id, "tablets/0/state"), "none");
    world_link(&world);
    world_run(&world, 10 * SECOND);
    assert_text(attribute(&world, id, "tablets/0/current_replication_row_index"), "0");
    world_do(&world, META, "mount_table", T, NULL);
    wait_until_caught_up(&world, id);
    assert_text(attribute(&world, id, "tablets/0/state"), "enabled");
    world_release(&world);
}

Test(replication, ends_with_the_replica_and_frees_its_part_of_the_log)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    world_do(&world, META, "set", "{path=\"//tmp/t/@min_replication_log_ttl\"}", "0");
    world_do(&world, META, "remount_table", T, NULL);
    const char *quoted = world_do(
        &world,
        META,
        "create",
        "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;replica_path="
        "\"//tmp/never\"}}",
        NULL);
    const char *other = world_text(&world, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
    for (int i = 0; i < 10; i++) {
        insert(&world, world_text(&world, "{key=%d}", i));
        world_run(&world, SECOND);
    }
    wait_until_caught_up(&world, id);
    world_run(&world, 30 * SECOND);
    assert_text(world_get(&world, META, "//tmp/t/@tablets/0/trimmed_row_count"), "0");
    world_do(&world, META, "remove", world_text(&world, "{path=\"#%s\"}", other), NULL);
    assert_text(
        world_do(
            &world,
            META,
            "exists",
            world_text(&world, "{path=\"//tmp/t/@replicas/%s\"}", other),
            NULL),
        "%false");
    world_wait(&world, META, "//tmp/t/@tablets/0/trimmed_row_count", "10");
    insert(&world, "{key=100}");
    wait_until_caught_up(&world, id);
    world_release(&world);
}

Test(replication, survives_restarts_of_either_side)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    for (int i = 0; i < 6; i++) {
        const char *row = world_text(&world, "{key=1;sum=%d}", 1 << i);
        world_do(
            &world, META, "insert_rows", "{path=\"//tmp/t\";update=%true;aggregate=%true}", row);
        world_restart(&world, i % 2);
        world_run(&world, 5 * SECOND);
    }
    wait_until_caught_up(&world, id);
    assert_text(on_replica(&world), "{\"key\"=1;\"value\"=#;\"sum\"=63;};\n");
    world_release(&world);
}

Test(replication, begins_where_a_replica_says)
{
    const struct {
        const char *start;
        const char *rows;
    } cases[] = {
        {"start_replication_row_indexes=[0]", "123"},
        {"start_replication_row_indexes=[1]", "23"},
        {"start_replication_row_indexes=[2]", "3"},
        {"", "123"},
        {"start_replication_timestamp=%s", "3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct machine_world world;
        world_init(&world, 2);
        const char *first = world_replicate(&world, "//tmp/t", "//tmp/other", "sync");
        insert(&world, "{key=1}");
        insert(&world, "{key=2}");
        wait_until_caught_up(&world, first);
        const char *timestamp = world_do(&world, META, "generate_timestamp", "{}", NULL);
        const char *start = world_text(&world, cases[i].start, timestamp);
        const char *quoted = world_do(
            &world,
            META,
            "create",
            world_text(
                &world,
                "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;"
                "replica_path=\"//tmp/r\";enabled=%%true;%s}}",
                start),
            NULL);
        world_do(
            &world,
            REPLICA,
            "create",
            world_text(
                &world,
                "{type=table;path=\"//tmp/r\";attributes={dynamic=%%true;schema=" WORLD_SCHEMA
                ";upstream_replica_id=%s}}",
                quoted),
            NULL);
        world_do(&world, REPLICA, "mount_table", R, NULL);
        insert(&world, "{key=3}");
        const char *id = world_text(&world, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
        wait_until_caught_up(&world, id);
        CLEANUP(buffer_releasep) struct buffer expected = {0};
        for (const char *row = cases[i].rows; *row; row++) {
            buffer_print(&expected, "{\"key\"=%c;\"value\"=#;\"sum\"=#;};\n", *row);
        }
        buffer_append_byte(&expected, 0);
        const char *found = on_replica(&world);
        cr_assert(eq(str, (char *)found, expected.data), "case %zu", i);
        world_release(&world);
    }
}

Test(replication, without_timestamps_preserved_needs_no_upstream_id)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/other", "sync");
    world_do(
        &world,
        REPLICA,
        "create",
        "{type=table;path=\"//tmp/r\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}",
        NULL);
    world_do(&world, REPLICA, "mount_table", R, NULL);
    const char *quoted = world_do(
        &world,
        META,
        "create",
        "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;replica_path="
        "\"//tmp/r\";enabled=%true;preserve_timestamps=%false}}",
        NULL);
    const char *id = world_text(&world, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
    insert(&world, "{key=1;value=a}");
    wait_until_caught_up(&world, id);
    world_do(&world, REPLICA, "insert_rows", R, "{key=2;value=b}"); // Others may write there, too.
    assert_text(
        on_replica(&world),
        "{\"key\"=1;\"value\"=\"a\";\"sum\"=#;};\n{\"key\"=2;\"value\"=\"b\";\"sum\"=#;};\n");
    world_release(&world);
}

Test(replication, keeps_others_from_writing_to_a_bound_table)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    const char *text = world_text(
        &world, "Table is bound to upstream replica %s; direct modifications are forbidden", id);
    assert_refused(&world, REPLICA, "insert_rows", R, "{key=1}", 1, text);
    assert_refused(&world, REPLICA, "delete_rows", R, "{key=1}", 1, text);
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// Reads through the meta-cluster

Test(replication, serves_reads_by_replicas_in_sync_only)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    insert(&world, "{key=1;value=a}");
    wait_until_caught_up(&world, id);
    const char *select = "{query=\"value from [//tmp/t]\"}";
    assert_refused(
        &world,
        META,
        "lookup_rows",
        T,
        "{key=1}",
        1736,
        "No in-sync replicas found for table //tmp/t");
    assert_text(world_do(&world, META, "lookup_rows", T, ""), "");
    assert_refused(
        &world, META, "select_rows", select, NULL, 1736, "No in-sync replicas found for table");
    alter(&world, id, "mode=sync");
    wait_until_caught_up(&world, id);
    assert_text(
        world_do(&world, META, "lookup_rows", T, "{key=1}"),
        "{\"key\"=1;\"value\"=\"a\";\"sum\"=#;};\n");
    assert_text(world_do(&world, META, "select_rows", select, NULL), "{\"value\"=\"a\";};\n");
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/plain\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}",
        NULL);
    assert_refused(
        &world,
        META,
        "select_rows",
        "{query=\"a.value from [//tmp/t] as a join [//tmp/plain] as b on a.key = b.key\"}",
        NULL,
        1,
        "Query involves both replicated and non-replicated tables");
    world_release(&world);
}

Test(replication, serves_reads_of_the_past)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_do(&world, META, "insert_rows", T, "{key=1;value=a}");
    const char *timestamp = world_do(&world, META, "generate_timestamp", "{}", NULL);
    world_do(&world, META, "insert_rows", T, "{key=1;value=b}");
    const char *parameters = world_text(&world, "{path=\"//tmp/t\";timestamp=%s}", timestamp);
    assert_text(
        world_do(&world, META, "lookup_rows", parameters, "{key=1}"),
        "{\"key\"=1;\"value\"=\"a\";\"sum\"=#;};\n");
    world_release(&world);
}

Test(replication, one_transaction_writes_replicated_and_ordinary_tables)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/plain\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}",
        NULL);
    world_do(&world, META, "mount_table", "{path=\"//tmp/plain\"}", NULL);
    for (int round = 0; round < 2; round++) {
        const char *quoted = world_do(&world, META, "start_transaction", "{type=tablet}", NULL);
        const char *tables[] = {"t", "plain"};
        for (int i = 0; i < 2; i++) {
            const char *parameters =
                world_text(&world, "{transaction_id=%s;path=\"//tmp/%s\"}", quoted, tables[i]);
            world_do(
                &world, META, "insert_rows", parameters, world_text(&world, "{key=%d}", round));
        }
        const char *commit = world_text(&world, "{transaction_id=%s}", quoted);
        if (round == 0) {
            world_do(&world, META, "commit_transaction", commit, NULL);
            continue;
        }
        world_unlink(&world); // The replica cannot take part, so nobody does.
        assert_refused(&world, META, "commit_transaction", commit, NULL, 1732, "not in-sync");
        world_link(&world);
    }
    const char *row = "{\"key\"=0;\"value\"=#;\"sum\"=#;};\n";
    world_run(&world, 5 * SECOND);
    assert_text(on_replica(&world), row);
    assert_text(
        world_do(&world, META, "lookup_rows", "{path=\"//tmp/plain\"}", "{key=0};{key=1}"), row);
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// Replicas as objects

Test(replication, replicas_are_created_with_care)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/plain\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}",
        NULL);
    const struct {
        const char *attributes;
        int code;
        const char *text;
    } cases[] = {
        {"cluster_name=replica;replica_path=\"//tmp/x\"", 1, "Attribute \"table_path\" is missing"},
        {"table_path=\"//tmp/t\";replica_path=\"//tmp/x\"",
         1,
         "Attribute \"cluster_name\" is missing"},
        {"table_path=\"//tmp/t\";cluster_name=replica", 1, "Attribute \"replica_path\" is missing"},
        {"table_path=\"//tmp/x\";cluster_name=replica;replica_path=\"//tmp/x\"",
         500,
         "Error resolving path //tmp/x"},
        {"table_path=\"//tmp/plain\";cluster_name=replica;replica_path=\"//tmp/x\"",
         1,
         "//tmp/plain is not a replicated table"},
        {"table_path=\"//tmp/t\";cluster_name=moon;replica_path=\"//tmp/x\"",
         1,
         "Cannot find cluster with name \"moon\""},
        {"table_path=\"//tmp/t\";cluster_name=replica;replica_path=\"//tmp/r\"",
         1705,
         "Replica table //tmp/r at cluster \"replica\" already exists"},
        {"table_path=\"//tmp/t\";cluster_name=replica;replica_path=\"//tmp/x\";"
         "preserve_timestamps=%false;atomicity=none",
         1706,
         "Cannot create replica table: incompatible atomicity and preserve_timestamps"},
        {"table_path=\"//tmp/t\";cluster_name=replica;replica_path=\"//tmp/x\";"
         "start_replication_row_indexes=[0;0]",
         1,
         "Invalid size of \"start_replication_row_indexes\": expected zero or 1, got 2"},
        {"table_path=\"//tmp/t\";cluster_name=replica;replica_path=\"//tmp/x\";"
         "start_replication_row_indexes=[5]",
         1,
         "is not in the replication log"},
        {"table_path=\"//tmp/t\";cluster_name=replica;replica_path=\"//tmp/x\";mode=async_to_sync",
         1,
         "Invalid replica mode \"async_to_sync\""},
        {"table_path=\"//tmp/t\";cluster_name=replica;replica_path=\"//tmp/x\";atomicity=some",
         1,
         "Invalid atomicity \"some\""},
        {"table_path=\"//tmp/t\";cluster_name=replica;replica_path=\"//tmp/x\";"
         "start_replication_timestamp=0",
         1,
         "Invalid start_replication_timestamp"},
        {"table_path=\"//tmp/t\";cluster_name=replica;replica_path=\"//tmp/x\";enabled=maybe",
         1,
         "enabled"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *parameters =
            world_text(&world, "{type=table_replica;attributes={%s}}", cases[i].attributes);
        assert_refused(&world, META, "create", parameters, NULL, cases[i].code, cases[i].text);
    }
    world_release(&world);
}

Test(replication, replicas_show_what_they_are)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *first = world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    const char *quoted = world_do(
        &world,
        META,
        "create",
        "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;replica_path="
        "\"//tmp/x\";preserve_timestamps=\"false\";color=red}}",
        NULL);
    const char *id = world_text(&world, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
    const char *expected[][2] = {
        {"type", "table_replica"},
        {"table_path", "//tmp/t"},
        {"cluster_name", "replica"},
        {"replica_path", "//tmp/x"},
        {"state", "disabled"},
        {"mode", "async"},
        {"preserve_timestamps", "%false"},
        {"atomicity", "full"},
        {"start_replication_timestamp", "1u"},
        {"enable_replicated_table_tracker", "%true"},
        {"color", "red"},
        {"error_count", "0"},
        {"replication_lag_time", "0"},
        {"tablets/0/state", "disabled"},
        {"tablets/0/has_error", "%false"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_text(attribute(&world, id, expected[i][0]), expected[i][1]);
    }
    const char *path = world_text(&world, "{path=\"#%s/@enable_replicated_table_tracker\"}", id);
    world_do(&world, META, "set", path, "%false");
    assert_text(attribute(&world, id, "enable_replicated_table_tracker"), "%false");
    assert_refused(&world, META, "set", path, "5", 1, "must be boolean");
    path = world_text(&world, "{path=\"#%s/@mode\"}", first);
    assert_refused(&world, META, "set", path, "async", 1, "Builtin attribute \"mode\"");
    assert_text(
        world_get(&world, META, world_text(&world, "//tmp/t/@replicas/%s", id)),
        "{\"cluster_name\"=\"replica\";\"replica_path\"=\"//tmp/x\";\"state\"=\"disabled\";"
        "\"mode\"=\"async\";\"replication_lag_time\"=0;\"error_count\"=0;"
        "\"replicated_table_tracker_enabled\"=%false;}");
    world_do(&world, META, "insert_rows", T, "{key=1}");
    world_run(&world, SECOND);
    cr_assert(lt(i64, 1000000, strtoll(attribute(&world, id, "replication_lag_time"), NULL, 10)));
    world_release(&world);
}

Test(replication, replicas_are_altered_with_care)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    const struct {
        const char *change;
        int code;
        const char *text;
    } cases[] = {
        {"mode=async_to_sync", 1, "Invalid replica mode \"async_to_sync\""},
        {"mode=5", 1, "mode"},
        {"enabled=maybe", 1, "enabled"},
        {"atomicity=some", 1, "Invalid atomicity \"some\""},
        {"atomicity=none;preserve_timestamps=%false",
         1706,
         "Cannot set atomicity none with preserveTimestamps false"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *parameters = world_text(&world, "{replica_id=\"%s\";%s}", id, cases[i].change);
        assert_refused(
            &world, META, "alter_table_replica", parameters, NULL, cases[i].code, cases[i].text);
    }
    assert_refused(
        &world,
        META,
        "alter_table_replica",
        "{replica_id=\"1-2-3-4\";mode=sync}",
        NULL,
        500,
        "No such table replica 1-2-3-4");
    struct replica *replica = world_table(&world, META, "//tmp/t")->replicas[0];
    struct tablet *tablet = &replica->table->tablets[0];
    tablet->state = TABLET_UNMOUNTING;
    tablet->undecided_count++;
    const char *parameters = world_text(&world, "{replica_id=\"%s\";enabled=%%false}", id);
    assert_refused(
        &world,
        META,
        "alter_table_replica",
        parameters,
        NULL,
        1706,
        world_text(
            &world,
            "Cannot alter \"enabled\" replica flag since tablet %s is in \"unmounting\" state",
            GUID_TEXT(tablet->id)));
    tablet->state = TABLET_MOUNTED;
    replica->state = REPLICA_STATE_DISABLING;
    world.is_link_held = true;
    world_finish(
        &world,
        world_begin(
            &world,
            META,
            "alter_table_replica",
            world_text(&world, "{replica_id=\"%s\";enabled=%%true}", id),
            NULL));
    cr_assert(error_says(
        world.error, 1706, world_text(&world, "Table replica %s is in \"disabling\" state", id)));
    tablet->undecided_count--;
    world_release(&world);
}

// Behaviour 6.4.
Test(replication, in_sync_replicas_are_told)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    world_do(
        &world,
        META,
        "create",
        "{type=replicated_table;path=\"//tmp/o\";attributes={dynamic=%true;schema=[{name=v;type="
        "string}]}}",
        NULL);
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/plain\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}",
        NULL);
    const char *all = world_text(&world, "[\"%s\";]", id);
    insert(&world, "{key=1}");
    const char *timestamp = world_do(&world, META, "generate_timestamp", "{}", NULL);
    const char *at = world_text(&world, "{path=\"//tmp/t\";timestamp=%s}", timestamp);
    const char *now = "{path=\"//tmp/t\";timestamp=4611686018427387649u}";
    world_run(&world, 5 * SECOND);
    assert_text(world_do(&world, META, "get_in_sync_replicas", at, "{key=1}"), all);
    assert_text(world_do(&world, META, "get_in_sync_replicas", now, "{key=1}"), "[]");
    assert_text(world_do(&world, META, "get_in_sync_replicas", now, ""), all);
    const char *all_keys =
        world_text(&world, "{path=\"//tmp/t\";timestamp=%s;all_keys=%%true}", timestamp);
    assert_text(world_do(&world, META, "get_in_sync_replicas", all_keys, NULL), all);
    alter(&world, id, "mode=sync");
    world_run(&world, 5 * SECOND);
    assert_text(world_do(&world, META, "get_in_sync_replicas", now, "{key=1}"), all);
    alter(&world, id, "enabled=%false");
    assert_text(world_do(&world, META, "get_in_sync_replicas", at, "{key=1}"), "[]");
    assert_text(world_do(&world, META, "get_in_sync_replicas", at, ""), all);
    const struct {
        const char *parameters;
        int code;
        const char *text;
    } cases[] = {
        {"{path=\"//tmp/t\"}", 1, "Invalid GetInSyncReplicas timestamp 0"},
        {"{path=\"//tmp/t\";timestamp=4611686018427387651u}",
         1,
         "Invalid GetInSyncReplicas timestamp 3fffffffffffff03"},
        {"{path=\"//tmp/o\";timestamp=1}", 1716, "Table //tmp/o is not sorted"},
        {"{path=\"//tmp/plain\";timestamp=1}", 1, "Table //tmp/plain is not replicated"},
        {"{path=\"//tmp/x\";timestamp=1}", 500, "Error resolving path //tmp/x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(
            &world,
            META,
            "get_in_sync_replicas",
            cases[i].parameters,
            "{key=1}",
            cases[i].code,
            cases[i].text);
    }
    world_do(&world, META, "unmount_table", T, NULL);
    assert_refused(
        &world, META, "get_in_sync_replicas", at, "{key=1}", 1702, "is in \"unmounted\" state");
    world_release(&world);
}

static uint64_t number_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    cr_assert(ne(ptr, (void *)at, NULL), "%s is not in %s", name, text);
    return strtoull(at + strlen(name), NULL, 10);
}

Test(replication, tablet_infos_are_told)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_do(&world, META, "insert_rows", T, "{key=1};{key=2}");
    const char *infos =
        world_do(&world, META, "get_tablet_infos", "{path=\"//tmp/t\";tablet_indexes=[0]}", NULL);
    cr_assert(eq(u64, number_after(infos, "\"total_row_count\"="), 2));
    cr_assert(eq(u64, number_after(infos, "\"trimmed_row_count\"="), 0));
    cr_assert(eq(u64, number_after(infos, "\"current_replication_row_index\"="), 2));
    uint64_t barrier = number_after(infos, "\"barrier_timestamp\"=");
    cr_assert(le(u64, number_after(infos, "\"last_replication_timestamp\"="), barrier));
    cr_assert(le(u64, number_after(infos, "\"last_write_timestamp\"="), barrier));
    const struct {
        const char *parameters;
        int code;
        const char *text;
    } cases[] = {
        {"{path=\"//tmp/t\"}", 1, "tablet_indexes"},
        {"{path=\"//tmp/t\";tablet_indexes=0}", 1, "tablet_indexes"},
        {"{path=\"//tmp/t\";tablet_indexes=[1]}",
         1,
         "Invalid tablet index: actual 1, expected in range [0, 0]"},
        {"{path=\"//tmp/t\";tablet_indexes=[-1]}", 1, "Invalid tablet index: actual -1"},
        {"{path=\"//tmp/t\";tablet_indexes=[a]}", 1, "Invalid tablet index"},
        {"{path=\"//tmp/x\";tablet_indexes=[0]}", 500, "Error resolving path //tmp/x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(
            &world,
            META,
            "get_tablet_infos",
            cases[i].parameters,
            NULL,
            cases[i].code,
            cases[i].text);
    }
    world_release(&world);
}

Test(replication, of_ordered_tables_keeps_the_order)
{
    struct machine_world world;
    world_init(&world, 2);
    world_do(
        &world,
        META,
        "create",
        "{type=replicated_table;path=\"//tmp/t\";attributes={dynamic=%true;schema=[{name=v;type="
        "int64}]}}",
        NULL);
    world_do(&world, META, "mount_table", T, NULL);
    const char *quoted = world_do(
        &world,
        META,
        "create",
        "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;replica_path="
        "\"//tmp/r\";mode=sync;enabled=%true}}",
        NULL);
    world_do(
        &world,
        REPLICA,
        "create",
        world_text(
            &world,
            "{type=table;path=\"//tmp/r\";attributes={dynamic=%%true;schema=[{name=v;type=int64}];"
            "upstream_replica_id=%s}}",
            quoted),
        NULL);
    world_do(&world, REPLICA, "mount_table", R, NULL);
    world_run(&world, 5 * SECOND);
    world_do(&world, META, "insert_rows", T, "{v=1};{v=2}");
    world_do(&world, META, "insert_rows", T, "{v=3}");
    const char *rows = world_do(
        &world, REPLICA, "select_rows", "{query=\"[$row_index] as i, v from [//tmp/r]\"}", NULL);
    assert_text(rows, "{\"i\"=0;\"v\"=1;};\n{\"i\"=1;\"v\"=2;};\n{\"i\"=2;\"v\"=3;};\n");
    assert_refused(
        &world,
        META,
        "delete_rows",
        T,
        "{v=1}",
        1716,
        "Cannot perform deletes in a non-sorted table");
    assert_refused(
        &world,
        META,
        "trim_rows",
        "{path=\"//tmp/t\";tablet_index=0;trimmed_row_count=1}",
        NULL,
        1,
        "cannot be trimmed");
    world_release(&world);
}

// What asynchronous replicas show at `last_consistent` is one state over all tablets.
Test(replication, reads_an_asynchronous_replica_at_its_last_consistent_state)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    world_run(&world, SECOND);
    const char *rows = "{path=\"//tmp/t\";require_sync_replica=%false}";
    world_do(&world, META, "insert_rows", rows, "{key=1;value=a}");
    world_do(&world, META, "wait_replicas", "{path=\"//tmp/t\"}", NULL);
    const char *query = "{query=\"value from [//tmp/r]\";timestamp=last_consistent}";
    world_run(&world, SECOND);
    assert_text(world_do(&world, REPLICA, "select_rows", query, NULL), "{\"value\"=\"a\";};\n");
    assert_text(
        world_do(
            &world,
            REPLICA,
            "lookup_rows",
            "{path=\"//tmp/r\";timestamp=last_consistent;column_names=[value]}",
            "{key=1}"),
        "{\"value\"=\"a\";};\n");

    // Read your writes: it waits for the timestamp, or says that it is not there.
    world.is_link_held = true;
    world_do(&world, META, "insert_rows", rows, "{key=1;value=b}");
    const char *after = world_do(&world, META, "generate_timestamp", "{}", NULL);
    const char *at = world_text(
        &world, "{query=\"value from [//tmp/r]\";min_timestamp=%.*s}", (int)strlen(after), after);
    assert_text(world_do(&world, REPLICA, "select_rows", query, NULL), "{\"value\"=\"a\";};\n");
    struct request *request = world_begin(&world, REPLICA, "select_rows", at, NULL);
    world_run(&world, SECOND);
    cr_assert(not(world_is_answered(&world, request)));
    world.is_link_held = false;
    world_do(&world, META, "insert_rows", rows, "{key=2;value=c}");
    world_run(&world, SECOND);
    assert_text(world_finish(&world, request), "{\"value\"=\"b\";};\n{\"value\"=\"c\";};\n");
    world_unlink(&world);
    const char *later = world_do(&world, META, "generate_timestamp", "{}", NULL);
    at = world_text(&world, "{query=\"* from [//tmp/r]\";min_timestamp=%s}", later);
    cr_assert(world_try(&world, REPLICA, "select_rows", at, NULL) == NULL);
    cr_assert(error_says(world.error, 3, "does not have the asked timestamp yet"));
    assert_refused(
        &world,
        REPLICA,
        "select_rows",
        world_text(&world, "{query=\"* from [//tmp/r]\";timestamp=5u;min_timestamp=%s}", later),
        NULL,
        1,
        "cannot have a greater");
    world_release(&world);
}

// Records that lie further apart than max_replication_batch_span travel in batches of their own.
Test(replication, batches_span_no_more_time_than_allowed)
{
    static const struct {
        const char *span_ms;
        uint64_t batch_count;
    } CASES[] = {{"30000", 1}, {"1000", 4}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct machine_world world;
        world_init(&world, 2);
        const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
        const char *span = "{path=\"//tmp/t/@max_replication_batch_span\"}";
        world_do(&world, META, "set", span, CASES[i].span_ms);
        world_do(&world, META, "remount_table", T, NULL);
        alter(&world, id, "enabled=%false");
        for (int j = 0; j < 4; j++) {
            insert(&world, world_text(&world, "{key=%d}", j));
            world_run(&world, 3 * SECOND);
        }
        const struct session *session = world_table(&world, META, "//tmp/t")->replicas[0]->session;
        uint64_t before = session->counters.batch_count;
        alter(&world, id, "enabled=%true");
        wait_until_caught_up(&world, id);
        cr_assert(eq(u64, session->counters.batch_count - before, CASES[i].batch_count));
        world_release(&world);
    }
}
