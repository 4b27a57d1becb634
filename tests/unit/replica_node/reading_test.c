// Reading through replicated tables, read timestamps, and what replicas and tablets tell about
// themselves.
#include "rules.h"

TestSuite(reading, .fini = abort_on_leaks);

#define SCHEMA      "schema=[" KEY ";{name=value;type=string}]"
#define TWO_TABLETS "pivot_keys=[[];[10]];" SCHEMA

// -------------------------------------------------------------------------------------------------
// lookup_rows. Which tablets must be in sync: check_list_test.c, item 12.

Test(reading, a_lookup_without_keys_needs_no_replica)
{
    struct machine_world world;
    rules_world(&world, SCHEMA, "mode=async");
    assert_text(world_do(&world, META, "lookup_rows", T, ""), "");
    assert_refused(&world, META, "lookup_rows", T, "{key=1}", 1736, "No in-sync replicas found");
    world_release(&world);
}

Test(reading, one_of_the_replicas_in_sync_is_chosen_at_random)
{
    struct machine_world world;
    rules_world(&world, SCHEMA, "mode=sync");
    const char *wider = "schema=[" KEY ";{name=value;type=string};{name=more;type=int64}]";
    rules_replica(&world, "//tmp/q", "mode=sync", wider); // It shows who has answered.
    rules_replica(
        &world,
        "//tmp/a",
        "mode=async",
        "schema=[" KEY ";{name=value;type=string};"
        "{name=never;type=int64}]");
    world_do(&world, META, "insert_rows", T, "{key=1;value=a}");
    const char *commands[] = {"lookup_rows", "select_rows"};
    for (int i = 0; i < 2; i++) {
        int counts[2] = {0};
        for (int j = 0; j < 100; j++) {
            const char *parameters = i == 0 ? T : "{query=\"* from [//tmp/t]\"}";
            const char *rows =
                world_do(&world, META, commands[i], parameters, i == 0 ? "{key=1}" : NULL);
            cr_assert(strstr(rows, "\"value\"=\"a\"") && !strstr(rows, "never"), "%s", rows);
            counts[strstr(rows, "more") != NULL]++;
        }
        // Queries choose among clusters, of which there is one here.
        if (i == 0) cr_assert(counts[0] > 10 && counts[1] > 10, "%d %d", counts[0], counts[1]);
    }
    world_release(&world);
}

Test(reading, a_read_that_fails_by_one_replica_is_tried_with_another)
{
    static const struct {
        const char *command;
        const char *parameters;
        const char *input;
    } READS[] = {
        {"lookup_rows", "{path=\"//tmp/t\";column_names=[value]}", "{key=1}"},
        {"select_rows", "{query=\"value from [//tmp/t]\"}", NULL},
    };
    for (int i = 0; i < 2; i++) {
        struct machine_world world;
        const char *ids[] = {
            rules_world(&world, SCHEMA, "mode=sync"),
            rules_replica(&world, "//tmp/q", "mode=sync", SCHEMA),
        };
        world_do(&world, META, "insert_rows", T, "{key=1;value=a}");
        // Nothing is written, so the session does not notice.
        world_do(&world, REPLICA, "unmount_table", R, NULL);
        for (int j = 0; j < 20; j++) {
            const char *rows =
                world_do(&world, META, READS[i].command, READS[i].parameters, READS[i].input);
            assert_text(rows, "{\"value\"=\"a\";};\n");
        }
        world_do(&world, REPLICA, "unmount_table", "{path=\"//tmp/q\"}", NULL);
        const char *output =
            world_try(&world, META, READS[i].command, READS[i].parameters, READS[i].input);
        cr_assert(output == NULL);
        cr_assert(error_says(world.error, 1736, "No in-sync replicas found for table //tmp/t"));
        cr_assert(error_says(world.error, 1702, "\"unmounted\" state"));
        const char *banned =
            error_attribute(error_find(world.error, ERROR_NO_IN_SYNC_REPLICAS), "banned_replicas");
        cr_assert(strstr(banned, ids[0]) && strstr(banned, ids[1]), "%s", banned);
        world_release(&world);
    }
}

Test(reading, the_chosen_table_must_be_bound_to_the_replica)
{
    struct machine_world world;
    const char *id = rules_world(&world, SCHEMA, "mode=sync");
    world_do(&world, META, "insert_rows", T, "{key=1;value=a}");
    struct table *table = world_table(&world, REPLICA, "//tmp/r");
    struct guid bound = table->upstream_replica_id;
    table->upstream_replica_id = (struct guid){1, 2};
    const char *text = world_text(
        &world,
        "Invalid upstream replica id for chosen sync replica \"//tmp/r\": expected %s, got %s",
        id,
        GUID_TEXT(table->upstream_replica_id));
    cr_assert(world_try(&world, META, "lookup_rows", T, "{key=1}") == NULL);
    cr_assert(error_says(world.error, 1718, text));
    cr_assert(world_try(&world, META, "select_rows", "{query=\"* from [//tmp/t]\"}", NULL) == NULL);
    cr_assert(error_says(world.error, 1718, text));
    table->upstream_replica_id = bound;
    world_do(&world, META, "lookup_rows", T, "{key=1}");
    world_release(&world);
}

Test(reading, options_of_lookups_go_through_to_the_replica)
{
    struct machine_world world;
    rules_world(&world, SCHEMA, "mode=sync");
    world_do(&world, META, "insert_rows", T, "{key=1;value=a};{key=2;value=b}");
    const char *before = world_do(&world, META, "generate_timestamp", "{}", NULL);
    world_do(&world, META, "insert_rows", T, "{key=1;value=z}");
    const struct {
        const char *more;
        const char *keys;
        const char *rows;
    } cases[] = {
        {"",
         "{key=1};{key=3};{key=2}", // Absent rows are left out.
         "{\"key\"=1;\"value\"=\"z\";};\n{\"key\"=2;\"value\"=\"b\";};\n"},
        {"keep_missing_rows=%true", "{key=3};{key=2}", "#;\n{\"key\"=2;\"value\"=\"b\";};\n"},
        {"column_names=[value]", "{key=1}", "{\"value\"=\"z\";};\n"},
        {world_text(&world, "timestamp=%s", before), "{key=1}", "{\"key\"=1;\"value\"=\"a\";};\n"},
        {"cached_sync_replicas_timeout=60000", "{key=1}", "{\"key\"=1;\"value\"=\"z\";};\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *parameters = world_text(&world, "{path=\"//tmp/t\";%s}", cases[i].more);
        assert_text(
            world_do(&world, META, "lookup_rows", parameters, cases[i].keys), cases[i].rows);
    }
    world_release(&world);
}

Test(reading, ordered_tables_are_not_looked_up)
{
    struct machine_world world;
    world_init(&world, 1);
    rules_table(&world, META, "replicated_table", "//tmp/t", "schema=[{name=v;type=int64}]");
    assert_refused(&world, META, "lookup_rows", T, "{v=1}", 1716, "Table //tmp/t is not sorted");
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// select_rows

Test(reading, a_query_over_several_tables_needs_one_cluster_with_all_in_sync)
{
    struct machine_world world;
    rules_world(&world, SCHEMA, "mode=sync");
    rules_table(&world, META, "replicated_table", "//tmp/u", SCHEMA);
    rules_table(&world, META, "table", "//tmp/plain", SCHEMA);
    const char *join = "{query=\"a.key, b.value from [//tmp/t] as a join [//tmp/u] as b on "
                       "a.key = b.key\"}";
    const char *mixed = "{query=\"a.key from [//tmp/t] as a join [//tmp/plain] as b on "
                        "a.key = b.key\"}";
    assert_refused(
        &world,
        META,
        "select_rows",
        mixed,
        NULL,
        1,
        "Query involves both replicated and non-replicated tables");
    assert_refused(
        &world,
        META,
        "select_rows",
        join,
        NULL,
        1736,
        "No single cluster contains in-sync replicas for all involved tables "
        "[//tmp/t, //tmp/u]");
    assert_refused(
        &world,
        META,
        "select_rows",
        "{query=\"* from [//tmp/u]\"}",
        NULL,
        1736,
        "No in-sync replicas found for table //tmp/u");
    const char *id = rules_create(
        &world,
        META,
        "{type=table_replica;attributes={table_path=\"//tmp/u\";cluster_name=replica;"
        "replica_path=\"//tmp/v\";enabled=%true;mode=sync}}");
    const char *attributes = world_text(&world, SCHEMA ";upstream_replica_id=\"%s\"", id);
    rules_table(&world, REPLICA, "table", "//tmp/v", attributes);
    world_run(&world, 5 * SECOND);
    world_do(&world, META, "insert_rows", T, "{key=1;value=a};{key=2;value=b}");
    world_do(&world, META, "insert_rows", "{path=\"//tmp/u\"}", "{key=2;value=c}");
    assert_text(
        world_do(&world, META, "select_rows", join, NULL), "{\"a.key\"=2;\"b.value\"=\"c\";};\n");
    world_release(&world);
}

#define STALE " with hint \\\"{require_sync_replica=%%false}\\\""

// A table with two asynchronous replicas, of which that at //tmp/q has stopped at key 1; it has a
// column more, so that it shows who has answered. Returns the ids.
static void make_stale(struct machine_world *world, const char *ids[2])
{
    static const char *const WIDER =
        "schema=[" KEY ";{name=value;type=string};{name=more;type=int64}]";
    ids[0] = rules_world(world, TWO_TABLETS, "mode=async");
    ids[1] = rules_replica(world, "//tmp/q", "mode=async", WIDER);
    rules_insert(world, "{key=1;value=a};{key=11;value=a}");
    for (int i = 0; i < 2; i++) rules_catch_up(world, ids[i]);
    world_do(world, REPLICA, "unmount_table", "{path=\"//tmp/q\"}", NULL);
    rules_insert(world, "{key=2;value=b};{key=12;value=b}");
    rules_catch_up(world, ids[0]);
    world_do(world, REPLICA, "mount_table", "{path=\"//tmp/q\"}", NULL);
}

Test(reading, a_query_may_do_with_the_freshest_replica)
{
    struct machine_world world;
    const char *ids[2];
    make_stale(&world, ids);
    const char *plain = "{query=\"* from [//tmp/t]\"}";
    const char *stale = world_text(&world, "{query=\"* from [//tmp/t]" STALE "\"}");
    assert_refused(&world, META, "select_rows", plain, NULL, 1736, "No in-sync replicas found");
    for (int i = 0; i < 20; i++) { // The other one is still on its way.
        const char *rows = world_do(&world, META, "select_rows", stale, NULL);
        cr_assert(strstr(rows, "=12;") && !strstr(rows, "more"), "%s", rows);
    }
    // When both have everything, it may be either.
    rules_catch_up(&world, ids[1]);
    int counts[2] = {0};
    for (int i = 0; i < 2; i++) {
        // One that cannot be read is passed over.
        world_do(&world, REPLICA, "unmount_table", i ? R : "{path=\"//tmp/q\"}", NULL);
        const char *rows = world_do(&world, META, "select_rows", stale, NULL);
        counts[strstr(rows, "more") != NULL]++;
        world_do(&world, REPLICA, "mount_table", i ? R : "{path=\"//tmp/q\"}", NULL);
    }
    cr_assert(counts[0] == 1 && counts[1] == 1);
    // A synchronous one is fresher than all others.
    rules_alter(&world, ids[1], "mode=sync");
    world_run(&world, SECOND);
    for (int i = 0; i < 20; i++) {
        const char *rows = world_do(&world, META, "select_rows", stale, NULL);
        cr_assert(strstr(rows, "more") != NULL, "%s", rows);
    }
    world_unlink(&world);
    world_run(&world, 5 * SECOND);
    assert_refused(&world, META, "select_rows", stale, NULL, 1736, "No in-sync replicas found");
    world_release(&world);
}

// Not a mixture of states: of a transaction that has come in one tablet only nothing is there.
Test(reading, a_query_by_a_replica_that_is_behind_sees_what_was_true_once)
{
    struct machine_world world;
    world_init(&world, 2);
    rules_table(&world, META, "replicated_table", "//tmp/t", TWO_TABLETS);
    const char *id = rules_replica(
        &world,
        "//tmp/r",
        "mode=async",
        "schema=[" KEY ";{name=value;type=string;required=%true}]");
    rules_insert(&world, "{key=1;value=a};{key=11;value=a}");
    world_run(&world, SECOND);
    rules_insert(&world, "{key=2};{key=12;value=a}"); // It does not take the first.
    rules_wait(&world, id, "error_count", "1");
    rules_wait(&world, id, "tablets/1/current_replication_row_index", "2");
    world_run(&world, SECOND);
    const char *stale = world_text(&world, "{query=\"key from [//tmp/t]" STALE "\"}");
    const char *rows = world_do(&world, META, "select_rows", stale, NULL);
    assert_text(rows, "{\"key\"=1;};\n{\"key\"=11;};\n");
    world_release(&world);
}

Test(reading, each_table_of_a_query_has_its_own_hint)
{
    struct machine_world world;
    rules_world(&world, SCHEMA, "mode=async");
    rules_table(&world, META, "replicated_table", "//tmp/u", SCHEMA);
    const char *id = rules_create(
        &world,
        META,
        "{type=table_replica;attributes={table_path=\"//tmp/u\";cluster_name=replica;"
        "replica_path=\"//tmp/v\";enabled=%true;mode=sync}}");
    const char *attributes = world_text(&world, SCHEMA ";upstream_replica_id=\"%s\"", id);
    rules_table(&world, REPLICA, "table", "//tmp/v", attributes);
    world_run(&world, 5 * SECOND);
    rules_insert(&world, "{key=1;value=a};{key=2;value=b}");
    world_do(&world, META, "insert_rows", "{path=\"//tmp/u\"}", "{key=2;value=c}");
    world_run(&world, SECOND);
    static const char *const FORMAT =
        "{query=\"a.key, b.value from [//tmp/t] as a %s join [//tmp/u] as b %s on a.key = b.key\"}";
    const char *hint = world_text(&world, STALE);
    const char *const hints[][2] = {{"", ""}, {"", hint}, {hint, ""}, {hint, hint}};
    for (size_t i = 0; i < 4; i++) {
        const char *query = world_text(&world, FORMAT, hints[i][0], hints[i][1]);
        if (i < 2) {
            assert_refused(
                &world, META, "select_rows", query, NULL, 1736, "No single cluster contains");
            continue;
        }
        const char *rows = world_do(&world, META, "select_rows", query, NULL);
        assert_text(rows, "{\"a.key\"=2;\"b.value\"=\"c\";};\n");
    }
    world_release(&world);
}

static const char *in_sync(
    struct machine_world *world, const char *timestamp, const char *more, const char *keys);

Test(reading, nothing_is_read_from_clusters_that_are_banned_for_it)
{
    struct machine_world world;
    const char *id = rules_world(&world, SCHEMA, "mode=sync");
    const char *banned = "{path=\"//sys/@config/banned_in_sync_replica_clusters\"}";
    const char *select = "{query=\"* from [//tmp/t]\"}";
    const char *stale = world_text(&world, "{query=\"* from [//tmp/t]" STALE "\"}");
    const char *only = world_text(&world, "[\"%s\";]", id);
    world_do(&world, META, "insert_rows", T, "{key=1;value=a}");
    const char *now = world_do(&world, META, "generate_timestamp", "{}", NULL);
    assert_text(world_do(&world, META, "get", banned, NULL), "[]");
    assert_refused(&world, META, "set", banned, "replica", 1, "list of names");
    world_do(&world, META, "set", banned, "[elsewhere]");
    world_do(&world, META, "lookup_rows", T, "{key=1}");
    world_do(&world, META, "set", banned, "[elsewhere;replica]");
    const char *reads[] = {select, stale};
    for (size_t i = 0; i < 3; i++) {
        bool is_lookup = i == 2;
        assert_refused(
            &world,
            META,
            is_lookup ? "lookup_rows" : "select_rows",
            is_lookup ? T : reads[i],
            is_lookup ? "{key=1}" : NULL,
            1736,
            "No in-sync replicas found");
        const struct error *error = error_find(world.error, ERROR_NO_IN_SYNC_REPLICAS);
        assert_text(
            error_attribute(error, "banned_in_sync_replica_clusters"), "elsewhere, replica");
    }
    assert_text(in_sync(&world, LATEST, "", "{key=1}"), "[]");
    assert_text(in_sync(&world, now, "", "{key=1}"), "[]");
    assert_text(in_sync(&world, LATEST, "", ""), only);          // No keys: all of them.
    world_do(&world, META, "insert_rows", T, "{key=2;value=a}"); // Writes do not care.
    world_restart(&world, META);
    world_run(&world, SECOND);
    assert_text(in_sync(&world, LATEST, "", "{key=1}"), "[]");
    world_do(&world, META, "remove", banned, NULL);
    assert_text(in_sync(&world, LATEST, "", "{key=1}"), only);
    world_do(&world, META, "lookup_rows", T, "{key=1}");
    world_do(&world, META, "select_rows", select, NULL);
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// Read timestamps

Test(reading, timestamps_are_ordinary_ones_or_latest_or_asynchronous)
{
    struct machine_world world;
    rules_world(&world, SCHEMA, "mode=sync");
    world_do(&world, META, "insert_rows", T, "{key=1;value=a}");
    const char *before = world_do(&world, META, "generate_timestamp", "{}", NULL);
    world_do(&world, META, "insert_rows", T, "{key=1;value=b}");
    const char *a = "{\"value\"=\"a\";};\n";
    const char *b = "{\"value\"=\"b\";};\n";
    const struct {
        const char *timestamp;
        const char *rows; // NULL where it is refused.
        const char *text;
    } cases[] = {
        {"0", NULL, "Invalid read timestamp 0"},
        {"1", "", NULL},
        {before, a, NULL},
        {"4611686018427387649u", b, NULL}, // SyncLastCommitted
        {"4611686018427387650u", NULL, "Invalid read timestamp 3fffffffffffff02"},
        {"4611686018427387651u", NULL, "Invalid read timestamp 3fffffffffffff03"},
        {"4611686018427387652u", b, NULL}, // AsyncLastCommitted
        {"4611686018427387903u", NULL, "Invalid read timestamp 3fffffffffffffff"},
    };
    const char *paths[] = {"//tmp/t", "//tmp/r"}; // Through the replicated table, and directly.
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        int node = i % 2 == 0 ? META : REPLICA;
        const char *timestamp = cases[i / 2].timestamp;
        const char *lookup = world_text(
            &world, "{path=\"%s\";column_names=[value];timestamp=%s}", paths[i % 2], timestamp);
        const char *select =
            world_text(&world, "{query=\"value from [%s]\";timestamp=%s}", paths[i % 2], timestamp);
        if (cases[i / 2].rows) {
            const char *found = world_do(&world, node, "lookup_rows", lookup, "{key=1}");
            assert_text(found, cases[i / 2].rows);
            assert_text(world_do(&world, node, "select_rows", select, NULL), cases[i / 2].rows);
            continue;
        }
        const char *text = cases[i / 2].text;
        assert_refused(&world, node, "lookup_rows", lookup, "{key=1}", 1, text);
        assert_refused(&world, node, "select_rows", select, NULL, 1, text);
    }
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// get_in_sync_replicas. Refusals and barriers: in_sync_test.c (in_sync_replicas_are_told),
// check_list_test.c, items 3 and 4.

static const char *in_sync(
    struct machine_world *world, const char *timestamp, const char *more, const char *keys)
{
    const char *parameters =
        world_text(world, "{path=\"//tmp/t\";timestamp=%s;%s}", timestamp, more);
    return world_do(world, META, "get_in_sync_replicas", parameters, keys);
}

Test(reading, in_sync_replicas_are_those_that_have_all_of_the_keys_tablets)
{
    struct machine_world world;
    world_init(&world, 2);
    rules_table(&world, META, "replicated_table", "//tmp/t", TWO_TABLETS);
    const char *id = rules_replica(
        &world,
        "//tmp/r",
        "mode=async",
        "schema=[" KEY ";{name=value;type=string;required=%true}]");
    const char *never = rules_create(
        &world,
        META,
        "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;"
        "replica_path=\"//tmp/never\"}}");
    rules_insert(&world, "{key=1};{key=11;value=a}"); // It does not take the first.
    rules_wait(&world, id, "error_count", "1");
    rules_wait(&world, id, "tablets/1/current_replication_row_index", "1");
    const char *now = world_do(&world, META, "generate_timestamp", "{}", NULL);
    world_run(&world, SECOND);
    const char *only = world_text(&world, "[\"%s\";]", id);
    const char *every = world_text(&world, "[\"%s\";\"%s\";]", id, never);
    const struct {
        const char *timestamp;
        const char *more;
        const char *keys;
        const char *ids;
    } cases[] = {
        {now, "", "{key=11}", only},
        {now, "", "{key=1}", "[]"},
        {now, "", "{key=1};{key=11}", "[]"},
        {now, "all_keys=%true", "", "[]"},
        {now, "", "", every}, // No keys: all of them, in any mode and state.
        {LATEST, "", "", every},
        {LATEST, "", "{key=11}", "[]"}, // Only synchronous ones have the latest.
        {"1", "", "{key=1}", only},     // Nothing was written before it.
        {now, "cached_sync_replicas_timeout=60000", "{key=1}", "[]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = in_sync(&world, cases[i].timestamp, cases[i].more, cases[i].keys);
        cr_assert(eq(str, (char *)found, (char *)cases[i].ids), "case %zu", i);
    }
    rules_alter(&world, id, "mode=sync");
    world_run(&world, SECOND);
    assert_text(in_sync(&world, LATEST, "", "{key=11}"), only);
    assert_text(in_sync(&world, LATEST, "", "{key=1}"), "[]");
    world_release(&world);
}

Test(reading, in_sync_replicas_are_asked_for_sorted_replicated_dynamic_tables)
{
    struct machine_world world;
    world_init(&world, 1);
    rules_table(&world, META, "replicated_table", "//tmp/t", SCHEMA);
    rules_table(&world, META, "replicated_table", "//tmp/o", "schema=[{name=v;type=int64}]");
    rules_table(&world, META, "table", "//tmp/p", SCHEMA);
    const struct {
        const char *parameters;
        int code;
        const char *text;
    } cases[] = {
        {"{path=\"//tmp/o\";timestamp=" LATEST "}", 1716, "Table //tmp/o is not sorted"},
        {"{path=\"//tmp/p\";timestamp=" LATEST "}", 1, "Table //tmp/p is not replicated"},
        {"{path=\"//tmp/t\";timestamp=0}", 1, "Invalid GetInSyncReplicas timestamp 0"},
        {"{path=\"//tmp/t\";timestamp=4611686018427387652u}",
         1,
         "Invalid GetInSyncReplicas timestamp 3fffffffffffff04"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(
            &world,
            META,
            "get_in_sync_replicas",
            cases[i].parameters,
            "{key=1}",
            cases[i].code,
            cases[i].text);
    }
    world_table(&world, META, "//tmp/t")->is_dynamic = false; // As none can be created.
    assert_refused(
        &world,
        META,
        "get_in_sync_replicas",
        "{path=\"//tmp/t\";timestamp=" LATEST "}",
        "{key=1}",
        1,
        "Table //tmp/t is not dynamic");
    world_release(&world);
}

Test(reading, computed_key_columns_are_evaluated_for_in_sync_replicas)
{
    struct machine_world world;
    const char *attributes =
        "pivot_keys=[[];[100]];schema=[{name=hash;type=int64;sort_order=ascending;"
        "expression=\"key * 10\"};" KEY ";{name=value;type=string}]";
    const char *id = rules_world(&world, attributes, "mode=sync");
    world_do(&world, META, "insert_rows", T, "{key=20;value=a}"); // Of the second tablet.
    const char *only = world_text(&world, "[\"%s\";]", id);
    assert_text(in_sync(&world, LATEST, "", "{key=20}"), only);
    struct tablet *tablets = world_table(&world, META, "//tmp/t")->tablets;
    tablets[0].state = TABLET_UNMOUNTED; // It is not asked about.
    assert_text(in_sync(&world, LATEST, "", "{key=20}"), only);
    tablets[0].state = TABLET_MOUNTED;
    tablets[1].state = TABLET_UNMOUNTED;
    assert_refused(
        &world,
        META,
        "get_in_sync_replicas",
        "{path=\"//tmp/t\";timestamp=" LATEST "}",
        "{key=20}",
        1702,
        "\"unmounted\"");
    tablets[1].state = TABLET_MOUNTED;
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// get_tablet_infos. Errors and get_tablet_errors: errors_test.c.

static uint64_t number_of(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    cr_assert(at != NULL, "%s is not in %s", name, text);
    return strtoull(at + strlen(name), NULL, 10);
}

Test(reading, tablet_infos_keep_their_invariants)
{
    struct machine_world world;
    const char *id = rules_world(&world, TWO_TABLETS, "mode=sync");
    world_do(&world, META, "insert_rows", T, "{key=1};{key=2}");
    const char *infos =
        world_do(&world, META, "get_tablet_infos", "{path=\"//tmp/t\";tablet_indexes=[0]}", NULL);
    static const char *const NAMES[] = {
        "total_row_count",
        "trimmed_row_count",
        "delayed_lockless_row_count",
        "barrier_timestamp",
        "last_write_timestamp",
        "replica_infos",
        "replica_id",
        "last_replication_timestamp",
        "mode",
        "current_replication_row_index",
        "committed_replication_row_index",
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        cr_assert(strstr(infos, NAMES[i]) != NULL, "%s is not in %s", NAMES[i], infos);
    }
    cr_assert(strstr(infos, id) != NULL);
    // Of a synchronous replica at once: its index is the total row count.
    cr_assert(eq(u64, number_of(infos, "\"total_row_count\"="), 2));
    cr_assert(eq(u64, number_of(infos, "\"current_replication_row_index\"="), 2));
    uint64_t barrier = number_of(infos, "\"barrier_timestamp\"=");
    cr_assert(le(u64, number_of(infos, "\"last_replication_timestamp\"="), barrier));
    cr_assert(le(u64, number_of(infos, "\"last_write_timestamp\"="), barrier));
    // The barrier goes on by itself.
    world_run(&world, 10 * SECOND);
    infos =
        world_do(&world, META, "get_tablet_infos", "{path=\"//tmp/t\";tablet_indexes=[0]}", NULL);
    cr_assert(lt(u64, barrier, number_of(infos, "\"barrier_timestamp\"=")));
    world_release(&world);
}
