#include "base/log.h"

#include <inttypes.h>
#include <time.h>

static const char *const LEVEL_NAMES[] = {
    [LOG_LEVEL_DEBUG] = "debug",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_ERROR] = "error",
};

enum { LEVEL_COUNT = sizeof LEVEL_NAMES / sizeof *LEVEL_NAMES, CAUSE_COUNT_MAX = 8 };

// A line being made; one byte is kept for the newline.
struct line {
    size_t size;
    char bytes[LOG_LINE_SIZE_MAX];
};

static void add_byte(struct line *line, char byte)
{
    if (line->size < sizeof line->bytes - 1) line->bytes[line->size++] = byte;
}

static void add_text(struct line *line, const char *text)
{
    for (; *text; text++) add_byte(line, *text);
}

char *log_print_time(uint64_t wall_us, char *text)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t size = strftime(text, LOG_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + size, LOG_TIME_MAX - size, ".%06" PRIu64 "Z", wall_us % 1000000);
    return text;
}

static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c == 0x7f) return false;
    }
    return text.size > 0;
}

static void add_escaped(struct line *line, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        char escape[8] = {(char)c};
        if (c == '"' || c == '\\') snprintf(escape, sizeof escape, "\\%c", c);
        if (c < ' ' || c == 0x7f) snprintf(escape, sizeof escape, "\\x%02x", c);
        if (c == '\n') snprintf(escape, sizeof escape, "\\n");
        add_text(line, escape);
    }
}

static void add_value(struct line *line, struct slice text)
{
    bool needs_quotes = !is_plain(text);
    if (needs_quotes) add_byte(line, '"');
    add_escaped(line, text);
    if (needs_quotes) add_byte(line, '"');
}

static void add_error(struct line *line, const struct error *error)
{
    add_byte(line, '"');
    for (int i = 0; error && i < CAUSE_COUNT_MAX; i++, error = error_inner(error)) {
        if (i > 0) add_text(line, ": ");
        add_escaped(line, slice_from_text(error_message(error)));
    }
    add_byte(line, '"');
}

static void add_field(struct line *line, const struct log_field *field)
{
    add_byte(line, ' ');
    add_text(line, field->key);
    add_byte(line, '=');
    switch (field->kind) {
    case LOG_FIELD_TEXT: add_value(line, field->text); break;
    case LOG_FIELD_ERROR: add_error(line, field->error); break;
    case LOG_FIELD_U64: {
        char number[24];
        snprintf(number, sizeof number, "%" PRIu64, field->u64);
        add_text(line, number);
        break;
    }
    }
}

void log_write(
    const struct log *log,
    enum log_level level,
    const char *sentence,
    const struct log_field *fields,
    size_t field_count)
{
    if (level < log->level) return;
    struct line line;
    line.size = 0;
    add_text(&line, log_print_time(log->wall_us(), (char[LOG_TIME_MAX]){0}));
    add_byte(&line, ' ');
    add_text(&line, log_level_name(level));
    add_byte(&line, ' ');
    add_text(&line, sentence);
    for (size_t i = 0; i < field_count; i++) add_field(&line, &fields[i]);
    line.bytes[line.size++] = '\n';
    // Where to complain if that fails?
    (void)!fwrite(line.bytes, 1, line.size, log->stream);
    fflush(log->stream);
}

const char *log_level_name(enum log_level level)
{
    return LEVEL_NAMES[level];
}

bool log_level_parse(struct slice name, enum log_level *ret_level)
{
    for (int i = 0; i < LEVEL_COUNT; i++) {
        if (!slice_equal_text(name, LEVEL_NAMES[i])) continue;
        *ret_level = (enum log_level)i;
        return true;
    }
    return false;
}
