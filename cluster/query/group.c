#include "cluster/query/group.h"

#include "cluster/query/cardinality.h"
#include "model/yson.h"

#include <assert.h>

// A value that may be replaced by a greater one, bytes and all.
struct kept_value {
    struct value value; // Of type 0 as long as there is none.
    uint64_t capacity;  // Of the bytes that a string has.
};

struct extreme {
    struct kept_value by;
    struct kept_value argument;
};

// A list in YSON, complete with its brackets; the memory at least doubles when it grows.
struct list {
    char *data;
    size_t size;
    size_t capacity;
};

struct aggregate_state {
    struct kept_value
        kept; // Of SUM, MIN, MAX, AVG and FIRST, of type 0 as long as there were only nulls.
    union {
        uint64_t count;                  // Of COUNT and AVG.
        struct extreme *extreme;         // Of ARGMIN and ARGMAX; NULL if there is none yet.
        struct cardinality *cardinality; // Of CARDINALITY; likewise.
        struct list *list;               // Of ARRAY; likewise.
    };
};

void group_init(struct group *group, const struct query_plan *plan)
{
    *group = (struct group){
        .plan = plan,
        .keys = must_alloc(calloc(MAX(plan->key_count, 1), sizeof(struct value *))),
        .totals = must_alloc(calloc(MAX(plan->aggregate_count, 1), sizeof *group->totals)),
    };
    key_table_init(
        &group->table, plan->key_count, plan->aggregate_count * sizeof(struct aggregate_state));
}

void group_release(struct group *group)
{
    key_table_release(&group->table);
    free(group->keys);
    free(group->totals);
    *group = (struct group){0};
}

static double as_double(const struct value *value)
{
    if (value->type == VALUE_INT64) return (double)value->int64;
    if (value->type == VALUE_UINT64) return (double)value->uint64;
    assert(value->type == VALUE_DOUBLE);
    return value->real;
}

static void add(struct value *sum, const struct value *value)
{
    if (sum->type == 0) {
        *sum = *value;
    } else if (value->type == VALUE_DOUBLE) {
        sum->real += value->real;
    } else {
        sum->uint64 += value->uint64; // Wraps around, for int64 as well.
    }
}

// Room for bytes at least doubles, so that a string that is replaced again and again leaves little
// behind in the arena.
static void keep(struct arena *arena, struct kept_value *kept, const struct value *value)
{
    if (value->type != VALUE_STRING && value->type != VALUE_ANY) {
        kept->value = *value;
        return;
    }
    char *bytes = (char *)kept->value.data;
    if (kept->capacity == 0 || kept->capacity < value->size) {
        kept->capacity = MAX(2 * kept->capacity, (uint64_t)value->size);
        bytes = arena_alloc(arena, kept->capacity);
    }
    if (value->size > 0) memcpy(bytes, value->data, value->size);
    kept->value = *value;
    kept->value.data = bytes;
}

// Keeps the argument if `by` is less (or greater) than before.
static void keep_extreme(
    struct arena *arena,
    enum aggregate_kind kind,
    struct aggregate_state *state,
    const struct value *argument,
    const struct value *by)
{
    if (!state->extreme) {
        state->extreme = ARENA_NEW(arena, struct extreme, 1);
    } else {
        int order = value_compare(by, &state->extreme->by.value);
        if (kind == AGGREGATE_ARGMIN ? order >= 0 : order <= 0) return;
    }
    keep(arena, &state->extreme->by, by);
    keep(arena, &state->extreme->argument, argument);
}

static const struct slice EMPTY_LIST = {"[]", 2};

// Adds items, each with its semicolon, to a list that may not be there yet.
static struct error *add_items(struct arena *arena, struct list **list, struct slice items)
{
    if (!*list) *list = ARENA_NEW(arena, struct list, 1);
    size_t old_size = MAX((*list)->size, EMPTY_LIST.size);
    size_t size = old_size + items.size;
    if (size > YSON_STRING_SIZE_MAX) {
        return error_set_u64(
            error_new(ERROR_STRING_LENGTH_LIMIT_EXCEEDED, "Result of \"array_agg\" is too long"),
            "limit",
            YSON_STRING_SIZE_MAX);
    }
    if (size > (*list)->capacity) {
        size_t capacity = MAX(2 * (*list)->capacity, size);
        char *data = arena_alloc(arena, capacity);
        memcpy(data, (*list)->data ? (*list)->data : EMPTY_LIST.data, old_size);
        (*list)->data = data;
        (*list)->capacity = capacity;
    }
    memcpy((*list)->data + old_size - 1, items.data, items.size);
    (*list)->data[size - 1] = ']';
    (*list)->size = size;
    return NULL;
}

static struct error *add_to_list(struct arena *arena, struct list **list, const struct value *value)
{
    CLEANUP(buffer_releasep) struct buffer item = {0};
    struct node node = {.type = NODE_ENTITY};
    switch ((enum value_type)value->type) {
    case VALUE_NULL: break;
    case VALUE_INT64: node = (struct node){.type = NODE_INT64, .int64 = value->int64}; break;
    case VALUE_UINT64: node = (struct node){.type = NODE_UINT64, .uint64 = value->uint64}; break;
    case VALUE_DOUBLE: node = (struct node){.type = NODE_DOUBLE, .real = value->real}; break;
    case VALUE_BOOLEAN:
        node = (struct node){.type = NODE_BOOLEAN, .boolean = value->boolean};
        break;
    case VALUE_STRING:
        node = (struct node){.type = NODE_STRING, .string = value_slice(value)};
        break;
    case VALUE_ANY: buffer_append_slice(&item, value_slice(value)); break;
    }
    if (value->type != VALUE_ANY) yson_print(&node, YSON_BINARY, &item);
    buffer_append_byte(&item, ';');
    return add_items(arena, list, buffer_slice(&item));
}

// Adds a value that is not null.
static void update(
    struct arena *arena,
    enum aggregate_kind kind,
    struct aggregate_state *state,
    const struct value *value)
{
    struct value *kept = &state->kept.value;
    bool is_first = kept->type == 0;
    switch (kind) {
    case AGGREGATE_SUM: add(kept, value); break;
    case AGGREGATE_MIN:
        if (is_first || value_compare(value, kept) < 0) keep(arena, &state->kept, value);
        break;
    case AGGREGATE_MAX:
        if (is_first || value_compare(value, kept) > 0) keep(arena, &state->kept, value);
        break;
    case AGGREGATE_COUNT: state->count++; break;
    case AGGREGATE_AVG:
        *kept = value_double(0, (is_first ? 0 : kept->real) + as_double(value));
        state->count++;
        break;
    case AGGREGATE_FIRST:
        if (is_first) keep(arena, &state->kept, value);
        break;
    case AGGREGATE_CARDINALITY:
        if (!state->cardinality) state->cardinality = ARENA_NEW(arena, struct cardinality, 1);
        cardinality_add(state->cardinality, arena, key_table_hash(value));
        break;
    case AGGREGATE_ARGMIN:
    case AGGREGATE_ARGMAX:
    case AGGREGATE_ARRAY: assert(false && "they are not updated here"); break;
    }
}

static struct error *update_all(
    struct group *group,
    struct evaluator *evaluator,
    struct aggregate_state *states,
    const struct value *row)
{
    const struct query_plan *plan = group->plan;
    struct arena *arena = &group->table.arena;
    for (uint32_t i = 0; i < plan->aggregate_count; i++) {
        const struct plan_aggregate *aggregate = &plan->aggregates[i];
        if (!aggregate->argument) {
            states[i].count++;
            continue;
        }
        const struct value *value = evaluate(evaluator, aggregate->argument, row);
        if (aggregate->by) {
            const struct value *by = evaluate(evaluator, aggregate->by, row);
            if (by->type == VALUE_NULL) continue;
            keep_extreme(arena, aggregate->kind, &states[i], value, by);
        } else if (aggregate->kind == AGGREGATE_ARRAY) {
            if (value->type == VALUE_NULL && !aggregate->takes_null) continue;
            TRY(add_to_list(arena, &states[i].list, value));
        } else if (value->type != VALUE_NULL) {
            update(arena, aggregate->kind, &states[i], value);
        }
    }
    return NULL;
}

static struct error *check_keys(const struct group *group)
{
    const struct query_plan *plan = group->plan;
    if (plan->totals == TOTALS_NONE) return NULL;
    for (uint32_t i = 0; i < plan->key_count; i++) {
        if (group->keys[i]->type != VALUE_NULL) return NULL;
    }
    return error_new(
        ERROR_GENERIC, "Null values are forbidden in group key of a query WITH TOTALS");
}

struct error *group_add(
    struct group *group,
    struct evaluator *evaluator,
    const struct value *row,
    uint64_t group_count_max,
    bool *ret_has_group)
{
    const struct query_plan *plan = group->plan;
    *ret_has_group = true;
    for (uint32_t i = 0; i < plan->key_count; i++) {
        group->keys[i] = evaluate(evaluator, plan->keys[i], row);
    }
    TRY(evaluator_check(evaluator));
    uint64_t hash;
    struct key_entry *entry = key_table_find(&group->table, group->keys, &hash);
    if (!entry) {
        TRY(check_keys(group));
        *ret_has_group = group->table.count < group_count_max;
        if (!*ret_has_group) return NULL;
        entry = key_table_add(&group->table, group->keys, hash);
    }
    TRY(update_all(group, evaluator, key_entry_data(&group->table, entry), row));
    return evaluator_check(evaluator);
}

static struct value result(enum aggregate_kind kind, const struct aggregate_state *state)
{
    struct value kept = state->kept.value;
    if (kept.type == 0) kept = value_null(0);
    switch (kind) {
    case AGGREGATE_COUNT: return value_int64(0, (int64_t)state->count);
    case AGGREGATE_AVG:
        return state->count == 0 ? kept : value_double(0, kept.real / (double)state->count);
    case AGGREGATE_SUM:
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
    case AGGREGATE_FIRST: return kept;
    case AGGREGATE_ARGMIN:
    case AGGREGATE_ARGMAX: return state->extreme ? state->extreme->argument.value : value_null(0);
    case AGGREGATE_ARRAY: {
        struct slice list = EMPTY_LIST;
        if (state->list) list = slice_from(state->list->data, state->list->size);
        struct value value = value_string(0, list);
        value.type = VALUE_ANY;
        return value;
    }
    case AGGREGATE_CARDINALITY:
        return value_uint64(0, state->cardinality ? cardinality_count(state->cardinality) : 0);
    }
    return value_null(0);
}

static void put_results(
    const struct query_plan *plan, const struct aggregate_state *states, struct value *row)
{
    for (uint32_t i = 0; i < plan->aggregate_count; i++) {
        row[plan->key_count + i] = result(plan->aggregates[i].kind, &states[i]);
    }
}

void group_row(const struct group *group, uint32_t i, struct value *ret_row)
{
    const struct query_plan *plan = group->plan;
    struct key_entry *entry = group->table.entries[i];
    memcpy(ret_row, entry->keys, plan->key_count * sizeof *ret_row);
    put_results(plan, key_entry_data(&group->table, entry), ret_row);
}

// Adds what one state has to another.
static struct error *merge(
    struct arena *arena,
    enum aggregate_kind kind,
    struct aggregate_state *state,
    const struct aggregate_state *other)
{
    switch (kind) {
    case AGGREGATE_COUNT: state->count += other->count; break;
    case AGGREGATE_AVG:
        state->count += other->count;
        if (other->count > 0) add(&state->kept.value, &other->kept.value);
        break;
    case AGGREGATE_SUM:
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
    case AGGREGATE_FIRST:
        if (other->kept.value.type != 0) update(arena, kind, state, &other->kept.value);
        break;
    case AGGREGATE_ARGMIN:
    case AGGREGATE_ARGMAX: {
        const struct extreme *extreme = other->extreme;
        if (extreme) {
            keep_extreme(arena, kind, state, &extreme->argument.value, &extreme->by.value);
        }
        break;
    }
    case AGGREGATE_ARRAY: {
        if (!other->list) break;
        struct slice items = slice_from(other->list->data + 1, other->list->size - 2);
        return add_items(arena, &state->list, items);
    }
    case AGGREGATE_CARDINALITY:
        if (!other->cardinality) break;
        if (!state->cardinality) state->cardinality = ARENA_NEW(arena, struct cardinality, 1);
        cardinality_merge(state->cardinality, arena, other->cardinality);
        break;
    }
    return NULL;
}

struct error *group_add_to_totals(struct group *group, uint32_t i)
{
    const struct query_plan *plan = group->plan;
    struct key_entry *entry = group->table.entries[i];
    const struct aggregate_state *states = key_entry_data(&group->table, entry);
    for (uint32_t k = 0; k < plan->aggregate_count; k++) {
        TRY(merge(&group->table.arena, plan->aggregates[k].kind, &group->totals[k], &states[k]));
    }
    group->totals_group_count++;
    return NULL;
}

bool group_totals_row(const struct group *group, struct value *ret_row)
{
    const struct query_plan *plan = group->plan;
    for (uint32_t i = 0; i < plan->key_count; i++) ret_row[i] = value_null(0);
    put_results(plan, group->totals, ret_row);
    return group->totals_group_count > 0;
}
