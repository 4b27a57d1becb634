// A request over HTTP on its way between the server's threads and the loop, and how it is answered.
//
// Of the HTTP face alone: http_face.c moves exchanges, http_commands.c and http_pages.c make their
// answers.
#pragma once

#include "cluster/command_output.h"
#include "cluster/commands/commands.h"
#include "cluster/http_body.h"
#include "cluster/http_face.h"
#include "io/http_server.h"
#include "io/inbox.h"

#include <stdatomic.h>

#define HTTP_RESPONSE_HEADER_COUNT_MAX 12

struct http_face {
    struct http_face_options options;
    struct http_server *server;
    struct inbox *inbox;        // From the server's threads to the loop.
    struct inbox *abandoned;    // The same, also while the face is being closed.
    struct exchange *submitted; // The machine has their requests. Of the loop's thread.
    struct guid first_id;       // Ids of requests are counted from here.
    _Atomic uint64_t request_count;
    atomic_size_t body_size;       // Of what is being received.
    _Atomic uint64_t turned_at_us; // When the loop looked last.
    uint64_t sweep_at_us;
    uint64_t start_wall_us;
};

struct exchange {
    struct inbox_item item; // First.
    struct request_owner owner;
    struct http_face *face;
    struct http_request *http;
    const struct route *route;
    const struct command *command; // Of a command.
    uint64_t began_at_us;
    struct guid id;
    struct request *request; // The machine's while the exchange is in `submitted`.
    struct http_body body;
    struct error *error; // What it will be answered with. Owned.
    unsigned status;     // Of the error.
    struct buffer page;  // That the loop has made.
    const char *page_type;
    struct command_output output;
    bool has_asked;    // For the next part of a query's answer.
    bool wants_part;   // The same, on its way to the loop.
    bool is_abandoned; // The client is gone, and the rest of the answer is not wanted.
    struct exchange *prev;
    struct exchange *next;
};

// What is served besides commands.
struct route {
    const char *path;
    // Answers on the server's thread; or, if `is_of_loop`, makes the page on the loop's.
    void (*serve)(struct exchange *exchange);
    bool is_of_loop;
};

// The head of a response that is being made.
struct response_head {
    struct arena arena;
    struct http_header headers[HTTP_RESPONSE_HEADER_COUNT_MAX];
    size_t count;
};

// For CLEANUP.
void response_head_releasep(struct response_head *head);

// Name and value are borrowed; the head's arena is a place for them. Aborts if there are too many.
void response_head_add(struct response_head *head, const char *name, const char *value);

// The address that the client used: it works for it, whatever stands between. Borrowed.
struct slice exchange_address(const struct exchange *exchange);

// Adds what all responses have. `content_type` may be NULL.
void exchange_begin_head(
    struct exchange *exchange, struct response_head *head, const char *content_type);

// Notes that the request is answered, for --log-level debug.
void exchange_log(const struct exchange *exchange, unsigned status);

// Responds with a body, which is taken over.
void exchange_respond(
    struct exchange *exchange, unsigned status, const char *content_type, struct buffer *body);

// Responds with the exchange's error, in the body and in headers.
void exchange_respond_error(struct exchange *exchange);

// Gives the exchange an error to be answered with, which is taken over; unless it has one already.
void exchange_fail(struct exchange *exchange, unsigned status, struct error *error);

// Tells a request who asks.
void exchange_identity(const struct exchange *exchange, struct request *request);

// Puts the exchange aside until the loop has dealt with it.
void exchange_submit(struct exchange *exchange);
