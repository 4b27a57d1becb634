#include "tests/test.h"
#include "tests/unit/query/world.h"

TestSuite(query_functions, .fini = abort_on_leaks);

static struct world new_world(void)
{
    return world_of(
        "[{name=k;type=int64;sort_order=ascending};{name=i;type=int64};{name=u;type=uint64};"
        "{name=d;type=double};{name=b;type=boolean};{name=s;type=string};{name=y;type=any};"
        "{name=l;type=any};{name=n;type=int64};{name=z;type=any}]",
        "{k=1;i=7;u=5u;d=1.5;b=%true;s=abc;l=[1;2u;x;%true;0.5;#];"
        "y={a=-3;b={\"c/d\"=4u;e=[10;20;30]};f=1.25;g=%false;h=text;m=#;"
        "w=<attr=5;list=[{p=7u}]>body}}");
}

Test(query_functions, hash_as_ytsaurus_does)
{
    CLEANUP(world_release) struct world world = new_world();
    // Source: unittests of yt/yt/client/table_client in YTsaurus.
    assert_text(world_value(&world, "farm_hash(12345678, 42u)"), "16453323425893019626u");
    assert_text(world_value(&world, "farm_hash(12345678u, true)"), "10502610411105654667u");
    assert_text(world_value(&world, "farm_hash(false, '')"), "10248854568006048452u");
    assert_text(world_value(&world, "farm_hash('abc', -1000000)"), "9998489714118868374u");
    assert_text(world_value(&world, "farm_hash(n) = farm_hash(null)"), "true");
    assert_text(world_value(&world, "farm_hash(k, s) = farm_hash(1, 'abc')"), "true");
    assert_text(
        world_fail_value(&world, "farm_hash(y)"),
        "Wrong type for argument 1 to function \"farm_hash\": expected int64 or uint64 or boolean "
        "or string, got any");
}

Test(query_functions, of_numbers)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "sign(-d)"), "-1");
    assert_text(world_value(&world, "signbit(-d)"), "true");
    assert_text(world_value(&world, "pow(d, 2)"), "2.25");
    assert_text(world_value(&world, "sqrt(2.25)"), "1.5");
    assert_text(world_value(&world, "cbrt(27)"), "3");
    assert_text(world_value(&world, "log(1000)"), "3");
    assert_text(world_value(&world, "log2(8)"), "3");
    assert_text(world_value(&world, "ln(exp(d))"), "1.5");
    assert_text(world_value(&world, "round(2.5)"), "3");
    assert_text(world_value(&world, "round(-2.5)"), "-3");
    assert_text(world_value(&world, "trunc(-2.5)"), "-2");
    assert_text(world_value(&world, "degrees(radians(180))"), "180");
    assert_text(world_value(&world, "is_inf(d / 0)"), "true");
    assert_text(world_value(&world, "gamma(5)"), "24");
    assert_text(world_value(&world, "bit_count(255u)"), "8");
    assert_text(world_value(&world, "factorial(20)"), "2432902008176640000u");
    assert_text(
        world_fail_value(&world, "factorial(u + 16)"), "Factorial of 21 does not fit into 64 bits");
    assert_text(world_value(&world, "gcd(12, 18)"), "6u");
    assert_text(world_value(&world, "lcm(4, 6)"), "12u");
    assert_text(world_value(&world, "lcm(0, 0)"), "0u");
    assert_text(world_value(&world, "xor(u, 1)"), "4u");
    assert_text(world_value(&world, "sqrt(double(n))"), "#");
}

Test(query_functions, of_times)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "timestamp_floor_month(1700000000)"), "1698796800");
    assert_text(world_value(&world, "timestamp_floor_quarter(1700000000)"), "1696118400");
    assert_text(world_value(&world, "timestamp_floor_year(1700000000)"), "1672531200");
    assert_text(world_value(&world, "timestamp_floor_year(-1)"), "-31536000");
    assert_text(world_value(&world, "timestamp_floor_hour(1700000000)"), "1699999200");
    assert_text(
        world_value(&world, "format_timestamp(1700000000, '%Y-%m-%d %H:%M:%S')"),
        "2023-11-14 22:13:20");
    assert_text(
        world_fail_value(&world, "format_timestamp(k, '%Q')"),
        "Unknown conversion \"%Q\" in a format of time");
    assert_text(
        world_fail_value(&world, "timestamp_floor_day_tz(k, 'Europe/Berlin')"),
        "Function \"timestamp_floor_day_tz\" is not supported: all times are in UTC here, so add "
        "the "
        "difference to the time and use the function without a time zone");
}

Test(query_functions, look_into_yson)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "get_int64(y, '/a')"), "-3");
    assert_text(world_value(&world, "try_get_uint64(y, '/b/c\\\\/d')"), "4u");
    assert_text(world_value(&world, "get_int64(y, '/b/e/1')"), "20");
    assert_text(world_value(&world, "get_int64(y, '/b/e/-1')"), "30");
    assert_text(world_value(&world, "try_get_int64(y, '/b/e/3')"), "#");
    assert_text(world_value(&world, "get_double(y, '/f')"), "1.25");
    assert_text(world_value(&world, "get_boolean(y, '/g')"), "false");
    assert_text(world_value(&world, "get_string(y, '/h')"), "text");
    assert_text(world_value(&world, "get_any(y, '/b/e')"), "[10;20;30;]");
    assert_text(world_value(&world, "get_int64(y, '/w/@attr')"), "5");
    assert_text(world_value(&world, "get_uint64(y, '/w/@list/0/p')"), "7u");
    assert_text(world_value(&world, "try_get_uint64(y, '/a')"), "#");
    assert_text(world_value(&world, "try_get_int64(y, '/no/such')"), "#");
    assert_text(world_value(&world, "try_get_string(y, '/m')"), "#");
    assert_text(world_value(&world, "get_int64(z, '/a')"), "#");
    assert_text(
        world_fail_value(&world, "get_uint64(y, '/a')"),
        "There is no uint64 at \"/a\", but a value of type int64");
    assert_text(world_fail_value(&world, "get_int64(y, '/no')"), "There is no int64 at \"/no\"");
    assert_text(world_value(&world, "int64(get_any(y, '/a')) + 1"), "-2");
}

Test(query_functions, look_for_items_of_their_exact_type)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "list_contains(l, 1)"), "true");
    assert_text(world_value(&world, "list_contains(l, 1u)"), "false");
    assert_text(world_value(&world, "list_contains(l, 2u)"), "true");
    assert_text(world_value(&world, "list_contains(l, 'x')"), "true");
    assert_text(world_value(&world, "list_contains(l, true)"), "true");
    assert_text(world_value(&world, "list_contains(z, 1)"), "#");
    assert_text(
        world_fail_value(&world, "list_contains(y, 1)"),
        "Expected a list, got a value of type map");
    assert_text(world_value(&world, "list_has_intersection(l, make_list(9, 'x'))"), "true");
    assert_text(world_value(&world, "list_has_intersection(l, make_list(9, 1u))"), "false");
    assert_text(world_value(&world, "list_has_intersection(make_list(), l)"), "false");
    assert_text(
        world_fail_value(&world, "list_has_intersection(l, make_list(y))"),
        "list_has_intersection compares scalars, not a value of type map");
    assert_text(world_value(&world, "yson_length(l)"), "6");
    assert_text(world_value(&world, "yson_length(y)"), "7");
    assert_text(
        world_fail_value(&world, "yson_length(to_any(i))"),
        "yson_length takes a list or a map, not a value of type int64");
}

Test(query_functions, make_yson)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_value(&world, "make_list(i, u, s, n, l)"),
        "[7;5u;\"abc\";#;[1;2u;\"x\";%true;0.5;#;];]");
    assert_text(world_value(&world, "make_map('a', i, 'b', make_list())"), "{\"a\"=7;\"b\"=[];}");
    assert_text(world_value(&world, "make_entity()"), "#");
    assert_text(world_value(&world, "to_any(u)"), "5u");
    assert_text(world_value(&world, "to_any(n)"), "#");
    assert_text(world_value(&world, "any_to_yson_string(make_list(1, 'a'))"), "[1;\"a\";]");
    assert_text(world_value(&world, "yson_string_to_any('{a = 1}')"), "{\"a\"=1;}");
    assert_text(
        world_fail_value(&world, "make_map('a')"), "make_map takes an even number of arguments");
    assert_text(
        world_fail_value(&world, "make_map(1, 2)"),
        "A key of make_map must be a string, not int64");
    CLEANUP(error_freep)
    struct error *error = world_error(&world, "yson_string_to_any('{a') as v from [//t]");
    cr_assert(error != NULL);
}

Test(query_functions, of_ytsaurus_that_are_not_here_are_refused_by_name)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_fail_value(&world, "XDELTA(s)"), "Function \"XDELTA\" is not supported");
    assert_text(world_fail_value(&world, "no_such(s)"), "Undefined function \"no_such\"");
}

Test(query_functions, match_regular_expressions)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "regex_full_match('a.c', s)"), "true");
    assert_text(world_value(&world, "regex_full_match('b', s)"), "false");
    assert_text(world_value(&world, "regex_full_match('a|abc', s)"), "true");
    assert_text(world_value(&world, "regex_partial_match('[bx]', s)"), "true");
    assert_text(world_value(&world, "regex_partial_match('^b', s)"), "false");
    assert_text(world_value(&world, "regex_partial_match('(?i)B', s)"), "true");
    // As in YTsaurus, null is matched by nothing here, while the operator gives null.
    assert_text(world_value(&world, "regex_full_match('a', string(z))"), "false");
    assert_text(world_value(&world, "string(z) rlike 'a'"), "#");
    assert_text(world_value(&world, "s rlike 'B'"), "false");
    assert_text(world_value(&world, "s regexp 'b+'"), "true");
    assert_text(world_value(&world, "s not rlike 'b+'"), "false");
    assert_text(
        world_fail_value(&world, "s rlike 'b' escape 'x'"), "RLIKE and REGEXP take no ESCAPE");
    assert_text(
        world_fail_value(&world, "regex_full_match('(', s)"),
        "Error parsing regular expression \"(\"");
    assert_text(
        world_fail_value(&world, "s rlike 5"),
        "Type mismatch in expression \"5\": expected string, got int64");
}

Test(query_functions, replace_by_regular_expressions)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "regex_replace_first('[a-z]', s, '-')"), "-bc");
    assert_text(world_value(&world, "regex_replace_first('x', s, '-')"), "abc");
    assert_text(world_value(&world, "regex_replace_all('[ac]', s, '<\\\\0>')"), "<a>b<c>");
    assert_text(
        world_value(&world, "regex_replace_all('(.)(.)', s, '\\\\2\\\\1\\\\\\\\')"), "ba\\c");
    // Nothing is replaced between, before and after characters, but not where something just was.
    assert_text(world_value(&world, "regex_replace_all('x*', s, '-')"), "-a-b-c-");
    assert_text(world_value(&world, "regex_replace_all('b*', s, '-')"), "-a-c-");
    assert_text(world_value(&world, "regex_replace_all('', '\xd1\x8b', '-')"), "-\xd1\x8b-");
    assert_text(world_value(&world, "regex_replace_all('', '', '-')"), "-");
    assert_text(world_value(&world, "regex_extract('(b)(c)', s, '\\\\2!')"), "c!");
    assert_text(world_value(&world, "regex_extract('x', s, '\\\\0')"), "");
    assert_text(world_value(&world, "regex_replace_all('b', s, string(z))"), "#");
    assert_text(world_value(&world, "regex_escape('a.b_1')"), "a\\.b_1");
    assert_text(world_value(&world, "regex_full_match(regex_escape('[a\\0]'), '[a\\0]')"), "true");
    assert_text(
        world_fail_value(&world, "regex_replace_all('b', s, '\\\\1')"),
        "Rewrite \"\\1\" asks for group 1, and regular expression \"b\" has 0");
    assert_text(
        world_fail_value(&world, "regex_replace_all('b', s, 'x\\\\')"),
        "In rewrite \"x\\\" a backslash is not followed by a digit or a backslash");
}

Test(query_functions, of_regular_expressions_do_their_work_in_small_steps)
{
    CLEANUP(world_release) struct world world;
    world_init(&world);
    struct world_table *table = world_add(
        &world, "//t", "[{name=k;type=int64;sort_order=ascending};{name=v;type=int64}]", "");
    for (int64_t k = 0; k < 100; k++) {
        struct value row[] = {value_int64(0, k), value_null(1)};
        world_table_add(&world, table, row);
    }
    world_table_sort(table);
    world.row_budget = 1000;
    (void)world_get(&world, "sum(1) as n from [//t] group by 1 as g");
    uint64_t step_count = world.step_count;
    assert_text(
        world_get(
            &world, "sum(1) as n from [//t] where numeric_to_string(k) rlike '^1' group by 1 as g"),
        "11");
    cr_expect_gt(world.step_count, step_count + 5);
    // What is constant is not computed while the query is bound.
    assert_text(
        world_get(
            &world,
            "sum(1) as n from [//t] where if(k < 0, regex_full_match('(', 'a'), true) group by 1 "
            "as g"),
        "100");
}

Test(query_functions, cast)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "cast(d as int64)"), "1");
    assert_text(world_value(&world, "CAST(i AS Uint64)"), "7u");
    assert_text(world_value(&world, "cast(u as double) / 2"), "2.5");
    assert_text(world_value(&world, "cast('12' as int64) + 1"), "13");
    assert_text(world_value(&world, "cast(-1.5 as string)"), "-1.5");
    assert_text(world_value(&world, "cast(get_any(y, '/h') as string)"), "text");
    assert_text(world_value(&world, "cast(b as boolean)"), "true");
    assert_text(world_value(&world, "cast(u as any)"), "5u");
    assert_text(world_value(&world, "cast(n as string)"), "#");
    assert_text(world_value(&world, "cast(null as string)"), "#");
    assert_text(
        world_fail_value(&world, "cast('x' as int64)"), "Cannot parse int64 value from \"x\"");
    assert_text(
        world_fail_value(&world, "cast(i as boolean)"), "CAST cannot make boolean of int64");
    assert_text(
        world_fail_value(&world, "cast(i as date)"),
        "Unknown type \"date\" in CAST: expected int64, uint64, double, boolean, string or any");
}
