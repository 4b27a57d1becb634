// Settings of the tracker for a whole cluster, and which list of preferred clusters counts
// (behaviour 10.4 and 10.6).
#include "rules.h"

TestSuite(tracker_settings, .fini = abort_on_leaks);

#define TRACKER "//sys/@config/tablet_manager/replicated_table_tracker"
#define OPTIONS "//tmp/t/@replicated_table_options"

static const struct {
    const char *name;
    const char *value; // By default.
    const char *other;
} SETTINGS[] = {
    {"enable_replicated_table_tracker", "%true", "%false"},
    {"check_period", "3000", "1"},
    {"update_period", "3000", "2"},
    {"general_check_timeout", "60000", "3"},
    {"bundle_health_cache/expire_after_access_time", "300000", "4"},
    {"bundle_health_cache/expire_after_successful_update_time", "15000", "5"},
    {"bundle_health_cache/expire_after_failed_update_time", "15000", "6"},
    {"bundle_health_cache/refresh_time", "10000", "7"},
    {"cluster_state_cache/expire_after_access_time", "300000", "8"},
    {"cluster_state_cache/expire_after_successful_update_time", "15000", "9"},
    {"cluster_state_cache/expire_after_failed_update_time", "15000", "10"},
    {"cluster_state_cache/refresh_time", "3000", "11"},
    {"max_iterations_without_acceptable_bundle_health", "1", "12"},
    {"max_action_queue_size", "10000", "13"},
    {"client_expiration_time", "900000", "14"},
    {"replicator_hint/banned_replica_clusters", "[]", "[\"a\";\"b\";]"},
    {"replicator_hint/enable_incoming_replication", "%true", "%false"},
    {"replicator_hint/preferred_sync_replica_clusters", "[]", "[\"c\";]"},
};

enum { SETTING_COUNT = sizeof SETTINGS / sizeof *SETTINGS };

static const char *get(struct machine_world *world, const char *name)
{
    const char *path = world_text(world, "{path=\"" TRACKER "/%s\"}", name);
    return world_do(world, META, "get", path, NULL);
}

static void remove_at(struct machine_world *world, const char *path)
{
    world_do(world, META, "remove", world_text(world, "{path=\"%s\"}", path), NULL);
}

static void assert_all(struct machine_world *world, bool is_default)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const char *expected = is_default ? SETTINGS[i].value : SETTINGS[i].other;
        const char *value = get(world, SETTINGS[i].name);
        cr_assert(eq(str, (char *)value, (char *)expected), "%s", SETTINGS[i].name);
    }
}

Test(tracker_settings, each_is_set_by_path_and_removed_back_to_its_default)
{
    struct machine_world world;
    world_init(&world, 1);
    assert_all(&world, true);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        world_set(
            &world, META, world_text(&world, TRACKER "/%s", SETTINGS[i].name), SETTINGS[i].other);
    }
    assert_all(&world, false);
    world_restart(&world, META);
    assert_all(&world, false);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        remove_at(&world, world_text(&world, TRACKER "/%s", SETTINGS[i].name));
    }
    assert_all(&world, true);
    world_release(&world);
}

// What a map does not name returns to its default.
Test(tracker_settings, are_set_and_removed_as_maps)
{
    static const char *const MAPS[] = {TRACKER, "//sys/@config/tablet_manager", "//sys/@config"};
    struct machine_world world;
    world_init(&world, 1);
    for (size_t i = 0; i < sizeof MAPS / sizeof *MAPS; i++) {
        for (size_t j = 0; j < SETTING_COUNT; j++) {
            world_set(
                &world,
                META,
                world_text(&world, TRACKER "/%s", SETTINGS[j].name),
                SETTINGS[j].other);
        }
        remove_at(&world, MAPS[i]);
        assert_all(&world, true);
    }
    world_set(&world, META, TRACKER "/update_period", "5");
    world_set(&world, META, TRACKER, "{check_period=1;bundle_health_cache={refresh_time=2}}");
    assert_text(get(&world, "check_period"), "1");
    assert_text(get(&world, "update_period"), "3000");
    assert_text(get(&world, "bundle_health_cache/refresh_time"), "2");
    assert_text(get(&world, "bundle_health_cache/expire_after_access_time"), "300000");
    world_release(&world);
}

Test(tracker_settings, that_make_no_sense_are_refused)
{
    static const struct {
        const char *name;
        const char *value;
        const char *text;
    } ROWS[] = {
        {"check_period", "-1", "check_period"},
        {"check_period", "soon", "check_period"},
        {"speed", "1", "no option \"speed\""},
        {"bundle_health_cache", "5", "must be a map"},
        {"bundle_health_cache/speed", "1", "no option \"speed\""},
        {"cluster_state_cache/refresh_time", "[]", "refresh_time"},
        {"replicator_hint/banned_replica_clusters", "a", "list of names"},
        {"replicator_hint/enable_incoming_replication", "1", "enable_incoming_replication"},
        {"suspicion_timeout", "1", "10 to 3600000"},
    };
    struct machine_world world;
    world_init(&world, 1);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const char *path = world_text(&world, "{path=\"" TRACKER "/%s\"}", ROWS[i].name);
        assert_refused(&world, META, "set", path, ROWS[i].value, 1, ROWS[i].text);
    }
    assert_all(&world, true);
    world_release(&world);
}

// replicator_hint if it is not empty, then the collocation's options, then the table's.
Test(tracker_settings, which_list_of_preferred_clusters_counts)
{
    static const struct {
        const char *hint;
        const char *collocation; // NULL: none is set.
        const char *table;
        bool is_preferred; // Whether the cluster "replica" is.
    } ROWS[] = {
        {"[]", NULL, "#", false},
        {"[]", NULL, "[replica]", true},
        {"[]", NULL, "[x]", false},
        {"[]", "[replica]", "[x]", true},
        {"[]", "[x]", "[replica]", false},
        {"[]", "[]", "[replica]", false}, // It says that none is preferred.
        {"[]", "#", "[replica]", true},
        {"[x]", "[replica]", "[replica]", false},
        {"[x]", NULL, "[replica]", false},
        {"[replica]", "[x]", "[x]", true},
        {"[x;replica]", NULL, "#", true},
    };
    struct machine_world world;
    rules_world(&world, "schema=" WORLD_SCHEMA, "mode=async");
    rules_table(&world, META, "replicated_table", "//tmp/u", "schema=" WORLD_SCHEMA);
    const char *id = rules_create(
        &world,
        META,
        "{type=table_collocation;attributes={table_paths=[\"//tmp/t\";\"//tmp/u\"]}}");
    const char *options = world_text(&world, "#%s/@options", id);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        world_set(
            &world, META, TRACKER "/replicator_hint/preferred_sync_replica_clusters", ROWS[i].hint);
        world_set(&world, META, OPTIONS "/preferred_sync_replica_clusters", ROWS[i].table);
        const char *own = ROWS[i].collocation ? ROWS[i].collocation : "#";
        const char *map = world_text(&world, "{preferred_sync_replica_clusters=%s}", own);
        world_set(&world, META, options, ROWS[i].collocation ? map : "{}");
        const char *status = world_do(&world, META, "get_tracker_status", T, NULL);
        bool is_preferred = strstr(status, "\"preferred\"=%true") != NULL;
        cr_assert(eq(int, is_preferred, ROWS[i].is_preferred), "row %zu: %s", i, status);
    }
    world_release(&world);
}
