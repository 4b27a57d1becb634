#include "cluster/query/names.h"

#include <assert.h>

static int order_aliases(const void *a, const void *b)
{
    const struct names_alias *x = a;
    const struct names_alias *y = b;
    int order = slice_compare(x->syntax->name, y->syntax->name);
    if (order != 0) return order;
    return x->syntax->begin < y->syntax->begin ? -1 : x->syntax->begin > y->syntax->begin;
}

static int order_columns(const void *a, const void *b)
{
    const struct names_column *x = a;
    const struct names_column *y = b;
    int order = slice_compare(x->name, y->name);
    if (order != 0) return order;
    return x->table < y->table ? -1 : x->table > y->table;
}

static struct error *init_aliases(struct names *names, struct arena *arena)
{
    const struct syntax_list *list = &names->query->aliases;
    names->aliases = ARENA_NEW(arena, struct names_alias, list->count);
    names->alias_count = list->count;
    for (uint32_t i = 0; i < list->count; i++) names->aliases[i].syntax = list->items[i];
    qsort(names->aliases, list->count, sizeof *names->aliases, order_aliases);
    for (uint32_t i = 1; i < list->count; i++) {
        const struct syntax *syntax = names->aliases[i].syntax;
        if (!slice_equal(names->aliases[i - 1].syntax->name, syntax->name)) continue;
        return error_set_u64(
            error_new(ERROR_GENERIC, "Redefinition of alias \"%.*s\"", SLICE(syntax->name)),
            "offset",
            syntax->begin);
    }
    return NULL;
}

struct error *names_init(
    struct names *names,
    struct arena *arena,
    const struct query *query,
    const struct plan_table *tables,
    uint32_t table_count)
{
    *names = (struct names){.query = query};
    TRY(init_aliases(names, arena));
    for (uint32_t i = 0; i < table_count; i++) {
        struct slice alias = query->tables[i].alias;
        for (uint32_t k = 0; k < i; k++) {
            if (alias.size == 0 || !slice_equal(alias, query->tables[k].alias)) continue;
            return error_set_u64(
                error_new(ERROR_GENERIC, "Redefinition of table alias \"%.*s\"", SLICE(alias)),
                "offset",
                query->tables[i].offset);
        }
        names->column_count += tables[i].schema->column_count;
    }
    names->columns = ARENA_NEW(arena, struct names_column, names->column_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < table_count; i++) {
        for (uint32_t k = 0; k < tables[i].schema->column_count; k++) {
            names->columns[count++] = (struct names_column){
                .name = tables[i].schema->columns[k].name,
                .table = i,
                .column = k,
            };
        }
    }
    assert(count == names->column_count);
    qsort(names->columns, count, sizeof *names->columns, order_columns);
    return NULL;
}

struct names_alias *names_find_alias(const struct names *names, struct slice name)
{
    uint32_t begin = 0;
    uint32_t end = names->alias_count;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        struct names_alias *alias = &names->aliases[middle];
        int order = slice_compare(alias->syntax->name, name);
        if (order == 0) return alias->is_being_expanded ? NULL : alias;
        if (order < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return NULL;
}

// Whether a column is of a table without alias.
static bool is_plain(const struct names *names, const struct names_column *column)
{
    return names->query->tables[column->table].alias.size == 0;
}

// Whether one of the columns of the same name is.
static bool has_plain(const struct names *names, uint32_t first)
{
    for (uint32_t i = first; i < names->column_count; i++) {
        if (!slice_equal(names->columns[i].name, names->columns[first].name)) return false;
        if (is_plain(names, &names->columns[i])) return true;
    }
    return false;
}

struct error *names_find_column(
    const struct names *names,
    const struct syntax *reference,
    uint32_t begin,
    uint32_t end,
    struct names_column **ret_column)
{
    uint32_t from = 0;
    uint32_t to = names->column_count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (slice_compare(names->columns[middle].name, reference->name) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    bool needs_plain = reference->table.size == 0 && !names->is_in_using && has_plain(names, from);
    struct names_column *found = NULL;
    for (uint32_t i = from; i < names->column_count; i++) {
        struct names_column *column = &names->columns[i];
        if (!slice_equal(column->name, reference->name)) break;
        if (column->table < begin || column->table >= end) continue;
        if (reference->table.size > 0) {
            struct slice alias = names->query->tables[column->table].alias;
            if (slice_equal(alias, reference->table)) found = column;
            continue;
        }
        if (needs_plain && !is_plain(names, column)) continue;
        if (column->is_repeated && begin < column->table) continue;
        if (found) {
            return error_set_u64(
                error_new(
                    ERROR_GENERIC,
                    "Ambiguous reference \"%.*s\": several tables have such a column",
                    SLICE(reference->name)),
                "offset",
                reference->begin);
        }
        found = column;
    }
    *ret_column = found;
    return NULL;
}
