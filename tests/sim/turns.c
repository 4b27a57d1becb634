// The turns of a node, and what comes of them: messages, answers, reads.
#include "tests/sim/world_parts.h"

#include "cluster/reads.h"
#include "tests/sim/checks.h"
#include "tests/sim/clients.h"
#include "tests/sim/pacing.h"
#include "tests/sim/state_checks.h"

#include <assert.h>
#include <inttypes.h>

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
            .at_us = world->now_us + 2 * network_delay_us(world),
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
            .at_us = world->now_us + network_delay_us(world),
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
            .at_us = world->now_us + network_delay_us(world),
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
            connection_send(world, index, effect->link, effect->message);
            break;
        case EFFECT_READ: arr_add(host->reads, effect->request); break;
        case EFFECT_REPLY: answer(world, index, effect->request); break;
        case EFFECT_FORWARD: forward(world, effect); break;
        }
        free(effect);
    }
    run_reads(world, index);
}

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
    event_drop(event);
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
        world_plan_turn(world, host, world->now_us);
    } else {
        world_plan_turn(world, host, machine_wake_at_us(host->machine));
    }
}

static uint64_t sync_time_us(struct world *world)
{
    if (!world->is_healing && rng_chance(&world->rng, world->faults.slow_disk_percent)) {
        return 5 * MS + rng_below(&world->rng, 50 * MS);
    }
    return 50 + rng_below(&world->rng, 300);
}

void node_take_turn(struct world *world, uint32_t index)
{
    struct host *host = &world->hosts[index];
    host->took_command = false;
    host->has_told_error = false;
    state_checks_on_turn_begin(world, index);
    machine_tick(host->machine, world->now_us, host_wall_us(host));
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

void node_on_synced(struct world *world, uint32_t index)
{
    struct host *host = &world->hosts[index];
    host->is_syncing = false;
    struct error *error = store_sync(host->store);
    if (error) {
        world_fail(world, "a sync fails: %s", error_message(error));
        error_free(error);
        return;
    }
    machine_tick(host->machine, world->now_us, host_wall_us(host));
    machine_synced(host->machine);
    machine_settle(host->machine);
    flush(world, index);
    finish_turn(world, index);
}
