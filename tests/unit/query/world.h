// A world for tests of the query engine: tables in memory, and a query's result as text.
#pragma once

#include "base/arena.h"
#include "cluster/query/query.h"
#include "model/schema.h"

enum { WORLD_TABLE_COUNT_MAX = 4 };

// A table in memory: a row_source.
struct world_table {
    struct row_source source;
    const char *path;
    struct schema *schema;
    struct value **rows; // Growing array, in the order of keys.
    struct slice *keys;  // Encoded; of the same rows.

    // What the last scan was asked for, and how many rows scans have given out.
    bool *columns;
    size_t range_count;
    uint64_t rows_read;
    uint64_t fail_after; // Rows, after which scans fail; 0 for never.
};

struct world {
    struct arena arena;
    struct world_table tables[WORLD_TABLE_COUNT_MAX];
    uint32_t table_count;
    struct query_bind_options bind_options;
    struct query_limits limits;
    struct row_source *sources[QUERY_TABLE_COUNT_MAX]; // Of the last query that was bound.
    size_t source_count;
    const struct node *placeholders;    // Of the next queries; NULL for none.
    uint64_t row_budget;                // Of a step.
    struct query_statistics statistics; // Of the last query.
    uint64_t step_count;                // It took.
};

void world_init(struct world *world);
void world_release(struct world *world);

// A world with one table, //t.
struct world world_of(const char *schema, const char *rows);

// Adds a table. `schema` is the YSON of a schema, `rows` a list fragment of maps, in any order.
struct world_table *world_add(
    struct world *world, const char *path, const char *schema, const char *rows);

// Adds a row; values in the order of the schema, copied.
void world_table_add(struct world *world, struct world_table *table, const struct value *values);

// Sorts the rows, to be called after world_table_add.
void world_table_sort(struct world_table *table);

// Runs a query. The result is rows, with a space in between, of values with commas in between: null
// is "#", uint64 ends with "u", strings have no quotes.
MUST_USE struct error *world_select(struct world *world, const char *query, const char **ret_text);

// Runs a query that succeeds.
const char *world_get(struct world *world, const char *query);

// Runs a query that fails, and gives the error's message, with inner ones left out.
const char *world_fail(struct world *world, const char *query);

// The value of an expression over the only row of //t, and the error's message if it has none.
const char *world_value(struct world *world, const char *expression);
const char *world_fail_value(struct world *world, const char *expression);

// The plan of a query that can be bound.
struct query_plan *world_plan(struct world *world, const char *query);
MUST_USE struct error *world_bind(
    struct world *world, struct slice query, struct query_plan **ret_plan);

// The error of a query that fails; to be freed.
MUST_USE struct error *world_error(struct world *world, const char *query);
