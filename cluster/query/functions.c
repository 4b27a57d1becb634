#include "cluster/query/functions.h"

#include "cluster/query/expression.h"
#include "cluster/query/functions_code.h"

#include <inttypes.h>
#include <strings.h>

struct value function_fail(struct function_context *context, struct error *error)
{
    if (context->error) {
        error_free(error);
    } else {
        context->error = error;
    }
    return value_null(0);
}

struct error *function_check_size(uint64_t size)
{
    if (size <= FUNCTION_STRING_SIZE_MAX) return NULL;
    return error_set_u64(
        error_new(
            ERROR_STRING_LENGTH_LIMIT_EXCEEDED,
            "A string that is computed is too long: %" PRIu64 " bytes",
            size),
        "limit",
        FUNCTION_STRING_SIZE_MAX);
}

struct value function_string(struct function_context *context, const struct buffer *buffer)
{
    struct error *error = buffer_check(buffer, "A string that is computed");
    if (error) return function_fail(context, error);
    return value_string(0, arena_copy(context->scratch, buffer_slice(buffer)));
}

bool function_node_value(const struct node *node, struct value *value)
{
    switch (node->type) {
    case NODE_ENTITY: *value = value_null(0); return true;
    case NODE_STRING: *value = value_string(0, node->string); return true;
    case NODE_INT64: *value = value_int64(0, node->int64); return true;
    case NODE_UINT64: *value = value_uint64(0, node->uint64); return true;
    case NODE_DOUBLE: *value = value_double(0, node->real); return true;
    case NODE_BOOLEAN: *value = value_boolean(0, node->boolean); return true;
    case NODE_LIST:
    case NODE_MAP: break;
    }
    return false;
}

#define ONE(name, type, result, code)                                 \
    {                                                                 \
        name, 1, 1, {type}, false, VALUE_##result, false, false, code \
    }
#define TWO(name, first, second, result, code)                                 \
    {                                                                          \
        name, 2, 2, {first, second}, false, VALUE_##result, false, false, code \
    }

// The table reads best with a function a line.
// clang-format off
static const struct function functions[] = {
    ONE("int64", TYPES_NUMBER | TYPES_ANY, INT64, call_int64),
    ONE("uint64", TYPES_NUMBER | TYPES_ANY, UINT64, call_uint64),
    ONE("double", TYPES_NUMBER | TYPES_ANY, DOUBLE, call_double),
    ONE("boolean", TYPES_BOOLEAN | TYPES_ANY, BOOLEAN, call_boolean),
    ONE("string", TYPES_STRING | TYPES_ANY, STRING, call_string),
    ONE("numeric_to_string", TYPES_NUMBER, STRING, call_numeric_to_string),
    ONE("parse_int64", TYPES_STRING, INT64, call_parse_int64),
    ONE("parse_uint64", TYPES_STRING, UINT64, call_parse_uint64),
    ONE("parse_double", TYPES_STRING, DOUBLE, call_parse_double),

    {"abs", 1, 1, {TYPES_NUMBER}, true, VALUE_NULL, false, false, call_abs},
    ONE("acos", TYPES_DOUBLE, DOUBLE, call_acos),
    ONE("asin", TYPES_DOUBLE, DOUBLE, call_asin),
    ONE("cbrt", TYPES_DOUBLE, DOUBLE, call_cbrt),
    ONE("cos", TYPES_DOUBLE, DOUBLE, call_cos),
    ONE("cot", TYPES_DOUBLE, DOUBLE, call_cot),
    ONE("degrees", TYPES_DOUBLE, DOUBLE, call_degrees),
    ONE("exp", TYPES_DOUBLE, DOUBLE, call_exp),
    ONE("gamma", TYPES_DOUBLE, DOUBLE, call_gamma),
    ONE("lgamma", TYPES_DOUBLE, DOUBLE, call_lgamma),
    ONE("ln", TYPES_DOUBLE, DOUBLE, call_ln),
    ONE("log", TYPES_DOUBLE, DOUBLE, call_log10),
    ONE("log10", TYPES_DOUBLE, DOUBLE, call_log10),
    ONE("log2", TYPES_DOUBLE, DOUBLE, call_log2),
    ONE("radians", TYPES_DOUBLE, DOUBLE, call_radians),
    ONE("sin", TYPES_DOUBLE, DOUBLE, call_sin),
    ONE("sqrt", TYPES_DOUBLE, DOUBLE, call_sqrt),
    ONE("tan", TYPES_DOUBLE, DOUBLE, call_tan),
    TWO("atan2", TYPES_DOUBLE, TYPES_DOUBLE, DOUBLE, call_atan2),
    TWO("pow", TYPES_DOUBLE, TYPES_DOUBLE, DOUBLE, call_pow),
    ONE("ceil", TYPES_DOUBLE, INT64, call_ceil),
    ONE("floor", TYPES_DOUBLE, INT64, call_floor),
    ONE("round", TYPES_DOUBLE, INT64, call_round),
    ONE("trunc", TYPES_DOUBLE, INT64, call_trunc),
    ONE("sign", TYPES_DOUBLE, INT64, call_sign),
    ONE("is_finite", TYPES_DOUBLE, BOOLEAN, call_is_finite),
    ONE("is_inf", TYPES_DOUBLE, BOOLEAN, call_is_inf),
    ONE("is_nan", TYPES_DOUBLE, BOOLEAN, call_is_nan),
    ONE("signbit", TYPES_DOUBLE, BOOLEAN, call_signbit),
    ONE("bit_count", TYPES_UINT64, INT64, call_bit_count),
    ONE("factorial", TYPES_UINT64, UINT64, call_factorial),
    TWO("gcd", TYPES_UINT64, TYPES_UINT64, UINT64, call_gcd),
    TWO("lcm", TYPES_UINT64, TYPES_UINT64, UINT64, call_lcm),
    TWO("xor", TYPES_UINT64, TYPES_UINT64, UINT64, call_xor),
    {"greatest", 1, EXPRESSION_TUPLE_SIZE_MAX, {TYPES_SCALAR}, true, VALUE_NULL, true, false, call_greatest},

    ONE("length", TYPES_STRING, INT64, call_length),
    ONE("lower", TYPES_STRING, STRING, call_lower),
    ONE("upper", TYPES_STRING, STRING, call_upper),
    {"concat", 1, EXPRESSION_TUPLE_SIZE_MAX, {TYPES_STRING}, false, VALUE_STRING, false, false, call_concat},
    TWO("is_substr", TYPES_STRING, TYPES_STRING, BOOLEAN, call_is_substr),
    TWO("is_prefix", TYPES_STRING, TYPES_STRING, BOOLEAN, call_is_prefix),
    {"farm_hash", 1, EXPRESSION_TUPLE_SIZE_MAX, {TYPES_INTEGER | TYPES_BOOLEAN | TYPES_STRING}, false, VALUE_UINT64, true, false, call_farm_hash},

    {"regex_full_match", 2, 2, {TYPES_STRING}, false, VALUE_BOOLEAN, true, true, call_regex_full_match},
    {"regex_partial_match", 2, 2, {TYPES_STRING}, false, VALUE_BOOLEAN, true, true, call_regex_partial_match},
    // The operator: a keyword, so that nobody can call it.
    {"rlike", 2, 2, {TYPES_STRING}, false, VALUE_BOOLEAN, false, true, call_regex_partial_match},
    {"regex_replace_first", 3, 3, {TYPES_STRING}, false, VALUE_STRING, false, true, call_regex_replace_first},
    {"regex_replace_all", 3, 3, {TYPES_STRING}, false, VALUE_STRING, false, true, call_regex_replace_all},
    {"regex_extract", 3, 3, {TYPES_STRING}, false, VALUE_STRING, false, true, call_regex_extract},
    ONE("regex_escape", TYPES_STRING, STRING, call_regex_escape),

    ONE("timestamp_floor_hour", TYPES_INT64, INT64, call_timestamp_floor_hour),
    ONE("timestamp_floor_day", TYPES_INT64, INT64, call_timestamp_floor_day),
    ONE("timestamp_floor_week", TYPES_INT64, INT64, call_timestamp_floor_week),
    ONE("timestamp_floor_month", TYPES_INT64, INT64, call_timestamp_floor_month),
    ONE("timestamp_floor_quarter", TYPES_INT64, INT64, call_timestamp_floor_quarter),
    ONE("timestamp_floor_year", TYPES_INT64, INT64, call_timestamp_floor_year),
    TWO("format_timestamp", TYPES_INT64, TYPES_STRING, STRING, call_format_timestamp),

    TWO("get_int64", TYPES_ANY, TYPES_STRING, INT64, call_get_int64),
    TWO("try_get_int64", TYPES_ANY, TYPES_STRING, INT64, call_try_get_int64),
    TWO("get_uint64", TYPES_ANY, TYPES_STRING, UINT64, call_get_uint64),
    TWO("try_get_uint64", TYPES_ANY, TYPES_STRING, UINT64, call_try_get_uint64),
    TWO("get_double", TYPES_ANY, TYPES_STRING, DOUBLE, call_get_double),
    TWO("try_get_double", TYPES_ANY, TYPES_STRING, DOUBLE, call_try_get_double),
    TWO("get_boolean", TYPES_ANY, TYPES_STRING, BOOLEAN, call_get_boolean),
    TWO("try_get_boolean", TYPES_ANY, TYPES_STRING, BOOLEAN, call_try_get_boolean),
    TWO("get_string", TYPES_ANY, TYPES_STRING, STRING, call_get_string),
    TWO("try_get_string", TYPES_ANY, TYPES_STRING, STRING, call_try_get_string),
    TWO("get_any", TYPES_ANY, TYPES_STRING, ANY, call_get_any),
    TWO("try_get_any", TYPES_ANY, TYPES_STRING, ANY, call_try_get_any),
    TWO("list_contains", TYPES_ANY, TYPES_SCALAR, BOOLEAN, call_list_contains),
    TWO("list_has_intersection", TYPES_ANY, TYPES_ANY, BOOLEAN, call_list_has_intersection),
    ONE("yson_length", TYPES_ANY, INT64, call_yson_length),
    ONE("any_to_yson_string", TYPES_ANY, STRING, call_any_to_yson_string),
    ONE("yson_string_to_any", TYPES_STRING, ANY, call_yson_string_to_any),
    ONE("to_any", TYPES_SCALAR | TYPES_ANY, ANY, call_to_any),
    {"make_entity", 0, 0, {TYPES_SCALAR | TYPES_ANY}, false, VALUE_ANY, false, false, call_make_entity},
    {"make_list", 0, EXPRESSION_TUPLE_SIZE_MAX, {TYPES_SCALAR | TYPES_ANY}, false, VALUE_ANY, true, false, call_make_list},
    {"make_map", 0, EXPRESSION_TUPLE_SIZE_MAX, {TYPES_SCALAR | TYPES_ANY}, false, VALUE_ANY, true, false, call_make_map},
};
// clang-format on

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
