#include "tests/test.h"
#include "tests/unit/query/world.h"

TestSuite(query_expression, .fini = abort_on_leaks);

static struct world new_world(void)
{
    return world_of(
        "[{name=k;type=int64;sort_order=ascending};{name=i;type=int64};{name=u;type=uint64};"
        "{name=d;type=double};{name=b;type=boolean};{name=s;type=string};{name=y;type=any};"
        "{name=n;type=int64}]",
        "{k=1;i=7;u=5u;d=1.5;b=%true;s=abc;y={a=1}}");
}

Test(query_expression, computes_with_integers_that_wrap_around)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "i + 1"), "8");
    assert_text(world_value(&world, "i - 10"), "-3");
    assert_text(world_value(&world, "u - 10"), "18446744073709551611u");
    assert_text(world_value(&world, "i * -2"), "-14");
    assert_text(world_value(&world, "i / 2"), "3");
    assert_text(world_value(&world, "-i / 2"), "-3");
    assert_text(world_value(&world, "-i % 4"), "-3");
    assert_text(world_value(&world, "u / 2"), "2u");
    assert_text(world_value(&world, "(9223372036854775800 + i) + 1"), "-9223372036854775808");
    assert_text(
        world_value(&world, "(i - 7 - 9223372036854775807 - 1) / -1"), "-9223372036854775808");
    assert_text(world_value(&world, "(i - 7 - 9223372036854775807 - 1) % -1"), "0");
    assert_text(world_value(&world, "-u"), "18446744073709551611u");
    assert_text(world_value(&world, "+i"), "7");
}

Test(query_expression, computes_with_bits)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "i & 3"), "3");
    assert_text(world_value(&world, "u | 8"), "13u");
    assert_text(world_value(&world, "i ^ 1"), "6");
    assert_text(world_value(&world, "~i"), "-8");
    assert_text(world_value(&world, "i << 2"), "28");
    assert_text(world_value(&world, "-i >> 1"), "-4");
    assert_text(world_value(&world, "u >> i"), "0u");
    assert_text(world_value(&world, "i << 64"), "0");
    assert_text(world_value(&world, "-i >> 64"), "-1");
    assert_text(world_value(&world, "u << -1"), "0u");
}

Test(query_expression, computes_with_doubles)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "d + 1"), "2.5");
    assert_text(world_value(&world, "1 / d * 3"), "2");
    assert_text(world_value(&world, "d / 0"), "inf");
    assert_text(world_value(&world, "-d"), "-1.5");
}

Test(query_expression, fails_to_divide_an_integer_by_zero)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_fail_value(&world, "i / (i - 7)"), "Division by zero");
    assert_text(world_fail_value(&world, "u % (u - 5)"), "Division by zero");
    assert_text(world_fail_value(&world, "1 / 0"), "Division by zero");
    assert_text(world_value(&world, "if(b, 2, 1 / 0)"), "2");
    assert_text(world_value(&world, "b or 1 / 0 = 1"), "true");
}

Test(query_expression, gives_a_literal_the_type_of_what_it_meets)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "u + 1"), "6u");
    assert_text(world_value(&world, "i + 1u"), "8");
    assert_text(world_value(&world, "1 + 2u"), "3u");
    assert_text(world_value(&world, "1u + 0.5"), "1.5");
    assert_text(world_value(&world, "u = 5"), "true");
    assert_text(world_value(&world, "u in (1, 5)"), "true");
    assert_text(world_value(&world, "d in (1, 2u, 1.5)"), "true");
    assert_text(world_value(&world, "u - (2 + 1)"), "2u");
    assert_text(world_value(&world, "u + if(b, 1, 2)"), "6u");
    assert_text(world_value(&world, "u + if(b, 1, null)"), "6u");
    assert_text(world_value(&world, "if(b, 1, u)"), "1u");
    assert_text(world_value(&world, "if_null(null, 3) + u"), "8u");
    assert_text(world_value(&world, "d between 1 and 2"), "true");
}

Test(query_expression, does_not_mix_types)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(
        world_fail_value(&world, "i = 'b'"),
        "Type mismatch in expression \"i = 'b'\": int64 and string");
    assert_text(
        world_fail_value(&world, "i + u"),
        "Type mismatch in expression \"i + u\": int64 and uint64");
    assert_text(
        world_fail_value(&world, "(u = -1)"),
        "Type mismatch in expression \"(u = -1)\": uint64 and int64");
    assert_text(
        world_fail_value(&world, "u in (1, 'x')"),
        "Type mismatch in expression \"u in (1, 'x')\": uint64 and string");
    assert_text(
        world_fail_value(&world, "s + 's'"),
        "Type mismatch in expression \"s + 's'\": expected numbers, got string");
    assert_text(
        world_fail_value(&world, "d % 2"),
        "Type mismatch in expression \"d % 2\": expected integers, got double");
    assert_text(
        world_fail_value(&world, "i and b"),
        "Type mismatch in expression \"i\": expected boolean, got int64");
    assert_text(
        world_fail_value(&world, "not s"),
        "Type mismatch in expression \"s\": expected boolean, got string");
    assert_text(
        world_fail_value(&world, "y = 1"), "Type mismatch in expression \"y = 1\": any and int64");
    assert_text(
        world_fail_value(&world, "if(b, 1, 's')"),
        "Type mismatch in expression \"if(b, 1, 's')\": int64 and string");
    assert_text(
        world_fail_value(&world, "i like 'x'"),
        "Type mismatch in expression \"i\": expected string, got int64");
    assert_text(
        world_fail_value(&world, "9223372036854775808"),
        "Integer literal \"9223372036854775808\" is out of range of int64; uint64 literals end "
        "with \"u\"");
}

Test(query_expression, takes_null_for_a_value_that_equals_itself_and_is_least)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "n = null"), "true");
    assert_text(world_value(&world, "n < -9223372036854775807"), "true");
    assert_text(world_value(&world, "n >= 0"), "false");
    assert_text(world_value(&world, "i > null"), "true");
    assert_text(world_value(&world, "n != i"), "true");
    assert_text(world_value(&world, "n in (1, null)"), "true");
    assert_text(world_value(&world, "n not in (1, 2)"), "true");
    assert_text(world_value(&world, "n between null and 1"), "true");
    assert_text(world_value(&world, "null = null"), "true");
}

Test(query_expression, gives_null_for_null_elsewhere)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "n + 1"), "#");
    assert_text(world_value(&world, "-n"), "#");
    assert_text(world_value(&world, "not (n + 1 = 3 and null)"), "true");
    assert_text(world_value(&world, "b and null"), "#");
    assert_text(world_value(&world, "b or null"), "true");
    assert_text(world_value(&world, "not b and null"), "false");
    assert_text(world_value(&world, "null"), "#");
    assert_text(world_value(&world, "null + 1"), "#");
    assert_text(world_value(&world, "concat(s, null)"), "#");
    assert_text(world_value(&world, "if(null, 1, 2)"), "#");
    assert_text(world_value(&world, "null like 'x'"), "#");
    assert_text(world_value(&world, "n is null"), "true");
    assert_text(world_value(&world, "i is not null"), "true");
    assert_text(world_value(&world, "is_null(n)"), "true");
    assert_text(world_value(&world, "if_null(n, 3)"), "3");
}

Test(query_expression, compares_tuples_item_by_item)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "(i, u) = (7, 5)"), "true");
    assert_text(world_value(&world, "(i, u) != (7, 5)"), "false");
    assert_text(world_value(&world, "(i, u) < (7, 6)"), "true");
    assert_text(world_value(&world, "(i, u) > (6, 100)"), "true");
    assert_text(world_value(&world, "(i, s) in ((7, 'abd'), (7, 'abc'))"), "true");
    assert_text(world_value(&world, "(i, s) not in ((8, 'abc'), (7, 'abd'))"), "true");
    assert_text(world_value(&world, "(i, u) between (7, 1) and (7)"), "true");
    assert_text(world_value(&world, "(i, u) not between (7, 6) and (8)"), "true");
    assert_text(
        world_fail_value(&world, "(i, u) = (7, 5, 3)"),
        "Tuples of different size in expression \"(i, u) = (7, 5, 3)\": 2 and 3");
    assert_text(
        world_fail_value(&world, "(i, u) in (7, 5)"),
        "Tuples of different size in expression \"(i, u) in (7, 5)\": 2 and 1");
    assert_text(
        world_fail_value(&world, "(i, u)"),
        "Misuse of tuple \"(i, u)\": tuples can only be compared");
    assert_text(world_fail_value(&world, "i in (k)"), "A list takes constants, and \"k\" is none");
}

Test(query_expression, matches_patterns)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "s like 'a%'"), "true");
    assert_text(world_value(&world, "s like '%b%'"), "true");
    assert_text(world_value(&world, "s like 'a_c'"), "true");
    assert_text(world_value(&world, "s like 'a_'"), "false");
    assert_text(world_value(&world, "s like ''"), "false");
    assert_text(world_value(&world, "s like '%'"), "true");
    assert_text(world_value(&world, "s not like 'b%'"), "true");
    assert_text(world_value(&world, "s ilike 'A%C'"), "true");
    assert_text(world_value(&world, "s like 'A%'"), "false");
    assert_text(world_value(&world, "'100%' like '100\\\\%'"), "true");
    assert_text(world_value(&world, "'1000' like '100!%' escape '!'"), "false");
    assert_text(world_value(&world, "'aXbXc' like '%X%c'"), "true");
    assert_text(world_value(&world, "'\xd1\x84' like '_'"), "true");
    assert_text(
        world_fail_value(&world, "s like 'a' escape 'xx'"),
        "The escape symbol of LIKE must be one byte");
}

Test(query_expression, converts_types)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "int64(u) + i"), "12");
    assert_text(world_value(&world, "uint64(-1)"), "18446744073709551615u");
    assert_text(world_value(&world, "int64(-1.9)"), "-1");
    assert_text(world_value(&world, "double(i) / 2"), "3.5");
    assert_text(world_value(&world, "numeric_to_string(i)"), "7");
    assert_text(world_value(&world, "parse_int64('-12') + 1"), "-11");
    assert_text(world_value(&world, "boolean(b)"), "true");
    assert_text(world_value(&world, "INT64(1.0)"), "1");
    assert_text(
        world_fail_value(&world, "int64(1e30)"), "Cannot convert 1e+30 to int64: out of range");
    assert_text(
        world_fail_value(&world, "int64(s)"),
        "Wrong type for argument 1 to function \"int64\": expected int64 or uint64 or double or "
        "any, "
        "got string");
    assert_text(
        world_fail_value(&world, "int64(y)"), "Cannot convert a value of type any to int64");
    assert_text(
        world_fail_value(&world, "parse_uint64('-1')"), "Cannot parse uint64 value from \"-1\"");
}

Test(query_expression, has_functions_of_strings_and_numbers)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_value(&world, "concat(s, 'd', s)"), "abcdabc");
    assert_text(world_value(&world, "length(s)"), "3");
    assert_text(world_value(&world, "upper(concat(s, 'x1'))"), "ABCX1");
    assert_text(world_value(&world, "lower('AbC') = s"), "true");
    assert_text(world_value(&world, "is_substr('bc', s)"), "true");
    assert_text(world_value(&world, "is_prefix('bc', s)"), "false");
    assert_text(world_value(&world, "abs(-i)"), "7");
    assert_text(world_value(&world, "floor(d)"), "1");
    assert_text(world_value(&world, "ceil(d)"), "2");
    assert_text(world_value(&world, "floor(5)"), "5");
    assert_text(world_value(&world, "greatest(i, 9, n)"), "9");
    assert_text(world_value(&world, "greatest(1, u)"), "5u");
    assert_text(world_value(&world, "is_finite(d / 0)"), "false");
    assert_text(world_value(&world, "timestamp_floor_day(90000)"), "86400");
    assert_text(world_value(&world, "timestamp_floor_week(0)"), "-259200");
    assert_text(
        world_fail_value(&world, "length()"),
        "Wrong number of arguments to function \"length\": expected 1, got 0");
}

Test(query_expression, knows_its_columns_by_their_exact_names)
{
    CLEANUP(world_release) struct world world = new_world();
    assert_text(world_fail_value(&world, "I"), "Undefined reference \"I\"");
    assert_text(world_fail_value(&world, "t.i"), "Undefined reference \"t.i\"");
    CLEANUP(error_freep) struct error *error = world_error(&world, "k, x from [//t]");
    assert_text(error_attribute(error, "offset"), "3");
}
