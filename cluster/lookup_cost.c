#include "cluster/lookup_cost.h"

#include "base/base.h"

enum { NS_PER_US = 1000, WEIGHT = 8 };

// An hour for one key: what is more says nothing else, and sums stay within 64 bits.
static const uint64_t KEY_NS_MAX = UINT64_C(3600) * 1000000 * NS_PER_US;

void lookup_cost_learn(struct lookup_cost *cost, uint64_t key_count, uint64_t spent_us)
{
    if (key_count == 0) return;
    uint64_t key_ns = MIN(spent_us, KEY_NS_MAX / NS_PER_US) * NS_PER_US / key_count;
    cost->key_ns = (cost->key_ns * (WEIGHT - 1) + key_ns) / WEIGHT;
}

bool lookup_cost_is_long(const struct lookup_cost *cost, uint64_t key_count)
{
    if (cost->key_ns == 0) return false;
    return key_count > READER_AWAY_US * NS_PER_US / cost->key_ns;
}
