// A cluster's process, from its arguments to its end: what retable-coordinator and retable-node
// share.
#pragma once

#include "base/base.h"

#include <stdbool.h>

struct daemon_options {
    const char *program; // "retable-node".
    bool is_meta;        // Whether the cluster may have replicated tables.
};

// Runs until SIGTERM or SIGINT, or until the store fails. Returns the exit code of the process: 0,
// 1 for a failure that was logged, 2 for wrong arguments.
MUST_USE int daemon_main(int argc, char **argv, const struct daemon_options *options);
