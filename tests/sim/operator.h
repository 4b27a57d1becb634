// Operators who change things under load: modes and states of replicas, tablets' states, and a
// table that comes and goes with its replicas. What they ask may be lost, late, or refused.
#pragma once

#include "tests/sim/world.h"

#define QUEUE      "//tmp/q"       // Replicated and sorted, two tablets.
#define LIST       "//tmp/l"       // Replicated and ordered.
#define LOCAL      "//tmp/o"       // An ordinary table of the meta-cluster.
#define OTHER      "//tmp/other"   // Replicated; there at times.
#define REPLICA    "//tmp/replica" // Of the queue.
#define COPY       "//tmp/copy"    // Of the list.
#define OTHER_COPY "//tmp/other_copy"

#define PIVOT_KEY 12 // Of the queue's second tablet.

// Does one thing, or asks for it.
void operator_act(struct world *world);

// Undoes what keeps replicas from becoming equal: everything enabled, mounted, and the table that
// comes and goes is gone. Call until it is so: what is under way may be refused at first.
void operator_heal(struct world *world);
