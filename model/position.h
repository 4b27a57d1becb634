// A place in a tablet's replication log: protocol section 1.
//
// The position of a record is (row index after it, its commit timestamp); the empty log's is (0,
// 0). Two positions are equal only when both parts are (rule S3), since an index lost in a crash is
// given out again, a timestamp never.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct position {
    uint64_t row_index;
    uint64_t timestamp;
};

static inline bool position_equal(struct position a, struct position b)
{
    return a.row_index == b.row_index && a.timestamp == b.timestamp;
}

// A record's fate. An aborted record stays in the log as a hole: it has a position and no rows.
enum record_state { RECORD_UNDECIDED = 1, RECORD_COMMITTED, RECORD_ABORTED };
