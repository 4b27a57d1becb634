// The status page: what a cluster has and how its replication does, as HTML for people, readable
// without JavaScript.
#pragma once

#include "cluster/loop.h"

#define STATUS_PAGE_TABLE_COUNT_MAX 1000

struct status_source {
    const struct loop *loop;
    const char *cluster_name;
    const char *version;
    uint64_t start_wall_us;
    uint64_t now_wall_us;
};

// Call on the loop's thread.
void status_page_write(const struct status_source *source, struct buffer *html);
