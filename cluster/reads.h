// Lookups and queries on a cluster's own tables: planned on the loop, run on a snapshot anywhere.
//
// A plan copies what it needs of tables, so it can run on another thread while the loop goes on.
#pragma once

#include "cluster/core/objects.h"
#include "cluster/core/request.h"
#include "cluster/core/table_source.h"
#include "cluster/query/query.h"

#define READ_OUTPUT_SIZE_MAX  (UINT64_C(128) << 20)
#define READ_BLOCK_SIZE       (UINT64_C(256) << 10) // Of one rowset of a query's output.
#define READ_MEMORY_SIZE_MAX  (UINT64_C(64) << 20)
#define READ_INPUT_ROW_LIMIT  UINT64_C(100000000)
#define READ_OUTPUT_ROW_LIMIT UINT64_C(10000000)

struct lookup_plan {
    struct schema *schema;
    uint32_t table_number;
    uint32_t key_count;
    struct slice *keys; // Encoded, without the table's number.
    uint64_t *hashes;   // Of tables and keys, as row locks have them.
    // To return, by index in the schema; behind its end come the timestamps of columns, in the same
    // order.
    uint16_t *columns;
    uint16_t column_count;
    uint32_t tablet_index; // The one tablet that all keys belong to, or UINT32_MAX.
};

// Decodes and checks the keys of a LOOKUP on a sorted table, and finds their tablets. Errors: 1716
// for ordered tables; those of keys, behaviour 5.6.
MUST_USE struct error *lookup_plan(struct request *request, struct table *table);

// Reads the rows of a planned lookup and writes them to the request's output. The iterator is a
// stem iterator over STORE_DATA; it serves any number of lookups.
MUST_USE struct error *lookup_run(struct request *request, struct store_iterator *iterator);

struct select_run; // One that is under way.

struct select_plan {
    struct select_run *run; // NULL before, and after.
    struct query *query;
    const struct slice *paths; // As the query has them.
    size_t path_count;
    struct source_table *tables;
    struct query_plan *plan;
};

// Parses a SELECT; its tables' paths are in `request->select` then.
MUST_USE struct error *select_parse(struct request *request);

// Binds it to tables, one for each path.
MUST_USE struct error *select_bind(struct request *request, struct table *const *tables);

// The plan of a bound query, for people.
struct node *select_explain(const struct request *request, struct arena *arena);

// Whether a bound query is done sooner than the way to another thread and back takes: it looks up a
// few keys of one table.
bool select_is_light(const struct request *request);

// Runs a bound query: fills the request's output with rowsets. If the request takes parts, it stops
// when it has one, and `*ret_is_partial` says that it is to be called again once that was taken;
// the last call, or select_release, ends the run. Checks `is_cancelled` (may be NULL) and the clock
// `now_us` between steps.
MUST_USE struct error *select_run(
    struct request *request,
    struct store *store,
    const struct store_snapshot *snapshot,
    uint64_t (*now_us)(void),
    bool *ret_is_partial);

// Ends a run before its end.
void select_release(struct request *request);
