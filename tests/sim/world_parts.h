// What the files of a world share: world.c (its events and nodes), network.c and turns.c.
#pragma once

#include "tests/sim/world.h"

// -- world.c
extern const char *const CLUSTER_NAMES[NODE_COUNT_MAX];
// Plans a node's next turn for this moment, or when it is not busy any more, unless an earlier one
// is planned.
void world_plan_turn(struct world *world, struct host *host, uint64_t at_us);
// What a node's clock shows.
uint64_t host_wall_us(const struct host *host);
// Frees what an event carries.
void event_drop(struct event *event);

// -- network.c
// How long something is on its way now.
uint64_t network_delay_us(struct world *world);
// Sends what a node has to say on a link, in order; it is taken over, and maybe lost.
void connection_send(struct world *world, uint32_t from, uint64_t link, struct message *message);
// The connection to a node is there; old messages may come late on it.
void connection_open(struct world *world, uint32_t index);

// -- turns.c
// As the daemons do it: takes what has come, steps, performs what may go, and syncs.
void node_take_turn(struct world *world, uint32_t index);
void node_on_synced(struct world *world, uint32_t index);
