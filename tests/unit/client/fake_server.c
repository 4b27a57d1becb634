#include "tests/unit/client/fake_server.h"

#include "io/rpc.h"
#include "io/wire.h"
#include "model/error_node.h"
#include "model/yson.h"
#include "proto/retable/v1/client.pb-c.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    EXIT_AGAIN = 3,
    ABSENCE_US = 200000, // Long enough for connections to be refused meanwhile.
};

static void check(struct error *error)
{
    if (!error) return;
    error_print(error, stderr);
    exit(1);
}

static struct error *answer_commit(
    const Retable__V1__CommitRequest *commit, Retable__V1__CommitResponse *response, bool *silent)
{
    for (size_t i = 0; i < commit->n_modifications; i++) {
        const char *path = commit->modifications[i]->path;
        if (strcmp(path, "//die") == 0) _exit(0);
        if (strcmp(path, "//restart") == 0) _exit(EXIT_AGAIN);
        if (strcmp(path, "//silent") == 0) *silent = true;
        if (strcmp(path, "//refuse") == 0)
            return error_new(ERROR_TRANSACTION_LOCK_CONFLICT, "Row is locked");
    }
    response->commit_timestamp = commit->n_modifications;
    return NULL;
}

static void answer(struct rpc_stream *stream, const Retable__V1__Request *request)
{
    Retable__V1__Response response = RETABLE__V1__RESPONSE__INIT;
    Retable__V1__CommitResponse commit = RETABLE__V1__COMMIT_RESPONSE__INIT;
    Retable__V1__LookupResponse lookup = RETABLE__V1__LOOKUP_RESPONSE__INIT;
    Retable__V1__StartTransactionResponse start = RETABLE__V1__START_TRANSACTION_RESPONSE__INIT;
    Retable__V1__ModifyResponse modify = RETABLE__V1__MODIFY_RESPONSE__INIT;
    Retable__V1__PingTransactionResponse ping = RETABLE__V1__PING_TRANSACTION_RESPONSE__INIT;
    Retable__V1__AbortTransactionResponse abort = RETABLE__V1__ABORT_TRANSACTION_RESPONSE__INIT;
    CLEANUP(buffer_releasep) struct buffer error_bytes = {0};
    CLEANUP(error_freep) struct error *error = NULL;
    uint8_t id_bytes[WIRE_GUID_SIZE];
    bool silent = false;
    response.id = request->id;
    if (request->kind_case == RETABLE__V1__REQUEST__KIND_COMMIT) {
        error = answer_commit(request->commit, &commit, &silent);
        response.kind_case = RETABLE__V1__RESPONSE__KIND_COMMIT;
        response.commit = &commit;
    } else if (request->kind_case == RETABLE__V1__REQUEST__KIND_LOOKUP) {
        lookup.rowset = request->lookup->keys;
        response.kind_case = RETABLE__V1__RESPONSE__KIND_LOOKUP;
        response.lookup = &lookup;
    } else if (request->kind_case == RETABLE__V1__REQUEST__KIND_START_TRANSACTION) {
        struct guid id = {UINT64_C(1) << 32 | 2, UINT64_C(3) << 32 | 4};
        start.transaction_id = wire_guid(id, id_bytes);
        start.start_timestamp = 77;
        response.kind_case = RETABLE__V1__RESPONSE__KIND_START_TRANSACTION;
        response.start_transaction = &start;
    } else if (request->kind_case == RETABLE__V1__REQUEST__KIND_MODIFY) {
        response.kind_case = RETABLE__V1__RESPONSE__KIND_MODIFY;
        response.modify = &modify;
    } else if (request->kind_case == RETABLE__V1__REQUEST__KIND_PING_TRANSACTION) {
        response.kind_case = RETABLE__V1__RESPONSE__KIND_PING_TRANSACTION;
        response.ping_transaction = &ping;
    } else {
        response.kind_case = RETABLE__V1__RESPONSE__KIND_ABORT_TRANSACTION;
        response.abort_transaction = &abort;
    }
    if (silent) return;
    if (error) {
        error_encode(error, &error_bytes);
        response.kind_case = RETABLE__V1__RESPONSE__KIND_ERROR;
        response.error = wire_bytes(buffer_slice(&error_bytes));
    }
    Retable__V1__SessionResponse message = RETABLE__V1__SESSION_RESPONSE__INIT;
    Retable__V1__Response *responses[] = {&response};
    message.responses = responses;
    message.n_responses = 1;
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    wire_encode(&message.base, &buffer);
    check(rpc_stream_send(stream, buffer_slice(&buffer)));
}

static void on_session(void *context, struct rpc_stream *stream, struct slice message)
{
    (void)context;
    CLEANUP(arena_releasep) struct arena arena = {0};
    Retable__V1__SessionRequest *request = NULL;
    check(WIRE_DECODE(&arena, retable__v1__session_request, message, &request));
    for (size_t i = 0; i < request->n_requests; i++) answer(stream, request->requests[i]);
}

static void on_closed(void *context, struct rpc_stream *stream, struct error *error)
{
    (void)context;
    (void)stream;
    error_free(error);
}

static void send_output(struct rpc_stream *stream, struct slice output)
{
    Retable__V1__ExecuteResponse response = RETABLE__V1__EXECUTE_RESPONSE__INIT;
    response.output = wire_bytes(output);
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    wire_encode(&response.base, &buffer);
    check(rpc_stream_send(stream, buffer_slice(&buffer)));
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++) {
        if (strcmp(name, *names) == 0) return true;
    }
    return false;
}

static bool has_json(struct slice echo)
{
    return memmem(echo.data, echo.size, "json", 4) != NULL;
}

static bool send_value(
    struct rpc_stream *stream,
    struct arena *arena,
    const char *command,
    struct slice path,
    struct slice echo)
{
    static const char *const SCALAR[] = {
        "create", "exists", "start_transaction", "generate_timestamp", NULL};
    static int state_count = 0;
    struct node *value = NULL;
    if (is_one_of(command, SCALAR)) {
        value = node_map(arena);
        node_set_text(arena, value, "id", node_string(arena, echo));
    } else if (strcmp(command, "list") == 0) {
        value = node_list(arena);
        node_add(arena, value, node_text(arena, "b"));
        node_add(arena, value, node_text(arena, "a"));
    } else if (strcmp(command, "get") == 0 && slice_has_prefix(path, SLICE_OF("="))) {
        check(yson_parse(arena, slice_from(path.data + 1, path.size - 1), &value));
    } else if (strcmp(command, "get") == 0 && memmem(path.data, path.size, "@tablet_state", 13)) {
        value = node_text(arena, state_count++ == 0 ? "transient" : "mounted");
    } else if (strcmp(command, "get_tracker_status") == 0 && !has_json(echo)) {
        static const char STATUS[] =
            "[{path=\"//home\";replicas=[{cluster_name=first;mode=sync;in_sync=%true;"
            "replication_lag_time=0};{cluster_name=second;mode=async;in_sync=%false;"
            "replication_lag_time=1200}]}]";
        check(yson_parse(arena, slice_from_text(STATUS), &value));
    }
    if (!value) return false;
    CLEANUP(buffer_releasep) struct buffer output = {0};
    yson_print(value, YSON_PRETTY, &output);
    send_output(stream, buffer_slice(&output));
    return true;
}

static struct error *execute(
    struct rpc_stream *stream, struct arena *arena, const Retable__V1__ExecuteRequest *request)
{
    if (strcmp(request->command, "die") == 0) _exit(0);
    if (strcmp(request->command, "refuse") == 0)
        return error_new(ERROR_RESOLVE_ERROR, "Node //home has no child with key \"x\"");
    struct node *parameters = NULL;
    struct slice path = {0};
    TRY(yson_parse(arena, wire_slice(request->parameters), &parameters));
    TRY(node_get_string(parameters, "path", &path));
    CLEANUP(buffer_releasep) struct buffer echo = {0};
    buffer_print(&echo, "%s ", request->command);
    size_t name_size = echo.size;
    yson_print(parameters, YSON_TEXT, &echo);
    buffer_append_text(&echo, " ");
    buffer_append_slice(&echo, wire_slice(request->input));
    if (slice_equal_text(path, "//echo"))
        return error_new(ERROR_GENERIC, "%.*s", SLICE(buffer_slice(&echo)));
    if (slice_equal_text(path, "//refuse")) {
        struct error *inner = error_new(ERROR_RESOLVE_ERROR, "Node // has no child \"refuse\"");
        return error_wrap(inner, ERROR_GENERIC, "Error resolving path //refuse");
    }
    if (send_value(stream, arena, request->command, path, buffer_slice(&echo))) return NULL;
    buffer_append_text(&echo, "\n");
    send_output(stream, slice_from(echo.data, name_size));
    send_output(stream, slice_from(echo.data + name_size, echo.size - name_size));
    return NULL;
}

static void on_execute(void *context, struct rpc_stream *stream, struct slice message)
{
    (void)context;
    CLEANUP(arena_releasep) struct arena arena = {0};
    Retable__V1__ExecuteRequest *request = NULL;
    check(WIRE_DECODE(&arena, retable__v1__execute_request, message, &request));
    if (strcmp(request->command, "silent") == 0) return;
    rpc_stream_finish(stream, execute(stream, &arena, request));
}

static void on_nothing(void *context, struct rpc_stream *stream)
{
    (void)context;
    (void)stream;
}

// Sends the query back, twice, and then its placeholders as statistics, if these are asked for.
static void on_select(void *context, struct rpc_stream *stream, struct slice message)
{
    (void)context;
    CLEANUP(arena_releasep) struct arena arena = {0};
    Retable__V1__SelectRequest *request = NULL;
    check(WIRE_DECODE(&arena, retable__v1__select_request, message, &request));
    Retable__V1__SelectResponse response = RETABLE__V1__SELECT_RESPONSE__INIT;
    response.rowset = wire_bytes(slice_from_text(request->query));
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    wire_encode(&response.base, &buffer);
    check(rpc_stream_send(stream, buffer_slice(&buffer)));
    if (request->enable_statistics) response.statistics = request->placeholder_values;
    buffer_clear(&buffer);
    wire_encode(&response.base, &buffer);
    check(rpc_stream_send(stream, buffer_slice(&buffer)));
    rpc_stream_finish(stream, NULL);
}

static const struct rpc_stream_handler SESSION = {
    .on_message = on_session,
    .on_closed = on_closed,
};
static const struct rpc_stream_handler EXECUTE = {
    .on_message = on_execute,
    .on_end = on_nothing,
    .on_closed = on_closed,
};
static const struct rpc_stream_handler SELECT = {
    .on_message = on_select,
    .on_closed = on_closed,
};

static const struct rpc_method METHODS[] = {
    {.path = "/retable.v1.Client/Session", .kind = RPC_STREAM, .stream = &SESSION},
    {.path = "/retable.v1.Client/Execute", .kind = RPC_STREAM, .stream = &EXECUTE},
    {.path = "/retable.v1.Client/Select", .kind = RPC_SERVER_STREAM, .stream = &SELECT},
};

// Listens at a port, 0 for any, and says at which.
static void serve(int port, int port_pipe)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); // With its keeper.
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    struct rpc *rpc = rpc_new(&(struct rpc_options){0});
    check(rpc_listen(rpc, address, METHODS, 3, &port));
    if (write(port_pipe, &port, sizeof port) != sizeof port) exit(1);
    for (;;) rpc_poll(rpc, RPC_NEVER);
}

// Starts the server, and again at the same port if it asks for that by its exit code.
static void keep(int port_pipe)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); // A failed test does not stop it.
    int port = 0;
    int status = 0;
    do {
        bool is_first = port == 0;
        if (!is_first) usleep(ABSENCE_US);
        int own_pipe[2];
        if (pipe(own_pipe) != 0) abort();
        pid_t pid = fork();
        if (pid == 0) serve(port, own_pipe[1]);
        if (read(own_pipe[0], &port, sizeof port) != sizeof port) abort();
        close(own_pipe[0]);
        close(own_pipe[1]);
        if (is_first && write(port_pipe, &port, sizeof port) != sizeof port) abort();
        waitpid(pid, &status, 0);
    } while (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_AGAIN);
    _exit(0);
}

pid_t fake_server_start(const char **ret_address)
{
    static char address[32];
    int port_pipe[2];
    if (pipe(port_pipe) != 0) abort();
    pid_t pid = fork();
    if (pid == 0) keep(port_pipe[1]);
    int port = 0;
    if (read(port_pipe[0], &port, sizeof port) != sizeof port) abort();
    close(port_pipe[0]);
    close(port_pipe[1]);
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    *ret_address = address;
    return pid;
}

void fake_server_stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
