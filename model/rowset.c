#include "model/rowset.h"

#include "base/coding.h"

#include <assert.h>
#include <endian.h>
#include <inttypes.h>

enum {
    AGGREGATE = 0x80,   // Added to the type byte.
    ROW_SIZE_MIN = 2,   // The kind and the count of values.
    VALUE_SIZE_MIN = 2, // The column and the type of a null.
    NAME_SIZE_MIN = 1,  // The length of an empty name.
};

// These are the hot path of every write and read: sizes are added up first, so that there is one
// call to the buffer for each row.

static size_t varint_size(uint64_t number)
{
    unsigned bit_count = 64 - (unsigned)__builtin_clzll(number | 1);
    return (bit_count + 6) / 7;
}

static char *write_varint(char *to, uint64_t number)
{
    while (number >= 0x80) {
        *to++ = (char)(number | 0x80);
        number >>= 7;
    }
    *to++ = (char)number;
    return to;
}

static size_t value_size(const struct value *value)
{
    size_t size = varint_size(value->column) + 1;
    switch ((enum value_type)value->type) {
    case VALUE_NULL: return size;
    case VALUE_INT64: return size + varint_size(zigzag(value->int64));
    case VALUE_UINT64: return size + varint_size(value->uint64);
    case VALUE_DOUBLE: return size + sizeof(uint64_t);
    case VALUE_BOOLEAN: return size + 1;
    case VALUE_STRING:
    case VALUE_ANY: return size + varint_size(value->size) + value->size;
    }
    assert(!"a value has one of these types");
    return 0;
}

static char *write_value(char *to, const struct value *value)
{
    to = write_varint(to, value->column);
    *to++ = (char)(value->type | (value->is_aggregate ? AGGREGATE : 0));
    switch ((enum value_type)value->type) {
    case VALUE_NULL: return to;
    case VALUE_INT64: return write_varint(to, zigzag(value->int64));
    case VALUE_UINT64: return write_varint(to, value->uint64);
    case VALUE_DOUBLE: {
        uint64_t bits = 0;
        memcpy(&bits, &value->real, sizeof bits);
        bits = htole64(bits);
        memcpy(to, &bits, sizeof bits);
        return to + sizeof bits;
    }
    case VALUE_BOOLEAN: *to++ = value->boolean ? 1 : 0; return to;
    case VALUE_STRING:
    case VALUE_ANY:
        to = write_varint(to, value->size);
        if (value->size > 0) memcpy(to, value->data, value->size);
        return to + value->size;
    }
    return to;
}

void rowset_encode_begin(
    const struct slice *names, uint16_t name_count, uint32_t row_count, struct buffer *buffer)
{
    assert(name_count <= ROWSET_NAME_COUNT_MAX);
    assert(row_count <= ROWSET_ROW_COUNT_MAX);
    put_u8(buffer, ROWSET_VERSION);
    put_varint(buffer, name_count);
    for (uint16_t i = 0; i < name_count; i++) put_bytes(buffer, names[i]);
    put_varint(buffer, row_count);
}

void rowset_encode_row(const struct row *row, struct buffer *buffer)
{
    assert(row->value_count <= ROWSET_VALUE_COUNT_MAX);
    assert(row->kind != ROW_MISSING || row->value_count == 0);
    size_t size = 1 + varint_size(row->value_count);
    for (uint32_t i = 0; i < row->value_count; i++) size += value_size(&row->values[i]);
    char *to = buffer_reserve(buffer, size);
    if (!to) return;
    *to++ = (char)row->kind;
    to = write_varint(to, row->value_count);
    for (uint32_t i = 0; i < row->value_count; i++) to = write_value(to, &row->values[i]);
    buffer->size += size;
    assert(to == buffer->data + buffer->size);
}

void rowset_encode(const struct rowset *rowset, struct buffer *buffer)
{
    rowset_encode_begin(rowset->names, rowset->name_count, rowset->row_count, buffer);
    for (uint32_t i = 0; i < rowset->row_count; i++) rowset_encode_row(&rowset->rows[i], buffer);
}

static struct error *malformed(void)
{
    return error_new(ERROR_GENERIC, "Rowset is cut short or malformed");
}

static struct error *limit_exceeded(const char *what, uint64_t actual, uint64_t limit)
{
    struct error *error = error_new(ERROR_GENERIC, "Rowset has too many %s", what);
    error_set_u64(error, "actual", actual);
    return error_set_u64(error, "limit", limit);
}

// A place in the input that is moved by the functions below; they return false at its end.
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static struct cursor cursor_from(struct slice bytes)
{
    const uint8_t *at = (const uint8_t *)(bytes.data ? bytes.data : "");
    return (struct cursor){.at = at, .end = at + bytes.size};
}

static size_t cursor_rest(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static struct slice cursor_slice(const struct cursor *cursor)
{
    return slice_from(cursor->at, cursor_rest(cursor));
}

static bool read_byte(struct cursor *cursor, uint8_t *byte)
{
    if (cursor->at == cursor->end) return false;
    *byte = *cursor->at++;
    return true;
}

static bool read_long_varint(struct cursor *cursor, uint64_t *number)
{
    struct reader reader = reader_from(cursor_slice(cursor));
    *number = get_varint(&reader);
    if (reader.is_broken) return false;
    cursor->at = (const uint8_t *)reader.rest.data;
    return true;
}

static inline bool read_varint(struct cursor *cursor, uint64_t *number)
{
    if (cursor->at < cursor->end && *cursor->at < 0x80) {
        *number = *cursor->at++;
        return true;
    }
    return read_long_varint(cursor, number);
}

static bool read_bytes(struct cursor *cursor, struct slice *bytes)
{
    uint64_t size = 0;
    if (!read_varint(cursor, &size) || size > cursor_rest(cursor)) return false;
    *bytes = slice_from(cursor->at, (size_t)size);
    cursor->at += size;
    return true;
}

static bool read_value(struct cursor *cursor, uint16_t name_count, struct value *value)
{
    uint64_t column = 0;
    uint8_t type = 0;
    if (!read_varint(cursor, &column) || !read_byte(cursor, &type)) return false;
    if (column >= name_count) return false;
    *value = (struct value){
        .type = type & (uint8_t)~AGGREGATE,
        .is_aggregate = type & AGGREGATE,
        .column = (uint16_t)column,
    };
    uint64_t number = 0;
    struct slice bytes;
    switch ((enum value_type)value->type) {
    case VALUE_NULL: return true;
    case VALUE_INT64:
        if (!read_varint(cursor, &number)) return false;
        value->int64 = unzigzag(number);
        return true;
    case VALUE_UINT64: return read_varint(cursor, &value->uint64);
    case VALUE_DOUBLE:
        if (cursor_rest(cursor) < sizeof number) return false;
        memcpy(&number, cursor->at, sizeof number);
        number = le64toh(number);
        memcpy(&value->real, &number, sizeof number);
        cursor->at += sizeof number;
        return true;
    case VALUE_BOOLEAN: {
        uint8_t byte = 0;
        if (!read_byte(cursor, &byte) || byte > 1) return false;
        value->boolean = byte;
        return true;
    }
    case VALUE_STRING:
    case VALUE_ANY:
        if (!read_bytes(cursor, &bytes) || bytes.size > UINT32_MAX) return false;
        value->data = bytes.data;
        value->size = (uint32_t)bytes.size;
        return true;
    }
    return false;
}

struct error *rowset_read_begin(
    struct rowset_reader *reader, struct arena *arena, struct slice bytes)
{
    struct cursor cursor = cursor_from(bytes);
    uint8_t version = 0;
    if (!read_byte(&cursor, &version)) return malformed();
    if (version != ROWSET_VERSION) {
        struct error *error = error_new(ERROR_GENERIC, "Rowset has an unknown version");
        return error_set_u64(error, "version", version);
    }
    uint64_t name_count = 0;
    if (!read_varint(&cursor, &name_count)) return malformed();
    if (name_count > ROWSET_NAME_COUNT_MAX) {
        return limit_exceeded("names", name_count, ROWSET_NAME_COUNT_MAX);
    }
    if (name_count * NAME_SIZE_MIN > cursor_rest(&cursor)) return malformed();
    struct slice *names = ARENA_NEW(arena, struct slice, name_count);
    for (uint64_t i = 0; i < name_count; i++) {
        if (!read_bytes(&cursor, &names[i])) return malformed();
    }
    uint64_t row_count = 0;
    if (!read_varint(&cursor, &row_count)) return malformed();
    if (row_count > ROWSET_ROW_COUNT_MAX) {
        return limit_exceeded("rows", row_count, ROWSET_ROW_COUNT_MAX);
    }
    if (row_count * ROW_SIZE_MIN > cursor_rest(&cursor)) return malformed();
    if (row_count == 0 && cursor_rest(&cursor) > 0) return malformed();
    *reader = (struct rowset_reader){
        .rest = cursor_slice(&cursor),
        .names = names,
        .name_count = (uint16_t)name_count,
        .row_count = (uint32_t)row_count,
    };
    return NULL;
}

// Reads a row into `values`, or if that is NULL into the arena.
static struct error *read_row(
    struct rowset_reader *reader, struct arena *arena, struct value *values, struct row *ret_row)
{
    assert(reader->row_count > 0);
    struct cursor cursor = cursor_from(reader->rest);
    uint8_t kind = 0;
    uint64_t value_count = 0;
    if (!read_byte(&cursor, &kind) || !read_varint(&cursor, &value_count)) return malformed();
    if (kind < ROW_WRITE || kind > ROW_MISSING) return malformed();
    if (kind == ROW_MISSING && value_count > 0) return malformed();
    if (value_count > ROWSET_VALUE_COUNT_MAX) {
        return error_new(
            ERROR_TOO_MANY_VALUES_IN_ROW,
            "Too many values in row: actual %" PRIu64 ", limit %d",
            value_count,
            ROWSET_VALUE_COUNT_MAX);
    }
    if (value_count * VALUE_SIZE_MIN > cursor_rest(&cursor)) return malformed();

    if (!values) values = ARENA_NEW(arena, struct value, value_count);
    for (uint64_t i = 0; i < value_count; i++) {
        if (!read_value(&cursor, reader->name_count, &values[i])) return malformed();
    }
    reader->row_count--;
    reader->rest = cursor_slice(&cursor);
    if (reader->row_count == 0 && reader->rest.size > 0) return malformed();
    *ret_row = (struct row){
        .kind = (enum row_kind)kind,
        .value_count = (uint32_t)value_count,
        .values = values,
    };
    return NULL;
}

struct error *rowset_read_row(
    struct rowset_reader *reader, struct value *values, struct row *ret_row)
{
    assert(values);
    return read_row(reader, NULL, values, ret_row);
}

struct error *rowset_decode(struct arena *arena, struct slice bytes, struct rowset *ret_rowset)
{
    struct rowset_reader reader;
    TRY(rowset_read_begin(&reader, arena, bytes));
    struct rowset rowset = {
        .names = reader.names,
        .name_count = reader.name_count,
        .rows = ARENA_NEW(arena, struct row, reader.row_count),
        .row_count = reader.row_count,
    };
    for (uint32_t i = 0; i < rowset.row_count; i++) {
        TRY(read_row(&reader, arena, NULL, &rowset.rows[i]));
    }
    *ret_rowset = rowset;
    return NULL;
}

uint32_t rowset_row_count(struct slice bytes)
{
    struct cursor cursor = cursor_from(bytes);
    uint8_t version = 0;
    uint64_t name_count = 0;
    uint64_t row_count = 0;
    struct slice name;
    if (!read_byte(&cursor, &version) || version != ROWSET_VERSION) return 0;
    if (!read_varint(&cursor, &name_count) || name_count > ROWSET_NAME_COUNT_MAX) return 0;
    for (uint64_t i = 0; i < name_count; i++) {
        if (!read_bytes(&cursor, &name)) return 0;
    }
    if (!read_varint(&cursor, &row_count) || row_count > ROWSET_ROW_COUNT_MAX) return 0;
    return (uint32_t)row_count;
}
