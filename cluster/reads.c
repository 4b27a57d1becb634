#include "cluster/reads.h"

#include "model/rowset.h"

static const uint64_t STEP_ROW_COUNT = 4096;

enum { LIGHT_KEY_COUNT_MAX = 8, LIGHT_QUERY_SIZE_MAX = 4096 };

// -------------------------------------------------------------------------------------------------
// Select: the output as rowsets

struct block_sink {
    struct query_sink base;
    struct request *request;
    struct query_output output;
    struct buffer rows; // Encoded rows of the block under way.
    uint32_t row_count;
};

static struct error *finish_block(struct block_sink *sink)
{
    struct request *request = sink->request;
    rowset_encode_begin(sink->output.names, sink->output.count, sink->row_count, &request->output);
    buffer_append_slice(&request->output, buffer_slice(&sink->rows));
    arr_add(request->block_ends, request->output.size);
    buffer_clear(&sink->rows);
    sink->row_count = 0;
    return buffer_check(&request->output, "Result of a query");
}

static struct error *write_row(struct query_sink *base, const struct row *row)
{
    struct block_sink *sink = (struct block_sink *)base;
    rowset_encode_row(row, &sink->rows);
    sink->row_count++;
    return sink->rows.size >= READ_BLOCK_SIZE ? finish_block(sink) : NULL;
}

struct error *select_parse(struct request *request)
{
    struct select_plan *plan = ARENA_NEW(&request->arena, struct select_plan, 1);
    TRY(query_parse(&request->arena, request->query, request->placeholder_values, &plan->query));
    // Whoever it is sent on to needs no placeholders.
    request->query = query_text(plan->query);
    request->placeholder_values = NULL;
    plan->paths = query_tables(plan->query, &plan->path_count);
    if (request->table_path_count != 0 && request->table_path_count != plan->path_count) {
        return error_new(ERROR_GENERIC, "Query has another number of tables than paths were given");
    }
    request->select = plan;
    return NULL;
}

struct error *select_bind(struct request *request, struct table *const *tables)
{
    struct arena *arena = &request->arena;
    struct select_plan *plan = request->select;
    plan->tables = ARENA_NEW(arena, struct source_table, plan->path_count);
    const struct schema **schemas = ARENA_NEW(arena, const struct schema *, plan->path_count);
    for (size_t i = 0; i < plan->path_count; i++) {
        const struct table *table = tables[i];
        struct source_table *st = &plan->tables[i];
        st->path = plan->paths[i];
        st->is_sorted = table_is_sorted(table);
        st->schema = schema_copy(arena, table->schema);
        if (!st->is_sorted) st->schema = table_source_schema(arena, st->schema);
        st->table_number = table->number;
        st->tablet_count = table->tablet_count;
        st->tablet_numbers = ARENA_NEW(arena, uint32_t, table->tablet_count);
        for (uint32_t j = 0; j < table->tablet_count; j++) {
            st->tablet_numbers[j] = table->tablets[j].number;
        }
        schemas[i] = st->schema;
    }
    struct query_bind_options options = {
        .range_count_max = request->range_expansion_limit,
        .forbids_full_scan = request->forbid_full_scan,
        .forbids_unindexed_join = !request->allow_join_without_index,
    };
    return query_bind(arena, plan->query, schemas, plan->path_count, &options, &plan->plan);
}

bool select_is_light(const struct request *request)
{
    const struct select_plan *plan = request->select;
    if (query_plan_is_slow(plan->plan)) return false;
    size_t range_count;
    const struct row_range *ranges = query_plan_ranges(plan->plan, &range_count);
    if (plan->path_count != 1 || !plan->tables[0].is_sorted) return false;
    if (range_count > LIGHT_KEY_COUNT_MAX || request->query.size > LIGHT_QUERY_SIZE_MAX)
        return false;
    for (size_t i = 0; i < range_count; i++) {
        if (!table_source_is_point(&plan->tables[0], &ranges[i])) return false;
    }
    return true;
}

struct node *select_explain(const struct request *request, struct arena *arena)
{
    struct node *map = node_map(arena);
    node_set_text(arena, map, "query", query_plan_explain(request->select->plan, arena));
    return map;
}

static struct error *run_steps(
    struct request *request,
    struct query_execution *execution,
    uint64_t (*now_us)(void),
    bool *ret_is_done)
{
    *ret_is_done = false;
    while (!*ret_is_done) {
        if (now_us && now_us() >= request->deadline_us) {
            return error_new(ERROR_TIMEOUT, "Query did not finish within its time limit");
        }
        TRY(query_step(execution, STEP_ROW_COUNT, ret_is_done));
        bool is_part = request->part_size_min > 0 && request->output.size >= request->part_size_min;
        if (is_part) return NULL;
    }
    return NULL;
}

// As YTsaurus names them. There is one level: a query runs in one place.
static struct node *explain_statistics(
    struct arena *arena, const struct query_statistics *statistics, uint64_t spent_us)
{
    struct node *map = node_map(arena);
    const struct {
        const char *name;
        uint64_t number;
    } numbers[] = {
        {"rows_read", statistics->rows_read},
        {"data_weight_read", statistics->data_weight_read},
        {"rows_written", statistics->rows_written},
        {"memory_usage", statistics->memory_size},
        {"execute_time", spent_us},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        node_set_text(arena, map, numbers[i].name, node_uint64(arena, numbers[i].number));
    }
    struct node *incomplete_input = node_boolean(arena, statistics->is_input_incomplete);
    struct node *incomplete_output = node_boolean(arena, statistics->is_output_incomplete);
    node_set_text(arena, map, "incomplete_input", incomplete_input);
    node_set_text(arena, map, "incomplete_output", incomplete_output);
    node_set_text(arena, map, "inner_statistics", node_list(arena));
    return map;
}

struct select_run {
    struct block_sink sink;
    struct query_execution *execution;
    uint64_t start_us;
};

static struct select_run *begin_run(
    struct request *request,
    struct store *store,
    const struct store_snapshot *snapshot,
    uint64_t (*now_us)(void))
{
    const struct select_plan *plan = request->select;
    struct arena *arena = &request->arena;
    struct table_source *sources = ARENA_NEW(arena, struct table_source, plan->path_count);
    struct row_source **bases = ARENA_NEW(arena, struct row_source *, plan->path_count);
    for (size_t i = 0; i < plan->path_count; i++) {
        uint64_t timestamp = MIN(request->timestamp, TIMESTAMP_MAX);
        table_source_init(&sources[i], &plan->tables[i], store, snapshot, timestamp);
        bases[i] = &sources[i].base;
    }
    bool has_input_limit = request->input_row_limit != 0;
    bool has_output_limit = request->output_row_limit != 0;
    bool has_memory_limit = request->memory_limit != 0;
    struct query_limits limits = {
        .input_row_count_max = has_input_limit ? request->input_row_limit : READ_INPUT_ROW_LIMIT,
        .output_row_count_max =
            has_output_limit ? request->output_row_limit : READ_OUTPUT_ROW_LIMIT,
        .memory_size_max = has_memory_limit ? MIN(request->memory_limit, READ_MEMORY_SIZE_MAX)
                                            : READ_MEMORY_SIZE_MAX,
        .fail_on_limit = !request->allow_incomplete_result,
    };
    struct select_run *run = ARENA_NEW(arena, struct select_run, 1);
    buffer_init(&request->output, READ_OUTPUT_SIZE_MAX);
    run->start_us = now_us ? now_us() : 0;
    run->sink = (struct block_sink){
        .base = {.write = write_row},
        .request = request,
        .output = query_plan_output(plan->plan),
    };
    run->execution =
        query_execution_new(plan->plan, bases, plan->path_count, &limits, &run->sink.base);
    return run;
}

void select_release(struct request *request)
{
    struct select_run *run = TAKE(request->select->run);
    if (!run) return;
    query_execution_free(run->execution);
    buffer_release(&run->sink.rows);
}

struct error *select_run(
    struct request *request,
    struct store *store,
    const struct store_snapshot *snapshot,
    uint64_t (*now_us)(void),
    bool *ret_is_partial)
{
    struct select_plan *plan = request->select;
    bool is_done = false;
    if (!plan->run) plan->run = begin_run(request, store, snapshot, now_us);
    struct select_run *run = plan->run;
    buffer_clear(&request->output);
    arr_clear(request->block_ends);
    request->output_kind = OUTPUT_ROWSET;
    struct error *error = run_steps(request, run->execution, now_us, &is_done);
    *ret_is_partial = !error && !is_done;
    if (*ret_is_partial) return NULL;
    if (!error) error = finish_block(&run->sink); // At least one, so that names are known.
    if (request->enable_statistics) {
        struct query_statistics statistics = query_execution_statistics(run->execution);
        uint64_t spent_us = now_us ? now_us() - run->start_us : 0;
        request->response_parameters = explain_statistics(&request->arena, &statistics, spent_us);
    }
    select_release(request);
    return error;
}
