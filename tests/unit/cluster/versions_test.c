#include "cluster/core/retention.h"
#include "cluster/core/versions.h"

#include "base/memory_store.h"
#include "base/rng.h"
#include "model/key.h"
#include "model/yson.h"
#include "tests/test.h"

#include <inttypes.h>

TestSuite(versions, .fini = abort_on_leaks);

enum {
    TABLE = 5,
    KEY_COUNT = 6,
    COLUMN_COUNT = 7, // With the key.
    EVENT_COUNT = 120,
};

// One value column for each function, and one without.
#define SCHEMA                                                                                \
    "[{name=k;type=string;sort_order=ascending};{name=v;type=string};{name=sum;type=int64;"   \
    "aggregate=sum};{name=min;type=int64;aggregate=min};{name=max;type=int64;aggregate=max};" \
    "{name=first;type=int64;aggregate=first};{name=w;type=int64}]"

static struct schema *parse_schema(struct arena *arena, const char *text)
{
    struct node *node = NULL;
    struct schema *schema = NULL;
    assert_ok(yson_parse(arena, slice_from_text(text), &node));
    assert_ok(schema_parse(arena, node, &schema));
    schema_assign_ids(schema, NULL);
    return schema;
}

// Keys among which some are beginnings of others, and some hold zeros.
static struct slice key_text(uint64_t key)
{
    static const char *const TEXTS[KEY_COUNT] = {"", "a", "a\0b", "aa", "b", "\xff"};
    static const size_t SIZES[KEY_COUNT] = {0, 1, 3, 2, 1, 1};
    return slice_from(TEXTS[key], SIZES[key]);
}

static void encode_key(uint64_t key, struct buffer *buffer)
{
    struct value value = value_string(0, key_text(key));
    key_encode_value(&value, buffer);
}

struct event { // Of a history: what was written to a row at a timestamp.
    uint64_t key;
    uint64_t timestamp;
    enum row_kind kind;
    bool is_given[COLUMN_COUNT];
    bool is_aggregate[COLUMN_COUNT];
    bool is_null[COLUMN_COUNT];
    int64_t numbers[COLUMN_COUNT]; // The string column has the number's digits.
};

struct model_value { // A value of the model.
    bool is_null;
    int64_t number;
};

static struct model_value merge(uint16_t column, struct model_value older, struct model_value newer)
{
    if (newer.is_null) return older;
    if (older.is_null) return newer;
    switch (column) {
    case 2: newer.number += older.number; break;
    case 3: newer.number = MIN(newer.number, older.number); break;
    case 4: newer.number = MAX(newer.number, older.number); break;
    default: newer = older; break;
    }
    return newer;
}

// The row as of a timestamp, by replaying history from its beginning. False if there is none.
static bool replay(
    const struct event *events,
    size_t count,
    uint64_t key,
    uint64_t timestamp,
    struct model_value *cells)
{
    bool is_there = false;
    for (uint16_t i = 1; i < COLUMN_COUNT; i++) cells[i] = (struct model_value){.is_null = true};
    for (size_t i = 0; i < count; i++) { // In the order of timestamps.
        const struct event *event = &events[i];
        if (event->key != key || event->timestamp > timestamp) continue;
        is_there = event->kind != ROW_DELETE;
        for (uint16_t j = 1; j < COLUMN_COUNT; j++) {
            if (event->kind != ROW_UPDATE) cells[j] = (struct model_value){.is_null = true};
            if (event->kind == ROW_DELETE || !event->is_given[j]) continue;
            struct model_value given = {event->is_null[j], event->numbers[j]};
            cells[j] = event->is_aggregate[j] ? merge(j, cells[j], given) : given;
        }
    }
    return is_there;
}

static struct event random_event(struct rng *rng, uint64_t timestamp)
{
    struct event event = {.key = rng_below(rng, KEY_COUNT), .timestamp = timestamp};
    uint64_t kind = rng_below(rng, 10);
    event.kind = kind < 2 ? ROW_DELETE : kind < 4 ? ROW_WRITE : ROW_UPDATE;
    for (uint16_t i = 1; i < COLUMN_COUNT; i++) {
        event.is_given[i] = event.kind != ROW_DELETE && rng_chance(rng, 50);
        bool can_aggregate = i >= 2 && i <= 5 && event.kind == ROW_UPDATE;
        event.is_aggregate[i] = can_aggregate && rng_chance(rng, 60);
        event.is_null[i] = rng_chance(rng, 15);
        event.numbers[i] = (int64_t)rng_below(rng, 200) - 100;
    }
    return event;
}

static void write_event(struct store *store, const struct schema *schema, const struct event *event)
{
    struct value values[COLUMN_COUNT];
    char digits[32];
    uint32_t count = 0;
    values[count++] = value_string(0, key_text(event->key));
    for (uint16_t i = 1; i < COLUMN_COUNT; i++) {
        if (!event->is_given[i]) continue;
        struct value value = value_int64(i, event->numbers[i]);
        if (i == 1) {
            snprintf(digits, sizeof digits, "%" PRId64, event->numbers[i]);
            value = value_string(i, slice_from_text(digits));
        }
        if (event->is_null[i]) value = value_null(i);
        value.is_aggregate = event->is_aggregate[i];
        values[count++] = value;
    }
    struct row row = {event->kind, count, values};
    CLEANUP(buffer_releasep) struct buffer key = {0};
    version_begin_key(TABLE, &key);
    encode_key(event->key, &key);
    struct store_batch batch = {0};
    version_put(&batch, schema, buffer_slice(&key), event->timestamp, &row);
    assert_ok(store_apply(store, &batch));
    store_batch_release(&batch);
}

static void assert_row(
    const struct value *values,
    uint64_t key,
    const struct model_value *cells,
    uint64_t seed,
    uint64_t at)
{
    cr_assert(slice_equal(value_slice(&values[0]), key_text(key)), "seed %" PRIu64, seed);
    for (uint16_t i = 1; i < COLUMN_COUNT; i++) {
        bool is_null = values[i].type == VALUE_NULL;
        cr_assert(eq(int, is_null, cells[i].is_null), "seed %" PRIu64 " at %" PRIu64, seed, at);
        if (is_null) continue;
        cr_assert(not(values[i].is_aggregate));
        int64_t number = values[i].int64;
        if (i == 1) {
            char digits[32];
            snprintf(digits, sizeof digits, "%.*s", SLICE(value_slice(&values[i])));
            number = strtoll(digits, NULL, 10);
        }
        cr_assert(
            eq(i64, number, cells[i].number),
            "seed %" PRIu64 ", column %d at %" PRIu64,
            seed,
            i,
            at);
    }
}

static void check_reads(
    struct store *store,
    const struct schema *schema,
    const struct event *events,
    size_t count,
    uint64_t timestamp,
    uint64_t seed)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_iterator_new(store, NULL, STORE_DATA, slice_from("", 0), slice_from("", 0));
    for (uint64_t key = 0; key < KEY_COUNT; key++) {
        struct model_value cells[COLUMN_COUNT];
        struct value values[COLUMN_COUNT];
        bool is_there = replay(events, count, key, timestamp, cells);
        bool is_found = false;
        CLEANUP(buffer_releasep) struct buffer encoded = {0};
        version_begin_key(TABLE, &encoded);
        encode_key(key, &encoded);
        assert_ok(version_read(
            iterator, &arena, schema, buffer_slice(&encoded), timestamp, values, &is_found));
        cr_assert(eq(int, is_found, is_there), "seed %" PRIu64, seed);
        if (is_found) assert_row(values, key, cells, seed, timestamp);
    }
}

static void check_scan(
    struct store *store,
    const struct schema *schema,
    const struct event *events,
    size_t count,
    uint64_t timestamp,
    uint64_t begin,
    uint64_t end,
    uint64_t seed)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    CLEANUP(buffer_releasep) struct buffer first = {0};
    CLEANUP(buffer_releasep) struct buffer last = {0};
    encode_key(begin, &first);
    if (end < KEY_COUNT) encode_key(end, &last);
    struct version_scan scan;
    version_scan_init(
        &scan,
        store,
        NULL,
        schema,
        NULL,
        TABLE,
        buffer_slice(&first),
        buffer_slice(&last),
        timestamp,
        &arena);
    struct value values[COLUMN_COUNT];
    bool is_found = false;
    for (uint64_t key = begin; key < end; key++) {
        struct model_value cells[COLUMN_COUNT];
        if (!replay(events, count, key, timestamp, cells)) continue;
        assert_ok(version_scan_next(&scan, values, &is_found));
        cr_assert(is_found, "seed %" PRIu64, seed);
        assert_row(values, key, cells, seed, timestamp);
    }
    assert_ok(version_scan_next(&scan, values, &is_found));
    cr_assert(not(is_found), "seed %" PRIu64, seed);
    version_scan_release(&scan);
}

Test(versions, read_as_history_replayed_up_to_the_timestamp)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct schema *schema = parse_schema(&arena, SCHEMA);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct rng rng = {.state = seed};
        struct store *store = memory_store_new();
        struct event events[EVENT_COUNT];
        uint64_t timestamp = 10;
        for (size_t i = 0; i < EVENT_COUNT; i++) {
            timestamp += 1 + rng_below(&rng, 3);
            events[i] = random_event(&rng, timestamp);
            write_event(store, schema, &events[i]);
        }
        for (int i = 0; i < 30; i++) {
            uint64_t at = 5 + rng_below(&rng, timestamp);
            uint64_t begin = rng_below(&rng, KEY_COUNT);
            uint64_t end = begin + rng_below(&rng, KEY_COUNT - begin + 1);
            check_reads(store, schema, events, EVENT_COUNT, at, seed);
            check_scan(store, schema, events, EVENT_COUNT, at, 0, KEY_COUNT, seed);
            check_scan(store, schema, events, EVENT_COUNT, at, begin, end, seed);
        }
        store_close(store);
    }
}

// Drops what a rule lets go, in steps of random size.
static void sweep(
    struct store *store,
    const struct schema *schema,
    const struct retention_rule *rule,
    struct rng *rng)
{
    CLEANUP(buffer_releasep) struct buffer next = {0};
    do {
        struct store_batch batch = {0};
        uint64_t count = 1 + rng_below(rng, 20);
        assert_ok(retention_sweep(store, &batch, schema, TABLE, rule, count, &next));
        assert_ok(store_apply(store, &batch));
        store_batch_release(&batch);
    } while (next.size > 0);
}

// Counts the versions of a row, and those of them at or below a timestamp.
static uint64_t count_versions(
    struct store *store, const struct schema *schema, uint64_t key_number, uint64_t timestamp)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    CLEANUP(buffer_releasep) struct buffer key = {0};
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_iterator_new(store, NULL, STORE_DATA, slice_from("", 0), slice_from("", 0));
    struct row_version *version = NULL;
    uint64_t count = 0;
    version_begin_key(TABLE, &key);
    encode_key(key_number, &key);
    assert_ok(
        version_history(iterator, &arena, schema, buffer_slice(&key), timestamp, false, &version));
    for (; version; version = version->older) count++;
    return count;
}

Test(versions, that_nobody_may_read_are_dropped_and_no_others)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct schema *schema = parse_schema(&arena, SCHEMA);
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct rng rng = {.state = seed};
        struct store *store = memory_store_new();
        struct event events[EVENT_COUNT];
        uint64_t timestamp = 10;
        for (size_t i = 0; i < EVENT_COUNT; i++) {
            timestamp += 1 + rng_below(&rng, 3);
            events[i] = random_event(&rng, timestamp);
            write_event(store, schema, &events[i]);
        }
        struct retention_rule rule = {.version_count_min = 1, .version_count_max = 1};
        for (int round = 0; round < 4; round++) { // What is left of one round meets the next.
            rule.retained_timestamp += rng_below(&rng, timestamp / 2);
            rule.version_count_max = rng_chance(&rng, 70) ? 1 : 1 + rng_below(&rng, 4);
            rule.expired_timestamp = rng_below(&rng, timestamp);
            sweep(store, schema, &rule, &rng);
            for (int i = 0; i < 20; i++) {
                uint64_t at = rule.retained_timestamp + rng_below(&rng, timestamp);
                check_reads(store, schema, events, EVENT_COUNT, at, seed);
                check_scan(store, schema, events, EVENT_COUNT, at, 0, KEY_COUNT, seed);
            }
            for (uint64_t key = 0; key < KEY_COUNT; key++) {
                uint64_t count = count_versions(store, schema, key, rule.retained_timestamp);
                cr_assert(le(u64, count, rule.version_count_max), "seed %" PRIu64, seed);
            }
        }
        store_close(store);
    }
}

// A write that is older than max_data_ttl is kept as the last version, unless none has to be.
Test(versions, of_a_row_expire_where_none_has_to_be_kept)
{
    static const struct {
        uint64_t retained;
        uint64_t expired;
        uint64_t version_count_min;
        uint64_t left;
    } CASES[] = {
        {100, 100, 1, 1},
        {100, 100, 0, 0},
        {100, 20, 0, 1}, // Written at 20, which is not below.
        {19, 100, 0, 2}, // May still be read.
    };
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct schema *schema = parse_schema(&arena, SCHEMA);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct rng rng = {.state = i};
        struct store *store = memory_store_new();
        for (uint64_t timestamp = 10; timestamp <= 20; timestamp += 10) {
            struct event event = {.key = 1, .timestamp = timestamp, .kind = ROW_UPDATE};
            event.is_given[6] = true;
            write_event(store, schema, &event);
        }
        struct retention_rule rule = {
            .retained_timestamp = CASES[i].retained,
            .expired_timestamp = CASES[i].expired,
            .version_count_min = CASES[i].version_count_min,
            .version_count_max = 1,
        };
        sweep(store, schema, &rule, &rng);
        cr_assert(eq(u64, count_versions(store, schema, 1, 100), CASES[i].left), "case %zu", i);
        store_close(store);
    }
}

Test(versions, of_other_tables_are_not_seen)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct schema *schema = parse_schema(&arena, SCHEMA);
    struct store *store = memory_store_new();
    for (uint32_t table = TABLE - 1; table <= TABLE + 1; table += 2) {
        CLEANUP(buffer_releasep) struct buffer key = {0};
        version_begin_key(table, &key);
        encode_key(1, &key);
        struct store_batch batch = {0};
        struct row row = {.kind = ROW_WRITE};
        version_put(&batch, schema, buffer_slice(&key), 10, &row);
        assert_ok(store_apply(store, &batch));
        store_batch_release(&batch);
    }
    check_scan(store, schema, NULL, 0, 100, 0, KEY_COUNT, 0);
    check_reads(store, schema, NULL, 0, 100, 0);
    store_close(store);
}

Test(versions, keep_their_columns_through_changes_of_the_schema)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct schema *schema = parse_schema(&arena, SCHEMA);
    struct store *store = memory_store_new();
    struct event event = {.key = 1, .timestamp = 10, .kind = ROW_WRITE};
    event.is_given[6] = true;
    event.numbers[6] = 66;
    write_event(store, schema, &event);
    struct schema *altered = parse_schema(
        &arena,
        "[{name=k;type=string;sort_order=ascending};{name=new;type=int64};{name=w;type=int64}]");
    schema_assign_ids(altered, schema);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_iterator_new(store, NULL, STORE_DATA, slice_from("", 0), slice_from("", 0));
    CLEANUP(buffer_releasep) struct buffer key = {0};
    version_begin_key(TABLE, &key);
    encode_key(1, &key);
    struct value values[3];
    bool is_found = false;
    assert_ok(version_read(iterator, &arena, altered, buffer_slice(&key), 10, values, &is_found));
    cr_assert(is_found);
    cr_assert(eq(int, values[1].type, VALUE_NULL));
    cr_assert(eq(i64, values[2].int64, 66));
    store_close(store);
}

Test(versions, ordered_rows_come_back_as_they_were)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct schema *schema = parse_schema(&arena, "[{name=a;type=string};{name=b;type=uint64}]");
    struct store *store = memory_store_new();
    struct store_batch batch = {0};
    struct value written[] = {value_string(0, SLICE_OF("x\0y")), value_uint64(1, UINT64_MAX)};
    struct row row = {ROW_WRITE, 2, written};
    ordered_put(&batch, schema, 7, 3, 100, &row);
    row.value_count = 0;
    ordered_put(&batch, schema, 7, 4, 101, &row);
    assert_ok(store_apply(store, &batch));
    store_batch_release(&batch);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_iterator_new(store, NULL, STORE_DATA, slice_from("", 0), slice_from("", 0));
    store_iterator_seek(iterator, slice_from("", 0));
    struct value values[2];
    uint64_t timestamp = 0;
    assert_ok(ordered_decode(&arena, schema, store_iterator_value(iterator), &timestamp, values));
    cr_assert(eq(u64, timestamp, 100));
    cr_assert(slice_equal(value_slice(&values[0]), SLICE_OF("x\0y")));
    cr_assert(eq(u64, values[1].uint64, UINT64_MAX));
    store_iterator_next(iterator);
    assert_ok(ordered_decode(&arena, schema, store_iterator_value(iterator), &timestamp, values));
    cr_assert(eq(u64, timestamp, 101));
    cr_assert(eq(int, values[0].type, VALUE_NULL));
    store_close(store);
}

Test(versions, malformed_bytes_are_safe_to_read)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct schema *schema = parse_schema(&arena, "[{name=a;type=string};{name=b;type=uint64}]");
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct rng rng = {.state = seed};
        char bytes[32];
        size_t size = rng_below(&rng, sizeof bytes);
        for (size_t i = 0; i < size; i++) bytes[i] = (char)rng_below(&rng, i < 8 ? 256 : 20);
        struct value values[2];
        uint64_t timestamp = 0;
        error_free(ordered_decode(&arena, schema, slice_from(bytes, size), &timestamp, values));
    }
}
