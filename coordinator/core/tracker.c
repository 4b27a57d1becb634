#include "coordinator/core/tracker.h"

#include "cluster/core/layout.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "coordinator/core/tracker_plan.h"
#include "model/yson.h"

#include <inttypes.h>

// Lag and thresholds are looked at this often; what happens is looked at when it happens, but not
// more often than the gap, since a look goes over all tables.
static const uint64_t LOOK_PERIOD_US = 250000;
static const uint64_t LOOK_GAP_US = 2000;

enum { PINGS_PER_SUSPICION = 5 };

static const struct tracker_config *config_of(const struct coordinator *coordinator)
{
    return &coordinator->cell->config.tracker;
}

static uint64_t suspicion_us(const struct coordinator *coordinator)
{
    return config_of(coordinator)->suspicion_ms * 1000;
}

bool tracker_is_banned(const struct coordinator *coordinator, struct slice cluster)
{
    const struct tracker_config *config = config_of(coordinator);
    return names_contain(config->banned, config->banned_count, cluster);
}

// -------------------------------------------------------------------------------------------------
// Clusters

void tracker_heard(struct coordinator *coordinator, uint64_t link, const struct message *message)
{
    for (struct peer *peer = coordinator->peers; peer; peer = peer->hh.next) {
        if (peer->link != link) continue;
        uint32_t flags = message->kind == MESSAGE_PONG ? message->cluster_flags : peer->flags;
        bool is_news = peer->is_suspect || flags != peer->flags;
        if (!(flags & CLUSTER_BUNDLE_FAILED)) peer->bundle_failure_count = 0;
        if (message->kind == MESSAGE_PONG && (flags & CLUSTER_BUNDLE_FAILED)) {
            peer->bundle_failure_count++;
            is_news = true;
        }
        peer->heard_at_us = coordinator->cell->now_us;
        peer->is_suspect = false;
        peer->flags = flags;
        if (is_news) coordinator->tracker.is_dirty = true;
        return;
    }
}

static void send_ping(const struct coordinator *coordinator, const struct peer *peer)
{
    struct message *ping = message_new(MESSAGE_PING);
    ping->epoch = coordinator->epoch;
    cell_send(coordinator->cell, 0, peer->link, ping);
}

static void watch_peers(struct coordinator *coordinator)
{
    uint64_t now_us = coordinator->cell->now_us;
    uint64_t limit_us = suspicion_us(coordinator);
    // If it was us who did nothing for a while, the others have had no chance to be heard.
    bool was_away = now_us > coordinator->tracker.ticked_at_us + limit_us / 2;
    for (struct peer *peer = coordinator->peers; peer; peer = peer->hh.next) {
        if (was_away) peer->heard_at_us = now_us;
        if (now_us >= peer->ping_at_us) {
            peer->ping_at_us = now_us + limit_us / PINGS_PER_SUSPICION;
            send_ping(coordinator, peer);
        }
        if (!peer->is_suspect && now_us >= peer->heard_at_us + limit_us) {
            peer->is_suspect = true;
            coordinator->tracker.is_dirty = true;
        }
    }
    coordinator->tracker.ticked_at_us = now_us;
}

// -------------------------------------------------------------------------------------------------
// Replicas

// The tracker's view of lag grows no faster than the clock: the first write after a long pause
// makes the lag jump by all of it, which says nothing about the replica (behaviour 10.3).
static void update_lag(const struct cell *cell, struct session *session)
{
    struct health *health = &session->health;
    uint64_t lag_ms = session_lag_ms(cell, session);
    if (health->lag_at_us != 0) {
        uint64_t elapsed_ms = (cell->now_us - health->lag_at_us + 999) / 1000;
        lag_ms = MIN(lag_ms, health->lag_ms + elapsed_ms);
    }
    health->lag_ms = lag_ms;
    health->lag_at_us = cell->now_us;
}

static enum health_cause find_cause(
    const struct coordinator *coordinator, const struct session *session)
{
    const struct health *health = &session->health;
    struct slice cluster = buffer_slice(&session->replica->cluster_name);
    uint64_t now_us = coordinator->cell->now_us;
    bool is_early = !health->was_open && now_us < health->seen_at_us + suspicion_us(coordinator);
    if (tracker_is_banned(coordinator, cluster)) return HEALTH_BANNED;
    if (is_early) return HEALTH_UNKNOWN;
    const struct peer *peer = coordinator_peer(coordinator, cluster);
    if (!peer) return HEALTH_UNREACHABLE;
    if (peer->is_suspect) return HEALTH_SILENT;
    if (peer->flags & CLUSTER_SAFE_MODE) return HEALTH_SAFE_MODE;
    if (peer->flags & CLUSTER_READ_ONLY) return HEALTH_READ_ONLY;
    if (peer->flags & CLUSTER_INCOMING_DISABLED) return HEALTH_INCOMING_DISABLED;
    uint64_t threshold_ms = session->replica->table->tracker_options.lag_threshold_ms;
    if (health->lag_ms > threshold_ms) return HEALTH_LAGGING;
    uint64_t failure_count_max = config_of(coordinator)->bundle_health_iteration_count_max;
    if (peer->bundle_failure_count > failure_count_max) return HEALTH_BUNDLE_FAILED;
    bool is_closed = health->closed_at_us != 0;
    if (is_closed && now_us >= health->closed_at_us + suspicion_us(coordinator))
        return HEALTH_NO_SESSION;
    return HEALTH_GOOD;
}

static void update_health(const struct coordinator *coordinator, struct session *session)
{
    struct health *health = &session->health;
    uint64_t now_us = coordinator->cell->now_us;
    if (session->replica->state != REPLICA_STATE_ENABLED) {
        *health = (struct health){.cause = HEALTH_UNKNOWN};
        return;
    }
    if (health->seen_at_us == 0) health->seen_at_us = MAX(now_us, UINT64_C(1));
    if (session->state == SESSION_OPEN) {
        health->was_open = true;
        health->closed_at_us = 0;
    } else if (health->closed_at_us == 0) {
        health->closed_at_us = MAX(now_us, UINT64_C(1));
    }
    update_lag(coordinator->cell, session);
    health->cause = find_cause(coordinator, session);
    if (health->cause != HEALTH_GOOD && health->cause != HEALTH_UNKNOWN) health->bad_at_us = now_us;
    if (health->cause != HEALTH_GOOD || health->bad_at_us == 0) return;
    uint64_t recovered_at_us = health->bad_at_us + config_of(coordinator)->recovery_ms * 1000;
    // A replica that is synchronous all the same is not sent away for what is over.
    bool is_sync = session->replica->mode == REPLICA_MODE_SYNC;
    if (now_us < recovered_at_us && !is_sync) health->cause = HEALTH_RECOVERING;
    if (now_us >= recovered_at_us) health->bad_at_us = 0;
}

// "Replica lag time threshold exceeded: 9 > 5": why it is bad, in the arena.
static const char *describe_health(
    struct arena *arena, const struct coordinator *coordinator, const struct session *session)
{
    const struct replica *replica = session->replica;
    struct slice cluster = buffer_slice(&replica->cluster_name);
    switch (session->health.cause) {
    case HEALTH_GOOD: return "good";
    case HEALTH_UNKNOWN:
        return replica->state == REPLICA_STATE_ENABLED ? "Not known yet" : "Replica is not enabled";
    case HEALTH_BANNED: return "Replica cluster is banned";
    case HEALTH_UNREACHABLE:
        return arena_print(arena, "Cluster \"%.*s\" cannot be reached", SLICE(cluster));
    case HEALTH_SILENT:
        return arena_print(
            arena,
            "Cluster \"%.*s\" has been silent for more than %" PRIu64 " ms",
            SLICE(cluster),
            config_of(coordinator)->suspicion_ms);
    case HEALTH_SAFE_MODE:
        return arena_print(arena, "Safe mode is enabled for cluster \"%.*s\"", SLICE(cluster));
    case HEALTH_READ_ONLY:
        return arena_print(
            arena, "Hydra read only mode is activated for cluster \"%.*s\"", SLICE(cluster));
    case HEALTH_INCOMING_DISABLED:
        return arena_print(
            arena, "Replica cluster \"%.*s\" incoming replication is disabled", SLICE(cluster));
    case HEALTH_NO_SESSION:
        return session->error ? arena_print(arena, "%s", error_message(session->error))
                              : "Replica table does not answer";
    case HEALTH_LAGGING:
        return arena_print(
            arena,
            "Replica lag time threshold exceeded: %" PRIu64 " > %" PRIu64,
            session->health.lag_ms,
            replica->table->tracker_options.lag_threshold_ms);
    case HEALTH_BUNDLE_FAILED: {
        const struct peer *peer = coordinator_peer(coordinator, cluster);
        return arena_print(
            arena,
            "Tablet cell bundle health check failed for %" PRIu64 " times in a row",
            peer ? peer->bundle_failure_count : 0);
    }
    case HEALTH_RECOVERING: return "Good again, but not for long enough";
    }
    return "unknown";
}

// -------------------------------------------------------------------------------------------------
// The history

struct error *tracker_init(struct coordinator *coordinator)
{
    struct cell *cell = coordinator->cell;
    struct layout_key last = layout_history(UINT64_MAX);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        layout_iterator_new(cell->store, STORE_META, layout_prefix(last, 1));
    coordinator->tracker.is_dirty = true;
    coordinator->tracker.ticked_at_us = cell->now_us;
    store_iterator_seek_for_prev(iterator, layout_slice(&last));
    if (!store_iterator_is_valid(iterator)) return store_iterator_error(iterator);
    struct slice key = store_iterator_key(iterator);
    struct reader reader = reader_from(slice_from(key.data + 1, key.size - 1));
    coordinator->tracker.next_sequence = get_big64(&reader) + 1;
    return reader_finish(&reader, "Key of the history");
}

static void save_history(
    struct coordinator *coordinator,
    struct arena *arena,
    const struct table *table,
    const char *actor,
    struct node *changes)
{
    struct cell *cell = coordinator->cell;
    struct node *entry = node_map(arena);
    node_set_text(arena, entry, "time", node_int64(arena, (int64_t)cell->wall_us));
    node_set_text(
        arena, entry, "table_path", node_string(arena, object_path(arena, table->object)));
    node_set_text(arena, entry, "table_id", node_guid(arena, table->object->id));
    node_set_text(arena, entry, "mode_revision", node_int64(arena, (int64_t)table->mode_revision));
    node_set_text(arena, entry, "actor", node_text(arena, actor));
    node_set_text(arena, entry, "changes", changes);
    CLEANUP(buffer_releasep) struct buffer text = {0};
    yson_print(entry, YSON_BINARY, &text);
    uint64_t sequence = coordinator->tracker.next_sequence++;
    struct layout_key key = layout_history(sequence);
    store_batch_put(&cell->batch, STORE_META, layout_slice(&key), buffer_slice(&text));
    if (sequence < TRACKER_HISTORY_COUNT_MAX) return;
    struct layout_key old = layout_history(sequence - TRACKER_HISTORY_COUNT_MAX);
    store_batch_remove(&cell->batch, STORE_META, layout_slice(&old));
}

static struct node *change_node(
    struct arena *arena,
    const struct coordinator *coordinator,
    const struct session *session,
    bool was_sync,
    bool is_sync,
    const char *reason)
{
    const struct replica *replica = session->replica;
    struct node *change = node_map(arena);
    node_set_text(arena, change, "replica_id", node_guid(arena, replica->object->id));
    node_set_text(
        arena, change, "cluster_name", node_string(arena, buffer_slice(&replica->cluster_name)));
    node_set_text(arena, change, "from", node_text(arena, was_sync ? "sync" : "async"));
    node_set_text(arena, change, "to", node_text(arena, is_sync ? "sync" : "async"));
    node_set_text(arena, change, "reason", node_text(arena, reason));
    const char *health = describe_health(arena, coordinator, session);
    node_set_text(arena, change, "health", node_text(arena, health));
    node_set_text(
        arena, change, "replication_lag_time", node_int64(arena, (int64_t)session->health.lag_ms));
    return change;
}

void tracker_record_change(
    struct coordinator *coordinator, const struct session *session, bool was_sync)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct node *changes = node_list(&arena);
    bool is_sync = session->replica->mode == REPLICA_MODE_SYNC;
    node_add(
        &arena, changes, change_node(&arena, coordinator, session, was_sync, is_sync, "by hand"));
    save_history(coordinator, &arena, session->replica->table, "user", changes);
}

struct error *tracker_history(
    const struct coordinator *coordinator,
    struct arena *arena,
    const struct table *table,
    uint64_t count,
    struct node **ret_list)
{
    struct layout_key last = layout_history(UINT64_MAX);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        layout_iterator_new(coordinator->cell->store, STORE_META, layout_prefix(last, 1));
    struct node *list = node_list(arena);
    for (store_iterator_seek_for_prev(iterator, layout_slice(&last));
         store_iterator_is_valid(iterator) && list->count < count;
         store_iterator_prev(iterator)) {
        struct node *entry = NULL;
        TRY(yson_parse(arena, store_iterator_value(iterator), &entry));
        struct guid table_id = GUID_NULL;
        TRY(node_get_guid(entry, "table_id", &table_id));
        if (table && !guid_equal(table_id, table->object->id)) continue;
        node_add(arena, list, entry);
    }
    *ret_list = list;
    return store_iterator_error(iterator);
}

// -------------------------------------------------------------------------------------------------
// Decisions

static bool is_tracked(const struct coordinator *coordinator, const struct table *table)
{
    return config_of(coordinator)->is_enabled && table->tracker_options.is_enabled;
}

// A table as the plan sees it: replicas[i] is what the plan's replica i describes.
struct planned_table {
    struct table *table;
    struct session **sessions;
    bool is_unknown; // About some replica it is too early to decide.
};

static bool is_preferred(const struct coordinator *coordinator, const struct replica *replica)
{
    const struct tracker_config *config = config_of(coordinator);
    const struct tracker_options *options = &replica->table->tracker_options;
    const struct collocation *collocation = replica->table->collocation;
    struct slice cluster = buffer_slice(&replica->cluster_name);
    if (config->preferred_count > 0)
        return names_contain(config->preferred, config->preferred_count, cluster);
    if (collocation && collocation->options.has_preferred) {
        const struct collocation_options *own = &collocation->options;
        return names_contain(own->preferred, own->preferred_count, cluster);
    }
    return names_contain(options->preferred, options->preferred_count, cluster);
}

static void describe_table(
    struct coordinator *coordinator,
    struct arena *arena,
    struct table *table,
    struct plan_table *plan,
    struct planned_table *planned)
{
    size_t count = arr_count(table->replicas);
    *planned = (struct planned_table){
        .table = table,
        .sessions = ARENA_NEW(arena, struct session *, count),
    };
    *plan = (struct plan_table){.replicas = ARENA_NEW(arena, struct plan_replica, count)};
    if (!is_tracked(coordinator, table)) return;
    for (size_t i = 0; i < count; i++) {
        struct replica *replica = table->replicas[i];
        struct session *session = replica->session;
        update_health(coordinator, session);
        if (!replica->is_tracked || replica->state != REPLICA_STATE_ENABLED) continue;
        if (session->health.cause == HEALTH_UNKNOWN) planned->is_unknown = true;
        bool is_sync = replica->mode == REPLICA_MODE_SYNC;
        // A session that is just being opened anew is no reason to demote, nor one to promote.
        bool is_ready = is_sync || session->state == SESSION_OPEN;
        planned->sessions[plan->replica_count] = session;
        plan->replicas[plan->replica_count++] = (struct plan_replica){
            .cluster = buffer_slice(&replica->cluster_name),
            .is_sync = is_sync,
            .is_good = session->health.cause == HEALTH_GOOD && is_ready,
            .lag_ms = session->health.lag_ms,
            .is_preferred = is_preferred(coordinator, replica),
        };
    }
    tracker_options_counts(
        &table->tracker_options, plan->replica_count, &plan->sync_count_min, &plan->sync_count_max);
}

// M1: one step with all that changes.
static void set_mode(struct coordinator *coordinator, struct replica *replica, bool is_sync)
{
    replica->mode = is_sync ? REPLICA_MODE_SYNC : REPLICA_MODE_ASYNC;
    object_save(&coordinator->cell->batch, replica->object);
}

static void finish_change(
    struct coordinator *coordinator,
    struct arena *arena,
    struct table *table,
    const char *actor,
    struct node *changes)
{
    table->mode_revision++;
    object_save(&coordinator->cell->batch, table->object);
    save_history(coordinator, arena, table, actor, changes);
    coordinator_table_changed(coordinator, table);
}

static void carry_out(
    struct coordinator *coordinator,
    struct arena *arena,
    const struct plan_table *plan,
    const struct planned_table *planned)
{
    struct node *changes = node_list(arena);
    for (size_t i = 0; i < plan->replica_count; i++) {
        const struct plan_replica *replica = &plan->replicas[i];
        if (replica->will_be_sync == replica->is_sync) continue;
        const char *reason = plan_reason_name(replica->reason);
        struct node *change = change_node(
            arena,
            coordinator,
            planned->sessions[i],
            replica->is_sync,
            replica->will_be_sync,
            reason);
        node_add(arena, changes, change);
        set_mode(coordinator, planned->sessions[i]->replica, replica->will_be_sync);
        planned->sessions[i]->counters.switch_count++;
    }
    if (changes->count > 0) finish_change(coordinator, arena, planned->table, "tracker", changes);
}

// Decides for the tables of a collocation, or for one table.
static void decide(
    struct coordinator *coordinator, struct arena *arena, struct table **tables, size_t count)
{
    struct plan_table *plans = ARENA_NEW(arena, struct plan_table, count);
    struct planned_table *planned = ARENA_NEW(arena, struct planned_table, count);
    bool is_unknown = false;
    for (size_t i = 0; i < count; i++) {
        describe_table(coordinator, arena, tables[i], &plans[i], &planned[i]);
        is_unknown |= planned[i].is_unknown;
    }
    if (is_unknown) return;
    plan_modes(plans, count);
    for (size_t i = 0; i < count; i++) carry_out(coordinator, arena, &plans[i], &planned[i]);
}

static void look_at_all(struct coordinator *coordinator)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    for (size_t i = 0; i < arr_count(coordinator->tables); i++) {
        struct table *table = coordinator->tables[i];
        struct collocation *collocation = table->collocation;
        if (!collocation) {
            if (is_tracked(coordinator, table)) decide(coordinator, &arena, &table, 1);
        } else if (collocation->tables[0] == table) {
            decide(coordinator, &arena, collocation->tables, arr_count(collocation->tables));
        }
        arena_reset(&arena);
    }
    cell_apply_urgent(coordinator->cell);
}

static uint64_t look_at_us(const struct coordinator *coordinator)
{
    const struct tracker *tracker = &coordinator->tracker;
    return tracker->looked_at_us + (tracker->is_dirty ? LOOK_GAP_US : LOOK_PERIOD_US);
}

void tracker_tick(struct coordinator *coordinator)
{
    struct tracker *tracker = &coordinator->tracker;
    uint64_t now_us = coordinator->cell->now_us;
    watch_peers(coordinator);
    if (coordinator->amnesia || arr_count(coordinator->tables) == 0) return;
    if (now_us < look_at_us(coordinator)) return;
    tracker->is_dirty = false;
    tracker->looked_at_us = now_us;
    look_at_all(coordinator);
}

uint64_t tracker_wake_at_us(const struct coordinator *coordinator)
{
    uint64_t wake_at_us = UINT64_MAX;
    uint64_t limit_us = suspicion_us(coordinator);
    for (const struct peer *peer = coordinator->peers; peer; peer = peer->hh.next) {
        wake_at_us = MIN(wake_at_us, peer->ping_at_us);
        if (!peer->is_suspect) wake_at_us = MIN(wake_at_us, peer->heard_at_us + limit_us);
    }
    if (arr_count(coordinator->tables) > 0) wake_at_us = MIN(wake_at_us, look_at_us(coordinator));
    return wake_at_us;
}

// -------------------------------------------------------------------------------------------------
// By hand

static struct replica *find_replica_on(const struct table *table, struct slice cluster)
{
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        if (slice_equal(buffer_slice(&table->replicas[i]->cluster_name), cluster))
            return table->replicas[i];
    }
    return NULL;
}

static struct error *check_fit(
    struct coordinator *coordinator, struct arena *arena, const struct replica *replica)
{
    struct session *session = replica->session;
    update_health(coordinator, session);
    enum health_cause cause = session->health.cause;
    bool is_fit = cause == HEALTH_GOOD || cause == HEALTH_RECOVERING;
    if (is_fit && replica->state == REPLICA_STATE_ENABLED && session->state == SESSION_OPEN)
        return NULL;
    struct error *error = error_new(
        ERROR_GENERIC,
        "Replica on cluster \"%.*s\" is not fit to be synchronous: %s",
        SLICE(buffer_slice(&replica->cluster_name)),
        describe_health(arena, coordinator, session));
    return error_set_str(error, "replica_id", GUID_TEXT(replica->object->id));
}

// Whether the tracker would leave the modes as the switchover makes them.
static struct error *check_stays(
    struct coordinator *coordinator,
    struct arena *arena,
    struct table *table,
    const struct replica *target)
{
    struct plan_table plan;
    struct planned_table planned;
    if (!is_tracked(coordinator, table) || table->collocation) return NULL;
    describe_table(coordinator, arena, table, &plan, &planned);
    for (size_t i = 0; i < plan.replica_count; i++) {
        plan.replicas[i].is_sync = planned.sessions[i]->replica == target;
        // Chosen by hand, it is good enough.
        if (plan.replicas[i].is_sync) plan.replicas[i].is_good = true;
    }
    plan_modes(&plan, 1);
    for (size_t i = 0; i < plan.replica_count; i++) {
        const struct plan_replica *replica = &plan.replicas[i];
        if (!replica->is_sync || replica->will_be_sync) continue;
        return error_new(
            ERROR_GENERIC,
            "The tracker would undo it (%s): change \"preferred_sync_replica_clusters\" or pause "
            "the tracker",
            plan_reason_name(replica->reason));
    }
    return NULL;
}

struct error *tracker_switch_over(
    struct coordinator *coordinator,
    struct table *table,
    struct slice cluster,
    bool is_dry_run,
    struct arena *arena,
    struct node **ret_changes)
{
    struct replica *target = find_replica_on(table, cluster);
    if (!target) {
        return error_new(
            ERROR_GENERIC,
            "Table %.*s has no replica on cluster \"%.*s\"",
            SLICE(object_path(arena, table->object)),
            SLICE(cluster));
    }
    TRY(check_fit(coordinator, arena, target));
    TRY(check_stays(coordinator, arena, table, target));
    struct node *changes = node_list(arena);
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        struct replica *replica = table->replicas[i];
        bool was_sync = replica->mode == REPLICA_MODE_SYNC;
        bool is_sync = replica == target;
        if (was_sync == is_sync) continue;
        struct node *change =
            change_node(arena, coordinator, replica->session, was_sync, is_sync, "switchover");
        node_add(arena, changes, change);
        if (!is_dry_run) set_mode(coordinator, replica, is_sync);
    }
    if (changes->count > 0 && !is_dry_run)
        finish_change(coordinator, arena, table, "user", changes);
    *ret_changes = changes;
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Status

static struct node *replica_status(
    struct arena *arena, const struct coordinator *coordinator, const struct session *session)
{
    const struct replica *replica = session->replica;
    struct node *map = node_map(arena);
    struct slice cluster = buffer_slice(&replica->cluster_name);
    node_set_text(arena, map, "replica_id", node_guid(arena, replica->object->id));
    node_set_text(arena, map, "cluster_name", node_string(arena, cluster));
    struct slice path = buffer_slice(&replica->path);
    node_set_text(arena, map, "replica_path", node_string(arena, path));
    node_set_text(arena, map, "mode", node_text(arena, replica_mode_name(replica->mode)));
    node_set_text(arena, map, "state", node_text(arena, replica_state_name(replica->state)));
    node_set_text(arena, map, "tracked", node_boolean(arena, replica->is_tracked));
    node_set_text(arena, map, "preferred", node_boolean(arena, is_preferred(coordinator, replica)));
    bool is_good = session->health.cause == HEALTH_GOOD;
    node_set_text(arena, map, "good", node_boolean(arena, is_good));
    const char *health = describe_health(arena, coordinator, session);
    node_set_text(arena, map, "health", node_text(arena, health));
    uint64_t lag_ms = session_lag_ms(coordinator->cell, session);
    node_set_text(arena, map, "replication_lag_time", node_int64(arena, (int64_t)lag_ms));
    bool is_in_sync = session->tablet_count > 0;
    uint64_t behind = 0;
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        const struct queue *queue = replica->table->tablets[i].queue;
        if (!session_is_in_sync(session, i)) is_in_sync = false;
        behind += queue->end.row_index - session->tablets[i].progress.row_index;
    }
    node_set_text(arena, map, "in_sync", node_boolean(arena, is_in_sync));
    node_set_text(arena, map, "lag_row_count", node_int64(arena, (int64_t)behind));
    if (session->error) {
        struct node *error = node_text(arena, error_message(session->error));
        node_set_text(arena, map, "error", error);
    }
    return map;
}

struct node *tracker_table_status(
    struct coordinator *coordinator, struct arena *arena, struct table *table)
{
    struct plan_table plan;
    struct planned_table planned;
    describe_table(coordinator, arena, table, &plan, &planned);
    if (!planned.is_unknown) plan_modes(&plan, 1);

    struct node *map = node_map(arena);
    node_set_text(arena, map, "path", node_string(arena, object_path(arena, table->object)));
    node_set_text(arena, map, "table_id", node_guid(arena, table->object->id));
    node_set_text(arena, map, "tracked", node_boolean(arena, is_tracked(coordinator, table)));
    node_set_text(arena, map, "paused", node_boolean(arena, !config_of(coordinator)->is_enabled));
    node_set_text(arena, map, "mode_revision", node_int64(arena, (int64_t)table->mode_revision));
    node_set_text(
        arena, map, "min_sync_replica_count", node_int64(arena, (int64_t)plan.sync_count_min));
    node_set_text(
        arena, map, "max_sync_replica_count", node_int64(arena, (int64_t)plan.sync_count_max));
    if (table->collocation) {
        struct node *id = node_guid(arena, table->collocation->object->id);
        node_set_text(arena, map, "replication_collocation_id", id);
    }
    struct node *replicas = node_list(arena);
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        struct session *session = table->replicas[i]->session;
        update_health(coordinator, session);
        struct node *status = replica_status(arena, coordinator, session);
        for (size_t j = 0; j < plan.replica_count; j++) {
            if (planned.sessions[j] != session) continue;
            const struct plan_replica *replica = &plan.replicas[j];
            const char *mode = replica->will_be_sync ? "sync" : "async";
            node_set_text(arena, status, "planned_mode", node_text(arena, mode));
            node_set_text(
                arena, status, "reason", node_text(arena, plan_reason_name(replica->reason)));
        }
        node_add(arena, replicas, status);
    }
    node_set_text(arena, map, "replicas", replicas);
    return map;
}
