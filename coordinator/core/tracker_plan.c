#include "coordinator/core/tracker_plan.h"

#include "base/base.h"

#include <stdlib.h>

// Ranks of clusters, or of replicas that belong to no collocation; higher is better.
enum { RANK_NONE = 0, RANK_GOOD = 1, RANK_SYNC = 2, RANK_PREFERRED = 2 }; // The last one is added.

static void set(struct plan_replica *replica, bool is_sync, enum plan_reason reason)
{
    if (replica->will_be_sync == is_sync) return;
    replica->will_be_sync = is_sync;
    replica->reason = replica->is_sync == is_sync ? PLAN_KEPT : reason;
}

static size_t count_good_sync(const struct plan_table *table)
{
    size_t count = 0;
    for (size_t i = 0; i < table->replica_count; i++) {
        const struct plan_replica *replica = &table->replicas[i];
        if (replica->is_good && replica->will_be_sync) count++;
    }
    return count;
}

// The good asynchronous replica that is least behind; by name of the cluster among equals, the
// greater first.
static struct plan_replica *find_candidate(const struct plan_table *table, uint64_t lag_ms_max)
{
    struct plan_replica *best = NULL;
    for (size_t i = 0; i < table->replica_count; i++) {
        struct plan_replica *replica = &table->replicas[i];
        if (!replica->is_good || replica->will_be_sync || replica->lag_ms > lag_ms_max) continue;
        bool is_better = !best || replica->lag_ms < best->lag_ms;
        if (best && replica->lag_ms == best->lag_ms)
            is_better = slice_compare(replica->cluster, best->cluster) > 0;
        if (is_better) best = replica;
    }
    return best;
}

// Below the minimum any good replica will do; from there to the maximum, one that is caught up.
static void promote(struct plan_table *table)
{
    while (count_good_sync(table) < table->sync_count_max) {
        bool is_urgent = count_good_sync(table) < table->sync_count_min;
        struct plan_replica *candidate =
            find_candidate(table, is_urgent ? UINT64_MAX : PLAN_CAUGHT_UP_LAG_MS);
        if (!candidate) return;
        set(candidate, true, PLAN_PROMOTED);
    }
}

static void demote_bad(struct plan_table *table)
{
    uint64_t good_count = count_good_sync(table);
    uint64_t kept = table->sync_count_min > good_count ? table->sync_count_min - good_count : 0;
    for (size_t i = 0; i < table->replica_count; i++) {
        struct plan_replica *replica = &table->replicas[i];
        if (replica->is_good || !replica->will_be_sync) continue;
        if (kept > 0) {
            kept--;
            replica->reason = PLAN_LAST_RESORT;
        } else {
            set(replica, false, PLAN_REPLACED);
        }
    }
}

// Compares two good replicas of a table: positive if `a` is wanted more.
static int compare(const struct plan_replica *a, const struct plan_replica *b, bool is_collocated)
{
    if (a->rank != b->rank) return a->rank > b->rank ? 1 : -1;
    // Tables of a collocation must agree, so where clusters are equal their names decide; elsewhere
    // nothing changes without need.
    bool decide_by_name = is_collocated && a->rank != RANK_NONE;
    if (!decide_by_name && a->will_be_sync != b->will_be_sync) return a->will_be_sync ? 1 : -1;
    return slice_compare(a->cluster, b->cluster);
}

// Gives the places of good synchronous replicas to those that are wanted most.
static void reorder(struct plan_table *table, bool is_collocated)
{
    for (;;) {
        struct plan_replica *worst = NULL; // Of the synchronous ones.
        struct plan_replica *best = NULL;  // Of the others.
        for (size_t i = 0; i < table->replica_count; i++) {
            struct plan_replica *replica = &table->replicas[i];
            if (!replica->is_good) continue;
            if (replica->will_be_sync) {
                if (!worst || compare(replica, worst, is_collocated) < 0) worst = replica;
            } else if (replica->is_sync || replica->lag_ms <= PLAN_CAUGHT_UP_LAG_MS) {
                if (!best || compare(replica, best, is_collocated) > 0) best = replica;
            }
        }
        if (!worst || !best || compare(best, worst, is_collocated) <= 0) return;
        set(worst, false, PLAN_LESS_WANTED);
        set(best, true, PLAN_PREFERRED);
    }
}

static void demote_excess(struct plan_table *table, bool is_collocated)
{
    while (count_good_sync(table) > table->sync_count_max) {
        struct plan_replica *worst = NULL;
        for (size_t i = 0; i < table->replica_count; i++) {
            struct plan_replica *replica = &table->replicas[i];
            if (!replica->is_good || !replica->will_be_sync) continue;
            if (!worst || compare(replica, worst, is_collocated) < 0) worst = replica;
        }
        set(worst, false, PLAN_EXCESS);
    }
}

// The best of a table's replicas on a cluster: good before bad, synchronous before others.
static const struct plan_replica *find_on(const struct plan_table *table, struct slice cluster)
{
    const struct plan_replica *found = NULL;
    for (size_t i = 0; i < table->replica_count; i++) {
        const struct plan_replica *replica = &table->replicas[i];
        if (!slice_equal(replica->cluster, cluster)) continue;
        if (!found || replica->is_good > found->is_good ||
            (replica->is_good == found->is_good && replica->is_sync > found->is_sync)) {
            found = replica;
        }
    }
    return found;
}

// Of a cluster, for all tables together (behaviour 10.7).
static uint32_t rank_cluster(
    const struct plan_table *tables, size_t table_count, struct slice cluster)
{
    bool is_sync_everywhere = true;
    bool is_preferred = false;
    for (size_t i = 0; i < table_count; i++) {
        if (tables[i].replica_count == 0) continue; // Only tracked tables count.
        const struct plan_replica *replica = find_on(&tables[i], cluster);
        if (!replica || !replica->is_good) return RANK_NONE;
        if (!replica->is_sync) is_sync_everywhere = false;
        if (replica->is_preferred) is_preferred = true;
    }
    uint32_t rank = is_sync_everywhere ? RANK_SYNC : RANK_GOOD;
    return is_preferred ? rank + RANK_PREFERRED : rank;
}

static void rank_replicas(struct plan_table *tables, size_t table_count)
{
    for (size_t i = 0; i < table_count; i++) {
        for (size_t j = 0; j < tables[i].replica_count; j++) {
            struct plan_replica *replica = &tables[i].replicas[j];
            replica->rank = table_count > 1 ? rank_cluster(tables, table_count, replica->cluster)
                                            : (replica->is_preferred ? RANK_PREFERRED : RANK_NONE);
        }
    }
}

void plan_modes(struct plan_table *tables, size_t table_count)
{
    bool is_collocated = table_count > 1;
    for (size_t i = 0; i < table_count; i++) {
        for (size_t j = 0; j < tables[i].replica_count; j++) {
            struct plan_replica *replica = &tables[i].replicas[j];
            replica->will_be_sync = replica->is_sync;
            replica->reason = PLAN_KEPT;
        }
    }
    rank_replicas(tables, table_count);
    for (size_t i = 0; i < table_count; i++) {
        struct plan_table *table = &tables[i];
        promote(table);
        demote_bad(table);
        demote_excess(table, is_collocated);
        reorder(table, is_collocated);
    }
}

const char *plan_reason_name(enum plan_reason reason)
{
    switch (reason) {
    case PLAN_KEPT: return "kept";
    case PLAN_PROMOTED: return "promoted";
    case PLAN_REPLACED: return "replaced since it was bad";
    case PLAN_EXCESS: return "more than max_sync_replica_count";
    case PLAN_PREFERRED: return "preferred";
    case PLAN_LESS_WANTED: return "another one is preferred";
    case PLAN_LAST_RESORT: return "bad, kept for min_sync_replica_count";
    }
    return "unknown";
}
