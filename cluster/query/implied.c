#include "cluster/query/implied.h"

#include "cluster/query/computed.h"
#include "cluster/query/typed.h"

struct facts {
    const struct schema *schema;
    struct value values[SCHEMA_KEY_COLUMN_COUNT_MAX]; // Of key columns,
    bool is_known[SCHEMA_KEY_COLUMN_COUNT_MAX];       // where a part of the predicate says so.
    const struct expression *in; // The first IN over key columns; NULL if there is none.
};

static bool is_key_column(const struct facts *facts, const struct expression *expression)
{
    return expression->kind == EXPRESSION_COLUMN &&
           expression->column < facts->schema->key_column_count;
}

static void add_equality(
    struct facts *facts, const struct expression *column, const struct expression *literal)
{
    if (!is_key_column(facts, column) || !typed_is_literal(literal)) return;
    facts->values[column->column] = literal->literal;
    facts->is_known[column->column] = true;
}

static void collect(struct facts *facts, const struct expression *part)
{
    if (part->kind == EXPRESSION_AND) {
        for (uint32_t i = 0; i < part->count; i++) collect(facts, part->items[i]);
    } else if (part->kind == EXPRESSION_COMPARE && part->relation == RELATION_EQUAL) {
        add_equality(facts, part->items[0], part->items[1]);
        add_equality(facts, part->items[1], part->items[0]);
    } else if (part->kind == EXPRESSION_IN && !facts->in) {
        for (uint32_t i = 0; i < part->count; i++) {
            if (!is_key_column(facts, part->items[i])) return;
        }
        facts->in = part;
    }
}

static struct expression *new_column(struct typer *typer, const struct schema *schema, uint16_t i)
{
    enum value_type type = column_value_type(schema->columns[i].type);
    struct expression *column = typed_new(typer, EXPRESSION_COLUMN, type, 0);
    column->column = i;
    return column;
}

// Makes an IN of the computed columns that are known, and the columns of the IN there is, if any.
static struct expression *infer(
    struct typer *typer, const struct facts *facts, struct computed *computed)
{
    const struct expression *in = facts->in;
    uint32_t tuple_count = in ? in->value_count : 1;
    uint32_t in_size = in ? in->count : 0;
    uint16_t columns[SCHEMA_KEY_COLUMN_COUNT_MAX];
    uint32_t size = 0; // In columns of the key, computed ones first.
    struct value *tuples = NULL;
    for (uint32_t i = 0; i < tuple_count; i++) {
        struct facts here = *facts;
        for (uint32_t k = 0; k < in_size; k++) {
            here.values[in->items[k]->column] = in->values[(size_t)i * in_size + k];
            here.is_known[in->items[k]->column] = true;
        }
        computed_infer(computed, typer->arena, here.values, here.is_known);
        uint16_t found[SCHEMA_KEY_COLUMN_COUNT_MAX];
        uint32_t found_count = 0;
        for (uint16_t k = 0; k < facts->schema->key_column_count; k++) {
            bool is_computed = facts->schema->columns[k].expression.size > 0;
            bool is_said = facts->is_known[k]; // By the predicate itself.
            if (is_computed && here.is_known[k] && !is_said) found[found_count++] = k;
        }
        for (uint32_t k = 0; k < in_size; k++) {
            if (found_count == SCHEMA_KEY_COLUMN_COUNT_MAX) return NULL;
            found[found_count++] = (uint16_t)in->items[k]->column;
        }
        if (!tuples) {
            size = found_count;
            if (size == in_size) return NULL; // Nothing is implied.
            memcpy(columns, found, sizeof found);
            tuples = ARENA_NEW(typer->arena, struct value, (size_t)tuple_count * size);
        }
        if (found_count != size) return NULL; // The evaluation failed for some.
        for (uint32_t k = 0; k < size; k++) {
            tuples[(size_t)i * size + k] = here.values[columns[k]];
        }
    }
    qsort_r(tuples, tuple_count, size * sizeof *tuples, value_compare_tuples, &size);
    struct expression *expression = typed_new(typer, EXPRESSION_IN, VALUE_BOOLEAN, size);
    for (uint32_t k = 0; k < size; k++) {
        typed_set_item(expression, k, new_column(typer, facts->schema, columns[k]));
    }
    expression->values = tuples;
    expression->value_count = tuple_count;
    return expression;
}

struct error *implied_add(
    struct typer *typer,
    const struct schema *schema,
    const struct expression *predicate,
    const struct expression **ret_predicate)
{
    *ret_predicate = predicate;
    if (!predicate) return NULL;
    struct computed *computed = NULL;
    TRY(computed_new(schema, &computed));
    if (!computed) return NULL;
    struct facts facts = {.schema = schema};
    collect(&facts, predicate);
    const struct expression *implied = infer(typer, &facts, computed);
    computed_free(computed);
    if (!implied) return NULL;
    const struct expression *parts[] = {predicate, implied};
    *ret_predicate = typer_conjunction(typer, parts, 2);
    return NULL;
}
