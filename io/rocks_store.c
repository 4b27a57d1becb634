#include "io/rocks_store.h"

#include "io/clock.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <rocksdb/c.h>
#include <stdatomic.h>
#include <sys/statvfs.h>

#define MIB (UINT64_C(1) << 20)

enum {
    BLOOM_BITS_PER_KEY = 10,
    BLOCK_SIZE = 16 << 10,
    RESTART_INTERVAL = 4, // Keys between two that a search can jump to.
    BACKGROUND_THREAD_COUNT = 2,
    OPEN_FILE_COUNT_MAX = 512,
    WRITE_BUFFER_COUNT_MAX = 4, // One is written, others are being flushed: writers do not wait.
    INFO_LOG_LEVEL_FATAL = 4,
    STEM_NUMBER_SIZE = 4,                // Every key of rows begins with the number of its table.
    FAMILY_DEFAULT = STORE_FAMILY_COUNT, // RocksDB has it in any case; nothing is kept there.
    COLUMN_FAMILY_COUNT,
};

static const double MEMTABLE_BLOOM_RATIO = 0.05;

static const char *const FAMILY_NAMES[COLUMN_FAMILY_COUNT] = {
    [STORE_META] = "meta",
    [STORE_QUEUE] = "queue",
    [STORE_DATA] = "data",
    [FAMILY_DEFAULT] = "default",
};

struct rocks_store {
    struct store base; // First: callers hold a pointer to it.
    char *path;
    uint64_t free_size_min;
    rocksdb_t *db;
    rocksdb_column_family_handle_t *families[COLUMN_FAMILY_COUNT];
    rocksdb_writeoptions_t *write_options;
    rocksdb_readoptions_t *read_options; // For reads without a snapshot.
    rocksdb_writebatch_t *batch;         // Reused; empty between calls.

    // What broke it. Written once, by the owner; read by any thread that reads.
    _Atomic(struct error *) failure;

    _Atomic uint64_t log_read_count; // By iterators over STORE_QUEUE that are gone.
    _Atomic uint64_t log_read_us;
};

struct rocks_iterator {
    struct store_iterator base; // First, likewise.
    struct rocks_store *store;  // Borrowed.
    rocksdb_iterator_t *iterator;
    rocksdb_readoptions_t *read_options; // Must live as long as the iterator, as must the bounds.
    bool is_of_log;
    uint64_t begun_at_us;
    char bounds[];
};

// Turns RocksDB's error into ours and frees it; NULL if there is none.
static struct error *take_error(char *text, const char *path, const char *action)
{
    if (!text) return NULL;
    struct error *error;
    if (strstr(text, "No space left on device")) {
        error = error_new(
            ERROR_ACCOUNT_LIMIT_EXCEEDED, "Disk of data folder %s is full: %s", path, text);
    } else {
        error = error_new(
            ERROR_GENERIC, "Store in data folder %s failed to %s: %s", path, action, text);
    }
    rocksdb_free(text);
    return error;
}

static struct error *check_failure(struct rocks_store *store)
{
    struct error *failure = atomic_load_explicit(&store->failure, memory_order_acquire);
    return error_copy(failure);
}

// Remembers the first failure, for good. Returns NULL if `text` is NULL.
static struct error *check_write(struct rocks_store *store, char *text, const char *action)
{
    struct error *error = take_error(text, store->path, action);
    if (!error) return NULL;
    assert(!atomic_load_explicit(&store->failure, memory_order_relaxed));
    atomic_store_explicit(&store->failure, error_copy(error), memory_order_release);
    return error;
}

static void add_to_batch(struct rocks_store *store, const struct store_operation *operation)
{
    rocksdb_column_family_handle_t *family = store->families[operation->family];
    struct slice key = operation->key;
    struct slice value = operation->value;
    switch (operation->kind) {
    case STORE_PUT:
        rocksdb_writebatch_put_cf(store->batch, family, key.data, key.size, value.data, value.size);
        break;
    case STORE_REMOVE:
        rocksdb_writebatch_delete_cf(store->batch, family, key.data, key.size);
        break;
    case STORE_REMOVE_RANGE:
        rocksdb_writebatch_delete_range_cf(
            store->batch, family, key.data, key.size, value.data, value.size);
        break;
    }
}

static struct error *rocks_apply(struct store *base, const struct store_batch *batch)
{
    struct rocks_store *store = (struct rocks_store *)base;
    TRY(check_failure(store));
    TRY(buffer_check(&batch->operations, "A batch of the store"));
    if (batch->count == 0) return NULL;

    struct slice operations = buffer_slice(&batch->operations);
    struct store_operation operation;
    while (store_operation_next(&operations, &operation)) add_to_batch(store, &operation);
    assert((size_t)rocksdb_writebatch_count(store->batch) == batch->count);

    char *text = NULL;
    rocksdb_write(store->db, store->write_options, store->batch, &text);
    rocksdb_writebatch_clear(store->batch);
    return check_write(store, text, "write");
}

static struct error *rocks_sync(struct store *base)
{
    struct rocks_store *store = (struct rocks_store *)base;
    TRY(check_failure(store));
    char *text = NULL;
    rocksdb_flush_wal(store->db, 1, &text);
    return check_write(store, text, "sync its log");
}

static struct error *rocks_get(
    struct store *base,
    const struct store_snapshot *snapshot,
    enum store_family family,
    struct slice key,
    struct buffer *value,
    bool *ret_found)
{
    struct rocks_store *store = (struct rocks_store *)base;
    TRY(check_failure(store));
    rocksdb_readoptions_t *options = store->read_options;
    if (snapshot) {
        options = rocksdb_readoptions_create();
        rocksdb_readoptions_set_snapshot(options, (const rocksdb_snapshot_t *)snapshot);
    }
    char *text = NULL;
    rocksdb_pinnableslice_t *pinned = rocksdb_get_pinned_cf(
        store->db, options, store->families[family], key.data, key.size, &text);
    if (snapshot) rocksdb_readoptions_destroy(options);
    TRY(take_error(text, store->path, "read"));

    buffer_clear(value);
    if (pinned) {
        size_t size = 0;
        const char *data = rocksdb_pinnableslice_value(pinned, &size);
        buffer_append(value, data, size);
        rocksdb_pinnableslice_destroy(pinned);
    }
    TRY(buffer_check(value, "A value of the store"));
    *ret_found = pinned != NULL;
    return NULL;
}

static struct store_snapshot *rocks_snapshot_new(struct store *base)
{
    struct rocks_store *store = (struct rocks_store *)base;
    // RocksDB hands it out as const and takes it back as const.
    return (struct store_snapshot *)rocksdb_create_snapshot(store->db);
}

static void rocks_snapshot_free(struct store *base, struct store_snapshot *snapshot)
{
    struct rocks_store *store = (struct rocks_store *)base;
    rocksdb_release_snapshot(store->db, (const rocksdb_snapshot_t *)snapshot);
}

static void rocks_iterator_seek(struct store_iterator *base, struct slice key)
{
    struct rocks_iterator *iterator = (struct rocks_iterator *)base;
    rocksdb_iter_seek(iterator->iterator, key.data, key.size);
}

static void rocks_iterator_seek_for_prev(struct store_iterator *base, struct slice key)
{
    struct rocks_iterator *iterator = (struct rocks_iterator *)base;
    rocksdb_iter_seek_for_prev(iterator->iterator, key.data, key.size);
}

static void rocks_iterator_next(struct store_iterator *base)
{
    struct rocks_iterator *iterator = (struct rocks_iterator *)base;
    rocksdb_iter_next(iterator->iterator);
}

static void rocks_iterator_prev(struct store_iterator *base)
{
    struct rocks_iterator *iterator = (struct rocks_iterator *)base;
    rocksdb_iter_prev(iterator->iterator);
}

static bool rocks_iterator_is_valid(const struct store_iterator *base)
{
    const struct rocks_iterator *iterator = (const struct rocks_iterator *)base;
    return rocksdb_iter_valid(iterator->iterator);
}

static struct slice rocks_iterator_key(const struct store_iterator *base)
{
    const struct rocks_iterator *iterator = (const struct rocks_iterator *)base;
    struct slice key;
    key.data = rocksdb_iter_key(iterator->iterator, &key.size);
    return key;
}

static struct slice rocks_iterator_value(const struct store_iterator *base)
{
    const struct rocks_iterator *iterator = (const struct rocks_iterator *)base;
    struct slice value;
    value.data = rocksdb_iter_value(iterator->iterator, &value.size);
    return value;
}

static struct error *rocks_iterator_error(const struct store_iterator *base)
{
    const struct rocks_iterator *iterator = (const struct rocks_iterator *)base;
    TRY(check_failure(iterator->store));
    char *text = NULL;
    rocksdb_iter_get_error(iterator->iterator, &text);
    return take_error(text, iterator->store->path, "read");
}

static void rocks_iterator_free(struct store_iterator *base)
{
    struct rocks_iterator *iterator = (struct rocks_iterator *)base;
    if (iterator->is_of_log) {
        uint64_t read_us = clock_now_us() - iterator->begun_at_us;
        atomic_fetch_add(&iterator->store->log_read_count, 1);
        atomic_fetch_add(&iterator->store->log_read_us, read_us);
    }
    rocksdb_iter_destroy(iterator->iterator);
    rocksdb_readoptions_destroy(iterator->read_options);
    free(iterator);
}

static const struct store_iterator_methods ITERATOR_METHODS = {
    .seek = rocks_iterator_seek,
    .seek_for_prev = rocks_iterator_seek_for_prev,
    .next = rocks_iterator_next,
    .prev = rocks_iterator_prev,
    .is_valid = rocks_iterator_is_valid,
    .key = rocks_iterator_key,
    .value = rocks_iterator_value,
    .error = rocks_iterator_error,
    .free = rocks_iterator_free,
};

// Makes an iterator without options and bounds, with `bounds_size` bytes of room for these.
static struct rocks_iterator *new_iterator(
    struct rocks_store *store, const struct store_snapshot *snapshot, size_t bounds_size)
{
    struct rocks_iterator *iterator = must_alloc(malloc(sizeof *iterator + bounds_size));
    iterator->base.methods = &ITERATOR_METHODS;
    iterator->store = store;
    iterator->is_of_log = false;
    iterator->read_options = rocksdb_readoptions_create();
    if (snapshot) {
        const rocksdb_snapshot_t *frozen = (const rocksdb_snapshot_t *)snapshot;
        rocksdb_readoptions_set_snapshot(iterator->read_options, frozen);
    }
    return iterator;
}

static struct store_iterator *rocks_iterator_new(
    struct store *base,
    const struct store_snapshot *snapshot,
    enum store_family family,
    struct slice begin,
    struct slice end)
{
    struct rocks_store *store = (struct rocks_store *)base;
    struct rocks_iterator *iterator = new_iterator(store, snapshot, begin.size + end.size);
    rocksdb_readoptions_set_total_order_seek(iterator->read_options, 1);
    iterator->is_of_log = family == STORE_QUEUE;
    iterator->begun_at_us = clock_now_us();
    char *bound = iterator->bounds;
    if (begin.size > 0) {
        memcpy(bound, begin.data, begin.size);
        rocksdb_readoptions_set_iterate_lower_bound(iterator->read_options, bound, begin.size);
        bound += begin.size;
    }
    if (end.size > 0) {
        memcpy(bound, end.data, end.size);
        rocksdb_readoptions_set_iterate_upper_bound(iterator->read_options, bound, end.size);
    }
    iterator->iterator =
        rocksdb_create_iterator_cf(store->db, iterator->read_options, store->families[family]);
    return &iterator->base;
}

static struct store_iterator *rocks_stem_iterator_new(
    struct store *base, const struct store_snapshot *snapshot, enum store_family family)
{
    struct rocks_store *store = (struct rocks_store *)base;
    struct rocks_iterator *iterator = new_iterator(store, snapshot, 0);
    rocksdb_readoptions_set_prefix_same_as_start(iterator->read_options, 1);
    iterator->iterator =
        rocksdb_create_iterator_cf(store->db, iterator->read_options, store->families[family]);
    return &iterator->base;
}

static void rocks_close(struct store *base)
{
    struct rocks_store *store = (struct rocks_store *)base;
    for (int i = 0; i < COLUMN_FAMILY_COUNT; i++) {
        if (store->families[i]) rocksdb_column_family_handle_destroy(store->families[i]);
    }
    if (store->db) rocksdb_close(store->db);
    if (store->batch) rocksdb_writebatch_destroy(store->batch);
    if (store->read_options) rocksdb_readoptions_destroy(store->read_options);
    if (store->write_options) rocksdb_writeoptions_destroy(store->write_options);
    error_free(atomic_load(&store->failure));
    free(store->path);
    free(store);
}

static const struct store_methods METHODS = {
    .apply = rocks_apply,
    .sync = rocks_sync,
    .get = rocks_get,
    .snapshot_new = rocks_snapshot_new,
    .snapshot_free = rocks_snapshot_free,
    .iterator_new = rocks_iterator_new,
    .stem_iterator_new = rocks_stem_iterator_new,
    .close = rocks_close,
};

static void rocks_closep(struct rocks_store **store)
{
    if (*store) rocks_close(&(*store)->base);
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t name_size = strlen(name);
    size_t suffix_size = strlen(suffix);
    return name_size >= suffix_size && strcmp(name + name_size - suffix_size, suffix) == 0;
}

// Tells a store from an empty folder. RocksDB itself goes by the file CURRENT alone, and would
// start from nothing in a folder that lost it, deleting what is there.
static struct error *find_store(const char *path, bool *ret_exists)
{
    DIR *folder = opendir(path);
    if (!folder) {
        if (errno != ENOENT)
            return error_new(ERROR_GENERIC, "Cannot read data folder %s: %m", path);
        *ret_exists = false;
        return NULL;
    }
    bool has_current = false;
    bool has_data = false;
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        has_current |= strcmp(entry->d_name, "CURRENT") == 0;
        has_data |= has_suffix(entry->d_name, ".sst") || has_suffix(entry->d_name, ".log");
    }
    closedir(folder);
    if (has_data && !has_current) {
        return error_new(
            ERROR_GENERIC,
            "Data folder %s holds data, but its file CURRENT is missing: the store is damaged, "
            "restore the folder or start with an empty one",
            path);
    }
    *ret_exists = has_current;
    return NULL;
}

// RocksDB calls a stem a prefix: all of a key but its version.
static char *stem_of(void *context, const char *key, size_t size, size_t *ret_size)
{
    (void)context;
    *ret_size = size - STORE_VERSION_SIZE;
    return (char *)(uintptr_t)key;
}

static unsigned char has_stem(void *context, const char *key, size_t size)
{
    (void)context;
    (void)key;
    return size > STEM_NUMBER_SIZE + STORE_VERSION_SIZE;
}

static unsigned char is_stem_of_others(void *context, const char *key, size_t size)
{
    (void)context;
    (void)key;
    (void)size;
    return 0;
}

static const char *stem_name(void *context)
{
    (void)context;
    return "retable.stem";
}

static void forget_stem(void *context)
{
    (void)context;
}

// Files and memtables then have filters of stems, by which a lookup skips those without its row.
static void set_stems(rocksdb_options_t *options, rocksdb_block_based_table_options_t *table)
{
    rocksdb_options_set_prefix_extractor(
        options,
        rocksdb_slicetransform_create(
            NULL, forget_stem, stem_of, has_stem, is_stem_of_others, stem_name));
    rocksdb_options_set_memtable_prefix_bloom_size_ratio(options, MEMTABLE_BLOOM_RATIO);
    rocksdb_block_based_options_set_whole_key_filtering(table, 0);
    rocksdb_block_based_options_set_filter_policy(
        table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS_PER_KEY)); // Takes it over.
}

static rocksdb_options_t *make_options(
    enum store_family family,
    const struct rocks_store_options *options,
    rocksdb_cache_t *cache,
    bool exists)
{
    rocksdb_options_t *result = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(result, !exists);
    rocksdb_options_set_create_missing_column_families(result, 1);
    rocksdb_options_set_paranoid_checks(result, 1);

    // The default mode, point in time, opens without a word when a record in the middle of the log
    // is damaged, with all that follows it gone.
    rocksdb_options_set_wal_recovery_mode(result, rocksdb_tolerate_corrupted_tail_records_recovery);
    rocksdb_options_set_manual_wal_flush(result, 1);
    rocksdb_options_set_atomic_flush(result, 1);
    rocksdb_options_set_max_total_wal_size(result, 256 * MIB);

    // There is one writer; what serves several only costs it time.
    rocksdb_options_set_allow_concurrent_memtable_write(result, 0);
    rocksdb_options_set_enable_write_thread_adaptive_yield(result, 0);

    rocksdb_options_set_db_write_buffer_size(result, options->write_buffer_size);
    rocksdb_options_set_write_buffer_size(result, options->write_buffer_size / 2);
    rocksdb_options_set_max_write_buffer_number(result, WRITE_BUFFER_COUNT_MAX);
    rocksdb_options_set_max_background_jobs(result, BACKGROUND_THREAD_COUNT);
    rocksdb_options_set_max_open_files(result, OPEN_FILE_COUNT_MAX);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(result, 1);
    rocksdb_options_set_max_bytes_for_level_base(result, 128 * MIB);
    rocksdb_options_set_compression(result, rocksdb_lz4_compression);
    rocksdb_options_set_bytes_per_sync(result, MIB);

    // RocksDB's own log lies in the data folder, and a second line that does not fit on a full disk
    // stops the process by an assertion (7.8 as Debian builds it) before we can say what happened.
    rocksdb_options_set_info_log_level(result, INFO_LOG_LEVEL_FATAL);
    rocksdb_options_set_keep_log_file_num(result, 2);
    rocksdb_options_set_max_log_file_size(result, 4 * MIB);
    rocksdb_options_set_stats_dump_period_sec(result, 0);
    rocksdb_options_set_stats_persist_period_sec(result, 0);

    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_size(table, BLOCK_SIZE);
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
    rocksdb_block_based_options_set_format_version(table, 5);
    rocksdb_block_based_options_set_block_restart_interval(table, RESTART_INTERVAL);
    if (family == STORE_META) {
        // Here keys are asked for that mostly are absent (mutation ids).
        rocksdb_filterpolicy_t *bloom = rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS_PER_KEY);
        rocksdb_block_based_options_set_filter_policy(table, bloom); // Takes it over.
    }
    if (family == STORE_DATA) set_stems(result, table);
    rocksdb_options_set_block_based_table_factory(result, table);
    rocksdb_block_based_options_destroy(table);
    return result;
}

// Has RocksDB write down which logs there must be and how long, and check it when it opens: without
// this, a log that is missing as a whole goes unnoticed. The C API has this option only as a text.
static char *track_logs(rocksdb_options_t **options)
{
    char *text = NULL;
    rocksdb_options_t *tracking = rocksdb_options_create();
    rocksdb_get_options_from_string(
        *options, "track_and_verify_wals_in_manifest=true", tracking, &text);
    rocksdb_options_destroy(*options);
    *options = tracking;
    return text;
}

static struct error *open_db(
    struct rocks_store *store, const struct rocks_store_options *options, bool exists)
{
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(options->block_cache_size);
    rocksdb_options_t *families[COLUMN_FAMILY_COUNT];
    for (int i = 0; i < COLUMN_FAMILY_COUNT; i++) {
        families[i] = make_options((enum store_family)i, options, cache, exists);
    }
    rocksdb_cache_destroy(cache); // Our reference; the tables have theirs.

    char *text = track_logs(&families[FAMILY_DEFAULT]);
    if (!text) {
        store->db = rocksdb_open_column_families(
            families[FAMILY_DEFAULT],
            store->path,
            COLUMN_FAMILY_COUNT,
            FAMILY_NAMES,
            (const rocksdb_options_t *const *)families,
            store->families,
            &text);
    }
    for (int i = 0; i < COLUMN_FAMILY_COUNT; i++) rocksdb_options_destroy(families[i]);

    if (text && strstr(text, "lock ")) {
        rocksdb_free(text);
        return error_new(ERROR_GENERIC, "Data folder %s is in use by another process", store->path);
    }
    return take_error(text, store->path, "open");
}

struct error *rocks_store_open(
    const char *path, const struct rocks_store_options *options, struct store **ret_store)
{
    struct rocks_store_options complete = *options;
    if (complete.block_cache_size == 0) complete.block_cache_size = 64 * MIB;
    if (complete.write_buffer_size == 0) complete.write_buffer_size = 64 * MIB;
    if (complete.free_size_min == 0) complete.free_size_min = 64 * MIB;

    bool exists = false;
    TRY(find_store(path, &exists));
    CLEANUP(rocks_closep) struct rocks_store *store = must_alloc(calloc(1, sizeof *store));
    store->base.methods = &METHODS;
    store->path = must_alloc(strdup(path));
    store->free_size_min = complete.free_size_min;
    TRY(open_db(store, &complete, exists));

    store->write_options = rocksdb_writeoptions_create();
    store->read_options = rocksdb_readoptions_create();
    store->batch = rocksdb_writebatch_create();
    *ret_store = &TAKE(store)->base;
    return NULL;
}

struct error *rocks_store_check_space(struct store *store)
{
    const struct rocks_store *rocks = (struct rocks_store *)store;
    struct statvfs disk;
    if (statvfs(rocks->path, &disk) != 0)
        return error_new(ERROR_GENERIC, "Cannot ask for free space of %s: %m", rocks->path);
    uint64_t free_size = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_size >= rocks->free_size_min) return NULL;
    struct error *error = error_new(
        ERROR_ACCOUNT_LIMIT_EXCEEDED,
        "Disk of data folder %s is almost full, writes are refused",
        rocks->path);
    error_set_u64(error, "free_size", free_size);
    return error_set_u64(error, "free_size_min", rocks->free_size_min);
}

uint64_t rocks_store_property(struct store *store, enum store_family family, const char *name)
{
    const struct rocks_store *rocks = (struct rocks_store *)store;
    uint64_t value = 0;
    if (rocksdb_property_int_cf(rocks->db, rocks->families[family], name, &value) != 0) return 0;
    return value;
}

struct rocks_store_reads rocks_store_log_reads(const struct store *store)
{
    const struct rocks_store *rocks = (const struct rocks_store *)store;
    return (struct rocks_store_reads){
        .count = atomic_load(&rocks->log_read_count),
        .us = atomic_load(&rocks->log_read_us),
    };
}
