// Comparisons, of single values and of tuples; lists of constants; patterns.
#include "cluster/query/typing_parts.h"

#include <inttypes.h>

struct error *bind_tuple(
    struct typer *typer,
    const struct syntax *syntax,
    struct expression ***ret_items,
    uint32_t *ret_count)
{
    uint32_t count = syntax->kind == SYNTAX_TUPLE ? syntax->count : 1;
    if (count > EXPRESSION_TUPLE_SIZE_MAX) {
        return typed_at(
            syntax,
            error_set_u64(
                error_new(ERROR_GENERIC, "Tuple is too long: %" PRIu32 " items", count),
                "limit",
                EXPRESSION_TUPLE_SIZE_MAX));
    }
    struct expression **items = ARENA_NEW(typer->arena, struct expression *, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct syntax *item = syntax->kind == SYNTAX_TUPLE ? syntax->items[i] : syntax;
        TRY(bind_expression(typer, item, &items[i]));
    }
    *ret_items = items;
    *ret_count = count;
    return NULL;
}

struct expression *bind_comparison(
    struct typer *typer, enum relation relation, struct expression *left, struct expression *right)
{
    struct expression *expression =
        typed_binary(typer, EXPRESSION_COMPARE, VALUE_BOOLEAN, left, right);
    expression->relation = (uint8_t)relation;
    return typed_fold(typer, expression);
}

static struct error *bind_relation(
    struct typer *typer,
    const struct syntax *syntax,
    enum relation relation,
    struct expression **left,
    struct expression **right,
    uint32_t count,
    struct expression **ret_expression)
{
    for (uint32_t i = 0; i < count; i++) TRY(typed_unify(typer, syntax, left[i], right[i]));
    if (count == 1) {
        *ret_expression = bind_comparison(typer, relation, left[0], right[0]);
        return NULL;
    }
    if (relation == RELATION_EQUAL || relation == RELATION_NOT_EQUAL) {
        struct expression **items = ARENA_NEW(typer->arena, struct expression *, count);
        for (uint32_t i = 0; i < count; i++) {
            items[i] = bind_comparison(typer, relation, left[i], right[i]);
        }
        bool is_equal = relation == RELATION_EQUAL;
        enum expression_kind kind = is_equal ? EXPRESSION_AND : EXPRESSION_OR;
        *ret_expression = typed_logical(typer, kind, items, count);
        return NULL;
    }
    struct expression *expression =
        typed_new(typer, EXPRESSION_COMPARE_TUPLE, VALUE_BOOLEAN, 2 * count);
    for (uint32_t i = 0; i < count; i++) {
        typed_set_item(expression, 2 * i, left[i]);
        typed_set_item(expression, 2 * i + 1, right[i]);
    }
    expression->relation = (uint8_t)relation;
    *ret_expression = typed_fold(typer, expression);
    return NULL;
}

static struct error *fail_tuple_size(
    const struct typer *typer, const struct syntax *syntax, uint32_t left, uint32_t right)
{
    return typed_at(
        syntax,
        error_new(
            ERROR_GENERIC,
            "Tuples of different size in expression \"%.*s\": %" PRIu32 " and %" PRIu32,
            SLICE(syntax_text(typer->query, syntax)),
            left,
            right));
}

struct error *bind_compare(
    struct typer *typer,
    const struct syntax *syntax,
    enum relation relation,
    struct expression **ret_expression)
{
    struct expression **left;
    struct expression **right;
    uint32_t left_count;
    uint32_t right_count;
    TRY(bind_tuple(typer, syntax->items[0], &left, &left_count));
    TRY(bind_tuple(typer, syntax->items[1], &right, &right_count));
    if (left_count != right_count) {
        return fail_tuple_size(typer, syntax, left_count, right_count);
    }
    return bind_relation(typer, syntax, relation, left, right, left_count, ret_expression);
}

// One bound of BETWEEN, which may be shorter than the operand: then it bounds the first items. The
// operand is bound anew for each bound, since expressions are trees.
static struct error *bind_bound(
    struct typer *typer,
    const struct syntax *syntax,
    enum relation relation,
    const struct syntax *bound_syntax,
    struct expression **ret_expression)
{
    struct expression **operand;
    struct expression **bound;
    uint32_t operand_count;
    uint32_t bound_count;
    TRY(bind_tuple(typer, syntax->items[0], &operand, &operand_count));
    TRY(bind_tuple(typer, bound_syntax, &bound, &bound_count));
    if (bound_count > operand_count) {
        return fail_tuple_size(typer, syntax, operand_count, bound_count);
    }
    return bind_relation(typer, syntax, relation, operand, bound, bound_count, ret_expression);
}

struct error *bind_between(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    uint32_t range_count = syntax->count / 2; // After the operand, two bounds for each.
    struct expression **ranges = ARENA_NEW(typer->arena, struct expression *, range_count);
    for (uint32_t i = 0; i < range_count; i++) {
        const struct syntax *lower = syntax->items[1 + 2 * i];
        const struct syntax *upper = syntax->items[2 + 2 * i];
        struct expression *items[2];
        TRY(bind_bound(typer, syntax, RELATION_GREATER_OR_EQUAL, lower, &items[0]));
        TRY(bind_bound(typer, syntax, RELATION_LESS_OR_EQUAL, upper, &items[1]));
        ranges[i] = typed_logical(typer, EXPRESSION_AND, items, 2);
    }
    struct expression *expression = typed_logical(typer, EXPRESSION_OR, ranges, range_count);
    *ret_expression = syntax->is_negated ? typed_not(typer, expression) : expression;
    return NULL;
}

struct error *bind_constant(
    struct typer *typer,
    const struct syntax *in,
    const struct syntax *syntax,
    const struct expression *operand,
    struct value *ret_value)
{
    bool is_flexible = true;
    if (syntax->kind == SYNTAX_LITERAL && !syntax->is_out_of_range) {
        *ret_value = syntax->literal;
    } else {
        struct expression *expression;
        TRY(bind_expression(typer, syntax, &expression));
        if (!typed_is_literal(expression)) {
            return typed_at(
                syntax,
                error_new(
                    ERROR_GENERIC,
                    "A list takes constants, and \"%.*s\" is none",
                    SLICE(syntax_text(typer->query, syntax))));
        }
        *ret_value = expression->literal;
        is_flexible = expression->is_flexible;
    }
    if (operand->type == VALUE_NULL || ret_value->type == VALUE_NULL ||
        ret_value->type == operand->type) {
        return NULL;
    }
    const char *type_name = value_type_name(ret_value->type);
    if (is_flexible && typed_convert_literal(ret_value, operand->type)) return NULL;
    return typed_fail_mismatch(typer, in, expression_type_name(operand), type_name);
}

struct error *bind_constants(
    struct typer *typer,
    const struct syntax *in,
    struct syntax *const *tuples,
    uint32_t tuple_count,
    struct expression *const *operands,
    uint32_t size,
    struct value **ret_values)
{
    struct value *values = ARENA_NEW(typer->arena, struct value, (size_t)tuple_count * size);
    for (uint32_t i = 0; i < tuple_count; i++) {
        const struct syntax *tuple = tuples[i];
        uint32_t tuple_size = tuple->kind == SYNTAX_TUPLE ? tuple->count : 1;
        if (tuple_size != size) return fail_tuple_size(typer, in, size, tuple_size);
        for (uint32_t k = 0; k < size; k++) {
            const struct syntax *item = tuple->kind == SYNTAX_TUPLE ? tuple->items[k] : tuple;
            struct value *value = &values[(size_t)i * size + k];
            TRY(bind_constant(typer, in, item, operands[k], value));
        }
    }
    *ret_values = values;
    return NULL;
}

struct error *bind_in(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    struct expression **items;
    uint32_t size;
    TRY(bind_tuple(typer, syntax->items[0], &items, &size));
    const struct syntax *list = syntax->items[1];
    struct value *values;
    TRY(bind_constants(typer, syntax, list->items, list->count, items, size, &values));
    qsort_r(values, list->count, size * sizeof *values, value_compare_tuples, &size);
    uint32_t value_count = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        struct value *value = &values[(size_t)i * size];
        struct value *kept = &values[(size_t)value_count * size];
        if (value_count > 0 && value_compare_tuples(kept - size, value, &size) == 0) continue;
        if (kept != value) memcpy(kept, value, size * sizeof *value);
        value_count++;
    }
    struct expression *expression = typed_new(typer, EXPRESSION_IN, VALUE_BOOLEAN, size);
    for (uint32_t i = 0; i < size; i++) typed_set_item(expression, i, items[i]);
    expression->values = values;
    expression->value_count = value_count;
    expression = typed_fold(typer, expression);
    *ret_expression = syntax->is_negated ? typed_not(typer, expression) : expression;
    return NULL;
}

struct error *bind_like(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    struct expression *items[2];
    for (uint32_t i = 0; i < 2; i++) {
        TRY(bind_expression(typer, syntax->items[i], &items[i]));
        if (items[i]->type != VALUE_STRING && items[i]->type != VALUE_NULL) {
            return typed_fail_operand(typer, syntax->items[i], items[i], "string");
        }
    }
    if (syntax->is_regex) {
        if (syntax->count == 3) {
            return typed_at(
                syntax->items[2], error_new(ERROR_GENERIC, "RLIKE and REGEXP take no ESCAPE"));
        }
        const struct function *rlike = function_find(SLICE_OF("rlike"));
        struct expression *call =
            typed_call(typer, rlike, (struct expression *[]){items[1], items[0]}, 2);
        *ret_expression = syntax->is_negated ? typed_not(typer, call) : call;
        return NULL;
    }
    struct expression *expression =
        typed_binary(typer, EXPRESSION_LIKE, VALUE_BOOLEAN, items[0], items[1]);
    expression->ignores_case = syntax->ignores_case;
    expression->has_escape = true;
    expression->escape = '\\';
    if (syntax->count == 3) {
        struct slice escape = value_slice(&syntax->items[2]->literal);
        if (escape.size > 1) {
            return typed_at(
                syntax->items[2],
                error_new(ERROR_GENERIC, "The escape symbol of LIKE must be one byte"));
        }
        expression->has_escape = escape.size == 1;
        if (expression->has_escape) expression->escape = escape.data[0];
    }
    expression = typed_fold(typer, expression);
    *ret_expression = syntax->is_negated ? typed_not(typer, expression) : expression;
    return NULL;
}
