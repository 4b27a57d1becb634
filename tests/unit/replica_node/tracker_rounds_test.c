// What the tracker does with one table, from breaking replicas to their modes: behaviour 10.5,
// consequence by consequence. The rules of choice alone: coordinator/tracker_plan_test.c.
#include "coordinator/core/sessions.h"
#include "rules.h"

TestSuite(tracker_rounds, .fini = abort_on_leaks);

#define SCHEMA  "schema=" WORLD_SCHEMA
#define OPTIONS "//tmp/t/@replicated_table_options"
#define TRACKER "//sys/@config/tablet_manager/replicated_table_tracker"

enum { REPLICA_COUNT_MAX = 5 };

struct rounds {
    struct machine_world world;
    size_t count;
    const char *ids[REPLICA_COUNT_MAX];
};

static const char *path_of(struct rounds *rounds, size_t index)
{
    return world_text(&rounds->world, "//tmp/r%zu", index);
}

// A table with replicas, of which the first is synchronous, and then these options.
static void make(struct rounds *rounds, size_t count, const char *options)
{
    struct machine_world *world = &rounds->world;
    *rounds = (struct rounds){.count = count};
    world_init(world, 2);
    rules_table(world, META, "replicated_table", "//tmp/t", SCHEMA);
    for (size_t i = 0; i < count; i++) {
        const char *mode = i == 0 ? "mode=sync" : "mode=async";
        rounds->ids[i] = rules_replica(world, path_of(rounds, i), mode, SCHEMA);
    }
    world_set(world, META, OPTIONS, options);
    world_run(world, SECOND);
}

// One letter for each replica, in the order of creation: s(ync) or a(sync).
static const char *modes(struct rounds *rounds)
{
    const char *text = "";
    for (size_t i = 0; i < rounds->count; i++) {
        const char *mode = rules_attribute(&rounds->world, rounds->ids[i], "mode");
        text = world_text(&rounds->world, "%s%c", text, mode[0]);
    }
    return text;
}

static size_t sync_count(struct rounds *rounds)
{
    size_t count = 0;
    for (const char *c = modes(rounds); *c; c++) count += *c == 's';
    return count;
}

// Its table is lost, for good.
static void break_replica(struct rounds *rounds, size_t index)
{
    const char *parameters = world_text(&rounds->world, "{path=\"%s\"}", path_of(rounds, index));
    world_do(&rounds->world, REPLICA, "remove", parameters, NULL);
}

static size_t find_mode(struct rounds *rounds, char mode, size_t begin)
{
    const char *text = modes(rounds);
    size_t i = begin;
    while (text[i] && text[i] != mode) i++;
    return i;
}

static void rounds_release(struct rounds *rounds)
{
    world_release(&rounds->world);
}

#define ON "enable_replicated_table_tracker=%true"

// What minimum and maximum come to, of two tracked replicas.
Test(tracker_rounds, counts_are_1_and_1_unless_options_say_otherwise)
{
    static const struct {
        const char *options;
        int min;
        int max;
    } ROWS[] = {
        {"", 1, 1},
        {"min_sync_replica_count=0", 0, 2}, // Only the minimum: the maximum is their number.
        {"min_sync_replica_count=2", 2, 2},
        {"max_sync_replica_count=2", 2, 2}, // Only the maximum: the minimum is the same.
        {"sync_replica_count=1", 1, 1},
        {"max_sync_replica_count=0", 0, 0},
        {"min_sync_replica_count=1;max_sync_replica_count=2", 1, 2},
        {"min_sync_replica_count=#;max_sync_replica_count=#", 1, 1},
    };
    struct rounds rounds;
    make(&rounds, 2, "{" ON "}");
    struct machine_world *world = &rounds.world;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        world_set(world, META, OPTIONS, world_text(world, "{%s;%s}", ON, ROWS[i].options));
        const char *status = world_do(world, META, "get_tracker_status", T, NULL);
        const char *expected = world_text(
            world,
            "\"min_sync_replica_count\"=%d;\"max_sync_replica_count\"=%d;",
            ROWS[i].min,
            ROWS[i].max);
        cr_assert(strstr(status, expected) != NULL, "%s: %s", ROWS[i].options, status);
        world_run(world, SECOND);
        size_t count = sync_count(&rounds);
        cr_assert(eq(sz, count, (size_t)ROWS[i].max), "%s", ROWS[i].options);
    }
    rounds_release(&rounds);
}

Test(tracker_rounds, a_lone_replica_that_goes_bad_stays_sync_by_default)
{
    struct rounds rounds;
    make(&rounds, 1, "{" ON "}");
    break_replica(&rounds, 0);
    world_run(&rounds.world, 10 * SECOND);
    assert_text(modes(&rounds), "s");
    world_set(
        &rounds.world, META, OPTIONS, "{" ON ";min_sync_replica_count=0;max_sync_replica_count=1}");
    world_run(&rounds.world, SECOND);
    assert_text(modes(&rounds), "a");
    rounds_release(&rounds);
}

Test(tracker_rounds, of_two_replicas_the_other_takes_over_in_the_same_round)
{
    struct rounds rounds;
    make(&rounds, 2, "{" ON "}");
    struct machine_world *world = &rounds.world;
    assert_text(modes(&rounds), "sa");
    const struct table *table = world_table(world, META, "//tmp/t");
    uint64_t revision = table->mode_revision;
    break_replica(&rounds, 0);
    rules_wait(world, rounds.ids[1], "mode", "sync");
    assert_text(modes(&rounds), "as");
    cr_assert(eq(u64, table->mode_revision, revision + 1)); // Both at once.
    for (size_t i = 0; i < 2; i++)                          // replica_mode_switch_count
        cr_assert(eq(u64, table->replicas[i]->session->counters.switch_count, 1));
    world_do(world, META, "insert_rows", T, "{key=1}");
    // By hand it is no switch of the tracker's.
    world_set(world, META, OPTIONS, "{}");
    rules_alter(world, rounds.ids[1], "mode=async");
    cr_assert(eq(u64, table->replicas[1]->session->counters.switch_count, 1));
    rounds_release(&rounds);
}

Test(tracker_rounds, between_2_and_4_of_five_replicas_are_sync_as_they_break)
{
    struct rounds rounds;
    make(&rounds, 5, "{" ON ";min_sync_replica_count=2;max_sync_replica_count=4}");
    struct machine_world *world = &rounds.world;
    cr_assert(eq(sz, sync_count(&rounds), 4));
    size_t fifth = find_mode(&rounds, 'a', 0);
    break_replica(&rounds, 0);
    rules_wait(world, rounds.ids[fifth], "mode", "sync");
    assert_text(modes(&rounds), "assss");
    break_replica(&rounds, 1);
    break_replica(&rounds, 2);
    rules_wait(world, rounds.ids[2], "mode", "async");
    world_run(world, SECOND);
    assert_text(modes(&rounds), "aaass");
    break_replica(&rounds, 3);
    world_run(world, 10 * SECOND);
    assert_text(modes(&rounds), "aaass"); // One of them is bad.
    rounds_release(&rounds);
}

Test(tracker_rounds, with_3_to_4_of_five_and_three_broken_a_bad_one_stays_and_modes_are_stable)
{
    struct rounds rounds;
    make(&rounds, 5, "{" ON ";min_sync_replica_count=3;max_sync_replica_count=4}");
    struct machine_world *world = &rounds.world;
    cr_assert(eq(sz, sync_count(&rounds), 4));
    size_t first = find_mode(&rounds, 's', 0);
    size_t second = find_mode(&rounds, 's', first + 1);
    size_t third = find_mode(&rounds, 's', second + 1);
    break_replica(&rounds, first);
    break_replica(&rounds, second);
    break_replica(&rounds, third);
    world_run(world, 10 * SECOND);
    const char *settled = modes(&rounds);
    cr_assert(eq(sz, sync_count(&rounds), 3));
    for (size_t i = 0; i < 5; i++) {
        bool is_good = i != first && i != second && i != third;
        if (is_good) cr_assert(eq(chr, settled[i], 's'));
    }
    uint64_t revision = world_table(world, META, "//tmp/t")->mode_revision;
    world_run(world, 30 * SECOND);
    assert_text(modes(&rounds), settled);
    cr_assert(eq(u64, world_table(world, META, "//tmp/t")->mode_revision, revision));
    rounds_release(&rounds);
}

Test(tracker_rounds, nothing_flips_for_less_lag_or_another_list_of_preferred_clusters)
{
    static const char *const LISTS[] = {"[replica]", "[]", "[x;replica]", "#", "[x]", "#"};
    struct rounds rounds;
    make(&rounds, 3, "{" ON "}");
    struct machine_world *world = &rounds.world;
    const struct table *table = world_table(world, META, "//tmp/t");
    uint64_t revision = table->mode_revision;
    world_set(world, META, "//tmp/t/@replication_throttler", "{limit=50}");
    world_do(world, META, "remount_table", T, NULL);
    for (int i = 0; i < 10; i++) world_do(world, META, "insert_rows", T, "{key=1;value=aaaaaaaa}");
    world_run(world, 2 * SECOND);
    const char *lag = rules_attribute(world, rounds.ids[1], "replication_lag_time");
    cr_assert(gt(u64, strtoull(lag, NULL, 10), 0));
    world_set(world, META, "//tmp/t/@replication_throttler", "{}");
    world_do(world, META, "remount_table", T, NULL);
    rules_catch_up(world, rounds.ids[1]);
    world_run(world, SECOND);
    for (size_t i = 0; i < sizeof LISTS / sizeof *LISTS; i++) {
        world_set(world, META, OPTIONS "/preferred_sync_replica_clusters", LISTS[i]);
        world_run(world, 5 * SECOND);
    }
    assert_text(modes(&rounds), "saa");
    cr_assert(eq(u64, table->mode_revision, revision));
    rounds_release(&rounds);
}

// The cluster's switch, the table's option, the replicas' flags, and replicas that are disabled.
Test(tracker_rounds, what_is_not_tracked_is_left_alone_whatever_breaks)
{
    for (int i = 0; i < 4; i++) {
        struct rounds rounds;
        make(&rounds, 2, "{}");
        struct machine_world *world = &rounds.world;
        if (i == 0) world_set(world, META, TRACKER "/enable_replicated_table_tracker", "%false");
        for (size_t j = 0; i == 2 && j < 2; j++)
            rules_alter(world, rounds.ids[j], "enable_replicated_table_tracker=%false");
        if (i == 3) rules_alter(world, rounds.ids[1], "enabled=%false");
        if (i != 1) world_set(world, META, OPTIONS, "{" ON "}");
        break_replica(&rounds, 0);
        world_run(world, 10 * SECOND);
        cr_assert(eq(str, (char *)modes(&rounds), "sa"), "case %d", i);
        // It never enables or disables.
        assert_text(rules_attribute(world, rounds.ids[0], "state"), "enabled");
        const char *state = i == 3 ? "disabled" : "enabled";
        assert_text(rules_attribute(world, rounds.ids[1], "state"), state);
        // As soon as all are tracked, the other one takes over.
        world_set(world, META, TRACKER "/enable_replicated_table_tracker", "%true");
        world_set(world, META, OPTIONS, "{" ON "}");
        for (size_t j = 0; j < 2; j++)
            rules_alter(world, rounds.ids[j], "enable_replicated_table_tracker=%true");
        if (i == 3) rules_alter(world, rounds.ids[1], "enabled=%true");
        rules_wait(world, rounds.ids[1], "mode", "sync");
        assert_text(modes(&rounds), "as");
        rounds_release(&rounds);
    }
}

Test(tracker_rounds, an_untracked_replica_does_not_count)
{
    struct rounds rounds;
    make(&rounds, 2, "{}");
    struct machine_world *world = &rounds.world;
    rules_alter(world, rounds.ids[0], "enable_replicated_table_tracker=%false");
    world_set(world, META, OPTIONS, "{" ON "}");
    rules_wait(world, rounds.ids[1], "mode", "sync"); // It knows of no other one.
    world_run(world, 5 * SECOND);
    assert_text(modes(&rounds), "ss");
    rounds_release(&rounds);
}

Test(tracker_rounds, copied_tables_are_tracked_like_others_and_clones_keep_their_flag)
{
    struct machine_world world;
    const char *replica = "mode=async;preserve_timestamps=%false";
    const char *id = rules_world(&world, SCHEMA, replica);
    const char *other = rules_replica(&world, "//tmp/q", replica, SCHEMA);
    rules_alter(&world, other, "enable_replicated_table_tracker=%false");
    world_set(&world, META, OPTIONS, "{" ON "}");
    rules_wait(&world, id, "mode", "sync");
    rules_alter(&world, id, "enable_replicated_table_tracker=%false;mode=async");
    rules_alter(&world, id, "enable_replicated_table_tracker=%true;enabled=%false");
    world_do(&world, META, "unmount_table", T, NULL);
    world_wait(&world, META, "//tmp/t/@tablet_state", "unmounted");
    world_do(&world, META, "copy", "{source_path=\"//tmp/t\";destination_path=\"//tmp/u\"}", NULL);
    assert_text(
        world_get(&world, META, "//tmp/u/@replicated_table_options"),
        world_get(&world, META, "//tmp/t/@replicated_table_options"));
    const struct table *copy = world_table(&world, META, "//tmp/u");
    cr_assert(eq(sz, arr_count(copy->replicas), 2));
    world_do(&world, META, "mount_table", "{path=\"//tmp/u\"}", NULL);
    for (size_t i = 0; i < 2; i++) {
        bool is_tracked = slice_equal_text(buffer_slice(&copy->replicas[i]->path), "//tmp/r");
        cr_assert(eq(int, copy->replicas[i]->is_tracked, is_tracked));
        const char *clone = world_text(&world, "%s", GUID_TEXT(copy->replicas[i]->object->id));
        rules_alter(&world, clone, "enabled=%true");
        if (is_tracked) rules_wait(&world, clone, "mode", "sync");
    }
    world_run(&world, 5 * SECOND);
    size_t count = 0;
    for (size_t i = 0; i < 2; i++) count += copy->replicas[i]->mode == REPLICA_MODE_SYNC;
    cr_assert(eq(sz, count, 1));
    world_release(&world);
}
