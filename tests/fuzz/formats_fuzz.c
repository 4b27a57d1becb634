// Formats of rows: reading does not depend on how the input is cut, and what was read can be
// written and reads the same again. The first byte chooses the format, the second the cut.
#include "model/row_reader.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const FORMATS[] = {
    "yson",
    "<format=text>yson",
    "json",
    "<encode_utf8=%false>json",
    "<plain=%true>json",
    "dsv",
    "<columns=[a;b];missing_value_mode=print_sentinel>schemaful_dsv",
};

enum { FORMAT_COUNT = sizeof FORMATS / sizeof *FORMATS };

static struct error *read_rows(
    const struct format *format, struct slice input, size_t piece_size, struct buffer *rows)
{
    struct row_reader *reader = row_reader_new(format, 1 << 20);
    struct error *error = NULL;
    for (size_t i = 0; i < input.size && !error; i += piece_size)
        error =
            row_reader_feed(reader, slice_from(input.data + i, MIN(piece_size, input.size - i)));
    if (!error) error = row_reader_finish(reader, rows);
    row_reader_free(reader);
    return error;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(arena_releasep) struct arena scratch = {0};
    struct node *node = NULL;
    struct format format;
    struct error *error =
        yson_parse(&arena, slice_from_text(FORMATS[data[0] % FORMAT_COUNT]), &node);
    if (!error) error = format_parse(node, &format);
    assert(!error);
    struct slice input = slice_from(data + 2, size - 2);
    CLEANUP(buffer_releasep) struct buffer whole = {0};
    CLEANUP(buffer_releasep) struct buffer cut = {0};
    CLEANUP(error_freep) struct error *whole_error = read_rows(&format, input, size, &whole);
    CLEANUP(error_freep)
    struct error *cut_error = read_rows(&format, input, (size_t)data[1] % 16 + 1, &cut);
    assert((whole_error != NULL) == (cut_error != NULL));
    if (whole_error) return 0;
    assert(slice_equal(buffer_slice(&whole), buffer_slice(&cut)));
    struct rowset rowset;
    error = rowset_decode(&arena, buffer_slice(&whole), &rowset);
    assert(!error);
    for (uint16_t i = 0; i < rowset.name_count; i++) {
        // No table has such columns. They are written as attributes, which rows do not take.
        if (slice_has_prefix(rowset.names[i], slice_from_text(ROWSET_ATTRIBUTE_PREFIX))) return 0;
    }
    for (int i = 0; i < FORMAT_COUNT; i++) {
        CLEANUP(buffer_releasep) struct buffer text = {0};
        error = yson_parse(&arena, slice_from_text(FORMATS[i]), &node);
        if (!error) error = format_parse(node, &format);
        assert(!error);
        error = format_write_rows(&scratch, &format, &rowset, &text);
        error_free(error); // Not every format can hold everything.
        if (error || i > 1) continue;
        CLEANUP(buffer_releasep) struct buffer again = {0};
        error = read_rows(&format, buffer_slice(&text), size, &again);
        assert(!error);
        assert(slice_equal(buffer_slice(&whole), buffer_slice(&again)));
    }
    return 0;
}
