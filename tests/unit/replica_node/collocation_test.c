// Collocations of replicated tables: behaviour 11, sentence by sentence and row by row.
#include "rules.h"

TestSuite(collocation, .fini = abort_on_leaks);

#define U      "{path=\"//tmp/u\"}"
#define MEMBER "@replication_collocation_id"

// A world with replicated tables //tmp/t and //tmp/u, and an ordinary one, //tmp/plain.
static void make(struct machine_world *world)
{
    world_init(world, 1);
    rules_table(world, META, "replicated_table", "//tmp/t", "schema=" WORLD_SCHEMA);
    rules_table(world, META, "replicated_table", "//tmp/u", "schema=" WORLD_SCHEMA);
    rules_table(world, META, "table", "//tmp/plain", "schema=" WORLD_SCHEMA);
}

static const char *collocate(struct machine_world *world, const char *attributes)
{
    const char *parameters =
        world_text(world, "{type=table_collocation;attributes={%s}}", attributes);
    return rules_create(world, META, parameters);
}

static void assert_exists(struct machine_world *world, const char *path, bool expected)
{
    const char *parameters = world_text(world, "{path=\"%s\"}", path);
    const char *exists = world_do(world, META, "exists", parameters, NULL);
    bool is_there = strcmp(exists, "%true") == 0;
    cr_assert(is_there == expected, "%s", path);
}

static void join(struct machine_world *world, const char *path, const char *id)
{
    const char *parameters = world_text(world, "{path=\"%s/" MEMBER "\"}", path);
    world_do(world, META, "set", parameters, world_text(world, "\"%s\"", id));
}

static void remove_at(struct machine_world *world, const char *path)
{
    world_do(world, META, "remove", world_text(world, "{path=\"%s\"}", path), NULL);
}

Test(collocation, is_created_of_paths_or_ids)
{
    struct machine_world world;
    make(&world);
    const char *ids[] = {
        world_get(&world, META, "//tmp/t/@id"),
        world_get(&world, META, "//tmp/u/@id"),
    };
    const char *const attributes[] = {
        "collocation_type=replication;table_paths=[\"//tmp/t\";\"//tmp/u\"]",
        world_text(&world, "table_ids=[\"%s\";\"%s\"]", ids[0], ids[1]),
    };
    for (size_t i = 0; i < 2; i++) {
        const char *id = collocate(&world, attributes[i]);
        assert_text(
            rules_attribute(&world, id, "table_ids"),
            world_text(&world, "[\"%s\";\"%s\";]", ids[0], ids[1]));
        assert_text(rules_attribute(&world, id, "table_paths"), "[\"//tmp/t\";\"//tmp/u\";]");
        assert_text(rules_attribute(&world, id, "type"), "table_collocation");
        assert_text(rules_attribute(&world, id, "id"), id);
        assert_text(rules_attribute(&world, id, "collocation_type"), "replication");
        assert_text(world_get(&world, META, "//tmp/t/" MEMBER), id);
        remove_at(&world, world_text(&world, "#%s", id));
    }
    world_release(&world);
}

Test(collocation, is_joined_and_left_by_an_attribute_of_the_table)
{
    struct machine_world world;
    make(&world);
    const char *id = collocate(&world, "table_paths=[\"//tmp/t\"]");
    join(&world, "//tmp/u", id);
    join(&world, "//tmp/u", id); // The same again changes nothing.
    static const char *const PATHS = "//tmp/t/@replication_collocation_table_paths";
    assert_text(world_get(&world, META, PATHS), "[\"//tmp/t\";\"//tmp/u\";]");
    world_restart(&world, META);
    assert_text(world_get(&world, META, PATHS), "[\"//tmp/t\";\"//tmp/u\";]");
    remove_at(&world, "//tmp/t/" MEMBER);
    assert_exists(&world, "//tmp/t/" MEMBER, false);
    assert_exists(&world, PATHS, false);
    assert_text(rules_attribute(&world, id, "table_paths"), "[\"//tmp/u\";]");
    assert_refused(
        &world, META, "remove", "{path=\"//tmp/t/" MEMBER "\"}", NULL, 500, "is not found");
    world_release(&world);
}

Test(collocation, loses_a_table_that_is_removed_and_goes_with_the_last_one)
{
    struct machine_world world;
    make(&world);
    const char *id = collocate(&world, "table_paths=[\"//tmp/t\";\"//tmp/u\"]");
    const char *path = world_text(&world, "#%s", id);
    world_do(&world, META, "remove", T, NULL);
    assert_text(rules_attribute(&world, id, "table_paths"), "[\"//tmp/u\";]");
    remove_at(&world, "//tmp/u/" MEMBER);
    world_run(&world, SECOND);
    assert_exists(&world, path, false);
    id = collocate(&world, "table_paths=[\"//tmp/u\"]");
    world_do(&world, META, "remove", U, NULL);
    world_run(&world, SECOND);
    assert_exists(&world, world_text(&world, "#%s", id), false);
    world_restart(&world, META);
    assert_exists(&world, world_text(&world, "#%s", id), false);
    world_release(&world);
}

Test(collocation, that_is_removed_leaves_its_tables)
{
    struct machine_world world;
    make(&world);
    const char *id = collocate(&world, "table_paths=[\"//tmp/t\";\"//tmp/u\"]");
    remove_at(&world, world_text(&world, "#%s", id));
    assert_exists(&world, "//tmp/t/" MEMBER, false);
    assert_exists(&world, "//tmp/u/" MEMBER, false);
    world_restart(&world, META);
    assert_exists(&world, "//tmp/t/" MEMBER, false);
    assert_exists(&world, "//tmp/u/" MEMBER, false);
    collocate(&world, "table_paths=[\"//tmp/u\";\"//tmp/t\"]");
    world_release(&world);
}

Test(collocation, has_options_for_all_its_tables)
{
    struct machine_world world;
    make(&world);
    const char *id = collocate(
        &world, "table_paths=[\"//tmp/t\"];options={preferred_sync_replica_clusters=[replica;x]}");
    assert_text(
        rules_attribute(&world, id, "options"),
        "{\"preferred_sync_replica_clusters\"=[\"replica\";\"x\";];}");
    world_restart(&world, META);
    const char *list = "options/preferred_sync_replica_clusters";
    const char *path = world_text(&world, "{path=\"#%s/@%s\"}", id, list);
    assert_text(rules_attribute(&world, id, list), "[\"replica\";\"x\";]");
    world_do(&world, META, "set", path, "[y]");
    assert_text(rules_attribute(&world, id, list), "[\"y\";]");
    world_do(&world, META, "remove", path, NULL);
    assert_text(rules_attribute(&world, id, list), "#");
    assert_refused(&world, META, "set", path, "y", 1, "list of names");
    const char *whole = world_text(&world, "{path=\"#%s/@options\"}", id);
    assert_refused(&world, META, "set", whole, "{speed=1}", 1, "no option \"speed\"");
    assert_refused(&world, META, "set", whole, "5", 1, "must be a map");
    world_do(&world, META, "remove", whole, NULL);
    assert_exists(&world, world_text(&world, "#%s/@options", id), false);
    assert_refused(
        &world,
        META,
        "create",
        "{type=table_collocation;attributes={table_paths=[\"//tmp/u\"];options={speed=1}}}",
        NULL,
        1,
        "no option \"speed\"");
    world_release(&world);
}

// The table of errors, in its order.
Test(collocation, situations_that_are_refused)
{
    struct machine_world world;
    make(&world);
    const char *plain_id = world_get(&world, META, "//tmp/plain/@id");
    const struct {
        const char *attributes;
        int code;
        const char *text;
    } rows[] = {
        {"", 1, "Collocated table set must be non-empty"},
        {"table_paths=[]", 1, "Collocated table set must be non-empty"},
        {"table_ids=[]", 1, "Collocated table set must be non-empty"},
        {"table_paths=[\"//tmp/t\"];table_ids=[]", 1, "Cannot specify both"},
        {"table_paths=[];table_ids=[]", 1, "Cannot specify both"},
        {"table_paths=[\"//tmp/t\";\"//tmp/u\";\"//tmp/t\"]", 1, "Duplicate table //tmp/t"},
        {"table_paths=[\"//tmp/none\"]", 500, "Error resolving path //tmp/none"},
        {"table_ids=[\"1-2-3-4\"]", 500, "No such object 1-2-3-4"},
        {"table_paths=[\"//tmp\"]",
         1,
         "Object //tmp is expected to be a table, actual type is \"map_node\""},
        {"table_paths=[\"//tmp/plain\"]",
         1,
         "Unexpected type of table //tmp/plain: expected \"replicated_table\", actual \"table\""},
        {"table_paths=[\"//tmp/t\";\"//tmp/plain\"]",
         1,
         "Unexpected type of table //tmp/plain: expected \"replicated_table\", actual \"table\""},
        {world_text(&world, "table_ids=[\"%s\"]", plain_id),
         1,
         "Unexpected type of table //tmp/plain: expected \"replicated_table\", actual \"table\""},
        {"collocation_type=other;table_paths=[\"//tmp/t\"]", 1, "collocation type \"other\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *parameters =
            world_text(&world, "{type=table_collocation;attributes={%s}}", rows[i].attributes);
        assert_refused(&world, META, "create", parameters, NULL, rows[i].code, rows[i].text);
    }
    assert_exists(&world, "//tmp/t/" MEMBER, false);
    assert_exists(&world, "//tmp/u/" MEMBER, false);
    world_release(&world);
}

Test(collocation, a_table_belongs_to_one_at_most)
{
    struct machine_world world;
    make(&world);
    const char *first = collocate(&world, "table_paths=[\"//tmp/t\"]");
    const char *second = collocate(&world, "table_paths=[\"//tmp/u\"]");
    const char *create = "{type=table_collocation;attributes={table_paths=[\"//tmp/t\"]}}";
    const char *text =
        world_text(&world, "Table //tmp/t already belongs to replication collocation %s", first);
    assert_refused(&world, META, "create", create, NULL, 1, text);
    const char *set = "{path=\"//tmp/t/" MEMBER "\"}";
    assert_refused(&world, META, "set", set, world_text(&world, "\"%s\"", second), 1, text);
    assert_text(world_get(&world, META, "//tmp/t/" MEMBER), first);
    world_release(&world);
}

Test(collocation, is_set_only_to_one_that_is_there_and_of_replicated_tables)
{
    struct machine_world world;
    make(&world);
    const char *id = collocate(&world, "table_paths=[\"//tmp/t\"]");
    const char *plain = "{path=\"//tmp/plain/" MEMBER "\"}";
    assert_refused(
        &world, META, "set", plain, world_text(&world, "\"%s\"", id), 1, "cannot be set");
    const char *set = "{path=\"//tmp/u/" MEMBER "\"}";
    const char *table_id = world_get(&world, META, "//tmp/t/@id"); // Of something else.
    const char *wrong[] = {"1-2-3-4", table_id};
    for (size_t i = 0; i < 2; i++) {
        const char *text = world_text(&world, "No such table collocation %s", wrong[i]);
        const char *quoted = world_text(&world, "\"%s\"", wrong[i]);
        assert_refused(&world, META, "set", set, quoted, 500, text);
    }
    assert_refused(&world, META, "set", set, "5", 1, "must be the id of an object");
    world_release(&world);
}

Test(collocation, too_many_tables_in_collocation)
{
    struct machine_world world;
    world_init(&world, 1);
    const char *paths = "";
    for (int i = 0; i <= COLLOCATION_TABLE_COUNT_MAX; i++) {
        const char *path = world_text(&world, "//tmp/t%d", i);
        rules_table(&world, META, "replicated_table", path, "schema=" WORLD_SCHEMA);
        if (i < COLLOCATION_TABLE_COUNT_MAX) paths = world_text(&world, "%s\"%s\";", paths, path);
    }
    const char *text = "Too many tables in collocation: 101 > 100";
    const char *last = world_text(&world, "\"//tmp/t%d\"", COLLOCATION_TABLE_COUNT_MAX);
    const char *create =
        world_text(&world, "{type=table_collocation;attributes={table_paths=[%s%s]}}", paths, last);
    assert_refused(&world, META, "create", create, NULL, 1, text);
    const char *id = collocate(&world, world_text(&world, "table_paths=[%s]", paths));
    const char *set =
        world_text(&world, "{path=\"//tmp/t%d/" MEMBER "\"}", COLLOCATION_TABLE_COUNT_MAX);
    const char *quoted = world_text(&world, "\"%s\"", id);
    assert_refused(&world, META, "set", set, quoted, 1, text);
    remove_at(&world, "//tmp/t0/" MEMBER);
    world_do(&world, META, "set", set, quoted); // There is room.
    world_release(&world);
}
