#include "io/rpc.h"

#include "io/rpc_internal.h"

#include <assert.h>
#include <grpc/support/time.h>

enum {
    REQUESTED_CALL_COUNT = 64, // For each method; more calls wait inside gRPC.
    CONCURRENT_STREAM_COUNT_MAX = 4096,
    KEEPALIVE_TIME_MS = 10000, // For clients that vanished with a stream open.
    KEEPALIVE_TIMEOUT_MS = 5000,
    PING_INTERVAL_MS_MIN = 100, // Clients may ask as often as this whether we are alive.
    METADATA_SIZE_MAX = 32 << 10,
};

struct rpc_server_method {
    struct rpc *rpc;                 // Borrowed.
    const struct rpc_method *method; // Borrowed; NULL for calls of unknown methods.
    void *handle;
};

// A call that is requested from gRPC, has come, or has been answered and is not quite over.
struct rpc_call {
    struct rpc_server_method *origin; // Borrowed.
    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_call_details details; // Of an unknown method.
    grpc_byte_buffer *request;
    grpc_byte_buffer *reply;
    struct rpc_tag arrived_tag;
    struct rpc_tag closed_tag;
    struct rpc_tag replied_tag;
    int cancelled; // Set by gRPC.
    bool is_answered;
    uint8_t operation_count; // Under way.
    void *context;           // Borrowed.
    struct rpc_call *prev;
    struct rpc_call *next;
};

static void call_free(struct rpc_call *call)
{
    grpc_metadata_array_destroy(&call->metadata);
    grpc_call_details_destroy(&call->details);
    grpc_byte_buffer_destroy(call->request);
    grpc_byte_buffer_destroy(call->reply);
    if (call->call) grpc_call_unref(call->call);
    free(call);
}

static void free_if_over(struct rpc_call *call)
{
    if (call->is_answered && call->operation_count == 0) call_free(call);
}

static void on_operation_done(struct rpc_tag *tag, bool ok)
{
    (void)ok; // A client that is gone does not get its answer.
    struct rpc_call *call = tag->owner;
    call->operation_count--;
    free_if_over(call);
}

// Sends the reply or the error; the call is not ours any more.
static void answer(struct rpc_call *call, const struct error *error)
{
    assert(!call->is_answered);
    call->is_answered = true;
    DL_DELETE(call->origin->rpc->calls, call);

    struct rpc_outgoing_status status;
    grpc_op ops[3] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}};
    rpc_status_op(error, &status, &ops[1]);
    if (!error) {
        ops[2].op = GRPC_OP_SEND_MESSAGE;
        ops[2].data.send_message.send_message = call->reply;
    }
    call->operation_count++;
    rpc_start(call->call, ops, error ? 2 : 3, &call->replied_tag);
    rpc_outgoing_status_release(&status);
}

static void on_arrived(struct rpc_tag *tag, bool ok);

static void request_call(struct rpc_server_method *origin)
{
    struct rpc *rpc = origin->rpc;
    struct rpc_call *call = must_alloc(calloc(1, sizeof *call));
    call->origin = origin;
    call->arrived_tag = (struct rpc_tag){.on_complete = on_arrived, .owner = call};
    call->closed_tag =
        (struct rpc_tag){.on_complete = on_operation_done, .owner = call, .is_quiet = true};
    call->replied_tag = call->closed_tag;
    grpc_metadata_array_init(&call->metadata);
    grpc_call_details_init(&call->details);

    grpc_call_error result;
    if (origin->method) {
        bool has_one_request = origin->method->kind != RPC_STREAM;
        result = grpc_server_request_registered_call(
            rpc->server,
            origin->handle,
            &call->call,
            &call->deadline,
            &call->metadata,
            has_one_request ? &call->request : NULL,
            rpc->queue,
            rpc->queue,
            &call->arrived_tag);
    } else {
        result = grpc_server_request_call(
            rpc->server,
            &call->call,
            &call->details,
            &call->metadata,
            rpc->queue,
            rpc->queue,
            &call->arrived_tag);
    }
    assert(result == GRPC_CALL_OK);
    (void)result;
}

// gRPC reports a method that does not exist as UNIMPLEMENTED, a code that none of our errors has.
static void answer_unknown(struct rpc_call *call)
{
    grpc_op ops[2] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER},
    };
    grpc_slice text = grpc_slice_from_static_string("No such method");
    ops[1].data.send_status_from_server.status = GRPC_STATUS_UNIMPLEMENTED;
    ops[1].data.send_status_from_server.status_details = &text;
    call->is_answered = true;
    call->operation_count++;
    rpc_start(call->call, ops, 2, &call->replied_tag);
}

static void handle_unary(struct rpc_call *call)
{
    struct rpc *rpc = call->origin->rpc;
    const struct rpc_method *method = call->origin->method;
    DL_APPEND(rpc->calls, call);
    if (!call->request) {
        rpc_call_fail(call, error_new(ERROR_GENERIC, "Call of %s has no request", method->path));
        return;
    }
    grpc_slice borrowed;
    struct slice request = rpc_message_bytes(rpc, call->request, &borrowed);
    struct error *error =
        method->message_size_max ? rpc_check_size(request.size, method->message_size_max) : NULL;
    if (error) {
        rpc_call_fail(call, error);
    } else {
        method->on_call(method->context, call, request);
    }
    grpc_slice_unref(borrowed);
    rpc_trim_scratch(rpc);
}

static void on_arrived(struct rpc_tag *tag, bool ok)
{
    struct rpc_call *call = tag->owner;
    struct rpc_server_method *origin = call->origin;
    if (!ok) { // The server is being shut down.
        call_free(call);
        return;
    }
    if (origin->rpc->is_listening) request_call(origin);

    if (origin->method && origin->method->kind != RPC_UNARY) {
        rpc_stream_accept(
            origin->rpc, TAKE(call->call), call->metadata, origin->method, TAKE(call->request));
        grpc_metadata_array_init(&call->metadata);
        call_free(call);
        return;
    }
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    op.data.recv_close_on_server.cancelled = &call->cancelled;
    call->operation_count++;
    rpc_start(call->call, &op, 1, &call->closed_tag);
    if (origin->method) {
        handle_unary(call);
    } else {
        answer_unknown(call);
    }
}

static grpc_server *create_server(struct rpc *rpc)
{
    grpc_arg args[] = {
        {.key = GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
         .value.integer = (int)rpc->options.message_size_max},
        {.key = GRPC_ARG_ALLOW_REUSEPORT, .value.integer = 0}, // Or two daemons share a port.
        {.key = GRPC_ARG_MAX_CONCURRENT_STREAMS, .value.integer = CONCURRENT_STREAM_COUNT_MAX},
        {.key = GRPC_ARG_KEEPALIVE_TIME_MS, .value.integer = KEEPALIVE_TIME_MS},
        {.key = GRPC_ARG_KEEPALIVE_TIMEOUT_MS, .value.integer = KEEPALIVE_TIMEOUT_MS},
        {.key = GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, .value.integer = 1},
        {.key = GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
         .value.integer = PING_INTERVAL_MS_MIN},
        {.key = GRPC_ARG_HTTP2_MAX_PING_STRIKES, .value.integer = 0},
        {.key = GRPC_ARG_MAX_METADATA_SIZE, .value.integer = METADATA_SIZE_MAX},
        {.key = GRPC_ARG_ENABLE_CHANNELZ, .value.integer = 0},
    };
    enum { ARG_COUNT = sizeof args / sizeof *args };
    for (size_t i = 0; i < ARG_COUNT; i++) args[i].type = GRPC_ARG_INTEGER;
    // gRPC does not change the keys.
    return grpc_server_create(&(grpc_channel_args){.num_args = ARG_COUNT, .args = args}, NULL);
}

static void on_shut_down(struct rpc_tag *tag, bool ok)
{
    (void)ok;
    struct rpc *rpc = tag->owner;
    rpc->is_shut_down = true;
}

struct error *rpc_listen(
    struct rpc *rpc,
    const char *address,
    const struct rpc_method *methods,
    size_t method_count,
    int *ret_port)
{
    assert(!rpc->server);
    rpc->server = create_server(rpc);
    rpc->server_methods = must_alloc(calloc(method_count + 1, sizeof *rpc->server_methods));
    rpc->server_method_count = method_count + 1; // The last is for unknown methods.
    for (size_t i = 0; i <= method_count; i++) rpc->server_methods[i].rpc = rpc;
    for (size_t i = 0; i < method_count; i++) {
        struct rpc_server_method *method = &rpc->server_methods[i];
        method->method = &methods[i];
        method->handle = grpc_server_register_method(
            rpc->server,
            methods[i].path,
            NULL,
            methods[i].kind == RPC_STREAM ? GRPC_SRM_PAYLOAD_NONE
                                          : GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER,
            0);
        assert(method->handle); // NULL for a path given twice.
    }
    grpc_server_register_completion_queue(rpc->server, rpc->queue, NULL);
    grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
    int port = grpc_server_add_http2_port(rpc->server, address, credentials);
    grpc_server_credentials_release(credentials);
    grpc_server_start(rpc->server);
    if (port == 0) {
        rpc_server_shut_down(rpc);
        return error_new(ERROR_GENERIC, "Cannot listen at %s: is the address in use?", address);
    }
    rpc->is_listening = true;
    for (size_t i = 0; i < rpc->server_method_count; i++) {
        for (int j = 0; j < REQUESTED_CALL_COUNT; j++) request_call(&rpc->server_methods[i]);
    }
    *ret_port = port;
    return NULL;
}

void rpc_server_shut_down(struct rpc *rpc)
{
    if (rpc->shutdown_tag.on_complete) return;
    rpc->is_listening = false;
    rpc->shutdown_tag = (struct rpc_tag){.on_complete = on_shut_down, .owner = rpc};
    grpc_server_shutdown_and_notify(rpc->server, rpc->queue, &rpc->shutdown_tag);
}

void rpc_stop_listening(struct rpc *rpc)
{
    if (rpc->server) rpc_server_shut_down(rpc);
}

void rpc_server_free(struct rpc *rpc)
{
    grpc_server_destroy(rpc->server);
    rpc->server = NULL;
}

void rpc_call_abandon_all(struct rpc *rpc)
{
    while (rpc->calls)
        rpc_call_fail(rpc->calls, error_new(ERROR_CANCELED, "The server is being shut down"));
}

struct slice rpc_find_header(const grpc_metadata_array *headers, const char *name)
{
    for (size_t i = 0; i < headers->count; i++) {
        if (slice_equal_text(rpc_slice_bytes(&headers->metadata[i].key), name))
            return rpc_slice_bytes(&headers->metadata[i].value);
    }
    return (struct slice){0};
}

struct slice rpc_call_header(const struct rpc_call *call, const char *name)
{
    return rpc_find_header(&call->metadata, name);
}

void rpc_call_set_context(struct rpc_call *call, void *context)
{
    call->context = context;
}

void *rpc_call_context(const struct rpc_call *call)
{
    return call->context;
}

uint64_t rpc_call_deadline_us(const struct rpc_call *call)
{
    gpr_timespec deadline = gpr_convert_clock_type(call->deadline, GPR_CLOCK_MONOTONIC);
    if (gpr_time_cmp(deadline, gpr_inf_future(GPR_CLOCK_MONOTONIC)) == 0) return RPC_NEVER;
    if (deadline.tv_sec < 0) return 0;
    return (uint64_t)deadline.tv_sec * 1000000 + (uint64_t)deadline.tv_nsec / 1000;
}

bool rpc_call_is_cancelled(const struct rpc_call *call)
{
    return call->cancelled != 0;
}

void rpc_call_reply(struct rpc_call *call, struct slice reply)
{
    struct error *error = rpc_check_size(reply.size, call->origin->rpc->options.message_size_max);
    if (error) {
        rpc_call_fail(call, error_wrap(error, ERROR_REQUEST_THROTTLED, "The reply is too large"));
        return;
    }
    call->reply = rpc_message_new(reply);
    answer(call, NULL);
}

void rpc_call_fail(struct rpc_call *call, struct error *error)
{
    answer(call, error);
    error_free(error);
}
