#include "cluster/health_face.h"

#include "io/wire.h"
#include "proto/grpc/health/v1/health.pb-c.h"

enum { MESSAGE_SIZE_MAX = 4096 };

struct watcher {
    struct health_face *face;  // Borrowed.
    struct rpc_stream *stream; // Borrowed.
    struct watcher *prev;
    struct watcher *next;
};

struct health_face {
    bool is_stopping;
    struct watcher *watchers;
};

typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_status;

#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

static struct error *read_status(
    const struct health_face *face, struct slice message, serving_status *ret_status)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    Grpc__Health__V1__HealthCheckRequest *request = NULL;
    TRY(WIRE_DECODE(&arena, grpc__health__v1__health_check_request, message, &request));
    static const char *const SERVICES[] = {"", "retable.v1.Client", "retable.v1.Replication"};
    *ret_status = STATUS(SERVICE_UNKNOWN);
    for (size_t i = 0; i < sizeof SERVICES / sizeof *SERVICES; i++) {
        if (strcmp(request->service, SERVICES[i]) != 0) continue;
        *ret_status = face->is_stopping ? STATUS(NOT_SERVING) : STATUS(SERVING);
    }
    return NULL;
}

static void encode_status(serving_status status, struct buffer *buffer)
{
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    response.status = status;
    wire_encode(&response.base, buffer);
}

static void on_check(void *context, struct rpc_call *call, struct slice message)
{
    serving_status status = STATUS(UNKNOWN);
    struct error *error = read_status(context, message, &status);
    if (!error && status == STATUS(SERVICE_UNKNOWN))
        error = error_new(ERROR_RESOLVE_ERROR, "No such service"); // NOT_FOUND.
    if (error) {
        rpc_call_fail(call, error);
        return;
    }
    CLEANUP(buffer_releasep) struct buffer answer = {0};
    encode_status(status, &answer);
    rpc_call_reply(call, buffer_slice(&answer));
}

static void send_status(struct watcher *watcher, serving_status status)
{
    CLEANUP(buffer_releasep) struct buffer message = {0};
    encode_status(status, &message);
    struct error *error = rpc_stream_send(watcher->stream, buffer_slice(&message));
    if (error) rpc_stream_finish(watcher->stream, error);
}

static void on_watch_open(void *context, struct rpc_stream *stream)
{
    struct health_face *face = context;
    struct watcher *watcher = must_alloc(calloc(1, sizeof *watcher));
    watcher->face = face;
    watcher->stream = stream;
    DL_APPEND(face->watchers, watcher);
    rpc_stream_set_context(stream, watcher);
}

static void on_watch_message(void *context, struct rpc_stream *stream, struct slice message)
{
    struct watcher *watcher = context;
    serving_status status = STATUS(UNKNOWN);
    struct error *error = read_status(watcher->face, message, &status);
    if (error) {
        rpc_stream_finish(stream, error);
    } else {
        send_status(watcher, status);
    }
}

static void on_watch_end(void *context, struct rpc_stream *stream)
{
    (void)context; // It goes on listening.
    (void)stream;
}

static void on_watch_closed(void *context, struct rpc_stream *stream, struct error *error)
{
    (void)stream;
    struct watcher *watcher = context;
    error_free(error);
    DL_DELETE(watcher->face->watchers, watcher);
    free(watcher);
}

static const struct rpc_stream_handler WATCH = {
    .on_open = on_watch_open,
    .on_message = on_watch_message,
    .on_end = on_watch_end,
    .on_closed = on_watch_closed,
};

struct health_face *health_face_new(void)
{
    return must_alloc(calloc(1, sizeof(struct health_face)));
}

void health_face_free(struct health_face *face)
{
    free(face);
}

void health_face_methods(struct health_face *face, struct rpc_method **methods)
{
    struct rpc_method check = {
        .path = "/grpc.health.v1.Health/Check",
        .on_call = on_check,
        .context = face,
        .message_size_max = MESSAGE_SIZE_MAX,
    };
    struct rpc_method watch = {
        .path = "/grpc.health.v1.Health/Watch",
        .kind = RPC_STREAM,
        .stream = &WATCH,
        .context = face,
        .message_size_max = MESSAGE_SIZE_MAX,
    };
    arr_add(*methods, check);
    arr_add(*methods, watch);
}

void health_face_stop(struct health_face *face)
{
    face->is_stopping = true;
    struct watcher *watcher = NULL;
    DL_FOREACH (face->watchers, watcher) {
        send_status(watcher, STATUS(NOT_SERVING));
        rpc_stream_finish(watcher->stream, NULL);
    }
}
