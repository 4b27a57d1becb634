// What the files of the clients share: clients.c (what they do), client_requests.c (what they send)
// and client_answers.c (what they make of the answers).
#pragma once

#include "tests/sim/clients.h"

#define CLIENT_TIMEOUT_US (2 * SECOND)

enum deed {
    DOES_COMMIT,
    DOES_LOOKUP,
    DOES_SNAPSHOT,
    DOES_STALE, // Reads a replica as it is.
    DOES_START,
    DOES_READ_FIRST,
    DOES_ASK,
    DOES_TRESPASS, // Writes to a replica table.
};

struct client {
    uint64_t token; // Of the operation under way; 0 if there is none.
    uint64_t invoke_us;
    uint64_t timeout_us;
    enum deed does;
    uint32_t node;      // That is asked.
    size_t transaction; // In the history.
    struct guid mutation_id;
    struct guid transaction_id; // Of a transaction begun.
    uint64_t start_timestamp;
    int64_t keys[4];
    size_t key_count;
    uint64_t timestamp;     // Of a snapshot read.
    bool is_settled;        // Of a read at a replica: it had nothing undecided then.
    bool is_thinking;       // It has read, and will write in the same transaction.
    bool is_retry;          // The commit was sent before.
    bool may_be_on_its_way; // What was sent before may come later than this.
    uint64_t revisions[2];  // Of modes of QUEUE and LIST, when the commit was sent; 0 if unknown.
    struct commit_try last;
};

struct clients {
    struct client clients[CLIENT_COUNT];
    struct history history;
    uint64_t next_token;
    uint64_t last_timestamp; // The newest acknowledged.
    bool are_done;
};

// -- client_requests.c
// The transaction in the history that a client is at.
struct past_transaction *client_past(const struct world *world, const struct client *client);
// Notes a new transaction of the keys chosen.
struct past_transaction *client_new_transaction(struct world *world, struct client *client);
// Between one and so many keys, each once.
void client_choose_keys(struct world *world, struct client *client, size_t count_max);
void client_send_commit(struct world *world, struct client *client);
// The same commit again, under its mutation id.
void client_send_again(struct world *world, struct client *client);
void client_send_lookup(
    struct world *world, struct client *client, uint32_t node, const char *path, enum deed deed);
// Which replicas could serve a snapshot now.
void client_send_question(struct world *world, struct client *client);
// Only the meta-cluster writes to a replica table.
void client_send_trespass(struct world *world, struct client *client);
void client_send_start(struct world *world, struct client *client);
