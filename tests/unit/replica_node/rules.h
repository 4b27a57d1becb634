// What tests of the rules of replicated tables share: a replicated table at //tmp/t of META, tables
// of its replicas on REPLICA, and short forms of the commands about them.
#pragma once

#include "tests/unit/cluster/machine_world.h"

#define T       "{path=\"//tmp/t\"}"
#define R       "{path=\"//tmp/r\"}"
#define NO_SYNC "{path=\"//tmp/t\";require_sync_replica=%false}"
#define KEY     "{name=key;type=int64;sort_order=ascending}"
#define LATEST  "4611686018427387649u" // SyncLastCommitted.

// Creates an object and returns its id.
const char *rules_create(struct machine_world *world, int node, const char *parameters);

// Creates a table of this type with these attributes, and mounts it.
void rules_table(
    struct machine_world *world,
    int node,
    const char *type,
    const char *path,
    const char *attributes);

// Creates a replica of //tmp/t with the attributes `replica`, enabled, whose table at `path` has
// the attributes `table`; it is mounted, and bound unless timestamps are not preserved. Returns the
// replica's id.
const char *rules_replica(
    struct machine_world *world, const char *path, const char *replica, const char *table);

// A world with //tmp/t and one replica of it at //tmp/r, of the same attributes. Returns its id.
const char *rules_world(struct machine_world *world, const char *attributes, const char *replica);

// An attribute of the object with this id.
const char *rules_attribute(struct machine_world *world, const char *id, const char *name);
void rules_wait(struct machine_world *world, const char *id, const char *name, const char *value);

// Waits until the replica has all rows of tablet 0 and no error.
void rules_catch_up(struct machine_world *world, const char *id);

void rules_alter(struct machine_world *world, const char *id, const char *change);
void rules_insert(struct machine_world *world, const char *rows); // Into //tmp/t.

// All rows of a table.
const char *rules_rows(struct machine_world *world, int node, const char *path);

// Waits until the replica has an error that says this.
void rules_wait_error(struct machine_world *world, const char *id, const char *text);
