#include "cluster/http_commands.h"

#include "cluster/http_error.h"
#include "cluster/http_parameters.h"

enum {
    PART_SIZE = 4 << 20, // Of the answer to a query.
    PARAMETER_PART_COUNT_MAX = 1000,
};

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

const struct command *http_command_find(struct slice name)
{
    for (size_t i = 0; i < ALIAS_COUNT; i++) {
        if (slice_equal_text(name, ALIASES[i].name))
            return command_find(slice_from_text(ALIASES[i].command));
    }
    return command_find(name);
}

const char *http_command_name(const struct command *command, int api_version)
{
    for (size_t i = 0; i < ALIAS_COUNT && api_version < 4; i++) {
        if (strcmp(command->name, ALIASES[i].command) == 0) return ALIASES[i].name;
    }
    return command->name;
}

static bool add_query_pair(void *context, struct slice key, struct slice value)
{
    struct http_parameter **pairs = context; // stb array.
    struct http_parameter pair = {.key = key, .value = value};
    arr_add(*pairs, pair);
    return arr_count(*pairs) < HTTP_PARAMETER_COUNT_MAX;
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
    struct http_parameter *pairs = NULL;
    http_each_query(http, add_query_pair, &pairs);
    struct slice *parts = read_parts(http, arena);
    struct http_head head = {
        .query = pairs,
        .query_count = arr_count(pairs),
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
    arr_free(pairs);
    arr_free(parts);
    return error;
}

static bool is_post(const struct exchange *exchange)
{
    return slice_equal_text(http_method(exchange->http), "POST");
}

void http_command_begin(struct exchange *exchange, int api_version)
{
    struct request *request = request_new(REQUEST_COMMAND);
    const struct command *command = exchange->command;
    exchange->request = request;
    request->command = slice_from_text(command->name);
    request->api_version = (uint8_t)api_version;
    request->host = arena_copy(&request->arena, exchange_address(exchange));
    request->part_size_min = PART_SIZE;
    exchange_identity(exchange, request);
    struct error *error = read_parameters(exchange->http, &request->arena, &request->parameters);
    struct format format = {.kind = FORMAT_YSON, .yson = YSON_TEXT};
    if (!error) error = http_parameters_format(request->parameters, "input_format", &format);
    if (error) exchange_fail(exchange, 400, error);

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
    if (body->error) exchange_fail(exchange, 415, TAKE(body->error));
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

void http_command_end(struct exchange *exchange)
{
    struct error *error = exchange->error ? NULL : read_body(exchange);
    bool is_throttled = error && error_code(error) == ERROR_REQUEST_THROTTLED;
    if (error) exchange_fail(exchange, is_throttled ? 503 : 400, error);
    if (exchange->error) {
        exchange_respond_error(exchange);
    } else {
        exchange_submit(exchange);
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
        exchange_submit(exchange);
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
static void add_response_parameters(const struct exchange *exchange, struct response_head *head)
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
    response_head_add(
        head, "X-YT-Response-Parameters", arena_copy(&head->arena, buffer_slice(&text)).data);
}

void http_command_answer(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    const char *encoding = NULL;
    struct error *error = begin_answer(exchange, &encoding);
    if (error) {
        bool is_unknown = error_find(error, ERROR_AUTHENTICATION_ERROR) == error ||
                          error_find(error, ERROR_INVALID_CREDENTIALS) == error;
        exchange_fail(exchange, is_unknown ? 401 : 400, add_path(request, error));
        exchange_respond_error(exchange);
        return;
    }
    bool is_nothing = request->output_kind == OUTPUT_NONE && request->api_version < 4;
    struct response_head head CLEANUP(response_head_releasep) = {0};
    exchange_begin_head(
        exchange, &head, is_nothing ? NULL : format_mime_type(&request->output_format));
    if (encoding) response_head_add(&head, "Content-Encoding", encoding);
    add_response_parameters(exchange, &head);
    exchange_log(exchange, 200);
    if (exchange->output.is_complete) {
        struct buffer body = exchange->output.ready;
        exchange->output.ready = (struct buffer){0};
        http_respond(exchange->http, 200, head.headers, head.count, &body);
        return;
    }
    response_head_add(&head, "Trailer", "X-YT-Error, X-YT-Response-Code, X-YT-Response-Message");
    http_respond_stream(exchange->http, 200, head.headers, head.count, read_output);
}
