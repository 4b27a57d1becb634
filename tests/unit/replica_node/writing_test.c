// Writing: commands and their parameters, which replicas must take part, what commits leave on
// replicas, validation of rows, direct writes to a replica's table.
#include "coordinator/core/sessions.h"
#include "rules.h"

TestSuite(writing, .fini = abort_on_leaks);

#define SORTED "//tmp/s"
#define S      "{path=\"//tmp/s\"}"
#define O      "{path=\"//tmp/o\"}"

// Two tables on META: //tmp/s is sorted, //tmp/o has two ordered tablets.
static void start(struct machine_world *world)
{
    world_init(world, 2);
    rules_table(
        world,
        META,
        "table",
        "//tmp/s",
        "schema=[{name=k;type=int64;sort_order=ascending;required=%true};{name=c;type=int64;"
        "sort_order=ascending;expression=k};{name=l;type=string;sort_order=ascending};{name=v;"
        "type=string};{name=n;type=int64;aggregate=sum};{name=q;type=int64;required=%true}]");
    rules_table(world, META, "table", "//tmp/o", "tablet_count=2;schema=[{name=v;type=string}]");
}

static const char *look(struct machine_world *world, const char *keys)
{
    const char *parameters = "{path=\"//tmp/s\";column_names=[k;l;v;n;q]}";
    return world_do(world, META, "lookup_rows", parameters, keys);
}

// -------------------------------------------------------------------------------------------------
// Commands and parameters. What each mode of a write leaves on replicas: check_list_test.c, item
// 11. Locks: lock_rows_test.c. Transactions over several tables: replication_test.c.

Test(writing, a_write_replaces_the_row_and_an_update_keeps_the_rest)
{
    struct machine_world world;
    start(&world);
    world_do(&world, META, "insert_rows", S, "{k=1;l=a;v=x;n=1;q=1}");
    world_do(&world, META, "insert_rows", S, "{k=1;l=a;n=2;q=1}");
    const char *key = "{k=1;l=a}";
    assert_text(look(&world, key), "{\"k\"=1;\"l\"=\"a\";\"v\"=#;\"n\"=2;\"q\"=1;};\n");
    const char *update = "{path=\"//tmp/s\";update=%true}";
    world_do(&world, META, "insert_rows", update, "{k=1;l=a;v=y;q=2}");
    assert_text(look(&world, key), "{\"k\"=1;\"l\"=\"a\";\"v\"=\"y\";\"n\"=2;\"q\"=2;};\n");
    const char *merge = "{path=\"//tmp/s\";update=%true;aggregate=%true}";
    world_do(&world, META, "insert_rows", merge, "{k=1;l=a;n=10;q=2}");
    assert_text(look(&world, key), "{\"k\"=1;\"l\"=\"a\";\"v\"=\"y\";\"n\"=12;\"q\"=2;};\n");
    world_release(&world);
}

Test(writing, an_absent_key_column_is_null)
{
    struct machine_world world;
    start(&world);
    world_do(&world, META, "insert_rows", S, "{k=1;v=x;q=1}");
    assert_text(look(&world, "{k=1}"), "{\"k\"=1;\"l\"=#;\"v\"=\"x\";\"n\"=#;\"q\"=1;};\n");
    world_do(&world, META, "delete_rows", S, "{k=1;l=#}");
    assert_text(look(&world, "{k=1}"), "");
    world_release(&world);
}

Test(writing, each_command_alone_is_a_transaction_of_its_own)
{
    struct machine_world world;
    start(&world);
    const char *stamp = world_get(&world, META, "//tmp/s/@last_commit_timestamp");
    assert_refused(&world, META, "insert_rows", S, "{k=1;q=1};{k=2}", 323, "q");
    assert_text(look(&world, "{k=1};{k=2}"), ""); // All of it or nothing.
    world_do(&world, META, "insert_rows", S, "{k=1;q=1};{k=2;q=1}");
    const char *later = world_get(&world, META, "//tmp/s/@last_commit_timestamp");
    cr_assert(strtoull(later, NULL, 10) > strtoull(stamp, NULL, 10));
    world_release(&world);
}

Test(writing, ordered_rows_without_a_tablet_index_go_to_one_mounted_tablet_for_the_whole_call)
{
    struct machine_world world;
    start(&world);
    const char *first = "{path=\"//tmp/o\";first_tablet_index=0;last_tablet_index=0}";
    world_do(&world, META, "unmount_table", first, NULL);
    for (int i = 0; i < 10; i++) world_do(&world, META, "insert_rows", O, "{v=a};{v=b}");
    assert_text(world_get(&world, META, "//tmp/o/@tablets/0/flushed_row_count"), "0");
    assert_text(world_get(&world, META, "//tmp/o/@tablets/1/flushed_row_count"), "20");
    world_do(&world, META, "mount_table", first, NULL);
    uint64_t before = 20;
    bool is_any_in_first = false;
    for (int i = 0; i < 100 && !is_any_in_first; i++) {
        world_do(&world, META, "insert_rows", O, "{v=a};{v=b}");
        const char *count = world_get(&world, META, "//tmp/o/@tablets/1/flushed_row_count");
        uint64_t now = strtoull(count, NULL, 10);
        cr_assert(now == before || now == before + 2); // A call's rows stay together.
        is_any_in_first = now == before;
        before = now;
    }
    cr_assert(is_any_in_first);
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// Validation

Test(writing, rows_are_validated)
{
    static const struct {
        const char *command;
        const char *parameters;
        const char *input;
        int code;
        const char *text;
    } ROWS[] = {
        {"insert_rows", S, "{k=1;q=1;x=1}", 1, "Unexpected column \"x\""},
        {"insert_rows", S, "{k=1;q=1;\"$tablet_index\"=0}", 1, "column \"$tablet_index\""},
        {"insert_rows", O, "{v=a;\"$row_index\"=0}", 1, "Unexpected column \"$row_index\""},
        {"insert_rows", O, "{v=a;\"$tablet_index\"=7}", 1, "actual 7, expected in range [0, 1]"},
        {"insert_rows", O, "{v=a;\"$tablet_index\"=a}", 1, "Error parsing tablet index from row"},
        {"delete_rows", S, "{k=1;v=a}", 1, "Non-key column v in a key"},
        {"lock_rows", S, "{k=1;v=a}", 1, "Non-key column v in a key"},
        {"insert_rows", S, "{v=a;q=1}", 307, "Required column \"k\" cannot have \"null\" value"},
        {"delete_rows", S, "{l=a}", 307, "Required column \"k\" cannot have \"null\" value"},
        {"insert_rows", S, "{k=1;q=#}", 307, "Required column \"q\" cannot have \"null\" value"},
        {"insert_rows", S, "{k=a;q=1}", 307, "Error validating column \"k\""},
        {"insert_rows", S, "{k=a;q=1}", 307, "Invalid type: expected \"int64\", actual \"string\""},
        {"insert_rows", S, "{k=1;q=1;v=5}", 307, "expected \"string\", actual \"int64\""},
        {"insert_rows", S, "#", 1, "Row cannot be null"},
        {"insert_rows", S, "{k=1;c=1;q=1}", 1, "Column \"c\" is computed automatically and should"},
        {"insert_rows",
         "{path=\"//tmp/s\";update=%true}",
         "{k=1;l=a}",
         1,
         "At least one non-key column must be specified"},
        {"insert_rows",
         "{path=\"//tmp/o\";update=%true}",
         "{v=a}",
         1,
         "Cannot use \"update\" mode for ordered tables"},
        {"insert_rows", S, "{k=1;q=a}", 307, "Error preparing rows for table //tmp/s"},
        {"delete_rows", O, "{v=a}", 1716, "Cannot perform deletes in a non-sorted table //tmp/o"},
        {"lock_rows", O, "{v=a}", 1716, "Cannot perform lock in a non-sorted table //tmp/o"},
    };
    struct machine_world world;
    start(&world);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        assert_refused(
            &world,
            META,
            ROWS[i].command,
            ROWS[i].parameters,
            ROWS[i].input,
            ROWS[i].code,
            ROWS[i].text);
    }
    world_release(&world);
}

// A rowset with these values in one row, as typed clients send it.
static const struct error *write_values(
    struct machine_world *world, const char *path, struct value *values, uint32_t count)
{
    static struct slice names[] = {
        {.data = "k", .size = 1}, {.data = "v", .size = 1}, {.data = "n", .size = 1}};
    struct row row = {.kind = ROW_WRITE, .value_count = count, .values = values};
    CLEANUP(buffer_releasep) struct buffer rows = {0};
    rowset_encode_begin(names, 3, 1, &rows);
    rowset_encode_row(&row, &rows);
    struct request *request = request_new(REQUEST_COMMIT);
    struct modification *modification = ARENA_NEW(&request->arena, struct modification, 1);
    modification->path = slice_from_text(path);
    modification->rows = arena_copy(&request->arena, buffer_slice(&rows));
    request->modifications = modification;
    request->modification_count = 1;
    machine_request(world->nodes[META].machine, request);
    cr_assert(world_finish(world, request) == NULL);
    return world->error;
}

Test(writing, rows_of_typed_clients_are_validated)
{
    struct machine_world world;
    start(&world);
    struct value twice[] = {value_int64(0, 1), value_int64(0, 2)};
    cr_assert(error_says(write_values(&world, SORTED, twice, 2), 1, "Duplicate key column k"));
    struct value aggregate[] = {value_int64(0, 1), value_string(1, SLICE_OF("a"))};
    aggregate[1].is_aggregate = true;
    const char *text = "\"aggregate\" flag is set for value in column v which is not aggregating";
    const struct error *error = write_values(&world, SORTED, aggregate, 2);
    cr_assert(error_says(error, 1, text));
    world_release(&world);
}

Test(writing, rows_have_limits)
{
    struct machine_world world;
    start(&world);
    // Tables with columns enough for a row that is too large with values that are not.
    rules_table(
        &world,
        META,
        "table",
        "//tmp/wide",
        "schema=[{name=k;type=int64;sort_order=ascending};{name=v;type=string};{name=n;type=string}"
        "]");
    CLEANUP(buffer_releasep) struct buffer bytes = {0};
    size_t size = (16 << 20) + 1;
    char *to = buffer_reserve(&bytes, size);
    memset(to, 'a', size);
    struct slice most = slice_from(to, size - 1);
    struct value values[] = {value_int64(0, 1), value_string(1, most), value_string(2, most)};
    const struct error *error = write_values(&world, "//tmp/wide", values, 3);
    cr_assert(error_says(error, 308, "Row is too large: data weight 33554440, limit 33554432"));
    values[1] = value_string(1, slice_from(to, size));
    error = write_values(&world, "//tmp/wide", values, 2);
    cr_assert(error_says(error, 326, "is too long"));

    CLEANUP(buffer_releasep) struct buffer row = {0};
    buffer_print(&row, "{k=1;v=%.*s}", (int)size, to);
    buffer_append_byte(&row, 0);
    assert_refused(&world, META, "insert_rows", S, row.data, 326, "String is too long");
    buffer_clear(&row);
    buffer_append_text(&row, "{k=1");
    for (int i = 0; i <= 1024; i++) buffer_print(&row, ";c%d=1", i);
    buffer_append_text(&row, "}");
    buffer_append_byte(&row, 0);
    assert_refused(&world, META, "insert_rows", S, row.data, 321, "Too many values in row: actual");
    world_release(&world);
}

Test(writing, schemas_have_limits)
{
    static const struct {
        const char *schema;
        int code;
        const char *text;
    } ROWS[] = {
        {"[{name=a;type=int64};{name=a;type=string}]",
         322,
         "Duplicate column \"a\" in table schema"},
        {NULL, 320, "Too many columns in key"},
    };
    CLEANUP(buffer_releasep) struct buffer keys = {0};
    buffer_append_text(&keys, "[");
    for (int i = 0; i < 33; i++)
        buffer_print(&keys, "{name=k%d;type=int64;sort_order=ascending};", i);
    buffer_append_text(&keys, "{name=v;type=int64}]");
    buffer_append_byte(&keys, 0);
    struct machine_world world;
    world_init(&world, 1);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const char *parameters = world_text(
            &world,
            "{type=table;path=\"//tmp/x\";attributes={dynamic=%%true;schema=%s}}",
            ROWS[i].schema ? ROWS[i].schema : keys.data);
        assert_refused(&world, META, "create", parameters, NULL, ROWS[i].code, ROWS[i].text);
    }
    world_release(&world);
}

// That a row which is wrong for a sync replica fails the whole write, and for an asynchronous one
// stops its queue: errors_test.c, schema_evolution_test.c.

// -------------------------------------------------------------------------------------------------
// Which replicas must take part. See also check_list_test.c, items 1 and 2.

Test(writing, replicas_decide_by_mode_and_state_which_writes_are_refused)
{
    static const struct {
        const char *change; // NULL for a table without replicas.
        int code;           // 0 where the write is done.
        int code_without;   // The same with require_sync_replica=%false.
    } ROWS[] = {
        {NULL, 0, 0},
        {"mode=async", 1714, 0},
        {"mode=async;enabled=%false", 1714, 0},
        {"mode=sync", 0, 0},
        {"mode=sync;enabled=%false", 1732, 1732},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct machine_world world;
        const char *id = rules_world(&world, "schema=" WORLD_SCHEMA, "mode=async");
        if (ROWS[i].change) rules_alter(&world, id, ROWS[i].change);
        if (!ROWS[i].change) {
            world_do(&world, META, "remove", world_text(&world, "{path=\"#%s\"}", id), NULL);
        }
        world_run(&world, SECOND);
        for (int j = 0; j < 2; j++) {
            int code = j == 0 ? ROWS[i].code : ROWS[i].code_without;
            const char *parameters = j == 0 ? T : NO_SYNC;
            if (code == 0) {
                world_do(&world, META, "insert_rows", parameters, "{key=1}");
                continue;
            }
            const char *text =
                code == 1714
                    ? "Table //tmp/t has no synchronous replicas and \"require_sync_replica\" "
                      "option is set"
                    : world_text(
                          &world,
                          "Cannot write to sync replica %s since it is not in-sync yet",
                          id);
            assert_refused(&world, META, "insert_rows", parameters, "{key=1}", code, text);
            assert_refused(&world, META, "delete_rows", parameters, "{key=1}", code, text);
        }
        world_release(&world);
    }
}

Test(writing, every_sync_replica_gets_the_rows)
{
    struct machine_world world;
    rules_world(&world, "schema=" WORLD_SCHEMA, "mode=sync");
    rules_replica(&world, "//tmp/q", "mode=sync", "schema=" WORLD_SCHEMA);
    world_do(&world, META, "insert_rows", T, "{key=1}");
    const char *row = "{\"key\"=1;\"value\"=#;\"sum\"=#;};\n";
    assert_text(rules_rows(&world, REPLICA, "//tmp/r"), row);
    assert_text(rules_rows(&world, REPLICA, "//tmp/q"), row);
    // One of them alone refuses for all.
    world_do(&world, REPLICA, "unmount_table", "{path=\"//tmp/q\"}", NULL);
    world_unlink(&world);
    world_link(&world);
    assert_refused(&world, META, "insert_rows", T, "{key=2}", 1732, "not in-sync");
    assert_text(rules_rows(&world, REPLICA, "//tmp/r"), row);
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// Commits

Test(writing, sync_replicas_store_rows_with_exactly_the_commit_timestamp)
{
    struct machine_world world;
    const char *id = rules_world(&world, "schema=" WORLD_SCHEMA, "mode=sync");
    for (int i = 0; i < 3; i++) world_do(&world, REPLICA, "generate_timestamp", "{}", NULL);
    world_do(&world, META, "insert_rows", T, "{key=1;value=a}");
    const char *stamp = world_get(&world, META, "//tmp/t/@last_commit_timestamp");
    const char *versions =
        world_do(&world, REPLICA, "lookup_rows", "{path=\"//tmp/r\";versioned=%true}", "{key=1}");
    cr_assert(strstr(versions, stamp) != NULL, "%s is not in %s", stamp, versions);
    // It is never replicated to a second time: its index and timestamp are those of the commit.
    world_run(&world, SECOND);
    assert_text(rules_attribute(&world, id, "tablets/0/current_replication_row_index"), "1");
    assert_text(rules_attribute(&world, id, "tablets/0/current_replication_timestamp"), stamp);
    const struct session *session = world_table(&world, META, "//tmp/t")->replicas[0]->session;
    cr_assert(eq(u64, session->counters.batch_count, 1));
    world_release(&world);
}

Test(writing, a_failed_commit_names_its_transaction)
{
    struct machine_world world;
    rules_world(&world, "schema=[" KEY ";{name=value;type=string}]", "mode=async");
    const char *strict = "schema=[" KEY ";{name=value;type=string;required=%true}]";
    rules_replica(&world, "//tmp/q", "mode=sync", strict);
    const char *quoted = world_do(&world, META, "start_transaction", "{type=tablet}", NULL);
    const char *insert = world_text(&world, "{path=\"//tmp/t\";transaction_id=%s}", quoted);
    const char *commit = world_text(&world, "{transaction_id=%s}", quoted);
    const char *text = world_text(
        &world, "Error committing transaction %.*s", (int)strlen(quoted) - 2, quoted + 1);
    world_do(&world, META, "insert_rows", insert, "{key=1}");
    cr_assert(world_try(&world, META, "commit_transaction", commit, NULL) == NULL);
    cr_assert(error_says(world.error, 307, text));
    cr_assert(error_says(world.error, 307, "Required column \"value\" cannot have \"null\" value"));
    world_release(&world);
}

Test(writing, locks_alone_are_not_replicated)
{
    struct machine_world world;
    const char *id = rules_world(&world, "schema=" WORLD_SCHEMA, "mode=sync");
    world_do(&world, META, "lock_rows", "{path=\"//tmp/t\";locks=[]}", "{key=1}");
    assert_text(world_get(&world, META, "//tmp/t/@tablets/0/flushed_row_count"), "0");
    const char *quoted = world_do(&world, META, "start_transaction", "{type=tablet}", NULL);
    const char *in = world_text(&world, "{path=\"//tmp/t\";transaction_id=%s;locks=[]}", quoted);
    world_do(&world, META, "lock_rows", in, "{key=1};{key=2}");
    world_do(&world, META, "delete_rows", in, "{key=1}"); // Of the same row: fine.
    const char *commit = world_text(&world, "{transaction_id=%s}", quoted);
    world_do(&world, META, "commit_transaction", commit, NULL);
    assert_text(world_get(&world, META, "//tmp/t/@tablets/0/flushed_row_count"), "1");
    rules_catch_up(&world, id);
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// Direct writes to a replica's table

// What the replication stream says to a table: errors_test.c and obstacles_test.c
// (refuses_tables_that_do_not_fit) have the rows with another id.
Test(writing, a_bound_table_takes_rows_of_its_replica_only)
{
    struct machine_world world;
    const char *id = rules_world(&world, "schema=" WORLD_SCHEMA, "mode=sync");
    const char *text = world_text(
        &world, "Table is bound to upstream replica %s; direct modifications are forbidden", id);
    assert_refused(&world, REPLICA, "insert_rows", R, "{key=1}", 1, text);
    assert_refused(&world, REPLICA, "delete_rows", R, "{key=1}", 1, text);
    assert_refused(&world, REPLICA, "lock_rows", R, "{key=1}", 1, text);
    rules_table(&world, REPLICA, "table", "//tmp/free", "schema=" WORLD_SCHEMA);
    world_do(&world, REPLICA, "insert_rows", "{path=\"//tmp/free\"}", "{key=1}");
    world_do(&world, META, "insert_rows", T, "{key=1}"); // The replica's own rows come through.
    world_release(&world);
}

Test(writing, a_replicated_table_is_no_replica)
{
    struct machine_world world;
    world_init(&world, 2);
    rules_table(&world, META, "replicated_table", "//tmp/t", "schema=" WORLD_SCHEMA);
    rules_table(&world, META, "replicated_table", "//tmp/u", "schema=" WORLD_SCHEMA);
    // The node of cluster "replica" takes the place of one that holds replicated tables.
    rules_replica(&world, "//tmp/r", "mode=async", "schema=" WORLD_SCHEMA);
    const char *id = world_text(
        &world, "%s", GUID_TEXT(world_table(&world, META, "//tmp/t")->replicas[0]->object->id));
    world_table(&world, REPLICA, "//tmp/r")->is_replicated = true;
    world_unlink(&world);
    world_link(&world);
    rules_wait_error(&world, id, "Replicated table //tmp/r cannot act as a replication sink");
    cr_assert(
        strstr(world_do(&world, META, "get_tablet_errors", T, NULL), "\"code\"=1715") != NULL);
    world_table(&world, REPLICA, "//tmp/r")->is_replicated = false;
    world_release(&world);
}
