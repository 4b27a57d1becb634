// Users and groups: who may be named in an ACL, and who is a member of what.
//
// They are objects under //sys/users and //sys/groups. Groups may be members of groups, without
// cycles. Built in are the users root, guest and replicator and the groups everyone (guest and
// users), users (superusers and whoever was created) and superusers (root and replicator).
// Source: YTsaurus yt/yt/server/master/security_server/security_manager.cpp.
#pragma once

#include "cluster/core/objects.h"

#define SUBJECT_COUNT_MAX     10000
#define SUBJECT_NAME_SIZE_MAX 256

#define USER_ROOT SLICE_OF("root")

struct membership {
    struct object **members;   // stb array; of groups.
    struct object **member_of; // stb array: the groups it is a member of itself.
    uint64_t mark;             // See subjects_mark.
};

// Finds the folders of users and groups; makes what is missing of them and of the built-in subjects
// and gives the folders of a new cluster their ACLs. Sets the tree's fields. To be called when all
// objects are loaded.
void subjects_init(struct tree *tree, struct store_batch *batch, uint64_t wall_us);

struct object *user_find(const struct tree *tree, struct slice name);    // NULL if absent.
struct object *group_find(const struct tree *tree, struct slice name);   // NULL if absent.
struct object *subject_find(const struct tree *tree, struct slice name); // Either; NULL if absent.

// Errors 907 `No such subject "x"`, and 900 `No such user "x"`.
MUST_USE struct error *subject_get(
    const struct tree *tree, struct slice name, struct object **ret_subject);
MUST_USE struct error *user_get(
    const struct tree *tree, struct slice name, struct object **ret_user);

// Makes a user, who becomes a member of `users`, or a group. 501 if the name is taken.
MUST_USE struct error *subject_new(
    struct tree *tree,
    struct store_batch *batch,
    enum object_type type,
    struct slice name,
    uint64_t wall_us,
    struct object **ret_subject);

// Adds to a group, or takes out. Errors: 908 if it is a member already; a cycle; a group whose
// members nobody chooses (everyone, users).
MUST_USE struct error *member_add(
    struct tree *tree, struct store_batch *batch, struct object *group, struct object *member);
MUST_USE struct error *member_remove(
    struct tree *tree, struct store_batch *batch, struct object *group, struct object *member);

// Whether it is there from the beginning, and stays.
bool subject_is_builtin(const struct object *object);

// Takes a subject that is being removed out of all groups, ACLs and ownerships, and removes the
// user's tokens.
void subject_leave(struct tree *tree, struct store_batch *batch, struct object *subject);

// Marks a user and all groups that it is in, by whatever way, with the returned number: a subject
// with this mark means the user. Costs nothing while it is the same user.
uint64_t subjects_mark(struct tree *tree, struct object *user);

// All groups that a subject is in, by whatever way: an stb array, to be freed.
struct object **subject_groups(struct tree *tree, struct object *subject);

// Whether a user may do everything: root always, whatever groups it is in.
bool subject_is_super(struct tree *tree, struct object *user);
// The same by name; the name empty stands for root, and one that is not
// known is nobody.
bool user_is_super(struct tree *tree, struct slice name);

void membership_free(struct membership *membership); // NULL is allowed.
