// What writes_prepare makes of modifications, by tablet and row.
#include "cluster/core/writes.h"

#include "cluster/core/subjects.h"

#include "machine_world.h"
#include "model/key.h"
#include "model/rowset.h"

#include <inttypes.h>

TestSuite(writes, .fini = abort_on_leaks);

static void make(struct machine_world *world, const char *path, const char *more)
{
    const char *parameters =
        world_text(world, "{type=table;path=\"%s\";attributes={dynamic=%%true;%s}}", path, more);
    world_do(world, META, "create", parameters, NULL);
    world_do(world, META, "mount_table", world_text(world, "{path=\"%s\"}", path), NULL);
}

static void start(struct machine_world *world)
{
    world_init(world, 1);
    make(
        world,
        "//tmp/s",
        "pivot_keys=[[];[10];[20]];schema=[{name=k;type=int64;sort_order=ascending};{name=v;type="
        "string};{name=n;type=int64;aggregate=sum}]");
    make(world, "//tmp/o", "tablet_count=3;schema=[{name=v;type=string}]");
}

// A modification that writes rows given as YSON.
static struct modification modification(
    struct machine_world *world, const char *path, const char *rows)
{
    struct format text = {.kind = FORMAT_YSON, .yson = YSON_TEXT};
    struct rowset rowset;
    assert_ok(format_read_rows(&world->arena, &text, slice_from_text(rows), &rowset));
    CLEANUP(buffer_releasep) struct buffer encoded = {0};
    rowset_encode(&rowset, &encoded);
    return (struct modification){
        .path = slice_from_text(path),
        .rows = arena_copy(&world->arena, buffer_slice(&encoded)),
    };
}

static void print_value(
    struct buffer *buffer, const struct schema *schema, const struct value *value)
{
    buffer_print(buffer, " %.*s=", SLICE(schema->columns[value->column].name));
    if (value->is_aggregate) buffer_append_byte(buffer, '+');
    switch ((enum value_type)value->type) {
    case VALUE_INT64: buffer_print(buffer, "%" PRId64, value->int64); break;
    case VALUE_STRING: buffer_print(buffer, "%.*s", SLICE(value_slice(value))); break;
    case VALUE_NULL:
    case VALUE_UINT64:
    case VALUE_DOUBLE:
    case VALUE_BOOLEAN:
    case VALUE_ANY: buffer_append_byte(buffer, '#'); break;
    }
}

// "0: write k=1 v=a n=#, delete k=2; 1: update k=11 n=+5"
static const char *prepare(
    struct machine_world *world, const struct modification *modifications, uint32_t count)
{
    static const char *const KINDS[] = {"", "write", "update", "delete", "missing"};
    struct writes writes;
    CLEANUP(buffer_releasep) struct buffer text = {0};
    assert_ok(writes_prepare(
        &world->nodes[META].machine->cell.tree,
        &world->arena,
        USER_ROOT,
        modifications,
        count,
        &writes));
    uint64_t row_count = 0;
    for (uint32_t i = 0; i < writes.tablet_count; i++) {
        const struct tablet_write *write = &writes.tablets[i];
        buffer_print(&text, "%s%u:", i > 0 ? "; " : "", write->tablet->index);
        for (uint32_t j = 0; j < write->change_count; j++) {
            const struct row_change *change = &write->changes[j];
            buffer_print(&text, "%s %s", j > 0 ? "," : "", KINDS[change->row.kind]);
            for (uint32_t k = 0; k < change->row.value_count; k++) {
                print_value(&text, write->tablet->table->schema, &change->row.values[k]);
            }
            bool is_sorted = table_is_sorted(write->tablet->table);
            cr_assert(eq(int, change->key.size > 0, is_sorted));
            if (is_sorted) {
                uint64_t hash = row_hash(write->tablet->table, change->key);
                cr_assert(eq(u64, change->hash, hash));
            }
        }
        row_count += write->change_count;
    }
    cr_assert(eq(u64, writes.row_count, row_count));
    return arena_print(&world->arena, "%.*s", SLICE(buffer_slice(&text)));
}

Test(writes, rows_go_to_tablets_by_their_keys)
{
    struct machine_world world;
    start(&world);
    struct modification all =
        modification(&world, "//tmp/s", "{k=25};{k=9};{k=10};{k=#};{k=19;v=a};{k=20}");
    assert_text(
        prepare(&world, &all, 1),
        "2: write k=25 v=# n=#, write k=20 v=# n=#; 0: write k=9 v=# n=#, write k=# v=# n=#; "
        "1: write k=10 v=# n=#, write k=19 v=a n=#");
    world_release(&world);
}

Test(writes, columns_are_arranged_as_the_kind_of_change_needs)
{
    struct machine_world world;
    start(&world);
    struct modification write = modification(&world, "//tmp/s", "{n=5;k=1}");
    assert_text(prepare(&world, &write, 1), "0: write k=1 v=# n=5");
    write.is_update = true;
    assert_text(prepare(&world, &write, 1), "0: update k=1 n=5");
    write.is_aggregate = true;
    assert_text(prepare(&world, &write, 1), "0: update k=1 n=+5");
    write.is_update = false; // Whole, and yet the old sum counts.
    assert_text(prepare(&world, &write, 1), "0: update k=1 v=# n=+5");
    struct modification remove = modification(&world, "//tmp/s", "{k=1}");
    remove.is_delete = true;
    assert_text(prepare(&world, &remove, 1), "0: delete k=1");
    world_release(&world);
}

Test(writes, changes_of_one_row_become_one)
{
    struct machine_world world;
    start(&world);
    struct modification changes[] = {
        modification(&world, "//tmp/s", "{k=1;v=a};{k=11;v=b};{k=1;v=c}"),
        modification(&world, "//tmp/s", "{k=11;n=2}"),
        modification(&world, "//tmp/s", "{k=1}"),
        modification(&world, "//tmp/s", "{k=1;n=3}"),
        modification(&world, "//tmp/s", "{k=1;n=4}"),
    };
    changes[1].is_update = true;
    changes[2].is_delete = true;
    changes[3].is_update = true;
    changes[4].is_update = true;
    changes[4].is_aggregate = true;
    assert_text(prepare(&world, changes, 1), "0: write k=1 v=c n=#; 1: write k=11 v=b n=#");
    assert_text(prepare(&world, changes, 2), "0: write k=1 v=c n=#; 1: write k=11 v=b n=2");
    assert_text(prepare(&world, changes, 3), "0: delete k=1; 1: write k=11 v=b n=2");
    assert_text(prepare(&world, changes, 4), "0: write k=1 n=3; 1: write k=11 v=b n=2");
    assert_text(prepare(&world, changes, 5), "0: write k=1 n=7; 1: write k=11 v=b n=2");
    world_release(&world);
}

Test(writes, equal_rows_of_ordered_tables_stay_apart)
{
    struct machine_world world;
    start(&world);
    struct modification rows = modification(
        &world,
        "//tmp/o",
        "{v=a};{v=a};{v=b;\"$tablet_index\"=2};{v=c;\"$tablet_index\"=1u};{v=a}");
    assert_text(
        prepare(&world, &rows, 1),
        "0: write v=a, write v=a, write v=a; 2: write v=b; 1: write v=c");
    world_release(&world);
}

Test(writes, of_several_tables_are_kept_by_tablet)
{
    struct machine_world world;
    start(&world);
    struct modification both[] = {
        modification(&world, "//tmp/s", "{k=1}"),
        modification(&world, "//tmp/o", "{v=a}"),
        modification(&world, "//tmp/s", "{k=2}"),
    };
    assert_text(prepare(&world, both, 3), "0: write k=1 v=# n=#, write k=2 v=# n=#; 0: write v=a");
    world_release(&world);
}

Test(writes, numbers_become_what_columns_need_where_they_fit)
{
    struct machine_world world;
    start(&world);
    struct modification row = modification(&world, "//tmp/s", "{k=5u;n=6u}");
    assert_text(prepare(&world, &row, 1), "0: write k=5 v=# n=6");
    row = modification(&world, "//tmp/s", "{k=18446744073709551615u}");
    struct writes writes;
    CLEANUP(error_freep)
    struct error *error = writes_prepare(
        &world.nodes[META].machine->cell.tree, &world.arena, USER_ROOT, &row, 1, &writes);
    cr_assert(error_says(error, 307, ""));
    assert_text(error_attribute(error_inner(error), "row_number"), "0");
    world_release(&world);
}

Test(writes, too_many_rows_are_refused)
{
    struct machine_world world;
    start(&world);
    CLEANUP(buffer_releasep) struct buffer rows = {0};
    struct slice names[] = {SLICE_OF("v")};
    struct value value = value_string(0, SLICE_OF("a"));
    struct row row = {ROW_WRITE, 1, &value};
    rowset_encode_begin(names, 1, TRANSACTION_ROW_COUNT_MAX + 1, &rows);
    for (int i = 0; i <= TRANSACTION_ROW_COUNT_MAX; i++) rowset_encode_row(&row, &rows);
    struct modification all = {.path = SLICE_OF("//tmp/o"), .rows = buffer_slice(&rows)};
    struct writes writes;
    CLEANUP(error_freep)
    struct error *error = writes_prepare(
        &world.nodes[META].machine->cell.tree, &world.arena, USER_ROOT, &all, 1, &writes);
    cr_assert(error_says(error, 1717, "too many rows"));
    world_release(&world);
}

// What a log record holds is read by a table with other columns as far as they go together.
Test(writes, survive_the_way_through_a_record)
{
    struct machine_world world;
    start(&world);
    make(
        &world,
        "//tmp/other",
        "schema=[{name=k;type=int64;sort_order=ascending};{name=n;type=int64;aggregate=sum};{name="
        "v;type=string};{name=more;type=double}]");
    make(
        &world,
        "//tmp/narrow",
        "schema=[{name=k;type=int64;sort_order=ascending};{name=v;type=string}]");
    make(
        &world,
        "//tmp/strict",
        "schema=[{name=k;type=int64;sort_order=ascending};{name=n;type=int64};{name=v;type=string;"
        "required=%true}]");
    struct modification changes[] = {
        modification(&world, "//tmp/s", "{k=1;v=a}"),
        modification(&world, "//tmp/s", "{k=2;n=5}"),
        modification(&world, "//tmp/s", "{k=3}"),
    };
    changes[1].is_update = true;
    changes[1].is_aggregate = true;
    changes[2].is_delete = true;
    struct writes writes;
    assert_ok(writes_prepare(
        &world.nodes[META].machine->cell.tree, &world.arena, USER_ROOT, changes, 3, &writes));
    CLEANUP(buffer_releasep) struct buffer record = {0};
    const struct tablet_write *write = &writes.tablets[0];
    writes_encode(write->tablet->table->schema, write->changes, write->change_count, &record);

    struct row_change *read = NULL;
    uint32_t count = 0;
    const struct table *other = world_table(&world, META, "//tmp/other");
    assert_ok(writes_decode(&world.arena, other, buffer_slice(&record), &read, &count));
    cr_assert(eq(u32, count, 3));
    CLEANUP(buffer_releasep) struct buffer text = {0};
    for (uint32_t i = 0; i < count; i++) {
        buffer_print(&text, "%d:", (int)read[i].row.kind);
        for (uint32_t j = 0; j < read[i].row.value_count; j++) {
            print_value(&text, other->schema, &read[i].row.values[j]);
        }
        buffer_append_byte(&text, ';');
    }
    buffer_append_byte(&text, 0);
    assert_text(text.data, "2: k=1 n=# v=a;2: k=2 n=+5;3: k=3;");

    const struct table *narrow = world_table(&world, META, "//tmp/narrow");
    CLEANUP(error_freep)
    struct error *unexpected =
        writes_decode(&world.arena, narrow, buffer_slice(&record), &read, &count);
    cr_assert(error_says(unexpected, 1, "Unexpected column \"n\""));
    changes[0] = modification(&world, "//tmp/s", "{k=1;n=5}"); // Without v.
    assert_ok(writes_prepare(
        &world.nodes[META].machine->cell.tree, &world.arena, USER_ROOT, changes, 1, &writes));
    buffer_clear(&record);
    write = &writes.tablets[0];
    writes_encode(write->tablet->table->schema, write->changes, write->change_count, &record);
    const struct table *strict = world_table(&world, META, "//tmp/strict");
    CLEANUP(error_freep)
    struct error *required =
        writes_decode(&world.arena, strict, buffer_slice(&record), &read, &count);
    cr_assert(error_says(required, 307, "Required column"));
    world_release(&world);
}
