// Writes without end, through the client library, for the crash test.
//
//     writer ADDRESS SORTED_TABLE ORDERED_TABLE LOG SEED
//
// A few commits are under way at a time. Commit n writes one or two keys of its own to the sorted
// table, in one or both of its tablets, with the value n, and appends a row {"n":n} to the ordered
// one. What became of it is a line of the log:
//
//     {"n":7,"keys":[7,1099511627783],"outcome":"ok","timestamp":…,"repeats":0}
//
// "ok"       it is committed, at the timestamp;
// "fail"     it is not, and never will be; "code" says why;
// "unknown"  there was no answer. Half of these commits are repeated with the same mutation id
//            until there is one.
//
// Errors do not stop it; SIGTERM does, once everything under way has an outcome.

#include "base/rng.h"
#include "client/retable.h"
#include "io/clock.h"
#include "model/rowset.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

enum {
    SLOT_COUNT = 8,
    REPEAT_PERCENT = 50,
    TWO_KEYS_PERCENT = 50,
    IMPATIENT_PERCENT = 50, // Of commits: they end before the daemon is back.
    IMPATIENT_MS_MIN = 50,
    IMPATIENT_MS_MAX = 500,
    PATIENT_MS = 5000,
    PAUSE_US_MAX = 4 * 1000,        // Between commits: the test reads everything in the end.
    ERROR_PAUSE_US_MAX = 50 * 1000, // After one that did not succeed.
    POLL_US = 100 * 1000,           // How soon a signal is noticed.
    REPEATS_US = 30 * 1000 * 1000,  // How long repeating goes on after the signal.
};

// The second tablet of the sorted table begins here.
#define SECOND_TABLET_KEY (INT64_C(1) << 40)

struct slot {
    struct writer *writer; // Borrowed.
    enum { SLOT_IDLE, SLOT_UNDER_WAY, SLOT_REPEATING } state;
    uint64_t wake_at_us; // Unless under way: when the next request is due.
    int64_t n;
    int64_t keys[2];
    int key_count;
    struct guid mutation_id;
    uint64_t timeout_ms;
    int repeat_count;
    bool is_to_be_repeated;
};

struct writer {
    struct retable_client *client;
    const char *sorted_table;
    const char *ordered_table;
    FILE *log;
    struct rng rng;
    int64_t last_n;
    struct slot slots[SLOT_COUNT];
};

static volatile sig_atomic_t is_stopping;

static void on_signal(int number)
{
    (void)number;
    is_stopping = 1;
}

// ---------------------------------------------------------------- outcomes

static void write_outcome(
    const struct slot *slot, const char *outcome, uint64_t timestamp, const struct error *error)
{
    FILE *log = slot->writer->log;
    fprintf(log, "{\"n\":%" PRId64 ",\"keys\":[%" PRId64, slot->n, slot->keys[0]);
    if (slot->key_count == 2) fprintf(log, ",%" PRId64, slot->keys[1]);
    fprintf(log, "],\"outcome\":\"%s\",\"timestamp\":%" PRIu64, outcome, timestamp);
    if (error) fprintf(log, ",\"code\":%d", error_code(error));
    fprintf(log, ",\"repeats\":%d}\n", slot->repeat_count);
}

// Whether the commit may have happened all the same. A first attempt that was not sent did not; a
// repeat that was not sent says nothing of the attempts before.
static bool is_unknown(const struct slot *slot, const struct error *error)
{
    if (error_code(error) == ERROR_RPC_UNAVAILABLE) return slot->repeat_count > 0;
    return error_find(error, ERROR_TIMEOUT) == error || error_attribute(error, "outcome");
}

static void on_answer(void *context, struct error *error, const struct retable_answer *answer)
{
    struct slot *slot = context;
    struct writer *writer = slot->writer;
    assert(slot->state == SLOT_UNDER_WAY);
    bool is_open = error && is_unknown(slot, error);
    uint64_t pause_us_max = error ? ERROR_PAUSE_US_MAX : PAUSE_US_MAX;
    slot->wake_at_us = clock_now_us() + rng_below(&writer->rng, pause_us_max);
    if (is_open && slot->is_to_be_repeated) {
        slot->state = SLOT_REPEATING;
    } else {
        slot->state = SLOT_IDLE;
        const char *outcome = is_open ? "unknown" : error ? "fail" : "ok";
        write_outcome(slot, outcome, error ? 0 : answer->commit_timestamp, error);
    }
    error_free(error);
}

// ---------------------------------------------------------------- commits

static void submit(struct slot *slot)
{
    static const struct slice SORTED_NAMES[] = {{"key", 3}, {"value", 5}};
    CLEANUP(buffer_releasep) struct buffer sorted = {0};
    rowset_encode_begin(SORTED_NAMES, 2, (uint32_t)slot->key_count, &sorted);
    for (int i = 0; i < slot->key_count; i++) {
        struct value values[] = {value_int64(0, slot->keys[i]), value_int64(1, slot->n)};
        struct row row = {.kind = ROW_WRITE, .value_count = 2, .values = values};
        rowset_encode_row(&row, &sorted);
    }
    static const struct slice ORDERED_NAME = {"n", 1};
    CLEANUP(buffer_releasep) struct buffer ordered = {0};
    rowset_encode_begin(&ORDERED_NAME, 1, 1, &ordered);
    struct value value = value_int64(0, slot->n);
    struct row row = {.kind = ROW_WRITE, .value_count = 1, .values = &value};
    rowset_encode_row(&row, &ordered);

    struct retable_modification modifications[] = {
        {.path = slot->writer->sorted_table, .rowset = buffer_slice(&sorted)},
        {.path = slot->writer->ordered_table, .rowset = buffer_slice(&ordered)},
    };
    struct retable_commit commit = {
        .mutation_id = slot->mutation_id,
        .modifications = modifications,
        .modification_count = 2,
        .timeout_ms = slot->timeout_ms,
    };
    slot->state = SLOT_UNDER_WAY;
    struct error *error = retable_client_commit(slot->writer->client, &commit, on_answer, slot);
    if (error) on_answer(slot, error, NULL);
}

static void begin_commit(struct slot *slot)
{
    struct writer *writer = slot->writer;
    slot->n = ++writer->last_n;
    slot->key_count = rng_chance(&writer->rng, TWO_KEYS_PERCENT) ? 2 : 1;
    slot->keys[0] = slot->n;
    slot->keys[1] = SECOND_TABLET_KEY + slot->n;
    if (slot->key_count == 1) slot->keys[0] = slot->keys[rng_below(&writer->rng, 2)];
    slot->mutation_id = retable_random_guid();
    slot->timeout_ms = PATIENT_MS;
    if (rng_chance(&writer->rng, IMPATIENT_PERCENT))
        slot->timeout_ms =
            IMPATIENT_MS_MIN + rng_below(&writer->rng, IMPATIENT_MS_MAX - IMPATIENT_MS_MIN);
    slot->repeat_count = 0;
    slot->is_to_be_repeated = rng_chance(&writer->rng, REPEAT_PERCENT);
    submit(slot);
}

// Does what is due; returns when to come again.
static uint64_t work(struct writer *writer)
{
    uint64_t now_us = clock_now_us();
    uint64_t until_us = now_us + POLL_US;
    for (int i = 0; i < SLOT_COUNT; i++) {
        struct slot *slot = &writer->slots[i];
        if (slot->state == SLOT_UNDER_WAY || (slot->state == SLOT_IDLE && is_stopping)) continue;
        if (slot->wake_at_us > now_us) {
            until_us = MIN(until_us, slot->wake_at_us);
        } else if (slot->state == SLOT_REPEATING) {
            slot->repeat_count++;
            submit(slot);
        } else {
            begin_commit(slot);
        }
    }
    return until_us;
}

static bool is_idle(const struct writer *writer)
{
    for (int i = 0; i < SLOT_COUNT; i++) {
        if (writer->slots[i].state != SLOT_IDLE) return false;
    }
    return true;
}

static void run(struct writer *writer)
{
    uint64_t give_up_at_us = UINT64_MAX;
    while (!is_stopping || !is_idle(writer)) {
        retable_client_poll(writer->client, work(writer));
        fflush(writer->log);
        uint64_t now_us = clock_now_us();
        if (is_stopping && give_up_at_us == UINT64_MAX) give_up_at_us = now_us + REPEATS_US;
        if (now_us < give_up_at_us) continue;
        for (int i = 0; i < SLOT_COUNT; i++) writer->slots[i].is_to_be_repeated = false;
        for (int i = 0; i < SLOT_COUNT; i++) {
            struct slot *slot = &writer->slots[i];
            if (slot->state != SLOT_REPEATING) continue;
            slot->state = SLOT_IDLE;
            write_outcome(slot, "unknown", 0, NULL);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "Usage: writer ADDRESS SORTED_TABLE ORDERED_TABLE LOG SEED\n");
        return 2;
    }
    signal(SIGTERM, on_signal);
    struct writer writer = {
        .client = retable_client_new(argv[1], &(struct retable_options){0}),
        .sorted_table = argv[2],
        .ordered_table = argv[3],
        .log = fopen(argv[4], "w"),
        .rng = {.state = strtoull(argv[5], NULL, 10)},
    };
    if (!writer.log) {
        perror(argv[4]);
        return 1;
    }
    for (int i = 0; i < SLOT_COUNT; i++) writer.slots[i].writer = &writer;
    run(&writer);
    retable_client_free(writer.client);
    return fclose(writer.log) == 0 ? 0 : 1;
}
