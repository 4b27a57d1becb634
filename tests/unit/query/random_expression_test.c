// Random expressions against an evaluation that knows nothing of the engine: the generator computes
// the value while it writes the text.
#include "base/rng.h"
#include "tests/test.h"
#include "tests/unit/query/world.h"

#include <inttypes.h>

TestSuite(query_random_expression, .fini = abort_on_leaks);

enum tribool { NO, YES, UNKNOWN };

struct number {
    bool is_null;
    int64_t value;
};

// The row that the expressions are over: x, y, and z, which is null.
static const int64_t x_value = 5;
static const int64_t y_value = -3;

static enum tribool print_boolean(struct rng *rng, int depth, struct buffer *text);

static struct number print_leaf(struct rng *rng, struct buffer *text)
{
    switch (rng_below(rng, 5)) {
    case 0: buffer_append_text(text, "x"); return (struct number){.value = x_value};
    case 1: buffer_append_text(text, "y"); return (struct number){.value = y_value};
    case 2: buffer_append_text(text, "z"); return (struct number){.is_null = true};
    default: {
        int64_t value = (int64_t)rng_below(rng, 20) - 10;
        if (rng_chance(rng, 10)) value = (int64_t)(rng_next(rng) >> 1);
        buffer_print(text, "%" PRId64, value);
        return (struct number){.value = value};
    }
    }
}

static int64_t apply(char operation, int64_t a, int64_t b)
{
    uint64_t x = (uint64_t)a;
    uint64_t y = (uint64_t)b;
    switch (operation) {
    case '+': return (int64_t)(x + y);
    case '-': return (int64_t)(x - y);
    case '*': return (int64_t)(x * y);
    case '&': return (int64_t)(x & y);
    case '|': return (int64_t)(x | y);
    default: return (int64_t)(x ^ y);
    }
}

static struct number print_number(struct rng *rng, int depth, struct buffer *text)
{
    if (depth == 0 || rng_chance(rng, 20)) return print_leaf(rng, text);
    struct number result = {0};
    buffer_append_byte(text, '(');
    switch (rng_below(rng, 5)) {
    case 0: {
        buffer_append_text(text, "if(");
        enum tribool condition = print_boolean(rng, depth - 1, text);
        buffer_append_text(text, ", ");
        struct number a = print_number(rng, depth - 1, text);
        buffer_append_text(text, ", ");
        struct number b = print_number(rng, depth - 1, text);
        buffer_append_byte(text, ')');
        result = condition == UNKNOWN ? (struct number){.is_null = true} : condition == YES ? a : b;
        break;
    }
    case 1: {
        buffer_append_text(text, "if_null(");
        struct number a = print_number(rng, depth - 1, text);
        buffer_append_text(text, ", ");
        struct number b = print_number(rng, depth - 1, text);
        buffer_append_byte(text, ')');
        result = a.is_null ? b : a;
        break;
    }
    case 2: {
        buffer_append_text(text, "- ");
        struct number a = print_number(rng, depth - 1, text);
        result = (struct number){a.is_null, (int64_t)(0 - (uint64_t)a.value)};
        break;
    }
    default: {
        char operation = "+-*&|^"[rng_below(rng, 6)];
        struct number a = print_number(rng, depth - 1, text);
        buffer_print(text, " %c ", operation);
        struct number b = print_number(rng, depth - 1, text);
        result = (struct number){a.is_null || b.is_null, apply(operation, a.value, b.value)};
    }
    }
    buffer_append_byte(text, ')');
    return result;
}

static int order(struct number a, struct number b)
{
    if (a.is_null || b.is_null) return (int)b.is_null - (int)a.is_null;
    return a.value < b.value ? -1 : a.value > b.value;
}

static enum tribool print_comparison(struct rng *rng, int depth, struct buffer *text)
{
    static const char *const operators[] = {"=", "!=", "<", "<=", ">", ">="};
    struct number a = print_number(rng, depth, text);
    uint64_t k = rng_below(rng, 6);
    buffer_print(text, " %s ", operators[k]);
    struct number b = print_number(rng, depth, text);
    int c = order(a, b);
    bool results[] = {c == 0, c != 0, c<0, c <= 0, c> 0, c >= 0};
    return results[k] ? YES : NO;
}

static enum tribool print_boolean(struct rng *rng, int depth, struct buffer *text)
{
    enum tribool result = NO;
    buffer_append_byte(text, '(');
    switch (rng_below(rng, depth > 0 ? 7 : 3)) {
    case 0: result = print_comparison(rng, depth > 0 ? depth - 1 : 0, text); break;
    case 1: {
        struct number a = print_number(rng, depth > 0 ? depth - 1 : 0, text);
        bool is_negated = rng_chance(rng, 50);
        buffer_append_text(text, is_negated ? " is not null" : " is null");
        result = a.is_null != is_negated ? YES : NO;
        break;
    }
    case 2:
        buffer_append_text(text, "null");
        result = UNKNOWN;
        break;
    case 3: {
        struct number a = print_number(rng, depth - 1, text);
        buffer_append_text(text, " between ");
        struct number b = print_number(rng, depth - 1, text);
        buffer_append_text(text, " and ");
        struct number c = print_number(rng, depth - 1, text);
        result = order(a, b) >= 0 && order(a, c) <= 0 ? YES : NO;
        break;
    }
    case 4: {
        buffer_append_text(text, "not ");
        enum tribool a = print_boolean(rng, depth - 1, text);
        result = a == UNKNOWN ? UNKNOWN : a == YES ? NO : YES;
        break;
    }
    default: {
        bool is_and = rng_chance(rng, 50);
        enum tribool a = print_boolean(rng, depth - 1, text);
        buffer_append_text(text, is_and ? " and " : " or ");
        enum tribool b = print_boolean(rng, depth - 1, text);
        enum tribool decisive = is_and ? NO : YES;
        if (a == decisive || b == decisive) {
            result = decisive;
        } else {
            result = a == UNKNOWN || b == UNKNOWN ? UNKNOWN : is_and ? YES : NO;
        }
    }
    }
    buffer_append_byte(text, ')');
    return result;
}

struct unsigned_number {
    bool is_null;
    uint64_t value;
};

static uint64_t apply_unsigned(int operation, uint64_t a, uint64_t b)
{
    switch (operation) {
    case 0: return a + b;
    case 1: return a - b;
    case 2: return a * b;
    case 3: return a / b;
    case 4: return a % b;
    case 5: return b < 64 ? a << b : 0;
    case 6: return b < 64 ? a >> b : 0;
    default: return a ^ b;
    }
}

// Of uint64, half of them above 2^63. Divisors and shifts are literals, so that nothing fails.
static struct unsigned_number print_unsigned(struct rng *rng, int depth, struct buffer *text)
{
    static const char *const operations[] = {"+", "-", "*", "/", "%", "<<", ">>", "^"};
    if (depth == 0 || rng_chance(rng, 20)) {
        if (rng_chance(rng, 10)) {
            buffer_append_text(text, "w");
            return (struct unsigned_number){.is_null = true};
        }
        uint64_t value = rng_chance(rng, 50) ? rng_next(rng) : rng_below(rng, 100);
        buffer_print(text, "%" PRIu64 "u", value);
        return (struct unsigned_number){.value = value};
    }
    struct unsigned_number result = {0};
    buffer_append_byte(text, '(');
    if (rng_chance(rng, 20)) {
        buffer_append_text(text, "case when ");
        struct unsigned_number a = print_unsigned(rng, depth - 1, text);
        buffer_append_text(text, " < ");
        struct unsigned_number b = print_unsigned(rng, depth - 1, text);
        buffer_append_text(text, " then ");
        struct unsigned_number c = print_unsigned(rng, depth - 1, text);
        buffer_append_text(text, " else ");
        struct unsigned_number d = print_unsigned(rng, depth - 1, text);
        buffer_append_text(text, " end");
        bool is_less = a.is_null ? !b.is_null : !b.is_null && a.value < b.value;
        result = is_less ? c : d;
    } else {
        int operation = (int)rng_below(rng, 8);
        struct unsigned_number a = print_unsigned(rng, depth - 1, text);
        buffer_print(text, " %s ", operations[operation]);
        struct unsigned_number b = {.value = rng_below(rng, 70) + 1};
        if (operation >= 3 && operation <= 6) {
            buffer_print(text, "%" PRIu64 "u", b.value);
        } else {
            b = print_unsigned(rng, depth - 1, text);
        }
        result.is_null = a.is_null || b.is_null;
        if (!result.is_null) result.value = apply_unsigned(operation, a.value, b.value);
    }
    buffer_append_byte(text, ')');
    return result;
}

static struct world new_world(void)
{
    return world_of(
        "[{name=k;type=int64;sort_order=ascending};{name=x;type=int64};{name=y;type=int64};"
        "{name=z;type=int64};{name=w;type=uint64}]",
        "{k=0;x=5;y=-3}");
}

Test(query_random_expression, of_numbers_have_the_value_they_should_have)
{
    CLEANUP(world_release) struct world world = new_world();
    for (uint64_t seed = 0; seed < 4000; seed++) {
        struct rng rng = {.state = seed};
        CLEANUP(buffer_releasep) struct buffer text = {0};
        struct number number = print_number(&rng, 5, &text);
        buffer_append_text(&text, " as v from [//t]");
        buffer_append_byte(&text, 0);
        const char *expected =
            number.is_null ? "#" : arena_print(&world.arena, "%" PRId64, number.value);
        bool is_same = strcmp(world_get(&world, text.data), expected) == 0;
        cr_assert(is_same, "seed %" PRIu64 ", should be %s: %s", seed, expected, text.data);
    }
}

Test(query_random_expression, of_booleans_have_the_value_they_should_have)
{
    CLEANUP(world_release) struct world world = new_world();
    static const char *const texts[] = {"false", "true", "#"};
    for (uint64_t seed = 0; seed < 4000; seed++) {
        struct rng rng = {.state = seed};
        CLEANUP(buffer_releasep) struct buffer text = {0};
        enum tribool boolean = print_boolean(&rng, 5, &text);
        buffer_append_text(&text, " as v from [//t]");
        buffer_append_byte(&text, 0);
        bool is_same = strcmp(world_get(&world, text.data), texts[boolean]) == 0;
        cr_assert(is_same, "seed %" PRIu64 ", should be %s: %s", seed, texts[boolean], text.data);
    }
}

Test(query_random_expression, of_unsigned_numbers_have_the_value_they_should_have)
{
    CLEANUP(world_release) struct world world = new_world();
    for (uint64_t seed = 0; seed < 4000; seed++) {
        struct rng rng = {.state = seed};
        CLEANUP(buffer_releasep) struct buffer text = {0};
        buffer_append_text(&text, "uint64(");
        struct unsigned_number number = print_unsigned(&rng, 5, &text);
        buffer_append_text(&text, ") as v from [//t]");
        buffer_append_byte(&text, 0);
        const char *expected =
            number.is_null ? "#" : arena_print(&world.arena, "%" PRIu64 "u", number.value);
        bool is_same = strcmp(world_get(&world, text.data), expected) == 0;
        cr_assert(is_same, "seed %" PRIu64 ", should be %s: %s", seed, expected, text.data);
    }
}
