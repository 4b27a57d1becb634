#include "model/text_parser.h"

#include "model/yson.h"

#include <inttypes.h>

struct text_parser text_parser_from(const char *language, struct arena *arena, struct slice text)
{
    const char *begin = text.data ? text.data : "";
    return (struct text_parser){
        .language = language,
        .arena = arena,
        .begin = begin,
        .at = begin,
        .end = begin + text.size,
    };
}

struct slice text_parser_rest(const struct text_parser *parser)
{
    return slice_from(parser->at, (size_t)(parser->end - parser->at));
}

struct error *text_parser_fail(const struct text_parser *parser, const char *format, ...)
{
    char text[128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t offset = (size_t)(parser->at - parser->begin);
    struct error *error = error_new(
        ERROR_GENERIC, "Error parsing %s: %s at offset %zu", parser->language, text, offset);
    return error_set_u64(error, "offset", offset);
}

struct error *text_parser_fail_unexpected(const struct text_parser *parser, const char *expected)
{
    if (parser->at == parser->end) {
        return text_parser_fail(parser, "expected %s but found the end of the text", expected);
    }
    unsigned char c = (unsigned char)*parser->at;
    bool is_shown = c >= 0x20 && c < 0x7f;
    return is_shown ? text_parser_fail(parser, "expected %s but found \"%c\"", expected, c)
                    : text_parser_fail(parser, "expected %s but found byte 0x%02x", expected, c);
}

struct error *text_parser_fail_long_string(const struct text_parser *parser)
{
    return error_wrap(
        text_parser_fail(parser, "too long string"),
        ERROR_STRING_LENGTH_LIMIT_EXCEEDED,
        "String is too long: the limit is %" PRIu64 " bytes",
        YSON_STRING_SIZE_MAX);
}

struct error *text_parser_count_node(struct text_parser *parser)
{
    if (++parser->node_count <= YSON_NODE_COUNT_MAX) return NULL;
    return text_parser_fail(parser, "more than %" PRIu64 " nodes", YSON_NODE_COUNT_MAX);
}

struct error *text_parser_enter(struct text_parser *parser)
{
    if (parser->depth == YSON_DEPTH_MAX) {
        return text_parser_fail(parser, "nesting is deeper than %d", YSON_DEPTH_MAX);
    }
    parser->depth++;
    parser->at++; // The opening bracket.
    return NULL;
}
