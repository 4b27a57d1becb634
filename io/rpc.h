// Calls and streams between processes, over gRPC: one server and any number of client channels,
// polled by one thread.
//
// Nothing here has a thread of its own. The owner's loop calls rpc_poll, which calls the handlers
// of whatever has come; everything else is called from that thread, in handlers or between polls,
// except rpc_wake. Handlers are only called by rpc_poll, rpc_channel_close and rpc_free.
//
// Messages are bytes. Errors travel whole: the status carries code and text for any gRPC client,
// and the encoded tree in its details (see rpc_status.h). What gRPC itself reports becomes
//
//     UNAVAILABLE        ERROR_RPC_UNAVAILABLE    no connection, or lost before the answer
//     DEADLINE_EXCEEDED  ERROR_TIMEOUT
//     CANCELLED          ERROR_CANCELED
//     RESOURCE_EXHAUSTED ERROR_REQUEST_THROTTLED  a message over its limit, which the text names
//     others             ERROR_GENERIC
//
// Time is monotonic microseconds (io/clock.h); gRPC rounds it to milliseconds.
#pragma once

#include "base/error.h"
#include "base/slice.h"

#define RPC_HEADER_COUNT_MAX          4
#define RPC_NEVER                     UINT64_MAX
#define RPC_MESSAGE_SIZE_DEFAULT      (UINT64_C(16) << 20)
#define RPC_STREAM_QUEUE_SIZE_DEFAULT (UINT64_C(64) << 20)

struct rpc;
struct rpc_call;    // A unary call that came, until it is answered.
struct rpc_request; // A unary call that we made, until its callback.
struct rpc_stream;  // Either end of a stream, until on_closed.
struct rpc_channel; // A peer that we call.

struct rpc_options {
    // The largest message, sent or received; 0 stands for the default. Methods may have lower
    // limits.
    uint64_t message_size_max;
    // Of messages waiting to be sent on one stream; 0 stands for the default.
    uint64_t stream_queue_size_max;
    // How long a poll that finds nothing may go on looking before it sleeps; 0 stands for not at
    // all. It does so while events have lately been coming faster than this. Where cores are idle,
    // most of a round trip is spent waking them: 50 us here made 15 us of 70. Where processes share
    // cores, it takes them from each other: a round trip of 25 us became one of 36.
    uint64_t spin_us;
};

struct rpc_stream_handler {
    // The stream is established: on the server, it has come; on the client, the server has it. May
    // be NULL. On the server this is the place for rpc_stream_set_context; before, `context` is the
    // method's.
    void (*on_open)(void *context, struct rpc_stream *stream);

    // `message` is borrowed until the handler returns.
    void (*on_message)(void *context, struct rpc_stream *stream, struct slice message);

    // Server: the client will send no more. If NULL, the stream is then finished without an error.
    void (*on_end)(void *context, struct rpc_stream *stream);

    // The queue of messages to be sent has become empty. May be NULL.
    void (*on_drained)(void *context, struct rpc_stream *stream);

    // The last call, exactly once; the stream is gone when it returns. `error` is taken over; NULL
    // after a clean end: on the client, the server's status OK; on the server, the delivery of what
    // rpc_stream_finish said. If we cancelled it ourselves, it is the error that was given then.
    void (*on_closed)(void *context, struct rpc_stream *stream, struct error *error);
};

struct rpc_method {
    const char *path; // "/package.Service/Method".
    enum { RPC_UNARY, RPC_STREAM, RPC_SERVER_STREAM } kind;
    // RPC_UNARY: to be answered by rpc_call_reply or rpc_call_fail, at once or later. `request` is
    // borrowed until the handler returns.
    void (*on_call)(void *context, struct rpc_call *call, struct slice request);
    // RPC_STREAM. RPC_SERVER_STREAM: on_open and the only on_message, its request, come together;
    // there is no on_end. What is sent first takes the answer's head along, so that a short answer
    // costs no more than that of RPC_UNARY.
    const struct rpc_stream_handler *stream;
    void *context;
    uint64_t message_size_max; // Of messages received; 0 stands for that of the rpc.
};

MUST_USE struct rpc *rpc_new(const struct rpc_options *options);

// Ends everything: calls that are not answered fail, handlers of streams and callbacks of requests
// are called with ERROR_CANCELED, channels are closed.
void rpc_free(struct rpc *rpc);

// Serves `methods` (borrowed as long as the rpc lives) at an address like "127.0.0.1:0";
// `*ret_port` is the port taken. Once for an rpc. Calls of unknown methods are answered with
// UNIMPLEMENTED. Fails with ERROR_GENERIC if the address is in use.
MUST_USE struct error *rpc_listen(
    struct rpc *rpc,
    const char *address,
    const struct rpc_method *methods,
    size_t method_count,
    int *ret_port);

// Takes no more connections and calls; those under way go on.
void rpc_stop_listening(struct rpc *rpc);

// Handles what is ready, up to a few hundred events. If nothing is, waits for the first event until
// `until_us`, rounded up to a millisecond; not at all if that is over.
void rpc_poll(struct rpc *rpc, uint64_t until_us);

// Makes rpc_poll return, the present call or the next one. Thread-safe.
void rpc_wake(struct rpc *rpc);

// ---------------------------------------------------------------- unary calls, server

void rpc_call_set_context(struct rpc_call *call, void *context);
void *rpc_call_context(const struct rpc_call *call);

// When the client stops waiting; RPC_NEVER if it does not say.
uint64_t rpc_call_deadline_us(const struct rpc_call *call);

// A header (metadata) that came with the call, by its name in lower case; empty if there is none.
// Borrowed from the call.
struct slice rpc_call_header(const struct rpc_call *call, const char *name);

// Whether the client has given up or is gone. The call must be answered all the same.
bool rpc_call_is_cancelled(const struct rpc_call *call);

// Answer the call, which is gone then. The reply is copied, the error taken over.
void rpc_call_reply(struct rpc_call *call, struct slice reply);
void rpc_call_fail(struct rpc_call *call, struct error *error);

// ---------------------------------------------------------------- streams, either end

void rpc_stream_set_context(struct rpc_stream *stream, void *context);
void *rpc_stream_context(const struct rpc_stream *stream);

// Who is at the other end, for logs: "ipv4:127.0.0.1:1234". To be freed.
MUST_USE char *rpc_stream_peer(const struct rpc_stream *stream);

// As rpc_call_header, of a stream that came.
struct slice rpc_stream_header(const struct rpc_stream *stream, const char *name);

// Queues a copy of a message. Fails, with nothing queued, if the message is over its limit, or with
// ERROR_REQUEST_THROTTLED if the queue is full (an empty one takes any message). After the stream
// has broken, and before on_closed says so, messages are dropped without an error.
MUST_USE struct error *rpc_stream_send(struct rpc_stream *stream, struct slice message);

// Server: sends a last message and ends the stream with status OK, in one go; or without the
// message and with the error, if it cannot be sent.
void rpc_stream_send_last(struct rpc_stream *stream, struct slice message);

// The bytes that wait to be sent.
uint64_t rpc_stream_queued_size(const struct rpc_stream *stream);

// Ends the stream; `error` is taken over. The server ends it with this status (NULL: OK) when the
// queue has been sent, and gets no more messages. The client with NULL says that it will send no
// more and goes on receiving; with an error it cancels the stream at once. Repeated calls are
// ignored.
void rpc_stream_finish(struct rpc_stream *stream, struct error *error);

// Like rpc_stream_finish with an error, but no handler is called any more, and the stream may not
// be used again.
void rpc_stream_drop(struct rpc_stream *stream, struct error *error);

// While reading is paused, the peer is held back once some buffers are full. A message may still
// come if the pause does not begin in on_message.
void rpc_stream_pause_reading(struct rpc_stream *stream);
void rpc_stream_resume_reading(struct rpc_stream *stream);

// ---------------------------------------------------------------- clients

struct rpc_channel_options {
    // A peer that is silent for this long is asked, and taken for dead if it does not answer within
    // the timeout; 0 stands for 1,000 each.
    uint64_t keepalive_time_ms;
    uint64_t keepalive_timeout_ms;
};

// Opens a channel to "host:port". It connects when it is first used, and again after a loss, with a
// backoff of 0.1 to 1 s; calls fail at once while there is no connection.
MUST_USE struct rpc_channel *rpc_channel_open(
    struct rpc *rpc, const char *address, const struct rpc_channel_options *options);

// Fails what is under way with ERROR_CANCELED, calling its handlers and callbacks from here.
void rpc_channel_close(struct rpc_channel *channel);

// Sends a header with all calls and streams from now on, with a copy of the value; an empty one
// stands for none. At most RPC_HEADER_COUNT_MAX names; they are borrowed and in lower case. Fails,
// and changes nothing, if the value has bytes other than printable ASCII.
MUST_USE struct error *rpc_channel_set_header(
    struct rpc_channel *channel, const char *name, struct slice value);

// Forgets the backoff: the next call tries to connect at once.
void rpc_channel_reset_backoff(struct rpc_channel *channel);

// Opens a stream; `path`, `handler` and its texts are borrowed as long as the channel lives. What
// is sent before on_open is queued.
MUST_USE struct rpc_stream *rpc_stream_open(
    struct rpc_channel *channel,
    const char *path,
    const struct rpc_stream_handler *handler,
    void *context);

// Opens a stream with its only request, which is copied: one write, as of rpc_unary. on_open and
// the first message come together.
MUST_USE struct rpc_stream *rpc_stream_ask(
    struct rpc_channel *channel,
    const char *path,
    struct slice request,
    const struct rpc_stream_handler *handler,
    void *context);

// `error` is taken over; if it is NULL, `reply` is the answer, borrowed until the callback returns.
typedef void rpc_callback(void *context, struct error *error, struct slice reply);

// Calls a method; `path` is borrowed as long as the channel lives, `request` copied. The callback
// comes from rpc_poll, exactly once; until then the request may be cancelled.
struct rpc_request *rpc_unary(
    struct rpc_channel *channel,
    const char *path,
    struct slice request,
    uint64_t deadline_us,
    rpc_callback *callback,
    void *context);

// The callback comes soon, with ERROR_CANCELED unless the answer was faster.
void rpc_request_cancel(struct rpc_request *request);
