#include "base/utf8.h"

#include "tests/test.h"

#include <inttypes.h>

TestSuite(utf8, .fini = abort_on_leaks);

Test(utf8, reads_back_every_code_point)
{
    for (uint32_t code_point = 0; code_point <= 0x10ffff; code_point++) {
        char bytes[UTF8_SIZE_MAX];
        struct slice text = slice_from(bytes, utf8_encode(code_point, bytes));
        bool is_surrogate = code_point >= 0xd800 && code_point < 0xe000;
        uint32_t expected = is_surrogate ? UTF8_INVALID : code_point;
        if (utf8_next(&text) != expected) cr_fatal("%" PRIx32, code_point);
    }
}

Test(utf8, refuses_what_is_malformed)
{
    static const char *const TEXTS[] = {
        "\x80",             // A continuation alone.
        "\xc3",             // Cut short.
        "\xe2\x82",         //
        "\xf0\x9f\x98",     //
        "\xc3z",            // Another byte within.
        "\xc0\xaf",         // Overlong.
        "\xe0\x80\xaf",     //
        "\xf0\x80\x80\xaf", //
        "\xf4\x90\x80\x80", // Too great.
        "\xf8\x88\x80\x80\x80",
        "\xff",
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        cr_assert(not(utf8_is_valid(slice_from_text(TEXTS[i]))), "%zu", i);
    }
    cr_assert(utf8_is_valid(SLICE_OF("a\0\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")));
    cr_assert(utf8_is_valid(SLICE_OF("")));
}
