// UTF-8 as in RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF.
#pragma once

#include "base/slice.h"

#include <stdint.h>

#define UTF8_INVALID  UINT32_MAX
#define UTF8_SIZE_MAX 4 // Of one code point.

// Takes the next code point off `text`, which is not empty; UTF8_INVALID, and `text` stays, if
// there is none.
uint32_t utf8_next(struct slice *text);

bool utf8_is_valid(struct slice text);

// Writes a code point, at most U+10FFFF, into UTF8_SIZE_MAX bytes; returns how many it took.
size_t utf8_encode(uint32_t code_point, char *bytes);
