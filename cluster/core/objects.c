#include "cluster/core/objects.h"

#include "cluster/core/access.h"
#include "cluster/core/layout.h"
#include "cluster/core/subjects.h"
#include "model/key.h"
#include "model/yson.h"

#include <assert.h>
#include <inttypes.h>

// Records of version 2 say nothing about access.
enum { RECORD_VERSION = 3, RECORD_VERSION_MIN = 2, NUMBER_SIZE = sizeof(uint32_t) };

static const struct guid ROOT_ID = {.high = 1, .low = UINT64_C(303) << 32};

// -------------------------------------------------------------------------------------------------
// Encoding

static void put_guid(struct buffer *buffer, struct guid id)
{
    put_fixed64(buffer, id.high);
    put_fixed64(buffer, id.low);
}

static struct guid get_guid(struct reader *reader)
{
    struct guid id;
    id.high = get_fixed64(reader);
    id.low = get_fixed64(reader);
    return id;
}

static void encode_table(const struct table *table, struct buffer *buffer)
{
    put_u8(buffer, table->is_dynamic);
    put_u8(buffer, table->is_replicated);
    put_guid(buffer, table->upstream_replica_id);
    put_varint(buffer, table->number);
    put_varint(buffer, table->mode_revision);
    put_guid(buffer, table->collocation ? table->collocation->object->id : GUID_NULL);
    CLEANUP(buffer_releasep) struct buffer schema = {0};
    schema_encode(table->schema, &schema);
    put_bytes(buffer, buffer_slice(&schema));
    put_varint(buffer, table->tablet_count);
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        const struct tablet *tablet = &table->tablets[i];
        put_guid(buffer, tablet->id);
        put_varint(buffer, tablet->number);
        put_varint(buffer, tablet->state);
        put_bytes(buffer, buffer_slice(&tablet->pivot));
    }
    put_varint(buffer, table->retained_timestamp);
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        put_varint(buffer, table->tablets[i].mounted_wall_us);
    }
}

static void encode_replica(const struct replica *replica, struct buffer *buffer)
{
    put_guid(buffer, replica->table->object->id);
    put_bytes(buffer, buffer_slice(&replica->cluster_name));
    put_bytes(buffer, buffer_slice(&replica->path));
    put_u8(buffer, (uint8_t)replica->mode);
    put_u8(buffer, (uint8_t)replica->state);
    put_u8(buffer, replica->preserve_timestamps);
    put_u8(buffer, replica->is_atomicity_none);
    put_u8(buffer, replica->is_tracked);
    put_u8(buffer, replica->was_ever_enabled);
    put_varint(buffer, replica->start_timestamp);
    put_varint(buffer, arr_count(replica->start_row_indexes));
    for (size_t i = 0; i < arr_count(replica->start_row_indexes); i++) {
        put_varint(buffer, replica->start_row_indexes[i]);
    }
}

static void encode_members(const struct membership *membership, struct buffer *buffer)
{
    put_varint(buffer, arr_count(membership->members));
    for (size_t i = 0; i < arr_count(membership->members); i++)
        put_guid(buffer, membership->members[i]->id);
}

static uint8_t body_kind(const struct object *object)
{
    if (object->table) return 1;
    if (object->replica) return 2;
    if (object->collocation) return 3;
    return object->membership ? 4 : 0;
}

void object_save(struct store_batch *batch, const struct object *object)
{
    CLEANUP(buffer_releasep) struct buffer record = {0};
    put_u8(&record, RECORD_VERSION);
    put_varint(&record, object->type);
    put_guid(&record, object->parent ? object->parent->id : GUID_NULL);
    put_bytes(&record, buffer_slice(&object->name));
    put_bytes(&record, buffer_slice(&object->attributes));
    put_bytes(&record, buffer_slice(&object->value));
    put_varint(&record, object->created_wall_us);
    CLEANUP(buffer_releasep) struct buffer access = {0};
    if (object->access) access_encode(object->access, &access);
    put_bytes(&record, buffer_slice(&access));
    put_u8(&record, body_kind(object));
    if (object->table) encode_table(object->table, &record);
    if (object->replica) encode_replica(object->replica, &record);
    if (object->membership) encode_members(object->membership, &record);
    struct layout_key key = layout_object(object->id);
    store_batch_put(batch, STORE_META, layout_slice(&key), buffer_slice(&record));
}

static void append(struct buffer *buffer, struct slice bytes)
{
    buffer_clear(buffer);
    buffer_append_slice(buffer, bytes);
}

static void add_tablet(struct tree *tree, struct tablet *tablet)
{
    HASH_ADD(hh, tree->tablets, id, sizeof tablet->id, tablet);
}

static struct table *new_table(struct object *object)
{
    assert(!object->table);
    struct table *table = must_alloc(calloc(1, sizeof *table));
    object->table = table;
    table->object = object;
    table->tracker_options = tracker_options_default();
    return table;
}

static struct error *decode_table(
    struct tree *tree,
    struct object *object,
    struct reader *reader,
    struct guid *ret_collocation_id)
{
    struct table *table = new_table(object);
    table->is_dynamic = get_u8(reader) != 0;
    table->is_replicated = get_u8(reader) != 0;
    table->upstream_replica_id = get_guid(reader);
    table->number = (uint32_t)get_varint(reader);
    table->mode_revision = get_varint(reader);
    *ret_collocation_id = get_guid(reader);
    TRY(schema_decode(&table->arena, get_bytes(reader), &table->schema));
    TRY(computed_new(table->schema, &table->computed));
    uint64_t tablet_count = get_varint(reader);
    if (tablet_count > TABLET_COUNT_MAX) return error_new(ERROR_GENERIC, "Too many stored tablets");
    table->tablets = must_alloc(calloc(tablet_count, sizeof *table->tablets));
    table->tablet_count = (uint32_t)tablet_count;
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        struct tablet *tablet = &table->tablets[i];
        tablet->table = table;
        tablet->index = i;
        tablet->id = get_guid(reader);
        tablet->number = (uint32_t)get_varint(reader);
        tablet->state = (enum tablet_state)get_varint(reader);
        append(&tablet->pivot, get_bytes(reader));
        add_tablet(tree, tablet);
    }
    // Tables of stores that were made before versions were dropped have none.
    if (reader->rest.size > 0) table->retained_timestamp = get_varint(reader);
    // Nor do those know when their tablets were mounted that did not keep it.
    for (uint32_t i = 0; i < table->tablet_count && reader->rest.size > 0; i++) {
        table->tablets[i].mounted_wall_us = get_varint(reader);
    }
    return NULL;
}

static struct error *decode_replica(
    struct object *object, struct reader *reader, struct guid *ret_table_id)
{
    struct replica *replica = must_alloc(calloc(1, sizeof *replica));
    object->replica = replica;
    replica->object = object;
    *ret_table_id = get_guid(reader);
    append(&replica->cluster_name, get_bytes(reader));
    append(&replica->path, get_bytes(reader));
    replica->mode = get_u8(reader);
    replica->state = get_u8(reader);
    replica->preserve_timestamps = get_u8(reader) != 0;
    replica->is_atomicity_none = get_u8(reader) != 0;
    replica->is_tracked = get_u8(reader) != 0;
    replica->was_ever_enabled = get_u8(reader) != 0;
    replica->start_timestamp = get_varint(reader);
    uint64_t count = get_varint(reader);
    if (count > TABLET_COUNT_MAX) return error_new(ERROR_GENERIC, "Too many stored row indexes");
    for (uint64_t i = 0; i < count; i++) arr_add(replica->start_row_indexes, get_varint(reader));
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Loading

struct loaded_link { // What can be resolved only when all objects are there.
    struct object *object;
    struct guid parent_id;
    struct guid table_id;       // Of a replica.
    struct guid collocation_id; // Of a table.
    struct guid *member_ids;    // stb array; of a group.
    struct buffer access;
};

static void decode_members(struct object *object, struct reader *reader, struct guid **member_ids)
{
    object->membership = must_alloc(calloc(1, sizeof *object->membership));
    uint64_t count = get_varint(reader);
    for (uint64_t i = 0; i < count && !reader->is_broken; i++)
        arr_add(*member_ids, get_guid(reader));
}

static struct error *decode_object(
    struct tree *tree, struct slice key, struct slice record, struct loaded_link *ret_link)
{
    struct reader id_reader = reader_from(slice_from(key.data + 1, key.size - 1));
    struct guid id;
    id.high = get_big64(&id_reader);
    id.low = get_big64(&id_reader);
    TRY(reader_finish(&id_reader, "Key of an object"));

    struct object *object = must_alloc(calloc(1, sizeof *object));
    object->id = id;
    HASH_ADD(hh, tree->objects, id, sizeof object->id, object);
    struct reader reader = reader_from(record);
    uint8_t version = get_u8(&reader);
    if (version < RECORD_VERSION_MIN || version > RECORD_VERSION) {
        return error_new(ERROR_GENERIC, "Object %s is stored in an unknown form", GUID_TEXT(id));
    }
    object->type = (enum object_type)get_varint(&reader);
    *ret_link = (struct loaded_link){.object = object, .parent_id = get_guid(&reader)};
    append(&object->name, get_bytes(&reader));
    append(&object->attributes, get_bytes(&reader));
    append(&object->value, get_bytes(&reader));
    object->created_wall_us = get_varint(&reader);
    if (version >= 3) append(&ret_link->access, get_bytes(&reader));
    uint8_t body = get_u8(&reader);
    if (body == 1) TRY(decode_table(tree, object, &reader, &ret_link->collocation_id));
    if (body == 2) TRY(decode_replica(object, &reader, &ret_link->table_id));
    if (body == 3) object_add_collocation(object);
    if (body == 4) decode_members(object, &reader, &ret_link->member_ids);
    return reader_finish(&reader, "Stored object");
}

static void add_child(struct object *parent, struct object *child)
{
    child->parent = parent;
    HASH_ADD_KEYPTR(hh_name, parent->children, child->name.data, child->name.size, child);
}

static struct error *link_object(struct tree *tree, const struct loaded_link *link)
{
    struct object *object = link->object;
    if (!guid_is_null(link->parent_id)) {
        struct object *parent = tree_find(tree, link->parent_id);
        if (!parent) {
            return error_new(ERROR_GENERIC, "Object %s has lost its parent", GUID_TEXT(object->id));
        }
        add_child(parent, object);
    }
    if (object->replica) {
        struct object *table = tree_find(tree, link->table_id);
        if (!table || !table->table) {
            return error_new(ERROR_GENERIC, "Replica %s has lost its table", GUID_TEXT(object->id));
        }
        object->replica->table = table->table;
        arr_add(table->table->replicas, object->replica);
    }
    if (!guid_is_null(link->collocation_id)) {
        struct object *collocation = tree_find(tree, link->collocation_id);
        if (!collocation || !collocation->collocation) {
            return error_new(
                ERROR_GENERIC, "Table %s has lost its collocation", GUID_TEXT(object->id));
        }
        object->table->collocation = collocation->collocation;
        arr_add(collocation->collocation->tables, object->table);
    }
    return NULL;
}

struct error *ordered_tablet_load(struct tree *tree, struct tablet *tablet)
{
    struct layout_key key = layout_ordered_trimmed(tablet->number);
    CLEANUP(buffer_releasep) struct buffer value = {0};
    bool is_found = false;
    TRY(store_get(tree->store, NULL, STORE_META, layout_slice(&key), &value, &is_found));
    if (is_found) {
        struct reader reader = reader_from(buffer_slice(&value));
        tablet->trimmed_row_count = get_varint(&reader);
        TRY(reader_finish(&reader, "Trimmed row count"));
    }
    tablet->total_row_count = tablet->trimmed_row_count;

    struct layout_key first = layout_ordered_row(tablet->number, 0);
    struct layout_key last = layout_ordered_row(tablet->number, UINT64_MAX);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = store_iterator_new(
        tree->store, NULL, STORE_DATA, layout_slice(&first), layout_slice(&last));
    store_iterator_seek_for_prev(iterator, layout_slice(&last));
    TRY(store_iterator_error(iterator));
    if (!store_iterator_is_valid(iterator)) return NULL;
    struct slice at = store_iterator_key(iterator);
    struct reader reader = reader_from(slice_from(at.data + 4, at.size - 4));
    uint64_t end = get_big64(&reader) + 1;
    tablet->total_row_count = MAX(tablet->total_row_count, end);
    struct reader row = reader_from(store_iterator_value(iterator));
    tablet->last_write_timestamp = get_fixed64(&row);
    return reader_finish(&reader, "Key of an ordered row");
}

static struct error *load_tables(struct tree *tree)
{
    for (struct object *object = tree->objects; object; object = object->hh.next) {
        struct table *table = object->table;
        if (!table) continue;
        struct arena arena CLEANUP(arena_releasep) = {0};
        struct node *attributes = NULL;
        TRY(object_attributes(&arena, object, &attributes));
        TRY(table_settings_read(attributes, &table->settings));
        if (table->is_replicated) TRY(table_read_tracker_options(table, attributes));
        if (table->is_replicated || table_is_sorted(table)) continue;
        for (uint32_t i = 0; i < table->tablet_count; i++) {
            TRY(ordered_tablet_load(tree, &table->tablets[i]));
        }
    }
    return NULL;
}

static struct error *load_objects(struct tree *tree, struct loaded_link **links)
{
    struct layout_key first = layout_prefix(layout_object(GUID_NULL), 1);
    struct layout_key last = layout_after(first);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = store_iterator_new(
        tree->store, NULL, STORE_META, layout_slice(&first), layout_slice(&last));
    for (store_iterator_seek(iterator, layout_slice(&first)); store_iterator_is_valid(iterator);
         store_iterator_next(iterator)) {
        struct loaded_link link = {0};
        arr_add(*links, link);
        TRY(decode_object(
            tree, store_iterator_key(iterator), store_iterator_value(iterator), &arr_last(*links)));
    }
    return store_iterator_error(iterator);
}

static int compare_links(const void *a, const void *b)
{
    // By the creation counter, so that children and replicas keep their order.
    const struct loaded_link *left = a;
    const struct loaded_link *right = b;
    uint64_t x = left->object->id.high;
    uint64_t y = right->object->id.high;
    return x < y ? -1 : x > y;
}

// When all objects are there: users and groups find each other, and ACLs find them.
static struct error *link_subjects(struct tree *tree, const struct loaded_link *link)
{
    for (size_t i = 0; i < arr_count(link->member_ids); i++) {
        struct object *member = tree_find(tree, link->member_ids[i]);
        if (!member || !member->membership) {
            return error_new(
                ERROR_GENERIC, "Group %s has lost a member", GUID_TEXT(link->object->id));
        }
        arr_add(link->object->membership->members, member);
        arr_add(member->membership->member_of, link->object);
    }
    if (link->access.size == 0) return NULL;
    return access_decode(tree, buffer_slice(&link->access), &link->object->access);
}

static void free_links(struct loaded_link *links)
{
    for (size_t i = 0; i < arr_count(links); i++) {
        arr_free(links[i].member_ids);
        buffer_release(&links[i].access);
    }
    arr_free(links);
}

static struct error *load_counters(struct tree *tree)
{
    struct layout_key key = layout_cell("counters");
    CLEANUP(buffer_releasep) struct buffer value = {0};
    bool is_found = false;
    TRY(store_get(tree->store, NULL, STORE_META, layout_slice(&key), &value, &is_found));
    if (!is_found) return NULL;
    struct reader reader = reader_from(buffer_slice(&value));
    tree->next_counter = get_varint(&reader);
    tree->next_number = (uint32_t)get_varint(&reader);
    return reader_finish(&reader, "Counters of the cell");
}

static struct error *make_first_objects(struct tree *tree, uint64_t wall_us)
{
    CLEANUP(store_batch_release) struct store_batch batch = {0};
    struct object *root = must_alloc(calloc(1, sizeof *root));
    root->id = ROOT_ID;
    root->type = OBJECT_MAP_NODE;
    root->created_wall_us = wall_us;
    HASH_ADD(hh, tree->objects, id, sizeof root->id, root);
    object_save(&batch, root);
    static const char *const NAMES[] = {"tmp", "home", "sys"};
    struct object *node = NULL;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        struct slice name = slice_from_text(NAMES[i]);
        node = object_new(tree, &batch, OBJECT_MAP_NODE, root, name, wall_us);
    }
    object_new(tree, &batch, OBJECT_MAP_NODE, node, SLICE_OF("clusters"), wall_us);
    return store_apply(tree->store, &batch);
}

struct error *tree_init(
    struct tree *tree, struct store *store, struct id_origin origin, uint64_t wall_us)
{
    *tree = (struct tree){
        .store = store,
        .origin = origin,
        .next_counter = 1 << 16,
        .next_number = 1,
    };
    TRY(load_counters(tree));
    struct loaded_link *links = NULL;
    struct error *error = load_objects(tree, &links);
    if (!error && arr_count(links) > 0)
        qsort(links, arr_count(links), sizeof *links, compare_links);
    for (size_t i = 0; !error && i < arr_count(links); i++) error = link_object(tree, &links[i]);
    for (size_t i = 0; !error && i < arr_count(links); i++) error = link_subjects(tree, &links[i]);
    free_links(links);
    TRY(error);
    if (!tree->objects) TRY(make_first_objects(tree, wall_us));
    tree->root = tree_find(tree, ROOT_ID);
    if (!tree->root) return error_new(ERROR_GENERIC, "The store has no root object");
    CLEANUP(store_batch_release) struct store_batch batch = {0};
    subjects_init(tree, &batch, wall_us);
    if (batch.count > 0) TRY(store_apply(store, &batch));
    return load_tables(tree);
}

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

static void free_object(struct tree *tree, struct object *object)
{
    HASH_DELETE(hh, tree->objects, object);
    if (object->table) free_table(tree, object->table);
    if (object->replica) free_replica(object->replica);
    if (object->collocation) arr_free(object->collocation->tables);
    free(object->collocation);
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
    if (parent) add_child(parent, object);
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
        add_tablet(tree, tablet);
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
    struct table *table = new_table(object);
    table->number = tree_new_number(tree, batch);
    table_set_schema(table, schema);
    table_replace_tablets(tree, batch, table, 0, 0, tablet_count);
    return table;
}

void object_move(
    struct store_batch *batch, struct object *object, struct object *parent, struct slice name)
{
    HASH_DELETE(hh_name, object->parent->children, object);
    append(&object->name, name);
    add_child(parent, object);
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
    append(&object->attributes, buffer_slice(&text));
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
