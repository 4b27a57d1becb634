// Parameters of a command from an HTTP request: query, headers and body, merged in this order.
// Later ones win; maps are merged deeply. docs/http.md has the rules. Source: YTsaurus
// yt/yt/server/http_proxy/context.cpp.
#pragma once

#include "model/format.h"

#define HTTP_PARAMETER_COUNT_MAX 1024 // Pairs of a query, and parts of a header.

struct http_parameter { // A pair of the query.
    struct slice key;   // Such as output_format[$attributes][encode_utf8].
    struct slice value;
};

// What a request's head says; all borrowed. Headers that are not there are empty.
struct http_head {
    const struct http_parameter *query;
    size_t query_count;
    struct slice header_format; // X-YT-Header-Format
    struct slice parameters;    // X-YT-Parameters
    const struct slice *parts;  // X-YT-Parameters0, -1, …: parts of base64.
    size_t part_count;
    struct slice input_format;  // X-YT-Input-Format
    struct slice output_format; // X-YT-Output-Format
    struct slice content_type;  // Content-Type
    struct slice accept;        // Accept
};

// Reads all but the body. `*ret_parameters` is a map; it has `input_format` and `output_format` if
// anything but the body says what they are.
MUST_USE struct error *http_parameters_read(
    struct arena *arena, const struct http_head *head, struct node **ret_parameters);

// The format of headers, which X-YT-Header-Format names; JSON if it is empty.
MUST_USE struct error *http_parameters_header_format(
    struct arena *arena, struct slice header, struct format *ret_format);

// Adds what the body of a POST says, in the input format. An empty one says nothing.
MUST_USE struct error *http_parameters_add_body(
    struct arena *arena, struct node *parameters, struct slice body);

// The format that a parameter names; `*format` stays as it is if there is none.
MUST_USE struct error *http_parameters_format(
    const struct node *parameters, const char *name, struct format *format);
