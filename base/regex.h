// Regular expressions in Perl's syntax, by PCRE2, such that looking for one always comes to an end.
//
// Texts are UTF-8; one that is not is taken as bytes. A dot is not a newline, and "$" is the end of
// the text only. A pattern may have to try exponentially many ways, so there is a limit on work.
#pragma once

#include "base/error.h"
#include "base/slice.h"

#include <stdint.h>

#define REGEX_PATTERN_SIZE_MAX 4096
// Of all that is looked for in one text: steps times the bytes that each may look at. About a
// second.
#define REGEX_WORK_MAX (UINT64_C(1) << 29)

struct regex;

enum regex_mode {
    REGEX_SEARCH, // Anywhere.
    REGEX_WHOLE,  // The whole text.
};

// Compiles a pattern, which is copied. Fails if it is no pattern or too long.
MUST_USE struct error *regex_new(struct slice pattern, struct regex **ret_regex);
void regex_free(struct regex *regex);

// Borrowed from the regex.
struct slice regex_pattern(const struct regex *regex);

// Groups in parentheses; the whole is group 0 and does not count.
uint32_t regex_group_count(const struct regex *regex);

// Takes the text in which is looked from now on, borrowed until the next one. Fails if it is not
// UTF-8 and the pattern has no meaning for bytes.
MUST_USE struct error *regex_set_text(struct regex *regex, struct slice text);

// The text; its data is not NULL, even if it is empty.
struct slice regex_text(const struct regex *regex);

// Looks for the first match that begins at `begin` or later. Fails if that takes too
// much work.
MUST_USE struct error *regex_find(
    struct regex *regex, size_t begin, enum regex_mode mode, bool *ret_is_found);

// What a group took of the text in the last find, which found something. A group that took no part
// is empty.
struct slice regex_group(const struct regex *regex, uint32_t group);

// The size of the character of the text that begins at a position below its end.
size_t regex_character_size(const struct regex *regex, size_t position);

static inline void regex_freep(struct regex **regex)
{
    regex_free(*regex);
}
