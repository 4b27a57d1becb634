// Queries that a careless user, or a malicious one, might send.
#include "base/rng.h"
#include "tests/test.h"
#include "tests/unit/query/world.h"

#include <inttypes.h>

TestSuite(query_any, .fini = abort_on_leaks);

static struct world new_world(void)
{
    struct world world = world_of(
        "[{name=k;type=int64;sort_order=ascending};{name=u;type=uint64};{name=s;type=string};"
        "{name=d;type=double};{name=b;type=boolean};{name=y;type=any}]",
        "{k=1;u=2u;s=a;d=0.5;b=%true;y=[1]};{k=2;s=b;b=%false};{k=3;u=7u;d=-1.;y=5};{}");
    world_add(
        &world,
        "//r",
        "[{name=k;type=int64;sort_order=ascending};{name=w;type=string}]",
        "{k=1;w=x};{k=3;w=y}");
    return world;
}

static void print_list(struct rng *rng, const char *const *texts, size_t count, struct buffer *text)
{
    buffer_append_text(text, texts[rng_below(rng, count)]);
}

static void print_expression(struct rng *rng, int depth, struct buffer *text);

static void print_arguments(struct rng *rng, int depth, uint64_t count, struct buffer *text)
{
    buffer_append_byte(text, '(');
    for (uint64_t i = 0; i < count; i++) {
        if (i > 0) buffer_append_text(text, ", ");
        print_expression(rng, depth, text);
    }
    buffer_append_byte(text, ')');
}

// Mostly well-formed, with types and names as they come.
static void print_expression(struct rng *rng, int depth, struct buffer *text)
{
    static const char *const leaves[] = {
        "k",
        "k",
        "u",
        "s",
        "d",
        "b",
        "y",
        "w",
        "n",
        "t.k",
        "p",
        "q",
        "1",
        "0",
        "-1",
        "3u",
        "1.5",
        "'a'",
        "''",
        "null",
        "true",
        "9223372036854775807",
        "-9223372036854775808"};
    static const char *const operators[] = {
        " + ", " - ",  " * ", " / ",  " % ", " & ",  " | ",   " ^ ",  " << ",   " >> ",
        " = ", " != ", " < ", " <= ", " > ", " >= ", " and ", " or ", " like ", " ilike "};
    static const char *const functions[] = {
        "if",
        "if_null",
        "is_null",
        "int64",
        "uint64",
        "double",
        "boolean",
        "string",
        "length",
        "concat",
        "lower",
        "abs",
        "floor",
        "greatest",
        "is_prefix",
        "is_substr",
        "sum",
        "min",
        "max",
        "count",
        "avg",
        "first",
        "parse_int64",
        "numeric_to_string",
        "farm_hash",
        "coalesce",
        "argmin",
        "argmax",
        "cardinality",
        "transform",
        "get_int64",
        "try_get_any",
        "list_contains",
        "list_has_intersection",
        "make_list",
        "make_map",
        "to_any",
        "yson_length",
        "any_to_yson_string",
        "yson_string_to_any",
        "format_timestamp",
        "timestamp_floor_month",
        "factorial",
        "pow",
        "lcm",
        "array_agg",
        "regex_full_match",
        "regex_replace_all"};
    if (depth == 0) {
        print_list(rng, leaves, sizeof leaves / sizeof leaves[0], text);
        return;
    }
    switch (rng_below(rng, 11)) {
    case 9: {
        bool has_operand = rng_chance(rng, 30);
        buffer_append_text(text, "case ");
        if (has_operand) print_expression(rng, depth - 1, text);
        for (uint64_t i = 0; i <= rng_below(rng, 3); i++) {
            buffer_append_text(text, " when ");
            print_expression(rng, depth - 1, text);
            buffer_append_text(text, " then ");
            print_expression(rng, depth - 1, text);
        }
        if (rng_chance(rng, 70)) {
            buffer_append_text(text, " else ");
            print_expression(rng, depth - 1, text);
        }
        buffer_append_text(text, " end");
        break;
    }
    case 10:
        print_expression(rng, depth - 1, text);
        buffer_append_text(text, rng_chance(rng, 50) ? " between (" : " in (");
        print_expression(rng, 0, text);
        buffer_append_text(text, rng_chance(rng, 50) ? " and " : ", ");
        print_expression(rng, 0, text);
        buffer_append_text(text, ", 1 and 2)");
        break;
    case 0:
    case 1: print_list(rng, leaves, sizeof leaves / sizeof leaves[0], text); break;
    case 2:
    case 3:
        print_expression(rng, depth - 1, text);
        print_list(rng, operators, sizeof operators / sizeof operators[0], text);
        print_expression(rng, depth - 1, text);
        break;
    case 4:
        print_list(rng, functions, sizeof functions / sizeof functions[0], text);
        print_arguments(rng, depth - 1, rng_below(rng, 4), text);
        break;
    case 5:
        buffer_append_byte(text, '(');
        print_expression(rng, depth - 1, text);
        buffer_append_text(text, rng_chance(rng, 20) ? " as p)" : ")");
        break;
    case 6:
        print_list(rng, (const char *const[]){"-", "not ", "~", "+"}, 4, text);
        print_expression(rng, depth - 1, text);
        break;
    case 7:
        print_arguments(rng, depth - 1, 1 + rng_below(rng, 2), text);
        print_list(rng, (const char *const[]){" in ", " not in ", " = ", " < "}, 4, text);
        print_arguments(rng, depth - 1, 1 + rng_below(rng, 3), text);
        break;
    default:
        print_expression(rng, depth - 1, text);
        buffer_append_text(text, " between ");
        print_expression(rng, depth - 1, text);
        buffer_append_text(text, " and ");
        print_expression(rng, depth - 1, text);
    }
}

static void print_query(struct rng *rng, int nesting, struct buffer *text)
{
    if (rng_chance(rng, 20)) {
        buffer_append_byte(text, '*');
    } else {
        print_expression(rng, 3, text);
        buffer_append_text(text, rng_chance(rng, 50) ? " as q" : ", k");
    }
    if (nesting > 0 && rng_chance(rng, 20)) {
        buffer_append_text(text, " from (");
        print_query(rng, nesting - 1, text);
        buffer_append_text(text, ") as t");
    } else {
        buffer_append_text(text, " from [//t] as t");
    }
    if (rng_chance(rng, 15)) {
        buffer_append_text(text, rng_chance(rng, 50) ? " array join " : " left array join ");
        print_expression(rng, 1, text);
        buffer_append_text(text, " as n");
    }
    if (rng_chance(rng, 30)) {
        buffer_print(text, " %sjoin [//r] ", rng_chance(rng, 50) ? "left " : "");
        if (rng_chance(rng, 50)) {
            buffer_append_text(text, "using k");
        } else {
            buffer_append_text(text, "as r on ");
            print_expression(rng, 1, text);
            buffer_append_text(text, " = r.k");
        }
    }
    if (rng_chance(rng, 50)) {
        buffer_append_text(text, " where ");
        print_expression(rng, 3, text);
    }
    if (rng_chance(rng, 40)) {
        buffer_append_text(text, " group by ");
        print_expression(rng, 1, text);
        buffer_append_text(text, ", k");
        bool has_totals = rng_chance(rng, 30);
        if (has_totals && rng_chance(rng, 50)) {
            buffer_append_text(text, " with totals");
            has_totals = false;
        }
        if (rng_chance(rng, 30)) {
            buffer_append_text(text, " having ");
            print_expression(rng, 2, text);
        }
        if (has_totals) buffer_append_text(text, " with totals");
    }
    if (rng_chance(rng, 40)) {
        buffer_append_text(text, " order by ");
        print_expression(rng, 2, text);
        buffer_append_text(text, rng_chance(rng, 50) ? " desc" : "");
    }
    if (rng_chance(rng, 30)) buffer_print(text, " offset %d", (int)rng_below(rng, 3));
    if (rng_chance(rng, 30)) buffer_print(text, " limit %d", (int)rng_below(rng, 4));
}

Test(query_any, is_answered_or_refused)
{
    uint64_t answered_count = 0;
    for (uint64_t seed = 0; seed < 8000; seed++) {
        struct rng rng = {.state = seed};
        CLEANUP(world_release) struct world world = new_world();
        world.row_budget = 1 + rng_below(&rng, 5);
        CLEANUP(buffer_releasep) struct buffer text = {0};
        print_query(&rng, 2, &text);
        buffer_append_byte(&text, 0);
        const char *result;
        CLEANUP(error_freep) struct error *error = world_select(&world, text.data, &result);
        if (error) {
            cr_assert(strlen(error_message(error)) > 0, "seed %" PRIu64, seed);
        } else {
            answered_count++;
        }
    }
    cr_assert(answered_count > 200, "%" PRIu64 " were answered", answered_count);
}

// What a query gives does not depend on how many rows a step may take.
Test(query_any, gives_the_same_in_steps_of_any_size)
{
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct rng rng = {.state = seed};
        CLEANUP(world_release) struct world world = new_world();
        CLEANUP(buffer_releasep) struct buffer text = {0};
        print_query(&rng, 2, &text);
        buffer_append_byte(&text, 0);
        const char *at_once = "";
        const char *in_steps = "";
        CLEANUP(error_freep) struct error *error = world_select(&world, text.data, &at_once);
        world.row_budget = 1;
        CLEANUP(error_freep) struct error *other = world_select(&world, text.data, &in_steps);
        bool is_same = !error == !other && (error || strcmp(at_once, in_steps) == 0);
        cr_assert(is_same, "seed %" PRIu64 ": %s", seed, text.data);
    }
}
