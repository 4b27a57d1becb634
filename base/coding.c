#include "base/coding.h"

#include <endian.h>

void put_u8(struct buffer *buffer, uint8_t number)
{
    buffer_append_byte(buffer, number);
}

void put_fixed32(struct buffer *buffer, uint32_t number)
{
    uint32_t bytes = htole32(number);
    buffer_append(buffer, &bytes, sizeof bytes);
}

void put_fixed64(struct buffer *buffer, uint64_t number)
{
    uint64_t bytes = htole64(number);
    buffer_append(buffer, &bytes, sizeof bytes);
}

void put_big32(struct buffer *buffer, uint32_t number)
{
    uint32_t bytes = htobe32(number);
    buffer_append(buffer, &bytes, sizeof bytes);
}

void put_big64(struct buffer *buffer, uint64_t number)
{
    uint64_t bytes = htobe64(number);
    buffer_append(buffer, &bytes, sizeof bytes);
}

void put_varint(struct buffer *buffer, uint64_t number)
{
    uint8_t bytes[10];
    size_t size = 0;
    while (number >= 0x80) {
        bytes[size++] = (uint8_t)(number | 0x80);
        number >>= 7;
    }
    bytes[size++] = (uint8_t)number;
    buffer_append(buffer, bytes, size);
}

void put_bytes(struct buffer *buffer, struct slice bytes)
{
    put_varint(buffer, bytes.size);
    buffer_append_slice(buffer, bytes);
}

struct slice get_raw(struct reader *reader, size_t size)
{
    if (reader->is_broken || reader->rest.size < size) {
        reader->is_broken = true;
        return slice_from("", 0);
    }
    struct slice raw = slice_from(reader->rest.data, size);
    reader->rest = slice_from(reader->rest.data + size, reader->rest.size - size);
    return raw;
}

uint8_t get_u8(struct reader *reader)
{
    struct slice raw = get_raw(reader, 1);
    return raw.size == 1 ? (uint8_t)raw.data[0] : 0;
}

uint32_t get_fixed32(struct reader *reader)
{
    uint32_t number = 0;
    struct slice raw = get_raw(reader, sizeof number);
    if (raw.size > 0) memcpy(&number, raw.data, sizeof number);
    return le32toh(number);
}

uint64_t get_fixed64(struct reader *reader)
{
    uint64_t number = 0;
    struct slice raw = get_raw(reader, sizeof number);
    if (raw.size > 0) memcpy(&number, raw.data, sizeof number);
    return le64toh(number);
}

uint32_t get_big32(struct reader *reader)
{
    return be32toh(htole32(get_fixed32(reader)));
}

uint64_t get_big64(struct reader *reader)
{
    return be64toh(htole64(get_fixed64(reader)));
}

uint64_t get_varint(struct reader *reader)
{
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = get_u8(reader);
        if (shift == 63 && byte > 1) break; // The 65th bit.
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return reader->is_broken ? 0 : number;
    }
    reader->is_broken = true;
    return 0;
}

struct slice get_bytes(struct reader *reader)
{
    uint64_t size = get_varint(reader);
    if (size > reader->rest.size) reader->is_broken = true;
    return get_raw(reader, reader->is_broken ? 0 : (size_t)size);
}

struct error *reader_finish(const struct reader *reader, const char *what)
{
    if (reader->is_broken) return error_new(ERROR_GENERIC, "%s is cut short or malformed", what);
    if (reader->rest.size == 0) return NULL;
    struct error *error = error_new(ERROR_GENERIC, "%s has bytes after its end", what);
    return error_set_u64(error, "byte_count", reader->rest.size);
}
