#include "model/cluster_config.h"

#include "model/tracker_options.h"

enum { SUSPICION_MS_MIN = 10, SUSPICION_MS_MAX = 3600000 };

struct cluster_config cluster_config_default(void)
{
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
    const char *known[NUMBER_COUNT + 3] = {"enable_replicated_table_tracker", "replicator_hint"};
    for (size_t i = 0; i < NUMBER_COUNT; i++) known[2 + i] = numbers[i].key;
    TRY(check_known_keys(map, "\"replicated_table_tracker\"", known));
    TRY(node_get_boolean(map, known[0], &tracker->is_enabled));
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        TRY(node_get_uint64(map, numbers[i].key, numbers[i].value));
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
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        struct node *number = node_int64(arena, (int64_t)*numbers[i].value);
        node_set_text(arena, tracker, numbers[i].key, number);
    }
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
