// The body of an HTTP request while it is being received: decompressed and, if it is rows, parsed
// piece by piece. What all bodies together take is bounded, too.
#pragma once

#include "io/compression.h"
#include "model/row_reader.h"

#include <stdatomic.h>

struct http_body {
    enum http_body_kind {
        HTTP_BODY_IGNORED,
        HTTP_BODY_BYTES, // Up to `size_max` of them.
        HTTP_BODY_ROWS,
    } kind;
    size_t size_max;       // Of what is kept.
    size_t size_max_total; // Of all bodies.
    atomic_size_t *total;  // What all bodies take. Borrowed.
    size_t counted;        // This one's part of it.
    struct decoder *decoder;
    struct row_reader *rows;
    struct buffer bytes;
    struct error *error; // The first; what comes afterwards is dropped.
};

// Begins to receive, with the limits and `total` set. An unsupported `encoding` is an error, found
// in `body->error`; so are those that follow. `format` is that of rows.
void http_body_begin(
    struct http_body *body,
    enum http_body_kind kind,
    const struct format *format,
    struct slice encoding);
void http_body_feed(struct http_body *body, struct slice piece);

// The body is complete: bytes, or rows as a rowset, copied into `arena`; empty if it is ignored.
MUST_USE struct error *http_body_finish(
    struct http_body *body, struct arena *arena, struct slice *ret_content);
void http_body_release(struct http_body *body);
