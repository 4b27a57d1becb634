#include "cluster/http_face.h"

#include "cluster/http_commands.h"
#include "cluster/http_exchange.h"
#include "cluster/http_pages.h"
#include "io/clock.h"

#include <ctype.h>
#include <stddef.h>
#include <strings.h>

#define SWEEP_PERIOD_US UINT64_C(1000000)

enum { THREAD_COUNT = 2 };

// -------------------------------------------------------------------------------------------------
// Between the server's threads and the loop

static void on_answered(struct request_owner *owner, struct request *request)
{
    struct exchange *exchange =
        (struct exchange *)((char *)owner - offsetof(struct exchange, owner));
    DL_DELETE(exchange->face->submitted, exchange);
    exchange->request = request;
    http_resume(exchange->http);
}

static void free_exchange(struct exchange *exchange);

static void start_exchange(struct http_face *face, struct exchange *exchange)
{
    loop_tick(face->options.loop);
    if (exchange->is_abandoned) {
        struct request *request = TAKE(exchange->request);
        request->source->drop(request->source);
        free_exchange(exchange);
        return;
    }
    if (exchange->wants_part) {
        exchange->wants_part = false;
        DL_APPEND(face->submitted, exchange);
        exchange->request->source->resume(exchange->request->source);
        return;
    }
    if (exchange->route) {
        exchange->route->serve(exchange);
        http_resume(exchange->http);
        return;
    }
    exchange->owner.on_answered = on_answered;
    DL_APPEND(face->submitted, exchange);
    loop_submit(face->options.loop, exchange->request, &exchange->owner);
}

static void take_all(struct http_face *face, struct inbox *inbox)
{
    for (;;) {
        struct exchange *exchange = (struct exchange *)inbox_take(inbox);
        if (!exchange) return;
        start_exchange(face, exchange);
    }
}

void http_face_collect(struct http_face *face)
{
    uint64_t now_us = clock_now_us();
    atomic_store(&face->turned_at_us, now_us);
    if (now_us >= face->sweep_at_us) {
        face->sweep_at_us = now_us + SWEEP_PERIOD_US;
        http_server_sweep(face->server, now_us);
    }
    take_all(face, face->abandoned);
    take_all(face, face->inbox);
}

// -------------------------------------------------------------------------------------------------
// The handler

// Finds what a path means: a route, or a command and its API version; neither if it means nothing.
static int find_target(struct exchange *exchange, struct slice path)
{
    while (path.size > 1 && path.data[path.size - 1] == '/') path.size--;
    exchange->route = http_page_find(path);
    if (exchange->route || path.size < 9) return 0;
    bool is_v3 = strncasecmp(path.data, "/api/v3/", 8) == 0;
    bool is_v4 = strncasecmp(path.data, "/api/v4/", 8) == 0;
    if (!is_v3 && !is_v4) return 0;
    struct slice name = slice_from(path.data + 8, path.size - 8);
    char lower[64];
    if (name.size >= sizeof lower) return 0;
    for (size_t i = 0; i < name.size; i++) lower[i] = (char)tolower((unsigned char)name.data[i]);
    exchange->command = http_command_find(slice_from(lower, name.size));
    return is_v3 ? 3 : 4;
}

static void *on_begin(void *context, struct http_request *http)
{
    struct http_face *face = context;
    struct exchange *exchange = must_alloc(calloc(1, sizeof *exchange));
    exchange->face = face;
    exchange->http = http;
    exchange->began_at_us = clock_now_us();
    exchange->id = face->first_id;
    exchange->id.high += atomic_fetch_add(&face->request_count, 1);
    struct slice path = http_path(http);
    int api_version = find_target(exchange, path);
    struct slice shown = slice_from(path.data, MIN(path.size, (size_t)200));
    if (exchange->command) {
        http_command_begin(exchange, api_version);
    } else if (api_version > 0) {
        exchange_fail(
            exchange, 404, error_new(ERROR_GENERIC, "Unknown command in %.*s", SLICE(shown)));
    } else if (!exchange->route) {
        exchange_fail(
            exchange, 404, error_new(ERROR_GENERIC, "Nothing is served at %.*s", SLICE(shown)));
    }
    return exchange;
}

static void on_piece(void *context, struct slice piece)
{
    struct exchange *exchange = context;
    http_body_feed(&exchange->body, piece);
}

static void on_end(void *context)
{
    struct exchange *exchange = context;
    if (exchange->command) {
        http_command_end(exchange);
    } else if (exchange->error) {
        exchange_respond_error(exchange);
    } else if (exchange->route->is_of_loop) {
        exchange_submit(exchange);
    } else {
        exchange->route->serve(exchange);
    }
}

static void on_resumed(void *context)
{
    struct exchange *exchange = context;
    if (exchange->error) {
        exchange_respond_error(exchange);
    } else if (exchange->command) {
        http_command_answer(exchange);
    } else {
        http_page_respond(exchange);
    }
}

static void free_exchange(struct exchange *exchange)
{
    http_body_release(&exchange->body);
    command_output_release(&exchange->output);
    request_free(exchange->request);
    buffer_release(&exchange->page);
    error_free(exchange->error);
    free(exchange);
}

static void on_closed(void *context, bool is_complete)
{
    struct exchange *exchange = context;
    (void)is_complete;
    bool is_partial = exchange->request && exchange->request->source;
    exchange->is_abandoned = is_partial;
    if (!is_partial) {
        free_exchange(exchange);
    } else if (!inbox_post(exchange->face->abandoned, &exchange->item)) {
        abort(); // It has room for all.
    }
}

static const struct http_handler HANDLER = {
    .on_begin = on_begin,
    .on_piece = on_piece,
    .on_end = on_end,
    .on_resumed = on_resumed,
    .on_closed = on_closed,
};

// -------------------------------------------------------------------------------------------------
// Beginning and end

static void wake(void *context)
{
    rpc_wake(context);
}

struct error *http_face_open(
    const struct http_face_options *options, struct http_face **ret_face, int *ret_port)
{
    struct http_face *face = must_alloc(calloc(1, sizeof *face));
    face->options = *options;
    face->start_wall_us = clock_wall_us();
    face->turned_at_us = clock_now_us();
    face->first_id = guid_make(
        rng_next(&options->loop->machine->cell.rng) >> 1, options->cell_tag, OBJECT_CLUSTER, 0);
    face->inbox = inbox_new(SIZE_MAX, wake, options->loop->rpc);
    face->abandoned = inbox_new(SIZE_MAX, wake, options->loop->rpc);
    struct http_server_options server_options = {
        .address = options->address,
        .thread_count = THREAD_COUNT,
        .connection_count_max = HTTP_CONNECTION_COUNT_MAX,
        .head_size_max = options->head_size_max,
        .handler = &HANDLER,
        .context = face,
    };
    struct error *error = http_server_open(&server_options, &face->server, ret_port);
    if (error) {
        inbox_free(face->inbox);
        inbox_free(face->abandoned);
        free(face);
        return error;
    }
    *ret_face = face;
    return NULL;
}

void http_face_stop(struct http_face *face)
{
    http_server_quiesce(face->server);
}

static void refuse(struct exchange *exchange)
{
    exchange_fail(exchange, 503, error_new(ERROR_RPC_UNAVAILABLE, "The server is being shut down"));
    http_resume(exchange->http);
}

void http_face_close(struct http_face *face)
{
    if (!face) return;
    http_server_quiesce(face->server);
    inbox_close(face->inbox);
    for (;;) {
        struct exchange *exchange = (struct exchange *)inbox_take(face->inbox);
        if (!exchange) break;
        refuse(exchange);
    }
    while (face->submitted) {
        struct exchange *exchange = face->submitted;
        DL_DELETE(face->submitted, exchange);
        exchange->request = NULL; // The machine's for good.
        refuse(exchange);
    }
    http_server_close(face->server);
    take_all(face, face->abandoned);
    inbox_free(face->inbox);
    inbox_free(face->abandoned);
    free(face);
}
