#include "cluster/readers.h"

#include "cluster/reads.h"
#include "io/clock.h"
#include "io/inbox.h"

#include <assert.h>
#include <pthread.h>

// Of a query whose client names no time limit: a worker must come free again.
#define TIMEOUT_US UINT64_C(60000000)

struct job {
    struct inbox_item item; // First.
    struct request *request;
    struct store_snapshot *snapshot;
};

struct readers {
    struct loop *loop;   // Borrowed; of the loop's thread alone.
    struct store *store; // Borrowed.
    struct inbox *jobs;
    struct inbox *done;
    size_t job_count; // Of the loop's thread.
    pthread_t *threads;
    size_t thread_count;
};

static void wake(void *context)
{
    rpc_wake(context);
}

static struct error *run(const struct readers *readers, const struct job *job)
{
    if (job->request->select)
        return select_run(job->request, readers->store, job->snapshot, clock_now_us);
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

void readers_free(struct readers *readers)
{
    if (!readers) return;
    inbox_close(readers->jobs);
    for (size_t i = 0; i < readers->thread_count; i++) pthread_join(readers->threads[i], NULL);
    for (;;) {
        struct job *job = (struct job *)inbox_take(readers->done);
        if (!job) break;
        store_snapshot_free(readers->store, job->snapshot);
        request_free(job->request);
        free(job);
    }
    inbox_free(readers->jobs);
    inbox_free(readers->done);
    free(readers->threads);
    free(readers);
}

void readers_start(struct readers *readers, struct request *request)
{
    struct job *job = must_alloc(calloc(1, sizeof *job));
    if (request->select)
        request->deadline_us = MIN(request->deadline_us, readers->loop->now_us + TIMEOUT_US);
    job->request = request;
    job->snapshot = store_snapshot_new(readers->store);
    if (inbox_post(readers->jobs, &job->item)) {
        readers->job_count++;
        return;
    }
    store_snapshot_free(readers->store, job->snapshot);
    free(job);
    request->error = error_new(ERROR_REQUEST_THROTTLED, "Too many queries are waiting");
    error_set_u64(request->error, "count_max", READER_QUEUE_COUNT_MAX);
    loop_answer(readers->loop, request);
}

void readers_collect(struct readers *readers)
{
    for (;;) {
        struct job *job = (struct job *)inbox_take(readers->done);
        if (!job) return;
        readers->job_count--;
        store_snapshot_free(readers->store, job->snapshot);
        loop_answer(readers->loop, job->request);
        free(job);
    }
}

size_t readers_count(const struct readers *readers)
{
    return readers->job_count;
}
