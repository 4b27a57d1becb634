#include "client/retable.h"

#include "base/arena.h"
#include "base/containers.h"
#include "client/session.h"
#include "io/clock.h"
#include "io/rpc.h"
#include "io/token.h"
#include "io/wire.h"

#include <assert.h>
#include <sys/random.h>

#define EXECUTE_METHOD "/retable.v1.Client/Execute"
#define SELECT_METHOD  "/retable.v1.Client/Select"

enum {
    REQUEST_COUNT_MAX_DEFAULT = 65536,
    MESSAGE_SIZE_MAX = 64 << 20,
    // How much longer than the server we wait: its answer says more than ours.
    ANSWER_MARGIN_US = 1000000,
};

// A command or a query under way, on a stream of its own.
struct execution {
    struct retable_client *client; // Borrowed.
    struct rpc_stream *stream;
    struct buffer request; // Of a command, sent once the server has accepted the stream.
    bool is_sent;
    bool is_query;
    uint64_t deadline_us;
    struct buffer *parameters; // Borrowed; NULL if response parameters are not wanted.
    retable_output *output;
    retable_callback *callback;
    void *context; // Borrowed.
    struct execution *prev;
    struct execution *next;
};

struct retable_client {
    char *address;
    uint64_t request_count_max;
    struct rpc *rpc;
    struct rpc_channel *channel;
    struct session *session;
    struct execution *executions;
    uint64_t execution_count;
};

static struct error *set_token(struct retable_client *client, struct slice token)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    const char *value = token.size > 0 ? arena_print(&arena, "OAuth %.*s", SLICE(token)) : "";
    return rpc_channel_set_header(client->channel, "authorization", slice_from_text(value));
}

// As official clients find it. Without a token, or with one that cannot be read, the server says
// what is missing.
static void set_default_token(struct retable_client *client)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct slice token = {0};
    const char *given = getenv("YT_TOKEN");
    const char *home = getenv("HOME");
    if (given) {
        token = slice_from_text(given);
    } else if (home) {
        const char *path = arena_print(&arena, "%s/.yt/token", home);
        error_free(secret_read_file(&arena, path, &token));
    }
    error_free(set_token(client, token));
}

struct retable_client *retable_client_new(
    const char *address, const struct retable_options *options)
{
    struct retable_client *client = must_alloc(calloc(1, sizeof *client));
    client->address = must_alloc(strdup(address));
    client->request_count_max =
        options->request_count_max ? options->request_count_max : REQUEST_COUNT_MAX_DEFAULT;
    client->rpc = rpc_new(&(struct rpc_options){.message_size_max = MESSAGE_SIZE_MAX});
    client->channel = rpc_channel_open(client->rpc, address, &(struct rpc_channel_options){0});
    set_default_token(client);
    client->session = session_new(client->channel, client->address, client->request_count_max);
    return client;
}

struct error *retable_client_identify(
    struct retable_client *client, const char *token, const char *user)
{
    if (token) TRY(set_token(client, slice_from_text(token)));
    return rpc_channel_set_header(
        client->channel, "x-yt-user-name", slice_from_text(user ? user : ""));
}

void retable_client_free(struct retable_client *client)
{
    if (!client) return;
    session_free(client->session);
    rpc_free(client->rpc); // Ends executions.
    assert(!client->executions);
    free(client->address);
    free(client);
}

// Ends executions whose time is over. Returns when the next one's will be.
static uint64_t expire_executions(struct retable_client *client, uint64_t now_us)
{
    uint64_t next_us = RPC_NEVER;
    struct execution *execution;
    DL_FOREACH (client->executions, execution) {
        if (execution->deadline_us > now_us) {
            next_us = MIN(next_us, execution->deadline_us);
            continue;
        }
        execution->deadline_us = RPC_NEVER; // Once is enough; on_closed follows.
        rpc_stream_finish(
            execution->stream,
            error_new(
                ERROR_TIMEOUT,
                "%s did not answer in time%s",
                client->address,
                execution->is_query || !execution->is_sent ? "" : ": the outcome is unknown"));
    }
    return next_us;
}

void retable_client_poll(struct retable_client *client, uint64_t until_us)
{
    session_flush(client->session);
    uint64_t now_us = clock_now_us();
    uint64_t request_count = retable_client_request_count(client);
    until_us = MIN(until_us, session_expire(client->session, now_us));
    until_us = MIN(until_us, expire_executions(client, now_us));
    // Something was called back, which the caller will want to know.
    if (retable_client_request_count(client) < request_count) until_us = 0;
    rpc_poll(client->rpc, until_us);
    session_flush(client->session); // What callbacks have submitted.
}

void retable_client_wake(struct retable_client *client)
{
    rpc_wake(client->rpc);
}

uint64_t retable_client_request_count(const struct retable_client *client)
{
    return session_request_count(client->session) + client->execution_count;
}

struct guid retable_random_guid(void)
{
    struct guid id;
    if (getrandom(&id, sizeof id, 0) != sizeof id) abort(); // Cannot fail for so few bytes.
    return id;
}

// ---------------------------------------------------------------- requests of the session

static uint64_t deadline_of(uint64_t timeout_ms)
{
    if (timeout_ms == 0) timeout_ms = RETABLE_TIMEOUT_MS_DEFAULT;
    timeout_ms = MIN(timeout_ms, UINT64_C(1) << 40);
    return clock_now_us() + timeout_ms * 1000 + ANSWER_MARGIN_US;
}

// protobuf-c has no const, but does not write to what it encodes.
static char *as_field(const char *text)
{
    return (char *)text;
}

static Retable__V1__Modification **make_modifications(
    struct arena *arena, const struct retable_modification *modifications, size_t count)
{
    Retable__V1__Modification **result = ARENA_NEW(arena, Retable__V1__Modification *, count);
    for (size_t i = 0; i < count; i++) {
        const struct retable_modification *from = &modifications[i];
        Retable__V1__Modification *to = ARENA_NEW(arena, Retable__V1__Modification, 1);
        retable__v1__modification__init(to);
        to->path = as_field(from->path);
        to->kind = from->kind == RETABLE_INSERT ? RETABLE__V1__MODIFICATION__KIND__INSERT
                                                : RETABLE__V1__MODIFICATION__KIND__DELETE;
        to->rowset = wire_bytes(from->rowset);
        to->update = from->update;
        to->aggregate = from->aggregate;
        to->allow_no_sync_replica = from->allow_no_sync_replica;
        result[i] = to;
    }
    return result;
}

struct error *retable_client_commit(
    struct retable_client *client,
    const struct retable_commit *commit,
    retable_callback *callback,
    void *context)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct guid mutation_id = commit->mutation_id;
    if (guid_is_null(mutation_id)) mutation_id = retable_random_guid();
    uint8_t transaction_bytes[WIRE_GUID_SIZE];
    uint8_t mutation_bytes[WIRE_GUID_SIZE];
    Retable__V1__CommitRequest message = RETABLE__V1__COMMIT_REQUEST__INIT;
    message.transaction_id = wire_guid(commit->transaction_id, transaction_bytes);
    message.mutation_id = wire_guid(mutation_id, mutation_bytes);
    message.n_modifications = commit->modification_count;
    message.modifications =
        make_modifications(&arena, commit->modifications, commit->modification_count);
    message.timeout_ms = commit->timeout_ms;

    Retable__V1__Request request = RETABLE__V1__REQUEST__INIT;
    request.kind_case = RETABLE__V1__REQUEST__KIND_COMMIT;
    request.commit = &message;
    uint64_t deadline_us = deadline_of(commit->timeout_ms);
    return session_submit(client->session, &request, deadline_us, callback, context);
}

struct error *retable_client_lookup(
    struct retable_client *client,
    const struct retable_lookup *lookup,
    retable_callback *callback,
    void *context)
{
    uint8_t transaction_bytes[WIRE_GUID_SIZE];
    Retable__V1__LookupRequest message = RETABLE__V1__LOOKUP_REQUEST__INIT;
    message.path = as_field(lookup->path);
    message.keys = wire_bytes(lookup->keys);
    message.columns = (char **)lookup->columns;
    message.n_columns = lookup->column_count;
    message.timestamp = lookup->timestamp;
    message.min_timestamp = lookup->min_timestamp;
    message.keep_missing_rows = lookup->keep_missing_rows;
    message.mode = (Retable__V1__LookupMode)lookup->mode;
    message.transaction_id = wire_guid(lookup->transaction_id, transaction_bytes);
    message.timeout_ms = lookup->timeout_ms;

    Retable__V1__Request request = RETABLE__V1__REQUEST__INIT;
    request.kind_case = RETABLE__V1__REQUEST__KIND_LOOKUP;
    request.lookup = &message;
    uint64_t deadline_us = deadline_of(lookup->timeout_ms);
    return session_submit(client->session, &request, deadline_us, callback, context);
}

struct error *retable_client_start_transaction(
    struct retable_client *client,
    const struct retable_start_transaction *start,
    retable_callback *callback,
    void *context)
{
    Retable__V1__StartTransactionRequest message = RETABLE__V1__START_TRANSACTION_REQUEST__INIT;
    message.timeout_ms = start->timeout_ms;
    message.start_timestamp = start->start_timestamp;

    Retable__V1__Request request = RETABLE__V1__REQUEST__INIT;
    request.kind_case = RETABLE__V1__REQUEST__KIND_START_TRANSACTION;
    request.start_transaction = &message;
    return session_submit(client->session, &request, deadline_of(0), callback, context);
}

struct error *retable_client_ping_transaction(
    struct retable_client *client,
    struct guid transaction_id,
    retable_callback *callback,
    void *context)
{
    uint8_t transaction_bytes[WIRE_GUID_SIZE];
    Retable__V1__PingTransactionRequest message = RETABLE__V1__PING_TRANSACTION_REQUEST__INIT;
    message.transaction_id = wire_guid(transaction_id, transaction_bytes);

    Retable__V1__Request request = RETABLE__V1__REQUEST__INIT;
    request.kind_case = RETABLE__V1__REQUEST__KIND_PING_TRANSACTION;
    request.ping_transaction = &message;
    return session_submit(client->session, &request, deadline_of(0), callback, context);
}

struct error *retable_client_abort_transaction(
    struct retable_client *client,
    struct guid transaction_id,
    retable_callback *callback,
    void *context)
{
    uint8_t transaction_bytes[WIRE_GUID_SIZE];
    Retable__V1__AbortTransactionRequest message = RETABLE__V1__ABORT_TRANSACTION_REQUEST__INIT;
    message.transaction_id = wire_guid(transaction_id, transaction_bytes);

    Retable__V1__Request request = RETABLE__V1__REQUEST__INIT;
    request.kind_case = RETABLE__V1__REQUEST__KIND_ABORT_TRANSACTION;
    request.abort_transaction = &message;
    return session_submit(client->session, &request, deadline_of(0), callback, context);
}

struct error *retable_client_modify(
    struct retable_client *client,
    const struct retable_modify *modify,
    retable_callback *callback,
    void *context)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    uint8_t transaction_bytes[WIRE_GUID_SIZE];
    Retable__V1__ModifyRequest message = RETABLE__V1__MODIFY_REQUEST__INIT;
    message.transaction_id = wire_guid(modify->transaction_id, transaction_bytes);
    message.n_modifications = modify->modification_count;
    message.modifications =
        make_modifications(&arena, modify->modifications, modify->modification_count);

    Retable__V1__Request request = RETABLE__V1__REQUEST__INIT;
    request.kind_case = RETABLE__V1__REQUEST__KIND_MODIFY;
    request.modify = &message;
    return session_submit(client->session, &request, deadline_of(0), callback, context);
}

// ---------------------------------------------------------------- commands and queries

static void send_execution(struct execution *execution, struct rpc_stream *stream)
{
    struct error *error = rpc_stream_send(stream, buffer_slice(&execution->request));
    if (error) {
        rpc_stream_finish(stream, error);
        return;
    }
    buffer_release(&execution->request);
    rpc_stream_finish(stream, NULL); // There is only one message.
}

// A command is sent now, so that one that was not is certain not to have been executed.
static void on_execution_open(void *context, struct rpc_stream *stream)
{
    struct execution *execution = context;
    execution->is_sent = true;
    if (!execution->is_query) send_execution(execution, stream);
}

static void on_execution_message(void *context, struct rpc_stream *stream, struct slice message)
{
    struct execution *execution = context;
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct slice piece = {0};
    struct slice parameters = {0};
    struct error *error;
    if (execution->is_query) {
        Retable__V1__SelectResponse *response = NULL;
        error = WIRE_DECODE(&arena, retable__v1__select_response, message, &response);
        if (!error) piece = wire_slice(response->rowset);
        if (!error) parameters = wire_slice(response->statistics);
    } else {
        Retable__V1__ExecuteResponse *response = NULL;
        error = WIRE_DECODE(&arena, retable__v1__execute_response, message, &response);
        if (!error) piece = wire_slice(response->output);
        if (!error) parameters = wire_slice(response->response_parameters);
    }
    if (!error && execution->parameters) buffer_append_slice(execution->parameters, parameters);
    if (error) {
        rpc_stream_finish(stream, error);
    } else {
        execution->output(execution->context, piece);
    }
}

static void on_execution_closed(void *context, struct rpc_stream *stream, struct error *error)
{
    (void)stream;
    struct execution *execution = context;
    struct retable_client *client = execution->client;
    // What the server says of itself comes without a status of gRPC's.
    bool is_loss = error && error_code(error) == ERROR_RPC_UNAVAILABLE &&
                   error_attribute(error, "grpc_status");
    if (is_loss && !execution->is_sent && execution->is_query) { // Nobody said that it is there.
        error = error_wrap(
            error,
            ERROR_RPC_UNAVAILABLE,
            "Cannot connect to %s, or the connection was lost before an answer came",
            client->address);
    } else if (is_loss && !execution->is_sent) {
        error = error_wrap(error, ERROR_RPC_UNAVAILABLE, "Cannot connect to %s", client->address);
    } else if (is_loss && execution->is_query) {
        error = error_wrap(
            error,
            ERROR_RPC_UNAVAILABLE,
            "Connection to %s was lost before the answer was complete",
            client->address);
    } else if (is_loss) {
        error = error_wrap(
            error,
            ERROR_TIMEOUT,
            "Connection to %s was lost before the answer came: the outcome is unknown",
            client->address);
    }
    DL_DELETE(client->executions, execution);
    client->execution_count--;
    struct retable_answer answer = {0};
    execution->callback(execution->context, error, error ? NULL : &answer);
    buffer_release(&execution->request);
    free(execution);
}

static const struct rpc_stream_handler EXECUTION_HANDLER = {
    .on_open = on_execution_open,
    .on_message = on_execution_message,
    .on_closed = on_execution_closed,
};

static struct error *start_execution(
    struct retable_client *client,
    const ProtobufCMessage *request,
    bool is_query,
    uint64_t timeout_ms,
    struct buffer *parameters,
    retable_output *output,
    retable_callback *callback,
    void *context)
{
    if (client->execution_count >= client->request_count_max) {
        struct error *error = error_new(ERROR_REQUEST_THROTTLED, "Too many requests are under way");
        return error_set_u64(error, "request_count_max", client->request_count_max);
    }
    struct execution *execution = must_alloc(calloc(1, sizeof *execution));
    execution->client = client;
    execution->is_query = is_query;
    execution->deadline_us = deadline_of(timeout_ms);
    execution->parameters = parameters;
    execution->output = output;
    execution->callback = callback;
    execution->context = context;
    wire_encode(request, &execution->request);
    DL_APPEND(client->executions, execution);
    client->execution_count++;
    if (is_query) { // It changes nothing, so it need not wait for the server to be there.
        execution->stream = rpc_stream_ask(
            client->channel,
            SELECT_METHOD,
            buffer_slice(&execution->request),
            &EXECUTION_HANDLER,
            execution);
        buffer_release(&execution->request);
    } else {
        execution->stream =
            rpc_stream_open(client->channel, EXECUTE_METHOD, &EXECUTION_HANDLER, execution);
    }
    return NULL;
}

struct error *retable_client_execute(
    struct retable_client *client,
    const struct retable_execute *execute,
    retable_output *output,
    retable_callback *callback,
    void *context)
{
    Retable__V1__ExecuteRequest request = RETABLE__V1__EXECUTE_REQUEST__INIT;
    request.command = as_field(execute->command);
    request.parameters = wire_bytes(execute->parameters);
    request.input = wire_bytes(execute->input);
    return start_execution(
        client,
        &request.base,
        false,
        execute->timeout_ms,
        execute->response_parameters,
        output,
        callback,
        context);
}

struct error *retable_client_select(
    struct retable_client *client,
    const struct retable_select *select,
    retable_output *output,
    retable_callback *callback,
    void *context)
{
    uint8_t transaction_bytes[WIRE_GUID_SIZE];
    Retable__V1__SelectRequest request = RETABLE__V1__SELECT_REQUEST__INIT;
    request.query = as_field(select->query);
    request.timestamp = select->timestamp;
    request.min_timestamp = select->min_timestamp;
    request.input_row_limit = select->input_row_limit;
    request.output_row_limit = select->output_row_limit;
    request.allow_incomplete_result = select->allow_incomplete_result;
    request.placeholder_values = wire_bytes(select->placeholder_values);
    request.transaction_id = wire_guid(select->transaction_id, transaction_bytes);
    request.timeout_ms = select->timeout_ms;
    request.forbid_full_scan = select->forbid_full_scan;
    request.allow_join_without_index = select->allow_join_without_index;
    request.range_expansion_limit = select->range_expansion_limit;
    request.memory_limit = select->memory_limit;
    request.enable_statistics = select->statistics != NULL;
    return start_execution(
        client,
        &request.base,
        true,
        select->timeout_ms,
        select->statistics,
        output,
        callback,
        context);
}

// ---------------------------------------------------------------- the same, waiting

struct waiter {
    bool is_done;
    struct error *error;
    struct retable_answer answer; // Without the rowset.
    struct buffer *rowset;        // Borrowed; NULL if none is wanted.
    retable_output *output;
    void *context; // Borrowed.
};

static void on_done(void *context, struct error *error, const struct retable_answer *answer)
{
    struct waiter *waiter = context;
    waiter->is_done = true;
    waiter->error = error;
    if (error) return;
    waiter->answer = *answer;
    waiter->answer.rowset = (struct slice){0};
    if (waiter->rowset) buffer_append_slice(waiter->rowset, answer->rowset);
}

static void on_output(void *context, struct slice piece)
{
    struct waiter *waiter = context;
    waiter->output(waiter->context, piece);
}

// Waits for what was submitted with `waiter` as its context, unless `refusal` says that it was not.
static struct error *wait_for(
    struct retable_client *client, struct waiter *waiter, struct error *refusal)
{
    TRY(refusal);
    while (!waiter->is_done) retable_client_poll(client, RPC_NEVER);
    return waiter->error;
}

struct error *retable_commit(
    struct retable_client *client,
    const struct retable_commit *commit,
    uint64_t *ret_commit_timestamp)
{
    struct waiter waiter = {0};
    TRY(wait_for(client, &waiter, retable_client_commit(client, commit, on_done, &waiter)));
    *ret_commit_timestamp = waiter.answer.commit_timestamp;
    return NULL;
}

struct error *retable_lookup(
    struct retable_client *client, const struct retable_lookup *lookup, struct buffer *rowset)
{
    struct waiter waiter = {.rowset = rowset};
    TRY(wait_for(client, &waiter, retable_client_lookup(client, lookup, on_done, &waiter)));
    return buffer_check(rowset, "The answer to a lookup");
}

struct error *retable_start_transaction(
    struct retable_client *client,
    const struct retable_start_transaction *start,
    struct retable_transaction *ret_transaction)
{
    struct waiter waiter = {0};
    TRY(wait_for(
        client, &waiter, retable_client_start_transaction(client, start, on_done, &waiter)));
    ret_transaction->id = waiter.answer.transaction_id;
    ret_transaction->start_timestamp = waiter.answer.start_timestamp;
    return NULL;
}

struct error *retable_ping_transaction(struct retable_client *client, struct guid id)
{
    struct waiter waiter = {0};
    return wait_for(client, &waiter, retable_client_ping_transaction(client, id, on_done, &waiter));
}

struct error *retable_abort_transaction(struct retable_client *client, struct guid id)
{
    struct waiter waiter = {0};
    return wait_for(
        client, &waiter, retable_client_abort_transaction(client, id, on_done, &waiter));
}

struct error *retable_modify(struct retable_client *client, const struct retable_modify *modify)
{
    struct waiter waiter = {0};
    return wait_for(client, &waiter, retable_client_modify(client, modify, on_done, &waiter));
}

struct error *retable_execute(
    struct retable_client *client,
    const struct retable_execute *execute,
    retable_output *output,
    void *context)
{
    struct waiter waiter = {.output = output, .context = context};
    return wait_for(
        client, &waiter, retable_client_execute(client, execute, on_output, on_done, &waiter));
}

struct error *retable_select(
    struct retable_client *client,
    const struct retable_select *select,
    retable_output *output,
    void *context)
{
    struct waiter waiter = {.output = output, .context = context};
    return wait_for(
        client, &waiter, retable_client_select(client, select, on_output, on_done, &waiter));
}
