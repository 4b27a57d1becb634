#include "bench/data.h"
#include "bench/target.h"
#include "client/retable.h"
#include "io/clock.h"
#include "model/rowset.h"

#include <assert.h>

struct operation {
    struct retable_target *target; // Borrowed.
    target_callback *callback;     // NULL while nothing is under way.
    void *context;                 // Borrowed.
    uint64_t row_count;            // Written; or that a query has given so far.
    struct error *error;           // Of a query's rows.
};

struct retable_target {
    struct target base; // First: callers hold a pointer to it.
    struct target_options options;
    struct retable_client *client;
    struct operation *operations;
    struct buffer rowset;
    struct value *values; // Of a row that is read.
};

static void finish(struct operation *operation, struct error *error, uint64_t row_count)
{
    target_callback *callback = operation->callback;
    operation->callback = NULL;
    callback(operation->context, error, row_count);
}

static void on_written(void *context, struct error *error, const struct retable_answer *answer)
{
    (void)answer;
    struct operation *operation = context;
    finish(operation, error, operation->row_count);
}

// Goes through all rows, as any client would.
static struct error *read_rows(
    struct retable_target *target, struct slice rowset, uint64_t *ret_row_count)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct rowset_reader reader;
    TRY(rowset_read_begin(&reader, &arena, rowset));
    uint32_t row_count = reader.row_count;
    for (uint32_t i = 0; i < row_count; i++) {
        struct row row;
        TRY(rowset_read_row(&reader, target->values, &row));
        if (row.value_count != 2 || row.values[1].size != target->options.value_size)
            return error_new(ERROR_GENERIC, "A row was found that is not as it was written");
    }
    *ret_row_count = row_count;
    return NULL;
}

static void on_read(void *context, struct error *error, const struct retable_answer *answer)
{
    struct operation *operation = context;
    uint64_t row_count = 0;
    if (!error) error = read_rows(operation->target, answer->rowset, &row_count);
    finish(operation, error, row_count);
}

static struct operation *start(
    struct retable_target *target, uint32_t slot, target_callback *callback, void *context)
{
    struct operation *operation = &target->operations[slot];
    assert(!operation->callback);
    operation->callback = callback;
    operation->context = context;
    return operation;
}

static void retable_write(
    struct target *base,
    uint32_t slot,
    int64_t first_key,
    uint32_t row_count,
    target_callback *callback,
    void *context)
{
    struct retable_target *target = (struct retable_target *)base;
    static const struct slice NAMES[] = {{"k", 1}, {"v", 1}};
    buffer_clear(&target->rowset);
    rowset_encode_begin(NAMES, 2, row_count, &target->rowset);
    for (int64_t key = first_key; key < first_key + row_count; key++) {
        struct value values[] = {
            value_int64(0, key),
            value_string(1, data_value(key, target->options.value_size)),
        };
        struct row row = {.kind = ROW_WRITE, .value_count = 2, .values = values};
        rowset_encode_row(&row, &target->rowset);
    }
    struct retable_modification modification = {
        .path = target->options.table,
        .kind = RETABLE_INSERT,
        .rowset = buffer_slice(&target->rowset),
    };
    struct retable_commit commit = {.modifications = &modification, .modification_count = 1};
    struct operation *operation = start(target, slot, callback, context);
    operation->row_count = row_count;
    struct error *error = retable_client_commit(target->client, &commit, on_written, operation);
    if (error) finish(operation, error, 0);
}

static void retable_read(
    struct target *base,
    uint32_t slot,
    const int64_t *keys,
    uint32_t key_count,
    target_callback *callback,
    void *context)
{
    struct retable_target *target = (struct retable_target *)base;
    static const struct slice NAME = {"k", 1};
    buffer_clear(&target->rowset);
    rowset_encode_begin(&NAME, 1, key_count, &target->rowset);
    for (uint32_t i = 0; i < key_count; i++) {
        struct value value = value_int64(0, keys[i]);
        struct row row = {.kind = ROW_WRITE, .value_count = 1, .values = &value};
        rowset_encode_row(&row, &target->rowset);
    }
    struct retable_lookup lookup = {
        .path = target->options.table,
        .keys = buffer_slice(&target->rowset),
    };
    struct operation *operation = start(target, slot, callback, context);
    struct error *error = retable_client_lookup(target->client, &lookup, on_read, operation);
    if (error) finish(operation, error, 0);
}

static void on_rowset(void *context, struct slice rowset)
{
    struct operation *operation = context;
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct rowset_reader reader;
    if (operation->error) return;
    operation->error = rowset_read_begin(&reader, &arena, rowset);
    if (!operation->error) operation->row_count += reader.row_count;
}

static void on_queried(void *context, struct error *error, const struct retable_answer *answer)
{
    (void)answer;
    struct operation *operation = context;
    struct error *own = TAKE(operation->error);
    if (error) error_free(own);
    finish(operation, error ? error : own, operation->row_count);
}

static void retable_query(
    struct target *base, uint32_t slot, const char *query, target_callback *callback, void *context)
{
    struct retable_target *target = (struct retable_target *)base;
    struct retable_select select = {.query = query};
    struct operation *operation = start(target, slot, callback, context);
    operation->row_count = 0;
    struct error *error =
        retable_client_select(target->client, &select, on_rowset, on_queried, operation);
    if (error) finish(operation, error, 0);
}

static void retable_poll(struct target *base, uint64_t until_us)
{
    struct retable_target *target = (struct retable_target *)base;
    retable_client_poll(target->client, until_us);
}

static void retable_close(struct target *base)
{
    struct retable_target *target = (struct retable_target *)base;
    retable_client_free(target->client);
    buffer_release(&target->rowset);
    free(target->values);
    free(target->operations);
    free(target);
}

static const struct target_methods METHODS = {
    .write = retable_write,
    .read = retable_read,
    .query = retable_query,
    .poll = retable_poll,
    .close = retable_close,
};

struct error *target_open_retable(const struct target_options *options, struct target **ret_target)
{
    struct retable_target *target = must_alloc(calloc(1, sizeof *target));
    target->base.methods = &METHODS;
    target->options = *options;
    target->client = retable_client_new(options->address, &(struct retable_options){0});
    target->operations = must_alloc(calloc(options->slot_count, sizeof *target->operations));
    for (uint32_t i = 0; i < options->slot_count; i++) target->operations[i].target = target;
    target->values = must_alloc(calloc(ROWSET_VALUE_COUNT_MAX, sizeof *target->values));
    *ret_target = &target->base;
    return NULL;
}
