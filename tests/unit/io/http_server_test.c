#include "io/http_server.h"

#include "base/arena.h"
#include "io/clock.h"
#include "tests/test.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(http_server, .fini = abort_on_leaks);

enum { HEAD_SIZE_MAX = 256 << 10 };

// -- A service: echoes the body, after a detour over another thread if the path says so.

static atomic_int begun_count;
static atomic_int closed_count;

struct echo {
    struct http_request *request;
    struct buffer body;
    size_t read_size;
    bool has_waited;
    pthread_t thread;
    bool has_thread;
};

static void *on_begin(void *context, struct http_request *request)
{
    (void)context;
    atomic_fetch_add(&begun_count, 1);
    struct echo *echo = must_alloc(calloc(1, sizeof *echo));
    echo->request = request;
    return echo;
}

static void on_piece(void *context, struct slice piece)
{
    struct echo *echo = context;
    buffer_append_slice(&echo->body, piece);
}

static void *resume(void *context)
{
    http_resume(context);
    return NULL;
}

static void wait(struct echo *echo)
{
    http_suspend(echo->request);
    if (echo->has_thread) pthread_join(echo->thread, NULL);
    echo->has_thread = true;
    if (pthread_create(&echo->thread, NULL, resume, echo->request) != 0) abort();
}

static bool append_pair(void *context, struct slice key, struct slice value)
{
    buffer_print(context, "%.*s=%.*s;", SLICE(key), SLICE(value));
    return true;
}

static enum http_read read_slowly(void *context, char *to, size_t size_max, size_t *ret_size)
{
    struct echo *echo = context;
    if (!echo->has_waited) {
        echo->has_waited = true;
        wait(echo);
        return HTTP_READ_LATER;
    }
    echo->has_waited = false;
    size_t size = MIN(echo->body.size - echo->read_size, MIN(size_max, (size_t)1000));
    if (size == 0) {
        http_add_trailer(echo->request, "X-End", "all");
        return HTTP_READ_END;
    }
    memcpy(to, echo->body.data + echo->read_size, size);
    echo->read_size += size;
    *ret_size = size;
    return HTTP_READ_MORE;
}

static void answer(struct echo *echo)
{
    struct slice path = http_path(echo->request);
    struct http_header header = {"X-Method", "?"};
    if (slice_equal_text(http_method(echo->request), "PUT")) header.value = "PUT";
    if (slice_equal_text(path, "/stream")) {
        struct http_header trailer = {"Trailer", "X-End"};
        http_respond_stream(echo->request, 200, &trailer, 1, read_slowly);
        return;
    }
    if (slice_equal_text(path, "/query")) http_each_query(echo->request, append_pair, &echo->body);
    if (slice_equal_text(path, "/header"))
        buffer_print(&echo->body, "%zu", http_header(echo->request, "x-long").size);
    struct buffer body = echo->body;
    echo->body = (struct buffer){0};
    http_respond(echo->request, 200, &header, 1, &body);
}

static void on_end(void *context)
{
    struct echo *echo = context;
    if (slice_equal_text(http_path(echo->request), "/later")) {
        wait(echo);
    } else {
        answer(echo);
    }
}

static void on_closed(void *context, bool is_complete)
{
    struct echo *echo = context;
    (void)is_complete;
    if (echo->has_thread) pthread_join(echo->thread, NULL);
    buffer_release(&echo->body);
    free(echo);
    atomic_fetch_add(&closed_count, 1);
}

static const struct http_handler HANDLER = {
    .on_begin = on_begin,
    .on_piece = on_piece,
    .on_end = on_end,
    .on_resumed = (void (*)(void *))answer,
    .on_closed = on_closed,
};

static struct http_server_options default_options(void)
{
    return (struct http_server_options){
        .address = "127.0.0.1:0",
        .thread_count = 2,
        .connection_count_max = 100,
        .head_size_max = HEAD_SIZE_MAX,
        .handler = &HANDLER,
    };
}

static struct http_server *open_server(int *ret_port)
{
    struct http_server_options options = default_options();
    struct http_server *server = NULL;
    assert_ok(http_server_open(&options, &server, ret_port));
    return server;
}

// -- A client.

static int connect_to(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr = {htonl(INADDR_LOOPBACK)},
    };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(eq(int, connect(fd, (struct sockaddr *)&address, sizeof address), 0));
    return fd;
}

static void send_text(int fd, struct slice text)
{
    while (text.size > 0) {
        ssize_t size = send(fd, text.data, text.size, MSG_NOSIGNAL);
        cr_assert(lt(int, 0, (int)size));
        text = slice_from(text.data + size, text.size - (size_t)size);
    }
}

// Reads until what has come ends with a text, or the connection ends.
static void receive(int fd, const char *end, struct buffer *text)
{
    for (;;) {
        char bytes[65536];
        bool is_end = end[0] && text->size >= strlen(end) &&
                      memcmp(text->data + text->size - strlen(end), end, strlen(end)) == 0;
        if (is_end) break;
        ssize_t size = recv(fd, bytes, sizeof bytes, 0);
        if (size <= 0) break;
        buffer_append(text, bytes, (size_t)size);
    }
    buffer_append_byte(text, 0);
}

static void assert_has(const struct buffer *text, const char *part)
{
    cr_assert(strstr(text->data, part) != NULL, "no %s in\n%s", part, text->data);
}

Test(http_server, serves_many_requests_on_one_connection)
{
    int port = 0;
    struct http_server *server = open_server(&port);
    int fd = connect_to(port);
    static const char *const PATHS[] = {"/echo", "/later", "/later", "/echo"};
    for (size_t i = 0; i < 4; i++) {
        CLEANUP(buffer_releasep) struct buffer request = {0};
        CLEANUP(buffer_releasep) struct buffer response = {0};
        buffer_print(
            &request, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", PATHS[i]);
        send_text(fd, buffer_slice(&request));
        receive(fd, "hello", &response);
        assert_has(&response, "HTTP/1.1 200 OK");
        assert_has(&response, "X-Method: PUT");
    }
    cr_assert(eq(sz, http_server_connection_count(server), 1));
    close(fd);
    http_server_close(server);
    cr_assert(eq(int, closed_count, 4));
}

Test(http_server, takes_chunks_and_streams_with_trailers)
{
    int port = 0;
    struct http_server *server = open_server(&port);
    int fd = connect_to(port);
    CLEANUP(buffer_releasep) struct buffer response = {0};
    send_text(
        fd, SLICE_OF("PUT /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 1000; i++) send_text(fd, SLICE_OF("a\r\n0123456789\r\n"));
    send_text(fd, SLICE_OF("0\r\n\r\n"));
    receive(fd, "X-End: all\r\n\r\n", &response);
    assert_has(&response, "Trailer: X-End");
    assert_has(&response, "Transfer-Encoding: chunked");
    assert_has(&response, "\r\n0\r\nX-End: all\r\n\r\n");
    size_t digit_count = 0;
    const char *body = strstr(response.data, "\r\n\r\n");
    for (const char *c = strstr(body, "0123456789"); c; c = strstr(c + 10, "0123456789"))
        digit_count += 10;
    cr_assert(eq(sz, digit_count, 10000));
    close(fd);
    http_server_close(server);
}

Test(http_server, decodes_the_query_and_takes_long_headers)
{
    int port = 0;
    struct http_server *server = open_server(&port);
    int fd = connect_to(port);
    CLEANUP(buffer_releasep) struct buffer response = {0};
    send_text(fd, SLICE_OF("GET /query?path=//a%20b/@c&f[$v]=1+2&e HTTP/1.1\r\nHost: x\r\n\r\n"));
    receive(fd, "path=//a b/@c;f[$v]=1 2;e=;", &response);
    CLEANUP(buffer_releasep) struct buffer request = {0};
    CLEANUP(buffer_releasep) struct buffer answer_text = {0};
    buffer_append_text(&request, "GET /header HTTP/1.1\r\nHost: x\r\nX-Long: ");
    for (int i = 0; i < HEAD_SIZE_MAX; i++) buffer_append_byte(&request, 'x');
    buffer_append_text(&request, "\r\n\r\n");
    send_text(fd, buffer_slice(&request));
    receive(fd, "262144", &answer_text);
    assert_has(&answer_text, "HTTP/1.1 200 OK");
    close(fd);
    http_server_close(server);
}

Test(http_server, refuses_a_head_that_is_too_large)
{
    int port = 0;
    struct http_server *server = open_server(&port);
    int fd = connect_to(port);
    CLEANUP(buffer_releasep) struct buffer request = {0};
    CLEANUP(buffer_releasep) struct buffer response = {0};
    buffer_append_text(&request, "GET /header HTTP/1.1\r\nHost: x\r\nX-Long: ");
    for (int i = 0; i < HEAD_SIZE_MAX - 49152; i++) buffer_append_byte(&request, 'x');
    send_text(fd, buffer_slice(&request));
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    while (poll(&poller, 1, 1) == 0)
        send_text(
            fd,
            SLICE_OF("more and more and more and more and more and more and more and more and more "
                     "and more "));
    receive(fd, "", &response);
    // What it had not read may make the connection break before we see the answer.
    if (response.size > 1) assert_has(&response, "HTTP/1.1 431");
    close(fd);
    http_server_close(server);
}

Test(http_server, takes_heads_up_to_the_size_it_is_told)
{
    struct http_server_options options = default_options();
    options.head_size_max = 16 << 10;
    struct http_server *server = NULL;
    int port = 0;
    assert_ok(http_server_open(&options, &server, &port));
    int fd = connect_to(port);
    for (int size = 16000; size <= 40000; size += 24000) {
        CLEANUP(buffer_releasep) struct buffer request = {0};
        CLEANUP(buffer_releasep) struct buffer response = {0};
        buffer_append_text(&request, "GET /header HTTP/1.1\r\nHost: x\r\nX-Long: ");
        for (int j = 0; j < size; j++) buffer_append_byte(&request, 'x');
        buffer_append_text(&request, "\r\n\r\n");
        send_text(fd, buffer_slice(&request));
        receive(fd, "16000", &response);
        assert_has(&response, size == 16000 ? "HTTP/1.1 200 OK" : "HTTP/1.1 431");
    }
    close(fd);
    http_server_close(server);
}

Test(http_server, cuts_off_who_is_too_slow)
{
    int port = 0;
    struct http_server *server = open_server(&port);
    int idle = connect_to(port);
    int slow = connect_to(port);
    begun_count = 0;
    closed_count = 0;
    send_text(slow, SLICE_OF("PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel"));
    while (atomic_load(&begun_count) == 0 || http_server_connection_count(server) < 2) usleep(1000);
    http_server_sweep(server, clock_now_us()); // Nobody is yet.
    cr_assert(eq(sz, http_server_connection_count(server), 2));
    http_server_sweep(server, clock_now_us() + HTTP_TRANSFER_US_MAX / 2);
    CLEANUP(buffer_releasep) struct buffer nothing = {0};
    receive(idle, "", &nothing);
    while (http_server_connection_count(server) > 1) usleep(1000);
    http_server_sweep(server, clock_now_us() + HTTP_TRANSFER_US_MAX);
    CLEANUP(buffer_releasep) struct buffer response = {0};
    receive(slow, "", &response);
    while (atomic_load(&closed_count) == 0) usleep(1000);
    close(idle);
    close(slow);
    http_server_close(server);
}

Test(http_server, says_why_it_cannot_listen)
{
    int port = 0;
    struct http_server *server = open_server(&port);
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct http_server_options options = {
        .address = arena_print(&arena, "127.0.0.1:%d", port),
        .thread_count = 1,
        .connection_count_max = 1,
        .handler = &HANDLER,
    };
    struct http_server *other = NULL;
    CLEANUP(error_freep) struct error *error = http_server_open(&options, &other, &port);
    cr_assert(error != NULL);
    cr_assert(strstr(error_message(error), "Address already in use") != NULL);
    options.address = "no.such.host.invalid:1";
    CLEANUP(error_freep) struct error *unknown = http_server_open(&options, &other, &port);
    cr_assert(unknown != NULL);
    http_server_close(server);
}
