// What a client asks of a cluster, and the answer: the form in which all faces hand it to the core.
//
// A request owns an arena with everything in it. It goes in with machine_request and comes back,
// answered, as an effect; exactly once.
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/containers.h"
#include "base/error.h"
#include "cluster/core/row_locks.h"
#include "model/format.h"
#include "model/guid.h"
#include "model/node.h"
#include "model/timestamp.h"

struct lookup_plan; // cluster/reads.h
struct request_source;
struct select_plan; // cluster/reads.h

enum request_kind {
    REQUEST_COMMAND, // Any command by name; see cluster/commands.
    REQUEST_COMMIT,  // Modifications, alone or as the end of a transaction.
    REQUEST_LOOKUP,
    REQUEST_SELECT,
    REQUEST_START_TRANSACTION,
    REQUEST_PING_TRANSACTION,
    REQUEST_ABORT_TRANSACTION,
    REQUEST_MODIFY, // Adds modifications to a transaction.
};

#define LOCK_NAME_MAIN SLICE_OF("<primary>") // Of the columns that have no lock group.

enum lookup_mode { // The same numbers as in client.proto.
    LOOKUP_PLAIN,
    LOOKUP_TIMESTAMPS, // With a column $timestamp:x for each value column x.
    LOOKUP_VERSIONS,   // All versions of rows.
};

struct modification {
    struct slice path;
    struct slice rows; // A rowset.
    bool is_delete;
    bool is_lock; // Rows are keys of rows to be locked, not written.
    enum row_lock_kind lock_kind;
    struct slice lock_names; // Of groups, each with its length before it (put_bytes); none: all.
    bool is_update;
    bool is_aggregate;
    bool require_sync_replica;
    bool is_from_log; // A replica's rows: what the server made of them elsewhere is made anew.
    uint64_t choice;  // Random: which mounted tablet gets ordered rows that name none.
};

// What the answer holds, besides an error.
enum request_output {
    OUTPUT_NONE,
    OUTPUT_NODE,   // `node`, to be written in the asked format.
    OUTPUT_ROWSET, // `output`: a rowset, to be written in the asked format by a command.
};

struct request {
    struct arena arena;
    enum request_kind kind;
    void *owner;          // Of the face; nobody else looks at it.
    uint64_t deadline_us; // When the client stops waiting.

    // Who asks: as whom, by name; empty for root. Until the machine has looked at it, it is whom
    // the client wants to act as (empty: itself).
    struct slice user;
    bool is_peer;            // It comes from another cluster, which has proved that.
    struct slice token_hash; // Of the token that came with it; empty for none.

    // What is asked. All borrowed from the arena.
    struct guid transaction_id; // Null for none.
    struct guid mutation_id;    // Null for none: a repeated one gets the first one's answer.
    struct modification *modifications;
    uint32_t modification_count;
    uint64_t transaction_timeout_us; // START_TRANSACTION.
    bool is_master_transaction;      // START_TRANSACTION: one that holds locks of nodes.

    struct slice path;      // LOOKUP.
    struct slice rows;      // LOOKUP: keys, a rowset.
    struct slice *columns;  // LOOKUP: what to return.
    uint32_t column_count;  // 0 for all.
    bool keep_missing_rows; // LOOKUP.
    enum lookup_mode lookup_mode;
    struct slice query; // SELECT.
    struct slice
        *table_paths; // SELECT sent on by a coordinator: where the query's tables are here.
    uint32_t table_path_count;    // 0 if the query says so itself.
    uint64_t timestamp;           // LOOKUP, SELECT: TIMESTAMP_SYNC_LAST_COMMITTED for the newest.
    uint64_t min_timestamp;       // LOOKUP, SELECT: what is read must include this; 0 for any.
    uint64_t input_row_limit;     // SELECT; 0 for the default.
    uint64_t output_row_limit;    // SELECT; 0 for the default.
    bool allow_incomplete_result; // SELECT: what lies beyond a limit is left out.
    struct node *placeholder_values; // SELECT: a map of values for {names}; NULL for none.
    uint64_t range_expansion_limit;  // SELECT; 0 for the default, like the next one.
    uint64_t memory_limit;           // SELECT, in bytes.
    bool forbid_full_scan;           // SELECT.
    bool allow_join_without_index;   // SELECT.
    bool enable_statistics;          // SELECT: `response_parameters` is wanted.
    bool is_explanation;             // SELECT: the plan is wanted, not the rows.
    struct slice asked_path;         // LOOKUP sent on by us: `path` as it was asked.
    uint32_t forward_count;          // How often a read was sent on.
    struct guid *banned_replicas;    // stb array: by which it failed.
    struct error *ban_cause;         // Why, the last time. Owned.
    struct guid
        upstream_replica_id; // LOOKUP, SELECT sent on by a coordinator: what the table must be.

    struct slice command; // COMMAND.
    struct node *parameters;
    uint8_t api_version; // Which shape of results is wanted: 4, or 3 (0 is 3); see command_result.
    struct slice new_token; // For issue_token: one that it may give out.
    struct slice new_token_hash;
    struct slice host; // The HTTP address by which the client found us; empty if another way.
    struct slice input;
    bool is_input_rowset; // `input` has been read already, and is a rowset.
    struct format input_format;
    struct format output_format;

    // The answer.
    struct error *error; // Owned.
    uint64_t commit_timestamp;
    struct guid id;
    enum request_output output_kind;
    struct node *node;
    struct node *response_parameters; // What a command says besides its output: a map, or NULL.
    struct buffer output; // A rowset, or if `block_ends` says so several, one after another.
    size_t *block_ends;   // stb array: where each rowset of a select's output ends.

    // A query whose owner takes its answer in parts: `output` has some of it, of at least this size
    // (0: all at once, up to a limit). While `source` is set there is more.
    size_t part_size_min;
    struct request_source *source; // Borrowed.

    // A batch of commands and its parts: each has the batch until it is answered, then stays with
    // it.
    struct request *batch;
    uint32_t batch_index;
    struct request **parts;
    uint32_t part_count;
    uint32_t part_waiting_count;

    // What the core has made of a read, for whoever runs it. In the arena.
    struct lookup_plan *lookup;
    struct select_plan *select;

    // The core's own, while the request waits.
    uint64_t start_timestamp; // Of the transaction; 0 if there is none.
    bool is_merged;           // The transaction's modifications are among the request's.
    uint64_t wait_until_us;
    uint64_t wait_sequence;
    struct request *next;
    struct request *prev;
};

MUST_USE static inline struct request *request_new(enum request_kind kind)
{
    struct request *request = must_alloc(calloc(1, sizeof *request));
    request->kind = kind;
    request->deadline_us = UINT64_MAX;
    request->timestamp = TIMESTAMP_SYNC_LAST_COMMITTED;
    return request;
}

// Whether the read has failed by this replica.
static inline bool request_has_banned(const struct request *request, struct guid replica_id)
{
    for (size_t i = 0; i < arr_count(request->banned_replicas); i++) {
        if (guid_equal(request->banned_replicas[i], replica_id)) return true;
    }
    return false;
}

// Says that a part of a batch is answered; returns the batch if all are, NULL if not.
static inline struct request *request_part_answered(struct request *part)
{
    struct request *batch = part->batch;
    part->batch = NULL;
    return --batch->part_waiting_count == 0 ? batch : NULL;
}

// A part that will never be answered leaves its batch, which goes with the last one.
// NOLINTNEXTLINE(misc-no-recursion): batches have no batches.
static inline void request_free(struct request *request)
{
    if (!request) return;
    if (request->batch) {
        request->batch->parts[request->batch_index] = NULL;
        request_free(request_part_answered(request));
    }
    for (uint32_t i = 0; i < request->part_count; i++) request_free(request->parts[i]);
    free(request->parts);
    error_free(request->error);
    error_free(request->ban_cause);
    arr_free(request->banned_replicas);
    buffer_release(&request->output);
    arr_free(request->block_ends);
    arena_release(&request->arena);
    free(request);
}
