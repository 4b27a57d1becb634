// Operators who change things under load: modes and states of replicas, tablets' states, and a
// table that comes and goes with its replicas. What they ask may be lost, late, or refused.
#pragma once

#include "tests/sim/world.h"

#define SORTED_SCHEMA "schema=[{name=k;type=int64;sort_order=ascending};{name=v;type=int64}]"

#define QUEUE      "//tmp/q"       // Replicated and sorted, two tablets.
#define LIST       "//tmp/l"       // Replicated and ordered.
#define LOCAL      "//tmp/o"       // An ordinary table of the meta-cluster.
#define OTHER      "//tmp/other"   // Replicated; there at times.
#define REPLICA    "//tmp/replica" // Of the queue.
#define COPY       "//tmp/copy"    // Of the list.
#define OTHER_COPY "//tmp/other_copy"
#define LATE       "//tmp/late" // A replica of the queue that is made in a drill.

#define PIVOT_KEY 12 // Of the queue's second tablet.

// Does one thing, or asks for it.
void operator_act(struct world *world);

// Sends a command to a node; nobody hears the answer.
PRINTF_LIKE(4, 5)
void operator_ask(
    struct world *world, uint32_t node, const char *command, const char *parameters_format, ...);

// Sends a `set` to the meta-cluster.
void operator_set(struct world *world, const char *path, const char *value);

// Undoes what keeps replicas from becoming equal: everything enabled, mounted, and the table that
// comes and goes is gone. Call until it is so: what is under way may be refused at first.
void operator_heal(struct world *world);
