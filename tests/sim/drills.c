#include "tests/sim/drills.h"

#include "coordinator/core/log_weight.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "tests/sim/clients.h"
#include "tests/sim/contents.h"
#include "tests/sim/faults.h"
#include "tests/sim/operator.h"
#include "tests/sim/state_checks.h"
#include "tests/sim/tracker_checks.h"

#include <inttypes.h>

enum { TABLE_COUNT = 2, REPLICA_COUNT = 2, TABLET_COUNT_MAX_OF_LOG = 2 };

static const char *const PATHS[TABLE_COUNT] = {QUEUE, LIST};
static const char *const COPIES[TABLE_COUNT] = {REPLICA, COPY};

static const uint64_t STEP_US = 5 * MS;

struct sending { // Of rows to a replica that is paced.
    uint64_t at_us;
    uint64_t weight;
};

struct drills {
    struct guid paced_id;                              // Null while nobody is looked at.
    struct sending *sendings[TABLET_COUNT_MAX_OF_LOG]; // stb arrays.
};

void drills_begin(struct world *world)
{
    world->drills = must_alloc(calloc(1, sizeof *world->drills));
}

void drills_release(struct world *world)
{
    if (!world->drills) return;
    for (size_t i = 0; i < TABLET_COUNT_MAX_OF_LOG; i++) arr_free(world->drills->sendings[i]);
    free(TAKE(world->drills));
}

// -------------------------------------------------------------------------------------------------
// What drills are made of

static void run(struct world *world, uint64_t us)
{
    if (world->failure[0] == 0) world_run(world, world->now_us + us);
}

typedef bool condition(struct world *world);

// Runs until something is so; false if it is not in this time.
static bool run_until(struct world *world, condition *is_so, uint64_t us)
{
    uint64_t end_us = world->now_us + us;
    while (world->failure[0] == 0 && !is_so(world)) {
        if (world->now_us >= end_us) return false;
        run(world, STEP_US);
    }
    return true;
}

// One commit after another. Counts those that were done; fails the world if one takes longer than
// `latency_us_max` or, where that is given, is refused.
static uint64_t commit(struct world *world, size_t count, uint64_t latency_us_max, const char *name)
{
    uint64_t done = 0;
    for (size_t i = 0; i < count && world->failure[0] == 0; i++) {
        struct commit_try try = {0};
        clients_commit(world, 0, SECOND, latency_us_max > 0);
        uint64_t end_us = world->now_us + 3 * SECOND;
        while (world->failure[0] == 0 && !try.is_answered && world->now_us < end_us) {
            run(world, MS);
            try = clients_look(world, 0);
        }
        done += try.is_done;
        if (latency_us_max == 0 || (try.is_done && try.latency_us <= latency_us_max)) continue;
        world_fail(
            world,
            "%s: a commit takes %" PRIu64 " us: %s",
            name,
            try.latency_us,
            try.is_answered ? try.error : "no answer");
    }
    return done;
}

static void set_mode(struct world *world, const struct replica *replica, bool is_sync)
{
    operator_ask(
        world,
        META,
        "alter_table_replica",
        "{replica_id=\"%s\";mode=%s}",
        GUID_TEXT(replica->object->id),
        is_sync ? "sync" : "async");
}

// The first replica of each table is synchronous, the second is not.
static void set_modes(struct world *world)
{
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        const struct table *table = world_table(world, META, PATHS[t]);
        for (size_t i = 0; i < REPLICA_COUNT; i++) set_mode(world, table->replicas[i], i == 0);
    }
    run(world, 50 * MS);
}

// Of the queue, as it is mounted.
static void set_option(struct world *world, const char *name, const char *value)
{
    char path[128];
    snprintf(path, sizeof path, QUEUE "/@%s", name);
    operator_set(world, path, value);
    run(world, 5 * MS);
    operator_ask(world, META, "remount_table", "{path=\"" QUEUE "\"}");
    run(world, 5 * MS);
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

static bool has_first_all(struct world *world)
{
    return has_all(world, 1);
}

static bool have_all(struct world *world)
{
    return has_all(world, 1) && has_all(world, 2);
}

// Ways to die, of which others hear sooner or later.
static void hurt(struct world *world, uint32_t node)
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
        run(world, rng_below(&world->rng, MS));
        if (i == 2) operator_ask(world, META, "freeze_table", "{path=\"" QUEUE "\"}");
    }
    if (!run_until(world, is_frozen, 10 * SECOND))
        world_fail(world, "frozen-is-delivered: the table does not freeze");
    if (!run_until(world, have_all, 10 * SECOND))
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
        run(world, rng_below(&world->rng, 2 * MS));
        set_mode(world, replica, replica->mode != REPLICA_MODE_SYNC);
        run(world, rng_below(&world->rng, 2 * MS));
    }
    run(world, SECOND);
    if (!run_until(world, have_all, 2 * SECOND))
        world_fail(world, "mode-switch-safe: a replica whose mode was changed does not go on");
}

// -------------------------------------------------------------------------------------------------
// isolation

// A replica that is not synchronous is dead, deaf, far away or refuses its rows: others do not
// notice.
static void isolate(struct world *world)
{
    bool is_unmounted = rng_chance(&world->rng, 25);
    set_modes(world);
    if (is_unmounted) {
        for (size_t t = 0; t < TABLE_COUNT; t++)
            operator_ask(world, 2, "unmount_table", "{path=\"%s\"}", COPIES[t]);
    } else if (rng_chance(&world->rng, 30)) {
        world->faults.link_delay_us[2] = 300 * MS;
    } else {
        hurt(world, 2);
    }
    run(world, 5 * MS);
    commit(world, 30, 10 * MS, "isolation");
    if (!run_until(world, has_first_all, 200 * MS))
        world_fail(world, "isolation: another replica's trouble holds rows back");
}

// -------------------------------------------------------------------------------------------------
// throttle-bound

void drills_on_send(struct world *world, const struct message *message)
{
    struct drills *drills = world->drills;
    if (!drills || guid_is_null(drills->paced_id) || message->kind != MESSAGE_ROWS) return;
    if (!guid_equal(message->replica_id, drills->paced_id)) return;
    const struct schema *schema = world_table(world, META, QUEUE)->schema;
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        const struct message_tablet *part = &message->tablets[i];
        struct sending sending = {.at_us = world->now_us};
        for (uint32_t j = 0; j < part->record_count; j++)
            sending.weight += log_weight(schema, block_slice(part->records[j].rows));
        arr_add(drills->sendings[part->tablet_index], sending);
    }
}

// In each window no more than limit * (window + period) and one batch; over all, while there is
// something to be sent, hardly less than the limit.
static void check_pace(
    struct world *world, const struct sending *sendings, uint64_t limit, uint64_t period_us)
{
    uint64_t total = 0;
    for (size_t i = 0; i < arr_count(sendings); i++) {
        uint64_t sent = 0;
        total += sendings[i].weight;
        for (size_t j = i; j < arr_count(sendings); j++) {
            uint64_t window_us = sendings[j].at_us - sendings[i].at_us;
            // The last one is the batch that may be too much.
            if (sent <= limit * (window_us + period_us) / SECOND + 1) {
                sent += sendings[j].weight;
                continue;
            }
            world_fail(
                world,
                "throttle-bound: %" PRIu64 " bytes in %" PRIu64 " us, and then more, at %" PRIu64
                " a second",
                sent,
                window_us,
                limit);
            return;
        }
    }
    size_t count = arr_count(sendings);
    if (count == 0) return;
    uint64_t lasted_us = sendings[count - 1].at_us - sendings[0].at_us;
    uint64_t expected = limit * lasted_us / SECOND;
    if (total * 100 >= expected * 95) return;
    world_fail(
        world,
        "throttle-bound: only %" PRIu64 " bytes in %" PRIu64 " us at %" PRIu64 " a second",
        total,
        lasted_us,
        limit);
}

static void set_throttler(struct world *world, uint64_t limit, uint64_t period_us)
{
    char value[64];
    snprintf(value, sizeof value, "{limit=%" PRIu64 ";period=%" PRIu64 "}", limit, period_us / MS);
    set_option(world, "replication_throttler", value);
}

// A replica has much to catch up with.
static void throttle(struct world *world)
{
    struct drills *drills = world->drills;
    uint64_t limit = 1000 + rng_below(&world->rng, 4000);
    uint64_t period_us = (50 + rng_below(&world->rng, 200)) * MS;
    struct guid id = world_table(world, META, QUEUE)->replicas[1]->object->id;
    set_modes(world);
    operator_ask(
        world, META, "alter_table_replica", "{replica_id=\"%s\";enabled=%%false}", GUID_TEXT(id));
    run(world, 10 * MS);
    commit(world, 60, 0, "throttle-bound");
    set_throttler(world, limit, period_us);
    drills->paced_id = id;
    operator_ask(
        world, META, "alter_table_replica", "{replica_id=\"%s\";enabled=%%true}", GUID_TEXT(id));
    if (!run_until(world, have_all, 60 * SECOND))
        world_fail(world, "throttle-bound: a replica that is paced does not catch up");
    drills->paced_id = GUID_NULL;
    for (size_t i = 0; i < TABLET_COUNT_MAX_OF_LOG; i++)
        check_pace(world, drills->sendings[i], limit, period_us);
    set_throttler(world, 0, SECOND);
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
    hurt(world, node_of(victim));
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
        run(world, 30 * MS);
    }
}

// -------------------------------------------------------------------------------------------------
// no-silent-gap

static struct session *late_session(struct world *world)
{
    const struct table *table = world_table(world, META, QUEUE);
    bool is_there = arr_count(table->replicas) > REPLICA_COUNT;
    return is_there ? table->replicas[REPLICA_COUNT]->session : NULL;
}

static bool is_late_refused(struct world *world)
{
    const struct session *session = late_session(world);
    return session && session->error && error_attribute(session->error, "lowest_timestamp");
}

static bool is_late_complete(struct world *world)
{
    const struct session *session = late_session(world);
    if (!session || session->state != SESSION_OPEN) return false;
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        const struct queue *queue = session->replica->table->tablets[i].queue;
        if (!position_equal(session->tablets[i].progress, queue->end)) return false;
    }
    return true;
}

static void add_late(struct world *world, uint64_t start_timestamp)
{
    operator_ask(
        world,
        META,
        "create",
        "{type=table_replica;attributes={table_path=\"" QUEUE "\";cluster_name=first;"
        "replica_path=\"" LATE "\";mode=async;enabled=%%true;"
        "enable_replicated_table_tracker=%%false;start_replication_timestamp=%" PRIu64 "}}",
        start_timestamp);
    run(world, 20 * MS);
    const struct session *session = late_session(world);
    if (!session) return;
    operator_ask(
        world,
        1,
        "create",
        "{type=table;path=\"" LATE "\";attributes={dynamic=%%true;upstream_replica_id=\"%s\";"
        "" SORTED_SCHEMA "}}",
        GUID_TEXT(session->replica->object->id));
    run(world, 5 * MS);
    operator_ask(world, 1, "mount_table", "{path=\"" LATE "\"}");
}

static void remove_late(struct world *world)
{
    const struct session *session = late_session(world);
    if (!session) return;
    operator_ask(world, META, "remove", "{path=\"#%s\"}", GUID_TEXT(session->replica->object->id));
    operator_ask(world, 1, "remove", "{path=\"" LATE "\";force=%%true}");
    run(world, 50 * MS);
}

// A new replica that would need what the log has trimmed is refused, and told from where it could
// begin; from there it gets everything.
static void begin_late(struct world *world)
{
    const struct table *table = world_table(world, META, QUEUE);
    uint64_t trimmed = 0;
    for (uint32_t i = 0; i < table->tablet_count; i++)
        trimmed = MAX(trimmed, table->tablets[i].queue->trimmed.timestamp);
    if (trimmed == 0) return;
    add_late(world, trimmed - 1);
    struct version *rows = NULL; // stb array.
    bool is_refused = run_until(world, is_late_refused, 5 * SECOND);
    commit(world, 3, 0, "no-silent-gap");
    run(world, 100 * MS);
    contents_versions(world, 1, LATE, &rows);
    if (!is_refused || arr_count(rows) > 0)
        world_fail(world, "no-silent-gap: a replica begins without what is trimmed");
    arr_free(rows);
    remove_late(world);
    for (uint32_t i = 0; i < table->tablet_count; i++)
        trimmed = MAX(trimmed, table->tablets[i].queue->trimmed.timestamp);
    add_late(world, trimmed);
    commit(world, 3, 0, "no-silent-gap");
    if (!run_until(world, is_late_complete, 5 * SECOND))
        world_fail(world, "no-silent-gap: a replica does not begin behind what is trimmed");
    remove_late(world);
}

// -------------------------------------------------------------------------------------------------

typedef void drill(struct world *world);

void drills_play(struct world *world)
{
    static drill *const TRACKED[] = {fail_over, fail_over, freeze, begin_late};
    static drill *const UNTRACKED[] = {switch_modes, isolate, throttle, freeze, begin_late};
    if (world->failure[0] != 0 || !rng_chance(&world->rng, 20)) return;
    drill *chosen = tracker_checks_are_on(world) ? TRACKED[rng_below(&world->rng, 4)]
                                                 : UNTRACKED[rng_below(&world->rng, 5)];
    if (chosen == fail_over && !tracker_checks_may_demote(world)) return;
    chosen(world);
    faults_end(world);
    for (uint32_t i = 1; i < world->node_count; i++) {
        uint64_t busy_until_us = world->hosts[i].busy_until_us;
        if (busy_until_us > world->now_us) run(world, busy_until_us - world->now_us);
    }
    run(world, 200 * MS);
    operator_heal(world);
}

// -------------------------------------------------------------------------------------------------
// went-back-detected

// What a replica had durably decided in one tablet of the queue.
static struct position decided_at(struct world *world, uint32_t node, uint32_t tablet_index)
{
    const struct table *table = world_table(world, META, QUEUE);
    struct position tail = {0};
    struct position decided = {0};
    (void)state_checks_durable_position(
        world,
        node,
        table->replicas[node - 1]->object->id,
        table->tablets[tablet_index].id,
        &tail,
        &decided);
    return decided;
}

static void put_back(struct world *world, uint32_t node, struct store *image)
{
    struct host *host = &world->hosts[node];
    node_crash(world, node);
    store_close(host->store);
    host->store = image;
    node_start(world, node);
}

// A replica's table is removed, made anew, or its cluster's data are those of a while ago: this is
// shown as an error, and it gets no rows.
void drills_play_last(struct world *world)
{
    const struct table *table = world_table(world, META, QUEUE);
    if (world->failure[0] != 0 || !rng_chance(&world->rng, 10)) return;
    if (table->tablets[0].queue->end.row_index == 0) return;
    uint32_t node = 1 + (uint32_t)rng_below(&world->rng, REPLICA_COUNT);
    const struct session *session = table->replicas[node - 1]->session;
    uint64_t way = rng_below(&world->rng, 3);
    world_trace(world, "the replica on node %u is spoilt, way %" PRIu64, node, way);
    if (way < 2) {
        world->is_spoilt = true;
        operator_ask(world, node, "remove", "{path=\"" REPLICA "\"}");
    } else {
        set_option(world, "min_replication_log_ttl", "3600000"); // What it misses is there.
        struct store *image = memory_store_copy(world->hosts[node].store);
        struct position before = decided_at(world, node, 0);
        commit(world, 5, 0, "went-back-detected");
        bool is_ahead = run_until(world, have_all, 5 * SECOND) &&
                        decided_at(world, node, 0).row_index > before.row_index;
        world->is_spoilt = true;
        put_back(world, node, image);
        if (!is_ahead) return; // Nobody could tell.
    }
    if (way == 1) {
        run(world, 5 * MS);
        operator_ask(
            world,
            node,
            "create",
            "{type=table;path=\"" REPLICA
            "\";attributes={dynamic=%%true;upstream_replica_id=\"%s\";"
            "" SORTED_SCHEMA "}}",
            GUID_TEXT(session->replica->object->id));
        run(world, 5 * MS);
        operator_ask(world, node, "mount_table", "{path=\"" REPLICA "\"}");
    }
    run(world, 10 * MS);
    struct position before = decided_at(world, node, 0);
    commit(world, 5, 0, "went-back-detected");
    run(world, 5 * SECOND);
    const struct error *error = session->error;
    bool is_said = error && (way == 0 || strstr(error_message(error), "behind a position"));
    if (!is_said) {
        world_fail(
            world,
            "went-back-detected: the replica on node %u has lost its rows, and says: %s",
            node,
            error ? error_message(error) : "nothing");
    }
    if (!position_equal(decided_at(world, node, 0), before))
        world_fail(world, "went-back-detected: the replica on node %u goes on", node);
}
