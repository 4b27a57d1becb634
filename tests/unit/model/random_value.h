// Random values for tests of rows and keys: small ranges, so that equal ones and neighbours occur,
// and the edges.
#pragma once

#include "base/rng.h"
#include "model/value.h"
#include "tests/unit/model/random_node.h"

#include <float.h>
#include <math.h>

static inline struct value random_value(struct arena *arena, struct rng *rng, uint16_t column)
{
    static const int64_t INTEGERS[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, 127, 128, INT64_MAX};
    static const double DOUBLES[] = {
        0, -0.0, 1, -1, 0.5, -DBL_MAX, DBL_MAX, DBL_MIN, 5e-324, NAN, INFINITY, -INFINITY};
    struct value value = value_null(column);
    switch (rng_below(rng, 8)) {
    case 0: return value;
    case 1:
        value = value_int64(column, INTEGERS[rng_below(rng, sizeof INTEGERS / sizeof *INTEGERS)]);
        return value;
    case 2: return value_int64(column, (int64_t)random_number(rng));
    case 3: return value_uint64(column, random_number(rng));
    case 4: return value_double(column, DOUBLES[rng_below(rng, sizeof DOUBLES / sizeof *DOUBLES)]);
    case 5: return value_boolean(column, rng_chance(rng, 50));
    default: break;
    }
    // Zeros and ones matter to keys.
    char bytes[6];
    size_t size = (size_t)rng_below(rng, sizeof bytes + 1);
    for (size_t i = 0; i < size; i++) {
        static const char BYTES[] = {0, 0, 1, 'a', (char)0xff};
        bytes[i] = BYTES[rng_below(rng, sizeof BYTES)];
    }
    value = value_string(column, arena_copy(arena, slice_from(bytes, size)));
    if (rng_chance(rng, 30)) value.type = VALUE_ANY;
    return value;
}
