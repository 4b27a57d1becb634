#include "cluster/query/group.h"

#include <assert.h>

struct state {
    struct value value; // So far; of type 0 as long as there were only nulls.
    union {
        uint64_t count;    // Of AVG.
        uint64_t capacity; // Of MIN, MAX and FIRST: of the bytes that a string has.
    };
};

void group_init(struct group *group, const struct query_plan *plan)
{
    *group = (struct group){
        .plan = plan,
        .keys = must_alloc(calloc(MAX(plan->key_count, 1), sizeof(struct value *))),
    };
    key_table_init(&group->table, plan->key_count, plan->aggregate_count * sizeof(struct state));
}

void group_release(struct group *group)
{
    key_table_release(&group->table);
    free(group->keys);
    *group = (struct group){0};
}

static void sum(struct state *state, const struct value *value)
{
    if (state->value.type == 0) {
        state->value = *value;
    } else if (value->type == VALUE_DOUBLE) {
        state->value.real += value->real;
    } else {
        state->value.uint64 += value->uint64; // Wraps around, for int64 as well.
    }
}

static double as_double(const struct value *value)
{
    if (value->type == VALUE_INT64) return (double)value->int64;
    if (value->type == VALUE_UINT64) return (double)value->uint64;
    assert(value->type == VALUE_DOUBLE);
    return value->real;
}

// Room for bytes at least doubles, so that a string that is replaced again and again leaves little
// behind in the arena.
static void keep(struct group *group, struct state *state, const struct value *value)
{
    if (value->type != VALUE_STRING && value->type != VALUE_ANY) {
        state->value = *value;
        return;
    }
    char *bytes = (char *)state->value.data;
    if (state->value.type == 0 || state->capacity < value->size) {
        state->capacity = MAX(2 * state->capacity, value->size);
        bytes = arena_alloc(&group->table.arena, state->capacity);
    }
    if (value->size > 0) memcpy(bytes, value->data, value->size);
    state->value = *value;
    state->value.data = bytes;
}

static void update(
    struct group *group, enum aggregate_kind kind, struct state *state, const struct value *value)
{
    bool is_first = state->value.type == 0; // Zeroed: nothing yet.
    switch (kind) {
    case AGGREGATE_SUM: sum(state, value); break;
    case AGGREGATE_MIN:
        if (is_first || value_compare(value, &state->value) < 0) keep(group, state, value);
        break;
    case AGGREGATE_MAX:
        if (is_first || value_compare(value, &state->value) > 0) keep(group, state, value);
        break;
    case AGGREGATE_COUNT: state->count++; break;
    case AGGREGATE_AVG:
        state->value = value_double(0, (is_first ? 0 : state->value.real) + as_double(value));
        state->count++;
        break;
    case AGGREGATE_FIRST:
        if (is_first) keep(group, state, value);
        break;
    }
}

bool group_add(
    struct group *group,
    struct evaluator *evaluator,
    const struct value *row,
    uint64_t group_count_max)
{
    const struct query_plan *plan = group->plan;
    for (uint32_t i = 0; i < plan->key_count; i++) {
        group->keys[i] = evaluate(evaluator, plan->keys[i], row);
    }
    if (evaluator->context.error) return true;
    uint64_t hash;
    struct key_entry *entry = key_table_find(&group->table, group->keys, &hash);
    if (!entry) {
        if (group->table.count >= group_count_max) return false;
        entry = key_table_add(&group->table, group->keys, hash);
    }
    struct state *states = key_entry_data(&group->table, entry);
    for (uint32_t i = 0; i < plan->aggregate_count; i++) {
        const struct plan_aggregate *aggregate = &plan->aggregates[i];
        if (!aggregate->argument) {
            states[i].count++;
            continue;
        }
        const struct value *value = evaluate(evaluator, aggregate->argument, row);
        if (value->type != VALUE_NULL) update(group, aggregate->kind, &states[i], value);
    }
    return true;
}

static struct value result(enum aggregate_kind kind, const struct state *state)
{
    switch (kind) {
    case AGGREGATE_COUNT: return value_int64(0, (int64_t)state->count);
    case AGGREGATE_AVG:
        if (state->count == 0) return value_null(0);
        return value_double(0, state->value.real / (double)state->count);
    case AGGREGATE_SUM:
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
    case AGGREGATE_FIRST:
        if (state->value.type == 0) return value_null(0);
        return state->value;
    }
    return value_null(0);
}

void group_row(const struct group *group, uint32_t i, struct value *ret_row)
{
    const struct query_plan *plan = group->plan;
    struct key_entry *entry = group->table.entries[i];
    memcpy(ret_row, entry->keys, plan->key_count * sizeof *ret_row);
    const struct state *states = key_entry_data(&group->table, entry);
    for (uint32_t k = 0; k < plan->aggregate_count; k++) {
        ret_row[plan->key_count + k] = result(plan->aggregates[k].kind, &states[k]);
    }
}
