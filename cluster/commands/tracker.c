// Commands about the tracker, retable's own: what it thinks, what it did, and switching by hand.
#include "cluster/commands/commands.h"

enum { HISTORY_COUNT_DEFAULT = 100 };

// The replicated table that parameter `path` names; NULL if there is no such parameter.
static struct error *find_replicated(
    const struct machine *machine, struct request *request, struct table **ret_table)
{
    *ret_table = NULL;
    const struct node *given = node_find_text(request->parameters, "path");
    if (!given || given->type == NODE_ENTITY) return NULL;
    struct ypath path;
    TRY(command_path(request, &path));
    TRY(tree_resolve_table(&machine->cell.tree, &request->arena, path.text, ret_table));
    if ((*ret_table)->is_replicated) return NULL;
    return error_new(ERROR_GENERIC, "%.*s is not a replicated table", SLICE(path.text));
}

static struct error *check_meta(const struct machine *machine)
{
    if (machine->cell.options.is_meta) return NULL;
    return error_new(
        ERROR_GENERIC,
        "This cluster has no replicated tables: ask the meta-cluster, which retable-coordinator "
        "serves");
}

static struct error *do_status(
    struct machine *machine, struct request *request, struct node **ret_node)
{
    TRY(check_meta(machine));
    struct table *table = NULL;
    TRY(find_replicated(machine, request, &table));
    struct coordinator *coordinator = &machine->coordinator;
    if (table) {
        *ret_node = tracker_table_status(coordinator, &request->arena, table);
        return NULL;
    }
    *ret_node = node_list(&request->arena);
    for (size_t i = 0; i < arr_count(coordinator->tables); i++) {
        struct node *status =
            tracker_table_status(coordinator, &request->arena, coordinator->tables[i]);
        node_add(&request->arena, *ret_node, status);
    }
    return NULL;
}

void command_get_tracker_status(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = do_status(machine, request, &node);
    command_answer(machine, request, error, node);
}

static struct error *do_history(
    struct machine *machine, struct request *request, struct node **ret_node)
{
    TRY(check_meta(machine));
    struct table *table = NULL;
    uint64_t count = HISTORY_COUNT_DEFAULT;
    TRY(find_replicated(machine, request, &table));
    TRY(node_get_uint64(request->parameters, "limit", &count));
    return tracker_history(&machine->coordinator, &request->arena, table, count, ret_node);
}

void command_get_tracker_history(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = do_history(machine, request, &node);
    command_answer(machine, request, error, node);
}

static struct error *do_switch_over(
    struct machine *machine, struct request *request, struct node **ret_node)
{
    TRY(check_meta(machine));
    struct table *table = NULL;
    struct slice cluster = {0};
    bool is_dry_run = false;
    TRY(find_replicated(machine, request, &table));
    TRY(node_get_string(request->parameters, "cluster_name", &cluster));
    TRY(node_get_boolean(request->parameters, "dry_run", &is_dry_run));
    if (!table) return error_new(ERROR_GENERIC, "Parameter \"path\" is missing");
    if (cluster.size == 0) return error_new(ERROR_GENERIC, "Parameter \"cluster_name\" is missing");
    return tracker_switch_over(
        &machine->coordinator, table, cluster, is_dry_run, &request->arena, ret_node);
}

void command_switch_over(struct machine *machine, struct request *request)
{
    struct node *node = NULL;
    struct error *error = do_switch_over(machine, request, &node);
    command_answer(machine, request, error, node);
}
