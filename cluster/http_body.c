#include "cluster/http_body.h"

static size_t size_now(const struct http_body *body)
{
    return body->bytes.capacity + (body->rows ? row_reader_size(body->rows) : 0);
}

// Counts what this body takes.
static void count(struct http_body *body, size_t size)
{
    atomic_fetch_add(body->total, size - body->counted); // Wraps around, and so may shrink.
    body->counted = size;
}

static struct error *take_piece(void *context, struct slice piece)
{
    struct http_body *body = context;
    if (body->kind == HTTP_BODY_IGNORED) return NULL;
    if (body->kind == HTTP_BODY_ROWS) {
        TRY(row_reader_feed(body->rows, piece));
    } else {
        buffer_append_slice(&body->bytes, piece);
        TRY(buffer_check(&body->bytes, "The body"));
    }
    count(body, size_now(body));
    if (atomic_load(body->total) <= body->size_max_total) return NULL;
    struct error *error =
        error_new(ERROR_REQUEST_THROTTLED, "Bodies of requests take too much memory, try again");
    return error_set_u64(error, "size_max", body->size_max_total);
}

void http_body_begin(
    struct http_body *body,
    enum http_body_kind kind,
    const struct format *format,
    struct slice encoding)
{
    body->kind = kind;
    buffer_init(&body->bytes, body->size_max);
    if (kind == HTTP_BODY_ROWS) body->rows = row_reader_new(format, body->size_max);
    body->error = decoder_new(encoding, take_piece, body, &body->decoder);
}

// What is not needed any more goes at once: a body that was refused may still be long.
static void drop(struct http_body *body)
{
    decoder_free(TAKE(body->decoder));
    row_reader_free(TAKE(body->rows));
    buffer_release(&body->bytes);
    if (body->total) count(body, 0);
}

void http_body_feed(struct http_body *body, struct slice piece)
{
    if (body->error || !body->decoder) return;
    body->error = decoder_feed(body->decoder, piece);
    if (body->error) drop(body);
}

static struct error *finish(struct http_body *body, struct arena *arena, struct slice *ret_content)
{
    if (body->error) return TAKE(body->error);
    if (body->decoder) TRY(decoder_finish(body->decoder));
    *ret_content = slice_from("", 0);
    if (body->kind == HTTP_BODY_BYTES) *ret_content = arena_copy(arena, buffer_slice(&body->bytes));
    if (body->kind != HTTP_BODY_ROWS) return NULL;
    CLEANUP(buffer_releasep) struct buffer rows = {0};
    TRY(row_reader_finish(body->rows, &rows));
    *ret_content = arena_copy(arena, buffer_slice(&rows));
    return NULL;
}

struct error *http_body_finish(
    struct http_body *body, struct arena *arena, struct slice *ret_content)
{
    struct error *error = finish(body, arena, ret_content);
    drop(body);
    return error;
}

void http_body_release(struct http_body *body)
{
    drop(body);
    error_free(TAKE(body->error));
}
