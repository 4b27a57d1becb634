// Compressed bodies: any bytes decode or are an error, in bounded memory. The first byte chooses
// the encoding, the second how the input is cut.
#include "io/compression.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct error *take(void *context, struct slice piece)
{
    size_t *total = context;
    *total += piece.size;
    return *total > 1 << 20 ? error_new(ERROR_GENERIC, "Enough") : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const ENCODINGS[] = {"gzip", "br", "z-zstd_3"};
    if (size < 2) return 0;
    struct decoder *decoder = NULL;
    size_t total = 0;
    struct error *error =
        decoder_new(slice_from_text(ENCODINGS[data[0] % 3]), take, &total, &decoder);
    size_t piece_size = data[1] + UINT64_C(1);
    for (size_t i = 2; i < size && !error; i += piece_size)
        error = decoder_feed(decoder, slice_from(data + i, MIN(piece_size, size - i)));
    if (!error) error = decoder_finish(decoder);
    error_free(error);
    decoder_free(decoder);
    return 0;
}
