#include "cluster/query/expression.h"

static bool values_equal(const struct value *a, const struct value *b)
{
    // Unlike value_compare: 0 and -0 are told apart, since they are after a division.
    if (a->type != b->type) return false;
    switch ((enum value_type)a->type) {
    case VALUE_NULL: return true;
    case VALUE_INT64:
    case VALUE_UINT64:
    case VALUE_DOUBLE: return a->uint64 == b->uint64;
    case VALUE_BOOLEAN: return a->boolean == b->boolean;
    case VALUE_STRING:
    case VALUE_ANY: return slice_equal(value_slice(a), value_slice(b));
    }
    return false;
}

static bool all_equal(const struct value *a, const struct value *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!values_equal(&a[i], &b[i])) return false;
    }
    return true;
}

static bool same_payload(const struct expression *a, const struct expression *b)
{
    switch ((enum expression_kind)a->kind) {
    case EXPRESSION_LITERAL: return values_equal(&a->literal, &b->literal);
    case EXPRESSION_COLUMN:
    case EXPRESSION_AGGREGATE: return a->column == b->column;
    case EXPRESSION_IN:
        return a->value_count == b->value_count &&
               all_equal(a->values, b->values, (size_t)a->value_count * a->count);
    case EXPRESSION_TRANSFORM:
        return a->value_count == b->value_count && a->has_default == b->has_default &&
               all_equal(a->results, b->results, a->value_count) &&
               all_equal(a->values, b->values, (size_t)a->value_count * expression_tuple_size(a));
    case EXPRESSION_CALL: return a->function == b->function;
    case EXPRESSION_LIKE:
        return a->ignores_case == b->ignores_case && a->has_escape == b->has_escape &&
               a->escape == b->escape;
    case EXPRESSION_NEGATE:
    case EXPRESSION_NEGATE_DOUBLE:
    case EXPRESSION_BIT_NOT:
    case EXPRESSION_ADD:
    case EXPRESSION_SUBTRACT:
    case EXPRESSION_MULTIPLY:
    case EXPRESSION_DIVIDE_INT64:
    case EXPRESSION_DIVIDE_UINT64:
    case EXPRESSION_MODULO_INT64:
    case EXPRESSION_MODULO_UINT64:
    case EXPRESSION_ADD_DOUBLE:
    case EXPRESSION_SUBTRACT_DOUBLE:
    case EXPRESSION_MULTIPLY_DOUBLE:
    case EXPRESSION_DIVIDE_DOUBLE:
    case EXPRESSION_BIT_AND:
    case EXPRESSION_BIT_OR:
    case EXPRESSION_BIT_XOR:
    case EXPRESSION_SHIFT_LEFT:
    case EXPRESSION_SHIFT_RIGHT_INT64:
    case EXPRESSION_SHIFT_RIGHT_UINT64:
    case EXPRESSION_COMPARE:
    case EXPRESSION_COMPARE_TUPLE:
    case EXPRESSION_AND:
    case EXPRESSION_OR:
    case EXPRESSION_NOT:
    case EXPRESSION_IS_NULL:
    case EXPRESSION_IF:
    case EXPRESSION_CASE:
    case EXPRESSION_COALESCE: return true;
    }
    return false;
}

bool expression_equal(const struct expression *a, const struct expression *b)
{
    if (a->kind != b->kind || a->type != b->type || a->relation != b->relation ||
        a->count != b->count || a->depth != b->depth) {
        return false;
    }
    if (!same_payload(a, b)) return false;
    for (uint32_t i = 0; i < a->count; i++) {
        if (!expression_equal(a->items[i], b->items[i])) return false;
    }
    return true;
}

void expression_each_column(
    const struct expression *expression,
    void (*visit)(void *context, uint32_t column),
    void *context)
{
    if (expression->kind == EXPRESSION_COLUMN) visit(context, expression->column);
    for (uint32_t i = 0; i < expression->count; i++) {
        expression_each_column(expression->items[i], visit, context);
    }
}

const char *expression_type_name(const struct expression *expression)
{
    return expression->type == VALUE_NULL ? "null" : value_type_name(expression->type);
}

enum relation relation_mirror(enum relation relation)
{
    switch (relation) {
    case RELATION_EQUAL:
    case RELATION_NOT_EQUAL: return relation;
    case RELATION_LESS: return RELATION_GREATER;
    case RELATION_LESS_OR_EQUAL: return RELATION_GREATER_OR_EQUAL;
    case RELATION_GREATER: return RELATION_LESS;
    case RELATION_GREATER_OR_EQUAL: return RELATION_LESS_OR_EQUAL;
    }
    return relation;
}

enum relation relation_negate(enum relation relation)
{
    switch (relation) {
    case RELATION_EQUAL: return RELATION_NOT_EQUAL;
    case RELATION_NOT_EQUAL: return RELATION_EQUAL;
    case RELATION_LESS: return RELATION_GREATER_OR_EQUAL;
    case RELATION_LESS_OR_EQUAL: return RELATION_GREATER;
    case RELATION_GREATER: return RELATION_LESS_OR_EQUAL;
    case RELATION_GREATER_OR_EQUAL: return RELATION_LESS;
    }
    return relation;
}
