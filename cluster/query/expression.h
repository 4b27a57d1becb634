// A typed expression: names are resolved to positions in a row, types are checked, constants
// folded.
//
// A tree, never shared and never changed once it is bound. What evaluating it needs to write goes
// to slots outside, one for each node that computes a value.
#pragma once

#include "base/arena.h"
#include "model/value.h"

#define EXPRESSION_TUPLE_SIZE_MAX 64 // Of tuples, and of arguments of a function.

enum expression_kind {
    EXPRESSION_LITERAL,
    EXPRESSION_COLUMN,    // A position in the row.
    EXPRESSION_AGGREGATE, // A position among the aggregates; only until the group row is laid out.
    EXPRESSION_NEGATE,    // Of integers of either kind.
    EXPRESSION_NEGATE_DOUBLE,
    EXPRESSION_BIT_NOT,
    EXPRESSION_ADD, // These three do the same to integers of either kind.
    EXPRESSION_SUBTRACT,
    EXPRESSION_MULTIPLY,
    EXPRESSION_DIVIDE_INT64,
    EXPRESSION_DIVIDE_UINT64,
    EXPRESSION_MODULO_INT64,
    EXPRESSION_MODULO_UINT64,
    EXPRESSION_ADD_DOUBLE,
    EXPRESSION_SUBTRACT_DOUBLE,
    EXPRESSION_MULTIPLY_DOUBLE,
    EXPRESSION_DIVIDE_DOUBLE,
    EXPRESSION_BIT_AND,
    EXPRESSION_BIT_OR,
    EXPRESSION_BIT_XOR,
    EXPRESSION_SHIFT_LEFT,
    EXPRESSION_SHIFT_RIGHT_INT64,
    EXPRESSION_SHIFT_RIGHT_UINT64,
    EXPRESSION_COMPARE,       // Two items, by `relation`.
    EXPRESSION_COMPARE_TUPLE, // 2n items, left and right by turns; order relations only.
    EXPRESSION_IN,            // The items are a tuple; `values` the tuples it may be equal to.
    EXPRESSION_AND,
    EXPRESSION_OR,
    EXPRESSION_NOT,
    EXPRESSION_IS_NULL,
    EXPRESSION_LIKE,      // The text and the pattern.
    EXPRESSION_IF,        // Condition, then, else; null if the condition is.
    EXPRESSION_CASE,      // Pairs of condition and result, and a result otherwise (or null).
    EXPRESSION_COALESCE,  // The first item that is not null.
    EXPRESSION_TRANSFORM, // The items are a tuple, and a default; `values` as of IN, and `results`.
    EXPRESSION_CALL,      // `function` of the items.
};

enum relation {
    RELATION_EQUAL,
    RELATION_NOT_EQUAL,
    RELATION_LESS,
    RELATION_LESS_OR_EQUAL,
    RELATION_GREATER,
    RELATION_GREATER_OR_EQUAL,
};

struct function;

struct expression {
    uint8_t kind;     // enum expression_kind.
    uint8_t type;     // enum value_type of what it gives, if not null; VALUE_NULL: always null.
    uint8_t relation; // enum relation.
    // An integer that takes the type of what it is used with: a literal, or a choice of literals.
    bool is_flexible;
    bool ignores_case; // Of LIKE; so are the next two.
    bool has_escape;
    char escape;
    bool has_default; // Of TRANSFORM: the last item is what else it gives; otherwise null.
    uint16_t depth;   // 1 for a leaf.
    uint32_t slot;
    uint32_t column;      // Of COLUMN and AGGREGATE.
    uint32_t count;       // Of items.
    uint32_t value_count; // Of IN and TRANSFORM: how many tuples there are.
    struct expression **items;
    union {
        struct value literal;
        const struct function *function;
        struct {
            const struct value *values;  // Of IN and TRANSFORM: sorted, without repetition.
            const struct value *results; // Of TRANSFORM: one for each tuple.
        };
    };
};

// Whether two expressions are the same in structure, so that they have the same value in any row.
bool expression_equal(const struct expression *a, const struct expression *b);

// How many items of IN or TRANSFORM are the tuple that is looked for.
static inline uint32_t expression_tuple_size(const struct expression *expression)
{
    return expression->count - expression->has_default;
}

// Calls for every column in the expression.
void expression_each_column(
    const struct expression *expression,
    void (*visit)(void *context, uint32_t column),
    void *context);

// "int64", …; "null" for what is always null.
const char *expression_type_name(const struct expression *expression);

// The relation that holds of (b, a) when `relation` holds of (a, b).
enum relation relation_mirror(enum relation relation);

// The relation that holds when `relation` does not.
enum relation relation_negate(enum relation relation);

// Whether the relation holds of what compared as `order`: negative, zero or positive.
static inline bool relation_holds(enum relation relation, int order)
{
    switch (relation) {
    case RELATION_EQUAL: return order == 0;
    case RELATION_NOT_EQUAL: return order != 0;
    case RELATION_LESS: return order < 0;
    case RELATION_LESS_OR_EQUAL: return order <= 0;
    case RELATION_GREATER: return order > 0;
    case RELATION_GREATER_OR_EQUAL: return order >= 0;
    }
    return false;
}
