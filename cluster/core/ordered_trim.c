#include "cluster/core/ordered_trim.h"

#include "base/coding.h"
#include "cluster/core/layout.h"

#include <assert.h>

void ordered_trim(struct store_batch *batch, struct tablet *tablet, uint64_t row_index)
{
    assert(row_index <= tablet->total_row_count);
    if (row_index <= tablet->trimmed_row_count) return;
    struct layout_key begin = layout_ordered_row(tablet->number, tablet->trimmed_row_count);
    struct layout_key end = layout_ordered_row(tablet->number, row_index);
    store_batch_remove_range(batch, STORE_DATA, layout_slice(&begin), layout_slice(&end));
    tablet->trimmed_row_count = row_index;
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_varint(&value, row_index);
    struct layout_key key = layout_ordered_trimmed(tablet->number);
    store_batch_put(batch, STORE_META, layout_slice(&key), buffer_slice(&value));
}

bool ordered_expires(const struct table *table)
{
    return table->is_dynamic && !table->is_replicated && !table_is_sorted(table) &&
           table->settings.data_version_count_min == 0;
}

uint64_t ordered_ttl_ms(const struct table *table)
{
    const struct table_settings *settings = &table->settings;
    if (settings->data_version_count_max == 0) return settings->min_data_ttl_ms;
    return MAX(settings->min_data_ttl_ms, settings->max_data_ttl_ms);
}

struct error *ordered_expire(
    struct store *store,
    struct store_batch *batch,
    struct tablet *tablet,
    uint64_t expired_timestamp,
    uint64_t row_count_max,
    bool *ret_has_more)
{
    const struct table_settings *settings = &tablet->table->settings;
    *ret_has_more = false;
    uint64_t row_count = tablet->total_row_count - tablet->trimmed_row_count;
    if (tablet->state != TABLET_MOUNTED || row_count <= settings->row_count_to_keep) return NULL;
    uint64_t count_max = MIN(row_count - settings->row_count_to_keep, row_count_max);
    struct layout_key begin = layout_ordered_row(tablet->number, tablet->trimmed_row_count);
    struct layout_key end = layout_ordered_row(tablet->number, tablet->total_row_count);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_iterator_new(store, NULL, STORE_DATA, layout_slice(&begin), layout_slice(&end));
    store_iterator_seek(iterator, layout_slice(&begin));
    uint64_t count = 0;
    for (; count < count_max && store_iterator_is_valid(iterator); count++) {
        struct reader reader = reader_from(store_iterator_value(iterator));
        if (get_fixed64(&reader) >= expired_timestamp || reader.is_broken) break;
        store_iterator_next(iterator);
    }
    TRY(store_iterator_error(iterator));
    ordered_trim(batch, tablet, tablet->trimmed_row_count + count);
    *ret_has_more = count == row_count_max;
    return NULL;
}
