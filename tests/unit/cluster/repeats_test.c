// Commands that are repeated under the same mutation id.
#include "machine_world.h"

TestSuite(repeats, .fini = abort_on_leaks);

static void refuse(
    struct machine_world *world, const char *command, const char *parameters, int code)
{
    cr_assert(eq(ptr, (void *)world_try(world, META, command, parameters, NULL), NULL));
    cr_assert(error_says(world->error, code, ""), "not %d", code);
}

Test(repeats, are_answered_like_the_first)
{
    struct machine_world world;
    world_init(&world, 1);
    const char *create = "{type=map_node;path=\"//tmp/a\";mutation_id=\"1-2-3-4\"}";
    const char *id = world_text(&world, "%s", world_ask(&world, "create", create));
    assert_text(world_ask(&world, "create", create), id);
    const char *removal = "{path=\"//tmp/a\";mutation_id=\"1-2-3-5\"}";
    world_ask(&world, "remove", removal);
    world_ask(&world, "create", "{type=map_node;path=\"//tmp/a\"}");
    world_ask(&world, "remove", removal); // Says that it is done, and does nothing.
    assert_text(world_ask(&world, "exists", "{path=\"//tmp/a\"}"), "%true");
    assert_text(world_ask(&world, "create", create), id);
    world_release(&world);
}

Test(repeats, hear_the_same_error)
{
    struct machine_world world;
    world_init(&world, 1);
    const char *create = "{type=map_node;path=\"//tmp/a\";mutation_id=\"1-2-3-4\"}";
    world_ask(&world, "create", "{type=map_node;path=\"//tmp/a\"}");
    refuse(&world, "create", create, 501);
    world_ask(&world, "remove", "{path=\"//tmp/a\"}");
    refuse(&world, "create", create, 501);
    assert_text(world_ask(&world, "exists", "{path=\"//tmp/a\"}"), "%false");
    world_release(&world);
}

Test(repeats, are_known_after_a_crash)
{
    struct machine_world world;
    world_init(&world, 1);
    const char *create = "{type=map_node;path=\"//tmp/a\";mutation_id=\"1-2-3-4\"}";
    const char *id = world_text(&world, "%s", world_ask(&world, "create", create));
    const char *start = "{type=tablet;mutation_id=\"1-2-3-6\"}";
    const char *transaction =
        world_text(&world, "%s", world_ask(&world, "start_transaction", start));
    assert_text(world_ask(&world, "start_transaction", start), transaction);
    const char *abort_it =
        world_text(&world, "{transaction_id=%s;mutation_id=\"1-2-3-7\"}", transaction);
    world_ask(&world, "abort_transaction", abort_it);
    world_ask(&world, "abort_transaction", abort_it);
    world_restart(&world, META);
    assert_text(world_ask(&world, "create", create), id);
    world_ask(&world, "abort_transaction", abort_it);
    world_release(&world);
}

Test(repeats, are_forgotten_after_a_while)
{
    struct machine_world world;
    world_init(&world, 1);
    const char *create = "{type=map_node;path=\"//tmp/a\";mutation_id=\"1-2-3-4\"}";
    world_ask(&world, "create", create);
    for (int i = 0; i < 9; i++) world_run(&world, 60 * SECOND);
    world_ask(&world, "create", create);
    for (int i = 0; i < 2; i++) world_run(&world, 60 * SECOND);
    refuse(&world, "create", create, 501);
    world_release(&world);
}

Test(repeats, of_a_batch_repeat_its_parts)
{
    struct machine_world world;
    world_init(&world, 1);
    const char *batch =
        "{mutation_id=\"1-2-3-4\";requests=[{command=create;parameters={type=map_node;"
        "path=\"//tmp/a\"}};{command=create;parameters={type=map_node;path=\"//tmp/b\"}}]}";
    const char *first = world_text(&world, "%s", world_ask(&world, "execute_batch", batch));
    cr_assert(eq(ptr, (void *)strstr(first, "error"), NULL));
    assert_text(world_ask(&world, "execute_batch", batch), first);
    world_release(&world);
}

Test(repeats, do_not_mix_with_commits)
{
    struct machine_world world;
    world_init(&world, 1);
    world_ask(&world, "create", "{type=map_node;path=\"//tmp/a\";mutation_id=\"1-2-3-4\"}");
    world_ask(
        &world,
        "create",
        "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;schema=[{name=k;type=int64;"
        "sort_order=ascending};{name=v;type=int64}]}}");
    world_ask(&world, "mount_table", "{path=\"//tmp/t\"}");
    assert_refused(
        &world,
        META,
        "insert_rows",
        "{path=\"//tmp/t\";mutation_id=\"1-2-3-4\"}",
        "{k=1}",
        1,
        "Mutation id 1-2-3-4 is that of another request");
    world_release(&world);
}
