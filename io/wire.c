#include "io/wire.h"

#include <assert.h>

static void *arena_allocate(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void arena_keep(void *arena, void *memory)
{
    (void)arena;
    (void)memory; // Goes with the arena.
}

struct error *wire_decode(
    struct arena *arena,
    const ProtobufCMessageDescriptor *descriptor,
    struct slice bytes,
    ProtobufCMessage **ret_message)
{
    ProtobufCAllocator allocator = {
        .alloc = arena_allocate,
        .free = arena_keep,
        .allocator_data = arena,
    };
    ProtobufCMessage *message =
        protobuf_c_message_unpack(descriptor, &allocator, bytes.size, (const uint8_t *)bytes.data);
    if (!message)
        return error_new(ERROR_GENERIC, "Message of type %s is malformed", descriptor->name);
    *ret_message = message;
    return NULL;
}

void wire_encode(const ProtobufCMessage *message, struct buffer *buffer)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    char *place = buffer_reserve(buffer, size);
    if (!place) return; // The buffer remembers.
    size_t written = protobuf_c_message_pack(message, (uint8_t *)place);
    assert(written == size);
    buffer->size += written;
}

static void put_number(uint64_t number, uint8_t *bytes)
{
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(number >> (56 - 8 * i));
}

static uint64_t get_number(const uint8_t *bytes)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++) number = number << 8 | bytes[i];
    return number;
}

ProtobufCBinaryData wire_guid(struct guid id, uint8_t *bytes)
{
    if (guid_is_null(id)) return (ProtobufCBinaryData){0};
    put_number(id.high, bytes);
    put_number(id.low, bytes + 8);
    return (ProtobufCBinaryData){.len = WIRE_GUID_SIZE, .data = bytes};
}

struct error *wire_get_guid(ProtobufCBinaryData bytes, const char *what, struct guid *ret_id)
{
    if (bytes.len == 0) {
        *ret_id = GUID_NULL;
        return NULL;
    }
    if (bytes.len != WIRE_GUID_SIZE)
        return error_new(ERROR_GENERIC, "Field %s is not an id of 16 bytes", what);
    *ret_id = (struct guid){.high = get_number(bytes.data), .low = get_number(bytes.data + 8)};
    return NULL;
}
