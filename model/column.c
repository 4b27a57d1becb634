#include "model/column.h"

#include "base/arena.h"
#include "base/utf8.h"
#include "model/yson.h"

#include <assert.h>
#include <float.h>
#include <math.h>

static const struct {
    const char *name;      // As in `type`.
    const char *name_v3;   // As in `type_v3`, where it differs.
    enum value_type value; // What values of it are in rows.
    int64_t least;         // Of integers.
    uint64_t greatest;
} TYPES[] = {
    [COLUMN_INT8] = {"int8", NULL, VALUE_INT64, INT8_MIN, INT8_MAX},
    [COLUMN_INT16] = {"int16", NULL, VALUE_INT64, INT16_MIN, INT16_MAX},
    [COLUMN_INT32] = {"int32", NULL, VALUE_INT64, INT32_MIN, INT32_MAX},
    [COLUMN_INT64] = {"int64", NULL, VALUE_INT64, INT64_MIN, INT64_MAX},
    [COLUMN_UINT8] = {"uint8", NULL, VALUE_UINT64, 0, UINT8_MAX},
    [COLUMN_UINT16] = {"uint16", NULL, VALUE_UINT64, 0, UINT16_MAX},
    [COLUMN_UINT32] = {"uint32", NULL, VALUE_UINT64, 0, UINT32_MAX},
    [COLUMN_UINT64] = {"uint64", NULL, VALUE_UINT64, 0, UINT64_MAX},
    [COLUMN_DOUBLE] = {"double", NULL, VALUE_DOUBLE, 0, 0},
    [COLUMN_FLOAT] = {"float", NULL, VALUE_DOUBLE, 0, 0},
    [COLUMN_BOOLEAN] = {"boolean", "bool", VALUE_BOOLEAN, 0, 0},
    [COLUMN_STRING] = {"string", NULL, VALUE_STRING, 0, 0},
    [COLUMN_UTF8] = {"utf8", NULL, VALUE_STRING, 0, 0},
    [COLUMN_ANY] = {"any", "yson", VALUE_ANY, 0, 0},
};

static_assert(sizeof TYPES / sizeof *TYPES == COLUMN_TYPE_COUNT, "every type has its line");

const char *column_type_name(enum column_type type)
{
    return TYPES[type].name;
}

enum value_type column_value_type(enum column_type type)
{
    return TYPES[type].value;
}

const char *column_type_v3_name(enum column_type type)
{
    return TYPES[type].name_v3 ? TYPES[type].name_v3 : TYPES[type].name;
}

bool column_type_parse(struct slice name, enum column_type *ret_type)
{
    for (int i = 0; i < COLUMN_TYPE_COUNT; i++) {
        enum column_type type = (enum column_type)i;
        if (slice_equal_text(name, TYPES[type].name) ||
            slice_equal_text(name, column_type_v3_name(type))) {
            *ret_type = type;
            return true;
        }
    }
    return false;
}

static bool is_integer(enum column_type type)
{
    return TYPES[type].value == VALUE_INT64 || TYPES[type].value == VALUE_UINT64;
}

bool column_type_is_wider(enum column_type type, enum column_type from)
{
    if (from == type) return true;
    if (is_integer(from)) {
        return TYPES[from].value == TYPES[type].value && TYPES[from].least >= TYPES[type].least &&
               TYPES[from].greatest <= TYPES[type].greatest;
    }
    if (from == COLUMN_UTF8) return type == COLUMN_STRING;
    return from == COLUMN_FLOAT && type == COLUMN_DOUBLE;
}

void column_convert_value(const struct column *column, struct value *value)
{
    enum value_type type = column_value_type(column->type);
    if (type == VALUE_UINT64 && value->type == VALUE_INT64 && value->int64 >= 0) {
        value->type = VALUE_UINT64;
        value->uint64 = (uint64_t)value->int64;
    } else if (type == VALUE_INT64 && value->type == VALUE_UINT64 && value->uint64 <= INT64_MAX) {
        value->type = VALUE_INT64;
        value->int64 = (int64_t)value->uint64;
    }
}

static struct error *out_of_range(const struct column *column)
{
    return error_new(
        ERROR_SCHEMA_VIOLATION,
        "Value is out of range for type \"%s\"",
        column_type_name(column->type));
}

static struct error *check_range(const struct column *column, const struct value *value)
{
    if (!is_integer(column->type)) {
        bool is_out = column->type == COLUMN_FLOAT && isfinite(value->real) &&
                      fabs(value->real) > (double)FLT_MAX;
        return is_out ? out_of_range(column) : NULL;
    }
    bool is_out = value->type == VALUE_INT64
                      ? value->int64 < TYPES[column->type].least ||
                            value->int64 > (int64_t)TYPES[column->type].greatest
                      : value->uint64 > TYPES[column->type].greatest;
    return is_out ? out_of_range(column) : NULL;
}

static struct error *check_any(const struct value *value)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *node = NULL;
    struct error *error = yson_parse(&arena, value_slice(value), &node);
    return error ? error_wrap(error, ERROR_SCHEMA_VIOLATION, "Value is not valid YSON") : NULL;
}

static struct error *check_typed_value(const struct column *column, const struct value *value)
{
    enum value_type expected = column_value_type(column->type);
    if (value->type != expected && expected != VALUE_ANY) {
        return error_new(
            ERROR_SCHEMA_VIOLATION,
            "Invalid type: expected \"%s\", actual \"%s\"",
            value_type_name(expected),
            value_type_name((enum value_type)value->type));
    }
    bool is_bytes = value->type == VALUE_STRING || value->type == VALUE_ANY;
    if (is_bytes && value->size > COLUMN_STRING_SIZE_MAX) {
        struct error *error = error_new(
            ERROR_STRING_LENGTH_LIMIT_EXCEEDED,
            "Value of type \"%s\" is too long for column " COLUMN_QUOTED,
            value_type_name((enum value_type)value->type),
            COLUMN_NAME(column));
        error_set_u64(error, "actual", value->size);
        return error_set_u64(error, "limit", COLUMN_STRING_SIZE_MAX);
    }
    if (value->type == VALUE_ANY) return check_any(value);
    if (column->type == COLUMN_UTF8 && !utf8_is_valid(value_slice(value))) {
        return error_new(ERROR_SCHEMA_VIOLATION, "Value is not a valid UTF-8 string");
    }
    return expected == VALUE_ANY ? NULL : check_range(column, value);
}

struct error *column_check_value(const struct column *column, const struct value *value)
{
    if (value->type == VALUE_NULL) {
        if (!column->is_required) return NULL;
        return error_new(
            ERROR_SCHEMA_VIOLATION,
            "Required column " COLUMN_QUOTED " cannot have \"null\" value",
            COLUMN_NAME(column));
    }
    struct error *error = check_typed_value(column, value);
    if (!error) return NULL;
    return error_wrap(
        error,
        ERROR_SCHEMA_VIOLATION,
        "Error validating column " COLUMN_QUOTED,
        COLUMN_NAME(column));
}
