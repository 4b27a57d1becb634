#include "model/node.h"

#include <assert.h>
#include <math.h>

enum {
    CAPACITY_MIN = 4,
    // Maps of this capacity and more have an index. Maps come from the network: without it, one of
    // a million keys would take hours to read.
    INDEX_CAPACITY_MIN = 32,
};

static struct node *new_node(struct arena *arena, enum node_type type)
{
    struct node *node = ARENA_NEW(arena, struct node, 1);
    node->type = type;
    return node;
}

struct node *node_entity(struct arena *arena)
{
    return new_node(arena, NODE_ENTITY);
}

struct node *node_string(struct arena *arena, struct slice string)
{
    struct node *node = new_node(arena, NODE_STRING);
    node->string = arena_copy(arena, string);
    return node;
}

struct node *node_text(struct arena *arena, const char *text)
{
    return node_string(arena, slice_from_text(text));
}

struct node *node_int64(struct arena *arena, int64_t number)
{
    struct node *node = new_node(arena, NODE_INT64);
    node->int64 = number;
    return node;
}

struct node *node_uint64(struct arena *arena, uint64_t number)
{
    struct node *node = new_node(arena, NODE_UINT64);
    node->uint64 = number;
    return node;
}

struct node *node_double(struct arena *arena, double number)
{
    struct node *node = new_node(arena, NODE_DOUBLE);
    node->real = number;
    return node;
}

struct node *node_boolean(struct arena *arena, bool boolean)
{
    struct node *node = new_node(arena, NODE_BOOLEAN);
    node->boolean = boolean;
    return node;
}

struct node *node_guid(struct arena *arena, struct guid id)
{
    return node_text(arena, GUID_TEXT(id));
}

struct node *node_list(struct arena *arena)
{
    return new_node(arena, NODE_LIST);
}

struct node *node_map(struct arena *arena)
{
    return new_node(arena, NODE_MAP);
}

static uint64_t hash_key(struct slice key)
{
    uint64_t hash = 0x9e3779b97f4a7c15 ^ key.size;
    while (key.size > 0) {
        uint64_t word = 0;
        size_t size = MIN(key.size, sizeof word);
        memcpy(&word, key.data, size);
        hash = (hash ^ word) * 0xbf58476d1ce4e5b9;
        hash ^= hash >> 29;
        key = slice_from(key.data + size, key.size - size);
    }
    hash *= 0x94d049bb133111eb;
    return hash ^ (hash >> 32);
}

// The index is an open-addressing table of position + 1, 0 for free, twice as large as the entries
// can be many; so there is always a free place to end a search.
static uint32_t *index_place(const struct node *map, struct slice key)
{
    uint32_t mask = map->capacity * 2 - 1;
    uint32_t at = (uint32_t)hash_key(key) & mask;
    while (map->index[at] && !slice_equal(map->entries[map->index[at] - 1].key, key)) {
        at = (at + 1) & mask;
    }
    return &map->index[at];
}

static void rebuild_index(struct node *map)
{
    memset(map->index, 0, sizeof *map->index * map->capacity * 2);
    for (uint32_t i = 0; i < map->count; i++) *index_place(map, map->entries[i].key) = i + 1;
}

static void add_entry(struct arena *arena, struct node *node, struct slice key, struct node *value)
{
    if (node->count == node->capacity) {
        assert(node->capacity < UINT32_MAX / 4);
        uint32_t capacity = MAX(node->capacity * 2, (uint32_t)CAPACITY_MIN);
        struct node_entry *entries = ARENA_NEW(arena, struct node_entry, capacity);
        if (node->count > 0) memcpy(entries, node->entries, sizeof *entries * node->count);
        node->entries = entries;
        node->capacity = capacity;
        if (node->type == NODE_MAP && capacity >= INDEX_CAPACITY_MIN) {
            node->index = ARENA_NEW(arena, uint32_t, (size_t)capacity * 2);
            rebuild_index(node);
        }
    }
    node->entries[node->count++] = (struct node_entry){.key = key, .value = value};
    if (node->index) *index_place(node, key) = node->count;
}

static struct node_entry *find_entry(const struct node *map, struct slice key)
{
    if (map->index) {
        uint32_t position = *index_place(map, key);
        return position ? &map->entries[position - 1] : NULL;
    }
    for (uint32_t i = 0; i < map->count; i++) {
        if (slice_equal(map->entries[i].key, key)) return &map->entries[i];
    }
    return NULL;
}

void node_add(struct arena *arena, struct node *list, struct node *item)
{
    assert(list->type == NODE_LIST);
    add_entry(arena, list, slice_from("", 0), item);
}

void node_set(struct arena *arena, struct node *map, struct slice key, struct node *value)
{
    assert(map->type == NODE_MAP);
    struct node_entry *entry = find_entry(map, key);
    if (entry) {
        entry->value = value;
    } else {
        add_entry(arena, map, arena_copy(arena, key), value);
    }
}

void node_set_text(struct arena *arena, struct node *map, const char *key, struct node *value)
{
    node_set(arena, map, slice_from_text(key), value);
}

bool node_add_entry(struct arena *arena, struct node *map, struct slice key, struct node *value)
{
    assert(map->type == NODE_MAP);
    if (find_entry(map, key)) return false;
    add_entry(arena, map, key, value);
    return true;
}

void node_set_attribute(struct arena *arena, struct node *node, const char *key, struct node *value)
{
    if (!node->attributes) node->attributes = node_map(arena);
    node_set_text(arena, node->attributes, key, value);
}

bool node_remove(struct node *map, struct slice key)
{
    assert(map->type == NODE_MAP);
    struct node_entry *entry = find_entry(map, key);
    if (!entry) return false;
    size_t position = (size_t)(entry - map->entries);
    memmove(entry, entry + 1, sizeof *entry * (map->count - position - 1));
    map->count--;
    if (map->index) rebuild_index(map);
    return true;
}

struct node *node_find(const struct node *map, struct slice key)
{
    if (!map || map->type != NODE_MAP) return NULL;
    struct node_entry *entry = find_entry(map, key);
    return entry ? entry->value : NULL;
}

struct node *node_find_text(const struct node *map, const char *key)
{
    return node_find(map, slice_from_text(key));
}

struct node *node_find_attribute(const struct node *node, const char *key)
{
    return node ? node_find_text(node->attributes, key) : NULL;
}

// The recursion below is as deep as trees are: parsers bound that, and our own code builds flat
// ones.
// NOLINTBEGIN(misc-no-recursion)

struct node *node_copy(struct arena *arena, const struct node *node)
{
    struct node *copy = new_node(arena, node->type);
    if (node->attributes) copy->attributes = node_copy(arena, node->attributes);
    switch (node->type) {
    case NODE_ENTITY: break;
    case NODE_STRING: copy->string = arena_copy(arena, node->string); break;
    case NODE_INT64: copy->int64 = node->int64; break;
    case NODE_UINT64: copy->uint64 = node->uint64; break;
    case NODE_DOUBLE: copy->real = node->real; break;
    case NODE_BOOLEAN: copy->boolean = node->boolean; break;
    case NODE_LIST:
    case NODE_MAP:
        for (uint32_t i = 0; i < node->count; i++) {
            struct slice key = arena_copy(arena, node->entries[i].key);
            add_entry(arena, copy, key, node_copy(arena, node->entries[i].value));
        }
        break;
    }
    return copy;
}

static bool entries_equal(const struct node *a, const struct node *b)
{
    if (a->count != b->count) return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct node *other =
            a->type == NODE_MAP ? node_find(b, a->entries[i].key) : b->entries[i].value;
        if (!other || !node_equal(a->entries[i].value, other)) return false;
    }
    return true;
}

// No attributes and an empty map of them are the same.
static bool attributes_equal(const struct node *a, const struct node *b)
{
    if (!a || !b) return (!a || a->count == 0) && (!b || b->count == 0);
    return entries_equal(a, b);
}

bool node_equal(const struct node *a, const struct node *b)
{
    if (a->type != b->type || !attributes_equal(a->attributes, b->attributes)) return false;
    switch (a->type) {
    case NODE_ENTITY: return true;
    case NODE_STRING: return slice_equal(a->string, b->string);
    case NODE_INT64: return a->int64 == b->int64;
    case NODE_UINT64: return a->uint64 == b->uint64;
    case NODE_DOUBLE: return a->real == b->real || (isnan(a->real) && isnan(b->real));
    case NODE_BOOLEAN: return a->boolean == b->boolean;
    case NODE_LIST:
    case NODE_MAP: return entries_equal(a, b);
    }
    return false;
}

// NOLINTEND(misc-no-recursion)

const char *node_type_name(enum node_type type)
{
    switch (type) {
    case NODE_ENTITY: return "entity";
    case NODE_STRING: return "string";
    case NODE_INT64: return "int64";
    case NODE_UINT64: return "uint64";
    case NODE_DOUBLE: return "double";
    case NODE_BOOLEAN: return "boolean";
    case NODE_LIST: return "list";
    case NODE_MAP: return "map";
    }
    return "unknown";
}

// The entry that is there and no entity.
static const struct node *find_given(const struct node *map, const char *key)
{
    const struct node *node = node_find_text(map, key);
    return node && node->type != NODE_ENTITY ? node : NULL;
}

static struct error *mismatch(const char *key, const char *expected, const struct node *actual)
{
    return error_new(
        ERROR_GENERIC,
        "Error reading \"%s\": expected \"%s\", actual \"%s\"",
        key,
        expected,
        node_type_name(actual->type));
}

static struct error *out_of_range(const char *key, const char *expected)
{
    return error_new(
        ERROR_GENERIC, "Error reading \"%s\": the number does not fit \"%s\"", key, expected);
}

struct error *node_get_string(const struct node *map, const char *key, struct slice *value)
{
    const struct node *node = find_given(map, key);
    if (!node) return NULL;
    if (node->type != NODE_STRING) return mismatch(key, "string", node);
    *value = node->string;
    return NULL;
}

struct error *node_get_int64(const struct node *map, const char *key, int64_t *value)
{
    const struct node *node = find_given(map, key);
    if (!node) return NULL;
    if (node->type == NODE_INT64) {
        *value = node->int64;
    } else if (node->type == NODE_UINT64) {
        if (node->uint64 > INT64_MAX) return out_of_range(key, "int64");
        *value = (int64_t)node->uint64;
    } else if (node->type == NODE_DOUBLE && node->real == floor(node->real)) {
        if (!(node->real >= -0x1p63 && node->real < 0x1p63)) return out_of_range(key, "int64");
        *value = (int64_t)node->real;
    } else {
        return mismatch(key, "int64", node);
    }
    return NULL;
}

struct error *node_get_uint64(const struct node *map, const char *key, uint64_t *value)
{
    const struct node *node = find_given(map, key);
    if (!node) return NULL;
    if (node->type == NODE_UINT64) {
        *value = node->uint64;
    } else if (node->type == NODE_INT64) {
        if (node->int64 < 0) return out_of_range(key, "uint64");
        *value = (uint64_t)node->int64;
    } else if (node->type == NODE_DOUBLE && node->real == floor(node->real)) {
        if (!(node->real >= 0 && node->real < 0x1p64)) return out_of_range(key, "uint64");
        *value = (uint64_t)node->real;
    } else {
        return mismatch(key, "uint64", node);
    }
    return NULL;
}

struct error *node_get_double(const struct node *map, const char *key, double *value)
{
    const struct node *node = find_given(map, key);
    if (!node) return NULL;
    if (node->type == NODE_DOUBLE) {
        *value = node->real;
    } else if (node->type == NODE_INT64) {
        *value = (double)node->int64;
    } else if (node->type == NODE_UINT64) {
        *value = (double)node->uint64;
    } else {
        return mismatch(key, "double", node);
    }
    return NULL;
}

struct error *node_get_boolean(const struct node *map, const char *key, bool *value)
{
    const struct node *node = find_given(map, key);
    if (!node) return NULL;
    if (node->type == NODE_BOOLEAN) {
        *value = node->boolean;
    } else if (node->type == NODE_STRING && slice_equal_text(node->string, "true")) {
        *value = true;
    } else if (node->type == NODE_STRING && slice_equal_text(node->string, "false")) {
        *value = false;
    } else {
        return mismatch(key, "boolean", node);
    }
    return NULL;
}

struct error *node_get_guid(const struct node *map, const char *key, struct guid *value)
{
    const struct node *node = find_given(map, key);
    if (!node) return NULL;
    if (node->type != NODE_STRING) return mismatch(key, "guid", node);
    struct error *error = guid_parse(node->string, value);
    return error ? error_wrap(error, ERROR_GENERIC, "Error reading \"%s\"", key) : NULL;
}
