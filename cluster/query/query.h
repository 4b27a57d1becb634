// select_rows: a typed query engine over sorted rows, after the query language of YTsaurus.
//
// A query is parsed (syntax only: which tables does it need?), bound to the schemas of these tables
// (names, types, constants, key ranges), and executed in steps, so that whoever drives it can look
// at the clock or cancel in between. The engine does no I/O: rows come from a row_source and go to
// a sink. Text, plan and execution each belong to one thread at a time; a plan is never changed
// once it is made.
//
// The language is described in docs/query.md: what is offered, what differs from YTsaurus, and how
// the engine works. What is not offered is refused by name.
//
// Source: YTsaurus docs "Query language".
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "cluster/query/row_source.h"
#include "model/node.h"
#include "model/schema.h"
#include "model/value.h"

#define QUERY_TEXT_SIZE_MAX    (UINT64_C(1) << 20)
#define QUERY_TABLE_COUNT_MAX  8      // Subqueries' tables among them.
#define QUERY_NESTING_MAX      4      // Of subqueries.
#define QUERY_COLUMN_COUNT_MAX 1024   // Of the output; of group by and order by together with it.
#define QUERY_DEPTH_MAX        200    // Of nested expressions, aliases expanded.
#define QUERY_NODE_COUNT_MAX   200000 // Of all expressions, aliases expanded.
#define QUERY_RANGE_COUNT_MAX  100000 // More are not derived; wider ranges are then read.

// Whether there is a row for all groups together: of those that pass `having`, or of all.
enum totals_mode { TOTALS_NONE, TOTALS_BEFORE_HAVING, TOTALS_AFTER_HAVING };

struct query;
struct query_plan;
struct query_execution;

// Parses a query; the text is copied. `placeholders` is a map of values for each {name} in the
// query, scalars or lists of them; NULL if there are none. Errors have code 1 and attribute
// `offset` (in bytes, of the text with its placeholders filled in), or
// ERROR_QUERY_EXPRESSION_DEPTH_LIMIT_EXCEEDED. Everything lives in `arena`.
MUST_USE struct error *query_parse(
    struct arena *arena,
    struct slice text,
    const struct node *placeholders,
    struct query **ret_query);

// The query's text with its placeholders filled in. Borrowed from the query.
struct slice query_text(const struct query *query);

// The paths of the tables, as written in the query: first that of `from`, or if it has a subquery
// those of that, then those of `join`s.
// The same path may occur more than once. Borrowed from the query.
const struct slice *query_tables(const struct query *query, size_t *ret_count);

// Whether the query says of this table of query_tables, by `with hint
// "{require_sync_replica=%false}"`, that the freshest replica will do if none is in sync.
bool query_table_may_be_stale(const struct query *query, size_t index);

// What a plan may not be. Zeroes stand for the defaults.
struct query_bind_options {
    uint64_t range_count_max; // Beyond it, key ranges are widened; at most QUERY_RANGE_COUNT_MAX.
    bool forbids_full_scan;   // Of the first table.
    bool forbids_unindexed_join; // One that cannot look rows up by the joined table's key.
};

// Resolves names and types. `schemas` has one schema for each path of query_tables, in their order;
// an ordered table is given a schema that begins with key columns $tablet_index and $row_index.
// Query and schemas must outlive the plan, which lives in `arena`. Errors have code 1, or
// ERROR_QUERY_EXPRESSION_DEPTH_LIMIT_EXCEEDED.
MUST_USE struct error *query_bind(
    struct arena *arena,
    const struct query *query,
    const struct schema *const *schemas,
    size_t schema_count,
    const struct query_bind_options *options,
    struct query_plan **ret_plan);

// What comes out: names, and types (VALUE_NULL for what is always null), in the order of values.
struct query_output {
    const struct slice *names;
    const enum value_type *types;
    uint16_t count;
};

struct query_output query_plan_output(const struct query_plan *plan);

// The plan for people: a map with where_expression, ranges, columns read, joins, group by and so
// on.
MUST_USE struct node *query_plan_explain(const struct query_plan *plan, struct arena *arena);

// The key ranges that will be read of the table `from`, derived from `where`.
const struct row_range *query_plan_ranges(const struct query_plan *plan, size_t *ret_count);

// Whether a single row may take a second, so that even few rows are no matter of a moment.
bool query_plan_is_slow(const struct query_plan *plan);

// 0 stands for no limit.
struct query_limits {
    uint64_t input_row_count_max;  // Rows read, of all tables.
    uint64_t output_row_count_max; // Rows written; also groups.
    uint64_t memory_size_max;      // Of groups, rows being sorted, and joined rows; in bytes.
    // Whether more rows than that are an error, 1709 or 1710. Otherwise reading or writing stops
    // there and the statistics say so. Memory is always an error, of code 1.
    bool fail_on_limit;
};

// Takes the rows of the result. `write` gets them one by one: values in the order of the output's
// names, their `column` being that position; all borrowed until it returns.
struct query_sink {
    struct error *(*write)(struct query_sink *sink, const struct row *row);
};

struct query_statistics {
    uint64_t rows_read;
    uint64_t rows_written;
    uint64_t data_weight_read; // Of the wanted columns.
    uint64_t memory_size;      // Now held.
    bool is_input_incomplete;  // input_row_count_max was reached.
    bool is_output_incomplete; // output_row_count_max was reached.
};

// Prepares an execution: nothing is read yet. `sources` are in the order of query_tables; they, the
// sink and the plan must outlive the execution.
MUST_USE struct query_execution *query_execution_new(
    const struct query_plan *plan,
    struct row_source *const *sources,
    size_t source_count,
    const struct query_limits *limits,
    struct query_sink *sink);

// NULL is allowed, and so is the middle of an execution.
void query_execution_free(struct query_execution *execution);

// Reads and writes about `row_budget` rows, fewer if the plan is slow. `*ret_done` tells whether
// that was all. After an error, of the engine, the source or the sink, nothing but freeing is left
// to do.
MUST_USE struct error *query_step(
    struct query_execution *execution, uint64_t row_budget, bool *ret_done);

struct query_statistics query_execution_statistics(const struct query_execution *execution);

static inline void query_execution_freep(struct query_execution **execution)
{
    query_execution_free(*execution);
}
