// GROUP BY: groups in the order of their first rows, and the states of their aggregates.
#pragma once

#include "cluster/query/evaluate.h"
#include "cluster/query/key_table.h"
#include "cluster/query/plan.h"

struct group {
    const struct query_plan *plan;
    struct key_table table;
    const struct value **keys; // Of the row at hand.
};

void group_init(struct group *group, const struct query_plan *plan);
void group_release(struct group *group);

// Adds a source row to its group. Returns false, and adds nothing, if the row begins a new group
// and there are already `group_count_max`. Ask the evaluator for errors afterwards.
bool group_add(
    struct group *group,
    struct evaluator *evaluator,
    const struct value *row,
    uint64_t group_count_max);

// Writes the group row of group `i`: keys, then the results of the aggregates.
void group_row(const struct group *group, uint32_t i, struct value *ret_row);
