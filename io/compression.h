// Bodies of HTTP messages, compressed: piece by piece, in bounded memory.
//
// Encodings are named as in the headers: identity, gzip, deflate, br, and the block codecs of
// YTsaurus, `z-` and a codec's name: blocks of a codec's id (2 bytes), a size (8 bytes, both little
// endian) and so many bytes, up to a block of raw size 0. "gzip" and "deflate" take gzip as well as
// zlib streams, since official clients send one under the other's name.
// Source: YTsaurus go/blockcodecs, library/cpp/streams/zstd.
#pragma once

#include "base/buffer.h"
#include "base/slice.h"

#define COMPRESSION_BLOCK_SIZE_MAX (UINT64_C(16) << 20) // Of a block codec, raw or not.

struct decoder;

// Takes what was decoded, piece by piece; borrowed. An error ends decoding and is handed on.
typedef struct error *decoder_sink(void *context, struct slice piece);

// `encoding` is the value of Content-Encoding; empty is identity. Fails if there is no such codec.
MUST_USE struct error *decoder_new(
    struct slice encoding, decoder_sink *sink, void *context, struct decoder **ret_decoder);
void decoder_free(struct decoder *decoder);

// Decodes a piece. After an error nothing more may be fed.
MUST_USE struct error *decoder_feed(struct decoder *decoder, struct slice piece);

// The input is complete: fails if it ends too early. No input at all is an empty body.
MUST_USE struct error *decoder_finish(struct decoder *decoder);

struct encoder;

// An encoder for what a client accepts (the value of Accept-Encoding), or NULL for identity: a
// block codec if there is one, since clients insist on exactly it; else gzip. `*ret_encoding`, a
// static text, is the Content-Encoding.
struct encoder *encoder_new(struct slice accepted, const char **ret_encoding);
void encoder_free(struct encoder *encoder);

// Appends the encoded form of a piece to `output`, or keeps some of it back.
void encoder_feed(struct encoder *encoder, struct slice piece, struct buffer *output);

// Appends what is left.
void encoder_finish(struct encoder *encoder, struct buffer *output);

// Whether the encoding that encoder_new chose is one that clients insist on.
bool encoder_is_required(const struct encoder *encoder);
