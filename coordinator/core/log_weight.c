#include "coordinator/core/log_weight.h"

#include "model/rowset.h"

enum { FIXED_WEIGHT = 8, SORTED_COLUMN_COUNT = 4, ORDERED_COLUMN_COUNT = 2 };

static uint64_t row_weight(const struct schema *schema, const struct row *row)
{
    uint64_t weight = 1;
    for (uint32_t i = 0; i < row->value_count; i++) weight += value_data_weight(&row->values[i]);
    if (schema->key_column_count == 0) return weight + ORDERED_COLUMN_COUNT * FIXED_WEIGHT;
    uint64_t count = SORTED_COLUMN_COUNT;
    if (row->kind != ROW_DELETE) count += schema->column_count - schema->key_column_count;
    return weight + count * FIXED_WEIGHT;
}

uint64_t log_weight(const struct schema *schema, struct slice rows)
{
    if (rows.size == 0) return 0;
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct rowset_reader reader;
    struct error *error = rowset_read_begin(&reader, &arena, rows);
    uint64_t weight = 0;
    struct value values[ROWSET_VALUE_COUNT_MAX];
    for (uint32_t left = error ? 0 : reader.row_count; left > 0 && !error; left--) {
        struct row row;
        error = rowset_read_row(&reader, values, &row);
        if (!error) weight += row_weight(schema, &row);
    }
    error_free(error); // Whoever applies the rows says what is wrong with them.
    return weight;
}
