#include "tests/sim/pacing.h"

#include "coordinator/core/log_weight.h"
#include "tests/sim/drill_tools.h"
#include "tests/sim/operator.h"

#include <inttypes.h>

enum { TABLET_COUNT = 2 }; // Of the queue.

struct sending {
    uint64_t at_us;
    uint64_t weight;
};

struct pacing {
    struct guid paced_id;                   // Null while nobody is looked at.
    struct sending *sendings[TABLET_COUNT]; // stb arrays.
};

void pacing_begin(struct world *world)
{
    world->pacing = must_alloc(calloc(1, sizeof *world->pacing));
}

void pacing_release(struct world *world)
{
    if (!world->pacing) return;
    for (size_t i = 0; i < TABLET_COUNT; i++) arr_free(world->pacing->sendings[i]);
    free(TAKE(world->pacing));
}

void pacing_on_send(struct world *world, const struct message *message)
{
    struct pacing *pacing = world->pacing;
    if (!pacing || guid_is_null(pacing->paced_id) || message->kind != MESSAGE_ROWS) return;
    if (!guid_equal(message->replica_id, pacing->paced_id)) return;
    const struct schema *schema = world_table(world, META, QUEUE)->schema;
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        const struct message_tablet *part = &message->tablets[i];
        struct sending sending = {.at_us = world->now_us};
        for (uint32_t j = 0; j < part->record_count; j++)
            sending.weight += log_weight(schema, block_slice(part->records[j].rows));
        arr_add(pacing->sendings[part->tablet_index], sending);
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
    drill_set_option(world, "replication_throttler", value);
}

// A replica has much to catch up with.
void pacing_drill(struct world *world)
{
    struct pacing *pacing = world->pacing;
    uint64_t limit = 1000 + rng_below(&world->rng, 4000);
    uint64_t period_us = (50 + rng_below(&world->rng, 200)) * MS;
    struct guid id = world_table(world, META, QUEUE)->replicas[1]->object->id;
    drill_set_modes(world, true);
    operator_ask(
        world, META, "alter_table_replica", "{replica_id=\"%s\";enabled=%%false}", GUID_TEXT(id));
    drill_run(world, 10 * MS);
    drill_commit(world, 60);
    set_throttler(world, limit, period_us);
    pacing->paced_id = id;
    operator_ask(
        world, META, "alter_table_replica", "{replica_id=\"%s\";enabled=%%true}", GUID_TEXT(id));
    if (!drill_run_until(world, drill_have_all, 60 * SECOND))
        world_fail(world, "throttle-bound: a replica that is paced does not catch up");
    pacing->paced_id = GUID_NULL;
    for (size_t i = 0; i < TABLET_COUNT; i++)
        check_pace(world, pacing->sendings[i], limit, period_us);
    set_throttler(world, 0, SECOND);
}
