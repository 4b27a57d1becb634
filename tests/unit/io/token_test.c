// Tokens and secrets.
#include "io/token.h"

#include "tests/test.h"

#include <unistd.h>

TestSuite(token, .fini = abort_on_leaks);

Test(token, hashes_are_those_of_sha256)
{
    char hash[TOKEN_HASH_SIZE + 1] = {0};
    token_hash(SLICE_OF("abc"), hash); // FIPS 180-2, appendix B.1.
    assert_text(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    token_hash(SLICE_OF(""), hash);
    assert_text(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

Test(token, new_ones_are_printable_and_differ)
{
    char first[TOKEN_TEXT_MAX];
    char second[TOKEN_TEXT_MAX];
    token_make(first);
    token_make(second);
    cr_assert(ne(int, strcmp(first, second), 0));
    cr_assert(eq(sz, strlen(first), strlen("ytct-") + 64));
    cr_assert(eq(sz, strspn(first + 5, "0123456789abcdef"), 64));
}

Test(token, secrets_are_equal_or_not)
{
    cr_assert(secret_equal(SLICE_OF("one"), SLICE_OF("one")));
    cr_assert(not(secret_equal(SLICE_OF("one"), SLICE_OF("two"))));
    cr_assert(not(secret_equal(SLICE_OF("one"), SLICE_OF("on"))));
}

Test(token, a_file_has_one_line)
{
    static const struct {
        const char *text;
        const char *expected; // NULL: refused.
        const char *error;
    } CASES[] = {
        {"secret\n", "secret", NULL},
        {"  secret \r\n", "secret", NULL},
        {"secret", "secret", NULL},
        {"", NULL, "is empty"},
        {" \n", NULL, "is empty"},
        {"one\ntwo\n", NULL, "one line of printable ASCII"},
        {"s\x01", NULL, "one line of printable ASCII"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct arena arena CLEANUP(arena_releasep) = {0};
        char path[] = "/tmp/retable-token-XXXXXX";
        int file = mkstemp(path);
        ssize_t size = (ssize_t)strlen(CASES[i].text);
        cr_assert(eq(i64, write(file, CASES[i].text, (size_t)size), size));
        close(file);
        struct slice secret = {0};
        CLEANUP(error_freep) struct error *error = secret_read_file(&arena, path, &secret);
        unlink(path);
        if (CASES[i].expected) {
            cr_assert(eq(ptr, error, NULL));
            cr_assert(slice_equal_text(secret, CASES[i].expected));
        } else {
            cr_assert(ne(ptr, strstr(error_message(error), CASES[i].error), NULL));
            cr_assert(ne(ptr, strstr(error_message(error), path), NULL));
        }
    }
    struct arena arena CLEANUP(arena_releasep) = {0};
    struct slice secret = {0};
    CLEANUP(error_freep) struct error *error = secret_read_file(&arena, "/none/such", &secret);
    cr_assert(ne(ptr, strstr(error_message(error), "Cannot read /none/such"), NULL));
}
