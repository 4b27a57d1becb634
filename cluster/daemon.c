#include "cluster/daemon.h"

#include "cluster/client_face.h"
#include "cluster/forwards.h"
#include "cluster/health_face.h"
#include "cluster/http_face.h"
#include "cluster/links.h"
#include "cluster/readers.h"
#include "cluster/reads.h"
#include "io/clock.h"
#include "io/config.h"
#include "io/process.h"
#include "io/rocks_store.h"
#include "io/token.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
    MESSAGE_SIZE_MAX =
        128 << 20, // A frame has one record at least, and a transaction may take 64 MiB.
    QUEUE_SIZE_MAX = 256 << 20, // Of one stream.
    LOOKUP_GATHER_COUNT = 8,
    FEED_WINDOW_SIZE = 8 << 20,
    REMEMBERED_WRITE_COUNT_MAX = 1 << 18,
    READER_COUNT = 2,
    DISK_CHECK_PERIOD_US = 100000, // Of turns that happen anyway; statvfs takes a microsecond.
    DISK_RESERVE_SIZE = 64 << 20,
    STOP_GRACE_US = 2000000,
    SYNC_COUNT_MAX = 4, // In one turn; what is still to be synced then comes in the next.
};

struct daemon {
    const struct daemon_options *options; // Borrowed.
    struct config config;
    struct arena secrets;
    char root_token_hash[TOKEN_HASH_SIZE];
    struct log log;
    struct store *store;
    struct loop loop;
    struct client_face *client_face;
    struct health_face *health_face;
    struct http_face *http_face; // NULL if there is none.
    struct links *links;
    struct readers *readers;
    struct rpc_method *methods; // stb array.
    struct request **reads;     // stb array: to be run when what they may see is durable.
    uint64_t disk_check_at_us;
    atomic_int signal; // That asks to stop; 0 if none has.
    pthread_t signal_thread;
    bool has_signal_thread;
};

// -------------------------------------------------------------------------------------------------
// Signals

static sigset_t stop_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

static void *wait_for_signal(void *context)
{
    struct daemon *daemon = context;
    sigset_t signals = stop_signals();
    int number = 0;
    if (sigwait(&signals, &number) != 0) abort();
    atomic_store(&daemon->signal, number);
    rpc_wake(daemon->loop.rpc);
    return NULL;
}

// Before any thread is started, so that all inherit it.
static void block_signals(void)
{
    sigset_t signals = stop_signals();
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void start_signal_thread(struct daemon *daemon)
{
    if (pthread_create(&daemon->signal_thread, NULL, wait_for_signal, daemon) != 0) abort();
    daemon->has_signal_thread = true;
}

static void end_signal_thread(struct daemon *daemon)
{
    if (!daemon->has_signal_thread) return;
    // It sits in sigwait, or has ended. To cancel it would upset AddressSanitizer.
    pthread_kill(daemon->signal_thread, SIGTERM);
    pthread_join(daemon->signal_thread, NULL);
}

// -------------------------------------------------------------------------------------------------
// The data folder

// Makes the folder, with those above it.
static struct error *make_folder(const char *path)
{
    CLEANUP(buffer_releasep) struct buffer part = {0};
    for (const char *c = path;; c++) {
        bool is_end = *c == '\0';
        if ((is_end || *c == '/') && part.size > 0) {
            buffer_append_byte(&part, 0);
            if (mkdir(part.data, 0750) != 0 && errno != EEXIST)
                return error_new(ERROR_GENERIC, "Cannot make data folder %s: %m", path);
            part.size--;
        }
        if (is_end) return NULL;
        buffer_append_byte(&part, (uint8_t)*c);
    }
}

// Replaces a small file as a whole, durably.
static struct error *write_file(const char *path, const char *text)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    const char *draft = arena_print(&arena, "%s.new", path);
    FILE *file = fopen(draft, "we");
    if (!file) return error_new(ERROR_GENERIC, "Cannot write %s: %m", draft);
    bool is_good = fputs(text, file) >= 0 && fflush(file) == 0 && fsync(fileno(file)) == 0;
    is_good = fclose(file) == 0 && is_good;
    if (!is_good || rename(draft, path) != 0)
        return error_new(ERROR_GENERIC, "Cannot write %s: %m", path);
    return NULL;
}

static struct error *sync_folder(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return error_new(ERROR_GENERIC, "Cannot open data folder %s: %m", path);
    bool is_good = fsync(folder) == 0;
    close(folder);
    return is_good ? NULL : error_new(ERROR_GENERIC, "Cannot sync data folder %s: %m", path);
}

// The folder remembers whose it is: a store that has vanished, or another cluster's, is not taken
// for a new one.
static struct error *check_owner(const char *folder, const char *owner_path, const char *name)
{
    FILE *file = fopen(owner_path, "re");
    if (!file && errno == ENOENT) return NULL;
    if (!file) return error_new(ERROR_GENERIC, "Cannot read %s: %m", owner_path);
    char owner[128] = "";
    (void)!fgets(owner, sizeof owner, file); // Nothing is another name.
    fclose(file);
    owner[strcspn(owner, "\n")] = '\0';
    if (strcmp(owner, name) != 0) {
        return error_new(
            ERROR_GENERIC,
            "Data folder %s belongs to cluster \"%s\", this is \"%s\"",
            folder,
            owner,
            name);
    }
    struct arena arena CLEANUP(arena_releasep) = {0};
    const char *current = arena_print(&arena, "%s/store/CURRENT", folder);
    if (access(current, F_OK) == 0) return NULL;
    return error_new(
        ERROR_GENERIC,
        "Data folder %s has lost its store: restore it, or start with an empty folder as a new "
        "cluster",
        folder);
}

static struct error *open_store(struct daemon *daemon)
{
    const struct config *config = &daemon->config;
    struct arena arena CLEANUP(arena_releasep) = {0};
    const char *store_path = arena_print(&arena, "%s/store", config->data_dir);
    const char *owner_path = arena_print(&arena, "%s/cluster", config->data_dir);
    TRY(make_folder(config->data_dir));
    TRY(check_owner(config->data_dir, owner_path, config->cluster_name));
    uint64_t write_buffer_size = config->memory_limit / 8;
    struct rocks_store_options options = {
        // The rest is for requests under way, indexes being built, and gRPC.
        .block_cache_size = config->memory_limit / 4,
        .write_buffer_size = write_buffer_size,
        // What is in memory must still find room as files, and so must abort records and trims.
        .free_size_min = DISK_RESERVE_SIZE + 2 * write_buffer_size,
    };
    TRY(rocks_store_open(store_path, &options, &daemon->store));
    if (access(owner_path, F_OK) == 0) return NULL;
    TRY(write_file(owner_path, arena_print(&arena, "%s\n", config->cluster_name)));
    return sync_folder(config->data_dir);
}

static void check_disk(struct daemon *daemon)
{
    struct loop *loop = &daemon->loop;
    if (loop->now_us < daemon->disk_check_at_us) return;
    daemon->disk_check_at_us = loop->now_us + DISK_CHECK_PERIOD_US;
    struct cell *cell = &loop->machine->cell;
    struct error *error = rocks_store_check_space(daemon->store);
    if (error && !cell->disk_error)
        log_error(&daemon->log, "Disk is almost full, refusing writes", LOG_CAUSE(error));
    if (!error && cell->disk_error) log_info(&daemon->log, "Disk has room again");
    cell_set_disk_error(cell, error);
}

// -------------------------------------------------------------------------------------------------
// The turn

// Answers leave after every few lookups: else clients that wait for one before they ask again would
// all be served in one turn, and then all of them ask while nothing is done here.
static void run_reads(struct daemon *daemon)
{
    const struct cell *cell = &daemon->loop.machine->cell;
    if (cell->urgent_lsn > cell->durable_lsn) return; // They would see what may still vanish.
    size_t lookup_count = 0;
    for (size_t i = 0; i < arr_count(daemon->reads); i++) {
        struct request *request = daemon->reads[i];
        if (request->select) {
            readers_run_query(daemon->readers, request);
        } else {
            daemon->reads[lookup_count++] = request;
        }
    }
    for (size_t i = 0; i < lookup_count; i += LOOKUP_GATHER_COUNT) {
        if (i > 0) client_face_flush(daemon->client_face);
        size_t count = MIN(lookup_count - i, (size_t)LOOKUP_GATHER_COUNT);
        readers_run_lookups(daemon->readers, &daemon->reads[i], count);
    }
    arr_clear(daemon->reads);
}

static void perform(struct daemon *daemon)
{
    struct loop *loop = &daemon->loop;
    for (;;) {
        struct effect *effect = cell_next_effect(&loop->machine->cell);
        if (!effect) break;
        switch (effect->kind) {
        case EFFECT_SEND: links_send(daemon->links, effect->link, effect->message); break;
        case EFFECT_REPLY: loop_answer(loop, effect->request); break;
        case EFFECT_READ: arr_add(daemon->reads, effect->request); break;
        case EFFECT_FORWARD:
            forward_read(loop, daemon->links, effect->request, effect->cluster);
            break;
        }
        free(effect);
    }
    client_face_flush(daemon->client_face); // First: somebody waits for an answer.
    links_flush(daemon->links);
}

// A write or sync that failed leaves everything in flight unknown (R4): only a new start, which
// reads the log, can tell. Nothing is cleaned up, so that nothing more is said to anybody.
static void check_fatal(const struct daemon *daemon, const struct error *error)
{
    if (!error) return;
    log_error(&daemon->log, "Store has failed, stopping", LOG_CAUSE(error));
    _exit(1);
}

static void settle(struct daemon *daemon)
{
    machine_settle(daemon->loop.machine);
    check_fatal(daemon, daemon->loop.machine->cell.fatal);
    perform(daemon);
}

// One turn takes all that has come, steps through it and syncs once, so that everything of the turn
// shares one fsync. The loop's thread syncs by itself: what a thread of its own would save, in
// overlap, it would lose by waking (a hop costs 20 us and more, the sync 70 to 140), and sends have
// left before.
static void run_turn(struct daemon *daemon, uint64_t until_us)
{
    struct loop *loop = &daemon->loop;
    loop->is_ticked = false;
    loop->is_hurried = false;
    rpc_poll(loop->rpc, until_us);
    loop_tick(loop);
    readers_collect(daemon->readers);
    if (daemon->http_face) http_face_collect(daemon->http_face);
    check_disk(daemon);
    settle(daemon);
    for (int i = 0; i < SYNC_COUNT_MAX && machine_needs_sync(loop->machine); i++) {
        check_fatal(daemon, store_sync(daemon->store));
        machine_synced(loop->machine);
        settle(daemon);
    }
    run_reads(daemon);
    client_face_flush(daemon->client_face);
    links_tick(daemon->links); // Last, since a command may have changed which are wanted.
}

static uint64_t wake_at_us(const struct daemon *daemon)
{
    const struct loop *loop = &daemon->loop;
    bool is_now = loop->is_hurried || machine_needs_sync(loop->machine);
    if (is_now || arr_count(daemon->reads) > 0) return 0;
    return MIN(machine_wake_at_us(loop->machine), links_wake_at_us(daemon->links));
}

// -------------------------------------------------------------------------------------------------
// Beginning and end

static uint64_t random_number(void)
{
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != sizeof number) abort(); // Cannot fail for so few.
    return number;
}

static struct error *read_secrets(struct daemon *daemon)
{
    const struct config *config = &daemon->config;
    struct arena *arena = &daemon->secrets;
    struct slice token = {0};
    if (config->root_token_file) {
        TRY(secret_read_file(arena, config->root_token_file, &token));
        token_hash(token, daemon->root_token_hash);
    }
    if (!config->peer_secret_file) return NULL;
    return secret_read_file(arena, config->peer_secret_file, &daemon->loop.peer_secret);
}

static struct error *make_machine(struct daemon *daemon)
{
    const struct config *config = &daemon->config;
    struct cell_options options = {
        .store = daemon->store,
        .cluster_name = slice_from_text(config->cluster_name),
        .is_meta = daemon->options->is_meta,
        .requires_authentication = config->requires_authentication,
        .root_token_hash =
            slice_from(daemon->root_token_hash, config->root_token_file ? TOKEN_HASH_SIZE : 0),
        .cell_tag = config->cell_tag,
        .incarnation = random_number(),
        .seed = random_number(),
        .remembered_write_count_max = REMEMBERED_WRITE_COUNT_MAX,
        .sync_wait_us = config->sync_wait_ms * 1000,
        .commit_timeout_us = config->commit_timeout_ms * 1000,
        .feed_window_size = FEED_WINDOW_SIZE,
    };
    struct loop *loop = &daemon->loop;
    TRY(machine_new(&options, clock_now_us(), clock_wall_us(), &loop->machine));
    loop_tick(loop);
    for (size_t i = 0; i < arr_count(config->peers); i++) {
        machine_set_peer(
            loop->machine,
            slice_from_text(config->peers[i].name),
            slice_from_text(config->peers[i].address));
    }
    return NULL;
}

// Where this process can be reached: from itself, and as far as is known here from elsewhere.
static void set_own_address(struct daemon *daemon, int port)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    const char *address = daemon->config.grpc_address;
    int host_size = (int)(strrchr(address, ':') - address);
    bool is_any = strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;
    char host_name[HOST_NAME_MAX + 1] = {0};
    const char *own = is_any ? "127.0.0.1" : arena_print(&arena, "%.*s", host_size, address);
    bool has_name = is_any && gethostname(host_name, HOST_NAME_MAX) == 0;
    const char *outer = arena_print(&arena, "%s:%d", has_name ? host_name : own, port);
    links_set_own_address(daemon->links, arena_print(&arena, "%s:%d", own, port));
    cell_set_address(&daemon->loop.machine->cell, slice_from_text(outer));
}

static struct error *listen_http(struct daemon *daemon, int *ret_port)
{
    const struct config *config = &daemon->config;
    if (!config->http_address) return NULL;
    struct http_face_options options = {
        .loop = &daemon->loop,
        .address = config->http_address,
        .head_size_max = config->http_head_size,
        .cluster_name = config->cluster_name,
        .version = RETABLE_VERSION,
        .store = daemon->store,
        .cell_tag = config->cell_tag,
    };
    return http_face_open(&options, &daemon->http_face, ret_port);
}

static struct error *listen_at(struct daemon *daemon)
{
    const struct config *config = &daemon->config;
    int port = 0;
    int http_port = 0;
    client_face_methods(daemon->client_face, &daemon->methods);
    health_face_methods(daemon->health_face, &daemon->methods);
    links_methods(daemon->links, &daemon->methods);
    TRY(rpc_listen(
        daemon->loop.rpc,
        config->grpc_address,
        daemon->methods,
        arr_count(daemon->methods),
        &port));
    set_own_address(daemon, port);
    TRY(listen_http(daemon, &http_port));
    log_info(
        &daemon->log,
        "Listening",
        LOG_TEXT("program", daemon->options->program),
        LOG_TEXT("cluster", config->cluster_name),
        LOG_TEXT("address", config->grpc_address),
        LOG_U64("port", (uint64_t)port),
        LOG_TEXT("http_address", config->http_address ? config->http_address : "off"),
        LOG_U64("http_port", (uint64_t)http_port),
        LOG_TEXT("data_dir", config->data_dir));
    if (!config->port_file) return NULL;
    struct arena arena CLEANUP(arena_releasep) = {0};
    return write_file(config->port_file, arena_print(&arena, "%d\n%d\n", port, http_port));
}

static struct error *start(struct daemon *daemon)
{
    struct loop *loop = &daemon->loop;
    process_raise_file_limit();
    TRY(read_secrets(daemon));
    TRY(open_store(daemon));
    loop->log = &daemon->log;
    loop->rpc = rpc_new(&(struct rpc_options){
        .message_size_max = MESSAGE_SIZE_MAX,
        .stream_queue_size_max = QUEUE_SIZE_MAX,
    });
    start_signal_thread(daemon);
    TRY(make_machine(daemon));
    daemon->client_face = client_face_new(loop);
    daemon->health_face = health_face_new();
    daemon->links = links_new(loop);
    daemon->readers = readers_new(loop, daemon->store, READER_COUNT);
    return listen_at(daemon);
}

static void run(struct daemon *daemon)
{
    sd_notify(0, "READY=1\nSTATUS=Serving");
    run_turn(daemon, 0);
    while (atomic_load(&daemon->signal) == 0) run_turn(daemon, wake_at_us(daemon));
}

// Takes nothing new and gives what is under way a little time; what is not answered then never will
// be, as after a crash.
static void stop(struct daemon *daemon)
{
    struct loop *loop = &daemon->loop;
    sd_notify(0, "STOPPING=1\nSTATUS=Stopping");
    log_info(
        &daemon->log,
        "Stopping",
        LOG_TEXT("signal", sigabbrev_np(atomic_load(&daemon->signal))),
        LOG_U64("request_count", loop->request_count));
    loop->is_stopping = true;
    health_face_stop(daemon->health_face);
    rpc_stop_listening(loop->rpc);
    if (daemon->http_face) http_face_stop(daemon->http_face);
    uint64_t end_us = clock_now_us() + STOP_GRACE_US;
    while (loop->request_count > 0 && clock_now_us() < end_us)
        run_turn(daemon, MIN(wake_at_us(daemon), end_us));
    check_fatal(daemon, store_sync(daemon->store));
    log_info(&daemon->log, "Stopped", LOG_U64("request_count", loop->request_count));
    if (readers_count(daemon->readers) > 0) _exit(0); // Queries cannot be cut short otherwise.
}

static void daemon_release(struct daemon *daemon)
{
    end_signal_thread(daemon);
    // First who may be called by others, last what they call.
    http_face_close(daemon->http_face);
    if (daemon->client_face) client_face_stop(daemon->client_face);
    if (daemon->readers) readers_free(daemon->readers);
    rpc_free(daemon->loop.rpc);
    links_free(daemon->links);
    client_face_free(daemon->client_face);
    health_face_free(daemon->health_face);
    for (size_t i = 0; i < arr_count(daemon->reads); i++) request_free(daemon->reads[i]);
    arr_free(daemon->reads);
    arr_free(daemon->methods);
    machine_free(daemon->loop.machine);
    store_close(daemon->store);
    config_release(&daemon->config);
    arena_release(&daemon->secrets);
}

int daemon_main(int argc, char **argv, const struct daemon_options *options)
{
    struct daemon daemon = {.options = options};
    struct error *error = config_load(argc, argv, &daemon.config);
    if (error) {
        fprintf(stderr, "%s: ", options->program);
        error_print(error, stderr);
        error_free(error);
        return 2;
    }
    if (daemon.config.wants_help) config_print_help(options->program, stdout);
    if (daemon.config.wants_version) printf("%s %s\n", options->program, RETABLE_VERSION);
    if (daemon.config.wants_help || daemon.config.wants_version) {
        config_release(&daemon.config);
        return 0;
    }
    daemon.log =
        (struct log){.level = daemon.config.log_level, .stream = stderr, .wall_us = clock_wall_us};
    block_signals();
    error = start(&daemon);
    if (error) {
        log_error(&daemon.log, "Cannot start", LOG_CAUSE(error));
        error_free(error);
        daemon_release(&daemon);
        return 1;
    }
    run(&daemon);
    stop(&daemon);
    daemon_release(&daemon);
    return 0;
}
