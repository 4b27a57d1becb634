// Errors of replication: kept for each tablet and replica, blocking nothing else (behaviour 7.6).
#include "rules.h"

TestSuite(errors, .fini = abort_on_leaks);

// A replicated table of three tablets, and a replica that is stricter: it wants a value.
static const char *make(struct machine_world *world, const char *mode)
{
    world_init(world, 2);
    rules_table(
        world,
        META,
        "replicated_table",
        "//tmp/t",
        "pivot_keys=[[];[10];[20]];schema=[" KEY ";{name=value;type=string}]");
    return rules_replica(
        world,
        "//tmp/r",
        world_text(world, "mode=%s", mode),
        "schema=[" KEY ";{name=value;type=string;required=%true}]");
}

static const char *tablet(struct machine_world *world, const char *id, int index, const char *name)
{
    return world_get(world, META, world_text(world, "#%s/@tablets/%d/%s", id, index, name));
}

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static bool lacks(const char *text, const char *part)
{
    return !has(text, part);
}

Test(errors, of_one_tablet_block_this_tablet_alone)
{
    struct machine_world world;
    const char *id = make(&world, "async");
    rules_insert(&world, "{key=1};{key=11;value=a};{key=21;value=b}");
    rules_wait(&world, id, "error_count", "1");
    assert_text(tablet(&world, id, 0, "has_error"), "%true");
    assert_text(tablet(&world, id, 1, "has_error"), "%false");
    for (int i = 2; i < 7; i++) { // The others go on all the while.
        const char *rows = world_text(&world, "{key=1%d;value=c};{key=2%d;value=d}", i, i);
        rules_insert(&world, rows);
        world_run(&world, SECOND);
        const char *count = world_text(&world, "%d", i);
        assert_text(tablet(&world, id, 1, "current_replication_row_index"), count);
        assert_text(tablet(&world, id, 2, "current_replication_row_index"), count);
    }
    assert_text(tablet(&world, id, 0, "current_replication_row_index"), "0");
    assert_text(tablet(&world, id, 0, "has_error"), "%true");
    assert_text(world_get(&world, META, "//tmp/t/@tablets/0/replication_error_count"), "1");
    assert_text(world_get(&world, META, "//tmp/t/@tablets/1/replication_error_count"), "0");
    assert_text(
        world_get(&world, META, world_text(&world, "//tmp/t/@replicas/%s/error_count", id)), "1");

    // It goes on when the replica's table takes the row.
    world_do(&world, REPLICA, "unmount_table", R, NULL);
    world_wait(&world, REPLICA, "//tmp/r/@tablet_state", "unmounted");
    world_do(
        &world,
        REPLICA,
        "alter_table",
        "{path=\"//tmp/r\";schema=[" KEY ";{name=value;type=string}]}",
        NULL);
    world_do(&world, REPLICA, "mount_table", R, NULL);
    rules_wait(&world, id, "tablets/0/current_replication_row_index", "1");
    rules_wait(&world, id, "error_count", "0");
    world_release(&world);
}

Test(errors, are_told_with_their_tablets_and_up_to_a_limit)
{
    struct machine_world world;
    const char *id = make(&world, "async");
    const char *none = "{\"tablet_errors\"={};\"replication_errors\"={};}";
    assert_text(world_do(&world, META, "get_tablet_errors", T, NULL), none);
    rules_insert(&world, "{key=1};{key=11;value=a};{key=21}");
    rules_wait(&world, id, "error_count", "2");
    const char *all = world_do(&world, META, "get_tablet_errors", T, NULL);
    const char *first = world_get(&world, META, "//tmp/t/@tablets/0/tablet_id");
    const char *last = world_get(&world, META, "//tmp/t/@tablets/2/tablet_id");
    cr_assert(has(all, "Required column \\\"value\\\" cannot have \\\"null\\\" value"));
    cr_assert(has(all, id) && has(all, first) && has(all, last));
    cr_assert(lacks(all, "incomplete"));
    cr_assert(lacks(all, world_get(&world, META, "//tmp/t/@tablets/1/tablet_id")));

    const char *one =
        world_do(&world, META, "get_tablet_errors", "{path=\"//tmp/t\";limit=1}", NULL);
    cr_assert(has(one, first) && lacks(one, last));
    cr_assert(has(one, "\"incomplete\"=%true"));
    const char *two =
        world_do(&world, META, "get_tablet_errors", "{path=\"//tmp/t\";limit=2}", NULL);
    assert_text(two, all);
    assert_refused(
        &world,
        META,
        "get_tablet_errors",
        "{path=\"//tmp/t\";limit=0}",
        NULL,
        1,
        "\"limit\" must be positive");

    const char *infos = world_do(
        &world,
        META,
        "get_tablet_infos",
        "{path=\"//tmp/t\";tablet_indexes=[0;1];request_errors=%true}",
        NULL);
    cr_assert(has(infos, "\"replication_error\""));
    infos =
        world_do(&world, META, "get_tablet_infos", "{path=\"//tmp/t\";tablet_indexes=[0;1]}", NULL);
    cr_assert(lacks(infos, "\"replication_error\""));
    world_release(&world);
}

// Behaviour 5.6: a row fine for the log and wrong for a sync replica fails the whole write.
Test(errors, of_a_sync_replica_fail_the_write_at_once_and_leave_nothing)
{
    struct machine_world world;
    make(&world, "sync");
    uint64_t before_us = world.now_us;
    const char *done = world_try(&world, META, "insert_rows", T, "{key=1};{key=11;value=a}");
    cr_assert(eq(ptr, (void *)done, NULL));
    cr_assert(error_says(world.error, 307, "Required column \"value\" cannot have \"null\" value"));
    cr_assert(lt(u64, world.now_us - before_us, SECOND));
    world_do(&world, META, "insert_rows", T, "{key=2;value=a};{key=12;value=b}");
    const char *rows =
        world_do(&world, META, "select_rows", "{query=\"key from [//tmp/t]\"}", NULL);
    assert_text(rows, "{\"key\"=2;};\n{\"key\"=12;};\n");
    world_release(&world);
}

Test(errors, are_forgotten_when_the_replica_is_disabled)
{
    struct machine_world world;
    const char *id = make(&world, "async");
    rules_insert(&world, "{key=1};{key=21}");
    rules_wait(&world, id, "error_count", "2");
    const char *disable = world_text(&world, "{replica_id=\"%s\";enabled=%%false}", id);
    world_do(&world, META, "alter_table_replica", disable, NULL);
    world_run(&world, 10 * SECOND);
    rules_wait(&world, id, "error_count", "0");
    assert_text(tablet(&world, id, 0, "has_error"), "%false");
    world_release(&world);
}

// Behaviour 3.2.
Test(errors, are_what_inspection_of_an_unmounted_tablet_gets)
{
    struct machine_world world;
    make(&world, "async");
    const char *infos = "{path=\"//tmp/t\";tablet_indexes=[0;1]}";
    world_do(&world, META, "freeze_table", T, NULL);
    world_wait(&world, META, "//tmp/t/@tablet_state", "frozen");
    world_do(&world, META, "get_tablet_infos", infos, NULL);
    world_do(
        &world,
        META,
        "unmount_table",
        "{path=\"//tmp/t\";first_tablet_index=1;last_tablet_index=1}",
        NULL);
    world_wait(&world, META, "//tmp/t/@tablets/1/state", "unmounted");
    assert_refused(
        &world,
        META,
        "get_tablet_infos",
        infos,
        NULL,
        1702,
        "of table //tmp/t is in \"unmounted\"");
    world_do(&world, META, "get_tablet_infos", "{path=\"//tmp/t\";tablet_indexes=[0]}", NULL);
    world_release(&world);
}

Test(errors, pivot_keys_are_given_as_maps_or_lists)
{
    struct machine_world world;
    make(&world, "async");
    assert_text(
        world_do(&world, META, "get_table_pivot_keys", T, NULL),
        "[{};{\"key\"=10;};{\"key\"=20;};]");
    assert_text(
        world_do(
            &world,
            META,
            "get_table_pivot_keys",
            "{path=\"//tmp/t\";represent_key_as_list=%true}",
            NULL),
        "[[];[10;];[20;];]");
    world_release(&world);
}
