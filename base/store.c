#include "base/store.h"

#include "base/coding.h"

#include <assert.h>

// An operation: kind, family, key, value (the last is left out when removing one key).
static void add_operation(
    struct store_batch *batch, enum store_operation_kind kind, enum store_family family)
{
    put_u8(&batch->operations, (uint8_t)kind);
    put_u8(&batch->operations, (uint8_t)family);
    batch->count++;
}

void store_batch_put(
    struct store_batch *batch, enum store_family family, struct slice key, struct slice value)
{
    add_operation(batch, STORE_PUT, family);
    put_bytes(&batch->operations, key);
    put_bytes(&batch->operations, value);
}

void store_batch_remove(struct store_batch *batch, enum store_family family, struct slice key)
{
    add_operation(batch, STORE_REMOVE, family);
    put_bytes(&batch->operations, key);
}

void store_batch_remove_range(
    struct store_batch *batch, enum store_family family, struct slice begin, struct slice end)
{
    if (slice_compare(begin, end) >= 0) return;
    add_operation(batch, STORE_REMOVE_RANGE, family);
    put_bytes(&batch->operations, begin);
    put_bytes(&batch->operations, end);
}

void store_batch_clear(struct store_batch *batch)
{
    buffer_clear(&batch->operations);
    batch->count = 0;
}

void store_batch_release(struct store_batch *batch)
{
    buffer_release(&batch->operations);
    batch->count = 0;
}

bool store_operation_next(struct slice *operations, struct store_operation *ret_operation)
{
    if (operations->size == 0) return false;
    struct reader reader = reader_from(*operations);
    struct store_operation operation = {.kind = get_u8(&reader), .family = get_u8(&reader)};
    operation.key = get_bytes(&reader);
    if (operation.kind != STORE_REMOVE) operation.value = get_bytes(&reader);
    assert(!reader.is_broken);
    assert(operation.family < STORE_FAMILY_COUNT);
    *operations = reader.rest;
    *ret_operation = operation;
    return true;
}
