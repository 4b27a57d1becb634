#include "io/inbox.h"

#include "base/containers.h"

#include <assert.h>
#include <pthread.h>

struct inbox {
    pthread_mutex_t lock;
    pthread_cond_t posted;
    size_t count_max; // Never changes, like `wake` and `context`.
    void (*wake)(void *context);
    void *context; // Borrowed.
    size_t count;  // Under `lock`, as what follows.
    struct inbox_item *items;
    bool is_closed;
};

struct inbox *inbox_new(size_t count_max, void (*wake)(void *context), void *context)
{
    struct inbox *inbox = must_alloc(calloc(1, sizeof *inbox));
    pthread_mutex_init(&inbox->lock, NULL);
    pthread_cond_init(&inbox->posted, NULL);
    inbox->count_max = count_max;
    inbox->wake = wake;
    inbox->context = context;
    return inbox;
}

void inbox_free(struct inbox *inbox)
{
    if (!inbox) return;
    assert(!inbox->items);
    pthread_cond_destroy(&inbox->posted);
    pthread_mutex_destroy(&inbox->lock);
    free(inbox);
}

bool inbox_post(struct inbox *inbox, struct inbox_item *item)
{
    pthread_mutex_lock(&inbox->lock);
    bool is_taken = !inbox->is_closed && inbox->count < inbox->count_max;
    if (is_taken) {
        DL_APPEND(inbox->items, item);
        inbox->count++;
        pthread_cond_signal(&inbox->posted);
    }
    pthread_mutex_unlock(&inbox->lock);
    if (is_taken && inbox->wake) inbox->wake(inbox->context);
    return is_taken;
}

// The lock is held.
static struct inbox_item *take(struct inbox *inbox)
{
    struct inbox_item *item = inbox->items;
    if (!item) return NULL;
    DL_DELETE(inbox->items, item);
    inbox->count--;
    return item;
}

struct inbox_item *inbox_take(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    struct inbox_item *item = take(inbox);
    pthread_mutex_unlock(&inbox->lock);
    return item;
}

struct inbox_item *inbox_wait(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    while (!inbox->items && !inbox->is_closed) pthread_cond_wait(&inbox->posted, &inbox->lock);
    struct inbox_item *item = take(inbox);
    pthread_mutex_unlock(&inbox->lock);
    return item;
}

void inbox_close(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    inbox->is_closed = true;
    pthread_cond_broadcast(&inbox->posted);
    pthread_mutex_unlock(&inbox->lock);
}
