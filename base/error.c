#include "base/error.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

struct attribute {
    char *key;
    char *value;
    struct attribute *next;
};

struct error {
    enum error_code code;
    char *message;
    struct attribute *attributes; // In the order they were set.
    struct error *inner;          // The first cause; the others follow by `next`.
    struct error *next;
};

static const char *code_name(enum error_code code)
{
    switch (code) {
#define X(name, value) \
    case ERROR_##name: return #name;
        ERROR_CODES(X)
#undef X
    }
    return "UNKNOWN"; // And no default above, so that the compiler asks for new codes.
}

PRINTF_LIKE(2, 0)
static struct error *error_newv(enum error_code code, const char *format, va_list args)
{
    struct error *error = must_alloc(calloc(1, sizeof *error));
    error->code = code;
    if (vasprintf(&error->message, format, args) < 0) abort();
    return error;
}

struct error *error_new(enum error_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct error *error = error_newv(code, format, args);
    va_end(args);
    return error;
}

struct error *error_wrap(struct error *inner, enum error_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct error *error = error_newv(code, format, args);
    va_end(args);
    return error_add_inner(error, inner);
}

struct error *error_new_with_code(int code, const char *message)
{
    return error_new((enum error_code)code, "%s", message);
}

struct error *error_add_inner(struct error *error, struct error *inner)
{
    assert(inner);
    assert(!inner->next); // It has no owner yet.
    struct error **end = &error->inner;
    while (*end) end = &(*end)->next;
    *end = inner;
    return error;
}

struct error *error_set_u64(struct error *error, const char *key, uint64_t value)
{
    char text[sizeof "18446744073709551615"];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return error_set_str(error, key, text);
}

struct error *error_set_str(struct error *error, const char *key, const char *value)
{
    assert(!error_attribute(error, key));
    struct attribute *attribute = must_alloc(calloc(1, sizeof *attribute));
    attribute->key = must_alloc(strdup(key));
    attribute->value = must_alloc(strdup(value));

    struct attribute **end = &error->attributes;
    while (*end) end = &(*end)->next;
    *end = attribute;
    return error;
}

enum error_code error_code(const struct error *error)
{
    return error->code;
}

const char *error_message(const struct error *error)
{
    return error->message;
}

const struct error *error_inner(const struct error *error)
{
    return error->inner;
}

const struct error *error_next(const struct error *inner)
{
    return inner->next;
}

void error_each_attribute(
    const struct error *error,
    void (*visit)(void *context, const char *key, const char *value),
    void *context)
{
    for (const struct attribute *a = error->attributes; a; a = a->next)
        visit(context, a->key, a->value);
}

const char *error_attribute(const struct error *error, const char *key)
{
    for (const struct attribute *a = error->attributes; a; a = a->next) {
        if (strcmp(a->key, key) == 0) return a->value;
    }
    return NULL;
}

// The recursion below goes as deep as errors are wrapped, which is as deep as functions call each
// other; the decoder bounds what comes from the wire.
// NOLINTBEGIN(misc-no-recursion)

const struct error *error_find(const struct error *error, enum error_code code)
{
    if (!error || error->code == code) return error;
    for (const struct error *inner = error->inner; inner; inner = inner->next) {
        const struct error *found = error_find(inner, code);
        if (found) return found;
    }
    return NULL;
}

struct error *error_copy(const struct error *error)
{
    if (!error) return NULL;
    struct error *copy = error_new(error->code, "%s", error->message);
    for (const struct attribute *a = error->attributes; a; a = a->next) {
        error_set_str(copy, a->key, a->value);
    }
    for (const struct error *inner = error->inner; inner; inner = inner->next) {
        error_add_inner(copy, error_copy(inner));
    }
    return copy;
}

static void print_indented(const struct error *error, FILE *stream, int indent)
{
    const char *name = code_name(error->code);
    fprintf(stream, "%*s%s [%d %s]\n", indent, "", error->message, error->code, name);
    for (const struct attribute *a = error->attributes; a; a = a->next) {
        fprintf(stream, "%*s  %s = %s\n", indent, "", a->key, a->value);
    }
    for (const struct error *inner = error->inner; inner; inner = inner->next) {
        print_indented(inner, stream, indent + 4);
    }
}

void error_print(const struct error *error, FILE *stream)
{
    print_indented(error, stream, 0);
}

void error_free(struct error *error)
{
    if (!error) return;
    while (error->inner) {
        struct error *inner = error->inner;
        error->inner = inner->next;
        error_free(inner);
    }
    while (error->attributes) {
        struct attribute *attribute = error->attributes;
        error->attributes = attribute->next;
        free(attribute->key);
        free(attribute->value);
        free(attribute);
    }
    free(error->message);
    free(error);
}

// NOLINTEND(misc-no-recursion)
