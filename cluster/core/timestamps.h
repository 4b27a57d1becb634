// Gives out a cluster's timestamps: unique, only growing, across restarts and clocks that jump.
//
// What was given out is never above a ceiling that is durable, and after a restart giving out
// starts above that ceiling (protocol rule C2). The owner extends the ceiling ahead of need: it
// asks timestamps_extension, makes the answer durable, and says so with timestamps_set_ceiling.
// Until then timestamps stay below the old ceiling, even if the wall clock runs ahead of it; so
// nobody waits.
#pragma once

#include <stdint.h>

struct timestamps {
    uint64_t last;    // The newest given out.
    uint64_t ceiling; // Durable: nothing above it was given out.
    uint64_t wall_us; // The latest reading of the wall clock, as last told.
};

// After a restart: `ceiling` is the durable one of the run before, 0 for the first run ever.
void timestamps_init(struct timestamps *timestamps, uint64_t ceiling, uint64_t wall_us);

// Tells the wall clock. It may go back; timestamps do not.
void timestamps_tick(struct timestamps *timestamps, uint64_t wall_us);

// The ceiling that should be made durable now, or 0 if the present one is far enough ahead.
uint64_t timestamps_extension(const struct timestamps *timestamps);

// `ceiling` is durable.
void timestamps_set_ceiling(struct timestamps *timestamps, uint64_t ceiling);

// A new timestamp, greater than all before; 0 if none is left below the ceiling.
uint64_t timestamps_next(struct timestamps *timestamps);

// A timestamp below which nothing new will be given out, as near to the present as can be had.
// Moves the generator there.
uint64_t timestamps_close(struct timestamps *timestamps);
