// Commands about the service itself, and batches of commands.
#include "machine_world.h"

TestSuite(service, .fini = abort_on_leaks);

Test(service, tells_about_itself_and_its_users)
{
    struct machine_world world;
    world_init(&world, 1);
    assert_text(world_ask(&world, "get_current_user", "{}"), "{\"user\"=\"root\";}");
    const char *version = world_ask(&world, "get_version", "{}");
    cr_assert(eq(int, version[0], '"'));
    const char *features = world_ask(&world, "get_supported_features", "{}");
    cr_assert(ne(ptr, strstr(features, "{\"features\"={\"primitive_types\"=[\"int8\";"), NULL));
    const struct {
        const char *command;
        const char *parameters;
        int code;
        const char *text;
    } cases[] = {
        {"discover_proxies", "{type=rpc}", 1, "Proxies of type \"rpc\" are not offered"},
        {"discover_proxies", "{type=http}", 1, "not known here"},
        {"parse_ypath", "{path=\"//tmp[\"}", 1, "//tmp["},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(
            &world,
            META,
            cases[i].command,
            cases[i].parameters,
            NULL,
            cases[i].code,
            cases[i].text);
    }
    world_release(&world);
}

// The commands of behaviour.md, section 14: each is known by its name, and none does anything
// without being told what to.
Test(service, section_14_commands_are_known_by_their_names)
{
    static const char *const NAMES[] = {
        "create",
        "get",
        "set",
        "exists",
        "list",
        "remove",
        "copy",
        "move",
        "mount_table",
        "unmount_table",
        "remount_table",
        "freeze_table",
        "unfreeze_table",
        "reshard_table",
        "alter_table",
        "alter_table_replica",
        "insert_rows",
        "delete_rows",
        "lock_rows",
        "lookup_rows",
        "select_rows",
        "trim_rows",
        "commit_transaction",
        "abort_transaction",
        "lock",
        "get_in_sync_replicas",
        "get_tablet_infos",
        "get_tablet_errors",
    };
    struct machine_world world;
    world_init(&world, 1);
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        assert_refused(&world, META, NAMES[i], "{}", NULL, 0, "");
        bool is_unknown = error_says(world.error, 0, "Unknown command");
        cr_assert(not(is_unknown), "%s", NAMES[i]);
    }
    assert_refused(&world, META, "mount-table", "{}", NULL, 1, "Unknown command");
    world_ask(&world, "start_transaction", "{type=tablet}");
    world_ask(&world, "generate_timestamp", "{}");
    // A replicated table trims its log by itself.
    world_ask(
        &world,
        "create",
        "{type=replicated_table;path=\"//tmp/t\";attributes={dynamic=%true;"
        "schema=[{name=a;type=int64}]}}");
    assert_refused(
        &world,
        META,
        "trim_rows",
        "{path=\"//tmp/t\";tablet_index=0;trimmed_row_count=0}",
        NULL,
        1,
        "A replicated table cannot be trimmed");
    world_release(&world);
}

Test(service, parses_paths)
{
    struct machine_world world;
    world_init(&world, 1);
    assert_text(world_ask(&world, "parse_ypath", "{path=\"//tmp/t\"}"), "\"//tmp/t\"");
    assert_text(
        world_ask(&world, "parse_ypath", "{path=\" <append=%true>//tmp/t\"}"),
        "<\"append\"=%true;>\"//tmp/t\"");
    world_release(&world);
}

Test(service, answers_each_command_of_a_batch)
{
    struct machine_world world;
    world_init(&world, 1);
    assert_text(world_ask(&world, "execute_batch", "{requests=[]}"), "[]");
    const char *results = world_ask(
        &world,
        "execute_batch",
        "{requests=[{command=set;parameters={path=\"//tmp/a\"};input=5};"
        "{command=get;parameters={path=\"//tmp/a\"}};"
        "{command=get;parameters={path=\"//tmp/b\"}};"
        "{command=exists;parameters={path=\"//tmp/a\"}};"
        "{command=lookup_rows;parameters={path=\"//tmp/a\"}};"
        "{command=execute_batch;parameters={requests=[]}};"
        "{command=fly};5;{command=get;parameters=5};"
        "{command=set;parameters={path=\"//tmp/m/@\"};input={}}]}");
    cr_assert(
        eq(ptr, strstr(results, "[{};{\"output\"=5;};{\"error\"={\"code\"=500;"), (void *)results),
        "%s",
        results);
    const char *const parts[] = {
        "{\"output\"=%true;}",
        "Command \\\"lookup_rows\\\" cannot be part of a batch",
        "Command \\\"execute_batch\\\" cannot be part of a batch",
        "Unknown command \\\"fly\\\"",
        "A request must be a map",
        "\\\"parameters\\\" of a request must be a map",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        cr_assert(ne(ptr, strstr(results, parts[i]), NULL), "%s is not in %s", parts[i], results);
    }
    assert_refused(&world, META, "execute_batch", "{}", NULL, 1, "\"requests\" must be a list");
    world_restart(&world, META);
    assert_text(world_get(&world, META, "//tmp/a"), "5");
    world_release(&world);
}

// A commit in a batch is answered later than the rest, and the batch with it.
Test(service, waits_for_all_commands_of_a_batch)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    const char *quoted = world_ask(&world, "start_transaction", "{type=tablet}");
    const char *rows = world_text(&world, "{path=\"//tmp/t\";transaction_id=%s}", quoted);
    world_do(&world, META, "insert_rows", rows, "{key=1}");
    world.is_link_held = true;
    const char *batch = world_text(
        &world,
        "{requests=[{command=commit_transaction;parameters={transaction_id=%s}};"
        "{command=exists;parameters={path=\"//tmp\"}}]}",
        quoted);
    struct request *request = world_begin(&world, META, "execute_batch", batch, NULL);
    cr_assert(not(world_is_answered(&world, request)));
    world.is_link_held = false;
    assert_text(world_finish(&world, request), "[{};{\"output\"=%true;};]");

    // One that will never be answered is forgotten with its machine.
    quoted = world_ask(&world, "start_transaction", "{type=tablet}");
    rows = world_text(&world, "{path=\"//tmp/t\";transaction_id=%s}", quoted);
    world_do(&world, META, "insert_rows", rows, "{key=2}");
    world.is_link_held = true;
    batch = world_text(
        &world,
        "{requests=[{command=exists;parameters={path=\"//tmp\"}};"
        "{command=commit_transaction;parameters={transaction_id=%s}}]}",
        quoted);
    world_begin(&world, META, "execute_batch", batch, NULL);
    world_release(&world);
}

Test(service, replicas_are_enabled_and_disabled_by_commands_of_their_own)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    const char *parameters = world_text(&world, "{replica_id=\"%s\"}", id);
    const char *state = world_text(&world, "#%s/@state", id);
    world_ask(&world, "disable_table_replica", parameters);
    world_wait(&world, META, state, "disabled");
    world_ask(&world, "disable_table_replica", parameters);
    world_ask(&world, "enable_table_replica", parameters);
    assert_text(world_get(&world, META, state), "enabled");
    assert_refused(
        &world, META, "enable_table_replica", "{replica_id=\"1-2-3-4\"}", NULL, 500, "1-2-3-4");
    world_release(&world);
}
