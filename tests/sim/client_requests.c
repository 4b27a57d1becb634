// What clients send.
#include "tests/sim/client_parts.h"

#include "tests/sim/operator.h"

#include <assert.h>
#include <inttypes.h>

static const uint64_t ON_ITS_WAY_US = 250 * MS; // No request is longer on its way.

static void add_row(
    struct arena *arena, struct row *row, const int64_t *key, int64_t value, bool is_delete)
{
    uint32_t count = 0;
    row->kind = ROW_WRITE;
    row->values = ARENA_NEW(arena, struct value, 2);
    if (key) row->values[count++] = value_int64(0, *key);
    if (!is_delete) row->values[count++] = value_int64(key ? 1 : 0, value);
    row->value_count = count;
}

static struct slice encode_rows(
    struct arena *arena, const int64_t *keys, size_t key_count, int64_t value, bool is_delete)
{
    static const struct slice NAMES[] = {
        {.data = "k", .size = 1},
        {.data = "v", .size = 1},
    };
    struct slice names[2] = {NAMES[0], NAMES[1]};
    struct rowset rowset = {.names = names, .name_count = 2};
    if (!keys) rowset = (struct rowset){.names = &names[1], .name_count = 1};
    size_t count = keys ? key_count : 1;
    rowset.rows = ARENA_NEW(arena, struct row, count);
    for (size_t i = 0; i < count; i++) {
        add_row(arena, &rowset.rows[rowset.row_count++], keys ? &keys[i] : NULL, value, is_delete);
    }
    CLEANUP(buffer_releasep) struct buffer bytes = {0};
    rowset_encode(&rowset, &bytes);
    return arena_copy(arena, buffer_slice(&bytes));
}

static void add_modification(
    struct request *request, const char *path, struct slice rows, bool is_delete)
{
    if (!request->modifications) {
        request->modifications = ARENA_NEW(&request->arena, struct modification, 4);
    }
    request->modifications[request->modification_count++] = (struct modification){
        .path = slice_from_text(path),
        .rows = rows,
        .is_delete = is_delete,
        .require_sync_replica = true,
    };
}

static void begin_operation(struct world *world, struct client *client, enum deed deed)
{
    client->token = world->clients->next_token++;
    client->invoke_us = world->now_us;
    client->does = deed;
}

struct past_transaction *client_past(const struct world *world, const struct client *client)
{
    return &world->clients->history.transactions[client->transaction];
}

static void note_revisions(struct world *world, struct client *client)
{
    static const char *const PATHS[] = {QUEUE, LIST};
    for (size_t i = 0; i < 2; i++) {
        const struct table *table = world_table(world, META, PATHS[i]);
        client->revisions[i] = table ? table->mode_revision : 0;
    }
}

void client_send_commit(struct world *world, struct client *client)
{
    const struct past_transaction *past = client_past(world, client);
    struct request *request = request_new(REQUEST_COMMIT);
    request->deadline_us = world->now_us + client->timeout_us;
    request->mutation_id = client->mutation_id;
    request->transaction_id = client->transaction_id;
    struct slice rows =
        encode_rows(&request->arena, past->keys, past->key_count, past->value, past->is_delete);
    add_modification(request, QUEUE, rows, past->is_delete);
    struct modification *modification = &request->modifications[0];
    modification->require_sync_replica = past->require_sync_replica;
    if (past->is_local) {
        rows = encode_rows(&request->arena, past->keys, past->key_count, past->value, false);
        add_modification(request, LOCAL, rows, false);
    }
    if (past->is_listed) {
        rows = encode_rows(&request->arena, NULL, 0, past->value, false);
        add_modification(request, LIST, rows, false);
        request->modifications[request->modification_count - 1].require_sync_replica =
            past->require_sync_replica;
    }
    if (past->is_of_writer) request->user = SLICE_OF("writer");
    note_revisions(world, client);
    bool is_first = !client->is_retry;
    client->may_be_on_its_way = !is_first && world->now_us < client->invoke_us + ON_ITS_WAY_US;
    begin_operation(world, client, DOES_COMMIT);
    world_trace(
        world,
        "%s of %" PRId64 " is sent, of %zu keys from %" PRId64 " to %" PRId64,
        past->is_delete ? "delete" : "commit",
        past->value,
        past->key_count,
        past->keys[0],
        past->keys[past->key_count - 1]);
    world_request(world, META, request, client->token);
}

void client_send_again(struct world *world, struct client *client)
{
    client->is_retry = true;
    client_send_commit(world, client);
}

struct past_transaction *client_new_transaction(struct world *world, struct client *client)
{
    struct rng *rng = &world->rng;
    struct past_transaction past = {
        .value = (int64_t)arr_count(world->clients->history.transactions) + 1,
        .invoke_us = world->now_us,
        .key_count = client->key_count,
        .is_delete = rng_chance(rng, 10),
        .is_local = rng_chance(rng, 30),
        .is_listed = rng_chance(rng, 40),
        .require_sync_replica = !rng_chance(rng, 20),
        .start_timestamp = client->start_timestamp,
    };
    if (past.is_delete) past.is_local = false;
    past.is_of_writer = world->strict > 0 && !world->is_healing && past.value % 3 == 0;
    memcpy(past.keys, client->keys, sizeof past.keys);
    client->transaction = arr_count(world->clients->history.transactions);
    arr_add(world->clients->history.transactions, past);
    client->mutation_id = (struct guid){.high = (uint64_t)past.value, .low = world->seed + 1};
    if (!guid_is_null(client->transaction_id)) client->mutation_id = GUID_NULL;
    client->is_retry = false;
    client->timeout_us = CLIENT_TIMEOUT_US / 4; // So that it hears of an abort.
    return client_past(world, client);
}

void client_choose_keys(struct world *world, struct client *client, size_t count_max)
{
    client->key_count = 1 + rng_below(&world->rng, count_max);
    for (size_t i = 0; i < client->key_count; i++) {
        bool is_taken = true;
        while (is_taken) {
            client->keys[i] = (int64_t)rng_below(&world->rng, KEY_COUNT);
            is_taken = false;
            for (size_t j = 0; j < i; j++) is_taken |= client->keys[j] == client->keys[i];
        }
    }
}

void client_send_lookup(
    struct world *world, struct client *client, uint32_t node, const char *path, enum deed deed)
{
    struct request *request = request_new(REQUEST_LOOKUP);
    request->deadline_us = world->now_us + CLIENT_TIMEOUT_US;
    request->path = slice_from_text(path);
    request->keep_missing_rows = true;
    request->rows = encode_rows(&request->arena, client->keys, client->key_count, 0, true);
    if (deed == DOES_SNAPSHOT) request->timestamp = client->timestamp;
    if (deed == DOES_STALE) request->timestamp = TIMESTAMP_ASYNC_LAST_COMMITTED;
    if (deed == DOES_READ_FIRST) request->transaction_id = client->transaction_id;
    client->node = node;
    client->is_settled = false;
    begin_operation(world, client, deed);
    world_request(world, node, request, client->token);
}

void client_send_question(struct world *world, struct client *client)
{
    struct request *request = request_new(REQUEST_COMMAND);
    client->timestamp = world->clients->last_timestamp - rng_below(&world->rng, 3);
    request->command = SLICE_OF("get_in_sync_replicas");
    char *text = arena_print(
        &request->arena,
        "{path=\"" QUEUE "\";timestamp=%" PRIu64 ";all_keys=%%true}",
        client->timestamp);
    struct error *error = yson_parse(&request->arena, slice_from_text(text), &request->parameters);
    assert(!error);
    error_free(error);
    begin_operation(world, client, DOES_ASK);
    world_request(world, META, request, client->token);
}

void client_send_trespass(struct world *world, struct client *client)
{
    struct request *request = request_new(REQUEST_COMMIT);
    request->deadline_us = world->now_us + CLIENT_TIMEOUT_US;
    client_choose_keys(world, client, 2);
    struct slice rows =
        encode_rows(&request->arena, client->keys, client->key_count, TRESPASS_VALUE, false);
    add_modification(request, REPLICA, rows, false);
    uint32_t node = 1 + (uint32_t)rng_below(&world->rng, world->node_count - 1);
    begin_operation(world, client, DOES_TRESPASS);
    world_request(world, node, request, client->token);
}

void client_send_start(struct world *world, struct client *client)
{
    begin_operation(world, client, DOES_START);
    world_request(world, META, request_new(REQUEST_START_TRANSACTION), client->token);
}
