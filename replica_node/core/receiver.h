// The receiving end of replication: sessions of coordinators elsewhere with this cluster's tables.
//
// Messages go to the source (source.h) that they are about; acknowledgements wait until what they
// acknowledge is durable (A2). A source decides nothing here: who must decide is the coordinator
// (C8).
#pragma once

#include "replica_node/core/source.h"

// A message of a coordinator (OPEN, RESOLVE, ROWS, DECIDE, BEAT, PING) has come on an incoming
// link.
void receiver_receive(struct sources *sources, uint64_t link, const struct message *message);

// The table is to be removed: its coordinators hear it, and its sources are forgotten.
void receiver_table_removing(struct sources *sources, struct table *table);

// The incoming link is gone: its sessions are over.
void receiver_link_down(struct sources *sources, uint64_t link);

// Queues acknowledgements of what has been received; they leave when it is durable. Call at the end
// of a turn.
void receiver_flush(struct sources *sources);
