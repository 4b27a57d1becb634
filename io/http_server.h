// An HTTP/1.1 server: connections, limits, bodies in and out, on libmicrohttpd.
//
// A few threads serve all connections. A handler is told of a request's head, of its body in
// pieces, and of its end; it answers then, or puts the request aside (http_suspend) and lets any
// thread resume it. All calls for one request come from one thread, and none while it is put aside,
// so an exchange needs no lock.
//
// Limits: connections; the size of a head (431); how long a connection may be idle, a head, a body
// or the reading of a response may take. A client that is too slow is cut off.
#pragma once

#include "base/buffer.h"
#include "base/log.h"

#include <stdint.h>

#define HTTP_IDLE_US_MAX     UINT64_C(60000000)  // A connection without a request.
#define HTTP_TRANSFER_US_MAX UINT64_C(600000000) // A body, and again a response.

struct http_server;
struct http_request; // Under way: from its head to the end of its response.

struct http_header {
    const char *name;
    const char *value;
};

// What serves requests. An exchange is what the handler has made of a request.
struct http_handler {
    // A head has come. Everything of it can be asked for until on_closed.
    void *(*on_begin)(void *context, struct http_request *request);
    // A piece of the body.
    void (*on_piece)(void *exchange, struct slice piece);
    // The body is complete: calls http_suspend or responds.
    void (*on_end)(void *exchange);
    // After http_resume: responds. Not called once a response has begun.
    void (*on_resumed)(void *exchange);
    // The response is sent, or the client is gone: frees the exchange. `is_complete` says which.
    void (*on_closed)(void *exchange, bool is_complete);
};

struct http_server_options {
    const char *address; // host:port; port 0 takes any free one.
    unsigned thread_count;
    unsigned connection_count_max;
    // Of a request. Each connection has memory for so much from its first request on, and
    // libmicrohttpd clears all of it after each one.
    size_t head_size_max;
    const struct http_handler *handler; // Borrowed, like the context.
    void *context;
};

// Starts to serve. `*ret_port` is the port taken.
MUST_USE struct error *http_server_open(
    const struct http_server_options *options, struct http_server **ret_server, int *ret_port);

// Takes no new connections.
void http_server_quiesce(struct http_server *server);

// Cuts off all connections and ends the threads; on_closed is called for what is under way. No
// request may be suspended, nor be any more.
void http_server_close(struct http_server *server);

// Cuts off who is too slow. To be called about once a second, by any thread.
void http_server_sweep(struct http_server *server, uint64_t now_us);

size_t http_server_connection_count(const struct http_server *server);

// -- A request's head

struct slice http_method(const struct http_request *request);
struct slice http_path(const struct http_request *request); // Decoded, without the query.

// A header's value; empty if there is none. Names are compared without regard to case.
struct slice http_header(const struct http_request *request, const char *name);

// Calls for each pair of the query, decoded, in order; ends when `visit` returns false.
void http_each_query(
    const struct http_request *request,
    bool (*visit)(void *context, struct slice key, struct slice value),
    void *context);

// -- Answering

// Puts the request aside. Call it before the request is handed to whoever resumes it.
void http_suspend(struct http_request *request);

// Any thread; once for each http_suspend.
void http_resume(struct http_request *request);

// Responds with a body, whose memory is taken over. Headers are copied.
void http_respond(
    struct http_request *request,
    unsigned status,
    const struct http_header *headers,
    size_t header_count,
    struct buffer *body);

enum http_read {
    HTTP_READ_MORE,  // Something was written.
    HTTP_READ_LATER, // Nothing is there, and http_suspend was called.
    HTTP_READ_END,
    HTTP_READ_BROKEN, // The response cannot be completed: the connection is cut.
};

// Responds with a body of unknown size: `read` writes up to `size_max` bytes of it to `to`.
void http_respond_stream(
    struct http_request *request,
    unsigned status,
    const struct http_header *headers,
    size_t header_count,
    enum http_read (*read)(void *exchange, char *to, size_t size_max, size_t *ret_size));

// Adds a trailer, while `read` is being called. The response's headers must have announced it.
void http_add_trailer(struct http_request *request, const char *name, const char *value);
