// The life cycle of tablets: what works in which state, the queue check, and what commands about
// whole tables ask for. The transitions themselves are in tablets_test.c, reshard in
// reshard_test.c, alter_table in schema_test.c and tablets_test.c, copies in copy_test.c.
#include "rules.h"

TestSuite(life_cycle, .fini = abort_on_leaks);

#define TWO_TABLETS "pivot_keys=[[];[10]];schema=" WORLD_SCHEMA

// -------------------------------------------------------------------------------------------------
// Commands

Test(life_cycle, static_tables_are_refused_by_every_verb)
{
    static const struct {
        const char *command;
        const char *text;
    } ROWS[] = {
        {"mount_table", "Cannot mount a static table"},
        {"unmount_table", "Cannot unmount a static table"},
        {"remount_table", "Cannot remount a static table"},
        {"freeze_table", "Cannot freeze a static table"},
        {"unfreeze_table", "Cannot unfreeze a static table"},
        {"reshard_table", "Cannot reshard a static table"},
    };
    struct machine_world world;
    world_init(&world, 1);
    rules_table(&world, META, "table", "//tmp/t", "schema=" WORLD_SCHEMA);
    world_table(&world, META, "//tmp/t")->is_dynamic = false; // As none can be created.
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        assert_refused(&world, META, ROWS[i].command, T, NULL, 1, ROWS[i].text);
    }
    world_release(&world);
}

Test(life_cycle, remount_works_in_any_state_and_changes_none)
{
    struct machine_world world;
    world_init(&world, 1);
    rules_table(&world, META, "replicated_table", "//tmp/t", "schema=" WORLD_SCHEMA);
    struct tablet *tablet = &world_table(&world, META, "//tmp/t")->tablets[0];
    for (int state = TABLET_MOUNTING; state <= TABLET_FROZEN_MOUNTING; state++) {
        tablet->state = (enum tablet_state)state;
        world_do(&world, META, "remount_table", T, NULL);
        assert_text(
            world_get(&world, META, "//tmp/t/@actual_tablet_state"),
            tablet_state_name((enum tablet_state)state));
    }
    tablet->state = TABLET_MOUNTED;
    world_release(&world);
}

Test(life_cycle, all_tablets_are_active_but_those_unmounted_or_on_their_way_there)
{
    for (int state = TABLET_MOUNTING; state <= TABLET_FROZEN_MOUNTING; state++) {
        struct tablet tablet = {.state = (enum tablet_state)state};
        bool is_active = state != TABLET_UNMOUNTED && state != TABLET_UNMOUNTING;
        cr_assert(tablet_is_active(&tablet) == is_active, "%s", tablet_state_name(tablet.state));
    }
}

// -------------------------------------------------------------------------------------------------
// What works in which state

Test(life_cycle, only_mounted_tablets_take_writes)
{
    struct machine_world world;
    world_init(&world, 1);
    rules_table(&world, META, "replicated_table", "//tmp/t", TWO_TABLETS);
    struct tablet *tablet = &world_table(&world, META, "//tmp/t")->tablets[0];
    for (int state = TABLET_MOUNTING; state <= TABLET_FROZEN_MOUNTING; state++) {
        tablet->state = (enum tablet_state)state;
        if (state == TABLET_MOUNTED) {
            world_do(&world, META, "insert_rows", T, "{key=1}");
            continue;
        }
        const char *text = world_text(
            &world,
            "Tablet %s of table //tmp/t is in \"%s\" state",
            GUID_TEXT(tablet->id),
            tablet_state_name(tablet->state));
        assert_refused(&world, META, "insert_rows", T, "{key=1}", 1702, text);
        assert_refused(&world, META, "delete_rows", T, "{key=1}", 1702, text);
        assert_refused(&world, META, "insert_rows", T, "{key=1};{key=11}", 1702, text);
        world_do(&world, META, "insert_rows", T, "{key=11}"); // The other tablet is mounted.
    }
    tablet->state = TABLET_UNMOUNTED;
    tablet[1].state = TABLET_UNMOUNTED;
    assert_refused(
        &world, META, "insert_rows", T, "{key=1}", 1702, "Table //tmp/t has no mounted tablets");
    world_release(&world);
}

Test(life_cycle, mounted_frozen_freezing_and_unfreezing_tablets_are_read)
{
    struct machine_world world;
    world_init(&world, 1);
    rules_table(&world, META, "table", "//tmp/t", TWO_TABLETS);
    world_do(&world, META, "insert_rows", T, "{key=1}");
    const char *select = "{query=\"key from [//tmp/t]\"}";
    struct tablet *tablet = &world_table(&world, META, "//tmp/t")->tablets[0];
    for (int state = TABLET_MOUNTING; state <= TABLET_FROZEN_MOUNTING; state++) {
        tablet->state = (enum tablet_state)state;
        if (state == TABLET_MOUNTED || state == TABLET_FREEZING || state == TABLET_FROZEN ||
            state == TABLET_UNFREEZING) {
            assert_text(
                world_do(&world, META, "lookup_rows", T, "{key=1}"),
                "{\"key\"=1;\"value\"=#;\"sum\"=#;};\n");
            assert_text(world_do(&world, META, "select_rows", select, NULL), "{\"key\"=1;};\n");
            continue;
        }
        const char *text = world_text(
            &world,
            "Cannot read from tablet %s while it is in \"%s\" state",
            GUID_TEXT(tablet->id),
            tablet_state_name(tablet->state));
        assert_refused(&world, META, "select_rows", select, NULL, 1702, text);
        assert_refused(&world, META, "lookup_rows", T, "{key=1}", 1702, text);
        const struct error *error = error_find(world.error, ERROR_TABLET_NOT_MOUNTED);
        assert_text(error_attribute(error, "tablet_id"), GUID_TEXT(tablet->id));
        assert_text(
            error_attribute(error, "is_tablet_unmounted"),
            state == TABLET_UNMOUNTED ? "true" : "false");
        world_do(&world, META, "lookup_rows", T, "{key=11}"); // The other tablet is mounted.
    }
    tablet->state = TABLET_MOUNTED;
    world_release(&world);
}

Test(life_cycle, mounted_and_frozen_tablets_are_inspected)
{
    struct machine_world world;
    world_init(&world, 1);
    rules_table(&world, META, "replicated_table", "//tmp/t", TWO_TABLETS);
    const char *infos = "{path=\"//tmp/t\";tablet_indexes=[1;0]}";
    const char *in_sync = "{path=\"//tmp/t\";timestamp=" LATEST "}";
    struct tablet *tablet = &world_table(&world, META, "//tmp/t")->tablets[0];
    for (int state = TABLET_MOUNTING; state <= TABLET_FROZEN_MOUNTING; state++) {
        tablet->state = (enum tablet_state)state;
        if (state == TABLET_MOUNTED || state == TABLET_FROZEN) {
            world_do(&world, META, "get_tablet_infos", infos, NULL);
            world_do(&world, META, "get_in_sync_replicas", in_sync, "{key=1}");
            continue;
        }
        if (state == TABLET_FREEZING) continue; // Either would do.
        const char *text = world_text(
            &world,
            "Tablet %s of table //tmp/t is in \"%s\" state",
            GUID_TEXT(tablet->id),
            tablet_state_name(tablet->state));
        assert_refused(&world, META, "get_tablet_infos", infos, NULL, 1702, text);
        assert_refused(&world, META, "get_in_sync_replicas", in_sync, "{key=1}", 1702, text);
        world_do(&world, META, "get_in_sync_replicas", in_sync, "{key=11}"); // Not asked about.
    }
    tablet->state = TABLET_MOUNTED;
    world_release(&world);
}

Test(life_cycle, logs_are_trimmed_while_frozen_and_not_while_unmounted)
{
    struct machine_world world;
    const char *attributes = "min_replication_log_ttl=0;schema=" WORLD_SCHEMA;
    const char *id = rules_world(&world, attributes, "mode=async");
    const char *trimmed = "//tmp/t/@tablets/0/trimmed_row_count";
    rules_alter(&world, id, "enabled=%false");
    rules_insert(&world, "{key=1};{key=2}");
    world_do(&world, META, "unmount_table", T, NULL);
    rules_alter(&world, id, "enabled=%true");
    world_run(&world, 10 * SECOND);
    assert_text(world_get(&world, META, trimmed), "0");
    world_do(&world, META, "mount_table", "{path=\"//tmp/t\";freeze=%true}", NULL);
    assert_text(world_get(&world, META, "//tmp/t/@tablet_state"), "frozen");
    world_wait(&world, META, trimmed, "2");
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// The queue check

Test(life_cycle, the_queue_check_works_after_freeze_and_after_unmount)
{
    static const char *const COMMANDS[][2] = {
        {"freeze_table", "frozen"}, {"unmount_table", "unmounted"}};
    for (size_t i = 0; i < 2; i++) {
        struct machine_world world;
        const char *id = rules_world(&world, TWO_TABLETS, "mode=async");
        world_unlink(&world);
        rules_insert(&world, "{key=1};{key=2};{key=11}");
        world_do(&world, META, COMMANDS[i][0], T, NULL);
        world_wait(&world, META, "//tmp/t/@tablet_state", COMMANDS[i][1]);
        static const char *const TOTALS[] = {"2", "1"};
        for (int j = 0; j < 2; j++) {
            const char *flushed = world_text(&world, "tablets/%d/flushed_row_count", j);
            const char *index = world_text(&world, "tablets/%d/current_replication_row_index", j);
            assert_text(rules_attribute(&world, id, flushed), TOTALS[j]);
            assert_text(rules_attribute(&world, id, index), "0"); // Not fully replicated.
        }
        world_link(&world);
        if (i == 1) { // An unmounted queue stands still.
            world_run(&world, 10 * SECOND);
            assert_text(
                rules_attribute(&world, id, "tablets/0/current_replication_row_index"), "0");
            world_do(&world, META, "mount_table", T, NULL);
        }
        rules_wait(&world, id, "tablets/0/current_replication_row_index", TOTALS[0]);
        rules_wait(&world, id, "tablets/1/current_replication_row_index", TOTALS[1]);
        if (i == 1) { // After it, the indexes are those that were reached.
            world_do(&world, META, "unmount_table", T, NULL);
            world_wait(&world, META, "//tmp/t/@tablet_state", "unmounted");
            assert_text(
                rules_attribute(&world, id, "tablets/0/current_replication_row_index"), TOTALS[0]);
        }
        world_release(&world);
    }
}

// -------------------------------------------------------------------------------------------------
// Copy and remove

Test(life_cycle, a_copy_has_the_options_and_equal_infos_of_replicas_but_for_their_state)
{
    struct machine_world world;
    const char *id = rules_world(&world, "schema=" WORLD_SCHEMA, "mode=async");
    world_do(
        &world,
        META,
        "set",
        "{path=\"//tmp/t/@replicated_table_options\"}",
        "{max_sync_replica_count=3;preferred_sync_replica_clusters=[replica]}");
    rules_insert(&world, "{key=1}");
    rules_catch_up(&world, id);
    world_do(&world, META, "freeze_table", T, NULL);
    world_wait(&world, META, "//tmp/t/@tablet_state", "frozen");
    world_do(&world, META, "copy", "{source_path=\"//tmp/t\";destination_path=\"//tmp/c\"}", NULL);
    assert_text(
        world_get(&world, META, "//tmp/c/@replicated_table_options"),
        world_get(&world, META, "//tmp/t/@replicated_table_options"));
    rules_alter(&world, id, "enabled=%false"); // Now the states are equal, too.
    rules_wait(&world, id, "state", "disabled");
    const char *source = world_get(&world, META, "//tmp/t/@replicas");
    const char *copy = world_get(&world, META, "//tmp/c/@replicas");
    cr_assert(strstr(copy, id) == NULL); // It has an id of its own.
    assert_text(strchr(copy + 1, '{'), strchr(source + 1, '{'));
    assert_text(world_get(&world, META, "//tmp/c/@tablet_state"), "unmounted");
    world_release(&world);
}

Test(life_cycle, a_removed_table_takes_its_replicas_with_it_and_leaves_its_collocation)
{
    struct machine_world world;
    const char *id = rules_world(&world, "schema=" WORLD_SCHEMA, "mode=async");
    rules_table(&world, META, "replicated_table", "//tmp/u", "schema=" WORLD_SCHEMA);
    const char *collocation = rules_create(
        &world,
        META,
        "{type=table_collocation;attributes={collocation_type=replication;"
        "table_paths=[\"//tmp/t\";\"//tmp/u\"]}}");
    world_do(&world, META, "remove", T, NULL);
    const char *exists = world_text(&world, "{path=\"#%s\"}", id);
    assert_text(world_do(&world, META, "exists", exists, NULL), "%false");
    assert_text(rules_attribute(&world, collocation, "table_paths"), "[\"//tmp/u\";]");
    world_release(&world);
}
