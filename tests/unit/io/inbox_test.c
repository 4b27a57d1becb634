#include "io/inbox.h"

#include "tests/test.h"

#include <pthread.h>

TestSuite(inbox, .fini = abort_on_leaks);

static void count_wakes(void *context)
{
    (*(int *)context)++;
}

Test(inbox, gives_items_in_order_and_wakes_for_each)
{
    int wake_count = 0;
    struct inbox *inbox = inbox_new(8, count_wakes, &wake_count);
    struct inbox_item items[3];
    for (int i = 0; i < 3; i++) cr_assert(inbox_post(inbox, &items[i]));
    for (int i = 0; i < 3; i++) cr_assert(eq(ptr, inbox_take(inbox), &items[i]));
    cr_assert(eq(ptr, inbox_take(inbox), NULL));
    cr_assert(eq(int, wake_count, 3));
    inbox_free(inbox);
}

Test(inbox, refuses_when_full_and_when_closed)
{
    struct inbox *inbox = inbox_new(1, NULL, NULL);
    struct inbox_item first;
    struct inbox_item second;
    cr_assert(inbox_post(inbox, &first));
    cr_assert(not(inbox_post(inbox, &second)));
    inbox_close(inbox);
    cr_assert(eq(ptr, inbox_wait(inbox), &first)); // What was taken is still given.
    cr_assert(eq(ptr, inbox_wait(inbox), NULL));
    cr_assert(not(inbox_post(inbox, &second)));
    inbox_free(inbox);
}

struct relay {
    struct inbox *from;
    struct inbox *to;
};

static void *pass_on(void *context)
{
    const struct relay *relay = context;
    for (;;) {
        struct inbox_item *item = inbox_wait(relay->from);
        if (!item) return NULL;
        if (!inbox_post(relay->to, item)) abort();
    }
}

Test(inbox, carries_items_between_threads)
{
    enum { THREAD_COUNT = 4, ITEM_COUNT = 1000 };
    static struct inbox_item items[ITEM_COUNT];
    struct relay relay = {
        .from = inbox_new(ITEM_COUNT, NULL, NULL), .to = inbox_new(ITEM_COUNT, NULL, NULL)};
    pthread_t threads[THREAD_COUNT];
    for (int i = 0; i < THREAD_COUNT; i++) pthread_create(&threads[i], NULL, pass_on, &relay);
    for (int i = 0; i < ITEM_COUNT; i++) cr_assert(inbox_post(relay.from, &items[i]));
    int taken_count = 0;
    while (taken_count < ITEM_COUNT) {
        if (inbox_wait(relay.to)) taken_count++;
    }
    inbox_close(relay.from);
    for (int i = 0; i < THREAD_COUNT; i++) pthread_join(threads[i], NULL);
    inbox_free(relay.from);
    inbox_free(relay.to);
}
