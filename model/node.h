// A tree of data as YSON and JSON have it: scalars, lists and maps, each with optional attributes.
//
// Nodes live in an arena and are never freed alone. Maps keep their entries in the order of
// addition and have unique keys.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "model/guid.h"

#include <stdint.h>

enum node_type {
    NODE_ENTITY, // #
    NODE_STRING,
    NODE_INT64,
    NODE_UINT64,
    NODE_DOUBLE,
    NODE_BOOLEAN,
    NODE_LIST,
    NODE_MAP,
};

struct node;

struct node_entry {
    struct slice key; // Empty in lists.
    struct node *value;
};

struct node {
    enum node_type type;
    struct node *attributes; // A map, or NULL.
    union {
        struct slice string;
        int64_t int64;
        uint64_t uint64;
        double real;
        bool boolean;
        struct {
            struct node_entry *entries;
            uint32_t count;
            uint32_t capacity;
            uint32_t *index; // Of a big map: a hash table of positions, so that finding is fast.
        };
    };
};

struct node *node_entity(struct arena *arena);
struct node *node_string(struct arena *arena, struct slice string); // Copied.
struct node *node_text(struct arena *arena, const char *text);      // Copied.
struct node *node_int64(struct arena *arena, int64_t number);
struct node *node_uint64(struct arena *arena, uint64_t number);
struct node *node_double(struct arena *arena, double number);
struct node *node_boolean(struct arena *arena, bool boolean);
struct node *node_guid(struct arena *arena, struct guid id); // Its text.
struct node *node_list(struct arena *arena);
struct node *node_map(struct arena *arena);

// Adds to the end of a list; `item` must live in the same arena or longer.
void node_add(struct arena *arena, struct node *list, struct node *item);

// Sets a map's entry, replacing one with the same key. The key is copied; so is a literal's text.
void node_set(struct arena *arena, struct node *map, struct slice key, struct node *value);
void node_set_text(struct arena *arena, struct node *map, const char *key, struct node *value);

// Adds an entry to the end of a map, for parsers: the key is not copied and must live as long as
// the map. False, and nothing is done, if the map has the key already.
bool node_add_entry(struct arena *arena, struct node *map, struct slice key, struct node *value);

// Sets an attribute of any node.
void node_set_attribute(
    struct arena *arena, struct node *node, const char *key, struct node *value);

// Removes an entry of a map; false if it has none.
bool node_remove(struct node *map, struct slice key);

// The value of a map's entry or attribute, or NULL; NULL too if `map` is NULL or no map.
struct node *node_find(const struct node *map, struct slice key);
struct node *node_find_text(const struct node *map, const char *key);
struct node *node_find_attribute(const struct node *node, const char *key);

// A deep copy into `arena`.
MUST_USE struct node *node_copy(struct arena *arena, const struct node *node);

// Equal in structure; maps regardless of order.
bool node_equal(const struct node *a, const struct node *b);

// "string", "map" …, as in YTsaurus's error texts.
const char *node_type_name(enum node_type type);

// Typed access for parameters and attributes: the entry `key` of `map`. If it is absent or an
// entity, `*value` keeps what it had (the default). If it has another type, an error names the key.
// Integers are taken from int64, uint64 and integral doubles; booleans also from the strings "true"
// and "false"; strings are borrowed from the node.
MUST_USE struct error *node_get_string(
    const struct node *map, const char *key, struct slice *value);
MUST_USE struct error *node_get_int64(const struct node *map, const char *key, int64_t *value);
MUST_USE struct error *node_get_uint64(const struct node *map, const char *key, uint64_t *value);
MUST_USE struct error *node_get_double(const struct node *map, const char *key, double *value);
MUST_USE struct error *node_get_boolean(const struct node *map, const char *key, bool *value);
MUST_USE struct error *node_get_guid(const struct node *map, const char *key, struct guid *value);
