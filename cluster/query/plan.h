// What a query becomes when it is bound to schemas: typed expressions, and what to read.
//
// Expressions see rows of two shapes. The source row has the columns of all tables side by side,
// each table from its `column_begin`. The group row, after grouping, has the keys and then the
// aggregates. `having`, `select` and `order` are over the group row if the query groups, otherwise
// over the source row; all the rest is over the source row.
#pragma once

#include "cluster/query/expression.h"
#include "cluster/query/query.h"

enum aggregate_kind {
    AGGREGATE_SUM,
    AGGREGATE_MIN,
    AGGREGATE_MAX,
    AGGREGATE_COUNT, // Without an argument it counts rows, otherwise what is not null.
    AGGREGATE_AVG,
    AGGREGATE_FIRST,       // The first that is not null.
    AGGREGATE_ARGMIN,      // The argument where `by` is least, the first of several such;
    AGGREGATE_ARGMAX,      // where it is greatest. Rows where it is null do not count.
    AGGREGATE_ARRAY,       // A list in YSON of all values.
    AGGREGATE_CARDINALITY, // How many different values there are; see cardinality.h.
};

struct plan_aggregate {
    enum aggregate_kind kind;
    enum value_type type;              // Of the result.
    const struct expression *argument; // NULL for count(*).
    const struct expression *by;       // Of ARGMIN and ARGMAX; otherwise NULL.
    bool takes_null;                   // Of ARRAY.
};

struct plan_order {
    const struct expression *expression;
    bool is_descending;
};

// `left = right`, where `left` is over the tables before and `right` over the joined table alone.
struct plan_equation {
    const struct expression *left;
    const struct expression *right;
};

// How rows of a joined table are found for a row of the tables before it.
struct plan_join {
    bool is_left; // A row without a match goes on, with nulls.
    struct plan_equation *equations;
    uint32_t equation_count;
    // The first `key_prefix_count` equations give the first key columns of the table, in order:
    // rows are looked up. If 0, the whole table is read once.
    uint32_t key_prefix_count;
    const struct expression *predicate; // Over the joined table alone; NULL if there is none.
    // Of an ARRAY JOIN, which has neither path nor equations: lists in YSON, of whose items the
    // rows are made, over the tables before. One for each column of the schema.
    const struct expression **arrays;
    uint32_t array_count;
};

struct plan_table {
    struct slice path;
    struct query_plan *subplan;  // Instead of a path, of the first table; NULL if there is none.
    const struct schema *schema; // Borrowed from the caller.
    uint32_t column_begin;
    bool *wanted;          // For each column of the schema.
    struct plan_join join; // Of all tables but the first.
};

struct query_plan {
    struct plan_table *tables;
    uint32_t table_count;
    uint32_t column_count; // Of the source row.
    uint32_t source_count; // Tables, with those of subqueries.

    struct row_range *ranges; // Of the first table.
    size_t range_count;

    const struct expression *pre_where; // The part of `where` that needs the first table only.
    const struct expression *where;     // NULL if there is none.

    bool is_grouped;
    const struct expression **keys;
    uint32_t key_count;
    struct plan_aggregate *aggregates;
    uint32_t aggregate_count;
    const struct expression *having;
    enum totals_mode totals;

    const struct expression **select;
    struct slice *names;
    enum value_type *types;
    uint16_t select_count;

    struct plan_order *order;
    uint32_t order_count;
    uint64_t offset;
    uint64_t limit; // UINT64_MAX if there is none.

    uint32_t slot_count; // Of all expressions.
    bool is_slow;        // A row may take a second; see functions.h.

    struct slice where_text; // Of the query; empty if there is no `where`.
};
