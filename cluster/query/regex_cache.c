#include "cluster/query/regex_cache.h"

void regex_cache_release(struct regex_cache *cache)
{
    for (uint32_t i = 0; i < REGEX_CACHE_SIZE; i++) regex_free(cache->items[i]);
    *cache = (struct regex_cache){0};
}

struct error *regex_cache_get(
    struct regex_cache *cache, struct slice pattern, struct regex **ret_regex)
{
    for (uint32_t i = 0; i < REGEX_CACHE_SIZE; i++) {
        struct regex *regex = cache->items[i];
        if (!regex || !slice_equal(regex_pattern(regex), pattern)) continue;
        *ret_regex = regex;
        return NULL;
    }
    struct regex *regex;
    TRY(regex_new(pattern, &regex));
    regex_free(cache->items[cache->next]);
    cache->items[cache->next] = regex;
    cache->next = (cache->next + 1) % REGEX_CACHE_SIZE;
    *ret_regex = regex;
    return NULL;
}
