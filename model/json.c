#include "model/json.h"

#include "base/number.h"
#include "base/utf8.h"
#include "model/text_parser.h"
#include "model/yson.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

enum { INDENT = 4 };

struct parser {
    struct text_parser text;
    const struct json_options *options;
};

// The next character that is no white space, or -1 at the end.
static int peek(struct parser *parser)
{
    while (parser->text.at < parser->text.end && memchr(" \t\n\r", *parser->text.at, 4))
        parser->text.at++;
    return parser->text.at < parser->text.end ? (unsigned char)*parser->text.at : -1;
}

static bool skip_char(struct parser *parser, char c)
{
    if (peek(parser) != (unsigned char)c) return false;
    parser->text.at++;
    return true;
}

static bool skip_word(struct parser *parser, const char *word)
{
    struct slice rest = text_parser_rest(&parser->text);
    if (!slice_has_prefix(rest, slice_from_text(word))) return false;
    parser->text.at += strlen(word);
    return true;
}

// Takes the four digits of \uXXXX.
static bool take_unit(struct parser *parser, uint32_t *ret_unit)
{
    uint32_t unit = 0;
    if (text_parser_rest(&parser->text).size < 4) return false;
    for (int i = 0; i < 4; i++) {
        char c = *parser->text.at++;
        if (c >= '0' && c <= '9') {
            unit = unit << 4 | (uint32_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            unit = unit << 4 | (uint32_t)(c - 'a' + 10);
        } else if (c >= 'A' && c <= 'F') {
            unit = unit << 4 | (uint32_t)(c - 'A' + 10);
        } else {
            return false;
        }
    }
    *ret_unit = unit;
    return true;
}

// Takes what follows \u, and another \uXXXX if it takes two to make a code point.
static struct error *take_unicode_escape(struct parser *parser, uint32_t *ret_code_point)
{
    uint32_t high = 0;
    uint32_t low = 0;
    if (!take_unit(parser, &high)) return text_parser_fail(&parser->text, "malformed \\u escape");
    if (high < 0xd800 || high >= 0xe000) {
        *ret_code_point = high;
        return NULL;
    }
    if (high >= 0xdc00 || !skip_word(parser, "\\u") || !take_unit(parser, &low) || low < 0xdc00 ||
        low >= 0xe000) {
        return text_parser_fail(&parser->text, "unpaired surrogate");
    }
    *ret_code_point = 0x10000 + ((high - 0xd800) << 10 | (low - 0xdc00));
    return NULL;
}

static struct error *take_character(struct parser *parser, uint32_t *ret_code_point)
{
    struct slice rest = text_parser_rest(&parser->text);
    unsigned char c = (unsigned char)*parser->text.at;
    if (c < 0x20) return text_parser_fail(&parser->text, "control character in a string");
    if (c != '\\') {
        *ret_code_point = utf8_next(&rest);
        if (*ret_code_point == UTF8_INVALID)
            return text_parser_fail(&parser->text, "malformed UTF-8");
        parser->text.at = rest.data;
        return NULL;
    }
    static const char ESCAPES[] = "\"\\/bfnrt";
    static const char CHARACTERS[] = "\"\\/\b\f\n\r\t";
    parser->text.at++; // The closing quote at least follows, see parse_string.
    char escape = *parser->text.at++;
    if (escape == 'u') return take_unicode_escape(parser, ret_code_point);
    const char *found = escape ? strchr(ESCAPES, escape) : NULL;
    if (!found) return text_parser_fail(&parser->text, "unknown escape");
    *ret_code_point = (unsigned char)CHARACTERS[found - ESCAPES];
    return NULL;
}

static struct error *parse_string(struct parser *parser, struct slice *ret_string)
{
    parser->text.at++; // The opening quote.
    const char *end = parser->text.at;
    while (end < parser->text.end && *end != '"') {
        end += *end == '\\' && parser->text.end - end > 1 ? 2 : 1;
    }
    if (end == parser->text.end) return text_parser_fail(&parser->text, "unterminated string");
    if ((uint64_t)(end - parser->text.at) > YSON_STRING_SIZE_MAX)
        return text_parser_fail_long_string(&parser->text);

    // Neither escapes nor UTF-8 take fewer bytes than what they stand for.
    char *string = arena_alloc(parser->text.arena, (size_t)(end - parser->text.at) + UTF8_SIZE_MAX);
    size_t size = 0;
    while (parser->text.at < end) {
        uint32_t code_point = 0;
        TRY(take_character(parser, &code_point));
        if (!parser->options->encode_utf8) {
            size += utf8_encode(code_point, string + size);
        } else if (code_point <= 0xff) {
            string[size++] = (char)code_point;
        } else {
            return text_parser_fail(
                &parser->text,
                "Unicode symbols with codes greater than 255 are not supported unless "
                "\"encode_utf8\" is false");
        }
    }
    parser->text.at = end + 1;
    *ret_string = slice_from(string, size);
    return NULL;
}

static void skip_digits(const char **at, const char *end)
{
    while (*at < end && **at >= '0' && **at <= '9') (*at)++;
}

static struct error *parse_number(struct parser *parser, struct node *node)
{
    const char *at = parser->text.at;
    bool is_integer = true;
    if (*at == '-') at++;
    const char *digits = at;
    skip_digits(&at, parser->text.end);
    if (at == digits || (*digits == '0' && at - digits > 1)) {
        return text_parser_fail(&parser->text, "malformed number");
    }
    if (at < parser->text.end && *at == '.') {
        is_integer = false;
        digits = ++at;
        skip_digits(&at, parser->text.end);
        if (at == digits) return text_parser_fail(&parser->text, "malformed number");
    }
    if (at < parser->text.end && (*at == 'e' || *at == 'E')) {
        is_integer = false;
        at++;
        if (at < parser->text.end && (*at == '+' || *at == '-')) at++;
        digits = at;
        skip_digits(&at, parser->text.end);
        if (at == digits) return text_parser_fail(&parser->text, "malformed number");
    }
    struct slice text = slice_from(parser->text.at, (size_t)(at - parser->text.at));
    if (is_integer && number_parse_int64(text, &node->int64)) {
        node->type = NODE_INT64;
    } else if (is_integer && number_parse_uint64(text, &node->uint64)) {
        node->type = NODE_UINT64;
    } else if (number_parse_double(text, &node->real)) {
        node->type = NODE_DOUBLE;
    } else {
        return text_parser_fail(&parser->text, "too large number");
    }
    parser->text.at = at;
    return NULL;
}

static bool convert_to_double(const struct node *from, double *ret_number)
{
    if (from->type == NODE_INT64) {
        *ret_number = (double)from->int64;
    } else if (from->type == NODE_UINT64) {
        *ret_number = (double)from->uint64;
    } else if (from->type != NODE_STRING) {
        return false;
    } else if (slice_equal_text(from->string, "nan")) {
        *ret_number = NAN;
    } else if (slice_equal_text(from->string, "inf")) {
        *ret_number = INFINITY;
    } else if (slice_equal_text(from->string, "-inf")) {
        *ret_number = -INFINITY;
    } else {
        return number_parse_double(from->string, ret_number);
    }
    return true;
}

// Sets the value of `to`, which has the type wanted; false if `from` does not fit it.
static bool convert(const struct node *from, struct node *to)
{
    struct slice text = from->type == NODE_STRING ? from->string : slice_from("", 0);
    switch (to->type) {
    case NODE_INT64: return number_parse_int64(text, &to->int64);
    case NODE_UINT64:
        if (from->type != NODE_INT64) return number_parse_uint64(text, &to->uint64);
        to->uint64 = (uint64_t)from->int64;
        return from->int64 >= 0;
    case NODE_DOUBLE: return convert_to_double(from, &to->real);
    case NODE_BOOLEAN:
        to->boolean = slice_equal_text(text, "true");
        return to->boolean || slice_equal_text(text, "false");
    case NODE_ENTITY:
    case NODE_STRING:
    case NODE_LIST:
    case NODE_MAP: break;
    }
    return false;
}

// Converts what is annotated with "$type". Numbers may be strings, so that JavaScript does not lose
// digits.
static struct error *apply_type(struct parser *parser, const struct node *type, struct node *node)
{
    static const enum node_type TYPES[] = {
        NODE_STRING, NODE_INT64, NODE_UINT64, NODE_DOUBLE, NODE_BOOLEAN};
    if (type->type != NODE_STRING)
        return text_parser_fail(&parser->text, "value of \"$type\" must be a string");
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        if (!slice_equal_text(type->string, node_type_name(TYPES[i]))) continue;
        if (node->type == TYPES[i]) return NULL;
        struct node converted = {.type = TYPES[i], .attributes = node->attributes};
        if (!convert(node, &converted)) {
            return text_parser_fail(
                &parser->text, "value does not fit \"$type\" %s", node_type_name(TYPES[i]));
        }
        *node = converted;
        return NULL;
    }
    return text_parser_fail(&parser->text, "unexpected \"$type\"");
}

// Takes away the `$` that was put before keys that begin with one.
static struct error *unescape_keys(struct parser *parser, struct node **map)
{
    bool has_escapes = false;
    for (uint32_t i = 0; i < (*map)->count && !has_escapes; i++) {
        has_escapes = slice_has_prefix((*map)->entries[i].key, SLICE_OF("$$"));
    }
    if (!has_escapes) return NULL;
    struct node *unescaped = node_map(parser->text.arena);
    for (uint32_t i = 0; i < (*map)->count; i++) {
        struct node_entry entry = (*map)->entries[i];
        if (slice_has_prefix(entry.key, SLICE_OF("$$"))) {
            entry.key = slice_from(entry.key.data + 1, entry.key.size - 1);
        }
        if (!node_add_entry(parser->text.arena, unescaped, entry.key, entry.value)) {
            return text_parser_fail(&parser->text, "duplicate key in an object");
        }
    }
    *map = unescaped;
    return NULL;
}

// Makes of an object what it stands for: a map, or a value with a type and attributes.
static struct error *finish_map(struct parser *parser, struct node **node)
{
    if (parser->options->is_plain) return NULL;
    struct node *value = node_find_text(*node, "$value");
    struct node *attributes = node_find_text(*node, "$attributes");
    const struct node *type = node_find_text(*node, "$type");
    if (!value) {
        if (attributes)
            return text_parser_fail(
                &parser->text, "found key \"$attributes\" without key \"$value\"");
        return unescape_keys(parser, node);
    }
    if (attributes && attributes->type != NODE_MAP) {
        return text_parser_fail(&parser->text, "value of \"$attributes\" must be a map");
    }
    if (type) TRY(apply_type(parser, type, value));
    if (attributes && attributes->count > 0) value->attributes = attributes;
    *node = value;
    return NULL;
}

static struct error *parse_value(struct parser *parser, struct node **ret_node);

// The recursion is bounded by YSON_DEPTH_MAX.
// NOLINTBEGIN(misc-no-recursion)

static struct error *parse_array(struct parser *parser, struct node *list)
{
    TRY(text_parser_enter(&parser->text));
    if (!skip_char(parser, ']')) {
        do {
            struct node *item = NULL;
            TRY(parse_value(parser, &item));
            node_add(parser->text.arena, list, item);
        } while (skip_char(parser, ','));
        if (!skip_char(parser, ']'))
            return text_parser_fail_unexpected(&parser->text, "\",\" or \"]\"");
    }
    parser->text.depth--;
    return NULL;
}

static struct error *parse_object(struct parser *parser, struct node **map)
{
    TRY(text_parser_enter(&parser->text));
    if (!skip_char(parser, '}')) {
        do {
            struct slice key = {0};
            struct node *value = NULL;
            if (peek(parser) != '"') return text_parser_fail_unexpected(&parser->text, "a key");
            TRY(parse_string(parser, &key));
            if (!skip_char(parser, ':')) return text_parser_fail_unexpected(&parser->text, "\":\"");
            TRY(parse_value(parser, &value));
            if (!node_add_entry(parser->text.arena, *map, key, value)) {
                struct slice shown = slice_from(key.data, MIN(key.size, (size_t)64));
                return text_parser_fail(&parser->text, "duplicate key \"%.*s\"", SLICE(shown));
            }
        } while (skip_char(parser, ','));
        if (!skip_char(parser, '}'))
            return text_parser_fail_unexpected(&parser->text, "\",\" or \"}\"");
    }
    parser->text.depth--;
    return finish_map(parser, map);
}

static struct error *parse_value(struct parser *parser, struct node **ret_node)
{
    TRY(text_parser_count_node(&parser->text));
    struct node *node = node_entity(parser->text.arena);
    int c = peek(parser);
    if (c == '{') {
        node->type = NODE_MAP;
        TRY(parse_object(parser, &node));
    } else if (c == '[') {
        node->type = NODE_LIST;
        TRY(parse_array(parser, node));
    } else if (c == '"') {
        node->type = NODE_STRING;
        TRY(parse_string(parser, &node->string));
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        TRY(parse_number(parser, node));
    } else if (c == 't' && skip_word(parser, "true")) {
        node->type = NODE_BOOLEAN;
        node->boolean = true;
    } else if (c == 'f' && skip_word(parser, "false")) {
        node->type = NODE_BOOLEAN;
    } else if (c != 'n' || !skip_word(parser, "null")) {
        return text_parser_fail_unexpected(&parser->text, "a value");
    }
    *ret_node = node;
    return NULL;
}

// NOLINTEND(misc-no-recursion)

struct error *json_parse(
    struct arena *arena,
    struct slice text,
    const struct json_options *options,
    struct node **ret_node)
{
    struct parser parser = {text_parser_from("JSON", arena, text), options};
    struct node *node = NULL;
    TRY(parse_value(&parser, &node));
    if (peek(&parser) != -1) return text_parser_fail_unexpected(&parser.text, "the end");
    *ret_node = node;
    return NULL;
}

struct error *json_parse_item(
    struct arena *arena,
    struct slice *text,
    const struct json_options *options,
    struct node **ret_node)
{
    struct parser parser = {text_parser_from("JSON", arena, *text), options};
    struct node *node = NULL;
    if (peek(&parser) != -1) TRY(parse_value(&parser, &node));
    *text = text_parser_rest(&parser.text);
    *ret_node = node;
    return NULL;
}

struct printer {
    struct buffer *buffer;
    const struct json_options *options;
    struct error *error; // The first; owned.
    uint32_t depth;
    bool is_first; // Whether the next item is the first of its object or array.
};

static void print_line(struct printer *printer)
{
    if (!printer->options->is_pretty) return;
    buffer_append_byte(printer->buffer, '\n');
    for (uint32_t i = 0; i < printer->depth * INDENT; i++) {
        buffer_append_byte(printer->buffer, ' ');
    }
}

static void print_open(struct printer *printer, char bracket)
{
    buffer_append_byte(printer->buffer, (uint8_t)bracket);
    printer->depth++;
    printer->is_first = true;
}

static void print_close(struct printer *printer, char bracket)
{
    printer->depth--;
    if (!printer->is_first) print_line(printer);
    buffer_append_byte(printer->buffer, (uint8_t)bracket);
    printer->is_first = false;
}

static void print_item(struct printer *printer)
{
    if (!printer->is_first) buffer_append_byte(printer->buffer, ',');
    printer->is_first = false;
    print_line(printer);
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void print_special(struct printer *printer, unsigned char c)
{
    struct buffer *buffer = printer->buffer;
    switch (c) {
    case '"': buffer_append_text(buffer, "\\\""); return;
    case '\\': buffer_append_text(buffer, "\\\\"); return;
    case '\b': buffer_append_text(buffer, "\\b"); return;
    case '\f': buffer_append_text(buffer, "\\f"); return;
    case '\n': buffer_append_text(buffer, "\\n"); return;
    case '\r': buffer_append_text(buffer, "\\r"); return;
    case '\t': buffer_append_text(buffer, "\\t"); return;
    default: break;
    }
    if (c < 0x20) {
        buffer_print(buffer, "\\u%04X", c);
    } else if (printer->options->encode_utf8) {
        char bytes[UTF8_SIZE_MAX];
        buffer_append(buffer, bytes, utf8_encode(c, bytes));
    } else {
        buffer_append_byte(buffer, c); // A part of UTF-8.
    }
}

// Prints a string's inside.
static void print_bytes(struct printer *printer, struct slice string)
{
    if (!printer->options->encode_utf8 && !printer->error && !utf8_is_valid(string)) {
        printer->error = error_new(
            ERROR_GENERIC, "String is not UTF-8 and cannot be JSON unless \"encode_utf8\" is true");
    }
    size_t begin = 0;
    for (size_t i = 0; i < string.size; i++) {
        if (is_plain((unsigned char)string.data[i])) continue;
        buffer_append(printer->buffer, string.data + begin, i - begin);
        begin = i + 1;
        print_special(printer, (unsigned char)string.data[i]);
    }
    if (begin < string.size) {
        buffer_append(printer->buffer, string.data + begin, string.size - begin);
    }
}

static void print_string(struct printer *printer, struct slice string)
{
    buffer_append_byte(printer->buffer, '"');
    print_bytes(printer, string);
    buffer_append_byte(printer->buffer, '"');
}

static void print_colon(struct printer *printer)
{
    buffer_append_text(printer->buffer, printer->options->is_pretty ? ": " : ":");
}

// Prints a key of our own: "$value".
static void print_mark(struct printer *printer, const char *mark)
{
    print_item(printer);
    buffer_print(printer->buffer, "\"$%s\"", mark);
    print_colon(printer);
}

static void print_key(struct printer *printer, struct slice key)
{
    bool is_special = key.size > 0 && key.data[0] == '$' && !printer->options->is_plain;
    print_item(printer);
    buffer_append_text(printer->buffer, is_special ? "\"$" : "\"");
    print_bytes(printer, key);
    buffer_append_byte(printer->buffer, '"');
    print_colon(printer);
}

static void print_double(struct printer *printer, double number)
{
    bool stringify = printer->options->stringify;
    if (!isfinite(number)) {
        const char *text = isnan(number) ? "nan" : number > 0 ? "inf" : "-inf";
        if (!stringify && !printer->options->stringify_nan_and_infinity && !printer->error) {
            printer->error = error_new(
                ERROR_GENERIC,
                "Unexpected NaN or infinity encountered during JSON writing; consider using "
                "\"stringify_nan_and_infinity\"");
        }
        buffer_print(printer->buffer, "\"%s\"", text);
        return;
    }
    char text[NUMBER_TEXT_MAX];
    number_print_double(number, text);
    const char *quote = stringify ? "\"" : "";
    const char *fraction = stringify || strpbrk(text, ".e") ? "" : ".0";
    buffer_print(printer->buffer, "%s%s%s%s", quote, text, fraction, quote);
}

static struct slice cut(const struct printer *printer, struct slice string)
{
    uint64_t limit = printer->options->string_length_limit;
    bool has_limit = limit > 0 && printer->options->attributes_mode != JSON_ATTRIBUTES_NEVER;
    if (!has_limit || string.size <= limit) return string;
    size_t size = (size_t)limit;
    if (!printer->options->encode_utf8) { // Not within a character.
        while (size > 0 && ((unsigned char)string.data[size] & 0xc0) == 0x80) size--;
    }
    return slice_from(string.data, size);
}

static void print_node(struct printer *printer, const struct node *node);

// The recursion is as deep as the tree.
// NOLINTBEGIN(misc-no-recursion)

static void print_map(struct printer *printer, const struct node *map)
{
    print_open(printer, '{');
    for (uint32_t i = 0; map && i < map->count; i++) {
        print_key(printer, map->entries[i].key);
        print_node(printer, map->entries[i].value);
    }
    print_close(printer, '}');
}

static void print_value(struct printer *printer, const struct node *node)
{
    struct buffer *buffer = printer->buffer;
    const char *quote = printer->options->stringify ? "\"" : "";
    switch (node->type) {
    case NODE_ENTITY: buffer_append_text(buffer, "null"); break;
    case NODE_STRING: print_string(printer, cut(printer, node->string)); break;
    case NODE_INT64: buffer_print(buffer, "%s%" PRId64 "%s", quote, node->int64, quote); break;
    case NODE_UINT64: buffer_print(buffer, "%s%" PRIu64 "%s", quote, node->uint64, quote); break;
    case NODE_DOUBLE: print_double(printer, node->real); break;
    case NODE_BOOLEAN:
        buffer_print(buffer, "%s%s%s", quote, node->boolean ? "true" : "false", quote);
        break;
    case NODE_LIST:
        print_open(printer, '[');
        for (uint32_t i = 0; i < node->count; i++) {
            print_item(printer);
            print_node(printer, node->entries[i].value);
        }
        print_close(printer, ']');
        break;
    case NODE_MAP: print_map(printer, node); break;
    }
}

static bool is_annotated(const struct printer *printer, const struct node *node)
{
    return printer->options->annotate_with_types &&
           printer->options->attributes_mode != JSON_ATTRIBUTES_NEVER &&
           node->type != NODE_ENTITY && node->type != NODE_LIST && node->type != NODE_MAP;
}

static void print_node(struct printer *printer, const struct node *node)
{
    const struct json_options *options = printer->options;
    bool has_attributes = false;
    switch (options->attributes_mode) {
    case JSON_ATTRIBUTES_ON_DEMAND:
        has_attributes = node->attributes && node->attributes->count > 0;
        break;
    case JSON_ATTRIBUTES_NEVER: break;
    case JSON_ATTRIBUTES_ALWAYS: has_attributes = true; break;
    }
    bool is_incomplete =
        node->type == NODE_STRING && cut(printer, node->string).size < node->string.size;
    bool is_wrapped = has_attributes || is_incomplete || is_annotated(printer, node);
    if (options->is_plain || !is_wrapped) {
        print_value(printer, node);
        return;
    }
    print_open(printer, '{');
    if (has_attributes) {
        print_mark(printer, "attributes");
        print_map(printer, node->attributes);
    }
    if (is_incomplete) {
        print_mark(printer, "incomplete");
        buffer_append_text(printer->buffer, "true");
    }
    if (is_annotated(printer, node)) {
        print_mark(printer, "type");
        buffer_print(printer->buffer, "\"%s\"", node_type_name(node->type));
    }
    print_mark(printer, "value");
    print_value(printer, node);
    print_close(printer, '}');
}

// NOLINTEND(misc-no-recursion)

struct error *json_print(
    const struct node *node, const struct json_options *options, struct buffer *buffer)
{
    struct printer printer = {.buffer = buffer, .options = options};
    print_node(&printer, node);
    return printer.error;
}
