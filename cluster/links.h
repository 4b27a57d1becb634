// Replication streams to and from other clusters, as links of the machine.
//
// For each cluster that the machine wants there is one channel and one stream out, opened again
// after 50 to 1,000 ms when it is lost. What has been queued for a link leaves together, in as few
// frames as may be. A link whose queue is full is dropped: its sessions start again where the
// replica is; the machine's windows keep that from happening.
#pragma once

#include "cluster/loop.h"

struct links;

// The loop is borrowed.
MUST_USE struct links *links_new(struct loop *loop);

// After the rpc has been freed.
void links_free(struct links *links);

// Appends the methods to be served to `*methods`, an stb array.
void links_methods(struct links *links, struct rpc_method **methods);

// Where this process listens, for replicas on its own cluster. Copied.
void links_set_own_address(struct links *links, const char *address);

// Queues a message for the link `id`; it is taken over. For a link that is gone it is dropped.
void links_send(struct links *links, uint64_t id, struct message *message);

// Sends what has been queued.
void links_flush(struct links *links);

// Opens, and asks the machine now and then, which links are wanted. Call every turn.
void links_tick(struct links *links);

// When links_tick should be called at the latest.
uint64_t links_wake_at_us(const struct links *links);

// The channel to a cluster to which a link is wanted; NULL if there is none. Borrowed until the
// next links_tick.
struct rpc_channel *links_channel(const struct links *links, struct slice cluster);
