// The regular expressions of a query, so that each is compiled once and not for each row.
//
// Keeps the last few; so one that is constant stays, and those that come from a column go.
#pragma once

#include "base/regex.h"

enum { REGEX_CACHE_SIZE = 8 };

// Zeroes are an empty one.
struct regex_cache {
    struct regex *items[REGEX_CACHE_SIZE]; // NULL where there is none yet.
    uint32_t next;                         // To be replaced.
};

void regex_cache_release(struct regex_cache *cache);

// Finds or compiles a pattern. The regex is borrowed from the cache until the next call.
MUST_USE struct error *regex_cache_get(
    struct regex_cache *cache, struct slice pattern, struct regex **ret_regex);
