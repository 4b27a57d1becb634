#include "cluster/core/versions.h"

#include "base/coding.h"
#include "model/key.h"

#include <assert.h>

enum { AGGREGATE_BIT = 0x80, NUMBER_SIZE = 4, TIMESTAMP_SIZE = 8, STEP_COUNT_MAX = 8 };

static void put_value(const struct schema *schema, const struct value *value, struct buffer *buffer)
{
    uint16_t id = schema->columns[value->column].id;
    put_varint(buffer, id);
    put_u8(buffer, (uint8_t)(value->type | (value->is_aggregate ? AGGREGATE_BIT : 0)));
    switch ((enum value_type)value->type) {
    case VALUE_NULL: break;
    case VALUE_INT64: put_varint(buffer, zigzag(value->int64)); break;
    case VALUE_UINT64: put_varint(buffer, value->uint64); break;
    case VALUE_DOUBLE: put_fixed64(buffer, value->uint64); break; // The same bits.
    case VALUE_BOOLEAN: put_u8(buffer, value->boolean); break;
    case VALUE_STRING:
    case VALUE_ANY: put_bytes(buffer, value_slice(value)); break;
    }
}

// Reads a value and the id of its column; its `column` is left to the caller.
static struct value get_value(struct reader *reader, uint16_t *ret_id)
{
    *ret_id = (uint16_t)get_varint(reader);
    uint8_t type = get_u8(reader);
    struct value value = {
        .type = type & (uint8_t)~AGGREGATE_BIT,
        .is_aggregate = (type & AGGREGATE_BIT) != 0,
    };
    switch ((enum value_type)value.type) {
    case VALUE_NULL: break;
    case VALUE_INT64: value.int64 = unzigzag(get_varint(reader)); break;
    case VALUE_UINT64: value.uint64 = get_varint(reader); break;
    case VALUE_DOUBLE: value.uint64 = get_fixed64(reader); break;
    case VALUE_BOOLEAN: value.boolean = get_u8(reader) != 0; break;
    case VALUE_STRING:
    case VALUE_ANY: {
        struct slice bytes = get_bytes(reader);
        value.data = bytes.data;
        value.size = (uint32_t)bytes.size;
        break;
    }
    default: reader->is_broken = true; break;
    }
    return value;
}

void version_begin_key(uint32_t table_number, struct buffer *key)
{
    put_big32(key, table_number);
}

// The value of a version: kind, then what value columns it has. In a full write nulls are left out.
void version_put(
    struct store_batch *batch,
    const struct schema *schema,
    struct slice key,
    uint64_t timestamp,
    const struct row *row)
{
    // Written in place: the operation's bytes go straight into the batch.
    struct buffer *out = &batch->operations;
    put_u8(out, STORE_PUT);
    put_u8(out, STORE_DATA);
    put_varint(out, key.size + TIMESTAMP_SIZE);
    buffer_append_slice(out, key);
    put_big64(out, ~timestamp);

    // The length comes first and is known last: it is written as a padded varint of 4 bytes.
    size_t length_at = out->size;
    static const char PLACE[4] = {0};
    buffer_append(out, PLACE, sizeof PLACE);
    put_u8(out, (uint8_t)row->kind);
    if (row->kind != ROW_DELETE) {
        for (uint32_t i = 0; i < row->value_count; i++) {
            const struct value *value = &row->values[i];
            if (value->column < schema->key_column_count) continue;
            if (row->kind == ROW_WRITE && value->type == VALUE_NULL) continue;
            put_value(schema, value, out);
        }
    }
    size_t length = out->size - length_at - sizeof PLACE;
    assert(length < (1 << 28));
    for (size_t i = 0; i < sizeof PLACE; i++) {
        uint8_t more = i + 1 < sizeof PLACE ? 0x80 : 0;
        out->data[length_at + i] = (char)(((length >> (7 * i)) & 0x7f) | more);
    }
    batch->count++;
}

// Merging what an older version says of a column into what newer ones have said so far.
struct merge {
    const struct schema *schema;
    const bool *wanted; // By column; NULL for all.
    struct arena *arena;
    struct value *values;
    bool *is_set;       // By column: whether a newer version has settled it.
    bool copies;        // Strings, into the arena: the iterator will move.
    bool has_aggregate; // Among the values.
};

struct value value_aggregate(
    struct slice function, const struct value *older, const struct value *newer)
{
    if (older->type == VALUE_NULL) return *newer;
    if (newer->type == VALUE_NULL) return *older;
    struct value result = *newer;
    if (slice_equal_text(function, "sum")) {
        switch ((enum value_type)newer->type) {
        case VALUE_INT64: result.int64 = (int64_t)(older->uint64 + newer->uint64); break;
        case VALUE_UINT64: result.uint64 = older->uint64 + newer->uint64; break;
        case VALUE_DOUBLE: result.real = older->real + newer->real; break;
        case VALUE_NULL:
        case VALUE_BOOLEAN:
        case VALUE_STRING:
        case VALUE_ANY: break;
        }
    } else if (slice_equal_text(function, "min")) {
        if (value_compare(older, newer) < 0) result = *older;
    } else if (slice_equal_text(function, "max")) {
        if (value_compare(older, newer) > 0) result = *older;
    } else if (slice_equal_text(function, "first")) {
        result = *older;
    }
    return result;
}

static void merge_value(struct merge *merge, uint16_t column, struct value value)
{
    if (merge->is_set[column]) return;
    struct value *place = &merge->values[column];
    bool has_newer = place->is_aggregate; // Aggregates of newer versions wait for their base.
    if (merge->copies && (value.type == VALUE_STRING || value.type == VALUE_ANY)) {
        value.data = arena_copy(merge->arena, value_slice(&value)).data;
    }
    value.column = column;
    bool goes_on = value.is_aggregate;
    merge->has_aggregate |= goes_on;
    struct value merged = value;
    if (has_newer)
        merged = value_aggregate(merge->schema->columns[column].aggregate, &value, place);
    merged.column = column;
    merged.is_aggregate = goes_on;
    *place = merged;
    merge->is_set[column] = !goes_on;
}

static struct error *merge_version(struct merge *merge, struct slice stored, bool *ret_is_last)
{
    struct reader reader = reader_from(stored);
    enum row_kind kind = get_u8(&reader);
    *ret_is_last = kind != ROW_UPDATE;
    while (reader.rest.size > 0 && !reader.is_broken) {
        uint16_t id = 0;
        struct value value = get_value(&reader, &id);
        uint16_t column = schema_find_id(merge->schema, id);
        if (column == SCHEMA_NO_COLUMN) continue;
        if (merge->wanted && !merge->wanted[column]) continue;
        merge_value(merge, column, value);
    }
    return reader_finish(&reader, "Stored row version");
}

static void clear_values(struct value *values, const struct schema *schema)
{
    for (uint16_t i = 0; i < schema->column_count; i++) values[i] = value_null(i);
}

// `key` must live as long as the values; so must the arena.
static struct error *set_key_values(
    struct arena *arena, const struct schema *schema, struct slice key, struct value *values)
{
    struct slice encoded = slice_from(key.data + NUMBER_SIZE, key.size - NUMBER_SIZE);
    size_t count = 0;
    return key_decode(arena, encoded, schema->key_column_count, values, &count);
}

static bool is_version_of(struct slice stored_key, struct slice key)
{
    return stored_key.size == key.size + TIMESTAMP_SIZE &&
           memcmp(stored_key.data, key.data, key.size) == 0;
}

// Merges the versions of one row, beginning with that at which the iterator stands, the newest at
// or below the read's timestamp. The iterator stays at the last version it needed (`*ret_stays`),
// to which strings may point, or has found the end of the row.
static struct error *merge_row(
    struct merge *merge,
    struct store_iterator *iterator,
    struct slice key,
    bool *ret_found,
    bool *ret_stays)
{
    bool copies = merge->copies;
    *ret_found = false; // Until something says that there is a row.
    *ret_stays = true;
    for (;;) {
        struct slice stored = store_iterator_value(iterator);
        if (stored.size == 0) return error_new(ERROR_GENERIC, "Stored row version is empty");
        *ret_found |= stored.data[0] != ROW_DELETE;
        merge->copies = copies || stored.data[0] == ROW_UPDATE;
        bool is_last = false;
        TRY(merge_version(merge, stored, &is_last));
        if (is_last) break;
        store_iterator_next(iterator);
        *ret_stays = false;
        if (!store_iterator_is_valid(iterator)) {
            TRY(store_iterator_error(iterator));
            break;
        }
        if (!is_version_of(store_iterator_key(iterator), key)) break;
        *ret_stays = true;
    }
    if (!merge->has_aggregate) return NULL;
    for (uint16_t i = 0; i < merge->schema->column_count; i++) {
        merge->values[i].is_aggregate = false;
    }
    return NULL;
}

struct error *version_read(
    struct store_iterator *iterator,
    struct arena *arena,
    const struct schema *schema,
    struct slice key,
    uint64_t timestamp,
    struct value *values,
    bool *ret_found)
{
    clear_values(values, schema);
    CLEANUP(buffer_releasep) struct buffer seek = {0};
    buffer_append_slice(&seek, key);
    put_big64(&seek, ~timestamp);
    store_iterator_seek(iterator, buffer_slice(&seek));
    *ret_found = false;
    if (!store_iterator_is_valid(iterator)) return store_iterator_error(iterator);
    if (!is_version_of(store_iterator_key(iterator), key)) return NULL;
    bool is_set[SCHEMA_COLUMN_COUNT_MAX];
    memset(is_set, 0, schema->column_count);
    struct merge merge = {
        .schema = schema,
        .arena = arena,
        .values = values,
        .is_set = is_set,
        .copies = true,
    };
    bool stays;
    TRY(merge_row(&merge, iterator, key, ret_found, &stays));
    return *ret_found ? set_key_values(arena, schema, arena_copy(arena, key), values) : NULL;
}

static struct error *decode_version(
    struct arena *arena,
    const struct schema *schema,
    struct slice stored,
    struct row_version *version)
{
    struct reader reader = reader_from(stored);
    version->kind = get_u8(&reader);
    version->values = ARENA_NEW(arena, struct value, schema->column_count);
    while (reader.rest.size > 0 && !reader.is_broken) {
        uint16_t id = 0;
        struct value value = get_value(&reader, &id);
        value.column = schema_find_id(schema, id);
        if (value.column == SCHEMA_NO_COLUMN) continue;
        if (version->value_count == schema->column_count) {
            return error_new(ERROR_GENERIC, "Stored row version has a column twice");
        }
        if (value.type == VALUE_STRING || value.type == VALUE_ANY) {
            value.data = arena_copy(arena, value_slice(&value)).data;
        }
        version->values[version->value_count++] = value;
    }
    return reader_finish(&reader, "Stored row version");
}

struct error *version_history(
    struct store_iterator *iterator,
    struct arena *arena,
    const struct schema *schema,
    struct slice key,
    uint64_t timestamp,
    bool is_merged,
    struct row_version **ret_newest)
{
    CLEANUP(buffer_releasep) struct buffer seek = {0};
    buffer_append_slice(&seek, key);
    put_big64(&seek, ~timestamp);
    struct row_version *newest = NULL;
    struct row_version **end = &newest;
    uint32_t count = 0;
    store_iterator_seek(iterator, buffer_slice(&seek));
    for (; store_iterator_is_valid(iterator); store_iterator_next(iterator)) {
        struct slice at = store_iterator_key(iterator);
        if (!is_version_of(at, key)) break;
        if (++count > ROW_VERSION_COUNT_MAX) {
            struct error *error = error_new(
                ERROR_GENERIC, "Row has too many versions: look up at an earlier \"timestamp\"");
            return error_set_u64(error, "version_count_max", ROW_VERSION_COUNT_MAX);
        }
        struct row_version *version = ARENA_NEW(arena, struct row_version, 1);
        struct reader reader = reader_from(slice_from(at.data + key.size, TIMESTAMP_SIZE));
        version->timestamp = ~get_big64(&reader);
        TRY(decode_version(arena, schema, store_iterator_value(iterator), version));
        *end = version;
        end = &version->older;
        if (is_merged && version->kind != ROW_UPDATE) break;
    }
    TRY(store_iterator_error(iterator));
    *ret_newest = newest;
    return NULL;
}

void version_scan_init(
    struct version_scan *scan,
    struct store *store,
    const struct store_snapshot *snapshot,
    const struct schema *schema,
    const bool *wanted,
    uint32_t table_number,
    struct slice begin,
    struct slice end,
    uint64_t timestamp,
    struct arena *arena)
{
    CLEANUP(buffer_releasep) struct buffer first = {0};
    CLEANUP(buffer_releasep) struct buffer last = {0};
    version_begin_key(table_number, &first);
    buffer_append_slice(&first, begin);
    version_begin_key(end.size > 0 ? table_number : table_number + 1, &last);
    buffer_append_slice(&last, end);
    *scan = (struct version_scan){
        .iterator = store_iterator_new(
            store, snapshot, STORE_DATA, buffer_slice(&first), buffer_slice(&last)),
        .schema = schema,
        .wanted = wanted,
        .table_number = table_number,
        .timestamp = timestamp,
        .arena = arena,
    };
    store_iterator_seek(scan->iterator, buffer_slice(&first));
}

void version_scan_release(struct version_scan *scan)
{
    store_iterator_free(scan->iterator);
    buffer_release(&scan->key);
    scan->iterator = NULL;
}

// Moves past all that is left of the row read last. Few versions are stepped over, many jumped
// over.
static void leave_row(struct version_scan *scan)
{
    for (int i = 0; i < STEP_COUNT_MAX; i++) {
        store_iterator_next(scan->iterator);
        if (!store_iterator_is_valid(scan->iterator)) return;
        if (!is_version_of(store_iterator_key(scan->iterator), buffer_slice(&scan->key))) return;
    }
    buffer_append_text(&scan->key, "\xff\xff\xff\xff\xff\xff\xff\xff");
    store_iterator_seek(scan->iterator, buffer_slice(&scan->key));
    scan->key.size -= TIMESTAMP_SIZE;
    // A version of timestamp 0 would have the very key that was sought.
    if (!store_iterator_is_valid(scan->iterator)) return;
    if (is_version_of(store_iterator_key(scan->iterator), buffer_slice(&scan->key)))
        store_iterator_next(scan->iterator);
}

// Goes from a version that is newer than the read to one of the same row that is not; false if
// there is none.
static bool find_older(struct version_scan *scan)
{
    put_big64(&scan->key, ~scan->timestamp);
    store_iterator_seek(scan->iterator, buffer_slice(&scan->key));
    scan->key.size -= TIMESTAMP_SIZE;
    return store_iterator_is_valid(scan->iterator) &&
           is_version_of(store_iterator_key(scan->iterator), buffer_slice(&scan->key));
}

struct error *version_scan_next(struct version_scan *scan, struct value *values, bool *ret_found)
{
    const struct schema *schema = scan->schema;
    bool is_set[SCHEMA_COLUMN_COUNT_MAX];
    *ret_found = false;
    while (!*ret_found) {
        if (scan->is_at_row) leave_row(scan);
        scan->is_at_row = false;
        if (!store_iterator_is_valid(scan->iterator)) return store_iterator_error(scan->iterator);
        struct slice at = store_iterator_key(scan->iterator);
        if (at.size < NUMBER_SIZE + TIMESTAMP_SIZE) {
            return error_new(ERROR_GENERIC, "Stored row key is too short");
        }
        buffer_clear(&scan->key);
        buffer_append(&scan->key, at.data, at.size - TIMESTAMP_SIZE);
        struct reader reader = reader_from(slice_from(at.data + at.size - TIMESTAMP_SIZE, 8));
        if (~get_big64(&reader) > scan->timestamp && !find_older(scan)) continue;

        clear_values(values, schema);
        memset(is_set, 0, schema->column_count);
        struct merge merge = {
            .schema = schema,
            .wanted = scan->wanted,
            .arena = scan->arena,
            .values = values,
            .is_set = is_set,
        };
        struct slice key = buffer_slice(&scan->key);
        TRY(merge_row(&merge, scan->iterator, key, ret_found, &scan->is_at_row));
    }
    return set_key_values(scan->arena, schema, buffer_slice(&scan->key), values);
}

void ordered_put(
    struct store_batch *batch,
    const struct schema *schema,
    uint32_t tablet_number,
    uint64_t row_index,
    uint64_t timestamp,
    const struct row *row)
{
    CLEANUP(buffer_releasep) struct buffer key = {0};
    CLEANUP(buffer_releasep) struct buffer stored = {0};
    put_big32(&key, tablet_number);
    put_big64(&key, row_index);
    put_fixed64(&stored, timestamp);
    for (uint32_t i = 0; i < row->value_count; i++) {
        if (row->values[i].type != VALUE_NULL) put_value(schema, &row->values[i], &stored);
    }
    store_batch_put(batch, STORE_DATA, buffer_slice(&key), buffer_slice(&stored));
}

struct error *ordered_decode(
    struct arena *arena,
    const struct schema *schema,
    struct slice stored,
    uint64_t *ret_timestamp,
    struct value *values)
{
    clear_values(values, schema);
    struct reader reader = reader_from(stored);
    *ret_timestamp = get_fixed64(&reader);
    while (reader.rest.size > 0 && !reader.is_broken) {
        uint16_t id = 0;
        struct value value = get_value(&reader, &id);
        uint16_t column = schema_find_id(schema, id);
        if (column == SCHEMA_NO_COLUMN) continue;
        value.column = column;
        if (value.type == VALUE_STRING || value.type == VALUE_ANY) {
            value.data = arena_copy(arena, value_slice(&value)).data;
        }
        values[column] = value;
    }
    for (uint16_t i = 0; i < schema->column_count; i++) {
        if (!column_is_timestamp(&schema->columns[i])) continue;
        values[i] = value_uint64(i, *ret_timestamp);
    }
    return reader_finish(&reader, "Stored row");
}
