#include "base/relative_throttler.h"

static const double MS_PER_SECOND = 1000;

struct error *relative_throttler_init(
    struct relative_throttler *throttler,
    const struct relative_throttler_config *config,
    uint64_t now_us)
{
    bool is_in_bounds = config->ratio >= RELATIVE_THROTTLER_RATIO_MIN &&
                        config->ratio <= RELATIVE_THROTTLER_RATIO_MAX;
    if (!is_in_bounds) {
        return error_new(
            ERROR_GENERIC,
            "Ratio of a relative throttler must be %g to %g",
            RELATIVE_THROTTLER_RATIO_MIN,
            RELATIVE_THROTTLER_RATIO_MAX);
    }
    if (config->window_ms == 0 || config->window_ms > RELATIVE_THROTTLER_WINDOW_MS_MAX) {
        return error_new(
            ERROR_GENERIC,
            "Window size of a relative throttler must be 1 to %d ms",
            RELATIVE_THROTTLER_WINDOW_MS_MAX);
    }
    *throttler = (struct relative_throttler){.config = *config};
    const struct throttler_config of_log_time = {
        .limit = (uint64_t)(config->ratio * MS_PER_SECOND),
        .period_us = config->window_ms * 1000,
    };
    return throttler_init(&throttler->throttler, &of_log_time, now_us);
}

uint64_t relative_throttler_ready_at_us(const struct relative_throttler *throttler, uint64_t now_us)
{
    if (!throttler->config.is_enabled) return now_us;
    return throttler_ready_at_us(&throttler->throttler, now_us);
}

uint64_t relative_throttler_span_ms(const struct relative_throttler *throttler, uint64_t now_us)
{
    if (!throttler->config.is_enabled) return UINT64_MAX;
    return throttler_available(&throttler->throttler, now_us);
}

void relative_throttler_replayed(
    struct relative_throttler *throttler,
    uint64_t now_us,
    uint64_t first_log_ms,
    uint64_t last_log_ms)
{
    if (!throttler->config.is_enabled) return;
    uint64_t newest_ms = throttler->newest_log_ms;
    bool is_gap = first_log_ms > newest_ms + throttler->config.activation_threshold_ms;
    uint64_t from_ms = newest_ms == 0 || is_gap ? first_log_ms : newest_ms;
    throttler->newest_log_ms = MAX(newest_ms, last_log_ms);
    if (last_log_ms <= from_ms) return;
    uint64_t amount = MIN(last_log_ms - from_ms, THROTTLER_AMOUNT_MAX);
    throttler_acquire(&throttler->throttler, now_us, amount);
}
