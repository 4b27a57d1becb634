// The metrics page, in the text format of Prometheus: sensors of YTsaurus's tablet nodes as
// retable_…, with base units, and figures of requests, the process and the store.
// docs/metrics.md lists them. Source: Prometheus docs "Exposition formats".
#pragma once

#include "cluster/loop.h"

struct metrics_source {
    const struct loop *loop;
    struct store *store; // A rocks_store.
    const char *cluster_name;
    const char *version;
    uint64_t start_wall_us;
    // Of the HTTP face.
    uint64_t http_request_count;
    uint64_t http_connection_count;
    uint64_t http_body_size;
};

// Call on the loop's thread.
void metrics_write(const struct metrics_source *source, struct buffer *text);
