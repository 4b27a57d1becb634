#include "cluster/query/syntax.h"

#include "cluster/query/grammar.h"

#include <assert.h>
#include <ctype.h>
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

static void print_name(struct slice name, struct buffer *buffer)
{
    bool is_plain = name.size > 0 && !isdigit((unsigned char)name.data[0]);
    for (size_t i = 0; i < name.size; i++) {
        is_plain = is_plain && (isalnum((unsigned char)name.data[i]) || name.data[i] == '_');
    }
    if (!is_plain) buffer_append_byte(buffer, '[');
    buffer_append_slice(buffer, name);
    if (!is_plain) buffer_append_byte(buffer, ']');
}

static void print_string(struct slice string, struct buffer *buffer)
{
    buffer_append_byte(buffer, '"');
    for (size_t i = 0; i < string.size; i++) {
        unsigned char byte = (unsigned char)string.data[i];
        if (byte == '"' || byte == '\\') {
            buffer_print(buffer, "\\%c", byte);
        } else if (byte < 0x20 || byte >= 0x7f) {
            buffer_print(buffer, "\\x%02x", byte);
        } else {
            buffer_append_byte(buffer, byte);
        }
    }
    buffer_append_byte(buffer, '"');
}

static void print_double(double number, struct buffer *buffer)
{
    char text[64];
    snprintf(text, sizeof text, "%.17g", number);
    for (int precision = 6; precision < 17; precision++) {
        char shorter[64];
        snprintf(shorter, sizeof shorter, "%.*g", precision, number);
        if (strtod(shorter, NULL) == number) {
            memcpy(text, shorter, sizeof text);
            break;
        }
    }
    buffer_append_text(buffer, text);
    if (!strpbrk(text, ".ein")) buffer_append_text(buffer, ".0");
}

void syntax_print_value(const struct value *literal, struct buffer *buffer)
{
    switch ((enum value_type)literal->type) {
    case VALUE_NULL: buffer_append_text(buffer, "null"); break;
    case VALUE_INT64: buffer_print(buffer, "%" PRId64, literal->int64); break;
    case VALUE_UINT64: buffer_print(buffer, "%" PRIu64 "u", literal->uint64); break;
    case VALUE_DOUBLE: print_double(literal->real, buffer); break;
    case VALUE_BOOLEAN: buffer_append_text(buffer, literal->boolean ? "true" : "false"); break;
    case VALUE_STRING:
    case VALUE_ANY: print_string(value_slice(literal), buffer); break;
    }
}

static const char *operator_text(enum syntax_operator operation)
{
    switch (operation) {
    case OPERATOR_ADD:
    case OPERATOR_PLUS: return "+";
    case OPERATOR_SUBTRACT:
    case OPERATOR_MINUS: return "-";
    case OPERATOR_MULTIPLY: return "*";
    case OPERATOR_DIVIDE: return "/";
    case OPERATOR_MODULO: return "%";
    case OPERATOR_BIT_AND: return "&";
    case OPERATOR_BIT_OR: return "|";
    case OPERATOR_BIT_XOR: return "^";
    case OPERATOR_SHIFT_LEFT: return "<<";
    case OPERATOR_SHIFT_RIGHT: return ">>";
    case OPERATOR_EQUAL: return "=";
    case OPERATOR_NOT_EQUAL: return "!=";
    case OPERATOR_LESS: return "<";
    case OPERATOR_LESS_OR_EQUAL: return "<=";
    case OPERATOR_GREATER: return ">";
    case OPERATOR_GREATER_OR_EQUAL: return ">=";
    case OPERATOR_BIT_NOT: return "~";
    case OPERATOR_NOT: return "NOT ";
    }
    return "";
}

// Whether it is printed the same on its own and inside an operator.
static bool is_primary(const struct syntax *syntax)
{
    switch ((enum syntax_kind)syntax->kind) {
    case SYNTAX_LITERAL:
    case SYNTAX_REFERENCE:
    case SYNTAX_STAR:
    case SYNTAX_CALL:
    case SYNTAX_TUPLE:
    case SYNTAX_CAST:
    case SYNTAX_CASE: return true;
    case SYNTAX_ALIAS: return true; // It is printed as its name.
    case SYNTAX_UNARY:
    case SYNTAX_BINARY:
    case SYNTAX_AND:
    case SYNTAX_OR:
    case SYNTAX_IN:
    case SYNTAX_BETWEEN:
    case SYNTAX_LIKE:
    case SYNTAX_IS_NULL: return false;
    }
    return false;
}

static void print_operand(const struct syntax *syntax, struct buffer *buffer)
{
    if (!is_primary(syntax)) buffer_append_byte(buffer, '(');
    syntax_print(syntax, buffer);
    if (!is_primary(syntax)) buffer_append_byte(buffer, ')');
}

static void print_items(
    const struct syntax *syntax, uint32_t begin, const char *separator, struct buffer *buffer)
{
    for (uint32_t i = begin; i < syntax->count; i++) {
        if (i > begin) buffer_append_text(buffer, separator);
        print_operand(syntax->items[i], buffer);
    }
}

static void print_list(const struct syntax *syntax, struct buffer *buffer)
{
    buffer_append_byte(buffer, '(');
    for (uint32_t i = 0; i < syntax->count; i++) {
        if (i > 0) buffer_append_text(buffer, ", ");
        syntax_print(syntax->items[i], buffer);
    }
    buffer_append_byte(buffer, ')');
}

static void print_between(const struct syntax *syntax, struct buffer *buffer)
{
    bool is_list = syntax->count > 3;
    print_operand(syntax->items[0], buffer);
    buffer_print(buffer, "%s BETWEEN %s", syntax->is_negated ? " NOT" : "", is_list ? "(" : "");
    for (uint32_t i = 1; i < syntax->count; i++) {
        if (i > 1) buffer_append_text(buffer, i % 2 == 0 ? " AND " : ", ");
        print_operand(syntax->items[i], buffer);
    }
    if (is_list) buffer_append_byte(buffer, ')');
}

static void print_case(const struct syntax *syntax, struct buffer *buffer)
{
    buffer_append_text(buffer, "CASE");
    for (uint32_t i = 0; i < syntax->count; i++) {
        uint32_t part = i - syntax->has_operand;
        bool is_operand = i == 0 && syntax->has_operand;
        bool is_last = i + 1 == syntax->count;
        if (!is_operand) {
            buffer_append_text(buffer, part % 2 == 1 ? " THEN" : is_last ? " ELSE" : " WHEN");
        }
        buffer_append_byte(buffer, ' ');
        print_operand(syntax->items[i], buffer);
    }
    buffer_append_text(buffer, " END");
}

void syntax_print(const struct syntax *syntax, struct buffer *buffer)
{
    const char *negation = syntax->is_negated ? " NOT" : "";
    switch ((enum syntax_kind)syntax->kind) {
    case SYNTAX_LITERAL: syntax_print_value(&syntax->literal, buffer); break;
    case SYNTAX_REFERENCE:
        if (syntax->table.size > 0) {
            print_name(syntax->table, buffer);
            buffer_append_byte(buffer, '.');
        }
        print_name(syntax->name, buffer);
        break;
    case SYNTAX_STAR: buffer_append_byte(buffer, '*'); break;
    case SYNTAX_UNARY:
        buffer_append_text(buffer, operator_text(syntax->operation));
        print_operand(syntax->items[0], buffer);
        break;
    case SYNTAX_BINARY:
        print_operand(syntax->items[0], buffer);
        buffer_print(buffer, " %s ", operator_text(syntax->operation));
        print_operand(syntax->items[1], buffer);
        break;
    case SYNTAX_AND: print_items(syntax, 0, " AND ", buffer); break;
    case SYNTAX_OR: print_items(syntax, 0, " OR ", buffer); break;
    case SYNTAX_CALL:
        buffer_append_slice(buffer, syntax->name);
        print_list(syntax, buffer);
        break;
    case SYNTAX_TUPLE: print_list(syntax, buffer); break;
    case SYNTAX_IN:
        print_operand(syntax->items[0], buffer);
        buffer_print(buffer, "%s IN ", negation);
        print_list(syntax->items[1], buffer);
        break;
    case SYNTAX_BETWEEN: print_between(syntax, buffer); break;
    case SYNTAX_LIKE:
        print_operand(syntax->items[0], buffer);
        buffer_print(
            buffer,
            "%s %s ",
            negation,
            syntax->is_regex       ? "RLIKE"
            : syntax->ignores_case ? "ILIKE"
                                   : "LIKE");
        print_items(syntax, 1, " ESCAPE ", buffer);
        break;
    case SYNTAX_IS_NULL:
        print_operand(syntax->items[0], buffer);
        buffer_print(buffer, " IS%s NULL", negation);
        break;
    case SYNTAX_ALIAS: print_name(syntax->name, buffer); break;
    case SYNTAX_CAST:
        buffer_append_text(buffer, "CAST(");
        syntax_print(syntax->items[0], buffer);
        buffer_print(buffer, " AS %.*s)", SLICE(syntax->name));
        break;
    case SYNTAX_CASE: print_case(syntax, buffer); break;
    }
}
