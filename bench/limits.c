// The parts that a commit is made of, each alone: what it would take if nothing else cost anything.

#include "bench/data.h"
#include "bench/report.h"
#include "bench/workload.h"
#include "io/clock.h"
#include "io/rocks_store.h"
#include "io/rpc.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNARY_PATH  "/bench.Limits/Echo"
#define STREAM_PATH "/bench.Limits/EchoStream"
#define STORE_PATH  "/bench.Limits/StoreStream"

enum { BLOCK_SIZE = 4096, FILE_SIZE = 64 << 20, PARALLEL_COUNT = 16 };

struct limits {
    const struct workload_options *options;
    struct slice message;
    uint64_t duration_us; // Of each measurement.
    struct report report;
};

// ---------------------------------------------------------------- the disk

static struct error *measure_disk(struct limits *limits)
{
    CLEANUP(buffer_releasep) struct buffer path = {0};
    buffer_print(&path, "%s/fdatasync", limits->options->data_dir);
    buffer_append_byte(&path, 0);
    int file = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return error_new(ERROR_GENERIC, "Cannot make file %s: %m", path.data);
    static char block[BLOCK_SIZE];
    bool is_good = true;
    for (off_t at = 0; at < FILE_SIZE && is_good; at += BLOCK_SIZE)
        is_good = pwrite(file, block, BLOCK_SIZE, at) == BLOCK_SIZE;
    is_good = is_good && fsync(file) == 0;

    struct histogram times = {0};
    uint64_t end_us = clock_now_us() + limits->duration_us;
    uint64_t now_us = clock_now_us();
    for (off_t at = 0; now_us < end_us && is_good; at = (at + BLOCK_SIZE) % FILE_SIZE) {
        memset(block, (int)at, sizeof block);
        is_good = pwrite(file, block, BLOCK_SIZE, at) == BLOCK_SIZE && fdatasync(file) == 0;
        uint64_t done_us = clock_now_us();
        histogram_add(&times, done_us - now_us);
        now_us = done_us;
    }
    struct error *error = NULL;
    if (!is_good) error = error_new(ERROR_GENERIC, "Cannot write file %s: %m", path.data);
    close(file);
    unlink(path.data);
    if (!error) report_latency(&limits->report, "fdatasync_", &times);
    return error;
}

static struct error *open_store(const char *data_dir, const char *name, struct store **ret_store)
{
    CLEANUP(buffer_releasep) struct buffer path = {0};
    buffer_print(&path, "%s/%s", data_dir, name);
    buffer_append_byte(&path, 0);
    return rocks_store_open(path.data, &(struct rocks_store_options){0}, ret_store);
}

static struct error *put_synced(struct store *store, uint64_t key, struct slice value)
{
    struct store_batch batch = {0};
    uint64_t big = __builtin_bswap64(key);
    store_batch_put(&batch, STORE_DATA, slice_from(&big, sizeof big), value);
    struct error *error = store_apply(store, &batch);
    store_batch_release(&batch);
    return error ? error : store_sync(store);
}

static struct error *measure_store(struct limits *limits)
{
    struct store *store = NULL;
    TRY(open_store(limits->options->data_dir, "limits-client", &store));
    struct histogram times = {0};
    struct error *error = NULL;
    uint64_t now_us = clock_now_us();
    uint64_t end_us = now_us + limits->duration_us;
    for (uint64_t key = 0; now_us < end_us && !error; key++) {
        error = put_synced(store, key, limits->message);
        uint64_t done_us = clock_now_us();
        histogram_add(&times, done_us - now_us);
        now_us = done_us;
    }
    store_close(store);
    if (!error) report_latency(&limits->report, "store_put_", &times);
    return error;
}

// ---------------------------------------------------------------- TCP

static bool transfer(int socket, char *data, size_t size, bool is_sending)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = is_sending ? send(socket, data + done, size - done, MSG_NOSIGNAL)
                                   : recv(socket, data + done, size - done, 0);
        if (count <= 0) return false;
        done += (size_t)count;
    }
    return true;
}

static void set_no_delay(int socket)
{
    int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void serve_tcp(int listener, size_t size)
{
    char *data = must_alloc(malloc(size));
    int socket = accept(listener, NULL, NULL);
    set_no_delay(socket);
    while (transfer(socket, data, size, false) && transfer(socket, data, size, true)) {
    }
    _exit(0);
}

static struct error *measure_tcp(struct limits *limits)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return error_new(ERROR_GENERIC, "Cannot listen on the loopback interface: %m");
    pid_t server = fork();
    if (server == 0) serve_tcp(listener, limits->message.size);
    close(listener);

    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_good = connect(client, (struct sockaddr *)&address, size) == 0;
    set_no_delay(client);
    char *data = must_alloc(calloc(1, limits->message.size));
    struct histogram times = {0};
    uint64_t now_us = clock_now_us();
    uint64_t end_us = now_us + limits->duration_us;
    while (now_us < end_us && is_good) {
        is_good = transfer(client, data, limits->message.size, true) &&
                  transfer(client, data, limits->message.size, false);
        uint64_t done_us = clock_now_us();
        histogram_add(&times, done_us - now_us);
        now_us = done_us;
    }
    free(data);
    close(client);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    if (!is_good) return error_new(ERROR_GENERIC, "The loopback connection broke");
    report_latency(&limits->report, "tcp_", &times);
    return NULL;
}

// ---------------------------------------------------------------- gRPC

static void die(struct error *error)
{
    if (!error) return;
    error_print(error, stderr);
    _exit(1);
}

static void on_echo(void *context, struct rpc_call *call, struct slice request)
{
    (void)context;
    rpc_call_reply(call, request);
}

static void on_echo_message(void *context, struct rpc_stream *stream, struct slice message)
{
    (void)context;
    die(rpc_stream_send(stream, message));
}

struct peer {
    struct store *store;
    uint64_t key;
};

static void on_store_message(void *context, struct rpc_stream *stream, struct slice message)
{
    struct peer *peer = context;
    die(put_synced(peer->store, peer->key++, message));
    die(rpc_stream_send(stream, message));
}

static void on_peer_closed(void *context, struct rpc_stream *stream, struct error *error)
{
    (void)context;
    (void)stream;
    error_free(error);
}

// Tells its port through the pipe, then serves until it is killed.
static void serve_rpc(int port_pipe, const char *data_dir)
{
    static const struct rpc_stream_handler ECHO = {
        .on_message = on_echo_message,
        .on_closed = on_peer_closed,
    };
    static const struct rpc_stream_handler STORE = {
        .on_message = on_store_message,
        .on_closed = on_peer_closed,
    };
    struct peer peer = {0};
    const struct rpc_method methods[] = {
        {.path = UNARY_PATH, .kind = RPC_UNARY, .on_call = on_echo},
        {.path = STREAM_PATH, .kind = RPC_STREAM, .stream = &ECHO},
        {.path = STORE_PATH, .kind = RPC_STREAM, .stream = &STORE, .context = &peer},
    };
    die(open_store(data_dir, "limits-server", &peer.store));
    struct rpc *rpc = rpc_new(&(struct rpc_options){0});
    int port = 0;
    die(rpc_listen(rpc, "127.0.0.1:0", methods, 3, &port));
    if (write(port_pipe, &port, sizeof port) != sizeof port) _exit(1);
    for (;;) rpc_poll(rpc, RPC_NEVER);
}

// One measurement: `depth` messages under way, by calls or on a stream.
struct exchange {
    struct limits *limits;
    struct rpc *rpc;
    struct rpc_channel *channel;
    struct rpc_stream *stream; // NULL for calls.
    uint64_t *started_us;      // Of those under way: streams keep the order. Round the array.
    uint32_t depth;
    uint64_t sent_count;
    uint64_t done_count;
    uint64_t begin_us;
    uint64_t end_us;
    uint64_t counted; // Within that time.
    struct histogram times;
    struct error *error;
};

static void on_reply(void *context, struct error *error, struct slice reply);

static void send_message(struct exchange *exchange)
{
    exchange->started_us[exchange->sent_count++ % exchange->depth] = clock_now_us();
    struct slice message = exchange->limits->message;
    if (exchange->stream) {
        struct error *error = rpc_stream_send(exchange->stream, message);
        if (error && !exchange->error) exchange->error = error;
    } else {
        uint64_t deadline_us = exchange->end_us + 10000000;
        rpc_unary(exchange->channel, UNARY_PATH, message, deadline_us, on_reply, exchange);
    }
}

static void on_answer(struct exchange *exchange)
{
    uint64_t now_us = clock_now_us();
    uint64_t started_us = exchange->started_us[exchange->done_count++ % exchange->depth];
    if (started_us >= exchange->begin_us && now_us < exchange->end_us) {
        histogram_add(&exchange->times, now_us - started_us);
        exchange->counted++;
    }
    if (now_us < exchange->end_us) send_message(exchange);
}

static void on_reply(void *context, struct error *error, struct slice reply)
{
    (void)reply;
    struct exchange *exchange = context;
    if (error) {
        if (exchange->error) error_free(exchange->error);
        exchange->error = error;
    }
    on_answer(exchange);
}

static void on_message(void *context, struct rpc_stream *stream, struct slice message)
{
    (void)stream;
    (void)message;
    on_answer(context);
}

static void on_closed(void *context, struct rpc_stream *stream, struct error *error)
{
    (void)stream;
    struct exchange *exchange = context;
    exchange->stream = NULL;
    if (!error) error = error_new(ERROR_GENERIC, "The stream ended");
    if (exchange->error) error_free(exchange->error);
    exchange->error = error;
}

static const struct rpc_stream_handler HANDLER = {
    .on_message = on_message,
    .on_closed = on_closed,
};

static struct error *run_exchange(
    struct limits *limits,
    struct rpc_channel *channel,
    struct rpc *rpc,
    const char *stream_path,
    uint32_t depth,
    struct exchange *ret_exchange)
{
    struct exchange *exchange = ret_exchange;
    *exchange = (struct exchange){.limits = limits, .rpc = rpc, .channel = channel, .depth = depth};
    exchange->started_us = must_alloc(calloc(depth, sizeof *exchange->started_us));
    if (stream_path) exchange->stream = rpc_stream_open(channel, stream_path, &HANDLER, exchange);
    exchange->begin_us = clock_now_us() + limits->duration_us / 4;
    exchange->end_us = exchange->begin_us + limits->duration_us;
    for (uint32_t i = 0; i < depth; i++) send_message(exchange);
    while (exchange->done_count < exchange->sent_count && !exchange->error)
        rpc_poll(rpc, RPC_NEVER);
    if (exchange->stream) rpc_stream_drop(exchange->stream, error_new(ERROR_CANCELED, "Done"));
    free(exchange->started_us);
    return exchange->error;
}

static struct error *measure_exchanges(struct limits *limits, int port)
{
    static const struct {
        const char *name;
        const char *stream_path;
        uint32_t depth;
    } EXCHANGES[] = {
        {"unary_", NULL, 1},
        {"stream_", STREAM_PATH, 1},
        {"stream_put_", STORE_PATH, 1},
        {"unary_parallel_", NULL, PARALLEL_COUNT},
        {"stream_parallel_", STREAM_PATH, PARALLEL_COUNT},
    };
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    struct rpc *rpc = rpc_new(&(struct rpc_options){0});
    struct rpc_channel *channel = rpc_channel_open(rpc, address, &(struct rpc_channel_options){0});
    struct exchange *exchange = must_alloc(calloc(1, sizeof *exchange));
    struct error *error = NULL;
    for (size_t i = 0; i < sizeof EXCHANGES / sizeof *EXCHANGES && !error; i++) {
        const char *path = EXCHANGES[i].stream_path;
        error = run_exchange(limits, channel, rpc, path, EXCHANGES[i].depth, exchange);
        if (error) break;
        report_latency(&limits->report, EXCHANGES[i].name, &exchange->times);
        char name[64];
        snprintf(name, sizeof name, "%sper_s", EXCHANGES[i].name);
        double seconds = (double)limits->duration_us / 1e6;
        report_number(&limits->report, name, (double)exchange->counted / seconds);
    }
    free(exchange);
    rpc_free(rpc);
    return error;
}

static struct error *measure_rpc(struct limits *limits)
{
    int port_pipe[2];
    if (pipe2(port_pipe, O_CLOEXEC) != 0) return error_new(ERROR_GENERIC, "Cannot make a pipe: %m");
    pid_t server = fork(); // Before gRPC and RocksDB start their threads.
    if (server == 0) serve_rpc(port_pipe[1], limits->options->data_dir);
    close(port_pipe[1]);
    int port = 0;
    struct error *error = NULL;
    if (read(port_pipe[0], &port, sizeof port) == sizeof port) {
        error = measure_exchanges(limits, port);
    } else {
        error = error_new(ERROR_GENERIC, "The server of the measurement does not start");
    }
    close(port_pipe[0]);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    return error;
}

struct error *workload_limits(const struct workload_options *options)
{
    if (!options->data_dir) return error_new(ERROR_GENERIC, "Workload limits needs --data-dir");
    struct limits limits = {
        .options = options,
        .message = data_value(0, options->value_size),
        .duration_us = options->duration_us,
        .report = report_begin("limits"),
    };
    TRY(measure_tcp(&limits));
    TRY(measure_rpc(&limits));
    TRY(measure_disk(&limits));
    TRY(measure_store(&limits));
    report_end(&limits.report);
    return NULL;
}
