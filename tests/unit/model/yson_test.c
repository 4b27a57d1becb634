#include "model/yson.h"

#include "tests/test.h"
#include "tests/unit/model/random_node.h"

#include <inttypes.h>
#include <math.h>

TestSuite(yson, .fini = abort_on_leaks);

static const enum yson_format FORMATS[] = {YSON_TEXT, YSON_PRETTY, YSON_BINARY};

static struct node *parse(struct arena *arena, const char *text)
{
    struct node *node = NULL;
    assert_ok(yson_parse(arena, slice_from_text(text), &node));
    return node;
}

// Reads a text and writes it again.
static void assert_printed(const char *text, enum yson_format format, const char *expected)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    yson_print(parse(&arena, text), format, &buffer);
    buffer_append_byte(&buffer, 0);
    assert_text(buffer.data, expected);
}

static void assert_refused(const char *text, const char *message)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *node = NULL;
    CLEANUP(error_freep) struct error *error = yson_parse(&arena, slice_from_text(text), &node);
    cr_assert(error != NULL, "%s", text);
    assert_text(error_message(error), message);
}

Test(yson, writes_a_separator_after_every_item_of_text)
{
    assert_printed("{a=1;b=[1;2;3u]}", YSON_TEXT, "{\"a\"=1;\"b\"=[1;2;3u;];}");
    assert_printed("<a=1;b=<c=2>3>{}", YSON_TEXT, "<\"a\"=1;\"b\"=<\"c\"=2;>3;>{}");
    assert_printed(" <>  [ ] ", YSON_TEXT, "[]");
}

Test(yson, writes_pretty_as_yt_get_shows_it)
{
    assert_printed(
        "[{flushed_row_count=5;current_replication_timestamp=1610012496066773010u}]",
        YSON_PRETTY,
        "[\n"
        "    {\n"
        "        \"flushed_row_count\" = 5;\n"
        "        \"current_replication_timestamp\" = 1610012496066773010u;\n"
        "    };\n"
        "]");
    assert_printed(
        "<a=1>{b=[];c={}}",
        YSON_PRETTY,
        "<\n    \"a\" = 1;\n> {\n    \"b\" = [];\n    \"c\" = {};\n}");
}

Test(yson, writes_doubles_so_that_they_stay_doubles)
{
    assert_printed(
        "[1.;-0.;0.1;1e20;1e21;1.5e-10;1e-11;5e-324;1.7976931348623157e308]",
        YSON_TEXT,
        "[1.;-0.;0.1;100000000000000000000.;1e+21;0.00000000015;1e-11;5e-324;"
        "1.7976931348623157e+308;]");
    assert_printed("[%nan;%inf;%-inf;%+inf]", YSON_TEXT, "[%nan;%inf;%-inf;%inf;]");
}

Test(yson, writes_strings_with_the_escapes_of_ytsaurus)
{
    assert_printed("\"\\\"\\\\\\n\\r\\t\"", YSON_TEXT, "\"\\\"\\\\\\n\\r\\t\"");
    // A byte before a hexadecimal digit is octal, and \0 before an octal one hexadecimal.
    assert_printed("\"\\x01z\\x01a\\x018\\x012\"", YSON_TEXT, "\"\\1z\\1a\\18\\0012\"");
    assert_printed("\"\\xd1\\x8b\"", YSON_TEXT, "\"\\xD1\\x8B\"");
    assert_printed("\"\\xffa\\xffg\"", YSON_TEXT, "\"\\377a\\xFFg\"");
}

Test(yson, reads_escapes_of_c)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *node = parse(&arena, "\"\\0\\12\\377\\4000\\x4a\\u0430\\q\\'\"");
    struct slice expected = SLICE_OF("\0\n\377 00J\xd0\xb0q'");
    cr_assert(eq(sz, node->string.size, expected.size));
    cr_assert(slice_equal(node->string, expected));
}

Test(yson, reads_words_and_numbers)
{
    assert_printed(
        "[a;_b-c.d;+5;-9223372036854775808;18446744073709551615u;#;%true;%false]",
        YSON_TEXT,
        "[\"a\";\"_b-c.d\";5;-9223372036854775808;18446744073709551615u;#;%true;%false;]");
}

Test(yson, reads_and_writes_binary)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    yson_print(parse(&arena, "{k=1;v=100;w=-1;u=300u;t=%true;f=%false;e=#}"), YSON_BINARY, &buffer);
    struct slice expected = SLICE_OF(
        "{\1\2k=\2\2;\1\2v=\2\xc8\1;\1\2w=\2\1;\1\2u=\6\xac\2;\1\2t=\5;\1\2f=\4;\1\2e=#;}");
    cr_assert(slice_equal(buffer_slice(&buffer), expected));
}

Test(yson, mixes_text_and_binary)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *node = NULL;
    assert_ok(yson_parse(&arena, SLICE_OF("{\1\2k=1;v=\2\2;}"), &node));
    cr_assert(node_equal(node, parse(&arena, "{k=1;v=1}")));
}

Test(yson, names_the_place_of_a_mistake)
{
    assert_refused(
        "", "Error parsing YSON: expected a value but found the end of the text at offset 0");
    assert_refused(
        "{a=1",
        "Error parsing YSON: expected \";\" or \"}\" but found the end of the text at offset 4");
    assert_refused(
        "[1 2]", "Error parsing YSON: expected \";\" or \"]\" but found \"2\" at offset 3");
    assert_refused("[1;;2]", "Error parsing YSON: expected a value but found \";\" at offset 3");
    assert_refused("{a=1;a=2}", "Error parsing YSON: duplicate key \"a\" at offset 8");
    assert_refused("{1=1}", "Error parsing YSON: expected a key but found \"1\" at offset 1");
    assert_refused(
        "730e-68d3e-1", "Error parsing YSON: expected the end but found \"d\" at offset 7");
    assert_refused(
        "9223372036854775808", "Error parsing YSON: malformed or too large number at offset 0");
    assert_refused("-1u", "Error parsing YSON: malformed or too large number at offset 0");
    assert_refused(
        "<a=1><b=2>#", "Error parsing YSON: expected a value but found \"<\" at offset 5");
    assert_refused("\"a\\\"", "Error parsing YSON: unterminated string at offset 0");
    assert_refused("%maybe", "Error parsing YSON: unknown literal at offset 0");
    assert_refused("\1\7abc", "Error parsing YSON: negative string length at offset 2");
    assert_refused(
        "\1\x7e"
        "abc",
        "Error parsing YSON: unterminated string at offset 2");
    assert_refused("\x7f", "Error parsing YSON: expected a value but found byte 0x7f at offset 0");
}

static struct error *parse_nested(uint32_t depth, char open)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    struct node *node = NULL;
    for (uint32_t i = 0; i < depth; i++) buffer_append_text(&buffer, open == '[' ? "[" : "<a=");
    buffer_append_byte(&buffer, '#');
    for (uint32_t i = 0; i < depth; i++) buffer_append_text(&buffer, open == '[' ? "]" : ">#");
    return yson_parse(&arena, buffer_slice(&buffer), &node);
}

Test(yson, is_nested_to_a_limit)
{
    assert_ok(parse_nested(YSON_DEPTH_MAX, '['));
    assert_ok(parse_nested(YSON_DEPTH_MAX, '<'));
    CLEANUP(error_freep) struct error *lists = parse_nested(YSON_DEPTH_MAX + 1, '[');
    CLEANUP(error_freep) struct error *attributes = parse_nested(1000000, '<');
    assert_text(error_message(lists), "Error parsing YSON: nesting is deeper than 64 at offset 64");
    cr_assert(attributes != NULL);
}

Test(yson, has_a_limit_of_nodes)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    struct node *node = NULL;
    buffer_append_byte(&buffer, '[');
    for (uint64_t i = 0; i < YSON_NODE_COUNT_MAX; i++) buffer_append_text(&buffer, "#;");
    buffer_append_byte(&buffer, ']');
    CLEANUP(error_freep) struct error *error = yson_parse(&arena, buffer_slice(&buffer), &node);
    cr_assert(error != NULL);
}

Test(yson, reads_big_maps_in_time)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    struct node *node = NULL;
    buffer_append_byte(&buffer, '{');
    for (int i = 0; i < 200000; i++) buffer_print(&buffer, "key%d=%d;", i, i);
    buffer_append_byte(&buffer, '}');
    assert_ok(yson_parse(&arena, buffer_slice(&buffer), &node));
    cr_assert(eq(i64, node_find_text(node, "key123456")->int64, 123456));
}

Test(yson, reads_a_list_fragment_item_by_item)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct slice text = SLICE_OF(" {k=1} ;\n{k=2};");
    for (int64_t i = 1; i <= 2; i++) {
        struct node *node = NULL;
        assert_ok(yson_parse_item(&arena, &text, &node));
        cr_assert(eq(i64, node_find_text(node, "k")->int64, i));
    }
    struct node *node = node_entity(&arena);
    assert_ok(yson_parse_item(&arena, &text, &node));
    cr_assert(node == NULL);

    text = SLICE_OF("{k=1}\n{k=2}");
    CLEANUP(error_freep) struct error *error = yson_parse_item(&arena, &text, &node);
    assert_text(
        error_message(error),
        "Error parsing YSON: expected \";\" or the end but found \"{\" at offset 6");
}

Test(yson, reads_back_what_it_writes)
{
    for (uint64_t seed = 0; seed < 2000; seed++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        struct rng rng = {.state = seed};
        struct node *node = random_node(&arena, &rng, 4, false);
        for (size_t i = 0; i < sizeof FORMATS / sizeof *FORMATS; i++) {
            CLEANUP(buffer_releasep) struct buffer buffer = {0};
            struct node *again = NULL;
            yson_print(node, FORMATS[i], &buffer);
            assert_ok(yson_parse(&arena, buffer_slice(&buffer), &again));
            cr_assert(node_equal(node, again), "seed %" PRIu64 " format %zu", seed, i);
        }
    }
}

Test(yson, survives_whatever_it_is_given)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        CLEANUP(buffer_releasep) struct buffer buffer = {0};
        struct rng rng = {.state = seed};
        struct node *node = random_node(&arena, &rng, 3, false);
        yson_print(node, FORMATS[rng_below(&rng, 3)], &buffer);
        for (size_t size = 0; size < buffer.size; size += 1 + buffer.size / 500) {
            // A copy of its own, for the sanitizer to see reads behind its end.
            char *prefix = must_alloc(malloc(MAX(size, (size_t)1)));
            memcpy(prefix, buffer.data, size);
            if (size > 0 && rng_chance(&rng, 30)) {
                prefix[rng_below(&rng, size)] = (char)rng_next(&rng);
            }
            struct error *error = yson_parse(&arena, slice_from(prefix, size), &node);
            error_free(error);
            free(prefix);
        }
    }
}
