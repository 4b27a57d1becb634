// Hands things from thread to thread: a bounded queue, and the one lock of the project.
//
// Whoever posts gives the thing away. A loop takes what there is with inbox_take when it is woken;
// a worker waits with inbox_wait.
#pragma once

#include "base/base.h"

#include <stdbool.h>
#include <stddef.h>

struct inbox;

// To be embedded as the first field of what is posted.
struct inbox_item {
    struct inbox_item *prev;
    struct inbox_item *next;
};

// Makes an inbox for at most `count_max` items. `wake` (may be NULL) is called after each post, by
// the thread that posted.
MUST_USE struct inbox *inbox_new(size_t count_max, void (*wake)(void *context), void *context);

// It must be empty, and nobody may wait for it.
void inbox_free(struct inbox *inbox);

// False, and the item stays the caller's, if the inbox is full or closed.
MUST_USE bool inbox_post(struct inbox *inbox, struct inbox_item *item);

// The oldest item, or NULL if there is none.
struct inbox_item *inbox_take(struct inbox *inbox);

// The oldest item; waits for one. NULL once the inbox is closed and empty.
struct inbox_item *inbox_wait(struct inbox *inbox);

// Takes nothing more, and wakes those who wait.
void inbox_close(struct inbox *inbox);
