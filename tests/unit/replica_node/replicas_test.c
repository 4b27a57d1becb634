// Replicas as objects: created, shown, altered.
#include "rules.h"

#include "model/yson.h"

TestSuite(replicas, .fini = abort_on_leaks);

// What a replica is made with: what the attribute is without being given, a value and how it is
// shown, and a value that is refused and why.
Test(replicas, are_created_with_the_attributes_of_table_2_4)
{
    static const struct {
        const char *name;
        const char *shown_as;      // The attribute that shows it.
        const char *default_value; // NULL if it must be given; "" if it is not there without.
        const char *value;
        const char *shown;
        const char *wrong_value;
        int code;
        const char *error;
    } ROWS[] = {
        {"table_path", "table_path", NULL, "\"//tmp/t\"", "//tmp/t", "\"//tmp/x\"", 500, "//tmp/x"},
        {"table_path", "table_path", NULL, "\"//tmp/t\"", "//tmp/t", "5", 1, "expected \"string\""},
        {"table_path",
         "table_path",
         NULL,
         "\"//tmp/t\"",
         "//tmp/t",
         "\"//tmp/plain\"",
         1,
         "//tmp/plain is not a replicated table"},
        {"cluster_name",
         "cluster_name",
         NULL,
         "replica",
         "replica",
         "elsewhere",
         1,
         "Cannot find cluster with name \"elsewhere\""},
        {"replica_path",
         "replica_path",
         NULL,
         "\"//no/such\"",
         "//no/such",
         "5",
         1,
         "replica_path"},
        {"start_replication_timestamp",
         "start_replication_timestamp",
         "1u",
         "5u",
         "5u",
         "0u",
         1,
         "Invalid start_replication_timestamp"},
        {"start_replication_row_indexes",
         "tablets/1/current_replication_row_index",
         "0",
         "[0;2]",
         "2",
         "[0]",
         1,
         "Invalid size of \"start_replication_row_indexes\": expected zero or 2, got 1"},
        {"start_replication_row_indexes",
         "tablets/1/current_replication_row_index",
         "0",
         "[]",
         "0",
         "[0;-1]",
         1,
         "must hold row indexes"},
        {"start_replication_row_indexes",
         "tablets/1/current_replication_row_index",
         "0",
         "[0;1]",
         "0", // Both rows are of one transaction.
         "[0;3]",
         1,
         "Start row index 3 of tablet 1 is not in the replication log"},
        {"mode", "mode", "async", "sync", "sync", "sync_to_async", 1, "Invalid replica mode"},
        {"mode",
         "mode",
         "async",
         "async",
         "async",
         "async_to_sync",
         1,
         "Invalid replica mode \"async_to_sync\""},
        {"preserve_timestamps",
         "preserve_timestamps",
         "%true",
         "\"false\"", // Texts will do.
         "%false",
         "\"no\"",
         1,
         "preserve_timestamps"},
        {"atomicity", "atomicity", "full", "none", "none", "some", 1, "Invalid atomicity \"some\""},
        {"enabled", "state", "disabled", "%true", "enabled", "5", 1, "enabled"},
        {"enable_replicated_table_tracker",
         "enable_replicated_table_tracker",
         "%true",
         "%false",
         "%false",
         "5",
         1,
         "enable_replicated_table_tracker"},
        {"any_other", "any_other", "", "{a=1}", "{\"a\"=1;}", NULL, 0, NULL},
    };
    struct machine_world world;
    world_init(&world, 2);
    world_do(
        &world,
        META,
        "create",
        "{type=replicated_table;path=\"//tmp/t\";attributes={dynamic=%true;tablet_count=2;"
        "schema=[{name=a;type=int64}]}}",
        NULL);
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/plain\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}",
        NULL);
    world_do(&world, META, "mount_table", T, NULL);
    world_do(&world, META, "insert_rows", T, "{\"$tablet_index\"=1;a=1};{\"$tablet_index\"=1;a=2}");
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        // With a value, with a wrong one, and without the attribute.
        for (int j = 0; j < 3; j++) {
            const char *value = j == 0 ? ROWS[i].value : j == 1 ? ROWS[i].wrong_value : "#";
            if (!value) continue;
            struct arena arena CLEANUP(arena_releasep) = {0};
            struct node *attributes = NULL;
            const char *text = world_text(
                &world, "{table_path=\"//tmp/t\";cluster_name=replica;replica_path=\"//tmp/r\"}");
            error_free(yson_parse(&arena, slice_from_text(text), &attributes));
            struct node *given = NULL;
            error_free(yson_parse(&arena, slice_from_text(value), &given));
            node_set_text(&arena, attributes, ROWS[i].name, given);
            if (j == 2) node_remove(attributes, slice_from_text(ROWS[i].name));
            CLEANUP(buffer_releasep) struct buffer buffer = {0};
            yson_print(attributes, YSON_TEXT, &buffer);
            const char *parameters = world_text(
                &world, "{type=table_replica;attributes=%.*s}", SLICE(buffer_slice(&buffer)));
            if (j == 1) {
                int code = ROWS[i].code;
                assert_refused(&world, META, "create", parameters, NULL, code, ROWS[i].error);
                continue;
            }
            if (j == 2 && !ROWS[i].default_value) {
                const char *missing =
                    world_text(&world, "Attribute \"%s\" is missing", ROWS[i].name);
                assert_refused(&world, META, "create", parameters, NULL, 1, missing);
                continue;
            }
            const char *quoted = world_do(&world, META, "create", parameters, NULL);
            const char *id = world_text(&world, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
            const char *shown = j == 0 ? ROWS[i].shown : ROWS[i].default_value;
            const char *path = world_text(&world, "#%s/@%s", id, ROWS[i].shown_as);
            if (*shown) {
                assert_text(world_get(&world, META, path), shown);
            } else {
                const char *absent = world_text(&world, "{path=\"%s\"}", path);
                assert_refused(&world, META, "get", absent, NULL, 500, ROWS[i].name);
            }
            world_do(&world, META, "remove", world_text(&world, "{path=\"#%s\"}", id), NULL);
        }
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
