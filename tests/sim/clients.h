// Clients of the world: what they write, read and ask, and what they make of the answers.
//
// Each value is written by one transaction only, so a value read names its writer. Clients repeat
// commits of which they have not heard, also ones that were acknowledged; they go away in the
// middle of a commit, or abort it when it is sent already; and they try to write where they may
// not.
#pragma once

#include "tests/sim/history.h"
#include "tests/sim/world.h"

enum { CLIENT_COUNT = 5, KEY_COUNT = 24 };

// What nobody may have written.
#define TRESPASS_VALUE INT64_C(-1)

// What became of a commit (clients_commit).
struct commit_try {
    bool is_answered;
    bool is_done;
    uint64_t latency_us; // From sending to the answer.
    char error[256];
};

void clients_begin(struct world *world); // Plans their first actions.
void clients_release(struct world *world);

// They begin nothing new; what is under way ends.
void clients_stop(struct world *world);

// One of them acts.
void clients_act(struct world *world, uint64_t index);

// An answer has left a node, is about to arrive, or has arrived.
void clients_on_read(struct world *world, uint32_t node, const struct request *request);
void clients_on_reply(
    struct world *world, uint32_t node, const struct request *request, uint64_t token);
void clients_on_answer(struct world *world, const struct request *request, uint64_t token);

// After clients_stop: a client sends a commit of rows that no other client writes in this way,
// whose deadline is `timeout_us` from now. Run the world, then look what has become of it.
void clients_commit(
    struct world *world, uint64_t client, uint64_t timeout_us, bool require_sync_replica);
struct commit_try clients_look(const struct world *world, uint64_t client);

struct history *clients_history(const struct world *world);
