#include "machine_world.h"

#include "cluster/commands/commands.h"
#include "cluster/reads.h"
#include "model/yson.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>

static const char *const CLUSTER_NAMES[NODE_COUNT_MAX] = {"meta", "replica"};
static const uint64_t WALL_START_US = UINT64_C(1700000000) * SECOND;
static const uint64_t PATIENCE_US = 60 * SECOND;

// -------------------------------------------------------------------------------------------------
// Turns

static void drop_inbox(struct machine_node *node)
{
    while (node->inbox) {
        struct message *message = node->inbox;
        LL_DELETE(node->inbox, message);
        message_free(message);
    }
}

static void send_message(
    struct machine_world *world, int from, uint64_t link, struct message *message)
{
    bool has_other = world->node_count == 2 && world->nodes[from].link == link && link != 0;
    if (!has_other) {
        message_free(message);
        return;
    }
    struct machine_node *to = &world->nodes[1 - from];
    LL_APPEND(to->inbox, message);
}

static void settle(struct machine_world *world, int index);

// A read that another cluster does: as a request there, whose answer becomes this one's.
static void forward(struct machine_world *world, struct request *origin, struct slice cluster)
{
    assert(slice_equal_text(cluster, CLUSTER_NAMES[REPLICA]));
    struct request *request = request_new(origin->select ? REQUEST_SELECT : REQUEST_LOOKUP);
    struct arena *arena = &request->arena;
    request->path = arena_copy(arena, origin->path);
    request->rows = arena_copy(arena, origin->rows);
    request->query = arena_copy(arena, origin->query);
    request->columns = ARENA_NEW(arena, struct slice, origin->column_count);
    request->column_count = origin->column_count;
    for (uint32_t i = 0; i < origin->column_count; i++) {
        request->columns[i] = arena_copy(arena, origin->columns[i]);
    }
    request->table_paths = ARENA_NEW(arena, struct slice, origin->table_path_count);
    request->table_path_count = origin->table_path_count;
    for (uint32_t i = 0; i < origin->table_path_count; i++) {
        request->table_paths[i] = arena_copy(arena, origin->table_paths[i]);
    }
    request->keep_missing_rows = origin->keep_missing_rows;
    request->lookup_mode = origin->lookup_mode;
    request->forbid_full_scan = origin->forbid_full_scan;
    request->enable_statistics = origin->enable_statistics;
    request->timestamp = origin->timestamp;
    request->upstream_replica_id = origin->upstream_replica_id;
    request->user = arena_copy(arena, origin->user);
    request->owner = origin;
    machine_request(world->nodes[REPLICA].machine, request);
}

static void answer(struct machine_world *world, struct request *request)
{
    struct request *origin = request->owner;
    if (!origin) {
        arr_add(world->answered, request);
        return;
    }
    struct error *error = TAKE(request->error);
    if (error && machine_read_again(world->nodes[META].machine, origin, error)) {
        request_free(request);
        return;
    }
    origin->output_kind = request->output_kind;
    if (request->response_parameters) {
        origin->response_parameters = node_copy(&origin->arena, request->response_parameters);
    }
    buffer_append_slice(&origin->output, buffer_slice(&request->output));
    origin->block_ends = TAKE(request->block_ends);
    arr_add(world->answered, origin);
    request_free(request);
}

static uint64_t read_now_us;
static uint64_t read_step_us;

// The clock of queries: each look at it is a step later.
static uint64_t read_clock(void)
{
    read_now_us += read_step_us;
    return read_now_us;
}

static void run_read(
    const struct machine_world *world, struct machine_node *node, struct request *request)
{
    read_now_us = world->now_us;
    read_step_us = world->read_step_us;
    uint64_t (*clock)(void) = world->read_step_us > 0 ? read_clock : NULL;
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = store_stem_iterator_new(node->store, NULL, STORE_DATA);
    request->error = request->lookup ? lookup_run(request, iterator)
                                     : select_run(request, node->store, NULL, clock, &(bool){0});
}

static void perform(struct machine_world *world, int index)
{
    struct machine_node *node = &world->nodes[index];
    struct effect *effect = NULL;
    while ((effect = cell_next_effect(&node->machine->cell))) {
        struct request *request = effect->request;
        switch (effect->kind) {
        case EFFECT_SEND: send_message(world, index, effect->link, effect->message); break;
        case EFFECT_READ:
            run_read(world, node, request);
            answer(world, request);
            break;
        case EFFECT_REPLY: answer(world, request); break;
        case EFFECT_FORWARD: forward(world, request, effect->cluster); break;
        }
        free(effect);
    }
}

// The end of a turn, as machine.h describes it.
static void settle(struct machine_world *world, int index)
{
    struct machine_node *node = &world->nodes[index];
    machine_settle(node->machine);
    perform(world, index);
    if (machine_needs_sync(node->machine)) {
        assert_ok(store_sync(node->store));
        machine_synced(node->machine);
        machine_settle(node->machine);
        perform(world, index);
    }
    cr_assert(eq(ptr, node->machine->cell.fatal, NULL));
}

static bool deliver(struct machine_world *world)
{
    bool is_any = false;
    for (int i = 0; i < world->node_count && !world->is_link_held; i++) {
        struct machine_node *node = &world->nodes[i];
        while (node->inbox) {
            struct message *message = node->inbox;
            LL_DELETE(node->inbox, message);
            machine_receive(node->machine, node->link, message);
            is_any = true;
        }
    }
    return is_any;
}

// Turns of all machines until nothing is on its way. Never more than the protocol needs.
static void take_turns(struct machine_world *world)
{
    for (int i = 0; i < world->node_count; i++) {
        machine_tick(world->nodes[i].machine, world->now_us, world->wall_us);
    }
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < world->node_count; i++) settle(world, i);
        if (!deliver(world) && round > 1) return;
    }
    cr_fatal("machines never come to rest");
}

void world_run(struct machine_world *world, uint64_t us)
{
    uint64_t until_us = world->now_us + us;
    take_turns(world);
    while (world->now_us < until_us) {
        uint64_t wake_at_us = until_us;
        for (int i = 0; i < world->node_count; i++) {
            wake_at_us = MIN(wake_at_us, machine_wake_at_us(world->nodes[i].machine));
        }
        wake_at_us = MIN(MAX(wake_at_us, world->now_us + MS), until_us);
        world->wall_us += wake_at_us - world->now_us;
        world->now_us = wake_at_us;
        take_turns(world);
    }
}

// -------------------------------------------------------------------------------------------------
// Machines and links

static void start(struct machine_world *world, int index)
{
    struct cell_options options = {
        .store = world->nodes[index].store,
        .cluster_name = slice_from_text(CLUSTER_NAMES[index]),
        .is_meta = index == META,
        .cell_tag = (uint16_t)(index + 1),
        .incarnation = ++world->next_incarnation,
        .seed = 1,
        .remembered_write_count_max = 100,
        .sync_wait_us = 500 * MS,
        .commit_timeout_us = 3 * SECOND,
        .feed_window_size = 1 << 20,
    };
    assert_ok(machine_new(&options, world->now_us, world->wall_us, &world->nodes[index].machine));
    const char *address = world_text(world, "%s.example:9100", CLUSTER_NAMES[index]);
    cell_set_address(&world->nodes[index].machine->cell, slice_from_text(address));
}

void world_link(struct machine_world *world)
{
    for (int i = 0; i < NODE_COUNT_MAX; i++) world->nodes[i].link = ++world->next_link;
    machine_link_up(
        world->nodes[META].machine,
        world->nodes[META].link,
        slice_from_text(CLUSTER_NAMES[REPLICA]));
    take_turns(world);
}

void world_unlink(struct machine_world *world)
{
    for (int i = 0; i < world->node_count; i++) {
        struct machine_node *node = &world->nodes[i];
        drop_inbox(node);
        if (node->machine && node->link) machine_link_down(node->machine, node->link);
        node->link = 0;
    }
    for (int i = 0; i < world->node_count; i++) {
        if (!world->nodes[i].machine) return;
    }
    take_turns(world);
}

void world_restart(struct machine_world *world, int index)
{
    struct machine_node *node = &world->nodes[index];
    machine_free(TAKE(node->machine));
    memory_store_crash(node->store, 0);
    world_unlink(world);
    start(world, index);
    if (world->node_count == 2) world_link(world);
    take_turns(world);
}

void world_init(struct machine_world *world, int node_count)
{
    *world = (struct machine_world){
        .node_count = node_count,
        .now_us = SECOND,
        .wall_us = WALL_START_US,
    };
    for (int i = 0; i < node_count; i++) {
        world->nodes[i].store = memory_store_new();
        start(world, i);
    }
    take_turns(world);
    if (node_count < 2) return;
    machine_set_peer(
        world->nodes[META].machine, slice_from_text(CLUSTER_NAMES[REPLICA]), SLICE_OF("there:1"));
    world_link(world);
}

void world_release(struct machine_world *world)
{
    for (int i = 0; i < world->node_count; i++) {
        machine_free(world->nodes[i].machine);
        drop_inbox(&world->nodes[i]);
        store_close(world->nodes[i].store);
    }
    for (size_t i = 0; i < arr_count(world->answered); i++) request_free(world->answered[i]);
    arr_free(world->answered);
    error_free(world->error);
    arena_release(&world->arena);
}

// -------------------------------------------------------------------------------------------------
// Commands

struct request *world_begin(
    struct machine_world *world,
    int node,
    const char *command,
    const char *parameters,
    const char *input)
{
    struct request *request = request_new(REQUEST_COMMAND);
    struct arena *arena = &request->arena;
    request->command = arena_copy(arena, slice_from_text(command));
    struct error *error = yson_parse(arena, slice_from_text(parameters), &request->parameters);
    if (error) fprintf(stderr, "%s\n", parameters);
    assert_ok(error);
    request->input = arena_copy(arena, slice_from_text(input ? input : ""));
    request->user = arena_copy(arena, slice_from_text(world->user ? world->user : ""));
    machine_tick(world->nodes[node].machine, world->now_us, world->wall_us);
    machine_request(world->nodes[node].machine, request);
    take_turns(world);
    return request;
}

bool world_is_answered(const struct machine_world *world, const struct request *request)
{
    for (size_t i = 0; i < arr_count(world->answered); i++) {
        if (world->answered[i] == request) return true;
    }
    return false;
}

// What a command answered, in the format it asked for; nothing for a command without output.
static struct error *write_output(struct request *request, struct buffer *output)
{
    const struct format *format = &request->output_format;
    if (request->output_kind != OUTPUT_ROWSET) {
        struct node *node = command_result(request);
        return node ? format_write_node(format, node, output) : NULL;
    }
    CLEANUP(arena_releasep) struct arena scratch = {0};
    size_t begin = 0;
    size_t block_count = arr_count(request->block_ends);
    for (size_t i = 0; i < MAX(block_count, (size_t)1); i++) {
        size_t end = block_count > 0 ? request->block_ends[i] : request->output.size;
        struct arena arena CLEANUP(arena_releasep) = {0};
        struct rowset rowset;
        TRY(rowset_decode(&arena, slice_from(request->output.data + begin, end - begin), &rowset));
        TRY(format_write_rows(&scratch, format, &rowset, output));
        begin = end;
    }
    return NULL;
}

const char *world_finish(struct machine_world *world, struct request *request)
{
    uint64_t until_us = world->now_us + PATIENCE_US;
    while (!world_is_answered(world, request)) {
        if (world->now_us > until_us) cr_fatal("a request is not answered");
        world_run(world, 10 * MS);
    }
    for (size_t i = 0; i < arr_count(world->answered); i++) {
        if (world->answered[i] == request) arr_remove_swap(world->answered, i);
    }
    error_free(world->error);
    world->error = TAKE(request->error);
    CLEANUP(buffer_releasep) struct buffer output = {0};
    if (!world->error) world->error = write_output(request, &output);
    CLEANUP(buffer_releasep) struct buffer response = {0};
    if (request->response_parameters)
        yson_print(request->response_parameters, YSON_TEXT, &response);
    world->response = arena_copy(&world->arena, buffer_slice(&response)).data;
    request_free(request);
    if (world->error) return NULL;
    return arena_copy(&world->arena, buffer_slice(&output)).data;
}

const char *world_try(
    struct machine_world *world,
    int node,
    const char *command,
    const char *parameters,
    const char *input)
{
    return world_finish(world, world_begin(world, node, command, parameters, input));
}

const char *world_do(
    struct machine_world *world,
    int node,
    const char *command,
    const char *parameters,
    const char *input)
{
    const char *output = world_try(world, node, command, parameters, input);
    if (output) return output;
    fprintf(stderr, "%s %s %s\n", command, parameters, input ? input : "");
    assert_ok(TAKE(world->error));
    return NULL;
}

const char *world_text(struct machine_world *world, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert(size >= 0 && (size_t)size < sizeof text);
    return arena_copy(&world->arena, slice_from(text, (size_t)size)).data;
}

const char *world_ask(struct machine_world *world, const char *command, const char *parameters)
{
    return world_do(world, META, command, parameters, NULL);
}

void world_set(struct machine_world *world, int node, const char *path, const char *value)
{
    world_do(world, node, "set", world_text(world, "{path=\"%s\"}", path), value);
}

void world_create_user(struct machine_world *world, int node, const char *name)
{
    const char *parameters = world_text(world, "{type=user;attributes={name=%s}}", name);
    world_do(world, node, "create", parameters, NULL);
}

void world_create_group(struct machine_world *world, const char *name)
{
    world_ask(world, "create", world_text(world, "{type=group;attributes={name=%s}}", name));
}

void world_add_member(struct machine_world *world, const char *member, const char *group)
{
    world_ask(world, "add_member", world_text(world, "{member=%s;group=%s}", member, group));
}

const char *world_permission(
    struct machine_world *world, const char *user, const char *permission, const char *path)
{
    const char *parameters =
        world_text(world, "{user=%s;permission=%s;path=\"%s\"}", user, permission, path);
    const char *answer = world_ask(world, "check_permission", parameters);
    return strstr(answer, "\"action\"=\"allow\"") ? "allow" : "deny";
}

const char *world_get(struct machine_world *world, int node, const char *path)
{
    const char *output =
        world_do(world, node, "get", world_text(world, "{path=\"%s\"}", path), NULL);
    size_t size = strlen(output);
    if (size < 2 || output[0] != '"') return output;
    return arena_copy(&world->arena, slice_from(output + 1, size - 2)).data;
}

void world_wait(struct machine_world *world, int node, const char *path, const char *expected)
{
    uint64_t until_us = world->now_us + PATIENCE_US;
    while (strcmp(world_get(world, node, path), expected) != 0) {
        if (world->now_us > until_us) {
            cr_fatal("%s is still %s, not %s", path, world_get(world, node, path), expected);
        }
        world_run(world, 100 * MS);
    }
}

bool error_says(const struct error *error, int code, const char *text)
{
    if (!error) return false;
    bool has_code = code == 0 || (int)error_code(error) == code;
    if (has_code && strstr(error_message(error), text)) return true;
    for (const struct error *i = error_inner(error); i; i = error_next(i)) {
        if (error_says(i, code, text)) return true;
    }
    return false;
}

void world_assert_refused(
    struct machine_world *world,
    int node,
    const char *command,
    const char *parameters,
    const char *input,
    int code,
    const char *text,
    int line)
{
    take_turns(world);
    uint64_t hash = memory_store_hash(world->nodes[node].store);
    const char *output = world_try(world, node, command, parameters, input);
    if (output) {
        cr_fatal(
            "line %d: %s %s should be refused, not answer %s", line, command, parameters, output);
    }
    if (!error_says(world->error, code, text)) {
        error_print(world->error, stderr);
        cr_fatal("line %d: %s %s should say: %d, %s", line, command, parameters, code, text);
    }
    bool is_same = memory_store_hash(world->nodes[node].store) == hash;
    cr_assert(
        is_same, "line %d: %s %s is refused and changes something", line, command, parameters);
}

struct table *world_table(struct machine_world *world, int node, const char *path)
{
    struct table *table = NULL;
    assert_ok(tree_resolve_table(
        &world->nodes[node].machine->cell.tree, &world->arena, slice_from_text(path), &table));
    return table;
}

const char *world_replicate(
    struct machine_world *world, const char *path, const char *replica_path, const char *mode)
{
    const char *text = world_text(
        world,
        "{type=replicated_table;path=\"%s\";attributes={dynamic=%%true;schema=" WORLD_SCHEMA "}}",
        path);
    world_do(world, META, "create", text, NULL);
    world_do(world, META, "mount_table", world_text(world, "{path=\"%s\"}", path), NULL);
    text = world_text(
        world,
        "{type=table_replica;attributes={table_path=\"%s\";cluster_name=replica;replica_path=\"%"
        "s\";"
        "mode=%s;enabled=%%true}}",
        path,
        replica_path,
        mode);
    const char *quoted = world_do(world, META, "create", text, NULL);
    const char *id = arena_copy(&world->arena, slice_from(quoted + 1, strlen(quoted) - 2)).data;
    text = world_text(
        world,
        "{type=table;path=\"%s\";attributes={dynamic=%%true;schema=" WORLD_SCHEMA
        ";upstream_replica_id=\"%s\"}}",
        replica_path,
        id);
    world_do(world, REPLICA, "create", text, NULL);
    world_do(world, REPLICA, "mount_table", world_text(world, "{path=\"%s\"}", replica_path), NULL);
    world_run(world, 5 * SECOND); // The session has failed while there was no table.
    return id;
}
