#include "cluster/query/cardinality.h"

#include <assert.h>
#include <math.h>

enum {
    PRECISION = 14,
    REGISTER_COUNT = 1 << PRECISION,
    RANK_MAX = 64 - PRECISION + 1,
    CAPACITY_MIN = 8,
};

static_assert(
    CARDINALITY_EXACT_MAX * 2 * sizeof(uint64_t) <= 2 * REGISTER_COUNT,
    "being exact costs no more than twice the registers");

// The first bits choose a register, which keeps the greatest rank: how many zeros the rest of a
// hash begins with, and one more.
static void update_register(uint8_t *registers, uint64_t hash)
{
    uint64_t rest = hash << PRECISION;
    uint8_t rank = rest == 0 ? RANK_MAX : (uint8_t)(__builtin_clzll(rest) + 1);
    uint8_t *place = &registers[hash >> (64 - PRECISION)];
    if (rank > *place) *place = rank;
}

// Puts a hash into its place; false if it is there already.
static bool put(uint64_t *hashes, uint32_t capacity, uint64_t hash)
{
    uint32_t mask = capacity - 1;
    uint32_t i = (uint32_t)hash & mask;
    while (hashes[i] != 0) {
        if (hashes[i] == hash) return false;
        i = (i + 1) & mask;
    }
    hashes[i] = hash;
    return true;
}

static void grow(struct cardinality *cardinality, struct arena *arena)
{
    uint32_t capacity = MAX(2 * cardinality->capacity, (uint32_t)CAPACITY_MIN);
    uint64_t *hashes = ARENA_NEW(arena, uint64_t, capacity);
    for (uint32_t i = 0; i < cardinality->capacity; i++) {
        if (cardinality->hashes[i] != 0) put(hashes, capacity, cardinality->hashes[i]);
    }
    cardinality->hashes = hashes;
    cardinality->capacity = capacity;
}

static void use_registers(struct cardinality *cardinality, struct arena *arena)
{
    cardinality->registers = arena_alloc(arena, REGISTER_COUNT);
    for (uint32_t i = 0; i < cardinality->capacity; i++) {
        uint64_t hash = cardinality->hashes[i];
        if (hash != 0) update_register(cardinality->registers, hash);
    }
    cardinality->hashes = NULL;
    cardinality->capacity = 0;
}

void cardinality_add(struct cardinality *cardinality, struct arena *arena, uint64_t hash)
{
    if (hash == 0) hash = 1; // 0 is a free place.
    if (cardinality->registers) {
        update_register(cardinality->registers, hash);
        return;
    }
    if (cardinality->count * 2 >= cardinality->capacity) grow(cardinality, arena);
    if (!put(cardinality->hashes, cardinality->capacity, hash)) return;
    if (++cardinality->count > CARDINALITY_EXACT_MAX) use_registers(cardinality, arena);
}

void cardinality_merge(
    struct cardinality *cardinality, struct arena *arena, const struct cardinality *other)
{
    for (uint32_t i = 0; i < other->capacity; i++) {
        if (other->hashes[i] != 0) cardinality_add(cardinality, arena, other->hashes[i]);
    }
    if (!other->registers) return;
    if (!cardinality->registers) use_registers(cardinality, arena);
    for (uint32_t i = 0; i < REGISTER_COUNT; i++) {
        if (other->registers[i] > cardinality->registers[i]) {
            cardinality->registers[i] = other->registers[i];
        }
    }
}

// The two series of the paper: for registers that are still 0, and for those that are full.
static double sigma(double x)
{
    if (x == 1) return INFINITY;
    double y = 1;
    double z = x;
    for (double previous = -1; z != previous;) {
        x *= x;
        previous = z;
        z += x * y;
        y += y;
    }
    return z;
}

static double tau(double x)
{
    if (x == 0 || x == 1) return 0;
    double y = 1;
    double z = 1 - x;
    for (double previous = -1; z != previous;) {
        x = sqrt(x);
        previous = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    }
    return z / 3;
}

uint64_t cardinality_count(const struct cardinality *cardinality)
{
    if (!cardinality->registers) return cardinality->count;
    uint32_t counts[RANK_MAX + 1] = {0};
    for (uint32_t i = 0; i < REGISTER_COUNT; i++) counts[cardinality->registers[i]]++;
    const double m = REGISTER_COUNT;
    double z = m * tau(1 - counts[RANK_MAX] / m);
    for (int rank = RANK_MAX - 1; rank >= 1; rank--) z = 0.5 * (z + counts[rank]);
    z += m * sigma(counts[0] / m);
    return (uint64_t)llround(m * m / (2 * log(2) * z));
}
