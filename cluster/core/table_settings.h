// Options that a table takes from its attributes when it is mounted: those of YTsaurus's
// TTableMountConfig that matter for replicated tables.
#pragma once

#include "base/relative_throttler.h"
#include "model/node.h"

#define TABLE_SETTING_OFF UINT64_MAX // Of a period that may be switched off.

// Times in ms as users give them.
struct table_settings {
    uint64_t min_replication_log_ttl_ms;
    uint64_t batch_row_count_max;       // max_rows_per_replication_commit
    uint64_t batch_timestamp_count_max; // max_timestamps_per_replication_commit
    uint64_t batch_data_weight_max;     // max_data_weight_per_replication_commit
    uint64_t batch_span_ms_max;         // max_replication_batch_span
    uint64_t replication_tick_ms;       // How often idle replicas hear a closed timestamp.
    uint64_t throttler_limit;           // Bytes a second; 0 for none.
    uint64_t throttler_period_ms;
    struct relative_throttler_config relative_throttler; // relative_replication_throttler
    bool preserve_tablet_index;
    // What is kept of sorted tables' old versions, besides what reads need; and of ordered tables.
    uint64_t min_data_ttl_ms;
    uint64_t max_data_ttl_ms;
    uint64_t data_version_count_min; // min_data_versions
    uint64_t data_version_count_max; // max_data_versions
    uint64_t row_count_to_keep;      // Of each tablet of an ordered table, however old.
    // Checked and shown, and without effect: rows are stored for good when they are written, a
    // bucket needs no timestamps, and there are always sensors.
    uint64_t relative_timestamp_count_max; // relative_replication_throttler/max_timestamps_to_keep
    bool enable_replication_logging;
    bool enable_profiling;
    uint64_t dynamic_store_auto_flush_period_ms; // May be TABLE_SETTING_OFF.
    uint64_t dynamic_store_flush_period_splay_ms;
    uint64_t dynamic_store_row_count_max;
    uint64_t dynamic_store_pool_size_max;
    uint64_t backing_store_retention_time_ms;
};

// Reads a table's settings from its attributes; fails if one has a wrong type or is out of range.
MUST_USE struct error *table_settings_read(
    const struct node *attributes, struct table_settings *ret_settings);

// All of them by their names, as @effective_mount_config shows them.
struct node *table_settings_to_node(struct arena *arena, const struct table_settings *settings);
