#include "tests/sim/clients.h"

#include "model/key.h"
#include "model/rowset.h"
#include "model/yson.h"
#include "tests/sim/operator.h"
#include "tests/sim/state_checks.h"

#include <assert.h>
#include <inttypes.h>

static const uint64_t CLIENT_TIMEOUT_US = 2 * SECOND;
static const uint64_t ON_ITS_WAY_US = 250 * MS; // No request is longer on its way.

enum deed {
    DOES_COMMIT,
    DOES_LOOKUP,
    DOES_SNAPSHOT,
    DOES_STALE, // Reads a replica as it is.
    DOES_START,
    DOES_READ_FIRST,
    DOES_ASK,
    DOES_TRESPASS, // Writes to a replica table.
};

struct client {
    uint64_t token; // Of the operation under way; 0 if there is none.
    uint64_t invoke_us;
    uint64_t timeout_us;
    enum deed does;
    uint32_t node;      // That is asked.
    size_t transaction; // In the history.
    struct guid mutation_id;
    struct guid transaction_id; // Of a transaction begun.
    uint64_t start_timestamp;
    int64_t keys[4];
    size_t key_count;
    uint64_t timestamp;     // Of a snapshot read.
    bool is_settled;        // Of a read at a replica: it had nothing undecided then.
    bool is_thinking;       // It has read, and will write in the same transaction.
    bool is_retry;          // The commit was sent before.
    bool may_be_on_its_way; // What was sent before may come later than this.
    uint64_t revisions[2];  // Of modes of QUEUE and LIST, when the commit was sent; 0 if unknown.
    struct commit_try last;
};

struct clients {
    struct client clients[CLIENT_COUNT];
    struct history history;
    uint64_t next_token;
    uint64_t last_timestamp; // The newest acknowledged.
    bool are_done;
};

struct history *clients_history(const struct world *world)
{
    return &world->clients->history;
}

// -------------------------------------------------------------------------------------------------
// What they send

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

static struct past_transaction *past_of(const struct world *world, const struct client *client)
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

// C9: what was acknowledged is not on a synchronous replica that its user may not write.
static void check_writer(
    struct world *world, const struct client *client, const char *path, uint64_t revision)
{
    static const char *const CLUSTERS[] = {"", "first", "second"};
    const struct table *table = world_table(world, META, path);
    if (revision == 0 || table->mode_revision != revision || client->is_retry) return;
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        const struct replica *replica = table->replicas[i];
        struct slice cluster = buffer_slice(&replica->cluster_name);
        if (replica->mode != REPLICA_MODE_SYNC ||
            !slice_equal_text(cluster, CLUSTERS[world->strict]))
            continue;
        world_fail(
            world,
            "access-checked: %" PRId64 " is acknowledged, and its user may not write to %s",
            past_of(world, client)->value,
            CLUSTERS[world->strict]);
    }
}

static void send_commit(struct world *world, struct client *client)
{
    const struct past_transaction *past = past_of(world, client);
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

static void send_again(struct world *world, struct client *client)
{
    client->is_retry = true;
    send_commit(world, client);
}

static struct past_transaction *new_transaction(struct world *world, struct client *client)
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
    return past_of(world, client);
}

static void choose_keys(struct world *world, struct client *client, size_t count_max)
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

static void send_lookup(
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

// Which replicas could serve a snapshot now.
static void send_question(struct world *world, struct client *client)
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

// Only the meta-cluster writes to a replica table.
static void send_trespass(struct world *world, struct client *client)
{
    struct request *request = request_new(REQUEST_COMMIT);
    request->deadline_us = world->now_us + CLIENT_TIMEOUT_US;
    choose_keys(world, client, 2);
    struct slice rows =
        encode_rows(&request->arena, client->keys, client->key_count, TRESPASS_VALUE, false);
    add_modification(request, REPLICA, rows, false);
    uint32_t node = 1 + (uint32_t)rng_below(&world->rng, world->node_count - 1);
    begin_operation(world, client, DOES_TRESPASS);
    world_request(world, node, request, client->token);
}

static void send_start(struct world *world, struct client *client)
{
    begin_operation(world, client, DOES_START);
    world_request(world, META, request_new(REQUEST_START_TRANSACTION), client->token);
}

// -------------------------------------------------------------------------------------------------
// What they do

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
        new_transaction(world, client);
        send_commit(world, client);
        return;
    }
    client->transaction_id = GUID_NULL;
    client->start_timestamp = 0;
    if (choice < 43) {
        choose_keys(world, client, 4);
        new_transaction(world, client);
        send_commit(world, client);
    } else if (choice < 66) {
        choose_keys(world, client, 3);
        send_lookup(world, client, META, QUEUE, DOES_LOOKUP);
    } else if (choice < 71) {
        choose_keys(world, client, 4);
        uint32_t node = 1 + (uint32_t)rng_below(rng, world->node_count - 1);
        send_lookup(world, client, node, REPLICA, DOES_STALE);
    } else if (choice < 82 && has_past) {
        choose_keys(world, client, 4);
        client->timestamp = some_timestamp(world);
        uint32_t node = (uint32_t)rng_below(rng, world->node_count);
        send_lookup(world, client, node, node == META ? QUEUE : REPLICA, DOES_SNAPSHOT);
    } else if (choice < 86 && has_past) {
        send_question(world, client);
    } else if (choice < 88) {
        send_trespass(world, client);
    } else {
        send_start(world, client);
    }
}

// Goes away in the middle of a commit, or has it aborted, too late; and may come back.
static void leave(struct world *world, struct client *client)
{
    past_of(world, client)->was_left = true;
    world_trace(world, "the client of %" PRId64 " leaves", past_of(world, client)->value);
    if (!guid_is_null(client->transaction_id)) {
        struct request *request = request_new(REQUEST_ABORT_TRANSACTION);
        request->transaction_id = client->transaction_id;
        world_request(world, META, request, 0);
    }
    if (rng_chance(&world->rng, 50)) {
        send_again(world, client);
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
        send_again(world, client);
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

// -------------------------------------------------------------------------------------------------
// What they hear

// Whether an error says for certain that nothing was written.
static bool is_definite(const struct error *error)
{
    const char *outcome = error_attribute(error, "outcome");
    return !(outcome && strcmp(outcome, "unknown") == 0);
}

// timestamp-order: of what was acknowledged before this one began.
static void check_order(struct world *world, const struct past_transaction *past)
{
    const struct history *history = &world->clients->history;
    for (size_t i = 0; i < arr_count(history->transactions); i++) {
        const struct past_transaction *other = &history->transactions[i];
        if (other->outcome != OUTCOME_OK || other->return_us >= past->invoke_us) continue;
        if (other->timestamp < past->timestamp) continue;
        world_fail(
            world,
            "timestamp-order: %" PRId64 " was acknowledged before %" PRId64 " began",
            other->value,
            past->value);
    }
}

// retry-once: what was acknowledged is acknowledged again, as the same.
static void check_repetition(
    struct world *world, const struct past_transaction *past, const struct request *request)
{
    const struct error *error = request->error;
    if (error && !is_definite(error)) return;
    if (!error && request->commit_timestamp == past->timestamp) return;
    world_fail(
        world,
        "retry-once: %" PRId64 " of %" PRIu64 " is repeated at %" PRIu64 ": %s",
        past->value,
        past->timestamp,
        request->commit_timestamp,
        error ? error_message(error) : "committed");
}

static void on_acknowledged(
    struct world *world,
    struct client *client,
    struct past_transaction *past,
    const struct request *request)
{
    struct clients *clients = world->clients;
    past->outcome = OUTCOME_OK;
    past->timestamp = request->commit_timestamp;
    past->return_us = world->now_us;
    clients->last_timestamp = MAX(clients->last_timestamp, past->timestamp);
    world_trace(world, "%" PRId64 " is committed at %" PRIu64, past->value, past->timestamp);
    check_order(world, past);
    if (!clients->are_done && rng_chance(&world->rng, 5)) send_again(world, client);
}

static void on_committed(struct world *world, struct client *client, const struct request *request)
{
    struct past_transaction *past = past_of(world, client);
    client->last = (struct commit_try){
        .is_answered = true,
        .is_done = !request->error,
        .latency_us = world->now_us - client->invoke_us,
    };
    if (request->error) {
        snprintf(
            client->last.error, sizeof client->last.error, "%s", error_message(request->error));
        world_trace(world, "%" PRId64 " fails: %s", past->value, client->last.error);
    }
    if (past->outcome == OUTCOME_OK) {
        check_repetition(world, past, request);
    } else if (!request->error) {
        on_acknowledged(world, client, past, request);
    } else if (is_definite(request->error) && !client->may_be_on_its_way) {
        past->outcome = OUTCOME_FAILED;
        past->was_repeated = client->is_retry;
    }
}

static void on_rows(
    struct world *world, const struct client *client, const struct request *request, uint64_t token)
{
    if (request->error) return;
    enum read_kind kind = client->does == DOES_LOOKUP  ? READ_LATEST
                          : client->does == DOES_STALE ? READ_STALE
                                                       : READ_SNAPSHOT;
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct rowset rowset;
    struct error *error = rowset_decode(&arena, buffer_slice(&request->output), &rowset);
    if (error || rowset.row_count != client->key_count) {
        world_fail(world, "a lookup answers %u rows", error ? 0 : rowset.row_count);
        error_free(error);
        return;
    }
    for (size_t i = 0; i < client->key_count; i++) {
        const struct row *row = &rowset.rows[i];
        struct past_read read = {
            .key = client->keys[i],
            .invoke_us = client->invoke_us,
            .return_us = world->now_us,
            .kind = kind,
            .timestamp = kind == READ_SNAPSHOT ? client->timestamp : 0,
            .node = client->node,
            .token = token,
            .is_settled = client->is_settled,
        };
        if (row->kind != ROW_MISSING) read.value = row->values[1].int64;
        world_trace(
            world,
            "key %" PRId64 " is %" PRId64 " at %" PRIu64 ", asked at %" PRIu64 " us",
            read.key,
            read.value,
            read.timestamp,
            read.invoke_us);
        arr_add(world->clients->history.reads, read);
    }
}

static struct client *find_client(const struct world *world, uint64_t token)
{
    for (size_t i = 0; token != 0 && i < CLIENT_COUNT; i++) {
        struct client *client = &world->clients->clients[i];
        if (client->token == token) return client;
    }
    return NULL; // It does not wait any more.
}

void clients_on_answer(struct world *world, const struct request *request, uint64_t token)
{
    struct client *client = find_client(world, token);
    if (!client) return;
    client->token = 0;
    switch (client->does) {
    case DOES_COMMIT: on_committed(world, client, request); break;
    case DOES_ASK: break; // Checked when it was answered.
    case DOES_LOOKUP:
    case DOES_STALE:
    case DOES_SNAPSHOT: on_rows(world, client, request, token); break;
    case DOES_START:
        if (request->error) break;
        client->transaction_id = request->id;
        client->start_timestamp = request->commit_timestamp;
        choose_keys(world, client, 2);
        send_lookup(world, client, META, QUEUE, DOES_READ_FIRST);
        break;
    case DOES_READ_FIRST:
        client->timestamp = client->start_timestamp;
        on_rows(world, client, request, token);
        client->is_thinking = true;
        break;
    case DOES_TRESPASS:
        if (!request->error) world_fail(world, "fenced-by-upstream: a user wrote to a replica");
        break;
    }
}

void clients_on_reply(
    struct world *world, uint32_t node, const struct request *request, uint64_t token)
{
    if (node != META || request->error) return;
    const struct client *client = find_client(world, token);
    if (!client) return;
    if (client->does == DOES_ASK) state_checks_on_in_sync(world, request, client->timestamp);
    if (request->kind != REQUEST_COMMIT) return;
    const struct past_transaction *past = past_of(world, client);
    // A repetition is told what was decided when there was one.
    bool needs_sync = past->require_sync_replica && !client->is_retry;
    struct table *table = world_table(world, META, QUEUE);
    for (size_t i = 0; i < past->key_count; i++) {
        CLEANUP(buffer_releasep) struct buffer key = {0};
        struct value value = value_int64(0, past->keys[i]);
        key_encode_value(&value, &key);
        struct tablet *tablet = table_tablet_of_key(table, buffer_slice(&key));
        state_checks_on_commit(
            world, tablet, request->commit_timestamp, needs_sync, client->is_retry);
    }
    if (past->is_of_writer) check_writer(world, client, QUEUE, client->revisions[0]);
    if (!past->is_listed) return;
    if (past->is_of_writer) check_writer(world, client, LIST, client->revisions[1]);
    struct tablet *tablet = &world_table(world, META, LIST)->tablets[0];
    state_checks_on_commit(world, tablet, request->commit_timestamp, needs_sync, client->is_retry);
}

// A replica that has nothing undecided shows exactly its log up to there; otherwise a sorted table
// may show what was committed behind a gap.
void clients_on_read(struct world *world, uint32_t node, const struct request *request)
{
    struct client *client = find_client(world, world_token_of(request));
    if (client && client->does == DOES_STALE)
        client->is_settled = state_checks_on_stale_read(world, node);
}

// -------------------------------------------------------------------------------------------------

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
    struct past_transaction *past = new_transaction(world, client);
    past->require_sync_replica = require_sync_replica;
    client->timeout_us = timeout_us;
    send_commit(world, client);
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
