// lock_rows and lock groups (behaviour 5.5).
#include "machine_world.h"

TestSuite(lock_rows, .fini = abort_on_leaks);

#define T "{path=\"//tmp/t\"}"

// Columns a and b have locks of their own, c has the main one.
static void make(struct machine_world *world)
{
    world_init(world, 1);
    world_do(
        world,
        META,
        "create",
        "{type=table;path=\"//tmp/"
        "t\";attributes={dynamic=%true;schema=[{name=k;type=int64;sort_order="
        "ascending};{name=a;type=int64;lock=a};{name=b;type=int64;lock=b};{name=c;type=int64}]}}",
        NULL);
    world_do(world, META, "mount_table", T, NULL);
}

static const char *begin(struct machine_world *world)
{
    const char *quoted = world_do(world, META, "start_transaction", "{type=tablet}", NULL);
    return world_text(world, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
}

static void act(
    struct machine_world *world,
    const char *id,
    const char *command,
    const char *more,
    const char *rows)
{
    const char *parameters =
        world_text(world, "{path=\"//tmp/t\";transaction_id=\"%s\";%s}", id, more);
    world_do(world, META, command, parameters, rows);
}

static bool commits(struct machine_world *world, const char *id)
{
    const char *parameters = world_text(world, "{transaction_id=\"%s\"}", id);
    bool is_done = world_try(world, META, "commit_transaction", parameters, NULL) != NULL;
    if (!is_done) {
        cr_assert(error_says(world->error, 1700, "Row lock conflict due to concurrent write"));
    }
    return is_done;
}

struct step {
    const char *command;
    const char *more;
    const char *rows;
};

#define WEAK_A                                                  \
    {                                                           \
        "lock_rows", "lock_type=shared_weak;locks=[a]", "{k=1}" \
    }
#define STRONG_A                          \
    {                                     \
        "lock_rows", "locks=[a]", "{k=1}" \
    }
#define STRONG_B                          \
    {                                     \
        "lock_rows", "locks=[b]", "{k=1}" \
    }
#define STRONG                   \
    {                            \
        "lock_rows", "", "{k=1}" \
    }
#define EXCL_A                                                \
    {                                                         \
        "lock_rows", "lock_type=exclusive;locks=[a]", "{k=1}" \
    }
#define SET_A                                      \
    {                                              \
        "insert_rows", "update=%true", "{k=1;a=1}" \
    }
#define SET_B                                      \
    {                                              \
        "insert_rows", "update=%true", "{k=1;b=1}" \
    }
#define SET_C                                      \
    {                                              \
        "insert_rows", "update=%true", "{k=1;c=1}" \
    }
#define SET_AB                                         \
    {                                                  \
        "insert_rows", "update=%true", "{k=1;a=2;b=2}" \
    }
#define PUT                            \
    {                                  \
        "insert_rows", "", "{k=1;a=1}" \
    }
#define DELETE                     \
    {                              \
        "delete_rows", "", "{k=1}" \
    }

// Two transactions begin, the first one commits, then the second.
Test(lock_rows, decide_who_loses_by_kinds_and_groups)
{
    const struct {
        struct step first;
        struct step second;
        bool is_second_done;
    } cases[] = {
        {SET_A, SET_A, false},     {SET_A, SET_B, true}, // Groups do not meet,
        {SET_A, SET_C, false},                          // but who writes without a group takes all,
        {SET_C, SET_A, false},     {SET_A, PUT, false}, // as a whole row does,
        {PUT, SET_B, false},       {DELETE, SET_B, false}, // and a delete.
        {SET_B, DELETE, false},    {SET_AB, SET_B, false},
        {SET_A, WEAK_A, false}, // The reader loses,
        {SET_A, STRONG_A, false},  {SET_A, STRONG_B, true},
        {SET_A, STRONG, false},    {WEAK_A, SET_A, true}, // a weak one blocks nobody,
        {STRONG_A, SET_A, false},                         // a strong one does,
        {STRONG_A, SET_B, true},   {STRONG_A, SET_C, false},
        {STRONG, SET_B, false},    {STRONG_A, STRONG_A, true}, // but not its like.
        {STRONG_A, WEAK_A, true},  {STRONG_A, EXCL_A, false},
        {EXCL_A, STRONG_A, false}, {EXCL_A, SET_B, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct machine_world world;
        make(&world);
        const char *first = begin(&world);
        const char *second = begin(&world);
        act(&world, first, cases[i].first.command, cases[i].first.more, cases[i].first.rows);
        act(&world, second, cases[i].second.command, cases[i].second.more, cases[i].second.rows);
        cr_assert(commits(&world, first), "case %zu", i);
        cr_assert(eq(int, commits(&world, second), cases[i].is_second_done), "case %zu", i);
        // Who begins afterwards meets nobody.
        const char *third = begin(&world);
        act(&world, third, cases[i].second.command, cases[i].second.more, cases[i].second.rows);
        cr_assert(commits(&world, third), "case %zu", i);
        world_release(&world);
    }
}

Test(lock_rows, of_one_transaction_do_not_meet)
{
    struct machine_world world;
    make(&world);
    world_do(&world, META, "insert_rows", T, "{k=1;a=1;b=1;c=1}");
    const char *id = begin(&world);
    act(&world, id, "lock_rows", "", "{k=1}");
    act(&world, id, "delete_rows", "", "{k=1}"); // Deleting and locking the same row is fine.
    act(&world, id, "lock_rows", "locks=[a;b;\"<primary>\"]", "{k=1};{k=2}");
    cr_assert(commits(&world, id));
    assert_text(world_do(&world, META, "lookup_rows", T, "{k=1}"), "");
    // Groups that were written apart are together in the row.
    world_do(&world, META, "insert_rows", T, "{k=3;a=1;b=1}");
    const char *x = begin(&world);
    const char *y = begin(&world);
    act(&world, x, "insert_rows", "update=%true", "{k=3;a=7}");
    act(&world, y, "insert_rows", "update=%true", "{k=3;b=8}");
    cr_assert(commits(&world, x) && commits(&world, y));
    assert_text(
        world_do(&world, META, "lookup_rows", T, "{k=3}"), "{\"k\"=3;\"a\"=7;\"b\"=8;\"c\"=#;};\n");
    world_release(&world);
}

// Without a transaction they say whether anybody is just writing the row.
Test(lock_rows, on_a_replicated_table_lose_against_an_undecided_write)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_do(&world, META, "lock_rows", T, "{key=1}");
    world.is_link_held = true;
    struct request *insert = world_begin(&world, META, "insert_rows", T, "{key=1}");
    assert_refused(
        &world, META, "lock_rows", T, "{key=1}", 1700, "Row lock conflict due to concurrent write");
    world_do(&world, META, "lock_rows", T, "{key=2}");
    world.is_link_held = false;
    assert_text(world_finish(&world, insert), "");
    // 7.5: locks are not replicated.
    assert_text(world_get(&world, META, "//tmp/t/@tablets/0/flushed_row_count"), "1");
    world_release(&world);
}

Test(lock_rows, are_refused_with_reasons)
{
    struct machine_world world;
    make(&world);
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/o\";attributes={dynamic=%true;schema=[{name=v;type=int64}]}}",
        NULL);
    world_do(&world, META, "mount_table", "{path=\"//tmp/o\"}", NULL);
    const struct {
        const char *command;
        const char *parameters;
        const char *rows;
        int code;
        const char *text;
    } cases[] = {
        {"lock_rows",
         "{path=\"//tmp/o\"}",
         "{v=1}",
         1716,
         "Cannot perform lock in a non-sorted table //tmp/o"},
        {"lock_rows", "{path=\"//tmp/t\";locks=[x]}", "{k=1}", 1, "No lock \"x\" in table //tmp/t"},
        {"lock_rows", "{path=\"//tmp/t\";locks=a}", "{k=1}", 1, "must be a list"},
        {"lock_rows", "{path=\"//tmp/t\";locks=[1]}", "{k=1}", 1, "names of locks"},
        {"lock_rows", "{path=\"//tmp/t\";lock_type=shared_write}", "{k=1}", 1, "are not offered"},
        {"lock_rows", T, "{k=1;a=1}", 1, "Non-key column a in a key"},
        {"lock_rows", T, "{k=x}", 307, "Invalid type"},
        {"lock_rows", "{path=\"//tmp/x\"}", "{k=1}", 500, "//tmp/x"},
        {"insert_rows", "{path=\"//tmp/t\";lock_type=shared_write}", "{k=1}", 1, "are not offered"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(
            &world,
            META,
            cases[i].command,
            cases[i].parameters,
            cases[i].rows,
            cases[i].code,
            cases[i].text);
    }
    world_do(&world, META, "insert_rows", "{path=\"//tmp/t\";lock_type=exclusive}", "{k=1}");
    world_do(&world, META, "freeze_table", T, NULL);
    assert_refused(&world, META, "lock_rows", T, "{k=1}", 1702, "\"frozen\"");
    world_release(&world);
}
