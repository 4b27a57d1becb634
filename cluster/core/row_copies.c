#include "cluster/core/row_copies.h"

#include "base/coding.h"
#include "cluster/core/layout.h"

#include <assert.h>

enum { NUMBER_SIZE = sizeof(uint32_t) };

static struct layout_key number_prefix(uint32_t number)
{
    return layout_prefix(layout_ordered_row(number, 0), NUMBER_SIZE);
}

void row_copies_init(struct row_copies *copies, struct cell *cell)
{
    cell_apply(cell);
    *copies = (struct row_copies){.cell = cell, .snapshot = store_snapshot_new(cell->store)};
}

void row_copies_release(struct row_copies *copies)
{
    store_snapshot_free(copies->cell->store, TAKE(copies->snapshot));
    arr_free(copies->ranges);
    buffer_release(&copies->next);
}

void row_copies_add(struct row_copies *copies, enum store_family family, uint32_t from)
{
    struct cell *cell = copies->cell;
    struct row_range range = {family, from, tree_new_number(&cell->tree, &cell->batch)};
    struct layout_key key = layout_unfinished(range.to);
    store_batch_put(&cell->batch, STORE_META, layout_slice(&key), slice_from("", 0));
    arr_add(copies->ranges, range);
}

static struct error *copy_range(
    struct row_copies *copies, const struct row_range *range, uint64_t size_max, uint64_t *size)
{
    struct cell *cell = copies->cell;
    struct layout_key begin = number_prefix(range->from);
    struct layout_key end = layout_after(begin);
    struct layout_key prefix = number_prefix(range->to);
    struct slice first = copies->next.size > 0 ? buffer_slice(&copies->next) : layout_slice(&begin);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_iterator_new(cell->store, copies->snapshot, range->family, first, layout_slice(&end));
    CLEANUP(buffer_releasep) struct buffer key = {0};
    store_iterator_seek(iterator, first);
    for (; store_iterator_is_valid(iterator) && *size < size_max; store_iterator_next(iterator)) {
        struct slice old_key = store_iterator_key(iterator);
        struct slice value = store_iterator_value(iterator);
        *size += old_key.size + value.size;
        buffer_clear(&key);
        buffer_append_slice(&key, layout_slice(&prefix));
        buffer_append(&key, old_key.data + NUMBER_SIZE, old_key.size - NUMBER_SIZE);
        store_batch_put(&cell->batch, range->family, buffer_slice(&key), value);
    }
    TRY(store_iterator_error(iterator));
    CLEANUP(buffer_releasep) struct buffer next = {0};
    if (store_iterator_is_valid(iterator)) {
        buffer_append_slice(&next, store_iterator_key(iterator));
    }
    buffer_clear(&copies->next);
    buffer_append_slice(&copies->next, buffer_slice(&next));
    return NULL;
}

struct error *row_copies_step(struct row_copies *copies, uint64_t size_max, bool *ret_is_done)
{
    uint64_t size = 0;
    while (copies->range_index < arr_count(copies->ranges) && size < size_max) {
        TRY(copy_range(copies, &copies->ranges[copies->range_index], size_max, &size));
        if (copies->next.size == 0) copies->range_index++;
    }
    *ret_is_done = copies->range_index == arr_count(copies->ranges);
    return NULL;
}

static void finish(struct cell *cell, uint32_t number)
{
    struct layout_key key = layout_unfinished(number);
    store_batch_remove(&cell->batch, STORE_META, layout_slice(&key));
}

void row_copies_keep(struct row_copies *copies)
{
    assert(copies->range_index == arr_count(copies->ranges));
    for (size_t i = 0; i < arr_count(copies->ranges); i++) {
        finish(copies->cell, copies->ranges[i].to);
    }
    arr_clear(copies->ranges);
    copies->range_index = 0;
}

static void remove_number(struct cell *cell, uint32_t number)
{
    struct layout_key begin = number_prefix(number);
    struct layout_key end = layout_after(begin);
    struct store_batch *batch = &cell->batch;
    store_batch_remove_range(batch, STORE_DATA, layout_slice(&begin), layout_slice(&end));
    store_batch_remove_range(batch, STORE_QUEUE, layout_slice(&begin), layout_slice(&end));
    finish(cell, number);
}

void row_copies_drop(struct row_copies *copies)
{
    for (size_t i = 0; i < arr_count(copies->ranges); i++) {
        remove_number(copies->cell, copies->ranges[i].to);
    }
}

struct error *row_copies_recover(struct cell *cell)
{
    struct layout_key prefix = layout_prefix(layout_unfinished(0), 1);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = layout_iterate(cell->store, STORE_META, prefix);
    for (; store_iterator_is_valid(iterator); store_iterator_next(iterator)) {
        struct slice key = store_iterator_key(iterator);
        struct reader reader = reader_from(slice_from(key.data + 1, key.size - 1));
        uint32_t number = get_big32(&reader);
        TRY(reader_finish(&reader, "Number of an unfinished copy"));
        remove_number(cell, number);
    }
    return store_iterator_error(iterator);
}
