// Paths to objects and their attributes: //home/table/@attr/key, #1-2-3-4/@state.
//
// A path is a root (`/` for the tree, `#id` for an object), node names, and after `/@` a path
// inside attributes. Names may hold any byte, with \\ \/ \@ \& \* \[ \{ and \xHH escaped. The mark
// `&` after the last name means a link itself; selectors of rows and columns are refused.
// Source: YTsaurus docs "YPath".
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "model/guid.h"
#include "model/node.h"

#define YPATH_SIZE_MAX  (UINT64_C(64) << 10)
#define YPATH_DEPTH_MAX 256

struct ypath {
    struct slice text;   // The whole path as given, for messages.
    struct slice plain;  // The same without the attributes before it.
    struct guid root;    // Null for paths from the tree's root.
    struct slice *names; // Of nodes below the root, unescaped.
    uint16_t name_count;
    bool keeps_link;         // `&`: if this is a link, it itself is meant, not what it leads to.
    bool has_attribute;      // Whether there is `/@`.
    struct slice *attribute; // Names below it; `/@` alone means all attributes.
    uint16_t attribute_count;
    struct node *attributes; // Of a rich path <append=%true>//t, a map; NULL if there are none.
};

// Parses a path; everything lives in `arena`. Errors (code 1) name the path and the place.
MUST_USE struct error *ypath_parse(struct arena *arena, struct slice text, struct ypath *ret_path);

// Appends `/name`, escaped, to a path's text.
void ypath_print_name(struct slice name, struct buffer *buffer);
