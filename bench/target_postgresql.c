#include "bench/data.h"
#include "bench/target.h"

#ifndef HAVE_LIBPQ

struct error *target_open_postgresql(
    const struct target_options *options, struct target **ret_target)
{
    (void)options;
    (void)ret_target;
    return error_new(ERROR_GENERIC, "Built without libpq: install libpq-dev and build again");
}

#else

#    include "base/coding.h"
#    include "io/clock.h"

#    include <assert.h>
#    include <libpq-fe.h>
#    include <poll.h>

enum { TYPE_INT8 = 20, TYPE_TEXT = 25, BINARY = 1 }; // Source: PostgreSQL catalog/pg_type.dat.

struct connection {
    PGconn *pg;
    target_callback *callback; // NULL while nothing is under way.
    void *context;             // Borrowed.
    uint64_t row_count;        // Written; 0 of a read.
    bool is_flushed;           // Nothing waits to be sent.
};

struct postgresql_target {
    struct target base; // First: callers hold a pointer to it.
    struct target_options options;
    struct connection *connections;
    struct pollfd *polls;
    struct buffer keys; // Parameters, as PostgreSQL sends arrays.
    struct buffer values;
};

static struct error *take_error(PGconn *pg, const char *action)
{
    return error_new(ERROR_GENERIC, "PostgreSQL failed to %s: %s", action, PQerrorMessage(pg));
}

static void finish(struct connection *connection, struct error *error, uint64_t row_count)
{
    target_callback *callback = connection->callback;
    connection->callback = NULL;
    callback(connection->context, error, row_count);
}

static void flush(struct connection *connection)
{
    int result = PQflush(connection->pg);
    connection->is_flushed = result <= 0; // What failed is seen when the answer is read.
}

static void start(
    struct connection *connection,
    const char *statement,
    const struct slice *parameters,
    int parameter_count,
    target_callback *callback,
    void *context)
{
    assert(!connection->callback && parameter_count <= 2);
    connection->callback = callback;
    connection->context = context;
    const char *data[2];
    int sizes[2];
    int formats[2];
    for (int i = 0; i < parameter_count; i++) {
        data[i] = parameters[i].data;
        sizes[i] = (int)parameters[i].size;
        formats[i] = BINARY;
    }
    int is_sent = PQsendQueryPrepared(
        connection->pg, statement, parameter_count, data, sizes, formats, BINARY);
    if (!is_sent) {
        finish(connection, take_error(connection->pg, "send a statement"), 0);
        return;
    }
    flush(connection);
}

static void put_array_begin(struct buffer *buffer, uint32_t type, uint32_t count)
{
    buffer_clear(buffer);
    put_big32(buffer, 1); // Dimensions.
    put_big32(buffer, 0); // No nulls.
    put_big32(buffer, type);
    put_big32(buffer, count);
    put_big32(buffer, 1); // The first index.
}

static void postgresql_write(
    struct target *base,
    uint32_t slot,
    int64_t first_key,
    uint32_t row_count,
    target_callback *callback,
    void *context)
{
    struct postgresql_target *target = (struct postgresql_target *)base;
    struct connection *connection = &target->connections[slot];
    uint32_t value_size = target->options.value_size;
    connection->row_count = row_count;
    if (row_count == 1) {
        buffer_clear(&target->keys);
        put_big64(&target->keys, (uint64_t)first_key);
        struct slice parameters[] = {
            buffer_slice(&target->keys), data_value(first_key, value_size)};
        start(connection, "write_one", parameters, 2, callback, context);
        return;
    }
    put_array_begin(&target->keys, TYPE_INT8, row_count);
    put_array_begin(&target->values, TYPE_TEXT, row_count);
    for (int64_t key = first_key; key < first_key + row_count; key++) {
        put_big32(&target->keys, 8);
        put_big64(&target->keys, (uint64_t)key);
        put_big32(&target->values, value_size);
        buffer_append_slice(&target->values, data_value(key, value_size));
    }
    struct slice parameters[] = {buffer_slice(&target->keys), buffer_slice(&target->values)};
    start(connection, "write_many", parameters, 2, callback, context);
}

static void postgresql_read(
    struct target *base,
    uint32_t slot,
    const int64_t *keys,
    uint32_t key_count,
    target_callback *callback,
    void *context)
{
    struct postgresql_target *target = (struct postgresql_target *)base;
    struct connection *connection = &target->connections[slot];
    connection->row_count = 0;
    if (key_count == 1) {
        buffer_clear(&target->keys);
        put_big64(&target->keys, (uint64_t)keys[0]);
    } else {
        put_array_begin(&target->keys, TYPE_INT8, key_count);
        for (uint32_t i = 0; i < key_count; i++) {
            put_big32(&target->keys, 8);
            put_big64(&target->keys, (uint64_t)keys[i]);
        }
    }
    struct slice parameter = buffer_slice(&target->keys);
    start(connection, key_count == 1 ? "read_one" : "read_many", &parameter, 1, callback, context);
}

// Reads what has come; finishes the operation when that is all of its answer.
static void receive(struct connection *connection)
{
    assert(connection->callback);
    if (!PQconsumeInput(connection->pg)) {
        finish(connection, take_error(connection->pg, "answer"), 0);
        return;
    }
    if (PQisBusy(connection->pg)) return;
    uint64_t row_count = 0;
    struct error *error = NULL;
    for (PGresult *result = PQgetResult(connection->pg); result;
         result = PQgetResult(connection->pg)) {
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_TUPLES_OK) {
            row_count = (uint64_t)PQntuples(result);
        } else if (status == PGRES_COMMAND_OK) {
            row_count = connection->row_count;
        } else if (!error) {
            error = take_error(connection->pg, "execute");
        }
        PQclear(result);
    }
    finish(connection, error, row_count);
}

static void postgresql_poll(struct target *base, uint64_t until_us)
{
    struct postgresql_target *target = (struct postgresql_target *)base;
    uint32_t count = target->options.slot_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct connection *connection = &target->connections[i];
        target->polls[i].fd = connection->callback ? PQsocket(connection->pg) : -1;
        target->polls[i].events = (short)(POLLIN | (connection->is_flushed ? 0 : POLLOUT));
    }
    uint64_t now_us = clock_now_us();
    uint64_t wait_us = until_us > now_us ? MIN(until_us - now_us, UINT64_C(3600000000)) : 0;
    struct timespec wait = {
        .tv_sec = (time_t)(wait_us / 1000000),
        .tv_nsec = (long)(wait_us % 1000000) * 1000,
    };
    if (ppoll(target->polls, count, &wait, NULL) <= 0) return;
    for (uint32_t i = 0; i < count; i++) {
        if (target->polls[i].revents & POLLOUT) flush(&target->connections[i]);
        bool is_readable = (target->polls[i].revents & ~POLLOUT) != 0;
        if (is_readable && target->connections[i].callback) receive(&target->connections[i]);
    }
}

static void postgresql_close(struct target *base)
{
    struct postgresql_target *target = (struct postgresql_target *)base;
    for (uint32_t i = 0; i < target->options.slot_count; i++) PQfinish(target->connections[i].pg);
    buffer_release(&target->keys);
    buffer_release(&target->values);
    free(target->polls);
    free(target->connections);
    free(target);
}

static const struct target_methods METHODS = {
    .write = postgresql_write,
    .read = postgresql_read,
    .poll = postgresql_poll,
    .close = postgresql_close,
};

static struct error *prepare(PGconn *pg, const char *name, const char *format, const char *table)
{
    CLEANUP(buffer_releasep) struct buffer text = {0};
    const char *rest = strchr(format, '@'); // Where the table's name goes.
    buffer_print(&text, "%.*s%s%s", (int)(rest - format), format, table, rest + 1);
    buffer_append_byte(&text, 0);
    PGresult *result = PQprepare(pg, name, text.data, 0, NULL);
    struct error *error = NULL;
    if (PQresultStatus(result) != PGRES_COMMAND_OK) error = take_error(pg, "prepare a statement");
    PQclear(result);
    return error;
}

static struct error *connect(const struct target_options *options, struct connection *connection)
{
    connection->is_flushed = true;
    connection->pg = must_alloc(PQconnectdb(options->address));
    if (PQstatus(connection->pg) != CONNECTION_OK) return take_error(connection->pg, "connect");
    static const char *const STATEMENTS[][2] = {
        {"write_one",
         "insert into @ (k, v) values ($1::int8, $2::text) "
         "on conflict (k) do update set v = excluded.v"},
        {"write_many",
         "insert into @ (k, v) select * from unnest($1::int8[], $2::text[]) "
         "on conflict (k) do update set v = excluded.v"},
        {"read_one", "select k, v from @ where k = $1::int8"},
        {"read_many", "select k, v from @ where k = any($1::int8[])"},
    };
    for (size_t i = 0; i < sizeof STATEMENTS / sizeof *STATEMENTS; i++)
        TRY(prepare(connection->pg, STATEMENTS[i][0], STATEMENTS[i][1], options->table));
    if (PQsetnonblocking(connection->pg, 1) != 0) return take_error(connection->pg, "connect");
    return NULL;
}

struct error *target_open_postgresql(
    const struct target_options *options, struct target **ret_target)
{
    struct postgresql_target *target = must_alloc(calloc(1, sizeof *target));
    target->base.methods = &METHODS;
    target->options = *options;
    target->connections = must_alloc(calloc(options->slot_count, sizeof *target->connections));
    target->polls = must_alloc(calloc(options->slot_count, sizeof *target->polls));
    struct error *error = NULL;
    for (uint32_t i = 0; i < options->slot_count && !error; i++)
        error = connect(options, &target->connections[i]);
    if (error) {
        postgresql_close(&target->base);
    } else {
        *ret_target = &target->base;
    }
    return error;
}

#endif
