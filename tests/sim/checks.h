// The course of a world: clients, operators and bad luck for a while, then peace, in which
// everything must come right; and what must hold whatever happens (docs/invariants.md).
#pragma once

#include "tests/sim/world.h"

// Sets up clusters, tables and replicas, and plans clients and faults.
void checks_begin(struct world *world);

// The faults are over: heals everything, waits for progress, and checks what is left in the end.
void checks_finish(struct world *world);
void checks_release(struct world *world);

// A node has taken a turn.
void checks_on_turn(struct world *world, uint32_t node);
