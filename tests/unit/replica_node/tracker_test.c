// The tracker and what steers it: options, bans, switching by hand, and why a replica is bad
// (behaviour 10.1 to 10.3).
#include "tests/unit/cluster/machine_world.h"

TestSuite(tracker, .fini = abort_on_leaks);

#define T       "{path=\"//tmp/t\"}"
#define OPTIONS "//tmp/t/@replicated_table_options"
#define TRACKER "//sys/@config/tablet_manager/replicated_table_tracker"

static void remove_at(struct machine_world *world, const char *path)
{
    world_do(world, META, "remove", world_text(world, "{path=\"%s\"}", path), NULL);
}

// A tracked table with one replica; `mode` is that of the replica.
static const char *make(struct machine_world *world, const char *mode, const char *options)
{
    world_init(world, 2);
    const char *id = world_replicate(world, "//tmp/t", "//tmp/r", mode);
    world_run(world, SECOND);
    world_set(world, META, OPTIONS, options);
    return id;
}

static const char *mode_of(struct machine_world *world, const char *id)
{
    return world_get(world, META, world_text(world, "#%s/@mode", id));
}

static void wait_for_mode(struct machine_world *world, const char *id, const char *mode)
{
    world_wait(world, META, world_text(world, "#%s/@mode", id), mode);
}

Test(tracker, shows_all_options_with_their_defaults)
{
    struct machine_world world;
    make(&world, "async", "{}");
    assert_text(
        world_get(&world, META, OPTIONS),
        "{\"enable_replicated_table_tracker\"=%false;\"max_sync_replica_count\"=#;"
        "\"min_sync_replica_count\"=#;\"sync_replica_lag_threshold\"=600000;"
        "\"tablet_cell_bundle_name_ttl\"=300000;"
        "\"tablet_cell_bundle_name_failure_interval\"=60000;"
        "\"incomplete_preload_grace_period\"=300000;\"enable_preload_state_check\"=%false;"
        "\"preferred_sync_replica_clusters\"=#;}");
    world_release(&world);
}

Test(tracker, takes_options_as_a_whole_and_one_by_one)
{
    struct machine_world world;
    make(&world, "async", "{max_sync_replica_count=2;sync_replica_lag_threshold=1}");
    assert_text(world_get(&world, META, OPTIONS "/max_sync_replica_count"), "2");
    world_set(&world, META, OPTIONS "/min_sync_replica_count", "1");
    assert_text(world_get(&world, META, OPTIONS "/max_sync_replica_count"), "2");
    assert_text(world_get(&world, META, OPTIONS "/min_sync_replica_count"), "1");
    world_set(&world, META, OPTIONS "/preferred_sync_replica_clusters", "[replica]");
    assert_text(world_get(&world, META, OPTIONS "/preferred_sync_replica_clusters/0"), "replica");
    remove_at(&world, OPTIONS "/sync_replica_lag_threshold");
    assert_text(world_get(&world, META, OPTIONS "/sync_replica_lag_threshold"), "600000");
    world_set(&world, META, OPTIONS, "{sync_replica_count=3}");
    assert_text(world_get(&world, META, OPTIONS "/max_sync_replica_count"), "3");
    assert_text(world_get(&world, META, OPTIONS "/min_sync_replica_count"), "#");
    world_restart(&world, META);
    assert_text(world_get(&world, META, OPTIONS "/max_sync_replica_count"), "3");
    world_release(&world);
}

Test(tracker, refuses_options_that_make_no_sense)
{
    struct machine_world world;
    make(&world, "async", "{}");
    const char *path = "{path=\"" OPTIONS "\"}";
    assert_refused(
        &world,
        META,
        "set",
        path,
        "{min_sync_replica_count=2;max_sync_replica_count=1}",
        1,
        "\"min_sync_replica_count\" must be less or equal to \"max_sync_replica_count\"");
    assert_refused(&world, META, "set", path, "{speed=1}", 1, "no option \"speed\"");
    assert_refused(&world, META, "set", path, "[]", 1, "must be a map");
    assert_refused(
        &world, META, "set", path, "{preferred_sync_replica_clusters=x}", 1, "list of names");
    assert_refused(
        &world, META, "set", "{path=\"" OPTIONS "/max_sync_replica_count\"}", "-1", 1, "");
    assert_refused(
        &world, META, "set", "{path=\"" TRACKER "/suspicion_timeout\"}", "1", 1, "10 to 3600000");
    assert_refused(&world, META, "set", "{path=\"//sys/@config/speed\"}", "1", 1, "\"speed\"");
    world_release(&world);
}

Test(tracker, keeps_a_lone_bad_replica_synchronous_unless_the_minimum_is_0)
{
    struct machine_world world;
    const char *id = make(&world, "sync", "{enable_replicated_table_tracker=%true}");
    world_unlink(&world);
    world_run(&world, 5 * SECOND);
    assert_text(mode_of(&world, id), "sync");
    world_set(&world, META, OPTIONS "/max_sync_replica_count", "1");
    world_set(&world, META, OPTIONS "/min_sync_replica_count", "0");
    wait_for_mode(&world, id, "async");
    world_link(&world);
    wait_for_mode(&world, id, "sync");
    world_release(&world);
}

Test(tracker, makes_a_good_replica_synchronous)
{
    struct machine_world world;
    const char *id = make(&world, "async", "{enable_replicated_table_tracker=%true}");
    wait_for_mode(&world, id, "sync");
    world_do(&world, META, "insert_rows", T, "{key=1;value=a}");
    const char *history = world_do(&world, META, "get_tracker_history", T, NULL);
    cr_assert(strstr(history, "\"actor\"=\"tracker\"") != NULL);
    cr_assert(
        strstr(history, "\"from\"=\"async\";\"to\"=\"sync\";\"reason\"=\"promoted\"") != NULL);
    world_release(&world);
}

Test(tracker, leaves_alone_what_it_is_not_to_track)
{
    struct machine_world world;
    const char *id = make(&world, "async", "{}");
    world_run(&world, 5 * SECOND);
    assert_text(mode_of(&world, id), "async"); // The table.
    world_set(&world, META, TRACKER "/enable_replicated_table_tracker", "%false");
    world_set(&world, META, OPTIONS "/enable_replicated_table_tracker", "%true");
    world_run(&world, 5 * SECOND);
    assert_text(mode_of(&world, id), "async"); // The cluster.
    world_set(
        &world, META, world_text(&world, "#%s/@enable_replicated_table_tracker", id), "%false");
    world_set(&world, META, TRACKER "/enable_replicated_table_tracker", "%true");
    world_run(&world, 5 * SECOND);
    assert_text(mode_of(&world, id), "async"); // The replica.
    world_set(
        &world, META, world_text(&world, "#%s/@enable_replicated_table_tracker", id), "%true");
    wait_for_mode(&world, id, "sync");
    world_release(&world);
}

// What it says of the table's replicas, as text.
static void assert_cause(struct machine_world *world, const char *cause)
{
    const char *status = world_do(world, META, "get_tracker_status", T, NULL);
    cr_assert(strstr(status, cause) != NULL, "%s is not in %s", cause, status);
}

Test(tracker, heeds_what_a_replica_cluster_says_of_itself)
{
    static const char *const PATHS[] = {
        "//sys/@config/enable_safe_mode",
        "//sys/@hydra_read_only",
        TRACKER "/replicator_hint/enable_incoming_replication",
    };
    static const char *const CAUSES[] = {
        "Safe mode is enabled for cluster \\\"replica\\\"",
        "Hydra read only mode is activated for cluster \\\"replica\\\"",
        "Replica cluster \\\"replica\\\" incoming replication is disabled",
    };
    struct machine_world world;
    const char *id = make(
        &world,
        "sync",
        "{enable_replicated_table_tracker=%true;max_sync_replica_count=1;min_sync_replica_count="
        "0}");
    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++) {
        world_set(&world, REPLICA, PATHS[i], i < 2 ? "%true" : "%false");
        wait_for_mode(&world, id, "async");
        assert_cause(&world, CAUSES[i]);
        world_set(&world, REPLICA, PATHS[i], i < 2 ? "%false" : "%true");
        wait_for_mode(&world, id, "sync");
    }
    world_release(&world);
}

Test(tracker, promotes_nothing_that_lags_beyond_the_threshold)
{
    struct machine_world world;
    const char *id = make(&world, "async", "{sync_replica_lag_threshold=1000}");
    const char *rows = "{path=\"//tmp/t\";require_sync_replica=%false}";
    world_set(&world, META, "//tmp/t/@replication_throttler", "{limit=10}");
    world_do(&world, META, "remount_table", T, NULL);
    for (int i = 0; i < 3; i++) {
        world_do(&world, META, "insert_rows", rows, "{key=1;value=a}");
        world_run(&world, SECOND);
    }
    world_set(&world, META, OPTIONS "/enable_replicated_table_tracker", "%true");
    world_run(&world, SECOND);
    assert_text(mode_of(&world, id), "async");
    assert_cause(&world, "Replica lag time threshold exceeded: ");
    world_set(&world, META, "//tmp/t/@replication_throttler", "{}");
    world_do(&world, META, "remount_table", T, NULL);
    wait_for_mode(&world, id, "sync");
    world_release(&world);
}

// Lag as the tracker sees it grows no faster than the clock: the first write after an hour of
// silence makes a replica an hour late, which says nothing about it.
Test(tracker, lag_grows_no_faster_than_the_clock)
{
    struct machine_world world;
    const char *id = make(
        &world,
        "async",
        "{enable_replicated_table_tracker=%true;max_sync_replica_count=0;"
        "sync_replica_lag_threshold=5000}");
    const char *rows = "{path=\"//tmp/t\";require_sync_replica=%false}";
    world_set(
        &world, META, TRACKER "/suspicion_timeout", "3600000"); // A held link is not a dead one.
    world_do(&world, META, "insert_rows", rows, "{key=1;value=a}");
    world_run(&world, 3600 * SECOND);
    assert_cause(&world, "\"health\"=\"good\"");
    world.is_link_held = true;
    world_do(&world, META, "insert_rows", rows, "{key=2;value=a}");
    world_run(&world, 2 * SECOND);
    const char *lag = world_get(&world, META, world_text(&world, "#%s/@replication_lag_time", id));
    cr_assert(strtoull(lag, NULL, 10) >= 3600000, "%s", lag);
    assert_cause(&world, "\"health\"=\"good\"");
    world_run(&world, 5 * SECOND);
    assert_cause(&world, "Replica lag time threshold exceeded: ");
    world.is_link_held = false;
    world_release(&world);
}

// Before a replica was seen for long enough nothing is held against it, and nobody is promoted or
// demoted because of it.
Test(tracker, a_new_replica_is_not_judged_at_once)
{
    struct machine_world world;
    const char *id = make(&world, "sync", "{enable_replicated_table_tracker=%true}");
    world_set(&world, META, TRACKER "/suspicion_timeout", "5000");
    const char *created = world_do(
        &world,
        META,
        "create",
        "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;"
        "replica_path=\"//tmp/none\";enabled=%true}}",
        NULL);
    world_run(&world, SECOND);
    assert_cause(&world, "\"health\"=\"Not known yet\"");
    assert_text(mode_of(&world, id), "sync");
    world_run(&world, 10 * SECOND);
    const char *status = world_do(&world, META, "get_tracker_status", T, NULL);
    cr_assert(strstr(status, "Not known yet") == NULL, "%s", status);
    assert_cause(&world, "//tmp/none"); // There is no such table.
    assert_text(mode_of(&world, id), "sync");
    const char *new_id = world_text(&world, "%.*s", (int)strlen(created) - 2, created + 1);
    assert_text(mode_of(&world, new_id), "async");
    world_release(&world);
}

// Nothing has ever to be loaded into memory, so whoever asks for it finds it there.
Test(tracker, the_state_of_preloading_is_always_complete)
{
    struct machine_world world;
    const char *id = make(
        &world,
        "async",
        "{enable_replicated_table_tracker=%true;enable_preload_state_check=%true;"
        "incomplete_preload_grace_period=0}");
    wait_for_mode(&world, id, "sync");
    assert_text(world_get(&world, REPLICA, "//tmp/r/@preload_state"), "complete");
    world_release(&world);
}

static void fill_disk(struct cell *cell)
{
    cell_set_disk_error(cell, error_new(ERROR_ACCOUNT_LIMIT_EXCEEDED, "Disk is almost full"));
}

Test(tracker, a_full_disk_refuses_rows_of_users_and_replicators)
{
    struct machine_world world;
    const char *id = make(&world, "async", "{}");
    const char *rows = "{path=\"//tmp/t\";require_sync_replica=%false}";
    const char *errors = world_text(&world, "#%s/@error_count", id);
    struct cell *cell = &world.nodes[REPLICA].machine->cell;
    fill_disk(cell);
    world_do(&world, META, "insert_rows", rows, "{key=1;value=a}");
    world_wait(&world, META, errors, "1");
    const char *text = world_do(&world, META, "get_tablet_errors", T, NULL);
    cr_assert(strstr(text, "Disk is almost full") != NULL, "%s", text);
    cr_assert(cell_flags(cell) == CLUSTER_BUNDLE_FAILED);
    cell_set_disk_error(cell, NULL);
    world_do(&world, META, "wait_replicas", T, NULL);
    world_wait(&world, META, errors, "0");
    fill_disk(&world.nodes[META].machine->cell);
    assert_refused(&world, META, "insert_rows", rows, "{key=2;value=a}", 902, "almost full");
    world_release(&world);
}

// The only bundle of a cluster is failed while its disk is full.
Test(tracker, bundle_health_must_be_bad_several_times_in_a_row)
{
    struct machine_world world;
    const char *id = make(
        &world,
        "sync",
        "{enable_replicated_table_tracker=%true;max_sync_replica_count=1;min_sync_replica_count="
        "0}");
    struct cell *cell = &world.nodes[REPLICA].machine->cell;
    fill_disk(cell);
    wait_for_mode(&world, id, "async");
    assert_cause(&world, "Tablet cell bundle health check failed for ");
    assert_cause(&world, " times in a row");
    cell_set_disk_error(cell, NULL);
    wait_for_mode(&world, id, "sync");
    // One bad round is nothing, unless the setting says so.
    world_set(&world, META, TRACKER "/max_iterations_without_acceptable_bundle_health", "20");
    fill_disk(cell);
    world_run(&world, SECOND); // Ten rounds.
    assert_cause(&world, "\"health\"=\"good\"");
    assert_text(mode_of(&world, id), "sync");
    cell_set_disk_error(cell, NULL);
    world_run(&world, 200 * MS);
    fill_disk(cell); // They are counted anew.
    world_run(&world, SECOND);
    assert_text(mode_of(&world, id), "sync");
    world_run(&world, 2 * SECOND);
    assert_text(mode_of(&world, id), "async");
    cell_set_disk_error(cell, NULL);
    wait_for_mode(&world, id, "sync");
    world_set(&world, META, TRACKER "/max_iterations_without_acceptable_bundle_health", "0");
    fill_disk(cell);
    world_run(&world, 300 * MS);
    assert_text(mode_of(&world, id), "async");
    world_release(&world);
}

Test(tracker, says_why_a_cluster_or_a_table_is_bad)
{
    struct machine_world world;
    make(&world, "sync", "{enable_replicated_table_tracker=%true}");
    world_set(&world, META, TRACKER "/suspicion_timeout", "1000");
    world.is_link_held = true;
    world_run(&world, 2 * SECOND);
    assert_cause(&world, "Cluster \\\"replica\\\" has been silent for more than 1000 ms");
    world.is_link_held = false;
    world_run(&world, 5 * SECOND);
    assert_cause(&world, "\"health\"=\"good\"");
    world_unlink(&world);
    assert_cause(&world, "Cluster \\\"replica\\\" cannot be reached");
    world_link(&world);
    world_run(&world, 5 * SECOND);
    assert_cause(&world, "\"health\"=\"good\"");
    world_do(&world, REPLICA, "remove", "{path=\"//tmp/r\"}", NULL);
    world_run(&world, 5 * SECOND);
    assert_cause(&world, "//tmp/r"); // What the cluster says: there is no such table.
    world_release(&world);
}

Test(tracker, safe_mode_refuses_writes_of_users_and_replicators)
{
    struct machine_world world;
    const char *id = make(&world, "async", "{}");
    const char *rows = "{path=\"//tmp/t\";require_sync_replica=%false}";
    const char *errors = world_text(&world, "#%s/@error_count", id);
    world_set(&world, REPLICA, "//sys/@config/enable_safe_mode", "%true");
    world_do(&world, META, "insert_rows", rows, "{key=1;value=a}");
    world_wait(&world, META, errors, "1");
    world_set(&world, REPLICA, "//sys/@config/enable_safe_mode", "%false");
    world_do(&world, META, "wait_replicas", T, NULL);
    world_wait(&world, META, errors, "0");
    // Users' writes to it, and through it.
    const char *alter = world_text(&world, "{replica_id=\"%s\";mode=sync}", id);
    world_do(&world, META, "alter_table_replica", alter, NULL);
    world_do(&world, META, "insert_rows", rows, "{key=1;value=b}");
    world_do(
        &world,
        REPLICA,
        "create",
        "{type=table;path=\"//tmp/own\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}",
        NULL);
    world_do(&world, REPLICA, "mount_table", "{path=\"//tmp/own\"}", NULL);
    world_set(&world, REPLICA, "//sys/@config/enable_safe_mode", "%true");
    const char *own = "{path=\"//tmp/own\"}";
    assert_refused(&world, REPLICA, "insert_rows", own, "{key=1}", 901, "safe mode");
    cr_assert(world_try(&world, META, "insert_rows", T, "{key=2;value=a}") == NULL);
    const char *count = "{query=\"sum(1) as n from [//tmp/r] group by 1 as one\"}";
    world_set(&world, REPLICA, "//sys/@config/enable_safe_mode", "%false");
    world_do(&world, META, "wait_replicas", T, NULL);
    assert_text(world_do(&world, REPLICA, "select_rows", count, NULL), "{\"n\"=1;};\n");
    world_set(&world, META, "//sys/@config/enable_safe_mode", "%true");
    assert_refused(&world, META, "insert_rows", rows, "{key=2;value=a}", 901, "safe mode");
    world_release(&world);
}

Test(tracker, bans_clusters_without_an_error)
{
    struct machine_world world;
    const char *id = make(
        &world,
        "sync",
        "{enable_replicated_table_tracker=%true;max_sync_replica_count=1;min_sync_replica_count="
        "0}");
    world_do(&world, META, "ban_replica_cluster", "{cluster_name=replica}", NULL);
    wait_for_mode(&world, id, "async");
    assert_cause(&world, "Replica cluster is banned");
    const char *rows = "{path=\"//tmp/t\";require_sync_replica=%false}";
    world_do(&world, META, "insert_rows", rows, "{key=1;value=a}");
    world_run(&world, 5 * SECOND);
    const char *index = world_text(&world, "#%s/@tablets/0/current_replication_row_index", id);
    assert_text(world_get(&world, META, index), "0");
    assert_text(world_get(&world, META, world_text(&world, "#%s/@error_count", id)), "0");
    assert_refused(
        &world,
        META,
        "wait_replicas",
        "{path=\"//tmp/t\";timeout=100}",
        NULL,
        3,
        "does not have everything yet");
    world_do(&world, META, "unban_replica_cluster", "{cluster_name=replica}", NULL);
    world_do(&world, META, "wait_replicas", T, NULL);
    assert_text(world_get(&world, META, index), "1");
    wait_for_mode(&world, id, "sync");
    assert_refused(
        &world,
        META,
        "unban_replica_cluster",
        "{cluster_name=replica}",
        NULL,
        1,
        "Cluster \"replica\" is not banned");
    assert_refused(
        &world,
        META,
        "ban_replica_cluster",
        "{cluster_name=nowhere}",
        NULL,
        1,
        "Cannot find cluster with name \"nowhere\"");
    world_release(&world);
}

Test(tracker, switches_by_hand)
{
    struct machine_world world;
    const char *id = make(&world, "async", "{}");
    const char *to = "{path=\"//tmp/t\";cluster_name=replica}";
    world_do(
        &world, META, "switch_over", "{path=\"//tmp/t\";cluster_name=replica;dry_run=%true}", NULL);
    assert_text(mode_of(&world, id), "async");
    world_do(&world, META, "switch_over", to, NULL);
    assert_text(mode_of(&world, id), "sync");
    assert_text(world_do(&world, META, "switch_over", to, NULL), "[]"); // It is there.
    const char *history = world_do(&world, META, "get_tracker_history", "{}", NULL);
    cr_assert(strstr(history, "\"actor\"=\"user\"") != NULL);
    assert_refused(
        &world,
        META,
        "switch_over",
        "{path=\"//tmp/t\";cluster_name=x}",
        NULL,
        1,
        "has no replica on cluster \"x\"");
    world_unlink(&world);
    world_run(&world, SECOND);
    assert_refused(&world, META, "switch_over", to, NULL, 1, "is not fit to be synchronous");
    world_release(&world);
}
