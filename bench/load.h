// Closed-loop clients, spread over threads: each thread has a target, each client a slot of it.
#pragma once

#include "bench/histogram.h"
#include "bench/workload.h"

struct load {
    const struct workload_options *options; // Borrowed.
    // SELECT looks one row up by a query; QUERY runs options->query.
    enum { LOAD_WRITE, LOAD_READ, LOAD_SELECT, LOAD_QUERY } kind;

    // What ends it: a time, of which the first part is not counted, or a number of operations; 0
    // stands for no end.
    uint64_t duration_us;
    uint64_t warmup_us;
    uint64_t operation_count;
};

struct load_result {
    struct histogram latencies;
    uint64_t operation_count;
    uint64_t row_count;
    uint64_t spent_us; // What the counts are of.
};

// Runs it; the first failure of an operation stops and fails it. Writes take keys in ascending
// order from options->first_key on; reads choose among options->total_row_count of them.
MUST_USE struct error *load_run(const struct load *load, struct load_result *ret_result);
