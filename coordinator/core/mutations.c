#include "coordinator/core/mutations.h"

#include "base/coding.h"
#include "cluster/core/layout.h"
#include "coordinator/core/commits.h"

static void remember_mutation(
    struct coordinator *coordinator, struct guid id, uint64_t timestamp, bool is_command)
{
    struct mutation *mutation = must_alloc(calloc(1, sizeof *mutation));
    mutation->id = id;
    mutation->timestamp = timestamp;
    mutation->is_command = is_command;
    mutation->remembered_until_wall_us = coordinator->cell->wall_us + REMEMBERED_MUTATION_US;
    HASH_ADD(hh, coordinator->mutations, id, sizeof mutation->id, mutation);
}

static void forget_mutation(
    struct coordinator *coordinator, struct mutation *mutation, struct store_batch *batch)
{
    struct layout_key key = layout_mutation(mutation->timestamp);
    store_batch_remove(batch, STORE_META, layout_slice(&key));
    HASH_DEL(coordinator->mutations, mutation);
    free(mutation);
}

void mutations_forget_old(struct coordinator *coordinator)
{
    struct cell *cell = coordinator->cell;
    while (coordinator->mutations) {
        struct mutation *oldest = coordinator->mutations;
        bool is_old = oldest->remembered_until_wall_us <= cell->wall_us;
        if (!is_old && HASH_COUNT(coordinator->mutations) <= REMEMBERED_MUTATION_COUNT_MAX) break;
        forget_mutation(coordinator, oldest, &cell->batch);
    }
}

// The record of a mutation: what it takes to answer its repetition (C7).
void mutations_save(struct coordinator *coordinator, struct guid id, const struct commit *commit)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_fixed64(&value, id.high);
    put_fixed64(&value, id.low);
    put_fixed64(&value, coordinator->cell->wall_us);
    put_varint(&value, commit->part_count);
    for (uint32_t i = 0; i < commit->part_count; i++) {
        const struct commit_part *part = &commit->parts[i];
        put_fixed64(&value, part->tablet->id.high);
        put_fixed64(&value, part->tablet->id.low);
        put_fixed64(&value, part->end.row_index);
        put_fixed64(&value, part->end.timestamp);
        put_u8(&value, part->require_sync_replica);
    }
    // By timestamp, not by id: keys that grow are cheap to insert.
    struct layout_key key = layout_mutation(commit->timestamp);
    store_batch_put(
        &coordinator->cell->batch, STORE_META, layout_slice(&key), buffer_slice(&value));
    remember_mutation(coordinator, id, commit->timestamp, false);
}

static struct error *load_mutation(
    const struct coordinator *coordinator,
    struct arena *arena,
    uint64_t timestamp,
    struct commit_part **ret_parts,
    uint32_t *ret_part_count)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    struct layout_key key = layout_mutation(timestamp);
    bool is_found = false;
    TRY(store_get(
        coordinator->cell->store, NULL, STORE_META, layout_slice(&key), &value, &is_found));
    struct reader reader = reader_from(buffer_slice(&value));
    get_fixed64(&reader); // The id.
    get_fixed64(&reader);
    get_fixed64(&reader); // When.
    uint64_t count = get_varint(&reader);
    if (count > value.size) return error_new(ERROR_GENERIC, "Outcome of a mutation is malformed");
    *ret_parts = ARENA_NEW(arena, struct commit_part, count);
    *ret_part_count = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct guid tablet_id;
        tablet_id.high = get_fixed64(&reader);
        tablet_id.low = get_fixed64(&reader);
        struct commit_part part = {.tablet = tree_find_tablet(&coordinator->cell->tree, tablet_id)};
        part.end.row_index = get_fixed64(&reader);
        part.end.timestamp = get_fixed64(&reader);
        part.require_sync_replica = get_u8(&reader) != 0;
        // A table that is gone since has no replicas to wait for.
        if (part.tablet && part.tablet->queue) (*ret_parts)[(*ret_part_count)++] = part;
    }
    return reader_finish(&reader, "Outcome of a mutation");
}

// Whether another request with this mutation id is not even prepared: it waits for a replica.
static bool is_after_waiting(const struct coordinator *coordinator, const struct request *repeated)
{
    if (repeated->wait_until_us != 0 && repeated->wait_sequence == 0) return false; // The first.
    const struct request *request = NULL;
    DL_FOREACH (coordinator->waiting, request) {
        if (guid_equal(request->mutation_id, repeated->mutation_id)) return true;
    }
    return false;
}

// C7: what is not decided yet is waited for; at the limit it is unknown.
static void wait_for_outcome(
    struct coordinator *coordinator, struct request *request, const char *what)
{
    const struct cell *cell = coordinator->cell;
    uint64_t limit_us = MIN(request->deadline_us, cell->now_us + cell->options.commit_timeout_us);
    if (request->wait_until_us < limit_us && request->wait_sequence == 0) {
        request->wait_until_us = limit_us;
        request->wait_sequence = 1;
    }
    if (cell->now_us < request->wait_until_us) {
        coordinator_wait(coordinator, request);
        return;
    }
    struct error *error =
        error_new(ERROR_TIMEOUT, "Outcome of the repeated transaction is unknown: %s", what);
    cell_fail(coordinator->cell, request, error_set_str(error, "outcome", "unknown"));
}

struct error *coordinator_repeat(
    struct coordinator *coordinator, struct request *request, bool *ret_taken)
{
    struct cell *cell = coordinator->cell;
    *ret_taken = false;
    if (guid_is_null(request->mutation_id)) return NULL;
    struct mutation *mutation = NULL;
    HASH_FIND(hh, coordinator->mutations, &request->mutation_id, sizeof(struct guid), mutation);
    if (!mutation && is_after_waiting(coordinator, request)) {
        *ret_taken = true;
        wait_for_outcome(coordinator, request, "the first request is still waiting");
        return NULL;
    }
    if (!mutation) return NULL;
    if (mutation->is_command) {
        return error_new(
            ERROR_GENERIC,
            "Mutation id %s is that of another request",
            GUID_TEXT(request->mutation_id));
    }

    uint64_t timestamp = mutation->timestamp;
    struct commit_part *parts = NULL;
    uint32_t part_count = 0;
    TRY(load_mutation(coordinator, &request->arena, timestamp, &parts, &part_count));
    bool is_undecided = commits_find(coordinator, request->mutation_id) != NULL;
    *ret_taken = true;
    // C7: a record that recovery made committed may still be on no replica.
    if (!is_undecided && !coordinator->amnesia && commits_cover(parts, part_count)) {
        request->commit_timestamp = timestamp;
        cell_reply(cell, cell->lsn, request);
        return NULL;
    }
    wait_for_outcome(coordinator, request, "its sync replicas have not confirmed it yet");
    return NULL;
}

struct error *coordinator_find_answer(
    struct coordinator *coordinator,
    struct arena *arena,
    struct guid mutation_id,
    struct slice *ret_answer)
{
    struct mutation *mutation = NULL;
    *ret_answer = slice_from("", 0);
    HASH_FIND(hh, coordinator->mutations, &mutation_id, sizeof mutation_id, mutation);
    if (!mutation || !mutation->is_command) return NULL;
    CLEANUP(buffer_releasep) struct buffer value = {0};
    struct layout_key key = layout_mutation(mutation->timestamp);
    bool is_found = false;
    TRY(store_get(
        coordinator->cell->store, NULL, STORE_META, layout_slice(&key), &value, &is_found));
    struct reader reader = reader_from(buffer_slice(&value));
    get_raw(&reader, 3 * sizeof(uint64_t)); // The id, and when.
    get_varint(&reader);
    *ret_answer = arena_copy(arena, get_bytes(&reader));
    return reader_finish(&reader, "Outcome of a mutation");
}

void coordinator_keep_answer(
    struct coordinator *coordinator,
    struct guid mutation_id,
    uint64_t timestamp,
    struct slice answer)
{
    CLEANUP(buffer_releasep) struct buffer value = {0};
    put_fixed64(&value, mutation_id.high);
    put_fixed64(&value, mutation_id.low);
    put_fixed64(&value, coordinator->cell->wall_us);
    put_varint(&value, 0); // It has no positions.
    put_bytes(&value, answer);
    struct layout_key key = layout_mutation(timestamp);
    store_batch_put(
        &coordinator->cell->batch, STORE_META, layout_slice(&key), buffer_slice(&value));
    remember_mutation(coordinator, mutation_id, timestamp, true);
}

struct error *mutations_load(struct coordinator *coordinator)
{
    struct cell *cell = coordinator->cell;
    struct layout_key prefix = layout_prefix(layout_mutation(0), 1);
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = layout_iterate(cell->store, STORE_META, prefix);
    for (; store_iterator_is_valid(iterator); store_iterator_next(iterator)) {
        struct slice key = store_iterator_key(iterator);
        struct reader key_reader = reader_from(slice_from(key.data + 1, key.size - 1));
        uint64_t timestamp = get_big64(&key_reader);
        struct reader reader = reader_from(store_iterator_value(iterator));
        struct guid id;
        id.high = get_fixed64(&reader);
        id.low = get_fixed64(&reader);
        get_fixed64(&reader); // When.
        bool is_command = get_varint(&reader) == 0 && reader.rest.size > 0;
        if (reader.is_broken) return error_new(ERROR_GENERIC, "Outcome of a mutation is malformed");
        remember_mutation(coordinator, id, timestamp, is_command);
    }
    return store_iterator_error(iterator);
}

void mutations_forget(struct coordinator *coordinator, struct guid id)
{
    struct mutation *mutation = NULL;
    HASH_FIND(hh, coordinator->mutations, &id, sizeof id, mutation);
    if (mutation) forget_mutation(coordinator, mutation, &coordinator->cell->batch);
}

void mutations_release(struct coordinator *coordinator)
{
    while (coordinator->mutations) {
        struct mutation *mutation = coordinator->mutations;
        HASH_DEL(coordinator->mutations, mutation);
        free(mutation);
    }
}
