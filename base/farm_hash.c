#include "base/farm_hash.h"

// The library is C++: this is util::Fingerprint64(const char *, size_t) by its name in the ABI.
// What it has for numbers is inline in its header, and is written again below.
uint64_t farmhash_fingerprint64(const char *data, size_t size) __asm__(
    "_ZN4util13Fingerprint64EPKcm");

#define MULTIPLIER UINT64_C(0x9ddfea08eb382d69)

uint64_t farm_fingerprint_bytes(struct slice bytes)
{
    return farmhash_fingerprint64(bytes.size > 0 ? bytes.data : "", bytes.size);
}

static uint64_t finish(uint64_t number)
{
    uint64_t mixed = number * MULTIPLIER;
    mixed ^= mixed >> 44;
    mixed *= MULTIPLIER;
    mixed ^= mixed >> 41;
    return mixed * MULTIPLIER;
}

uint64_t farm_fingerprint_number(uint64_t number)
{
    return finish(number);
}

uint64_t farm_fingerprint_pair(uint64_t first, uint64_t second)
{
    uint64_t mixed = (first ^ second) * MULTIPLIER;
    mixed ^= mixed >> 47;
    return finish(second ^ mixed);
}
