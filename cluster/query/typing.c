#include "cluster/query/typing.h"

#include <assert.h>
#include <inttypes.h>
#include <strings.h>

#define FOLDED_SIZE_MAX (UINT64_C(16) << 20) // Of all strings that were computed.

static struct error *bind(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression);

static struct error *at(const struct syntax *syntax, struct error *error)
{
    return error_set_u64(error, "offset", syntax->begin);
}

static struct error *fail_mismatch(
    const struct typer *typer, const struct syntax *syntax, const char *left, const char *right)
{
    return at(
        syntax,
        error_new(
            ERROR_GENERIC,
            "Type mismatch in expression \"%.*s\": %s and %s",
            SLICE(syntax_text(typer->query, syntax)),
            left,
            right));
}

static struct error *fail_operand(
    const struct typer *typer,
    const struct syntax *syntax,
    const struct expression *operand,
    const char *expected)
{
    return at(
        syntax,
        error_new(
            ERROR_GENERIC,
            "Type mismatch in expression \"%.*s\": expected %s, got %s",
            SLICE(syntax_text(typer->query, syntax)),
            expected,
            expression_type_name(operand)));
}

static struct expression *new_expression(
    struct typer *typer, enum expression_kind kind, enum value_type type, uint32_t count)
{
    struct expression *expression = ARENA_NEW(typer->arena, struct expression, 1);
    expression->kind = (uint8_t)kind;
    expression->type = (uint8_t)type;
    expression->depth = 1;
    expression->count = count;
    expression->slot = typer->slot_count++;
    if (count > 0) expression->items = ARENA_NEW(typer->arena, struct expression *, count);
    typer->node_count++;
    return expression;
}

static void set_item(struct expression *expression, uint32_t i, struct expression *item)
{
    expression->items[i] = item;
    if (item->depth >= expression->depth) expression->depth = (uint16_t)(item->depth + 1);
}

static struct expression *new_literal(
    struct typer *typer, enum value_type type, struct value literal)
{
    struct expression *expression = new_expression(typer, EXPRESSION_LITERAL, type, 0);
    expression->literal = literal;
    return expression;
}

static struct expression *new_unary(
    struct typer *typer, enum expression_kind kind, enum value_type type, struct expression *item)
{
    struct expression *expression = new_expression(typer, kind, type, 1);
    set_item(expression, 0, item);
    return expression;
}

static struct expression *new_binary(
    struct typer *typer,
    enum expression_kind kind,
    enum value_type type,
    struct expression *left,
    struct expression *right)
{
    struct expression *expression = new_expression(typer, kind, type, 2);
    set_item(expression, 0, left);
    set_item(expression, 1, right);
    return expression;
}

static bool is_literal(const struct expression *expression)
{
    return expression->kind == EXPRESSION_LITERAL;
}

static bool is_true(const struct expression *expression)
{
    return is_literal(expression) && expression->literal.type == VALUE_BOOLEAN &&
           expression->literal.boolean;
}

static bool is_false(const struct expression *expression)
{
    return is_literal(expression) && expression->literal.type == VALUE_BOOLEAN &&
           !expression->literal.boolean;
}

// Computes an expression whose items are all literals. If that fails, it is left for the time when
// a row needs it, which may be never: if(false, 1 / 0, 2).
static struct expression *fold(struct typer *typer, struct expression *expression)
{
    for (uint32_t i = 0; i < expression->count; i++) {
        if (!is_literal(expression->items[i])) return expression;
    }
    if (typer->folder_slot_count < typer->slot_count) {
        evaluator_release(&typer->folder);
        typer->folder_slot_count = typer->slot_count * 2;
        evaluator_init(&typer->folder, typer->folder_slot_count);
    }
    struct value value = *evaluate(&typer->folder, expression, NULL);
    struct error *error = evaluator_check(&typer->folder);
    if (error) {
        error_free(error);
        expression->is_flexible = false;
        return expression;
    }
    if (value.type == VALUE_STRING || value.type == VALUE_ANY) {
        // A short text can make many long strings of aliases and concat.
        typer->folded_size += value.size;
        if (typer->folded_size > FOLDED_SIZE_MAX) {
            evaluator_reset(&typer->folder);
            return expression;
        }
        value.data = arena_copy(typer->arena, value_slice(&value)).data;
    }
    evaluator_reset(&typer->folder);
    struct expression *literal = new_literal(typer, expression->type, value);
    literal->is_flexible = expression->is_flexible;
    return literal;
}

// Converts an integer literal; false if the type cannot hold it.
static bool convert_literal(struct value *literal, enum value_type type)
{
    if (literal->type == VALUE_NULL || literal->type == type) return true;
    if (literal->type == VALUE_INT64 && type == VALUE_UINT64) {
        if (literal->int64 < 0) return false;
        *literal = value_uint64(0, (uint64_t)literal->int64);
        return true;
    }
    if (literal->type == VALUE_UINT64 && type == VALUE_INT64) {
        if (literal->uint64 > INT64_MAX) return false;
        *literal = value_int64(0, (int64_t)literal->uint64);
        return true;
    }
    if (type != VALUE_DOUBLE) return false;
    if (literal->type == VALUE_INT64) {
        *literal = value_double(0, (double)literal->int64);
        return true;
    }
    if (literal->type == VALUE_UINT64) {
        *literal = value_double(0, (double)literal->uint64);
        return true;
    }
    return false;
}

// Whether an expression is null or made of integer literals, so that its type can still change.
static bool is_adaptable(const struct expression *expression)
{
    bool is_null = is_literal(expression) && expression->literal.type == VALUE_NULL;
    return expression->type == VALUE_NULL || is_null || expression->is_flexible;
}

// Gives such an expression another type, if its values allow it.
static bool adapt(struct expression *expression, enum value_type type)
{
    if (expression->type == type) return true;
    if (!is_adaptable(expression)) return false;
    if (is_literal(expression) && !convert_literal(&expression->literal, type)) return false;
    if (expression->kind == EXPRESSION_IF) {
        if (!adapt(expression->items[1], type) || !adapt(expression->items[2], type)) return false;
    }
    if (expression->kind == EXPRESSION_IF_NULL) {
        if (!adapt(expression->items[0], type) || !adapt(expression->items[1], type)) return false;
    }
    expression->type = (uint8_t)type;
    return true;
}

// Brings two expressions to one type.
static bool unify(struct expression *left, struct expression *right)
{
    if (left->type == right->type) return true;
    // Of two literals, the one that says more wins: 1 = 1u, 1 = null.
    if (left->type == VALUE_NULL) return adapt(left, right->type);
    if (right->type == VALUE_NULL) return adapt(right, left->type);
    if (left->is_flexible && left->type == VALUE_INT64 && adapt(left, right->type)) return true;
    return adapt(right, left->type) || adapt(left, right->type);
}

static struct error *unify_or_fail(
    const struct typer *typer,
    const struct syntax *syntax,
    struct expression *left,
    struct expression *right)
{
    const char *left_name = expression_type_name(left);
    const char *right_name = expression_type_name(right);
    if (unify(left, right)) return NULL;
    return fail_mismatch(typer, syntax, left_name, right_name);
}

static struct error *bind_column(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    struct names_column *column;
    TRY(names_find_column(&typer->names, syntax, typer->table_begin, typer->table_end, &column));
    if (!column) {
        CLEANUP(buffer_releasep) struct buffer name = {0};
        if (syntax->table.size > 0) {
            buffer_append_slice(&name, syntax->table);
            buffer_append_byte(&name, '.');
        }
        buffer_append_slice(&name, syntax->name);
        return at(
            syntax,
            error_new(ERROR_GENERIC, "Undefined reference \"%.*s\"", SLICE(buffer_slice(&name))));
    }
    const struct plan_table *table = &typer->tables[column->table];
    enum value_type type = column_value_type(table->schema->columns[column->column].type);
    *ret_expression = new_expression(typer, EXPRESSION_COLUMN, type, 0);
    (*ret_expression)->column = table->column_begin + column->column;
    return NULL;
}

static struct error *bind_reference(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    struct names_alias *alias = NULL;
    if (syntax->table.size == 0) alias = names_find_alias(&typer->names, syntax->name);
    if (!alias) return bind_column(typer, syntax, ret_expression);
    alias->is_being_expanded = true;
    struct error *error = bind(typer, alias->syntax->items[0], ret_expression);
    alias->is_being_expanded = false;
    return error;
}

// Where an alias is defined it is being expanded, too.
static struct error *bind_alias(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    struct names_alias *alias = names_find_alias(&typer->names, syntax->name);
    if (alias) alias->is_being_expanded = true;
    struct error *error = bind(typer, syntax->items[0], ret_expression);
    if (alias) alias->is_being_expanded = false;
    return error;
}

static struct error *bind_literal(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    if (syntax->is_out_of_range) {
        return at(
            syntax,
            error_new(
                ERROR_GENERIC,
                "Integer literal \"%.*s\" is out of range of int64; uint64 literals end with \"u\"",
                SLICE(syntax_text(typer->query, syntax))));
    }
    *ret_expression = new_literal(typer, syntax->literal.type, syntax->literal);
    (*ret_expression)->is_flexible =
        syntax->literal.type == VALUE_INT64 || syntax->literal.type == VALUE_UINT64;
    return NULL;
}

static bool is_integer(const struct expression *expression)
{
    return expression->type == VALUE_INT64 || expression->type == VALUE_UINT64;
}

static bool is_number(const struct expression *expression)
{
    return is_integer(expression) || expression->type == VALUE_DOUBLE;
}

static struct error *bind_boolean(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    TRY(bind(typer, syntax, ret_expression));
    const struct expression *expression = *ret_expression;
    if (expression->type == VALUE_BOOLEAN || expression->type == VALUE_NULL) return NULL;
    return fail_operand(typer, syntax, expression, "boolean");
}

static struct error *bind_unary(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    const struct syntax *operand_syntax = syntax->items[0];
    struct expression *operand;
    enum syntax_operator operation = syntax->operation;
    if (operation == OPERATOR_NOT) {
        TRY(bind_boolean(typer, operand_syntax, &operand));
        *ret_expression = fold(typer, new_unary(typer, EXPRESSION_NOT, VALUE_BOOLEAN, operand));
        return NULL;
    }
    TRY(bind(typer, operand_syntax, &operand));
    bool is_null = operand->type == VALUE_NULL;
    if (operation == OPERATOR_BIT_NOT && !is_null && !is_integer(operand)) {
        return fail_operand(typer, operand_syntax, operand, "an integer");
    }
    if (!is_null && !is_number(operand)) {
        return fail_operand(typer, operand_syntax, operand, "a number");
    }
    if (operation == OPERATOR_PLUS) {
        *ret_expression = operand;
        return NULL;
    }
    enum expression_kind kind = operation == OPERATOR_BIT_NOT   ? EXPRESSION_BIT_NOT
                                : operand->type == VALUE_DOUBLE ? EXPRESSION_NEGATE_DOUBLE
                                                                : EXPRESSION_NEGATE;
    struct expression *expression = new_unary(typer, kind, operand->type, operand);
    expression->is_flexible = operand->is_flexible;
    *ret_expression = fold(typer, expression);
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
    TRY(bind(typer, syntax->items[0], &left));
    TRY(bind(typer, syntax->items[1], &right));
    enum syntax_operator operation = syntax->operation;
    bool is_shift = operation == OPERATOR_SHIFT_LEFT || operation == OPERATOR_SHIFT_RIGHT;
    bool is_same_integer = is_integer(left) && is_integer(right) && is_shift;
    // What is shifted keeps its type whatever the type of the count.
    if (!is_same_integer) TRY(unify_or_fail(typer, syntax, left, right));
    bool takes_double = operation == OPERATOR_ADD || operation == OPERATOR_SUBTRACT ||
                        operation == OPERATOR_MULTIPLY || operation == OPERATOR_DIVIDE;
    if (left->type != VALUE_NULL && !(takes_double ? is_number(left) : is_integer(left))) {
        return fail_operand(typer, syntax, left, takes_double ? "numbers" : "integers");
    }
    enum expression_kind kind = arithmetic_kind(operation, left->type);
    struct expression *expression = new_binary(typer, kind, left->type, left, right);
    expression->is_flexible = left->is_flexible && (right->is_flexible || is_shift);
    *ret_expression = fold(typer, expression);
    // Only what has been folded can still change its type.
    if (!is_literal(*ret_expression)) (*ret_expression)->is_flexible = false;
    return NULL;
}

// Binds the items of a tuple, or an expression as a tuple of one.
static struct error *bind_tuple(
    struct typer *typer,
    const struct syntax *syntax,
    struct expression ***ret_items,
    uint32_t *ret_count)
{
    uint32_t count = syntax->kind == SYNTAX_TUPLE ? syntax->count : 1;
    if (count > EXPRESSION_TUPLE_SIZE_MAX) {
        return at(
            syntax,
            error_set_u64(
                error_new(ERROR_GENERIC, "Tuple is too long: %" PRIu32 " items", count),
                "limit",
                EXPRESSION_TUPLE_SIZE_MAX));
    }
    struct expression **items = ARENA_NEW(typer->arena, struct expression *, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct syntax *item = syntax->kind == SYNTAX_TUPLE ? syntax->items[i] : syntax;
        TRY(bind(typer, item, &items[i]));
    }
    *ret_items = items;
    *ret_count = count;
    return NULL;
}

static struct expression *new_compare(
    struct typer *typer, enum relation relation, struct expression *left, struct expression *right)
{
    struct expression *expression =
        new_binary(typer, EXPRESSION_COMPARE, VALUE_BOOLEAN, left, right);
    expression->relation = (uint8_t)relation;
    return fold(typer, expression);
}

// `items` are owned by the caller. Literals that do not matter are left out.
static struct expression *new_logical(
    struct typer *typer, enum expression_kind kind, struct expression **items, uint32_t count)
{
    bool is_and = kind == EXPRESSION_AND;
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool decides = is_and ? is_false(items[i]) : is_true(items[i]);
        bool is_neutral = is_and ? is_true(items[i]) : is_false(items[i]);
        if (decides) return items[i];
        if (!is_neutral) items[kept_count++] = items[i];
    }
    if (kept_count == 0) return new_literal(typer, VALUE_BOOLEAN, value_boolean(0, is_and));
    if (kept_count == 1) return items[0];
    struct expression *expression = new_expression(typer, kind, VALUE_BOOLEAN, kept_count);
    for (uint32_t i = 0; i < kept_count; i++) set_item(expression, i, items[i]);
    return fold(typer, expression);
}

static struct expression *new_not(struct typer *typer, struct expression *item)
{
    return fold(typer, new_unary(typer, EXPRESSION_NOT, VALUE_BOOLEAN, item));
}

// Compares two tuples of `count` items.
static struct error *bind_relation(
    struct typer *typer,
    const struct syntax *syntax,
    enum relation relation,
    struct expression **left,
    struct expression **right,
    uint32_t count,
    struct expression **ret_expression)
{
    for (uint32_t i = 0; i < count; i++) TRY(unify_or_fail(typer, syntax, left[i], right[i]));
    if (count == 1) {
        *ret_expression = new_compare(typer, relation, left[0], right[0]);
        return NULL;
    }
    if (relation == RELATION_EQUAL || relation == RELATION_NOT_EQUAL) {
        struct expression **items = ARENA_NEW(typer->arena, struct expression *, count);
        for (uint32_t i = 0; i < count; i++) {
            items[i] = new_compare(typer, relation, left[i], right[i]);
        }
        bool is_equal = relation == RELATION_EQUAL;
        enum expression_kind kind = is_equal ? EXPRESSION_AND : EXPRESSION_OR;
        *ret_expression = new_logical(typer, kind, items, count);
        return NULL;
    }
    struct expression *expression =
        new_expression(typer, EXPRESSION_COMPARE_TUPLE, VALUE_BOOLEAN, 2 * count);
    for (uint32_t i = 0; i < count; i++) {
        set_item(expression, 2 * i, left[i]);
        set_item(expression, 2 * i + 1, right[i]);
    }
    expression->relation = (uint8_t)relation;
    *ret_expression = fold(typer, expression);
    return NULL;
}

static struct error *fail_tuple_size(
    const struct typer *typer, const struct syntax *syntax, uint32_t left, uint32_t right)
{
    return at(
        syntax,
        error_new(
            ERROR_GENERIC,
            "Tuples of different size in expression \"%.*s\": %" PRIu32 " and %" PRIu32,
            SLICE(syntax_text(typer->query, syntax)),
            left,
            right));
}

static struct error *bind_compare(
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

static struct error *bind_binary(
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

static struct error *bind_between(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    struct expression *items[2];
    TRY(bind_bound(typer, syntax, RELATION_GREATER_OR_EQUAL, syntax->items[1], &items[0]));
    TRY(bind_bound(typer, syntax, RELATION_LESS_OR_EQUAL, syntax->items[2], &items[1]));
    struct expression *expression = new_logical(typer, EXPRESSION_AND, items, 2);
    *ret_expression = syntax->is_negated ? new_not(typer, expression) : expression;
    return NULL;
}

static int order_tuples(const void *a, const void *b, void *context)
{
    const struct value *x = a;
    const struct value *y = b;
    uint32_t size = *(const uint32_t *)context;
    int order = 0;
    for (uint32_t i = 0; i < size && order == 0; i++) order = value_compare(&x[i], &y[i]);
    return order;
}

// A constant of a list, in the type of what it is compared with.
static struct error *bind_constant(
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
        TRY(bind(typer, syntax, &expression));
        if (!is_literal(expression)) {
            return at(
                syntax,
                error_new(
                    ERROR_GENERIC,
                    "IN takes a list of constants, and \"%.*s\" is none",
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
    if (is_flexible && convert_literal(ret_value, operand->type)) return NULL;
    return fail_mismatch(typer, in, expression_type_name(operand), type_name);
}

static struct error *bind_in(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    struct expression **items;
    uint32_t size;
    TRY(bind_tuple(typer, syntax->items[0], &items, &size));
    const struct syntax *list = syntax->items[1];
    struct value *values = ARENA_NEW(typer->arena, struct value, (size_t)list->count * size);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct syntax *tuple = list->items[i];
        uint32_t tuple_size = tuple->kind == SYNTAX_TUPLE ? tuple->count : 1;
        if (tuple_size != size) return fail_tuple_size(typer, syntax, size, tuple_size);
        for (uint32_t k = 0; k < size; k++) {
            const struct syntax *item = tuple->kind == SYNTAX_TUPLE ? tuple->items[k] : tuple;
            struct value *value = &values[(size_t)i * size + k];
            TRY(bind_constant(typer, syntax, item, items[k], value));
        }
    }
    qsort_r(values, list->count, size * sizeof *values, order_tuples, &size);
    uint32_t value_count = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        struct value *value = &values[(size_t)i * size];
        struct value *kept = &values[(size_t)value_count * size];
        if (value_count > 0 && order_tuples(kept - size, value, &size) == 0) continue;
        if (kept != value) memcpy(kept, value, size * sizeof *value);
        value_count++;
    }
    struct expression *expression = new_expression(typer, EXPRESSION_IN, VALUE_BOOLEAN, size);
    for (uint32_t i = 0; i < size; i++) set_item(expression, i, items[i]);
    expression->values = values;
    expression->value_count = value_count;
    expression = fold(typer, expression);
    *ret_expression = syntax->is_negated ? new_not(typer, expression) : expression;
    return NULL;
}

static struct error *bind_like(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    struct expression *items[2];
    for (uint32_t i = 0; i < 2; i++) {
        TRY(bind(typer, syntax->items[i], &items[i]));
        if (items[i]->type != VALUE_STRING && items[i]->type != VALUE_NULL) {
            return fail_operand(typer, syntax->items[i], items[i], "string");
        }
    }
    struct expression *expression =
        new_binary(typer, EXPRESSION_LIKE, VALUE_BOOLEAN, items[0], items[1]);
    expression->ignores_case = syntax->ignores_case;
    expression->has_escape = true;
    expression->escape = '\\';
    if (syntax->count == 3) {
        struct slice escape = value_slice(&syntax->items[2]->literal);
        if (escape.size > 1) {
            return at(
                syntax->items[2],
                error_new(ERROR_GENERIC, "The escape symbol of LIKE must be one byte"));
        }
        expression->has_escape = escape.size == 1;
        if (expression->has_escape) expression->escape = escape.data[0];
    }
    expression = fold(typer, expression);
    *ret_expression = syntax->is_negated ? new_not(typer, expression) : expression;
    return NULL;
}

static struct expression *new_is_null(struct typer *typer, struct expression *item, bool is_negated)
{
    struct expression *expression =
        fold(typer, new_unary(typer, EXPRESSION_IS_NULL, VALUE_BOOLEAN, item));
    return is_negated ? new_not(typer, expression) : expression;
}

static bool is_name(const struct syntax *call, const char *name)
{
    return strlen(name) == call->name.size &&
           strncasecmp(name, call->name.data, call->name.size) == 0;
}

static struct error *check_argument_count(
    const struct syntax *call, uint32_t count_min, uint32_t count_max)
{
    if (call->count >= count_min && call->count <= count_max) return NULL;
    return at(
        call,
        error_new(
            ERROR_GENERIC,
            "Wrong number of arguments to function \"%.*s\": expected %s%" PRIu32 ", got %" PRIu32,
            SLICE(call->name),
            count_min == count_max ? "" : "at least ",
            count_min,
            call->count));
}

static struct error *fail_argument(
    const struct syntax *call, uint32_t i, const struct expression *argument, const char *expected)
{
    return at(
        call,
        error_new(
            ERROR_GENERIC,
            "Wrong type for argument %" PRIu32 " to function \"%.*s\": expected %s, got %s",
            i + 1,
            SLICE(call->name),
            expected,
            expression_type_name(argument)));
}

// "int64 or uint64 or double" for a set of types.
static const char *print_types(struct arena *arena, unsigned types)
{
    static const enum value_type all[] = {
        VALUE_INT64, VALUE_UINT64, VALUE_DOUBLE, VALUE_BOOLEAN, VALUE_STRING, VALUE_ANY};
    const char *text = "";
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!(types & types_of(all[i]))) continue;
        const char *name = value_type_name(all[i]);
        text = *text ? arena_print(arena, "%s or %s", text, name) : name;
    }
    return text;
}

// Brings an argument to one of the types that are allowed.
static bool fit(struct expression *argument, unsigned types)
{
    if (argument->type == VALUE_NULL || (types & types_of(argument->type))) return true;
    if ((types & TYPES_INT64) && adapt(argument, VALUE_INT64)) return true;
    if ((types & TYPES_UINT64) && adapt(argument, VALUE_UINT64)) return true;
    return (types & TYPES_DOUBLE) && adapt(argument, VALUE_DOUBLE);
}

static struct error *bind_if(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    TRY(check_argument_count(syntax, 3, 3));
    struct expression *items[3];
    TRY(bind_boolean(typer, syntax->items[0], &items[0]));
    TRY(bind(typer, syntax->items[1], &items[1]));
    TRY(bind(typer, syntax->items[2], &items[2]));
    TRY(unify_or_fail(typer, syntax, items[1], items[2]));
    if (is_true(items[0]) || is_false(items[0])) {
        *ret_expression = items[is_true(items[0]) ? 1 : 2];
        return NULL;
    }
    struct expression *expression = new_expression(typer, EXPRESSION_IF, items[1]->type, 3);
    for (uint32_t i = 0; i < 3; i++) set_item(expression, i, items[i]);
    expression->is_flexible =
        is_adaptable(items[1]) && is_adaptable(items[2]) && is_integer(expression);
    *ret_expression = fold(typer, expression);
    return NULL;
}

static struct error *bind_if_null(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    TRY(check_argument_count(syntax, 2, 2));
    struct expression *items[2];
    TRY(bind(typer, syntax->items[0], &items[0]));
    TRY(bind(typer, syntax->items[1], &items[1]));
    TRY(unify_or_fail(typer, syntax, items[0], items[1]));
    struct expression *expression =
        new_binary(typer, EXPRESSION_IF_NULL, items[0]->type, items[0], items[1]);
    expression->is_flexible =
        is_adaptable(items[0]) && is_adaptable(items[1]) && is_integer(expression);
    *ret_expression = fold(typer, expression);
    return NULL;
}

static struct error *bind_function(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    const struct function *function = function_find(syntax->name);
    if (!function) {
        return at(
            syntax, error_new(ERROR_GENERIC, "Undefined function \"%.*s\"", SLICE(syntax->name)));
    }
    TRY(check_argument_count(syntax, function->argument_count_min, function->argument_count_max));
    struct expression *expression =
        new_expression(typer, EXPRESSION_CALL, function->result, syntax->count);
    expression->function = function;
    for (uint32_t i = 0; i < syntax->count; i++) {
        struct expression *argument;
        TRY(bind(typer, syntax->items[i], &argument));
        uint32_t parameter = MIN(i, FUNCTION_PARAMETER_COUNT_MAX - 1);
        while (function->types[parameter] == 0) parameter--;
        unsigned types = function->types[parameter];
        if (!fit(argument, types)) {
            return fail_argument(syntax, i, argument, print_types(typer->arena, types));
        }
        expression->items[i] = argument;
    }
    if (function->is_uniform) {
        struct expression *first = expression->items[0];
        // Twice, since a later argument may have given its type to the first one.
        for (uint32_t i = 1; i < 2 * syntax->count; i++) {
            struct expression *other = expression->items[i % syntax->count];
            TRY(unify_or_fail(typer, syntax, first, other));
        }
        if (function->result == VALUE_NULL) expression->type = first->type;
    }
    for (uint32_t i = 0; i < syntax->count; i++) set_item(expression, i, expression->items[i]);
    *ret_expression = fold(typer, expression);
    return NULL;
}

static bool find_aggregate(const struct syntax *call, enum aggregate_kind *ret_kind)
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
    };
    for (size_t i = 0; i < sizeof aggregates / sizeof aggregates[0]; i++) {
        if (!is_name(call, aggregates[i].name)) continue;
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
    case AGGREGATE_MAX: return TYPES_SCALAR;
    case AGGREGATE_COUNT:
    case AGGREGATE_FIRST: return TYPES_SCALAR | TYPES_ANY;
    }
    return 0;
}

static enum value_type aggregate_result(enum aggregate_kind kind, const struct expression *argument)
{
    switch (kind) {
    case AGGREGATE_COUNT: return VALUE_INT64;
    case AGGREGATE_AVG: return VALUE_DOUBLE;
    case AGGREGATE_SUM:
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
    case AGGREGATE_FIRST: return argument->type;
    }
    return VALUE_NULL;
}

// The number of an aggregate; the same as before if it has been met before.
static struct error *add_aggregate(
    struct typer *typer,
    const struct syntax *syntax,
    struct plan_aggregate aggregate,
    uint32_t *ret_index)
{
    for (uint32_t i = 0; i < typer->aggregate_count; i++) {
        const struct plan_aggregate *other = &typer->aggregates[i];
        if (other->kind != aggregate.kind || !other->argument != !aggregate.argument) continue;
        if (other->argument && !expression_equal(other->argument, aggregate.argument)) continue;
        *ret_index = i;
        return NULL;
    }
    if (typer->aggregate_count == QUERY_COLUMN_COUNT_MAX) {
        return at(
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

static struct error *bind_aggregate(
    struct typer *typer,
    const struct syntax *syntax,
    enum aggregate_kind kind,
    struct expression **ret_expression)
{
    if (!typer->allows_aggregates) {
        return at(
            syntax,
            error_new(
                ERROR_GENERIC,
                "Misuse of aggregate function \"%.*s\": %s",
                SLICE(syntax->name),
                typer->refusal));
    }
    TRY(check_argument_count(syntax, 1, 1));
    struct plan_aggregate aggregate = {.kind = kind};
    if (syntax->items[0]->kind == SYNTAX_STAR) {
        if (kind != AGGREGATE_COUNT) {
            return at(
                syntax,
                error_new(
                    ERROR_GENERIC, "Only count takes \"*\", not \"%.*s\"", SLICE(syntax->name)));
        }
        aggregate.type = VALUE_INT64;
    } else {
        struct expression *argument;
        const char *refusal = typer->refusal;
        typer->allows_aggregates = false;
        typer->refusal = "it is inside of another one";
        struct error *error = bind(typer, syntax->items[0], &argument);
        typer->allows_aggregates = true;
        typer->refusal = refusal;
        TRY(error);
        if (argument->type == VALUE_NULL) {
            return fail_argument(syntax, 0, argument, "a type");
        }
        unsigned types = aggregate_types(kind);
        if (!fit(argument, types)) {
            return fail_argument(syntax, 0, argument, print_types(typer->arena, types));
        }
        aggregate.argument = argument;
        aggregate.type = aggregate_result(kind, argument);
    }
    uint32_t index = 0;
    TRY(add_aggregate(typer, syntax, aggregate, &index));
    struct expression *expression = new_expression(typer, EXPRESSION_AGGREGATE, aggregate.type, 0);
    expression->column = index;
    *ret_expression = expression;
    return NULL;
}

static struct error *bind_call(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    enum aggregate_kind kind;
    if (find_aggregate(syntax, &kind)) return bind_aggregate(typer, syntax, kind, ret_expression);
    if (is_name(syntax, "if")) return bind_if(typer, syntax, ret_expression);
    if (is_name(syntax, "if_null")) return bind_if_null(typer, syntax, ret_expression);
    if (is_name(syntax, "is_null")) {
        TRY(check_argument_count(syntax, 1, 1));
        struct expression *item;
        TRY(bind(typer, syntax->items[0], &item));
        *ret_expression = new_is_null(typer, item, false);
        return NULL;
    }
    return bind_function(typer, syntax, ret_expression);
}

static struct error *bind_logical(
    struct typer *typer,
    const struct syntax *syntax,
    enum expression_kind kind,
    struct expression **ret_expression)
{
    struct expression **items = ARENA_NEW(typer->arena, struct expression *, syntax->count);
    for (uint32_t i = 0; i < syntax->count; i++) {
        TRY(bind_boolean(typer, syntax->items[i], &items[i]));
    }
    *ret_expression = new_logical(typer, kind, items, syntax->count);
    return NULL;
}

static struct error *bind_kind(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    switch ((enum syntax_kind)syntax->kind) {
    case SYNTAX_LITERAL: return bind_literal(typer, syntax, ret_expression);
    case SYNTAX_REFERENCE: return bind_reference(typer, syntax, ret_expression);
    case SYNTAX_STAR:
        return at(syntax, error_new(ERROR_GENERIC, "Misuse of \"*\": only count takes it"));
    case SYNTAX_UNARY: return bind_unary(typer, syntax, ret_expression);
    case SYNTAX_BINARY: return bind_binary(typer, syntax, ret_expression);
    case SYNTAX_AND: return bind_logical(typer, syntax, EXPRESSION_AND, ret_expression);
    case SYNTAX_OR: return bind_logical(typer, syntax, EXPRESSION_OR, ret_expression);
    case SYNTAX_CALL: return bind_call(typer, syntax, ret_expression);
    case SYNTAX_TUPLE:
        return at(
            syntax,
            error_new(
                ERROR_GENERIC,
                "Misuse of tuple \"%.*s\": tuples can only be compared",
                SLICE(syntax_text(typer->query, syntax))));
    case SYNTAX_IN: return bind_in(typer, syntax, ret_expression);
    case SYNTAX_BETWEEN: return bind_between(typer, syntax, ret_expression);
    case SYNTAX_LIKE: return bind_like(typer, syntax, ret_expression);
    case SYNTAX_IS_NULL: {
        struct expression *item;
        TRY(bind(typer, syntax->items[0], &item));
        *ret_expression = new_is_null(typer, item, syntax->is_negated);
        return NULL;
    }
    case SYNTAX_ALIAS: return bind_alias(typer, syntax, ret_expression);
    }
    return NULL;
}

// Aliases can make much of little text, so both depth and number are counted here again.
static struct error *bind(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    if (typer->depth >= QUERY_DEPTH_MAX * 2) {
        return at(
            syntax,
            error_set_u64(
                error_new(
                    ERROR_QUERY_EXPRESSION_DEPTH_LIMIT_EXCEEDED, "Expression depth limit exceeded"),
                "limit",
                QUERY_DEPTH_MAX));
    }
    if (typer->node_count >= QUERY_NODE_COUNT_MAX) {
        return at(
            syntax,
            error_set_u64(
                error_new(ERROR_GENERIC, "Query is too complex"), "limit", QUERY_NODE_COUNT_MAX));
    }
    typer->depth++;
    struct error *error = bind_kind(typer, syntax, ret_expression);
    typer->depth--;
    return error;
}

struct error *typer_bind(
    struct typer *typer, const struct syntax *syntax, const struct expression **ret_expression)
{
    struct expression *expression;
    TRY(bind(typer, syntax, &expression));
    *ret_expression = expression;
    return NULL;
}

struct error *typer_bind_predicate(
    struct typer *typer,
    const struct syntax *syntax,
    const char *clause,
    const struct expression **ret_expression)
{
    struct expression *expression;
    TRY(bind(typer, syntax, &expression));
    if (expression->type != VALUE_BOOLEAN && expression->type != VALUE_NULL) {
        return at(
            syntax,
            error_new(
                ERROR_GENERIC,
                "%s must be boolean, and \"%.*s\" is %s",
                clause,
                SLICE(syntax_text(typer->query, syntax)),
                expression_type_name(expression)));
    }
    *ret_expression = expression;
    return NULL;
}

struct error *typer_bind_equation(
    struct typer *typer,
    const struct syntax *left,
    const struct syntax *right,
    uint32_t table,
    struct plan_equation *ret_equation)
{
    struct expression *left_expression;
    struct expression *right_expression;
    typer->table_begin = 0;
    typer->table_end = table;
    TRY(bind(typer, left, &left_expression));
    typer->table_begin = table;
    typer->table_end = table + 1;
    TRY(bind(typer, right, &right_expression));
    TRY(unify_or_fail(typer, left, left_expression, right_expression));
    *ret_equation = (struct plan_equation){left_expression, right_expression};
    return NULL;
}

const struct expression *typer_conjunction(
    struct typer *typer, const struct expression **items, uint32_t count)
{
    if (count == 0) return NULL;
    struct expression **copy = ARENA_NEW(typer->arena, struct expression *, count);
    for (uint32_t i = 0; i < count; i++) {
        // They are ours: nobody else has seen them yet.
        copy[i] = (struct expression *)items[i];
    }
    return new_logical(typer, EXPRESSION_AND, copy, count);
}

static struct error *fail_ungrouped(
    const struct typer *typer, const struct syntax *syntax, uint32_t column)
{
    const struct plan_table *table = typer->tables;
    while (column >= table->column_begin + table->schema->column_count) table++;
    struct slice name = table->schema->columns[column - table->column_begin].name;
    return at(
        syntax,
        error_new(
            ERROR_GENERIC,
            "Column \"%.*s\" in \"%.*s\" is neither a key of GROUP BY nor inside of an aggregate "
            "function",
            SLICE(name),
            SLICE(syntax_text(typer->query, syntax))));
}

struct error *typer_regroup(
    struct typer *typer,
    const struct syntax *syntax,
    const struct expression *const *keys,
    uint32_t key_count,
    const struct expression *expression,
    const struct expression **ret_expression)
{
    for (uint32_t i = 0; i < key_count; i++) {
        if (!expression_equal(expression, keys[i])) continue;
        struct expression *key = new_expression(typer, EXPRESSION_COLUMN, expression->type, 0);
        key->column = i;
        *ret_expression = key;
        return NULL;
    }
    if (expression->kind == EXPRESSION_COLUMN) {
        return fail_ungrouped(typer, syntax, expression->column);
    }
    struct expression *copy = ARENA_NEW(typer->arena, struct expression, 1);
    *copy = *expression;
    if (copy->kind == EXPRESSION_AGGREGATE) {
        copy->kind = EXPRESSION_COLUMN;
        copy->column += key_count;
    }
    if (copy->count > 0) {
        copy->items = ARENA_NEW(typer->arena, struct expression *, copy->count);
    }
    for (uint32_t i = 0; i < copy->count; i++) {
        const struct expression *item;
        TRY(typer_regroup(typer, syntax, keys, key_count, expression->items[i], &item));
        copy->items[i] = (struct expression *)item;
    }
    *ret_expression = copy;
    return NULL;
}
