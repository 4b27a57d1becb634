#include "io/rpc.h"

#include "io/rpc_internal.h"

#include <assert.h>
#include <grpc/support/alloc.h>
#include <limits.h>

enum {
    KEEPALIVE_MS_DEFAULT = 1000,
    RECONNECT_BACKOFF_MS_INITIAL = 100,
    RECONNECT_BACKOFF_MS_MAX = 1000,
    CONNECT_TIMEOUT_MS = 1000,
    METADATA_SIZE_MAX = 32 << 10,
};

struct rpc_request {
    struct rpc_channel *channel; // Borrowed; NULL once the callback has been called.
    grpc_call *call;
    struct rpc_tag tag;
    grpc_byte_buffer *request;
    grpc_byte_buffer *reply;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_status_code status;
    grpc_slice text;
    struct error *refusal; // It was never sent.
    rpc_callback *callback;
    void *context; // Borrowed.
    struct rpc_request *prev;
    struct rpc_request *next;
};

static grpc_channel *create_channel(
    const struct rpc *rpc, const char *address, const struct rpc_channel_options *options)
{
    uint64_t time_ms = options->keepalive_time_ms;
    uint64_t timeout_ms = options->keepalive_timeout_ms;
    if (time_ms == 0) time_ms = KEEPALIVE_MS_DEFAULT;
    if (timeout_ms == 0) timeout_ms = KEEPALIVE_MS_DEFAULT;
    assert(time_ms <= INT_MAX && timeout_ms <= INT_MAX);
    grpc_arg args[] = {
        {.key = GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
         .value.integer = (int)rpc->options.message_size_max},
        {.key = GRPC_ARG_KEEPALIVE_TIME_MS, .value.integer = (int)time_ms},
        {.key = GRPC_ARG_KEEPALIVE_TIMEOUT_MS, .value.integer = (int)timeout_ms},
        {.key = GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, .value.integer = 1},
        {.key = GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, .value.integer = 0}, // No limit.
        {.key = GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
         .value.integer = RECONNECT_BACKOFF_MS_INITIAL},
        {.key = GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, .value.integer = RECONNECT_BACKOFF_MS_MAX},
        {.key = GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, .value.integer = CONNECT_TIMEOUT_MS},
        {.key = GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS,
         .value.integer = RECONNECT_BACKOFF_MS_MAX},
        {.key = GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, .value.integer = 1},
        {.key = GRPC_ARG_ENABLE_RETRIES, .value.integer = 0}, // Callers decide about retries.
        {.key = GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, .value.integer = 1},
        {.key = GRPC_ARG_ENABLE_HTTP_PROXY, .value.integer = 0},
        {.key = GRPC_ARG_MAX_METADATA_SIZE, .value.integer = METADATA_SIZE_MAX},
        {.key = GRPC_ARG_ENABLE_CHANNELZ, .value.integer = 0},
    };
    enum { ARG_COUNT = sizeof args / sizeof *args };
    for (size_t i = 0; i < ARG_COUNT; i++) args[i].type = GRPC_ARG_INTEGER;
    grpc_channel_args all = {.num_args = ARG_COUNT, .args = args};
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    grpc_channel *channel = grpc_channel_create(address, credentials, &all);
    grpc_channel_credentials_release(credentials);
    return channel;
}

struct rpc_channel *rpc_channel_open(
    struct rpc *rpc, const char *address, const struct rpc_channel_options *options)
{
    struct rpc_channel *channel = must_alloc(calloc(1, sizeof *channel));
    channel->rpc = rpc;
    channel->address = must_alloc(strdup(address));
    channel->channel = create_channel(rpc, address, options);
    DL_APPEND(rpc->channels, channel);
    return channel;
}

static void request_free(struct rpc_request *request)
{
    grpc_byte_buffer_destroy(request->request);
    grpc_byte_buffer_destroy(request->reply);
    grpc_metadata_array_destroy(&request->initial);
    grpc_metadata_array_destroy(&request->trailing);
    grpc_slice_unref(request->text);
    error_free(request->refusal);
    grpc_call_unref(request->call);
    free(request);
}

// Calls back, once. The channel may be gone afterwards.
static void finish(struct rpc_request *request, struct error *error, struct slice reply)
{
    struct rpc_channel *channel = request->channel;
    assert(channel);
    DL_DELETE(channel->requests, request);
    request->channel = NULL;
    request->callback(request->context, error, reply);
}

static void on_finished(struct rpc_tag *tag, bool ok)
{
    (void)ok; // The status tells.
    struct rpc_request *request = tag->owner;
    struct rpc_channel *channel = request->channel;
    const char *address = channel ? channel->address : "a closed channel";
    struct error *error = TAKE(request->refusal);
    if (!error) {
        error = rpc_status_error(request->status, &request->text, &request->trailing, address);
        if (!error && !request->reply)
            error = error_new(ERROR_GENERIC, "Answer of %s has no message", address);
    }
    if (!channel) {
        error_free(error);
    } else if (error) {
        finish(request, error, (struct slice){0});
    } else {
        struct rpc *rpc = channel->rpc;
        grpc_slice borrowed;
        struct slice reply = rpc_message_bytes(rpc, request->reply, &borrowed);
        finish(request, NULL, reply);
        grpc_slice_unref(borrowed);
        rpc_trim_scratch(rpc);
    }
    request_free(request);
}

void rpc_channel_close(struct rpc_channel *channel)
{
    if (!channel) return;
    rpc_stream_abandon_all(channel->rpc, channel);
    while (channel->requests) {
        struct rpc_request *request = channel->requests;
        grpc_call_cancel(request->call, NULL);
        struct error *error =
            error_new(ERROR_CANCELED, "Channel to %s was closed", channel->address);
        finish(request, error, (struct slice){0}); // It is freed when gRPC is done with it.
    }
    DL_DELETE(channel->rpc->channels, channel);
    grpc_channel_destroy(channel->channel);
    arr_free(channel->paths);
    for (size_t i = 0; i < channel->header_count; i++) buffer_release(&channel->headers[i].value);
    free(channel->address);
    free(channel);
}

void rpc_channel_reset_backoff(struct rpc_channel *channel)
{
    grpc_channel_reset_connect_backoff(channel->channel);
}

struct error *rpc_channel_set_header(
    struct rpc_channel *channel, const char *name, struct slice value)
{
    for (size_t j = 0; j < value.size; j++) { // gRPC refuses the whole call.
        if (value.data[j] >= ' ' && value.data[j] <= '~') continue;
        return error_new(ERROR_GENERIC, "Value of header \"%s\" is not printable ASCII", name);
    }
    size_t i = 0;
    while (i < channel->header_count && strcmp(channel->headers[i].name, name) != 0) i++;
    if (i == channel->header_count) {
        assert(i < RPC_HEADER_COUNT_MAX);
        channel->headers[i].name = name;
        channel->header_count++;
    }
    buffer_clear(&channel->headers[i].value);
    buffer_append_slice(&channel->headers[i].value, value);
    return NULL;
}

void rpc_channel_start(
    struct rpc_channel *channel,
    grpc_call *call,
    grpc_op *ops,
    size_t op_count,
    struct rpc_tag *tag)
{
    grpc_metadata headers[RPC_HEADER_COUNT_MAX];
    size_t count = 0;
    assert(ops[0].op == GRPC_OP_SEND_INITIAL_METADATA);
    for (size_t i = 0; i < channel->header_count; i++) {
        struct slice value = buffer_slice(&channel->headers[i].value);
        if (value.size == 0) continue;
        headers[count++] = (grpc_metadata){
            .key = grpc_slice_from_static_string(channel->headers[i].name),
            .value = rpc_slice_copy(value),
        };
    }
    ops[0].data.send_initial_metadata.count = count;
    ops[0].data.send_initial_metadata.metadata = headers;
    rpc_start(call, ops, op_count, tag); // gRPC takes references to what it sends.
    for (size_t i = 0; i < count; i++) grpc_slice_unref(headers[i].value);
}

grpc_call *rpc_channel_call(struct rpc_channel *channel, const char *path, uint64_t deadline_us)
{
    void *handle = NULL;
    for (size_t i = 0; i < arr_count(channel->paths) && !handle; i++) {
        if (strcmp(channel->paths[i].path, path) == 0) handle = channel->paths[i].handle;
    }
    if (!handle) {
        handle = grpc_channel_register_call(channel->channel, path, NULL, NULL);
        __typeof__(*channel->paths) entry = {.path = path, .handle = handle};
        arr_add(channel->paths, entry);
    }
    return grpc_channel_create_registered_call(
        channel->channel, NULL, 0, channel->rpc->queue, handle, rpc_timespec(deadline_us), NULL);
}

struct rpc_request *rpc_unary(
    struct rpc_channel *channel,
    const char *path,
    struct slice request,
    uint64_t deadline_us,
    rpc_callback *callback,
    void *context)
{
    struct rpc_request *call = must_alloc(calloc(1, sizeof *call));
    call->channel = channel;
    call->call = rpc_channel_call(channel, path, deadline_us);
    call->tag = (struct rpc_tag){.on_complete = on_finished, .owner = call};
    call->callback = callback;
    call->context = context;
    grpc_metadata_array_init(&call->initial);
    grpc_metadata_array_init(&call->trailing);
    call->text = grpc_empty_slice();
    DL_APPEND(channel->requests, call);

    call->refusal = rpc_check_size(request.size, channel->rpc->options.message_size_max);
    if (call->refusal) {
        rpc_start(call->call, NULL, 0, &call->tag); // Completes with the next poll.
        return call;
    }
    call->request = rpc_message_new(request);
    grpc_op ops[6] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_MESSAGE},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT},
    };
    ops[1].data.send_message.send_message = call->request;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &call->initial;
    ops[4].data.recv_message.recv_message = &call->reply;
    ops[5].data.recv_status_on_client.trailing_metadata = &call->trailing;
    ops[5].data.recv_status_on_client.status = &call->status;
    ops[5].data.recv_status_on_client.status_details = &call->text;
    rpc_channel_start(channel, call->call, ops, 6, &call->tag);
    return call;
}

void rpc_request_cancel(struct rpc_request *request)
{
    grpc_call_cancel(request->call, NULL);
}
