// Users and groups: those that are always there, and those that are made, joined and removed.
#include "base/coding.h"
#include "machine_world.h"

TestSuite(subjects, .fini = abort_on_leaks);

Test(subjects, there_are_users_and_groups_from_the_beginning)
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
    assert_text(world_permission(&world, "alice", "write", "//tmp"), "allow");
    assert_text(world_permission(&world, "alice", "administer", "//tmp"), "allow");
    assert_text(world_permission(&world, "alice", "read", "//sys"), "allow");
    assert_text(world_permission(&world, "alice", "write", "//sys/users"), "deny");
    assert_text(world_permission(&world, "alice", "read", "//sys/cypress_tokens"), "deny");
    assert_text(world_permission(&world, "guest", "read", "//tmp"), "deny");
    assert_text(world_permission(&world, "root", "write", "//sys"), "allow");
    assert_text(world_permission(&world, "replicator", "write", "//tmp"), "allow");
    world_release(&world);
}

Test(subjects, users_and_groups_are_made_joined_and_removed)
{
    struct machine_world world;
    world_init(&world, 1);
    world_create_user(&world, META, "alice");
    world_create_user(&world, META, "bob");
    world_create_group(&world, "team");
    world_create_group(&world, "company");
    world_add_member(&world, "alice", "team");
    world_add_member(&world, "team", "company");
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
    assert_text(world_permission(&world, "alice", "write", "//tmp"), "allow");
    world_release(&world);
}

Test(subjects, bad_subjects_are_refused)
{
    struct machine_world world;
    world_init(&world, 1);
    world_create_user(&world, META, "alice");
    world_create_group(&world, "team");
    world_create_group(&world, "company");
    world_add_member(&world, "team", "company");
    world_add_member(&world, "alice", "team");
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
Test(subjects, an_old_store_is_taken_over)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_do(&world, META, "insert_rows", "{path=\"//tmp/t\"}", "{key=1}");
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
    assert_text(
        world_do(&world, META, "select_rows", "{query=\"key from [//tmp/t]\"}", NULL),
        "{\"key\"=1;};\n");
    world_create_user(&world, META, "alice");
    assert_text(world_permission(&world, "alice", "write", "//tmp/t"), "allow");
    assert_text(world_permission(&world, "alice", "write", "//sys"), "deny");
    assert_text(world_permission(&world, "guest", "read", "//tmp/t"), "deny");
    world_restart(&world, META);
    assert_text(world_permission(&world, "alice", "write", "//tmp/t"), "allow");
    world_release(&world);
}
