// A world of one or two clusters in process, for tests of the state machine: machines on stores in
// memory, linked, on a clock of their own.
//
// Commands are YSON text, answers are text or errors. Whatever is sent arrives at once, unless the
// link is held; what waits for time gets it. Deterministic: no I/O, no clock, no threads.
#pragma once

#include "base/memory_store.h"
#include "cluster/machine.h"
#include "tests/test.h"

enum { META, REPLICA, NODE_COUNT_MAX }; // Their clusters are called "meta" and "replica".

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)

struct machine_node {
    struct store *store;
    struct machine *machine;
    struct message *inbox; // On their way to it, oldest first.
    uint64_t link;
};

struct machine_world {
    struct machine_node nodes[NODE_COUNT_MAX];
    int node_count;
    uint64_t now_us;
    uint64_t wall_us;
    uint64_t next_link;
    uint64_t next_incarnation;
    bool is_link_held;         // Messages stay on their way.
    uint64_t read_step_us;     // How long each step of a query takes; 0 for no time.
    struct arena arena;        // Of all texts given out.
    struct request **answered; // stb array: not taken yet.
    struct error *error;       // Of the last command; NULL if it was done.
    const char *user;          // Who asks; NULL for root.
    const char *response;      // What it said besides its output, text YSON; "" if nothing.
};

// Starts machines; node META may have replicated tables, and if there is another they are linked.
void world_init(struct machine_world *world, int node_count);
void world_release(struct machine_world *world);

// Stops a machine, with or without what was not synced, and starts it again on its store.
void world_restart(struct machine_world *world, int node);

// Cuts the link, or makes a new one.
void world_unlink(struct machine_world *world);
void world_link(struct machine_world *world);

// Lets the clock run, and machines with it.
void world_run(struct machine_world *world, uint64_t us);

// Begins a command, and says how it went once it is answered. `input` may be NULL.
struct request *world_begin(
    struct machine_world *world,
    int node,
    const char *command,
    const char *parameters,
    const char *input);
bool world_is_answered(const struct machine_world *world, const struct request *request);
const char *world_finish(struct machine_world *world, struct request *request);

// Executes a command, letting time pass while it waits: a minute at most. Returns what it puts out,
// text YSON, "" if nothing; or NULL, and then `world->error` says why.
const char *world_try(
    struct machine_world *world,
    int node,
    const char *command,
    const char *parameters,
    const char *input);

// As world_try of what must succeed.
const char *world_do(
    struct machine_world *world,
    int node,
    const char *command,
    const char *parameters,
    const char *input);

// A command on META without input, which must succeed.
const char *world_ask(struct machine_world *world, const char *command, const char *parameters);

// Sets a node or an attribute.
void world_set(struct machine_world *world, int node, const char *path, const char *value);

// Makes a user on a cluster; a group, and a member of it, on META.
void world_create_user(struct machine_world *world, int node, const char *name);
void world_create_group(struct machine_world *world, const char *name);
void world_add_member(struct machine_world *world, const char *member, const char *group);

// What check_permission says on META: "allow" or "deny".
const char *world_permission(
    struct machine_world *world, const char *user, const char *permission, const char *path);

// Prints into the world's memory.
PRINTF_LIKE(2, 3) const char *world_text(struct machine_world *world, const char *format, ...);

// The string that `get` answers, without quotes: ids, states.
const char *world_get(struct machine_world *world, int node, const char *path);

// Waits, a minute at most, until `get` answers this.
void world_wait(struct machine_world *world, int node, const char *path, const char *expected);

// Whether the error or one inside it has this code (0 for any) and this text in its message.
bool error_says(const struct error *error, int code, const char *text);

// Checks that a command fails with an error that has this code and this text somewhere, and that
// it changes nothing in the store.
#define assert_refused(world, node, command, parameters, input, code, text) \
    world_assert_refused(                                                   \
        (world), (node), (command), (parameters), (input), (code), (text), __LINE__)
void world_assert_refused(
    struct machine_world *world,
    int node,
    const char *command,
    const char *parameters,
    const char *input,
    int code,
    const char *text,
    int line);

// The table at a path; must be there.
struct table *world_table(struct machine_world *world, int node, const char *path);

// Makes and mounts a replicated table, key -> value (int64, string) with a column `sum` (int64,
// sum), on META, and a table bound to it on REPLICA. Returns the replica's id.
#define WORLD_SCHEMA                                                                             \
    "[{name=key;type=int64;sort_order=ascending};{name=value;type=string};{name=sum;type=int64;" \
    "aggregate=sum}]"
const char *world_replicate(
    struct machine_world *world, const char *path, const char *replica_path, const char *mode);
