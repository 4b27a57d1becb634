// lock, unlock: locks of nodes, held by master transactions.
//
// A master transaction holds locks and changes nothing itself: what it offers is mutual exclusion.
// A change made outside of it claims what it changes, and is refused (402) while a lock stands
// against that. Locks are in memory; a restart ends all transactions, as if they had not been
// pinged.
#include "cluster/commands/commands.h"

static const char *kind_name(enum node_lock_kind kind)
{
    switch (kind) {
    case NODE_LOCK_EXCLUSIVE: return "exclusive";
    case NODE_LOCK_SHARED:
    case NODE_LOCK_CHILD:
    case NODE_LOCK_ATTRIBUTE: return "shared";
    }
    return "unknown";
}

static bool conflicts(const struct node_lock *lock, enum node_lock_kind kind, struct slice key)
{
    if (lock->kind == NODE_LOCK_EXCLUSIVE || kind == NODE_LOCK_EXCLUSIVE) return true;
    bool has_key = kind == NODE_LOCK_CHILD || kind == NODE_LOCK_ATTRIBUTE;
    return has_key && lock->kind == kind && slice_equal(buffer_slice(&lock->key), key);
}

static struct error *check(
    const struct machine *machine,
    const struct object *object,
    struct guid transaction_id,
    enum node_lock_kind kind,
    struct slice key)
{
    for (size_t i = 0; i < arr_count(machine->node_locks); i++) {
        const struct node_lock *lock = &machine->node_locks[i];
        if (!guid_equal(lock->object_id, object->id)) continue;
        if (guid_equal(lock->transaction_id, transaction_id)) continue;
        if (!conflicts(lock, kind, key)) continue;
        struct arena arena CLEANUP(arena_releasep) = {0};
        return error_new(
            ERROR_CONCURRENT_TRANSACTION_LOCK_CONFLICT,
            "Cannot take \"%s\" lock for node %.*s since \"%s\" lock is taken by concurrent "
            "transaction %s",
            kind_name(kind),
            SLICE(object_path(&arena, object)),
            kind_name(lock->kind),
            GUID_TEXT(lock->transaction_id));
    }
    return NULL;
}

struct error *node_claim(
    const struct machine *machine,
    const struct object *object,
    enum node_lock_kind kind,
    struct slice key)
{
    return check(machine, object, GUID_NULL, kind, key);
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree.
struct error *node_claim_all(const struct machine *machine, const struct object *object)
{
    if (arr_count(machine->node_locks) == 0) return NULL;
    TRY(node_claim(machine, object, NODE_LOCK_EXCLUSIVE, slice_from("", 0)));
    for (const struct object *child = object->children; child; child = child->hh_name.next) {
        TRY(node_claim_all(machine, child));
    }
    return NULL;
}

struct error *node_claim_child(
    const struct machine *machine, const struct object *parent, struct slice name)
{
    return parent ? node_claim(machine, parent, NODE_LOCK_CHILD, name) : NULL;
}

static void release_lock(struct machine *machine, size_t i)
{
    buffer_release(&machine->node_locks[i].key);
    arr_remove(machine->node_locks, i);
}

void node_locks_release(struct machine *machine, struct guid transaction_id)
{
    for (size_t i = arr_count(machine->node_locks); i-- > 0;) {
        if (guid_equal(machine->node_locks[i].transaction_id, transaction_id)) {
            release_lock(machine, i);
        }
    }
    if (arr_count(machine->node_locks) == 0) arr_free(machine->node_locks);
}

// -------------------------------------------------------------------------------------------------
// Commands

static struct error *find_master(const struct machine *machine, const struct request *request)
{
    if (guid_is_null(request->transaction_id)) {
        return error_new(ERROR_GENERIC, "Locks are held by transactions: give \"transaction_id\"");
    }
    struct transaction *transaction = NULL;
    return machine_find_transaction(machine, request->transaction_id, true, &transaction);
}

static struct error *read_lock(
    const struct request *request, enum node_lock_kind *ret_kind, struct slice *ret_key)
{
    const struct node *parameters = request->parameters;
    struct slice mode = SLICE_OF("exclusive");
    struct slice child = {0};
    struct slice attribute = {0};
    bool is_waitable = false;
    TRY(node_get_string(parameters, "mode", &mode));
    TRY(node_get_string(parameters, "child_key", &child));
    TRY(node_get_string(parameters, "attribute_key", &attribute));
    TRY(node_get_boolean(parameters, "waitable", &is_waitable));
    if (is_waitable) {
        return error_new(
            ERROR_GENERIC, "Waitable locks are not offered: try again until it is free");
    }
    bool is_shared = slice_equal_text(mode, "shared");
    if (!is_shared && !slice_equal_text(mode, "exclusive")) {
        return error_new(ERROR_GENERIC, "Locks of mode \"%.*s\" are not offered", SLICE(mode));
    }
    if ((child.data || attribute.data) && (!is_shared || (child.data && attribute.data))) {
        return error_new(
            ERROR_GENERIC, "A shared lock may have one of \"child_key\" and \"attribute_key\"");
    }
    *ret_kind = is_shared ? NODE_LOCK_SHARED : NODE_LOCK_EXCLUSIVE;
    if (child.data) *ret_kind = NODE_LOCK_CHILD;
    if (attribute.data) *ret_kind = NODE_LOCK_ATTRIBUTE;
    *ret_key = child.data ? child : attribute;
    return NULL;
}

static struct error *do_lock(
    struct machine *machine, struct request *request, struct node **ret_node)
{
    struct cell *cell = &machine->cell;
    struct arena *arena = &request->arena;
    struct ypath path;
    struct object *object = NULL;
    struct node_lock lock = {.transaction_id = request->transaction_id};
    struct slice key = {0};
    TRY(find_master(machine, request));
    TRY(command_path(request, &path));
    if (path.has_attribute) {
        return error_new(ERROR_GENERIC, "An attribute cannot be locked: give \"attribute_key\"");
    }
    TRY(tree_resolve(&cell->tree, &path, &object));
    TRY(read_lock(request, &lock.kind, &key));
    TRY(check(machine, object, request->transaction_id, lock.kind, key));
    if (arr_count(machine->node_locks) >= NODE_LOCK_COUNT_MAX) {
        struct error *error = error_new(ERROR_REQUEST_THROTTLED, "Too many locks are held");
        return error_set_u64(error, "count_max", NODE_LOCK_COUNT_MAX);
    }
    lock.id = guid_make(
        cell_timestamp(cell), cell->options.cell_tag, OBJECT_LOCK, (uint32_t)rng_next(&cell->rng));
    lock.object_id = object->id;
    buffer_append_slice(&lock.key, key);
    arr_add(machine->node_locks, lock);
    *ret_node = node_map(arena);
    node_set_text(arena, *ret_node, "lock_id", node_guid(arena, lock.id));
    node_set_text(arena, *ret_node, "node_id", node_guid(arena, object->id));
    // Nodes have no revisions; of this number the node has not changed since.
    uint64_t revision = timestamps_close(&cell->timestamps);
    node_set_text(arena, *ret_node, "revision", node_uint64(arena, revision));
    return NULL;
}

void command_lock(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = do_lock(machine, request, &node);
    command_answer(machine, request, error, node);
}

static struct error *do_unlock(struct machine *machine, struct request *request)
{
    struct ypath path;
    struct object *object = NULL;
    TRY(find_master(machine, request));
    TRY(command_path(request, &path));
    TRY(tree_resolve(&machine->cell.tree, &path, &object));
    for (size_t i = arr_count(machine->node_locks); i-- > 0;) {
        const struct node_lock *lock = &machine->node_locks[i];
        bool is_own = guid_equal(lock->transaction_id, request->transaction_id);
        if (is_own && guid_equal(lock->object_id, object->id)) release_lock(machine, i);
    }
    return NULL;
}

void command_unlock(struct machine *machine, struct request *request)
{
    command_answer(machine, request, do_unlock(machine, request), NULL);
}

struct node *node_locks_of(
    const struct machine *machine, struct arena *arena, const struct object *object)
{
    struct node *list = node_list(arena);
    for (size_t i = 0; i < arr_count(machine->node_locks); i++) {
        const struct node_lock *lock = &machine->node_locks[i];
        if (!guid_equal(lock->object_id, object->id)) continue;
        struct node *map = node_map(arena);
        node_set_text(arena, map, "id", node_guid(arena, lock->id));
        node_set_text(arena, map, "state", node_text(arena, "acquired"));
        node_set_text(arena, map, "transaction_id", node_guid(arena, lock->transaction_id));
        node_set_text(arena, map, "mode", node_text(arena, kind_name(lock->kind)));
        const char *key = NULL;
        if (lock->kind == NODE_LOCK_CHILD) key = "child_key";
        if (lock->kind == NODE_LOCK_ATTRIBUTE) key = "attribute_key";
        if (key) node_set_text(arena, map, key, node_string(arena, buffer_slice(&lock->key)));
        node_add(arena, list, map);
    }
    return list;
}
