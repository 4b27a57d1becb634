// The few words the project adds to C. Include it anywhere; it depends on nothing.
#pragma once

#include <stdlib.h>

// Runs `function(&variable)` when the variable goes out of scope, whichever way that happens:
//     CLEANUP(error_freep) struct error *error = store_open(path, &store);
#define CLEANUP(function) __attribute__((cleanup(function)))

// Takes the pointer out of a variable and leaves NULL, so that its cleanup has nothing to do:
//     *ret_store = TAKE(store);
#define TAKE(pointer)                           \
    __extension__({                             \
        __typeof__(pointer) taken_ = (pointer); \
        (pointer) = NULL;                       \
        taken_;                                 \
    })

#define MUST_USE                 __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

// Each argument is evaluated once; the counter keeps nested ones apart.
#define MIN(a, b)           SELECT_(a, b, <, __COUNTER__)
#define MAX(a, b)           SELECT_(a, b, >, __COUNTER__)
#define SELECT_(a, b, o, n) SELECT__(a, b, o, n)
#define SELECT__(a, b, o, n)                         \
    __extension__({                                  \
        const __typeof__((a) + (b)) left_##n = (a);  \
        const __typeof__((a) + (b)) right_##n = (b); \
        left_##n o right_##n ? left_##n : right_##n; \
    })

// Everything that grows has a limit, so when memory runs out it is a limit that is wrong, and there
// is nothing to do about that here but stop: must_alloc(calloc(1, sizeof *tablet)).
MUST_USE static inline void *must_alloc(void *memory)
{
    if (!memory) abort();
    return memory;
}
