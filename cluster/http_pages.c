#include "cluster/http_pages.h"

#include "cluster/core/subjects.h"
#include "cluster/http_commands.h"
#include "cluster/metrics.h"
#include "cluster/status_page.h"
#include "io/clock.h"

#include <strings.h>

#define LOOP_STUCK_US UINT64_C(30000000) // It turns once a second when it has nothing to do.

static void respond_text(struct exchange *exchange, const char *text)
{
    struct buffer body = {0};
    buffer_append_text(&body, text);
    exchange_respond(exchange, 200, "text/plain; charset=utf-8", &body);
}

static void respond_node(struct exchange *exchange, const struct node *node)
{
    struct buffer body = {0};
    error_free(json_print(node, &JSON_OPTIONS_DEFAULT, &body)); // It has no doubles.
    exchange_respond(exchange, 200, "application/json", &body);
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
        const char *name = http_command_name(command, api_version);
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
    node_add(&arena, list, node_string(&arena, exchange_address(exchange)));
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
    exchange_respond(exchange, is_stuck ? 503 : 200, "text/plain; charset=utf-8", &body);
}

// That the loop serves it is part of the answer.
static void serve_ready(struct exchange *exchange)
{
    const struct loop *loop = exchange->face->options.loop;
    if (loop->is_stopping)
        exchange_fail(
            exchange, 503, error_new(ERROR_RPC_UNAVAILABLE, "The server is being shut down"));
    if (loop->machine->coordinator.amnesia)
        exchange_fail(exchange, 503, error_copy(loop->machine->coordinator.amnesia));
}

// The user who asks for a page, as machine_identify gives it; if it fails the exchange has the
// error.
static struct slice identify(struct exchange *exchange)
{
    struct request *request = request_new(REQUEST_COMMAND);
    exchange->request = request; // Whose arena has the name.
    exchange_identity(exchange, request);
    struct error *error = machine_identify(exchange->face->options.loop->machine, request);
    if (error) exchange_fail(exchange, 401, error);
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
    if (error) exchange_fail(exchange, 403, error);
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

static bool is_path(struct slice path, const char *wanted)
{
    return path.size == strlen(wanted) && strncasecmp(path.data, wanted, path.size) == 0;
}

const struct route *http_page_find(struct slice path)
{
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES; i++) {
        if (is_path(path, ROUTES[i].path)) return &ROUTES[i];
    }
    return NULL;
}

void http_page_respond(struct exchange *exchange)
{
    struct buffer body = exchange->page;
    exchange->page = (struct buffer){0};
    exchange_respond(exchange, 200, exchange->page_type, &body);
}
