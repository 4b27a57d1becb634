// Help, made from the table of commands.
#pragma once

#include "cli/command.h"

#include <stdio.h>

// About all commands, or one.
void help_print(const struct command *command, FILE *stream);

// One line: how a command is written.
void help_print_usage(const struct command *command, FILE *stream);
