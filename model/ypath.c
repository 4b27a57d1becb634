#include "model/ypath.h"

#include "base/buffer.h"
#include "model/yson.h"

struct parser {
    struct arena *arena;
    struct slice text;
    size_t at;
};

static struct error *fail(const struct parser *parser, const char *reason)
{
    struct slice shown = slice_from(parser->text.data, MIN(parser->text.size, (size_t)256));
    struct error *error =
        error_new(ERROR_GENERIC, "Error parsing path \"%.*s\": %s", SLICE(shown), reason);
    return error_set_u64(error, "offset", parser->at);
}

static int peek(const struct parser *parser)
{
    return parser->at < parser->text.size ? (unsigned char)parser->text.data[parser->at] : -1;
}

static bool skip_char(struct parser *parser, char c)
{
    if (peek(parser) != (unsigned char)c) return false;
    parser->at++;
    return true;
}

static bool is_special(int c)
{
    return c == '\\' || c == '/' || c == '@' || c == '&' || c == '*' || c == '[' || c == '{';
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static struct error *parse_escape(struct parser *parser, char *ret_byte)
{
    parser->at++; // The backslash.
    int c = peek(parser);
    if (is_special(c)) {
        *ret_byte = (char)c;
        parser->at++;
        return NULL;
    }
    if (c == 'x' && parser->text.size - parser->at > 2) {
        int high = hex_digit(parser->text.data[parser->at + 1]);
        int low = hex_digit(parser->text.data[parser->at + 2]);
        if (high >= 0 && low >= 0) {
            *ret_byte = (char)(high << 4 | low);
            parser->at += 3;
            return NULL;
        }
    }
    return fail(parser, "malformed escape sequence");
}

// The size of a name as it is written, up to the next special character.
static size_t written_size(const struct parser *parser)
{
    size_t at = parser->at;
    while (at < parser->text.size) {
        if (parser->text.data[at] == '\\') {
            at += 2;
        } else if (is_special(parser->text.data[at])) {
            break;
        } else {
            at++;
        }
    }
    return at - parser->at;
}

static struct error *parse_name(struct parser *parser, struct slice *ret_name)
{
    char *name = arena_alloc(parser->arena, written_size(parser));
    size_t size = 0;
    while (peek(parser) == '\\' || (peek(parser) != -1 && !is_special(peek(parser)))) {
        if (peek(parser) == '\\') {
            TRY(parse_escape(parser, &name[size++]));
        } else {
            name[size++] = (char)peek(parser);
            parser->at++;
        }
    }
    if (size == 0 && peek(parser) == -1) {
        return fail(parser, "a name is missing at the end; a path does not end with \"/\"");
    }
    if (size == 0) return fail(parser, "a name is missing");
    *ret_name = slice_from(name, size);
    return NULL;
}

struct names {
    struct slice *items;
    uint16_t count;
    uint16_t capacity;
};

static struct error *add_name(struct parser *parser, struct names *names)
{
    struct slice name;
    if (names->count == YPATH_DEPTH_MAX) return fail(parser, "it is too deep");
    TRY(parse_name(parser, &name));
    if (names->count == names->capacity) {
        uint16_t capacity = names->capacity ? (uint16_t)(names->capacity * 2) : 8;
        struct slice *items = ARENA_NEW(parser->arena, struct slice, capacity);
        if (names->count > 0) memcpy(items, names->items, sizeof *items * names->count);
        names->items = items;
        names->capacity = capacity;
    }
    names->items[names->count++] = name;
    return NULL;
}

// Parses <append=%true> before a path. Where the attributes end is known only to the YSON parser,
// so it is given each `>` in turn; there are few.
static struct error *parse_attributes(struct parser *parser, struct node **ret_attributes)
{
    enum { ATTEMPT_COUNT_MAX = 64 };
    size_t end = parser->at;
    for (int i = 0; i < ATTEMPT_COUNT_MAX && end < parser->text.size; i++) {
        const char *begin = parser->text.data + parser->at;
        const char *close = memchr(parser->text.data + end, '>', parser->text.size - end);
        if (!close) break;
        end = (size_t)(close - parser->text.data) + 1;

        // As attributes of an entity they are a whole value.
        char *text = arena_print(parser->arena, "%.*s#", (int)(close + 1 - begin), begin);
        struct node *node = NULL;
        CLEANUP(error_freep)
        struct error *error = yson_parse(parser->arena, slice_from_text(text), &node);
        if (error) continue;
        *ret_attributes = node->attributes;
        parser->at = end;
        return NULL;
    }
    return fail(parser, "malformed attributes");
}

static struct error *parse_root(struct parser *parser, struct guid *ret_root)
{
    if (skip_char(parser, '/')) return NULL;
    if (!skip_char(parser, '#')) return fail(parser, "it begins neither with \"/\" nor with \"#\"");
    size_t begin = parser->at;
    while (peek(parser) != -1 && !is_special(peek(parser))) parser->at++;
    struct slice text = slice_from(parser->text.data + begin, parser->at - begin);
    struct error *error = guid_parse(text, ret_root);
    if (!error) return NULL;
    return error_add_inner(fail(parser, "malformed object id"), error);
}

static struct error *parse_steps(struct parser *parser, struct ypath *path)
{
    struct names names = {0};
    struct names attribute = {0};
    while (peek(parser) != -1) {
        if (names.count > 0 || !guid_is_null(path->root)) {
            if (skip_char(parser, '&')) path->keeps_link = true;
            if (peek(parser) == -1) break;
        }
        int c = peek(parser);
        if (c == '[' || c == '{') return fail(parser, "row and column selectors are not supported");
        if (!skip_char(parser, '/')) return fail(parser, "\"/\" is expected");
        if (!skip_char(parser, '@')) {
            path->keeps_link = false; // It was about a name before the last.
            TRY(add_name(parser, &names));
            continue;
        }
        path->has_attribute = true;
        if (peek(parser) == -1) break;
        TRY(add_name(parser, &attribute));
        while (peek(parser) != -1) {
            if (!skip_char(parser, '/')) return fail(parser, "\"/\" is expected");
            TRY(add_name(parser, &attribute));
        }
    }
    path->names = names.items;
    path->name_count = names.count;
    path->attribute = attribute.items;
    path->attribute_count = attribute.count;
    return NULL;
}

struct error *ypath_parse(struct arena *arena, struct slice text, struct ypath *ret_path)
{
    struct parser parser = {.arena = arena, .text = text};
    if (text.size > YPATH_SIZE_MAX) return fail(&parser, "it is too long");
    parser.text = arena_copy(arena, text);
    struct ypath path = {.text = parser.text};
    while (peek(&parser) == ' ') parser.at++;
    if (peek(&parser) == '<') TRY(parse_attributes(&parser, &path.attributes));
    path.plain = slice_from(parser.text.data + parser.at, parser.text.size - parser.at);
    TRY(parse_root(&parser, &path.root));
    TRY(parse_steps(&parser, &path));
    *ret_path = path;
    return NULL;
}

void ypath_print_name(struct slice name, struct buffer *buffer)
{
    buffer_append_byte(buffer, '/');
    for (size_t i = 0; i < name.size; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (is_special(c)) {
            buffer_append_byte(buffer, '\\');
            buffer_append_byte(buffer, c);
        } else if (c < 0x20 || c >= 0x7f) {
            buffer_print(buffer, "\\x%02x", c);
        } else {
            buffer_append_byte(buffer, c);
        }
    }
}
