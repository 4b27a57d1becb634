// reshard_table of a range of tablets, and of tables that hold rows or have replicas (behaviour
// 3.4).
#include "machine_world.h"

TestSuite(reshard, .fini = abort_on_leaks);

#define S "{path=\"//tmp/s\"}"
#define O "{path=\"//tmp/o\"}"

static void make(struct machine_world *world, const char *type, const char *path, const char *rest)
{
    const char *text =
        world_text(world, "{type=%s;path=\"%s\";attributes={dynamic=%%true;%s}}", type, path, rest);
    world_do(world, META, "create", text, NULL);
}

#define SORTED  "schema=[{name=k;type=int64;sort_order=ascending};{name=v;type=string}]"
#define ORDERED "schema=[{name=v;type=string}]"

static const char *pivots(struct machine_world *world)
{
    return world_get(world, META, "//tmp/s/@pivot_keys");
}

Test(reshard, changes_the_tablets_of_a_range_and_no_others)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "replicated_table", "//tmp/s", "pivot_keys=[[];[10];[20];[30]];" SORTED);
    const char *first = world_get(&world, META, "//tmp/s/@tablets/0/tablet_id");
    const char *last = world_get(&world, META, "//tmp/s/@tablets/3/tablet_id");
    world_do(
        &world,
        META,
        "reshard_table",
        "{path=\"//tmp/s\";first_tablet_index=1;last_tablet_index=2;"
        "pivot_keys=[[10];[15];[18];[29]]}",
        NULL);
    assert_text(pivots(&world), "[[];[10;];[15;];[18;];[29;];[30;];]");
    assert_text(world_get(&world, META, "//tmp/s/@tablets/0/tablet_id"), first);
    assert_text(world_get(&world, META, "//tmp/s/@tablets/5/tablet_id"), last);
    assert_text(world_get(&world, META, "//tmp/s/@tablets/5/index"), "5");
    assert_text(world_get(&world, META, world_text(&world, "#%s/@index", last)), "5");
    world_do(
        &world,
        META,
        "reshard_table",
        "{path=\"//tmp/s\";first_tablet_index=0;last_tablet_index=4;pivot_keys=[[]]}",
        NULL);
    assert_text(pivots(&world), "[[];[30;];]");
    world_restart(&world, META);
    assert_text(pivots(&world), "[[];[30;];]");
    assert_text(world_get(&world, META, "//tmp/s/@tablets/1/tablet_id"), last);
    world_release(&world);
}

Test(reshard, of_a_range_keeps_between_its_neighbours)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "replicated_table", "//tmp/s", "pivot_keys=[[];[10];[20];[30]];" SORTED);
    make(&world, "table", "//tmp/o", "tablet_count=3;" ORDERED);
    const struct {
        const char *parameters;
        int code;
        const char *text;
    } cases[] = {
        {"{path=\"//tmp/s\";first_tablet_index=1;last_tablet_index=2;pivot_keys=[[11];[12]]}",
         1,
         "First pivot key must match that of the first tablet in the resharded range"},
        {"{path=\"//tmp/s\";first_tablet_index=1;last_tablet_index=2;pivot_keys=[[];[12]]}",
         1,
         "First pivot key must match that of the first tablet in the resharded range"},
        {"{path=\"//tmp/s\";first_tablet_index=1;last_tablet_index=2;pivot_keys=[[10];[30]]}",
         1,
         "Last pivot key must be strictly less than that of the tablet which follows the resharded "
         "range"},
        {"{path=\"//tmp/s\";first_tablet_index=0;last_tablet_index=0;pivot_keys=[[];[11]]}",
         1,
         "Last pivot key must be strictly less than that of the tablet which follows the resharded "
         "range"},
        {"{path=\"//tmp/s\";first_tablet_index=2;last_tablet_index=1;pivot_keys=[[20]]}",
         1,
         "Invalid tablet range"},
        {"{path=\"//tmp/s\";last_tablet_index=4;pivot_keys=[[]]}", 1, "Invalid tablet range"},
        {"{path=\"//tmp/o\";first_tablet_index=0;last_tablet_index=0;tablet_count=1023}",
         1,
         "Tablet count cannot exceed the limit of 1024"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(
            &world, META, "reshard_table", cases[i].parameters, NULL, cases[i].code, cases[i].text);
    }
    // Only the range must be unmounted.
    world_do(
        &world,
        META,
        "mount_table",
        "{path=\"//tmp/s\";first_tablet_index=3;last_tablet_index=3}",
        NULL);
    world_do(
        &world,
        META,
        "reshard_table",
        "{path=\"//tmp/s\";first_tablet_index=0;last_tablet_index=2;pivot_keys=[[];[29]]}",
        NULL);
    assert_text(pivots(&world), "[[];[29;];[30;];]");
    assert_refused(
        &world,
        META,
        "reshard_table",
        "{path=\"//tmp/s\";pivot_keys=[[]]}",
        NULL,
        1706,
        "Cannot reshard table since tablet");
    world_release(&world);
}

Test(reshard, spreads_integer_keys_evenly_if_asked)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "table", "//tmp/s", SORTED);
    const char *uniform = "{path=\"//tmp/s\";tablet_count=2;uniform=%true}";
    world_do(&world, META, "reshard_table", uniform, NULL);
    assert_text(pivots(&world), "[[];[-1;];]");
    assert_refused(
        &world,
        META,
        "reshard_table",
        "{path=\"//tmp/s\";tablet_count=2}",
        NULL,
        1,
        "Pivot keys must be provided");
    world_release(&world);
}

Test(reshard, leaves_the_rows_of_ordered_tablets_where_they_are)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "table", "//tmp/o", "tablet_count=2;" ORDERED);
    world_do(&world, META, "mount_table", O, NULL);
    const char *rows = "{v=a;\"$tablet_index\"=0};{v=b;\"$tablet_index\"=1};"
                       "{v=c;\"$tablet_index\"=1}";
    world_do(&world, META, "insert_rows", O, rows);
    world_do(&world, META, "unmount_table", O, NULL);
    world_do(&world, META, "reshard_table", "{path=\"//tmp/o\";tablet_count=4}", NULL);
    world_do(&world, META, "mount_table", O, NULL);
    world_do(&world, META, "insert_rows", O, "{v=d;\"$tablet_index\"=3}");
    const char *query = "{query=\"[$tablet_index] as t, [$row_index] as i, v from [//tmp/o]\"}";
    const char *all = "{\"t\"=0;\"i\"=0;\"v\"=\"a\";};\n{\"t\"=1;\"i\"=0;\"v\"=\"b\";};\n"
                      "{\"t\"=1;\"i\"=1;\"v\"=\"c\";};\n{\"t\"=3;\"i\"=0;\"v\"=\"d\";};\n";
    assert_text(world_do(&world, META, "select_rows", query, NULL), all);

    // A tablet that still has rows is not taken away; one whose rows are trimmed is.
    world_do(&world, META, "unmount_table", O, NULL);
    const char *fewer = "{path=\"//tmp/o\";tablet_count=3}";
    assert_refused(&world, META, "reshard_table", fewer, NULL, 1, "not fully trimmed");
    world_do(&world, META, "mount_table", O, NULL);
    world_do(
        &world, META, "trim_rows", "{path=\"//tmp/o\";tablet_index=3;trimmed_row_count=1}", NULL);
    world_do(&world, META, "unmount_table", O, NULL);
    world_do(&world, META, "reshard_table", fewer, NULL);
    world_restart(&world, META);
    assert_text(world_get(&world, META, "//tmp/o/@tablet_count"), "3");
    assert_text(world_get(&world, META, "//tmp/o/@tablets/1/flushed_row_count"), "2");
    world_release(&world);
}

// Behaviour 16.14.
Test(reshard, is_refused_when_the_log_is_empty_but_has_a_history)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/s", "//tmp/r", "sync");
    world_do(&world, META, "set", "{path=\"//tmp/s/@min_replication_log_ttl\"}", "0");
    world_do(&world, META, "remount_table", S, NULL);
    world_do(&world, META, "insert_rows", S, "{key=1}");
    world_wait(&world, META, world_text(&world, "#%s/@tablets/0/trimmed_row_count", id), "1");
    world_do(&world, META, "unmount_table", S, NULL);
    world_wait(&world, META, "//tmp/s/@tablet_state", "unmounted");
    assert_refused(
        &world,
        META,
        "reshard_table",
        "{path=\"//tmp/s\";pivot_keys=[[];[1]]}",
        NULL,
        1,
        "Cannot reshard non-empty table of type \"replicated_table\"");
    world_release(&world);
}

Test(reshard, is_followed_by_replicas_that_had_a_session_already)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/s", "//tmp/r", "sync");
    world_run(&world, SECOND); // The session opens, and the replica remembers its one tablet.
    world_do(&world, META, "unmount_table", S, NULL);
    world_do(&world, META, "reshard_table", "{path=\"//tmp/s\";pivot_keys=[[];[5];[9]]}", NULL);
    assert_text(world_get(&world, META, world_text(&world, "#%s/@tablets/2/state", id)), "none");
    world_do(&world, META, "mount_table", S, NULL);
    world_do(&world, META, "insert_rows", S, "{key=1};{key=6};{key=11}");
    world_restart(&world, REPLICA);
    world_do(&world, META, "insert_rows", S, "{key=2};{key=7};{key=12}");
    const char *keys = world_do(
        &world,
        REPLICA,
        "select_rows",
        "{query=\"sum(key) as s from [//tmp/r] group by 1\"}",
        NULL);
    assert_text(keys, "{\"s\"=39;};\n");
    world_release(&world);
}

// The replica's own tablets are its own affair.
Test(reshard, of_a_replicas_table_does_not_disturb_replication)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/s", "//tmp/r", "sync");
    world_do(&world, META, "insert_rows", S, "{key=1};{key=6}");
    world_do(&world, REPLICA, "unmount_table", "{path=\"//tmp/r\"}", NULL);
    world_wait(&world, REPLICA, "//tmp/r/@tablet_state", "unmounted");
    world_do(&world, REPLICA, "reshard_table", "{path=\"//tmp/r\";pivot_keys=[[];[5]]}", NULL);
    world_do(&world, REPLICA, "mount_table", "{path=\"//tmp/r\"}", NULL);
    world_run(&world, 5 * SECOND); // The backoff is over.
    world_do(&world, META, "insert_rows", S, "{key=2};{key=7}");
    const char *rows = world_do(
        &world, META, "lookup_rows", "{path=\"//tmp/s\";column_names=[key]}", "{key=1};{key=7}");
    assert_text(rows, "{\"key\"=1;};\n{\"key\"=7;};\n");
    world_release(&world);
}
