// retable over its HTTP interface, as a client of YTsaurus speaks to it: a keep-alive connection
// for each slot.

#include "base/containers.h"
#include "base/number.h"
#include "bench/data.h"
#include "bench/target.h"
#include "io/clock.h"
#include "model/yson.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct slot {
    struct http_target *target; // Borrowed.
    int fd;
    target_callback *callback; // NULL while nothing is under way.
    void *context;             // Borrowed.
    bool is_read;
    uint64_t row_count; // Written.
    struct buffer answer;
};

struct http_target {
    struct target base; // First: callers hold a pointer to it.
    struct target_options options;
    struct slot *slots;
    int epoll;
    struct buffer body;
    struct buffer request;
    struct arena arena; // Of an answer.
};

static void finish(struct slot *slot, struct error *error, uint64_t row_count)
{
    target_callback *callback = slot->callback;
    slot->callback = NULL;
    buffer_clear(&slot->answer);
    callback(slot->context, error, row_count);
}

static struct error *connection_lost(void)
{
    return error_new(ERROR_RPC_UNAVAILABLE, "The connection is lost: %m");
}

// Goes through all rows, as any client would.
static struct error *read_rows(
    struct http_target *target, struct slice body, uint64_t *ret_row_count)
{
    for (;;) {
        struct node *row = NULL;
        arena_reset(&target->arena);
        TRY(yson_parse_item(&target->arena, &body, &row));
        if (!row) return NULL;
        const struct node *value = node_find_text(row, "v");
        if (!value || value->type != NODE_STRING ||
            value->string.size != target->options.value_size)
            return error_new(ERROR_GENERIC, "A row was found that is not as it was written");
        (*ret_row_count)++;
    }
}

// Deals with an answer once all of it has come; false until then.
static bool take_answer(struct slot *slot)
{
    struct slice answer = buffer_slice(&slot->answer);
    static const char LENGTH[] = "Content-Length: ";
    const char *end = memmem(answer.data, answer.size, "\r\n\r\n", 4);
    if (!end) return false;
    size_t head_size = (size_t)(end - answer.data) + 4;
    const char *field = memmem(answer.data, head_size, LENGTH, sizeof LENGTH - 1);
    struct error *error = NULL;
    uint64_t row_count = slot->row_count;
    if (!field) {
        error = error_new(ERROR_GENERIC, "The answer has no length");
    } else {
        size_t size = strtoul(field + sizeof LENGTH - 1, NULL, 10);
        if (answer.size < head_size + size) return false;
        struct slice body = slice_from(answer.data + head_size, size);
        if (memcmp(answer.data, "HTTP/1.1 200", 12) != 0) {
            error = error_new(ERROR_GENERIC, "%.*s", SLICE(body));
        } else if (slot->is_read) {
            error = read_rows(slot->target, body, &row_count);
        }
    }
    finish(slot, error, row_count);
    return true;
}

static void on_ready(struct slot *slot)
{
    char *to = must_alloc(buffer_reserve(&slot->answer, 65536));
    ssize_t size = recv(slot->fd, to, 65536, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) {
        (void)epoll_ctl(slot->target->epoll, EPOLL_CTL_DEL, slot->fd, NULL);
        if (slot->callback) finish(slot, connection_lost(), 0);
        return;
    }
    slot->answer.size += (size_t)size;
    (void)take_answer(slot);
}

static void start(
    struct http_target *target,
    uint32_t index,
    const char *command,
    target_callback *callback,
    void *context)
{
    struct slot *slot = &target->slots[index];
    assert(!slot->callback);
    slot->callback = callback;
    slot->context = context;
    buffer_clear(&target->request);
    buffer_print(
        &target->request,
        "PUT /api/v4/%s HTTP/1.1\r\nHost: %s\r\nX-YT-Header-Format: <format=text>yson\r\n"
        "X-YT-Parameters: {path=\"%s\";input_format=yson;output_format=yson}\r\n"
        "Content-Length: %zu\r\n\r\n",
        command,
        target->options.address,
        target->options.table,
        target->body.size);
    buffer_append_slice(&target->request, buffer_slice(&target->body));
    // A request is far smaller than the socket's buffer, and one is under way.
    ssize_t sent = send(slot->fd, target->request.data, target->request.size, MSG_NOSIGNAL);
    if (sent != (ssize_t)target->request.size) finish(slot, connection_lost(), 0);
}

static void put_int64(struct buffer *buffer, int64_t number)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    yson_print(node_int64(&arena, number), YSON_BINARY, buffer);
}

static void http_write(
    struct target *base,
    uint32_t slot,
    int64_t first_key,
    uint32_t row_count,
    target_callback *callback,
    void *context)
{
    struct http_target *target = (struct http_target *)base;
    buffer_clear(&target->body);
    for (int64_t key = first_key; key < first_key + row_count; key++) {
        buffer_append_text(&target->body, "{k=");
        put_int64(&target->body, key);
        buffer_append_text(&target->body, ";v=");
        yson_print_string(data_value(key, target->options.value_size), &target->body);
        buffer_append_text(&target->body, "};");
    }
    target->slots[slot].is_read = false;
    target->slots[slot].row_count = row_count;
    start(target, slot, "insert_rows", callback, context);
}

static void http_read(
    struct target *base,
    uint32_t slot,
    const int64_t *keys,
    uint32_t key_count,
    target_callback *callback,
    void *context)
{
    struct http_target *target = (struct http_target *)base;
    buffer_clear(&target->body);
    for (uint32_t i = 0; i < key_count; i++) {
        buffer_append_text(&target->body, "{k=");
        put_int64(&target->body, keys[i]);
        buffer_append_text(&target->body, "};");
    }
    target->slots[slot].is_read = true;
    target->slots[slot].row_count = 0;
    start(target, slot, "lookup_rows", callback, context);
}

static void http_poll(struct target *base, uint64_t until_us)
{
    struct http_target *target = (struct http_target *)base;
    struct epoll_event events[256];
    uint64_t now_us = clock_now_us();
    int wait_ms = until_us > now_us ? (int)MIN((until_us - now_us) / 1000 + 1, UINT64_C(1000)) : 0;
    int count = epoll_wait(target->epoll, events, sizeof events / sizeof *events, wait_ms);
    for (int i = 0; i < count; i++) on_ready(events[i].data.ptr);
}

static void http_close(struct target *base)
{
    struct http_target *target = (struct http_target *)base;
    for (uint32_t i = 0; i < target->options.slot_count; i++) {
        if (target->slots[i].fd > 0) close(target->slots[i].fd);
        buffer_release(&target->slots[i].answer);
    }
    if (target->epoll > 0) close(target->epoll);
    buffer_release(&target->body);
    buffer_release(&target->request);
    arena_release(&target->arena);
    free(target->slots);
    free(target);
}

static const struct target_methods METHODS = {
    .write = http_write,
    .read = http_read,
    .poll = http_poll,
    .close = http_close,
};

static struct error *connect_slot(struct http_target *target, struct slot *slot)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    const char *address = target->options.address;
    const char *colon = strrchr(address, ':');
    if (!colon) return error_new(ERROR_GENERIC, "Address %s has no port", address);
    const char *host = arena_print(&arena, "%.*s", (int)(colon - address), address);
    struct addrinfo *found = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        return error_new(ERROR_GENERIC, "Cannot resolve %s", address);
    slot->target = target;
    slot->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int code = slot->fd < 0 ? -1 : connect(slot->fd, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (code != 0) return error_new(ERROR_RPC_UNAVAILABLE, "Cannot connect to %s: %m", address);
    int on = 1;
    (void)setsockopt(slot->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = slot};
    if (epoll_ctl(target->epoll, EPOLL_CTL_ADD, slot->fd, &event) != 0) return connection_lost();
    return NULL;
}

struct error *target_open_http(const struct target_options *options, struct target **ret_target)
{
    struct http_target *target = must_alloc(calloc(1, sizeof *target));
    target->base.methods = &METHODS;
    target->options = *options;
    target->slots = must_alloc(calloc(options->slot_count, sizeof *target->slots));
    target->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct error *error = target->epoll < 0 ? connection_lost() : NULL;
    for (uint32_t i = 0; i < options->slot_count && !error; i++)
        error = connect_slot(target, &target->slots[i]);
    if (error) {
        http_close(&target->base);
        return error;
    }
    *ret_target = &target->base;
    return NULL;
}
