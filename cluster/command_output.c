#include "cluster/command_output.h"

#include "cluster/commands/commands.h"

enum {
    PIECE_SIZE = 128 << 10,
    PLAIN_SIZE_MAX = 4 << 10, // Whole answers up to this size are not worth compressing.
};

static void open_block(struct command_output *output)
{
    const struct request *request = output->request;
    output->is_block_open = output->block_begin < request->output.size;
    if (!output->is_block_open) return;
    size_t end = arr_count(request->block_ends) > 0 ? request->block_ends[output->block]
                                                    : request->output.size;
    struct slice block =
        slice_from(request->output.data + output->block_begin, end - output->block_begin);
    output->block_begin = end;
    output->block++;
    arena_reset(&output->names);
    struct error *error = rowset_read_begin(&output->reader, &output->names, block);
    if (error) abort(); // It is ours.
}

// Formats rows into `text` until it is long enough, or there are none any more.
static struct error *format_rows(
    struct command_output *output, struct buffer *text, bool *ret_is_end)
{
    while (text->size < PIECE_SIZE) {
        if (!output->is_block_open) open_block(output);
        if (!output->is_block_open) {
            output->is_starved = output->request->source != NULL;
            *ret_is_end = !output->is_starved;
            return NULL;
        }
        struct row row;
        if (output->reader.row_count == 0) {
            output->is_block_open = false;
            continue;
        }
        arena_reset(&output->scratch);
        TRY(rowset_read_row(&output->reader, output->values, &row));
        struct rowset rowset = {
            .names = output->reader.names,
            .name_count = output->reader.name_count,
            .rows = &row,
            .row_count = 1,
        };
        TRY(format_write_rows(&output->scratch, &output->request->output_format, &rowset, text));
    }
    return NULL;
}

static struct error *format_node(struct command_output *output, struct buffer *text)
{
    struct node *node = command_result(output->request);
    return node ? format_write_node(&output->request->output_format, node, text) : NULL;
}

// Makes the next piece ready.
static struct error *fill(struct command_output *output)
{
    CLEANUP(buffer_releasep) struct buffer text = {0};
    bool is_rows = output->request->output_kind == OUTPUT_ROWSET;
    bool is_end = !is_rows;
    buffer_clear(&output->ready);
    output->sent_size = 0;
    if (!output->encoder) {
        TRY(is_rows ? format_rows(output, &output->ready, &is_end)
                    : format_node(output, &output->ready));
    } else {
        TRY(is_rows ? format_rows(output, &text, &is_end) : format_node(output, &text));
        encoder_feed(output->encoder, buffer_slice(&text), &output->ready);
        if (is_end) encoder_finish(output->encoder, &output->ready);
    }
    output->is_complete = is_end;
    return NULL;
}

struct error *command_output_begin(
    struct command_output *output,
    struct request *request,
    struct slice accepted,
    const char **ret_encoding)
{
    *ret_encoding = NULL;
    output->request = request;
    if (request->output_kind == OUTPUT_ROWSET)
        output->values = ARENA_NEW(&request->arena, struct value, ROWSET_VALUE_COUNT_MAX);
    TRY(fill(output));
    const char *encoding = NULL;
    struct encoder *encoder = encoder_new(accepted, &encoding);
    bool is_small = output->is_complete && output->ready.size <= PLAIN_SIZE_MAX;
    if (!encoder || (is_small && !encoder_is_required(encoder))) {
        encoder_free(encoder);
        return NULL;
    }
    output->encoder = encoder;
    *ret_encoding = encoding;
    struct buffer plain = output->ready;
    output->ready = (struct buffer){0};
    encoder_feed(encoder, buffer_slice(&plain), &output->ready);
    if (output->is_complete) encoder_finish(encoder, &output->ready);
    buffer_release(&plain);
    return NULL;
}

struct error *command_output_next(
    struct command_output *output, size_t size_max, struct slice *ret_piece)
{
    // A piece may be kept back by the encoder as a whole.
    while (output->sent_size == output->ready.size && !output->is_complete && !output->is_starved)
        TRY(fill(output));
    size_t size = MIN(output->ready.size - output->sent_size, size_max);
    *ret_piece = slice_from(output->ready.data + output->sent_size, size);
    output->sent_size += size;
    return NULL;
}

bool command_output_is_end(const struct command_output *output)
{
    return output->is_complete && output->sent_size == output->ready.size;
}

void command_output_feed(struct command_output *output)
{
    output->is_starved = false;
    output->block = 0;
    output->block_begin = 0;
    output->is_block_open = false;
}

void command_output_release(struct command_output *output)
{
    encoder_free(TAKE(output->encoder));
    buffer_release(&output->ready);
    arena_release(&output->names);
    arena_release(&output->scratch);
}
