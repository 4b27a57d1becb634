#include "tests/sim/contents.h"

#include "cluster/core/layout.h"
#include "cluster/core/versions.h"
#include "model/key.h"

#include <inttypes.h>

void contents_versions(
    struct world *world, uint32_t node, const char *path, struct version **versions)
{
    struct table *table = world_table(world, node, path);
    if (!table) return;
    struct store *store = world->hosts[node].store;
    struct layout_key begin = layout_prefix(layout_ordered_row(table->number, 0), 4);
    struct layout_key end = layout_after(begin);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_iterator_new(store, NULL, STORE_DATA, layout_slice(&begin), layout_slice(&end));
    CLEANUP(store_iterator_freep)
    struct store_iterator *reader_iterator =
        store_iterator_new(store, NULL, STORE_DATA, layout_slice(&begin), layout_slice(&end));
    struct arena arena CLEANUP(arena_releasep) = {0};
    for (store_iterator_seek(iterator, layout_slice(&begin)); store_iterator_is_valid(iterator);
         store_iterator_next(iterator)) {
        struct slice key = store_iterator_key(iterator);
        struct reader tail = reader_from(slice_from(key.data + key.size - 8, 8));
        struct value values[2];
        size_t count = 0;
        struct slice encoded = slice_from(key.data + 4, key.size - 12);
        struct version version = {.timestamp = ~get_big64(&tail)};
        struct error *error = key_decode(&arena, encoded, 1, values, &count);
        version.key = values[0].int64;
        bool is_found = false;
        struct slice row_key = arena_copy(&arena, slice_from(key.data, key.size - 8));
        if (!error) {
            error = version_read(
                reader_iterator,
                &arena,
                table->schema,
                row_key,
                version.timestamp,
                values,
                &is_found);
        }
        if (error) world_fail(world, "a stored row cannot be read: %s", error_message(error));
        error_free(error);
        version.value = is_found ? values[1].int64 : 0;
        arr_add(*versions, version);
    }
}

void contents_list(struct world *world, uint32_t node, const char *path, struct version **items)
{
    struct table *table = world_table(world, node, path);
    if (!table) return;
    struct tablet *tablet = &table->tablets[0];
    struct layout_key begin = layout_ordered_row(tablet->number, 0);
    struct layout_key end = layout_ordered_row(tablet->number, UINT64_MAX);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = store_iterator_new(
        world->hosts[node].store, NULL, STORE_DATA, layout_slice(&begin), layout_slice(&end));
    int64_t row_index = 0;
    struct arena arena CLEANUP(arena_releasep) = {0};
    for (store_iterator_seek(iterator, layout_slice(&begin)); store_iterator_is_valid(iterator);
         store_iterator_next(iterator)) {
        struct reader key = reader_from(store_iterator_key(iterator));
        get_raw(&key, 4);
        struct version item = {.key = (int64_t)get_big64(&key)};
        if (item.key != row_index++)
            world_fail(world, "exactly-once: gap in the list at %" PRId64, item.key);
        struct value value;
        struct error *error = ordered_decode(
            &arena, table->schema, store_iterator_value(iterator), &item.timestamp, &value);
        error_free(error);
        item.value = value.int64;
        arr_add(*items, item);
    }
}
