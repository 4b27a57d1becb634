// Calls of functions.
#include "cluster/query/typing_parts.h"

#include <inttypes.h>

struct error *bind_check_argument_count(
    const struct syntax *call, uint32_t count_min, uint32_t count_max)
{
    if (call->count >= count_min && call->count <= count_max) return NULL;
    return typed_at(
        call,
        error_new(
            ERROR_GENERIC,
            "Wrong number of arguments to function \"%.*s\": expected %s%" PRIu32 ", got %" PRIu32,
            SLICE(call->name),
            count_min == count_max ? "" : "at least ",
            count_min,
            call->count));
}

struct error *bind_fail_argument(
    const struct syntax *call, uint32_t i, const struct expression *argument, const char *expected)
{
    return typed_at(
        call,
        error_new(
            ERROR_GENERIC,
            "Wrong type for argument %" PRIu32 " to function \"%.*s\": expected %s, got %s",
            i + 1,
            SLICE(call->name),
            expected,
            expression_type_name(argument)));
}

// What YTsaurus has and we have not, so that it is not taken for a misspelling.
static const char *const NOT_SUPPORTED[] = {
    "_yt_has_permissions",
    "_yt_last_seen_replica_set",
    "_yt_stored_replica_set",
    "bigb_hash",
    "cardinality_merge",
    "cardinality_merge_state",
    "cardinality_state",
    "dict_sum",
    "even",
    "format_guid",
    "is_valid_utf8",
    "make_ngrams",
    "sleep",
    "split",
    "to_valid_utf8",
    "uniq",
    "xdelta",
};

// The same, for want of time zones.
static const char *const IN_TIME_ZONES[] = {
    "format_timestamp_localtime",
    "format_timestamp_tz",
    "timestamp_floor_day_localtime",
    "timestamp_floor_day_tz",
    "timestamp_floor_hour_localtime",
    "timestamp_floor_hour_tz",
    "timestamp_floor_month_localtime",
    "timestamp_floor_month_tz",
    "timestamp_floor_quarter_localtime",
    "timestamp_floor_quarter_tz",
    "timestamp_floor_week_localtime",
    "timestamp_floor_week_tz",
    "timestamp_floor_year_localtime",
    "timestamp_floor_year_tz",
};

static bool is_one_of(const struct syntax *call, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (syntax_is_name(call, names[i])) return true;
    }
    return false;
}

static struct error *fail_undefined(const struct syntax *call)
{
    if (is_one_of(call, NOT_SUPPORTED, sizeof NOT_SUPPORTED / sizeof NOT_SUPPORTED[0])) {
        return typed_at(
            call,
            error_new(ERROR_GENERIC, "Function \"%.*s\" is not supported", SLICE(call->name)));
    }
    if (is_one_of(call, IN_TIME_ZONES, sizeof IN_TIME_ZONES / sizeof IN_TIME_ZONES[0])) {
        return typed_at(
            call,
            error_new(
                ERROR_GENERIC,
                "Function \"%.*s\" is not supported: all times are in UTC here, so add the "
                "difference to the time and use the function without a time zone",
                SLICE(call->name)));
    }
    return typed_at(
        call, error_new(ERROR_GENERIC, "Undefined function \"%.*s\"", SLICE(call->name)));
}

static struct error *bind_function(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    const struct function *function = function_find(syntax->name);
    if (!function) return fail_undefined(syntax);
    TRY(bind_check_argument_count(
        syntax, function->argument_count_min, function->argument_count_max));
    struct expression **arguments = ARENA_NEW(typer->arena, struct expression *, syntax->count);
    for (uint32_t i = 0; i < syntax->count; i++) {
        TRY(bind_expression(typer, syntax->items[i], &arguments[i]));
        uint32_t parameter = MIN(i, FUNCTION_PARAMETER_COUNT_MAX - 1);
        while (function->types[parameter] == 0) parameter--;
        unsigned types = function->types[parameter];
        if (!typed_fit(arguments[i], types)) {
            return bind_fail_argument(
                syntax, i, arguments[i], typed_print_types(typer->arena, types));
        }
    }
    if (function->is_uniform) TRY(typed_unify_all(typer, syntax, arguments, syntax->count));
    *ret_expression = typed_call(typer, function, arguments, syntax->count);
    return NULL;
}

// Which function converts to a type, from strings and from numbers.
static const struct {
    const char *type;
    const char *from_string;
    const char *from_number;
    const char *from_other;
} CASTS[] = {
    {"int64", "parse_int64", "int64", "int64"},
    {"uint64", "parse_uint64", "uint64", "uint64"},
    {"double", "parse_double", "double", "double"},
    {"boolean", "boolean", "boolean", "boolean"},
    {"string", "string", "numeric_to_string", "string"},
    {"any", "to_any", "to_any", "to_any"},
};

struct error *bind_cast(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    struct expression *item;
    TRY(bind_expression(typer, syntax->items[0], &item));
    for (size_t i = 0; i < sizeof CASTS / sizeof CASTS[0]; i++) {
        if (!syntax_is_name(syntax, CASTS[i].type)) continue;
        const char *name = typed_is_number(item)        ? CASTS[i].from_number
                           : item->type == VALUE_STRING ? CASTS[i].from_string
                                                        : CASTS[i].from_other;
        const struct function *function = function_find(slice_from_text(name));
        if (!typed_fit(item, function->types[0])) {
            return typed_at(
                syntax,
                error_new(
                    ERROR_GENERIC,
                    "CAST cannot make %s of %s",
                    CASTS[i].type,
                    expression_type_name(item)));
        }
        *ret_expression = typed_call(typer, function, &item, 1);
        return NULL;
    }
    return typed_at(
        syntax,
        error_new(
            ERROR_GENERIC,
            "Unknown type \"%.*s\" in CAST: expected int64, uint64, double, boolean, string or any",
            SLICE(syntax->name)));
}

struct error *bind_call(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    enum aggregate_kind kind;
    if (find_aggregate(syntax, &kind)) return bind_aggregate(typer, syntax, kind, ret_expression);
    if (syntax_is_name(syntax, "if")) return bind_if(typer, syntax, ret_expression);
    if (syntax_is_name(syntax, "if_null")) {
        TRY(bind_check_argument_count(syntax, 2, 2));
        return bind_coalesce(typer, syntax, ret_expression);
    }
    if (syntax_is_name(syntax, "coalesce")) return bind_coalesce(typer, syntax, ret_expression);
    if (syntax_is_name(syntax, "transform")) return bind_transform(typer, syntax, ret_expression);
    if (syntax_is_name(syntax, "is_null")) {
        TRY(bind_check_argument_count(syntax, 1, 1));
        struct expression *item;
        TRY(bind_expression(typer, syntax->items[0], &item));
        *ret_expression = typed_is_null(typer, item, false);
        return NULL;
    }
    return bind_function(typer, syntax, ret_expression);
}
