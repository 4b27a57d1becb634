// The tree of a query as it was written: names are not resolved and nothing has a type yet.
//
// grammar.y calls the functions below from its actions. They never fail visibly: the first mistake
// is kept in the parser, what they return is still a tree, and the parser is not fed any further.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "cluster/query/query.h"
#include "model/value.h"

enum syntax_kind {
    SYNTAX_LITERAL,
    SYNTAX_REFERENCE, // `name` or `table.name`.
    SYNTAX_STAR,      // The argument of count(*).
    SYNTAX_UNARY,     // One item.
    SYNTAX_BINARY,    // Two items.
    SYNTAX_AND,       // Two items or more.
    SYNTAX_OR,        // Two items or more.
    SYNTAX_CALL,      // `name` and the arguments as items.
    SYNTAX_TUPLE,     // Two items or more.
    SYNTAX_IN,        // The operand, then what it may be equal to.
    SYNTAX_BETWEEN,   // The operand, then lower and upper bounds by turns.
    SYNTAX_LIKE,      // The text, the pattern, and the escape symbol if there is one.
    SYNTAX_IS_NULL,   // One item.
    SYNTAX_ALIAS,     // One item and its `name`.
    SYNTAX_CAST,      // One item and the `name` of a type.
    SYNTAX_CASE, // The operand if there is one, pairs of WHEN and THEN, and ELSE if there is one.
};

enum syntax_operator {
    OPERATOR_ADD,
    OPERATOR_SUBTRACT,
    OPERATOR_MULTIPLY,
    OPERATOR_DIVIDE,
    OPERATOR_MODULO,
    OPERATOR_BIT_AND,
    OPERATOR_BIT_OR,
    OPERATOR_BIT_XOR,
    OPERATOR_SHIFT_LEFT,
    OPERATOR_SHIFT_RIGHT,
    OPERATOR_EQUAL,
    OPERATOR_NOT_EQUAL,
    OPERATOR_LESS,
    OPERATOR_LESS_OR_EQUAL,
    OPERATOR_GREATER,
    OPERATOR_GREATER_OR_EQUAL,
    OPERATOR_PLUS,
    OPERATOR_MINUS,
    OPERATOR_BIT_NOT,
    OPERATOR_NOT,
};

struct syntax {
    uint8_t kind;         // enum syntax_kind.
    uint8_t operation;    // enum syntax_operator, of UNARY and BINARY.
    bool is_negated;      // NOT IN, NOT BETWEEN, NOT LIKE, IS NOT NULL.
    bool ignores_case;    // ILIKE.
    bool is_regex;        // RLIKE, alias REGEXP.
    bool has_operand;     // CASE.
    bool is_out_of_range; // An integer literal that only a minus in front of it would make right.
    uint16_t depth;       // 1 for a leaf.
    uint32_t begin;       // The text it stands for: [begin, end), in bytes.
    uint32_t end;
    struct slice name;
    union {
        struct value literal;
        struct slice table; // Of a REFERENCE; empty if it is not qualified.
        struct {
            struct syntax **items;
            uint32_t count;
            uint32_t capacity;
        };
    };
};

struct syntax_list {
    struct syntax **items;
    uint32_t count;
    uint32_t capacity;
};

struct syntax_order {
    struct syntax *expression;
    bool is_descending;
};

// A table of `from` or of a `join`.
struct syntax_table {
    struct slice path;
    struct slice alias;     // Empty if there is none.
    uint32_t offset;        // Of the path.
    bool may_be_stale;      // By hint: a replica that is behind will do.
    struct query *subquery; // Instead of a path; NULL if there is none. Only of `from`.
    bool is_left;           // LEFT JOIN.
    // Of a join: the columns of `using`, as references, or the condition of `on`.
    struct syntax_list using_columns;
    struct syntax *condition;  // With `using`: what follows AND. NULL if there is none.
    struct syntax_list arrays; // Of an ARRAY JOIN, which has no path: ALIAS nodes.
};

struct query {
    struct slice text;
    struct query *outer;   // Of a subquery.
    uint32_t nesting;      // 0 of a query that is no subquery.
    uint32_t source_count; // Tables of this query and its subqueries.
    struct syntax_table tables[QUERY_TABLE_COUNT_MAX];
    uint32_t table_count;
    bool selects_all; // `*`.
    struct syntax_list select;
    struct syntax *where; // NULL if there is none; so is `having`.
    struct syntax_list group;
    enum totals_mode totals;
    struct syntax *having;
    struct syntax_order *order;
    uint32_t order_count;
    bool has_offset;
    bool has_limit;
    uint64_t offset;
    uint64_t limit;
    struct syntax_list aliases; // Every ALIAS of the query, without those of subqueries.
    uint32_t order_capacity;
    // The paths of all tables, those of subqueries among them; only of the outermost query.
    struct slice paths[QUERY_TABLE_COUNT_MAX];
    bool may_be_stale[QUERY_TABLE_COUNT_MAX]; // The same of their hints.
};

// Whether a call is of a function; names of functions are not case-sensitive.
bool syntax_is_name(const struct syntax *call, const char *name);

// What the parser knows while it is fed tokens.
struct parser {
    struct arena *arena;
    struct query *query; // The innermost one that is being read.
    struct error *error; // The first one.
};

// Text of a token, borrowed from the query's copy.
struct token {
    struct slice text;
    int kind; // A number of grammar.h.
};

// Keep an error if it is the first, with the place where it is as attribute `offset`.
void parser_fail_at_token(struct parser *parser, struct token token); // "Unexpected …"
void parser_refuse(
    struct parser *parser, struct token token, const char *what); // "… not supported"
void parser_fail_depth(struct parser *parser);

struct syntax *syntax_integer(struct parser *parser, struct token token);
struct syntax *syntax_unsigned(struct parser *parser, struct token token);
struct syntax *syntax_double(struct parser *parser, struct token token);
struct syntax *syntax_string(struct parser *parser, struct token token);
struct syntax *syntax_boolean(struct parser *parser, struct token token, bool boolean);
struct syntax *syntax_null(struct parser *parser, struct token token);
struct syntax *syntax_infinity(struct parser *parser, struct token token);
struct syntax *syntax_star(struct parser *parser, struct token token);

// A token that names something: an identifier, or quoted in brackets or backticks.
struct slice syntax_name(struct parser *parser, struct token token);

// `table` has kind 0 if the name is not qualified.
struct syntax *syntax_reference(struct parser *parser, struct token table, struct token name);
struct syntax *syntax_unary(
    struct parser *parser, enum syntax_operator operation, struct token token, struct syntax *item);
struct syntax *syntax_binary(
    struct parser *parser,
    enum syntax_operator operation,
    struct syntax *left,
    struct syntax *right);
struct syntax *syntax_concatenate( // A call of concat.
    struct parser *parser,
    struct syntax *left,
    struct syntax *right);
struct syntax *syntax_logical(
    struct parser *parser, enum syntax_kind kind, struct syntax *left, struct syntax *right);
struct syntax *syntax_cast(
    struct parser *parser,
    struct token begin,
    struct syntax *item,
    struct token type,
    struct token end);
struct syntax *syntax_call(
    struct parser *parser, struct token name, struct syntax_list arguments, struct token end);

// One item stands for itself, several for a tuple.
struct syntax *syntax_parentheses(
    struct parser *parser, struct token begin, struct syntax_list items, struct token end);
struct syntax *syntax_in(
    struct parser *parser,
    struct syntax *operand,
    bool is_negated,
    struct syntax_list items,
    struct token end);
struct syntax *syntax_between(
    struct parser *parser,
    struct syntax *operand,
    bool is_negated,
    struct syntax *lower,
    struct syntax *upper);
// `x BETWEEN (1 AND 2, 3 AND 4)`: each of the ranges has been read as a conjunction of two bounds.
struct syntax *syntax_between_ranges(
    struct parser *parser,
    struct syntax *operand,
    bool is_negated,
    struct syntax_list ranges,
    struct token end);

// `operand` and `otherwise` may be NULL.
struct syntax *syntax_case(
    struct parser *parser,
    struct token begin,
    struct syntax *operand,
    struct syntax_list parts,
    struct syntax *otherwise,
    struct token end);
struct syntax *syntax_like(
    struct parser *parser,
    struct syntax *text,
    struct token like, // TOKEN_LIKE or another operator of this kind.
    bool is_negated,
    struct syntax *pattern,
    struct syntax *escape);
struct syntax *syntax_is_null(
    struct parser *parser, struct syntax *item, bool is_negated, struct token end);
struct syntax *syntax_alias(struct parser *parser, struct syntax *item, struct token name);

struct syntax_list syntax_list_add(
    struct parser *parser, struct syntax_list list, struct syntax *item);

// Clauses.
void syntax_set_totals(struct parser *parser, enum totals_mode mode, struct token with);
struct syntax_table *syntax_table_add(struct parser *parser, struct token path, struct token alias);
void syntax_set_hint(struct parser *parser, struct syntax_table *table, struct token hint);
struct syntax *syntax_array(struct parser *parser, struct syntax *item, struct token name);
void syntax_arrays_add(
    struct parser *parser,
    struct token array,
    bool is_left,
    struct syntax_list arrays,
    struct syntax *condition);
void syntax_subquery_begin(struct parser *parser, struct token begin);
struct syntax_table *syntax_subquery_end(
    struct parser *parser, struct token begin, struct token alias);
void syntax_order_add(struct parser *parser, struct syntax *expression, bool is_descending);
void syntax_set_offset(struct parser *parser, struct token clause, struct token number);
void syntax_set_limit(struct parser *parser, struct token clause, struct token number);

// The text of a part of the query, as it was written, cut short where it is long; for messages.
struct slice syntax_text(const struct query *query, const struct syntax *syntax);

// A value as it is written in a query; those of type any, and NaN, cannot be.
void syntax_print_value(const struct value *value, struct buffer *buffer);

// The text of an expression in a standard form; it names columns of the output without alias.
void syntax_print(const struct syntax *syntax, struct buffer *buffer);
