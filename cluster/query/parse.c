// query_parse: feeds the tokens of the lexer to the parser that lemon makes of grammar.y.
#include "cluster/query/grammar.h"
#include "cluster/query/lexer.h"
#include "cluster/query/placeholders.h"
#include "cluster/query/query.h"
#include "cluster/query/syntax.h"

#include <strings.h>

// What lemon generates.
void *grammar_Alloc(void *(*allocate)(size_t size));
void grammar_Free(void *grammar, void (*deallocate)(void *memory));
void grammar_(void *grammar, int kind, struct token token, struct parser *parser);

static void *allocate(size_t size)
{
    return must_alloc(malloc(size));
}

// BETWEEN is followed by two bounds, or by a list of ranges, `(1 AND 2, 3 AND 4)`: then there is an
// AND right inside of the parenthesis, which bounds cannot have. Looking that far ahead costs no
// more than the text is long, since neither form has another BETWEEN inside.
static bool is_range_list(struct lexer lexer)
{
    int depth = 0;
    do {
        struct token token = lexer_next(&lexer);
        switch (token.kind) {
        case TOKEN_LEFT_PARENTHESIS: depth++; break;
        case TOKEN_RIGHT_PARENTHESIS: depth--; break;
        case TOKEN_AND:
            if (depth == 1) return true;
            break;
        case TOKEN_BETWEEN:
        case LEXER_END:
        case LEXER_MISTAKE: return false;
        default: break;
        }
    } while (depth > 0);
    return false;
}

// Whether a name is the CAST of `cast(x as type)`, rather than a column of that name.
static bool is_cast(struct token name, struct lexer lexer)
{
    return name.text.size == 4 && strncasecmp(name.text.data, "cast", 4) == 0 &&
           lexer_next(&lexer).kind == TOKEN_LEFT_PARENTHESIS;
}

static struct error *parse(struct parser *parser)
{
    struct slice text = parser->query->text;
    struct lexer lexer = {text.data, text.data + text.size};
    void *grammar = grammar_Alloc(allocate);
    while (!parser->error) {
        struct token token = lexer_next(&lexer);
        if (token.kind == LEXER_MISTAKE || token.kind == LEXER_PLACEHOLDER) {
            parser_fail_at_token(parser, token);
            break;
        }
        if (token.kind == TOKEN_BETWEEN && is_range_list(lexer)) token.kind = TOKEN_BETWEEN_RANGES;
        if (token.kind == TOKEN_NAME && is_cast(token, lexer)) token.kind = TOKEN_CAST;
        // The end has no place of its own in the grammar, but one in messages.
        grammar_(grammar, token.kind, token, parser);
        if (token.kind == LEXER_END) break;
    }
    grammar_Free(grammar, free);
    return parser->error;
}

static struct error *check_size(size_t size)
{
    if (size <= QUERY_TEXT_SIZE_MAX) return NULL;
    return error_set_u64(
        error_new(ERROR_GENERIC, "Query is too long: %zu bytes", size),
        "limit",
        QUERY_TEXT_SIZE_MAX);
}

// Lists the tables of a query and its subqueries, and counts them.
static struct error *collect_paths(struct query *root, struct query *query)
{
    uint32_t before = root == query ? 0 : root->source_count;
    for (uint32_t i = 0; i < query->table_count; i++) {
        const struct syntax_table *table = &query->tables[i];
        if (table->subquery) {
            TRY(collect_paths(root, table->subquery));
            continue;
        }
        if (table->arrays.count > 0) continue;
        if (root->source_count == QUERY_TABLE_COUNT_MAX) {
            return error_set_u64(
                error_new(ERROR_GENERIC, "Too many tables in query"),
                "limit",
                QUERY_TABLE_COUNT_MAX);
        }
        root->may_be_stale[root->source_count] = table->may_be_stale;
        root->paths[root->source_count++] = table->path;
    }
    query->source_count = root->source_count - before;
    return NULL;
}

struct error *query_parse(
    struct arena *arena,
    struct slice text,
    const struct node *placeholders,
    struct query **ret_query)
{
    TRY(check_size(text.size));
    struct query *query = ARENA_NEW(arena, struct query, 1);
    TRY(placeholders_fill(arena, arena_copy(arena, text), placeholders, &query->text));
    TRY(check_size(query->text.size));
    struct parser parser = {.arena = arena, .query = query};
    TRY(parse(&parser));
    TRY(collect_paths(query, query));
    *ret_query = query;
    return NULL;
}

struct slice query_text(const struct query *query)
{
    return query->text;
}

bool query_table_may_be_stale(const struct query *query, size_t index)
{
    assert(index < query->source_count);
    return query->may_be_stale[index];
}

const struct slice *query_tables(const struct query *query, size_t *ret_count)
{
    *ret_count = query->source_count;
    return query->paths;
}
