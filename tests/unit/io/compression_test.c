#include "io/compression.h"

#include "base/coding.h"
#include "base/rng.h"
#include "tests/test.h"

#include <brotli/encode.h>
#include <lz4.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

enum { TEXT_SIZE = 300000 };

TestSuite(compression, .fini = abort_on_leaks);

static struct error *collect(void *context, struct slice piece)
{
    buffer_append_slice(context, piece);
    return buffer_check(context, "Decoded");
}

// Half noise, half repetition.
static void make_text(struct buffer *text)
{
    struct rng rng = {.state = 1};
    while (text->size < TEXT_SIZE) {
        uint64_t number = rng_next(&rng);
        if (rng_below(&rng, 2)) number = 0;
        put_fixed64(text, number);
    }
}

static struct error *decode(
    const char *encoding, struct slice packed, size_t piece_size, struct buffer *raw)
{
    struct decoder *decoder = NULL;
    TRY(decoder_new(slice_from_text(encoding), collect, raw, &decoder));
    struct error *error = NULL;
    for (size_t i = 0; i < packed.size && !error; i += piece_size) {
        size_t size = MIN(piece_size, packed.size - i);
        error = decoder_feed(decoder, slice_from(packed.data + i, size));
    }
    if (!error) error = decoder_finish(decoder);
    decoder_free(decoder);
    return error;
}

static void assert_decoded(const char *encoding, const struct buffer *packed)
{
    static const size_t PIECE_SIZES[] = {1, 7, 1000, 32 << 10, 1 << 20};
    CLEANUP(buffer_releasep) struct buffer text = {0};
    make_text(&text);
    for (size_t i = 0; i < sizeof PIECE_SIZES / sizeof *PIECE_SIZES; i++) {
        CLEANUP(buffer_releasep) struct buffer raw = {0};
        assert_ok(decode(encoding, buffer_slice(packed), PIECE_SIZES[i], &raw));
        cr_assert(slice_equal(buffer_slice(&raw), buffer_slice(&text)));
    }
    // Cut short anywhere, it is an error and nothing worse.
    for (size_t size = 1; size < packed->size; size += 1 + packed->size / 50) {
        CLEANUP(buffer_releasep) struct buffer raw = {0};
        CLEANUP(error_freep)
        struct error *error = decode(encoding, slice_from(packed->data, size), 4096, &raw);
        cr_assert(error != NULL);
    }
    CLEANUP(buffer_releasep) struct buffer raw = {0};
    CLEANUP(buffer_releasep) struct buffer longer = {0};
    buffer_append_slice(&longer, buffer_slice(packed));
    buffer_append_text(&longer, "and more behind its end");
    CLEANUP(error_freep)
    struct error *error = decode(encoding, buffer_slice(&longer), 1 << 20, &raw);
    cr_assert(error != NULL);
}

Test(compression, takes_zlib_and_gzip_under_either_name)
{
    CLEANUP(buffer_releasep) struct buffer text = {0};
    make_text(&text);
    for (int window_bits = 15; window_bits <= 31; window_bits += 16) {
        CLEANUP(buffer_releasep) struct buffer packed = {0};
        z_stream zlib = {0};
        deflateInit2(&zlib, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
        zlib.next_in = (Bytef *)text.data;
        zlib.avail_in = (uInt)text.size;
        zlib.next_out = (Bytef *)buffer_reserve(&packed, TEXT_SIZE * 2);
        zlib.avail_out = TEXT_SIZE * 2;
        cr_assert(eq(int, deflate(&zlib, Z_FINISH), Z_STREAM_END));
        packed.size = TEXT_SIZE * 2 - zlib.avail_out;
        deflateEnd(&zlib);
        assert_decoded("gzip", &packed);
        assert_decoded("deflate", &packed);
    }
}

Test(compression, takes_brotli)
{
    CLEANUP(buffer_releasep) struct buffer text = {0};
    CLEANUP(buffer_releasep) struct buffer packed = {0};
    make_text(&text);
    size_t size = TEXT_SIZE * 2;
    uint8_t *to = (uint8_t *)buffer_reserve(&packed, size);
    cr_assert(BrotliEncoderCompress(
        3, 22, BROTLI_MODE_GENERIC, text.size, (const uint8_t *)text.data, &size, to));
    packed.size = size;
    assert_decoded("br", &packed);
}

static void put_block(struct buffer *to, unsigned codec, struct slice raw)
{
    CLEANUP(buffer_releasep) struct buffer packed = {0};
    char *room = buffer_reserve(&packed, raw.size * 2 + 1000);
    if (codec != 54476 && codec != 50986 && raw.size > 0) {
        put_fixed64(&packed, raw.size);
        room = buffer_reserve(&packed, raw.size * 2 + 1000);
    }
    size_t size = raw.size * 2 + 900;
    if (raw.size == 0) {
        size = 0;
    } else if (codec == 54476) {
        memcpy(room, raw.data, raw.size);
        size = raw.size;
    } else if (codec == 50986) {
        snappy_compress(raw.data, raw.size, room, &size);
    } else if (codec == 6051) {
        size = (size_t)LZ4_compress_default(raw.data, room, (int)raw.size, (int)size);
    } else {
        size = ZSTD_compress(room, size, raw.data, raw.size, 3);
    }
    packed.size += size;
    put_u8(to, (uint8_t)codec);
    put_u8(to, (uint8_t)(codec >> 8));
    put_fixed64(to, packed.size);
    buffer_append_slice(to, buffer_slice(&packed));
}

Test(compression, takes_the_block_codecs)
{
    static const unsigned CODECS[] = {54476, 23308, 50986, 6051};
    CLEANUP(buffer_releasep) struct buffer text = {0};
    make_text(&text);
    for (size_t i = 0; i < sizeof CODECS / sizeof *CODECS; i++) {
        CLEANUP(buffer_releasep) struct buffer packed = {0};
        for (size_t at = 0; at < text.size; at += 32768) {
            size_t size = MIN(text.size - at, (size_t)32768);
            put_block(&packed, CODECS[i], slice_from(text.data + at, size));
        }
        put_block(&packed, CODECS[i], slice_from("", 0));
        assert_decoded("z-zstd_3", &packed);
    }
}

Test(compression, refuses_blocks_that_are_too_large)
{
    CLEANUP(buffer_releasep) struct buffer packed = {0};
    CLEANUP(buffer_releasep) struct buffer raw = {0};
    put_u8(&packed, 23308 & 0xff);
    put_u8(&packed, 23308 >> 8);
    put_fixed64(&packed, 20);
    put_fixed64(&packed, UINT64_C(1) << 40);
    buffer_append_text(&packed, "twelve bytes");
    CLEANUP(error_freep)
    struct error *error = decode("z-zstd_3", buffer_slice(&packed), 1000, &raw);
    cr_assert(error != NULL);
    assert_text(error_message(error), "A block of the compressed body is too large");
}

Test(compression, stops_when_the_sink_has_enough)
{
    // A bomb: 100 MB of zeros in 100 KB.
    CLEANUP(buffer_releasep) struct buffer packed = {0};
    const char *encoding = NULL;
    struct encoder *encoder = encoder_new(SLICE_OF("gzip"), &encoding);
    CLEANUP(buffer_releasep) struct buffer zeros = {0};
    memset(buffer_reserve(&zeros, 1 << 20), 0, 1 << 20);
    zeros.size = 1 << 20;
    for (int i = 0; i < 100; i++) encoder_feed(encoder, buffer_slice(&zeros), &packed);
    encoder_finish(encoder, &packed);
    encoder_free(encoder);
    struct buffer raw;
    buffer_init(&raw, 1 << 20);
    CLEANUP(error_freep)
    struct error *error = decode("gzip", buffer_slice(&packed), packed.size, &raw);
    assert_text(error_attribute(error, "size_max"), "1048576");
    buffer_release(&raw);
}

Test(compression, is_chosen_by_what_is_accepted)
{
    static const char *const CASES[][2] = {
        {"", NULL},
        {"identity", NULL},
        {"br, identity", NULL},
        {"gzip;q=0, identity", NULL},
        {"br, gzip;q=0.5, identity", "gzip"},
        {"gzip, z-zstd_3", "z-zstd_3"},
        {"z-zstd_1", "z-zstd_1"},
        {"z-zstd08_7", "z-zstd08_7"},
        {"z-snappy", "z-snappy"},
        {"z-lz4", "z-lz4"},
        {"z-lz4-hc-safe", "z-lz4-hc-safe"},
        {"z-null", "z-null"},
        {"z-unknown", NULL},
    };
    CLEANUP(buffer_releasep) struct buffer text = {0};
    make_text(&text);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const char *encoding = NULL;
        struct encoder *encoder = encoder_new(slice_from_text(CASES[i][0]), &encoding);
        cr_assert(eq(int, encoder != NULL, CASES[i][1] != NULL), "%s", CASES[i][0]);
        if (!encoder) continue;
        assert_text(encoding, CASES[i][1]);
        CLEANUP(buffer_releasep) struct buffer packed = {0};
        encoder_feed(encoder, slice_from(text.data, 1000), &packed);
        encoder_feed(encoder, slice_from("", 0), &packed);
        encoder_feed(encoder, slice_from(text.data + 1000, text.size - 1000), &packed);
        encoder_finish(encoder, &packed);
        encoder_free(encoder);
        assert_decoded(encoding, &packed);
        cr_expect(
            eq(int, packed.size < text.size, strcmp(encoding, "z-null") != 0), "%s", encoding);
    }
}

Test(compression, leaves_blocks_as_they_are_that_would_not_become_smaller)
{
    CLEANUP(buffer_releasep) struct buffer noise = {0};
    CLEANUP(buffer_releasep) struct buffer packed = {0};
    CLEANUP(buffer_releasep) struct buffer raw = {0};
    struct rng rng = {.state = 1};
    while (noise.size < 10000) put_fixed64(&noise, rng_next(&rng));
    const char *encoding = NULL;
    struct encoder *encoder = encoder_new(SLICE_OF("z-zstd_3"), &encoding);
    encoder_feed(encoder, buffer_slice(&noise), &packed);
    encoder_finish(encoder, &packed);
    encoder_free(encoder);
    cr_assert_eq(packed.size, noise.size + 2 * 10); // The heads of the block and of the end.
    assert_ok(decode(encoding, buffer_slice(&packed), packed.size, &raw));
    cr_assert(slice_equal(buffer_slice(&raw), buffer_slice(&noise)));
}

Test(compression, names_what_it_does_not_know)
{
    CLEANUP(buffer_releasep) struct buffer raw = {0};
    CLEANUP(error_freep) struct error *error = decode("zip", SLICE_OF("x"), 1, &raw);
    assert_text(error_message(error), "Unsupported Content-Encoding \"zip\"");
    assert_ok(decode("gzip", slice_from("", 0), 1, &raw)); // An empty body needs no stream.
}
