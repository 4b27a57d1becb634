// Errors as HTTP clients read them: one line of JSON in ASCII, in the header X-YT-Error and again
// as the body.
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

// A response's head must stay below 16 KiB (Node.js).
#define HTTP_ERROR_HEADER_SIZE_MAX 12000

// Writes an error as JSON: what is not ASCII as \uXXXX, bytes that are no UTF-8 as U+FFFD.
void http_error_print(const struct error *error, struct buffer *json);

// Its message in ASCII without control characters, for the header X-YT-Response-Message. In the
// arena.
const char *http_error_message(struct arena *arena, const struct error *error);
