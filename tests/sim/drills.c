#include "tests/sim/drills.h"

#include "tests/sim/clients.h"
#include "tests/sim/drill_tools.h"
#include "tests/sim/faults.h"
#include "tests/sim/lost_ground.h"
#include "tests/sim/operator.h"
#include "tests/sim/pacing.h"
#include "tests/sim/tracker_checks.h"

#include <inttypes.h>

enum { TABLE_COUNT = 2, REPLICA_COUNT = 2 };

static const char *const PATHS[TABLE_COUNT] = {QUEUE, LIST};
static const char *const COPIES[TABLE_COUNT] = {REPLICA, COPY};

// -------------------------------------------------------------------------------------------------
// frozen-is-delivered

static bool is_frozen(struct world *world)
{
    const struct table *table = world_table(world, META, QUEUE);
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        if (table->tablets[i].state != TABLET_FROZEN) return false;
    }
    return true;
}

// What was written until the freeze arrives everywhere while the table is frozen; that a frozen log
// does not grow, and that nobody is said to have more than he has, is checked all the time.
static void freeze(struct world *world)
{
    connection_cut(world, 1 + (uint32_t)rng_below(&world->rng, REPLICA_COUNT));
    for (uint64_t i = 0; i < CLIENT_COUNT; i++) {
        clients_commit(world, i, SECOND, false);
        drill_run(world, rng_below(&world->rng, MS));
        if (i == 2) operator_ask(world, META, "freeze_table", "{path=\"" QUEUE "\"}");
    }
    if (!drill_run_until(world, is_frozen, 10 * SECOND))
        world_fail(world, "frozen-is-delivered: the table does not freeze");
    if (!drill_run_until(world, drill_have_all, 10 * SECOND))
        world_fail(world, "frozen-is-delivered: a frozen table's log does not reach all replicas");
    operator_ask(world, META, "unfreeze_table", "{path=\"" QUEUE "\"}");
}

// -------------------------------------------------------------------------------------------------
// mode-switch-safe

// Modes change while clients write, and links stay as they are: what was on its way arrives.
static void switch_modes(struct world *world)
{
    for (int round = 0; round < 12; round++) {
        const struct table *table =
            world_table(world, META, PATHS[rng_below(&world->rng, TABLE_COUNT)]);
        const struct replica *replica = table->replicas[rng_below(&world->rng, REPLICA_COUNT)];
        for (uint64_t i = 0; i < 2; i++) {
            if (clients_look(world, i).is_answered || round == 0)
                clients_commit(world, i, 500 * MS, false);
        }
        drill_run(world, rng_below(&world->rng, 2 * MS));
        drill_set_mode(world, replica, replica->mode != REPLICA_MODE_SYNC);
        drill_run(world, rng_below(&world->rng, 2 * MS));
    }
    drill_run(world, SECOND);
    if (!drill_run_until(world, drill_have_all, 2 * SECOND))
        world_fail(world, "mode-switch-safe: a replica whose mode was changed does not go on");
}

// -------------------------------------------------------------------------------------------------
// isolation

// A replica that is not synchronous is dead, deaf, far away or refuses its rows: others do not
// notice.
static void isolate(struct world *world)
{
    bool is_unmounted = rng_chance(&world->rng, 25);
    bool is_first_sync = rng_chance(&world->rng, 60);
    drill_set_modes(world, is_first_sync);
    if (is_unmounted) {
        for (size_t t = 0; t < TABLE_COUNT; t++)
            operator_ask(world, 2, "unmount_table", "{path=\"%s\"}", COPIES[t]);
    } else if (rng_chance(&world->rng, 30)) {
        world->faults.link_delay_us[2] = 300 * MS;
    } else {
        drill_hurt(world, 2);
    }
    drill_run(world, 5 * MS);
    drill_commit_within(world, 30, is_first_sync, 10 * MS, "isolation");
    if (!drill_run_until(world, drill_has_first_all, 200 * MS))
        world_fail(world, "isolation: another replica's trouble holds rows back");
}

// -------------------------------------------------------------------------------------------------
// switch-fast

static uint32_t node_of(const struct replica *replica)
{
    return slice_equal_text(buffer_slice(&replica->cluster_name), "first") ? 1 : 2;
}

// A synchronous replica dies, and another could take its place: clients wait for no more than a
// second, and hear of no error.
static void fail_over(struct world *world)
{
    const struct table *table =
        world_table(world, META, PATHS[rng_below(&world->rng, TABLE_COUNT)]);
    const struct replica *victim = table->replicas[0];
    if (victim->mode != REPLICA_MODE_SYNC) victim = table->replicas[1];
    drill_hurt(world, node_of(victim));
    uint64_t end_us = world->now_us + 1500 * MS;
    bool has_begun[CLIENT_COUNT] = {false};
    bool is_busy = true;
    while (world->failure[0] == 0 && is_busy) {
        is_busy = false;
        for (uint64_t i = 0; i < CLIENT_COUNT; i++) {
            struct commit_try try = clients_look(world, i);
            bool is_over = has_begun[i] && try.is_answered;
            if (is_over && (!try.is_done || try.latency_us > SECOND)) {
                world_fail(
                    world,
                    "switch-fast: a commit takes %" PRIu64 " us: %s",
                    try.latency_us,
                    try.error);
            }
            if (world->now_us < end_us && (is_over || !has_begun[i])) {
                clients_commit(world, i, 10 * SECOND, true);
                has_begun[i] = true;
                is_over = false;
            }
            if (has_begun[i] && !is_over) is_busy = true;
        }
        drill_run(world, 30 * MS);
    }
}

// -------------------------------------------------------------------------------------------------

typedef void drill(struct world *world);

void drills_play(struct world *world)
{
    static drill *const TRACKED[] = {fail_over, fail_over, freeze, lost_ground_begin_late};
    static drill *const UNTRACKED[] = {
        switch_modes, isolate, pacing_drill, freeze, lost_ground_begin_late};
    if (world->failure[0] != 0 || !rng_chance(&world->rng, 15)) return;
    drill *chosen = tracker_checks_are_on(world) ? TRACKED[rng_below(&world->rng, 4)]
                                                 : UNTRACKED[rng_below(&world->rng, 5)];
    if (chosen == fail_over && !tracker_checks_may_demote(world)) return;
    chosen(world);
    faults_end(world);
    for (uint32_t i = 1; i < world->node_count; i++) {
        uint64_t busy_until_us = world->hosts[i].busy_until_us;
        if (busy_until_us > world->now_us) drill_run(world, busy_until_us - world->now_us);
    }
    drill_run(world, 200 * MS);
    operator_heal(world);
}

void drills_play_last(struct world *world)
{
    if (world->failure[0] == 0 && rng_chance(&world->rng, 8)) lost_ground_spoil(world);
}
