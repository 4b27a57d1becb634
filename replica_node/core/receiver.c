#include "replica_node/core/receiver.h"

#include "cluster/core/access.h"
#include "cluster/core/subjects.h"

#include <inttypes.h>

// -------------------------------------------------------------------------------------------------
// Sessions

static struct message *new_message(
    const struct source *source, const struct message *received, enum message_kind kind)
{
    struct message *message = message_new(kind);
    message->replica_id = received->replica_id;
    message->session = received->session;
    message->epoch = source ? source->promised : received->epoch;
    return message;
}

static void close_session(struct source *source)
{
    source->link = 0;
    source->is_resolved = false;
    for (uint32_t i = 0; i < source->tablet_count; i++) {
        source->tablets[i].is_ack_due = false;
        source->tablets[i].is_ack_wanted = false;
    }
}

// Ends the session with an error, which is taken over. What was applied before stays. `tablet` is
// the one whose rows are at fault, NULL if it is not the rows.
static void refuse(
    struct sources *sources,
    struct source *source,
    uint64_t link,
    const struct message *received,
    const struct source_tablet *tablet,
    struct error *error)
{
    struct message *nack = new_message(source, received, MESSAGE_NACK);
    nack->error = error;
    if (tablet) {
        struct message_tablet *part = message_set_tablets(nack, 1);
        part->tablet_index = (uint32_t)(tablet - source->tablets);
        part->tail = tablet->tail;
    }
    if (source && source->link == link && source->session == received->session) {
        close_session(source);
    }
    cell_send(sources->cell, sources->cell->lsn, link, nack);
}

// E2: a lower epoch is refused, and an equal one of another incarnation.
static struct error *check_epoch(const struct source *source, const struct message *message)
{
    bool is_lower = message->epoch.number < source->promised.number;
    bool is_other = message->epoch.number == source->promised.number &&
                    message->epoch.incarnation != source->promised.incarnation;
    if (!is_lower && !is_other) return NULL;
    struct error *error = error_new(
        ERROR_ACCESS_DENIED,
        "Replica %s follows a newer coordinator than this one",
        GUID_TEXT(source->replica_id));
    error_set_u64(error, "promised_epoch", source->promised.number);
    return error_set_u64(error, "epoch", message->epoch.number);
}

// Behaviour 5.7.
static struct error *check_upstream(
    const struct table *table, struct guid replica_id, bool preserve_timestamps)
{
    if (guid_equal(table->upstream_replica_id, replica_id)) return NULL;
    if (guid_is_null(table->upstream_replica_id)) {
        if (!preserve_timestamps) return NULL;
        return error_new(
            ERROR_UPSTREAM_REPLICA_MISMATCH,
            "Table is not bound to any upstream replica but replica %s was given",
            GUID_TEXT(replica_id));
    }
    char expected[GUID_TEXT_MAX];
    guid_print(table->upstream_replica_id, expected);
    return error_new(
        ERROR_UPSTREAM_REPLICA_MISMATCH,
        "Mismatched upstream replica: expected %s, got %s",
        expected,
        GUID_TEXT(replica_id));
}

static struct error *check_table(const struct table *table, const struct message *open)
{
    if (!table->is_dynamic) return error_new(ERROR_GENERIC, "Replica table is not dynamic");
    if (table->is_replicated) {
        return error_new(
            ERROR_TABLE_MUST_NOT_BE_REPLICATED,
            "Replicated table %.*s cannot act as a replication sink",
            SLICE(open->replica_path));
    }
    if (table_is_sorted(table) != open->is_sorted) {
        return error_new(
            ERROR_GENERIC,
            "Replicated table and replica table should be either both sorted or both ordered, but "
            "replicated table is %s and replica table is %s",
            open->is_sorted ? "sorted" : "ordered",
            table_is_sorted(table) ? "sorted" : "ordered");
    }
    TRY(check_upstream(table, open->replica_id, open->preserve_timestamps));
    bool is_matched = open->preserve_tablet_index && !open->is_sorted;
    if (is_matched && table->tablet_count != open->tablet_count) {
        return error_new(
            ERROR_GENERIC,
            "Tablet indexes are to be preserved, but the replicated table has %u tablets and the "
            "replica table has %u",
            open->tablet_count,
            table->tablet_count);
    }
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        if (table->tablets[i].state == TABLET_MOUNTED) continue;
        return error_new(
            ERROR_TABLET_NOT_MOUNTED,
            "Table %.*s has no mounted tablets",
            SLICE(open->replica_path));
    }
    return NULL;
}

static bool has_tablets(const struct source *source, const struct message *open)
{
    if (source->tablet_count != open->tablet_count) return false;
    for (uint32_t i = 0; i < open->tablet_count; i++) {
        if (!guid_equal(source->tablets[i].tablet_id, open->tablets[i].tablet_id)) return false;
    }
    return true;
}

static bool has_received(const struct source *source)
{
    for (uint32_t i = 0; i < source->tablet_count; i++) {
        if (source->tablets[i].tail.row_index > 0) return true;
    }
    return false;
}

static struct error *check_source(const struct source *source, const struct message *open)
{
    if (!guid_equal(source->meta_cluster_id, open->meta_cluster_id)) {
        return error_new(
            ERROR_ACCESS_DENIED,
            "Replica %s belongs to another meta-cluster",
            GUID_TEXT(source->replica_id));
    }
    TRY(check_epoch(source, open));
    if (has_tablets(source, open) || !has_received(source)) return NULL;
    return error_new(
        ERROR_GENERIC,
        "Tablets of the replicated table have changed since replica %s was begun",
        GUID_TEXT(source->replica_id));
}

static void set_hello(const struct source *source, struct message *hello)
{
    struct message_tablet *parts = message_set_tablets(hello, source->tablet_count);
    for (uint32_t i = 0; i < source->tablet_count; i++) {
        const struct source_tablet *tablet = &source->tablets[i];
        parts[i].tablet_index = i;
        parts[i].tail = tablet->tail;
        parts[i].decided = tablet->decided;
        parts[i].entry_count = (uint32_t)arr_count(tablet->entries);
        parts[i].entries =
            ARENA_NEW(&hello->arena, struct message_entry, arr_count(tablet->entries));
        for (size_t j = 0; j < arr_count(tablet->entries); j++) {
            parts[i].entries[j].position = tablet->entries[j].end;
            parts[i].entries[j].state = tablet->entries[j].state;
        }
    }
}

static struct error *open_source(
    struct sources *sources, const struct message *open, struct source **ret_source)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct table *table = NULL;
    TRY(tree_resolve_table(&sources->cell->tree, &arena, open->replica_path, &table));
    TRY(check_table(table, open));
    struct source *source = sources_find(sources, open->replica_id);
    if (source && source->table != table) {
        return error_new(
            ERROR_GENERIC,
            "Replica %s is bound to another table of this cluster",
            GUID_TEXT(open->replica_id));
    }
    if (source) {
        TRY(check_source(source, open));
    } else {
        source = source_begin(sources, table, open);
    }
    *ret_source = source;
    return NULL;
}

static void on_open(struct sources *sources, uint64_t link, const struct message *open)
{
    struct cell *cell = sources->cell;
    struct source *source = NULL;
    struct error *error = open_source(sources, open, &source);
    if (error) {
        cell_apply(cell);
        refuse(sources, NULL, link, open, NULL, error);
        return;
    }
    bool is_same_epoch = source->promised.number == open->epoch.number;
    if (is_same_epoch && open->session <= source->session) return; // S2: it comes late.
    if (!has_tablets(source, open)) source_change_tablets(sources, source, open);
    close_session(source); // S2: older sessions are over before HELLO leaves.
    source->promised = open->epoch;
    source->session = open->session;
    source->link = link;
    source->preserve_timestamps = open->preserve_timestamps;
    source->preserve_tablet_index = open->preserve_tablet_index;
    source_save(sources, source); // E2: durable before HELLO.
    cell_apply(cell);
    struct message *hello = new_message(source, open, MESSAGE_HELLO);
    hello->table_incarnation = source->table->object->id;
    set_hello(source, hello);
    cell_send(cell, cell->lsn, link, hello);
}

static struct error *resolve_tablet(
    struct sources *sources, struct source *source, const struct message_tablet *part)
{
    struct source_tablet *tablet = &source->tablets[part->tablet_index];
    size_t count = arr_count(tablet->entries);
    if (part->resolution_count != count) {
        return error_new(ERROR_GENERIC, "RESOLVE does not answer what HELLO listed");
    }
    size_t kept = 0;
    struct position tail = tablet->decided;
    for (; kept < count; kept++) {
        struct source_entry *entry = &tablet->entries[kept];
        enum resolution resolution = part->resolutions[kept];
        if (resolution == RESOLUTION_DISCARD) break;
        tail = entry->end;
        if (resolution == RESOLUTION_KEEP) continue;
        bool is_committed = resolution == RESOLUTION_COMMIT;
        TRY(source_decide(sources, source, tablet, entry, is_committed));
    }
    for (size_t i = kept; i < count; i++) { // S4: all that follow, one by one, as pairs.
        struct source_entry *entry = &tablet->entries[i];
        if (part->resolutions[i] != RESOLUTION_DISCARD || entry->state != RECORD_UNDECIDED) {
            return error_new(ERROR_GENERIC, "RESOLVE would discard a decided record");
        }
    }
    if (kept < count) source_discard(sources, source, tablet, kept, tail);
    TRY(source_advance(sources, source, tablet));
    source_save_positions(sources, source, tablet);
    tablet->is_ack_due = true;
    return NULL;
}

static struct error *on_resolve(
    struct sources *sources, struct source *source, const struct message *resolve)
{
    if (resolve->error) { // Refused: the coordinator knows why, and shows it.
        close_session(source);
        return NULL;
    }
    if (source->is_resolved || resolve->tablet_count != source->tablet_count) {
        return error_new(ERROR_GENERIC, "RESOLVE does not answer HELLO");
    }
    for (uint32_t i = 0; i < source->tablet_count; i++) {
        if (resolve->tablets[i].tablet_index != i) {
            return error_new(ERROR_GENERIC, "RESOLVE has its tablets out of order");
        }
        TRY(resolve_tablet(sources, source, &resolve->tablets[i]));
    }
    source->is_resolved = true;
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Records

static struct error *check_mounted(const struct table *table)
{
    for (uint32_t i = 0; i < table->tablet_count; i++) {
        if (table->tablets[i].state == TABLET_MOUNTED) continue;
        struct arena arena CLEANUP(arena_releasep) = {0};
        return error_new(
            ERROR_TABLET_NOT_MOUNTED,
            "Table %.*s has no mounted tablets",
            SLICE(object_path(&arena, table->object)));
    }
    return NULL;
}

// C9: who writes here through the replicated table may write here. What is decided is not asked.
static struct error *check_writer(
    struct cell *cell, const struct table *table, const struct message_record *record)
{
    struct slice user = record->user;
    if (user.size == 0 || record->state != RECORD_UNDECIDED) return NULL;
    if (user_find(&cell->tree, user))
        return access_check(&cell->tree, user, PERMISSION_WRITE, table->object);
    return error_new(
        ERROR_ACCESS_DENIED,
        "Access denied for user \"%.*s\": there is no such user on cluster \"%.*s\"",
        SLICE(user),
        SLICE(buffer_slice(&cell->cluster_name)));
}

// A1. `*ret_refused` is the tablet if its rows are at fault.
static struct error *on_rows(
    struct sources *sources,
    struct source *source,
    const struct message_tablet *part,
    const struct source_tablet **ret_refused)
{
    struct source_tablet *tablet = &source->tablets[part->tablet_index];
    tablet->is_ack_due = true;
    if (!position_equal(part->from, tablet->tail)) {
        if (position_equal(part->to, tablet->tail) || source_find_entry(tablet, part->to))
            return NULL;
        struct error *error =
            error_new(ERROR_GENERIC, "Replicated rows do not begin where the replica's log ends");
        error_set_u64(error, "expected_row_index", tablet->tail.row_index);
        return error_set_u64(error, "actual_row_index", part->from.row_index);
    }
    TRY(check_mounted(source->table));
    // It may have been altered since the session began.
    TRY(check_upstream(source->table, source->replica_id, source->preserve_timestamps));
    struct error *error = NULL;
    for (uint32_t i = 0; !error && i < part->record_count; i++) {
        error = check_writer(sources->cell, source->table, &part->records[i]);
        if (!error) error = source_add(sources, source, tablet, &part->records[i]);
    }
    if (error) *ret_refused = tablet;
    source_save_positions(sources, source, tablet); // one-position: with the rows.
    if (!error && !position_equal(tablet->tail, part->to)) {
        error = error_new(ERROR_GENERIC, "Replicated rows do not end where they should");
    }
    if (!error) source_close_timestamp(sources, tablet, part);
    return error;
}

static struct error *on_decide(
    struct sources *sources, struct source *source, const struct message_tablet *part)
{
    struct source_tablet *tablet = &source->tablets[part->tablet_index];
    for (uint32_t i = 0; i < part->decision_count; i++) {
        const struct message_decision *decision = &part->decisions[i];
        struct source_entry *entry = source_find_entry(tablet, decision->position);
        if (!entry) continue; // Decided before, and behind us.
        TRY(source_decide(sources, source, tablet, entry, decision->is_committed));
    }
    TRY(source_advance(sources, source, tablet));
    source_save_positions(sources, source, tablet);
    tablet->is_ack_wanted = true;
    source_close_timestamp(sources, tablet, part);
    return NULL;
}

static struct error *receive_in_session(
    struct sources *sources,
    struct source *source,
    const struct message *message,
    const struct source_tablet **ret_refused)
{
    if (message->kind == MESSAGE_RESOLVE) return on_resolve(sources, source, message);
    if (!source->is_resolved) return error_new(ERROR_GENERIC, "Message came before RESOLVE"); // S1.
    if (message->kind == MESSAGE_ROWS) TRY(cell_check_writable(sources->cell));
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        const struct message_tablet *part = &message->tablets[i];
        if (part->tablet_index >= source->tablet_count) {
            return error_new(ERROR_GENERIC, "Message is about a tablet that does not exist");
        }
        if (message->kind == MESSAGE_ROWS) TRY(on_rows(sources, source, part, ret_refused));
        if (message->kind == MESSAGE_DECIDE) TRY(on_decide(sources, source, part));
        if (message->kind == MESSAGE_BEAT) {
            source_close_timestamp(sources, &source->tablets[part->tablet_index], part);
        }
    }
    return NULL;
}

// Answered at once: it says that this process and its loop are alive, not that anything is durable.
static void on_ping(struct sources *sources, uint64_t link, const struct message *ping)
{
    struct message *pong = message_new(MESSAGE_PONG);
    pong->epoch = ping->epoch;
    pong->cluster_flags = cell_flags(sources->cell);
    cell_send(sources->cell, 0, link, pong);
}

void receiver_receive(struct sources *sources, uint64_t link, const struct message *message)
{
    if (message->kind == MESSAGE_OPEN) {
        on_open(sources, link, message);
        return;
    }
    if (message->kind == MESSAGE_PING) {
        on_ping(sources, link, message);
        return;
    }
    struct source *source = sources_find(sources, message->replica_id);
    // S2: whatever does not belong to the open session is dropped unread.
    if (!source || source->link != link || source->session != message->session) return;
    if (message->epoch.number != source->promised.number ||
        message->epoch.incarnation != source->promised.incarnation) {
        return;
    }
    const struct source_tablet *refused = NULL;
    struct error *error = receive_in_session(sources, source, message, &refused);
    if (message->kind == MESSAGE_ROWS) {
        cell_apply_urgent(sources->cell); // A4: durable before it is seen.
    } else {
        cell_apply(sources->cell);
    }
    if (error) refuse(sources, source, link, message, refused, error);
}

// Messages for what is not there any more would be dropped, and their senders would wait for ever.
void receiver_table_removing(struct sources *sources, struct table *table)
{
    for (size_t i = 0; table->sink && i < arr_count(table->sink->sources); i++) {
        const struct source *source = table->sink->sources[i];
        if (source->link == 0) continue;
        struct message *nack = message_new(MESSAGE_NACK);
        nack->epoch = source->promised;
        nack->replica_id = source->replica_id;
        nack->session = source->session;
        nack->error = error_new(
            ERROR_RESOLVE_ERROR,
            "Error resolving path %.*s: the table was removed",
            SLICE(object_path(&nack->arena, table->object)));
        cell_send(sources->cell, sources->cell->lsn, source->link, nack);
    }
    sources_table_removing(sources, table);
}

void receiver_link_down(struct sources *sources, uint64_t link)
{
    for (struct source *source = sources->by_id; source; source = source->hh.next) {
        if (source->link == link) close_session(source);
    }
}

static void acknowledge(struct sources *sources, struct source *source)
{
    // What only tells decided positions waits for a sync that comes for other reasons.
    bool is_all_durable = sources->cell->durable_lsn >= sources->cell->lsn;
    uint32_t count = 0;
    for (uint32_t i = 0; i < source->tablet_count; i++) {
        struct source_tablet *tablet = &source->tablets[i];
        if (tablet->is_ack_wanted && is_all_durable) tablet->is_ack_due = true;
        count += tablet->is_ack_due;
    }
    if (count == 0 || source->link == 0) return;
    struct message *ack = message_new(MESSAGE_ACK);
    ack->epoch = source->promised;
    ack->replica_id = source->replica_id;
    ack->session = source->session;
    struct message_tablet *part = message_set_tablets(ack, count);
    for (uint32_t i = 0; i < source->tablet_count; i++) {
        struct source_tablet *tablet = &source->tablets[i];
        if (!tablet->is_ack_due) continue;
        tablet->is_ack_due = false;
        tablet->is_ack_wanted = false;
        part->tablet_index = i;
        part->tail = tablet->tail;
        part->decided = tablet->decided;
        part++;
    }
    cell_send(sources->cell, sources->cell->lsn, source->link, ack); // A2.
}

void receiver_flush(struct sources *sources)
{
    for (struct source *source = sources->by_id; source; source = source->hh.next) {
        acknowledge(sources, source);
    }
}
