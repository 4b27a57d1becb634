// The schema of a table: its columns in order, key columns first, and what they demand of values.
// Source: behaviour of YTsaurus table schemas; texts of yt/yt/client/table_client/schema.cpp.
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "model/node.h"
#include "model/value.h"

#define SCHEMA_COLUMN_COUNT_MAX     1024
#define SCHEMA_KEY_COLUMN_COUNT_MAX 32
#define SCHEMA_LOCK_COUNT_MAX       32
#define SCHEMA_NAME_SIZE_MAX        256                  // Of columns, locks and groups.
#define SCHEMA_STRING_SIZE_MAX      (UINT64_C(16) << 20) // Of one value.
#define SCHEMA_NO_COLUMN            UINT16_MAX

// Types of columns: what `type` in a schema says. Several have one wire type (int8 … int64: int64).
enum column_type {
    COLUMN_INT8,
    COLUMN_INT16,
    COLUMN_INT32,
    COLUMN_INT64,
    COLUMN_UINT8,
    COLUMN_UINT16,
    COLUMN_UINT32,
    COLUMN_UINT64,
    COLUMN_DOUBLE,
    COLUMN_FLOAT,
    COLUMN_BOOLEAN,
    COLUMN_STRING,
    COLUMN_UTF8,
    COLUMN_ANY,
};

enum { COLUMN_TYPE_COUNT = COLUMN_ANY + 1 };

struct column {
    struct slice name;
    enum column_type type;
    bool is_key; // sort_order=ascending.
    bool is_required;
    struct slice expression; // Of a computed key column; empty otherwise.
    struct slice aggregate;  // "sum", "min", "max", "first", "last"; empty otherwise.
    struct slice lock;       // Empty for the main lock group.
    struct slice group;
    // Identifies the column in stored rows for as long as the table lives, whatever alter_table
    // does to names' order. Given by schema_assign_ids; not part of the YSON form.
    uint16_t id;
};

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

// Whether a column is $timestamp of an ordered table: it has each row's commit timestamp, and
// nobody writes it.
static inline bool column_is_timestamp(const struct column *column)
{
    return !column->is_key && slice_equal_text(column->name, "$timestamp");
}

// Column by stored id or SCHEMA_NO_COLUMN.
uint16_t schema_find_id(const struct schema *schema, uint16_t id);

// "int8", "utf8" …
const char *column_type_name(enum column_type type);

// The type of values that such a column has.
enum value_type column_value_type(enum column_type type);

// Checks one value against its column: type, range of the sized types, UTF-8 of utf8, length, and
// that a required column is not null, that an any is YSON. Columns of type any take any value.
// Errors: 307 as in behaviour 5.6, wrapped in `Error validating column %v` where a type is wrong.
MUST_USE struct error *schema_check_value(const struct column *column, const struct value *value);

// Makes a value that came with another integer type fit its column if it can: int64 and uint64 turn
// into each other when the number fits. JSON, for one, has no unsigned integers. Anything else
// stays as it is, for schema_check_value to judge. Source: YTsaurus
// `enable_integral_type_conversion`, on by default.
void schema_convert_value(const struct column *column, struct value *value);

// Whether a table of schema `old` may be altered to `new` (316 `Table schemas are incompatible`
// with the inner error of behaviour 3.5). `is_empty`: whether the table has no rows and is not
// replicated.
MUST_USE struct error *schema_check_alter(
    const struct schema *old, const struct schema *new_schema, bool is_empty);

// The stored form, ids included.
void schema_encode(const struct schema *schema, struct buffer *buffer);
MUST_USE struct error *schema_decode(
    struct arena *arena, struct slice bytes, struct schema **ret_schema);
