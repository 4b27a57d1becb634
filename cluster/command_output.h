// The answer to a command as bytes for its client: formatted and compressed piece by piece, so that
// rows take no more memory than a piece of their text.
#pragma once

#include "cluster/core/request.h"
#include "io/compression.h"
#include "model/rowset.h"

struct command_output {
    struct request *request; // Answered without an error. Borrowed.
    struct encoder *encoder; // NULL for identity. Owned.
    struct buffer ready;     // To be sent.
    size_t sent_size;        // Of it.
    bool is_complete;        // Everything is in `ready`.
    bool is_starved;         // The request's output is used up, and there is more: see below.
    // Rows: where in the request's output we are.
    size_t block;
    size_t block_begin;
    bool is_block_open;
    struct rowset_reader reader;
    struct value *values;
    struct arena names;   // Of one block.
    struct arena scratch; // Of one row.
};

// `accepted` is the value of Accept-Encoding, empty for identity. Makes the first piece;
// `*ret_encoding` is the Content-Encoding then, or NULL.
MUST_USE struct error *command_output_begin(
    struct command_output *output,
    struct request *request,
    struct slice accepted,
    const char **ret_encoding);

// The next bytes, at most `size_max`, borrowed until the next call. None at the end, or if it is
// starved: then the request's next part is to be got, and command_output_feed called.
MUST_USE struct error *command_output_next(
    struct command_output *output, size_t size_max, struct slice *ret_piece);

// Whether command_output_next has given everything.
bool command_output_is_end(const struct command_output *output);

void command_output_feed(struct command_output *output);

void command_output_release(struct command_output *output);
