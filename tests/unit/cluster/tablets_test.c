// mount … remount, reshard, alter_table: transitions, conditions, refusals.
#include "machine_world.h"

TestSuite(tablets, .fini = abort_on_leaks);

#define SORTED  "schema=[{name=k;type=int64;sort_order=ascending};{name=v;type=string}]"
#define ORDERED "schema=[{name=v;type=string}]"

static void make(struct machine_world *world, const char *type, const char *path, const char *more)
{
    const char *parameters =
        world_text(world, "{type=%s;path=\"%s\";attributes={dynamic=%%true;%s}}", type, path, more);
    world_do(world, META, "create", parameters, NULL);
}

static const char *state_of(struct machine_world *world)
{
    return world_get(world, META, "//tmp/t/@actual_tablet_state");
}

Test(tablets, go_through_their_life)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "table", "//tmp/t", SORTED);
    const char *steps[][3] = {
        {"mount_table", "{path=\"//tmp/t\"}", "mounted"},
        {"freeze_table", "{path=\"//tmp/t\"}", "frozen"},
        {"unfreeze_table", "{path=\"//tmp/t\"}", "mounted"},
        {"remount_table", "{path=\"//tmp/t\"}", "mounted"},
        {"unmount_table", "{path=\"//tmp/t\"}", "unmounted"},
        {"remount_table", "{path=\"//tmp/t\"}", "unmounted"},
        {"mount_table", "{path=\"//tmp/t\";freeze=%true}", "frozen"},
        {"unmount_table", "{path=\"//tmp/t\"}", "unmounted"},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        world_do(&world, META, steps[i][0], steps[i][1], NULL);
        assert_text(state_of(&world), steps[i][2]);
    }
    world_release(&world);
}

// Behaviour 3.1. For each command: where it leads from each state, NULL where it is refused.
static const struct {
    const char *command;
    const char *parameters;
    const char *verb;
    const char *to[TABLET_FROZEN_MOUNTING + 1];
} TRANSITIONS[] = {
    {"mount_table",
     "{path=\"//tmp/t\"}",
     "mount",
     {[TABLET_UNMOUNTED] = "mounted",
      [TABLET_MOUNTED] = "mounted",
      [TABLET_MOUNTING] = "mounting",
      [TABLET_UNFREEZING] = "unfreezing"}},
    {"mount_table",
     "{path=\"//tmp/t\";freeze=%true}",
     "mount",
     {[TABLET_UNMOUNTED] = "frozen",
      [TABLET_FROZEN] = "frozen",
      [TABLET_FREEZING] = "frozen",
      [TABLET_FROZEN_MOUNTING] = "frozen_mounting"}},
    {"unmount_table",
     "{path=\"//tmp/t\"}",
     "unmount",
     {[TABLET_MOUNTED] = "unmounted",
      [TABLET_FROZEN] = "unmounted",
      [TABLET_UNMOUNTED] = "unmounted",
      [TABLET_UNMOUNTING] = "unmounted"}},
    {"freeze_table",
     "{path=\"//tmp/t\"}",
     "freeze",
     {[TABLET_MOUNTED] = "frozen",
      [TABLET_FROZEN] = "frozen",
      [TABLET_FREEZING] = "frozen",
      [TABLET_FROZEN_MOUNTING] = "frozen_mounting"}},
    {"unfreeze_table",
     "{path=\"//tmp/t\"}",
     "unfreeze",
     {[TABLET_FROZEN] = "mounted",
      [TABLET_MOUNTED] = "mounted",
      [TABLET_UNFREEZING] = "unfreezing"}},
};

Test(tablets, move_from_state_to_state_as_the_table_of_transitions_says)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "table", "//tmp/t", SORTED);
    struct tablet *tablet = &world_table(&world, META, "//tmp/t")->tablets[0];
    for (size_t i = 0; i < sizeof TRANSITIONS / sizeof *TRANSITIONS; i++) {
        for (int state = TABLET_MOUNTING; state <= TABLET_FROZEN_MOUNTING; state++) {
            const char *to = TRANSITIONS[i].to[state];
            tablet->state = (enum tablet_state)state;
            const char *name = tablet_state_name(tablet->state);
            const char *command = TRANSITIONS[i].command;
            const char *parameters = TRANSITIONS[i].parameters;
            if (to) {
                world_do(&world, META, command, parameters, NULL);
                const char *found = state_of(&world);
                cr_assert(eq(str, (char *)found, (char *)to), "%s in %s", command, name);
                continue;
            }
            assert_refused(
                &world,
                META,
                command,
                parameters,
                NULL,
                1706,
                world_text(
                    &world,
                    "Cannot %s tablet %s in \"%s\" state",
                    TRANSITIONS[i].verb,
                    GUID_TEXT(tablet->id),
                    name));
        }
    }
    tablet->state = TABLET_UNMOUNTED;
    world_release(&world);
}

Test(tablets, are_moved_by_ranges_all_or_none)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "table", "//tmp/t", "tablet_count=3;" ORDERED);
    const char *middle = "{path=\"//tmp/t\";first_tablet_index=1;last_tablet_index=1}";
    world_do(&world, META, "mount_table", middle, NULL);
    assert_text(state_of(&world), "mixed");
    assert_text(world_get(&world, META, "//tmp/t/@tablet_count_by_state/mounted"), "1");
    assert_refused(&world, META, "freeze_table", "{path=\"//tmp/t\"}", NULL, 1706, "Cannot freeze");
    world_do(&world, META, "freeze_table", middle, NULL);
    assert_text(world_get(&world, META, "//tmp/t/@tablets/1/state"), "frozen");
    const char *wrong[] = {
        "{path=\"//tmp/t\";first_tablet_index=2;last_tablet_index=1}",
        "{path=\"//tmp/t\";first_tablet_index=0;last_tablet_index=3}",
        "{path=\"//tmp/t\";first_tablet_index=3}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_refused(&world, META, "mount_table", wrong[i], NULL, 1, "Invalid tablet range");
    }
    world_release(&world);
}

Test(tablets, that_have_undecided_transactions_leave_when_these_are_decided)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    const char *parameters = "{path=\"//tmp/t\"}";
    world.is_link_held = true;
    struct request *insert = world_begin(&world, META, "insert_rows", parameters, "{key=1}");
    world_do(&world, META, "freeze_table", parameters, NULL);
    assert_text(state_of(&world), "freezing");
    assert_text(world_get(&world, META, "//tmp/t/@tablet_state"), "transient");
    assert_text(world_get(&world, META, "//tmp/t/@expected_tablet_state"), "frozen");
    assert_text(world_get(&world, META, "//tmp/t/@tablet_count_by_state/freezing"), "1");
    assert_text(world_get(&world, META, "//tmp/t/@tablet_count_by_expected_state/frozen"), "1");
    assert_text(world_get(&world, META, "//tmp/t/@tablet_count_by_expected_state/freezing"), "0");
    assert_refused(&world, META, "unmount_table", parameters, NULL, 1706, "\"freezing\"");
    assert_refused(
        &world, META, "insert_rows", parameters, "{key=2}", 1702, "is in \"freezing\" state");
    assert_refused(&world, META, "remove", parameters, NULL, 1, "undecided");
    world.is_link_held = false;
    assert_text(world_finish(&world, insert), "");
    world_run(&world, SECOND);
    assert_text(state_of(&world), "frozen");
    assert_text(world_get(&world, META, "//tmp/t/@tablet_state"), "frozen");
    world_release(&world);
}

// While they are on their way the command that sent them has an id, and what needs tablets at rest
// is refused. The command itself is one step: nothing is ever locked by it.
Test(tablets, in_transition_say_which_command_sent_them)
{
    static const char *const LAST = "//tmp/t/@last_mount_transaction_id";
    static const struct {
        const char *command;
        const char *parameters;
        const char *input;
        const char *text;
    } REFUSED[] = {
        {"alter_table",
         "{path=\"//tmp/t\";schema=" WORLD_SCHEMA "}",
         NULL,
         "Cannot change table schema"},
        {"set", "{path=\"//tmp/t/@tablet_cell_bundle\"}", "default", "Cannot change tablet cell"},
        {"copy",
         "{source_path=\"//tmp/t\";destination_path=\"//tmp/u\"}",
         NULL,
         "Cannot copy dynamic table"},
    };
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    const char *parameters = "{path=\"//tmp/t\"}";
    const char *get_last = world_text(&world, "{path=\"%s\"}", LAST);
    const char *get_current = "{path=\"//tmp/t/@current_mount_transaction_id\"}";
    const char *get_all = "{path=\"//tmp/t/@\"}";
    assert_refused(&world, META, "get", get_last, NULL, 500, "last_mount_transaction_id");
    world.is_link_held = true;
    world_begin(&world, META, "insert_rows", parameters, "{key=1}");
    world_do(&world, META, "freeze_table", parameters, NULL);
    assert_text(state_of(&world), "freezing");
    const char *first = world_get(&world, META, LAST);
    world_do(&world, META, "freeze_table", parameters, NULL); // Changes nothing.
    assert_text(world_get(&world, META, LAST), first);
    assert_refused(&world, META, "get", get_current, NULL, 500, "current_mount_transaction_id");
    const char *all = world_do(&world, META, "get", get_all, NULL);
    cr_assert(strstr(all, first) != NULL);
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        assert_refused(
            &world,
            META,
            REFUSED[i].command,
            REFUSED[i].parameters,
            REFUSED[i].input,
            1706,
            "since some tablets are in transient state");
        cr_assert(error_says(world.error, 1706, REFUSED[i].text));
        const struct error *error = error_find(world.error, ERROR_INVALID_TABLET_STATE);
        assert_text(error_attribute(error, "last_mount_transaction_id"), first);
    }
    world_do(&world, META, "unmount_table", "{path=\"//tmp/t\";force=%true}", NULL);
    const char *second = world_get(&world, META, LAST);
    cr_assert(strcmp(second, first) != 0);
    world_restart(&world, META);
    assert_text(GUID_TEXT(world_table(&world, META, "//tmp/t")->mount_id), second);
    world.is_link_held = false;
    world_wait(&world, META, "//tmp/t/@tablet_state", "unmounted");
    assert_refused(&world, META, "get", get_last, NULL, 500, "last_mount_transaction_id");
    world_release(&world);
}

// unmount --force goes from any state, and loses nothing for all that.
Test(tablets, are_unmounted_by_force_from_any_state_when_nothing_is_undecided)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    const char *parameters = "{path=\"//tmp/t\"}";
    const char *forced = "{path=\"//tmp/t\";force=%true}";
    world.is_link_held = true;
    struct request *insert = world_begin(&world, META, "insert_rows", parameters, "{key=1}");
    world_do(&world, META, "freeze_table", parameters, NULL);
    world_do(&world, META, "unmount_table", forced, NULL);
    assert_text(state_of(&world), "unmounting");
    assert_text(world_get(&world, META, "//tmp/t/@expected_tablet_state"), "unmounted");
    world.is_link_held = false;
    assert_text(world_finish(&world, insert), "");
    world_wait(&world, META, "//tmp/t/@tablet_state", "unmounted");
    struct table *table = world_table(&world, META, "//tmp/t");
    for (int state = TABLET_MOUNTING; state <= TABLET_FROZEN_MOUNTING; state++) {
        table->tablets[0].state = (enum tablet_state)state;
        world_do(&world, META, "unmount_table", forced, NULL);
        assert_text(state_of(&world), "unmounted");
    }
    world_do(&world, META, "mount_table", parameters, NULL);
    const char *rows =
        world_do(&world, META, "select_rows", "{query=\"key from [//tmp/t]\"}", NULL);
    assert_text(rows, "{\"key\"=1;};\n");
    world_release(&world);
}

Test(tablets, that_were_leaving_at_a_crash_have_left_afterwards)
{
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world.is_link_held = true;
    world_begin(&world, META, "insert_rows", "{path=\"//tmp/t\"}", "{key=1}");
    world_do(&world, META, "freeze_table", "{path=\"//tmp/t\"}", NULL);
    assert_text(state_of(&world), "freezing");
    world_restart(&world, META);
    assert_text(state_of(&world), "frozen");
    world.is_link_held = false;
    world_release(&world);
}

Test(tablets, know_when_they_were_mounted)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "table", "//tmp/t", SORTED);
    const char *table = "{path=\"//tmp/t\"}";
    const char *exists = "{path=\"//tmp/t/@tablets/0/mount_time\"}";
    assert_text(world_do(&world, META, "exists", exists, NULL), "%false");
    world_do(&world, META, "mount_table", table, NULL);
    const char *first = world_get(&world, META, "//tmp/t/@tablets/0/mount_time");
    const char *revision = world_get(&world, META, "//tmp/t/@tablets/0/mount_revision");
    world_run(&world, 5 * SECOND);
    const char *same[] = {"freeze_table", "unfreeze_table", "remount_table", "mount_table"};
    for (int i = 0; i < 4; i++) world_do(&world, META, same[i], table, NULL);
    world_restart(&world, META);
    assert_text(world_get(&world, META, "//tmp/t/@tablets/0/mount_time"), first);
    assert_text(world_get(&world, META, "//tmp/t/@tablets/0/mount_revision"), revision);
    world_do(&world, META, "unmount_table", table, NULL);
    assert_text(world_do(&world, META, "exists", exists, NULL), "%false");
    world_do(&world, META, "mount_table", "{path=\"//tmp/t\";freeze=%true}", NULL);
    const char *second = world_get(&world, META, "//tmp/t/@tablets/0/mount_time");
    cr_assert(strcmp(second, first) > 0, "%s %s", first, second);
    world_release(&world);
}

// Behaviour 2.6: options take effect with a mount or remount.
Test(tablets, take_their_options_when_they_are_mounted)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "replicated_table", "//tmp/t", "max_rows_per_replication_commit=7;" ORDERED);
    const char *config = "//tmp/t/@effective_mount_config";
    const char *row_count = world_text(&world, "%s/max_rows_per_replication_commit", config);
    assert_text(world_get(&world, META, row_count), "7");
    const char *ttl = world_text(&world, "%s/min_replication_log_ttl", config);
    world_do(&world, META, "mount_table", "{path=\"//tmp/t\"}", NULL);
    world_do(
        &world,
        META,
        "set",
        "{path=\"//tmp/t/@mount_config\"}",
        "{min_replication_log_ttl=5;replication_throttler={limit=500}}");
    assert_text(world_get(&world, META, ttl), "300000");
    world_do(&world, META, "remount_table", "{path=\"//tmp/t\"}", NULL);
    assert_text(world_get(&world, META, ttl), "5");
    const char *limit = world_text(&world, "%s/replication_throttler/limit", config);
    assert_text(world_get(&world, META, limit), "500");
    world_do(&world, META, "set", "{path=\"//tmp/t/@min_replication_log_ttl\"}", "6");
    world_do(&world, META, "remount_table", "{path=\"//tmp/t\"}", NULL);
    assert_text(world_get(&world, META, ttl), "6"); // Beside `mount_config` it wins.
    assert_text(world_get(&world, META, "//tmp/t/@commit_ordering"), "strong");
    world_release(&world);
}

// A cluster is one tablet cell, and what is mounted says which.
Test(tablets, are_mounted_at_the_cluster_s_cell)
{
    struct machine_world world;
    world_init(&world, 2);
    make(&world, "table", "//tmp/t", SORTED);
    const char *mount = "{path=\"//tmp/t\";cell_id=\"%s\"}";
    const char *cell = "//tmp/t/@tablets/0/cell_id";
    assert_refused(&world, META, "get", "{path=\"//tmp/t/@tablets/0/cell_id\"}", NULL, 500, "");
    world_do(&world, META, "mount_table", "{path=\"//tmp/t\"}", NULL);
    const char *id = world_get(&world, META, cell);
    world_do(&world, META, "unmount_table", "{path=\"//tmp/t\"}", NULL);
    world_do(&world, META, "mount_table", world_text(&world, mount, id), NULL);
    assert_text(world_get(&world, META, cell), id);
    world_do(&world, META, "unmount_table", "{path=\"//tmp/t\"}", NULL);
    world_do(&world, META, "mount_table", world_text(&world, mount, "0-0-0-0"), NULL);
    world_do(&world, META, "unmount_table", "{path=\"//tmp/t\"}", NULL);

    world_do(
        &world,
        REPLICA,
        "create",
        "{type=table;path=\"//tmp/t\";attributes={dynamic=%true;" SORTED "}}",
        NULL);
    world_do(&world, REPLICA, "mount_table", "{path=\"//tmp/t\"}", NULL);
    const char *others = world_get(&world, REPLICA, cell);
    const char *const WRONG[] = {others, "1-2-3-4"};
    for (size_t i = 0; i < 2; i++) {
        assert_refused(
            &world,
            META,
            "mount_table",
            world_text(&world, mount, WRONG[i]),
            NULL,
            500,
            world_text(&world, "No such tablet cell %s", WRONG[i]));
    }
    assert_text(world_get(&world, META, "//tmp/t/@tablet_state"), "unmounted");
    world_restart(&world, META);
    world_do(&world, META, "mount_table", world_text(&world, mount, id), NULL);
    assert_text(world_get(&world, META, cell), id);
    world_release(&world);
}

Test(tablets, belong_to_the_default_bundle)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "table", "//tmp/t", "tablet_cell_bundle=default;" SORTED);
    const char *bundle = "{path=\"//tmp/t/@tablet_cell_bundle\"}";
    assert_text(world_get(&world, META, "//tmp/t/@tablet_cell_bundle"), "default");
    world_do(&world, META, "set", bundle, "default");
    assert_refused(
        &world, META, "set", bundle, "other", 500, "No such tablet cell bundle \"other\"");
    assert_refused(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/u\";attributes={dynamic=%true;tablet_cell_bundle=other;" SORTED
        "}}",
        NULL,
        500,
        "No such tablet cell bundle \"other\"");
    world_do(&world, META, "mount_table", "{path=\"//tmp/t\"}", NULL);
    assert_refused(
        &world,
        META,
        "set",
        bundle,
        "default",
        1706,
        "Cannot change tablet cell bundle since not all tablets are unmounted");
    world_release(&world);
}

Test(tablets, keep_replicas_in_transition_from_an_unmount)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    struct table *table = world_table(&world, META, "//tmp/t");
    const enum replica_state states[] = {REPLICA_STATE_ENABLING, REPLICA_STATE_DISABLING};
    for (size_t i = 0; i < 2; i++) {
        // The core goes through these within a turn; here one of them lasts.
        world.is_link_held = true;
        table->tablets[0].undecided_count++;
        table->replicas[0]->state = states[i];
        const char *text = world_text(
            &world,
            "Cannot unmount tablet %s since replica %s is in \"%s\" state",
            GUID_TEXT(table->tablets[0].id),
            id,
            replica_state_name(states[i]));
        struct request *request =
            world_begin(&world, META, "unmount_table", "{path=\"//tmp/t\"}", NULL);
        world_finish(&world, request);
        cr_assert(error_says(world.error, 1706, text));
        table->tablets[0].undecided_count--;
        table->replicas[0]->state = REPLICA_STATE_ENABLED;
        world.is_link_held = false;
    }
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// reshard_table

Test(tablets, are_resharded_by_pivots_or_by_count)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "replicated_table", "//tmp/s", SORTED);
    make(&world, "table", "//tmp/o", ORDERED);
    world_do(&world, META, "reshard_table", "{path=\"//tmp/s\";pivot_keys=[[];[5];[7]]}", NULL);
    assert_text(world_get(&world, META, "//tmp/s/@pivot_keys"), "[[];[5;];[7;];]");
    world_do(&world, META, "reshard_table", "{path=\"//tmp/s\";pivot_keys=[[];[5];[7]]}", NULL);
    assert_text(world_get(&world, META, "//tmp/s/@tablet_state"), "unmounted");
    world_do(&world, META, "reshard_table", "{path=\"//tmp/o\";tablet_count=4}", NULL);
    assert_text(world_get(&world, META, "//tmp/o/@tablet_count"), "4");
    world_restart(&world, META);
    assert_text(world_get(&world, META, "//tmp/s/@pivot_keys"), "[[];[5;];[7;];]");
    assert_text(world_get(&world, META, "//tmp/o/@tablet_count"), "4");
    world_release(&world);
}

Test(tablets, are_not_resharded_wrongly)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "replicated_table", "//tmp/s", SORTED);
    make(&world, "replicated_table", "//tmp/m", SORTED);
    make(&world, "table", "//tmp/o", ORDERED);
    world_do(&world, META, "mount_table", "{path=\"//tmp/m\"}", NULL);
    const struct {
        const char *parameters;
        int code;
        const char *text;
    } cases[] = {
        {"{path=\"//tmp/s\";tablet_count=2}",
         1,
         "Pivot keys must be provided to reshard a replicated table"},
        {"{path=\"//tmp/s\"}", 1, "Pivot keys must be provided to reshard a replicated table"},
        {"{path=\"//tmp/s\";tablet_count=2;pivot_keys=[[];[1]]}", 1, "Cannot specify both"},
        {"{path=\"//tmp/s\";pivot_keys=[]}", 1, "Tablet count must be positive"},
        {"{path=\"//tmp/s\";pivot_keys=a}", 1, ""},
        {"{path=\"//tmp/s\";pivot_keys=[[];a]}", 1, "A pivot key must be a list"},
        {"{path=\"//tmp/s\";pivot_keys=[[];[1;2]]}", 1, "A pivot key must be a list"},
        {"{path=\"//tmp/s\";pivot_keys=[[];[2];[1]]}", 1, "Pivot keys must be strictly increasing"},
        {"{path=\"//tmp/s\";pivot_keys=[[];[1];[1]]}", 1, "Pivot keys must be strictly increasing"},
        {"{path=\"//tmp/s\";pivot_keys=[[1];[2]]}",
         1,
         "First pivot key must match that of the first tablet in the resharded range"},
        {"{path=\"//tmp/s\";pivot_keys=[[];[%true]]}", 307, "Invalid type: expected \"int64\""},
        {"{path=\"//tmp/o\";pivot_keys=[[]]}", 1, "Table is ordered; must provide tablet count"},
        {"{path=\"//tmp/o\";tablet_count=0}", 1, "Tablet count must be positive"},
        {"{path=\"//tmp/o\";tablet_count=2000}", 1, "Tablet count cannot exceed the limit of 1024"},
        {"{path=\"//tmp/o\";tablet_count=-1}", 1, ""},
        {"{path=\"//tmp/m\";pivot_keys=[[];[1]]}", 1706, "Cannot reshard table since tablet"},
        {"{path=\"//tmp/x\";pivot_keys=[[];[1]]}", 500, "Error resolving path"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(
            &world, META, "reshard_table", cases[i].parameters, NULL, cases[i].code, cases[i].text);
    }
    world_release(&world);
}

Test(tablets, of_a_replicated_table_that_has_ever_held_rows_are_not_resharded)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "replicated_table", "//tmp/s", SORTED);
    world_do(&world, META, "mount_table", "{path=\"//tmp/s\"}", NULL);
    world_do(&world, META, "insert_rows", "{path=\"//tmp/s\"}", "{k=1}");
    world_do(&world, META, "unmount_table", "{path=\"//tmp/s\"}", NULL);
    assert_refused(
        &world,
        META,
        "reshard_table",
        "{path=\"//tmp/s\";pivot_keys=[[];[1]]}",
        NULL,
        1,
        "Cannot reshard non-empty table of type \"replicated_table\"");
    world_release(&world);
}

Test(tablets, of_a_sorted_table_are_resharded_with_its_rows)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "table", "//tmp/t", SORTED);
    world_do(&world, META, "mount_table", "{path=\"//tmp/t\"}", NULL);
    world_do(&world, META, "insert_rows", "{path=\"//tmp/t\"}", "{k=1;v=a};{k=9;v=b}");
    world_do(&world, META, "unmount_table", "{path=\"//tmp/t\"}", NULL);
    world_do(&world, META, "reshard_table", "{path=\"//tmp/t\";pivot_keys=[[];[5]]}", NULL);
    world_do(&world, META, "mount_table", "{path=\"//tmp/t\"}", NULL);
    const char *rows = world_do(&world, META, "lookup_rows", "{path=\"//tmp/t\"}", "{k=1};{k=9}");
    assert_text(rows, "{\"k\"=1;\"v\"=\"a\";};\n{\"k\"=9;\"v\"=\"b\";};\n");
    world_release(&world);
}

Test(tablets, are_resharded_under_existing_replicas)
{
    struct machine_world world;
    world_init(&world, 2);
    const char *id = world_replicate(&world, "//tmp/t", "//tmp/r", "sync");
    world_do(&world, META, "unmount_table", "{path=\"//tmp/t\"}", NULL);
    world_do(&world, META, "reshard_table", "{path=\"//tmp/t\";pivot_keys=[[];[5];[9]]}", NULL);
    const char *tablets = world_text(&world, "#%s/@tablets/2/state", id);
    assert_text(world_get(&world, META, tablets), "none");
    world_do(&world, META, "mount_table", "{path=\"//tmp/t\"}", NULL);
    world_wait(&world, META, tablets, "enabled");
    world_release(&world);
}

// -------------------------------------------------------------------------------------------------
// alter_table

#define ALTER(schema) "{path=\"//tmp/t\";schema=" schema "}"
#define KEY           "{name=k;type=int64;sort_order=ascending}"

Test(tablets, schemas_are_altered_compatibly)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "replicated_table", "//tmp/t", SORTED);
    const char *schemas[] = {
        ALTER("[" KEY ";{name=n;type=any};{name=v;type=string}]"),
        ALTER("[" KEY ";{name=v;type=string};{name=n;type=any}]"),
        ALTER("[" KEY ";{name=k2;type=string;sort_order=ascending};{name=v;type=string};"
              "{name=n;type=any}]"),
    };
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        world_do(&world, META, "alter_table", schemas[i], NULL);
    }
    assert_text(world_get(&world, META, "//tmp/t/@key_columns"), "[\"k\";\"k2\";]");
    world_restart(&world, META);
    assert_text(world_get(&world, META, "//tmp/t/@schema/3/name"), "n");
    world_release(&world);
}

Test(tablets, schemas_are_not_altered_incompatibly)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "replicated_table", "//tmp/t", SORTED);
    const struct {
        const char *parameters;
        int code;
        const char *text;
    } cases[] = {
        {ALTER("[" KEY ";{name=v;type=int64}]"), 316, "Type mismatch for column"},
        {ALTER("[" KEY ";{name=w;type=string}]"), 316, "Cannot remove column"},
        {ALTER("[{name=k;type=int64};{name=v;type=string}]"), 316, ""},
        {ALTER("[{name=k0;type=int64;sort_order=ascending};" KEY ";{name=v;type=string}]"),
         316,
         "Cannot change position of a key column"},
        {ALTER("[" KEY ";{name=v;type=string};{name=n;type=int64;required=%true}]"),
         316,
         "Cannot insert a new required column"},
        {ALTER("[]"), 1, ""},
        {ALTER("5"), 1, ""},
        {"{path=\"//tmp/t\";dynamic=%false}",
         1,
         "Cannot switch mode from dynamic to static for table type \"replicated_table\""},
        {"{path=\"//tmp/t\";dynamic=%true}", 1, "Cannot alter table of type \"replicated_table\""},
        {"{path=\"//tmp/t\";upstream_replica_id=\"1-2-3-4\"}",
         1,
         "Upstream replica cannot be explicitly set for replicated tables"},
        {"{path=\"//tmp/t\";schema_modification=unversioned_update}",
         1,
         "Cannot alter table of type \"replicated_table\""},
        {"{path=\"//tmp/u\";schema_modification=unversioned_update}", 1, "are not offered"},
        {"{path=\"//tmp/x\";dynamic=%true}", 500, "Error resolving path"},
    };
    make(&world, "table", "//tmp/u", SORTED);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *outer = cases[i].code == 316 ? "Table schemas are incompatible" : cases[i].text;
        assert_refused(
            &world, META, "alter_table", cases[i].parameters, NULL, cases[i].code, outer);
        cr_assert(error_says(world.error, 0, cases[i].text), "%s", cases[i].text);
    }
    const char *parameters = ALTER("[" KEY ";{name=v;type=int64}]");
    assert_refused(
        &world, META, "alter_table", parameters, NULL, 316, "Table schemas are incompatible");
    world_do(&world, META, "mount_table", "{path=\"//tmp/t\"}", NULL);
    assert_refused(
        &world,
        META,
        "alter_table",
        ALTER("[" KEY ";{name=v;type=string};{name=n;type=int64}]"),
        NULL,
        1706,
        "Cannot change table schema since not all tablets are unmounted");
    world_release(&world);
}

Test(tablets, upstream_replica_ids_change_while_unmounted_only)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "table", "//tmp/t", SORTED);
    const char *bind = "{path=\"//tmp/t\";upstream_replica_id=\"1-2-3-4\"}";
    world_do(&world, META, "alter_table", bind, NULL);
    assert_text(world_get(&world, META, "//tmp/t/@upstream_replica_id"), "1-2-3-4");
    world_do(&world, META, "mount_table", "{path=\"//tmp/t\"}", NULL);
    assert_refused(
        &world,
        META,
        "insert_rows",
        "{path=\"//tmp/t\"}",
        "{k=1}",
        1,
        "Table is bound to upstream replica 1-2-3-4; direct modifications are forbidden");
    const char *unbind = "{path=\"//tmp/t\";upstream_replica_id=\"0-0-0-0\"}";
    assert_refused(
        &world,
        META,
        "alter_table",
        unbind,
        NULL,
        1706,
        "Cannot change upstream replica since not all tablets are unmounted");
    world_do(&world, META, "unmount_table", "{path=\"//tmp/t\"}", NULL);
    world_do(&world, META, "alter_table", unbind, NULL);
    world_do(&world, META, "mount_table", "{path=\"//tmp/t\"}", NULL);
    world_do(&world, META, "insert_rows", "{path=\"//tmp/t\"}", "{k=1}");
    world_release(&world);
}

Test(tablets, rows_written_before_an_alter_have_nulls_in_new_columns)
{
    struct machine_world world;
    world_init(&world, 1);
    make(&world, "table", "//tmp/t", SORTED);
    world_do(&world, META, "mount_table", "{path=\"//tmp/t\"}", NULL);
    world_do(&world, META, "insert_rows", "{path=\"//tmp/t\"}", "{k=1;v=a}");
    world_do(&world, META, "unmount_table", "{path=\"//tmp/t\"}", NULL);
    const char *parameters = ALTER("[" KEY ";{name=n;type=int64};{name=v;type=string}]");
    world_do(&world, META, "alter_table", parameters, NULL);
    world_do(&world, META, "mount_table", "{path=\"//tmp/t\"}", NULL);
    const char *rows = world_do(&world, META, "lookup_rows", "{path=\"//tmp/t\"}", "{k=1}");
    assert_text(rows, "{\"k\"=1;\"n\"=#;\"v\"=\"a\";};\n");
    world_release(&world);
}
