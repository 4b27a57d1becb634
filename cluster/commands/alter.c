// alter_table, alter_table_replica: what becomes of tables and replicas that are there.
#include "cluster/commands/commands.h"

#include "coordinator/core/sessions.h"
#include "model/schema_alter.h"

static struct error *alter_upstream(struct table *table, struct guid upstream)
{
    if (table->is_replicated) {
        return error_new(
            ERROR_GENERIC, "Upstream replica cannot be explicitly set for replicated tables");
    }
    if (!table->is_dynamic) {
        return error_new(ERROR_GENERIC, "Upstream replica can only be set for dynamic tables");
    }
    TRY(table_check_unmounted(table, "change upstream replica"));
    table->upstream_replica_id = upstream;
    return NULL;
}

static struct error *do_alter(struct machine *machine, struct request *request)
{
    struct arena *arena = &request->arena;
    struct table *table = NULL;
    TRY(command_find_table(machine, request, &table));
    const struct node *parameters = request->parameters;
    const struct node *schema_node = node_find_text(parameters, "schema");
    const struct node *dynamic = node_find_text(parameters, "dynamic");
    const struct node *upstream_node = node_find_text(parameters, "upstream_replica_id");
    const struct node *modification = node_find_text(parameters, "schema_modification");
    if (schema_node && schema_node->type == NODE_ENTITY) schema_node = NULL;
    if (upstream_node && upstream_node->type == NODE_ENTITY) upstream_node = NULL;
    if (dynamic && dynamic->type == NODE_BOOLEAN && !dynamic->boolean) {
        return error_new(
            ERROR_GENERIC,
            "Cannot switch mode from dynamic to static for table type \"%s\"",
            object_type_name(table->object->type));
    }
    if (dynamic && dynamic->type == NODE_BOOLEAN && table->is_replicated) {
        return error_new(ERROR_GENERIC, "Cannot alter table of type \"replicated_table\"");
    }
    if (modification && modification->type != NODE_ENTITY) {
        if (table->is_replicated) {
            return error_new(ERROR_GENERIC, "Cannot alter table of type \"replicated_table\"");
        }
        return error_new(
            ERROR_GENERIC,
            "Changes of a schema by \"schema_modification\" are not offered: give \"schema\"");
    }
    struct schema *schema = NULL;
    if (schema_node) {
        TRY(schema_parse(arena, schema_node, &schema));
        TRY(table_check_unmounted(table, "change table schema"));
        TRY(schema_check_alter(table->schema, schema, false));
        TRY(schema_check_computed(schema));
    }
    if (upstream_node) {
        struct guid upstream = GUID_NULL;
        TRY(node_get_guid(parameters, "upstream_replica_id", &upstream));
        TRY(alter_upstream(table, upstream));
    }
    if (schema) table_set_schema(table, schema);
    object_save(&machine->cell.batch, table->object);
    return NULL;
}

void command_alter_table(struct machine *machine, struct request *request)
{
    command_answer(machine, request, do_alter(machine, request), NULL);
}

static struct error *check_enable(const struct replica *replica, bool enabled)
{
    enum replica_state wrong = enabled ? REPLICA_STATE_DISABLING : REPLICA_STATE_ENABLING;
    if (replica->state == wrong) {
        return error_new(
            ERROR_INVALID_TABLET_STATE,
            "Table replica %s is in \"%s\" state",
            GUID_TEXT(replica->object->id),
            replica_state_name(replica->state));
    }
    for (uint32_t i = 0; i < replica->table->tablet_count; i++) {
        const struct tablet *tablet = &replica->table->tablets[i];
        if (tablet->state != TABLET_UNMOUNTING) continue;
        return error_new(
            ERROR_INVALID_TABLET_STATE,
            "Cannot alter \"enabled\" replica flag since tablet %s is in \"%s\" state",
            GUID_TEXT(tablet->id),
            tablet_state_name(tablet->state));
    }
    return NULL;
}

struct replica_change {
    struct slice path;
    enum replica_mode mode;
    bool enabled;
    bool has_enabled;
    bool preserve_timestamps;
    bool is_atomicity_none;
    bool is_tracked;
};

// A replica's rows go elsewhere only when nothing is on its way to it.
static struct error *check_new_path(const struct replica *replica, struct slice path)
{
    if (slice_equal(path, buffer_slice(&replica->path))) return NULL;
    TRY(replica_check_place(replica->table, buffer_slice(&replica->cluster_name), path));
    if (replica->state == REPLICA_STATE_DISABLED) return NULL;
    return error_new(
        ERROR_INVALID_TABLET_STATE,
        "Cannot alter path of table replica %s since it is in \"%s\" state",
        GUID_TEXT(replica->object->id),
        replica_state_name(replica->state));
}

static struct error *read_replica_change(
    const struct node *parameters, const struct replica *replica, struct replica_change *change)
{
    struct slice mode = {0};
    struct slice atomicity = {0};
    const struct node *enabled = node_find_text(parameters, "enabled");
    *change = (struct replica_change){
        .path = buffer_slice(&replica->path),
        .mode = replica->mode,
        .has_enabled = enabled && enabled->type != NODE_ENTITY,
        .preserve_timestamps = replica->preserve_timestamps,
        .is_atomicity_none = replica->is_atomicity_none,
        .is_tracked = replica->is_tracked,
    };
    TRY(node_get_boolean(parameters, "enabled", &change->enabled));
    TRY(node_get_string(parameters, "replica_path", &change->path));
    TRY(node_get_string(parameters, "mode", &mode));
    TRY(node_get_string(parameters, "atomicity", &atomicity));
    TRY(node_get_boolean(parameters, "preserve_timestamps", &change->preserve_timestamps));
    TRY(node_get_boolean(parameters, "enable_replicated_table_tracker", &change->is_tracked));
    TRY(check_new_path(replica, change->path));
    if (mode.size > 0) TRY(replica_mode_parse(mode, &change->mode));
    if (atomicity.size > 0) TRY(atomicity_parse(atomicity, &change->is_atomicity_none));
    if (change->has_enabled) TRY(check_enable(replica, change->enabled));
    if (!change->is_atomicity_none || change->preserve_timestamps) return NULL;
    return error_new(
        ERROR_INVALID_TABLET_STATE, "Cannot set atomicity none with preserveTimestamps false");
}

static bool is_change(const struct replica *replica, const struct replica_change *change)
{
    bool is_on =
        replica->state == REPLICA_STATE_ENABLED || replica->state == REPLICA_STATE_ENABLING;
    return (change->has_enabled && change->enabled != is_on) || replica->mode != change->mode ||
           replica->preserve_timestamps != change->preserve_timestamps ||
           replica->is_atomicity_none != change->is_atomicity_none ||
           replica->is_tracked != change->is_tracked ||
           !slice_equal(buffer_slice(&replica->path), change->path);
}

static struct error *do_alter_replica(
    struct machine *machine, const struct request *request, const struct node *parameters)
{
    struct cell *cell = &machine->cell;
    struct guid id = GUID_NULL;
    TRY(node_get_guid(request->parameters, "replica_id", &id));
    struct object *object = tree_find(&cell->tree, id);
    if (!object || !object->replica) {
        return error_new(ERROR_RESOLVE_ERROR, "No such table replica %s", GUID_TEXT(id));
    }
    struct replica *replica = object->replica;
    struct replica_change change;
    TRY(node_claim(machine, replica->table->object, NODE_LOCK_EXCLUSIVE, slice_from("", 0)));
    TRY(read_replica_change(parameters, replica, &change));
    if (!is_change(replica, &change)) return NULL;

    // M1: one record with all that changes, and a new revision.
    bool was_sync = replica->mode == REPLICA_MODE_SYNC;
    bool is_switch = replica->mode != change.mode;
    if (!slice_equal(buffer_slice(&replica->path), change.path)) {
        buffer_clear(&replica->path);
        buffer_append_slice(&replica->path, change.path);
        session_reopen(&machine->coordinator, replica->session);
    }
    replica->mode = change.mode;
    replica->preserve_timestamps = change.preserve_timestamps;
    replica->is_atomicity_none = change.is_atomicity_none;
    replica->is_tracked = change.is_tracked;
    if (change.has_enabled && change.enabled) {
        replica->state = REPLICA_STATE_ENABLED;
        replica->was_ever_enabled = true;
    }
    if (change.has_enabled && !change.enabled && replica->state == REPLICA_STATE_ENABLED) {
        replica->state = REPLICA_STATE_DISABLING;
    }
    replica->table->mode_revision++;
    if (is_switch) tracker_record_change(&machine->coordinator, replica->session, was_sync);
    object_save(&cell->batch, object);
    object_save(&cell->batch, replica->table->object);
    coordinator_table_changed(&machine->coordinator, replica->table);
    return NULL;
}

void command_alter_table_replica(struct machine *machine, struct request *request)
{
    struct error *error = do_alter_replica(machine, request, request->parameters);
    command_answer(machine, request, error, NULL);
}

static void set_enabled(struct machine *machine, struct request *request, bool is_enabled)
{
    struct node *change = node_map(&request->arena);
    node_set_text(&request->arena, change, "enabled", node_boolean(&request->arena, is_enabled));
    command_answer(machine, request, do_alter_replica(machine, request, change), NULL);
}

void command_enable_table_replica(struct machine *machine, struct request *request)
{
    set_enabled(machine, request, true);
}

void command_disable_table_replica(struct machine *machine, struct request *request)
{
    set_enabled(machine, request, false);
}
