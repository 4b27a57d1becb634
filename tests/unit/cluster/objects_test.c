// create, get, set, exists, list, remove: what they do and what they refuse.
#include "machine_world.h"

TestSuite(objects, .fini = abort_on_leaks);

struct refusal {
    const char *command;
    const char *parameters;
    const char *input;
    int code;
    const char *text;
};

static void assert_all_refused(
    struct machine_world *world, int node, const struct refusal *refusals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct refusal *r = &refusals[i];
        assert_refused(world, node, r->command, r->parameters, r->input, r->code, r->text);
    }
}

#define SORTED  "schema=[{name=k;type=int64;sort_order=ascending};{name=v;type=string}]"
#define ORDERED "schema=[{name=v;type=string}]"

static void make(struct machine_world *world, const char *type, const char *path, const char *more)
{
    const char *parameters =
        world_text(world, "{type=%s;path=\"%s\";attributes={dynamic=%%true;%s}}", type, path, more);
    world_do(world, META, "create", parameters, NULL);
}

Test(objects, creating_is_refused_with_reasons)
{
    struct machine_world world;
    world_init(&world, 2);
    make(&world, "table", "//tmp/there", SORTED);
    const struct refusal refusals[] = {
        {"create", "{path=\"//tmp/t\"}", NULL, 1, "Parameter \"type\" is missing"},
        {"create", "{type=table}", NULL, 1, "Parameter \"path\" is missing"},
        {"create", "{type=cow;path=\"//tmp/t\"}", NULL, 1, "Unknown object type \"cow\""},
        {"create", "{type=tablet;path=\"//tmp/t\"}", NULL, 1, "cannot be created"},
        {"create", "{type=table_replica}", NULL, 1, "is missing"},
        {"create", "{type=map_node;path=\"//tmp/t\";attributes=[]}", NULL, 1, "must be a map"},
        {"create", "{type=map_node;path=\"//tmp/there\"}", NULL, 501, "already exists"},
        {"create",
         "{type=map_node;path=\"//tmp/there\";ignore_existing=%true}",
         NULL,
         501,
         "already exists"},
        {"create", "{type=map_node;path=\"//tmp/a/b\"}", NULL, 500, "Error resolving path"},
        {"create", "{type=map_node;path=\"//tmp/there/b\"}", NULL, 500, "Error resolving path"},
        {"create", "{type=map_node;path=\"//tmp/@x\"}", NULL, 1, "attribute"},
        {"create", "{type=map_node;path=\"#1-2-3-4\"}", NULL, 500, "1-2-3-4"},
        {"create", "{type=map_node;path=tmp}", NULL, 1, "tmp"},
        {"create",
         "{type=replicated_table;path=\"//tmp/t\";attributes={" SORTED "}}",
         NULL,
         1,
         "Table of type \"replicated_table\" must be dynamic"},
        {"create",
         "{type=replicated_table;path=\"//tmp/t\";attributes={dynamic=%false;" SORTED "}}",
         NULL,
         1,
         "Table of type \"replicated_table\" must be dynamic"},
        {"create",
         "{type=replicated_table;path=\"//tmp/t\";attributes={dynamic=%true;atomicity=none;" SORTED
         "}}",
         NULL,
         1,
         "Table of type \"replicated_table\" only support \"full\" atomicity, cannot set it to "
         "\"none\""},
        {"create",
         "{type=replicated_table;path=\"//tmp/"
         "t\";attributes={dynamic=%true;commit_ordering=weak;" ORDERED "}}",
         NULL,
         1,
         "Table of type \"replicated_table\" only support \"strong\" commit ordering, cannot set "
         "it to \"weak\""},
        {"create",
         "{type=replicated_table;path=\"//tmp/t\";attributes={dynamic=%true;in_memory_mode="
         "compressed;" SORTED "}}",
         NULL,
         1,
         "in-memory mode"},
        {"create",
         "{type=replicated_table;path=\"//tmp/t\";attributes={dynamic=%true;upstream_replica_id="
         "\"1-2-3-4\";" SORTED "}}",
         NULL,
         1,
         "Upstream replica cannot be set for replicated tables"},
        {"create",
         "{type=table;path=\"//tmp/t\";attributes={dynamic=%true}}",
         NULL,
         1,
         "\"schema\" is missing"},
        {"create",
         "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;schema=[{name=a;type=cow}]}}",
         NULL,
         1,
         "cow"},
        {"create",
         "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;schema=[{name=a;type=int64};{name="
         "a;type=int64}]}}",
         NULL,
         322,
         "Duplicate column"},
        {"create",
         "{type=table;path=\"//tmp/"
         "t\";attributes={dynamic=%true;tablet_count=2;pivot_keys=[[]];" SORTED "}}",
         NULL,
         1,
         "Cannot specify both \"tablet_count\" and \"pivot_keys\""},
        {"create",
         "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;tablet_count=0;" ORDERED "}}",
         NULL,
         1,
         "Tablet count must be positive"},
        {"create",
         "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;tablet_count=1025;" ORDERED "}}",
         NULL,
         1,
         "Tablet count cannot exceed the limit of 1024"},
        {"create",
         "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;pivot_keys=[[];[2];[1]];" SORTED
         "}}",
         NULL,
         1,
         "Pivot keys must be strictly increasing"},
        {"create",
         "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;pivot_keys=[[1];[2]];" SORTED "}}",
         NULL,
         1,
         "First pivot key must match that of the first tablet in the resharded range"},
        {"create",
         "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;pivot_keys=[[];[a]];" SORTED "}}",
         NULL,
         307,
         "Invalid type: expected \"int64\", actual \"string\""},
        {"create",
         "{type=table;path=\"//tmp/"
         "t\";attributes={dynamic=%true;min_replication_log_ttl=soon;" SORTED "}}",
         NULL,
         1,
         "min_replication_log_ttl"},
        {"create", "{type=table;path=\"//tmp/t\"}", NULL, 1, "dynamic"},
    };
    assert_all_refused(&world, META, refusals, sizeof refusals / sizeof *refusals);
    assert_refused(
        &world,
        REPLICA,
        "create",
        "{type=replicated_table;path=\"//tmp/t\";attributes={dynamic=%true;" SORTED "}}",
        NULL,
        1,
        "cannot hold replicated tables");
    world_release(&world);
}

// What was there, and what would be made on the way, stays as it was.
Test(objects, a_create_that_fails_leaves_no_traces)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "table", "//tmp/t", SORTED);
    assert_refused(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/t\";force=%true;attributes={dynamic=%true}}",
        NULL,
        1,
        "\"schema\" is missing");
    assert_text(world_get(&world, META, "//tmp/t/@tablet_count"), "1");
    assert_refused(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/a/b/c\";recursive=%true;attributes={dynamic=%true}}",
        NULL,
        1,
        "\"schema\" is missing");
    assert_text(world_do(&world, META, "exists", "{path=\"//tmp/a\"}", NULL), "%false");
    world_release(&world);
}

Test(objects, a_table_shows_what_it_is)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "replicated_table", "//tmp/t", "pivot_keys=[[];[10]];color=red;" SORTED);
    const char *expected[][2] = {
        {"//tmp/t/@type", "replicated_table"},
        {"//tmp/t/@dynamic", "%true"},
        {"//tmp/t/@sorted", "%true"},
        {"//tmp/t/@key_columns", "[\"k\";]"},
        {"//tmp/t/@tablet_count", "2"},
        {"//tmp/t/@tablet_state", "unmounted"},
        {"//tmp/t/@pivot_keys", "[[];[10;];]"},
        {"//tmp/t/@tablets/1/pivot_key", "[10;]"},
        {"//tmp/t/@tablets/-1/index", "1"},
        {"//tmp/t/@tablets/0/flushed_row_count", "0"},
        {"//tmp/t/@atomicity", "full"},
        {"//tmp/t/@color", "red"},
        {"//tmp/t/@replicas", "{}"},
        {"//tmp/t/@path", "//tmp/t"},
        {"//tmp/t/@schema/0/name", "k"},
        {"//tmp/t/@tablet_count_by_state/unmounted", "2"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_text(world_get(&world, META, expected[i][0]), expected[i][1]);
    }
    const char *id = world_get(&world, META, "//tmp/t/@id");
    assert_text(world_get(&world, META, world_text(&world, "#%s/@path", id)), "//tmp/t");
    const char *tablet_id = world_get(&world, META, "//tmp/t/@tablets/1/tablet_id");
    const char *tablet = world_text(&world, "#%s/@table_path", tablet_id);
    assert_text(world_get(&world, META, tablet), "//tmp/t");
    world_release(&world);
}

Test(objects, getting_is_refused_with_reasons)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "table", "//tmp/t", SORTED);
    const struct refusal refusals[] = {
        {"get", "{}", NULL, 1, "Parameter \"path\" is missing"},
        {"get", "{path=1}", NULL, 1, "path"},
        {"get", "{path=\"//tmp/x\"}", NULL, 500, "Error resolving path //tmp/x"},
        {"get", "{path=\"//tmp/t/x\"}", NULL, 500, "Error resolving path //tmp/t/x"},
        {"get", "{path=\"//tmp/t/@x\"}", NULL, 500, "Attribute \"x\" is not found"},
        {"get", "{path=\"//tmp/t/@type/x\"}", NULL, 500, "has no key \"x\""},
        {"get", "{path=\"//tmp/t/@tablets/1\"}", NULL, 500, "List has no item \"1\""},
        {"get", "{path=\"//tmp/t/@tablets/-2\"}", NULL, 500, "List has no item \"-2\""},
        {"get", "{path=\"//tmp/t/@tablets/-\"}", NULL, 500, "List has no item \"-\""},
        {"get",
         "{path=\"//tmp/t/@tablets/99999999999999999999999\"}",
         NULL,
         500,
         "List has no item"},
        {"get", "{path=\"#1-2-3-4\"}", NULL, 500, "1-2-3-4"},
        {"get", "{path=\"#1-2-3-4/@id\"}", NULL, 500, "1-2-3-4"},
        {"get", "{path=\"//tmp/t[1:2]\"}", NULL, 1, "//tmp/t[1:2]"},
        {"get", "{path=\"//tmp/t\";format=cow}", NULL, 1, "cow"},
        {"get", "{path=\"//tmp/t\";transaction_id=cow}", NULL, 1, "cow"},
        {"list", "{path=\"//tmp/t\"}", NULL, 1, "Cannot list //tmp/t"},
        {"list", "{path=\"//tmp/x\"}", NULL, 500, "Error resolving path"},
        {"list", "{path=\"//tmp/t/@type\"}", NULL, 1, "is not a map"},
        {"eat", "{}", NULL, 1, "Unknown command \"eat\""},
    };
    assert_all_refused(&world, META, refusals, sizeof refusals / sizeof *refusals);
    world_release(&world);
}

Test(objects, exists_answers_false_where_get_finds_nothing)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "table", "//tmp/t", SORTED);
    const char *expected[][2] = {
        {"//tmp", "%true"},
        {"//tmp/t", "%true"},
        {"//tmp/t/@type", "%true"},
        {"//tmp/t/@tablets/0", "%true"},
        {"//tmp/t/@tablets/1", "%false"},
        {"//tmp/t/@upstream_replica_id", "%true"},
        {"//tmp/t/@replicas", "%false"},
        {"//tmp/x", "%false"},
        {"#1-2-3-4", "%false"},
        {"#1-2-3-4/@id", "%false"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const char *parameters = world_text(&world, "{path=\"%s\"}", expected[i][0]);
        assert_text(world_do(&world, META, "exists", parameters, NULL), expected[i][1]);
    }
    world_release(&world);
}

Test(objects, nodes_are_set_got_listed_and_removed)
{
    struct machine_world world;
    world_init(&world, 1);
    world_do(&world, META, "set", "{path=\"//tmp/a\"}", "{b=1;c={d=[x;y]};e=#}");
    assert_text(
        world_get(&world, META, "//tmp/a"), "{\"b\"=1;\"c\"={\"d\"=[\"x\";\"y\";];};\"e\"=#;}");
    assert_text(world_get(&world, META, "//tmp/a/c/@type"), "map_node");
    assert_text(world_get(&world, META, "//tmp/a/@count"), "3");
    assert_text(
        world_do(&world, META, "list", "{path=\"//tmp/a\";max_size=2}", NULL), "[\"b\";\"c\";]");
    world_do(&world, META, "set", "{path=\"//tmp/a/b\"}", "two");
    assert_text(world_get(&world, META, "//tmp/a/b"), "two");
    world_do(&world, META, "set", "{path=\"//tmp/a/@note\"}", "{x=1}");
    world_do(&world, META, "set", "{path=\"//tmp/a/@note/y\"}", "2");
    assert_text(world_get(&world, META, "//tmp/a/@note"), "{\"x\"=1;\"y\"=2;}");
    world_do(&world, META, "remove", "{path=\"//tmp/a/@note/x\"}", NULL);
    assert_text(world_get(&world, META, "//tmp/a/@note"), "{\"y\"=2;}");
    world_restart(&world, META);
    assert_text(world_get(&world, META, "//tmp/a/@note"), "{\"y\"=2;}");
    assert_text(world_get(&world, META, "//tmp/a/c"), "{\"d\"=[\"x\";\"y\";];}");
    world_do(&world, META, "remove", "{path=\"//tmp/a\"}", NULL);
    assert_text(world_do(&world, META, "exists", "{path=\"//tmp/a\"}", NULL), "%false");
    world_do(&world, META, "remove", "{path=\"//tmp/a\";force=%true}", NULL);
    world_release(&world);
}

Test(objects, setting_and_removing_are_refused_with_reasons)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "table", "//tmp/t", SORTED);
    make(&world, "replicated_table", "//tmp/r", SORTED);
    world_do(&world, META, "set", "{path=\"//tmp/m\"}", "{a={b=1}}");
    const struct refusal refusals[] = {
        {"set", "{path=\"//tmp/t\"}", "1", 1, "Cannot set a table"},
        {"set", "{path=\"//tmp/m\"}", "1", 1, "remove it first"},
        {"set", "{path=\"//tmp/m/a/b\"}", "{}", 1, "remove it first"},
        {"set", "{path=\"//tmp/m\"}", "{x=1}", 1, "without \"force\""},
        {"set", "{path=\"//tmp/m\";force=%true}", "{x=1;\"\"=2}", 1, "1 to 256 bytes"},
        {"set", "{path=\"//tmp/n/m\"}", "1", 500, "Error resolving path"},
        {"set", "{path=\"//tmp/m/a/b/c\"}", "1", 500, "Error resolving path"},
        {"set", "{path=\"//tmp/m\"}", "{", 1, ""},
        {"set", "{path=\"//tmp/m\"}", "", 1, ""},
        {"set", "{path=\"//tmp/m/@\"}", "{}", 1, "name one"},
        {"set", "{path=\"//tmp/m/@x/y\"}", "1", 500, "has no key \"x\""},
        {"set", "{path=\"//tmp/t/@id\"}", "1", 1, "Builtin attribute \"id\" cannot be set"},
        {"set", "{path=\"//tmp/t/@schema\"}", "[]", 1, "cannot be set"},
        {"set", "{path=\"//tmp/t/@replication_throttler\"}", "fast", 1, "replication_throttler"},
        {"set",
         "{path=\"//tmp/t/@min_replication_log_ttl\"}",
         "soon",
         1,
         "min_replication_log_ttl"},
        {"set",
         "{path=\"//tmp/r/@upstream_replica_id\"}",
         "\"1-2-3-4\"",
         1,
         "Upstream replica cannot be set for replicated tables"},
        {"set",
         "{path=\"//tmp/r/@atomicity\"}",
         "none",
         1,
         "Table of type \"replicated_table\" only support \"full\" atomicity, cannot set it to "
         "\"none\""},
        {"set",
         "{path=\"//tmp/r/@commit_ordering\"}",
         "weak",
         1,
         "Table of type \"replicated_table\" only support \"strong\" commit ordering, cannot set "
         "it to \"weak\""},
        {"set", "{path=\"//tmp/r/@in_memory_mode\"}", "compressed", 1, "in-memory mode"},
        {"remove", "{path=\"//tmp/x\"}", NULL, 500, "Error resolving path"},
        {"remove", "{path=\"//tmp/t/@id\"}", NULL, 1, "Builtin attribute \"id\" cannot be removed"},
        {"remove", "{path=\"//tmp/t/@x\"}", NULL, 500, "Attribute \"x\" is not found"},
        {"remove", "{path=\"//tmp/m\";recursive=%false}", NULL, 1, "without \"recursive\""},
        {"remove", "{path=\"//tmp\"}", NULL, 1, "cannot be removed"},
        {"remove", "{path=\"/\"}", NULL, 1, "cannot be removed"},
        {"remove", "{path=\"#1-2-3-4\"}", NULL, 500, "1-2-3-4"},
    };
    assert_all_refused(&world, META, refusals, sizeof refusals / sizeof *refusals);
    world_release(&world);
}

Test(objects, a_value_that_is_too_large_changes_nothing)
{
    struct machine_world world;
    world_init(&world, 1);
    world_do(&world, META, "set", "{path=\"//tmp/m\"}", "{a=1}");
    char *large = must_alloc(malloc(5 << 20));
    memset(large, 'x', (5 << 20) - 1);
    large[(5 << 20) - 1] = 0;
    assert_refused(&world, META, "set", "{path=\"//tmp/m/a\"}", large, 1, "Value of a node");
    assert_refused(
        &world, META, "set", "{path=\"//tmp/b/c\";recursive=%true}", large, 1, "Value of a node");
    assert_text(world_get(&world, META, "//tmp/m/a"), "1");
    assert_text(world_do(&world, META, "exists", "{path=\"//tmp/b\"}", NULL), "%false");
    memcpy(large, "{x=1;y=", 7);
    large[(5 << 20) - 2] = '}';
    assert_refused(
        &world, META, "set", "{path=\"//tmp/m\";force=%true}", large, 1, "Value of a node");
    assert_text(world_get(&world, META, "//tmp/m/a"), "1");
    free(large);
    world_release(&world);
}

Test(objects, attributes_larger_than_allowed_change_nothing)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "table", "//tmp/t", SORTED);
    char *large = must_alloc(malloc(5 << 20));
    memset(large, 'x', (5 << 20) - 1);
    large[(5 << 20) - 1] = 0;
    assert_refused(&world, META, "set", "{path=\"//tmp/t/@x\"}", large, 1, "");
    assert_text(world_do(&world, META, "exists", "{path=\"//tmp/t/@x\"}", NULL), "%false");
    free(large);
    world_release(&world);
}

Test(objects, removing_a_replicated_table_removes_its_replicas)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    const char *replica = world_text(&world, "{path=\"#%s\"}", id);
    assert_text(world_do(&world, META, "exists", replica, NULL), "%true");
    world_do(&world, META, "remove", "{path=\"//tmp/t\"}", NULL);
    assert_text(world_do(&world, META, "exists", replica, NULL), "%false");
    world_run(&world, SECOND);
    world_do(&world, REPLICA, "remove", "{path=\"//tmp/r\"}", NULL);
    world_run(&world, SECOND);
    world_release(&world);
}

Test(objects, remember_everything_through_a_restart)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    const char *table = world_get(&world, META, "//tmp/t/@");
    const char *replica = world_get(&world, META, world_text(&world, "#%s/@", id));
    world_restart(&world, META);
    assert_text(world_get(&world, META, "//tmp/t/@"), table);
    assert_text(world_get(&world, META, world_text(&world, "#%s/@", id)), replica);
    world_release(&world);
}
