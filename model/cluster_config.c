#include "model/cluster_config.h"

#include "model/tracker_options.h"

enum { SUSPICION_MS_MIN = 10, SUSPICION_MS_MAX = 3600000 };

static const struct cache_config CACHE_DEFAULT = {
    .access_expiration_ms = 300000,
    .success_expiration_ms = 15000,
    .failure_expiration_ms = 15000,
    .refresh_ms = 10000,
};

struct cluster_config cluster_config_default(void)
{
    struct cache_config cluster_state_cache = CACHE_DEFAULT;
    cluster_state_cache.refresh_ms = 3000; // As check_period.
    return (struct cluster_config){
        .tracker =
            {
                .is_enabled = true,
                .check_period_ms = 3000,
                .update_period_ms = 3000,
                .general_check_timeout_ms = 60000,
                .bundle_health_iteration_count_max = 1,
                .action_queue_size_max = 10000,
                .client_expiration_ms = 900000,
                .bundle_health_cache = CACHE_DEFAULT,
                .cluster_state_cache = cluster_state_cache,
                .is_incoming_enabled = true,
                .suspicion_ms = 500,
                .recovery_ms = 3000,
            },
    };
}

// The numbers of a tracker's settings, by name.
struct number {
    const char *key;
    uint64_t *value;
};
enum { NUMBER_COUNT = 8 };

static void list_numbers(struct tracker_config *tracker, struct number numbers[NUMBER_COUNT])
{
    const struct number all[NUMBER_COUNT] = {
        {"check_period", &tracker->check_period_ms},
        {"update_period", &tracker->update_period_ms},
        {"general_check_timeout", &tracker->general_check_timeout_ms},
        {"max_iterations_without_acceptable_bundle_health",
         &tracker->bundle_health_iteration_count_max},
        {"max_action_queue_size", &tracker->action_queue_size_max},
        {"client_expiration_time", &tracker->client_expiration_ms},
        {"suspicion_timeout", &tracker->suspicion_ms},
        {"recovery_period", &tracker->recovery_ms},
    };
    memcpy(numbers, all, sizeof all);
}

enum { CACHE_NUMBER_COUNT = 4 };

static void list_cache_numbers(
    struct cache_config *cache, struct number numbers[CACHE_NUMBER_COUNT])
{
    const struct number all[CACHE_NUMBER_COUNT] = {
        {"expire_after_access_time", &cache->access_expiration_ms},
        {"expire_after_successful_update_time", &cache->success_expiration_ms},
        {"expire_after_failed_update_time", &cache->failure_expiration_ms},
        {"refresh_time", &cache->refresh_ms},
    };
    memcpy(numbers, all, sizeof all);
}

static struct error *read_cache(
    const struct node *tracker, const char *name, struct cache_config *cache)
{
    struct number numbers[CACHE_NUMBER_COUNT];
    const char *known[CACHE_NUMBER_COUNT + 1] = {0};
    const struct node *map = node_find_text(tracker, name);
    if (!map || map->type == NODE_ENTITY) return NULL;
    list_cache_numbers(cache, numbers);
    for (size_t i = 0; i < CACHE_NUMBER_COUNT; i++) known[i] = numbers[i].key;
    TRY(check_known_keys(map, name, known));
    for (size_t i = 0; i < CACHE_NUMBER_COUNT; i++)
        TRY(node_get_uint64(map, numbers[i].key, numbers[i].value));
    return NULL;
}

static struct node *numbers_node(
    struct arena *arena, struct node *map, const struct number *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct node *number = node_int64(arena, (int64_t)*numbers[i].value);
        node_set_text(arena, map, numbers[i].key, number);
    }
    return map;
}

static struct node *cache_node(struct arena *arena, struct cache_config cache)
{
    struct number numbers[CACHE_NUMBER_COUNT];
    list_cache_numbers(&cache, numbers);
    return numbers_node(arena, node_map(arena), numbers, CACHE_NUMBER_COUNT);
}

static struct error *read_hint(
    struct arena *arena, const struct node *map, struct tracker_config *tracker)
{
    static const char *const KNOWN[] = {
        "banned_replica_clusters",
        "enable_incoming_replication",
        "preferred_sync_replica_clusters",
        NULL,
    };
    TRY(check_known_keys(map, "\"replicator_hint\"", KNOWN));
    TRY(node_get_boolean(map, KNOWN[1], &tracker->is_incoming_enabled));
    TRY(names_parse(
        arena, node_find_text(map, KNOWN[0]), KNOWN[0], &tracker->banned, &tracker->banned_count));
    return names_parse(
        arena,
        node_find_text(map, KNOWN[2]),
        KNOWN[2],
        &tracker->preferred,
        &tracker->preferred_count);
}

static struct error *read_tracker(
    struct arena *arena, const struct node *map, struct tracker_config *tracker)
{
    struct number numbers[NUMBER_COUNT];
    list_numbers(tracker, numbers);
    const char *known[NUMBER_COUNT + 5] = {
        "enable_replicated_table_tracker",
        "replicator_hint",
        "bundle_health_cache",
        "cluster_state_cache",
    };
    for (size_t i = 0; i < NUMBER_COUNT; i++) known[4 + i] = numbers[i].key;
    TRY(check_known_keys(map, "\"replicated_table_tracker\"", known));
    TRY(node_get_boolean(map, known[0], &tracker->is_enabled));
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        TRY(node_get_uint64(map, numbers[i].key, numbers[i].value));
    TRY(read_cache(map, known[2], &tracker->bundle_health_cache));
    TRY(read_cache(map, known[3], &tracker->cluster_state_cache));
    if (tracker->suspicion_ms < SUSPICION_MS_MIN || tracker->suspicion_ms > SUSPICION_MS_MAX) {
        return error_new(
            ERROR_GENERIC,
            "Option \"suspicion_timeout\" must be %d to %d ms",
            SUSPICION_MS_MIN,
            SUSPICION_MS_MAX);
    }
    const struct node *hint = node_find_text(map, "replicator_hint");
    return hint && hint->type != NODE_ENTITY ? read_hint(arena, hint, tracker) : NULL;
}

static struct error *read_config(const struct node *map, struct cluster_config *config)
{
    static const char *const KNOWN[] = {
        "enable_safe_mode", "tablet_manager", "banned_in_sync_replica_clusters", NULL};
    static const char *const KNOWN_OF_TABLETS[] = {"replicated_table_tracker", NULL};
    TRY(check_known_keys(map, "\"config\"", KNOWN));
    TRY(node_get_boolean(map, "enable_safe_mode", &config->is_safe_mode));
    TRY(names_parse(
        &config->arena,
        node_find_text(map, KNOWN[2]),
        KNOWN[2],
        &config->unread,
        &config->unread_count));
    const struct node *tablets = node_find_text(map, "tablet_manager");
    if (!tablets || tablets->type == NODE_ENTITY) return NULL;
    TRY(check_known_keys(tablets, "\"tablet_manager\"", KNOWN_OF_TABLETS));
    const struct node *tracker = node_find_text(tablets, "replicated_table_tracker");
    if (!tracker || tracker->type == NODE_ENTITY) return NULL;
    return read_tracker(&config->arena, tracker, &config->tracker);
}

struct error *cluster_config_parse(const struct node *map, struct cluster_config *ret_config)
{
    struct cluster_config config = cluster_config_default();
    struct error *error = read_config(map, &config);
    if (error) {
        cluster_config_release(&config);
        return error;
    }
    *ret_config = config;
    return NULL;
}

void cluster_config_release(struct cluster_config *config)
{
    arena_release(&config->arena);
    *config = cluster_config_default();
}

bool cluster_config_is_unread(const struct cluster_config *config, struct slice cluster)
{
    return names_contain(config->unread, config->unread_count, cluster);
}

struct node *cluster_config_node(struct arena *arena, const struct cluster_config *config)
{
    const struct tracker_config *from = &config->tracker;
    struct node *hint = node_map(arena);
    node_set_text(
        arena,
        hint,
        "banned_replica_clusters",
        names_node(arena, from->banned, from->banned_count));
    node_set_text(
        arena, hint, "enable_incoming_replication", node_boolean(arena, from->is_incoming_enabled));
    node_set_text(
        arena,
        hint,
        "preferred_sync_replica_clusters",
        names_node(arena, from->preferred, from->preferred_count));

    struct tracker_config copy = *from;
    struct number numbers[NUMBER_COUNT];
    list_numbers(&copy, numbers);
    struct node *tracker = node_map(arena);
    node_set_text(
        arena, tracker, "enable_replicated_table_tracker", node_boolean(arena, from->is_enabled));
    numbers_node(arena, tracker, numbers, NUMBER_COUNT);
    node_set_text(
        arena, tracker, "bundle_health_cache", cache_node(arena, from->bundle_health_cache));
    node_set_text(
        arena, tracker, "cluster_state_cache", cache_node(arena, from->cluster_state_cache));
    node_set_text(arena, tracker, "replicator_hint", hint);

    struct node *tablets = node_map(arena);
    node_set_text(arena, tablets, "replicated_table_tracker", tracker);
    struct node *map = node_map(arena);
    node_set_text(arena, map, "enable_safe_mode", node_boolean(arena, config->is_safe_mode));
    node_set_text(
        arena,
        map,
        "banned_in_sync_replica_clusters",
        names_node(arena, config->unread, config->unread_count));
    node_set_text(arena, map, "tablet_manager", tablets);
    return map;
}
