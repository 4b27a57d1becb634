#include "cli/command.h"

#include <string.h>

// The table reads best with an option a line, however long.
// clang-format off

#define TEXT_YSON   "<format=text>yson"
#define PRETTY_YSON "<format=pretty>yson"

#define PATH(text) {.name = "path", .kind = OPTION_STRING, .help = (text), .place = PLACE_REQUIRED}
#define TABLE PATH("the table: //home/t, or #id")
#define PLACED(option, text) {.name = (option), .kind = OPTION_STRING, .help = (text), .place = PLACE_REQUIRED}
#define NODE PATH("the node, object or attribute: //home/t, #id, //home/t/@schema")
#define FORMAT(text) {.name = "format", .kind = OPTION_FORMAT, .help = (text)}
#define FORMAT_IN FORMAT("of the input: yson, json, ... (default: yson)")
#define FORMAT_OUT FORMAT("of the output: yson, json, '<format=text>yson', '<format=pretty>yson', ...")
#define FORMAT_TABLE FORMAT("of the output: table, yson, json, ... (default: table)")
#define WATCH {.name = "watch", .kind = OPTION_WATCH, .help = "print it again every second"}
#define STATUS_COLUMNS "path cluster_name mode state in_sync replication_lag_time lag_row_count planned_mode health"
#define HISTORY_COLUMNS "time path table_path cluster_name from to actor reason health"
#define TRACKER_SWITCH "{path=\"//sys/@config/tablet_manager/replicated_table_tracker/enable_replicated_table_tracker\";input_format=yson}"
#define OPTIONAL_TABLE {.name = "path", .kind = OPTION_STRING, .value = "TABLE", .help = "only this replicated table", .place = PLACE_OPTIONAL}
#define CLUSTER {.name = "cluster-name", .kind = OPTION_STRING, .value = "CLUSTER", .help = "the replica cluster", .place = PLACE_REQUIRED}
#define SYNC {.name = "sync", .kind = OPTION_SYNC, .help = "wait until it is done"}
#define RECURSIVE(text) {.name = "recursive", .letter = 'r', .kind = OPTION_TRUE, .help = (text)}
#define FORCE(text) {.name = "force", .letter = 'f', .kind = OPTION_TRUE, .help = (text)}
#define TIMESTAMP(text) {.name = "timestamp", .kind = OPTION_INT, .value = "T", .help = (text)}
#define READ_TIMESTAMP \
    {.name = "timestamp", .kind = OPTION_TIMESTAMP, .value = "T", .help = "as of this timestamp, or `last_consistent`: a snapshot over all tablets, on any replica"}, \
    {.name = "min-timestamp", .kind = OPTION_INT, .value = "T", .help = "wait until the cluster has what was written up to T (read your writes)"}
#define TABLET_RANGE \
    {.name = "first-tablet-index", .kind = OPTION_INT, .value = "N", .help = "from this tablet on"}, \
    {.name = "last-tablet-index", .kind = OPTION_INT, .value = "N", .help = "up to this tablet, inclusive"}
#define WRITING \
    {.name = "require-sync-replica", .kind = OPTION_TRUE, .help = "refuse to write without a sync replica (default)"}, \
    {.name = "no-require-sync-replica", .kind = OPTION_FALSE, .parameter = "require_sync_replica", .help = "write even without a sync replica"}, \
    {.name = "atomicity", .kind = OPTION_STRING, .value = "full|none", .help = "full by default"}, \
    {.name = "durability", .kind = OPTION_STRING, .value = "sync|async", .help = "sync by default"}
#define PLACEHOLDERS {.name = "placeholder-values", .kind = OPTION_YSON, .value = "YSON", .help = "a map of values for {names} in the query"}
#define RANGE_LIMIT {.name = "range-expansion-limit", .kind = OPTION_INT, .value = "N", .help = "derive at most so many key ranges from WHERE"}
#define TRANSACTION {.name = "transaction", .kind = OPTION_STRING, .parameter = "transaction_id", .help = "the transaction's id", .place = PLACE_REQUIRED}

const struct option GLOBAL_OPTIONS[] = {
    {.name = "proxy", .kind = OPTION_PROXY, .value = "NAME", .help = "the cluster: host:port, or a name known here (default: $YT_PROXY)"},
    {.name = "user", .kind = OPTION_USER, .value = "NAME", .help = "act as this user, which only superusers may (default: $YT_USER)"},
    {.name = "tx", .kind = OPTION_STRING, .parameter = "transaction_id", .value = "ID", .help = "the transaction to act in"},
    {.name = "help", .letter = 'h', .kind = OPTION_HELP, .help = "show this help"},
    {0},
};

const struct command COMMANDS[] = {
    {
        .name = "create",
        .summary = "Create a node or an object; prints its id",
        .output = OUTPUT_SCALAR,
        .default_format = TEXT_YSON,
        .options = {
            {.name = "type", .kind = OPTION_STRING, .help = "table, replicated_table, table_replica, map_node, ...", .place = PLACE_REQUIRED},
            {.name = "path", .kind = OPTION_STRING, .help = "where; objects such as table_replica have none", .place = PLACE_OPTIONAL},
            {.name = "attributes", .kind = OPTION_YSON, .value = "YSON", .help = "a map of attributes"},
            RECURSIVE("create missing parents"),
            {.name = "ignore-existing", .letter = 'i', .kind = OPTION_TRUE, .help = "succeed if it exists"},
            {.name = "lock-existing", .letter = 'l', .kind = OPTION_TRUE, .help = "lock it if it exists"},
            FORCE("replace what exists"),
        },
    },
    {
        .name = "get",
        .summary = "Print a node, an object's attributes or one attribute",
        .output = OUTPUT_STRUCTURED,
        .default_format = PRETTY_YSON,
        .fixed_parameters = "{return_only_value=%true}",
        .options = {
            NODE,
            FORMAT_OUT,
            {.name = "attribute", .kind = OPTION_STRINGS, .parameter = "attributes", .value = "NAME", .help = "show this attribute of nodes; may be repeated"},
            {.name = "max-size", .kind = OPTION_INT, .value = "N", .help = "at most so many children"},
            {.name = "read-from", .kind = OPTION_STRING, .value = "cache", .help = "accepted for compatibility"},
        },
    },
    {
        .name = "set",
        .summary = "Set a node or an attribute to a value",
        .input = INPUT_VALUE,
        .default_format = "yson",
        .options = {
            NODE,
            {.name = "value", .kind = OPTION_INPUT, .help = "in the format (default: from standard input)", .place = PLACE_OPTIONAL},
            FORMAT("of the value: yson, json, ... (default: yson)"),
            RECURSIVE("create missing parents"),
            FORCE("replace even a map node with children"),
        },
    },
    {
        .name = "exists",
        .summary = "Print true if there is such a node or attribute, else false",
        .output = OUTPUT_SCALAR,
        .default_format = TEXT_YSON,
        .options = {
            NODE,
            {.name = "read-from", .kind = OPTION_STRING, .value = "cache", .help = "accepted for compatibility"},
        },
    },
    {
        .name = "list",
        .summary = "Print the names of a node's children, sorted",
        .output = OUTPUT_NAMES,
        .default_format = TEXT_YSON,
        .fixed_parameters = "{return_only_value=%true}",
        .options = {
            NODE,
            FORMAT_OUT,
            {.name = "attribute", .kind = OPTION_STRINGS, .parameter = "attributes", .value = "NAME", .help = "show this attribute (with --format); may be repeated"},
            {.name = "max-size", .kind = OPTION_INT, .value = "N", .help = "at most so many children"},
            {.name = "read-from", .kind = OPTION_STRING, .value = "cache", .help = "accepted for compatibility"},
        },
    },
    {
        .name = "remove",
        .summary = "Remove a node, an object or an attribute",
        .options = {
            NODE,
            RECURSIVE("with all children"),
            FORCE("succeed if there is none"),
        },
    },
    {
        .name = "copy",
        .summary = "Copy a node with all below it; prints the copy's id",
        .output = OUTPUT_SCALAR,
        .default_format = TEXT_YSON,
        .options = {PLACED("source-path", "the node"), PLACED("destination-path", "where the copy comes"), RECURSIVE("create missing parents"), FORCE("replace what is there")},
    },
    {
        .name = "move",
        .summary = "Give a node another place; prints its id",
        .output = OUTPUT_SCALAR,
        .default_format = TEXT_YSON,
        .options = {PLACED("source-path", "the node"), PLACED("destination-path", "its new place"), RECURSIVE("create missing parents"), FORCE("replace what is there")},
    },
    {
        .name = "link",
        .summary = "Make a link to a node; prints its id",
        .output = OUTPUT_SCALAR,
        .default_format = TEXT_YSON,
        .options = {PLACED("target-path", "what the link leads to"), PLACED("link-path", "the link"), RECURSIVE("create missing parents"), FORCE("replace what is there")},
    },
    {
        .name = "lock",
        .summary = "Lock a node in a master transaction (--tx); prints the lock",
        .output = OUTPUT_STRUCTURED,
        .default_format = PRETTY_YSON,
        .options = {
            NODE,
            {.name = "mode", .kind = OPTION_STRING, .value = "exclusive|shared", .help = "exclusive by default"},
            {.name = "child-key", .kind = OPTION_STRING, .value = "NAME", .help = "shared: only this child"},
            {.name = "attribute-key", .kind = OPTION_STRING, .value = "NAME", .help = "shared: only this attribute"},
            FORMAT_OUT,
        },
    },
    {
        .name = "unlock",
        .summary = "Release the locks of a node that a master transaction (--tx) holds",
        .options = {NODE},
    },
    {
        .name = "mount-table",
        .summary = "Mount a table's tablets: make it writable and readable",
        .state = "mounted",
        .frozen_state = "frozen",
        .options = {
            TABLE,
            TABLET_RANGE,
            {.name = "cell-id", .kind = OPTION_STRING, .value = "ID", .help = "the tablet cell"},
            {.name = "freeze", .kind = OPTION_TRUE, .help = "mount it frozen: readable only"},
            SYNC,
        },
    },
    {
        .name = "unmount-table",
        .summary = "Unmount a table's tablets",
        .state = "unmounted",
        .options = {
            TABLE,
            TABLET_RANGE,
            FORCE("do not wait for anything; may lose data"),
            SYNC,
        },
    },
    {
        .name = "freeze-table",
        .summary = "Freeze a table: no writes, and everything is flushed; a queue drains",
        .state = "frozen",
        .options = {TABLE, TABLET_RANGE, SYNC},
    },
    {
        .name = "unfreeze-table",
        .summary = "Make a frozen table writable again",
        .state = "mounted",
        .options = {TABLE, TABLET_RANGE, SYNC},
    },
    {
        .name = "remount-table",
        .summary = "Make a mounted table use its present settings",
        .options = {TABLE, TABLET_RANGE},
    },
    {
        .name = "reshard-table",
        .summary = "Split an unmounted table into other tablets",
        .state = "unmounted",
        .options = {
            TABLE,
            {.name = "pivot-keys", .kind = OPTION_YSONS, .value = "PIVOT...", .help = "the first key of each tablet: '[]' '[10]' '[20]'", .place = PLACE_OPTIONAL},
            {.name = "tablet-count", .kind = OPTION_INT, .value = "N", .help = "instead of keys, for ordered tables"},
            TABLET_RANGE,
            {.name = "uniform", .kind = OPTION_TRUE, .help = "spread the keys evenly"},
            SYNC,
        },
    },
    {
        .name = "alter-table",
        .summary = "Change an unmounted table's schema, kind or upstream replica",
        .options = {
            TABLE,
            {.name = "schema", .kind = OPTION_YSON, .value = "YSON", .help = "the new schema, a list of columns"},
            {.name = "dynamic", .kind = OPTION_TRUE, .help = "make it dynamic"},
            {.name = "static", .kind = OPTION_FALSE, .parameter = "dynamic", .help = "make it static"},
            {.name = "upstream-replica-id", .kind = OPTION_STRING, .value = "ID", .help = "the table_replica whose table this is"},
        },
    },
    {
        .name = "alter-table-replica",
        .summary = "Enable or disable a replica, change its mode",
        .options = {
            {.name = "replica-id", .kind = OPTION_STRING, .help = "the id of the table_replica", .place = PLACE_REQUIRED},
            {.name = "enable", .kind = OPTION_TRUE, .parameter = "enabled", .help = "start replication"},
            {.name = "disable", .kind = OPTION_FALSE, .parameter = "enabled", .help = "stop it"},
            {.name = "mode", .kind = OPTION_STRING, .value = "sync|async", .help = "the new mode"},
            {.name = "enable-replicated-table-tracker", .kind = OPTION_TRUE, .help = "let the tracker switch this replica"},
            {.name = "disable-replicated-table-tracker", .kind = OPTION_FALSE, .parameter = "enable_replicated_table_tracker", .help = "keep the tracker off it"},
            {.name = "preserve-timestamps", .kind = OPTION_STRING, .value = "true|false", .help = "whether rows keep their timestamps"},
            {.name = "atomicity", .kind = OPTION_STRING, .value = "full|none", .help = "of writes to it"},
            {.name = "replica-path", .kind = OPTION_STRING, .value = "PATH", .help = "where its table is now; the replica must be disabled"},
        },
    },
    {
        .name = "insert-rows",
        .summary = "Write rows from standard input",
        .input = INPUT_ROWS,
        .default_format = "yson",
        .options = {
            TABLE,
            FORMAT_IN,
            {.name = "update", .kind = OPTION_TRUE, .help = "keep the values of columns that are not given"},
            {.name = "no-update", .kind = OPTION_FALSE, .parameter = "update", .help = "make them null (default)"},
            {.name = "aggregate", .kind = OPTION_TRUE, .help = "merge the values of aggregate columns"},
            {.name = "no-aggregate", .kind = OPTION_FALSE, .parameter = "aggregate", .help = "overwrite them (default)"},
            WRITING,
            {.name = "lock-type", .kind = OPTION_STRING, .value = "TYPE", .help = "exclusive by default"},
        },
    },
    {
        .name = "delete-rows",
        .summary = "Delete the rows whose keys come from standard input",
        .input = INPUT_ROWS,
        .default_format = "yson",
        .options = {TABLE, FORMAT_IN, WRITING},
    },
    {
        .name = "lookup-rows",
        .summary = "Print the rows whose keys come from standard input",
        .input = INPUT_ROWS,
        .output = OUTPUT_ROWS,
        .default_format = TEXT_YSON,
        .options = {
            TABLE,
            FORMAT("of keys and rows (default: '<format=text>yson')"),
            READ_TIMESTAMP,
            {.name = "column-name", .kind = OPTION_STRINGS, .parameter = "column_names", .value = "NAME", .help = "only this column; may be repeated"},
            {.name = "keep-missing-rows", .kind = OPTION_TRUE, .help = "print # or null for a key without a row"},
            {.name = "versioned", .kind = OPTION_TRUE, .help = "print all versions"},
            {.name = "replica-consistency", .kind = OPTION_STRING, .value = "none|sync", .help = "from which replicas of a replicated table"},
        },
    },
    {
        .name = "select-rows",
        .summary = "Print the rows of a query",
        .output = OUTPUT_ROWS,
        .default_format = TEXT_YSON,
        .options = {
            {.name = "query", .kind = OPTION_STRING, .help = "like '* from [//home/t] where k > 10'", .place = PLACE_REQUIRED},
            FORMAT_OUT,
            READ_TIMESTAMP,
            {.name = "input-row-limit", .kind = OPTION_INT, .value = "N", .help = "read at most so many rows"},
            {.name = "output-row-limit", .kind = OPTION_INT, .value = "N", .help = "print at most so many rows"},
            {.name = "allow-full-scan", .kind = OPTION_TRUE, .help = "even without a condition on keys (default)"},
            {.name = "forbid-full-scan", .kind = OPTION_FALSE, .parameter = "allow_full_scan", .help = "fail in this case"},
            {.name = "allow-join-without-index", .kind = OPTION_TRUE, .help = "even if every row has to be read"},
            {.name = "forbid-join-without-index", .kind = OPTION_FALSE, .parameter = "allow_join_without_index", .help = "fail in this case (default)"},
            PLACEHOLDERS,
            {.name = "replica-consistency", .kind = OPTION_STRING, .value = "none|sync", .help = "from which replicas of a replicated table"},
            {.name = "syntax-version", .kind = OPTION_INT, .value = "N", .help = "accepted for compatibility"},
            RANGE_LIMIT,
            {.name = "allow-incomplete-result", .kind = OPTION_FALSE, .parameter = "fail_on_incomplete_result", .help = "leave out what lies beyond a limit instead of failing"},
            {.name = "memory-limit", .kind = OPTION_INT, .parameter = "memory_limit_per_node", .value = "BYTES", .help = "of groups, rows being ordered and joined rows"},
            {.name = "print-statistics", .kind = OPTION_TRUE, .parameter = "enable_statistics", .help = "print rows read and others to standard error"},
        },
    },
    {
        .name = "explain-query",
        .summary = "Print the plan of a query: key ranges, joins, types",
        .output = OUTPUT_STRUCTURED,
        .default_format = PRETTY_YSON,
        .options = {
            {.name = "query", .kind = OPTION_STRING, .help = "as select-rows takes it", .place = PLACE_REQUIRED},
            FORMAT_OUT,
            PLACEHOLDERS,
            RANGE_LIMIT,
        },
    },
    {
        .name = "trim-rows",
        .summary = "Drop the first rows of a tablet of an ordered table",
        .options = {
            TABLE,
            {.name = "tablet-index", .kind = OPTION_INT, .help = "the tablet", .place = PLACE_REQUIRED},
            {.name = "trimmed-row-count", .kind = OPTION_INT, .help = "how many rows are gone afterwards, counted from the first ever", .place = PLACE_REQUIRED},
        },
    },
    {
        .name = "get-in-sync-replicas",
        .summary = "Print the ids of the replicas that have all writes up to a timestamp",
        .input = INPUT_KEYS,
        .output = OUTPUT_STRUCTURED,
        .default_format = PRETTY_YSON,
        .fixed_parameters = "{input_format=yson}",
        .options = {
            TABLE,
            TIMESTAMP("up to this timestamp"),
            {.name = "all-keys", .kind = OPTION_TRUE, .help = "in all tablets; otherwise those of the keys (YSON) from standard input"},
            FORMAT_OUT,
            {.name = "cached-sync-replicas-timeout", .kind = OPTION_INT, .value = "MS", .help = "accepted for compatibility"},
        },
    },
    {
        .name = "generate-timestamp",
        .summary = "Print a new timestamp of the cluster",
        .output = OUTPUT_SCALAR,
        .default_format = TEXT_YSON,
    },
    {
        .name = "get-tablet-infos",
        .summary = "Print row counts, timestamps and replicas of tablets",
        .output = OUTPUT_STRUCTURED,
        .default_format = PRETTY_YSON,
        .options = {
            TABLE,
            {.name = "tablet-indexes", .kind = OPTION_INTS, .value = "N...", .help = "which tablets"},
            {.name = "request-errors", .kind = OPTION_TRUE, .help = "with their errors"},
            FORMAT_OUT,
        },
    },
    {
        .name = "get-tablet-errors",
        .summary = "Print the errors of a table's tablets and replicas",
        .output = OUTPUT_STRUCTURED,
        .default_format = PRETTY_YSON,
        .options = {
            TABLE,
            {.name = "limit", .kind = OPTION_INT, .value = "N", .help = "of at most so many tablets"},
            FORMAT_OUT,
        },
    },
    {
        .name = "start-tx",
        .execute = "start_transaction",
        .summary = "Start a transaction; prints its id",
        .output = OUTPUT_SCALAR,
        .default_format = TEXT_YSON,
        .fixed_parameters = "{type=tablet; sticky=%true}",
        .options = {
            {.name = "type", .kind = OPTION_STRING, .value = "tablet|master", .help = "of rows (default), or one that holds locks of nodes"},
            {.name = "timeout", .kind = OPTION_INT, .value = "MS", .help = "how long it lives without a ping"},
            {.name = "attributes", .kind = OPTION_YSON, .value = "YSON", .help = "a map of attributes"},
        },
    },
    {
        .name = "ping-tx",
        .execute = "ping_transaction",
        .summary = "Keep a transaction alive",
        .options = {TRANSACTION},
    },
    {
        .name = "commit-tx",
        .execute = "commit_transaction",
        .summary = "Commit a transaction",
        .options = {TRANSACTION},
    },
    {
        .name = "abort-tx",
        .execute = "abort_transaction",
        .summary = "Abort a transaction",
        .options = {TRANSACTION},
    },
    {
        .name = "status",
        .execute = "get_tracker_status",
        .summary = "Print who is synchronous, how far behind, and why not",
        .output = OUTPUT_TABLE,
        .default_format = "yson",
        .columns = STATUS_COLUMNS,
        .options = {OPTIONAL_TABLE, FORMAT_TABLE, WATCH},
    },
    {
        .name = "switchover",
        .execute = "switch_over",
        .summary = "Move a table's synchronous replica to another cluster",
        .output = OUTPUT_TABLE,
        .default_format = "yson",
        .columns = "cluster_name from to replication_lag_time health",
        .options = {
            TABLE,
            {.name = "to", .kind = OPTION_STRING, .parameter = "cluster_name", .value = "CLUSTER", .help = "where it is to be"},
            {.name = "dry-run", .kind = OPTION_TRUE, .help = "only say what would change"},
            FORMAT_TABLE,
        },
    },
    {
        .name = "tracker status",
        .execute = "get_tracker_status",
        .summary = "The same as status",
        .output = OUTPUT_TABLE,
        .default_format = "yson",
        .columns = STATUS_COLUMNS,
        .options = {OPTIONAL_TABLE, FORMAT_TABLE, WATCH},
    },
    {
        .name = "tracker explain",
        .execute = "get_tracker_status",
        .summary = "Print what the tracker would do with a table's replicas, and why",
        .output = OUTPUT_TABLE,
        .default_format = "yson",
        .columns = "cluster_name mode planned_mode reason tracked preferred good replication_lag_time health error",
        .options = {TABLE, FORMAT_TABLE},
    },
    {
        .name = "tracker history",
        .execute = "get_tracker_history",
        .summary = "Print changes of modes, the newest first",
        .output = OUTPUT_TABLE,
        .default_format = "yson",
        .columns = HISTORY_COLUMNS,
        .options = {
            OPTIONAL_TABLE,
            {.name = "limit", .kind = OPTION_INT, .value = "N", .help = "at most so many (100)"},
            FORMAT_TABLE,
        },
    },
    {
        .name = "tracker pause",
        .execute = "set",
        .summary = "Leave the modes of all tables alone",
        .fixed_parameters = TRACKER_SWITCH,
        .fixed_input = "%false",
    },
    {
        .name = "tracker resume",
        .execute = "set",
        .summary = "Keep tracked tables' synchronous replicas where they work",
        .fixed_parameters = TRACKER_SWITCH,
        .fixed_input = "%true",
    },
    {
        .name = "replica list",
        .execute = "get_tracker_status",
        .summary = "Print the replicas of one table or of all",
        .output = OUTPUT_TABLE,
        .default_format = "yson",
        .columns = "path replica_id cluster_name replica_path mode state in_sync replication_lag_time lag_row_count error",
        .options = {OPTIONAL_TABLE, FORMAT_TABLE},
    },
    {
        .name = "replica wait",
        .execute = "wait_replicas",
        .summary = "Wait until replicas have everything that is written by now",
        .options = {
            TABLE,
            {.name = "cluster-name", .kind = OPTION_STRING, .value = "CLUSTER", .help = "only the replica on this cluster (default: all enabled ones)"},
            {.name = "timeout", .kind = OPTION_INT, .value = "MS", .help = "how long (30000)"},
        },
    },
    {
        .name = "add-member",
        .summary = "Make a user or a group a member of a group",
        .options = {PLACED("member", "a user or a group"), PLACED("group", "the group")},
    },
    {
        .name = "remove-member",
        .summary = "Take a user or a group out of a group",
        .options = {PLACED("member", "a user or a group"), PLACED("group", "the group")},
    },
    {
        .name = "check-permission",
        .summary = "Print whether a user has a permission for a node, and which ACE decides",
        .output = OUTPUT_STRUCTURED,
        .default_format = PRETTY_YSON,
        .options = {PLACED("user", "the user"), PLACED("permission", "read, write, mount, administer, ..."), NODE, FORMAT_OUT},
    },
    {
        .name = "issue-token",
        .summary = "Make a token for a user, and print it: this once",
        .output = OUTPUT_SCALAR,
        .default_format = TEXT_YSON,
        .options = {PLACED("user", "the user")},
    },
    {
        .name = "revoke-token",
        .summary = "Make a token of a user invalid",
        .options = {PLACED("user", "the user"), PLACED("token-sha256", "the token's SHA-256, as list-user-tokens prints it")},
    },
    {
        .name = "list-user-tokens",
        .summary = "Print the SHA-256 of each token of a user",
        .output = OUTPUT_STRUCTURED,
        .default_format = PRETTY_YSON,
        .options = {PLACED("user", "the user"), FORMAT_OUT},
    },
    {
        .name = "whoami",
        .execute = "get_current_user",
        .summary = "Print as whom commands are executed",
        .output = OUTPUT_STRUCTURED,
        .default_format = PRETTY_YSON,
        .options = {FORMAT_OUT},
    },
    {
        .name = "replica ban",
        .execute = "ban_replica_cluster",
        .summary = "Stop replication to a cluster and keep synchronous replicas away from it",
        .options = {CLUSTER},
    },
    {
        .name = "replica unban",
        .execute = "unban_replica_cluster",
        .summary = "Let a banned cluster take part again",
        .options = {CLUSTER},
    },
    {0},
};

// clang-format on

bool name_equal(const char *full_name, const char *name, size_t size)
{
    if (strlen(full_name) != size) return false;
    for (size_t i = 0; i < size; i++) {
        bool is_dash = name[i] == '_' && full_name[i] == '-';
        if (name[i] != full_name[i] && !is_dash) return false;
    }
    return true;
}

const struct command *command_find(const char *name)
{
    for (const struct command *command = COMMANDS; command->name; command++) {
        if (name_equal(command->name, name, strlen(name))) return command;
    }
    return NULL;
}

bool option_has_value(const struct option *option)
{
    switch (option->kind) {
    case OPTION_TRUE:
    case OPTION_FALSE:
    case OPTION_WATCH:
    case OPTION_SYNC:
    case OPTION_HELP: return false;
    case OPTION_STRING:
    case OPTION_INT:
    case OPTION_TIMESTAMP:
    case OPTION_YSON:
    case OPTION_STRINGS:
    case OPTION_INTS:
    case OPTION_YSONS:
    case OPTION_FORMAT:
    case OPTION_INPUT:
    case OPTION_PROXY:
    case OPTION_USER: return true;
    }
    return false;
}
