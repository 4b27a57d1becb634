#include "model/schema_alter.h"

#include "base/rng.h"
#include "model/yson.h"
#include "tests/test.h"

#include <inttypes.h>

TestSuite(schema, .fini = abort_on_leaks);

static struct error *try_parse(struct arena *arena, const char *text, struct schema **ret_schema)
{
    struct node *node = NULL;
    assert_ok(yson_parse(arena, slice_from_text(text), &node));
    return schema_parse(arena, node, ret_schema);
}

static struct schema *parse(struct arena *arena, const char *text)
{
    struct schema *schema = NULL;
    assert_ok(try_parse(arena, text, &schema));
    return schema;
}

static void assert_error(struct error *taken, enum error_code code, const char *message)
{
    CLEANUP(error_freep) struct error *error = taken;
    cr_assert(error != NULL, "%s", message);
    cr_assert(eq(int, error_code(error), code));
    assert_text(error_message(error), message);
}

static void assert_refused(const char *text, enum error_code code, const char *message)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct schema *schema = NULL;
    assert_error(try_parse(&arena, text, &schema), code, message);
}

static const char *const SORTED =
    "[{name=k;type=int64;sort_order=ascending};{name=l;type=string;sort_order=ascending};"
    "{name=v;type=string};{name=a;type=int64;aggregate=sum};{name=r;type=uint8;required=%true}]";

Test(schema, prints_as_ytsaurus_does)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    const struct schema *schema = parse(
        &arena,
        "[{name=k;type=int64;sort_order=ascending;required=%true};{name=v;type=boolean;lock=l};"
        "{name=w;type=any}]");
    yson_print(schema_to_node(&arena, schema), YSON_TEXT, &buffer);
    buffer_append_byte(&buffer, 0);
    assert_text(
        buffer.data,
        "<\"strict\"=%true;\"unique_keys\"=%true;>["
        "{\"name\"=\"k\";\"required\"=%true;\"type\"=\"int64\";\"type_v3\"=\"int64\";"
        "\"sort_order\"=\"ascending\";};"
        "{\"name\"=\"v\";\"required\"=%false;\"type\"=\"boolean\";"
        "\"type_v3\"={\"type_name\"=\"optional\";\"item\"=\"bool\";};\"lock\"=\"l\";};"
        "{\"name\"=\"w\";\"required\"=%false;\"type\"=\"any\";"
        "\"type_v3\"={\"type_name\"=\"optional\";\"item\"=\"yson\";};};]");
}

Test(schema, understands_both_ways_to_give_a_type)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    const struct schema *schema = parse(
        &arena,
        "{columns=[{name=a;type_v3=int64};{name=b;type_v3={type_name=optional;item=utf8}};"
        "{name=c;type_v3={type_name=double}};{name=d;type=string;type_v3=string;required=%true};"
        "{name=e;type=any;type_v3={type_name=optional;item={type_name=yson}}};{name=f;type=float}]"
        "}");
    static const enum column_type TYPES[] = {
        COLUMN_INT64, COLUMN_UTF8, COLUMN_DOUBLE, COLUMN_STRING, COLUMN_ANY, COLUMN_FLOAT};
    static const bool REQUIRED[] = {true, false, true, true, false, false};
    for (uint16_t i = 0; i < schema->column_count; i++) {
        cr_assert(eq(int, schema->columns[i].type, TYPES[i]));
        cr_assert(eq(int, schema->columns[i].is_required, REQUIRED[i]));
    }
    cr_assert(not(schema->has_unique_keys));
}

Test(schema, reads_back_what_it_prints)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *node = schema_to_node(&arena, parse(&arena, SORTED));
    struct schema *again = NULL;
    assert_ok(schema_parse(&arena, node, &again));
    cr_assert(node_equal(schema_to_node(&arena, again), node));
    cr_assert(eq(u16, again->key_column_count, 2));
    cr_assert(again->has_unique_keys);
}

Test(schema, is_refused_when_it_makes_no_sense)
{
    enum error_code generic = ERROR_GENERIC;
    assert_refused("5", generic, "Table schema: expected \"list\", actual \"int64\"");
    assert_refused("{}", generic, "Table schema: expected \"list\", actual \"nothing\"");
    assert_refused("[]", generic, "There must be at least one non-key column");
    assert_refused(
        "[{name=a;type=int64;sort_order=ascending}]",
        generic,
        "There must be at least one non-key column");
    assert_refused("[5]", generic, "Error parsing column 0 of schema");
    assert_refused("[{name=a;type=date}]", generic, "Error parsing column 0 of schema");
    assert_refused("[{name=a}]", generic, "Error parsing column 0 of schema");
    assert_refused(
        "[{name=a;type=int64;type_v3=string}]", generic, "Error parsing column 0 of schema");
    assert_refused(
        "[{name=a;type=int64;type_v3={type_name=optional}}]",
        generic,
        "Error parsing column 0 of schema");
    assert_refused(
        "[{name=a;type=int64;sort_order=descending}]", generic, "Error parsing column 0 of schema");
    assert_refused("[{type=int64}]", generic, "Column name cannot be empty");
    assert_refused(
        "[{name=\"$x\";type=int64}]", generic, "Column name \"$x\" cannot start with prefix \"$\"");
    assert_refused(
        "[{name=\"$timestamp\";type=int64}]",
        generic,
        "Column \"$timestamp\" must have type \"uint64\"");
    assert_refused(
        "[{name=a;type=int64};{name=a;type=string}]",
        ERROR_DUPLICATE_COLUMN_IN_SCHEMA,
        "Duplicate column \"a\" in table schema");
    assert_refused(
        "[{name=a;type=int64};{name=b;type=int64;sort_order=ascending}]",
        generic,
        "Key columns must form a prefix of schema");
    assert_refused(
        "<strict=%false>[{name=a;type=int64}]",
        generic,
        "\"strict\" cannot be \"false\" for a dynamic table");
    assert_refused(
        "<unique_keys=%true>[{name=a;type=int64}]",
        generic,
        "\"unique_keys\" goes with key columns, and not without them");
    assert_refused(
        "[{name=a;type=string;aggregate=sum}]",
        generic,
        "Aggregated column \"a\" is forbidden to have type \"string\" with function \"sum\"");
    assert_refused(
        "[{name=a;type=string;aggregate=mode}]",
        generic,
        "Unknown aggregate function \"mode\" at column \"a\"");
    assert_refused(
        "[{name=k;type=any;sort_order=ascending};{name=a;type=int64}]",
        generic,
        "Key column \"k\" cannot have type \"any\"");
    assert_refused(
        "[{name=a;type=any;required=%true}]",
        generic,
        "Column \"a\" of type \"any\" cannot be \"required\"");
    assert_refused(
        "[{name=a;type=int64;expression=\"1\"}]",
        generic,
        "Non-key column \"a\" cannot be computed");
    assert_refused(
        "[{name=k;type=int64;sort_order=ascending;lock=l};{name=a;type=int64}]",
        generic,
        "Key column \"k\" cannot have an explicit lock group");
}

static struct schema *many_columns(struct arena *arena, uint32_t count, bool is_key, bool has_lock)
{
    CLEANUP(error_freep) struct error *error = NULL;
    struct node *list = node_list(arena);
    struct schema *schema = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct node *column = node_map(arena);
        const char *name = arena_print(arena, "c%" PRIu32, i);
        node_set_text(arena, column, "name", node_text(arena, name));
        node_set_text(arena, column, "type", node_text(arena, "int64"));
        if (is_key && i + 1 < count) {
            node_set_text(arena, column, "sort_order", node_text(arena, "ascending"));
        }
        if (has_lock) node_set_text(arena, column, "lock", node_text(arena, name));
        node_add(arena, list, column);
    }
    error = schema_parse(arena, list, &schema);
    return schema;
}

Test(schema, has_limits)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    cr_assert(many_columns(&arena, SCHEMA_COLUMN_COUNT_MAX, false, false) != NULL);
    cr_assert(many_columns(&arena, SCHEMA_COLUMN_COUNT_MAX + 1, false, false) == NULL);
    cr_assert(many_columns(&arena, SCHEMA_KEY_COLUMN_COUNT_MAX + 1, true, false) != NULL);
    cr_assert(many_columns(&arena, SCHEMA_KEY_COLUMN_COUNT_MAX + 2, true, false) == NULL);
    cr_assert(many_columns(&arena, SCHEMA_LOCK_COUNT_MAX, false, true) != NULL);
    cr_assert(many_columns(&arena, SCHEMA_LOCK_COUNT_MAX + 1, false, true) == NULL);
}

static struct error *check(const char *column, struct value value)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    const struct schema *schema = parse(&arena, arena_print(&arena, "[{name=c;%s}]", column));
    return column_check_value(&schema->columns[0], &value);
}

Test(schema, checks_values)
{
    assert_ok(check("type=int64", value_int64(0, 1)));
    assert_ok(check("type=int64", value_null(0)));
    assert_ok(check("type=int8", value_int64(0, -128)));
    assert_ok(check("type=uint8", value_uint64(0, 255)));
    assert_ok(check("type=utf8", value_string(0, SLICE_OF("\xd1\x8b"))));
    assert_ok(check("type=string", value_string(0, SLICE_OF("\xd1"))));
    assert_ok(check("type=float", value_double(0, 1e30)));
    assert_ok(check("type=double", value_double(0, 1e300)));
    assert_ok(check("type=any", value_int64(0, 1)));
    assert_ok(check("type=any", value_string(0, SLICE_OF("["))));
    struct value any = value_string(0, SLICE_OF("[1;2]"));
    any.type = VALUE_ANY;
    assert_ok(check("type=any", any));
}

static void assert_value_refused(const char *column, struct value value, const char *inner)
{
    CLEANUP(error_freep) struct error *error = check(column, value);
    cr_assert(error != NULL, "%s", inner);
    cr_assert(eq(int, error_code(error), ERROR_SCHEMA_VIOLATION));
    assert_text(error_message(error), "Error validating column \"c\"");
    assert_text(error_message(error_inner(error)), inner);
}

Test(schema, refuses_values_that_do_not_fit)
{
    assert_error(
        check("type=int64;required=%true", value_null(0)),
        ERROR_SCHEMA_VIOLATION,
        "Required column \"c\" cannot have \"null\" value");
    assert_value_refused(
        "type=int64",
        value_string(0, SLICE_OF("1")),
        "Invalid type: expected \"int64\", actual \"string\"");
    assert_value_refused(
        "type=int8", value_int64(0, 128), "Value is out of range for type \"int8\"");
    assert_value_refused(
        "type=int32", value_int64(0, INT64_MIN), "Value is out of range for type \"int32\"");
    assert_value_refused(
        "type=uint16", value_uint64(0, 65536), "Value is out of range for type \"uint16\"");
    assert_value_refused(
        "type=float", value_double(0, 1e300), "Value is out of range for type \"float\"");
    assert_value_refused(
        "type=utf8", value_string(0, SLICE_OF("\xd1")), "Value is not a valid UTF-8 string");
    struct value any = value_string(0, SLICE_OF("[1;2"));
    any.type = VALUE_ANY;
    assert_value_refused("type=any", any, "Value is not valid YSON");
    assert_value_refused("type=string", any, "Invalid type: expected \"string\", actual \"any\"");
}

Test(schema, refuses_too_long_strings)
{
    struct value value = {.type = VALUE_STRING, .size = (16 << 20) + 1, .data = ""};
    CLEANUP(error_freep) struct error *error = check("type=string", value);
    cr_assert(error_find(error, ERROR_STRING_LENGTH_LIMIT_EXCEEDED) != NULL);
}

Test(schema, converts_integers_that_fit)
{
    struct column unsigned_column = {.type = COLUMN_UINT32};
    struct column signed_column = {.type = COLUMN_INT64};
    struct value value = value_int64(0, 5);
    column_convert_value(&unsigned_column, &value);
    cr_assert(eq(int, value.type, VALUE_UINT64));
    column_convert_value(&signed_column, &value);
    cr_assert(eq(int, value.type, VALUE_INT64));
    cr_assert(eq(i64, value.int64, 5));

    value = value_int64(0, -5);
    column_convert_value(&unsigned_column, &value);
    cr_assert(eq(int, value.type, VALUE_INT64));
    value = value_uint64(0, UINT64_MAX);
    column_convert_value(&signed_column, &value);
    cr_assert(eq(int, value.type, VALUE_UINT64));
}

static struct error *alter(const char *old, const char *new_schema)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    return schema_check_alter(parse(&arena, old), parse(&arena, new_schema), false);
}

#define KEY   "{name=k;type=int64;sort_order=ascending};"
#define VALUE "{name=v;type=string};"

Test(schema, may_be_altered_without_loss)
{
    assert_ok(alter("[" KEY VALUE "]", "[" KEY VALUE "]"));
    assert_ok(alter("[" KEY VALUE "]", "[" KEY "{name=w;type=int64};" VALUE "]"));
    assert_ok(
        alter("[" KEY VALUE "]", "[" KEY "{name=l;type=int64;sort_order=ascending};" VALUE "]"));
    assert_ok(alter("[{name=a;type=int64;required=%true}]", "[{name=a;type=int64}]"));
    assert_ok(alter(
        "[{name=a;type=int8};{name=b;type=utf8}]", "[{name=b;type=string};{name=a;type=int32}]"));
    assert_ok(alter("[{name=a;type=int64}]", "[{name=a;type=int64;aggregate=sum}]"));
}

static void assert_alter_refused(const char *old, const char *new_schema, const char *inner)
{
    CLEANUP(error_freep) struct error *error = alter(old, new_schema);
    cr_assert(error != NULL, "%s", inner);
    cr_assert(eq(int, error_code(error), ERROR_INCOMPATIBLE_SCHEMAS));
    assert_text(error_message(error), "Table schemas are incompatible");
    assert_text(error_message(error_inner(error)), inner);
}

Test(schema, may_not_be_altered_with_loss)
{
    assert_alter_refused(
        "[" KEY VALUE "]", "[" KEY "{name=v;type=int64}]", "Type mismatch for column \"v\"");
    assert_alter_refused(
        "[" KEY VALUE "]",
        "[" KEY "{name=v;type=string;required=%true}]",
        "Type mismatch for column \"v\"");
    assert_alter_refused(
        "[{name=a;type=int64}]", "[{name=a;type=int32}]", "Type mismatch for column \"a\"");
    assert_alter_refused(
        "[{name=a;type=int64}]", "[{name=a;type=uint64}]", "Type mismatch for column \"a\"");
    assert_alter_refused(
        "[" KEY VALUE "]",
        "[" KEY "{name=w;type=int64}]",
        "Cannot remove column \"v\" from a strict schema");
    assert_alter_refused(
        "[" KEY VALUE "]",
        "[" KEY VALUE "{name=w;type=int64;required=%true}]",
        "Cannot insert a new required column \"w\" into a non-empty table");
    assert_alter_refused(
        "[" KEY VALUE "]",
        "[{name=l;type=int64;sort_order=ascending};" KEY VALUE "]",
        "Cannot change position of a key column \"k\": old 0, new 1");
    assert_alter_refused(
        "[" KEY VALUE "{name=w;type=int64}]",
        "[" KEY "{name=v;type=string;sort_order=ascending};{name=w;type=int64}]",
        "Sort order mismatch for column \"v\": old \"null\", new \"ascending\"");
    assert_alter_refused(
        "[" KEY "{name=l;type=int64;sort_order=ascending};" VALUE "]",
        "[" KEY "{name=l;type=int64};" VALUE "]",
        "Table cannot have unique keys since some of its key columns were removed");
    assert_alter_refused(
        "[{name=a;type=int64;aggregate=sum}]",
        "[{name=a;type=int64;aggregate=max}]",
        "Aggregate mode mismatch for column \"a\": old \"sum\", new \"max\"");
    assert_alter_refused(
        "[{name=h;type=int64;sort_order=ascending;expression=k};" KEY VALUE "]",
        "[{name=h;type=int64;sort_order=ascending;expression=\"k + 1\"};" KEY VALUE "]",
        "Expression mismatch for column \"h\": old \"k\", new \"k + 1\"");
    assert_alter_refused(
        "[" VALUE "]", "[" KEY VALUE "]", "Cannot change schema from ordered to sorted");
}

Test(schema, may_be_altered_freely_while_the_table_is_empty)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    const struct schema *old = parse(&arena, "[" KEY VALUE "]");
    const struct schema *new_schema = parse(&arena, "[" KEY "{name=w;type=int64;required=%true}]");
    assert_ok(schema_check_alter(old, new_schema, true));
}

Test(schema, keeps_the_ids_of_columns)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct schema *first = parse(&arena, "[{name=a;type=int64};{name=b;type=int64}]");
    struct schema *second =
        parse(&arena, "[{name=b;type=int64};{name=c;type=int64};{name=a;type=int64}]");
    schema_assign_ids(first, NULL);
    schema_assign_ids(second, first);
    cr_assert(eq(u16, second->columns[0].id, 1));
    cr_assert(eq(u16, second->columns[1].id, 2));
    cr_assert(eq(u16, second->columns[2].id, 0));
    cr_assert(eq(u16, second->next_id, 3));
    cr_assert(eq(u16, schema_find_id(second, 2), 1));
    cr_assert(eq(u16, schema_find_id(first, 2), SCHEMA_NO_COLUMN));
    cr_assert(eq(u16, schema_find(second, SLICE_OF("a")), 2));
    cr_assert(eq(u16, schema_find(second, SLICE_OF("x")), SCHEMA_NO_COLUMN));
}

Test(schema, is_stored_with_its_ids)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    struct schema *schema = schema_copy(&arena, parse(&arena, SORTED));
    struct schema *decoded = NULL;
    schema_assign_ids(schema, NULL);
    schema->columns[2].id = 7;
    schema->next_id = 9;
    schema_encode(schema, &buffer);
    assert_ok(schema_decode(&arena, buffer_slice(&buffer), &decoded));
    cr_assert(node_equal(schema_to_node(&arena, schema), schema_to_node(&arena, decoded)));
    cr_assert(eq(u16, decoded->columns[2].id, 7));
    cr_assert(eq(u16, decoded->next_id, 9));

    for (size_t size = 0; size < buffer.size; size++) {
        char *bytes = must_alloc(malloc(MAX(size, (size_t)1)));
        memcpy(bytes, buffer.data, size);
        CLEANUP(error_freep)
        struct error *error = schema_decode(&arena, slice_from(bytes, size), &decoded);
        cr_assert(error != NULL, "%zu", size);
        free(bytes);
    }
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct rng rng = {.state = seed};
        size_t at = (size_t)rng_below(&rng, buffer.size);
        char byte = buffer.data[at];
        buffer.data[at] = (char)rng_next(&rng);
        error_free(schema_decode(&arena, buffer_slice(&buffer), &decoded));
        buffer.data[at] = byte;
    }
}
