// Log lines: a constant sentence, then facts as key=value, to be read and searched.
//
//     2026-11-21T08:00:00.123456Z info Replica switched to async replica_id=1-2-3-4 lag_ms=5210
//
//     log_info(log, "Replica switched to async", LOG_TEXT("replica_id", id), LOG_U64("lag_ms",
//     lag));
//
// A line is made in a buffer of its own size and written at once, so lines of several threads do
// not mix; nothing is allocated, and what is too long is cut. Values with spaces, quotes or control
// characters are quoted. No secrets and no row data may come here.
#pragma once

#include "base/error.h"
#include "base/slice.h"

#include <stdint.h>
#include <stdio.h>

#define LOG_LINE_SIZE_MAX 4096

enum log_level {
    LOG_LEVEL_DEBUG,   // Each request.
    LOG_LEVEL_INFO,    // States change; rare.
    LOG_LEVEL_WARNING, // Odd, and handled.
    LOG_LEVEL_ERROR,   // Somebody must act.
};

struct log {
    enum log_level level;      // Lines below it are not written.
    FILE *stream;              // Borrowed.
    uint64_t (*wall_us)(void); // The clock: io/clock.h, or the simulator's.
};

struct log_field {
    const char *key;
    enum { LOG_FIELD_TEXT, LOG_FIELD_U64, LOG_FIELD_ERROR } kind;
    union {
        struct slice text;
        uint64_t u64;
        const struct error *error;
    };
};

#define LOG_SLICE(name, value) \
    ((struct log_field){.key = (name), .kind = LOG_FIELD_TEXT, .text = (value)})
#define LOG_TEXT(name, value) LOG_SLICE((name), slice_from_text(value))
#define LOG_U64(name, value) \
    ((struct log_field){.key = (name), .kind = LOG_FIELD_U64, .u64 = (value)})

// The messages of an error and of its first causes.
#define LOG_CAUSE(value) \
    ((struct log_field){.key = "error", .kind = LOG_FIELD_ERROR, .error = (value)})

// Writes a line. Borrows everything; any thread.
void log_write(
    const struct log *log,
    enum log_level level,
    const char *sentence,
    const struct log_field *fields,
    size_t field_count);

#define LOG_WRITE(log, level, sentence, ...)     \
    log_write(                                   \
        (log),                                   \
        (level),                                 \
        (sentence),                              \
        (const struct log_field[]){__VA_ARGS__}, \
        sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

#define log_debug(log, ...)   LOG_WRITE((log), LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(log, ...)    LOG_WRITE((log), LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(log, ...) LOG_WRITE((log), LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(log, ...)   LOG_WRITE((log), LOG_LEVEL_ERROR, __VA_ARGS__)

#define LOG_TIME_MAX 40

// Prints a time since 1970 as lines begin with it into LOG_TIME_MAX bytes, and returns them.
char *log_print_time(uint64_t wall_us, char *text);

// "debug", "info", "warning", "error".
const char *log_level_name(enum log_level level);

// False if there is no such level.
bool log_level_parse(struct slice name, enum log_level *ret_level);
