#include "cluster/core/table_settings.h"

#include <stddef.h>

enum kind { NUMBER, NUMBER_OR_OFF, BOOLEAN };

// Options that are a number or a boolean each. Those of other shapes have functions of their own.
static const struct option {
    const char *name;
    enum kind kind;
    size_t offset; // In table_settings.
    uint64_t default_value;
    uint64_t min;
} OPTIONS[] = {
#define FIELD(name) offsetof(struct table_settings, name)
    {"replication_tick_period", NUMBER, FIELD(replication_tick_ms), 100, 1},
    {"min_replication_log_ttl", NUMBER, FIELD(min_replication_log_ttl_ms), 300000, 0},
    {"max_timestamps_per_replication_commit", NUMBER, FIELD(batch_timestamp_count_max), 10000, 1},
    {"max_rows_per_replication_commit", NUMBER, FIELD(batch_row_count_max), 90000, 1},
    {"max_data_weight_per_replication_commit", NUMBER, FIELD(batch_data_weight_max), 128 << 20, 1},
    {"max_replication_batch_span", NUMBER, FIELD(batch_span_ms_max), 30000, 0},
    {"enable_replication_logging", BOOLEAN, FIELD(enable_replication_logging), false, 0},
    {"preserve_tablet_index", BOOLEAN, FIELD(preserve_tablet_index), false, 0},
    {"min_data_ttl", NUMBER, FIELD(min_data_ttl_ms), 1800000, 0},
    {"max_data_ttl", NUMBER, FIELD(max_data_ttl_ms), 1800000, 0},
    {"min_data_versions", NUMBER, FIELD(data_version_count_min), 1, 0},
    {"max_data_versions", NUMBER, FIELD(data_version_count_max), 1, 0},
    {"row_count_to_keep", NUMBER, FIELD(row_count_to_keep), 0, 0},
    {"dynamic_store_auto_flush_period",
     NUMBER_OR_OFF,
     FIELD(dynamic_store_auto_flush_period_ms),
     900000,
     0},
    {"dynamic_store_flush_period_splay",
     NUMBER,
     FIELD(dynamic_store_flush_period_splay_ms),
     60000,
     0},
    {"max_dynamic_store_row_count", NUMBER, FIELD(dynamic_store_row_count_max), 1000000, 1},
    {"max_dynamic_store_pool_size", NUMBER, FIELD(dynamic_store_pool_size_max), 1 << 30, 1},
    {"backing_store_retention_time", NUMBER, FIELD(backing_store_retention_time_ms), 60000, 0},
    {"enable_profiling", BOOLEAN, FIELD(enable_profiling), false, 0},
#undef FIELD
};

enum { OPTION_COUNT = sizeof OPTIONS / sizeof *OPTIONS };

static uint64_t *number_of(struct table_settings *settings, const struct option *option)
{
    return (uint64_t *)((char *)settings + option->offset);
}

static bool *boolean_of(struct table_settings *settings, const struct option *option)
{
    return (bool *)((char *)settings + option->offset);
}

static struct error *read_option(
    const struct node *map, const struct option *option, struct table_settings *settings)
{
    if (option->kind == BOOLEAN) {
        return node_get_boolean(map, option->name, boolean_of(settings, option));
    }
    uint64_t *number = number_of(settings, option);
    const struct node *given = node_find_text(map, option->name);
    if (option->kind == NUMBER_OR_OFF && given && given->type == NODE_ENTITY) {
        *number = TABLE_SETTING_OFF;
        return NULL;
    }
    TRY(node_get_uint64(map, option->name, number));
    if (*number >= option->min) return NULL;
    return error_new(ERROR_GENERIC, "\"%s\" must be positive", option->name);
}

// An option that is a map; NULL if it is not given.
static struct error *find_map(
    const struct node *options, const char *name, const struct node **ret_map)
{
    const struct node *map = node_find_text(options, name);
    *ret_map = map && map->type == NODE_MAP ? map : NULL;
    if (!map || map->type == NODE_MAP || map->type == NODE_ENTITY) return NULL;
    return error_new(ERROR_GENERIC, "Attribute \"%s\" must be a map", name);
}

static struct error *read_throttler(const struct node *options, struct table_settings *settings)
{
    const struct node *map = NULL;
    TRY(find_map(options, "replication_throttler", &map));
    if (!map) return NULL;
    TRY(node_get_uint64(map, "limit", &settings->throttler_limit));
    TRY(node_get_uint64(map, "period", &settings->throttler_period_ms));
    if (settings->throttler_period_ms == 0 || settings->throttler_period_ms > 60000) {
        return error_new(ERROR_GENERIC, "\"replication_throttler/period\" must be 1 to 60000 ms");
    }
    if (settings->throttler_limit > UINT64_C(1) << 36) {
        return error_new(ERROR_GENERIC, "\"replication_throttler/limit\" must be at most 2^36");
    }
    return NULL;
}

static struct error *read_relative_throttler(
    const struct node *options, struct table_settings *settings)
{
    struct relative_throttler_config *config = &settings->relative_throttler;
    const struct node *map = NULL;
    TRY(find_map(options, "relative_replication_throttler", &map));
    if (!map) return NULL;
    TRY(node_get_boolean(map, "enable", &config->is_enabled));
    TRY(node_get_double(map, "ratio", &config->ratio));
    TRY(node_get_uint64(map, "activation_threshold", &config->activation_threshold_ms));
    TRY(node_get_uint64(map, "window_size", &config->window_ms));
    TRY(node_get_uint64(map, "max_timestamps_to_keep", &settings->relative_timestamp_count_max));
    if (settings->relative_timestamp_count_max == 0) {
        return error_new(
            ERROR_GENERIC,
            "\"relative_replication_throttler/max_timestamps_to_keep\" must be positive");
    }
    struct relative_throttler trial;
    return relative_throttler_init(&trial, config, 0);
}

static struct error *within(struct error *error, const char *name)
{
    return error ? error_wrap(error, ERROR_GENERIC, "Error reading \"%s\"", name) : NULL;
}

struct error *table_settings_read(
    const struct node *attributes, struct table_settings *ret_settings)
{
    struct table_settings settings = {
        .throttler_period_ms = 1000,
        .relative_throttler = {.ratio = 2, .activation_threshold_ms = 60000, .window_ms = 30000},
        .relative_timestamp_count_max = 100,
    };
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (OPTIONS[i].kind == BOOLEAN) {
            *boolean_of(&settings, &OPTIONS[i]) = OPTIONS[i].default_value;
        } else {
            *number_of(&settings, &OPTIONS[i]) = OPTIONS[i].default_value;
        }
    }
    // Options may stand in `mount_config` or beside it; the latter win.
    const struct node *places[] = {NULL, attributes};
    TRY(find_map(attributes, "mount_config", &places[0]));
    for (size_t i = 0; i < 2; i++) {
        if (!places[i]) continue;
        for (int j = 0; j < OPTION_COUNT; j++) TRY(read_option(places[i], &OPTIONS[j], &settings));
        struct error *error = read_throttler(places[i], &settings);
        TRY(within(error, "replication_throttler"));
        error = read_relative_throttler(places[i], &settings);
        TRY(within(error, "relative_replication_throttler"));
    }
    *ret_settings = settings;
    return NULL;
}

static void set_int(struct arena *arena, struct node *map, const char *key, uint64_t number)
{
    node_set_text(arena, map, key, node_int64(arena, (int64_t)number));
}

struct node *table_settings_to_node(struct arena *arena, const struct table_settings *settings)
{
    struct table_settings copy = *settings;
    struct node *map = node_map(arena);
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &OPTIONS[i];
        if (option->kind == BOOLEAN) {
            bool is_on = *boolean_of(&copy, option);
            node_set_text(arena, map, option->name, node_boolean(arena, is_on));
        } else if (
            option->kind == NUMBER_OR_OFF && *number_of(&copy, option) == TABLE_SETTING_OFF) {
            node_set_text(arena, map, option->name, node_entity(arena));
        } else {
            set_int(arena, map, option->name, *number_of(&copy, option));
        }
    }
    struct node *throttler = node_map(arena);
    if (settings->throttler_limit > 0) {
        set_int(arena, throttler, "limit", settings->throttler_limit);
    }
    set_int(arena, throttler, "period", settings->throttler_period_ms);
    node_set_text(arena, map, "replication_throttler", throttler);
    const struct relative_throttler_config *config = &settings->relative_throttler;
    struct node *relative = node_map(arena);
    node_set_text(arena, relative, "enable", node_boolean(arena, config->is_enabled));
    node_set_text(arena, relative, "ratio", node_double(arena, config->ratio));
    set_int(arena, relative, "activation_threshold", config->activation_threshold_ms);
    set_int(arena, relative, "window_size", config->window_ms);
    set_int(arena, relative, "max_timestamps_to_keep", settings->relative_timestamp_count_max);
    node_set_text(arena, map, "relative_replication_throttler", relative);
    return map;
}
