// What commands there are and what they take: one table, from which parsing, help and parameters
// are made. There is no code for a single command.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum option_kind {
    OPTION_TRUE,      // No value; the parameter is %true.
    OPTION_FALSE,     // Likewise %false.
    OPTION_STRING,    // A value.
    OPTION_INT,       // A decimal number.
    OPTION_TIMESTAMP, // A number, or a word such as last_consistent.
    OPTION_YSON,      // A value in YSON.
    OPTION_STRINGS,   // A value; repeated, they make a list.
    OPTION_INTS,      // One or more numbers, which make a list.
    OPTION_YSONS,     // Likewise values in YSON.
    OPTION_FORMAT,    // The format of input, output or both: parameters of their own.
    OPTION_INPUT,     // The value is the command's input.
    OPTION_WATCH,     // No value, no parameter: print again and again until interrupted.
    OPTION_SYNC,      // No value, no parameter: wait until the tablets are where they were sent.
    OPTION_PROXY,     // Where to connect.
    OPTION_USER,      // As whom.
    OPTION_HELP,
};

// Where an option may stand without its name.
enum option_place { PLACE_NOWHERE, PLACE_REQUIRED, PLACE_OPTIONAL };

struct option {
    const char *name; // With dashes.
    char letter;      // 0 if it has none.
    enum option_kind kind;
    const char *parameter; // NULL for the name, with underscores.
    const char *value;     // What help calls the value; NULL for the name in upper case.
    const char *help;
    enum option_place place;
};

enum input_kind {
    INPUT_NONE,
    INPUT_VALUE, // The option of kind OPTION_INPUT, or else standard input.
    INPUT_ROWS,  // Standard input.
    INPUT_KEYS,  // Standard input, unless parameter all_keys is set.
};

enum output_kind {
    OUTPUT_NONE,       // Nothing is printed.
    OUTPUT_ROWS,       // As received.
    OUTPUT_STRUCTURED, // As received, pretty YSON by default, with a newline at the end.
    OUTPUT_SCALAR,     // A value as plain text: an id, a number, true.
    OUTPUT_NAMES,      // A list, sorted, an item a line; structured if there is a format.
    OUTPUT_TABLE,      // Lines with the command's columns; structured if there is a format.
};

enum { COMMAND_OPTION_COUNT_MAX = 24 };

struct command {
    const char *name;    // With dashes, as it is typed; of one word or two.
    const char *execute; // What the server calls it; NULL for the name with underscores.
    const char *summary;
    enum input_kind input;
    enum output_kind output;
    const char *default_format; // Of OPTION_FORMAT; a YSON string with attributes.
    // The state that --sync waits for, and instead of it with parameter `freeze`; NULL if there is
    // none.
    const char *state;
    const char *frozen_state;
    const char *fixed_parameters; // A YSON map, sent always; NULL if there are none.
    const char *fixed_input;      // Sent always; NULL if there is none.
    // Of OUTPUT_TABLE: keys of the answer's maps, separated by spaces. A map that has a list of
    // maps stands for as many lines, in which the inner map's values come first.
    const char *columns;
    struct option options[COMMAND_OPTION_COUNT_MAX]; // Ends with one without a name.
};

extern const struct command COMMANDS[]; // Ends with one without a name.

// Options that every command takes.
extern const struct option GLOBAL_OPTIONS[]; // Likewise.

// Finds a command by its name, dashes and underscores alike; NULL if there is none.
const struct command *command_find(const char *name);

// Whether an option takes a value.
bool option_has_value(const struct option *option);

// Compares names, dashes and underscores alike, of which `name` has `size` bytes: 0 if they are
// equal.
bool name_equal(const char *full_name, const char *name, size_t size);
