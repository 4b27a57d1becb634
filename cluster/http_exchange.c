#include "cluster/http_exchange.h"

#include "cluster/http_error.h"
#include "cluster/identity.h"
#include "io/clock.h"

void response_head_releasep(struct response_head *head)
{
    arena_release(&head->arena);
}

void response_head_add(struct response_head *head, const char *name, const char *value)
{
    if (head->count == HTTP_RESPONSE_HEADER_COUNT_MAX) abort();
    head->headers[head->count++] = (struct http_header){.name = name, .value = value};
}

struct slice exchange_address(const struct exchange *exchange)
{
    struct slice host = http_header(exchange->http, "Host");
    return host.size > 0 ? host : slice_from_text(exchange->face->options.address);
}

void exchange_begin_head(
    struct exchange *exchange, struct response_head *head, const char *content_type)
{
    struct arena *arena = &head->arena;
    char *id = arena_alloc(arena, GUID_TEXT_MAX);
    response_head_add(head, "X-YT-Request-Id", guid_print(exchange->id, id));
    response_head_add(head, "X-YT-Proxy", arena_copy(arena, exchange_address(exchange)).data);
    response_head_add(head, "Cache-Control", "no-store");
    if (content_type) response_head_add(head, "Content-Type", content_type);
}

void exchange_log(const struct exchange *exchange, unsigned status)
{
    log_debug(
        exchange->face->options.loop->log,
        "HTTP request",
        LOG_SLICE("method", http_method(exchange->http)),
        LOG_SLICE("path", http_path(exchange->http)),
        LOG_U64("status", status),
        LOG_U64("time_us", clock_now_us() - exchange->began_at_us),
        LOG_TEXT("id", GUID_TEXT(exchange->id)),
        LOG_SLICE("correlation_id", http_header(exchange->http, "X-YT-Correlation-Id")),
        LOG_SLICE("trace", http_header(exchange->http, "traceparent")),
        LOG_SLICE("agent", http_header(exchange->http, "User-Agent")),
        LOG_CAUSE(exchange->error));
}

void exchange_respond(
    struct exchange *exchange, unsigned status, const char *content_type, struct buffer *body)
{
    struct response_head head CLEANUP(response_head_releasep) = {0};
    exchange_begin_head(exchange, &head, content_type);
    exchange_log(exchange, status);
    http_respond(exchange->http, status, head.headers, head.count, body);
}

void exchange_respond_error(struct exchange *exchange)
{
    struct response_head head CLEANUP(response_head_releasep) = {0};
    struct buffer json = {0};
    struct error *error = exchange->error;
    exchange_begin_head(exchange, &head, "application/json");
    http_error_print(error, &json);
    if (json.size < HTTP_ERROR_HEADER_SIZE_MAX) {
        struct arena *arena = &head.arena;
        response_head_add(&head, "X-YT-Error", arena_copy(arena, buffer_slice(&json)).data);
        response_head_add(
            &head, "X-YT-Response-Code", arena_print(arena, "%d", (int)error_code(error)));
        response_head_add(&head, "X-YT-Response-Message", http_error_message(arena, error));
    }
    if (exchange->status == 503) response_head_add(&head, "Retry-After", "1");
    exchange_log(exchange, exchange->status);
    http_respond(exchange->http, exchange->status, head.headers, head.count, &json);
}

void exchange_fail(struct exchange *exchange, unsigned status, struct error *error)
{
    if (exchange->error) {
        error_free(error);
        return;
    }
    exchange->error = error;
    exchange->status = status;
}

void exchange_identity(const struct exchange *exchange, struct request *request)
{
    struct identity identity;
    identity_read(
        &identity,
        exchange->face->options.loop->peer_secret,
        http_header(exchange->http, AUTHORIZATION_HEADER),
        http_header(exchange->http, USER_HEADER));
    identity_give(&identity, request);
}

void exchange_submit(struct exchange *exchange)
{
    http_suspend(exchange->http);
    if (inbox_post(exchange->face->inbox, &exchange->item)) return;
    exchange_fail(exchange, 503, error_new(ERROR_RPC_UNAVAILABLE, "The server is being shut down"));
    http_resume(exchange->http);
}
