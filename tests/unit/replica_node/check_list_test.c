// Where a naive implementation goes wrong: the check list of behaviour.md, section 16, item by
// item. Items 13 (copy), 14 (reshard) and 17 (the tracker) have tests of their own: copy_test.c,
// reshard_test.c, tracker_test.c.
#include "rules.h"

TestSuite(check_list, .fini = abort_on_leaks);

// A replicated table at //tmp/t with these attributes and, unless `replica` is NULL, a replica of
// it at //tmp/r whose table has this schema; returns the replica's id.
static const char *make(
    struct machine_world *world, const char *attributes, const char *replica, const char *schema)
{
    world_init(world, 2);
    rules_table(world, META, "replicated_table", "//tmp/t", attributes);
    if (!replica) return NULL;
    return rules_replica(world, "//tmp/r", replica, world_text(world, "schema=%s", schema));
}

static const char *in_sync(struct machine_world *world, const char *more, const char *keys)
{
    const char *parameters = world_text(world, "{path=\"//tmp/t\";%s}", more);
    return world_do(world, META, "get_in_sync_replicas", parameters, keys);
}

static const char *now(struct machine_world *world)
{
    const char *text = world_do(world, META, "generate_timestamp", "{}", NULL);
    return world_text(world, "timestamp=%s", text);
}

Test(check_list, item_01_no_replicas_need_no_sync_replica_but_async_ones_do)
{
    struct machine_world world;
    make(&world, "schema=" WORLD_SCHEMA, NULL, NULL);
    world_do(&world, META, "insert_rows", T, "{key=1}");
    world_release(&world);
    make(&world, "schema=" WORLD_SCHEMA, "mode=async", WORLD_SCHEMA);
    assert_refused(&world, META, "insert_rows", T, "{key=1}", 1714, "has no synchronous replicas");
    world_release(&world);
}

Test(check_list, item_02_a_sync_replica_out_of_sync_fails_writes_whatever_they_require)
{
    struct machine_world world;
    const char *id = make(&world, "schema=" WORLD_SCHEMA, "mode=sync", WORLD_SCHEMA);
    const char *text =
        world_text(&world, "Cannot write to sync replica %s since it is not in-sync yet", id);
    world_do(&world, REPLICA, "unmount_table", R, NULL);
    world_unlink(&world);
    world_link(&world);
    assert_refused(&world, META, "insert_rows", NO_SYNC, "{key=1}", 1732, text);
    rules_alter(&world, id, "enabled=%false");
    assert_refused(&world, META, "insert_rows", NO_SYNC, "{key=1}", 1732, text);
    assert_refused(&world, META, "insert_rows", T, "{key=1}", 1732, text);
    world_release(&world);
}

Test(check_list, item_03_no_keys_means_every_replica_and_all_keys_is_something_else)
{
    struct machine_world world;
    const char *id = make(&world, "schema=" WORLD_SCHEMA, "mode=async", WORLD_SCHEMA);
    const char *every = world_text(&world, "[\"%s\";]", id);
    rules_alter(&world, id, "enabled=%false");
    rules_insert(&world, "{key=1}");
    assert_text(in_sync(&world, "timestamp=" LATEST, ""), every);
    assert_text(in_sync(&world, "all_keys=%true;timestamp=" LATEST, ""), "[]");
    assert_text(in_sync(&world, "timestamp=" LATEST, "{key=1}"), "[]");
    world_release(&world);
}

Test(check_list, item_04_an_idle_async_replica_is_in_sync_for_new_timestamps)
{
    struct machine_world world;
    const char *id = make(&world, "schema=" WORLD_SCHEMA, "mode=async", WORLD_SCHEMA);
    rules_insert(&world, "{key=1}");
    rules_wait(&world, id, "tablets/0/current_replication_row_index", "1");
    world_run(&world, 100 * SECOND);
    const char *more = world_text(&world, "all_keys=%%true;%s", now(&world));
    world_run(&world, SECOND);
    assert_text(in_sync(&world, more, ""), world_text(&world, "[\"%s\";]", id));
    assert_text(in_sync(&world, "all_keys=%true;timestamp=" LATEST, ""), "[]");
    world_release(&world);
}

Test(check_list, item_05_rows_of_one_commit_timestamp_are_never_split)
{
    struct machine_world world;
    const char *id = make(
        &world,
        "max_rows_per_replication_commit=1;max_data_weight_per_replication_commit=1;"
        "schema=" WORLD_SCHEMA,
        "mode=async",
        WORLD_SCHEMA);
    world_unlink(&world);
    rules_insert(&world, "{key=1};{key=2};{key=3}");
    rules_insert(&world, "{key=4};{key=5}");
    world_link(&world);
    const char *index = "0";
    const char *count = "{query=\"sum(1) as n from [//tmp/r] group by 1 as one\"}";
    while (strcmp(index, "5") != 0) {
        const char *found = world_do(&world, REPLICA, "select_rows", count, NULL);
        bool is_whole = strcmp(found, "") == 0 || strcmp(found, "{\"n\"=3;};\n") == 0 ||
                        strcmp(found, "{\"n\"=5;};\n") == 0;
        cr_assert(is_whole, "%s", found);
        index = rules_attribute(&world, id, "tablets/0/current_replication_row_index");
        cr_assert(strcmp(index, "0") == 0 || strcmp(index, "3") == 0 || strcmp(index, "5") == 0);
        world_run(&world, MS);
    }
    world_release(&world);
}

static const char *trimmed(struct machine_world *world)
{
    return world_get(world, META, "//tmp/t/@tablets/0/trimmed_row_count");
}

Test(check_list, item_06_disabled_replicas_hold_the_log_back_and_removal_frees_it_at_any_age)
{
    struct machine_world world;
    const char *id = make(&world, "schema=" WORLD_SCHEMA, "mode=async", WORLD_SCHEMA);
    const char *disabled = rules_create(
        &world,
        META,
        "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;replica_path="
        "\"//tmp/never\"}}");
    rules_insert(&world, "{key=1};{key=2}");
    rules_wait(&world, id, "tablets/0/current_replication_row_index", "2");
    world_run(&world, 1000 * SECOND); // Older than min_replication_log_ttl.
    assert_text(trimmed(&world), "0");
    rules_insert(&world, "{key=3}");
    rules_wait(&world, id, "tablets/0/current_replication_row_index", "3");
    world_do(&world, META, "remove", world_text(&world, "{path=\"#%s\"}", disabled), NULL);
    world_run(&world, SECOND);
    assert_text(trimmed(&world), "3"); // The last row, too, which is young.

    // Without replicas nothing is trimmed.
    world_do(&world, META, "remove", world_text(&world, "{path=\"#%s\"}", id), NULL);
    world_do(&world, META, "insert_rows", T, "{key=4}");
    world_run(&world, 1000 * SECOND);
    assert_text(trimmed(&world), "3");
    world_release(&world);
}

Test(check_list, item_07_replicators_work_on_frozen_tablets)
{
    struct machine_world world;
    const char *id = make(&world, "schema=" WORLD_SCHEMA, "mode=async", WORLD_SCHEMA);
    world_unlink(&world);
    rules_insert(&world, "{key=1}");
    world_do(&world, META, "freeze_table", T, NULL);
    world_wait(&world, META, "//tmp/t/@tablet_state", "frozen");
    world_link(&world);
    rules_wait(&world, id, "tablets/0/current_replication_row_index", "1");
    assert_text(rules_attribute(&world, id, "tablets/0/flushed_row_count"), "1");
    world_release(&world);
}

Test(check_list, item_08_unmounting_leaves_a_replica_enabled_and_a_mount_resumes_it)
{
    struct machine_world world;
    const char *id = make(&world, "schema=" WORLD_SCHEMA, "mode=async", WORLD_SCHEMA);
    world_do(&world, META, "unmount_table", T, NULL);
    rules_wait(&world, id, "tablets/0/state", "none");
    assert_text(rules_attribute(&world, id, "state"), "enabled");
    world_do(&world, META, "mount_table", T, NULL);
    assert_text(rules_attribute(&world, id, "tablets/0/state"), "enabled");
    rules_insert(&world, "{key=1}");
    rules_wait(&world, id, "tablets/0/current_replication_row_index", "1");
    world_release(&world);
}

Test(check_list, item_09_indexes_are_exact_when_disabling_or_unmounting_is_done)
{
    for (int i = 0; i < 2; i++) {
        struct machine_world world;
        const char *id = make(&world, "schema=" WORLD_SCHEMA, "mode=async", WORLD_SCHEMA);
        world.is_link_held = true;
        rules_insert(&world, "{key=1};{key=2}");
        world_run(&world, 10 * MS);
        if (i == 0) {
            rules_alter(&world, id, "enabled=%false");
            assert_text(
                rules_attribute(&world, id, "state"), "disabling"); // Rows are on their way.
            world.is_link_held = false;
            rules_wait(&world, id, "state", "disabled");
        } else {
            world.is_link_held = false;
            world_run(&world, SECOND);
            world_do(&world, META, "unmount_table", T, NULL);
            world_wait(&world, META, "//tmp/t/@tablet_state", "unmounted");
        }
        assert_text(rules_attribute(&world, id, "tablets/0/current_replication_row_index"), "2");
        world_restart(&world, META);
        assert_text(rules_attribute(&world, id, "tablets/0/current_replication_row_index"), "2");
        world_release(&world);
    }
}

Test(check_list, item_10_columns_that_an_old_log_row_does_not_know_are_not_touched)
{
    struct machine_world world;
    const char *id = make(
        &world,
        "schema=[" KEY ";{name=value;type=string}]",
        "mode=async;preserve_timestamps=%false",
        "[" KEY ";{name=value;type=string};{name=more;type=int64}]");
    world_do(&world, REPLICA, "insert_rows", R, "{key=1;value=x;more=7}");
    rules_insert(&world, "{key=1};{key=2;value=b}");
    rules_wait(&world, id, "tablets/0/current_replication_row_index", "2");
    assert_text(
        rules_rows(&world, REPLICA, "//tmp/r"),
        "{\"key\"=1;\"value\"=#;\"more\"=7;};\n{\"key\"=2;\"value\"=\"b\";\"more\"=#;};\n");
    // A deleted row comes back without them.
    world_do(&world, META, "delete_rows", NO_SYNC, "{key=1}");
    rules_insert(&world, "{key=1;value=c}");
    rules_wait(&world, id, "tablets/0/current_replication_row_index", "4");
    assert_text(
        rules_rows(&world, REPLICA, "//tmp/r"),
        "{\"key\"=1;\"value\"=\"c\";\"more\"=#;};\n{\"key\"=2;\"value\"=\"b\";\"more\"=#;};\n");
    world_release(&world);
}

Test(check_list, item_11_absent_columns_are_nulled_kept_or_merged_and_that_once)
{
    const char *const modes[] = {"mode=sync", "mode=async"};
    for (int i = 0; i < 2; i++) {
        struct machine_world world;
        const char *id = make(&world, "schema=" WORLD_SCHEMA, modes[i], WORLD_SCHEMA);
        world_do(
            &world, META, "insert_rows", NO_SYNC, "{key=1;value=a;sum=1};{key=2;value=b;sum=1}");
        const char *update = "{path=\"//tmp/t\";require_sync_replica=%false;update=%true}";
        const char *merge =
            "{path=\"//tmp/t\";require_sync_replica=%false;update=%true;aggregate=%true}";
        world_do(&world, META, "insert_rows", update, "{key=1;sum=5}");
        rules_insert(&world, "{key=2;sum=5}");
        // Whatever is sent again counts once.
        for (int j = 0; j < 4; j++) {
            world.is_link_held = true;
            struct request *request =
                world_begin(&world, META, "insert_rows", merge, "{key=1;sum=10}");
            world_run(&world, 5 * MS);
            world_unlink(&world);
            world.is_link_held = false;
            if (j % 2 == 0) world_restart(&world, REPLICA);
            if (j % 2 != 0) world_link(&world);
            cr_assert(ne(ptr, (void *)world_finish(&world, request), NULL));
        }
        rules_wait(&world, id, "tablets/0/current_replication_row_index", "8");
        assert_text(
            rules_rows(&world, REPLICA, "//tmp/r"),
            "{\"key\"=1;\"value\"=\"a\";\"sum\"=45;};\n{\"key\"=2;\"value\"=#;\"sum\"=5;};\n");
        world_release(&world);
    }
}

Test(check_list, item_12_lookups_need_the_touched_tablets_in_sync_and_queries_all)
{
    struct machine_world world;
    const char *id = make(
        &world,
        "pivot_keys=[[];[10]];schema=[" KEY ";{name=value;type=string}]",
        "mode=async",
        "[" KEY ";{name=value;type=string;required=%true}]");
    rules_insert(&world, "{key=1};{key=11;value=a}");
    rules_wait(&world, id, "error_count", "1"); // Of the tablet of key 1.
    rules_alter(&world, id, "mode=sync");
    world_run(&world, SECOND);
    assert_text(
        world_do(&world, META, "lookup_rows", T, "{key=11}"), "{\"key\"=11;\"value\"=\"a\";};\n");
    assert_refused(
        &world,
        META,
        "lookup_rows",
        T,
        "{key=1}",
        1736,
        "No in-sync replicas found for table //tmp/t");
    assert_refused(&world, META, "lookup_rows", T, "{key=1};{key=11}", 1736, "No in-sync replicas");
    assert_refused(
        &world,
        META,
        "select_rows",
        "{query=\"* from [//tmp/t] where key = 11\"}",
        NULL,
        1736,
        "No in-sync replicas found for table //tmp/t");
    assert_text(world_do(&world, META, "lookup_rows", T, ""), ""); // No keys, no replica needed.
    world_release(&world);
}

Test(check_list, item_15_a_schema_must_be_compatible_even_of_an_empty_replicated_table)
{
    struct machine_world world;
    make(&world, "schema=" WORLD_SCHEMA, NULL, NULL);
    world_do(&world, META, "unmount_table", T, NULL);
    assert_refused(
        &world,
        META,
        "alter_table",
        "{path=\"//tmp/t\";schema=[" KEY ";{name=value;type=int64}]}",
        NULL,
        316,
        "Table schemas are incompatible");
    world_release(&world);
}

Test(check_list, item_16_a_banned_cluster_is_skipped_without_an_error)
{
    struct machine_world world;
    const char *id = make(&world, "schema=" WORLD_SCHEMA, "mode=async", WORLD_SCHEMA);
    const char *banned = "{path=\"//sys/@config/tablet_manager/replicated_table_tracker/"
                         "replicator_hint/banned_replica_clusters\"}";
    world_do(&world, META, "set", banned, "[replica]");
    rules_insert(&world, "{key=1}");
    world_run(&world, 20 * SECOND);
    assert_text(rules_attribute(&world, id, "tablets/0/current_replication_row_index"), "0");
    assert_text(rules_attribute(&world, id, "error_count"), "0");
    uint64_t lag_ms = strtoull(rules_attribute(&world, id, "replication_lag_time"), NULL, 10);
    cr_assert(lag_ms > 10000);
    world_do(&world, META, "set", banned, "[]");
    rules_wait(&world, id, "tablets/0/current_replication_row_index", "1");
    world_release(&world);
}

Test(check_list, item_18_lag_is_zero_of_sync_and_idle_replicas_and_huge_of_one_never_enabled)
{
    struct machine_world world;
    const char *id = make(&world, "schema=" WORLD_SCHEMA, "mode=async", WORLD_SCHEMA);
    const char *never = rules_create(
        &world,
        META,
        "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;replica_path="
        "\"//tmp/never\"}}");
    assert_text(
        rules_attribute(&world, never, "replication_lag_time"), "0"); // Nothing is written yet.
    rules_insert(&world, "{key=1}");
    rules_wait(&world, id, "tablets/0/current_replication_row_index", "1");
    world_run(&world, 100 * SECOND);
    assert_text(rules_attribute(&world, id, "replication_lag_time"), "0");
    cr_assert(
        strtoull(rules_attribute(&world, never, "replication_lag_time"), NULL, 10) > 1000000000);
    rules_alter(&world, id, "mode=sync");
    world_unlink(&world);
    assert_text(rules_attribute(&world, id, "replication_lag_time"), "0");
    world_release(&world);
}

Test(check_list, item_19_a_collocation_goes_with_its_last_table)
{
    struct machine_world world;
    make(&world, "schema=" WORLD_SCHEMA, NULL, NULL);
    const char *id = rules_create(
        &world,
        META,
        "{type=table_collocation;attributes={collocation_type=replication;table_paths=[\"//tmp/"
        "t\"]}"
        "}");
    const char *exists = world_text(&world, "{path=\"#%s\"}", id);
    assert_text(world_do(&world, META, "exists", exists, NULL), "%true");
    world_do(&world, META, "remove", T, NULL);
    world_run(&world, SECOND);
    assert_text(world_do(&world, META, "exists", exists, NULL), "%false");
    world_release(&world);
}

// Several sources and direct writes into one table; each key has the last write that came.
Test(check_list, item_20_replicas_without_timestamps_are_tables_like_others)
{
    struct machine_world world;
    const char *id =
        make(&world, "schema=" WORLD_SCHEMA, "mode=async;preserve_timestamps=%false", WORLD_SCHEMA);
    rules_create(
        &world,
        META,
        "{type=replicated_table;path=\"//tmp/u\";attributes={dynamic=%true;schema=" WORLD_SCHEMA
        "}}");
    world_do(&world, META, "mount_table", "{path=\"//tmp/u\"}", NULL);
    const char *other = rules_create(
        &world,
        META,
        "{type=table_replica;attributes={table_path=\"//tmp/u\";cluster_name=replica;replica_path="
        "\"//tmp/r\";enabled=%true;preserve_timestamps=%false}}");
    assert_text(world_get(&world, REPLICA, "//tmp/r/@upstream_replica_id"), "0-0-0-0");
    for (int i = 0; i < 3; i++) world_do(&world, REPLICA, "generate_timestamp", "{}", NULL);
    rules_insert(&world, "{key=1;value=t};{key=2;value=t}");
    rules_wait(&world, id, "tablets/0/current_replication_row_index", "2");
    cr_assert(
        ne(str,
           (char *)world_get(&world, REPLICA, "//tmp/r/@last_commit_timestamp"),
           (char *)world_get(&world, META, "//tmp/t/@last_commit_timestamp")));
    world_do(&world, REPLICA, "insert_rows", R, "{key=2;value=direct}");
    const char *to_other = "{path=\"//tmp/u\";require_sync_replica=%false}";
    world_do(&world, META, "insert_rows", to_other, "{key=3;value=u};{key=1;value=u}");
    rules_wait(&world, other, "tablets/0/current_replication_row_index", "2");
    assert_text(
        rules_rows(&world, REPLICA, "//tmp/r"),
        "{\"key\"=1;\"value\"=\"u\";\"sum\"=#;};\n{\"key\"=2;\"value\"=\"direct\";\"sum\"=#;};\n"
        "{\"key\"=3;\"value\"=\"u\";\"sum\"=#;};\n");
    world_release(&world);
}
