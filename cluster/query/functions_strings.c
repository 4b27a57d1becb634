// Functions of strings, hashes among them.
#include "base/farm_hash.h"
#include "cluster/query/functions_code.h"

#include <assert.h>

FUNCTION(length)
{
    (void)context;
    assert(count == 1);
    return value_int64(0, arguments[0]->size);
}

static struct value change_case(
    struct function_context *context, const struct value *from, char first, char last)
{
    struct slice bytes = value_slice(from);
    char *text = arena_alloc(context->scratch, bytes.size);
    for (size_t i = 0; i < bytes.size; i++) {
        char byte = bytes.data[i];
        text[i] = byte >= first && byte <= last ? (char)(byte ^ 0x20) : byte;
    }
    return value_string(0, slice_from(text, bytes.size));
}

FUNCTION(lower)
{
    assert(count == 1);
    return change_case(context, arguments[0], 'A', 'Z');
}

FUNCTION(upper)
{
    assert(count == 1);
    return change_case(context, arguments[0], 'a', 'z');
}

FUNCTION(concat)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < count; i++) size += arguments[i]->size;
    TRY_FUNCTION(context, function_check_size(size));
    char *text = arena_alloc(context->scratch, size);
    size_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (arguments[i]->size > 0) memcpy(text + end, arguments[i]->data, arguments[i]->size);
        end += arguments[i]->size;
    }
    return value_string(0, slice_from(text, end));
}

FUNCTION(is_substr)
{
    (void)context;
    assert(count == 2);
    struct slice part = value_slice(arguments[0]);
    struct slice text = value_slice(arguments[1]);
    bool found = part.size == 0 || memmem(text.data, text.size, part.data, part.size) != NULL;
    return value_boolean(0, found);
}

FUNCTION(is_prefix)
{
    (void)context;
    assert(count == 2);
    return value_boolean(0, slice_has_prefix(value_slice(arguments[1]), value_slice(arguments[0])));
}

static uint64_t fingerprint(const struct value *value)
{
    switch ((enum value_type)value->type) {
    case VALUE_NULL: break;
    case VALUE_INT64:
    case VALUE_UINT64:
    case VALUE_DOUBLE: return farm_fingerprint_number(value->uint64);
    case VALUE_BOOLEAN: return farm_fingerprint_number(value->boolean);
    case VALUE_STRING:
    case VALUE_ANY: return farm_fingerprint_bytes(value_slice(value));
    }
    return farm_fingerprint_number(0);
}

// Source: YTsaurus GetFarmFingerprint (yt/yt/client/table_client/unversioned_row.h), whose values
// it gives.
FUNCTION(farm_hash)
{
    (void)context;
    uint64_t hash = 0xdeadc0de;
    for (uint32_t i = 0; i < count; i++) {
        hash = farm_fingerprint_pair(hash, fingerprint(arguments[i]));
    }
    return value_uint64(0, hash ^ count);
}
