// Whatever a client sends, a machine answers and lives: mutations of sensible commands.
#include "machine_world.h"

#include "base/rng.h"
#include "model/yson.h"

#include <inttypes.h>

TestSuite(malformed, .fini = abort_on_leaks);

enum { WORLD_COUNT = 100, COMMAND_COUNT = 100, ROWSET_COUNT = 10000, TEXT_SIZE_MAX = 1024 };

static const char *const SEEDS[][3] = {
    {"create",
     "{type=table;path=\"//tmp/x\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}",
     ""},
    {"create",
     "{type=replicated_table;path=\"//tmp/a/b\";recursive=%true;force=%true;attributes={dynamic="
     "%true;tablet_count=3;replication_throttler={limit=5};schema=[{name=k;type=uint64;required=%"
     "true;"
     "sort_order=ascending};{name=v;type_v3={type_name=optional;item=utf8}}]}}",
     ""},
    {"create",
     "{type=table_replica;attributes={table_path=\"//tmp/t\";cluster_name=replica;replica_path="
     "\"//tmp/z\";mode=sync;start_replication_row_indexes=[0];start_replication_timestamp=1u}}",
     ""},
    {"create", "{type=map_node;path=\"//tmp/m\";ignore_existing=%true;attributes={a=[1;2]}}", ""},
    {"get", "{path=\"//tmp/t/@tablets/0/pivot_key\";attributes=[id;type]}", ""},
    {"get", "{path=\"//tmp/t/@\";output_format=<format=pretty>yson}", ""},
    {"get", "{path=\"/\";attributes=[tablets;schema]}", ""},
    {"list", "{path=\"//tmp\";max_size=3}", ""},
    {"exists", "{path=\"#1-2-3-4/@x\"}", ""},
    {"set",
     "{path=\"//tmp/m/a/b\";recursive=%true;force=%true}",
     "{a={b=[1;2u;-3;4.5;%true;#;\"x\"]}}"},
    {"set", "{path=\"//tmp/t/@mount_config\"}", "{min_replication_log_ttl=5}"},
    {"set", "{path=\"//tmp/t/@replication_throttler\"}", "{limit=500;period=1000}"},
    {"remove", "{path=\"//tmp/m/a\";recursive=%true;force=%true}", ""},
    {"mount_table", "{path=\"//tmp/t\";first_tablet_index=0;last_tablet_index=0;freeze=%true}", ""},
    {"mount_table", "{path=\"//tmp/t\"}", ""},
    {"unmount_table", "{path=\"//tmp/t\"}", ""},
    {"freeze_table", "{path=\"//tmp/t\"}", ""},
    {"unfreeze_table", "{path=\"//tmp/t\"}", ""},
    {"remount_table", "{path=\"//tmp/t\"}", ""},
    {"reshard_table", "{path=\"//tmp/p\";pivot_keys=[[];[5];[7]]}", ""},
    {"reshard_table", "{path=\"//tmp/o\";tablet_count=4}", ""},
    {"alter_table",
     "{path=\"//tmp/p\";schema=" WORLD_SCHEMA ";upstream_replica_id=\"1-2-3-4\"}",
     ""},
    {"alter_table_replica", "{replica_id=\"0-10008-102c5-10cfd41c\";mode=async;enabled=%true}", ""},
    {"trim_rows", "{path=\"//tmp/o\";tablet_index=0;trimmed_row_count=1}", ""},
    {"insert_rows",
     "{path=\"//tmp/t\";update=%true;aggregate=%true}",
     "{key=1;value=a;sum=5};{key=2}"},
    {"insert_rows", "{path=\"//tmp/p\"}", "{key=1;value=\"\\x00\\xff\";sum=-5}"},
    {"insert_rows", "{path=\"//tmp/o\"}", "{v=[1;{a=b}];\"$tablet_index\"=0}"},
    {"insert_rows", "{path=\"//tmp/p\";input_format=json}", "{\"key\":1,\"value\":\"a\"}"},
    {"delete_rows", "{path=\"//tmp/t\";require_sync_replica=%false}", "{key=1}"},
    {"lookup_rows",
     "{path=\"//tmp/p\";column_names=[key;sum];keep_missing_rows=%true;timestamp=5u}",
     "{key=1};{key=7}"},
    {"lookup_rows", "{path=\"//tmp/t\"}", "{key=1}"},
    {"select_rows",
     "{query=\"key, sum(sum) as s from [//tmp/p] where key > 3 and value = 'a' group by key limit "
     "5\"}",
     ""},
    {"select_rows", "{query=\"* from [//tmp/t] where key in (1, 2, 3)\";output_row_limit=2}", ""},
    {"start_transaction", "{type=tablet;timeout=1000}", ""},
    {"commit_transaction", "{transaction_id=\"1-2-3-4\";mutation_id=\"1-2-3-4\"}", ""},
    {"abort_transaction", "{transaction_id=\"1-2-3-4\"}", ""},
    {"generate_timestamp", "{}", ""},
    {"get_in_sync_replicas", "{path=\"//tmp/t\";timestamp=5u;all_keys=%true}", "{key=1}"},
    {"get_tablet_infos", "{path=\"//tmp/t\";tablet_indexes=[0;0]}", ""},
    {"get_tablet_errors", "{path=\"//tmp/t\";limit=1}", ""},
};

// Pieces that matter to somebody.
static const char *const PIECES[] = {
    "#",
    "-1",
    "0",
    "18446744073709551615u",
    "9223372036854775807",
    "-9223372036854775808",
    "1e308",
    "%nan",
    "%inf",
    "%true",
    "[]",
    "{}",
    "\"\"",
    "<a=1>",
    ";",
    "=",
    "{",
    "}",
    "[",
    "]",
    "//tmp/t",
    "//tmp/o",
    "//tmp/p",
    "//tmp/r",
    "/@",
    "&",
    "\\x00",
    "#1-2-3-4",
    "int8",
    "any",
    "a",
    "\xff"};

static void mutate(struct rng *rng, char *text)
{
    size_t size = strlen(text);
    for (uint64_t i = rng_below(rng, 4); i > 0 && size > 0; i--) {
        size_t at = rng_below(rng, size);
        size_t length = MIN(rng_below(rng, 12), size - at);
        switch (rng_below(rng, 4)) {
        case 0: text[at] = (char)(1 + rng_below(rng, 255)); break;
        case 1: memmove(text + at, text + at + length, size - at - length + 1); break;
        case 2:
            if (size + length + 1 > TEXT_SIZE_MAX) break;
            memmove(text + at + length, text + at, size - at + 1); // The same again.
            break;
        default: {
            const char *piece = PIECES[rng_below(rng, sizeof PIECES / sizeof *PIECES)];
            size_t piece_size = strlen(piece);
            if (size - length + piece_size + 1 > TEXT_SIZE_MAX) break;
            memmove(text + at + piece_size, text + at + length, size - at - length + 1);
            memcpy(text + at, piece, piece_size);
            break;
        }
        }
        size = strlen(text);
    }
}

// Replaces random parts of parsed parameters, so that the rest is well formed.
static void mutate_node(struct rng *rng, struct arena *arena, struct node *node)
{
    if (rng_chance(rng, 15)) {
        const char *piece = PIECES[rng_below(rng, sizeof PIECES / sizeof *PIECES)];
        struct node *other = NULL;
        struct error *error = yson_parse(arena, slice_from_text(piece), &other);
        error_free(error);
        if (!error) *node = *other;
        return;
    }
    if (node->type != NODE_LIST && node->type != NODE_MAP) return;
    for (uint32_t i = 0; i < node->count; i++) mutate_node(rng, arena, node->entries[i].value);
}

static void make_tables(struct machine_world *world)
{
    world_replicate(world, "//tmp/t", "//tmp/r", "sync");
    const char *tables[][2] = {
        {"//tmp/p", WORLD_SCHEMA},
        {"//tmp/o", "[{name=v;type=any}]"},
    };
    for (size_t i = 0; i < 2; i++) {
        world_do(
            world,
            META,
            "create",
            world_text(
                world,
                "{type=table;path=\"%s\";attributes={dynamic=%%true;schema=%s}}",
                tables[i][0],
                tables[i][1]),
            NULL);
        world_do(
            world, META, "mount_table", world_text(world, "{path=\"%s\"}", tables[i][0]), NULL);
    }
}

static void send(struct machine_world *world, struct rng *rng)
{
    const char *const *seed = SEEDS[rng_below(rng, sizeof SEEDS / sizeof *SEEDS)];
    char parameters[TEXT_SIZE_MAX + 1];
    char input[TEXT_SIZE_MAX + 1];
    snprintf(parameters, sizeof parameters, "%s", seed[1]);
    snprintf(input, sizeof input, "%s", seed[2]);
    bool is_structural = rng_chance(rng, 50);
    if (!is_structural) mutate(rng, parameters);
    if (rng_chance(rng, 50)) mutate(rng, input);
    struct request *request = request_new(REQUEST_COMMAND);
    struct arena *arena = &request->arena;
    request->command = slice_from_text(seed[0]);
    struct error *error =
        yson_parse(arena, arena_copy(arena, slice_from_text(parameters)), &request->parameters);
    error_free(error);
    if (error) {
        request_free(request); // No face would let it through.
        return;
    }
    if (is_structural) mutate_node(rng, arena, request->parameters);
    request->input = arena_copy(arena, slice_from_text(input));
    int node = rng_chance(rng, 80) ? META : REPLICA;
    machine_tick(world->nodes[node].machine, world->now_us, world->wall_us);
    machine_request(world->nodes[node].machine, request);
    world_finish(world, request);
    arena_reset(&world->arena);
}

Test(malformed, commands_are_answered, .timeout = 300)
{
    for (uint64_t seed = 1; seed <= WORLD_COUNT; seed++) {
        struct rng rng = {.state = seed};
        struct machine_world world;
        world_init(&world, 2);
        make_tables(&world);
        for (int i = 0; i < COMMAND_COUNT; i++) send(&world, &rng);
        // What they have left is still something to start from.
        world_restart(&world, META);
        world_restart(&world, REPLICA);
        world_release(&world);
    }
}

// Rowsets as the wire brings them.
Test(malformed, rowsets_are_answered, .timeout = 300)
{
    struct machine_world world;
    world_init(&world, 1);
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/p\";attributes={dynamic=%true;schema=" WORLD_SCHEMA "}}",
        NULL);
    world_do(&world, META, "mount_table", "{path=\"//tmp/p\"}", NULL);
    // key = 1, value = "ab", sum = 5 (aggregate); key = 2.
    static const char ROWSET[] = "\x01\x03\x03key\x05value\x03sum\x02"
                                 "\x02\x03\x00\x03\x02\x01\x10\x02"
                                 "ab\x02\x83\x0a"
                                 "\x01\x01\x00\x03\x04";
    for (uint64_t seed = 0; seed < ROWSET_COUNT; seed++) {
        struct rng rng = {.state = seed};
        char bytes[sizeof ROWSET];
        memcpy(bytes, ROWSET, sizeof ROWSET);
        size_t size = sizeof ROWSET - 1;
        for (uint64_t i = seed == 0 ? 0 : 1 + rng_below(&rng, 3); i > 0; i--) {
            bytes[rng_below(&rng, size)] = (char)rng_next(&rng);
            if (rng_chance(&rng, 10)) size = 1 + rng_below(&rng, size);
        }
        enum request_kind kinds[] = {REQUEST_COMMIT, REQUEST_LOOKUP};
        struct request *request = request_new(kinds[rng_below(&rng, 2)]);
        if (seed == 0) request->kind = REQUEST_COMMIT;
        struct modification *modification = ARENA_NEW(&request->arena, struct modification, 1);
        modification->path = SLICE_OF("//tmp/p");
        modification->rows = arena_copy(&request->arena, slice_from(bytes, size));
        modification->is_update = seed > 0 && rng_chance(&rng, 50);
        modification->is_delete = seed > 0 && rng_chance(&rng, 20);
        request->modifications = modification;
        request->modification_count = 1;
        request->path = modification->path;
        request->rows = modification->rows;
        machine_request(world.nodes[META].machine, request);
        world_finish(&world, request);
        cr_assert(seed > 0 || !world.error);
        arena_reset(&world.arena);
    }
    world_do(&world, META, "select_rows", "{query=\"* from [//tmp/p]\"}", NULL);
    world_release(&world);
}
