#include "tests/unit/query/world.h"

#include "base/containers.h"
#include "model/key.h"
#include "model/yson.h"
#include "tests/test.h"

#include <inttypes.h>

struct world_scan {
    struct row_scan scan;
    struct world_table *table;
    const struct row_range *ranges;
    size_t range_count;
    size_t row_index;
    size_t range_index;
    struct value *row; // With rubbish where it is not wanted.
    struct arena arena;
};

static bool is_at_or_after(struct slice key, struct slice bound)
{
    return slice_compare(key, bound) >= 0;
}

static struct error *scan_next(struct row_scan *scan, const struct value **ret_row)
{
    struct world_scan *self = (struct world_scan *)scan;
    struct world_table *table = self->table;
    *ret_row = NULL;
    while (self->range_index < self->range_count && self->row_index < arr_count(table->rows)) {
        const struct row_range *range = &self->ranges[self->range_index];
        struct slice key = table->keys[self->row_index];
        if (!is_at_or_after(key, range->begin)) {
            self->row_index++;
            continue;
        }
        if (range->end.size > 0 && is_at_or_after(key, range->end)) {
            self->range_index++;
            continue;
        }
        const struct value *row = table->rows[self->row_index++];
        for (uint16_t i = 0; i < table->schema->column_count; i++) {
            if (table->columns[i]) self->row[i] = row[i];
        }
        if (table->fail_after > 0 && table->rows_read == table->fail_after) {
            return error_new(ERROR_GENERIC, "Disk is broken");
        }
        table->rows_read++;
        *ret_row = self->row;
        return NULL;
    }
    return NULL;
}

static void scan_close(struct row_scan *scan)
{
    struct world_scan *self = (struct world_scan *)scan;
    arena_release(&self->arena);
    free(self);
}

static const struct row_scan_methods scan_methods = {scan_next, scan_close};

static struct error *source_open(
    struct row_source *source,
    const struct row_range *ranges,
    size_t range_count,
    const bool *columns,
    struct row_scan **ret_scan)
{
    struct world_table *table = (struct world_table *)source;
    struct world_scan *scan = must_alloc(calloc(1, sizeof *scan));
    scan->scan.methods = &scan_methods;
    scan->table = table;
    scan->range_count = range_count;
    scan->ranges = ranges;                     // To be there until the scan is closed.
    for (size_t i = 1; i < range_count; i++) { // As it is promised.
        cr_assert(ranges[i - 1].end.size > 0);
        cr_assert(slice_compare(ranges[i - 1].end, ranges[i].begin) <= 0);
    }
    scan->row = ARENA_NEW(&scan->arena, struct value, table->schema->column_count);
    memset(scan->row, 0xee, table->schema->column_count * sizeof *scan->row);
    memcpy(table->columns, columns, table->schema->column_count);
    table->range_count = range_count;
    *ret_scan = &scan->scan;
    return NULL;
}

static const struct row_source_methods source_methods = {source_open};

void world_init(struct world *world)
{
    *world = (struct world){.row_budget = 1000};
}

void world_release(struct world *world)
{
    for (uint32_t i = 0; i < world->table_count; i++) {
        struct world_table *table = &world->tables[i];
        for (size_t k = 0; k < arr_count(table->keys); k++) free((char *)table->keys[k].data);
        arr_free(table->rows);
        arr_free(table->keys);
    }
    arena_release(&world->arena);
}

void world_table_add(struct world *world, struct world_table *table, const struct value *values)
{
    uint16_t count = table->schema->column_count;
    struct value *row = ARENA_NEW(&world->arena, struct value, count);
    for (uint16_t i = 0; i < count; i++) {
        row[i] = values[i];
        if (row[i].type == VALUE_STRING || row[i].type == VALUE_ANY) {
            row[i].data = arena_copy(&world->arena, value_slice(&values[i])).data;
        }
    }
    arr_add(table->rows, row);
}

static int order_rows(const void *a, const void *b, void *context)
{
    const struct value *x = *(struct value *const *)a;
    const struct value *y = *(struct value *const *)b;
    const struct world_table *table = context;
    for (uint16_t i = 0; i < table->schema->key_column_count; i++) {
        int order = value_compare(&x[i], &y[i]);
        if (order != 0) return order;
    }
    return 0;
}

void world_table_sort(struct world_table *table)
{
    size_t count = arr_count(table->rows);
    if (count > 0) qsort_r(table->rows, count, sizeof *table->rows, order_rows, table);
    for (size_t i = 0; i < arr_count(table->keys); i++) free((char *)table->keys[i].data);
    arr_clear(table->keys);
    for (size_t i = 0; i < count; i++) {
        struct buffer key = {0};
        key_encode(table->rows[i], table->schema->key_column_count, &key);
        arr_add(table->keys, buffer_slice(&key));
    }
}

static struct value node_value(const struct node *node, uint16_t column)
{
    switch (node->type) {
    case NODE_ENTITY: return value_null(column);
    case NODE_STRING: return value_string(column, node->string);
    case NODE_INT64: return value_int64(column, node->int64);
    case NODE_UINT64: return value_uint64(column, node->uint64);
    case NODE_DOUBLE: return value_double(column, node->real);
    case NODE_BOOLEAN: return value_boolean(column, node->boolean);
    case NODE_LIST:
    case NODE_MAP: break;
    }
    return value_null(column);
}

struct world_table *world_add(
    struct world *world, const char *path, const char *schema, const char *rows)
{
    struct world_table *table = &world->tables[world->table_count++];
    struct node *node;
    assert_ok(yson_parse(&world->arena, slice_from_text(schema), &node));
    *table = (struct world_table){.source.methods = &source_methods, .path = path};
    assert_ok(schema_parse(&world->arena, node, &table->schema));
    table->columns = ARENA_NEW(&world->arena, bool, table->schema->column_count);
    struct slice rest = slice_from_text(rows);
    for (;;) {
        assert_ok(yson_parse_item(&world->arena, &rest, &node));
        if (!node) break;
        struct value *values = ARENA_NEW(&world->arena, struct value, table->schema->column_count);
        for (uint16_t i = 0; i < table->schema->column_count; i++) {
            const struct node *item = node_find(node, table->schema->columns[i].name);
            values[i] = value_null(i);
            if (item && table->schema->columns[i].type == COLUMN_ANY) {
                struct buffer yson = {0};
                yson_print(item, YSON_BINARY, &yson);
                values[i] = value_string(i, arena_copy(&world->arena, buffer_slice(&yson)));
                values[i].type = VALUE_ANY;
                buffer_release(&yson);
            } else if (item) {
                values[i] = node_value(item, i);
            }
        }
        world_table_add(world, table, values);
    }
    world_table_sort(table);
    return table;
}

struct world world_of(const char *schema, const char *rows)
{
    struct world world;
    world_init(&world);
    world_add(&world, "//t", schema, rows);
    return world;
}

static struct world_table *find_table(struct world *world, struct slice path)
{
    for (uint32_t i = 0; i < world->table_count; i++) {
        if (slice_equal_text(path, world->tables[i].path)) return &world->tables[i];
    }
    cr_fatal("there is no table %.*s", SLICE(path));
    return NULL;
}

struct error *world_bind(struct world *world, struct slice text, struct query_plan **ret_plan)
{
    struct query *query;
    TRY(query_parse(&world->arena, text, world->placeholders, &query));
    size_t count;
    const struct slice *paths = query_tables(query, &count);
    world->source_count = count;
    for (size_t i = 0; i < count; i++) world->sources[i] = &find_table(world, paths[i])->source;
    const struct schema *schemas[QUERY_TABLE_COUNT_MAX];
    for (size_t i = 0; i < count; i++) schemas[i] = find_table(world, paths[i])->schema;
    return query_bind(&world->arena, query, schemas, count, &world->bind_options, ret_plan);
}

struct text_sink {
    struct query_sink sink;
    struct world *world;
    struct query_output output;
    struct buffer text;
};

static void print_value(struct arena *arena, const struct value *value, struct buffer *text)
{
    struct node *node = NULL;
    switch ((enum value_type)value->type) {
    case VALUE_NULL: buffer_append_byte(text, '#'); return;
    case VALUE_INT64: buffer_print(text, "%" PRId64, value->int64); return;
    case VALUE_UINT64: buffer_print(text, "%" PRIu64 "u", value->uint64); return;
    case VALUE_DOUBLE: buffer_print(text, "%g", value->real); return;
    case VALUE_BOOLEAN: buffer_append_text(text, value->boolean ? "true" : "false"); return;
    case VALUE_STRING: buffer_append_slice(text, value_slice(value)); return;
    case VALUE_ANY:
        assert_ok(yson_parse(arena, value_slice(value), &node));
        yson_print(node, YSON_TEXT, text);
        return;
    }
    cr_fatal("a value of no type");
}

static struct error *write_text(struct query_sink *sink, const struct row *row)
{
    struct text_sink *self = (struct text_sink *)sink;
    struct arena *arena = &self->world->arena;
    cr_assert(eq(u32, row->value_count, self->output.count));
    if (self->text.size > 0) buffer_append_byte(&self->text, ' ');
    for (uint32_t i = 0; i < row->value_count; i++) {
        const struct value *value = &row->values[i];
        cr_assert(eq(u16, value->column, (uint16_t)i));
        cr_assert(
            value->type == VALUE_NULL || value->type == self->output.types[i],
            "a value must be of its column's type");
        if (i > 0) buffer_append_byte(&self->text, ',');
        print_value(arena, value, &self->text);
    }
    return NULL;
}

static struct error *execute(
    struct world *world, const struct query_plan *plan, struct text_sink *sink)
{
    CLEANUP(query_execution_freep)
    struct query_execution *execution =
        query_execution_new(plan, world->sources, world->source_count, &world->limits, &sink->sink);
    bool is_done = false;
    world->step_count = 0;
    while (!is_done) {
        world->step_count++;
        TRY(query_step(execution, world->row_budget, &is_done));
    }
    world->statistics = query_execution_statistics(execution);
    return NULL;
}

struct error *world_select(struct world *world, const char *query, const char **ret_text)
{
    struct query_plan *plan;
    TRY(world_bind(world, slice_from_text(query), &plan));
    struct text_sink sink = {
        .sink.write = write_text,
        .world = world,
        .output = query_plan_output(plan),
    };
    struct error *error = execute(world, plan, &sink);
    *ret_text = arena_copy(&world->arena, buffer_slice(&sink.text)).data;
    buffer_release(&sink.text);
    return error;
}

const char *world_get(struct world *world, const char *query)
{
    const char *text = "";
    assert_ok(world_select(world, query, &text));
    return text;
}

struct error *world_error(struct world *world, const char *query)
{
    const char *text;
    struct error *error = world_select(world, query, &text);
    if (!error) cr_fatal("it should have failed: %s", query);
    return error;
}

const char *world_fail(struct world *world, const char *query)
{
    CLEANUP(error_freep) struct error *error = world_error(world, query);
    return arena_print(&world->arena, "%s", error_message(error));
}

static const char *query_of(struct world *world, const char *expression)
{
    return arena_print(&world->arena, "%s as v from [//t]", expression);
}

const char *world_value(struct world *world, const char *expression)
{
    return world_get(world, query_of(world, expression));
}

const char *world_fail_value(struct world *world, const char *expression)
{
    return world_fail(world, query_of(world, expression));
}

struct query_plan *world_plan(struct world *world, const char *query)
{
    struct query_plan *plan = NULL;
    assert_ok(world_bind(world, slice_from_text(query), &plan));
    return plan;
}
