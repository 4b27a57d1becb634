// Dates of the Gregorian calendar in UTC, from seconds since 1970 and back. No time zones, no leap
// seconds; every int64 number of seconds is a time.
#pragma once

#include "base/buffer.h"

#include <stdint.h>

struct calendar_time {
    int64_t year;
    int month;    // 1 to 12.
    int day;      // Of the month, from 1.
    int year_day; // From 0.
    int week_day; // 0 is Sunday.
    int hour;
    int minute;
    int second;
};

struct calendar_time calendar_from_seconds(int64_t seconds);

// Midnight of a day.
int64_t calendar_to_seconds(int64_t year, int month, int day);

// Prints as strftime does in the C locale. Fails for a conversion that strftime has not; names it.
MUST_USE struct error *calendar_print(int64_t seconds, struct slice format, struct buffer *buffer);
