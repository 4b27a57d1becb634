#include "cluster/forwards.h"

#include "cluster/core/subjects.h"
#include "cluster/identity.h"
#include "cluster/reads.h"
#include "io/wire.h"
#include "model/yson.h"
#include "proto/retable/v1/client.pb-c.h"

#include <stddef.h>

#define LOOKUP_METHOD "/retable.v1.Client/Lookup"
#define SELECT_METHOD "/retable.v1.Client/Select"

#define TIMEOUT_US UINT64_C(30000000)

struct forward { // In the request's arena.
    struct request_source source;
    struct loop *loop; // Borrowed.
    struct request *request;
    struct slice cluster;
    struct rpc_stream *stream; // Of a query, until it is closed.
    bool has_parts;            // Part of the answer was given away: it cannot begin anew.
    bool is_out;               // A part is with the request's owner.
    struct error *error;       // How the stream has ended meanwhile. Owned.
};

// protobuf-c has no const, but does not write to what it encodes.
static char *text_field(struct arena *arena, struct slice text)
{
    return (char *)arena_copy(arena, text).data;
}

static char **text_fields(struct arena *arena, const struct slice *texts, size_t count)
{
    char **fields = ARENA_NEW(arena, char *, count);
    for (size_t i = 0; i < count; i++) fields[i] = text_field(arena, texts[i]);
    return fields;
}

static uint64_t timeout_ms(const struct forward *forward)
{
    uint64_t now_us = forward->loop->now_us;
    uint64_t deadline_us = forward->request->deadline_us;
    return deadline_us > now_us ? MAX((deadline_us - now_us) / 1000, UINT64_C(1)) : 1;
}

// `error` is taken over; NULL of a success.
static void finish(const struct forward *forward, struct error *error)
{
    struct request *request = forward->request;
    struct loop *loop = forward->loop;
    loop_tick(loop);
    request->output_kind = OUTPUT_ROWSET;
    request->source = NULL;
    if (error) {
        // Who is not known there is known here: it is not that nobody knows who asks.
        bool is_unknown = error_code(error) == ERROR_AUTHENTICATION_ERROR ||
                          error_code(error) == ERROR_INVALID_CREDENTIALS;
        error = error_wrap(
            error,
            is_unknown ? ERROR_ACCESS_DENIED : error_code(error),
            "Read from cluster %.*s failed",
            SLICE(forward->cluster));
        if (forward->has_parts) {
            request->error = error;
        } else if (machine_read_again(loop->machine, request, error)) {
            loop->is_hurried = true;
            return;
        }
    }
    loop_answer(loop, request);
}

static struct error *check_output(const struct request *request)
{
    return buffer_check(&request->output, "Result of a read");
}

// -------------------------------------------------------------------------------------------------
// Lookups

static struct error *take_rowset(struct request *request, struct slice reply)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    Retable__V1__LookupResponse *response = NULL;
    TRY(WIRE_DECODE(&arena, retable__v1__lookup_response, reply, &response));
    buffer_append_slice(&request->output, wire_slice(response->rowset));
    return check_output(request);
}

static void on_looked_up(void *context, struct error *error, struct slice reply)
{
    struct forward *forward = context;
    if (!error) error = take_rowset(forward->request, reply);
    finish(forward, error);
}

static void forward_lookup(struct forward *forward, struct rpc_channel *channel)
{
    struct request *request = forward->request;
    struct arena arena CLEANUP(arena_releasep) = {0};
    uint8_t id_bytes[WIRE_GUID_SIZE];
    Retable__V1__LookupRequest lookup = RETABLE__V1__LOOKUP_REQUEST__INIT;
    lookup.path = text_field(&arena, request->path);
    lookup.keys = wire_bytes(request->rows);
    lookup.n_columns = request->column_count;
    lookup.columns = text_fields(&arena, request->columns, request->column_count);
    lookup.timestamp = request->timestamp;
    lookup.keep_missing_rows = request->keep_missing_rows;
    lookup.mode = (Retable__V1__LookupMode)request->lookup_mode;
    lookup.timeout_ms = timeout_ms(forward);
    lookup.upstream_replica_id = wire_guid(request->upstream_replica_id, id_bytes);
    CLEANUP(buffer_releasep) struct buffer message = {0};
    wire_encode(&lookup.base, &message);
    rpc_unary(
        channel,
        LOOKUP_METHOD,
        buffer_slice(&message),
        request->deadline_us,
        on_looked_up,
        forward);
}

// -------------------------------------------------------------------------------------------------
// Queries

// Answers with what has come so far; the stream waits until the owner wants more.
static void give_part(struct forward *forward)
{
    struct request *request = forward->request;
    forward->has_parts = true;
    forward->is_out = true;
    rpc_stream_pause_reading(forward->stream);
    request->output_kind = OUTPUT_ROWSET;
    request->source = &forward->source;
    loop_tick(forward->loop);
    loop_answer(forward->loop, request); // The forward may be gone then.
}

static struct forward *forward_of(struct request_source *source)
{
    return (struct forward *)((char *)source - offsetof(struct forward, source));
}

static void resume_forward(struct request_source *source)
{
    struct forward *forward = forward_of(source);
    forward->is_out = false;
    buffer_clear(&forward->request->output);
    arr_clear(forward->request->block_ends);
    if (forward->stream) {
        rpc_stream_resume_reading(forward->stream);
    } else {
        finish(forward, TAKE(forward->error));
    }
}

static void drop_forward(struct request_source *source)
{
    struct forward *forward = forward_of(source);
    struct request *request = forward->request;
    if (forward->stream) {
        rpc_stream_drop(
            forward->stream, error_new(ERROR_CANCELED, "The rest of the answer is not wanted"));
    }
    error_free(forward->error);
    loop_forget(forward->loop, request);
    request_free(request);
}

static void on_rowset(void *context, struct rpc_stream *stream, struct slice bytes)
{
    struct forward *forward = context;
    struct request *request = forward->request;
    struct arena arena CLEANUP(arena_releasep) = {0};
    Retable__V1__SelectResponse *response = NULL;
    bool is_last = false;
    struct error *error = WIRE_DECODE(&arena, retable__v1__select_response, bytes, &response);
    if (!error) {
        buffer_append_slice(&request->output, wire_slice(response->rowset));
        arr_add(request->block_ends, request->output.size);
        error = check_output(request);
    }
    if (!error && response->statistics.len > 0) {
        struct slice statistics = wire_slice(response->statistics);
        error = yson_parse(&request->arena, statistics, &request->response_parameters);
        is_last = true;
    }
    bool is_part = request->part_size_min > 0 && request->output.size >= request->part_size_min;
    if (error) {
        rpc_stream_finish(stream, error);
    } else if (is_part && !is_last) {
        give_part(forward);
    }
}

static void on_selected(void *context, struct rpc_stream *stream, struct error *error)
{
    (void)stream;
    struct forward *forward = context;
    forward->stream = NULL;
    if (forward->is_out) {
        forward->error = error;
        return;
    }
    if (!error && !forward->has_parts && arr_count(forward->request->block_ends) == 0)
        error = error_new(ERROR_GENERIC, "The answer has no rowset");
    finish(forward, error);
}

static const struct rpc_stream_handler SELECT = {
    .on_message = on_rowset,
    .on_closed = on_selected,
};

static void forward_select(struct forward *forward, struct rpc_channel *channel)
{
    struct request *request = forward->request;
    struct arena arena CLEANUP(arena_releasep) = {0};
    uint8_t id_bytes[WIRE_GUID_SIZE];
    Retable__V1__SelectRequest select = RETABLE__V1__SELECT_REQUEST__INIT;
    select.query = text_field(&arena, request->query);
    select.timestamp = request->timestamp;
    select.input_row_limit = request->input_row_limit;
    select.output_row_limit = request->output_row_limit;
    select.allow_incomplete_result = request->allow_incomplete_result;
    select.range_expansion_limit = request->range_expansion_limit;
    select.memory_limit = request->memory_limit;
    select.forbid_full_scan = request->forbid_full_scan;
    select.allow_join_without_index = request->allow_join_without_index;
    select.enable_statistics = request->enable_statistics;
    select.timeout_ms = timeout_ms(forward);
    select.n_table_paths = request->table_path_count;
    select.table_paths = text_fields(&arena, request->table_paths, request->table_path_count);
    select.upstream_replica_id = wire_guid(request->upstream_replica_id, id_bytes);
    CLEANUP(buffer_releasep) struct buffer message = {0};
    wire_encode(&select.base, &message);
    forward->stream =
        rpc_stream_ask(channel, SELECT_METHOD, buffer_slice(&message), &SELECT, forward);
}

void forward_read(
    struct loop *loop, struct links *links, struct request *request, struct slice cluster)
{
    struct forward *forward = ARENA_NEW(&request->arena, struct forward, 1);
    *forward = (struct forward){
        .source = {.resume = resume_forward, .drop = drop_forward},
        .loop = loop,
        .request = request,
        .cluster = cluster,
    };
    request->deadline_us = MIN(request->deadline_us, loop->now_us + TIMEOUT_US);
    buffer_init(&request->output, READ_OUTPUT_SIZE_MAX);
    struct rpc_channel *channel = links_channel(links, cluster);
    if (!channel) {
        finish(forward, error_new(ERROR_RPC_UNAVAILABLE, "Its address is not known"));
        return;
    }
    // It is read as the user who asks.
    bool is_super = user_is_super(&loop->machine->cell.tree, request->user);
    struct slice user = is_super ? (struct slice){0} : request->user;
    struct error *error = rpc_channel_set_header(channel, USER_HEADER_GRPC, user);
    if (error) {
        finish(forward, error);
    } else if (request->select) {
        forward_select(forward, channel);
    } else {
        forward_lookup(forward, channel);
    }
}
