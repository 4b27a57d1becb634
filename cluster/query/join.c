#include "cluster/query/join.h"

#include "base/containers.h"
#include "model/key.h"
#include "model/yson.h"

#include <assert.h>

enum { BATCH_ROW_COUNT_MIN = 64, BATCH_ROW_COUNT_MAX = 4096 };

struct join_row {
    struct join_row *next;
    struct value values[]; // Of the joined table's columns; meaningful where wanted.
};

// What the hash table has for each tuple of keys.
struct join_matches {
    struct join_row *first;
    struct join_row *last;
};

void join_init(
    struct join *join,
    const struct query_plan *plan,
    struct row_source *const *sources,
    struct evaluator *evaluator,
    struct input *input,
    uint64_t memory_size_max)
{
    *join = (struct join){
        .plan = plan,
        .sources = sources,
        .evaluator = evaluator,
        .input = input,
        .memory_size_max = memory_size_max,
        .batch_row_count_max = BATCH_ROW_COUNT_MIN,
        .tables = must_alloc(calloc(plan->table_count, sizeof(struct key_table))),
        .is_loaded = must_alloc(calloc(plan->table_count, sizeof(bool))),
        .row = must_alloc(calloc(plan->column_count, sizeof(struct value))),
        .keys = must_alloc(calloc(EXPRESSION_TUPLE_SIZE_MAX, sizeof(struct value *))),
    };
    for (uint32_t i = 1; i < plan->table_count; i++) {
        key_table_init(
            &join->tables[i], plan->tables[i].join.equation_count, sizeof(struct join_matches));
    }
}

void join_release(struct join *join)
{
    if (!join->plan) return;
    row_scan_close(join->scan);
    for (uint32_t i = 1; i < join->plan->table_count; i++) key_table_release(&join->tables[i]);
    free(join->tables);
    free(join->is_loaded);
    free(join->row);
    free(join->keys);
    arena_release(&join->ranges);
    arena_release(&join->batch.arena);
    arr_free(join->batch.rows);
    *join = (struct join){0};
}

size_t join_size(const struct join *join)
{
    if (!join->plan) return 0;
    size_t size = join->batch.arena.size + join->ranges.size;
    for (uint32_t i = 1; i < join->plan->table_count; i++) {
        size += key_table_size(&join->tables[i]);
    }
    return size;
}

static struct error *check_memory(const struct join *join)
{
    if (join_size(join) <= join->memory_size_max) return NULL;
    return error_set_u64(
        error_new(ERROR_GENERIC, "Query memory limit exceeded while joining tables"),
        "limit",
        join->memory_size_max);
}

// Copies the wanted columns of a table.
static void copy_columns(
    struct arena *arena, const struct plan_table *table, const struct value *from, struct value *to)
{
    for (uint32_t i = 0; i < table->schema->column_count; i++) {
        if (!table->wanted[i]) continue;
        to[i] = from[i];
        if (from[i].type == VALUE_STRING || from[i].type == VALUE_ANY) {
            to[i].data = arena_copy(arena, value_slice(&from[i])).data;
        }
    }
}

static const struct plan_table *table_at_hand(const struct join *join)
{
    return &join->plan->tables[join->table];
}

// Evaluates one side of the equations over the row at hand.
static struct error *evaluate_keys(struct join *join, const struct value *row, bool is_left)
{
    const struct plan_join *plan = &table_at_hand(join)->join;
    evaluator_reset(join->evaluator);
    for (uint32_t i = 0; i < plan->equation_count; i++) {
        const struct plan_equation *equation = &plan->equations[i];
        join->keys[i] = evaluate(join->evaluator, is_left ? equation->left : equation->right, row);
    }
    return evaluator_check(join->evaluator);
}

static int order_ranges(const void *a, const void *b)
{
    const struct row_range *x = a;
    const struct row_range *y = b;
    return slice_compare(x->begin, y->begin);
}

// The range of the keys that begin with the first keys at hand.
static struct row_range lookup_range(struct join *join, uint32_t key_prefix_count)
{
    CLEANUP(buffer_releasep) struct buffer key = {0};
    size_t begin_size = 0;
    for (uint32_t i = 0; i < key_prefix_count; i++) {
        key_encode_value(join->keys[i], &key);
        // Null key columns at the end may be missing in keys; see ranges.c.
        if (join->keys[i]->type != VALUE_NULL) begin_size = key.size;
    }
    struct row_range range = {
        .begin = arena_copy(&join->ranges, slice_from(key.data, begin_size)),
    };
    key_successor(&key);
    range.end = arena_copy(&join->ranges, buffer_slice(&key));
    return range;
}

// The ranges of the keys that can match the batch, sorted; they live until the next batch.
static struct error *lookup_ranges(
    struct join *join, const struct row_range **ret_ranges, size_t *ret_count)
{
    size_t row_count = arr_count(join->batch.rows);
    struct row_range *ranges = ARENA_NEW(&join->ranges, struct row_range, row_count);
    for (size_t i = 0; i < row_count; i++) {
        TRY(evaluate_keys(join, join->batch.rows[i], true));
        ranges[i] = lookup_range(join, table_at_hand(join)->join.key_prefix_count);
    }
    qsort(ranges, row_count, sizeof *ranges, order_ranges);
    size_t count = 0;
    for (size_t i = 0; i < row_count; i++) {
        if (i > 0 && slice_equal(ranges[count - 1].begin, ranges[i].begin)) continue;
        ranges[count++] = ranges[i];
    }
    *ret_ranges = ranges;
    *ret_count = count;
    return NULL;
}

static struct error *on_loaded(struct join *join);

// Opens a scan over what can match the batch.
static struct error *open_table(struct join *join)
{
    // Scans borrow their ranges, so it must outlive this call.
    static const struct row_range everything;
    const struct plan_table *table = table_at_hand(join);
    if (table->join.array_count > 0) return on_loaded(join); // There is nothing to be read.
    const struct row_range *ranges = &everything;
    size_t range_count = join->is_loaded[join->table] ? 0 : 1;
    arena_reset(&join->ranges);
    if (table->join.key_prefix_count > 0) {
        key_table_clear(&join->tables[join->table]);
        TRY(lookup_ranges(join, &ranges, &range_count));
    }
    TRY(row_source_open(
        join->sources[join->table], ranges, range_count, table->wanted, &join->scan));
    join->state = JOIN_LOADING;
    return NULL;
}

// Adds a row of the table at hand to its hash table.
static struct error *load_row(struct join *join, const struct value *values)
{
    const struct plan_table *table = table_at_hand(join);
    struct key_table *rows = &join->tables[join->table];
    struct value *row = join->row;
    for (uint32_t i = 0; i < table->schema->column_count; i++) {
        if (table->wanted[i]) row[table->column_begin + i] = values[i];
    }
    TRY(evaluate_keys(join, row, false));
    if (table->join.predicate) {
        const struct value *is_wanted = evaluate(join->evaluator, table->join.predicate, row);
        TRY(evaluator_check(join->evaluator));
        if (is_wanted->type == VALUE_NULL || !is_wanted->boolean) return NULL;
    }
    uint64_t hash;
    struct key_entry *entry = key_table_find(rows, join->keys, &hash);
    if (!entry) entry = key_table_add(rows, join->keys, hash);
    struct join_matches *matches = key_entry_data(rows, entry);
    struct join_row *match = arena_alloc(
        &rows->arena, sizeof *match + table->schema->column_count * sizeof *match->values);
    copy_columns(&rows->arena, table, values, match->values);
    if (matches->last) {
        matches->last->next = match;
    } else {
        matches->first = match;
    }
    matches->last = match;
    return check_memory(join);
}

// A row that stands for the lack of a match in LEFT JOIN.
static const struct join_row no_match;

// Reads a list in YSON; NULL for null.
static struct error *read_list(
    struct arena *arena, const struct value *value, const struct node **ret_list)
{
    *ret_list = NULL;
    if (value->type == VALUE_NULL) return NULL;
    struct node *node;
    TRY(yson_parse(arena, value_slice(value), &node));
    if (node->type == NODE_ENTITY) return NULL;
    if (node->type != NODE_LIST) {
        return error_new(
            ERROR_GENERIC,
            "ARRAY JOIN takes lists, not a value of type %s",
            node_type_name(node->type));
    }
    *ret_list = node;
    return NULL;
}

// One item of a list as a value of type any; null beyond its end.
static struct value list_item(struct arena *arena, const struct node *list, uint32_t i)
{
    if (!list || i >= list->count || list->entries[i].value->type == NODE_ENTITY) {
        return value_null(0);
    }
    CLEANUP(buffer_releasep) struct buffer yson = {0};
    yson_print(list->entries[i].value, YSON_BINARY, &yson);
    struct value value = value_string(0, arena_copy(arena, buffer_slice(&yson)));
    value.type = VALUE_ANY;
    return value;
}

// Makes a match of each item, of several lists side by side as long as one of them goes on.
static struct error *expand_arrays(
    struct join *join,
    const struct value *row,
    struct arena *scratch,
    const struct join_row **ret_first)
{
    const struct plan_table *table = table_at_hand(join);
    const struct plan_join *plan = &table->join;
    struct arena *arena = &join->batch.arena;
    const struct node **lists = ARENA_NEW(scratch, const struct node *, plan->array_count);
    uint32_t count = 0;
    evaluator_reset(join->evaluator);
    for (uint32_t i = 0; i < plan->array_count; i++) {
        const struct value *value = evaluate(join->evaluator, plan->arrays[i], row);
        TRY(evaluator_check(join->evaluator));
        TRY(read_list(scratch, value, &lists[i]));
        if (lists[i]) count = MAX(count, lists[i]->count);
    }
    struct join_row *last = NULL;
    *ret_first = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct join_row *match =
            arena_alloc(arena, sizeof *match + plan->array_count * sizeof *match->values);
        for (uint32_t k = 0; k < plan->array_count; k++) {
            match->values[k] = list_item(arena, lists[k], i);
            join->row[table->column_begin + k] = match->values[k];
        }
        TRY(check_memory(join));
        if (plan->predicate) {
            evaluator_reset(join->evaluator);
            const struct value *is_wanted = evaluate(join->evaluator, plan->predicate, join->row);
            bool is_true = is_wanted->type == VALUE_BOOLEAN && is_wanted->boolean;
            TRY(evaluator_check(join->evaluator));
            if (!is_true) continue;
        }
        if (last) {
            last->next = match;
        } else {
            *ret_first = match;
        }
        last = match;
    }
    return NULL;
}

// The first match of a row of the batch; `no_match` for a left join without one, NULL for another.
static struct error *find_match(
    struct join *join, const struct value *row, const struct join_row **ret_match)
{
    if (table_at_hand(join)->join.array_count > 0) {
        CLEANUP(arena_releasep) struct arena scratch = {0};
        TRY(expand_arrays(join, row, &scratch, ret_match));
        if (!*ret_match && table_at_hand(join)->join.is_left) *ret_match = &no_match;
        return NULL;
    }
    struct key_table *rows = &join->tables[join->table];
    TRY(evaluate_keys(join, row, true));
    uint64_t hash;
    struct key_entry *entry = key_table_find(rows, join->keys, &hash);
    *ret_match = table_at_hand(join)->join.is_left ? &no_match : NULL;
    if (entry) {
        const struct join_matches *matches = key_entry_data(rows, entry);
        *ret_match = matches->first;
    }
    return NULL;
}

// Puts the columns of a match into a source row.
static void put_match(const struct join *join, const struct join_row *match, struct value *row)
{
    const struct plan_table *table = table_at_hand(join);
    struct value *values = &row[table->column_begin];
    for (uint32_t i = 0; i < table->schema->column_count; i++) {
        values[i] = match == &no_match || !table->wanted[i] ? value_null(0) : match->values[i];
    }
}

// Replaces the batch by one in which each row has been joined with each of its matches.
static struct error *expand(struct join *join)
{
    struct value **rows = TAKE(join->batch.rows);
    size_t row_count = arr_count(rows);
    struct error *error = NULL;
    for (size_t i = 0; i < row_count && !error; i++) {
        const struct join_row *match = NULL;
        error = find_match(join, rows[i], &match);
        for (; !error && match; match = match->next) {
            // The strings stay where they are: in the batch's arena, and in the hash table of the
            // joined table, which is not cleared before the next batch.
            struct value *row =
                ARENA_NEW(&join->batch.arena, struct value, join->plan->column_count);
            memcpy(row, rows[i], join->plan->column_count * sizeof *row);
            put_match(join, match, row);
            arr_add(join->batch.rows, row);
            error = check_memory(join);
        }
    }
    arr_free(rows);
    return error;
}

static void begin_batch(struct join *join)
{
    arr_clear(join->batch.rows);
    arena_reset(&join->batch.arena);
    join->batch_row_count_max = MIN(join->batch_row_count_max * 2, BATCH_ROW_COUNT_MAX);
    join->state = join->has_all_rows ? JOIN_FINISHED : JOIN_FILLING;
}

static struct error *begin_joining(struct join *join)
{
    if (arr_count(join->batch.rows) == 0) {
        begin_batch(join);
        return NULL;
    }
    join->table = 1;
    return open_table(join);
}

struct error *join_add(struct join *join, const struct value *row)
{
    assert(join->state == JOIN_FILLING);
    struct value *copy = ARENA_NEW(&join->batch.arena, struct value, join->plan->column_count);
    copy_columns(&join->batch.arena, &join->plan->tables[0], row, copy);
    arr_add(join->batch.rows, copy);
    TRY(check_memory(join));
    if (arr_count(join->batch.rows) < join->batch_row_count_max) return NULL;
    return begin_joining(join);
}

struct error *join_finish(struct join *join)
{
    assert(join->state == JOIN_FILLING);
    join->has_all_rows = true;
    return begin_joining(join);
}

// The table at hand has been read.
static struct error *on_loaded(struct join *join)
{
    row_scan_close(TAKE(join->scan));
    join->is_loaded[join->table] = true;
    if (join->table + 1 == join->plan->table_count) {
        join->state = JOIN_STREAMING;
        join->batch_index = 0;
        return find_match(join, join->batch.rows[0], &join->next);
    }
    TRY(expand(join));
    if (arr_count(join->batch.rows) == 0) {
        begin_batch(join);
        return NULL;
    }
    join->table++;
    return open_table(join);
}

// Gives out the next joined row, NULL at the end of the batch.
static struct error *stream_row(struct join *join, const struct value **ret_row)
{
    while (!join->next) {
        if (++join->batch_index == arr_count(join->batch.rows)) {
            begin_batch(join);
            return NULL;
        }
        TRY(find_match(join, join->batch.rows[join->batch_index], &join->next));
    }
    const struct value *row = join->batch.rows[join->batch_index];
    memcpy(join->row, row, table_at_hand(join)->column_begin * sizeof *row);
    put_match(join, join->next, join->row);
    join->next = join->next->next;
    *ret_row = join->row;
    return NULL;
}

struct error *join_next(struct join *join, uint64_t *budget, const struct value **ret_row)
{
    *ret_row = NULL;
    while (*budget > 0) {
        switch (join->state) {
        case JOIN_FILLING:
        case JOIN_FINISHED: return NULL;
        case JOIN_LOADING: {
            const struct value *values;
            TRY(input_next(join->input, table_at_hand(join), join->scan, &values));
            --*budget;
            TRY(values ? load_row(join, values) : on_loaded(join));
            break;
        }
        case JOIN_STREAMING:
            --*budget;
            TRY(stream_row(join, ret_row));
            if (*ret_row) return NULL;
            break;
        }
    }
    return NULL;
}
