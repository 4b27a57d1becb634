#include "rules.h"

const char *rules_create(struct machine_world *world, int node, const char *parameters)
{
    const char *quoted = world_do(world, node, "create", parameters, NULL);
    return world_text(world, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
}

void rules_table(
    struct machine_world *world,
    int node,
    const char *type,
    const char *path,
    const char *attributes)
{
    const char *parameters = world_text(
        world, "{type=%s;path=\"%s\";attributes={dynamic=%%true;%s}}", type, path, attributes);
    rules_create(world, node, parameters);
    world_do(world, node, "mount_table", world_text(world, "{path=\"%s\"}", path), NULL);
}

const char *rules_replica(
    struct machine_world *world, const char *path, const char *replica, const char *table)
{
    const char *id = rules_create(
        world,
        META,
        world_text(
            world,
            "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;"
            "replica_path=\"%s\";enabled=%%true;%s}}",
            path,
            replica));
    bool is_bound = strstr(replica, "preserve_timestamps=%false") == NULL;
    const char *attributes =
        world_text(world, "%s;%s=\"%s\"", table, is_bound ? "upstream_replica_id" : "made_for", id);
    rules_table(world, REPLICA, "table", path, attributes);
    world_run(world, 5 * SECOND); // The session has failed while there was no table.
    return id;
}

const char *rules_world(struct machine_world *world, const char *attributes, const char *replica)
{
    world_init(world, 2);
    rules_table(world, META, "replicated_table", "//tmp/t", attributes);
    return rules_replica(world, "//tmp/r", replica, attributes);
}

const char *rules_attribute(struct machine_world *world, const char *id, const char *name)
{
    return world_get(world, META, world_text(world, "#%s/@%s", id, name));
}

void rules_wait(struct machine_world *world, const char *id, const char *name, const char *value)
{
    world_wait(world, META, world_text(world, "#%s/@%s", id, name), value);
}

void rules_catch_up(struct machine_world *world, const char *id)
{
    const char *total = world_get(world, META, "//tmp/t/@tablets/0/flushed_row_count");
    rules_wait(world, id, "tablets/0/current_replication_row_index", total);
    rules_wait(world, id, "error_count", "0");
}

void rules_alter(struct machine_world *world, const char *id, const char *change)
{
    const char *parameters = world_text(world, "{replica_id=\"%s\";%s}", id, change);
    world_do(world, META, "alter_table_replica", parameters, NULL);
}

void rules_insert(struct machine_world *world, const char *rows)
{
    world_do(world, META, "insert_rows", NO_SYNC, rows);
}

const char *rules_rows(struct machine_world *world, int node, const char *path)
{
    const char *query = world_text(world, "{query=\"* from [%s]\"}", path);
    return world_do(world, node, "select_rows", query, NULL);
}

void rules_wait_error(struct machine_world *world, const char *id, const char *text)
{
    const char *errors = "";
    for (int i = 0; i < 300 && !strstr(errors, text); i++) {
        world_run(world, 100 * MS);
        errors = world_do(world, META, "get_tablet_errors", T, NULL);
    }
    cr_assert(strstr(errors, text) != NULL, "%s is not in %s", text, errors);
    cr_assert(strstr(errors, id) != NULL, "%s is not in %s", id, errors);
}
