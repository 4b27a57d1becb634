// issue_token, revoke_token, list_user_tokens: how users prove who they are.
//
// A token is known by its SHA-256 alone: a node under //sys/cypress_tokens has it for a name, and
// the attribute `user`. So tokens are stored, and removed with their user, like all else.
#include "cluster/commands/commands.h"
#include "cluster/core/subjects.h"

enum { USER_TOKEN_COUNT_MAX = 1000, HASH_SIZE = 64 };

// The user that the command is about: whoever asks, or somebody else whom he may administer.
static struct error *find_user(
    struct machine *machine, struct request *request, struct object **ret_user)
{
    struct tree *tree = &machine->cell.tree;
    struct slice name = {0};
    TRY(node_get_string(request->parameters, "user", &name));
    if (name.size == 0) return error_new(ERROR_GENERIC, "Parameter \"user\" is missing");
    struct object *user = user_find(tree, name);
    if (!slice_equal(name, request->user)) {
        // Who may not know learns nothing about who there is.
        const struct object *object = user ? user : tree->users;
        TRY(access_check(tree, request->user, PERMISSION_ADMINISTER, object));
    }
    if (!user) return error_new(ERROR_NO_SUCH_SUBJECT, "No such user \"%.*s\"", SLICE(name));
    *ret_user = user;
    return NULL;
}

static struct node *list_tokens(
    const struct tree *tree, struct arena *arena, const struct object *user)
{
    struct node *list = node_list(arena);
    for (struct object *token = tree->tokens->children; token; token = token->hh_name.next) {
        struct slice name = token_user(arena, token);
        if (slice_equal(name, buffer_slice(&user->name)))
            node_add(arena, list, node_string(arena, buffer_slice(&token->name)));
    }
    return list;
}

static struct error *issue(struct machine *machine, struct request *request, struct node **ret_node)
{
    struct cell *cell = &machine->cell;
    struct arena *arena = &request->arena;
    struct object *user = NULL;
    TRY(find_user(machine, request, &user));
    if (request->new_token.size == 0)
        return error_new(ERROR_GENERIC, "Tokens are not issued by commands of a batch");
    if (list_tokens(&cell->tree, arena, user)->count >= USER_TOKEN_COUNT_MAX)
        return error_new(ERROR_GENERIC, "The user has too many tokens: revoke some");
    struct object *token = object_new(
        &cell->tree,
        &cell->batch,
        OBJECT_MAP_NODE,
        cell->tree.tokens,
        request->new_token_hash,
        cell->wall_us);
    struct node *attributes = node_map(arena);
    node_set_text(arena, attributes, "user", node_string(arena, buffer_slice(&user->name)));
    TRY(object_set_attributes(token, attributes));
    object_save(&cell->batch, token);
    *ret_node = node_string(arena, request->new_token);
    return NULL;
}

void command_issue_token(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = issue(machine, request, &node);
    command_answer(machine, request, error, node);
}

static struct error *revoke(struct machine *machine, struct request *request)
{
    struct cell *cell = &machine->cell;
    struct object *user = NULL;
    struct slice hash = {0};
    TRY(find_user(machine, request, &user));
    TRY(node_get_string(request->parameters, "token_sha256", &hash));
    if (hash.size != HASH_SIZE) {
        return error_new(
            ERROR_GENERIC, "Parameter \"token_sha256\" must be %d hexadecimal digits", HASH_SIZE);
    }
    struct object *token = object_child(cell->tree.tokens, hash);
    bool is_his =
        token && slice_equal(token_user(&request->arena, token), buffer_slice(&user->name));
    if (!is_his) {
        return error_new(
            ERROR_RESOLVE_ERROR,
            "User \"%.*s\" has no token with this SHA-256",
            SLICE(buffer_slice(&user->name)));
    }
    object_remove(&cell->tree, &cell->batch, token);
    return NULL;
}

void command_revoke_token(struct machine *machine, struct request *request)
{
    command_answer(machine, request, revoke(machine, request), NULL);
}

void command_list_user_tokens(struct machine *machine, struct request *request)
{
    struct object *user = NULL;
    struct node *node = NULL;
    struct error *error = find_user(machine, request, &user);
    if (!error) node = list_tokens(&machine->cell.tree, &request->arena, user);
    command_answer(machine, request, error, node);
}
