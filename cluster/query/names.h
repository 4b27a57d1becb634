// Names in a query: which alias or which column of which table is meant.
#pragma once

#include "cluster/query/plan.h"
#include "cluster/query/syntax.h"

struct names_alias {
    const struct syntax *syntax;
    // An alias means a column of its own name inside its own definition: `a / 10 as a`.
    bool is_being_expanded;
};

struct names_column {
    struct slice name;
    uint32_t table;
    uint32_t column;  // Of the table's schema.
    bool is_repeated; // By `using`: without its table, the name means the column before.
};

struct names {
    const struct query *query;
    struct names_alias *aliases; // Sorted by name.
    uint32_t alias_count;
    struct names_column *columns; // Sorted by name, then by table.
    uint32_t column_count;
    bool is_in_using; // A name there means a column of both sides, whatever their aliases.
};

// Fails if an alias is defined twice, or a table has the alias of another one.
MUST_USE struct error *names_init(
    struct names *names,
    struct arena *arena,
    const struct query *query,
    const struct plan_table *tables,
    uint32_t table_count);

// NULL if there is no such alias, or it is just being expanded.
struct names_alias *names_find_alias(const struct names *names, struct slice name);

// Finds the column that a reference means: one of its table, or without a table, one of a table
// that has no alias, and only if there is none such, one of another. NULL if it is not among the
// tables [begin, end); an error if there are several.
MUST_USE struct error *names_find_column(
    const struct names *names,
    const struct syntax *reference,
    uint32_t begin,
    uint32_t end,
    struct names_column **ret_column);
