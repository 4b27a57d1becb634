// What every part of a cluster's state machine shares: the store, time, objects, locks, and the way
// out.
//
// A cell is one replicated state machine with one store and one loop (design: one cell a cluster
// for now). Its parts change memory at once and gather writes in `batch`; cell_apply hands the
// batch to the store and counts it. What must not be said before it is durable becomes an effect
// behind that count.
//
// Belongs to one loop. No part reads a clock: `now_us` and `wall_us` are set by whoever steps.
#pragma once

#include "base/rng.h"
#include "base/store.h"
#include "cluster/core/objects.h"
#include "cluster/core/request.h"
#include "cluster/core/row_locks.h"
#include "cluster/core/timestamps.h"
#include "model/cluster_config.h"
#include "model/message.h"

enum effect_kind {
    EFFECT_SEND,    // Send `message` on `link`.
    EFFECT_REPLY,   // `request` is answered.
    EFFECT_READ,    // Run the read in `request` on the store, then answer it.
    EFFECT_FORWARD, // Ask `cluster` to do the read in `request` with `path` (of lookups), then
                    // answer.
};

struct effect {
    enum effect_kind kind;
    uint64_t lsn; // May be performed when everything up to this batch is durable.
    uint64_t link;
    struct message *message; // Taken over by whoever performs the effect.
    struct request *request; // The same.
    struct slice cluster;    // Lives in the request's arena.
    struct effect *next;
    struct effect *prev;
};

// How long a write may stay unsynced that nobody waits for.
#define CELL_SYNC_DELAY_US UINT64_C(20000)

struct cell_options {
    struct store *store;       // Borrowed.
    struct slice cluster_name; // Copied.
    bool is_meta;              // Whether it may have replicated tables.
    uint16_t cell_tag;
    bool requires_authentication; // Whoever asks must prove who it is.
    struct slice root_token_hash; // Borrowed: a token of root; empty for none.
    uint64_t incarnation;         // A random number, new in every process.
    uint64_t seed;                // Of backoffs and the like.
    size_t remembered_write_count_max;
    uint64_t sync_wait_us;        // How long a request waits for a sync replica that catches up.
    uint64_t commit_timeout_us;   // The deadline of a commit whose client names none.
    uint64_t feed_window_size;    // Bytes in flight to a replica and tablet.
    uint64_t retention_period_us; // See cluster/core/retention.h; 0 for RETENTION_PERIOD_US.
};

struct cell {
    struct cell_options options;
    struct buffer cluster_name;
    struct buffer address; // host:port at which other machines find it; empty if nobody said.
    struct store *store;   // Borrowed.
    struct store_batch batch;
    uint64_t lsn;         // Batches applied.
    uint64_t durable_lsn; // Batches durable.
    uint64_t urgent_lsn; // What somebody waits for, or what must be durable before it is seen (A4).
    uint64_t sync_at_us; // When the rest should be durable; UINT64_MAX if it is.
    uint64_t now_us;
    uint64_t wall_us;
    struct rng rng;
    struct tree tree;
    struct timestamps timestamps;
    uint64_t pending_ceiling; // Applied, not durable; 0 if none.
    uint64_t pending_ceiling_lsn;
    struct row_locks locks;
    struct cluster_config config; // //sys/@config.
    bool is_read_only;            // //sys/@hydra_read_only
    struct error *disk_error; // The disk is full: why writes are refused; NULL while there is room.
    struct guid cluster_id;   // Random, from the first start on.
    struct error *fatal;      // Why this process must stop; NULL while all is well.
    struct effect *ready;     // May be performed now.
    struct effect *gated;     // Wait for `durable_lsn`; in order of lsn.
};

// Loads or makes what a cell has. `now_us`, `wall_us`: the time.
MUST_USE struct error *cell_init(
    struct cell *cell, const struct cell_options *options, uint64_t now_us, uint64_t wall_us);
void cell_release(struct cell *cell);

// Hands the batch to the store. A failure is kept in `fatal`: everything in flight is then unknown
// (R4), and no effect of it will ever be ready.
void cell_apply(struct cell *cell);

// As cell_apply, of something that somebody waits for: the next turn ends with a sync. All else is
// synced within CELL_SYNC_DELAY_US, or along with it.
void cell_apply_urgent(struct cell *cell);

// Whether the turn should end with a sync.
static inline bool cell_needs_sync(const struct cell *cell)
{
    if (cell->durable_lsn >= cell->lsn) return false;
    return cell->gated || cell->urgent_lsn > cell->durable_lsn || cell->now_us >= cell->sync_at_us;
}

// Everything applied is durable: gated effects become ready.
void cell_synced(struct cell *cell);

// Queues effects; `message` and `request` are taken over. With `lsn` 0 they are ready at once.
void cell_send(struct cell *cell, uint64_t lsn, uint64_t link, struct message *message);
void cell_reply(struct cell *cell, uint64_t lsn, struct request *request);
void cell_effect(struct cell *cell, struct effect effect);

// Says how long a request may wait: until its client's deadline, but no longer than `wait_us` from
// its first wait on.
void cell_limit_wait(const struct cell *cell, struct request *request, uint64_t wait_us);

// Answers a request with an error, which is taken over, as soon as what it says cannot change.
void cell_fail(struct cell *cell, struct request *request, struct error *error);

// The next effect to perform, or NULL; the caller frees it.
struct effect *cell_next_effect(struct cell *cell);

// The node that holds settings of the cluster: //sys.
struct object *cell_sys(const struct cell *cell);

// Says where the cell can be found: the node's leader address. Copied.
void cell_set_address(struct cell *cell, struct slice address);

// The id of the tablet cell that it is: the only one of the cluster, the same for ever.
struct guid cell_id(const struct cell *cell);

// Whether this is the cluster itself, or one that //sys/clusters has.
bool cell_knows_cluster(const struct cell *cell, struct slice name);

// Takes over settings from what are to become //sys's attributes; fails if they make no sense, and
// changes nothing then.
MUST_USE struct error *cell_read_config(struct cell *cell, const struct node *attributes);

// Why this cluster's replicas should not be chosen: a sum of enum cluster_flags.
uint32_t cell_flags(const struct cell *cell);

// The disk is full, or with NULL has room again. The error is taken over.
void cell_set_disk_error(struct cell *cell, struct error *error);

// Refuses writes of users and replicators while the cluster is in safe mode or read only: 901; and
// while its disk is full.
MUST_USE struct error *cell_check_writable(const struct cell *cell);

// A new timestamp, 0 (and an error to be made) if the ceiling does not allow one.
uint64_t cell_timestamp(struct cell *cell);

// Writes the ceiling ahead if it is time.
void cell_extend_ceiling(struct cell *cell);

// Reads a small record of the cell.
MUST_USE struct error *cell_get(
    struct cell *cell, const char *name, struct buffer *value, bool *ret_found);
