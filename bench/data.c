#include "bench/data.h"

#include "base/rng.h"

#include <assert.h>

enum { OFFSET_COUNT = 65521 }; // Prime, so that neighbours' values have nothing in common.

static char text[OFFSET_COUNT + DATA_VALUE_SIZE_MAX];

void data_init(void)
{
    static const char ALPHABET[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
    struct rng rng = {.state = 1};
    for (size_t i = 0; i < sizeof text; i++) text[i] = ALPHABET[rng_next(&rng) % 64];
}

struct slice data_value(int64_t key, uint32_t size)
{
    assert(size <= DATA_VALUE_SIZE_MAX);
    return slice_from(text + (uint64_t)key * 40503 % OFFSET_COUNT, size);
}
