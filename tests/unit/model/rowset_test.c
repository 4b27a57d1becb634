#include "model/rowset.h"

#include "base/coding.h"
#include "tests/test.h"
#include "tests/unit/model/random_value.h"

#include <inttypes.h>

TestSuite(rowset, .fini = abort_on_leaks);

static struct rowset random_rowset(struct arena *arena, struct rng *rng)
{
    struct rowset rowset = {.row_count = (uint32_t)rng_below(rng, 10)};
    rowset.name_count = (uint16_t)(rng_chance(rng, 10) ? 300 : rng_below(rng, 5));
    rowset.names = ARENA_NEW(arena, struct slice, rowset.name_count);
    for (uint16_t i = 0; i < rowset.name_count; i++) {
        rowset.names[i] = random_string(arena, rng, false);
    }
    rowset.rows = ARENA_NEW(arena, struct row, rowset.row_count);
    for (uint32_t i = 0; i < rowset.row_count; i++) {
        struct row *row = &rowset.rows[i];
        row->kind = (enum row_kind)(ROW_WRITE + rng_below(rng, 4));
        bool is_empty = rowset.name_count == 0 || row->kind == ROW_MISSING;
        row->value_count = is_empty ? 0 : (uint32_t)rng_below(rng, 6);
        row->values = ARENA_NEW(arena, struct value, row->value_count);
        for (uint32_t j = 0; j < row->value_count; j++) {
            uint16_t column = (uint16_t)rng_below(rng, rowset.name_count);
            row->values[j] = random_value(arena, rng, column);
            row->values[j].is_aggregate = rng_chance(rng, 20);
        }
    }
    return rowset;
}

static void check_row_equal(const struct row *a, const struct row *b)
{
    cr_assert(eq(int, a->kind, b->kind));
    cr_assert(eq(u32, a->value_count, b->value_count));
    for (uint32_t i = 0; i < a->value_count; i++) {
        cr_assert(eq(int, value_compare(&a->values[i], &b->values[i]), 0));
        cr_assert(eq(u16, a->values[i].column, b->values[i].column));
        cr_assert(eq(int, a->values[i].is_aggregate, b->values[i].is_aggregate));
    }
}

Test(rowset, reads_back_what_was_written)
{
    for (uint64_t seed = 0; seed < 1000; seed++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        CLEANUP(buffer_releasep) struct buffer buffer = {0};
        struct rng rng = {.state = seed};
        struct rowset rowset = random_rowset(&arena, &rng);
        rowset_encode(&rowset, &buffer);

        struct rowset decoded;
        assert_ok(rowset_decode(&arena, buffer_slice(&buffer), &decoded));
        cr_assert(eq(u32, rowset_row_count(buffer_slice(&buffer)), rowset.row_count));
        cr_assert(eq(u32, decoded.row_count, rowset.row_count));
        cr_assert(eq(u16, decoded.name_count, rowset.name_count));
        for (uint16_t i = 0; i < rowset.name_count; i++) {
            cr_assert(slice_equal(decoded.names[i], rowset.names[i]));
        }

        struct value values[ROWSET_VALUE_COUNT_MAX];
        struct rowset_reader reader;
        assert_ok(rowset_read_begin(&reader, &arena, buffer_slice(&buffer)));
        for (uint32_t i = 0; i < rowset.row_count; i++) {
            struct row row;
            assert_ok(rowset_read_row(&reader, values, &row));
            check_row_equal(&row, &rowset.rows[i]);
            check_row_equal(&decoded.rows[i], &rowset.rows[i]);
        }
    }
}

// Whatever the bytes, reading ends, with an error or not; every cut is an error.
Test(rowset, survives_whatever_it_is_given)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        CLEANUP(buffer_releasep) struct buffer buffer = {0};
        struct rng rng = {.state = seed};
        struct rowset rowset = random_rowset(&arena, &rng);
        struct rowset decoded;
        rowset_encode(&rowset, &buffer);
        for (size_t size = 0; size < buffer.size; size++) {
            char *bytes = must_alloc(malloc(MAX(size, (size_t)1)));
            memcpy(bytes, buffer.data, size);
            bool is_changed = size > 0 && rng_chance(&rng, 50);
            if (is_changed) bytes[rng_below(&rng, size)] = (char)rng_next(&rng);
            struct error *error = rowset_decode(&arena, slice_from(bytes, size), &decoded);
            cr_assert(error != NULL || is_changed, "seed %" PRIu64 " size %zu", seed, size);
            rowset_row_count(slice_from(bytes, size));
            error_free(error);
            free(bytes);
        }
    }
}

static void assert_refused(struct slice bytes)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct rowset rowset;
    CLEANUP(error_freep) struct error *error = rowset_decode(&arena, bytes, &rowset);
    cr_assert(error != NULL);
    cr_assert(arena.size < 100000); // Counts are not believed.
}

Test(rowset, refuses_what_is_no_rowset)
{
    assert_refused(SLICE_OF(""));
    assert_refused(SLICE_OF("\2\0\0"));      // Version.
    assert_refused(SLICE_OF("\1\0\0 "));     // Bytes after the end.
    assert_refused(SLICE_OF("\1\0\1\1\0 ")); // The same after a row.
    assert_refused(SLICE_OF("\1\0\1\0\0"));  // Kinds of row.
    assert_refused(SLICE_OF("\1\0\1\5\0"));
    assert_refused(SLICE_OF("\1\1\1a\1\4\1\0\2"));           // A missing row has values.
    assert_refused(SLICE_OF("\1\1\1a\1\1\1\1\2"));           // Column out of range.
    assert_refused(SLICE_OF("\1\1\1a\1\1\1\0\7"));           // Type.
    assert_refused(SLICE_OF("\1\1\1a\1\1\1\0\6\2"));         // Boolean.
    assert_refused(SLICE_OF("\1\1\1a\1\1\1\0\x10\xff\x01")); // Length.
    assert_refused(SLICE_OF("\1\xff\xff\xff\xff\x0f"));      // Counts.
    assert_refused(SLICE_OF("\1\x80\x20"));
    assert_refused(SLICE_OF("\1\0\xff\xff\x3f"));
    assert_refused(SLICE_OF("\1\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    assert_refused(SLICE_OF("\1\1\1a\1\1\xff\x07\0\2\0\2"));
}

Test(rowset, names_the_limit_of_values)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    struct slice name = SLICE_OF("a");
    struct rowset rowset;
    rowset_encode_begin(&name, 1, 1, &buffer);
    put_u8(&buffer, ROW_WRITE);
    put_varint(&buffer, ROWSET_VALUE_COUNT_MAX + 1);
    for (int i = 0; i < ROWSET_VALUE_COUNT_MAX + 1; i++) buffer_append(&buffer, "\0\2", 2);
    CLEANUP(error_freep)
    struct error *error = rowset_decode(&arena, buffer_slice(&buffer), &rowset);
    assert_text(error_message(error), "Too many values in row: actual 1025, limit 1024");
    cr_assert(eq(int, error_code(error), ERROR_TOO_MANY_VALUES_IN_ROW));
}

Test(rowset, does_not_write_a_row_in_part)
{
    CLEANUP(buffer_releasep) struct buffer buffer;
    buffer_init(&buffer, 8);
    struct value values[] = {value_string(0, SLICE_OF("12345678"))};
    struct row row = {.kind = ROW_WRITE, .value_count = 1, .values = values};
    rowset_encode_row(&row, &buffer);
    cr_assert(buffer.is_overflowed);
    cr_assert(eq(sz, buffer.size, 0));
}
