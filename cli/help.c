#include "cli/help.h"

#include <ctype.h>

enum { COLUMN_WIDTH = 34 };

// "--name VALUE", "-r, --recursive", or PATH.
static int print_option(const struct option *option, FILE *stream)
{
    int width = 0;
    if (option->place != PLACE_NOWHERE && !option->value) {
        for (const char *p = option->name; *p; p++)
            width += fprintf(stream, "%c", *p == '-' ? '_' : toupper((unsigned char)*p));
        return width;
    }
    if (option->place != PLACE_NOWHERE) return fprintf(stream, "%s", option->value);
    if (option->letter) width += fprintf(stream, "-%c, ", option->letter);
    width += fprintf(stream, "--%s", option->name);
    if (!option_has_value(option)) return width;
    width += fprintf(stream, " ");
    if (option->value) return width + fprintf(stream, "%s", option->value);
    for (const char *p = option->name; *p; p++)
        width += fprintf(stream, "%c", *p == '-' ? '_' : toupper((unsigned char)*p));
    return width;
}

static void print_options(const struct option *options, FILE *stream)
{
    for (const struct option *option = options; option->name; option++) {
        int width = 2 + fprintf(stream, "  ") - 2;
        width += print_option(option, stream);
        if (width >= COLUMN_WIDTH - 1) {
            fprintf(stream, "\n");
            width = 0;
        }
        fprintf(stream, "%*s%s\n", COLUMN_WIDTH - width, "", option->help);
    }
}

void help_print_usage(const struct command *command, FILE *stream)
{
    fprintf(stream, "Usage: retable ");
    if (!command) {
        fprintf(stream, "[--proxy NAME] COMMAND ...\n");
        return;
    }
    fprintf(stream, "%s", command->name);
    bool has_named = false;
    for (const struct option *option = command->options; option->name; option++) {
        if (option->place == PLACE_NOWHERE) {
            has_named = true;
            continue;
        }
        fprintf(stream, option->place == PLACE_OPTIONAL ? " [" : " ");
        print_option(option, stream);
        if (option->place == PLACE_OPTIONAL) fprintf(stream, "]");
    }
    fprintf(stream, "%s\n", has_named ? " [OPTION...]" : "");
}

void help_print(const struct command *command, FILE *stream)
{
    help_print_usage(command, stream);
    if (command) {
        fprintf(stream, "\n%s.\n", command->summary);
        if (command->options[0].name) fprintf(stream, "\n");
        print_options(command->options, stream);
    } else {
        fprintf(stream, "\nCommands (COMMAND --help tells more):\n");
        for (const struct command *each = COMMANDS; each->name; each++)
            fprintf(stream, "  %-*s%s\n", COLUMN_WIDTH - 2, each->name, each->summary);
    }
    fprintf(stream, "\nAlways:\n");
    print_options(GLOBAL_OPTIONS, stream);
    if (command) return;
    fprintf(
        stream,
        "\nNames of clusters are looked up in the file $RETABLE_CLUSTERS or\n"
        "~/.config/retable/clusters, which has lines `name host:port`.\n"
        "\nExit codes: 0 done, 1 refused, 2 wrong usage, 3 cannot connect,\n"
        "4 timed out or the outcome is unknown.\n");
}
