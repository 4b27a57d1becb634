#include "tests/sim/world.h"

#include "base/hash.h"
#include "cluster/reads.h"
#include "model/yson.h"
#include "tests/sim/checks.h"
#include "tests/sim/clients.h"
#include "tests/sim/faults.h"
#include "tests/sim/pacing.h"
#include "tests/sim/state_checks.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

static const char *const CLUSTER_NAMES[NODE_COUNT_MAX] = {"meta", "first", "second", "third"};
static const uint64_t WALL_START_US = UINT64_C(1700000000) * SECOND;
enum { LATE_COUNT_MAX = 16 };

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

static void drop_event(struct event *event)
{
    message_free(event->message);
    request_free(event->request);
}

// -------------------------------------------------------------------------------------------------
// Nodes

static uint64_t wall_us(const struct host *host)
{
    return (uint64_t)((int64_t)(WALL_START_US + host->world->now_us) + host->clock_offset_us);
}

static void plan_turn(struct world *world, struct host *host, uint64_t at_us)
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
        drop_event(&event);
        return;
    }
    arr_add(host->inbox, event);
    plan_turn(world, host, world->now_us);
}

static void clear_inbox(struct host *host)
{
    for (size_t i = 0; i < arr_count(host->reads); i++) request_free(host->reads[i]);
    arr_clear(host->reads);
    for (size_t i = 0; i < arr_count(host->inbox); i++) drop_event(&host->inbox[i]);
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
    struct error *error = machine_new(&options, world->now_us, wall_us(host), &host->machine);
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
    plan_turn(world, host, world->now_us);
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

// -------------------------------------------------------------------------------------------------
// Network

static uint64_t delay_us(struct world *world)
{
    if (world->is_healing) return 50 + rng_below(&world->rng, 200);
    // Mostly short, now and then long.
    uint64_t max_us = rng_chance(&world->rng, 5) ? world->faults.delay_us_max : 300;
    return 20 + rng_below(&world->rng, max_us);
}

static void send_message(struct world *world, uint32_t from, uint64_t link, struct message *message)
{
    for (uint32_t i = 1; i < world->node_count; i++) {
        struct connection *connection = &world->connections[i];
        bool is_to_node = from == META && connection->link_at_meta == link;
        bool is_to_meta = from == i && connection->link_at_node == link;
        if (!connection->is_up || (!is_to_node && !is_to_meta)) continue;
        if (is_to_node ? connection->is_cut_to_node : connection->is_cut_to_meta) break;
        uint64_t *last_us =
            is_to_node ? &connection->last_to_node_us : &connection->last_to_meta_us;
        struct event event = {
            .at_us =
                MAX(world->now_us + delay_us(world) + world->faults.link_delay_us[i], *last_us),
            .kind = EVENT_MESSAGE,
            .node = is_to_node ? i : META,
            .life = world->hosts[is_to_node ? i : META].life,
            .link = is_to_node ? connection->link_at_node : connection->link_at_meta,
            .message = message,
        };
        *last_us = event.at_us;
        if (rng_chance(&world->rng, world->is_healing ? 0 : world->faults.duplicate_percent)) {
            struct event again = event;
            again.message = message_copy(message);
            world_plan(world, again);
        }
        if (is_to_node && connection->late_count < LATE_COUNT_MAX &&
            rng_chance(&world->rng, world->faults.late_percent)) {
            struct message *late = message_copy(message);
            late->next = connection->late;
            connection->late = late;
            connection->late_count++;
        }
        world_plan(world, event);
        return;
    }
    message_free(message);
}

static void plan_connect(struct world *world, uint32_t index, uint64_t after_us)
{
    world_plan(
        world,
        (struct event){.at_us = world->now_us + after_us, .kind = EVENT_CONNECT, .node = index});
}

void connection_cut(struct world *world, uint32_t index)
{
    struct connection *connection = &world->connections[index];
    if (!connection->is_up) return;
    connection->is_up = false;
    connection->is_cut_to_meta = false;
    connection->is_cut_to_node = false;
    struct event down = {
        .at_us = world->now_us + delay_us(world),
        .kind = EVENT_LINK_DOWN,
        .node = META,
        .life = world->hosts[META].life,
        .link = connection->link_at_meta,
    };
    world_plan(world, down);
    down.at_us = world->now_us + delay_us(world);
    down.node = index;
    down.life = world->hosts[index].life;
    down.link = connection->link_at_node;
    world_plan(world, down);
    plan_connect(world, index, 2 * world->faults.delay_us_max + rng_below(&world->rng, 50 * MS));
    world_trace(world, "connection to %s is cut", CLUSTER_NAMES[index]);
}

// Old messages may come late, on the new connection.
static void deliver_late(struct world *world, uint32_t index)
{
    struct connection *connection = &world->connections[index];
    while (connection->late) {
        struct message *late = connection->late;
        connection->late = late->next;
        late->next = NULL;
        struct event event = {
            .at_us = world->now_us + rng_below(&world->rng, 20 * MS),
            .kind = EVENT_MESSAGE,
            .node = index,
            .life = world->hosts[index].life,
            .link = connection->link_at_node,
            .message = late,
        };
        if (world->is_healing) {
            message_free(late);
        } else {
            world_plan(world, event);
        }
    }
    connection->late_count = 0;
}

static void connect(struct world *world, uint32_t index)
{
    struct connection *connection = &world->connections[index];
    if (connection->is_up) return;
    if (!world->hosts[META].machine || !world->hosts[index].machine) {
        plan_connect(world, index, 20 * MS);
        return;
    }
    *connection = (struct connection){
        .is_up = true,
        .link_at_meta = ++world->next_link,
        .link_at_node = ++world->next_link,
        .last_to_meta_us = world->now_us,
        .last_to_node_us = world->now_us,
        .late = connection->late,
        .late_count = connection->late_count,
    };
    machine_link_up(
        world->hosts[META].machine,
        connection->link_at_meta,
        slice_from_text(CLUSTER_NAMES[index]));
    plan_turn(world, &world->hosts[META], world->now_us);
    deliver_late(world, index);
    world_trace(world, "connected to %s", CLUSTER_NAMES[index]);
}

void world_request(struct world *world, uint32_t node, struct request *request, uint64_t token)
{
    if (!world->is_healing && rng_chance(&world->rng, world->faults.lost_request_percent)) {
        request_free(request);
        return;
    }
    request->owner = (void *)(uintptr_t)token; // Only passed through.
    struct event event = {
        .at_us = world->now_us + delay_us(world),
        .kind = EVENT_REQUEST,
        .node = node,
        .life = world->hosts[node].life,
        .request = request,
    };
    world_plan(world, event);
}

// -------------------------------------------------------------------------------------------------
// Effects

static uint64_t token_of(const struct request *request)
{
    return (uint64_t)(uintptr_t)request->owner;
}

uint64_t world_token_of(const struct request *request)
{
    return token_of(request) & ~TOKEN_FORWARDED;
}

static void reply(struct world *world, uint32_t index, struct request *request)
{
    uint64_t token = token_of(request);
    if (token & TOKEN_FORWARDED) {
        // The coordinator passes it on to the client, if it still lives.
        struct event event = {
            .at_us = world->now_us + 2 * delay_us(world),
            .kind = EVENT_REPLY,
            .node = META,
            .life = world->hosts[META].life,
            .request = request,
            .token = token & ~TOKEN_FORWARDED,
        };
        world_plan(world, event);
        return;
    }
    clients_on_reply(world, index, request, token);
    if (request->error) world->hosts[index].has_told_error = true;
    if (!world->is_healing && rng_chance(&world->rng, world->faults.lost_request_percent)) {
        request_free(request); // The client will never know.
        return;
    }
    world_plan(
        world,
        (struct event){
            .at_us = world->now_us + delay_us(world),
            .kind = EVENT_REPLY,
            .node = index,
            .life = world->hosts[index].life,
            .request = request,
            .token = token,
        });
}

static void run_read(struct world *world, uint32_t index, struct request *request)
{
    struct store *store = world->hosts[index].store;
    world_trace(world, "%s reads at %" PRIu64, CLUSTER_NAMES[index], request->timestamp);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = store_stem_iterator_new(store, NULL, STORE_DATA);
    request->error = request->lookup ? lookup_run(request, iterator)
                                     : select_run(request, store, NULL, NULL, &(bool){0});
    clients_on_read(world, index, request);
}

static void answer(struct world *world, uint32_t index, struct request *request)
{
    if (request->owner) {
        reply(world, index, request);
    } else {
        request_free(request);
    }
}

// As the daemons do: at the end of a turn, unless something that would be seen may still vanish.
static void run_reads(struct world *world, uint32_t index)
{
    struct host *host = &world->hosts[index];
    if (host->machine->cell.urgent_lsn > host->machine->cell.durable_lsn) return;
    for (size_t i = 0; i < arr_count(host->reads); i++) {
        run_read(world, index, host->reads[i]);
        answer(world, index, host->reads[i]);
    }
    arr_clear(host->reads);
}

static void forward(struct world *world, struct effect *effect)
{
    struct request *origin = effect->request;
    state_checks_on_forward(world, origin);
    for (uint32_t i = 1; i < world->node_count; i++) {
        if (!slice_equal_text(effect->cluster, CLUSTER_NAMES[i])) continue;
        struct request *request = request_new(REQUEST_LOOKUP);
        request->path = arena_copy(&request->arena, origin->path);
        request->rows = arena_copy(&request->arena, origin->rows);
        request->keep_missing_rows = origin->keep_missing_rows;
        request->timestamp = origin->timestamp;
        request->deadline_us = origin->deadline_us;
        request->upstream_replica_id = origin->upstream_replica_id;
        request->owner = (void *)(uintptr_t)(token_of(origin) | TOKEN_FORWARDED);
        request_free(origin);
        struct event event = {
            .at_us = world->now_us + delay_us(world),
            .kind = EVENT_REQUEST,
            .node = i,
            .life = world->hosts[i].life,
            .request = request,
        };
        world_plan(world, event);
        return;
    }
    world_fail(world, "a read is sent on to a cluster that does not exist");
    request_free(origin);
}

static void perform_effects(struct world *world, uint32_t index)
{
    struct host *host = &world->hosts[index];
    struct effect *effect = NULL;
    while ((effect = cell_next_effect(&host->machine->cell))) {
        switch (effect->kind) {
        case EFFECT_SEND:
            pacing_on_send(world, effect->message);
            world_trace(
                world,
                "%s sends %s %s",
                CLUSTER_NAMES[index],
                message_kind_name(effect->message->kind),
                effect->message->error ? error_message(effect->message->error) : "");
            send_message(world, index, effect->link, effect->message);
            break;
        case EFFECT_READ: arr_add(host->reads, effect->request); break;
        case EFFECT_REPLY: answer(world, index, effect->request); break;
        case EFFECT_FORWARD: forward(world, effect); break;
        }
        free(effect);
    }
    run_reads(world, index);
}

// -------------------------------------------------------------------------------------------------
// Turns

static void take(struct world *world, uint32_t index, struct event *event)
{
    struct machine *machine = world->hosts[index].machine;
    switch (event->kind) {
    case EVENT_MESSAGE: machine_receive(machine, event->link, TAKE(event->message)); break;
    case EVENT_LINK_DOWN: machine_link_down(machine, event->link); break;
    case EVENT_REQUEST:
        if (event->request->kind == REQUEST_COMMAND) world->hosts[index].took_command = true;
        machine_request(machine, TAKE(event->request));
        break;
    case EVENT_TURN:
    case EVENT_SYNCED:
    case EVENT_CONNECT:
    case EVENT_REPLY:
    case EVENT_CRASH:
    case EVENT_RESTART:
    case EVENT_CLIENT:
    case EVENT_NEMESIS:
    case EVENT_ADMIN: assert(false); break;
    }
    drop_event(event);
}

static void flush(struct world *world, uint32_t index)
{
    perform_effects(world, index);
    checks_on_turn(world, index);
}

static void finish_turn(struct world *world, uint32_t index)
{
    struct host *host = &world->hosts[index];
    if (arr_count(host->inbox) > 0) {
        plan_turn(world, host, world->now_us);
    } else {
        plan_turn(world, host, machine_wake_at_us(host->machine));
    }
}

static uint64_t sync_time_us(struct world *world)
{
    if (!world->is_healing && rng_chance(&world->rng, world->faults.slow_disk_percent)) {
        return 5 * MS + rng_below(&world->rng, 50 * MS);
    }
    return 50 + rng_below(&world->rng, 300);
}

static void take_turn(struct world *world, uint32_t index)
{
    struct host *host = &world->hosts[index];
    host->took_command = false;
    host->has_told_error = false;
    state_checks_on_turn_begin(world, index);
    machine_tick(host->machine, world->now_us, wall_us(host));
    struct event *taken = host->inbox;
    host->inbox = NULL;
    for (size_t i = 0; i < arr_count(taken); i++) take(world, index, &taken[i]);
    arr_free(taken);
    machine_settle(host->machine);
    flush(world, index);
    if (!machine_needs_sync(host->machine)) {
        finish_turn(world, index);
        return;
    }
    host->is_syncing = true;
    host->busy_until_us = world->now_us + sync_time_us(world);
    uint64_t permille = world->faults.sync_crash_permille;
    if (permille > 0 && host->has_told_error) permille += 300;
    if (rng_below(&world->rng, 1000) < permille) {
        world_plan(
            world,
            (struct event){
                .at_us = world->now_us + (host->busy_until_us - world->now_us) * 9 / 10,
                .kind = EVENT_CRASH,
                .node = index,
                .life = host->life,
            });
    }
    world_plan(
        world,
        (struct event){
            .at_us = host->busy_until_us,
            .kind = EVENT_SYNCED,
            .node = index,
            .life = host->life,
        });
}

static void on_synced(struct world *world, uint32_t index)
{
    struct host *host = &world->hosts[index];
    host->is_syncing = false;
    struct error *error = store_sync(host->store);
    if (error) {
        world_fail(world, "a sync fails: %s", error_message(error));
        error_free(error);
        return;
    }
    machine_tick(host->machine, world->now_us, wall_us(host));
    machine_synced(host->machine);
    machine_settle(host->machine);
    flush(world, index);
    finish_turn(world, index);
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
        take_turn(world, event->node);
        return;
    case EVENT_SYNCED:
        if (!is_void) on_synced(world, event->node);
        return;
    case EVENT_MESSAGE:
    case EVENT_LINK_DOWN:
    case EVENT_REQUEST:
        if (is_void) {
            drop_event(event);
        } else {
            put_in_inbox(world, event->node, *event);
        }
        return;
    case EVENT_CONNECT: connect(world, event->node); return;
    case EVENT_REPLY:
        if (is_void) {
            drop_event(event);
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
    machine_tick(host->machine, world->now_us, wall_us(host));
    machine_request(host->machine, request);
    machine_settle(host->machine);
    struct request *answered = NULL;
    for (int round = 0; round < 2; round++) {
        struct effect *effect = NULL;
        while ((effect = cell_next_effect(&host->machine->cell))) {
            if (effect->kind == EFFECT_REPLY && effect->request == request) {
                answered = request;
            } else if (effect->kind == EFFECT_SEND) {
                send_message(world, index, effect->link, effect->message);
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
    plan_turn(world, host, world->now_us);
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
    for (size_t i = 0; i < arr_count(world->events); i++) drop_event(&world->events[i]);
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
