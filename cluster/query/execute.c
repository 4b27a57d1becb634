// Executions: rows are read and filtered (and joined), then grouped or not, then ordered or not,
// then written.
//
//   is        and
//   READING   reads rows; without group by and order by they are written at once; then
//   GROUPING  makes a row of each group, filters it by `having`, and writes or orders it; then
//   ORDERING  writes the rows that have been kept, in order; then
//   TOTALING  writes the row of totals, if the query has one; then
//   FINISHED  there is nothing left to do
#include "base/containers.h"
#include "cluster/query/evaluate.h"
#include "cluster/query/group.h"
#include "cluster/query/input.h"
#include "cluster/query/join.h"
#include "cluster/query/order.h"
#include "cluster/query/plan.h"
#include "cluster/query/query.h"
#include "cluster/query/subquery.h"

#include <assert.h>

// Of a slow query: each row may take a second.
enum { SLOW_STEP_ROW_COUNT = 1 };

enum state { READING, GROUPING, ORDERING, TOTALING, FINISHED };

struct query_execution {
    const struct query_plan *plan;
    struct row_source **sources; // The array is ours, the sources are not.
    struct query_limits limits;
    struct query_sink *sink;
    struct query_statistics statistics;
    struct evaluator evaluator;
    struct input input;

    enum state state;
    struct row_scan *scan;    // Of the first table; NULL before the first row.
    struct subquery subquery; // Used if it is the first table.
    struct join join;         // Used if there are several tables.
    struct group group;       // Used if the query groups.
    struct order order;       // Used if the query orders.

    uint64_t group_count_max;
    uint64_t skipped_count; // Of rows, by `offset`.
    uint64_t counted_count; // Of rows written, as `limit` counts them: without totals.
    bool is_cut;            // output_row_count_max was reached.
    uint64_t group_index;   // The next one in GROUPING.
    struct value *group_row;
    const struct value **order_keys; // Of the row at hand.
    struct value *output;
};

static uint64_t or_infinite(uint64_t limit)
{
    return limit == 0 ? UINT64_MAX : limit;
}

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t limit_with_offset(const struct query_plan *plan)
{
    return add_saturated(plan->limit, plan->offset);
}

// Without order by and having, `limit` is also a limit of groups: those that come first.
static bool limits_groups(const struct query_plan *plan)
{
    return plan->is_grouped && plan->order_count == 0 && !plan->having && plan->limit != UINT64_MAX;
}

struct query_execution *query_execution_new(
    const struct query_plan *plan,
    struct row_source *const *sources,
    size_t source_count,
    const struct query_limits *limits,
    struct query_sink *sink)
{
    assert(source_count == plan->source_count);
    struct query_execution *execution = must_alloc(calloc(1, sizeof *execution));
    execution->plan = plan;
    execution->limits = (struct query_limits){
        .input_row_count_max = or_infinite(limits->input_row_count_max),
        .output_row_count_max = or_infinite(limits->output_row_count_max),
        .memory_size_max = or_infinite(limits->memory_size_max),
        .fail_on_limit = limits->fail_on_limit,
    };
    execution->sink = sink;
    // The first table's own source is not used if it is a subquery; joined tables follow its own.
    const struct query_plan *subplan = plan->tables[0].subplan;
    size_t source_index = subplan ? subplan->source_count : 1;
    execution->sources = must_alloc(calloc(plan->table_count, sizeof *sources));
    if (!subplan) execution->sources[0] = sources[0];
    for (uint32_t i = 1; i < plan->table_count; i++) {
        bool has_source = plan->tables[i].join.array_count == 0;
        execution->sources[i] = has_source ? sources[source_index++] : NULL;
    }
    if (subplan) subquery_init(&execution->subquery, subplan, sources, &execution->limits);
    execution->input = (struct input){
        .row_count_max = execution->limits.input_row_count_max,
        .fail_on_limit = limits->fail_on_limit,
        .statistics = &execution->statistics,
    };
    evaluator_init(&execution->evaluator, plan->slot_count);
    if (plan->table_count > 1) {
        join_init(
            &execution->join,
            plan,
            execution->sources,
            &execution->evaluator,
            &execution->input,
            execution->limits.memory_size_max);
    }
    if (plan->is_grouped) group_init(&execution->group, plan);
    order_init(
        &execution->order,
        plan->order,
        plan->order_count,
        plan->select_count,
        limit_with_offset(plan));
    execution->group_count_max =
        MIN(limits_groups(plan) ? limit_with_offset(plan) : UINT64_MAX,
            (uint64_t)KEY_TABLE_ENTRY_COUNT_MAX);
    execution->group_row =
        must_alloc(calloc(MAX(plan->key_count + plan->aggregate_count, 1), sizeof(struct value)));
    execution->order_keys = must_alloc(calloc(MAX(plan->order_count, 1), sizeof(struct value *)));
    execution->output = must_alloc(calloc(plan->select_count, sizeof(struct value)));
    if (plan->limit == 0) execution->state = FINISHED;
    return execution;
}

void query_execution_free(struct query_execution *execution)
{
    if (!execution) return;
    row_scan_close(execution->scan);
    subquery_release(&execution->subquery);
    if (execution->plan->table_count > 1) join_release(&execution->join);
    if (execution->plan->is_grouped) group_release(&execution->group);
    order_release(&execution->order);
    evaluator_release(&execution->evaluator);
    free(execution->sources);
    free(execution->group_row);
    free(execution->order_keys);
    free(execution->output);
    free(execution);
}

static size_t memory_size(const struct query_execution *execution)
{
    size_t size = join_size(&execution->join) + order_size(&execution->order);
    if (execution->plan->is_grouped) size += key_table_size(&execution->group.table);
    return size;
}

static struct error *check_memory(const struct query_execution *execution)
{
    if (memory_size(execution) <= execution->limits.memory_size_max) return NULL;
    return error_set_u64(
        error_new(ERROR_GENERIC, "Query memory limit exceeded"),
        "limit",
        execution->limits.memory_size_max);
}

// More rows or groups than the caller wants. Says whether that is an error.
static struct error *exceed_output(struct query_execution *execution)
{
    if (execution->limits.fail_on_limit) {
        return error_set_u64(
            error_new(
                ERROR_QUERY_OUTPUT_ROW_COUNT_LIMIT_EXCEEDED,
                "Query output row count limit exceeded"),
            "limit",
            execution->limits.output_row_count_max);
    }
    execution->statistics.is_output_incomplete = true;
    return NULL;
}

// Nothing more but totals will be written.
static bool is_full(const struct query_execution *execution)
{
    return execution->counted_count >= execution->plan->limit || execution->is_cut;
}

// Writes the row in `output`.
static struct error *write_row(struct query_execution *execution)
{
    const struct query_plan *plan = execution->plan;
    if (execution->statistics.rows_written >= execution->limits.output_row_count_max) {
        execution->is_cut = true;
        return exceed_output(execution);
    }
    for (uint16_t i = 0; i < plan->select_count; i++) {
        execution->output[i].column = i;
        execution->output[i].is_aggregate = false;
    }
    struct row row = {
        .kind = ROW_WRITE,
        .value_count = plan->select_count,
        .values = execution->output,
    };
    TRY(execution->sink->write(execution->sink, &row));
    execution->statistics.rows_written++;
    return NULL;
}

// Writes a row that `offset` and `limit` count.
static struct error *write_counted_row(struct query_execution *execution)
{
    if (execution->skipped_count < execution->plan->offset) {
        execution->skipped_count++;
        return NULL;
    }
    TRY(write_row(execution));
    execution->counted_count++;
    return NULL;
}

// Puts what is selected of a row into `output`.
static struct error *select_row(struct query_execution *execution, const struct value *row)
{
    const struct query_plan *plan = execution->plan;
    for (uint16_t i = 0; i < plan->select_count; i++) {
        execution->output[i] = *evaluate(&execution->evaluator, plan->select[i], row);
    }
    return evaluator_check(&execution->evaluator);
}

// Takes a row that is complete but for `select` and `order`: writes it, or keeps it to be ordered.
static struct error *emit_row(struct query_execution *execution, const struct value *row)
{
    const struct query_plan *plan = execution->plan;
    if (plan->order_count == 0) {
        // What is skipped is not even computed.
        bool is_skipped = execution->skipped_count < plan->offset;
        if (!is_skipped) TRY(select_row(execution, row));
        return write_counted_row(execution);
    }
    for (uint32_t i = 0; i < plan->order_count; i++) {
        execution->order_keys[i] = evaluate(&execution->evaluator, plan->order[i].expression, row);
    }
    TRY(evaluator_check(&execution->evaluator));
    if (!order_admits(&execution->order, execution->order_keys)) return NULL;
    TRY(select_row(execution, row));
    order_add(&execution->order, execution->order_keys, execution->output);
    return check_memory(execution);
}

static bool is_true(const struct value *value)
{
    return value->type == VALUE_BOOLEAN && value->boolean;
}

// A predicate over a row; NULL is always true.
static struct error *test(
    struct query_execution *execution,
    const struct expression *predicate,
    const struct value *row,
    bool *ret_holds)
{
    *ret_holds = !predicate || is_true(evaluate(&execution->evaluator, predicate, row));
    return evaluator_check(&execution->evaluator);
}

// All groups there can be have been found, and they do not change any more.
static bool has_all_groups(const struct query_execution *execution)
{
    return limits_groups(execution->plan) && execution->plan->aggregate_count == 0 &&
           execution->group.table.count == execution->group_count_max;
}

// Takes a source row that has passed all filters.
static struct error *process_row(struct query_execution *execution, const struct value *row)
{
    if (!execution->plan->is_grouped) return emit_row(execution, row);
    struct group *group = &execution->group;
    uint64_t output_max = execution->limits.output_row_count_max;
    uint64_t group_count_max = MIN(execution->group_count_max, output_max);
    size_t size = group->table.arena.size;
    bool has_group;
    TRY(group_add(group, &execution->evaluator, row, group_count_max, &has_group));
    if (!has_group && group_count_max < execution->group_count_max) {
        TRY(exceed_output(execution));
    }
    if (has_all_groups(execution)) execution->state = GROUPING;
    return size == group->table.arena.size ? NULL : check_memory(execution);
}

static struct error *open_scan(struct query_execution *execution)
{
    const struct query_plan *plan = execution->plan;
    return row_source_open(
        execution->sources[0],
        plan->ranges,
        plan->range_count,
        plan->tables[0].wanted,
        &execution->scan);
}

// The next row of the first table that passes what can be filtered by it alone. NULL at the end,
// and when the budget is used up.
static struct error *read_row(
    struct query_execution *execution,
    uint64_t *budget,
    const struct value **ret_row,
    bool *ret_at_end)
{
    const struct query_plan *plan = execution->plan;
    *ret_row = NULL;
    *ret_at_end = false;
    while (*budget > 0) {
        const struct value *row;
        if (plan->tables[0].subplan) {
            TRY(subquery_next(&execution->subquery, budget, &row, ret_at_end));
            if (!row) return NULL;
        } else {
            TRY(input_next(&execution->input, &plan->tables[0], execution->scan, &row));
            *ret_at_end = row == NULL;
            if (!row) return NULL;
        }
        *budget -= *budget > 0;
        evaluator_reset(&execution->evaluator);
        bool is_wanted;
        TRY(test(execution, plan->pre_where, row, &is_wanted));
        if (!is_wanted) continue;
        *ret_row = row;
        return NULL;
    }
    return NULL;
}

static struct error *join_rows(struct query_execution *execution, uint64_t *budget)
{
    const struct value *row;
    if (join_wants_row(&execution->join)) {
        bool at_end;
        TRY(read_row(execution, budget, &row, &at_end));
        if (row) return join_add(&execution->join, row);
        return at_end ? join_finish(&execution->join) : NULL;
    }
    TRY(join_next(&execution->join, budget, &row));
    if (execution->join.state == JOIN_FINISHED) execution->state = GROUPING;
    if (!row) return NULL;
    evaluator_reset(&execution->evaluator);
    bool is_wanted;
    TRY(test(execution, execution->plan->where, row, &is_wanted));
    return is_wanted ? process_row(execution, row) : NULL;
}

static struct error *read_rows(struct query_execution *execution, uint64_t *budget)
{
    bool is_table = !execution->plan->tables[0].subplan;
    if (is_table && !execution->scan) TRY(open_scan(execution));
    while (*budget > 0 && execution->state == READING) {
        bool at_end = false;
        if (execution->plan->table_count > 1) {
            TRY(join_rows(execution, budget));
        } else {
            const struct value *row;
            TRY(read_row(execution, budget, &row, &at_end));
            if (row) TRY(process_row(execution, row));
        }
        if (at_end || is_full(execution)) execution->state = GROUPING;
    }
    // What the scan pins is let go as soon as possible.
    if (execution->state != READING) row_scan_close(TAKE(execution->scan));
    return NULL;
}

// Makes a row of the next group.
static struct error *emit_group(struct query_execution *execution)
{
    const struct query_plan *plan = execution->plan;
    uint32_t i = (uint32_t)execution->group_index++;
    evaluator_reset(&execution->evaluator);
    if (plan->totals == TOTALS_BEFORE_HAVING) TRY(group_add_to_totals(&execution->group, i));
    group_row(&execution->group, i, execution->group_row);
    bool is_wanted;
    TRY(test(execution, plan->having, execution->group_row, &is_wanted));
    if (!is_wanted) return NULL;
    if (plan->totals == TOTALS_AFTER_HAVING) TRY(group_add_to_totals(&execution->group, i));
    return is_full(execution) ? NULL : emit_row(execution, execution->group_row);
}

static struct error *emit_groups(struct query_execution *execution, uint64_t *budget)
{
    const struct query_plan *plan = execution->plan;
    uint64_t group_count = plan->is_grouped ? execution->group.table.count : 0;
    while (*budget > 0 && execution->state == GROUPING) {
        bool needs_more = !is_full(execution) || plan->totals != TOTALS_NONE;
        if (execution->group_index == group_count || !needs_more) {
            execution->state = plan->order_count > 0 ? ORDERING : TOTALING;
            if (plan->order_count > 0) order_seal(&execution->order);
            return plan->totals == TOTALS_NONE ? NULL : check_memory(execution);
        }
        --*budget;
        TRY(emit_group(execution));
    }
    return NULL;
}

static struct error *write_ordered(struct query_execution *execution, uint64_t *budget)
{
    while (*budget > 0 && execution->state == ORDERING) {
        const struct value *values = is_full(execution) ? NULL : order_pop(&execution->order);
        if (!values) {
            execution->state = TOTALING;
            return NULL;
        }
        --*budget;
        memcpy(execution->output, values, execution->plan->select_count * sizeof *values);
        TRY(write_counted_row(execution));
    }
    return NULL;
}

// The row of totals comes last; offset and limit do not count it.
static struct error *write_totals(struct query_execution *execution)
{
    const struct query_plan *plan = execution->plan;
    execution->state = FINISHED;
    if (plan->totals == TOTALS_NONE) return NULL;
    evaluator_reset(&execution->evaluator);
    if (!group_totals_row(&execution->group, execution->group_row)) return NULL;
    TRY(select_row(execution, execution->group_row));
    return write_row(execution);
}

struct query_statistics query_execution_statistics(const struct query_execution *execution)
{
    struct query_statistics statistics = execution->statistics;
    statistics.memory_size = memory_size(execution);
    if (!execution->subquery.execution) return statistics;
    struct query_statistics inner = query_execution_statistics(execution->subquery.execution);
    statistics.rows_read += inner.rows_read;
    statistics.data_weight_read += inner.data_weight_read;
    statistics.memory_size += inner.memory_size + execution->subquery.arena.size;
    statistics.is_input_incomplete |= inner.is_input_incomplete;
    statistics.is_output_incomplete |= inner.is_output_incomplete;
    return statistics;
}

struct error *query_step(struct query_execution *execution, uint64_t row_budget, bool *ret_done)
{
    uint64_t budget = MAX(row_budget, 1);
    if (execution->plan->is_slow) budget = MIN(budget, SLOW_STEP_ROW_COUNT);
    while (budget > 0 && execution->state != FINISHED) {
        switch (execution->state) {
        case READING: TRY(read_rows(execution, &budget)); break;
        case GROUPING: TRY(emit_groups(execution, &budget)); break;
        case ORDERING: TRY(write_ordered(execution, &budget)); break;
        case TOTALING: TRY(write_totals(execution)); break;
        case FINISHED: break;
        }
    }
    *ret_done = execution->state == FINISHED;
    return NULL;
}
