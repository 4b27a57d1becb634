// Runs the program against a server that sends commands back: what the words become, and what is
// printed.

#include "base/buffer.h"
#include "tests/test.h"
#include "tests/unit/client/fake_server.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t server;
static const char *address;

static void init_world(void)
{
    server = fake_server_start(&address);
    setenv("YT_PROXY", address, 1);
}

static void release_world(void)
{
    fake_server_stop(server);
    abort_on_leaks();
}

TestSuite(cli, .init = init_world, .fini = release_world, .timeout = 60);

// Runs a shell command, in which `yt` is the program; what it prints, errors too, is in `output`.
static int run(const char *command, struct buffer *output)
{
    CLEANUP(buffer_releasep) struct buffer line = {0};
    buffer_print(&line, "yt() { %s \"$@\"; }; exec 2>&1; %s", getenv("RETABLE"), command);
    buffer_append_byte(&line, 0);
    FILE *stream = popen(line.data, "re"); // NOLINT(cert-env33-c): what users do.
    char piece[4096];
    for (size_t size; (size = fread(piece, 1, sizeof piece, stream)) > 0;)
        buffer_append(output, piece, size);
    int status = pclose(stream);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void assert_run(const char *command, int expected_code, const char *expected_output)
{
    CLEANUP(buffer_releasep) struct buffer output = {0};
    int code = run(command, &output);
    buffer_append_byte(&output, 0);
    assert_text(output.data, expected_output);
    cr_assert(eq(int, code, expected_code), "%s", command);
}

// Error texts follow: hints, code.
static void assert_prints(const char *command, int expected_code, const char *expected_beginning)
{
    CLEANUP(buffer_releasep) struct buffer output = {0};
    int code = run(command, &output);
    struct slice beginning = slice_from_text(expected_beginning);
    bool is_right = slice_has_prefix(buffer_slice(&output), beginning);
    cr_assert(is_right, "%s\n%.*s", command, SLICE(buffer_slice(&output)));
    cr_assert(eq(int, code, expected_code), "%s", command);
}

Test(cli, makes_parameters_of_words)
{
    assert_run(
        "yt create replicated_table //tmp/t --attr '{dynamic=%true}' -ri",
        0,
        "create {\"output_format\"=<\"format\"=\"text\";>\"yson\";\"type\"=\"replicated_table\";"
        "\"path\"=\"//tmp/t\";\"attributes\"={\"dynamic\"=%true;};\"recursive\"=%true;"
        "\"ignore_existing\"=%true;} \n");
    assert_prints(
        "yt create table_replica --attributes '{}' --path //echo",
        1,
        "create {\"output_format\"=<\"format\"=\"text\";>\"yson\";\"type\"=\"table_replica\";"
        "\"attributes\"={};\"path\"=\"//echo\";} \n");
    assert_prints(
        "yt mount_table //echo --first-tablet-index 1 --last_tablet_index=2 --freeze --tx 1-2-3-4",
        1,
        "mount_table {\"path\"=\"//echo\";\"first_tablet_index\"=1;\"last_tablet_index\"=2;"
        "\"freeze\"=%true;\"transaction_id\"=\"1-2-3-4\";} \n");
    assert_prints(
        "yt reshard-table //echo '[]' '[10;a]' [20]",
        1,
        "reshard_table {\"path\"=\"//echo\";\"pivot_keys\"=[[];[10;\"a\";];[20;];];} \n");
    assert_prints(
        "yt alter-table //echo --schema '[{name=k}]' --dyn --upstream 1-2-3-4",
        1,
        "alter_table {\"path\"=\"//echo\";\"schema\"=[{\"name\"=\"k\";};];\"dynamic\"=%true;"
        "\"upstream_replica_id\"=\"1-2-3-4\";} \n");
    assert_prints(
        "yt get-tablet-infos //echo --tablet-indexes 0 1 2 --format json",
        1,
        "get_tablet_infos {\"output_format\"=\"json\";\"path\"=\"//echo\";"
        "\"tablet_indexes\"=[0;1;2;];} \n");
    assert_prints(
        "yt trim-rows //echo 0 18446744073709551615",
        1,
        "trim_rows {\"path\"=\"//echo\";\"tablet_index\"=0;"
        "\"trimmed_row_count\"=18446744073709551615u;} \n");
    assert_run(
        "yt select-rows '* from [//t]' --format json",
        0,
        "select_rows {\"output_format\"=\"json\";\"query\"=\"* from [//t]\";} \n");
    assert_run(
        "yt select-rows '* from [//t]' --format json --placeholder-values '{a=1}' "
        "--print-statistics --allow-incomplete-result --forbid-full-scan "
        "--allow-join-without-index --range-expansion-limit 5 --memory-limit 9",
        0,
        "select_rows {\"output_format\"=\"json\";\"query\"=\"* from [//t]\";"
        "\"placeholder_values\"={\"a\"=1;};\"enable_statistics\"=%true;"
        "\"fail_on_incomplete_result\"=%false;\"allow_full_scan\"=%false;"
        "\"allow_join_without_index\"=%true;\"range_expansion_limit\"=5;"
        "\"memory_limit_per_node\"=9;} \n");
}

Test(cli, sends_standard_input)
{
    assert_prints(
        "echo '{k=1;v=100}' | yt insert-rows //echo --format '<format=text>yson' "
        "--no-require-sync-replica --update",
        1,
        "insert_rows {\"input_format\"=<\"format\"=\"text\";>\"yson\";\"path\"=\"//echo\";"
        "\"require_sync_replica\"=%false;\"update\"=%true;} {k=1;v=100}\n\n");
    assert_run(
        "echo '{k=1}' | yt lookup-rows //t --format json --column-name a --column_name b",
        0,
        "lookup_rows {\"input_format\"=\"json\";\"output_format\"=\"json\";\"path\"=\"//t\";"
        "\"column_names\"=[\"a\";\"b\";];} {k=1}\n\n");
    assert_prints(
        "yt set //echo '{a=1}'", 1, "set {\"input_format\"=\"yson\";\"path\"=\"//echo\";} {a=1}\n");
    assert_prints(
        "printf '[1]' | yt set //echo --format json",
        1,
        "set {\"input_format\"=\"json\";\"path\"=\"//echo\";} [1]\n");
}

Test(cli, prints_answers_as_people_want_them)
{
    assert_run("yt get '=<a=1>[b]'", 0, "<\n    \"a\" = 1;\n> [\n    \"b\";\n]\n");
    assert_run("yt list //tmp", 0, "a\nb\n");
    assert_run("yt list //tmp --format json", 0, "[\n    \"b\";\n    \"a\";\n]\n");
    assert_run("yt remove //tmp", 0, "");
    assert_run(
        "yt generate-timestamp",
        0,
        "generate_timestamp {\"output_format\"=<\"format\"=\"text\";>\"yson\";} \n");
}

Test(cli, calls_transactions_as_the_server_does)
{
    assert_run(
        "yt start-tx --timeout 1000",
        0,
        "start_transaction "
        "{\"type\"=\"tablet\";\"sticky\"=%true;\"output_format\"=<\"format\"=\"text\";"
        ">\"yson\";\"timeout\"=1000;} \n");
    assert_run("yt commit-tx 1-2-3-4", 0, "");
}

Test(cli, prints_tables_to_operators)
{
    assert_run(
        "yt tracker status",
        0,
        "path    cluster_name  mode   in_sync  replication_lag_time\n"
        "//home  first         sync   yes      0\n"
        "//home  second        async  no       1200\n");
    assert_run("yt status --format json", 0, "get_tracker_status {\"output_format\"=\"json\";} \n");
    assert_prints("yt tracker", 2, "No such command: tracker\n");
    assert_prints("yt tracker statuss", 2, "No such command: tracker\n");
    assert_prints("yt switchover //t --to x --to", 2, "Option --to needs a value\n");
    assert_run("yt tracker pause", 0, "");
}

Test(cli, waits_for_tablets)
{
    assert_run("yt mount-table //t --sync", 0, "");
}

Test(cli, tells_what_failed_and_what_to_do)
{
    assert_run(
        "yt get //refuse",
        1,
        "Node // has no child \"refuse\"\n"
        "    code            500\n"
        "    in the course of\n"
        "        Error resolving path //refuse [code 1]\n"
        "            Node // has no child \"refuse\"\n");
    assert_prints(
        "yt --proxy 127.0.0.1:1 get //t",
        3,
        "Cannot connect to 127.0.0.1:1\n"
        "Check that the cluster runs and that --proxy or YT_PROXY names it\n"
        "    code            105\n");
}

Test(cli, refuses_wrong_usage)
{
    assert_prints("yt", 2, "No command is given\nUsage: retable ");
    assert_prints("yt gett", 2, "No such command: gett\n");
    assert_prints("yt get", 2, "Argument path is missing\nUsage: retable get PATH [OPTION...]\n");
    assert_prints("yt get //t //u", 2, "Unexpected argument: //u\n");
    assert_prints("yt get //t --form", 2, "Option --format needs a value\n");
    assert_prints(
        "yt mount-table //t --f 1", 2, "Option --f may be any of --first-tablet-index --freeze\n");
    assert_prints("yt get //t --nothing", 2, "No such option: --nothing\n");
    assert_prints("yt get //t -q", 2, "No such option: -q\n");
    assert_prints("yt trim-rows //t 1 x", 2, "Wrong value of --trimmed-row-count: x\n");
    assert_prints("yt create table //t --attr '{a=}'", 2, "Wrong value of --attributes: {a=}\n");
    assert_prints(
        "unset YT_PROXY; yt get //t", 2, "No cluster is given: use --proxy or set YT_PROXY\n");
}

Test(cli, finds_clusters_by_name)
{
    char path[] = "/tmp/cli_test.XXXXXX";
    int file = mkstemp(path);
    dprintf(file, "# clusters\n other 127.0.0.1:1\nmeta\t%s # here\n", address);
    close(file);
    setenv("RETABLE_CLUSTERS", path, 1);
    assert_run("YT_PROXY=meta yt remove //t", 0, "");
    assert_run("yt --proxy meta remove //t", 0, "");
    assert_prints("yt remove //t --proxy other", 3, "Cannot connect to 127.0.0.1:1\n");
    assert_prints("yt remove //t --proxy nowhere", 2, "Cluster nowhere is not known: ");
    unlink(path);
}

Test(cli, helps)
{
    assert_prints("yt --help", 0, "Usage: retable [--proxy NAME] COMMAND ...\n\nCommands ");
    assert_prints(
        "yt alter-table-replica --help",
        0,
        "Usage: retable alter-table-replica REPLICA_ID [OPTION...]\n\n"
        "Enable or disable a replica, change its mode.\n\n"
        "  REPLICA_ID                      the id of the table_replica\n"
        "  --enable                        start replication\n");
    // Every command has help.
    assert_run(
        "for c in $(yt --help | sed -n 's/^  \\([a-z-]*\\)  .*/\\1/p'); do "
        "yt $c --help >/dev/null || echo $c; done",
        0,
        "");
}
