#include "cluster/core/timestamps.h"

#include "base/base.h"
#include "model/timestamp.h"

#include <assert.h>

// How far ahead of use the ceiling is kept. After a crash timestamps run ahead of the clock by
// this.
static const uint64_t AHEAD_US = 10 * 1000000;
static const uint64_t STOCK_COUNT = 1 << 20;

void timestamps_init(struct timestamps *timestamps, uint64_t ceiling, uint64_t wall_us)
{
    *timestamps = (struct timestamps){.last = ceiling, .ceiling = ceiling, .wall_us = wall_us};
}

void timestamps_tick(struct timestamps *timestamps, uint64_t wall_us)
{
    timestamps->wall_us = wall_us;
}

// What the wall clock asks for, within what is allowed.
static uint64_t present(const struct timestamps *timestamps)
{
    uint64_t wall = timestamp_from_wall_us(timestamps->wall_us);
    return MIN(wall, timestamps->ceiling);
}

uint64_t timestamps_extension(const struct timestamps *timestamps)
{
    // Where the wall clock is behind, after a crash or a jump, there is no need to run ahead by
    // seconds, or each crash in a row would add to it: some timestamps in stock will do.
    uint64_t wall = timestamp_from_wall_us(timestamps->wall_us);
    uint64_t ahead = timestamp_from_wall_us(AHEAD_US);
    uint64_t needed = MAX(wall + ahead / 2, timestamps->last + STOCK_COUNT / 2);
    if (timestamps->ceiling >= needed) return 0;
    return MAX(wall + ahead, timestamps->last + STOCK_COUNT);
}

void timestamps_set_ceiling(struct timestamps *timestamps, uint64_t ceiling)
{
    assert(ceiling >= timestamps->ceiling);
    timestamps->ceiling = ceiling;
}

uint64_t timestamps_next(struct timestamps *timestamps)
{
    uint64_t next = MAX(timestamps->last + 1, present(timestamps));
    if (next > timestamps->ceiling) return 0;
    assert(next > timestamps->last);
    timestamps->last = next;
    return next;
}

uint64_t timestamps_close(struct timestamps *timestamps)
{
    timestamps->last = MAX(timestamps->last, present(timestamps));
    return timestamps->last;
}
