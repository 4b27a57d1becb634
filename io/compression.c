#include "io/compression.h"

#include "base/coding.h"

#include <brotli/decode.h>
#include <ctype.h>
#include <lz4.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

enum {
    PIECE_SIZE = 64 << 10,     // Of what is decoded at a time.
    WINDOW_BITS_ANY = 15 + 32, // zlib or gzip, as the stream itself says.
    WINDOW_BITS_GZIP = 15 + 16,
    GZIP_LEVEL = 1, // Most clients are near.
    BLOCK_HEAD_SIZE = 10,
    RAW_SIZE_SIZE = 8,
    RAW_BLOCK_SIZE_MAX = 1 << 20, // Of those that we make.
    PACKED_BLOCK_SIZE_MIN = 256,  // Smaller ones are not worth compressing.
};

enum block_codec {
    BLOCK_NULL = 54476,
    BLOCK_ZSTD_1 = 55019,
    BLOCK_ZSTD_3 = 23308,
    BLOCK_ZSTD_7 = 33533,
    BLOCK_SNAPPY = 50986,
    BLOCK_LZ4_FAST = 6051,
    BLOCK_LZ4_HC = 62852
};

struct decoder {
    enum { DECODE_IDENTITY, DECODE_ZLIB, DECODE_BROTLI, DECODE_BLOCKS } kind;
    decoder_sink *sink;
    void *context; // Borrowed.
    bool has_input;
    bool is_done; // The stream has said that it ends.
    z_stream zlib;
    BrotliDecoderState *brotli;
    struct buffer block; // What has come of a block.
};

// What is accepted and answered as block codecs.
struct block_encoding {
    const char *name;
    enum block_codec codec;
    int zstd_level;
};

static const struct block_encoding BLOCK_ENCODINGS[] = {
    {"z-zstd_1", BLOCK_ZSTD_1, 1},
    {"z-zstd_3", BLOCK_ZSTD_3, 3},
    {"z-zstd_7", BLOCK_ZSTD_7, 7},
    {"z-zstd08_1", BLOCK_ZSTD_1, 1},
    {"z-zstd08_3", BLOCK_ZSTD_3, 3},
    {"z-zstd08_7", BLOCK_ZSTD_7, 7},
    {"z-snappy", BLOCK_SNAPPY, 0},
    {"z-lz4", BLOCK_LZ4_FAST, 0},
    {"z-lz4-fast14-safe", BLOCK_LZ4_FAST, 0},
    {"z-lz4-hc-safe", BLOCK_LZ4_HC, 0},
    {"z-null", BLOCK_NULL, 0},
};

static const struct block_encoding *find_block_encoding(struct slice name)
{
    for (size_t i = 0; i < sizeof BLOCK_ENCODINGS / sizeof *BLOCK_ENCODINGS; i++) {
        if (slice_equal_text(name, BLOCK_ENCODINGS[i].name)) return &BLOCK_ENCODINGS[i];
    }
    return NULL;
}

// -------------------------------------------------------------------------------------------------
// Decoding

struct error *decoder_new(
    struct slice encoding, decoder_sink *sink, void *context, struct decoder **ret_decoder)
{
    struct decoder *decoder = must_alloc(calloc(1, sizeof *decoder));
    decoder->sink = sink;
    decoder->context = context;
    *ret_decoder = decoder;
    if (encoding.size == 0 || slice_equal_text(encoding, "identity")) return NULL;
    if (slice_equal_text(encoding, "gzip") || slice_equal_text(encoding, "deflate")) {
        if (inflateInit2(&decoder->zlib, WINDOW_BITS_ANY) != Z_OK) abort();
        decoder->kind = DECODE_ZLIB;
        return NULL;
    }
    if (slice_equal_text(encoding, "br")) {
        decoder->brotli = must_alloc(BrotliDecoderCreateInstance(NULL, NULL, NULL));
        decoder->kind = DECODE_BROTLI;
        return NULL;
    }
    if (find_block_encoding(encoding)) {
        buffer_init(&decoder->block, COMPRESSION_BLOCK_SIZE_MAX + BLOCK_HEAD_SIZE);
        decoder->kind = DECODE_BLOCKS;
        return NULL;
    }
    free(decoder);
    *ret_decoder = NULL;
    return error_new(
        ERROR_GENERIC,
        "Unsupported Content-Encoding \"%.*s\"",
        (int)MIN(encoding.size, (size_t)64),
        encoding.data);
}

void decoder_free(struct decoder *decoder)
{
    if (!decoder) return;
    if (decoder->kind == DECODE_ZLIB) (void)inflateEnd(&decoder->zlib);
    if (decoder->brotli) BrotliDecoderDestroyInstance(decoder->brotli);
    buffer_release(&decoder->block);
    free(decoder);
}

static struct error *malformed(void)
{
    return error_new(ERROR_GENERIC, "Compressed body is malformed");
}

static struct error *behind_end(void)
{
    return error_new(ERROR_GENERIC, "Compressed body goes on behind its end");
}

static struct error *feed_zlib(struct decoder *decoder, struct slice piece)
{
    uint8_t raw[PIECE_SIZE];
    z_stream *zlib = &decoder->zlib;
    zlib->next_in = (Bytef *)(uintptr_t)piece.data; // It does not write to it.
    zlib->avail_in = (uInt)piece.size;
    do {
        if (decoder->is_done) return behind_end();
        zlib->next_out = raw;
        zlib->avail_out = sizeof raw;
        int code = inflate(zlib, Z_NO_FLUSH);
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) return malformed();
        decoder->is_done = code == Z_STREAM_END;
        size_t size = sizeof raw - zlib->avail_out;
        if (size > 0) TRY(decoder->sink(decoder->context, slice_from(raw, size)));
    } while (zlib->avail_in > 0 || (zlib->avail_out == 0 && !decoder->is_done));
    return NULL;
}

static struct error *feed_brotli(struct decoder *decoder, struct slice piece)
{
    uint8_t raw[PIECE_SIZE];
    const uint8_t *in = (const uint8_t *)piece.data;
    size_t in_size = piece.size;
    for (;;) {
        if (decoder->is_done) return in_size > 0 ? behind_end() : NULL;
        uint8_t *out = raw;
        size_t out_size = sizeof raw;
        BrotliDecoderResult result =
            BrotliDecoderDecompressStream(decoder->brotli, &in_size, &in, &out_size, &out, NULL);
        if (result == BROTLI_DECODER_RESULT_ERROR) return malformed();
        decoder->is_done = result == BROTLI_DECODER_RESULT_SUCCESS;
        size_t size = sizeof raw - out_size;
        if (size > 0) TRY(decoder->sink(decoder->context, slice_from(raw, size)));
        if (result == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT) return NULL;
    }
}

static struct error *check_block(uint64_t size)
{
    if (size <= COMPRESSION_BLOCK_SIZE_MAX) return NULL;
    struct error *error = error_new(ERROR_GENERIC, "A block of the compressed body is too large");
    error_set_u64(error, "size", size);
    return error_set_u64(error, "size_max", COMPRESSION_BLOCK_SIZE_MAX);
}

static bool decompress(enum block_codec codec, struct slice block, char *raw, size_t raw_size)
{
    switch (codec) {
    case BLOCK_ZSTD_1:
    case BLOCK_ZSTD_3:
    case BLOCK_ZSTD_7: return ZSTD_decompress(raw, raw_size, block.data, block.size) == raw_size;
    case BLOCK_LZ4_FAST:
    case BLOCK_LZ4_HC:
        return LZ4_decompress_safe(block.data, raw, (int)block.size, (int)raw_size) ==
               (int)raw_size;
    case BLOCK_SNAPPY: {
        size_t size = raw_size;
        return snappy_uncompress(block.data, block.size, raw, &size) == SNAPPY_OK &&
               size == raw_size;
    }
    case BLOCK_NULL: break;
    }
    return false;
}

// How many bytes a block has once decoded. Snappy says so itself; others have it in front.
static struct error *read_raw_size(
    enum block_codec codec, struct slice *block, uint64_t *ret_raw_size)
{
    switch (codec) {
    case BLOCK_NULL: *ret_raw_size = block->size; return NULL;
    case BLOCK_SNAPPY: {
        size_t size = 0;
        if (block->size == 0) {
            *ret_raw_size = 0;
            return NULL;
        }
        if (snappy_uncompressed_length(block->data, block->size, &size) != SNAPPY_OK)
            return malformed();
        *ret_raw_size = size;
        break;
    }
    case BLOCK_ZSTD_1:
    case BLOCK_ZSTD_3:
    case BLOCK_ZSTD_7:
    case BLOCK_LZ4_FAST:
    case BLOCK_LZ4_HC: {
        if (block->size == 0) {
            *ret_raw_size = 0;
            return NULL;
        }
        struct reader reader = reader_from(*block);
        *ret_raw_size = get_fixed64(&reader);
        if (reader.is_broken) return malformed();
        *block = reader.rest;
        break;
    }
    default: return error_new(ERROR_GENERIC, "A block of the body has unknown codec %d", codec);
    }
    return check_block(*ret_raw_size);
}

static struct error *decode_block(struct decoder *decoder, unsigned codec, struct slice block)
{
    uint64_t raw_size = 0;
    TRY(read_raw_size((enum block_codec)codec, &block, &raw_size));
    if (raw_size == 0) {
        decoder->is_done = true;
        return NULL;
    }
    if (codec == BLOCK_NULL) return decoder->sink(decoder->context, block);
    CLEANUP(buffer_releasep) struct buffer raw = {0};
    char *to = must_alloc(buffer_reserve(&raw, raw_size));
    if (!decompress((enum block_codec)codec, block, to, raw_size)) return malformed();
    return decoder->sink(decoder->context, slice_from(to, raw_size));
}

static struct error *feed_blocks(struct decoder *decoder, struct slice piece)
{
    buffer_append_slice(&decoder->block, piece);
    TRY(buffer_check(&decoder->block, "A block of the compressed body"));
    struct slice rest = buffer_slice(&decoder->block);
    while (rest.size >= BLOCK_HEAD_SIZE) {
        if (decoder->is_done) return behind_end();
        struct reader reader = reader_from(rest);
        unsigned codec = get_u8(&reader);
        codec |= (unsigned)get_u8(&reader) << 8;
        uint64_t size = get_fixed64(&reader);
        TRY(check_block(size));
        if (reader.rest.size < size) break;
        TRY(decode_block(decoder, codec, slice_from(reader.rest.data, size)));
        rest = slice_from(reader.rest.data + size, reader.rest.size - size);
    }
    if (decoder->is_done && rest.size > 0) return behind_end();
    if (rest.size > 0) memmove(decoder->block.data, rest.data, rest.size);
    decoder->block.size = rest.size;
    return NULL;
}

struct error *decoder_feed(struct decoder *decoder, struct slice piece)
{
    if (piece.size == 0) return NULL;
    decoder->has_input = true;
    switch (decoder->kind) {
    case DECODE_IDENTITY: return decoder->sink(decoder->context, piece);
    case DECODE_ZLIB: return feed_zlib(decoder, piece);
    case DECODE_BROTLI: return feed_brotli(decoder, piece);
    case DECODE_BLOCKS: return feed_blocks(decoder, piece);
    }
    return NULL;
}

struct error *decoder_finish(struct decoder *decoder)
{
    if (decoder->kind == DECODE_IDENTITY || decoder->is_done || !decoder->has_input) return NULL;
    return error_new(ERROR_GENERIC, "Compressed body ends too early");
}

// -------------------------------------------------------------------------------------------------
// Encoding

struct encoder {
    const struct block_encoding *block; // NULL: gzip.
    z_stream zlib;
    ZSTD_CCtx *zstd; // NULL until it is needed.
};

// The next name of a list like `br, gzip;q=0.5, identity`; those with q=0 are left out.
static bool next_name(struct slice *list, struct slice *ret_name)
{
    while (list->size > 0) {
        const char *comma = memchr(list->data, ',', list->size);
        size_t size = comma ? (size_t)(comma - list->data) : list->size;
        struct slice item = slice_from(list->data, size);
        size_t taken = comma ? size + 1 : size;
        *list = slice_from(list->data + taken, list->size - taken);
        while (item.size > 0 && isspace((unsigned char)item.data[0]))
            item = slice_from(item.data + 1, item.size - 1);
        size_t name_size = 0;
        while (name_size < item.size && item.data[name_size] != ';' &&
               !isspace((unsigned char)item.data[name_size]))
            name_size++;
        struct slice quality = slice_from(item.data + name_size, item.size - name_size);
        bool is_refused = memmem(quality.data, quality.size, "q=0", 3) &&
                          !memmem(quality.data, quality.size, "q=0.", 4);
        if (name_size == 0 || is_refused) continue;
        *ret_name = slice_from(item.data, name_size);
        return true;
    }
    return false;
}

struct encoder *encoder_new(struct slice accepted, const char **ret_encoding)
{
    const struct block_encoding *block = NULL;
    bool has_gzip = false;
    struct slice name;
    while (!block && next_name(&accepted, &name)) {
        block = find_block_encoding(name);
        if (slice_equal_text(name, "gzip")) has_gzip = true;
    }
    if (!block && !has_gzip) return NULL;
    struct encoder *encoder = must_alloc(calloc(1, sizeof *encoder));
    *ret_encoding = block ? block->name : "gzip";
    encoder->block = block;
    if (!block) {
        int code = deflateInit2(
            &encoder->zlib, GZIP_LEVEL, Z_DEFLATED, WINDOW_BITS_GZIP, 8, Z_DEFAULT_STRATEGY);
        if (code != Z_OK) abort();
    }
    return encoder;
}

void encoder_free(struct encoder *encoder)
{
    if (!encoder) return;
    if (!encoder->block) (void)deflateEnd(&encoder->zlib);
    (void)ZSTD_freeCCtx(encoder->zstd);
    free(encoder);
}

static void deflate_into(struct encoder *encoder, struct slice piece, int flush, struct buffer *to)
{
    uint8_t packed[PIECE_SIZE];
    z_stream *zlib = &encoder->zlib;
    zlib->next_in = (Bytef *)(uintptr_t)piece.data; // It does not write to it.
    zlib->avail_in = (uInt)piece.size;
    do {
        zlib->next_out = packed;
        zlib->avail_out = sizeof packed;
        (void)deflate(zlib, flush); // It fails only on misuse.
        buffer_append(to, packed, sizeof packed - zlib->avail_out);
    } while (zlib->avail_out == 0);
}

static void put_block(enum block_codec codec, struct slice content, struct buffer *to)
{
    put_u8(to, (uint8_t)(codec & 0xff));
    put_u8(to, (uint8_t)(codec >> 8));
    put_fixed64(to, content.size);
    buffer_append_slice(to, content);
}

// The most bytes that a compressed block takes, its raw size in front aside.
static size_t packed_size_max(enum block_codec codec, size_t size)
{
    switch (codec) {
    case BLOCK_NULL: return size;
    case BLOCK_ZSTD_1:
    case BLOCK_ZSTD_3:
    case BLOCK_ZSTD_7: return ZSTD_compressBound(size);
    case BLOCK_SNAPPY: return snappy_max_compressed_length(size);
    case BLOCK_LZ4_FAST:
    case BLOCK_LZ4_HC: return (size_t)LZ4_compressBound((int)size);
    }
    return size;
}

// Returns the number of bytes; 0 if it cannot be compressed.
static size_t pack(struct encoder *encoder, struct slice raw, char *to, size_t size_max)
{
    switch (encoder->block->codec) {
    case BLOCK_NULL: return 0;
    case BLOCK_ZSTD_1:
    case BLOCK_ZSTD_3:
    case BLOCK_ZSTD_7: {
        if (!encoder->zstd) encoder->zstd = must_alloc(ZSTD_createCCtx());
        int level = encoder->block->zstd_level;
        size_t size = ZSTD_compressCCtx(encoder->zstd, to, size_max, raw.data, raw.size, level);
        return ZSTD_isError(size) ? 0 : size;
    }
    case BLOCK_SNAPPY: {
        size_t size = size_max;
        return snappy_compress(raw.data, raw.size, to, &size) == SNAPPY_OK ? size : 0;
    }
    case BLOCK_LZ4_FAST:
    case BLOCK_LZ4_HC: // It reads the same.
        return (size_t)MAX(LZ4_compress_default(raw.data, to, (int)raw.size, (int)size_max), 0);
    }
    return 0;
}

// Decoders look at each block's id, so what is small, or does not become smaller, goes as it is.
static void put_raw(struct encoder *encoder, struct slice raw, struct buffer *to)
{
    enum block_codec codec = encoder->block->codec;
    if (raw.size < PACKED_BLOCK_SIZE_MIN || codec == BLOCK_NULL) {
        put_block(BLOCK_NULL, raw, to);
        return;
    }
    CLEANUP(buffer_releasep) struct buffer packed = {0};
    if (codec != BLOCK_SNAPPY) put_fixed64(&packed, raw.size); // Snappy says it itself.
    size_t size_max = packed_size_max(codec, raw.size);
    size_t size = pack(encoder, raw, must_alloc(buffer_reserve(&packed, size_max)), size_max);
    packed.size += size;
    bool is_smaller = size > 0 && packed.size < raw.size;
    put_block(is_smaller ? codec : BLOCK_NULL, is_smaller ? buffer_slice(&packed) : raw, to);
}

void encoder_feed(struct encoder *encoder, struct slice piece, struct buffer *output)
{
    if (piece.size == 0) return; // An empty block would be the end.
    if (!encoder->block) {
        deflate_into(encoder, piece, Z_NO_FLUSH, output);
        return;
    }
    while (piece.size > 0) {
        size_t size = MIN(piece.size, (size_t)RAW_BLOCK_SIZE_MAX);
        put_raw(encoder, slice_from(piece.data, size), output);
        piece = slice_from(piece.data + size, piece.size - size);
    }
}

void encoder_finish(struct encoder *encoder, struct buffer *output)
{
    if (encoder->block) {
        put_block(BLOCK_NULL, slice_from("", 0), output);
    } else {
        deflate_into(encoder, slice_from("", 0), Z_FINISH, output);
    }
}

bool encoder_is_required(const struct encoder *encoder)
{
    return encoder->block != NULL;
}
