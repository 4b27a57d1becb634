// Reads of replica tables that wait: for the decision of records that they may meet (RD2), or until
// their timestamp is closed (T4).
#pragma once

#include "replica_node/core/source.h"

// Whether a read of this table must wait, and until what: RD2, T4. Of a lookup `hashes` are the
// keys'; other reads give NULL. On the first call `request->wait_sequence` is 0 and gets set.
bool read_must_wait(
    const struct table *table, struct request *request, const uint64_t *hashes, size_t hash_count);

// The greatest timestamp at which a read of this table needs no waiting; UINT64_MAX if it has no
// upstream.
uint64_t table_closed_timestamp(const struct table *table);

struct waiting_reads {
    struct request *requests; // Owned.
};

void waiting_reads_release(struct waiting_reads *reads);

// Puts a read aside until its wait_until_us at the latest.
void waiting_reads_add(struct waiting_reads *reads, struct request *request);

// Gives back all of them if some may have become ready: when something has changed in the sources
// since the last call, or the time of one is over. NULL otherwise.
struct request *waiting_reads_take(
    struct waiting_reads *reads, struct sources *sources, uint64_t now_us);

// When the time of the first one is over; UINT64_MAX if there is none.
uint64_t waiting_reads_wake_at_us(const struct waiting_reads *reads);
