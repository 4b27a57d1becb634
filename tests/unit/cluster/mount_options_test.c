// Options that tablets take when they are mounted: the table of behaviour.md, section 2.6.
#include "machine_world.h"

TestSuite(mount_options, .fini = abort_on_leaks);

#define T "{path=\"//tmp/t\"}"

#define NOT_A_NUMBER  "expected \"uint64\""
#define NOT_A_BOOLEAN "expected \"boolean\""

// Each option's default, a value to set and how it is shown, and a value that is refused and why.
static const struct mount_option {
    const char *name;
    const char *default_value;
    const char *value;
    const char *shown;
    const char *wrong_value;
    const char *error;
} MOUNT_OPTIONS[] = {
    {"replication_tick_period", "100", "200", "200", "0", "must be positive"},
    {"min_replication_log_ttl", "300000", "5000", "5000", "soon", NOT_A_NUMBER},
    {"max_timestamps_per_replication_commit", "10000", "5", "5", "0", "must be positive"},
    {"max_rows_per_replication_commit", "90000", "6", "6", "0", "must be positive"},
    {"max_data_weight_per_replication_commit", "134217728", "7", "7", "0", "must be positive"},
    {"max_replication_batch_span", "30000", "1000", "1000", "-1", "does not fit"},
    {"replication_throttler",
     "{\"period\"=1000;}",
     "{limit=5}",
     "{\"limit\"=5;\"period\"=1000;}",
     "{limit=fast}",
     NOT_A_NUMBER},
    {"relative_replication_throttler",
     "{\"enable\"=%false;\"ratio\"=2.;\"activation_threshold\"=60000;\"window_size\"=30000;"
     "\"max_timestamps_to_keep\"=100;}",
     "{enable=%true;ratio=3;window_size=5000;max_timestamps_to_keep=7}",
     "{\"enable\"=%true;\"ratio\"=3.;\"activation_threshold\"=60000;\"window_size\"=5000;"
     "\"max_timestamps_to_keep\"=7;}",
     "{enable=5}",
     NOT_A_BOOLEAN},
    {"enable_replication_logging", "%false", "%true", "%true", "5", NOT_A_BOOLEAN},
    {"preserve_tablet_index", "%false", "%true", "%true", "5", NOT_A_BOOLEAN},
    {"row_count_to_keep", "0", "3", "3", "-1", "does not fit"},
    {"dynamic_store_auto_flush_period", "900000", "#", "#", "soon", NOT_A_NUMBER},
    {"dynamic_store_flush_period_splay", "60000", "0", "0", "soon", NOT_A_NUMBER},
    {"max_dynamic_store_row_count", "1000000", "9", "9", "0", "must be positive"},
    {"max_dynamic_store_pool_size", "1073741824", "9", "9", "0", "must be positive"},
    {"backing_store_retention_time", "60000", "9", "9", "soon", NOT_A_NUMBER},
    {"enable_profiling", "%false", "%true", "%true", "5", NOT_A_BOOLEAN},
};

enum { MOUNT_OPTION_COUNT = sizeof MOUNT_OPTIONS / sizeof *MOUNT_OPTIONS };

// Sets each option, beside mount_config or in it.
static void check_mount_options(bool is_beside)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    for (size_t i = 0; i < MOUNT_OPTION_COUNT; i++) {
        const struct mount_option *row = &MOUNT_OPTIONS[i];
        const char *effective =
            world_text(&world, "{path=\"//tmp/t/@effective_mount_config/%s\"}", row->name);
        assert_text(world_do(&world, META, "get", effective, NULL), row->default_value);
        const char *place = is_beside ? "" : "mount_config/";
        const char *name = world_text(&world, "%s%s", place, row->name);
        const char *path = world_text(&world, "{path=\"//tmp/t/@%s\"}", name);
        assert_refused(&world, META, "set", path, row->wrong_value, 1, row->error);
        assert_refused(&world, META, "set", path, row->wrong_value, 1, row->name);
        world_do(&world, META, "set", path, row->value);
        // It takes effect when the table is mounted anew.
        assert_text(world_do(&world, META, "get", effective, NULL), row->default_value);
        world_do(&world, META, "remount_table", T, NULL);
        assert_text(world_do(&world, META, "get", effective, NULL), row->shown);
    }
    world_restart(&world, META);
    const char *effective = "{path=\"//tmp/t/@effective_mount_config\"}";
    const char *all = world_do(&world, META, "get", effective, NULL);
    for (size_t i = 0; i < MOUNT_OPTION_COUNT; i++) {
        const struct mount_option *row = &MOUNT_OPTIONS[i];
        const char *entry = world_text(&world, "\"%s\"=%s;", row->name, row->shown);
        cr_assert(strstr(all, entry) != NULL, "%s in %s", entry, all);
        // Removed, it is what it was.
        const char *name = world_text(&world, "%s%s", is_beside ? "" : "mount_config/", row->name);
        world_do(&world, META, "remove", world_text(&world, "{path=\"//tmp/t/@%s\"}", name), NULL);
    }
    world_do(&world, META, "remount_table", T, NULL);
    all = world_do(&world, META, "get", effective, NULL);
    for (size_t i = 0; i < MOUNT_OPTION_COUNT; i++) {
        const struct mount_option *row = &MOUNT_OPTIONS[i];
        const char *entry = world_text(&world, "\"%s\"=%s;", row->name, row->default_value);
        cr_assert(strstr(all, entry) != NULL, "%s in %s", entry, all);
    }
    world_release(&world);
}

Test(mount_options, table_2_6_as_attributes)
{
    check_mount_options(true);
}

Test(mount_options, table_2_6_in_mount_config)
{
    check_mount_options(false);
}

Test(mount_options, table_2_6_at_creation_and_of_a_mount_config_that_is_no_map)
{
    struct machine_world world;
    world_init(&world, 1);
    for (size_t i = 0; i < MOUNT_OPTION_COUNT; i++) {
        const char *parameters = world_text(
            &world,
            "{type=table;path=\"//tmp/t\";attributes={dynamic=%%true;schema=" WORLD_SCHEMA
            ";%s=%s}}",
            MOUNT_OPTIONS[i].name,
            MOUNT_OPTIONS[i].wrong_value);
        assert_refused(&world, META, "create", parameters, NULL, 1, MOUNT_OPTIONS[i].error);
    }
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}",
        NULL);
    const char *path = "{path=\"//tmp/t/@mount_config\"}";
    assert_refused(&world, META, "set", path, "5", 1, "Attribute \"mount_config\" must be a map");
    world_release(&world);
}
