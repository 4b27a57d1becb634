#include "base/calendar.h"
#include "base/rng.h"
#include "tests/test.h"

#include <inttypes.h>
#include <time.h>

TestSuite(calendar, .fini = abort_on_leaks);

static void check(int64_t seconds)
{
    time_t time = (time_t)seconds;
    struct tm expected;
    cr_assert(gmtime_r(&time, &expected) != NULL);
    struct calendar_time found = calendar_from_seconds(seconds);
    bool is_same = found.year == expected.tm_year + INT64_C(1900) &&
                   found.month == expected.tm_mon + 1 && found.day == expected.tm_mday &&
                   found.year_day == expected.tm_yday && found.week_day == expected.tm_wday &&
                   found.hour == expected.tm_hour && found.minute == expected.tm_min &&
                   found.second == expected.tm_sec;
    cr_assert(is_same, "of %" PRId64, seconds);
    int64_t midnight = calendar_to_seconds(found.year, found.month, found.day);
    cr_assert(eq(i64, midnight + found.hour * 3600 + found.minute * 60 + found.second, seconds));

    static const char formats[] =
        "%a %A %b %B %c %C %d %D %e %F %g %G %H %I %j %m %M %p %r %R %S %T %u %U %V %w %W %x %X "
        "%y %Y %z %% %h";
    char text[1000];
    cr_assert(strftime(text, sizeof text, formats, &expected) > 0);
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    assert_ok(calendar_print(seconds, SLICE_OF(formats), &buffer));
    buffer_append_byte(&buffer, 0);
    assert_text(buffer.data, text);
}

Test(calendar, is_that_of_the_c_library)
{
    check(0);
    check(-1);
    check(951782400); // 29 February 2000.
    for (uint64_t seed = 0; seed < 20000; seed++) {
        struct rng rng = {.state = seed};
        // Of the years 1000 to 4000: strftime pads others differently.
        check((int64_t)rng_below(&rng, UINT64_C(94672800000)) - INT64_C(30610224000));
    }
}

Test(calendar, takes_every_number_of_seconds)
{
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct rng rng = {.state = seed};
        struct calendar_time time = calendar_from_seconds((int64_t)rng_next(&rng));
        cr_assert(time.month >= 1 && time.month <= 12 && time.day >= 1 && time.day <= 31);
    }
    cr_assert(eq(int, calendar_from_seconds(INT64_MIN).week_day, 0));
    cr_assert(eq(int, calendar_from_seconds(INT64_MAX).week_day, 0));
}

Test(calendar, refuses_what_is_no_conversion)
{
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    CLEANUP(error_freep) struct error *error = calendar_print(0, SLICE_OF("%Y %Q"), &buffer);
    assert_text(error_message(error), "Unknown conversion \"%Q\" in a format of time");
    CLEANUP(error_freep) struct error *end = calendar_print(0, SLICE_OF("%"), &buffer);
    assert_text(error_message(end), "Unknown conversion \"%\" in a format of time");
}
