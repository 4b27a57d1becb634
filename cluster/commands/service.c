// What a cluster says about itself and its users: get_version, get_supported_features,
// get_current_user, discover_proxies; and parse_ypath.
#include "cluster/commands/commands.h"
#include "cluster/core/subjects.h"

void command_get_current_user(struct machine *machine, struct request *request)
{
    struct node *map = node_map(&request->arena);
    struct slice user = request->user.size > 0 ? request->user : USER_ROOT;
    node_set_text(&request->arena, map, "user", node_string(&request->arena, user));
    command_answer(machine, request, NULL, map);
}

void command_get_version(struct machine *machine, struct request *request)
{
    command_answer(machine, request, NULL, node_text(&request->arena, RETABLE_VERSION));
}

void command_get_supported_features(struct machine *machine, struct request *request)
{
    struct arena *arena = &request->arena;
    struct node *types = node_list(arena);
    for (int i = 0; i < COLUMN_TYPE_COUNT; i++) {
        node_add(arena, types, node_text(arena, column_type_name((enum column_type)i)));
    }
    struct node *features = node_map(arena);
    node_set_text(arena, features, "primitive_types", types);
    // Tables are stored as the server likes; there is nothing to choose.
    struct node *codecs = node_list(arena);
    node_add(arena, codecs, node_text(arena, "none"));
    node_set_text(arena, features, "compression_codecs", codecs);
    node_set_text(arena, features, "erasure_codecs", codecs);
    struct node *map = node_map(arena);
    node_set_text(arena, map, "features", features);
    command_answer(machine, request, NULL, map);
}

void command_parse_ypath(struct machine *machine, struct request *request)
{
    struct ypath path;
    struct node *node = NULL;
    struct error *error = command_path(request, &path);
    if (!error) {
        node = node_string(&request->arena, path.plain);
        node->attributes = path.attributes;
    }
    command_answer(machine, request, error, node);
}

static struct error *discover_proxies(struct request *request, struct node **ret_node)
{
    struct arena *arena = &request->arena;
    struct slice type = {0};
    TRY(node_get_string(request->parameters, "type", &type));
    if (!slice_equal_text(type, "http")) {
        return error_new(
            ERROR_GENERIC, "Proxies of type \"%.*s\" are not offered: ask for http", SLICE(type));
    }
    if (request->host.size == 0) {
        return error_new(
            ERROR_GENERIC,
            "The HTTP address of this cluster is not known here: ask over HTTP, and the address "
            "that was used is the answer");
    }
    struct node *list = node_list(arena);
    node_add(arena, list, node_string(arena, request->host));
    *ret_node = node_map(arena);
    node_set_text(arena, *ret_node, "proxies", list);
    return NULL;
}

void command_discover_proxies(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = discover_proxies(request, &node);
    command_answer(machine, request, error, node);
}
