// Which replicas should be synchronous: the tracker's choice, from values to values.
//
// For each table the replicas that are tracked, with what is known of them, go in; whether each is
// to be synchronous comes out, with the reason. Pure: the caller carries it out, in one step for
// all tables of a collocation. The rules are those of YTsaurus's replicated table tracker
// (behaviour 10.5 to 10.7), with one difference: a replica that is not at the end of the log does
// not replace a good synchronous one, since writes would wait for it.
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How far behind a replica may be that joins or replaces good synchronous ones.
#define PLAN_CAUGHT_UP_LAG_MS UINT64_C(1000)

enum plan_reason {
    PLAN_KEPT,        // Nothing to change.
    PLAN_PROMOTED,    // There were too few good synchronous replicas.
    PLAN_REPLACED,    // It was bad.
    PLAN_EXCESS,      // There were more than the maximum.
    PLAN_PREFERRED,   // It is on a preferred cluster, or on the collocation's.
    PLAN_LESS_WANTED, // Another one took its place for that.
    PLAN_LAST_RESORT, // It is bad, and stays since the minimum would not be kept without it.
};

struct plan_replica {
    struct slice cluster;
    bool is_sync;
    bool is_good;
    uint64_t lag_ms; // 0 for synchronous ones.
    bool is_preferred;
    // What to do.
    bool will_be_sync;
    enum plan_reason reason;
    uint32_t rank; // The plan's own.
};

struct plan_table {
    struct plan_replica *replicas;
    size_t replica_count;
    uint64_t sync_count_min; // Of tracked replicas; at most the maximum.
    uint64_t sync_count_max;
};

// Decides for one table, or for all tables of one collocation.
void plan_modes(struct plan_table *tables, size_t table_count);

// "promoted": for people and histories.
const char *plan_reason_name(enum plan_reason reason);
