#include "cluster/query/functions.h"

#include "cluster/query/expression.h"
#include "model/yson.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <strings.h>

// The least double above all int64, and above all uint64.
#define INT64_END  0x1p63
#define UINT64_END 0x1p64

static void fail(struct function_context *context, struct error *error)
{
    if (context->error) {
        error_free(error);
    } else {
        context->error = error;
    }
}

// The number in a value of type any, as a value of its own type; null for an entity.
static struct value unpack_any(struct function_context *context, const struct value *any)
{
    if (any->type != VALUE_ANY) return *any;
    struct node *node = NULL;
    struct error *error = yson_parse(context->scratch, value_slice(any), &node);
    if (error) {
        fail(context, error);
        return value_null(0);
    }
    switch (node->type) {
    case NODE_ENTITY: return value_null(0);
    case NODE_STRING: return value_string(0, node->string);
    case NODE_INT64: return value_int64(0, node->int64);
    case NODE_UINT64: return value_uint64(0, node->uint64);
    case NODE_DOUBLE: return value_double(0, node->real);
    case NODE_BOOLEAN: return value_boolean(0, node->boolean);
    case NODE_LIST:
    case NODE_MAP: return *any;
    }
    return *any;
}

static struct value fail_cast(
    struct function_context *context, const struct value *from, enum value_type to)
{
    fail(
        context,
        error_new(
            ERROR_GENERIC,
            "Cannot convert a value of type %s to %s",
            value_type_name(from->type),
            value_type_name(to)));
    return value_null(0);
}

static struct value fail_range(struct function_context *context, double number, enum value_type to)
{
    fail(
        context,
        error_new(
            ERROR_GENERIC,
            "Cannot convert %.17g to %s: out of range",
            number,
            value_type_name(to)));
    return value_null(0);
}

static struct value call_int64(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    assert(count == 1);
    struct value from = unpack_any(context, arguments[0]);
    if (from.type == VALUE_NULL || from.type == VALUE_INT64) return from;
    if (from.type == VALUE_UINT64) return value_int64(0, (int64_t)from.uint64);
    if (from.type != VALUE_DOUBLE) return fail_cast(context, &from, VALUE_INT64);
    if (!(from.real >= -INT64_END && from.real < INT64_END)) {
        return fail_range(context, from.real, VALUE_INT64);
    }
    return value_int64(0, (int64_t)from.real);
}

static struct value call_uint64(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
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

static struct value call_double(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    assert(count == 1);
    struct value from = unpack_any(context, arguments[0]);
    if (from.type == VALUE_NULL || from.type == VALUE_DOUBLE) return from;
    if (from.type == VALUE_INT64) return value_double(0, (double)from.int64);
    if (from.type == VALUE_UINT64) return value_double(0, (double)from.uint64);
    return fail_cast(context, &from, VALUE_DOUBLE);
}

static struct value call_boolean(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    assert(count == 1);
    struct value from = unpack_any(context, arguments[0]);
    if (from.type == VALUE_NULL || from.type == VALUE_BOOLEAN) return from;
    return fail_cast(context, &from, VALUE_BOOLEAN);
}

static struct value call_string(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    assert(count == 1);
    struct value from = unpack_any(context, arguments[0]);
    if (from.type == VALUE_NULL || from.type == VALUE_STRING) return from;
    return fail_cast(context, &from, VALUE_STRING);
}

static struct value call_numeric_to_string(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
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
    fail(
        context,
        error_new(
            ERROR_GENERIC,
            "Cannot parse %s value from \"%.*s\"",
            value_type_name(type),
            SLICE(slice_from(text.data, MIN(text.size, (size_t)100)))));
    return value_null(0);
}

static bool parse_digits(struct slice text, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' ||
            __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text.data[i] - '0'), &number)) {
            return false;
        }
    }
    *ret_number = number;
    return text.size > 0;
}

static struct value call_parse_int64(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    assert(count == 1);
    struct slice text = value_slice(arguments[0]);
    struct slice digits = text;
    bool is_negative = text.size > 0 && text.data[0] == '-';
    if (is_negative) digits = slice_from(text.data + 1, text.size - 1);
    uint64_t number;
    if (!parse_digits(digits, &number) || number > (uint64_t)INT64_MAX + is_negative) {
        return fail_parse(context, text, VALUE_INT64);
    }
    return value_int64(0, (int64_t)(is_negative ? 0 - number : number));
}

static struct value call_parse_uint64(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    assert(count == 1);
    uint64_t number;
    if (!parse_digits(value_slice(arguments[0]), &number)) {
        return fail_parse(context, value_slice(arguments[0]), VALUE_UINT64);
    }
    return value_uint64(0, number);
}

static struct value call_parse_double(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    assert(count == 1);
    struct slice text = value_slice(arguments[0]);
    const char *copy = arena_copy(context->scratch, text).data;
    char *end = NULL;
    double number = strtod(copy, &end);
    if (text.size == 0 || end != copy + text.size || copy[0] == ' ') {
        return fail_parse(context, text, VALUE_DOUBLE);
    }
    return value_double(0, number);
}

static struct value call_length(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    (void)context;
    assert(count == 1);
    return value_int64(0, arguments[0]->size);
}

static struct value change_case(
    struct function_context *context, const struct value *from, char first, char last)
{
    struct slice bytes = value_slice(from);
    char *text = arena_alloc(context->scratch, bytes.size);
    for (size_t i = 0; i < bytes.size; i++) {
        char byte = bytes.data[i];
        text[i] = byte >= first && byte <= last ? (char)(byte ^ 0x20) : byte;
    }
    return value_string(0, slice_from(text, bytes.size));
}

static struct value call_lower(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    assert(count == 1);
    return change_case(context, arguments[0], 'A', 'Z');
}

static struct value call_upper(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    assert(count == 1);
    return change_case(context, arguments[0], 'a', 'z');
}

static struct value call_concat(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < count; i++) size += arguments[i]->size;
    if (size > YSON_STRING_SIZE_MAX) {
        fail(
            context,
            error_set_u64(
                error_new(
                    ERROR_STRING_LENGTH_LIMIT_EXCEEDED,
                    "Result of \"concat\" is too long: %" PRIu64 " bytes",
                    size),
                "limit",
                YSON_STRING_SIZE_MAX));
        return value_null(0);
    }
    char *text = arena_alloc(context->scratch, size);
    size_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (arguments[i]->size > 0) memcpy(text + end, arguments[i]->data, arguments[i]->size);
        end += arguments[i]->size;
    }
    return value_string(0, slice_from(text, end));
}

static struct value call_is_substr(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    (void)context;
    assert(count == 2);
    struct slice part = value_slice(arguments[0]);
    struct slice text = value_slice(arguments[1]);
    bool found = part.size == 0 || memmem(text.data, text.size, part.data, part.size) != NULL;
    return value_boolean(0, found);
}

static struct value call_is_prefix(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    (void)context;
    assert(count == 2);
    return value_boolean(0, slice_has_prefix(value_slice(arguments[1]), value_slice(arguments[0])));
}

static struct value call_abs(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    (void)context;
    assert(count == 1);
    struct value number = *arguments[0];
    if (number.type == VALUE_DOUBLE) number.real = fabs(number.real);
    if (number.type == VALUE_INT64 && number.int64 < 0) number.uint64 = 0 - number.uint64;
    return number;
}

static struct value to_int64(struct function_context *context, double number)
{
    const struct value value = value_double(0, number);
    const struct value *argument = &value;
    return call_int64(context, &argument, 1);
}

static struct value call_floor(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    assert(count == 1);
    return to_int64(context, floor(arguments[0]->real));
}

static struct value call_ceil(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    assert(count == 1);
    return to_int64(context, ceil(arguments[0]->real));
}

static struct value call_round(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    assert(count == 1);
    return to_int64(context, round(arguments[0]->real));
}

static struct value call_trunc(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    assert(count == 1);
    return to_int64(context, trunc(arguments[0]->real));
}

static struct value call_sqrt(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    (void)context;
    assert(count == 1);
    return value_double(0, sqrt(arguments[0]->real));
}

static struct value call_is_nan(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    (void)context;
    assert(count == 1);
    return value_boolean(0, isnan(arguments[0]->real));
}

static struct value call_is_finite(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    (void)context;
    assert(count == 1);
    return value_boolean(0, isfinite(arguments[0]->real));
}

static struct value call_is_inf(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    (void)context;
    assert(count == 1);
    return value_boolean(0, isinf(arguments[0]->real));
}

// Null is less than everything, so these two need no care for it.
static struct value call_greatest(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    (void)context;
    const struct value *greatest = arguments[0];
    for (uint32_t i = 1; i < count; i++) {
        if (value_compare(arguments[i], greatest) > 0) greatest = arguments[i];
    }
    return *greatest;
}

// A time in seconds since 1970, rounded down to a multiple of `period`, counted from `origin`.
static struct value floor_time(const struct value *time, int64_t period, int64_t origin)
{
    int64_t since;
    if (__builtin_sub_overflow(time->int64, origin, &since)) return *time;
    int64_t rest = since % period;
    if (rest < 0) rest += period;
    int64_t floor_seconds;
    if (__builtin_sub_overflow(time->int64, rest, &floor_seconds)) return *time;
    return value_int64(0, floor_seconds);
}

enum {
    HOUR_SECONDS = 3600,
    DAY_SECONDS = 24 * HOUR_SECONDS,
    WEEK_SECONDS = 7 * DAY_SECONDS,
    FIRST_MONDAY_SECONDS = 4 * DAY_SECONDS, // 1970 began on a Thursday.
};

static struct value call_timestamp_floor_hour(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    (void)context;
    assert(count == 1);
    return floor_time(arguments[0], HOUR_SECONDS, 0);
}

static struct value call_timestamp_floor_day(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    (void)context;
    assert(count == 1);
    return floor_time(arguments[0], DAY_SECONDS, 0);
}

static struct value call_timestamp_floor_week(
    struct function_context *context, const struct value *const *arguments, uint32_t count)
{
    (void)context;
    assert(count == 1);
    return floor_time(arguments[0], WEEK_SECONDS, FIRST_MONDAY_SECONDS);
}

static const struct function functions[] = {
    {"int64", 1, 1, {TYPES_NUMBER | TYPES_ANY}, false, VALUE_INT64, false, call_int64},
    {"uint64", 1, 1, {TYPES_NUMBER | TYPES_ANY}, false, VALUE_UINT64, false, call_uint64},
    {"double", 1, 1, {TYPES_NUMBER | TYPES_ANY}, false, VALUE_DOUBLE, false, call_double},
    {"boolean", 1, 1, {TYPES_BOOLEAN | TYPES_ANY}, false, VALUE_BOOLEAN, false, call_boolean},
    {"string", 1, 1, {TYPES_STRING | TYPES_ANY}, false, VALUE_STRING, false, call_string},
    {"numeric_to_string", 1, 1, {TYPES_NUMBER}, false, VALUE_STRING, false, call_numeric_to_string},
    {"parse_int64", 1, 1, {TYPES_STRING}, false, VALUE_INT64, false, call_parse_int64},
    {"parse_uint64", 1, 1, {TYPES_STRING}, false, VALUE_UINT64, false, call_parse_uint64},
    {"parse_double", 1, 1, {TYPES_STRING}, false, VALUE_DOUBLE, false, call_parse_double},
    {"length", 1, 1, {TYPES_STRING}, false, VALUE_INT64, false, call_length},
    {"lower", 1, 1, {TYPES_STRING}, false, VALUE_STRING, false, call_lower},
    {"upper", 1, 1, {TYPES_STRING}, false, VALUE_STRING, false, call_upper},
    {"concat",
     1,
     EXPRESSION_TUPLE_SIZE_MAX,
     {TYPES_STRING},
     false,
     VALUE_STRING,
     false,
     call_concat},
    {"is_substr", 2, 2, {TYPES_STRING}, false, VALUE_BOOLEAN, false, call_is_substr},
    {"is_prefix", 2, 2, {TYPES_STRING}, false, VALUE_BOOLEAN, false, call_is_prefix},
    {"abs", 1, 1, {TYPES_NUMBER}, true, VALUE_NULL, false, call_abs},
    {"floor", 1, 1, {TYPES_DOUBLE}, false, VALUE_INT64, false, call_floor},
    {"ceil", 1, 1, {TYPES_DOUBLE}, false, VALUE_INT64, false, call_ceil},
    {"round", 1, 1, {TYPES_DOUBLE}, false, VALUE_INT64, false, call_round},
    {"trunc", 1, 1, {TYPES_DOUBLE}, false, VALUE_INT64, false, call_trunc},
    {"sqrt", 1, 1, {TYPES_DOUBLE}, false, VALUE_DOUBLE, false, call_sqrt},
    {"is_nan", 1, 1, {TYPES_DOUBLE}, false, VALUE_BOOLEAN, false, call_is_nan},
    {"is_finite", 1, 1, {TYPES_DOUBLE}, false, VALUE_BOOLEAN, false, call_is_finite},
    {"is_inf", 1, 1, {TYPES_DOUBLE}, false, VALUE_BOOLEAN, false, call_is_inf},
    {"greatest",
     1,
     EXPRESSION_TUPLE_SIZE_MAX,
     {TYPES_SCALAR},
     true,
     VALUE_NULL,
     true,
     call_greatest},
    {"timestamp_floor_hour",
     1,
     1,
     {TYPES_INT64},
     false,
     VALUE_INT64,
     false,
     call_timestamp_floor_hour},
    {"timestamp_floor_day",
     1,
     1,
     {TYPES_INT64},
     false,
     VALUE_INT64,
     false,
     call_timestamp_floor_day},
    {"timestamp_floor_week",
     1,
     1,
     {TYPES_INT64},
     false,
     VALUE_INT64,
     false,
     call_timestamp_floor_week},
};

const struct function *function_find(struct slice name)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        const struct function *function = &functions[i];
        if (strlen(function->name) == name.size &&
            strncasecmp(function->name, name.data, name.size) == 0) {
            return function;
        }
    }
    return NULL;
}
