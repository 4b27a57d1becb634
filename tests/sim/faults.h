// Bad luck: what goes wrong in a world, and how often, chosen from the seed.
#pragma once

#include "tests/sim/world.h"

// Chooses what is to go wrong, and plans it. One world in ten is a good one.
void faults_begin(struct world *world);

// EVENT_NEMESIS, EVENT_ADMIN: something goes wrong, or an operator does something.
void faults_act(struct world *world, enum event_kind kind);

// Nothing goes wrong any more: all nodes start, all clocks go right, all links are there.
void faults_end(struct world *world);
