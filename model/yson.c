#include "model/yson.h"

#include "base/coding.h"
#include "base/number.h"
#include "base/utf8.h"
#include "model/text_parser.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

enum { INDENT = 4 };

// The markers of binary YSON.
enum {
    MARKER_STRING = 0x01,
    MARKER_INT64 = 0x02,
    MARKER_DOUBLE = 0x03,
    MARKER_FALSE = 0x04,
    MARKER_TRUE = 0x05,
    MARKER_UINT64 = 0x06,
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_space(struct text_parser *parser)
{
    while (parser->at < parser->end && is_space(*parser->at)) parser->at++;
}

// The next character that is no white space, or -1 at the end.
static int peek(struct text_parser *parser)
{
    skip_space(parser);
    return parser->at < parser->end ? (unsigned char)*parser->at : -1;
}

static bool skip_char(struct text_parser *parser, char c)
{
    if (peek(parser) != (unsigned char)c) return false;
    parser->at++;
    return true;
}

static struct error *parse_varint(struct text_parser *parser, uint64_t *ret_number)
{
    struct reader reader = reader_from(text_parser_rest(parser));
    uint64_t number = get_varint(&reader);
    if (reader.is_broken) return text_parser_fail(parser, "malformed variable-width number");
    parser->at = reader.rest.data;
    *ret_number = number;
    return NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Takes at most `count_max` digits of base 16 or 8 off [*at, end); returns how many there were.
static int take_digits(const char **at, const char *end, int base, int count_max, uint32_t *number)
{
    int count = 0;
    *number = 0;
    for (; count < count_max && *at < end; count++, (*at)++) {
        int digit = hex_digit(**at);
        if (digit < 0 || digit >= base) break;
        *number = *number * (uint32_t)base + (uint32_t)digit;
    }
    return count;
}

// Reads what follows a backslash; writes at most UTF8_SIZE_MAX bytes and returns how many. The
// result is never longer than the escape. What is no escape stands for itself, as in YTsaurus.
static size_t unescape(const char **at, const char *end, char *bytes)
{
    char c = *(*at)++;
    uint32_t number = 0;
    switch (c) {
    case 'n': bytes[0] = '\n'; return 1;
    case 't': bytes[0] = '\t'; return 1;
    case 'r': bytes[0] = '\r'; return 1;
    case 'a': bytes[0] = '\a'; return 1;
    case 'b': bytes[0] = '\b'; return 1;
    case 'f': bytes[0] = '\f'; return 1;
    case 'v': bytes[0] = '\v'; return 1;
    case 'x':
        if (take_digits(at, end, 16, 2, &number) == 0) break;
        bytes[0] = (char)number;
        return 1;
    case 'u':
    case 'U': {
        const char *digits = *at;
        int count = c == 'u' ? 4 : 8;
        bool is_whole = take_digits(&digits, end, 16, count, &number) == count;
        if (!is_whole || number > 0x10ffff) break;
        *at = digits;
        return utf8_encode(number, bytes);
    }
    default:
        if (c < '0' || c > '7') break;
        (*at)--;
        take_digits(at, end, 8, c < '4' ? 3 : 2, &number); // At most \377, a byte.
        bytes[0] = (char)number;
        return 1;
    }
    bytes[0] = c;
    return 1;
}

static struct error *parse_quoted(struct text_parser *parser, struct slice *ret_string)
{
    const char *begin = parser->at + 1;
    const char *end = begin;
    bool has_escapes = false;
    while (end < parser->end && *end != '"') {
        bool is_escape = *end == '\\' && parser->end - end > 1;
        has_escapes = has_escapes || is_escape;
        end += is_escape ? 2 : 1;
    }
    if (end == parser->end) return text_parser_fail(parser, "unterminated string");
    if ((size_t)(end - begin) > YSON_STRING_SIZE_MAX) return text_parser_fail_long_string(parser);
    parser->at = end + 1;

    struct slice raw = slice_from(begin, (size_t)(end - begin));
    *ret_string = arena_copy(parser->arena, raw);
    if (!has_escapes) return NULL;
    char *to = (char *)ret_string->data;
    for (const char *at = begin; at < end;) {
        if (*at != '\\') {
            *to++ = *at++;
            continue;
        }
        at++;
        char bytes[UTF8_SIZE_MAX];
        size_t size = unescape(&at, end, bytes);
        memcpy(to, bytes, size);
        to += size;
    }
    *to = 0;
    ret_string->size = (size_t)(to - ret_string->data);
    return NULL;
}

static struct error *parse_binary_string(struct text_parser *parser, struct slice *ret_string)
{
    uint64_t number = 0;
    parser->at++;
    TRY(parse_varint(parser, &number));
    int64_t size = unzigzag(number);
    if (size < 0) return text_parser_fail(parser, "negative string length");
    if ((uint64_t)size > YSON_STRING_SIZE_MAX) return text_parser_fail_long_string(parser);
    if ((uint64_t)size > text_parser_rest(parser).size)
        return text_parser_fail(parser, "unterminated string");
    *ret_string = arena_copy(parser->arena, slice_from(parser->at, (size_t)size));
    parser->at += size;
    return NULL;
}

static bool begins_word(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool continues_word(int c)
{
    return begins_word(c) || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '%';
}

static struct error *parse_word(struct text_parser *parser, struct slice *ret_string)
{
    const char *begin = parser->at;
    while (parser->at < parser->end && continues_word(*parser->at)) parser->at++;
    struct slice word = slice_from(begin, (size_t)(parser->at - begin));
    if (word.size > YSON_STRING_SIZE_MAX) return text_parser_fail_long_string(parser);
    *ret_string = arena_copy(parser->arena, word);
    return NULL;
}

static struct error *parse_key(struct text_parser *parser, struct slice *ret_key)
{
    int c = peek(parser);
    if (c == '"') return parse_quoted(parser, ret_key);
    if (c == MARKER_STRING) return parse_binary_string(parser, ret_key);
    if (begins_word(c)) return parse_word(parser, ret_key);
    return text_parser_fail_unexpected(parser, "a key");
}

static bool continues_number(char c)
{
    return (c >= '0' && c <= '9') || c == '.' || c == '+' || c == '-' || c == 'e' || c == 'E';
}

static struct error *parse_number(struct text_parser *parser, struct node *node)
{
    const char *at = parser->at;
    bool is_double = false;
    for (; at < parser->end && continues_number(*at); at++) {
        is_double = is_double || *at == '.' || *at == 'e' || *at == 'E';
    }
    struct slice text = slice_from(parser->at, (size_t)(at - parser->at));
    bool is_ok = false;
    if (is_double) {
        node->type = NODE_DOUBLE;
        is_ok = number_parse_double(text, &node->real);
    } else if (at < parser->end && *at == 'u') {
        at++;
        node->type = NODE_UINT64;
        is_ok = number_parse_uint64(text, &node->uint64);
    } else {
        node->type = NODE_INT64;
        is_ok = number_parse_int64(text, &node->int64);
    }
    if (!is_ok) return text_parser_fail(parser, "malformed or too large number");
    parser->at = at;
    return NULL;
}

static struct error *parse_percent(struct text_parser *parser, struct node *node)
{
    static const struct {
        const char *text;
        enum node_type type;
        double number;
    } WORDS[] = {
        {"%true", NODE_BOOLEAN, 1},
        {"%false", NODE_BOOLEAN, 0},
        {"%nan", NODE_DOUBLE, NAN},
        {"%inf", NODE_DOUBLE, INFINITY},
        {"%+inf", NODE_DOUBLE, INFINITY},
        {"%-inf", NODE_DOUBLE, -INFINITY},
    };
    struct slice rest = text_parser_rest(parser);
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (!slice_has_prefix(rest, slice_from_text(WORDS[i].text))) continue;
        node->type = WORDS[i].type;
        if (node->type == NODE_BOOLEAN) {
            node->boolean = WORDS[i].number != 0;
        } else {
            node->real = WORDS[i].number;
        }
        parser->at += strlen(WORDS[i].text);
        return NULL;
    }
    return text_parser_fail(parser, "unknown literal");
}

static struct error *parse_binary_scalar(struct text_parser *parser, int marker, struct node *node)
{
    uint64_t number = 0;
    parser->at++;
    switch (marker) {
    case MARKER_INT64:
        TRY(parse_varint(parser, &number));
        node->type = NODE_INT64;
        node->int64 = unzigzag(number);
        return NULL;
    case MARKER_UINT64:
        TRY(parse_varint(parser, &number));
        node->type = NODE_UINT64;
        node->uint64 = number;
        return NULL;
    case MARKER_DOUBLE: {
        struct reader reader = reader_from(text_parser_rest(parser));
        number = get_fixed64(&reader);
        if (reader.is_broken) return text_parser_fail(parser, "double is cut short");
        parser->at = reader.rest.data;
        node->type = NODE_DOUBLE;
        memcpy(&node->real, &number, sizeof node->real);
        return NULL;
    }
    default:
        node->type = NODE_BOOLEAN;
        node->boolean = marker == MARKER_TRUE;
        return NULL;
    }
}

static struct error *parse_value(struct text_parser *parser, struct node **ret_node);

// The recursion is bounded by YSON_DEPTH_MAX.
// NOLINTBEGIN(misc-no-recursion)

static struct error *parse_list(struct text_parser *parser, struct node *list)
{
    TRY(text_parser_enter(parser));
    while (!skip_char(parser, ']')) {
        struct node *item = NULL;
        TRY(parse_value(parser, &item));
        node_add(parser->arena, list, item);
        if (!skip_char(parser, ';') && peek(parser) != ']') {
            return text_parser_fail_unexpected(parser, "\";\" or \"]\"");
        }
    }
    parser->depth--;
    return NULL;
}

static struct error *parse_entries(struct text_parser *parser, struct node *map, char close)
{
    TRY(text_parser_enter(parser));
    while (!skip_char(parser, close)) {
        struct slice key = {0};
        struct node *value = NULL;
        TRY(parse_key(parser, &key));
        if (!skip_char(parser, '=')) return text_parser_fail_unexpected(parser, "\"=\"");
        TRY(parse_value(parser, &value));
        if (!node_add_entry(parser->arena, map, key, value)) {
            struct slice shown = slice_from(key.data, MIN(key.size, (size_t)64));
            return text_parser_fail(parser, "duplicate key \"%.*s\"", SLICE(shown));
        }
        if (!skip_char(parser, ';') && peek(parser) != close) {
            return text_parser_fail_unexpected(
                parser, close == '}' ? "\";\" or \"}\"" : "\";\" or \">\"");
        }
    }
    parser->depth--;
    return NULL;
}

static struct error *parse_plain(struct text_parser *parser, struct node *node)
{
    int c = peek(parser);
    if (c == '[') {
        node->type = NODE_LIST;
        return parse_list(parser, node);
    }
    if (c == '{') {
        node->type = NODE_MAP;
        return parse_entries(parser, node, '}');
    }
    if (c == '"' || c == MARKER_STRING || begins_word(c)) {
        node->type = NODE_STRING;
        return parse_key(parser, &node->string);
    }
    if (c == '#') {
        parser->at++;
        node->type = NODE_ENTITY;
        return NULL;
    }
    if (c == '%') return parse_percent(parser, node);
    if (c == '-' || c == '+' || (c >= '0' && c <= '9')) return parse_number(parser, node);
    if (c > MARKER_STRING && c <= MARKER_UINT64) return parse_binary_scalar(parser, c, node);
    return text_parser_fail_unexpected(parser, "a value");
}

static struct error *parse_value(struct text_parser *parser, struct node **ret_node)
{
    TRY(text_parser_count_node(parser));
    struct node *attributes = NULL;
    if (peek(parser) == '<') {
        attributes = node_map(parser->arena);
        TRY(parse_entries(parser, attributes, '>'));
    }
    struct node *node = node_entity(parser->arena);
    TRY(parse_plain(parser, node));
    if (attributes && attributes->count > 0) node->attributes = attributes;
    *ret_node = node;
    return NULL;
}

// NOLINTEND(misc-no-recursion)

struct error *yson_parse(struct arena *arena, struct slice text, struct node **ret_node)
{
    struct text_parser parser = text_parser_from("YSON", arena, text);
    struct node *node = NULL;
    TRY(parse_value(&parser, &node));
    if (peek(&parser) != -1) return text_parser_fail_unexpected(&parser, "the end");
    *ret_node = node;
    return NULL;
}

struct error *yson_parse_item(struct arena *arena, struct slice *text, struct node **ret_node)
{
    struct text_parser parser = text_parser_from("YSON", arena, *text);
    struct node *node = NULL;
    if (peek(&parser) != -1) {
        TRY(parse_value(&parser, &node));
        if (!skip_char(&parser, ';') && peek(&parser) != -1) {
            return text_parser_fail_unexpected(&parser, "\";\" or the end");
        }
    }
    *text = text_parser_rest(&parser);
    *ret_node = node;
    return NULL;
}

// Whether a byte stands for itself within quotes.
static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

// Source: YTsaurus EscapeC (yt/yt/core/yson/writer.cpp): hexadecimal where the next character
// cannot be taken for one more digit, otherwise octal.
static void print_escape(unsigned char c, int next, struct buffer *buffer)
{
    switch (c) {
    case '"': buffer_append_text(buffer, "\\\""); return;
    case '\\': buffer_append_text(buffer, "\\\\"); return;
    case '\n': buffer_append_text(buffer, "\\n"); return;
    case '\r': buffer_append_text(buffer, "\\r"); return;
    case '\t': buffer_append_text(buffer, "\\t"); return;
    default: break;
    }
    if (c < 8 && !(next >= '0' && next <= '7')) {
        buffer_print(buffer, "\\%o", c);
    } else if (hex_digit((char)next) < 0) {
        buffer_print(buffer, "\\x%02X", c);
    } else {
        buffer_print(buffer, "\\%03o", c);
    }
}

void yson_print_string(struct slice string, struct buffer *buffer)
{
    buffer_append_byte(buffer, '"');
    size_t begin = 0;
    for (size_t i = 0; i < string.size; i++) {
        unsigned char c = (unsigned char)string.data[i];
        if (is_plain(c)) continue;
        buffer_append(buffer, string.data + begin, i - begin);
        begin = i + 1;
        int next = i + 1 < string.size ? (unsigned char)string.data[i + 1] : 0;
        print_escape(c, next, buffer);
    }
    if (begin < string.size) buffer_append(buffer, string.data + begin, string.size - begin);
    buffer_append_byte(buffer, '"');
}

struct printer {
    struct buffer *buffer;
    enum yson_format format;
    uint32_t depth;
};

static void print_string(struct printer *printer, struct slice string)
{
    if (printer->format != YSON_BINARY) {
        yson_print_string(string, printer->buffer);
        return;
    }
    buffer_append_byte(printer->buffer, MARKER_STRING);
    put_varint(printer->buffer, zigzag((int64_t)string.size));
    buffer_append_slice(printer->buffer, string);
}

static void print_int64(struct printer *printer, int64_t number)
{
    if (printer->format != YSON_BINARY) {
        buffer_print(printer->buffer, "%" PRId64, number);
        return;
    }
    buffer_append_byte(printer->buffer, MARKER_INT64);
    put_varint(printer->buffer, zigzag(number));
}

static void print_uint64(struct printer *printer, uint64_t number)
{
    if (printer->format != YSON_BINARY) {
        buffer_print(printer->buffer, "%" PRIu64 "u", number);
        return;
    }
    buffer_append_byte(printer->buffer, MARKER_UINT64);
    put_varint(printer->buffer, number);
}

static void print_double(struct printer *printer, double number)
{
    if (printer->format == YSON_BINARY) {
        uint64_t bits = 0;
        memcpy(&bits, &number, sizeof bits);
        buffer_append_byte(printer->buffer, MARKER_DOUBLE);
        put_fixed64(printer->buffer, bits);
    } else if (isnan(number)) {
        buffer_append_text(printer->buffer, "%nan");
    } else if (isinf(number)) {
        buffer_append_text(printer->buffer, number > 0 ? "%inf" : "%-inf");
    } else {
        char text[NUMBER_TEXT_MAX];
        buffer_append_text(printer->buffer, number_print_double(number, text));
        if (!strpbrk(text, ".e")) buffer_append_byte(printer->buffer, '.');
    }
}

static void print_boolean(struct printer *printer, bool boolean)
{
    if (printer->format == YSON_BINARY) {
        buffer_append_byte(printer->buffer, boolean ? MARKER_TRUE : MARKER_FALSE);
    } else {
        buffer_append_text(printer->buffer, boolean ? "%true" : "%false");
    }
}

static void print_line(struct printer *printer)
{
    if (printer->format != YSON_PRETTY) return;
    buffer_append_byte(printer->buffer, '\n');
    for (uint32_t i = 0; i < printer->depth * INDENT; i++) {
        buffer_append_byte(printer->buffer, ' ');
    }
}

static void print_node(struct printer *printer, const struct node *node);

// The recursion is as deep as the tree.
// NOLINTBEGIN(misc-no-recursion)

// Prints a list, a map or attributes, in their brackets.
static void print_entries(struct printer *printer, const struct node *node, const char *brackets)
{
    buffer_append_byte(printer->buffer, (uint8_t)brackets[0]);
    printer->depth++;
    for (uint32_t i = 0; i < node->count; i++) {
        print_line(printer);
        if (node->type == NODE_MAP) {
            print_string(printer, node->entries[i].key);
            buffer_append_text(printer->buffer, printer->format == YSON_PRETTY ? " = " : "=");
        }
        print_node(printer, node->entries[i].value);
        buffer_append_byte(printer->buffer, ';');
    }
    printer->depth--;
    if (node->count > 0) print_line(printer);
    buffer_append_byte(printer->buffer, (uint8_t)brackets[1]);
}

static void print_node(struct printer *printer, const struct node *node)
{
    if (node->attributes && node->attributes->count > 0) {
        print_entries(printer, node->attributes, "<>");
        if (printer->format == YSON_PRETTY) buffer_append_byte(printer->buffer, ' ');
    }
    switch (node->type) {
    case NODE_ENTITY: buffer_append_byte(printer->buffer, '#'); break;
    case NODE_STRING: print_string(printer, node->string); break;
    case NODE_INT64: print_int64(printer, node->int64); break;
    case NODE_UINT64: print_uint64(printer, node->uint64); break;
    case NODE_DOUBLE: print_double(printer, node->real); break;
    case NODE_BOOLEAN: print_boolean(printer, node->boolean); break;
    case NODE_LIST: print_entries(printer, node, "[]"); break;
    case NODE_MAP: print_entries(printer, node, "{}"); break;
    }
}

// NOLINTEND(misc-no-recursion)

void yson_print(const struct node *node, enum yson_format format, struct buffer *buffer)
{
    struct printer printer = {.buffer = buffer, .format = format};
    print_node(&printer, node);
}
