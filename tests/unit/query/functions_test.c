#include "tests/test.h"
#include "tests/unit/query/world.h"

TestSuite(query_functions, .fini = abort_on_leaks);

static struct world new_world(void)
{
    struct world world;
    world_init(&world);
    world_add(
        &world,
        "//t",
        "[{name=k;type=int64;sort_order=ascending};{name=i;type=int64};{name=u;type=uint64};"
        "{name=d;type=double};{name=b;type=boolean};{name=s;type=string};{name=y;type=any};"
        "{name=l;type=any};{name=n;type=int64};{name=z;type=any}]",
        "{k=1;i=7;u=5u;d=1.5;b=%true;s=abc;l=[1;2u;x;%true;0.5;#];"
        "y={a=-3;b={\"c/d\"=4u;e=[10;20;30]};f=1.25;g=%false;h=text;m=#;"
        "w=<attr=5;list=[{p=7u}]>body}}");
    return world;
}

static const char *value(struct world *world, const char *expression)
{
    return world_get(world, arena_print(&world->arena, "%s as v from [//t]", expression));
}

static const char *fail(struct world *world, const char *expression)
{
    return world_fail(world, arena_print(&world->arena, "%s as v from [//t]", expression));
}

Test(query_functions, hash_as_ytsaurus_does)
{
    CLEANUP(world_release) struct world world = new_world();
    // Source: unittests of yt/yt/client/table_client in YTsaurus.
    assert_text(value(&world, "farm_hash(12345678, 42u)"), "16453323425893019626u");
    assert_text(value(&world, "farm_hash(12345678u, true)"), "10502610411105654667u");
    assert_text(value(&world, "farm_hash(false, '')"), "10248854568006048452u");
    assert_text(value(&world, "farm_hash('abc', -1000000)"), "9998489714118868374u");
    assert_text(value(&world, "farm_hash(n) = farm_hash(null)"), "true");
    assert_text(value(&world, "farm_hash(k, s) = farm_hash(1, 'abc')"), "true");
    assert_text(
        fail(&world, "farm_hash(y)"),
        "Wrong type for argument 1 to function \"farm_hash\": expected int64 or uint64 or boolean "
        "or string, got any");
}

Test(query_functions, of_numbers)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(value(&world, "sign(-d)"), "-1");
    assert_text(value(&world, "signbit(-d)"), "true");
    assert_text(value(&world, "pow(d, 2)"), "2.25");
    assert_text(value(&world, "sqrt(2.25)"), "1.5");
    assert_text(value(&world, "cbrt(27)"), "3");
    assert_text(value(&world, "log(1000)"), "3");
    assert_text(value(&world, "log2(8)"), "3");
    assert_text(value(&world, "ln(exp(d))"), "1.5");
    assert_text(value(&world, "round(2.5)"), "3");
    assert_text(value(&world, "round(-2.5)"), "-3");
    assert_text(value(&world, "trunc(-2.5)"), "-2");
    assert_text(value(&world, "degrees(radians(180))"), "180");
    assert_text(value(&world, "is_inf(d / 0)"), "true");
    assert_text(value(&world, "gamma(5)"), "24");
    assert_text(value(&world, "bit_count(255u)"), "8");
    assert_text(value(&world, "factorial(20)"), "2432902008176640000u");
    assert_text(fail(&world, "factorial(u + 16)"), "Factorial of 21 does not fit into 64 bits");
    assert_text(value(&world, "gcd(12, 18)"), "6u");
    assert_text(value(&world, "lcm(4, 6)"), "12u");
    assert_text(value(&world, "lcm(0, 0)"), "0u");
    assert_text(value(&world, "xor(u, 1)"), "4u");
    assert_text(value(&world, "sqrt(double(n))"), "#");
}

Test(query_functions, of_times)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(value(&world, "timestamp_floor_month(1700000000)"), "1698796800");
    assert_text(value(&world, "timestamp_floor_quarter(1700000000)"), "1696118400");
    assert_text(value(&world, "timestamp_floor_year(1700000000)"), "1672531200");
    assert_text(value(&world, "timestamp_floor_year(-1)"), "-31536000");
    assert_text(value(&world, "timestamp_floor_hour(1700000000)"), "1699999200");
    assert_text(
        value(&world, "format_timestamp(1700000000, '%Y-%m-%d %H:%M:%S')"), "2023-11-14 22:13:20");
    assert_text(
        fail(&world, "format_timestamp(k, '%Q')"), "Unknown conversion \"%Q\" in a format of time");
    assert_text(
        fail(&world, "timestamp_floor_day_tz(k, 'Europe/Berlin')"),
        "Function \"timestamp_floor_day_tz\" is not supported");
}

Test(query_functions, look_into_yson)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(value(&world, "get_int64(y, '/a')"), "-3");
    assert_text(value(&world, "try_get_uint64(y, '/b/c\\\\/d')"), "4u");
    assert_text(value(&world, "get_int64(y, '/b/e/1')"), "20");
    assert_text(value(&world, "get_int64(y, '/b/e/-1')"), "30");
    assert_text(value(&world, "try_get_int64(y, '/b/e/3')"), "#");
    assert_text(value(&world, "get_double(y, '/f')"), "1.25");
    assert_text(value(&world, "get_boolean(y, '/g')"), "false");
    assert_text(value(&world, "get_string(y, '/h')"), "text");
    assert_text(value(&world, "get_any(y, '/b/e')"), "[10;20;30;]");
    assert_text(value(&world, "get_int64(y, '/w/@attr')"), "5");
    assert_text(value(&world, "get_uint64(y, '/w/@list/0/p')"), "7u");
    assert_text(value(&world, "try_get_uint64(y, '/a')"), "#");
    assert_text(value(&world, "try_get_int64(y, '/no/such')"), "#");
    assert_text(value(&world, "try_get_string(y, '/m')"), "#");
    assert_text(value(&world, "get_int64(z, '/a')"), "#");
    assert_text(
        fail(&world, "get_uint64(y, '/a')"),
        "There is no uint64 at \"/a\", but a value of type int64");
    assert_text(fail(&world, "get_int64(y, '/no')"), "There is no int64 at \"/no\"");
    assert_text(value(&world, "int64(get_any(y, '/a')) + 1"), "-2");
}

Test(query_functions, look_for_items_of_their_exact_type)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(value(&world, "list_contains(l, 1)"), "true");
    assert_text(value(&world, "list_contains(l, 1u)"), "false");
    assert_text(value(&world, "list_contains(l, 2u)"), "true");
    assert_text(value(&world, "list_contains(l, 'x')"), "true");
    assert_text(value(&world, "list_contains(l, true)"), "true");
    assert_text(value(&world, "list_contains(z, 1)"), "#");
    assert_text(fail(&world, "list_contains(y, 1)"), "Expected a list, got a value of type map");
    assert_text(value(&world, "list_has_intersection(l, make_list(9, 'x'))"), "true");
    assert_text(value(&world, "list_has_intersection(l, make_list(9, 1u))"), "false");
    assert_text(value(&world, "list_has_intersection(make_list(), l)"), "false");
    assert_text(
        fail(&world, "list_has_intersection(l, make_list(y))"),
        "list_has_intersection compares scalars, not a value of type map");
    assert_text(value(&world, "yson_length(l)"), "6");
    assert_text(value(&world, "yson_length(y)"), "7");
    assert_text(
        fail(&world, "yson_length(to_any(i))"),
        "yson_length takes a list or a map, not a value of type int64");
}

Test(query_functions, make_yson)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        value(&world, "make_list(i, u, s, n, l)"), "[7;5u;\"abc\";#;[1;2u;\"x\";%true;0.5;#;];]");
    assert_text(value(&world, "make_map('a', i, 'b', make_list())"), "{\"a\"=7;\"b\"=[];}");
    assert_text(value(&world, "make_entity()"), "#");
    assert_text(value(&world, "to_any(u)"), "5u");
    assert_text(value(&world, "to_any(n)"), "#");
    assert_text(value(&world, "any_to_yson_string(make_list(1, 'a'))"), "[1;\"a\";]");
    assert_text(value(&world, "yson_string_to_any('{a = 1}')"), "{\"a\"=1;}");
    assert_text(fail(&world, "make_map('a')"), "make_map takes an even number of arguments");
    assert_text(fail(&world, "make_map(1, 2)"), "A key of make_map must be a string, not int64");
    CLEANUP(error_freep)
    struct error *error = world_error(&world, "yson_string_to_any('{a') as v from [//t]");
    cr_assert(error != NULL);
}

Test(query_functions, of_ytsaurus_that_are_not_here_are_refused_by_name)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        fail(&world, "regex_full_match('a', s)"), "Function \"regex_full_match\" is not supported");
    assert_text(fail(&world, "XDELTA(s)"), "Function \"xdelta\" is not supported");
    assert_text(fail(&world, "no_such(s)"), "Undefined function \"no_such\"");
}
