// Users, groups and ACLs: who may do what, and what is shown of it.
#include "base/coding.h"
#include "machine_world.h"

TestSuite(access, .fini = abort_on_leaks);

static void make_group(struct machine_world *world, const char *name)
{
    world_ask(world, "create", world_text(world, "{type=group;attributes={name=%s}}", name));
}

static void add(struct machine_world *world, const char *member, const char *group)
{
    world_ask(world, "add_member", world_text(world, "{member=%s;group=%s}", member, group));
}

static void make_folder(struct machine_world *world, const char *path)
{
    world_ask(world, "create", world_text(world, "{type=map_node;path=\"%s\"}", path));
}

// "allow" or "deny".
static const char *check(
    struct machine_world *world, const char *user, const char *permission, const char *path)
{
    const char *answer = world_ask(
        world,
        "check_permission",
        world_text(world, "{user=%s;permission=%s;path=\"%s\"}", user, permission, path));
    return strstr(answer, "\"action\"=\"allow\"") ? "allow" : "deny";
}

Test(access, there_are_users_and_groups_from_the_beginning)
{
    struct machine_world world;
    world_init(&world, 1);
    assert_text(
        world_ask(&world, "list", "{path=\"//sys/users\"}"),
        "[\"root\";\"replicator\";\"guest\";]");
    assert_text(
        world_ask(&world, "list", "{path=\"//sys/groups\"}"),
        "[\"everyone\";\"users\";\"superusers\";]");
    const char *const cases[][2] = {
        {"//sys/groups/everyone/@members", "[\"users\";\"guest\";]"},
        {"//sys/groups/users/@members", "[\"superusers\";]"},
        {"//sys/groups/superusers/@members", "[\"root\";\"replicator\";]"},
        {"//sys/users/root/@member_of", "[\"superusers\";]"},
        {"//sys/users/root/@member_of_closure", "[\"superusers\";\"users\";\"everyone\";]"},
        {"//sys/users/guest/@type", "user"},
        {"//sys/groups/users/@type", "group"},
        {"//sys/users/guest/@name", "guest"},
        {"//tmp/@owner", "root"},
        {"//tmp/@inherit_acl", "%true"},
        {"//tmp/@acl", "[]"},
        {"//sys/@inherit_acl", "%false"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_text(world_get(&world, META, cases[i][0]), cases[i][1]);
    world_create_user(&world, META, "alice");
    assert_text(world_get(&world, META, "//sys/users/alice/@member_of"), "[\"users\";]");
    assert_text(check(&world, "alice", "write", "//tmp"), "allow");
    assert_text(check(&world, "alice", "administer", "//tmp"), "allow");
    assert_text(check(&world, "alice", "read", "//sys"), "allow");
    assert_text(check(&world, "alice", "write", "//sys/users"), "deny");
    assert_text(check(&world, "alice", "read", "//sys/cypress_tokens"), "deny");
    assert_text(check(&world, "guest", "read", "//tmp"), "deny");
    assert_text(check(&world, "root", "write", "//sys"), "allow");
    assert_text(check(&world, "replicator", "write", "//tmp"), "allow");
    world_release(&world);
}

Test(access, users_and_groups_are_made_joined_and_removed)
{
    struct machine_world world;
    world_init(&world, 1);
    world_create_user(&world, META, "alice");
    world_create_user(&world, META, "bob");
    make_group(&world, "team");
    make_group(&world, "company");
    add(&world, "alice", "team");
    add(&world, "team", "company");
    world_ask(&world, "create", "{type=user;attributes={name=alice};ignore_existing=%true}");
    world_set(
        &world,
        META,
        "//tmp/@acl",
        "[{action=allow;subjects=[company];permissions=[read]};"
        "{action=deny;subjects=[alice;bob];permissions=[write]};"
        "{action=deny;subjects=[alice];permissions=[mount]}]");
    world_set(&world, META, "//tmp/@owner", "alice");
    world_restart(&world, META);
    assert_text(
        world_get(&world, META, "//sys/users/alice/@member_of_closure"),
        "[\"users\";\"team\";\"everyone\";\"company\";]");
    assert_text(world_get(&world, META, "//sys/groups/company/@members"), "[\"team\";]");
    assert_text(world_get(&world, META, "//tmp/@owner"), "alice");
    world_ask(&world, "remove", "{path=\"//sys/users/alice\"}");
    assert_text(world_get(&world, META, "//sys/groups/team/@members"), "[]");
    assert_text(
        world_get(&world, META, "//sys/groups/users/@members"), "[\"superusers\";\"bob\";]");
    assert_text(world_get(&world, META, "//tmp/@owner"), "root");
    assert_text(
        world_get(&world, META, "//tmp/@acl"),
        "[{\"action\"=\"allow\";\"subjects\"=[\"company\";];\"permissions\"=[\"read\";];"
        "\"inheritance_mode\"=\"object_and_descendants\";};"
        "{\"action\"=\"deny\";\"subjects\"=[\"bob\";];\"permissions\"=[\"write\";];"
        "\"inheritance_mode\"=\"object_and_descendants\";};]");
    world_restart(&world, META);
    assert_text(world_get(&world, META, "//tmp/@acl/1/subjects"), "[\"bob\";]");
    world_ask(&world, "remove_member", "{member=team;group=company}");
    world_ask(&world, "remove", "{path=\"//sys/groups/team\"}");
    assert_text(world_get(&world, META, "//sys/groups/company/@members"), "[]");
    world_create_user(&world, META, "alice"); // Another one: nothing of the first is hers.
    assert_text(check(&world, "alice", "write", "//tmp"), "allow");
    world_release(&world);
}

Test(access, bad_subjects_are_refused)
{
    struct machine_world world;
    world_init(&world, 1);
    world_create_user(&world, META, "alice");
    make_group(&world, "team");
    make_group(&world, "company");
    add(&world, "team", "company");
    add(&world, "alice", "team");
    const struct {
        const char *command;
        const char *parameters;
        const char *input;
        int code;
        const char *text;
    } cases[] = {
        {"create",
         "{type=user;attributes={name=alice}}",
         NULL,
         501,
         "User \"alice\" already exists"},
        {"create",
         "{type=group;attributes={name=alice}}",
         NULL,
         501,
         "User \"alice\" already exists"},
        {"create",
         "{type=user;attributes={name=team}}",
         NULL,
         501,
         "Group \"team\" already exists"},
        {"create", "{type=user}", NULL, 1, "Subject name cannot be empty"},
        {"create", "{type=user;attributes={name=\"a b\"}}", NULL, 1, "printable ASCII"},
        {"create", "{type=map_node;path=\"//sys/users/x\"}", NULL, 1, "created without a path"},
        {"set", "{path=\"//sys/groups/x\"}", "5", 1, "created without a path"},
        {"set", "{path=\"//sys/users/alice\"}", "5", 1, "Cannot set a user"},
        {"create",
         "{type=map_node;path=\"//sys/users/alice\";force=%true}",
         NULL,
         1,
         "created without a path"},
        {"copy",
         "{source_path=\"//tmp\";destination_path=\"//sys/users/alice\";force=%true}",
         NULL,
         1,
         "created without a path"},
        {"link",
         "{target_path=\"//tmp\";link_path=\"//sys/groups/team\";force=%true}",
         NULL,
         1,
         "created without a path"},
        {"add_member",
         "{member=alice;group=team}",
         NULL,
         908,
         "Member \"alice\" is already present in group \"team\""},
        {"add_member", "{member=nobody;group=team}", NULL, 907, "No such subject \"nobody\""},
        {"add_member", "{member=alice;group=alice}", NULL, 907, "No such group \"alice\""},
        {"add_member",
         "{member=company;group=team}",
         NULL,
         1,
         "Adding group \"company\" to group \"team\" would produce a cycle"},
        {"add_member", "{member=team;group=team}", NULL, 1, "would produce a cycle"},
        {"add_member", "{member=guest;group=users}", NULL, 1, "cannot be changed"},
        {"add_member", "{group=team}", NULL, 1, "\"member\" is missing"},
        {"add_member", "{member=alice}", NULL, 1, "\"group\" is missing"},
        {"remove_member",
         "{member=alice;group=company}",
         NULL,
         1,
         "Member \"alice\" is not present in group \"company\""},
        {"remove", "{path=\"//sys/users/root\"}", NULL, 1, "\"root\" cannot be removed"},
        {"remove", "{path=\"//sys/groups/users\"}", NULL, 1, "\"users\" cannot be removed"},
        {"remove", "{path=\"//sys/users\"}", NULL, 1, "belongs to the cluster"},
        {"remove", "{path=\"//sys/cypress_tokens\"}", NULL, 1, "belongs to the cluster"},
        {"set", "{path=\"//sys\";force=%true}", "{}", 1, "belongs to the cluster"},
        {"move",
         "{source_path=\"//sys/users\";destination_path=\"//tmp/u\"}",
         NULL,
         1,
         "cannot be moved"},
        {"move",
         "{source_path=\"//sys/users/alice\";destination_path=\"//tmp/a\"}",
         NULL,
         1,
         "Users and groups cannot be copied or moved"},
        {"copy",
         "{source_path=\"//sys\";destination_path=\"//tmp/s\"}",
         NULL,
         1,
         "Users and groups cannot be copied or moved"},
        {"set", "{path=\"//sys/users/alice/@member_of\"}", "[]", 1, "Builtin attribute"},
        {"check_permission",
         "{user=anna;permission=read;path=\"//tmp\"}",
         NULL,
         907,
         "No such user \"anna\""},
        {"check_permission",
         "{user=alice;permission=fly;path=\"//tmp\"}",
         NULL,
         1,
         "permission \"fly\""},
        {"check_permission", "{permission=read;path=\"//tmp\"}", NULL, 1, "\"user\" is missing"},
        {"check_permission", "{user=alice;permission=read;path=\"//x\"}", NULL, 500, "//x"},
        {"check_permission", "{user=alice;permission=read}", NULL, 1, "\"path\" is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(
            &world,
            META,
            cases[i].command,
            cases[i].parameters,
            cases[i].input,
            cases[i].code,
            cases[i].text);
    }
    world.user = "nobody";
    assert_refused(&world, META, "get_version", "{}", NULL, 900, "No such user \"nobody\"");
    world.user = NULL;
    world_release(&world);
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
            assert_text(check(&world, "alice", "read", PATHS[j]), CASES[i].expected[j]);
    }
    // What an entry is for those below; and a node that takes nothing from above.
    assert_text(
        world_get(&world, META, "//tmp/a/b/@effective_acl/0/inheritance_mode"), "object_only");
    assert_text(world_get(&world, META, "//tmp/a/b/@effective_acl/1/subjects"), "[\"users\";]");
    world_set(&world, META, "//tmp/a/b/@inherit_acl", "%false");
    assert_text(world_get(&world, META, "//tmp/a/b/c/@effective_acl"), "[]");
    assert_text(check(&world, "alice", "use", "//tmp/a/b/c"), "deny");
    world_set(
        &world, META, "//tmp/a/b/@acl/end", "{action=allow;subjects=[alice];permissions=[use]}");
    assert_text(check(&world, "alice", "use", "//tmp/a/b/c"), "allow");
    world_ask(&world, "remove", "{path=\"//tmp/a/b/@acl/0\"}");
    assert_text(check(&world, "alice", "use", "//tmp/a/b/c"), "deny");
    world_ask(&world, "remove", "{path=\"//tmp/a/b/@inherit_acl\"}");
    assert_text(check(&world, "alice", "use", "//tmp/a/b/c"), "allow");
    world_release(&world);
}

Test(access, deny_beats_allow_and_groups_count)
{
    struct machine_world world;
    world_init(&world, 1);
    world_create_user(&world, META, "alice");
    make_group(&world, "team");
    make_group(&world, "company");
    make_folder(&world, "//tmp/a");
    add(&world, "team", "company");
    world_set(
        &world,
        META,
        "//tmp/a/@acl",
        "[{action=allow;subjects=[alice];permissions=[write]};"
        "{action=deny;subjects=[company];permissions=[write]}]");
    assert_text(check(&world, "alice", "write", "//tmp/a"), "allow");
    add(&world, "alice", "team");
    assert_text(check(&world, "alice", "write", "//tmp/a"), "deny");
    world_ask(&world, "remove_member", "{member=team;group=company}");
    assert_text(check(&world, "alice", "write", "//tmp/a"), "allow");
    add(&world, "team", "company");
    add(&world, "company", "superusers");
    assert_text(check(&world, "alice", "write", "//tmp/a"), "allow");
    // Root is one whatever groups say.
    world_ask(&world, "remove_member", "{member=root;group=superusers}");
    assert_text(check(&world, "root", "write", "//sys"), "allow");
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
    assert_text(check(&world, "guest", "read", "//tmp/a"), "allow");
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

Test(access, a_read_is_checked_on_the_replicas_cluster_too)
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

Test(access, a_replica_has_the_acl_of_its_table)
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

// Two users, known on both clusters, and a table with a replica; bob may not write the replica's.
static const char *start_replicated(struct machine_world *world, const char *mode)
{
    world_init(world, 2);
    const char *id = world_replicate(world, "//tmp/t", "//tmp/r", mode);
    for (int node = META; node <= REPLICA; node++) {
        world_do(world, node, "create", "{type=user;attributes={name=alice}}", NULL);
        world_do(world, node, "create", "{type=user;attributes={name=bob}}", NULL);
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

Test(access, a_write_is_checked_on_the_cluster_of_a_synchronous_replica)
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

Test(access, an_asynchronous_replica_takes_what_the_log_has)
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
Test(access, what_is_committed_is_not_refused_any_more)
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

// A write of two tables is refused as a whole by one replica.
Test(access, a_transaction_is_refused_as_a_whole)
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

// What an object was stored as before there were ACLs: version 2 of its record. False if there were
// no such objects.
static bool make_old(struct slice record, struct buffer *old)
{
    struct reader reader = reader_from(record);
    cr_assert(eq(int, get_u8(&reader), 3));
    uint64_t type = get_varint(&reader);
    get_raw(&reader, 16); // The parent's id.
    struct slice name = get_bytes(&reader);
    get_bytes(&reader); // Attributes.
    get_bytes(&reader); // A value.
    get_varint(&reader);
    size_t size = record.size - reader.rest.size;
    get_bytes(&reader); // What is new.
    cr_assert(not(reader.is_broken));
    static const char *const NEW[] = {"users", "groups", "cypress_tokens"};
    for (size_t i = 0; i < sizeof NEW / sizeof *NEW; i++) {
        if (slice_equal_text(name, NEW[i])) return false;
    }
    if (type == OBJECT_USER || type == OBJECT_GROUP) return false;
    put_u8(old, 2);
    buffer_append(old, record.data + 1, size - 1);
    buffer_append_slice(old, reader.rest);
    return true;
}

// A store that was made before there were users gets them, and everybody the same rights.
Test(access, an_old_store_is_taken_over)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_do(&world, META, "insert_rows", INSERT, "{key=1}");
    struct store *store = world.nodes[META].store;
    CLEANUP(store_batch_release) struct store_batch batch = {0};
    struct store_iterator *iterator =
        store_iterator_new(store, NULL, STORE_META, SLICE_OF("o"), SLICE_OF("p"));
    size_t removed_count = 0;
    for (store_iterator_seek(iterator, SLICE_OF("o")); store_iterator_is_valid(iterator);
         store_iterator_next(iterator)) {
        struct slice key = store_iterator_key(iterator);
        CLEANUP(buffer_releasep) struct buffer old = {0};
        if (make_old(store_iterator_value(iterator), &old)) {
            store_batch_put(&batch, STORE_META, key, buffer_slice(&old));
        } else {
            store_batch_remove(&batch, STORE_META, key);
            removed_count++;
        }
    }
    store_iterator_free(iterator);
    cr_assert(eq(sz, removed_count, 9)); // Three folders, three users, three groups.
    assert_ok(store_apply(store, &batch));
    assert_ok(store_sync(store));
    world_restart(&world, META);
    world_run(&world, 5 * SECOND);
    assert_text(world_do(&world, META, "select_rows", SELECT_T, NULL), "{\"key\"=1;};\n");
    world_create_user(&world, META, "alice");
    assert_text(check(&world, "alice", "write", "//tmp/t"), "allow");
    assert_text(check(&world, "alice", "write", "//sys"), "deny");
    assert_text(check(&world, "guest", "read", "//tmp/t"), "deny");
    world_restart(&world, META);
    assert_text(check(&world, "alice", "write", "//tmp/t"), "allow");
    world_release(&world);
}
