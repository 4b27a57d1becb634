// protobuf-c messages in our words: arenas, slices, buffers, guids and errors.
//
// Messages are decoded into an arena and never freed alone. Their strings and bytes are copies, so
// the input may go.
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "model/guid.h"

#include <protobuf-c/protobuf-c.h>

#define WIRE_GUID_SIZE 16

// Decodes a message of type `descriptor`. Fails with ERROR_GENERIC, naming the type, if it is
// malformed.
MUST_USE struct error *wire_decode(
    struct arena *arena,
    const ProtobufCMessageDescriptor *descriptor,
    struct slice bytes,
    ProtobufCMessage **ret_message);

// Decodes into a typed variable: WIRE_DECODE(arena, retable__v1__commit_request, bytes, &request).
#define WIRE_DECODE(arena, type, bytes, ret_message) \
    wire_decode((arena), &type##__descriptor, (bytes), (ProtobufCMessage **)(void *)(ret_message))

// Appends the encoded message; `message` is the `base` of one.
void wire_encode(const ProtobufCMessage *message, struct buffer *buffer);

// Bytes as a field; they are borrowed.
static inline ProtobufCBinaryData wire_bytes(struct slice bytes)
{
    // protobuf-c has no const, but does not write to what it encodes.
    return (ProtobufCBinaryData){.len = bytes.size, .data = (uint8_t *)bytes.data};
}

static inline struct slice wire_slice(ProtobufCBinaryData bytes)
{
    return slice_from(bytes.data, bytes.len);
}

// A guid as a field: `bytes`, WIRE_GUID_SIZE of them, is where it is written and must outlive the
// message. A null guid is an empty field.
ProtobufCBinaryData wire_guid(struct guid id, uint8_t *bytes);

// Reads a guid; an empty field is the null guid. Fails, naming `what`, if it has another size.
MUST_USE struct error *wire_get_guid(
    ProtobufCBinaryData bytes, const char *what, struct guid *ret_id);
