// What clients make of the answers: what must hold of them, and what goes into the history.
#include "tests/sim/client_parts.h"

#include "model/key.h"
#include "tests/sim/operator.h"
#include "tests/sim/state_checks.h"

#include <inttypes.h>

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
            client_past(world, client)->value,
            CLUSTERS[world->strict]);
    }
}

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
    if (!clients->are_done && rng_chance(&world->rng, 5)) client_send_again(world, client);
}

static void on_committed(struct world *world, struct client *client, const struct request *request)
{
    struct past_transaction *past = client_past(world, client);
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
        client_choose_keys(world, client, 2);
        client_send_lookup(world, client, META, QUEUE, DOES_READ_FIRST);
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
    const struct past_transaction *past = client_past(world, client);
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
