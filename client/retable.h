// libretable: the C client of a cluster.
//
// A client has one connection and no thread: requests are submitted, with a callback, and
// retable_client_poll sends them, together, and calls back. Hundreds may be under way at a time.
// For each kind there is also a function that submits one and polls until it is done; other
// callbacks may be called meanwhile.
//
// What goes wrong is an error with YTsaurus's codes. Two come from here:
//
//     ERROR_RPC_UNAVAILABLE  there is no connection, and the request has not been sent, or only
//                            reads
//     ERROR_TIMEOUT          the request was sent, and there is no answer: whether a commit (or a
//                            command) happened is not known. A commit may be repeated with the same
//                            mutation id; it will not happen twice.
//
// A client that has been connected waits up to two seconds for a server that is gone to come back
// before it says that there is no connection; one that has not says so at once.
//
// Rows are blocks of bytes in the form of model/rowset.h. All functions belong to one thread,
// except retable_client_wake. Callbacks may submit requests, but not poll and not free the client.
#pragma once

#include "base/error.h"
#include "base/slice.h"
#include "model/guid.h"

#define RETABLE_TIMEOUT_MS_DEFAULT UINT64_C(30000)

struct buffer;
struct retable_client;

struct retable_options {
    uint64_t request_count_max; // Under way at a time; 0 stands for 65,536.
};

// Makes a client of the cluster at "host:port". It connects with the first request, and again with
// the next one after a loss.
MUST_USE struct retable_client *retable_client_new(
    const char *address, const struct retable_options *options);

// Says who asks; to be called before the first request. `token` may be NULL for the one that the
// client begins with: $YT_TOKEN, or what ~/.yt/token has. `user` is whom to act as, which only
// superusers may; NULL for oneself. Fails if they are not printable ASCII.
MUST_USE struct error *retable_client_identify(
    struct retable_client *client, const char *token, const char *user);

// What is under way is called back with ERROR_CANCELED. NULL is allowed.
void retable_client_free(struct retable_client *client);

// Sends what has been submitted, handles what has come, and if nothing has, waits for it until
// `until_us` (monotonic, io/clock.h) or the end of some request's time.
void retable_client_poll(struct retable_client *client, uint64_t until_us);

// Makes the poll return. Thread-safe.
void retable_client_wake(struct retable_client *client);

// How many requests have not been called back yet.
uint64_t retable_client_request_count(const struct retable_client *client);

// A random id, for mutations.
struct guid retable_random_guid(void);

// ---------------------------------------------------------------- requests

struct retable_modification {
    const char *path;
    enum { RETABLE_INSERT, RETABLE_DELETE } kind;
    struct slice rowset;
    bool update;                // Columns that are not given keep their values.
    bool aggregate;             // Values of aggregate columns are merged.
    bool allow_no_sync_replica; // `require_sync_replica` inverted.
};

struct retable_commit {
    struct guid transaction_id; // Null: the modifications are a transaction of their own.
    struct guid mutation_id;    // Null: a random one.
    const struct retable_modification *modifications;
    size_t modification_count;
    uint64_t timeout_ms; // 0 stands for the default.
};

enum retable_lookup_mode { // What rows are like is told at LookupMode of client.proto.
    RETABLE_LOOKUP_PLAIN,
    RETABLE_LOOKUP_TIMESTAMPS,
    RETABLE_LOOKUP_VERSIONS,
};

struct retable_lookup {
    const char *path;
    struct slice keys;          // A rowset of key columns.
    const char *const *columns; // None stands for all.
    size_t column_count;
    uint64_t timestamp;     // 0 stands for the newest state.
    uint64_t min_timestamp; // Waits for a state that includes it; 0 stands for any.
    bool keep_missing_rows;
    enum retable_lookup_mode mode;
    struct guid transaction_id;
    uint64_t timeout_ms;
};

struct retable_modify {
    struct guid transaction_id;
    const struct retable_modification *modifications;
    size_t modification_count;
};

struct retable_start_transaction {
    uint64_t timeout_ms; // How long it lives without a ping; 0 stands for the server's default.
    uint64_t start_timestamp; // 0 stands for a new one.
};

// What came back; which fields count depends on the request.
struct retable_answer {
    uint64_t commit_timestamp;
    struct slice rowset; // Borrowed until the callback returns.
    struct guid transaction_id;
    uint64_t start_timestamp;
};

// Called exactly once for each request submitted. `error` is taken over; if it is NULL, `answer` is
// valid until the callback returns.
typedef void retable_callback(
    void *context, struct error *error, const struct retable_answer *answer);

// Submit a request; what it points to is copied. They fail with ERROR_REQUEST_THROTTLED, and do not
// call back, if too much is under way.
MUST_USE struct error *retable_client_commit(
    struct retable_client *client,
    const struct retable_commit *commit,
    retable_callback *callback,
    void *context);
MUST_USE struct error *retable_client_lookup(
    struct retable_client *client,
    const struct retable_lookup *lookup,
    retable_callback *callback,
    void *context);
MUST_USE struct error *retable_client_start_transaction(
    struct retable_client *client,
    const struct retable_start_transaction *start,
    retable_callback *callback,
    void *context);
MUST_USE struct error *retable_client_ping_transaction(
    struct retable_client *client,
    struct guid transaction_id,
    retable_callback *callback,
    void *context);
MUST_USE struct error *retable_client_abort_transaction(
    struct retable_client *client,
    struct guid transaction_id,
    retable_callback *callback,
    void *context);
MUST_USE struct error *retable_client_modify(
    struct retable_client *client,
    const struct retable_modify *modify,
    retable_callback *callback,
    void *context);

// A piece of the output, borrowed until the function returns.
typedef void retable_output(void *context, struct slice piece);

struct retable_execute {
    const char *command;     // With underscores.
    struct slice parameters; // A YSON map.
    struct slice input;
    uint64_t timeout_ms; // For the whole of it; 0 stands for the default.
    // Gets what the command says besides its output, a YSON map, before the callback; NULL if it is
    // not wanted. Must live until then.
    struct buffer *response_parameters;
};

struct retable_select {
    const char *query;
    uint64_t timestamp;     // 0 stands for the newest state.
    uint64_t min_timestamp; // As in retable_lookup.
    uint64_t input_row_limit;
    uint64_t output_row_limit;
    bool allow_incomplete_result;
    struct slice placeholder_values; // A YSON map, or empty.
    bool forbid_full_scan;
    bool allow_join_without_index;
    uint64_t range_expansion_limit; // 0 stands for the default, as it does in the next one.
    uint64_t memory_limit;          // In bytes.
    struct guid transaction_id;
    uint64_t timeout_ms;
    struct buffer *statistics; // Like response_parameters of retable_execute.
};

// Run a command, or a query; its pieces of output, or rowsets, are given to `output` as they come,
// and then `callback` is called.
MUST_USE struct error *retable_client_execute(
    struct retable_client *client,
    const struct retable_execute *execute,
    retable_output *output,
    retable_callback *callback,
    void *context);
MUST_USE struct error *retable_client_select(
    struct retable_client *client,
    const struct retable_select *select,
    retable_output *output,
    retable_callback *callback,
    void *context);

// ---------------------------------------------------------------- the same, waiting

MUST_USE struct error *retable_commit(
    struct retable_client *client,
    const struct retable_commit *commit,
    uint64_t *ret_commit_timestamp);

// Appends the rowset to `rowset`.
MUST_USE struct error *retable_lookup(
    struct retable_client *client, const struct retable_lookup *lookup, struct buffer *rowset);

struct retable_transaction {
    struct guid id;
    uint64_t start_timestamp;
};

MUST_USE struct error *retable_start_transaction(
    struct retable_client *client,
    const struct retable_start_transaction *start,
    struct retable_transaction *ret_transaction);
MUST_USE struct error *retable_ping_transaction(
    struct retable_client *client, struct guid transaction_id);
MUST_USE struct error *retable_abort_transaction(
    struct retable_client *client, struct guid transaction_id);
MUST_USE struct error *retable_modify(
    struct retable_client *client, const struct retable_modify *modify);
MUST_USE struct error *retable_execute(
    struct retable_client *client,
    const struct retable_execute *execute,
    retable_output *output,
    void *context);
MUST_USE struct error *retable_select(
    struct retable_client *client,
    const struct retable_select *select,
    retable_output *output,
    void *context);
