#include "cluster/client_requests.h"

#include "base/coding.h"
#include "io/wire.h"
#include "model/error_node.h"
#include "model/yson.h"
#include "proto/retable/v1/client.pb-c.h"

enum {
    ENTRIES_TAG = 1 << 3 | 2, // Of the entries of SessionRequest and SessionResponse, in protobuf.
    TIMEOUT_MS_MAX = 1 << 30,
};

static uint64_t deadline_of(uint64_t timeout_ms, uint64_t now_us)
{
    if (timeout_ms == 0) return UINT64_MAX;
    return now_us + MIN(timeout_ms, (uint64_t)TIMEOUT_MS_MAX) * 1000;
}

// -------------------------------------------------------------------------------------------------
// Reading

static void take_modifications(
    struct request *request, Retable__V1__Modification *const *modifications, size_t count)
{
    request->modifications = ARENA_NEW(&request->arena, struct modification, count);
    request->modification_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        const Retable__V1__Modification *from = modifications[i];
        request->modifications[i] = (struct modification){
            .path = slice_from_text(from->path),
            .rows = wire_slice(from->rowset),
            .is_delete = from->kind == RETABLE__V1__MODIFICATION__KIND__DELETE,
            .is_update = from->update,
            .is_aggregate = from->aggregate,
            .require_sync_replica = !from->allow_no_sync_replica,
        };
    }
}

static struct error *take_commit(
    struct request *request, const Retable__V1__CommitRequest *commit, uint64_t now_us)
{
    request->kind = REQUEST_COMMIT;
    request->deadline_us = deadline_of(commit->timeout_ms, now_us);
    take_modifications(request, commit->modifications, commit->n_modifications);
    TRY(wire_get_guid(commit->transaction_id, "transaction_id", &request->transaction_id));
    return wire_get_guid(commit->mutation_id, "mutation_id", &request->mutation_id);
}

static struct error *take_modify(struct request *request, const Retable__V1__ModifyRequest *modify)
{
    request->kind = REQUEST_MODIFY;
    take_modifications(request, modify->modifications, modify->n_modifications);
    TRY(wire_get_guid(modify->transaction_id, "transaction_id", &request->transaction_id));
    if (!guid_is_null(request->transaction_id)) return NULL;
    return error_new(ERROR_GENERIC, "Field transaction_id is missing");
}

static struct error *take_lookup(
    struct request *request, const Retable__V1__LookupRequest *lookup, uint64_t now_us)
{
    request->kind = REQUEST_LOOKUP;
    request->deadline_us = deadline_of(lookup->timeout_ms, now_us);
    request->path = slice_from_text(lookup->path);
    request->rows = wire_slice(lookup->keys);
    request->columns = ARENA_NEW(&request->arena, struct slice, lookup->n_columns);
    request->column_count = (uint32_t)lookup->n_columns;
    for (size_t i = 0; i < lookup->n_columns; i++)
        request->columns[i] = slice_from_text(lookup->columns[i]);
    request->keep_missing_rows = lookup->keep_missing_rows;
    if ((unsigned)lookup->mode > LOOKUP_VERSIONS) {
        return error_new(ERROR_GENERIC, "Field mode: there is no mode %d", (int)lookup->mode);
    }
    request->lookup_mode = (enum lookup_mode)lookup->mode;
    if (lookup->timestamp != 0) request->timestamp = lookup->timestamp;
    request->min_timestamp = lookup->min_timestamp;
    TRY(wire_get_guid(
        lookup->upstream_replica_id, "upstream_replica_id", &request->upstream_replica_id));
    return wire_get_guid(lookup->transaction_id, "transaction_id", &request->transaction_id);
}

static struct error *take_start(
    struct request *request, const Retable__V1__StartTransactionRequest *start)
{
    request->kind = REQUEST_START_TRANSACTION;
    request->transaction_timeout_us = MIN(start->timeout_ms, (uint64_t)TIMEOUT_MS_MAX) * 1000;
    request->start_timestamp = start->start_timestamp;
    return NULL;
}

static struct error *take_transaction(
    struct request *request, enum request_kind kind, ProtobufCBinaryData id)
{
    request->kind = kind;
    TRY(wire_get_guid(id, "transaction_id", &request->transaction_id));
    if (!guid_is_null(request->transaction_id)) return NULL;
    return error_new(ERROR_GENERIC, "Field transaction_id is missing");
}

struct error *client_read_commit(struct request *request, struct slice message, uint64_t now_us)
{
    Retable__V1__CommitRequest *commit = NULL;
    TRY(WIRE_DECODE(&request->arena, retable__v1__commit_request, message, &commit));
    return take_commit(request, commit, now_us);
}

struct error *client_read_lookup(struct request *request, struct slice message, uint64_t now_us)
{
    Retable__V1__LookupRequest *lookup = NULL;
    TRY(WIRE_DECODE(&request->arena, retable__v1__lookup_request, message, &lookup));
    return take_lookup(request, lookup, now_us);
}

struct error *client_read_modify(struct request *request, struct slice message, uint64_t now_us)
{
    (void)now_us;
    Retable__V1__ModifyRequest *modify = NULL;
    TRY(WIRE_DECODE(&request->arena, retable__v1__modify_request, message, &modify));
    return take_modify(request, modify);
}

struct error *client_read_start(struct request *request, struct slice message, uint64_t now_us)
{
    (void)now_us;
    Retable__V1__StartTransactionRequest *start = NULL;
    TRY(WIRE_DECODE(&request->arena, retable__v1__start_transaction_request, message, &start));
    return take_start(request, start);
}

struct error *client_read_ping(struct request *request, struct slice message, uint64_t now_us)
{
    (void)now_us;
    Retable__V1__PingTransactionRequest *ping = NULL;
    TRY(WIRE_DECODE(&request->arena, retable__v1__ping_transaction_request, message, &ping));
    return take_transaction(request, REQUEST_PING_TRANSACTION, ping->transaction_id);
}

struct error *client_read_abort(struct request *request, struct slice message, uint64_t now_us)
{
    (void)now_us;
    Retable__V1__AbortTransactionRequest *abort = NULL;
    TRY(WIRE_DECODE(&request->arena, retable__v1__abort_transaction_request, message, &abort));
    return take_transaction(request, REQUEST_ABORT_TRANSACTION, abort->transaction_id);
}

struct error *client_read_execute(struct request *request, struct slice message, uint64_t now_us)
{
    (void)now_us;
    Retable__V1__ExecuteRequest *execute = NULL;
    request->kind = REQUEST_COMMAND;
    TRY(WIRE_DECODE(&request->arena, retable__v1__execute_request, message, &execute));
    request->command = slice_from_text(execute->command);
    request->input = wire_slice(execute->input);
    if (execute->parameters.len == 0) return NULL;
    struct error *error =
        yson_parse(&request->arena, wire_slice(execute->parameters), &request->parameters);
    if (!error) return NULL;
    return error_wrap(error, ERROR_GENERIC, "Parameters of %s are not YSON", execute->command);
}

struct error *client_read_select(struct request *request, struct slice message, uint64_t now_us)
{
    Retable__V1__SelectRequest *select = NULL;
    TRY(WIRE_DECODE(&request->arena, retable__v1__select_request, message, &select));
    request->kind = REQUEST_SELECT;
    request->deadline_us = deadline_of(select->timeout_ms, now_us);
    request->query = slice_from_text(select->query);
    if (select->timestamp != 0) request->timestamp = select->timestamp;
    request->min_timestamp = select->min_timestamp;
    request->input_row_limit = select->input_row_limit;
    request->output_row_limit = select->output_row_limit;
    request->allow_incomplete_result = select->allow_incomplete_result;
    request->table_paths = ARENA_NEW(&request->arena, struct slice, select->n_table_paths);
    request->table_path_count = (uint32_t)select->n_table_paths;
    for (size_t i = 0; i < select->n_table_paths; i++)
        request->table_paths[i] = slice_from_text(select->table_paths[i]);
    request->range_expansion_limit = select->range_expansion_limit;
    request->memory_limit = select->memory_limit;
    request->forbid_full_scan = select->forbid_full_scan;
    request->allow_join_without_index = select->allow_join_without_index;
    request->enable_statistics = select->enable_statistics;
    if (select->placeholder_values.len > 0) {
        struct slice values = wire_slice(select->placeholder_values);
        struct error *error = yson_parse(&request->arena, values, &request->placeholder_values);
        if (error) return error_wrap(error, ERROR_GENERIC, "Placeholder values are not YSON");
        if (request->placeholder_values->type != NODE_MAP)
            return error_new(ERROR_GENERIC, "Placeholder values must be a map");
    }
    TRY(wire_get_guid(
        select->upstream_replica_id, "upstream_replica_id", &request->upstream_replica_id));
    return wire_get_guid(select->transaction_id, "transaction_id", &request->transaction_id);
}

struct error *client_next_entry(struct slice *message, struct slice *ret_entry)
{
    *ret_entry = slice_from("", 0);
    if (message->size == 0) return NULL;
    struct reader reader = reader_from(*message);
    bool is_entry = get_varint(&reader) == ENTRIES_TAG;
    *ret_entry = get_bytes(&reader);
    if (!is_entry || reader.is_broken || ret_entry->size == 0)
        return error_new(ERROR_GENERIC, "Message of type SessionRequest is malformed");
    *message = reader.rest;
    return NULL;
}

struct error *client_read_entry(
    struct request *request, struct slice bytes, uint64_t now_us, uint64_t *ret_id)
{
    Retable__V1__Request *entry = NULL;
    *ret_id = 0;
    TRY(WIRE_DECODE(&request->arena, retable__v1__request, bytes, &entry));
    *ret_id = entry->id;
    switch (entry->kind_case) {
    case RETABLE__V1__REQUEST__KIND_COMMIT: return take_commit(request, entry->commit, now_us);
    case RETABLE__V1__REQUEST__KIND_LOOKUP: return take_lookup(request, entry->lookup, now_us);
    case RETABLE__V1__REQUEST__KIND_MODIFY: return take_modify(request, entry->modify);
    case RETABLE__V1__REQUEST__KIND_START_TRANSACTION:
        return take_start(request, entry->start_transaction);
    case RETABLE__V1__REQUEST__KIND_PING_TRANSACTION:
        return take_transaction(
            request, REQUEST_PING_TRANSACTION, entry->ping_transaction->transaction_id);
    case RETABLE__V1__REQUEST__KIND_ABORT_TRANSACTION:
        return take_transaction(
            request, REQUEST_ABORT_TRANSACTION, entry->abort_transaction->transaction_id);
    case RETABLE__V1__REQUEST__KIND__NOT_SET:
    case _RETABLE__V1__REQUEST__KIND__CASE_IS_INT_SIZE: break;
    }
    return error_new(ERROR_GENERIC, "Request is of an unknown kind");
}

// -------------------------------------------------------------------------------------------------
// Writing

// All responses, so that one can be made on the stack whatever its kind.
union answer {
    Retable__V1__CommitResponse commit;
    Retable__V1__LookupResponse lookup;
    Retable__V1__StartTransactionResponse start;
    Retable__V1__PingTransactionResponse ping;
    Retable__V1__AbortTransactionResponse abort;
    Retable__V1__ModifyResponse modify;
};

static void make_answer(
    const struct request *request,
    union answer *answer,
    uint8_t *id_bytes,
    Retable__V1__Response *response)
{
    switch (request->kind) {
    case REQUEST_COMMIT:
        answer->commit = (Retable__V1__CommitResponse)RETABLE__V1__COMMIT_RESPONSE__INIT;
        answer->commit.commit_timestamp = request->commit_timestamp;
        response->kind_case = RETABLE__V1__RESPONSE__KIND_COMMIT;
        response->commit = &answer->commit;
        return;
    case REQUEST_LOOKUP:
        answer->lookup = (Retable__V1__LookupResponse)RETABLE__V1__LOOKUP_RESPONSE__INIT;
        answer->lookup.rowset = wire_bytes(buffer_slice(&request->output));
        response->kind_case = RETABLE__V1__RESPONSE__KIND_LOOKUP;
        response->lookup = &answer->lookup;
        return;
    case REQUEST_START_TRANSACTION:
        answer->start =
            (Retable__V1__StartTransactionResponse)RETABLE__V1__START_TRANSACTION_RESPONSE__INIT;
        answer->start.transaction_id = wire_guid(request->id, id_bytes);
        answer->start.start_timestamp = request->commit_timestamp;
        response->kind_case = RETABLE__V1__RESPONSE__KIND_START_TRANSACTION;
        response->start_transaction = &answer->start;
        return;
    case REQUEST_PING_TRANSACTION:
        answer->ping =
            (Retable__V1__PingTransactionResponse)RETABLE__V1__PING_TRANSACTION_RESPONSE__INIT;
        response->kind_case = RETABLE__V1__RESPONSE__KIND_PING_TRANSACTION;
        response->ping_transaction = &answer->ping;
        return;
    case REQUEST_ABORT_TRANSACTION:
        answer->abort =
            (Retable__V1__AbortTransactionResponse)RETABLE__V1__ABORT_TRANSACTION_RESPONSE__INIT;
        response->kind_case = RETABLE__V1__RESPONSE__KIND_ABORT_TRANSACTION;
        response->abort_transaction = &answer->abort;
        return;
    case REQUEST_MODIFY:
        answer->modify = (Retable__V1__ModifyResponse)RETABLE__V1__MODIFY_RESPONSE__INIT;
        response->kind_case = RETABLE__V1__RESPONSE__KIND_MODIFY;
        response->modify = &answer->modify;
        return;
    case REQUEST_COMMAND:
    case REQUEST_SELECT: break; // They answer by streams.
    }
    abort();
}

void client_write_answer(const struct request *request, struct buffer *buffer)
{
    Retable__V1__Response response = RETABLE__V1__RESPONSE__INIT;
    union answer answer;
    uint8_t id_bytes[WIRE_GUID_SIZE];
    make_answer(request, &answer, id_bytes, &response);
    wire_encode((const ProtobufCMessage *)&answer, buffer);
}

static void put_entry(const Retable__V1__Response *response, struct buffer *buffer)
{
    put_varint(buffer, ENTRIES_TAG);
    put_varint(buffer, protobuf_c_message_get_packed_size(&response->base));
    wire_encode(&response->base, buffer);
}

static void put_error_entry(const struct error *error, uint64_t id, struct buffer *buffer)
{
    Retable__V1__Response response = RETABLE__V1__RESPONSE__INIT;
    CLEANUP(buffer_releasep) struct buffer encoded = {0};
    error_encode(error, &encoded);
    response.id = id;
    response.kind_case = RETABLE__V1__RESPONSE__KIND_ERROR;
    response.error = wire_bytes(buffer_slice(&encoded));
    put_entry(&response, buffer);
}

void client_write_entry(const struct request *request, uint64_t id, struct buffer *buffer)
{
    if (request->error) {
        put_error_entry(request->error, id, buffer);
        return;
    }
    if (request->output.size > CLIENT_ANSWER_SIZE_MAX) {
        CLEANUP(error_freep)
        struct error *error = error_new(ERROR_REQUEST_THROTTLED, "The answer is too large");
        error_set_u64(error, "size_max", CLIENT_ANSWER_SIZE_MAX);
        put_error_entry(error, id, buffer);
        return;
    }
    Retable__V1__Response response = RETABLE__V1__RESPONSE__INIT;
    union answer answer;
    uint8_t id_bytes[WIRE_GUID_SIZE];
    response.id = id;
    make_answer(request, &answer, id_bytes, &response);
    put_entry(&response, buffer);
}
