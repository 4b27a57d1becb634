#include "cluster/readers.h"

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
    struct readers *readers; // Borrowed.
    struct request *request;
    struct store_snapshot *snapshot;
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
};

static void wake(void *context)
{
    rpc_wake(context);
}

static struct error *run(const struct readers *readers, struct job *job)
{
    if (job->request->select) {
        return select_run(
            job->request, readers->store, job->snapshot, clock_now_us, &job->is_partial);
    }
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_stem_iterator_new(readers->store, job->snapshot, STORE_DATA);
    return lookup_run(job->request, iterator);
}

static void *work(void *context)
{
    struct readers *readers = context;
    for (;;) {
        struct job *job = (struct job *)inbox_wait(readers->jobs);
        if (!job) return NULL;
        job->request->error = run(readers, job);
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
        if (job->is_partial) select_release(job->request);
        request_free(job->request);
        end_job(job);
    }
    inbox_free(readers->jobs);
    inbox_free(readers->done);
    free(readers->threads);
    free(readers);
}

static void resume_job(struct request_source *source);
static void drop_job(struct request_source *source);

// Queues a job, or answers its request.
static void post_job(struct job *job)
{
    struct readers *readers = job->readers;
    struct request *request = job->request;
    if (request->select) request->deadline_us = readers->loop->now_us + job->timeout_us;
    if (inbox_post(readers->jobs, &job->item)) {
        readers->job_count++;
        return;
    }
    if (job->is_partial) select_release(request);
    end_job(job);
    request->source = NULL;
    request->error = error_new(ERROR_REQUEST_THROTTLED, "Too many queries are waiting");
    error_set_u64(request->error, "count_max", READER_QUEUE_COUNT_MAX);
    loop_answer(readers->loop, request);
}

void readers_start(struct readers *readers, struct request *request)
{
    uint64_t now_us = readers->loop->now_us;
    struct job *job = must_alloc(calloc(1, sizeof *job));
    job->source = (struct request_source){.resume = resume_job, .drop = drop_job};
    job->readers = readers;
    job->request = request;
    job->timeout_us = request->deadline_us > now_us ? request->deadline_us - now_us : 0;
    job->timeout_us = MIN(job->timeout_us, TIMEOUT_US);
    job->snapshot = store_snapshot_new(readers->store);
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
    struct request *request = job->request;
    job->readers->part_count--;
    loop_forget(job->readers->loop, request);
    select_release(request);
    request_free(request);
    end_job(job);
}

void readers_collect(struct readers *readers)
{
    for (;;) {
        struct job *job = (struct job *)inbox_take(readers->done);
        if (!job) return;
        struct request *request = job->request;
        readers->job_count--;
        request->source = job->is_partial ? &job->source : NULL;
        if (job->is_partial) {
            readers->part_count++;
        } else {
            end_job(job);
        }
        loop_answer(readers->loop, request);
    }
}

size_t readers_count(const struct readers *readers)
{
    return readers->job_count;
}
