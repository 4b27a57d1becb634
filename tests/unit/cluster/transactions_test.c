// Tablet transactions: isolation, conflicts, life, retries.
#include "machine_world.h"

TestSuite(transactions, .fini = abort_on_leaks);

#define T "{path=\"//tmp/t\"}"

static void start(struct machine_world *world)
{
    world_init(world, 1);
    world_do(
        world,
        META,
        "create",
        "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}",
        NULL);
    world_do(world, META, "mount_table", T, NULL);
}

static const char *begin(struct machine_world *world)
{
    const char *quoted = world_do(world, META, "start_transaction", "{type=tablet}", NULL);
    return world_text(world, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
}

static const char *in(struct machine_world *world, const char *id, const char *more)
{
    return world_text(world, "{transaction_id=\"%s\";path=\"//tmp/t\";%s}", id, more);
}

static const char *look(struct machine_world *world, const char *keys)
{
    return world_do(
        world, META, "lookup_rows", "{path=\"//tmp/t\";column_names=[key;value;sum]}", keys);
}

Test(transactions, show_what_they_wrote_when_committed_and_not_before)
{
    struct machine_world world;
    start(&world);
    const char *id = begin(&world);
    world_do(&world, META, "insert_rows", in(&world, id, ""), "{key=1;value=a}");
    world_do(&world, META, "insert_rows", in(&world, id, ""), "{key=2;value=b}");
    assert_text(look(&world, "{key=1};{key=2}"), "");
    world_do(&world, META, "commit_transaction", in(&world, id, ""), NULL);
    assert_text(
        look(&world, "{key=1};{key=2}"),
        "{\"key\"=1;\"value\"=\"a\";\"sum\"=#;};\n{\"key\"=2;\"value\"=\"b\";\"sum\"=#;};\n");
    world_release(&world);
}

Test(transactions, that_are_aborted_leave_nothing)
{
    struct machine_world world;
    start(&world);
    const char *id = begin(&world);
    world_do(&world, META, "insert_rows", in(&world, id, ""), "{key=1;value=a}");
    world_do(&world, META, "abort_transaction", in(&world, id, ""), NULL);
    assert_refused(
        &world, META, "commit_transaction", in(&world, id, ""), NULL, 11000, "No such transaction");
    assert_text(look(&world, "{key=1}"), "");
    world_release(&world);
}

// What the changes of one transaction to one row come to, on a row {value=z;sum=100} and on none.
Test(transactions, merge_their_changes_of_a_row_in_order)
{
    const struct {
        const char *changes[4][2]; // insert, update, aggregate, delete; the row.
        const char *on_row;
        const char *on_nothing;
    } cases[] = {
        {{{"insert", "{key=1;value=a}"}, {"update", "{key=1;sum=5}"}},
         "\"value\"=\"a\";\"sum\"=5;",
         "\"value\"=\"a\";\"sum\"=5;"},
        {{{"update", "{key=1;sum=5}"}, {"insert", "{key=1;value=a}"}},
         "\"value\"=\"a\";\"sum\"=#;",
         "\"value\"=\"a\";\"sum\"=#;"},
        {{{"update", "{key=1;value=a}"}, {"update", "{key=1;value=b}"}},
         "\"value\"=\"b\";\"sum\"=100;",
         "\"value\"=\"b\";\"sum\"=#;"},
        {{{"delete", "{key=1}"}, {"update", "{key=1;value=a}"}},
         "\"value\"=\"a\";\"sum\"=#;",
         "\"value\"=\"a\";\"sum\"=#;"},
        {{{"insert", "{key=1;value=a}"}, {"delete", "{key=1}"}}, NULL, NULL},
        {{{"aggregate", "{key=1;sum=5}"}, {"aggregate", "{key=1;sum=3}"}},
         "\"value\"=\"z\";\"sum\"=108;",
         "\"value\"=#;\"sum\"=8;"},
        {{{"insert", "{key=1;sum=10}"}, {"aggregate", "{key=1;sum=5}"}},
         "\"value\"=#;\"sum\"=15;",
         "\"value\"=#;\"sum\"=15;"},
        {{{"aggregate", "{key=1;sum=5}"}, {"update", "{key=1;sum=3}"}},
         "\"value\"=\"z\";\"sum\"=3;",
         "\"value\"=#;\"sum\"=3;"},
        {{{"update", "{key=1;sum=3}"}, {"aggregate", "{key=1;sum=5}"}},
         "\"value\"=\"z\";\"sum\"=8;",
         "\"value\"=#;\"sum\"=8;"},
        {{{"delete", "{key=1}"}, {"aggregate", "{key=1;sum=5}"}, {"aggregate", "{key=1;sum=1}"}},
         "\"value\"=#;\"sum\"=6;",
         "\"value\"=#;\"sum\"=6;"},
        {{{"update", "{key=1;value=a}"}, {"aggregate", "{key=1;sum=5}"}},
         "\"value\"=\"a\";\"sum\"=105;",
         "\"value\"=\"a\";\"sum\"=5;"},
    };
    struct machine_world world;
    start(&world);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        bool has_row = i % 2 == 0;
        world_do(&world, META, "delete_rows", T, "{key=1}");
        if (has_row) world_do(&world, META, "insert_rows", T, "{key=1;value=z;sum=100}");
        const char *id = begin(&world);
        for (size_t j = 0; j < 4 && cases[i / 2].changes[j][0]; j++) {
            const char *kind = cases[i / 2].changes[j][0];
            const char *more = strcmp(kind, "update") == 0      ? "update=%true"
                               : strcmp(kind, "aggregate") == 0 ? "update=%true;aggregate=%true"
                                                                : "";
            const char *command = strcmp(kind, "delete") == 0 ? "delete_rows" : "insert_rows";
            world_do(&world, META, command, in(&world, id, more), cases[i / 2].changes[j][1]);
        }
        world_do(&world, META, "commit_transaction", in(&world, id, ""), NULL);
        const char *row = has_row ? cases[i / 2].on_row : cases[i / 2].on_nothing;
        const char *expected = row ? world_text(&world, "{\"key\"=1;%s};\n", row) : "";
        const char *found = look(&world, "{key=1}");
        cr_assert(eq(str, (char *)found, (char *)expected), "case %zu", i);
    }
    world_release(&world);
}

Test(transactions, do_not_make_rows_without_required_columns)
{
    struct machine_world world;
    world_init(&world, 1);
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;schema=[{name=key;type=int64;"
        "sort_order=ascending};{name=r;type=int64;required=%true};{name=value;type=string}]}}",
        NULL);
    world_do(&world, META, "mount_table", T, NULL);
    const char *missing = "Missing required column \"r\" in table schema";
    assert_refused(&world, META, "insert_rows", T, "{key=1}", 323, missing);
    assert_refused(&world, META, "insert_rows", T, "{key=1;r=#}", 307, "Required column \"r\"");
    // An update may meet no row, so it must have what a new one needs.
    const char *update = "{path=\"//tmp/t\";update=%true}";
    assert_refused(&world, META, "insert_rows", update, "{key=1;value=a}", 323, missing);
    assert_refused(
        &world, META, "insert_rows", update, "{key=1;r=#}", 307, "Required column \"r\"");
    const char *id = begin(&world);
    world_do(&world, META, "insert_rows", in(&world, id, ""), "{key=1;r=1;value=b}");
    world_do(&world, META, "delete_rows", in(&world, id, ""), "{key=1}");
    world_do(&world, META, "insert_rows", in(&world, id, "update=%true"), "{key=1;r=2}");
    world_do(&world, META, "commit_transaction", in(&world, id, ""), NULL);
    assert_text(
        world_do(&world, META, "lookup_rows", T, "{key=1}"), "{\"key\"=1;\"r\"=2;\"value\"=#;};\n");
    world_release(&world);
}

Test(transactions, conflict_with_what_was_committed_since_they_started)
{
    struct machine_world world;
    start(&world);
    const char *first = begin(&world);
    const char *second = begin(&world);
    world_do(&world, META, "insert_rows", in(&world, first, ""), "{key=1;value=a};{key=2}");
    world_do(&world, META, "insert_rows", in(&world, second, ""), "{key=2};{key=3;value=b}");
    world_do(&world, META, "commit_transaction", in(&world, first, ""), NULL);
    assert_refused(
        &world,
        META,
        "commit_transaction",
        in(&world, second, ""),
        NULL,
        1700,
        "Row lock conflict due to concurrent write");
    const struct error *cause = error_inner(error_find(world.error, 1700));
    const char *winner = error_attribute(cause, "winner_transaction_commit_timestamp");
    cr_assert(ne(ptr, (void *)winner, NULL));
    assert_text(look(&world, "{key=3}"), "");
    assert_refused( // It is over.
        &world,
        META,
        "commit_transaction",
        in(&world, second, ""),
        NULL,
        11000,
        "No such");
    world_release(&world);
}

Test(transactions, on_different_rows_do_not_conflict)
{
    struct machine_world world;
    start(&world);
    const char *first = begin(&world);
    const char *second = begin(&world);
    world_do(&world, META, "insert_rows", in(&world, first, ""), "{key=1}");
    world_do(&world, META, "delete_rows", in(&world, second, ""), "{key=2}");
    world_do(&world, META, "commit_transaction", in(&world, first, ""), NULL);
    world_do(&world, META, "commit_transaction", in(&world, second, ""), NULL);
    world_release(&world);
}

Test(transactions, that_are_older_than_what_is_remembered_are_refused)
{
    struct machine_world world;
    start(&world);
    const char *id = begin(&world);
    world_do(&world, META, "insert_rows", in(&world, id, ""), "{key=1000}");
    for (int i = 0; i < 101; i++) { // The world remembers 100.
        world_do(&world, META, "insert_rows", T, world_text(&world, "{key=%d}", i));
    }
    assert_refused(
        &world, META, "commit_transaction", in(&world, id, ""), NULL, 1700, "Begin it again");
    world_release(&world);
}

Test(transactions, expire_unless_they_are_pinged)
{
    struct machine_world world;
    start(&world);
    const char *quoted =
        world_do(&world, META, "start_transaction", "{type=tablet;timeout=1000}", NULL);
    const char *pinged = world_text(&world, "{transaction_id=%s}", quoted);
    quoted = world_do(&world, META, "start_transaction", "{type=tablet;timeout=1000}", NULL);
    const char *silent = world_text(&world, "{transaction_id=%s}", quoted);
    for (int i = 0; i < 4; i++) {
        world_run(&world, SECOND / 2);
        world_do(&world, META, "ping_transaction", pinged, NULL);
    }
    assert_refused(&world, META, "ping_transaction", silent, NULL, 11000, "No such transaction");
    world_do(&world, META, "commit_transaction", pinged, NULL);
    world_release(&world);
}

Test(transactions, may_last_as_long_as_a_number_can_say)
{
    struct machine_world world;
    start(&world);
    const char *quoted = world_do(
        &world, META, "start_transaction", "{type=tablet;timeout=18446744073709551615u}", NULL);
    world_run(&world, 60 * SECOND);
    world_do(
        &world,
        META,
        "commit_transaction",
        world_text(&world, "{transaction_id=%s}", quoted),
        NULL);
    world_release(&world);
}

Test(transactions, unknown_ones_are_refused)
{
    struct machine_world world;
    start(&world);
    const char *commands[] = {
        "commit_transaction",
        "abort_transaction",
        "ping_transaction",
        "insert_rows",
        "delete_rows"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        assert_refused(
            &world,
            META,
            commands[i],
            in(&world, "1-2-3-4", ""),
            "{key=1}",
            11000,
            "No such transaction 1-2-3-4");
    }
    assert_refused(
        &world, META, "commit_transaction", "{}", NULL, 1, "\"transaction_id\" is missing");
    assert_refused(
        &world, META, "start_transaction", "{type=cow}", NULL, 1, "Unknown transaction type");
    world_release(&world);
}

Test(transactions, refuse_bad_rows_at_once_and_go_on)
{
    struct machine_world world;
    start(&world);
    const char *id = begin(&world);
    assert_refused(
        &world, META, "insert_rows", in(&world, id, ""), "{key=1};{key=a}", 307, "Invalid type");
    world_do(&world, META, "insert_rows", in(&world, id, ""), "{key=2}");
    world_do(&world, META, "commit_transaction", in(&world, id, ""), NULL);
    assert_text(look(&world, "{key=1};{key=2}"), "{\"key\"=2;\"value\"=#;\"sum\"=#;};\n");
    world_release(&world);
}

Test(transactions, committed_twice_by_one_id_are_committed_once)
{
    struct machine_world world;
    start(&world);
    const char *id = begin(&world);
    const char *more = "update=%true;aggregate=%true";
    world_do(&world, META, "insert_rows", in(&world, id, more), "{key=1;sum=5}");
    for (int i = 0; i < 3; i++) {
        world_do(&world, META, "commit_transaction", in(&world, id, ""), NULL);
        assert_text(look(&world, "{key=1}"), "{\"key\"=1;\"value\"=#;\"sum\"=5;};\n");
        if (i == 1) world_restart(&world, META);
    }
    world_release(&world);
}

Test(transactions, repeated_writes_with_one_mutation_id_count_once)
{
    struct machine_world world;
    start(&world);
    const char *parameters =
        "{path=\"//tmp/t\";mutation_id=\"5-6-7-8\";update=%true;aggregate=%true}";
    for (int i = 0; i < 3; i++) {
        world_do(&world, META, "insert_rows", parameters, "{key=1;sum=5}");
        assert_text(look(&world, "{key=1}"), "{\"key\"=1;\"value\"=#;\"sum\"=5;};\n");
        if (i == 1) world_restart(&world, META);
    }
    world_release(&world);
}

Test(transactions, empty_ones_are_committed)
{
    struct machine_world world;
    start(&world);
    const char *id = begin(&world);
    world_do(&world, META, "commit_transaction", in(&world, id, ""), NULL);
    world_do(&world, META, "insert_rows", T, "");
    world_release(&world);
}

Test(transactions, are_limited_in_number)
{
    struct machine_world world;
    start(&world);
    struct machine *machine = world.nodes[META].machine;
    for (int i = 0; i < TRANSACTION_COUNT_MAX; i++) {
        machine_request(machine, request_new(REQUEST_START_TRANSACTION));
    }
    assert_refused(
        &world,
        META,
        "start_transaction",
        "{type=tablet}",
        NULL,
        1725,
        "Too many open transactions");
    world_release(&world);
}

Test(transactions, timestamps_grow)
{
    struct machine_world world;
    start(&world);
    uint64_t last = 0;
    for (int i = 0; i < 5; i++) {
        const char *text = world_do(&world, META, "generate_timestamp", "{}", NULL);
        uint64_t timestamp = strtoull(text, NULL, 10);
        cr_assert(lt(u64, last, timestamp));
        last = timestamp;
        if (i % 2) world_restart(&world, META);
    }
    world_release(&world);
}
