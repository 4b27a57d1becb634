// Random queries against SQLite: each is written in both languages at once, in such a way that both
// mean the same.
//
// Where they differ the translation says so: a comparison with null is never null here, null joins
// with null, if() of null is null. What has no like in SQLite is left to random_expression_test.c.
// RETABLE_QUERY_COUNT sets how many queries, RETABLE_QUERY_SEED which one is the first.
#include "base/rng.h"
#include "tests/test.h"
#include "tests/unit/query/world.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>

TestSuite(query_sqlite, .fini = abort_on_leaks);

enum { ROW_COUNT = 60, QUERY_COUNT = 1500 };

// An expression or a query in both languages.
struct both {
    const char *ours;
    const char *theirs;
};

struct generator {
    struct arena *arena;
    struct rng rng;
    const char *alias; // In front of columns, with a dot; "" if there is one table only.
    bool has_joined;
};

#define BOTH(...)  ((struct both){__VA_ARGS__})
#define PRINT(...) arena_print(g->arena, __VA_ARGS__)

static bool chance(struct generator *g, uint32_t percent)
{
    return rng_chance(&g->rng, percent);
}

static int below(struct generator *g, int bound)
{
    return (int)rng_below(&g->rng, (uint64_t)bound);
}

static struct both same(const char *text)
{
    return BOTH(text, text);
}

static struct both make_condition(struct generator *g, int depth);

static struct both make_column(struct generator *g, const char *const *names, int count)
{
    int i = below(g, count);
    if (g->has_joined && chance(g, 30)) return same(names == NULL ? "" : PRINT("u.%s", names[i]));
    return same(PRINT("%s%s", g->alias, names[i]));
}

static struct both make_integer(struct generator *g, int depth)
{
    static const char *const columns[] = {"a", "c", "n"};
    if (depth == 0 || chance(g, 30)) {
        if (chance(g, 60)) return make_column(g, columns, 3);
        return chance(g, 5) ? same("null") : same(PRINT("%d", below(g, 20) - 8));
    }
    struct both x = make_integer(g, depth - 1);
    struct both y = make_integer(g, depth - 1);
    switch (below(g, 8)) {
    case 0: {
        const char *operation = (const char *[]){"+", "-", "*", "&", "|"}[below(g, 5)];
        return BOTH(
            PRINT("(%s %s %s)", x.ours, operation, y.ours),
            PRINT("(%s %s %s)", x.theirs, operation, y.theirs));
    }
    case 1: {
        int divisor = (below(g, 5) + 1) * (chance(g, 30) ? -1 : 1);
        const char *operation = chance(g, 50) ? "/" : "%";
        return BOTH(
            PRINT("(%s %s %d)", x.ours, operation, divisor),
            PRINT("(%s %s %d)", x.theirs, operation, divisor));
    }
    case 2: {
        struct both c = make_condition(g, depth - 1);
        return BOTH(
            PRINT("if(%s, %s, %s)", c.ours, x.ours, y.ours),
            PRINT(
                "(case when (%s) is null then null when %s then %s else %s end)",
                c.theirs,
                c.theirs,
                x.theirs,
                y.theirs));
    }
    case 3: {
        struct both c = make_condition(g, depth - 1);
        return BOTH(
            PRINT("(case when %s then %s else %s end)", c.ours, x.ours, y.ours),
            PRINT("(case when %s then %s else %s end)", c.theirs, x.theirs, y.theirs));
    }
    case 4:
        return BOTH(
            PRINT("coalesce(%s, %s, 7)", x.ours, y.ours),
            PRINT("coalesce(%s, %s, 7)", x.theirs, y.theirs));
    case 5:
        return BOTH(
            PRINT("transform(%s, (1, 2, 3), (30, 20, 10), %s)", x.ours, y.ours),
            PRINT(
                "(case %s when 1 then 30 when 2 then 20 when 3 then 10 else %s end)",
                x.theirs,
                y.theirs));
    case 6: return BOTH(PRINT("abs(%s)", x.ours), PRINT("abs(%s)", x.theirs));
    default: return BOTH(PRINT("-(%s)", x.ours), PRINT("-(%s)", x.theirs));
    }
}

static struct both make_string(struct generator *g, int depth)
{
    static const char *const columns[] = {"b", "s"};
    if (depth == 0 || chance(g, 50)) {
        if (chance(g, 70)) return make_column(g, columns, 2);
        return same(PRINT("'%c%c'", 'a' + below(g, 3), 'a' + below(g, 3)));
    }
    struct both x = make_string(g, depth - 1);
    struct both y = make_string(g, depth - 1);
    switch (below(g, 3)) {
    case 0:
        return BOTH(
            PRINT("concat(%s, %s)", x.ours, y.ours), PRINT("(%s || %s)", x.theirs, y.theirs));
    case 1: return BOTH(PRINT("upper(%s)", x.ours), PRINT("upper(%s)", x.theirs));
    default:
        return BOTH(
            PRINT("if_null(%s, %s)", x.ours, y.ours), PRINT("ifnull(%s, %s)", x.theirs, y.theirs));
    }
}

// a < b where null is less than everything and equal to itself.
static const char *compare_theirs(
    struct generator *g, const char *x, const char *operation, const char *y)
{
    if (strcmp(operation, "=") == 0) return PRINT("((%s) is (%s))", x, y);
    if (strcmp(operation, "!=") == 0) return PRINT("((%s) is not (%s))", x, y);
    bool is_less = operation[0] == '<';
    bool or_equal = operation[1] == '=';
    const char *less = is_less ? x : y;
    const char *greater = is_less ? y : x;
    return PRINT(
        "(case when (%s) is (%s) then %d when (%s) is null then 1 when (%s) is null then 0 "
        "else (%s) < (%s) end)",
        x,
        y,
        or_equal,
        less,
        greater,
        less,
        greater);
}

static struct both make_comparison(
    struct generator *g, struct both x, const char *operation, struct both y)
{
    return BOTH(
        PRINT("(%s %s %s)", x.ours, operation, y.ours),
        compare_theirs(g, x.theirs, operation, y.theirs));
}

static const char *random_relation(struct generator *g)
{
    return (const char *[]){"=", "!=", "<", "<=", ">", ">="}[below(g, 6)];
}

// Compares (a, b) with literals: what key ranges are made of.
static struct both make_tuple_comparison(struct generator *g)
{
    struct both a = same(PRINT("%sa", g->alias));
    struct both b = same(PRINT("%sb", g->alias));
    struct both x = same(PRINT("%d", below(g, 8)));
    struct both y = same(PRINT("'%c'", 'a' + below(g, 5)));
    const char *operation = random_relation(g);
    const char *ours = PRINT("((%s, %s) %s (%s, %s))", a.ours, b.ours, operation, x.ours, y.ours);
    const char *equal_a = compare_theirs(g, a.theirs, "=", x.theirs);
    if (operation[0] == '=' || operation[0] == '!') {
        const char *equal_b = compare_theirs(g, b.theirs, "=", y.theirs);
        bool is_not = operation[0] == '!';
        return BOTH(ours, PRINT("(%s(%s and %s))", is_not ? "not " : "", equal_a, equal_b));
    }
    const char *strict = operation[0] == '<' ? "<" : ">";
    return BOTH(
        ours,
        PRINT(
            "(%s or (%s and %s))",
            compare_theirs(g, a.theirs, strict, x.theirs),
            equal_a,
            compare_theirs(g, b.theirs, operation, y.theirs)));
}

static struct both make_in(struct generator *g)
{
    struct both x = make_integer(g, chance(g, 70) ? 0 : 1);
    const char *ours = PRINT("(%s in (", x.ours);
    const char *theirs = "(0";
    int count = below(g, 5) + 1;
    for (int i = 0; i < count; i++) {
        const char *item = chance(g, 10) ? "null" : PRINT("%d", below(g, 10));
        ours = PRINT("%s%s%s", ours, i > 0 ? ", " : "", item);
        theirs = PRINT("%s or (%s) is %s", theirs, x.theirs, item);
    }
    bool is_not = chance(g, 20);
    return BOTH(
        PRINT("(%s%s)))", is_not ? "not " : "", ours),
        PRINT("(%s%s))", is_not ? "not " : "", theirs));
}

static struct both make_condition(struct generator *g, int depth)
{
    if (depth > 0 && chance(g, 50)) {
        struct both x = make_condition(g, depth - 1);
        struct both y = make_condition(g, depth - 1);
        if (chance(g, 20)) return BOTH(PRINT("(not %s)", x.ours), PRINT("(not %s)", x.theirs));
        const char *operation = chance(g, 60) ? "and" : "or";
        return BOTH(
            PRINT("(%s %s %s)", x.ours, operation, y.ours),
            PRINT("(%s %s %s)", x.theirs, operation, y.theirs));
    }
    int integer_depth = chance(g, 60) ? 0 : 1;
    switch (below(g, 9)) {
    case 0: return make_tuple_comparison(g);
    case 1: return make_in(g);
    case 2: {
        struct both x = make_integer(g, integer_depth);
        struct both y = same(PRINT("%d", below(g, 8)));
        struct both z = same(PRINT("%d", below(g, 12)));
        return BOTH(
            PRINT("(%s between %s and %s)", x.ours, y.ours, z.ours),
            PRINT(
                "(%s and %s)",
                compare_theirs(g, x.theirs, ">=", y.theirs),
                compare_theirs(g, x.theirs, "<=", z.theirs)));
    }
    case 3: {
        struct both x = make_string(g, 1);
        const char *pattern = (const char *[]){"'a%'", "'%b'", "'_b%'", "'%'", "'ab'"}[below(g, 5)];
        return BOTH(
            PRINT("(%s like %s)", x.ours, pattern), PRINT("(%s like %s)", x.theirs, pattern));
    }
    case 4: {
        struct both x = make_integer(g, integer_depth);
        const char *is = chance(g, 50) ? "is null" : "is not null";
        return BOTH(PRINT("(%s %s)", x.ours, is), PRINT("(%s %s)", x.theirs, is));
    }
    case 5: {
        const char *operation = random_relation(g);
        return make_comparison(g, make_string(g, 1), operation, make_string(g, 0));
    }
    case 6: {
        struct both x = make_string(g, 0);
        const char *prefix = PRINT("'%c'", 'a' + below(g, 3));
        return BOTH(
            PRINT("is_prefix(%s, %s)", prefix, x.ours),
            PRINT("(substr(%s, 1, 1) = %s)", x.theirs, prefix));
    }
    default: {
        const char *operation = random_relation(g);
        struct both x = make_integer(g, integer_depth);
        return make_comparison(g, x, operation, make_integer(g, 0));
    }
    }
}

static const char *join_text(
    struct arena *arena, const char *a, const char *separator, const char *b)
{
    return *a ? arena_print(arena, "%s%s%s", a, separator, b) : b;
}

static struct both make_from(struct generator *g)
{
    if (!g->has_joined) return same("%s");
    bool is_left = chance(g, 50);
    const char *left = is_left ? "left " : "";
    const char *predicate = chance(g, 40) ? PRINT(" and u.c > %d", below(g, 6) - 2) : "";
    const char *theirs_predicate =
        *predicate ? PRINT(" and %s", compare_theirs(g, "u.c", ">", strrchr(predicate, ' ') + 1))
                   : "";
    static const char *const keys[][2] = {
        {"(t.c, t.s) = (u.a, u.b)", "t.c is u.a and t.s is u.b"},
        {"t.c = u.a", "t.c is u.a"},
        {"t.a = u.c", "t.a is u.c"},
        {"if_null(t.c, 3) = u.a", "ifnull(t.c, 3) is u.a"},
    };
    int key = below(g, 4);
    return BOTH(
        PRINT("%%s as t %sjoin [//u] as u on %s%s", left, keys[key][0], predicate),
        PRINT("%%s as t %sjoin u on %s%s", left, keys[key][1], theirs_predicate));
}

// Rows, filtered, ordered by what is unique or not ordered at all.
static struct both make_rows(
    struct generator *g, struct both from, struct both where, bool *ordered)
{
    struct both list = same("");
    int count = below(g, 3) + 1;
    for (int i = 0; i < count; i++) {
        struct both item = chance(g, 60) ? make_integer(g, 2) : make_string(g, 2);
        list.ours = join_text(g->arena, list.ours, ", ", PRINT("%s as x%d", item.ours, i));
        list.theirs = join_text(g->arena, list.theirs, ", ", PRINT("%s as x%d", item.theirs, i));
    }
    *ordered = chance(g, 50);
    const char *order = "";
    if (*ordered) {
        const char *direction = chance(g, 50) ? " desc" : "";
        const char *unique = g->has_joined ? "t.n, u.n" : "n";
        order = PRINT(
            " order by x0%s, %s limit %d offset %d",
            direction,
            unique,
            below(g, 20) + 1,
            below(g, 5));
    }
    return BOTH(
        PRINT("%s from %s where %s%s", list.ours, from.ours, where.ours, order),
        PRINT("select %s from %s where %s%s", list.theirs, from.theirs, where.theirs, order));
}

// Counts the rows of a query by what it puts out first.
static struct both make_nested(struct generator *g, struct both query)
{
    static const char text[] =
        "q.x0 as y, count(*) as c from (%s) as q where q.x0 is not null group by y";
    return BOTH(PRINT(text, query.ours), PRINT("select %s", PRINT(text, query.theirs)));
}

static struct both make_aggregate(struct generator *g)
{
    struct both x = make_integer(g, 1);
    switch (below(g, 7)) {
    case 0: return same("count(*)");
    case 1: return BOTH(PRINT("count(%s + 0)", x.ours), PRINT("count(%s + 0)", x.theirs));
    case 2: return BOTH(PRINT("min(%s + 0)", x.ours), PRINT("min(%s + 0)", x.theirs));
    case 3: return BOTH(PRINT("max(%s + 0)", x.ours), PRINT("max(%s + 0)", x.theirs));
    case 4: return BOTH(PRINT("avg(%s + 0)", x.ours), PRINT("avg(%s + 0)", x.theirs));
    case 5:
        return BOTH(
            PRINT("int64(cardinality(%s + 0))", x.ours), PRINT("count(distinct %s + 0)", x.theirs));
    default: return BOTH(PRINT("sum(%s + 0)", x.ours), PRINT("sum(%s + 0)", x.theirs));
    }
}

static struct both make_groups(struct generator *g, struct both from, struct both where)
{
    struct both key = chance(g, 70) ? make_integer(g, 1) : make_string(g, 1);
    struct both list = BOTH(PRINT("%s as x", key.ours), PRINT("%s as x", key.theirs));
    struct both totals = same("null");
    int count = below(g, 3) + 1;
    for (int i = 0; i < count; i++) {
        struct both item = make_aggregate(g);
        list.ours = PRINT("%s, %s as y%d", list.ours, item.ours, i);
        list.theirs = PRINT("%s, %s as y%d", list.theirs, item.theirs, i);
        totals.theirs = PRINT("%s, %s", totals.theirs, item.theirs);
    }
    const char *ours = PRINT("%s from %s where ", list.ours, from.ours);
    const char *theirs = PRINT("select %s from %s where ", list.theirs, from.theirs);
    if (chance(g, 30)) { // Keys that are null would look like totals.
        const char *condition = PRINT("(%s) and (%s) is not null", where.theirs, key.theirs);
        return BOTH(
            PRINT("%s(%s) and x is not null group by x with totals", ours, where.ours),
            PRINT(
                "%s%s group by x union all select %s from %s where %s having count(*) > 0",
                theirs,
                condition,
                totals.theirs,
                from.theirs,
                condition));
    }
    const char *having = chance(g, 40) ? PRINT(" having count(*) > %d", below(g, 4)) : "";
    return BOTH(
        PRINT("%s%s group by x%s", ours, where.ours, having),
        PRINT("%s%s group by x%s", theirs, where.theirs, having));
}

// -------------------------------------------------------------------------------------------------
// Running both

static void check_sqlite(sqlite3 *database, int code, const char *query)
{
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE) return;
    cr_fatal("SQLite: %s: %s", sqlite3_errmsg(database), query);
}

static void execute(sqlite3 *database, const char *query)
{
    check_sqlite(database, sqlite3_exec(database, query, NULL, NULL, NULL), query);
}

static void print_cell(sqlite3_stmt *statement, int i, struct buffer *text)
{
    switch (sqlite3_column_type(statement, i)) {
    case SQLITE_NULL: buffer_append_byte(text, '#'); break;
    case SQLITE_INTEGER:
        buffer_print(text, "%" PRId64, (int64_t)sqlite3_column_int64(statement, i));
        break;
    case SQLITE_FLOAT: buffer_print(text, "%g", sqlite3_column_double(statement, i)); break;
    default: buffer_append_text(text, (const char *)sqlite3_column_text(statement, i));
    }
}

// The result as world_select prints it.
static const char *select_theirs(struct arena *arena, sqlite3 *database, const char *query)
{
    sqlite3_stmt *statement = NULL;
    check_sqlite(database, sqlite3_prepare_v2(database, query, -1, &statement, NULL), query);
    CLEANUP(buffer_releasep) struct buffer text = {0};
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (text.size > 0) buffer_append_byte(&text, ' ');
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            if (i > 0) buffer_append_byte(&text, ',');
            print_cell(statement, i, &text);
        }
    }
    check_sqlite(database, code, query);
    sqlite3_finalize(statement);
    return arena_copy(arena, buffer_slice(&text)).data;
}

static int order_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// Rows in the order of their texts, for queries that promise no order.
static const char *sorted(struct arena *arena, const char *text)
{
    size_t capacity = strlen(text) / 2 + 2;
    char **words = ARENA_NEW(arena, char *, capacity);
    char *copy = arena_print(arena, "%s", text);
    size_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        words[count++] = word;
    }
    qsort(words, count, sizeof *words, order_words);
    CLEANUP(buffer_releasep) struct buffer joined = {0};
    for (size_t i = 0; i < count; i++) buffer_print(&joined, "%s%s", i > 0 ? " " : "", words[i]);
    return arena_copy(arena, buffer_slice(&joined)).data;
}

// Keys (a, b), and columns with nulls; n is unique. The second table has other rows.
static void fill(
    struct world *world, sqlite3 *database, const char *path, const char *name, uint64_t seed)
{
    struct rng rng = {.state = seed};
    struct world_table *table = world_add(
        world,
        path,
        "[{name=a;type=int64;sort_order=ascending};{name=b;type=string;sort_order=ascending};"
        "{name=c;type=int64};{name=s;type=string};{name=n;type=int64}]",
        "");
    execute(database, arena_print(&world->arena, "create table %s(a, b, c, s, n)", name));
    for (int64_t i = 0; i < ROW_COUNT; i++) {
        char b[] = {(char)('a' + i % 6), 0};
        char s[] = {(char)('a' + rng_below(&rng, 3)), (char)('a' + rng_below(&rng, 3)), 0};
        bool has_c = rng_chance(&rng, 75);
        bool has_s = rng_chance(&rng, 75);
        struct value values[] = {
            i / 6 == 0 ? value_null(0) : value_int64(0, i / 6 - 2),
            value_string(1, slice_from_text(b)),
            has_c ? value_int64(2, (int64_t)rng_below(&rng, 12) - 3) : value_null(2),
            has_s ? value_string(3, slice_from_text(s)) : value_null(3),
            value_int64(4, i),
        };
        world_table_add(world, table, values);
        const char *insert = arena_print(
            &world->arena,
            "insert into %s values (%s, '%s', %s, %s, %" PRId64 ")",
            name,
            i / 6 == 0 ? "null" : arena_print(&world->arena, "%" PRId64, i / 6 - 2),
            b,
            has_c ? arena_print(&world->arena, "%" PRId64, values[2].int64) : "null",
            has_s ? arena_print(&world->arena, "'%s'", s) : "null",
            i);
        execute(database, insert);
    }
    world_table_sort(table);
}

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void check_query(struct world *world, sqlite3 *database, uint64_t seed)
{
    struct generator generator = {.arena = &world->arena, .rng = {.state = seed}, .alias = ""};
    struct generator *g = &generator;
    g->has_joined = chance(g, 30);
    if (g->has_joined) g->alias = "t.";
    struct both from = make_from(g);
    from = BOTH(PRINT(from.ours, "[//t]"), PRINT(from.theirs, "t"));
    struct both where = make_condition(g, 3);
    bool is_ordered = false;
    bool has_rows = chance(g, 60);
    struct both query =
        has_rows ? make_rows(g, from, where, &is_ordered) : make_groups(g, from, where);
    if (has_rows && chance(g, 20)) {
        query = make_nested(g, query);
        is_ordered = false;
    }
    const char *ours = NULL;
    CLEANUP(error_freep) struct error *error = world_select(world, query.ours, &ours);
    if (error) {
        error_print(error, stderr);
        cr_fatal("seed %" PRIu64 ": %s", seed, query.ours);
    }
    const char *theirs = select_theirs(g->arena, database, query.theirs);
    if (!is_ordered) {
        ours = sorted(g->arena, ours);
        theirs = sorted(g->arena, theirs);
    }
    bool is_same = strcmp(ours, theirs) == 0;
    cr_assert(
        is_same,
        "seed %" PRIu64 "\n%s\n%s\nours:   %s\ntheirs: %s",
        seed,
        query.ours,
        query.theirs,
        ours,
        theirs);
}

Test(query_sqlite, gives_the_same_results)
{
    uint64_t count = number_from_environment("RETABLE_QUERY_COUNT", QUERY_COUNT);
    uint64_t first = number_from_environment("RETABLE_QUERY_SEED", 1);
    sqlite3 *database = NULL;
    cr_assert(eq(int, sqlite3_open(":memory:", &database), SQLITE_OK));
    execute(database, "pragma case_sensitive_like = on");
    for (uint64_t seed = first; seed < first + count;) {
        // A world for each hundred: its memory goes with it.
        struct world world;
        world_init(&world);
        world.row_budget = 7;
        execute(database, "drop table if exists t; drop table if exists u");
        fill(&world, database, "//t", "t", seed);
        fill(&world, database, "//u", "u", seed + 1000000);
        for (int i = 0; i < 100 && seed < first + count; i++) check_query(&world, database, seed++);
        world_release(&world);
    }
    sqlite3_close(database);
}
