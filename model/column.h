// A column of a table: its name, its type, and what it demands of values.
// Source: behaviour of YTsaurus table schemas; texts of yt/yt/client/table_client.
#pragma once

#include "base/error.h"
#include "model/value.h"

#define COLUMN_STRING_SIZE_MAX (UINT64_C(16) << 20) // Of one value.

// How messages name a column: YTsaurus puts its name in double quotes.
#define COLUMN_QUOTED       "\"%.*s\""
#define COLUMN_NAME(column) SLICE((column)->name)

// What messages show of a text that may be long: its beginning.
#define COLUMN_SHOWN_SIZE_MAX 256
static inline struct slice column_shortened(struct slice text)
{
    return slice_from(text.data, MIN(text.size, (size_t)COLUMN_SHOWN_SIZE_MAX));
}

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

// Whether a column is $timestamp of an ordered table: it has each row's commit timestamp, and
// nobody writes it.
static inline bool column_is_timestamp(const struct column *column)
{
    return !column->is_key && slice_equal_text(column->name, "$timestamp");
}

// "int8", "utf8" …
const char *column_type_name(enum column_type type);

// The type of values that such a column has.
enum value_type column_value_type(enum column_type type);
// The name in `type_v3`, where some types have another: "bool", "yson".
const char *column_type_v3_name(enum column_type type);

// Finds a type by either name; false if there is none.
bool column_type_parse(struct slice name, enum column_type *ret_type);

// Whether every value of one type is a value of another.
bool column_type_is_wider(enum column_type type, enum column_type from);

// Checks one value against its column: type, range of the sized types, UTF-8 of utf8, length, and
// that a required column is not null, that an any is YSON. Columns of type any take any value.
// Errors: 307 as in behaviour 5.6, wrapped in `Error validating column %v` where a type is wrong.
MUST_USE struct error *column_check_value(const struct column *column, const struct value *value);

// Makes a value that came with another integer type fit its column if it can: int64 and uint64 turn
// into each other when the number fits. JSON, for one, has no unsigned integers. Anything else
// stays as it is, for column_check_value to judge. Source: YTsaurus
// `enable_integral_type_conversion`, on by default.
void column_convert_value(const struct column *column, struct value *value);
