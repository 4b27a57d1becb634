// One value of a row, 16 bytes, and a row of them. Type numbers are YTsaurus's EValueType, so their
// order is the order of types: null < int64 < uint64 < double < boolean < string < any.
// Source: YTsaurus yt/yt/client/table_client/row_base.h, unversioned_value.h.
#pragma once

#include "base/buffer.h"

#include <assert.h>
#include <stdint.h>

enum value_type {
    VALUE_NULL = 0x02,
    VALUE_INT64 = 0x03,
    VALUE_UINT64 = 0x04,
    VALUE_DOUBLE = 0x05,
    VALUE_BOOLEAN = 0x06,
    VALUE_STRING = 0x10,
    VALUE_ANY = 0x11, // Binary or text YSON.
};

struct value {
    uint8_t type;      // enum value_type.
    bool is_aggregate; // Is to be merged into the column, not to replace it.
    uint16_t column;   // An index into the names of a rowset or the columns of a schema.
    uint32_t size;     // Of a string or any.
    union {
        int64_t int64;
        uint64_t uint64;
        double real;
        bool boolean;
        const char *data; // Borrowed.
    };
};

static_assert(sizeof(struct value) == 16, "rows are arrays of values");

enum row_kind {
    ROW_WRITE = 1, // The whole row: absent value columns become null. Also a row that was read.
    ROW_UPDATE,    // Only the values given change.
    ROW_DELETE,    // Has key columns only.
    ROW_MISSING,   // In answers of a lookup: there is no such row. Has no values.
};

struct row {
    enum row_kind kind;
    uint32_t value_count;
    struct value *values; // Borrowed, like what they point to.
};

// "int64", "string" …, as in schemas and error texts.
const char *value_type_name(enum value_type type);

static inline struct slice value_slice(const struct value *value)
{
    return slice_from(value->data, value->size);
}

static inline struct value value_null(uint16_t column)
{
    return (struct value){.type = VALUE_NULL, .column = column};
}

static inline struct value value_int64(uint16_t column, int64_t number)
{
    return (struct value){.type = VALUE_INT64, .column = column, .int64 = number};
}

static inline struct value value_uint64(uint16_t column, uint64_t number)
{
    return (struct value){.type = VALUE_UINT64, .column = column, .uint64 = number};
}

static inline struct value value_double(uint16_t column, double number)
{
    return (struct value){.type = VALUE_DOUBLE, .column = column, .real = number};
}

static inline struct value value_boolean(uint16_t column, bool boolean)
{
    return (struct value){.type = VALUE_BOOLEAN, .column = column, .boolean = boolean};
}

static inline struct value value_string(uint16_t column, struct slice bytes)
{
    return (struct value){
        .type = VALUE_STRING,
        .column = column,
        .size = (uint32_t)bytes.size,
        .data = bytes.data,
    };
}

// Appends a number or a boolean as text: 1, -0.5, nan, inf, true. False, and nothing, of others.
bool value_print(const struct value *value, struct buffer *buffer);

// Orders by type, then by value; NaN after all other doubles, any by bytes. Columns do not matter.
int value_compare(const struct value *a, const struct value *b);

// The same for tuples, value by value, in the form that qsort_r wants: `a` and `b` are arrays of as
// many values as `size`, a uint32_t, says.
int value_compare_tuples(const void *a, const void *b, void *size);

// Data weight as YTsaurus counts it: 0 for null, 1 for boolean, 8 for numbers, the length
// otherwise.
uint64_t value_data_weight(const struct value *value);
