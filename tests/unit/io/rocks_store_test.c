#include "io/rocks_store.h"

#include "base/rng.h"
#include "io/clock.h"
#include "tests/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/rocks_store_test.XXXXXX";

static void make_folder(void)
{
    cr_assert(mkdtemp(folder) != NULL);
}

static int remove_entry(const char *path, const struct stat *stat, int flag, struct FTW *walk)
{
    (void)stat;
    (void)flag;
    (void)walk;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    abort_on_leaks();
}

TestSuite(rocks_store, .init = make_folder, .fini = remove_folder, .timeout = 60);

static struct store *open_store(void)
{
    struct store *store = NULL;
    assert_ok(rocks_store_open(folder, &(struct rocks_store_options){0}, &store));
    return store;
}

static void put(struct store *store, enum store_family family, const char *key, const char *value)
{
    struct store_batch batch = {0};
    store_batch_put(&batch, family, slice_from_text(key), slice_from_text(value));
    assert_ok(store_apply(store, &batch));
    store_batch_release(&batch);
}

static const char *get(
    struct store *store,
    const struct store_snapshot *snapshot,
    enum store_family family,
    const char *key)
{
    static char text[100];
    CLEANUP(buffer_releasep) struct buffer value = {0};
    bool found = false;
    assert_ok(store_get(store, snapshot, family, slice_from_text(key), &value, &found));
    if (!found) return "(absent)";
    snprintf(text, sizeof text, "%.*s", SLICE(buffer_slice(&value)));
    return text;
}

static const char *list(struct store *store, const char *begin, const char *end)
{
    static char text[1000];
    text[0] = 0;
    size_t size = 0;
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_iterator_new(store, NULL, STORE_DATA, slice_from_text(begin), slice_from_text(end));
    store_iterator_seek(iterator, slice_from_text(""));
    for (; store_iterator_is_valid(iterator); store_iterator_next(iterator)) {
        int printed =
            snprintf(text + size, sizeof text - size, "%.*s ", SLICE(store_iterator_key(iterator)));
        size += (size_t)printed;
    }
    assert_ok(store_iterator_error(iterator));
    return text;
}

Test(rocks_store, applies_a_batch_to_all_families_at_once)
{
    struct store *store = open_store();
    put(store, STORE_DATA, "b", "old");
    put(store, STORE_DATA, "c1", "old");
    struct store_batch batch = {0};
    store_batch_put(&batch, STORE_META, slice_from_text("a"), slice_from_text("1"));
    store_batch_put(&batch, STORE_QUEUE, slice_from_text("a"), slice_from_text("2"));
    store_batch_remove(&batch, STORE_DATA, slice_from_text("b"));
    store_batch_remove_range(&batch, STORE_DATA, slice_from_text("c"), slice_from_text("d"));
    store_batch_put(&batch, STORE_DATA, slice_from_text("d"), slice_from_text(""));
    assert_ok(store_apply(store, &batch));
    store_batch_release(&batch);

    assert_text(get(store, NULL, STORE_META, "a"), "1");
    assert_text(get(store, NULL, STORE_QUEUE, "a"), "2");
    assert_text(get(store, NULL, STORE_DATA, "a"), "(absent)");
    assert_text(get(store, NULL, STORE_DATA, "d"), "");
    assert_text(list(store, "", ""), "d ");
    store_close(store);
}

Test(rocks_store, iterates_within_bounds_in_both_directions)
{
    struct store *store = open_store();
    const char *keys[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < 5; i++) put(store, STORE_DATA, keys[i], "");
    assert_text(list(store, "", ""), "a b c d e ");
    assert_text(list(store, "b", "d"), "b c ");
    assert_text(list(store, "bb", ""), "c d e ");

    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_iterator_new(store, NULL, STORE_DATA, SLICE_OF("b"), SLICE_OF("d"));
    store_iterator_seek_for_prev(iterator, SLICE_OF("z"));
    cr_assert(slice_equal_text(store_iterator_key(iterator), "c"));
    store_iterator_prev(iterator);
    cr_assert(slice_equal_text(store_iterator_key(iterator), "b"));
    store_iterator_prev(iterator);
    cr_assert(not(store_iterator_is_valid(iterator)));
    store_iterator_free(TAKE(iterator));
    store_close(store);
}

// Whether a stem iterator finds version `version` or the next one of row `row`, and which.
static int find_version(struct store_iterator *iterator, int row, int version)
{
    char key[32];
    snprintf(key, sizeof key, "%04d%04d%08d", 1, row, version);
    store_iterator_seek(iterator, slice_from_text(key));
    assert_ok(store_iterator_error(iterator));
    if (!store_iterator_is_valid(iterator)) return -1;
    struct slice found = store_iterator_key(iterator);
    if (memcmp(found.data, key, 8) != 0) return -1;
    int number = 0;
    for (size_t i = 8; i < found.size; i++) number = 10 * number + (found.data[i] - '0');
    return number;
}

Test(rocks_store, finds_versions_by_their_stem)
{
    struct store *store = open_store();
    for (int round = 0; round < 3; round++) { // Each opening leaves a file of its own.
        for (int row = 0; row < 500; row += 2) {
            char key[32];
            snprintf(key, sizeof key, "%04d%04d%08d", 1, row, 10 * (3 - round));
            put(store, STORE_DATA, key, "x");
        }
        if (round == 2) break;
        store_close(store);
        store = open_store();
    }
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator = store_stem_iterator_new(store, NULL, STORE_DATA);
    for (int row = 0; row < 500; row++) {
        bool is_there = row % 2 == 0;
        cr_assert(eq(int, find_version(iterator, row, 0), is_there ? 10 : -1));
        cr_assert(eq(int, find_version(iterator, row, 11), is_there ? 20 : -1));
        if (is_there) {
            store_iterator_next(iterator);
            cr_assert(store_iterator_is_valid(iterator));
        }
        cr_assert(eq(int, find_version(iterator, row, 31), -1));
    }
    store_iterator_free(TAKE(iterator));
    store_close(store);
}

Test(rocks_store, shows_the_past_in_a_snapshot)
{
    struct store *store = open_store();
    put(store, STORE_META, "a", "1");
    struct store_snapshot *snapshot = store_snapshot_new(store);
    put(store, STORE_META, "a", "2");
    assert_text(get(store, snapshot, STORE_META, "a"), "1");
    assert_text(get(store, NULL, STORE_META, "a"), "2");
    store_snapshot_free(store, snapshot);
    store_close(store);
}

Test(rocks_store, keeps_what_was_synced_through_a_crash)
{
    for (int round = 0; round < 3; round++) {
        pid_t child = fork();
        if (child == 0) {
            struct store *store = open_store();
            char key[] = {'a', (char)('0' + round), 0};
            put(store, STORE_DATA, key, "");
            put(store, STORE_META, key, "kept");
            assert_ok(store_sync(store));
            put(store, STORE_DATA, "z", "perhaps");
            _exit(0);
        }
        int status = -1;
        waitpid(child, &status, 0);
        cr_assert(eq(int, status, 0));
    }
    struct store *store = open_store();
    assert_text(list(store, "a", "b"), "a0 a1 a2 ");
    assert_text(get(store, NULL, STORE_META, "a2"), "kept");
    store_close(store);
}

// The number of batches that are there; they must be there in all families, without a gap.
static uint64_t count_batches(struct store *store)
{
    uint64_t counts[STORE_FAMILY_COUNT] = {0};
    for (int family = 0; family < STORE_FAMILY_COUNT; family++) {
        CLEANUP(store_iterator_freep)
        struct store_iterator *iterator =
            store_iterator_new(store, NULL, (enum store_family)family, SLICE_OF(""), SLICE_OF(""));
        store_iterator_seek(iterator, SLICE_OF(""));
        for (; store_iterator_is_valid(iterator); store_iterator_next(iterator)) {
            char key[20];
            snprintf(key, sizeof key, "%010" PRIu64, counts[family]++);
            if (!slice_equal_text(store_iterator_key(iterator), key)) abort();
        }
        assert_ok(store_iterator_error(iterator));
        if (counts[family] != counts[0]) abort();
    }
    return counts[0];
}

// Checks that `synced_count` batches are there, then writes more and says through the pipe how many
// it has synced. With small buffers, so that it is flushing and changing logs all the time.
static void check_and_write(int synced_pipe, struct rng rng, uint64_t synced_count)
{
    struct rocks_store_options options = {.write_buffer_size = 256 << 10};
    struct store *store = NULL;
    assert_ok(rocks_store_open(folder, &options, &store));
    uint64_t batch_count = count_batches(store);
    if (batch_count < synced_count) abort();

    struct store_batch batch = {0};
    char filler[2000] = {0};
    for (;;) {
        char key[20];
        snprintf(key, sizeof key, "%010" PRIu64, batch_count++);
        store_batch_clear(&batch);
        for (int family = 0; family < STORE_FAMILY_COUNT; family++) {
            struct slice value = slice_from(filler, rng_below(&rng, sizeof filler));
            store_batch_put(&batch, (enum store_family)family, slice_from_text(key), value);
        }
        assert_ok(store_apply(store, &batch));
        if (rng_chance(&rng, 80)) continue;
        assert_ok(store_sync(store));
        if (write(synced_pipe, &batch_count, sizeof batch_count) != sizeof batch_count) abort();
    }
}

// Each round has a process of its own, since RocksDB's threads do not survive a fork.
Test(rocks_store, loses_nothing_synced_and_no_part_of_a_batch_when_it_is_killed)
{
    uint64_t synced_count = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        int synced_pipe[2];
        cr_assert(eq(int, pipe(synced_pipe), 0));
        pid_t child = fork();
        struct rng rng = {.state = seed};
        if (child == 0) check_and_write(synced_pipe[1], rng, synced_count);
        close(synced_pipe[1]);
        const ssize_t size = sizeof synced_count;
        for (uint64_t left = rng_below(&rng, 300) + 1; left > 0; left--)
            cr_assert(eq(sz, read(synced_pipe[0], &synced_count, sizeof synced_count), size));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(synced_pipe[0], &synced_count, sizeof synced_count) == size) {
        }
        close(synced_pipe[0]);
    }
    struct store *store = open_store();
    cr_assert(count_batches(store) >= synced_count);
    store_close(store);
}

Test(rocks_store, refuses_a_folder_in_use)
{
    struct store *store = open_store();
    struct store *second = NULL;
    CLEANUP(error_freep)
    struct error *error = rocks_store_open(folder, &(struct rocks_store_options){0}, &second);
    cr_assert(error != NULL);
    char expected[100];
    snprintf(expected, sizeof expected, "Data folder %s is in use by another process", folder);
    assert_text(error_message(error), expected);
    store_close(store);
}

// Finds the file of the folder that ends so.
static const char *find_file(const char *suffix)
{
    static char path[512];
    path[0] = 0;
    DIR *entries = opendir(folder);
    for (const struct dirent *entry = readdir(entries); entry; entry = readdir(entries)) {
        const char *end = strstr(entry->d_name, suffix);
        if (end && strlen(end) == strlen(suffix))
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    }
    closedir(entries);
    cr_assert(path[0] != 0);
    return path;
}

static void assert_refused(void)
{
    struct store *store = NULL;
    CLEANUP(error_freep)
    struct error *error = rocks_store_open(folder, &(struct rocks_store_options){0}, &store);
    cr_assert(error != NULL);
}

static void write_some(void)
{
    struct store *store = open_store();
    for (int i = 0; i < 100; i++) {
        put(store, STORE_DATA, (char[]){'a', (char)(' ' + i), 0}, "something to be damaged");
        assert_ok(store_sync(store));
    }
    store_close(store);
}

Test(rocks_store, refuses_a_damaged_log)
{
    write_some();
    int file = open(find_file(".log"), O_RDWR);
    char byte = 0;
    cr_assert(pread(file, &byte, 1, 2000) == 1);
    byte ^= 1;
    cr_assert(pwrite(file, &byte, 1, 2000) == 1);
    close(file);
    assert_refused();
    assert_refused(); // The first attempt must not have repaired it.
}

Test(rocks_store, refuses_a_folder_without_its_current_file)
{
    write_some();
    cr_assert(unlink(find_file("CURRENT")) == 0);
    assert_refused();
}

Test(rocks_store, takes_a_log_torn_at_its_end)
{
    write_some();
    const char *path = find_file(".log");
    struct stat stat_before;
    cr_assert(stat(path, &stat_before) == 0);
    cr_assert(truncate(path, stat_before.st_size - 5) == 0);
    struct store *store = open_store();
    assert_text(get(store, NULL, STORE_DATA, "a "), "something to be damaged");
    store_close(store);
}

// A limit on the size of files stands in for a full disk.
Test(rocks_store, is_broken_for_good_after_a_failed_sync)
{
    struct store *store = open_store();
    put(store, STORE_DATA, "a", "1");
    assert_ok(store_sync(store));

    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 1, .rlim_max = RLIM_INFINITY});
    put(store, STORE_DATA, "b", "1");
    CLEANUP(error_freep) struct error *first = store_sync(store);
    cr_assert(first != NULL);
    setrlimit(RLIMIT_FSIZE, &limit);

    struct store_batch batch = {0};
    store_batch_put(&batch, STORE_DATA, SLICE_OF("c"), SLICE_OF("1"));
    CLEANUP(error_freep) struct error *second = store_apply(store, &batch);
    CLEANUP(error_freep) struct error *third = store_sync(store);
    assert_text(error_message(second), error_message(first));
    assert_text(error_message(third), error_message(first));
    store_batch_release(&batch);
    store_close(store);

    store = open_store();
    assert_text(get(store, NULL, STORE_DATA, "a"), "1");
    assert_text(get(store, NULL, STORE_DATA, "c"), "(absent)");
    store_close(store);
}

Test(rocks_store, times_what_is_read_from_logs)
{
    struct store *store = open_store();
    put(store, STORE_QUEUE, "a", "1");
    put(store, STORE_DATA, "a", "1");
    static const enum store_family FAMILIES[] = {STORE_QUEUE, STORE_DATA, STORE_META};
    for (uint64_t i = 0; i < 3; i++) {
        struct slice all = SLICE_OF("");
        struct store_iterator *iterator = store_iterator_new(store, NULL, FAMILIES[i], all, all);
        store_iterator_seek(iterator, all);
        uint64_t begin_us = clock_now_us();
        while (clock_now_us() == begin_us) continue; // It takes a microsecond at least.
        cr_assert(eq(u64, rocks_store_log_reads(store).count, MIN(i, UINT64_C(1))));
        store_iterator_free(iterator);
        cr_assert(eq(u64, rocks_store_log_reads(store).count, 1));
    }
    cr_assert(gt(u64, rocks_store_log_reads(store).us, 0));
    store_iterator_free(store_stem_iterator_new(store, NULL, STORE_DATA));
    cr_assert(eq(u64, rocks_store_log_reads(store).count, 1));
    store_close(store);
}

Test(rocks_store, knows_when_space_is_short)
{
    struct store *store = NULL;
    struct rocks_store_options options = {.free_size_min = UINT64_MAX};
    assert_ok(rocks_store_open(folder, &options, &store));
    CLEANUP(error_freep) struct error *error = rocks_store_check_space(store);
    cr_assert(error_find(error, ERROR_ACCOUNT_LIMIT_EXCEEDED) != NULL);
    store_close(store);

    store = open_store();
    assert_ok(rocks_store_check_space(store));
    store_close(store);
}
