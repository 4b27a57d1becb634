// Users, groups and ACLs as commands and attributes: add_member, remove_member, check_permission;
// @acl, @inherit_acl, @owner, @effective_acl, @members, @member_of.
#include "cluster/commands/attributes.h"
#include "cluster/commands/commands.h"
#include "cluster/core/subjects.h"
#include "model/tracker_options.h"

// -------------------------------------------------------------------------------------------------
// ACLs as values

static struct node *ace_node(struct arena *arena, const struct ace *ace, enum ace_mode mode)
{
    struct node *map = node_map(arena);
    struct node *subjects = node_list(arena);
    struct node *permissions = node_list(arena);
    for (size_t i = 0; i < arr_count(ace->subjects); i++)
        node_add(arena, subjects, node_string(arena, buffer_slice(&ace->subjects[i]->name)));
    for (uint32_t bit = 1; bit <= PERMISSIONS_ALL; bit <<= 1) {
        if (!(ace->permissions & bit)) continue;
        node_add(arena, permissions, node_text(arena, permission_name((enum permission)bit)));
    }
    node_set_text(arena, map, "action", node_text(arena, ace->is_deny ? "deny" : "allow"));
    node_set_text(arena, map, "subjects", subjects);
    node_set_text(arena, map, "permissions", permissions);
    node_set_text(arena, map, "inheritance_mode", node_text(arena, ace_mode_name(mode)));
    return map;
}

static struct error *read_names(
    const struct node *map, const char *key, size_t count_max, const struct node **ret_list)
{
    const struct node *list = node_find_text(map, key);
    if (!list || list->type != NODE_LIST || list->count == 0) {
        return error_new(
            ERROR_GENERIC, "\"%s\" of an ACE must be a list of names that is not empty", key);
    }
    if (list->count > count_max)
        return error_new(ERROR_GENERIC, "\"%s\" of an ACE has too many names", key);
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->entries[i].value->type == NODE_STRING) continue;
        return error_new(ERROR_GENERIC, "\"%s\" of an ACE must hold strings", key);
    }
    *ret_list = list;
    return NULL;
}

static struct error *read_ace(const struct tree *tree, const struct node *item, struct ace *ace)
{
    static const char *const KNOWN[] = {
        "action", "subjects", "permissions", "inheritance_mode", NULL};
    struct slice action = {0};
    struct slice mode = SLICE_OF("object_and_descendants");
    const struct node *names = NULL;
    if (item->type != NODE_MAP) return error_new(ERROR_GENERIC, "An ACE must be a map");
    TRY(check_known_keys(item, "An ACE", KNOWN));
    TRY(node_get_string(item, "action", &action));
    TRY(node_get_string(item, "inheritance_mode", &mode));
    ace->is_deny = slice_equal_text(action, "deny");
    if (!ace->is_deny && !slice_equal_text(action, "allow")) {
        return error_new(
            ERROR_GENERIC,
            "\"action\" of an ACE must be \"allow\" or \"deny\", not \"%.*s\"",
            SLICE(action));
    }
    if (!ace_mode_parse(mode, &ace->mode))
        return error_new(ERROR_GENERIC, "Unknown inheritance mode \"%.*s\"", SLICE(mode));
    TRY(read_names(item, "permissions", 32, &names));
    for (uint32_t i = 0; i < names->count; i++) {
        struct slice name = names->entries[i].value->string;
        uint32_t permission = permission_parse(name);
        if (permission == 0)
            return error_new(ERROR_GENERIC, "Unknown permission \"%.*s\"", SLICE(name));
        ace->permissions |= permission;
    }
    TRY(read_names(item, "subjects", ACE_SUBJECT_COUNT_MAX, &names));
    for (uint32_t i = 0; i < names->count; i++) {
        struct object *subject = NULL;
        TRY(subject_get(tree, names->entries[i].value->string, &subject));
        arr_add(ace->subjects, subject);
    }
    return NULL;
}

static struct error *read_acl(
    const struct tree *tree, const struct node *list, struct access *access)
{
    if (list->type != NODE_LIST) return error_new(ERROR_GENERIC, "An ACL must be a list of ACEs");
    if (list->count > ACE_COUNT_MAX) {
        return error_new(ERROR_GENERIC, "An ACL must have no more than %d ACEs", ACE_COUNT_MAX);
    }
    for (uint32_t i = 0; i < list->count; i++) {
        struct ace ace = {0};
        struct error *error = read_ace(tree, list->entries[i].value, &ace);
        arr_add(access->aces, ace);
        if (error) return error_wrap(error, error_code(error), "ACE %u is not right", i);
    }
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Showing

static bool has_access(const struct object *object)
{
    return !object->replica && !object->collocation;
}

static struct node *get_acl(const struct subject *s)
{
    if (!has_access(s->object)) return NULL;
    struct node *list = node_list(s->arena);
    const struct access *access = s->object->access;
    for (size_t i = 0; access && i < arr_count(access->aces); i++)
        node_add(s->arena, list, ace_node(s->arena, &access->aces[i], access->aces[i].mode));
    return list;
}

static struct node *get_inherit_acl(const struct subject *s)
{
    if (!has_access(s->object)) return NULL;
    const struct access *access = s->object->access;
    return node_boolean(s->arena, !access || !access->forbids_inheritance);
}

static struct node *get_owner(const struct subject *s)
{
    if (!has_access(s->object)) return NULL;
    const struct access *access = s->object->access;
    bool is_root = !access || !access->owner;
    return node_string(s->arena, is_root ? USER_ROOT : buffer_slice(&access->owner->name));
}

static struct node *get_effective_acl(const struct subject *s)
{
    const struct tree *tree = &s->machine->cell.tree;
    struct node *list = node_list(s->arena);
    const struct object *object = s->object;
    if (object->replica) object = object->replica->table->object; // It has none of its own.
    for (uint32_t depth = 0; object; object = access_parent(tree, object), depth++) {
        const struct access *access = object->access;
        for (size_t i = 0; access && i < arr_count(access->aces); i++) {
            enum ace_mode mode;
            if (!ace_mode_inherited(access->aces[i].mode, depth, &mode)) continue;
            node_add(s->arena, list, ace_node(s->arena, &access->aces[i], mode));
        }
        if (access && access->forbids_inheritance) break;
    }
    return list;
}

static struct node *list_names(struct arena *arena, struct object *const *subjects)
{
    struct node *list = node_list(arena);
    for (size_t i = 0; i < arr_count(subjects); i++)
        node_add(arena, list, node_string(arena, buffer_slice(&subjects[i]->name)));
    return list;
}

static struct node *get_name(const struct subject *s)
{
    if (!s->object->membership) return NULL;
    return node_string(s->arena, buffer_slice(&s->object->name));
}

static struct node *get_members(const struct subject *s)
{
    if (s->object->type != OBJECT_GROUP) return NULL;
    return list_names(s->arena, s->object->membership->members);
}

static struct node *get_member_of(const struct subject *s)
{
    if (!s->object->membership) return NULL;
    return list_names(s->arena, s->object->membership->member_of);
}

static struct node *get_member_of_closure(const struct subject *s)
{
    if (!s->object->membership) return NULL;
    struct object **groups = subject_groups(&s->machine->cell.tree, s->object);
    struct node *list = list_names(s->arena, groups);
    arr_free(groups);
    return list;
}

const struct attribute RIGHTS_ATTRIBUTES[] = {
    {"acl", false, get_acl},
    {"inherit_acl", false, get_inherit_acl},
    {"owner", false, get_owner},
    {"effective_acl", true, get_effective_acl},
    {"name", false, get_name},
    {"members", true, get_members},
    {"member_of", false, get_member_of},
    {"member_of_closure", true, get_member_of_closure},
    {0},
};

// -------------------------------------------------------------------------------------------------
// Setting

bool rights_is_attribute(struct slice name)
{
    return slice_equal_text(name, "acl") || slice_equal_text(name, "inherit_acl") ||
           slice_equal_text(name, "owner");
}

// Reads the value of one of the attributes into `access`; NULL stands for the default.
static struct error *read_right(
    const struct tree *tree, struct slice name, const struct node *value, struct access *access)
{
    if (slice_equal_text(name, "acl")) return value ? read_acl(tree, value, access) : NULL;
    if (slice_equal_text(name, "inherit_acl")) {
        if (value && value->type != NODE_BOOLEAN)
            return error_new(ERROR_GENERIC, "Attribute \"inherit_acl\" must be boolean");
        access->forbids_inheritance = value && !value->boolean;
        return NULL;
    }
    if (!value) return NULL;
    if (value->type != NODE_STRING)
        return error_new(ERROR_GENERIC, "Attribute \"owner\" must be the name of a subject");
    return subject_get(tree, value->string, &access->owner);
}

struct error *rights_take(
    const struct machine *machine, struct node *attributes, struct access **ret_access)
{
    static const char *const NAMES[] = {"acl", "inherit_acl", "owner"};
    CLEANUP(access_freep) struct access *access = must_alloc(calloc(1, sizeof *access));
    bool is_any = false;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        struct slice name = slice_from_text(NAMES[i]);
        const struct node *value = node_find(attributes, name);
        if (!value) continue;
        TRY(read_right(&machine->cell.tree, name, value, access));
        node_remove(attributes, name);
        is_any = true;
    }
    if (is_any) *ret_access = TAKE(access);
    return NULL;
}

// The value of the attribute with what is at the path replaced, or removed.
static struct error *change_value(
    struct machine *machine,
    struct arena *arena,
    struct object *object,
    const struct ypath *path,
    struct node *value,
    struct node **ret_value)
{
    *ret_value = value;
    if (path->attribute_count == 1) return NULL;
    const struct subject subject = {machine, arena, object};
    bool is_acl = slice_equal_text(path->attribute[0], "acl");
    struct node *whole = is_acl ? get_acl(&subject) : node_entity(arena);
    const struct slice *names = path->attribute + 1;
    uint16_t count = (uint16_t)(path->attribute_count - 1);
    TRY(value ? value_put(arena, whole, names, count, value) : value_drop(whole, names, count));
    *ret_value = whole;
    return NULL;
}

struct error *rights_set(
    struct machine *machine,
    struct arena *arena,
    struct object *object,
    const struct ypath *path,
    struct node *value)
{
    struct slice name = path->attribute[0];
    if (!has_access(object)) {
        return error_new(
            ERROR_GENERIC,
            "A %s has no attribute \"%.*s\" of its own",
            object_type_name(object->type),
            SLICE(name));
    }
    CLEANUP(access_freep) struct access *draft = must_alloc(calloc(1, sizeof *draft));
    TRY(change_value(machine, arena, object, path, value, &value));
    TRY(read_right(&machine->cell.tree, name, value, draft));
    struct access *access = access_of(object);
    if (slice_equal_text(name, "acl")) {
        struct ace *aces = access->aces;
        access->aces = draft->aces;
        draft->aces = aces;
    } else if (slice_equal_text(name, "inherit_acl")) {
        access->forbids_inheritance = draft->forbids_inheritance;
    } else {
        access->owner = draft->owner;
    }
    object_save(&machine->cell.batch, object);
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Users and groups

struct error *create_subject(
    struct machine *machine, struct request *request, enum object_type type, struct object **ret)
{
    struct cell *cell = &machine->cell;
    struct tree *tree = &cell->tree;
    struct node *attributes = node_find_text(request->parameters, "attributes");
    struct slice name = {0};
    bool ignores_existing = false;
    TRY(node_get_string(attributes, "name", &name));
    TRY(node_get_boolean(request->parameters, "ignore_existing", &ignores_existing));
    struct object *existing = subject_find(tree, name);
    if (existing && existing->type == type && ignores_existing) {
        *ret = existing;
        return NULL;
    }
    struct object *folder = type == OBJECT_USER ? tree->users : tree->groups;
    TRY(access_check(tree, request->user, PERMISSIONS_CHANGE_CHILDREN, folder));
    if (attributes) TRY(value_check_size(attributes, "Attributes of an object"));
    CLEANUP(access_freep) struct access *access = NULL;
    if (attributes) TRY(rights_take(machine, attributes, &access));
    if (access) {
        return error_new(
            ERROR_GENERIC, "The ACL and the owner of a user or a group are set after its creation");
    }
    TRY(subject_new(tree, &cell->batch, type, name, cell->wall_us, ret));
    node_remove(attributes, SLICE_OF("name"));
    TRY(object_set_attributes(*ret, attributes));
    object_save(&cell->batch, *ret);
    return NULL;
}

static struct error *change_membership(
    struct machine *machine, struct request *request, bool is_addition)
{
    struct cell *cell = &machine->cell;
    struct tree *tree = &cell->tree;
    struct slice group_name = {0};
    struct slice member_name = {0};
    struct object *member = NULL;
    TRY(node_get_string(request->parameters, "group", &group_name));
    TRY(node_get_string(request->parameters, "member", &member_name));
    if (group_name.size == 0) return error_new(ERROR_GENERIC, "Parameter \"group\" is missing");
    if (member_name.size == 0) return error_new(ERROR_GENERIC, "Parameter \"member\" is missing");
    struct object *group = group_find(tree, group_name);
    if (!group) {
        return error_new(ERROR_NO_SUCH_SUBJECT, "No such group \"%.*s\"", SLICE(group_name));
    }
    TRY(access_check(tree, request->user, PERMISSION_WRITE, group));
    TRY(subject_get(tree, member_name, &member));
    return is_addition ? member_add(tree, &cell->batch, group, member)
                       : member_remove(tree, &cell->batch, group, member);
}

void command_add_member(struct machine *machine, struct request *request)
{
    command_answer(machine, request, change_membership(machine, request, true), NULL);
}

void command_remove_member(struct machine *machine, struct request *request)
{
    command_answer(machine, request, change_membership(machine, request, false), NULL);
}

// -------------------------------------------------------------------------------------------------
// check_permission

static void set_object(
    struct arena *arena, struct node *map, const char *kind, const struct object *object)
{
    if (!object) return;
    struct slice name =
        object->membership ? buffer_slice(&object->name) : object_path(arena, object);
    node_set_text(arena, map, arena_print(arena, "%s_id", kind), node_guid(arena, object->id));
    node_set_text(arena, map, arena_print(arena, "%s_name", kind), node_string(arena, name));
}

static struct error *check_permission(
    struct machine *machine, struct request *request, struct node **ret_node)
{
    struct arena *arena = &request->arena;
    struct tree *tree = &machine->cell.tree;
    struct slice user_name = {0};
    struct slice permission_text = {0};
    struct ypath path;
    struct object *object = NULL;
    struct object *user = NULL;
    TRY(node_get_string(request->parameters, "user", &user_name));
    TRY(node_get_string(request->parameters, "permission", &permission_text));
    if (user_name.size == 0) return error_new(ERROR_GENERIC, "Parameter \"user\" is missing");
    uint32_t permission = permission_parse(permission_text);
    if (permission == 0)
        return error_new(ERROR_GENERIC, "Unknown permission \"%.*s\"", SLICE(permission_text));
    TRY(command_path(request, &path));
    user = user_find(tree, user_name); // Not 900, which would be about who asks.
    if (!user) return error_new(ERROR_NO_SUCH_SUBJECT, "No such user \"%.*s\"", SLICE(user_name));
    TRY(tree_resolve(tree, &path, &object));
    struct access_answer answer = access_look(tree, user, permission, object);
    struct node *map = node_map(arena);
    node_set_text(arena, map, "action", node_text(arena, answer.is_allowed ? "allow" : "deny"));
    set_object(arena, map, "object", answer.object);
    set_object(arena, map, "subject", answer.subject);
    *ret_node = map;
    return NULL;
}

void command_check_permission(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = check_permission(machine, request, &node);
    command_answer(machine, request, error, node);
}
