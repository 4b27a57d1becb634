// Functions of regular expressions. The pattern comes first; null matches nothing.
//
// Source: YTsaurus, where RE2 does the work: what a rewrite may say, and what becomes of empty
// matches, is as in RE2::Replace, GlobalReplace and Extract.
#include "cluster/query/functions_code.h"

#include <assert.h>

// Compiles the first argument, and has it look into the second.
static struct error *open_regex(
    struct function_context *context,
    const struct value *const *arguments,
    struct regex **ret_regex)
{
    struct regex *regex;
    TRY(regex_cache_get(&context->regexes, value_slice(arguments[0]), &regex));
    TRY(regex_set_text(regex, value_slice(arguments[1])));
    *ret_regex = regex;
    return NULL;
}

static struct value match(
    struct function_context *context, const struct value *const *arguments, enum regex_mode mode)
{
    if (arguments[0]->type == VALUE_NULL || arguments[1]->type == VALUE_NULL) {
        return value_boolean(0, false);
    }
    struct regex *regex;
    TRY_FUNCTION(context, open_regex(context, arguments, &regex));
    bool is_found;
    TRY_FUNCTION(context, regex_find(regex, 0, mode, &is_found));
    return value_boolean(0, is_found);
}

FUNCTION(regex_full_match)
{
    assert(count == 2);
    return match(context, arguments, REGEX_WHOLE);
}

FUNCTION(regex_partial_match)
{
    assert(count == 2);
    return match(context, arguments, REGEX_SEARCH);
}

// A rewrite is text, where a backslash and a digit stand for a group, and two for one.
static struct error *append_rewrite(
    struct buffer *buffer, const struct regex *regex, struct slice rewrite)
{
    for (size_t i = 0; i < rewrite.size; i++) {
        char byte = rewrite.data[i];
        if (byte != '\\') {
            buffer_append_byte(buffer, (uint8_t)byte);
            continue;
        }
        char next = ++i < rewrite.size ? rewrite.data[i] : 0;
        uint32_t group = (uint32_t)(next - '0');
        if (next == '\\') {
            buffer_append_byte(buffer, '\\');
        } else if (next < '0' || next > '9') {
            return error_new(
                ERROR_GENERIC,
                "In rewrite \"%.*s\" a backslash is not followed by a digit or a backslash",
                SLICE(rewrite));
        } else if (group > regex_group_count(regex)) {
            return error_new(
                ERROR_GENERIC,
                "Rewrite \"%.*s\" asks for group %u, and regular expression \"%.*s\" has %u",
                SLICE(rewrite),
                group,
                SLICE(regex_pattern(regex)),
                regex_group_count(regex));
        } else {
            buffer_append_slice(buffer, regex_group(regex, group));
        }
    }
    return buffer_check(buffer, "A string that is computed");
}

static struct error *replace(
    struct regex *regex,
    struct slice text,
    struct slice rewrite,
    bool replaces_all,
    struct buffer *result)
{
    size_t position = 0;    // What is before has been copied or replaced.
    const char *end = NULL; // Of the match before.
    while (position <= text.size) {
        bool is_found;
        TRY(regex_find(regex, position, REGEX_SEARCH, &is_found));
        if (!is_found) break;
        struct slice found = regex_group(regex, 0);
        size_t begin = (size_t)(found.data - text.data);
        buffer_append(result, text.data + position, begin - position);
        position = begin;
        if (found.size == 0 && found.data == end) {
            // Nothing is replaced where something just was; on past the next character.
            if (position == text.size) return NULL;
            size_t size = regex_character_size(regex, position);
            buffer_append(result, text.data + position, size);
            position += size;
            continue;
        }
        TRY(append_rewrite(result, regex, rewrite));
        position += found.size;
        end = found.data + found.size;
        if (!replaces_all) break;
    }
    buffer_append(result, text.data + position, text.size - position);
    return NULL;
}

static struct value replace_in(
    struct function_context *context, const struct value *const *arguments, bool replaces_all)
{
    struct regex *regex;
    TRY_FUNCTION(context, open_regex(context, arguments, &regex));
    CLEANUP(buffer_releasep) struct buffer result = {.size_max = FUNCTION_STRING_SIZE_MAX};
    struct slice text = regex_text(regex);
    TRY_FUNCTION(context, replace(regex, text, value_slice(arguments[2]), replaces_all, &result));
    return function_string(context, &result);
}

FUNCTION(regex_replace_first)
{
    assert(count == 3);
    return replace_in(context, arguments, false);
}

FUNCTION(regex_replace_all)
{
    assert(count == 3);
    return replace_in(context, arguments, true);
}

FUNCTION(regex_extract)
{
    assert(count == 3);
    struct regex *regex;
    TRY_FUNCTION(context, open_regex(context, arguments, &regex));
    CLEANUP(buffer_releasep) struct buffer result = {.size_max = FUNCTION_STRING_SIZE_MAX};
    bool is_found;
    TRY_FUNCTION(context, regex_find(regex, 0, REGEX_SEARCH, &is_found));
    if (is_found) TRY_FUNCTION(context, append_rewrite(&result, regex, value_slice(arguments[2])));
    return function_string(context, &result);
}

FUNCTION(regex_escape)
{
    assert(count == 1);
    CLEANUP(buffer_releasep) struct buffer result = {.size_max = FUNCTION_STRING_SIZE_MAX};
    struct slice text = value_slice(arguments[0]);
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool is_word = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= '0' && byte <= '9') || byte == '_' || (byte & 0x80) != 0;
        if (byte == 0) {
            buffer_append_text(&result, "\\x00");
            continue;
        }
        if (!is_word) buffer_append_byte(&result, '\\');
        buffer_append_byte(&result, (uint8_t)byte);
    }
    return function_string(context, &result);
}
