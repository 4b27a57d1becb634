// Expressions over source rows become expressions over group rows.
#include "cluster/query/typed.h"

static struct error *fail_ungrouped(
    const struct typer *typer, const struct syntax *syntax, uint32_t column)
{
    const struct plan_table *table = typer->tables;
    while (column >= table->column_begin + table->schema->column_count) table++;
    struct slice name = table->schema->columns[column - table->column_begin].name;
    return typed_at(
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
        struct expression *key = typed_new(typer, EXPRESSION_COLUMN, expression->type, 0);
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
