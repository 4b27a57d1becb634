#include "tests/sim/world_parts.h"

#include "base/hash.h"
#include "tests/sim/clients.h"
#include "tests/sim/faults.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

const char *const CLUSTER_NAMES[NODE_COUNT_MAX] = {"meta", "first", "second", "third"};
static const uint64_t WALL_START_US = UINT64_C(1700000000) * SECOND;

// -------------------------------------------------------------------------------------------------
// Trace and failure

void world_trace(struct world *world, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t used = MIN((size_t)MAX(size, 0), sizeof text - 1);
    world->trace = hash_bytes(slice_from(text, used), world->trace ^ world->now_us);
    if (world->log) fprintf(world->log, "[%10.3f ms] %s\n", (double)world->now_us / 1000.0, text);
}

void world_fail(struct world *world, const char *format, ...)
{
    if (world->failure[0] != 0) return;
    va_list args;
    va_start(args, format);
    vsnprintf(world->failure, sizeof world->failure, format, args);
    va_end(args);
    world_trace(world, "FAILED: %s", world->failure);
}

// -------------------------------------------------------------------------------------------------
// Events: a binary heap

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void world_plan(struct world *world, struct event event)
{
    assert(event.at_us >= world->now_us);
    event.order = world->next_order++;
    arr_add(world->events, event);
    size_t i = arr_count(world->events) - 1;
    while (i > 0 && is_before(&world->events[i], &world->events[(i - 1) / 2])) {
        struct event swap = world->events[i];
        world->events[i] = world->events[(i - 1) / 2];
        world->events[(i - 1) / 2] = swap;
        i = (i - 1) / 2;
    }
}

static struct event next_event(struct world *world)
{
    struct event first = world->events[0];
    struct event last = arr_pop(world->events);
    size_t count = arr_count(world->events);
    if (count == 0) return first;
    size_t i = 0;
    while (true) {
        size_t child = 2 * i + 1;
        if (child >= count) break;
        if (child + 1 < count && is_before(&world->events[child + 1], &world->events[child])) {
            child++;
        }
        if (!is_before(&world->events[child], &last)) break;
        world->events[i] = world->events[child];
        i = child;
    }
    world->events[i] = last;
    return first;
}

void event_drop(struct event *event)
{
    message_free(event->message);
    request_free(event->request);
}

// -------------------------------------------------------------------------------------------------
// Nodes

uint64_t host_wall_us(const struct host *host)
{
    return (uint64_t)((int64_t)(WALL_START_US + host->world->now_us) + host->clock_offset_us);
}

void world_plan_turn(struct world *world, struct host *host, uint64_t at_us)
{
    at_us = MAX(MAX(at_us, world->now_us), host->busy_until_us);
    if (host->turn_at_us <= at_us || !host->machine) return;
    host->turn_at_us = at_us;
    uint32_t index = (uint32_t)(host - world->hosts);
    world_plan(
        world,
        (struct event){.at_us = at_us, .kind = EVENT_TURN, .node = index, .life = host->life});
}

static void put_in_inbox(struct world *world, uint32_t index, struct event event)
{
    struct host *host = &world->hosts[index];
    if (!host->machine) {
        event_drop(&event);
        return;
    }
    arr_add(host->inbox, event);
    world_plan_turn(world, host, world->now_us);
}

static void clear_inbox(struct host *host)
{
    for (size_t i = 0; i < arr_count(host->reads); i++) request_free(host->reads[i]);
    arr_clear(host->reads);
    for (size_t i = 0; i < arr_count(host->inbox); i++) event_drop(&host->inbox[i]);
    arr_clear(host->inbox);
}

void node_start(struct world *world, uint32_t index)
{
    struct host *host = &world->hosts[index];
    assert(!host->machine);
    struct cell_options options = {
        .store = host->store,
        .cluster_name = slice_from_text(CLUSTER_NAMES[index]),
        .is_meta = index == META,
        .cell_tag = (uint16_t)(index + 1),
        .incarnation = ++world->next_incarnation,
        .seed = rng_next(&world->rng),
        .remembered_write_count_max = 4 + rng_below(&world->rng, 100),
        .sync_wait_us = 500 * MS,
        .commit_timeout_us = 3 * SECOND,
        .feed_window_size =
            rng_chance(&world->rng, 20) ? 256 : 4096 + rng_below(&world->rng, 65536),
        .retention_period_us = 500 * MS, // Only for tables that say so.
    };
    struct error *error = machine_new(&options, world->now_us, host_wall_us(host), &host->machine);
    if (error) {
        world_fail(world, "%s does not start: %s", CLUSTER_NAMES[index], error_message(error));
        error_free(error);
        return;
    }
    host->life++;
    host->busy_until_us = world->now_us;
    host->turn_at_us = UINT64_MAX;
    host->is_syncing = false;
    world_trace(world, "%s starts", CLUSTER_NAMES[index]);
    world_plan_turn(world, host, world->now_us);
}

void node_crash(struct world *world, uint32_t index)
{
    struct host *host = &world->hosts[index];
    if (!host->machine) return;
    machine_free(TAKE(host->machine));
    uint64_t unsynced = memory_store_unsynced_count(host->store);
    uint64_t kept = rng_below(&world->rng, unsynced + 1);
    if (rng_chance(&world->rng, 50)) kept = 0;
    memory_store_crash(host->store, kept);
    clear_inbox(host);
    world_trace(
        world, "%s crashes, keeping %" PRIu64 " of %" PRIu64, CLUSTER_NAMES[index], kept, unsynced);
    for (uint32_t i = 1; i < world->node_count; i++) {
        if (index == META || index == i) connection_cut(world, i);
    }
}

static void handle(struct world *world, struct event *event)
{
    struct host *host = &world->hosts[event->node];
    bool is_void = event->life != host->life || !host->machine;
    switch (event->kind) {
    case EVENT_TURN:
        if (is_void || host->turn_at_us != world->now_us) return;
        host->turn_at_us = UINT64_MAX;
        if (host->is_syncing) return; // The end of the sync plans another.
        node_take_turn(world, event->node);
        return;
    case EVENT_SYNCED:
        if (!is_void) node_on_synced(world, event->node);
        return;
    case EVENT_MESSAGE:
    case EVENT_LINK_DOWN:
    case EVENT_REQUEST:
        if (is_void) {
            event_drop(event);
        } else {
            put_in_inbox(world, event->node, *event);
        }
        return;
    case EVENT_CONNECT: connection_open(world, event->node); return;
    case EVENT_REPLY:
        if (is_void) {
            event_drop(event);
        } else {
            clients_on_answer(world, event->request, event->token);
            request_free(event->request);
        }
        return;
    case EVENT_CRASH:
        if (is_void || world->is_healing) return;
        node_crash(world, event->node);
        world_plan(
            world,
            (struct event){
                .at_us = world->now_us + 10 * MS + rng_below(&world->rng, 300 * MS),
                .kind = EVENT_RESTART,
                .node = event->node,
            });
        return;
    case EVENT_RESTART:
        if (!host->machine) node_start(world, event->node);
        return;
    case EVENT_CLIENT: clients_act(world, event->client); return;
    case EVENT_NEMESIS:
    case EVENT_ADMIN: faults_act(world, event->kind); return;
    }
}

void world_run(struct world *world, uint64_t until_us)
{
    while (arr_count(world->events) > 0 && world->failure[0] == 0) {
        if (world->events[0].at_us > until_us) break;
        struct event event = next_event(world);
        world->now_us = event.at_us;
        handle(world, &event);
    }
    world->now_us = MAX(world->now_us, until_us);
}

struct table *world_table(struct world *world, uint32_t node, const char *path)
{
    const struct machine *machine = world->hosts[node].machine;
    if (!machine) return NULL;
    static const char FOLDER[] = "//tmp/";
    assert(strncmp(path, FOLDER, sizeof FOLDER - 1) == 0);
    struct object *folder = object_child(machine->cell.tree.root, SLICE_OF("tmp"));
    struct object *object = object_child(folder, slice_from_text(path + sizeof FOLDER - 1));
    return object ? object->table : NULL;
}

struct request *world_command(
    struct world *world,
    uint32_t index,
    const char *command,
    const char *parameters,
    const char *input)
{
    struct host *host = &world->hosts[index];
    struct request *request = request_new(REQUEST_COMMAND);
    request->command = slice_from_text(command);
    request->input = arena_copy(&request->arena, slice_from_text(input));
    struct error *error =
        yson_parse(&request->arena, slice_from_text(parameters), &request->parameters);
    assert(!error);
    machine_tick(host->machine, world->now_us, host_wall_us(host));
    machine_request(host->machine, request);
    machine_settle(host->machine);
    struct request *answered = NULL;
    for (int round = 0; round < 2; round++) {
        struct effect *effect = NULL;
        while ((effect = cell_next_effect(&host->machine->cell))) {
            if (effect->kind == EFFECT_REPLY && effect->request == request) {
                answered = request;
            } else if (effect->kind == EFFECT_SEND) {
                connection_send(world, index, effect->link, effect->message);
            } else {
                assert(false); // Only used before there is traffic.
            }
            free(effect);
        }
        error = store_sync(host->store);
        assert(!error);
        machine_synced(host->machine);
        machine_settle(host->machine);
    }
    if (!answered || answered->error) {
        world_fail(
            world,
            "%s is not done: %s",
            command,
            answered ? error_message(answered->error) : "no answer");
    }
    world_plan_turn(world, host, world->now_us);
    return answered;
}

void world_init(struct world *world, uint64_t seed, FILE *log)
{
    *world = (struct world){
        .seed = seed,
        .rng = {.state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1},
        .now_us = SECOND,
        .node_count = 3,
        .log = log,
        .faults = {.delay_us_max = 300},
    };
    for (uint32_t i = 0; i < world->node_count; i++) {
        struct host *host = &world->hosts[i];
        host->world = world;
        host->store = memory_store_new();
        host->turn_at_us = UINT64_MAX;
    }
}

void world_release(struct world *world)
{
    for (size_t i = 0; i < arr_count(world->events); i++) event_drop(&world->events[i]);
    arr_free(world->events);
    for (uint32_t i = 0; i < world->node_count; i++) {
        struct host *host = &world->hosts[i];
        machine_free(host->machine);
        clear_inbox(host);
        arr_free(host->inbox);
        arr_free(host->reads);
        store_close(host->store);
        struct connection *connection = &world->connections[i];
        while (connection->late) {
            struct message *late = connection->late;
            connection->late = late->next;
            message_free(late);
        }
    }
}
