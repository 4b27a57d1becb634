#include "cluster/query/input.h"

static uint64_t data_weight(const struct plan_table *table, const struct value *row)
{
    uint64_t weight = 0;
    for (uint32_t i = 0; i < table->schema->column_count; i++) {
        if (!table->wanted[i]) continue;
        switch ((enum value_type)row[i].type) {
        case VALUE_NULL: break;
        case VALUE_INT64:
        case VALUE_UINT64:
        case VALUE_DOUBLE: weight += 8; break;
        case VALUE_BOOLEAN: weight += 1; break;
        case VALUE_STRING:
        case VALUE_ANY: weight += row[i].size; break;
        }
    }
    return weight;
}

struct error *input_next(
    struct input *input,
    const struct plan_table *table,
    struct row_scan *scan,
    const struct value **ret_row)
{
    struct query_statistics *statistics = input->statistics;
    const struct value *row = NULL;
    if (!statistics->is_input_incomplete) TRY(row_scan_next(scan, &row));
    if (row && statistics->rows_read >= input->row_count_max) {
        if (input->fail_on_limit) {
            return error_set_u64(
                error_new(
                    ERROR_QUERY_INPUT_ROW_COUNT_LIMIT_EXCEEDED,
                    "Query input row count limit exceeded"),
                "limit",
                input->row_count_max);
        }
        statistics->is_input_incomplete = true;
        row = NULL;
    }
    if (row) {
        statistics->rows_read++;
        statistics->data_weight_read += data_weight(table, row);
    }
    *ret_row = row;
    return NULL;
}
