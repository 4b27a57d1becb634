#include "model/key.h"

#include <assert.h>
#include <endian.h>
#include <math.h>

// A string ends with 00 01 and has its zeros as 00 ff, so that the end sorts before any byte.
enum { ESCAPE = 0x00, ESCAPED_ZERO = 0xff, END = 0x01, SUCCESSOR = 0xff };

#define SIGN_BIT (UINT64_C(1) << 63)

static_assert((int)VALUE_ANY < (int)SUCCESSOR, "no value begins with the byte of successors");

static size_t zero_count(const char *data, size_t size)
{
    size_t count = 0;
    if (size == 0) return 0; // `data` may be NULL then.
    const char *end = data + size;
    while (data < end) {
        const char *zero = memchr(data, 0, (size_t)(end - data));
        if (!zero) break;
        count++;
        data = zero + 1;
    }
    return count;
}

static size_t encoded_size(const struct value *value)
{
    switch ((enum value_type)value->type) {
    case VALUE_NULL: return 1;
    case VALUE_BOOLEAN: return 2;
    case VALUE_INT64:
    case VALUE_UINT64:
    case VALUE_DOUBLE: return 9;
    case VALUE_STRING:
    case VALUE_ANY: return 3 + value->size + zero_count(value->data, value->size);
    }
    assert(!"a value has one of these types");
    return 0;
}

static char *write_big64(char *to, uint64_t number)
{
    number = htobe64(number);
    memcpy(to, &number, sizeof number);
    return to + sizeof number;
}

// The bits of a double in the order of numbers.
static uint64_t ordered_bits(double number)
{
    if (isnan(number)) return UINT64_MAX;
    if (number == 0) return SIGN_BIT; // Either zero.
    uint64_t bits = 0;
    memcpy(&bits, &number, sizeof bits);
    return bits & SIGN_BIT ? ~bits : bits | SIGN_BIT;
}

static double double_from_ordered(uint64_t bits)
{
    if (bits == UINT64_MAX) return NAN;
    bits = bits & SIGN_BIT ? bits & ~SIGN_BIT : ~bits;
    double number = 0;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static char *write_string(char *to, const char *data, size_t size)
{
    const char *end = size > 0 ? data + size : data;
    while (data < end) {
        const char *zero = memchr(data, 0, (size_t)(end - data));
        size_t plain = (size_t)((zero ? zero : end) - data);
        memcpy(to, data, plain);
        to += plain;
        if (!zero) break;
        *to++ = ESCAPE;
        *to++ = (char)ESCAPED_ZERO;
        data = zero + 1;
    }
    *to++ = ESCAPE;
    *to++ = END;
    return to;
}

static char *write_value(char *to, const struct value *value)
{
    *to++ = (char)value->type;
    switch ((enum value_type)value->type) {
    case VALUE_NULL: return to;
    case VALUE_INT64: return write_big64(to, (uint64_t)value->int64 ^ SIGN_BIT);
    case VALUE_UINT64: return write_big64(to, value->uint64);
    case VALUE_DOUBLE: return write_big64(to, ordered_bits(value->real));
    case VALUE_BOOLEAN: *to++ = value->boolean ? 1 : 0; return to;
    case VALUE_STRING:
    case VALUE_ANY: return write_string(to, value->data, value->size);
    }
    return to;
}

void key_encode(const struct value *values, size_t count, struct buffer *buffer)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) size += encoded_size(&values[i]);
    char *to = buffer_reserve(buffer, size);
    if (!to) return;
    for (size_t i = 0; i < count; i++) to = write_value(to, &values[i]);
    buffer->size += size;
    assert(to == buffer->data + buffer->size);
}

void key_encode_value(const struct value *value, struct buffer *buffer)
{
    key_encode(value, 1, buffer);
}

static struct error *malformed(void)
{
    return error_new(ERROR_GENERIC, "Key is cut short or malformed");
}

static struct slice skip(struct slice bytes, size_t size)
{
    return slice_from(bytes.data + size, bytes.size - size);
}

// Takes a string off `key`. It is copied only if there is something to unescape.
static bool take_string(struct arena *arena, struct slice *key, struct value *value)
{
    size_t escape_count = 0;
    const char *at = key->data;
    const char *end = key->data + key->size;
    for (;; at += 2, escape_count++) {
        at = at < end ? memchr(at, ESCAPE, (size_t)(end - at)) : NULL;
        if (!at || end - at < 2) return false;
        if (at[1] == END) break;
        if ((uint8_t)at[1] != ESCAPED_ZERO) return false;
    }
    size_t size = (size_t)(at - key->data);
    if (size - escape_count > UINT32_MAX) return false;
    value->data = key->data;
    value->size = (uint32_t)(size - escape_count);
    if (escape_count > 0) {
        char *to = arena_alloc(arena, value->size);
        value->data = to;
        for (size_t i = 0; i < size; i += key->data[i] == ESCAPE ? 2 : 1) *to++ = key->data[i];
    }
    *key = skip(*key, size + 2);
    return true;
}

static bool take_value(struct arena *arena, struct slice *key, struct value *value)
{
    value->type = (uint8_t)key->data[0];
    *key = skip(*key, 1);
    uint64_t bits = 0;
    switch ((enum value_type)value->type) {
    case VALUE_NULL: return true;
    case VALUE_INT64:
    case VALUE_UINT64:
    case VALUE_DOUBLE:
        if (key->size < sizeof bits) return false;
        memcpy(&bits, key->data, sizeof bits);
        bits = be64toh(bits);
        *key = skip(*key, sizeof bits);
        if (value->type == VALUE_INT64) {
            value->int64 = (int64_t)(bits ^ SIGN_BIT);
        } else if (value->type == VALUE_UINT64) {
            value->uint64 = bits;
        } else {
            value->real = double_from_ordered(bits);
        }
        return true;
    case VALUE_BOOLEAN:
        if (key->size < 1 || (uint8_t)key->data[0] > 1) return false;
        value->boolean = key->data[0];
        *key = skip(*key, 1);
        return true;
    case VALUE_STRING:
    case VALUE_ANY: return take_string(arena, key, value);
    }
    return false;
}

struct error *key_decode(
    struct arena *arena,
    struct slice key,
    size_t count_max,
    struct value *values,
    size_t *ret_count)
{
    assert(count_max <= UINT16_MAX);
    size_t count = 0;
    for (; key.size > 0; count++) {
        if (count == count_max) {
            struct error *error = error_new(ERROR_GENERIC, "Key has too many values");
            return error_set_u64(error, "count_max", count_max);
        }
        values[count] = (struct value){.column = (uint16_t)count};
        if (!take_value(arena, &key, &values[count])) return malformed();
    }
    *ret_count = count;
    return NULL;
}

void key_successor(struct buffer *key)
{
    buffer_append_byte(key, SUCCESSOR);
}
