// Replication from one machine to another: what arrives, in which order, and where it begins.
#include "rules.h"

#include "coordinator/core/sessions.h"

TestSuite(replication, .fini = abort_on_leaks);

Test(replication, a_sync_replica_has_a_row_when_its_write_is_done)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_do(&world, META, "insert_rows", T, "{key=1;value=a};{key=2;sum=5}");
    assert_text(
        rules_rows(&world, REPLICA, "//tmp/r"),
        "{\"key\"=1;\"value\"=\"a\";\"sum\"=#;};\n{\"key\"=2;\"value\"=#;\"sum\"=5;};\n");
    assert_text(rules_attribute(&world, id, "replication_lag_time"), "0");
    assert_text(
        world_get(&world, REPLICA, "//tmp/r/@last_commit_timestamp"),
        world_get(&world, META, "//tmp/t/@last_commit_timestamp"));
    rules_catch_up(&world, id);
    world_release(&world);
}

Test(replication, an_async_replica_gets_everything_in_time)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    rules_insert(&world, "{key=1;value=a;sum=1}");
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
    rules_insert(&world, "{key=3}");
    world_do(
        &world, META, "delete_rows", "{path=\"//tmp/t\";require_sync_replica=%false}", "{key=3}");
    rules_catch_up(&world, id);
    assert_text(
        rules_rows(&world, REPLICA, "//tmp/r"),
        "{\"key\"=1;\"value\"=#;\"sum\"=13;};\n{\"key\"=2;\"value\"=#;\"sum\"=3;};\n");
    assert_text(rules_attribute(&world, id, "replication_lag_time"), "0");
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
    rules_insert(&world, "{key=1}");
    rules_alter(&world, id, "mode=sync");
    rules_catch_up(&world, id);
    world_do(&world, META, "insert_rows", T, "{key=2}");
    rules_alter(&world, id, "enabled=%false");
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
    rules_alter(&world, id, "mode=async");
    rules_insert(&world, "{key=3}");
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
    assert_text(rules_rows(&world, REPLICA, "//tmp/r"), "{\"key\"=1;\"value\"=#;\"sum\"=#;};\n");
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
    assert_text(
        rules_rows(&world, REPLICA, "//tmp/r"), "{\"key\"=1;\"value\"=\"a\";\"sum\"=#;};\n");
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
    rules_catch_up(&world, id);
    assert_text(rules_rows(&world, REPLICA, "//tmp/r"), "{\"key\"=1;\"value\"=#;\"sum\"=63;};\n");
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
        rules_insert(&world, "{key=1}");
        rules_insert(&world, "{key=2}");
        rules_catch_up(&world, first);
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
        rules_insert(&world, "{key=3}");
        const char *id = world_text(&world, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
        rules_catch_up(&world, id);
        CLEANUP(buffer_releasep) struct buffer expected = {0};
        for (const char *row = cases[i].rows; *row; row++) {
            buffer_print(&expected, "{\"key\"=%c;\"value\"=#;\"sum\"=#;};\n", *row);
        }
        buffer_append_byte(&expected, 0);
        const char *found = rules_rows(&world, REPLICA, "//tmp/r");
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
    rules_insert(&world, "{key=1;value=a}");
    rules_catch_up(&world, id);
    world_do(&world, REPLICA, "insert_rows", R, "{key=2;value=b}"); // Others may write there, too.
    assert_text(
        rules_rows(&world, REPLICA, "//tmp/r"),
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
    assert_text(rules_rows(&world, REPLICA, "//tmp/r"), row);
    assert_text(
        world_do(&world, META, "lookup_rows", "{path=\"//tmp/plain\"}", "{key=0};{key=1}"), row);
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
        rules_alter(&world, id, "enabled=%false");
        for (int j = 0; j < 4; j++) {
            rules_insert(&world, world_text(&world, "{key=%d}", j));
            world_run(&world, 3 * SECOND);
        }
        const struct session *session = world_table(&world, META, "//tmp/t")->replicas[0]->session;
        uint64_t before = session->counters.batch_count;
        rules_alter(&world, id, "enabled=%true");
        rules_catch_up(&world, id);
        cr_assert(eq(u64, session->counters.batch_count - before, CASES[i].batch_count));
        world_release(&world);
    }
}
