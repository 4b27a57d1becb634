// The life of tablets and replicas: mount … reshard, alter_table, alter_table_replica, trim_rows.
#include "cluster/commands/commands.h"

#include "cluster/core/ordered_trim.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "model/schema_alter.h"

#include <inttypes.h>

static struct error *find_table(
    struct machine *machine, struct request *request, struct table **ret_table)
{
    struct ypath path;
    TRY(command_path(request, &path));
    TRY(tree_resolve_table(&machine->cell.tree, &request->arena, path.text, ret_table));
    return node_claim(machine, (*ret_table)->object, NODE_LOCK_EXCLUSIVE, slice_from("", 0));
}

// As find_table, of a table whose tablets are about to `verb`.
static struct error *find_dynamic(
    struct machine *machine, struct request *request, const char *verb, struct table **ret_table)
{
    TRY(find_table(machine, request, ret_table));
    if ((*ret_table)->is_dynamic) return NULL;
    return error_new(ERROR_GENERIC, "Cannot %s a static table", verb);
}

// -------------------------------------------------------------------------------------------------
// State transitions (behaviour 3.1)

struct transition {
    const char *verb;
    // The state to go to from each state; the same state for a no-op; -1 for an error.
    int to[TABLET_FROZEN_MOUNTING + 1];
};

enum { NO = -1 };

static const struct transition MOUNT = {
    .verb = "mount",
    .to =
        {[TABLET_MOUNTING] = TABLET_MOUNTING,
         [TABLET_MOUNTED] = TABLET_MOUNTED,
         [TABLET_UNMOUNTING] = NO,
         [TABLET_UNMOUNTED] = TABLET_MOUNTED,
         [TABLET_FREEZING] = NO,
         [TABLET_FROZEN] = NO,
         [TABLET_UNFREEZING] = TABLET_UNFREEZING,
         [TABLET_FROZEN_MOUNTING] = NO},
};
static const struct transition MOUNT_FROZEN = {
    .verb = "mount",
    .to =
        {[TABLET_MOUNTING] = NO,
         [TABLET_MOUNTED] = NO,
         [TABLET_UNMOUNTING] = NO,
         [TABLET_UNMOUNTED] = TABLET_FROZEN,
         [TABLET_FREEZING] = TABLET_FREEZING,
         [TABLET_FROZEN] = TABLET_FROZEN,
         [TABLET_UNFREEZING] = NO,
         [TABLET_FROZEN_MOUNTING] = TABLET_FROZEN_MOUNTING},
};
static const struct transition UNMOUNT = {
    .verb = "unmount",
    .to =
        {[TABLET_MOUNTING] = NO,
         [TABLET_MOUNTED] = TABLET_UNMOUNTING,
         [TABLET_UNMOUNTING] = TABLET_UNMOUNTING,
         [TABLET_UNMOUNTED] = TABLET_UNMOUNTED,
         [TABLET_FREEZING] = NO,
         [TABLET_FROZEN] = TABLET_UNMOUNTING,
         [TABLET_UNFREEZING] = NO,
         [TABLET_FROZEN_MOUNTING] = NO},
};
// Whatever the state; it still waits for undecided transactions, so nothing is lost.
static const struct transition UNMOUNT_FORCED = {
    .verb = "unmount",
    .to =
        {[TABLET_MOUNTING] = TABLET_UNMOUNTING,
         [TABLET_MOUNTED] = TABLET_UNMOUNTING,
         [TABLET_UNMOUNTING] = TABLET_UNMOUNTING,
         [TABLET_UNMOUNTED] = TABLET_UNMOUNTED,
         [TABLET_FREEZING] = TABLET_UNMOUNTING,
         [TABLET_FROZEN] = TABLET_UNMOUNTING,
         [TABLET_UNFREEZING] = TABLET_UNMOUNTING,
         [TABLET_FROZEN_MOUNTING] = TABLET_UNMOUNTING},
};
static const struct transition FREEZE = {
    .verb = "freeze",
    .to =
        {[TABLET_MOUNTING] = NO,
         [TABLET_MOUNTED] = TABLET_FREEZING,
         [TABLET_UNMOUNTING] = NO,
         [TABLET_UNMOUNTED] = NO,
         [TABLET_FREEZING] = TABLET_FREEZING,
         [TABLET_FROZEN] = TABLET_FROZEN,
         [TABLET_UNFREEZING] = NO,
         [TABLET_FROZEN_MOUNTING] = TABLET_FROZEN_MOUNTING},
};
static const struct transition UNFREEZE = {
    .verb = "unfreeze",
    .to =
        {[TABLET_MOUNTING] = NO,
         [TABLET_MOUNTED] = TABLET_MOUNTED,
         [TABLET_UNMOUNTING] = NO,
         [TABLET_UNMOUNTED] = NO,
         [TABLET_FREEZING] = NO,
         [TABLET_FROZEN] = TABLET_MOUNTED,
         [TABLET_UNFREEZING] = TABLET_UNFREEZING,
         [TABLET_FROZEN_MOUNTING] = NO},
};

// The tablets [begin, end) that a command names, all by default.
static struct error *read_range(
    const struct request *request,
    const struct table *table,
    uint32_t *ret_begin,
    uint32_t *ret_end)
{
    uint64_t first = 0;
    uint64_t last = table->tablet_count - 1;
    TRY(node_get_uint64(request->parameters, "first_tablet_index", &first));
    TRY(node_get_uint64(request->parameters, "last_tablet_index", &last));
    if (first > last || last >= table->tablet_count) {
        return error_new(
            ERROR_GENERIC,
            "Invalid tablet range [%" PRIu64 ", %" PRIu64 "]: the table has %u tablets",
            first,
            last,
            table->tablet_count);
    }
    *ret_begin = (uint32_t)first;
    *ret_end = (uint32_t)last + 1;
    return NULL;
}

static struct error *check_replicas_settled(const struct tablet *tablet)
{
    for (size_t i = 0; i < arr_count(tablet->table->replicas); i++) {
        const struct replica *replica = tablet->table->replicas[i];
        if (replica->state != REPLICA_STATE_ENABLING && replica->state != REPLICA_STATE_DISABLING) {
            continue;
        }
        return error_new(
            ERROR_INVALID_TABLET_STATE,
            "Cannot unmount tablet %s since replica %s is in \"%s\" state",
            GUID_TEXT(tablet->id),
            GUID_TEXT(replica->object->id),
            replica_state_name(replica->state));
    }
    return NULL;
}

// Tablets can be mounted at the cluster's one cell only.
static struct error *check_cell(const struct machine *machine, const struct request *request)
{
    struct guid id = GUID_NULL;
    TRY(node_get_guid(request->parameters, "cell_id", &id));
    if (guid_is_null(id) || guid_equal(id, cell_id(&machine->cell))) return NULL;
    return error_new(ERROR_RESOLVE_ERROR, "No such tablet cell %s", GUID_TEXT(id));
}

static struct error *read_settings(struct table *table)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct node *attributes = NULL;
    TRY(object_attributes(&arena, table->object, &attributes));
    return table_settings_read(attributes, &table->settings);
}

static struct error *move_tablets(
    struct machine *machine, struct request *request, const struct transition *transition)
{
    struct table *table = NULL;
    uint32_t begin = 0;
    uint32_t end = 0;
    TRY(find_dynamic(machine, request, transition->verb, &table));
    TRY(read_range(request, table, &begin, &end));
    for (uint32_t i = begin; i < end; i++) {
        const struct tablet *tablet = &table->tablets[i];
        if (transition->to[tablet->state] == NO) {
            return error_new(
                ERROR_INVALID_TABLET_STATE,
                "Cannot %s tablet %s in \"%s\" state",
                transition->verb,
                GUID_TEXT(tablet->id),
                tablet_state_name(tablet->state));
        }
        if (transition == &UNMOUNT) TRY(check_replicas_settled(tablet));
    }
    if (transition == &MOUNT || transition == &MOUNT_FROZEN) TRY(read_settings(table));
    struct cell *cell = &machine->cell;
    bool has_moved = false;
    for (uint32_t i = begin; i < end; i++) {
        struct tablet *tablet = &table->tablets[i];
        bool was_active = tablet_is_active(tablet);
        enum tablet_state old = tablet->state;
        tablet->state = (enum tablet_state)transition->to[old];
        if (tablet->state != old) has_moved = true;
        if (!was_active && tablet_is_active(tablet)) tablet->mounted_wall_us = cell->wall_us;
    }
    if (has_moved) table->mount_id = tree_new_id(&cell->tree, &cell->batch, OBJECT_TRANSACTION);
    machine->has_leaving_tablets = true;
    object_save(&cell->batch, table->object);
    if (table->is_replicated) coordinator_table_changed(&machine->coordinator, table);
    return NULL;
}

void command_mount_table(struct machine *machine, struct request *request)
{
    bool is_frozen = false;
    struct error *error = node_get_boolean(request->parameters, "freeze", &is_frozen);
    if (!error) error = check_cell(machine, request);
    if (!error) error = move_tablets(machine, request, is_frozen ? &MOUNT_FROZEN : &MOUNT);
    command_answer(machine, request, error, NULL);
}

void command_unmount_table(struct machine *machine, struct request *request)
{
    bool is_forced = false;
    struct error *error = node_get_boolean(request->parameters, "force", &is_forced);
    if (!error) error = move_tablets(machine, request, is_forced ? &UNMOUNT_FORCED : &UNMOUNT);
    command_answer(machine, request, error, NULL);
}

void command_freeze_table(struct machine *machine, struct request *request)
{
    command_answer(machine, request, move_tablets(machine, request, &FREEZE), NULL);
}

void command_unfreeze_table(struct machine *machine, struct request *request)
{
    command_answer(machine, request, move_tablets(machine, request, &UNFREEZE), NULL);
}

void command_remount_table(struct machine *machine, struct request *request)
{
    struct table *table = NULL;
    struct error *error = find_dynamic(machine, request, "remount", &table);
    if (!error) error = read_settings(table);
    if (!error && table->is_replicated) coordinator_table_changed(&machine->coordinator, table);
    command_answer(machine, request, error, NULL);
}

// -------------------------------------------------------------------------------------------------
// Reshard

struct error *table_check_settled(const struct table *table, const char *what)
{
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        enum tablet_state expected = tablet_state_expected(table->tablets[i].state);
        if (table->tablets[i].state == expected) continue;
        struct error *error = error_new(
            ERROR_INVALID_TABLET_STATE,
            "Cannot %s since some tablets are in transient state",
            what);
        error_set_str(error, "last_mount_transaction_id", GUID_TEXT(table->mount_id));
        return error_set_str(error, "expected_tablet_state", tablet_state_name(expected));
    }
    return NULL;
}

struct error *table_check_unmounted(const struct table *table, const char *what)
{
    TRY(table_check_settled(table, what));
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        if (table->tablets[i].state == TABLET_UNMOUNTED) continue;
        return error_new(
            ERROR_INVALID_TABLET_STATE, "Cannot %s since not all tablets are unmounted", what);
    }
    return NULL;
}

static bool has_rows(const struct table *table)
{
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        if (table->tablets[i].queue->end.row_index > 0) return true;
    }
    return false;
}

struct reshard {
    uint32_t begin; // The tablets [begin, end) become others.
    uint32_t end;
    uint64_t count;
    const struct node *pivots; // Of sorted tables.
};

static struct error *read_pivots(
    struct request *request, const struct table *table, struct reshard *reshard)
{
    const struct node *parameters = request->parameters;
    bool is_uniform = false;
    TRY(node_get_boolean(parameters, "uniform", &is_uniform));
    reshard->pivots = node_find_text(parameters, "pivot_keys");
    if (reshard->pivots && reshard->pivots->type == NODE_ENTITY) reshard->pivots = NULL;
    if (reshard->pivots && (reshard->pivots->type != NODE_LIST || reshard->count != 0)) {
        return error_new(ERROR_GENERIC, "Cannot specify both \"tablet_count\" and \"pivot_keys\"");
    }
    if (!table_is_sorted(table)) {
        if (!reshard->pivots) return tablet_count_check(reshard->count);
        return error_new(ERROR_GENERIC, "Table is ordered; must provide tablet count");
    }
    if (!reshard->pivots && (table->is_replicated || !is_uniform)) {
        return error_new(
            ERROR_GENERIC,
            table->is_replicated ? "Pivot keys must be provided to reshard a replicated table"
                                 : "Pivot keys must be provided to reshard a sorted table");
    }
    if (!reshard->pivots) {
        if (reshard->end - reshard->begin != table->tablet_count) {
            return error_new(ERROR_GENERIC, "\"uniform\" must reshard all tablets of the table");
        }
        TRY(tablet_count_check(reshard->count));
        struct node *spread = NULL;
        TRY(pivots_spread(&request->arena, table->schema, reshard->count, &spread));
        reshard->pivots = spread;
    }
    reshard->count = reshard->pivots->count;
    TRY(tablet_count_check(reshard->count));
    struct slice after = NO_PIVOT;
    bool has_after = reshard->end < table->tablet_count;
    if (has_after) after = buffer_slice(&table->tablets[reshard->end].pivot);
    struct slice first = buffer_slice(&table->tablets[reshard->begin].pivot);
    return pivots_check(table->schema, first, has_after ? &after : NULL, reshard->pivots);
}

static struct error *plan_reshard(
    struct request *request, const struct table *table, struct reshard *reshard)
{
    TRY(read_range(request, table, &reshard->begin, &reshard->end));
    for (uint32_t i = reshard->begin; i < reshard->end; i++) {
        if (table->tablets[i].state == TABLET_UNMOUNTED) continue;
        return error_new(
            ERROR_INVALID_TABLET_STATE,
            "Cannot reshard table since tablet %s is not unmounted",
            GUID_TEXT(table->tablets[i].id));
    }
    TRY(node_get_uint64(request->parameters, "tablet_count", &reshard->count));
    TRY(read_pivots(request, table, reshard));
    TRY(tablet_count_check(table->tablet_count - (reshard->end - reshard->begin) + reshard->count));
    if (table->is_replicated && has_rows(table)) {
        return error_new(
            ERROR_GENERIC,
            "Cannot reshard non-empty table of type \"%s\"",
            object_type_name(table->object->type));
    }
    if (table->is_replicated || table_is_sorted(table)) return NULL;
    // An ordered table's tablets keep their rows as long as there are enough of them.
    uint64_t kept_count = MIN(reshard->count, (uint64_t)(reshard->end - reshard->begin));
    reshard->begin += (uint32_t)kept_count;
    reshard->count -= kept_count;
    for (uint32_t i = reshard->begin; i < reshard->end; i++) {
        const struct tablet *tablet = &table->tablets[i];
        if (tablet->trimmed_row_count == tablet->total_row_count) continue;
        return error_new(
            ERROR_GENERIC,
            "Some chunks of tablet %s are not fully trimmed; such a tablet cannot participate in "
            "resharding",
            GUID_TEXT(tablet->id));
    }
    return NULL;
}

static struct error *do_reshard(struct machine *machine, struct request *request)
{
    struct cell *cell = &machine->cell;
    struct table *table = NULL;
    struct reshard reshard = {0};
    TRY(find_dynamic(machine, request, "reshard", &table));
    TRY(plan_reshard(request, table, &reshard));
    // Sessions speak of the old tablets.
    if (table->is_replicated) coordinator_table_removing(&machine->coordinator, table);
    table_replace_tablets(
        &cell->tree, &cell->batch, table, reshard.begin, reshard.end, (uint32_t)reshard.count);
    struct error *error = NULL;
    if (reshard.pivots) error = table_set_pivots(table, reshard.begin, reshard.pivots);
    if (!error && table->is_replicated) {
        error = coordinator_table_added(&machine->coordinator, table);
    }
    for (size_t i = 0; !error && i < arr_count(table->replicas); i++) {
        // The log is empty: no tablet has another place to begin.
        arr_free(table->replicas[i]->start_row_indexes);
        object_save(&cell->batch, table->replicas[i]->object);
        error = coordinator_replica_added(&machine->coordinator, table->replicas[i]);
    }
    object_save(&cell->batch, table->object);
    return error;
}

void command_reshard_table(struct machine *machine, struct request *request)
{
    command_answer(machine, request, do_reshard(machine, request), NULL);
}

// -------------------------------------------------------------------------------------------------
// Alter

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
    TRY(find_table(machine, request, &table));
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

// -------------------------------------------------------------------------------------------------
// Trim

static struct error *do_trim(struct machine *machine, struct request *request)
{
    struct cell *cell = &machine->cell;
    struct table *table = NULL;
    uint64_t index = 0;
    uint64_t trimmed = 0;
    struct ypath path;
    TRY(command_path(request, &path));
    TRY(tree_resolve_table(&cell->tree, &request->arena, path.text, &table));
    TRY(node_get_uint64(request->parameters, "tablet_index", &index));
    TRY(node_get_uint64(request->parameters, "trimmed_row_count", &trimmed));
    if (table->is_replicated) {
        return error_new(
            ERROR_GENERIC, "A replicated table cannot be trimmed: it trims its log by itself");
    }
    if (table_is_sorted(table)) {
        return error_new(ERROR_GENERIC, "Cannot trim rows of a sorted table");
    }
    if (index >= table->tablet_count) {
        return error_new(
            ERROR_GENERIC,
            "Invalid tablet index: actual %" PRIu64 ", expected in range [0, %u]",
            index,
            table->tablet_count - 1);
    }
    struct tablet *tablet = &table->tablets[index];
    if (tablet->state != TABLET_MOUNTED) {
        return error_new(
            ERROR_TABLET_NOT_MOUNTED,
            "Tablet %s of table %.*s is in \"%s\" state",
            GUID_TEXT(tablet->id),
            SLICE(object_path(&request->arena, table->object)),
            tablet_state_name(tablet->state));
    }
    ordered_trim(&cell->batch, tablet, MIN(trimmed, tablet->total_row_count));
    return NULL;
}

void command_trim_rows(struct machine *machine, struct request *request)
{
    command_answer(machine, request, do_trim(machine, request), NULL);
}
