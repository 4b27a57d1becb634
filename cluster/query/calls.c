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
    "_yt_stored_replica_set",
    "bigb_hash",
    "cast",
    "even",
    "format_guid",
    "format_timestamp_tz",
    "regex_escape",
    "regex_extract",
    "regex_full_match",
    "regex_partial_match",
    "regex_replace_all",
    "regex_replace_first",
    "sleep",
    "timestamp_floor_day_tz",
    "timestamp_floor_hour_tz",
    "timestamp_floor_month_tz",
    "timestamp_floor_quarter_tz",
    "timestamp_floor_week_tz",
    "timestamp_floor_year_tz",
    "xdelta",
};

static struct error *fail_undefined(const struct syntax *call)
{
    for (size_t i = 0; i < sizeof NOT_SUPPORTED / sizeof NOT_SUPPORTED[0]; i++) {
        if (!syntax_is_name(call, NOT_SUPPORTED[i])) continue;
        return typed_at(
            call, error_new(ERROR_GENERIC, "Function \"%s\" is not supported", NOT_SUPPORTED[i]));
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
    struct expression *expression =
        typed_new(typer, EXPRESSION_CALL, function->result, syntax->count);
    expression->function = function;
    for (uint32_t i = 0; i < syntax->count; i++) {
        struct expression *argument;
        TRY(bind_expression(typer, syntax->items[i], &argument));
        uint32_t parameter = MIN(i, FUNCTION_PARAMETER_COUNT_MAX - 1);
        while (function->types[parameter] == 0) parameter--;
        unsigned types = function->types[parameter];
        if (!typed_fit(argument, types)) {
            return bind_fail_argument(syntax, i, argument, typed_print_types(typer->arena, types));
        }
        expression->items[i] = argument;
    }
    if (function->is_uniform) {
        TRY(typed_unify_all(typer, syntax, expression->items, syntax->count));
        if (function->result == VALUE_NULL) expression->type = expression->items[0]->type;
    }
    for (uint32_t i = 0; i < syntax->count; i++)
        typed_set_item(expression, i, expression->items[i]);
    *ret_expression = typed_fold(typer, expression);
    return NULL;
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
