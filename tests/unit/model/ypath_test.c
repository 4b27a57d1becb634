#include "model/ypath.h"

#include "tests/test.h"
#include "tests/unit/model/random_node.h"

#include <inttypes.h>

TestSuite(ypath, .fini = abort_on_leaks);

// What a path means, written out.
static void assert_parsed(const char *text, const char *expected)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    struct ypath path;
    assert_ok(ypath_parse(&arena, slice_from_text(text), &path));
    cr_assert(slice_equal_text(path.text, text));
    if (!guid_is_null(path.root)) buffer_print(&buffer, "#%s", GUID_TEXT(path.root));
    for (uint16_t i = 0; i < path.name_count; i++) {
        buffer_print(&buffer, "[%.*s]", SLICE(path.names[i]));
    }
    if (path.has_attribute) buffer_append_byte(&buffer, '@');
    for (uint16_t i = 0; i < path.attribute_count; i++) {
        buffer_print(&buffer, "[%.*s]", SLICE(path.attribute[i]));
    }
    buffer_append_byte(&buffer, 0);
    assert_text(buffer.data, expected);
}

static void assert_refused(const char *text, const char *message)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct ypath path;
    CLEANUP(error_freep) struct error *error = ypath_parse(&arena, slice_from_text(text), &path);
    cr_assert(error != NULL, "%s", text);
    assert_text(error_message(error), message);
}

Test(ypath, names_nodes_and_attributes)
{
    assert_parsed("/", "");
    assert_parsed("//tmp", "[tmp]");
    assert_parsed("//home/t-1.x/_y", "[home][t-1.x][_y]");
    assert_parsed("//t/@", "[t]@");
    assert_parsed("//t/@a/b/0/-1", "[t]@[a][b][0][-1]");
    assert_parsed("//@id", "@[id]");
    assert_parsed("#1-2-3-4", "#1-2-3-4");
    assert_parsed(
        "#730e-68d3e-3ff01a9-325bbdcd/@tablets/0", "#730e-68d3e-3ff01a9-325bbdcd@[tablets][0]");
    assert_parsed("#1-2-3-4/a/@b", "#1-2-3-4[a]@[b]");
}

Test(ypath, unescapes_names)
{
    assert_parsed("//a\\/b\\@\\&\\*\\[\\{\\\\/\\x41\\x7a", "[a/b@&*[{\\][Az]");
}

Test(ypath, skips_the_mark_of_links)
{
    assert_parsed("//tmp/a&", "[tmp][a]");
    assert_parsed("//tmp/a&/@type", "[tmp][a]@[type]");
    assert_parsed("#1-2-3-4&/@type", "#1-2-3-4@[type]");
}

Test(ypath, has_attributes_of_its_own)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct ypath path;
    assert_ok(ypath_parse(&arena, SLICE_OF("<append=%true;x=\">\";y=<z=1>2>//t"), &path));
    cr_assert(node_find_text(path.attributes, "append")->boolean);
    cr_assert(slice_equal_text(node_find_text(path.attributes, "x")->string, ">"));
    cr_assert(slice_equal_text(path.names[0], "t"));
    assert_ok(ypath_parse(&arena, SLICE_OF("//t"), &path));
    cr_assert(path.attributes == NULL);
}

Test(ypath, is_refused_with_a_reason)
{
    assert_refused("", "Error parsing path \"\": it begins neither with \"/\" nor with \"#\"");
    assert_refused(
        "tmp", "Error parsing path \"tmp\": it begins neither with \"/\" nor with \"#\"");
    assert_refused("/tmp", "Error parsing path \"/tmp\": \"/\" is expected");
    assert_refused(
        "//tmp/",
        "Error parsing path \"//tmp/\": a name is missing at the end; a path does not end with "
        "\"/\"");
    assert_refused("//a//b", "Error parsing path \"//a//b\": a name is missing");
    assert_refused("//a/*", "Error parsing path \"//a/*\": a name is missing");
    assert_refused("//a/@b/@c", "Error parsing path \"//a/@b/@c\": a name is missing");
    assert_refused("//a@b", "Error parsing path \"//a@b\": \"/\" is expected");
    assert_refused(
        "//a{b}", "Error parsing path \"//a{b}\": row and column selectors are not supported");
    assert_refused(
        "//a[#1]", "Error parsing path \"//a[#1]\": row and column selectors are not supported");
    assert_refused("//a\\b", "Error parsing path \"//a\\b\": malformed escape sequence");
    assert_refused("//a\\x4", "Error parsing path \"//a\\x4\": malformed escape sequence");
    assert_refused("//a\\", "Error parsing path \"//a\\\": malformed escape sequence");
    assert_refused("#1-2-3", "Error parsing path \"#1-2-3\": malformed object id");
    assert_refused("<a=1//t", "Error parsing path \"<a=1//t\": malformed attributes");
}

Test(ypath, has_limits)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    struct ypath path;
    buffer_append_byte(&buffer, '/');
    for (int i = 0; i < YPATH_DEPTH_MAX; i++) buffer_append_text(&buffer, "/a");
    assert_ok(ypath_parse(&arena, buffer_slice(&buffer), &path));
    buffer_append_text(&buffer, "/a");
    CLEANUP(error_freep) struct error *deep = ypath_parse(&arena, buffer_slice(&buffer), &path);
    while (buffer.size <= YPATH_SIZE_MAX) buffer_append_byte(&buffer, 'a');
    CLEANUP(error_freep) struct error *big = ypath_parse(&arena, buffer_slice(&buffer), &path);
    cr_assert(deep != NULL);
    cr_assert(big != NULL);
}

Test(ypath, reads_back_the_names_it_prints)
{
    for (uint64_t seed = 0; seed < 5000; seed++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        CLEANUP(buffer_releasep) struct buffer buffer = {0};
        struct rng rng = {.state = seed};
        struct ypath path;
        struct slice name = random_string(&arena, &rng, false);
        if (name.size == 0) continue;
        buffer_append_byte(&buffer, '/');
        ypath_print_name(name, &buffer);
        assert_ok(ypath_parse(&arena, buffer_slice(&buffer), &path));
        cr_assert(eq(u16, path.name_count, 1), "seed %" PRIu64, seed);
        cr_assert(slice_equal(path.names[0], name), "seed %" PRIu64, seed);
    }
}

Test(ypath, survives_whatever_it_is_given)
{
    static const char BYTES[] = "//@#&<>=a1-\\x[{;\"";
    for (uint64_t seed = 0; seed < 20000; seed++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        struct rng rng = {.state = seed};
        char text[16];
        size_t size = (size_t)rng_below(&rng, sizeof text + 1);
        for (size_t i = 0; i < size; i++) text[i] = BYTES[rng_below(&rng, sizeof BYTES)];
        struct ypath path;
        error_free(ypath_parse(&arena, slice_from(text, size), &path));
    }
}
