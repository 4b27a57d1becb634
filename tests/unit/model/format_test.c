#include "model/format.h"

#include "tests/test.h"
#include "tests/unit/model/random_value.h"

#include <inttypes.h>

TestSuite(format, .fini = abort_on_leaks);

static struct format parse(const char *text)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *node = NULL;
    struct format format = {0};
    assert_ok(yson_parse(&arena, slice_from_text(text), &node));
    assert_ok(format_parse(node, &format));
    return format;
}

static void assert_refused(const char *text, const char *message)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *node = NULL;
    struct format format;
    assert_ok(yson_parse(&arena, slice_from_text(text), &node));
    CLEANUP(error_freep) struct error *error = format_parse(node, &format);
    cr_assert(error != NULL, "%s", text);
    assert_text(error_message(error), message);
}

Test(format, is_a_string_with_attributes)
{
    cr_assert(eq(int, parse("yson").yson, YSON_BINARY));
    cr_assert(eq(int, parse("<format=text>yson").yson, YSON_TEXT));
    cr_assert(eq(int, parse("<format=pretty;lazy=%true>yson").yson, YSON_PRETTY));
    struct format json = parse("json");
    cr_assert(eq(int, json.kind, FORMAT_JSON));
    cr_assert(json.json.encode_utf8);
    json = parse("<encode_utf8=%false;format=pretty>json");
    cr_assert(not(json.json.encode_utf8));
    cr_assert(json.json.is_pretty);
    // As the JavaScript wrapper sends it, after JSON has been read.
    json = parse("<string_length_limit=1024;encode_utf8=\"true\";stringify=\"true\";"
                 "annotate_with_types=\"true\">json");
    cr_assert(json.json.stringify);
    cr_assert(json.json.annotate_with_types);
    cr_assert(eq(u64, json.json.string_length_limit, 1024));
}

Test(format, is_refused_by_name)
{
    assert_refused("yamr", "Format \"yamr\" is not supported");
    assert_refused("<format=fast>yson", "YSON format \"fast\" is not supported");
    assert_refused("<attributes_mode=some>json", "Attributes mode \"some\" is not supported");
    assert_refused("5", "Format: expected \"string\", actual \"int64\"");
}

static struct rowset read_rows(struct arena *arena, const char *format_text, const char *input)
{
    struct format format = parse(format_text);
    struct rowset rowset;
    assert_ok(format_read_rows(arena, &format, slice_from_text(input), &rowset));
    return rowset;
}

static void assert_rows_written(
    const struct rowset *rowset, const char *format_text, const char *expected)
{
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    struct format format = parse(format_text);
    CLEANUP(arena_releasep) struct arena scratch = {0};
    assert_ok(format_write_rows(&scratch, &format, rowset, &buffer));
    buffer_append_byte(&buffer, 0);
    assert_text(buffer.data, expected);
}

Test(format, reads_rows_and_names_their_columns)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct rowset rowset =
        read_rows(&arena, "yson", "{k=1;v=a};\n{v=#;w=[1;2];k=2u};{\"$tablet_index\"=0}");
    cr_assert(eq(u32, rowset.row_count, 3));
    cr_assert(eq(u16, rowset.name_count, 4));
    cr_assert(slice_equal_text(rowset.names[3], "$tablet_index"));
    cr_assert(eq(int, rowset.rows[0].kind, ROW_WRITE));
    cr_assert(eq(u16, rowset.rows[1].values[0].column, 1));
    cr_assert(eq(int, rowset.rows[1].values[0].type, VALUE_NULL));
    cr_assert(eq(int, rowset.rows[1].values[1].type, VALUE_ANY));
    cr_assert(slice_equal(value_slice(&rowset.rows[1].values[1]), SLICE_OF("[\2\2;\2\4;]")));
    cr_assert(eq(u64, rowset.rows[1].values[2].uint64, 2));
}

Test(format, reads_rows_of_json)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct rowset rowset = read_rows(
        &arena,
        "json",
        "{\"k\":1,\"v\":\"a\"}\n{\"k\":2,\"v\":{\"$value\":1,\"$attributes\":{\"a\":2}}}\n");
    assert_rows_written(
        &rowset, "<format=text>yson", "{\"k\"=1;\"v\"=\"a\";};\n{\"k\"=2;\"v\"=<\"a\"=2;>1;};\n");
    cr_assert(eq(int, rowset.rows[1].values[1].type, VALUE_ANY));
}

Test(format, reads_no_rows_of_empty_input)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    cr_assert(eq(u32, read_rows(&arena, "yson", "").row_count, 0));
    cr_assert(eq(u32, read_rows(&arena, "json", " \n").row_count, 0));
}

static void assert_rows_refused(const char *input, const char *inner)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct format format = parse("yson");
    struct rowset rowset;
    CLEANUP(error_freep)
    struct error *error = format_read_rows(&arena, &format, slice_from_text(input), &rowset);
    cr_assert(error != NULL, "%s", input);
    assert_text(error_message(error), "Error parsing row 1");
    assert_text(error_message(error_inner(error)), inner);
}

Test(format, names_the_row_that_is_wrong)
{
    assert_rows_refused("{k=1};#", "Row cannot be null");
    assert_rows_refused("{k=1};5;", "Row: expected \"map\", actual \"int64\"");
    assert_rows_refused(
        "{k=1};{k=",
        "Error parsing YSON: expected a value but found the end of the text at offset 3");
}

Test(format, has_limits_of_columns)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    struct format format = parse("yson");
    struct rowset rowset;
    for (int i = 0; i <= ROWSET_NAME_COUNT_MAX; i++) buffer_print(&buffer, "{c%d=1};", i);
    CLEANUP(error_freep)
    struct error *columns = format_read_rows(&arena, &format, buffer_slice(&buffer), &rowset);
    assert_text(error_message(error_inner(columns)), "Too many columns");
    buffer_clear(&buffer);
    buffer_append_byte(&buffer, '{');
    for (int i = 0; i <= ROWSET_VALUE_COUNT_MAX; i++) buffer_print(&buffer, "c%d=1;", i);
    buffer_append_byte(&buffer, '}');
    CLEANUP(error_freep)
    struct error *values = format_read_rows(&arena, &format, buffer_slice(&buffer), &rowset);
    assert_text(
        error_message(error_inner(values)), "Too many values in row: actual 1025, limit 1024");
    cr_assert(eq(int, error_code(values), ERROR_TOO_MANY_VALUES_IN_ROW));
}

Test(format, writes_rows)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct rowset rowset = read_rows(&arena, "yson", "{k=1;v=#};{k=2;v=[3u]}");
    assert_rows_written(
        &rowset, "<format=text>yson", "{\"k\"=1;\"v\"=#;};\n{\"k\"=2;\"v\"=[3u;];};\n");
    assert_rows_written(&rowset, "yson", "{\1\2k=\2\2;\1\2v=#;};{\1\2k=\2\4;\1\2v=[\6\3;];};");
    assert_rows_written(
        &rowset,
        "<format=pretty>yson",
        "{\n    \"k\" = 1;\n    \"v\" = #;\n};\n{\n    \"k\" = 2;\n    \"v\" = [\n        3u;\n    "
        "];\n};\n");
    assert_rows_written(&rowset, "json", "{\"k\":1,\"v\":null}\n{\"k\":2,\"v\":[3]}\n");
    assert_rows_written(
        &rowset, "<skip_null_values=%true>json", "{\"k\":1}\n{\"k\":2,\"v\":[3]}\n");
    rowset.rows[0] = (struct row){.kind = ROW_MISSING};
    assert_rows_written(&rowset, "<format=text>yson", "#;\n{\"k\"=2;\"v\"=[3u;];};\n");
    assert_rows_written(&rowset, "json", "null\n{\"k\":2,\"v\":[3]}\n");
}

Test(format, does_not_write_an_any_that_is_not_yson)
{
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    struct format format = parse("yson");
    struct slice name = SLICE_OF("v");
    struct value value = value_string(0, SLICE_OF("};{a=1"));
    value.type = VALUE_ANY;
    struct row row = {.kind = ROW_WRITE, .value_count = 1, .values = &value};
    struct rowset rowset = {.names = &name, .name_count = 1, .rows = &row, .row_count = 1};
    CLEANUP(arena_releasep) struct arena scratch = {0};
    CLEANUP(error_freep)
    struct error *error = format_write_rows(&scratch, &format, &rowset, &buffer);
    assert_text(error_message(error), "Value of column \"v\" is not YSON");
}

Test(format, writes_nodes)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    struct format yson = parse("<format=pretty>yson");
    struct format json = parse("<format=pretty>json");
    struct node *node = NULL;
    assert_ok(format_read_node(&arena, &yson, SLICE_OF("[1]"), &node));
    assert_ok(format_write_node(&yson, node, &buffer));
    assert_ok(format_write_node(&json, node, &buffer));
    buffer_append_byte(&buffer, 0);
    assert_text(buffer.data, "[\n    1;\n][\n    1\n]\n");
}

Test(format, reads_back_the_rows_it_writes)
{
    static const char *const FORMATS[] = {
        "yson",
        "<format=text>yson",
        "<format=pretty>yson",
        "<annotate_with_types=%true;stringify=%true>json"};
    for (uint64_t seed = 0; seed < 500; seed++) {
        CLEANUP(arena_releasep) struct arena arena = {0};
        CLEANUP(buffer_releasep) struct buffer buffer = {0};
        struct rng rng = {.state = seed};
        struct slice names[] = {SLICE_OF("a"), SLICE_OF("\xff"), SLICE_OF("$c")};
        struct row rows[5];
        struct value values[5][3];
        for (uint32_t i = 0; i < 5; i++) {
            for (uint16_t j = 0; j < 3; j++) {
                values[i][j] = random_value(&arena, &rng, j);
                if (values[i][j].type == VALUE_ANY) values[i][j].type = VALUE_STRING;
            }
            rows[i] = (struct row){.kind = ROW_WRITE, .value_count = 3, .values = values[i]};
        }
        struct rowset rowset = {.names = names, .name_count = 3, .rows = rows, .row_count = 5};
        struct rowset again;
        struct format format = parse(FORMATS[rng_below(&rng, 4)]);
        CLEANUP(arena_releasep) struct arena scratch = {0};
        assert_ok(format_write_rows(&scratch, &format, &rowset, &buffer));
        assert_ok(format_read_rows(&arena, &format, buffer_slice(&buffer), &again));
        cr_assert(eq(u32, again.row_count, 5));
        for (uint32_t i = 0; i < 5; i++) {
            for (uint16_t j = 0; j < 3; j++) {
                int order = value_compare(&again.rows[i].values[j], &values[i][j]);
                cr_assert(eq(int, order, 0), "seed %" PRIu64, seed);
            }
        }
    }
}
