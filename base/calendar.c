#include "base/calendar.h"

#include <inttypes.h>

enum {
    DAY_SECONDS = 86400,
    ERA_YEARS = 400,
    ERA_DAYS = 146097,     // Of 400 years.
    DAYS_TO_1970 = 719468, // From 1 March of the year 0.
};

static const char *const DAYS[] = {
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char *const MONTHS[] = {
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
};

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

// Since 1970. Years are counted from March, so that the day that is sometimes there is the last
// one.
static int64_t to_days(int64_t year, int month, int day)
{
    int64_t march_year = year - (month <= 2);
    int64_t era = floor_divide(march_year, ERA_YEARS);
    int64_t year_of_era = march_year - era * ERA_YEARS;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * ERA_DAYS + day_of_era - DAYS_TO_1970;
}

int64_t calendar_to_seconds(int64_t year, int month, int day)
{
    return (int64_t)((uint64_t)to_days(year, month, day) * DAY_SECONDS);
}

struct calendar_time calendar_from_seconds(int64_t seconds)
{
    int64_t days = floor_divide(seconds, DAY_SECONDS);
    int rest = (int)(seconds % DAY_SECONDS);
    if (rest < 0) rest += DAY_SECONDS;
    int64_t since_march = days + DAYS_TO_1970;
    int64_t era = floor_divide(since_march, ERA_DAYS);
    int64_t day_of_era = since_march - era * ERA_DAYS;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int march_month = (int)((5 * day_of_year + 2) / 153);
    struct calendar_time time = {
        .month = march_month < 10 ? march_month + 3 : march_month - 9,
        .day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1),
        .week_day = (int)((days % 7 + 11) % 7), // 1970 began on a Thursday.
        .hour = rest / 3600,
        .minute = rest / 60 % 60,
        .second = rest % 60,
    };
    time.year = year_of_era + era * ERA_YEARS + (time.month <= 2);
    time.year_day = (int)(days - to_days(time.year, 1, 1));
    return time;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

// Weeks of ISO 8601 begin on Monday; the first one of a year has its first Thursday.
static int iso_week(const struct calendar_time *time, int64_t *ret_year)
{
    int week_day = (time->week_day + 6) % 7; // 0 is Monday.
    int64_t year = time->year;
    int week = (time->year_day - week_day + 10) / 7;
    if (week == 0) {
        year--;
        int year_day = time->year_day + 365 + is_leap(year);
        week = (year_day - week_day + 10) / 7;
    } else if (week == 53 && time->year_day - week_day + 3 >= 365 + is_leap(year)) {
        year++;
        week = 1;
    }
    *ret_year = year;
    return week;
}

static void print(struct buffer *buffer, const struct calendar_time *time, const char *format);

// Prints one conversion; false if there is none of this letter.
static bool print_one(
    struct buffer *buffer, const struct calendar_time *time, int64_t seconds, char letter)
{
    int hour12 = (time->hour + 11) % 12 + 1;
    int64_t iso_year;
    int week = iso_week(time, &iso_year);
    switch (letter) {
    case 'a': buffer_print(buffer, "%.3s", DAYS[time->week_day]); break;
    case 'A': buffer_append_text(buffer, DAYS[time->week_day]); break;
    case 'b':
    case 'h': buffer_print(buffer, "%.3s", MONTHS[time->month - 1]); break;
    case 'B': buffer_append_text(buffer, MONTHS[time->month - 1]); break;
    case 'c': print(buffer, time, "%a %b %e %H:%M:%S %Y"); break;
    case 'C': buffer_print(buffer, "%02" PRId64, floor_divide(time->year, 100)); break;
    case 'd': buffer_print(buffer, "%02d", time->day); break;
    case 'x':
    case 'D': print(buffer, time, "%m/%d/%y"); break;
    case 'e': buffer_print(buffer, "%2d", time->day); break;
    case 'F': print(buffer, time, "%Y-%m-%d"); break;
    case 'g': buffer_print(buffer, "%02d", (int)((iso_year % 100 + 100) % 100)); break;
    case 'G': buffer_print(buffer, "%" PRId64, iso_year); break;
    case 'H': buffer_print(buffer, "%02d", time->hour); break;
    case 'I': buffer_print(buffer, "%02d", hour12); break;
    case 'j': buffer_print(buffer, "%03d", time->year_day + 1); break;
    case 'm': buffer_print(buffer, "%02d", time->month); break;
    case 'M': buffer_print(buffer, "%02d", time->minute); break;
    case 'n': buffer_append_byte(buffer, '\n'); break;
    case 'p': buffer_append_text(buffer, time->hour < 12 ? "AM" : "PM"); break;
    case 'r': print(buffer, time, "%I:%M:%S %p"); break;
    case 'R': print(buffer, time, "%H:%M"); break;
    case 's': buffer_print(buffer, "%" PRId64, seconds); break;
    case 'S': buffer_print(buffer, "%02d", time->second); break;
    case 't': buffer_append_byte(buffer, '\t'); break;
    case 'X':
    case 'T': print(buffer, time, "%H:%M:%S"); break;
    case 'u': buffer_print(buffer, "%d", (time->week_day + 6) % 7 + 1); break;
    case 'U': buffer_print(buffer, "%02d", (time->year_day + 7 - time->week_day) / 7); break;
    case 'V': buffer_print(buffer, "%02d", week); break;
    case 'w': buffer_print(buffer, "%d", time->week_day); break;
    case 'W':
        buffer_print(buffer, "%02d", (time->year_day + 7 - (time->week_day + 6) % 7) / 7);
        break;
    case 'y': buffer_print(buffer, "%02d", (int)((time->year % 100 + 100) % 100)); break;
    case 'Y': buffer_print(buffer, "%" PRId64, time->year); break;
    case 'z': buffer_append_text(buffer, "+0000"); break;
    case 'Z': buffer_append_text(buffer, "GMT"); break;
    case '%': buffer_append_byte(buffer, '%'); break;
    default: return false;
    }
    return true;
}

// Of the conversions that stand for several others.
static void print(struct buffer *buffer, const struct calendar_time *time, const char *format)
{
    for (; *format; format++) {
        if (*format != '%') {
            buffer_append_byte(buffer, (uint8_t)*format);
        } else {
            print_one(buffer, time, 0, *++format);
        }
    }
}

struct error *calendar_print(int64_t seconds, struct slice format, struct buffer *buffer)
{
    struct calendar_time time = calendar_from_seconds(seconds);
    for (size_t i = 0; i < format.size; i++) {
        if (format.data[i] != '%') {
            buffer_append_byte(buffer, (uint8_t)format.data[i]);
            continue;
        }
        char letter = ++i < format.size ? format.data[i] : 0;
        if (print_one(buffer, &time, seconds, letter)) continue;
        return error_new(
            ERROR_GENERIC,
            "Unknown conversion \"%%%.*s\" in a format of time",
            letter ? 1 : 0,
            &letter);
    }
    return NULL;
}
