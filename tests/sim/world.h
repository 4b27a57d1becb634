// A world of clusters in one thread: machines on simulated time, disks and a network, all from a
// seed.
//
// A node is a machine on a memory store. It takes what has come, lets sends go, syncs if it must
// (which takes time, in which it does nothing else and may crash), and goes on: exactly the turn of
// the daemons. A link is a connection: ordered, until it is cut; then whatever was on its way is
// lost, or comes late on the next connection, as the protocol must bear.
#pragma once

#include "base/memory_store.h"
#include "base/rng.h"
#include "cluster/machine.h"

#include <stdio.h>

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)

enum { NODE_COUNT_MAX = 4, META = 0 };

// Marks the token of a read that a coordinator has sent on.
#define TOKEN_FORWARDED (UINT64_C(1) << 63)

struct world;

enum event_kind {
    EVENT_TURN,      // A node takes its turn.
    EVENT_SYNCED,    // A node's sync is done.
    EVENT_MESSAGE,   // A message arrives.
    EVENT_LINK_DOWN, // One end notices that its connection is gone.
    EVENT_CONNECT,   // A connection is established.
    EVENT_REQUEST,   // A client's request arrives.
    EVENT_REPLY,     // An answer arrives at a client.
    EVENT_CRASH,     // A node dies in the middle of a sync.
    EVENT_RESTART,   // A node starts again.
    EVENT_CLIENT,    // A client acts.
    EVENT_NEMESIS,   // Something goes wrong.
    EVENT_ADMIN,     // Somebody changes a replica's mode or state.
};

struct event {
    uint64_t at_us;
    uint64_t order; // Breaks ties, so that runs are the same.
    enum event_kind kind;
    uint32_t node;
    uint64_t life; // Of the node: events of an earlier life are void.
    uint64_t link;
    struct message *message;
    struct request *request;
    uint64_t client;
    uint64_t token; // Of the client's operation.
};

struct connection { // From the meta-cluster to a replica cluster.
    bool is_up;
    uint64_t link_at_meta; // Link numbers at either end.
    uint64_t link_at_node;
    bool is_cut_to_node; // Nothing arrives there any more, though nobody has noticed.
    bool is_cut_to_meta;
    uint64_t last_to_node_us; // Order is kept.
    uint64_t last_to_meta_us;
    struct message *late; // Copies of old messages that may still arrive (S2).
    uint64_t late_count;
};

struct host {
    struct world *world;
    struct store *store;
    struct machine *machine; // NULL while down.
    uint64_t life;
    uint64_t turn_at_us;    // When the next turn is planned; UINT64_MAX if it is not.
    uint64_t busy_until_us; // Syncing or paused.
    int64_t clock_offset_us;
    bool is_syncing;
    bool has_told_error; // In this turn: a good moment to crash.
    bool took_command; // In this turn, whose answers are checked after it: modes may have changed.
    struct event *inbox;    // stb array: what has come and was not taken yet.
    struct request **reads; // stb array: to be run when all that is to be seen is durable.
};

struct faults {
    uint32_t crash_percent;       // Of each nemesis event.
    uint32_t sync_crash_permille; // Of each sync: it never ends.
    uint32_t cut_percent;
    uint32_t one_way_percent;
    uint32_t pause_percent;
    uint32_t clock_percent;
    uint32_t slow_disk_percent;
    uint32_t full_disk_percent;
    uint32_t duplicate_percent; // Of each message.
    uint32_t late_percent;      // Of each message of a cut connection.
    uint32_t lost_request_percent;
    uint32_t admin_percent;
    uint64_t link_delay_us[NODE_COUNT_MAX]; // How far away a replica cluster is.
    uint64_t nemesis_period_us;
    uint64_t delay_us_max;
};

struct world {
    uint64_t seed;
    struct rng rng;
    uint64_t now_us;
    uint64_t next_order;
    struct event *events; // stb array: a binary heap by time.
    struct host hosts[NODE_COUNT_MAX];
    uint32_t node_count;
    struct connection connections[NODE_COUNT_MAX]; // To node i.
    uint64_t next_link;
    uint64_t next_incarnation;
    struct faults faults;
    bool is_healing;    // No more faults.
    uint32_t strict;    // The node whose replica tables the user "writer" may not write; 0: none.
    bool is_spoilt;     // A replica's data have been taken away: what it holds says nothing.
    uint32_t forgetful; // The node whose replica table drops old versions; 0: none does.
    uint64_t trace;     // A hash of everything that happened.
    FILE *log;          // NULL: silent.
    char failure[512];  // What check failed; empty while all is well.
    struct clients *clients;
    struct pacing *pacing;
    struct tracker_checks *tracker_checks;
    struct state_checks *state_checks;
};

void world_init(struct world *world, uint64_t seed, FILE *log);
void world_release(struct world *world);

// Runs until `until_us` or until a check has failed.
void world_run(struct world *world, uint64_t until_us);

// Plans an event; what it points to is taken over.
void world_plan(struct world *world, struct event event);

// Records that a check failed; the first one counts.
PRINTF_LIKE(2, 3) void world_fail(struct world *world, const char *format, ...);

// Adds to the trace, and to the log if there is one.
PRINTF_LIKE(2, 3) void world_trace(struct world *world, const char *format, ...);

void node_crash(struct world *world, uint32_t index);
void node_start(struct world *world, uint32_t index);

// Cuts the connection to a node: both ends notice, at different times.
void connection_cut(struct world *world, uint32_t index);

// Sends a request to a node as a client; the answer comes as EVENT_REPLY with the same token.
void world_request(struct world *world, uint32_t node, struct request *request, uint64_t token);

// Of the client's operation; 0 if no client waits for it.
uint64_t world_token_of(const struct request *request);

// A table of a node that runs, in //tmp; NULL if the node is down or there is no such table.
// Borrowed.
struct table *world_table(struct world *world, uint32_t node, const char *path);

// Executes a command on a node without network and time, for setting up; fails the world on an
// error. Returns the answered request, to be freed.
struct request *world_command(
    struct world *world,
    uint32_t node,
    const char *command,
    const char *parameters,
    const char *input);
