#include "coordinator/core/tracker_plan.h"

#include "base/rng.h"
#include "tests/test.h"

TestSuite(tracker_plan, .fini = abort_on_leaks);

enum { REPLICA_COUNT_MAX = 6, TABLE_COUNT_MAX = 3 };

// A table from a text: a word for each replica, of its cluster's letter, `s`ync or `a`sync, `g`ood
// or `b`ad, and optionally `p`referred or `l`agging.
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
