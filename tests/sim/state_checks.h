// What must hold of the clusters' state while a world runs: of positions, logs and locks, whatever
// clients saw.
//
// docs/invariants.md says which properties these are.
#pragma once

#include "tests/sim/world.h"

struct state_checks;

void state_checks_begin(struct world *world);

// Before and after a turn of a node.
void state_checks_on_turn_begin(struct world *world, uint32_t node);
void state_checks_on_turn(struct world *world, uint32_t node);

// The meta-cluster acknowledges a transaction that wrote to this tablet.
void state_checks_on_commit(
    struct world *world,
    struct tablet *tablet,
    uint64_t timestamp,
    bool require_sync_replica,
    bool is_repetition);

// The meta-cluster says which replicas of the queue are in sync at a timestamp.
void state_checks_on_in_sync(
    struct world *world, const struct request *request, uint64_t timestamp);

// What a crash would leave of a replica's positions; false, if nothing.
bool state_checks_durable_position(
    struct world *world,
    uint32_t node,
    struct guid replica_id,
    struct guid tablet_id,
    struct position *ret_tail,
    struct position *ret_decided);

// A read of the queue is sent on to a replica.
void state_checks_on_forward(struct world *world, const struct request *request);

// A replica of the queue is read as it is. Returns whether it has nothing undecided.
bool state_checks_on_stale_read(struct world *world, uint32_t node);

// After everything has healed and converged.
void state_checks_finish(struct world *world);

void state_checks_release(struct world *world);
