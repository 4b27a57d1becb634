// Measures io/rpc.h: unary calls and messages of streams between two processes, alone (latency) and
// many at a time (throughput). Usage: rpc_ping [seconds for each figure] [message size] [spin us]

#include "io/clock.h"
#include "io/rpc.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_echo(void *context, struct rpc_call *call, struct slice request)
{
    (void)context;
    rpc_call_reply(call, request);
}

static void on_server_message(void *context, struct rpc_stream *stream, struct slice message)
{
    (void)context;
    error_free(rpc_stream_send(stream, message)); // A full queue would only stop the benchmark.
}

static void on_server_closed(void *context, struct rpc_stream *stream, struct error *error)
{
    (void)context;
    (void)stream;
    error_free(error);
}

static const struct rpc_stream_handler SERVER_HANDLER = {
    .on_message = on_server_message,
    .on_closed = on_server_closed,
};

static const struct rpc_method METHODS[] = {
    {.path = "/bench.Ping/Unary", .kind = RPC_UNARY, .on_call = on_echo},
    {.path = "/bench.Ping/Stream", .kind = RPC_STREAM, .stream = &SERVER_HANDLER},
};

// Tells its port through the pipe, then serves until it is killed.
static void serve(int port_pipe, uint64_t spin_us)
{
    struct rpc *rpc = rpc_new(&(struct rpc_options){.spin_us = spin_us});
    int port = 0;
    struct error *error = rpc_listen(rpc, "127.0.0.1:0", METHODS, 2, &port);
    if (error) {
        error_print(error, stderr);
        exit(1);
    }
    if (write(port_pipe, &port, sizeof port) != sizeof port) exit(1);
    for (;;) rpc_poll(rpc, RPC_NEVER);
}

struct client {
    struct rpc *rpc;
    struct rpc_channel *channel;
    struct rpc_stream *stream;
    struct slice message;
    uint64_t end_us;
    uint64_t done_count;
    uint64_t waiting_count;
};

static void on_reply(void *context, struct error *error, struct slice reply);

static void start_unary(struct client *client)
{
    client->waiting_count++;
    rpc_unary(
        client->channel,
        "/bench.Ping/Unary",
        client->message,
        client->end_us + 10000000,
        on_reply,
        client);
}

static void start_message(struct client *client)
{
    client->waiting_count++;
    error_free(rpc_stream_send(client->stream, client->message));
}

static void on_reply(void *context, struct error *error, struct slice reply)
{
    (void)reply;
    struct client *client = context;
    if (error) {
        error_print(error, stderr);
        exit(1);
    }
    client->waiting_count--;
    client->done_count++;
    if (clock_now_us() < client->end_us) start_unary(client);
}

static void on_message(void *context, struct rpc_stream *stream, struct slice message)
{
    (void)stream;
    (void)message;
    struct client *client = context;
    client->waiting_count--;
    client->done_count++;
    if (clock_now_us() < client->end_us) start_message(client);
}

static void on_closed(void *context, struct rpc_stream *stream, struct error *error)
{
    struct client *client = context;
    (void)stream;
    client->stream = NULL;
    error_free(error);
}

static const struct rpc_stream_handler CLIENT_HANDLER = {
    .on_message = on_message,
    .on_closed = on_closed,
};

static void measure(
    struct client *client,
    const char *name,
    void (*start)(struct client *),
    int depth,
    double seconds)
{
    uint64_t start_us = clock_now_us();
    client->end_us = start_us + (uint64_t)(seconds * 1e6);
    client->done_count = 0;
    for (int i = 0; i < depth; i++) start(client);
    while (client->waiting_count > 0) rpc_poll(client->rpc, RPC_NEVER);
    double spent_us = (double)(clock_now_us() - start_us);
    double rate = (double)client->done_count * 1e6 / spent_us;
    printf("%-6s depth=%-4d %9.0f/s %8.1f us\n", name, depth, rate, 1e6 * depth / rate);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 1;
    size_t size = argc > 2 ? strtoul(argv[2], NULL, 10) : 100;
    uint64_t spin_us = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    int port_pipe[2];
    if (pipe(port_pipe) != 0) return 1;
    pid_t server = fork(); // Before gRPC starts its threads.
    if (server == 0) serve(port_pipe[1], spin_us);
    int port = 0;
    if (read(port_pipe[0], &port, sizeof port) != sizeof port) return 1;

    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    char *bytes = must_alloc(calloc(1, size + 1));
    struct client client = {.rpc = rpc_new(&(struct rpc_options){.spin_us = spin_us})};
    client.message = slice_from(bytes, size);
    client.channel = rpc_channel_open(client.rpc, address, &(struct rpc_channel_options){0});
    client.stream = rpc_stream_open(client.channel, "/bench.Ping/Stream", &CLIENT_HANDLER, &client);
    measure(&client, "warmup", start_unary, 16, seconds / 4);
    const int depths[] = {1, 16, 64, 256};
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++)
        measure(&client, "unary", start_unary, depths[i], seconds);
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++)
        measure(&client, "stream", start_message, depths[i], seconds);
    rpc_free(client.rpc);
    free(bytes);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    return 0;
}
