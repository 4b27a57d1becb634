#include "cluster/http_parameters.h"

#include "tests/test.h"

TestSuite(http_parameters, .fini = abort_on_leaks);

static void assert_parameters(const struct http_head *head, const char *body, const char *expected)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer text = {0};
    struct node *parameters = NULL;
    assert_ok(http_parameters_read(&arena, head, &parameters));
    assert_ok(http_parameters_add_body(&arena, parameters, slice_from_text(body)));
    yson_print(parameters, YSON_TEXT, &text);
    buffer_append_byte(&text, 0);
    assert_text(text.data, expected);
}

static void assert_refused(const struct http_head *head, const char *body, const char *message)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *parameters = NULL;
    struct error *error = http_parameters_read(&arena, head, &parameters);
    if (!error) error = http_parameters_add_body(&arena, parameters, slice_from_text(body));
    cr_assert(error != NULL);
    assert_text(error_message(error), message);
    error_free(error);
}

static struct http_head query_head(struct http_parameter *pairs, size_t count)
{
    return (struct http_head){.query = pairs, .query_count = count};
}

Test(http_parameters, are_read_from_the_query)
{
    struct http_parameter pairs[] = {
        {SLICE_OF("path"), SLICE_OF("//tmp/x/@id")},
        {SLICE_OF("max_size"), SLICE_OF("-5")},
        {SLICE_OF("output_format[$value]"), SLICE_OF("json")},
        {SLICE_OF("output_format[$attributes][encode_utf8]"), SLICE_OF("false")},
        {SLICE_OF("attributes[]"), SLICE_OF("a")},
        {SLICE_OF("attributes[1]"), SLICE_OF("b")},
        {SLICE_OF("a[b][c][0][d]"), SLICE_OF("")},
    };
    struct http_head head = query_head(pairs, 7);
    assert_parameters(
        &head,
        "",
        "{\"path\"=\"//tmp/x/@id\";\"max_size\"=-5;\"output_format\"=<\"encode_utf8\"=\"false\";>"
        "\"json\";\"attributes\"=[\"a\";\"b\";];\"a\"={\"b\"={\"c\"=[{\"d\"=\"\";};];};};}");
}

Test(http_parameters, refuse_keys_that_make_no_sense)
{
    static const char *const KEYS[] = {"", "[a]", "a[", "a]", "a[b", "a[b]c", "l[1]", "l[][3]"};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        struct http_parameter pair = {slice_from_text(KEYS[i]), SLICE_OF("1")};
        struct http_head head = query_head(&pair, 1);
        CLEANUP(arena_releasep) struct arena arena = {0};
        struct node *parameters = NULL;
        CLEANUP(error_freep)
        struct error *error = http_parameters_read(&arena, &head, &parameters);
        bool is_refused = error != NULL;
        cr_assert(eq(int, is_refused, strcmp(KEYS[i], "a]") != 0), "%s", KEYS[i]);
    }
    struct http_parameter both[] = {
        {SLICE_OF("a"), SLICE_OF("1")},
        {SLICE_OF("a[b]"), SLICE_OF("1")},
    };
    struct http_head head = query_head(both, 2);
    assert_refused(&head, "", "Malformed key \"a[b]\" in the query");
}

Test(http_parameters, are_merged_deeply_and_later_ones_win)
{
    struct http_parameter pairs[] = {
        {SLICE_OF("path"), SLICE_OF("//query")},
        {SLICE_OF("options[a]"), SLICE_OF("1")},
        {SLICE_OF("options[b]"), SLICE_OF("1")},
        {SLICE_OF("output_format"), SLICE_OF("yson")},
    };
    struct http_head head = query_head(pairs, 4);
    head.accept = SLICE_OF("application/json");
    head.content_type = SLICE_OF("application/x-yt-yson-text; charset=x");
    head.header_format = SLICE_OF("<format=text>yson");
    head.parameters = SLICE_OF("{options={b=2;c=2};list=[1]}");
    assert_parameters(
        &head,
        "{path=\"//body\";options={c=3};list=[2]}",
        "{\"input_format\"=<\"format\"=\"text\";>\"yson\";\"output_format\"=\"yson\";"
        "\"path\"=\"//body\";\"options\"={\"a\"=1;\"b\"=2;\"c\"=3;};\"list\"=[2;];}");
}

Test(http_parameters, come_as_each_client_sends_them)
{
    // JavaScript: base64 of JSON, cut anywhere.
    struct slice parts[] = {SLICE_OF("eyJwYXRoIjoiLy90bXAv"), SLICE_OF("PyJ9")};
    struct http_head javascript = {
        .header_format = SLICE_OF("<encode_utf8=%false>json"), .parts = parts, .part_count = 2};
    assert_parameters(&javascript, "", "{\"path\"=\"//tmp/?\";}");
    struct slice one[] = {SLICE_OF("eyJhIjoxfQ==")};
    struct http_head padded = {.parts = one, .part_count = 1};
    assert_parameters(&padded, "", "{\"a\"=1;}");
    // JavaScript without encoding: JSON by default; bytes are code points.
    struct http_head json = {.parameters = SLICE_OF("{\"a\":\"\\u00d1\"}")};
    assert_parameters(&json, "", "{\"a\"=\"\\xD1\";}");
    // Go.
    struct http_head go = {
        .header_format = SLICE_OF("<format=text>yson"),
        .parameters = SLICE_OF("{mode=sync;}"),
        .input_format = SLICE_OF("<string_keyed_dict_mode=named>yson"),
        .output_format = SLICE_OF("yson"),
    };
    assert_parameters(
        &go,
        "",
        "{\"input_format\"=<\"string_keyed_dict_mode\"=\"named\";>\"yson\";\"output_format\"="
        "\"yson\";\"mode\"=\"sync\";}");
    // A browser or curl.
    struct http_head plain = {.accept = SLICE_OF("*/*")};
    assert_parameters(&plain, "{\"path\":\"/\"}", "{\"path\"=\"/\";}");
}

Test(http_parameters, say_where_they_are_malformed)
{
    struct http_head head = {.parameters = SLICE_OF("{")};
    assert_refused(&head, "", "Cannot parse header X-YT-Parameters");
    head = (struct http_head){.parameters = SLICE_OF("[]")};
    assert_refused(
        &head, "", "Parameters in header X-YT-Parameters: expected \"map\", actual \"list\"");
    head = (struct http_head){.header_format = SLICE_OF("tsv")};
    assert_refused(&head, "", "Cannot parse header X-YT-Header-Format");
    head = (struct http_head){.output_format = SLICE_OF("{")};
    assert_refused(&head, "", "Cannot parse header X-YT-Output-Format");
    head = (struct http_head){0};
    assert_refused(&head, "{", "Cannot parse the parameters in the body");
    struct slice parts[] = {SLICE_OF("e!")};
    head = (struct http_head){.parts = parts, .part_count = 1};
    assert_refused(&head, "", "Parts of X-YT-Parameters are not base64");
}
