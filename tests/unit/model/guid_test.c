#include "model/guid.h"

#include "base/rng.h"
#include "tests/test.h"

#include <inttypes.h>

TestSuite(guid, .fini = abort_on_leaks);

static struct guid parse(const char *text)
{
    struct guid id = GUID_NULL;
    assert_ok(guid_parse(slice_from_text(text), &id));
    return id;
}

Test(guid, prints_as_ytsaurus_does)
{
    struct guid id = parse("730e-68d3e-3ff01a9-325bbdcd");
    cr_assert(eq(u64, id.high, UINT64_C(0x730e00068d3e)));
    cr_assert(eq(u64, id.low, UINT64_C(0x3ff01a9325bbdcd)));
    cr_assert(eq(int, guid_type(id), OBJECT_REPLICATED_TABLE));
    assert_text(GUID_TEXT(id), "730e-68d3e-3ff01a9-325bbdcd");
    assert_text(GUID_TEXT(GUID_NULL), "0-0-0-0");
}

Test(guid, is_parsed_leniently)
{
    assert_text(GUID_TEXT(parse("1-2-3-4")), "1-2-3-4");
    assert_text(GUID_TEXT(parse("00000001-ABCDEF-3-ffffffff")), "1-abcdef-3-ffffffff");
}

Test(guid, is_refused_when_malformed)
{
    static const char *const TEXTS[] = {
        "",
        "1",
        "1-2-3",
        "1-2-3-",
        "1-2-3-4-5",
        "1-2-3-4 ",
        "1--3-4",
        "123456789-2-3-4",
        "g-2-3-4"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct guid id = GUID_NULL;
        CLEANUP(error_freep) struct error *error = guid_parse(slice_from_text(TEXTS[i]), &id);
        cr_assert(error != NULL, "%s", TEXTS[i]);
        cr_assert(guid_is_null(id));
    }
}

Test(guid, knows_its_counter_cell_and_type)
{
    struct guid id = guid_make(5, 0x3ff, OBJECT_TABLE_REPLICA, 1);
    cr_assert(eq(u64, id.high, 5));
    cr_assert(eq(u64, id.low >> 32, 0x3ff02c5));
    cr_assert(not(guid_equal(id, guid_make(5, 0x3ff, OBJECT_TABLE_REPLICA, 2))));
    cr_assert(guid_equal(id, guid_make(5, 0x3ff, OBJECT_TABLE_REPLICA, 1)));
}

Test(guid, reads_back_what_it_prints)
{
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct rng rng = {.state = seed};
        struct guid id = {rng_next(&rng) >> rng_below(&rng, 64), rng_next(&rng)};
        cr_assert(guid_equal(parse(GUID_TEXT(id)), id), "seed %" PRIu64, seed);
    }
}

Test(guid, has_object_types_with_names)
{
    enum object_type type = OBJECT_TABLE;
    cr_assert(object_type_parse(SLICE_OF("table_replica"), &type));
    cr_assert(eq(int, type, 709));
    assert_text(object_type_name(OBJECT_MAP_NODE), "map_node");
    cr_assert(object_type_name((enum object_type)12345) == NULL);
    cr_assert(not(object_type_parse(SLICE_OF("chunk"), &type)));
}
