// Replicas that go from one mode to the other.
#include "rules.h"

TestSuite(switching, .fini = abort_on_leaks);

#define SCHEMA "schema=[" KEY ";{name=value;type=string}]"
#define INDEX  "tablets/0/current_replication_row_index"
#define LOOKUP "{path=\"//tmp/t\";column_names=[key]}"

static void assert_not_in_sync(struct machine_world *world, const char *id)
{
    const char *text =
        world_text(world, "Cannot write to sync replica %s since it is not in-sync yet", id);
    assert_refused(world, META, "insert_rows", T, "{key=99}", 1732, text);
    assert_refused(world, META, "insert_rows", NO_SYNC, "{key=99}", 1732, text);
    assert_refused(world, META, "lookup_rows", LOOKUP, "{key=1}", 1736, "No in-sync replicas");
}

// It gets row 1, which it lacks, and then takes part in a write of row 2.
static void assert_catches_up(struct machine_world *world, const char *id)
{
    rules_catch_up(world, id);
    world_do(world, META, "insert_rows", T, "{key=2}");
    assert_text(
        rules_rows(world, REPLICA, "//tmp/r"),
        "{\"key\"=1;\"value\"=#;};\n{\"key\"=2;\"value\"=#;};\n");
}

Test(switching, a_caught_up_replica_that_becomes_sync_takes_writes_at_once)
{
    struct machine_world world;
    const char *id = rules_world(&world, SCHEMA, "mode=async");
    rules_insert(&world, "{key=1}");
    rules_catch_up(&world, id);
    uint64_t before_us = world.now_us;
    rules_alter(&world, id, "mode=sync");
    world_do(&world, META, "insert_rows", T, "{key=2}");
    assert_text(
        world_do(&world, META, "lookup_rows", LOOKUP, "{key=1};{key=2}"),
        "{\"key\"=1;};\n{\"key\"=2;};\n");
    cr_assert(lt(u64, world.now_us - before_us, SECOND));
    world_release(&world);
}

Test(switching, a_lagging_replica_that_becomes_sync_fails_writes_and_reads_until_it_has_caught_up)
{
    struct machine_world world;
    const char *id = rules_world(&world, SCHEMA, "mode=async");
    world_do(&world, REPLICA, "unmount_table", R, NULL);
    rules_insert(&world, "{key=1}");
    world_run(&world, 10 * SECOND);
    rules_alter(&world, id, "mode=sync");
    assert_not_in_sync(&world, id);
    // Writes go on with another one in sync only if all of them are.
    rules_replica(&world, "//tmp/q", "mode=sync", SCHEMA);
    const char *text = world_text(&world, "Cannot write to sync replica %s", id);
    assert_refused(&world, META, "insert_rows", T, "{key=99}", 1732, text);
    world_do(&world, META, "lookup_rows", LOOKUP, "{key=1}"); // Reads need one.
    world_do(&world, REPLICA, "mount_table", R, NULL);
    assert_catches_up(&world, id);
    world_release(&world);
}

Test(switching, a_disabled_replica_that_becomes_sync_fails_writes_and_loses_nothing)
{
    struct machine_world world;
    const char *id = rules_world(&world, SCHEMA, "mode=async");
    rules_alter(&world, id, "enabled=%false");
    rules_insert(&world, "{key=1}");
    rules_alter(&world, id, "mode=sync");
    world_run(&world, 10 * SECOND);
    assert_not_in_sync(&world, id);
    rules_alter(&world, id, "enabled=%true");
    assert_catches_up(&world, id);
    world_release(&world);
}

Test(switching, to_async_is_immediate_and_commits_in_flight_finish)
{
    struct machine_world world;
    const char *id = rules_world(&world, SCHEMA, "mode=sync");
    world.is_link_held = true;
    struct request *write = world_begin(&world, META, "insert_rows", NO_SYNC, "{key=1}");
    struct request *strict = world_begin(&world, META, "insert_rows", T, "{key=2}");
    world_run(&world, 10 * MS);
    cr_assert(not(world_is_answered(&world, write)));
    rules_alter(&world, id, "mode=async");
    assert_text(rules_attribute(&world, id, "mode"), "async");
    // What needs no sync replica is done without it now; the other waits for one to come.
    assert_text(world_finish(&world, write), "");
    cr_assert(not(world_is_answered(&world, strict)));
    world.is_link_held = false;
    cr_assert(world_finish(&world, strict) == NULL);
    cr_assert(error_says(world.error, 1714, "has no synchronous replicas"));
    assert_refused(&world, META, "insert_rows", T, "{key=3}", 1714, "no synchronous replicas");
    assert_refused(&world, META, "lookup_rows", LOOKUP, "{key=1}", 1736, "No in-sync replicas");
    rules_insert(&world, "{key=4}"); // The replicator goes on from where the commits stopped.
    rules_catch_up(&world, id);
    assert_text(
        rules_rows(&world, REPLICA, "//tmp/r"),
        "{\"key\"=1;\"value\"=#;};\n{\"key\"=4;\"value\"=#;};\n");
    world_release(&world);
}

Test(switching, to_async_leaves_writes_and_reads_to_another_sync_replica)
{
    struct machine_world world;
    const char *id = rules_world(&world, SCHEMA, "mode=sync");
    rules_replica(&world, "//tmp/q", "mode=sync", SCHEMA);
    rules_alter(&world, id, "mode=async");
    world_do(&world, META, "insert_rows", T, "{key=1}");
    assert_text(world_do(&world, META, "lookup_rows", LOOKUP, "{key=1}"), "{\"key\"=1;};\n");
    rules_catch_up(&world, id);
    world_release(&world);
}

Test(switching, again_and_again_neither_loses_rows_nor_doubles_them)
{
    struct machine_world world;
    world_init(&world, 2);
    // The sum of a column that is merged shows rows that came twice.
    const char *schema = "schema=[" KEY ";{name=sum;type=int64;aggregate=sum}]";
    rules_table(&world, META, "replicated_table", "//tmp/t", schema);
    const char *ids[] = {
        rules_replica(&world, "//tmp/r", "mode=sync", schema),
        rules_replica(&world, "//tmp/q", "mode=async", schema),
    };
    const char *merge = "{path=\"//tmp/t\";update=%true;aggregate=%true}";
    for (int i = 0; i < 20; i++) {
        world_do(&world, META, "insert_rows", merge, "{key=1;sum=1}");
        if (i % 3 == 0) world_run(&world, 30 * MS);
        const char *first = i % 2 == 0 ? "mode=async" : "mode=sync";
        const char *second = i % 2 == 0 ? "mode=sync" : "mode=async";
        rules_alter(&world, ids[0], first);
        rules_alter(&world, ids[1], second);
        for (int j = 0; j < 2; j++) {
            world_do(&world, META, "insert_rows", merge, "{key=1;sum=1}");
        }
    }
    const char *stamp = world_get(&world, META, "//tmp/t/@last_commit_timestamp");
    for (int i = 0; i < 2; i++) {
        rules_catch_up(&world, ids[i]);
        assert_text(rules_attribute(&world, ids[i], INDEX), "60");
        assert_text(
            rules_attribute(&world, ids[i], "tablets/0/current_replication_timestamp"), stamp);
        const char *path = i == 0 ? "//tmp/r" : "//tmp/q";
        assert_text(rules_rows(&world, REPLICA, path), "{\"key\"=1;\"sum\"=60;};\n");
    }
    world_release(&world);
}

Test(switching, a_sync_replica_without_its_table_fails_writes_until_it_is_async)
{
    static const char *const COMMANDS[] = {"unmount_table", "remove"};
    for (int i = 0; i < 2; i++) {
        struct machine_world world;
        const char *id = rules_world(&world, SCHEMA, "mode=sync");
        world_do(&world, META, "insert_rows", T, "{key=1}");
        world_do(&world, REPLICA, COMMANDS[i], R, NULL);
        const char *text =
            i == 0 ? "Table //tmp/r has no mounted tablets" : "Error resolving path //tmp/r";
        // The first may still be on its way when the table's absence is noticed.
        cr_assert(world_try(&world, META, "insert_rows", T, "{key=2}") == NULL);
        rules_wait_error(&world, id, text);
        cr_assert(world_try(&world, META, "insert_rows", T, "{key=2}") == NULL);
        cr_assert(error_says(world.error, 1732, "not in-sync"));
        cr_assert(error_says(world.error, 0, text)); // It says why.
        cr_assert(world_try(&world, META, "lookup_rows", LOOKUP, "{key=1}") == NULL);
        rules_alter(&world, id, "mode=async");
        rules_insert(&world, "{key=2}");
        world_release(&world);
    }
}
