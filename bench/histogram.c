#include "bench/histogram.h"

#include "base/base.h"

#include <math.h>

enum { EXACT_BITS = 7, BUCKET_COUNT = HISTOGRAM_EXACT_COUNT * (HISTOGRAM_OCTAVE_COUNT + 1) };

static uint32_t find_bucket(uint64_t value_us)
{
    if (value_us < HISTOGRAM_EXACT_COUNT) return (uint32_t)value_us;
    uint32_t octave = 63 - (uint32_t)__builtin_clzll(value_us) - EXACT_BITS; // 0 for 128 to 255.
    uint64_t rest = (value_us >> octave) - HISTOGRAM_EXACT_COUNT;
    uint64_t bucket = (uint64_t)(octave + 1) * HISTOGRAM_EXACT_COUNT + rest;
    return (uint32_t)MIN(bucket, (uint64_t)BUCKET_COUNT - 1);
}

static double bucket_middle_us(uint32_t bucket)
{
    if (bucket < HISTOGRAM_EXACT_COUNT) return bucket;
    uint32_t octave = bucket / HISTOGRAM_EXACT_COUNT - 1;
    double begin = HISTOGRAM_EXACT_COUNT + bucket % HISTOGRAM_EXACT_COUNT;
    return ldexp(begin + 0.5, (int)octave) - 0.5;
}

void histogram_add(struct histogram *histogram, uint64_t value_us)
{
    histogram->counts[find_bucket(value_us)]++;
    histogram->count++;
    histogram->max_us = MAX(histogram->max_us, value_us);
}

void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
    for (uint32_t i = 0; i < BUCKET_COUNT; i++) histogram->counts[i] += other->counts[i];
    histogram->count += other->count;
    histogram->max_us = MAX(histogram->max_us, other->max_us);
}

double histogram_quantile_us(const struct histogram *histogram, double quantile)
{
    if (histogram->count == 0) return 0;
    // Less what the product may be off, so that 0.69 of 100 is the 69th.
    uint64_t rank = (uint64_t)ceil(quantile * (double)histogram->count * (1 - 1e-12));
    rank = MIN(MAX(rank, UINT64_C(1)), histogram->count);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < BUCKET_COUNT; i++) {
        seen += histogram->counts[i];
        if (seen >= rank) return MIN(bucket_middle_us(i), (double)histogram->max_us);
    }
    return (double)histogram->max_us;
}
