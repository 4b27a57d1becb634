#include "io/replication_wire.h"

#include "base/arena.h"
#include "io/wire.h"
#include "model/error_node.h"
#include "proto/retable/v1/replication.pb-c.h"

#include <assert.h>

static_assert((int)RECORD_UNDECIDED == RETABLE__V1__RECORD_STATE__RECORD_STATE_UNDECIDED, "");
static_assert((int)RECORD_COMMITTED == RETABLE__V1__RECORD_STATE__RECORD_STATE_COMMITTED, "");
static_assert((int)RECORD_ABORTED == RETABLE__V1__RECORD_STATE__RECORD_STATE_ABORTED, "");
static_assert((int)RESOLUTION_COMMIT == RETABLE__V1__RESOLUTION__RESOLUTION_COMMIT, "");
static_assert((int)RESOLUTION_ABORT == RETABLE__V1__RESOLUTION__RESOLUTION_ABORT, "");
static_assert((int)RESOLUTION_KEEP == RETABLE__V1__RESOLUTION__RESOLUTION_KEEP, "");
static_assert((int)RESOLUTION_DISCARD == RETABLE__V1__RESOLUTION__RESOLUTION_DISCARD, "");

// -------------------------------------------------------------------------------------------------
// Encoding: everything is borrowed from the message or lives in an arena until the frame is packed.

// A new protobuf-c message in the arena.
// NOLINTBEGIN(bugprone-macro-parentheses): a type cannot stand in them.
#define MAKE(arena, type, TYPE)                    \
    __extension__({                                \
        type *made_ = ARENA_NEW((arena), type, 1); \
        *made_ = (type)TYPE##__INIT;               \
        made_;                                     \
    })
// NOLINTEND(bugprone-macro-parentheses)

static ProtobufCBinaryData put_guid(struct arena *arena, struct guid id)
{
    return wire_guid(id, ARENA_NEW(arena, uint8_t, WIRE_GUID_SIZE));
}

// A text of the arena, NUL-terminated.
static char *put_text(struct arena *arena, struct slice text)
{
    // protobuf-c has no const, but does not write to what it encodes.
    return (char *)arena_copy(arena, text).data;
}

static ProtobufCBinaryData put_error(struct arena *arena, const struct error *error)
{
    if (!error) return (ProtobufCBinaryData){0};
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    error_encode(error, &buffer);
    return wire_bytes(arena_copy(arena, buffer_slice(&buffer)));
}

static Retable__V1__Position *put_position(struct arena *arena, struct position position)
{
    Retable__V1__Position *made = MAKE(arena, Retable__V1__Position, RETABLE__V1__POSITION);
    made->row_index = position.row_index;
    made->timestamp = position.timestamp;
    return made;
}

static Retable__V1__Open *put_open(struct arena *arena, const struct message *message)
{
    Retable__V1__Open *open = MAKE(arena, Retable__V1__Open, RETABLE__V1__OPEN);
    open->meta_cluster_id = put_guid(arena, message->meta_cluster_id);
    open->replica_id = put_guid(arena, message->replica_id);
    open->session = message->session;
    open->upstream_replica_id = open->replica_id;
    open->replica_path = put_text(arena, message->replica_path);
    open->table_path = put_text(arena, message->table_path);
    open->mode_revision = message->mode_revision;
    open->preserve_timestamps = message->preserve_timestamps;
    open->preserve_tablet_index = message->preserve_tablet_index;
    open->is_sorted = message->is_sorted;
    open->start_timestamp = message->start_timestamp;
    open->n_tablets = message->tablet_count;
    open->tablets = ARENA_NEW(arena, Retable__V1__TabletRef *, message->tablet_count);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        Retable__V1__TabletRef *tablet =
            MAKE(arena, Retable__V1__TabletRef, RETABLE__V1__TABLET_REF);
        tablet->tablet_id = put_guid(arena, message->tablets[i].tablet_id);
        tablet->tablet_index = message->tablets[i].tablet_index;
        tablet->from = put_position(arena, message->tablets[i].from);
        open->tablets[i] = tablet;
    }
    return open;
}

static Retable__V1__Hello *put_hello(struct arena *arena, const struct message *message)
{
    Retable__V1__Hello *hello = MAKE(arena, Retable__V1__Hello, RETABLE__V1__HELLO);
    hello->replica_id = put_guid(arena, message->replica_id);
    hello->session = message->session;
    hello->table_incarnation = put_guid(arena, message->table_incarnation);
    hello->epoch_number = message->epoch.number;
    hello->epoch_incarnation = message->epoch.incarnation;
    hello->n_tablets = message->tablet_count;
    hello->tablets = ARENA_NEW(arena, Retable__V1__HelloTablet *, message->tablet_count);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        const struct message_tablet *from = &message->tablets[i];
        Retable__V1__HelloTablet *tablet =
            MAKE(arena, Retable__V1__HelloTablet, RETABLE__V1__HELLO_TABLET);
        tablet->tablet_index = from->tablet_index;
        tablet->tail = put_position(arena, from->tail);
        tablet->decided = put_position(arena, from->decided);
        tablet->n_entries = from->entry_count;
        tablet->entries = ARENA_NEW(arena, Retable__V1__Entry *, from->entry_count);
        for (uint32_t j = 0; j < from->entry_count; j++) {
            Retable__V1__Entry *entry = MAKE(arena, Retable__V1__Entry, RETABLE__V1__ENTRY);
            entry->position = put_position(arena, from->entries[j].position);
            entry->state = (Retable__V1__RecordState)from->entries[j].state;
            tablet->entries[j] = entry;
        }
        hello->tablets[i] = tablet;
    }
    return hello;
}

static Retable__V1__Resolve *put_resolve(struct arena *arena, const struct message *message)
{
    Retable__V1__Resolve *resolve = MAKE(arena, Retable__V1__Resolve, RETABLE__V1__RESOLVE);
    resolve->replica_id = put_guid(arena, message->replica_id);
    resolve->session = message->session;
    resolve->error = put_error(arena, message->error);
    resolve->n_tablets = message->tablet_count;
    resolve->tablets = ARENA_NEW(arena, Retable__V1__ResolveTablet *, message->tablet_count);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        const struct message_tablet *from = &message->tablets[i];
        Retable__V1__ResolveTablet *tablet =
            MAKE(arena, Retable__V1__ResolveTablet, RETABLE__V1__RESOLVE_TABLET);
        tablet->tablet_index = from->tablet_index;
        tablet->n_resolutions = from->resolution_count;
        tablet->resolutions = ARENA_NEW(arena, Retable__V1__Resolution, from->resolution_count);
        for (uint32_t j = 0; j < from->resolution_count; j++)
            tablet->resolutions[j] = (Retable__V1__Resolution)from->resolutions[j];
        resolve->tablets[i] = tablet;
    }
    return resolve;
}

static Retable__V1__Record *put_record(struct arena *arena, const struct message_record *from)
{
    Retable__V1__Record *record = MAKE(arena, Retable__V1__Record, RETABLE__V1__RECORD);
    record->row_index = from->row_index;
    record->row_count = from->row_count;
    record->timestamp = from->timestamp;
    record->state = (Retable__V1__RecordState)from->state;
    if (from->rows) record->rows = wire_bytes(block_slice(from->rows));
    record->user = wire_bytes(from->user);
    return record;
}

static Retable__V1__Rows *put_rows(struct arena *arena, const struct message *message)
{
    Retable__V1__Rows *rows = MAKE(arena, Retable__V1__Rows, RETABLE__V1__ROWS);
    rows->replica_id = put_guid(arena, message->replica_id);
    rows->session = message->session;
    rows->n_tablets = message->tablet_count;
    rows->tablets = ARENA_NEW(arena, Retable__V1__RowsTablet *, message->tablet_count);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        const struct message_tablet *from = &message->tablets[i];
        Retable__V1__RowsTablet *tablet =
            MAKE(arena, Retable__V1__RowsTablet, RETABLE__V1__ROWS_TABLET);
        tablet->tablet_index = from->tablet_index;
        tablet->from = put_position(arena, from->from);
        tablet->to = put_position(arena, from->to);
        tablet->closed_timestamp = from->closed_timestamp;
        tablet->n_records = from->record_count;
        tablet->records = ARENA_NEW(arena, Retable__V1__Record *, from->record_count);
        for (uint32_t j = 0; j < from->record_count; j++)
            tablet->records[j] = put_record(arena, &from->records[j]);
        rows->tablets[i] = tablet;
    }
    return rows;
}

static Retable__V1__Decide *put_decide(struct arena *arena, const struct message *message)
{
    Retable__V1__Decide *decide = MAKE(arena, Retable__V1__Decide, RETABLE__V1__DECIDE);
    decide->replica_id = put_guid(arena, message->replica_id);
    decide->session = message->session;
    decide->n_tablets = message->tablet_count;
    decide->tablets = ARENA_NEW(arena, Retable__V1__DecideTablet *, message->tablet_count);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        const struct message_tablet *from = &message->tablets[i];
        Retable__V1__DecideTablet *tablet =
            MAKE(arena, Retable__V1__DecideTablet, RETABLE__V1__DECIDE_TABLET);
        tablet->tablet_index = from->tablet_index;
        tablet->closed_timestamp = from->closed_timestamp;
        tablet->closed_at = put_position(arena, from->to);
        tablet->n_decisions = from->decision_count;
        tablet->decisions = ARENA_NEW(arena, Retable__V1__Decision *, from->decision_count);
        for (uint32_t j = 0; j < from->decision_count; j++) {
            Retable__V1__Decision *decision =
                MAKE(arena, Retable__V1__Decision, RETABLE__V1__DECISION);
            decision->position = put_position(arena, from->decisions[j].position);
            decision->is_committed = from->decisions[j].is_committed;
            tablet->decisions[j] = decision;
        }
        decide->tablets[i] = tablet;
    }
    return decide;
}

static Retable__V1__Beat *put_beat(struct arena *arena, const struct message *message)
{
    Retable__V1__Beat *beat = MAKE(arena, Retable__V1__Beat, RETABLE__V1__BEAT);
    beat->replica_id = put_guid(arena, message->replica_id);
    beat->session = message->session;
    beat->n_tablets = message->tablet_count;
    beat->tablets = ARENA_NEW(arena, Retable__V1__BeatTablet *, message->tablet_count);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        Retable__V1__BeatTablet *tablet =
            MAKE(arena, Retable__V1__BeatTablet, RETABLE__V1__BEAT_TABLET);
        tablet->tablet_index = message->tablets[i].tablet_index;
        tablet->closed_timestamp = message->tablets[i].closed_timestamp;
        tablet->closed_at = put_position(arena, message->tablets[i].to);
        beat->tablets[i] = tablet;
    }
    return beat;
}

static Retable__V1__Ack *put_ack(struct arena *arena, const struct message *message)
{
    Retable__V1__Ack *ack = MAKE(arena, Retable__V1__Ack, RETABLE__V1__ACK);
    ack->replica_id = put_guid(arena, message->replica_id);
    ack->session = message->session;
    ack->n_tablets = message->tablet_count;
    ack->tablets = ARENA_NEW(arena, Retable__V1__AckTablet *, message->tablet_count);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        Retable__V1__AckTablet *tablet =
            MAKE(arena, Retable__V1__AckTablet, RETABLE__V1__ACK_TABLET);
        tablet->tablet_index = message->tablets[i].tablet_index;
        tablet->tail = put_position(arena, message->tablets[i].tail);
        tablet->decided = put_position(arena, message->tablets[i].decided);
        ack->tablets[i] = tablet;
    }
    return ack;
}

static Retable__V1__Nack *put_nack(struct arena *arena, const struct message *message)
{
    Retable__V1__Nack *nack = MAKE(arena, Retable__V1__Nack, RETABLE__V1__NACK);
    nack->replica_id = put_guid(arena, message->replica_id);
    nack->session = message->session;
    nack->error = put_error(arena, message->error);
    nack->n_tablets = message->tablet_count;
    nack->tablets = ARENA_NEW(arena, Retable__V1__NackTablet *, message->tablet_count);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        Retable__V1__NackTablet *tablet =
            MAKE(arena, Retable__V1__NackTablet, RETABLE__V1__NACK_TABLET);
        tablet->tablet_index = message->tablets[i].tablet_index;
        tablet->tail = put_position(arena, message->tablets[i].tail);
        nack->tablets[i] = tablet;
    }
    return nack;
}

static Retable__V1__Message *put_message(struct arena *arena, const struct message *message)
{
    Retable__V1__Message *made = MAKE(arena, Retable__V1__Message, RETABLE__V1__MESSAGE);
    switch (message->kind) {
    case MESSAGE_OPEN:
        made->kind_case = RETABLE__V1__MESSAGE__KIND_OPEN;
        made->open = put_open(arena, message);
        break;
    case MESSAGE_HELLO:
        made->kind_case = RETABLE__V1__MESSAGE__KIND_HELLO;
        made->hello = put_hello(arena, message);
        break;
    case MESSAGE_RESOLVE:
        made->kind_case = RETABLE__V1__MESSAGE__KIND_RESOLVE;
        made->resolve = put_resolve(arena, message);
        break;
    case MESSAGE_ROWS:
        made->kind_case = RETABLE__V1__MESSAGE__KIND_ROWS;
        made->rows = put_rows(arena, message);
        break;
    case MESSAGE_DECIDE:
        made->kind_case = RETABLE__V1__MESSAGE__KIND_DECIDE;
        made->decide = put_decide(arena, message);
        break;
    case MESSAGE_BEAT:
        made->kind_case = RETABLE__V1__MESSAGE__KIND_BEAT;
        made->beat = put_beat(arena, message);
        break;
    case MESSAGE_ACK:
        made->kind_case = RETABLE__V1__MESSAGE__KIND_ACK;
        made->ack = put_ack(arena, message);
        break;
    case MESSAGE_NACK:
        made->kind_case = RETABLE__V1__MESSAGE__KIND_NACK;
        made->nack = put_nack(arena, message);
        break;
    case MESSAGE_PING:
        made->kind_case = RETABLE__V1__MESSAGE__KIND_PING;
        made->ping = MAKE(arena, Retable__V1__Ping, RETABLE__V1__PING);
        break;
    case MESSAGE_PONG:
        made->kind_case = RETABLE__V1__MESSAGE__KIND_PONG;
        made->pong = MAKE(arena, Retable__V1__Pong, RETABLE__V1__PONG);
        made->pong->cluster_flags = message->cluster_flags;
        break;
    }
    return made;
}

static bool is_same_epoch(const struct message *a, const struct message *b)
{
    return a->epoch.number == b->epoch.number && a->epoch.incarnation == b->epoch.incarnation;
}

size_t replication_encode(
    struct message *const *messages, size_t count, size_t size_max, struct buffer *frame)
{
    assert(count > 0);
    struct arena arena CLEANUP(arena_releasep) = {0};
    Retable__V1__Frame made = RETABLE__V1__FRAME__INIT;
    made.epoch_number = messages[0]->epoch.number;
    made.epoch_incarnation = messages[0]->epoch.incarnation;
    made.messages = ARENA_NEW(&arena, Retable__V1__Message *, count);
    size_t size = 0;
    while (made.n_messages < count) {
        const struct message *message = messages[made.n_messages];
        size += message_size(message);
        bool fits = size <= size_max && is_same_epoch(message, messages[0]);
        if (made.n_messages > 0 && !fits) break;
        made.messages[made.n_messages++] = put_message(&arena, message);
    }
    wire_encode(&made.base, frame);
    return made.n_messages;
}

// -------------------------------------------------------------------------------------------------
// Decoding

static struct position get_position(const Retable__V1__Position *position)
{
    if (!position) return (struct position){0};
    return (struct position){position->row_index, position->timestamp};
}

static struct error *get_error(ProtobufCBinaryData bytes)
{
    return bytes.len > 0 ? error_decode(wire_slice(bytes)) : NULL;
}

static struct slice get_text(struct message *message, const char *text)
{
    return arena_copy(&message->arena, slice_from_text(text));
}

static struct error *get_state(Retable__V1__RecordState state, enum record_state *ret_state)
{
    switch ((int)state) {
    case RECORD_UNDECIDED:
    case RECORD_COMMITTED:
    case RECORD_ABORTED: *ret_state = (enum record_state)state; return NULL;
    }
    return error_new(ERROR_GENERIC, "A record has the unknown state %d", (int)state);
}

static struct error *get_open(const Retable__V1__Open *open, struct message *message)
{
    message->session = open->session;
    TRY(wire_get_guid(open->meta_cluster_id, "meta_cluster_id", &message->meta_cluster_id));
    TRY(wire_get_guid(open->replica_id, "replica_id", &message->replica_id));
    message->replica_path = get_text(message, open->replica_path);
    message->table_path = get_text(message, open->table_path);
    message->mode_revision = open->mode_revision;
    message->preserve_timestamps = open->preserve_timestamps;
    message->preserve_tablet_index = open->preserve_tablet_index;
    message->is_sorted = open->is_sorted;
    message->start_timestamp = open->start_timestamp;
    message_set_tablets(message, (uint32_t)open->n_tablets);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        struct message_tablet *tablet = &message->tablets[i];
        tablet->tablet_index = open->tablets[i]->tablet_index;
        TRY(wire_get_guid(open->tablets[i]->tablet_id, "tablet_id", &tablet->tablet_id));
        tablet->from = get_position(open->tablets[i]->from);
    }
    return NULL;
}

static struct error *get_hello(const Retable__V1__Hello *hello, struct message *message)
{
    message->session = hello->session;
    message->epoch.number = hello->epoch_number;
    message->epoch.incarnation = hello->epoch_incarnation;
    TRY(wire_get_guid(hello->replica_id, "replica_id", &message->replica_id));
    TRY(wire_get_guid(hello->table_incarnation, "table_incarnation", &message->table_incarnation));
    message_set_tablets(message, (uint32_t)hello->n_tablets);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        const Retable__V1__HelloTablet *from = hello->tablets[i];
        struct message_tablet *tablet = &message->tablets[i];
        tablet->tablet_index = from->tablet_index;
        tablet->tail = get_position(from->tail);
        tablet->decided = get_position(from->decided);
        tablet->entry_count = (uint32_t)from->n_entries;
        tablet->entries = ARENA_NEW(&message->arena, struct message_entry, from->n_entries);
        for (uint32_t j = 0; j < tablet->entry_count; j++) {
            tablet->entries[j].position = get_position(from->entries[j]->position);
            TRY(get_state(from->entries[j]->state, &tablet->entries[j].state));
        }
    }
    return NULL;
}

static struct error *get_resolve(const Retable__V1__Resolve *resolve, struct message *message)
{
    message->session = resolve->session;
    TRY(wire_get_guid(resolve->replica_id, "replica_id", &message->replica_id));
    message->error = get_error(resolve->error);
    message_set_tablets(message, (uint32_t)resolve->n_tablets);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        const Retable__V1__ResolveTablet *from = resolve->tablets[i];
        struct message_tablet *tablet = &message->tablets[i];
        tablet->tablet_index = from->tablet_index;
        tablet->resolution_count = (uint32_t)from->n_resolutions;
        tablet->resolutions = ARENA_NEW(&message->arena, enum resolution, from->n_resolutions);
        for (uint32_t j = 0; j < tablet->resolution_count; j++) {
            int resolution = (int)from->resolutions[j];
            if (resolution < RESOLUTION_COMMIT || resolution > RESOLUTION_DISCARD)
                return error_new(ERROR_GENERIC, "Unknown resolution %d", resolution);
            tablet->resolutions[j] = (enum resolution)resolution;
        }
    }
    return NULL;
}

static struct error *get_record(
    struct arena *arena, const Retable__V1__Record *from, struct message_record *record)
{
    record->row_index = from->row_index;
    record->row_count = from->row_count;
    record->timestamp = from->timestamp;
    TRY(get_state(from->state, &record->state));
    record->user = arena_copy(arena, wire_slice(from->user));
    if (from->rows.len > 0) record->rows = block_new(wire_slice(from->rows));
    return NULL;
}

static struct error *get_rows(const Retable__V1__Rows *rows, struct message *message)
{
    message->session = rows->session;
    TRY(wire_get_guid(rows->replica_id, "replica_id", &message->replica_id));
    message_set_tablets(message, (uint32_t)rows->n_tablets);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        const Retable__V1__RowsTablet *from = rows->tablets[i];
        struct message_tablet *tablet = &message->tablets[i];
        tablet->tablet_index = from->tablet_index;
        tablet->from = get_position(from->from);
        tablet->to = get_position(from->to);
        tablet->closed_timestamp = from->closed_timestamp;
        tablet->record_count = (uint32_t)from->n_records;
        tablet->records = ARENA_NEW(&message->arena, struct message_record, from->n_records);
        for (uint32_t j = 0; j < tablet->record_count; j++)
            TRY(get_record(&message->arena, from->records[j], &tablet->records[j]));
    }
    return NULL;
}

static struct error *get_decide(const Retable__V1__Decide *decide, struct message *message)
{
    message->session = decide->session;
    TRY(wire_get_guid(decide->replica_id, "replica_id", &message->replica_id));
    message_set_tablets(message, (uint32_t)decide->n_tablets);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        const Retable__V1__DecideTablet *from = decide->tablets[i];
        struct message_tablet *tablet = &message->tablets[i];
        tablet->tablet_index = from->tablet_index;
        tablet->to = get_position(from->closed_at);
        tablet->closed_timestamp = from->closed_timestamp;
        tablet->decision_count = (uint32_t)from->n_decisions;
        tablet->decisions = ARENA_NEW(&message->arena, struct message_decision, from->n_decisions);
        for (uint32_t j = 0; j < tablet->decision_count; j++) {
            tablet->decisions[j].position = get_position(from->decisions[j]->position);
            tablet->decisions[j].is_committed = from->decisions[j]->is_committed;
        }
    }
    return NULL;
}

static struct error *get_beat(const Retable__V1__Beat *beat, struct message *message)
{
    message->session = beat->session;
    TRY(wire_get_guid(beat->replica_id, "replica_id", &message->replica_id));
    message_set_tablets(message, (uint32_t)beat->n_tablets);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        message->tablets[i].tablet_index = beat->tablets[i]->tablet_index;
        message->tablets[i].to = get_position(beat->tablets[i]->closed_at);
        message->tablets[i].closed_timestamp = beat->tablets[i]->closed_timestamp;
    }
    return NULL;
}

static struct error *get_ack(const Retable__V1__Ack *ack, struct message *message)
{
    message->session = ack->session;
    TRY(wire_get_guid(ack->replica_id, "replica_id", &message->replica_id));
    message_set_tablets(message, (uint32_t)ack->n_tablets);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        message->tablets[i].tablet_index = ack->tablets[i]->tablet_index;
        message->tablets[i].tail = get_position(ack->tablets[i]->tail);
        message->tablets[i].decided = get_position(ack->tablets[i]->decided);
    }
    return NULL;
}

static struct error *get_nack(const Retable__V1__Nack *nack, struct message *message)
{
    message->session = nack->session;
    TRY(wire_get_guid(nack->replica_id, "replica_id", &message->replica_id));
    message->error = get_error(nack->error);
    if (!message->error)
        message->error = error_new(ERROR_GENERIC, "The replica ended the session without an error");
    message_set_tablets(message, (uint32_t)nack->n_tablets);
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        message->tablets[i].tablet_index = nack->tablets[i]->tablet_index;
        message->tablets[i].tail = get_position(nack->tablets[i]->tail);
    }
    return NULL;
}

// Fills in the message, except for the epoch, which is the frame's.
static struct error *get_message(const Retable__V1__Message *from, struct message *message)
{
    switch (from->kind_case) {
    case RETABLE__V1__MESSAGE__KIND_OPEN:
        message->kind = MESSAGE_OPEN;
        return get_open(from->open, message);
    case RETABLE__V1__MESSAGE__KIND_HELLO:
        message->kind = MESSAGE_HELLO;
        return get_hello(from->hello, message);
    case RETABLE__V1__MESSAGE__KIND_RESOLVE:
        message->kind = MESSAGE_RESOLVE;
        return get_resolve(from->resolve, message);
    case RETABLE__V1__MESSAGE__KIND_ROWS:
        message->kind = MESSAGE_ROWS;
        return get_rows(from->rows, message);
    case RETABLE__V1__MESSAGE__KIND_DECIDE:
        message->kind = MESSAGE_DECIDE;
        return get_decide(from->decide, message);
    case RETABLE__V1__MESSAGE__KIND_BEAT:
        message->kind = MESSAGE_BEAT;
        return get_beat(from->beat, message);
    case RETABLE__V1__MESSAGE__KIND_ACK:
        message->kind = MESSAGE_ACK;
        return get_ack(from->ack, message);
    case RETABLE__V1__MESSAGE__KIND_NACK:
        message->kind = MESSAGE_NACK;
        return get_nack(from->nack, message);
    case RETABLE__V1__MESSAGE__KIND_PING: message->kind = MESSAGE_PING; return NULL;
    case RETABLE__V1__MESSAGE__KIND_PONG:
        message->kind = MESSAGE_PONG;
        message->cluster_flags = from->pong->cluster_flags;
        return NULL;
    case RETABLE__V1__MESSAGE__KIND__NOT_SET:
    case _RETABLE__V1__MESSAGE__KIND__CASE_IS_INT_SIZE: break;
    }
    return error_new(ERROR_GENERIC, "A message is of an unknown kind");
}

static void free_list(struct message *message)
{
    while (message) {
        struct message *next = message->next;
        message_free(message);
        message = next;
    }
}

struct error *replication_decode(struct slice bytes, struct message **ret_messages)
{
    struct arena arena CLEANUP(arena_releasep) = {0};
    Retable__V1__Frame *frame = NULL;
    TRY(WIRE_DECODE(&arena, retable__v1__frame, bytes, &frame));
    struct message *first = NULL;
    struct message **last = &first;
    for (size_t i = 0; i < frame->n_messages; i++) {
        struct message *message = message_new(MESSAGE_OPEN);
        message->epoch = (struct epoch){frame->epoch_number, frame->epoch_incarnation};
        *last = message;
        last = &message->next;
        struct error *error = get_message(frame->messages[i], message);
        if (error) {
            free_list(first);
            return error;
        }
    }
    *ret_messages = first;
    return NULL;
}
