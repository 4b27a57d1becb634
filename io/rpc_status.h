// Errors as gRPC statuses. Only for io/rpc_*.c: nobody else includes gRPC.
//
// The status code is the nearest to our code, the text is the message, and the trailing metadata
// `grpc-status-details-bin` is a google.rpc.Status with one detail of type
// type.googleapis.com/retable.v1.Error, whose value is the encoded tree (model/error_node.h).
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <grpc/grpc.h>

#define RPC_STATUS_DETAILS_KEY "grpc-status-details-bin"

// Other gRPC clients refuse metadata above 8 KiB, base64 included: a larger tree travels without
// its inner errors, and a longer text is cut.
#define RPC_STATUS_DETAILS_SIZE_MAX 4096
#define RPC_STATUS_TEXT_SIZE_MAX    1024

grpc_status_code rpc_status_code(const struct error *error);

// Writes the google.rpc.Status.
void rpc_status_encode(const struct error *error, struct buffer *buffer);

// Makes the error of a call to `address`; NULL of OK. Decodes `details` (empty if there are none),
// and otherwise goes by code and text.
MUST_USE struct error *rpc_status_decode(
    grpc_status_code code, struct slice text, struct slice details, const char *address);
