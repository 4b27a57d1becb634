#include "tests/sim/tracker_checks.h"

#include "coordinator/core/sessions.h"
#include "model/yson.h"

#include <assert.h>
#include <inttypes.h>

enum { TABLE_COUNT = 2, REPLICA_COUNT = 2, REPLICA_COUNT_MAX = 4 };

enum { REVISION_COUNT = 64 };

struct modes { // Of a table, at the end of a turn.
    uint64_t revision;
    bool is_sync[REPLICA_COUNT];
};

struct tracker_checks {
    bool is_on;
    uint64_t sync_count_min;
    uint64_t sync_count_max;
    uint64_t life; // Of the meta-cluster, whose modes are known; the next one began anew.
    bool was_sync[TABLE_COUNT][REPLICA_COUNT_MAX];
    struct modes seen[TABLE_COUNT][REVISION_COUNT]; // By revision, modulo.
};

void tracker_checks_begin(struct world *world, char *ret_attributes, size_t size)
{
    struct tracker_checks *checks = must_alloc(calloc(1, sizeof *checks));
    struct rng *rng = &world->rng;
    world->tracker_checks = checks;
    checks->is_on = rng_chance(rng, 50);
    checks->sync_count_max = 1 + rng_below(rng, 2);
    checks->sync_count_min = rng_below(rng, checks->sync_count_max + 1);
    static const char *const PREFERRED[] = {"", "first", "second"};
    ret_attributes[0] = '\0';
    if (!checks->is_on) return;
    int written = snprintf(
        ret_attributes,
        size,
        ";replicated_table_options={enable_replicated_table_tracker=%%true;"
        "max_sync_replica_count=%" PRIu64 ";min_sync_replica_count=%" PRIu64
        ";preferred_sync_replica_clusters=[%s]}",
        checks->sync_count_max,
        checks->sync_count_min,
        PREFERRED[rng_below(rng, 3)]);
    assert(written > 0 && (size_t)written < size);
    (void)written;
}

void tracker_checks_set_up(struct world *world)
{
    struct tracker_checks *checks = world->tracker_checks;
    if (!checks->is_on) return;
    struct coordinator *coordinator = &world->hosts[META].machine->coordinator;
    assert(arr_count(coordinator->tables) == TABLE_COUNT);
    struct rng *rng = &world->rng;
    char input[32];
    snprintf(input, sizeof input, "%d", rng_chance(rng, 50) ? 100 : 500);
    request_free(world_command(
        world,
        META,
        "set",
        "{path=\"//sys/@config/tablet_manager/replicated_table_tracker/suspicion_timeout\"}",
        input));
    snprintf(input, sizeof input, "%d", rng_chance(rng, 50) ? 200 : 3000);
    request_free(world_command(
        world,
        META,
        "set",
        "{path=\"//sys/@config/tablet_manager/replicated_table_tracker/recovery_period\"}",
        input));
    if (!rng_chance(rng, 30)) return;
    char parameters[256];
    snprintf(
        parameters,
        sizeof parameters,
        "{type=table_collocation;attributes={table_ids=[\"%s\";\"%s\"]}}",
        GUID_TEXT(coordinator->tables[0]->object->id),
        GUID_TEXT(coordinator->tables[1]->object->id));
    request_free(world_command(world, META, "create", parameters, ""));
}

static bool is_fit(const struct coordinator *coordinator, const struct replica *replica)
{
    const struct peer *peer = coordinator_peer(coordinator, buffer_slice(&replica->cluster_name));
    return replica->state == REPLICA_STATE_ENABLED && replica->is_tracked && peer &&
           !peer->is_suspect && peer->bundle_failure_count <= 1 &&
           replica->session->state == SESSION_OPEN;
}

// A change of modes that nobody asked for is the tracker's.
static void check_decision(
    struct world *world, const struct table *table, const bool *was_sync, uint32_t table_index)
{
    const struct tracker_checks *checks = world->tracker_checks;
    const struct coordinator *coordinator = &world->hosts[META].machine->coordinator;
    uint64_t tracked = 0;
    uint64_t sync = 0;
    uint64_t demoted = 0;
    if (!checks->is_on) {
        world_fail(world, "hands-off: the tracker changed modes of table %u", table_index);
        return;
    }
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        const struct replica *replica = table->replicas[i];
        bool is_sync = replica->mode == REPLICA_MODE_SYNC;
        bool is_changed = is_sync != was_sync[i];
        bool is_tracked = replica->is_tracked && replica->state == REPLICA_STATE_ENABLED;
        if (is_changed && !is_tracked)
            world_fail(world, "hands-off: replica %zu of table %u", i, table_index);
        if (is_changed && is_sync && !is_fit(coordinator, replica))
            world_fail(world, "elect-fit: replica %zu of table %u", i, table_index);
        if (!is_tracked) continue;
        tracked++;
        sync += is_sync;
        demoted += is_changed && !is_sync;
    }
    uint64_t least = MIN(checks->sync_count_min, tracked);
    if (sync > checks->sync_count_max || (demoted > 0 && sync < least)) {
        world_fail(
            world,
            "sync-count: table %u has %" PRIu64 " of %" PRIu64 " to %" PRIu64,
            table_index,
            sync,
            least,
            checks->sync_count_max);
    }
}

// switch-atomic: a revision has one set of modes, also after a crash that has cut something off.
static void check_revision(struct world *world, const struct table *table, uint32_t table_index)
{
    struct modes *seen = world->tracker_checks->seen[table_index];
    struct modes modes = {.revision = table->mode_revision};
    for (size_t i = 0; i < REPLICA_COUNT && i < arr_count(table->replicas); i++)
        modes.is_sync[i] = table->replicas[i]->mode == REPLICA_MODE_SYNC;
    struct modes *before = &seen[modes.revision % REVISION_COUNT];
    bool is_other = memcmp(before->is_sync, modes.is_sync, sizeof modes.is_sync) != 0;
    if (before->revision == modes.revision && is_other) {
        world_fail(
            world,
            "switch-atomic: table %u has other modes at revision %" PRIu64,
            table_index,
            modes.revision);
    }
    *before = modes;
    if (world->tracker_checks->life == world->hosts[META].life) return;
    // What came after it was lost in a crash, and will be another.
    for (size_t i = 0; i < REVISION_COUNT; i++) {
        if (seen[i].revision > modes.revision) seen[i].revision = 0;
    }
}

void tracker_checks_on_turn(struct world *world)
{
    struct tracker_checks *checks = world->tracker_checks;
    struct host *host = &world->hosts[META];
    if (!checks || !host->machine) return;
    const struct coordinator *coordinator = &host->machine->coordinator;
    bool is_known = checks->life == host->life && !host->took_command;
    for (uint32_t t = 0; t < arr_count(coordinator->tables) && t < TABLE_COUNT; t++) {
        const struct table *table = coordinator->tables[t];
        bool is_changed = false;
        check_revision(world, table, t);
        for (size_t i = 0; i < arr_count(table->replicas); i++)
            is_changed |= checks->was_sync[t][i] != (table->replicas[i]->mode == REPLICA_MODE_SYNC);
        if (is_changed && is_known) check_decision(world, table, checks->was_sync[t], t);
        for (size_t i = 0; i < arr_count(table->replicas); i++)
            checks->was_sync[t][i] = table->replicas[i]->mode == REPLICA_MODE_SYNC;
    }
    checks->life = host->life;
}

void tracker_checks_finish(struct world *world)
{
    const struct tracker_checks *checks = world->tracker_checks;
    if (!checks->is_on) return;
    world_run(world, world->now_us + 4 * SECOND); // All have recovered.
    const struct coordinator *coordinator = &world->hosts[META].machine->coordinator;
    uint64_t history_end = coordinator->tracker.next_sequence;
    for (size_t t = 0; t < arr_count(coordinator->tables); t++) {
        const struct table *table = coordinator->tables[t];
        uint64_t sync = 0;
        for (size_t i = 0; i < arr_count(table->replicas); i++)
            sync += table->replicas[i]->mode == REPLICA_MODE_SYNC;
        if (sync == checks->sync_count_max) continue;
        world_fail(
            world,
            "sync-count: table %zu ends with %" PRIu64 " synchronous replicas of %" PRIu64,
            t,
            sync,
            checks->sync_count_max);
    }
    if (coordinator->tables[0]->collocation) {
        for (size_t i = 0; i < REPLICA_COUNT; i++) {
            if (coordinator->tables[0]->replicas[i]->mode ==
                coordinator->tables[1]->replicas[i]->mode) {
                continue;
            }
            world_fail(world, "collocated: the tables end on different clusters");
        }
    }
    world_run(world, world->now_us + 2 * SECOND);
    if (coordinator->tracker.next_sequence != history_end)
        world_fail(world, "no-flapping: modes change though nothing happens");
}

bool tracker_checks_are_on(const struct world *world)
{
    return world->tracker_checks->is_on;
}

bool tracker_checks_may_demote(const struct world *world)
{
    return world->tracker_checks->is_on && world->tracker_checks->sync_count_min < REPLICA_COUNT;
}

void tracker_checks_release(struct world *world)
{
    free(TAKE(world->tracker_checks));
}
