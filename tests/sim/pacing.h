// throttle-bound: a drill in which a replica has much to catch up with and is paced by a throttler;
// what it is sent, and when, is compared with the limit.
#pragma once

#include "tests/sim/world.h"

void pacing_begin(struct world *world);
void pacing_release(struct world *world);

void pacing_drill(struct world *world);

// A node sends a message.
void pacing_on_send(struct world *world, const struct message *message);
