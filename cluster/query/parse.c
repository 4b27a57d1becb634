// query_parse: feeds the tokens of the lexer to the parser that lemon makes of grammar.y.
#include "cluster/query/lexer.h"
#include "cluster/query/query.h"
#include "cluster/query/syntax.h"

// What lemon generates.
void *grammar_Alloc(void *(*allocate)(size_t size));
void grammar_Free(void *grammar, void (*deallocate)(void *memory));
void grammar_(void *grammar, int kind, struct token token, struct parser *parser);

static void *allocate(size_t size)
{
    return must_alloc(malloc(size));
}

struct error *query_parse(struct arena *arena, struct slice text, struct query **ret_query)
{
    if (text.size > QUERY_TEXT_SIZE_MAX) {
        return error_set_u64(
            error_new(ERROR_GENERIC, "Query is too long: %zu bytes", text.size),
            "limit",
            QUERY_TEXT_SIZE_MAX);
    }
    struct query *query = ARENA_NEW(arena, struct query, 1);
    query->text = arena_copy(arena, text);

    struct parser parser = {.arena = arena, .query = query};
    struct lexer lexer = {query->text.data, query->text.data + query->text.size};
    void *grammar = grammar_Alloc(allocate);
    while (!parser.error) {
        struct token token = lexer_next(&lexer);
        if (token.kind == LEXER_MISTAKE) {
            parser_fail_at_token(&parser, token);
            break;
        }
        // The end has no place of its own in the grammar, but one in messages.
        grammar_(grammar, token.kind, token, &parser);
        if (token.kind == LEXER_END) break;
    }
    grammar_Free(grammar, free);

    if (parser.error) return parser.error;
    *ret_query = query;
    return NULL;
}

const struct slice *query_tables(const struct query *query, size_t *ret_count)
{
    *ret_count = query->table_count;
    return query->paths;
}
