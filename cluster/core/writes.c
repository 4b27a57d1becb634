#include "cluster/core/writes.h"

#include "base/hash.h"
#include "cluster/core/access.h"
#include "cluster/core/claims.h"
#include "cluster/core/versions.h"
#include "model/key.h"
#include "model/rowset.h"

#include <assert.h>
#include <inttypes.h>

// A name of a rowset that is no column but says where an ordered row goes.
#define TABLET_INDEX_NAME SLICE_OF("$tablet_index")
#define NO_TABLET_INDEX   INT64_MIN

uint64_t row_hash(const struct table *table, struct slice key)
{
    return hash_bytes(key, table->number);
}

void writes_map_names(
    const struct schema *schema,
    const struct slice *names,
    uint16_t name_count,
    uint16_t *ret_columns)
{
    for (uint16_t i = 0; i < name_count; i++) ret_columns[i] = schema_find(schema, names[i]);
}

// -------------------------------------------------------------------------------------------------
// One row

static struct error *check_column_use(
    const struct table *table, const struct modification *modification, const struct value *value)
{
    const struct column *column = &table->schema->columns[value->column];
    if (column->expression.size > 0) {
        return error_new(
            ERROR_GENERIC,
            "Column \"%.*s\" is computed automatically and should not be provided by user",
            SLICE(column->name));
    }
    if ((modification->is_delete || modification->is_lock) && !column->is_key) {
        return error_new(ERROR_GENERIC, "Non-key column %.*s in a key", SLICE(column->name));
    }
    if (value->is_aggregate && column->aggregate.size == 0) {
        return error_new(
            ERROR_GENERIC,
            "\"aggregate\" flag is set for value in column %.*s which is not aggregating",
            SLICE(column->name));
    }
    return column_check_value(column, value);
}

static struct error *check_present(const struct column *column)
{
    if (!column->is_required) return NULL;
    return error_new(
        ERROR_MISSING_REQUIRED_COLUMN_IN_SCHEMA,
        "Missing required column \"%.*s\" in table schema",
        SLICE(column->name));
}

static struct error *check_weight(const struct value *values, uint32_t count)
{
    uint64_t weight = 0;
    for (uint32_t i = 0; i < count; i++) weight += value_data_weight(&values[i]);
    if (weight <= ROW_DATA_WEIGHT_MAX) return NULL;
    return error_new(
        ERROR_ROW_WEIGHT_LIMIT_EXCEEDED,
        "Row is too large: data weight %" PRIu64 ", limit %" PRIu64,
        weight,
        ROW_DATA_WEIGHT_MAX);
}

// The columns that a rowset names, and where they are in the schema.
struct given_columns {
    const struct slice *names;
    const uint16_t *indexes; // SCHEMA_NO_COLUMN for those it does not have.
    // By column of the schema: whether a log record knows it. What it does not know it does not
    // touch. NULL for rows of users.
    const bool *is_known;
};

// Takes the row's values to their columns: key columns first, each once, absent ones null; then the
// value columns given; and, where the whole row is written, null for all others.
static struct error *arrange_row(
    const struct table *table,
    const struct modification *modification,
    struct arena *arena,
    const struct row *given,
    const struct given_columns *columns,
    int64_t *tablet_index,
    struct row *ret_row)
{
    const struct schema *schema = table->schema;
    struct value *values = ARENA_NEW(arena, struct value, schema->column_count);
    for (uint16_t i = 0; i < schema->column_count; i++) {
        values[i].column = SCHEMA_NO_COLUMN; // Not given.
    }
    bool has_data = false;
    for (uint32_t i = 0; i < given->value_count; i++) {
        struct value value = given->values[i];
        uint16_t column = columns->indexes[value.column];
        if (column == SCHEMA_NO_COLUMN) {
            struct slice name = columns->names[value.column];
            if (value.type == VALUE_NULL) continue;
            if (table_is_sorted(table) || !slice_equal(name, TABLET_INDEX_NAME)) {
                return error_new(ERROR_GENERIC, "Unexpected column \"%.*s\"", SLICE(name));
            }
            if (value.type == VALUE_INT64) *tablet_index = value.int64;
            if (value.type == VALUE_UINT64) {
                *tablet_index = (int64_t)MIN(value.uint64, (uint64_t)INT64_MAX);
            }
            if (value.type != VALUE_INT64 && value.type != VALUE_UINT64) {
                return error_new(ERROR_GENERIC, "Error parsing tablet index from row");
            }
            continue;
        }
        bool is_key = column < schema->key_column_count;
        if (!is_key) has_data = true;
        if (column_is_timestamp(&schema->columns[column])) {
            if (value.type == VALUE_NULL || modification->is_from_log) continue;
            return error_new(
                ERROR_GENERIC,
                "Column \"$timestamp\" is computed automatically and should not be provided by "
                "user");
        }
        // A replica makes its computed columns itself.
        if (modification->is_from_log && schema->columns[column].expression.size > 0) continue;
        if (values[column].column != SCHEMA_NO_COLUMN) {
            return error_new(
                ERROR_GENERIC,
                is_key ? "Duplicate key column %.*s" : "Duplicate column \"%.*s\" in row",
                SLICE(schema->columns[column].name));
        }
        value.column = column;
        enum column_type wanted = schema->columns[column].type;
        column_convert_value(&schema->columns[column], &value);
        if (value.type == VALUE_INT64 && column_value_type(wanted) == VALUE_DOUBLE) {
            value = value_double(column, (double)value.int64);
        }
        if (modification->is_aggregate && schema->columns[column].aggregate.size > 0) {
            value.is_aggregate = true;
        }
        TRY(check_column_use(table, modification, &value));
        values[column] = value;
    }
    if (modification->is_update && !modification->is_from_log && !has_data) {
        return error_new(ERROR_GENERIC, "At least one non-key column must be specified");
    }
    bool is_whole = !modification->is_delete && !modification->is_update && !modification->is_lock;
    if (table->computed) {
        for (uint16_t i = 0; i < schema->key_column_count; i++) {
            if (values[i].column == SCHEMA_NO_COLUMN) values[i] = value_null(i);
        }
        TRY(computed_evaluate(table->computed, arena, values));
    }
    uint32_t count = 0;
    bool is_partial = !is_whole;
    for (uint16_t i = 0; i < schema->column_count; i++) {
        struct value value = values[i];
        if (value.column == SCHEMA_NO_COLUMN) {
            if (column_is_timestamp(&schema->columns[i])) continue;
            bool is_unknown = columns->is_known && !columns->is_known[i];
            bool is_key = i < schema->key_column_count;
            // Also of an update: the row may be a new one.
            bool is_write = is_whole || modification->is_update;
            if (!is_key && is_write) TRY(check_present(&schema->columns[i]));
            if (!is_key && (!is_whole || is_unknown)) {
                is_partial = true;
                continue;
            }
            value = value_null(i);
            TRY(column_check_value(&schema->columns[i], &value));
        } else if (i < schema->key_column_count && value.type == VALUE_NULL) {
            TRY(column_check_value(&schema->columns[i], &value));
        }
        values[count++] = value;
    }
    if (!modification->is_from_log) TRY(check_weight(values, count));
    enum row_kind kind = is_partial ? ROW_UPDATE : ROW_WRITE;
    if (modification->is_delete) kind = ROW_DELETE;
    *ret_row = (struct row){.kind = kind, .value_count = count, .values = values};
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Gathering by tablet, merging by row

struct gathered_row { // Finds an earlier change of the same row.
    struct slice key;
    size_t change;
    UT_hash_handle hh;
};

struct gathered_tablet {
    struct tablet *tablet; // The key.
    bool require_sync_replica;
    struct row_change *changes; // stb array.
    struct gathered_row *rows;  // By key. In the arena.
    UT_hash_handle hh;
};

struct gathering {
    struct arena *arena;
    struct slice user;
    struct gathered_tablet *tablets; // By tablet, in order of addition. In the arena.
    uint64_t row_count;
    struct row_claim *claims; // stb array: of rows that are locked and not written.
};

static void add_claims(
    const struct gathering *gathering, struct arena *arena, struct writes *writes)
{
    size_t capacity = arr_count(gathering->claims);
    struct lock_groups groups;
    for (uint32_t i = 0; i < writes->tablet_count; i++) {
        const struct tablet_write *write = &writes->tablets[i];
        lock_groups_find(write->tablet->table->schema, &groups);
        capacity += (size_t)write->change_count * (groups.count + 1);
    }
    writes->claims = ARENA_NEW(arena, struct row_claim, capacity);
    for (uint32_t i = 0; i < writes->tablet_count; i++) {
        const struct tablet_write *write = &writes->tablets[i];
        const struct table *table = write->tablet->table;
        if (!table_is_sorted(table)) continue; // Nothing to conflict about.
        lock_groups_find(table->schema, &groups);
        for (uint32_t j = 0; j < write->change_count; j++) {
            const struct row_change *change = &write->changes[j];
            uint64_t locks = lock_groups_of_change(table->schema, &groups, &change->row);
            struct row_claim *claims = &writes->claims[writes->claim_count];
            writes->claim_count +=
                claims_put(table, change->hash, locks, ROW_LOCK_EXCLUSIVE, claims);
        }
    }
    for (size_t i = 0; i < arr_count(gathering->claims); i++) {
        writes->claims[writes->claim_count++] = gathering->claims[i];
    }
}

static struct gathered_tablet *gather_tablet(struct gathering *gathering, struct tablet *tablet)
{
    struct gathered_tablet *gathered = NULL;
    HASH_FIND_PTR(gathering->tablets, &tablet, gathered);
    if (gathered) return gathered;
    gathered = ARENA_NEW(gathering->arena, struct gathered_tablet, 1);
    gathered->tablet = tablet;
    HASH_ADD_PTR(gathering->tablets, tablet, gathered);
    return gathered;
}

// A value that comes on top of what the same transaction has written to the column before.
static struct value merge_values(
    const struct schema *schema, const struct value *first, const struct value *second)
{
    if (!second->is_aggregate) return *second;
    struct slice function = schema->columns[second->column].aggregate;
    struct value merged = value_aggregate(function, first, second);
    merged.column = second->column;
    merged.is_aggregate = first->is_aggregate;
    return merged;
}

// What two changes of one row amount to.
static struct row merge_rows(
    struct arena *arena,
    const struct schema *schema,
    const struct row *first,
    const struct row *second)
{
    if (second->kind != ROW_UPDATE) return *second;
    bool was_deleted = first->kind == ROW_DELETE;
    struct value *values = ARENA_NEW(arena, struct value, first->value_count + second->value_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < first->value_count; i++) values[count++] = first->values[i];
    for (uint32_t i = 0; i < second->value_count; i++) {
        uint32_t j = 0;
        while (j < first->value_count && values[j].column != second->values[i].column) j++;
        if (j == first->value_count) {
            values[count] = second->values[i];
            if (was_deleted) values[count].is_aggregate = false; // There is nothing to merge with.
            count++;
        } else {
            values[j] = merge_values(schema, &values[j], &second->values[i]);
        }
    }
    return (struct row){
        .kind = was_deleted ? ROW_WRITE : first->kind,
        .value_count = count,
        .values = values,
    };
}

// A whole row with values to be merged leaves nothing of the old one but what these are merged
// with: an update of all columns.
static void settle_kind(struct row *row)
{
    if (row->kind != ROW_WRITE) return;
    for (uint32_t i = 0; i < row->value_count; i++) {
        if (row->values[i].is_aggregate) row->kind = ROW_UPDATE;
    }
}

static void gather_change(
    struct gathering *gathering, struct gathered_tablet *tablet, const struct row_change *change)
{
    if (change->key.size > 0) {
        struct gathered_row *earlier = NULL;
        HASH_FIND(hh, tablet->rows, change->key.data, change->key.size, earlier);
        if (earlier) {
            struct row_change *known = &tablet->changes[earlier->change];
            struct row first = known->row;
            const struct schema *schema = tablet->tablet->table->schema;
            known->row = merge_rows(gathering->arena, schema, &first, &change->row);
            return;
        }
        earlier = ARENA_NEW(gathering->arena, struct gathered_row, 1);
        earlier->key = change->key;
        earlier->change = arr_count(tablet->changes);
        HASH_ADD_KEYPTR(hh, tablet->rows, earlier->key.data, earlier->key.size, earlier);
    }
    arr_add(tablet->changes, *change);
    gathering->row_count++;
}

static struct error *check_tablet(const struct tablet *tablet, struct slice path)
{
    if (tablet->state == TABLET_MOUNTED) return NULL;
    bool is_any_mounted = false;
    for (uint32_t i = 0; i < tablet->table->tablet_count; i++) {
        if (tablet->table->tablets[i].state == TABLET_MOUNTED) is_any_mounted = true;
    }
    if (!is_any_mounted && tablet->state == TABLET_UNMOUNTED) {
        return error_new(
            ERROR_TABLET_NOT_MOUNTED, "Table %.*s has no mounted tablets", SLICE(path));
    }
    return error_new(
        ERROR_TABLET_NOT_MOUNTED,
        "Tablet %s of table %.*s is in \"%s\" state",
        GUID_TEXT(tablet->id),
        SLICE(path),
        tablet_state_name(tablet->state));
}

static struct error *choose_ordered_tablet(
    struct table *table, int64_t tablet_index, uint64_t choice, struct tablet **ret_tablet)
{
    if (tablet_index == NO_TABLET_INDEX) {
        uint32_t mounted_count = 0;
        for (uint32_t i = 0; i < table->tablet_count; i++) {
            if (table->tablets[i].state == TABLET_MOUNTED) mounted_count++;
        }
        *ret_tablet = &table->tablets[0];
        if (mounted_count == 0) return NULL; // check_tablet says what is wrong with it.
        uint64_t left = choice % mounted_count;
        for (uint32_t i = 0; i < table->tablet_count; i++) {
            *ret_tablet = &table->tablets[i];
            if ((*ret_tablet)->state == TABLET_MOUNTED && left-- == 0) return NULL;
        }
        return NULL;
    }
    if (tablet_index < 0 || tablet_index >= table->tablet_count) {
        return error_new(
            ERROR_GENERIC,
            "Invalid tablet index: actual %" PRId64 ", expected in range [0, %u]",
            tablet_index,
            table->tablet_count - 1);
    }
    *ret_tablet = &table->tablets[tablet_index];
    return NULL;
}

static struct error *gather_row(
    struct gathering *gathering,
    struct table *table,
    const struct modification *modification,
    const struct row *given,
    const struct given_columns *columns,
    uint64_t locks)
{
    struct row_change change = {0};
    int64_t tablet_index = NO_TABLET_INDEX;
    TRY(arrange_row(
        table, modification, gathering->arena, given, columns, &tablet_index, &change.row));
    struct tablet *tablet = NULL;
    if (table_is_sorted(table)) {
        CLEANUP(buffer_releasep) struct buffer key = {0};
        settle_kind(&change.row);
        key_encode(change.row.values, table->schema->key_column_count, &key);
        if (key.size > KEY_SIZE_MAX) {
            struct error *error =
                error_new(ERROR_ROW_WEIGHT_LIMIT_EXCEEDED, "Row key is too large");
            return error_set_u64(error, "size_max", KEY_SIZE_MAX);
        }
        change.key = arena_copy(gathering->arena, buffer_slice(&key));
        change.hash = row_hash(table, change.key);
        tablet = table_tablet_of_key(table, change.key);
    } else {
        TRY(choose_ordered_tablet(table, tablet_index, modification->choice, &tablet));
    }
    TRY(check_tablet(tablet, modification->path));
    if (modification->is_lock) {
        struct row_claim claims[SCHEMA_LOCK_COUNT_MAX + 1];
        uint32_t count = claims_put(table, change.hash, locks, modification->lock_kind, claims);
        for (uint32_t i = 0; i < count; i++) arr_add(gathering->claims, claims[i]);
        gathering->row_count++;
        return NULL;
    }
    struct gathered_tablet *gathered = gather_tablet(gathering, tablet);
    gathered->require_sync_replica |= modification->require_sync_replica;
    gather_change(gathering, gathered, &change);
    return NULL;
}

static struct error *check_table(const struct table *table, const struct modification *modification)
{
    if (!table->is_dynamic) {
        return error_new(ERROR_GENERIC, "Table %.*s is not dynamic", SLICE(modification->path));
    }
    if (!guid_is_null(table->upstream_replica_id)) {
        return error_new(
            ERROR_GENERIC,
            "Table is bound to upstream replica %s; direct modifications are forbidden",
            GUID_TEXT(table->upstream_replica_id));
    }
    if (!table_is_sorted(table) && (modification->is_delete || modification->is_lock)) {
        return error_new(
            ERROR_TABLE_MUST_BE_SORTED,
            "Cannot perform %s in a non-sorted table %.*s",
            modification->is_lock ? "lock" : "deletes",
            SLICE(modification->path));
    }
    if (!table_is_sorted(table) && modification->is_update) {
        return error_new(ERROR_GENERIC, "Cannot use \"update\" mode for ordered tables");
    }
    return NULL;
}

static struct error *gather_modification(
    struct gathering *gathering, struct tree *tree, const struct modification *modification)
{
    struct table *table = NULL;
    TRY(tree_resolve_table(tree, gathering->arena, modification->path, &table));
    TRY(access_check(tree, gathering->user, PERMISSION_WRITE, table->object));
    TRY(check_table(table, modification));
    struct rowset_reader reader;
    TRY(rowset_read_begin(&reader, gathering->arena, modification->rows));
    if (gathering->row_count + reader.row_count > TRANSACTION_ROW_COUNT_MAX) {
        struct error *error = error_new(
            ERROR_TOO_MANY_ROWS_IN_TRANSACTION, "Transaction has too many rows: split it");
        return error_set_u64(error, "row_count_max", TRANSACTION_ROW_COUNT_MAX);
    }
    uint16_t *columns = ARENA_NEW(gathering->arena, uint16_t, reader.name_count);
    writes_map_names(table->schema, reader.names, reader.name_count, columns);
    for (uint16_t i = 0; i < reader.name_count; i++) {
        if (columns[i] != SCHEMA_NO_COLUMN) continue;
        if (!table_is_sorted(table) && slice_equal(reader.names[i], TABLET_INDEX_NAME)) continue;
        return error_new(ERROR_GENERIC, "Unexpected column \"%.*s\"", SLICE(reader.names[i]));
    }
    struct given_columns given = {.names = reader.names, .indexes = columns};
    struct lock_groups groups;
    uint64_t locks = 0;
    if (modification->is_lock) {
        lock_groups_find(table->schema, &groups);
        TRY(lock_groups_read(&groups, modification->lock_names, modification->path, &locks));
    }
    struct value values[ROWSET_VALUE_COUNT_MAX];
    uint32_t row_count = reader.row_count;
    for (uint32_t i = 0; i < row_count; i++) {
        struct row row;
        TRY(rowset_read_row(&reader, values, &row));
        struct error *error = gather_row(gathering, table, modification, &row, &given, locks);
        if (error) return error_set_u64(error, "row_number", i);
    }
    return NULL;
}

static void free_gathering(struct gathering *gathering)
{
    arr_free(gathering->claims);
    struct gathered_tablet *tablet = NULL;
    struct gathered_tablet *next = NULL;
    HASH_ITER (hh, gathering->tablets, tablet, next) {
        HASH_DEL(gathering->tablets, tablet);
        HASH_CLEAR(hh, tablet->rows);
        arr_free(tablet->changes);
    }
}

uint64_t writes_data_weight(const struct row_change *changes, uint32_t change_count)
{
    uint64_t weight = change_count;
    for (uint32_t i = 0; i < change_count; i++) {
        const struct row *row = &changes[i].row;
        for (uint32_t j = 0; j < row->value_count; j++)
            weight += value_data_weight(&row->values[j]);
    }
    return weight;
}

struct error *writes_prepare(
    struct tree *tree,
    struct arena *arena,
    struct slice user,
    const struct modification *modifications,
    uint32_t modification_count,
    struct writes *ret_writes)
{
    CLEANUP(free_gathering) struct gathering gathering = {.arena = arena, .user = user};
    for (uint32_t i = 0; i < modification_count; i++) {
        const struct modification *modification = &modifications[i];
        struct error *error = gather_modification(&gathering, tree, modification);
        if (!error) continue;
        if (error_code(error) == ERROR_RESOLVE_ERROR) return error;
        return error_wrap(
            error,
            error_code(error),
            "Error preparing rows for table %.*s",
            SLICE(modification->path));
    }
    struct writes writes = {
        .tablet_count = HASH_COUNT(gathering.tablets),
        .row_count = gathering.row_count,
    };
    writes.tablets = ARENA_NEW(arena, struct tablet_write, writes.tablet_count);
    struct tablet_write *write = writes.tablets;
    for (struct gathered_tablet *g = gathering.tablets; g; g = g->hh.next) {
        write->tablet = g->tablet;
        write->require_sync_replica = g->require_sync_replica;
        write->change_count = (uint32_t)arr_count(g->changes);
        write->changes = ARENA_NEW(arena, struct row_change, write->change_count);
        if (write->change_count > 0) {
            memcpy(write->changes, g->changes, write->change_count * sizeof *g->changes);
        }
        write->data_weight = writes_data_weight(write->changes, write->change_count);
        write++;
    }
    add_claims(&gathering, arena, &writes);
    *ret_writes = writes;
    return NULL;
}

void writes_encode(
    const struct schema *schema,
    const struct row_change *changes,
    uint32_t change_count,
    struct buffer *buffer)
{
    struct slice names[SCHEMA_COLUMN_COUNT_MAX];
    for (uint16_t i = 0; i < schema->column_count; i++) names[i] = schema->columns[i].name;
    rowset_encode_begin(names, schema->column_count, change_count, buffer);
    for (uint32_t i = 0; i < change_count; i++) rowset_encode_row(&changes[i].row, buffer);
}

struct error *writes_decode(
    struct arena *arena,
    const struct table *table,
    struct slice rows,
    struct row_change **ret_changes,
    uint32_t *ret_change_count)
{
    struct rowset_reader reader;
    TRY(rowset_read_begin(&reader, arena, rows));
    uint16_t *indexes = ARENA_NEW(arena, uint16_t, reader.name_count);
    writes_map_names(table->schema, reader.names, reader.name_count, indexes);
    bool *is_known = ARENA_NEW(arena, bool, table->schema->column_count);
    for (uint16_t i = 0; i < reader.name_count; i++) {
        if (indexes[i] != SCHEMA_NO_COLUMN) is_known[indexes[i]] = true;
    }
    struct given_columns given = {.names = reader.names, .indexes = indexes, .is_known = is_known};
    uint32_t row_count = reader.row_count;
    struct row_change *changes = ARENA_NEW(arena, struct row_change, row_count);
    struct value values[ROWSET_VALUE_COUNT_MAX];
    CLEANUP(buffer_releasep) struct buffer key = {0};
    for (uint32_t i = 0; i < row_count; i++) {
        struct row row;
        TRY(rowset_read_row(&reader, values, &row));
        struct modification like = {
            .is_delete = row.kind == ROW_DELETE,
            .is_update = row.kind == ROW_UPDATE,
            .is_from_log = true,
        };
        int64_t tablet_index = NO_TABLET_INDEX;
        struct row_change *change = &changes[i];
        TRY(arrange_row(table, &like, arena, &row, &given, &tablet_index, &change->row));
        if (!table_is_sorted(table)) continue;
        buffer_clear(&key);
        key_encode(change->row.values, table->schema->key_column_count, &key);
        change->key = arena_copy(arena, buffer_slice(&key));
        change->hash = row_hash(table, change->key);
    }
    *ret_changes = changes;
    *ret_change_count = row_count;
    return NULL;
}

void writes_apply(
    struct store_batch *batch,
    struct tablet *tablet,
    const struct row_change *changes,
    uint32_t change_count,
    uint64_t timestamp)
{
    struct table *table = tablet->table;
    table->counters.commit_row_count += change_count;
    table->counters.commit_data_weight += writes_data_weight(changes, change_count);
    CLEANUP(buffer_releasep) struct buffer key = {0};
    for (uint32_t i = 0; i < change_count; i++) {
        if (table_is_sorted(table)) {
            buffer_clear(&key);
            version_begin_key(table->number, &key);
            buffer_append_slice(&key, changes[i].key);
            version_put(batch, table->schema, buffer_slice(&key), timestamp, &changes[i].row);
        } else {
            ordered_put(
                batch,
                table->schema,
                tablet->number,
                tablet->total_row_count++,
                timestamp,
                &changes[i].row);
        }
    }
    tablet->last_write_timestamp = MAX(tablet->last_write_timestamp, timestamp);
}
