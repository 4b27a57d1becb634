#include "bench/workload.h"

#include "base/coding.h"
#include "bench/load.h"
#include "bench/report.h"
#include "io/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum {
    STEADY_SLOT_COUNT = 64,
    WATCH_PAUSE_US = 50,
    WAIT_PAUSE_US = 1000,
};

static const uint64_t WAIT_US_MAX = 600000000;

struct error *workload_open(
    const struct workload_options *options,
    const char *address,
    const char *table,
    uint32_t slot_count,
    struct target **ret_target)
{
    struct target_options target = {
        .address = address,
        .table = table,
        .slot_count = slot_count,
        .value_size = options->value_size,
    };
    switch (options->system) {
    case SYSTEM_RETABLE: return target_open_retable(&target, ret_target);
    case SYSTEM_HTTP: return target_open_http(&target, ret_target);
    case SYSTEM_POSTGRESQL: return target_open_postgresql(&target, ret_target);
    }
    abort();
}

static struct report begin_report(const char *workload, const struct workload_options *options)
{
    struct report report = report_begin(workload);
    static const char *const NAMES[] = {
        [SYSTEM_RETABLE] = "retable",
        [SYSTEM_HTTP] = "http",
        [SYSTEM_POSTGRESQL] = "postgresql",
    };
    report_text(&report, "system", NAMES[options->system]);
    report_count(&report, "clients", options->client_count);
    report_count(&report, "threads", MIN(options->thread_count, options->client_count));
    report_count(&report, "rows_per_operation", options->row_count);
    report_count(&report, "value_size", options->value_size);
    return report;
}

static void report_load(
    struct report *report, const char *rate_name, const struct load_result *result)
{
    double seconds = (double)MAX(result->spent_us, UINT64_C(1)) / 1e6;
    report_number(report, "seconds", seconds);
    report_number(report, rate_name, (double)result->operation_count / seconds);
    report_number(report, "rows_per_s", (double)result->row_count / seconds);
    report_latency(report, "", &result->latencies);
}

static void pause_us(uint64_t us)
{
    struct timespec time = {.tv_nsec = (long)us * 1000};
    nanosleep(&time, NULL);
}

static struct error *run_for_time(
    const struct workload_options *options, const char *workload, const char *rate_name, int kind)
{
    if (kind >= LOAD_SELECT && options->system != SYSTEM_RETABLE)
        return error_new(ERROR_GENERIC, "Workload %s is of retable only", workload);
    struct load load = {
        .options = options,
        .kind = kind,
        .duration_us = options->duration_us,
        .warmup_us = options->warmup_us,
    };
    struct load_result result;
    TRY(load_run(&load, &result));
    struct report report = begin_report(workload, options);
    report_load(&report, rate_name, &result);
    report_end(&report);
    return NULL;
}

struct error *workload_commit(const struct workload_options *options)
{
    return run_for_time(options, "commit", "commits_per_s", LOAD_WRITE);
}

struct error *workload_lookup(const struct workload_options *options)
{
    return run_for_time(options, "lookup", "calls_per_s", LOAD_READ);
}

struct error *workload_select(const struct workload_options *options)
{
    return run_for_time(options, "select", "calls_per_s", LOAD_SELECT);
}

struct error *workload_query(const struct workload_options *options)
{
    if (!options->query) return error_new(ERROR_GENERIC, "Workload query needs --query");
    return run_for_time(options, "query", "calls_per_s", LOAD_QUERY);
}

// ---------------------------------------------------------------- waiting for rows

struct look {
    bool is_done;
    struct error *error;
    uint64_t row_count;
};

static void on_looked(void *context, struct error *error, uint64_t row_count)
{
    *(struct look *)context =
        (struct look){.is_done = true, .error = error, .row_count = row_count};
}

static struct error *look_up(
    struct target *target, const int64_t *keys, uint32_t key_count, uint64_t *ret_row_count)
{
    struct look look = {0};
    target_read(target, 0, keys, key_count, on_looked, &look);
    while (!look.is_done) target_poll(target, UINT64_MAX);
    *ret_row_count = look.row_count;
    return look.error;
}

// The last rows of the transactions that may have been the last ones: clients run side by side.
static uint32_t last_keys(const struct workload_options *options, int64_t *keys)
{
    uint64_t count = options->total_row_count / options->row_count;
    uint32_t key_count = (uint32_t)MIN(count, (uint64_t)options->client_count);
    key_count = MIN(key_count, (uint32_t)TARGET_KEY_COUNT_MAX);
    for (uint32_t i = 0; i < key_count; i++)
        keys[i] = options->first_key + (int64_t)((count - i) * options->row_count) - 1;
    return key_count;
}

struct error *workload_touch(struct target *target, int64_t key)
{
    struct look look = {0};
    target_write(target, 0, key, 1, on_looked, &look);
    while (!look.is_done) target_poll(target, UINT64_MAX);
    return look.error;
}

static struct error *wait_for_rows(
    struct target *target, const struct workload_options *options, uint64_t pause)
{
    int64_t keys[TARGET_KEY_COUNT_MAX];
    uint32_t key_count = last_keys(options, keys);
    uint64_t give_up_at_us = clock_now_us() + WAIT_US_MAX;
    for (;;) {
        uint64_t row_count = 0;
        TRY(look_up(target, keys, key_count, &row_count));
        if (row_count == key_count) return NULL;
        if (clock_now_us() > give_up_at_us)
            return error_new(ERROR_TIMEOUT, "The replica does not get all rows");
        pause_us(pause);
    }
}

struct error *workload_bulk(const struct workload_options *options)
{
    CLEANUP(target_closep) struct target *replica = NULL;
    if (options->replica_address) {
        TRY(workload_open(options, options->replica_address, options->replica_table, 1, &replica));
        uint64_t row_count = 0;
        TRY(look_up(replica, &options->first_key, 1, &row_count)); // Connects.
    }
    struct load load = {
        .options = options,
        .kind = LOAD_WRITE,
        .operation_count = options->total_row_count / options->row_count,
    };
    struct load_result result;
    TRY(load_run(&load, &result));
    uint64_t end_us = clock_now_us();
    if (replica) TRY(wait_for_rows(replica, options, WATCH_PAUSE_US));
    struct report report = begin_report("bulk", options);
    report_load(&report, "commits_per_s", &result);
    if (replica) report_number(&report, "behind_ms", (double)(clock_now_us() - end_us) / 1000);
    report_end(&report);
    return NULL;
}

struct error *workload_wait(const struct workload_options *options)
{
    uint64_t start_us = clock_now_us();
    uint64_t give_up_at_us = start_us + WAIT_US_MAX;
    for (;;) {
        CLEANUP(target_closep) struct target *target = NULL;
        struct error *error = workload_open(options, options->address, options->table, 1, &target);
        if (!error) error = wait_for_rows(target, options, WAIT_PAUSE_US);
        if (!error) break;
        if (clock_now_us() > give_up_at_us) return error;
        error_free(error); // It is starting.
        pause_us(WAIT_PAUSE_US);
    }
    struct report report = begin_report("wait", options);
    report_number(&report, "waited_ms", (double)(clock_now_us() - start_us) / 1000);
    report_end(&report);
    return NULL;
}

// ---------------------------------------------------------------- steady

struct acknowledgement {
    uint64_t at_us;
    int64_t key;
};

struct steady {
    const struct workload_options *options;
    struct target *target;
    struct target *replica;
    struct error *error;
    uint64_t started_us[STEADY_SLOT_COUNT];
    int64_t keys[STEADY_SLOT_COUNT];
    uint32_t free_slots[STEADY_SLOT_COUNT];
    uint32_t free_count;
    uint64_t done_count;
    struct histogram latencies;  // Of commits.
    struct histogram delays;     // From the acknowledgement to the replica.
    struct histogram read_times; // Of the lookups that watch it: the resolution of the above.
    struct histogram late_times; // How late commits were started.

    // What the watching thread reads: acknowledgements up to a count that grows.
    struct acknowledgement *acknowledgements;
    _Atomic uint64_t acknowledged_count;
    _Atomic bool is_over;
    struct error *watch_error; // Valid when the thread has ended.
};

struct steady_slot {
    struct steady *steady;
    uint32_t slot;
};

static void on_committed(void *context, struct error *error, uint64_t row_count)
{
    (void)row_count;
    const struct steady_slot *slot = context;
    struct steady *steady = slot->steady;
    uint64_t now_us = clock_now_us();
    steady->free_slots[steady->free_count++] = slot->slot;
    steady->done_count++;
    if (error) {
        if (steady->error) error_free(steady->error);
        steady->error = error;
        return;
    }
    histogram_add(&steady->latencies, now_us - steady->started_us[slot->slot]);
    uint64_t index = atomic_load(&steady->acknowledged_count);
    steady->acknowledgements[index].at_us = now_us;
    steady->acknowledgements[index].key = steady->keys[slot->slot];
    atomic_store(&steady->acknowledged_count, index + 1);
}

// Looks for one row after the other in the order of their acknowledgements.
static struct error *watch(struct steady *steady)
{
    uint64_t seen_count = 0;
    uint64_t give_up_at_us = UINT64_MAX;
    for (;;) {
        bool is_over = atomic_load(&steady->is_over);
        if (seen_count == atomic_load(&steady->acknowledged_count)) {
            if (is_over) return NULL;
            pause_us(WATCH_PAUSE_US);
            continue;
        }
        const struct acknowledgement *next = &steady->acknowledgements[seen_count];
        uint64_t row_count = 0;
        uint64_t start_us = clock_now_us();
        TRY(look_up(steady->replica, &next->key, 1, &row_count));
        uint64_t now_us = clock_now_us();
        histogram_add(&steady->read_times, now_us - start_us);
        if (row_count == 1) {
            histogram_add(&steady->delays, now_us - next->at_us);
            seen_count++;
        } else if (is_over) {
            if (give_up_at_us == UINT64_MAX) give_up_at_us = now_us + WAIT_US_MAX / 10;
            if (now_us > give_up_at_us)
                return error_new(ERROR_TIMEOUT, "The replica does not get all rows");
        }
    }
}

static void *watch_main(void *context)
{
    struct steady *steady = context;
    steady->watch_error = watch(steady);
    return NULL;
}

// Starts each commit when it is due.
static void write_steadily(struct steady *steady, uint64_t commit_count)
{
    const struct workload_options *options = steady->options;
    struct steady_slot slots[STEADY_SLOT_COUNT];
    for (uint32_t i = 0; i < STEADY_SLOT_COUNT; i++) {
        slots[i] = (struct steady_slot){.steady = steady, .slot = i};
        steady->free_slots[i] = i;
    }
    steady->free_count = STEADY_SLOT_COUNT;
    uint64_t start_us = clock_now_us();
    uint64_t index = 0;
    while (index < commit_count && !steady->error) {
        uint64_t due_us = start_us + index * options->row_count * 1000000 / options->rate;
        uint64_t now_us = clock_now_us();
        if (now_us < due_us || steady->free_count == 0) {
            target_poll(steady->target, steady->free_count == 0 ? UINT64_MAX : due_us);
            continue;
        }
        histogram_add(&steady->late_times, now_us - due_us);
        uint32_t slot = steady->free_slots[--steady->free_count];
        int64_t key = options->first_key + (int64_t)(index * options->row_count);
        steady->keys[slot] = key + options->row_count - 1;
        steady->started_us[slot] = now_us;
        target_write(steady->target, slot, key, options->row_count, on_committed, &slots[slot]);
        index++;
    }
    while (steady->done_count < index) target_poll(steady->target, UINT64_MAX);
}

static void report_steady(const struct steady *steady, uint64_t spent_us)
{
    const struct workload_options *options = steady->options;
    struct report report = begin_report("steady", options);
    double seconds = (double)MAX(spent_us, UINT64_C(1)) / 1e6;
    report_number(&report, "seconds", seconds);
    report_number(&report, "commits_per_s", (double)steady->done_count / seconds);
    report_number(
        &report, "rows_per_s", (double)(steady->done_count * options->row_count) / seconds);
    report_latency(&report, "", &steady->latencies);
    report_latency(&report, "visible_", &steady->delays);
    report_latency(&report, "watch_", &steady->read_times);
    report_latency(&report, "late_", &steady->late_times);
    report_end(&report);
}

static struct error *run_steady(struct steady *steady)
{
    const struct workload_options *options = steady->options;
    TRY(workload_open(
        options, options->address, options->table, STEADY_SLOT_COUNT, &steady->target));
    TRY(workload_open(
        options, options->replica_address, options->replica_table, 1, &steady->replica));
    uint64_t row_count = 0;
    TRY(look_up(steady->replica, &options->first_key, 1, &row_count)); // Connects, as does this:
    TRY(workload_touch(steady->target, options->first_key - 1));

    uint64_t commit_count =
        options->duration_us * options->rate / options->row_count / UINT64_C(1000000);
    steady->acknowledgements =
        must_alloc(calloc(commit_count + 1, sizeof *steady->acknowledgements));
    pthread_t thread;
    if (pthread_create(&thread, NULL, watch_main, steady) != 0) abort();
    uint64_t start_us = clock_now_us();
    write_steadily(steady, commit_count);
    uint64_t spent_us = clock_now_us() - start_us;
    atomic_store(&steady->is_over, true);
    pthread_join(thread, NULL);
    if (!steady->error && !steady->watch_error) report_steady(steady, spent_us);
    if (steady->error) {
        error_free(steady->watch_error);
        return steady->error;
    }
    return steady->watch_error;
}

struct error *workload_steady(const struct workload_options *options)
{
    if (!options->replica_address)
        return error_new(ERROR_GENERIC, "Workload steady needs --replica");
    struct steady *steady = must_alloc(calloc(1, sizeof *steady));
    steady->options = options;
    struct error *error = run_steady(steady);
    target_close(steady->target);
    target_close(steady->replica);
    free(steady->acknowledgements);
    free(steady);
    return error;
}
