// A cluster's state machine, whole: everything that decides, put together on one cell.
//
// Requests, messages, links and time go in; effects come out (cluster/core/cell.h). It does no I/O
// of its own but through the store it was given, so it runs unchanged in the daemons and in the
// simulator:
//
//     machine_tick / machine_request / machine_receive …    as things happen
//     machine_settle                                        at the end of the turn
//     perform effects (sends go out while the disk works)
//     if machine_needs_sync: store_sync, machine_synced, machine_settle
//     perform effects
//
// On an error of the store, `cell.fatal` is set: the process must stop and recover (R4). Belongs to
// one loop.
#pragma once

#include "cluster/core/cell.h"
#include "cluster/core/retention.h"
#include "coordinator/core/coordinator.h"
#include "replica_node/core/receiver.h"
#include "replica_node/core/waiting_reads.h"

#define TRANSACTION_COUNT_MAX      10000
#define TRANSACTION_SIZE_MAX       (UINT64_C(64) << 20)
#define TRANSACTION_TIMEOUT_US     UINT64_C(30000000)
#define TRANSACTION_TIMEOUT_MS_MAX (UINT64_C(1) << 40)

#define NODE_LOCK_COUNT_MAX 10000

// A tablet transaction: begun, with modifications, not committed yet. Or a master transaction,
// which only holds locks of nodes.
struct transaction {
    struct guid id;
    bool is_master;
    uint64_t start_timestamp;
    uint64_t timeout_us;
    uint64_t expires_at_us;
    struct arena arena;
    struct modification *modifications; // stb array; their slices live in the arena.
    UT_hash_handle hh;
};

enum node_lock_kind {
    NODE_LOCK_EXCLUSIVE,
    NODE_LOCK_SHARED,    // Of the node as a whole; against changes of the node itself.
    NODE_LOCK_CHILD,     // Shared, and against other locks and changes of the child `key`.
    NODE_LOCK_ATTRIBUTE, // The same of an attribute.
};

struct node_lock {
    struct guid id;
    struct guid transaction_id;
    struct guid object_id;
    enum node_lock_kind kind;
    struct buffer key;
};

struct machine {
    struct cell cell;
    struct sources sources;
    struct waiting_reads waiting_reads;
    struct coordinator coordinator;
    struct retention retention;
    struct transaction *transactions;   // By id.
    struct node_lock *node_locks;       // stb array; of master transactions.
    uint64_t transactions_expire_at_us; // No transaction expires before.
    struct copying *copyings;           // Copies at work, oldest first: cluster/commands/copy.c.
    uint64_t copyings_step_at_us;       // When the first goes on.
    bool has_leaving_tablets;           // Some tablet is freezing or unmounting.
    uint64_t request_count;             // Since the start, by outcome; for metrics.
    uint64_t failed_request_count;
};

// Makes a machine on a store, recovering what it holds. Syncs the store.
MUST_USE struct error *machine_new(
    const struct cell_options *options,
    uint64_t now_us,
    uint64_t wall_us,
    struct machine **ret_machine);

// What has not been answered never will be.
void machine_free(struct machine *machine);

// Time has passed. `now_us` never goes back; `wall_us` may.
void machine_tick(struct machine *machine, uint64_t now_us, uint64_t wall_us);

// Takes over a request; it comes back by EFFECT_REPLY, or by EFFECT_READ or EFFECT_FORWARD for
// whoever performs it to complete and answer.
void machine_request(struct machine *machine, struct request *request);

// Finds out who asks: `request->user` becomes the name of a user that is known, empty for root.
// Where authentication is required, that is a peer or the token's user, else root; only superusers
// and peers act as others. Fails with 900 or 111.
MUST_USE struct error *machine_identify(struct machine *machine, struct request *request);

// A read that was sent on to a replica's cluster has failed with `error`, which is taken over. If
// the cluster could not be reached it is tried again with a replica chosen anew, and if the
// replica's table is at fault, with another one; otherwise, and after some tries, false: the
// request has the error and is to be answered.
MUST_USE bool machine_read_again(
    struct machine *machine, struct request *request, struct error *error);

// A link to the cluster of this name is there. Links are numbered by the caller, never twice alike.
void machine_link_up(struct machine *machine, uint64_t link, struct slice cluster);
void machine_link_down(struct machine *machine, uint64_t link);

// A message has come on a link, outgoing or incoming. It is taken over.
void machine_receive(struct machine *machine, uint64_t link, struct message *message);

// Ends a turn: decides what can be decided, tries again what waited, queues what is to be sent.
void machine_settle(struct machine *machine);

static inline bool machine_needs_sync(const struct machine *machine)
{
    return cell_needs_sync(&machine->cell);
}

// Everything applied so far is durable.
void machine_synced(struct machine *machine);

// When machine_tick is wanted at the latest.
uint64_t machine_wake_at_us(const struct machine *machine);

// The clusters to which links are wanted, with their addresses under //sys/clusters (empty if
// none).
void machine_each_peer(
    const struct machine *machine,
    void (*visit)(void *context, struct slice cluster, struct slice address),
    void *context);

// Sets //sys/clusters/<name>/address, as a daemon's configuration has it.
void machine_set_peer(struct machine *machine, struct slice cluster, struct slice address);

// Also for the commands (cluster/commands): they take the request over. In read_routes.c:
void machine_lookup(struct machine *machine, struct request *request);
void machine_select(struct machine *machine, struct request *request);

// In transactions.c:
void machine_commit(struct machine *machine, struct request *request);
void machine_start_transaction(struct machine *machine, struct request *request);
void machine_ping_transaction(struct machine *machine, struct request *request);
void machine_abort_transaction(struct machine *machine, struct request *request);

// Finds a transaction of one kind: 11000 if there is none of this id.
MUST_USE struct error *machine_find_transaction(
    const struct machine *machine,
    struct guid id,
    bool is_master,
    struct transaction **ret_transaction);

// Something was done in the transaction: its time begins anew.
void machine_touch_transaction(struct machine *machine, struct transaction *transaction);

// Ends those of which nothing was heard for their timeout.
void machine_expire_transactions(struct machine *machine);
void machine_free_transactions(struct machine *machine);

// Adds modifications to a transaction, or if the request names none commits them.
void machine_modify(struct machine *machine, struct request *request);

// The address of a cluster; empty if it is not known.
struct slice machine_peer_address(const struct machine *machine, struct slice cluster);
