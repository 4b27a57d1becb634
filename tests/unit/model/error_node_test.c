#include "model/error_node.h"

#include "model/yson.h"
#include "tests/test.h"

TestSuite(error_node, .fini = abort_on_leaks);

static struct error *parse(const char *text)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *node = NULL;
    assert_ok(yson_parse(&arena, slice_from_text(text), &node));
    return error_from_node(node);
}

static void assert_printed(const struct error *error, const char *expected)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    yson_print(error_to_node(&arena, error), YSON_TEXT, &buffer);
    buffer_append_byte(&buffer, 0);
    assert_text(buffer.data, expected);
}

Test(error_node, writes_errors_as_ytsaurus_does)
{
    CLEANUP(error_freep)
    struct error *error = error_wrap(
        error_new(ERROR_TIMEOUT, "Replica did not answer"), ERROR_GENERIC, "Commit failed");
    error_set_str(error, "path", "//t");
    error_set_u64(error, "line", 5);
    error_set_str(error, "version", "05");
    error_set_u64(error, "timestamp", UINT64_MAX);
    assert_printed(
        error,
        "{\"code\"=1;\"message\"=\"Commit failed\";\"attributes\"={\"path\"=\"//t\";\"line\"=5;"
        "\"version\"=\"05\";\"timestamp\"=18446744073709551615u;};\"inner_errors\"=[{\"code\"=3;"
        "\"message\"=\"Replica did not answer\";\"attributes\"={};\"inner_errors\"=[];};];}");
    assert_printed(NULL, "{\"code\"=0;\"message\"=\"\";\"attributes\"={};\"inner_errors\"=[];}");
}

Test(error_node, reads_errors_whatever_is_missing)
{
    CLEANUP(error_freep)
    struct error *error = parse(
        "{code=1718;message=m;attributes={a=1;b=text;c=%true;d=[1]};inner_errors=[{code=3};{}]}");
    cr_assert(eq(int, error_code(error), ERROR_UPSTREAM_REPLICA_MISMATCH));
    assert_text(error_message(error), "m");
    assert_text(error_attribute(error, "a"), "1");
    assert_text(error_attribute(error, "b"), "text");
    assert_text(error_attribute(error, "c"), "%true");
    assert_text(error_attribute(error, "d"), "[1;]");
    cr_assert(error_find(error, ERROR_TIMEOUT) != NULL);
    cr_assert(eq(int, error_code(error_next(error_inner(error))), ERROR_GENERIC));
    cr_assert(parse("{code=0;message=\"\"}") == NULL);
    cr_assert(parse("{code=0u}") == NULL);
}

Test(error_node, keeps_codes_it_does_not_know)
{
    CLEANUP(error_freep) struct error *error = parse("{code=123456}");
    cr_assert(eq(int, error_code(error), 123456));
    CLEANUP(error_freep) struct error *big = parse("{code=1234567890123}");
    cr_assert(eq(int, error_code(big), ERROR_GENERIC));
}

Test(error_node, survives_what_is_no_error)
{
    CLEANUP(error_freep) struct error *list = parse("[]");
    assert_text(error_message(list), "Malformed error: expected a map, actual list");
    // Two keys that are one as C strings.
    CLEANUP(error_freep)
    struct error *odd = parse("{message=5;attributes={\"a\\0b\"=1;\"a\"=2};inner_errors={}}");
    assert_text(error_message(odd), "Unknown error");
    assert_text(error_attribute(odd, "a"), "1");
    CLEANUP(error_freep) struct error *cut = error_decode(SLICE_OF("{code=1"));
    assert_text(error_message(cut), "Malformed error");
}

Test(error_node, is_cut_off_where_it_is_too_deep)
{
    CLEANUP(error_freep) struct error *error = error_new(ERROR_GENERIC, "0");
    for (int i = 1; i < 40; i++) error = error_wrap(error, ERROR_GENERIC, "%d", i);
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    error_encode(error, &buffer);
    CLEANUP(error_freep) struct error *decoded = error_decode(buffer_slice(&buffer));
    int depth = 0;
    for (const struct error *at = decoded; at; at = error_inner(at)) depth++;
    cr_assert(eq(int, depth, ERROR_DEPTH_MAX));
}

Test(error_node, goes_over_the_wire_and_back)
{
    CLEANUP(error_freep)
    struct error *error = error_wrap(
        error_new(ERROR_SYNC_REPLICA_NOT_IN_SYNC, "Inner %s", "\xff"), ERROR_TIMEOUT, "Outer");
    error_add_inner(error, error_set_u64(error_new(ERROR_GENERIC, "Second"), "k", 7));
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    error_encode(error, &buffer);
    CLEANUP(error_freep) struct error *decoded = error_decode(buffer_slice(&buffer));
    CLEANUP(arena_releasep) struct arena arena = {0};
    cr_assert(node_equal(error_to_node(&arena, error), error_to_node(&arena, decoded)));
    buffer_clear(&buffer);
    error_encode(NULL, &buffer);
    cr_assert(error_decode(buffer_slice(&buffer)) == NULL);
}
