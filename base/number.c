#include "base/number.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>

enum {
    DIGIT_COUNT_EXACT = 15, // As many decimal digits survive in any normal double,
    DIGIT_COUNT_MAX = 17,   // and as many tell all doubles apart.
    EXPONENT_MIN = -10,     // Below it, and from EXPONENT_MAX, the exponent is written.
    EXPONENT_MAX = 21,
    DOUBLE_TEXT_MAX = 1100, // The longest double written out in full has 1075 digits.
};

// Writes the digits without trailing zeros and returns how many; `number` is 0.DIGITS * 10^point.
static int shortest_digits(double number, char *digits, int *ret_point)
{
    char text[NUMBER_TEXT_MAX];
    // Subnormal numbers have fewer digits than others, so the search begins lower.
    int count = number < DBL_MIN ? 1 : DIGIT_COUNT_EXACT;
    for (;; count++) {
        snprintf(text, sizeof text, "%.*e", count - 1, number);
        if (count == DIGIT_COUNT_MAX || strtod(text, NULL) == number) break;
    }
    int size = 0;
    const char *at = text;
    for (; *at != 'e'; at++) {
        if (*at != '.') digits[size++] = *at;
    }
    *ret_point = (int)strtol(at + 1, NULL, 10) + 1;
    while (size > 1 && digits[size - 1] == '0') size--;
    return size;
}

const char *number_print_double(double number, char *text)
{
    assert(isfinite(number));
    char *at = text;
    if (signbit(number)) *at++ = '-';
    if (number == 0) {
        *at++ = '0';
        *at = 0;
        return text;
    }
    char digits[NUMBER_TEXT_MAX] = {0};
    int point = 0;
    int count = shortest_digits(fabs(number), digits, &point);
    int exponent = point - 1;

    if (exponent < EXPONENT_MIN || exponent >= EXPONENT_MAX) {
        *at++ = digits[0];
        if (count > 1) {
            *at++ = '.';
            memcpy(at, digits + 1, (size_t)count - 1);
            at += count - 1;
        }
        snprintf(at, 8, "e%+d", exponent);
        return text;
    }
    if (point <= 0) {
        *at++ = '0';
        *at++ = '.';
        for (int i = point; i < 0; i++) *at++ = '0';
    }
    for (int i = 0; i < MAX(count, point); i++) {
        if (i == point && i > 0) *at++ = '.';
        *at++ = i < count ? digits[i] : '0';
    }
    *at = 0;
    return text;
}

bool number_parse_uint64(struct slice text, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (text.size == 0) return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        if (__builtin_mul_overflow(number, UINT64_C(10), &number)) return false;
        if (__builtin_add_overflow(number, (uint64_t)(text.data[i] - '0'), &number)) return false;
    }
    *ret_number = number;
    return true;
}

bool number_parse_int64(struct slice text, int64_t *ret_number)
{
    if (text.size == 0) return false;
    bool is_negative = text.data[0] == '-';
    if (is_negative || text.data[0] == '+') text = slice_from(text.data + 1, text.size - 1);
    uint64_t magnitude = 0;
    if (!number_parse_uint64(text, &magnitude)) return false;
    if (magnitude > (uint64_t)INT64_MAX + is_negative) return false;
    *ret_number = (int64_t)(is_negative ? -magnitude : magnitude);
    return true;
}

bool number_parse_double(struct slice text, double *ret_number)
{
    char copy[DOUBLE_TEXT_MAX + 1];
    if (text.size == 0 || text.size > DOUBLE_TEXT_MAX) return false;
    for (size_t i = 0; i < text.size; i++) {
        copy[i] = text.data[i];
        if (!copy[i] || !strchr("0123456789+-.eE", copy[i])) return false;
    }
    copy[text.size] = 0;
    char *end = NULL;
    double number = strtod(copy, &end);
    if (end != copy + text.size || !isfinite(number)) return false;
    *ret_number = number;
    return true;
}
