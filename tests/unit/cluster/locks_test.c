// Master transactions and the locks of nodes that they hold.
#include "machine_world.h"

TestSuite(locks, .fini = abort_on_leaks);

static const char *run(struct machine_world *world, const char *command, const char *parameters)
{
    return world_do(world, META, command, parameters, NULL);
}

static const char *start(struct machine_world *world)
{
    const char *quoted = run(world, "start_transaction", "{type=master;timeout=10000}");
    return world_text(world, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
}

static void refuse(
    struct machine_world *world,
    const char *command,
    const char *parameters,
    const char *input,
    int code,
    const char *text)
{
    assert_refused(world, META, command, parameters, input, code, text);
}

static const char *locking(
    struct machine_world *world, const char *id, const char *path, const char *more)
{
    return world_text(world, "{transaction_id=\"%s\";path=\"%s\";%s}", id, path, more);
}

static const char *in(struct machine_world *world, const char *id)
{
    return world_text(world, "{transaction_id=\"%s\"}", id);
}

Test(locks, exclude_other_locks_and_end_with_their_transaction)
{
    struct machine_world world;
    world_init(&world, 1);
    const char *a = start(&world);
    const char *b = start(&world);
    cr_assert(ne(ptr, strstr(a, "-10001-"), NULL), "%s is of type 1", a);
    const char *answer = run(&world, "lock", locking(&world, a, "//tmp", ""));
    cr_assert(ne(ptr, strstr(answer, "\"lock_id\""), NULL));
    cr_assert(ne(ptr, strstr(answer, world_get(&world, META, "//tmp/@id")), NULL));
    const char *text = world_text(
        &world,
        "Cannot take \"exclusive\" lock for node //tmp since \"exclusive\" lock is taken by "
        "concurrent transaction %s",
        a);
    refuse(&world, "lock", locking(&world, b, "//tmp", ""), NULL, 402, text);
    refuse(&world, "lock", locking(&world, b, "//tmp", "mode=shared"), NULL, 402, "taken by");
    run(&world, "lock", locking(&world, a, "//tmp", "mode=shared")); // One's own do no harm.
    run(&world, "lock", locking(&world, b, "//home", ""));
    assert_text(world_get(&world, META, "//tmp/@lock_count"), "2");
    assert_text(world_get(&world, META, "//tmp/@locks/0/mode"), "exclusive");
    assert_text(world_get(&world, META, "//tmp/@locks/0/transaction_id"), a);

    run(&world, "unlock", locking(&world, a, "//tmp", ""));
    run(&world, "lock", locking(&world, b, "//tmp", "mode=shared"));
    run(&world, "lock", locking(&world, a, "//tmp", "mode=shared"));
    run(&world, "commit_transaction", in(&world, b));
    assert_text(world_get(&world, META, "//tmp/@lock_count"), "1");
    run(&world, "abort_transaction", in(&world, a));
    assert_text(world_get(&world, META, "//tmp/@lock_count"), "0");
    refuse(&world, "commit_transaction", in(&world, a), NULL, 11000, "No such transaction");
    refuse(&world, "ping_transaction", in(&world, b), NULL, 11000, "No such transaction");
    world_release(&world);
}

Test(locks, end_when_their_transaction_is_not_pinged)
{
    struct machine_world world;
    world_init(&world, 1);
    const char *a = start(&world);
    const char *b = start(&world);
    run(&world, "lock", locking(&world, a, "//tmp", ""));
    run(&world, "lock", locking(&world, b, "//home", ""));
    for (int i = 0; i < 4; i++) {
        world_run(&world, 4 * SECOND);
        run(&world, "ping_transaction", in(&world, a));
    }
    assert_text(world_get(&world, META, "//tmp/@lock_count"), "1");
    assert_text(world_get(&world, META, "//home/@lock_count"), "0");
    world_restart(&world, META); // As if it had not been pinged.
    assert_text(world_get(&world, META, "//tmp/@lock_count"), "0");
    refuse(&world, "ping_transaction", in(&world, a), NULL, 11000, "No such transaction");
    world_release(&world);
}

Test(locks, of_children_and_attributes_exclude_their_like)
{
    struct machine_world world;
    world_init(&world, 1);
    const char *a = start(&world);
    const char *b = start(&world);
    run(&world, "lock", locking(&world, a, "//tmp", "mode=shared;child_key=x"));
    run(&world, "lock", locking(&world, a, "//tmp", "mode=shared;attribute_key=y"));
    run(&world, "lock", locking(&world, b, "//tmp", "mode=shared;child_key=y"));
    run(&world, "lock", locking(&world, b, "//tmp", "mode=shared"));
    const char *same = locking(&world, b, "//tmp", "mode=shared;child_key=x");
    refuse(&world, "lock", same, NULL, 402, "taken by");
    refuse(&world, "set", "{path=\"//tmp/x\"}", "1", 402, "taken by");
    refuse(&world, "set", "{path=\"//tmp/@y\"}", "1", 402, "taken by");
    refuse(&world, "multiset_attributes", "{path=\"//tmp/@\"}", "{z=1;y=2}", 402, "taken by");
    world_do(&world, META, "set", "{path=\"//tmp/z\"}", "1");
    world_do(&world, META, "set", "{path=\"//tmp/@x\"}", "1");
    world_release(&world);
}

Test(locks, keep_off_changes)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    world_do(&world, META, "set", "{path=\"//tmp/m\"}", "{n={k=1}}");
    world_do(&world, META, "set", "{path=\"//tmp/d\"}", "1");
    const char *a = start(&world);
    run(&world, "lock", locking(&world, a, "//tmp/t", ""));
    run(&world, "lock", locking(&world, a, "//tmp/m/n", "mode=shared"));
    run(&world, "lock", locking(&world, a, "//tmp/d", "mode=shared"));
    const struct {
        const char *command;
        const char *parameters;
        const char *input;
    } cases[] = {
        {"set", "{path=\"//tmp/d\"}", "2"},
        {"set", "{path=\"//tmp/m\";force=%true}", "{}"},
        {"set", "{path=\"//tmp/t/@mine\"}", "2"},
        {"remove", "{path=\"//tmp/m\"}", NULL},
        {"remove", "{path=\"//tmp/t\"}", NULL},
        {"remove", "{path=\"//tmp/d\"}", NULL},
        {"move", "{source_path=\"//tmp/m\";destination_path=\"//tmp/m2\"}", NULL},
        {"copy", "{source_path=\"//tmp/r\";destination_path=\"//tmp/d\";force=%true}", NULL},
        {"freeze_table", "{path=\"//tmp/t\"}", NULL},
        {"unmount_table", "{path=\"//tmp/t\"}", NULL},
        {"remount_table", "{path=\"//tmp/t\"}", NULL},
        {"alter_table", "{path=\"//tmp/t\"}", NULL},
        {"reshard_table", "{path=\"//tmp/t\";pivot_keys=[[]]}", NULL},
        // Behaviour 4.1: replicas lock their table.
        {"create",
         "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;replica_path="
         "\"//tmp/x\"}}",
         NULL},
    };
    world_do(&world, META, "copy", "{source_path=\"//tmp/d\";destination_path=\"//tmp/r\"}", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refuse(&world, cases[i].command, cases[i].parameters, cases[i].input, 402, "taken by");
    }
    const char *remove = world_text(&world, "{path=\"#%s\"}", id);
    refuse(&world, "remove", remove, NULL, 402, "taken by");
    const char *alter = world_text(&world, "{replica_id=\"%s\";mode=sync}", id);
    refuse(&world, "alter_table_replica", alter, NULL, 402, "taken by");
    // Rows are another matter, and so are reads.
    world_do(
        &world, META, "insert_rows", "{path=\"//tmp/t\";require_sync_replica=%false}", "{key=1}");
    world_get(&world, META, "//tmp/m/n/k");
    run(&world, "commit_transaction", in(&world, a));
    world_do(&world, META, "set", "{path=\"//tmp/d\"}", "2");
    world_release(&world);
}

Test(locks, and_master_transactions_refuse_what_they_do_not_do)
{
    struct machine_world world;
    world_init(&world, 1);
    const char *a = start(&world);
    const char *quoted = run(&world, "start_transaction", "{type=tablet}");
    const char *tablet = world_text(&world, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;schema=[{name=k;type=int64;"
        "sort_order=ascending};{name=v;type=string}]}}",
        NULL);
    run(&world, "mount_table", "{path=\"//tmp/t\"}");
    const char *not_offered = "Changes in a master transaction are not offered";
    const struct {
        const char *command;
        const char *parameters;
        const char *input;
        int code;
        const char *text;
    } cases[] = {
        {"set", locking(&world, a, "//tmp/x", ""), "1", 1, not_offered},
        {"create", locking(&world, a, "//tmp/x", "type=map_node"), NULL, 1, not_offered},
        {"remove", locking(&world, a, "//tmp/t", ""), NULL, 1, not_offered},
        {"mount_table", locking(&world, a, "//tmp/t", ""), NULL, 1, not_offered},
        {"start_transaction", in(&world, a), NULL, 1, "within transactions are not offered"},
        {"start_transaction", "{type=cow}", NULL, 1, "Unknown transaction type \"cow\""},
        {"lock", "{path=\"//tmp\"}", NULL, 1, "give \"transaction_id\""},
        {"lock", locking(&world, "1-2-3-4", "//tmp", ""), NULL, 11000, "No such transaction"},
        {"lock", locking(&world, tablet, "//tmp", ""), NULL, 1, "is not a master transaction"},
        {"lock", locking(&world, a, "//tmp", "waitable=%true"), NULL, 1, "Waitable locks"},
        {"lock", locking(&world, a, "//tmp", "mode=snapshot"), NULL, 1, "\"snapshot\" are not"},
        {"lock", locking(&world, a, "//tmp", "child_key=x"), NULL, 1, "A shared lock may have"},
        {"lock", locking(&world, a, "//tmp/@x", ""), NULL, 1, "An attribute cannot be locked"},
        {"lock", locking(&world, a, "//x", ""), NULL, 500, "//x"},
        {"insert_rows",
         locking(&world, a, "//tmp/t", ""),
         "{k=1}",
         1,
         "is not a tablet transaction"},
        {"lookup_rows",
         locking(&world, a, "//tmp/t", ""),
         "{k=1}",
         1,
         "is not a tablet transaction"},
        {"get", locking(&world, tablet, "//tmp", ""), NULL, 1, "is not a master transaction"},
        {"get", locking(&world, "1-2-3-4", "//tmp", ""), NULL, 11000, "No such transaction"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refuse(
            &world,
            cases[i].command,
            cases[i].parameters,
            cases[i].input,
            cases[i].code,
            cases[i].text);
    }
    run(&world, "get", locking(&world, a, "//tmp/t/@type", ""));
    world_release(&world);
}
