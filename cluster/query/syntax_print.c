// A query's tree as text again, with no more parentheses than it needs.
#include "cluster/query/syntax.h"

#include <ctype.h>
#include <inttypes.h>

static void print_name(struct slice name, struct buffer *buffer)
{
    bool is_plain = name.size > 0 && !isdigit((unsigned char)name.data[0]);
    for (size_t i = 0; i < name.size; i++) {
        is_plain = is_plain && (isalnum((unsigned char)name.data[i]) || name.data[i] == '_');
    }
    if (!is_plain) buffer_append_byte(buffer, '[');
    buffer_append_slice(buffer, name);
    if (!is_plain) buffer_append_byte(buffer, ']');
}

static void print_string(struct slice string, struct buffer *buffer)
{
    buffer_append_byte(buffer, '"');
    for (size_t i = 0; i < string.size; i++) {
        unsigned char byte = (unsigned char)string.data[i];
        if (byte == '"' || byte == '\\') {
            buffer_print(buffer, "\\%c", byte);
        } else if (byte < 0x20 || byte >= 0x7f) {
            buffer_print(buffer, "\\x%02x", byte);
        } else {
            buffer_append_byte(buffer, byte);
        }
    }
    buffer_append_byte(buffer, '"');
}

static void print_double(double number, struct buffer *buffer)
{
    char text[64];
    snprintf(text, sizeof text, "%.17g", number);
    for (int precision = 6; precision < 17; precision++) {
        char shorter[64];
        snprintf(shorter, sizeof shorter, "%.*g", precision, number);
        if (strtod(shorter, NULL) == number) {
            memcpy(text, shorter, sizeof text);
            break;
        }
    }
    buffer_append_text(buffer, text);
    if (!strpbrk(text, ".ein")) buffer_append_text(buffer, ".0");
}

void syntax_print_value(const struct value *literal, struct buffer *buffer)
{
    switch ((enum value_type)literal->type) {
    case VALUE_NULL: buffer_append_text(buffer, "null"); break;
    case VALUE_INT64: buffer_print(buffer, "%" PRId64, literal->int64); break;
    case VALUE_UINT64: buffer_print(buffer, "%" PRIu64 "u", literal->uint64); break;
    case VALUE_DOUBLE: print_double(literal->real, buffer); break;
    case VALUE_BOOLEAN: buffer_append_text(buffer, literal->boolean ? "true" : "false"); break;
    case VALUE_STRING:
    case VALUE_ANY: print_string(value_slice(literal), buffer); break;
    }
}

static const char *operator_text(enum syntax_operator operation)
{
    switch (operation) {
    case OPERATOR_ADD:
    case OPERATOR_PLUS: return "+";
    case OPERATOR_SUBTRACT:
    case OPERATOR_MINUS: return "-";
    case OPERATOR_MULTIPLY: return "*";
    case OPERATOR_DIVIDE: return "/";
    case OPERATOR_MODULO: return "%";
    case OPERATOR_BIT_AND: return "&";
    case OPERATOR_BIT_OR: return "|";
    case OPERATOR_BIT_XOR: return "^";
    case OPERATOR_SHIFT_LEFT: return "<<";
    case OPERATOR_SHIFT_RIGHT: return ">>";
    case OPERATOR_EQUAL: return "=";
    case OPERATOR_NOT_EQUAL: return "!=";
    case OPERATOR_LESS: return "<";
    case OPERATOR_LESS_OR_EQUAL: return "<=";
    case OPERATOR_GREATER: return ">";
    case OPERATOR_GREATER_OR_EQUAL: return ">=";
    case OPERATOR_BIT_NOT: return "~";
    case OPERATOR_NOT: return "NOT ";
    }
    return "";
}

// Whether it is printed the same on its own and inside an operator.
static bool is_primary(const struct syntax *syntax)
{
    switch ((enum syntax_kind)syntax->kind) {
    case SYNTAX_LITERAL:
    case SYNTAX_REFERENCE:
    case SYNTAX_STAR:
    case SYNTAX_CALL:
    case SYNTAX_TUPLE:
    case SYNTAX_CAST:
    case SYNTAX_CASE: return true;
    case SYNTAX_ALIAS: return true; // It is printed as its name.
    case SYNTAX_UNARY:
    case SYNTAX_BINARY:
    case SYNTAX_AND:
    case SYNTAX_OR:
    case SYNTAX_IN:
    case SYNTAX_BETWEEN:
    case SYNTAX_LIKE:
    case SYNTAX_IS_NULL: return false;
    }
    return false;
}

static void print_operand(const struct syntax *syntax, struct buffer *buffer)
{
    if (!is_primary(syntax)) buffer_append_byte(buffer, '(');
    syntax_print(syntax, buffer);
    if (!is_primary(syntax)) buffer_append_byte(buffer, ')');
}

static void print_items(
    const struct syntax *syntax, uint32_t begin, const char *separator, struct buffer *buffer)
{
    for (uint32_t i = begin; i < syntax->count; i++) {
        if (i > begin) buffer_append_text(buffer, separator);
        print_operand(syntax->items[i], buffer);
    }
}

static void print_list(const struct syntax *syntax, struct buffer *buffer)
{
    buffer_append_byte(buffer, '(');
    for (uint32_t i = 0; i < syntax->count; i++) {
        if (i > 0) buffer_append_text(buffer, ", ");
        syntax_print(syntax->items[i], buffer);
    }
    buffer_append_byte(buffer, ')');
}

static void print_between(const struct syntax *syntax, struct buffer *buffer)
{
    bool is_list = syntax->count > 3;
    print_operand(syntax->items[0], buffer);
    buffer_print(buffer, "%s BETWEEN %s", syntax->is_negated ? " NOT" : "", is_list ? "(" : "");
    for (uint32_t i = 1; i < syntax->count; i++) {
        if (i > 1) buffer_append_text(buffer, i % 2 == 0 ? " AND " : ", ");
        print_operand(syntax->items[i], buffer);
    }
    if (is_list) buffer_append_byte(buffer, ')');
}

static void print_case(const struct syntax *syntax, struct buffer *buffer)
{
    buffer_append_text(buffer, "CASE");
    for (uint32_t i = 0; i < syntax->count; i++) {
        uint32_t part = i - syntax->has_operand;
        bool is_operand = i == 0 && syntax->has_operand;
        bool is_last = i + 1 == syntax->count;
        if (!is_operand) {
            buffer_append_text(buffer, part % 2 == 1 ? " THEN" : is_last ? " ELSE" : " WHEN");
        }
        buffer_append_byte(buffer, ' ');
        print_operand(syntax->items[i], buffer);
    }
    buffer_append_text(buffer, " END");
}

void syntax_print(const struct syntax *syntax, struct buffer *buffer)
{
    const char *negation = syntax->is_negated ? " NOT" : "";
    switch ((enum syntax_kind)syntax->kind) {
    case SYNTAX_LITERAL: syntax_print_value(&syntax->literal, buffer); break;
    case SYNTAX_REFERENCE:
        if (syntax->table.size > 0) {
            print_name(syntax->table, buffer);
            buffer_append_byte(buffer, '.');
        }
        print_name(syntax->name, buffer);
        break;
    case SYNTAX_STAR: buffer_append_byte(buffer, '*'); break;
    case SYNTAX_UNARY:
        buffer_append_text(buffer, operator_text(syntax->operation));
        print_operand(syntax->items[0], buffer);
        break;
    case SYNTAX_BINARY:
        print_operand(syntax->items[0], buffer);
        buffer_print(buffer, " %s ", operator_text(syntax->operation));
        print_operand(syntax->items[1], buffer);
        break;
    case SYNTAX_AND: print_items(syntax, 0, " AND ", buffer); break;
    case SYNTAX_OR: print_items(syntax, 0, " OR ", buffer); break;
    case SYNTAX_CALL:
        buffer_append_slice(buffer, syntax->name);
        print_list(syntax, buffer);
        break;
    case SYNTAX_TUPLE: print_list(syntax, buffer); break;
    case SYNTAX_IN:
        print_operand(syntax->items[0], buffer);
        buffer_print(buffer, "%s IN ", negation);
        print_list(syntax->items[1], buffer);
        break;
    case SYNTAX_BETWEEN: print_between(syntax, buffer); break;
    case SYNTAX_LIKE:
        print_operand(syntax->items[0], buffer);
        buffer_print(
            buffer,
            "%s %s ",
            negation,
            syntax->is_regex       ? "RLIKE"
            : syntax->ignores_case ? "ILIKE"
                                   : "LIKE");
        print_items(syntax, 1, " ESCAPE ", buffer);
        break;
    case SYNTAX_IS_NULL:
        print_operand(syntax->items[0], buffer);
        buffer_print(buffer, " IS%s NULL", negation);
        break;
    case SYNTAX_ALIAS: print_name(syntax->name, buffer); break;
    case SYNTAX_CAST:
        buffer_append_text(buffer, "CAST(");
        syntax_print(syntax->items[0], buffer);
        buffer_print(buffer, " AS %.*s)", SLICE(syntax->name));
        break;
    case SYNTAX_CASE: print_case(syntax, buffer); break;
    }
}
