// Options of tables that are kept among users' attributes: their checks, and the defaults that are
// shown where nothing is set. Those that tablets take when they are mounted: core/table_settings.h.
#include "cluster/commands/commands.h"

#include "model/yson.h"

enum kind { CHOICE, BOOLEAN, OTHER };

static const struct option {
    const char *name;
    const char *default_value; // Text YSON; of a CHOICE the only one that a replicated table has.
    enum kind kind;
    const char *choices[3];
    const char *change; // What it is called to set it, if that needs unmounted tablets.
    bool is_of_ordered; // Sorted tables do not have it.
} OPTIONS[] = {
    {.name = "atomicity",
     .default_value = "full",
     .kind = CHOICE,
     .choices = {"full", "none"},
     .change = "change table atomicity mode"},
    {.name = "commit_ordering",
     .default_value = "strong",
     .kind = CHOICE,
     .choices = {"strong", "weak"},
     .change = "change table commit ordering mode",
     .is_of_ordered = true},
    {.name = "in_memory_mode",
     .default_value = "none",
     .kind = CHOICE,
     .choices = {"none", "compressed", "uncompressed"}},
    {.name = "enable_dynamic_store_read",
     .default_value = "%true",
     .kind = BOOLEAN,
     .change = "change dynamic stores readability"},
    {.name = "max_data_ttl", .default_value = "1800000", .kind = OTHER},
    {.name = "max_data_versions", .default_value = "1", .kind = OTHER},
    {.name = "min_data_ttl", .default_value = "1800000", .kind = OTHER},
    {.name = "min_data_versions", .default_value = "1", .kind = OTHER},
    {.name = "mount_config", .default_value = "{}", .kind = OTHER},
};

enum {
    OPTION_COUNT = sizeof OPTIONS / sizeof *OPTIONS,
    CHOICE_COUNT = sizeof OPTIONS[0].choices / sizeof *OPTIONS[0].choices,
};

static const struct option *find(struct slice name)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (slice_equal_text(name, OPTIONS[i].name)) return &OPTIONS[i];
    }
    return NULL;
}

// What a replicated table cannot have.
static struct error *check_fixed(const struct option *option, struct slice value)
{
    if (slice_equal_text(value, option->default_value)) return NULL;
    if (slice_equal_text(slice_from_text(option->name), "in_memory_mode")) {
        return error_new(
            ERROR_GENERIC,
            "Table of type \"replicated_table\" cannot have in-memory mode \"%.*s\"",
            SLICE(value));
    }
    bool is_atomicity = slice_equal_text(slice_from_text(option->name), "atomicity");
    return error_new(
        ERROR_GENERIC,
        "Table of type \"replicated_table\" only support \"%s\" %s, cannot set it to \"%.*s\"",
        option->default_value,
        is_atomicity ? "atomicity" : "commit ordering",
        SLICE(value));
}

static struct error *check_choice(
    const struct option *option, bool is_replicated, const struct node *attributes)
{
    struct slice value = slice_from_text(option->default_value);
    TRY(node_get_string(attributes, option->name, &value));
    for (int i = 0; i < CHOICE_COUNT && option->choices[i]; i++) {
        if (!slice_equal_text(value, option->choices[i])) continue;
        return is_replicated ? check_fixed(option, value) : NULL;
    }
    return error_new(
        ERROR_GENERIC, "Attribute \"%s\" cannot be \"%.*s\"", option->name, SLICE(value));
}

struct error *table_options_check(bool is_replicated, const struct node *attributes)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &OPTIONS[i];
        bool is_on = false;
        if (option->kind == CHOICE) TRY(check_choice(option, is_replicated, attributes));
        if (option->kind == BOOLEAN) TRY(node_get_boolean(attributes, option->name, &is_on));
    }
    return NULL;
}

bool table_option_exists(struct slice name)
{
    return find(name) != NULL;
}

struct error *table_option_check_set(
    const struct table *table, struct slice name, const struct node *value)
{
    const struct option *option = find(name);
    if (table->is_replicated && option->kind == CHOICE && value->type == NODE_STRING) {
        TRY(check_fixed(option, value->string));
    }
    if (option->is_of_ordered && table_is_sorted(table)) {
        return error_new(ERROR_GENERIC, "Builtin attribute \"%s\" cannot be set", option->name);
    }
    return option->change ? table_check_unmounted(table, option->change) : NULL;
}

struct error *table_option_check_remove(const struct table *table, struct slice name)
{
    const struct option *option = find(name);
    if (option->kind == CHOICE) {
        return error_new(ERROR_GENERIC, "Builtin attribute \"%s\" cannot be removed", option->name);
    }
    return option->change ? table_check_unmounted(table, option->change) : NULL;
}

void table_options_add_defaults(
    struct arena *arena, const struct table *table, struct slice name, struct node *map)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &OPTIONS[i];
        if (name.size > 0 && !slice_equal_text(name, option->name)) continue;
        if (option->is_of_ordered && table_is_sorted(table)) continue;
        if (node_find_text(map, option->name)) continue;
        struct node *value = NULL;
        error_free(yson_parse(arena, slice_from_text(option->default_value), &value));
        node_set_text(arena, map, option->name, value);
    }
}
