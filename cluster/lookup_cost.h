// What lookups cost, learnt from those before, and whether the next ones should leave the loop:
// rows in memory are read sooner than a worker wakes, rows on disk would keep the loop from
// everything else. Pure: who measures tells.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// So long at most, by what is known, the lookups of one turn keep the loop busy.
#define READER_AWAY_US UINT64_C(400)

struct lookup_cost { // Zero to begin with: nothing is known, so lookups stay.
    uint64_t key_ns; // On average, of young lookups more than of old ones.
};

// Lookups of so many keys took so long. What was measured while another process had the core is
// soon outweighed: each measurement counts for an eighth, however many keys it is of.
void lookup_cost_learn(struct lookup_cost *cost, uint64_t key_count, uint64_t spent_us);

// Whether so many keys would take longer than READER_AWAY_US.
bool lookup_cost_is_long(const struct lookup_cost *cost, uint64_t key_count);
