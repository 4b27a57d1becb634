#include "cluster/metrics.h"

#include "base/number.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "io/process.h"
#include "io/rocks_store.h"

#include <inttypes.h>
#include <stddef.h>

static void begin(struct buffer *text, const char *name, const char *kind, const char *help)
{
    buffer_print(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void put_real(struct buffer *text, double value)
{
    char digits[NUMBER_TEXT_MAX];
    buffer_print(text, " %s\n", number_print_double(value, digits));
}

static void put_counter(struct buffer *text, const char *name, const char *help, uint64_t value)
{
    begin(text, name, "counter", help);
    buffer_print(text, "%s %" PRIu64 "\n", name, value);
}

static void put_gauge(struct buffer *text, const char *name, const char *help, uint64_t value)
{
    begin(text, name, "gauge", help);
    buffer_print(text, "%s %" PRIu64 "\n", name, value);
}

// The value of a label.
static void put_label(struct buffer *text, const char *name, struct slice value)
{
    buffer_print(text, "%s=\"", name);
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        if (c == '\\' || c == '"') buffer_append_byte(text, '\\');
        if (c == '\n') {
            buffer_append_text(text, "\\n");
        } else {
            buffer_append_byte(text, (uint8_t)c);
        }
    }
    buffer_append_byte(text, '"');
}

// -------------------------------------------------------------------------------------------------
// Process and requests

static void put_process(const struct metrics_source *source, struct buffer *text)
{
    struct process_usage usage = process_usage();
    begin(text, "process_cpu_seconds_total", "counter", "CPU time of the process.");
    buffer_append_text(text, "process_cpu_seconds_total");
    put_real(text, (double)usage.cpu_us / 1e6);
    begin(text, "process_start_time_seconds", "gauge", "When the process started, since 1970.");
    buffer_append_text(text, "process_start_time_seconds");
    put_real(text, (double)source->start_wall_us / 1e6);
    put_gauge(text, "process_resident_memory_bytes", "Memory of the process.", usage.resident_size);
    put_gauge(
        text, "process_virtual_memory_bytes", "Address space of the process.", usage.virtual_size);
    put_gauge(text, "process_open_fds", "Open file descriptors.", usage.file_count);
    put_gauge(text, "process_max_fds", "How many may be open.", usage.file_count_max);
    put_gauge(text, "process_threads", "Threads of the process.", usage.thread_count);
}

static void put_requests(const struct metrics_source *source, struct buffer *text)
{
    const struct loop *loop = source->loop;
    const struct machine *machine = loop->machine;
    const struct coordinator *coordinator = &machine->coordinator;
    put_counter(
        text,
        "retable_requests_total",
        "Requests over gRPC and HTTP that reached the cluster.",
        machine->request_count);
    put_counter(
        text,
        "retable_failed_requests_total",
        "Requests that were answered by an error.",
        machine->failed_request_count);
    put_gauge(text, "retable_requests", "Requests under way.", loop->request_count);
    put_gauge(text, "retable_requests_bytes", "Their size when they came.", loop->request_size);
    put_counter(
        text,
        "retable_http_requests_total",
        "HTTP requests, whatever they were for.",
        source->http_request_count);
    put_gauge(text, "retable_http_connections", "Connections.", source->http_connection_count);
    put_gauge(
        text, "retable_http_body_bytes", "Bodies that are being received.", source->http_body_size);
    put_gauge(
        text,
        "retable_tablet_transactions",
        "Tablet transactions that are open.",
        HASH_COUNT(machine->transactions));
    put_gauge(text, "retable_undecided_commits", "Commits under way.", coordinator->commit_count);
    put_gauge(text, "retable_undecided_commits_bytes", "Their rows.", coordinator->commit_size);
    put_gauge(
        text,
        "retable_disk_full",
        "Whether writes are refused for lack of room.",
        machine->cell.disk_error != NULL);
}

// -------------------------------------------------------------------------------------------------
// Tables and replicas: a family of metrics at a time, as the format wants it

struct table_metric {
    const char *name;
    const char *help;
    size_t offset; // Of a counter in struct table_counters.
};

static const struct table_metric TABLE_METRICS[] = {
    {"retable_write_rows_total",
     "Rows accepted into a table or its replication log.",
     offsetof(struct table_counters, write_row_count)},
    {"retable_write_data_weight_bytes_total",
     "Their data weight.",
     offsetof(struct table_counters, write_data_weight)},
    {"retable_commit_rows_total",
     "Rows committed, by clients or from upstream.",
     offsetof(struct table_counters, commit_row_count)},
    {"retable_commit_data_weight_bytes_total",
     "Their data weight.",
     offsetof(struct table_counters, commit_data_weight)},
};

static void put_table_labels(struct buffer *text, const struct table *table)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    put_label(text, "table_path", object_path(&arena, table->object));
}

static void put_tables(const struct tree *tree, struct buffer *text)
{
    for (size_t i = 0; i < sizeof TABLE_METRICS / sizeof *TABLE_METRICS; i++) {
        const struct table_metric *metric = &TABLE_METRICS[i];
        begin(text, metric->name, "counter", metric->help);
        for (const struct object *o = tree->objects; o; o = o->hh.next) {
            if (!o->table) continue;
            uint64_t value = 0;
            memcpy(&value, (const char *)&o->table->counters + metric->offset, sizeof value);
            buffer_print(text, "%s{", metric->name);
            put_table_labels(text, o->table);
            buffer_print(text, "} %" PRIu64 "\n", value);
        }
    }
}

static uint64_t lag_row_count(const struct replica *replica)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < replica->session->tablet_count; i++) {
        uint64_t end = replica->table->tablets[i].queue->end.row_index;
        uint64_t progress = replica->session->tablets[i].progress.row_index;
        count += end > progress ? end - progress : 0;
    }
    return count;
}

enum replica_metric {
    REPLICA_LAG_ROWS,
    REPLICA_LAG_SECONDS,
    REPLICA_ROWS,
    REPLICA_WEIGHT,
    REPLICA_BYTES,
    REPLICA_BATCHES,
    REPLICA_BATCH_ROWS,
    REPLICA_BATCH_WEIGHT,
    REPLICA_THROTTLE_TIME,
    REPLICA_THROTTLED_WEIGHT,
    REPLICA_START_TIME,
    REPLICA_WRITE_TIME,
    REPLICA_COMMIT_TIME,
    REPLICA_ERRORS,
    REPLICA_SWITCHES,
    REPLICA_INFO,
    REPLICA_METRIC_COUNT,
};

static const struct {
    const char *name;
    const char *kind;
    const char *help;
} REPLICA_METRICS[] = {
    [REPLICA_LAG_ROWS] =
        {"retable_replica_lag_rows",
         "gauge",
         "Rows of the replication log that the replica does not have, of all tablets."},
    [REPLICA_LAG_SECONDS] =
        {"retable_replica_lag_seconds",
         "gauge",
         "How long the oldest row has waited that the replica does not have; 0 if it has all."},
    [REPLICA_ROWS] =
        {"retable_replica_replication_rows_total",
         "counter",
         "Rows that the replica has got and kept."},
    [REPLICA_WEIGHT] =
        {"retable_replica_replication_data_weight_bytes_total",
         "counter",
         "Data weight of the batches that it has got and kept."},
    [REPLICA_BYTES] =
        {"retable_replica_replication_bytes_total",
         "counter",
         "Rows sent to the replica, as encoded."},
    [REPLICA_BATCHES] =
        {"retable_replica_replication_batches_total", "counter", "Batches of rows sent to it."},
    [REPLICA_BATCH_ROWS] =
        {"retable_replica_replication_batch_rows", "summary", "Rows of each batch sent to it."},
    [REPLICA_BATCH_WEIGHT] =
        {"retable_replica_replication_batch_data_weight_bytes",
         "summary",
         "Data weight of each batch sent to it."},
    [REPLICA_THROTTLE_TIME] =
        {"retable_replica_replication_throttle_seconds",
         "summary",
         "How long throttlers held up each batch before it was sent."},
    [REPLICA_THROTTLED_WEIGHT] =
        {"retable_replica_replication_throttled_bytes_total",
         "counter",
         "Data weight of batches that throttlers held up."},
    [REPLICA_START_TIME] =
        {"retable_replica_replication_start_seconds",
         "summary",
         "How long each session with the replica took to open."},
    [REPLICA_WRITE_TIME] =
        {"retable_replica_replication_write_seconds",
         "summary",
         "From sending a batch to hearing that the replica holds it durably."},
    [REPLICA_COMMIT_TIME] =
        {"retable_replica_replication_commit_seconds",
         "summary",
         "From then until all of the batch is decided there: of one batch at a time."},
    [REPLICA_ERRORS] =
        {"retable_replica_replication_errors_total",
         "counter",
         "Failures of replication, lost connections among them."},
    [REPLICA_SWITCHES] =
        {"retable_replica_mode_switches_total",
         "counter",
         "Changes of the replica's mode by the tracker."},
    [REPLICA_INFO] =
        {"retable_replica_info", "gauge", "1, with the replica's mode and state as labels."},
};

struct sample {
    uint64_t value; // Of a summary the sum.
    uint64_t count; // Of a summary.
    bool is_time;   // `value` is in microseconds.
};

static struct sample take_sample(
    const struct cell *cell, enum replica_metric metric, const struct replica *replica)
{
    const struct session_counters *c = &replica->session->counters;
    struct feeder_counters f = session_feeder_counters(replica->session);
    switch (metric) {
    case REPLICA_LAG_ROWS: return (struct sample){lag_row_count(replica), 0, false};
    case REPLICA_LAG_SECONDS:
        return (struct sample){session_backlog_ms(cell, replica->session) * 1000, 0, true};
    case REPLICA_ROWS: return (struct sample){c->row_count, 0, false};
    case REPLICA_WEIGHT: return (struct sample){f.weight, 0, false};
    case REPLICA_BYTES: return (struct sample){c->size, 0, false};
    case REPLICA_BATCHES: return (struct sample){c->batch_count, 0, false};
    case REPLICA_BATCH_ROWS: return (struct sample){c->sent_row_count, c->batch_count, false};
    case REPLICA_BATCH_WEIGHT: return (struct sample){c->sent_weight, c->batch_count, false};
    case REPLICA_THROTTLE_TIME: return (struct sample){c->throttled_us, c->batch_count, true};
    case REPLICA_THROTTLED_WEIGHT: return (struct sample){c->throttled_weight, 0, false};
    case REPLICA_START_TIME: return (struct sample){c->open_us, c->open_count, true};
    case REPLICA_WRITE_TIME: return (struct sample){f.keep_us, f.kept_count, true};
    case REPLICA_COMMIT_TIME: return (struct sample){f.decide_us, f.decided_count, true};
    case REPLICA_ERRORS: return (struct sample){c->error_count, 0, false};
    case REPLICA_SWITCHES: return (struct sample){c->switch_count, 0, false};
    case REPLICA_INFO:
    case REPLICA_METRIC_COUNT: break;
    }
    return (struct sample){1, 0, false};
}

static void put_replica_labels(
    struct buffer *text, enum replica_metric metric, const struct replica *replica)
{
    buffer_append_byte(text, '{');
    put_table_labels(text, replica->table);
    buffer_append_byte(text, ',');
    put_label(text, "replica_cluster", buffer_slice(&replica->cluster_name));
    buffer_append_byte(text, ',');
    put_label(text, "replica_id", slice_from_text(GUID_TEXT(replica->object->id)));
    if (metric == REPLICA_INFO) {
        buffer_append_byte(text, ',');
        put_label(text, "mode", slice_from_text(replica_mode_name(replica->mode)));
        buffer_append_byte(text, ',');
        put_label(text, "state", slice_from_text(replica_state_name(replica->state)));
    }
    buffer_append_byte(text, '}');
}

static void put_replica(
    const struct cell *cell,
    enum replica_metric metric,
    const struct replica *replica,
    struct buffer *text)
{
    struct sample sample = take_sample(cell, metric, replica);
    bool is_summary = strcmp(REPLICA_METRICS[metric].kind, "summary") == 0;
    buffer_print(text, "%s%s", REPLICA_METRICS[metric].name, is_summary ? "_sum" : "");
    put_replica_labels(text, metric, replica);
    if (sample.is_time) {
        put_real(text, (double)sample.value / 1e6);
    } else {
        buffer_print(text, " %" PRIu64 "\n", sample.value);
    }
    if (!is_summary) return;
    buffer_print(text, "%s_count", REPLICA_METRICS[metric].name);
    put_replica_labels(text, metric, replica);
    buffer_print(text, " %" PRIu64 "\n", sample.count);
}

static void put_replicas(const struct cell *cell, struct buffer *text)
{
    for (int metric = 0; metric < REPLICA_METRIC_COUNT; metric++) {
        begin(
            text,
            REPLICA_METRICS[metric].name,
            REPLICA_METRICS[metric].kind,
            REPLICA_METRICS[metric].help);
        for (const struct object *o = cell->tree.objects; o; o = o->hh.next) {
            if (o->replica) put_replica(cell, (enum replica_metric)metric, o->replica, text);
        }
    }
}

// -------------------------------------------------------------------------------------------------
// The store

static const struct {
    const char *name;
    const char *property;
    const char *help;
} STORE_METRICS[] = {
    {"retable_store_live_data_bytes", "rocksdb.estimate-live-data-size", "Live data, an estimate."},
    {"retable_store_files_bytes", "rocksdb.total-sst-files-size", "Files of sorted data."},
    {"retable_store_memtable_bytes", "rocksdb.cur-size-all-mem-tables", "Data in memory."},
    {"retable_store_keys", "rocksdb.estimate-num-keys", "Keys, an estimate."},
    {"retable_store_compaction_pending_bytes",
     "rocksdb.estimate-pending-compaction-bytes",
     "What has to be compacted."},
    {"retable_store_snapshots", "rocksdb.num-snapshots", "Snapshots that are held."},
};

static void put_store(const struct metrics_source *source, struct buffer *text)
{
    static const char *const FAMILIES[] = {
        [STORE_META] = "meta",
        [STORE_QUEUE] = "queue",
        [STORE_DATA] = "data",
    };
    for (size_t i = 0; i < sizeof STORE_METRICS / sizeof *STORE_METRICS; i++) {
        begin(text, STORE_METRICS[i].name, "gauge", STORE_METRICS[i].help);
        for (int family = 0; family < STORE_FAMILY_COUNT; family++) {
            buffer_print(
                text,
                "%s{family=\"%s\"} %" PRIu64 "\n",
                STORE_METRICS[i].name,
                FAMILIES[family],
                rocks_store_property(
                    source->store, (enum store_family)family, STORE_METRICS[i].property));
        }
    }
    struct rocks_store_reads reads = rocks_store_log_reads(source->store);
    static const char *const READ_NAME = "retable_store_log_read_seconds";
    begin(text, READ_NAME, "summary", "Reading runs of records of logs that are not in memory.");
    buffer_print(text, "%s_sum", READ_NAME);
    put_real(text, (double)reads.us / 1e6);
    buffer_print(text, "%s_count %" PRIu64 "\n", READ_NAME, reads.count);
    put_gauge(
        text,
        "retable_store_block_cache_bytes",
        "Blocks of files in memory.",
        rocks_store_property(source->store, STORE_DATA, "rocksdb.block-cache-usage"));
    put_gauge(
        text,
        "retable_store_write_stopped",
        "Whether writes wait for compaction.",
        rocks_store_property(source->store, STORE_DATA, "rocksdb.is-write-stopped"));
}

void metrics_write(const struct metrics_source *source, struct buffer *text)
{
    const struct cell *cell = &source->loop->machine->cell;
    begin(text, "retable_build_info", "gauge", "1, with version and cluster as labels.");
    buffer_append_text(text, "retable_build_info{");
    put_label(text, "version", slice_from_text(source->version));
    buffer_append_byte(text, ',');
    put_label(text, "cluster", slice_from_text(source->cluster_name));
    buffer_print(text, ",role=\"%s\"} 1\n", cell->options.is_meta ? "coordinator" : "node");
    put_process(source, text);
    put_requests(source, text);
    put_tables(&cell->tree, text);
    put_replicas(cell, text);
    put_store(source, text);
}
