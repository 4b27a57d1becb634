// The scalar functions of the query language, as a table: names, types, and code.
//
// The table is in functions.c, the code in functions_*.c. To add a function, write it beside its
// kin, declare it in functions_code.h, and give it a line in the table. if, case, coalesce,
// transform, is_null and the aggregates are not here: the typer makes other nodes of them.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "cluster/query/regex_cache.h"
#include "model/value.h"

// Sets of types, for arguments.
enum {
    TYPES_INT64 = 1 << 0,
    TYPES_UINT64 = 1 << 1,
    TYPES_DOUBLE = 1 << 2,
    TYPES_BOOLEAN = 1 << 3,
    TYPES_STRING = 1 << 4,
    TYPES_ANY = 1 << 5,
    TYPES_INTEGER = TYPES_INT64 | TYPES_UINT64,
    TYPES_NUMBER = TYPES_INTEGER | TYPES_DOUBLE,
    TYPES_SCALAR = TYPES_NUMBER | TYPES_BOOLEAN | TYPES_STRING,
};

enum { FUNCTION_PARAMETER_COUNT_MAX = 3 };

// What a function may use beside its arguments.
struct function_context {
    struct arena *scratch; // For the bytes of results; emptied when the row has been dealt with.
    struct error *error;   // Set to fail.
    struct regex_cache regexes;
};

typedef struct value function_code(
    struct function_context *context, const struct value *const *arguments, uint32_t count);

struct function {
    const char *name;
    uint8_t argument_count_min;
    uint8_t argument_count_max;
    uint8_t types[FUNCTION_PARAMETER_COUNT_MAX]; // Of arguments; the last one repeats.
    bool is_uniform;                             // All arguments are of one type,
    enum value_type result; // which is that of the result if this says VALUE_NULL.
    bool takes_null;        // Otherwise null gives null and the function is not called.
    // A call may take a second: it is not computed while a query is bound, nor for a computed
    // column, and a step of a query with it is one row.
    bool is_slow;
    // Gives the value of a call; `column` of it is not looked at.
    function_code *call;
};

// Finds a function; its name is not case-sensitive. NULL if there is none.
const struct function *function_find(struct slice name);

static inline unsigned types_of(enum value_type type)
{
    switch (type) {
    case VALUE_NULL: return 0;
    case VALUE_INT64: return TYPES_INT64;
    case VALUE_UINT64: return TYPES_UINT64;
    case VALUE_DOUBLE: return TYPES_DOUBLE;
    case VALUE_BOOLEAN: return TYPES_BOOLEAN;
    case VALUE_STRING: return TYPES_STRING;
    case VALUE_ANY: return TYPES_ANY;
    }
    return 0;
}
