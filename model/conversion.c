#include "model/conversion.h"

#include "base/number.h"

#include <math.h>

struct error *conversions_parse(const struct node *attributes, struct conversions *ret_conversions)
{
    bool all = false;
    TRY(node_get_boolean(attributes, "enable_type_conversion", &all));
    struct conversions conversions = {.string_to_all = all, .all_to_string = all};
    bool integers = true;
    // Integers become doubles in any case; a value that says nothing is still refused.
    bool integers_to_double = true;
    TRY(node_get_boolean(
        attributes, "enable_string_to_all_conversion", &conversions.string_to_all));
    TRY(node_get_boolean(
        attributes, "enable_all_to_string_conversion", &conversions.all_to_string));
    TRY(node_get_boolean(attributes, "enable_integral_type_conversion", &integers));
    TRY(node_get_boolean(attributes, "enable_integral_to_double_conversion", &integers_to_double));
    conversions.forbids_integers = !integers;
    *ret_conversions = conversions;
    return NULL;
}

bool conversions_are_default(const struct conversions *conversions)
{
    return !conversions->string_to_all && !conversions->all_to_string &&
           !conversions->forbids_integers;
}

static bool read_double(struct slice text, double *ret_number)
{
    // As DSV writes them.
    static const struct {
        const char *text;
        double number;
    } SPECIAL[] = {{"nan", NAN}, {"inf", INFINITY}, {"-inf", -INFINITY}};
    for (size_t i = 0; i < sizeof SPECIAL / sizeof SPECIAL[0]; i++) {
        if (!slice_equal_text(text, SPECIAL[i].text)) continue;
        *ret_number = SPECIAL[i].number;
        return true;
    }
    return number_parse_double(text, ret_number);
}

// False if the text is no value of the type; for types that are text, nothing is to be done.
static bool read_text(enum value_type wanted, struct value *value)
{
    struct slice text = value_slice(value);
    struct value read = *value;
    read.type = (uint8_t)wanted;
    bool is_read = false;
    switch (wanted) {
    case VALUE_INT64: is_read = number_parse_int64(text, &read.int64); break;
    case VALUE_UINT64: is_read = number_parse_uint64(text, &read.uint64); break;
    case VALUE_DOUBLE: is_read = read_double(text, &read.real); break;
    case VALUE_BOOLEAN:
        read.boolean = slice_equal_text(text, "true");
        is_read = read.boolean || slice_equal_text(text, "false");
        break;
    case VALUE_STRING:
    case VALUE_ANY:
    case VALUE_NULL: return true;
    }
    if (is_read) *value = read;
    return is_read;
}

struct error *conversions_apply(
    const struct conversions *conversions,
    const struct column *column,
    struct arena *arena,
    struct value *value)
{
    enum value_type wanted = column_value_type(column->type);
    struct value given = *value;
    CLEANUP(buffer_releasep) struct buffer text = {0};
    if (conversions->all_to_string && wanted == VALUE_STRING && value_print(value, &text)) {
        *value = value_string(value->column, arena_copy(arena, buffer_slice(&text)));
    }
    if (conversions->string_to_all && value->type == VALUE_STRING && !read_text(wanted, value)) {
        struct slice shown = slice_from(given.data, MIN(given.size, (uint32_t)100));
        return error_new(
            ERROR_SCHEMA_VIOLATION,
            "Column \"%.*s\" is of type \"%s\", and \"%.*s\" cannot be read as one",
            SLICE(column->name),
            column_type_name(column->type),
            SLICE(shown));
    }
    bool is_other_integer = (wanted == VALUE_INT64 && value->type == VALUE_UINT64) ||
                            (wanted == VALUE_UINT64 && value->type == VALUE_INT64);
    if (!conversions->forbids_integers || !is_other_integer) return NULL;
    return error_new(
        ERROR_SCHEMA_VIOLATION,
        "Column \"%.*s\" is of type \"%s\", and a value of the other kind of integers is not "
        "converted, since \"enable_integral_type_conversion\" is off",
        SLICE(column->name),
        column_type_name(column->type));
}
