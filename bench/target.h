// What a workload works on: a table with key `k` (int64) and value `v` (string), in some system.
//
// A target has a number of slots, each of which is one client: it has at most one operation under
// way. It belongs to one thread and has none of its own. Every key's value is known (data.h).
#pragma once

#include "base/error.h"
#include "base/slice.h"

#define TARGET_KEY_COUNT_MAX 1000 // Of one operation.

struct target_options {
    const char *address; // retable, http: host:port. PostgreSQL: a connection string of libpq.
    const char *table;   // retable: a path. PostgreSQL: a name.
    uint32_t slot_count;
    uint32_t value_size;
};

// Called by target_poll, once for each operation. `error` is taken over; if it is NULL,
// `row_count` is how many rows were written or found. May start the slot's next operation.
typedef void target_callback(void *context, struct error *error, uint64_t row_count);

struct target;

struct target_methods {
    void (*write)(
        struct target *target,
        uint32_t slot,
        int64_t first_key,
        uint32_t row_count,
        target_callback *callback,
        void *context);
    void (*read)(
        struct target *target,
        uint32_t slot,
        const int64_t *keys,
        uint32_t key_count,
        target_callback *callback,
        void *context);
    // NULL if the system has no queries of this kind.
    void (*query)(
        struct target *target,
        uint32_t slot,
        const char *query,
        target_callback *callback,
        void *context);
    void (*poll)(struct target *target, uint64_t until_us);
    void (*close)(struct target *target);
};

struct target {
    const struct target_methods *methods;
};

// target_retable.c: all slots share one connection.
MUST_USE struct error *target_open_retable(
    const struct target_options *options, struct target **ret_target);

// target_http.c: retable by its HTTP interface, a connection for each slot.
MUST_USE struct error *target_open_http(
    const struct target_options *options, struct target **ret_target);

// target_postgresql.c: a connection for each slot. Fails if this program was built without libpq.
MUST_USE struct error *target_open_postgresql(
    const struct target_options *options, struct target **ret_target);

// Commits a transaction that writes keys [first_key, first_key + row_count).
static inline void target_write(
    struct target *target,
    uint32_t slot,
    int64_t first_key,
    uint32_t row_count,
    target_callback *callback,
    void *context)
{
    target->methods->write(target, slot, first_key, row_count, callback, context);
}

// Looks rows up.
static inline void target_read(
    struct target *target,
    uint32_t slot,
    const int64_t *keys,
    uint32_t key_count,
    target_callback *callback,
    void *context)
{
    target->methods->read(target, slot, keys, key_count, callback, context);
}

// Runs a query; rows are counted as they come.
static inline void target_query(
    struct target *target,
    uint32_t slot,
    const char *query,
    target_callback *callback,
    void *context)
{
    target->methods->query(target, slot, query, callback, context);
}

// Handles what is ready; if nothing is, waits until `until_us`.
static inline void target_poll(struct target *target, uint64_t until_us)
{
    target->methods->poll(target, until_us);
}

// Nothing may be under way. NULL is allowed.
static inline void target_close(struct target *target)
{
    if (target) target->methods->close(target);
}

static inline void target_closep(struct target **target)
{
    target_close(*target);
}
