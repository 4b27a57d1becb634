#include "bench/load.h"

#include "base/rng.h"
#include "io/clock.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

enum { SELECT_SIZE_MAX = 1000 };

// What the threads share.
struct course {
    const struct load *load;
    _Atomic uint64_t next_index; // Of operations.
    _Atomic bool is_stopped;
    pthread_barrier_t barrier; // All targets are open; then: the times are set.
    uint64_t start_us;         // Set between the two.
};

struct worker;

struct client {
    struct worker *worker;
    uint32_t slot;
    uint64_t started_us;
};

struct worker {
    struct course *course;
    uint32_t number;
    struct target *target;
    struct client *clients;
    uint32_t client_count;
    uint32_t active_count;
    struct rng rng;
    struct error *error;
    struct load_result result;
    uint64_t last_us; // When the last operation counted ended.
};

static void start_next(struct client *client);

static void fail(struct worker *worker, struct error *error)
{
    atomic_store(&worker->course->is_stopped, true);
    if (worker->error) {
        error_free(error);
    } else {
        worker->error = error;
    }
}

static void on_done(void *context, struct error *error, uint64_t row_count)
{
    struct client *client = context;
    struct worker *worker = client->worker;
    const struct course *course = worker->course;
    const struct load *load = course->load;
    uint64_t now_us = clock_now_us();
    worker->active_count--;
    if (!error && row_count != load->options->row_count && load->kind != LOAD_QUERY) {
        error = error_new(
            ERROR_GENERIC,
            "%llu rows were found where %u are",
            (unsigned long long)row_count,
            load->options->row_count);
    }
    if (error) {
        fail(worker, error);
        return;
    }
    uint64_t begin_us = course->start_us + load->warmup_us;
    uint64_t end_us = load->duration_us ? begin_us + load->duration_us : UINT64_MAX;
    if (now_us >= begin_us && now_us < end_us) {
        histogram_add(&worker->result.latencies, now_us - client->started_us);
        worker->result.operation_count++;
        worker->result.row_count += row_count;
        worker->last_us = now_us;
    }
    if (now_us < end_us) start_next(client);
}

static void start_next(struct client *client)
{
    struct worker *worker = client->worker;
    struct course *course = worker->course;
    const struct load *load = course->load;
    const struct workload_options *options = load->options;
    if (atomic_load(&course->is_stopped)) return;
    uint64_t index = atomic_fetch_add(&course->next_index, 1);
    if (load->operation_count && index >= load->operation_count) return;
    worker->active_count++;
    client->started_us = clock_now_us();
    uint32_t row_count = options->row_count;
    if (load->kind == LOAD_WRITE) {
        int64_t first_key = options->first_key + (int64_t)(index * row_count);
        target_write(worker->target, client->slot, first_key, row_count, on_done, client);
        return;
    }
    if (load->kind == LOAD_QUERY) {
        target_query(worker->target, client->slot, options->query, on_done, client);
        return;
    }
    // Not adjacent, and all different.
    int64_t keys[TARGET_KEY_COUNT_MAX];
    uint64_t stride = options->total_row_count / row_count;
    uint64_t offset = rng_below(&worker->rng, options->total_row_count);
    for (uint32_t i = 0; i < row_count; i++) {
        uint64_t position = (offset + i * stride) % options->total_row_count;
        keys[i] = options->first_key + (int64_t)position;
    }
    if (load->kind == LOAD_SELECT) {
        char query[SELECT_SIZE_MAX];
        snprintf(query, sizeof query, "k, v from [%s] where k = %" PRId64, options->table, keys[0]);
        target_query(worker->target, client->slot, query, on_done, client);
        return;
    }
    target_read(worker->target, client->slot, keys, row_count, on_done, client);
}

static void run_worker(struct worker *worker)
{
    struct course *course = worker->course;
    const struct workload_options *options = course->load->options;
    struct error *error = workload_open(
        options, options->address, options->table, worker->client_count, &worker->target);
    if (!error && course->load->kind == LOAD_WRITE)
        error = workload_touch(worker->target, options->first_key - 1 - worker->number);
    if (error) fail(worker, error);
    pthread_barrier_wait(&course->barrier);
    pthread_barrier_wait(&course->barrier);
    if (error) return;
    for (uint32_t i = 0; i < worker->client_count; i++) start_next(&worker->clients[i]);
    while (worker->active_count > 0) target_poll(worker->target, UINT64_MAX);
}

static void *thread_main(void *context)
{
    struct worker *worker = context;
    run_worker(worker);
    target_close(worker->target);
    return NULL;
}

static void init_worker(
    struct worker *worker, struct course *course, uint32_t number, uint32_t worker_count)
{
    uint32_t client_count = course->load->options->client_count;
    worker->course = course;
    worker->number = number;
    worker->rng.state = clock_wall_us() + number; // Other keys in each run.
    worker->client_count =
        client_count / worker_count + (number < client_count % worker_count ? 1 : 0);
    worker->clients = must_alloc(calloc(worker->client_count, sizeof *worker->clients));
    for (uint32_t i = 0; i < worker->client_count; i++)
        worker->clients[i] = (struct client){.worker = worker, .slot = i};
}

struct error *load_run(const struct load *load, struct load_result *ret_result)
{
    uint32_t count = MIN(load->options->thread_count, load->options->client_count);
    struct course course = {.load = load};
    pthread_barrier_init(&course.barrier, NULL, count + 1);
    struct worker *workers = must_alloc(calloc(count, sizeof *workers));
    pthread_t threads[WORKLOAD_THREAD_COUNT_MAX];
    for (uint32_t i = 0; i < count; i++) {
        init_worker(&workers[i], &course, i, count);
        if (pthread_create(&threads[i], NULL, thread_main, &workers[i]) != 0) abort();
    }
    pthread_barrier_wait(&course.barrier);
    course.start_us = clock_now_us();
    pthread_barrier_wait(&course.barrier);

    struct error *error = NULL;
    struct load_result *result = must_alloc(calloc(1, sizeof *result));
    uint64_t last_us = course.start_us;
    for (uint32_t i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        const struct worker *worker = &workers[i];
        if (!error) {
            error = worker->error;
        } else {
            error_free(worker->error);
        }
        histogram_merge(&result->latencies, &worker->result.latencies);
        result->operation_count += worker->result.operation_count;
        result->row_count += worker->result.row_count;
        last_us = MAX(last_us, worker->last_us);
        free(worker->clients);
    }
    result->spent_us = load->duration_us ? load->duration_us : last_us - course.start_us;
    if (!error) *ret_result = *result;
    free(result);
    free(workers);
    pthread_barrier_destroy(&course.barrier);
    return error;
}
