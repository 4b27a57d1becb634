#include "tests/sim/client_parts.h"

#include "tests/sim/operator.h"

#include <inttypes.h>

struct history *clients_history(const struct world *world)
{
    return &world->clients->history;
}

// The time of some transaction, most often of a young one.
static uint64_t some_timestamp(struct world *world)
{
    const struct clients *clients = world->clients;
    uint64_t before = rng_below(&world->rng, 3);
    size_t count = arr_count(clients->history.transactions);
    const struct past_transaction *past =
        &clients->history.transactions[rng_below(&world->rng, count)];
    bool is_old = rng_chance(&world->rng, 30) && past->timestamp > 0;
    return (is_old ? past->timestamp : clients->last_timestamp) - before;
}

static void act(struct world *world, struct client *client)
{
    struct rng *rng = &world->rng;
    uint64_t choice = rng_below(rng, 100);
    bool has_past = world->clients->last_timestamp > 0;
    if (client->is_thinking) {
        if (rng_chance(rng, 70)) return;
        client->is_thinking = false;
        client_new_transaction(world, client);
        client_send_commit(world, client);
        return;
    }
    client->transaction_id = GUID_NULL;
    client->start_timestamp = 0;
    if (choice < 43) {
        client_choose_keys(world, client, 4);
        client_new_transaction(world, client);
        client_send_commit(world, client);
    } else if (choice < 66) {
        client_choose_keys(world, client, 3);
        client_send_lookup(world, client, META, QUEUE, DOES_LOOKUP);
    } else if (choice < 71) {
        client_choose_keys(world, client, 4);
        uint32_t node = 1 + (uint32_t)rng_below(rng, world->node_count - 1);
        client_send_lookup(world, client, node, REPLICA, DOES_STALE);
    } else if (choice < 82 && has_past) {
        client_choose_keys(world, client, 4);
        client->timestamp = some_timestamp(world);
        uint32_t node = (uint32_t)rng_below(rng, world->node_count);
        client_send_lookup(world, client, node, node == META ? QUEUE : REPLICA, DOES_SNAPSHOT);
    } else if (choice < 86 && has_past) {
        client_send_question(world, client);
    } else if (choice < 88) {
        client_send_trespass(world, client);
    } else {
        client_send_start(world, client);
    }
}

// Goes away in the middle of a commit, or has it aborted, too late; and may come back.
static void leave(struct world *world, struct client *client)
{
    client_past(world, client)->was_left = true;
    world_trace(world, "the client of %" PRId64 " leaves", client_past(world, client)->value);
    if (!guid_is_null(client->transaction_id)) {
        struct request *request = request_new(REQUEST_ABORT_TRANSACTION);
        request->transaction_id = client->transaction_id;
        world_request(world, META, request, 0);
    }
    if (rng_chance(&world->rng, 50)) {
        client_send_again(world, client);
    } else {
        client->token = 0;
    }
}

// A client whose answer did not come within its time goes on; the outcome is unknown for ever,
// unless it asks again with the same mutation id.
void clients_act(struct world *world, uint64_t index)
{
    struct clients *clients = world->clients;
    struct client *client = &clients->clients[index];
    bool is_committing = client->token != 0 && client->does == DOES_COMMIT;
    bool is_late = client->token != 0 && world->now_us >= client->invoke_us + CLIENT_TIMEOUT_US;
    if (is_late && is_committing && rng_chance(&world->rng, 60)) {
        client_send_again(world, client);
    } else if (is_late) {
        client->token = 0;
    } else if (is_committing && !clients->are_done && rng_chance(&world->rng, 4)) {
        leave(world, client);
    }
    if (client->token == 0 && !clients->are_done) act(world, client);
    if (client->token == 0 && clients->are_done) return;
    world_plan(
        world,
        (struct event){
            .at_us = world->now_us + 1 * MS + rng_below(&world->rng, 60 * MS),
            .kind = EVENT_CLIENT,
            .client = index,
        });
}

void clients_commit(
    struct world *world, uint64_t index, uint64_t timeout_us, bool require_sync_replica)
{
    struct client *client = &world->clients->clients[index];
    client->transaction_id = GUID_NULL;
    client->start_timestamp = 0;
    client->last = (struct commit_try){0};
    client->key_count = 1 + rng_below(&world->rng, 4);
    for (size_t i = 0; i < client->key_count; i++)
        client->keys[i] = (int64_t)(index + i * CLIENT_COUNT); // No other client's.
    struct past_transaction *past = client_new_transaction(world, client);
    past->require_sync_replica = require_sync_replica;
    client->timeout_us = timeout_us;
    client_send_commit(world, client);
}

struct commit_try clients_look(const struct world *world, uint64_t index)
{
    return world->clients->clients[index].last;
}

void clients_begin(struct world *world)
{
    world->clients = must_alloc(calloc(1, sizeof *world->clients));
    world->clients->next_token = 1;
    for (uint64_t i = 0; i < CLIENT_COUNT; i++) {
        world_plan(
            world,
            (struct event){
                .at_us = world->now_us + rng_below(&world->rng, 20 * MS),
                .kind = EVENT_CLIENT,
                .client = i,
            });
    }
}

void clients_stop(struct world *world)
{
    world->clients->are_done = true;
}

void clients_release(struct world *world)
{
    if (!world->clients) return;
    history_release(&world->clients->history);
    free(TAKE(world->clients));
}
