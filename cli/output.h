// Prints what a command answered.
#pragma once

#include "base/error.h"
#include "base/slice.h"
#include "cli/command.h"

#include <stdio.h>

// Prints the whole answer of a command other than OUTPUT_ROWS, which is printed as it comes.
// `has_format` says that the user has chosen a format, so that the bytes are printed as they are.
MUST_USE struct error *output_print(
    const struct command *command, bool has_format, struct slice answer, FILE *stream);
