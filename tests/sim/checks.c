#include "tests/sim/checks.h"

#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "model/yson.h"
#include "tests/sim/clients.h"
#include "tests/sim/contents.h"
#include "tests/sim/drills.h"
#include "tests/sim/faults.h"
#include "tests/sim/operator.h"
#include "tests/sim/pacing.h"
#include "tests/sim/state_checks.h"
#include "tests/sim/tracker_checks.h"

#include <assert.h>

enum { REPLICA_COUNT = 2, TABLE_COUNT = 2 };

static const uint64_t RUN_US = 6 * SECOND;
static const uint64_t HEAL_US = 30 * SECOND;

// -------------------------------------------------------------------------------------------------
// Setting up

static struct guid create(struct world *world, uint32_t node, const char *format, ...)
{
    char parameters[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(parameters, sizeof parameters, format, args);
    va_end(args);
    struct request *request = world_command(world, node, "create", parameters, "");
    struct guid id = GUID_NULL;
    if (request && request->node) {
        struct error *error = guid_parse(request->node->string, &id);
        assert(!error);
    }
    request_free(request);
    return id;
}

static void command(struct world *world, uint32_t node, const char *name, const char *parameters)
{
    request_free(world_command(world, node, name, parameters, ""));
}

#define STRICT_ACL  "[{action=deny;subjects=[writer];permissions=[write]}]"
#define LIST_SCHEMA "schema=[{name=v;type=int64}]"

static void create_replicas(
    struct world *world, size_t table, const char *path, const char *replica_path)
{
    static const char *const CLUSTERS[] = {"first", "second"};
    for (uint32_t i = 0; i < REPLICA_COUNT; i++) {
        struct guid id = create(
            world,
            META,
            "{type=table_replica;attributes={table_path=\"%s\";cluster_name=%s;replica_path=\"%s\";"
            "mode=%s;enabled=%%true}}",
            path,
            CLUSTERS[i],
            replica_path,
            i == 0 ? "sync" : "async");
        // The second cluster cuts its tablets elsewhere.
        const char *pivots = i == 1 && table == 0 ? "pivot_keys=[[];[5];[17]];" : "";
        create(
            world,
            i + 1,
            "{type=table;path=\"%s\";attributes={dynamic=%%true;upstream_replica_id=\"%s\";%s%s%s}"
            "}",
            replica_path,
            GUID_TEXT(id),
            pivots,
            world->forgetful == i + 1 ? "min_data_ttl=0;" : "",
            table == 0 ? SORTED_SCHEMA : LIST_SCHEMA);
        char parameters[64];
        snprintf(parameters, sizeof parameters, "{path=\"%s\"}", replica_path);
        command(world, i + 1, "mount_table", parameters);
        if (world->strict != i + 1) continue;
        snprintf(parameters, sizeof parameters, "{path=\"%s/@acl\"}", replica_path);
        request_free(world_command(world, i + 1, "set", parameters, STRICT_ACL));
    }
}

void checks_begin(struct world *world)
{
    state_checks_begin(world);
    pacing_begin(world);
    if (rng_chance(&world->rng, 30)) world->forgetful = 1 + (uint32_t)rng_below(&world->rng, 2);
    for (uint32_t i = 0; i < world->node_count; i++) node_start(world, i);
    machine_set_peer(world->hosts[META].machine, SLICE_OF("first"), SLICE_OF("node1"));
    machine_set_peer(world->hosts[META].machine, SLICE_OF("second"), SLICE_OF("node2"));
    // Not by chance, so that other worlds stay as they were.
    if (world->seed % 4 == 1) world->strict = 1 + (uint32_t)(world->seed / 4 % 2);
    for (uint32_t i = 0; world->strict > 0 && i < world->node_count; i++)
        create(world, i, "{type=user;attributes={name=writer}}");
    char tracking[256];
    tracker_checks_begin(world, tracking, sizeof tracking);
    // The log is trimmed as soon as may be, so that trimming meets everything else.
    create(
        world,
        META,
        "{type=replicated_table;path=\"" QUEUE "\";attributes={dynamic=%%true;" SORTED_SCHEMA
        ";pivot_keys=[[];[12]];min_replication_log_ttl=0;max_rows_per_replication_commit=%d%s}}",
        1 + (int)rng_below(&world->rng, 8),
        tracking);
    create(
        world,
        META,
        "{type=replicated_table;path=\"" LIST "\";attributes={dynamic=%%true;" LIST_SCHEMA
        ";min_replication_log_ttl=0%s}}",
        tracking);
    create(
        world,
        META,
        "{type=table;path=\"" LOCAL "\";attributes={dynamic=%%true;" SORTED_SCHEMA "}}");
    create_replicas(world, 0, QUEUE, REPLICA);
    create_replicas(world, 1, LIST, COPY);
    tracker_checks_set_up(world);
    command(world, META, "mount_table", "{path=\"" QUEUE "\"}");
    command(world, META, "mount_table", "{path=\"" LIST "\"}");
    command(world, META, "mount_table", "{path=\"" LOCAL "\"}");
    for (uint32_t i = 1; i < world->node_count; i++) {
        world_plan(world, (struct event){.at_us = world->now_us, .kind = EVENT_CONNECT, .node = i});
    }
    clients_begin(world);
    faults_begin(world);
    world_run(world, world->now_us + RUN_US);
}

void checks_on_turn(struct world *world, uint32_t node)
{
    if (node == META) tracker_checks_on_turn(world);
    state_checks_on_turn(world, node);
}

// Whether everything has arrived everywhere.
static bool has_converged(struct world *world)
{
    struct machine *machine = world->hosts[META].machine;
    if (!machine || machine->coordinator.commits || world_table(world, META, OTHER)) return false;
    static const char *const PATHS[] = {QUEUE, LIST};
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        const struct table *table = world_table(world, META, PATHS[t]);
        for (size_t i = 0; i < arr_count(table->replicas); i++) {
            const struct session *session = table->replicas[i]->session;
            if (session->state != SESSION_OPEN || session->error) return false;
            for (uint32_t j = 0; j < table->tablet_count; j++) {
                const struct queue *queue = table->tablets[j].queue;
                if (!position_equal(session->tablets[j].feeder.decided, queue->end)) return false;
                if (queue->end.row_index != queue->trimmed.row_index) return false; // trims
            }
        }
    }
    return true;
}

// Runs until everything has arrived everywhere; fails the world if it does not.
static void converge(struct world *world)
{
    uint64_t deadline_us = world->now_us + HEAL_US;
    for (int round = 0; world->failure[0] == 0 && !has_converged(world); round++) {
        if (round % 100 == 99) operator_heal(world); // What was under way may have been in its way.
        if (world->now_us >= deadline_us) {
            world_fail(world, "drains: replicas have not caught up after the faults are over");
            return;
        }
        world_run(world, world->now_us + 50 * MS);
    }
}

static void collect(struct world *world)
{
    struct history *history = clients_history(world);
    for (uint32_t i = 0; i < REPLICA_COUNT; i++) {
        contents_versions(world, i + 1, REPLICA, &history->versions[i]);
        contents_list(world, i + 1, COPY, &history->lists[i]);
    }
    contents_versions(world, META, LOCAL, &history->local);
    if (world->forgetful == 0) return;
    history->whole = world->forgetful == 1 ? 1 : 0;
    history->retained_timestamp = world_table(world, world->forgetful, REPLICA)->retained_timestamp;
}

void checks_finish(struct world *world)
{
    if (world->failure[0] != 0) return;
    world_trace(world, "healing");
    faults_end(world);
    clients_stop(world);
    world_run(world, world->now_us + 3 * SECOND); // Restarts, pauses end, requests time out.
    operator_heal(world);
    converge(world);
    if (world->failure[0] != 0) return;
    world_run(world, world->now_us + 100 * MS);
    state_checks_finish(world);
    tracker_checks_finish(world);
    drills_play(world);
    converge(world);
    collect(world);
    history_check(world, clients_history(world));
    drills_play_last(world);
}

void checks_release(struct world *world)
{
    pacing_release(world);
    tracker_checks_release(world);
    state_checks_release(world);
    clients_release(world);
}
