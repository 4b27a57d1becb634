// What the tracker may do: checks of its decisions while the world runs, and that it comes to rest.
//
// The names of checks are those of docs/invariants.md: sync-count, elect-fit, hands-off,
// no-flapping.
#pragma once

#include "tests/sim/world.h"

struct tracker_checks;

// Chooses whether and how this world's tables are tracked. `ret_attributes` gets what to add to a
// table's attributes when it is created, as YSON that begins with ';', or nothing.
void tracker_checks_begin(struct world *world, char *ret_attributes, size_t size);

// After the tables and replicas have been made.
void tracker_checks_set_up(struct world *world);

// After a turn of the meta-cluster.
void tracker_checks_on_turn(struct world *world);

// After everything has healed and converged: nothing may change any more.
void tracker_checks_finish(struct world *world);

// Whether the tables of this world are tracked, and whether the tracker may send away a synchronous
// replica that is bad.
bool tracker_checks_are_on(const struct world *world);
bool tracker_checks_may_demote(const struct world *world);

void tracker_checks_release(struct world *world);
