// What clients, operators and bad luck do to the world, and what must hold whatever they do.
//
// Clients write values that nobody else writes, so a value read names its transaction. Histories
// are checked at the end against what the replicas hold (the names are those of
// docs/invariants.md); positions, durability and order are checked while the world runs.
#pragma once

#include "tests/sim/world.h"

// Sets up clusters, tables and replicas, and plans clients and faults.
void checks_begin(struct world *world);

// The faults are over: heals everything, waits for progress, and checks what is left in the end.
void checks_finish(struct world *world);
void checks_release(struct world *world);

// The world tells what happens.
void checks_on_start(struct world *world, uint32_t node);
void checks_on_turn(struct world *world, uint32_t node);
void checks_on_reply(
    struct world *world, uint32_t node, const struct request *request, uint64_t token);
void checks_on_answer(struct world *world, const struct request *request, uint64_t token);
void checks_on_client(struct world *world, uint64_t client);
void nemesis_act(struct world *world, enum event_kind kind);
