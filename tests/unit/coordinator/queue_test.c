#include "coordinator/core/queue.h"

#include "base/arena.h"
#include "base/memory_store.h"
#include "base/rng.h"
#include "tests/test.h"

#include <inttypes.h>

TestSuite(queue, .fini = abort_on_leaks);

enum { TABLET = 7, RECORD_COUNT_MAX = 4096 };

struct log { // A queue on its store.
    struct store *store;
    struct store_batch batch;
    struct queue queue;
};

static void open_log(struct log *log)
{
    log->store = memory_store_new();
    log->batch = (struct store_batch){0};
    assert_ok(queue_init(&log->queue, log->store, TABLET));
}

static void apply(struct log *log)
{
    assert_ok(store_apply(log->store, &log->batch));
    store_batch_clear(&log->batch);
}

static void close_log(struct log *log)
{
    queue_release(&log->queue);
    store_batch_release(&log->batch);
    store_close(log->store);
}

static void reopen(struct log *log)
{
    queue_release(&log->queue);
    assert_ok(queue_init(&log->queue, log->store, TABLET));
}

static struct position append(struct log *log, uint64_t timestamp, uint32_t row_count, size_t size)
{
    char *bytes = must_alloc(malloc(size + 1));
    memset(bytes, (int)(timestamp % 251), size);
    struct block *rows = block_new(slice_from(bytes, size));
    struct position end = queue_append(&log->queue, &log->batch, timestamp, row_count, rows, NULL);
    block_release(rows);
    free(bytes);
    apply(log);
    return end;
}

static struct position append_decided(struct log *log, uint64_t timestamp, bool is_committed)
{
    struct position end = append(log, timestamp, 2, 10);
    if (!is_committed) {
        queue_write_abort(&log->queue, &log->batch, end);
        apply(log);
    }
    queue_decide(&log->queue, end, is_committed);
    return end;
}

static enum queue_lookup find(
    const struct log *log, uint64_t row_index, uint64_t timestamp, enum record_state *ret_state)
{
    enum queue_lookup lookup = QUEUE_UNKNOWN;
    struct position position = {row_index, timestamp};
    assert_ok(queue_find(&log->queue, position, &lookup, ret_state));
    return lookup;
}

// What a cursor reads from a position on: "0+2@10 2+2@20!" (row index, row count, timestamp; ? for
// undecided, ! for aborted).
static const char *read_all(struct log *log, struct position from, struct arena *arena)
{
    struct queue_cursor cursor;
    CLEANUP(buffer_releasep) struct buffer text = {0};
    queue_cursor_init(&cursor, &log->queue, from);
    while (true) {
        struct record record;
        bool is_found = false;
        assert_ok(queue_cursor_next(&cursor, &record, &is_found));
        if (!is_found) break;
        const char *state = "";
        if (record.state == RECORD_UNDECIDED) state = "?";
        if (record.state == RECORD_ABORTED) state = "!";
        cr_assert(eq(int, record.rows == NULL, record.state == RECORD_ABORTED));
        buffer_print(
            &text,
            "%s%" PRIu64 "+%" PRIu32 "@%" PRIu64 "%s",
            text.size > 0 ? " " : "",
            record.row_index,
            record.row_count,
            record.timestamp,
            state);
        block_release(record.rows);
    }
    queue_cursor_release(&cursor);
    return arena_print(arena, "%.*s", SLICE(buffer_slice(&text)));
}

static bool trim(struct log *log, uint64_t row_index, uint64_t timestamp_max, size_t count_max)
{
    bool is_trimmed = false;
    assert_ok(
        queue_trim(&log->queue, &log->batch, row_index, timestamp_max, count_max, &is_trimmed));
    apply(log);
    return is_trimmed;
}

Test(queue, keeps_records_in_order_with_their_fates)
{
    struct log log;
    struct arena arena CLEANUP(arena_releasep) = {0};
    open_log(&log);
    append_decided(&log, 10, true);
    append_decided(&log, 20, false);
    struct position end = append(&log, 30, 3, 10);
    cr_assert(eq(u64, end.row_index, 7));
    cr_assert(eq(u64, log.queue.committed_end.row_index, 2));
    cr_assert(eq(u64, queue_first_undecided(&log.queue)->timestamp, 30));
    assert_text(read_all(&log, (struct position){0, 0}, &arena), "0+2@10 2+2@20! 4+3@30?");
    assert_text(read_all(&log, (struct position){2, 10}, &arena), "2+2@20! 4+3@30?");
    assert_text(read_all(&log, end, &arena), "");
    close_log(&log);
}

Test(queue, may_decide_records_in_any_order)
{
    struct log log;
    open_log(&log);
    struct position first = append(&log, 10, 1, 1);
    struct position second = append(&log, 20, 1, 1);
    struct position third = append(&log, 30, 1, 1);
    queue_decide(&log.queue, second, true);
    cr_assert(eq(u64, log.queue.committed_end.row_index, 2));
    cr_assert(eq(u64, queue_first_undecided(&log.queue)->timestamp, 10));
    queue_decide(&log.queue, first, true);
    cr_assert(eq(u64, log.queue.committed_end.row_index, 2));
    cr_assert(eq(u64, queue_first_undecided(&log.queue)->timestamp, 30));
    queue_decide(&log.queue, third, true);
    cr_assert(eq(ptr, (void *)queue_first_undecided(&log.queue), NULL));
    close_log(&log);
}

// R1.
Test(queue, after_a_restart_what_has_no_abort_record_is_committed)
{
    struct log log;
    struct arena arena CLEANUP(arena_releasep) = {0};
    open_log(&log);
    append_decided(&log, 10, true);
    append_decided(&log, 20, false);
    append(&log, 30, 3, 10);
    reopen(&log);
    cr_assert(eq(u64, log.queue.end.row_index, 7));
    cr_assert(eq(u64, log.queue.end.timestamp, 30));
    cr_assert(eq(u64, log.queue.committed_end.row_index, 7));
    cr_assert(eq(ptr, (void *)queue_first_undecided(&log.queue), NULL));
    assert_text(read_all(&log, (struct position){0, 0}, &arena), "0+2@10 2+2@20! 4+3@30");
    append(&log, 40, 1, 10);
    assert_text(read_all(&log, (struct position){2, 10}, &arena), "2+2@20! 4+3@30 7+1@40?");
    close_log(&log);
}

// S3.
Test(queue, finds_positions_as_pairs)
{
    struct log log;
    open_log(&log);
    append_decided(&log, 10, true);
    append_decided(&log, 20, false);
    append(&log, 30, 3, 10);
    for (int round = 0; round < 2; round++) { // From memory, then from the store.
        enum record_state state = RECORD_UNDECIDED;
        cr_assert(eq(int, find(&log, 0, 0, &state), QUEUE_KNOWN));
        cr_assert(eq(int, find(&log, 2, 10, &state), QUEUE_KNOWN));
        cr_assert(eq(int, state, RECORD_COMMITTED));
        cr_assert(eq(int, find(&log, 4, 20, &state), QUEUE_KNOWN));
        cr_assert(eq(int, state, RECORD_ABORTED));
        cr_assert(eq(int, find(&log, 7, 30, &state), QUEUE_KNOWN));
        cr_assert(eq(int, state, round == 0 ? RECORD_UNDECIDED : RECORD_COMMITTED));
        cr_assert(eq(int, find(&log, 4, 21, &state), QUEUE_UNKNOWN)); // Another's record.
        cr_assert(eq(int, find(&log, 3, 20, &state), QUEUE_UNKNOWN)); // Inside one.
        cr_assert(eq(int, find(&log, 8, 30, &state), QUEUE_UNKNOWN)); // Beyond the end.
        cr_assert(eq(int, find(&log, 0, 5, &state), QUEUE_TRIMMED_OTHER));
        reopen(&log);
    }
    close_log(&log);
}

Test(queue, trims_whole_records_by_index_and_by_age)
{
    struct log log;
    struct arena arena CLEANUP(arena_releasep) = {0};
    open_log(&log);
    for (uint64_t i = 1; i <= 6; i++) append_decided(&log, 10 * i, i != 3);
    cr_assert(not(trim(&log, 1, 1000, 100))); // Only a part of the first record.
    cr_assert(not(trim(&log, 12, 9, 100)));   // All are younger.
    cr_assert(trim(&log, 5, 1000, 100));
    cr_assert(eq(u64, log.queue.trimmed.row_index, 4));
    cr_assert(eq(u64, log.queue.trimmed.timestamp, 20));
    cr_assert(trim(&log, 12, 1000, 1)); // One at a time.
    cr_assert(eq(u64, log.queue.trimmed.row_index, 6));
    cr_assert(trim(&log, 12, 45, 100));
    cr_assert(eq(u64, log.queue.trimmed.row_index, 8));
    assert_text(read_all(&log, log.queue.trimmed, &arena), "8+2@50 10+2@60");
    reopen(&log);
    cr_assert(eq(u64, log.queue.trimmed.row_index, 8));
    cr_assert(eq(u64, log.queue.trimmed.timestamp, 40));
    assert_text(read_all(&log, log.queue.trimmed, &arena), "8+2@50 10+2@60");
    close_log(&log);
}

Test(queue, knows_what_is_trimmed_by_its_index)
{
    struct log log;
    open_log(&log);
    for (uint64_t i = 1; i <= 4; i++) append_decided(&log, 10 * i, true);
    trim(&log, 4, 1000, 100);
    enum record_state state = RECORD_UNDECIDED;
    cr_assert(eq(int, find(&log, 2, 10, &state), QUEUE_TRIMMED));
    cr_assert(eq(int, find(&log, 0, 0, &state), QUEUE_TRIMMED));
    cr_assert(eq(int, find(&log, 4, 20, &state), QUEUE_TRIMMED));
    cr_assert(eq(int, find(&log, 4, 21, &state), QUEUE_TRIMMED_OTHER));
    cr_assert(eq(int, find(&log, 6, 30, &state), QUEUE_KNOWN));
    close_log(&log);
}

// Q4.
Test(queue, does_not_begin_anew_when_all_of_it_is_trimmed)
{
    struct log log;
    struct arena arena CLEANUP(arena_releasep) = {0};
    open_log(&log);
    for (uint64_t i = 1; i <= 4; i++) append_decided(&log, 10 * i, true);
    cr_assert(trim(&log, 8, 1000, 100));
    reopen(&log);
    cr_assert(eq(u64, log.queue.end.row_index, 8));
    cr_assert(eq(u64, log.queue.end.timestamp, 40));
    append(&log, 50, 1, 1);
    assert_text(read_all(&log, log.queue.trimmed, &arena), "8+1@50?");
    close_log(&log);
}

Test(queue, finds_positions_of_indexes_and_timestamps_after_them)
{
    struct log log;
    open_log(&log);
    for (uint64_t i = 1; i <= 4; i++) append_decided(&log, 10 * i, true);
    trim(&log, 2, 1000, 100);
    for (int round = 0; round < 2; round++) {
        const struct {
            uint64_t row_index;
            uint64_t position;
            uint64_t timestamp_after;
        } cases[] = {{2, 2, 20}, {3, 2, 20}, {4, 4, 30}, {5, 4, 30}, {8, 8, 0}, {9, 8, 0}};
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct position position;
            uint64_t timestamp = 0;
            assert_ok(queue_position_of_index(&log.queue, cases[i].row_index, &position));
            assert_ok(queue_timestamp_after(&log.queue, cases[i].row_index, &timestamp));
            cr_assert(eq(u64, position.row_index, cases[i].position), "case %zu", i);
            cr_assert(eq(u64, position.timestamp, cases[i].position * 5), "case %zu", i);
            cr_assert(eq(u64, timestamp, cases[i].timestamp_after), "case %zu", i);
        }
        reopen(&log);
    }
    close_log(&log);
}

Test(queue, keeps_a_bounded_number_of_decided_records_in_memory)
{
    struct log log;
    open_log(&log);
    for (uint64_t i = 1; i <= QUEUE_CACHE_RECORD_COUNT_MAX + 500; i++) {
        append_decided(&log, i, true);
    }
    cr_assert(le(sz, log.queue.record_count, QUEUE_CACHE_RECORD_COUNT_MAX));
    cr_assert(eq(ptr, queue_cached_record(&log.queue, 2), NULL));
    cr_assert(ne(ptr, queue_cached_record(&log.queue, log.queue.end.row_index), NULL));
    close_log(&log);
}

Test(queue, keeps_a_bounded_size_of_decided_records_in_memory)
{
    struct log log;
    open_log(&log);
    for (uint64_t i = 1; i <= 12; i++) {
        struct position end = append(&log, i, 1, 1 << 20);
        queue_decide(&log.queue, end, true);
    }
    cr_assert(le(u64, log.queue.cached_size, QUEUE_CACHE_SIZE_MAX));
    cr_assert(eq(sz, log.queue.record_count, 8));
    close_log(&log);
}

Test(queue, keeps_every_undecided_record_in_memory)
{
    struct log log;
    struct arena arena CLEANUP(arena_releasep) = {0};
    open_log(&log);
    struct position first = append(&log, 1, 1, 10);
    for (uint64_t i = 2; i <= QUEUE_CACHE_RECORD_COUNT_MAX + 100; i++) {
        queue_decide(&log.queue, append(&log, i, 1, 10), true);
    }
    cr_assert(eq(sz, log.queue.record_count, QUEUE_CACHE_RECORD_COUNT_MAX + 100));
    cr_assert(ne(ptr, queue_cached_record(&log.queue, 1), NULL));
    queue_decide(&log.queue, first, true);
    cr_assert(eq(sz, log.queue.record_count, QUEUE_CACHE_RECORD_COUNT_MAX));
    close_log(&log);
}

Test(queue, gives_a_cursor_from_the_store_what_has_come_to_memory_since)
{
    struct log log;
    struct arena arena CLEANUP(arena_releasep) = {0};
    open_log(&log);
    append_decided(&log, 10, true);
    append_decided(&log, 20, true);
    reopen(&log);
    struct queue_cursor cursor;
    queue_cursor_init(&cursor, &log.queue, (struct position){0, 0});
    append_decided(&log, 30, true);
    append_decided(&log, 40, false);
    for (uint64_t i = 1; i <= 4; i++) {
        struct record record;
        bool is_found = false;
        assert_ok(queue_cursor_next(&cursor, &record, &is_found));
        cr_assert(is_found);
        cr_assert(eq(u64, record.timestamp, 10 * i));
        cr_assert(eq(int, record.state, i == 4 ? RECORD_ABORTED : RECORD_COMMITTED));
        block_release(record.rows);
    }
    queue_cursor_release(&cursor);
    close_log(&log);
}

Test(queue, tells_a_missing_record_from_the_end)
{
    struct log log;
    open_log(&log);
    for (uint64_t i = 1; i <= 3; i++) append_decided(&log, 10 * i, true);
    // The key of the record that begins at row 2, as layout.h describes it.
    char key[] = {0, 0, 0, TABLET, 'r', 0, 0, 0, 0, 0, 0, 0, 2};
    store_batch_remove(&log.batch, STORE_QUEUE, slice_from(key, sizeof key));
    apply(&log);
    reopen(&log);
    struct queue_cursor cursor;
    queue_cursor_init(&cursor, &log.queue, (struct position){0, 0});
    struct record record;
    bool is_found = false;
    assert_ok(queue_cursor_next(&cursor, &record, &is_found));
    block_release(record.rows);
    CLEANUP(error_freep) struct error *error = queue_cursor_next(&cursor, &record, &is_found);
    cr_assert(ne(ptr, error, NULL));
    assert_text(error_message(error), "Replication log row index mismatch: expected 2, got 4");
    queue_cursor_release(&cursor);
    close_log(&log);
}

Test(queue, refuses_a_malformed_log)
{
    struct log log;
    open_log(&log);
    char key[] = {0, 0, 0, TABLET, 'r', 0, 0, 0, 0, 0, 0, 0, 0};
    store_batch_put(&log.batch, STORE_QUEUE, slice_from(key, sizeof key), SLICE_OF("\x01"));
    apply(&log);
    queue_release(&log.queue);
    CLEANUP(error_freep) struct error *error = queue_init(&log.queue, log.store, TABLET);
    cr_assert(ne(ptr, error, NULL));
    close_log(&log);
}

Test(queue, shares_a_store_with_other_tablets)
{
    struct log log;
    struct arena arena CLEANUP(arena_releasep) = {0};
    open_log(&log);
    struct queue other;
    assert_ok(queue_init(&other, log.store, TABLET + 1));
    append_decided(&log, 10, true);
    struct block *rows = block_new(SLICE_OF("rows"));
    queue_append(&other, &log.batch, 15, 5, rows, NULL);
    block_release(rows);
    append_decided(&log, 20, true);
    trim(&log, 4, 100, 100);
    queue_release(&other);
    assert_ok(queue_init(&other, log.store, TABLET + 1));
    cr_assert(eq(u64, other.end.row_index, 5));
    reopen(&log);
    cr_assert(eq(u64, log.queue.end.row_index, 4));
    assert_text(read_all(&log, log.queue.trimmed, &arena), "");
    queue_release(&other);
    close_log(&log);
}

// What a log should hold.
struct model {
    struct model_record {
        struct position end;
        uint32_t row_count;
        enum record_state state;
    } records[RECORD_COUNT_MAX];
    size_t count;
    size_t trimmed_count;
};

static const char *model_text(const struct model *model, size_t from, struct arena *arena)
{
    CLEANUP(buffer_releasep) struct buffer text = {0};
    for (size_t i = from; i < model->count; i++) {
        const struct model_record *record = &model->records[i];
        const char *state = "";
        if (record->state == RECORD_UNDECIDED) state = "?";
        if (record->state == RECORD_ABORTED) state = "!";
        buffer_print(
            &text,
            "%s%" PRIu64 "+%" PRIu32 "@%" PRIu64 "%s",
            text.size > 0 ? " " : "",
            record->end.row_index - record->row_count,
            record->row_count,
            record->end.timestamp,
            state);
    }
    return arena_print(arena, "%.*s", SLICE(buffer_slice(&text)));
}

static void decide_one(struct rng *rng, struct log *log, struct model *model)
{
    for (size_t i = model->trimmed_count; i < model->count; i++) {
        struct model_record *record = &model->records[i];
        if (record->state != RECORD_UNDECIDED || rng_chance(rng, 30)) continue;
        bool is_committed = rng_chance(rng, 70);
        if (!is_committed) {
            queue_write_abort(&log->queue, &log->batch, record->end);
            apply(log);
        }
        queue_decide(&log->queue, record->end, is_committed);
        record->state = is_committed ? RECORD_COMMITTED : RECORD_ABORTED;
        return;
    }
}

static void trim_some(struct rng *rng, struct log *log, struct model *model)
{
    size_t decided = model->trimmed_count;
    while (decided < model->count && model->records[decided].state != RECORD_UNDECIDED) decided++;
    size_t count = rng_below(rng, decided - model->trimmed_count + 1);
    if (count == 0) return;
    model->trimmed_count += count;
    cr_assert(trim(log, model->records[model->trimmed_count - 1].end.row_index, UINT64_MAX, 10000));
}

static void step(struct rng *rng, struct log *log, struct model *model, uint64_t *timestamp)
{
    switch (rng_below(rng, 10)) {
    case 0: trim_some(rng, log, model); break;
    case 1:
        if (!rng_chance(rng, 30)) break;
        reopen(log);
        for (size_t i = model->trimmed_count; i < model->count; i++) {
            struct model_record *record = &model->records[i];
            if (record->state == RECORD_UNDECIDED) record->state = RECORD_COMMITTED;
        }
        break;
    case 2:
    case 3:
    case 4: decide_one(rng, log, model); break;
    default: {
        uint32_t row_count = 1 + (uint32_t)rng_below(rng, 3);
        *timestamp += 1 + rng_below(rng, 3);
        struct position end = append(log, *timestamp, row_count, rng_below(rng, 100));
        model->records[model->count++] = (struct model_record){end, row_count, RECORD_UNDECIDED};
        break;
    }
    }
}

Test(queue, behaves_like_a_plain_list_through_appends_decisions_trims_and_restarts)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct rng rng = {.state = seed};
        struct log log;
        static struct model model;
        model = (struct model){0};
        uint64_t timestamp = 0;
        open_log(&log);
        for (int i = 0; i < 200; i++) {
            struct arena arena CLEANUP(arena_releasep) = {0};
            step(&rng, &log, &model, &timestamp);
            size_t from = model.trimmed_count;
            if (model.count > from) from += rng_below(&rng, model.count - from);
            struct position position =
                from == 0 ? (struct position){0, 0} : model.records[from - 1].end;
            const char *actual = read_all(&log, position, &arena);
            const char *expected = model_text(&model, from, &arena);
            cr_assert(
                eq(str, (char *)actual, (char *)expected), "seed %" PRIu64 ", step %d", seed, i);
            if (from == 0) continue;
            enum record_state state = RECORD_UNDECIDED;
            enum queue_lookup lookup = find(&log, position.row_index, position.timestamp, &state);
            bool is_trimmed = from == model.trimmed_count;
            cr_assert(
                eq(int, lookup, is_trimmed ? QUEUE_TRIMMED : QUEUE_KNOWN), "seed %" PRIu64, seed);
            if (!is_trimmed) {
                cr_assert(eq(int, state, model.records[from - 1].state), "seed %" PRIu64, seed);
            }
        }
        close_log(&log);
    }
}
