#include "coordinator/core/agenda.h"

static void put_timed(struct agenda *agenda, size_t place, struct agenda_item *item)
{
    agenda->timed[place - 1] = item;
    item->timed_place = place;
}

// Moves an item from a free place up or down to where the heap is in order.
static void settle(struct agenda *agenda, size_t place, struct agenda_item *item)
{
    struct agenda_item **timed = agenda->timed;
    size_t count = arr_count(timed);
    while (place > 1 && timed[place / 2 - 1]->wake_at_us > item->wake_at_us) {
        put_timed(agenda, place, timed[place / 2 - 1]);
        place /= 2;
    }
    for (;;) {
        size_t child = place * 2;
        if (child > count) break;
        bool is_right = child < count && timed[child]->wake_at_us < timed[child - 1]->wake_at_us;
        if (is_right) child++;
        if (timed[child - 1]->wake_at_us >= item->wake_at_us) break;
        put_timed(agenda, place, timed[child - 1]);
        place = child;
    }
    put_timed(agenda, place, item);
}

static void remove_timed(struct agenda *agenda, struct agenda_item *item)
{
    size_t place = item->timed_place;
    if (place == 0) return;
    item->timed_place = 0;
    struct agenda_item *last = arr_pop(agenda->timed);
    if (last != item) settle(agenda, place, last);
}

void agenda_stir(struct agenda *agenda, struct agenda_item *item)
{
    if (item->ready_place != 0) return;
    arr_add(agenda->ready, item);
    item->ready_place = arr_count(agenda->ready);
}

void agenda_schedule(struct agenda *agenda, struct agenda_item *item, uint64_t wake_at_us)
{
    if (wake_at_us == UINT64_MAX) {
        remove_timed(agenda, item);
        return;
    }
    item->wake_at_us = wake_at_us;
    if (item->timed_place == 0) {
        arr_add(agenda->timed, item);
        item->timed_place = arr_count(agenda->timed);
    }
    settle(agenda, item->timed_place, item);
}

void agenda_tick(struct agenda *agenda, uint64_t now_us)
{
    while (arr_count(agenda->timed) > 0 && agenda->timed[0]->wake_at_us <= now_us) {
        struct agenda_item *item = agenda->timed[0];
        remove_timed(agenda, item);
        agenda_stir(agenda, item);
    }
}

struct agenda_item *agenda_take(struct agenda *agenda)
{
    if (arr_count(agenda->ready) == 0) return NULL;
    struct agenda_item *item = arr_pop(agenda->ready);
    item->ready_place = 0;
    return item;
}

void agenda_remove(struct agenda *agenda, struct agenda_item *item)
{
    remove_timed(agenda, item);
    if (item->ready_place == 0) return;
    struct agenda_item *last = arr_pop(agenda->ready);
    if (last != item) {
        agenda->ready[item->ready_place - 1] = last;
        last->ready_place = item->ready_place;
    }
    item->ready_place = 0;
}

uint64_t agenda_wake_at_us(const struct agenda *agenda)
{
    if (arr_count(agenda->ready) > 0) return 0;
    return arr_count(agenda->timed) > 0 ? agenda->timed[0]->wake_at_us : UINT64_MAX;
}

void agenda_release(struct agenda *agenda)
{
    arr_free(agenda->ready);
    arr_free(agenda->timed);
}
