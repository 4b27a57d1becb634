// copy, move and link of nodes, tables and replicated tables (behaviour 3.6).
#include "machine_world.h"

TestSuite(copy, .fini = abort_on_leaks);

#define SCHEMA "[{name=k;type=int64;sort_order=ascending};{name=v;type=string}]"

static const char *get(struct machine_world *world, const char *path)
{
    return world_ask(world, "get", world_text(world, "{path=\"%s\"}", path));
}

static const char *both(struct machine_world *world, const char *from, const char *to)
{
    return world_text(world, "{source_path=\"%s\";destination_path=\"%s\"}", from, to);
}

static const char *rows(struct machine_world *world, int node, const char *path)
{
    const char *query = world_text(world, "{query=\"* from [%s]\"}", path);
    return world_do(world, node, "select_rows", query, NULL);
}

static void mount(struct machine_world *world, int node, const char *path)
{
    world_do(world, node, "mount_table", world_text(world, "{path=\"%s\"}", path), NULL);
}

static void unmount(struct machine_world *world, int node, const char *path)
{
    world_do(world, node, "unmount_table", world_text(world, "{path=\"%s\"}", path), NULL);
    world_wait(world, node, world_text(world, "%s/@tablet_state", path), "unmounted");
}

Test(copy, of_map_nodes_takes_all_below_with_attributes)
{
    struct machine_world world;
    world_init(&world, 1);
    world_set(&world, META, "//tmp/a", "{b={c=5};d=x}");
    world_set(&world, META, "//tmp/a/b/@mine", "7");
    const char *quoted = world_ask(&world, "copy", both(&world, "//tmp/a", "//tmp/e"));
    assert_text(get(&world, "//tmp/e"), "{\"b\"={\"c\"=5;};\"d\"=\"x\";}");
    assert_text(get(&world, "//tmp/e/b/@mine"), "7");
    assert_text(get(&world, "//tmp/e/@id"), quoted);
    world_set(&world, META, "//tmp/e/b/c", "6");
    assert_text(get(&world, "//tmp/a/b/c"), "5");
    world_restart(&world, META);
    assert_text(get(&world, "//tmp/e/b/c"), "6");
    world_release(&world);
}

Test(copy, of_a_table_has_its_rows_and_history)
{
    struct machine_world world;
    world_init(&world, 1);
    world_ask(
        &world,
        "create",
        "{type=table;path=\"//tmp/"
        "t\";attributes={dynamic=%true;pivot_keys=[[];[5]];mine=1;schema=" SCHEMA "}}");
    // Columns of an altered table are known by other ids than their places.
    world_ask(
        &world,
        "alter_table",
        "{path=\"//tmp/t\";schema=[{name=k;type=int64;sort_order=ascending};{name=n;type=int64};"
        "{name=v;type=string}]}");
    mount(&world, META, "//tmp/t");
    world_do(&world, META, "insert_rows", "{path=\"//tmp/t\"}", "{k=1;v=a;n=3};{k=7;v=b}");
    const char *then = world_ask(&world, "generate_timestamp", "{}");
    world_do(&world, META, "insert_rows", "{path=\"//tmp/t\"}", "{k=1;v=c}");
    const char *parameters = both(&world, "//tmp/t", "//tmp/u");
    assert_refused(
        &world,
        META,
        "copy",
        parameters,
        NULL,
        1706,
        "Cannot copy dynamic table since not all tablets are frozen or unmounted");
    world_ask(&world, "freeze_table", "{path=\"//tmp/t\"}");
    world_ask(&world, "copy", parameters);
    world_ask(&world, "unfreeze_table", "{path=\"//tmp/t\"}");
    world_do(&world, META, "insert_rows", "{path=\"//tmp/t\"}", "{k=8}");
    assert_text(get(&world, "//tmp/u/@tablet_state"), "\"unmounted\"");
    assert_text(get(&world, "//tmp/u/@pivot_keys"), "[[];[5;];]");
    assert_text(get(&world, "//tmp/u/@mine"), "1");
    mount(&world, META, "//tmp/u");
    assert_text(
        rows(&world, META, "//tmp/u"),
        "{\"k\"=1;\"n\"=#;\"v\"=\"c\";};\n{\"k\"=7;\"n\"=#;\"v\"=\"b\";};\n");
    const char *old = world_text(&world, "{path=\"//tmp/u\";timestamp=%s}", then);
    assert_text(
        world_do(&world, META, "lookup_rows", old, "{k=1}"), "{\"k\"=1;\"n\"=3;\"v\"=\"a\";};\n");
    world_restart(&world, META);
    assert_text(
        world_do(&world, META, "lookup_rows", "{path=\"//tmp/u\"}", "{k=1}"),
        "{\"k\"=1;\"n\"=#;\"v\"=\"c\";};\n");
    world_release(&world);
}

Test(copy, of_an_ordered_table_goes_on_where_its_source_ended)
{
    struct machine_world world;
    world_init(&world, 1);
    world_ask(
        &world,
        "create",
        "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;schema=[{name=v;type=string}]}}");
    mount(&world, META, "//tmp/t");
    world_do(&world, META, "insert_rows", "{path=\"//tmp/t\"}", "{v=a};{v=b};{v=c}");
    world_ask(&world, "trim_rows", "{path=\"//tmp/t\";tablet_index=0;trimmed_row_count=1}");
    unmount(&world, META, "//tmp/t");
    world_ask(&world, "copy", both(&world, "//tmp/t", "//tmp/u"));
    world_ask(&world, "remove", "{path=\"//tmp/t\"}");
    world_restart(&world, META);
    assert_text(get(&world, "//tmp/u/@tablets/0/trimmed_row_count"), "1");
    mount(&world, META, "//tmp/u");
    world_do(&world, META, "insert_rows", "{path=\"//tmp/u\"}", "{v=d}");
    const char *query = "{query=\"[$row_index] as i, v from [//tmp/u]\"}";
    assert_text(
        world_ask(&world, "select_rows", query),
        "{\"i\"=1;\"v\"=\"b\";};\n{\"i\"=2;\"v\"=\"c\";};\n{\"i\"=3;\"v\"=\"d\";};\n");
    world_release(&world);
}

// The id of the copy's replica that has this path.
static const char *clone_of(struct machine_world *world, const char *path)
{
    const char *map = get(world, "//tmp/copy/@replicas");
    for (const char *at = map; (at = strstr(at, "\"cluster_name\"")); at++) {
        const char *end = strstr(at, "\"state\"");
        const char *found = strstr(at, path);
        if (!found || found > end) continue;
        const char *begin = at;
        while (begin > map && begin[-1] != '{') begin--; // "id"={"cluster_name"…
        const char *close = begin - 3;
        begin = close;
        while (begin[-1] != '"') begin--;
        return world_text(world, "%.*s", (int)(close - begin), begin);
    }
    cr_fatal("no replica %s in %s", path, map);
    return NULL;
}

// Behaviour 16.13.
Test(copy, of_a_replicated_table_has_clones_of_replicas_that_start_disabled_at_the_same_index)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    const char *quoted = world_ask(
        &world,
        "create",
        "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;replica_path="
        "\"//tmp/plain\";preserve_timestamps=%false;enable_replicated_table_tracker=%false;"
        "enabled=%true;mine=5}}");
    const char *plain = world_text(&world, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
    world_do(
        &world,
        REPLICA,
        "create",
        "{type=table;path=\"//tmp/plain\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}",
        NULL);
    mount(&world, REPLICA, "//tmp/plain");
    const char *no_sync = "{path=\"//tmp/t\";require_sync_replica=%false}";
    world_do(&world, META, "insert_rows", no_sync, "{key=1;value=a};{key=2}");
    const char *index = "tablets/0/current_replication_row_index";
    world_wait(&world, META, world_text(&world, "#%s/@%s", plain, index), "2");
    world_wait(&world, META, world_text(&world, "#%s/@%s", id, index), "2");
    unmount(&world, META, "//tmp/t");
    const char *before = get(&world, world_text(&world, "#%s/@tablets/0", plain));

    world_ask(&world, "copy", both(&world, "//tmp/t", "//tmp/copy"));
    assert_text(get(&world, "//tmp/copy/@tablets/0/flushed_row_count"), "2");
    const char *clone = clone_of(&world, "//tmp/plain");
    cr_assert(ne(str, (char *)clone, (char *)plain));
    const struct {
        const char *name;
        const char *value;
    } expected[] = {
        {"cluster_name", "\"replica\""},
        {"replica_path", "\"//tmp/plain\""},
        {"mode", "\"async\""},
        {"state", "\"disabled\""},
        {"preserve_timestamps", "%false"},
        {"atomicity", "\"full\""},
        {"start_replication_timestamp", "1u"},
        {"enable_replicated_table_tracker", "%false"},
        {"mine", "5"},
        {"tablets/0/current_replication_row_index", "2"},
        {"tablets/0/committed_replication_row_index", "2"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const char *found = get(&world, world_text(&world, "#%s/@%s", clone, expected[i].name));
        assert_text(found, expected[i].value);
    }
    const char *stamp = "tablets/0/current_replication_timestamp";
    assert_text(
        get(&world, world_text(&world, "#%s/@%s", clone, stamp)),
        get(&world, world_text(&world, "#%s/@%s", plain, stamp)));
    assert_text(get(&world, world_text(&world, "#%s/@tablets/0", plain)), before);

    // Enabled, it goes on with what is new, and does not replay the rest.
    world_do(&world, REPLICA, "delete_rows", "{path=\"//tmp/plain\"}", "{key=1}");
    mount(&world, META, "//tmp/copy");
    world_ask(&world, "enable_table_replica", world_text(&world, "{replica_id=\"%s\"}", clone));
    world_do(
        &world,
        META,
        "insert_rows",
        "{path=\"//tmp/copy\";require_sync_replica=%false}",
        "{key=3;value=c}");
    world_wait(&world, META, world_text(&world, "#%s/@%s", clone, index), "3");
    assert_text(
        rows(&world, REPLICA, "//tmp/plain"),
        "{\"key\"=2;\"value\"=#;\"sum\"=#;};\n{\"key\"=3;\"value\"=\"c\";\"sum\"=#;};\n");
    world_restart(&world, META);
    assert_text(get(&world, world_text(&world, "#%s/@%s", clone, index)), "3");
    assert_text(get(&world, "//tmp/copy/@tablets/0/flushed_row_count"), "3");

    // The other clone's table follows the source still.
    const char *other = clone_of(&world, "//tmp/r");
    world_ask(&world, "enable_table_replica", world_text(&world, "{replica_id=\"%s\"}", other));
    world_wait(&world, META, world_text(&world, "#%s/@error_count", other), "1");
    mount(&world, META, "//tmp/t");
    world_do(&world, META, "insert_rows", no_sync, "{key=9}");
    world_wait(&world, META, world_text(&world, "#%s/@%s", id, index), "3");
    world_release(&world);
}

// Rows of 100 kB, so that a copy of them takes several steps.
static void fill(struct machine_world *world, const char *path, int count)
{
    CLEANUP(buffer_releasep) struct buffer row = {0};
    const char *parameters = world_text(world, "{path=\"%s\"}", path);
    for (int i = 0; i < count; i++) {
        buffer_clear(&row);
        buffer_print(&row, "{k=%d;v=\"", i);
        memset(buffer_reserve(&row, 100000), 'a', 100000);
        row.size += 100000;
        buffer_append_text(&row, "\"}");
        buffer_append_byte(&row, 0);
        world_do(world, META, "insert_rows", parameters, row.data);
    }
}

static void make_large(struct machine_world *world, const char *type, int node_count)
{
    world_init(world, node_count);
    const char *parameters = world_text(
        world,
        "{type=%s;path=\"//tmp/a\";attributes={dynamic=%%true;pivot_keys=[[];[5]];schema=" SCHEMA
        "}}",
        type);
    world_ask(world, "create", parameters);
    mount(world, META, "//tmp/a");
    fill(world, "//tmp/a", 20);
    unmount(world, META, "//tmp/a");
}

// How many keys the store has in all families but that of objects and the like.
static uint64_t count_keys(struct machine_world *world)
{
    uint64_t count = 0;
    const enum store_family families[] = {STORE_DATA, STORE_QUEUE};
    for (int i = 0; i < 2; i++) {
        struct slice end = SLICE_OF("\xff\xff\xff\xff\xff");
        CLEANUP(store_iterator_freep)
        struct store_iterator *iterator =
            store_iterator_new(world->nodes[META].store, NULL, families[i], slice_from("", 0), end);
        store_iterator_seek(iterator, slice_from("", 0));
        for (; store_iterator_is_valid(iterator); store_iterator_next(iterator)) count++;
    }
    return count;
}

static struct request *begin_copy(struct machine_world *world)
{
    const char *parameters = both(world, "//tmp/a", "//tmp/b");
    struct request *request = world_begin(world, META, "copy", parameters, NULL);
    cr_assert(not(world_is_answered(world, request)));
    return request;
}

#define COUNT "{query=\"sum(1) as n, sum(length(v)) as s from [%s] group by 1 as one\"}"
#define ALL   "{\"n\"=20;\"s\"=2000000;};\n"

Test(copy, of_a_large_table_goes_in_steps_and_is_there_as_a_whole)
{
    struct machine_world world;
    make_large(&world, "table", 1);
    struct request *request = begin_copy(&world);
    for (int j = 0; j < 3; j++) { // Other things go on meanwhile.
        assert_text(world_ask(&world, "exists", "{path=\"//tmp/b\"}"), "%false");
        world_run(&world, MS);
        cr_assert(not(world_is_answered(&world, request)));
    }
    const char *id = world_finish(&world, request);
    assert_text(get(&world, "//tmp/b/@id"), id);
    for (int i = 0; i < 2; i++) {
        mount(&world, META, i == 0 ? "//tmp/a" : "//tmp/b");
        const char *query = world_text(&world, COUNT, i == 0 ? "//tmp/a" : "//tmp/b");
        assert_text(world_ask(&world, "select_rows", query), ALL);
    }
    // They are two tables.
    world_do(&world, META, "delete_rows", "{path=\"//tmp/a\"}", "{k=1}");
    assert_text(world_ask(&world, "select_rows", world_text(&world, COUNT, "//tmp/b")), ALL);
    world_restart(&world, META);
    assert_text(world_ask(&world, "select_rows", world_text(&world, COUNT, "//tmp/b")), ALL);
    world_release(&world);
}

Test(copy, of_a_large_log_is_replicated_as_the_original)
{
    struct machine_world world;
    make_large(&world, "replicated_table", 2);
    world_finish(&world, begin_copy(&world));
    mount(&world, META, "//tmp/b");
    const char *quoted = world_ask(
        &world,
        "create",
        "{type=table_replica;attributes={table_path=\"//tmp/b\";cluster_name=replica;"
        "replica_path=\"//tmp/r\";enabled=%true}}");
    const char *attributes = world_text(
        &world,
        "{type=table;path=\"//tmp/r\";attributes={dynamic=%%true;schema=" SCHEMA
        ";upstream_replica_id=%s}}",
        quoted);
    world_do(&world, REPLICA, "create", attributes, NULL);
    mount(&world, REPLICA, "//tmp/r");
    const char *id = world_text(&world, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
    const char *path = world_text(&world, "#%s/@tablets/%%d/current_replication_row_index", id);
    world_wait(&world, META, world_text(&world, path, 0), "5");
    world_wait(&world, META, world_text(&world, path, 1), "15");
    const char *query = world_text(&world, COUNT, "//tmp/r");
    assert_text(world_do(&world, REPLICA, "select_rows", query, NULL), ALL);
    world_release(&world);
}

Test(copy, that_does_not_end_leaves_nothing)
{
    static const char *const TEXTS[] = {
        NULL, // A crash.
        "The source or destination of a copy has changed",
        "Cannot copy dynamic table since not all tablets are frozen or unmounted",
        "Node //tmp/b already exists",
        "Error resolving path //tmp/a",
    };
    for (int i = 0; i < 5; i++) {
        struct machine_world world;
        make_large(&world, "table", 1);
        uint64_t before = count_keys(&world);
        struct request *request = begin_copy(&world);
        world_run(&world, MS);
        cr_assert(count_keys(&world) > before);
        if (i == 0) { // What was copied so far is durable with this.
            world_ask(&world, "create", "{type=map_node;path=\"//tmp/x\"}");
            world_restart(&world, META);
            assert_text(world_ask(&world, "exists", "{path=\"//tmp/x\"}"), "%true");
        }
        if (i == 1 || i == 2) mount(&world, META, "//tmp/a");
        if (i == 1) {
            world_do(&world, META, "insert_rows", "{path=\"//tmp/a\"}", "{k=1;v=a}");
            before++; // Another version.
            unmount(&world, META, "//tmp/a");
        }
        if (i == 3) world_ask(&world, "create", "{type=map_node;path=\"//tmp/b\"}");
        if (i == 4) world_ask(&world, "remove", "{path=\"//tmp/a\"}");
        if (TEXTS[i]) {
            cr_assert(world_finish(&world, request) == NULL);
            cr_assert(error_says(world.error, 0, TEXTS[i]), "%s", TEXTS[i]);
        }
        if (i != 3) assert_text(world_ask(&world, "exists", "{path=\"//tmp/b\"}"), "%false");
        world_run(&world, SECOND);
        uint64_t expected = i == 4 ? 0 : before;
        cr_assert(eq(u64, count_keys(&world), expected), "case %d", i);
        world_release(&world);
    }
}

Test(copy, move_gives_a_node_another_place_and_keeps_its_id)
{
    struct machine_world world;
    world_init(&world, 1);
    world_ask(
        &world,
        "create",
        "{type=table;path=\"//tmp/a/t\";recursive=%true;attributes={dynamic=%true;schema=" SCHEMA
        "}}");
    mount(&world, META, "//tmp/a/t");
    world_do(&world, META, "insert_rows", "{path=\"//tmp/a/t\"}", "{k=1;v=a}");
    assert_refused(
        &world,
        META,
        "move",
        both(&world, "//tmp/a", "//tmp/b"),
        NULL,
        1706,
        "Cannot move dynamic");
    unmount(&world, META, "//tmp/a/t");
    const char *id = get(&world, "//tmp/a/t/@id");
    world_ask(&world, "move", both(&world, "//tmp/a", "//tmp/b"));
    assert_text(world_ask(&world, "exists", "{path=\"//tmp/a\"}"), "%false");
    assert_text(get(&world, "//tmp/b/t/@id"), id);
    assert_text(get(&world, "//tmp/b/t/@path"), "\"//tmp/b/t\"");
    world_restart(&world, META);
    mount(&world, META, "//tmp/b/t");
    assert_text(rows(&world, META, "//tmp/b/t"), "{\"k\"=1;\"v\"=\"a\";};\n");
    world_release(&world);
}

Test(copy, and_move_are_refused_with_reasons)
{
    struct machine_world world;
    world_init(&world, 1);
    world_set(&world, META, "//tmp/a", "{b=1}");
    world_set(&world, META, "//tmp/c", "2");
    world_ask(
        &world,
        "create",
        "{type=replicated_table;path=\"//tmp/q\";attributes={dynamic=%true;schema=" SCHEMA "}}");
    const struct {
        const char *command;
        const char *from;
        const char *to;
        const char *more;
        int code;
        const char *text;
    } cases[] = {
        {"copy", "//tmp/x", "//tmp/y", "", 500, "//tmp/x"},
        {"copy", "//tmp/a", "//tmp/c", "", 501, "Node //tmp/c already exists"},
        {"copy", "//tmp/a", "//tmp/x/y", "", 500, "Error resolving path //tmp/x/y"},
        {"copy", "//tmp/a", "//tmp/c/y", "", 500, "Error resolving path //tmp/c/y"},
        {"copy", "//tmp/a", "//tmp/a/d", "", 1, "into itself"},
        {"copy", "//tmp/a/b", "//tmp/a", "force=%true", 1, "by a part of it"},
        {"copy", "//tmp/a/@id", "//tmp/d", "", 1, "is not a node of the tree"},
        {"copy", "//tmp/a", "//tmp/d/@x", "", 1, "cannot be the path of a node"},
        {"move", "//tmp", "//home/tmp", "", 1, "belongs to the cluster"},
        {"move", "//tmp/q", "//tmp/p", "", 1, "A replicated table cannot be moved"},
        {"move", "//tmp/a", "//tmp/a/d", "", 1, "into itself"},
        {"move", "//tmp/a", "//tmp/c", "", 501, "already exists"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *parameters = world_text(
            &world,
            "{source_path=\"%s\";destination_path=\"%s\";%s}",
            cases[i].from,
            cases[i].to,
            cases[i].more);
        assert_refused(
            &world, META, cases[i].command, parameters, NULL, cases[i].code, cases[i].text);
    }
    const char *again =
        "{source_path=\"//tmp/a\";destination_path=\"//tmp/c\";ignore_existing=%true}";
    assert_text(world_ask(&world, "copy", again), get(&world, "//tmp/c/@id"));
    world_ask(&world, "copy", "{source_path=\"//tmp/a\";destination_path=\"//tmp/c\";force=%true}");
    assert_text(get(&world, "//tmp/c"), "{\"b\"=1;}");
    world_ask(
        &world,
        "move",
        "{source_path=\"//tmp/a\";destination_path=\"//tmp/m/n/a\";recursive=%true}");
    assert_text(get(&world, "//tmp/m/n/a/b"), "1");
    world_release(&world);
}

Test(copy, links_lead_to_other_nodes)
{
    struct machine_world world;
    world_init(&world, 1);
    world_set(&world, META, "//tmp/a", "{b={c=1}}");
    const char *quoted =
        world_ask(&world, "link", "{target_path=\"//tmp/a/b\";link_path=\"//tmp/l\"}");
    world_ask(&world, "link", "{target_path=\"//tmp/l\";link_path=\"//tmp/l2\"}");
    assert_text(get(&world, "//tmp/l2/c"), "1");
    world_set(&world, META, "//tmp/l/d", "2");
    assert_text(get(&world, "//tmp/a/b/d"), "2");
    assert_text(get(&world, "//tmp/l/@path"), "\"//tmp/a/b\"");
    assert_text(get(&world, "//tmp/l&/@type"), "\"link\"");
    assert_text(get(&world, "//tmp/l&/@id"), quoted);
    assert_text(get(&world, "//tmp/l&/@target_path"), "\"//tmp/a/b\"");
    assert_text(get(&world, "//tmp/l&/@broken"), "%false");
    assert_text(get(&world, "//tmp/l&"), "#");

    // A link without its target is broken; removing it does not touch the target.
    world_ask(&world, "move", both(&world, "//tmp/a", "//tmp/z"));
    assert_text(get(&world, "//tmp/l&/@broken"), "%true");
    assert_text(world_ask(&world, "exists", "{path=\"//tmp/l2\"}"), "%false");
    assert_refused(&world, META, "get", "{path=\"//tmp/l/c\"}", NULL, 500, "which does not exist");
    assert_refused(&world, META, "set", "{path=\"//tmp/l\"}", "1", 500, "which does not exist");
    world_restart(&world, META);
    world_ask(&world, "move", both(&world, "//tmp/z", "//tmp/a"));
    assert_text(get(&world, "//tmp/l2/c"), "1");
    world_ask(&world, "remove", "{path=\"//tmp/l2\"}");
    assert_text(world_ask(&world, "exists", "{path=\"//tmp/l\"}"), "%true");
    world_ask(&world, "copy", both(&world, "//tmp/l", "//tmp/l3"));
    assert_text(get(&world, "//tmp/l3&/@type"), "\"link\"");

    const struct {
        const char *parameters;
        int code;
        const char *text;
    } cases[] = {
        {"{target_path=\"//tmp/x\";link_path=\"//tmp/n\"}", 500, "//tmp/x"},
        {"{target_path=\"//tmp/a\";link_path=\"//tmp/l\"}", 501, "already exists"},
        {"{target_path=\"//tmp/a/@id\";link_path=\"//tmp/n\"}", 1, "an attribute"},
        {"{target_path=\"//tmp/a/b\";link_path=\"//tmp/a\";force=%true}",
         1,
         "replace what it leads"},
        {"{target_path=\"//tmp/a\";link_path=\"//tmp/n\";attributes=5}", 1, "must be a map"},
        {"{link_path=\"//tmp/n\"}", 1, "\"target_path\" is missing"},
        {"{target_path=\"//tmp/a\"}", 1, "\"link_path\" is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(
            &world, META, "link", cases[i].parameters, NULL, cases[i].code, cases[i].text);
    }
    world_ask(&world, "link", "{target_path=\"//tmp/a\";link_path=\"//tmp/l\";force=%true}");
    assert_text(get(&world, "//tmp/l/b/c"), "1");
    world_release(&world);
}

Test(copy, links_in_a_circle_lead_nowhere)
{
    struct machine_world world;
    world_init(&world, 1);
    world_set(&world, META, "//tmp/a", "1");
    world_ask(&world, "link", "{target_path=\"//tmp/a\";link_path=\"//tmp/l\"}");
    world_ask(&world, "link", "{target_path=\"//tmp/l\";link_path=\"//tmp/m\"}");
    world_ask(&world, "link", "{target_path=\"//tmp/m\";link_path=\"//tmp/l\";force=%true}");
    assert_text(world_ask(&world, "exists", "{path=\"//tmp/l\"}"), "%false");
    assert_text(get(&world, "//tmp/l&/@broken"), "%true");
    world_release(&world);
}
