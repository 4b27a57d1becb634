#include "base/number.h"

#include "base/rng.h"
#include "tests/test.h"

#include <inttypes.h>
#include <math.h>

TestSuite(number, .fini = abort_on_leaks);

static void assert_printed(double number, const char *expected)
{
    char text[NUMBER_TEXT_MAX];
    assert_text(number_print_double(number, text), expected);
}

Test(number, prints_doubles_in_the_shortest_way)
{
    assert_printed(0, "0");
    assert_printed(-0.0, "-0");
    assert_printed(1, "1");
    assert_printed(-120, "-120");
    assert_printed(0.1, "0.1");
    assert_printed(0.1 + 0.2, "0.30000000000000004");
    assert_printed(123.456, "123.456");
    assert_printed(1e20, "100000000000000000000");
    assert_printed(1e21, "1e+21");
    assert_printed(1.25e-7, "0.000000125");
    assert_printed(1e-10, "0.0000000001");
    assert_printed(1e-11, "1e-11");
    assert_printed(5e-324, "5e-324");
    assert_printed(1.7976931348623157e308, "1.7976931348623157e+308");
}

Test(number, reads_back_the_doubles_it_prints)
{
    for (uint64_t seed = 0; seed < 50000; seed++) {
        struct rng rng = {.state = seed};
        uint64_t bits = rng_next(&rng);
        double number = 0;
        double again = 0;
        char text[NUMBER_TEXT_MAX];
        memcpy(&number, &bits, sizeof number);
        if (!isfinite(number)) continue;
        number_print_double(number, text);
        cr_assert(lt(sz, strlen(text), sizeof text));
        cr_assert(number_parse_double(slice_from_text(text), &again));
        cr_assert(eq(int, memcmp(&number, &again, sizeof number), 0), "seed %" PRIu64, seed);
    }
}

Test(number, has_the_limits_of_its_type)
{
    int64_t int64 = 0;
    uint64_t uint64 = 0;
    double real = 0;
    cr_assert(number_parse_int64(SLICE_OF("9223372036854775807"), &int64));
    cr_assert(eq(i64, int64, INT64_MAX));
    cr_assert(number_parse_int64(SLICE_OF("-9223372036854775808"), &int64));
    cr_assert(eq(i64, int64, INT64_MIN));
    cr_assert(number_parse_uint64(SLICE_OF("18446744073709551615"), &uint64));
    cr_assert(eq(u64, uint64, UINT64_MAX));
    cr_assert(not(number_parse_int64(SLICE_OF("9223372036854775808"), &int64)));
    cr_assert(not(number_parse_int64(SLICE_OF("-9223372036854775809"), &int64)));
    cr_assert(not(number_parse_uint64(SLICE_OF("18446744073709551616"), &uint64)));
    cr_assert(not(number_parse_uint64(SLICE_OF("99999999999999999999"), &uint64)));
    cr_assert(not(number_parse_double(SLICE_OF("1e309"), &real)));
}

Test(number, is_a_whole_text)
{
    static const char *const TEXTS[] = {
        "", "-", "+", " 1", "1 ", "1x", "0x10", "--1", "1-", "inf", "nan", "e5", "."};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct slice text = slice_from_text(TEXTS[i]);
        int64_t int64 = 0;
        uint64_t uint64 = 0;
        double real = 0;
        cr_assert(not(number_parse_int64(text, &int64)), "%s", TEXTS[i]);
        cr_assert(not(number_parse_uint64(text, &uint64)), "%s", TEXTS[i]);
        cr_assert(not(number_parse_double(text, &real)), "%s", TEXTS[i]);
    }
    double real = 0;
    cr_assert(not(number_parse_double(slice_from("1\0002", 3), &real)));
}
