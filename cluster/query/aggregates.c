// Calls of aggregate functions: each is computed once, however often it is written.
#include "cluster/query/typing_parts.h"

bool find_aggregate(const struct syntax *call, enum aggregate_kind *ret_kind)
{
    static const struct {
        const char *name;
        enum aggregate_kind kind;
    } aggregates[] = {
        {"sum", AGGREGATE_SUM},
        {"min", AGGREGATE_MIN},
        {"max", AGGREGATE_MAX},
        {"count", AGGREGATE_COUNT},
        {"avg", AGGREGATE_AVG},
        {"first", AGGREGATE_FIRST},
        {"argmin", AGGREGATE_ARGMIN},
        {"argmax", AGGREGATE_ARGMAX},
        {"cardinality", AGGREGATE_CARDINALITY},
        {"array_agg", AGGREGATE_ARRAY},
    };
    for (size_t i = 0; i < sizeof aggregates / sizeof aggregates[0]; i++) {
        if (!syntax_is_name(call, aggregates[i].name)) continue;
        *ret_kind = aggregates[i].kind;
        return true;
    }
    return false;
}

static unsigned aggregate_types(enum aggregate_kind kind)
{
    switch (kind) {
    case AGGREGATE_SUM:
    case AGGREGATE_AVG: return TYPES_NUMBER;
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
    case AGGREGATE_CARDINALITY: return TYPES_SCALAR;
    case AGGREGATE_COUNT:
    case AGGREGATE_FIRST:
    case AGGREGATE_ARGMIN:
    case AGGREGATE_ARGMAX:
    case AGGREGATE_ARRAY: return TYPES_SCALAR | TYPES_ANY;
    }
    return 0;
}

static enum value_type aggregate_result(enum aggregate_kind kind, const struct expression *argument)
{
    switch (kind) {
    case AGGREGATE_COUNT: return VALUE_INT64;
    case AGGREGATE_CARDINALITY: return VALUE_UINT64;
    case AGGREGATE_ARRAY: return VALUE_ANY;
    case AGGREGATE_AVG: return VALUE_DOUBLE;
    case AGGREGATE_SUM:
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
    case AGGREGATE_FIRST:
    case AGGREGATE_ARGMIN:
    case AGGREGATE_ARGMAX: return argument->type;
    }
    return VALUE_NULL;
}

static bool is_same(const struct plan_aggregate *a, const struct plan_aggregate *b)
{
    if (a->kind != b->kind || !a->argument != !b->argument) return false;
    if (a->argument && !expression_equal(a->argument, b->argument)) return false;
    if (a->takes_null != b->takes_null) return false;
    return !a->by || expression_equal(a->by, b->by);
}

// The number of an aggregate; the same as before if it has been met before.
static struct error *add_aggregate(
    struct typer *typer,
    const struct syntax *syntax,
    struct plan_aggregate aggregate,
    uint32_t *ret_index)
{
    for (uint32_t i = 0; i < typer->aggregate_count; i++) {
        if (!is_same(&typer->aggregates[i], &aggregate)) continue;
        *ret_index = i;
        return NULL;
    }
    if (typer->aggregate_count == QUERY_COLUMN_COUNT_MAX) {
        return typed_at(
            syntax,
            error_set_u64(
                error_new(ERROR_GENERIC, "Too many aggregates in query"),
                "limit",
                QUERY_COLUMN_COUNT_MAX));
    }
    if (typer->aggregate_count == typer->aggregate_capacity) {
        uint32_t capacity = MAX(4, typer->aggregate_capacity * 2);
        struct plan_aggregate *aggregates =
            ARENA_NEW(typer->arena, struct plan_aggregate, capacity);
        if (typer->aggregate_count > 0) {
            memcpy(aggregates, typer->aggregates, typer->aggregate_count * sizeof *aggregates);
        }
        typer->aggregates = aggregates;
        typer->aggregate_capacity = capacity;
    }
    typer->aggregates[typer->aggregate_count] = aggregate;
    *ret_index = typer->aggregate_count++;
    return NULL;
}

// Binds an argument, in which there must be no other aggregate.
static struct error *bind_argument(
    struct typer *typer,
    const struct syntax *call,
    uint32_t i,
    unsigned types,
    const struct expression **ret_argument)
{
    struct expression *argument;
    const char *refusal = typer->refusal;
    typer->allows_aggregates = false;
    typer->refusal = "it is inside of another one";
    struct error *error = bind_expression(typer, call->items[i], &argument);
    typer->allows_aggregates = true;
    typer->refusal = refusal;
    TRY(error);
    if (argument->type == VALUE_NULL) return bind_fail_argument(call, i, argument, "a type");
    if (!typed_fit(argument, types)) {
        return bind_fail_argument(call, i, argument, typed_print_types(typer->arena, types));
    }
    *ret_argument = argument;
    return NULL;
}

struct error *bind_aggregate(
    struct typer *typer,
    const struct syntax *syntax,
    enum aggregate_kind kind,
    struct expression **ret_expression)
{
    if (!typer->allows_aggregates) {
        return typed_at(
            syntax,
            error_new(
                ERROR_GENERIC,
                "Misuse of aggregate function \"%.*s\": %s",
                SLICE(syntax->name),
                typer->refusal));
    }
    bool has_order = kind == AGGREGATE_ARGMIN || kind == AGGREGATE_ARGMAX;
    uint32_t count = has_order || kind == AGGREGATE_ARRAY ? 2 : 1;
    TRY(bind_check_argument_count(syntax, count, count));
    struct plan_aggregate aggregate = {.kind = kind};
    if (syntax->items[0]->kind == SYNTAX_STAR) {
        if (kind != AGGREGATE_COUNT) {
            return typed_at(
                syntax,
                error_new(
                    ERROR_GENERIC, "Only count takes \"*\", not \"%.*s\"", SLICE(syntax->name)));
        }
        aggregate.type = VALUE_INT64;
    } else {
        TRY(bind_argument(typer, syntax, 0, aggregate_types(kind), &aggregate.argument));
        if (has_order) TRY(bind_argument(typer, syntax, 1, TYPES_SCALAR, &aggregate.by));
        if (kind == AGGREGATE_ARRAY) {
            const struct expression *ignores_null;
            TRY(bind_argument(typer, syntax, 1, TYPES_BOOLEAN, &ignores_null));
            if (!typed_is_literal(ignores_null)) {
                return bind_fail_argument(syntax, 1, ignores_null, "true or false");
            }
            aggregate.takes_null = typed_is_false(ignores_null);
        }
        aggregate.type = aggregate_result(kind, aggregate.argument);
    }
    uint32_t index = 0;
    TRY(add_aggregate(typer, syntax, aggregate, &index));
    struct expression *expression = typed_new(typer, EXPRESSION_AGGREGATE, aggregate.type, 0);
    expression->column = index;
    *ret_expression = expression;
    return NULL;
}
