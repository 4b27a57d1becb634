// Numbers as decimal text: what is printed reads back as the same number, and what does not fit the
// type is refused rather than rounded or cut.
#pragma once

#include "base/slice.h"

#include <stdint.h>

#define NUMBER_TEXT_MAX 40 // Of a double, with the NUL.

// Prints a finite double with the fewest digits that read back the same, into at least
// NUMBER_TEXT_MAX bytes, and returns them: 1, 0.1, 1e+21, 1e-11.
// Source: the layout is that of YTsaurus FloatToString (double-conversion, shortest).
const char *number_print_double(double number, char *text);

// Parse a whole text; false if it is anything else or out of range. A sign is allowed for signed
// integers and doubles; there is no hexadecimal, infinity or NaN.
bool number_parse_int64(struct slice text, int64_t *ret_number);
bool number_parse_uint64(struct slice text, uint64_t *ret_number);
bool number_parse_double(struct slice text, double *ret_number);
