// Every command of the table asks for its permission on its object before it has any effect
// (access-checked): with that permission alone it is not denied, without it it is, and changes
// nothing.
#include "cluster/commands/commands.h"
#include "machine_world.h"
#include "model/rowset.h"

TestSuite(access_commands, .fini = abort_on_leaks);

struct trial {
    const char *command;
    const char *parameters; // %s stands for the replica's id.
    const char *input;
    const char *object; // That the permission is needed for.
    const char *permission;
};

static const struct trial TRIALS[] = {
    {"create", "{type=map_node;path=\"//tmp/d/x\"}", NULL, "//tmp/d", "write"},
    {"create", "{type=map_node;path=\"//tmp/d/x\"}", NULL, "//tmp/d", "modify_children"},
    {"create", "{type=map_node;path=\"//tmp/d\";force=%%true}", NULL, "//tmp/d", "remove"},
    {"create",
     "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;"
     "replica_path=\"//tmp/other\"}}",
     NULL,
     "//tmp/t",
     "write"},
    {"create",
     "{type=table_collocation;attributes={table_paths=[\"//tmp/t\"]}}",
     NULL,
     "//tmp/t",
     "write"},
    {"create", "{type=user;attributes={name=bob}}", NULL, "//sys/users", "write"},
    {"create", "{type=group;attributes={name=team}}", NULL, "//sys/groups", "write"},
    {"get", "{path=\"//tmp/d\"}", NULL, "//tmp/d", "read"},
    {"get", "{path=\"//tmp/d/@id\"}", NULL, "//tmp/d", "read"},
    {"get", "{path=\"#%s/@mode\"}", NULL, "//tmp/t", "read"},
    {"list", "{path=\"//tmp/d\"}", NULL, "//tmp/d", "read"},
    {"list", "{path=\"//tmp/d/@\"}", NULL, "//tmp/d", "read"},
    {"set", "{path=\"//tmp/d/x\"}", "5", "//tmp/d", "write"},
    {"set", "{path=\"//tmp/d/x\"}", "5", "//tmp/d", "modify_children"},
    {"set", "{path=\"//tmp/n\"}", "6", "//tmp/n", "write"},
    {"set", "{path=\"//tmp/doc/key\"}", "6", "//tmp/doc", "write"},
    {"set", "{path=\"//tmp/d/@x\"}", "5", "//tmp/d", "write"},
    {"set", "{path=\"//tmp/d/@acl\"}", "[]", "//tmp/d", "administer"},
    {"set", "{path=\"//tmp/d/@inherit_acl\"}", "%false", "//tmp/d", "administer"},
    {"set", "{path=\"//tmp/d/@owner\"}", "root", "//tmp/d", "administer"},
    {"set", "{path=\"#%s/@x\"}", "5", "//tmp/t", "write"},
    {"set", "{path=\"//sys/@config/enable_safe_mode\"}", "%true", "//sys", "write"},
    {"remove", "{path=\"//tmp/d/y\"}", NULL, "//tmp/d/y", "remove"},
    {"remove", "{path=\"//tmp/d/y\"}", NULL, "//tmp/d", "write|remove"},
    {"remove", "{path=\"//tmp/doc/key\"}", NULL, "//tmp/doc", "write"},
    {"remove", "{path=\"//tmp/d/@colour\"}", NULL, "//tmp/d", "write"},
    {"remove", "{path=\"//tmp/d/@acl\"}", NULL, "//tmp/d", "administer"},
    {"remove", "{path=\"#%s\"}", NULL, "//tmp/t", "write"},
    {"multiset_attributes", "{path=\"//tmp/d/@\"}", "{x=5}", "//tmp/d", "write"},
    {"mount_table", "{path=\"//tmp/o\"}", NULL, "//tmp/o", "mount"},
    {"unmount_table", "{path=\"//tmp/s\"}", NULL, "//tmp/s", "mount"},
    {"freeze_table", "{path=\"//tmp/s\"}", NULL, "//tmp/s", "mount"},
    {"unfreeze_table", "{path=\"//tmp/s\"}", NULL, "//tmp/s", "mount"},
    {"remount_table", "{path=\"//tmp/s\"}", NULL, "//tmp/s", "mount"},
    {"reshard_table", "{path=\"//tmp/o\";tablet_count=3}", NULL, "//tmp/o", "mount"},
    {"alter_table", "{path=\"//tmp/o\";dynamic=%%true}", NULL, "//tmp/o", "write"},
    {"alter_table_replica", "{replica_id=\"%s\";mode=sync}", NULL, "//tmp/t", "write"},
    {"enable_table_replica", "{replica_id=\"%s\"}", NULL, "//tmp/t", "write"},
    {"disable_table_replica", "{replica_id=\"%s\"}", NULL, "//tmp/t", "write"},
    {"trim_rows",
     "{path=\"//tmp/q\";tablet_index=0;trimmed_row_count=1}",
     NULL,
     "//tmp/q",
     "write"},
    {"insert_rows", "{path=\"//tmp/s\"}", "{key=2}", "//tmp/s", "write"},
    {"insert_rows",
     "{path=\"//tmp/t\";require_sync_replica=%%false}",
     "{key=2}",
     "//tmp/t",
     "write"},
    {"delete_rows", "{path=\"//tmp/s\"}", "{key=1}", "//tmp/s", "write"},
    {"lock_rows", "{path=\"//tmp/s\"}", "{key=1}", "//tmp/s", "write"},
    {"lookup_rows", "{path=\"//tmp/s\"}", "{key=1}", "//tmp/s", "read"},
    {"select_rows", "{query=\"* from [//tmp/s]\"}", NULL, "//tmp/s", "read"},
    {"select_rows",
     "{query=\"* from [//tmp/s2] join [//tmp/s] using key\"}",
     NULL,
     "//tmp/s",
     "read"},
    {"explain_query", "{query=\"* from [//tmp/s]\"}", NULL, "//tmp/s", "read"},
    {"get_in_sync_replicas", "{path=\"//tmp/t\";all_keys=%%true}", NULL, "//tmp/t", "read"},
    {"get_table_pivot_keys", "{path=\"//tmp/s\"}", NULL, "//tmp/s", "read"},
    {"get_tablet_infos", "{path=\"//tmp/s\";tablet_indexes=[0]}", NULL, "//tmp/s", "read"},
    {"get_tablet_errors", "{path=\"//tmp/s\"}", NULL, "//tmp/s", "read"},
    {"copy", "{source_path=\"//tmp/d\";destination_path=\"//tmp/e\"}", NULL, "//tmp/d", "read"},
    {"copy", "{source_path=\"//tmp/n\";destination_path=\"//tmp/d/n\"}", NULL, "//tmp/d", "write"},
    {"copy",
     "{source_path=\"//tmp/d\";destination_path=\"//tmp/e\";preserve_acl=%%true}",
     NULL,
     "//tmp/d",
     "administer|read"},
    {"move", "{source_path=\"//tmp/d\";destination_path=\"//tmp/e\"}", NULL, "//tmp/d", "remove"},
    {"move",
     "{source_path=\"//tmp/d/y\";destination_path=\"//tmp/y\"}",
     NULL,
     "//tmp/d",
     "write|remove"},
    {"move", "{source_path=\"//tmp/n\";destination_path=\"//tmp/d/n\"}", NULL, "//tmp/d", "write"},
    {"link", "{target_path=\"//tmp/n\";link_path=\"//tmp/d/l\"}", NULL, "//tmp/d", "write"},
    {"lock", "{path=\"//tmp/d\";transaction_id=\"1-2-3-4\"}", NULL, "//tmp/d", "write"},
    {"add_member", "{member=guest;group=superusers}", NULL, "//sys/groups/superusers", "write"},
    {"remove_member", "{member=root;group=superusers}", NULL, "//sys/groups/superusers", "write"},
    {"issue_token", "{user=replicator}", NULL, "//sys/users/replicator", "administer"},
    {"list_user_tokens", "{user=replicator}", NULL, "//sys/users/replicator", "administer"},
    {"revoke_token", "{user=root}", NULL, "//sys/users/root", "administer"},
    {"get_tracker_status", "{path=\"//tmp/t\"}", NULL, "//tmp/t", "read"},
    {"get_tracker_status", "{}", NULL, "/", "read"},
    {"get_tracker_history", "{path=\"//tmp/t\"}", NULL, "//tmp/t", "read"},
    {"get_tracker_history", "{}", NULL, "/", "read"},
    {"switch_over", "{path=\"//tmp/t\";cluster_name=replica}", NULL, "//tmp/t", "write"},
    {"wait_replicas", "{path=\"//tmp/t\"}", NULL, "//tmp/t", "read"},
    {"ban_replica_cluster", "{cluster_name=replica}", NULL, "//sys", "write"},
    {"unban_replica_cluster", "{cluster_name=replica}", NULL, "//sys", "write"},
};

enum { TRIAL_COUNT = sizeof TRIALS / sizeof *TRIALS };

static void make_table(struct machine_world *world, const char *name, const char *schema)
{
    world_ask(
        world,
        "create",
        world_text(
            world,
            "{type=table;path=\"//tmp/%s\";attributes={dynamic=%%true;schema=%s}}",
            name,
            schema));
}

// Returns the replica's id.
static const char *start(struct machine_world *world)
{
    static const char *const KEYS =
        "[{name=key;type=int64;sort_order=ascending};{name=v;type=any}]";
    world_init(world, 2);
    const char *id = world_replicate(world, "//tmp/t", "//tmp/r", "async");
    make_table(world, "s", WORLD_SCHEMA);
    make_table(world, "s2", KEYS);
    make_table(world, "o", "[{name=v;type=int64}]");
    make_table(world, "q", "[{name=v;type=int64}]");
    static const char *const MOUNTED[] = {"s", "s2", "q"};
    for (size_t i = 0; i < sizeof MOUNTED / sizeof *MOUNTED; i++)
        world_ask(world, "mount_table", world_text(world, "{path=\"//tmp/%s\"}", MOUNTED[i]));
    world_do(world, META, "insert_rows", "{path=\"//tmp/s\"}", "{key=1}");
    world_do(world, META, "insert_rows", "{path=\"//tmp/q\"}", "{v=1};{v=2}");
    world_set(world, META, "//tmp/d", "{y=1}");
    world_set(world, META, "//tmp/d/@colour", "red");
    world_set(world, META, "//tmp/n", "5");
    world_ask(world, "create", "{type=document;path=\"//tmp/doc\";attributes={value={key=5}}}");
    world_ask(world, "create", "{type=user;attributes={name=alice}}");
    world->user = NULL;
    return id;
}

static const char *text_of(
    struct machine_world *world, const struct trial *trial, const char *replica_id)
{
    return world_text(world, trial->parameters, replica_id);
}

// Gives alice, for one object, these permissions and no others; or all but these.
static void restrict_to(
    struct machine_world *world, const char *object, const char *permissions, bool is_denied)
{
    // The root of a cluster lets users do everything: all that is not the object's own stays.
    char list[64];
    snprintf(list, sizeof list, "%s", permissions);
    for (char *c = list; *c; c++) { // "a|b" as "a;b".
        if (*c == '|') *c = ';';
    }
    const char *acl = world_text(
        world,
        is_denied ? "[{action=allow;subjects=[alice];permissions=[read;write;use;administer;create;"
                    "remove;mount;manage;modify_children]};"
                    "{action=deny;subjects=[alice];permissions=[%s]}]"
                  : "[{action=allow;subjects=[alice];permissions=[%s]}]",
        list);
    char path[64];
    snprintf(path, sizeof path, "%s/@acl", object);
    world_set(world, META, path, acl);
    if (strcmp(object, "/") == 0) return;
    snprintf(path, sizeof path, "%s/@inherit_acl", object);
    world_set(world, META, path, "%false");
}

// What is denied with a permission: changes of children need one of two.
static const char *denied_with(const char *permission)
{
    bool is_of_children =
        strcmp(permission, "modify_children") == 0 || strcmp(permission, "write") == 0;
    return is_of_children ? "write;modify_children" : permission;
}

static void try_without(const struct trial *trial)
{
    struct machine_world world;
    const char *id = start(&world);
    // Of several permissions the first is the one in question.
    char first[64];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(trial->permission, "|"), trial->permission);
    restrict_to(&world, trial->object, denied_with(first), true);
    world.user = "alice";
    const char *parameters = text_of(&world, trial, id);
    assert_refused(&world, META, trial->command, parameters, trial->input, 901, first);
    world_release(&world);
}

static void try_with(const struct trial *trial)
{
    struct machine_world world;
    const char *id = start(&world);
    restrict_to(&world, trial->object, trial->permission, false);
    world.user = "alice";
    const char *parameters = text_of(&world, trial, id);
    world_try(&world, META, trial->command, parameters, trial->input);
    const struct error *denied = error_find(world.error, ERROR_ACCESS_DENIED);
    if (denied) error_print(world.error, stderr);
    cr_assert(
        eq(ptr, (void *)denied, NULL),
        "%s %s with %s",
        trial->command,
        parameters,
        trial->permission);
    world_release(&world);
}

Test(access_commands, are_denied_without_their_permission_and_done_with_it)
{
    for (size_t i = 0; i < TRIAL_COUNT; i++) {
        try_without(&TRIALS[i]);
        try_with(&TRIALS[i]);
    }
}

Test(access_commands, are_all_tried)
{
    for (const struct command *command = COMMANDS; command->name; command++) {
        bool is_tried = false;
        for (size_t i = 0; i < TRIAL_COUNT && !is_tried; i++) {
            uint32_t permission = permission_parse(slice_from_text(TRIALS[i].permission));
            is_tried =
                strcmp(TRIALS[i].command, command->name) == 0 && (permission & command->permission);
        }
        bool is_free = command->target == TARGET_NONE;
        cr_assert(ne(int, is_tried, is_free), "%s is tried, or free; not both", command->name);
    }
}

// The root of a cluster says what those may do that are nothing but users, and guests.
Test(access_commands, guests_may_do_nothing_that_is_not_free)
{
    struct machine_world world;
    const char *id = start(&world);
    world.user = "guest";
    for (size_t i = 0; i < TRIAL_COUNT; i++) {
        assert_refused(
            &world,
            META,
            TRIALS[i].command,
            text_of(&world, &TRIALS[i], id),
            TRIALS[i].input,
            901,
            "Access denied for user \"guest\"");
    }
    assert_refused(&world, META, "get", "{path=\"/\"}", NULL, 901, "node /");
    world_do(&world, META, "exists", "{path=\"//tmp\"}", NULL);
    world_do(&world, META, "get_version", "{}", NULL);
    world_release(&world);
}

// Faces have typed requests, too, which are not commands.
Test(access_commands, typed_requests_are_checked_as_commands_are)
{
    struct machine_world world;
    start(&world);
    struct format text = {.kind = FORMAT_YSON, .yson = YSON_TEXT};
    static const enum request_kind KINDS[] = {REQUEST_COMMIT, REQUEST_LOOKUP, REQUEST_SELECT};
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        struct request *request = request_new(KINDS[i]);
        struct arena *arena = &request->arena;
        struct rowset rowset;
        assert_ok(format_read_rows(arena, &text, SLICE_OF("{key=2}"), &rowset));
        CLEANUP(buffer_releasep) struct buffer encoded = {0};
        rowset_encode(&rowset, &encoded);
        request->user = SLICE_OF("guest");
        request->path = SLICE_OF("//tmp/s");
        request->rows = arena_copy(arena, buffer_slice(&encoded));
        request->query = SLICE_OF("* from [//tmp/s]");
        request->modifications = ARENA_NEW(arena, struct modification, 1);
        request->modifications->path = request->path;
        request->modifications->rows = request->rows;
        request->modification_count = 1;
        machine_request(world.nodes[META].machine, request);
        world_run(&world, 10 * MS);
        world_finish(&world, request);
        cr_assert(error_says(world.error, 901, "Access denied for user \"guest\""));
    }
    world_release(&world);
}
