// Who may do what: ACLs of objects, and the check of a permission.
//
// Each object may have entries that allow or deny permissions to subjects. What counts for an
// object is its own entries and, unless it forbids that, those of the nodes above it as far as they
// are to be inherited. An entry that denies wins over all that allow; where none allows, it is
// denied. Superusers may do everything. A replica of a table is governed by its table, other
// objects outside the tree by the root. Source: YTsaurus
// yt/yt/server/lib/security_server/permission_checker.cpp.
#pragma once

#include "cluster/core/objects.h"

// The bits are those of YTsaurus, and stored.
#define PERMISSIONS(X)                         \
    X(READ, read, 0x001)                       \
    X(WRITE, write, 0x002)                     \
    X(USE, use, 0x004)                         \
    X(ADMINISTER, administer, 0x008)           \
    X(CREATE, create, 0x010)                   \
    X(REMOVE, remove, 0x020)                   \
    X(MOUNT, mount, 0x040)                     \
    X(MANAGE, manage, 0x080)                   \
    X(MODIFY_CHILDREN, modify_children, 0x100) \
    X(FULL_READ, full_read, 0x400)

enum permission {
#define X(name, text, bit) PERMISSION_##name = (bit),
    PERMISSIONS(X)
#undef X
};

enum {
#define X(name, text, bit) | (bit)
    PERMISSIONS_ALL = 0 PERMISSIONS(X)
#undef X
};

// What adding a child to a node, or taking one out, needs: either of them.
#define PERMISSIONS_CHANGE_CHILDREN (PERMISSION_WRITE | PERMISSION_MODIFY_CHILDREN)

#define ACE_COUNT_MAX         256 // Of one object.
#define ACE_SUBJECT_COUNT_MAX 256

enum ace_mode { // To what an entry applies. Stored.
    ACE_OBJECT_AND_DESCENDANTS,
    ACE_OBJECT_ONLY,
    ACE_DESCENDANTS_ONLY,
    ACE_IMMEDIATE_DESCENDANTS_ONLY,
};

struct ace {
    bool is_deny;
    enum ace_mode mode;
    uint32_t permissions;
    struct object **subjects; // stb array; borrowed.
};

struct access {               // What an object has of its own.
    struct ace *aces;         // stb array.
    bool forbids_inheritance; // `inherit_acl` inverted.
    struct object *owner;     // Borrowed; NULL for root.
};

// How a check ended: which entry of which object decided, for which subject; NULL if none did.
struct access_answer {
    bool is_allowed;
    const struct object *object;
    const struct object *subject;
};

// What a permission is called, or NULL; finds one by its name, 0 if there is none.
const char *permission_name(enum permission permission);
uint32_t permission_parse(struct slice name);

// "object_and_descendants" …; false if there is none of this name.
const char *ace_mode_name(enum ace_mode mode);
bool ace_mode_parse(struct slice name, enum ace_mode *ret_mode);

// What the entry becomes for an object `depth` levels below the one that has it: its mode seen from
// there. False if it does not apply.
bool ace_mode_inherited(enum ace_mode mode, uint32_t depth, enum ace_mode *ret_mode);

// Who governs an object after itself: its parent, a replica's table, or the root; NULL of the root.
const struct object *access_parent(const struct tree *tree, const struct object *object);

// Looks up whether a user has any of some permissions for an object.
struct access_answer access_look(
    struct tree *tree, struct object *user, uint32_t permissions, const struct object *object);

// Checks it for whoever asks, by name (empty: root). 901 says what is missing where, or which
// object has the entry that denies it; 900 if there is no such user. Costs next to nothing for
// root.
MUST_USE struct error *access_check(
    struct tree *tree, struct slice user, uint32_t permissions, const struct object *object);
// The same for an object and all below it.
MUST_USE struct error *access_check_all(
    struct tree *tree, struct slice user, uint32_t permissions, const struct object *object);
// What removing an object needs: `remove` for it and all below, and its parent changed; of a
// replica, that its table is written.
MUST_USE struct error *access_check_removal(
    struct tree *tree, struct slice user, const struct object *object);

// What an object has of its own, made if there is nothing yet.
struct access *access_of(struct object *object);
// Adds an entry that allows.
void access_allow(struct object *object, struct object *subject, uint32_t permissions);
// Makes a user the owner of a new object, which is saved.
void access_own(
    struct tree *tree, struct store_batch *batch, struct slice user, struct object *object);
// Copies entries, inheritance and owner.
void access_copy(const struct access *from, struct object *to);
// Takes a subject out of all entries; whether there was one.
bool access_forget(struct access *access, const struct object *subject);
void access_free(struct access *access); // NULL is allowed.
static inline void access_freep(struct access **access)
{
    access_free(*access);
}

// For the store. Subjects are looked up by id: those that are gone are left out.
void access_encode(const struct access *access, struct buffer *buffer);
MUST_USE struct error *access_decode(
    const struct tree *tree, struct slice record, struct access **ret_access);

// Whose a token is: a child of //sys/cypress_tokens, named by its SHA-256. Empty for nobody's.
struct slice token_user(struct arena *arena, const struct object *token);
