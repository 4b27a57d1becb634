#include "cluster/http_face.h"

#include "cluster/command_output.h"
#include "cluster/commands/commands.h"
#include "cluster/core/subjects.h"
#include "cluster/http_body.h"
#include "cluster/http_error.h"
#include "cluster/http_parameters.h"
#include "cluster/identity.h"
#include "cluster/metrics.h"
#include "cluster/status_page.h"
#include "io/clock.h"
#include "io/http_server.h"
#include "io/inbox.h"

#include <ctype.h>
#include <stddef.h>
#include <strings.h>

#define SWEEP_PERIOD_US UINT64_C(1000000)
#define LOOP_STUCK_US   UINT64_C(30000000) // It turns once a second when it has nothing to do.

enum {
    THREAD_COUNT = 2,
    PART_SIZE = 4 << 20, // Of the answer to a query.
    HEADER_COUNT_MAX = 12,
    PARAMETER_PART_COUNT_MAX = 1000,
};

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

// -------------------------------------------------------------------------------------------------
// Responses

struct head {
    struct arena arena;
    struct http_header headers[HEADER_COUNT_MAX];
    size_t count;
};

static void head_releasep(struct head *head)
{
    arena_release(&head->arena);
}

static void add_header(struct head *head, const char *name, const char *value)
{
    if (head->count == HEADER_COUNT_MAX) abort();
    head->headers[head->count++] = (struct http_header){.name = name, .value = value};
}

// The address that the client used: it works for it, whatever stands between.
static struct slice own_address(const struct exchange *exchange)
{
    struct slice host = http_header(exchange->http, "Host");
    return host.size > 0 ? host : slice_from_text(exchange->face->options.address);
}

static void begin_head(struct exchange *exchange, struct head *head, const char *content_type)
{
    struct arena *arena = &head->arena;
    char *id = arena_alloc(arena, GUID_TEXT_MAX);
    add_header(head, "X-YT-Request-Id", guid_print(exchange->id, id));
    add_header(head, "X-YT-Proxy", arena_copy(arena, own_address(exchange)).data);
    add_header(head, "Cache-Control", "no-store");
    if (content_type) add_header(head, "Content-Type", content_type);
}

static void log_request(const struct exchange *exchange, unsigned status)
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

static void respond(
    struct exchange *exchange, unsigned status, const char *content_type, struct buffer *body)
{
    struct head head CLEANUP(head_releasep) = {0};
    begin_head(exchange, &head, content_type);
    log_request(exchange, status);
    http_respond(exchange->http, status, head.headers, head.count, body);
}

static void respond_error(struct exchange *exchange)
{
    struct head head CLEANUP(head_releasep) = {0};
    struct buffer json = {0};
    struct error *error = exchange->error;
    begin_head(exchange, &head, "application/json");
    http_error_print(error, &json);
    if (json.size < HTTP_ERROR_HEADER_SIZE_MAX) {
        struct arena *arena = &head.arena;
        add_header(&head, "X-YT-Error", arena_copy(arena, buffer_slice(&json)).data);
        add_header(&head, "X-YT-Response-Code", arena_print(arena, "%d", (int)error_code(error)));
        add_header(&head, "X-YT-Response-Message", http_error_message(arena, error));
    }
    if (exchange->status == 503) add_header(&head, "Retry-After", "1");
    log_request(exchange, exchange->status);
    http_respond(exchange->http, exchange->status, head.headers, head.count, &json);
}

// Takes the error over, unless there is one already.
static void fail(struct exchange *exchange, unsigned status, struct error *error)
{
    if (exchange->error) {
        error_free(error);
        return;
    }
    exchange->error = error;
    exchange->status = status;
}

// -------------------------------------------------------------------------------------------------
// Between the server's threads and the loop

// Puts the exchange aside until the loop has dealt with it.
static void submit(struct exchange *exchange)
{
    http_suspend(exchange->http);
    if (inbox_post(exchange->face->inbox, &exchange->item)) return;
    fail(exchange, 503, error_new(ERROR_RPC_UNAVAILABLE, "The server is being shut down"));
    http_resume(exchange->http);
}

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
// Commands

// Names of API v3 that v4 has changed.
static const struct {
    const char *name;
    const char *command;
} ALIASES[] = {
    {"start_tx", "start_transaction"},
    {"ping_tx", "ping_transaction"},
    {"commit_tx", "commit_transaction"},
    {"abort_tx", "abort_transaction"},
};

enum { ALIAS_COUNT = sizeof ALIASES / sizeof *ALIASES };

static const struct command *find_command(struct slice name)
{
    for (size_t i = 0; i < ALIAS_COUNT; i++) {
        if (slice_equal_text(name, ALIASES[i].name))
            return command_find(slice_from_text(ALIASES[i].command));
    }
    return command_find(name);
}

struct query_list {
    struct arena *arena;
    struct http_parameter *pairs; // stb array.
};

static bool add_query_pair(void *context, struct slice key, struct slice value)
{
    struct query_list *list = context;
    struct http_parameter pair = {.key = key, .value = value};
    arr_add(list->pairs, pair);
    return arr_count(list->pairs) < HTTP_PARAMETER_COUNT_MAX;
}

// The headers X-YT-Parameters0, X-YT-Parameters1 … or X-YT-Parameters-0 …
static struct slice *read_parts(const struct http_request *http, struct arena *arena)
{
    struct slice *parts = NULL;
    for (int i = 0; i < PARAMETER_PART_COUNT_MAX; i++) {
        struct slice part = http_header(http, arena_print(arena, "X-YT-Parameters%d", i));
        if (part.size == 0) part = http_header(http, arena_print(arena, "X-YT-Parameters-%d", i));
        if (part.size == 0) break;
        arr_add(parts, part);
    }
    return parts;
}

static struct error *read_parameters(
    const struct http_request *http, struct arena *arena, struct node **ret_parameters)
{
    struct query_list list = {.arena = arena};
    http_each_query(http, add_query_pair, &list);
    struct slice *parts = read_parts(http, arena);
    struct http_head head = {
        .query = list.pairs,
        .query_count = arr_count(list.pairs),
        .header_format = http_header(http, "X-YT-Header-Format"),
        .parameters = http_header(http, "X-YT-Parameters"),
        .parts = parts,
        .part_count = arr_count(parts),
        .input_format = http_header(http, "X-YT-Input-Format"),
        .output_format = http_header(http, "X-YT-Output-Format"),
        .content_type = http_header(http, "Content-Type"),
        .accept = http_header(http, "Accept"),
    };
    struct error *error = http_parameters_read(arena, &head, ret_parameters);
    arr_free(list.pairs);
    arr_free(parts);
    return error;
}

static bool is_post(const struct exchange *exchange)
{
    return slice_equal_text(http_method(exchange->http), "POST");
}

static void read_identity(const struct exchange *exchange, struct request *request)
{
    struct identity identity;
    identity_read(
        &identity,
        exchange->face->options.loop->peer_secret,
        http_header(exchange->http, AUTHORIZATION_HEADER),
        http_header(exchange->http, USER_HEADER));
    identity_give(&identity, request);
}

static void begin_command(struct exchange *exchange, int api_version)
{
    struct request *request = request_new(REQUEST_COMMAND);
    const struct command *command = exchange->command;
    exchange->request = request;
    request->command = slice_from_text(command->name);
    request->api_version = (uint8_t)api_version;
    request->host = arena_copy(&request->arena, own_address(exchange));
    request->part_size_min = PART_SIZE;
    read_identity(exchange, request);
    struct error *error = read_parameters(exchange->http, &request->arena, &request->parameters);
    struct format format = {.kind = FORMAT_YSON, .yson = YSON_TEXT};
    if (!error) error = http_parameters_format(request->parameters, "input_format", &format);
    if (error) fail(exchange, 400, error);

    struct http_body *body = &exchange->body;
    enum http_body_kind kind = HTTP_BODY_IGNORED;
    body->size_max = HTTP_BODY_SIZE_MAX;
    body->size_max_total = HTTP_BUFFER_SIZE_MAX;
    body->total = &exchange->face->body_size;
    if (is_post(exchange) || command->input == COMMAND_STRUCTURED) {
        kind = HTTP_BODY_BYTES;
    } else if (command->input == COMMAND_TABULAR) {
        kind = HTTP_BODY_ROWS;
        body->size_max = HTTP_ROWS_SIZE_MAX;
    }
    if (!exchange->error)
        http_body_begin(body, kind, &format, http_header(exchange->http, "Content-Encoding"));
    if (body->error) fail(exchange, 415, TAKE(body->error));
}

static void set_default_format(
    struct arena *arena, struct node *parameters, const char *name, enum command_data kind)
{
    const struct node *node = node_find_text(parameters, name);
    if (node && node->type != NODE_ENTITY) return;
    struct node *format = node_text(arena, kind == COMMAND_TABULAR ? "yson" : "json");
    if (kind == COMMAND_TABULAR)
        node_set_attribute(arena, format, "format", node_text(arena, "text"));
    node_set_text(arena, parameters, name, format);
}

static struct error *read_body(struct exchange *exchange)
{
    struct request *request = exchange->request;
    struct arena *arena = &request->arena;
    struct slice content;
    TRY(http_body_finish(&exchange->body, arena, &content));
    if (is_post(exchange)) {
        TRY(http_parameters_add_body(arena, request->parameters, content));
    } else {
        request->input = content;
        request->is_input_rowset = exchange->body.kind == HTTP_BODY_ROWS;
    }
    const struct command *command = exchange->command;
    set_default_format(arena, request->parameters, "input_format", command->input);
    set_default_format(arena, request->parameters, "output_format", command->output);
    return NULL;
}

static void end_command(struct exchange *exchange)
{
    struct error *error = exchange->error ? NULL : read_body(exchange);
    bool is_throttled = error && error_code(error) == ERROR_REQUEST_THROTTLED;
    if (error) fail(exchange, is_throttled ? 503 : 400, error);
    if (exchange->error) {
        respond_error(exchange);
    } else {
        submit(exchange);
    }
}

static void add_error_trailers(struct exchange *exchange, const struct error *error)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer json = {0};
    http_error_print(error, &json);
    http_add_trailer(exchange->http, "X-YT-Error", arena_copy(&arena, buffer_slice(&json)).data);
    http_add_trailer(
        exchange->http, "X-YT-Response-Code", arena_print(&arena, "%d", (int)error_code(error)));
    http_add_trailer(exchange->http, "X-YT-Response-Message", http_error_message(&arena, error));
}

static enum http_read read_output(void *context, char *to, size_t size_max, size_t *ret_size)
{
    struct exchange *exchange = context;
    struct command_output *output = &exchange->output;
    if (exchange->has_asked) { // And we were resumed with the next part.
        exchange->has_asked = false;
        if (exchange->error) return HTTP_READ_BROKEN; // The server is being shut down.
        command_output_feed(output);
    }
    struct slice piece = {0};
    struct error *error = TAKE(exchange->request->error);
    if (!error) error = command_output_next(output, size_max, &piece);
    if (!error && piece.size == 0 && output->is_starved) {
        exchange->has_asked = true;
        exchange->wants_part = true;
        submit(exchange);
        return HTTP_READ_LATER;
    }
    if (piece.size > 0) memcpy(to, piece.data, piece.size);
    *ret_size = piece.size;
    if (!error) return *ret_size > 0 ? HTTP_READ_MORE : HTTP_READ_END;
    add_error_trailers(exchange, error);
    error_free(error);
    return HTTP_READ_END;
}

static struct error *begin_answer(struct exchange *exchange, const char **ret_encoding)
{
    struct request *request = exchange->request;
    if (request->error) return TAKE(request->error);
    struct slice accepted = http_header(exchange->http, "Accept-Encoding");
    return command_output_begin(&exchange->output, request, accepted, ret_encoding);
}

// Says what a failed command was about, like the real proxy.
static struct error *add_path(const struct request *request, struct error *error)
{
    struct slice path = {0};
    error_free(node_get_string(request->parameters, "path", &path));
    if (path.size == 0 || error_attribute(error, "path")) return error;
    CLEANUP(arena_releasep) struct arena arena = {0};
    return error_set_str(error, "path", arena_copy(&arena, path).data);
}

// What a command says besides its result (statistics of a query), in the format of headers. Of a
// response that is streamed it is not known in time.
static void add_response_parameters(const struct exchange *exchange, struct head *head)
{
    struct request *request = exchange->request;
    struct slice header = http_header(exchange->http, "X-YT-Header-Format");
    struct format format;
    CLEANUP(buffer_releasep) struct buffer text = {0};
    if (!request->response_parameters) return;
    struct error *error = http_parameters_header_format(&head->arena, header, &format);
    if (format.kind == FORMAT_YSON) format.yson = YSON_TEXT; // A header is one line.
    format.json.is_pretty = false;
    if (!error) error = format_write_node(&format, request->response_parameters, &text);
    bool is_good = !error && text.size < HTTP_ERROR_HEADER_SIZE_MAX;
    error_free(error);
    if (!is_good) return;
    add_header(
        head, "X-YT-Response-Parameters", arena_copy(&head->arena, buffer_slice(&text)).data);
}

static void answer_command(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    const char *encoding = NULL;
    struct error *error = begin_answer(exchange, &encoding);
    if (error) {
        bool is_unknown = error_find(error, ERROR_AUTHENTICATION_ERROR) == error ||
                          error_find(error, ERROR_INVALID_CREDENTIALS) == error;
        fail(exchange, is_unknown ? 401 : 400, add_path(request, error));
        respond_error(exchange);
        return;
    }
    bool is_nothing = request->output_kind == OUTPUT_NONE && request->api_version < 4;
    struct head head CLEANUP(head_releasep) = {0};
    begin_head(exchange, &head, is_nothing ? NULL : format_mime_type(&request->output_format));
    if (encoding) add_header(&head, "Content-Encoding", encoding);
    add_response_parameters(exchange, &head);
    log_request(exchange, 200);
    if (exchange->output.is_complete) {
        struct buffer body = exchange->output.ready;
        exchange->output.ready = (struct buffer){0};
        http_respond(exchange->http, 200, head.headers, head.count, &body);
        return;
    }
    add_header(&head, "Trailer", "X-YT-Error, X-YT-Response-Code, X-YT-Response-Message");
    http_respond_stream(exchange->http, 200, head.headers, head.count, read_output);
}

// -------------------------------------------------------------------------------------------------
// Pages

static void respond_text(struct exchange *exchange, const char *text)
{
    struct buffer body = {0};
    buffer_append_text(&body, text);
    respond(exchange, 200, "text/plain; charset=utf-8", &body);
}

static void respond_node(struct exchange *exchange, const struct node *node)
{
    struct buffer body = {0};
    error_free(json_print(node, &JSON_OPTIONS_DEFAULT, &body)); // It has no doubles.
    respond(exchange, 200, "application/json", &body);
}

static void serve_versions(struct exchange *exchange)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *list = node_list(&arena);
    node_add(&arena, list, node_text(&arena, "v3"));
    node_add(&arena, list, node_text(&arena, "v4"));
    respond_node(exchange, list);
}

static const char *data_name(enum command_data kind)
{
    switch (kind) {
    case COMMAND_NULL: return "null";
    case COMMAND_STRUCTURED: return "structured";
    case COMMAND_TABULAR: return "tabular";
    }
    return "null";
}

static void add_command(
    struct arena *arena,
    struct node *list,
    const struct command *command,
    const char *name,
    int api_version)
{
    bool answers_map = command->output == COMMAND_NULL && api_version >= 4;
    enum command_data output = answers_map ? COMMAND_STRUCTURED : command->output;
    struct node *entry =
        node_map(arena); // With these keys alone: another breaks the Python client.
    node_set_text(arena, entry, "name", node_text(arena, name));
    node_set_text(arena, entry, "input_type", node_text(arena, data_name(command->input)));
    node_set_text(arena, entry, "output_type", node_text(arena, data_name(output)));
    node_set_text(arena, entry, "is_volatile", node_boolean(arena, command->is_volatile));
    node_set_text(arena, entry, "is_heavy", node_boolean(arena, command->is_heavy));
    node_add(arena, list, entry);
}

static void serve_commands(struct exchange *exchange, int api_version)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *list = node_list(&arena);
    for (const struct command *command = COMMANDS; command->name; command++) {
        const char *name = command->name;
        for (size_t i = 0; i < ALIAS_COUNT && api_version < 4; i++) {
            if (strcmp(name, ALIASES[i].command) == 0) name = ALIASES[i].name;
        }
        add_command(&arena, list, command, name, api_version);
    }
    respond_node(exchange, list);
}

static void serve_commands_v3(struct exchange *exchange)
{
    serve_commands(exchange, 3);
}

static void serve_commands_v4(struct exchange *exchange)
{
    serve_commands(exchange, 4);
}

// One proxy: the one that the client talks to. So whatever stands between goes on working, and a
// transaction stays where it was begun.
static void serve_hosts(struct exchange *exchange)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *list = node_list(&arena);
    node_add(&arena, list, node_string(&arena, own_address(exchange)));
    respond_node(exchange, list);
}

static void serve_version(struct exchange *exchange)
{
    respond_text(exchange, exchange->face->options.version);
}

static void serve_service(struct exchange *exchange)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    const struct http_face *face = exchange->face;
    char time[LOG_TIME_MAX];
    log_print_time(face->start_wall_us, time);
    struct node *map = node_map(&arena);
    node_set_text(&arena, map, "start_time", node_text(&arena, time));
    node_set_text(&arena, map, "version", node_text(&arena, face->options.version));
    respond_node(exchange, map);
}

static void serve_live(struct exchange *exchange)
{
    uint64_t turned_at_us = atomic_load(&exchange->face->turned_at_us);
    bool is_stuck = turned_at_us + LOOP_STUCK_US < clock_now_us();
    struct buffer body = {0};
    buffer_append_text(&body, is_stuck ? "The loop is stuck\n" : "");
    respond(exchange, is_stuck ? 503 : 200, "text/plain; charset=utf-8", &body);
}

// That the loop serves it is part of the answer.
static void serve_ready(struct exchange *exchange)
{
    const struct loop *loop = exchange->face->options.loop;
    if (loop->is_stopping)
        fail(exchange, 503, error_new(ERROR_RPC_UNAVAILABLE, "The server is being shut down"));
    if (loop->machine->coordinator.amnesia)
        fail(exchange, 503, error_copy(loop->machine->coordinator.amnesia));
}

// The user who asks for a page, as machine_identify gives it; if it fails the exchange has the
// error.
static struct slice identify(struct exchange *exchange)
{
    struct request *request = request_new(REQUEST_COMMAND);
    exchange->request = request; // Whose arena has the name.
    read_identity(exchange, request);
    struct error *error = machine_identify(exchange->face->options.loop->machine, request);
    if (error) fail(exchange, 401, error);
    return request->user;
}

static void serve_user(struct exchange *exchange)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct slice user = identify(exchange);
    if (exchange->error) return;
    struct node *map = node_map(&arena);
    node_set_text(&arena, map, "login", node_string(&arena, user.size > 0 ? user : USER_ROOT));
    node_set_text(&arena, map, "realm", node_text(&arena, "YT"));
    node_set_text(&arena, map, "csrf_token", node_text(&arena, ""));
    error_free(json_print(map, &JSON_OPTIONS_DEFAULT, &exchange->page)); // It has no doubles.
    exchange->page_type = "application/json";
}

// Pages show all tables.
static bool may_look(struct exchange *exchange)
{
    struct tree *tree = &exchange->face->options.loop->machine->cell.tree;
    struct slice user = identify(exchange);
    if (exchange->error) return false;
    struct error *error = access_check(tree, user, PERMISSION_READ, tree->root);
    if (error) fail(exchange, 403, error);
    return !error;
}

static void serve_metrics(struct exchange *exchange)
{
    if (!may_look(exchange)) return;
    const struct http_face *face = exchange->face;
    struct metrics_source source = {
        .loop = face->options.loop,
        .store = face->options.store,
        .cluster_name = face->options.cluster_name,
        .version = face->options.version,
        .start_wall_us = face->start_wall_us,
        .http_request_count = atomic_load(&face->request_count),
        .http_connection_count = http_server_connection_count(face->server),
        .http_body_size = atomic_load(&face->body_size),
    };
    metrics_write(&source, &exchange->page);
    exchange->page_type = "text/plain; version=0.0.4; charset=utf-8";
}

static void serve_status(struct exchange *exchange)
{
    if (!may_look(exchange)) return;
    const struct http_face *face = exchange->face;
    struct status_source source = {
        .loop = face->options.loop,
        .cluster_name = face->options.cluster_name,
        .version = face->options.version,
        .start_wall_us = face->start_wall_us,
        .now_wall_us = clock_wall_us(),
    };
    status_page_write(&source, &exchange->page);
    exchange->page_type = "text/html; charset=utf-8";
}

static const struct route ROUTES[] = {
    {"/", serve_status, true},
    {"/metrics", serve_metrics, true},
    {"/api", serve_versions, false},
    {"/api/v3", serve_commands_v3, false},
    {"/api/v4", serve_commands_v4, false},
    {"/hosts", serve_hosts, false},
    {"/hosts/all", serve_hosts, false},
    {"/auth/whoami", serve_user, true},
    {"/auth/login", serve_user, true},
    {"/version", serve_version, false},
    {"/service", serve_service, false},
    {"/ping", serve_ready, true},
    {"/health/live", serve_live, false},
    {"/health/ready", serve_ready, true},
};

static void respond_page(struct exchange *exchange)
{
    struct buffer body = exchange->page;
    exchange->page = (struct buffer){0};
    respond(exchange, 200, exchange->page_type, &body);
}

// -------------------------------------------------------------------------------------------------
// The handler

static bool is_path(struct slice path, const char *wanted)
{
    return path.size == strlen(wanted) && strncasecmp(path.data, wanted, path.size) == 0;
}

// Finds what a path means: a route, or a command and its API version; neither if it means nothing.
static int find_target(struct exchange *exchange, struct slice path)
{
    while (path.size > 1 && path.data[path.size - 1] == '/') path.size--;
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES; i++) {
        if (is_path(path, ROUTES[i].path)) exchange->route = &ROUTES[i];
    }
    if (exchange->route || path.size < 9) return 0;
    bool is_v3 = strncasecmp(path.data, "/api/v3/", 8) == 0;
    bool is_v4 = strncasecmp(path.data, "/api/v4/", 8) == 0;
    if (!is_v3 && !is_v4) return 0;
    struct slice name = slice_from(path.data + 8, path.size - 8);
    char lower[64];
    if (name.size >= sizeof lower) return 0;
    for (size_t i = 0; i < name.size; i++) lower[i] = (char)tolower((unsigned char)name.data[i]);
    exchange->command = find_command(slice_from(lower, name.size));
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
        begin_command(exchange, api_version);
    } else if (api_version > 0) {
        fail(exchange, 404, error_new(ERROR_GENERIC, "Unknown command in %.*s", SLICE(shown)));
    } else if (!exchange->route) {
        fail(exchange, 404, error_new(ERROR_GENERIC, "Nothing is served at %.*s", SLICE(shown)));
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
        end_command(exchange);
    } else if (exchange->error) {
        respond_error(exchange);
    } else if (exchange->route->is_of_loop) {
        submit(exchange);
    } else {
        exchange->route->serve(exchange);
    }
}

static void on_resumed(void *context)
{
    struct exchange *exchange = context;
    if (exchange->error) {
        respond_error(exchange);
    } else if (exchange->command) {
        answer_command(exchange);
    } else {
        respond_page(exchange);
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
    fail(exchange, 503, error_new(ERROR_RPC_UNAVAILABLE, "The server is being shut down"));
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
