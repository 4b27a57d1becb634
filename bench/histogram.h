// How often which latency was seen, in bounded memory: buckets whose width is 1/128 of their value,
// so that a quantile is off by less than 0.8%. After HdrHistogram (Tene).
#pragma once

#include <stdint.h>

#define HISTOGRAM_EXACT_COUNT 128 // Values below have buckets of their own, and so has each octave.
#define HISTOGRAM_OCTAVE_COUNT \
    30 // Values of 2^37 us, a day and a half, and more share the last one.

struct histogram {
    uint64_t counts[HISTOGRAM_EXACT_COUNT * (HISTOGRAM_OCTAVE_COUNT + 1)];
    uint64_t count;
    uint64_t max_us;
};

void histogram_add(struct histogram *histogram, uint64_t value_us);
void histogram_merge(struct histogram *histogram, const struct histogram *other);

// The value that a share of `quantile` (0 to 1) of all does not exceed; 0 if there is none.
double histogram_quantile_us(const struct histogram *histogram, double quantile);
