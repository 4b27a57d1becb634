// The gRPC face of a cluster: service retable.v1.Client.
//
// Unary calls, streams of one command's or query's output, and sessions, whose answers are gathered
// and leave together at the end of a turn. A client that goes away changes nothing: its requests
// complete, and their answers are dropped.
#pragma once

#include "cluster/loop.h"

#define CLIENT_SESSION_REQUEST_COUNT_MAX 65536

struct client_face;

// The loop is borrowed.
MUST_USE struct client_face *client_face_new(struct loop *loop);

// Ends the answers that are being given in parts. To be called while those who make them, and the
// rpc, are still there.
void client_face_stop(struct client_face *face);

// After the rpc has been freed, and with it everything that could call the face.
void client_face_free(struct client_face *face);

// Appends the methods to be served to `*methods`, an stb array.
void client_face_methods(struct client_face *face, struct rpc_method **methods);

// Sends what has been answered.
void client_face_flush(struct client_face *face);
