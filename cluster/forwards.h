// Reads that a coordinator sends on to a replica's cluster, by the client API there.
#pragma once

#include "cluster/links.h"

// Asks `cluster` to do the lookup or query in `request`, which is taken over and answered with what
// comes back. Without a deadline of its own it gets one of 30 s.
void forward_read(
    struct loop *loop, struct links *links, struct request *request, struct slice cluster);
