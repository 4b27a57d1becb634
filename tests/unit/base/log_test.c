#include "base/log.h"

#include "tests/test.h"

static uint64_t some_moment(void)
{
    return UINT64_C(1795248000123456);
}

static char text[2 * LOG_LINE_SIZE_MAX];

static struct log memory_log(enum log_level level)
{
    memset(text, 0, sizeof text);
    return (struct log){
        .level = level,
        .stream = fmemopen(text, sizeof text, "w"),
        .wall_us = some_moment,
    };
}

Test(log, writes_a_sentence_and_its_facts)
{
    struct log log = memory_log(LOG_LEVEL_INFO);
    log_info(
        &log, "Replica switched to async", LOG_TEXT("replica_id", "1-2-3"), LOG_U64("lag_ms", 7));
    log_warning(&log, "Nothing to tell");
    fclose(log.stream);
    assert_text(
        text,
        "2026-11-21T08:00:00.123456Z info Replica switched to async replica_id=1-2-3 lag_ms=7\n"
        "2026-11-21T08:00:00.123456Z warning Nothing to tell\n");
}

Test(log, quotes_values_where_it_must)
{
    struct log log = memory_log(LOG_LEVEL_INFO);
    CLEANUP(error_freep)
    struct error *error =
        error_wrap(error_new(ERROR_GENERIC, "no \"such\" file\n"), ERROR_GENERIC, "Cannot open");
    log_error(&log, "It failed", LOG_CAUSE(error), LOG_TEXT("empty", ""), LOG_TEXT("a", "b=c"));
    fclose(log.stream);
    assert_text(
        text,
        "2026-11-21T08:00:00.123456Z error It failed "
        "error=\"Cannot open: no \\\"such\\\" file\\n\" empty=\"\" a=\"b=c\"\n");
}

Test(log, leaves_out_what_is_below_its_level)
{
    struct log log = memory_log(LOG_LEVEL_WARNING);
    log_info(&log, "Not this");
    log_debug(&log, "Nor this");
    fclose(log.stream);
    assert_text(text, "");
}

Test(log, cuts_long_lines)
{
    struct log log = memory_log(LOG_LEVEL_INFO);
    char value[2 * LOG_LINE_SIZE_MAX];
    memset(value, 'x', sizeof value);
    log_info(&log, "Long", LOG_SLICE("value", slice_from(value, sizeof value)));
    fclose(log.stream);
    cr_assert_eq(strlen(text), LOG_LINE_SIZE_MAX);
    cr_assert_eq(text[LOG_LINE_SIZE_MAX - 1], '\n');
}

Test(log, knows_its_levels_by_name)
{
    enum log_level level = LOG_LEVEL_INFO;
    cr_assert(log_level_parse(SLICE_OF("debug"), &level));
    cr_assert_eq(level, LOG_LEVEL_DEBUG);
    cr_assert(not(log_level_parse(SLICE_OF("loud"), &level)));
}
