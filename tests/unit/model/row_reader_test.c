#include "model/row_reader.h"

#include "tests/test.h"

TestSuite(row_reader, .fini = abort_on_leaks);

static struct format parse(struct arena *arena, const char *text)
{
    struct node *node = NULL;
    struct format format;
    assert_ok(yson_parse(arena, slice_from_text(text), &node));
    assert_ok(format_parse(node, &format));
    return format;
}

// Feeds the input in pieces of a size, and writes what was read as text YSON.
static struct error *read_in_pieces(
    const struct format *format, struct slice input, size_t piece_size, struct buffer *text)
{
    CLEANUP(buffer_releasep) struct buffer rows = {0};
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(arena_releasep) struct arena scratch = {0};
    struct row_reader *reader = row_reader_new(format, 1 << 20);
    struct error *error = NULL;
    for (size_t i = 0; i < input.size && !error; i += piece_size) {
        size_t size = MIN(piece_size, input.size - i);
        error = row_reader_feed(reader, slice_from(input.data + i, size));
    }
    if (!error) error = row_reader_finish(reader, &rows);
    row_reader_free(reader);
    if (error) return error;
    struct rowset rowset;
    assert_ok(rowset_decode(&arena, buffer_slice(&rows), &rowset));
    struct format yson = {.kind = FORMAT_YSON, .yson = YSON_TEXT};
    assert_ok(format_write_rows(&scratch, &yson, &rowset, text));
    buffer_append_byte(text, 0);
    return NULL;
}

static void assert_read(const char *format_text, struct slice input, const char *expected)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct format format = parse(&arena, format_text);
    for (size_t piece_size = 1; piece_size <= input.size + 1; piece_size++) {
        CLEANUP(buffer_releasep) struct buffer text = {0};
        assert_ok(read_in_pieces(&format, input, piece_size, &text));
        assert_text(text.data, expected);
    }
}

static void assert_refused(const char *format_text, struct slice input, const char *expected)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct format format = parse(&arena, format_text);
    for (size_t piece_size = 1; piece_size <= input.size + 1; piece_size++) {
        CLEANUP(buffer_releasep) struct buffer text = {0};
        CLEANUP(error_freep)
        struct error *error = read_in_pieces(&format, input, piece_size, &text);
        cr_assert(error != NULL, "in pieces of %zu", piece_size);
        assert_text(error_message(error), expected);
    }
}

Test(row_reader, does_not_care_how_the_input_is_cut)
{
    assert_read("yson", SLICE_OF(""), "");
    assert_read("yson", SLICE_OF(" \n "), "");
    assert_read(
        "yson",
        SLICE_OF(" {k=1;v=\"a;}\\n\"};\n{\x01\x02k=\x02\x04;w=<a=1>[2;{}]}; {k=#}\n"),
        "{\"k\"=1;\"v\"=\"a;}\\n\";};\n{\"k\"=2;\"w\"=<\"a\"=1;>[2;{};];};\n{\"k\"=#;};\n");
    assert_read(
        "json",
        SLICE_OF(
            "{\"k\":1,\"v\":\"}{\"}\n{\"k\":-2}{\"k\":{\"$value\":1,\"$attributes\":{\"a\":[]}}}"),
        "{\"k\"=1;\"v\"=\"}{\";};\n{\"k\"=-2;};\n{\"k\"=<\"a\"=[];>1;};\n");
    assert_read(
        "dsv",
        SLICE_OF("k=1\tv=a\\tb\\\\\n\nk\\=\\n=\tv=x=y"),
        "{\"k\"=\"1\";\"v\"=\"a\\tb\\\\\";};\n{};\n{\"k=\\n\"=\"\";\"v\"=\"x=y\";};\n");
    assert_read(
        "<columns=[b;a];missing_value_mode=print_sentinel;missing_value_sentinel=nil>schemaful_dsv",
        SLICE_OF("1\t2\nnil\t\n"),
        "{\"b\"=\"1\";\"a\"=\"2\";};\n{\"b\"=#;\"a\"=\"\";};\n");
}

Test(row_reader, refuses_the_same_however_the_input_is_cut)
{
    assert_refused("yson", SLICE_OF("{k=1};{k=2} {k=3}"), "Error parsing row 1");
    assert_refused("yson", SLICE_OF("{k=1};{k=2"), "Error parsing row 1");
    assert_refused("yson", SLICE_OF("{k=1};5;"), "Error parsing row 1");
    assert_refused("json", SLICE_OF("{\"k\":1}\n{\"k\":}\n"), "Error parsing row 1");
    assert_refused("dsv", SLICE_OF("k=1\nk\n"), "Error parsing row 1");
    assert_refused("dsv", SLICE_OF("k=1\tk=2\n"), "Error parsing row 0");
    assert_refused("<columns=[a;b]>schemaful_dsv", SLICE_OF("1\t2\n1\n"), "Error parsing row 1");
    assert_refused("<columns=[a;b]>schemaful_dsv", SLICE_OF("1\t2\t3\n"), "Error parsing row 0");
}

Test(row_reader, is_bounded)
{
    struct format format = {.kind = FORMAT_YSON, .yson = YSON_TEXT};
    struct row_reader *reader = row_reader_new(&format, 1000);
    struct error *error = NULL;
    for (int i = 0; i < 1000 && !error; i++) {
        error = row_reader_feed(reader, SLICE_OF("{k=1;v=abcdefghijklmnopqrstuvwxyz};"));
        cr_assert(le(sz, row_reader_size(reader), 1 << 20));
    }
    cr_assert(error_find(error, ERROR_TOO_MANY_ROWS_IN_TRANSACTION) != NULL);
    error_free(error);
    row_reader_free(reader);
}
