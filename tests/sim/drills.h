// Drills: what a world that is at peace is put through, one of them, to see promises that chance
// would hardly meet, or that hold only where nothing else goes wrong.
//
// A drill asks operators and clients for something, hurts a node if it is about that, and looks at
// what happens within simulated time. Then everything must converge again.
#pragma once

#include "tests/sim/world.h"

// Plays one, in some worlds.
void drills_play(struct world *world);

// Plays one after which replicas stay broken: nothing can follow.
void drills_play_last(struct world *world);
