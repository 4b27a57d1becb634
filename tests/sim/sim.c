// retable-sim: runs worlds from seeds and checks them. Each seed runs twice and must leave the same
// trace.
//
//     retable-sim [--from N] [--count N] [--once] [--verbose]
//
// After a failure it prints the line that replays it.
#include "tests/sim/checks.h"

#include <inttypes.h>
#include <string.h>

struct options {
    uint64_t from;
    uint64_t count;
    bool is_once;
    bool is_verbose;
    const char *revision;
};

struct result {
    uint64_t trace;
    size_t transaction_count;
    char failure[512];
};

static struct result run(uint64_t seed, FILE *log)
{
    struct world world;
    world_init(&world, seed, log);
    checks_begin(&world);
    checks_finish(&world);
    struct result result = {.trace = world.trace};
    memcpy(result.failure, world.failure, sizeof result.failure);
    checks_release(&world);
    world_release(&world);
    return result;
}

static bool run_seed(const struct options *options, uint64_t seed)
{
    struct result first = run(seed, options->is_verbose ? stdout : NULL);
    bool is_same = true;
    if (!options->is_once) is_same = run(seed, NULL).trace == first.trace;
    if (first.failure[0] == 0 && is_same) return true;
    const char *failure = is_same ? first.failure : "the same seed left another trace";
    printf("seed %" PRIu64 " failed: %s\n", seed, failure);
    printf("  replay: retable-sim --from %" PRIu64 " --count 1 --verbose\n", seed);
    return false;
}

static void usage(void)
{
    fprintf(stderr, "usage: retable-sim [--from N] [--count N] [--once] [--verbose]\n");
    exit(2);
}

int main(int argc, char **argv)
{
    struct options options = {.from = 1, .count = 100};
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--from") == 0 && has_value) {
            options.from = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--count") == 0 && has_value) {
            options.count = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--once") == 0) {
            options.is_once = true;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            options.is_verbose = true;
        } else {
            usage();
        }
    }
    uint64_t passed = 0;
    uint64_t failed = 0;
    for (uint64_t i = 0; i < options.count; i++) {
        if (run_seed(&options, options.from + i)) {
            passed++;
        } else {
            failed++;
        }
    }
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", passed, failed);
    return failed > 0;
}
