#include "io/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { HASH_BYTE_COUNT = 32, RANDOM_BYTE_COUNT = 32 };

static void print_hex(const unsigned char *bytes, size_t count, char *to)
{
    static const char DIGITS[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        to[2 * i] = DIGITS[bytes[i] >> 4];
        to[2 * i + 1] = DIGITS[bytes[i] & 15];
    }
}

void token_hash(struct slice token, char ret_hash[TOKEN_HASH_SIZE])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    int done = EVP_Digest(token.data, token.size, bytes, &size, EVP_sha256(), NULL);
    if (done != 1 || size != HASH_BYTE_COUNT) abort(); // Only without memory.
    print_hex(bytes, HASH_BYTE_COUNT, ret_hash);
}

void token_make(char ret_token[TOKEN_TEXT_MAX])
{
    static const char PREFIX[] = "ytct-";
    unsigned char bytes[RANDOM_BYTE_COUNT];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) abort(); // Cannot fail for so few.
    size_t begin = sizeof PREFIX - 1;
    memcpy(ret_token, PREFIX, begin);
    print_hex(bytes, sizeof bytes, ret_token + begin);
    ret_token[begin + 2 * sizeof bytes] = '\0';
}

bool secret_equal(struct slice a, struct slice b)
{
    return a.size == b.size && CRYPTO_memcmp(a.data, b.data, a.size) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct error *secret_read_file(struct arena *arena, const char *path, struct slice *ret_secret)
{
    FILE *file = fopen(path, "re");
    if (!file) return error_new(ERROR_GENERIC, "Cannot read %s: %m", path);
    char *text = arena_alloc(arena, SECRET_SIZE_MAX + 1);
    size_t size = fread(text, 1, SECRET_SIZE_MAX + 1, file);
    bool is_good = !ferror(file);
    fclose(file);
    if (!is_good) return error_new(ERROR_GENERIC, "Cannot read %s", path);
    if (size > SECRET_SIZE_MAX) return error_new(ERROR_GENERIC, "File %s is too long", path);
    struct slice secret = slice_from(text, size);
    while (secret.size > 0 && is_space(secret.data[secret.size - 1])) secret.size--;
    while (secret.size > 0 && is_space(*secret.data)) {
        secret.data++;
        secret.size--;
    }
    if (secret.size == 0) return error_new(ERROR_GENERIC, "File %s is empty", path);
    for (size_t i = 0; i < secret.size; i++) { // It travels in headers.
        if (secret.data[i] > ' ' && secret.data[i] <= '~') continue;
        return error_new(ERROR_GENERIC, "File %s must have one line of printable ASCII", path);
    }
    *ret_secret = secret;
    return NULL;
}
