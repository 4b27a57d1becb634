// Requests of the client API between protobuf and the core: `struct request` from messages, answers
// from it.
//
// Messages are decoded into the request's arena, so what they hold lives as long as the request.
#pragma once

#include "base/buffer.h"
#include "cluster/core/request.h"

// What a client reads at most in one message (client/retable.c), less some framing.
#define CLIENT_ANSWER_SIZE_MAX ((UINT64_C(64) << 20) - 1024)

// Each reads one kind of message and makes `request` from it. `now_us` is the time.
MUST_USE struct error *client_read_commit(
    struct request *request, struct slice message, uint64_t now_us);
MUST_USE struct error *client_read_lookup(
    struct request *request, struct slice message, uint64_t now_us);
MUST_USE struct error *client_read_modify(
    struct request *request, struct slice message, uint64_t now_us);
MUST_USE struct error *client_read_start(
    struct request *request, struct slice message, uint64_t now_us);
MUST_USE struct error *client_read_ping(
    struct request *request, struct slice message, uint64_t now_us);
MUST_USE struct error *client_read_abort(
    struct request *request, struct slice message, uint64_t now_us);
MUST_USE struct error *client_read_execute(
    struct request *request, struct slice message, uint64_t now_us);
MUST_USE struct error *client_read_select(
    struct request *request, struct slice message, uint64_t now_us);

// Takes the next entry off a SessionRequest, `*message`; `*ret_entry` is empty at the end.
MUST_USE struct error *client_next_entry(struct slice *message, struct slice *ret_entry);

// Reads an entry of a session. `*ret_id` is set before anything can fail but the entry's form; with
// a failure that leaves it 0, the whole session makes no sense.
MUST_USE struct error *client_read_entry(
    struct request *request, struct slice entry, uint64_t now_us, uint64_t *ret_id);

// Appends the answer to a request without an error, as its method's response.
void client_write_answer(const struct request *request, struct buffer *buffer);

// Appends the answer to entry `id` of a session, or its error, as an entry of a SessionResponse.
void client_write_entry(const struct request *request, uint64_t id, struct buffer *buffer);
