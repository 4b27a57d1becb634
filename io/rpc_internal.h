// What the files io/rpc*.c share. Nobody else includes gRPC.
#pragma once

#include "base/buffer.h"
#include "base/containers.h"
#include "io/rpc.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <stdatomic.h>
#if defined(__has_include)
#    if __has_include(<grpc/credentials.h>)
#        include <grpc/credentials.h> // Since 1.6x.
#    endif
#endif

// What gRPC gives back when an operation has completed.
struct rpc_tag {
    void (*on_complete)(struct rpc_tag *tag, bool ok);
    void *owner;   // Borrowed.
    bool is_quiet; // Its completion concerns nobody outside, unless it sets `has_news`.
};

struct rpc_server_method; // A method and what gRPC calls it; see rpc_server.c.

struct rpc {
    struct rpc_options options;
    grpc_completion_queue *queue;

    grpc_server *server;
    struct rpc_server_method *server_methods;
    size_t server_method_count;
    struct rpc_tag shutdown_tag;
    bool is_listening; // And posts requests for new calls.
    bool is_shut_down; // The server has been.

    struct rpc_call *calls; // Unanswered.
    struct rpc_stream *streams;
    struct rpc_channel *channels;

    // An empty batch of a call that goes nowhere completes at once: the only way to post an event
    // that the C API has.
    grpc_channel *wake_channel;
    grpc_call *wake_call;
    struct rpc_tag wake_tag;
    atomic_bool is_waking; // Posted and not yet seen.

    uint64_t usual_wait_us; // How long polls waited of late; see wait_for_event.

    bool has_news;          // This poll has called a handler, so it must return.
    uint64_t poll_count;    // Polls so far, with this one.
    uint64_t wait_count;    // How many times nothing was ready.
    struct rpc_stream *due; // Streams that read on later, the oldest first; see rpc_stream.c.

    struct buffer scratch; // For messages that came in pieces.
};

struct rpc_channel {
    struct rpc *rpc; // Borrowed.
    char *address;
    grpc_channel *channel;
    struct {
        const char *path; // Borrowed.
        void *handle;
    } * paths; // An array of those used so far.
    struct {
        const char *name; // Borrowed.
        struct buffer value;
    } headers[RPC_HEADER_COUNT_MAX];
    size_t header_count;
    struct rpc_request *requests;
    struct rpc_channel *prev;
    struct rpc_channel *next;
};

// Starts a batch. It cannot be refused unless we break gRPC's rules.
void rpc_start(grpc_call *call, const grpc_op *ops, size_t op_count, struct rpc_tag *tag);

// A deadline for gRPC.
gpr_timespec rpc_timespec(uint64_t deadline_us);

// The bytes of a message as one piece, borrowed from it or from the rpc's scratch buffer until the
// next call. `slice` keeps what is borrowed; release it with grpc_slice_unref.
struct slice rpc_message_bytes(struct rpc *rpc, grpc_byte_buffer *message, grpc_slice *slice);

// Frees the scratch buffer if it has become big.
void rpc_trim_scratch(struct rpc *rpc);

// A message with a copy of the bytes.
MUST_USE grpc_byte_buffer *rpc_message_new(struct slice bytes);

// Fails with a text that names the limit.
MUST_USE struct error *rpc_check_size(uint64_t size, uint64_t size_max);

static inline struct slice rpc_slice_bytes(const grpc_slice *slice)
{
    return slice_from(GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
}

static inline grpc_slice rpc_slice_copy(struct slice bytes)
{
    return grpc_slice_from_copied_buffer(bytes.data, bytes.size);
}

// Makes the error of a finished client call; NULL of OK.
MUST_USE struct error *rpc_status_error(
    grpc_status_code code,
    const grpc_slice *text,
    const grpc_metadata_array *trailing,
    const char *address);

// What SEND_STATUS_FROM_SERVER needs; keep it until the batch has been started.
struct rpc_outgoing_status {
    grpc_slice text;
    grpc_slice details;
    grpc_metadata metadata;
};

// Fills in the operation that ends a server's call; `error` may be NULL.
void rpc_status_op(const struct error *error, struct rpc_outgoing_status *status, grpc_op *op);
void rpc_outgoing_status_release(struct rpc_outgoing_status *status);

// rpc_server.c
void rpc_server_shut_down(struct rpc *rpc); // Starts it, if it has not been.
void rpc_server_free(struct rpc *rpc);
void rpc_call_abandon_all(struct rpc *rpc); // Answers every unanswered call.

// The header of this name; empty if there is none.
struct slice rpc_find_header(const grpc_metadata_array *headers, const char *name);

// rpc_stream.c
// Takes over a call that came for a method, with its headers, and of RPC_SERVER_STREAM its request
// (NULL if it had none).
void rpc_stream_accept(
    struct rpc *rpc,
    grpc_call *call,
    grpc_metadata_array headers,
    const struct rpc_method *method,
    grpc_byte_buffer *request);
// Reads on from streams that put it off in poll `poll_count` or before.
void rpc_stream_receive_due(struct rpc *rpc, uint64_t poll_count);
// Ends streams at once, calling on_closed with ERROR_CANCELED: those of a channel, or all of NULL.
void rpc_stream_abandon_all(struct rpc *rpc, const struct rpc_channel *channel);

// rpc_client.c
// Starts the client's side of a call, the first of whose operations sends the channel's headers.
void rpc_channel_start(
    struct rpc_channel *channel,
    grpc_call *call,
    grpc_op *ops,
    size_t op_count,
    struct rpc_tag *tag);
grpc_call *rpc_channel_call(struct rpc_channel *channel, const char *path, uint64_t deadline_us);
