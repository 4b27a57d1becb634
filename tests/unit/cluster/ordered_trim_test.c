// Rows of ordered tables that expire by themselves.
#include "machine_world.h"

TestSuite(ordered_trim, .fini = abort_on_leaks);

#define T "{path=\"//tmp/t\"}"

static void make(struct machine_world *world, const char *attributes)
{
    world_init(world, 1);
    const char *parameters = world_text(
        world,
        "{type=table;path=\"//tmp/t\";attributes={dynamic=%%true;%s;schema=[{name=v;type=int64}]}}",
        attributes);
    world_do(world, META, "create", parameters, NULL);
    world_do(world, META, "mount_table", T, NULL);
}

static void insert(struct machine_world *world, int tablet, int value)
{
    world_do(
        world,
        META,
        "insert_rows",
        T,
        world_text(world, "{v=%d;\"$tablet_index\"=%d}", value, tablet));
}

static const char *trimmed(struct machine_world *world, int tablet)
{
    const char *path = world_text(world, "//tmp/t/@tablets/%d/trimmed_row_count", tablet);
    return world_get(world, META, path);
}

// Four rows, 600 s apart; then, 300 s after the last, what has gone.
Test(ordered_trim, rows_expire_by_the_tables_attributes)
{
    static const struct {
        const char *attributes;
        const char *trimmed;
    } ROWS[] = {
        {"a=1", "0"}, // By default none.
        {"min_data_ttl=0;max_data_ttl=0", "0"},
        {"min_data_versions=0;min_data_ttl=0;max_data_ttl=0", "4"},
        {"min_data_versions=0;min_data_ttl=0;max_data_ttl=0;row_count_to_keep=1", "3"},
        {"min_data_versions=0;min_data_ttl=0;max_data_ttl=0;row_count_to_keep=5", "0"},
        {"min_data_versions=0;min_data_ttl=0;max_data_ttl=1200000", "2"},
        {"min_data_versions=0;min_data_ttl=1200000;max_data_ttl=0", "2"}, // The greater one.
        {"min_data_versions=0;min_data_ttl=0;max_data_ttl=1200000;row_count_to_keep=3", "1"},
        {"min_data_versions=0;max_data_versions=0;min_data_ttl=600000;max_data_ttl=9999999", "3"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct machine_world world;
        make(&world, ROWS[i].attributes);
        for (int j = 0; j < 4; j++) {
            if (j > 0) world_run(&world, 600 * SECOND);
            insert(&world, 0, j);
        }
        world_run(&world, 300 * SECOND);
        cr_assert(
            eq(str, (char *)trimmed(&world, 0), (char *)ROWS[i].trimmed),
            "%s: %s",
            ROWS[i].attributes,
            trimmed(&world, 0));
        // The others are there, under their indexes.
        const char *query = "{query=\"sum(1) as n, min([$row_index]) as i from [//tmp/t] group by "
                            "1 as one\"}";
        const char *rows = world_do(&world, META, "select_rows", query, NULL);
        int first = ROWS[i].trimmed[0] - '0';
        const char *expected =
            first < 4 ? world_text(&world, "{\"n\"=%d;\"i\"=%d;};\n", 4 - first, first) : "";
        assert_text(rows, expected);
        world_restart(&world, META);
        assert_text(trimmed(&world, 0), ROWS[i].trimmed);
        insert(&world, 0, 9);
        assert_text(world_get(&world, META, "//tmp/t/@tablets/0/flushed_row_count"), "5");
        world_release(&world);
    }
}

Test(ordered_trim, each_tablet_expires_for_itself_and_only_while_mounted)
{
    struct machine_world world;
    make(
        &world,
        "tablet_count=3;min_data_versions=0;max_data_ttl=0;min_data_ttl=0;"
        "row_count_to_keep=1");
    for (int i = 0; i < 5; i++) insert(&world, 0, i);
    for (int i = 0; i < 3; i++) insert(&world, 1, i);
    insert(&world, 2, 1);
    world_do(
        &world,
        META,
        "freeze_table",
        "{path=\"//tmp/t\";first_tablet_index=0;last_tablet_index=0}",
        NULL);
    world_run(&world, 300 * SECOND);
    assert_text(trimmed(&world, 0), "0");
    assert_text(trimmed(&world, 1), "2");
    assert_text(trimmed(&world, 2), "0");
    world_do(
        &world,
        META,
        "unfreeze_table",
        "{path=\"//tmp/t\";first_tablet_index=0;last_tablet_index=0}",
        NULL);
    world_run(&world, 300 * SECOND);
    assert_text(trimmed(&world, 0), "4");
    world_release(&world);
}

// More than a step takes.
Test(ordered_trim, goes_on_in_steps)
{
    struct machine_world world;
    make(&world, "min_data_versions=0;max_data_ttl=0;min_data_ttl=0");
    CLEANUP(buffer_releasep) struct buffer rows = {0};
    for (int i = 0; i < 3000; i++) buffer_print(&rows, "{v=%d};", i);
    buffer_append_byte(&rows, 0);
    for (int i = 0; i < 2; i++) world_do(&world, META, "insert_rows", T, rows.data);
    world_run(&world, 300 * SECOND);
    assert_text(trimmed(&world, 0), "6000");
    world_release(&world);
}
