#include "cluster/query/syntax.h"

#include "cluster/query/grammar.h"
#include "model/yson.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <strings.h>

enum { SHOWN_SIZE_MAX = 200, NUMBER_TEXT_SIZE_MAX = 400 };

static uint32_t offset_of(const struct parser *parser, struct token token)
{
    return (uint32_t)(token.text.data - parser->query->text.data);
}

// Takes over `error` and keeps it if it is the first.
static void fail(struct parser *parser, uint32_t offset, struct error *error)
{
    if (parser->error) {
        error_free(error);
        return;
    }
    parser->error = error_set_u64(error, "offset", offset);
}

static struct slice cut(struct slice text)
{
    return slice_from(text.data, MIN(text.size, (size_t)SHOWN_SIZE_MAX));
}

void parser_fail_at_token(struct parser *parser, struct token token)
{
    if (parser->error) return; // What follows a mistake is hardly another one.
    uint32_t offset = offset_of(parser, token);
    struct slice text = cut(token.text);
    fail(
        parser,
        offset,
        text.size == 0
            ? error_new(ERROR_GENERIC, "Error while parsing query: unexpected end of query")
            : error_new(
                  ERROR_GENERIC,
                  "Error while parsing query: unexpected \"%.*s\" at offset %" PRIu32,
                  SLICE(text),
                  offset));
}

void parser_refuse(struct parser *parser, struct token token, const char *what)
{
    uint32_t offset = offset_of(parser, token);
    fail(
        parser,
        offset,
        error_new(ERROR_GENERIC, "%s is not supported (at offset %" PRIu32 ")", what, offset));
}

void parser_fail_depth(struct parser *parser)
{
    fail(
        parser,
        0,
        error_set_u64(
            error_new(
                ERROR_QUERY_EXPRESSION_DEPTH_LIMIT_EXCEEDED, "Expression depth limit exceeded"),
            "limit",
            QUERY_DEPTH_MAX));
}

static struct syntax *new_syntax(
    struct parser *parser, enum syntax_kind kind, uint32_t begin, uint32_t end)
{
    struct syntax *syntax = ARENA_NEW(parser->arena, struct syntax, 1);
    syntax->kind = (uint8_t)kind;
    syntax->begin = begin;
    syntax->end = end;
    syntax->depth = 1;
    return syntax;
}

static struct syntax *new_leaf(struct parser *parser, enum syntax_kind kind, struct token token)
{
    uint32_t begin = offset_of(parser, token);
    return new_syntax(parser, kind, begin, begin + (uint32_t)token.text.size);
}

static struct syntax *new_literal(struct parser *parser, struct token token, struct value value)
{
    struct syntax *syntax = new_leaf(parser, SYNTAX_LITERAL, token);
    syntax->literal = value;
    return syntax;
}

static void update_depth(struct parser *parser, struct syntax *syntax, const struct syntax *item)
{
    if (item->depth >= syntax->depth) syntax->depth = (uint16_t)(item->depth + 1);
    if (syntax->depth > QUERY_DEPTH_MAX) parser_fail_depth(parser);
}

static void add_item(struct parser *parser, struct syntax *syntax, struct syntax *item)
{
    struct syntax_list list = {syntax->items, syntax->count, syntax->capacity};
    list = syntax_list_add(parser, list, item);
    syntax->items = list.items;
    syntax->count = list.count;
    syntax->capacity = list.capacity;
    syntax->begin = MIN(syntax->begin, item->begin);
    syntax->end = MAX(syntax->end, item->end);
    update_depth(parser, syntax, item);
}

static void add_list(struct parser *parser, struct syntax *syntax, struct syntax_list list)
{
    syntax->items = list.items;
    syntax->count = list.count;
    syntax->capacity = list.capacity;
    for (uint32_t i = 0; i < list.count; i++) update_depth(parser, syntax, list.items[i]);
}

static uint64_t parse_integer(struct parser *parser, struct token token, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(token.text.data[i] - '0'), &number)) {
            fail(
                parser,
                offset_of(parser, token),
                error_new(
                    ERROR_GENERIC,
                    "Integer literal \"%.*s\" does not fit into 64 bits",
                    SLICE(cut(token.text))));
            return 0;
        }
    }
    return number;
}

struct syntax *syntax_integer(struct parser *parser, struct token token)
{
    uint64_t number = parse_integer(parser, token, token.text.size);
    struct syntax *syntax = new_literal(parser, token, value_int64(0, (int64_t)number));
    syntax->is_out_of_range = number > INT64_MAX;
    return syntax;
}

struct syntax *syntax_unsigned(struct parser *parser, struct token token)
{
    uint64_t number = parse_integer(parser, token, token.text.size - 1);
    return new_literal(parser, token, value_uint64(0, number));
}

struct syntax *syntax_double(struct parser *parser, struct token token)
{
    char text[NUMBER_TEXT_SIZE_MAX];
    double number = INFINITY;
    if (token.text.size < sizeof text) {
        memcpy(text, token.text.data, token.text.size);
        text[token.text.size] = 0;
        number = strtod(text, NULL);
    }
    if (isinf(number)) {
        fail(
            parser,
            offset_of(parser, token),
            error_new(
                ERROR_GENERIC,
                "Floating point literal \"%.*s\" is out of range",
                SLICE(cut(token.text))));
    }
    return new_literal(parser, token, value_double(0, number));
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

static bool is_octal(char digit)
{
    return digit >= '0' && digit <= '7';
}

// Removes the quotes of "…", '…' or `…` and the escapes of C inside. A backslash before any other
// byte stands for that byte.
static struct slice unescape(struct arena *arena, struct slice quoted)
{
    assert(quoted.size >= 2);
    const char *from = quoted.data + 1;
    const char *end = quoted.data + quoted.size - 1;
    char *begin = arena_alloc(arena, quoted.size);
    char *to = begin;
    while (from < end) {
        if (*from != '\\' || from + 1 == end) {
            *to++ = *from++;
            continue;
        }
        from++;
        char escaped = *from++;
        if (is_octal(escaped)) {
            int byte = escaped - '0';
            int digit_count_max = escaped <= '3' ? 3 : 2;
            for (int i = 1; i < digit_count_max && from < end && is_octal(*from); i++) {
                byte = byte * 8 + (*from++ - '0');
            }
            *to++ = (char)byte;
            continue;
        }
        if (escaped == 'x' && from < end && hex_digit(*from) >= 0) {
            int byte = hex_digit(*from++);
            if (from < end && hex_digit(*from) >= 0) byte = byte * 16 + hex_digit(*from++);
            *to++ = (char)byte;
            continue;
        }
        static const char escapes[][2] = {
            {'n', '\n'},
            {'t', '\t'},
            {'r', '\r'},
            {'a', '\a'},
            {'b', '\b'},
            {'f', '\f'},
            {'v', '\v'},
        };
        for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
            if (escapes[i][0] == escaped) {
                escaped = escapes[i][1];
                break;
            }
        }
        *to++ = escaped;
    }
    return slice_from(begin, (size_t)(to - begin));
}

struct syntax *syntax_string(struct parser *parser, struct token token)
{
    return new_literal(parser, token, value_string(0, unescape(parser->arena, token.text)));
}

struct syntax *syntax_boolean(struct parser *parser, struct token token, bool boolean)
{
    return new_literal(parser, token, value_boolean(0, boolean));
}

struct syntax *syntax_null(struct parser *parser, struct token token)
{
    return new_literal(parser, token, value_null(0));
}

struct syntax *syntax_infinity(struct parser *parser, struct token token)
{
    return new_literal(parser, token, value_double(0, INFINITY));
}

struct syntax *syntax_star(struct parser *parser, struct token token)
{
    return new_leaf(parser, SYNTAX_STAR, token);
}

struct slice syntax_name(struct parser *parser, struct token token)
{
    if (token.kind != TOKEN_QUOTED) return token.text;
    struct slice name = token.text.data[0] == '`'
                            ? unescape(parser->arena, token.text)
                            : slice_from(token.text.data + 1, token.text.size - 2);
    if (name.size == 0) parser_fail_at_token(parser, token);
    return name;
}

struct syntax *syntax_reference(struct parser *parser, struct token table, struct token name)
{
    struct syntax *syntax = new_leaf(parser, SYNTAX_REFERENCE, name);
    syntax->name = syntax_name(parser, name);
    if (table.kind != 0) {
        syntax->table = syntax_name(parser, table);
        syntax->begin = offset_of(parser, table);
    }
    return syntax;
}

// A minus directly before a number belongs to it: the least int64 cannot be written otherwise.
static bool negate_literal(struct syntax *item)
{
    if (item->kind != SYNTAX_LITERAL) return false;
    if (item->literal.type == VALUE_DOUBLE) {
        item->literal.real = -item->literal.real;
        return true;
    }
    if (item->literal.type != VALUE_INT64 || item->literal.int64 < 0) {
        bool is_least = item->is_out_of_range && item->literal.int64 == INT64_MIN;
        item->is_out_of_range = item->is_out_of_range && !is_least;
        return is_least;
    }
    item->literal.int64 = -item->literal.int64;
    return true;
}

struct syntax *syntax_unary(
    struct parser *parser, enum syntax_operator operation, struct token token, struct syntax *item)
{
    if (operation == OPERATOR_MINUS && negate_literal(item)) {
        item->begin = offset_of(parser, token);
        return item;
    }
    struct syntax *syntax = new_leaf(parser, SYNTAX_UNARY, token);
    syntax->operation = (uint8_t)operation;
    add_item(parser, syntax, item);
    return syntax;
}

struct syntax *syntax_binary(
    struct parser *parser,
    enum syntax_operator operation,
    struct syntax *left,
    struct syntax *right)
{
    struct syntax *syntax = new_syntax(parser, SYNTAX_BINARY, left->begin, right->end);
    syntax->operation = (uint8_t)operation;
    add_item(parser, syntax, left);
    add_item(parser, syntax, right);
    return syntax;
}

struct syntax *syntax_concatenate(struct parser *parser, struct syntax *left, struct syntax *right)
{
    struct syntax *syntax = new_syntax(parser, SYNTAX_CALL, left->begin, right->end);
    syntax->name = SLICE_OF("concat");
    add_item(parser, syntax, left);
    add_item(parser, syntax, right);
    return syntax;
}

// Chains are kept flat, so that a long one is not deep.
struct syntax *syntax_logical(
    struct parser *parser, enum syntax_kind kind, struct syntax *left, struct syntax *right)
{
    if (left->kind == kind) {
        add_item(parser, left, right);
        return left;
    }
    struct syntax *syntax = new_syntax(parser, kind, left->begin, right->end);
    add_item(parser, syntax, left);
    add_item(parser, syntax, right);
    return syntax;
}

struct syntax *syntax_call(
    struct parser *parser, struct token name, struct syntax_list arguments, struct token end)
{
    struct syntax *syntax = new_leaf(parser, SYNTAX_CALL, name);
    syntax->name = name.text;
    add_list(parser, syntax, arguments);
    syntax->end = offset_of(parser, end) + (uint32_t)end.text.size;
    return syntax;
}

struct syntax *syntax_cast(
    struct parser *parser,
    struct token begin,
    struct syntax *item,
    struct token type,
    struct token end)
{
    uint32_t end_offset = offset_of(parser, end) + (uint32_t)end.text.size;
    struct syntax *syntax = new_syntax(parser, SYNTAX_CAST, offset_of(parser, begin), end_offset);
    syntax->name = syntax_name(parser, type);
    add_item(parser, syntax, item);
    return syntax;
}

struct syntax *syntax_parentheses(
    struct parser *parser, struct token begin, struct syntax_list items, struct token end)
{
    assert(items.count > 0);
    struct syntax *syntax = items.items[0];
    if (items.count > 1) {
        syntax = new_leaf(parser, SYNTAX_TUPLE, begin);
        add_list(parser, syntax, items);
    }
    syntax->begin = offset_of(parser, begin);
    syntax->end = offset_of(parser, end) + (uint32_t)end.text.size;
    return syntax;
}

struct syntax *syntax_in(
    struct parser *parser,
    struct syntax *operand,
    bool is_negated,
    struct syntax_list items,
    struct token end)
{
    uint32_t end_offset = offset_of(parser, end) + (uint32_t)end.text.size;
    struct syntax *list = new_syntax(parser, SYNTAX_TUPLE, items.items[0]->begin, end_offset);
    add_list(parser, list, items);
    struct syntax *syntax = new_syntax(parser, SYNTAX_IN, operand->begin, end_offset);
    syntax->is_negated = is_negated;
    add_item(parser, syntax, operand);
    add_item(parser, syntax, list);
    return syntax;
}

struct syntax *syntax_between(
    struct parser *parser,
    struct syntax *operand,
    bool is_negated,
    struct syntax *lower,
    struct syntax *upper)
{
    struct syntax *syntax = new_syntax(parser, SYNTAX_BETWEEN, operand->begin, upper->end);
    syntax->is_negated = is_negated;
    add_item(parser, syntax, operand);
    add_item(parser, syntax, lower);
    add_item(parser, syntax, upper);
    return syntax;
}

struct syntax *syntax_between_ranges(
    struct parser *parser,
    struct syntax *operand,
    bool is_negated,
    struct syntax_list ranges,
    struct token end)
{
    uint32_t end_offset = offset_of(parser, end) + (uint32_t)end.text.size;
    struct syntax *syntax = new_syntax(parser, SYNTAX_BETWEEN, operand->begin, end_offset);
    syntax->is_negated = is_negated;
    add_item(parser, syntax, operand);
    for (uint32_t i = 0; i < ranges.count; i++) {
        const struct syntax *range = ranges.items[i];
        if (range->kind != SYNTAX_AND || range->count != 2) {
            fail(
                parser,
                range->begin,
                error_new(
                    ERROR_GENERIC,
                    "BETWEEN takes ranges like \"1 AND 2\", and \"%.*s\" is none",
                    SLICE(syntax_text(parser->query, range))));
            return syntax;
        }
        add_item(parser, syntax, range->items[0]);
        add_item(parser, syntax, range->items[1]);
    }
    return syntax;
}

struct syntax *syntax_case(
    struct parser *parser,
    struct token begin,
    struct syntax *operand,
    struct syntax_list parts,
    struct syntax *otherwise,
    struct token end)
{
    uint32_t end_offset = offset_of(parser, end) + (uint32_t)end.text.size;
    struct syntax *syntax = new_syntax(parser, SYNTAX_CASE, offset_of(parser, begin), end_offset);
    syntax->has_operand = operand != NULL;
    if (operand) add_item(parser, syntax, operand);
    for (uint32_t i = 0; i < parts.count; i++) add_item(parser, syntax, parts.items[i]);
    if (otherwise) add_item(parser, syntax, otherwise);
    return syntax;
}

struct syntax *syntax_like(
    struct parser *parser,
    struct syntax *text,
    struct token like,
    bool is_negated,
    struct syntax *pattern,
    struct syntax *escape)
{
    struct syntax *syntax = new_syntax(parser, SYNTAX_LIKE, text->begin, pattern->end);
    syntax->is_negated = is_negated;
    syntax->ignores_case = like.kind == TOKEN_ILIKE;
    syntax->is_regex = like.kind == TOKEN_RLIKE || like.kind == TOKEN_REGEXP;
    add_item(parser, syntax, text);
    add_item(parser, syntax, pattern);
    if (escape) add_item(parser, syntax, escape);
    return syntax;
}

struct syntax *syntax_is_null(
    struct parser *parser, struct syntax *item, bool is_negated, struct token end)
{
    uint32_t end_offset = offset_of(parser, end) + (uint32_t)end.text.size;
    struct syntax *syntax = new_syntax(parser, SYNTAX_IS_NULL, item->begin, end_offset);
    syntax->is_negated = is_negated;
    add_item(parser, syntax, item);
    return syntax;
}

struct syntax *syntax_array(struct parser *parser, struct syntax *item, struct token name)
{
    struct syntax *syntax = new_syntax(parser, SYNTAX_ALIAS, item->begin, item->end);
    syntax->name = syntax_name(parser, name);
    add_item(parser, syntax, item);
    // An alias is no operation: it costs no depth.
    syntax->depth = item->depth;
    return syntax;
}

struct syntax *syntax_alias(struct parser *parser, struct syntax *item, struct token name)
{
    struct syntax *syntax = syntax_array(parser, item, name);
    parser->query->aliases = syntax_list_add(parser, parser->query->aliases, syntax);
    return syntax;
}

struct syntax_list syntax_list_add(
    struct parser *parser, struct syntax_list list, struct syntax *item)
{
    if (list.count == list.capacity) {
        uint32_t capacity = MAX(2, list.capacity * 2);
        struct syntax **items = ARENA_NEW(parser->arena, struct syntax *, capacity);
        if (list.count > 0) memcpy(items, list.items, list.count * sizeof *items);
        list.items = items;
        list.capacity = capacity;
    }
    list.items[list.count++] = item;
    return list;
}

void syntax_set_totals(struct parser *parser, enum totals_mode mode, struct token with)
{
    if (parser->query->totals != TOTALS_NONE) parser_fail_at_token(parser, with);
    parser->query->totals = mode;
}

struct syntax_table *syntax_table_add(struct parser *parser, struct token path, struct token alias)
{
    struct query *query = parser->query;
    if (query->table_count == QUERY_TABLE_COUNT_MAX) {
        fail(
            parser,
            offset_of(parser, path),
            error_set_u64(
                error_new(ERROR_GENERIC, "Too many tables in query"),
                "limit",
                QUERY_TABLE_COUNT_MAX));
        return &query->tables[0];
    }
    struct syntax_table *table = &query->tables[query->table_count];
    table->offset = offset_of(parser, path);
    // Only a quoted path has quotes to be removed; another token here is a mistake already kept.
    if (path.kind == TOKEN_QUOTED) table->path = syntax_name(parser, path);
    if (alias.kind != 0) table->alias = syntax_name(parser, alias);
    query->table_count++;
    return table;
}

// Advice about a table: a map in YSON.
static struct error *read_hint(
    struct arena *arena, struct slice text, struct syntax_table *ret_table)
{
    struct node *map = NULL;
    bool requires_sync = true;
    bool pushes_down = false; // How a join is computed: here it is the same anyway.
    TRY(yson_parse(arena, text, &map));
    if (map->type != NODE_MAP) return error_new(ERROR_GENERIC, "It must be a map");
    for (uint32_t i = 0; i < map->count; i++) {
        struct slice key = map->entries[i].key;
        if (slice_equal_text(key, "require_sync_replica")) continue;
        if (slice_equal_text(key, "push_down_group_by")) continue;
        return error_new(ERROR_GENERIC, "There is no hint \"%.*s\"", SLICE(cut(key)));
    }
    TRY(node_get_boolean(map, "require_sync_replica", &requires_sync));
    TRY(node_get_boolean(map, "push_down_group_by", &pushes_down));
    ret_table->may_be_stale = !requires_sync;
    return NULL;
}

void syntax_set_hint(struct parser *parser, struct syntax_table *table, struct token hint)
{
    struct slice text = unescape(parser->arena, hint.text);
    struct error *error = read_hint(parser->arena, text, table);
    if (!error) return;
    uint32_t offset = offset_of(parser, hint);
    const char *format = "Error while parsing hint at offset %" PRIu32;
    fail(parser, offset, error_wrap(error, ERROR_GENERIC, format, offset));
}

void syntax_arrays_add(
    struct parser *parser,
    struct token array,
    bool is_left,
    struct syntax_list arrays,
    struct syntax *condition)
{
    struct syntax_table *table = syntax_table_add(parser, array, (struct token){.kind = 0});
    table->is_left = is_left;
    table->arrays = arrays;
    table->condition = condition;
}

void syntax_subquery_begin(struct parser *parser, struct token begin)
{
    struct query *outer = parser->query;
    if (outer->table_count > 0) {
        parser_refuse(parser, begin, "A subquery in JOIN");
        return;
    }
    if (outer->nesting == QUERY_NESTING_MAX) {
        fail(
            parser,
            offset_of(parser, begin),
            error_set_u64(
                error_new(ERROR_GENERIC, "Subqueries are nested too deeply"),
                "limit",
                QUERY_NESTING_MAX));
        return;
    }
    struct query *query = ARENA_NEW(parser->arena, struct query, 1);
    query->text = outer->text;
    query->outer = outer;
    query->nesting = outer->nesting + 1;
    parser->query = query;
}

struct syntax_table *syntax_subquery_end(
    struct parser *parser, struct token begin, struct token alias)
{
    struct query *query = parser->query;
    parser->query = query->outer;
    struct syntax_table *table = syntax_table_add(parser, begin, alias);
    table->subquery = query;
    return table;
}

void syntax_order_add(struct parser *parser, struct syntax *expression, bool is_descending)
{
    struct query *query = parser->query;
    if (query->order_count == query->order_capacity) {
        uint32_t capacity = MAX(4, query->order_capacity * 2);
        struct syntax_order *order = ARENA_NEW(parser->arena, struct syntax_order, capacity);
        if (query->order_count > 0) {
            memcpy(order, query->order, query->order_count * sizeof *order);
        }
        query->order = order;
        query->order_capacity = capacity;
    }
    query->order[query->order_count++] = (struct syntax_order){expression, is_descending};
}

void syntax_set_offset(struct parser *parser, struct token clause, struct token number)
{
    if (parser->query->has_offset) parser_fail_at_token(parser, clause);
    parser->query->has_offset = true;
    parser->query->offset = parse_integer(parser, number, number.text.size);
}

void syntax_set_limit(struct parser *parser, struct token clause, struct token number)
{
    if (parser->query->has_limit) parser_fail_at_token(parser, clause);
    parser->query->has_limit = true;
    parser->query->limit = parse_integer(parser, number, number.text.size);
}

bool syntax_is_name(const struct syntax *call, const char *name)
{
    return strlen(name) == call->name.size &&
           strncasecmp(name, call->name.data, call->name.size) == 0;
}

struct slice syntax_text(const struct query *query, const struct syntax *syntax)
{
    assert(syntax->begin <= syntax->end && syntax->end <= query->text.size);
    return cut(slice_from(query->text.data + syntax->begin, syntax->end - syntax->begin));
}
