#include "model/tracker_options.h"

static const char *const KNOWN[] = {
    "enable_replicated_table_tracker",
    "max_sync_replica_count",
    "min_sync_replica_count",
    "sync_replica_count",
    "sync_replica_lag_threshold",
    "tablet_cell_bundle_name_ttl",
    "tablet_cell_bundle_name_failure_interval",
    "enable_preload_state_check",
    "incomplete_preload_grace_period",
    "preferred_sync_replica_clusters",
    NULL,
};

struct tracker_options tracker_options_default(void)
{
    return (struct tracker_options){
        .lag_threshold_ms = 600000,
        .bundle_name_ttl_ms = 300000,
        .bundle_name_failure_interval_ms = 60000,
        .preload_grace_ms = 300000,
    };
}

struct error *check_known_keys(const struct node *map, const char *what, const char *const *known)
{
    if (map->type != NODE_MAP) return error_new(ERROR_GENERIC, "%s must be a map", what);
    for (uint32_t i = 0; i < map->count; i++) {
        bool is_known = false;
        for (size_t j = 0; known[j]; j++) {
            if (slice_equal_text(map->entries[i].key, known[j])) is_known = true;
        }
        if (is_known) continue;
        return error_new(
            ERROR_GENERIC, "%s has no option \"%.*s\"", what, SLICE(map->entries[i].key));
    }
    return NULL;
}

struct error *names_parse(
    struct arena *arena,
    const struct node *list,
    const char *key,
    struct slice **ret_names,
    uint32_t *ret_count)
{
    *ret_names = NULL;
    *ret_count = 0;
    if (!list || list->type == NODE_ENTITY) return NULL;
    if (list->type != NODE_LIST)
        return error_new(ERROR_GENERIC, "Option \"%s\" must be a list of names", key);
    struct slice *names = ARENA_NEW(arena, struct slice, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct node *item = list->entries[i].value;
        if (item->type != NODE_STRING)
            return error_new(ERROR_GENERIC, "Option \"%s\" must be a list of names", key);
        names[i] = arena_copy(arena, item->string);
    }
    *ret_names = names;
    *ret_count = list->count;
    return NULL;
}

struct node *names_node(struct arena *arena, const struct slice *names, uint32_t count)
{
    struct node *list = node_list(arena);
    for (uint32_t i = 0; i < count; i++) node_add(arena, list, node_string(arena, names[i]));
    return list;
}

bool names_contain(const struct slice *names, uint32_t count, struct slice name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (slice_equal(names[i], name)) return true;
    }
    return false;
}

static struct error *read_count(
    const struct node *map, const char *key, bool *has_count, uint64_t *count)
{
    const struct node *node = node_find_text(map, key);
    if (!node || node->type == NODE_ENTITY) return NULL;
    *has_count = true;
    return node_get_uint64(map, key, count);
}

static struct error *read_options(const struct node *map, struct tracker_options *options)
{
    TRY(check_known_keys(map, "\"replicated_table_options\"", KNOWN));
    TRY(node_get_boolean(map, "enable_replicated_table_tracker", &options->is_enabled));
    TRY(read_count(map, "sync_replica_count", &options->has_max, &options->sync_count_max));
    TRY(read_count(map, "max_sync_replica_count", &options->has_max, &options->sync_count_max));
    TRY(read_count(map, "min_sync_replica_count", &options->has_min, &options->sync_count_min));
    TRY(node_get_uint64(map, "sync_replica_lag_threshold", &options->lag_threshold_ms));
    TRY(node_get_uint64(map, "tablet_cell_bundle_name_ttl", &options->bundle_name_ttl_ms));
    TRY(node_get_uint64(
        map,
        "tablet_cell_bundle_name_failure_interval",
        &options->bundle_name_failure_interval_ms));
    TRY(node_get_boolean(map, "enable_preload_state_check", &options->is_preload_checked));
    TRY(node_get_uint64(map, "incomplete_preload_grace_period", &options->preload_grace_ms));
    static const char PREFERRED[] = "preferred_sync_replica_clusters";
    const struct node *preferred = node_find_text(map, PREFERRED);
    options->has_preferred = preferred && preferred->type != NODE_ENTITY;
    TRY(names_parse(
        &options->arena, preferred, PREFERRED, &options->preferred, &options->preferred_count));
    if (options->has_min && options->has_max && options->sync_count_min > options->sync_count_max) {
        return error_new(
            ERROR_GENERIC,
            "\"min_sync_replica_count\" must be less or equal to \"max_sync_replica_count\"");
    }
    return NULL;
}

struct error *tracker_options_parse(const struct node *map, struct tracker_options *ret_options)
{
    struct tracker_options options = tracker_options_default();
    struct error *error = read_options(map, &options);
    if (error) {
        tracker_options_release(&options);
        return error;
    }
    *ret_options = options;
    return NULL;
}

void tracker_options_release(struct tracker_options *options)
{
    arena_release(&options->arena);
    *options = tracker_options_default();
}

static struct node *count_node(struct arena *arena, bool has_count, uint64_t count)
{
    return has_count ? node_int64(arena, (int64_t)count) : node_entity(arena);
}

struct node *tracker_options_node(struct arena *arena, const struct tracker_options *options)
{
    struct node *map = node_map(arena);
    node_set_text(
        arena, map, "enable_replicated_table_tracker", node_boolean(arena, options->is_enabled));
    struct node *max = count_node(arena, options->has_max, options->sync_count_max);
    struct node *min = count_node(arena, options->has_min, options->sync_count_min);
    node_set_text(arena, map, "max_sync_replica_count", max);
    node_set_text(arena, map, "min_sync_replica_count", min);
    const struct {
        const char *key;
        uint64_t value;
    } periods[] = {
        {"sync_replica_lag_threshold", options->lag_threshold_ms},
        {"tablet_cell_bundle_name_ttl", options->bundle_name_ttl_ms},
        {"tablet_cell_bundle_name_failure_interval", options->bundle_name_failure_interval_ms},
        {"incomplete_preload_grace_period", options->preload_grace_ms},
    };
    for (size_t i = 0; i < sizeof periods / sizeof *periods; i++) {
        node_set_text(arena, map, periods[i].key, node_int64(arena, (int64_t)periods[i].value));
    }
    node_set_text(
        arena, map, "enable_preload_state_check", node_boolean(arena, options->is_preload_checked));
    struct node *preferred = node_entity(arena);
    if (options->has_preferred)
        preferred = names_node(arena, options->preferred, options->preferred_count);
    node_set_text(arena, map, "preferred_sync_replica_clusters", preferred);
    return map;
}

void tracker_options_counts(
    const struct tracker_options *options,
    uint64_t tracked_count,
    uint64_t *ret_min,
    uint64_t *ret_max)
{
    *ret_min = 1;
    *ret_max = 1;
    if (options->has_max) {
        *ret_max = options->sync_count_max;
        *ret_min = options->has_min ? options->sync_count_min : options->sync_count_max;
    } else if (options->has_min) {
        *ret_max = MAX(tracked_count, options->sync_count_min);
        *ret_min = options->sync_count_min;
    }
}

static struct error *read_collocation_options(
    const struct node *map, struct collocation_options *options)
{
    static const char *const KNOWN_OF_COLLOCATION[] = {"preferred_sync_replica_clusters", NULL};
    TRY(check_known_keys(map, "\"options\" of a collocation", KNOWN_OF_COLLOCATION));
    const struct node *list = node_find_text(map, KNOWN_OF_COLLOCATION[0]);
    options->has_preferred = list && list->type != NODE_ENTITY;
    return names_parse(
        &options->arena,
        list,
        KNOWN_OF_COLLOCATION[0],
        &options->preferred,
        &options->preferred_count);
}

struct error *collocation_options_parse(
    const struct node *map, struct collocation_options *ret_options)
{
    struct collocation_options options = {0};
    struct error *error = NULL;
    if (map && map->type != NODE_ENTITY) error = read_collocation_options(map, &options);
    if (error) {
        collocation_options_release(&options);
        return error;
    }
    *ret_options = options;
    return NULL;
}

void collocation_options_release(struct collocation_options *options)
{
    arena_release(&options->arena);
    *options = (struct collocation_options){0};
}

struct node *collocation_options_node(
    struct arena *arena, const struct collocation_options *options)
{
    struct node *map = node_map(arena);
    struct node *preferred = node_entity(arena);
    if (options->has_preferred)
        preferred = names_node(arena, options->preferred, options->preferred_count);
    node_set_text(arena, map, "preferred_sync_replica_clusters", preferred);
    return map;
}
