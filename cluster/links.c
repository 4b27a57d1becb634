#include "cluster/links.h"

#include "base/containers.h"
#include "cluster/identity.h"
#include "io/replication_wire.h"

#include <assert.h>

#define METHOD "/retable.v1.Replication/Stream"

enum {
    FRAME_SIZE_WANTED = 4 << 20,
    BACKOFF_US_MIN = 50000,
    BACKOFF_US_MAX = 1000000,
    CHECK_PERIOD_US = 1000000, // Of what the machine wants.
    CLUSTER_COUNT_MAX = 1024,
};

struct link {                    // One stream; another one gets another link.
    struct links *links;         // Borrowed.
    struct neighbour *neighbour; // Borrowed; NULL of an incoming link.
    struct rpc_stream *stream;
    uint64_t id;
    bool is_up;              // The machine knows it, or may.
    bool has_spoken;         // Of an outgoing one: the other side takes us.
    bool is_failed;          // Ended by us: nothing more goes in or out.
    struct message **queued; // stb array. Owned.
    UT_hash_handle hh;
};

struct neighbour { // A cluster to which a link is wanted.
    char *cluster;
    char *address;
    struct rpc_channel *channel;
    struct link *link; // Opening or open; NULL while waiting.
    uint64_t retry_at_us;
    uint64_t backoff_us;
    bool is_wanted;
    bool is_loss_logged;
    UT_hash_handle hh;
};

struct links {
    struct loop *loop;            // Borrowed.
    struct neighbour *neighbours; // By name.
    struct link *links;           // By id.
    uint64_t last_id;
    uint64_t check_at_us;
    char *own_address;
};

// -------------------------------------------------------------------------------------------------
// One link

static struct link *add_link(
    struct links *links, struct neighbour *neighbour, struct rpc_stream *stream)
{
    struct link *link = must_alloc(calloc(1, sizeof *link));
    link->links = links;
    link->neighbour = neighbour;
    link->stream = stream;
    link->id = ++links->last_id;
    HASH_ADD(hh, links->links, id, sizeof link->id, link);
    return link;
}

static void free_queued(struct link *link)
{
    for (size_t i = 0; i < arr_count(link->queued); i++) message_free(link->queued[i]);
    arr_clear(link->queued);
}

static void take_down(struct link *link)
{
    free_queued(link);
    if (!link->is_up) return;
    link->is_up = false;
    link->links->loop->is_hurried = true;
    machine_link_down(link->links->loop->machine, link->id);
}

// Forgets a link whose stream is gone, or goes without calling back.
static void remove_link(struct link *link)
{
    struct links *links = link->links;
    take_down(link);
    if (link->neighbour) {
        struct neighbour *neighbour = link->neighbour;
        uint64_t backoff_us = MAX(neighbour->backoff_us, (uint64_t)BACKOFF_US_MIN);
        neighbour->link = NULL;
        neighbour->retry_at_us = links->loop->now_us + backoff_us;
        neighbour->backoff_us = MIN(2 * backoff_us, (uint64_t)BACKOFF_US_MAX);
    }
    HASH_DEL(links->links, link);
    arr_free(link->queued);
    free(link);
}

// Ends a link because of an error, which is taken over. on_closed follows.
static void fail_link(struct link *link, struct error *error)
{
    if (link->is_failed) {
        error_free(error);
        return;
    }
    link->is_failed = true;
    log_warning(
        link->links->loop->log,
        "Link is dropped",
        LOG_TEXT("cluster", link->neighbour ? link->neighbour->cluster : "incoming"),
        LOG_U64("link", link->id),
        LOG_CAUSE(error));
    rpc_stream_finish(link->stream, error);
    take_down(link);
}

static void flush_link(struct link *link)
{
    size_t count = arr_count(link->queued);
    struct error *error = NULL;
    CLEANUP(buffer_releasep) struct buffer frame = {0};
    for (size_t i = 0; i < count && !error;) {
        buffer_clear(&frame);
        i += replication_encode(&link->queued[i], count - i, FRAME_SIZE_WANTED, &frame);
        error = buffer_check(&frame, "A frame of replication");
        if (!error) error = rpc_stream_send(link->stream, buffer_slice(&frame));
    }
    free_queued(link);
    if (error) fail_link(link, error);
}

// A side that does not take us ends the stream before it says anything.
static void greet(struct link *link)
{
    struct neighbour *neighbour = link->neighbour;
    if (!neighbour || link->has_spoken) return;
    link->has_spoken = true;
    neighbour->backoff_us = 0;
    neighbour->is_loss_logged = false;
    log_info(
        link->links->loop->log,
        "Link is up",
        LOG_TEXT("cluster", neighbour->cluster),
        LOG_TEXT("address", neighbour->address),
        LOG_U64("link", link->id));
}

static void on_message(void *context, struct rpc_stream *stream, struct slice bytes)
{
    (void)stream;
    struct link *link = context;
    struct loop *loop = link->links->loop;
    loop_tick(loop);
    if (link->is_failed) return;
    greet(link);
    struct message *message = NULL;
    struct error *error = replication_decode(bytes, &message);
    if (error) {
        fail_link(link, error);
        return;
    }
    while (message) {
        struct message *next = TAKE(message->next);
        machine_receive(loop->machine, link->id, message);
        message = next;
    }
}

// -------------------------------------------------------------------------------------------------
// Incoming

// replicator-identity: who feeds tables here is a cluster that has the secret.
static struct error *check_peer(const struct links *links, const struct rpc_stream *stream)
{
    const struct loop *loop = links->loop;
    struct identity identity;
    struct slice shown = rpc_stream_header(stream, AUTHORIZATION_HEADER_GRPC);
    identity_read(&identity, loop->peer_secret, shown, (struct slice){0});
    if (identity.is_peer || !loop->machine->cell.options.requires_authentication) return NULL;
    return error_new(
        shown.size > 0 ? ERROR_INVALID_CREDENTIALS : ERROR_AUTHENTICATION_ERROR,
        "Cluster \"%.*s\" takes replication from clusters with its peer secret only: set "
        "authentication/peer_secret_file",
        SLICE(buffer_slice(&loop->machine->cell.cluster_name)));
}

static void on_incoming_open(void *context, struct rpc_stream *stream)
{
    struct links *links = context;
    loop_tick(links->loop);
    struct link *link = add_link(links, NULL, stream);
    link->is_up = true;
    rpc_stream_set_context(stream, link);
    struct error *error = check_peer(links, stream);
    if (error) {
        fail_link(link, error);
        return;
    }
    char *peer = rpc_stream_peer(stream);
    log_info(links->loop->log, "Link has come", LOG_TEXT("peer", peer), LOG_U64("link", link->id));
    free(peer);
}

static void on_incoming_closed(void *context, struct rpc_stream *stream, struct error *error)
{
    (void)stream;
    struct link *link = context;
    loop_tick(link->links->loop);
    if (!link->is_failed) {
        log_info(link->links->loop->log, "Link is gone", LOG_U64("link", link->id));
    }
    error_free(error);
    remove_link(link);
}

static const struct rpc_stream_handler INCOMING = {
    .on_open = on_incoming_open,
    .on_message = on_message,
    .on_closed = on_incoming_closed,
};

// -------------------------------------------------------------------------------------------------
// Outgoing

static void on_outgoing_open(void *context, struct rpc_stream *stream)
{
    (void)stream;
    struct link *link = context;
    struct neighbour *neighbour = link->neighbour;
    struct loop *loop = link->links->loop;
    loop_tick(loop);
    if (link->is_failed) return;
    link->is_up = true;
    machine_link_up(loop->machine, link->id, slice_from_text(neighbour->cluster));
}

static void on_outgoing_closed(void *context, struct rpc_stream *stream, struct error *error)
{
    (void)stream;
    struct link *link = context;
    struct neighbour *neighbour = link->neighbour;
    struct loop *loop = link->links->loop;
    loop_tick(loop);
    if (!link->is_failed && !neighbour->is_loss_logged) {
        neighbour->is_loss_logged = true; // Until it is up again.
        log_warning(
            loop->log,
            link->is_up ? "Link is lost, retrying" : "Cannot connect to cluster, retrying",
            LOG_TEXT("cluster", neighbour->cluster),
            LOG_TEXT("address", neighbour->address),
            LOG_CAUSE(error));
    }
    error_free(error);
    remove_link(link);
}

static const struct rpc_stream_handler OUTGOING = {
    .on_open = on_outgoing_open,
    .on_message = on_message,
    .on_closed = on_outgoing_closed,
};

// The analyzer does not follow how uthash takes out what is freed.
// NOLINTBEGIN(clang-analyzer-unix.Malloc)
static void remove_neighbour(struct links *links, struct neighbour *neighbour)
{
    log_info(
        links->loop->log, "Link is not wanted any more", LOG_TEXT("cluster", neighbour->cluster));
    if (neighbour->link) {
        struct link *link = neighbour->link;
        rpc_stream_drop(link->stream, error_new(ERROR_CANCELED, "Link is not wanted any more"));
        remove_link(link);
    }
    rpc_channel_close(neighbour->channel);
    HASH_DEL(links->neighbours, neighbour);
    free(neighbour->cluster);
    free(neighbour->address);
    free(neighbour);
}

static struct neighbour *find_neighbour(const struct links *links, struct slice cluster)
{
    struct neighbour *neighbour = NULL;
    HASH_FIND(hh, links->neighbours, cluster.data, cluster.size, neighbour);
    return neighbour;
}

static void show_secret(const struct links *links, struct rpc_channel *channel)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct slice secret = links->loop->peer_secret;
    if (secret.size == 0) return;
    const char *value = arena_print(&arena, "Peer %.*s", SLICE(secret));
    struct error *error =
        rpc_channel_set_header(channel, AUTHORIZATION_HEADER_GRPC, slice_from_text(value));
    assert(!error); // It was checked when it was read.
    error_free(error);
}

static void want(void *context, struct slice cluster, struct slice address)
{
    struct links *links = context;
    bool is_own = slice_equal(cluster, buffer_slice(&links->loop->machine->cell.cluster_name));
    if (address.size == 0 && is_own && links->own_address)
        address = slice_from_text(links->own_address);
    if (address.size == 0) return;
    struct neighbour *neighbour = find_neighbour(links, cluster);
    if (neighbour && !slice_equal_text(address, neighbour->address)) {
        remove_neighbour(links, neighbour);
        neighbour = NULL;
    }
    if (!neighbour) {
        if (HASH_COUNT(links->neighbours) >= CLUSTER_COUNT_MAX) return;
        neighbour = must_alloc(calloc(1, sizeof *neighbour));
        neighbour->cluster = must_alloc(strndup(cluster.data, cluster.size));
        neighbour->address = must_alloc(strndup(address.data, address.size));
        neighbour->channel = rpc_channel_open(
            links->loop->rpc, neighbour->address, &(struct rpc_channel_options){0});
        show_secret(links, neighbour->channel);
        HASH_ADD_KEYPTR(hh, links->neighbours, neighbour->cluster, cluster.size, neighbour);
    }
    neighbour->is_wanted = true;
}

static void check(struct links *links)
{
    struct neighbour *neighbour = NULL;
    struct neighbour *next = NULL;
    for (neighbour = links->neighbours; neighbour; neighbour = neighbour->hh.next)
        neighbour->is_wanted = false;
    machine_each_peer(links->loop->machine, want, links);
    HASH_ITER (hh, links->neighbours, neighbour, next) {
        if (!neighbour->is_wanted) remove_neighbour(links, neighbour);
    }
}

// -------------------------------------------------------------------------------------------------

struct links *links_new(struct loop *loop)
{
    struct links *links = must_alloc(calloc(1, sizeof *links));
    links->loop = loop;
    return links;
}

void links_free(struct links *links)
{
    if (!links) return;
    assert(!links->links);
    struct neighbour *neighbour = NULL;
    struct neighbour *next = NULL;
    HASH_ITER (hh, links->neighbours, neighbour, next) {
        HASH_DEL(links->neighbours, neighbour);
        free(neighbour->cluster);
        free(neighbour->address);
        free(neighbour);
    }
    free(links->own_address);
    free(links);
}

void links_methods(struct links *links, struct rpc_method **methods)
{
    struct rpc_method method = {
        .path = METHOD,
        .kind = RPC_STREAM,
        .stream = &INCOMING,
        .context = links,
    };
    arr_add(*methods, method);
}

void links_set_own_address(struct links *links, const char *address)
{
    free(links->own_address);
    links->own_address = must_alloc(strdup(address));
}

void links_send(struct links *links, uint64_t id, struct message *message)
{
    struct link *link = NULL;
    HASH_FIND(hh, links->links, &id, sizeof id, link);
    if (link && !link->is_failed) {
        arr_add(link->queued, message);
    } else {
        message_free(message);
    }
}

void links_flush(struct links *links)
{
    for (struct link *link = links->links; link; link = link->hh.next) {
        if (arr_count(link->queued) > 0) flush_link(link);
    }
}

void links_tick(struct links *links)
{
    struct loop *loop = links->loop;
    if (loop->has_commanded || loop->now_us >= links->check_at_us) {
        loop->has_commanded = false;
        links->check_at_us = loop->now_us + CHECK_PERIOD_US;
        check(links);
    }
    for (struct neighbour *each = links->neighbours; each; each = each->hh.next) {
        if (each->link || loop->now_us < each->retry_at_us) continue;
        struct link *link = add_link(links, each, NULL);
        each->link = link;
        rpc_channel_reset_backoff(each->channel); // Ours is enough.
        // Reads are sent in the name of users, this is not.
        error_free(rpc_channel_set_header(each->channel, USER_HEADER_GRPC, (struct slice){0}));
        link->stream = rpc_stream_open(each->channel, METHOD, &OUTGOING, link);
    }
}

uint64_t links_wake_at_us(const struct links *links)
{
    uint64_t wake_at_us = links->check_at_us;
    for (const struct neighbour *each = links->neighbours; each; each = each->hh.next) {
        if (!each->link) wake_at_us = MIN(wake_at_us, each->retry_at_us);
    }
    return links->loop->has_commanded ? 0 : wake_at_us;
}

// NOLINTEND(clang-analyzer-unix.Malloc)

struct rpc_channel *links_channel(const struct links *links, struct slice cluster)
{
    const struct neighbour *neighbour = find_neighbour(links, cluster);
    return neighbour ? neighbour->channel : NULL;
}
