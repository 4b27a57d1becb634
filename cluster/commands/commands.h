// The one table of commands behind every face: name, kinds of input and output, handler.
//
// Parameters are a map as YTsaurus names them. A handler takes the request over and answers it, now
// or later. Source: behaviour of YTsaurus's driver commands (yt/yt/client/driver).
#pragma once

#include "cluster/core/access.h"
#include "cluster/machine.h"

enum command_data { COMMAND_NULL, COMMAND_STRUCTURED, COMMAND_TABULAR };

// For which object a command needs its permission. It is checked before the command has any effect.
enum command_target {
    TARGET_NONE,    // Anybody may.
    TARGET_PATH,    // What the parameter `path` leads to.
    TARGET_TABLES,  // The same, and if there is none the root: it is about all tables.
    TARGET_REPLICA, // The table of the replica `replica_id`.
    TARGET_SYS,     // //sys
    TARGET_ROWS,    // Every table that is named: where rows are read and written, for all faces.
    TARGET_OWN,     // Depends on what the path means; the handler checks it.
};

struct command {
    const char *name;
    enum command_data input;
    enum command_data output;
    bool is_volatile; // Changes something.
    bool is_heavy;    // Moves rows.
    void (*execute)(struct machine *machine, struct request *request);
    enum command_target target;
    enum permission permission; // None if `target` is TARGET_NONE; of TARGET_OWN the usual one.
};

// All commands, ended by one without a name.
extern const struct command COMMANDS[];

// NULL if there is none of this name.
const struct command *command_find(struct slice name);

// Executes `request->command`; also sets the request's formats from the parameters `format`,
// `input_format` and `output_format`.
void command_execute(struct machine *machine, struct request *request);

// Keeps what a command with a mutation id is answered, in one batch with what it has changed, and
// applies the batch: the same command under the same id is answered the same for ten minutes, also
// after a restart. command_answer does so for its callers.
void command_keep_answer(struct machine *machine, struct request *request);

// What a command has answered, in the shape of the API version that the request asks for; NULL for
// nothing. Version 4 wraps results in a map ({"node_id"=…}; {} for nothing), version 3 does not.
struct node *command_result(struct request *request);

// -- node_create.c
void command_create(struct machine *machine, struct request *request);

// Walks to the parent of the path's last name; makes missing map nodes if asked to. `*ret_existing`
// is the node itself if it is there, NULL if not. 901 if the user may not change the children of
// the node that gets one.
MUST_USE struct error *node_find_parent(
    struct machine *machine,
    struct slice user,
    const struct ypath *path,
    bool is_recursive,
    struct object **ret_parent,
    struct object **ret_existing);
// Fails if nodes cannot be made in this folder: users and groups are not made by path.
MUST_USE struct error *node_check_folder(
    const struct machine *machine, const struct object *folder);
// Gives a new object its owner and its ACL, which is taken over in parts.
void node_give_access(
    struct machine *machine, struct slice user, const struct access *access, struct object *object);

// -- node_read.c
void command_get(struct machine *machine, struct request *request);
void command_list(struct machine *machine, struct request *request);
void command_exists(struct machine *machine, struct request *request);

// Resolves a path that may lead into a document: `*ret_used` of its names lead to the object, the
// rest to a place in its value.
MUST_USE struct error *node_resolve(
    const struct machine *machine,
    const struct ypath *path,
    struct object **ret_object,
    uint16_t *ret_used);
// 500 for this path, because of an error, which is taken over.
MUST_USE struct error *node_unresolved(const struct ypath *path, struct error *error);

// -- nodes.c
void command_set(struct machine *machine, struct request *request);
void command_remove(struct machine *machine, struct request *request);
void command_multiset_attributes(struct machine *machine, struct request *request);

// Removes an object with all that belongs to it; nothing if the user may not, or if anything of it
// cannot be removed now.
MUST_USE struct error *object_drop(
    struct machine *machine, struct slice user, struct object *object, bool is_recursive);
// 901 unless the user may set or remove what an attribute path leads to.
MUST_USE struct error *attribute_check_access(
    struct machine *machine, struct slice user, const struct object *object, struct slice name);

// -- table_options.c: atomicity, commit_ordering, mount_config …, kept among users' attributes.
bool table_option_exists(struct slice name);
// Checks values: their types, and what a replicated table cannot have.
MUST_USE struct error *table_options_check(bool is_replicated, const struct node *attributes);
// Whether this option, which must exist, may be set or removed now: some need unmounted tablets,
// some a replicated or a sorted table has fixed. Other checks of values are table_options_check.
MUST_USE struct error *table_option_check_set(
    const struct table *table, struct slice name, const struct node *value);
MUST_USE struct error *table_option_check_remove(const struct table *table, struct slice name);
// Adds to a table's user attributes the default of this option, or if `name` is empty of all.
void table_options_add_defaults(
    struct arena *arena, const struct table *table, struct slice name, struct node *map);

// -- copy.c
void command_copy(struct machine *machine, struct request *request);
void command_move(struct machine *machine, struct request *request);
void command_link(struct machine *machine, struct request *request);

// -- locks.c
void command_lock(struct machine *machine, struct request *request);
void command_unlock(struct machine *machine, struct request *request);
// Whether a change may be made now: what is changed is claimed as by a lock of this kind. 402 if a
// transaction holds a lock against it.
MUST_USE struct error *node_claim(
    const struct machine *machine,
    const struct object *object,
    enum node_lock_kind kind,
    struct slice key);
// Claims a node and all below it exclusively.
MUST_USE struct error *node_claim_all(const struct machine *machine, const struct object *object);
// Claims a child of a node that gets or loses it; `parent` may be NULL.
MUST_USE struct error *node_claim_child(
    const struct machine *machine, const struct object *parent, struct slice name);
// Ends all locks of a transaction.
void node_locks_release(struct machine *machine, struct guid transaction_id);
// The locks of a node: a list of maps.
struct node *node_locks_of(
    const struct machine *machine, struct arena *arena, const struct object *object);

// -- create.c: makes tables and replicas; `attributes` is a map. `*ret_object` is the new object.
MUST_USE struct error *create_table(
    struct machine *machine,
    struct object *parent,
    struct slice name,
    bool is_replicated,
    struct node *attributes,
    struct object **ret_object);
MUST_USE struct error *create_replica(
    struct machine *machine,
    struct slice user,
    struct node *attributes,
    struct object **ret_object);
// 1705 if the table has a replica at this cluster and path.
MUST_USE struct error *replica_check_place(
    const struct table *table, struct slice cluster_name, struct slice path);

// Says what create_table would refuse, and changes nothing.
MUST_USE struct error *create_table_check(
    const struct machine *machine, bool is_replicated, const struct node *attributes);
// Whether the expressions of computed columns can be evaluated.
MUST_USE struct error *schema_check_computed(const struct schema *schema);

// A cluster has one bundle, "default": 500 for another.
MUST_USE struct error *bundle_check(const struct node *attributes);

// Pivot keys, a list of lists, for a range of tablets: they must grow, begin with `first` (encoded)
// and end below `after`, the pivot of the tablet behind the range, if there is one (else NULL).
#define NO_PIVOT slice_from("", 0) // Of a table's first tablet.
MUST_USE struct error *pivots_check(
    const struct schema *schema,
    struct slice first,
    const struct slice *after,
    const struct node *pivots);
// Gives them to the tablets from `begin` on.
MUST_USE struct error *table_set_pivots(
    struct table *table, uint32_t begin, const struct node *pivots);
// `count` pivot keys that cut the range of an integer first key column evenly.
MUST_USE struct error *pivots_spread(
    struct arena *arena, const struct schema *schema, uint64_t count, struct node **ret_pivots);
// A number of tablets that a table may have.
MUST_USE struct error *tablet_count_check(uint64_t count);
// Appends the encoded form of one pivot key.
MUST_USE struct error *pivot_encode(
    const struct schema *schema, const struct node *pivot, struct buffer *buffer);
MUST_USE struct error *replica_mode_parse(struct slice text, enum replica_mode *ret_mode);
MUST_USE struct error *atomicity_parse(struct slice text, bool *ret_is_none);

// -- copy.c
// Goes on with copies that take more than one step; each is answered when it is there as a whole.
void copyings_tick(struct machine *machine);
// They will never be answered; what they have copied is removed at the next start.
void copyings_release(struct machine *machine);

// -- attributes.c
// The value of an attribute (names below `@`), computed or user's; 500 if there is none.
MUST_USE struct error *attribute_get(
    struct machine *machine,
    struct arena *arena,
    struct object *object,
    const struct ypath *path,
    struct node **ret_value);
// All that `get path/@` shows.
MUST_USE struct error *attribute_get_all(
    struct machine *machine, struct arena *arena, struct object *object, struct node **ret_map);
MUST_USE struct error *attribute_set(
    struct machine *machine,
    struct arena *arena,
    struct object *object,
    const struct ypath *path,
    struct node *value);
MUST_USE struct error *attribute_remove(
    struct machine *machine, struct arena *arena, struct object *object, const struct ypath *path);

// -- tablet_attributes.c
// The tablet that a path begins with, #id or //sys/tablets/id, and how many of its names that are;
// NULL if it is none.
struct tablet *tablet_of_path(
    const struct machine *machine, const struct ypath *path, uint16_t *ret_name_count);
// What a tablet shows at a path: attributes, or its orchid, behind the first `name_count` names.
MUST_USE struct error *tablet_get(
    struct machine *machine,
    struct arena *arena,
    struct tablet *tablet,
    const struct ypath *path,
    uint16_t name_count,
    struct node **ret_value);
// A tablet's pivot key as a list of values.
struct node *pivot_to_node(struct arena *arena, const struct tablet *tablet);

// -- values.c
// Follows names into a value: keys of maps, indexes of lists (-1: the last item). 500 if there is
// no such place.
MUST_USE struct error *value_descend(
    struct node *value, const struct slice *names, uint16_t name_count, struct node **ret_value);
// Puts an item at a place in a value, of which only the last step may be new: a key of a map, or
// `end` of a list. `name_count` is at least 1, here and below.
MUST_USE struct error *value_put(
    struct arena *arena,
    struct node *value,
    const struct slice *names,
    uint16_t name_count,
    struct node *item);
// Takes out what is at a place.
MUST_USE struct error *value_drop(
    struct node *value, const struct slice *names, uint16_t name_count);
// Fails, naming `what`, if a value is too large to be stored.
MUST_USE struct error *value_check_size(const struct node *value, const char *what);
// What a node holds: an entity if nothing.
MUST_USE struct error *object_value(
    struct arena *arena, const struct object *object, struct node **ret_value);
MUST_USE struct error *object_set_value(
    struct cell *cell, struct object *object, const struct node *value);
// Whether paths may lead into its value.
bool object_has_inner_value(const struct object *object);

// -- settings.c: attributes that are structures or places in them.
// The value of such an attribute, complete; NULL if the object has none of this name.
struct node *setting_get(
    const struct machine *machine,
    struct arena *arena,
    const struct object *object,
    struct slice name);
// Sets what is at the path, or with a NULL value removes it; `*ret_done` is false if the path does
// not lead into such an attribute.
MUST_USE struct error *setting_set(
    struct machine *machine,
    struct arena *arena,
    struct object *object,
    const struct ypath *path,
    struct node *value,
    bool *ret_done);
// Makes a collocation of the tables that `attributes` lists by id or by path.
MUST_USE struct error *create_collocation(
    struct machine *machine,
    struct slice user,
    struct arena *arena,
    const struct node *attributes,
    struct object **ret_object);

// -- tracker.c
void command_get_tracker_status(struct machine *machine, struct request *request);
void command_get_tracker_history(struct machine *machine, struct request *request);
void command_switch_over(struct machine *machine, struct request *request);
void command_wait_replicas(struct machine *machine, struct request *request);
void command_ban_replica_cluster(struct machine *machine, struct request *request);
void command_unban_replica_cluster(struct machine *machine, struct request *request);

// -- tablets.c
// The table at the parameter "path", claimed exclusively; the same of a table whose tablets are
// about to `verb`, which must be dynamic.
MUST_USE struct error *command_find_table(
    struct machine *machine, struct request *request, struct table **ret_table);
MUST_USE struct error *command_find_dynamic_table(
    struct machine *machine, struct request *request, const char *verb, struct table **ret_table);
// The tablets [begin, end) that a command names, all by default.
MUST_USE struct error *command_tablet_range(
    const struct request *request,
    const struct table *table,
    uint32_t *ret_begin,
    uint32_t *ret_end);
// Fails with 1706, saying what cannot be done, while tablets are on their way to another state.
MUST_USE struct error *table_check_settled(const struct table *table, const char *what);
// The same unless all tablets are unmounted.
MUST_USE struct error *table_check_unmounted(const struct table *table, const char *what);
void command_mount_table(struct machine *machine, struct request *request);
void command_unmount_table(struct machine *machine, struct request *request);
void command_freeze_table(struct machine *machine, struct request *request);
void command_unfreeze_table(struct machine *machine, struct request *request);
void command_remount_table(struct machine *machine, struct request *request);
void command_trim_rows(struct machine *machine, struct request *request);

// -- reshard.c
void command_reshard_table(struct machine *machine, struct request *request);

// -- alter.c
void command_alter_table(struct machine *machine, struct request *request);
void command_alter_table_replica(struct machine *machine, struct request *request);
void command_enable_table_replica(struct machine *machine, struct request *request);
void command_disable_table_replica(struct machine *machine, struct request *request);

// -- rows.c
void command_insert_rows(struct machine *machine, struct request *request);
void command_delete_rows(struct machine *machine, struct request *request);
void command_lock_rows(struct machine *machine, struct request *request);
void command_lookup_rows(struct machine *machine, struct request *request);
void command_select_rows(struct machine *machine, struct request *request);
void command_explain_query(struct machine *machine, struct request *request);
void command_start_transaction(struct machine *machine, struct request *request);
void command_ping_transaction(struct machine *machine, struct request *request);
void command_commit_transaction(struct machine *machine, struct request *request);
void command_abort_transaction(struct machine *machine, struct request *request);
void command_generate_timestamp(struct machine *machine, struct request *request);

// -- inspect.c
void command_get_in_sync_replicas(struct machine *machine, struct request *request);
void command_get_tablet_infos(struct machine *machine, struct request *request);
void command_get_tablet_errors(struct machine *machine, struct request *request);
void command_get_table_pivot_keys(struct machine *machine, struct request *request);

// -- rights.c: users, groups and ACLs
void command_add_member(struct machine *machine, struct request *request);
void command_remove_member(struct machine *machine, struct request *request);
void command_check_permission(struct machine *machine, struct request *request);
// Makes a user or a group.
MUST_USE struct error *create_subject(
    struct machine *machine, struct request *request, enum object_type type, struct object **ret);
// Takes acl, inherit_acl and owner out of the attributes that something is created with; NULL if
// there are none of them. To be freed.
MUST_USE struct error *rights_take(
    const struct machine *machine, struct node *attributes, struct access **ret_access);
// The names of attributes that are about rights and can be set: acl, inherit_acl, owner.
bool rights_is_attribute(struct slice name);
// Sets one of them, or with a NULL value takes back what was set.
MUST_USE struct error *rights_set(
    struct machine *machine,
    struct arena *arena,
    struct object *object,
    const struct ypath *path,
    struct node *value);

// -- tokens.c
void command_issue_token(struct machine *machine, struct request *request);
void command_revoke_token(struct machine *machine, struct request *request);
void command_list_user_tokens(struct machine *machine, struct request *request);

// -- service.c
void command_get_current_user(struct machine *machine, struct request *request);
void command_get_version(struct machine *machine, struct request *request);
void command_get_supported_features(struct machine *machine, struct request *request);
void command_parse_ypath(struct machine *machine, struct request *request);
void command_discover_proxies(struct machine *machine, struct request *request);

// -- batch.c
void command_execute_batch(struct machine *machine, struct request *batch);
// The answers to the parts of a batch, all of which are answered: a list, in the batch's arena.
struct node *batch_result(struct request *batch);

// Parses the parameter `path`, or another one; fails if it is absent.
MUST_USE struct error *command_path(struct request *request, struct ypath *ret_path);
MUST_USE struct error *command_named_path(
    struct request *request, const char *name, struct ypath *ret_path);

// Reads the command's input as rows and encodes them as a rowset, in the request's arena. Values
// are converted for the table at `path` as the input format says.
MUST_USE struct error *command_read_rows(
    struct machine *machine, struct request *request, struct slice path, struct slice *ret_rows);

// Answers with a node, or with the error if there is one (taken over).
void command_answer(
    struct machine *machine, struct request *request, struct error *error, struct node *node);
