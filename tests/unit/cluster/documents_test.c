// Nodes that hold values: documents with paths into them, lists, scalars; multiset_attributes.
#include "machine_world.h"

TestSuite(documents, .fini = abort_on_leaks);

static void drop(struct machine_world *world, const char *path)
{
    world_do(world, META, "remove", world_text(world, "{path=\"%s\"}", path), NULL);
}

static const char *get(struct machine_world *world, const char *path)
{
    return world_do(world, META, "get", world_text(world, "{path=\"%s\"}", path), NULL);
}

Test(documents, hold_any_value_and_can_be_changed_within)
{
    struct machine_world world;
    world_init(&world, 1);
    world_do(&world, META, "create", "{type=document;path=\"//tmp/d\"}", NULL);
    assert_text(get(&world, "//tmp/d"), "#");
    world_set(&world, META, "//tmp/d", "{a={b=[1;2]};c=x}");
    assert_text(get(&world, "//tmp/d/@type"), "\"document\"");
    assert_text(get(&world, "//tmp/d/a/b/-1"), "2");
    world_set(&world, META, "//tmp/d/a/b/0", "{k=v}");
    world_set(&world, META, "//tmp/d/a/b/end", "3");
    world_set(&world, META, "//tmp/d/new", "%true");
    assert_text(
        get(&world, "//tmp/d"),
        "{\"a\"={\"b\"=[{\"k\"=\"v\";};2;3;];};\"c\"=\"x\";\"new\"=%true;}");
    assert_text(
        world_do(&world, META, "list", "{path=\"//tmp/d\"}", NULL), "[\"a\";\"c\";\"new\";]");
    assert_text(world_do(&world, META, "list", "{path=\"//tmp/d/a\"}", NULL), "[\"b\";]");
    drop(&world, "//tmp/d/a/b/0");
    drop(&world, "//tmp/d/c");
    assert_text(world_do(&world, META, "exists", "{path=\"//tmp/d/c\"}", NULL), "%false");
    assert_text(world_do(&world, META, "exists", "{path=\"//tmp/d/a/b\"}", NULL), "%true");
    world_restart(&world, META);
    assert_text(get(&world, "//tmp/d"), "{\"a\"={\"b\"=[2;3;];};\"new\"=%true;}");
    world_set(&world, META, "//tmp/d", "5");
    assert_text(get(&world, "//tmp/d/@type"), "\"document\"");
    world_release(&world);
}

Test(documents, places_that_are_not_there_are_refused)
{
    struct machine_world world;
    world_init(&world, 1);
    world_do(
        &world,
        META,
        "create",
        "{type=document;path=\"//tmp/d\";attributes={value={a=[1]}}}",
        NULL);
    const struct {
        const char *command;
        const char *path;
        const char *input;
    } cases[] = {
        {"get", "//tmp/d/b", NULL},
        {"get", "//tmp/d/a/1", NULL},
        {"get", "//tmp/d/a/x", NULL},
        {"get", "//tmp/d/a/0/x", NULL},
        {"get", "//tmp/d/a/@x", NULL},
        {"list", "//tmp/d/b", NULL},
        {"set", "//tmp/d/b/c", "1"},
        {"set", "//tmp/d/a/1", "1"},
        {"set", "//tmp/d/a/0/x", "1"},
        {"remove", "//tmp/d/b", NULL},
        {"remove", "//tmp/d/a/-2", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *parameters = world_text(&world, "{path=\"%s\"}", cases[i].path);
        assert_refused(
            &world,
            META,
            cases[i].command,
            parameters,
            cases[i].input,
            500,
            "Error resolving path");
    }
    assert_refused(&world, META, "list", "{path=\"//tmp/d/a\"}", NULL, 1, "is not a map");
    world_do(&world, META, "remove", "{path=\"//tmp/d/b\";force=%true}", NULL);
    world_release(&world);
}

Test(documents, and_other_nodes_are_created_with_values)
{
    struct machine_world world;
    world_init(&world, 1);
    const struct {
        const char *type;
        const char *value;
        const char *printed;
        const char *wrong; // Of another type.
    } cases[] = {
        {"string_node", "x", "\"x\"", "1"},
        {"int64_node", "5", "5", "5u"},
        {"uint64_node", "5u", "5u", "5"},
        {"double_node", "0.5", "0.5", "%true"},
        {"boolean_node", "%true", "%true", "1"},
        {"list_node", "[1;a]", "[1;\"a\";]", "{}"},
        {"document", "{a=1}", "{\"a\"=1;}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = world_text(&world, "//tmp/n%zu", i);
        const char *form = "{type=%s;path=\"%s\";attributes={value=%s;mine=1}}";
        if (cases[i].wrong) {
            assert_refused(
                &world,
                META,
                "create",
                world_text(&world, form, cases[i].type, path, cases[i].wrong),
                NULL,
                1,
                "cannot have a value of type");
        }
        const char *text = world_text(&world, form, cases[i].type, path, cases[i].value);
        world_do(&world, META, "create", text, NULL);
        assert_text(get(&world, path), cases[i].printed);
        assert_text(get(&world, world_text(&world, "%s/@mine", path)), "1");
        assert_text(world_get(&world, META, world_text(&world, "%s/@type", path)), cases[i].type);
    }
    world_set(&world, META, "//tmp/n5/0", "b");
    assert_text(get(&world, "//tmp/n5"), "[\"b\";\"a\";]");
    world_release(&world);
}

Test(documents, several_attributes_are_set_all_or_none)
{
    struct machine_world world;
    world_init(&world, 1);
    world_do(&world, META, "create", "{type=map_node;path=\"//tmp/m\"}", NULL);
    const char *all = "{path=\"//tmp/m/@\"}";
    world_do(&world, META, "multiset_attributes", all, "{a=1;b={c=2}}");
    assert_text(get(&world, "//tmp/m/@a"), "1");
    world_do(&world, META, "multiset_attributes", "{path=\"//tmp/m/@b\"}", "{c=3;d=4}");
    assert_text(get(&world, "//tmp/m/@b"), "{\"c\"=3;\"d\"=4;}");
    assert_refused(
        &world, META, "multiset_attributes", all, "{a=7;id=x}", 1, "\"id\" cannot be set");
    assert_text(get(&world, "//tmp/m/@a"), "1");
    assert_refused(&world, META, "multiset_attributes", all, "[]", 1, "given as a map");
    assert_refused(
        &world, META, "multiset_attributes", "{path=\"//tmp/m\"}", "{a=1}", 1, "must end");
    assert_refused(&world, META, "multiset_attributes", "{path=\"//x/@\"}", "{a=1}", 500, "//x");
    world_release(&world);
}
