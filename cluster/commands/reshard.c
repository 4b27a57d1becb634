// reshard_table: other tablets for a table or a range of it.
#include "cluster/commands/commands.h"

#include "coordinator/core/queue.h"

static bool has_rows(const struct table *table)
{
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        if (table->tablets[i].queue->end.row_index > 0) return true;
    }
    return false;
}

struct reshard {
    uint32_t begin; // The tablets [begin, end) become others.
    uint32_t end;
    uint64_t count;
    const struct node *pivots; // Of sorted tables.
};

static struct error *read_pivots(
    struct request *request, const struct table *table, struct reshard *reshard)
{
    const struct node *parameters = request->parameters;
    bool is_uniform = false;
    TRY(node_get_boolean(parameters, "uniform", &is_uniform));
    reshard->pivots = node_find_text(parameters, "pivot_keys");
    if (reshard->pivots && reshard->pivots->type == NODE_ENTITY) reshard->pivots = NULL;
    if (reshard->pivots && (reshard->pivots->type != NODE_LIST || reshard->count != 0)) {
        return error_new(ERROR_GENERIC, "Cannot specify both \"tablet_count\" and \"pivot_keys\"");
    }
    if (!table_is_sorted(table)) {
        if (!reshard->pivots) return tablet_count_check(reshard->count);
        return error_new(ERROR_GENERIC, "Table is ordered; must provide tablet count");
    }
    if (!reshard->pivots && (table->is_replicated || !is_uniform)) {
        return error_new(
            ERROR_GENERIC,
            table->is_replicated ? "Pivot keys must be provided to reshard a replicated table"
                                 : "Pivot keys must be provided to reshard a sorted table");
    }
    if (!reshard->pivots) {
        if (reshard->end - reshard->begin != table->tablet_count) {
            return error_new(ERROR_GENERIC, "\"uniform\" must reshard all tablets of the table");
        }
        TRY(tablet_count_check(reshard->count));
        struct node *spread = NULL;
        TRY(pivots_spread(&request->arena, table->schema, reshard->count, &spread));
        reshard->pivots = spread;
    }
    reshard->count = reshard->pivots->count;
    TRY(tablet_count_check(reshard->count));
    struct slice after = NO_PIVOT;
    bool has_after = reshard->end < table->tablet_count;
    if (has_after) after = buffer_slice(&table->tablets[reshard->end].pivot);
    struct slice first = buffer_slice(&table->tablets[reshard->begin].pivot);
    return pivots_check(table->schema, first, has_after ? &after : NULL, reshard->pivots);
}

static struct error *plan_reshard(
    struct request *request, const struct table *table, struct reshard *reshard)
{
    TRY(command_tablet_range(request, table, &reshard->begin, &reshard->end));
    for (uint32_t i = reshard->begin; i < reshard->end; i++) {
        if (table->tablets[i].state == TABLET_UNMOUNTED) continue;
        return error_new(
            ERROR_INVALID_TABLET_STATE,
            "Cannot reshard table since tablet %s is not unmounted",
            GUID_TEXT(table->tablets[i].id));
    }
    TRY(node_get_uint64(request->parameters, "tablet_count", &reshard->count));
    TRY(read_pivots(request, table, reshard));
    TRY(tablet_count_check(table->tablet_count - (reshard->end - reshard->begin) + reshard->count));
    if (table->is_replicated && has_rows(table)) {
        return error_new(
            ERROR_GENERIC,
            "Cannot reshard non-empty table of type \"%s\"",
            object_type_name(table->object->type));
    }
    if (table->is_replicated || table_is_sorted(table)) return NULL;
    // An ordered table's tablets keep their rows as long as there are enough of them.
    uint64_t kept_count = MIN(reshard->count, (uint64_t)(reshard->end - reshard->begin));
    reshard->begin += (uint32_t)kept_count;
    reshard->count -= kept_count;
    for (uint32_t i = reshard->begin; i < reshard->end; i++) {
        const struct tablet *tablet = &table->tablets[i];
        if (tablet->trimmed_row_count == tablet->total_row_count) continue;
        return error_new(
            ERROR_GENERIC,
            "Some chunks of tablet %s are not fully trimmed; such a tablet cannot participate in "
            "resharding",
            GUID_TEXT(tablet->id));
    }
    return NULL;
}

static struct error *do_reshard(struct machine *machine, struct request *request)
{
    struct cell *cell = &machine->cell;
    struct table *table = NULL;
    struct reshard reshard = {0};
    TRY(command_find_dynamic_table(machine, request, "reshard", &table));
    TRY(plan_reshard(request, table, &reshard));
    // Sessions speak of the old tablets.
    if (table->is_replicated) coordinator_table_removing(&machine->coordinator, table);
    table_replace_tablets(
        &cell->tree, &cell->batch, table, reshard.begin, reshard.end, (uint32_t)reshard.count);
    struct error *error = NULL;
    if (reshard.pivots) error = table_set_pivots(table, reshard.begin, reshard.pivots);
    if (!error && table->is_replicated) {
        error = coordinator_table_added(&machine->coordinator, table);
    }
    for (size_t i = 0; !error && i < arr_count(table->replicas); i++) {
        // The log is empty: no tablet has another place to begin.
        arr_free(table->replicas[i]->start_row_indexes);
        object_save(&cell->batch, table->replicas[i]->object);
        error = coordinator_replica_added(&machine->coordinator, table->replicas[i]);
    }
    object_save(&cell->batch, table->object);
    return error;
}

void command_reshard_table(struct machine *machine, struct request *request)
{
    command_answer(machine, request, do_reshard(machine, request), NULL);
}
