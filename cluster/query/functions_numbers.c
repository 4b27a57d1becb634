// Functions of numbers, and conversions between types.
#include "base/number.h"
#include "cluster/query/functions_code.h"
#include "model/yson.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

// The least double above all int64, and above all uint64.
#define INT64_END  0x1p63
#define UINT64_END 0x1p64

// -------------------------------------------------------------------------------------------------
// Conversions

// What a value of type any holds, as a value of its own type; null for an entity.
static struct value unpack_any(struct function_context *context, const struct value *any)
{
    if (any->type != VALUE_ANY) return *any;
    struct node *node = NULL;
    struct error *error = yson_parse(context->scratch, value_slice(any), &node);
    if (error) return function_fail(context, error);
    struct value value = *any;
    function_node_value(node, &value);
    return value;
}

static struct value fail_cast(
    struct function_context *context, const struct value *from, enum value_type to)
{
    return function_fail(
        context,
        error_new(
            ERROR_GENERIC,
            "Cannot convert a value of type %s to %s",
            value_type_name(from->type),
            value_type_name(to)));
}

static struct value fail_range(struct function_context *context, double number, enum value_type to)
{
    return function_fail(
        context,
        error_new(
            ERROR_GENERIC,
            "Cannot convert %.17g to %s: out of range",
            number,
            value_type_name(to)));
}

static struct value to_int64(struct function_context *context, double number)
{
    if (!(number >= -INT64_END && number < INT64_END)) {
        return fail_range(context, number, VALUE_INT64);
    }
    return value_int64(0, (int64_t)number);
}

FUNCTION(int64)
{
    assert(count == 1);
    struct value from = unpack_any(context, arguments[0]);
    if (from.type == VALUE_NULL || from.type == VALUE_INT64) return from;
    if (from.type == VALUE_UINT64) return value_int64(0, (int64_t)from.uint64);
    if (from.type != VALUE_DOUBLE) return fail_cast(context, &from, VALUE_INT64);
    return to_int64(context, from.real);
}

FUNCTION(uint64)
{
    assert(count == 1);
    struct value from = unpack_any(context, arguments[0]);
    if (from.type == VALUE_NULL || from.type == VALUE_UINT64) return from;
    if (from.type == VALUE_INT64) return value_uint64(0, (uint64_t)from.int64);
    if (from.type != VALUE_DOUBLE) return fail_cast(context, &from, VALUE_UINT64);
    if (!(from.real > -1 && from.real < UINT64_END)) {
        return fail_range(context, from.real, VALUE_UINT64);
    }
    return value_uint64(0, (uint64_t)from.real);
}

FUNCTION(double)
{
    assert(count == 1);
    struct value from = unpack_any(context, arguments[0]);
    if (from.type == VALUE_NULL || from.type == VALUE_DOUBLE) return from;
    if (from.type == VALUE_INT64) return value_double(0, (double)from.int64);
    if (from.type == VALUE_UINT64) return value_double(0, (double)from.uint64);
    return fail_cast(context, &from, VALUE_DOUBLE);
}

FUNCTION(boolean)
{
    assert(count == 1);
    struct value from = unpack_any(context, arguments[0]);
    if (from.type == VALUE_NULL || from.type == VALUE_BOOLEAN) return from;
    return fail_cast(context, &from, VALUE_BOOLEAN);
}

FUNCTION(string)
{
    assert(count == 1);
    struct value from = unpack_any(context, arguments[0]);
    if (from.type == VALUE_NULL || from.type == VALUE_STRING) return from;
    return fail_cast(context, &from, VALUE_STRING);
}

FUNCTION(numeric_to_string)
{
    assert(count == 1);
    const struct value *from = arguments[0];
    const char *text = "";
    if (from->type == VALUE_INT64) {
        text = arena_print(context->scratch, "%" PRId64, from->int64);
    } else if (from->type == VALUE_UINT64) {
        text = arena_print(context->scratch, "%" PRIu64, from->uint64);
    } else {
        text = arena_print(context->scratch, "%.17g", from->real);
    }
    return value_string(0, slice_from_text(text));
}

static struct value fail_parse(
    struct function_context *context, struct slice text, enum value_type type)
{
    return function_fail(
        context,
        error_new(
            ERROR_GENERIC,
            "Cannot parse %s value from \"%.*s\"",
            value_type_name(type),
            SLICE(slice_from(text.data, MIN(text.size, (size_t)100)))));
}

FUNCTION(parse_int64)
{
    assert(count == 1);
    int64_t number;
    if (!number_parse_int64(value_slice(arguments[0]), &number)) {
        return fail_parse(context, value_slice(arguments[0]), VALUE_INT64);
    }
    return value_int64(0, number);
}

FUNCTION(parse_uint64)
{
    assert(count == 1);
    uint64_t number;
    if (!number_parse_uint64(value_slice(arguments[0]), &number)) {
        return fail_parse(context, value_slice(arguments[0]), VALUE_UINT64);
    }
    return value_uint64(0, number);
}

FUNCTION(parse_double)
{
    assert(count == 1);
    double number;
    if (!number_parse_double(value_slice(arguments[0]), &number)) {
        return fail_parse(context, value_slice(arguments[0]), VALUE_DOUBLE);
    }
    return value_double(0, number);
}

// -------------------------------------------------------------------------------------------------
// Of doubles

#define OF_DOUBLE(name, make, result)        \
    FUNCTION(name)                           \
    {                                        \
        (void)context;                       \
        assert(count == 1);                  \
        const double x = arguments[0]->real; \
        return make(0, result);              \
    }

OF_DOUBLE(acos, value_double, acos(x))
OF_DOUBLE(asin, value_double, asin(x))
OF_DOUBLE(cbrt, value_double, cbrt(x))
OF_DOUBLE(cos, value_double, cos(x))
OF_DOUBLE(cot, value_double, 1 / tan(x))
OF_DOUBLE(degrees, value_double, x *(180 / M_PI))
OF_DOUBLE(exp, value_double, exp(x))
OF_DOUBLE(gamma, value_double, tgamma(x))
OF_DOUBLE(ln, value_double, log(x))
OF_DOUBLE(log10, value_double, log10(x))
OF_DOUBLE(log2, value_double, log2(x))
OF_DOUBLE(radians, value_double, x *(M_PI / 180))
OF_DOUBLE(sin, value_double, sin(x))
OF_DOUBLE(sqrt, value_double, sqrt(x))
OF_DOUBLE(tan, value_double, tan(x))
OF_DOUBLE(is_finite, value_boolean, isfinite(x))
OF_DOUBLE(is_inf, value_boolean, isinf(x))
OF_DOUBLE(is_nan, value_boolean, isnan(x))
OF_DOUBLE(sign, value_int64, (x > 0) - (x < 0))
OF_DOUBLE(signbit, value_boolean, signbit(x))

FUNCTION(lgamma)
{
    (void)context;
    assert(count == 1);
    int sign; // lgamma itself writes to a global.
    return value_double(0, lgamma_r(arguments[0]->real, &sign));
}

#define ROUNDING(name)                                      \
    FUNCTION(name)                                          \
    {                                                       \
        assert(count == 1);                                 \
        return to_int64(context, name(arguments[0]->real)); \
    }

ROUNDING(ceil)
ROUNDING(floor)
ROUNDING(round)
ROUNDING(trunc)

FUNCTION(atan2)
{
    (void)context;
    assert(count == 2);
    return value_double(0, atan2(arguments[0]->real, arguments[1]->real));
}

FUNCTION(pow)
{
    (void)context;
    assert(count == 2);
    return value_double(0, pow(arguments[0]->real, arguments[1]->real));
}

// -------------------------------------------------------------------------------------------------
// Of integers

FUNCTION(abs)
{
    (void)context;
    assert(count == 1);
    struct value number = *arguments[0];
    if (number.type == VALUE_DOUBLE) number.real = fabs(number.real);
    if (number.type == VALUE_INT64 && number.int64 < 0) number.uint64 = 0 - number.uint64;
    return number;
}

FUNCTION(bit_count)
{
    (void)context;
    assert(count == 1);
    return value_int64(0, __builtin_popcountll(arguments[0]->uint64));
}

static uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

FUNCTION(gcd)
{
    (void)context;
    assert(count == 2);
    return value_uint64(0, greatest_divisor(arguments[0]->uint64, arguments[1]->uint64));
}

// Wraps around like a multiplication.
FUNCTION(lcm)
{
    (void)context;
    assert(count == 2);
    uint64_t a = arguments[0]->uint64;
    uint64_t b = arguments[1]->uint64;
    uint64_t divisor = greatest_divisor(a, b);
    return value_uint64(0, divisor == 0 ? 0 : a / divisor * b);
}

FUNCTION(factorial)
{
    assert(count == 1);
    uint64_t n = arguments[0]->uint64;
    uint64_t product = 1;
    for (uint64_t i = 2; i <= n; i++) {
        if (__builtin_mul_overflow(product, i, &product)) {
            return function_fail(
                context,
                error_new(ERROR_GENERIC, "Factorial of %" PRIu64 " does not fit into 64 bits", n));
        }
    }
    return value_uint64(0, product);
}

FUNCTION(xor)
{
    (void)context;
    assert(count == 2);
    return value_uint64(0, arguments[0]->uint64 ^ arguments[1]->uint64);
}

// Null is less than everything, so it needs no care here.
FUNCTION(greatest)
{
    (void)context;
    const struct value *greatest = arguments[0];
    for (uint32_t i = 1; i < count; i++) {
        if (value_compare(arguments[i], greatest) > 0) greatest = arguments[i];
    }
    return *greatest;
}
