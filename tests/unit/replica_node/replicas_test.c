// Replicas as objects: created, shown, altered.
#include "rules.h"

TestSuite(replicas, .fini = abort_on_leaks);

Test(replicas, are_created_with_care)
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

Test(replicas, show_what_they_are)
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
        assert_text(rules_attribute(&world, id, expected[i][0]), expected[i][1]);
    }
    const char *path = world_text(&world, "{path=\"#%s/@enable_replicated_table_tracker\"}", id);
    world_do(&world, META, "set", path, "%false");
    assert_text(rules_attribute(&world, id, "enable_replicated_table_tracker"), "%false");
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
    cr_assert(
        lt(i64, 1000000, strtoll(rules_attribute(&world, id, "replication_lag_time"), NULL, 10)));
    world_release(&world);
}

Test(replicas, are_altered_with_care)
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
