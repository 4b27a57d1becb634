// What drills are made of: time that passes, clients that commit, operators, and ways to hurt a
// node.
#pragma once

#include "tests/sim/world.h"

typedef bool drill_condition(struct world *world);

// Lets time pass, unless a check has failed.
void drill_run(struct world *world, uint64_t us);

// Runs until something is so; false if it is not in this time.
bool drill_run_until(struct world *world, drill_condition *is_so, uint64_t us);

// One commit after another, whatever becomes of them.
void drill_commit(struct world *world, size_t count);

// The same; each that is refused or takes longer than this fails the world, with the name of the
// check.
void drill_commit_within(
    struct world *world,
    size_t count,
    bool require_sync_replica,
    uint64_t latency_us_max,
    const char *name);

void drill_set_mode(struct world *world, const struct replica *replica, bool is_sync);

// From now on the second replica of each table is asynchronous, and the first as is said.
void drill_set_modes(struct world *world, bool is_first_sync);

// Sets an attribute of the queue, and mounts it anew.
void drill_set_option(struct world *world, const char *name, const char *value);

// Whether the first replicas, or all, have said that they have everything.
bool drill_has_first_all(struct world *world);
bool drill_have_all(struct world *world);

// A node dies, in a way that others hear of sooner or later: it crashes, is cut off, or hangs for
// some seconds.
void drill_hurt(struct world *world, uint32_t node);
