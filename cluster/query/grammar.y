// The grammar of the query language. Actions only build the tree of syntax.h.
%name grammar_
%token_prefix TOKEN_
%token_type { struct token }
%extra_argument { struct parser *parser }
%default_type { struct syntax * }
%stack_size 1500

%include {
#include "cluster/query/syntax.h"

#include <assert.h>
#include <stddef.h>

static const struct token NO_TOKEN = {.kind = 0};
}

%syntax_error   { parser_fail_at_token(parser, TOKEN); }
%stack_overflow { parser_fail_depth(parser); }

// Words that mean something in one place only; elsewhere they are names.
%fallback NAME TOTALS THEN ELSE END INDEX HINT.

// From loose to tight.
%left OR.
%left AND.
%right NOT.
%left EQUAL NOT_EQUAL IS.
%left LESS LESS_OR_EQUAL GREATER GREATER_OR_EQUAL IN BETWEEN BETWEEN_RANGES LIKE ILIKE RLIKE REGEXP.
%nonassoc ESCAPE.
%left BAR.
%left CARET.
%left AMPERSAND.
%left SHIFT_LEFT SHIFT_RIGHT.
%left PLUS MINUS CONCATENATE.
%left STAR SLASH PERCENT.
%right TILDE.

query ::= body.
body ::= select FROM table joins where group order tail.

select ::= what.
select ::= SELECT what.
what ::= STAR.     { parser->query->selects_all = true; }
what ::= list(L).  { parser->query->select = L; }

%type table { struct syntax_table * }
table(T) ::= QUOTED(P) table_alias(A). { T = syntax_table_add(parser, P, A); }
table(T) ::= QUOTED(P) table_alias(A) WITH(W) INDEX.
{
    parser_refuse(parser, W, "WITH INDEX");
    T = syntax_table_add(parser, P, A);
}
table(T) ::= QUOTED(P) table_alias(A) WITH HINT STRING(H).
{
    T = syntax_table_add(parser, P, A);
    syntax_set_hint(parser, T, H);
}
table(T) ::= subquery(B) body RIGHT_PARENTHESIS table_alias(A).
{
    T = syntax_subquery_end(parser, B, A);
}
// What comes now belongs to the inner query.
%type subquery { struct token }
subquery(B) ::= LEFT_PARENTHESIS(P).
{
    syntax_subquery_begin(parser, P);
    B = P;
}

%type table_alias { struct token }
table_alias(A) ::= .            { A = NO_TOKEN; }
table_alias(A) ::= AS name(N).  { A = N; }
table_alias(A) ::= NAME(N).     { A = N; }

joins ::= .
joins ::= joins join_kind(K) table(T) USING using(L) join_condition(C).
{
    T->is_left = K;
    T->using_columns = L;
    T->condition = C;
}
joins ::= joins join_kind(K) table(T) ON expression(C).
{
    T->is_left = K;
    T->condition = C;
}
joins ::= joins ARRAY(A) JOIN arrays(L) join_condition(C).
{
    syntax_arrays_add(parser, A, false, L, C);
}
joins ::= joins LEFT ARRAY(A) JOIN arrays(L) join_condition(C).
{
    syntax_arrays_add(parser, A, true, L, C);
}
// Their names are columns, not aliases, and must be there: so AND cannot be taken for a part.
%type arrays { struct syntax_list }
arrays(L) ::= expression(X) AS name(N).
{
    L = syntax_list_add(parser, (struct syntax_list){0}, syntax_array(parser, X, N));
}
arrays(L) ::= arrays(K) COMMA expression(X) AS name(N).
{
    L = syntax_list_add(parser, K, syntax_array(parser, X, N));
}
%type join_kind { bool }
join_kind(K) ::= JOIN.       { K = false; }
join_kind(K) ::= LEFT JOIN.  { K = true; }
%type using { struct syntax_list }
using(L) ::= name(N).
{
    L = syntax_list_add(parser, (struct syntax_list){0}, syntax_reference(parser, NO_TOKEN, N));
}
using(L) ::= using(K) COMMA name(N).
{
    L = syntax_list_add(parser, K, syntax_reference(parser, NO_TOKEN, N));
}
join_condition(C) ::= .                   { C = NULL; }
join_condition(C) ::= AND expression(E).  { C = E; }

where ::= .
where ::= WHERE item(E).  { parser->query->where = E; }

group ::= .
group ::= having.  // What is missing is said later.
group ::= GROUP BY list(L) group_tail.  { parser->query->group = L; }
group_tail ::= .
group_tail ::= totals(W).         { syntax_set_totals(parser, TOTALS_BEFORE_HAVING, W); }
group_tail ::= having.
group_tail ::= totals(W) having.  { syntax_set_totals(parser, TOTALS_BEFORE_HAVING, W); }
group_tail ::= having totals(W).  { syntax_set_totals(parser, TOTALS_AFTER_HAVING, W); }
%type totals { struct token }
totals(T) ::= WITH(W) TOTALS.  { T = W; }
having ::= HAVING item(E).     { parser->query->having = E; }

order ::= .
order ::= ORDER BY order_list.
order_list ::= order_item.
order_list ::= order_list COMMA order_item.
order_item ::= item(E).       { syntax_order_add(parser, E, false); }
order_item ::= item(E) ASC.   { syntax_order_add(parser, E, false); }
order_item ::= item(E) DESC.  { syntax_order_add(parser, E, true); }

tail ::= .
tail ::= tail OFFSET(C) INTEGER(N).  { syntax_set_offset(parser, C, N); }
tail ::= tail LIMIT(C) INTEGER(N).   { syntax_set_limit(parser, C, N); }

%type list { struct syntax_list }
list(L) ::= item(E).                { L = syntax_list_add(parser, (struct syntax_list){0}, E); }
list(L) ::= list(K) COMMA item(E).  { L = syntax_list_add(parser, K, E); }

item(E) ::= expression(X).             { E = X; }
item(E) ::= expression(X) AS name(N).  { E = syntax_alias(parser, X, N); }

%type name { struct token }
name(N) ::= NAME(T).    { N = T; }
name(N) ::= QUOTED(T).  { N = T; }

expression(E) ::= INTEGER(T).   { E = syntax_integer(parser, T); }
expression(E) ::= UNSIGNED(T).  { E = syntax_unsigned(parser, T); }
expression(E) ::= DOUBLE(T).    { E = syntax_double(parser, T); }
expression(E) ::= STRING(T).    { E = syntax_string(parser, T); }
expression(E) ::= TRUE(T).      { E = syntax_boolean(parser, T, true); }
expression(E) ::= FALSE(T).     { E = syntax_boolean(parser, T, false); }
expression(E) ::= NULL(T).      { E = syntax_null(parser, T); }
expression(E) ::= INF(T).       { E = syntax_infinity(parser, T); }
expression(E) ::= CASE(B) when_list(L) case_else(Y) END(D).
{
    E = syntax_case(parser, B, NULL, L, Y, D);
}
expression(E) ::= CASE(B) expression(X) when_list(L) case_else(Y) END(D).
{
    E = syntax_case(parser, B, X, L, Y, D);
}
expression(E) ::= name(N).              { E = syntax_reference(parser, NO_TOKEN, N); }
expression(E) ::= name(T) DOT name(N).  { E = syntax_reference(parser, T, N); }

case_else(E) ::= .                    { E = NULL; }
case_else(E) ::= ELSE expression(X).  { E = X; }
%type when_list { struct syntax_list }
when_list(L) ::= WHEN expression(X) THEN expression(Y).
{
    L = syntax_list_add(parser, (struct syntax_list){0}, X);
    L = syntax_list_add(parser, L, Y);
}
when_list(L) ::= when_list(K) WHEN expression(X) THEN expression(Y).
{
    L = syntax_list_add(parser, K, X);
    L = syntax_list_add(parser, L, Y);
}

expression(E) ::= LEFT_PARENTHESIS(B) list(L) RIGHT_PARENTHESIS(D).
{
    E = syntax_parentheses(parser, B, L, D);
}
expression(E) ::= NAME(N) LEFT_PARENTHESIS RIGHT_PARENTHESIS(D).
{
    E = syntax_call(parser, N, (struct syntax_list){0}, D);
}
expression(E) ::= NAME(N) LEFT_PARENTHESIS list(L) RIGHT_PARENTHESIS(D).
{
    E = syntax_call(parser, N, L, D);
}
expression(E) ::= NAME(N) LEFT_PARENTHESIS STAR(S) RIGHT_PARENTHESIS(D).
{
    struct syntax *star = syntax_star(parser, S);
    E = syntax_call(parser, N, syntax_list_add(parser, (struct syntax_list){0}, star), D);
}

expression(E) ::= CAST(C) LEFT_PARENTHESIS expression(X) AS name(T) RIGHT_PARENTHESIS(D).
{
    E = syntax_cast(parser, C, X, T, D);
}

expression(E) ::= PLUS(T) expression(X). [TILDE]
{
    E = syntax_unary(parser, OPERATOR_PLUS, T, X);
}
expression(E) ::= MINUS(T) expression(X). [TILDE]
{
    E = syntax_unary(parser, OPERATOR_MINUS, T, X);
}
expression(E) ::= TILDE(T) expression(X).  { E = syntax_unary(parser, OPERATOR_BIT_NOT, T, X); }
expression(E) ::= NOT(T) expression(X).    { E = syntax_unary(parser, OPERATOR_NOT, T, X); }

expression(E) ::= expression(X) OR expression(Y).
{
    E = syntax_logical(parser, SYNTAX_OR, X, Y);
}
expression(E) ::= expression(X) AND expression(Y).
{
    E = syntax_logical(parser, SYNTAX_AND, X, Y);
}
expression(E) ::= expression(X) EQUAL expression(Y).
{
    E = syntax_binary(parser, OPERATOR_EQUAL, X, Y);
}
expression(E) ::= expression(X) NOT_EQUAL expression(Y).
{
    E = syntax_binary(parser, OPERATOR_NOT_EQUAL, X, Y);
}
expression(E) ::= expression(X) LESS expression(Y).
{
    E = syntax_binary(parser, OPERATOR_LESS, X, Y);
}
expression(E) ::= expression(X) LESS_OR_EQUAL expression(Y).
{
    E = syntax_binary(parser, OPERATOR_LESS_OR_EQUAL, X, Y);
}
expression(E) ::= expression(X) GREATER expression(Y).
{
    E = syntax_binary(parser, OPERATOR_GREATER, X, Y);
}
expression(E) ::= expression(X) GREATER_OR_EQUAL expression(Y).
{
    E = syntax_binary(parser, OPERATOR_GREATER_OR_EQUAL, X, Y);
}
expression(E) ::= expression(X) BAR expression(Y).
{
    E = syntax_binary(parser, OPERATOR_BIT_OR, X, Y);
}
expression(E) ::= expression(X) CARET expression(Y).
{
    E = syntax_binary(parser, OPERATOR_BIT_XOR, X, Y);
}
expression(E) ::= expression(X) AMPERSAND expression(Y).
{
    E = syntax_binary(parser, OPERATOR_BIT_AND, X, Y);
}
expression(E) ::= expression(X) SHIFT_LEFT expression(Y).
{
    E = syntax_binary(parser, OPERATOR_SHIFT_LEFT, X, Y);
}
expression(E) ::= expression(X) SHIFT_RIGHT expression(Y).
{
    E = syntax_binary(parser, OPERATOR_SHIFT_RIGHT, X, Y);
}
expression(E) ::= expression(X) PLUS expression(Y).
{
    E = syntax_binary(parser, OPERATOR_ADD, X, Y);
}
expression(E) ::= expression(X) MINUS expression(Y).
{
    E = syntax_binary(parser, OPERATOR_SUBTRACT, X, Y);
}
expression(E) ::= expression(X) CONCATENATE expression(Y).
{
    E = syntax_concatenate(parser, X, Y);
}
expression(E) ::= expression(X) STAR expression(Y).
{
    E = syntax_binary(parser, OPERATOR_MULTIPLY, X, Y);
}
expression(E) ::= expression(X) SLASH expression(Y).
{
    E = syntax_binary(parser, OPERATOR_DIVIDE, X, Y);
}
expression(E) ::= expression(X) PERCENT expression(Y).
{
    E = syntax_binary(parser, OPERATOR_MODULO, X, Y);
}

expression(E) ::= expression(X) IS NULL(T).      { E = syntax_is_null(parser, X, false, T); }
expression(E) ::= expression(X) IS NOT NULL(T).  { E = syntax_is_null(parser, X, true, T); }

expression(E) ::= expression(X) IN LEFT_PARENTHESIS list(L) RIGHT_PARENTHESIS(D).
{
    E = syntax_in(parser, X, false, L, D);
}
expression(E) ::= expression(X) NOT IN LEFT_PARENTHESIS list(L) RIGHT_PARENTHESIS(D). [IN]
{
    E = syntax_in(parser, X, true, L, D);
}
expression(E) ::= expression(X) BETWEEN expression(Y) AND expression(Z). [BETWEEN]
{
    E = syntax_between(parser, X, false, Y, Z);
}
expression(E) ::= expression(X) NOT BETWEEN expression(Y) AND expression(Z). [BETWEEN]
{
    E = syntax_between(parser, X, true, Y, Z);
}

expression(E) ::=
    expression(X) BETWEEN_RANGES LEFT_PARENTHESIS list(L) RIGHT_PARENTHESIS(D). [BETWEEN]
{
    E = syntax_between_ranges(parser, X, false, L, D);
}
expression(E) ::=
    expression(X) NOT BETWEEN_RANGES LEFT_PARENTHESIS list(L) RIGHT_PARENTHESIS(D). [BETWEEN]
{
    E = syntax_between_ranges(parser, X, true, L, D);
}

%type like { struct token }
like(L) ::= LIKE(T).    { L = T; }
like(L) ::= ILIKE(T).   { L = T; }
like(L) ::= RLIKE(T).   { L = T; }
like(L) ::= REGEXP(T).  { L = T; }
expression(E) ::= expression(X) like(L) expression(Y). [LIKE]
{
    E = syntax_like(parser, X, L, false, Y, NULL);
}
expression(E) ::= expression(X) NOT like(L) expression(Y). [LIKE]
{
    E = syntax_like(parser, X, L, true, Y, NULL);
}
expression(E) ::= expression(X) like(L) expression(Y) ESCAPE STRING(Z). [LIKE]
{
    E = syntax_like(parser, X, L, false, Y, syntax_string(parser, Z));
}
expression(E) ::= expression(X) NOT like(L) expression(Y) ESCAPE STRING(Z). [LIKE]
{
    E = syntax_like(parser, X, L, true, Y, syntax_string(parser, Z));
}
