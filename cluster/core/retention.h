// Drops what is old in tables: versions of rows of sorted tables that nobody may read any more, and
// expired rows of ordered ones (ordered_trim.h).
//
// A table has a retained timestamp: reads below it are refused, so of the versions at or below it
// only what a read at it sees is needed, and as many more as the table's attributes ask for. A
// round sets it for all tables that have something to drop, durably, waits until reads that began
// before are over, and then goes through these tables in small steps.
//
// The versions that go are always the oldest of their row. The newest of them stays in their place
// if the row is there, as a full write of what a read at its timestamp sees; nothing stays of a row
// that is deleted.
#pragma once

#include "cluster/core/cell.h"

// Between rounds. Reads that have begun have as long to end, and no table keeps less.
#define RETENTION_PERIOD_US          UINT64_C(60000000)
#define RETENTION_STEP_US            UINT64_C(20000) // A step takes a fiftieth of this or so.
#define RETENTION_STEP_VERSION_COUNT 200
#define RETENTION_STEP_ROW_COUNT     2000 // Of ordered tables.

struct retention {
    uint64_t period_us;
    struct guid *tables; // stb array: to be gone through in this round.
    size_t table_index;
    bool is_sweeping;      // Otherwise the round waits.
    struct buffer next;    // Where the table at hand goes on; empty at its beginning.
    uint32_t tablet_index; // The same of an ordered table.
    uint64_t step_at_us;
};

// What of a row may go. Timestamps are those of versions.
struct retention_rule {
    uint64_t retained_timestamp; // What reads at or above it see must stay.
    uint64_t expired_timestamp;  // What is below is older than max_data_ttl.
    uint64_t version_count_min;
    uint64_t version_count_max;
};

// `period_us`: 0 for RETENTION_PERIOD_US.
void retention_init(struct retention *retention, uint64_t now_us, uint64_t period_us);
void retention_release(struct retention *retention);

// Does what is due. `closed_timestamp` tells a table's closed timestamp, UINT64_MAX for those that
// have no upstream. Errors of the store are fatal.
void retention_tick(
    struct retention *retention,
    struct cell *cell,
    uint64_t (*closed_timestamp)(const struct table *table));

// Adds to the batch what drops superfluous versions of the rows of a table, from the key `next` on
// (from the first if that is empty), whole rows until `version_count_max` versions were seen. Sets
// `next` to where to go on, or empties it at the end.
MUST_USE struct error *retention_sweep(
    struct store *store,
    struct store_batch *batch,
    const struct schema *schema,
    uint32_t table_number,
    const struct retention_rule *rule,
    uint64_t version_count_max,
    struct buffer *next);
