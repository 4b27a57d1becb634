#include "cluster/query/evaluate.h"

#include <assert.h>

static const struct value value_nothing = {.type = VALUE_NULL};
static const struct value value_true = {.type = VALUE_BOOLEAN, .boolean = true};
static const struct value value_false = {.type = VALUE_BOOLEAN, .boolean = false};

void evaluator_init(struct evaluator *evaluator, uint32_t slot_count)
{
    *evaluator = (struct evaluator){
        .slots = must_alloc(calloc(MAX(slot_count, 1), sizeof(struct value))),
    };
    evaluator->context.scratch = &evaluator->scratch;
}

void evaluator_release(struct evaluator *evaluator)
{
    free(evaluator->slots);
    arena_release(&evaluator->scratch);
    regex_cache_release(&evaluator->context.regexes);
    error_free(evaluator->context.error);
    *evaluator = (struct evaluator){0};
}

static const struct value *boolean_value(bool boolean)
{
    return boolean ? &value_true : &value_false;
}

static bool is_true(const struct value *value)
{
    return value->type == VALUE_BOOLEAN && value->boolean;
}

static bool is_false(const struct value *value)
{
    return value->type == VALUE_BOOLEAN && !value->boolean;
}

static const struct value *divide_by_zero(struct evaluator *evaluator)
{
    if (!evaluator->context.error) {
        evaluator->context.error = error_new(ERROR_GENERIC, "Division by zero");
    }
    return &value_nothing;
}

// Shifts by 64 and more, or by a negative count, leave nothing of the number.
static uint64_t shift_left(uint64_t number, uint64_t count)
{
    return count < 64 ? number << count : 0;
}

static uint64_t shift_right(uint64_t number, uint64_t count)
{
    return count < 64 ? number >> count : 0;
}

static int64_t shift_right_signed(int64_t number, uint64_t count)
{
    return number >> MIN(count, 63);
}

// Truncates toward zero, as in C; the least number divided by -1 wraps around to itself.
static int64_t divide_signed(int64_t a, int64_t b)
{
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static int64_t modulo_signed(int64_t a, int64_t b)
{
    return b == -1 ? 0 : a % b;
}

static int compare(const struct value *a, const struct value *b)
{
    // The frequent case first.
    if (a->type == VALUE_INT64 && b->type == VALUE_INT64) {
        return (a->int64 > b->int64) - (a->int64 < b->int64);
    }
    return value_compare(a, b);
}

// The number of the tuple that the first items of an IN or TRANSFORM are equal to, or UINT32_MAX.
static uint32_t find_tuple(
    struct evaluator *evaluator, const struct expression *expression, const struct value *row)
{
    const struct value *tuple[EXPRESSION_TUPLE_SIZE_MAX];
    uint32_t size = expression_tuple_size(expression);
    assert(size <= EXPRESSION_TUPLE_SIZE_MAX);
    for (uint32_t i = 0; i < size; i++) tuple[i] = evaluate(evaluator, expression->items[i], row);
    uint32_t begin = 0;
    uint32_t end = expression->value_count;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        const struct value *values = &expression->values[(size_t)middle * size];
        int order = 0;
        for (uint32_t i = 0; i < size && order == 0; i++) order = compare(tuple[i], &values[i]);
        if (order == 0) return middle;
        if (order < 0) {
            end = middle;
        } else {
            begin = middle + 1;
        }
    }
    return UINT32_MAX;
}

static const struct value *evaluate_transform(
    struct evaluator *evaluator, const struct expression *expression, const struct value *row)
{
    uint32_t index = find_tuple(evaluator, expression, row);
    if (index != UINT32_MAX) return &expression->results[index];
    if (!expression->has_default) return &value_nothing;
    return evaluate(evaluator, expression->items[expression->count - 1], row);
}

static const struct value *evaluate_case(
    struct evaluator *evaluator, const struct expression *expression, const struct value *row)
{
    struct expression *const *items = expression->items;
    for (uint32_t i = 0; i + 1 < expression->count; i += 2) {
        if (is_true(evaluate(evaluator, items[i], row)))
            return evaluate(evaluator, items[i + 1], row);
    }
    if (expression->count % 2 == 0) return &value_nothing;
    return evaluate(evaluator, items[expression->count - 1], row);
}

static const struct value *evaluate_coalesce(
    struct evaluator *evaluator, const struct expression *expression, const struct value *row)
{
    for (uint32_t i = 0; i < expression->count; i++) {
        const struct value *item = evaluate(evaluator, expression->items[i], row);
        if (item->type != VALUE_NULL) return item;
    }
    return &value_nothing;
}

static const struct value *evaluate_compare_tuple(
    struct evaluator *evaluator, const struct expression *expression, const struct value *row)
{
    int order = 0;
    for (uint32_t i = 0; i < expression->count && order == 0; i += 2) {
        const struct value *left = evaluate(evaluator, expression->items[i], row);
        const struct value *right = evaluate(evaluator, expression->items[i + 1], row);
        order = compare(left, right);
    }
    return boolean_value(relation_holds(expression->relation, order));
}

// Three-valued: an item that decides does so whatever nulls there are.
static const struct value *evaluate_and(
    struct evaluator *evaluator, const struct expression *expression, const struct value *row)
{
    const struct value *result = &value_true;
    for (uint32_t i = 0; i < expression->count; i++) {
        const struct value *item = evaluate(evaluator, expression->items[i], row);
        if (is_false(item)) return &value_false;
        if (item->type == VALUE_NULL) result = &value_nothing;
    }
    return result;
}

static const struct value *evaluate_or(
    struct evaluator *evaluator, const struct expression *expression, const struct value *row)
{
    const struct value *result = &value_false;
    for (uint32_t i = 0; i < expression->count; i++) {
        const struct value *item = evaluate(evaluator, expression->items[i], row);
        if (is_true(item)) return &value_true;
        if (item->type == VALUE_NULL) result = &value_nothing;
    }
    return result;
}

static const struct value *exceed_scratch(struct evaluator *evaluator)
{
    if (!evaluator->context.error) {
        evaluator->context.error = error_set_u64(
            error_new(ERROR_GENERIC, "Strings computed for one row take too much memory"),
            "limit",
            EVALUATOR_SCRATCH_SIZE_MAX);
    }
    return &value_nothing;
}

static const struct value *evaluate_call(
    struct evaluator *evaluator, const struct expression *expression, const struct value *row)
{
    const struct value *arguments[EXPRESSION_TUPLE_SIZE_MAX];
    const struct function *function = expression->function;
    assert(expression->count <= EXPRESSION_TUPLE_SIZE_MAX);
    for (uint32_t i = 0; i < expression->count; i++) {
        arguments[i] = evaluate(evaluator, expression->items[i], row);
        if (arguments[i]->type == VALUE_NULL && !function->takes_null) return &value_nothing;
    }
    if (evaluator->scratch.size > EVALUATOR_SCRATCH_SIZE_MAX) return exceed_scratch(evaluator);
    struct value *slot = &evaluator->slots[expression->slot];
    *slot = function->call(&evaluator->context, arguments, expression->count);
    return slot;
}

static char lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

// The size of the UTF-8 character at the beginning of a text that is not empty; of a byte that
// begins none, 1.
static size_t character_size(struct slice text)
{
    unsigned char first = (unsigned char)text.data[0];
    size_t size = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    size = MIN(size, text.size);
    for (size_t i = 1; i < size; i++) {
        if (((unsigned char)text.data[i] & 0xc0) != 0x80) return 1;
    }
    return size;
}

// Goes back to the last `%` only: what an earlier one took need never be taken differently.
static bool matches(const struct expression *like, struct slice text, struct slice pattern)
{
    size_t text_index = 0;
    size_t pattern_index = 0;
    size_t retry_text = 0;
    size_t retry_pattern = SIZE_MAX;
    while (text_index < text.size) {
        if (pattern_index < pattern.size) {
            char wanted = pattern.data[pattern_index];
            bool is_escaped =
                like->has_escape && wanted == like->escape && pattern_index + 1 < pattern.size;
            if (is_escaped) wanted = pattern.data[pattern_index + 1];
            if (!is_escaped && wanted == '%') {
                retry_pattern = ++pattern_index;
                retry_text = text_index;
                continue;
            }
            if (!is_escaped && wanted == '_') {
                text_index +=
                    character_size(slice_from(text.data + text_index, text.size - text_index));
                pattern_index++;
                continue;
            }
            char found = text.data[text_index];
            if (like->ignores_case ? lower(found) == lower(wanted) : found == wanted) {
                text_index++;
                pattern_index += is_escaped ? 2 : 1;
                continue;
            }
        }
        if (retry_pattern == SIZE_MAX) return false;
        retry_text += character_size(slice_from(text.data + retry_text, text.size - retry_text));
        text_index = retry_text;
        pattern_index = retry_pattern;
    }
    while (pattern_index < pattern.size && pattern.data[pattern_index] == '%') pattern_index++;
    return pattern_index == pattern.size;
}

const struct value *evaluate(
    struct evaluator *evaluator, const struct expression *expression, const struct value *row)
{
    struct value *slot = &evaluator->slots[expression->slot];
    struct expression *const *items = expression->items;

// Both operands, and null for null.
#define OPERANDS                                                \
    const struct value *a = evaluate(evaluator, items[0], row); \
    const struct value *b = evaluate(evaluator, items[1], row); \
    if (a->type == VALUE_NULL || b->type == VALUE_NULL) return &value_nothing;

// What an operator gives: a value of the expression's type.
#define RESULT(field, number)      \
    slot->type = expression->type; \
    slot->field = (number);        \
    return slot;

    switch ((enum expression_kind)expression->kind) {
    case EXPRESSION_LITERAL: return &expression->literal;
    case EXPRESSION_COLUMN: {
        const struct value *value = &row[expression->column];
        // The source keeps to the schema; a string in place of a number would be read as a pointer.
        assert(
            value->type == expression->type || value->type == VALUE_NULL ||
            expression->type == VALUE_ANY);
        return value;
    }
    case EXPRESSION_AGGREGATE:
        assert(false && "aggregates are columns of the group row by now");
        return &value_nothing;
    case EXPRESSION_NEGATE: {
        const struct value *a = evaluate(evaluator, items[0], row);
        if (a->type == VALUE_NULL) return a;
        RESULT(uint64, 0 - a->uint64)
    }
    case EXPRESSION_NEGATE_DOUBLE: {
        const struct value *a = evaluate(evaluator, items[0], row);
        if (a->type == VALUE_NULL) return a;
        RESULT(real, -a->real)
    }
    case EXPRESSION_BIT_NOT: {
        const struct value *a = evaluate(evaluator, items[0], row);
        if (a->type == VALUE_NULL) return a;
        RESULT(uint64, ~a->uint64)
    }
    case EXPRESSION_ADD: {
        OPERANDS
        RESULT(uint64, a->uint64 + b->uint64)
    }
    case EXPRESSION_SUBTRACT: {
        OPERANDS
        RESULT(uint64, a->uint64 - b->uint64)
    }
    case EXPRESSION_MULTIPLY: {
        OPERANDS
        RESULT(uint64, a->uint64 * b->uint64)
    }
    case EXPRESSION_DIVIDE_INT64: {
        OPERANDS
        if (b->int64 == 0) return divide_by_zero(evaluator);
        RESULT(int64, divide_signed(a->int64, b->int64))
    }
    case EXPRESSION_DIVIDE_UINT64: {
        OPERANDS
        if (b->uint64 == 0) return divide_by_zero(evaluator);
        RESULT(uint64, a->uint64 / b->uint64)
    }
    case EXPRESSION_MODULO_INT64: {
        OPERANDS
        if (b->int64 == 0) return divide_by_zero(evaluator);
        RESULT(int64, modulo_signed(a->int64, b->int64))
    }
    case EXPRESSION_MODULO_UINT64: {
        OPERANDS
        if (b->uint64 == 0) return divide_by_zero(evaluator);
        RESULT(uint64, a->uint64 % b->uint64)
    }
    case EXPRESSION_ADD_DOUBLE: {
        OPERANDS
        RESULT(real, a->real + b->real)
    }
    case EXPRESSION_SUBTRACT_DOUBLE: {
        OPERANDS
        RESULT(real, a->real - b->real)
    }
    case EXPRESSION_MULTIPLY_DOUBLE: {
        OPERANDS
        RESULT(real, a->real * b->real)
    }
    case EXPRESSION_DIVIDE_DOUBLE: {
        OPERANDS
        RESULT(real, a->real / b->real)
    }
    case EXPRESSION_BIT_AND: {
        OPERANDS
        RESULT(uint64, a->uint64 & b->uint64)
    }
    case EXPRESSION_BIT_OR: {
        OPERANDS
        RESULT(uint64, a->uint64 | b->uint64)
    }
    case EXPRESSION_BIT_XOR: {
        OPERANDS
        RESULT(uint64, a->uint64 ^ b->uint64)
    }
    case EXPRESSION_SHIFT_LEFT: {
        OPERANDS
        RESULT(uint64, shift_left(a->uint64, b->uint64))
    }
    case EXPRESSION_SHIFT_RIGHT_INT64: {
        OPERANDS
        RESULT(int64, shift_right_signed(a->int64, b->uint64))
    }
    case EXPRESSION_SHIFT_RIGHT_UINT64: {
        OPERANDS
        RESULT(uint64, shift_right(a->uint64, b->uint64))
    }
    case EXPRESSION_COMPARE: {
        const struct value *a = evaluate(evaluator, items[0], row);
        const struct value *b = evaluate(evaluator, items[1], row);
        return boolean_value(relation_holds(expression->relation, compare(a, b)));
    }
    case EXPRESSION_COMPARE_TUPLE: return evaluate_compare_tuple(evaluator, expression, row);
    case EXPRESSION_IN: return boolean_value(find_tuple(evaluator, expression, row) != UINT32_MAX);
    case EXPRESSION_AND: return evaluate_and(evaluator, expression, row);
    case EXPRESSION_OR: return evaluate_or(evaluator, expression, row);
    case EXPRESSION_NOT: {
        const struct value *a = evaluate(evaluator, items[0], row);
        return a->type == VALUE_NULL ? a : boolean_value(!a->boolean);
    }
    case EXPRESSION_IS_NULL:
        return boolean_value(evaluate(evaluator, items[0], row)->type == VALUE_NULL);
    case EXPRESSION_LIKE: {
        OPERANDS
        return boolean_value(matches(expression, value_slice(a), value_slice(b)));
    }
    case EXPRESSION_IF: {
        const struct value *condition = evaluate(evaluator, items[0], row);
        if (condition->type == VALUE_NULL) return condition;
        return evaluate(evaluator, items[condition->boolean ? 1 : 2], row);
    }
    case EXPRESSION_CASE: return evaluate_case(evaluator, expression, row);
    case EXPRESSION_COALESCE: return evaluate_coalesce(evaluator, expression, row);
    case EXPRESSION_TRANSFORM: return evaluate_transform(evaluator, expression, row);
    case EXPRESSION_CALL: return evaluate_call(evaluator, expression, row);
    }
    return &value_nothing;
#undef OPERANDS
#undef RESULT
}
