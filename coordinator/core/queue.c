#include "coordinator/core/queue.h"

#include "base/coding.h"
#include "cluster/core/layout.h"

#include <assert.h>
#include <inttypes.h>

enum { CAPACITY_MIN = 64, KEY_PREFIX_SIZE = 5 };

// -------------------------------------------------------------------------------------------------
// Records in the store: row count, timestamp, then the rowset as it is.

static void encode_record(const struct record *record, struct buffer *buffer)
{
    put_varint(buffer, record->row_count);
    put_fixed64(buffer, record->timestamp);
    buffer_append_slice(buffer, block_slice(record->rows));
}

static struct error *decode_record(
    struct slice key, struct slice value, struct record *ret_record, struct slice *ret_rows)
{
    struct reader key_reader = reader_from(slice_from(key.data, key.size));
    get_raw(&key_reader, KEY_PREFIX_SIZE);
    struct record record = {.row_index = get_big64(&key_reader), .state = RECORD_COMMITTED};
    TRY(reader_finish(&key_reader, "Key of a replication log record"));
    struct reader reader = reader_from(value);
    record.row_count = (uint32_t)get_varint(&reader);
    record.timestamp = get_fixed64(&reader);
    *ret_rows = reader.rest;
    if (reader.is_broken || record.row_count == 0) {
        return error_new(ERROR_GENERIC, "Replication log record is malformed");
    }
    *ret_record = record;
    return NULL;
}

static struct store_iterator *new_iterator(const struct queue *queue)
{
    struct layout_key first = layout_queue_record(queue->tablet_number, 0);
    return layout_iterator_new(queue->store, STORE_QUEUE, layout_prefix(first, KEY_PREFIX_SIZE));
}

static struct error *has_abort_record(
    const struct queue *queue, uint64_t row_index, bool *ret_found)
{
    struct layout_key key = layout_queue_abort(queue->tablet_number, row_index);
    CLEANUP(buffer_releasep) struct buffer value = {0};
    return store_get(queue->store, NULL, STORE_QUEUE, layout_slice(&key), &value, ret_found);
}

// -------------------------------------------------------------------------------------------------
// Records in memory

static struct record *cached(const struct queue *queue, size_t i)
{
    assert(i < queue->record_count);
    return &queue->records[(queue->record_begin + i) & (queue->record_capacity - 1)];
}

static void push_record(struct queue *queue, const struct record *record)
{
    if (queue->record_count == queue->record_capacity) {
        size_t capacity = MAX(queue->record_capacity * 2, (size_t)CAPACITY_MIN);
        struct record *records = must_alloc(calloc(capacity, sizeof *records));
        for (size_t i = 0; i < queue->record_count; i++) records[i] = *cached(queue, i);
        free(queue->records);
        queue->records = records;
        queue->record_capacity = capacity;
        queue->record_begin = 0;
    }
    queue->record_count++;
    *cached(queue, queue->record_count - 1) = *record;
    queue->cached_size += block_slice(record->rows).size;
}

// Forgets old decided records beyond the limits; they are read from the store if need be.
static void shrink_cache(struct queue *queue)
{
    while (queue->record_count > 0) {
        struct record *oldest = cached(queue, 0);
        if (oldest->state == RECORD_UNDECIDED) return;
        if (queue->record_count <= QUEUE_CACHE_RECORD_COUNT_MAX &&
            queue->cached_size <= QUEUE_CACHE_SIZE_MAX) {
            return;
        }
        queue->cached_size -= block_slice(oldest->rows).size;
        block_release(oldest->rows);
        queue->record_begin = (queue->record_begin + 1) & (queue->record_capacity - 1);
        queue->record_count--;
        queue->decided_count--;
    }
}

// The number of cached records that end at or below a row index.
static size_t cached_until(const struct queue *queue, uint64_t row_index)
{
    size_t begin = 0;
    size_t end = queue->record_count;
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (record_end(cached(queue, middle)).row_index <= row_index) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

struct record *queue_cached_record(const struct queue *queue, uint64_t end_row_index)
{
    size_t i = cached_until(queue, end_row_index);
    if (i == 0) return NULL;
    struct record *record = cached(queue, i - 1);
    return record_end(record).row_index == end_row_index ? record : NULL;
}

const struct record *queue_cached_at(const struct queue *queue, uint64_t row_index)
{
    size_t i = cached_until(queue, row_index);
    if (i == queue->record_count || cached(queue, i)->row_index != row_index) return NULL;
    return cached(queue, i);
}

// Whether memory has everything from this row index on.
static bool is_cached_from(const struct queue *queue, uint64_t row_index)
{
    if (row_index >= queue->end.row_index) return true;
    return queue->record_count > 0 && cached(queue, 0)->row_index <= row_index;
}

// -------------------------------------------------------------------------------------------------

struct error *queue_init(struct queue *queue, struct store *store, uint32_t tablet_number)
{
    *queue = (struct queue){.tablet_number = tablet_number, .store = store};
    struct layout_key key = layout_queue_trimmed(tablet_number);
    CLEANUP(buffer_releasep) struct buffer value = {0};
    bool is_found = false;
    TRY(store_get(store, NULL, STORE_QUEUE, layout_slice(&key), &value, &is_found));
    if (is_found) {
        struct reader reader = reader_from(buffer_slice(&value));
        queue->trimmed.row_index = get_fixed64(&reader);
        queue->trimmed.timestamp = get_fixed64(&reader);
        TRY(reader_finish(&reader, "Trimmed position of a replication log"));
    }
    queue->end = queue->trimmed;
    queue->committed_end = queue->trimmed;

    CLEANUP(store_iterator_freep) struct store_iterator *iterator = new_iterator(queue);
    struct layout_key last = layout_queue_record(tablet_number, UINT64_MAX);
    store_iterator_seek_for_prev(iterator, layout_slice(&last));
    TRY(store_iterator_error(iterator));
    if (!store_iterator_is_valid(iterator)) return NULL;
    struct record record;
    struct slice rows;
    TRY(decode_record(
        store_iterator_key(iterator), store_iterator_value(iterator), &record, &rows));
    queue->end = record_end(&record);
    queue->committed_end =
        queue->end; // An aborted one counts too: whoever has it has all before it.
    if (queue->end.row_index < queue->trimmed.row_index) {
        return error_new(ERROR_GENERIC, "Replication log ends below its trimmed row count");
    }
    return NULL;
}

void queue_release(struct queue *queue)
{
    for (size_t i = 0; i < queue->record_count; i++) block_release(cached(queue, i)->rows);
    free(queue->records);
    *queue = (struct queue){0};
}

struct position queue_append(
    struct queue *queue,
    struct store_batch *batch,
    uint64_t timestamp,
    uint32_t row_count,
    struct block *rows,
    struct commit *commit)
{
    assert(row_count > 0);
    assert(timestamp > queue->end.timestamp); // C2: queue-order, timestamp-order.
    struct record record = {
        .row_index = queue->end.row_index,
        .row_count = row_count,
        .state = RECORD_UNDECIDED,
        .timestamp = timestamp,
        .rows = block_hold(rows),
        .commit = commit,
    };
    push_record(queue, &record);
    shrink_cache(queue);
    queue->end = record_end(&record);

    CLEANUP(buffer_releasep) struct buffer value = {0};
    encode_record(&record, &value);
    struct layout_key key = layout_queue_record(queue->tablet_number, record.row_index);
    store_batch_put(batch, STORE_QUEUE, layout_slice(&key), buffer_slice(&value));
    return queue->end;
}

static struct record *undecided_record(struct queue *queue, struct position position)
{
    struct record *record = queue_cached_record(queue, position.row_index);
    assert(record && record->timestamp == position.timestamp);
    assert(record->state == RECORD_UNDECIDED); // decide-once.
    return record;
}

void queue_write_abort(struct queue *queue, struct store_batch *batch, struct position position)
{
    struct record *record = undecided_record(queue, position);
    struct layout_key key = layout_queue_abort(queue->tablet_number, record->row_index);
    store_batch_put(batch, STORE_QUEUE, layout_slice(&key), slice_from("", 0));
}

void queue_decide(struct queue *queue, struct position position, bool is_committed)
{
    struct record *record = undecided_record(queue, position);
    record->state = is_committed ? RECORD_COMMITTED : RECORD_ABORTED;
    record->commit = NULL;
    if (is_committed && position.row_index > queue->committed_end.row_index) {
        queue->committed_end = position;
    }
    while (queue->decided_count < queue->record_count &&
           cached(queue, queue->decided_count)->state != RECORD_UNDECIDED) {
        queue->decided_count++;
    }
    if (!is_committed) {
        queue->cached_size -= block_slice(record->rows).size;
        block_release(TAKE(record->rows));
    }
    shrink_cache(queue);
}

struct error *queue_find(
    const struct queue *queue,
    struct position position,
    enum queue_lookup *ret_lookup,
    enum record_state *ret_state)
{
    *ret_state = RECORD_COMMITTED;
    if (position.row_index == queue->trimmed.row_index) {
        bool is_same = position.timestamp == queue->trimmed.timestamp;
        *ret_lookup = is_same ? QUEUE_TRIMMED : QUEUE_TRIMMED_OTHER;
        if (is_same && position.row_index == 0) *ret_lookup = QUEUE_KNOWN;
        return NULL;
    }
    if (position.row_index < queue->trimmed.row_index) {
        *ret_lookup = QUEUE_TRIMMED;
        return NULL;
    }
    *ret_lookup = QUEUE_UNKNOWN;
    if (position.row_index > queue->end.row_index) return NULL;

    const struct record *in_memory = queue_cached_record(queue, position.row_index);
    if (in_memory) {
        if (in_memory->timestamp != position.timestamp) return NULL;
        *ret_lookup = QUEUE_KNOWN;
        *ret_state = in_memory->state;
        return NULL;
    }
    CLEANUP(store_iterator_freep) struct store_iterator *iterator = new_iterator(queue);
    struct layout_key key = layout_queue_record(queue->tablet_number, position.row_index - 1);
    store_iterator_seek_for_prev(iterator, layout_slice(&key));
    TRY(store_iterator_error(iterator));
    if (!store_iterator_is_valid(iterator)) return NULL;
    struct record record;
    struct slice rows;
    TRY(decode_record(
        store_iterator_key(iterator), store_iterator_value(iterator), &record, &rows));
    if (!position_equal(record_end(&record), position)) return NULL;
    bool is_aborted = false;
    TRY(has_abort_record(queue, record.row_index, &is_aborted));
    *ret_lookup = QUEUE_KNOWN;
    *ret_state = is_aborted ? RECORD_ABORTED : RECORD_COMMITTED;
    return NULL;
}

void queue_cursor_init(struct queue_cursor *cursor, const struct queue *queue, struct position from)
{
    assert(from.row_index >= queue->trimmed.row_index);
    *cursor = (struct queue_cursor){.queue = queue, .at = from};
    if (is_cached_from(queue, from.row_index)) return;
    cursor->iterator = new_iterator(queue);
    struct layout_key key = layout_queue_record(queue->tablet_number, from.row_index);
    store_iterator_seek(cursor->iterator, layout_slice(&key));
}

void queue_cursor_release(struct queue_cursor *cursor)
{
    store_iterator_free(TAKE(cursor->iterator));
}

struct error *queue_cursor_next(
    struct queue_cursor *cursor, struct record *ret_record, bool *ret_found)
{
    const struct queue *queue = cursor->queue;
    *ret_found = false;
    if (cursor->at.row_index >= queue->end.row_index) return NULL;
    if (is_cached_from(queue, cursor->at.row_index)) {
        const struct record *record = cached(queue, cached_until(queue, cursor->at.row_index));
        assert(record->row_index == cursor->at.row_index);
        *ret_record = *record;
        block_hold(ret_record->rows);
    } else {
        assert(cursor->iterator);
        TRY(store_iterator_error(cursor->iterator));
        struct slice rows;
        if (!store_iterator_is_valid(cursor->iterator)) {
            return error_new(ERROR_GENERIC, "No replication log rows are available");
        }
        TRY(decode_record(
            store_iterator_key(cursor->iterator),
            store_iterator_value(cursor->iterator),
            ret_record,
            &rows));
        if (ret_record->row_index != cursor->at.row_index) {
            return error_new(
                ERROR_GENERIC,
                "Replication log row index mismatch: expected %" PRIu64 ", got %" PRIu64,
                cursor->at.row_index,
                ret_record->row_index);
        }
        bool is_aborted = false;
        TRY(has_abort_record(queue, ret_record->row_index, &is_aborted));
        ret_record->state = is_aborted ? RECORD_ABORTED : RECORD_COMMITTED;
        ret_record->rows = is_aborted ? NULL : block_new(rows);
        store_iterator_next(cursor->iterator);
    }
    cursor->at = record_end(ret_record);
    *ret_found = true;
    return NULL;
}

struct error *queue_timestamp_after(
    const struct queue *queue, uint64_t row_index, uint64_t *ret_timestamp)
{
    *ret_timestamp = 0;
    if (row_index >= queue->end.row_index) return NULL;
    if (is_cached_from(queue, row_index)) {
        *ret_timestamp = cached(queue, cached_until(queue, row_index))->timestamp;
        return NULL;
    }
    CLEANUP(store_iterator_freep) struct store_iterator *iterator = new_iterator(queue);
    struct layout_key key =
        layout_queue_record(queue->tablet_number, MAX(row_index, queue->trimmed.row_index));
    store_iterator_seek_for_prev(iterator, layout_slice(&key)); // It may lie inside a record.
    struct record record = {0};
    struct slice rows;
    if (store_iterator_is_valid(iterator)) {
        TRY(decode_record(
            store_iterator_key(iterator), store_iterator_value(iterator), &record, &rows));
    }
    if (record_end(&record).row_index <= row_index) {
        store_iterator_seek(iterator, layout_slice(&key));
        TRY(store_iterator_error(iterator));
        if (!store_iterator_is_valid(iterator)) return NULL;
        TRY(decode_record(
            store_iterator_key(iterator), store_iterator_value(iterator), &record, &rows));
    }
    *ret_timestamp = record.timestamp;
    return NULL;
}

struct error *queue_position_of_index(
    const struct queue *queue, uint64_t row_index, struct position *ret_position)
{
    *ret_position = queue->trimmed;
    if (row_index >= queue->end.row_index) {
        *ret_position = queue->end;
        return NULL;
    }
    CLEANUP(store_iterator_freep) struct store_iterator *iterator = new_iterator(queue);
    if (row_index == 0) return NULL;
    struct layout_key key = layout_queue_record(queue->tablet_number, row_index);
    store_iterator_seek_for_prev(iterator, layout_slice(&key));
    while (store_iterator_is_valid(iterator)) {
        struct record record;
        struct slice rows;
        TRY(decode_record(
            store_iterator_key(iterator), store_iterator_value(iterator), &record, &rows));
        if (record_end(&record).row_index <= row_index) {
            *ret_position = record_end(&record);
            return NULL;
        }
        store_iterator_prev(iterator);
    }
    return store_iterator_error(iterator);
}

struct error *queue_trim(
    struct queue *queue,
    struct store_batch *batch,
    uint64_t row_index,
    uint64_t timestamp_max,
    size_t record_count_max,
    bool *ret_trimmed)
{
    *ret_trimmed = false;
    struct position trimmed = queue->trimmed;
    struct queue_cursor cursor;
    queue_cursor_init(&cursor, queue, trimmed);
    struct error *error = NULL;
    for (size_t i = 0; i < record_count_max; i++) {
        struct record record = {0};
        bool is_found = false;
        error = queue_cursor_next(&cursor, &record, &is_found);
        if (error || !is_found) break;
        block_release(record.rows);
        struct position end = record_end(&record);
        if (end.row_index > row_index || end.timestamp > timestamp_max) break;
        assert(record.state != RECORD_UNDECIDED); // trim-safe: nobody has decided past it.
        trimmed = end;
    }
    queue_cursor_release(&cursor);
    TRY(error);
    if (trimmed.row_index == queue->trimmed.row_index) return NULL;

    struct layout_key begin = layout_queue_record(queue->tablet_number, queue->trimmed.row_index);
    struct layout_key end = layout_queue_record(queue->tablet_number, trimmed.row_index);
    store_batch_remove_range(batch, STORE_QUEUE, layout_slice(&begin), layout_slice(&end));
    begin = layout_queue_abort(queue->tablet_number, queue->trimmed.row_index);
    end = layout_queue_abort(queue->tablet_number, trimmed.row_index);
    store_batch_remove_range(batch, STORE_QUEUE, layout_slice(&begin), layout_slice(&end));
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_fixed64(&value, trimmed.row_index);
    put_fixed64(&value, trimmed.timestamp);
    struct layout_key key = layout_queue_trimmed(queue->tablet_number);
    store_batch_put(batch, STORE_QUEUE, layout_slice(&key), buffer_slice(&value));
    queue->trimmed = trimmed;
    while (queue->record_count > 0 && record_end(cached(queue, 0)).row_index <= trimmed.row_index) {
        struct record *oldest = cached(queue, 0);
        queue->cached_size -= block_slice(oldest->rows).size;
        block_release(TAKE(oldest->rows));
        queue->record_begin = (queue->record_begin + 1) & (queue->record_capacity - 1);
        queue->record_count--;
        queue->decided_count--;
    }
    *ret_trimmed = true;
    return NULL;
}

const struct record *queue_first_undecided(const struct queue *queue)
{
    if (queue->decided_count == queue->record_count) return NULL;
    return cached(queue, queue->decided_count);
}
