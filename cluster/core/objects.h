// The objects of a cluster: the tree of nodes, tables with their tablets, replicas of tables.
//
// All of it is in memory and in the store, one key for each object. A change goes into the caller's
// batch (object_save) at the time it is made in memory; the caller applies the batch before
// anything depends on it. Belongs to one loop.
#pragma once

#include "base/containers.h"
#include "base/store.h"
#include "cluster/core/table_settings.h"
#include "cluster/query/computed.h"
#include "model/guid.h"
#include "model/node.h"
#include "model/position.h"
#include "model/replica.h"
#include "model/schema.h"
#include "model/tracker_options.h"
#include "model/ypath.h"

#define OBJECT_COUNT_MAX            1000000
#define OBJECT_VALUE_SIZE_MAX       (UINT64_C(4) << 20)
#define TABLET_COUNT_MAX            1024
#define TABLE_REPLICA_COUNT_MAX     64
#define COLLOCATION_TABLE_COUNT_MAX 100
#define OBJECT_NAME_SIZE_MAX        256
#define LINK_DEPTH_MAX              16 // Links that lead to links.

struct access;     // cluster/core/access.h: who may do what with an object.
struct membership; // cluster/core/subjects.h: of users and groups.
struct queue;      // coordinator/core/queue.h: the replication log of a tablet.
struct session;    // coordinator/core/sessions.h: the conversation with a replica.
struct sink;       // replica_node/core/source.h: what a table holds as a replica.

struct object {
    struct guid id;
    enum object_type type;
    struct object *parent; // Borrowed; NULL for the root and for what is not in the tree.
    struct buffer name;
    struct buffer attributes; // User attributes: a YSON map, or empty.
    struct buffer value;      // Of scalar nodes and documents: binary YSON. Of links: the target.
    uint64_t created_wall_us;
    struct object *children;         // Of map nodes, by name.
    struct table *table;             // Of tables. Owned.
    struct replica *replica;         // Of table replicas. Owned.
    struct collocation *collocation; // Of table collocations. Owned.
    struct membership *membership;   // Of users and groups. Owned.
    struct access *access;           // NULL if nothing of that was set here. Owned.
    UT_hash_handle hh;               // In the tree's objects, by id.
    UT_hash_handle hh_name;          // In the parent's children.
};

struct tablet {
    struct table *table; // Borrowed.
    struct guid id;
    uint32_t index;
    uint32_t number; // In keys of the store; never given out twice.
    enum tablet_state state;
    struct buffer pivot; // The encoded key at which a sorted tablet begins; empty for the first.
    uint64_t mounted_wall_us; // When it was last mounted; 0 if never.
    uint64_t last_write_timestamp;
    uint64_t total_row_count;   // Of ordered tables; of queues see queue.h.
    uint64_t trimmed_row_count; // Of ordered tables.
    uint32_t undecided_count;   // Transactions that wrote here and are not decided.
    struct queue *queue;        // Of replicated tables. Owned by the coordinator.
    // Log rows below it go at any age: a replica that held them back was removed.
    uint64_t freed_row_index;
    UT_hash_handle hh; // In the tree's tablets, by id.
};

struct table_counters {       // Since the start; for metrics.
    uint64_t write_row_count; // Accepted, into a replication log or for the rows of a table.
    uint64_t write_data_weight;
    uint64_t commit_row_count; // Of them committed; of replica tables, what came from upstream.
    uint64_t commit_data_weight;
};

struct table {
    struct object *object; // Borrowed.
    struct arena arena;    // Holds the schema.
    struct schema *schema;
    struct computed *computed; // What makes its computed columns; NULL if it has none. Owned.
    bool is_dynamic;
    bool is_replicated;
    struct guid upstream_replica_id;
    uint32_t number;        // In keys of the store: rows of sorted tables lie under it.
    struct tablet *tablets; // An array of tablet_count.
    uint32_t tablet_count;
    struct replica **replicas; // stb array; of replicated tables, in the order of creation.
    struct table_settings settings;
    struct tracker_options tracker_options; // Of replicated tables.
    struct collocation *collocation; // Whose synchronous replicas go together; NULL for none.
    uint64_t mode_revision;          // Grows with each change of a replica's mode or state.
    struct guid mount_id;            // Of the last command that moved tablets; null for none.
    uint64_t retained_timestamp;     // Of sorted ones: below it nothing can be read any more.
    uint64_t swept_timestamp;        // What it was when superfluous versions were last dropped.
    struct table_counters counters;
    struct sink *sink; // NULL until rows come from upstream. Owned by the receiver.
};

// A replica of a replicated table, as its meta-cluster describes it.
struct replica {
    struct object *object; // Borrowed.
    struct table *table;   // Borrowed.
    struct buffer cluster_name;
    struct buffer path;
    enum replica_mode mode;
    enum replica_state state;
    bool preserve_timestamps;
    bool is_atomicity_none;
    bool is_tracked;             // enable_replicated_table_tracker
    bool was_ever_enabled;       // Only then can it hold undecided records.
    uint64_t start_timestamp;    // Records at or below it are not for this replica.
    uint64_t *start_row_indexes; // stb array; empty, or one for each tablet.
    struct session *session;     // Owned by the coordinator.
};

// Tables whose synchronous replicas are kept on the same clusters.
struct collocation {
    struct object *object; // Borrowed.
    struct table **tables; // stb array; borrowed.
    struct collocation_options options;
};

// What ids of objects are made from, besides a counter.
struct id_origin {
    uint16_t cell_tag;
    uint32_t salt; // Random for each cluster: the same counters of two give different ids.
};

struct tree {
    struct store *store; // Borrowed.
    struct id_origin origin;
    struct object *root;    // Borrowed from `objects`.
    struct object *objects; // By id. Owned.
    struct tablet *tablets; // By id. Owned by their tables.
    struct object *users;   // //sys/users; borrowed, as the next ones.
    struct object *groups;  // //sys/groups
    struct object *tokens;  // //sys/cypress_tokens
    struct object *superusers;
    const struct object *marked_user; // Who has `last_mark` (subjects_mark); NULL for nobody.
    uint64_t last_mark;
    uint64_t next_counter; // For ids.
    uint32_t next_number;  // For keys of the store.
};

// Loads all objects; makes the root, //tmp, //home and //sys with //sys/clusters in an empty store,
// and users and groups in one that has none.
MUST_USE struct error *tree_init(
    struct tree *tree, struct store *store, struct id_origin origin, uint64_t wall_us);
void tree_release(struct tree *tree);

// Whether a node belongs to the cluster, and stays where it is.
bool tree_is_fixed(const struct tree *tree, const struct object *object);

struct object *tree_find(const struct tree *tree, struct guid id);           // NULL if absent.
struct tablet *tree_find_tablet(const struct tree *tree, struct guid id);    // NULL if absent.
struct object *object_child(const struct object *object, struct slice name); // NULL if absent.

// Finds the object that a path leads to, over links, attributes left aside: 500 `Error resolving
// path %v` with an inner error that says where it ends.
MUST_USE struct error *tree_resolve(
    const struct tree *tree, const struct ypath *path, struct object **ret_object);

// As tree_resolve, for a text without attributes that must lead to a table.
MUST_USE struct error *tree_resolve_table(
    const struct tree *tree, struct arena *arena, struct slice path, struct table **ret_table);

// How far a path can be followed, over links: the last object on it and the number of names used
// up. A link that leads nowhere is as far as one comes, and its name does not count.
struct object *tree_walk(
    const struct tree *tree, const struct ypath *path, uint16_t *ret_name_count);

// A new id.
struct guid tree_new_id(struct tree *tree, struct store_batch *batch, enum object_type type);
uint32_t tree_new_number(struct tree *tree, struct store_batch *batch);

// Makes an object under a parent (NULL for objects outside the tree) and saves it. The caller has
// checked that the name is free.
struct object *object_new(
    struct tree *tree,
    struct store_batch *batch,
    enum object_type type,
    struct object *parent,
    struct slice name,
    uint64_t wall_us);

// Gives an object a table with `tablet_count` unmounted tablets (pivots empty). The schema is
// copied, with the ids of its columns.
struct table *object_add_table(
    struct tree *tree,
    struct store_batch *batch,
    struct object *object,
    const struct schema *schema,
    uint32_t tablet_count);

// Puts `count` new, unmounted tablets (pivots empty) in the place of the tablets [begin, end); the
// others stay and get new indexes. Pointers to tablets of the table are invalid afterwards. What
// others own of those that go (queue) must be gone.
void table_replace_tablets(
    struct tree *tree,
    struct store_batch *batch,
    struct table *table,
    uint32_t begin,
    uint32_t end,
    uint32_t count);

// Replaces the schema; ids of columns stay. Its expressions must be right (computed_new).
void table_set_schema(struct table *table, const struct schema *schema);

// Gives an object a replica description and adds it to its table.
struct replica *object_add_replica(struct object *object, struct table *table);

// Gives an object in the tree another parent and name, which the caller has checked to be free.
void object_move(
    struct store_batch *batch, struct object *object, struct object *parent, struct slice name);

// Loads what an ordered tablet knows from its stored rows.
MUST_USE struct error *ordered_tablet_load(struct tree *tree, struct tablet *tablet);

// Gives an object a collocation without tables.
struct collocation *object_add_collocation(struct object *object);

// Takes a table into a collocation (NULL: out of any), and saves it. A collocation that loses its
// last table is removed.
void table_set_collocation(
    struct tree *tree,
    struct store_batch *batch,
    struct table *table,
    struct collocation *collocation);

// Reads a replicated table's tracker options from its attributes; fails if they make no sense, and
// leaves the table as it was.
MUST_USE struct error *table_read_tracker_options(
    struct table *table, const struct node *attributes);

// Reads a collocation's options from its attributes, likewise.
MUST_USE struct error *collocation_read_options(
    struct collocation *collocation, const struct node *attributes);

// Writes an object with its table or replica into the batch.
void object_save(struct store_batch *batch, const struct object *object);

// Removes an object and all below it, from memory and by the batch; a table's rows too. What others
// own (queue, session, sink) must be gone from tables and replicas.
void object_remove(struct tree *tree, struct store_batch *batch, struct object *object);

// The path of an object in the tree, or #id of another, printed into the arena.
struct slice object_path(struct arena *arena, const struct object *object);

// The user attributes as a map, never NULL; changes to it count only when set.
MUST_USE struct error *object_attributes(
    struct arena *arena, const struct object *object, struct node **ret_map);
MUST_USE struct error *object_set_attributes(struct object *object, const struct node *map);

// The tablet of a sorted table to which an encoded key belongs.
struct tablet *table_tablet_of_key(struct table *table, struct slice key);

static inline bool table_is_sorted(const struct table *table)
{
    return table->schema->key_column_count > 0;
}

static inline bool tablet_is_readable(const struct tablet *tablet)
{
    return tablet->state == TABLET_MOUNTED || tablet->state == TABLET_FREEZING ||
           tablet->state == TABLET_FROZEN || tablet->state == TABLET_UNFREEZING;
}

// Whether some of its tablets are on their way to another state.
static inline bool table_is_moving(const struct table *table)
{
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        enum tablet_state state = table->tablets[i].state;
        if (state != tablet_state_expected(state)) return true;
    }
    return false;
}

// Whether replicators work on it.
static inline bool tablet_is_active(const struct tablet *tablet)
{
    return tablet->state != TABLET_UNMOUNTED && tablet->state != TABLET_UNMOUNTING;
}
