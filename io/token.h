// Tokens and secrets: what proves who somebody is. Clusters keep hashes of tokens, never tokens.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

#define TOKEN_HASH_SIZE 64  // Hexadecimal digits of a SHA-256, lower case.
#define TOKEN_TEXT_MAX  128 // Of a token that was made here, with the NUL.
#define SECRET_SIZE_MAX 4096

// The SHA-256 of a token as YTsaurus names tokens by it; not ended by a NUL.
void token_hash(struct slice token, char ret_hash[TOKEN_HASH_SIZE]);

// Makes a new token of 32 random bytes: printable, ended by a NUL.
void token_make(char ret_token[TOKEN_TEXT_MAX]);

// Whether two secrets are equal, in a time that tells nothing but their sizes.
bool secret_equal(struct slice a, struct slice b);

// Reads the one line that a file has, without white space around it. Fails, naming the file, if it
// cannot be read, is empty, too long or has a byte that is not printable ASCII.
MUST_USE struct error *secret_read_file(
    struct arena *arena, const char *path, struct slice *ret_secret);
