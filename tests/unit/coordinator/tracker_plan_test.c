#include "coordinator/core/tracker_plan.h"

#include "base/rng.h"
#include "tests/test.h"

TestSuite(tracker_plan, .fini = abort_on_leaks);

enum { REPLICA_COUNT_MAX = 6, TABLE_COUNT_MAX = 3 };

// A table from a text: a word for each replica, of its cluster's letter, `s`ync or `a`sync, `g`ood
// or `b`ad, and optionally `p`referred or `l`agging (a digit: by so many seconds).
struct sketch {
    struct plan_replica replicas[REPLICA_COUNT_MAX];
    struct plan_table table;
};

static void draw(struct sketch *sketch, const char *text, uint64_t min, uint64_t max)
{
    memset(sketch, 0, sizeof *sketch);
    sketch->table.replicas = sketch->replicas;
    sketch->table.sync_count_min = min;
    sketch->table.sync_count_max = max;
    for (const char *c = text; *c;) {
        struct plan_replica *replica = &sketch->replicas[sketch->table.replica_count++];
        replica->cluster = slice_from(c++, 1);
        for (; *c && *c != ' '; c++) {
            if (*c == 's') replica->is_sync = true;
            if (*c == 'g') replica->is_good = true;
            if (*c == 'p') replica->is_preferred = true;
            if (*c == 'l') replica->lag_ms = 5000;
            if (*c >= '0' && *c <= '9') replica->lag_ms = (uint64_t)(*c - '0') * 1000;
        }
        if (*c == ' ') c++;
    }
}

// The clusters that are synchronous in the end, in the order of the replicas.
static const char *result(const struct sketch *sketch)
{
    static char text[REPLICA_COUNT_MAX + 1];
    size_t size = 0;
    for (size_t i = 0; i < sketch->table.replica_count; i++) {
        if (sketch->replicas[i].will_be_sync) text[size++] = sketch->replicas[i].cluster.data[0];
    }
    text[size] = '\0';
    return text;
}

static const char *plan(const char *text, uint64_t min, uint64_t max)
{
    static struct sketch sketch;
    draw(&sketch, text, min, max);
    plan_modes(&sketch.table, 1);
    return result(&sketch);
}

Test(tracker_plan, keeps_a_lone_bad_replica_if_the_minimum_needs_it)
{
    assert_text(plan("Asb", 1, 1), "A");
    assert_text(plan("Asb", 0, 1), "");
    assert_text(plan("Aag", 0, 1), "A");
}

Test(tracker_plan, replaces_a_bad_replica)
{
    assert_text(plan("Asb Bag", 1, 1), "B");
    assert_text(plan("Asb Bagl Cag", 1, 1), "C"); // Least behind.
    assert_text(plan("Asb Bagl", 1, 1), "B");     // Behind is better than bad.
    assert_text(plan("Asb Bab", 1, 1), "A");
}

Test(tracker_plan, keeps_between_minimum_and_maximum)
{
    assert_text(plan("Asg Bsg Csg Dsg Eag", 2, 4), "ABCD");
    assert_text(plan("Asb Bsg Csg Dsg Eag", 2, 4), "BCDE");
    assert_text(plan("Asb Bsb Csb Dsg Esg", 2, 4), "DE");
    assert_text(plan("Asb Bab Cab Dsb Esg", 2, 4), "AE");
    assert_text(plan("Asg Bsg Csb Dsb Esb", 3, 4), "ABC");
    assert_text(plan("Asg Bsg Csg", 0, 2), "BC"); // The greater names stay.
}

// The steps of behaviour 10.5, one after the other.
Test(tracker_plan, step_1_and_2_good_replicas_are_promoted_least_lag_first_up_to_the_maximum)
{
    assert_text(plan("Aag3 Bag1 Cag2", 1, 3), "B");
    assert_text(plan("Aag3 Bag1 Cag2", 2, 3), "BC");
    assert_text(plan("Aag3 Bag1 Cag2", 3, 3), "ABC");
    assert_text(plan("Asg Bag3 Cag1", 2, 2), "AC");  // Those that are good and sync count.
    assert_text(plan("Asb Bag3 Cag1", 2, 2), "BC");  // Those that are bad do not.
    assert_text(plan("Aag0 Bag0 Cag0", 0, 2), "BC"); // Equal ones by name.
    assert_text(plan("Aab Bab", 2, 2), "");
}

Test(tracker_plan, step_3_bad_replicas_stay_as_far_as_the_minimum_needs_them)
{
    assert_text(plan("Asb Bsb", 2, 2), "AB");
    assert_text(plan("Asb Bsb Csg", 1, 3), "C");
    assert_text(plan("Asb Bsb Csb", 0, 3), "");
    cr_assert(eq(sz, strlen(plan("Asb Bsb Csb Dsg", 2, 3)), 2));
    cr_assert(eq(sz, strlen(plan("Asb Bsb Csb Dsb", 3, 4)), 3));
}

Test(tracker_plan, step_4_good_replicas_beyond_the_maximum_are_demoted)
{
    assert_text(plan("Asg Bsg Csg", 1, 1), "C");
    assert_text(plan("Asg Bsgp Csg", 1, 1), "B"); // Not the preferred one.
    assert_text(plan("Asg Bsg", 0, 0), "");
}

// Good and sync on a preferred cluster, good and async there, good and sync, good and async, bad.
Test(tracker_plan, step_5_ranks_decide_who_is_sync)
{
    static const char *const RANKED[] = {"sgp", "agp", "sg", "ag", "abp"};
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = i + 1; j < 5; j++) {
            char texts[2][32];
            snprintf(texts[0], sizeof texts[0], "A%s B%s", RANKED[i], RANKED[j]);
            snprintf(texts[1], sizeof texts[1], "A%s B%s", RANKED[j], RANKED[i]);
            cr_assert(eq(str, (char *)plan(texts[0], 1, 1), "A"), "%s", texts[0]);
            cr_assert(eq(str, (char *)plan(texts[1], 1, 1), "B"), "%s", texts[1]);
        }
    }
    assert_text(plan("Asg Bag Cag", 1, 1), "A");        // Equal but for that: the sync one stays.
    assert_text(plan("Aag Bagp Cagp", 1, 1), "C");      // Then the greater name.
    assert_text(plan("Asg Bsg Cagp Dagp", 2, 2), "CD"); // Their number is kept.
    assert_text(plan("Asg Bsgp Cag Dagp", 2, 2), "BD");
}

Test(tracker_plan, comes_back_to_a_preferred_cluster_when_its_replica_is_good_again)
{
    assert_text(plan("Asbp Bag", 1, 1), "B");
    assert_text(plan("Aabp Bsg", 1, 1), "B");
    assert_text(plan("Aagp Bsg", 1, 1), "A");
}

Test(tracker_plan, does_not_flip_without_need)
{
    assert_text(plan("Asg Bag", 1, 1), "A");
    assert_text(plan("Asgp Bag", 1, 1), "A");
    assert_text(plan("Asgp Bagp", 1, 1), "A");
}

Test(tracker_plan, goes_to_preferred_clusters)
{
    assert_text(plan("Asg Bagp", 1, 1), "B");
    assert_text(plan("Asg Babp", 1, 1), "A");  // Bad.
    assert_text(plan("Asg Baglp", 1, 1), "A"); // Writes would wait for it.
    assert_text(plan("Asb Baglp", 1, 1), "B");
}

Test(tracker_plan, adds_to_good_replicas_only_what_is_caught_up)
{
    assert_text(plan("Asg Bagl", 1, 2), "A");
    assert_text(plan("Asg Bag", 1, 2), "AB");
    assert_text(plan("Asg Bagl", 2, 2), "AB");
}

static void assert_collocated(const char *first, const char *second, const char *expected)
{
    struct sketch sketches[2];
    draw(&sketches[0], first, 1, 1);
    draw(&sketches[1], second, 1, 1);
    struct plan_table tables[] = {sketches[0].table, sketches[1].table};
    plan_modes(tables, 2);
    assert_text(result(&sketches[0]), expected);
    assert_text(result(&sketches[1]), expected);
}

Test(tracker_plan, keeps_collocated_tables_together)
{
    assert_collocated("Asg Bag", "Aag Bsg", "B"); // The greater name.
    assert_collocated("Asg Bag", "Asg Bag", "A");
    assert_collocated("Asb Bag", "Asg Bag", "B"); // One table's trouble moves both.
    assert_collocated("Asg Bagp", "Asg Bagp", "B");
    assert_collocated("Asg Bagp", "Asg Babp", "A");
    assert_collocated("Aag Bsg Cag", "Asg Bag Cab", "B");
}

Test(tracker_plan, leaves_collocated_tables_alone_that_have_no_cluster_in_common)
{
    struct sketch sketches[2];
    draw(&sketches[0], "Asg Bab", 1, 1);
    draw(&sketches[1], "Aab Bsg", 1, 1);
    struct plan_table tables[] = {sketches[0].table, sketches[1].table};
    plan_modes(tables, 2);
    assert_text(result(&sketches[0]), "A");
    assert_text(result(&sketches[1]), "B");
}

Test(tracker_plan, only_tracked_tables_of_a_collocation_count)
{
    struct sketch sketches[3];
    draw(&sketches[0], "Asg Bag", 1, 1);
    draw(&sketches[1], "", 1, 1); // None of its replicas is tracked.
    draw(&sketches[2], "Aag Bsg", 1, 1);
    struct plan_table tables[] = {sketches[0].table, sketches[1].table, sketches[2].table};
    plan_modes(tables, 3);
    assert_text(result(&sketches[0]), "B");
    assert_text(result(&sketches[2]), "B");
}

// Of collocated tables: good for all, good and sync for all, each preferred or not.
Test(tracker_plan, ranks_of_clusters_decide_for_collocated_tables)
{
    assert_collocated("Aag Bsg", "Aag Bsg", "B");
    assert_collocated("Bag Asg", "Bag Asg", "A");     // Sync for all, in spite of the name.
    assert_collocated("Aagp Bsg", "Aagp Bsg", "A");   // Good and preferred, 3, against 2.
    assert_collocated("Aagp Bsgp", "Aagp Bsgp", "B"); // 3 against 4.
    assert_collocated("Aagp Bag Csb", "Aagp Bag Csb", "A");
    assert_collocated("Aabp Bsg", "Aagp Bsg", "B");       // Bad for one: 0, preferred or not.
    assert_collocated("Asg Bag Cag", "Asb Bag Cag", "C"); // Ties by the greater name.
    assert_collocated("Asg Bag", "Asg Bag", "A");
}

static void draw_random(struct sketch *sketch, struct rng *rng)
{
    memset(sketch, 0, sizeof *sketch);
    sketch->table.replicas = sketch->replicas;
    sketch->table.replica_count = rng_below(rng, REPLICA_COUNT_MAX + 1);
    sketch->table.sync_count_max = rng_below(rng, 5);
    sketch->table.sync_count_min = rng_below(rng, sketch->table.sync_count_max + 1);
    for (size_t i = 0; i < sketch->table.replica_count; i++) {
        sketch->replicas[i] = (struct plan_replica){
            .cluster = slice_from("ABCDEF" + i, 1),
            .is_sync = rng_chance(rng, 40),
            .is_good = rng_chance(rng, 60),
            .lag_ms = rng_chance(rng, 30) ? rng_below(rng, 5000) : 0,
            .is_preferred = rng_chance(rng, 30),
        };
        if (sketch->replicas[i].is_sync) sketch->replicas[i].lag_ms = 0;
    }
}

static void check_invariants(const struct sketch *sketch)
{
    uint64_t sync = 0;
    uint64_t demoted = 0;
    for (size_t i = 0; i < sketch->table.replica_count; i++) {
        const struct plan_replica *replica = &sketch->replicas[i];
        bool is_promoted = replica->will_be_sync && !replica->is_sync;
        cr_assert(not(is_promoted && !replica->is_good)); // elect-fit
        sync += replica->will_be_sync;
        demoted += replica->is_sync && !replica->will_be_sync;
    }
    cr_assert(le(u64, sync, sketch->table.sync_count_max)); // sync-count
    uint64_t least = MIN(sketch->table.sync_count_min, (uint64_t)sketch->table.replica_count);
    if (demoted > 0) cr_assert(ge(u64, sync, least));
}

Test(tracker_plan, keeps_its_invariants_for_any_view)
{
    struct rng rng = {.state = 20};
    for (int round = 0; round < 200000; round++) {
        struct sketch sketches[TABLE_COUNT_MAX];
        struct plan_table tables[TABLE_COUNT_MAX];
        size_t count = 1 + rng_below(&rng, TABLE_COUNT_MAX);
        for (size_t i = 0; i < count; i++) {
            draw_random(&sketches[i], &rng);
            tables[i] = sketches[i].table;
        }
        plan_modes(tables, count);
        for (size_t i = 0; i < count; i++) check_invariants(&sketches[i]);

        // no-flapping: what was decided once is left alone.
        for (size_t i = 0; i < count; i++) {
            for (size_t j = 0; j < tables[i].replica_count; j++) {
                struct plan_replica *replica = &tables[i].replicas[j];
                replica->is_sync = replica->will_be_sync;
                if (replica->is_sync) replica->lag_ms = 0;
            }
        }
        plan_modes(tables, count);
        for (size_t i = 0; i < count; i++) {
            for (size_t j = 0; j < tables[i].replica_count; j++) {
                const struct plan_replica *replica = &tables[i].replicas[j];
                if (count == 1) cr_assert(eq(int, replica->will_be_sync, replica->is_sync));
            }
        }
    }
}
