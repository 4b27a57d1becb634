// `replicated_table_options`: how many replicas of a table are to be synchronous, and where.
//
// Kept complete: what is read back names every option. Source: behaviour of YTsaurus's
// TReplicatedTableOptions (yt/yt/client/tablet_client/config).
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "model/node.h"

struct tracker_options {
    struct arena arena; // Holds the names.
    bool is_enabled;    // enable_replicated_table_tracker
    bool has_max;       // max_sync_replica_count, also spelled sync_replica_count
    bool has_min;       // min_sync_replica_count
    uint64_t sync_count_max;
    uint64_t sync_count_min;
    uint64_t lag_threshold_ms; // sync_replica_lag_threshold
    // Of caches that retable does not need: kept, since users set them.
    uint64_t bundle_name_ttl_ms;
    uint64_t bundle_name_failure_interval_ms;
    bool is_preload_checked;
    uint64_t preload_grace_ms;
    bool has_preferred; // preferred_sync_replica_clusters
    struct slice *preferred;
    uint32_t preferred_count;
};

// The defaults; nothing is owned yet.
struct tracker_options tracker_options_default(void);

// Reads a map; what it does not name gets its default. Fails, naming the option, for an unknown
// one, a wrong type, or a minimum above the maximum.
MUST_USE struct error *tracker_options_parse(
    const struct node *map, struct tracker_options *ret_options);

void tracker_options_release(struct tracker_options *options);

// All options as a map.
struct node *tracker_options_node(struct arena *arena, const struct tracker_options *options);

// Between how many replicas of `tracked_count` tracked ones are to be synchronous.
void tracker_options_counts(
    const struct tracker_options *options,
    uint64_t tracked_count,
    uint64_t *ret_min,
    uint64_t *ret_max);

// `@options` of a collocation: what it says for all of its tables.
struct collocation_options {
    struct arena arena; // Holds the names.
    bool has_preferred; // preferred_sync_replica_clusters
    struct slice *preferred;
    uint32_t preferred_count;
};

// Reads a map (NULL or an entity: nothing is said). Fails, naming the option, as
// tracker_options_parse.
MUST_USE struct error *collocation_options_parse(
    const struct node *map, struct collocation_options *ret_options);
void collocation_options_release(struct collocation_options *options);
struct node *collocation_options_node(
    struct arena *arena, const struct collocation_options *options);

// Reads a list of strings (NULL or an entity: none) into the arena.
MUST_USE struct error *names_parse(
    struct arena *arena,
    const struct node *list,
    const char *key,
    struct slice **ret_names,
    uint32_t *ret_count);
struct node *names_node(struct arena *arena, const struct slice *names, uint32_t count);
bool names_contain(const struct slice *names, uint32_t count, struct slice name);

// Fails for the first key of a map that is not among `known` (ended by NULL).
MUST_USE struct error *check_known_keys(
    const struct node *map, const char *what, const char *const *known);
