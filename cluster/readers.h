// Reads of a cluster's own tables: short ones are run at once, others by workers on snapshots,
// beside the loop.
//
// The loop hands a planned read over with a snapshot of what is durable now, goes on, and collects
// it when it is done. Nothing else is shared. Queries that the workers are too busy for are
// refused, not kept waiting for ever. Which lookups are short is learnt (lookup_cost.h).
#pragma once

#include "cluster/loop.h"

#define READER_QUEUE_COUNT_MAX 64

struct readers;

// Starts the threads. The loop and the store are borrowed.
MUST_USE struct readers *readers_new(struct loop *loop, struct store *store, size_t thread_count);

// Queries that are read in parts hold a snapshot while their readers take their time. Beyond so
// many, answers come whole, up to READ_OUTPUT_SIZE_MAX.
#define READER_PART_COUNT_MAX 64

// Ends the threads, after the queries under way, and drops what has not been collected.
void readers_free(struct readers *readers);

// Takes over a request with a bound query; it is answered at once, or by readers_collect.
void readers_run_query(struct readers *readers, struct request *request);

// The same for requests with planned lookups, all of one turn. The array is copied.
void readers_run_lookups(struct readers *readers, struct request *const *requests, size_t count);

// Answers what is done. Call every turn: the rpc is woken when there is something.
void readers_collect(struct readers *readers);

// Reads that are under way or were not collected yet.
size_t readers_count(const struct readers *readers);
