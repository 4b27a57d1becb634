// The client's end of one session: a stream on which many requests are under way at once.
//
// Requests submitted between two flushes travel in one message. The stream is opened when there is
// something to send; nothing is sent before the server has accepted it, so that a request that
// could not be sent is told from one whose outcome is unknown.
#pragma once

#include "client/retable.h"
#include "io/rpc.h"
#include "proto/retable/v1/client.pb-c.h"

struct session;

// `channel` and `address` are borrowed.
MUST_USE struct session *session_new(
    struct rpc_channel *channel, const char *address, uint64_t request_count_max);

// Calls back what is under way with ERROR_CANCELED. The channel must still be open.
void session_free(struct session *session);

// Submits a request; its id is filled in. `deadline_us` is when to call back if no answer has come.
MUST_USE struct error *session_submit(
    struct session *session,
    Retable__V1__Request *request,
    uint64_t deadline_us,
    retable_callback *callback,
    void *context);

// Sends what has been submitted, if the stream is open and has room.
void session_flush(struct session *session);

// Calls back requests whose time is over. Returns when to call again.
uint64_t session_expire(struct session *session, uint64_t now_us);

uint64_t session_request_count(const struct session *session);
