#include "cluster/identity.h"

#include <strings.h>

// Takes a word and the spaces after it off a header; false if it begins with another.
static bool take_word(struct slice *header, const char *word)
{
    size_t size = strlen(word);
    if (header->size <= size || strncasecmp(header->data, word, size) != 0) return false;
    if (header->data[size] != ' ') return false;
    while (size < header->size && header->data[size] == ' ') size++;
    *header = slice_from(header->data + size, header->size - size);
    return true;
}

void identity_read(
    struct identity *identity,
    struct slice peer_secret,
    struct slice authorization,
    struct slice user)
{
    *identity = (struct identity){.user = user};
    if (authorization.size == 0) return;
    struct slice shown = authorization;
    identity->is_peer =
        take_word(&shown, "Peer") && peer_secret.size > 0 && secret_equal(shown, peer_secret);
    if (identity->is_peer) return;
    identity->has_token = true;
    shown = authorization;
    if (take_word(&shown, "OAuth") || take_word(&shown, "Bearer")) {
        token_hash(shown, identity->token_hash);
    } else {
        memset(identity->token_hash, '-', TOKEN_HASH_SIZE); // Nobody's.
    }
}

void identity_give(const struct identity *identity, struct request *request)
{
    struct arena *arena = &request->arena;
    request->user = arena_copy(arena, identity->user);
    request->is_peer = identity->is_peer;
    if (!identity->has_token) return;
    request->token_hash = arena_copy(arena, slice_from(identity->token_hash, TOKEN_HASH_SIZE));
}
