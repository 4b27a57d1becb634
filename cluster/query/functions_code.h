// What the code of functions shares. Only functions*.c include it.
#pragma once

#include "base/buffer.h"
#include "cluster/query/functions.h"
#include "model/node.h"
#include "model/yson.h"

#define FUNCTION_STRING_SIZE_MAX YSON_STRING_SIZE_MAX // Of what a function makes.

// The header of a function's code: FUNCTION(lower) { … }.
#define FUNCTION(name)        \
    struct value call_##name( \
        struct function_context *context, const struct value *const *arguments, uint32_t count)

// Like TRY, in a function's code.
#define TRY_FUNCTION(context, expression)                          \
    do {                                                           \
        struct error *try_error = (expression);                    \
        if (try_error) return function_fail((context), try_error); \
    } while (0)

// Makes a function fail: keeps the error, taken over, if it is the first. Returns null.
struct value function_fail(struct function_context *context, struct error *error);

// A string that was made in a buffer, copied to the scratch; fails if it is too long.
struct value function_string(struct function_context *context, const struct buffer *buffer);

MUST_USE struct error *function_check_size(uint64_t size);

// A scalar node as a value, null for an entity; false, and nothing is set, for lists and maps.
bool function_node_value(const struct node *node, struct value *value);

// The code itself; each is described by its line in the table, and docs/query.md.
FUNCTION(abs);
FUNCTION(acos);
FUNCTION(any_to_yson_string);
FUNCTION(asin);
FUNCTION(atan2);
FUNCTION(bit_count);
FUNCTION(boolean);
FUNCTION(cbrt);
FUNCTION(ceil);
FUNCTION(concat);
FUNCTION(cos);
FUNCTION(cot);
FUNCTION(degrees);
FUNCTION(double);
FUNCTION(exp);
FUNCTION(factorial);
FUNCTION(farm_hash);
FUNCTION(floor);
FUNCTION(format_timestamp);
FUNCTION(gamma);
FUNCTION(gcd);
FUNCTION(get_any);
FUNCTION(get_boolean);
FUNCTION(get_double);
FUNCTION(get_int64);
FUNCTION(get_string);
FUNCTION(get_uint64);
FUNCTION(greatest);
FUNCTION(int64);
FUNCTION(is_finite);
FUNCTION(is_inf);
FUNCTION(is_nan);
FUNCTION(is_prefix);
FUNCTION(is_substr);
FUNCTION(lcm);
FUNCTION(length);
FUNCTION(lgamma);
FUNCTION(list_contains);
FUNCTION(list_has_intersection);
FUNCTION(ln);
FUNCTION(log10);
FUNCTION(log2);
FUNCTION(lower);
FUNCTION(make_entity);
FUNCTION(make_list);
FUNCTION(make_map);
FUNCTION(numeric_to_string);
FUNCTION(parse_double);
FUNCTION(parse_int64);
FUNCTION(parse_uint64);
FUNCTION(pow);
FUNCTION(radians);
FUNCTION(regex_escape);
FUNCTION(regex_extract);
FUNCTION(regex_full_match);
FUNCTION(regex_partial_match);
FUNCTION(regex_replace_all);
FUNCTION(regex_replace_first);
FUNCTION(round);
FUNCTION(sign);
FUNCTION(signbit);
FUNCTION(sin);
FUNCTION(sqrt);
FUNCTION(string);
FUNCTION(tan);
FUNCTION(timestamp_floor_day);
FUNCTION(timestamp_floor_hour);
FUNCTION(timestamp_floor_month);
FUNCTION(timestamp_floor_quarter);
FUNCTION(timestamp_floor_week);
FUNCTION(timestamp_floor_year);
FUNCTION(to_any);
FUNCTION(trunc);
FUNCTION(try_get_any);
FUNCTION(try_get_boolean);
FUNCTION(try_get_double);
FUNCTION(try_get_int64);
FUNCTION(try_get_string);
FUNCTION(try_get_uint64);
FUNCTION(uint64);
FUNCTION(upper);
FUNCTION(xor);
FUNCTION(yson_length);
FUNCTION(yson_string_to_any);
