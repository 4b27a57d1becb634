// execute_batch: several light commands in one request, each with an answer of its own.
//
// Every command becomes a request that knows the batch and stays with it once it is answered; when
// all are, the batch is (cell_next_effect).
#include "cluster/commands/commands.h"

#include "base/hash.h"
#include "model/error_node.h"
#include "model/yson.h"

enum { BATCH_COMMAND_COUNT_MAX = 1000 };

// A batch that is repeated repeats its parts: theirs are made from its mutation id.
static void give_mutation_id(const struct request *batch, struct request *part)
{
    if (guid_is_null(batch->mutation_id) || node_find_text(part->parameters, "mutation_id")) return;
    struct guid id = batch->mutation_id;
    uint64_t index = part->batch_index;
    id.low ^= hash_bytes(slice_from(&index, sizeof index), 0);
    node_set_text(&part->arena, part->parameters, "mutation_id", node_guid(&part->arena, id));
}

static struct error *read_part(
    const struct node *item, const struct request *batch, struct request *part)
{
    struct slice name = {0};
    if (item->type != NODE_MAP) return error_new(ERROR_GENERIC, "A request must be a map");
    TRY(node_get_string(item, "command", &name));
    const struct command *command = command_find(name);
    if (!command) return error_new(ERROR_GENERIC, "Unknown command \"%.*s\"", SLICE(name));
    if (command->input == COMMAND_TABULAR || command->output == COMMAND_TABULAR ||
        command->execute == command_execute_batch) {
        return error_new(
            ERROR_GENERIC,
            "Command \"%.*s\" cannot be part of a batch since it moves rows or is a batch itself",
            SLICE(name));
    }
    const struct node *parameters = node_find_text(item, "parameters");
    if (parameters && parameters->type != NODE_MAP) {
        return error_new(ERROR_GENERIC, "\"parameters\" of a request must be a map");
    }
    part->command = arena_copy(&part->arena, name);
    part->parameters = parameters ? node_copy(&part->arena, parameters) : node_map(&part->arena);
    part->api_version = batch->api_version;
    part->host = arena_copy(&part->arena, batch->host);
    part->user = arena_copy(&part->arena, batch->user);
    give_mutation_id(batch, part);
    const struct node *input = node_find_text(item, "input");
    if (!input) return NULL;
    CLEANUP(buffer_releasep) struct buffer text = {0};
    yson_print(input, YSON_BINARY, &text);
    part->input = arena_copy(&part->arena, buffer_slice(&text));
    node_set_text(&part->arena, part->parameters, "input_format", node_text(&part->arena, "yson"));
    return NULL;
}

static struct node *result_of(struct arena *arena, struct request *part)
{
    struct node *map = node_map(arena);
    if (part->error) {
        node_set_text(arena, map, "error", error_to_node(arena, part->error));
        return map;
    }
    const struct node *output = command_result(part);
    bool is_empty = !output || (output->type == NODE_MAP && output->count == 0);
    if (!is_empty) node_set_text(arena, map, "output", node_copy(arena, output));
    return map;
}

struct node *batch_result(struct request *batch)
{
    struct node *list = node_list(&batch->arena);
    for (uint32_t i = 0; i < batch->part_count; i++) {
        node_add(&batch->arena, list, result_of(&batch->arena, batch->parts[i]));
    }
    return list;
}

static struct error *read_batch(const struct request *batch, const struct node **ret_items)
{
    const struct node *items = node_find_text(batch->parameters, "requests");
    if (!items || items->type != NODE_LIST) {
        return error_new(ERROR_GENERIC, "Parameter \"requests\" must be a list");
    }
    if (items->count > BATCH_COMMAND_COUNT_MAX) {
        struct error *error = error_new(ERROR_GENERIC, "Too many commands in a batch: split it");
        return error_set_u64(error, "count_max", BATCH_COMMAND_COUNT_MAX);
    }
    *ret_items = items;
    return NULL;
}

void command_execute_batch(struct machine *machine, struct request *batch)
{
    const struct node *items = NULL;
    struct error *error = read_batch(batch, &items);
    if (error || items->count == 0) {
        command_answer(machine, batch, error, error ? NULL : node_list(&batch->arena));
        return;
    }
    batch->parts = must_alloc(calloc(items->count, sizeof(struct request *)));
    batch->part_count = items->count;
    batch->part_waiting_count = items->count;
    batch->output_kind = OUTPUT_NODE;
    for (uint32_t i = 0; i < batch->part_count; i++) {
        struct request *part = request_new(REQUEST_COMMAND);
        batch->parts[i] = part;
        part->batch = batch;
        part->batch_index = i;
        part->deadline_us = batch->deadline_us;
        error = read_part(items->entries[i].value, batch, part);
        if (error) {
            cell_fail(&machine->cell, part, error);
        } else {
            command_execute(machine, part);
        }
    }
}
