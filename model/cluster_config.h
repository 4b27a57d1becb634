// `//sys/@config` of a cluster: the settings that are changed while it runs.
//
//     {enable_safe_mode=%false; banned_in_sync_replica_clusters=[];
//      tablet_manager={replicated_table_tracker={…}}}
//
// Kept complete: what is read back names every setting, so that nested ones can be set by path and
// removed back to their defaults. Names and defaults are YTsaurus's, except for the last two of the
// tracker, which are our own.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "model/node.h"

struct cache_config {              // In ms.
    uint64_t access_expiration_ms; // expire_after_access_time
    uint64_t success_expiration_ms;
    uint64_t failure_expiration_ms;
    uint64_t refresh_ms;
};

struct tracker_config {
    bool is_enabled; // enable_replicated_table_tracker
    // Periods of YTsaurus's polling, and its caches. retable acts on events; they are kept, since
    // users set them, but for the number of bad rounds, which counts.
    uint64_t check_period_ms;
    uint64_t update_period_ms;
    uint64_t general_check_timeout_ms;
    uint64_t bundle_health_iteration_count_max;
    uint64_t action_queue_size_max;
    uint64_t client_expiration_ms;
    struct cache_config bundle_health_cache;
    struct cache_config cluster_state_cache;
    // replicator_hint
    struct slice *banned;
    uint32_t banned_count;
    bool is_incoming_enabled; // enable_incoming_replication
    struct slice *preferred;
    uint32_t preferred_count;
    // How long a cluster may be silent before it is taken for dead; a lost connection counts at
    // once.
    uint64_t suspicion_ms; // suspicion_timeout
    // How long a replica that was bad must have been good before it counts as good.
    uint64_t recovery_ms; // recovery_period
};

struct cluster_config {
    struct arena arena; // Holds the names.
    bool is_safe_mode;  // enable_safe_mode
    // banned_in_sync_replica_clusters: by whose replicas nothing is read.
    struct slice *unread;
    uint32_t unread_count;
    struct tracker_config tracker;
};

struct cluster_config cluster_config_default(void);

// Reads a map; what it does not name gets its default. Fails, naming the setting, for an unknown
// one or a wrong value.
MUST_USE struct error *cluster_config_parse(
    const struct node *map, struct cluster_config *ret_config);

void cluster_config_release(struct cluster_config *config);

// Whether reads pass over replicas on this cluster.
bool cluster_config_is_unread(const struct cluster_config *config, struct slice cluster);

// All settings as a map.
struct node *cluster_config_node(struct arena *arena, const struct cluster_config *config);
