// Computes typed expressions over rows.
//
// It allocates nothing per row, but for functions that make strings; their bytes live until
// evaluator_reset.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "cluster/query/expression.h"
#include "cluster/query/functions.h"

#define EVALUATOR_SCRATCH_SIZE_MAX (UINT64_C(64) << 20) // Beyond it functions fail.

struct evaluator {
    struct value *slots;
    struct arena scratch;
    struct function_context context;
};

// For expressions whose slots are below `slot_count`. To stay at its address until released.
void evaluator_init(struct evaluator *evaluator, uint32_t slot_count);
void evaluator_release(struct evaluator *evaluator);

// The value of an expression over a row; `column` in it is not meant. Borrowed from the row, the
// expression or the evaluator, until evaluator_reset and as long as the row is there. If it fails,
// for example by a division by zero, the error is kept for evaluator_check and the value is null.
MUST_USE const struct value *evaluate(
    struct evaluator *evaluator, const struct expression *expression, const struct value *row);

// To be asked after the expressions of a row: takes the first error out of the evaluator.
MUST_USE static inline struct error *evaluator_check(struct evaluator *evaluator)
{
    return TAKE(evaluator->context.error);
}

// Frees the bytes of strings that functions made.
static inline void evaluator_reset(struct evaluator *evaluator)
{
    if (evaluator->scratch.chunks) arena_reset(&evaluator->scratch);
}
