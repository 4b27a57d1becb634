// Functions of times: seconds since 1970, in UTC.
#include "base/calendar.h"
#include "cluster/query/functions_code.h"

#include <assert.h>

enum {
    HOUR_SECONDS = 3600,
    DAY_SECONDS = 24 * HOUR_SECONDS,
    WEEK_SECONDS = 7 * DAY_SECONDS,
    FIRST_MONDAY_SECONDS = 4 * DAY_SECONDS, // 1970 began on a Thursday.
};

// Rounded down to a multiple of `period`, counted from `origin`.
static struct value floor_time(const struct value *time, int64_t period, int64_t origin)
{
    int64_t since;
    if (__builtin_sub_overflow(time->int64, origin, &since)) return *time;
    int64_t rest = since % period;
    if (rest < 0) rest += period;
    int64_t floor_seconds;
    if (__builtin_sub_overflow(time->int64, rest, &floor_seconds)) return *time;
    return value_int64(0, floor_seconds);
}

FUNCTION(timestamp_floor_hour)
{
    (void)context;
    assert(count == 1);
    return floor_time(arguments[0], HOUR_SECONDS, 0);
}

FUNCTION(timestamp_floor_day)
{
    (void)context;
    assert(count == 1);
    return floor_time(arguments[0], DAY_SECONDS, 0);
}

FUNCTION(timestamp_floor_week)
{
    (void)context;
    assert(count == 1);
    return floor_time(arguments[0], WEEK_SECONDS, FIRST_MONDAY_SECONDS);
}

// Rounded down to the first day of a period of so many months.
static struct value floor_months(const struct value *seconds, int month_count)
{
    struct calendar_time time = calendar_from_seconds(seconds->int64);
    int month = time.month - (time.month - 1) % month_count;
    return value_int64(0, calendar_to_seconds(time.year, month, 1));
}

FUNCTION(timestamp_floor_month)
{
    (void)context;
    assert(count == 1);
    return floor_months(arguments[0], 1);
}

FUNCTION(timestamp_floor_quarter)
{
    (void)context;
    assert(count == 1);
    return floor_months(arguments[0], 3);
}

FUNCTION(timestamp_floor_year)
{
    (void)context;
    assert(count == 1);
    return floor_months(arguments[0], 12);
}

FUNCTION(format_timestamp)
{
    assert(count == 2);
    CLEANUP(buffer_releasep) struct buffer text = {.size_max = FUNCTION_STRING_SIZE_MAX};
    TRY_FUNCTION(context, calendar_print(arguments[0]->int64, value_slice(arguments[1]), &text));
    return function_string(context, &text);
}
