// Objects in the store: their records, and the tree that is made of them at the start.
#include "cluster/core/object_parts.h"

#include "cluster/core/access.h"
#include "cluster/core/layout.h"
#include "cluster/core/subjects.h"

// Records of version 2 say nothing about access.
enum { RECORD_VERSION = 3, RECORD_VERSION_MIN = 2 };

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
    put_guid(buffer, table->mount_id);
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

static struct error *decode_table(
    struct tree *tree,
    struct object *object,
    struct reader *reader,
    struct guid *ret_collocation_id)
{
    struct table *table = object_begin_table(object);
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
        object_set_bytes(&tablet->pivot, get_bytes(reader));
        tree_add_tablet(tree, tablet);
    }
    // Tables of stores that were made before versions were dropped have none.
    if (reader->rest.size > 0) table->retained_timestamp = get_varint(reader);
    // Nor do those know when their tablets were mounted that did not keep it.
    for (uint32_t i = 0; i < table->tablet_count && reader->rest.size > 0; i++) {
        table->tablets[i].mounted_wall_us = get_varint(reader);
    }
    if (reader->rest.size > 0) table->mount_id = get_guid(reader);
    return NULL;
}

static struct error *decode_replica(
    struct object *object, struct reader *reader, struct guid *ret_table_id)
{
    struct replica *replica = must_alloc(calloc(1, sizeof *replica));
    object->replica = replica;
    replica->object = object;
    *ret_table_id = get_guid(reader);
    object_set_bytes(&replica->cluster_name, get_bytes(reader));
    object_set_bytes(&replica->path, get_bytes(reader));
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
    object_set_bytes(&object->name, get_bytes(&reader));
    object_set_bytes(&object->attributes, get_bytes(&reader));
    object_set_bytes(&object->value, get_bytes(&reader));
    object->created_wall_us = get_varint(&reader);
    if (version >= 3) object_set_bytes(&ret_link->access, get_bytes(&reader));
    uint8_t body = get_u8(&reader);
    if (body == 1) TRY(decode_table(tree, object, &reader, &ret_link->collocation_id));
    if (body == 2) TRY(decode_replica(object, &reader, &ret_link->table_id));
    if (body == 3) object_add_collocation(object);
    if (body == 4) decode_members(object, &reader, &ret_link->member_ids);
    return reader_finish(&reader, "Stored object");
}

static struct error *link_object(struct tree *tree, const struct loaded_link *link)
{
    struct object *object = link->object;
    if (!guid_is_null(link->parent_id)) {
        struct object *parent = tree_find(tree, link->parent_id);
        if (!parent) {
            return error_new(ERROR_GENERIC, "Object %s has lost its parent", GUID_TEXT(object->id));
        }
        object_add_child(parent, object);
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
        if (!table && !object->collocation) continue;
        struct arena arena CLEANUP(arena_releasep) = {0};
        struct node *attributes = NULL;
        TRY(object_attributes(&arena, object, &attributes));
        if (object->collocation) TRY(collocation_read_options(object->collocation, attributes));
        if (!table) continue;
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
    struct layout_key prefix = layout_prefix(layout_object(GUID_NULL), 1);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = layout_iterate(tree->store, STORE_META, prefix);
    for (; store_iterator_is_valid(iterator); store_iterator_next(iterator)) {
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
