// query_bind: clause by clause, from syntax to plan.
#include "cluster/query/implied.h"
#include "cluster/query/plan.h"
#include "cluster/query/query.h"
#include "cluster/query/ranges.h"
#include "cluster/query/syntax.h"
#include "cluster/query/typing.h"

#include <assert.h>
#include <inttypes.h>

enum { NAME_SIZE_MAX = 64 << 10 };

struct binder {
    struct arena *arena;
    const struct query *query;
    struct query_plan *plan;
    struct typer typer;
};

static void binder_release(struct binder *binder)
{
    evaluator_release(&binder->typer.folder);
}

static struct error *at(uint32_t offset, struct error *error)
{
    return error_set_u64(error, "offset", offset);
}

static struct error *check_count(const char *what, uint32_t count)
{
    if (count <= QUERY_COLUMN_COUNT_MAX) return NULL;
    return error_set_u64(
        error_new(ERROR_GENERIC, "Too many expressions in %s: %" PRIu32, what, count),
        "limit",
        QUERY_COLUMN_COUNT_MAX);
}

static enum column_type column_type_of(enum value_type type)
{
    switch (type) {
    case VALUE_INT64: return COLUMN_INT64;
    case VALUE_UINT64: return COLUMN_UINT64;
    case VALUE_DOUBLE: return COLUMN_DOUBLE;
    case VALUE_BOOLEAN: return COLUMN_BOOLEAN;
    case VALUE_STRING: return COLUMN_STRING;
    case VALUE_NULL: // Always null: of whatever type.
    case VALUE_ANY: break;
    }
    return COLUMN_ANY;
}

// What a subquery puts out, as a table without a key.
static struct schema *output_schema(struct arena *arena, const struct query_plan *plan)
{
    struct schema *schema = ARENA_NEW(arena, struct schema, 1);
    schema->column_count = plan->select_count;
    schema->columns = ARENA_NEW(arena, struct column, plan->select_count);
    for (uint16_t i = 0; i < plan->select_count; i++) {
        schema->columns[i].name = plan->names[i];
        schema->columns[i].type = column_type_of(plan->types[i]);
    }
    return schema;
}

// What an ARRAY JOIN adds, as a table without a key: of its items nothing is known.
static struct schema *array_schema(struct arena *arena, const struct syntax_list *arrays)
{
    struct schema *schema = ARENA_NEW(arena, struct schema, 1);
    schema->column_count = (uint16_t)arrays->count;
    schema->columns = ARENA_NEW(arena, struct column, arrays->count);
    for (uint32_t i = 0; i < arrays->count; i++) {
        schema->columns[i].name = arrays->items[i]->name;
        schema->columns[i].type = COLUMN_ANY;
    }
    return schema;
}

// `schemas` has one for each table of the query and its subqueries.
static struct error *bind_tables(
    struct binder *binder,
    const struct schema *const *schemas,
    const struct query_bind_options *options)
{
    struct query_plan *plan = binder->plan;
    plan->table_count = binder->query->table_count;
    plan->source_count = binder->query->source_count;
    plan->tables = ARENA_NEW(binder->arena, struct plan_table, plan->table_count);
    for (uint32_t i = 0; i < plan->table_count; i++) {
        const struct syntax_table *syntax = &binder->query->tables[i];
        struct plan_table *table = &plan->tables[i];
        table->path = syntax->path;
        if (syntax->subquery) {
            uint32_t count = syntax->subquery->source_count;
            TRY(query_bind(
                binder->arena, syntax->subquery, schemas, count, options, &table->subplan));
            table->schema = output_schema(binder->arena, table->subplan);
            binder->plan->is_slow = table->subplan->is_slow;
            schemas += count;
        } else if (syntax->arrays.count > 0) {
            TRY(check_count("ARRAY JOIN", syntax->arrays.count));
            table->schema = array_schema(binder->arena, &syntax->arrays);
        } else {
            table->schema = *schemas++;
        }
        table->column_begin = plan->column_count;
        table->wanted = ARENA_NEW(binder->arena, bool, table->schema->column_count);
        plan->column_count += table->schema->column_count;
    }
    return NULL;
}

static void see_tables(struct binder *binder, uint32_t begin, uint32_t end)
{
    binder->typer.table_begin = begin;
    binder->typer.table_end = end;
}

static void forbid_aggregates(struct binder *binder, const char *reason)
{
    binder->typer.allows_aggregates = false;
    binder->typer.refusal = reason;
}

// Whether a part of the syntax needs nothing but one table: binds it to see. What else may be wrong
// with it will be found again.
static bool refers_only_to(struct binder *binder, const struct syntax *syntax, uint32_t table)
{
    see_tables(binder, table, table + 1);
    const struct expression *expression;
    CLEANUP(error_freep)
    struct error *error = typer_bind(&binder->typer, syntax, &expression);
    return error == NULL;
}

static struct error *add_equation(
    struct binder *binder,
    struct plan_join *join,
    uint32_t table,
    const struct syntax *left,
    const struct syntax *right)
{
    if (join->equation_count == EXPRESSION_TUPLE_SIZE_MAX) {
        return at(
            left->begin,
            error_set_u64(
                error_new(ERROR_GENERIC, "Too many columns in JOIN"),
                "limit",
                EXPRESSION_TUPLE_SIZE_MAX));
    }
    bool right_is_joined = refers_only_to(binder, right, table);
    struct plan_equation *equation = &join->equations[join->equation_count];
    TRY(typer_bind_equation(
        &binder->typer,
        right_is_joined ? left : right,
        right_is_joined ? right : left,
        table,
        equation));
    join->equation_count++;
    return NULL;
}

// One condition of ON: an equation of both sides, or a predicate over the joined table.
static struct error *bind_join_condition(
    struct binder *binder,
    uint32_t table,
    const struct syntax *syntax,
    const struct expression **predicates,
    uint32_t *predicate_count)
{
    struct plan_join *join = &binder->plan->tables[table].join;
    if (refers_only_to(binder, syntax, table)) {
        see_tables(binder, table, table + 1);
        return typer_bind_predicate(
            &binder->typer, syntax, "The condition of JOIN", &predicates[(*predicate_count)++]);
    }
    if (syntax->kind != SYNTAX_BINARY || syntax->operation != OPERATOR_EQUAL) {
        return at(
            syntax->begin,
            error_new(
                ERROR_GENERIC,
                "JOIN needs equalities between the tables, and predicates over the joined table; "
                "\"%.*s\" is neither",
                SLICE(syntax_text(binder->query, syntax))));
    }
    const struct syntax *left = syntax->items[0];
    const struct syntax *right = syntax->items[1];
    if (left->kind != SYNTAX_TUPLE || right->kind != SYNTAX_TUPLE) {
        return add_equation(binder, join, table, left, right);
    }
    if (left->count != right->count) {
        return at(
            syntax->begin,
            error_new(
                ERROR_GENERIC,
                "Tuples of different size in expression \"%.*s\": %" PRIu32 " and %" PRIu32,
                SLICE(syntax_text(binder->query, syntax)),
                left->count,
                right->count));
    }
    for (uint32_t i = 0; i < left->count; i++) {
        TRY(add_equation(binder, join, table, left->items[i], right->items[i]));
    }
    return NULL;
}

static struct error *bind_using(struct binder *binder, uint32_t table)
{
    struct plan_join *join = &binder->plan->tables[table].join;
    const struct syntax_list *columns = &binder->query->tables[table].using_columns;
    binder->typer.names.is_in_using = true;
    for (uint32_t i = 0; i < columns->count; i++) {
        const struct syntax *reference = columns->items[i];
        TRY(add_equation(binder, join, table, reference, reference));
        struct names_column *column;
        TRY(names_find_column(&binder->typer.names, reference, table, table + 1, &column));
        assert(!column || column->table == table);
        if (column) column->is_repeated = true;
    }
    binder->typer.names.is_in_using = false;
    return NULL;
}

// Puts the equations that give the first key columns of the joined table in front, in the order of
// the key.
static void order_equations(struct query_plan *plan, uint32_t table)
{
    struct plan_join *join = &plan->tables[table].join;
    uint32_t column_begin = plan->tables[table].column_begin;
    uint16_t key_column_count = plan->tables[table].schema->key_column_count;
    while (join->key_prefix_count < MIN(join->equation_count, key_column_count)) {
        uint32_t column = column_begin + join->key_prefix_count;
        uint32_t i = join->key_prefix_count;
        while (i < join->equation_count && !(join->equations[i].right->kind == EXPRESSION_COLUMN &&
                                             join->equations[i].right->column == column)) {
            i++;
        }
        if (i == join->equation_count) return;
        struct plan_equation found = join->equations[i];
        join->equations[i] = join->equations[join->key_prefix_count];
        join->equations[join->key_prefix_count++] = found;
    }
}

// The lists are over the tables before; a condition is over their items.
static struct error *bind_arrays(struct binder *binder, uint32_t table)
{
    const struct syntax_table *syntax = &binder->query->tables[table];
    struct plan_join *join = &binder->plan->tables[table].join;
    join->array_count = syntax->arrays.count;
    join->arrays = ARENA_NEW(binder->arena, const struct expression *, join->array_count);
    see_tables(binder, 0, table);
    for (uint32_t i = 0; i < join->array_count; i++) {
        const struct syntax *item = syntax->arrays.items[i]->items[0];
        TRY(typer_bind(&binder->typer, item, &join->arrays[i]));
        uint8_t type = join->arrays[i]->type;
        if (type == VALUE_ANY || type == VALUE_NULL) continue;
        return at(
            item->begin,
            error_new(
                ERROR_GENERIC,
                "ARRAY JOIN takes lists of type any, and \"%.*s\" is %s",
                SLICE(syntax_text(binder->query, item)),
                expression_type_name(join->arrays[i])));
    }
    if (!syntax->condition) return NULL;
    see_tables(binder, table, table + 1);
    return typer_bind_predicate(
        &binder->typer, syntax->condition, "The condition of ARRAY JOIN", &join->predicate);
}

static struct error *bind_joins(struct binder *binder)
{
    forbid_aggregates(binder, "it is inside of JOIN");
    for (uint32_t i = 1; i < binder->plan->table_count; i++) {
        const struct syntax_table *table = &binder->query->tables[i];
        struct plan_join *join = &binder->plan->tables[i].join;
        join->is_left = table->is_left;
        if (table->arrays.count > 0) {
            TRY(bind_arrays(binder, i));
            continue;
        }
        join->equations = ARENA_NEW(binder->arena, struct plan_equation, EXPRESSION_TUPLE_SIZE_MAX);
        TRY(bind_using(binder, i));
        const struct syntax *condition = table->condition;
        if (condition) {
            bool is_and = condition->kind == SYNTAX_AND;
            uint32_t count = is_and ? condition->count : 1;
            const struct expression **predicates =
                ARENA_NEW(binder->arena, const struct expression *, count);
            uint32_t predicate_count = 0;
            for (uint32_t k = 0; k < count; k++) {
                const struct syntax *item = is_and ? condition->items[k] : condition;
                TRY(bind_join_condition(binder, i, item, predicates, &predicate_count));
            }
            join->predicate = typer_conjunction(&binder->typer, predicates, predicate_count);
        }
        if (join->equation_count == 0) {
            return at(
                table->offset,
                error_new(
                    ERROR_GENERIC,
                    "JOIN of \"%.*s\" needs at least one equality between the tables",
                    SLICE(table->path)));
        }
        order_equations(binder->plan, i);
    }
    return NULL;
}

static void find_last_column(void *context, uint32_t column)
{
    uint32_t *last = context;
    *last = MAX(*last, column);
}

static bool needs_first_table_only(
    const struct query_plan *plan, const struct expression *expression)
{
    uint32_t last = 0;
    expression_each_column(expression, find_last_column, &last);
    return last < plan->tables[0].schema->column_count;
}

// What of `where` can be decided before the joins goes before them.
static void split_where(struct binder *binder, const struct expression *where)
{
    struct query_plan *plan = binder->plan;
    bool is_and = where->kind == EXPRESSION_AND;
    uint32_t count = is_and ? where->count : 1;
    const struct expression **before = ARENA_NEW(binder->arena, const struct expression *, count);
    const struct expression **after = ARENA_NEW(binder->arena, const struct expression *, count);
    uint32_t before_count = 0;
    uint32_t after_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct expression *item = is_and ? where->items[i] : where;
        if (needs_first_table_only(plan, item)) {
            before[before_count++] = item;
        } else {
            after[after_count++] = item;
        }
    }
    plan->pre_where = typer_conjunction(&binder->typer, before, before_count);
    plan->where = typer_conjunction(&binder->typer, after, after_count);
}

static struct error *bind_where(struct binder *binder)
{
    const struct syntax *syntax = binder->query->where;
    if (!syntax) return NULL;
    forbid_aggregates(binder, "it is inside of WHERE");
    const struct expression *where;
    TRY(typer_bind_predicate(&binder->typer, syntax, "WHERE", &where));
    split_where(binder, where);
    CLEANUP(buffer_releasep) struct buffer text = {.size_max = NAME_SIZE_MAX};
    syntax_print(syntax, &text);
    binder->plan->where_text = arena_copy(binder->arena, buffer_slice(&text));
    return NULL;
}

static struct error *bind_group(struct binder *binder)
{
    const struct syntax_list *list = &binder->query->group;
    struct query_plan *plan = binder->plan;
    plan->is_grouped = list->count > 0;
    plan->totals = binder->query->totals;
    TRY(check_count("GROUP BY", list->count));
    forbid_aggregates(binder, "it is inside of GROUP BY");
    plan->keys = ARENA_NEW(binder->arena, const struct expression *, list->count);
    plan->key_count = list->count;
    for (uint32_t i = 0; i < list->count; i++) {
        TRY(typer_bind(&binder->typer, list->items[i], &plan->keys[i]));
    }
    return NULL;
}

// Binds what comes after grouping, if the query groups.
static struct error *bind_late(
    struct binder *binder, const struct syntax *syntax, const struct expression **ret_expression)
{
    struct query_plan *plan = binder->plan;
    const struct expression *expression;
    TRY(typer_bind(&binder->typer, syntax, &expression));
    if (plan->is_grouped) {
        TRY(typer_regroup(
            &binder->typer, syntax, plan->keys, plan->key_count, expression, &expression));
    }
    *ret_expression = expression;
    return NULL;
}

static void allow_aggregates(struct binder *binder)
{
    forbid_aggregates(binder, "the query has no GROUP BY");
    binder->typer.allows_aggregates = binder->plan->is_grouped;
}

static struct error *bind_having(struct binder *binder)
{
    const struct syntax *syntax = binder->query->having;
    if (!syntax) return NULL;
    if (!binder->plan->is_grouped) {
        return at(syntax->begin, error_new(ERROR_GENERIC, "HAVING needs GROUP BY"));
    }
    const struct expression *having;
    TRY(typer_bind_predicate(&binder->typer, syntax, "HAVING", &having));
    return typer_regroup(
        &binder->typer,
        syntax,
        binder->plan->keys,
        binder->plan->key_count,
        having,
        &binder->plan->having);
}

static struct error *name_column(
    struct binder *binder, const struct syntax *syntax, struct slice *ret_name)
{
    bool is_plain = syntax->kind == SYNTAX_REFERENCE && syntax->table.size == 0;
    if (is_plain || syntax->kind == SYNTAX_ALIAS) {
        *ret_name = syntax->name;
        return NULL;
    }
    CLEANUP(buffer_releasep) struct buffer text = {.size_max = NAME_SIZE_MAX};
    syntax_print(syntax, &text);
    TRY(buffer_check(&text, "Name of a column of the output"));
    *ret_name = arena_copy(binder->arena, buffer_slice(&text));
    return NULL;
}

static struct error *add_output(
    struct binder *binder, uint32_t offset, struct slice name, const struct expression *expression)
{
    struct query_plan *plan = binder->plan;
    for (uint16_t i = 0; i < plan->select_count; i++) {
        if (!slice_equal(plan->names[i], name)) continue;
        return at(
            offset,
            error_new(ERROR_GENERIC, "Column \"%.*s\" is twice in the output", SLICE(name)));
    }
    plan->select[plan->select_count] = expression;
    plan->names[plan->select_count] = name;
    plan->types[plan->select_count] = expression->type;
    plan->select_count++;
    return NULL;
}

static struct error *bind_star(struct binder *binder)
{
    struct query_plan *plan = binder->plan;
    if (plan->is_grouped) return error_new(ERROR_GENERIC, "\"*\" cannot be used with GROUP BY");
    const struct schema *schema = plan->tables[0].schema;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        struct expression *column = ARENA_NEW(binder->arena, struct expression, 1);
        column->kind = EXPRESSION_COLUMN;
        column->type = (uint8_t)column_value_type(schema->columns[i].type);
        column->depth = 1;
        column->column = i;
        TRY(add_output(binder, 0, schema->columns[i].name, column));
    }
    return NULL;
}

static struct error *bind_select(struct binder *binder)
{
    const struct query *query = binder->query;
    struct query_plan *plan = binder->plan;
    uint32_t count =
        query->selects_all ? plan->tables[0].schema->column_count : query->select.count;
    TRY(check_count("SELECT", count));
    plan->select = ARENA_NEW(binder->arena, const struct expression *, count);
    plan->names = ARENA_NEW(binder->arena, struct slice, count);
    plan->types = ARENA_NEW(binder->arena, enum value_type, count);
    if (query->selects_all) return bind_star(binder);
    for (uint32_t i = 0; i < count; i++) {
        const struct syntax *syntax = query->select.items[i];
        const struct expression *expression;
        struct slice name;
        TRY(bind_late(binder, syntax, &expression));
        TRY(name_column(binder, syntax, &name));
        TRY(add_output(binder, syntax->begin, name, expression));
    }
    return NULL;
}

static struct error *bind_order(struct binder *binder)
{
    const struct query *query = binder->query;
    struct query_plan *plan = binder->plan;
    TRY(check_count("ORDER BY", query->order_count));
    plan->order = ARENA_NEW(binder->arena, struct plan_order, query->order_count);
    plan->order_count = query->order_count;
    for (uint32_t i = 0; i < query->order_count; i++) {
        plan->order[i].is_descending = query->order[i].is_descending;
        TRY(bind_late(binder, query->order[i].expression, &plan->order[i].expression));
    }
    return NULL;
}

static void want_column(void *context, uint32_t column)
{
    struct query_plan *plan = context;
    const struct plan_table *table = plan->tables;
    while (column >= table->column_begin + table->schema->column_count) table++;
    table->wanted[column - table->column_begin] = true;
}

static void want(struct query_plan *plan, const struct expression *expression)
{
    if (expression) expression_each_column(expression, want_column, plan);
}

static void find_wanted_columns(struct query_plan *plan)
{
    for (uint32_t i = 1; i < plan->table_count; i++) {
        const struct plan_join *join = &plan->tables[i].join;
        for (uint32_t k = 0; k < join->equation_count; k++) {
            want(plan, join->equations[k].left);
            want(plan, join->equations[k].right);
        }
        want(plan, join->predicate);
        for (uint32_t k = 0; k < join->array_count; k++) want(plan, join->arrays[k]);
    }
    want(plan, plan->pre_where);
    want(plan, plan->where);
    for (uint32_t i = 0; i < plan->key_count; i++) want(plan, plan->keys[i]);
    for (uint32_t i = 0; i < plan->aggregate_count; i++) {
        want(plan, plan->aggregates[i].argument);
        want(plan, plan->aggregates[i].by);
    }
    if (plan->is_grouped) return; // What comes now is over the group row.
    for (uint32_t i = 0; i < plan->select_count; i++) want(plan, plan->select[i]);
    for (uint32_t i = 0; i < plan->order_count; i++) want(plan, plan->order[i].expression);
}

// What the ranges have decided needs not be evaluated for each row.
static struct error *derive_ranges(struct binder *binder, const struct query_bind_options *options)
{
    struct query_plan *plan = binder->plan;
    const struct schema *schema = plan->tables[0].schema;
    bool is_limited =
        options->range_count_max > 0 && options->range_count_max < QUERY_RANGE_COUNT_MAX;
    size_t count_max = is_limited ? options->range_count_max : QUERY_RANGE_COUNT_MAX;
    bool is_exact;
    const struct expression *predicate;
    TRY(implied_add(&binder->typer, schema, plan->pre_where, &predicate));
    ranges_derive(
        binder->arena, predicate, schema, count_max, &plan->ranges, &plan->range_count, &is_exact);
    if (!is_exact || !plan->pre_where || schema->key_column_count == 0) return NULL;
    bool is_and = plan->pre_where->kind == EXPRESSION_AND;
    uint32_t count = is_and ? plan->pre_where->count : 1;
    const struct expression **left = ARENA_NEW(binder->arena, const struct expression *, count);
    uint32_t left_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct expression *part = is_and ? plan->pre_where->items[i] : plan->pre_where;
        if (!ranges_decide(part)) left[left_count++] = part;
    }
    plan->pre_where = typer_conjunction(&binder->typer, left, left_count);
    return NULL;
}

static struct error *bind_clauses(
    struct binder *binder,
    const struct schema *const *schemas,
    const struct query_bind_options *options)
{
    const struct query *query = binder->query;
    struct query_plan *plan = binder->plan;
    TRY(bind_tables(binder, schemas, options));
    binder->typer.tables = plan->tables;
    TRY(names_init(&binder->typer.names, binder->arena, query, plan->tables, plan->table_count));
    TRY(bind_joins(binder));
    see_tables(binder, 0, plan->table_count);
    TRY(bind_where(binder));
    TRY(bind_group(binder));
    allow_aggregates(binder);
    TRY(bind_having(binder));
    TRY(bind_select(binder));
    TRY(bind_order(binder));
    plan->offset = query->offset;
    plan->limit = query->has_limit ? query->limit : UINT64_MAX;
    plan->aggregates = binder->typer.aggregates;
    plan->aggregate_count = binder->typer.aggregate_count;
    find_wanted_columns(plan);
    TRY(derive_ranges(binder, options));
    plan->slot_count = binder->typer.slot_count;
    plan->is_slow |= binder->typer.is_slow;
    return NULL;
}

static bool is_full_scan(const struct query_plan *plan)
{
    return !plan->tables[0].subplan && plan->range_count == 1 && plan->ranges[0].begin.size == 0 &&
           plan->ranges[0].end.size == 0;
}

static struct error *check_options(
    const struct query_plan *plan, const struct query_bind_options *options)
{
    if (options->forbids_full_scan && is_full_scan(plan)) {
        return error_new(
            ERROR_GENERIC,
            "Full scan of table %.*s is forbidden: restrict its key columns in WHERE, or set "
            "\"allow_full_scan\"",
            SLICE(plan->tables[0].path));
    }
    for (uint32_t i = 1; i < plan->table_count; i++) {
        const struct plan_join *join = &plan->tables[i].join;
        if (!options->forbids_unindexed_join || join->key_prefix_count > 0) continue;
        if (join->array_count > 0) continue;
        return error_new(
            ERROR_GENERIC,
            "Foreign table key is not used in the join clause: equate the first key column of "
            "table %.*s, or set \"allow_join_without_index\"",
            SLICE(plan->tables[i].path));
    }
    return NULL;
}

struct error *query_bind(
    struct arena *arena,
    const struct query *query,
    const struct schema *const *schemas,
    size_t schema_count,
    const struct query_bind_options *options,
    struct query_plan **ret_plan)
{
    assert(schema_count == query->source_count);
    CLEANUP(binder_release)
    struct binder binder = {
        .arena = arena,
        .query = query,
        .plan = ARENA_NEW(arena, struct query_plan, 1),
        .typer = {.arena = arena, .query = query},
    };
    evaluator_init(&binder.typer.folder, 0);
    TRY(bind_clauses(&binder, schemas, options));
    TRY(check_options(binder.plan, options));
    *ret_plan = binder.plan;
    return NULL;
}
