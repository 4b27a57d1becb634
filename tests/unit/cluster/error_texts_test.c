// Refusals as behaviour.md's tables of errors (sections 11 and 15) have them, by code and text.
#include "machine_world.h"

TestSuite(error_texts, .fini = abort_on_leaks);

Test(error_texts, tables_11_and_15)
{
    static const struct {
        const char *command;
        const char *parameters;
        const char *input;
        int code; // 0 for any.
        const char *text;
    } ROWS[] = {
        {"create",
         "{type=replicated_table;path=\"//tmp/x\";attributes={schema=" WORLD_SCHEMA "}}",
         NULL,
         0,
         "Table of type \"replicated_table\" must be dynamic"},
        {"create",
         "{type=table_collocation;attributes={collocation_type=replication;table_ids=[]}}",
         NULL,
         0,
         "Collocated table set must be non-empty"},
        {"create",
         "{type=table_collocation;attributes={collocation_type=replication;"
         "table_paths=[\"//tmp/t\";\"//tmp/t\"]}}",
         NULL,
         0,
         "Duplicate table"},
        {"create",
         "{type=table_collocation;attributes={collocation_type=replication;table_paths=[\"//"
         "tmp\"]}}",
         NULL,
         0,
         "is expected to be a table, actual type is \"map_node\""},
        {"set",
         "{path=\"//tmp/t/@replication_collocation_id\"}",
         "\"1-2-516-4\"",
         0,
         "No such table collocation 1-2-516-4"},
        {"delete_rows",
         "{path=\"//tmp/o\"}",
         "{v=1}",
         1716,
         "Cannot perform deletes in a non-sorted table //tmp/o"},
        {"lock_rows",
         "{path=\"//tmp/o\";locks=[]}",
         "{v=1}",
         1716,
         "Cannot perform lock in a non-sorted table //tmp/o"},
    };
    struct machine_world world;
    world_init(&world, 2);
    world_replicate(&world, "//tmp/t", "//tmp/r", "async");
    world_do(
        &world,
        META,
        "create",
        "{type=table;path=\"//tmp/o\";attributes={dynamic=%true;schema=[{name=v;type=int64}]}}",
        NULL);
    world_do(&world, META, "mount_table", "{path=\"//tmp/o\"}", NULL);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        assert_refused(
            &world,
            META,
            ROWS[i].command,
            ROWS[i].parameters,
            ROWS[i].input,
            ROWS[i].code,
            ROWS[i].text);
    }
    world_release(&world);
}
