// What stops replication to a replica, and how it goes on.
#include "rules.h"

TestSuite(obstacles, .fini = abort_on_leaks);

// What the replica's session complains about.
static void assert_error(struct machine_world *world, const char *id, const char *text)
{
    rules_wait_error(world, id, text);
    assert_text(rules_attribute(world, id, "error_count"), "1");
    assert_text(rules_attribute(world, id, "tablets/0/has_error"), "%true");
}

Test(obstacles, stops_at_an_unmounted_table_and_goes_on_when_it_is_mounted)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    rules_insert(&world, "{key=1}");
    rules_catch_up(&world, id);
    world_do(&world, REPLICA, "unmount_table", R, NULL);
    rules_insert(&world, "{key=2}");
    assert_error(&world, id, "Table //tmp/r has no mounted tablets");
    world_run(&world, 5 * SECOND);
    cr_assert(ne(str, (char *)rules_attribute(&world, id, "replication_lag_time"), "0"));
    world_do(&world, REPLICA, "mount_table", R, NULL);
    rules_catch_up(&world, id);
    assert_text(
        rules_rows(&world, REPLICA, "//tmp/r"),
        "{\"key\"=1;\"value\"=#;\"sum\"=#;};\n{\"key\"=2;\"value\"=#;\"sum\"=#;};\n");
    assert_text(rules_attribute(&world, id, "replication_lag_time"), "0");
    world_release(&world);
}

Test(obstacles, ends_with_an_error_when_the_table_is_removed)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    rules_insert(&world, "{key=1}");
    rules_catch_up(&world, id);
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
    assert_text(rules_rows(&world, REPLICA, "//tmp/r"), "");
    world_release(&world);
}

Test(obstacles, stops_at_a_missing_column_and_goes_on_when_it_is_added)
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
    rules_insert(&world, "{key=1}"); // Its null in the new column does no harm.
    rules_catch_up(&world, id);
    rules_insert(&world, "{key=2;more=5}");
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
    rules_catch_up(&world, id);
    assert_text(
        world_do(
            &world, REPLICA, "lookup_rows", "{path=\"//tmp/r\";column_names=[more]}", "{key=2}"),
        "{\"more\"=5;};\n");
    world_release(&world);
}

// Replicas of //tmp/t that cannot work, by what is wrong about their tables.
Test(obstacles, refuses_tables_that_do_not_fit)
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

Test(obstacles, mends_itself_when_the_upstream_id_is_mended)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    world_do(&world, REPLICA, "unmount_table", R, NULL);
    world_do(
        &world, REPLICA, "alter_table", "{path=\"//tmp/r\";upstream_replica_id=\"1-2-3-4\"}", NULL);
    world_do(&world, REPLICA, "mount_table", R, NULL);
    rules_insert(&world, "{key=1}");
    assert_error(&world, id, "Mismatched upstream replica");
    const char *errors = world_do(&world, META, "get_tablet_errors", T, NULL);
    cr_assert(ne(ptr, strstr(errors, "\"code\"=1718"), NULL));
    world_do(&world, REPLICA, "unmount_table", R, NULL);
    const char *parameters =
        world_text(&world, "{path=\"//tmp/r\";upstream_replica_id=\"%s\"}", id);
    world_do(&world, REPLICA, "alter_table", parameters, NULL);
    world_do(&world, REPLICA, "mount_table", R, NULL);
    rules_catch_up(&world, id);
    assert_text(rules_rows(&world, REPLICA, "//tmp/r"), "{\"key\"=1;\"value\"=#;\"sum\"=#;};\n");
    world_release(&world);
}

Test(obstacles, stops_when_disabled_and_goes_on_when_enabled)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    rules_insert(&world, "{key=1};{key=2}");
    world_run(&world, SECOND);
    rules_alter(&world, id, "enabled=%false");
    assert_text(rules_attribute(&world, id, "state"), "disabled");
    assert_text(rules_attribute(&world, id, "tablets/0/current_replication_row_index"), "2");
    rules_insert(&world, "{key=3}");
    world_run(&world, 10 * SECOND);
    assert_text(rules_attribute(&world, id, "tablets/0/current_replication_row_index"), "2");
    assert_text(
        rules_rows(&world, REPLICA, "//tmp/r"),
        "{\"key\"=1;\"value\"=#;\"sum\"=#;};\n{\"key\"=2;\"value\"=#;\"sum\"=#;};\n");
    rules_alter(&world, id, "enabled=%true");
    assert_text(rules_attribute(&world, id, "state"), "enabled");
    rules_catch_up(&world, id);
    world_release(&world);
}

// Behaviour 3.3.
Test(obstacles, drains_a_frozen_queue)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    world_unlink(&world);
    rules_insert(&world, "{key=1};{key=2};{key=3}");
    world_do(&world, META, "freeze_table", T, NULL);
    world_wait(&world, META, "//tmp/t/@tablet_state", "frozen");
    assert_text(rules_attribute(&world, id, "tablets/0/flushed_row_count"), "3");
    assert_text(rules_attribute(&world, id, "tablets/0/current_replication_row_index"), "0");
    assert_refused(
        &world,
        META,
        "insert_rows",
        "{path=\"//tmp/t\";require_sync_replica=%false}",
        "{key=4}",
        1702,
        "\"frozen\"");
    world_link(&world);
    rules_wait(&world, id, "tablets/0/current_replication_row_index", "3");
    rules_wait(&world, id, "tablets/0/committed_replication_row_index", "3");
    world_do(&world, META, "unfreeze_table", T, NULL);
    rules_insert(&world, "{key=4}");
    rules_catch_up(&world, id);
    world_release(&world);
}

Test(obstacles, waits_for_a_mount_and_needs_nothing_else)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    world_unlink(&world);
    rules_insert(&world, "{key=1}");
    world_do(&world, META, "unmount_table", T, NULL);
    assert_text(rules_attribute(&world, id, "state"), "enabled");
    assert_text(rules_attribute(&world, id, "tablets/0/state"), "none");
    world_link(&world);
    world_run(&world, 10 * SECOND);
    assert_text(rules_attribute(&world, id, "tablets/0/current_replication_row_index"), "0");
    world_do(&world, META, "mount_table", T, NULL);
    rules_catch_up(&world, id);
    assert_text(rules_attribute(&world, id, "tablets/0/state"), "enabled");
    world_release(&world);
}

Test(obstacles, ends_with_the_replica_and_frees_its_part_of_the_log)
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
        rules_insert(&world, world_text(&world, "{key=%d}", i));
        world_run(&world, SECOND);
    }
    rules_catch_up(&world, id);
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
    rules_insert(&world, "{key=100}");
    rules_catch_up(&world, id);
    world_release(&world);
}
