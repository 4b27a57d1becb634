// retable-bench: load and measure a table, in retable or in PostgreSQL. See `run` and `compare` in
// this folder for whole clusters.

#include "base/number.h"
#include "bench/data.h"
#include "bench/workload.h"

#include <stddef.h>
#include <stdio.h>

static const char USAGE[] =
    "Usage: retable-bench WORKLOAD [OPTION VALUE]...\n"
    "\n"
    "Runs a workload on a table with key k (int64) and value v (string), and prints its result\n"
    "as one JSON object. Latencies are in ms.\n"
    "\n"
    "Workloads:\n"
    "  commit    commit transactions for some time\n"
    "  lookup    look random rows up for some time\n"
    "  select    look random rows up by queries for some time\n"
    "  query     run --query again and again for some time\n"
    "  scan      read --total rows, written before, from a store in order: what a query could "
    "take\n"
    "            at best\n"
    "  bulk      write --total rows, then wait until the replica has them: behind_ms\n"
    "  steady    write --rate rows a second; from each acknowledgement until the replica shows\n"
    "            the row: visible_*\n"
    "  wait      wait until the table has all --total rows\n"
    "  limits    what this machine can do: TCP, gRPC, the disk, the store\n"
    "\n"
    "Options:\n"
    "  --system retable|http|postgresql   (retable)\n"
    "  --address A           of the cluster, host:port; of PostgreSQL, a connection string\n"
    "  --table T             path or name of the table\n"
    "  --replica A           the same of the replica that is watched\n"
    "  --replica-table T     (that of --table)\n"
    "  --clients N           each has one operation under way (1)\n"
    "  --threads N           which share the clients; in retable, one connection each (1)\n"
    "  --rows N              of each transaction or lookup, up to 1000 (1)\n"
    "  --total N             rows to be written, or that there are (1000000)\n"
    "  --first-key K         (0)\n"
    "  --value-size N        in bytes (100)\n"
    "  --rate N              rows a second of steady (2000)\n"
    "  --seconds S           how long to measure (5); of limits, each of them\n"
    "  --warmup S            how long before that (0.5)\n"
    "  --data-dir D          an empty folder for the files of limits and scan\n"
    "  --query Q             a query, as select-rows takes it\n"
    "\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage.\n";

static const struct {
    const char *name;
    struct error *(*run)(const struct workload_options *options);
    bool needs_address;
} WORKLOADS[] = {
    {"commit", workload_commit, true},
    {"lookup", workload_lookup, true},
    {"select", workload_select, true},
    {"query", workload_query, true},
    {"scan", workload_scan, false},
    {"bulk", workload_bulk, true},
    {"steady", workload_steady, true},
    {"wait", workload_wait, true},
    {"limits", workload_limits, false},
};

enum { WORKLOAD_COUNT = sizeof WORKLOADS / sizeof *WORKLOADS };

enum flag_kind { FLAG_TEXT, FLAG_U32, FLAG_U64, FLAG_I64, FLAG_SECONDS };

#define FIELD(field) offsetof(struct workload_options, field)

static const struct flag {
    const char *name;
    enum flag_kind kind;
    size_t offset;
    uint64_t min;
    uint64_t max;
} FLAGS[] = {
    {"--address", FLAG_TEXT, FIELD(address), 0, 0},
    {"--table", FLAG_TEXT, FIELD(table), 0, 0},
    {"--replica", FLAG_TEXT, FIELD(replica_address), 0, 0},
    {"--replica-table", FLAG_TEXT, FIELD(replica_table), 0, 0},
    {"--data-dir", FLAG_TEXT, FIELD(data_dir), 0, 0},
    {"--query", FLAG_TEXT, FIELD(query), 0, 0},
    {"--clients", FLAG_U32, FIELD(client_count), 1, 10000},
    {"--threads", FLAG_U32, FIELD(thread_count), 1, WORKLOAD_THREAD_COUNT_MAX},
    {"--rows", FLAG_U32, FIELD(row_count), 1, TARGET_KEY_COUNT_MAX},
    {"--value-size", FLAG_U32, FIELD(value_size), 0, DATA_VALUE_SIZE_MAX},
    {"--total", FLAG_U64, FIELD(total_row_count), 1000, UINT64_C(1) << 40},
    {"--rate", FLAG_U64, FIELD(rate), 1, 10000000},
    {"--first-key", FLAG_I64, FIELD(first_key), 0, 0},
    {"--seconds", FLAG_SECONDS, FIELD(duration_us), 0, 0},
    {"--warmup", FLAG_SECONDS, FIELD(warmup_us), 0, 0},
};

enum { FLAG_COUNT = sizeof FLAGS / sizeof *FLAGS };

static bool set_number(const struct flag *flag, struct slice text, char *field)
{
    uint64_t number = 0;
    if (!number_parse_uint64(text, &number) || number < flag->min || number > flag->max)
        return false;
    if (flag->kind == FLAG_U32) {
        *(uint32_t *)(void *)field = (uint32_t)number;
    } else {
        *(uint64_t *)(void *)field = number;
    }
    return true;
}

static bool set_flag(const struct flag *flag, const char *value, struct workload_options *options)
{
    char *field = (char *)options + flag->offset;
    struct slice text = slice_from_text(value);
    switch (flag->kind) {
    case FLAG_TEXT: *(const char **)(void *)field = value; return true;
    case FLAG_U32:
    case FLAG_U64: return set_number(flag, text, field);
    case FLAG_I64: return number_parse_int64(text, (int64_t *)(void *)field);
    case FLAG_SECONDS: {
        double seconds = 0;
        if (!number_parse_double(text, &seconds) || seconds < 0 || seconds > 86400) return false;
        *(uint64_t *)(void *)field = (uint64_t)(seconds * 1e6);
        return true;
    }
    }
    return false;
}

static struct error *read_flag(
    const char *name, const char *value, struct workload_options *options)
{
    if (!value) return error_new(ERROR_GENERIC, "Option %s has no value", name);
    if (strcmp(name, "--system") == 0) {
        static const char *const NAMES[] = {"retable", "http", "postgresql"};
        for (int i = 0; i <= SYSTEM_POSTGRESQL; i++) {
            if (strcmp(value, NAMES[i]) != 0) continue;
            options->system = (enum workload_system)i;
            return NULL;
        }
        return error_new(ERROR_GENERIC, "Unknown system %s", value);
    }
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (strcmp(FLAGS[i].name, name) != 0) continue;
        if (set_flag(&FLAGS[i], value, options)) return NULL;
        return error_new(ERROR_GENERIC, "Option %s cannot be %s", name, value);
    }
    return error_new(ERROR_GENERIC, "Unknown option %s", name);
}

static struct error *read_options(
    int argc, char **argv, struct workload_options *options, size_t *ret_workload)
{
    size_t workload = 0;
    while (workload < WORKLOAD_COUNT && strcmp(WORKLOADS[workload].name, argv[1]) != 0) workload++;
    if (workload == WORKLOAD_COUNT)
        return error_new(ERROR_GENERIC, "Unknown workload %s: see retable-bench --help", argv[1]);
    for (int i = 2; i < argc; i += 2) TRY(read_flag(argv[i], argv[i + 1], options));
    if (WORKLOADS[workload].needs_address && (!options->address || !options->table))
        return error_new(ERROR_GENERIC, "Workload %s needs --address and --table", argv[1]);
    if (!options->replica_table) options->replica_table = options->table;
    *ret_workload = workload;
    return NULL;
}

int main(int argc, char **argv)
{
    struct workload_options options = {
        .client_count = 1,
        .thread_count = 1,
        .value_size = 100,
        .row_count = 1,
        .total_row_count = 1000000,
        .rate = 2000,
        .duration_us = 5000000,
        .warmup_us = 500000,
    };
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        fputs(USAGE, argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    size_t workload = 0;
    struct error *error = read_options(argc, argv, &options, &workload);
    bool is_usage = error != NULL;
    if (!error) {
        data_init();
        error = WORKLOADS[workload].run(&options);
    }
    if (!error) return 0;
    fflush(stdout);
    error_print(error, stderr);
    error_free(error);
    return is_usage ? 2 : 1;
}
