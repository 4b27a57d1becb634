// Connections between clusters: ordered, until they are cut; then what was on its way is lost or
// late.
#include "tests/sim/world_parts.h"

enum { LATE_COUNT_MAX = 16 };

uint64_t network_delay_us(struct world *world)
{
    if (world->is_healing) return 50 + rng_below(&world->rng, 200);
    // Mostly short, now and then long.
    uint64_t max_us = rng_chance(&world->rng, 5) ? world->faults.delay_us_max : 300;
    return 20 + rng_below(&world->rng, max_us);
}

void connection_send(struct world *world, uint32_t from, uint64_t link, struct message *message)
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
            .at_us = MAX(
                world->now_us + network_delay_us(world) + world->faults.link_delay_us[i], *last_us),
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
        .at_us = world->now_us + network_delay_us(world),
        .kind = EVENT_LINK_DOWN,
        .node = META,
        .life = world->hosts[META].life,
        .link = connection->link_at_meta,
    };
    world_plan(world, down);
    down.at_us = world->now_us + network_delay_us(world);
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

void connection_open(struct world *world, uint32_t index)
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
    world_plan_turn(world, &world->hosts[META], world->now_us);
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
        .at_us = world->now_us + network_delay_us(world),
        .kind = EVENT_REQUEST,
        .node = node,
        .life = world->hosts[node].life,
        .request = request,
    };
    world_plan(world, event);
}
