#include "model/dsv.h"

#include "tests/test.h"

TestSuite(dsv, .fini = abort_on_leaks);

static struct error *parse(struct arena *arena, const char *text, struct format *format)
{
    struct node *node = NULL;
    assert_ok(yson_parse(arena, slice_from_text(text), &node));
    return format_parse(node, format);
}

static struct error *write_rows(const char *format_text, struct buffer *text)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(arena_releasep) struct arena scratch = {0};
    struct format format;
    assert_ok(parse(&arena, format_text, &format));
    struct slice names[] = {SLICE_OF("k"), SLICE_OF("a=b"), SLICE_OF("c"), SLICE_OF("d")};
    struct value full[] = {
        value_int64(0, -1),
        value_string(1, SLICE_OF("x\ty=\n\\\0z")),
        value_double(2, 0.5),
        value_boolean(3, true)};
    struct value sparse[] = {value_uint64(0, UINT64_MAX), value_null(1)};
    struct row rows[] = {
        {.kind = ROW_WRITE, .value_count = 4, .values = full},
        {.kind = ROW_MISSING},
        {.kind = ROW_WRITE, .value_count = 2, .values = sparse},
    };
    struct rowset rowset = {.names = names, .name_count = 4, .rows = rows, .row_count = 3};
    TRY(format_write_rows(&scratch, &format, &rowset, text));
    buffer_append_byte(text, 0);
    return NULL;
}

Test(dsv, writes_fields_with_their_names)
{
    CLEANUP(buffer_releasep) struct buffer text = {0};
    assert_ok(write_rows("dsv", &text));
    assert_text(
        text.data, "k=-1\ta\\=b=x\\ty=\\n\\\\\\0z\tc=0.5\td=true\nk=18446744073709551615\n");
}

Test(dsv, writes_fields_in_the_order_of_columns)
{
    CLEANUP(buffer_releasep) struct buffer text = {0};
    assert_ok(write_rows(
        "<columns=[d;k];missing_value_mode=print_sentinel;missing_value_sentinel=\"\\\\N\">"
        "schemaful_dsv",
        &text));
    assert_text(text.data, "true\t-1\n\\\\N\t18446744073709551615\n");
    CLEANUP(error_freep) struct error *error = write_rows("<columns=[d]>schemaful_dsv", &text);
    assert_text(error_message(error), "Column \"d\" has no value");
}

Test(dsv, is_refused_with_what_it_has_not)
{
    static const char *const TEXTS[][2] = {
        {"schemaful_dsv", "Format \"schemaful_dsv\" needs the attribute \"columns\", a list"},
        {"<columns=[1]>schemaful_dsv", "Format attribute \"columns\" must hold strings"},
        {"<field_separator=\" \">dsv", "Format attribute \"field_separator\" is not supported"},
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        struct format format;
        CLEANUP(error_freep) struct error *error = parse(&arena, TEXTS[i][0], &format);
        cr_assert(error != NULL);
        assert_text(error_message(error), TEXTS[i][1]);
    }
    struct format dsv = {.kind = FORMAT_DSV};
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer text = {0};
    CLEANUP(error_freep) struct error *error = format_write_node(&dsv, node_map(&arena), &text);
    assert_text(error_message(error), "Format \"dsv\" is for rows: take \"yson\" or \"json\"");
}
