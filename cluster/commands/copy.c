// copy, move, link: nodes under other names.
//
// A copy of a table has the rows of its source; a copy of a replicated table has its log, and
// clones of its replicas that stand where the originals stood (behaviour 3.6). Rows are copied
// first, in steps; then the nodes, all in one batch, so that a copy is there as a whole or not.
#include "cluster/commands/commands.h"

#include "cluster/commands/attributes.h"
#include "cluster/core/layout.h"
#include "cluster/core/row_copies.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"

// Rows are copied in steps of about this size, with time for other things in between.
static const uint64_t STEP_SIZE = 256 << 10;
static const uint64_t STEP_US = 2000;
enum { COPY_COUNT_MAX = 16 };

// What a table was like when its rows began to be copied.
struct copied_table {
    struct guid id;
    uint64_t last_write_timestamp; // Of all tablets.
    uint64_t row_count;
    uint64_t trimmed_row_count; // Not of logs, whose beginning nobody misses.
};

// A copy command that takes more than one step. Owned by the machine.
struct copying {
    struct request *request; // Owned.
    struct row_copies rows;
    struct copied_table *tables; // stb array: in the order of the tree.
    struct copying *next;
    struct copying *prev;
};

// Making the copy, once all rows are there.
struct copy {
    struct cell *cell;
    const struct copying *copying;
    size_t range_index; // Of the next table's or tablet's rows.
    bool keeps_access;  // Copies have the ACLs of what they are copied from.
};

// -------------------------------------------------------------------------------------------------
// Rows

static void plan_rows(struct copying *copying, const struct table *table)
{
    if (table_is_sorted(table) && !table->is_replicated) {
        row_copies_add(&copying->rows, STORE_DATA, table->number);
        return;
    }
    enum store_family family = table->is_replicated ? STORE_QUEUE : STORE_DATA;
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        row_copies_add(&copying->rows, family, table->tablets[i].number);
    }
}

// Gives a new table the numbers under which its rows are.
static void take_rows(struct copy *copy, struct table *table)
{
    const struct row_range *range = &copy->copying->rows.ranges[copy->range_index];
    if (table_is_sorted(table) && !table->is_replicated) {
        table->number = range->to;
        copy->range_index++;
        return;
    }
    for (uint32_t i = 0; i < table->tablet_count; i++) table->tablets[i].number = range[i].to;
    copy->range_index += table->tablet_count;
}

static struct copied_table describe(const struct table *table)
{
    struct copied_table copied = {.id = table->object->id};
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        const struct tablet *tablet = &table->tablets[i];
        copied.last_write_timestamp =
            MAX(copied.last_write_timestamp, tablet->last_write_timestamp);
        copied.row_count += tablet_total_row_count(tablet);
        if (!tablet->queue) copied.trimmed_row_count += tablet->trimmed_row_count;
    }
    return copied;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree.
static void plan_tree(struct copying *copying, const struct object *object)
{
    if (object->table) {
        arr_add(copying->tables, describe(object->table));
        plan_rows(copying, object->table);
    }
    for (const struct object *child = object->children; child; child = child->hh_name.next) {
        plan_tree(copying, child);
    }
}

// Whether the tables are those whose rows were copied, and as they were. `*index` goes through
// them.
// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree.
static bool is_as_planned(const struct copying *copying, const struct object *object, size_t *index)
{
    if (object->table) {
        if (*index == arr_count(copying->tables)) return false;
        const struct copied_table *then = &copying->tables[(*index)++];
        struct copied_table now = describe(object->table);
        if (!guid_equal(then->id, now.id) || then->row_count != now.row_count ||
            then->last_write_timestamp != now.last_write_timestamp ||
            then->trimmed_row_count != now.trimmed_row_count) {
            return false;
        }
    }
    for (const struct object *child = object->children; child; child = child->hh_name.next) {
        if (!is_as_planned(copying, child, index)) return false;
    }
    return true;
}

// -------------------------------------------------------------------------------------------------
// Checks

static struct error *check_quiet(const struct table *table, const char *verb)
{
    char what[32];
    snprintf(what, sizeof what, "%s dynamic table", verb);
    TRY(table_check_settled(table, what));
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        const struct tablet *tablet = &table->tablets[i];
        bool is_quiet = tablet->state == TABLET_FROZEN || tablet->state == TABLET_UNMOUNTED;
        if (is_quiet && tablet->undecided_count == 0) continue;
        return error_new(
            ERROR_INVALID_TABLET_STATE,
            "Cannot %s since not all tablets are frozen or unmounted",
            what);
    }
    return NULL;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree.
static struct error *check_source(const struct object *object, bool is_move, uint64_t *object_count)
{
    if (object->membership)
        return error_new(ERROR_GENERIC, "Users and groups cannot be copied or moved");
    if (object->table) TRY(check_quiet(object->table, is_move ? "move" : "copy"));
    if (object->table && is_move && object->table->is_replicated) {
        return error_new(ERROR_GENERIC, "A replicated table cannot be moved");
    }
    *object_count += 1 + (object->table ? arr_count(object->table->replicas) : 0);
    for (const struct object *child = object->children; child; child = child->hh_name.next) {
        TRY(check_source(child, is_move, object_count));
    }
    return NULL;
}

static bool is_within(const struct object *object, const struct object *tree)
{
    while (object && object != tree) object = object->parent;
    return object != NULL;
}

// -------------------------------------------------------------------------------------------------
// Copying

static void clone_replica(struct cell *cell, const struct replica *source, struct table *table)
{
    struct object *object = object_new(
        &cell->tree, &cell->batch, OBJECT_TABLE_REPLICA, NULL, slice_from("", 0), cell->wall_us);
    buffer_append_slice(&object->attributes, buffer_slice(&source->object->attributes));
    struct replica *replica = object_add_replica(object, table);
    buffer_append_slice(&replica->cluster_name, buffer_slice(&source->cluster_name));
    buffer_append_slice(&replica->path, buffer_slice(&source->path));
    replica->mode = source->mode;
    replica->state = REPLICA_STATE_DISABLED;
    replica->preserve_timestamps = source->preserve_timestamps;
    replica->is_atomicity_none = source->is_atomicity_none;
    replica->is_tracked = source->is_tracked;
    replica->start_timestamp = source->start_timestamp;
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        arr_add(replica->start_row_indexes, source->session->tablets[i].progress.row_index);
    }
    object_save(&cell->batch, object);
}

static void put_trimmed(struct cell *cell, const struct tablet *from, const struct tablet *to)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_varint(&value, from->trimmed_row_count);
    struct layout_key key = layout_ordered_trimmed(to->number);
    store_batch_put(&cell->batch, STORE_META, layout_slice(&key), buffer_slice(&value));
}

static struct error *copy_table(
    struct copy *copy, const struct table *source, struct object *object)
{
    struct cell *cell = copy->cell;
    struct table *table =
        object_add_table(&cell->tree, &cell->batch, object, source->schema, source->tablet_count);
    table->is_dynamic = source->is_dynamic;
    table->is_replicated = source->is_replicated;
    table->upstream_replica_id = source->upstream_replica_id;
    table->settings = source->settings;
    table->retained_timestamp = source->retained_timestamp;
    if (source->is_replicated) {
        struct arena arena CLEANUP(arena_releasep) = {0};
        struct node *attributes = NULL;
        TRY(object_attributes(&arena, source->object, &attributes));
        TRY(table_read_tracker_options(table, attributes));
    }
    take_rows(copy, table);
    bool is_ordered = !source->is_replicated && !table_is_sorted(source);
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        struct tablet *tablet = &table->tablets[i];
        const struct tablet *from = &source->tablets[i];
        buffer_append_slice(&tablet->pivot, buffer_slice(&from->pivot));
        tablet->last_write_timestamp = from->last_write_timestamp;
        tablet->total_row_count = from->total_row_count;
        tablet->trimmed_row_count = from->trimmed_row_count;
        if (is_ordered) put_trimmed(cell, from, tablet);
    }
    for (size_t i = 0; i < arr_count(source->replicas); i++) {
        clone_replica(cell, source->replicas[i], table);
    }
    return NULL;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree.
static struct error *copy_object(
    struct copy *copy,
    const struct object *source,
    struct object *parent,
    struct slice name,
    struct object **ret_object)
{
    struct cell *cell = copy->cell;
    struct object *object =
        object_new(&cell->tree, &cell->batch, source->type, parent, name, cell->wall_us);
    *ret_object = object;
    buffer_append_slice(&object->attributes, buffer_slice(&source->attributes));
    buffer_append_slice(&object->value, buffer_slice(&source->value));
    if (source->access && copy->keeps_access) access_copy(source->access, object);
    if (source->table) TRY(copy_table(copy, source->table, object));
    object_save(&cell->batch, object);
    for (struct object *child = source->children; child; child = child->hh_name.next) {
        struct object *unused = NULL;
        TRY(copy_object(copy, child, object, buffer_slice(&child->name), &unused));
    }
    return NULL;
}

// Makes the coordinator's part of new replicated tables, whose logs are in the store by now.
// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree.
static struct error *add_parts(struct machine *machine, struct object *object)
{
    struct table *table = object->table;
    if (table && table->is_replicated) {
        TRY(coordinator_table_added(&machine->coordinator, table));
        for (size_t i = 0; i < arr_count(table->replicas); i++) {
            TRY(coordinator_replica_added(&machine->coordinator, table->replicas[i]));
        }
    }
    for (struct object *child = object->children; child; child = child->hh_name.next) {
        TRY(add_parts(machine, child));
    }
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Commands

struct placement { // Where a copy, a moved node or a link comes.
    struct ypath path;
    bool is_recursive;
    bool is_forced;
    bool ignores_existing;
    struct object *parent;
    struct object *existing;
};

static struct error *read_placement(
    struct machine *machine, struct request *request, const char *name, struct placement *placement)
{
    const struct node *parameters = request->parameters;
    TRY(command_named_path(request, name, &placement->path));
    TRY(node_get_boolean(parameters, "recursive", &placement->is_recursive));
    TRY(node_get_boolean(parameters, "force", &placement->is_forced));
    TRY(node_get_boolean(parameters, "ignore_existing", &placement->ignores_existing));
    if (placement->path.has_attribute || placement->path.name_count == 0) {
        return error_new(
            ERROR_GENERIC, "%.*s cannot be the path of a node", SLICE(placement->path.text));
    }
    placement->path.keeps_link = true;
    uint16_t name_count = 0;
    struct object *object = tree_walk(&machine->cell.tree, &placement->path, &name_count);
    bool exists = object && name_count == placement->path.name_count;
    placement->existing = exists ? object : NULL;
    if (!exists || placement->is_forced || placement->ignores_existing) return NULL;
    return error_new(ERROR_ALREADY_EXISTS, "Node %.*s already exists", SLICE(placement->path.text));
}

// Makes the place free. All that can be wrong with the rest must have been checked.
static struct error *make_place(
    struct machine *machine, struct slice user, struct placement *placement)
{
    if (placement->existing) {
        placement->parent = placement->existing->parent;
        TRY(node_check_folder(machine, placement->parent));
        return object_drop(machine, user, placement->existing, true);
    }
    struct object *unused = NULL;
    return node_find_parent(
        machine, user, &placement->path, placement->is_recursive, &placement->parent, &unused);
}

static struct slice last_name(const struct placement *placement)
{
    return placement->path.names[placement->path.name_count - 1];
}

static struct error *check_distance(
    const struct machine *machine, const struct object *source, const struct placement *placement)
{
    uint16_t name_count = 0;
    const struct object *at = tree_walk(&machine->cell.tree, &placement->path, &name_count);
    if (is_within(at, source)) {
        return error_new(ERROR_GENERIC, "Cannot copy or move a node into itself");
    }
    if (!placement->existing || !is_within(source, placement->existing)) return NULL;
    return error_new(
        ERROR_GENERIC, "Cannot replace node %.*s by a part of it", SLICE(placement->path.text));
}

// What a copy or move is about.
struct relocation {
    struct object *source;
    struct placement placement;
    bool keeps_access;
    bool is_idle; // The destination is there and may stay.
};

static struct error *check_relocation(
    struct machine *machine, struct request *request, bool is_move, struct relocation *relocation)
{
    struct tree *tree = &machine->cell.tree;
    struct slice user = request->user;
    struct ypath source_path;
    struct placement *placement = &relocation->placement;
    *relocation = (struct relocation){0};
    TRY(command_named_path(request, "source_path", &source_path));
    source_path.keeps_link = true;
    TRY(tree_resolve(tree, &source_path, &relocation->source));
    struct object *source = relocation->source;
    TRY(read_placement(machine, request, "destination_path", placement));
    relocation->is_idle =
        placement->existing && placement->ignores_existing && !placement->is_forced;
    if (relocation->is_idle) return NULL;
    if (source_path.has_attribute || !source->parent) {
        return error_new(ERROR_GENERIC, "%.*s is not a node of the tree", SLICE(source_path.text));
    }
    if (is_move && tree_is_fixed(tree, source)) {
        return error_new(ERROR_GENERIC, "This node belongs to the cluster and cannot be moved");
    }
    uint64_t object_count = 0;
    TRY(node_get_boolean(request->parameters, "preserve_acl", &relocation->keeps_access));
    TRY(access_check_all(tree, user, is_move ? PERMISSION_REMOVE : PERMISSION_READ, source));
    if (is_move) TRY(access_check(tree, user, PERMISSIONS_CHANGE_CHILDREN, source->parent));
    if (relocation->keeps_access && !is_move)
        TRY(access_check_all(tree, user, PERMISSION_ADMINISTER, source));
    TRY(check_distance(machine, source, placement));
    TRY(check_source(source, is_move, &object_count));
    if (!is_move && HASH_COUNT(tree->objects) + object_count > OBJECT_COUNT_MAX) {
        return error_new(ERROR_GENERIC, "The cluster has too many objects");
    }
    return NULL;
}

static void answer_id(
    struct machine *machine, struct request *request, struct error *error, struct object *object)
{
    struct node *node = error ? NULL : node_guid(&request->arena, object->id);
    command_answer(machine, request, error, node);
}

// The rows are there: makes the nodes, if nothing has changed meanwhile.
static struct error *make_copy(
    struct machine *machine, struct copying *copying, struct object **ret_object)
{
    struct cell *cell = &machine->cell;
    struct request *request = copying->request;
    struct relocation relocation;
    TRY(check_relocation(machine, request, false, &relocation));
    struct object *source = relocation.source;
    size_t index = 0;
    bool is_same = is_as_planned(copying, source, &index) && index == arr_count(copying->tables);
    if (relocation.is_idle || !is_same) {
        return error_new(
            ERROR_GENERIC, "The source or destination of a copy has changed: copy it again");
    }
    TRY(make_place(machine, request->user, &relocation.placement));
    struct object *parent = relocation.placement.parent;
    struct slice name = last_name(&relocation.placement);
    struct copy copy = {.cell = cell, .copying = copying, .keeps_access = relocation.keeps_access};
    TRY(copy_object(&copy, source, parent, name, ret_object));
    if (!copy.keeps_access) access_own(&cell->tree, &cell->batch, request->user, *ret_object);
    row_copies_keep(&copying->rows);
    cell_apply(cell); // Queues are loaded from the store.
    return add_parts(machine, *ret_object);
}

static void free_copying(struct copying *copying)
{
    request_free(copying->request);
    row_copies_release(&copying->rows);
    arr_free(copying->tables);
    free(copying);
}

void copyings_release(struct machine *machine)
{
    struct copying *copying = NULL;
    struct copying *next = NULL;
    DL_FOREACH_SAFE (machine->copyings, copying, next) {
        free_copying(copying);
    }
    machine->copyings = NULL;
}

// One step of a copy; true when it is over and answered.
static bool step(struct machine *machine, struct copying *copying)
{
    bool is_done = false;
    struct object *object = NULL;
    struct error *error = row_copies_step(&copying->rows, STEP_SIZE, &is_done);
    if (!error && !is_done) {
        cell_apply(&machine->cell);
        return false;
    }
    if (!error) error = make_copy(machine, copying, &object);
    if (error) row_copies_drop(&copying->rows);
    answer_id(machine, TAKE(copying->request), error, object);
    return true;
}

void copyings_tick(struct machine *machine)
{
    struct copying *copying = machine->copyings;
    if (!copying || machine->cell.now_us < machine->copyings_step_at_us) return;
    machine->copyings_step_at_us = machine->cell.now_us + STEP_US;
    if (!step(machine, copying)) return;
    DL_DELETE(machine->copyings, copying);
    free_copying(copying);
}

static struct error *start_copy(
    struct machine *machine, struct request *request, struct object **ret_existing)
{
    struct relocation relocation;
    TRY(check_relocation(machine, request, false, &relocation));
    if (relocation.is_idle) {
        *ret_existing = relocation.placement.existing;
        return NULL;
    }
    size_t count = 0;
    const struct copying *other = NULL;
    DL_COUNT(machine->copyings, other, count);
    if (count >= COPY_COUNT_MAX) {
        struct error *error = error_new(ERROR_REQUEST_THROTTLED, "Too many copies are made now");
        return error_set_u64(error, "count_max", COPY_COUNT_MAX);
    }
    struct copying *copying = must_alloc(calloc(1, sizeof *copying));
    copying->request = request;
    row_copies_init(&copying->rows, &machine->cell);
    plan_tree(copying, relocation.source);
    if (step(machine, copying)) { // Most copies are small.
        free_copying(copying);
    } else {
        DL_APPEND(machine->copyings, copying);
    }
    return NULL;
}

void command_copy(struct machine *machine, struct request *request)
{
    struct object *existing = NULL;
    struct error *error = start_copy(machine, request, &existing);
    if (error || existing) answer_id(machine, request, error, existing);
}

static struct error *do_move(
    struct machine *machine, struct request *request, struct object **ret_object)
{
    struct relocation relocation;
    TRY(check_relocation(machine, request, true, &relocation));
    struct object *source = relocation.source;
    struct placement *placement = &relocation.placement;
    *ret_object = relocation.is_idle ? placement->existing : source;
    if (relocation.is_idle) return NULL;
    TRY(node_claim_all(machine, source));
    TRY(node_claim_child(machine, source->parent, buffer_slice(&source->name)));
    TRY(make_place(machine, request->user, placement));
    object_move(&machine->cell.batch, source, placement->parent, last_name(placement));
    return NULL;
}

void command_move(struct machine *machine, struct request *request)
{
    struct object *object = NULL;
    struct error *error = do_move(machine, request, &object);
    answer_id(machine, request, error, object);
}

static struct error *make_link(
    struct machine *machine, struct request *request, struct object **ret_object)
{
    struct cell *cell = &machine->cell;
    struct ypath target;
    struct object *object = NULL;
    struct placement placement = {0};
    TRY(command_named_path(request, "target_path", &target));
    TRY(tree_resolve(&cell->tree, &target, &object));
    TRY(read_placement(machine, request, "link_path", &placement));
    if (placement.existing && placement.ignores_existing && !placement.is_forced) {
        *ret_object = placement.existing;
        return NULL;
    }
    if (target.has_attribute) {
        return error_new(ERROR_GENERIC, "A link cannot lead to an attribute");
    }
    if (placement.existing && is_within(object, placement.existing)) {
        return error_new(ERROR_GENERIC, "A link cannot replace what it leads to");
    }
    const struct node *attributes = node_find_text(request->parameters, "attributes");
    if (attributes && attributes->type == NODE_ENTITY) attributes = NULL;
    if (attributes && attributes->type != NODE_MAP) {
        return error_new(ERROR_GENERIC, "Parameter \"attributes\" must be a map");
    }
    if (attributes) TRY(value_check_size(attributes, "Attributes of an object"));
    TRY(make_place(machine, request->user, &placement));
    object = object_new(
        &cell->tree,
        &cell->batch,
        OBJECT_LINK,
        placement.parent,
        last_name(&placement),
        cell->wall_us);
    buffer_append_slice(&object->value, target.plain);
    if (attributes) TRY(object_set_attributes(object, attributes));
    object_save(&cell->batch, object);
    access_own(&cell->tree, &cell->batch, request->user, object);
    *ret_object = object;
    return NULL;
}

void command_link(struct machine *machine, struct request *request)
{
    struct object *object = NULL;
    struct error *error = make_link(machine, request, &object);
    answer_id(machine, request, error, object);
}
