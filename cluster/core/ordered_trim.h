// Trims tablets of ordered tables: drops rows from their front, as far as a user says or rows have
// expired.
//
// Rows expire by themselves only where `min_data_versions` is 0, when they are older than
// `min_data_ttl` and, unless `max_data_versions` is 0, `max_data_ttl`; `row_count_to_keep` of them
// stay all the same. Source: YTsaurus TStoreTrimmer (store_trimmer.cpp), which drops whole chunks;
// here it is row by row.
#pragma once

#include "cluster/core/objects.h"

// Drops the rows below a row index, and writes down how many are gone. Nothing happens if they are
// already; there must be so many rows.
void ordered_trim(struct store_batch *batch, struct tablet *tablet, uint64_t row_index);

// Whether the table's rows expire.
bool ordered_expires(const struct table *table);

// How old its rows get before they expire.
uint64_t ordered_ttl_ms(const struct table *table);

// Drops rows written below a timestamp, at most `row_count_max` of them, if the tablet is mounted.
// `*ret_has_more`: whether there may be others.
MUST_USE struct error *ordered_expire(
    struct store *store,
    struct store_batch *batch,
    struct tablet *tablet,
    uint64_t expired_timestamp,
    uint64_t row_count_max,
    bool *ret_has_more);
