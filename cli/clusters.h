// Where a cluster is: names and addresses from a file, `name host:port` a line, # for comments.
//
// The file is $RETABLE_CLUSTERS, or else ~/.config/retable/clusters.
#pragma once

#include "base/arena.h"
#include "base/error.h"

// Finds the address of `proxy`, which is host:port or a name of the file. NULL stands for
// $YT_PROXY. The errors say what to do.
MUST_USE struct error *clusters_find(
    struct arena *arena, const char *proxy, const char **ret_address);
