#include "model/schema_alter.h"

static const char *order_name(const struct column *column)
{
    return column->is_key ? "ascending" : "null";
}

static struct error *check_column_alter(const struct column *old, const struct column *new_column)
{
    enum error_code code = ERROR_INCOMPATIBLE_SCHEMAS;
    bool becomes_required = !old->is_required && new_column->is_required;
    if (!column_type_is_wider(new_column->type, old->type) || becomes_required) {
        struct error *error =
            error_new(code, "Type mismatch for column " COLUMN_QUOTED, COLUMN_NAME(old));
        return error_add_inner(
            error,
            error_new(
                code,
                "Cannot change type \"%s%s\" to \"%s%s\"",
                old->is_required ? "" : "optional ",
                column_type_name(old->type),
                new_column->is_required ? "" : "optional ",
                column_type_name(new_column->type)));
    }
    if (new_column->is_key && !old->is_key) {
        return error_new(
            code,
            "Sort order mismatch for column " COLUMN_QUOTED ": old \"%s\", new \"%s\"",
            COLUMN_NAME(old),
            order_name(old),
            order_name(new_column));
    }
    if (!slice_equal(old->expression, new_column->expression)) {
        return error_new(
            code,
            "Expression mismatch for column " COLUMN_QUOTED ": old \"%.*s\", new \"%.*s\"",
            COLUMN_NAME(old),
            SLICE(column_shortened(old->expression)),
            SLICE(column_shortened(new_column->expression)));
    }
    if (old->aggregate.size > 0 && !slice_equal(old->aggregate, new_column->aggregate)) {
        return error_new(
            code,
            "Aggregate mode mismatch for column " COLUMN_QUOTED ": old \"%.*s\", new \"%.*s\"",
            COLUMN_NAME(old),
            SLICE(old->aggregate),
            SLICE(new_column->aggregate));
    }
    if (old->is_key && !slice_equal(old->lock, new_column->lock)) {
        return error_new(
            code,
            "Lock mismatch for key column " COLUMN_QUOTED ": old \"%.*s\", new \"%.*s\"",
            COLUMN_NAME(old),
            SLICE(old->lock),
            SLICE(new_column->lock));
    }
    return NULL;
}

static struct error *check_old_columns(const struct schema *old, const struct schema *new_schema)
{
    bool has_lost_key = false;
    for (uint16_t i = 0; i < old->column_count; i++) {
        const struct column *column = &old->columns[i];
        uint16_t at = schema_find(new_schema, column->name);
        if (at == SCHEMA_NO_COLUMN) {
            return error_new(
                ERROR_GENERIC,
                "Cannot remove column " COLUMN_QUOTED " from a strict schema",
                COLUMN_NAME(column));
        }
        const struct column *now = &new_schema->columns[at];
        TRY(check_column_alter(column, now));
        if (column->is_key && now->is_key && at != i) {
            return error_new(
                ERROR_GENERIC,
                "Cannot change position of a key column " COLUMN_QUOTED ": old %d, new %d",
                COLUMN_NAME(column),
                i,
                at);
        }
        has_lost_key = has_lost_key || (column->is_key && !now->is_key);
    }
    if (!has_lost_key) return NULL;
    return error_new(
        ERROR_GENERIC, "Table cannot have unique keys since some of its key columns were removed");
}

static struct error *check_new_columns(const struct schema *old, const struct schema *new_schema)
{
    for (uint16_t i = 0; i < new_schema->column_count; i++) {
        const struct column *column = &new_schema->columns[i];
        if (schema_find(old, column->name) != SCHEMA_NO_COLUMN) continue;
        if (column->is_required) {
            return error_new(
                ERROR_GENERIC,
                "Cannot insert a new required column " COLUMN_QUOTED " into a non-empty table",
                COLUMN_NAME(column));
        }
        if (column->expression.size > 0) {
            return error_new(
                ERROR_GENERIC,
                "Cannot insert a new computed column " COLUMN_QUOTED " into a non-empty table",
                COLUMN_NAME(column));
        }
    }
    return NULL;
}

static struct error *check_alter(
    const struct schema *old, const struct schema *new_schema, bool is_empty)
{
    if ((old->key_column_count > 0) != (new_schema->key_column_count > 0)) {
        return error_new(
            ERROR_GENERIC,
            "Cannot change schema from %s to %s",
            old->key_column_count > 0 ? "sorted" : "ordered",
            new_schema->key_column_count > 0 ? "sorted" : "ordered");
    }
    if (is_empty) return NULL;
    TRY(check_old_columns(old, new_schema));
    return check_new_columns(old, new_schema);
}

struct error *schema_check_alter(
    const struct schema *old, const struct schema *new_schema, bool is_empty)
{
    struct error *error = check_alter(old, new_schema, is_empty);
    if (!error) return NULL;
    return error_wrap(error, ERROR_INCOMPATIBLE_SCHEMAS, "Table schemas are incompatible");
}
