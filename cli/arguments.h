// Turns the words of a command line into a command and its parameters, by the table in command.h.
//
// Long options may be shortened as long as it is clear which one is meant; an exact name always
// wins. Dashes and underscores are alike. Values follow as the next word or after `=`; options
// without values may be joined (-rf). What may stand without its name may also be given with it.
// After `--` nothing is an option.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "cli/command.h"
#include "model/node.h"

struct invocation {
    const struct command *command; // NULL: only help is wanted.
    bool wants_help;
    const char *proxy; // Borrowed from the words; NULL if it is not given.
    const char *user;  // The same.
    bool wants_sync;
    bool wants_watch;
    bool has_format;
    struct node *parameters; // A map, formats included.
    struct slice input;      // Of OPTION_INPUT; borrowed from the words.
    bool has_input;
};

// Parses `words`, which do not include the program's name; they must outlive the result. An error
// is about how the words were used.
MUST_USE struct error *arguments_parse(
    struct arena *arena, int word_count, char **words, struct invocation *ret_invocation);
