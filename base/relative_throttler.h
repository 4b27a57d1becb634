// Paces the replay of a log: what lags behind catches up at most `ratio` times as fast as the log
// was written. After YTsaurus IRelativeReplicationThrottler.
//
// A throttler of log time: a second of our clock earns `ratio` seconds of the log's, and what is
// replayed is paid for. A silence earns as much as the window does. A gap in the log longer than
// the activation threshold costs nothing: nothing happened there that would have to be replayed.
//
// Belongs to one loop; there are no locks.
#pragma once

#include "base/throttler.h"

#include <stdbool.h>

#define RELATIVE_THROTTLER_RATIO_MIN     0.001
#define RELATIVE_THROTTLER_RATIO_MAX     1e6
#define RELATIVE_THROTTLER_WINDOW_MS_MAX 60000

struct relative_throttler_config {
    bool is_enabled;
    double ratio;
    uint64_t activation_threshold_ms;
    uint64_t window_ms;
};

struct relative_throttler {
    struct relative_throttler_config config;
    struct throttler throttler; // Of milliseconds of log time.
    uint64_t newest_log_ms;     // When the last record that was replayed was written; 0 for none.
};

// Nothing is replayed yet. Fails with ERROR_GENERIC if the config is out of bounds.
MUST_USE struct error *relative_throttler_init(
    struct relative_throttler *throttler,
    const struct relative_throttler_config *config,
    uint64_t now_us);

// The first moment, `now_us` or later, at which the replay may go on.
uint64_t relative_throttler_ready_at_us(
    const struct relative_throttler *throttler, uint64_t now_us);

// How much log time the next batch may span; UINT64_MAX if disabled.
uint64_t relative_throttler_span_ms(const struct relative_throttler *throttler, uint64_t now_us);

// Records written from `first_log_ms` to `last_log_ms` are replayed now.
void relative_throttler_replayed(
    struct relative_throttler *throttler,
    uint64_t now_us,
    uint64_t first_log_ms,
    uint64_t last_log_ms);
