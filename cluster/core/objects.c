#include "cluster/core/object_parts.h"

#include "cluster/core/access.h"
#include "cluster/core/layout.h"
#include "cluster/core/subjects.h"
#include "model/yson.h"

#include <assert.h>

enum { NUMBER_SIZE = sizeof(uint32_t) };

const struct guid ROOT_ID = {.high = 1, .low = UINT64_C(303) << 32};

// -------------------------------------------------------------------------------------------------
// Memory

static void release_tablet(struct tablet *tablet)
{
    assert(!tablet->queue);
    buffer_release(&tablet->pivot);
}

static void free_tablets(struct tree *tree, struct table *table)
{
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        HASH_DELETE(hh, tree->tablets, &table->tablets[i]);
        release_tablet(&table->tablets[i]);
    }
    free(table->tablets);
}

static void free_table(struct tree *tree, struct table *table)
{
    assert(!table->sink);
    free_tablets(tree, table);
    arr_free(table->replicas);
    computed_free(table->computed);
    tracker_options_release(&table->tracker_options);
    arena_release(&table->arena);
    free(table);
}

static void free_replica(struct replica *replica)
{
    assert(!replica->session);
    buffer_release(&replica->cluster_name);
    buffer_release(&replica->path);
    arr_free(replica->start_row_indexes);
    free(replica);
}

static void free_collocation(struct collocation *collocation)
{
    arr_free(collocation->tables);
    collocation_options_release(&collocation->options);
    free(collocation);
}

static void free_object(struct tree *tree, struct object *object)
{
    HASH_DELETE(hh, tree->objects, object);
    if (object->table) free_table(tree, object->table);
    if (object->replica) free_replica(object->replica);
    if (object->collocation) free_collocation(object->collocation);
    membership_free(object->membership);
    access_free(object->access);
    HASH_CLEAR(hh_name, object->children);
    buffer_release(&object->name);
    buffer_release(&object->attributes);
    buffer_release(&object->value);
    free(object);
}

void tree_release(struct tree *tree)
{
    struct object *object = NULL;
    struct object *next = NULL;
    // First, since a child that was moved may be freed before its parent.
    for (object = tree->objects; object; object = object->hh.next)
        HASH_CLEAR(hh_name, object->children);
    HASH_ITER (hh, tree->objects, object, next) {
        free_object(tree, object);
    }
    tree->root = NULL;
}

// -------------------------------------------------------------------------------------------------
// Finding

struct object *tree_find(const struct tree *tree, struct guid id)
{
    struct object *object = NULL;
    HASH_FIND(hh, tree->objects, &id, sizeof id, object);
    return object;
}

struct tablet *tree_find_tablet(const struct tree *tree, struct guid id)
{
    struct tablet *tablet = NULL;
    HASH_FIND(hh, tree->tablets, &id, sizeof id, tablet);
    return tablet;
}

struct object *object_child(const struct object *object, struct slice name)
{
    struct object *child = NULL;
    HASH_FIND(hh_name, object->children, name.data, name.size, child);
    return child;
}

static struct object *walk(
    const struct tree *tree, const struct ypath *path, int depth, uint16_t *ret_name_count);

// What a link leads to, NULL if that is not there.
// NOLINTNEXTLINE(misc-no-recursion): LINK_DEPTH_MAX.
static struct object *follow(const struct tree *tree, const struct object *link, int depth)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct ypath path;
    if (depth == LINK_DEPTH_MAX) return NULL;
    struct error *error = ypath_parse(&arena, buffer_slice(&link->value), &path);
    error_free(error); // It was checked when the link was made.
    if (error) return NULL;
    uint16_t name_count = 0;
    struct object *object = walk(tree, &path, depth + 1, &name_count);
    return name_count == path.name_count ? object : NULL;
}

// NOLINTNEXTLINE(misc-no-recursion): LINK_DEPTH_MAX.
static struct object *walk(
    const struct tree *tree, const struct ypath *path, int depth, uint16_t *ret_name_count)
{
    struct object *object = guid_is_null(path->root) ? tree->root : tree_find(tree, path->root);
    *ret_name_count = 0;
    for (uint16_t i = 0; object; i++) {
        bool is_last = i == path->name_count;
        if (object->type == OBJECT_LINK && (!is_last || !path->keeps_link)) {
            struct object *target = follow(tree, object, depth);
            if (!target) return i == 0 ? NULL : object; // Its name does not count.
            object = target;
        }
        *ret_name_count = i;
        if (is_last) return object;
        struct object *child = object_child(object, path->names[i]);
        if (!child) return object;
        object = child;
    }
    return NULL;
}

bool tree_is_fixed(const struct tree *tree, const struct object *object)
{
    if (object == tree->users || object == tree->groups || object == tree->tokens) return true;
    bool is_high = object == tree->root || object->parent == tree->root;
    return is_high && object->type == OBJECT_MAP_NODE;
}

struct object *tree_walk(
    const struct tree *tree, const struct ypath *path, uint16_t *ret_name_count)
{
    return walk(tree, path, 0, ret_name_count);
}

struct error *tree_resolve(
    const struct tree *tree, const struct ypath *path, struct object **ret_object)
{
    uint16_t name_count = 0;
    struct object *object = tree_walk(tree, path, &name_count);
    struct error *inner = NULL;
    if (!object) {
        inner = error_new(ERROR_RESOLVE_ERROR, "No such object %s", GUID_TEXT(path->root));
    } else if (name_count < path->name_count) {
        struct arena arena CLEANUP(arena_releasep) = {0};
        struct slice at = object_path(&arena, object);
        struct slice name = path->names[name_count];
        if (object->type == OBJECT_MAP_NODE) {
            inner = error_new(
                ERROR_RESOLVE_ERROR,
                "Node %.*s has no child with key \"%.*s\"",
                SLICE(at),
                SLICE(name));
        } else if (object->type == OBJECT_LINK) {
            inner = error_new(
                ERROR_RESOLVE_ERROR,
                "Link %.*s leads to %.*s, which does not exist",
                SLICE(at),
                SLICE(buffer_slice(&object->value)));
        } else {
            inner = error_new(
                ERROR_RESOLVE_ERROR,
                "Node %.*s cannot have children: it is a %s",
                SLICE(at),
                object_type_name(object->type));
        }
    }
    if (inner) {
        struct error *error =
            error_wrap(inner, ERROR_RESOLVE_ERROR, "Error resolving path %.*s", SLICE(path->text));
        CLEANUP(buffer_releasep) struct buffer text = {0};
        buffer_print(&text, "%.*s", SLICE(path->text));
        buffer_append_byte(&text, 0);
        return error_set_str(error, "path", text.data);
    }
    *ret_object = object;
    return NULL;
}

struct error *tree_resolve_table(
    const struct tree *tree, struct arena *arena, struct slice text, struct table **ret_table)
{
    struct ypath path;
    TRY(ypath_parse(arena, text, &path));
    if (path.has_attribute) {
        return error_new(
            ERROR_GENERIC, "Path %.*s leads to an attribute, not a table", SLICE(text));
    }
    struct object *object = NULL;
    TRY(tree_resolve(tree, &path, &object));
    if (!object->table) {
        return error_new(
            ERROR_GENERIC,
            "%.*s is not a table: its type is \"%s\"",
            SLICE(text),
            object_type_name(object->type));
    }
    *ret_table = object->table;
    return NULL;
}

struct slice object_path(struct arena *arena, const struct object *object)
{
    if (!object->parent) {
        if (guid_equal(object->id, ROOT_ID)) return SLICE_OF("/");
        return slice_from_text(arena_print(arena, "#%s", GUID_TEXT(object->id)));
    }
    const struct object *chain[YPATH_DEPTH_MAX];
    size_t count = 0;
    for (const struct object *o = object; o->parent && count < YPATH_DEPTH_MAX; o = o->parent) {
        chain[count++] = o;
    }
    CLEANUP(buffer_releasep) struct buffer text = {0};
    buffer_append_text(&text, "/");
    while (count > 0) ypath_print_name(buffer_slice(&chain[--count]->name), &text);
    return arena_copy(arena, buffer_slice(&text));
}

// -------------------------------------------------------------------------------------------------
// Making and removing

void object_set_bytes(struct buffer *buffer, struct slice bytes)
{
    buffer_clear(buffer);
    buffer_append_slice(buffer, bytes);
}

void tree_add_tablet(struct tree *tree, struct tablet *tablet)
{
    HASH_ADD(hh, tree->tablets, id, sizeof tablet->id, tablet);
}

struct table *object_begin_table(struct object *object)
{
    assert(!object->table);
    struct table *table = must_alloc(calloc(1, sizeof *table));
    object->table = table;
    table->object = object;
    table->tracker_options = tracker_options_default();
    return table;
}

void object_add_child(struct object *parent, struct object *child)
{
    child->parent = parent;
    HASH_ADD_KEYPTR(hh_name, parent->children, child->name.data, child->name.size, child);
}

static void save_counters(struct tree *tree, struct store_batch *batch)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_varint(&value, tree->next_counter);
    put_varint(&value, tree->next_number);
    struct layout_key key = layout_cell("counters");
    store_batch_put(batch, STORE_META, layout_slice(&key), buffer_slice(&value));
}

struct guid tree_new_id(struct tree *tree, struct store_batch *batch, enum object_type type)
{
    uint64_t counter = tree->next_counter++;
    save_counters(tree, batch);
    return guid_make(counter, tree->origin.cell_tag, type, tree->origin.salt);
}

uint32_t tree_new_number(struct tree *tree, struct store_batch *batch)
{
    uint32_t number = tree->next_number++;
    save_counters(tree, batch);
    return number;
}

struct object *object_new(
    struct tree *tree,
    struct store_batch *batch,
    enum object_type type,
    struct object *parent,
    struct slice name,
    uint64_t wall_us)
{
    struct object *object = must_alloc(calloc(1, sizeof *object));
    object->id = tree_new_id(tree, batch, type);
    object->type = type;
    object->created_wall_us = wall_us;
    buffer_append_slice(&object->name, name);
    HASH_ADD(hh, tree->objects, id, sizeof object->id, object);
    if (parent) object_add_child(parent, object);
    object_save(batch, object);
    return object;
}

static void remove_tablet_rows(struct store_batch *batch, uint32_t tablet_number)
{
    struct layout_key begin = layout_prefix(layout_ordered_row(tablet_number, 0), NUMBER_SIZE);
    struct layout_key end = layout_after(begin);
    store_batch_remove_range(batch, STORE_DATA, layout_slice(&begin), layout_slice(&end));
    store_batch_remove_range(batch, STORE_QUEUE, layout_slice(&begin), layout_slice(&end));
    struct layout_key trimmed = layout_ordered_trimmed(tablet_number);
    store_batch_remove(batch, STORE_META, layout_slice(&trimmed));
}

void table_replace_tablets(
    struct tree *tree,
    struct store_batch *batch,
    struct table *table,
    uint32_t begin,
    uint32_t end,
    uint32_t count)
{
    assert(begin <= end && end <= table->tablet_count);
    uint32_t kept_count = table->tablet_count - (end - begin);
    assert(count + kept_count > 0 && count + kept_count <= TABLET_COUNT_MAX);
    struct tablet *tablets = must_alloc(calloc(count + kept_count, sizeof *tablets));
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        HASH_DELETE(hh, tree->tablets, &table->tablets[i]);
        if (i < begin) tablets[i] = table->tablets[i];
        if (i >= end) tablets[i - end + begin + count] = table->tablets[i];
        if (i < begin || i >= end) continue;
        remove_tablet_rows(batch, table->tablets[i].number);
        release_tablet(&table->tablets[i]);
    }
    free(table->tablets);
    table->tablets = tablets;
    table->tablet_count = count + kept_count;
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        struct tablet *tablet = &tablets[i];
        if (i >= begin && i < begin + count) {
            tablet->table = table;
            tablet->id = tree_new_id(tree, batch, OBJECT_TABLET);
            tablet->number = tree_new_number(tree, batch);
            tablet->state = TABLET_UNMOUNTED;
        }
        tablet->index = i;
        tree_add_tablet(tree, tablet);
    }
}

void table_set_schema(struct table *table, const struct schema *schema)
{
    struct arena arena = {0};
    struct schema *copy = schema_copy(&arena, schema);
    schema_assign_ids(copy, table->schema ? table->schema : schema);
    arena_release(&table->arena);
    table->arena = arena;
    table->schema = copy;
    computed_free(TAKE(table->computed));
    struct error *error = computed_new(copy, &table->computed);
    assert(!error); // It was checked.
    error_free(error);
}

struct table *object_add_table(
    struct tree *tree,
    struct store_batch *batch,
    struct object *object,
    const struct schema *schema,
    uint32_t tablet_count)
{
    struct table *table = object_begin_table(object);
    table->number = tree_new_number(tree, batch);
    table_set_schema(table, schema);
    table_replace_tablets(tree, batch, table, 0, 0, tablet_count);
    return table;
}

void object_move(
    struct store_batch *batch, struct object *object, struct object *parent, struct slice name)
{
    HASH_DELETE(hh_name, object->parent->children, object);
    object_set_bytes(&object->name, name);
    object_add_child(parent, object);
    object_save(batch, object);
}

struct replica *object_add_replica(struct object *object, struct table *table)
{
    assert(!object->replica);
    struct replica *replica = must_alloc(calloc(1, sizeof *replica));
    object->replica = replica;
    replica->object = object;
    replica->table = table;
    arr_add(table->replicas, replica);
    return replica;
}

struct collocation *object_add_collocation(struct object *object)
{
    assert(!object->collocation);
    struct collocation *collocation = must_alloc(calloc(1, sizeof *collocation));
    object->collocation = collocation;
    collocation->object = object;
    return collocation;
}

void table_set_collocation(
    struct tree *tree,
    struct store_batch *batch,
    struct table *table,
    struct collocation *collocation)
{
    struct collocation *left = table->collocation;
    if (left == collocation) return;
    for (size_t i = 0; left && i < arr_count(left->tables); i++) {
        if (left->tables[i] != table) continue;
        arr_remove(left->tables, i);
        break;
    }
    table->collocation = collocation;
    if (collocation) arr_add(collocation->tables, table);
    object_save(batch, table->object);
    if (left && arr_count(left->tables) == 0) object_remove(tree, batch, left->object);
}

static void remove_rows(struct store_batch *batch, const struct table *table)
{
    struct layout_key begin = layout_prefix(layout_ordered_row(table->number, 0), NUMBER_SIZE);
    struct layout_key end = layout_after(begin);
    store_batch_remove_range(batch, STORE_DATA, layout_slice(&begin), layout_slice(&end));
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        remove_tablet_rows(batch, table->tablets[i].number);
    }
}

static void remove_replica_keys(struct store_batch *batch, const struct object *object)
{
    struct layout_key begin = layout_prefix(layout_progress(object->id, 0), 1 + sizeof object->id);
    struct layout_key end = layout_after(begin);
    store_batch_remove_range(batch, STORE_META, layout_slice(&begin), layout_slice(&end));
}

// Goes as deep as the tree, which is as deep as paths may be long.
// NOLINTNEXTLINE(misc-no-recursion)
void object_remove(struct tree *tree, struct store_batch *batch, struct object *object)
{
    while (object->children) object_remove(tree, batch, object->children);
    if (object->table) {
        while (arr_count(object->table->replicas) > 0) {
            object_remove(tree, batch, object->table->replicas[0]->object);
        }
        table_set_collocation(tree, batch, object->table, NULL);
        remove_rows(batch, object->table);
    }
    while (object->collocation && arr_count(object->collocation->tables) > 1)
        table_set_collocation(tree, batch, object->collocation->tables[0], NULL);
    if (object->collocation && arr_count(object->collocation->tables) == 1) {
        object->collocation->tables[0]->collocation = NULL; // The last one would remove us again.
        object_save(batch, object->collocation->tables[0]->object);
    }
    if (object->replica) {
        struct replica **replicas = object->replica->table->replicas;
        for (size_t i = 0; i < arr_count(replicas); i++) {
            if (replicas[i] == object->replica) {
                arr_remove(object->replica->table->replicas, i);
                break;
            }
        }
        remove_replica_keys(batch, object);
    }
    if (object->membership) subject_leave(tree, batch, object);
    struct layout_key key = layout_object(object->id);
    store_batch_remove(batch, STORE_META, layout_slice(&key));
    if (object->parent) HASH_DELETE(hh_name, object->parent->children, object);
    free_object(tree, object);
}

// -------------------------------------------------------------------------------------------------
// Attributes and settings

struct error *object_attributes(
    struct arena *arena, const struct object *object, struct node **ret_map)
{
    if (object->attributes.size == 0) {
        *ret_map = node_map(arena);
        return NULL;
    }
    return yson_parse(arena, buffer_slice(&object->attributes), ret_map);
}

struct error *object_set_attributes(struct object *object, const struct node *map)
{
    CLEANUP(buffer_releasep) struct buffer text = {0};
    buffer_init(&text, OBJECT_VALUE_SIZE_MAX);
    if (map->count > 0) yson_print(map, YSON_BINARY, &text);
    TRY(buffer_check(&text, "Attributes of an object"));
    object_set_bytes(&object->attributes, buffer_slice(&text));
    return NULL;
}

struct error *table_read_tracker_options(struct table *table, const struct node *attributes)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    const struct node *map = node_find_text(attributes, "replicated_table_options");
    if (!map || map->type == NODE_ENTITY) map = node_map(&arena);
    struct tracker_options options;
    TRY(tracker_options_parse(map, &options));
    tracker_options_release(&table->tracker_options);
    table->tracker_options = options;
    return NULL;
}

struct error *collocation_read_options(
    struct collocation *collocation, const struct node *attributes)
{
    struct collocation_options options;
    TRY(collocation_options_parse(node_find_text(attributes, "options"), &options));
    collocation_options_release(&collocation->options);
    collocation->options = options;
    return NULL;
}

struct tablet *table_tablet_of_key(struct table *table, struct slice key)
{
    uint32_t begin = 0; // The tablet is in [begin, end).
    uint32_t end = table->tablet_count;
    while (end - begin > 1) {
        uint32_t middle = begin + (end - begin) / 2;
        if (slice_compare(buffer_slice(&table->tablets[middle].pivot), key) <= 0) {
            begin = middle;
        } else {
            end = middle;
        }
    }
    return &table->tablets[begin];
}
