#include "cluster/commands/commands.h"

#include "model/error_node.h"
#include "model/yson.h"

enum { COMMAND_TIMEOUT_MS_MAX = 1 << 30 };

#define NONE  COMMAND_NULL
#define NODE  COMMAND_STRUCTURED
#define TABLE COMMAND_TABULAR

#define OF(target, permission) TARGET_##target, PERMISSION_##permission
#define FREE                   TARGET_NONE, 0

const struct command COMMANDS[] = {
    {"create", NONE, NODE, true, false, command_create, OF(OWN, WRITE)},
    {"get", NONE, NODE, false, false, command_get, OF(OWN, READ)},
    {"set", NODE, NONE, true, false, command_set, OF(OWN, WRITE)},
    {"exists", NONE, NODE, false, false, command_exists, FREE},
    {"list", NONE, NODE, false, false, command_list, OF(OWN, READ)},
    {"remove", NONE, NONE, true, false, command_remove, OF(OWN, WRITE)},
    {"mount_table", NONE, NONE, true, false, command_mount_table, OF(PATH, MOUNT)},
    {"unmount_table", NONE, NONE, true, false, command_unmount_table, OF(PATH, MOUNT)},
    {"freeze_table", NONE, NONE, true, false, command_freeze_table, OF(PATH, MOUNT)},
    {"unfreeze_table", NONE, NONE, true, false, command_unfreeze_table, OF(PATH, MOUNT)},
    {"remount_table", NONE, NONE, true, false, command_remount_table, OF(PATH, MOUNT)},
    {"reshard_table", NONE, NONE, true, false, command_reshard_table, OF(PATH, MOUNT)},
    {"alter_table", NONE, NONE, true, false, command_alter_table, OF(PATH, WRITE)},
    {"alter_table_replica",
     NONE,
     NONE,
     true,
     false,
     command_alter_table_replica,
     OF(REPLICA, WRITE)},
    {"trim_rows", NONE, NONE, true, true, command_trim_rows, OF(PATH, WRITE)},
    {"insert_rows", TABLE, NONE, true, true, command_insert_rows, OF(ROWS, WRITE)},
    {"delete_rows", TABLE, NONE, true, true, command_delete_rows, OF(ROWS, WRITE)},
    {"lock_rows", TABLE, NONE, true, true, command_lock_rows, OF(ROWS, WRITE)},
    {"lookup_rows", TABLE, TABLE, false, true, command_lookup_rows, OF(ROWS, READ)},
    {"select_rows", NONE, TABLE, false, true, command_select_rows, OF(ROWS, READ)},
    {"explain_query", NONE, NODE, false, true, command_explain_query, OF(ROWS, READ)},
    {"start_transaction", NONE, NODE, true, false, command_start_transaction, FREE},
    {"ping_transaction", NONE, NONE, true, false, command_ping_transaction, FREE},
    {"commit_transaction", NONE, NONE, true, false, command_commit_transaction, FREE},
    {"abort_transaction", NONE, NONE, true, false, command_abort_transaction, FREE},
    {"generate_timestamp", NONE, NODE, false, false, command_generate_timestamp, FREE},
    {"get_in_sync_replicas",
     TABLE,
     NODE,
     false,
     true,
     command_get_in_sync_replicas,
     OF(PATH, READ)},
    {"get_table_pivot_keys",
     NONE,
     NODE,
     false,
     false,
     command_get_table_pivot_keys,
     OF(PATH, READ)},
    {"get_tablet_infos", NONE, NODE, true, false, command_get_tablet_infos, OF(PATH, READ)},
    {"get_tablet_errors", NONE, NODE, true, false, command_get_tablet_errors, OF(PATH, READ)},
    {"copy", NONE, NODE, true, false, command_copy, OF(OWN, READ)},
    {"move", NONE, NODE, true, false, command_move, OF(OWN, REMOVE)},
    {"link", NONE, NODE, true, false, command_link, OF(OWN, WRITE)},
    {"lock", NONE, NODE, true, false, command_lock, OF(PATH, WRITE)},
    {"unlock", NONE, NONE, true, false, command_unlock, FREE},
    {"enable_table_replica",
     NONE,
     NONE,
     true,
     false,
     command_enable_table_replica,
     OF(REPLICA, WRITE)},
    {"disable_table_replica",
     NONE,
     NONE,
     true,
     false,
     command_disable_table_replica,
     OF(REPLICA, WRITE)},
    {"multiset_attributes", NODE, NONE, true, false, command_multiset_attributes, OF(OWN, WRITE)},
    {"check_permission", NONE, NODE, false, false, command_check_permission, FREE},
    {"add_member", NONE, NONE, true, false, command_add_member, OF(OWN, WRITE)},
    {"remove_member", NONE, NONE, true, false, command_remove_member, OF(OWN, WRITE)},
    {"issue_token", NONE, NODE, true, false, command_issue_token, OF(OWN, ADMINISTER)},
    {"revoke_token", NONE, NONE, true, false, command_revoke_token, OF(OWN, ADMINISTER)},
    {"list_user_tokens", NONE, NODE, false, false, command_list_user_tokens, OF(OWN, ADMINISTER)},
    {"get_current_user", NONE, NODE, false, false, command_get_current_user, FREE},
    {"get_version", NONE, NODE, false, false, command_get_version, FREE},
    {"get_supported_features", NONE, NODE, false, false, command_get_supported_features, FREE},
    {"parse_ypath", NONE, NODE, false, false, command_parse_ypath, FREE},
    {"execute_batch", NONE, NODE, true, false, command_execute_batch, FREE},
    {"discover_proxies", NONE, NODE, false, false, command_discover_proxies, FREE},
    {"get_tracker_status", NONE, NODE, false, false, command_get_tracker_status, OF(TABLES, READ)},
    {"get_tracker_history",
     NONE,
     NODE,
     false,
     false,
     command_get_tracker_history,
     OF(TABLES, READ)},
    {"switch_over", NONE, NODE, true, false, command_switch_over, OF(PATH, WRITE)},
    {"wait_replicas", NONE, NONE, false, false, command_wait_replicas, OF(PATH, READ)},
    {"ban_replica_cluster", NONE, NONE, true, false, command_ban_replica_cluster, OF(SYS, WRITE)},
    {"unban_replica_cluster",
     NONE,
     NONE,
     true,
     false,
     command_unban_replica_cluster,
     OF(SYS, WRITE)},
    {0},
};

const struct command *command_find(struct slice name)
{
    for (const struct command *command = COMMANDS; command->name; command++) {
        if (slice_equal_text(name, command->name)) return command;
    }
    return NULL;
}

static struct error *read_format(
    const struct node *parameters, const char *name, struct format *format)
{
    const struct node *node = node_find_text(parameters, name);
    if (!node || node->type == NODE_ENTITY) return NULL;
    return format_parse(node, format);
}

static struct error *prepare_command(struct request *request, const struct command **ret_command)
{
    *ret_command = command_find(request->command);
    if (!*ret_command) {
        return error_new(ERROR_GENERIC, "Unknown command \"%.*s\"", SLICE(request->command));
    }
    if (!request->parameters) request->parameters = node_map(&request->arena);
    if (request->parameters->type != NODE_MAP) {
        return error_new(ERROR_GENERIC, "Parameters of a command must be a map");
    }
    struct format text = {.kind = FORMAT_YSON, .yson = YSON_TEXT, .json = {.encode_utf8 = true}};
    request->input_format = text;
    request->output_format = text;
    TRY(read_format(request->parameters, "format", &request->input_format));
    TRY(read_format(request->parameters, "format", &request->output_format));
    TRY(read_format(request->parameters, "input_format", &request->input_format));
    TRY(read_format(request->parameters, "output_format", &request->output_format));
    TRY(node_get_guid(request->parameters, "transaction_id", &request->transaction_id));
    return node_get_guid(request->parameters, "mutation_id", &request->mutation_id);
}

// Which commands know what to do with the transaction they are given: those of rows, and those
// about transactions. Others change the tree, or look at it.
static struct error *check_transaction(
    const struct machine *machine, const struct command *command, const struct request *request)
{
    static void (*const KNOWING[])(struct machine * machine, struct request * request) = {
        command_start_transaction,
        command_ping_transaction,
        command_commit_transaction,
        command_abort_transaction,
        command_lock,
        command_unlock,
    };
    if (guid_is_null(request->transaction_id)) return NULL;
    if (command->input == COMMAND_TABULAR || command->output == COMMAND_TABULAR) return NULL;
    for (size_t i = 0; i < sizeof KNOWING / sizeof *KNOWING; i++) {
        if (command->execute == KNOWING[i]) return NULL;
    }
    struct transaction *transaction = NULL;
    TRY(machine_find_transaction(machine, request->transaction_id, true, &transaction));
    if (!command->is_volatile) return NULL; // It sees what there is.
    return error_new(
        ERROR_GENERIC,
        "Changes in a master transaction are not offered: it can hold locks; make the change "
        "outside "
        "of it");
}

// How long the client waits, in ms. For transactions it is their own timeout.
static struct error *read_deadline(const struct machine *machine, struct request *request)
{
    uint64_t timeout_ms = 0;
    if (slice_equal_text(request->command, "start_transaction")) return NULL;
    TRY(node_get_uint64(request->parameters, "timeout", &timeout_ms));
    if (timeout_ms == 0 || timeout_ms > COMMAND_TIMEOUT_MS_MAX) return NULL;
    request->deadline_us = MIN(request->deadline_us, machine->cell.now_us + timeout_ms * 1000);
    return NULL;
}

// The object that a command's target is; NULL if the parameters do not lead to one: then the
// handler says what is wrong with them.
static const struct object *find_target(
    const struct machine *machine, const struct command *command, struct request *request)
{
    const struct tree *tree = &machine->cell.tree;
    struct arena *arena = &request->arena;
    struct slice path = {0};
    struct guid id = GUID_NULL;
    struct ypath parsed;
    struct object *object = NULL;
    switch (command->target) {
    case TARGET_NONE:
    case TARGET_ROWS:
    case TARGET_OWN: return NULL;
    case TARGET_SYS: return cell_sys(&machine->cell);
    case TARGET_REPLICA:
        error_free(node_get_guid(request->parameters, "replica_id", &id));
        object = tree_find(tree, id);
        return object && object->replica ? object->replica->table->object : NULL;
    case TARGET_TABLES:
    case TARGET_PATH: break;
    }
    error_free(node_get_string(request->parameters, "path", &path));
    if (path.size == 0) return command->target == TARGET_TABLES ? tree->root : NULL;
    struct error *error = ypath_parse(arena, path, &parsed);
    if (!error) error = tree_resolve(tree, &parsed, &object);
    error_free(error);
    return object;
}

// access-checked: what the table says.
static struct error *check_access(
    struct machine *machine, const struct command *command, struct request *request)
{
    if (request->user.size == 0) return NULL;
    const struct object *object = find_target(machine, command, request);
    if (!object) return NULL;
    return access_check(&machine->cell.tree, request->user, command->permission, object);
}

// Whether a command's answer is kept under its mutation id. Rows have the outcome of their commit,
// and the parts of a batch have ids of their own; what only looks may look again.
static bool is_kept(const struct command *command)
{
    return command->is_volatile && command->input != COMMAND_TABULAR &&
           command->execute != command_execute_batch &&
           command->execute != command_issue_token && // A token is kept by nobody.
           command->execute != command_ping_transaction &&
           command->execute != command_get_tablet_infos &&
           command->execute != command_get_tablet_errors;
}

// {error=…}, {result=…} or {}.
static void encode_answer(struct request *request, struct buffer *buffer)
{
    struct node *map = node_map(&request->arena);
    if (request->error) {
        struct node *error = error_to_node(&request->arena, request->error);
        node_set_text(&request->arena, map, "error", error);
    } else if (request->output_kind == OUTPUT_NODE) {
        node_set_text(&request->arena, map, "result", request->node);
    }
    yson_print(map, YSON_BINARY, buffer);
}

static struct error *decode_answer(struct request *request, struct slice answer)
{
    struct node *map = NULL;
    TRY(yson_parse(&request->arena, answer, &map));
    const struct node *error = node_find_text(map, "error");
    request->node = node_find_text(map, "result");
    request->output_kind = request->node ? OUTPUT_NODE : OUTPUT_NONE;
    return error ? error_from_node(error) : NULL;
}

// Answers a repeated command as it was answered first, or makes sure that its answer can be kept.
static struct error *repeat_command(
    struct machine *machine, struct request *request, bool *ret_taken)
{
    struct slice answer;
    *ret_taken = false;
    TRY(coordinator_find_answer(
        &machine->coordinator, &request->arena, request->mutation_id, &answer));
    if (answer.size > 0) {
        *ret_taken = true;
        request->error = decode_answer(request, answer);
        cell_reply(&machine->cell, machine->cell.lsn, request);
        return NULL;
    }
    request->commit_timestamp = cell_timestamp(&machine->cell);
    if (request->commit_timestamp != 0) return NULL;
    return error_new(ERROR_REQUEST_THROTTLED, "No timestamp is left now");
}

void command_keep_answer(struct machine *machine, struct request *request)
{
    if (guid_is_null(request->mutation_id) || request->kind != REQUEST_COMMAND) return;
    if (!is_kept(command_find(request->command))) return;
    CLEANUP(buffer_releasep) struct buffer answer = {0};
    encode_answer(request, &answer);
    coordinator_keep_answer(
        &machine->coordinator,
        request->mutation_id,
        request->commit_timestamp,
        buffer_slice(&answer));
    cell_apply_urgent(&machine->cell);
}

void command_execute(struct machine *machine, struct request *request)
{
    const struct command *command = NULL;
    bool is_taken = false;
    struct error *error = prepare_command(request, &command);
    if (!error) error = check_transaction(machine, command, request);
    if (!error) error = check_access(machine, command, request);
    if (!error) error = read_deadline(machine, request);
    if (!error && !guid_is_null(request->mutation_id) && is_kept(command))
        error = repeat_command(machine, request, &is_taken);
    if (is_taken) return;
    if (error) {
        cell_fail(&machine->cell, request, error);
        return;
    }
    command->execute(machine, request);
}

// Under which key API v4 has a command's result; others have it as it is.
static const struct {
    const char *command;
    const char *key;
} RESULT_KEYS[] = {
    {"create", "node_id"}, // Or object_id.
    {"copy", "node_id"},
    {"move", "node_id"},
    {"link", "node_id"},
    {"get", "value"},
    {"list", "value"},
    {"exists", "value"},
    {"start_transaction", "transaction_id"},
    {"generate_timestamp", "timestamp"},
    {"get_version", "version"},
    {"parse_ypath", "path"},
    {"execute_batch", "results"},
};

static const char *result_key(const struct request *request)
{
    for (size_t i = 0; i < sizeof RESULT_KEYS / sizeof *RESULT_KEYS; i++) {
        if (slice_equal_text(request->command, RESULT_KEYS[i].command)) return RESULT_KEYS[i].key;
    }
    return NULL;
}

static bool wants_bare_value(const struct request *request)
{
    bool is_bare = false;
    error_free(node_get_boolean(request->parameters, "return_only_value", &is_bare));
    return is_bare;
}

struct node *command_result(struct request *request)
{
    struct node *node = request->output_kind == OUTPUT_NODE ? request->node : NULL;
    if (request->parts) node = batch_result(request);
    if (request->api_version < 4) return node;
    struct node *map = node_map(&request->arena);
    if (!node) return map;
    const char *key = result_key(request);
    if (!key || (strcmp(key, "value") == 0 && wants_bare_value(request))) return node;
    // Nodes have a path; other objects have not.
    bool is_object = slice_equal_text(request->command, "create") &&
                     !node_find_text(request->parameters, "path");
    node_set_text(&request->arena, map, is_object ? "object_id" : key, node);
    return map;
}

struct error *command_named_path(struct request *request, const char *name, struct ypath *ret_path)
{
    struct slice text = {0};
    TRY(node_get_string(request->parameters, name, &text));
    if (text.size == 0) return error_new(ERROR_GENERIC, "Parameter \"%s\" is missing", name);
    return ypath_parse(&request->arena, text, ret_path);
}

struct error *command_path(struct request *request, struct ypath *ret_path)
{
    return command_named_path(request, "path", ret_path);
}

void command_answer(
    struct machine *machine, struct request *request, struct error *error, struct node *node)
{
    request->error = error;
    request->node = node;
    request->output_kind = node && !error ? OUTPUT_NODE : OUTPUT_NONE;
    command_keep_answer(machine, request); // In one batch with what it has changed.
    // Also of an error: what a command that failed midway has changed in memory is what it has put
    // into the batch.
    cell_apply_urgent(&machine->cell);
    cell_reply(&machine->cell, machine->cell.lsn, request);
}
