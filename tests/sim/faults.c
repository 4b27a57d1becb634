#include "tests/sim/faults.h"

#include "tests/sim/operator.h"

enum { REPLICA_COUNT = 2 };

static void choose_faults(struct world *world)
{
    struct rng *rng = &world->rng;
    struct faults *faults = &world->faults;
    if (rng_chance(rng, 10)) return; // One world in ten is a good one.
    faults->delay_us_max = 300 + rng_below(rng, 100 * MS);
    if (rng_chance(rng, 40)) { // One replica is far away, and behind.
        faults->link_delay_us[1 + rng_below(rng, REPLICA_COUNT)] = rng_below(rng, 60 * MS);
    }
    faults->nemesis_period_us = 50 * MS + rng_below(rng, 600 * MS);
    uint32_t *const chances[] = {
        &faults->crash_percent,
        &faults->cut_percent,
        &faults->one_way_percent,
        &faults->pause_percent,
        &faults->clock_percent,
    };
    for (size_t i = 0; i < sizeof chances / sizeof *chances; i++) {
        if (rng_chance(rng, 60)) *chances[i] = (uint32_t)rng_below(rng, 60);
    }
    if (rng_chance(rng, 50)) {
        // Seldom enough that work gets done, or so often that nearly every batch is torn once.
        faults->sync_crash_permille = (uint32_t)rng_below(rng, rng_chance(rng, 30) ? 200 : 20);
    }
    if (rng_chance(rng, 50)) faults->slow_disk_percent = (uint32_t)rng_below(rng, 20);
    if (rng_chance(rng, 30)) faults->full_disk_percent = (uint32_t)rng_below(rng, 40);
    if (rng_chance(rng, 50)) faults->duplicate_percent = (uint32_t)rng_below(rng, 10);
    if (rng_chance(rng, 50)) faults->late_percent = (uint32_t)rng_below(rng, 50);
    if (rng_chance(rng, 50)) faults->lost_request_percent = (uint32_t)rng_below(rng, 10);
    if (rng_chance(rng, 60)) faults->admin_percent = (uint32_t)rng_below(rng, 100);
}

static void break_link(struct world *world)
{
    uint32_t index = 1 + (uint32_t)rng_below(&world->rng, world->node_count - 1);
    struct connection *connection = &world->connections[index];
    if (rng_chance(&world->rng, world->faults.one_way_percent)) {
        bool to_node = rng_chance(&world->rng, 50);
        if (to_node) connection->is_cut_to_node = true;
        if (!to_node) connection->is_cut_to_meta = true;
        world_trace(world, "one way of the link to %u is cut", index);
        // Keepalive notices after a while: the next cut of this link ends it.
        return;
    }
    connection_cut(world, index);
}

// A disk is full, or has room again.
static void fill_disk(struct world *world, uint32_t index, bool is_full)
{
    struct cell *cell = &world->hosts[index].machine->cell;
    if (is_full == (cell->disk_error != NULL)) return;
    struct error *error =
        is_full ? error_new(ERROR_ACCOUNT_LIMIT_EXCEEDED, "Disk is almost full") : NULL;
    cell_set_disk_error(cell, error);
    world_trace(world, "disk of %u %s", index, is_full ? "is full" : "has room");
}

static void nemesis(struct world *world)
{
    struct rng *rng = &world->rng;
    uint32_t index = (uint32_t)rng_below(rng, world->node_count);
    struct host *host = &world->hosts[index];
    if (rng_chance(rng, world->faults.crash_percent)) {
        node_crash(world, index);
        world_plan(
            world,
            (struct event){
                .at_us = world->now_us + 10 * MS + rng_below(rng, 800 * MS),
                .kind = EVENT_RESTART,
                .node = index,
            });
    }
    if (rng_chance(rng, world->faults.cut_percent)) break_link(world);
    if (rng_chance(rng, world->faults.pause_percent) && host->machine && !host->is_syncing) {
        host->busy_until_us = world->now_us + rng_below(rng, 2 * SECOND);
        host->turn_at_us = UINT64_MAX;
        world_trace(world, "node %u pauses", index);
        world_plan(
            world,
            (struct event){
                .at_us = host->busy_until_us,
                .kind = EVENT_TURN,
                .node = index,
                .life = host->life,
            });
        host->turn_at_us = host->busy_until_us;
    }
    if (host->machine && (host->machine->cell.disk_error || world->faults.full_disk_percent > 0))
        fill_disk(world, index, rng_chance(rng, world->faults.full_disk_percent));
    if (rng_chance(rng, world->faults.clock_percent)) {
        host->clock_offset_us = (int64_t)rng_below(rng, 40 * SECOND) - (int64_t)(20 * SECOND);
        world_trace(world, "clock of %u jumps", index);
    }
}

static void plan(struct world *world, enum event_kind kind, uint64_t period_us)
{
    world_plan(
        world,
        (struct event){.at_us = world->now_us + rng_below(&world->rng, period_us), .kind = kind});
}

void faults_begin(struct world *world)
{
    choose_faults(world);
    if (world->faults.nemesis_period_us == 0) return;
    plan(world, EVENT_NEMESIS, 500 * MS);
    plan(world, EVENT_ADMIN, SECOND);
}

void faults_act(struct world *world, enum event_kind kind)
{
    if (world->is_healing) return;
    if (kind == EVENT_NEMESIS) {
        nemesis(world);
        plan(world, kind, 2 * world->faults.nemesis_period_us);
    } else {
        if (rng_chance(&world->rng, world->faults.admin_percent)) operator_act(world);
        plan(world, kind, 300 * MS);
    }
}

void faults_end(struct world *world)
{
    world->is_healing = true;
    world->faults = (struct faults){.delay_us_max = 300};
    for (uint32_t i = 0; i < world->node_count; i++) {
        world->hosts[i].clock_offset_us = (int64_t)(20 * SECOND); // Past what any clock has shown.
        if (world->hosts[i].machine) fill_disk(world, i, false);
        world_plan(world, (struct event){.at_us = world->now_us, .kind = EVENT_RESTART, .node = i});
        if (i == META) continue;
        connection_cut(world, i);
        world_plan(
            world, (struct event){.at_us = world->now_us + MS, .kind = EVENT_CONNECT, .node = i});
    }
}
