// Expressions that choose among others: if, case, coalesce (and if_null), transform.
#include "cluster/query/typing_parts.h"

#include <inttypes.h>

struct error *bind_if(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    TRY(bind_check_argument_count(syntax, 3, 3));
    struct expression *items[3];
    TRY(bind_boolean(typer, syntax->items[0], &items[0]));
    TRY(bind_expression(typer, syntax->items[1], &items[1]));
    TRY(bind_expression(typer, syntax->items[2], &items[2]));
    TRY(typed_unify(typer, syntax, items[1], items[2]));
    if (typed_is_true(items[0]) || typed_is_false(items[0])) {
        *ret_expression = items[typed_is_true(items[0]) ? 1 : 2];
        return NULL;
    }
    struct expression *expression = typed_new(typer, EXPRESSION_IF, items[1]->type, 3);
    for (uint32_t i = 0; i < 3; i++) typed_set_item(expression, i, items[i]);
    typed_mark_choice(expression);
    *ret_expression = typed_fold(typer, expression);
    return NULL;
}

struct error *bind_coalesce(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    TRY(bind_check_argument_count(syntax, 1, EXPRESSION_TUPLE_SIZE_MAX));
    struct expression *items[EXPRESSION_TUPLE_SIZE_MAX];
    for (uint32_t i = 0; i < syntax->count; i++) {
        TRY(bind_expression(typer, syntax->items[i], &items[i]));
    }
    TRY(typed_unify_all(typer, syntax, items, syntax->count));
    struct expression *expression =
        typed_new(typer, EXPRESSION_COALESCE, items[0]->type, syntax->count);
    for (uint32_t i = 0; i < syntax->count; i++) typed_set_item(expression, i, items[i]);
    typed_mark_choice(expression);
    *ret_expression = typed_fold(typer, expression);
    return NULL;
}

// `when` is a condition, or what the operand is to be equal to. The operand is bound anew for each,
// since expressions are trees.
static struct error *bind_when(
    struct typer *typer,
    const struct syntax *syntax,
    const struct syntax *operand_syntax,
    const struct syntax *when_syntax,
    struct expression **ret_condition)
{
    if (!operand_syntax) return bind_boolean(typer, when_syntax, ret_condition);
    struct expression *operand;
    struct expression *when;
    TRY(bind_expression(typer, operand_syntax, &operand));
    TRY(bind_expression(typer, when_syntax, &when));
    TRY(typed_unify(typer, syntax, operand, when));
    *ret_condition = bind_comparison(typer, RELATION_EQUAL, operand, when);
    return NULL;
}

struct error *bind_case(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    const struct syntax *operand = syntax->has_operand ? syntax->items[0] : NULL;
    struct syntax *const *parts = &syntax->items[syntax->has_operand];
    uint32_t count = syntax->count - syntax->has_operand;
    struct expression **items = ARENA_NEW(typer->arena, struct expression *, count);
    struct expression **results = ARENA_NEW(typer->arena, struct expression *, count);
    uint32_t result_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct syntax *item = parts[i];
        if (i % 2 == 0 && i + 1 < count) {
            TRY(bind_when(typer, syntax, operand, item, &items[i]));
        } else {
            TRY(bind_expression(typer, item, &items[i]));
            results[result_count++] = items[i];
        }
    }
    TRY(typed_unify_all(typer, syntax, results, result_count));
    struct expression *expression = typed_new(typer, EXPRESSION_CASE, results[0]->type, count);
    for (uint32_t i = 0; i < count; i++) typed_set_item(expression, i, items[i]);
    typed_mark_choice(expression);
    *ret_expression = typed_fold(typer, expression);
    return NULL;
}

// The items of a list in parentheses, which the grammar takes for a tuple, or for its only item.
static struct syntax *const *list_items(struct syntax *const *list, uint32_t *ret_count)
{
    bool is_tuple = (*list)->kind == SYNTAX_TUPLE;
    *ret_count = is_tuple ? (*list)->count : 1;
    return is_tuple ? (*list)->items : list;
}

struct entry {
    const struct value *tuple;
    struct value result;
    uint32_t size;
    uint32_t index;
};

static int order_entries(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    int order = 0;
    for (uint32_t i = 0; i < x->size && order == 0; i++) {
        order = value_compare(&x->tuple[i], &y->tuple[i]);
    }
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

// Sorts the tuples and their results; of several equal ones the first is kept.
static void sort_transform(
    struct typer *typer,
    struct expression *transform,
    const struct value *tuples,
    const struct value *results,
    uint32_t count,
    uint32_t size)
{
    struct entry *entries = ARENA_NEW(typer->arena, struct entry, count);
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = (struct entry){&tuples[(size_t)i * size], results[i], size, i};
    }
    qsort(entries, count, sizeof *entries, order_entries);
    struct value *sorted_tuples = ARENA_NEW(typer->arena, struct value, (size_t)count * size);
    struct value *sorted_results = ARENA_NEW(typer->arena, struct value, count);
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct value *kept = &sorted_tuples[(size_t)kept_count * size];
        bool is_repeated = kept_count > 0;
        for (uint32_t k = 0; k < size && is_repeated; k++) {
            is_repeated = value_compare(&(kept - size)[k], &entries[i].tuple[k]) == 0;
        }
        if (is_repeated) continue;
        memcpy(kept, entries[i].tuple, size * sizeof *kept);
        sorted_results[kept_count++] = entries[i].result;
    }
    transform->values = sorted_tuples;
    transform->results = sorted_results;
    transform->value_count = kept_count;
}

struct error *bind_transform(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression)
{
    TRY(bind_check_argument_count(syntax, 3, 4));
    struct expression **operands;
    uint32_t size;
    TRY(bind_tuple(typer, syntax->items[0], &operands, &size));
    uint32_t from_count;
    uint32_t to_count;
    struct syntax *const *from = list_items(&syntax->items[1], &from_count);
    struct syntax *const *to = list_items(&syntax->items[2], &to_count);
    if (size > 1 && from[0]->kind != SYNTAX_TUPLE) { // A list of one tuple.
        from = &syntax->items[1];
        from_count = 1;
    }
    if (from_count != to_count) {
        return typed_at(
            syntax,
            error_new(
                ERROR_GENERIC,
                "Size mismatch for source and result arrays in transform: %" PRIu32 " and %" PRIu32,
                from_count,
                to_count));
    }
    struct value *tuples;
    TRY(bind_constants(typer, syntax, from, from_count, operands, size, &tuples));

    // What it gives has the type of the default, or of the first result that has one.
    struct expression *sample = NULL;
    bool has_default = syntax->count == 4;
    if (has_default) TRY(bind_expression(typer, syntax->items[3], &sample));
    for (uint32_t i = 0; i < to_count && (!sample || sample->type == VALUE_NULL); i++) {
        TRY(bind_expression(typer, to[i], &sample));
    }
    struct value *results;
    TRY(bind_constants(typer, syntax, to, to_count, &sample, 1, &results));

    struct expression *expression =
        typed_new(typer, EXPRESSION_TRANSFORM, sample->type, size + has_default);
    for (uint32_t i = 0; i < size; i++) typed_set_item(expression, i, operands[i]);
    if (has_default) {
        struct expression *other;
        TRY(bind_expression(typer, syntax->items[3], &other));
        TRY(typed_unify(typer, syntax, other, sample));
        typed_set_item(expression, size, other);
    }
    expression->has_default = has_default;
    sort_transform(typer, expression, tuples, results, from_count, size);
    *ret_expression = typed_fold(typer, expression);
    return NULL;
}
