// What the parts of a daemon share: one thread, one machine, one rpc, one time.
//
// Faces and links are called by rpc_poll; they begin with loop_tick, which tells the machine the
// time once a turn, and hand it what has come. Nobody but the loop's thread uses any of this.
#pragma once

#include "base/log.h"
#include "cluster/machine.h"
#include "io/rpc.h"

#define LOOP_REQUEST_COUNT_MAX 131072
#define LOOP_REQUEST_SIZE_MAX  (UINT64_C(512) << 20)

struct loop {
    struct machine *machine; // Borrowed, like what follows.
    struct rpc *rpc;
    const struct log *log;
    struct slice peer_secret; // That clusters share; empty if there is none.
    uint64_t now_us;          // Of this turn.
    bool is_ticked;           // In this turn, the machine knows the time.
    bool is_hurried;          // Something happened that the next turn must look at without waiting.
    bool is_stopping;         // New requests are refused.
    bool has_commanded;       // A command was answered: what it changed may concern the links.
    uint64_t request_count;   // Under way.
    uint64_t request_size;    // Their bytes when they came.
};

// Whoever handed in a request; `owner` of a request points to one.
struct request_owner {
    // The request is answered; it is given back.
    void (*on_answered)(struct request_owner *owner, struct request *request);
    uint64_t request_size; // The loop's own.
};

// Who makes an answer in parts. The owner of a request that was answered in part calls one of the
// two, once: `resume` to be answered again, `drop` to give the request away for good.
struct request_source {
    void (*resume)(struct request_source *source);
    void (*drop)(struct request_source *source);
};

// The first thing to do for whoever is called by the rpc.
void loop_tick(struct loop *loop);

// Hands a request to the machine. What cannot be admitted (too many requests, a full disk,
// stopping) is answered at once, with an error.
void loop_submit(struct loop *loop, struct request *request, struct request_owner *owner);

// Answers a request that the machine has given back, whole or in part.
void loop_answer(struct loop *loop, struct request *request);

// For sources: the request is not under way any more.
void loop_forget(struct loop *loop, const struct request *request);
