#include "coordinator/core/coordinator.h"

#include "base/coding.h"
#include "cluster/core/layout.h"
#include "coordinator/core/commits.h"
#include "coordinator/core/mutations.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "coordinator/core/trimming.h"
#include "model/rowset.h"

#include <assert.h>

// -------------------------------------------------------------------------------------------------
// Reads, and waiting

struct error *coordinator_choose_replica(
    struct coordinator *coordinator,
    const struct request *request,
    struct table *table,
    uint32_t tablet_index,
    struct replica **ret_replica,
    bool *ret_may_wait)
{
    *ret_may_wait = false;
    if (coordinator->amnesia) return error_copy(coordinator->amnesia);
    size_t count = arr_count(table->replicas);
    size_t first = count > 0 ? rng_below(&coordinator->cell->rng, count) : 0;
    for (size_t i = 0; i < count; i++) {
        struct replica *replica = table->replicas[(first + i) % count];
        struct slice cluster = buffer_slice(&replica->cluster_name);
        if (cluster_config_is_unread(&coordinator->cell->config, cluster)) continue;
        if (request_has_banned(request, replica->object->id)) continue;
        bool is_in_sync = true;
        for (uint32_t j = 0; j < table->tablet_count; j++) {
            if (tablet_index != UINT32_MAX && j != tablet_index) continue;
            if (!session_is_in_sync(replica->session, j)) is_in_sync = false;
        }
        if (is_in_sync) {
            coordinator_hurry(coordinator, replica->session); // It would wait for decisions.
            *ret_replica = replica;
            return NULL;
        }
        if (session_may_catch_up(replica->session)) *ret_may_wait = true;
    }
    struct arena arena CLEANUP(arena_releasep) = {0};
    return error_new(
        ERROR_NO_IN_SYNC_REPLICAS,
        "No in-sync replicas found for table %.*s",
        SLICE(object_path(&arena, table->object)));
}

void coordinator_wait(struct coordinator *coordinator, struct request *request)
{
    DL_APPEND(coordinator->waiting, request);
}

struct request *coordinator_take_ready(struct coordinator *coordinator)
{
    bool is_time = false;
    const struct request *request = NULL;
    DL_FOREACH (coordinator->waiting, request) {
        if (request->wait_until_us <= coordinator->cell->now_us) is_time = true;
    }
    if (!coordinator->is_dirty && !is_time) return NULL;
    coordinator->is_dirty = false;
    return TAKE(coordinator->waiting);
}

// -------------------------------------------------------------------------------------------------
// What sessions should look at

void coordinator_stir(struct coordinator *coordinator, struct session *session)
{
    agenda_stir(&coordinator->agenda, &session->item);
}

void coordinator_stir_table(struct coordinator *coordinator, const struct table *table)
{
    for (size_t i = 0; i < arr_count(table->replicas); i++)
        coordinator_stir(coordinator, table->replicas[i]->session);
}

void coordinator_stir_all(struct coordinator *coordinator)
{
    for (size_t i = 0; i < arr_count(coordinator->sessions); i++)
        coordinator_stir(coordinator, coordinator->sessions[i]);
}

void coordinator_hurry(struct coordinator *coordinator, struct session *session)
{
    session->is_hurried = true;
    coordinator_stir(coordinator, session);
}

void coordinator_beat(struct coordinator *coordinator, struct session *session)
{
    session->beat_at_us = coordinator->cell->now_us;
    session->idle_beat_count = 0;
    coordinator_stir(coordinator, session);
}

// -------------------------------------------------------------------------------------------------
// Life of objects

struct error *coordinator_table_added(struct coordinator *coordinator, struct table *table)
{
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        struct tablet *tablet = &table->tablets[i];
        assert(!tablet->queue);
        struct queue *queue = must_alloc(calloc(1, sizeof *queue));
        tablet->queue = queue;
        TRY(queue_init(queue, coordinator->cell->store, tablet->number));
        tablet->last_write_timestamp = queue->end.timestamp;
    }
    arr_add(coordinator->tables, table);
    return NULL;
}

void coordinator_table_removing(struct coordinator *coordinator, struct table *table)
{
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        coordinator_replica_removing(coordinator, table->replicas[i]);
    }
    for (size_t i = 0; i < arr_count(coordinator->tables); i++) {
        if (coordinator->tables[i] != table) continue;
        arr_remove(coordinator->tables, i);
        break;
    }
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        struct tablet *tablet = &table->tablets[i];
        assert(tablet->undecided_count == 0);
        if (!tablet->queue) continue;
        queue_release(tablet->queue);
        free(TAKE(tablet->queue));
    }
}

struct error *coordinator_replica_added(struct coordinator *coordinator, struct replica *replica)
{
    TRY(session_new(coordinator->cell, replica, &replica->session));
    arr_add(coordinator->sessions, replica->session);
    coordinator_stir(coordinator, replica->session);
    coordinator->is_dirty = true;
    return NULL;
}

void coordinator_replica_removing(struct coordinator *coordinator, struct replica *replica)
{
    coordinator_hurry(coordinator, replica->session); // What it has not heard (M5).
    session_feed(coordinator, replica->session);
    agenda_remove(&coordinator->agenda, &replica->session->item);
    for (size_t i = 0; i < arr_count(coordinator->sessions); i++) {
        if (coordinator->sessions[i] == replica->session) {
            arr_remove(coordinator->sessions, i);
            break;
        }
    }
    session_free(TAKE(replica->session));
    coordinator->is_dirty = true;
}

void coordinator_table_changed(struct coordinator *coordinator, struct table *table)
{
    coordinator_stir_table(coordinator, table);
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        struct session *session = table->replicas[i]->session;
        session_set_throttlers(coordinator->cell, session);
        session_adjust(coordinator, session);
        if (session->state == SESSION_CLOSED) {
            session->retry_at_us = coordinator->cell->now_us;
            session->failure_count = 0;
        }
        if (table->replicas[i]->state != REPLICA_STATE_ENABLED) session_clear_errors(session);
    }
    coordinator->is_dirty = true;
    coordinator->tracker.is_dirty = true;
}

// -------------------------------------------------------------------------------------------------
// Links and messages

static void each_replica(
    struct coordinator *coordinator,
    void (*visit)(struct coordinator *coordinator, struct session *session, void *context),
    void *context)
{
    for (size_t i = 0; i < arr_count(coordinator->sessions); i++) {
        visit(coordinator, coordinator->sessions[i], context);
    }
}

static void on_peer_up(struct coordinator *coordinator, struct session *session, void *context)
{
    const struct peer *peer = context;
    if (!slice_equal(buffer_slice(&session->replica->cluster_name), peer->cluster)) return;
    session->retry_at_us = coordinator->cell->now_us;
    coordinator_stir(coordinator, session);
}

void coordinator_link_up(struct coordinator *coordinator, uint64_t link, struct slice cluster)
{
    struct peer *peer = coordinator_peer(coordinator, cluster);
    if (peer)
        coordinator_link_down(coordinator, peer->link); // Its end comes later, and means nothing.
    peer = must_alloc(calloc(1, sizeof *peer));
    char *name = must_alloc(malloc(cluster.size + 1));
    memcpy(name, cluster.data, cluster.size);
    peer->cluster = slice_from(name, cluster.size);
    peer->link = link;
    peer->heard_at_us = coordinator->cell->now_us;
    HASH_ADD_KEYPTR(hh, coordinator->peers, peer->cluster.data, peer->cluster.size, peer);
    coordinator->tracker.is_dirty = true;
    each_replica(coordinator, on_peer_up, peer);
    coordinator->is_dirty = true;
}

struct peer *coordinator_peer(const struct coordinator *coordinator, struct slice cluster)
{
    struct peer *peer = NULL;
    HASH_FIND(hh, coordinator->peers, cluster.data, cluster.size, peer);
    return peer;
}

static void free_peer(struct coordinator *coordinator, struct peer *peer)
{
    HASH_DEL(coordinator->peers, peer);
    free((void *)(uintptr_t)peer->cluster.data);
    free(peer);
}

static void on_peer_down(struct coordinator *coordinator, struct session *session, void *context)
{
    const uint64_t *link = context;
    if (session->state == SESSION_CLOSED || session->link != *link) return;
    struct error *error = error_new(
        ERROR_RPC_UNAVAILABLE,
        "Connection to replica cluster \"%.*s\" is lost",
        SLICE(buffer_slice(&session->replica->cluster_name)));
    session_fail(coordinator, session, error); // S7.
    coordinator_stir(coordinator, session);
}

void coordinator_link_down(struct coordinator *coordinator, uint64_t link)
{
    struct peer *peer = NULL;
    struct peer *next = NULL;
    HASH_ITER (hh, coordinator->peers, peer, next) {
        if (peer->link == link) free_peer(coordinator, peer);
    }
    each_replica(coordinator, on_peer_down, &link);
    coordinator->is_dirty = true;
    coordinator->tracker.is_dirty = true;
}

void coordinator_receive(
    struct coordinator *coordinator, uint64_t link, const struct message *message)
{
    tracker_heard(coordinator, link, message);
    if (message->kind == MESSAGE_PONG) return;
    struct object *object = tree_find(&coordinator->cell->tree, message->replica_id);
    if (!object || !object->replica || !object->replica->session) return; // Removed meanwhile.
    if (object->replica->session->link != link) return;                   // S2.
    session_receive(coordinator, object->replica->session, message);
    coordinator_stir(coordinator, object->replica->session);
}

void coordinator_each_cluster(
    const struct coordinator *coordinator,
    void (*visit)(void *context, struct slice cluster),
    void *context)
{
    for (struct object *o = coordinator->cell->tree.objects; o; o = o->hh.next) {
        if (!o->replica || !o->replica->was_ever_enabled) continue;
        visit(context, buffer_slice(&o->replica->cluster_name));
    }
}

// -------------------------------------------------------------------------------------------------
// Turns

// A replica is disabled once nothing is on its way to it any more, so that its indexes are exact.
static void settle_disabling(struct coordinator *coordinator, struct session *session)
{
    struct replica *replica = session->replica;
    if (replica->state != REPLICA_STATE_DISABLING) return;
    for (uint32_t i = 0; session->state == SESSION_OPEN && i < session->tablet_count; i++) {
        const struct feeder *feeder = &session->tablets[i].feeder;
        if (feeder->tail.row_index < feeder->sent.row_index) return;
    }
    replica->state = REPLICA_STATE_DISABLED;
    session_save_progress(coordinator->cell, session);
    object_save(&coordinator->cell->batch, replica->object);
    cell_apply(coordinator->cell);
}

void coordinator_tick(struct coordinator *coordinator)
{
    tracker_tick(coordinator); // First: what it changes may decide what waits (M4).
    commits_tick(coordinator);
    trimming_tick(coordinator);
}

void coordinator_flush(struct coordinator *coordinator)
{
    agenda_tick(&coordinator->agenda, coordinator->cell->now_us);
    for (;;) {
        struct session *session = (struct session *)agenda_take(&coordinator->agenda);
        if (!session) break;
        settle_disabling(coordinator, session);
        session_open(coordinator, session);
        session_feed(coordinator, session);
        agenda_schedule(&coordinator->agenda, &session->item, session_wake_at_us(session));
    }
}

uint64_t coordinator_wake_at_us(const struct coordinator *coordinator)
{
    if (coordinator->amnesia) return UINT64_MAX; // Nothing goes on but refusals.
    uint64_t wake_at_us = MIN(coordinator->next_deadline_us, coordinator->next_trim_us);
    wake_at_us = MIN(wake_at_us, tracker_wake_at_us(coordinator));
    wake_at_us = MIN(wake_at_us, agenda_wake_at_us(&coordinator->agenda));
    const struct request *request = NULL;
    DL_FOREACH (coordinator->waiting, request) wake_at_us = MIN(wake_at_us, request->wait_until_us);
    return wake_at_us;
}

// -------------------------------------------------------------------------------------------------
// Recovery

static struct error *begin_epoch(struct coordinator *coordinator) // E1.
{
    struct cell *cell = coordinator->cell;
    CLEANUP(buffer_releasep) struct buffer value = {0};
    bool is_found = false;
    TRY(cell_get(cell, "epoch", &value, &is_found));
    uint64_t number = 0;
    if (is_found) {
        struct reader reader = reader_from(buffer_slice(&value));
        number = get_fixed64(&reader);
        TRY(reader_finish(&reader, "Epoch"));
    }
    coordinator->epoch.number = number + 1;
    coordinator->epoch.incarnation = cell->options.incarnation;
    buffer_clear(&value);
    put_fixed64(&value, coordinator->epoch.number);
    struct layout_key key = layout_cell("epoch");
    store_batch_put(&cell->batch, STORE_META, layout_slice(&key), buffer_slice(&value));
    return NULL;
}

// Rows of ordinary tables whose transaction has no abort record: it is committed (R1).
static struct error *apply_prepared(struct cell *cell, struct slice key, struct slice value)
{
    struct reader key_reader = reader_from(slice_from(key.data + 1, key.size - 1));
    uint64_t timestamp = get_big64(&key_reader);
    TRY(reader_finish(&key_reader, "Key of prepared rows"));
    struct reader reader = reader_from(value);
    uint64_t count = get_varint(&reader);
    for (uint64_t i = 0; i < count && !reader.is_broken; i++) {
        struct guid tablet_id;
        tablet_id.high = get_fixed64(&reader);
        tablet_id.low = get_fixed64(&reader);
        struct slice rows = get_bytes(&reader);
        struct tablet *tablet = tree_find_tablet(&cell->tree, tablet_id);
        if (!tablet || reader.is_broken) continue;
        struct arena arena CLEANUP(arena_releasep) = {0};
        struct row_change *changes = NULL;
        uint32_t change_count = 0;
        TRY(writes_decode(&arena, tablet->table, rows, &changes, &change_count));
        writes_apply(&cell->batch, tablet, changes, change_count, timestamp);
    }
    store_batch_remove(&cell->batch, STORE_META, key);
    return reader_finish(&reader, "Prepared rows");
}

static struct error *recover_prepared(struct cell *cell)
{
    struct layout_key prefix = layout_prefix(layout_prepared(0), 1);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = layout_iterate(cell->store, STORE_META, prefix);
    for (; store_iterator_is_valid(iterator); store_iterator_next(iterator)) {
        TRY(apply_prepared(cell, store_iterator_key(iterator), store_iterator_value(iterator)));
    }
    return store_iterator_error(iterator);
}

struct error *coordinator_init(struct coordinator *coordinator, struct cell *cell)
{
    *coordinator = (struct coordinator){
        .cell = cell,
        .next_deadline_us = UINT64_MAX,
        .next_trim_us = cell->now_us + TRIM_PERIOD_US,
        .is_dirty = true,
    };
    TRY(begin_epoch(coordinator));
    TRY(recover_prepared(cell));
    TRY(mutations_load(coordinator));
    TRY(tracker_init(coordinator));
    for (struct object *o = cell->tree.objects; o; o = o->hh.next) {
        if (o->table && o->table->is_replicated)
            TRY(coordinator_table_added(coordinator, o->table));
    }
    for (struct object *o = cell->tree.objects; o; o = o->hh.next) {
        if (o->replica) TRY(coordinator_replica_added(coordinator, o->replica));
    }
    return NULL;
}

void coordinator_release(struct coordinator *coordinator)
{
    commits_release(coordinator);
    struct request *request = NULL;
    struct request *next_request = NULL;
    DL_FOREACH_SAFE (coordinator->waiting, request, next_request) {
        DL_DELETE(coordinator->waiting, request);
        request_free(request);
    }
    agenda_release(&coordinator->agenda);
    arr_free(coordinator->sessions);
    arr_free(coordinator->tables);
    mutations_release(coordinator);
    while (coordinator->peers) free_peer(coordinator, coordinator->peers);
    if (coordinator->cell) {
        for (struct object *o = coordinator->cell->tree.objects; o; o = o->hh.next) {
            if (o->replica) session_free(TAKE(o->replica->session));
            if (!o->table) continue;
            for (uint32_t i = 0; i < o->table->tablet_count; i++) {
                struct tablet *tablet = &o->table->tablets[i];
                if (!tablet->queue) continue;
                queue_release(tablet->queue);
                free(TAKE(tablet->queue));
            }
        }
    }
    error_free(TAKE(coordinator->amnesia));
}
