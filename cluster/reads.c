#include "cluster/reads.h"

#include "base/hash.h"
#include "cluster/core/layout.h"
#include "cluster/core/versions.h"
#include "cluster/core/writes.h"
#include "model/key.h"
#include "model/rowset.h"

#include <assert.h>

static const uint64_t STEP_ROW_COUNT = 4096;

// -------------------------------------------------------------------------------------------------
// Lookup

static struct error *plan_columns(
    const struct request *request,
    const struct schema *schema,
    struct lookup_plan *plan,
    struct arena *arena)
{
    plan->columns = ARENA_NEW(arena, uint16_t, MAX(request->column_count, schema->column_count));
    if (request->column_count == 0) {
        for (uint16_t i = 0; i < schema->column_count; i++) plan->columns[i] = i;
        plan->column_count = schema->column_count;
        return NULL;
    }
    if (request->column_count > SCHEMA_COLUMN_COUNT_MAX) {
        return error_new(ERROR_GENERIC, "Too many columns are asked for");
    }
    for (uint32_t i = 0; i < request->column_count; i++) {
        uint16_t column = schema_find(schema, request->columns[i]);
        if (column == SCHEMA_NO_COLUMN) {
            return error_new(
                ERROR_COLUMN_NOT_FOUND, "No such column \"%.*s\"", SLICE(request->columns[i]));
        }
        plan->columns[plan->column_count++] = column;
    }
    return NULL;
}

static struct error *plan_key(
    const struct schema *schema,
    const uint16_t *columns,
    const struct slice *names,
    const struct row *row,
    struct buffer *key)
{
    struct value values[SCHEMA_KEY_COLUMN_COUNT_MAX];
    for (uint16_t i = 0; i < schema->key_column_count; i++) values[i] = value_null(i);
    for (uint32_t i = 0; i < row->value_count; i++) {
        uint16_t column = columns[row->values[i].column];
        struct slice name = names[row->values[i].column];
        if (column == SCHEMA_NO_COLUMN) {
            return error_new(ERROR_GENERIC, "Unexpected column \"%.*s\"", SLICE(name));
        }
        if (column >= schema->key_column_count) {
            return error_new(ERROR_GENERIC, "Non-key column %.*s in a key", SLICE(name));
        }
        struct value value = row->values[i];
        value.column = column;
        enum value_type wanted = column_value_type(schema->columns[column].type);
        schema_convert_value(&schema->columns[column], &value);
        if (value.type == VALUE_INT64 && wanted == VALUE_DOUBLE) {
            value = value_double(column, (double)value.int64);
        }
        TRY(schema_check_value(&schema->columns[column], &value));
        values[column] = value;
    }
    buffer_clear(key);
    key_encode(values, schema->key_column_count, key);
    return NULL;
}

struct error *lookup_plan(struct request *request, struct table *table)
{
    struct arena *arena = &request->arena;
    if (!table_is_sorted(table)) {
        return error_new(
            ERROR_TABLE_MUST_BE_SORTED, "Table %.*s is not sorted", SLICE(request->path));
    }
    struct lookup_plan *plan = ARENA_NEW(arena, struct lookup_plan, 1);
    plan->schema = schema_copy(arena, table->schema);
    plan->table_number = table->number;
    plan->tablet_index = UINT32_MAX;
    TRY(plan_columns(request, plan->schema, plan, arena));

    struct rowset_reader reader;
    TRY(rowset_read_begin(&reader, arena, request->rows));
    uint16_t *columns = ARENA_NEW(arena, uint16_t, reader.name_count);
    writes_map_names(plan->schema, reader.names, reader.name_count, columns);
    plan->key_count = reader.row_count;
    plan->keys = ARENA_NEW(arena, struct slice, plan->key_count);
    plan->hashes = ARENA_NEW(arena, uint64_t, plan->key_count);
    struct value values[ROWSET_VALUE_COUNT_MAX];
    CLEANUP(buffer_releasep) struct buffer key = {0};
    for (uint32_t i = 0; i < plan->key_count; i++) {
        struct row row;
        TRY(rowset_read_row(&reader, values, &row));
        TRY(plan_key(plan->schema, columns, reader.names, &row, &key));
        plan->keys[i] = arena_copy(arena, buffer_slice(&key));
        plan->hashes[i] = row_hash(table, plan->keys[i]);
        uint32_t index = table_tablet_of_key(table, plan->keys[i])->index;
        if (i == 0) plan->tablet_index = index;
        if (plan->tablet_index != index) plan->tablet_index = UINT32_MAX;
    }
    request->lookup = plan;
    return NULL;
}

struct error *lookup_run(struct request *request, struct store_iterator *iterator)
{
    const struct lookup_plan *plan = request->lookup;
    struct arena rows_arena CLEANUP(arena_releasep) = {0};
    struct rowset rowset = {.name_count = plan->column_count};
    rowset.names = ARENA_NEW(&request->arena, struct slice, plan->column_count);
    for (uint16_t i = 0; i < plan->column_count; i++) {
        rowset.names[i] = plan->schema->columns[plan->columns[i]].name;
    }
    rowset.rows = ARENA_NEW(&rows_arena, struct row, plan->key_count);

    struct value *values = ARENA_NEW(&request->arena, struct value, plan->schema->column_count);
    CLEANUP(buffer_releasep) struct buffer key = {0};
    uint64_t timestamp = MIN(request->timestamp, TIMESTAMP_MAX);
    for (uint32_t i = 0; i < plan->key_count; i++) {
        buffer_clear(&key);
        version_begin_key(plan->table_number, &key);
        buffer_append_slice(&key, plan->keys[i]);
        bool is_found = false;
        TRY(version_read(
            iterator, &rows_arena, plan->schema, buffer_slice(&key), timestamp, values, &is_found));
        struct row *row = &rowset.rows[rowset.row_count];
        if (!is_found) {
            if (!request->keep_missing_rows) continue;
            row->kind = ROW_MISSING;
        } else {
            row->kind = ROW_WRITE;
            row->values = ARENA_NEW(&rows_arena, struct value, plan->column_count);
            for (uint16_t j = 0; j < plan->column_count; j++) {
                row->values[j] = values[plan->columns[j]];
                row->values[j].column = j;
            }
            row->value_count = plan->column_count;
        }
        rowset.row_count++;
        if (rows_arena.size > READ_OUTPUT_SIZE_MAX) {
            struct error *error = error_new(ERROR_GENERIC, "Result of a lookup is too large");
            return error_set_u64(error, "size_max", READ_OUTPUT_SIZE_MAX);
        }
    }
    buffer_init(&request->output, READ_OUTPUT_SIZE_MAX);
    rowset_encode(&rowset, &request->output);
    request->output_kind = OUTPUT_ROWSET;
    return buffer_check(&request->output, "Result of a lookup");
}

// -------------------------------------------------------------------------------------------------
// Select: tables as sources of rows

struct table_source {
    struct row_source base;
    const struct select_table *table;
    struct store *store;
    const struct store_snapshot *snapshot;
    uint64_t timestamp;
};

struct table_scan {
    struct row_scan base;
    const struct table_source *source;
    const struct row_range *ranges;
    size_t range_count;
    size_t range; // Being read.
    bool is_range_open;
    struct version_scan versions;
    struct store_iterator *ordered; // Of one tablet.
    uint32_t tablet;
    struct arena arena;
    struct value *values;
};

static void close_scan(struct row_scan *base)
{
    struct table_scan *scan = (struct table_scan *)base;
    if (scan->is_range_open) version_scan_release(&scan->versions);
    store_iterator_free(scan->ordered);
    arena_release(&scan->arena);
    free(scan->values);
    free(scan);
}

static struct error *next_sorted(struct row_scan *base, const struct value **ret_row)
{
    struct table_scan *scan = (struct table_scan *)base;
    const struct table_source *source = scan->source;
    arena_reset(&scan->arena); // What the last row had is not needed any more.
    *ret_row = NULL;
    while (scan->range < scan->range_count) {
        if (!scan->is_range_open) {
            const struct row_range *range = &scan->ranges[scan->range];
            version_scan_init(
                &scan->versions,
                source->store,
                source->snapshot,
                source->table->schema,
                source->table->table_number,
                range->begin,
                range->end,
                source->timestamp,
                &scan->arena);
            scan->is_range_open = true;
        }
        bool is_found = false;
        TRY(version_scan_next(&scan->versions, scan->values, &is_found));
        if (is_found) {
            *ret_row = scan->values;
            return NULL;
        }
        version_scan_release(&scan->versions);
        scan->is_range_open = false;
        scan->range++;
    }
    return NULL;
}

// The schema that the query sees begins with $tablet_index and $row_index; stored rows know the
// columns behind these two by the same ids.
static struct error *next_ordered(struct row_scan *base, const struct value **ret_row)
{
    struct table_scan *scan = (struct table_scan *)base;
    const struct table_source *source = scan->source;
    const struct select_table *table = source->table;
    *ret_row = NULL;
    arena_reset(&scan->arena);
    while (scan->tablet < table->tablet_count) {
        uint32_t number = table->tablet_numbers[scan->tablet];
        if (!scan->ordered) {
            struct layout_key begin = layout_prefix(layout_ordered_row(number, 0), 4);
            struct layout_key end = layout_after(begin);
            scan->ordered = store_iterator_new(
                source->store,
                source->snapshot,
                STORE_DATA,
                layout_slice(&begin),
                layout_slice(&end));
            store_iterator_seek(scan->ordered, layout_slice(&begin));
        }
        while (store_iterator_is_valid(scan->ordered)) {
            uint64_t timestamp = 0;
            struct reader key = reader_from(store_iterator_key(scan->ordered));
            get_raw(&key, 4);
            uint64_t row_index = get_big64(&key);
            TRY(reader_finish(&key, "Key of an ordered row"));
            struct slice stored = store_iterator_value(scan->ordered);
            TRY(ordered_decode(&scan->arena, table->schema, stored, &timestamp, scan->values));
            store_iterator_next(scan->ordered);
            if (timestamp > source->timestamp) continue;
            scan->values[0] = value_int64(0, scan->tablet);
            scan->values[1] = value_int64(1, (int64_t)row_index);
            *ret_row = scan->values;
            return NULL;
        }
        TRY(store_iterator_error(scan->ordered));
        store_iterator_free(TAKE(scan->ordered));
        scan->tablet++;
    }
    return NULL;
}

static const struct row_scan_methods SORTED_SCAN = {.next = next_sorted, .close = close_scan};
static const struct row_scan_methods ORDERED_SCAN = {.next = next_ordered, .close = close_scan};

static struct error *open_scan(
    struct row_source *base,
    const struct row_range *ranges,
    size_t range_count,
    const bool *columns,
    struct row_scan **ret_scan)
{
    (void)columns;
    struct table_source *source = (struct table_source *)base;
    struct table_scan *scan = must_alloc(calloc(1, sizeof *scan));
    scan->base.methods = source->table->is_sorted ? &SORTED_SCAN : &ORDERED_SCAN;
    scan->source = source;
    scan->ranges = ranges;
    scan->range_count = range_count;
    scan->values = must_alloc(calloc(source->table->schema->column_count, sizeof *scan->values));
    if (range_count == 0) scan->tablet = source->table->tablet_count;
    *ret_scan = &scan->base;
    return NULL;
}

static const struct row_source_methods TABLE_SOURCE = {.open = open_scan};

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
    TRY(query_parse(&request->arena, request->query, NULL, &plan->query));
    plan->paths = query_tables(plan->query, &plan->path_count);
    if (request->table_path_count != 0 && request->table_path_count != plan->path_count) {
        return error_new(ERROR_GENERIC, "Query has another number of tables than paths were given");
    }
    request->select = plan;
    return NULL;
}

static struct schema *ordered_schema(struct arena *arena, const struct schema *schema)
{
    struct schema *wide = ARENA_NEW(arena, struct schema, 1);
    *wide = *schema;
    wide->column_count = (uint16_t)(schema->column_count + 2);
    wide->key_column_count = 2;
    wide->columns = ARENA_NEW(arena, struct column, wide->column_count);
    static const char *const NAMES[] = {"$tablet_index", "$row_index"};
    for (uint16_t i = 0; i < 2; i++) {
        wide->columns[i] = (struct column){
            .name = slice_from_text(NAMES[i]),
            .type = COLUMN_INT64,
            .is_key = true,
            .id = (uint16_t)(UINT16_MAX - 1 - i),
        };
    }
    memcpy(&wide->columns[2], schema->columns, schema->column_count * sizeof *schema->columns);
    return wide;
}

struct error *select_bind(struct request *request, struct table *const *tables)
{
    struct arena *arena = &request->arena;
    struct select_plan *plan = request->select;
    plan->tables = ARENA_NEW(arena, struct select_table, plan->path_count);
    const struct schema **schemas = ARENA_NEW(arena, const struct schema *, plan->path_count);
    for (size_t i = 0; i < plan->path_count; i++) {
        const struct table *table = tables[i];
        struct select_table *st = &plan->tables[i];
        st->path = plan->paths[i];
        st->is_sorted = table_is_sorted(table);
        st->schema = schema_copy(arena, table->schema);
        if (!st->is_sorted) st->schema = ordered_schema(arena, st->schema);
        st->table_number = table->number;
        st->tablet_count = table->tablet_count;
        st->tablet_numbers = ARENA_NEW(arena, uint32_t, table->tablet_count);
        for (uint32_t j = 0; j < table->tablet_count; j++) {
            st->tablet_numbers[j] = table->tablets[j].number;
        }
        schemas[i] = st->schema;
    }
    return query_bind(arena, plan->query, schemas, plan->path_count, &plan->plan);
}

static struct error *run_steps(
    struct request *request, struct query_execution *execution, uint64_t (*now_us)(void))
{
    bool is_done = false;
    while (!is_done) {
        if (now_us && now_us() >= request->deadline_us) {
            return error_new(ERROR_TIMEOUT, "Query did not finish within its time limit");
        }
        TRY(query_step(execution, STEP_ROW_COUNT, &is_done));
    }
    return NULL;
}

struct error *select_run(
    struct request *request,
    struct store *store,
    const struct store_snapshot *snapshot,
    uint64_t (*now_us)(void))
{
    struct select_plan *plan = request->select;
    struct arena *arena = &request->arena;
    struct table_source *sources = ARENA_NEW(arena, struct table_source, plan->path_count);
    struct row_source **bases = ARENA_NEW(arena, struct row_source *, plan->path_count);
    for (size_t i = 0; i < plan->path_count; i++) {
        sources[i] = (struct table_source){
            .base = {.methods = &TABLE_SOURCE},
            .table = &plan->tables[i],
            .store = store,
            .snapshot = snapshot,
            .timestamp = MIN(request->timestamp, TIMESTAMP_MAX),
        };
        bases[i] = &sources[i].base;
    }
    bool has_input_limit = request->input_row_limit != 0;
    bool has_output_limit = request->output_row_limit != 0;
    struct query_limits limits = {
        .input_row_count_max = has_input_limit ? request->input_row_limit : READ_INPUT_ROW_LIMIT,
        .output_row_count_max =
            has_output_limit ? request->output_row_limit : READ_OUTPUT_ROW_LIMIT,
        .memory_size_max = READ_MEMORY_SIZE_MAX,
        .fail_on_limit = !request->allow_incomplete_result,
    };
    buffer_init(&request->output, READ_OUTPUT_SIZE_MAX);
    struct block_sink sink = {
        .base = {.write = write_row},
        .request = request,
        .output = query_plan_output(plan->plan),
    };
    struct query_execution *execution =
        query_execution_new(plan->plan, bases, plan->path_count, &limits, &sink.base);
    struct error *error = run_steps(request, execution, now_us);
    if (!error) error = finish_block(&sink); // At least one, so that names are known.
    query_execution_free(execution);
    buffer_release(&sink.rows);
    request->output_kind = OUTPUT_ROWSET;
    return error;
}
