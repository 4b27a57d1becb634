#include "cli/report.h"

#include <string.h>

// What to do about a code; the first that is found in the tree counts.
static const struct {
    enum error_code code;
    const char *text;
} HINTS[] = {
    {ERROR_RPC_UNAVAILABLE, "Check that the cluster runs and that --proxy or YT_PROXY names it"},
    {ERROR_NO_SYNC_REPLICAS,
     "Make a replica synchronous (alter-table-replica ID --mode sync --enable), or write with "
     "--no-require-sync-replica"},
    {ERROR_SYNC_REPLICA_NOT_IN_SYNC,
     "Wait until the replica has caught up, enable it, or switch it to async "
     "(alter-table-replica ID --mode async)"},
    {ERROR_NO_IN_SYNC_REPLICAS,
     "Read from a replica's own cluster, or make a replica synchronous "
     "(alter-table-replica ID --mode sync --enable)"},
    {ERROR_TABLET_NOT_MOUNTED, "Mount the table first: mount-table PATH --sync"},
    {ERROR_INVALID_TABLET_STATE, "See the table's state: get PATH/@tablet_state"},
    {ERROR_ALREADY_EXISTS, "Remove it first, or create with --ignore-existing or --force"},
    {ERROR_TRANSACTION_LOCK_CONFLICT, "Somebody else wrote these rows meanwhile: try again"},
    {ERROR_CONCURRENT_TRANSACTION_LOCK_CONFLICT, "Another transaction holds a lock: try again"},
    {ERROR_NO_SUCH_TRANSACTION, "The transaction has ended, or was not pinged in time"},
    {ERROR_REQUEST_THROTTLED, "Send less at a time, or try again later"},
    {ERROR_ACCOUNT_LIMIT_EXCEEDED, "Free space on the cluster's disk or raise the limit"},
    {ERROR_UPSTREAM_REPLICA_MISMATCH,
     "Set the table's upstream replica: alter-table PATH --upstream-replica-id ID"},
    {ERROR_TIMEOUT, "Find out what happened before you repeat a write"},
};

enum exit_code report_exit_code(const struct error *error)
{
    if (!error) return EXIT_DONE;
    if (error_code(error) == ERROR_RPC_UNAVAILABLE) return EXIT_NO_CONNECT;
    if (error_code(error) == ERROR_TIMEOUT) return EXIT_UNCERTAIN;
    return EXIT_REFUSED;
}

// The outermost error that says something of its own: a generic one around a single cause with a
// code only says in the course of what it happened.
static const struct error *find_best(const struct error *error)
{
    const struct error *inner = error_inner(error);
    while (error_code(error) == ERROR_GENERIC && inner && !error_next(inner) &&
           error_code(inner) != ERROR_GENERIC) {
        error = inner;
        inner = error_inner(error);
    }
    return error;
}

static void print_attribute(void *context, const char *key, const char *value)
{
    static const char *const NOISE[] = {"host", "datetime", "pid", "tid", "fid", "grpc_status"};
    for (size_t i = 0; i < sizeof NOISE / sizeof *NOISE; i++) {
        if (strcmp(key, NOISE[i]) == 0) return;
    }
    fprintf(context, "    %-15s %s\n", key, value);
}

// Recursion: the decoder bounds the depth.
// NOLINTNEXTLINE(misc-no-recursion)
static void print_tree(
    const struct error *error, const struct error *shown, int depth, FILE *stream)
{
    const int indent = depth * 4;
    fprintf(stream, "%*s%s", indent, "", error_message(error));
    // The first line has said it already; here is its place in the tree.
    fprintf(stream, error == shown ? "\n" : " [code %d]\n", error_code(error));
    for (const struct error *inner = error_inner(error); inner; inner = error_next(inner))
        print_tree(inner, shown, depth + 1, stream);
}

void report_error(const struct error *error, FILE *stream)
{
    const struct error *best = find_best(error);
    fprintf(stream, "%s\n", error_message(best));
    for (size_t i = 0; i < sizeof HINTS / sizeof *HINTS; i++) {
        if (!error_find(error, HINTS[i].code)) continue;
        fprintf(stream, "%s\n", HINTS[i].text);
        break;
    }
    fprintf(stream, "    %-15s %d\n", "code", error_code(best));
    error_each_attribute(best, print_attribute, stream);
    if (best != error) {
        fprintf(stream, "    %-15s\n", "in the course of");
        print_tree(error, best, 2, stream);
        return;
    }
    for (const struct error *inner = error_inner(best); inner; inner = error_next(inner))
        print_tree(inner, best, 1, stream);
}
