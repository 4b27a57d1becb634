// What clients did and saw, and what the tables hold in the end; and whether the two fit.
#pragma once

#include "tests/sim/world.h"

enum outcome {
    OUTCOME_UNKNOWN, // Nobody has said; or not for certain.
    OUTCOME_OK,
    OUTCOME_FAILED,
};

struct past_transaction {
    int64_t value; // What it wrote everywhere; its number.
    enum outcome outcome;
    uint64_t timestamp;       // Of the commit, if acknowledged.
    uint64_t start_timestamp; // 0 if it did not read first.
    uint64_t invoke_us;
    uint64_t return_us;
    int64_t keys[4];
    size_t key_count;
    bool is_delete;
    bool is_local;  // Wrote an ordinary table, too.
    bool is_listed; // Wrote the ordered table, too.
    bool require_sync_replica;
};

struct past_read {
    int64_t key;
    int64_t value; // 0: there was no row.
    uint64_t invoke_us;
    uint64_t return_us;
    bool is_snapshot;
    uint64_t timestamp; // Of a snapshot.
};

struct version {
    int64_t key;
    uint64_t timestamp;
    int64_t value; // 0: deleted.
};

struct history {
    struct past_transaction *transactions; // stb array; number n is at n - 1.
    struct past_read *reads;               // stb array.
    struct version *versions[2];           // stb arrays: of the sorted table, at either replica.
    struct version *lists[2];              // Of the ordered one; `key` is the row index.
    struct version *local;                 // Of the ordinary table.
};

// Fails the world if the history does not fit what is there.
void history_check(struct world *world, const struct history *history);
void history_release(struct history *history);
