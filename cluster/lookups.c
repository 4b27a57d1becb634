// Lookups: keys are checked, then rows are read.
#include "base/hash.h"
#include "cluster/core/versions.h"
#include "cluster/core/writes.h"
#include "cluster/reads.h"
#include "model/format.h"
#include "model/key.h"
#include "model/rowset.h"

static const struct slice TIMESTAMP_PREFIX = {"$timestamp:", 11};

// Finds a column by the name that it has in answers: an index in `columns` of a plan.
static struct error *find_column(
    const struct schema *schema, struct slice name, enum lookup_mode mode, uint16_t *ret_column)
{
    uint16_t column = schema_find(schema, name);
    if (mode == LOOKUP_TIMESTAMPS && slice_has_prefix(name, TIMESTAMP_PREFIX)) {
        size_t size = TIMESTAMP_PREFIX.size;
        column = schema_find(schema, slice_from(name.data + size, name.size - size));
        bool is_value = column != SCHEMA_NO_COLUMN && column >= schema->key_column_count;
        column = is_value ? (uint16_t)(schema->column_count + column) : SCHEMA_NO_COLUMN;
    }
    *ret_column = column;
    if (column != SCHEMA_NO_COLUMN) return NULL;
    return error_new(ERROR_COLUMN_NOT_FOUND, "No such column \"%.*s\"", SLICE(name));
}

static struct error *plan_columns(
    const struct request *request,
    const struct schema *schema,
    struct lookup_plan *plan,
    struct arena *arena)
{
    size_t count_max = 2 * (size_t)schema->column_count;
    plan->columns = ARENA_NEW(arena, uint16_t, MAX(request->column_count, count_max));
    if (request->column_count == 0) {
        for (uint16_t i = 0; i < schema->column_count; i++) {
            plan->columns[plan->column_count++] = i;
        }
        if (request->lookup_mode != LOOKUP_TIMESTAMPS) return NULL;
        for (uint16_t i = schema->key_column_count; i < schema->column_count; i++) {
            plan->columns[plan->column_count++] = (uint16_t)(schema->column_count + i);
        }
        return NULL;
    }
    if (request->column_count > 2 * SCHEMA_COLUMN_COUNT_MAX) {
        return error_new(ERROR_GENERIC, "Too many columns are asked for");
    }
    for (uint32_t i = 0; i < request->column_count; i++) {
        uint16_t *column = &plan->columns[plan->column_count++];
        TRY(find_column(schema, request->columns[i], request->lookup_mode, column));
    }
    return NULL;
}

static struct error *plan_key(
    struct arena *arena,
    const struct table *table,
    const uint16_t *columns,
    const struct slice *names,
    const struct row *row,
    struct buffer *key)
{
    const struct schema *schema = table->schema;
    struct value values[SCHEMA_KEY_COLUMN_COUNT_MAX];
    for (uint16_t i = 0; i < schema->key_column_count; i++) values[i] = value_null(i);
    for (uint32_t i = 0; i < row->value_count; i++) {
        uint16_t column = columns[row->values[i].column];
        struct slice name = names[row->values[i].column];
        if (column == SCHEMA_NO_COLUMN) {
            return error_new(ERROR_GENERIC, "Unexpected column \"%.*s\"", SLICE(name));
        }
        if (column >= schema->key_column_count) {
            return error_new(ERROR_GENERIC, "Non-key column %.*s in a key", SLICE(name));
        }
        if (schema->columns[column].expression.size > 0) {
            return error_new(
                ERROR_GENERIC,
                "Column \"%.*s\" is computed automatically and should not be provided by user",
                SLICE(name));
        }
        struct value value = row->values[i];
        value.column = column;
        enum value_type wanted = column_value_type(schema->columns[column].type);
        column_convert_value(&schema->columns[column], &value);
        if (value.type == VALUE_INT64 && wanted == VALUE_DOUBLE) {
            value = value_double(column, (double)value.int64);
        }
        TRY(column_check_value(&schema->columns[column], &value));
        values[column] = value;
    }
    TRY(computed_evaluate(table->computed, arena, values));
    buffer_clear(key);
    key_encode(values, schema->key_column_count, key);
    return NULL;
}

struct error *lookup_plan(struct request *request, struct table *table)
{
    struct arena *arena = &request->arena;
    if (!table_is_sorted(table)) {
        return error_new(
            ERROR_TABLE_MUST_BE_SORTED, "Table %.*s is not sorted", SLICE(request->path));
    }
    struct lookup_plan *plan = ARENA_NEW(arena, struct lookup_plan, 1);
    plan->schema = schema_copy(arena, table->schema);
    plan->table_number = table->number;
    plan->tablet_index = UINT32_MAX;
    TRY(plan_columns(request, plan->schema, plan, arena));

    struct rowset_reader reader;
    TRY(rowset_read_begin(&reader, arena, request->rows));
    uint16_t *columns = ARENA_NEW(arena, uint16_t, reader.name_count);
    writes_map_names(plan->schema, reader.names, reader.name_count, columns);
    plan->key_count = reader.row_count;
    plan->keys = ARENA_NEW(arena, struct slice, plan->key_count);
    plan->hashes = ARENA_NEW(arena, uint64_t, plan->key_count);
    struct value values[ROWSET_VALUE_COUNT_MAX];
    CLEANUP(buffer_releasep) struct buffer key = {0};
    for (uint32_t i = 0; i < plan->key_count; i++) {
        struct row row;
        TRY(rowset_read_row(&reader, values, &row));
        TRY(plan_key(arena, table, columns, reader.names, &row, &key));
        plan->keys[i] = arena_copy(arena, buffer_slice(&key));
        plan->hashes[i] = row_hash(table, plan->keys[i]);
        uint32_t index = table_tablet_of_key(table, plan->keys[i])->index;
        if (i == 0) plan->tablet_index = index;
        if (plan->tablet_index != index) plan->tablet_index = UINT32_MAX;
    }
    request->lookup = plan;
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Running

// A row on its way from the store to the answer.
struct lookup {
    const struct lookup_plan *plan;
    enum lookup_mode mode;
    struct store_iterator *iterator;
    uint64_t timestamp;
    struct arena arena;   // Of the rows of the answer.
    struct value *values; // By column of the schema.
    struct buffer key;
};

static void release_lookup(struct lookup *lookup)
{
    arena_release(&lookup->arena);
    buffer_release(&lookup->key);
}

// Whether a version says something of a column: a full write and a delete do of each.
static bool is_about(const struct row_version *version, uint16_t column)
{
    if (version->kind != ROW_UPDATE) return true;
    for (uint32_t i = 0; i < version->value_count; i++) {
        if (version->values[i].column == column) return true;
    }
    return false;
}

// When a column got what it has: null if it was never written.
static struct value column_timestamp(const struct row_version *newest, uint16_t column)
{
    const struct row_version *version = newest;
    while (version && !is_about(version, column)) version = version->older;
    bool is_written = version && version->kind != ROW_DELETE;
    return is_written ? value_uint64(0, version->timestamp) : value_null(0);
}

static struct error *read_merged(struct lookup *lookup, struct row *row)
{
    const struct lookup_plan *plan = lookup->plan;
    struct slice key = buffer_slice(&lookup->key);
    struct row_version *newest = NULL;
    bool is_found = false;
    TRY(version_read(
        lookup->iterator,
        &lookup->arena,
        plan->schema,
        key,
        lookup->timestamp,
        lookup->values,
        &is_found));
    if (!is_found) return NULL;
    if (lookup->mode == LOOKUP_TIMESTAMPS) {
        TRY(version_history(
            lookup->iterator, &lookup->arena, plan->schema, key, lookup->timestamp, true, &newest));
    }
    row->kind = ROW_WRITE;
    row->values = ARENA_NEW(&lookup->arena, struct value, plan->column_count);
    row->value_count = plan->column_count;
    for (uint16_t i = 0; i < plan->column_count; i++) {
        uint16_t column = plan->columns[i];
        bool is_timestamp = column >= plan->schema->column_count;
        row->values[i] =
            is_timestamp ? column_timestamp(newest, (uint16_t)(column - plan->schema->column_count))
                         : lookup->values[column];
        row->values[i].column = i;
    }
    return NULL;
}

// All of a row's versions: two lists of timestamps, and a list of values for each value column.
enum { WRITE_TIMESTAMPS, DELETE_TIMESTAMPS, VERSIONS_COLUMN };

static struct node *list_timestamps(
    struct arena *arena, const struct row_version *newest, bool is_of_deletes)
{
    struct node *list = node_list(arena);
    for (const struct row_version *version = newest; version; version = version->older) {
        if ((version->kind == ROW_DELETE) != is_of_deletes) continue;
        node_add(arena, list, node_uint64(arena, version->timestamp));
    }
    return list;
}

static struct error *list_values(
    struct arena *arena,
    const struct column *column,
    uint16_t index,
    const struct row_version *newest,
    struct node **ret_list)
{
    struct node *list = node_list(arena);
    for (const struct row_version *version = newest; version; version = version->older) {
        if (version->kind == ROW_DELETE || !is_about(version, index)) continue;
        struct value value = value_null(index);
        for (uint32_t i = 0; i < version->value_count; i++) {
            if (version->values[i].column == index) value = version->values[i];
        }
        struct node *item = NULL;
        TRY(value_to_node(arena, column->name, &value, &item));
        node_set_attribute(arena, item, "timestamp", node_uint64(arena, version->timestamp));
        node_set_attribute(arena, item, "aggregate", node_boolean(arena, value.is_aggregate));
        node_add(arena, list, item);
    }
    *ret_list = list;
    return NULL;
}

static struct value any_value(struct arena *arena, uint16_t column, const struct node *node)
{
    CLEANUP(buffer_releasep) struct buffer text = {0};
    yson_print(node, YSON_BINARY, &text);
    struct slice copy = arena_copy(arena, buffer_slice(&text));
    return (struct value){
        .type = VALUE_ANY,
        .column = column,
        .data = copy.data,
        .size = (uint32_t)copy.size,
    };
}

static struct error *add_versions(
    struct lookup *lookup, const struct row_version *newest, struct arena *scratch, struct row *row)
{
    const struct lookup_plan *plan = lookup->plan;
    struct arena *arena = &lookup->arena;
    for (int i = 0; i < VERSIONS_COLUMN; i++) {
        struct node *list = list_timestamps(scratch, newest, i == DELETE_TIMESTAMPS);
        row->values[row->value_count++] = any_value(arena, (uint16_t)i, list);
    }
    for (uint16_t i = 0; i < plan->column_count; i++) {
        uint16_t column = plan->columns[i];
        uint16_t place = (uint16_t)(VERSIONS_COLUMN + i);
        if (column < plan->schema->key_column_count) {
            row->values[row->value_count] = lookup->values[column];
            row->values[row->value_count++].column = place;
            continue;
        }
        struct node *list = NULL;
        TRY(list_values(scratch, &plan->schema->columns[column], column, newest, &list));
        if (list->count > 0) row->values[row->value_count++] = any_value(arena, place, list);
    }
    return NULL;
}

static struct error *read_versions(struct lookup *lookup, uint32_t key_index, struct row *row)
{
    const struct lookup_plan *plan = lookup->plan;
    struct arena scratch CLEANUP(arena_releasep) = {0};
    struct row_version *newest = NULL;
    TRY(version_history(
        lookup->iterator,
        &scratch,
        plan->schema,
        buffer_slice(&lookup->key),
        lookup->timestamp,
        false,
        &newest));
    if (!newest) return NULL;
    size_t count = 0;
    TRY(key_decode(
        &lookup->arena,
        plan->keys[key_index],
        plan->schema->key_column_count,
        lookup->values,
        &count));
    row->kind = ROW_WRITE;
    row->values =
        ARENA_NEW(&lookup->arena, struct value, (size_t)plan->column_count + VERSIONS_COLUMN);
    return add_versions(lookup, newest, &scratch, row);
}

static void set_names(const struct lookup *lookup, struct arena *arena, struct rowset *rowset)
{
    const struct lookup_plan *plan = lookup->plan;
    const struct schema *schema = plan->schema;
    struct slice *names =
        ARENA_NEW(arena, struct slice, (size_t)plan->column_count + VERSIONS_COLUMN);
    rowset->names = names;
    if (lookup->mode == LOOKUP_VERSIONS) {
        *names++ = SLICE_OF(ROWSET_ATTRIBUTE_PREFIX "write_timestamps");
        *names++ = SLICE_OF(ROWSET_ATTRIBUTE_PREFIX "delete_timestamps");
    }
    for (uint16_t i = 0; i < plan->column_count; i++) {
        uint16_t column = plan->columns[i];
        if (column < schema->column_count) {
            *names++ = schema->columns[column].name;
            continue;
        }
        struct slice name = schema->columns[column - schema->column_count].name;
        *names++ =
            slice_from_text(arena_print(arena, "%.*s%.*s", SLICE(TIMESTAMP_PREFIX), SLICE(name)));
    }
    rowset->name_count = (uint16_t)(names - rowset->names);
}

struct error *lookup_run(struct request *request, struct store_iterator *iterator)
{
    const struct lookup_plan *plan = request->lookup;
    CLEANUP(release_lookup)
    struct lookup lookup = {
        .plan = plan,
        .mode = request->lookup_mode,
        .iterator = iterator,
        .timestamp = MIN(request->timestamp, TIMESTAMP_MAX),
        .values = ARENA_NEW(&request->arena, struct value, plan->schema->column_count),
    };
    struct rowset rowset = {0};
    set_names(&lookup, &request->arena, &rowset);
    rowset.rows = ARENA_NEW(&lookup.arena, struct row, plan->key_count);
    for (uint32_t i = 0; i < plan->key_count; i++) {
        buffer_clear(&lookup.key);
        version_begin_key(plan->table_number, &lookup.key);
        buffer_append_slice(&lookup.key, plan->keys[i]);
        struct row *row = &rowset.rows[rowset.row_count];
        row->kind = ROW_MISSING; // Until it is found.
        TRY(lookup.mode == LOOKUP_VERSIONS ? read_versions(&lookup, i, row)
                                           : read_merged(&lookup, row));
        if (row->kind != ROW_MISSING || request->keep_missing_rows) rowset.row_count++;
        if (lookup.arena.size > READ_OUTPUT_SIZE_MAX) {
            struct error *error = error_new(ERROR_GENERIC, "Result of a lookup is too large");
            return error_set_u64(error, "size_max", READ_OUTPUT_SIZE_MAX);
        }
    }
    buffer_init(&request->output, READ_OUTPUT_SIZE_MAX);
    rowset_encode(&rowset, &request->output);
    request->output_kind = OUTPUT_ROWSET;
    return buffer_check(&request->output, "Result of a lookup");
}
