// Replication of ordered tables: $tablet_index, $timestamp, where a replica starts; and options of
// a replica that change while it works.
#include "tests/unit/cluster/machine_world.h"

TestSuite(ordered, .fini = abort_on_leaks);

#define T       "{path=\"//tmp/t\"}"
#define R       "{path=\"//tmp/r\"}"
#define NO_SYNC "{path=\"//tmp/t\";require_sync_replica=%false}"
#define SCHEMA  "schema=[{name=v;type=int64};{name=\"$timestamp\";type=uint64}]"

static void make_table(struct machine_world *world, const char *more)
{
    world_init(world, 2);
    const char *text = world_text(
        world,
        "{type=replicated_table;path=\"//tmp/t\";attributes={dynamic=%%true;%s" SCHEMA "}}",
        more);
    world_do(world, META, "create", text, NULL);
    world_do(world, META, "mount_table", T, NULL);
}

static const char *make_replica(struct machine_world *world, const char *more, int tablet_count)
{
    const char *text = world_text(
        world,
        "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;replica_path="
        "\"//tmp/r\";enabled=%%true;%s}}",
        more);
    const char *quoted = world_do(world, META, "create", text, NULL);
    bool is_bound = strstr(more, "preserve_timestamps=%false") == NULL;
    text = world_text(
        world,
        "{type=table;path=\"//tmp/r\";attributes={dynamic=%%true;tablet_count=%d;%s%s;" SCHEMA "}}",
        tablet_count,
        is_bound ? "upstream_replica_id=" : "a=",
        quoted);
    world_do(world, REPLICA, "create", text, NULL);
    world_do(world, REPLICA, "mount_table", R, NULL);
    world_run(world, 5 * SECOND);
    return world_text(world, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
}

static const char *rows_of(struct machine_world *world, int node, const char *columns)
{
    const char *query = world_text(
        world,
        "{query=\"%s from [%s] order by t, i limit 100\"}",
        columns,
        node == META ? "//tmp/t" : "//tmp/r");
    return world_do(world, node, "select_rows", query, NULL);
}

#define PLACES "[$tablet_index] as t, [$row_index] as i, v"

static void wait_for_index(
    struct machine_world *world, const char *id, int tablet, const char *value)
{
    const char *path =
        world_text(world, "#%s/@tablets/%d/current_replication_row_index", id, tablet);
    world_wait(world, META, path, value);
}

Test(ordered, rows_keep_their_tablet_index_if_asked)
{
    const char *const modes[] = {"mode=async", "mode=sync"};
    for (int i = 0; i < 2; i++) {
        struct machine_world world;
        make_table(&world, "tablet_count=3;preserve_tablet_index=%true;");
        const char *id = make_replica(&world, modes[i], 3);
        world_do(
            &world,
            META,
            "insert_rows",
            NO_SYNC,
            "{v=1;\"$tablet_index\"=2};{v=2;\"$tablet_index\"=0};{v=3;\"$tablet_index\"=2}");
        wait_for_index(&world, id, 2, "2");
        wait_for_index(&world, id, 0, "1");
        assert_text(
            rows_of(&world, REPLICA, PLACES),
            "{\"t\"=0;\"i\"=0;\"v\"=2;};\n{\"t\"=2;\"i\"=0;\"v\"=1;};\n{\"t\"=2;\"i\"=1;\"v\"=3;};"
            "\n");
        world_release(&world);
    }
}

Test(ordered, tablet_indexes_are_preserved_only_between_as_many_tablets)
{
    struct machine_world world;
    make_table(&world, "tablet_count=2;preserve_tablet_index=%true;");
    const char *id = make_replica(&world, "", 1);
    world_do(&world, META, "insert_rows", NO_SYNC, "{v=1;\"$tablet_index\"=1}");
    const char *text = "Tablet indexes are to be preserved, but the replicated table has 2 tablets "
                       "and the replica table has 1";
    const char *errors = "";
    for (int i = 0; i < 50 && !strstr(errors, text); i++) {
        world_run(&world, 100 * MS);
        errors = world_do(&world, META, "get_tablet_errors", T, NULL);
    }
    cr_assert(ne(ptr, strstr(errors, text), NULL), "%s", errors);
    // Without the wish they go anywhere. It takes effect with a remount.
    world_do(&world, META, "set", "{path=\"//tmp/t/@preserve_tablet_index\"}", "%false");
    world_do(&world, META, "remount_table", T, NULL);
    wait_for_index(&world, id, 1, "1");
    assert_text(rows_of(&world, REPLICA, PLACES), "{\"t\"=0;\"i\"=0;\"v\"=1;};\n");
    world_release(&world);
}

Test(ordered, rows_have_the_original_timestamps_if_these_are_preserved)
{
    struct machine_world world;
    make_table(&world, "");
    const char *id = make_replica(&world, "", 1);
    world_do(&world, META, "insert_rows", NO_SYNC, "{v=1}");
    wait_for_index(&world, id, 0, "1");
    const char *stamp = world_get(&world, META, "//tmp/t/@last_commit_timestamp");
    assert_text(
        rows_of(&world, REPLICA, PLACES ", [$timestamp] as s"),
        world_text(&world, "{\"t\"=0;\"i\"=0;\"v\"=1;\"s\"=%s;};\n", stamp));
    world_release(&world);
}

Test(ordered, rows_have_the_replicas_timestamps_if_they_are_not)
{
    struct machine_world world;
    make_table(&world, "");
    const char *id = make_replica(&world, "preserve_timestamps=%false", 1);
    // The clocks of this world agree; so that timestamps differ, one has given out more.
    for (int i = 0; i < 3; i++) world_do(&world, REPLICA, "generate_timestamp", "{}", NULL);
    world_do(&world, META, "insert_rows", NO_SYNC, "{v=1}");
    wait_for_index(&world, id, 0, "1");
    const char *stamp = world_get(&world, META, "//tmp/t/@last_commit_timestamp");
    const char *own = world_get(&world, REPLICA, "//tmp/r/@last_commit_timestamp");
    cr_assert(ne(str, (char *)own, (char *)stamp));
    assert_text(
        rows_of(&world, REPLICA, PLACES ", [$timestamp] as s"),
        world_text(&world, "{\"t\"=0;\"i\"=0;\"v\"=1;\"s\"=%s;};\n", own));
    // Behaviour 16.20: it is a table like others.
    world_do(&world, REPLICA, "insert_rows", R, "{v=2}");
    world_do(&world, META, "insert_rows", NO_SYNC, "{v=3}");
    wait_for_index(&world, id, 0, "2");
    assert_text(
        rows_of(&world, REPLICA, PLACES),
        "{\"t\"=0;\"i\"=0;\"v\"=1;};\n{\"t\"=0;\"i\"=1;\"v\"=2;};\n{\"t\"=0;\"i\"=2;\"v\"=3;};\n");
    world_release(&world);
}

// Behaviour 7.3.
Test(ordered, replicas_start_at_their_row_indexes)
{
    struct machine_world world;
    make_table(&world, "tablet_count=2;");
    for (int i = 0; i < 4; i++) {
        const char *rows =
            world_text(&world, "{v=%d;\"$tablet_index\"=0};{v=%d;\"$tablet_index\"=1}", i, 10 + i);
        world_do(&world, META, "insert_rows", NO_SYNC, rows);
    }
    const char *id = make_replica(&world, "start_replication_row_indexes=[3;4]", 2);
    wait_for_index(&world, id, 0, "4");
    wait_for_index(&world, id, 1, "4");
    world_do(&world, META, "insert_rows", NO_SYNC, "{v=14;\"$tablet_index\"=1}");
    wait_for_index(&world, id, 1, "5");
    assert_text(
        rows_of(&world, REPLICA, PLACES),
        "{\"t\"=0;\"i\"=0;\"v\"=3;};\n{\"t\"=1;\"i\"=0;\"v\"=14;};\n");
    world_release(&world);
}

Test(ordered, replicas_start_after_their_timestamp)
{
    struct machine_world world;
    make_table(&world, "");
    world_do(&world, META, "insert_rows", NO_SYNC, "{v=1}");
    world_do(&world, META, "insert_rows", NO_SYNC, "{v=2}");
    const char *stamp = world_get(&world, META, "//tmp/t/@last_commit_timestamp");
    world_do(&world, META, "insert_rows", NO_SYNC, "{v=3}");
    const char *more = world_text(&world, "start_replication_timestamp=%s", stamp);
    const char *id = make_replica(&world, more, 1);
    wait_for_index(&world, id, 0, "3");
    assert_text(rows_of(&world, REPLICA, PLACES), "{\"t\"=0;\"i\"=0;\"v\"=3;};\n");
    world_release(&world);
}

// A session is told of a change, whoever it suits.
Test(ordered, preserve_timestamps_changes_under_a_running_session)
{
    struct machine_world world;
    make_table(&world, "");
    const char *id = make_replica(&world, "", 1);
    world_do(&world, META, "insert_rows", NO_SYNC, "{v=1}");
    wait_for_index(&world, id, 0, "1");
    const char *change = world_text(&world, "{replica_id=\"%s\";preserve_timestamps=%%false}", id);
    world_do(&world, META, "alter_table_replica", change, NULL);
    world_do(&world, META, "insert_rows", NO_SYNC, "{v=2}");
    wait_for_index(&world, id, 0, "2");
    const char *stamp = world_get(&world, META, "//tmp/t/@last_commit_timestamp");
    cr_assert(ne(
        str, (char *)world_get(&world, REPLICA, "//tmp/r/@last_commit_timestamp"), (char *)stamp));
    change = world_text(&world, "{replica_id=\"%s\";preserve_timestamps=%%true}", id);
    world_do(&world, META, "alter_table_replica", change, NULL);
    world_do(&world, META, "insert_rows", NO_SYNC, "{v=3}");
    wait_for_index(&world, id, 0, "3");
    stamp = world_get(&world, META, "//tmp/t/@last_commit_timestamp");
    assert_text(world_get(&world, REPLICA, "//tmp/r/@last_commit_timestamp"), stamp);
    assert_text(
        rows_of(&world, REPLICA, PLACES),
        "{\"t\"=0;\"i\"=0;\"v\"=1;};\n{\"t\"=0;\"i\"=1;\"v\"=2;};\n{\"t\"=0;\"i\"=2;\"v\"=3;};\n");
    world_release(&world);
}
