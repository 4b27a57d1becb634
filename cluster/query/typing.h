// Gives types to the expressions of a query: syntax in, typed expressions out.
#pragma once

#include "cluster/query/evaluate.h"
#include "cluster/query/names.h"
#include "cluster/query/plan.h"
#include "cluster/query/syntax.h"

struct typer {
    struct arena *arena;
    const struct query *query;
    struct names names;
    const struct plan_table *tables;

    // Tables whose columns can be seen now: [table_begin, table_end).
    uint32_t table_begin;
    uint32_t table_end;
    // Whether aggregate functions are allowed here; if not, why.
    bool allows_aggregates;
    const char *refusal;

    struct plan_aggregate *aggregates; // Those met so far, without repetition.
    uint32_t aggregate_count;
    uint32_t aggregate_capacity;

    bool is_slow; // Some function met so far may take a second.
    uint32_t node_count;
    uint32_t slot_count;
    uint16_t depth;

    struct evaluator folder; // Computes constants.
    uint32_t folder_slot_count;
    uint64_t folded_size;
};

// Resolves, checks and folds one expression. Columns in it are numbered by the source row, and
// aggregates stand by themselves (EXPRESSION_AGGREGATE).
MUST_USE struct error *typer_bind(
    struct typer *typer, const struct syntax *syntax, const struct expression **ret_expression);

// The same for a predicate: boolean, or always null. `clause` is for the message.
MUST_USE struct error *typer_bind_predicate(
    struct typer *typer,
    const struct syntax *syntax,
    const char *clause,
    const struct expression **ret_expression);

// Equates two expressions, bound over different tables: [0, table) and [table, table + 1).
MUST_USE struct error *typer_bind_equation(
    struct typer *typer,
    const struct syntax *left,
    const struct syntax *right,
    uint32_t table,
    struct plan_equation *ret_equation);

// Makes one predicate of several; NULL of none.
const struct expression *typer_conjunction(
    struct typer *typer, const struct expression **items, uint32_t count);

// Rewrites an expression over the source row into one over the group row: what equals a key becomes
// that key. Fails if it needs a column that is neither.
MUST_USE struct error *typer_regroup(
    struct typer *typer,
    const struct syntax *syntax,
    const struct expression *const *keys,
    uint32_t key_count,
    const struct expression *expression,
    const struct expression **ret_expression);
