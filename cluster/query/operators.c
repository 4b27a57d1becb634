// Operators of one and two operands, and logical ones.
#include "cluster/query/typing_parts.h"

#include <assert.h>

struct error *bind_boolean(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    TRY(bind_expression(typer, syntax, ret_expression));
    const struct expression *expression = *ret_expression;
    if (expression->type == VALUE_BOOLEAN || expression->type == VALUE_NULL) return NULL;
    return typed_fail_operand(typer, syntax, expression, "boolean");
}

struct error *bind_unary(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    const struct syntax *operand_syntax = syntax->items[0];
    struct expression *operand;
    enum syntax_operator operation = syntax->operation;
    if (operation == OPERATOR_NOT) {
        TRY(bind_boolean(typer, operand_syntax, &operand));
        *ret_expression =
            typed_fold(typer, typed_unary(typer, EXPRESSION_NOT, VALUE_BOOLEAN, operand));
        return NULL;
    }
    TRY(bind_expression(typer, operand_syntax, &operand));
    bool is_null = operand->type == VALUE_NULL;
    if (operation == OPERATOR_BIT_NOT && !is_null && !typed_is_integer(operand)) {
        return typed_fail_operand(typer, operand_syntax, operand, "an integer");
    }
    if (!is_null && !typed_is_number(operand)) {
        return typed_fail_operand(typer, operand_syntax, operand, "a number");
    }
    if (operation == OPERATOR_PLUS) {
        *ret_expression = operand;
        return NULL;
    }
    enum expression_kind kind = operation == OPERATOR_BIT_NOT   ? EXPRESSION_BIT_NOT
                                : operand->type == VALUE_DOUBLE ? EXPRESSION_NEGATE_DOUBLE
                                                                : EXPRESSION_NEGATE;
    struct expression *expression = typed_unary(typer, kind, operand->type, operand);
    expression->is_flexible = operand->is_flexible;
    *ret_expression = typed_fold(typer, expression);
    return NULL;
}

static enum expression_kind arithmetic_kind(enum syntax_operator operation, enum value_type type)
{
    bool is_double = type == VALUE_DOUBLE;
    bool is_signed = type == VALUE_INT64;
    switch (operation) {
    case OPERATOR_ADD: return is_double ? EXPRESSION_ADD_DOUBLE : EXPRESSION_ADD;
    case OPERATOR_SUBTRACT: return is_double ? EXPRESSION_SUBTRACT_DOUBLE : EXPRESSION_SUBTRACT;
    case OPERATOR_MULTIPLY: return is_double ? EXPRESSION_MULTIPLY_DOUBLE : EXPRESSION_MULTIPLY;
    case OPERATOR_DIVIDE:
        if (is_double) return EXPRESSION_DIVIDE_DOUBLE;
        return is_signed ? EXPRESSION_DIVIDE_INT64 : EXPRESSION_DIVIDE_UINT64;
    case OPERATOR_MODULO: return is_signed ? EXPRESSION_MODULO_INT64 : EXPRESSION_MODULO_UINT64;
    case OPERATOR_BIT_AND: return EXPRESSION_BIT_AND;
    case OPERATOR_BIT_OR: return EXPRESSION_BIT_OR;
    case OPERATOR_BIT_XOR: return EXPRESSION_BIT_XOR;
    case OPERATOR_SHIFT_LEFT: return EXPRESSION_SHIFT_LEFT;
    case OPERATOR_SHIFT_RIGHT:
        return is_signed ? EXPRESSION_SHIFT_RIGHT_INT64 : EXPRESSION_SHIFT_RIGHT_UINT64;
    case OPERATOR_EQUAL:
    case OPERATOR_NOT_EQUAL:
    case OPERATOR_LESS:
    case OPERATOR_LESS_OR_EQUAL:
    case OPERATOR_GREATER:
    case OPERATOR_GREATER_OR_EQUAL:
    case OPERATOR_PLUS:
    case OPERATOR_MINUS:
    case OPERATOR_BIT_NOT:
    case OPERATOR_NOT: break;
    }
    assert(false && "an arithmetic operator");
    return EXPRESSION_ADD;
}

static struct error *bind_arithmetic(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    struct expression *left;
    struct expression *right;
    TRY(bind_expression(typer, syntax->items[0], &left));
    TRY(bind_expression(typer, syntax->items[1], &right));
    enum syntax_operator operation = syntax->operation;
    bool is_shift = operation == OPERATOR_SHIFT_LEFT || operation == OPERATOR_SHIFT_RIGHT;
    bool is_same_integer = typed_is_integer(left) && typed_is_integer(right) && is_shift;
    // What is shifted keeps its type whatever the type of the count.
    if (!is_same_integer) TRY(typed_unify(typer, syntax, left, right));
    bool takes_double = operation == OPERATOR_ADD || operation == OPERATOR_SUBTRACT ||
                        operation == OPERATOR_MULTIPLY || operation == OPERATOR_DIVIDE;
    if (left->type != VALUE_NULL &&
        !(takes_double ? typed_is_number(left) : typed_is_integer(left))) {
        return typed_fail_operand(typer, syntax, left, takes_double ? "numbers" : "integers");
    }
    enum expression_kind kind = arithmetic_kind(operation, left->type);
    struct expression *expression = typed_binary(typer, kind, left->type, left, right);
    expression->is_flexible = left->is_flexible && (right->is_flexible || is_shift);
    *ret_expression = typed_fold(typer, expression);
    // Only what has been folded can still change its type.
    if (!typed_is_literal(*ret_expression)) (*ret_expression)->is_flexible = false;
    return NULL;
}

struct error *bind_binary(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    switch ((enum syntax_operator)syntax->operation) {
    case OPERATOR_EQUAL: return bind_compare(typer, syntax, RELATION_EQUAL, ret_expression);
    case OPERATOR_NOT_EQUAL: return bind_compare(typer, syntax, RELATION_NOT_EQUAL, ret_expression);
    case OPERATOR_LESS: return bind_compare(typer, syntax, RELATION_LESS, ret_expression);
    case OPERATOR_LESS_OR_EQUAL:
        return bind_compare(typer, syntax, RELATION_LESS_OR_EQUAL, ret_expression);
    case OPERATOR_GREATER: return bind_compare(typer, syntax, RELATION_GREATER, ret_expression);
    case OPERATOR_GREATER_OR_EQUAL:
        return bind_compare(typer, syntax, RELATION_GREATER_OR_EQUAL, ret_expression);
    case OPERATOR_ADD:
    case OPERATOR_SUBTRACT:
    case OPERATOR_MULTIPLY:
    case OPERATOR_DIVIDE:
    case OPERATOR_MODULO:
    case OPERATOR_BIT_AND:
    case OPERATOR_BIT_OR:
    case OPERATOR_BIT_XOR:
    case OPERATOR_SHIFT_LEFT:
    case OPERATOR_SHIFT_RIGHT:
    case OPERATOR_PLUS:
    case OPERATOR_MINUS:
    case OPERATOR_BIT_NOT:
    case OPERATOR_NOT: break;
    }
    return bind_arithmetic(typer, syntax, ret_expression);
}

struct error *bind_logical(
    struct typer *typer,
    const struct syntax *syntax,
    enum expression_kind kind,
    struct expression **ret_expression)
{
    struct expression **items = ARENA_NEW(typer->arena, struct expression *, syntax->count);
    for (uint32_t i = 0; i < syntax->count; i++) {
        TRY(bind_boolean(typer, syntax->items[i], &items[i]));
    }
    *ret_expression = typed_logical(typer, kind, items, syntax->count);
    return NULL;
}
