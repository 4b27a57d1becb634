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

// About users, groups and ACLs; likewise.
extern const struct attribute RIGHTS_ATTRIBUTES[];

// What a tablet shows in @tablets of its table and by its id.
struct node *tablet_to_node(
    const struct machine *machine, struct arena *arena, struct tablet *tablet);

// How many rows an ordered tablet or a replication log has had, and how many of them are trimmed; 0
// for tablets of sorted tables.
uint64_t tablet_total_row_count(const struct tablet *tablet);
uint64_t tablet_trimmed_row_count(const struct tablet *tablet);

// How many replicas have an error on this tablet.
uint64_t tablet_replication_error_count(const struct tablet *tablet);

// Sums over `count` tablets.
struct node *tablets_statistics(struct arena *arena, const struct tablet *tablets, uint32_t count);

// A moment of the wall clock, as attributes show it: 2023-11-14T22:13:20.000000Z.
struct node *wall_time_to_node(struct arena *arena, uint64_t wall_us);

// The error that an object has no such attribute: 500.
MUST_USE struct error *attribute_not_found(struct slice name);
