#include "base/regex.h"

#include "tests/test.h"

TestSuite(regex, .fini = abort_on_leaks);

// What is found first, in quotes; "no" if nothing is, and the error's message if that fails.
static const char *find(const char *pattern, const char *text, enum regex_mode mode)
{
    static char result[256];
    CLEANUP(regex_freep) struct regex *regex = NULL;
    bool is_found = false;
    struct error *error = regex_new(slice_from_text(pattern), &regex);
    if (!error) error = regex_set_text(regex, slice_from_text(text));
    if (!error) error = regex_find(regex, 0, mode, &is_found);
    if (error) {
        snprintf(result, sizeof result, "%s", error_message(error));
        error_free(error);
    } else if (is_found) {
        snprintf(result, sizeof result, "\"%.*s\"", SLICE(regex_group(regex, 0)));
    } else {
        snprintf(result, sizeof result, "no");
    }
    return result;
}

Test(regex, finds)
{
    assert_text(find("b+", "abbc", REGEX_SEARCH), "\"bb\"");
    assert_text(find("b+", "abbc", REGEX_WHOLE), "no");
    assert_text(find("a|ab", "ab", REGEX_WHOLE), "\"ab\"");
    assert_text(find("", "", REGEX_WHOLE), "\"\"");
    assert_text(find("a.c", "a\nc", REGEX_SEARCH), "no");
    assert_text(find("(?s)a.c", "a\nc", REGEX_SEARCH), "\"a\nc\"");
    assert_text(find("a$", "a\n", REGEX_SEARCH), "no");
    assert_text(find("(", "a", REGEX_SEARCH), "Error parsing regular expression \"(\"");
}

Test(regex, takes_a_text_as_characters_or_else_as_bytes)
{
    assert_text(find("^.$", "\xd1\x8b", REGEX_SEARCH), "\"\xd1\x8b\"");
    assert_text(find("^[\xd1\x8b\xd1\x8c]", "\xd1\x8c!", REGEX_SEARCH), "\"\xd1\x8c\"");
    assert_text(find("^..", "\xd1\xd1\x8b", REGEX_SEARCH), "\"\xd1\xd1\"");
    CLEANUP(regex_freep) struct regex *regex = NULL;
    assert_ok(regex_new(SLICE_OF("."), &regex));
    assert_ok(regex_set_text(regex, SLICE_OF("\xd1\x8bz")));
    cr_assert_eq(regex_character_size(regex, 0), 2);
    cr_assert_eq(regex_character_size(regex, 2), 1);
}

Test(regex, gives_groups)
{
    CLEANUP(regex_freep) struct regex *regex = NULL;
    assert_ok(regex_new(SLICE_OF("(a)|(b)(c?)"), &regex));
    cr_assert_eq(regex_group_count(regex), 3);
    assert_ok(regex_set_text(regex, SLICE_OF("abc")));
    bool is_found;
    assert_ok(regex_find(regex, 1, REGEX_SEARCH, &is_found));
    cr_assert(is_found);
    cr_assert(slice_equal_text(regex_group(regex, 0), "bc"));
    cr_assert_eq(regex_group(regex, 1).size, 0);
    cr_assert(slice_equal_text(regex_group(regex, 3), "c"));
}

Test(regex, comes_to_an_end)
{
    char text[2001];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    assert_text(find("a*b?$", text, REGEX_WHOLE)[0] == '"' ? "found" : "not", "found");
    // Few steps, each of which runs over the whole text.
    memcpy(text + sizeof text - 3, "cb", 2);
    const char *found = find("(?:a{0,1000}){0,1000}cc|xb", text, REGEX_SEARCH);
    cr_assert(strstr(found, "takes too long on a string of 2000 bytes") != NULL, "%s", found);
    text[200] = 0;
    CLEANUP(regex_freep) struct regex *regex = NULL;
    assert_ok(regex_new(SLICE_OF("(a+)+b"), &regex));
    // "b" is in the text, where it does not help: otherwise there is nothing to try.
    text[100] = 'c';
    text[101] = 'b';
    assert_ok(regex_set_text(regex, slice_from_text(text)));
    bool is_found;
    CLEANUP(error_freep) struct error *error = regex_find(regex, 0, REGEX_SEARCH, &is_found);
    cr_assert(error != NULL);
    assert_text(
        error_message(error),
        "Regular expression \"(a+)+b\" takes too long on a string of 200 bytes: there are too many "
        "ways to match it");
    // The next text has all its steps again.
    assert_ok(regex_set_text(regex, SLICE_OF("aab")));
    assert_ok(regex_find(regex, 0, REGEX_SEARCH, &is_found));
    cr_assert(is_found);
}

// Each find may need many steps, and there may be many finds: they share what is allowed.
Test(regex, comes_to_an_end_of_many_finds)
{
    char text[40001];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    CLEANUP(regex_freep) struct regex *regex = NULL;
    assert_ok(regex_new(SLICE_OF("a(?:(?:a?){20}c|)"), &regex));
    assert_ok(regex_set_text(regex, slice_from_text(text)));
    size_t position = 0;
    struct error *error = NULL;
    bool is_found = true;
    while (!error && is_found && position < sizeof text - 1) {
        error = regex_find(regex, position, REGEX_SEARCH, &is_found);
        if (!error && is_found) position += regex_group(regex, 0).size;
    }
    cr_assert(error != NULL);
    error_free(error);
}

Test(regex, refuses_what_is_too_long_or_too_deep)
{
    char pattern[REGEX_PATTERN_SIZE_MAX + 1];
    memset(pattern, 'a', sizeof pattern);
    CLEANUP(regex_freep) struct regex *regex = NULL;
    CLEANUP(error_freep)
    struct error *error = regex_new(slice_from(pattern, sizeof pattern), &regex);
    assert_text(error_message(error), "A regular expression is too long: 4097 bytes");
    memset(pattern, '(', 1000);
    memset(pattern + 1000, ')', 1000);
    CLEANUP(error_freep) struct error *deep = regex_new(slice_from(pattern, 2000), &regex);
    cr_assert(deep != NULL);
}
