// Object ids: 128 bits, printed as YTsaurus prints them, 730e-68d3e-3ff01a9-325bbdcd.
//
// Four 32-bit parts in hexadecimal without leading zeros, most significant first: A-B-C-D. A and B
// are a creation counter (high, low word), C is (cell tag << 16) | object type, D a hash.
// Source: YTsaurus yt/yt/client/object_client/helpers-inl.h.
#pragma once

#include "base/error.h"
#include "base/slice.h"

#include <stdint.h>

struct guid {
    uint64_t high; // A << 32 | B.
    uint64_t low;  // C << 32 | D.
};

#define GUID_NULL     ((struct guid){0, 0})
#define GUID_TEXT_MAX 36 // With the NUL.

// Object types, as in the third part of an id.
#define OBJECT_TYPES(X)                                        \
    X(MAP_NODE, map_node, 303)                                 \
    X(TABLE, table, 401)                                       \
    X(REPLICATED_TABLE, replicated_table, 425)                 \
    X(TABLET_CELL, tablet_cell, 700)                           \
    X(TABLET, tablet, 702)                                     \
    X(TABLE_REPLICA, table_replica, 709)                       \
    X(TABLE_COLLOCATION, table_collocation, 1302)              \
    X(LINK, link, 417)                                         \
    X(DOCUMENT, document, 421)                                 \
    X(STRING_NODE, string_node, 300)                           \
    X(INT64_NODE, int64_node, 301)                             \
    X(DOUBLE_NODE, double_node, 302)                           \
    X(LIST_NODE, list_node, 304)                               \
    X(BOOLEAN_NODE, boolean_node, 305)                         \
    X(UINT64_NODE, uint64_node, 306)                           \
    X(ATOMIC_TABLET_TRANSACTION, atomic_tablet_transaction, 2) \
    X(TRANSACTION, transaction, 1)                             \
    X(USER, user, 501)                                         \
    X(GROUP, group, 502)                                       \
    X(LOCK, lock, 200)                                         \
    X(CLUSTER, cluster, 65000)

enum object_type {
#define X(name, text, number) OBJECT_##name = (number),
    OBJECT_TYPES(X)
#undef X
};

// "table", "map_node" …; NULL for a number that is no type.
const char *object_type_name(enum object_type type);

// Finds the type by its name; false if there is none.
bool object_type_parse(struct slice name, enum object_type *ret_type);

static inline bool guid_equal(struct guid a, struct guid b)
{
    return a.high == b.high && a.low == b.low;
}

static inline bool guid_is_null(struct guid id)
{
    return id.high == 0 && id.low == 0;
}

// The object type's number; any 16 bits in an id that a user made up.
static inline uint16_t guid_type(struct guid id)
{
    return (uint16_t)(id.low >> 32);
}

// The `counter`-th object of a type in a cell; the hash part is mixed from all the rest and `salt`.
struct guid guid_make(uint64_t counter, uint16_t cell_tag, enum object_type type, uint32_t salt);

// Prints into `text`, at least GUID_TEXT_MAX bytes, and returns it.
const char *guid_print(struct guid id, char *text);

// For messages: GUID_TEXT(id) lives as long as the enclosing expression's block.
#define GUID_TEXT(id) guid_print((id), (char[GUID_TEXT_MAX]){0})

// Parses four groups of 1 to 8 hexadecimal digits, lenient about everything else (1-2-3-4 is an
// id).
MUST_USE struct error *guid_parse(struct slice text, struct guid *ret_id);
