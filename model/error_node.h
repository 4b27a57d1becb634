// Errors as nodes, the way YTsaurus writes them:
// {code=…;message=…;attributes={…};inner_errors=[…]}.
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "model/node.h"

#define ERROR_DEPTH_MAX 16

// Makes the node; success (NULL) is {code=0;message="";…}.
MUST_USE struct node *error_to_node(struct arena *arena, const struct error *error);

// Reads such a node, tolerant of what is missing; nesting beyond ERROR_DEPTH_MAX is cut off.
// Returns NULL for code 0.
MUST_USE struct error *error_from_node(const struct node *node);

// The same as binary YSON, for the wire. A malformed text becomes an error that says so.
void error_encode(const struct error *error, struct buffer *buffer);
MUST_USE struct error *error_decode(struct slice bytes);
