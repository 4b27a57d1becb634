// The tokens of the query language.
#include "cluster/query/lexer.h"

#include "cluster/query/grammar.h"

// A name in brackets may contain brackets, as long as they match: [[d]] is the column [d].
static const char *skip_brackets(const char *cursor, const char *end)
{
    int depth = 1;
    for (; cursor < end; cursor++) {
        if (*cursor == '[') depth++;
        if (*cursor == ']' && --depth == 0) return cursor + 1;
    }
    return NULL;
}

struct token lexer_next(struct lexer *lexer)
{
    const char *YYCURSOR = lexer->cursor;
    const char *YYLIMIT = lexer->end;
    const char *YYMARKER;
    const char *begin;
    int kind;

again:
    begin = YYCURSOR;
    /*!re2c
        re2c:define:YYCTYPE = "unsigned char";
        re2c:yyfill:enable = 0;
        re2c:eof = 0;

        space = [ \t\r\n\f\v];
        letter = [a-zA-Z_];
        name = letter [a-zA-Z_0-9]*;
        digits = [0-9]+;
        exponent = [eE] [+-]? digits;

        space+          { goto again; }
        "--" [^\n]*     { goto again; }

        'select'        { kind = TOKEN_SELECT; goto done; }
        'from'          { kind = TOKEN_FROM; goto done; }
        'where'         { kind = TOKEN_WHERE; goto done; }
        'group'         { kind = TOKEN_GROUP; goto done; }
        'by'            { kind = TOKEN_BY; goto done; }
        'having'        { kind = TOKEN_HAVING; goto done; }
        'order'         { kind = TOKEN_ORDER; goto done; }
        'asc'           { kind = TOKEN_ASC; goto done; }
        'desc'          { kind = TOKEN_DESC; goto done; }
        'offset'        { kind = TOKEN_OFFSET; goto done; }
        'limit'         { kind = TOKEN_LIMIT; goto done; }
        'join'          { kind = TOKEN_JOIN; goto done; }
        'left'          { kind = TOKEN_LEFT; goto done; }
        'using'         { kind = TOKEN_USING; goto done; }
        'on'            { kind = TOKEN_ON; goto done; }
        'with'          { kind = TOKEN_WITH; goto done; }
        'as'            { kind = TOKEN_AS; goto done; }
        'and'           { kind = TOKEN_AND; goto done; }
        'or'            { kind = TOKEN_OR; goto done; }
        'not'           { kind = TOKEN_NOT; goto done; }
        'in'            { kind = TOKEN_IN; goto done; }
        'is'            { kind = TOKEN_IS; goto done; }
        'between'       { kind = TOKEN_BETWEEN; goto done; }
        'like'          { kind = TOKEN_LIKE; goto done; }
        'ilike'         { kind = TOKEN_ILIKE; goto done; }
        'rlike'         { kind = TOKEN_RLIKE; goto done; }
        'regexp'        { kind = TOKEN_REGEXP; goto done; }
        'escape'        { kind = TOKEN_ESCAPE; goto done; }
        'case'          { kind = TOKEN_CASE; goto done; }
        'when'          { kind = TOKEN_WHEN; goto done; }
        'then'          { kind = TOKEN_THEN; goto done; }
        'else'          { kind = TOKEN_ELSE; goto done; }
        'end'           { kind = TOKEN_END; goto done; }
        'inf'           { kind = TOKEN_INF; goto done; }
        'totals'        { kind = TOKEN_TOTALS; goto done; }
        'index'         { kind = TOKEN_INDEX; goto done; }
        'hint'          { kind = TOKEN_HINT; goto done; }
        'array'         { kind = TOKEN_ARRAY; goto done; }
        'null'          { kind = TOKEN_NULL; goto done; }
        "#"             { kind = TOKEN_NULL; goto done; }
        "%"? 'true'     { kind = TOKEN_TRUE; goto done; }
        "%"? 'false'    { kind = TOKEN_FALSE; goto done; }

        // `a %trueish` is a remainder: longer than the literal, it is given back but for the sign.
        "%" name        { YYCURSOR = begin + 1; kind = TOKEN_PERCENT; goto done; }
        name            { kind = TOKEN_NAME; goto done; }

        digits          { kind = TOKEN_INTEGER; goto done; }
        digits 'u'      { kind = TOKEN_UNSIGNED; goto done; }
        digits "." [0-9]* exponent?   { kind = TOKEN_DOUBLE; goto done; }
        "." digits exponent?          { kind = TOKEN_DOUBLE; goto done; }
        digits exponent               { kind = TOKEN_DOUBLE; goto done; }
        digits [a-zA-Z_0-9]+          { kind = LEXER_MISTAKE; goto done; }

        ["] ([^"\\] | "\\" [^])* ["]  { kind = TOKEN_STRING; goto done; }
        ['] ([^'\\] | "\\" [^])* [']  { kind = TOKEN_STRING; goto done; }
        "`" ([^`\\] | "\\" [^])* "`"  { kind = TOKEN_QUOTED; goto done; }

        "["
        {
            const char *end = skip_brackets(YYCURSOR, YYLIMIT);
            if (end) YYCURSOR = end;
            kind = end ? TOKEN_QUOTED : LEXER_MISTAKE;
            goto done;
        }

        "{" name "}"    { kind = LEXER_PLACEHOLDER; goto done; }

        "("             { kind = TOKEN_LEFT_PARENTHESIS; goto done; }
        ")"             { kind = TOKEN_RIGHT_PARENTHESIS; goto done; }
        ","             { kind = TOKEN_COMMA; goto done; }
        "."             { kind = TOKEN_DOT; goto done; }
        "+"             { kind = TOKEN_PLUS; goto done; }
        "-"             { kind = TOKEN_MINUS; goto done; }
        "*"             { kind = TOKEN_STAR; goto done; }
        "/"             { kind = TOKEN_SLASH; goto done; }
        "%"             { kind = TOKEN_PERCENT; goto done; }
        "&"             { kind = TOKEN_AMPERSAND; goto done; }
        "|"             { kind = TOKEN_BAR; goto done; }
        "||"            { kind = TOKEN_CONCATENATE; goto done; }
        "^"             { kind = TOKEN_CARET; goto done; }
        "~"             { kind = TOKEN_TILDE; goto done; }
        "<<"            { kind = TOKEN_SHIFT_LEFT; goto done; }
        ">>"            { kind = TOKEN_SHIFT_RIGHT; goto done; }
        "="             { kind = TOKEN_EQUAL; goto done; }
        "=="            { kind = TOKEN_EQUAL; goto done; }
        "!="            { kind = TOKEN_NOT_EQUAL; goto done; }
        "<>"            { kind = TOKEN_NOT_EQUAL; goto done; }
        "<"             { kind = TOKEN_LESS; goto done; }
        "<="            { kind = TOKEN_LESS_OR_EQUAL; goto done; }
        ">"             { kind = TOKEN_GREATER; goto done; }
        ">="            { kind = TOKEN_GREATER_OR_EQUAL; goto done; }

        $               { kind = LEXER_END; goto done; }
        *               { kind = LEXER_MISTAKE; goto done; }
    */

done:
    lexer->cursor = YYCURSOR;
    return (struct token){
        .text = slice_from(begin, (size_t)(YYCURSOR - begin)),
        .kind = kind,
    };
}
