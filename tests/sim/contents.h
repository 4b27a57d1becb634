// What tables hold, straight from a node's store.
#pragma once

#include "tests/sim/history.h"

// Adds every version of every row of a sorted table to an stb array; nothing if there is no table.
void contents_versions(
    struct world *world, uint32_t node, const char *path, struct version **versions);

// The same of an ordered table of one tablet; fails the world if a row index is missing.
void contents_list(struct world *world, uint32_t node, const char *path, struct version **items);
