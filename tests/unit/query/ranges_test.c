#include "base/rng.h"
#include "model/yson.h"
#include "tests/test.h"
#include "tests/unit/query/world.h"

#include <inttypes.h>

TestSuite(query_ranges, .fini = abort_on_leaks);

static struct world new_world(void)
{
    return world_of(
        "[{name=a;type=int64;sort_order=ascending};{name=b;type=int64;sort_order=ascending};"
        "{name=c;type=string;sort_order=ascending};{name=v;type=int64}]",
        "");
}

// The ranges of a query with this predicate, as the plan explains them.
static const char *ranges(struct world *world, const char *predicate)
{
    const struct query_plan *plan =
        world_plan(world, arena_print(&world->arena, "* from [//t] where %s", predicate));
    CLEANUP(buffer_releasep) struct buffer text = {0};
    const struct node *explained = query_plan_explain(plan, &world->arena);
    yson_print(node_find_text(explained, "ranges"), YSON_TEXT, &text);
    // Without what is the same everywhere.
    struct slice slice = arena_copy(&world->arena, buffer_slice(&text));
    char *to = (char *)slice.data;
    for (const char *from = slice.data; *from;) {
        if (strncmp(from, "<\"type\"=\"max\";>#", 16) == 0) {
            *to++ = '+';
            from += 16;
        } else if (strncmp(from, "<\"type\"=\"min\";>#", 16) == 0) {
            *to++ = '-';
            from += 16;
        } else if (from[0] == ';' && from[1] == ']') {
            from++;
        } else {
            *to++ = *from++;
        }
    }
    *to = 0;
    return slice.data;
}

Test(query_ranges, follow_points_and_end_at_the_first_interval)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(ranges(&world, "true"), "[[[-];[+]]]");
    assert_text(ranges(&world, "v = 1"), "[[[-];[+]]]");
    assert_text(ranges(&world, "a = 1"), "[[[1];[1;+]]]");
    assert_text(ranges(&world, "1 = a and v = 2"), "[[[1];[1;+]]]");
    assert_text(ranges(&world, "a > 1"), "[[[1;+];[+]]]");
    assert_text(ranges(&world, "1 > a"), "[[[-];[1]]]");
    assert_text(ranges(&world, "a >= 1 and a < 5"), "[[[1];[5]]]");
    assert_text(ranges(&world, "a = 1 and b in (3, 4)"), "[[[1;3];[1;3;+]];[[1;4];[1;4;+]]]");
    assert_text(ranges(&world, "a = 1 and b between 20 and 30 and c > 'x'"), "[[[1;20];[1;30;+]]]");
    assert_text(
        ranges(&world, "a = 1 and b = 2 and c between 'x' and 'y'"),
        "[[[1;2;\"x\"];[1;2;\"y\";+]]]");
    assert_text(
        ranges(&world, "a = 1 and b = 2 and c between 'x' and 'y' or a between 10 and 20"),
        "[[[1;2;\"x\"];[1;2;\"y\";+]];[[10];[20;+]]]");
    assert_text(
        ranges(&world, "(a = 1 and b = 2) or (a = 5 and b = 7)"),
        "[[[1;2];[1;2;+]];[[5;7];[5;7;+]]]");
    assert_text(ranges(&world, "b = 2"), "[[[-];[+]]]");
}

Test(query_ranges, are_none_if_nothing_can_match)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(ranges(&world, "a = 1 and a = 2"), "[]");
    assert_text(ranges(&world, "false"), "[]");
    assert_text(ranges(&world, "null"), "[]");
    assert_text(ranges(&world, "a = 1 and (a = 2 or b < 5 and b > 6)"), "[]");
    assert_text(ranges(&world, "a < null"), "[]");
}

Test(query_ranges, know_negations_and_nulls)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(ranges(&world, "a != 1"), "[[[-];[1]];[[1;+];[+]]]");
    assert_text(ranges(&world, "not (a < 1 or a > 5)"), "[[[1];[5;+]]]");
    assert_text(ranges(&world, "a not in (1, 2)"), "[[[-];[1]];[[1;+];[2]];[[2;+];[+]]]");
    assert_text(ranges(&world, "a is null"), "[[[-];[#;+]]]");
    assert_text(ranges(&world, "a is not null"), "[[[#;+];[+]]]");
    // Keys from before the column was added are shorter.
    assert_text(ranges(&world, "a = 1 and b is null"), "[[[1];[1;#;+]]]");
    assert_text(ranges(&world, "a = 1 and b is null and c is null"), "[[[1];[1;#;#;+]]]");
}

Test(query_ranges, take_tuples_apart)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(ranges(&world, "(a, b) = (1, 2)"), "[[[1;2];[1;2;+]]]");
    assert_text(ranges(&world, "(a, b) > (1, 2)"), "[[[1;2;+];[+]]]");
    assert_text(ranges(&world, "(a, b) >= (1, 2)"), "[[[1;2];[+]]]");
    assert_text(ranges(&world, "(a, b, c) <= (1, 2, 'x')"), "[[[-];[1;2;\"x\";+]]]");
    assert_text(ranges(&world, "(a, b) between (1, 2) and (1)"), "[[[1;2];[1;+]]]");
    assert_text(
        ranges(&world, "(a, b) in ((3, 4), (1, 2), (1, 9))"),
        "[[[1;2];[1;2;+]];[[1;9];[1;9;+]];[[3;4];[3;4;+]]]");
    assert_text(
        ranges(&world, "(b, a) in ((4, 3), (2, 1)) and c = 'x'"),
        "[[[1;2;\"x\"];[1;2;\"x\";+]];[[3;4;\"x\"];[3;4;\"x\";+]]]");
    assert_text(ranges(&world, "not ((a, b) < (1, 2)) and a <= 1"), "[[[1;2];[1;+]]]");
}

Test(query_ranges, take_prefixes_of_strings)
{
    CLEANUP(world_release) struct world world = new_world();
    world_add(
        &world,
        "//s",
        "[{name=s;type=string;sort_order=ascending};{name=v;type=int64}]",
        "{s=a};{s=ab};{s=abc};{s=\"ab\\xff\"};{s=ac};{s=b}");
    assert_text(
        world_get(&world, "s from [//s] where is_prefix('ab', s) and s != 'x'"), "ab abc ab\xff");
    cr_assert(eq(u64, world.tables[1].rows_read, 3));
    assert_text(world_get(&world, "s from [//s] where is_prefix('\\xff', s)"), "");
    assert_text(world_get(&world, "s from [//s] where is_prefix('', s) limit 1"), "a");
}

Test(query_ranges, are_many_for_a_long_list)
{
    CLEANUP(world_release) struct world world = new_world();
    CLEANUP(buffer_releasep) struct buffer text = {0};
    buffer_append_text(&text, "* from [//t] where (a, b) in ((-1, 1)");
    for (int i = 0; i < 30000; i++) buffer_print(&text, ",(%d,%d)", (i * 7919) % 30000, i % 3);
    buffer_append_text(&text, ") and c = 'x'");
    buffer_append_byte(&text, 0);
    size_t count;
    query_plan_ranges(world_plan(&world, text.data), &count);
    cr_assert(eq(sz, count, 30001));
}

// ---- Whatever the predicate: reading by ranges gives what reading everything gives.

static const char *const string_literals[] = {
    "''", "'a'", "'ab'", "'a\\0'", "'b'", "'\\xff'", "null"};

static void print_literal(struct rng *rng, char column, struct buffer *text)
{
    switch (column) {
    case 'a':
    case 'v':
        if (rng_chance(rng, 5)) {
            buffer_append_text(text, "null");
        } else {
            buffer_print(text, "%d", (int)rng_below(rng, 4));
        }
        break;
    case 'b':
        buffer_print(text, "%d.%d", (int)rng_below(rng, 2), (int)rng_below(rng, 2) * 5);
        break;
    default: {
        size_t count = sizeof string_literals / sizeof string_literals[0];
        buffer_append_text(text, string_literals[rng_below(rng, count)]);
    }
    }
}

static void print_tuple(struct rng *rng, const char *columns, size_t count, struct buffer *text)
{
    buffer_append_byte(text, '(');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) buffer_append_text(text, ", ");
        print_literal(rng, columns[i], text);
    }
    buffer_append_byte(text, ')');
}

static void print_tuple_predicate(struct rng *rng, struct buffer *text)
{
    static const char *const orders[] = {"abc", "ab", "bc", "cab", "av", "ba", "cb", "acb"};
    static const char *const operators[] = {"=", "!=", "<", "<=", ">", ">="};
    const char *columns = orders[rng_below(rng, 8)];
    size_t count = strlen(columns);
    buffer_append_byte(text, '(');
    for (size_t i = 0; i < count; i++) buffer_print(text, "%s%c", i > 0 ? ", " : "", columns[i]);
    buffer_append_text(text, ") ");
    switch (rng_below(rng, 3)) {
    case 0:
        buffer_print(text, "%s ", operators[rng_below(rng, 6)]);
        print_tuple(rng, columns, count, text);
        break;
    case 1:
        buffer_print(text, "%sbetween ", rng_chance(rng, 20) ? "not " : "");
        print_tuple(rng, columns, 1 + rng_below(rng, count), text);
        buffer_append_text(text, " and ");
        print_tuple(rng, columns, 1 + rng_below(rng, count), text);
        break;
    default:
        buffer_print(text, "%sin (", rng_chance(rng, 20) ? "not " : "");
        for (uint64_t i = 0, n = 1 + rng_below(rng, 4); i < n; i++) {
            if (i > 0) buffer_append_text(text, ", ");
            print_tuple(rng, columns, count, text);
        }
        buffer_append_byte(text, ')');
    }
}

static void print_predicate(struct rng *rng, int depth, struct buffer *text)
{
    static const char *const operators[] = {"=", "!=", "<", "<=", ">", ">=", "="};
    uint64_t kind = rng_below(rng, depth > 0 ? 12 : 6);
    char column = "aabbcv"[rng_below(rng, 6)];
    buffer_append_byte(text, '(');
    switch (kind) {
    case 0:
    case 1:
        buffer_print(text, "%c %s ", column, operators[rng_below(rng, 7)]);
        print_literal(rng, column, text);
        break;
    case 2: print_tuple_predicate(rng, text); break;
    case 3:
        buffer_print(text, "%c %sin ", column, rng_chance(rng, 30) ? "not " : "");
        buffer_append_byte(text, '(');
        for (uint64_t i = 0, n = 1 + rng_below(rng, 4); i < n; i++) {
            if (i > 0) buffer_append_text(text, ", ");
            print_literal(rng, column, text);
        }
        buffer_append_byte(text, ')');
        break;
    case 4: buffer_print(text, "%c is %snull", column, rng_chance(rng, 50) ? "not " : ""); break;
    case 5:
        if (rng_chance(rng, 50)) {
            buffer_append_text(text, "is_prefix('a', c)");
        } else {
            buffer_append_text(text, rng_chance(rng, 50) ? "a + v = 3" : "null");
        }
        break;
    case 6:
        buffer_append_text(text, "not ");
        print_predicate(rng, depth - 1, text);
        break;
    default:
        print_predicate(rng, depth - 1, text);
        buffer_append_text(text, rng_chance(rng, 60) ? " and " : " or ");
        print_predicate(rng, depth - 1, text);
    }
    buffer_append_byte(text, ')');
}

static void fill(struct world *world, struct rng *rng)
{
    static const struct slice strings[] = {
        {"", 0},
        {"a", 1},
        {"ab", 2},
        {"a\0", 2},
        {"a\0b", 3},
        {"b", 1},
        {"\xff", 1},
        {"a\xff", 2},
    };
    for (int i = 0; i < 60; i++) {
        struct value values[] = {
            value_int64(0, (int64_t)rng_below(rng, 4)),
            value_double(1, (double)rng_below(rng, 4) * 0.5),
            value_string(2, strings[rng_below(rng, 8)]),
            value_int64(3, (int64_t)rng_below(rng, 4)),
        };
        for (uint16_t k = 0; k < 4; k++) {
            if (rng_chance(rng, 10)) values[k] = value_null(k);
        }
        world_table_add(world, &world->tables[0], values);
    }
    world_table_sort(&world->tables[0]);
    // The other table has the same rows in the same order, but no key to read it by.
    struct world_table *sorted = &world->tables[0];
    for (int i = 0; i < 60; i++) world_table_add(world, &world->tables[1], sorted->rows[i]);
    world_table_sort(&world->tables[1]);
}

Test(query_ranges, never_leave_out_a_row)
{
    uint64_t saved_count = 0;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct rng rng = {.state = seed};
        CLEANUP(world_release) struct world world;
        world_init(&world);
        world_add(
            &world,
            "//t",
            "[{name=a;type=int64;sort_order=ascending};{name=b;type=double;sort_order=ascending};"
            "{name=c;type=string;sort_order=ascending};{name=v;type=int64}]",
            "");
        world_add(
            &world,
            "//u",
            "[{name=a;type=int64};{name=b;type=double};{name=c;type=string};{name=v;type=int64}]",
            "");
        fill(&world, &rng);
        CLEANUP(buffer_releasep) struct buffer predicate = {0};
        print_predicate(&rng, 3, &predicate);
        buffer_append_byte(&predicate, 0);
        const char *by_ranges =
            world_get(&world, arena_print(&world.arena, "* from [//t] where %s", predicate.data));
        saved_count += 60 - world.tables[0].rows_read;
        const char *by_scan =
            world_get(&world, arena_print(&world.arena, "* from [//u] where %s", predicate.data));
        bool is_same = strcmp(by_ranges, by_scan) == 0;
        cr_assert(is_same, "seed %" PRIu64 ": %s", seed, predicate.data);
    }
    cr_assert(saved_count > 3000 * 10, "ranges should be of some use: %" PRIu64, saved_count);
}
