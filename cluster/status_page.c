#include "cluster/status_page.h"

#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"

#include <inttypes.h>

static const char STYLE[] =
    "body{font:14px sans-serif;margin:1.5em;color:#222}table{border-collapse:collapse;margin:.5em "
    "0}th,td{border:1px solid #ccc;padding:.2em .6em;text-align:left;vertical-align:top}"
    "th{background:#f3f3f3}td.number{text-align:right}.bad{color:#b00}code{font-size:13px}";

static void put_text(struct buffer *html, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        switch (text.data[i]) {
        case '<': buffer_append_text(html, "&lt;"); break;
        case '>': buffer_append_text(html, "&gt;"); break;
        case '&': buffer_append_text(html, "&amp;"); break;
        case '"': buffer_append_text(html, "&quot;"); break;
        default: buffer_append_byte(html, (uint8_t)text.data[i]);
        }
    }
}

static void put_cell(struct buffer *html, const char *text)
{
    buffer_append_text(html, "<td>");
    put_text(html, slice_from_text(text));
    buffer_append_text(html, "</td>");
}

static void put_number(struct buffer *html, uint64_t number)
{
    buffer_print(html, "<td class=number>%" PRIu64 "</td>", number);
}

static void put_error(struct buffer *html, const struct error *error)
{
    buffer_append_text(html, "<td class=bad>");
    for (; error; error = error_inner(error)) {
        put_text(html, slice_from_text(error_message(error)));
        if (error_inner(error)) buffer_append_text(html, ": ");
    }
    buffer_append_text(html, "</td>");
}

// -------------------------------------------------------------------------------------------------

struct cluster_rows {
    struct buffer *html;
    const struct machine *machine;
};

static void put_cluster(void *context, struct slice name, struct slice address)
{
    const struct cluster_rows *rows = context;
    const struct peer *peer = rows->machine->coordinator.peers;
    bool is_linked = false;
    for (; peer; peer = peer->hh.next) is_linked = is_linked || slice_equal(peer->cluster, name);
    buffer_append_text(rows->html, "<tr><td>");
    put_text(rows->html, name);
    buffer_append_text(rows->html, "</td><td><code>");
    put_text(rows->html, address);
    buffer_print(
        rows->html,
        "</code></td><td%s>%s</td></tr>\n",
        is_linked ? "" : " class=bad",
        is_linked ? "connected" : "not connected");
}

static void put_clusters(const struct machine *machine, struct buffer *html)
{
    struct cluster_rows rows = {.html = html, .machine = machine};
    buffer_append_text(
        html, "<h2>Clusters of replicas</h2>\n<table><tr><th>name<th>address<th>link</tr>\n");
    machine_each_peer(machine, put_cluster, &rows);
    buffer_append_text(html, "</table>\n");
}

static const char *tablets_state(const struct table *table)
{
    for (uint32_t i = 1; i < table->tablet_count; i++) {
        if (table->tablets[i].state != table->tablets[0].state) return "mixed";
    }
    return tablet_state_name(table->tablets[0].state);
}

static void put_log(const struct table *table, struct buffer *html)
{
    uint64_t end = 0;
    uint64_t trimmed = 0;
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        const struct queue *queue = table->tablets[i].queue;
        if (!queue) continue;
        end += queue->end.row_index;
        trimmed += queue->trimmed.row_index;
    }
    put_number(html, end);
    put_number(html, trimmed);
}

static void put_table(const struct table *table, struct buffer *html)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    buffer_append_text(html, "<tr><td><code>");
    put_text(html, object_path(&arena, table->object));
    buffer_append_text(html, "</code></td>");
    put_cell(html, object_type_name(table->object->type));
    put_number(html, table->tablet_count);
    put_cell(html, table->is_dynamic && table->tablet_count > 0 ? tablets_state(table) : "");
    put_number(html, table->counters.write_row_count);
    put_number(html, table->counters.commit_row_count);
    if (table->is_replicated) {
        put_log(table, html);
    } else {
        buffer_append_text(html, "<td><td>");
    }
    bool is_bound = !guid_is_null(table->upstream_replica_id);
    buffer_append_text(html, "<td><code>");
    if (is_bound) buffer_append_text(html, GUID_TEXT(table->upstream_replica_id));
    buffer_append_text(html, "</code></td></tr>\n");
}

static void put_tables(const struct tree *tree, struct buffer *html)
{
    size_t count = 0;
    buffer_append_text(
        html,
        "<h2>Tables</h2>\n<table><tr><th>path<th>type<th>tablets<th>state<th>rows "
        "written<th>rows committed<th>log ends at<th>log trimmed to<th>upstream replica</tr>\n");
    for (const struct object *o = tree->objects; o; o = o->hh.next) {
        if (o->table && count++ < STATUS_PAGE_TABLE_COUNT_MAX) put_table(o->table, html);
    }
    buffer_append_text(html, "</table>\n");
    if (count > STATUS_PAGE_TABLE_COUNT_MAX)
        buffer_print(html, "<p>%zu more are not shown.</p>\n", count - STATUS_PAGE_TABLE_COUNT_MAX);
}

static const struct error *replica_error(const struct session *session)
{
    const struct error *error = session->error;
    for (uint32_t i = 0; i < session->tablet_count && !error; i++)
        error = session_tablet_error(session, i);
    return error;
}

static void put_replica(const struct cell *cell, const struct replica *replica, struct buffer *html)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    const struct session *session = replica->session;
    uint64_t position = 0;
    uint64_t end = 0;
    for (uint32_t i = 0; i < session->tablet_count; i++) {
        position += session->tablets[i].progress.row_index;
        end += replica->table->tablets[i].queue->end.row_index;
    }
    buffer_append_text(html, "<tr><td><code>");
    put_text(html, object_path(&arena, replica->table->object));
    buffer_append_text(html, "</code></td><td>");
    put_text(html, buffer_slice(&replica->cluster_name));
    buffer_append_text(html, "</td><td><code>");
    put_text(html, buffer_slice(&replica->path));
    buffer_print(html, "</code></td><td><code>%s</code></td>", GUID_TEXT(replica->object->id));
    put_cell(html, replica_mode_name(replica->mode));
    put_cell(html, replica_state_name(replica->state));
    buffer_print(html, "<td class=number>%.3f s</td>", (double)session_lag_ms(cell, session) / 1e3);
    put_number(html, position);
    put_number(html, end > position ? end - position : 0);
    put_error(html, replica_error(session));
    buffer_append_text(html, "</tr>\n");
}

static void put_replicas(const struct cell *cell, struct buffer *html)
{
    size_t count = 0;
    buffer_append_text(
        html,
        "<h2>Replicas</h2>\n<table><tr><th>table<th>cluster<th>path there<th>id<th>mode<th>state"
        "<th>lag<th>position<th>rows behind<th>error</tr>\n");
    for (const struct object *o = cell->tree.objects; o; o = o->hh.next) {
        if (o->replica && count++ < STATUS_PAGE_TABLE_COUNT_MAX)
            put_replica(cell, o->replica, html);
    }
    buffer_append_text(html, "</table>\n");
    if (count > STATUS_PAGE_TABLE_COUNT_MAX)
        buffer_print(html, "<p>%zu more are not shown.</p>\n", count - STATUS_PAGE_TABLE_COUNT_MAX);
}

void status_page_write(const struct status_source *source, struct buffer *html)
{
    const struct machine *machine = source->loop->machine;
    const struct cell *cell = &machine->cell;
    char time[LOG_TIME_MAX];
    buffer_append_text(html, "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><title>");
    put_text(html, slice_from_text(source->cluster_name));
    buffer_print(html, " - retable</title><style>%s</style></head><body>\n<h1>Cluster ", STYLE);
    put_text(html, slice_from_text(source->cluster_name));
    buffer_print(
        html,
        "</h1>\n<p>retable %s, %s, up since %s; this is of ",
        source->version,
        cell->options.is_meta ? "coordinator" : "node",
        log_print_time(source->start_wall_us, time));
    buffer_print(html, "%s.</p>\n", log_print_time(source->now_wall_us, time));
    const struct error *problems[] = {machine->coordinator.amnesia, machine->cell.disk_error};
    for (size_t i = 0; i < 2; i++) {
        if (!problems[i]) continue;
        buffer_append_text(html, "<p class=bad>");
        put_text(html, slice_from_text(error_message(problems[i])));
        buffer_append_text(html, "</p>\n");
    }
    if (cell->options.is_meta) put_replicas(cell, html);
    put_tables(&cell->tree, html);
    if (cell->options.is_meta) put_clusters(machine, html);
    buffer_append_text(html, "<p><a href=\"/metrics\">Metrics</a></p>\n</body></html>\n");
}
