#include "tests/sim/operator.h"

#include "model/yson.h"

#include <assert.h>

static const char *const CLUSTERS[] = {NULL, "first", "second"}; // By node.

void operator_ask(
    struct world *world, uint32_t node, const char *command, const char *parameters_format, ...)
{
    struct request *request = request_new(REQUEST_COMMAND);
    request->command = slice_from_text(command);
    char parameters[512];
    va_list args;
    va_start(args, parameters_format);
    vsnprintf(parameters, sizeof parameters, parameters_format, args);
    va_end(args);
    struct slice text = arena_copy(&request->arena, slice_from_text(parameters));
    struct error *error = yson_parse(&request->arena, text, &request->parameters);
    assert(!error);
    error_free(error);
    world_trace(world, "%s at %u: %s", command, node, parameters);
    world_request(world, node, request, 0);
}

void operator_set(struct world *world, const char *path, const char *value)
{
    struct request *request = request_new(REQUEST_COMMAND);
    request->command = SLICE_OF("set");
    request->input = arena_copy(&request->arena, slice_from_text(value));
    char *text = arena_print(&request->arena, "{path=\"%s\";input_format=yson}", path);
    struct error *error = yson_parse(&request->arena, slice_from_text(text), &request->parameters);
    assert(!error);
    error_free(error);
    world_trace(world, "set %s: %s", path, value);
    world_request(world, META, request, 0);
}

static struct replica *some_replica(struct world *world, const char *path)
{
    const struct table *table = world_table(world, META, path);
    if (!table || arr_count(table->replicas) == 0) return NULL;
    return table->replicas[rng_below(&world->rng, arr_count(table->replicas))];
}

static void change_replica(struct world *world, const char *path)
{
    static const char *const CHANGES[] = {
        "mode=sync", "mode=async", "mode=sync", "mode=async", "enabled=%false", "enabled=%true"};
    const struct replica *replica = some_replica(world, path);
    const char *change = CHANGES[rng_below(&world->rng, sizeof CHANGES / sizeof *CHANGES)];
    if (!replica) return;
    operator_ask(
        world,
        META,
        "alter_table_replica",
        "{replica_id=\"%s\";%s}",
        GUID_TEXT(replica->object->id),
        change);
}

static const char *some_table(struct world *world)
{
    return rng_chance(&world->rng, 50) ? QUEUE : LIST;
}

// Tablets of the log, or of a replica table, leave for a while.
static void change_tablets(struct world *world)
{
    struct rng *rng = &world->rng;
    bool is_back = rng_chance(rng, 60);
    if (rng_chance(rng, 50)) {
        const char *path = some_table(world);
        operator_ask(
            world, META, is_back ? "unfreeze_table" : "freeze_table", "{path=\"%s\"}", path);
        return;
    }
    uint32_t node = 1 + (uint32_t)rng_below(rng, world->node_count - 1);
    const char *path = rng_chance(rng, 50) ? REPLICA : COPY;
    operator_ask(world, node, is_back ? "mount_table" : "unmount_table", "{path=\"%s\"}", path);
}

static void create_other(struct world *world)
{
    operator_ask(
        world,
        META,
        "create",
        "{type=replicated_table;path=\"" OTHER "\";attributes={dynamic=%%true;" SORTED_SCHEMA
        ";min_replication_log_ttl=0}}");
    operator_ask(world, META, "mount_table", "{path=\"" OTHER "\"}");
}

static uint32_t node_of(const struct replica *replica)
{
    return slice_equal_text(buffer_slice(&replica->cluster_name), CLUSTERS[1]) ? 1 : 2;
}

static void add_replica(struct world *world)
{
    uint32_t node = 1 + (uint32_t)rng_below(&world->rng, world->node_count - 1);
    operator_ask(
        world,
        META,
        "create",
        "{type=table_replica;attributes={table_path=\"" OTHER "\";cluster_name=%s;"
        "replica_path=\"" OTHER_COPY "\";mode=%s;enabled=%%true}}",
        CLUSTERS[node],
        rng_chance(&world->rng, 50) ? "sync" : "async");
}

// The replica table, which must name the replica; an older one may be in its place.
static void add_copy(struct world *world, const struct replica *replica)
{
    uint32_t node = node_of(replica);
    if (world_table(world, node, OTHER_COPY)) {
        operator_ask(world, node, "remove", "{path=\"" OTHER_COPY "\";force=%%true}");
    }
    operator_ask(
        world,
        node,
        "create",
        "{type=table;path=\"" OTHER_COPY "\";attributes={dynamic=%%true;upstream_replica_id=\"%s\";"
        "" SORTED_SCHEMA "}}",
        GUID_TEXT(replica->object->id));
    operator_ask(world, node, "mount_table", "{path=\"" OTHER_COPY "\"}");
}

static void write_other(struct world *world)
{
    struct request *request = request_new(REQUEST_COMMAND);
    request->command = SLICE_OF("insert_rows");
    char *input = arena_print(
        &request->arena,
        "{k=%d;v=%d}",
        (int)rng_below(&world->rng, 10),
        (int)rng_below(&world->rng, 1000));
    request->input = slice_from_text(input);
    struct slice parameters = SLICE_OF("{path=\"" OTHER "\";input_format=yson}");
    struct error *error = yson_parse(&request->arena, parameters, &request->parameters);
    assert(!error);
    error_free(error);
    world_request(world, META, request, 0);
}

// A table in all stages of its life, one step at a time.
static void change_other(struct world *world)
{
    struct rng *rng = &world->rng;
    if (!world_table(world, META, OTHER)) {
        create_other(world);
        return;
    }
    const struct replica *replica = some_replica(world, OTHER);
    uint64_t choice = rng_below(rng, 100);
    if (!replica || choice < 15) {
        add_replica(world);
    } else if (choice < 35) {
        add_copy(world, replica);
    } else if (choice < 75) {
        write_other(world);
    } else if (choice < 85) {
        change_replica(world, OTHER);
    } else if (choice < 95) {
        operator_ask(world, META, "remove", "{path=\"#%s\"}", GUID_TEXT(replica->object->id));
    } else {
        operator_ask(world, META, "remove", "{path=\"" OTHER "\";force=%%true}");
    }
}

void operator_act(struct world *world)
{
    uint64_t choice = rng_below(&world->rng, 100);
    if (choice < 50) {
        change_replica(world, some_table(world));
    } else if (choice < 65) {
        change_tablets(world);
    } else {
        change_other(world);
    }
}

void operator_heal(struct world *world)
{
    static const char *const TABLES[] = {QUEUE, LIST};
    static const char *const COPIES[] = {REPLICA, COPY};
    for (size_t t = 0; t < 2; t++) {
        const struct table *table = world_table(world, META, TABLES[t]);
        for (uint32_t node = 1; node < world->node_count; node++)
            operator_ask(world, node, "mount_table", "{path=\"%s\"}", COPIES[t]);
        operator_ask(world, META, "unfreeze_table", "{path=\"%s\"}", TABLES[t]);
        for (size_t i = 0; table && i < arr_count(table->replicas); i++) {
            struct guid id = table->replicas[i]->object->id;
            operator_ask(
                world,
                META,
                "alter_table_replica",
                "{replica_id=\"%s\";enabled=%%true}",
                GUID_TEXT(id));
        }
    }
    operator_ask(world, META, "remove", "{path=\"" OTHER "\";force=%%true}");
}
