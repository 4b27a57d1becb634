#include "io/rpc.h"

#include "io/clock.h"
#include "tests/test.h"

#include <pthread.h>
#include <unistd.h>

// Two processes in one: a server and a client, each with its own queue, polled in turns.
static struct {
    struct rpc *server;
    struct rpc *client;
    struct rpc_channel *channel;
    char address[32];

    // What the server saw.
    struct rpc_call *held_call;
    struct rpc_stream *server_stream;
    int server_message_count;
    bool is_server_closed;
    struct error *server_error;

    // What the client saw.
    struct rpc_stream *client_stream;
    int answer_count;
    char answer[64];
    struct error *error;
    int message_count;
    bool is_open;
    bool is_closed;
    int drained_count;
} world;

static void on_echo(void *context, struct rpc_call *call, struct slice request)
{
    (void)context;
    rpc_call_reply(call, request);
}

static void on_hold(void *context, struct rpc_call *call, struct slice request)
{
    (void)context;
    (void)request;
    world.held_call = call;
}

// Answers with a header of the call.
static void on_header(void *context, struct rpc_call *call, struct slice request)
{
    (void)context;
    char name[32];
    snprintf(name, sizeof name, "%.*s", SLICE(request));
    rpc_call_reply(call, rpc_call_header(call, name));
}

static void on_refuse(void *context, struct rpc_call *call, struct slice request)
{
    (void)context;
    (void)request;
    struct error *inner = error_new(ERROR_NO_SUCH_TRANSACTION, "No such transaction 1-2-3-4");
    error_set_str(inner, "tablet_id", "1-2-3-4");
    rpc_call_fail(call, error_wrap(inner, ERROR_TRANSACTION_LOCK_CONFLICT, "Row is locked"));
}

static void on_server_open(void *context, struct rpc_stream *stream)
{
    (void)context;
    world.server_stream = stream;
}

static void on_server_message(void *context, struct rpc_stream *stream, struct slice message)
{
    (void)context;
    world.server_message_count++;
    assert_ok(rpc_stream_send(stream, message));
}

static void on_server_closed(void *context, struct rpc_stream *stream, struct error *error)
{
    (void)context;
    (void)stream;
    world.is_server_closed = true;
    world.server_error = error;
    world.server_stream = NULL;
}

static const struct rpc_stream_handler SERVER_HANDLER = {
    .on_open = on_server_open,
    .on_message = on_server_message,
    .on_closed = on_server_closed,
};

// Answers a number with as many messages; 0 with the end alone, none with an error after one.
static void on_count(void *context, struct rpc_stream *stream, struct slice request)
{
    (void)context;
    world.server_message_count++;
    char text[16];
    snprintf(text, sizeof text, "%.*s", SLICE(request));
    int count = request.size > 0 ? (int)strtol(text, NULL, 10) : 1;
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%d", i);
        if (i == count - 1 && request.size > 0) {
            rpc_stream_send_last(stream, slice_from_text(text));
            return;
        }
        assert_ok(rpc_stream_send(stream, slice_from_text(text)));
    }
    struct error *error = request.size > 0 ? NULL : error_new(ERROR_NO_SUCH_TRANSACTION, "None");
    rpc_stream_finish(stream, error);
}

static const struct rpc_stream_handler COUNT_HANDLER = {
    .on_open = on_server_open,
    .on_message = on_count,
    .on_closed = on_server_closed,
};

static void on_hold_stream(void *context, struct rpc_stream *stream, struct slice request)
{
    (void)context;
    (void)request;
    cr_assert(stream == world.server_stream);
    world.server_message_count++;
}

static const struct rpc_stream_handler HOLD_HANDLER = {
    .on_open = on_server_open,
    .on_message = on_hold_stream,
    .on_closed = on_server_closed,
};

enum { METHOD_COUNT = 8 };

static const struct rpc_method METHODS[METHOD_COUNT] = {
    {.path = "/test.Test/Echo", .kind = RPC_UNARY, .on_call = on_echo},
    {.path = "/test.Test/Hold", .kind = RPC_UNARY, .on_call = on_hold},
    {.path = "/test.Test/Refuse", .kind = RPC_UNARY, .on_call = on_refuse},
    {.path = "/test.Test/Header", .kind = RPC_UNARY, .on_call = on_header},
    {.path = "/test.Test/Narrow", .kind = RPC_UNARY, .on_call = on_echo, .message_size_max = 10},
    {.path = "/test.Test/Stream", .kind = RPC_STREAM, .stream = &SERVER_HANDLER},
    {.path = "/test.Test/Count",
     .kind = RPC_SERVER_STREAM,
     .stream = &COUNT_HANDLER,
     .message_size_max = 10},
    {.path = "/test.Test/HoldStream", .kind = RPC_SERVER_STREAM, .stream = &HOLD_HANDLER},
};

static void init_world(void)
{
    world.server = rpc_new(&(struct rpc_options){.message_size_max = 1 << 20});
    world.client = rpc_new(&(struct rpc_options){.message_size_max = 2 << 20});
    int port = 0;
    assert_ok(rpc_listen(world.server, "127.0.0.1:0", METHODS, METHOD_COUNT, &port));
    snprintf(world.address, sizeof world.address, "127.0.0.1:%d", port);
    world.channel = rpc_channel_open(world.client, world.address, &(struct rpc_channel_options){0});
}

static void release_world(void)
{
    rpc_free(world.client);
    rpc_free(world.server);
    error_free(world.error);
    error_free(world.server_error);
    abort_on_leaks();
}

TestSuite(rpc, .init = init_world, .fini = release_world, .timeout = 60);

// Polls both until the condition holds.
#define WAIT_FOR(condition)                                              \
    for (uint64_t wait_start_us = clock_now_us(); !(condition);) {       \
        cr_assert(clock_now_us() < wait_start_us + 20000000);            \
        if (world.server) rpc_poll(world.server, clock_now_us());        \
        if (world.client) rpc_poll(world.client, clock_now_us() + 1000); \
    }

static void on_answer(void *context, struct error *error, struct slice reply)
{
    (void)context;
    world.answer_count++;
    error_free(world.error);
    world.error = error;
    snprintf(world.answer, sizeof world.answer, "%.*s", (int)MIN(reply.size, 60), reply.data);
}

static struct rpc_request *start(const char *path, struct slice request, uint64_t timeout_us)
{
    uint64_t deadline_us = timeout_us == RPC_NEVER ? RPC_NEVER : clock_now_us() + timeout_us;
    return rpc_unary(world.channel, path, request, deadline_us, on_answer, NULL);
}

static void call(const char *path, struct slice request)
{
    int answer_count = world.answer_count;
    start(path, request, RPC_NEVER);
    WAIT_FOR(world.answer_count > answer_count);
}

Test(rpc, answers_a_call)
{
    call("/test.Test/Echo", SLICE_OF("hello"));
    assert_ok(TAKE(world.error));
    assert_text(world.answer, "hello");
    call("/test.Test/Echo", SLICE_OF(""));
    assert_ok(TAKE(world.error));
    assert_text(world.answer, "");
}

Test(rpc, carries_many_calls_at_once)
{
    for (int i = 0; i < 1000; i++) start("/test.Test/Echo", SLICE_OF("x"), RPC_NEVER);
    WAIT_FOR(world.answer_count == 1000);
    assert_ok(TAKE(world.error));
}

Test(rpc, carries_an_error_whole)
{
    call("/test.Test/Refuse", SLICE_OF(""));
    assert_text(error_message(world.error), "Row is locked");
    cr_assert(eq(int, error_code(world.error), ERROR_TRANSACTION_LOCK_CONFLICT));
    const struct error *inner = error_find(world.error, ERROR_NO_SUCH_TRANSACTION);
    cr_assert(inner != NULL);
    assert_text(error_attribute(inner, "tablet_id"), "1-2-3-4");
}

Test(rpc, cuts_an_error_that_is_too_large)
{
    start("/test.Test/Hold", SLICE_OF(""), RPC_NEVER);
    WAIT_FOR(world.held_call);
    char text[5001] = {0};
    memset(text, 'a', 5000);
    struct error *inner = error_new(ERROR_GENERIC, "%s", text);
    rpc_call_fail(world.held_call, error_wrap(inner, ERROR_NO_SYNC_REPLICAS, "%s", text));
    WAIT_FOR(world.answer_count == 1);
    cr_assert(eq(int, error_code(world.error), ERROR_NO_SYNC_REPLICAS));
    cr_assert(eq(sz, strlen(error_message(world.error)), 1024));
}

Test(rpc, knows_no_other_methods)
{
    call("/test.Test/Other", SLICE_OF("x"));
    cr_assert(world.error != NULL);
    assert_text(error_attribute(world.error, "grpc_status"), "12");
}

Test(rpc, gives_up_at_the_deadline)
{
    start("/test.Test/Hold", SLICE_OF(""), 50000);
    WAIT_FOR(world.held_call);
    uint64_t deadline_us = rpc_call_deadline_us(world.held_call);
    cr_assert(deadline_us > clock_now_us() - 1000000);
    cr_assert(deadline_us < clock_now_us() + 100000);
    WAIT_FOR(world.answer_count == 1);
    cr_assert(eq(int, error_code(world.error), ERROR_TIMEOUT));
    WAIT_FOR(rpc_call_is_cancelled(world.held_call));
    rpc_call_reply(world.held_call, SLICE_OF("too late"));
    call("/test.Test/Echo", SLICE_OF("x"));
    assert_ok(TAKE(world.error));
}

Test(rpc, tells_the_server_of_a_cancellation)
{
    struct rpc_request *request = start("/test.Test/Hold", SLICE_OF(""), RPC_NEVER);
    WAIT_FOR(world.held_call);
    cr_assert(rpc_call_deadline_us(world.held_call) == RPC_NEVER);
    cr_assert(not(rpc_call_is_cancelled(world.held_call)));
    rpc_request_cancel(request);
    WAIT_FOR(world.answer_count == 1 && rpc_call_is_cancelled(world.held_call));
    cr_assert(eq(int, error_code(world.error), ERROR_CANCELED));
    rpc_call_fail(world.held_call, error_new(ERROR_GENERIC, "Nobody hears this"));
}

// Every refusal of a size names the limit.
static void assert_refused_for_size(const char *limit)
{
    cr_assert(world.error != NULL);
    cr_assert(eq(int, error_code(world.error), ERROR_REQUEST_THROTTLED));
    cr_assert(strstr(error_message(world.error), limit) != NULL);
}

Test(rpc, refuses_a_message_over_its_limit)
{
    char *bytes = must_alloc(calloc(1, 3 << 20));
    call("/test.Test/Echo", slice_from(bytes, 1 << 20));
    assert_ok(TAKE(world.error));
    call("/test.Test/Echo", slice_from(bytes, (1 << 20) + 1)); // Over the server's.
    assert_refused_for_size("1048576");
    call("/test.Test/Echo", slice_from(bytes, 3 << 20)); // Over the client's own.
    assert_refused_for_size("2097152");
    call("/test.Test/Narrow", slice_from(bytes, 11)); // Over the method's.
    assert_refused_for_size("10 bytes");
    call("/test.Test/Narrow", slice_from(bytes, 10));
    assert_ok(TAKE(world.error));
    free(bytes);
}

Test(rpc, reports_a_port_in_use)
{
    CLEANUP(error_freep) struct error *error = NULL;
    struct rpc *second = rpc_new(&(struct rpc_options){0});
    int port = 0;
    error = rpc_listen(second, world.address, METHODS, METHOD_COUNT, &port);
    cr_assert(error != NULL);
    rpc_free(second);
}

Test(rpc, reports_a_peer_that_is_not_there)
{
    rpc_free(world.server);
    world.server = NULL;
    call("/test.Test/Echo", SLICE_OF("x"));
    cr_assert(eq(int, error_code(world.error), ERROR_RPC_UNAVAILABLE));
}

static void on_client_open(void *context, struct rpc_stream *stream)
{
    (void)context;
    (void)stream;
    cr_assert(not(world.is_open));
    cr_assert(eq(int, world.message_count, 0));
    world.is_open = true;
}

static void on_client_message(void *context, struct rpc_stream *stream, struct slice message)
{
    (void)context;
    (void)stream;
    char expected[16];
    snprintf(expected, sizeof expected, "%d", world.message_count);
    if (message.size < sizeof expected) cr_assert(slice_equal_text(message, expected));
    world.message_count++;
}

static void on_client_drained(void *context, struct rpc_stream *stream)
{
    (void)context;
    (void)stream;
    world.drained_count++;
}

static void on_client_closed(void *context, struct rpc_stream *stream, struct error *error)
{
    (void)context;
    (void)stream;
    cr_assert(not(world.is_closed));
    world.is_closed = true;
    error_free(world.error); // A call may have failed before.
    world.error = error;
}

static const struct rpc_stream_handler CLIENT_HANDLER = {
    .on_open = on_client_open,
    .on_message = on_client_message,
    .on_drained = on_client_drained,
    .on_closed = on_client_closed,
};

static void open_stream(void)
{
    world.client_stream =
        rpc_stream_open(world.channel, "/test.Test/Stream", &CLIENT_HANDLER, NULL);
}

static void send_numbers(int begin, int end)
{
    for (int i = begin; i < end; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        assert_ok(rpc_stream_send(world.client_stream, slice_from_text(text)));
    }
}

Test(rpc, streams_in_both_directions)
{
    open_stream();
    send_numbers(0, 5000);
    WAIT_FOR(world.message_count == 5000);
    cr_assert(world.is_open);
    send_numbers(5000, 10000);
    rpc_stream_finish(world.client_stream, NULL);
    WAIT_FOR(world.is_closed && world.is_server_closed);
    assert_ok(TAKE(world.error));
    assert_ok(TAKE(world.server_error));
    cr_assert(eq(int, world.message_count, 10000));
}

Test(rpc, opens_a_stream_before_anything_is_sent)
{
    open_stream();
    WAIT_FOR(world.is_open && world.server_stream);
    char *peer = rpc_stream_peer(world.server_stream);
    cr_assert(strstr(peer, "127.0.0.1:") != NULL);
    free(peer);
}

Test(rpc, ends_a_stream_with_a_last_message)
{
    open_stream();
    WAIT_FOR(world.server_stream);
    assert_ok(rpc_stream_send(world.server_stream, SLICE_OF("0")));
    rpc_stream_send_last(world.server_stream, SLICE_OF("1"));
    WAIT_FOR(world.is_closed && world.is_server_closed);
    assert_ok(TAKE(world.error));
    assert_ok(TAKE(world.server_error));
    cr_assert(eq(int, world.message_count, 2));
}

Test(rpc, ends_a_stream_with_an_error_after_what_was_sent)
{
    open_stream();
    WAIT_FOR(world.server_stream);
    for (int i = 0; i < 100; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        assert_ok(rpc_stream_send(world.server_stream, slice_from_text(text)));
    }
    rpc_stream_finish(world.server_stream, error_new(ERROR_NO_SUCH_TRANSACTION, "No such one"));
    rpc_stream_finish(world.server_stream, NULL);
    WAIT_FOR(world.is_closed && world.is_server_closed);
    cr_assert(eq(int, error_code(world.error), ERROR_NO_SUCH_TRANSACTION));
    cr_assert(eq(int, world.message_count, 100));
    assert_ok(TAKE(world.server_error));
}

Test(rpc, cancels_a_stream)
{
    open_stream();
    WAIT_FOR(world.server_stream);
    rpc_stream_finish(world.client_stream, NULL);
    rpc_stream_finish(world.client_stream, error_new(ERROR_GENERIC, "Not needed any more"));
    WAIT_FOR(world.is_closed && world.is_server_closed);
    assert_text(error_message(world.error), "Not needed any more");
    cr_assert(eq(int, error_code(world.server_error), ERROR_CANCELED));
}

Test(rpc, forgets_a_dropped_stream)
{
    open_stream();
    WAIT_FOR(world.server_stream);
    rpc_stream_drop(world.client_stream, error_new(ERROR_GENERIC, "Not needed any more"));
    WAIT_FOR(world.is_server_closed);
    cr_assert(not(world.is_closed));
}

Test(rpc, holds_the_sender_back_while_reading_is_paused)
{
    open_stream();
    WAIT_FOR(world.server_stream);
    rpc_stream_pause_reading(world.server_stream);
    int sent = 0;
    char *bytes = must_alloc(calloc(1, 100000));
    struct error *error = NULL;
    for (; !error; sent++) error = rpc_stream_send(world.client_stream, slice_from(bytes, 100000));
    cr_assert(eq(int, error_code(error), ERROR_REQUEST_THROTTLED));
    error_free(error);
    uint64_t start_us = clock_now_us();
    WAIT_FOR(clock_now_us() > start_us + 100000);
    cr_assert(world.server_message_count < 3);
    cr_assert(rpc_stream_queued_size(world.client_stream) > 50000000);
    cr_assert(eq(int, world.drained_count, 0));
    free(bytes);
    rpc_stream_drop(world.client_stream, error_new(ERROR_GENERIC, "Enough"));
    WAIT_FOR(world.is_server_closed);
}

Test(rpc, tells_when_all_has_been_sent)
{
    open_stream();
    send_numbers(0, 100);
    WAIT_FOR(world.drained_count > 0);
    cr_assert(eq(u64, rpc_stream_queued_size(world.client_stream), 0));
}

Test(rpc, notices_a_peer_that_dies)
{
    open_stream();
    send_numbers(0, 1);
    start("/test.Test/Hold", SLICE_OF(""), RPC_NEVER);
    WAIT_FOR(world.message_count == 1 && world.held_call);
    rpc_free(world.server);
    world.server = NULL;
    WAIT_FOR(world.is_closed && world.answer_count == 1);
    cr_assert(world.error != NULL);
    cr_assert(world.is_server_closed);
}

Test(rpc, does_not_open_a_stream_to_nobody)
{
    rpc_free(world.server);
    world.server = NULL;
    open_stream();
    WAIT_FOR(world.is_closed);
    cr_assert(eq(int, error_code(world.error), ERROR_RPC_UNAVAILABLE));
    cr_assert(not(world.is_open));
}

static void ask(const char *path, struct slice request)
{
    world.message_count = 0;
    world.is_open = false;
    world.is_closed = false;
    world.client_stream = rpc_stream_ask(world.channel, path, request, &CLIENT_HANDLER, NULL);
}

static void ask_and_wait(struct slice request)
{
    ask("/test.Test/Count", request);
    WAIT_FOR(world.is_closed);
}

Test(rpc, asks_for_a_stream_with_one_request)
{
    static const char *const REQUESTS[] = {"1", "0", "1000", "2"};
    for (size_t i = 0; i < 4; i++) {
        ask_and_wait(slice_from_text(REQUESTS[i]));
        assert_ok(TAKE(world.error));
        cr_assert(eq(int, world.message_count, (int)strtol(REQUESTS[i], NULL, 10)));
        cr_assert(world.is_open);
        cr_assert(eq(int, world.server_message_count, (int)i + 1));
        WAIT_FOR(!world.server_stream);
        assert_ok(TAKE(world.server_error));
    }
}

Test(rpc, an_asked_stream_ends_with_an_error_after_what_was_sent)
{
    ask_and_wait(SLICE_OF(""));
    cr_assert(eq(int, error_code(world.error), ERROR_NO_SUCH_TRANSACTION));
    cr_assert(eq(int, world.message_count, 1));
}

Test(rpc, refuses_a_request_over_its_limit)
{
    ask_and_wait(SLICE_OF("0123456789a"));
    assert_refused_for_size("10 bytes");
    cr_assert(eq(int, world.server_message_count, 0));
    char *bytes = must_alloc(calloc(1, 3 << 20));
    ask_and_wait(slice_from(bytes, 3 << 20)); // Over the client's own.
    assert_refused_for_size("2097152");
    cr_assert(eq(int, world.server_message_count, 0));
    free(bytes);
}

Test(rpc, refuses_a_call_without_its_request)
{
    world.client_stream = rpc_stream_open(world.channel, "/test.Test/Count", &CLIENT_HANDLER, NULL);
    rpc_stream_finish(world.client_stream, NULL);
    WAIT_FOR(world.is_closed);
    assert_text(error_message(world.error), "Call of /test.Test/Count has no request");
    cr_assert(eq(int, world.server_message_count, 0));
}

Test(rpc, cancels_an_asked_stream)
{
    ask("/test.Test/HoldStream", SLICE_OF("x"));
    WAIT_FOR(world.server_message_count == 1);
    rpc_stream_finish(world.client_stream, error_new(ERROR_TIMEOUT, "Enough"));
    WAIT_FOR(world.is_closed && world.is_server_closed);
    cr_assert(eq(int, error_code(world.error), ERROR_TIMEOUT));
    cr_assert(eq(int, error_code(world.server_error), ERROR_CANCELED));
    cr_assert(not(world.is_open));
}

Test(rpc, notices_the_death_of_who_is_asked)
{
    ask("/test.Test/HoldStream", SLICE_OF("x"));
    WAIT_FOR(world.server_message_count == 1);
    rpc_free(world.server);
    world.server = NULL;
    WAIT_FOR(world.is_closed);
    cr_assert(world.error != NULL);
    error_free(TAKE(world.error));
    ask("/test.Test/HoldStream", SLICE_OF("x"));
    WAIT_FOR(world.is_closed);
    cr_assert(eq(int, error_code(world.error), ERROR_RPC_UNAVAILABLE));
    cr_assert(not(world.is_open));
}

Test(rpc, headers_go_with_calls_and_streams)
{
    call("/test.Test/Header", SLICE_OF("x-user"));
    assert_text(world.answer, "");
    assert_ok(rpc_channel_set_header(world.channel, "x-user", SLICE_OF("alice")));
    assert_ok(rpc_channel_set_header(world.channel, "x-other", SLICE_OF("a b~")));
    call("/test.Test/Header", SLICE_OF("x-user"));
    assert_text(world.answer, "alice");
    call("/test.Test/Header", SLICE_OF("x-other"));
    assert_text(world.answer, "a b~");
    open_stream();
    WAIT_FOR(world.server_stream);
    struct slice header = rpc_stream_header(world.server_stream, "x-user");
    cr_assert(slice_equal_text(header, "alice"));
    cr_assert(eq(sz, rpc_stream_header(world.server_stream, "x-none").size, 0));
    // What gRPC would refuse is refused before, and changes nothing.
    struct error *error = rpc_channel_set_header(world.channel, "x-user", SLICE_OF("al\nice"));
    cr_assert(ne(ptr, strstr(error_message(error), "\"x-user\" is not printable ASCII"), NULL));
    error_free(error);
    call("/test.Test/Header", SLICE_OF("x-user"));
    assert_text(world.answer, "alice");
    assert_ok(rpc_channel_set_header(world.channel, "x-user", SLICE_OF("")));
    call("/test.Test/Header", SLICE_OF("x-user"));
    assert_text(world.answer, "");
    assert_ok(TAKE(world.error));
}

Test(rpc, does_not_open_a_stream_of_an_unknown_method)
{
    world.client_stream = rpc_stream_open(world.channel, "/test.Test/No", &CLIENT_HANDLER, NULL);
    WAIT_FOR(world.is_closed);
    assert_text(error_attribute(world.error, "grpc_status"), "12");
}

Test(rpc, finds_a_peer_that_comes_back)
{
    call("/test.Test/Echo", SLICE_OF("x"));
    rpc_free(world.server);
    world.server = NULL;
    call("/test.Test/Echo", SLICE_OF("x"));
    cr_assert(eq(int, error_code(world.error), ERROR_RPC_UNAVAILABLE));

    world.server = rpc_new(&(struct rpc_options){0});
    int port = 0;
    assert_ok(rpc_listen(world.server, world.address, METHODS, 5, &port));
    uint64_t start_us = clock_now_us();
    while (world.error && clock_now_us() < start_us + 5000000)
        call("/test.Test/Echo", SLICE_OF("x"));
    assert_ok(TAKE(world.error));
}

Test(rpc, fails_what_is_under_way_when_a_channel_closes)
{
    open_stream();
    start("/test.Test/Hold", SLICE_OF(""), RPC_NEVER);
    WAIT_FOR(world.is_open && world.held_call);
    struct rpc_request *request = start("/test.Test/Hold", SLICE_OF(""), RPC_NEVER);
    (void)request;
    world.answer_count = 0;
    rpc_channel_close(world.channel);
    cr_assert(eq(int, world.answer_count, 2));
    cr_assert(world.is_closed);
}

static void *wake_soon(void *context)
{
    usleep(20000);
    rpc_wake(context);
    rpc_wake(context);
    return NULL;
}

Test(rpc, wakes_a_poll)
{
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, wake_soon, world.client);
        uint64_t start_us = clock_now_us();
        rpc_poll(world.client, start_us + 10000000);
        cr_assert(clock_now_us() < start_us + 5000000);
        pthread_join(thread, NULL);
    }
    uint64_t start_us = clock_now_us();
    while (clock_now_us() < start_us + 30000) rpc_poll(world.client, start_us + 30000);
}

Test(rpc, finishes_calls_under_way_after_it_stops_listening)
{
    start("/test.Test/Hold", SLICE_OF(""), RPC_NEVER);
    WAIT_FOR(world.held_call);
    rpc_stop_listening(world.server);
    rpc_call_reply(world.held_call, SLICE_OF("done"));
    WAIT_FOR(world.answer_count == 1);
    assert_ok(TAKE(world.error));
    assert_text(world.answer, "done");
    call("/test.Test/Echo", SLICE_OF("x"));
    cr_assert(world.error != NULL);
}
