// Where a cell keeps what: the keys of its store. docs/formats.md lists them.
//
//   META   'c' name                              facts about the cell: epoch, ceiling, counters
//          'o' object id                         an object
//          'm' timestamp                         the outcome of a mutation
//          'h' sequence                          a change of replicas' modes
//          'x' timestamp                         rows of ordinary tables in an undecided
//          transaction 'p' replica id, tablet index          how far a replica has durably got
//          (coordinator) 'e' replica id                        the epoch promised to a source
//          (receiver) 's' replica id, tablet id             tail and decided position of a source
//          (receiver) 'l' replica id, tablet id, row index  a record behind the decided position
//          (receiver)
//   QUEUE  tablet number, 'r', row index         a record of the replication log
//          tablet number, 'x', row index         its abort record
//          tablet number, 't'                    how far the log is trimmed
//   DATA   table number, key, ~timestamp         a version of a sorted table's row
//          tablet number, row index              a row of an ordered table
//          tablet number, row index all ones     how far an ordered tablet is trimmed: in META 'd'
//
// Numbers are big endian, so that keys sort as they count.
#pragma once

#include "base/coding.h"
#include "base/store.h"
#include "model/guid.h"

#define LAYOUT_KEY_MAX 64

// A key on the stack.
struct layout_key {
    char data[LAYOUT_KEY_MAX];
    size_t size;
};

static inline struct slice layout_slice(const struct layout_key *key)
{
    return slice_from(key->data, key->size);
}

struct layout_key layout_cell(const char *name);
struct layout_key layout_object(struct guid id);
struct layout_key layout_mutation(uint64_t timestamp);
struct layout_key layout_prepared(uint64_t timestamp);
struct layout_key layout_history(uint64_t sequence);
struct layout_key layout_progress(struct guid replica_id, uint32_t tablet_index);
struct layout_key layout_source_epoch(struct guid replica_id);
struct layout_key layout_source(struct guid replica_id, struct guid tablet_id);
struct layout_key layout_source_record(
    struct guid replica_id, struct guid tablet_id, uint64_t row_index);
struct layout_key layout_queue_record(uint32_t tablet_number, uint64_t row_index);
struct layout_key layout_queue_abort(uint32_t tablet_number, uint64_t row_index);
struct layout_key layout_queue_trimmed(uint32_t tablet_number);
struct layout_key layout_ordered_row(uint32_t tablet_number, uint64_t row_index);
struct layout_key layout_ordered_trimmed(uint32_t tablet_number);
struct layout_key layout_unfinished(uint32_t number);

// The first key after all that begin with this one.
struct layout_key layout_after(struct layout_key prefix);

// Only the first `size` bytes of a key, as a prefix.
struct layout_key layout_prefix(struct layout_key key, size_t size);

// An iterator over all keys with this prefix, as store_iterator_new makes it: seek first.
struct store_iterator *layout_iterator_new(
    struct store *store, enum store_family family, struct layout_key prefix);

// The same, at the first of them: to go through all.
struct store_iterator *layout_iterate(
    struct store *store, enum store_family family, struct layout_key prefix);
