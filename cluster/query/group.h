// GROUP BY: groups in the order of their first rows, and the states of their aggregates.
#pragma once

#include "cluster/query/evaluate.h"
#include "cluster/query/key_table.h"
#include "cluster/query/plan.h"

struct aggregate_state;

struct group {
    const struct query_plan *plan;
    struct key_table table;
    const struct value **keys;      // Of the row at hand.
    struct aggregate_state *totals; // Of all groups that were added to them.
    uint64_t totals_group_count;
};

void group_init(struct group *group, const struct query_plan *plan);
void group_release(struct group *group);

// Adds a source row to its group. `*ret_has_group` is false, and nothing is added, if the row
// begins a new group and there are already `group_count_max`. Fails as the evaluator does, and for
// a group of nulls in a query with totals, whose row it would be taken for.
MUST_USE struct error *group_add(
    struct group *group,
    struct evaluator *evaluator,
    const struct value *row,
    uint64_t group_count_max,
    bool *ret_has_group);

// Writes the group row of group `i`: keys, then the results of the aggregates.
void group_row(const struct group *group, uint32_t i, struct value *ret_row);

// Adds group `i` to the totals. Fails if a list becomes too long.
MUST_USE struct error *group_add_to_totals(struct group *group, uint32_t i);

// Writes the group row of the totals, whose keys are null. False if no group was added to them.
MUST_USE bool group_totals_row(const struct group *group, struct value *ret_row);
