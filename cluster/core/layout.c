#include "cluster/core/layout.h"

#include <assert.h>
#include <endian.h>

static void add(struct layout_key *key, const void *data, size_t size)
{
    assert(size <= LAYOUT_KEY_MAX - key->size);
    memcpy(key->data + key->size, data, size);
    key->size += size;
}

static void add_kind(struct layout_key *key, char kind)
{
    add(key, &kind, 1);
}

static void add_number32(struct layout_key *key, uint32_t number)
{
    number = htobe32(number);
    add(key, &number, sizeof number);
}

static void add_number64(struct layout_key *key, uint64_t number)
{
    number = htobe64(number);
    add(key, &number, sizeof number);
}

static void add_guid(struct layout_key *key, struct guid id)
{
    add_number64(key, id.high);
    add_number64(key, id.low);
}

static struct layout_key begin(char kind)
{
    struct layout_key key = {.size = 0};
    add_kind(&key, kind);
    return key;
}

struct layout_key layout_cell(const char *name)
{
    struct layout_key key = begin('c');
    add(&key, name, strlen(name));
    return key;
}

static struct layout_key with_guid(char kind, struct guid id)
{
    struct layout_key key = begin(kind);
    add_guid(&key, id);
    return key;
}

struct layout_key layout_object(struct guid id)
{
    return with_guid('o', id);
}

struct layout_key layout_mutation(uint64_t timestamp)
{
    struct layout_key key = begin('m');
    add_number64(&key, timestamp);
    return key;
}

struct layout_key layout_prepared(uint64_t timestamp)
{
    struct layout_key key = begin('x');
    add_number64(&key, timestamp);
    return key;
}

struct layout_key layout_history(uint64_t sequence)
{
    struct layout_key key = begin('h');
    add_number64(&key, sequence);
    return key;
}

struct layout_key layout_progress(struct guid replica_id, uint32_t tablet_index)
{
    struct layout_key key = with_guid('p', replica_id);
    add_number32(&key, tablet_index);
    return key;
}

struct layout_key layout_source_epoch(struct guid replica_id)
{
    return with_guid('e', replica_id);
}

struct layout_key layout_source(struct guid replica_id, struct guid tablet_id)
{
    struct layout_key key = with_guid('s', replica_id);
    add_guid(&key, tablet_id);
    return key;
}

struct layout_key layout_source_record(
    struct guid replica_id, struct guid tablet_id, uint64_t row_index)
{
    struct layout_key key = with_guid('l', replica_id);
    add_guid(&key, tablet_id);
    add_number64(&key, row_index);
    return key;
}

static struct layout_key queue_key(uint32_t tablet_number, char kind)
{
    struct layout_key key = {.size = 0};
    add_number32(&key, tablet_number);
    add_kind(&key, kind);
    return key;
}

struct layout_key layout_queue_record(uint32_t tablet_number, uint64_t row_index)
{
    struct layout_key key = queue_key(tablet_number, 'r');
    add_number64(&key, row_index);
    return key;
}

struct layout_key layout_queue_abort(uint32_t tablet_number, uint64_t row_index)
{
    struct layout_key key = queue_key(tablet_number, 'x');
    add_number64(&key, row_index);
    return key;
}

struct layout_key layout_queue_trimmed(uint32_t tablet_number)
{
    return queue_key(tablet_number, 't');
}

struct layout_key layout_ordered_row(uint32_t tablet_number, uint64_t row_index)
{
    struct layout_key key = {.size = 0};
    add_number32(&key, tablet_number);
    add_number64(&key, row_index);
    return key;
}

struct layout_key layout_ordered_trimmed(uint32_t tablet_number)
{
    struct layout_key key = begin('d');
    add_number32(&key, tablet_number);
    return key;
}

struct layout_key layout_unfinished(uint32_t number)
{
    struct layout_key key = begin('u');
    add_number32(&key, number);
    return key;
}

struct layout_key layout_after(struct layout_key prefix)
{
    // No prefix of ours is all ones.
    while ((unsigned char)prefix.data[prefix.size - 1] == 0xff) {
        prefix.size--;
        assert(prefix.size > 0);
    }
    prefix.data[prefix.size - 1]++;
    return prefix;
}

struct layout_key layout_prefix(struct layout_key key, size_t size)
{
    assert(size <= key.size);
    key.size = size;
    return key;
}

struct store_iterator *layout_iterator_new(
    struct store *store, enum store_family family, struct layout_key prefix)
{
    struct layout_key end = layout_after(prefix);
    return store_iterator_new(store, NULL, family, layout_slice(&prefix), layout_slice(&end));
}

struct store_iterator *layout_iterate(
    struct store *store, enum store_family family, struct layout_key prefix)
{
    struct store_iterator *iterator = layout_iterator_new(store, family, prefix);
    store_iterator_seek(iterator, layout_slice(&prefix));
    return iterator;
}
