// The life cycle of replicas: creation, states, alter_table_replica, removal, lag.
#include "coordinator/core/sessions.h"
#include "rules.h"

TestSuite(replica_life, .fini = abort_on_leaks);

#define TWO_TABLETS "pivot_keys=[[];[10]];schema=" WORLD_SCHEMA
#define CREATE(attributes) \
    "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;" attributes "}}"

static struct replica *replica_of(struct machine_world *world, int index)
{
    return world_table(world, META, "//tmp/t")->replicas[index];
}

// -------------------------------------------------------------------------------------------------
// Creation. Refusals are in replicas_test.c and error_texts_test.c, locks in
// locks_test.c (keep_off_changes).

Test(replica_life, replicas_are_created_in_any_state_of_tablets)
{
    struct machine_world world;
    world_init(&world, 2);
    rules_table(&world, META, "replicated_table", "//tmp/t", TWO_TABLETS);
    struct tablet *tablet = &world_table(&world, META, "//tmp/t")->tablets[0];
    for (int state = TABLET_MOUNTING; state <= TABLET_FROZEN_MOUNTING; state++) {
        tablet->state = (enum tablet_state)state;
        const char *parameters =
            world_text(&world, CREATE("replica_path=\"//tmp/r%d\";enabled=%%true"), state);
        const char *id = rules_create(&world, META, parameters);
        assert_text(rules_attribute(&world, id, "state"), "enabled");
        world_do(&world, META, "remove", world_text(&world, "{path=\"#%s\"}", id), NULL);
        assert_text(
            world_do(&world, META, "exists", world_text(&world, "{path=\"#%s\"}", id), NULL),
            "%false");
    }
    tablet->state = TABLET_MOUNTED;
    world_release(&world);
}

Test(replica_life, new_replicas_begin_at_their_row_indexes_and_without_a_timestamp)
{
    static const char *const STATES[] = {"disabled", "none"};
    struct machine_world world;
    world_init(&world, 2);
    rules_table(&world, META, "replicated_table", "//tmp/t", TWO_TABLETS);
    rules_insert(&world, "{key=1}");
    rules_insert(&world, "{key=2}");
    rules_insert(&world, "{key=11}");
    for (int i = 0; i < 2; i++) {
        const char *id = rules_create(
            &world,
            META,
            world_text(
                &world,
                CREATE("replica_path=\"//tmp/a%d\";start_replication_row_indexes=[2;1]"),
                i));
        const char *other =
            rules_create(&world, META, world_text(&world, CREATE("replica_path=\"//tmp/b%d\""), i));
        const struct {
            const char *id;
            const char *name;
            const char *value;
        } rows[] = {
            {id, "tablets/0/current_replication_row_index", "2"},
            {id, "tablets/1/current_replication_row_index", "1"},
            {other, "tablets/0/current_replication_row_index", "0"},
            {other, "tablets/1/committed_replication_row_index", "0"},
            {other, "tablets/0/current_replication_timestamp", "0u"},
            {id, "tablets/1/state", STATES[i]},
            {other, "tablets/0/state", STATES[i]},
            {id, "state", "disabled"},
        };
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
            assert_text(rules_attribute(&world, rows[j].id, rows[j].name), rows[j].value);
        }
        world_do(&world, META, "unmount_table", T, NULL);
    }
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// States. That `unmount` leaves a replica enabled, and that indexes are exact once it is disabled:
// check_list_test.c, items 8 and 9. That errors are forgotten: errors_test.c.

Test(replica_life, without_active_tablets_enabling_and_disabling_are_done_at_once)
{
    struct machine_world world;
    world_init(&world, 2);
    rules_table(&world, META, "replicated_table", "//tmp/t", TWO_TABLETS);
    world_do(&world, META, "unmount_table", T, NULL);
    const char *id = rules_create(&world, META, CREATE("replica_path=\"//tmp/r\""));
    rules_alter(&world, id, "enabled=%true");
    assert_text(rules_attribute(&world, id, "state"), "enabled");
    assert_text(rules_attribute(&world, id, "tablets/0/state"), "none");
    rules_alter(&world, id, "enabled=%false");
    assert_text(rules_attribute(&world, id, "state"), "disabled");
    assert_text(rules_attribute(&world, id, "tablets/0/state"), "none");
    world_do(&world, META, "mount_table", T, NULL);
    assert_text(rules_attribute(&world, id, "tablets/0/state"), "disabled");
    assert_text(rules_attribute(&world, id, "state"), "disabled");
    world_release(&world);
}

Test(replica_life, what_is_known_of_a_replicas_progress_only_grows)
{
    struct machine_world world;
    const char *id = rules_world(&world, "schema=" WORLD_SCHEMA, "mode=async");
    rules_insert(&world, "{key=1};{key=2}");
    rules_catch_up(&world, id);
    const char *stamp = rules_attribute(&world, id, "tablets/0/current_replication_timestamp");
    for (int i = 0; i < 2; i++) {
        world_restart(&world, i == 0 ? META : REPLICA);
        assert_text(rules_attribute(&world, id, "tablets/0/current_replication_row_index"), "2");
        assert_text(rules_attribute(&world, id, "tablets/0/current_replication_timestamp"), stamp);
    }
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// alter_table_replica

Test(replica_life, enabled_is_a_no_op_or_starts_or_is_refused_by_state)
{
    static const struct {
        enum replica_state state;
        bool enabled;
        const char *becomes; // NULL where it is refused.
    } ROWS[] = {
        {REPLICA_STATE_ENABLED, true, "enabled"},
        {REPLICA_STATE_ENABLING, true, "enabling"},
        {REPLICA_STATE_DISABLED, true, "enabled"},
        {REPLICA_STATE_DISABLING, true, NULL},
        {REPLICA_STATE_DISABLED, false, "disabled"},
        {REPLICA_STATE_DISABLING, false, "disabling"},
        {REPLICA_STATE_ENABLED, false, "disabling"},
        {REPLICA_STATE_ENABLING, false, NULL},
    };
    struct machine_world world;
    const char *id = rules_world(&world, "schema=" WORLD_SCHEMA, "mode=async");
    struct replica *replica = replica_of(&world, 0);
    // Rows stay on their way, so that what is disabling is disabling for long.
    world.is_link_held = true;
    rules_insert(&world, "{key=1}");
    world_run(&world, 10 * MS);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        replica->state = ROWS[i].state;
        const char *parameters = world_text(
            &world, "{replica_id=\"%s\";enabled=%%%s}", id, ROWS[i].enabled ? "true" : "false");
        if (ROWS[i].becomes) {
            world_do(&world, META, "alter_table_replica", parameters, NULL);
            assert_text(rules_attribute(&world, id, "state"), ROWS[i].becomes);
            continue;
        }
        const char *text = world_text(
            &world, "Table replica %s is in \"%s\" state", id, replica_state_name(ROWS[i].state));
        assert_refused(&world, META, "alter_table_replica", parameters, NULL, 1706, text);
    }
    replica->state = REPLICA_STATE_ENABLED;
    world.is_link_held = false;
    rules_catch_up(&world, id);
    world_release(&world);
}

Test(replica_life, nothing_given_and_nothing_new_changes_nothing)
{
    static const char *const CHANGES[] = {
        "",
        "mode=async",
        "enabled=%true",
        "enabled=#",
        "preserve_timestamps=%true",
        "atomicity=full",
        "enable_replicated_table_tracker=%true",
        "replica_path=\"//tmp/r\"",
        "enabled=%true;mode=async;preserve_timestamps=%true;atomicity=full",
    };
    struct machine_world world;
    const char *id = rules_world(&world, "schema=" WORLD_SCHEMA, "mode=async");
    for (size_t i = 0; i < sizeof CHANGES / sizeof *CHANGES; i++) {
        uint64_t hash = memory_store_hash(world.nodes[META].store);
        rules_alter(&world, id, CHANGES[i]);
        cr_assert(memory_store_hash(world.nodes[META].store) == hash, "%s", CHANGES[i]);
    }
    world_release(&world);
}

Test(replica_life, several_options_change_together_or_not_at_all)
{
    struct machine_world world;
    const char *id = rules_world(&world, "schema=" WORLD_SCHEMA, "mode=async");
    rules_alter(
        &world,
        id,
        "enabled=%false;mode=sync;preserve_timestamps=%false;"
        "enable_replicated_table_tracker=%false");
    static const char *const ROWS[][2] = {
        {"state", "disabled"},
        {"mode", "sync"},
        {"preserve_timestamps", "%false"},
        {"atomicity", "full"},
        {"enable_replicated_table_tracker", "%false"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        assert_text(rules_attribute(&world, id, ROWS[i][0]), ROWS[i][1]);
    }
    const char *parameters =
        world_text(&world, "{replica_id=\"%s\";enabled=%%true;mode=nonsense}", id);
    assert_refused(
        &world,
        META,
        "alter_table_replica",
        parameters,
        NULL,
        1,
        "Invalid replica mode \"nonsense\"");
    world_release(&world);
}

Test(replica_life, modes_change_in_any_state_of_replica_and_tablet)
{
    struct machine_world world;
    const char *id = rules_world(&world, "schema=" WORLD_SCHEMA, "mode=async");
    struct replica *replica = replica_of(&world, 0);
    struct tablet *tablet = &replica->table->tablets[0];
    world.is_link_held = true;
    rules_insert(&world, "{key=1}");
    world_run(&world, 10 * MS);
    for (int state = REPLICA_STATE_DISABLING; state <= REPLICA_STATE_ENABLING; state++) {
        for (int of_tablet = TABLET_MOUNTING; of_tablet <= TABLET_FROZEN_MOUNTING; of_tablet++) {
            replica->state = (enum replica_state)state;
            tablet->state = (enum tablet_state)of_tablet;
            static const char *const MODES[] = {"sync", "async"};
            for (int i = 0; i < 2; i++) { // It does not wait for rows that are on their way.
                rules_alter(&world, id, world_text(&world, "mode=%s", MODES[i]));
                assert_text(rules_attribute(&world, id, "mode"), MODES[i]);
                assert_text(
                    rules_attribute(&world, id, "state"),
                    replica_state_name((enum replica_state)state));
            }
        }
    }
    replica->state = REPLICA_STATE_ENABLED;
    tablet->state = TABLET_MOUNTED;
    world_release(&world);
}

Test(replica_life, of_atomicity_and_preserve_timestamps_the_effective_pair_counts)
{
    static const struct {
        const char *change;
        bool is_refused;
    } ROWS[] = {
        {"atomicity=none", false}, // Timestamps are preserved.
        {"preserve_timestamps=%false", true},
        {"preserve_timestamps=%false;atomicity=full", false},
        {"atomicity=none", true},
        {"atomicity=none;preserve_timestamps=%true", false},
        {"atomicity=none;preserve_timestamps=%false", true},
        {"atomicity=full", false},
    };
    struct machine_world world;
    const char *id = rules_world(&world, "schema=" WORLD_SCHEMA, "mode=async");
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        if (!ROWS[i].is_refused) {
            rules_alter(&world, id, ROWS[i].change);
            continue;
        }
        assert_refused(
            &world,
            META,
            "alter_table_replica",
            world_text(&world, "{replica_id=\"%s\";%s}", id, ROWS[i].change),
            NULL,
            1706,
            "Cannot set atomicity none with preserveTimestamps false");
    }
    world_release(&world);
}

Test(replica_life, a_disabled_replicas_path_follows_its_table)
{
    struct machine_world world;
    const char *id = rules_world(&world, "schema=" WORLD_SCHEMA, "mode=async");
    const char *other = rules_create(&world, META, CREATE("replica_path=\"//tmp/other\""));
    rules_insert(&world, "{key=1}");
    rules_catch_up(&world, id);
    const char *change = world_text(&world, "{replica_id=\"%s\";replica_path=\"//tmp/m\"}", id);
    const char *text = world_text(
        &world, "Cannot alter path of table replica %s since it is in \"enabled\" state", id);
    assert_refused(&world, META, "alter_table_replica", change, NULL, 1706, text);
    rules_alter(&world, id, "enabled=%false");
    assert_refused(
        &world,
        META,
        "alter_table_replica",
        world_text(&world, "{replica_id=\"%s\";replica_path=\"//tmp/r\"}", other),
        NULL,
        1705,
        "Replica table //tmp/r at cluster \"replica\" already exists");
    world_do(&world, REPLICA, "unmount_table", R, NULL);
    const char *move = "{source_path=\"//tmp/r\";destination_path=\"//tmp/m\"}";
    world_do(&world, REPLICA, "move", move, NULL);
    world_do(&world, REPLICA, "mount_table", "{path=\"//tmp/m\"}", NULL);
    world_unlink(&world); // A session that is open knows the table, not its path.
    world_link(&world);
    rules_insert(&world, "{key=2}");
    rules_alter(&world, id, "enabled=%true");
    rules_wait_error(&world, id, "Error resolving path //tmp/r");
    rules_alter(&world, id, "enabled=%false");
    world_do(&world, META, "alter_table_replica", change, NULL);
    assert_text(rules_attribute(&world, id, "replica_path"), "//tmp/m");
    world_restart(&world, META);
    assert_text(rules_attribute(&world, id, "replica_path"), "//tmp/m");
    rules_alter(&world, id, "enabled=%true");
    rules_catch_up(&world, id);
    assert_text(
        rules_rows(&world, REPLICA, "//tmp/m"),
        "{\"key\"=1;\"value\"=#;\"sum\"=#;};\n{\"key\"=2;\"value\"=#;\"sum\"=#;};\n");
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// Removal

Test(replica_life, replicas_are_removed_in_any_state)
{
    struct machine_world world;
    rules_world(&world, "schema=" WORLD_SCHEMA, "mode=async");
    for (int state = REPLICA_STATE_DISABLING; state <= REPLICA_STATE_ENABLING; state++) {
        const char *parameters =
            world_text(&world, CREATE("replica_path=\"//tmp/r%d\";enabled=%%true"), state);
        const char *id = rules_create(&world, META, parameters);
        replica_of(&world, 1)->state = (enum replica_state)state;
        world_do(&world, META, "remove", world_text(&world, "{path=\"#%s\"}", id), NULL);
        cr_assert(strstr(world_get(&world, META, "//tmp/t/@replicas"), id) == NULL);
    }
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// Errors and lag

Test(replica_life, the_lag_of_a_replica_is_the_greatest_of_its_tablets)
{
    struct machine_world world;
    const char *id = rules_world(&world, TWO_TABLETS, "mode=async");
    rules_insert(&world, "{key=1};{key=11}");
    rules_catch_up(&world, id);
    rules_alter(&world, id, "enabled=%false");
    world_run(&world, 100 * SECOND);
    // One that has everything does not lag, disabled or not, as long as nothing is written.
    assert_text(rules_attribute(&world, id, "replication_lag_time"), "0");
    rules_insert(&world, "{key=12}");
    world_run(&world, SECOND);
    const char *lag = rules_attribute(&world, id, "replication_lag_time");
    assert_text(rules_attribute(&world, id, "tablets/1/replication_lag_time"), lag);
    assert_text(rules_attribute(&world, id, "tablets/0/replication_lag_time"), "0");
    // The next write makes it as old as the last row that it has; then it grows with the clock.
    uint64_t lag_ms = strtoull(lag, NULL, 10);
    cr_assert(lag_ms >= 101000 && lag_ms < 110000, "%s", lag);
    world_run(&world, 10 * SECOND);
    uint64_t later_ms = strtoull(rules_attribute(&world, id, "replication_lag_time"), NULL, 10);
    cr_assert(later_ms >= lag_ms + 9000 && later_ms <= lag_ms + 11000);
    rules_alter(&world, id, "mode=sync"); // A synchronous one has none by definition.
    assert_text(rules_attribute(&world, id, "replication_lag_time"), "0");
    world_release(&world);
}

static uint64_t backlog_ms(struct machine_world *world, size_t index)
{
    const struct table *table = world_table(world, META, "//tmp/t");
    return session_backlog_ms(&world->nodes[META].machine->cell, table->replicas[index]->session);
}

// What metrics show as lag: after a silence the age of the row that is missing, also of replicas
// that begin by a timestamp or by row indexes.
Test(replica_life, lag_in_metrics_is_the_age_of_the_oldest_row_that_is_missing)
{
    struct machine_world world;
    const char *id = rules_world(&world, "schema=" WORLD_SCHEMA, "mode=async");
    for (int i = 0; i < 5; i++) rules_insert(&world, world_text(&world, "{key=%d}", i));
    world_run(&world, SECOND);
    const char *now = world_do(&world, META, "generate_timestamp", "{}", NULL);
    world_run(&world, SECOND);
    for (size_t i = 0; i < 2; i++) {
        const char *start = i == 0 ? world_text(&world, "start_replication_timestamp=%s", now)
                                   : "start_replication_row_indexes=[5]";
        rules_create(
            &world,
            META,
            world_text(
                &world,
                "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;"
                "replica_path=\"//tmp/none%zu\";enabled=%%true;%s}}",
                i,
                start));
    }
    world_run(&world, 10 * SECOND);
    for (size_t i = 0; i < 3; i++) cr_assert(eq(u64, backlog_ms(&world, i), 0), "%zu", i);
    world_do(&world, REPLICA, "unmount_table", R, NULL);
    rules_insert(&world, "{key=7}");
    world_run(&world, 2 * SECOND);
    for (size_t i = 0; i < 3; i++) {
        uint64_t age_ms = backlog_ms(&world, i);
        cr_assert(age_ms >= 1000 && age_ms <= 3000, "%zu: %d", i, (int)age_ms);
    }
    rules_insert(&world, "{key=8}"); // The older one counts.
    world_run(&world, 5 * SECOND);
    for (size_t i = 0; i < 3; i++) {
        uint64_t age_ms = backlog_ms(&world, i);
        cr_assert(age_ms >= 6000 && age_ms <= 8000, "%zu: %d", i, (int)age_ms);
    }
    // The attribute counts from the last row that it has.
    cr_assert(
        ge(u64, strtoull(rules_attribute(&world, id, "replication_lag_time"), NULL, 10), 17000));
    world_do(&world, REPLICA, "mount_table", R, NULL);
    rules_catch_up(&world, id);
    cr_assert(eq(u64, backlog_ms(&world, 0), 0));
    rules_alter(&world, id, "mode=sync");
    world_run(&world, SECOND);
    world_do(&world, META, "insert_rows", T, "{key=9}");
    cr_assert(eq(u64, backlog_ms(&world, 0), 0));
    world_release(&world);
}
