#include "cluster/core/table_settings.h"

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
    return node_get_uint64(map, "period", &settings->throttler_period_ms);
}

static struct error *read_relative_throttler(
    const struct node *options, struct relative_throttler_config *config)
{
    const struct node *map = NULL;
    uint64_t count = 1; // Of timestamps that YTsaurus keeps; a bucket needs none.
    TRY(find_map(options, "relative_replication_throttler", &map));
    if (!map) return NULL;
    TRY(node_get_boolean(map, "enable", &config->is_enabled));
    TRY(node_get_double(map, "ratio", &config->ratio));
    TRY(node_get_uint64(map, "activation_threshold", &config->activation_threshold_ms));
    TRY(node_get_uint64(map, "window_size", &config->window_ms));
    TRY(node_get_uint64(map, "max_timestamps_to_keep", &count));
    if (count > 0) return NULL;
    return error_new(
        ERROR_GENERIC,
        "\"relative_replication_throttler/max_timestamps_to_keep\" must be positive");
}

struct error *table_settings_read(
    const struct node *attributes, struct table_settings *ret_settings)
{
    struct table_settings settings = {
        .min_replication_log_ttl_ms = 300000,
        .batch_row_count_max = 90000,
        .batch_timestamp_count_max = 10000,
        .batch_data_weight_max = 128 << 20,
        .batch_span_ms_max = 30000,
        .replication_tick_ms = 100,
        .throttler_period_ms = 1000,
        .relative_throttler = {.ratio = 2, .activation_threshold_ms = 60000, .window_ms = 30000},
        .min_data_ttl_ms = 1800000,
        .max_data_ttl_ms = 1800000,
        .data_version_count_min = 1,
        .data_version_count_max = 1,
    };
    // Options may stand in `mount_config` or beside it; the latter win.
    const struct node *places[] = {node_find_text(attributes, "mount_config"), attributes};
    for (size_t i = 0; i < 2; i++) {
        const struct node *map = places[i];
        if (!map || map->type != NODE_MAP) continue;
        TRY(node_get_uint64(map, "min_replication_log_ttl", &settings.min_replication_log_ttl_ms));
        TRY(node_get_uint64(map, "max_rows_per_replication_commit", &settings.batch_row_count_max));
        TRY(node_get_uint64(
            map, "max_timestamps_per_replication_commit", &settings.batch_timestamp_count_max));
        TRY(node_get_uint64(
            map, "max_data_weight_per_replication_commit", &settings.batch_data_weight_max));
        TRY(node_get_uint64(map, "max_replication_batch_span", &settings.batch_span_ms_max));
        TRY(node_get_uint64(map, "replication_tick_period", &settings.replication_tick_ms));
        TRY(node_get_boolean(map, "preserve_tablet_index", &settings.preserve_tablet_index));
        TRY(node_get_uint64(map, "min_data_ttl", &settings.min_data_ttl_ms));
        TRY(node_get_uint64(map, "max_data_ttl", &settings.max_data_ttl_ms));
        TRY(node_get_uint64(map, "min_data_versions", &settings.data_version_count_min));
        TRY(node_get_uint64(map, "max_data_versions", &settings.data_version_count_max));
        TRY(node_get_uint64(map, "row_count_to_keep", &settings.row_count_to_keep));
        TRY(read_throttler(map, &settings));
        TRY(read_relative_throttler(map, &settings.relative_throttler));
    }
    if (settings.batch_row_count_max == 0 || settings.batch_timestamp_count_max == 0 ||
        settings.batch_data_weight_max == 0 || settings.replication_tick_ms == 0) {
        return error_new(
            ERROR_GENERIC, "Limits of replication batches and periods must be positive");
    }
    if (settings.throttler_period_ms == 0 || settings.throttler_period_ms > 60000) {
        return error_new(ERROR_GENERIC, "\"replication_throttler/period\" must be 1 to 60000 ms");
    }
    if (settings.throttler_limit > UINT64_C(1) << 36) {
        return error_new(ERROR_GENERIC, "\"replication_throttler/limit\" must be at most 2^36");
    }
    struct relative_throttler trial;
    TRY(relative_throttler_init(&trial, &settings.relative_throttler, 0));
    *ret_settings = settings;
    return NULL;
}
