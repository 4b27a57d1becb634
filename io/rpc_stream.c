#include "io/rpc.h"

#include "io/rpc_internal.h"

#include <assert.h>
#include <grpc/support/alloc.h>

// When a stream reads on: gRPC 1.51 grants the sender the bytes of a message with a write of its
// own as soon as the next message is asked for, unless a write on this stream has taken the grant
// along. That write costs both ends as much as a message does. So after a message, the next one is
// asked for in the next poll, when what the message caused has been sent; but at once while
// messages come one upon another. Source: gRPC
// src/core/ext/transport/chttp2/transport/flow_control.cc, UpdateAction.

struct outgoing {
    grpc_byte_buffer *message;
    uint64_t size; // Asked when queued: gRPC empties the message when it takes it.
};

struct rpc_stream {
    struct rpc *rpc;                          // Borrowed.
    struct rpc_channel *channel;              // Borrowed; NULL on the server.
    const struct rpc_stream_handler *handler; // Borrowed; NULL after on_closed or a drop.
    void *context;                            // Borrowed.
    uint64_t message_size_max;                // Of messages received.
    grpc_call *call;

    struct rpc_tag open_tag;    // Client: initial metadata sent and received. Server: sent.
    struct rpc_tag receive_tag; // A message received.
    struct rpc_tag send_tag;    // A message, the half-close, or the status sent.
    struct rpc_tag end_tag;     // Client: the status received. Server: RECV_CLOSE.
    bool is_opening;            // Operations under way: these four.
    bool is_receiving;
    bool is_sending;
    bool is_ending;

    // Messages to be sent: `count` of them from `begin` on, round the array.
    struct outgoing *queue;
    size_t queue_begin;
    size_t queue_count;
    size_t queue_capacity;
    struct outgoing sending; // Given to gRPC.
    uint64_t queued_size;    // In bytes, with what is being sent.

    grpc_byte_buffer *received;
    uint64_t asked_wait_count; // The rpc's `wait_count` when the next message was asked for.
    bool is_due;               // In the rpc's list of those that read on later.
    uint64_t due_poll_count;   // The rpc's `poll_count` when it was put there.
    bool is_early;             // Received while opening; to be handled afterwards.
    bool is_asked;             // There is one request only.
    bool holds_initial;        // Server: initial metadata go with what is sent first.
    bool is_paused;
    bool is_at_end;      // The peer sends no more.
    bool is_broken;      // Nothing can be sent any more.
    bool is_finished;    // rpc_stream_finish has been called: nothing more is queued.
    bool is_finish_sent; // The half-close or the status has been given to gRPC.
    struct error *error; // Server: the status to be sent. Client: why we cancelled.

    int cancelled;               // Server; set by gRPC.
    grpc_metadata_array initial; // What the peer sent at first.
    grpc_metadata_array trailing;
    grpc_status_code status;
    grpc_slice text;

    struct rpc_stream *prev;
    struct rpc_stream *next;
    struct rpc_stream *due_prev;
    struct rpc_stream *due_next;
};

static struct outgoing queue_pop(struct rpc_stream *stream)
{
    assert(stream->queue_count > 0);
    struct outgoing first = stream->queue[stream->queue_begin];
    stream->queue_begin = (stream->queue_begin + 1) % stream->queue_capacity;
    stream->queue_count--;
    return first;
}

static void queue_push(struct rpc_stream *stream, struct outgoing last)
{
    if (stream->queue_count == stream->queue_capacity) {
        size_t capacity = MAX((size_t)8, stream->queue_capacity * 2);
        struct outgoing *queue = must_alloc(calloc(capacity, sizeof *queue));
        size_t count = stream->queue_count;
        for (size_t i = 0; i < count; i++) queue[i] = queue_pop(stream);
        free(stream->queue);
        stream->queue = queue;
        stream->queue_begin = 0;
        stream->queue_count = count;
        stream->queue_capacity = capacity;
    }
    size_t end = (stream->queue_begin + stream->queue_count) % stream->queue_capacity;
    stream->queue[end] = last;
    stream->queue_count++;
}

static void forget_due(struct rpc_stream *stream)
{
    if (!stream->is_due) return;
    stream->is_due = false;
    DL_DELETE2(stream->rpc->due, stream, due_prev, due_next);
}

static void stream_free(struct rpc_stream *stream)
{
    assert(!stream->handler);
    forget_due(stream);
    while (stream->queue_count > 0) grpc_byte_buffer_destroy(queue_pop(stream).message);
    free(stream->queue);
    grpc_byte_buffer_destroy(stream->sending.message);
    grpc_byte_buffer_destroy(stream->received);
    grpc_metadata_array_destroy(&stream->initial);
    grpc_metadata_array_destroy(&stream->trailing);
    grpc_slice_unref(stream->text);
    error_free(stream->error);
    grpc_call_unref(stream->call);
    free(stream);
}

// Says goodbye to the owner; the last operation to complete frees the stream.
static void close_stream(struct rpc_stream *stream, struct error *error)
{
    const struct rpc_stream_handler *handler = stream->handler;
    if (!handler) {
        error_free(error);
        return;
    }
    stream->handler = NULL;
    stream->rpc->has_news = true;
    DL_DELETE(stream->rpc->streams, stream);
    handler->on_closed(stream->context, stream, error);
    stream->channel = NULL; // May go before the stream is freed.
}

// How the stream ended, when it has.
static struct error *take_end(struct rpc_stream *stream)
{
    if (stream->channel) {
        if (stream->error) return TAKE(stream->error);
        return rpc_status_error(
            stream->status, &stream->text, &stream->trailing, stream->channel->address);
    }
    if (!stream->cancelled && stream->is_finish_sent) return NULL;
    return error_new(ERROR_CANCELED, "The client cancelled the stream or its connection was lost");
}

// Called whenever an operation has completed.
static void release_operation(struct rpc_stream *stream)
{
    // A message may be waiting in the completion queue when the end is seen.
    if (stream->handler && !stream->is_ending && !stream->is_receiving)
        close_stream(stream, take_end(stream));
    if (!stream->handler && !stream->is_ending && !stream->is_receiving && !stream->is_sending &&
        !stream->is_opening)
        stream_free(stream);
}

static void receive(struct rpc_stream *stream)
{
    forget_due(stream);
    if (stream->is_receiving || stream->is_at_end || stream->is_paused || !stream->handler) return;
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &stream->received;
    stream->is_receiving = true;
    stream->asked_wait_count = stream->rpc->wait_count;
    rpc_start(stream->call, &op, 1, &stream->receive_tag);
}

void rpc_stream_receive_due(struct rpc *rpc, uint64_t poll_count)
{
    while (rpc->due && rpc->due->due_poll_count <= poll_count) receive(rpc->due);
}

// Reads on after a message.
static void receive_next(struct rpc_stream *stream)
{
    // This one was there when it was asked for: the next may be, too. And so may be the end of
    // what is mostly one message.
    bool is_hurried = stream->is_asked || stream->asked_wait_count == stream->rpc->wait_count;
    if (is_hurried) {
        receive(stream);
    } else if (!stream->is_due) {
        stream->is_due = true;
        stream->due_poll_count = stream->rpc->poll_count;
        DL_APPEND2(stream->rpc->due, stream, due_prev, due_next);
    }
}

// Begins what is sent with the initial metadata, if they are still to be; returns the count.
static size_t begin_ops(struct rpc_stream *stream, grpc_op *ops)
{
    if (!stream->holds_initial) return 0;
    stream->holds_initial = false;
    ops[0] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
    return 1;
}

static void send_finish(struct rpc_stream *stream)
{
    stream->is_finish_sent = true;
    stream->is_sending = true;
    if (stream->channel) {
        grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
        rpc_start(stream->call, &op, 1, &stream->send_tag);
        return;
    }
    struct rpc_outgoing_status status;
    grpc_op ops[2];
    size_t count = begin_ops(stream, ops);
    rpc_status_op(stream->error, &status, &ops[count++]);
    rpc_start(stream->call, ops, count, &stream->send_tag);
    rpc_outgoing_status_release(&status);
}

// The last message of a server's stream, and the stream's end: one write, one packet.
static void send_last(struct rpc_stream *stream)
{
    struct rpc_outgoing_status status;
    grpc_op ops[3];
    size_t count = begin_ops(stream, ops);
    ops[count] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
    ops[count++].data.send_message.send_message = stream->sending.message;
    rpc_status_op(stream->error, &status, &ops[count++]);
    stream->is_finish_sent = true;
    stream->is_sending = true;
    rpc_start(stream->call, ops, count, &stream->send_tag);
    rpc_outgoing_status_release(&status);
}

// Sends what is next, one thing at a time.
static void send_next(struct rpc_stream *stream)
{
    if (stream->is_sending || stream->is_broken || stream->is_finish_sent) return;
    if (stream->queue_count == 0) {
        if (stream->is_finished) send_finish(stream);
        return;
    }
    stream->sending = queue_pop(stream);
    if (stream->queue_count == 0 && stream->is_finished && !stream->channel) {
        send_last(stream);
        return;
    }
    grpc_op ops[2];
    size_t count = begin_ops(stream, ops);
    ops[count] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
    ops[count].data.send_message.send_message = stream->sending.message;
    // With more to follow at once, gRPC may put both into one write.
    if (stream->queue_count > 0) ops[count].flags = GRPC_WRITE_BUFFER_HINT;
    stream->is_sending = true;
    rpc_start(stream->call, ops, count + 1, &stream->send_tag);
}

static void on_sent(struct rpc_tag *tag, bool ok)
{
    struct rpc_stream *stream = tag->owner;
    stream->is_sending = false;
    stream->queued_size -= stream->sending.size;
    grpc_byte_buffer_destroy(stream->sending.message);
    stream->sending = (struct outgoing){0};
    if (!ok) stream->is_broken = true; // The end will tell why.
    send_next(stream);
    if (stream->queued_size == 0 && stream->handler && !stream->is_finished && !stream->is_broken &&
        stream->handler->on_drained) {
        stream->rpc->has_news = true;
        stream->handler->on_drained(stream->context, stream);
    }
    release_operation(stream);
}

static void deliver(struct rpc_stream *stream)
{
    grpc_byte_buffer *message = TAKE(stream->received);
    // After its end, the server's owner does not want to hear more.
    bool is_wanted = stream->handler && (stream->channel || !stream->is_finished);
    if (is_wanted) {
        grpc_slice borrowed;
        struct slice bytes = rpc_message_bytes(stream->rpc, message, &borrowed);
        struct error *error = rpc_check_size(bytes.size, stream->message_size_max);
        if (error) {
            rpc_stream_finish(stream, error);
        } else {
            stream->handler->on_message(stream->context, stream, bytes);
        }
        grpc_slice_unref(borrowed);
        rpc_trim_scratch(stream->rpc);
    }
    grpc_byte_buffer_destroy(message);
}

static void handle_received(struct rpc_stream *stream)
{
    if (stream->received) {
        deliver(stream); // Still receiving, so that a handler's actions do not start another one.
        stream->is_receiving = false;
        receive_next(stream);
        return;
    }
    stream->is_receiving = false;
    stream->is_at_end = true;
    if (stream->channel || !stream->handler || stream->is_finished) return;
    if (stream->handler->on_end) {
        stream->handler->on_end(stream->context, stream);
    } else {
        rpc_stream_finish(stream, NULL);
    }
}

static void on_received(struct rpc_tag *tag, bool ok)
{
    struct rpc_stream *stream = tag->owner;
    if (!ok) {
        stream->is_receiving = false;
        stream->is_at_end = true;
    } else if (stream->channel && stream->is_opening) {
        stream->is_early = true; // on_open comes first, though gRPC may complete it later.
        return;
    } else {
        handle_received(stream);
    }
    release_operation(stream);
}

static void on_opened(struct rpc_tag *tag, bool ok)
{
    struct rpc_stream *stream = tag->owner;
    stream->is_opening = false;
    // Where the server did not accept the stream there is no initial metadata, and the status
    // follows.
    if (ok && stream->channel && stream->handler && stream->handler->on_open)
        stream->handler->on_open(stream->context, stream);
    if (stream->is_early) {
        stream->is_early = false;
        handle_received(stream);
    }
    release_operation(stream);
}

static void on_ended(struct rpc_tag *tag, bool ok)
{
    (void)ok;
    struct rpc_stream *stream = tag->owner;
    stream->is_ending = false;
    stream->is_broken = true;
    release_operation(stream);
}

static struct rpc_stream *stream_new(
    struct rpc *rpc,
    grpc_call *call,
    const struct rpc_stream_handler *handler,
    void *context,
    uint64_t message_size_max)
{
    struct rpc_stream *stream = must_alloc(calloc(1, sizeof *stream));
    stream->rpc = rpc;
    stream->handler = handler;
    stream->context = context;
    stream->message_size_max = message_size_max ? message_size_max : rpc->options.message_size_max;
    stream->call = call;
    stream->open_tag = (struct rpc_tag){.on_complete = on_opened, .owner = stream};
    stream->receive_tag = (struct rpc_tag){.on_complete = on_received, .owner = stream};
    stream->send_tag = (struct rpc_tag){.on_complete = on_sent, .owner = stream, .is_quiet = true};
    stream->end_tag = (struct rpc_tag){.on_complete = on_ended, .owner = stream};
    grpc_metadata_array_init(&stream->initial);
    grpc_metadata_array_init(&stream->trailing);
    stream->text = grpc_empty_slice();
    DL_APPEND(rpc->streams, stream);
    return stream;
}

// Hands over the request of a stream that has no other.
static void deliver_request(
    struct rpc_stream *stream, const struct rpc_method *method, grpc_byte_buffer *request)
{
    stream->is_at_end = true;
    if (request) {
        stream->received = request;
        deliver(stream);
    } else {
        rpc_stream_finish(
            stream, error_new(ERROR_GENERIC, "Call of %s has no request", method->path));
    }
}

void rpc_stream_accept(
    struct rpc *rpc,
    grpc_call *call,
    grpc_metadata_array headers,
    const struct rpc_method *method,
    grpc_byte_buffer *request)
{
    struct rpc_stream *stream =
        stream_new(rpc, call, method->stream, method->context, method->message_size_max);
    stream->initial = headers;
    stream->is_asked = method->kind == RPC_SERVER_STREAM;
    stream->holds_initial = stream->is_asked;
    stream->is_ending = true;
    grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    close.data.recv_close_on_server.cancelled = &stream->cancelled;
    rpc_start(call, &close, 1, &stream->end_tag);
    if (!stream->is_asked) { // At once, so that the client knows we have it.
        grpc_op open = {.op = GRPC_OP_SEND_INITIAL_METADATA};
        stream->is_opening = true;
        rpc_start(call, &open, 1, &stream->open_tag);
    }
    if (stream->handler->on_open) stream->handler->on_open(stream->context, stream);
    if (stream->is_asked) {
        deliver_request(stream, method, request);
    } else {
        receive(stream);
    }
}

static struct rpc_stream *client_stream_new(
    struct rpc_channel *channel,
    const char *path,
    const struct rpc_stream_handler *handler,
    void *context)
{
    grpc_call *call = rpc_channel_call(channel, path, RPC_NEVER);
    struct rpc_stream *stream = stream_new(channel->rpc, call, handler, context, 0);
    stream->channel = channel;
    return stream;
}

// Starts the call with the operations that open it, and asks how it will end.
static void start_opening(struct rpc_stream *stream, grpc_op *ops, size_t op_count)
{
    stream->is_opening = true;
    stream->is_ending = true;
    rpc_channel_start(stream->channel, stream->call, ops, op_count, &stream->open_tag);
    grpc_op end = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
    end.data.recv_status_on_client.trailing_metadata = &stream->trailing;
    end.data.recv_status_on_client.status = &stream->status;
    end.data.recv_status_on_client.status_details = &stream->text;
    rpc_start(stream->call, &end, 1, &stream->end_tag);
}

struct rpc_stream *rpc_stream_open(
    struct rpc_channel *channel,
    const char *path,
    const struct rpc_stream_handler *handler,
    void *context)
{
    struct rpc_stream *stream = client_stream_new(channel, path, handler, context);
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_INITIAL_METADATA},
    };
    ops[1].data.recv_initial_metadata.recv_initial_metadata = &stream->initial;
    start_opening(stream, ops, 2);
    receive(stream);
    return stream;
}

struct rpc_stream *rpc_stream_ask(
    struct rpc_channel *channel,
    const char *path,
    struct slice request,
    const struct rpc_stream_handler *handler,
    void *context)
{
    struct error *error = rpc_check_size(request.size, channel->rpc->options.message_size_max);
    if (error) { // The handler hears it like any other end.
        struct rpc_stream *refused = rpc_stream_open(channel, path, handler, context);
        rpc_stream_finish(refused, error);
        return refused;
    }
    struct rpc_stream *stream = client_stream_new(channel, path, handler, context);
    stream->is_asked = true;
    stream->is_finished = true;
    stream->is_finish_sent = true;
    stream->sending.message = rpc_message_new(request);
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_MESSAGE},
    };
    ops[1].data.send_message.send_message = stream->sending.message;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &stream->initial;
    ops[4].data.recv_message.recv_message = &stream->received;
    stream->is_receiving = true;
    stream->is_early = true; // The first message comes with the opening.
    start_opening(stream, ops, 5);
    return stream;
}

struct slice rpc_stream_header(const struct rpc_stream *stream, const char *name)
{
    return rpc_find_header(&stream->initial, name);
}

void rpc_stream_set_context(struct rpc_stream *stream, void *context)
{
    stream->context = context;
}

void *rpc_stream_context(const struct rpc_stream *stream)
{
    return stream->context;
}

char *rpc_stream_peer(const struct rpc_stream *stream)
{
    char *theirs = grpc_call_get_peer(stream->call);
    char *peer = must_alloc(strdup(theirs));
    gpr_free(theirs);
    return peer;
}

static struct error *enqueue(struct rpc_stream *stream, struct slice message)
{
    assert(stream->handler);
    const struct rpc_options *options = &stream->rpc->options;
    TRY(rpc_check_size(message.size, options->message_size_max));
    if (stream->is_broken || stream->is_finished) return NULL;
    uint64_t size_max = options->stream_queue_size_max;
    if (stream->queued_size > 0 && stream->queued_size + message.size > size_max) {
        struct error *error =
            error_new(ERROR_REQUEST_THROTTLED, "Stream has more to send than its queue may hold");
        return error_set_u64(error, "stream_queue_size_max", size_max);
    }
    queue_push(
        stream, (struct outgoing){.message = rpc_message_new(message), .size = message.size});
    stream->queued_size += message.size;
    return NULL;
}

struct error *rpc_stream_send(struct rpc_stream *stream, struct slice message)
{
    TRY(enqueue(stream, message));
    send_next(stream);
    return NULL;
}

void rpc_stream_send_last(struct rpc_stream *stream, struct slice message)
{
    rpc_stream_finish(stream, enqueue(stream, message));
}

uint64_t rpc_stream_queued_size(const struct rpc_stream *stream)
{
    return stream->queued_size;
}

void rpc_stream_finish(struct rpc_stream *stream, struct error *error)
{
    bool is_repeated = stream->channel && error ? stream->error != NULL : stream->is_finished;
    if (is_repeated) {
        error_free(error);
        return;
    }
    stream->is_finished = true;
    stream->error = error;
    if (stream->channel && error) {
        const char *text = error_message(error);
        stream->is_broken = true;
        grpc_call_cancel_with_status(stream->call, GRPC_STATUS_CANCELLED, text, NULL);
    } else {
        send_next(stream);
    }
}

void rpc_stream_drop(struct rpc_stream *stream, struct error *error)
{
    assert(stream->handler);
    rpc_stream_finish(stream, error);
    stream->handler = NULL;
    DL_DELETE(stream->rpc->streams, stream);
}

void rpc_stream_pause_reading(struct rpc_stream *stream)
{
    stream->is_paused = true;
}

void rpc_stream_resume_reading(struct rpc_stream *stream)
{
    stream->is_paused = false;
    receive(stream);
}

static struct rpc_stream *find_stream(const struct rpc *rpc, const struct rpc_channel *channel)
{
    struct rpc_stream *stream;
    DL_FOREACH (rpc->streams, stream) {
        if (!channel || stream->channel == channel) return stream;
    }
    return NULL;
}

void rpc_stream_abandon_all(struct rpc *rpc, const struct rpc_channel *channel)
{
    // A handler may drop other streams, so each time from the start.
    for (;;) {
        struct rpc_stream *stream = find_stream(rpc, channel);
        if (!stream) return;
        grpc_call_cancel(stream->call, NULL);
        stream->is_broken = true;
        const char *what = channel ? "channel" : "server";
        close_stream(stream, error_new(ERROR_CANCELED, "The %s of the stream was closed", what));
    }
}
