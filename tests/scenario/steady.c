// Commits one row after another with some clients at once, and measures how long nothing is
// acknowledged.
//
//     steady ADDRESS TABLE CLIENTS
//
// Commit n writes the row {key=n;value=n}. For each line on standard input it prints a line about
// the time since the last one:
//
//     {"acknowledged":1200,"errors":0,"longest_gap_ms":3.1,"error":""}
//
// At the end of the input it waits for what is under way, prints the same with "last": the number
// of the last commit, and ends.

#include "client/retable.h"
#include "io/clock.h"
#include "model/rowset.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { CLIENT_COUNT_MAX = 256, TIMEOUT_MS = 30000, POLL_US = 2000 };

struct steady {
    struct retable_client *client;
    const char *table;
    bool is_stopping;
    int64_t last;
    int under_way;
    uint64_t acknowledged;
    uint64_t errors;
    uint64_t acknowledged_at_us; // The last one.
    uint64_t gap_us;
    char error[512]; // The first one.
};

static void submit(struct steady *steady);

static void note_gap(struct steady *steady, uint64_t now_us)
{
    steady->gap_us = MAX(steady->gap_us, now_us - steady->acknowledged_at_us);
}

static void on_answer(void *context, struct error *error, const struct retable_answer *answer)
{
    (void)answer;
    struct steady *steady = context;
    steady->under_way--;
    if (error) {
        if (steady->errors++ == 0)
            snprintf(steady->error, sizeof steady->error, "%s", error_message(error));
        error_free(error);
    } else {
        uint64_t now_us = clock_now_us();
        note_gap(steady, now_us);
        steady->acknowledged++;
        steady->acknowledged_at_us = now_us;
    }
    if (!steady->is_stopping) submit(steady);
}

static void submit(struct steady *steady)
{
    static const struct slice NAMES[] = {{"key", 3}, {"value", 5}};
    int64_t n = ++steady->last;
    CLEANUP(buffer_releasep) struct buffer rowset = {0};
    rowset_encode_begin(NAMES, 2, 1, &rowset);
    struct value values[] = {value_int64(0, n), value_int64(1, n)};
    struct row row = {.kind = ROW_WRITE, .value_count = 2, .values = values};
    rowset_encode_row(&row, &rowset);
    struct retable_modification modification = {
        .path = steady->table, .rowset = buffer_slice(&rowset)};
    struct retable_commit commit = {
        .mutation_id = retable_random_guid(),
        .modifications = &modification,
        .modification_count = 1,
        .timeout_ms = TIMEOUT_MS,
    };
    steady->under_way++;
    struct error *error = retable_client_commit(steady->client, &commit, on_answer, steady);
    if (!error) return;
    fprintf(stderr, "steady: %s\n", error_message(error));
    exit(1); // Not even sent: the caller's mistake.
}

static void report(struct steady *steady, bool is_last)
{
    note_gap(steady, clock_now_us());
    for (char *c = steady->error; *c; c++) {
        if (*c == '"' || *c == '\\' || *c == '\n') *c = '\'';
    }
    printf(
        "{\"acknowledged\":%" PRIu64 ",\"errors\":%" PRIu64
        ",\"longest_gap_ms\":%.3f,\"error\":\"%s\"",
        steady->acknowledged,
        steady->errors,
        (double)steady->gap_us / 1000,
        steady->error);
    if (is_last) printf(",\"last\":%" PRId64, steady->last);
    printf("}\n");
    fflush(stdout);
    steady->acknowledged = 0;
    steady->errors = 0;
    steady->gap_us = 0;
    steady->error[0] = '\0';
}

// Whether there will be more.
static bool read_input(struct steady *steady)
{
    char bytes[64];
    ssize_t size = read(STDIN_FILENO, bytes, sizeof bytes);
    if (size == 0) return false;
    for (ssize_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') report(steady, false);
    }
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "Usage: steady ADDRESS TABLE CLIENTS\n");
        return 2;
    }
    int client_count = (int)MIN(strtoul(argv[3], NULL, 10), (unsigned long)CLIENT_COUNT_MAX);
    struct steady steady = {
        .client = retable_client_new(argv[1], &(struct retable_options){0}),
        .table = argv[2],
        .acknowledged_at_us = clock_now_us(),
    };
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < client_count; i++) submit(&steady);
    while (steady.under_way > 0) {
        retable_client_poll(steady.client, clock_now_us() + POLL_US);
        if (!steady.is_stopping && !read_input(&steady)) steady.is_stopping = true;
    }
    report(&steady, true);
    retable_client_free(steady.client);
    return 0;
}
