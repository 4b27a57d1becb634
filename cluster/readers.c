#include "cluster/readers.h"

#include "cluster/lookup_cost.h"
#include "cluster/reads.h"
#include "io/clock.h"
#include "io/inbox.h"

#include <assert.h>
#include <pthread.h>
#include <stddef.h>

// Of a query whose client names no time limit: a worker must come free again.
#define TIMEOUT_US UINT64_C(60000000)

struct job {
    struct inbox_item item; // First.
    struct request_source source;
    struct readers *readers;   // Borrowed.
    struct request **requests; // stb array: one query, or lookups.
    struct store_snapshot *snapshot;
    uint64_t spent_us;   // By lookups.
    uint64_t timeout_us; // Of each part.
    bool is_partial;     // There is more to be read.
};

struct readers {
    struct loop *loop;   // Borrowed; of the loop's thread alone.
    struct store *store; // Borrowed.
    struct inbox *jobs;
    struct inbox *done;
    size_t job_count;  // Of the loop's thread.
    size_t part_count; // Queries whose readers have a part, and may want more. The same.
    pthread_t *threads;
    size_t thread_count;
    struct lookup_cost cost;
};

static void wake(void *context)
{
    rpc_wake(context);
}

static void run(const struct readers *readers, struct job *job)
{
    struct request *first = job->requests[0];
    if (first->select) {
        first->error =
            select_run(first, readers->store, job->snapshot, clock_now_us, &job->is_partial);
        return;
    }
    uint64_t begin_us = clock_now_us();
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_stem_iterator_new(readers->store, job->snapshot, STORE_DATA);
    for (size_t i = 0; i < arr_count(job->requests); i++)
        job->requests[i]->error = lookup_run(job->requests[i], iterator);
    job->spent_us = clock_now_us() - begin_us;
}

static void *work(void *context)
{
    struct readers *readers = context;
    for (;;) {
        struct job *job = (struct job *)inbox_wait(readers->jobs);
        if (!job) return NULL;
        run(readers, job);
        bool is_posted = inbox_post(readers->done, &job->item);
        assert(is_posted); // It has room for all jobs.
        (void)is_posted;
    }
}

struct readers *readers_new(struct loop *loop, struct store *store, size_t thread_count)
{
    struct readers *readers = must_alloc(calloc(1, sizeof *readers));
    readers->loop = loop;
    readers->store = store;
    readers->jobs = inbox_new(READER_QUEUE_COUNT_MAX, NULL, NULL);
    readers->done = inbox_new(SIZE_MAX, wake, loop->rpc);
    readers->threads = must_alloc(calloc(thread_count, sizeof *readers->threads));
    readers->thread_count = thread_count;
    for (size_t i = 0; i < thread_count; i++) {
        if (pthread_create(&readers->threads[i], NULL, work, readers) != 0) abort();
    }
    return readers;
}

static void end_job(struct job *job)
{
    store_snapshot_free(job->readers->store, job->snapshot);
    arr_free(job->requests);
    free(job);
}

void readers_free(struct readers *readers)
{
    if (!readers) return;
    inbox_close(readers->jobs);
    for (size_t i = 0; i < readers->thread_count; i++) pthread_join(readers->threads[i], NULL);
    for (;;) {
        struct job *job = (struct job *)inbox_take(readers->done);
        if (!job) break;
        if (job->is_partial) select_release(job->requests[0]);
        for (size_t i = 0; i < arr_count(job->requests); i++) request_free(job->requests[i]);
        end_job(job);
    }
    inbox_free(readers->jobs);
    inbox_free(readers->done);
    free(readers->threads);
    free(readers);
}

static void resume_job(struct request_source *source);
static void drop_job(struct request_source *source);

static void answer_all(struct job *job)
{
    for (size_t i = 0; i < arr_count(job->requests); i++)
        loop_answer(job->readers->loop, job->requests[i]);
}

// Queues a job, or answers its requests.
static void post_job(struct job *job)
{
    struct readers *readers = job->readers;
    struct request *first = job->requests[0];
    if (first->select) first->deadline_us = readers->loop->now_us + job->timeout_us;
    if (inbox_post(readers->jobs, &job->item)) {
        readers->job_count++;
        return;
    }
    if (job->is_partial) select_release(first);
    for (size_t i = 0; i < arr_count(job->requests); i++) {
        struct request *request = job->requests[i];
        request->source = NULL;
        request->error = error_new(ERROR_REQUEST_THROTTLED, "Too many queries are waiting");
        error_set_u64(request->error, "count_max", READER_QUEUE_COUNT_MAX);
    }
    answer_all(job);
    end_job(job);
}

static struct job *new_job(struct readers *readers)
{
    struct job *job = must_alloc(calloc(1, sizeof *job));
    job->source = (struct request_source){.resume = resume_job, .drop = drop_job};
    job->readers = readers;
    job->snapshot = store_snapshot_new(readers->store);
    return job;
}

static void start_query(struct readers *readers, struct request *request)
{
    uint64_t now_us = readers->loop->now_us;
    struct job *job = new_job(readers);
    arr_add(job->requests, request);
    job->timeout_us = request->deadline_us > now_us ? request->deadline_us - now_us : 0;
    job->timeout_us = MIN(job->timeout_us, TIMEOUT_US);
    if (readers->part_count >= READER_PART_COUNT_MAX) request->part_size_min = 0;
    post_job(job);
}

static struct job *job_of(struct request_source *source)
{
    return (struct job *)((char *)source - offsetof(struct job, source));
}

static void resume_job(struct request_source *source)
{
    struct job *job = job_of(source);
    job->readers->part_count--;
    post_job(job);
}

static void drop_job(struct request_source *source)
{
    struct job *job = job_of(source);
    struct request *request = job->requests[0];
    job->readers->part_count--;
    loop_forget(job->readers->loop, request);
    select_release(request);
    request_free(request);
    end_job(job);
}

// -------------------------------------------------------------------------------------------------
// Lookups

static uint64_t count_keys(struct request *const *requests, size_t count)
{
    uint64_t key_count = 0;
    for (size_t i = 0; i < count; i++) key_count += requests[i]->lookup->key_count;
    return key_count;
}

static void run_here(struct readers *readers, struct request *const *requests, size_t count)
{
    uint64_t key_count = count_keys(requests, count);
    uint64_t begin_us = clock_now_us();
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = store_stem_iterator_new(readers->store, NULL, STORE_DATA);
    for (size_t i = 0; i < count; i++) requests[i]->error = lookup_run(requests[i], iterator);
    lookup_cost_learn(&readers->cost, key_count, clock_now_us() - begin_us);
    for (size_t i = 0; i < count; i++) loop_answer(readers->loop, requests[i]);
}

static void start_lookups(struct readers *readers, struct request *const *requests, size_t count)
{
    struct job *job = new_job(readers);
    for (size_t i = 0; i < count; i++) arr_add(job->requests, requests[i]);
    post_job(job);
}

// -------------------------------------------------------------------------------------------------

void readers_run_lookups(struct readers *readers, struct request *const *requests, size_t count)
{
    bool is_long = lookup_cost_is_long(&readers->cost, count_keys(requests, count));
    if (!is_long || readers->job_count >= READER_QUEUE_COUNT_MAX / 2) {
        run_here(readers, requests, count);
        return;
    }
    size_t per_thread = (count + readers->thread_count - 1) / readers->thread_count;
    for (size_t i = 0; i < count; i += per_thread)
        start_lookups(readers, &requests[i], MIN(per_thread, count - i));
}

void readers_run_query(struct readers *readers, struct request *request)
{
    if (!select_is_light(request)) {
        start_query(readers, request);
        return;
    }
    bool is_partial = false;
    request->part_size_min = 0; // So few rows are none.
    request->error = select_run(request, readers->store, NULL, clock_now_us, &is_partial);
    loop_answer(readers->loop, request);
}

void readers_collect(struct readers *readers)
{
    for (;;) {
        struct job *job = (struct job *)inbox_take(readers->done);
        if (!job) return;
        struct request *first = job->requests[0];
        readers->job_count--;
        if (job->is_partial) {
            readers->part_count++;
            first->source = &job->source;
            loop_answer(readers->loop, first); // The job may be gone then.
            continue;
        }
        if (first->lookup) {
            uint64_t key_count = count_keys(job->requests, arr_count(job->requests));
            lookup_cost_learn(&readers->cost, key_count, job->spent_us);
        }
        first->source = NULL;
        answer_all(job);
        end_job(job);
    }
}

size_t readers_count(const struct readers *readers)
{
    return readers->job_count;
}
