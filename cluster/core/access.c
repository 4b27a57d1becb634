#include "cluster/core/access.h"

#include "base/coding.h"
#include "cluster/core/subjects.h"

#include <assert.h>

const char *permission_name(enum permission permission)
{
    switch (permission) {
#define X(name, text, bit) \
    case PERMISSION_##name: return #text;
        PERMISSIONS(X)
#undef X
    }
    return NULL;
}

uint32_t permission_parse(struct slice name)
{
#define X(upper, text, bit) \
    if (slice_equal_text(name, #text)) return bit;
    PERMISSIONS(X)
#undef X
    return 0;
}

static const char *const MODE_NAMES[] = {
    [ACE_OBJECT_AND_DESCENDANTS] = "object_and_descendants",
    [ACE_OBJECT_ONLY] = "object_only",
    [ACE_DESCENDANTS_ONLY] = "descendants_only",
    [ACE_IMMEDIATE_DESCENDANTS_ONLY] = "immediate_descendants_only",
};

enum { MODE_COUNT = sizeof MODE_NAMES / sizeof *MODE_NAMES };

const char *ace_mode_name(enum ace_mode mode)
{
    return MODE_NAMES[mode];
}

bool ace_mode_parse(struct slice name, enum ace_mode *ret_mode)
{
    for (int i = 0; i < MODE_COUNT; i++) {
        if (!slice_equal_text(name, MODE_NAMES[i])) continue;
        *ret_mode = (enum ace_mode)i;
        return true;
    }
    return false;
}

bool ace_mode_inherited(enum ace_mode mode, uint32_t depth, enum ace_mode *ret_mode)
{
    *ret_mode = mode;
    if (depth == 0) return true;
    switch (mode) {
    case ACE_OBJECT_AND_DESCENDANTS: return true;
    case ACE_OBJECT_ONLY: return false;
    case ACE_DESCENDANTS_ONLY: *ret_mode = ACE_OBJECT_AND_DESCENDANTS; return true;
    case ACE_IMMEDIATE_DESCENDANTS_ONLY: *ret_mode = ACE_OBJECT_ONLY; return depth == 1;
    }
    return false;
}

static bool applies(enum ace_mode mode, uint32_t depth)
{
    enum ace_mode seen;
    if (!ace_mode_inherited(mode, depth, &seen)) return false;
    return seen == ACE_OBJECT_AND_DESCENDANTS || seen == ACE_OBJECT_ONLY;
}

// -------------------------------------------------------------------------------------------------
// Checks

const struct object *access_parent(const struct tree *tree, const struct object *object)
{
    if (object->parent) return object->parent;
    if (object->replica) return object->replica->table->object;
    return object == tree->root ? NULL : tree->root;
}

// The first of an entry's subjects that carries the mark; NULL if none does.
static const struct object *find_marked(const struct ace *ace, uint64_t mark)
{
    for (size_t i = 0; i < arr_count(ace->subjects); i++) {
        if (ace->subjects[i]->membership->mark == mark) return ace->subjects[i];
    }
    return NULL;
}

struct access_answer access_look(
    struct tree *tree, struct object *user, uint32_t permissions, const struct object *object)
{
    struct access_answer answer = {0};
    if (subject_is_super(tree, user)) {
        answer.is_allowed = true;
        return answer;
    }
    uint64_t mark = subjects_mark(tree, user);
    // Whoever may read all columns may read.
    if (permissions & PERMISSION_READ) permissions |= PERMISSION_FULL_READ;
    uint32_t depth = 0;
    for (const struct object *o = object; o; o = access_parent(tree, o)) {
        const struct access *access = o->access;
        for (size_t i = 0; access && i < arr_count(access->aces); i++) {
            const struct ace *ace = &access->aces[i];
            if (!(ace->permissions & permissions) || !applies(ace->mode, depth)) continue;
            const struct object *subject = find_marked(ace, mark);
            if (!subject) continue;
            answer = (struct access_answer){!ace->is_deny, o, subject};
            if (ace->is_deny) return answer;
        }
        if (access && access->forbids_inheritance) break;
        depth++;
    }
    return answer;
}

static struct slice print_permissions(struct arena *arena, uint32_t permissions)
{
    CLEANUP(buffer_releasep) struct buffer text = {0};
    for (uint32_t bit = 1; bit != 0; bit <<= 1) {
        if (!(permissions & bit)) continue;
        buffer_print(&text, "%s%s", text.size ? " | " : "", permission_name((enum permission)bit));
    }
    return arena_copy(arena, buffer_slice(&text));
}

// What YTsaurus calls an object in messages.
static const char *describe(struct arena *arena, const struct object *object)
{
    struct slice name = buffer_slice(&object->name);
    if (object->membership) {
        const char *kind = object->type == OBJECT_USER ? "user" : "group";
        return arena_print(arena, "%s \"%.*s\"", kind, SLICE(name));
    }
    if (object->replica) return arena_print(arena, "table replica %s", GUID_TEXT(object->id));
    if (object->collocation) {
        return arena_print(arena, "table collocation %s", GUID_TEXT(object->id));
    }
    return arena_print(arena, "node %.*s", SLICE(object_path(arena, object)));
}

static struct error *deny(
    const struct object *user,
    uint32_t permissions,
    const struct object *object,
    struct access_answer answer)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    const char *permission = print_permissions(&arena, permissions).data;
    const char *what = describe(&arena, object);
    struct slice name = buffer_slice(&user->name);
    struct error *error = NULL;
    if (answer.object) {
        error = error_new(
            ERROR_ACCESS_DENIED,
            "Access denied for user \"%.*s\": \"%s\" permission for %s is denied for \"%.*s\" by "
            "ACE at %s",
            SLICE(name),
            permission,
            what,
            SLICE(buffer_slice(&answer.subject->name)),
            describe(&arena, answer.object));
        error_set_str(error, "denied_by", GUID_TEXT(answer.object->id));
        error_set_str(error, "denied_for", GUID_TEXT(answer.subject->id));
    } else {
        error = error_new(
            ERROR_ACCESS_DENIED,
            "Access denied for user \"%.*s\": \"%s\" permission for %s is not allowed by any "
            "matching ACE",
            SLICE(name),
            permission,
            what);
    }
    error_set_str(error, "permission", permission);
    error_set_str(error, "user", arena_print(&arena, "%.*s", SLICE(name)));
    error_set_str(error, "object_id", GUID_TEXT(object->id));
    error_set_str(error, "object_name", what);
    error_set_str(error, "object_type", object_type_name(object->type));
    return error;
}

struct error *access_check(
    struct tree *tree, struct slice user, uint32_t permissions, const struct object *object)
{
    struct object *who = NULL;
    if (user.size == 0) return NULL; // root
    TRY(user_get(tree, user, &who));
    struct access_answer answer = access_look(tree, who, permissions, object);
    return answer.is_allowed ? NULL : deny(who, permissions, object, answer);
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree.
struct error *access_check_all(
    struct tree *tree, struct slice user, uint32_t permissions, const struct object *object)
{
    if (user_is_super(tree, user)) return NULL;
    TRY(access_check(tree, user, permissions, object));
    for (const struct object *child = object->children; child; child = child->hh_name.next) {
        TRY(access_check_all(tree, user, permissions, child));
    }
    return NULL;
}

struct error *access_check_removal(
    struct tree *tree, struct slice user, const struct object *object)
{
    if (object->replica)
        return access_check(tree, user, PERMISSION_WRITE, object->replica->table->object);
    TRY(access_check_all(tree, user, PERMISSION_REMOVE, object));
    if (!object->parent) return NULL;
    return access_check(tree, user, PERMISSIONS_CHANGE_CHILDREN, object->parent);
}

// -------------------------------------------------------------------------------------------------
// What an object has

struct access *access_of(struct object *object)
{
    if (!object->access) object->access = must_alloc(calloc(1, sizeof *object->access));
    return object->access;
}

void access_allow(struct object *object, struct object *subject, uint32_t permissions)
{
    struct ace ace = {.permissions = permissions};
    arr_add(ace.subjects, subject);
    arr_add(access_of(object)->aces, ace);
}

void access_own(
    struct tree *tree, struct store_batch *batch, struct slice user, struct object *object)
{
    if (user.size == 0 || slice_equal(user, USER_ROOT)) return;
    access_of(object)->owner = user_find(tree, user);
    object_save(batch, object);
}

void access_copy(const struct access *from, struct object *to)
{
    struct access *access = access_of(to);
    access->owner = from->owner;
    access->forbids_inheritance = from->forbids_inheritance;
    for (size_t i = 0; i < arr_count(from->aces); i++) {
        struct ace ace = from->aces[i];
        ace.subjects = NULL;
        for (size_t j = 0; j < arr_count(from->aces[i].subjects); j++)
            arr_add(ace.subjects, from->aces[i].subjects[j]);
        arr_add(access->aces, ace);
    }
}

bool access_forget(struct access *access, const struct object *subject)
{
    bool is_any = access->owner == subject;
    if (is_any) access->owner = NULL;
    for (size_t i = arr_count(access->aces); i-- > 0;) {
        struct ace *ace = &access->aces[i];
        for (size_t j = arr_count(ace->subjects); j-- > 0;) {
            if (ace->subjects[j] != subject) continue;
            arr_remove(ace->subjects, j);
            is_any = true;
        }
        if (arr_count(ace->subjects) > 0) continue;
        arr_free(ace->subjects);
        arr_remove(access->aces, i);
    }
    return is_any;
}

void access_free(struct access *access)
{
    if (!access) return;
    for (size_t i = 0; i < arr_count(access->aces); i++) arr_free(access->aces[i].subjects);
    arr_free(access->aces);
    free(access);
}

// -------------------------------------------------------------------------------------------------
// The store

void access_encode(const struct access *access, struct buffer *buffer)
{
    put_u8(buffer, access->forbids_inheritance);
    struct guid owner = access->owner ? access->owner->id : GUID_NULL;
    put_fixed64(buffer, owner.high);
    put_fixed64(buffer, owner.low);
    put_varint(buffer, arr_count(access->aces));
    for (size_t i = 0; i < arr_count(access->aces); i++) {
        const struct ace *ace = &access->aces[i];
        put_u8(buffer, ace->is_deny);
        put_u8(buffer, (uint8_t)ace->mode);
        put_varint(buffer, ace->permissions);
        put_varint(buffer, arr_count(ace->subjects));
        for (size_t j = 0; j < arr_count(ace->subjects); j++) {
            put_fixed64(buffer, ace->subjects[j]->id.high);
            put_fixed64(buffer, ace->subjects[j]->id.low);
        }
    }
}

static struct object *read_subject(const struct tree *tree, struct reader *reader)
{
    struct guid id;
    id.high = get_fixed64(reader);
    id.low = get_fixed64(reader);
    struct object *object = tree_find(tree, id);
    return object && object->membership ? object : NULL;
}

static void read_ace(const struct tree *tree, struct reader *reader, struct access *access)
{
    struct ace ace = {.is_deny = get_u8(reader) != 0};
    ace.mode = (enum ace_mode)(get_u8(reader) % MODE_COUNT);
    ace.permissions = (uint32_t)get_varint(reader) & PERMISSIONS_ALL;
    uint64_t count = get_varint(reader);
    for (uint64_t i = 0; i < count && !reader->is_broken; i++) {
        struct object *subject = read_subject(tree, reader);
        if (subject) arr_add(ace.subjects, subject);
    }
    arr_add(access->aces, ace);
}

struct error *access_decode(
    const struct tree *tree, struct slice record, struct access **ret_access)
{
    struct reader reader = reader_from(record);
    struct access *access = must_alloc(calloc(1, sizeof *access));
    access->forbids_inheritance = get_u8(&reader) != 0;
    access->owner = read_subject(tree, &reader);
    uint64_t count = get_varint(&reader);
    for (uint64_t i = 0; i < count && !reader.is_broken; i++) read_ace(tree, &reader, access);
    *ret_access = access;
    return reader_finish(&reader, "Stored access rights");
}

struct slice token_user(struct arena *arena, const struct object *token)
{
    struct node *attributes = NULL;
    struct slice user = {0};
    struct error *error = object_attributes(arena, token, &attributes);
    if (!error) error = node_get_string(attributes, "user", &user);
    error_free(error); // Whose token cannot be read is nobody's.
    return user;
}
