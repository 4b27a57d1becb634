// lookup_rows of versions and timestamps of values.
#include "machine_world.h"

#include <ctype.h>

TestSuite(lookups, .fini = abort_on_leaks);

#define T        "{path=\"//tmp/t\"}"
#define UPDATE   "{path=\"//tmp/t\";update=%true}"
#define ADD      "{path=\"//tmp/t\";update=%true;aggregate=%true}"
#define VERSIONS "{path=\"//tmp/t\";versioned=%true}"
#define LATEST   "{path=\"//tmp/t\";versioned_read_options={read_mode=latest_timestamp}}"

enum { STAMP_COUNT_MAX = 16, STAMP_DIGIT_COUNT = 19 };

static void start(struct machine_world *world)
{
    world_init(world, 1);
    world_do(
        world,
        META,
        "create",
        "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}",
        NULL);
    world_do(world, META, "mount_table", T, NULL);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// A text with timestamps (they have 19 digits) by age: T1 is the oldest in it.
static const char *by_age(struct machine_world *world, const char *text)
{
    const char *stamps[STAMP_COUNT_MAX];
    size_t count = 0;
    for (const char *c = text; *c; c++) {
        if (!isdigit(*c)) continue;
        size_t digits = strspn(c, "0123456789");
        if (digits == STAMP_DIGIT_COUNT) {
            const char *stamp = world_text(world, "%.19s", c);
            size_t i = 0;
            while (i < count && strcmp(stamps[i], stamp) != 0) i++;
            cr_assert(i < STAMP_COUNT_MAX);
            stamps[i] = stamp;
            count = MAX(count, i + 1);
        }
        c += digits - 1;
    }
    qsort(stamps, count, sizeof *stamps, compare_texts);
    const char *result = text;
    for (size_t i = 0; i < count; i++) {
        const char *at;
        while ((at = strstr(result, stamps[i]))) {
            result = world_text(
                world,
                "%.*sT%zu%s",
                (int)(at - result),
                result,
                i + 1,
                at + STAMP_DIGIT_COUNT + strlen("u"));
        }
    }
    return result;
}

static const char *look(struct machine_world *world, const char *parameters, const char *keys)
{
    return by_age(world, world_do(world, META, "lookup_rows", parameters, keys));
}

#define PLAIN(n) "<\"timestamp\"=T" #n ";\"aggregate\"=%false;>"
#define ADDED(n) "<\"timestamp\"=T" #n ";\"aggregate\"=%true;>"

Test(lookups, show_all_versions_newest_first)
{
    struct machine_world world;
    start(&world);
    world_do(&world, META, "insert_rows", T, "{key=1;value=a;sum=1}");
    world_do(&world, META, "insert_rows", UPDATE, "{key=1;value=b}");
    world_do(&world, META, "insert_rows", ADD, "{key=1;sum=5}");
    assert_text(
        look(&world, VERSIONS, "{key=1}"),
        "<\"write_timestamps\"=[T3;T2;T1;];\"delete_timestamps\"=[];>{\"key\"=1;\"value\"=[" PLAIN(
            2) "\"b\";" PLAIN(1) "\"a\";];\"sum\"=[" ADDED(3) "5;" PLAIN(1) "1;];};\n");
    // A full write sets what it does not name to null.
    world_do(&world, META, "insert_rows", T, "{key=2;value=x}");
    assert_text(
        look(&world, VERSIONS, "{key=2}"),
        "<\"write_timestamps\"=[T1;];\"delete_timestamps\"=[];>{\"key\"=2;\"value\"=[" PLAIN(
            1) "\"x\";];\"sum\"=[" PLAIN(1) "#;];};\n");
    world_release(&world);
}

Test(lookups, show_versions_of_deleted_rows_too)
{
    struct machine_world world;
    start(&world);
    world_do(&world, META, "insert_rows", UPDATE, "{key=1;value=a}");
    world_do(&world, META, "delete_rows", T, "{key=1}");
    assert_text(
        look(&world, VERSIONS, "{key=1};{key=2}"),
        "<\"write_timestamps\"=[T1;];\"delete_timestamps\"=[T2;];>{\"key\"=1;\"value\"=[" PLAIN(
            1) "\"a\";];};\n");
    assert_text(
        look(&world, "{path=\"//tmp/t\";versioned=%true;keep_missing_rows=%true}", "{key=2}"),
        "#;\n");
    world_release(&world);
}

Test(lookups, of_versions_take_columns_and_a_timestamp)
{
    struct machine_world world;
    start(&world);
    world_do(&world, META, "insert_rows", T, "{key=1;value=a;sum=1}");
    const char *timestamp = world_do(&world, META, "generate_timestamp", "{}", NULL);
    world_do(&world, META, "insert_rows", T, "{key=1;value=b;sum=2}");
    const char *parameters = world_text(
        &world,
        "{path=\"//tmp/t\";versioned=%%true;column_names=[sum];timestamp=%.19su}",
        timestamp);
    assert_text(
        look(&world, parameters, "{key=1}"),
        "<\"write_timestamps\"=[T1;];\"delete_timestamps\"=[];>{\"sum\"=[" PLAIN(1) "1;];};\n");
    world_release(&world);
}

Test(lookups, show_when_each_value_was_written)
{
    struct machine_world world;
    start(&world);
    world_do(&world, META, "insert_rows", UPDATE, "{key=1;value=a}");
    assert_text(
        look(&world, LATEST, "{key=1}"),
        "{\"key\"=1;\"value\"=\"a\";\"sum\"=#;\"$timestamp:value\"=T1;\"$timestamp:sum\"=#;};\n");
    world_do(&world, META, "insert_rows", T, "{key=1;value=b}");
    world_do(&world, META, "insert_rows", ADD, "{key=1;sum=3}");
    assert_text(
        look(&world, LATEST, "{key=1}"),
        "{\"key\"=1;\"value\"=\"b\";\"sum\"=3;\"$timestamp:value\"=T1;\"$timestamp:sum\"=T2;};\n");
    // A delete takes the timestamps with it.
    world_do(&world, META, "delete_rows", T, "{key=1}");
    assert_text(look(&world, LATEST, "{key=1}"), "");
    world_do(&world, META, "insert_rows", UPDATE, "{key=1;value=c}");
    assert_text(
        look(&world, "{path=\"//tmp/t\";with_timestamps=%true}", "{key=1}"),
        "{\"key\"=1;\"value\"=\"c\";\"sum\"=#;\"$timestamp:value\"=T1;\"$timestamp:sum\"=#;};\n");
    assert_text(
        look(
            &world,
            "{path=\"//tmp/t\";with_timestamps=%true;column_names=[\"$timestamp:value\";key]}",
            "{key=1}"),
        "{\"$timestamp:value\"=T1;\"key\"=1;};\n");
    world_release(&world);
}

// Replicas keep the timestamps of the meta-cluster, so it does not matter who is asked.
Test(lookups, of_versions_go_through_replicated_tables)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_do(&world, META, "insert_rows", T, "{key=1;value=a}");
    world_do(&world, META, "insert_rows", T, "{key=1;value=b}");
    const char *through = world_do(&world, META, "lookup_rows", VERSIONS, "{key=1}");
    const char *direct =
        world_do(&world, REPLICA, "lookup_rows", "{path=\"//tmp/r\";versioned=%true}", "{key=1}");
    assert_text(through, direct);
    cr_assert(strstr(through, "\"b\";") != NULL, "%s", through);
    through = world_do(&world, META, "lookup_rows", LATEST, "{key=1}");
    cr_assert(strstr(through, "$timestamp:value") != NULL, "%s", through);
    world_release(&world);
}

Test(lookups, refuse_what_does_not_go_together)
{
    struct machine_world world;
    start(&world);
    static const struct {
        const char *command;
        const char *parameters;
        int code;
        const char *text;
    } CASES[] = {
        {"lookup_rows",
         "{path=\"//tmp/t\";versioned=%true;with_timestamps=%true}",
         1,
         "Cannot specify both \"versioned\" and \"versioned_read_options\""},
        {"lookup_rows",
         "{path=\"//tmp/t\";versioned_read_options={read_mode=all}}",
         1,
         "Unknown \"versioned_read_options/read_mode\" \"all\""},
        {"lookup_rows",
         "{path=\"//tmp/t\";versioned_read_options=latest_timestamp}",
         1,
         "must be a map"},
        {"lookup_rows",
         "{path=\"//tmp/t\";column_names=[\"$timestamp:value\"]}",
         1726,
         "No such column \"$timestamp:value\""},
        {"lookup_rows",
         "{path=\"//tmp/t\";with_timestamps=%true;column_names=[\"$timestamp:key\"]}",
         1726,
         "No such column \"$timestamp:key\""},
        {"select_rows",
         "{query=\"* from [//tmp/t]\";with_timestamps=%true}",
         1,
         "Queries cannot read timestamps of values"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        assert_refused(
            &world,
            META,
            CASES[i].command,
            CASES[i].parameters,
            "{key=1}",
            CASES[i].code,
            CASES[i].text);
    }
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// Versions that are not kept

#define MINUTE (60 * SECOND)

static void remount_with(struct machine_world *world, const char *attribute, const char *value)
{
    const char *path = world_text(world, "{path=\"//tmp/t/@%s\"}", attribute);
    world_do(world, META, "set", path, value);
    world_do(world, META, "remount_table", T, NULL);
}

static const char *at(struct machine_world *world, const char *timestamp)
{
    return world_text(world, "{path=\"//tmp/t\";timestamp=%.19su}", timestamp);
}

static const char *count_writes(struct machine_world *world)
{
    const char *row = look(world, VERSIONS, "{key=1}");
    const char *end = strchr(row, ']');
    cr_assert(end != NULL, "%s", row);
    return world_text(world, "%.*s", (int)(end - row), row);
}

Test(lookups, of_versions_older_than_min_data_ttl_are_refused)
{
    struct machine_world world;
    start(&world);
    remount_with(&world, "min_data_ttl", "600000");
    world_do(&world, META, "insert_rows", T, "{key=1;value=a};{key=2;value=a}");
    const char *before = world_do(&world, META, "generate_timestamp", "{}", NULL);
    world_do(&world, META, "insert_rows", T, "{key=1;value=b}");
    world_do(&world, META, "delete_rows", T, "{key=2}");
    world_run(&world, 9 * MINUTE);
    const char *row = "{\"key\"=1;\"value\"=\"a\";\"sum\"=#;};\n";
    assert_text(look(&world, at(&world, before), "{key=1}"), row);
    world_run(&world, 6 * MINUTE);
    const char *text = "is less than retained timestamp";
    assert_refused(&world, META, "lookup_rows", at(&world, before), "{key=1}", 1, text);
    const char *query = world_text(&world, "{query=\"* from [//tmp/t]\";timestamp=%.19su}", before);
    assert_refused(&world, META, "select_rows", query, NULL, 1, text);
    assert_text(count_writes(&world), "<\"write_timestamps\"=[T1;");
    assert_text(look(&world, T, "{key=1}"), "{\"key\"=1;\"value\"=\"b\";\"sum\"=#;};\n");
    assert_text(look(&world, VERSIONS, "{key=2}"), ""); // Nothing is left of what is deleted.

    // A restart does not forget what cannot be read.
    const char *retained =
        world_do(&world, META, "get", "{path=\"//tmp/t/@retained_timestamp\"}", NULL);
    world_restart(&world, META);
    assert_text(
        world_do(&world, META, "get", "{path=\"//tmp/t/@retained_timestamp\"}", NULL), retained);
    assert_refused(&world, META, "lookup_rows", at(&world, before), "{key=1}", 1, text);
    world_release(&world);
}

Test(lookups, show_as_many_versions_as_max_data_versions_keeps)
{
    struct machine_world world;
    start(&world);
    world_do(&world, META, "set", "{path=\"//tmp/t/@max_data_ttl\"}", "86400000");
    remount_with(&world, "max_data_versions", "3");
    for (int i = 0; i < 5; i++) {
        world_do(&world, META, "insert_rows", UPDATE, world_text(&world, "{key=1;sum=%d}", i));
    }
    assert_text(count_writes(&world), "<\"write_timestamps\"=[T5;T4;T3;T2;T1;");
    world_run(&world, 40 * MINUTE);
    assert_text(count_writes(&world), "<\"write_timestamps\"=[T3;T2;T1;");
    assert_text(look(&world, T, "{key=1}"), "{\"key\"=1;\"value\"=#;\"sum\"=4;};\n");
    world_release(&world);
}

Test(lookups, find_no_rows_that_have_expired)
{
    struct machine_world world;
    start(&world);
    world_do(&world, META, "set", "{path=\"//tmp/t/@min_data_versions\"}", "0");
    world_do(&world, META, "set", "{path=\"//tmp/t/@min_data_ttl\"}", "0");
    remount_with(&world, "max_data_ttl", "1200000");
    world_do(&world, META, "insert_rows", T, "{key=1;value=a}");
    world_run(&world, 15 * MINUTE);
    world_do(&world, META, "insert_rows", T, "{key=2;value=b}");
    world_run(&world, 10 * MINUTE);
    assert_text(look(&world, T, "{key=1};{key=2}"), "{\"key\"=2;\"value\"=\"b\";\"sum\"=#;};\n");
    world_run(&world, 15 * MINUTE);
    assert_text(look(&world, T, "{key=1};{key=2}"), "");
    world_release(&world);
}

// A replica that is behind keeps what it needs to show its last consistent state.
Test(lookups, of_a_replica_that_is_behind_are_not_refused)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    const char *write = "{path=\"//tmp/t\";require_sync_replica=%false}";
    world_do(&world, META, "insert_rows", write, "{key=1;value=a}");
    world_run(&world, SECOND);
    world_do(&world, META, "insert_rows", write, "{key=1;value=b}");
    world_run(&world, SECOND);
    world_unlink(&world);
    world_do(&world, META, "insert_rows", write, "{key=1;value=c}");
    world_run(&world, 50 * MINUTE);
    const char *consistent = "{path=\"//tmp/r\";timestamp=last_consistent}";
    assert_text(
        world_do(&world, REPLICA, "lookup_rows", consistent, "{key=1}"),
        "{\"key\"=1;\"value\"=\"b\";\"sum\"=#;};\n");
    world_link(&world);
    world_run(&world, 50 * MINUTE);
    assert_text(
        world_do(&world, REPLICA, "lookup_rows", consistent, "{key=1}"),
        "{\"key\"=1;\"value\"=\"c\";\"sum\"=#;};\n");
    world_release(&world);
}
