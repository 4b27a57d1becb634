#include "cluster/query/typing.h"

#include "cluster/query/typing_parts.h"

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
        return typed_at(
            syntax,
            error_new(ERROR_GENERIC, "Undefined reference \"%.*s\"", SLICE(buffer_slice(&name))));
    }
    const struct plan_table *table = &typer->tables[column->table];
    enum value_type type = column_value_type(table->schema->columns[column->column].type);
    *ret_expression = typed_new(typer, EXPRESSION_COLUMN, type, 0);
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
    struct error *error = bind_expression(typer, alias->syntax->items[0], ret_expression);
    alias->is_being_expanded = false;
    return error;
}

// Where an alias is defined it is being expanded, too.
static struct error *bind_alias(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    struct names_alias *alias = names_find_alias(&typer->names, syntax->name);
    if (alias) alias->is_being_expanded = true;
    struct error *error = bind_expression(typer, syntax->items[0], ret_expression);
    if (alias) alias->is_being_expanded = false;
    return error;
}

static struct error *bind_literal(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    if (syntax->is_out_of_range) {
        return typed_at(
            syntax,
            error_new(
                ERROR_GENERIC,
                "Integer literal \"%.*s\" is out of range of int64; uint64 literals end with \"u\"",
                SLICE(syntax_text(typer->query, syntax))));
    }
    *ret_expression = typed_literal(typer, syntax->literal.type, syntax->literal);
    (*ret_expression)->is_flexible =
        syntax->literal.type == VALUE_INT64 || syntax->literal.type == VALUE_UINT64;
    return NULL;
}

static struct error *bind_kind(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    switch ((enum syntax_kind)syntax->kind) {
    case SYNTAX_LITERAL: return bind_literal(typer, syntax, ret_expression);
    case SYNTAX_REFERENCE: return bind_reference(typer, syntax, ret_expression);
    case SYNTAX_STAR:
        return typed_at(syntax, error_new(ERROR_GENERIC, "Misuse of \"*\": only count takes it"));
    case SYNTAX_UNARY: return bind_unary(typer, syntax, ret_expression);
    case SYNTAX_BINARY: return bind_binary(typer, syntax, ret_expression);
    case SYNTAX_AND: return bind_logical(typer, syntax, EXPRESSION_AND, ret_expression);
    case SYNTAX_OR: return bind_logical(typer, syntax, EXPRESSION_OR, ret_expression);
    case SYNTAX_CALL: return bind_call(typer, syntax, ret_expression);
    case SYNTAX_TUPLE:
        return typed_at(
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
        TRY(bind_expression(typer, syntax->items[0], &item));
        *ret_expression = typed_is_null(typer, item, syntax->is_negated);
        return NULL;
    }
    case SYNTAX_ALIAS: return bind_alias(typer, syntax, ret_expression);
    case SYNTAX_CAST: return bind_cast(typer, syntax, ret_expression);
    case SYNTAX_CASE: return bind_case(typer, syntax, ret_expression);
    }
    return NULL;
}

// Aliases can make much of little text, so both depth and number are counted here again.
struct error *bind_expression(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    if (typer->depth >= QUERY_DEPTH_MAX * 2) {
        return typed_at(
            syntax,
            error_set_u64(
                error_new(
                    ERROR_QUERY_EXPRESSION_DEPTH_LIMIT_EXCEEDED, "Expression depth limit exceeded"),
                "limit",
                QUERY_DEPTH_MAX));
    }
    if (typer->node_count >= QUERY_NODE_COUNT_MAX) {
        return typed_at(
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
    TRY(bind_expression(typer, syntax, &expression));
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
    TRY(bind_expression(typer, syntax, &expression));
    if (expression->type != VALUE_BOOLEAN && expression->type != VALUE_NULL) {
        return typed_at(
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
    TRY(bind_expression(typer, left, &left_expression));
    typer->table_begin = table;
    typer->table_end = table + 1;
    TRY(bind_expression(typer, right, &right_expression));
    TRY(typed_unify(typer, left, left_expression, right_expression));
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
    return typed_logical(typer, EXPRESSION_AND, copy, count);
}
