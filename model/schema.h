// The schema of a table: its columns in order, key columns first.
// Source: behaviour of YTsaurus table schemas; texts of yt/yt/client/table_client/schema.cpp.
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "model/column.h"
#include "model/node.h"

#define SCHEMA_COLUMN_COUNT_MAX     1024
#define SCHEMA_KEY_COLUMN_COUNT_MAX 32
#define SCHEMA_LOCK_COUNT_MAX       32
#define SCHEMA_NAME_SIZE_MAX        256 // Of columns, locks and groups.
#define SCHEMA_NO_COLUMN            UINT16_MAX

struct schema {
    struct column *columns;
    uint16_t column_count;
    uint16_t key_column_count; // 0 for an ordered table.
    bool is_strict;
    bool has_unique_keys;
    uint16_t next_id; // The least column id never used.
};

// Parses a list of columns (with attributes `strict`, `unique_keys`) or {columns=[…]}. `type` and
// `type_v3` forms are understood; names, types, order of keys and limits are checked. A sorted
// schema of a dynamic table gets unique keys. The result lives in `arena` and borrows nothing.
MUST_USE struct error *schema_parse(
    struct arena *arena, const struct node *node, struct schema **ret_schema);

// As YTsaurus prints it:
// <strict=%true;unique_keys=%true>[{name=…;required=…;type=…;sort_order=…;…}].
MUST_USE struct node *schema_to_node(struct arena *arena, const struct schema *schema);

// Copies everything into `arena`.
MUST_USE struct schema *schema_copy(struct arena *arena, const struct schema *schema);

// Gives ids to columns: those of `old` (may be NULL) by name, new ones to the rest.
void schema_assign_ids(struct schema *schema, const struct schema *old);

// Column by name or SCHEMA_NO_COLUMN.
uint16_t schema_find(const struct schema *schema, struct slice name);

// Column by stored id or SCHEMA_NO_COLUMN.
uint16_t schema_find_id(const struct schema *schema, uint16_t id);

// The stored form, ids included.
void schema_encode(const struct schema *schema, struct buffer *buffer);
MUST_USE struct error *schema_decode(
    struct arena *arena, struct slice bytes, struct schema **ret_schema);
