// Reads through the meta-cluster, and which replicas may serve them.
#include "rules.h"

TestSuite(in_sync, .fini = abort_on_leaks);

Test(in_sync, serves_reads_by_replicas_in_sync_only)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    rules_insert(&world, "{key=1;value=a}");
    rules_catch_up(&world, id);
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
    rules_alter(&world, id, "mode=sync");
    rules_catch_up(&world, id);
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

Test(in_sync, serves_reads_of_the_past)
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

// Behaviour 6.4.
Test(in_sync, in_sync_replicas_are_told)
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
    rules_insert(&world, "{key=1}");
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
    rules_alter(&world, id, "mode=sync");
    world_run(&world, 5 * SECOND);
    assert_text(world_do(&world, META, "get_in_sync_replicas", now, "{key=1}"), all);
    rules_alter(&world, id, "enabled=%false");
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

Test(in_sync, tablet_infos_are_told)
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

// What asynchronous replicas show at `last_consistent` is one state over all tablets.
Test(in_sync, reads_an_asynchronous_replica_at_its_last_consistent_state)
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
