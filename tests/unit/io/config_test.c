#include "io/config.h"

#include "base/containers.h"
#include "tests/test.h"

#include <string.h>
#include <unistd.h>

TestSuite(config, .fini = abort_on_leaks);

enum { ARGUMENT_COUNT_MAX = 16 };

static char path[64];

static void write_config(const char *text)
{
    snprintf(path, sizeof path, "/tmp/retable-config-XXXXXX");
    int file = mkstemp(path);
    cr_assert(ge(int, file, 0));
    cr_assert(eq(int, (int)write(file, text, strlen(text)), (int)strlen(text)));
    close(file);
}

// Loads with the arguments given, ended by NULL.
static struct error *load(struct config *config, const char *const *arguments)
{
    char *argv[ARGUMENT_COUNT_MAX] = {"test"};
    int argc = 1;
    for (; arguments[argc - 1]; argc++) argv[argc] = (char *)arguments[argc - 1];
    return config_load(argc, argv, config);
}

#define LOAD(config, ...) load((config), (const char *const[]){__VA_ARGS__, NULL})

// Loads a file with this text, which must be refused so.
static void assert_refused(const char *text, const char *message)
{
    struct config config;
    write_config(text);
    CLEANUP(error_freep) struct error *error = LOAD(&config, "--config", path);
    unlink(path);
    cr_assert(error != NULL, "not refused: %s", text);
    const char *actual = error_message(error);
    size_t prefix = strncmp(actual, path, strlen(path)) == 0 ? strlen(path) + 1 : 0;
    assert_text(actual + prefix, message);
}

Test(config, has_defaults)
{
    struct config config;
    assert_ok(LOAD(&config, "--cluster-name", "primary", "--data-dir=/data"));
    assert_text(config.cluster_name, "primary");
    assert_text(config.data_dir, "/data");
    assert_text(config.grpc_address, "127.0.0.1:9100");
    cr_assert(eq(u64, config.http_head_size, 256 << 10));
    cr_assert(eq(u64, config.memory_limit, 512 << 20));
    cr_assert(eq(u64, config.commit_timeout_ms, 30000));
    cr_assert(eq(u64, config.sync_wait_ms, 2000));
    cr_assert(config.cell_tag != 0 && config.cell_tag != 0xffff);
    config_release(&config);
}

Test(config, reads_a_file_and_lets_flags_override_it)
{
    write_config("# Comments are fine.\n"
                 "cluster_name: primary\n"
                 "data_dir: /data\n"
                 "cell_tag: 42\n"
                 "http_head_size: 64K\n"
                 "memory_limit: 1G\n"
                 "log_level: debug\n"
                 "authentication: {require: true, root_token_file: /a, peer_secret_file: /b}\n"
                 "peers:\n"
                 "  first: '10.0.0.1:1'\n"
                 "  second: '10.0.0.2:2'\n");
    struct config config;
    assert_ok(LOAD(
        &config,
        "--log-level",
        "error",
        "--config",
        path,
        "--peer",
        "first=[::1]:9",
        "--authentication-peer-secret-file",
        "/c"));
    unlink(path);
    cr_assert(eq(u64, config.memory_limit, 1 << 30));
    cr_assert(eq(int, config.cell_tag, 42));
    cr_assert(eq(u64, config.http_head_size, 64 << 10));
    cr_assert(config.requires_authentication);
    assert_text(config.root_token_file, "/a");
    assert_text(config.peer_secret_file, "/c");
    cr_assert(eq(int, config.log_level, LOG_LEVEL_ERROR));
    cr_assert(eq(sz, arr_count(config.peers), 2));
    assert_text(config.peers[0].address, "[::1]:9");
    assert_text(config.peers[1].address, "10.0.0.2:2");
    config_release(&config);
}

Test(config, refuses_what_is_wrong_in_a_file)
{
    assert_refused(
        "cluster_name: a\ndata_dirs: b\n",
        "2: unknown key \"data_dirs\"; allowed are cluster_name, data_dir, grpc_address, "
        "http_address, http_head_size, port_file, "
        "cell_tag, memory_limit, log_level, commit_timeout_ms, sync_wait_ms, "
        "authentication, peers");
    assert_refused(
        "authentication_require: true\n",
        "1: unknown key \"authentication_require\"; allowed are cluster_name, data_dir, "
        "grpc_address, http_address, http_head_size, port_file, cell_tag, memory_limit, "
        "log_level, commit_timeout_ms, sync_wait_ms, authentication, peers");
    assert_refused(
        "authentication:\n  required: true\n",
        "2: unknown key \"required\"; allowed are require, root_token_file, peer_secret_file");
    assert_refused(
        "authentication: {require: maybe}\n",
        "1: value \"maybe\" of \"require\" is not allowed; allowed is true or false");
    assert_refused(
        "authentication: true\n", "1: value of \"authentication\" is a scalar; allowed is a map");
    assert_refused(
        "authentication: {require: true, require: false}\n",
        "1: key \"require\" was given in line 1 already");
    assert_refused("data_dir: a\ndata_dir: b\n", "2: key \"data_dir\" was given in line 1 already");
    assert_refused(
        "cell_tag: 70000\n",
        "1: value \"70000\" of \"cell_tag\" is not allowed; allowed is a number from 1 to 65534");
    assert_refused("data_dir: [a]\n", "1: value of \"data_dir\" is a list; allowed is a path");
    assert_refused(
        "peers: here\n",
        "1: value of \"peers\" is a scalar; allowed is a map of names and addresses");
    assert_refused(
        "peers: {a: b}\n",
        "1: value \"b\" of \"peers\" is not allowed; allowed is a cluster's name and its address "
        "like 10.0.0.2:9100");
    assert_refused("- a\n", "1: not a map but a list");
    assert_refused("a: b: c\n", "1: mapping values are not allowed in this context");
    assert_refused("", "No cluster name: set cluster_name in the config, or --cluster-name");
}

Test(config, refuses_wrong_flags)
{
    struct config config;
    struct error *error = LOAD(&config, "--colour", "red");
    assert_text(error_message(error), "Unknown option --colour; see --help");
    error_free(error);
    error = LOAD(&config, "--data-dir");
    assert_text(error_message(error), "Option --data-dir needs a value; see --help");
    error_free(error);
    error = LOAD(&config, "here");
    assert_text(error_message(error), "Unexpected argument \"here\"; see --help");
    error_free(error);
    error = LOAD(&config, "--grpc-address", "localhost:70000");
    assert_text(
        error_message(error),
        "Value \"localhost:70000\" of --grpc-address is not allowed; allowed is an address like "
        "127.0.0.1:9100");
    error_free(error);
    error = LOAD(&config, "--config", "/nowhere/at/all");
    assert_text(
        error_message(error), "Cannot read config /nowhere/at/all: No such file or directory");
    error_free(error);
}
