#include "tests/sim/checks.h"

#include "cluster/core/layout.h"
#include "cluster/core/versions.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "model/key.h"
#include "model/rowset.h"
#include "tests/sim/history.h"
#include "tests/sim/operator.h"
#include "tests/sim/state_checks.h"
#include "tests/sim/tracker_checks.h"

#include <assert.h>
#include <inttypes.h>

enum { CLIENT_COUNT = 5, KEY_COUNT = 24, REPLICA_COUNT = 2, TABLE_COUNT = 2 };

static const uint64_t CLIENT_TIMEOUT_US = 2 * SECOND;
static const uint64_t RUN_US = 6 * SECOND;
static const uint64_t HEAL_US = 30 * SECOND;

struct client {
    uint64_t token; // Of the operation under way; 0 if there is none.
    uint64_t invoke_us;
    enum { DOES_COMMIT, DOES_LOOKUP, DOES_SNAPSHOT, DOES_START, DOES_READ_FIRST, DOES_ASK } does;
    size_t transaction; // In the history.
    struct guid mutation_id;
    struct guid transaction_id; // Of a transaction begun.
    uint64_t start_timestamp;
    uint64_t started_us;
    int64_t keys[4];
    size_t key_count;
    uint64_t timestamp; // Of a snapshot read.
    bool is_thinking;   // It has read, and will write in the same transaction.
    bool is_retry;      // The commit was sent before; its outcome is not known.
};

struct checks {
    struct client clients[CLIENT_COUNT];
    struct history history;
    uint64_t next_token;
    uint64_t last_timestamp; // The newest acknowledged.
    bool are_clients_done;
};

// -------------------------------------------------------------------------------------------------
// Setting up

static struct guid create(struct world *world, uint32_t node, const char *format, ...)
{
    char parameters[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(parameters, sizeof parameters, format, args);
    va_end(args);
    struct request *request = world_command(world, node, "create", parameters, "");
    struct guid id = GUID_NULL;
    if (request && request->node) {
        struct error *error = guid_parse(request->node->string, &id);
        assert(!error);
    }
    request_free(request);
    return id;
}

static void command(struct world *world, uint32_t node, const char *name, const char *parameters)
{
    request_free(world_command(world, node, name, parameters, ""));
}

#define SORTED_SCHEMA "schema=[{name=k;type=int64;sort_order=ascending};{name=v;type=int64}]"
#define LIST_SCHEMA   "schema=[{name=v;type=int64}]"

static void create_replicas(
    struct world *world, size_t table, const char *path, const char *replica_path)
{
    static const char *const CLUSTERS[] = {"first", "second"};
    for (uint32_t i = 0; i < REPLICA_COUNT; i++) {
        struct guid id = create(
            world,
            META,
            "{type=table_replica;attributes={table_path=\"%s\";cluster_name=%s;replica_path=\"%s\";"
            "mode=%s;enabled=%%true}}",
            path,
            CLUSTERS[i],
            replica_path,
            i == 0 ? "sync" : "async");
        // The second cluster cuts its tablets elsewhere.
        const char *pivots = i == 1 && table == 0 ? "pivot_keys=[[];[5];[17]];" : "";
        create(
            world,
            i + 1,
            "{type=table;path=\"%s\";attributes={dynamic=%%true;upstream_replica_id=\"%s\";%s%s}}",
            replica_path,
            GUID_TEXT(id),
            pivots,
            table == 0 ? SORTED_SCHEMA : LIST_SCHEMA);
        char parameters[64];
        snprintf(parameters, sizeof parameters, "{path=\"%s\"}", replica_path);
        command(world, i + 1, "mount_table", parameters);
    }
}

static void plan(struct world *world, enum event_kind kind, uint64_t after_us, uint64_t client)
{
    world_plan(
        world, (struct event){.at_us = world->now_us + after_us, .kind = kind, .client = client});
}

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
    if (rng_chance(rng, 50)) faults->duplicate_percent = (uint32_t)rng_below(rng, 10);
    if (rng_chance(rng, 50)) faults->late_percent = (uint32_t)rng_below(rng, 50);
    if (rng_chance(rng, 50)) faults->lost_request_percent = (uint32_t)rng_below(rng, 10);
    if (rng_chance(rng, 60)) faults->admin_percent = (uint32_t)rng_below(rng, 100);
}

void checks_begin(struct world *world)
{
    struct checks *checks = must_alloc(calloc(1, sizeof *checks));
    world->checks = checks;
    checks->next_token = 1;
    state_checks_begin(world);
    for (uint32_t i = 0; i < world->node_count; i++) node_start(world, i);
    machine_set_peer(world->hosts[META].machine, SLICE_OF("first"), SLICE_OF("node1"));
    machine_set_peer(world->hosts[META].machine, SLICE_OF("second"), SLICE_OF("node2"));
    char tracking[256];
    tracker_checks_begin(world, tracking, sizeof tracking);
    // The log is trimmed as soon as may be, so that trimming meets everything else.
    create(
        world,
        META,
        "{type=replicated_table;path=\"" QUEUE "\";attributes={dynamic=%%true;" SORTED_SCHEMA
        ";pivot_keys=[[];[12]];min_replication_log_ttl=0;max_rows_per_replication_commit=%d%s}}",
        1 + (int)rng_below(&world->rng, 8),
        tracking);
    create(
        world,
        META,
        "{type=replicated_table;path=\"" LIST "\";attributes={dynamic=%%true;" LIST_SCHEMA
        ";min_replication_log_ttl=0%s}}",
        tracking);
    create(
        world,
        META,
        "{type=table;path=\"" LOCAL "\";attributes={dynamic=%%true;" SORTED_SCHEMA "}}");
    create_replicas(world, 0, QUEUE, REPLICA);
    create_replicas(world, 1, LIST, COPY);
    tracker_checks_set_up(world);
    command(world, META, "mount_table", "{path=\"" QUEUE "\"}");
    command(world, META, "mount_table", "{path=\"" LIST "\"}");
    command(world, META, "mount_table", "{path=\"" LOCAL "\"}");
    for (uint32_t i = 1; i < world->node_count; i++) {
        world_plan(world, (struct event){.at_us = world->now_us, .kind = EVENT_CONNECT, .node = i});
    }
    choose_faults(world);
    for (uint64_t i = 0; i < CLIENT_COUNT; i++) {
        plan(world, EVENT_CLIENT, rng_below(&world->rng, 20 * MS), i);
    }
    if (world->faults.nemesis_period_us > 0) {
        plan(world, EVENT_NEMESIS, rng_below(&world->rng, 500 * MS), 0);
        plan(world, EVENT_ADMIN, rng_below(&world->rng, SECOND), 0);
    }
    world_run(world, world->now_us + RUN_US);
}

// -------------------------------------------------------------------------------------------------
// Faults

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
    if (rng_chance(rng, world->faults.clock_percent)) {
        host->clock_offset_us = (int64_t)rng_below(rng, 40 * SECOND) - (int64_t)(20 * SECOND);
        world_trace(world, "clock of %u jumps", index);
    }
}

void nemesis_act(struct world *world, enum event_kind kind)
{
    if (world->is_healing) return;
    if (kind == EVENT_NEMESIS) {
        nemesis(world);
        plan(world, kind, 1 + rng_below(&world->rng, 2 * world->faults.nemesis_period_us), 0);
    } else {
        if (rng_chance(&world->rng, world->faults.admin_percent)) operator_act(world);
        plan(world, kind, 1 + rng_below(&world->rng, 300 * MS), 0);
    }
}

// -------------------------------------------------------------------------------------------------
// Clients

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

static void begin_operation(struct world *world, struct client *client)
{
    client->token = world->checks->next_token++;
    client->invoke_us = world->now_us;
}

static void send_commit(struct world *world, struct client *client)
{
    const struct past_transaction *past = &world->checks->history.transactions[client->transaction];
    struct request *request = request_new(REQUEST_COMMIT);
    request->deadline_us = world->now_us + CLIENT_TIMEOUT_US / 4; // So that it hears of an abort.
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
    begin_operation(world, client);
    client->does = DOES_COMMIT;
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

static void new_transaction(struct world *world, struct client *client)
{
    struct rng *rng = &world->rng;
    struct past_transaction past = {
        .value = (int64_t)arr_count(world->checks->history.transactions) + 1,
        .invoke_us = world->now_us,
        .key_count = client->key_count,
        .is_delete = rng_chance(rng, 10),
        .is_local = rng_chance(rng, 30),
        .is_listed = rng_chance(rng, 40),
        .require_sync_replica = !rng_chance(rng, 20),
        .start_timestamp = client->start_timestamp,
    };
    if (past.is_delete) past.is_local = false;
    memcpy(past.keys, client->keys, sizeof past.keys);
    client->transaction = arr_count(world->checks->history.transactions);
    arr_add(world->checks->history.transactions, past);
    client->mutation_id = (struct guid){.high = (uint64_t)past.value, .low = world->seed + 1};
    if (!guid_is_null(client->transaction_id)) client->mutation_id = GUID_NULL;
    client->is_retry = false;
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

static void send_lookup(struct world *world, struct client *client, uint32_t node, const char *path)
{
    struct request *request = request_new(REQUEST_LOOKUP);
    request->deadline_us = world->now_us + CLIENT_TIMEOUT_US;
    request->path = slice_from_text(path);
    request->keep_missing_rows = true;
    request->rows = encode_rows(&request->arena, client->keys, client->key_count, 0, true);
    if (client->does == DOES_SNAPSHOT) request->timestamp = client->timestamp;
    if (client->does == DOES_READ_FIRST) request->transaction_id = client->transaction_id;
    begin_operation(world, client);
    world_request(world, node, request, client->token);
}

// Which replicas could serve a snapshot now.
static void send_question(struct world *world, struct client *client)
{
    struct request *request = request_new(REQUEST_COMMAND);
    client->does = DOES_ASK;
    client->timestamp = world->checks->last_timestamp - rng_below(&world->rng, 3);
    request->command = SLICE_OF("get_in_sync_replicas");
    char *text = arena_print(
        &request->arena,
        "{path=\"" QUEUE "\";timestamp=%" PRIu64 ";all_keys=%%true}",
        client->timestamp);
    struct error *error = yson_parse(&request->arena, slice_from_text(text), &request->parameters);
    assert(!error);
    error_free(error);
    begin_operation(world, client);
    world_request(world, META, request, client->token);
}

static void act(struct world *world, struct client *client)
{
    struct rng *rng = &world->rng;
    uint64_t choice = rng_below(rng, 100);
    if (client->is_thinking) {
        if (rng_chance(rng, 70)) return;
        client->is_thinking = false;
        new_transaction(world, client);
        send_commit(world, client);
        return;
    }
    client->transaction_id = GUID_NULL;
    client->start_timestamp = 0;
    if (choice < 45) {
        choose_keys(world, client, 4);
        new_transaction(world, client);
        send_commit(world, client);
    } else if (choice < 70) {
        choose_keys(world, client, 3);
        client->does = DOES_LOOKUP;
        send_lookup(world, client, META, QUEUE);
    } else if (choice < 82 && world->checks->last_timestamp > 0) {
        choose_keys(world, client, 4);
        client->does = DOES_SNAPSHOT;
        client->timestamp = world->checks->last_timestamp - rng_below(rng, 3);
        uint32_t node = (uint32_t)rng_below(rng, world->node_count);
        send_lookup(world, client, node, node == META ? QUEUE : REPLICA);
    } else if (choice < 87 && world->checks->last_timestamp > 0) {
        send_question(world, client);
    } else {
        struct request *request = request_new(REQUEST_START_TRANSACTION);
        client->does = DOES_START;
        begin_operation(world, client);
        world_request(world, META, request, client->token);
    }
}

// A client whose answer did not come within its time goes on; the outcome is unknown for ever,
// unless it asks again with the same mutation id.
void checks_on_client(struct world *world, uint64_t index)
{
    struct checks *checks = world->checks;
    struct client *client = &checks->clients[index];
    bool is_late = client->token != 0 && world->now_us >= client->invoke_us + CLIENT_TIMEOUT_US;
    if (is_late && client->does == DOES_COMMIT && rng_chance(&world->rng, 60)) {
        client->is_retry = true;
        send_commit(world, client);
    } else if (is_late) {
        client->token = 0;
    }
    if (client->token == 0 && !checks->are_clients_done) act(world, client);
    if (client->token == 0 && checks->are_clients_done) return;
    plan(world, EVENT_CLIENT, 1 * MS + rng_below(&world->rng, 60 * MS), index);
}

// Whether an error says for certain that nothing was written.
static bool is_definite(const struct error *error)
{
    const char *outcome = error_attribute(error, "outcome");
    return !(outcome && strcmp(outcome, "unknown") == 0);
}

static void on_committed(struct world *world, struct client *client, const struct request *request)
{
    struct checks *checks = world->checks;
    struct past_transaction *past = &checks->history.transactions[client->transaction];
    if (!request->error) {
        past->outcome = OUTCOME_OK;
        past->timestamp = request->commit_timestamp;
        past->return_us = world->now_us;
        checks->last_timestamp = MAX(checks->last_timestamp, past->timestamp);
        world_trace(world, "%" PRId64 " is committed at %" PRIu64, past->value, past->timestamp);
        for (size_t i = 0; i < arr_count(checks->history.transactions); i++) {
            const struct past_transaction *other = &checks->history.transactions[i];
            if (other->outcome != OUTCOME_OK || other->return_us >= past->invoke_us) continue;
            if (other->timestamp >= past->timestamp) {
                world_fail(
                    world,
                    "timestamp-order: %" PRId64 " was acknowledged before %" PRId64 " began",
                    other->value,
                    past->value);
            }
        }
        return;
    }
    world_trace(world, "%" PRId64 " fails: %s", past->value, error_message(request->error));
    // A transaction that was begun is gone once its commit was tried: a repetition says only that.
    bool is_forgotten = client->is_retry && !guid_is_null(client->transaction_id) &&
                        error_find(request->error, ERROR_NO_SUCH_TRANSACTION);
    // A repetition that fails says nothing about the first try, which may still be on its way.
    if (is_definite(request->error) && !is_forgotten && !client->is_retry) {
        past->outcome = OUTCOME_FAILED;
    }
}

static void on_rows(struct world *world, struct client *client, const struct request *request)
{
    if (request->error) return;
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
            .is_snapshot = client->does != DOES_LOOKUP,
            .timestamp = client->timestamp,
        };
        if (row->kind != ROW_MISSING) read.value = row->values[1].int64;
        world_trace(
            world,
            "key %" PRId64 " is %" PRId64 " at %" PRIu64 ", asked at %" PRIu64 " us",
            read.key,
            read.value,
            read.is_snapshot ? read.timestamp : 0,
            read.invoke_us);
        arr_add(world->checks->history.reads, read);
    }
}

void checks_on_answer(struct world *world, const struct request *request, uint64_t token)
{
    if (token == 0) return;
    struct client *client = NULL;
    for (size_t i = 0; i < CLIENT_COUNT; i++) {
        if (world->checks->clients[i].token == token) client = &world->checks->clients[i];
    }
    if (!client) return; // It does not wait any more.
    client->token = 0;
    switch (client->does) {
    case DOES_COMMIT: on_committed(world, client, request); break;
    case DOES_ASK: break; // Checked when it was answered.
    case DOES_LOOKUP:
    case DOES_SNAPSHOT: on_rows(world, client, request); break;
    case DOES_START:
        if (request->error) break;
        client->transaction_id = request->id;
        client->start_timestamp = request->commit_timestamp;
        client->does = DOES_READ_FIRST;
        choose_keys(world, client, 2);
        send_lookup(world, client, META, QUEUE);
        break;
    case DOES_READ_FIRST:
        client->timestamp = client->start_timestamp;
        on_rows(world, client, request);
        client->is_thinking = true;
        break;
    }
}

// -------------------------------------------------------------------------------------------------
// While the world runs

void checks_on_reply(
    struct world *world, uint32_t node, const struct request *request, uint64_t token)
{
    if (node != META || token == 0 || request->error) return;
    struct checks *checks = world->checks;
    const struct client *client = NULL;
    for (size_t i = 0; i < CLIENT_COUNT; i++) {
        if (checks->clients[i].token == token) client = &checks->clients[i];
    }
    if (!client) return;
    if (client->does == DOES_ASK) state_checks_on_in_sync(world, request, client->timestamp);
    if (request->kind != REQUEST_COMMIT) return;
    const struct past_transaction *past = &checks->history.transactions[client->transaction];
    // A repetition is told what was decided when there was one.
    bool needs_sync = past->require_sync_replica && !client->is_retry;
    struct table *table = world_table(world, META, QUEUE);
    for (size_t i = 0; i < past->key_count; i++) {
        CLEANUP(buffer_releasep) struct buffer key = {0};
        struct value value = value_int64(0, past->keys[i]);
        key_encode_value(&value, &key);
        struct tablet *tablet = table_tablet_of_key(table, buffer_slice(&key));
        state_checks_on_commit(world, tablet, request->commit_timestamp, needs_sync);
    }
    if (!past->is_listed) return;
    struct tablet *tablet = &world_table(world, META, LIST)->tablets[0];
    state_checks_on_commit(world, tablet, request->commit_timestamp, needs_sync);
}

void checks_on_start(struct world *world, uint32_t node)
{
    (void)node;
    if (!world->checks) return;
}

void checks_on_turn(struct world *world, uint32_t node)
{
    if (node == META) tracker_checks_on_turn(world);
    if (world->checks) state_checks_on_turn(world, node);
}

// -------------------------------------------------------------------------------------------------
// In the end

// What a sorted replica table holds: every version of every row.
static void collect_versions(
    struct world *world, uint32_t node, const char *path, struct version **versions)
{
    struct table *table = world_table(world, node, path);
    if (!table) return;
    struct store *store = world->hosts[node].store;
    struct layout_key begin = layout_prefix(layout_ordered_row(table->number, 0), 4);
    struct layout_key end = layout_after(begin);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_iterator_new(store, NULL, STORE_DATA, layout_slice(&begin), layout_slice(&end));
    CLEANUP(store_iterator_freep)
    struct store_iterator *reader_iterator =
        store_iterator_new(store, NULL, STORE_DATA, layout_slice(&begin), layout_slice(&end));
    struct arena arena CLEANUP(arena_releasep) = {0};
    for (store_iterator_seek(iterator, layout_slice(&begin)); store_iterator_is_valid(iterator);
         store_iterator_next(iterator)) {
        struct slice key = store_iterator_key(iterator);
        struct reader tail = reader_from(slice_from(key.data + key.size - 8, 8));
        struct value values[2];
        size_t count = 0;
        struct slice encoded = slice_from(key.data + 4, key.size - 12);
        struct version version = {.timestamp = ~get_big64(&tail)};
        struct error *error = key_decode(&arena, encoded, 1, values, &count);
        version.key = values[0].int64;
        bool is_found = false;
        struct slice row_key = arena_copy(&arena, slice_from(key.data, key.size - 8));
        if (!error) {
            error = version_read(
                reader_iterator,
                &arena,
                table->schema,
                row_key,
                version.timestamp,
                values,
                &is_found);
        }
        if (error) world_fail(world, "a stored row cannot be read: %s", error_message(error));
        error_free(error);
        version.value = is_found ? values[1].int64 : 0;
        arr_add(*versions, version);
    }
}

static void collect_list(struct world *world, uint32_t node, struct version **items)
{
    struct table *table = world_table(world, node, COPY);
    if (!table) return;
    struct tablet *tablet = &table->tablets[0];
    struct layout_key begin = layout_ordered_row(tablet->number, 0);
    struct layout_key end = layout_ordered_row(tablet->number, UINT64_MAX);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = store_iterator_new(
        world->hosts[node].store, NULL, STORE_DATA, layout_slice(&begin), layout_slice(&end));
    int64_t row_index = 0;
    struct arena arena CLEANUP(arena_releasep) = {0};
    for (store_iterator_seek(iterator, layout_slice(&begin)); store_iterator_is_valid(iterator);
         store_iterator_next(iterator)) {
        struct reader key = reader_from(store_iterator_key(iterator));
        get_raw(&key, 4);
        struct version item = {.key = (int64_t)get_big64(&key)};
        if (item.key != row_index++)
            world_fail(world, "exactly-once: gap in the list at %" PRId64, item.key);
        struct value value;
        struct error *error = ordered_decode(
            &arena, table->schema, store_iterator_value(iterator), &item.timestamp, &value);
        error_free(error);
        item.value = value.int64;
        arr_add(*items, item);
    }
}

// Whether everything has arrived everywhere.
static bool has_converged(struct world *world)
{
    struct machine *machine = world->hosts[META].machine;
    if (!machine || machine->coordinator.commits || world_table(world, META, OTHER)) return false;
    static const char *const PATHS[] = {QUEUE, LIST};
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        const struct table *table = world_table(world, META, PATHS[t]);
        for (size_t i = 0; i < arr_count(table->replicas); i++) {
            const struct session *session = table->replicas[i]->session;
            if (session->state != SESSION_OPEN || session->error) return false;
            for (uint32_t j = 0; j < table->tablet_count; j++) {
                const struct queue *queue = table->tablets[j].queue;
                if (!position_equal(session->tablets[j].feeder.decided, queue->end)) return false;
                if (queue->end.row_index != queue->trimmed.row_index) return false; // trims
            }
        }
    }
    return true;
}

static void heal(struct world *world)
{
    struct checks *checks = world->checks;
    world->is_healing = true;
    world->faults = (struct faults){.delay_us_max = 300};
    for (uint32_t i = 0; i < world->node_count; i++) {
        world->hosts[i].clock_offset_us = (int64_t)(20 * SECOND); // Past what any clock has shown.
        world_plan(world, (struct event){.at_us = world->now_us, .kind = EVENT_RESTART, .node = i});
        if (i == META) continue;
        connection_cut(world, i);
        world_plan(
            world, (struct event){.at_us = world->now_us + MS, .kind = EVENT_CONNECT, .node = i});
    }
    checks->are_clients_done = true;
    world_run(world, world->now_us + 3 * SECOND); // Restarts, pauses end, requests time out.
    operator_heal(world);
}

void checks_finish(struct world *world)
{
    struct checks *checks = world->checks;
    if (world->failure[0] != 0) return;
    world_trace(world, "healing");
    heal(world);
    uint64_t deadline_us = world->now_us + HEAL_US;
    for (int round = 0; world->failure[0] == 0 && !has_converged(world); round++) {
        if (round % 100 == 99) operator_heal(world); // What was under way may have been in its way.
        if (world->now_us >= deadline_us) {
            world_fail(world, "drains: replicas have not caught up after the faults are over");
            return;
        }
        world_run(world, world->now_us + 50 * MS);
    }
    if (world->failure[0] != 0) return;
    world_run(world, world->now_us + 100 * MS);
    state_checks_finish(world);
    tracker_checks_finish(world);

    struct history *history = &checks->history;
    collect_versions(world, 1, REPLICA, &history->versions[0]);
    collect_versions(world, 2, REPLICA, &history->versions[1]);
    collect_list(world, 1, &history->lists[0]);
    collect_list(world, 2, &history->lists[1]);
    collect_versions(world, META, LOCAL, &history->local);
    history_check(world, history);
}

void checks_release(struct world *world)
{
    if (!world->checks) return;
    tracker_checks_release(world);
    state_checks_release(world);
    history_release(&world->checks->history);
    free(TAKE(world->checks));
}
