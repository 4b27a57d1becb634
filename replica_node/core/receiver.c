#include "replica_node/core/receiver.h"

#include "cluster/core/layout.h"

#include <assert.h>
#include <inttypes.h>

enum { HASH_COUNT_KEPT_MAX = 32 };

// -------------------------------------------------------------------------------------------------
// What is in the store

static void save_epoch(struct receiver *receiver, const struct source *source)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_fixed64(&value, source->promised.number);
    put_fixed64(&value, source->promised.incarnation);
    put_fixed64(&value, source->session);
    put_fixed64(&value, source->meta_cluster_id.high);
    put_fixed64(&value, source->meta_cluster_id.low);
    struct guid table_id = source->table->object->id;
    put_fixed64(&value, table_id.high);
    put_fixed64(&value, table_id.low);
    put_varint(&value, source->tablet_count);
    for (uint32_t i = 0; i < source->tablet_count; i++) {
        put_fixed64(&value, source->tablets[i].tablet_id.high);
        put_fixed64(&value, source->tablets[i].tablet_id.low);
    }
    struct layout_key key = layout_source_epoch(source->replica_id);
    store_batch_put(&receiver->cell->batch, STORE_META, layout_slice(&key), buffer_slice(&value));
}

static void save_positions(
    struct receiver *receiver, const struct source *source, const struct source_tablet *tablet)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_fixed64(&value, tablet->tail.row_index);
    put_fixed64(&value, tablet->tail.timestamp);
    put_fixed64(&value, tablet->decided.row_index);
    put_fixed64(&value, tablet->decided.timestamp);
    struct layout_key key = layout_source(source->replica_id, tablet->tablet_id);
    store_batch_put(&receiver->cell->batch, STORE_META, layout_slice(&key), buffer_slice(&value));
}

static void save_entry(
    struct receiver *receiver,
    const struct source *source,
    const struct source_tablet *tablet,
    const struct source_entry *entry)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_fixed64(&value, entry->end.row_index);
    put_fixed64(&value, entry->end.timestamp);
    put_u8(&value, (uint8_t)entry->state);
    put_u8(&value, entry->is_applied);
    if (!entry->is_applied) buffer_append_slice(&value, block_slice(entry->rows));
    struct layout_key key =
        layout_source_record(source->replica_id, tablet->tablet_id, entry->row_index);
    store_batch_put(&receiver->cell->batch, STORE_META, layout_slice(&key), buffer_slice(&value));
}

static void remove_entry(
    struct receiver *receiver,
    const struct source *source,
    const struct source_tablet *tablet,
    const struct source_entry *entry)
{
    struct layout_key key =
        layout_source_record(source->replica_id, tablet->tablet_id, entry->row_index);
    store_batch_remove(&receiver->cell->batch, STORE_META, layout_slice(&key));
}

// -------------------------------------------------------------------------------------------------
// Memory

static void release_entry(struct source_entry *entry)
{
    block_release(TAKE(entry->rows));
    free(TAKE(entry->hashes));
}

static void free_source(struct receiver *receiver, struct source *source)
{
    struct sink *sink = source->table->sink;
    for (uint32_t i = 0; i < source->tablet_count; i++) {
        struct source_tablet *tablet = &source->tablets[i];
        sink->undecided_count -= tablet->undecided_count;
        for (size_t j = 0; j < arr_count(tablet->entries); j++) release_entry(&tablet->entries[j]);
        arr_free(tablet->entries);
    }
    free(source->tablets);
    for (size_t i = 0; i < arr_count(sink->sources); i++) {
        if (sink->sources[i] == source) {
            arr_remove(sink->sources, i);
            break;
        }
    }
    if (arr_count(sink->sources) == 0) {
        arr_free(sink->sources);
        free(TAKE(source->table->sink));
    }
    HASH_DEL(receiver->sources, source);
    free(source);
}

static struct source *new_source(
    struct receiver *receiver, struct guid replica_id, struct table *table, uint32_t tablet_count)
{
    struct source *source = must_alloc(calloc(1, sizeof *source));
    source->replica_id = replica_id;
    source->table = table;
    source->tablet_count = tablet_count;
    source->tablets = must_alloc(calloc(tablet_count, sizeof *source->tablets));
    HASH_ADD(hh, receiver->sources, replica_id, sizeof replica_id, source);
    if (!table->sink) table->sink = must_alloc(calloc(1, sizeof *table->sink));
    arr_add(table->sink->sources, source);
    return source;
}

static struct source *find_source(const struct receiver *receiver, struct guid replica_id)
{
    struct source *source = NULL;
    HASH_FIND(hh, receiver->sources, &replica_id, sizeof replica_id, source);
    return source;
}

// Counts an entry as undecided, with what readers need to know of it.
static void hold_undecided(
    struct source *source, struct source_tablet *tablet, struct source_entry *e)
{
    tablet->undecided_count++;
    source->table->sink->undecided_count++;
    e->sequence = ++source->table->sink->next_sequence;
}

static void drop_undecided(
    struct receiver *receiver, struct source *source, struct source_tablet *tablet)
{
    tablet->undecided_count--;
    source->table->sink->undecided_count--;
    receiver->is_dirty = true;
}

// -------------------------------------------------------------------------------------------------
// Applying

// Where a record of a source's tablet goes in an ordered table: tablets are matched by index as far
// as the table has them.
static struct tablet *ordered_target(const struct source *source, const struct source_tablet *from)
{
    uint32_t index = (uint32_t)(from - source->tablets);
    return &source->table->tablets[index % source->table->tablet_count];
}

static uint64_t row_timestamp(
    struct receiver *receiver, const struct source *source, uint64_t timestamp)
{
    if (source->preserve_timestamps) return timestamp;
    uint64_t own = cell_timestamp(receiver->cell);
    return own != 0 ? own : timestamps_close(&receiver->cell->timestamps);
}

// Makes a record's rows visible.
static void apply_rows(
    struct receiver *receiver,
    struct source *source,
    struct source_tablet *from,
    const struct row_change *changes,
    uint32_t change_count,
    uint64_t timestamp)
{
    struct table *table = source->table;
    struct tablet *target =
        table_is_sorted(table) ? &table->tablets[0] : ordered_target(source, from);
    timestamp = row_timestamp(receiver, source, timestamp);
    writes_apply(&receiver->cell->batch, target, changes, change_count, timestamp);
}

static struct error *apply_block(
    struct receiver *receiver,
    struct source *source,
    struct source_tablet *from,
    const struct source_entry *entry)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct row_change *changes = NULL;
    uint32_t change_count = 0;
    TRY(writes_decode(&arena, source->table, block_slice(entry->rows), &changes, &change_count));
    apply_rows(receiver, source, from, changes, change_count, entry->end.timestamp);
    return NULL;
}

// Moves the decided position over all that is decided, in order; what an ordered table could not
// show before the gap closed is shown now.
static struct error *advance_decided(
    struct receiver *receiver, struct source *source, struct source_tablet *tablet)
{
    size_t count = 0;
    while (count < arr_count(tablet->entries)) {
        struct source_entry *entry = &tablet->entries[count];
        if (entry->state == RECORD_UNDECIDED) break;
        if (entry->state == RECORD_COMMITTED && !entry->is_applied) {
            TRY(apply_block(receiver, source, tablet, entry));
        }
        assert(entry->end.row_index > tablet->decided.row_index); // monotone.
        tablet->decided = entry->end;
        remove_entry(receiver, source, tablet, entry);
        release_entry(entry);
        count++;
    }
    if (count > 0) stbds_arrdeln(tablet->entries, 0, count);
    for (size_t i = 0; i < arr_count(tablet->entries); i++) { // Decided behind a gap.
        struct source_entry *entry = &tablet->entries[i];
        if (!entry->is_unsaved) continue;
        save_entry(receiver, source, tablet, entry);
        entry->is_unsaved = false;
    }
    assert(arr_count(tablet->entries) > 0 || position_equal(tablet->decided, tablet->tail));
    return NULL;
}

// A3. A decision that is here already changes nothing.
static struct error *decide_entry(
    struct receiver *receiver,
    struct source *source,
    struct source_tablet *tablet,
    struct source_entry *entry,
    bool is_committed)
{
    enum record_state state = is_committed ? RECORD_COMMITTED : RECORD_ABORTED;
    if (entry->state != RECORD_UNDECIDED) {
        assert(entry->state == state); // decide-once.
        return NULL;
    }
    if (is_committed && table_is_sorted(source->table)) {
        TRY(apply_block(receiver, source, tablet, entry));
        entry->is_applied = true;
    }
    entry->state = state;
    if (!is_committed || entry->is_applied) block_release(TAKE(entry->rows));
    free(TAKE(entry->hashes));
    entry->hash_count = 0;
    drop_undecided(receiver, source, tablet);
    entry->is_unsaved = true;
    return NULL;
}

static struct source_entry *find_entry(struct source_tablet *tablet, struct position position)
{
    size_t begin = 0;
    size_t end = arr_count(tablet->entries);
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (tablet->entries[middle].end.row_index < position.row_index) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    if (begin == arr_count(tablet->entries)) return NULL;
    struct source_entry *entry = &tablet->entries[begin];
    return position_equal(entry->end, position) ? entry : NULL; // S3.
}

// -------------------------------------------------------------------------------------------------
// Loading

static struct error *load_positions(
    struct receiver *receiver, const struct source *source, struct source_tablet *tablet)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    struct layout_key key = layout_source(source->replica_id, tablet->tablet_id);
    bool is_found = false;
    TRY(store_get(receiver->cell->store, NULL, STORE_META, layout_slice(&key), &value, &is_found));
    if (!is_found) return error_new(ERROR_GENERIC, "Positions of a replica's source are missing");
    struct reader reader = reader_from(buffer_slice(&value));
    tablet->tail.row_index = get_fixed64(&reader);
    tablet->tail.timestamp = get_fixed64(&reader);
    tablet->decided.row_index = get_fixed64(&reader);
    tablet->decided.timestamp = get_fixed64(&reader);
    return reader_finish(&reader, "Positions of a replica's source");
}

static void keep_hashes(
    struct source_entry *entry, const struct row_change *changes, uint32_t count)
{
    if (count > HASH_COUNT_KEPT_MAX) return;
    entry->hashes = must_alloc(calloc(count + 1, sizeof *entry->hashes));
    entry->hash_count = count;
    for (uint32_t i = 0; i < count; i++) entry->hashes[i] = changes[i].hash;
}

static struct error *load_entry(
    struct source *source, struct source_tablet *tablet, struct slice key, struct slice value)
{
    struct reader key_reader = reader_from(slice_from(key.data + key.size - 8, 8));
    struct source_entry entry = {.row_index = get_big64(&key_reader)};
    struct reader reader = reader_from(value);
    entry.end.row_index = get_fixed64(&reader);
    entry.end.timestamp = get_fixed64(&reader);
    entry.state = get_u8(&reader);
    entry.is_applied = get_u8(&reader) != 0;
    if (reader.is_broken)
        return error_new(ERROR_GENERIC, "Record of a replica's source is malformed");
    if (!entry.is_applied && reader.rest.size > 0) entry.rows = block_new(reader.rest);
    if (entry.state == RECORD_UNDECIDED) hold_undecided(source, tablet, &entry); // A5.
    arr_add(tablet->entries, entry);
    return NULL;
}

static struct error *load_entries(
    struct receiver *receiver, struct source *source, struct source_tablet *tablet)
{
    struct layout_key begin = layout_source_record(source->replica_id, tablet->tablet_id, 0);
    struct layout_key end = layout_after(layout_prefix(begin, begin.size - 8));
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = store_iterator_new(
        receiver->cell->store, NULL, STORE_META, layout_slice(&begin), layout_slice(&end));
    for (store_iterator_seek(iterator, layout_slice(&begin)); store_iterator_is_valid(iterator);
         store_iterator_next(iterator)) {
        TRY(load_entry(
            source, tablet, store_iterator_key(iterator), store_iterator_value(iterator)));
    }
    return store_iterator_error(iterator);
}

static struct guid get_guid(struct reader *reader)
{
    struct guid id;
    id.high = get_fixed64(reader);
    id.low = get_fixed64(reader);
    return id;
}

static struct error *load_source(struct receiver *receiver, struct slice key, struct slice value)
{
    struct reader key_reader = reader_from(slice_from(key.data + 1, key.size - 1));
    struct guid replica_id;
    replica_id.high = get_big64(&key_reader);
    replica_id.low = get_big64(&key_reader);
    struct reader reader = reader_from(value);
    struct epoch promised;
    promised.number = get_fixed64(&reader);
    promised.incarnation = get_fixed64(&reader);
    uint64_t session = get_fixed64(&reader);
    struct guid meta_cluster_id = get_guid(&reader);
    struct guid table_id = get_guid(&reader);
    uint64_t tablet_count = get_varint(&reader);
    struct object *object = tree_find(&receiver->cell->tree, table_id);
    if (reader.is_broken || tablet_count > TABLET_COUNT_MAX || !object || !object->table) {
        return error_new(ERROR_GENERIC, "Source %s is malformed", GUID_TEXT(replica_id));
    }
    struct source *source = new_source(receiver, replica_id, object->table, (uint32_t)tablet_count);
    source->promised = promised;
    source->session = session; // S2: older ones stay closed through a restart.
    source->meta_cluster_id = meta_cluster_id;
    for (uint32_t i = 0; i < source->tablet_count; i++) {
        source->tablets[i].tablet_id = get_guid(&reader);
        TRY(load_positions(receiver, source, &source->tablets[i]));
        TRY(load_entries(receiver, source, &source->tablets[i]));
    }
    return reader_finish(&reader, "Source of a replica");
}

struct error *receiver_init(struct receiver *receiver, struct cell *cell)
{
    *receiver = (struct receiver){.cell = cell};
    struct layout_key begin = layout_prefix(layout_source_epoch(GUID_NULL), 1);
    struct layout_key end = layout_after(begin);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_iterator_new(cell->store, NULL, STORE_META, layout_slice(&begin), layout_slice(&end));
    for (store_iterator_seek(iterator, layout_slice(&begin)); store_iterator_is_valid(iterator);
         store_iterator_next(iterator)) {
        TRY(load_source(receiver, store_iterator_key(iterator), store_iterator_value(iterator)));
    }
    return store_iterator_error(iterator);
}

void receiver_release(struct receiver *receiver)
{
    while (receiver->sources) free_source(receiver, receiver->sources);
    struct request *request = NULL;
    struct request *next = NULL;
    DL_FOREACH_SAFE (receiver->waiting, request, next) {
        request_free(request);
    }
    receiver->waiting = NULL;
}

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
    struct receiver *receiver,
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
    cell_send(receiver->cell, receiver->cell->lsn, link, nack);
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

// What has nothing yet begins where the coordinator says.
static void begin_tablets(
    struct receiver *receiver, struct source *source, const struct message *open)
{
    for (uint32_t i = 0; i < open->tablet_count; i++) {
        struct source_tablet *tablet = &source->tablets[i];
        tablet->tablet_id = open->tablets[i].tablet_id;
        tablet->tail = open->tablets[i].from;
        tablet->decided = open->tablets[i].from;
        save_positions(receiver, source, tablet);
    }
}

static struct source *begin_source(
    struct receiver *receiver, struct table *table, const struct message *open)
{
    struct source *source = new_source(receiver, open->replica_id, table, open->tablet_count);
    source->meta_cluster_id = open->meta_cluster_id;
    begin_tablets(receiver, source, open);
    return source;
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

static void remove_tablet_keys(
    struct receiver *receiver, const struct source *source, const struct source_tablet *tablet)
{
    struct store_batch *batch = &receiver->cell->batch;
    struct layout_key key = layout_source(source->replica_id, tablet->tablet_id);
    store_batch_remove(batch, STORE_META, layout_slice(&key));
    struct layout_key begin = layout_source_record(source->replica_id, tablet->tablet_id, 0);
    struct layout_key end = layout_after(layout_prefix(begin, begin.size - 8));
    store_batch_remove_range(batch, STORE_META, layout_slice(&begin), layout_slice(&end));
}

// A replicated table without rows may have been resharded: what has received nothing follows.
static void change_tablets(
    struct receiver *receiver, struct source *source, const struct message *open)
{
    for (uint32_t i = 0; i < source->tablet_count; i++) {
        remove_tablet_keys(receiver, source, &source->tablets[i]);
        arr_free(source->tablets[i].entries);
    }
    free(source->tablets);
    source->tablet_count = open->tablet_count;
    source->tablets = must_alloc(calloc(open->tablet_count, sizeof *source->tablets));
    begin_tablets(receiver, source, open);
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
    struct receiver *receiver, const struct message *open, struct source **ret_source)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct table *table = NULL;
    TRY(tree_resolve_table(&receiver->cell->tree, &arena, open->replica_path, &table));
    TRY(check_table(table, open));
    struct source *source = find_source(receiver, open->replica_id);
    if (source && source->table != table) {
        return error_new(
            ERROR_GENERIC,
            "Replica %s is bound to another table of this cluster",
            GUID_TEXT(open->replica_id));
    }
    if (source) {
        TRY(check_source(source, open));
    } else {
        source = begin_source(receiver, table, open);
    }
    *ret_source = source;
    return NULL;
}

static void on_open(struct receiver *receiver, uint64_t link, const struct message *open)
{
    struct cell *cell = receiver->cell;
    struct source *source = NULL;
    struct error *error = open_source(receiver, open, &source);
    if (error) {
        cell_apply(cell);
        refuse(receiver, NULL, link, open, NULL, error);
        return;
    }
    bool is_same_epoch = source->promised.number == open->epoch.number;
    if (is_same_epoch && open->session <= source->session) return; // S2: it comes late.
    if (!has_tablets(source, open)) change_tablets(receiver, source, open);
    close_session(source); // S2: older sessions are over before HELLO leaves.
    source->promised = open->epoch;
    source->session = open->session;
    source->link = link;
    source->preserve_timestamps = open->preserve_timestamps;
    source->preserve_tablet_index = open->preserve_tablet_index;
    save_epoch(receiver, source); // E2: durable before HELLO.
    cell_apply(cell);
    struct message *hello = new_message(source, open, MESSAGE_HELLO);
    hello->table_incarnation = source->table->object->id;
    set_hello(source, hello);
    cell_send(cell, cell->lsn, link, hello);
}

static struct error *resolve_tablet(
    struct receiver *receiver, struct source *source, const struct message_tablet *part)
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
        TRY(decide_entry(receiver, source, tablet, entry, is_committed));
    }
    for (size_t i = kept; i < count; i++) { // S4: all that follow, one by one, as pairs.
        struct source_entry *entry = &tablet->entries[i];
        if (part->resolutions[i] != RESOLUTION_DISCARD || entry->state != RECORD_UNDECIDED) {
            return error_new(ERROR_GENERIC, "RESOLVE would discard a decided record");
        }
    }
    for (size_t i = kept; i < count; i++) {
        struct source_entry *entry = &tablet->entries[i];
        drop_undecided(receiver, source, tablet);
        remove_entry(receiver, source, tablet, entry);
        release_entry(entry);
    }
    if (kept < count) {
        stbds_arrsetlen(tablet->entries, kept);
        tablet->tail = tail;
    }
    TRY(advance_decided(receiver, source, tablet));
    save_positions(receiver, source, tablet);
    tablet->is_ack_due = true;
    return NULL;
}

static struct error *on_resolve(
    struct receiver *receiver, struct source *source, const struct message *resolve)
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
        TRY(resolve_tablet(receiver, source, &resolve->tablets[i]));
    }
    source->is_resolved = true;
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Records

static struct error *add_record(
    struct receiver *receiver,
    struct source *source,
    struct source_tablet *tablet,
    const struct message_record *record)
{
    struct table *table = source->table;
    struct source_entry entry = {
        .end = {record->row_index + record->row_count, record->timestamp},
        .row_index = record->row_index,
        .state = record->state,
    };
    if (record->row_count == 0 || record->row_index != tablet->tail.row_index ||
        record->timestamp <= tablet->tail.timestamp) {
        return error_new(ERROR_GENERIC, "Replicated records are out of order");
    }
    if (record->state != RECORD_ABORTED && !record->rows) {
        return error_new(ERROR_GENERIC, "Replicated record has no rows");
    }
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct row_change *changes = NULL;
    uint32_t change_count = 0;
    if (record->state != RECORD_ABORTED) {
        struct slice rows = block_slice(record->rows);
        TRY(writes_decode(&arena, table, rows, &changes, &change_count));
    }
    bool is_in_order = arr_count(tablet->entries) == 0;
    if (record->state != RECORD_UNDECIDED && is_in_order) {
        // The common case of an asynchronous replica: nothing to remember but the position.
        apply_rows(receiver, source, tablet, changes, change_count, record->timestamp);
        tablet->tail = entry.end;
        tablet->decided = entry.end;
        return NULL;
    }
    if (arr_count(tablet->entries) >= SOURCE_ENTRY_COUNT_MAX) {
        struct error *error = error_new(
            ERROR_REQUEST_THROTTLED, "Too many undecided records are held for one tablet");
        return error_set_u64(error, "record_count_max", SOURCE_ENTRY_COUNT_MAX);
    }
    if (record->state == RECORD_COMMITTED && table_is_sorted(table)) {
        apply_rows(receiver, source, tablet, changes, change_count, record->timestamp);
        entry.is_applied = true;
    } else if (record->state != RECORD_ABORTED) {
        entry.rows = block_new(block_slice(record->rows));
    }
    if (record->state == RECORD_UNDECIDED) {
        hold_undecided(source, tablet, &entry);
        keep_hashes(&entry, changes, change_count);
    }
    save_entry(receiver, source, tablet, &entry);
    arr_add(tablet->entries, entry);
    tablet->tail = entry.end;
    return NULL;
}

static void close_timestamp(
    struct receiver *receiver, struct source_tablet *tablet, const struct message_tablet *part)
{
    if (!position_equal(part->to, tablet->tail)) return;            // T3.
    if (part->closed_timestamp <= tablet->closed_timestamp) return; // T4.
    tablet->closed_timestamp = part->closed_timestamp;
    receiver->is_dirty = true;
}

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

// A1. `*ret_refused` is the tablet if its rows are at fault.
static struct error *on_rows(
    struct receiver *receiver,
    struct source *source,
    const struct message_tablet *part,
    const struct source_tablet **ret_refused)
{
    struct source_tablet *tablet = &source->tablets[part->tablet_index];
    tablet->is_ack_due = true;
    if (!position_equal(part->from, tablet->tail)) {
        if (position_equal(part->to, tablet->tail) || find_entry(tablet, part->to)) return NULL;
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
        error = add_record(receiver, source, tablet, &part->records[i]);
    }
    if (error) *ret_refused = tablet;
    save_positions(receiver, source, tablet); // one-position: with the rows.
    if (!error && !position_equal(tablet->tail, part->to)) {
        error = error_new(ERROR_GENERIC, "Replicated rows do not end where they should");
    }
    if (!error) close_timestamp(receiver, tablet, part);
    return error;
}

static struct error *on_decide(
    struct receiver *receiver, struct source *source, const struct message_tablet *part)
{
    struct source_tablet *tablet = &source->tablets[part->tablet_index];
    for (uint32_t i = 0; i < part->decision_count; i++) {
        const struct message_decision *decision = &part->decisions[i];
        struct source_entry *entry = find_entry(tablet, decision->position);
        if (!entry) continue; // Decided before, and behind us.
        TRY(decide_entry(receiver, source, tablet, entry, decision->is_committed));
    }
    TRY(advance_decided(receiver, source, tablet));
    save_positions(receiver, source, tablet);
    tablet->is_ack_wanted = true;
    close_timestamp(receiver, tablet, part);
    return NULL;
}

static struct error *receive_in_session(
    struct receiver *receiver,
    struct source *source,
    const struct message *message,
    const struct source_tablet **ret_refused)
{
    if (message->kind == MESSAGE_RESOLVE) return on_resolve(receiver, source, message);
    if (!source->is_resolved) return error_new(ERROR_GENERIC, "Message came before RESOLVE"); // S1.
    if (message->kind == MESSAGE_ROWS) TRY(cell_check_writable(receiver->cell));
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        const struct message_tablet *part = &message->tablets[i];
        if (part->tablet_index >= source->tablet_count) {
            return error_new(ERROR_GENERIC, "Message is about a tablet that does not exist");
        }
        if (message->kind == MESSAGE_ROWS) TRY(on_rows(receiver, source, part, ret_refused));
        if (message->kind == MESSAGE_DECIDE) TRY(on_decide(receiver, source, part));
        if (message->kind == MESSAGE_BEAT) {
            close_timestamp(receiver, &source->tablets[part->tablet_index], part);
        }
    }
    return NULL;
}

// Answered at once: it says that this process and its loop are alive, not that anything is durable.
static void on_ping(struct receiver *receiver, uint64_t link, const struct message *ping)
{
    struct message *pong = message_new(MESSAGE_PONG);
    pong->epoch = ping->epoch;
    pong->cluster_flags = cell_flags(receiver->cell);
    cell_send(receiver->cell, 0, link, pong);
}

void receiver_receive(struct receiver *receiver, uint64_t link, const struct message *message)
{
    if (message->kind == MESSAGE_OPEN) {
        on_open(receiver, link, message);
        return;
    }
    if (message->kind == MESSAGE_PING) {
        on_ping(receiver, link, message);
        return;
    }
    struct source *source = find_source(receiver, message->replica_id);
    // S2: whatever does not belong to the open session is dropped unread.
    if (!source || source->link != link || source->session != message->session) return;
    if (message->epoch.number != source->promised.number ||
        message->epoch.incarnation != source->promised.incarnation) {
        return;
    }
    const struct source_tablet *refused = NULL;
    struct error *error = receive_in_session(receiver, source, message, &refused);
    if (message->kind == MESSAGE_ROWS) {
        cell_apply_urgent(receiver->cell); // A4: durable before it is seen.
    } else {
        cell_apply(receiver->cell);
    }
    if (error) refuse(receiver, source, link, message, refused, error);
}

void receiver_link_down(struct receiver *receiver, uint64_t link)
{
    for (struct source *source = receiver->sources; source; source = source->hh.next) {
        if (source->link == link) close_session(source);
    }
}

static void acknowledge(struct receiver *receiver, struct source *source)
{
    // What only tells decided positions waits for a sync that comes for other reasons.
    bool is_all_durable = receiver->cell->durable_lsn >= receiver->cell->lsn;
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
    cell_send(receiver->cell, receiver->cell->lsn, source->link, ack); // A2.
}

void receiver_flush(struct receiver *receiver)
{
    for (struct source *source = receiver->sources; source; source = source->hh.next) {
        acknowledge(receiver, source);
    }
}

void receiver_table_removing(struct receiver *receiver, struct table *table)
{
    while (table->sink) {
        struct source *source = table->sink->sources[0];
        struct store_batch *batch = &receiver->cell->batch;
        struct layout_key key = layout_source_epoch(source->replica_id);
        store_batch_remove(batch, STORE_META, layout_slice(&key));
        for (uint32_t i = 0; i < source->tablet_count; i++) {
            remove_tablet_keys(receiver, source, &source->tablets[i]);
        }
        free_source(receiver, source);
    }
    receiver->is_dirty = true;
}

// -------------------------------------------------------------------------------------------------
// Reads

uint64_t receiver_closed_timestamp(const struct table *table)
{
    if (guid_is_null(table->upstream_replica_id)) return UINT64_MAX;
    if (!table->sink || arr_count(table->sink->sources) == 0) return 0;
    uint64_t closed = UINT64_MAX;
    for (size_t i = 0; i < arr_count(table->sink->sources); i++) {
        const struct source *source = table->sink->sources[i];
        for (uint32_t j = 0; j < source->tablet_count; j++) {
            closed = MIN(closed, source->tablets[j].closed_timestamp);
        }
    }
    return closed;
}

static bool has_hash(const struct source_entry *entry, const uint64_t *hashes, size_t hash_count)
{
    if (!hashes || !entry->hashes) return true; // Not known: it may be met.
    for (uint32_t i = 0; i < entry->hash_count; i++) {
        for (size_t j = 0; j < hash_count; j++) {
            if (entry->hashes[i] == hashes[j]) return true;
        }
    }
    return false;
}

// Whether an undecided record that was here at `sequence` may be met by the read.
static bool meets_undecided(
    const struct sink *sink, uint64_t sequence, const uint64_t *hashes, size_t hash_count)
{
    if (sink->undecided_count == 0) return false;
    for (size_t i = 0; i < arr_count(sink->sources); i++) {
        const struct source *source = sink->sources[i];
        for (uint32_t j = 0; j < source->tablet_count; j++) {
            const struct source_tablet *tablet = &source->tablets[j];
            for (size_t k = 0; k < arr_count(tablet->entries); k++) {
                const struct source_entry *entry = &tablet->entries[k];
                if (entry->state != RECORD_UNDECIDED || entry->sequence > sequence) continue;
                if (has_hash(entry, hashes, hash_count)) return true;
            }
        }
    }
    return false;
}

bool receiver_must_wait(
    struct receiver *receiver,
    struct table *table,
    struct request *request,
    const uint64_t *hashes,
    size_t hash_count)
{
    (void)receiver;
    if (request->timestamp < TIMESTAMP_MAX) { // T4.
        return receiver_closed_timestamp(table) < request->timestamp;
    }
    if (!table->sink || request->timestamp == TIMESTAMP_ASYNC_LAST_COMMITTED) return false;
    // RD2: what was prepared before the read came may be acknowledged; what comes later need not be
    // seen.
    if (request->wait_sequence == 0) request->wait_sequence = table->sink->next_sequence + 1;
    return meets_undecided(table->sink, request->wait_sequence - 1, hashes, hash_count);
}

void receiver_wait(struct receiver *receiver, struct request *request)
{
    DL_APPEND(receiver->waiting, request);
}

struct request *receiver_take_ready(struct receiver *receiver)
{
    bool is_time = false;
    const struct request *request = NULL;
    DL_FOREACH (receiver->waiting, request) {
        if (request->wait_until_us <= receiver->cell->now_us) is_time = true;
    }
    if (!receiver->is_dirty && !is_time) return NULL;
    receiver->is_dirty = false;
    return TAKE(receiver->waiting);
}

uint64_t receiver_wake_at_us(const struct receiver *receiver)
{
    uint64_t wake_at_us = UINT64_MAX;
    const struct request *request = NULL;
    DL_FOREACH (receiver->waiting, request) wake_at_us = MIN(wake_at_us, request->wait_until_us);
    return wake_at_us;
}
