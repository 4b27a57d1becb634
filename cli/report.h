// What a person is told of an error, and what a script is: text on standard error, and the exit
// code.
#pragma once

#include "base/error.h"

#include <stdio.h>

enum exit_code {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,    // The cluster said no: nothing happened.
    EXIT_USAGE = 2,      // The command line is wrong.
    EXIT_NO_CONNECT = 3, // The cluster could not be reached: nothing happened.
    EXIT_UNCERTAIN = 4,  // Timed out or cut off: what happened is not known.
};

enum exit_code report_exit_code(const struct error *error);

// Prints what failed on the first line, what to do on the second, if that is known, then the code,
// then the inner errors, indented.
void report_error(const struct error *error, FILE *stream);
