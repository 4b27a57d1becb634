#include "bench/report.h"

#include <inttypes.h>
#include <stdio.h>

static void print_name(struct report *report, const char *name)
{
    printf("%s\"%s\": ", report->is_begun ? ", " : "{", name);
    report->is_begun = true;
}

struct report report_begin(const char *workload)
{
    struct report report = {0};
    report_text(&report, "workload", workload);
    return report;
}

void report_text(struct report *report, const char *name, const char *text)
{
    print_name(report, name);
    printf("\"%s\"", text);
}

void report_count(struct report *report, const char *name, uint64_t count)
{
    print_name(report, name);
    printf("%" PRIu64, count);
}

void report_number(struct report *report, const char *name, double number)
{
    print_name(report, name);
    printf(number >= 1000 ? "%.0f" : "%.4g", number);
}

void report_latency(struct report *report, const char *prefix, const struct histogram *histogram)
{
    static const struct {
        const char *name;
        double quantile;
    } QUANTILES[] = {{"p50_ms", 0.5}, {"p99_ms", 0.99}, {"p999_ms", 0.999}, {"max_ms", 1}};
    for (size_t i = 0; i < sizeof QUANTILES / sizeof *QUANTILES; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", prefix, QUANTILES[i].name);
        report_number(report, name, histogram_quantile_us(histogram, QUANTILES[i].quantile) / 1000);
    }
}

void report_end(struct report *report)
{
    (void)report;
    printf("}\n");
    fflush(stdout);
}
