#include "model/message.h"

struct message *message_new(enum message_kind kind)
{
    struct message *message = must_alloc(calloc(1, sizeof *message));
    message->kind = kind;
    return message;
}

void message_free(struct message *message)
{
    if (!message) return;
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        struct message_tablet *tablet = &message->tablets[i];
        for (uint32_t j = 0; j < tablet->record_count; j++) block_release(tablet->records[j].rows);
    }
    error_free(message->error);
    arena_release(&message->arena);
    free(message);
}

struct message_tablet *message_set_tablets(struct message *message, uint32_t count)
{
    message->tablets = ARENA_NEW(&message->arena, struct message_tablet, count);
    message->tablet_count = count;
    return message->tablets;
}

#define COPY_ARRAY(arena, type, items, count) \
    ((count) == 0 ? NULL                      \
                  : memcpy(ARENA_NEW((arena), type, (count)), (items), sizeof(type) * (count)))

struct message *message_copy(const struct message *message)
{
    struct message *copy = must_alloc(calloc(1, sizeof *copy));
    *copy = *message;
    copy->arena = (struct arena){0};
    copy->next = NULL;
    copy->error = error_copy(message->error);
    copy->replica_path = arena_copy(&copy->arena, message->replica_path);
    copy->table_path = arena_copy(&copy->arena, message->table_path);
    copy->tablets =
        COPY_ARRAY(&copy->arena, struct message_tablet, message->tablets, message->tablet_count);
    for (uint32_t i = 0; i < copy->tablet_count; i++) {
        struct message_tablet *tablet = &copy->tablets[i];
        struct arena *arena = &copy->arena;
        tablet->entries =
            COPY_ARRAY(arena, struct message_entry, tablet->entries, tablet->entry_count);
        tablet->resolutions =
            COPY_ARRAY(arena, enum resolution, tablet->resolutions, tablet->resolution_count);
        tablet->decisions =
            COPY_ARRAY(arena, struct message_decision, tablet->decisions, tablet->decision_count);
        tablet->records =
            COPY_ARRAY(arena, struct message_record, tablet->records, tablet->record_count);
        for (uint32_t j = 0; j < tablet->record_count; j++) {
            struct block *rows = tablet->records[j].rows;
            tablet->records[j].rows = rows ? block_new(block_slice(rows)) : NULL;
            tablet->records[j].user = arena_copy(arena, tablet->records[j].user);
        }
    }
    return copy;
}

size_t message_size(const struct message *message)
{
    size_t size = sizeof *message + message->replica_path.size + message->table_path.size;
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        const struct message_tablet *tablet = &message->tablets[i];
        size += sizeof *tablet + tablet->entry_count * sizeof *tablet->entries;
        size += tablet->decision_count * sizeof *tablet->decisions;
        for (uint32_t j = 0; j < tablet->record_count; j++) {
            const struct message_record *record = &tablet->records[j];
            size += sizeof *record + record->user.size + block_slice(record->rows).size;
        }
    }
    return size;
}

const char *message_kind_name(enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_OPEN: return "OPEN";
    case MESSAGE_HELLO: return "HELLO";
    case MESSAGE_RESOLVE: return "RESOLVE";
    case MESSAGE_ROWS: return "ROWS";
    case MESSAGE_DECIDE: return "DECIDE";
    case MESSAGE_BEAT: return "BEAT";
    case MESSAGE_ACK: return "ACK";
    case MESSAGE_NACK: return "NACK";
    case MESSAGE_PING: return "PING";
    case MESSAGE_PONG: return "PONG";
    }
    return "UNKNOWN";
}
