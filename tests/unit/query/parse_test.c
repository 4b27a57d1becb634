#include "base/rng.h"
#include "cluster/query/syntax.h"
#include "tests/test.h"

#include <inttypes.h>

TestSuite(query_parse, .fini = abort_on_leaks);

static struct query *parse(struct arena *arena, const char *text)
{
    struct query *query = NULL;
    assert_ok(query_parse(arena, slice_from_text(text), NULL, &query));
    return query;
}

static const char *fail_to_parse(struct arena *arena, const char *text)
{
    struct query *query;
    CLEANUP(error_freep)
    struct error *error = query_parse(arena, slice_from_text(text), NULL, &query);
    if (!error) cr_fatal("it should have failed: %s", text);
    cr_assert(error_attribute(error, "offset") != NULL);
    return arena_print(arena, "%s", error_message(error));
}

// The standard form of the expression in `where`, which shows how it was understood.
static const char *reprint(struct arena *arena, const char *expression)
{
    struct query *query = parse(arena, arena_print(arena, "* from [//t] where %s", expression));
    struct buffer text = {0};
    syntax_print(query->where, &text);
    const char *copy = arena_copy(arena, buffer_slice(&text)).data;
    buffer_release(&text);
    return copy;
}

Test(query_parse, lists_the_tables_in_the_order_of_the_query)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct query *query = parse(
        &arena, "SELECT * FROM [//home/a] AS a LEFT JOIN `//home/b` b USING k JOIN [//c] ON x = y");
    size_t count;
    const struct slice *paths = query_tables(query, &count);
    cr_assert(eq(sz, count, 3));
    cr_assert(slice_equal_text(paths[0], "//home/a"));
    cr_assert(slice_equal_text(paths[1], "//home/b"));
    cr_assert(slice_equal_text(paths[2], "//c"));
    cr_assert(query->tables[1].is_left);
    cr_assert(not(query->tables[2].is_left));
    cr_assert(slice_equal_text(query->tables[1].alias, "b"));
}

Test(query_parse, knows_which_operator_binds_tighter)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    assert_text(reprint(&arena, "a + b * c"), "a + (b * c)");
    assert_text(reprint(&arena, "a - b - c"), "(a - b) - c");
    assert_text(reprint(&arena, "a << b + c"), "a << (b + c)");
    assert_text(reprint(&arena, "a & b << c"), "a & (b << c)");
    assert_text(reprint(&arena, "a | b ^ c & d"), "a | (b ^ (c & d))");
    assert_text(reprint(&arena, "a = b < c"), "a = (b < c)");
    assert_text(reprint(&arena, "a < b | c"), "a < (b | c)");
    assert_text(reprint(&arena, "not a = b"), "NOT (a = b)");
    assert_text(reprint(&arena, "not a and b or c"), "((NOT a) AND b) OR c");
    assert_text(reprint(&arena, "-a * b"), "(-a) * b");
    assert_text(reprint(&arena, "~a + b"), "(~a) + b");
    assert_text(reprint(&arena, "a % b / c"), "(a % b) / c");
    assert_text(reprint(&arena, "a is null and b is not null"), "(a IS NULL) AND (b IS NOT NULL)");
}

Test(query_parse, tells_the_and_of_between_from_the_operator)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    assert_text(reprint(&arena, "a between 1 and 2 and b"), "(a BETWEEN 1 AND 2) AND b");
    assert_text(
        reprint(&arena, "a not between 1 + 1 and 2 or b"), "(a NOT BETWEEN (1 + 1) AND 2) OR b");
    assert_text(reprint(&arena, "(a, b) between (1, 2) and (3)"), "(a, b) BETWEEN (1, 2) AND 3");
    assert_text(
        reprint(&arena, "a between 1 and 2 and b between 3 and 4"),
        "(a BETWEEN 1 AND 2) AND (b BETWEEN 3 AND 4)");
}

Test(query_parse, understands_in_and_like)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    assert_text(reprint(&arena, "a in (1, 2)"), "a IN (1, 2)");
    assert_text(reprint(&arena, "a + 1 not in (1)"), "(a + 1) NOT IN (1)");
    assert_text(reprint(&arena, "(a, b) in ((1, 2), (3, 4))"), "(a, b) IN ((1, 2), (3, 4))");
    assert_text(reprint(&arena, "a like 'x%' and b"), "(a LIKE \"x%\") AND b");
    assert_text(
        reprint(&arena, "not a not ilike 'x' escape '!'"), "NOT (a NOT ILIKE \"x\" ESCAPE \"!\")");
}

Test(query_parse, understands_case_and_lists_of_ranges)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    assert_text(
        reprint(&arena, "case when a then 1 when b or c then 2 else 3 end + 1"),
        "CASE WHEN a THEN 1 WHEN (b OR c) THEN 2 ELSE 3 END + 1");
    assert_text(reprint(&arena, "case a + 1 when 2 then 3 end"), "CASE (a + 1) WHEN 2 THEN 3 END");
    assert_text(
        reprint(&arena, "a between (1 and 2, 3 and 4) and b"),
        "(a BETWEEN (1 AND 2, 3 AND 4)) AND b");
    assert_text(reprint(&arena, "a between (1 and 2)"), "a BETWEEN 1 AND 2");
    assert_text(reprint(&arena, "a || b || 'c'"), "concat(concat(a, b), \"c\")");
}

Test(query_parse, reads_literals)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    assert_text(reprint(&arena, "-9223372036854775808"), "-9223372036854775808");
    assert_text(reprint(&arena, "18446744073709551615u"), "18446744073709551615u");
    assert_text(reprint(&arena, "1.5e3"), "1500.0");
    assert_text(reprint(&arena, ".5"), "0.5");
    assert_text(reprint(&arena, "1e300"), "1e+300");
    assert_text(reprint(&arena, "%true"), "true");
    assert_text(reprint(&arena, "FALSE"), "false");
    assert_text(reprint(&arena, "#"), "null");
    assert_text(reprint(&arena, "'it\\'s \\x41\\101\\n\\\\'"), "\"it's AA\\x0a\\\\\"");
    assert_text(reprint(&arena, "a %trueish"), "a % trueish");
}

Test(query_parse, quotes_names_in_brackets_and_backticks)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    assert_text(reprint(&arena, "[a.b]"), "[a.b]");
    assert_text(reprint(&arena, "[[d]]"), "[[d]]");
    assert_text(reprint(&arena, "[plain]"), "plain");
    assert_text(reprint(&arena, "`c-1`"), "[c-1]");
    assert_text(reprint(&arena, "t.[a.b] + t.c"), "t.[a.b] + t.c");
    assert_text(reprint(&arena, "[select]"), "select");
}

Test(query_parse, keeps_names_as_they_are_and_ignores_the_case_of_keywords)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct query *query = parse(
        &arena,
        "Select A, a aS B From [//t] Where A Group By A Having a Order By A Desc, a aSC "
        "Offset 3 Limit 4 -- a remark");
    cr_assert(eq(u32, query->select.count, 2));
    cr_assert(slice_equal_text(query->select.items[0]->name, "A"));
    cr_assert(eq(u32, query->order_count, 2));
    cr_assert(query->order[0].is_descending);
    cr_assert(not(query->order[1].is_descending));
    cr_assert(eq(u64, query->offset, 3));
    cr_assert(eq(u64, query->limit, 4));
}

Test(query_parse, says_where_the_mistake_is)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    assert_text(
        fail_to_parse(&arena, "* fro [//t]"),
        "Error while parsing query: unexpected \"fro\" at offset 2");
    assert_text(
        fail_to_parse(&arena, "a from"), "Error while parsing query: unexpected end of query");
    assert_text(fail_to_parse(&arena, ""), "Error while parsing query: unexpected end of query");
    assert_text(
        fail_to_parse(&arena, "a from [//t] where a = 'x"),
        "Error while parsing query: unexpected \"'\" at offset 23");
    assert_text(
        fail_to_parse(&arena, "a from [//t] where 12x"),
        "Error while parsing query: unexpected \"12x\" at offset 19");
    assert_text(
        fail_to_parse(&arena, "a from [//t] limit 1 limit 2"),
        "Error while parsing query: unexpected \"limit\" at offset 21");
    assert_text(
        fail_to_parse(&arena, "a from [//t] where 99999999999999999999"),
        "Integer literal \"99999999999999999999\" does not fit into 64 bits");
    assert_text(
        fail_to_parse(&arena, "a from [//t] where 1e999"),
        "Floating point literal \"1e999\" is out of range");
}

Test(query_parse, refuses_by_name_what_is_not_offered)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    assert_text(
        fail_to_parse(&arena, "a from [//t] with index [//i]"),
        "WITH INDEX is not supported (at offset 13)");
    assert_text(
        fail_to_parse(&arena, "a from [//t] join (b from [//u]) as u on a = u.b"),
        "A subquery in JOIN is not supported (at offset 18)");
}

Test(query_parse, takes_hints_about_tables)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct query *query = parse(
        &arena,
        "* from [//a] as a with hint \"{require_sync_replica=%false}\" "
        "join [//b] with hint '{push_down_group_by=%true}' using k "
        "left join `//c` c with hint \"{\\\"require_sync_replica\\\"=%false;}\" on x = y "
        "join [//d] as d with hint \"{require_sync_replica=%true}\" using k");
    static const bool EXPECTED[] = {true, false, true, false};
    for (size_t i = 0; i < 4; i++)
        cr_assert(eq(int, query_table_may_be_stale(query, i), EXPECTED[i]), "%zu", i);
    query = parse(&arena, "* from (k from [//a] with hint \"{require_sync_replica=%false}\") as s");
    cr_assert(query_table_may_be_stale(query, 0));
    query = parse(&arena, "hint from [//a] hint where hint.hint = 1"); // Elsewhere it is a name.
    cr_assert(not(query_table_may_be_stale(query, 0)));
}

Test(query_parse, refuses_hints_that_it_does_not_understand)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    static const char *const HINTS[] = {
        "", "5", "{", "{speed=1}", "{require_sync_replica=1}", "{push_down_group_by=no}"};
    for (size_t i = 0; i < sizeof HINTS / sizeof *HINTS; i++) {
        const char *text = arena_print(&arena, "* from [//a] with hint \"%s\"", HINTS[i]);
        assert_text(fail_to_parse(&arena, text), "Error while parsing hint at offset 23");
    }
    assert_text(
        fail_to_parse(&arena, "* from [//a] with hint 5"),
        "Error while parsing query: unexpected \"5\" at offset 23");
}

static const char *repeat(struct arena *arena, const char *text, size_t count)
{
    size_t size = strlen(text);
    char *repeated = arena_alloc(arena, size * count + 1);
    for (size_t i = 0; i < count; i++) memcpy(repeated + i * size, text, size);
    return repeated;
}

Test(query_parse, limits_the_depth_of_expressions_but_not_the_length_of_chains)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct query *query;
    const char *text = arena_print(&arena, "* from [//t] where %s a", repeat(&arena, "not ", 500));
    CLEANUP(error_freep)
    struct error *nested = query_parse(&arena, slice_from_text(text), NULL, &query);
    cr_assert(error_find(nested, ERROR_QUERY_EXPRESSION_DEPTH_LIMIT_EXCEEDED) != NULL);

    text = arena_print(&arena, "* from [//t] where %s a", repeat(&arena, "(", 100000));
    CLEANUP(error_freep)
    struct error *parentheses = query_parse(&arena, slice_from_text(text), NULL, &query);
    cr_assert(error_find(parentheses, ERROR_QUERY_EXPRESSION_DEPTH_LIMIT_EXCEEDED) != NULL);

    parse(&arena, arena_print(&arena, "* from [//t] where %s a", repeat(&arena, "a or ", 50000)));
}

Test(query_parse, refuses_a_text_that_is_too_long)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct query *query;
    struct slice text =
        slice_from(arena_alloc(&arena, QUERY_TEXT_SIZE_MAX + 1), QUERY_TEXT_SIZE_MAX + 1);
    CLEANUP(error_freep) struct error *error = query_parse(&arena, text, NULL, &query);
    assert_text(error_attribute(error, "limit"), "1048576");
}

static const char *const fragments[] = {
    "select", "*",      "from", "[//t]", "where",  "group by", "having", "order by", "limit",
    "offset", "a",      "b",    "[c.d]", "as",     "x",        "1",      "2u",       "3.5",
    "'s'",    "\"t\"",  "null", "true",  "(",      ")",        ",",      "+",        "-",
    "*",      "/",      "%",    "&",     "|",      "^",        "~",      "<<",       ">>",
    "=",      "!=",     "<",    ">=",    "and",    "or",       "not",    "in",       "between",
    "like",   "escape", "is",   "sum(",  "if(",    ".",        "join",   "using",    "on",
    "left",   "desc",   "with", "case",  "#",      "`q`",      "[",      "'",        "\\",
    "when",   "then",   "else", "end",   "totals", "||",       "inf",    "array",    "{p}",
    "--",     "\n",
};

// Whatever the bytes: no crash, and an error that can be shown or a query.
Test(query_parse, survives_any_text)
{
    for (uint64_t seed = 0; seed < 20000; seed++) {
        struct rng rng = {.state = seed};
        CLEANUP(arena_releasep) struct arena arena = {0};
        CLEANUP(buffer_releasep) struct buffer text = {0};
        bool is_random = rng_chance(&rng, 20);
        uint64_t count = rng_below(&rng, 40);
        for (uint64_t i = 0; i < count; i++) {
            if (is_random || rng_chance(&rng, 2)) {
                buffer_append_byte(&text, (uint8_t)rng_next(&rng));
                continue;
            }
            uint64_t k = rng_below(&rng, sizeof fragments / sizeof fragments[0]);
            buffer_append_text(&text, fragments[k]);
            buffer_append_byte(&text, ' ');
        }
        struct query *query = NULL;
        CLEANUP(error_freep)
        struct error *error = query_parse(&arena, buffer_slice(&text), NULL, &query);
        bool is_either = (error == NULL) != (query == NULL);
        cr_assert(is_either, "seed %" PRIu64, seed);
    }
}
