#include "tests/sim/drill_tools.h"

#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "tests/sim/clients.h"
#include "tests/sim/operator.h"

#include <inttypes.h>

enum { TABLE_COUNT = 2, REPLICA_COUNT = 2 };

static const char *const PATHS[TABLE_COUNT] = {QUEUE, LIST};

static const uint64_t STEP_US = 5 * MS;

void drill_run(struct world *world, uint64_t us)
{
    if (world->failure[0] == 0) world_run(world, world->now_us + us);
}

bool drill_run_until(struct world *world, drill_condition *is_so, uint64_t us)
{
    uint64_t end_us = world->now_us + us;
    while (world->failure[0] == 0 && !is_so(world)) {
        if (world->now_us >= end_us) return false;
        drill_run(world, STEP_US);
    }
    return true;
}

// Sends a commit and waits for the answer.
static struct commit_try try_commit(struct world *world, bool require_sync_replica)
{
    struct commit_try try = {0};
    clients_commit(world, 0, SECOND, require_sync_replica);
    uint64_t end_us = world->now_us + 3 * SECOND;
    while (world->failure[0] == 0 && !try.is_answered && world->now_us < end_us) {
        drill_run(world, MS);
        try = clients_look(world, 0);
    }
    return try;
}

void drill_commit(struct world *world, size_t count)
{
    for (size_t i = 0; i < count && world->failure[0] == 0; i++) (void)try_commit(world, false);
}

void drill_commit_within(
    struct world *world,
    size_t count,
    bool require_sync_replica,
    uint64_t latency_us_max,
    const char *name)
{
    for (size_t i = 0; i < count && world->failure[0] == 0; i++) {
        struct commit_try try = try_commit(world, require_sync_replica);
        if (try.is_done && try.latency_us <= latency_us_max) continue;
        world_fail(
            world,
            "%s: a commit takes %" PRIu64 " us: %s",
            name,
            try.latency_us,
            try.is_answered ? try.error : "no answer");
    }
}

void drill_set_mode(struct world *world, const struct replica *replica, bool is_sync)
{
    operator_ask(
        world,
        META,
        "alter_table_replica",
        "{replica_id=\"%s\";mode=%s}",
        GUID_TEXT(replica->object->id),
        is_sync ? "sync" : "async");
}

void drill_set_modes(struct world *world, bool is_first_sync)
{
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        const struct table *table = world_table(world, META, PATHS[t]);
        for (size_t i = 0; i < REPLICA_COUNT; i++)
            drill_set_mode(world, table->replicas[i], i == 0 && is_first_sync);
    }
    drill_run(world, 50 * MS);
}

void drill_set_option(struct world *world, const char *name, const char *value)
{
    char path[128];
    snprintf(path, sizeof path, QUEUE "/@%s", name);
    operator_set(world, path, value);
    drill_run(world, 5 * MS);
    operator_ask(world, META, "remount_table", "{path=\"" QUEUE "\"}");
    drill_run(world, 5 * MS);
}

// Whether replicas have said that they have everything; those on nodes that are down, too.
static bool has_all(struct world *world, uint32_t node)
{
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        const struct table *table = world_table(world, META, PATHS[t]);
        const struct session *session = table->replicas[node - 1]->session;
        for (uint32_t i = 0; i < table->tablet_count; i++) {
            if (!position_equal(session->tablets[i].progress, table->tablets[i].queue->end))
                return false;
        }
    }
    return true;
}

bool drill_has_first_all(struct world *world)
{
    return has_all(world, 1);
}

bool drill_have_all(struct world *world)
{
    return has_all(world, 1) && has_all(world, 2);
}

// Ways to die, of which others hear sooner or later.
void drill_hurt(struct world *world, uint32_t node)
{
    struct host *host = &world->hosts[node];
    switch (rng_below(&world->rng, 3)) {
    case 0: node_crash(world, node); return;
    case 1: // As if the power were gone: nobody is told.
        world->connections[node].is_cut_to_node = true;
        world->connections[node].is_cut_to_meta = true;
        return;
    default:
        host->busy_until_us = world->now_us + 3 * SECOND;
        host->turn_at_us = host->busy_until_us;
        world_plan(
            world,
            (struct event){
                .at_us = host->busy_until_us,
                .kind = EVENT_TURN,
                .node = node,
                .life = host->life,
            });
        return;
    }
}
