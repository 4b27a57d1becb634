// Messages of replication (model/message.h) as frames of the stream, and back.
//
// A frame carries the messages that one side has to send at the moment, in order; all of one epoch.
#pragma once

#include "base/buffer.h"
#include "model/message.h"

// Appends one frame with as many of `messages` as share the first one's epoch and fit into about
// `size_max` bytes, but one at least. Returns how many.
size_t replication_encode(
    struct message *const *messages, size_t count, size_t size_max, struct buffer *frame);

// Reads a frame. The messages are a list (`next`) in order, owned by the caller. Everything that is
// not well formed is refused; whether it makes sense is for the core to say.
MUST_USE struct error *replication_decode(struct slice frame, struct message **ret_messages);
