// The workloads. Each opens its targets, runs, and prints its report; all clients are closed-loop:
// one operation under way for each.
#pragma once

#include "bench/target.h"

#include <stdint.h>

#define WORKLOAD_THREAD_COUNT_MAX 64

enum workload_system { SYSTEM_RETABLE, SYSTEM_HTTP, SYSTEM_POSTGRESQL };

// The command line; what each means is in main.c. All times are in us.
struct workload_options {
    enum workload_system system;
    const char *address;
    const char *table;
    const char *replica_address; // NULL if there is none to watch.
    const char *replica_table;
    const char *data_dir; // For the files of `limits` and `scan`.
    const char *query;
    uint32_t client_count;
    uint32_t thread_count;
    uint32_t value_size;
    uint32_t row_count;       // Of one operation.
    uint64_t total_row_count; // Written in all (bulk); that there are (lookup, wait).
    uint64_t rate;            // Rows a second (steady).
    int64_t first_key;
    uint64_t duration_us;
    uint64_t warmup_us;
};

// Commits transactions for a time.
MUST_USE struct error *workload_commit(const struct workload_options *options);

// Looks random rows up for a time.
MUST_USE struct error *workload_lookup(const struct workload_options *options);

// Looks random rows up by queries for a time.
MUST_USE struct error *workload_select(const struct workload_options *options);

// Runs one query again and again for a time.
MUST_USE struct error *workload_query(const struct workload_options *options);

// Writes a number of rows to a store of its own, then reads them in order: what a query could take
// at best.
MUST_USE struct error *workload_scan(const struct workload_options *options);

// Writes a number of rows, then waits until the replica has them.
MUST_USE struct error *workload_bulk(const struct workload_options *options);

// Writes at a given rate, and measures from each acknowledgement how long it takes until the
// replica shows the row.
MUST_USE struct error *workload_steady(const struct workload_options *options);

// Waits until a table has the last of its rows; it may be out of reach at first.
MUST_USE struct error *workload_wait(const struct workload_options *options);

// What the machine can do at best. Starts processes: call before anything else uses gRPC.
MUST_USE struct error *workload_limits(const struct workload_options *options);

// Opens a target of the system.
MUST_USE struct error *workload_open(
    const struct workload_options *options,
    const char *address,
    const char *table,
    uint32_t slot_count,
    struct target **ret_target);

// Writes one row, so that the connection is made and the statement planned.
MUST_USE struct error *workload_touch(struct target *target, int64_t key);
