// What rows of a replication log weigh, as YTsaurus counts it: throttlers and limits of batches are
// given in this measure.
//
// A log row is 1 and its values there: 8 for each number of the log itself (tablet index, row
// index, timestamp, kind of change), the keys, and for each other column its value and 8 for its
// flags; a delete has its keys only. In ordered tables: tablet index, row index, and the values.
#pragma once

#include "base/slice.h"
#include "model/schema.h"

#include <stdint.h>

// The weight of one record's rows, a rowset of our own log; 0 of a hole.
uint64_t log_weight(const struct schema *schema, struct slice rows);
