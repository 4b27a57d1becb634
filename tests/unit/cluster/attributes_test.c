// The attributes of objects, as behaviour.md lists them in section 2: a table of rows for each of
// its tables, under the same names. What replicas are created with (2.4): replicas_test.c; mount
// options (2.6): mount_options_test.c.
#include "machine_world.h"

TestSuite(attributes, .fini = abort_on_leaks);

#define T "{path=\"//tmp/t\"}"

enum shown { ALWAYS, OPAQUE, ABSENT }; // Whether `get @` shows it; OPAQUE: by name only.

struct expected {
    const char *name;
    enum shown shown;
    const char *value;     // Text YSON that the value begins with; NULL for any.
    const char *set_value; // Tried to be set; NULL for nothing.
    const char *set_error; // NULL if setting works.
};

static const char *print_path(struct machine_world *world, const char *object, const char *name)
{
    return world_text(world, "{path=\"%s/@%s\"}", object, name);
}

static void check_shown(
    struct machine_world *world, int node, const char *object, const struct expected *row)
{
    const char *parameters = print_path(world, object, row->name);
    const char *value = world_try(world, node, "get", parameters, NULL);
    if (row->shown == ABSENT) {
        cr_assert(value == NULL, "%s/@%s is there: %s", object, row->name, value);
        cr_assert(error_says(world->error, 500, row->name), "%s", row->name);
        return;
    }
    cr_assert(value != NULL, "%s/@%s: %s", object, row->name, error_message(world->error));
    if (row->value) {
        bool fits = strncmp(value, row->value, strlen(row->value)) == 0;
        cr_assert(fits, "%s/@%s is %s", object, row->name, value);
    }
    parameters = world_text(world, "{path=\"%s/@\"}", object);
    const char *all = world_do(world, node, "list", parameters, NULL);
    bool is_listed = strstr(all, world_text(world, "\"%s\";", row->name)) != NULL;
    cr_assert(is_listed == (row->shown == ALWAYS), "%s/@%s in %s", object, row->name, all);
}

static void check_set(
    struct machine_world *world, int node, const char *object, const struct expected *row)
{
    const char *parameters = print_path(world, object, row->name);
    if (row->set_error) {
        assert_refused(world, node, "set", parameters, row->set_value, 0, row->set_error);
        return;
    }
    world_do(world, node, "set", parameters, row->set_value);
}

static void check_rows(
    struct machine_world *world,
    int node,
    const char *object,
    const struct expected *rows,
    size_t row_count)
{
    for (size_t i = 0; i < row_count; i++) check_shown(world, node, object, &rows[i]);
    for (size_t i = 0; i < row_count; i++) {
        if (rows[i].set_value) check_set(world, node, object, &rows[i]);
    }
}

#define CHECK(world, node, object, rows) \
    check_rows((world), (node), (object), (rows), sizeof(rows) / sizeof *(rows))

#define BUILTIN "cannot be set"

// 1.1: ids say the type of their object and the cell it is in, and lead to it.
Test(attributes, table_1_1_of_ids_and_object_types)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *replica_id = world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_do(
        &world,
        META,
        "create",
        "{type=table_collocation;attributes={collocation_type=replication;"
        "table_paths=[\"//tmp/t\"]}}",
        NULL);
    const struct {
        int node;
        const char *id;
        unsigned type;
        const char *name;
    } rows[] = {
        {REPLICA, world_get(&world, REPLICA, "//tmp/r/@id"), 401, "table"},
        {META, world_get(&world, META, "//tmp/t/@id"), 425, "replicated_table"},
        {META, world_get(&world, META, "//tmp/t/@tablets/0/tablet_id"), 702, "tablet"},
        {META, replica_id, 709, "table_replica"},
        {META,
         world_get(&world, META, "//tmp/t/@replication_collocation_id"),
         1302,
         "table_collocation"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned words[4] = {0};
        int count = sscanf(rows[i].id, "%x-%x-%x-%x", &words[0], &words[1], &words[2], &words[3]);
        cr_assert(eq(int, count, 4));
        uint16_t cell_tag = world.nodes[rows[i].node].machine->cell.options.cell_tag;
        cr_assert(eq(uint, words[2], (unsigned)cell_tag << 16 | rows[i].type), "%s", rows[i].id);
        const char *path = world_text(&world, "#%s/@type", rows[i].id);
        assert_text(world_get(&world, rows[i].node, path), rows[i].name);
        path = world_text(&world, "#%s/@id", rows[i].id);
        assert_text(world_get(&world, rows[i].node, path), rows[i].id);
    }
    const char *cell_id = world_get(&world, META, "//tmp/t/@tablets/0/cell_id");
    cr_assert(strstr(cell_id, "2bc-") != NULL, "%s", cell_id); // 700, a tablet cell.
    // An id is any four numbers: this one is of nothing here.
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/u\";attributes={dynamic=%true;upstream_replica_id=\"1-2-3-4\";"
        "schema=" WORLD_SCHEMA "}}",
        NULL);
    assert_text(world_get(&world, META, "//tmp/u/@upstream_replica_id"), "1-2-3-4");
    world_release(&world);
}

// 1.4: the names, by their numbers.
Test(attributes, table_1_4_of_enumerations)
{
    static const char *const TABLET_STATES[] = {
        "mounting",
        "mounted",
        "unmounting",
        "unmounted",
        "freezing",
        "frozen",
        "unfreezing",
        "frozen_mounting"};
    static const char *const REPLICA_STATES[] = {
        "none", "disabling", "disabled", "enabled", "enabling"};
    for (int i = 0; i <= TABLET_FROZEN_MOUNTING; i++) {
        assert_text(tablet_state_name((enum tablet_state)i), TABLET_STATES[i]);
    }
    for (int i = 0; i <= REPLICA_STATE_ENABLING; i++) {
        assert_text(replica_state_name((enum replica_state)i), REPLICA_STATES[i]);
    }
    assert_text(replica_mode_name((enum replica_mode)0), "sync");
    assert_text(replica_mode_name((enum replica_mode)1), "async");
}

Test(attributes, table_2_1_of_a_replicated_table)
{
    static const struct expected ROWS[] = {
        {"type", ALWAYS, "\"replicated_table\"", "a", BUILTIN},
        {"id", ALWAYS, NULL, "\"1-2-3-4\"", BUILTIN},
        {"dynamic", ALWAYS, "%true", "%false", BUILTIN},
        {"schema", ALWAYS, "<\"strict\"=%true;\"unique_keys\"=%true;>[", "[]", BUILTIN},
        {"schema_id", ALWAYS, NULL, "\"1-2-3-4\"", BUILTIN},
        {"sorted", ALWAYS, "%true", "%false", BUILTIN},
        {"key_columns", ALWAYS, "[\"key\";]", "[]", BUILTIN},
        {"replicas", OPAQUE, "{", "{}", BUILTIN},
        {"replicated_table_options", ALWAYS, "{", "{max_sync_replica_count=2}", NULL},
        {"replicated_table_options/max_sync_replica_count", OPAQUE, NULL, "1", NULL},
        {"replication_collocation_id", ABSENT, NULL, NULL, NULL},
        {"replication_collocation_table_paths", ABSENT, NULL, NULL, NULL},
        {"tablet_count", ALWAYS, "1", "2", BUILTIN},
        {"tablets", OPAQUE, "[{", "[]", BUILTIN},
        {"pivot_keys", OPAQUE, "[[];]", "[[]]", BUILTIN},
        {"tablet_state", ALWAYS, "\"mounted\"", "unmounted", BUILTIN},
        {"actual_tablet_state", ALWAYS, "\"mounted\"", "unmounted", BUILTIN},
        {"expected_tablet_state", ALWAYS, "\"mounted\"", "unmounted", BUILTIN},
        {"current_mount_transaction_id",
         ABSENT,
         NULL,
         "\"1-2-3-4\"",
         BUILTIN}, // Not in transition.
        {"last_mount_transaction_id", ABSENT, NULL, "\"1-2-3-4\"", BUILTIN},
        {"tablet_count_by_state", OPAQUE, "{", "{}", BUILTIN},
        {"tablet_count_by_expected_state", OPAQUE, "{", "{}", BUILTIN},
        {"tablet_statistics", OPAQUE, "{\"tablet_count\"=1;", "{}", BUILTIN},
        {"tablet_error_count", ALWAYS, "0", "1", BUILTIN},
        {"tablet_cell_bundle", ALWAYS, "\"default\"", "default", "not all tablets are unmounted"},
        {"atomicity", ALWAYS, "\"full\"", "none", "only support \"full\" atomicity"},
        {"atomicity", ALWAYS, "\"full\"", "full", "not all tablets are unmounted"},
        {"commit_ordering", ABSENT, NULL, "weak", "only support \"strong\" commit ordering"},
        {"commit_ordering", ABSENT, NULL, "strong", BUILTIN},
        {"in_memory_mode", ALWAYS, "\"none\"", "compressed", "cannot have in-memory mode"},
        {"enable_dynamic_store_read", ALWAYS, "%true", "%false", "not all tablets are unmounted"},
        {"upstream_replica_id",
         ALWAYS,
         "\"0-0-0-0\"",
         "\"1-2-3-4\"",
         "Upstream replica cannot be set for replicated tables"},
        {"row_count", ABSENT, NULL, NULL, NULL},
        {"chunk_row_count", ALWAYS, "2", "0", BUILTIN},
        {"unmerged_row_count", ALWAYS, "2", "0", BUILTIN},
        {"last_commit_timestamp", ALWAYS, NULL, "0u", BUILTIN},
        {"retained_timestamp", ALWAYS, "1u", "0u", BUILTIN},
        {"min_data_versions", ALWAYS, "1", "0", NULL},
        {"max_data_versions", ALWAYS, "1", "3", NULL},
        {"min_data_ttl", ALWAYS, "1800000", "-1", "min_data_ttl"},
        {"max_data_ttl", ALWAYS, "1800000", "60000", NULL},
        {"unflushed_timestamp", ALWAYS, NULL, "0u", BUILTIN},
        {"in_memory_mode", ALWAYS, "\"none\"", "none", NULL},
        {"mount_config", ALWAYS, "{}", "{min_replication_log_ttl=3000}", NULL},
        {"effective_mount_config", OPAQUE, "{", "{}", BUILTIN},
        {"preload_state", ALWAYS, "\"complete\"", "failed", BUILTIN},
        {"acl", ALWAYS, "[]", "[{}]", "\"action\" of an ACE"},
        {"inherit_acl", ALWAYS, "%true", "5", "must be boolean"},
        {"owner", ALWAYS, "\"root\"", "guest", NULL},
        {"effective_acl",
         OPAQUE,
         "[{\"action\"=\"allow\";\"subjects\"=[\"users\";];",
         "[]",
         BUILTIN},
    };
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_do(&world, META, "insert_rows", T, "{key=1};{key=2}");
    CHECK(&world, META, "//tmp/t", ROWS);
    world_release(&world);
}

Test(attributes, table_2_1_of_an_ordered_table)
{
    static const struct expected ROWS[] = {
        {"sorted", ALWAYS, "%false", NULL, NULL},
        {"commit_ordering", ALWAYS, "\"strong\"", "weak", "only support \"strong\""},
        {"pivot_keys", ABSENT, NULL, NULL, NULL},
        {"tablet_count", ALWAYS, "2", NULL, NULL},
        {"tablet_state", ALWAYS, "\"unmounted\"", NULL, NULL},
        {"tablet_cell_bundle", ALWAYS, "\"default\"", "default", NULL},
        {"chunk_row_count", ALWAYS, "0", NULL, NULL},
    };
    struct machine_world world;
    world_init(&world, 1);
    world_do(
        &world,
        META,
        "create",
        "{type=replicated_table;path=\"//tmp/t\";attributes={dynamic=%true;tablet_count=2;"
        "schema=[{name=a;type=int64}]}}",
        NULL);
    CHECK(&world, META, "//tmp/t", ROWS);
    world_release(&world);
}

// What an ordinary table may have and a replicated one may not.
Test(attributes, table_2_2_of_a_replicas_table)
{
    static const struct expected ROWS[] = {
        {"type", ALWAYS, "\"table\"", "a", BUILTIN},
        {"dynamic", ALWAYS, "%true", "%false", BUILTIN},
        {"upstream_replica_id", ALWAYS, "\"1-2-3-4\"", "\"1-2-3-5\"", "changed by alter_table"},
        {"tablet_count", ALWAYS, "2", "1", BUILTIN},
        {"pivot_keys", OPAQUE, "[[];[10;];]", "[[]]", BUILTIN},
        {"tablet_cell_bundle", ALWAYS, "\"default\"", "other", "No such tablet cell bundle"},
        {"atomicity", ALWAYS, "\"none\"", "half", "Attribute \"atomicity\" cannot be \"half\""},
        {"atomicity", ALWAYS, "\"none\"", "5", "expected \"string\""},
        {"atomicity", ALWAYS, "\"none\"", "full", NULL},
        {"commit_ordering", ABSENT, NULL, "weak", BUILTIN},
        {"in_memory_mode", ALWAYS, "\"compressed\"", "some", "cannot be \"some\""},
        {"in_memory_mode", ALWAYS, "\"compressed\"", "uncompressed", NULL},
        {"enable_dynamic_store_read", ALWAYS, "%false", "5", "expected \"boolean\""},
        {"enable_dynamic_store_read", ALWAYS, "%false", "%true", NULL},
        {"min_data_ttl", ALWAYS, "0", "1", NULL},
        {"replicas", ABSENT, NULL, "{}", BUILTIN},
        {"replicated_table_options", ABSENT, NULL, "{}", BUILTIN},
        {"replication_collocation_id", ABSENT, NULL, "\"1-2-3-4\"", "cannot be set"},
        {"preload_state", ALWAYS, "\"complete\"", NULL, NULL},
    };
    struct machine_world world;
    world_init(&world, 1);
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;upstream_replica_id=\"1-2-3-4\";"
        "pivot_keys=[[];[10]];tablet_cell_bundle=default;atomicity=none;commit_ordering=strong;"
        "in_memory_mode=compressed;enable_dynamic_store_read=%false;min_data_ttl=0;"
        "schema=" WORLD_SCHEMA "}}",
        NULL);
    CHECK(&world, META, "//tmp/t", ROWS);
    world_restart(&world, META);
    assert_text(world_get(&world, META, "//tmp/t/@atomicity"), "full");
    assert_text(world_get(&world, META, "//tmp/t/@in_memory_mode"), "uncompressed");

    // Mounted, it keeps what the tablets were mounted with.
    static const struct expected MOUNTED[] = {
        {"atomicity",
         ALWAYS,
         "\"full\"",
         "none",
         "Cannot change table atomicity mode since not all tablets are unmounted"},
        {"enable_dynamic_store_read",
         ALWAYS,
         "%true",
         "%false",
         "Cannot change dynamic stores readability since not all tablets are unmounted"},
        {"tablet_cell_bundle",
         ALWAYS,
         NULL,
         "default",
         "Cannot change tablet cell bundle since not all tablets are unmounted"},
        {"in_memory_mode", ALWAYS, "\"uncompressed\"", "none", NULL},
    };
    world_do(&world, META, "mount_table", T, NULL);
    CHECK(&world, META, "//tmp/t", MOUNTED);
    static const char *const FIXED[] = {"atomicity", "in_memory_mode", "upstream_replica_id"};
    for (size_t i = 0; i < sizeof FIXED / sizeof *FIXED; i++) {
        const char *path = print_path(&world, "//tmp/t", FIXED[i]);
        assert_refused(&world, META, "remove", path, NULL, 1, "cannot be removed");
    }
    world_release(&world);
}

Test(attributes, table_2_2_of_an_ordered_replicas_table)
{
    static const struct expected ROWS[] = {
        {"commit_ordering", ALWAYS, "\"weak\"", "loose", "cannot be \"loose\""},
        {"commit_ordering", ALWAYS, "\"weak\"", "strong", NULL},
    };
    struct machine_world world;
    world_init(&world, 1);
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;commit_ordering=weak;"
        "schema=[{name=a;type=int64}]}}",
        NULL);
    CHECK(&world, META, "//tmp/t", ROWS);
    world_do(&world, META, "mount_table", T, NULL);
    assert_refused(
        &world,
        META,
        "set",
        "{path=\"//tmp/t/@commit_ordering\"}",
        "weak",
        1706,
        "Cannot change table commit ordering mode since not all tablets are unmounted");
    world_release(&world);
}

Test(attributes, table_2_2_upstream_replicas_are_of_dynamic_tables)
{
    struct machine_world world;
    world_init(&world, 1);
    assert_refused(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/t\";attributes={upstream_replica_id=\"1-2-3-4\";"
        "schema=" WORLD_SCHEMA "}}",
        NULL,
        1,
        "Upstream replica can only be set for dynamic tables");
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}",
        NULL);
    world_table(&world, META, "//tmp/t")->is_dynamic = false; // As none can be created.
    assert_refused(
        &world,
        META,
        "alter_table",
        "{path=\"//tmp/t\";upstream_replica_id=\"1-2-3-4\"}",
        NULL,
        1,
        "Upstream replica can only be set for dynamic tables");
    world_release(&world);
}

Test(attributes, table_2_3_and_2_4_of_a_replica)
{
    static const struct expected ROWS[] = {
        {"type", ALWAYS, "\"table_replica\"", "a", BUILTIN},
        {"id", ALWAYS, NULL, "a", BUILTIN},
        {"table_id", ALWAYS, NULL, "a", BUILTIN},
        {"table_path", OPAQUE, "\"//tmp/t\"", "a", BUILTIN},
        {"cluster_name", ALWAYS, "\"replica\"", "a", BUILTIN},
        {"replica_path", ALWAYS, "\"//tmp/r\"", "a", BUILTIN},
        {"start_replication_timestamp", ALWAYS, "1u", "2u", BUILTIN},
        {"state", ALWAYS, "\"enabled\"", "disabled", BUILTIN},
        {"mode", ALWAYS, "\"sync\"", "async", BUILTIN},
        {"preserve_timestamps", ALWAYS, "%true", "%false", BUILTIN},
        {"atomicity", ALWAYS, "\"full\"", "none", BUILTIN},
        {"replication_lag_time", OPAQUE, "0", "1", BUILTIN},
        {"error_count", OPAQUE, "0", "1", BUILTIN},
        {"tablets", OPAQUE, "[{", "[]", BUILTIN},
        {"enable_replicated_table_tracker", ALWAYS, "%true", "%false", NULL},
        {"acl", ABSENT, NULL, "[]", "of its own"},
        {"inherit_acl", ABSENT, NULL, "%true", "of its own"},
        {"owner", ABSENT, NULL, "guest", "of its own"},
        {"effective_acl",
         OPAQUE,
         "[{\"action\"=\"allow\";\"subjects\"=[\"users\";];",
         "[]",
         BUILTIN},
        {"my_own", ABSENT, NULL, "5", NULL},
    };
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    CHECK(&world, META, world_text(&world, "#%s", id), ROWS);

    static const char *const INFO[] = {
        // 2.3: exactly these.
        "cluster_name",
        "replica_path",
        "state",
        "mode",
        "replication_lag_time",
        "error_count",
        "replicated_table_tracker_enabled",
    };
    const char *path = world_text(&world, "{path=\"//tmp/t/@replicas/%s\"}", id);
    const char *names = world_do(&world, META, "list", path, NULL);
    const char *expected = "[";
    for (size_t i = 0; i < sizeof INFO / sizeof *INFO; i++) {
        expected = world_text(&world, "%s\"%s\";", expected, INFO[i]);
    }
    assert_text(names, world_text(&world, "%s]", expected));

    const char *count = world_text(&world, "//tmp/t/@replicas/%s/error_count", id);
    assert_text(world_get(&world, META, count), "0");

    static const struct expected TABLETS[] = {
        {"tablets/0/tablet_id", OPAQUE, NULL, NULL, NULL},
        {"tablets/0/state", OPAQUE, "\"enabled\"", NULL, NULL},
        {"tablets/0/current_replication_row_index", OPAQUE, "0", NULL, NULL},
        {"tablets/0/committed_replication_row_index", OPAQUE, "0", NULL, NULL},
        {"tablets/0/current_replication_timestamp", OPAQUE, "0u", NULL, NULL},
        {"tablets/0/replication_lag_time", OPAQUE, "0", NULL, NULL},
        {"tablets/0/has_error", OPAQUE, "%false", NULL, NULL},
        {"tablets/0/trimmed_row_count", OPAQUE, "0", NULL, NULL},
        {"tablets/0/flushed_row_count", OPAQUE, "0", NULL, NULL},
    };
    CHECK(&world, META, world_text(&world, "#%s", id), TABLETS);
    world_release(&world);
}

Test(attributes, table_2_5_of_a_tablet)
{
    static const struct expected ROWS[] = {
        {"index", ALWAYS, "0", NULL, NULL},
        {"tablet_id", ALWAYS, NULL, NULL, NULL},
        {"state", ALWAYS, "\"mounted\"", NULL, NULL},
        {"pivot_key", ALWAYS, "[]", NULL, NULL},
        {"trimmed_row_count", ALWAYS, "0", NULL, NULL},
        {"flushed_row_count", ALWAYS, "1", NULL, NULL},
        {"statistics", ALWAYS, "{", NULL, NULL},
        {"last_commit_timestamp", ALWAYS, NULL, NULL, NULL},
        {"error_count", ALWAYS, "0", NULL, NULL},
        {"replication_error_count", ALWAYS, "0", NULL, NULL},
        {"cell_id", ALWAYS, NULL, NULL, NULL},
        {"cell_leader_address", ALWAYS, "\"meta.example:9100\"", NULL, NULL},
        {"mount_time", ALWAYS, "\"2023-11-14T22:13:2", NULL, NULL},
        {"mount_revision", ALWAYS, NULL, NULL, NULL},
    };
    static const char *const ORCHID[][2] = {
        {"state", "\"mounted\""},
        {"total_row_count", "1"},
        {"trimmed_row_count", "0"},
        {"replication_errors", "{}"},
        {"replicas/%s/cluster_name", "\"replica\""},
        {"replicas/%s/replica_path", "\"//tmp/r\""},
        {"replicas/%s/state", "\"enabled\""},
        {"replicas/%s/mode", "\"async\""},
        {"replicas/%s/atomicity", "\"full\""},
        {"replicas/%s/preserve_timestamps", "%true"},
        {"replicas/%s/start_replication_timestamp", "1u"},
        {"replicas/%s/current_replication_row_index", "1"},
        {"replicas/%s/committed_replication_row_index", "1"},
        {"undecided_transaction_count", "0"},
        {"replicas/%s/prepared_replication_transaction", "\"0-0-0-0\""},
        {"replicas/%s/prepared_replication_row_index", "-1"},
    };
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    const char *write = "{path=\"//tmp/t\";require_sync_replica=%false}";
    world_do(&world, META, "insert_rows", write, "{key=1}");
    world_run(&world, SECOND);
    const char *tablet_id = world_get(&world, META, "//tmp/t/@tablets/0/tablet_id");
    const char *places[] = {
        world_text(&world, "#%s", tablet_id),
        world_text(&world, "//sys/tablets/%s", tablet_id),
    };
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < sizeof ROWS / sizeof *ROWS; j++) {
            const char *path = print_path(&world, places[i], ROWS[j].name);
            const char *value = world_do(&world, META, "get", path, NULL);
            bool fits = !ROWS[j].value || strncmp(value, ROWS[j].value, strlen(ROWS[j].value)) == 0;
            cr_assert(fits, "%s is %s", path, value);
        }
        for (size_t j = 0; j < sizeof ORCHID / sizeof *ORCHID; j++) {
            const char *name = ORCHID[j][0];
            const char *rest = strstr(name, "%s");
            if (rest) name = world_text(&world, "replicas/%s%s", id, rest + 2);
            const char *path = world_text(&world, "{path=\"%s/orchid/%s\"}", places[i], name);
            assert_text(world_do(&world, META, "get", path, NULL), ORCHID[j][1]);
        }
    }
    static const char *const NOWHERE[] = {
        "{path=\"//sys/tablets/1-2-2be-3\"}",
        "{path=\"//sys/tablets/no-id\"}",
    };
    for (size_t i = 0; i < 2; i++) {
        assert_refused(&world, META, "get", NOWHERE[i], NULL, 500, "//sys/tablets");
    }
    world_release(&world);
}

// While a replica does not get on, the tablet's orchid says why.
Test(attributes, table_2_5_orchid_has_errors_of_replication)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    world_do(&world, REPLICA, "unmount_table", "{path=\"//tmp/r\"}", NULL);
    const char *write = "{path=\"//tmp/t\";require_sync_replica=%false}";
    world_do(&world, META, "insert_rows", write, "{key=1}");
    world_wait(&world, META, world_text(&world, "#%s/@error_count", id), "1");
    const char *tablet_id = world_get(&world, META, "//tmp/t/@tablets/0/tablet_id");
    const char *path = world_text(
        &world, "{path=\"//sys/tablets/%s/orchid/replication_errors/%s/message\"}", tablet_id, id);
    const char *message = world_do(&world, META, "get", path, NULL);
    cr_assert(strstr(message, "mounted") != NULL, "%s", message);
    world_release(&world);
}

Test(attributes, table_11_of_a_collocation)
{
    static const struct expected ROWS[] = {
        {"type", ALWAYS, "\"table_collocation\"", "a", BUILTIN},
        {"id", ALWAYS, NULL, "a", BUILTIN},
        {"collocation_type", ALWAYS, "\"replication\"", "a", BUILTIN},
        {"table_ids", ALWAYS, "[\"", "[]", BUILTIN},
        {"table_paths", OPAQUE, "[\"//tmp/t\";]", "[]", BUILTIN},
        {"external_cell_tag", ALWAYS, NULL, "1", BUILTIN},
    };
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_do(
        &world,
        META,
        "create",
        "{type=table_collocation;attributes={collocation_type=replication;"
        "table_paths=[\"//tmp/t\"]}}",
        NULL);
    const char *id = world_get(&world, META, "//tmp/t/@replication_collocation_id");
    CHECK(&world, META, world_text(&world, "#%s", id), ROWS);
    static const struct expected TABLE[] = {
        {"replication_collocation_id", ALWAYS, NULL, NULL, NULL},
        {"replication_collocation_table_paths", OPAQUE, "[\"//tmp/t\";]", NULL, NULL},
    };
    CHECK(&world, META, "//tmp/t", TABLE);
    world_release(&world);
}
