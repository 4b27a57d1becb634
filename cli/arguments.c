#include "cli/arguments.h"

#include "base/buffer.h"
#include "model/yson.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

struct parser {
    struct arena *arena;
    char **words;
    int word_count;
    int next; // The word to be read.
    bool are_options_over;
    struct invocation *invocation;
    // Positional options that have been given, by either way.
    bool is_given[COMMAND_OPTION_COUNT_MAX];
};

// The parameter that an option sets.
static const char *parameter_name(struct arena *arena, const struct option *option)
{
    if (option->parameter) return option->parameter;
    char *name = arena_print(arena, "%s", option->name);
    for (char *p = name; *p; p++) {
        if (*p == '-') *p = '_';
    }
    return name;
}

static struct error *parse_int(struct parser *parser, const char *text, struct node **ret_node)
{
    assert(text);
    errno = 0;
    char *end = NULL;
    if (text[0] == '-') {
        int64_t number = strtoll(text, &end, 10);
        *ret_node = node_int64(parser->arena, number);
    } else {
        // Timestamps do not mind; numbers above the signed ones have to be unsigned.
        uint64_t number = strtoull(text, &end, 10);
        *ret_node = number <= INT64_MAX ? node_int64(parser->arena, (int64_t)number)
                                        : node_uint64(parser->arena, number);
    }
    if (*end == 'u') end++; // As YSON writes unsigned numbers.
    bool is_number = isdigit((unsigned char)text[text[0] == '-']) && *end == 0 && errno == 0;
    if (!is_number) return error_new(ERROR_GENERIC, "\"%s\" is not a number", text);
    return NULL;
}

static struct error *parse_value(
    struct parser *parser, const struct option *option, const char *text, struct node **ret_node)
{
    assert(text || option->kind == OPTION_TRUE || option->kind == OPTION_FALSE);
    switch (option->kind) {
    case OPTION_TRUE: *ret_node = node_boolean(parser->arena, true); return NULL;
    case OPTION_FALSE: *ret_node = node_boolean(parser->arena, false); return NULL;
    case OPTION_TIMESTAMP:
        if (isalpha((unsigned char)text[0])) {
            *ret_node = node_text(parser->arena, text);
            return NULL;
        }
        return parse_int(parser, text, ret_node);
    case OPTION_INT:
    case OPTION_INTS: return parse_int(parser, text, ret_node);
    case OPTION_YSON:
    case OPTION_YSONS:
    case OPTION_FORMAT: return yson_parse(parser->arena, slice_from_text(text), ret_node);
    case OPTION_STRING:
    case OPTION_STRINGS: *ret_node = node_text(parser->arena, text); return NULL;
    case OPTION_INPUT:
    case OPTION_WATCH:
    case OPTION_SYNC:
    case OPTION_PROXY:
    case OPTION_USER:
    case OPTION_HELP: break;
    }
    assert(false && "such an option has no value to be parsed");
    return NULL;
}

static void set_format(struct parser *parser, struct node *format)
{
    const struct command *command = parser->invocation->command;
    struct node *parameters = parser->invocation->parameters;
    bool is_of_input = command->input == INPUT_ROWS || command->input == INPUT_VALUE;
    if (is_of_input) node_set_text(parser->arena, parameters, "input_format", format);
    if (command->output != OUTPUT_NONE)
        node_set_text(parser->arena, parameters, "output_format", format);
}

// Takes in an option with its value (NULL if it has none).
static struct error *apply(struct parser *parser, const struct option *option, const char *text)
{
    assert(option_has_value(option) == (text != NULL));
    struct invocation *invocation = parser->invocation;
    if (option->kind == OPTION_HELP) invocation->wants_help = true;
    if (option->kind == OPTION_SYNC) invocation->wants_sync = true;
    if (option->kind == OPTION_WATCH) invocation->wants_watch = true;
    if (option->kind == OPTION_PROXY) invocation->proxy = text;
    if (option->kind == OPTION_USER) invocation->user = text;
    if (option->kind == OPTION_INPUT) {
        assert(text);
        invocation->input = slice_from_text(text);
        invocation->has_input = true;
    }
    if (option->kind == OPTION_HELP || option->kind == OPTION_SYNC ||
        option->kind == OPTION_WATCH || option->kind == OPTION_PROXY ||
        option->kind == OPTION_USER || option->kind == OPTION_INPUT)
        return NULL;
    bool is_table = option->kind == OPTION_FORMAT && text && strcmp(text, "table") == 0;
    if (is_table && invocation->command->output == OUTPUT_TABLE) return NULL; // Made here.

    struct node *value = NULL;
    struct error *error = parse_value(parser, option, text, &value);
    if (error)
        return error_wrap(error, ERROR_GENERIC, "Wrong value of --%s: %s", option->name, text);
    if (option->kind == OPTION_FORMAT) {
        invocation->has_format = true;
        set_format(parser, value);
        return NULL;
    }
    const char *parameter = parameter_name(parser->arena, option);
    if (option->kind == OPTION_STRINGS || option->kind == OPTION_INTS ||
        option->kind == OPTION_YSONS) {
        struct node *list = node_find_text(invocation->parameters, parameter);
        if (!list) {
            list = node_list(parser->arena);
            node_set_text(parser->arena, invocation->parameters, parameter, list);
        }
        node_add(parser->arena, list, value);
        return NULL;
    }
    node_set_text(parser->arena, invocation->parameters, parameter, value);
    return NULL;
}

// Whether `name` is a beginning of the option's name.
static bool is_beginning(const struct option *option, const char *name, size_t size)
{
    if (strlen(option->name) < size) return false;
    char full[100];
    assert(size < sizeof full);
    memcpy(full, option->name, size);
    full[size] = 0;
    return name_equal(full, name, size);
}

struct candidates {
    const struct option *exact;
    const struct option *last;
    int count;
    struct buffer names;
};

static void collect(
    const struct option *options, const char *name, size_t size, struct candidates *candidates)
{
    for (const struct option *option = options; option->name; option++) {
        if (!is_beginning(option, name, size)) continue;
        if (strlen(option->name) == size) candidates->exact = option;
        candidates->last = option;
        candidates->count++;
        buffer_print(&candidates->names, " --%s", option->name);
    }
}

static struct error *find_long(
    const struct command *command, const char *name, size_t size, const struct option **ret_option)
{
    if (size >= 100) return error_new(ERROR_GENERIC, "No such option");
    struct candidates candidates = {0};
    if (command) collect(command->options, name, size, &candidates);
    collect(GLOBAL_OPTIONS, name, size, &candidates);
    CLEANUP(buffer_releasep) struct buffer names = candidates.names;
    if (candidates.exact || candidates.count == 1) {
        *ret_option = candidates.exact ? candidates.exact : candidates.last;
        return NULL;
    }
    if (candidates.count == 0)
        return error_new(ERROR_GENERIC, "No such option: --%.*s", (int)size, name);
    return error_new(
        ERROR_GENERIC,
        "Option --%.*s may be any of%.*s",
        (int)size,
        name,
        SLICE(buffer_slice(&names)));
}

static const struct option *find_letter(const struct command *command, char letter)
{
    for (const struct option *option = GLOBAL_OPTIONS; option->name; option++) {
        if (option->letter == letter) return option;
    }
    for (const struct option *option = command ? command->options : NULL; option && option->name;
         option++) {
        if (option->letter == letter) return option;
    }
    return NULL;
}

static void mark_given(struct parser *parser, const struct option *option)
{
    const struct command *command = parser->invocation->command;
    if (!command) return;
    for (size_t i = 0; i < COMMAND_OPTION_COUNT_MAX; i++) {
        if (&command->options[i] == option) parser->is_given[i] = true;
    }
}

static bool is_option(const struct parser *parser, const char *word)
{
    return !parser->are_options_over && word[0] == '-' && word[1] != 0 &&
           !isdigit((unsigned char)word[1]);
}

static struct error *parse_long(struct parser *parser, const char *word)
{
    const char *name = word + 2;
    const char *equals = strchr(name, '=');
    size_t size = equals ? (size_t)(equals - name) : strlen(name);
    const struct option *option = NULL;
    TRY(find_long(parser->invocation->command, name, size, &option));
    assert(option);
    mark_given(parser, option);
    if (!option_has_value(option)) {
        if (equals) return error_new(ERROR_GENERIC, "Option --%s has no value", option->name);
        return apply(parser, option, NULL);
    }
    if (equals) return apply(parser, option, equals + 1);
    if (parser->next == parser->word_count)
        return error_new(ERROR_GENERIC, "Option --%s needs a value", option->name);
    TRY(apply(parser, option, parser->words[parser->next++]));

    bool takes_many = option->kind == OPTION_INTS || option->kind == OPTION_YSONS;
    while (takes_many && parser->next < parser->word_count &&
           !is_option(parser, parser->words[parser->next]))
        TRY(apply(parser, option, parser->words[parser->next++]));
    return NULL;
}

static struct error *parse_letters(struct parser *parser, const char *word)
{
    for (const char *letter = word + 1; *letter; letter++) {
        const struct option *option = find_letter(parser->invocation->command, *letter);
        if (!option) return error_new(ERROR_GENERIC, "No such option: -%c", *letter);
        assert(!option_has_value(option)); // The table has no such letters.
        TRY(apply(parser, option, NULL));
    }
    return NULL;
}

static struct error *parse_positional(struct parser *parser, const char *word)
{
    const struct command *command = parser->invocation->command;
    for (size_t i = 0; i < COMMAND_OPTION_COUNT_MAX && command->options[i].name; i++) {
        const struct option *option = &command->options[i];
        if (option->place == PLACE_NOWHERE || parser->is_given[i]) continue;
        parser->is_given[i] = option->kind != OPTION_YSONS; // Which takes all that follow.
        return apply(parser, option, word);
    }
    return error_new(ERROR_GENERIC, "Unexpected argument: %s", word);
}

static struct error *parse_command_name(struct parser *parser, const char *word)
{
    const struct command *command = command_find(word);
    if (!command && parser->next < parser->word_count) { // Perhaps one of two words.
        command =
            command_find(arena_print(parser->arena, "%s %s", word, parser->words[parser->next]));
        if (command) parser->next++;
    }
    if (!command) return error_new(ERROR_GENERIC, "No such command: %s", word);
    parser->invocation->command = command;
    if (command->fixed_parameters) {
        struct slice fixed = slice_from_text(command->fixed_parameters);
        struct node *options = parser->invocation->parameters; // Given before the command.
        TRY(yson_parse(parser->arena, fixed, &parser->invocation->parameters));
        for (uint32_t i = 0; i < options->count; i++) {
            struct node_entry *entry = &options->entries[i];
            node_set(parser->arena, parser->invocation->parameters, entry->key, entry->value);
        }
    }
    if (command->default_format) {
        struct node *format = NULL;
        TRY(yson_parse(parser->arena, slice_from_text(command->default_format), &format));
        set_format(parser, format);
    }
    return NULL;
}

static struct error *check_complete(const struct parser *parser)
{
    const struct command *command = parser->invocation->command;
    if (parser->invocation->wants_help) return NULL;
    if (!command) return error_new(ERROR_GENERIC, "No command is given");
    for (size_t i = 0; i < COMMAND_OPTION_COUNT_MAX && command->options[i].name; i++) {
        if (command->options[i].place == PLACE_REQUIRED && !parser->is_given[i])
            return error_new(ERROR_GENERIC, "Argument %s is missing", command->options[i].name);
    }
    return NULL;
}

struct error *arguments_parse(
    struct arena *arena, int word_count, char **words, struct invocation *ret_invocation)
{
    *ret_invocation = (struct invocation){.parameters = node_map(arena)};
    struct parser parser = {
        .arena = arena,
        .words = words,
        .word_count = word_count,
        .invocation = ret_invocation,
    };
    while (parser.next < word_count) {
        const char *word = words[parser.next++];
        if (!parser.are_options_over && strcmp(word, "--") == 0) {
            parser.are_options_over = true;
        } else if (!is_option(&parser, word)) {
            TRY(ret_invocation->command ? parse_positional(&parser, word)
                                        : parse_command_name(&parser, word));
        } else if (word[1] == '-') {
            TRY(parse_long(&parser, word));
        } else {
            TRY(parse_letters(&parser, word));
        }
    }
    return check_complete(&parser);
}
