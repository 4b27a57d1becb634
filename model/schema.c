#include "model/schema.h"

#include "base/coding.h"

#include <assert.h>
#include <inttypes.h>

enum { ENCODING_VERSION = 1 };

static struct error *parse_type_name(struct slice name, enum column_type *ret_type)
{
    if (column_type_parse(name, ret_type)) return NULL;
    return error_new(
        ERROR_GENERIC, "Column type \"%.*s\" is not supported", SLICE(column_shortened(name)));
}

// Parses `type_v3`: "int64" or {type_name=optional;item=int64}.
static struct error *parse_type_v3(
    const struct node *node, enum column_type *ret_type, bool *ret_is_required)
{
    bool is_required = true;
    struct slice name = {0};
    if (node->type == NODE_MAP) {
        TRY(node_get_string(node, "type_name", &name));
        if (slice_equal_text(name, "optional")) {
            is_required = false;
            node = node_find_text(node, "item");
            name = slice_from("", 0);
            if (!node) return error_new(ERROR_GENERIC, "Optional type has no \"item\"");
            // The item may itself be {type_name=int64}.
            if (node->type == NODE_MAP) TRY(node_get_string(node, "type_name", &name));
        }
    }
    if (node->type == NODE_STRING) name = node->string;
    TRY(parse_type_name(name, ret_type));
    *ret_is_required = is_required;
    return NULL;
}

// Takes type and requiredness from `type`, `required` and `type_v3`, which must agree.
static struct error *parse_type(const struct node *node, struct column *column)
{
    struct slice name = {0};
    bool has_type = false;
    TRY(node_get_string(node, "type", &name));
    TRY(node_get_boolean(node, "required", &column->is_required));
    if (name.data) {
        TRY(parse_type_name(name, &column->type));
        has_type = true;
    }
    const struct node *type_v3 = node_find_text(node, "type_v3");
    if (!type_v3 || type_v3->type == NODE_ENTITY) {
        return has_type ? NULL : error_new(ERROR_GENERIC, "Column type is not specified");
    }
    enum column_type type = COLUMN_ANY;
    bool is_required = false;
    TRY(parse_type_v3(type_v3, &type, &is_required));
    const struct node *required = node_find_text(node, "required");
    bool has_required = required && required->type != NODE_ENTITY;
    if ((has_type && type != column->type) ||
        (has_required && is_required != column->is_required)) {
        return error_new(
            ERROR_GENERIC, "Attribute \"type_v3\" does not agree with \"type\" and \"required\"");
    }
    column->type = type;
    column->is_required = is_required;
    return NULL;
}

static struct error *parse_column(
    struct arena *arena, const struct node *node, struct column *ret_column)
{
    struct column column = {0};
    struct slice sort_order = {0};
    if (node->type != NODE_MAP) {
        return error_new(
            ERROR_GENERIC,
            "Column schema: expected \"map\", actual \"%s\"",
            node_type_name(node->type));
    }
    TRY(node_get_string(node, "name", &column.name));
    TRY(parse_type(node, &column));
    TRY(node_get_string(node, "sort_order", &sort_order));
    TRY(node_get_string(node, "expression", &column.expression));
    TRY(node_get_string(node, "aggregate", &column.aggregate));
    TRY(node_get_string(node, "lock", &column.lock));
    TRY(node_get_string(node, "group", &column.group));
    column.is_key = sort_order.data != NULL;
    if (column.is_key && !slice_equal_text(sort_order, "ascending")) {
        return error_new(
            ERROR_GENERIC,
            "Sort order \"%.*s\" is not supported",
            SLICE(column_shortened(sort_order)));
    }
    if ((column.lock.data && column.lock.size == 0) ||
        (column.group.data && column.group.size == 0)) {
        return error_new(ERROR_GENERIC, "Names of column locks and groups cannot be empty");
    }
    column.name = arena_copy(arena, column.name);
    column.expression = arena_copy(arena, column.expression);
    column.aggregate = arena_copy(arena, column.aggregate);
    column.lock = arena_copy(arena, column.lock);
    column.group = arena_copy(arena, column.group);
    *ret_column = column;
    return NULL;
}

static struct error *check_aggregate(const struct column *column)
{
    if (column->aggregate.size == 0) return NULL;
    if (column->is_key) {
        return error_new(
            ERROR_GENERIC,
            "Key column " COLUMN_QUOTED " cannot be aggregated",
            COLUMN_NAME(column));
    }
    bool is_sum = slice_equal_text(column->aggregate, "sum");
    bool is_order =
        slice_equal_text(column->aggregate, "min") || slice_equal_text(column->aggregate, "max");
    bool is_choice =
        slice_equal_text(column->aggregate, "first") || slice_equal_text(column->aggregate, "last");
    if (!is_sum && !is_order && !is_choice) {
        return error_new(
            ERROR_GENERIC,
            "Unknown aggregate function \"%.*s\" at column " COLUMN_QUOTED,
            SLICE(column_shortened(column->aggregate)),
            COLUMN_NAME(column));
    }
    bool is_number = column->type == COLUMN_INT64 || column->type == COLUMN_UINT64 ||
                     column->type == COLUMN_DOUBLE;
    bool is_ordered = is_number || column->type == COLUMN_BOOLEAN || column->type == COLUMN_STRING;
    bool is_allowed = is_sum ? is_number : is_ordered || (is_choice && column->type == COLUMN_ANY);
    if (is_allowed) return NULL;
    return error_new(
        ERROR_GENERIC,
        "Aggregated column " COLUMN_QUOTED
        " is forbidden to have type \"%s\" with function \"%.*s\"",
        COLUMN_NAME(column),
        column_type_name(column->type),
        SLICE(column->aggregate));
}

// Columns whose names begin with `$` belong to the system; one of them a table may have.
static struct error *check_name(const struct schema *schema, const struct column *column)
{
    if (column->name.size == 0) return error_new(ERROR_GENERIC, "Column name cannot be empty");
    if (column->name.size > SCHEMA_NAME_SIZE_MAX) {
        struct error *error =
            error_new(ERROR_GENERIC, "Column name is longer than maximum allowed");
        error_set_u64(error, "limit", SCHEMA_NAME_SIZE_MAX);
        return error_set_u64(error, "actual", column->name.size);
    }
    if (column->name.data[0] != '$') return NULL;
    if (!slice_equal_text(column->name, "$timestamp")) {
        return error_new(
            ERROR_GENERIC,
            "Column name " COLUMN_QUOTED " cannot start with prefix \"$\"",
            COLUMN_NAME(column));
    }
    if (schema->key_column_count > 0) {
        return error_new(ERROR_GENERIC, "Column \"$timestamp\" cannot appear in a sorted table");
    }
    if (column->type == COLUMN_UINT64) return NULL;
    return error_new(ERROR_GENERIC, "Column \"$timestamp\" must have type \"uint64\"");
}

static struct error *check_column(const struct schema *schema, const struct column *column)
{
    TRY(check_name(schema, column));
    TRY(check_aggregate(column));
    if (column->type == COLUMN_ANY && column->is_key) {
        return error_new(
            ERROR_GENERIC,
            "Key column " COLUMN_QUOTED " cannot have type \"any\"",
            COLUMN_NAME(column));
    }
    if (column->type == COLUMN_ANY && column->is_required) {
        return error_new(
            ERROR_GENERIC,
            "Column " COLUMN_QUOTED " of type \"any\" cannot be \"required\"",
            COLUMN_NAME(column));
    }
    if (column->expression.size > 0 && !column->is_key) {
        return error_new(
            ERROR_GENERIC,
            "Non-key column " COLUMN_QUOTED " cannot be computed",
            COLUMN_NAME(column));
    }
    if (column->lock.size > 0 && column->is_key) {
        return error_new(
            ERROR_GENERIC,
            "Key column " COLUMN_QUOTED " cannot have an explicit lock group",
            COLUMN_NAME(column));
    }
    if (column->lock.size > SCHEMA_NAME_SIZE_MAX || column->group.size > SCHEMA_NAME_SIZE_MAX) {
        struct error *error = error_new(
            ERROR_GENERIC,
            "Name of lock or group of column " COLUMN_QUOTED " is longer than maximum allowed",
            COLUMN_NAME(column));
        return error_set_u64(error, "limit", SCHEMA_NAME_SIZE_MAX);
    }
    return NULL;
}

static struct error *check_lock_count(const struct schema *schema)
{
    struct slice locks[SCHEMA_LOCK_COUNT_MAX];
    int count = 0;
    for (uint16_t i = 0; i < schema->column_count; i++) {
        struct slice lock = schema->columns[i].lock;
        int at = 0;
        while (at < count && !slice_equal(locks[at], lock)) at++;
        if (lock.size == 0 || at < count) continue;
        if (count == SCHEMA_LOCK_COUNT_MAX) {
            struct error *error = error_new(ERROR_GENERIC, "Too many column locks in table schema");
            return error_set_u64(error, "limit", SCHEMA_LOCK_COUNT_MAX);
        }
        locks[count++] = lock;
    }
    return NULL;
}

static struct error *check_schema(const struct schema *schema)
{
    if (!schema->is_strict) {
        return error_new(ERROR_GENERIC, "\"strict\" cannot be \"false\" for a dynamic table");
    }
    if (schema->has_unique_keys != (schema->key_column_count > 0)) {
        return error_new(
            ERROR_GENERIC, "\"unique_keys\" goes with key columns, and not without them");
    }
    if (schema->key_column_count > SCHEMA_KEY_COLUMN_COUNT_MAX) {
        struct error *error = error_new(ERROR_TOO_MANY_COLUMNS_IN_KEY, "Too many columns in key");
        error_set_u64(error, "actual", schema->key_column_count);
        return error_set_u64(error, "limit", SCHEMA_KEY_COLUMN_COUNT_MAX);
    }
    for (uint16_t i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        if (column->is_key != (i < schema->key_column_count)) {
            return error_new(ERROR_GENERIC, "Key columns must form a prefix of schema");
        }
        TRY(check_column(schema, column));
        if (schema_find(schema, column->name) != i) {
            return error_new(
                ERROR_DUPLICATE_COLUMN_IN_SCHEMA,
                "Duplicate column " COLUMN_QUOTED " in table schema",
                COLUMN_NAME(column));
        }
    }
    if (schema->column_count == schema->key_column_count) {
        return error_new(ERROR_GENERIC, "There must be at least one non-key column");
    }
    return check_lock_count(schema);
}

struct error *schema_parse(struct arena *arena, const struct node *node, struct schema **ret_schema)
{
    struct schema *schema = ARENA_NEW(arena, struct schema, 1);
    schema->is_strict = true;
    const struct node *list = node->type == NODE_MAP ? node_find_text(node, "columns") : node;
    const struct node *flags = node->type == NODE_MAP ? node : node->attributes;
    if (!list || list->type != NODE_LIST) {
        return error_new(
            ERROR_GENERIC,
            "Table schema: expected \"list\", actual \"%s\"",
            list ? node_type_name(list->type) : "nothing");
    }
    TRY(node_get_boolean(flags, "strict", &schema->is_strict));
    TRY(node_get_boolean(flags, "unique_keys", &schema->has_unique_keys));
    if (list->count > SCHEMA_COLUMN_COUNT_MAX) {
        struct error *error = error_new(ERROR_GENERIC, "Too many columns in table schema");
        error_set_u64(error, "actual", list->count);
        return error_set_u64(error, "limit", SCHEMA_COLUMN_COUNT_MAX);
    }
    schema->columns = ARENA_NEW(arena, struct column, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        struct column *column = &schema->columns[i];
        struct error *error = parse_column(arena, list->entries[i].value, column);
        if (error) {
            return error_wrap(
                error, ERROR_GENERIC, "Error parsing column %" PRIu32 " of schema", i);
        }
        schema->column_count++;
        if (column->is_key) schema->key_column_count++;
    }
    if (schema->key_column_count > 0) schema->has_unique_keys = true;
    TRY(check_schema(schema));
    *ret_schema = schema;
    return NULL;
}

static struct node *type_v3_to_node(struct arena *arena, const struct column *column)
{
    struct node *type = node_text(arena, column_type_v3_name(column->type));
    if (column->is_required) return type;
    struct node *optional = node_map(arena);
    node_set_text(arena, optional, "type_name", node_text(arena, "optional"));
    node_set_text(arena, optional, "item", type);
    return optional;
}

static void set_if_any(struct arena *arena, struct node *map, const char *key, struct slice string)
{
    if (string.size > 0) node_set_text(arena, map, key, node_string(arena, string));
}

static struct node *column_to_node(struct arena *arena, const struct column *column)
{
    struct node *node = node_map(arena);
    node_set_text(arena, node, "name", node_string(arena, column->name));
    node_set_text(arena, node, "required", node_boolean(arena, column->is_required));
    node_set_text(arena, node, "type", node_text(arena, column_type_name(column->type)));
    node_set_text(arena, node, "type_v3", type_v3_to_node(arena, column));
    if (column->is_key) node_set_text(arena, node, "sort_order", node_text(arena, "ascending"));
    set_if_any(arena, node, "lock", column->lock);
    set_if_any(arena, node, "expression", column->expression);
    set_if_any(arena, node, "aggregate", column->aggregate);
    set_if_any(arena, node, "group", column->group);
    return node;
}

struct node *schema_to_node(struct arena *arena, const struct schema *schema)
{
    struct node *list = node_list(arena);
    node_set_attribute(arena, list, "strict", node_boolean(arena, schema->is_strict));
    node_set_attribute(arena, list, "unique_keys", node_boolean(arena, schema->has_unique_keys));
    for (uint16_t i = 0; i < schema->column_count; i++) {
        node_add(arena, list, column_to_node(arena, &schema->columns[i]));
    }
    return list;
}

struct schema *schema_copy(struct arena *arena, const struct schema *schema)
{
    struct schema *copy = ARENA_NEW(arena, struct schema, 1);
    *copy = *schema;
    copy->columns = ARENA_NEW(arena, struct column, schema->column_count);
    for (uint16_t i = 0; i < schema->column_count; i++) {
        struct column *column = &copy->columns[i];
        *column = schema->columns[i];
        column->name = arena_copy(arena, column->name);
        column->expression = arena_copy(arena, column->expression);
        column->aggregate = arena_copy(arena, column->aggregate);
        column->lock = arena_copy(arena, column->lock);
        column->group = arena_copy(arena, column->group);
    }
    return copy;
}

void schema_assign_ids(struct schema *schema, const struct schema *old)
{
    schema->next_id = old ? old->next_id : 0;
    for (uint16_t i = 0; i < schema->column_count; i++) {
        struct column *column = &schema->columns[i];
        uint16_t at = old ? schema_find(old, column->name) : SCHEMA_NO_COLUMN;
        if (at != SCHEMA_NO_COLUMN) {
            column->id = old->columns[at].id;
        } else {
            // Columns are never removed, so there are no more ids than columns.
            assert(schema->next_id < SCHEMA_NO_COLUMN);
            column->id = schema->next_id++;
        }
    }
}

uint16_t schema_find(const struct schema *schema, struct slice name)
{
    for (uint16_t i = 0; i < schema->column_count; i++) {
        if (slice_equal(schema->columns[i].name, name)) return i;
    }
    return SCHEMA_NO_COLUMN;
}

uint16_t schema_find_id(const struct schema *schema, uint16_t id)
{
    for (uint16_t i = 0; i < schema->column_count; i++) {
        if (schema->columns[i].id == id) return i;
    }
    return SCHEMA_NO_COLUMN;
}

void schema_encode(const struct schema *schema, struct buffer *buffer)
{
    put_u8(buffer, ENCODING_VERSION);
    put_u8(buffer, schema->is_strict);
    put_u8(buffer, schema->has_unique_keys);
    put_varint(buffer, schema->next_id);
    put_varint(buffer, schema->column_count);
    for (uint16_t i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        put_bytes(buffer, column->name);
        put_u8(buffer, (uint8_t)column->type);
        put_u8(buffer, column->is_key);
        put_u8(buffer, column->is_required);
        put_bytes(buffer, column->expression);
        put_bytes(buffer, column->aggregate);
        put_bytes(buffer, column->lock);
        put_bytes(buffer, column->group);
        put_varint(buffer, column->id);
    }
}

static struct error *malformed(void)
{
    return error_new(ERROR_GENERIC, "Stored schema is malformed");
}

static struct error *decode_column(
    struct arena *arena, struct reader *reader, struct column *ret_column)
{
    struct column column = {.name = arena_copy(arena, get_bytes(reader))};
    uint8_t type = get_u8(reader);
    if (type >= COLUMN_TYPE_COUNT) return malformed();
    column.type = (enum column_type)type;
    column.is_key = get_u8(reader);
    column.is_required = get_u8(reader);
    column.expression = arena_copy(arena, get_bytes(reader));
    column.aggregate = arena_copy(arena, get_bytes(reader));
    column.lock = arena_copy(arena, get_bytes(reader));
    column.group = arena_copy(arena, get_bytes(reader));
    uint64_t id = get_varint(reader);
    if (id >= SCHEMA_NO_COLUMN) return malformed();
    column.id = (uint16_t)id;
    *ret_column = column;
    return NULL;
}

static struct error *check_ids(const struct schema *schema)
{
    for (uint16_t i = 0; i < schema->column_count; i++) {
        uint16_t id = schema->columns[i].id;
        if (id >= schema->next_id || schema_find_id(schema, id) != i) return malformed();
    }
    return NULL;
}

struct error *schema_decode(struct arena *arena, struct slice bytes, struct schema **ret_schema)
{
    struct reader reader = reader_from(bytes);
    if (get_u8(&reader) != ENCODING_VERSION) return malformed();
    struct schema *schema = ARENA_NEW(arena, struct schema, 1);
    schema->is_strict = get_u8(&reader);
    schema->has_unique_keys = get_u8(&reader);
    uint64_t next_id = get_varint(&reader);
    uint64_t count = get_varint(&reader);
    if (next_id > SCHEMA_NO_COLUMN || count > SCHEMA_COLUMN_COUNT_MAX) return malformed();
    schema->next_id = (uint16_t)next_id;
    schema->columns = ARENA_NEW(arena, struct column, count);
    for (uint64_t i = 0; i < count && !reader.is_broken; i++) {
        TRY(decode_column(arena, &reader, &schema->columns[i]));
        schema->column_count++;
        if (schema->columns[i].is_key) schema->key_column_count++;
    }
    TRY(reader_finish(&reader, "Stored schema"));
    TRY(check_schema(schema));
    TRY(check_ids(schema));
    *ret_schema = schema;
    return NULL;
}
