#include "model/node.h"

#include "base/rng.h"
#include "model/yson.h"
#include "tests/test.h"

#include <inttypes.h>

TestSuite(node, .fini = abort_on_leaks);

static struct node *parse(struct arena *arena, const char *text)
{
    struct node *node = NULL;
    assert_ok(yson_parse(arena, slice_from_text(text), &node));
    return node;
}

Test(node, keeps_the_order_of_a_map_and_its_keys_unique)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *map = node_map(&arena);
    node_set_text(&arena, map, "b", node_int64(&arena, 1));
    node_set_text(&arena, map, "a", node_int64(&arena, 2));
    node_set_text(&arena, map, "b", node_int64(&arena, 3));
    cr_assert(node_equal(map, parse(&arena, "{b=3;a=2}")));
    cr_assert(slice_equal_text(map->entries[0].key, "b"));
    cr_assert(not(node_add_entry(&arena, map, SLICE_OF("a"), map)));
    cr_assert(node_remove(map, SLICE_OF("b")));
    cr_assert(not(node_remove(map, SLICE_OF("b"))));
    cr_assert(eq(u32, map->count, 1));
}

// A map with an index behaves as a plain list of entries does.
Test(node, finds_what_was_set_and_not_removed)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        struct rng rng = {.state = seed};
        struct node *map = node_map(&arena);
        int64_t expected[200] = {0}; // 0: absent.
        for (int64_t i = 1; i < 2000; i++) {
            uint64_t k = rng_below(&rng, 200);
            struct slice key = slice_from_text(arena_print(&arena, "key-%" PRIu64, k));
            if (rng_chance(&rng, 70)) {
                node_set(&arena, map, key, node_int64(&arena, i));
                expected[k] = i;
            } else {
                cr_assert(eq(int, node_remove(map, key), expected[k] != 0));
                expected[k] = 0;
            }
        }
        for (uint64_t k = 0; k < 200; k++) {
            const struct node *node = node_find_text(map, arena_print(&arena, "key-%" PRIu64, k));
            cr_assert(eq(i64, node ? node->int64 : 0, expected[k]), "seed %" PRIu64, seed);
        }
    }
}

Test(node, is_equal_regardless_of_the_order_of_keys)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    cr_assert(node_equal(parse(&arena, "{a=1;b=[1;2]}"), parse(&arena, "{b=[1;2];a=1}")));
    cr_assert(not(node_equal(parse(&arena, "{a=1}"), parse(&arena, "{a=1u}"))));
    cr_assert(not(node_equal(parse(&arena, "[1;2]"), parse(&arena, "[2;1]"))));
    cr_assert(not(node_equal(parse(&arena, "<a=1>#"), parse(&arena, "#"))));
    cr_assert(node_equal(parse(&arena, "<>#"), parse(&arena, "#")));
    cr_assert(node_equal(parse(&arena, "%nan"), parse(&arena, "%nan")));
}

Test(node, is_copied_whole)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(arena_releasep) struct arena other = {0};
    const struct node *node = parse(&arena, "<a=[1;#]>{b=<c=2.5>\"text\";d={e=%true}}");
    struct node *copy = node_copy(&other, node);
    cr_assert(node_equal(node, copy));
    arena_release(&arena);
    cr_assert(node_equal(copy, parse(&other, "<a=[1;#]>{d={e=%true};b=<c=2.5>\"text\"}")));
}

Test(node, is_read_as_the_type_that_is_asked_for)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    const struct node *map =
        parse(&arena, "{i=-5;u=5u;d=3.;t=\"true\";b=%false;s=text;g=\"1-2-3-4\";e=#}");
    struct slice string = SLICE_OF("default");
    int64_t int64 = 7;
    uint64_t uint64 = 7;
    double real = 7;
    bool boolean = false;
    struct guid id = GUID_NULL;

    assert_ok(node_get_int64(map, "i", &int64));
    cr_assert(eq(i64, int64, -5));
    assert_ok(node_get_int64(map, "u", &int64));
    cr_assert(eq(i64, int64, 5));
    assert_ok(node_get_uint64(map, "d", &uint64));
    cr_assert(eq(u64, uint64, 3));
    assert_ok(node_get_double(map, "i", &real));
    cr_assert(eq(dbl, real, -5));
    assert_ok(node_get_boolean(map, "t", &boolean));
    cr_assert(boolean);
    assert_ok(node_get_boolean(map, "b", &boolean));
    cr_assert(not(boolean));
    assert_ok(node_get_string(map, "s", &string));
    cr_assert(slice_equal_text(string, "text"));
    assert_ok(node_get_guid(map, "g", &id));
    cr_assert(eq(u64, id.low, UINT64_C(3) << 32 | 4));

    // Absent and entity leave the default.
    assert_ok(node_get_int64(map, "e", &int64));
    assert_ok(node_get_int64(map, "absent", &int64));
    assert_ok(node_get_int64(NULL, "absent", &int64));
    cr_assert(eq(i64, int64, 5));
}

Test(node, names_the_key_that_is_of_another_type)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    const struct node *map = parse(&arena, "{i=-5;u=18446744073709551615u;d=3.5;big=1e300;s=text}");
    struct slice string = SLICE_OF("");
    int64_t int64 = 7;
    uint64_t uint64 = 7;
    struct guid id = GUID_NULL;
    struct error *errors[] = {
        node_get_string(map, "i", &string),
        node_get_uint64(map, "i", &uint64),
        node_get_int64(map, "u", &int64),
        node_get_int64(map, "d", &int64),
        node_get_int64(map, "big", &int64),
        node_get_uint64(map, "big", &uint64),
        node_get_guid(map, "s", &id),
    };
    static const char *const EXPECTED[] = {
        "Error reading \"i\": expected \"string\", actual \"int64\"",
        "Error reading \"i\": the number does not fit \"uint64\"",
        "Error reading \"u\": the number does not fit \"int64\"",
        "Error reading \"d\": expected \"int64\", actual \"double\"",
        "Error reading \"big\": the number does not fit \"int64\"",
        "Error reading \"big\": the number does not fit \"uint64\"",
        "Error reading \"s\"",
    };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        assert_text(error_message(errors[i]), EXPECTED[i]);
        error_free(errors[i]);
    }
    cr_assert(eq(i64, int64, 7));
    cr_assert(eq(u64, uint64, 7));
}
