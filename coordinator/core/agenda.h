// What is to be looked at, of thousands: that to which something has happened, and that whose time
// has come. The rest costs nothing.
//
// Items are embedded in what they stand for and must be taken off before it is freed.
#pragma once

#include "base/containers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agenda_item {
    uint64_t wake_at_us; // Its place in the order of times, if it has one.
    size_t timed_place;  // In `timed`, counted from 1; 0 if it waits for no time.
    size_t ready_place;  // In `ready`, likewise.
};

struct agenda {
    struct agenda_item **ready; // stb array.
    struct agenda_item **timed; // stb array: a binary heap, the earliest first.
};

// Something has happened to it: it is ready.
void agenda_stir(struct agenda *agenda, struct agenda_item *item);

// It becomes ready at this time, and not at the one that was said before; UINT64_MAX: at none.
void agenda_schedule(struct agenda *agenda, struct agenda_item *item, uint64_t wake_at_us);

// Makes ready what was scheduled for `now_us` or before.
void agenda_tick(struct agenda *agenda, uint64_t now_us);

// Takes one that is ready off, or returns NULL. Its time, if it has one, stays.
struct agenda_item *agenda_take(struct agenda *agenda);

// Takes it off altogether.
void agenda_remove(struct agenda *agenda, struct agenda_item *item);

// When something becomes ready by time; 0 if something is ready, UINT64_MAX if nothing will be.
uint64_t agenda_wake_at_us(const struct agenda *agenda);

void agenda_release(struct agenda *agenda);
