#include "cluster/query/typed.h"

#define FOLDED_SIZE_MAX (UINT64_C(16) << 20) // Of all strings that were computed.

struct error *typed_at(const struct syntax *syntax, struct error *error)
{
    return error_set_u64(error, "offset", syntax->begin);
}

struct error *typed_fail_mismatch(
    const struct typer *typer, const struct syntax *syntax, const char *left, const char *right)
{
    return typed_at(
        syntax,
        error_new(
            ERROR_GENERIC,
            "Type mismatch in expression \"%.*s\": %s and %s",
            SLICE(syntax_text(typer->query, syntax)),
            left,
            right));
}

struct error *typed_fail_operand(
    const struct typer *typer,
    const struct syntax *syntax,
    const struct expression *operand,
    const char *expected)
{
    return typed_at(
        syntax,
        error_new(
            ERROR_GENERIC,
            "Type mismatch in expression \"%.*s\": expected %s, got %s",
            SLICE(syntax_text(typer->query, syntax)),
            expected,
            expression_type_name(operand)));
}

struct expression *typed_new(
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

void typed_set_item(struct expression *expression, uint32_t i, struct expression *item)
{
    expression->items[i] = item;
    if (item->depth >= expression->depth) expression->depth = (uint16_t)(item->depth + 1);
}

struct expression *typed_literal(struct typer *typer, enum value_type type, struct value literal)
{
    struct expression *expression = typed_new(typer, EXPRESSION_LITERAL, type, 0);
    expression->literal = literal;
    return expression;
}

struct expression *typed_unary(
    struct typer *typer, enum expression_kind kind, enum value_type type, struct expression *item)
{
    struct expression *expression = typed_new(typer, kind, type, 1);
    typed_set_item(expression, 0, item);
    return expression;
}

struct expression *typed_binary(
    struct typer *typer,
    enum expression_kind kind,
    enum value_type type,
    struct expression *left,
    struct expression *right)
{
    struct expression *expression = typed_new(typer, kind, type, 2);
    typed_set_item(expression, 0, left);
    typed_set_item(expression, 1, right);
    return expression;
}

bool typed_is_literal(const struct expression *expression)
{
    return expression->kind == EXPRESSION_LITERAL;
}

bool typed_is_true(const struct expression *expression)
{
    return typed_is_literal(expression) && expression->literal.type == VALUE_BOOLEAN &&
           expression->literal.boolean;
}

bool typed_is_false(const struct expression *expression)
{
    return typed_is_literal(expression) && expression->literal.type == VALUE_BOOLEAN &&
           !expression->literal.boolean;
}

struct expression *typed_fold(struct typer *typer, struct expression *expression)
{
    for (uint32_t i = 0; i < expression->count; i++) {
        if (!typed_is_literal(expression->items[i])) return expression;
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
    struct expression *literal = typed_literal(typer, expression->type, value);
    literal->is_flexible = expression->is_flexible;
    return literal;
}

bool typed_convert_literal(struct value *literal, enum value_type type)
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
    bool is_null = typed_is_literal(expression) && expression->literal.type == VALUE_NULL;
    return expression->type == VALUE_NULL || is_null || expression->is_flexible;
}

// Whether an item is one of those that a choice chooses among.
static bool is_result(const struct expression *expression, uint32_t i)
{
    if (expression->kind == EXPRESSION_IF) return i > 0;
    if (expression->kind == EXPRESSION_CASE) return i % 2 == 1 || i + 1 == expression->count;
    return expression->kind == EXPRESSION_COALESCE;
}

// Gives such an expression another type, if its values allow it.
static bool adapt(struct expression *expression, enum value_type type)
{
    if (expression->type == type) return true;
    if (!is_adaptable(expression)) return false;
    if (typed_is_literal(expression) && !typed_convert_literal(&expression->literal, type))
        return false;
    for (uint32_t i = 0; i < expression->count; i++) {
        if (is_result(expression, i) && !adapt(expression->items[i], type)) return false;
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

struct error *typed_unify(
    const struct typer *typer,
    const struct syntax *syntax,
    struct expression *left,
    struct expression *right)
{
    const char *left_name = expression_type_name(left);
    const char *right_name = expression_type_name(right);
    if (unify(left, right)) return NULL;
    return typed_fail_mismatch(typer, syntax, left_name, right_name);
}

bool typed_is_integer(const struct expression *expression)
{
    return expression->type == VALUE_INT64 || expression->type == VALUE_UINT64;
}

bool typed_is_number(const struct expression *expression)
{
    return typed_is_integer(expression) || expression->type == VALUE_DOUBLE;
}

const char *typed_print_types(struct arena *arena, unsigned types)
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

bool typed_fit(struct expression *argument, unsigned types)
{
    if (argument->type == VALUE_NULL || (types & types_of(argument->type))) return true;
    if ((types & TYPES_INT64) && adapt(argument, VALUE_INT64)) return true;
    if ((types & TYPES_UINT64) && adapt(argument, VALUE_UINT64)) return true;
    return (types & TYPES_DOUBLE) && adapt(argument, VALUE_DOUBLE);
}

struct expression *typed_logical(
    struct typer *typer, enum expression_kind kind, struct expression **items, uint32_t count)
{
    bool is_and = kind == EXPRESSION_AND;
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool decides = is_and ? typed_is_false(items[i]) : typed_is_true(items[i]);
        bool is_neutral = is_and ? typed_is_true(items[i]) : typed_is_false(items[i]);
        if (decides) return items[i];
        if (!is_neutral) items[kept_count++] = items[i];
    }
    if (kept_count == 0) return typed_literal(typer, VALUE_BOOLEAN, value_boolean(0, is_and));
    if (kept_count == 1) return items[0];
    struct expression *expression = typed_new(typer, kind, VALUE_BOOLEAN, kept_count);
    for (uint32_t i = 0; i < kept_count; i++) typed_set_item(expression, i, items[i]);
    return typed_fold(typer, expression);
}

struct expression *typed_call(
    struct typer *typer,
    const struct function *function,
    struct expression *const *arguments,
    uint32_t count)
{
    struct expression *call = typed_new(typer, EXPRESSION_CALL, function->result, count);
    call->function = function;
    if (function->result == VALUE_NULL) call->type = arguments[0]->type;
    for (uint32_t i = 0; i < count; i++) typed_set_item(call, i, arguments[i]);
    typer->is_slow |= function->is_slow;
    return function->is_slow ? call : typed_fold(typer, call);
}

struct expression *typed_not(struct typer *typer, struct expression *item)
{
    return typed_fold(typer, typed_unary(typer, EXPRESSION_NOT, VALUE_BOOLEAN, item));
}

struct expression *typed_is_null(struct typer *typer, struct expression *item, bool is_negated)
{
    struct expression *expression =
        typed_fold(typer, typed_unary(typer, EXPRESSION_IS_NULL, VALUE_BOOLEAN, item));
    return is_negated ? typed_not(typer, expression) : expression;
}

void typed_mark_choice(struct expression *choice)
{
    bool is_flexible = typed_is_integer(choice);
    for (uint32_t i = 0; i < choice->count; i++) {
        if (is_result(choice, i) && !is_adaptable(choice->items[i])) is_flexible = false;
    }
    choice->is_flexible = is_flexible;
}

struct error *typed_unify_all(
    const struct typer *typer,
    const struct syntax *syntax,
    struct expression **items,
    uint32_t count)
{
    // Twice, since a later one may have given its type to the first.
    for (uint32_t i = 1; i < 2 * count; i++) {
        TRY(typed_unify(typer, syntax, items[0], items[i % count]));
    }
    return NULL;
}
