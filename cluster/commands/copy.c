// copy, move, link: nodes under other names.
//
// A copy of a table has the rows of its source; a copy of a replicated table has its log, and
// clones of its replicas that stand where the originals stood (behaviour 3.6). All of it is one
// batch.
#include "cluster/commands/commands.h"

#include "cluster/core/layout.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"

// Of the rows and log records that one command may copy: they go through memory.
static const uint64_t COPY_SIZE_MAX = UINT64_C(64) << 20;

enum { NUMBER_SIZE = sizeof(uint32_t) };

// -------------------------------------------------------------------------------------------------
// Rows

// Rows of a table or tablet lie under its number; a copy has them under another.
struct row_copy {
    struct cell *cell;
    struct store_batch *batch; // NULL to count only.
    uint64_t size;
    bool keeps_access; // Copies have the ACLs of what they are copied from.
};

static struct error *copy_range(
    struct row_copy *copy, enum store_family family, uint32_t from, uint32_t to)
{
    struct layout_key begin = layout_prefix(layout_ordered_row(from, 0), NUMBER_SIZE);
    struct layout_key end = layout_after(begin);
    struct layout_key prefix = layout_prefix(layout_ordered_row(to, 0), NUMBER_SIZE);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = store_iterator_new(
        copy->cell->store, NULL, family, layout_slice(&begin), layout_slice(&end));
    CLEANUP(buffer_releasep) struct buffer key = {0};
    for (store_iterator_seek(iterator, layout_slice(&begin)); store_iterator_is_valid(iterator);
         store_iterator_next(iterator)) {
        struct slice old_key = store_iterator_key(iterator);
        struct slice value = store_iterator_value(iterator);
        copy->size += old_key.size + value.size;
        if (copy->size > COPY_SIZE_MAX) {
            struct error *error = error_new(ERROR_GENERIC, "There is too much data to be copied");
            return error_set_u64(error, "size_max", COPY_SIZE_MAX);
        }
        if (!copy->batch) continue;
        buffer_clear(&key);
        buffer_append_slice(&key, layout_slice(&prefix));
        buffer_append(&key, old_key.data + NUMBER_SIZE, old_key.size - NUMBER_SIZE);
        store_batch_put(copy->batch, family, buffer_slice(&key), value);
    }
    return store_iterator_error(iterator);
}

// `to` is NULL to count only.
static struct error *copy_rows(
    struct row_copy *copy, const struct table *from, const struct table *to)
{
    if (table_is_sorted(from) && !from->is_replicated) {
        return copy_range(copy, STORE_DATA, from->number, to ? to->number : 0);
    }
    enum store_family family = from->is_replicated ? STORE_QUEUE : STORE_DATA;
    for (uint32_t i = 0; i < from->tablet_count; i++) {
        uint32_t number = to ? to->tablets[i].number : 0;
        TRY(copy_range(copy, family, from->tablets[i].number, number));
    }
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Checks

static struct error *check_quiet(const struct table *table, const char *verb)
{
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        const struct tablet *tablet = &table->tablets[i];
        bool is_quiet = tablet->state == TABLET_FROZEN || tablet->state == TABLET_UNMOUNTED;
        if (is_quiet && tablet->undecided_count == 0) continue;
        return error_new(
            ERROR_INVALID_TABLET_STATE,
            "Cannot %s dynamic table since not all tablets are frozen or unmounted",
            verb);
    }
    return NULL;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree.
static struct error *check_source(
    const struct object *object, bool is_move, struct row_copy *copy, uint64_t *object_count)
{
    if (object->membership)
        return error_new(ERROR_GENERIC, "Users and groups cannot be copied or moved");
    if (object->table) TRY(check_quiet(object->table, is_move ? "move" : "copy"));
    if (object->table && is_move && object->table->is_replicated) {
        return error_new(ERROR_GENERIC, "A replicated table cannot be moved");
    }
    if (object->table && !is_move) TRY(copy_rows(copy, object->table, NULL));
    *object_count += 1 + (object->table ? arr_count(object->table->replicas) : 0);
    for (const struct object *child = object->children; child; child = child->hh_name.next) {
        TRY(check_source(child, is_move, copy, object_count));
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
    struct row_copy *copy, const struct table *source, struct object *object)
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
    TRY(copy_rows(copy, source, table));
    for (size_t i = 0; i < arr_count(source->replicas); i++) {
        clone_replica(cell, source->replicas[i], table);
    }
    return NULL;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree.
static struct error *copy_object(
    struct row_copy *copy,
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

static struct error *copy_or_move(
    struct machine *machine, struct request *request, bool is_move, struct object **ret_object)
{
    struct cell *cell = &machine->cell;
    struct slice user = request->user;
    struct ypath source_path;
    struct object *source = NULL;
    struct placement placement = {0};
    TRY(command_named_path(request, "source_path", &source_path));
    source_path.keeps_link = true;
    TRY(tree_resolve(&cell->tree, &source_path, &source));
    TRY(read_placement(machine, request, "destination_path", &placement));
    if (placement.existing && placement.ignores_existing && !placement.is_forced) {
        *ret_object = placement.existing;
        return NULL;
    }
    if (source_path.has_attribute || !source->parent) {
        return error_new(ERROR_GENERIC, "%.*s is not a node of the tree", SLICE(source_path.text));
    }
    if (is_move && tree_is_fixed(&cell->tree, source)) {
        return error_new(ERROR_GENERIC, "This node belongs to the cluster and cannot be moved");
    }
    struct row_copy copy = {.cell = cell};
    uint64_t object_count = 0;
    TRY(node_get_boolean(request->parameters, "preserve_acl", &copy.keeps_access));
    TRY(access_check_all(&cell->tree, user, is_move ? PERMISSION_REMOVE : PERMISSION_READ, source));
    if (is_move) TRY(access_check(&cell->tree, user, PERMISSIONS_CHANGE_CHILDREN, source->parent));
    if (copy.keeps_access && !is_move)
        TRY(access_check_all(&cell->tree, user, PERMISSION_ADMINISTER, source));
    TRY(check_distance(machine, source, &placement));
    TRY(check_source(source, is_move, &copy, &object_count));
    if (!is_move && HASH_COUNT(cell->tree.objects) + object_count > OBJECT_COUNT_MAX) {
        return error_new(ERROR_GENERIC, "The cluster has too many objects");
    }
    if (is_move) {
        TRY(node_claim_all(machine, source));
        TRY(node_claim_child(machine, source->parent, buffer_slice(&source->name)));
    }
    TRY(make_place(machine, user, &placement));
    if (is_move) {
        object_move(&cell->batch, source, placement.parent, last_name(&placement));
        *ret_object = source;
        return NULL;
    }
    copy.batch = &cell->batch;
    copy.size = 0;
    TRY(copy_object(&copy, source, placement.parent, last_name(&placement), ret_object));
    if (!copy.keeps_access) access_own(&cell->tree, &cell->batch, user, *ret_object);
    cell_apply(cell); // Queues are loaded from the store.
    return add_parts(machine, *ret_object);
}

static void answer_id(
    struct machine *machine, struct request *request, struct error *error, struct object *object)
{
    struct node *node = error ? NULL : node_guid(&request->arena, object->id);
    command_answer(machine, request, error, node);
}

void command_copy(struct machine *machine, struct request *request)
{
    struct object *object = NULL;
    struct error *error = copy_or_move(machine, request, false, &object);
    answer_id(machine, request, error, object);
}

void command_move(struct machine *machine, struct request *request)
{
    struct object *object = NULL;
    struct error *error = copy_or_move(machine, request, true, &object);
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
