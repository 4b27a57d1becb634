#include "replica_node/core/waiting_reads.h"

uint64_t table_closed_timestamp(const struct table *table)
{
    if (guid_is_null(table->upstream_replica_id)) return UINT64_MAX;
    if (!table->sink || arr_count(table->sink->sources) == 0) return 0;
    uint64_t closed = UINT64_MAX;
    for (size_t i = 0; i < arr_count(table->sink->sources); i++) {
        const struct source *source = table->sink->sources[i];
        for (uint32_t j = 0; j < source->tablet_count; j++) {
            closed = MIN(closed, source->tablets[j].closed_timestamp);
        }
    }
    return closed;
}

static bool has_hash(const struct source_entry *entry, const uint64_t *hashes, size_t hash_count)
{
    if (!hashes || !entry->hashes) return true; // Not known: it may be met.
    for (uint32_t i = 0; i < entry->hash_count; i++) {
        for (size_t j = 0; j < hash_count; j++) {
            if (entry->hashes[i] == hashes[j]) return true;
        }
    }
    return false;
}

// Whether an undecided record that was here at `sequence` may be met by the read.
static bool meets_undecided(
    const struct sink *sink, uint64_t sequence, const uint64_t *hashes, size_t hash_count)
{
    if (sink->undecided_count == 0) return false;
    for (size_t i = 0; i < arr_count(sink->sources); i++) {
        const struct source *source = sink->sources[i];
        for (uint32_t j = 0; j < source->tablet_count; j++) {
            const struct source_tablet *tablet = &source->tablets[j];
            for (size_t k = 0; k < arr_count(tablet->entries); k++) {
                const struct source_entry *entry = &tablet->entries[k];
                if (entry->state != RECORD_UNDECIDED || entry->sequence > sequence) continue;
                if (has_hash(entry, hashes, hash_count)) return true;
            }
        }
    }
    return false;
}

bool read_must_wait(
    const struct table *table, struct request *request, const uint64_t *hashes, size_t hash_count)
{
    if (request->timestamp < TIMESTAMP_MAX) { // T4.
        return table_closed_timestamp(table) < request->timestamp;
    }
    if (!table->sink || request->timestamp == TIMESTAMP_ASYNC_LAST_COMMITTED) return false;
    // RD2: what was prepared before the read came may be acknowledged; what comes later need not be
    // seen.
    if (request->wait_sequence == 0) request->wait_sequence = table->sink->next_sequence + 1;
    return meets_undecided(table->sink, request->wait_sequence - 1, hashes, hash_count);
}

void waiting_reads_release(struct waiting_reads *reads)
{
    struct request *request = NULL;
    struct request *next = NULL;
    DL_FOREACH_SAFE (reads->requests, request, next) {
        request_free(request);
    }
    reads->requests = NULL;
}

void waiting_reads_add(struct waiting_reads *reads, struct request *request)
{
    DL_APPEND(reads->requests, request);
}

struct request *waiting_reads_take(
    struct waiting_reads *reads, struct sources *sources, uint64_t now_us)
{
    bool is_changed = sources->is_changed;
    sources->is_changed = false;
    if (!is_changed && waiting_reads_wake_at_us(reads) > now_us) return NULL;
    return TAKE(reads->requests);
}

uint64_t waiting_reads_wake_at_us(const struct waiting_reads *reads)
{
    uint64_t wake_at_us = UINT64_MAX;
    const struct request *request = NULL;
    DL_FOREACH (reads->requests, request) wake_at_us = MIN(wake_at_us, request->wait_until_us);
    return wake_at_us;
}
