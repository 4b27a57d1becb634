// Whom a request comes from, as the headers of HTTP and gRPC say it.
//
//     authorization: OAuth TOKEN     a user, by a token; `Bearer` is the same
//     authorization: Peer SECRET     another cluster, by the secret that all of them share
//     x-yt-user-name: NAME           to act as this user, which superusers and peers may
//
// The machine finds out what that means (machine_identify). Nobody else sees a token.
#pragma once

#include "cluster/core/request.h"
#include "io/token.h"

#define AUTHORIZATION_HEADER      "Authorization"
#define AUTHORIZATION_HEADER_GRPC "authorization"
#define USER_HEADER               "X-YT-User-Name"
#define USER_HEADER_GRPC          "x-yt-user-name"

struct identity {
    struct slice user; // Borrowed; empty if none is named.
    bool is_peer;
    bool has_token; // And this is its hash.
    char token_hash[TOKEN_HASH_SIZE];
};

// Reads headers, empty where there is none. `peer_secret` is empty if there are no peers.
void identity_read(
    struct identity *identity,
    struct slice peer_secret,
    struct slice authorization,
    struct slice user);

// Puts it into a request.
void identity_give(const struct identity *identity, struct request *request);
