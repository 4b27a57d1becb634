// The replicator: its batches, where a replica starts, modes of delivery, errors, trimming.
#include "coordinator/core/log_weight.h"
#include "coordinator/core/sessions.h"
#include "model/yson.h"
#include "rules.h"

TestSuite(replicator, .fini = abort_on_leaks);

#define SCHEMA      "schema=[" KEY ";{name=value;type=string}]"
#define STRICT      "schema=[" KEY ";{name=value;type=string;required=%true}]"
#define TWO_TABLETS "pivot_keys=[[];[10]];" SCHEMA
#define INDEX       "tablets/0/current_replication_row_index"

// -------------------------------------------------------------------------------------------------
// The loop. That it runs on frozen tablets, is banned without an error, and closes timestamps of an
// idle replica: check_list_test.c, items 7, 16 and 4.

Test(replicator, works_for_enabled_replicas_in_either_mode)
{
    static const char *const MODES[] = {"mode=sync", "mode=async"};
    for (int i = 0; i < 2; i++) {
        struct machine_world world;
        const char *id = rules_world(&world, SCHEMA, "mode=async");
        rules_alter(&world, id, "enabled=%false");
        rules_insert(&world, "{key=1};{key=2}");
        world_run(&world, 5 * SECOND);
        assert_text(rules_attribute(&world, id, INDEX), "0");
        rules_alter(&world, id, MODES[i]);
        world_run(&world, 5 * SECOND);
        assert_text(rules_attribute(&world, id, INDEX), "0"); // Disabled still.
        rules_alter(&world, id, "enabled=%true");
        rules_catch_up(&world, id);
        world_release(&world);
    }
}

Test(replicator, tables_must_be_of_one_kind)
{
    struct machine_world world;
    world_init(&world, 2);
    rules_table(&world, META, "replicated_table", "//tmp/t", "schema=[{name=key;type=int64}]");
    const char *id = rules_replica(&world, "//tmp/r", "mode=async", SCHEMA);
    rules_wait_error(
        &world,
        id,
        "Replicated table and replica table should be either both sorted or both ordered, but "
        "replicated table is ordered and replica table is sorted");
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// Batches. That the rows of one transaction are never split: check_list_test.c, item 5. How long a
// batch lasts: replication_test.c (batches_span_no_more_time_than_allowed).

static uint64_t weight_of(const char *schema_text, enum row_kind kind, const char *rows_text)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    CLEANUP(buffer_releasep) struct buffer rows = {0};
    struct node *node = NULL;
    struct schema *schema = NULL;
    struct rowset rowset;
    const struct format text = {.kind = FORMAT_YSON, .yson = YSON_TEXT};
    assert_ok(yson_parse(&arena, slice_from_text(schema_text), &node));
    assert_ok(schema_parse(&arena, node, &schema));
    assert_ok(format_read_rows(&arena, &text, slice_from_text(rows_text), &rowset));
    for (uint32_t i = 0; i < rowset.row_count; i++) rowset.rows[i].kind = kind;
    rowset_encode(&rowset, &rows);
    return log_weight(schema, buffer_slice(&rows));
}

Test(replicator, log_rows_weigh_their_values_and_those_of_the_log)
{
    const char *sorted = "[" KEY ";{name=value;type=string};{name=sum;type=int64}]";
    const char *ordered = "[{name=value;type=string};{name=n;type=int64}]";
    // 1 + 4 * 8 of the log + 8 of the key + (3 + 8) + (8 + 8).
    cr_assert(eq(u64, weight_of(sorted, ROW_WRITE, "{key=1;value=abc;sum=1}"), 68));
    cr_assert(eq(u64, weight_of(sorted, ROW_UPDATE, "{key=1;value=abc}"), 60));
    cr_assert(eq(u64, weight_of(sorted, ROW_DELETE, "{key=1}"), 41));
    cr_assert(eq(u64, weight_of(sorted, ROW_DELETE, "{key=1};{key=2}"), 82));
    cr_assert(eq(u64, weight_of(ordered, ROW_WRITE, "{value=abc;n=5}"), 28)); // 1 + 2 * 8 + 11.
    cr_assert(eq(u64, log_weight(NULL, slice_from("", 0)), 0));               // A hole.
}

static int64_t index_of(struct machine_world *world, const char *id)
{
    return strtoll(rules_attribute(world, id, INDEX), NULL, 10);
}

Test(replicator, a_throttler_of_500_bytes_lets_5_rows_of_100_bytes_pass_a_second)
{
    struct machine_world world;
    const char *id = rules_world(&world, "replication_throttler={limit=500};" SCHEMA, "mode=async");
    rules_alter(&world, id, "enabled=%false");
    // A log row of 100 bytes: 1 + 32 + 8 + (51 + 8).
    const char *value = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for (int i = 0; i < 40; i++) {
        rules_insert(&world, world_text(&world, "{key=%d;value=%s}", i, value));
    }
    rules_alter(&world, id, "enabled=%true");
    world_run(&world, 10 * MS);
    int64_t burst = index_of(&world, id);
    cr_assert(burst >= 5 && burst <= 6, "%d", (int)burst); // What one period has saved.
    for (int i = 1; i <= 4; i++) {
        world_run(&world, SECOND);
        int64_t index = index_of(&world, id);
        cr_assert(index >= burst + 5 * i - 1 && index <= burst + 5 * i + 1, "%d", (int)index);
    }
    // In mode sync commits wait for it: it is not throttled.
    rules_alter(&world, id, "mode=sync");
    world_run(&world, 10 * MS);
    cr_assert(eq(i64, index_of(&world, id), 40));
    world_release(&world);
}

// An hour of log, a row each minute: at a ratio of 60 a row a second, after what a window earns.
Test(replicator, a_relative_throttler_lets_a_replica_catch_up_no_faster_than_its_ratio)
{
    static const char *const THROTTLERS[] = {
        "{enable=%true;ratio=60;activation_threshold=120000;window_size=10000}",
        "{enable=%true;ratio=60;activation_threshold=30000;window_size=10000}", // All are gaps.
        "{enable=%false;ratio=60;activation_threshold=120000;window_size=10000}",
    };
    for (int i = 0; i < 3; i++) {
        struct machine_world world;
        const char *id = rules_world(&world, SCHEMA, "mode=async");
        const char *path = "{path=\"//tmp/t/@relative_replication_throttler\"}";
        world_do(&world, META, "set", path, THROTTLERS[i]);
        world_do(&world, META, "remount_table", T, NULL);
        rules_alter(&world, id, "enabled=%false");
        for (int j = 0; j < 60; j++) {
            rules_insert(&world, world_text(&world, "{key=%d}", j));
            world_run(&world, 60 * SECOND);
        }
        rules_alter(&world, id, "enabled=%true");
        world_run(&world, 100 * MS);
        int64_t burst = index_of(&world, id);
        cr_assert(i == 0 ? burst >= 10 && burst <= 13 : burst == 60, "%d: %d", i, (int)burst);
        world_run(&world, 20 * SECOND);
        int64_t later = index_of(&world, id);
        cr_assert(i > 0 || (later >= burst + 19 && later <= burst + 21), "%d", (int)later);
        rules_catch_up(&world, id);
        world_release(&world);
    }
}

Test(replicator, throttlers_out_of_bounds_are_refused)
{
    static const struct {
        const char *attribute;
        const char *text;
    } ROWS[] = {
        {"relative_replication_throttler={ratio=0.}", "Ratio of a relative throttler must be"},
        {"relative_replication_throttler={window_size=0}", "Window size of a relative throttler"},
        {"relative_replication_throttler={max_timestamps_to_keep=0}", "must be positive"},
        {"relative_replication_throttler=5", "must be a map"},
        {"replication_throttler={period=0}", "\"replication_throttler/period\" must be"},
        {"replication_throttler=5", "must be a map"},
    };
    struct machine_world world;
    world_init(&world, 1);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const char *parameters = world_text(
            &world,
            "{type=replicated_table;path=\"//tmp/t\";attributes={dynamic=%%true;" SCHEMA ";%s}}",
            ROWS[i].attribute);
        assert_refused(&world, META, "create", parameters, NULL, 1, ROWS[i].text);
    }
    world_release(&world);
}

Test(replicator, batches_are_bounded_by_rows_timestamps_and_data_weight)
{
    static const struct {
        const char *limit;
        uint64_t batch_count; // Of six records that weigh 49.
    } ROWS[] = {
        {"max_rows_per_replication_commit=90000", 1},
        {"max_rows_per_replication_commit=2", 3},
        {"max_timestamps_per_replication_commit=3", 2},
        {"max_data_weight_per_replication_commit=98", 3},
        {"max_data_weight_per_replication_commit=99", 2},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct machine_world world;
        world_init(&world, 2);
        const char *attributes = world_text(&world, "%s;" SCHEMA, ROWS[i].limit);
        rules_table(&world, META, "replicated_table", "//tmp/t", attributes);
        const char *id = rules_replica(&world, "//tmp/r", "mode=async", SCHEMA);
        rules_alter(&world, id, "enabled=%false");
        for (int j = 0; j < 6; j++) rules_insert(&world, world_text(&world, "{key=%d}", j));
        const struct session *session = world_table(&world, META, "//tmp/t")->replicas[0]->session;
        uint64_t before = session->counters.batch_count;
        rules_alter(&world, id, "enabled=%true");
        rules_catch_up(&world, id);
        cr_assert(
            eq(u64, session->counters.batch_count - before, ROWS[i].batch_count),
            "%s",
            ROWS[i].limit);
        world_release(&world);
    }
}

// What metrics show of batches and of the steps that each takes.
Test(replicator, batches_and_their_steps_are_counted_and_timed)
{
    struct machine_world world;
    const char *id = rules_world(&world, "replication_throttler={limit=490};" SCHEMA, "mode=async");
    const struct session *session = world_table(&world, META, "//tmp/t")->replicas[0]->session;
    const struct session_counters *counters = &session->counters;
    cr_assert(eq(u64, counters->open_count, 1));
    rules_insert(&world, "{key=1};{key=2};{key=3}"); // Each of them weighs 49.
    rules_catch_up(&world, id);
    cr_assert(eq(u64, counters->sent_row_count, 3));
    cr_assert(eq(u64, counters->sent_weight, 3 * 49));
    cr_assert(eq(u64, session_feeder_counters(session).weight, 3 * 49));
    cr_assert(eq(u64, counters->throttled_us, 0));
    world_run(&world, 5 * SECOND);
    for (int i = 0; i < 4; i++) {
        const char *row = "{key=1};{key=2};{key=3};{key=4};{key=5};";
        rules_insert(&world, world_text(&world, "%s{key=6};{key=7};{key=8};{key=9};{key=0}", row));
        world_run(&world, 10 * MS);
    }
    rules_catch_up(&world, id);
    // The second may overdraw what the first has left, the others wait a second each.
    cr_assert(eq(u64, counters->throttled_weight, 2 * 490));
    cr_assert(ge(u64, counters->throttled_us, 1900 * MS));
    cr_assert(le(u64, counters->throttled_us, 2100 * MS));
    cr_assert(eq(u64, counters->sent_row_count, 43));
    cr_assert(eq(u64, session_feeder_counters(session).weight, 43 * 49));

    // Asynchronous ones decide as they keep; synchronous ones when they hear of the decision.
    struct feeder_counters before = session_feeder_counters(session);
    cr_assert(eq(u64, before.decided_count, before.kept_count));
    cr_assert(eq(u64, before.decide_us, 0));
    rules_alter(&world, id, "mode=sync");
    world_run(&world, SECOND);
    world.is_link_held = true;
    struct request *insert = world_begin(&world, META, "insert_rows", T, "{key=1}");
    world_run(&world, 300 * MS);
    world.is_link_held = false;
    assert_text(world_finish(&world, insert), "");
    world_run(&world, SECOND);
    struct feeder_counters after = session_feeder_counters(session);
    cr_assert(eq(u64, after.kept_count, before.kept_count + 1));
    cr_assert(ge(u64, after.keep_us - before.keep_us, 300 * MS));
    cr_assert(eq(u64, after.decided_count, before.decided_count + 1));
    cr_assert(gt(u64, after.decide_us, 0));

    // A session that takes its time.
    uint64_t open_count = counters->open_count;
    world_unlink(&world);
    world.is_link_held = true;
    world_link(&world);
    world_run(&world, 200 * MS);
    cr_assert(eq(u64, counters->open_count, open_count));
    uint64_t open_us = counters->open_us;
    world.is_link_held = false;
    world_run(&world, 5 * SECOND);
    cr_assert(eq(u64, counters->open_count, open_count + 1));
    cr_assert(gt(u64, counters->open_us, open_us));
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// Where a replica starts. See also replication_test.c (begins_where_a_replica_says) and
// ordered_test.c.

Test(replicator, a_replica_that_needs_trimmed_rows_stays_stuck_with_an_error)
{
    static const struct {
        const char *text;
        bool is_all_trimmed;
    } ROWS[] = {
        {"Replication reader returned zero rows", true},
        {"No replication log rows are available", false},
    };
    for (int i = 0; i < 2; i++) {
        struct machine_world world;
        const char *id = rules_world(&world, "min_replication_log_ttl=0;" SCHEMA, "mode=async");
        rules_insert(&world, "{key=1}");
        rules_catch_up(&world, id);
        world_wait(&world, META, "//tmp/t/@tablets/0/trimmed_row_count", "1");
        if (!ROWS[i].is_all_trimmed) {
            world_do(&world, META, "set", "{path=\"//tmp/t/@min_replication_log_ttl\"}", "99999");
            world_do(&world, META, "remount_table", T, NULL);
            rules_insert(&world, "{key=2}");
        }
        const char *late = rules_replica(&world, "//tmp/late", "mode=async", SCHEMA);
        rules_wait_error(&world, late, ROWS[i].text);
        world_run(&world, 100 * SECOND);
        assert_text(rules_attribute(&world, late, INDEX), "0");
        assert_text(rules_attribute(&world, late, "error_count"), "1");
        assert_text(rules_rows(&world, REPLICA, "//tmp/late"), "");
        // One that begins behind the trimmed rows works.
        const char *stamp = world_do(&world, META, "generate_timestamp", "{}", NULL);
        const char *start = world_text(&world, "start_replication_timestamp=%s", stamp);
        const char *other = rules_replica(&world, "//tmp/other", start, SCHEMA);
        rules_insert(&world, "{key=3}");
        rules_catch_up(&world, other);
        assert_text(rules_rows(&world, REPLICA, "//tmp/other"), "{\"key\"=3;\"value\"=#;};\n");
        world_release(&world);
    }
}

Test(replicator, start_index_i_of_n_rows_gives_the_rows_from_i_on)
{
    for (int i = 0; i <= 3; i++) {
        struct machine_world world;
        rules_world(&world, SCHEMA, "mode=async");
        for (int j = 0; j < 3; j++) rules_insert(&world, world_text(&world, "{key=%d}", j));
        const char *start = world_text(
            &world, "start_replication_row_indexes=[%d];start_replication_timestamp=1", i);
        const char *id = rules_replica(&world, "//tmp/late", start, SCHEMA);
        rules_insert(&world, "{key=3}");
        rules_catch_up(&world, id);
        CLEANUP(buffer_releasep) struct buffer expected = {0};
        for (int j = i; j <= 3; j++) buffer_print(&expected, "{\"key\"=%d;\"value\"=#;};\n", j);
        buffer_append_byte(&expected, 0);
        assert_text(rules_rows(&world, REPLICA, "//tmp/late"), expected.data);
        world_release(&world);
    }
}

// -------------------------------------------------------------------------------------------------
// Modes of delivery: check_list_test.c, item 20; ordered_test.c.

Test(replicator, sorted_rows_keep_their_timestamps_if_these_are_preserved_and_in_mode_sync)
{
    static const char *const REPLICAS[] = {
        "mode=async", "mode=sync", "mode=async;preserve_timestamps=%false"};
    for (int i = 0; i < 3; i++) {
        struct machine_world world;
        const char *id = rules_world(&world, SCHEMA, REPLICAS[i]);
        for (int j = 0; j < 3; j++) world_do(&world, REPLICA, "generate_timestamp", "{}", NULL);
        rules_insert(&world, "{key=1;value=a}");
        rules_catch_up(&world, id);
        const char *stamp = world_get(&world, META, "//tmp/t/@last_commit_timestamp");
        const char *versions = world_do(
            &world, REPLICA, "lookup_rows", "{path=\"//tmp/r\";versioned=%true}", "{key=1}");
        bool is_kept = strstr(versions, stamp) != NULL;
        cr_assert(is_kept == (i < 2), "%s: %s", REPLICAS[i], versions);
        world_release(&world);
    }
}

// -------------------------------------------------------------------------------------------------
// Errors. That they block one tablet alone, are forgotten when the replica is disabled, and carry
// their tablet: errors_test.c. Access denied: tracker_test.c (safe_mode…).

Test(replicator, errors_say_what_is_wrong_and_end_when_it_is_mended)
{
    static const struct {
        const char *schema; // Of the replica's table; NULL for one that is unmounted.
        const char *text;
    } ROWS[] = {
        {NULL, "Table //tmp/x has no mounted tablets"},
        {STRICT, "Required column \\\"value\\\" cannot have \\\"null\\\" value"},
        {"schema=[" KEY ";{name=other;type=string}]", "Unexpected column \\\"value\\\""},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct machine_world world;
        rules_world(&world, SCHEMA, "mode=async");
        const char *table = ROWS[i].schema ? ROWS[i].schema : SCHEMA;
        const char *id = rules_replica(&world, "//tmp/x", "mode=async", table);
        const char *x = "{path=\"//tmp/x\"}";
        if (!ROWS[i].schema) world_do(&world, REPLICA, "unmount_table", x, NULL);
        const char *bad = i == 2 ? "{key=1;value=a}" : "{key=1}";
        rules_insert(&world, bad);
        rules_wait_error(&world, id, ROWS[i].text);
        rules_insert(&world, "{key=2;value=a}"); // The good row waits behind it.
        world_run(&world, 10 * SECOND);
        assert_text(rules_attribute(&world, id, INDEX), "0");
        if (ROWS[i].schema) {
            world_do(&world, REPLICA, "unmount_table", x, NULL);
            const char *mended = i == 1 ? SCHEMA
                                        : "schema=[" KEY
                                          ";{name=other;type=string};{name=value;type=string}]";
            const char *alter = world_text(&world, "{path=\"//tmp/x\";%s}", mended);
            world_do(&world, REPLICA, "alter_table", alter, NULL);
        }
        world_do(&world, REPLICA, "mount_table", x, NULL);
        rules_catch_up(&world, id);
        world_release(&world);
    }
}

Test(replicator, a_cluster_that_is_not_known_is_an_error)
{
    struct machine_world world;
    const char *id = rules_world(&world, SCHEMA, "mode=async");
    const char *node = world_do(&world, META, "get", "{path=\"//sys/clusters/replica\"}", NULL);
    const char *path = "{path=\"//sys/clusters/replica\";force=%true}";
    world_do(&world, META, "remove", path, NULL);
    world_unlink(&world);
    rules_wait_error(&world, id, "Replica cluster \\\"replica\\\" is not known");
    rules_insert(&world, "{key=1}");
    world_do(&world, META, "set", path, node);
    world_link(&world);
    rules_catch_up(&world, id);
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// Trimming. Disabled and removed replicas, and tables without any: check_list_test.c, item 6.

Test(replicator, the_trimmed_row_count_follows_the_slowest_replica_and_the_ttl)
{
    struct machine_world world;
    const char *id = rules_world(&world, "min_replication_log_ttl=10000;" SCHEMA, "mode=async");
    const char *slow = rules_replica(&world, "//tmp/slow", "mode=async", SCHEMA);
    rules_insert(&world, "{key=1}");
    rules_insert(&world, "{key=2}");
    rules_wait(&world, slow, INDEX, "2");
    rules_alter(&world, slow, "enabled=%false");
    rules_wait(&world, slow, "state", "disabled");
    rules_insert(&world, "{key=3}");
    rules_wait(&world, id, INDEX, "3");
    const char *trimmed = "//tmp/t/@tablets/0/trimmed_row_count";
    world_run(&world, 2 * SECOND);
    assert_text(world_get(&world, META, trimmed), "0"); // All of it is young.
    world_run(&world, 20 * SECOND);
    // It is told everywhere.
    assert_text(world_get(&world, META, trimmed), "2");
    assert_text(rules_attribute(&world, id, "tablets/0/trimmed_row_count"), "2");
    const char *infos =
        world_do(&world, META, "get_tablet_infos", "{path=\"//tmp/t\";tablet_indexes=[0]}", NULL);
    cr_assert(strstr(infos, "\"trimmed_row_count\"=2;") != NULL, "%s", infos);
    rules_alter(&world, slow, "enabled=%true");
    world_wait(&world, META, trimmed, "3");
    world_release(&world);
}
