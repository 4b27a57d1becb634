// Errors as values: a tree of (code, message, attributes, inner errors).
//
// The shape is that of YTsaurus TError, so an error reaches the wire, the CLI and the HTTP proxy
// with nothing lost. NULL is success. A function that can fail returns `struct error *`, and its
// caller owns that: hands it on with TRY, adds to it with error_wrap, answers it, or frees it.
#pragma once

#include "base/base.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

// Codes are part of the protocol: clients decide by them what to retry. These are the ones that
// occur; docs/compatibility.md says why YTsaurus's others do not.
// Source: YTsaurus yt/yt/core/misc/public.h, yt/yt/client/tablet_client/public.h.
#define ERROR_CODES(X)                             \
    X(GENERIC, 1)                                  \
    X(CANCELED, 2)                                 \
    X(TIMEOUT, 3)                                  \
    X(RPC_UNAVAILABLE, 105)                        \
    X(INVALID_CREDENTIALS, 111)                    \
    X(SCHEMA_VIOLATION, 307)                       \
    X(ROW_WEIGHT_LIMIT_EXCEEDED, 308)              \
    X(INCOMPATIBLE_SCHEMAS, 316)                   \
    X(TOO_MANY_COLUMNS_IN_KEY, 320)                \
    X(TOO_MANY_VALUES_IN_ROW, 321)                 \
    X(DUPLICATE_COLUMN_IN_SCHEMA, 322)             \
    X(MISSING_REQUIRED_COLUMN_IN_SCHEMA, 323)      \
    X(STRING_LENGTH_LIMIT_EXCEEDED, 326)           \
    X(CONCURRENT_TRANSACTION_LOCK_CONFLICT, 402)   \
    X(RESOLVE_ERROR, 500)                          \
    X(ALREADY_EXISTS, 501)                         \
    X(AUTHENTICATION_ERROR, 900)                   \
    X(ACCESS_DENIED, 901)                          \
    X(ACCOUNT_LIMIT_EXCEEDED, 902)                 \
    X(SAFE_MODE_ENABLED, 906)                      \
    X(NO_SUCH_SUBJECT, 907)                        \
    X(ALREADY_PRESENT_IN_GROUP, 908)               \
    X(TRANSACTION_LOCK_CONFLICT, 1700)             \
    X(TABLET_NOT_MOUNTED, 1702)                    \
    X(TABLE_REPLICA_ALREADY_EXISTS, 1705)          \
    X(INVALID_TABLET_STATE, 1706)                  \
    X(QUERY_INPUT_ROW_COUNT_LIMIT_EXCEEDED, 1709)  \
    X(QUERY_OUTPUT_ROW_COUNT_LIMIT_EXCEEDED, 1710) \
    X(QUERY_EXPRESSION_DEPTH_LIMIT_EXCEEDED, 1711) \
    X(BLOCKED_ROW_WAIT_TIMEOUT, 1713)              \
    X(NO_SYNC_REPLICAS, 1714)                      \
    X(TABLE_MUST_NOT_BE_REPLICATED, 1715)          \
    X(TABLE_MUST_BE_SORTED, 1716)                  \
    X(TOO_MANY_ROWS_IN_TRANSACTION, 1717)          \
    X(UPSTREAM_REPLICA_MISMATCH, 1718)             \
    X(REQUEST_THROTTLED, 1725)                     \
    X(COLUMN_NOT_FOUND, 1726)                      \
    X(SYNC_REPLICA_NOT_IN_SYNC, 1732)              \
    X(NO_IN_SYNC_REPLICAS, 1736)                   \
    X(NO_SUCH_TRANSACTION, 11000)

enum error_code {
#define X(name, value) ERROR_##name = (value),
    ERROR_CODES(X)
#undef X
};

struct error;

// Makes an error. The message is a sentence without its full stop, and names what it is about.
MUST_USE PRINTF_LIKE(2, 3) struct error *error_new(enum error_code code, const char *format, ...);

// Makes an error caused by `inner`, which it takes over. Worth doing where it adds what the inner
// error cannot know: which replica, which tablet, in the course of what.
MUST_USE PRINTF_LIKE(3, 4) struct error *error_wrap(
    struct error *inner, enum error_code code, const char *format, ...);

// Adds one more cause, which `error` takes over: several replicas may fail one commit.
struct error *error_add_inner(struct error *error, struct error *inner);

// Add a fact for programs to read; both texts are copied. These and
// error_add_inner return `error`, to be chained.
struct error *error_set_u64(struct error *error, const char *key, uint64_t value);
struct error *error_set_str(struct error *error, const char *key, const char *value);

// Sets what programs act on, for errors that came over the wire with a code this build does not
// know.
MUST_USE struct error *error_new_with_code(int code, const char *message);

// Borrowed from the error, like all that these return. An attribute is text; NULL if the error does
// not have it itself.
enum error_code error_code(const struct error *error);
const char *error_message(const struct error *error);
const char *error_attribute(const struct error *error, const char *key);

// Returns the first error with this code, outer before inner, or NULL; NULL may be given, too. So a
// caller tells "throttled" from "broken", however often the error was wrapped.
const struct error *error_find(const struct error *error, enum error_code code);

// The causes of an error, in order: the first, then from each the next; NULL at the end.
const struct error *error_inner(const struct error *error);
const struct error *error_next(const struct error *inner);

// Calls for each attribute of the error itself, in the order they were set.
void error_each_attribute(
    const struct error *error,
    void (*visit)(void *context, const char *key, const char *value),
    void *context);

// A copy of the whole tree; NULL of NULL.
MUST_USE struct error *error_copy(const struct error *error);

// Prints the tree, a line for each error and each attribute.
void error_print(const struct error *error, FILE *stream);

// Frees the whole tree; NULL is allowed, as in free().
void error_free(struct error *error);

static inline void error_freep(struct error **error)
{
    error_free(*error);
}

// Returns from the calling function with the error of `expression`, if there is one.
#define TRY(expression)                          \
    do {                                         \
        struct error *try_error_ = (expression); \
        if (try_error_) return try_error_;       \
    } while (0)
