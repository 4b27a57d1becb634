#include "model/json.h"

#include "model/yson.h"
#include "tests/test.h"
#include "tests/unit/model/random_node.h"

#include <inttypes.h>

TestSuite(json, .fini = abort_on_leaks);

static struct node *from_yson(struct arena *arena, const char *text)
{
    struct node *node = NULL;
    assert_ok(yson_parse(arena, slice_from_text(text), &node));
    return node;
}

static void assert_written(const char *yson, struct json_options options, const char *expected)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    assert_ok(json_print(from_yson(&arena, yson), &options, &buffer));
    buffer_append_byte(&buffer, 0);
    assert_text(buffer.data, expected);
}

static void assert_read(const char *json, struct json_options options, const char *expected)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    struct node *node = NULL;
    assert_ok(json_parse(&arena, slice_from_text(json), &options, &node));
    yson_print(node, YSON_TEXT, &buffer);
    buffer_append_byte(&buffer, 0);
    assert_text(buffer.data, expected);
}

static void assert_refused(const char *json, const char *message)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *node = NULL;
    CLEANUP(error_freep)
    struct error *error = json_parse(&arena, slice_from_text(json), &JSON_OPTIONS_DEFAULT, &node);
    cr_assert(error != NULL, "%s", json);
    assert_text(error_message(error), message);
}

static const struct json_options UTF8 = {.encode_utf8 = false};

Test(json, is_written_without_spaces)
{
    assert_written(
        "{k=1;u=18446744073709551615u;d=1.;e=1e100;b=%true;n=#;l=[1;[];{}]}",
        JSON_OPTIONS_DEFAULT,
        "{\"k\":1,\"u\":18446744073709551615,\"d\":1.0,\"e\":1e+100,\"b\":true,\"n\":null,"
        "\"l\":[1,[],{}]}");
}

Test(json, is_written_pretty)
{
    struct json_options options = {.encode_utf8 = true, .is_pretty = true};
    assert_written(
        "{a=[1;2];b={};c=<d=1>#}",
        options,
        "{\n"
        "    \"a\": [\n"
        "        1,\n"
        "        2\n"
        "    ],\n"
        "    \"b\": {},\n"
        "    \"c\": {\n"
        "        \"$attributes\": {\n"
        "            \"d\": 1\n"
        "        },\n"
        "        \"$value\": null\n"
        "    }\n"
        "}");
}

Test(json, has_attributes_and_escaped_keys)
{
    assert_written(
        "<a=1>[<b=2>x]",
        JSON_OPTIONS_DEFAULT,
        "{\"$attributes\":{\"a\":1},\"$value\":[{\"$attributes\":{\"b\":2},\"$value\":\"x\"}]}");
    assert_written("{\"$a\"=1}", JSON_OPTIONS_DEFAULT, "{\"$$a\":1}");
    assert_read(
        "{\"$value\":[1],\"$attributes\":{\"a\":2}}", JSON_OPTIONS_DEFAULT, "<\"a\"=2;>[1;]");
    assert_read(
        "{\"$$a\":1,\"$tablet_index\":2}", JSON_OPTIONS_DEFAULT, "{\"$a\"=1;\"$tablet_index\"=2;}");
    struct json_options never = {.attributes_mode = JSON_ATTRIBUTES_NEVER};
    assert_written("<a=1>[2]", never, "[2]");
    struct json_options always = {.attributes_mode = JSON_ATTRIBUTES_ALWAYS};
    assert_written("2", always, "{\"$attributes\":{},\"$value\":2}");
    struct json_options plain = {.is_plain = true};
    assert_written("<a=1>{\"$b\"=2}", plain, "{\"$b\":2}");
    assert_read("{\"$value\":1}", plain, "{\"$value\"=1;}");
}

Test(json, encodes_bytes_as_code_points)
{
    assert_written("\"\\xd1\\x8b\"", JSON_OPTIONS_DEFAULT, "\"\xc3\x91\xc2\x8b\"");
    assert_read("\"\xc3\x91\xc2\x8b\"", JSON_OPTIONS_DEFAULT, "\"\\xD1\\x8B\"");
    assert_read("\"\\u00d1\\u008B\"", JSON_OPTIONS_DEFAULT, "\"\\xD1\\x8B\"");
    assert_refused(
        "\"\\u0431\"",
        "Error parsing JSON: Unicode symbols with codes greater than 255 are not supported unless "
        "\"encode_utf8\" is false at offset 7");
}

Test(json, takes_utf8_as_it_is)
{
    assert_written("\"\\xd1\\x8b\"", UTF8, "\"\xd1\x8b\"");
    assert_read(
        "\"\xd1\x8b\\u0431\\ud83d\\ude00\"", UTF8, "\"\\xD1\\x8B\\xD0\\xB1\\xF0\\x9F\\x98\\x80\"");
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    CLEANUP(error_freep)
    struct error *error = json_print(from_yson(&arena, "\"\\xd1\""), &UTF8, &buffer);
    cr_assert(error != NULL);
}

Test(json, escapes_what_must_be)
{
    assert_written(
        "\"\\\"\\\\/\\b\\f\\n\\r\\t\\x01\\x1f\\x7f\"",
        JSON_OPTIONS_DEFAULT,
        "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001F\x7f\"");
    assert_read(
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\"",
        JSON_OPTIONS_DEFAULT,
        "\"\\\"\\\\/\\x08\\x0C\\n\\r\\t\\0\"");
}

Test(json, has_types_for_javascript)
{
    struct json_options options = {
        .encode_utf8 = true,
        .stringify = true,
        .annotate_with_types = true,
        .string_length_limit = 3,
    };
    assert_written(
        "{i=-1;u=18446744073709551615u;d=0.5;b=%true;n=#;s=abcd}",
        options,
        "{\"i\":{\"$type\":\"int64\",\"$value\":\"-1\"},"
        "\"u\":{\"$type\":\"uint64\",\"$value\":\"18446744073709551615\"},"
        "\"d\":{\"$type\":\"double\",\"$value\":\"0.5\"},"
        "\"b\":{\"$type\":\"boolean\",\"$value\":\"true\"},\"n\":null,"
        "\"s\":{\"$incomplete\":true,\"$type\":\"string\",\"$value\":\"abc\"}}");
    assert_read(
        "[{\"$type\":\"int64\",\"$value\":\"-1\"},{\"$type\":\"uint64\",\"$value\":\"5\"},"
        "{\"$type\":\"uint64\",\"$value\":5},{\"$type\":\"double\",\"$value\":5},"
        "{\"$type\":\"double\",\"$value\":\"-inf\"},{\"$type\":\"boolean\",\"$value\":\"true\"},"
        "{\"$type\":\"string\",\"$value\":\"5\"}]",
        JSON_OPTIONS_DEFAULT,
        "[-1;5u;5u;5.;%-inf;%true;\"5\";]");
}

Test(json, writes_nan_only_as_a_string)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    CLEANUP(error_freep)
    struct error *error = json_print(from_yson(&arena, "[%nan;%inf]"), &UTF8, &buffer);
    cr_assert(error != NULL);
    struct json_options options = {.stringify_nan_and_infinity = true};
    assert_written("[%nan;%inf;%-inf]", options, "[\"nan\",\"inf\",\"-inf\"]");
}

Test(json, keeps_integers_exact)
{
    assert_read(
        "[9223372036854775807,-9223372036854775808,9223372036854775808,18446744073709551615,"
        "18446744073709551616,1.5,1e2,-0]",
        JSON_OPTIONS_DEFAULT,
        "[9223372036854775807;-9223372036854775808;9223372036854775808u;18446744073709551615u;"
        "18446744073709552000.;1.5;100.;0;]");
}

Test(json, names_the_place_of_a_mistake)
{
    assert_refused(
        "", "Error parsing JSON: expected a value but found the end of the text at offset 0");
    assert_refused("[1,]", "Error parsing JSON: expected a value but found \"]\" at offset 3");
    assert_refused(
        "[1 2]", "Error parsing JSON: expected \",\" or \"]\" but found \"2\" at offset 3");
    assert_refused("{\"a\" 1}", "Error parsing JSON: expected \":\" but found \"1\" at offset 5");
    assert_refused("{a:1}", "Error parsing JSON: expected a key but found \"a\" at offset 1");
    assert_refused("{\"a\":1,\"a\":2}", "Error parsing JSON: duplicate key \"a\" at offset 12");
    assert_refused("1 2", "Error parsing JSON: expected the end but found \"2\" at offset 2");
    assert_refused("01", "Error parsing JSON: malformed number at offset 0");
    assert_refused("1.", "Error parsing JSON: malformed number at offset 0");
    assert_refused("1e", "Error parsing JSON: malformed number at offset 0");
    assert_refused("-", "Error parsing JSON: malformed number at offset 0");
    assert_refused("1e999", "Error parsing JSON: too large number at offset 0");
    assert_refused("nul", "Error parsing JSON: expected a value but found \"n\" at offset 0");
    assert_refused("\"a\n\"", "Error parsing JSON: control character in a string at offset 2");
    assert_refused("\"\\q\"", "Error parsing JSON: unknown escape at offset 3");
    assert_refused("\"\\ud800\"", "Error parsing JSON: unpaired surrogate at offset 7");
    assert_refused("\"\\udc00\"", "Error parsing JSON: unpaired surrogate at offset 7");
    assert_refused("\"\\ud800\\u0041\"", "Error parsing JSON: unpaired surrogate at offset 13");
    assert_refused("\"\\u12\"", "Error parsing JSON: malformed \\u escape at offset 3");
    assert_refused("\"\xff\"", "Error parsing JSON: malformed UTF-8 at offset 1");
    assert_refused("\"abc", "Error parsing JSON: unterminated string at offset 1");
    assert_refused(
        "{\"$attributes\":{}}",
        "Error parsing JSON: found key \"$attributes\" without key \"$value\" at offset 18");
    assert_refused(
        "{\"$value\":1,\"$type\":\"x\"}", "Error parsing JSON: unexpected \"$type\" at offset 24");
    assert_refused(
        "{\"$value\":-1,\"$type\":\"uint64\"}",
        "Error parsing JSON: value does not fit \"$type\" uint64 at offset 30");
}

Test(json, is_nested_to_a_limit)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    struct node *node = NULL;
    for (int i = 0; i < 1000000; i++) buffer_append_byte(&buffer, '[');
    CLEANUP(error_freep)
    struct error *error = json_parse(&arena, buffer_slice(&buffer), &JSON_OPTIONS_DEFAULT, &node);
    assert_text(error_message(error), "Error parsing JSON: nesting is deeper than 64 at offset 64");
}

Test(json, is_read_value_by_value)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct slice text = SLICE_OF(" {\"k\":1}\n{\"k\":2}  ");
    for (int64_t i = 1; i <= 2; i++) {
        struct node *node = NULL;
        assert_ok(json_parse_item(&arena, &text, &JSON_OPTIONS_DEFAULT, &node));
        cr_assert(eq(i64, node_find_text(node, "k")->int64, i));
    }
    struct node *node = node_entity(&arena);
    assert_ok(json_parse_item(&arena, &text, &JSON_OPTIONS_DEFAULT, &node));
    cr_assert(node == NULL);
}

// JSON has one kind of integers; made unsigned where they would be read as signed ones, nodes
// match.
static void forget_signs(struct node *node)
{
    if (node->attributes) forget_signs(node->attributes);
    if (node->type == NODE_UINT64 && node->uint64 <= INT64_MAX) node->type = NODE_INT64;
    if (node->type != NODE_LIST && node->type != NODE_MAP) return;
    for (uint32_t i = 0; i < node->count; i++) forget_signs(node->entries[i].value);
}

Test(json, reads_back_what_it_writes)
{
    for (uint64_t seed = 0; seed < 2000; seed++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        CLEANUP(buffer_releasep) struct buffer buffer = {0};
        struct rng rng = {.state = seed};
        struct json_options options = {
            .encode_utf8 = rng_chance(&rng, 50),
            .is_pretty = rng_chance(&rng, 50),
            .annotate_with_types = rng_chance(&rng, 50),
            .stringify = true,
        };
        options.stringify = options.annotate_with_types && rng_chance(&rng, 50);
        struct node *node = random_node(&arena, &rng, 3, !options.encode_utf8);
        struct node *again = NULL;
        assert_ok(json_print(node, &options, &buffer));
        assert_ok(json_parse(&arena, buffer_slice(&buffer), &options, &again));
        if (!options.annotate_with_types) {
            forget_signs(node);
            forget_signs(again);
        }
        cr_assert(node_equal(node, again), "seed %" PRIu64, seed);
    }
}

Test(json, survives_whatever_it_is_given)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        CLEANUP(buffer_releasep) struct buffer buffer = {0};
        struct rng rng = {.state = seed};
        struct json_options options = {.encode_utf8 = rng_chance(&rng, 50)};
        struct node *node = random_node(&arena, &rng, 3, !options.encode_utf8);
        assert_ok(json_print(node, &options, &buffer));
        for (size_t size = 0; size < buffer.size; size += 1 + buffer.size / 500) {
            char *prefix = must_alloc(malloc(MAX(size, (size_t)1)));
            memcpy(prefix, buffer.data, size);
            if (size > 0 && rng_chance(&rng, 30)) {
                prefix[rng_below(&rng, size)] = (char)rng_next(&rng);
            }
            error_free(json_parse(&arena, slice_from(prefix, size), &options, &node));
            free(prefix);
        }
    }
}
