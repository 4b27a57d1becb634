// Cuts the text of a query into tokens; generated from lexer.re.
#pragma once

#include "cluster/query/syntax.h"

struct lexer {
    const char *cursor;
    const char *end; // Followed by a NUL that does not count.
};

enum { LEXER_END = 0, LEXER_MISTAKE = -1, LEXER_PLACEHOLDER = -2 };

// Takes the next token off the text. `kind` is a number of grammar.h; LEXER_END at the end,
// LEXER_PLACEHOLDER for {name}, and LEXER_MISTAKE for bytes that begin no token, or a string or
// quoted name that does not end.
struct token lexer_next(struct lexer *lexer);
