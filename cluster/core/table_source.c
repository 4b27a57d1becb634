#include "cluster/core/table_source.h"

#include "cluster/core/layout.h"
#include "cluster/core/versions.h"
#include "model/key.h"

#include <assert.h>

struct table_scan {
    struct row_scan base;
    const struct table_source *source;
    const struct row_range *ranges;
    size_t range_count;
    size_t range; // Being read.
    const bool *columns;
    struct arena arena; // Of the row at hand.
    struct value *values;
    bool is_range_open; // Of a sorted table.
    struct version_scan versions;
    struct store_iterator *points;  // For ranges of one key.
    struct store_iterator *ordered; // Of an ordered one: over rows of a tablet.
    uint32_t tablet;
};

static void close_scan(struct row_scan *base)
{
    struct table_scan *scan = (struct table_scan *)base;
    if (scan->is_range_open) version_scan_release(&scan->versions);
    store_iterator_free(scan->points);
    store_iterator_free(scan->ordered);
    arena_release(&scan->arena);
    free(scan->values);
    free(scan);
}

bool table_source_is_point(const struct source_table *table, const struct row_range *range)
{
    if (range->end.size != range->begin.size + 1 || range->begin.size == 0) return false;
    if ((unsigned char)range->end.data[range->begin.size] != 0xff) return false;
    if (!slice_has_prefix(range->end, range->begin)) return false;
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct value values[SCHEMA_KEY_COLUMN_COUNT_MAX];
    size_t count = 0;
    CLEANUP(error_freep)
    struct error *error =
        key_decode(&arena, range->begin, SCHEMA_KEY_COLUMN_COUNT_MAX, values, &count);
    return !error && count == table->schema->key_column_count;
}

// Looks a key up, as lookups do.
static struct error *read_point(
    struct table_scan *scan, const struct row_range *range, bool *ret_found)
{
    const struct table_source *source = scan->source;
    if (!scan->points) {
        scan->points = store_stem_iterator_new(source->store, source->snapshot, STORE_DATA);
    }
    CLEANUP(buffer_releasep) struct buffer key = {0};
    version_begin_key(source->table->table_number, &key);
    buffer_append_slice(&key, range->begin);
    return version_read(
        scan->points,
        &scan->arena,
        source->table->schema,
        buffer_slice(&key),
        source->timestamp,
        scan->values,
        ret_found);
}

static struct error *next_sorted(struct row_scan *base, const struct value **ret_row)
{
    struct table_scan *scan = (struct table_scan *)base;
    const struct table_source *source = scan->source;
    arena_reset(&scan->arena); // What the last row had is not needed any more.
    *ret_row = NULL;
    while (scan->range < scan->range_count) {
        const struct row_range *range = &scan->ranges[scan->range];
        bool is_found = false;
        if (!scan->is_range_open && table_source_is_point(source->table, range)) {
            scan->range++;
            TRY(read_point(scan, range, &is_found));
            if (!is_found) continue;
            *ret_row = scan->values;
            return NULL;
        }
        if (!scan->is_range_open) {
            version_scan_init(
                &scan->versions,
                source->store,
                source->snapshot,
                source->table->schema,
                scan->columns,
                source->table->table_number,
                range->begin,
                range->end,
                source->timestamp,
                &scan->arena);
            scan->is_range_open = true;
        }
        TRY(version_scan_next(&scan->versions, scan->values, &is_found));
        if (is_found) {
            *ret_row = scan->values;
            return NULL;
        }
        version_scan_release(&scan->versions);
        scan->is_range_open = false;
        scan->range++;
    }
    return NULL;
}

// The first row index of a tablet whose key is at or after a bound; 2^63 if there is none.
static uint64_t first_row_index(uint32_t tablet, struct slice bound)
{
    CLEANUP(buffer_releasep) struct buffer key = {0};
    uint64_t begin = 0;
    uint64_t end = UINT64_C(1) << 63;
    while (begin < end) {
        uint64_t middle = begin + (end - begin) / 2;
        const struct value values[] = {value_int64(0, tablet), value_int64(1, (int64_t)middle)};
        buffer_clear(&key);
        key_encode(values, 2, &key);
        if (slice_compare(buffer_slice(&key), bound) < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

// Opens an iterator over the rows of the tablet at hand that are in the range at hand, if any.
static void open_ordered(struct table_scan *scan)
{
    const struct table_source *source = scan->source;
    const struct row_range *range = &scan->ranges[scan->range];
    uint32_t number = source->table->tablet_numbers[scan->tablet];
    uint64_t begin_index = first_row_index(scan->tablet, range->begin);
    uint64_t end_index = UINT64_C(1) << 63;
    if (range->end.size > 0) end_index = first_row_index(scan->tablet, range->end);
    if (begin_index >= end_index) return;
    struct layout_key begin = layout_ordered_row(number, begin_index);
    struct layout_key end = layout_ordered_row(number, end_index);
    scan->ordered = store_iterator_new(
        source->store, source->snapshot, STORE_DATA, layout_slice(&begin), layout_slice(&end));
    store_iterator_seek(scan->ordered, layout_slice(&begin));
}

// Stored rows know the columns behind the two of the key by the same ids.
static struct error *next_ordered(struct row_scan *base, const struct value **ret_row)
{
    struct table_scan *scan = (struct table_scan *)base;
    const struct table_source *source = scan->source;
    *ret_row = NULL;
    arena_reset(&scan->arena);
    while (scan->range < scan->range_count) {
        if (scan->tablet == source->table->tablet_count) {
            scan->tablet = 0;
            scan->range++;
            continue;
        }
        if (!scan->ordered) open_ordered(scan);
        while (scan->ordered && store_iterator_is_valid(scan->ordered)) {
            uint64_t timestamp = 0;
            struct reader key = reader_from(store_iterator_key(scan->ordered));
            get_raw(&key, 4);
            uint64_t row_index = get_big64(&key);
            TRY(reader_finish(&key, "Key of an ordered row"));
            struct slice stored = store_iterator_value(scan->ordered);
            TRY(ordered_decode(
                &scan->arena, source->table->schema, stored, &timestamp, scan->values));
            store_iterator_next(scan->ordered);
            if (timestamp > source->timestamp) continue;
            scan->values[0] = value_int64(0, scan->tablet);
            scan->values[1] = value_int64(1, (int64_t)row_index);
            *ret_row = scan->values;
            return NULL;
        }
        if (scan->ordered) TRY(store_iterator_error(scan->ordered));
        store_iterator_free(TAKE(scan->ordered));
        scan->tablet++;
    }
    return NULL;
}

static const struct row_scan_methods SORTED_SCAN = {.next = next_sorted, .close = close_scan};
static const struct row_scan_methods ORDERED_SCAN = {.next = next_ordered, .close = close_scan};

static struct error *open_scan(
    struct row_source *base,
    const struct row_range *ranges,
    size_t range_count,
    const bool *columns,
    struct row_scan **ret_scan)
{
    struct table_source *source = (struct table_source *)base;
    struct table_scan *scan = must_alloc(calloc(1, sizeof *scan));
    scan->base.methods = source->table->is_sorted ? &SORTED_SCAN : &ORDERED_SCAN;
    scan->source = source;
    scan->ranges = ranges;
    scan->range_count = range_count;
    scan->columns = columns;
    scan->values = must_alloc(calloc(source->table->schema->column_count, sizeof *scan->values));
    *ret_scan = &scan->base;
    return NULL;
}

static const struct row_source_methods TABLE_SOURCE = {.open = open_scan};

void table_source_init(
    struct table_source *source,
    const struct source_table *table,
    struct store *store,
    const struct store_snapshot *snapshot,
    uint64_t timestamp)
{
    *source = (struct table_source){
        .base = {.methods = &TABLE_SOURCE},
        .table = table,
        .store = store,
        .snapshot = snapshot,
        .timestamp = timestamp,
    };
}

struct schema *table_source_schema(struct arena *arena, const struct schema *schema)
{
    struct schema *wide = ARENA_NEW(arena, struct schema, 1);
    *wide = *schema;
    wide->column_count = (uint16_t)(schema->column_count + 2);
    wide->key_column_count = 2;
    wide->columns = ARENA_NEW(arena, struct column, wide->column_count);
    static const char *const NAMES[] = {"$tablet_index", "$row_index"};
    for (uint16_t i = 0; i < 2; i++) {
        wide->columns[i] = (struct column){
            .name = slice_from_text(NAMES[i]),
            .type = COLUMN_INT64,
            .is_key = true,
            .id = (uint16_t)(UINT16_MAX - 1 - i),
        };
    }
    memcpy(&wide->columns[2], schema->columns, schema->column_count * sizeof *schema->columns);
    return wide;
}
