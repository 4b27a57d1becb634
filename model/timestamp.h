// Commit timestamps: unix seconds << 30 | counter, as in YTsaurus; the two top bits are zero.
// Source: YTsaurus yt/yt/client/transaction_client/public.h.
#pragma once

#include "base/error.h"

#include <stdint.h>

#define TIMESTAMP_NULL                 UINT64_C(0)
#define TIMESTAMP_MIN                  UINT64_C(1)
#define TIMESTAMP_MAX                  UINT64_C(0x3fffffffffffff00)
#define TIMESTAMP_SYNC_LAST_COMMITTED  UINT64_C(0x3fffffffffffff01)
#define TIMESTAMP_ASYNC_LAST_COMMITTED UINT64_C(0x3fffffffffffff04)
// Our own: the newest at which all that is read here is complete, also on asynchronous replicas.
#define TIMESTAMP_LAST_CONSISTENT UINT64_C(0x3fffffffffffff05)
#define TIMESTAMP_COUNTER_BITS    30

static inline uint64_t timestamp_seconds(uint64_t timestamp)
{
    return timestamp >> TIMESTAMP_COUNTER_BITS;
}

// The first timestamp of the second in which this moment of the wall clock lies.
static inline uint64_t timestamp_from_wall_us(uint64_t wall_us)
{
    return (wall_us / 1000000) << TIMESTAMP_COUNTER_BITS;
}

// How long after `from` the moment `to` lies, in milliseconds (exact to a second); 0 if not after.
static inline uint64_t timestamp_difference_ms(uint64_t to, uint64_t from)
{
    uint64_t a = timestamp_seconds(to);
    uint64_t b = timestamp_seconds(from);
    return a > b ? (a - b) * 1000 : 0;
}
