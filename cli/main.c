// The command line of retable, with the spellings of YTsaurus's `yt`: a command becomes a call of
// Execute.

#include "base/buffer.h"
#include "cli/arguments.h"
#include "cli/clusters.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/report.h"
#include "client/retable.h"
#include "io/clock.h"
#include "model/yson.h"

#include <errno.h>
#include <unistd.h>

#define SYNC_TIMEOUT_US UINT64_C(60000000)

enum {
    INPUT_SIZE_MAX = 15 << 20, // A request has to fit into a message.
    SYNC_PERIOD_US = 50000,
    WATCH_PERIOD_US = 1000000,
    COMMAND_TIMEOUT_MS = 120000,
};

static struct error *read_standard_input(struct buffer *input)
{
    buffer_init(input, INPUT_SIZE_MAX);
    for (;;) {
        char piece[65536];
        ssize_t size = read(STDIN_FILENO, piece, sizeof piece);
        if (size == 0) break;
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return error_new(ERROR_GENERIC, "Cannot read standard input: %m");
        buffer_append(input, piece, (size_t)size);
        TRY(buffer_check(input, "Standard input"));
    }
    return NULL;
}

static struct error *find_input(const struct invocation *invocation, struct buffer *input)
{
    const char *fixed = invocation->command->fixed_input;
    if (fixed) buffer_append_text(input, fixed);
    switch (invocation->command->input) {
    case INPUT_NONE: return NULL;
    case INPUT_VALUE:
        if (!invocation->has_input) return read_standard_input(input);
        buffer_append_slice(input, invocation->input);
        return NULL;
    case INPUT_KEYS: {
        bool all_keys = false;
        TRY(node_get_boolean(invocation->parameters, "all_keys", &all_keys));
        return all_keys ? NULL : read_standard_input(input);
    }
    case INPUT_ROWS: return read_standard_input(input);
    }
    return NULL;
}

// What the server calls a command.
static const char *execute_name(struct arena *arena, const struct command *command)
{
    if (command->execute) return command->execute;
    char *name = arena_print(arena, "%s", command->name);
    for (char *p = name; *p; p++) {
        if (*p == '-') *p = '_';
    }
    return name;
}

static void print_piece(void *context, struct slice piece)
{
    fwrite(piece.data, 1, piece.size, context);
}

static void keep_piece(void *context, struct slice piece)
{
    buffer_append_slice(context, piece);
}

static struct error *execute(
    struct retable_client *client,
    const char *name,
    const struct node *parameters,
    struct slice input,
    struct buffer *response_parameters,
    retable_output *output,
    void *context)
{
    CLEANUP(buffer_releasep) struct buffer text = {0};
    yson_print(parameters, YSON_BINARY, &text);
    struct retable_execute request = {
        .command = name,
        .parameters = buffer_slice(&text),
        .input = input,
        .timeout_ms = COMMAND_TIMEOUT_MS,
        .response_parameters = response_parameters,
    };
    return retable_execute(client, &request, output, context);
}

static struct error *get(
    struct retable_client *client, struct arena *arena, const char *path, struct node **ret_node)
{
    struct node *format = node_text(arena, "yson");
    node_set_attribute(arena, format, "format", node_text(arena, "binary"));
    struct node *parameters = node_map(arena);
    node_set_text(arena, parameters, "path", node_text(arena, path));
    node_set_text(arena, parameters, "output_format", format);
    node_set_text(arena, parameters, "return_only_value", node_boolean(arena, true));
    CLEANUP(buffer_releasep) struct buffer answer = {0};
    TRY(execute(client, "get", parameters, (struct slice){0}, NULL, keep_piece, &answer));
    return yson_parse(arena, buffer_slice(&answer), ret_node);
}

// Whether all tablets that the command was about are in a state: the whole table's, or, if it was
// about some of them, theirs.
static struct error *check_state(
    struct retable_client *client, const struct node *parameters, const char *state, bool *ret_done)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct slice path = {0};
    TRY(node_get_string(parameters, "path", &path));
    bool is_range = node_find_text(parameters, "first_tablet_index") ||
                    node_find_text(parameters, "last_tablet_index");
    struct node *node = NULL;
    if (!is_range) {
        TRY(get(client, &arena, arena_print(&arena, "%.*s/@tablet_state", SLICE(path)), &node));
        *ret_done = node->type == NODE_STRING && slice_equal_text(node->string, state);
        return NULL;
    }
    uint64_t first = 0;
    uint64_t last = UINT64_MAX;
    TRY(node_get_uint64(parameters, "first_tablet_index", &first));
    TRY(node_get_uint64(parameters, "last_tablet_index", &last));
    TRY(get(client, &arena, arena_print(&arena, "%.*s/@tablets", SLICE(path)), &node));
    *ret_done = true;
    for (uint64_t i = first; node->type == NODE_LIST && i < node->count && i <= last; i++) {
        struct slice tablet_state = {0};
        TRY(node_get_string(node->entries[i].value, "state", &tablet_state));
        *ret_done &= slice_equal_text(tablet_state, state);
    }
    return NULL;
}

static struct error *wait_for_state(
    struct retable_client *client, const struct invocation *invocation)
{
    const struct command *command = invocation->command;
    bool freeze = false;
    TRY(node_get_boolean(invocation->parameters, "freeze", &freeze));
    const char *state = freeze && command->frozen_state ? command->frozen_state : command->state;
    uint64_t end_us = clock_now_us() + SYNC_TIMEOUT_US;
    for (;;) {
        bool is_done = false;
        TRY(check_state(client, invocation->parameters, state, &is_done));
        if (is_done) return NULL;
        if (clock_now_us() > end_us)
            return error_new(ERROR_TIMEOUT, "Tablets did not become %s in time", state);
        usleep(SYNC_PERIOD_US);
    }
}

// Beside the output, not in it.
static struct error *print_response(struct arena *arena, const struct buffer *parameters)
{
    struct node *node = NULL;
    CLEANUP(buffer_releasep) struct buffer text = {0};
    TRY(yson_parse(arena, buffer_slice(parameters), &node));
    yson_print(node, YSON_PRETTY, &text);
    fprintf(stderr, "%.*s\n", SLICE(buffer_slice(&text)));
    return NULL;
}

static struct error *run(struct retable_client *client, const struct invocation *invocation)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer input = {0};
    CLEANUP(buffer_releasep) struct buffer answer = {0};
    CLEANUP(buffer_releasep) struct buffer response_parameters = {0};
    const struct command *command = invocation->command;
    TRY(find_input(invocation, &input));

    bool is_streamed = command->output == OUTPUT_ROWS;
    TRY(execute(
        client,
        execute_name(&arena, command),
        invocation->parameters,
        buffer_slice(&input),
        &response_parameters,
        is_streamed ? print_piece : keep_piece,
        is_streamed ? (void *)stdout : (void *)&answer));
    if (!is_streamed) {
        TRY(buffer_check(&answer, "The answer"));
        bool has_format = invocation->has_format;
        TRY(output_print(command, has_format, buffer_slice(&answer), stdout));
    }
    if (response_parameters.size > 0) TRY(print_response(&arena, &response_parameters));
    return invocation->wants_sync ? wait_for_state(client, invocation) : NULL;
}

// Prints it every second, on a cleared terminal, until it fails or is interrupted.
static struct error *watch(struct retable_client *client, const struct invocation *invocation)
{
    while (fflush(stdout) == 0) {
        if (isatty(STDOUT_FILENO)) printf("\033[H\033[2J");
        TRY(run(client, invocation));
        fflush(stdout);
        usleep(WATCH_PERIOD_US);
    }
    return NULL;
}

static enum exit_code report_usage(const struct error *error, const struct command *command)
{
    fprintf(stderr, "%s\n", error_message(error));
    const struct error *inner = error_inner(error);
    if (inner) fprintf(stderr, "    %s\n", error_message(inner));
    help_print_usage(command, stderr);
    fprintf(stderr, "See retable %s%s--help\n", command ? command->name : "", command ? " " : "");
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct invocation invocation;
    CLEANUP(error_freep)
    struct error *wrong = arguments_parse(&arena, argc - 1, argv + 1, &invocation);
    if (wrong) return (int)report_usage(wrong, invocation.command);
    if (invocation.wants_help) {
        help_print(invocation.command, stdout);
        return EXIT_DONE;
    }
    const char *address = NULL;
    CLEANUP(error_freep) struct error *unknown = clusters_find(&arena, invocation.proxy, &address);
    if (unknown) {
        fprintf(stderr, "%s\n", error_message(unknown));
        return EXIT_USAGE;
    }
    struct retable_client *client = retable_client_new(address, &(struct retable_options){0});
    const char *user = invocation.user ? invocation.user : getenv("YT_USER");
    CLEANUP(error_freep) struct error *error = retable_client_identify(client, NULL, user);
    if (!error)
        error = invocation.wants_watch ? watch(client, &invocation) : run(client, &invocation);
    if (fflush(stdout) != 0 && !error)
        error = error_new(ERROR_GENERIC, "Cannot write to standard output: %m");
    if (error) report_error(error, stderr);
    retable_client_free(client);
    return (int)report_exit_code(error);
}
