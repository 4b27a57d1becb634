#include "client/session.h"

#include "base/coding.h"
#include "base/containers.h"
#include "io/clock.h"
#include "io/wire.h"
#include "model/error_node.h"

#include <assert.h>

#define METHOD "/retable.v1.Client/Session"

enum {
    MESSAGE_SIZE_WANTED = 256 << 10, // Requests are gathered into messages of about this size.
    OUTGOING_SIZE_MAX = 64 << 20,
    REQUEST_SIZE_MAX = (16 << 20) - 64, // What servers take as a message, less the framing.
    RECONNECT_US = 2000000, // How long requests wait for a lost connection to come back.
    RECONNECT_PERIOD_US = 20000,
    REQUESTS_TAG = 1 << 3 | 2, // Of field `requests` of SessionRequest, as protobuf encodes it.
};

struct pending {
    uint64_t id;
    uint64_t deadline_us;
    Retable__V1__Request__KindCase kind;
    retable_callback *callback;
    void *context; // Borrowed.
    UT_hash_handle hh;
};

struct session {
    struct rpc_channel *channel; // Borrowed.
    const char *address;         // Borrowed.
    uint64_t request_count_max;
    struct rpc_stream *stream; // NULL until there is something to send.
    bool is_open;
    bool was_open;               // Some stream was: the address is right.
    uint64_t reconnect_until_us; // Of a lost connection; 0 while no stream has failed to open.
    uint64_t retry_at_us;        // No stream is opened before.

    uint64_t last_id;
    uint64_t sent_id;        // Requests up to this one have been sent.
    struct pending *pending; // By id, in the order of ids.
    uint64_t expire_at_us;   // Nothing's time is over before.

    // Requests to be sent, encoded as entries of SessionRequest, and how long each is.
    struct buffer outgoing;
    size_t *sizes;

    struct arena arena; // For one message received.
};

static void call_back(
    struct session *session,
    struct pending *pending,
    struct error *error,
    const struct retable_answer *answer)
{
    // The analyzer does not see that this moves the head on, so that nothing is freed twice.
    HASH_DEL(session->pending, pending); // NOLINT(clang-analyzer-unix.Malloc)
    pending->callback(pending->context, error, answer);
    free(pending);
}

static struct error *read_answer(
    const Retable__V1__Response *response, struct retable_answer *answer)
{
    switch (response->kind_case) {
    case RETABLE__V1__RESPONSE__KIND_COMMIT:
        answer->commit_timestamp = response->commit->commit_timestamp;
        return NULL;
    case RETABLE__V1__RESPONSE__KIND_LOOKUP:
        answer->rowset = wire_slice(response->lookup->rowset);
        return NULL;
    case RETABLE__V1__RESPONSE__KIND_START_TRANSACTION:
        answer->start_timestamp = response->start_transaction->start_timestamp;
        return wire_get_guid(
            response->start_transaction->transaction_id, "transaction_id", &answer->transaction_id);
    case RETABLE__V1__RESPONSE__KIND_PING_TRANSACTION:
    case RETABLE__V1__RESPONSE__KIND_ABORT_TRANSACTION:
    case RETABLE__V1__RESPONSE__KIND_MODIFY: return NULL;
    case RETABLE__V1__RESPONSE__KIND_ERROR: {
        struct error *error = error_decode(wire_slice(response->error));
        return error ? error : error_new(ERROR_GENERIC, "The server sent an error that is none");
    }
    case RETABLE__V1__RESPONSE__KIND__NOT_SET:
    case _RETABLE__V1__RESPONSE__KIND__CASE_IS_INT_SIZE: break;
    }
    return error_new(ERROR_GENERIC, "The server sent an answer of an unknown kind");
}

// Whether an answer fits its request: the numbers of the two oneofs' fields are the same.
static bool is_kind_right(const struct pending *pending, const Retable__V1__Response *response)
{
    return response->kind_case == RETABLE__V1__RESPONSE__KIND_ERROR ||
           (int)response->kind_case == (int)pending->kind;
}

static void on_open(void *context, struct rpc_stream *stream)
{
    (void)stream;
    struct session *session = context;
    session->is_open = true;
    session->was_open = true;
    session->reconnect_until_us = 0;
    session_flush(session);
}

static void on_message(void *context, struct rpc_stream *stream, struct slice message)
{
    struct session *session = context;
    Retable__V1__SessionResponse *received = NULL;
    arena_reset(&session->arena);
    struct error *error =
        WIRE_DECODE(&session->arena, retable__v1__session_response, message, &received);
    if (error) {
        rpc_stream_finish(stream, error);
        return;
    }
    for (size_t i = 0; i < received->n_responses; i++) {
        const Retable__V1__Response *response = received->responses[i];
        struct pending *pending = NULL;
        HASH_FIND(hh, session->pending, &response->id, sizeof response->id, pending);
        if (!pending) continue; // Its time was over.
        struct retable_answer answer = {0};
        struct error *failure = read_answer(response, &answer);
        if (!failure && !is_kind_right(pending, response))
            failure = error_new(ERROR_GENERIC, "The server sent an answer to another request");
        call_back(session, pending, failure, &answer);
    }
}

static bool is_read(const struct pending *pending)
{
    return pending->kind == RETABLE__V1__REQUEST__KIND_LOOKUP ||
           pending->kind == RETABLE__V1__REQUEST__KIND_PING_TRANSACTION;
}

static struct error *make_loss(
    const struct session *session, const struct pending *pending, const struct error *cause)
{
    bool is_sent = pending->id <= session->sent_id;
    if (is_sent && !is_read(pending)) {
        return error_wrap(
            error_copy(cause),
            ERROR_TIMEOUT,
            "Connection to %s was lost before the answer came: the outcome is unknown",
            session->address);
    }
    if (is_sent) {
        return error_wrap(
            error_copy(cause),
            ERROR_RPC_UNAVAILABLE,
            "Connection to %s was lost before the answer came",
            session->address);
    }
    return error_wrap(
        error_copy(cause), ERROR_RPC_UNAVAILABLE, "Cannot connect to %s", session->address);
}

// Whether a stream that failed to open is followed by another one, for the same requests. A server
// that is started again is found that way, which a caller who repeats a request at once could not
// do: a connection makes progress only while somebody polls.
static bool may_reconnect(struct session *session, bool was_open, const struct error *error)
{
    if (was_open || !session->was_open || error_find(error, ERROR_CANCELED) == error) return false;
    uint64_t now_us = clock_now_us();
    if (session->reconnect_until_us == 0) session->reconnect_until_us = now_us + RECONNECT_US;
    if (now_us >= session->reconnect_until_us) {
        session->reconnect_until_us = 0; // The next request waits as well.
        return false;
    }
    session->retry_at_us = now_us + RECONNECT_PERIOD_US;
    return true;
}

static void on_closed(void *context, struct rpc_stream *stream, struct error *error)
{
    (void)stream;
    struct session *session = context;
    bool was_open = session->is_open;
    session->stream = NULL;
    session->is_open = false;
    if (error && may_reconnect(session, was_open, error)) {
        error_free(error);
        return;
    }
    if (!error) error = error_new(ERROR_RPC_UNAVAILABLE, "The server ended the session");
    buffer_clear(&session->outgoing);
    arr_clear(session->sizes);

    // Callbacks may submit again; those requests go to the next stream.
    uint64_t last_id = session->last_id;
    while (session->pending && session->pending->id <= last_id) {
        struct pending *pending = session->pending;
        struct error *failure = error_find(error, ERROR_CANCELED) == error
                                    ? error_copy(error)
                                    : make_loss(session, pending, error);
        call_back(session, pending, failure, NULL);
    }
    session->sent_id = last_id; // What had not been sent never will be.
    error_free(error);
}

static const struct rpc_stream_handler HANDLER = {
    .on_open = on_open,
    .on_message = on_message,
    .on_closed = on_closed,
};

struct session *session_new(
    struct rpc_channel *channel, const char *address, uint64_t request_count_max)
{
    struct session *session = must_alloc(calloc(1, sizeof *session));
    session->channel = channel;
    session->address = address;
    session->request_count_max = request_count_max;
    session->expire_at_us = RPC_NEVER;
    buffer_init(&session->outgoing, OUTGOING_SIZE_MAX);
    return session;
}

void session_free(struct session *session)
{
    if (session->stream) {
        struct error *error = error_new(ERROR_CANCELED, "The client was closed");
        rpc_stream_drop(session->stream, error_copy(error));
        on_closed(session, session->stream, error);
    }
    while (session->pending) {
        struct error *error = error_new(ERROR_CANCELED, "The client was closed");
        call_back(session, session->pending, error, NULL);
    }
    arena_release(&session->arena);
    arr_free(session->sizes);
    buffer_release(&session->outgoing);
    free(session);
}

struct error *session_submit(
    struct session *session,
    Retable__V1__Request *request,
    uint64_t deadline_us,
    retable_callback *callback,
    void *context)
{
    if (session_request_count(session) >= session->request_count_max) {
        struct error *error = error_new(ERROR_REQUEST_THROTTLED, "Too many requests are under way");
        return error_set_u64(error, "request_count_max", session->request_count_max);
    }
    request->id = session->last_id + 1;
    size_t begin = session->outgoing.size;
    size_t packed_size = protobuf_c_message_get_packed_size(&request->base);
    if (packed_size > REQUEST_SIZE_MAX) {
        struct error *error = error_new(
            ERROR_REQUEST_THROTTLED,
            "Request of %zu bytes is larger than the limit of %d bytes",
            packed_size,
            REQUEST_SIZE_MAX);
        return error_set_u64(error, "request_size_max", REQUEST_SIZE_MAX);
    }
    put_varint(&session->outgoing, REQUESTS_TAG);
    put_varint(&session->outgoing, packed_size);
    wire_encode(&request->base, &session->outgoing);
    if (session->outgoing.is_overflowed) {
        session->outgoing.size = begin;
        session->outgoing.is_overflowed = false;
        struct error *error = error_new(ERROR_REQUEST_THROTTLED, "Too much waits to be sent");
        return error_set_u64(error, "outgoing_size_max", OUTGOING_SIZE_MAX);
    }
    arr_add(session->sizes, session->outgoing.size - begin);
    session->last_id++;

    struct pending *pending = must_alloc(calloc(1, sizeof *pending));
    pending->id = request->id;
    pending->deadline_us = deadline_us;
    pending->kind = request->kind_case;
    pending->callback = callback;
    pending->context = context;
    HASH_ADD(hh, session->pending, id, sizeof pending->id, pending);
    session->expire_at_us = MIN(session->expire_at_us, deadline_us);
    return NULL;
}

// How many of the requests from `first` on make up the next message, and their size.
static size_t choose_message(const struct session *session, size_t first, size_t *ret_size)
{
    size_t count = 0;
    *ret_size = 0;
    while (first + count < arr_count(session->sizes)) {
        size_t size = session->sizes[first + count];
        if (count > 0 && *ret_size + size > MESSAGE_SIZE_WANTED) break;
        *ret_size += size;
        count++;
    }
    return count;
}

void session_flush(struct session *session)
{
    size_t request_count = arr_count(session->sizes);
    if (request_count == 0) return;
    if (!session->stream) {
        if (clock_now_us() < session->retry_at_us) return;
        rpc_channel_reset_backoff(session->channel); // Ours is enough.
        session->stream = rpc_stream_open(session->channel, METHOD, &HANDLER, session);
    }
    if (!session->is_open) return;

    size_t sent_count = 0;
    size_t sent_size = 0;
    while (sent_count < request_count) {
        size_t size = 0;
        size_t count = choose_message(session, sent_count, &size);
        struct slice message = slice_from(session->outgoing.data + sent_size, size);
        struct error *error = rpc_stream_send(session->stream, message);
        if (error) {
            // The queue is full: later. Too large it cannot be, see session_submit.
            error_free(error);
            break;
        }
        sent_count += count;
        sent_size += size;
        session->sent_id += count;
    }
    if (sent_count == request_count) {
        buffer_clear(&session->outgoing);
        arr_clear(session->sizes);
        return;
    }
    size_t rest_size = session->outgoing.size - sent_size;
    memmove(session->outgoing.data, session->outgoing.data + sent_size, rest_size);
    session->outgoing.size = rest_size;
    size_t rest_count = request_count - sent_count;
    memmove(session->sizes, session->sizes + sent_count, rest_count * sizeof *session->sizes);
    stbds_arrsetlen(session->sizes, rest_count);
}

// When session_flush should be called again to reconnect.
static uint64_t reconnect_at_us(const struct session *session)
{
    return session->stream || arr_count(session->sizes) == 0 ? RPC_NEVER : session->retry_at_us;
}

uint64_t session_expire(struct session *session, uint64_t now_us)
{
    if (now_us < session->expire_at_us) return MIN(session->expire_at_us, reconnect_at_us(session));
    session->expire_at_us = RPC_NEVER;
    uint64_t last_id = session->last_id;
    for (struct pending *pending = session->pending, *next; pending; pending = next) {
        next = pending->hh.next;
        if (pending->id > last_id) break; // Submitted by a callback just now.
        if (pending->deadline_us > now_us) {
            session->expire_at_us = MIN(session->expire_at_us, pending->deadline_us);
            continue;
        }
        struct error *error = error_new(
            ERROR_TIMEOUT,
            "%s did not answer in time%s",
            session->address,
            is_read(pending) ? "" : ": the outcome is unknown");
        call_back(session, pending, error, NULL);
    }
    return MIN(session->expire_at_us, reconnect_at_us(session));
}

uint64_t session_request_count(const struct session *session)
{
    return HASH_COUNT(session->pending);
}
