#include "replica_node/core/source.h"

#include "cluster/core/layout.h"

#include <assert.h>

enum { HASH_COUNT_KEPT_MAX = 32 };

// -------------------------------------------------------------------------------------------------
// What is in the store

void source_save(struct sources *sources, const struct source *source)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_fixed64(&value, source->promised.number);
    put_fixed64(&value, source->promised.incarnation);
    put_fixed64(&value, source->session);
    put_fixed64(&value, source->meta_cluster_id.high);
    put_fixed64(&value, source->meta_cluster_id.low);
    struct guid table_id = source->table->object->id;
    put_fixed64(&value, table_id.high);
    put_fixed64(&value, table_id.low);
    put_varint(&value, source->tablet_count);
    for (uint32_t i = 0; i < source->tablet_count; i++) {
        put_fixed64(&value, source->tablets[i].tablet_id.high);
        put_fixed64(&value, source->tablets[i].tablet_id.low);
    }
    struct layout_key key = layout_source_epoch(source->replica_id);
    store_batch_put(&sources->cell->batch, STORE_META, layout_slice(&key), buffer_slice(&value));
}

void source_save_positions(
    struct sources *sources, const struct source *source, const struct source_tablet *tablet)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_fixed64(&value, tablet->tail.row_index);
    put_fixed64(&value, tablet->tail.timestamp);
    put_fixed64(&value, tablet->decided.row_index);
    put_fixed64(&value, tablet->decided.timestamp);
    struct layout_key key = layout_source(source->replica_id, tablet->tablet_id);
    store_batch_put(&sources->cell->batch, STORE_META, layout_slice(&key), buffer_slice(&value));
}

static void save_entry(
    struct sources *sources,
    const struct source *source,
    const struct source_tablet *tablet,
    const struct source_entry *entry)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_fixed64(&value, entry->end.row_index);
    put_fixed64(&value, entry->end.timestamp);
    put_u8(&value, (uint8_t)entry->state);
    put_u8(&value, entry->is_applied);
    if (!entry->is_applied) buffer_append_slice(&value, block_slice(entry->rows));
    struct layout_key key =
        layout_source_record(source->replica_id, tablet->tablet_id, entry->row_index);
    store_batch_put(&sources->cell->batch, STORE_META, layout_slice(&key), buffer_slice(&value));
}

static void remove_entry(
    struct sources *sources,
    const struct source *source,
    const struct source_tablet *tablet,
    const struct source_entry *entry)
{
    struct layout_key key =
        layout_source_record(source->replica_id, tablet->tablet_id, entry->row_index);
    store_batch_remove(&sources->cell->batch, STORE_META, layout_slice(&key));
}

static void remove_tablet_keys(
    struct sources *sources, const struct source *source, const struct source_tablet *tablet)
{
    struct store_batch *batch = &sources->cell->batch;
    struct layout_key key = layout_source(source->replica_id, tablet->tablet_id);
    store_batch_remove(batch, STORE_META, layout_slice(&key));
    struct layout_key begin = layout_source_record(source->replica_id, tablet->tablet_id, 0);
    struct layout_key end = layout_after(layout_prefix(begin, begin.size - 8));
    store_batch_remove_range(batch, STORE_META, layout_slice(&begin), layout_slice(&end));
}

// -------------------------------------------------------------------------------------------------
// Memory

static void release_entry(struct source_entry *entry)
{
    block_release(TAKE(entry->rows));
    free(TAKE(entry->hashes));
}

static void free_source(struct sources *sources, struct source *source)
{
    struct sink *sink = source->table->sink;
    for (uint32_t i = 0; i < source->tablet_count; i++) {
        struct source_tablet *tablet = &source->tablets[i];
        sink->undecided_count -= tablet->undecided_count;
        for (size_t j = 0; j < arr_count(tablet->entries); j++) release_entry(&tablet->entries[j]);
        arr_free(tablet->entries);
    }
    free(source->tablets);
    for (size_t i = 0; i < arr_count(sink->sources); i++) {
        if (sink->sources[i] == source) {
            arr_remove(sink->sources, i);
            break;
        }
    }
    if (arr_count(sink->sources) == 0) {
        arr_free(sink->sources);
        free(TAKE(source->table->sink));
    }
    HASH_DEL(sources->by_id, source);
    free(source);
}

static struct source *add_source(
    struct sources *sources, struct guid replica_id, struct table *table, uint32_t tablet_count)
{
    struct source *source = must_alloc(calloc(1, sizeof *source));
    source->replica_id = replica_id;
    source->table = table;
    source->tablet_count = tablet_count;
    source->tablets = must_alloc(calloc(tablet_count, sizeof *source->tablets));
    HASH_ADD(hh, sources->by_id, replica_id, sizeof replica_id, source);
    if (!table->sink) table->sink = must_alloc(calloc(1, sizeof *table->sink));
    arr_add(table->sink->sources, source);
    return source;
}

struct source *sources_find(const struct sources *sources, struct guid replica_id)
{
    struct source *source = NULL;
    HASH_FIND(hh, sources->by_id, &replica_id, sizeof replica_id, source);
    return source;
}

// Counts an entry as undecided, with what readers need to know of it.
static void hold_undecided(
    struct source *source, struct source_tablet *tablet, struct source_entry *e)
{
    tablet->undecided_count++;
    source->table->sink->undecided_count++;
    e->sequence = ++source->table->sink->next_sequence;
}

static void drop_undecided(
    struct sources *sources, struct source *source, struct source_tablet *tablet)
{
    tablet->undecided_count--;
    source->table->sink->undecided_count--;
    sources->is_changed = true;
}

static void keep_hashes(
    struct source_entry *entry, const struct row_change *changes, uint32_t count)
{
    if (count > HASH_COUNT_KEPT_MAX) return;
    entry->hashes = must_alloc(calloc(count + 1, sizeof *entry->hashes));
    entry->hash_count = count;
    for (uint32_t i = 0; i < count; i++) entry->hashes[i] = changes[i].hash;
}

// -------------------------------------------------------------------------------------------------
// Applying

// Where a record of a source's tablet goes in an ordered table: tablets are matched by index as far
// as the table has them.
static struct tablet *ordered_target(const struct source *source, const struct source_tablet *from)
{
    uint32_t index = (uint32_t)(from - source->tablets);
    return &source->table->tablets[index % source->table->tablet_count];
}

static uint64_t row_timestamp(
    struct sources *sources, const struct source *source, uint64_t timestamp)
{
    if (source->preserve_timestamps) return timestamp;
    uint64_t own = cell_timestamp(sources->cell);
    return own != 0 ? own : timestamps_close(&sources->cell->timestamps);
}

// Makes a record's rows visible.
static void apply_rows(
    struct sources *sources,
    struct source *source,
    struct source_tablet *from,
    const struct row_change *changes,
    uint32_t change_count,
    uint64_t timestamp)
{
    struct table *table = source->table;
    struct tablet *target =
        table_is_sorted(table) ? &table->tablets[0] : ordered_target(source, from);
    timestamp = row_timestamp(sources, source, timestamp);
    writes_apply(&sources->cell->batch, target, changes, change_count, timestamp);
}

static struct error *apply_block(
    struct sources *sources,
    struct source *source,
    struct source_tablet *from,
    const struct source_entry *entry)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct row_change *changes = NULL;
    uint32_t change_count = 0;
    TRY(writes_decode(&arena, source->table, block_slice(entry->rows), &changes, &change_count));
    apply_rows(sources, source, from, changes, change_count, entry->end.timestamp);
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Records

struct error *source_add(
    struct sources *sources,
    struct source *source,
    struct source_tablet *tablet,
    const struct message_record *record)
{
    struct table *table = source->table;
    struct source_entry entry = {
        .end = {record->row_index + record->row_count, record->timestamp},
        .row_index = record->row_index,
        .state = record->state,
    };
    if (record->row_count == 0 || record->row_index != tablet->tail.row_index ||
        record->timestamp <= tablet->tail.timestamp) {
        return error_new(ERROR_GENERIC, "Replicated records are out of order");
    }
    if (record->state != RECORD_ABORTED && !record->rows) {
        return error_new(ERROR_GENERIC, "Replicated record has no rows");
    }
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct row_change *changes = NULL;
    uint32_t change_count = 0;
    if (record->state != RECORD_ABORTED) {
        struct slice rows = block_slice(record->rows);
        TRY(writes_decode(&arena, table, rows, &changes, &change_count));
    }
    bool is_in_order = arr_count(tablet->entries) == 0;
    if (record->state != RECORD_UNDECIDED && is_in_order) {
        // The common case of an asynchronous replica: nothing to remember but the position.
        apply_rows(sources, source, tablet, changes, change_count, record->timestamp);
        tablet->tail = entry.end;
        tablet->decided = entry.end;
        return NULL;
    }
    if (arr_count(tablet->entries) >= SOURCE_ENTRY_COUNT_MAX) {
        struct error *error = error_new(
            ERROR_REQUEST_THROTTLED, "Too many undecided records are held for one tablet");
        return error_set_u64(error, "record_count_max", SOURCE_ENTRY_COUNT_MAX);
    }
    if (record->state == RECORD_COMMITTED && table_is_sorted(table)) {
        apply_rows(sources, source, tablet, changes, change_count, record->timestamp);
        entry.is_applied = true;
    } else if (record->state != RECORD_ABORTED) {
        entry.rows = block_new(block_slice(record->rows));
    }
    if (record->state == RECORD_UNDECIDED) {
        hold_undecided(source, tablet, &entry);
        keep_hashes(&entry, changes, change_count);
    }
    save_entry(sources, source, tablet, &entry);
    arr_add(tablet->entries, entry);
    tablet->tail = entry.end;
    return NULL;
}

struct source_entry *source_find_entry(struct source_tablet *tablet, struct position position)
{
    size_t begin = 0;
    size_t end = arr_count(tablet->entries);
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (tablet->entries[middle].end.row_index < position.row_index) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    if (begin == arr_count(tablet->entries)) return NULL;
    struct source_entry *entry = &tablet->entries[begin];
    return position_equal(entry->end, position) ? entry : NULL; // S3.
}

struct error *source_decide(
    struct sources *sources,
    struct source *source,
    struct source_tablet *tablet,
    struct source_entry *entry,
    bool is_committed)
{
    enum record_state state = is_committed ? RECORD_COMMITTED : RECORD_ABORTED;
    if (entry->state != RECORD_UNDECIDED) {
        assert(entry->state == state); // decide-once.
        return NULL;
    }
    if (is_committed && table_is_sorted(source->table)) {
        TRY(apply_block(sources, source, tablet, entry));
        entry->is_applied = true;
    }
    entry->state = state;
    if (!is_committed || entry->is_applied) block_release(TAKE(entry->rows));
    free(TAKE(entry->hashes));
    entry->hash_count = 0;
    drop_undecided(sources, source, tablet);
    entry->is_unsaved = true;
    return NULL;
}

struct error *source_advance(
    struct sources *sources, struct source *source, struct source_tablet *tablet)
{
    size_t count = 0;
    while (count < arr_count(tablet->entries)) {
        struct source_entry *entry = &tablet->entries[count];
        if (entry->state == RECORD_UNDECIDED) break;
        if (entry->state == RECORD_COMMITTED && !entry->is_applied) {
            TRY(apply_block(sources, source, tablet, entry));
        }
        assert(entry->end.row_index > tablet->decided.row_index); // monotone.
        tablet->decided = entry->end;
        remove_entry(sources, source, tablet, entry);
        release_entry(entry);
        count++;
    }
    if (count > 0) stbds_arrdeln(tablet->entries, 0, count);
    for (size_t i = 0; i < arr_count(tablet->entries); i++) { // Decided behind a gap.
        struct source_entry *entry = &tablet->entries[i];
        if (!entry->is_unsaved) continue;
        save_entry(sources, source, tablet, entry);
        entry->is_unsaved = false;
    }
    assert(arr_count(tablet->entries) > 0 || position_equal(tablet->decided, tablet->tail));
    return NULL;
}

void source_discard(
    struct sources *sources,
    struct source *source,
    struct source_tablet *tablet,
    size_t kept_count,
    struct position tail)
{
    for (size_t i = kept_count; i < arr_count(tablet->entries); i++) {
        struct source_entry *entry = &tablet->entries[i];
        assert(entry->state == RECORD_UNDECIDED); // never-discard-decided.
        drop_undecided(sources, source, tablet);
        remove_entry(sources, source, tablet, entry);
        release_entry(entry);
    }
    stbds_arrsetlen(tablet->entries, kept_count);
    tablet->tail = tail;
}
void source_close_timestamp(
    struct sources *sources, struct source_tablet *tablet, const struct message_tablet *part)
{
    if (!position_equal(part->to, tablet->tail)) return;            // T3.
    if (part->closed_timestamp <= tablet->closed_timestamp) return; // T4.
    tablet->closed_timestamp = part->closed_timestamp;
    sources->is_changed = true;
}

// -------------------------------------------------------------------------------------------------
// Begin and end

// What has nothing yet begins where the coordinator says.
static void begin_tablets(
    struct sources *sources, struct source *source, const struct message *open)
{
    for (uint32_t i = 0; i < open->tablet_count; i++) {
        struct source_tablet *tablet = &source->tablets[i];
        tablet->tablet_id = open->tablets[i].tablet_id;
        tablet->tail = open->tablets[i].from;
        tablet->decided = open->tablets[i].from;
        source_save_positions(sources, source, tablet);
    }
}

struct source *source_begin(
    struct sources *sources, struct table *table, const struct message *open)
{
    struct source *source = add_source(sources, open->replica_id, table, open->tablet_count);
    source->meta_cluster_id = open->meta_cluster_id;
    begin_tablets(sources, source, open);
    return source;
}

void source_change_tablets(
    struct sources *sources, struct source *source, const struct message *open)
{
    for (uint32_t i = 0; i < source->tablet_count; i++) {
        remove_tablet_keys(sources, source, &source->tablets[i]);
        arr_free(source->tablets[i].entries);
    }
    free(source->tablets);
    source->tablet_count = open->tablet_count;
    source->tablets = must_alloc(calloc(open->tablet_count, sizeof *source->tablets));
    begin_tablets(sources, source, open);
}

void sources_table_removing(struct sources *sources, struct table *table)
{
    while (table->sink) {
        struct source *source = table->sink->sources[0];
        struct layout_key key = layout_source_epoch(source->replica_id);
        store_batch_remove(&sources->cell->batch, STORE_META, layout_slice(&key));
        for (uint32_t i = 0; i < source->tablet_count; i++) {
            remove_tablet_keys(sources, source, &source->tablets[i]);
        }
        free_source(sources, source);
    }
    sources->is_changed = true;
}

// -------------------------------------------------------------------------------------------------
// Loading

static struct error *load_positions(
    struct sources *sources, const struct source *source, struct source_tablet *tablet)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    struct layout_key key = layout_source(source->replica_id, tablet->tablet_id);
    bool is_found = false;
    TRY(store_get(sources->cell->store, NULL, STORE_META, layout_slice(&key), &value, &is_found));
    if (!is_found) return error_new(ERROR_GENERIC, "Positions of a replica's source are missing");
    struct reader reader = reader_from(buffer_slice(&value));
    tablet->tail.row_index = get_fixed64(&reader);
    tablet->tail.timestamp = get_fixed64(&reader);
    tablet->decided.row_index = get_fixed64(&reader);
    tablet->decided.timestamp = get_fixed64(&reader);
    return reader_finish(&reader, "Positions of a replica's source");
}

static struct error *load_entry(
    struct source *source, struct source_tablet *tablet, struct slice key, struct slice value)
{
    struct reader key_reader = reader_from(slice_from(key.data + key.size - 8, 8));
    struct source_entry entry = {.row_index = get_big64(&key_reader)};
    struct reader reader = reader_from(value);
    entry.end.row_index = get_fixed64(&reader);
    entry.end.timestamp = get_fixed64(&reader);
    entry.state = get_u8(&reader);
    entry.is_applied = get_u8(&reader) != 0;
    if (reader.is_broken)
        return error_new(ERROR_GENERIC, "Record of a replica's source is malformed");
    if (!entry.is_applied && reader.rest.size > 0) entry.rows = block_new(reader.rest);
    if (entry.state == RECORD_UNDECIDED) hold_undecided(source, tablet, &entry); // A5.
    arr_add(tablet->entries, entry);
    return NULL;
}

static struct error *load_entries(
    struct sources *sources, struct source *source, struct source_tablet *tablet)
{
    struct layout_key first = layout_source_record(source->replica_id, tablet->tablet_id, 0);
    struct layout_key prefix = layout_prefix(first, first.size - 8);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = layout_iterate(sources->cell->store, STORE_META, prefix);
    for (; store_iterator_is_valid(iterator); store_iterator_next(iterator)) {
        TRY(load_entry(
            source, tablet, store_iterator_key(iterator), store_iterator_value(iterator)));
    }
    return store_iterator_error(iterator);
}

static struct guid get_guid(struct reader *reader)
{
    struct guid id;
    id.high = get_fixed64(reader);
    id.low = get_fixed64(reader);
    return id;
}

static struct error *load_source(struct sources *sources, struct slice key, struct slice value)
{
    struct reader key_reader = reader_from(slice_from(key.data + 1, key.size - 1));
    struct guid replica_id;
    replica_id.high = get_big64(&key_reader);
    replica_id.low = get_big64(&key_reader);
    struct reader reader = reader_from(value);
    struct epoch promised;
    promised.number = get_fixed64(&reader);
    promised.incarnation = get_fixed64(&reader);
    uint64_t session = get_fixed64(&reader);
    struct guid meta_cluster_id = get_guid(&reader);
    struct guid table_id = get_guid(&reader);
    uint64_t tablet_count = get_varint(&reader);
    struct object *object = tree_find(&sources->cell->tree, table_id);
    if (reader.is_broken || tablet_count > TABLET_COUNT_MAX || !object || !object->table) {
        return error_new(ERROR_GENERIC, "Source %s is malformed", GUID_TEXT(replica_id));
    }
    struct source *source = add_source(sources, replica_id, object->table, (uint32_t)tablet_count);
    source->promised = promised;
    source->session = session; // S2: older ones stay closed through a restart.
    source->meta_cluster_id = meta_cluster_id;
    for (uint32_t i = 0; i < source->tablet_count; i++) {
        source->tablets[i].tablet_id = get_guid(&reader);
        TRY(load_positions(sources, source, &source->tablets[i]));
        TRY(load_entries(sources, source, &source->tablets[i]));
    }
    return reader_finish(&reader, "Source of a replica");
}

struct error *sources_init(struct sources *sources, struct cell *cell)
{
    *sources = (struct sources){.cell = cell};
    struct layout_key prefix = layout_prefix(layout_source_epoch(GUID_NULL), 1);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = layout_iterate(cell->store, STORE_META, prefix);
    for (; store_iterator_is_valid(iterator); store_iterator_next(iterator)) {
        TRY(load_source(sources, store_iterator_key(iterator), store_iterator_value(iterator)));
    }
    return store_iterator_error(iterator);
}

void sources_release(struct sources *sources)
{
    while (sources->by_id) free_source(sources, sources->by_id);
}
