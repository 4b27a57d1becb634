#include "cluster/core/retention.h"

#include "cluster/core/layout.h"
#include "cluster/core/ordered_trim.h"
#include "cluster/core/versions.h"
#include "model/timestamp.h"

enum { NUMBER_SIZE = 4, TIMESTAMP_SIZE = 8 };

// -------------------------------------------------------------------------------------------------
// Rows

// The row at which a sweep stands.
struct sweep {
    struct store *store;
    struct store_batch *batch;
    const struct schema *schema;
    const struct retention_rule *rule;
    struct store_iterator *iterator; // Over the versions of the table.
    struct store_iterator *reader;   // For what a row is as of a timestamp.
    uint64_t version_count;          // Seen.
    struct buffer key;               // Of the row, without timestamp.
};

static void release_sweep(struct sweep *sweep)
{
    store_iterator_free(sweep->iterator);
    store_iterator_free(sweep->reader);
    buffer_release(&sweep->key);
}

static uint64_t timestamp_at(const struct sweep *sweep)
{
    struct slice key = store_iterator_key(sweep->iterator);
    struct reader reader =
        reader_from(slice_from(key.data + key.size - TIMESTAMP_SIZE, TIMESTAMP_SIZE));
    return ~get_big64(&reader);
}

static bool is_at_row(const struct sweep *sweep)
{
    if (!store_iterator_is_valid(sweep->iterator)) return false;
    struct slice key = store_iterator_key(sweep->iterator);
    return key.size == sweep->key.size + TIMESTAMP_SIZE &&
           memcmp(key.data, sweep->key.data, sweep->key.size) == 0;
}

static void step(struct sweep *sweep)
{
    store_iterator_next(sweep->iterator);
    sweep->version_count++;
}

// Whether nothing older than the version is needed, if the version shows the row as it is then.
// `index` counts from the newest version of the row.
static bool is_last_needed(const struct retention_rule *rule, uint64_t timestamp, uint64_t index)
{
    if (timestamp > rule->retained_timestamp) return false;
    if (index + 1 >= rule->version_count_max) return true;
    return timestamp < rule->expired_timestamp && index + 1 >= rule->version_count_min;
}

static bool is_expired(const struct retention_rule *rule, uint64_t newest_timestamp)
{
    return rule->version_count_min == 0 && newest_timestamp <= rule->retained_timestamp &&
           newest_timestamp < rule->expired_timestamp;
}

static void drop_rest(struct sweep *sweep)
{
    for (; is_at_row(sweep); step(sweep)) {
        store_batch_remove(sweep->batch, STORE_DATA, store_iterator_key(sweep->iterator));
    }
}

// Puts what the row is as of the version at which the iterator stands in the place of this version
// and all older ones.
static struct error *fold_rest(struct sweep *sweep)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    uint64_t timestamp = timestamp_at(sweep);
    struct slice stored = store_iterator_value(sweep->iterator);
    bool is_update = stored.size > 0 && stored.data[0] == ROW_UPDATE;
    CLEANUP(buffer_releasep) struct buffer at = {0};
    buffer_append_slice(&at, store_iterator_key(sweep->iterator));
    step(sweep);
    bool is_alone = !is_at_row(sweep);
    drop_rest(sweep);
    bool is_found = false;
    const struct schema *schema = sweep->schema;
    struct value *values = ARENA_NEW(&arena, struct value, schema->column_count);
    struct slice key = buffer_slice(&sweep->key);
    TRY(version_read(sweep->reader, &arena, schema, key, timestamp, values, &is_found));
    if (!is_found) {
        store_batch_remove(sweep->batch, STORE_DATA, buffer_slice(&at));
    } else if (is_update && !is_alone) {
        struct row row = {ROW_WRITE, schema->column_count, values};
        version_put(sweep->batch, schema, key, timestamp, &row);
    }
    return NULL;
}

static struct error *sweep_row(struct sweep *sweep)
{
    struct slice first = store_iterator_key(sweep->iterator);
    if (first.size < NUMBER_SIZE + TIMESTAMP_SIZE) {
        return error_new(ERROR_GENERIC, "Stored row key is too short");
    }
    buffer_clear(&sweep->key);
    buffer_append(&sweep->key, first.data, first.size - TIMESTAMP_SIZE);
    if (is_expired(sweep->rule, timestamp_at(sweep))) {
        drop_rest(sweep);
        return NULL;
    }
    for (uint64_t index = 0; is_at_row(sweep); index++) {
        if (is_last_needed(sweep->rule, timestamp_at(sweep), index)) return fold_rest(sweep);
        step(sweep);
    }
    return NULL;
}

struct error *retention_sweep(
    struct store *store,
    struct store_batch *batch,
    const struct schema *schema,
    uint32_t table_number,
    const struct retention_rule *rule,
    uint64_t version_count_max,
    struct buffer *next)
{
    struct layout_key begin = layout_prefix(layout_ordered_row(table_number, 0), NUMBER_SIZE);
    struct layout_key end = layout_after(begin);
    struct slice first = next->size > 0 ? buffer_slice(next) : layout_slice(&begin);
    CLEANUP(release_sweep)
    struct sweep sweep = {
        .store = store,
        .batch = batch,
        .schema = schema,
        .rule = rule,
        .iterator = store_iterator_new(store, NULL, STORE_DATA, first, layout_slice(&end)),
        .reader = store_stem_iterator_new(store, NULL, STORE_DATA),
    };
    store_iterator_seek(sweep.iterator, first);
    while (store_iterator_is_valid(sweep.iterator) && sweep.version_count < version_count_max) {
        TRY(sweep_row(&sweep));
    }
    TRY(store_iterator_error(sweep.iterator));
    buffer_clear(next);
    if (store_iterator_is_valid(sweep.iterator)) {
        buffer_append_slice(next, store_iterator_key(sweep.iterator));
    }
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Rounds

void retention_init(struct retention *retention, uint64_t now_us, uint64_t period_us)
{
    if (period_us == 0) period_us = RETENTION_PERIOD_US;
    *retention = (struct retention){.period_us = period_us, .step_at_us = now_us + period_us};
}

void retention_release(struct retention *retention)
{
    arr_free(retention->tables);
    buffer_release(&retention->next);
}

static uint64_t timestamp_ago(const struct cell *cell, uint64_t ms)
{
    uint64_t us = ms > UINT64_MAX / 1000 ? UINT64_MAX : ms * 1000;
    return cell->wall_us > us ? timestamp_from_wall_us(cell->wall_us - us) : 0;
}

// Raises a table's retained timestamp; false if there is nothing that it lets go.
static bool raise_retained(
    struct cell *cell, struct table *table, uint64_t ttl_ms_min, uint64_t closed_timestamp)
{
    const struct table_settings *settings = &table->settings;
    uint64_t ttl_ms = MAX(settings->min_data_ttl_ms, ttl_ms_min);
    uint64_t retained = MIN(timestamp_ago(cell, ttl_ms), closed_timestamp);
    if (retained <= table->retained_timestamp) return false;
    // A younger table has nothing so old, or it was copied or replicated into it: that goes later.
    if (retained <= timestamp_from_wall_us(table->object->created_wall_us)) return false;
    // What was there when it was last gone through is as it should be, but for what gets older.
    uint64_t last_write = 0;
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        last_write = MAX(last_write, table->tablets[i].last_write_timestamp);
    }
    bool gets_older = settings->data_version_count_min < settings->data_version_count_max;
    bool is_clean = table->swept_timestamp > last_write && table->swept_timestamp > 0;
    if (is_clean && !gets_older && settings->data_version_count_min > 0) return false;
    table->retained_timestamp = retained;
    object_save(&cell->batch, table->object);
    return true;
}

static void begin_round(
    struct retention *retention,
    struct cell *cell,
    uint64_t (*closed_timestamp)(const struct table *table))
{
    // The wall clock may have jumped ahead of what timestamps could follow.
    uint64_t own_closed_timestamp = timestamps_close(&cell->timestamps);
    arr_clear(retention->tables);
    retention->table_index = 0;
    for (struct tablet *tablet = cell->tree.tablets; tablet; tablet = tablet->hh.next) {
        struct table *table = tablet->table;
        if (tablet->index > 0) continue;
        bool is_due = ordered_expires(table);
        if (!table->is_replicated && table_is_sorted(table)) {
            uint64_t closed = MIN(own_closed_timestamp, closed_timestamp(table));
            is_due = raise_retained(cell, table, retention->period_us / 1000, closed);
        }
        if (is_due) arr_add(retention->tables, table->object->id);
    }
    cell_apply(cell);
    retention->is_sweeping = arr_count(retention->tables) > 0;
    retention->step_at_us = cell->now_us + retention->period_us;
}

static struct error *sweep_sorted(
    struct retention *retention, struct cell *cell, struct table *table, bool *ret_is_done)
{
    struct retention_rule rule = {
        .retained_timestamp = table->retained_timestamp,
        .expired_timestamp = timestamp_ago(cell, table->settings.max_data_ttl_ms),
        .version_count_min = table->settings.data_version_count_min,
        .version_count_max = table->settings.data_version_count_max,
    };
    TRY(retention_sweep(
        cell->store,
        &cell->batch,
        table->schema,
        table->number,
        &rule,
        RETENTION_STEP_VERSION_COUNT,
        &retention->next));
    *ret_is_done = retention->next.size == 0;
    if (*ret_is_done) table->swept_timestamp = rule.retained_timestamp;
    return NULL;
}

static struct error *sweep_ordered(
    struct retention *retention, struct cell *cell, const struct table *table, bool *ret_is_done)
{
    bool has_more = false;
    if (retention->tablet_index < table->tablet_count) { // It may have fewer than before.
        TRY(ordered_expire(
            cell->store,
            &cell->batch,
            &table->tablets[retention->tablet_index],
            timestamp_ago(cell, ordered_ttl_ms(table)),
            RETENTION_STEP_ROW_COUNT,
            &has_more));
    }
    if (!has_more) retention->tablet_index++;
    *ret_is_done = retention->tablet_index >= table->tablet_count;
    return NULL;
}

static struct error *sweep_table(struct retention *retention, struct cell *cell)
{
    const struct object *object = tree_find(&cell->tree, retention->tables[retention->table_index]);
    bool is_done = true; // A table that is gone is done.
    if (object && table_is_sorted(object->table)) {
        TRY(sweep_sorted(retention, cell, object->table, &is_done));
    } else if (object) {
        TRY(sweep_ordered(retention, cell, object->table, &is_done));
    }
    if (!is_done) return NULL;
    buffer_clear(&retention->next);
    retention->tablet_index = 0;
    retention->table_index++;
    return NULL;
}

void retention_tick(
    struct retention *retention,
    struct cell *cell,
    uint64_t (*closed_timestamp)(const struct table *table))
{
    if (cell->now_us < retention->step_at_us) return;
    if (!retention->is_sweeping) {
        begin_round(retention, cell, closed_timestamp);
        return;
    }
    struct error *error = sweep_table(retention, cell);
    if (error && !cell->fatal) cell->fatal = TAKE(error);
    error_free(error);
    cell_apply(cell);
    retention->step_at_us = cell->now_us + RETENTION_STEP_US;
    if (retention->table_index < arr_count(retention->tables)) return;
    retention->is_sweeping = false;
    retention->step_at_us = cell->now_us + retention->period_us;
}
