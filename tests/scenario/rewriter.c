// Writes the same rows again and again, in competition with others, for the rewrite test.
//
//     rewriter ADDRESS TABLE LOG NUMBER SEED PAUSE_US
//
// A transaction writes one to three rows of TABLE (sorted: key, value), or deletes them, and
// appends the same to LOG (ordered: key, value, is_deleted). A row of the log lies in the tablet
// of its key, so the log has the order of the key's writes. Keys below 10 are shared by all
// rewriters, those from NUMBER * 100 on are this one's own. No two transactions write the same
// value.
//
// What is not known is asked again, with the same mutation id, until it is known or the rewriter
// is told to end. A line for each transaction:
//
//     {"value":1000007,"outcome":"ok","timestamp":…,"code":0,"repeats":0,"keys":[101,3]}
//
// "ok" was acknowledged, "refused" definitely not done, "unknown" one or the other. After some
// transactions a row that was just written is looked up; a wrong answer is a line
// {"fault":"…"}. SIGTERM ends it after a transaction.

#include "base/buffer.h"
#include "base/rng.h"
#include "client/retable.h"
#include "model/rowset.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_MS      UINT64_C(4000)
#define REPEAT_PAUSE_US 20000

enum {
    KEY_COUNT_MAX = 3,
    SHARED_KEY_COUNT = 10,
    OWN_KEY_COUNT = 20,
    LOG_TABLET_COUNT = 2,
    VALUE_COUNT_MAX = 1000000, // Of one rewriter.
};

struct rewriter {
    struct retable_client *client;
    const char *table;
    const char *log;
    int64_t number;
    struct rng rng;
    int64_t value_count;
};

struct change {
    int64_t keys[KEY_COUNT_MAX];
    uint32_t key_count;
    int64_t value;
    bool is_delete;
};

enum outcome { OUTCOME_OK, OUTCOME_REFUSED, OUTCOME_UNKNOWN };

struct result {
    enum outcome outcome;
    uint64_t timestamp;
    int code;
    uint32_t repeat_count;
};

static volatile sig_atomic_t is_stopping;

static void on_signal(int number)
{
    (void)number;
    is_stopping = 1;
}

static bool has_key(const struct change *change, int64_t key)
{
    for (uint32_t i = 0; i < change->key_count; i++) {
        if (change->keys[i] == key) return true;
    }
    return false;
}

static struct change choose_change(struct rewriter *rewriter)
{
    struct rng *rng = &rewriter->rng;
    struct change change = {
        .value = rewriter->number * VALUE_COUNT_MAX + ++rewriter->value_count,
        .is_delete = rng_chance(rng, 10),
    };
    uint64_t wanted = 1 + rng_below(rng, KEY_COUNT_MAX);
    while (change.key_count < wanted) {
        int64_t key = rng_chance(rng, 25)
                          ? (int64_t)rng_below(rng, SHARED_KEY_COUNT)
                          : rewriter->number * 100 + (int64_t)rng_below(rng, OWN_KEY_COUNT);
        if (!has_key(&change, key)) change.keys[change.key_count++] = key;
    }
    return change;
}

static void encode_rows(const struct change *change, struct buffer *buffer)
{
    static const struct slice NAMES[] = {{"key", 3}, {"value", 5}};
    rowset_encode_begin(NAMES, 2, change->key_count, buffer);
    for (uint32_t i = 0; i < change->key_count; i++) {
        struct value values[] = {value_int64(0, change->keys[i]), value_int64(1, change->value)};
        // A deletion names the key alone.
        struct row row = {
            .kind = change->is_delete ? ROW_DELETE : ROW_WRITE,
            .value_count = change->is_delete ? 1 : 2,
            .values = values,
        };
        rowset_encode_row(&row, buffer);
    }
}

static void encode_log(const struct change *change, struct buffer *buffer)
{
    static const struct slice NAMES[] = {
        {"$tablet_index", 13}, {"key", 3}, {"value", 5}, {"is_deleted", 10}};
    rowset_encode_begin(NAMES, 4, change->key_count, buffer);
    for (uint32_t i = 0; i < change->key_count; i++) {
        struct value values[] = {
            value_int64(0, change->keys[i] % LOG_TABLET_COUNT),
            value_int64(1, change->keys[i]),
            value_int64(2, change->value),
            value_boolean(3, change->is_delete),
        };
        struct row row = {.kind = ROW_WRITE, .value_count = 4, .values = values};
        rowset_encode_row(&row, buffer);
    }
}

// Whether nothing of it has happened by this request, nor will.
static bool is_refusal(const struct error *error)
{
    return error_code(error) != ERROR_TIMEOUT && error_code(error) != ERROR_RPC_UNAVAILABLE;
}

// Commits, and repeats what is not known. A refusal of a repetition does not tell about the first
// try.
static struct result commit_change(struct rewriter *rewriter, const struct change *change)
{
    CLEANUP(buffer_releasep) struct buffer rows = {0};
    CLEANUP(buffer_releasep) struct buffer log = {0};
    encode_rows(change, &rows);
    encode_log(change, &log);
    struct retable_modification modifications[] = {
        {
            .path = rewriter->table,
            .kind = change->is_delete ? RETABLE_DELETE : RETABLE_INSERT,
            .rowset = buffer_slice(&rows),
        },
        {.path = rewriter->log, .kind = RETABLE_INSERT, .rowset = buffer_slice(&log)},
    };
    struct retable_commit commit = {
        .mutation_id = retable_random_guid(),
        .modifications = modifications,
        .modification_count = 2,
        .timeout_ms = TIMEOUT_MS,
    };
    struct result result = {.outcome = OUTCOME_UNKNOWN};
    bool is_sent = false;
    for (;;) {
        CLEANUP(error_freep)
        struct error *error = retable_commit(rewriter->client, &commit, &result.timestamp);
        if (!error) {
            result.outcome = OUTCOME_OK;
            return result;
        }
        result.code = (int)error_code(error);
        if (is_refusal(error)) break;
        is_sent |= error_code(error) == ERROR_TIMEOUT; // Without a connection it has not left.
        if (is_stopping) break;
        result.repeat_count++;
        usleep(REPEAT_PAUSE_US);
    }
    if (!is_sent) result.outcome = OUTCOME_REFUSED;
    return result;
}

static void print_result(const struct change *change, const struct result *result)
{
    static const char *const OUTCOMES[] = {"ok", "refused", "unknown"};
    printf(
        "{\"value\":%" PRId64 ",\"outcome\":\"%s\",\"timestamp\":%" PRIu64
        ",\"code\":%d,\"repeats\":%" PRIu32 ",\"keys\":[",
        change->value,
        OUTCOMES[result->outcome],
        result->timestamp,
        result->code,
        result->repeat_count);
    for (uint32_t i = 0; i < change->key_count; i++)
        printf("%s%" PRId64, i > 0 ? "," : "", change->keys[i]);
    printf("]}\n");
    fflush(stdout);
}

// Reads an own key: what was just acknowledged is what must be seen, if there is an answer.
static void check_read(struct rewriter *rewriter, const struct change *change)
{
    int64_t key = change->keys[0];
    if (key < SHARED_KEY_COUNT) return;
    static const struct slice NAME = {"key", 3};
    CLEANUP(buffer_releasep) struct buffer keys = {0};
    CLEANUP(buffer_releasep) struct buffer rows = {0};
    struct value value = value_int64(0, key);
    struct row row = {.kind = ROW_WRITE, .value_count = 1, .values = &value};
    rowset_encode_begin(&NAME, 1, 1, &keys);
    rowset_encode_row(&row, &keys);
    struct retable_lookup lookup = {
        .path = rewriter->table,
        .keys = buffer_slice(&keys),
        .timeout_ms = TIMEOUT_MS,
    };
    CLEANUP(error_freep) struct error *error = retable_lookup(rewriter->client, &lookup, &rows);
    if (error) return; // No replica is in sync now, or no answer came.
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct rowset found = {0};
    CLEANUP(error_freep) struct error *wrong = rowset_decode(&arena, buffer_slice(&rows), &found);
    bool is_right = !wrong && found.row_count == (change->is_delete ? 0 : 1);
    for (uint32_t i = 0; is_right && i < found.row_count; i++) {
        const struct row *answer = &found.rows[i];
        is_right = answer->value_count == 2 && answer->values[1].int64 == change->value;
    }
    if (is_right) return;
    printf(
        "{\"fault\":\"key %" PRId64 " was read, and is not as value %" PRId64 " left it\"}\n",
        key,
        change->value);
    fflush(stdout);
}

static int64_t number_argument(const char *text)
{
    char *end = NULL;
    int64_t number = strtoll(text, &end, 10);
    if (end != text && *end == '\0') return number;
    fprintf(stderr, "rewriter: %s is not a number\n", text);
    exit(2);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: rewriter ADDRESS TABLE LOG NUMBER SEED PAUSE_US\n");
        return 2;
    }
    struct rewriter rewriter = {
        .client = retable_client_new(argv[1], &(struct retable_options){0}),
        .table = argv[2],
        .log = argv[3],
        .number = number_argument(argv[4]),
        .rng = {.state = (uint64_t)number_argument(argv[5])},
    };
    useconds_t pause_us = (useconds_t)number_argument(argv[6]);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    while (!is_stopping) {
        struct change change = choose_change(&rewriter);
        struct result result = commit_change(&rewriter, &change);
        print_result(&change, &result);
        if (result.outcome == OUTCOME_OK && rng_chance(&rewriter.rng, 25))
            check_read(&rewriter, &change);
        // Whatever refused it takes a while.
        usleep(result.outcome == OUTCOME_REFUSED ? REPEAT_PAUSE_US : pause_us);
    }
    retable_client_free(rewriter.client);
    return 0;
}
