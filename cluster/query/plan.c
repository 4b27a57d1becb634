#include "cluster/query/plan.h"

#include "model/key.h"

#include <inttypes.h>

enum { SHOWN_RANGE_COUNT_MAX = 100 };

struct query_output query_plan_output(const struct query_plan *plan)
{
    return (struct query_output){plan->names, plan->types, plan->select_count};
}

const struct row_range *query_plan_ranges(const struct query_plan *plan, size_t *ret_count)
{
    *ret_count = plan->range_count;
    return plan->ranges;
}

bool query_plan_is_slow(const struct query_plan *plan)
{
    return plan->is_slow;
}

static struct node *explain_value(struct arena *arena, const struct value *value)
{
    switch ((enum value_type)value->type) {
    case VALUE_NULL: return node_entity(arena);
    case VALUE_INT64: return node_int64(arena, value->int64);
    case VALUE_UINT64: return node_uint64(arena, value->uint64);
    case VALUE_DOUBLE: return node_double(arena, value->real);
    case VALUE_BOOLEAN: return node_boolean(arena, value->boolean);
    case VALUE_STRING:
    case VALUE_ANY: return node_string(arena, value_slice(value));
    }
    return node_entity(arena);
}

static struct node *explain_sentinel(struct arena *arena, const char *type)
{
    struct node *node = node_entity(arena);
    node_set_attribute(arena, node, "type", node_text(arena, type));
    return node;
}

// A bound as a list of values, with <type=max># where what comes after these values is meant; as a
// string of bytes where it ends inside a value.
static struct node *explain_bound(struct arena *arena, struct slice bound, const char *if_empty)
{
    struct node *list = node_list(arena);
    if (bound.size == 0) {
        node_add(arena, list, explain_sentinel(arena, if_empty));
        return list;
    }
    bool is_after = (unsigned char)bound.data[bound.size - 1] == 0xff;
    struct value values[SCHEMA_KEY_COLUMN_COUNT_MAX];
    size_t count = 0;
    struct slice key = slice_from(bound.data, bound.size - (is_after ? 1 : 0));
    struct error *error = key_decode(arena, key, SCHEMA_KEY_COLUMN_COUNT_MAX, values, &count);
    if (error) {
        error_free(error);
        return node_string(arena, bound);
    }
    for (size_t i = 0; i < count; i++) node_add(arena, list, explain_value(arena, &values[i]));
    if (is_after) node_add(arena, list, explain_sentinel(arena, "max"));
    return list;
}

static struct node *explain_ranges(const struct query_plan *plan, struct arena *arena)
{
    struct node *list = node_list(arena);
    for (size_t i = 0; i < MIN(plan->range_count, (size_t)SHOWN_RANGE_COUNT_MAX); i++) {
        struct node *range = node_list(arena);
        node_add(arena, range, explain_bound(arena, plan->ranges[i].begin, "min"));
        node_add(arena, range, explain_bound(arena, plan->ranges[i].end, "max"));
        node_add(arena, list, range);
    }
    return list;
}

static struct node *explain_columns(const struct plan_table *table, struct arena *arena)
{
    struct node *list = node_list(arena);
    for (uint32_t i = 0; i < table->schema->column_count; i++) {
        if (!table->wanted[i]) continue;
        node_add(arena, list, node_string(arena, table->schema->columns[i].name));
    }
    return list;
}

static struct node *explain_joins(const struct query_plan *plan, struct arena *arena)
{
    struct node *list = node_list(arena);
    for (uint32_t i = 1; i < plan->table_count; i++) {
        const struct plan_table *table = &plan->tables[i];
        struct node *join = node_map(arena);
        const char *lookup_type = table->join.array_count > 0        ? "array"
                                  : table->join.key_prefix_count > 0 ? "prefix ranges"
                                                                     : "full scan";
        if (table->path.size > 0) {
            node_set_text(arena, join, "table", node_string(arena, table->path));
        }
        node_set_text(arena, join, "is_left", node_boolean(arena, table->join.is_left));
        node_set_text(arena, join, "lookup_type", node_text(arena, lookup_type));
        node_set_text(
            arena, join, "foreign_key_prefix", node_uint64(arena, table->join.key_prefix_count));
        node_set_text(arena, join, "columns", explain_columns(table, arena));
        node_add(arena, list, join);
    }
    return list;
}

struct node *query_plan_explain(const struct query_plan *plan, struct arena *arena)
{
    struct node *map = node_map(arena);
    if (plan->tables[0].subplan) {
        struct node *subquery = query_plan_explain(plan->tables[0].subplan, arena);
        node_set_text(arena, map, "subquery", subquery);
    } else {
        node_set_text(arena, map, "table", node_string(arena, plan->tables[0].path));
    }
    node_set_text(arena, map, "columns", explain_columns(&plan->tables[0], arena));
    if (plan->where_text.size > 0) {
        node_set_text(arena, map, "where_expression", node_string(arena, plan->where_text));
    }
    node_set_text(arena, map, "range_count", node_uint64(arena, plan->range_count));
    node_set_text(arena, map, "ranges", explain_ranges(plan, arena));
    node_set_text(arena, map, "is_ordered_scan", node_boolean(arena, true));
    node_set_text(arena, map, "joins", explain_joins(plan, arena));
    if (plan->is_grouped) {
        node_set_text(arena, map, "group_key_count", node_uint64(arena, plan->key_count));
        node_set_text(arena, map, "aggregate_count", node_uint64(arena, plan->aggregate_count));
        node_set_text(arena, map, "has_having", node_boolean(arena, plan->having != NULL));
    }
    if (plan->order_count > 0) {
        node_set_text(arena, map, "order_by_count", node_uint64(arena, plan->order_count));
    }
    if (plan->offset > 0) node_set_text(arena, map, "offset", node_uint64(arena, plan->offset));
    if (plan->limit != UINT64_MAX) {
        node_set_text(arena, map, "limit", node_uint64(arena, plan->limit));
    }
    struct node *output = node_list(arena);
    for (uint16_t i = 0; i < plan->select_count; i++) {
        struct node *column = node_map(arena);
        const char *type = plan->types[i] == VALUE_NULL ? "null" : value_type_name(plan->types[i]);
        node_set_text(arena, column, "name", node_string(arena, plan->names[i]));
        node_set_text(arena, column, "type", node_text(arena, type));
        node_add(arena, output, column);
    }
    node_set_text(arena, map, "output", output);
    return map;
}
