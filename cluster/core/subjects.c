#include "cluster/core/subjects.h"

#include "cluster/core/access.h"

#include <assert.h>

static const struct {
    enum object_type type;
    const char *name;
    const char *group; // That it is a member of; one that comes before it.
} BUILTIN[] = {
    {OBJECT_GROUP, "everyone", NULL},
    {OBJECT_GROUP, "users", "everyone"},
    {OBJECT_GROUP, "superusers", "users"},
    {OBJECT_USER, "root", "superusers"},
    {OBJECT_USER, "replicator", "superusers"},
    {OBJECT_USER, "guest", "everyone"},
};

enum { BUILTIN_COUNT = sizeof BUILTIN / sizeof *BUILTIN };

bool subject_is_builtin(const struct object *object)
{
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        bool is_it = object->membership && object->type == BUILTIN[i].type;
        if (is_it && slice_equal_text(buffer_slice(&object->name), BUILTIN[i].name)) return true;
    }
    return false;
}

// -------------------------------------------------------------------------------------------------
// Finding

static struct object *find_in(const struct object *folder, struct slice name)
{
    struct object *object = object_child(folder, name);
    return object && object->membership ? object : NULL;
}

struct object *user_find(const struct tree *tree, struct slice name)
{
    return find_in(tree->users, name);
}

struct object *group_find(const struct tree *tree, struct slice name)
{
    return find_in(tree->groups, name);
}

struct object *subject_find(const struct tree *tree, struct slice name)
{
    struct object *user = user_find(tree, name);
    return user ? user : group_find(tree, name);
}

struct error *subject_get(const struct tree *tree, struct slice name, struct object **ret_subject)
{
    struct object *subject = subject_find(tree, name);
    if (!subject) return error_new(ERROR_NO_SUCH_SUBJECT, "No such subject \"%.*s\"", SLICE(name));
    *ret_subject = subject;
    return NULL;
}

struct error *user_get(const struct tree *tree, struct slice name, struct object **ret_user)
{
    struct object *user = user_find(tree, name);
    if (!user) return error_new(ERROR_AUTHENTICATION_ERROR, "No such user \"%.*s\"", SLICE(name));
    *ret_user = user;
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Membership

static void mark(struct object ***queue, struct object *subject, uint64_t number)
{
    if (subject->membership->mark == number) return;
    subject->membership->mark = number;
    arr_add(*queue, subject);
}

// The subject and all that it is in.
static struct object **mark_all(struct tree *tree, struct object *subject)
{
    struct object **queue = NULL;
    uint64_t number = ++tree->last_mark;
    mark(&queue, subject, number);
    for (size_t i = 0; i < arr_count(queue); i++) {
        struct object **groups = queue[i]->membership->member_of;
        for (size_t j = 0; j < arr_count(groups); j++) mark(&queue, groups[j], number);
    }
    return queue;
}

uint64_t subjects_mark(struct tree *tree, struct object *user)
{
    bool is_marked = user->membership->mark == tree->last_mark && user == tree->marked_user;
    if (is_marked) return tree->last_mark;
    struct object **marked = mark_all(tree, user);
    arr_free(marked);
    tree->marked_user = user;
    return tree->last_mark;
}

struct object **subject_groups(struct tree *tree, struct object *subject)
{
    struct object **groups = mark_all(tree, subject);
    tree->marked_user = NULL;
    arr_remove(groups, 0);
    return groups;
}

bool subject_is_super(struct tree *tree, struct object *user)
{
    if (slice_equal(buffer_slice(&user->name), USER_ROOT)) return true;
    uint64_t number = subjects_mark(tree, user);
    return tree->superusers->membership->mark == number;
}

bool user_is_super(struct tree *tree, struct slice name)
{
    if (name.size == 0 || slice_equal(name, USER_ROOT)) return true;
    struct object *user = user_find(tree, name);
    return user && subject_is_super(tree, user);
}

static size_t find(struct object *const *array, const struct object *object)
{
    size_t i = 0;
    while (i < arr_count(array) && array[i] != object) i++;
    return i;
}

static void join_group(struct tree *tree, struct object *group, struct object *member)
{
    arr_add(group->membership->members, member);
    arr_add(member->membership->member_of, group);
    tree->marked_user = NULL;
}

static void leave_group(struct tree *tree, struct object *group, struct object *member)
{
    struct object **members = group->membership->members;
    struct object **groups = member->membership->member_of;
    arr_remove(members, find(members, member));
    arr_remove(groups, find(groups, group));
    tree->marked_user = NULL;
}

static struct error *check_change(const struct tree *tree, const struct object *group)
{
    if (group != group_find(tree, SLICE_OF("everyone")) &&
        group != group_find(tree, SLICE_OF("users")))
        return NULL;
    return error_new(
        ERROR_GENERIC,
        "Members of built-in group \"%.*s\" cannot be changed",
        SLICE(buffer_slice(&group->name)));
}

static bool has_member(const struct object *group, const struct object *member)
{
    struct object **members = group->membership->members;
    return find(members, member) < arr_count(members);
}

struct error *member_add(
    struct tree *tree, struct store_batch *batch, struct object *group, struct object *member)
{
    TRY(check_change(tree, group));
    if (has_member(group, member)) {
        return error_new(
            ERROR_ALREADY_PRESENT_IN_GROUP,
            "Member \"%.*s\" is already present in group \"%.*s\"",
            SLICE(buffer_slice(&member->name)),
            SLICE(buffer_slice(&group->name)));
    }
    struct object **above = subject_groups(tree, group);
    bool is_cycle = group == member || find(above, member) < arr_count(above);
    arr_free(above);
    if (is_cycle) {
        return error_new(
            ERROR_GENERIC,
            "Adding group \"%.*s\" to group \"%.*s\" would produce a cycle",
            SLICE(buffer_slice(&member->name)),
            SLICE(buffer_slice(&group->name)));
    }
    join_group(tree, group, member);
    object_save(batch, group);
    return NULL;
}

struct error *member_remove(
    struct tree *tree, struct store_batch *batch, struct object *group, struct object *member)
{
    TRY(check_change(tree, group));
    if (!has_member(group, member)) {
        return error_new(
            ERROR_GENERIC,
            "Member \"%.*s\" is not present in group \"%.*s\"",
            SLICE(buffer_slice(&member->name)),
            SLICE(buffer_slice(&group->name)));
    }
    leave_group(tree, group, member);
    object_save(batch, group);
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Making and removing

static struct object *make(
    struct tree *tree,
    struct store_batch *batch,
    enum object_type type,
    struct slice name,
    uint64_t wall_us)
{
    struct object *folder = type == OBJECT_USER ? tree->users : tree->groups;
    struct object *object = object_new(tree, batch, type, folder, name, wall_us);
    object->membership = must_alloc(calloc(1, sizeof *object->membership));
    object_save(batch, object);
    return object;
}

struct error *subject_new(
    struct tree *tree,
    struct store_batch *batch,
    enum object_type type,
    struct slice name,
    uint64_t wall_us,
    struct object **ret_subject)
{
    if (name.size == 0) return error_new(ERROR_GENERIC, "Subject name cannot be empty");
    bool is_good = name.size <= SUBJECT_NAME_SIZE_MAX;
    for (size_t i = 0; is_good && i < name.size; i++) // Names travel in headers.
        is_good = name.data[i] > ' ' && name.data[i] <= '~';
    if (!is_good) {
        return error_new(
            ERROR_GENERIC,
            "Subject name must have no more than %d bytes, all printable ASCII and no spaces",
            SUBJECT_NAME_SIZE_MAX);
    }
    const struct object *other = subject_find(tree, name);
    if (other) {
        return error_new(
            ERROR_ALREADY_EXISTS,
            "%s \"%.*s\" already exists",
            other->type == OBJECT_USER ? "User" : "Group",
            SLICE(name));
    }
    if (HASH_CNT(hh_name, tree->users->children) + HASH_CNT(hh_name, tree->groups->children) >=
        SUBJECT_COUNT_MAX)
        return error_new(ERROR_GENERIC, "There are too many users and groups");
    struct object *object = make(tree, batch, type, name, wall_us);
    if (type == OBJECT_USER) {
        struct object *users = group_find(tree, SLICE_OF("users"));
        join_group(tree, users, object);
        object_save(batch, users);
    }
    *ret_subject = object;
    return NULL;
}

static void remove_tokens(struct tree *tree, struct store_batch *batch, struct slice user)
{
    struct object *token = NULL;
    struct object *next = NULL;
    for (token = tree->tokens->children; token; token = next) {
        next = token->hh_name.next;
        struct arena arena CLEANUP(arena_releasep) = {0};
        if (slice_equal(token_user(&arena, token), user)) object_remove(tree, batch, token);
    }
}

void subject_leave(struct tree *tree, struct store_batch *batch, struct object *subject)
{
    struct membership *membership = subject->membership;
    while (arr_count(membership->member_of) > 0) {
        struct object *group = membership->member_of[0];
        leave_group(tree, group, subject);
        object_save(batch, group);
    }
    while (arr_count(membership->members) > 0) leave_group(tree, subject, membership->members[0]);
    for (struct object *object = tree->objects; object; object = object->hh.next) {
        if (object->access && access_forget(object->access, subject)) object_save(batch, object);
    }
    if (subject->type == OBJECT_USER) remove_tokens(tree, batch, buffer_slice(&subject->name));
}

void membership_free(struct membership *membership)
{
    if (!membership) return;
    arr_free(membership->members);
    arr_free(membership->member_of);
    free(membership);
}

// -------------------------------------------------------------------------------------------------
// The beginning

static struct object *ensure_folder(
    struct tree *tree, struct store_batch *batch, struct slice name, uint64_t wall_us)
{
    struct object *sys = object_child(tree->root, SLICE_OF("sys"));
    assert(sys);
    struct object *folder = object_child(sys, name);
    return folder ? folder : object_new(tree, batch, OBJECT_MAP_NODE, sys, name, wall_us);
}

// Users may do everything, below //sys only look, and at tokens not even that.
static void set_first_acls(struct tree *tree, struct store_batch *batch)
{
    struct object *users = group_find(tree, SLICE_OF("users"));
    struct object *sys = tree->users->parent;
    access_allow(tree->root, users, PERMISSIONS_ALL);
    access_allow(sys, users, PERMISSION_READ);
    sys->access->forbids_inheritance = true;
    access_of(tree->tokens)->forbids_inheritance = true;
    object_save(batch, tree->root);
    object_save(batch, sys);
    object_save(batch, tree->tokens);
}

void subjects_init(struct tree *tree, struct store_batch *batch, uint64_t wall_us)
{
    tree->users = ensure_folder(tree, batch, SLICE_OF("users"), wall_us);
    tree->groups = ensure_folder(tree, batch, SLICE_OF("groups"), wall_us);
    tree->tokens = ensure_folder(tree, batch, SLICE_OF("cypress_tokens"), wall_us);
    bool is_new = group_find(tree, SLICE_OF("users")) == NULL;
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        struct slice name = slice_from_text(BUILTIN[i].name);
        if (subject_find(tree, name)) continue;
        struct object *object = make(tree, batch, BUILTIN[i].type, name, wall_us);
        if (!BUILTIN[i].group) continue;
        struct object *group = group_find(tree, slice_from_text(BUILTIN[i].group));
        join_group(tree, group, object);
        object_save(batch, group);
    }
    tree->superusers = group_find(tree, SLICE_OF("superusers"));
    if (is_new) set_first_acls(tree, batch);
}
