#include "base/regex.h"

#include "base/utf8.h"

#include <assert.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    // A find begins with few steps and is repeated with more, so that what was spent is known.
    FIRST_STEP_COUNT = 2,
    STEP_COUNT_GROWTH = 8,
    HEAP_KIB_MAX = 16 << 10,
    NESTING_MAX = 100, // Of parentheses.
};

struct regex {
    pcre2_code *characters;
    pcre2_code *bytes; // NULL until it is needed.
    pcre2_match_context *context;
    pcre2_match_data *match;
    uint32_t group_count;

    struct slice text;
    const pcre2_code *code; // The one for this text.
    uint64_t work_left;

    size_t pattern_size;
    char pattern[];
};

static struct error *compile(struct slice pattern, uint32_t options, pcre2_code **ret_code)
{
    pcre2_compile_context *context = must_alloc(pcre2_compile_context_create(NULL));
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context, NESTING_MAX);
    int code;
    PCRE2_SIZE offset;
    options |= PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)pattern.data, pattern.size, options, &code, &offset, context);
    pcre2_compile_context_free(context);
    if (compiled) {
        *ret_code = compiled;
        return NULL;
    }
    char message[128] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
    return error_wrap(
        error_new(ERROR_GENERIC, "At byte %zu: %s", (size_t)offset, message),
        ERROR_GENERIC,
        "Error parsing regular expression \"%.*s\"",
        SLICE(pattern));
}

struct error *regex_new(struct slice pattern, struct regex **ret_regex)
{
    if (pattern.size > REGEX_PATTERN_SIZE_MAX) {
        return error_set_u64(
            error_new(ERROR_GENERIC, "A regular expression is too long: %zu bytes", pattern.size),
            "limit",
            REGEX_PATTERN_SIZE_MAX);
    }
    CLEANUP(regex_freep)
    struct regex *regex = must_alloc(calloc(1, sizeof *regex + pattern.size));
    regex->pattern_size = pattern.size;
    if (pattern.size > 0) memcpy(regex->pattern, pattern.data, pattern.size);
    TRY(compile(regex_pattern(regex), PCRE2_UTF, &regex->characters));
    pcre2_pattern_info(regex->characters, PCRE2_INFO_CAPTURECOUNT, &regex->group_count);
    regex->match = must_alloc(pcre2_match_data_create_from_pattern(regex->characters, NULL));
    regex->context = must_alloc(pcre2_match_context_create(NULL));
    pcre2_set_heap_limit(regex->context, HEAP_KIB_MAX);
    *ret_regex = TAKE(regex);
    return NULL;
}

void regex_free(struct regex *regex)
{
    if (!regex) return;
    pcre2_code_free(regex->characters);
    pcre2_code_free(regex->bytes);
    pcre2_match_context_free(regex->context);
    pcre2_match_data_free(regex->match);
    free(regex);
}

struct slice regex_pattern(const struct regex *regex)
{
    return slice_from(regex->pattern, regex->pattern_size);
}

uint32_t regex_group_count(const struct regex *regex)
{
    return regex->group_count;
}

struct error *regex_set_text(struct regex *regex, struct slice text)
{
    bool is_utf8 = utf8_is_valid(text);
    if (!is_utf8 && !regex->bytes) TRY(compile(regex_pattern(regex), 0, &regex->bytes));
    regex->code = is_utf8 ? regex->characters : regex->bytes;
    regex->text = text.data ? text : SLICE_OF("");
    regex->work_left = REGEX_WORK_MAX;
    return NULL;
}

struct slice regex_text(const struct regex *regex)
{
    return regex->text;
}

static struct error *too_much_work(const struct regex *regex)
{
    return error_set_u64(
        error_new(
            ERROR_GENERIC,
            "Regular expression \"%.*s\" takes too long on a string of %zu bytes: there are too "
            "many ways to match it",
            SLICE(regex_pattern(regex)),
            regex->text.size),
        "limit",
        REGEX_WORK_MAX);
}

struct error *regex_find(
    struct regex *regex, size_t begin, enum regex_mode mode, bool *ret_is_found)
{
    assert(regex->code && begin <= regex->text.size);
    uint32_t options = PCRE2_NO_UTF_CHECK; // It was checked when the text was set.
    if (mode == REGEX_WHOLE) options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
    // A step may run over all that is left, `[a-z]*` for one.
    uint64_t step_work = MAX(regex->text.size - begin, (size_t)1);
    uint64_t step_count = FIRST_STEP_COUNT;
    int count;
    do {
        step_count = MIN(step_count, regex->work_left / step_work);
        if (step_count == 0) return too_much_work(regex);
        regex->work_left -= step_count * step_work;
        pcre2_set_match_limit(regex->context, (uint32_t)step_count);
        count = pcre2_match(
            regex->code,
            (PCRE2_SPTR)regex->text.data,
            regex->text.size,
            begin,
            options,
            regex->match,
            regex->context);
        step_count *= STEP_COUNT_GROWTH;
    } while (count == PCRE2_ERROR_MATCHLIMIT);
    *ret_is_found = count > 0;
    return count > 0 || count == PCRE2_ERROR_NOMATCH ? NULL : too_much_work(regex);
}

struct slice regex_group(const struct regex *regex, uint32_t group)
{
    assert(group <= regex->group_count);
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(regex->match);
    PCRE2_SIZE begin = ends[2 * (size_t)group];
    PCRE2_SIZE end = ends[2 * (size_t)group + 1];
    if (begin == PCRE2_UNSET) return (struct slice){0};
    return slice_from(regex->text.data + begin, end - begin);
}

size_t regex_character_size(const struct regex *regex, size_t position)
{
    assert(position < regex->text.size);
    struct slice rest = slice_from(regex->text.data + position, regex->text.size - position);
    if (regex->code == regex->bytes || utf8_next(&rest) == UTF8_INVALID) return 1;
    return regex->text.size - position - rest.size;
}
