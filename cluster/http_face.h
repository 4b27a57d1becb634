// The HTTP face of a cluster: the interface of YTsaurus's HTTP proxy, v3 and v4, for its official
// clients; metrics, health and the status page for operators. docs/http.md explains it.
//
// Bodies are decompressed, parsed and formatted on the server's threads; the loop only sees whole
// requests, the same as those of the gRPC face, and shares the table of commands with it.
#pragma once

#include "cluster/loop.h"

#define HTTP_CONNECTION_COUNT_MAX 1200                  // Each keeps memory for a head.
#define HTTP_BODY_SIZE_MAX        (UINT64_C(16) << 20)  // Of parameters, and of structured data.
#define HTTP_ROWS_SIZE_MAX        (UINT64_C(64) << 20)  // Of rows, encoded: TRANSACTION_SIZE_MAX.
#define HTTP_BUFFER_SIZE_MAX      (UINT64_C(192) << 20) // Of all bodies that are being received.

struct http_face;

struct http_face_options {
    struct loop *loop; // Borrowed.
    const char *address;
    size_t head_size_max;     // Of a request.
    const char *cluster_name; // Borrowed.
    const char *version;      // Borrowed.
    struct store *store;      // For metrics: a rocks_store. Borrowed.
    uint16_t cell_tag;
};

// Starts to serve. `*ret_port` is the port taken.
MUST_USE struct error *http_face_open(
    const struct http_face_options *options, struct http_face **ret_face, int *ret_port);

// Takes no new connections.
void http_face_stop(struct http_face *face);

// Ends. Requests that the machine still has are not answered; it must not answer them later.
void http_face_close(struct http_face *face);

// Hands to the loop what has come. Call every turn: the rpc is woken when there is something.
void http_face_collect(struct http_face *face);
