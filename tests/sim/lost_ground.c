#include "tests/sim/lost_ground.h"

#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "tests/sim/contents.h"
#include "tests/sim/drill_tools.h"
#include "tests/sim/operator.h"
#include "tests/sim/state_checks.h"

#include <inttypes.h>

enum { REPLICA_COUNT = 2 };

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
    drill_run(world, 20 * MS);
    const struct session *session = late_session(world);
    if (!session) return;
    operator_ask(
        world,
        1,
        "create",
        "{type=table;path=\"" LATE "\";attributes={dynamic=%%true;upstream_replica_id=\"%s\";"
        "" SORTED_SCHEMA "}}",
        GUID_TEXT(session->replica->object->id));
    drill_run(world, 5 * MS);
    operator_ask(world, 1, "mount_table", "{path=\"" LATE "\"}");
}

static void remove_late(struct world *world)
{
    const struct session *session = late_session(world);
    if (!session) return;
    operator_ask(world, META, "remove", "{path=\"#%s\"}", GUID_TEXT(session->replica->object->id));
    operator_ask(world, 1, "remove", "{path=\"" LATE "\";force=%%true}");
    drill_run(world, 50 * MS);
}

// A new replica that would need what the log has trimmed is refused, and told from where it could
// begin; from there it gets everything.
void lost_ground_begin_late(struct world *world)
{
    const struct table *table = world_table(world, META, QUEUE);
    uint64_t trimmed = 0;
    for (uint32_t i = 0; i < table->tablet_count; i++)
        trimmed = MAX(trimmed, table->tablets[i].queue->trimmed.timestamp);
    if (trimmed == 0) return;
    add_late(world, trimmed - 1);
    struct version *rows = NULL; // stb array.
    bool is_refused = drill_run_until(world, is_late_refused, 5 * SECOND);
    drill_commit(world, 3);
    drill_run(world, 100 * MS);
    contents_versions(world, 1, LATE, &rows);
    if (!is_refused || arr_count(rows) > 0)
        world_fail(world, "no-silent-gap: a replica begins without what is trimmed");
    arr_free(rows);
    remove_late(world);
    for (uint32_t i = 0; i < table->tablet_count; i++)
        trimmed = MAX(trimmed, table->tablets[i].queue->trimmed.timestamp);
    add_late(world, trimmed);
    drill_commit(world, 3);
    if (!drill_run_until(world, is_late_complete, 5 * SECOND))
        world_fail(world, "no-silent-gap: a replica does not begin behind what is trimmed");
    remove_late(world);
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
void lost_ground_spoil(struct world *world)
{
    const struct table *table = world_table(world, META, QUEUE);
    if (table->tablets[0].queue->end.row_index == 0) return;
    uint32_t node = 1 + (uint32_t)rng_below(&world->rng, REPLICA_COUNT);
    const struct session *session = table->replicas[node - 1]->session;
    uint64_t way = rng_below(&world->rng, 3);
    world_trace(world, "the replica on node %u is spoilt, way %" PRIu64, node, way);
    if (way < 2) {
        world->is_spoilt = true;
        operator_ask(world, node, "remove", "{path=\"" REPLICA "\"}");
    } else {
        drill_set_option(world, "min_replication_log_ttl", "3600000"); // What it misses is there.
        struct store *image = memory_store_copy(world->hosts[node].store);
        struct position before = decided_at(world, node, 0);
        drill_commit(world, 5);
        bool is_ahead = drill_run_until(world, drill_have_all, 5 * SECOND) &&
                        decided_at(world, node, 0).row_index > before.row_index;
        world->is_spoilt = true;
        put_back(world, node, image);
        if (!is_ahead) return; // Nobody could tell.
    }
    if (way == 1) {
        drill_run(world, 5 * MS);
        operator_ask(
            world,
            node,
            "create",
            "{type=table;path=\"" REPLICA
            "\";attributes={dynamic=%%true;upstream_replica_id=\"%s\";"
            "" SORTED_SCHEMA "}}",
            GUID_TEXT(session->replica->object->id));
        drill_run(world, 5 * MS);
        operator_ask(world, node, "mount_table", "{path=\"" REPLICA "\"}");
    }
    drill_run(world, 10 * MS);
    struct position before = decided_at(world, node, 0);
    drill_commit(world, 5);
    drill_run(world, 5 * SECOND);
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
