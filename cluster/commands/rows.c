// Rows and transactions: the commands that read and write data, as thin forms of the typed
// requests.
#include "cluster/commands/commands.h"

#include "base/coding.h"
#include "cluster/core/writes.h"
#include "cluster/reads.h"
#include "model/row_reader.h"

// The column that a name of a rowset means; NULL if the table has none.
static const struct column *find_column(const struct table *table, struct slice name)
{
    // Of ordered tables; it is not in the schema.
    static const struct column TABLET_INDEX = {
        .name = {.data = "$tablet_index", .size = 13}, .type = COLUMN_INT64};
    if (slice_equal(name, TABLET_INDEX.name)) return &TABLET_INDEX;
    uint16_t index;
    writes_map_names(table->schema, &name, 1, &index);
    return index == SCHEMA_NO_COLUMN ? NULL : &table->schema->columns[index];
}

static struct error *convert_rows(
    struct request *request, const struct table *table, struct slice *rows)
{
    struct arena *arena = &request->arena;
    CLEANUP(buffer_releasep) struct buffer converted = {0};
    struct rowset_reader reader;
    TRY(rowset_read_begin(&reader, arena, *rows));
    rowset_encode_begin(reader.names, reader.name_count, reader.row_count, &converted);
    const struct column **columns = ARENA_NEW(arena, const struct column *, reader.name_count);
    for (uint16_t i = 0; i < reader.name_count; i++) {
        columns[i] = find_column(table, reader.names[i]);
    }
    CLEANUP(arena_releasep) struct arena scratch = {0};
    struct value values[ROWSET_VALUE_COUNT_MAX];
    for (uint32_t row_count = reader.row_count; row_count > 0; row_count--) {
        struct row row;
        arena_reset(&scratch);
        TRY(rowset_read_row(&reader, values, &row));
        for (uint32_t i = 0; i < row.value_count; i++) {
            const struct column *column = columns[row.values[i].column];
            if (!column) continue; // It is refused later.
            TRY(conversions_apply(
                &request->input_format.conversions, column, &scratch, &row.values[i]));
        }
        rowset_encode_row(&row, &converted);
    }
    *rows = arena_copy(arena, buffer_slice(&converted));
    return NULL;
}

struct error *command_read_rows(
    struct machine *machine, struct request *request, struct slice path, struct slice *ret_rows)
{
    struct slice rows = request->input;
    if (!request->is_input_rowset) {
        struct row_reader *reader = row_reader_new(&request->input_format, TRANSACTION_SIZE_MAX);
        CLEANUP(buffer_releasep) struct buffer buffer = {0};
        struct error *error = row_reader_feed(reader, request->input);
        if (!error) error = row_reader_finish(reader, &buffer);
        row_reader_free(reader);
        if (error) return error;
        rows = arena_copy(&request->arena, buffer_slice(&buffer));
    }
    if (!conversions_are_default(&request->input_format.conversions)) {
        struct table *table;
        TRY(tree_resolve_table(&machine->cell.tree, &request->arena, path, &table));
        TRY(convert_rows(request, table, &rows));
    }
    *ret_rows = rows;
    return NULL;
}

static struct error *read_modification(
    struct machine *machine, struct request *request, bool is_delete)
{
    const struct node *parameters = request->parameters;
    struct ypath path;
    TRY(command_path(request, &path));
    struct modification *modification = ARENA_NEW(&request->arena, struct modification, 1);
    modification->path = path.text;
    modification->is_delete = is_delete;
    modification->require_sync_replica = true;
    struct slice lock_type = SLICE_OF("exclusive");
    TRY(node_get_string(parameters, "lock_type", &lock_type));
    bool is_insert = slice_equal_text(request->command, "insert_rows");
    if (is_insert && !slice_equal_text(lock_type, "exclusive")) {
        return error_new(
            ERROR_GENERIC, "Writes with locks of type \"%.*s\" are not offered", SLICE(lock_type));
    }
    TRY(node_get_boolean(parameters, "update", &modification->is_update));
    TRY(node_get_boolean(parameters, "aggregate", &modification->is_aggregate));
    TRY(node_get_boolean(parameters, "require_sync_replica", &modification->require_sync_replica));
    TRY(command_read_rows(machine, request, path.text, &modification->rows));
    request->modifications = modification;
    request->modification_count = 1;
    return NULL;
}

static void write_rows(struct machine *machine, struct request *request, bool is_delete)
{
    struct error *error = read_modification(machine, request, is_delete);
    if (error) {
        cell_fail(&machine->cell, request, error);
        return;
    }
    machine_modify(machine, request);
}

void command_insert_rows(struct machine *machine, struct request *request)
{
    write_rows(machine, request, false);
}

static struct error *read_lock_names(struct request *request, struct slice *ret_names)
{
    const struct node *names = node_find_text(request->parameters, "locks");
    if (!names || names->type == NODE_ENTITY) return NULL;
    if (names->type != NODE_LIST) {
        return error_new(ERROR_GENERIC, "Parameter \"locks\" must be a list");
    }
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    for (uint32_t i = 0; i < names->count; i++) {
        const struct node *name = names->entries[i].value;
        if (name->type != NODE_STRING) {
            return error_new(ERROR_GENERIC, "Parameter \"locks\" must hold names of locks");
        }
        put_bytes(&buffer, name->string);
    }
    *ret_names = arena_copy(&request->arena, buffer_slice(&buffer));
    return NULL;
}

static struct error *read_lock_rows(struct machine *machine, struct request *request)
{
    struct slice kind = SLICE_OF("shared_strong");
    TRY(read_modification(machine, request, false));
    struct modification *modification = request->modifications;
    modification->is_lock = true;
    TRY(read_lock_names(request, &modification->lock_names));
    TRY(node_get_string(request->parameters, "lock_type", &kind));
    if (slice_equal_text(kind, "shared_strong")) {
        modification->lock_kind = ROW_LOCK_SHARED_STRONG;
    } else if (slice_equal_text(kind, "shared_weak")) {
        modification->lock_kind = ROW_LOCK_SHARED_WEAK;
    } else if (slice_equal_text(kind, "exclusive")) {
        modification->lock_kind = ROW_LOCK_EXCLUSIVE;
    } else {
        return error_new(ERROR_GENERIC, "Locks of type \"%.*s\" are not offered", SLICE(kind));
    }
    return NULL;
}

void command_lock_rows(struct machine *machine, struct request *request)
{
    struct error *error = read_lock_rows(machine, request);
    if (error) {
        cell_fail(&machine->cell, request, error);
        return;
    }
    machine_modify(machine, request);
}

void command_delete_rows(struct machine *machine, struct request *request)
{
    write_rows(machine, request, true);
}

static struct error *read_timestamp(struct request *request)
{
    request->timestamp = TIMESTAMP_SYNC_LAST_COMMITTED;
    request->min_timestamp = 0;
    TRY(node_get_uint64(request->parameters, "min_timestamp", &request->min_timestamp));
    const struct node *given = node_find_text(request->parameters, "timestamp");
    if (given && given->type == NODE_STRING && slice_equal_text(given->string, "last_consistent")) {
        request->timestamp = TIMESTAMP_LAST_CONSISTENT;
        return NULL;
    }
    return node_get_uint64(request->parameters, "timestamp", &request->timestamp);
}

static struct error *read_columns(struct request *request)
{
    const struct node *names = node_find_text(request->parameters, "column_names");
    request->column_count = 0;
    if (!names || names->type == NODE_ENTITY) return NULL;
    if (names->type != NODE_LIST) {
        return error_new(ERROR_GENERIC, "Parameter \"column_names\" must be a list");
    }
    request->columns = ARENA_NEW(&request->arena, struct slice, names->count);
    for (uint32_t i = 0; i < names->count; i++) {
        const struct node *name = names->entries[i].value;
        if (name->type != NODE_STRING) {
            return error_new(ERROR_GENERIC, "Parameter \"column_names\" must hold strings");
        }
        request->columns[request->column_count++] = name->string;
    }
    return NULL;
}

// Whether `versioned_read_options` ask for timestamps.
static struct error *read_versioned_options(const struct node *parameters, bool *ret_is_latest)
{
    const struct node *options = node_find_text(parameters, "versioned_read_options");
    struct slice mode = SLICE_OF("default");
    if (options && options->type != NODE_ENTITY && options->type != NODE_MAP) {
        return error_new(ERROR_GENERIC, "Parameter \"versioned_read_options\" must be a map");
    }
    TRY(node_get_string(options, "read_mode", &mode));
    *ret_is_latest = slice_equal_text(mode, "latest_timestamp");
    if (*ret_is_latest || slice_equal_text(mode, "default")) return NULL;
    return error_new(
        ERROR_GENERIC,
        "Unknown \"versioned_read_options/read_mode\" \"%.*s\": take \"default\" or "
        "\"latest_timestamp\"",
        SLICE(mode));
}

static struct error *read_lookup_mode(struct request *request)
{
    bool has_timestamps = false;
    bool is_versioned = false;
    TRY(read_versioned_options(request->parameters, &has_timestamps));
    // As the Python library has it for `versioned_read_options`.
    TRY(node_get_boolean(request->parameters, "with_timestamps", &has_timestamps));
    TRY(node_get_boolean(request->parameters, "versioned", &is_versioned));
    if (is_versioned && has_timestamps) {
        return error_new(
            ERROR_GENERIC,
            "Cannot specify both \"versioned\" and \"versioned_read_options\": all versions have "
            "their timestamps");
    }
    request->lookup_mode = is_versioned     ? LOOKUP_VERSIONS
                           : has_timestamps ? LOOKUP_TIMESTAMPS
                                            : LOOKUP_PLAIN;
    return NULL;
}

static struct error *read_lookup(struct machine *machine, struct request *request)
{
    struct ypath path;
    TRY(command_path(request, &path));
    request->path = path.text;
    TRY(read_columns(request));
    TRY(read_timestamp(request));
    TRY(read_lookup_mode(request));
    TRY(node_get_boolean(request->parameters, "keep_missing_rows", &request->keep_missing_rows));
    return command_read_rows(machine, request, path.text, &request->rows);
}

void command_lookup_rows(struct machine *machine, struct request *request)
{
    struct error *error = read_lookup(machine, request);
    if (error) {
        cell_fail(&machine->cell, request, error);
        return;
    }
    machine_lookup(machine, request);
}

// The client may want to wait no longer than so many milliseconds.
static struct error *read_timeout(const struct machine *machine, struct request *request)
{
    uint64_t timeout_ms = 0;
    TRY(node_get_uint64(request->parameters, "timeout", &timeout_ms));
    if (timeout_ms == 0) return NULL;
    uint64_t timeout_us = MIN(timeout_ms, TRANSACTION_TIMEOUT_MS_MAX) * 1000;
    request->deadline_us = MIN(request->deadline_us, machine->cell.now_us + timeout_us);
    return NULL;
}

static struct error *refuse_parameter(const struct node *parameters, const char *name)
{
    const struct node *value = node_find_text(parameters, name);
    if (!value || value->type == NODE_ENTITY) return NULL;
    return error_new(ERROR_GENERIC, "Parameter \"%s\" is not supported", name);
}

static struct error *read_select(const struct machine *machine, struct request *request)
{
    const struct node *parameters = request->parameters;
    TRY(node_get_string(parameters, "query", &request->query));
    if (request->query.size == 0) return error_new(ERROR_GENERIC, "Parameter \"query\" is missing");
    TRY(read_timestamp(request));
    TRY(node_get_uint64(parameters, "input_row_limit", &request->input_row_limit));
    TRY(node_get_uint64(parameters, "output_row_limit", &request->output_row_limit));
    TRY(node_get_uint64(parameters, "range_expansion_limit", &request->range_expansion_limit));
    TRY(node_get_uint64(parameters, "memory_limit_per_node", &request->memory_limit));
    TRY(node_get_boolean(parameters, "enable_statistics", &request->enable_statistics));
    bool fails = true;
    TRY(node_get_boolean(parameters, "fail_on_incomplete_result", &fails));
    request->allow_incomplete_result = !fails;
    bool allows_full_scan = true;
    TRY(node_get_boolean(parameters, "allow_full_scan", &allows_full_scan));
    request->forbid_full_scan = !allows_full_scan;
    TRY(node_get_boolean(
        parameters, "allow_join_without_index", &request->allow_join_without_index));
    TRY(read_timeout(machine, request));
    TRY(refuse_parameter(parameters, "udf_registry_path"));
    TRY(refuse_parameter(parameters, "retention_timestamp"));
    bool has_timestamps = false;
    TRY(read_versioned_options(parameters, &has_timestamps));
    TRY(node_get_boolean(parameters, "with_timestamps", &has_timestamps));
    if (has_timestamps) {
        return error_new(
            ERROR_GENERIC, "Queries cannot read timestamps of values: take lookup_rows for that");
    }
    struct node *placeholders = node_find_text(parameters, "placeholder_values");
    if (!placeholders || placeholders->type == NODE_ENTITY) return NULL;
    if (placeholders->type != NODE_MAP) {
        return error_new(ERROR_GENERIC, "Parameter \"placeholder_values\" must be a map");
    }
    request->placeholder_values = placeholders;
    return NULL;
}

static void start_select(struct machine *machine, struct request *request)
{
    struct error *error = read_select(machine, request);
    if (error) {
        cell_fail(&machine->cell, request, error);
        return;
    }
    machine_select(machine, request);
}

void command_select_rows(struct machine *machine, struct request *request)
{
    start_select(machine, request);
}

void command_explain_query(struct machine *machine, struct request *request)
{
    request->is_explanation = true;
    start_select(machine, request);
}

// -------------------------------------------------------------------------------------------------
// Transactions

static struct error *read_start(struct request *request)
{
    struct slice type = SLICE_OF("master");
    uint64_t timeout_ms = 0;
    TRY(node_get_string(request->parameters, "type", &type));
    TRY(node_get_uint64(request->parameters, "timeout", &timeout_ms));
    request->is_master_transaction = slice_equal_text(type, "master");
    if (!request->is_master_transaction && !slice_equal_text(type, "tablet")) {
        return error_new(ERROR_GENERIC, "Unknown transaction type \"%.*s\"", SLICE(type));
    }
    if (!guid_is_null(request->transaction_id)) {
        return error_new(ERROR_GENERIC, "Transactions within transactions are not offered");
    }
    request->transaction_timeout_us = MIN(timeout_ms, TRANSACTION_TIMEOUT_MS_MAX) * 1000;
    return NULL;
}

void command_start_transaction(struct machine *machine, struct request *request)
{
    struct error *error = read_start(request);
    if (error) {
        cell_fail(&machine->cell, request, error);
        return;
    }
    request->output_kind = OUTPUT_NODE;
    request->node = node_entity(&request->arena);
    machine_start_transaction(machine, request);
}

void command_ping_transaction(struct machine *machine, struct request *request)
{
    machine_ping_transaction(machine, request);
}

void command_commit_transaction(struct machine *machine, struct request *request)
{
    if (guid_is_null(request->transaction_id)) {
        struct error *error = error_new(ERROR_GENERIC, "Parameter \"transaction_id\" is missing");
        cell_fail(&machine->cell, request, error);
        return;
    }
    struct transaction *master = NULL;
    error_free(machine_find_transaction(machine, request->transaction_id, true, &master));
    if (master) {
        machine_abort_transaction(machine, request); // It has changed nothing: its locks end.
    } else {
        machine_commit(machine, request);
    }
}

void command_abort_transaction(struct machine *machine, struct request *request)
{
    machine_abort_transaction(machine, request);
}

void command_generate_timestamp(struct machine *machine, struct request *request)
{
    uint64_t timestamp = cell_timestamp(&machine->cell);
    struct error *error = NULL;
    if (timestamp == 0) error = error_new(ERROR_REQUEST_THROTTLED, "No timestamp is left now");
    command_answer(machine, request, error, node_uint64(&request->arena, timestamp));
}
