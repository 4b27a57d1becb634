#include "cluster/client_face.h"

#include "cluster/client_requests.h"
#include "cluster/command_output.h"
#include "cluster/identity.h"
#include "io/wire.h"
#include "model/yson.h"
#include "proto/retable/v1/client.pb-c.h"

#include <assert.h>

enum {
    MESSAGE_SIZE_MAX = 16 << 20,       // Of what clients send.
    SESSION_FLUSH_SIZE = 256 << 10,    // Answers are gathered into messages of about this size.
    SESSION_QUEUE_SIZE_MAX = 32 << 20, // With more to be sent, a session is not read.
    PIECE_SIZE_MAX = 1 << 20,          // Of a command's output.
    PART_SIZE = 4 << 20,               // Of the answer to a query.
    OUTPUT_QUEUE_SIZE_MAX = 4 << 20,   // With more to be sent, output waits.
};

struct client_face {
    struct loop *loop; // Borrowed.
    struct client_session *sessions;
    struct exchange *exchanges;
};

// -------------------------------------------------------------------------------------------------
// Unary calls

struct unary {                  // In its request's arena.
    struct request_owner owner; // First.
    struct rpc_call *call;
};

static void on_unary_answered(struct request_owner *owner, struct request *request)
{
    struct rpc_call *call = ((struct unary *)owner)->call;
    if (request->error) {
        rpc_call_fail(call, TAKE(request->error));
    } else {
        CLEANUP(buffer_releasep) struct buffer answer = {0};
        client_write_answer(request, &answer);
        rpc_call_reply(call, buffer_slice(&answer));
    }
    request_free(request);
}

typedef struct error *read_function(struct request *request, struct slice message, uint64_t now_us);

static void start_unary(
    struct client_face *face, struct rpc_call *call, struct slice message, read_function *read)
{
    loop_tick(face->loop);
    struct request *request = request_new(REQUEST_COMMAND);
    struct error *error = read(request, message, face->loop->now_us);
    if (error) {
        request_free(request);
        rpc_call_fail(call, error);
        return;
    }
    request->deadline_us = MIN(request->deadline_us, rpc_call_deadline_us(call));
    struct identity identity;
    identity_read(
        &identity,
        face->loop->peer_secret,
        rpc_call_header(call, AUTHORIZATION_HEADER_GRPC),
        rpc_call_header(call, USER_HEADER_GRPC));
    identity_give(&identity, request);
    struct unary *unary = ARENA_NEW(&request->arena, struct unary, 1);
    unary->owner.on_answered = on_unary_answered;
    unary->call = call;
    loop_submit(face->loop, request, &unary->owner);
}

#define UNARY(name, read)                                                        \
    static void name(void *context, struct rpc_call *call, struct slice message) \
    {                                                                            \
        start_unary(context, call, message, read);                               \
    }

UNARY(on_start_transaction, client_read_start)
UNARY(on_ping_transaction, client_read_ping)
UNARY(on_abort_transaction, client_read_abort)
UNARY(on_modify, client_read_modify)
UNARY(on_commit, client_read_commit)
UNARY(on_lookup, client_read_lookup)

// -------------------------------------------------------------------------------------------------
// Execute and Select: one request, then output in pieces

struct exchange {
    struct request_owner owner; // First.
    struct client_face *face;   // Borrowed.
    struct rpc_stream *stream;  // NULL when the client is gone.
    read_function *read;
    bool has_request;
    bool is_waiting;              // For an answer, or the next part of one.
    bool is_begun;                // `output` is.
    struct request *request;      // Answered, and being sent.
    struct command_output output; // Of a COMMAND.
    size_t sent_size;             // Of a SELECT's output.
    size_t sent_count;            // Of its blocks.
    struct exchange *prev;
    struct exchange *next;
};

static void free_exchange(struct exchange *exchange)
{
    DL_DELETE(exchange->face->exchanges, exchange);
    command_output_release(&exchange->output);
    request_free(exchange->request);
    free(exchange);
}

enum piece {
    PIECE,      // And perhaps another one.
    PIECE_LAST, // The end comes with it.
    PIECE_NONE, // The end.
    PIECE_LATER // When the next part is here.
};

// YSON, to go with the last piece.
static void print_parameters(const struct request *request, struct buffer *buffer)
{
    if (request->response_parameters) yson_print(request->response_parameters, YSON_BINARY, buffer);
}

static enum piece next_rowset(struct exchange *exchange, struct buffer *piece)
{
    const struct request *request = exchange->request;
    size_t count = arr_count(request->block_ends);
    if (exchange->sent_count == count) return request->source ? PIECE_LATER : PIECE_NONE;
    size_t begin = exchange->sent_size;
    exchange->sent_size = request->block_ends[exchange->sent_count++];
    bool is_last = exchange->sent_count == count && !request->source;
    CLEANUP(buffer_releasep) struct buffer parameters = {0};
    if (is_last) print_parameters(request, &parameters);
    Retable__V1__SelectResponse response = RETABLE__V1__SELECT_RESPONSE__INIT;
    response.rowset =
        wire_bytes(slice_from(request->output.data + begin, exchange->sent_size - begin));
    response.statistics = wire_bytes(buffer_slice(&parameters));
    wire_encode(&response.base, piece);
    return is_last ? PIECE_LAST : PIECE;
}

static struct error *next_output(
    struct exchange *exchange, struct buffer *piece, enum piece *ret_piece)
{
    struct command_output *output = &exchange->output;
    struct slice bytes = {0};
    TRY(command_output_next(output, PIECE_SIZE_MAX, &bytes));
    bool is_last = command_output_is_end(output);
    if (bytes.size == 0 && !is_last) {
        *ret_piece = PIECE_LATER;
        return NULL;
    }
    CLEANUP(buffer_releasep) struct buffer parameters = {0};
    if (is_last) print_parameters(exchange->request, &parameters);
    *ret_piece = is_last ? PIECE_LAST : PIECE;
    if (bytes.size == 0 && parameters.size == 0) {
        *ret_piece = PIECE_NONE;
        return NULL;
    }
    Retable__V1__ExecuteResponse response = RETABLE__V1__EXECUTE_RESPONSE__INIT;
    response.output = wire_bytes(bytes);
    response.response_parameters = wire_bytes(buffer_slice(&parameters));
    wire_encode(&response.base, piece);
    return NULL;
}

// Sends what there is, as far as the stream's queue has room, and asks for the next part.
static void send_output(struct exchange *exchange)
{
    CLEANUP(buffer_releasep) struct buffer piece = {0};
    while (rpc_stream_queued_size(exchange->stream) < OUTPUT_QUEUE_SIZE_MAX) {
        struct error *error = NULL;
        enum piece kind = PIECE_NONE;
        buffer_clear(&piece);
        if (exchange->request->kind == REQUEST_SELECT) {
            kind = next_rowset(exchange, &piece);
        } else {
            error = next_output(exchange, &piece, &kind);
        }
        if (!error && kind == PIECE_LATER) {
            const struct request *request = TAKE(exchange->request);
            exchange->is_waiting = true;
            request->source->resume(request->source); // It may be back at once.
            return;
        }
        if (!error && kind == PIECE_LAST) {
            rpc_stream_send_last(exchange->stream, buffer_slice(&piece));
            return;
        }
        if (!error && kind == PIECE)
            error = rpc_stream_send(exchange->stream, buffer_slice(&piece));
        if (!error && kind == PIECE) continue;
        rpc_stream_finish(exchange->stream, error);
        return;
    }
}

// The rest of an answer in parts is not wanted.
static void drop_rest(struct exchange *exchange)
{
    if (!exchange->request || !exchange->request->source) return;
    struct request *request = TAKE(exchange->request);
    request->source->drop(request->source);
}

// The client is gone, and nobody works on the request.
static void abandon_exchange(struct exchange *exchange)
{
    drop_rest(exchange);
    free_exchange(exchange);
}

static struct error *take_answer(struct exchange *exchange)
{
    struct request *request = exchange->request;
    if (request->error) return TAKE(request->error);
    exchange->sent_size = 0;
    exchange->sent_count = 0;
    if (request->kind == REQUEST_SELECT) return NULL;
    if (exchange->is_begun) {
        command_output_feed(&exchange->output);
        return NULL;
    }
    exchange->is_begun = true;
    const char *encoding = NULL;
    return command_output_begin(&exchange->output, request, SLICE_OF(""), &encoding);
}

static void on_exchange_answered(struct request_owner *owner, struct request *request)
{
    struct exchange *exchange = (struct exchange *)owner;
    exchange->is_waiting = false;
    exchange->request = request;
    if (!exchange->stream) {
        abandon_exchange(exchange);
        return;
    }
    struct error *error = take_answer(exchange);
    if (error) {
        rpc_stream_finish(exchange->stream, error);
    } else {
        send_output(exchange);
    }
}

static void open_exchange(struct client_face *face, struct rpc_stream *stream, read_function *read)
{
    struct exchange *exchange = must_alloc(calloc(1, sizeof *exchange));
    exchange->owner.on_answered = on_exchange_answered;
    exchange->face = face;
    exchange->stream = stream;
    exchange->read = read;
    DL_APPEND(face->exchanges, exchange);
    rpc_stream_set_context(stream, exchange);
}

static void on_execute_open(void *context, struct rpc_stream *stream)
{
    open_exchange(context, stream, client_read_execute);
}

static void on_select_open(void *context, struct rpc_stream *stream)
{
    open_exchange(context, stream, client_read_select);
}

static void identify(
    const struct loop *loop, const struct rpc_stream *stream, struct identity *identity)
{
    identity_read(
        identity,
        loop->peer_secret,
        rpc_stream_header(stream, AUTHORIZATION_HEADER_GRPC),
        rpc_stream_header(stream, USER_HEADER_GRPC));
}

static void on_exchange_message(void *context, struct rpc_stream *stream, struct slice message)
{
    struct exchange *exchange = context;
    struct loop *loop = exchange->face->loop;
    loop_tick(loop);
    if (exchange->has_request) {
        rpc_stream_finish(stream, error_new(ERROR_GENERIC, "One call takes one request"));
        return;
    }
    exchange->has_request = true;
    struct request *request = request_new(REQUEST_COMMAND);
    struct error *error = exchange->read(request, message, loop->now_us);
    if (error) {
        request_free(request);
        rpc_stream_finish(stream, error);
        return;
    }
    struct identity identity;
    identify(loop, stream, &identity);
    identity_give(&identity, request);
    request->part_size_min = PART_SIZE;
    exchange->is_waiting = true;
    loop_submit(loop, request, &exchange->owner);
}

static void on_exchange_end(void *context, struct rpc_stream *stream)
{
    struct exchange *exchange = context;
    if (exchange->has_request) return;
    rpc_stream_finish(stream, error_new(ERROR_GENERIC, "Call has no request"));
}

static void on_exchange_drained(void *context, struct rpc_stream *stream)
{
    (void)stream;
    struct exchange *exchange = context;
    if (exchange->has_request && !exchange->is_waiting) send_output(exchange);
}

static void on_exchange_closed(void *context, struct rpc_stream *stream, struct error *error)
{
    (void)stream;
    struct exchange *exchange = context;
    error_free(error);
    exchange->stream = NULL;
    if (!exchange->is_waiting) abandon_exchange(exchange);
}

static const struct rpc_stream_handler EXECUTE = {
    .on_open = on_execute_open,
    .on_message = on_exchange_message,
    .on_end = on_exchange_end,
    .on_drained = on_exchange_drained,
    .on_closed = on_exchange_closed,
};

static const struct rpc_stream_handler SELECT = {
    .on_open = on_select_open,
    .on_message = on_exchange_message,
    .on_drained = on_exchange_drained,
    .on_closed = on_exchange_closed,
};

// -------------------------------------------------------------------------------------------------
// Sessions

struct client_session {
    struct client_face *face;  // Borrowed.
    struct rpc_stream *stream; // NULL when the client is gone.
    struct identity identity;  // Borrows from the stream.
    uint64_t waiting_count;    // Requests under way.
    bool is_ended;             // The client sends no more.
    bool is_finished;          // We send no more.
    struct buffer answers;     // Entries of a SessionResponse, to be sent.
    struct client_session *prev;
    struct client_session *next;
};

struct entry {                  // In its request's arena.
    struct request_owner owner; // First.
    struct client_session *session;
    uint64_t id;
};

static void free_session(struct client_session *session)
{
    DL_DELETE(session->face->sessions, session);
    buffer_release(&session->answers);
    free(session);
}

static void finish_session(struct client_session *session, struct error *error)
{
    session->is_finished = true;
    buffer_clear(&session->answers);
    rpc_stream_finish(session->stream, error);
}

static void flush_session(struct client_session *session)
{
    if (!session->stream || session->is_finished) return;
    if (session->answers.size > 0) {
        struct error *error = buffer_check(&session->answers, "Answers of a session");
        if (!error) error = rpc_stream_send(session->stream, buffer_slice(&session->answers));
        if (error) { // The client does not read.
            finish_session(session, error);
            return;
        }
        buffer_clear(&session->answers);
        if (rpc_stream_queued_size(session->stream) > SESSION_QUEUE_SIZE_MAX)
            rpc_stream_pause_reading(session->stream);
    }
    if (session->is_ended && session->waiting_count == 0) finish_session(session, NULL);
}

static void add_answer(struct client_session *session, const struct request *request, uint64_t id)
{
    if (!session->stream || session->is_finished) return;
    if (session->answers.size + request->output.size > SESSION_FLUSH_SIZE) flush_session(session);
    client_write_entry(request, id, &session->answers);
}

static void on_entry_answered(struct request_owner *owner, struct request *request)
{
    const struct entry *entry = (struct entry *)owner;
    struct client_session *session = entry->session;
    session->waiting_count--;
    add_answer(session, request, entry->id);
    request_free(request);
    if (!session->stream && session->waiting_count == 0) free_session(session);
}

static void on_session_open(void *context, struct rpc_stream *stream)
{
    struct client_face *face = context;
    struct client_session *session = must_alloc(calloc(1, sizeof *session));
    session->face = face;
    session->stream = stream;
    identify(face->loop, stream, &session->identity);
    DL_APPEND(face->sessions, session);
    rpc_stream_set_context(stream, session);
}

static struct error *check_session(const struct client_session *session)
{
    if (session->waiting_count < CLIENT_SESSION_REQUEST_COUNT_MAX) return NULL;
    struct error *error =
        error_new(ERROR_REQUEST_THROTTLED, "Too many requests of this session are under way");
    return error_set_u64(error, "count_max", CLIENT_SESSION_REQUEST_COUNT_MAX);
}

// Starts one request. Fails if the session makes no sense; other errors are the request's answer.
static struct error *start_entry(struct client_session *session, struct slice bytes)
{
    struct loop *loop = session->face->loop;
    struct request *request = request_new(REQUEST_COMMAND);
    uint64_t id = 0;
    struct error *error = client_read_entry(request, bytes, loop->now_us, &id);
    if (error && id == 0) {
        request_free(request);
        return error;
    }
    if (!error) error = check_session(session);
    if (error) {
        request->error = error;
        add_answer(session, request, id);
        request_free(request);
        return NULL;
    }
    struct entry *entry = ARENA_NEW(&request->arena, struct entry, 1);
    entry->owner.on_answered = on_entry_answered;
    entry->session = session;
    entry->id = id;
    identity_give(&session->identity, request);
    session->waiting_count++;
    loop_submit(loop, request, &entry->owner);
    return NULL;
}

static void on_session_message(void *context, struct rpc_stream *stream, struct slice message)
{
    (void)stream;
    struct client_session *session = context;
    loop_tick(session->face->loop);
    while (!session->is_finished) {
        struct slice bytes;
        struct error *error = client_next_entry(&message, &bytes);
        if (!error && bytes.size == 0) return;
        if (!error) error = start_entry(session, bytes);
        if (error) finish_session(session, error);
    }
}

static void on_session_end(void *context, struct rpc_stream *stream)
{
    (void)stream;
    struct client_session *session = context;
    session->is_ended = true; // The next flush finishes it, if nothing is under way.
    session->face->loop->is_hurried = true;
}

static void on_session_drained(void *context, struct rpc_stream *stream)
{
    (void)context;
    rpc_stream_resume_reading(stream);
}

static void on_session_closed(void *context, struct rpc_stream *stream, struct error *error)
{
    (void)stream;
    struct client_session *session = context;
    error_free(error);
    session->stream = NULL;
    if (session->waiting_count == 0) free_session(session);
}

static const struct rpc_stream_handler SESSION = {
    .on_open = on_session_open,
    .on_message = on_session_message,
    .on_end = on_session_end,
    .on_drained = on_session_drained,
    .on_closed = on_session_closed,
};

// -------------------------------------------------------------------------------------------------

static const struct rpc_method METHODS[] = {
    {.path = "/retable.v1.Client/StartTransaction", .on_call = on_start_transaction},
    {.path = "/retable.v1.Client/PingTransaction", .on_call = on_ping_transaction},
    {.path = "/retable.v1.Client/AbortTransaction", .on_call = on_abort_transaction},
    {.path = "/retable.v1.Client/Modify", .on_call = on_modify},
    {.path = "/retable.v1.Client/Commit", .on_call = on_commit},
    {.path = "/retable.v1.Client/Lookup", .on_call = on_lookup},
    {.path = "/retable.v1.Client/Execute", .kind = RPC_STREAM, .stream = &EXECUTE},
    {.path = "/retable.v1.Client/Select", .kind = RPC_SERVER_STREAM, .stream = &SELECT},
    {.path = "/retable.v1.Client/Session", .kind = RPC_STREAM, .stream = &SESSION},
};

struct client_face *client_face_new(struct loop *loop)
{
    struct client_face *face = must_alloc(calloc(1, sizeof *face));
    face->loop = loop;
    return face;
}

void client_face_stop(struct client_face *face)
{
    struct exchange *exchange = NULL;
    struct exchange *next = NULL;
    DL_FOREACH_SAFE (face->exchanges, exchange, next) {
        if (!exchange->request || !exchange->request->source) continue;
        drop_rest(exchange);
        struct error *error = error_new(ERROR_RPC_UNAVAILABLE, "The server is being shut down");
        rpc_stream_finish(exchange->stream, error);
    }
}

void client_face_free(struct client_face *face)
{
    if (!face) return;
    struct client_session *session = NULL;
    struct client_session *next_session = NULL;
    DL_FOREACH_SAFE (face->sessions, session, next_session) free_session(session);
    struct exchange *exchange = NULL;
    struct exchange *next_exchange = NULL;
    DL_FOREACH_SAFE (face->exchanges, exchange, next_exchange) free_exchange(exchange);
    free(face);
}

void client_face_methods(struct client_face *face, struct rpc_method **methods)
{
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++) {
        struct rpc_method method = METHODS[i];
        method.context = face;
        method.message_size_max = MESSAGE_SIZE_MAX;
        arr_add(*methods, method);
    }
}

void client_face_flush(struct client_face *face)
{
    struct client_session *session = NULL;
    DL_FOREACH (face->sessions, session) {
        if (session->answers.size > 0 || session->is_ended) flush_session(session);
    }
}
