// ACLs: who may do what, and what is shown of it.
#include "machine_world.h"

TestSuite(access, .fini = abort_on_leaks);

static void make_folder(struct machine_world *world, const char *path)
{
    world_ask(world, "create", world_text(world, "{type=map_node;path=\"%s\"}", path));
}

Test(access, bad_acls_are_refused)
{
    struct machine_world world;
    world_init(&world, 1);
    const struct {
        const char *value;
        int code;
        const char *text;
    } cases[] = {
        {"5", 1, "An ACL must be a list"},
        {"[5]", 1, "An ACE must be a map"},
        {"[{action=maybe;subjects=[root];permissions=[read]}]", 1, "not \"maybe\""},
        {"[{subjects=[root];permissions=[read]}]", 1, "\"action\" of an ACE"},
        {"[{action=allow;subjects=[root];permissions=[fly]}]", 1, "Unknown permission \"fly\""},
        {"[{action=allow;subjects=[root];permissions=[]}]", 1, "\"permissions\" of an ACE"},
        {"[{action=allow;subjects=[];permissions=[read]}]", 1, "\"subjects\" of an ACE"},
        {"[{action=allow;subjects=root;permissions=[read]}]", 1, "\"subjects\" of an ACE"},
        {"[{action=allow;subjects=[5];permissions=[read]}]", 1, "must hold strings"},
        {"[{action=allow;subjects=[root];permissions=[read];inheritance_mode=far}]",
         1,
         "Unknown inheritance mode \"far\""},
        {"[{action=allow;subjects=[root];permissions=[read]};"
         "{action=allow;subjects=[root;anna];permissions=[read]}]",
         907,
         "No such subject \"anna\""},
        {"[{action=allow;subjects=[root];permissions=[read];colour=red}]", 1, "colour"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = "{path=\"//tmp/@acl\"}";
        assert_refused(&world, META, "set", path, cases[i].value, cases[i].code, cases[i].text);
        const char *create = world_text(
            &world, "{type=map_node;path=\"//tmp/x\";attributes={acl=%s}}", cases[i].value);
        assert_refused(&world, META, "create", create, NULL, cases[i].code, cases[i].text);
    }
    CLEANUP(buffer_releasep) struct buffer many = {0};
    buffer_append_text(&many, "[");
    for (int i = 0; i < 257; i++)
        buffer_append_text(&many, "{action=allow;subjects=[root];permissions=[read]};");
    buffer_append_text(&many, "]");
    const char *acl = arena_copy(&world.arena, buffer_slice(&many)).data;
    assert_refused(&world, META, "set", "{path=\"//tmp/@acl\"}", acl, 1, "no more than 256 ACEs");
    assert_refused(&world, META, "set", "{path=\"//tmp/@inherit_acl\"}", "1", 1, "must be boolean");
    assert_refused(&world, META, "set", "{path=\"//tmp/@owner\"}", "anna", 907, "\"anna\"");
    assert_refused(&world, META, "set", "{path=\"//tmp/@owner\"}", "5", 1, "name of a subject");
    assert_refused(&world, META, "set", "{path=\"//tmp/@effective_acl\"}", "[]", 1, "Builtin");
    world_release(&world);
}

Test(access, entries_are_inherited_as_they_say)
{
    struct machine_world world;
    world_init(&world, 1);
    world_create_user(&world, META, "alice");
    world_ask(&world, "create", "{type=map_node;path=\"//tmp/a/b/c\";recursive=%true}");
    static const char *const PATHS[] = {"//tmp/a", "//tmp/a/b", "//tmp/a/b/c"};
    static const struct {
        const char *mode;
        const char *expected[3];
    } CASES[] = {
        {"object_and_descendants", {"deny", "deny", "deny"}},
        {"object_only", {"deny", "allow", "allow"}},
        {"descendants_only", {"allow", "deny", "deny"}},
        {"immediate_descendants_only", {"allow", "deny", "allow"}},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        world_set(
            &world,
            META,
            "//tmp/a/@acl",
            world_text(
                &world,
                "[{action=deny;subjects=[alice];permissions=[read];inheritance_mode=%s}]",
                CASES[i].mode));
        for (size_t j = 0; j < 3; j++)
            assert_text(world_permission(&world, "alice", "read", PATHS[j]), CASES[i].expected[j]);
    }
    // What an entry is for those below; and a node that takes nothing from above.
    assert_text(
        world_get(&world, META, "//tmp/a/b/@effective_acl/0/inheritance_mode"), "object_only");
    assert_text(world_get(&world, META, "//tmp/a/b/@effective_acl/1/subjects"), "[\"users\";]");
    world_set(&world, META, "//tmp/a/b/@inherit_acl", "%false");
    assert_text(world_get(&world, META, "//tmp/a/b/c/@effective_acl"), "[]");
    assert_text(world_permission(&world, "alice", "use", "//tmp/a/b/c"), "deny");
    world_set(
        &world, META, "//tmp/a/b/@acl/end", "{action=allow;subjects=[alice];permissions=[use]}");
    assert_text(world_permission(&world, "alice", "use", "//tmp/a/b/c"), "allow");
    world_ask(&world, "remove", "{path=\"//tmp/a/b/@acl/0\"}");
    assert_text(world_permission(&world, "alice", "use", "//tmp/a/b/c"), "deny");
    world_ask(&world, "remove", "{path=\"//tmp/a/b/@inherit_acl\"}");
    assert_text(world_permission(&world, "alice", "use", "//tmp/a/b/c"), "allow");
    world_release(&world);
}

Test(access, deny_beats_allow_and_groups_count)
{
    struct machine_world world;
    world_init(&world, 1);
    world_create_user(&world, META, "alice");
    world_create_group(&world, "team");
    world_create_group(&world, "company");
    make_folder(&world, "//tmp/a");
    world_add_member(&world, "team", "company");
    world_set(
        &world,
        META,
        "//tmp/a/@acl",
        "[{action=allow;subjects=[alice];permissions=[write]};"
        "{action=deny;subjects=[company];permissions=[write]}]");
    assert_text(world_permission(&world, "alice", "write", "//tmp/a"), "allow");
    world_add_member(&world, "alice", "team");
    assert_text(world_permission(&world, "alice", "write", "//tmp/a"), "deny");
    world_ask(&world, "remove_member", "{member=team;group=company}");
    assert_text(world_permission(&world, "alice", "write", "//tmp/a"), "allow");
    world_add_member(&world, "team", "company");
    world_add_member(&world, "company", "superusers");
    assert_text(world_permission(&world, "alice", "write", "//tmp/a"), "allow");
    // Root is one whatever groups say.
    world_ask(&world, "remove_member", "{member=root;group=superusers}");
    assert_text(world_permission(&world, "root", "write", "//sys"), "allow");
    world_ask(&world, "add_member", "{member=root;group=superusers}");
    // Which entry decided.
    world_ask(&world, "remove_member", "{member=company;group=superusers}");
    const char *id = world_get(&world, META, "//tmp/a/@id");
    const char *group = world_get(&world, META, "//sys/groups/company/@id");
    assert_text(
        world_ask(&world, "check_permission", "{user=alice;permission=write;path=\"//tmp/a\"}"),
        world_text(
            &world,
            "{\"action\"=\"deny\";\"object_id\"=\"%s\";\"object_name\"=\"//tmp/a\";\"subject_id\"="
            "\"%s\";\"subject_name\"=\"company\";}",
            id,
            group));
    // full_read is more than read.
    world_set(
        &world, META, "//tmp/a/@acl", "[{action=allow;subjects=[guest];permissions=[full_read]}]");
    assert_text(world_permission(&world, "guest", "read", "//tmp/a"), "allow");
    assert_text(
        world_ask(&world, "check_permission", "{user=guest;permission=write;path=\"//tmp/a\"}"),
        "{\"action\"=\"deny\";}");
    world_release(&world);
}

Test(access, refusals_say_what_is_missing_where)
{
    struct machine_world world;
    world_init(&world, 1);
    world_create_user(&world, META, "alice");
    make_folder(&world, "//tmp/a");
    world_ask(
        &world,
        "create",
        "{type=table;path=\"//tmp/a/t\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}");
    world_ask(&world, "mount_table", "{path=\"//tmp/a/t\"}");
    const char *id = world_get(&world, META, "//tmp/a/t/@id");
    world_set(&world, META, "//tmp/a/@inherit_acl", "%false");
    world.user = "alice";
    assert_refused(
        &world,
        META,
        "get",
        "{path=\"//tmp/a/t/@id\"}",
        NULL,
        901,
        "Access denied for user \"alice\": \"read\" permission for node //tmp/a/t is not allowed "
        "by "
        "any matching ACE");
    assert_text(error_attribute(world.error, "user"), "alice");
    assert_text(error_attribute(world.error, "permission"), "read");
    assert_text(error_attribute(world.error, "object_id"), id);
    assert_text(error_attribute(world.error, "object_name"), "node //tmp/a/t");
    assert_text(error_attribute(world.error, "object_type"), "table");
    assert_refused(
        &world,
        META,
        "insert_rows",
        "{path=\"//tmp/a/t\"}",
        "{key=1}",
        901,
        "\"write\" permission for node //tmp/a/t");
    assert_refused(
        &world,
        META,
        "create",
        "{type=map_node;path=\"//tmp/a/n\"}",
        NULL,
        901,
        "\"write | modify_children\" permission for node //tmp/a is not allowed");
    world.user = NULL;
    world_set(&world, META, "//tmp/a/@acl", "[{action=deny;subjects=[users];permissions=[read]}]");
    world.user = "alice";
    assert_refused(
        &world,
        META,
        "lookup_rows",
        "{path=\"//tmp/a/t\"}",
        "{key=1}",
        901,
        "Access denied for user \"alice\": \"read\" permission for node //tmp/a/t is denied for "
        "\"users\" by ACE at node //tmp/a");
    world.user = NULL;
    const char *folder = world_get(&world, META, "//tmp/a/@id");
    world.user = "alice";
    assert_refused(&world, META, "lookup_rows", "{path=\"//tmp/a/t\"}", "{key=1}", 901, "denied");
    assert_text(error_attribute(world.error, "denied_by"), folder);
    assert_refused(
        &world,
        META,
        "remove",
        "{path=\"//sys/users/guest\"}",
        NULL,
        901,
        "\"remove\" permission for user \"guest\"");
    world.user = NULL;
    world_release(&world);
}

Test(access, what_is_made_has_an_owner_and_maybe_an_acl)
{
    struct machine_world world;
    world_init(&world, 1);
    world_create_user(&world, META, "alice");
    world.user = "alice";
    make_folder(&world, "//tmp/a");
    world_ask(
        &world,
        "create",
        "{type=map_node;path=\"//tmp/b\";attributes={inherit_acl=%false;colour=red;"
        "acl=[{action=allow;subjects=[alice];permissions=[read;administer]}]}}");
    assert_text(world_ask(&world, "get_current_user", "{}"), "{\"user\"=\"alice\";}");
    assert_text(world_get(&world, META, "//tmp/a/@owner"), "alice");
    assert_text(world_get(&world, META, "//tmp/b/@owner"), "alice");
    assert_text(world_get(&world, META, "//tmp/b/@colour"), "red");
    assert_refused(&world, META, "set", "{path=\"//tmp/b/x\"}", "5", 901, "node //tmp/b");
    world_set(&world, META, "//tmp/b/@acl/0/permissions/end", "write");
    world_set(&world, META, "//tmp/b/x", "5");
    // A copy is open as its place is, unless it is to be as its source.
    world_ask(&world, "copy", "{source_path=\"//tmp/b\";destination_path=\"//tmp/c\"}");
    world_ask(
        &world,
        "copy",
        "{source_path=\"//tmp/b\";destination_path=\"//tmp/d\";preserve_acl=%true}");
    world.user = NULL;
    world_restart(&world, META);
    assert_text(world_get(&world, META, "//tmp/c/@acl"), "[]");
    assert_text(world_get(&world, META, "//tmp/c/@inherit_acl"), "%true");
    assert_text(world_get(&world, META, "//tmp/c/@owner"), "alice");
    assert_text(world_get(&world, META, "//tmp/d/@inherit_acl"), "%false");
    assert_text(
        world_get(&world, META, "//tmp/d/@acl/0/permissions"),
        "[\"read\";\"write\";\"administer\";]");
    // Who may not administer a place makes no ACLs there.
    world_set(
        &world, META, "//tmp/@acl", "[{action=deny;subjects=[alice];permissions=[administer]}]");
    world.user = "alice";
    assert_refused(
        &world,
        META,
        "create",
        "{type=map_node;path=\"//tmp/e\";attributes={acl=[]}}",
        NULL,
        901,
        "\"administer\" permission for node //tmp is denied");
    assert_refused(&world, META, "set", "{path=\"//tmp/a/@acl\"}", "[]", 901, "\"administer\"");
    assert_refused(
        &world,
        META,
        "multiset_attributes",
        "{path=\"//tmp/a/@\"}",
        "{acl=[]}",
        901,
        "\"administer\"");
    world_set(&world, META, "//tmp/a/@colour", "blue");
    world.user = NULL;
    world_release(&world);
}

Test(access, what_may_not_be_read_is_not_shown)
{
    struct machine_world world;
    world_init(&world, 1);
    world_create_user(&world, META, "alice");
    world_set(&world, META, "//tmp/a", "{open=1;closed={secret=2}}");
    world_set(&world, META, "//tmp/a/closed/@inherit_acl", "%false");
    world.user = "alice";
    assert_text(world_get(&world, META, "//tmp/a"), "{\"open\"=1;\"closed\"=#;}");
    assert_text(
        world_ask(&world, "list", "{path=\"//tmp/a\";attributes=[type]}"),
        "[<\"type\"=\"int64_node\";>\"open\";\"closed\";]");
    assert_text(world_ask(&world, "exists", "{path=\"//tmp/a/closed/secret\"}"), "%true");
    assert_refused(&world, META, "get", "{path=\"//tmp/a/closed/secret\"}", NULL, 901, "secret");
    assert_refused(&world, META, "list", "{path=\"//tmp/a/closed\"}", NULL, 901, "closed");
    // Nor copied, nor removed with what may be.
    assert_refused(
        &world,
        META,
        "copy",
        "{source_path=\"//tmp/a\";destination_path=\"//tmp/b\"}",
        NULL,
        901,
        "node //tmp/a/closed");
    assert_refused(&world, META, "remove", "{path=\"//tmp/a\"}", NULL, 901, "node //tmp/a/closed");
    assert_refused(
        &world, META, "set", "{path=\"//tmp/a\";force=%true}", "{}", 901, "node //tmp/a/closed");
    assert_refused(
        &world,
        META,
        "create",
        "{type=map_node;path=\"//tmp/a\";force=%true}",
        NULL,
        901,
        "node //tmp/a/closed");
    world.user = NULL;
    world_release(&world);
}

Test(access, commands_of_a_batch_are_those_of_who_sends_it)
{
    struct machine_world world;
    world_init(&world, 1);
    world.user = "guest";
    const char *results = world_ask(
        &world,
        "execute_batch",
        "{requests=[{command=set;parameters={path=\"//tmp/a\"};input=5};"
        "{command=get_current_user}]}");
    cr_assert(
        ne(ptr, strstr(results, "Access denied for user \\\"guest\\\""), NULL), "%s", results);
    cr_assert(ne(ptr, strstr(results, "\"user\"=\"guest\""), NULL), "%s", results);
    world.user = NULL;
    assert_text(world_ask(&world, "exists", "{path=\"//tmp/a\"}"), "%false");
    world_release(&world);
}

Test(access, rights_count_when_a_transaction_is_committed)
{
    struct machine_world world;
    world_init(&world, 1);
    world_create_user(&world, META, "alice");
    world_ask(
        &world,
        "create",
        "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}");
    world_ask(&world, "mount_table", "{path=\"//tmp/t\"}");
    world.user = "alice";
    const char *id = world_ask(&world, "start_transaction", "{type=tablet}");
    const char *rows = world_text(&world, "{path=\"//tmp/t\";transaction_id=%s}", id);
    world_do(&world, META, "insert_rows", rows, "{key=1}");
    world.user = NULL;
    world_set(&world, META, "//tmp/t/@acl", "[{action=deny;subjects=[alice];permissions=[write]}]");
    world.user = "alice";
    assert_refused(&world, META, "insert_rows", rows, "{key=2}", 901, "\"write\" permission");
    assert_refused(
        &world,
        META,
        "commit_transaction",
        world_text(&world, "{transaction_id=%s}", id),
        NULL,
        901,
        "\"write\" permission for node //tmp/t is denied");
    assert_text(world_do(&world, META, "lookup_rows", "{path=\"//tmp/t\"}", "{key=1}"), "");
    world.user = NULL;
    world_release(&world);
}
