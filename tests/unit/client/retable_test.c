#include "client/retable.h"

#include "base/buffer.h"
#include "io/clock.h"
#include "tests/test.h"
#include "tests/unit/client/fake_server.h"

static pid_t server;
static const char *address;
static struct retable_client *client;

static void init_world(void)
{
    server = fake_server_start(&address);
    client = retable_client_new(address, &(struct retable_options){.request_count_max = 1000});
}

static void release_world(void)
{
    retable_client_free(client);
    fake_server_stop(server);
    abort_on_leaks();
}

TestSuite(retable, .init = init_world, .fini = release_world, .timeout = 60);

static struct error *commit(const char *path, uint64_t timeout_ms, uint64_t *ret_timestamp)
{
    struct retable_modification modification = {.path = path, .rowset = SLICE_OF("rows")};
    struct retable_commit commit = {
        .modifications = &modification,
        .modification_count = 1,
        .timeout_ms = timeout_ms,
    };
    return retable_commit(client, &commit, ret_timestamp);
}

Test(retable, commits_and_looks_up)
{
    uint64_t timestamp = 0;
    assert_ok(commit("//t", 0, &timestamp));
    cr_assert(eq(u64, timestamp, 1));
    CLEANUP(buffer_releasep) struct buffer rowset = {0};
    const char *columns[] = {"a", "b"};
    struct retable_lookup lookup = {
        .path = "//t",
        .keys = SLICE_OF("keys"),
        .columns = columns,
        .column_count = 2,
    };
    assert_ok(retable_lookup(client, &lookup, &rowset));
    cr_assert(slice_equal_text(buffer_slice(&rowset), "keys"));
}

Test(retable, runs_a_transaction)
{
    struct retable_transaction transaction = {0};
    assert_ok(
        retable_start_transaction(client, &(struct retable_start_transaction){0}, &transaction));
    assert_text(GUID_TEXT(transaction.id), "1-2-3-4");
    cr_assert(eq(u64, transaction.start_timestamp, 77));
    struct retable_modification modification = {.path = "//t", .rowset = SLICE_OF("rows")};
    struct retable_modify modify = {
        .transaction_id = transaction.id,
        .modifications = &modification,
        .modification_count = 1,
    };
    assert_ok(retable_modify(client, &modify));
    assert_ok(retable_ping_transaction(client, transaction.id));
    assert_ok(retable_abort_transaction(client, transaction.id));
}

Test(retable, gives_the_servers_error)
{
    uint64_t timestamp = 0;
    CLEANUP(error_freep) struct error *error = commit("//refuse", 0, &timestamp);
    cr_assert(eq(int, error_code(error), ERROR_TRANSACTION_LOCK_CONFLICT));
    assert_text(error_message(error), "Row is locked");
}

static void on_committed(void *context, struct error *error, const struct retable_answer *answer)
{
    assert_ok(error);
    cr_assert(eq(u64, answer->commit_timestamp, 1));
    ++*(int *)context;
}

Test(retable, has_many_requests_under_way)
{
    int committed_count = 0;
    struct retable_modification modification = {.path = "//t", .rowset = SLICE_OF("rows")};
    struct retable_commit commit = {.modifications = &modification, .modification_count = 1};
    for (int i = 0; i < 1000; i++)
        assert_ok(retable_client_commit(client, &commit, on_committed, &committed_count));
    CLEANUP(error_freep)
    struct error *error = retable_client_commit(client, &commit, on_committed, &committed_count);
    cr_assert(eq(int, error_code(error), ERROR_REQUEST_THROTTLED));
    while (retable_client_request_count(client) > 0)
        retable_client_poll(client, clock_now_us() + 1000000);
    cr_assert(eq(int, committed_count, 1000));
}

Test(retable, does_not_know_the_outcome_without_an_answer)
{
    uint64_t timestamp = 0;
    uint64_t start_us = clock_now_us();
    CLEANUP(error_freep) struct error *error = commit("//silent", 100, &timestamp);
    cr_assert(eq(int, error_code(error), ERROR_TIMEOUT));
    cr_assert(clock_now_us() < start_us + 10000000);
    assert_ok(commit("//t", 100, &timestamp)); // The session lives.
}

Test(retable, does_not_know_the_outcome_after_a_loss)
{
    uint64_t timestamp = 0;
    CLEANUP(error_freep) struct error *error = commit("//die", 0, &timestamp);
    cr_assert(eq(int, error_code(error), ERROR_TIMEOUT));
    cr_assert(error_find(error, ERROR_RPC_UNAVAILABLE) != NULL);
    // What is sent before the loss is noticed is unknown as well; from then on calls fail at once.
    uint64_t end_us = clock_now_us() + 20000000;
    for (int code = ERROR_TIMEOUT; code == ERROR_TIMEOUT;) {
        CLEANUP(error_freep) struct error *next = commit("//t", 0, &timestamp);
        code = error_code(next);
        cr_assert(code == ERROR_RPC_UNAVAILABLE || code == ERROR_TIMEOUT);
        cr_assert(clock_now_us() < end_us);
    }
}

Test(retable, finds_a_server_that_was_started_again)
{
    uint64_t timestamp = 0;
    CLEANUP(error_freep) struct error *error = commit("//restart", 0, &timestamp);
    cr_assert(eq(int, error_code(error), ERROR_TIMEOUT));
    // Until it listens again calls fail: at once, or sent over the connection that is going.
    uint64_t end_us = clock_now_us() + 20000000;
    for (;;) {
        CLEANUP(error_freep) struct error *refused = commit("//t", 0, &timestamp);
        if (!refused) break;
        int code = error_code(refused);
        cr_assert(code == ERROR_RPC_UNAVAILABLE || code == ERROR_TIMEOUT);
        cr_assert(clock_now_us() < end_us);
    }
    cr_assert(eq(u64, timestamp, 1));
}

static void append(void *context, struct slice piece)
{
    buffer_append_slice(context, piece);
}

Test(retable, executes_a_command)
{
    CLEANUP(buffer_releasep) struct buffer output = {0};
    struct retable_execute execute = {
        .command = "insert_rows",
        .parameters = SLICE_OF("{path=\"//t\"}"),
        .input = SLICE_OF("{a=1}"),
    };
    assert_ok(retable_execute(client, &execute, append, &output));
    cr_assert(slice_equal_text(buffer_slice(&output), "insert_rows {\"path\"=\"//t\";} {a=1}\n"));
}

Test(retable, tells_how_a_command_failed)
{
    CLEANUP(buffer_releasep) struct buffer output = {0};
    struct retable_execute execute = {.command = "refuse"};
    CLEANUP(error_freep) struct error *error = retable_execute(client, &execute, append, &output);
    cr_assert(eq(int, error_code(error), ERROR_RESOLVE_ERROR));

    execute = (struct retable_execute){.command = "silent", .timeout_ms = 100};
    CLEANUP(error_freep) struct error *silent = retable_execute(client, &execute, append, &output);
    cr_assert(eq(int, error_code(silent), ERROR_TIMEOUT));

    execute = (struct retable_execute){.command = "die"};
    CLEANUP(error_freep) struct error *lost = retable_execute(client, &execute, append, &output);
    cr_assert(eq(int, error_code(lost), ERROR_TIMEOUT));

    CLEANUP(error_freep) struct error *none = retable_execute(client, &execute, append, &output);
    cr_assert(eq(int, error_code(none), ERROR_RPC_UNAVAILABLE));
}

Test(retable, streams_a_query)
{
    CLEANUP(buffer_releasep) struct buffer output = {0};
    struct retable_select select = {.query = "* from [//t]"};
    assert_ok(retable_select(client, &select, append, &output));
    cr_assert(slice_equal_text(buffer_slice(&output), "* from [//t]* from [//t]"));

    CLEANUP(buffer_releasep) struct buffer statistics = {0};
    select.placeholder_values = SLICE_OF("{a=1}");
    select.statistics = &statistics;
    assert_ok(retable_select(client, &select, append, &output));
    cr_assert(slice_equal_text(buffer_slice(&statistics), "{a=1}"));
}

Test(retable, tells_that_a_query_has_no_server)
{
    CLEANUP(buffer_releasep) struct buffer output = {0};
    struct retable_execute die = {.command = "die"};
    error_free(retable_execute(client, &die, append, &output));
    struct retable_select select = {.query = "* from [//t]"};
    CLEANUP(error_freep) struct error *error = retable_select(client, &select, append, &output);
    cr_assert(eq(int, error_code(error), ERROR_RPC_UNAVAILABLE));
    // The loss may be noticed only when the query is on its way.
    bool is_told = strstr(error_message(error), "Cannot connect to 127.0.0.1:") ||
                   strstr(error_message(error), "Connection to 127.0.0.1:");
    cr_assert(is_told, "%s", error_message(error));
    cr_assert(eq(sz, output.size, 0));
}

static void on_cancelled(void *context, struct error *error, const struct retable_answer *answer)
{
    (void)answer;
    cr_assert(eq(int, error_code(error), ERROR_CANCELED));
    error_free(error);
    ++*(int *)context;
}

Test(retable, calls_back_everything_when_it_is_freed)
{
    int count = 0;
    struct retable_modification modification = {.path = "//silent"};
    struct retable_commit commit = {.modifications = &modification, .modification_count = 1};
    assert_ok(retable_client_commit(client, &commit, on_cancelled, &count));
    uint64_t start_us = clock_now_us();
    while (clock_now_us() < start_us + 50000) retable_client_poll(client, start_us + 50000);
    struct retable_execute execute = {.command = "silent"};
    assert_ok(retable_client_execute(client, &execute, append, on_cancelled, &count));
    assert_ok(retable_client_commit(client, &commit, on_cancelled, &count));
    retable_client_free(TAKE(client));
    cr_assert(eq(int, count, 3));
}
