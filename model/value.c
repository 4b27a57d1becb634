#include "model/value.h"

#include "base/number.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

const char *value_type_name(enum value_type type)
{
    switch (type) {
    case VALUE_NULL: return "null";
    case VALUE_INT64: return "int64";
    case VALUE_UINT64: return "uint64";
    case VALUE_DOUBLE: return "double";
    case VALUE_BOOLEAN: return "boolean";
    case VALUE_STRING: return "string";
    case VALUE_ANY: return "any";
    }
    return "unknown";
}

bool value_print(const struct value *value, struct buffer *buffer)
{
    char text[NUMBER_TEXT_MAX];
    switch ((enum value_type)value->type) {
    case VALUE_INT64: buffer_print(buffer, "%" PRId64, value->int64); return true;
    case VALUE_UINT64: buffer_print(buffer, "%" PRIu64, value->uint64); return true;
    case VALUE_BOOLEAN: buffer_append_text(buffer, value->boolean ? "true" : "false"); return true;
    case VALUE_DOUBLE:
        if (isnan(value->real)) {
            buffer_append_text(buffer, "nan");
        } else if (isinf(value->real)) {
            buffer_append_text(buffer, value->real > 0 ? "inf" : "-inf");
        } else {
            buffer_append_text(buffer, number_print_double(value->real, text));
        }
        return true;
    case VALUE_NULL:
    case VALUE_STRING:
    case VALUE_ANY: break;
    }
    return false;
}

static int compare_doubles(double a, double b)
{
    if (isnan(a) || isnan(b)) return (isnan(a) != 0) - (isnan(b) != 0);
    return (a > b) - (a < b);
}

int value_compare(const struct value *a, const struct value *b)
{
    if (a->type != b->type) return a->type < b->type ? -1 : 1;
    switch ((enum value_type)a->type) {
    case VALUE_NULL: return 0;
    case VALUE_INT64: return (a->int64 > b->int64) - (a->int64 < b->int64);
    case VALUE_UINT64: return (a->uint64 > b->uint64) - (a->uint64 < b->uint64);
    case VALUE_DOUBLE: return compare_doubles(a->real, b->real);
    case VALUE_BOOLEAN: return a->boolean - b->boolean;
    case VALUE_STRING:
    case VALUE_ANY: return slice_compare(value_slice(a), value_slice(b));
    }
    assert(!"a value has one of these types");
    return 0;
}

int value_compare_tuples(const void *a, const void *b, void *size)
{
    const struct value *x = a;
    const struct value *y = b;
    uint32_t count = *(const uint32_t *)size;
    int order = 0;
    for (uint32_t i = 0; i < count && order == 0; i++) order = value_compare(&x[i], &y[i]);
    return order;
}

uint64_t value_data_weight(const struct value *value)
{
    switch ((enum value_type)value->type) {
    case VALUE_NULL: return 0;
    case VALUE_BOOLEAN: return 1;
    case VALUE_INT64:
    case VALUE_UINT64:
    case VALUE_DOUBLE: return 8;
    case VALUE_STRING:
    case VALUE_ANY: return value->size;
    }
    assert(!"a value has one of these types");
    return 0;
}
