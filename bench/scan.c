// The floor of queries: rows in the form that tables have in the store, read one after the other.
#include "base/coding.h"
#include "bench/data.h"
#include "bench/report.h"
#include "bench/workload.h"
#include "io/clock.h"
#include "io/rocks_store.h"
#include "model/key.h"

enum { BATCH_ROW_COUNT = 1000, SCAN_COUNT = 5 };

static struct error *write_rows(struct store *store, const struct workload_options *options)
{
    struct store_batch batch = {0};
    CLEANUP(buffer_releasep) struct buffer key = {0};
    CLEANUP(buffer_releasep) struct buffer value = {0};
    struct error *error = NULL;
    for (uint64_t i = 0; i < options->total_row_count && !error; i++) {
        int64_t number = options->first_key + (int64_t)i;
        const struct value column = value_int64(0, number);
        buffer_clear(&key);
        put_big32(&key, 1); // The table, the key, and the timestamp.
        key_encode(&column, 1, &key);
        put_big64(&key, UINT64_MAX - i);
        buffer_clear(&value);
        put_u8(&value, 1); // The kind of version; the column, its type and the string.
        put_u8(&value, 1);
        put_u8(&value, VALUE_STRING);
        put_bytes(&value, data_value(number, options->value_size));
        store_batch_put(&batch, STORE_DATA, buffer_slice(&key), buffer_slice(&value));
        if ((i + 1) % BATCH_ROW_COUNT != 0 && i + 1 < options->total_row_count) continue;
        error = store_apply(store, &batch);
        store_batch_clear(&batch);
    }
    store_batch_release(&batch);
    return error ? error : store_sync(store);
}

// Reads all rows once; the sum keeps the compiler from leaving something out.
static struct error *scan(struct store *store, uint64_t *ret_row_count, uint64_t *ret_sum)
{
    struct slice everything = {0};
    CLEANUP(store_iterator_freep)
    struct store_iterator *iterator =
        store_iterator_new(store, NULL, STORE_DATA, everything, everything);
    store_iterator_seek(iterator, everything);
    for (; store_iterator_is_valid(iterator); store_iterator_next(iterator)) {
        struct slice key = store_iterator_key(iterator);
        struct slice value = store_iterator_value(iterator);
        *ret_sum += (uint64_t)key.data[key.size - 1] + (uint64_t)value.data[value.size - 1];
        ++*ret_row_count;
    }
    return store_iterator_error(iterator);
}

static struct error *measure(struct store *store, const struct workload_options *options)
{
    TRY(write_rows(store, options));
    uint64_t best_us = UINT64_MAX;
    uint64_t sum = 0;
    for (int i = 0; i < SCAN_COUNT; i++) {
        uint64_t row_count = 0;
        uint64_t start_us = clock_now_us();
        TRY(scan(store, &row_count, &sum));
        best_us = MIN(best_us, clock_now_us() - start_us);
        if (row_count != options->total_row_count)
            return error_new(ERROR_GENERIC, "The store has another number of rows");
    }
    struct report report = report_begin("scan");
    report_count(&report, "rows", options->total_row_count);
    report_count(&report, "value_size", options->value_size);
    report_count(&report, "check", sum % 1000);
    report_number(&report, "scan_ms", (double)best_us / 1000);
    report_end(&report);
    return NULL;
}

struct error *workload_scan(const struct workload_options *options)
{
    if (!options->data_dir) return error_new(ERROR_GENERIC, "Workload scan needs --data-dir");
    struct store *store = NULL;
    TRY(rocks_store_open(options->data_dir, &(struct rocks_store_options){0}, &store));
    struct error *error = measure(store, options);
    store_close(store);
    return error;
}
