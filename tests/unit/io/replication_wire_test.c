#include "io/replication_wire.h"

#include "base/rng.h"
#include "io/wire.h"
#include "tests/test.h"

TestSuite(replication_wire, .fini = abort_on_leaks);

enum { COUNT_MAX = 4, SIZE_MANY = 1 << 20 };

static struct position random_position(struct rng *rng)
{
    return (struct position){rng_below(rng, 1000), rng_next(rng)};
}

static struct guid random_guid(struct rng *rng)
{
    return (struct guid){rng_next(rng), rng_next(rng)};
}

static enum record_state random_state(struct rng *rng)
{
    return (enum record_state)(RECORD_UNDECIDED + rng_below(rng, 3));
}

static void fill_tablet(struct message *message, struct message_tablet *tablet, struct rng *rng)
{
    struct arena *arena = &message->arena;
    uint32_t count = (uint32_t)rng_below(rng, COUNT_MAX);
    tablet->tail = random_position(rng);
    switch (message->kind) {
    case MESSAGE_OPEN:
        tablet->tablet_id = random_guid(rng);
        tablet->from = random_position(rng);
        break;
    case MESSAGE_HELLO:
        tablet->decided = random_position(rng);
        tablet->entries = ARENA_NEW(arena, struct message_entry, count);
        tablet->entry_count = count;
        for (uint32_t i = 0; i < count; i++)
            tablet->entries[i] = (struct message_entry){random_position(rng), random_state(rng)};
        break;
    case MESSAGE_RESOLVE:
        tablet->resolutions = ARENA_NEW(arena, enum resolution, count);
        tablet->resolution_count = count;
        for (uint32_t i = 0; i < count; i++)
            tablet->resolutions[i] = (enum resolution)(RESOLUTION_COMMIT + rng_below(rng, 4));
        break;
    case MESSAGE_ROWS:
        tablet->from = random_position(rng);
        tablet->to = random_position(rng);
        tablet->closed_timestamp = rng_next(rng);
        tablet->records = ARENA_NEW(arena, struct message_record, count);
        tablet->record_count = count;
        for (uint32_t i = 0; i < count; i++) {
            tablet->records[i] = (struct message_record){
                .row_index = rng_next(rng),
                .row_count = rng_next(rng),
                .timestamp = rng_next(rng),
                .state = random_state(rng),
                .user = rng_chance(rng, 50) ? SLICE_OF("alice") : SLICE_OF(""),
                .rows = rng_chance(rng, 50) ? block_new(SLICE_OF("rows")) : NULL,
            };
        }
        break;
    case MESSAGE_DECIDE:
        tablet->to = random_position(rng);
        tablet->closed_timestamp = rng_next(rng);
        tablet->decisions = ARENA_NEW(arena, struct message_decision, count);
        tablet->decision_count = count;
        for (uint32_t i = 0; i < count; i++)
            tablet->decisions[i] =
                (struct message_decision){random_position(rng), rng_chance(rng, 50)};
        break;
    case MESSAGE_BEAT:
        tablet->to = random_position(rng);
        tablet->closed_timestamp = rng_next(rng);
        break;
    case MESSAGE_ACK: tablet->decided = random_position(rng); break;
    case MESSAGE_NACK:
    case MESSAGE_PING:
    case MESSAGE_PONG: break;
    }
}

static struct message *random_message(struct rng *rng, struct epoch epoch)
{
    enum message_kind kind = (enum message_kind)(MESSAGE_OPEN + rng_below(rng, MESSAGE_PONG));
    struct message *message = message_new(kind);
    message->epoch = epoch;
    if (kind == MESSAGE_PONG) message->cluster_flags = (uint32_t)rng_next(rng);
    if (kind == MESSAGE_PING || kind == MESSAGE_PONG) return message;
    message->replica_id = random_guid(rng);
    message->session = rng_next(rng);
    if (kind == MESSAGE_OPEN) {
        message->meta_cluster_id = random_guid(rng);
        message->replica_path = SLICE_OF("//tmp/replica");
        message->table_path = SLICE_OF("//tmp/table");
        message->mode_revision = rng_next(rng);
        message->start_timestamp = rng_next(rng);
        message->is_sorted = rng_chance(rng, 50);
        message->preserve_timestamps = rng_chance(rng, 50);
        message->preserve_tablet_index = rng_chance(rng, 50);
    }
    if (kind == MESSAGE_HELLO) message->table_incarnation = random_guid(rng);
    if (kind == MESSAGE_NACK || (kind == MESSAGE_RESOLVE && rng_chance(rng, 50)))
        message->error = error_new(ERROR_UPSTREAM_REPLICA_MISMATCH, "It does not fit");
    message_set_tablets(message, (uint32_t)rng_below(rng, COUNT_MAX));
    for (uint32_t i = 0; i < message->tablet_count; i++) {
        message->tablets[i].tablet_index = i;
        fill_tablet(message, &message->tablets[i], rng);
    }
    return message;
}

static void free_all(struct message *list)
{
    while (list) {
        struct message *next = list->next;
        message_free(list);
        list = next;
    }
}

// What comes back is encoded to the same bytes: nothing was lost that the encoder knows.
Test(replication_wire, brings_every_message_to_the_other_side)
{
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct rng rng = {seed};
        struct epoch epoch = {1 + rng_below(&rng, 100), rng_next(&rng)};
        struct message *message = random_message(&rng, epoch);
        struct message *copy = NULL;
        CLEANUP(buffer_releasep) struct buffer frame = {0};
        CLEANUP(buffer_releasep) struct buffer again = {0};
        cr_assert(eq(sz, replication_encode(&message, 1, SIZE_MANY, &frame), 1));
        assert_ok(replication_decode(buffer_slice(&frame), &copy));
        cr_assert(eq(int, copy->kind, message->kind), "seed %zu", (size_t)seed);
        cr_assert(eq(u64, copy->epoch.number, epoch.number));
        cr_assert(eq(u64, copy->epoch.incarnation, epoch.incarnation));
        cr_assert(copy->next == NULL);
        cr_assert(eq(int, copy->preserve_tablet_index, message->preserve_tablet_index));
        cr_assert(eq(sz, copy->tablet_count, message->tablet_count));
        for (uint32_t i = 0; i < copy->tablet_count && copy->kind == MESSAGE_OPEN; i++) {
            cr_assert(position_equal(copy->tablets[i].from, message->tablets[i].from));
        }
        cr_assert(eq(sz, replication_encode(&copy, 1, SIZE_MANY, &again), 1));
        cr_assert(
            slice_equal(buffer_slice(&frame), buffer_slice(&again)), "seed %zu", (size_t)seed);
        message_free(message);
        message_free(copy);
    }
}

Test(replication_wire, puts_messages_of_one_epoch_into_one_frame)
{
    struct rng rng = {1};
    struct message *messages[5];
    for (uint64_t i = 0; i < 5; i++)
        messages[i] = random_message(&rng, (struct epoch){i < 3 ? 1 : 2, 7});
    CLEANUP(buffer_releasep) struct buffer frame = {0};
    cr_assert(eq(sz, replication_encode(messages, 5, SIZE_MANY, &frame), 3));
    struct message *list = NULL;
    assert_ok(replication_decode(buffer_slice(&frame), &list));
    struct message *each = list;
    for (int i = 0; i < 3; i++, each = each->next)
        cr_assert(guid_equal(each->replica_id, messages[i]->replica_id));
    cr_assert(each == NULL);
    free_all(list);

    buffer_clear(&frame);
    cr_assert(eq(sz, replication_encode(messages, 5, 1, &frame), 1)); // One at least.
    for (int i = 0; i < 5; i++) message_free(messages[i]);
}

Test(replication_wire, survives_any_bytes)
{
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct rng rng = {seed};
        struct message *message = random_message(&rng, (struct epoch){1, 2});
        CLEANUP(buffer_releasep) struct buffer frame = {0};
        (void)!replication_encode(&message, 1, SIZE_MANY, &frame);
        message_free(message);
        for (uint64_t i = 0; i <= rng_below(&rng, 3); i++)
            frame.data[rng_below(&rng, frame.size)] = (char)rng_next(&rng);
        struct message *list = NULL;
        struct error *error =
            replication_decode(slice_from(frame.data, rng_below(&rng, frame.size + 1)), &list);
        if (error) {
            error_free(error);
        } else {
            free_all(list);
        }
    }
}
