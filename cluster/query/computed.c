#include "cluster/query/computed.h"

#include "cluster/query/evaluate.h"
#include "cluster/query/plan.h"
#include "cluster/query/syntax.h"

struct computed_column {
    uint16_t index; // In the schema.
    const struct expression *expression;
};

struct computed {
    struct arena arena;
    struct schema *schema; // The table's.
    struct schema inputs;  // Its plain key columns, which expressions may name.
    uint16_t input_indexes[SCHEMA_KEY_COLUMN_COUNT_MAX];
    struct computed_column columns[SCHEMA_KEY_COLUMN_COUNT_MAX];
    uint16_t column_count;
    struct evaluator evaluator;
};

// An expression is read as the only one of a query, which must have nothing else.
static struct error *parse(
    struct arena *arena, const struct column *column, struct query **ret_query)
{
    CLEANUP(buffer_releasep) struct buffer text = {0};
    buffer_print(&text, "(%.*s) from [t]", SLICE(column->expression));
    TRY(query_parse(arena, buffer_slice(&text), NULL, ret_query));
    const struct query *query = *ret_query;
    bool is_plain = query->select.count == 1 && !query->selects_all && query->table_count == 1 &&
                    !query->where && !query->having && query->group.count == 0 &&
                    query->order_count == 0 && !query->has_offset && !query->has_limit;
    return is_plain ? NULL : error_new(ERROR_GENERIC, "It is not an expression");
}

static struct error *bind(
    struct computed *computed, const struct column *column, uint32_t *slot_count)
{
    struct query *query = NULL;
    struct query_plan *plan = NULL;
    const struct schema *inputs = &computed->inputs;
    TRY(parse(&computed->arena, column, &query));
    struct query_bind_options options = {0};
    TRY(query_bind(&computed->arena, query, &inputs, 1, &options, &plan));
    if (plan->is_grouped) return error_new(ERROR_GENERIC, "It is not an expression over one row");
    if (plan->is_slow) {
        return error_new(
            ERROR_GENERIC, "Regular expressions are too slow for a column that is computed");
    }
    enum value_type wanted = column_value_type(column->type);
    if (plan->types[0] != wanted && plan->types[0] != VALUE_NULL) {
        return error_new(
            ERROR_GENERIC,
            "Computed column \"%.*s\" type mismatch: declared type is \"%s\" but expression type "
            "is "
            "\"%s\"",
            SLICE(column->name),
            column_type_name(column->type),
            value_type_name(plan->types[0]));
    }
    struct computed_column *made = &computed->columns[computed->column_count++];
    made->index = (uint16_t)(column - computed->schema->columns);
    made->expression = plan->select[0];
    *slot_count = MAX(*slot_count, plan->slot_count);
    return NULL;
}

static struct error *bind_all(struct computed *computed)
{
    const struct schema *schema = computed->schema;
    computed->inputs.columns = ARENA_NEW(&computed->arena, struct column, schema->key_column_count);
    for (uint16_t i = 0; i < schema->key_column_count; i++) {
        if (schema->columns[i].expression.size > 0) continue;
        uint16_t at = computed->inputs.column_count++;
        computed->inputs.columns[at] = schema->columns[i];
        computed->input_indexes[at] = i;
    }
    computed->inputs.key_column_count = computed->inputs.column_count;
    uint32_t slot_count = 0;
    for (uint16_t i = 0; i < schema->key_column_count; i++) {
        const struct column *column = &schema->columns[i];
        if (column->expression.size == 0) continue;
        struct error *error = bind(computed, column, &slot_count);
        if (!error) continue;
        return error_wrap(
            error,
            ERROR_GENERIC,
            "Error in the expression of computed column \"%.*s\"",
            SLICE(column->name));
    }
    evaluator_release(&computed->evaluator);
    evaluator_init(&computed->evaluator, slot_count);
    return NULL;
}

struct error *computed_new(const struct schema *schema, struct computed **ret_computed)
{
    bool has_any = false;
    for (uint16_t i = 0; i < schema->key_column_count; i++) {
        if (schema->columns[i].expression.size > 0) has_any = true;
    }
    *ret_computed = NULL;
    if (!has_any) return NULL;
    struct computed *computed = must_alloc(calloc(1, sizeof *computed));
    computed->schema = schema_copy(&computed->arena, schema);
    evaluator_init(&computed->evaluator, 0);
    struct error *error = bind_all(computed);
    if (error) {
        computed_free(computed);
        return error;
    }
    *ret_computed = computed;
    return NULL;
}

void computed_free(struct computed *computed)
{
    if (!computed) return;
    evaluator_release(&computed->evaluator);
    arena_release(&computed->arena);
    free(computed);
}

struct error *computed_evaluate(
    struct computed *computed, struct arena *arena, struct value *values)
{
    if (!computed) return NULL;
    struct value row[SCHEMA_KEY_COLUMN_COUNT_MAX];
    for (uint16_t i = 0; i < computed->inputs.column_count; i++) {
        row[i] = values[computed->input_indexes[i]];
        row[i].column = i;
    }
    for (uint16_t i = 0; i < computed->column_count; i++) {
        const struct computed_column *made = &computed->columns[i];
        const struct column *column = &computed->schema->columns[made->index];
        struct value value = *evaluate(&computed->evaluator, made->expression, row);
        TRY(evaluator_check(&computed->evaluator));
        if (value.type == VALUE_STRING) value.data = arena_copy(arena, value_slice(&value)).data;
        value.column = made->index;
        value.is_aggregate = false;
        TRY(column_check_value(column, &value));
        values[made->index] = value;
    }
    evaluator_reset(&computed->evaluator);
    return NULL;
}

struct dependencies {
    const struct computed *computed;
    const bool *is_known;
    bool are_known;
};

static void check_dependency(void *context, uint32_t column)
{
    struct dependencies *dependencies = context;
    dependencies->are_known &=
        dependencies->is_known[dependencies->computed->input_indexes[column]];
}

void computed_infer(
    struct computed *computed, struct arena *arena, struct value *values, bool *is_known)
{
    struct value row[SCHEMA_KEY_COLUMN_COUNT_MAX];
    for (uint16_t i = 0; i < computed->inputs.column_count; i++) {
        uint16_t index = computed->input_indexes[i];
        row[i] = is_known[index] ? values[index] : value_null(i);
    }
    for (uint16_t i = 0; i < computed->column_count; i++) {
        const struct computed_column *made = &computed->columns[i];
        struct dependencies dependencies = {computed, is_known, true};
        expression_each_column(made->expression, check_dependency, &dependencies);
        if (!dependencies.are_known) continue;
        struct value value = *evaluate(&computed->evaluator, made->expression, row);
        CLEANUP(error_freep) struct error *error = evaluator_check(&computed->evaluator);
        if (error) continue;
        if (value.type == VALUE_STRING) value.data = arena_copy(arena, value_slice(&value)).data;
        values[made->index] = value;
        is_known[made->index] = true;
    }
    evaluator_reset(&computed->evaluator);
}
