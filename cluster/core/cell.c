#include "cluster/core/cell.h"

#include "base/coding.h"
#include "cluster/core/layout.h"

#include <assert.h>

struct error *cell_get(struct cell *cell, const char *name, struct buffer *value, bool *ret_found)
{
    struct layout_key key = layout_cell(name);
    return store_get(cell->store, NULL, STORE_META, layout_slice(&key), value, ret_found);
}

static void put_record(struct cell *cell, const char *name, const struct buffer *value)
{
    struct layout_key key = layout_cell(name);
    store_batch_put(&cell->batch, STORE_META, layout_slice(&key), buffer_slice(value));
}

static struct error *load_ceiling(struct cell *cell)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    bool is_found = false;
    TRY(cell_get(cell, "ceiling", &value, &is_found));
    uint64_t ceiling = 0;
    if (is_found) {
        struct reader reader = reader_from(buffer_slice(&value));
        ceiling = get_fixed64(&reader);
        TRY(reader_finish(&reader, "Timestamp ceiling"));
    }
    timestamps_init(&cell->timestamps, ceiling, cell->wall_us);
    return NULL;
}

static struct error *load_cluster_id(struct cell *cell)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    bool is_found = false;
    TRY(cell_get(cell, "cluster_id", &value, &is_found));
    if (is_found) {
        struct reader reader = reader_from(buffer_slice(&value));
        cell->cluster_id.high = get_fixed64(&reader);
        cell->cluster_id.low = get_fixed64(&reader);
        return reader_finish(&reader, "Cluster id");
    }
    cell->cluster_id = guid_make(
        rng_next(&cell->rng) >> 1,
        cell->options.cell_tag,
        OBJECT_CLUSTER,
        (uint32_t)rng_next(&cell->rng));
    put_fixed64(&value, cell->cluster_id.high);
    put_fixed64(&value, cell->cluster_id.low);
    put_record(cell, "cluster_id", &value);
    return NULL;
}

struct object *cell_sys(const struct cell *cell)
{
    return object_child(cell->tree.root, SLICE_OF("sys"));
}

void cell_set_address(struct cell *cell, struct slice address)
{
    buffer_clear(&cell->address);
    buffer_append_slice(&cell->address, address);
}

struct guid cell_id(const struct cell *cell)
{
    const struct id_origin *origin = &cell->tree.origin;
    return guid_make(1, origin->cell_tag, OBJECT_TABLET_CELL, origin->salt);
}

bool cell_knows_cluster(const struct cell *cell, struct slice name)
{
    if (slice_equal(name, buffer_slice(&cell->cluster_name))) return true;
    const struct object *sys = cell_sys(cell);
    const struct object *clusters = sys ? object_child(sys, SLICE_OF("clusters")) : NULL;
    return clusters && object_child(clusters, name);
}

struct error *cell_read_config(struct cell *cell, const struct node *attributes)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    const struct node *map = node_find_text(attributes, "config");
    if (!map || map->type == NODE_ENTITY) map = node_map(&arena);
    bool is_read_only = false;
    TRY(node_get_boolean(attributes, "hydra_read_only", &is_read_only));
    struct cluster_config config;
    TRY(cluster_config_parse(map, &config));
    cluster_config_release(&cell->config);
    cell->config = config;
    cell->is_read_only = is_read_only;
    return NULL;
}

static struct error *load_config(struct cell *cell)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct node *attributes = node_map(&arena);
    const struct object *sys = cell_sys(cell);
    if (sys) TRY(object_attributes(&arena, sys, &attributes));
    return cell_read_config(cell, attributes);
}

uint32_t cell_flags(const struct cell *cell)
{
    uint32_t flags = 0;
    if (cell->config.is_safe_mode) flags |= CLUSTER_SAFE_MODE;
    if (cell->is_read_only) flags |= CLUSTER_READ_ONLY;
    if (!cell->config.tracker.is_incoming_enabled) flags |= CLUSTER_INCOMING_DISABLED;
    if (cell->disk_error) flags |= CLUSTER_BUNDLE_FAILED;
    return flags;
}

void cell_set_disk_error(struct cell *cell, struct error *error)
{
    error_free(cell->disk_error);
    cell->disk_error = error;
}

struct error *cell_check_writable(const struct cell *cell)
{
    if (cell->disk_error) return error_copy(cell->disk_error);
    if (!cell->config.is_safe_mode && !cell->is_read_only) return NULL;
    return error_wrap(
        error_new(
            ERROR_SAFE_MODE_ENABLED,
            cell->is_read_only ? "Unset //sys/@hydra_read_only to allow writes"
                               : "Set //sys/@config/enable_safe_mode to %%false to allow writes"),
        ERROR_ACCESS_DENIED,
        "Access denied: cluster \"%.*s\" is in %s mode",
        SLICE(buffer_slice(&cell->cluster_name)),
        cell->is_read_only ? "read-only" : "safe");
}

struct error *cell_init(
    struct cell *cell, const struct cell_options *options, uint64_t now_us, uint64_t wall_us)
{
    *cell = (struct cell){
        .options = *options,
        .store = options->store,
        .now_us = now_us,
        .wall_us = wall_us,
        .rng = {.state = options->seed},
        .sync_at_us = UINT64_MAX,
        .config = cluster_config_default(),
    };
    buffer_append_slice(&cell->cluster_name, options->cluster_name);
    TRY(load_ceiling(cell));
    // What was written before this start is remembered by nobody (no-lost-update).
    row_locks_init(&cell->locks, options->remembered_write_count_max, cell->timestamps.ceiling);
    TRY(load_cluster_id(cell));
    // Two clusters may have the same name, one after the other or by mistake: the ids of their
    // replicas must not be the same.
    struct id_origin origin = {
        .cell_tag = options->cell_tag,
        .salt = (uint32_t)(cell->cluster_id.high ^ cell->cluster_id.low),
    };
    TRY(tree_init(&cell->tree, cell->store, origin, wall_us));
    TRY(load_config(cell));

    cell_extend_ceiling(cell);
    cell_apply(cell);
    if (cell->fatal) return TAKE(cell->fatal);
    TRY(store_sync(cell->store));
    cell_synced(cell);
    return NULL;
}

void cell_release(struct cell *cell)
{
    struct effect *effect = NULL;
    struct effect *next = NULL;
    struct effect *lists[] = {cell->ready, cell->gated};
    for (size_t i = 0; i < 2; i++) {
        DL_FOREACH_SAFE (lists[i], effect, next) {
            message_free(effect->message);
            request_free(effect->request);
            free(effect);
        }
    }
    cell->ready = NULL;
    cell->gated = NULL;
    tree_release(&cell->tree);
    row_locks_release(&cell->locks);
    store_batch_release(&cell->batch);
    buffer_release(&cell->cluster_name);
    buffer_release(&cell->address);
    error_free(cell->disk_error);
    cluster_config_release(&cell->config);
    error_free(TAKE(cell->fatal));
}

void cell_apply(struct cell *cell)
{
    if (cell->batch.count == 0 || cell->fatal) return;
    cell->fatal = store_apply(cell->store, &cell->batch);
    store_batch_clear(&cell->batch);
    cell->lsn++;
    cell->sync_at_us = MIN(cell->sync_at_us, cell->now_us + CELL_SYNC_DELAY_US);
}

void cell_apply_urgent(struct cell *cell)
{
    cell_apply(cell);
    cell->urgent_lsn = cell->lsn;
}

void cell_synced(struct cell *cell)
{
    assert(!cell->fatal);
    cell->durable_lsn = cell->lsn;
    cell->sync_at_us = UINT64_MAX;
    if (cell->pending_ceiling != 0 && cell->pending_ceiling_lsn <= cell->durable_lsn) {
        timestamps_set_ceiling(&cell->timestamps, cell->pending_ceiling);
        cell->pending_ceiling = 0;
    }
    while (cell->gated && cell->gated->lsn <= cell->durable_lsn) {
        struct effect *effect = cell->gated;
        DL_DELETE(cell->gated, effect);
        DL_APPEND(cell->ready, effect);
    }
}

void cell_effect(struct cell *cell, struct effect effect)
{
    struct effect *copy = must_alloc(malloc(sizeof *copy));
    *copy = effect;
    if (effect.lsn <= cell->durable_lsn) {
        DL_APPEND(cell->ready, copy);
        return;
    }
    // Nearly always at the end; a read may wait for less than what came before it.
    struct effect *after = cell->gated ? cell->gated->prev : NULL;
    while (after && after->lsn > effect.lsn) after = after == cell->gated ? NULL : after->prev;
    if (after) {
        DL_APPEND_ELEM(cell->gated, after, copy);
    } else {
        DL_PREPEND(cell->gated, copy);
    }
}

void cell_send(struct cell *cell, uint64_t lsn, uint64_t link, struct message *message)
{
    cell_effect(
        cell, (struct effect){.kind = EFFECT_SEND, .lsn = lsn, .link = link, .message = message});
}

void cell_reply(struct cell *cell, uint64_t lsn, struct request *request)
{
    cell_effect(cell, (struct effect){.kind = EFFECT_REPLY, .lsn = lsn, .request = request});
}

void cell_limit_wait(const struct cell *cell, struct request *request, uint64_t wait_us)
{
    if (request->wait_until_us != 0) return;
    request->wait_until_us = MIN(request->deadline_us, cell->now_us + wait_us);
}

void cell_fail(struct cell *cell, struct request *request, struct error *error)
{
    error_free(request->error);
    request->error = error;
    cell_reply(cell, cell->lsn, request);
}

struct effect *cell_next_effect(struct cell *cell)
{
    while (cell->ready) {
        struct effect *effect = cell->ready;
        DL_DELETE(cell->ready, effect);
        bool is_part = effect->kind == EFFECT_REPLY && effect->request->batch;
        if (is_part) effect->request = request_part_answered(effect->request);
        if (!is_part || effect->request) return effect;
        free(effect);
    }
    return NULL;
}

uint64_t cell_timestamp(struct cell *cell)
{
    return timestamps_next(&cell->timestamps);
}

void cell_extend_ceiling(struct cell *cell)
{
    timestamps_tick(&cell->timestamps, cell->wall_us);
    if (cell->pending_ceiling != 0) return;
    uint64_t ceiling = timestamps_extension(&cell->timestamps);
    if (ceiling == 0) return;
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_fixed64(&value, ceiling);
    put_record(cell, "ceiling", &value);
    cell->pending_ceiling = ceiling;
    cell->pending_ceiling_lsn = cell->lsn + 1; // Of the batch that is being gathered.
}
