// Making tables and replicas, with all that may be wrong about their attributes.
#include "cluster/commands/commands.h"

#include "coordinator/core/queue.h"
#include "model/key.h"
#include "model/timestamp.h"
#include "model/yson.h"

#include <inttypes.h>

// Attributes that say what a table is and are not kept as the user's.
static const char *const TABLE_ATTRIBUTES[] = {
    "dynamic", "schema", "upstream_replica_id", "tablet_count", "pivot_keys", "tablet_cell_bundle"};
static const char *const REPLICA_ATTRIBUTES[] = {
    "table_path",
    "cluster_name",
    "replica_path",
    "start_replication_timestamp",
    "start_replication_row_indexes",
    "mode",
    "preserve_timestamps",
    "atomicity",
    "enabled",
    "enable_replicated_table_tracker",
};

static struct error *keep_user_attributes(
    struct object *object, struct node *attributes, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) node_remove(attributes, slice_from_text(names[i]));
    return object_set_attributes(object, attributes);
}

struct error *schema_check_computed(const struct schema *schema)
{
    struct computed *computed = NULL;
    TRY(computed_new(schema, &computed));
    computed_free(computed);
    return NULL;
}

struct error *bundle_check(const struct node *attributes)
{
    struct slice name = SLICE_OF("default");
    TRY(node_get_string(attributes, "tablet_cell_bundle", &name));
    if (slice_equal_text(name, "default")) return NULL;
    return error_new(ERROR_RESOLVE_ERROR, "No such tablet cell bundle \"%.*s\"", SLICE(name));
}

// Encodes a pivot key given as a list of values.
struct error *pivot_encode(
    const struct schema *schema, const struct node *pivot, struct buffer *buffer)
{
    if (pivot->type != NODE_LIST || pivot->count > schema->key_column_count) {
        return error_new(
            ERROR_GENERIC, "A pivot key must be a list of at most as many values as key columns");
    }
    for (uint32_t i = 0; i < pivot->count; i++) {
        const struct node *node = pivot->entries[i].value;
        struct value value = value_null((uint16_t)i);
        switch (node->type) {
        case NODE_ENTITY: break;
        case NODE_STRING: value = value_string((uint16_t)i, node->string); break;
        case NODE_INT64: value = value_int64((uint16_t)i, node->int64); break;
        case NODE_UINT64: value = value_uint64((uint16_t)i, node->uint64); break;
        case NODE_DOUBLE: value = value_double((uint16_t)i, node->real); break;
        case NODE_BOOLEAN: value = value_boolean((uint16_t)i, node->boolean); break;
        case NODE_LIST:
        case NODE_MAP: return error_new(ERROR_GENERIC, "A pivot key cannot have lists or maps");
        }
        enum value_type wanted = column_value_type(schema->columns[i].type);
        column_convert_value(&schema->columns[i], &value);
        if (value.type == VALUE_INT64 && wanted == VALUE_DOUBLE) {
            value = value_double((uint16_t)i, (double)value.int64);
        }
        if (value.type != VALUE_NULL) TRY(column_check_value(&schema->columns[i], &value));
        key_encode_value(&value, buffer);
    }
    return NULL;
}

struct error *pivots_check(
    const struct schema *schema,
    struct slice first,
    const struct slice *after,
    const struct node *pivots)
{
    CLEANUP(buffer_releasep) struct buffer last = {0};
    for (uint32_t i = 0; i < pivots->count; i++) {
        CLEANUP(buffer_releasep) struct buffer pivot = {0};
        TRY(pivot_encode(schema, pivots->entries[i].value, &pivot));
        if (i == 0 && !slice_equal(buffer_slice(&pivot), first)) {
            return error_new(
                ERROR_GENERIC,
                "First pivot key must match that of the first tablet in the resharded range");
        }
        if (i > 0 && slice_compare(buffer_slice(&last), buffer_slice(&pivot)) >= 0) {
            return error_new(ERROR_GENERIC, "Pivot keys must be strictly increasing");
        }
        buffer_clear(&last);
        buffer_append_slice(&last, buffer_slice(&pivot));
    }
    if (!after || slice_compare(buffer_slice(&last), *after) < 0) return NULL;
    return error_new(
        ERROR_GENERIC,
        "Last pivot key must be strictly less than that of the tablet which follows the resharded "
        "range");
}

struct error *table_set_pivots(struct table *table, uint32_t begin, const struct node *pivots)
{
    for (uint32_t i = 0; i < pivots->count; i++) {
        struct buffer *pivot = &table->tablets[begin + i].pivot;
        buffer_clear(pivot);
        TRY(pivot_encode(table->schema, pivots->entries[i].value, pivot));
    }
    return NULL;
}

struct error *tablet_count_check(uint64_t count)
{
    if (count == 0) return error_new(ERROR_GENERIC, "Tablet count must be positive");
    if (count <= TABLET_COUNT_MAX) return NULL;
    return error_new(ERROR_GENERIC, "Tablet count cannot exceed the limit of %d", TABLET_COUNT_MAX);
}

struct error *pivots_spread(
    struct arena *arena, const struct schema *schema, uint64_t count, struct node **ret_pivots)
{
    enum value_type type = column_value_type(schema->columns[0].type);
    if (count > 1 && type != VALUE_INT64 && type != VALUE_UINT64) {
        return error_new(
            ERROR_GENERIC,
            "Keys can be spread over tablets only if the first key column is an integer: give "
            "\"pivot_keys\"");
    }
    struct node *pivots = node_list(arena);
    node_add(arena, pivots, node_list(arena));
    for (uint64_t i = 1; i < count; i++) {
        uint64_t at = UINT64_MAX / count * i;
        struct node *pivot = node_list(arena);
        if (type == VALUE_UINT64) {
            node_add(arena, pivot, node_uint64(arena, at));
        } else {
            node_add(arena, pivot, node_int64(arena, (int64_t)(at - (UINT64_C(1) << 63))));
        }
        node_add(arena, pivots, pivot);
    }
    *ret_pivots = pivots;
    return NULL;
}

static struct error *read_tablets(
    struct arena *arena,
    const struct schema *schema,
    const struct node *attributes,
    uint64_t *tablet_count,
    const struct node **ret_pivots)
{
    const struct node *pivots = node_find_text(attributes, "pivot_keys");
    bool has_count = node_find_text(attributes, "tablet_count") != NULL;
    *ret_pivots = NULL;
    if (pivots && has_count) {
        return error_new(ERROR_GENERIC, "Cannot specify both \"tablet_count\" and \"pivot_keys\"");
    }
    TRY(node_get_uint64(attributes, "tablet_count", tablet_count));
    if (pivots) {
        if (pivots->type != NODE_LIST || schema->key_column_count == 0) {
            return error_new(
                ERROR_GENERIC, "\"pivot_keys\" must be a list, and the table must be sorted");
        }
        *tablet_count = pivots->count;
        *ret_pivots = pivots;
    }
    TRY(tablet_count_check(*tablet_count));
    if (pivots || schema->key_column_count == 0) return NULL;
    struct node *spread = NULL;
    TRY(pivots_spread(arena, schema, *tablet_count, &spread));
    *ret_pivots = spread;
    return NULL;
}

struct new_table {
    struct guid upstream;
    struct schema *schema; // In the arena.
    uint64_t tablet_count;
    const struct node *pivots; // NULL for none.
    struct table_settings settings;
};

static struct error *check_tracker_options(const struct node *attributes)
{
    struct table trial = {.tracker_options = tracker_options_default()};
    struct error *error = table_read_tracker_options(&trial, attributes);
    tracker_options_release(&trial.tracker_options);
    return error;
}

static struct error *read_table(
    const struct machine *machine,
    struct arena *arena,
    bool is_replicated,
    const struct node *attributes,
    struct new_table *given)
{
    bool is_dynamic = false;
    *given = (struct new_table){.tablet_count = 1};
    TRY(node_get_boolean(attributes, "dynamic", &is_dynamic));
    TRY(node_get_guid(attributes, "upstream_replica_id", &given->upstream));
    if (is_replicated && !machine->cell.options.is_meta) {
        return error_new(
            ERROR_GENERIC,
            "This cluster cannot hold replicated tables: create them on the meta-cluster, which "
            "retable-coordinator serves");
    }
    if (is_replicated && !is_dynamic) {
        return error_new(ERROR_GENERIC, "Table of type \"replicated_table\" must be dynamic");
    }
    if (!is_dynamic && !guid_is_null(given->upstream)) {
        return error_new(ERROR_GENERIC, "Upstream replica can only be set for dynamic tables");
    }
    if (!is_dynamic) {
        return error_new(
            ERROR_GENERIC,
            "Static tables are not offered: create the table with attribute \"dynamic\" = %%true");
    }
    if (is_replicated && !guid_is_null(given->upstream)) {
        return error_new(ERROR_GENERIC, "Upstream replica cannot be set for replicated tables");
    }
    TRY(table_options_check(is_replicated, attributes));
    TRY(bundle_check(attributes));
    const struct node *schema_node = node_find_text(attributes, "schema");
    if (!schema_node) return error_new(ERROR_GENERIC, "Attribute \"schema\" is missing");
    TRY(schema_parse(arena, schema_node, &given->schema));
    schema_assign_ids(given->schema, NULL);
    TRY(schema_check_computed(given->schema));
    TRY(read_tablets(arena, given->schema, attributes, &given->tablet_count, &given->pivots));
    TRY(table_settings_read(attributes, &given->settings));
    if (is_replicated) TRY(check_tracker_options(attributes));
    return given->pivots ? pivots_check(given->schema, NO_PIVOT, NULL, given->pivots) : NULL;
}

struct error *create_table_check(
    const struct machine *machine, bool is_replicated, const struct node *attributes)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct new_table given;
    return read_table(machine, &arena, is_replicated, attributes, &given);
}

struct error *create_table(
    struct machine *machine,
    struct object *parent,
    struct slice name,
    bool is_replicated,
    struct node *attributes,
    struct object **ret_object)
{
    struct cell *cell = &machine->cell;
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct new_table given;
    TRY(read_table(machine, &arena, is_replicated, attributes, &given));
    enum object_type type = is_replicated ? OBJECT_REPLICATED_TABLE : OBJECT_TABLE;
    struct object *object =
        object_new(&cell->tree, &cell->batch, type, parent, name, cell->wall_us);
    struct table *table = object_add_table(
        &cell->tree, &cell->batch, object, given.schema, (uint32_t)given.tablet_count);
    table->is_dynamic = true;
    table->is_replicated = is_replicated;
    table->upstream_replica_id = given.upstream;
    table->settings = given.settings;
    if (given.pivots) TRY(table_set_pivots(table, 0, given.pivots));
    size_t count = sizeof TABLE_ATTRIBUTES / sizeof *TABLE_ATTRIBUTES;
    if (table_is_sorted(table)) node_remove(attributes, SLICE_OF("commit_ordering"));
    TRY(keep_user_attributes(object, attributes, TABLE_ATTRIBUTES, count));
    if (is_replicated) TRY(table_read_tracker_options(table, attributes));
    if (is_replicated) TRY(coordinator_table_added(&machine->coordinator, table));
    object_save(&cell->batch, object);
    *ret_object = object;
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Replicas

struct error *replica_mode_parse(struct slice text, enum replica_mode *ret_mode)
{
    if (slice_equal_text(text, "sync")) {
        *ret_mode = REPLICA_MODE_SYNC;
    } else if (slice_equal_text(text, "async")) {
        *ret_mode = REPLICA_MODE_ASYNC;
    } else {
        return error_new(ERROR_GENERIC, "Invalid replica mode \"%.*s\"", SLICE(text));
    }
    return NULL;
}

struct error *atomicity_parse(struct slice text, bool *ret_is_none)
{
    if (!slice_equal_text(text, "full") && !slice_equal_text(text, "none")) {
        return error_new(ERROR_GENERIC, "Invalid atomicity \"%.*s\"", SLICE(text));
    }
    *ret_is_none = slice_equal_text(text, "none");
    return NULL;
}

struct new_replica {
    struct slice table_path;
    struct slice cluster_name;
    struct slice path;
    enum replica_mode mode;
    bool preserve_timestamps;
    bool is_atomicity_none;
    bool is_enabled;
    bool is_tracked;
    uint64_t start_timestamp;
    const struct node *row_indexes;
};

static struct error *read_replica(const struct node *attributes, struct new_replica *replica)
{
    struct slice mode = SLICE_OF("async");
    struct slice atomicity = SLICE_OF("full");
    TRY(node_get_string(attributes, "table_path", &replica->table_path));
    TRY(node_get_string(attributes, "cluster_name", &replica->cluster_name));
    TRY(node_get_string(attributes, "replica_path", &replica->path));
    TRY(node_get_string(attributes, "mode", &mode));
    TRY(node_get_string(attributes, "atomicity", &atomicity));
    TRY(node_get_boolean(attributes, "preserve_timestamps", &replica->preserve_timestamps));
    TRY(node_get_boolean(attributes, "enabled", &replica->is_enabled));
    TRY(node_get_boolean(attributes, "enable_replicated_table_tracker", &replica->is_tracked));
    TRY(node_get_uint64(attributes, "start_replication_timestamp", &replica->start_timestamp));
    replica->row_indexes = node_find_text(attributes, "start_replication_row_indexes");
    TRY(replica_mode_parse(mode, &replica->mode));
    TRY(atomicity_parse(atomicity, &replica->is_atomicity_none));
    static const char *const REQUIRED[] = {"table_path", "cluster_name", "replica_path"};
    for (size_t i = 0; i < sizeof REQUIRED / sizeof *REQUIRED; i++) {
        if (node_find_text(attributes, REQUIRED[i])) continue;
        return error_new(ERROR_GENERIC, "Attribute \"%s\" is missing", REQUIRED[i]);
    }
    if (replica->is_atomicity_none && !replica->preserve_timestamps) {
        return error_new(
            ERROR_INVALID_TABLET_STATE,
            "Cannot create replica table: incompatible atomicity and preserve_timestamps");
    }
    if (replica->start_timestamp < TIMESTAMP_MIN || replica->start_timestamp > TIMESTAMP_MAX) {
        struct error *error = error_new(ERROR_GENERIC, "Invalid start_replication_timestamp");
        return error_set_u64(error, "start_replication_timestamp", replica->start_timestamp);
    }
    return NULL;
}

static struct error *check_row_indexes(const struct table *table, const struct node *row_indexes)
{
    if (!row_indexes || row_indexes->type == NODE_ENTITY) return NULL;
    if (row_indexes->type != NODE_LIST) {
        return error_new(ERROR_GENERIC, "\"start_replication_row_indexes\" must be a list");
    }
    if (row_indexes->count != 0 && row_indexes->count != table->tablet_count) {
        return error_new(
            ERROR_GENERIC,
            "Invalid size of \"start_replication_row_indexes\": expected zero or %u, got %u",
            table->tablet_count,
            row_indexes->count);
    }
    for (uint32_t i = 0; i < row_indexes->count; i++) {
        const struct node *node = row_indexes->entries[i].value;
        bool is_count = node->type == NODE_UINT64 || (node->type == NODE_INT64 && node->int64 >= 0);
        if (!is_count) {
            return error_new(
                ERROR_GENERIC, "\"start_replication_row_indexes\" must hold row indexes");
        }
        const struct queue *queue = table->tablets[i].queue;
        uint64_t row_index = node->uint64;
        if (row_index < queue->trimmed.row_index || row_index > queue->end.row_index) {
            struct error *error = error_new(
                ERROR_GENERIC,
                "Start row index %" PRIu64 " of tablet %u is not in the replication log",
                row_index,
                i);
            error_set_u64(error, "trimmed_row_count", queue->trimmed.row_index);
            return error_set_u64(error, "total_row_count", queue->end.row_index);
        }
    }
    return NULL;
}

struct error *replica_check_place(
    const struct table *table, struct slice cluster_name, struct slice path)
{
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        const struct replica *other = table->replicas[i];
        if (!slice_equal(buffer_slice(&other->cluster_name), cluster_name)) continue;
        if (!slice_equal(buffer_slice(&other->path), path)) continue;
        return error_new(
            ERROR_TABLE_REPLICA_ALREADY_EXISTS,
            "Replica table %.*s at cluster \"%.*s\" already exists",
            SLICE(path),
            SLICE(cluster_name));
    }
    return NULL;
}

struct error *create_replica(
    struct machine *machine, struct slice user, struct node *attributes, struct object **ret_object)
{
    struct cell *cell = &machine->cell;
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct new_replica given = {
        .preserve_timestamps = true,
        .is_tracked = true,
        .start_timestamp = TIMESTAMP_MIN,
    };
    TRY(read_replica(attributes, &given));
    struct table *table = NULL;
    TRY(tree_resolve_table(&cell->tree, &arena, given.table_path, &table));
    TRY(access_check(&cell->tree, user, PERMISSION_WRITE, table->object));
    if (!table->is_replicated) {
        return error_new(ERROR_GENERIC, "%.*s is not a replicated table", SLICE(given.table_path));
    }
    TRY(node_claim(machine, table->object, NODE_LOCK_EXCLUSIVE, slice_from("", 0)));
    bool is_own = slice_equal(given.cluster_name, buffer_slice(&cell->cluster_name));
    if (!is_own && machine_peer_address(machine, given.cluster_name).size == 0) {
        return error_new(
            ERROR_GENERIC, "Cannot find cluster with name \"%.*s\"", SLICE(given.cluster_name));
    }
    TRY(replica_check_place(table, given.cluster_name, given.path));
    if (arr_count(table->replicas) >= TABLE_REPLICA_COUNT_MAX) {
        return error_new(
            ERROR_GENERIC, "A table cannot have more than %d replicas", TABLE_REPLICA_COUNT_MAX);
    }
    TRY(check_row_indexes(table, given.row_indexes));

    struct object *object = object_new(
        &cell->tree, &cell->batch, OBJECT_TABLE_REPLICA, NULL, slice_from("", 0), cell->wall_us);
    struct replica *replica = object_add_replica(object, table);
    buffer_append_slice(&replica->cluster_name, given.cluster_name);
    buffer_append_slice(&replica->path, given.path);
    replica->mode = given.mode;
    replica->state = given.is_enabled ? REPLICA_STATE_ENABLED : REPLICA_STATE_DISABLED;
    replica->was_ever_enabled = given.is_enabled;
    replica->preserve_timestamps = given.preserve_timestamps;
    replica->is_atomicity_none = given.is_atomicity_none;
    replica->is_tracked = given.is_tracked;
    replica->start_timestamp = given.start_timestamp;
    for (uint32_t i = 0; given.row_indexes && i < given.row_indexes->count; i++) {
        arr_add(replica->start_row_indexes, given.row_indexes->entries[i].value->uint64);
    }
    table->mode_revision++;
    size_t count = sizeof REPLICA_ATTRIBUTES / sizeof *REPLICA_ATTRIBUTES;
    TRY(keep_user_attributes(object, attributes, REPLICA_ATTRIBUTES, count));
    TRY(coordinator_replica_added(&machine->coordinator, replica));
    object_save(&cell->batch, object);
    object_save(&cell->batch, table->object);
    coordinator_table_changed(&machine->coordinator, table);
    *ret_object = object;
    return NULL;
}
