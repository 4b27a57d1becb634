#include "io/http_server.h"

#include "base/arena.h"
#include "base/containers.h"
#include "io/clock.h"

#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    IDLE_TIMEOUT_S = HTTP_IDLE_US_MAX / 1000000, // Without a single byte.
    HEAD_US_MAX = 15000000,                      // On top of being idle.
    BACKLOG = 1024,
    BLOCK_SIZE = 64 << 10,   // Of a streamed response.
    HEAD_RESERVE = 16 << 10, // For what libmicrohttpd adds to a head, and for the response's.
};

struct connection {
    int fd;
    _Atomic uint64_t cut_at_us; // UINT64_MAX while it is we who are slow.
    struct connection *prev;
    struct connection *next;
};

struct http_server {
    struct http_server_options options;
    struct MHD_Daemon *daemon;
    int listener;         // Ours after http_server_quiesce; -1 otherwise.
    pthread_mutex_t lock; // Of the connections' list: they come and go on several threads.
    struct connection *connections;
    _Atomic size_t connection_count;
};

struct http_request {
    struct http_server *server;
    struct MHD_Connection *connection;
    struct connection *socket;
    struct slice method;
    struct slice path;
    void *exchange;
    bool is_ended; // Its body is complete.
    bool is_answered;
    _Atomic bool is_resumed;
    struct MHD_Response *response; // While it is streamed.
    enum http_read (*read)(void *exchange, char *to, size_t size_max, size_t *ret_size);
};

// -------------------------------------------------------------------------------------------------
// Connections

static void limit(struct connection *socket, uint64_t us_max)
{
    atomic_store(&socket->cut_at_us, us_max == UINT64_MAX ? us_max : clock_now_us() + us_max);
}

static void on_connection(
    void *context,
    struct MHD_Connection *connection,
    void **socket_context,
    enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = context;
    struct connection *socket = *socket_context;
    pthread_mutex_lock(&server->lock);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        socket = must_alloc(calloc(1, sizeof *socket));
        socket->fd =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        limit(socket, HTTP_IDLE_US_MAX + HEAD_US_MAX);
        DL_APPEND(server->connections, socket);
        atomic_fetch_add(&server->connection_count, 1);
        *socket_context = socket;
    } else {
        DL_DELETE(server->connections, socket);
        atomic_fetch_sub(&server->connection_count, 1);
        free(socket);
        *socket_context = NULL;
    }
    pthread_mutex_unlock(&server->lock);
}

void http_server_sweep(struct http_server *server, uint64_t now_us)
{
    struct connection *socket = NULL;
    pthread_mutex_lock(&server->lock);
    DL_FOREACH (server->connections, socket) {
        // Its thread notices, and closes it.
        if (atomic_load(&socket->cut_at_us) <= now_us) shutdown(socket->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&server->lock);
}

size_t http_server_connection_count(const struct http_server *server)
{
    return atomic_load(&server->connection_count);
}

// -------------------------------------------------------------------------------------------------
// Requests

static void free_request(struct http_request *request)
{
    if (request->response) MHD_destroy_response(request->response);
    free(request);
}

// Sees all that was done before http_resume. The server's own lock would do; but nothing inside of
// the library tells ThreadSanitizer so.
static void acquire(const struct http_request *request)
{
    (void)atomic_load(&request->is_resumed);
}

static struct http_request *begin_request(
    struct http_server *server,
    struct MHD_Connection *connection,
    const char *path,
    const char *method)
{
    struct http_request *request = must_alloc(calloc(1, sizeof *request));
    request->server = server;
    request->connection = connection;
    request->socket =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    request->method = slice_from_text(method);
    request->path = slice_from_text(path);
    limit(request->socket, HTTP_TRANSFER_US_MAX);
    request->exchange = server->options.handler->on_begin(server->options.context, request);
    return request;
}

static enum MHD_Result on_access(
    void *context,
    struct MHD_Connection *connection,
    const char *path,
    const char *method,
    const char *version,
    const char *piece,
    size_t *piece_size,
    void **request_context)
{
    struct http_server *server = context;
    const struct http_handler *handler = server->options.handler;
    struct http_request *request = *request_context;
    (void)version;
    if (!request) {
        *request_context = begin_request(server, connection, path, method);
        return MHD_YES;
    }
    if (*piece_size > 0) {
        handler->on_piece(request->exchange, slice_from(piece, *piece_size));
        *piece_size = 0;
        return MHD_YES;
    }
    acquire(request);
    if (request->is_answered) return MHD_YES;
    if (request->is_ended) {
        handler->on_resumed(request->exchange);
    } else {
        request->is_ended = true;
        handler->on_end(request->exchange);
    }
    return MHD_YES;
}

static void on_completed(
    void *context,
    struct MHD_Connection *connection,
    void **request_context,
    enum MHD_RequestTerminationCode code)
{
    struct http_server *server = context;
    struct http_request *request = *request_context;
    (void)connection;
    if (!request) return;
    acquire(request);
    limit(request->socket, HTTP_IDLE_US_MAX + HEAD_US_MAX);
    bool is_complete = code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    server->options.handler->on_closed(request->exchange, is_complete);
    free_request(request);
    *request_context = NULL;
}

struct slice http_method(const struct http_request *request)
{
    return request->method;
}

struct slice http_path(const struct http_request *request)
{
    return request->path;
}

struct slice http_header(const struct http_request *request, const char *name)
{
    const char *value = NULL;
    size_t size = 0;
    (void)MHD_lookup_connection_value_n(
        request->connection, MHD_HEADER_KIND, name, strlen(name), &value, &size);
    return slice_from(value ? value : "", value ? size : 0);
}

struct query_visit {
    bool (*visit)(void *context, struct slice key, struct slice value);
    void *context;
};

static enum MHD_Result visit_query(
    void *context,
    enum MHD_ValueKind kind,
    const char *key,
    size_t key_size,
    const char *value,
    size_t value_size)
{
    const struct query_visit *query = context;
    (void)kind;
    struct slice value_slice = slice_from(value ? value : "", value ? value_size : 0);
    bool is_more = query->visit(query->context, slice_from(key, key_size), value_slice);
    return is_more ? MHD_YES : MHD_NO;
}

void http_each_query(
    const struct http_request *request,
    bool (*visit)(void *context, struct slice key, struct slice value),
    void *context)
{
    struct query_visit query = {.visit = visit, .context = context};
    (void)MHD_get_connection_values_n(
        request->connection, MHD_GET_ARGUMENT_KIND, visit_query, &query);
}

// -------------------------------------------------------------------------------------------------
// Responses

void http_suspend(struct http_request *request)
{
    limit(request->socket, UINT64_MAX);
    MHD_suspend_connection(request->connection);
}

void http_resume(struct http_request *request)
{
    limit(request->socket, HTTP_TRANSFER_US_MAX);
    atomic_store(&request->is_resumed, true);
    MHD_resume_connection(request->connection);
}

static void queue_response(
    struct http_request *request,
    struct MHD_Response *response,
    unsigned status,
    const struct http_header *headers,
    size_t header_count)
{
    assert(!request->is_answered);
    request->is_answered = true;
    for (size_t i = 0; i < header_count; i++) {
        // It refuses what would break the head; a header less is then the lesser evil.
        (void)MHD_add_response_header(response, headers[i].name, headers[i].value);
    }
    (void)MHD_queue_response(request->connection, status, response);
}

void http_respond(
    struct http_request *request,
    unsigned status,
    const struct http_header *headers,
    size_t header_count,
    struct buffer *body)
{
    struct MHD_Response *response =
        body->size > 0
            ? MHD_create_response_from_buffer(body->size, body->data, MHD_RESPMEM_MUST_FREE)
            : MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (body->size > 0) *body = (struct buffer){0};
    buffer_release(body);
    queue_response(request, must_alloc(response), status, headers, header_count);
    MHD_destroy_response(response);
}

static ssize_t read_stream(void *context, uint64_t position, char *to, size_t size_max)
{
    struct http_request *request = context;
    (void)position;
    size_t size = 0;
    acquire(request);
    switch (request->read(request->exchange, to, size_max, &size)) {
    case HTTP_READ_MORE: return (ssize_t)size;
    case HTTP_READ_LATER: return 0;
    case HTTP_READ_END: return MHD_CONTENT_READER_END_OF_STREAM;
    case HTTP_READ_BROKEN: break;
    }
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

void http_respond_stream(
    struct http_request *request,
    unsigned status,
    const struct http_header *headers,
    size_t header_count,
    enum http_read (*read)(void *exchange, char *to, size_t size_max, size_t *ret_size))
{
    request->read = read;
    request->response = must_alloc(MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, BLOCK_SIZE, read_stream, request, NULL));
    queue_response(request, request->response, status, headers, header_count);
}

void http_add_trailer(struct http_request *request, const char *name, const char *value)
{
    (void)MHD_add_response_footer(request->response, name, value);
}

// -------------------------------------------------------------------------------------------------
// Beginning and end

static int try_listen(const struct addrinfo *address)
{
    int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

static struct error *listen_at(const char *address, int *ret_fd)
{
    struct slice host = slice_from(address, (size_t)(strrchr(address, ':') - address));
    if (host.size >= 2 && host.data[0] == '[') host = slice_from(host.data + 1, host.size - 2);
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int code =
        getaddrinfo(arena_copy(&arena, host).data, strrchr(address, ':') + 1, &hints, &found);
    if (code != 0) {
        return error_new(
            ERROR_GENERIC, "Cannot resolve HTTP address %s: %s", address, gai_strerror(code));
    }
    int fd = -1;
    for (const struct addrinfo *each = found; each && fd < 0; each = each->ai_next)
        fd = try_listen(each);
    struct error *error = NULL;
    if (fd < 0) error = error_new(ERROR_GENERIC, "Cannot listen at HTTP address %s: %m", address);
    freeaddrinfo(found);
    *ret_fd = fd;
    return error;
}

static int port_of(int fd)
{
    union {
        struct sockaddr_storage any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {0};
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) abort();
    return ntohs(address.any.ss_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

struct error *http_server_open(
    const struct http_server_options *options, struct http_server **ret_server, int *ret_port)
{
    int fd = -1;
    TRY(listen_at(options->address, &fd));
    struct http_server *server = must_alloc(calloc(1, sizeof *server));
    server->options = *options;
    server->listener = -1;
    pthread_mutex_init(&server->lock, NULL);
    *ret_port = port_of(fd);
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC,
        0,
        NULL,
        NULL,
        on_access,
        server,
        MHD_OPTION_LISTEN_SOCKET,
        fd,
        MHD_OPTION_THREAD_POOL_SIZE,
        options->thread_count > 1 ? options->thread_count : 0,
        MHD_OPTION_CONNECTION_LIMIT,
        options->connection_count_max,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        options->head_size_max + HEAD_RESERVE,
        MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_TIMEOUT_S,
        MHD_OPTION_NOTIFY_COMPLETED,
        on_completed,
        server,
        MHD_OPTION_NOTIFY_CONNECTION,
        on_connection,
        server,
        MHD_OPTION_END);
    if (!server->daemon) {
        close(fd);
        pthread_mutex_destroy(&server->lock);
        free(server);
        return error_new(ERROR_GENERIC, "Cannot serve HTTP at %s: %m", options->address);
    }
    *ret_server = server;
    return NULL;
}

void http_server_quiesce(struct http_server *server)
{
    if (server->listener < 0) server->listener = MHD_quiesce_daemon(server->daemon);
}

void http_server_close(struct http_server *server)
{
    if (!server) return;
    MHD_stop_daemon(server->daemon);
    if (server->listener >= 0) close(server->listener);
    assert(!server->connections);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
