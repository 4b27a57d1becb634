// A daemon's configuration: defaults, then a YAML file, then flags.
//
//     cluster_name: primary               required; how other clusters call this one
//     data_dir: /var/lib/retable          required; made if it is absent
//     grpc_address: 127.0.0.1:9100        port 0 takes any free one
//     http_address: 127.0.0.1:9180        where official clients, metrics and the status page are
//                                         served; "off" for nowhere
//     http_head_size: 256K                how large a request's line and headers may be, 16K to 1M
//     peers: {replica: "10.0.0.2:9100"}   addresses of other clusters, set under //sys/clusters
//     cell_tag: 4242                      1 to 65534; by default made from the name
//     memory_limit: 512M                  what the store may use; 64M at least
//     log_level: info                     debug, info, warning or error
//     commit_timeout_ms: 30000            the deadline of a commit whose client names none
//     sync_wait_ms: 2000                  how long a request waits for a sync replica to catch up
//     authentication:
//       require: true                     whoever asks must prove who it is [false]
//       root_token_file: /etc/retable/root  a token of root, the first one there is
//       peer_secret_file: /etc/retable/peer a secret that all clusters share
//     port_file: /run/retable/port        where to write the ports taken: gRPC's, then HTTP's (0 if
//                                         it is off), a line each
//
// Each is also a flag, `--data-dir DIR`, `--authentication-require true`; `--peer NAME=ADDRESS` may
// be repeated. The file is read strictly: what is not known, given twice or of another type is an
// error that names the place.
#pragma once

#include "base/error.h"
#include "base/log.h"

#include <stdint.h>

#define CONFIG_PEER_COUNT_MAX 256

struct config_peer {
    char *name;
    char *address;
};

struct config {
    char *cluster_name;
    char *data_dir;
    char *grpc_address;
    char *http_address;        // NULL for none.
    uint64_t http_head_size;   // In bytes.
    char *port_file;           // NULL for none.
    struct config_peer *peers; // stb array.
    uint16_t cell_tag;
    uint64_t memory_limit; // In bytes.
    enum log_level log_level;
    uint64_t commit_timeout_ms;
    uint64_t sync_wait_ms;
    bool requires_authentication;
    char *root_token_file;  // NULL for none.
    char *peer_secret_file; // NULL for none.
    bool wants_help;        // --help was given: nothing else counts.
    bool wants_version;     // --version.
};

// Reads the arguments of the process, and the file that --config names. On a failure there is
// nothing to release.
MUST_USE struct error *config_load(int argc, char **argv, struct config *ret_config);
void config_release(struct config *config);

// What --help says.
void config_print_help(const char *program, FILE *stream);
