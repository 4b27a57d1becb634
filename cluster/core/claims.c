#include "cluster/core/claims.h"

#include "base/coding.h"

void lock_groups_find(const struct schema *schema, struct lock_groups *ret_groups)
{
    ret_groups->count = 0;
    for (uint16_t i = schema->key_column_count; i < schema->column_count; i++) {
        struct slice name = schema->columns[i].lock;
        uint32_t at = 0;
        while (at < ret_groups->count && !slice_equal(ret_groups->names[at], name)) at++;
        if (name.size > 0 && at == ret_groups->count) ret_groups->names[ret_groups->count++] = name;
    }
}

static uint64_t all_locks(const struct lock_groups *groups)
{
    return (UINT64_C(2) << groups->count) - 1;
}

static uint64_t locks_of_name(const struct lock_groups *groups, struct slice name)
{
    for (uint32_t i = 0; i < groups->count; i++) {
        if (slice_equal(groups->names[i], name)) return UINT64_C(2) << i;
    }
    return 0;
}

uint64_t lock_groups_of_change(
    const struct schema *schema, const struct lock_groups *groups, const struct row *row)
{
    if (groups->count == 0 || row->kind != ROW_UPDATE) return all_locks(groups);
    uint64_t locks = 0;
    for (uint32_t i = 0; i < row->value_count; i++) {
        const struct column *column = &schema->columns[row->values[i].column];
        if (column->is_key) continue;
        if (column->lock.size == 0) return all_locks(groups);
        locks |= locks_of_name(groups, column->lock);
    }
    return locks ? locks : all_locks(groups);
}

uint32_t claims_put(
    const struct table *table,
    uint64_t hash,
    uint64_t locks,
    enum row_lock_kind kind,
    struct row_claim *claims)
{
    uint32_t count = 0;
    for (uint64_t i = 0; locks >> i != 0; i++) {
        if ((locks >> i & 1) == 0) continue;
        uint64_t mixed = (hash ^ i) * UINT64_C(0x9e3779b97f4a7c15);
        claims[count++] = (struct row_claim){table, i == 0 ? hash : mixed, kind};
    }
    return count;
}

struct error *lock_groups_read(
    const struct lock_groups *groups, struct slice names, struct slice path, uint64_t *ret_locks)
{
    struct reader reader = reader_from(names);
    *ret_locks = names.size == 0 ? all_locks(groups) : 0;
    while (reader.rest.size > 0 && !reader.is_broken) {
        struct slice name = get_bytes(&reader);
        uint64_t locks = locks_of_name(groups, name);
        if (slice_equal(name, LOCK_NAME_MAIN)) locks = all_locks(groups);
        if (locks == 0) {
            return error_new(
                ERROR_GENERIC, "No lock \"%.*s\" in table %.*s", SLICE(name), SLICE(path));
        }
        *ret_locks |= locks;
    }
    return reader_finish(&reader, "Names of locks");
}
