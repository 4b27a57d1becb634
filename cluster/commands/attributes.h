// The attributes that objects show: a table of names and of what computes each.
#pragma once

#include "cluster/machine.h"

// What is asked about, and where the answer lives.
struct subject {
    struct machine *machine;
    struct arena *arena;
    struct object *object;
};

struct attribute {
    const char *name;
    bool is_opaque; // Shown by name only.
    // NULL if the object has no such attribute.
    struct node *(*get)(const struct subject *subject);
};

// Of tables, tablets, replicas and collocations; ended by one without a name.
extern const struct attribute TABLE_ATTRIBUTES[];

// What a tablet shows in @tablets of its table and by its id.
struct node *tablet_to_node(
    const struct machine *machine, struct arena *arena, struct tablet *tablet);
