// Drills about replicas that the log cannot help any more: new ones that begin below what is
// trimmed, and old ones that have lost what they had.
#pragma once

#include "tests/sim/world.h"

// no-silent-gap.
void lost_ground_begin_late(struct world *world);

// went-back-detected: the replica stays as it is then, so nothing can follow.
void lost_ground_spoil(struct world *world);
