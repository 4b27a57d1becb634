// Feeds one tablet's replication log to one replica: how far it has been sent and acknowledged, and
// whether more may go out now.
//
// One feeder for each (replica, tablet), for both modes (protocol rule F1). Batches follow each
// other without waiting for answers: each begins where the one before ended (F4), several are in
// flight. What is in flight is bounded in bytes and batches; the flow is bounded by a throttler,
// which lets a batch overdraw and then waits for the debt. Positions of earlier sessions are
// forgotten (S1).
//
// Only positions and sizes come through here; the rows stay with the caller.
#pragma once

#include "base/throttler.h"
#include "model/position.h"

#include <stddef.h>

#define FEEDER_BATCH_COUNT_MAX 256 // In flight.

struct feeder_batch {
    struct position end;
    uint64_t size;
    uint64_t weight;
    uint64_t sent_at_us;
};

struct feeder_counters { // Since the feeder was made; for metrics.
    uint64_t weight;     // Of the batches that the replica has got and kept.
    uint64_t kept_count; // These batches, but those of which a new session told.
    uint64_t keep_us;    // How long each took, from being sent to being known to be durable.
    // Now and then one of them is watched further: until all up to its end was decided there.
    uint64_t decided_count;
    uint64_t decide_us;
};

struct feeder {
    struct throttler throttler;
    bool is_throttled;    // Whether the throttler counts: not where a commit waits for the replica.
    struct position sent; // In this session.
    struct position tail; // Acknowledged as durable in this session.
    struct position decided; // The same, of the decided position.
    uint64_t in_flight_size;
    struct feeder_batch batches[FEEDER_BATCH_COUNT_MAX]; // A ring: in flight, oldest first.
    size_t batch_begin;
    size_t batch_count;
    uint64_t closed_timestamp; // The last one told in this session.
    struct feeder_counters counters;
    uint64_t watched_row_index; // The end of a batch that is kept and not decided; 0 for none.
    uint64_t watched_at_us;
};

// Fails if the throttler's config is out of bounds. Nothing may be sent before feeder_start.
MUST_USE struct error *feeder_init(
    struct feeder *feeder, const struct throttler_config *throttler, uint64_t now_us);

// A session begins: the replica holds `tail` and has decided `decided`, durably.
void feeder_start(struct feeder *feeder, struct position tail, struct position decided);

// The first moment at which a batch may be sent as far as the throttler goes; `now_us` if at once.
uint64_t feeder_ready_at_us(const struct feeder *feeder, uint64_t now_us);

// Whether the window has room for another batch.
bool feeder_has_room(const struct feeder *feeder, uint64_t window_size);

// What the next batch may weigh before the throttler is overdrawn; UINT64_MAX without a limit.
uint64_t feeder_allowance(const struct feeder *feeder, uint64_t now_us);

// A batch went out: `size` bytes fill the window, `weight` is what the throttler counts.
void feeder_sent(
    struct feeder *feeder, struct position end, uint64_t size, uint64_t weight, uint64_t now_us);

// The replica says that it holds `tail` durably. Returns true if that is the end of a batch in
// flight or what it said before; otherwise the caller has to look the pair up (S3), then calls
// feeder_acknowledge.
bool feeder_knows(const struct feeder *feeder, struct position tail);

// Believes an acknowledgement. Positions that are not further than known change nothing.
void feeder_acknowledge(
    struct feeder *feeder, struct position tail, struct position decided, uint64_t now_us);
