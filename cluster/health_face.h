// The standard health service of gRPC: SERVING until the daemon is asked to stop.
#pragma once

#include "base/containers.h"
#include "io/rpc.h"

struct health_face;

MUST_USE struct health_face *health_face_new(void);

// After the rpc has been freed.
void health_face_free(struct health_face *face);

// Appends the methods to be served to `*methods`, an stb array.
void health_face_methods(struct health_face *face, struct rpc_method **methods);

// From now on NOT_SERVING; tells those who watch, and ends their streams.
void health_face_stop(struct health_face *face);
