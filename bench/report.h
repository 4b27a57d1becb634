// The result of a workload: one JSON object on a line of standard output.
#pragma once

#include "bench/histogram.h"

#include <stdbool.h>

struct report {
    bool is_begun; // A field has been printed.
};

// Begins the object with the workload's name. Names and texts are printed as they are: no quotes.
struct report report_begin(const char *workload);

void report_text(struct report *report, const char *name, const char *text);
void report_count(struct report *report, const char *name, uint64_t count);
void report_number(struct report *report, const char *name, double number);

// Adds p50_ms, p99_ms, p999_ms and max_ms, each name after `prefix`.
void report_latency(struct report *report, const char *prefix, const struct histogram *histogram);

void report_end(struct report *report);
