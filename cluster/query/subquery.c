#include "cluster/query/subquery.h"

#include "base/containers.h"

enum { STEP_ROW_COUNT = 64 };

static struct error *keep_row(struct query_sink *sink, const struct row *row)
{
    struct subquery *subquery = (struct subquery *)sink;
    struct value *copy = ARENA_NEW(&subquery->arena, struct value, row->value_count);
    for (uint32_t i = 0; i < row->value_count; i++) {
        copy[i] = row->values[i];
        if (copy[i].type == VALUE_STRING || copy[i].type == VALUE_ANY) {
            copy[i].data = arena_copy(&subquery->arena, value_slice(&copy[i])).data;
        }
    }
    arr_add(subquery->rows, copy);
    if (subquery->arena.size <= subquery->memory_size_max) return NULL;
    return error_set_u64(
        error_new(ERROR_GENERIC, "Query memory limit exceeded by rows of a subquery"),
        "limit",
        subquery->memory_size_max);
}

void subquery_init(
    struct subquery *subquery,
    const struct query_plan *plan,
    struct row_source *const *sources,
    const struct query_limits *limits)
{
    *subquery = (struct subquery){
        .sink = {.write = keep_row},
        .plan = plan,
        .memory_size_max = limits->memory_size_max,
    };
    subquery->execution =
        query_execution_new(plan, sources, plan->source_count, limits, &subquery->sink);
}

void subquery_release(struct subquery *subquery)
{
    query_execution_free(subquery->execution);
    arena_release(&subquery->arena);
    arr_free(subquery->rows);
    *subquery = (struct subquery){0};
}

struct error *subquery_next(
    struct subquery *subquery, uint64_t *budget, const struct value **ret_row, bool *ret_at_end)
{
    *ret_row = NULL;
    *ret_at_end = false;
    while (subquery->next == arr_count(subquery->rows)) {
        *ret_at_end = subquery->is_done;
        if (subquery->is_done || *budget == 0) return NULL;
        arr_clear(subquery->rows);
        arena_reset(&subquery->arena);
        subquery->next = 0;
        uint64_t step = MIN(*budget, (uint64_t)STEP_ROW_COUNT);
        TRY(query_step(subquery->execution, step, &subquery->is_done));
        *budget -= step;
    }
    *ret_row = subquery->rows[subquery->next++];
    return NULL;
}
