#include "io/rpc_status.h"

#include "base/coding.h"
#include "model/error_node.h"

#define DETAIL_TYPE "type.googleapis.com/retable.v1.Error"

// Tags of the protobuf fields in google.rpc.Status and google.protobuf.Any.
enum {
    STATUS_CODE = 1 << 3,
    STATUS_MESSAGE = 2 << 3 | 2,
    STATUS_DETAIL = 3 << 3 | 2,
    ANY_TYPE = 1 << 3 | 2,
    ANY_VALUE = 2 << 3 | 2,
    WIRE_TYPE_MASK = 7,
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5,
};

grpc_status_code rpc_status_code(const struct error *error)
{
    switch (error_code(error)) {
    case ERROR_CANCELED: return GRPC_STATUS_CANCELLED;
    case ERROR_TIMEOUT:
    case ERROR_BLOCKED_ROW_WAIT_TIMEOUT: return GRPC_STATUS_DEADLINE_EXCEEDED;
    case ERROR_RPC_UNAVAILABLE: return GRPC_STATUS_UNAVAILABLE;
    case ERROR_INVALID_CREDENTIALS:
    case ERROR_AUTHENTICATION_ERROR: return GRPC_STATUS_UNAUTHENTICATED;
    case ERROR_ACCESS_DENIED: return GRPC_STATUS_PERMISSION_DENIED;
    case ERROR_RESOLVE_ERROR:
    case ERROR_NO_SUCH_SUBJECT:
    case ERROR_COLUMN_NOT_FOUND:
    case ERROR_NO_SUCH_TRANSACTION: return GRPC_STATUS_NOT_FOUND;
    case ERROR_ALREADY_EXISTS:
    case ERROR_ALREADY_PRESENT_IN_GROUP:
    case ERROR_TABLE_REPLICA_ALREADY_EXISTS: return GRPC_STATUS_ALREADY_EXISTS;
    case ERROR_ACCOUNT_LIMIT_EXCEEDED:
    case ERROR_REQUEST_THROTTLED: return GRPC_STATUS_RESOURCE_EXHAUSTED;
    case ERROR_CONCURRENT_TRANSACTION_LOCK_CONFLICT:
    case ERROR_TRANSACTION_LOCK_CONFLICT: return GRPC_STATUS_ABORTED;
    case ERROR_SAFE_MODE_ENABLED:
    case ERROR_TABLET_NOT_MOUNTED:
    case ERROR_INVALID_TABLET_STATE:
    case ERROR_NO_SYNC_REPLICAS:
    case ERROR_TABLE_MUST_NOT_BE_REPLICATED:
    case ERROR_TABLE_MUST_BE_SORTED:
    case ERROR_UPSTREAM_REPLICA_MISMATCH:
    case ERROR_SYNC_REPLICA_NOT_IN_SYNC:
    case ERROR_NO_IN_SYNC_REPLICAS: return GRPC_STATUS_FAILED_PRECONDITION;
    case ERROR_SCHEMA_VIOLATION:
    case ERROR_ROW_WEIGHT_LIMIT_EXCEEDED:
    case ERROR_INCOMPATIBLE_SCHEMAS:
    case ERROR_TOO_MANY_COLUMNS_IN_KEY:
    case ERROR_TOO_MANY_VALUES_IN_ROW:
    case ERROR_DUPLICATE_COLUMN_IN_SCHEMA:
    case ERROR_MISSING_REQUIRED_COLUMN_IN_SCHEMA:
    case ERROR_STRING_LENGTH_LIMIT_EXCEEDED:
    case ERROR_QUERY_INPUT_ROW_COUNT_LIMIT_EXCEEDED:
    case ERROR_QUERY_OUTPUT_ROW_COUNT_LIMIT_EXCEEDED:
    case ERROR_QUERY_EXPRESSION_DEPTH_LIMIT_EXCEEDED:
    case ERROR_TOO_MANY_ROWS_IN_TRANSACTION: return GRPC_STATUS_INVALID_ARGUMENT;
    case ERROR_GENERIC: return GRPC_STATUS_UNKNOWN;
    }
    return GRPC_STATUS_UNKNOWN; // A code from elsewhere.
}

void rpc_status_encode(const struct error *error, struct buffer *buffer)
{
    CLEANUP(buffer_releasep) struct buffer tree = {0};
    error_encode(error, &tree);
    if (tree.size > RPC_STATUS_DETAILS_SIZE_MAX) {
        CLEANUP(error_freep)
        struct error *outer =
            error_new(error_code(error), "%.*s", RPC_STATUS_TEXT_SIZE_MAX, error_message(error));
        buffer_clear(&tree);
        error_encode(outer, &tree);
    }
    CLEANUP(buffer_releasep) struct buffer detail = {0};
    put_varint(&detail, ANY_TYPE);
    put_bytes(&detail, SLICE_OF(DETAIL_TYPE));
    put_varint(&detail, ANY_VALUE);
    put_bytes(&detail, buffer_slice(&tree));

    struct slice text = slice_from_text(error_message(error));
    text.size = MIN(text.size, (size_t)RPC_STATUS_TEXT_SIZE_MAX);
    put_varint(buffer, STATUS_CODE);
    put_varint(buffer, (uint64_t)rpc_status_code(error));
    put_varint(buffer, STATUS_MESSAGE);
    put_bytes(buffer, text);
    put_varint(buffer, STATUS_DETAIL);
    put_bytes(buffer, buffer_slice(&detail));
}

// Finds a field of bytes in a protobuf message; empty if it has none, or is malformed.
static struct slice find_field(struct slice message, uint64_t wanted_tag)
{
    struct reader reader = reader_from(message);
    while (reader.rest.size > 0 && !reader.is_broken) {
        uint64_t tag = get_varint(&reader);
        struct slice bytes = {0};
        switch (tag & WIRE_TYPE_MASK) {
        case WIRE_VARINT: get_varint(&reader); break;
        case WIRE_FIXED64: get_fixed64(&reader); break;
        case WIRE_BYTES: bytes = get_bytes(&reader); break;
        case WIRE_FIXED32: get_fixed32(&reader); break;
        default: return (struct slice){0};
        }
        if (tag == wanted_tag && !reader.is_broken) return bytes;
    }
    return (struct slice){0};
}

struct error *rpc_status_decode(
    grpc_status_code code, struct slice text, struct slice details, const char *address)
{
    if (code == GRPC_STATUS_OK) return NULL;
    struct slice detail = find_field(details, STATUS_DETAIL);
    if (slice_equal_text(find_field(detail, ANY_TYPE), DETAIL_TYPE)) {
        struct error *error = error_decode(find_field(detail, ANY_VALUE));
        if (error) return error; // A refusal without an error would be a malformed answer.
    }
    enum error_code our_code = ERROR_GENERIC;
    if (code == GRPC_STATUS_UNAVAILABLE) our_code = ERROR_RPC_UNAVAILABLE;
    if (code == GRPC_STATUS_DEADLINE_EXCEEDED) our_code = ERROR_TIMEOUT;
    if (code == GRPC_STATUS_CANCELLED) our_code = ERROR_CANCELED;
    if (code == GRPC_STATUS_RESOURCE_EXHAUSTED) our_code = ERROR_REQUEST_THROTTLED;
    struct error *error = error_new(our_code, "Call to %s failed: %.*s", address, SLICE(text));
    return error_set_u64(error, "grpc_status", (uint64_t)code);
}
