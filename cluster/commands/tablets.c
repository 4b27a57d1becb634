// The life of tablets: mount, unmount, freeze, unfreeze, remount; and trim_rows.
#include "cluster/commands/commands.h"

#include "cluster/core/ordered_trim.h"

#include <inttypes.h>

struct error *command_find_table(
    struct machine *machine, struct request *request, struct table **ret_table)
{
    struct ypath path;
    TRY(command_path(request, &path));
    TRY(tree_resolve_table(&machine->cell.tree, &request->arena, path.text, ret_table));
    return node_claim(machine, (*ret_table)->object, NODE_LOCK_EXCLUSIVE, slice_from("", 0));
}

struct error *command_find_dynamic_table(
    struct machine *machine, struct request *request, const char *verb, struct table **ret_table)
{
    TRY(command_find_table(machine, request, ret_table));
    if ((*ret_table)->is_dynamic) return NULL;
    return error_new(ERROR_GENERIC, "Cannot %s a static table", verb);
}

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

struct error *command_tablet_range(
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
    TRY(command_find_dynamic_table(machine, request, transition->verb, &table));
    TRY(command_tablet_range(request, table, &begin, &end));
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
    struct error *error = command_find_dynamic_table(machine, request, "remount", &table);
    if (!error) error = read_settings(table);
    if (!error && table->is_replicated) coordinator_table_changed(&machine->coordinator, table);
    command_answer(machine, request, error, NULL);
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
