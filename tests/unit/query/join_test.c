#include "tests/test.h"
#include "tests/unit/query/world.h"

TestSuite(query_join, .fini = abort_on_leaks);

static struct world new_world(void)
{
    struct world world;
    world_init(&world);
    world_add(
        &world,
        "//orders",
        "[{name=id;type=int64;sort_order=ascending};{name=user;type=int64};{name=item;type=string};"
        "{name=price;type=int64}]",
        "{id=1;user=1;item=pen;price=3};{id=2;user=2;item=cup;price=5};"
        "{id=3;user=1;item=cup;price=6};{id=4;user=9;item=map;price=7};{id=5;item=pen;price=8}");
    world_add(
        &world,
        "//users",
        "[{name=user;type=int64;sort_order=ascending};{name=name;type=string};{name=city;type="
        "string}]",
        "{user=1;name=ann;city=rome};{user=2;name=bob;city=oslo};{user=3;name=cid}");
    world_add(
        &world,
        "//stock",
        "[{name=item;type=string;sort_order=ascending};{name=shop;type=int64;sort_order=ascending};"
        "{name=count;type=uint64}]",
        "{item=cup;shop=1;count=4u};{item=cup;shop=2;count=6u};{item=pen;shop=1;count=9u}");
    return world;
}

Test(query_join, looks_up_rows_by_key)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(&world, "id, name from [//orders] join [//users] using user"),
        "1,ann 2,bob 3,ann");
    cr_assert(eq(u64, world.tables[1].rows_read, 2));
    assert_text(
        world_get(&world, "o.id, u.name from [//orders] as o join [//users] u on o.user = u.user"),
        "1,ann 2,bob 3,ann");
    assert_text(
        world_get(&world, "o.id, u.name from [//orders] as o join [//users] u on u.user = o.user"),
        "1,ann 2,bob 3,ann");
}

Test(query_join, keeps_rows_without_a_match_if_it_is_a_left_join)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(&world, "id, name from [//orders] left join [//users] using user"),
        "1,ann 2,bob 3,ann 4,# 5,#");
    assert_text(
        world_get(&world, "id from [//orders] left join [//users] using user where name is null"),
        "4 5");
}

Test(query_join, gives_a_row_for_each_match)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(&world, "id, shop, count from [//orders] join [//stock] using item"),
        "1,1,9u 2,1,4u 2,2,6u 3,1,4u 3,2,6u 5,1,9u");
    assert_text(
        world_get(&world, "id, shop from [//orders] join [//stock] using item where shop = 2"),
        "2,2 3,2");
    assert_text(
        world_get(&world, "id, shop from [//orders] join [//stock] using item limit 2"), "1,1 2,1");
}

Test(query_join, filters_the_joined_table_before_joining)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(
            &world, "id, name from [//orders] left join [//users] using user and city = 'oslo'"),
        "1,# 2,bob 3,# 4,# 5,#");
    assert_text(
        world_get(
            &world,
            "o.id, s.count from [//orders] o join [//stock] s on (o.item, 2) = (s.item, s.shop)"),
        "2,6u 3,6u");
    assert_text(
        world_get(
            &world,
            "o.id, s.count from [//orders] o join [//stock] s on o.item = s.item and s.shop = 2"),
        "2,6u 3,6u");
}

Test(query_join, joins_several_tables)
{
    CLEANUP(world_release) struct world world = new_world();
    for (world.row_budget = 1; world.row_budget < 12; world.row_budget++) {
        assert_text(
            world_get(
                &world,
                "id, name, shop from [//orders] join [//users] using user join [//stock] using "
                "item "
                "where price < 6"),
            "1,ann,1 2,bob,1 2,bob,2");
        assert_text(
            world_get(
                &world,
                "name, sum(price * int64(count)) as x from [//orders] join [//users] using user "
                "join [//stock] using item group by name order by x desc"),
            "ann,87 bob,50");
    }
}

Test(query_join, reads_a_table_once_if_its_key_does_not_help)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_get(&world, "u.name, o.id from [//users] u join [//orders] o on u.user = o.user"),
        "ann,1 ann,3 bob,2");
    cr_assert(eq(u64, world.tables[0].rows_read, 5));
    const struct node *explained = query_plan_explain(
        world_plan(&world, "u.name from [//users] u join [//orders] o on u.user = o.user"),
        &world.arena);
    const struct node *join = node_find_text(explained, "joins")->entries[0].value;
    cr_assert(slice_equal_text(node_find_text(join, "lookup_type")->string, "full scan"));
}

Test(query_join, joins_many_rows_in_batches)
{
    CLEANUP(world_release) struct world world;
    world_init(&world);
    const char *schema = "[{name=k;type=int64;sort_order=ascending};{name=v;type=int64}]";
    struct world_table *a = world_add(&world, "//a", schema, "");
    struct world_table *b = world_add(&world, "//b", schema, "");
    for (int64_t i = 0; i < 20000; i++) {
        world_table_add(&world, a, (struct value[]){value_int64(0, i), value_int64(1, i % 700)});
        if (i < 500) {
            world_table_add(&world, b, (struct value[]){value_int64(0, i), value_int64(1, 1)});
        }
    }
    world_table_sort(a);
    world_table_sort(b);
    assert_text(
        world_get(&world, "sum(1), sum(b.v) from [//a] a join [//b] b on a.v = b.k group by 1"),
        "14400,14400");
    assert_text(
        world_get(
            &world, "sum(1), sum(b.v) from [//a] a left join [//b] b on a.v = b.k group by 1"),
        "20000,14400");
    world.limits.memory_size_max = 100000;
    assert_text(
        world_fail(&world, "sum(1) from [//a] a join [//b] b on a.v = b.k group by 1"),
        "Query memory limit exceeded while joining tables");
}

Test(query_join, refuses_conditions_that_are_no_equations)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_fail(&world, "o.id from [//orders] o join [//users] u on o.user < u.user"),
        "JOIN needs equalities between the tables, and predicates over the joined table; \"o.user "
        "< u.user\" is neither");
    assert_text(
        world_fail(&world, "o.id from [//orders] o join [//users] u on u.user = 1"),
        "JOIN of \"//users\" needs at least one equality between the tables");
    assert_text(
        world_fail(&world, "id from [//orders] join [//users] using name"),
        "Undefined reference \"name\"");
    assert_text(
        world_fail(&world, "o.id from [//orders] o join [//users] u on o.item = u.user"),
        "Type mismatch in expression \"o.item\": string and int64");
    // A name without a table means the table without an alias.
    assert_text(
        world_get(&world, "id, user from [//orders] join [//users] u on user = u.user limit 1"),
        world_get(
            &world, "o.id, o.user from [//orders] o join [//users] u on o.user = u.user limit 1"));
    assert_text(
        world_fail(&world, "user from [//orders] o join [//users] u on o.user = u.user"),
        "Ambiguous reference \"user\": several tables have such a column");
    assert_text(
        world_fail(&world, "o.id from [//orders] o join [//users] o using user"),
        "Redefinition of table alias \"o\"");
}
