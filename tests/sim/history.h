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
    bool is_local;     // Wrote an ordinary table, too.
    bool is_listed;    // Wrote the ordered table, too.
    bool is_of_writer; // Its user may not write everywhere.
    bool require_sync_replica;
    bool was_repeated; // It was a repetition that failed.
    bool was_left;     // Its client went away meanwhile.
};

enum read_kind {
    READ_LATEST,   // Through the replicated table.
    READ_SNAPSHOT, // At `timestamp`, anywhere.
    READ_STALE,    // At a replica, as it was.
};

struct past_read {
    int64_t key;
    int64_t value; // 0: there was no row.
    uint64_t invoke_us;
    uint64_t return_us;
    enum read_kind kind;
    uint64_t timestamp; // Of a snapshot.
    uint32_t node;      // That was asked.
    uint64_t token;     // The same for all rows of a read.
    bool is_settled;    // The replica had nothing undecided.
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
    size_t whole;                          // Which of them has all versions that there ever were.
    uint64_t retained_timestamp;           // Of the other one; 0 if it has them, too.
    struct version *lists[2];              // Of the ordered one; `key` is the row index.
    struct version *local;                 // Of the ordinary table.
};

// Fails the world if the history does not fit what is there.
void history_check(struct world *world, const struct history *history);
void history_release(struct history *history);
