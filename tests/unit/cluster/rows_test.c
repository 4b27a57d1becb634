// insert_rows, delete_rows, lookup_rows, select_rows, trim_rows on tables of one cluster.
#include "machine_world.h"

TestSuite(rows, .fini = abort_on_leaks);

#define S     "{path=\"//tmp/s\"}"
#define S_UP  "{path=\"//tmp/s\";update=%true}"
#define S_AGG "{path=\"//tmp/s\";aggregate=%true}"
#define O     "{path=\"//tmp/o\"}"

static void make(struct machine_world *world, const char *type, const char *path, const char *more)
{
    const char *parameters =
        world_text(world, "{type=%s;path=\"%s\";attributes={dynamic=%%true;%s}}", type, path, more);
    world_do(world, META, "create", parameters, NULL);
    world_do(world, META, "mount_table", world_text(world, "{path=\"%s\"}", path), NULL);
}

// A sorted table with required and aggregating columns, an ordered one of two tablets.
static void start(struct machine_world *world)
{
    world_init(world, 1);
    make(
        world,
        "table",
        "//tmp/s",
        "pivot_keys=[[];[10]];schema=[{name=k;type=int64;sort_order=ascending;required=%true};"
        "{name=k2;type=string;sort_order=ascending};{name=v;type=string};"
        "{name=n;type=int64;aggregate=sum};{name=m;type=uint64;aggregate=max}]");
    make(
        world,
        "table",
        "//tmp/o",
        "tablet_count=2;schema=[{name=v;type=string};{name=b;type=boolean};{name=w;type=uint8}]");
}

static const char *look(struct machine_world *world, const char *keys)
{
    return world_do(world, META, "lookup_rows", S, keys);
}

Test(rows, are_written_updated_and_deleted)
{
    struct machine_world world;
    start(&world);
    const struct {
        const char *command;
        const char *parameters;
        const char *input;
        const char *row;
    } steps[] = {
        {"insert_rows", S, "{k=1;v=a;n=1}", "\"v\"=\"a\";\"n\"=1;\"m\"=#;"},
        {"insert_rows", S, "{k=1;v=b}", "\"v\"=\"b\";\"n\"=#;\"m\"=#;"},
        {"insert_rows", S_UP, "{k=1;n=5;m=7u}", "\"v\"=\"b\";\"n\"=5;\"m\"=7u;"},
        {"insert_rows", S_UP, "{k=1;v=#}", "\"v\"=#;\"n\"=5;\"m\"=7u;"},
        {"delete_rows", S, "{k=1}", NULL},
        {"insert_rows", S_UP, "{k=1;v=c}", "\"v\"=\"c\";\"n\"=#;\"m\"=#;"},
        {"insert_rows", S, "{k=1}", "\"v\"=#;\"n\"=#;\"m\"=#;"},
        {"delete_rows", S, "{k=1}", NULL},
        {"delete_rows", S, "{k=1}", NULL},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        world_do(&world, META, steps[i].command, steps[i].parameters, steps[i].input);
        const char *row = "";
        if (steps[i].row) row = world_text(&world, "{\"k\"=1;\"k2\"=#;%s};\n", steps[i].row);
        assert_text(look(&world, "{k=1}"), row);
    }
    world_release(&world);
}

// Columns without the flag are replaced, those with it merged, with `update` and without.
Test(rows, aggregating_columns_are_merged_where_asked)
{
    struct machine_world world;
    start(&world);
    world_do(&world, META, "insert_rows", S, "{k=1;v=a;n=1;m=5}");
    world_do(
        &world,
        META,
        "insert_rows",
        "{path=\"//tmp/s\";update=%true;aggregate=%true}",
        "{k=1;n=2;m=3}");
    assert_text(look(&world, "{k=1}"), "{\"k\"=1;\"k2\"=#;\"v\"=\"a\";\"n\"=3;\"m\"=5u;};\n");
    world_do(&world, META, "insert_rows", S_AGG, "{k=1;n=2;m=9}");
    assert_text(look(&world, "{k=1}"), "{\"k\"=1;\"k2\"=#;\"v\"=#;\"n\"=5;\"m\"=9u;};\n");
    world_do(&world, META, "insert_rows", S_UP, "{k=1;n=2}");
    assert_text(look(&world, "{k=1}"), "{\"k\"=1;\"k2\"=#;\"v\"=#;\"n\"=2;\"m\"=9u;};\n");
    world_do(&world, META, "delete_rows", S, "{k=1}");
    world_do(&world, META, "insert_rows", S_AGG, "{k=1;n=4}");
    assert_text(look(&world, "{k=1}"), "{\"k\"=1;\"k2\"=#;\"v\"=#;\"n\"=4;\"m\"=#;};\n");
    world_release(&world);
}

Test(rows, are_refused_with_reasons)
{
    struct machine_world world;
    start(&world);
    const struct {
        const char *command;
        const char *parameters;
        const char *input;
        int code;
        const char *text;
    } cases[] = {
        {"insert_rows", S, "{k=1;x=1}", 1, "Unexpected column \"x\""},
        {"insert_rows", S, "{k=1;\"$tablet_index\"=0}", 1, "Unexpected column \"$tablet_index\""},
        {"insert_rows", S, "{k=1;\"$timestamp\"=0}", 1, "Unexpected column"},
        {"insert_rows", S, "{v=a}", 307, "Required column \"k\" cannot have \"null\" value"},
        {"insert_rows", S, "{k=#;v=a}", 307, "Required column \"k\" cannot have \"null\" value"},
        {"insert_rows", S, "{k=a}", 307, "Invalid type: expected \"int64\", actual \"string\""},
        {"insert_rows", S, "{k=a}", 307, "Error validating column \"k\""},
        {"insert_rows", S, "{k=1;v=1}", 307, "Invalid type: expected \"string\", actual \"int64\""},
        {"insert_rows", O, "{w=256}", 307, "w"},
        {"insert_rows", S, "{k=1;m=-1}", 307, "m"},
        {"insert_rows", S, "{k=1};{k=2;v=1}", 307, "Error preparing rows for table //tmp/s"},
        {"insert_rows", S, "{k=1};5", 1, ""},
        {"insert_rows", S, "{k=1", 1, ""},
        {"insert_rows", S, "{k=1;k=2}", 1, ""},
        {"insert_rows", "{path=\"//tmp/x\"}", "{k=1}", 500, "Error resolving path //tmp/x"},
        {"insert_rows", "{path=\"//tmp\"}", "{k=1}", 1, "//tmp"},
        {"insert_rows", "{}", "{k=1}", 1, "Parameter \"path\" is missing"},
        {"insert_rows", "{path=\"//tmp/s\";update=maybe}", "{k=1}", 1, "update"},
        {"insert_rows",
         "{path=\"//tmp/o\";update=%true}",
         "{v=a}",
         1,
         "Cannot use \"update\" mode for ordered tables"},
        {"insert_rows",
         O,
         "{v=a;\"$tablet_index\"=2}",
         1,
         "Invalid tablet index: actual 2, expected in range [0, 1]"},
        {"insert_rows", O, "{v=a;\"$tablet_index\"=a}", 1, "Error parsing tablet index from row"},
        {"insert_rows",
         O,
         "{v=a;\"$tablet_index\"=-1}",
         1,
         "Invalid tablet index: actual -1, expected in range [0, 1]"},
        {"insert_rows", O, "{v=a;\"$row_index\"=0}", 1, "Unexpected column \"$row_index\""},
        {"delete_rows", O, "{v=a}", 1716, "Cannot perform deletes in a non-sorted table //tmp/o"},
        {"delete_rows", S, "{k=1;v=a}", 1, "Non-key column v in a key"},
        {"delete_rows", S, "{k2=a}", 307, "Required column \"k\" cannot have \"null\" value"},
        {"lookup_rows", O, "{v=a}", 1716, "Table //tmp/o is not sorted"},
        {"lookup_rows", S, "{k=1;v=a}", 1, "Non-key column v in a key"},
        {"lookup_rows", S, "{k=1;x=a}", 1, "Unexpected column \"x\""},
        {"lookup_rows", S, "{k=a}", 307, "Invalid type: expected \"int64\", actual \"string\""},
        {"lookup_rows", "{path=\"//tmp/s\";column_names=[k;x]}", "{k=1}", 1726, "No such column"},
        {"lookup_rows", "{path=\"//tmp/s\";column_names=x}", "{k=1}", 1, "column_names"},
        {"lookup_rows", "{path=\"//tmp/s\";timestamp=0}", "{k=1}", 1, "Invalid read timestamp 0"},
        {"lookup_rows",
         "{path=\"//tmp/s\";timestamp=4611686018427387648u}",
         "{k=1}",
         1,
         "is in the future"},
        {"lookup_rows",
         "{path=\"//tmp/s\";timestamp=4611686018427387903u}",
         "{k=1}",
         1,
         "Invalid read timestamp 3fffffffffffffff"},
        {"lookup_rows", "{path=\"//tmp/x\"}", "{k=1}", 500, "Error resolving path //tmp/x"},
        {"select_rows", "{}", NULL, 1, "Parameter \"query\" is missing"},
        {"select_rows", "{query=\"cow\"}", NULL, 1, ""},
        {"select_rows", "{query=\"* from [//tmp/x]\"}", NULL, 500, "Error resolving path //tmp/x"},
        {"select_rows", "{query=\"x from [//tmp/s]\"}", NULL, 1, "x"},
        {"select_rows",
         "{query=\"* from [//tmp/s]\";timestamp=0}",
         NULL,
         1,
         "Invalid read timestamp 0"},
        {"trim_rows", "{path=\"//tmp/s\";tablet_index=0;trimmed_row_count=1}", NULL, 1, "sorted"},
        {"trim_rows",
         "{path=\"//tmp/o\";tablet_index=2;trimmed_row_count=1}",
         NULL,
         1,
         "Invalid tablet index: actual 2, expected in range [0, 1]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(
            &world,
            META,
            cases[i].command,
            cases[i].parameters,
            cases[i].input,
            cases[i].code,
            cases[i].text);
    }
    world_release(&world);
}

Test(rows, need_mounted_tablets)
{
    struct machine_world world;
    start(&world);
    world_do(&world, META, "insert_rows", S, "{k=1}");
    const char *id = world_get(&world, META, "//tmp/s/@tablets/1/tablet_id");
    const char *second = "{path=\"//tmp/s\";first_tablet_index=1;last_tablet_index=1}";
    world_do(&world, META, "unmount_table", second, NULL);
    const char *text =
        world_text(&world, "Tablet %s of table //tmp/s is in \"unmounted\" state", id);
    assert_refused(&world, META, "insert_rows", S, "{k=1};{k=10}", 1702, text);
    text = world_text(&world, "Cannot read from tablet %s while it is in \"unmounted\" state", id);
    assert_refused(&world, META, "lookup_rows", S, "{k=10}", 1702, text);
    assert_refused(&world, META, "lookup_rows", S, "{k=1};{k=10}", 1702, text);
    assert_refused(&world, META, "select_rows", "{query=\"* from [//tmp/s]\"}", NULL, 1702, text);
    assert_text(look(&world, "{k=1}"), "{\"k\"=1;\"k2\"=#;\"v\"=#;\"n\"=#;\"m\"=#;};\n");
    assert_text(look(&world, ""), "");
    world_do(&world, META, "unmount_table", S, NULL);
    assert_refused(
        &world, META, "insert_rows", S, "{k=1}", 1702, "Table //tmp/s has no mounted tablets");
    world_do(&world, META, "mount_table", "{path=\"//tmp/s\";freeze=%true}", NULL);
    assert_refused(&world, META, "insert_rows", S, "{k=1}", 1702, "is in \"frozen\" state");
    assert_text(look(&world, "{k=1}"), "{\"k\"=1;\"k2\"=#;\"v\"=#;\"n\"=#;\"m\"=#;};\n");
    world_do(&world, META, "unmount_table", O, NULL);
    assert_refused(
        &world,
        META,
        "trim_rows",
        "{path=\"//tmp/o\";tablet_index=0;trimmed_row_count=1}",
        NULL,
        1702,
        "of table //tmp/o is in \"unmounted\" state");
    world_release(&world);
}

Test(rows, are_looked_up_by_columns_and_with_missing_ones)
{
    struct machine_world world;
    start(&world);
    world_do(&world, META, "insert_rows", S, "{k=1;k2=x;v=a};{k=20;v=b}");
    assert_text(
        world_do(
            &world,
            META,
            "lookup_rows",
            "{path=\"//tmp/s\";column_names=[v;k]}",
            "{k=1;k2=x};{k=20}"),
        "{\"v\"=\"a\";\"k\"=1;};\n{\"v\"=\"b\";\"k\"=20;};\n");
    assert_text(
        world_do(
            &world,
            META,
            "lookup_rows",
            "{path=\"//tmp/s\";column_names=[v];keep_missing_rows=%true}",
            "{k=1};{k=1;k2=x};{k=1;k2=x}"),
        "#;\n{\"v\"=\"a\";};\n{\"v\"=\"a\";};\n");
    assert_text(
        world_do(
            &world,
            META,
            "lookup_rows",
            "{path=\"//tmp/s\";format=json;column_names=[v]}",
            "{\"k\":20}"),
        "{\"v\":\"b\"}\n");
    world_release(&world);
}

Test(rows, are_read_as_of_any_timestamp)
{
    struct machine_world world;
    start(&world);
    const char *changes[][2] = {
        {S, "{k=1;v=a;n=1}"},
        {S_UP, "{k=1;n=2}"},
        {S_AGG, "{k=1;n=3}"},
        {NULL, "{k=1}"},
        {S, "{k=1;v=b}"},
    };
    const char *expected[] = {
        "",
        "\"v\"=\"a\";\"n\"=1;",
        "\"v\"=\"a\";\"n\"=2;",
        "\"v\"=#;\"n\"=5;",
        "",
        "\"v\"=\"b\";\"n\"=#;",
    };
    const char *timestamps[6];
    for (size_t i = 0; i < 6; i++) {
        timestamps[i] = world_do(&world, META, "generate_timestamp", "{}", NULL);
        if (i == 5) break;
        bool is_delete = changes[i][0] == NULL;
        world_do(
            &world,
            META,
            is_delete ? "delete_rows" : "insert_rows",
            is_delete ? S : changes[i][0],
            changes[i][1]);
    }
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 6; i++) {
            const char *row = expected[i];
            if (row[0] != 0) row = world_text(&world, "{\"k\"=1;\"k2\"=#;%s\"m\"=#;};\n", row);
            const char *parameters =
                world_text(&world, "{path=\"//tmp/s\";timestamp=%s}", timestamps[i]);
            assert_text(world_do(&world, META, "lookup_rows", parameters, "{k=1}"), row);
            parameters =
                world_text(&world, "{query=\"* from [//tmp/s]\";timestamp=%s}", timestamps[i]);
            assert_text(world_do(&world, META, "select_rows", parameters, NULL), row);
        }
        world_restart(&world, META);
    }
    world_release(&world);
}

Test(rows, of_ordered_tables_have_indexes_and_are_trimmed)
{
    struct machine_world world;
    start(&world);
    world_do(
        &world, META, "insert_rows", O, "{v=a;\"$tablet_index\"=1};{v=b;\"$tablet_index\"=1u}");
    world_do(
        &world,
        META,
        "insert_rows",
        O,
        "{v=c;b=%true;\"$tablet_index\"=0};{v=d;\"$tablet_index\"=1}");
    const char *select = "{query=\"[$tablet_index] as t, [$row_index] as r, v from [//tmp/o]\"}";
    assert_text(
        world_do(&world, META, "select_rows", select, NULL),
        "{\"t\"=0;\"r\"=0;\"v\"=\"c\";};\n{\"t\"=1;\"r\"=0;\"v\"=\"a\";};\n"
        "{\"t\"=1;\"r\"=1;\"v\"=\"b\";};\n{\"t\"=1;\"r\"=2;\"v\"=\"d\";};\n");
    world_do(
        &world, META, "trim_rows", "{path=\"//tmp/o\";tablet_index=1;trimmed_row_count=2}", NULL);
    world_do(
        &world, META, "trim_rows", "{path=\"//tmp/o\";tablet_index=1;trimmed_row_count=1}", NULL);
    for (int round = 0; round < 2; round++) {
        assert_text(
            world_do(&world, META, "select_rows", select, NULL),
            "{\"t\"=0;\"r\"=0;\"v\"=\"c\";};\n{\"t\"=1;\"r\"=2;\"v\"=\"d\";};\n");
        assert_text(world_get(&world, META, "//tmp/o/@tablets/1/trimmed_row_count"), "2");
        assert_text(world_get(&world, META, "//tmp/o/@tablets/1/flushed_row_count"), "3");
        world_restart(&world, META);
    }
    world_do(
        &world, META, "trim_rows", "{path=\"//tmp/o\";tablet_index=1;trimmed_row_count=100}", NULL);
    world_do(&world, META, "insert_rows", O, "{v=e;\"$tablet_index\"=1}");
    assert_text(
        world_do(&world, META, "select_rows", select, NULL),
        "{\"t\"=0;\"r\"=0;\"v\"=\"c\";};\n{\"t\"=1;\"r\"=3;\"v\"=\"e\";};\n");
    world_release(&world);
}

Test(rows, without_a_tablet_index_go_to_a_mounted_tablet)
{
    struct machine_world world;
    start(&world);
    const char *first = "{path=\"//tmp/o\";first_tablet_index=0;last_tablet_index=0}";
    world_do(&world, META, "unmount_table", first, NULL);
    world_do(&world, META, "insert_rows", O, "{v=a};{v=b}");
    assert_text(world_get(&world, META, "//tmp/o/@tablets/1/flushed_row_count"), "2");
    assert_refused(
        &world,
        META,
        "insert_rows",
        O,
        "{v=a;\"$tablet_index\"=0}",
        1702,
        "is in \"unmounted\" state");
    world_release(&world);
}

Test(rows, without_a_tablet_index_are_spread_over_mounted_tablets_by_calls)
{
    struct machine_world world;
    world_init(&world, 1);
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/"
        "o\";attributes={dynamic=%true;tablet_count=4;schema=[{name=v;type="
        "string}]}}",
        NULL);
    world_do(&world, META, "mount_table", O, NULL);
    const char *last = "{path=\"//tmp/o\";first_tablet_index=3;last_tablet_index=3}";
    world_do(&world, META, "unmount_table", last, NULL);
    for (int i = 0; i < 60; i++) world_do(&world, META, "insert_rows", O, "{v=a};{v=b}");
    uint64_t total = 0;
    for (int i = 0; i < 4; i++) {
        const char *path = world_text(&world, "//tmp/o/@tablets/%d/flushed_row_count", i);
        uint64_t count = strtoull(world_get(&world, META, path), NULL, 10);
        cr_assert(eq(u64, count % 2, 0)); // One tablet for the whole call.
        cr_assert(eq(int, count > 0, i < 3), "tablet %d has %zu rows", i, (size_t)count);
        total += count;
    }
    cr_assert(eq(u64, total, 120));
    world_release(&world);
}

Test(rows, of_an_ordered_table_have_their_commit_timestamp_if_it_has_a_column_for_it)
{
    struct machine_world world;
    world_init(&world, 1);
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/o\";attributes={dynamic=%true;schema=[{name=v;type=string};{name="
        "\"$timestamp\";type=uint64;required=%true}]}}",
        NULL);
    world_do(&world, META, "mount_table", O, NULL);
    world_do(&world, META, "insert_rows", O, "{v=a};{v=b}");
    const char *stamp = world_get(&world, META, "//tmp/o/@last_commit_timestamp");
    assert_text(
        world_do(&world, META, "select_rows", "{query=\"* from [//tmp/o]\"}", NULL),
        world_text(
            &world,
            "{\"$tablet_index\"=0;\"$row_index\"=0;\"v\"=\"a\";\"$timestamp\"=%s;};\n"
            "{\"$tablet_index\"=0;\"$row_index\"=1;\"v\"=\"b\";\"$timestamp\"=%s;};\n",
            stamp,
            stamp));
    assert_refused(
        &world,
        META,
        "insert_rows",
        O,
        "{v=c;\"$timestamp\"=5u}",
        1,
        "Column \"$timestamp\" is computed automatically and should not be provided by user");
    world_release(&world);
}

Test(rows, keys_that_are_too_large_are_refused)
{
    struct machine_world world;
    start(&world);
    char *row = must_alloc(malloc(20000));
    snprintf(row, 20000, "{k=1;k2=\"%017000d\"}", 0);
    assert_refused(&world, META, "insert_rows", S, row, 308, "Row key is too large");
    free(row);
    world_release(&world);
}

// What the input format allows becomes what the column is; so DSV, which has strings only, can
// write all but lists and maps.
Test(rows, are_converted_as_their_format_says)
{
    struct machine_world world;
    start(&world);
    const char *const text =
        "{path=\"//tmp/s\";input_format=<enable_string_to_all_conversion=%true>dsv}";
    world_do(&world, META, "insert_rows", text, "k=-1\tk2=5\tv=7\tn=12\tm=18446744073709551615\n");
    const char *const row =
        "{\"k\"=-1;\"k2\"=\"5\";\"v\"=\"7\";\"n\"=12;\"m\"=18446744073709551615u;};\n";
    assert_text(look(&world, "{k=-1;k2=\"5\"}"), row);
    assert_text(world_do(&world, META, "lookup_rows", text, "k=-1\tk2=5\n"), row);
    world_do(&world, META, "lock_rows", text, "k=-1\tk2=5\n");
    world_do(&world, META, "delete_rows", text, "k=-1\tk2=5\n");
    assert_text(look(&world, "{k=-1;k2=\"5\"}"), "");

    world_do(
        &world,
        META,
        "insert_rows",
        "{path=\"//tmp/o\";input_format=<enable_type_conversion=%true>yson}",
        "{\"$tablet_index\"=\"1\";v=2;b=\"false\";w=\"255\"};{v=%true};{v=0.5}");
    assert_text(
        world_do(
            &world, META, "select_rows", "{query=\"v, b, w from [//tmp/o] order by v\"}", NULL),
        "{\"v\"=\"0.5\";\"b\"=#;\"w\"=#;};\n{\"v\"=\"2\";\"b\"=%false;\"w\"=255u;};\n"
        "{\"v\"=\"true\";\"b\"=#;\"w\"=#;};\n");

    const struct {
        const char *attributes;
        const char *input;
        int code;
        const char *text;
    } refused[] = {
        {"", "{k=\"1\"}", 307, "Invalid type: expected \"int64\", actual \"string\""},
        {"enable_string_to_all_conversion=%true",
         "{k=\"1x\"}",
         307,
         "Column \"k\" is of type \"int64\", and \"1x\" cannot be read as one"},
        {"enable_string_to_all_conversion=%true", "{k=\"\"}", 307, "cannot be read as one"},
        {"enable_string_to_all_conversion=%true", "{k=1;v=1}", 307, "expected \"string\""},
        {"enable_all_to_string_conversion=%true", "{k=\"1\"}", 307, "expected \"int64\""},
        {"enable_integral_type_conversion=%false",
         "{k=1u}",
         307,
         "since \"enable_integral_type_conversion\" is off"},
        {"enable_string_to_all_conversion=%true", "{x=\"1\"}", 1, "Unexpected column \"x\""},
        {"enable_type_conversion=maybe", "{k=1}", 1, "enable_type_conversion"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const char *parameters =
            world_text(&world, "{path=\"//tmp/s\";input_format=<%s>yson}", refused[i].attributes);
        assert_refused(
            &world,
            META,
            "insert_rows",
            parameters,
            refused[i].input,
            refused[i].code,
            refused[i].text);
    }
    world_release(&world);
}
