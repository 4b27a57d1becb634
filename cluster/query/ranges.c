#include "cluster/query/ranges.h"

#include "cluster/query/functions.h"
#include "cluster/query/query.h"
#include "model/key.h"

#include <assert.h>

// How many nodes of the predicate are looked at before the columns that are left are given up.
#define STEP_COUNT_MAX 1000000

// Encodings of one column's values that lie in [begin, end). An empty `end` stands for no end; an
// empty `begin` for the beginning, which is null's place.
struct interval {
    struct slice begin;
    struct slice end;
};

// Sorted and disjoint. Neighbours may touch: a point at the edge of an open interval is kept apart
// from it, since it can be followed into the next column.
struct interval_set {
    struct interval *intervals;
    size_t count;
};

struct deriver {
    struct arena *arena; // For the ranges.
    // Of the column that is looked at, and of those before it: one for each, so that what a point
    // needed further down is free for the next one.
    struct arena scratch[SCHEMA_KEY_COLUMN_COUNT_MAX];
    const struct schema *schema;
    const struct expression *predicate;
    // The column that is being looked at, and the values of those before it.
    uint16_t column;
    struct value assumed_values[SCHEMA_KEY_COLUMN_COUNT_MAX];
    struct buffer prefix; // The assumed values, one after the other.
    uint64_t step_count;
    struct row_range *ranges;
    size_t range_count;
    size_t range_capacity;
    size_t range_count_max;
    bool is_widened;
};

static struct arena *scratch_of(struct deriver *deriver)
{
    return &deriver->scratch[deriver->column];
}

static struct interval_set nothing(void)
{
    return (struct interval_set){0};
}

static struct interval_set everything(struct deriver *deriver)
{
    return (struct interval_set){ARENA_NEW(scratch_of(deriver), struct interval, 1), 1};
}

static bool is_everything(struct interval_set set)
{
    return set.count == 1 && set.intervals[0].begin.size == 0 && set.intervals[0].end.size == 0;
}

// Whether the end `a` comes before the end `b`, or the same with a beginning `b`.
static bool end_is_before(struct slice a, struct slice b)
{
    if (a.size == 0) return false;
    return b.size == 0 || slice_compare(a, b) < 0;
}

static struct interval_set intersect(
    struct deriver *deriver, struct interval_set a, struct interval_set b)
{
    if (is_everything(a)) return b;
    if (is_everything(b)) return a;
    struct interval_set set = {
        .intervals = ARENA_NEW(scratch_of(deriver), struct interval, a.count + b.count),
    };
    size_t i = 0;
    size_t k = 0;
    while (i < a.count && k < b.count) {
        struct interval *x = &a.intervals[i];
        struct interval *y = &b.intervals[k];
        struct slice begin = slice_compare(x->begin, y->begin) > 0 ? x->begin : y->begin;
        bool x_ends_first = end_is_before(x->end, y->end);
        struct slice end = x_ends_first ? x->end : y->end;
        if (end.size == 0 || slice_compare(begin, end) < 0) {
            set.intervals[set.count++] = (struct interval){begin, end};
        }
        if (x_ends_first) {
            i++;
        } else {
            k++;
        }
    }
    return set;
}

static struct interval_set unite(
    struct deriver *deriver, struct interval_set a, struct interval_set b)
{
    if (a.count == 0 || is_everything(b)) return b;
    if (b.count == 0 || is_everything(a)) return a;
    struct interval_set set = {
        .intervals = ARENA_NEW(scratch_of(deriver), struct interval, a.count + b.count),
    };
    size_t i = 0;
    size_t k = 0;
    while (i < a.count || k < b.count) {
        bool takes_a =
            k == b.count ||
            (i < a.count && slice_compare(a.intervals[i].begin, b.intervals[k].begin) <= 0);
        struct interval next = takes_a ? a.intervals[i++] : b.intervals[k++];
        struct interval *last = set.count > 0 ? &set.intervals[set.count - 1] : NULL;
        bool overlaps = last && (last->end.size == 0 || slice_compare(next.begin, last->end) < 0);
        if (!overlaps) {
            set.intervals[set.count++] = next;
        } else if (end_is_before(last->end, next.end)) {
            last->end = next.end;
        }
    }
    return set;
}

static struct slice encode(struct deriver *deriver, const struct value *value, bool is_successor)
{
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    key_encode_value(value, &buffer);
    if (is_successor) key_successor(&buffer);
    return arena_copy(scratch_of(deriver), buffer_slice(&buffer));
}

// The values that stand in a relation to a literal, the greater neighbours apart from the literal
// itself if `keeps_point`.
static struct interval_set related(
    struct deriver *deriver, enum relation relation, const struct value *literal, bool keeps_point)
{
    struct slice begin = encode(deriver, literal, false);
    struct slice end = encode(deriver, literal, true);
    struct interval_set set = {.intervals = ARENA_NEW(scratch_of(deriver), struct interval, 2)};
    struct interval point = {begin, end};
    struct interval less = {.end = begin};
    struct interval greater = {.begin = end};
    bool has_less = literal->type != VALUE_NULL; // Nothing is less than null.
    switch (relation) {
    case RELATION_EQUAL: set.intervals[set.count++] = point; break;
    case RELATION_NOT_EQUAL:
        if (has_less) set.intervals[set.count++] = less;
        set.intervals[set.count++] = greater;
        break;
    case RELATION_LESS:
        if (has_less) set.intervals[set.count++] = less;
        break;
    case RELATION_LESS_OR_EQUAL:
        if (keeps_point || !has_less) {
            if (has_less) set.intervals[set.count++] = less;
            set.intervals[set.count++] = point;
        } else {
            set.intervals[set.count++] = (struct interval){.end = end};
        }
        break;
    case RELATION_GREATER: set.intervals[set.count++] = greater; break;
    case RELATION_GREATER_OR_EQUAL:
        if (keeps_point) {
            set.intervals[set.count++] = point;
            set.intervals[set.count++] = greater;
        } else {
            set.intervals[set.count++] = (struct interval){.begin = begin};
        }
        break;
    }
    return set;
}

// Whether an expression is a key column whose values are compared as its key is ordered.
static bool is_key_column(const struct deriver *deriver, const struct expression *expression)
{
    return expression->kind == EXPRESSION_COLUMN &&
           expression->column < deriver->schema->key_column_count;
}

// What a comparison of one column with a literal says of the column that is looked at.
static struct interval_set restrict_column(
    struct deriver *deriver,
    uint32_t column,
    enum relation relation,
    const struct value *literal,
    bool keeps_point)
{
    if (column < deriver->column) {
        int order = value_compare(&deriver->assumed_values[column], literal);
        return relation_holds(relation, order) ? everything(deriver) : nothing();
    }
    if (column > deriver->column) return everything(deriver);
    return related(deriver, relation, literal, keeps_point);
}

// Finds a column and a literal on the two sides of a comparison.
static bool split_comparison(
    const struct deriver *deriver,
    const struct expression *left,
    const struct expression *right,
    enum relation *relation,
    const struct expression **ret_column,
    const struct expression **ret_literal)
{
    if (left->kind == EXPRESSION_LITERAL && is_key_column(deriver, right)) {
        *ret_column = right;
        *ret_literal = left;
        *relation = relation_mirror(*relation);
        return true;
    }
    *ret_column = left;
    *ret_literal = right;
    return right->kind == EXPRESSION_LITERAL && is_key_column(deriver, left);
}

static struct interval_set derive_compare(
    struct deriver *deriver, const struct expression *compare, bool is_negated)
{
    enum relation relation = compare->relation;
    const struct expression *column;
    const struct expression *literal;
    if (!split_comparison(
            deriver, compare->items[0], compare->items[1], &relation, &column, &literal)) {
        return everything(deriver);
    }
    if (is_negated) relation = relation_negate(relation);
    return restrict_column(deriver, column->column, relation, &literal->literal, false);
}

// (a, b) < (1, 2): what is known of the columns before decides, or leads to the pair in which the
// column is that is looked at.
static struct interval_set derive_compare_tuple(
    struct deriver *deriver, const struct expression *compare, bool is_negated)
{
    for (uint32_t i = 0; i < compare->count; i += 2) {
        enum relation relation = compare->relation;
        const struct expression *column;
        const struct expression *literal;
        if (!split_comparison(
                deriver, compare->items[i], compare->items[i + 1], &relation, &column, &literal)) {
            return everything(deriver);
        }
        if (is_negated) relation = relation_negate(relation);
        bool is_last = i + 2 == compare->count;
        if (column->column < deriver->column) {
            int order = value_compare(&deriver->assumed_values[column->column], &literal->literal);
            if (order == 0 && !is_last) continue;
            return relation_holds(relation, order) ? everything(deriver) : nothing();
        }
        if (column->column > deriver->column) return everything(deriver);
        if (!is_last && relation == RELATION_LESS) relation = RELATION_LESS_OR_EQUAL;
        if (!is_last && relation == RELATION_GREATER) relation = RELATION_GREATER_OR_EQUAL;
        return related(deriver, relation, &literal->literal, !is_last);
    }
    return everything(deriver);
}

// Orders a tuple of IN against the assumed values, as far as its first `count` columns are these.
static int compare_with_assumed(
    const struct deriver *deriver, const struct value *tuple, uint32_t count)
{
    int order = 0;
    for (uint32_t i = 0; i < count && order == 0; i++) {
        order = value_compare(&tuple[i], &deriver->assumed_values[i]);
    }
    return order;
}

static int order_intervals(const void *a, const void *b)
{
    const struct interval *x = a;
    const struct interval *y = b;
    return slice_compare(x->begin, y->begin);
}

// Makes a set of points that come in any order and may be repeated.
static struct interval_set sort_points(struct interval_set points)
{
    qsort(points.intervals, points.count, sizeof *points.intervals, order_intervals);
    struct interval_set set = {.intervals = points.intervals};
    for (size_t i = 0; i < points.count; i++) {
        struct interval point = points.intervals[i];
        bool is_repeated =
            set.count > 0 && slice_equal(set.intervals[set.count - 1].begin, point.begin);
        if (!is_repeated) set.intervals[set.count++] = point;
    }
    return set;
}

static struct interval_set derive_in(
    struct deriver *deriver, const struct expression *in, bool is_negated)
{
    uint32_t size = in->count;
    // Where the column that is looked at is in the tuple; and how many of the tuple's first items
    // are the key's first columns, for which the tuples are sorted.
    uint32_t position = size;
    uint32_t leading_count = 0;
    for (uint32_t i = 0; i < size; i++) {
        if (!is_key_column(deriver, in->items[i])) continue;
        if (in->items[i]->column == deriver->column && position == size) position = i;
        if (in->items[i]->column == i && leading_count == i) leading_count++;
    }
    if (is_negated) {
        if (size != 1 || position != 0) return everything(deriver);
        struct interval_set set = everything(deriver);
        // NOT IN with many values is hardly a restriction.
        if (in->value_count > 16) return set;
        for (uint32_t i = 0; i < in->value_count; i++) {
            struct interval_set rest = related(deriver, RELATION_NOT_EQUAL, &in->values[i], false);
            set = intersect(deriver, set, rest);
        }
        return set;
    }

    uint32_t known_count = MIN(leading_count, deriver->column);
    uint32_t begin = 0;
    uint32_t end = in->value_count;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        const struct value *tuple = &in->values[(size_t)middle * size];
        if (compare_with_assumed(deriver, tuple, known_count) < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    end = begin;
    size_t capacity = 0;
    while (end < in->value_count) {
        const struct value *tuple = &in->values[(size_t)end * size];
        if (compare_with_assumed(deriver, tuple, known_count) != 0) break;
        end++;
        capacity++;
    }
    deriver->step_count += capacity;

    struct interval_set set = {
        .intervals = ARENA_NEW(scratch_of(deriver), struct interval, MAX(capacity, 1)),
    };
    for (uint32_t i = begin; i < end; i++) {
        const struct value *tuple = &in->values[(size_t)i * size];
        bool is_possible = true;
        for (uint32_t k = 0; k < size && is_possible; k++) {
            const struct expression *item = in->items[k];
            if (!is_key_column(deriver, item) || item->column >= deriver->column) continue;
            const struct value *assumed = &deriver->assumed_values[item->column];
            is_possible = value_compare(assumed, &tuple[k]) == 0;
        }
        if (!is_possible) continue;
        if (position == size) return everything(deriver);
        set.intervals[set.count++] = (struct interval){
            encode(deriver, &tuple[position], false),
            encode(deriver, &tuple[position], true),
        };
    }
    return sort_points(set);
}

// Strings that begin with a literal.
static struct interval_set derive_prefix(
    struct deriver *deriver, const struct expression *call, bool is_negated)
{
    const struct expression *prefix = call->items[0];
    const struct expression *column = call->items[1];
    if (is_negated || prefix->kind != EXPRESSION_LITERAL || prefix->literal.type != VALUE_STRING ||
        !is_key_column(deriver, column)) {
        return everything(deriver);
    }
    if (column->column < deriver->column) {
        const struct value *assumed = &deriver->assumed_values[column->column];
        bool holds = assumed->type == VALUE_STRING &&
                     slice_has_prefix(value_slice(assumed), value_slice(&prefix->literal));
        return holds ? everything(deriver) : nothing();
    }
    if (column->column > deriver->column) return everything(deriver);

    // Without the two bytes that end the string. What follows the last string is found by counting
    // up the last byte that can be; at worst that is the type.
    struct slice encoded = encode(deriver, &prefix->literal, false);
    assert(encoded.size >= 3);
    struct slice begin = slice_from(encoded.data, encoded.size - 2);
    struct slice copy = arena_copy(scratch_of(deriver), begin);
    char *end = (char *)copy.data;
    size_t size = copy.size;
    while ((unsigned char)end[size - 1] == 0xff) size--;
    end[size - 1]++;
    struct interval_set set = {ARENA_NEW(scratch_of(deriver), struct interval, 1), 1};
    set.intervals[0] = (struct interval){begin, slice_from(end, size)};
    return set;
}

// The values of the column that is looked at with which the predicate, or its negation, can be true
// while the columns before have their assumed values.
static struct interval_set derive(
    struct deriver *deriver, const struct expression *predicate, bool is_negated)
{
    if (++deriver->step_count > STEP_COUNT_MAX) return everything(deriver);
    switch ((enum expression_kind)predicate->kind) {
    case EXPRESSION_LITERAL: {
        const struct value *literal = &predicate->literal;
        bool is_true = literal->type == VALUE_BOOLEAN && literal->boolean != is_negated;
        return is_true ? everything(deriver) : nothing();
    }
    case EXPRESSION_AND:
    case EXPRESSION_OR: {
        bool intersects = (predicate->kind == EXPRESSION_AND) != is_negated;
        struct interval_set set = intersects ? everything(deriver) : nothing();
        // A long OR is united in pairs of growing size, so that it costs n log n: the sets wait on
        // a stack, as the digits of a binary counter.
        struct interval_set waiting[64];
        uint32_t waiting_count = 0;
        for (uint32_t i = 0; i < predicate->count; i++) {
            struct interval_set item = derive(deriver, predicate->items[i], is_negated);
            if (intersects) {
                set = intersect(deriver, set, item);
                if (set.count == 0) return set;
                continue;
            }
            for (uint32_t bit = i; bit & 1; bit >>= 1) {
                item = unite(deriver, waiting[--waiting_count], item);
            }
            waiting[waiting_count++] = item;
        }
        while (waiting_count > 0) set = unite(deriver, set, waiting[--waiting_count]);
        return set;
    }
    case EXPRESSION_NOT: return derive(deriver, predicate->items[0], !is_negated);
    case EXPRESSION_COMPARE: return derive_compare(deriver, predicate, is_negated);
    case EXPRESSION_COMPARE_TUPLE: return derive_compare_tuple(deriver, predicate, is_negated);
    case EXPRESSION_IN: return derive_in(deriver, predicate, is_negated);
    case EXPRESSION_IS_NULL: {
        const struct expression *item = predicate->items[0];
        if (!is_key_column(deriver, item)) return everything(deriver);
        const struct value null = value_null(0);
        enum relation relation = is_negated ? RELATION_NOT_EQUAL : RELATION_EQUAL;
        return restrict_column(deriver, item->column, relation, &null, false);
    }
    case EXPRESSION_COLUMN: {
        if (!is_key_column(deriver, predicate)) return everything(deriver);
        const struct value wanted = value_boolean(0, !is_negated);
        return restrict_column(deriver, predicate->column, RELATION_EQUAL, &wanted, false);
    }
    case EXPRESSION_CALL:
        if (strcmp(predicate->function->name, "is_prefix") != 0) return everything(deriver);
        return derive_prefix(deriver, predicate, is_negated);
    case EXPRESSION_AGGREGATE:
    case EXPRESSION_NEGATE:
    case EXPRESSION_NEGATE_DOUBLE:
    case EXPRESSION_BIT_NOT:
    case EXPRESSION_ADD:
    case EXPRESSION_SUBTRACT:
    case EXPRESSION_MULTIPLY:
    case EXPRESSION_DIVIDE_INT64:
    case EXPRESSION_DIVIDE_UINT64:
    case EXPRESSION_MODULO_INT64:
    case EXPRESSION_MODULO_UINT64:
    case EXPRESSION_ADD_DOUBLE:
    case EXPRESSION_SUBTRACT_DOUBLE:
    case EXPRESSION_MULTIPLY_DOUBLE:
    case EXPRESSION_DIVIDE_DOUBLE:
    case EXPRESSION_BIT_AND:
    case EXPRESSION_BIT_OR:
    case EXPRESSION_BIT_XOR:
    case EXPRESSION_SHIFT_LEFT:
    case EXPRESSION_SHIFT_RIGHT_INT64:
    case EXPRESSION_SHIFT_RIGHT_UINT64:
    case EXPRESSION_LIKE:
    case EXPRESSION_IF:
    case EXPRESSION_CASE:
    case EXPRESSION_COALESCE:
    case EXPRESSION_TRANSFORM: return everything(deriver);
    }
    return everything(deriver);
}

static struct slice join_bytes(struct arena *arena, struct slice a, struct slice b)
{
    char *bytes = arena_alloc(arena, a.size + b.size);
    if (a.size > 0) memcpy(bytes, a.data, a.size);
    if (b.size > 0) memcpy(bytes + a.size, b.data, b.size);
    return slice_from(bytes, a.size + b.size);
}

// How many bytes at the end of the prefix are values that are null, of one byte each.
static size_t trailing_null_size(const struct deriver *deriver)
{
    size_t size = 0;
    while (size < deriver->column &&
           deriver->assumed_values[deriver->column - 1 - size].type == VALUE_NULL) {
        size++;
    }
    return size;
}

// Adds the keys that begin with the prefix and go on in the interval.
static void add_range(struct deriver *deriver, struct interval interval)
{
    struct slice prefix = buffer_slice(&deriver->prefix);
    // A key written before the last key columns were added is shorter; they are null in it. So a
    // range that begins with nulls begins before them.
    struct slice begin_prefix = prefix;
    bool is_null = interval.begin.size == 1 && interval.begin.data[0] == VALUE_NULL;
    if (is_null) interval.begin = slice_from("", 0);
    if (interval.begin.size == 0) begin_prefix.size -= trailing_null_size(deriver);
    struct row_range range = {.begin = join_bytes(deriver->arena, begin_prefix, interval.begin)};
    if (interval.end.size > 0) {
        range.end = join_bytes(deriver->arena, prefix, interval.end);
    } else if (prefix.size > 0) {
        CLEANUP(buffer_releasep) struct buffer end = {0};
        buffer_append_slice(&end, prefix);
        key_successor(&end);
        range.end = arena_copy(deriver->arena, buffer_slice(&end));
    }
    // Ranges that touch are one. Beyond the limit the last one is widened instead.
    if (deriver->range_count > 0) {
        struct row_range *last = &deriver->ranges[deriver->range_count - 1];
        assert(last->end.size > 0 && slice_compare(last->end, range.begin) <= 0);
        if (slice_equal(last->end, range.begin) ||
            deriver->range_count == deriver->range_count_max) {
            deriver->is_widened |= !slice_equal(last->end, range.begin);
            last->end = range.end;
            return;
        }
    }
    if (deriver->range_count == deriver->range_capacity) {
        size_t capacity = MAX(4, deriver->range_capacity * 2);
        struct row_range *ranges = ARENA_NEW(deriver->arena, struct row_range, capacity);
        if (deriver->range_count > 0) {
            memcpy(ranges, deriver->ranges, deriver->range_count * sizeof *ranges);
        }
        deriver->ranges = ranges;
        deriver->range_capacity = capacity;
    }
    deriver->ranges[deriver->range_count++] = range;
}

static bool is_point(struct interval interval)
{
    return interval.begin.size > 0 && interval.end.size == interval.begin.size + 1 &&
           slice_has_prefix(interval.end, interval.begin) &&
           (unsigned char)interval.end.data[interval.begin.size] == 0xff;
}

// Adds the ranges of the column that is looked at and those after it.
static void follow(struct deriver *deriver)
{
    arena_reset(scratch_of(deriver));
    struct interval_set set = derive(deriver, deriver->predicate, false);
    uint16_t column = deriver->column;
    bool is_last = column + 1 == deriver->schema->key_column_count;
    for (size_t i = 0; i < set.count; i++) {
        if (is_last || !is_point(set.intervals[i]) || deriver->step_count > STEP_COUNT_MAX) {
            add_range(deriver, set.intervals[i]);
            continue;
        }
        struct value *assumed = &deriver->assumed_values[column];
        size_t value_count = 0;
        struct error *error =
            key_decode(scratch_of(deriver), set.intervals[i].begin, 1, assumed, &value_count);
        assert(!error && value_count == 1); // We have encoded it ourselves.
        size_t prefix_size = deriver->prefix.size;
        buffer_append_slice(&deriver->prefix, set.intervals[i].begin);
        deriver->column++;
        follow(deriver);
        deriver->column = column;
        deriver->prefix.size = prefix_size;
    }
}

void ranges_derive(
    struct arena *arena,
    const struct expression *predicate,
    const struct schema *schema,
    size_t count_max,
    struct row_range **ret_ranges,
    size_t *ret_count,
    bool *ret_is_exact)
{
    *ret_is_exact = false;
    if (!predicate || schema->key_column_count == 0) {
        bool is_nothing = predicate && predicate->kind == EXPRESSION_LITERAL &&
                          !(predicate->literal.type == VALUE_BOOLEAN && predicate->literal.boolean);
        *ret_ranges = ARENA_NEW(arena, struct row_range, 1);
        *ret_count = is_nothing ? 0 : 1;
        return;
    }
    assert(schema->key_column_count <= SCHEMA_KEY_COLUMN_COUNT_MAX);
    struct deriver deriver = {
        .arena = arena,
        .schema = schema,
        .predicate = predicate,
        .range_count_max = count_max,
    };
    follow(&deriver);
    buffer_release(&deriver.prefix);
    for (uint16_t i = 0; i < schema->key_column_count; i++) arena_release(&deriver.scratch[i]);
    *ret_ranges = deriver.ranges;
    *ret_count = deriver.range_count;
    *ret_is_exact = !deriver.is_widened && deriver.step_count <= STEP_COUNT_MAX;
}

static bool is_first_column(const struct expression *expression)
{
    return expression->kind == EXPRESSION_COLUMN && expression->column == 0;
}

static bool is_literal(const struct expression *expression)
{
    return expression->kind == EXPRESSION_LITERAL;
}

bool ranges_decide(const struct expression *part)
{
    if (part->kind == EXPRESSION_COMPARE) {
        const struct expression *left = part->items[0];
        const struct expression *right = part->items[1];
        return (is_first_column(left) && is_literal(right)) ||
               (is_literal(left) && is_first_column(right));
    }
    if (part->kind == EXPRESSION_IN) return part->count == 1 && is_first_column(part->items[0]);
    if (part->kind != EXPRESSION_AND && part->kind != EXPRESSION_OR) return false;
    for (uint32_t i = 0; i < part->count; i++) {
        if (!ranges_decide(part->items[i])) return false;
    }
    return true;
}
