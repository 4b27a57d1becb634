#include "replicator/core/feeder.h"

#include <assert.h>

static void check_invariants(const struct feeder *feeder)
{
    assert(feeder->decided.row_index <= feeder->tail.row_index);
    assert(feeder->tail.row_index <= feeder->sent.row_index);
    assert(feeder->batch_count > 0 || feeder->in_flight_size == 0);
}

struct error *feeder_init(
    struct feeder *feeder, const struct throttler_config *throttler, uint64_t now_us)
{
    *feeder = (struct feeder){.is_throttled = true};
    return throttler_init(&feeder->throttler, throttler, now_us);
}

// Takes out the batches that end at or below the row index; returns how many they are.
static size_t drop_batches(struct feeder *feeder, uint64_t row_index, uint64_t *ret_sent_us)
{
    size_t count = 0;
    *ret_sent_us = 0;
    while (feeder->batch_count > 0) {
        const struct feeder_batch *batch = &feeder->batches[feeder->batch_begin];
        if (batch->end.row_index > row_index) break;
        feeder->in_flight_size -= batch->size;
        feeder->counters.weight += batch->weight;
        *ret_sent_us += batch->sent_at_us;
        feeder->batch_begin = (feeder->batch_begin + 1) % FEEDER_BATCH_COUNT_MAX;
        feeder->batch_count--;
        count++;
    }
    return count;
}

void feeder_start(struct feeder *feeder, struct position tail, struct position decided)
{
    uint64_t sent_us = 0;
    drop_batches(feeder, tail.row_index, &sent_us);
    feeder->watched_row_index = 0;
    feeder->sent = tail;
    feeder->tail = tail;
    feeder->decided = decided;
    feeder->in_flight_size = 0;
    feeder->batch_begin = 0;
    feeder->batch_count = 0;
    feeder->closed_timestamp = 0;
    check_invariants(feeder);
}

uint64_t feeder_ready_at_us(const struct feeder *feeder, uint64_t now_us)
{
    return feeder->is_throttled ? throttler_ready_at_us(&feeder->throttler, now_us) : now_us;
}

bool feeder_has_room(const struct feeder *feeder, uint64_t window_size)
{
    return feeder->batch_count < FEEDER_BATCH_COUNT_MAX && feeder->in_flight_size < window_size;
}

uint64_t feeder_allowance(const struct feeder *feeder, uint64_t now_us)
{
    return feeder->is_throttled ? throttler_available(&feeder->throttler, now_us) : UINT64_MAX;
}

void feeder_sent(
    struct feeder *feeder, struct position end, uint64_t size, uint64_t weight, uint64_t now_us)
{
    assert(feeder->batch_count < FEEDER_BATCH_COUNT_MAX);
    assert(end.row_index > feeder->sent.row_index);
    assert(end.timestamp > feeder->sent.timestamp); // in-order.
    if (feeder->is_throttled) throttler_acquire(&feeder->throttler, now_us, weight);
    size_t i = (feeder->batch_begin + feeder->batch_count) % FEEDER_BATCH_COUNT_MAX;
    feeder->batches[i] = (struct feeder_batch){
        .end = end,
        .size = size,
        .weight = weight,
        .sent_at_us = now_us,
    };
    feeder->batch_count++;
    feeder->in_flight_size += size;
    feeder->sent = end;
    check_invariants(feeder);
}

bool feeder_knows(const struct feeder *feeder, struct position tail)
{
    if (position_equal(tail, feeder->tail)) return true;
    for (size_t i = 0; i < feeder->batch_count; i++) {
        size_t at = (feeder->batch_begin + i) % FEEDER_BATCH_COUNT_MAX;
        if (position_equal(tail, feeder->batches[at].end)) return true;
    }
    return false;
}

void feeder_acknowledge(
    struct feeder *feeder, struct position tail, struct position decided, uint64_t now_us)
{
    struct feeder_counters *counters = &feeder->counters;
    uint64_t sent_us = 0;
    if (tail.row_index > feeder->tail.row_index) feeder->tail = tail;
    if (decided.row_index > feeder->decided.row_index) feeder->decided = decided;
    size_t kept_count = drop_batches(feeder, feeder->tail.row_index, &sent_us);
    counters->kept_count += kept_count;
    counters->keep_us += kept_count * now_us - sent_us;
    if (kept_count > 0 && feeder->watched_row_index == 0) {
        feeder->watched_row_index = feeder->tail.row_index;
        feeder->watched_at_us = now_us;
    }
    if (feeder->watched_row_index > 0 && feeder->decided.row_index >= feeder->watched_row_index) {
        counters->decided_count++;
        counters->decide_us += now_us - feeder->watched_at_us;
        feeder->watched_row_index = 0;
    }
    check_invariants(feeder);
}
