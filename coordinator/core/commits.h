// Transactions between prepare and decision: rules C1 to C6 and M4.
//
// coordinator_commit (coordinator.h) begins one; it is decided when it is durable here and on every
// replica that is synchronous then, or aborted by its deadline. docs/commit.md explains.
#pragma once

#include "coordinator/core/coordinator.h"

// Whether every replica in mode sync now has acknowledged these parts, and there is one where there
// must be (C4).
bool commits_cover(const struct commit_part *parts, uint32_t part_count);

// The undecided transaction of a mutation; NULL if there is none.
struct commit *commits_find(const struct coordinator *coordinator, struct guid mutation_id);

// Decides what can be decided (M4), and begins to abort what is late (C6).
void commits_tick(struct coordinator *coordinator);

// Forgets all of them, unanswered.
void commits_release(struct coordinator *coordinator);
