// Rights on replicated tables: on the meta-cluster and on those of the replicas.
#include "machine_world.h"

TestSuite(access_replicas, .fini = abort_on_leaks);

// Two users, known on both clusters, and a table with a replica; bob may not write the replica's.
static const char *start_replicated(struct machine_world *world, const char *mode)
{
    world_init(world, 2);
    const char *id = world_replicate(world, "//tmp/t", "//tmp/r", mode);
    for (int node = META; node <= REPLICA; node++) {
        world_create_user(world, node, "alice");
        world_create_user(world, node, "bob");
    }
    world_do(
        world,
        REPLICA,
        "set",
        "{path=\"//tmp/r/@acl\"}",
        "[{action=deny;subjects=[bob];permissions=[write]}]");
    return id;
}

#define SELECT_T "{query=\"key from [//tmp/t]\"}"
#define SELECT_R "{query=\"key from [//tmp/r]\"}"
#define INSERT   "{path=\"//tmp/t\"}"
#define ASYNC    "{path=\"//tmp/t\";require_sync_replica=%false}"

Test(access_replicas, a_read_is_checked_on_the_replicas_cluster_too)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_create_user(&world, META, "alice");
    world.user = "alice";
    // Who is not known there cannot read there.
    assert_refused(
        &world,
        META,
        "lookup_rows",
        "{path=\"//tmp/t\"}",
        "{key=1}",
        900,
        "No such user \"alice\"");
    world.user = NULL;
    world_do(&world, REPLICA, "create", "{type=user;attributes={name=alice}}", NULL);
    world.user = "alice";
    assert_text(world_do(&world, META, "lookup_rows", "{path=\"//tmp/t\"}", "{key=1}"), "");
    world_do(&world, META, "select_rows", "{query=\"* from [//tmp/t]\"}", NULL);
    world.user = NULL;
    world_do(
        &world,
        REPLICA,
        "set",
        "{path=\"//tmp/r/@acl\"}",
        "[{action=deny;subjects=[alice];permissions=[read]}]");
    world.user = "alice";
    assert_refused(&world, META, "lookup_rows", "{path=\"//tmp/t\"}", "{key=1}", 901, "//tmp/r");
    assert_refused(
        &world, META, "select_rows", "{query=\"* from [//tmp/t]\"}", NULL, 901, "//tmp/r");
    world.user = NULL;
    world_release(&world);
}

Test(access_replicas, a_replica_has_the_acl_of_its_table)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    world_create_user(&world, META, "alice");
    world_set(&world, META, "//tmp/t/@acl", "[{action=deny;subjects=[alice];permissions=[read]}]");
    const char *effective = world_text(&world, "#%s/@effective_acl", id);
    assert_text(
        world_get(&world, META, effective), world_get(&world, META, "//tmp/t/@effective_acl"));
    const char *acl = world_text(&world, "{path=\"#%s/@acl\"}", id);
    assert_refused(&world, META, "get", acl, NULL, 500, "acl");
    assert_refused(&world, META, "set", acl, "[]", 1, "has no attribute \"acl\" of its own");
    const char *tablet = world_get(&world, META, "//tmp/t/@tablets/0/tablet_id");
    world.user = "alice";
    const char *state = world_text(&world, "{path=\"#%s/@state\"}", id);
    assert_refused(&world, META, "get", state, NULL, 901, "table replica");
    const char *of_tablet = world_text(&world, "{path=\"#%s/@state\"}", tablet);
    assert_refused(&world, META, "get", of_tablet, NULL, 901, "node //tmp/t");
    world.user = NULL;
    world_release(&world);
}

Test(access_replicas, a_write_is_checked_on_the_cluster_of_a_synchronous_replica)
{
    struct machine_world world;
    start_replicated(&world, "sync");
    world.user = "bob";
    cr_assert(eq(ptr, (void *)world_try(&world, META, "insert_rows", INSERT, "{key=1}"), NULL));
    cr_assert(error_says(world.error, 901, "refuses its rows"));
    cr_assert(error_says(
        world.error,
        901,
        "Access denied for user \"bob\": \"write\" permission for node //tmp/r is denied for "
        "\"bob\" by ACE at node //tmp/r"));
    // Others go on, and what was refused is nowhere.
    world.user = "alice";
    world_do(&world, META, "insert_rows", INSERT, "{key=2}");
    world.user = NULL;
    world_do(&world, META, "insert_rows", INSERT, "{key=3}");
    assert_text(
        world_do(&world, META, "select_rows", SELECT_T, NULL), "{\"key\"=2;};\n{\"key\"=3;};\n");
    assert_text(
        world_do(&world, REPLICA, "select_rows", SELECT_R, NULL), "{\"key\"=2;};\n{\"key\"=3;};\n");
    // Who is not known there is refused there.
    world_do(&world, META, "create", "{type=user;attributes={name=carol}}", NULL);
    world.user = "carol";
    cr_assert(eq(ptr, (void *)world_try(&world, META, "insert_rows", INSERT, "{key=4}"), NULL));
    cr_assert(error_says(world.error, 901, "there is no such user on cluster \"replica\""));
    // Superusers are not asked about.
    world.user = NULL;
    world_do(&world, META, "add_member", "{member=bob;group=superusers}", NULL);
    world.user = "bob";
    world_do(&world, META, "insert_rows", INSERT, "{key=5}");
    world.user = NULL;
    world_release(&world);
}

Test(access_replicas, an_asynchronous_replica_takes_what_the_log_has)
{
    struct machine_world world;
    start_replicated(&world, "async");
    world.user = "bob";
    world_do(&world, META, "insert_rows", ASYNC, "{key=1}");
    world.user = NULL;
    world_run(&world, SECOND);
    assert_text(world_do(&world, REPLICA, "select_rows", SELECT_R, NULL), "{\"key\"=1;};\n");
    world_release(&world);
}

// C9: a record that recovery has made committed is asked about by nobody.
Test(access_replicas, what_is_committed_is_not_refused_any_more)
{
    struct machine_world world;
    start_replicated(&world, "sync");
    world.user = "bob";
    world.is_link_held = true;
    world_begin(&world, META, "insert_rows", INSERT, "{key=1}");
    world.is_link_held = false;
    world_restart(&world, META);
    world.user = NULL;
    world_run(&world, 5 * SECOND);
    assert_text(world_do(&world, META, "select_rows", SELECT_T, NULL), "{\"key\"=1;};\n");
    assert_text(world_do(&world, REPLICA, "select_rows", SELECT_R, NULL), "{\"key\"=1;};\n");
    world_release(&world);
}

// What one replica refuses is aborted, and then in nobody's way.
Test(access_replicas, a_write_that_is_refused_holds_nobody_up)
{
    struct machine_world world;
    start_replicated(&world, "sync");
    uint64_t begin_us = world.now_us;
    for (int i = 0; i < 10; i++) {
        world.user = "bob";
        cr_assert(eq(ptr, (void *)world_try(&world, META, "insert_rows", INSERT, "{key=1}"), NULL));
        cr_assert(error_says(world.error, 901, "refuses its rows"));
        world.user = "alice";
        world_do(&world, META, "insert_rows", INSERT, world_text(&world, "{key=%d}", i + 2));
    }
    cr_assert(lt(u64, world.now_us - begin_us, 10 * MS));
    world.user = NULL;
    const char *count = "{query=\"sum(1) as n from [//tmp/r] group by 1\"}";
    assert_text(world_do(&world, REPLICA, "select_rows", count, NULL), "{\"n\"=10;};\n");
    world_release(&world);
}

// A write of two tables is refused as a whole by one replica.
Test(access_replicas, a_transaction_is_refused_as_a_whole)
{
    struct machine_world world;
    start_replicated(&world, "sync");
    world_replicate(&world, "//tmp/t2", "//tmp/r2", "sync");
    world.user = "bob";
    const char *id = world_ask(&world, "start_transaction", "{type=tablet}");
    world_do(
        &world,
        META,
        "insert_rows",
        world_text(&world, "{path=\"//tmp/t2\";transaction_id=%s}", id),
        "{key=1}");
    world_do(
        &world,
        META,
        "insert_rows",
        world_text(&world, "{path=\"//tmp/t\";transaction_id=%s}", id),
        "{key=1}");
    const char *commit = world_text(&world, "{transaction_id=%s}", id);
    cr_assert(eq(ptr, (void *)world_try(&world, META, "commit_transaction", commit, NULL), NULL));
    cr_assert(error_says(world.error, 901, "\"write\" permission for node //tmp/r is denied"));
    world.user = NULL;
    world_run(&world, SECOND);
    assert_text(world_do(&world, META, "select_rows", SELECT_T, NULL), "");
    assert_text(world_do(&world, META, "select_rows", "{query=\"key from [//tmp/t2]\"}", NULL), "");
    world_release(&world);
}
