#include "io/config.h"

#include "base/buffer.h"
#include "base/containers.h"
#include "base/hash.h"

#include <ctype.h>
#include <yaml.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)

enum { NAME_SIZE_MAX = 64 };

static void set_text(char **field, struct slice text)
{
    free(*field);
    *field = must_alloc(strndup(text.data, text.size));
}

// -------------------------------------------------------------------------------------------------
// Keys. Each parses its value; a failure says what is allowed, and the caller where that was.

static bool is_name(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (!isalnum(c) && c != '_' && c != '-' && c != '.') return false;
    }
    return text.size > 0 && text.size <= NAME_SIZE_MAX;
}

static bool is_address(struct slice text)
{
    size_t begin = text.size; // Of the port.
    while (begin > 0 && text.data[begin - 1] != ':') begin--;
    uint32_t port = 0;
    if (begin < 2 || text.size == begin || text.size > begin + 5) return false;
    for (size_t i = begin; i < text.size; i++) {
        if (!isdigit((unsigned char)text.data[i])) return false;
        port = port * 10 + (uint32_t)(text.data[i] - '0');
    }
    return port <= UINT16_MAX;
}

static bool parse_number(struct slice text, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (text.size == 0 || text.size > 18) return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!isdigit((unsigned char)text.data[i])) return false;
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    *ret_number = number;
    return true;
}

static bool parse_size(struct slice text, uint64_t *ret_size)
{
    int shift = 0;
    if (text.size > 0) {
        char unit = text.data[text.size - 1];
        if (unit == 'K') shift = 10;
        if (unit == 'M') shift = 20;
        if (unit == 'G') shift = 30;
    }
    if (shift > 0) text.size--;
    uint64_t number = 0;
    if (!parse_number(text, &number) || number > UINT64_MAX >> (shift + 1)) return false;
    *ret_size = number << shift;
    return true;
}

static bool set_cluster_name(struct config *config, struct slice text)
{
    if (!is_name(text)) return false;
    set_text(&config->cluster_name, text);
    return true;
}

static bool set_data_dir(struct config *config, struct slice text)
{
    if (text.size == 0) return false;
    set_text(&config->data_dir, text);
    return true;
}

static bool set_grpc_address(struct config *config, struct slice text)
{
    if (!is_address(text)) return false;
    set_text(&config->grpc_address, text);
    return true;
}

static bool set_http_address(struct config *config, struct slice text)
{
    bool is_off = slice_equal_text(text, "off");
    if (!is_off && !is_address(text)) return false;
    if (is_off) {
        free(TAKE(config->http_address));
    } else {
        set_text(&config->http_address, text);
    }
    return true;
}

static bool set_http_head_size(struct config *config, struct slice text)
{
    uint64_t size = 0;
    if (!parse_size(text, &size) || size < 16 * KIB || size > MIB) return false;
    config->http_head_size = size;
    return true;
}

static bool set_port_file(struct config *config, struct slice text)
{
    if (text.size == 0) return false;
    set_text(&config->port_file, text);
    return true;
}

static bool set_cell_tag(struct config *config, struct slice text)
{
    uint64_t number = 0;
    if (!parse_number(text, &number) || number < 1 || number > 0xfffe) return false;
    config->cell_tag = (uint16_t)number;
    return true;
}

static bool set_memory_limit(struct config *config, struct slice text)
{
    uint64_t size = 0;
    if (!parse_size(text, &size) || size < 64 * MIB) return false;
    config->memory_limit = size;
    return true;
}

static bool set_log_level(struct config *config, struct slice text)
{
    return log_level_parse(text, &config->log_level);
}

static bool set_milliseconds(struct slice text, uint64_t *field)
{
    uint64_t number = 0;
    if (!parse_number(text, &number) || number < 1 || number > 3600000) return false;
    *field = number;
    return true;
}

static bool set_commit_timeout(struct config *config, struct slice text)
{
    return set_milliseconds(text, &config->commit_timeout_ms);
}

static bool set_sync_wait(struct config *config, struct slice text)
{
    return set_milliseconds(text, &config->sync_wait_ms);
}

static bool set_require(struct config *config, struct slice text)
{
    config->requires_authentication = slice_equal_text(text, "true");
    return config->requires_authentication || slice_equal_text(text, "false");
}

static bool set_root_token_file(struct config *config, struct slice text)
{
    if (text.size == 0) return false;
    set_text(&config->root_token_file, text);
    return true;
}

static bool set_peer_secret_file(struct config *config, struct slice text)
{
    if (text.size == 0) return false;
    set_text(&config->peer_secret_file, text);
    return true;
}

// Of this map in a file; its keys are flags with that before their names.
#define SECTION "authentication"

struct key {
    const char *name;
    const char *allowed;
    const char *help;
    bool (*set)(struct config *config, struct slice text);
};

#define MILLISECONDS "a number of milliseconds from 1 to 3600000"

static const struct key KEYS[] = {
    {"cluster_name",
     "up to 64 letters, digits, '_', '-' and '.'",
     "How other clusters call this one (required)",
     set_cluster_name},
    {"data_dir", "a path", "Where everything is kept (required)", set_data_dir},
    {"grpc_address",
     "an address like 127.0.0.1:9100",
     "Where to listen; port 0 takes any free one [127.0.0.1:9100]",
     set_grpc_address},
    {"http_address",
     "an address like 127.0.0.1:9180, or off",
     "Where to serve HTTP; off for nowhere [127.0.0.1:9180]",
     set_http_address},
    {"http_head_size",
     "a size like 64K, from 16K to 1M",
     "How large a request's line and headers may be; small ones are served faster [256K]",
     set_http_head_size},
    {"port_file", "a path", "Where to write the ports taken: gRPC's, then HTTP's", set_port_file},
    {"cell_tag", "a number from 1 to 65534", "A part of object ids [from the name]", set_cell_tag},
    {"memory_limit",
     "a size like 512M, at least 64M",
     "What the store may use [512M]",
     set_memory_limit},
    {"log_level", "debug, info, warning or error", "Which lines to write [info]", set_log_level},
    {"commit_timeout_ms",
     MILLISECONDS,
     "The deadline of a commit whose client names none [30000]",
     set_commit_timeout},
    {"sync_wait_ms",
     MILLISECONDS,
     "How long a request waits for a sync replica to catch up [2000]",
     set_sync_wait},
    {SECTION "_require", "true or false", "Whoever asks must prove who it is [false]", set_require},
    {SECTION "_root_token_file", "a path", "Where a token of root is", set_root_token_file},
    {SECTION "_peer_secret_file",
     "a path",
     "Where the secret is that all clusters share",
     set_peer_secret_file},
};

enum { KEY_COUNT = sizeof KEYS / sizeof *KEYS };

static bool is_of_section(const struct key *key)
{
    return strncmp(key->name, SECTION "_", sizeof SECTION) == 0;
}

// What a key is called in its map.
static const char *short_name(const struct key *key)
{
    return is_of_section(key) ? key->name + sizeof SECTION : key->name;
}

// NULL if there is none of this name in the file's map, or in that of the section.
static const struct key *find_key(struct slice name, bool is_inner)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (is_of_section(&KEYS[i]) == is_inner && slice_equal_text(name, short_name(&KEYS[i])))
            return &KEYS[i];
    }
    return NULL;
}

static const char PEER_ALLOWED[] = "a cluster's name and its address like 10.0.0.2:9100";

// Sets the address of a peer; false if name or address are not allowed.
static bool set_peer(struct config *config, struct slice name, struct slice address)
{
    if (!is_name(name) || !is_address(address)) return false;
    for (size_t i = 0; i < arr_count(config->peers); i++) {
        if (!slice_equal_text(name, config->peers[i].name)) continue;
        set_text(&config->peers[i].address, address);
        return true;
    }
    if (arr_count(config->peers) >= CONFIG_PEER_COUNT_MAX) return false;
    struct config_peer peer = {0};
    set_text(&peer.name, name);
    set_text(&peer.address, address);
    arr_add(config->peers, peer);
    return true;
}

// -------------------------------------------------------------------------------------------------
// The file

struct file {
    const char *path;
    yaml_document_t document;
};

// What a key or value refers to by its number; always there, as the document was loaded whole.
static const yaml_node_t *node_at(struct file *file, int number)
{
    const yaml_node_t *node = yaml_document_get_node(&file->document, number);
    if (!node) abort();
    return node;
}

static size_t line_of(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

static struct slice scalar_of(const yaml_node_t *node)
{
    return slice_from(node->data.scalar.value, node->data.scalar.length);
}

static const char *type_of(const yaml_node_t *node)
{
    switch (node->type) {
    case YAML_NO_NODE: return "nothing";
    case YAML_SCALAR_NODE: return "a scalar";
    case YAML_SEQUENCE_NODE: return "a list";
    case YAML_MAPPING_NODE: return "a map";
    }
    return "something else";
}

static struct error *refuse_value(
    const struct file *file, const yaml_node_t *node, const char *key, const char *allowed)
{
    if (node->type != YAML_SCALAR_NODE) {
        return error_new(
            ERROR_GENERIC,
            "%s:%zu: value of \"%s\" is %s; allowed is %s",
            file->path,
            line_of(node),
            key,
            type_of(node),
            allowed);
    }
    return error_new(
        ERROR_GENERIC,
        "%s:%zu: value \"%.*s\" of \"%s\" is not allowed; allowed is %s",
        file->path,
        line_of(node),
        SLICE(scalar_of(node)),
        key,
        allowed);
}

static struct error *unknown_key(const struct file *file, const yaml_node_t *node, bool is_inner)
{
    CLEANUP(buffer_releasep) struct buffer allowed = {0};
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (is_of_section(&KEYS[i]) != is_inner) continue;
        buffer_print(&allowed, "%s%s", allowed.size > 0 ? ", " : "", short_name(&KEYS[i]));
    }
    if (!is_inner) buffer_print(&allowed, ", " SECTION ", peers");
    return error_new(
        ERROR_GENERIC,
        "%s:%zu: unknown key \"%.*s\"; allowed are %.*s",
        file->path,
        line_of(node),
        SLICE(scalar_of(node)),
        SLICE(buffer_slice(&allowed)));
}

// Checks the `index`-th key of a map, which must be a scalar and not have come before.
static struct error *check_key(
    struct file *file, const yaml_node_t *map, size_t index, const yaml_node_t *key)
{
    const yaml_node_pair_t *pairs = map->data.mapping.pairs.start;
    if (key->type != YAML_SCALAR_NODE) {
        return error_new(
            ERROR_GENERIC, "%s:%zu: a key is %s", file->path, line_of(key), type_of(key));
    }
    for (size_t i = 0; i < index; i++) {
        const yaml_node_t *other = node_at(file, pairs[i].key);
        if (!slice_equal(scalar_of(other), scalar_of(key))) continue;
        return error_new(
            ERROR_GENERIC,
            "%s:%zu: key \"%.*s\" was given in line %zu already",
            file->path,
            line_of(key),
            SLICE(scalar_of(key)),
            line_of(other));
    }
    return NULL;
}

static size_t pair_count(const yaml_node_t *map)
{
    return (size_t)(map->data.mapping.pairs.top - map->data.mapping.pairs.start);
}

static struct error *read_peers(struct config *config, struct file *file, const yaml_node_t *map)
{
    if (map->type != YAML_MAPPING_NODE) {
        return error_new(
            ERROR_GENERIC,
            "%s:%zu: value of \"peers\" is %s; allowed is a map of names and addresses",
            file->path,
            line_of(map),
            type_of(map));
    }
    for (size_t i = 0; i < pair_count(map); i++) {
        const yaml_node_t *key = node_at(file, map->data.mapping.pairs.start[i].key);
        const yaml_node_t *value = node_at(file, map->data.mapping.pairs.start[i].value);
        TRY(check_key(file, map, i, key));
        bool is_good =
            value->type == YAML_SCALAR_NODE && set_peer(config, scalar_of(key), scalar_of(value));
        if (!is_good) return refuse_value(file, value, "peers", PEER_ALLOWED);
    }
    return NULL;
}

static struct error *read_key(
    struct config *config,
    struct file *file,
    const yaml_node_t *name,
    const yaml_node_t *value,
    bool is_inner)
{
    const struct key *key = find_key(scalar_of(name), is_inner);
    if (!key) return unknown_key(file, name, is_inner);
    bool is_good = value->type == YAML_SCALAR_NODE && key->set(config, scalar_of(value));
    return is_good ? NULL : refuse_value(file, value, short_name(key), key->allowed);
}

static struct error *read_section(struct config *config, struct file *file, const yaml_node_t *map)
{
    if (map->type != YAML_MAPPING_NODE) {
        return error_new(
            ERROR_GENERIC,
            "%s:%zu: value of \"" SECTION "\" is %s; allowed is a map",
            file->path,
            line_of(map),
            type_of(map));
    }
    for (size_t i = 0; i < pair_count(map); i++) {
        const yaml_node_t *key = node_at(file, map->data.mapping.pairs.start[i].key);
        const yaml_node_t *value = node_at(file, map->data.mapping.pairs.start[i].value);
        TRY(check_key(file, map, i, key));
        TRY(read_key(config, file, key, value, true));
    }
    return NULL;
}

static struct error *read_pair(
    struct config *config, struct file *file, const yaml_node_t *key, const yaml_node_t *value)
{
    if (slice_equal(scalar_of(key), SLICE_OF("peers"))) return read_peers(config, file, value);
    if (slice_equal(scalar_of(key), SLICE_OF(SECTION))) return read_section(config, file, value);
    return read_key(config, file, key, value, false);
}

static struct error *read_document(struct config *config, struct file *file)
{
    const yaml_node_t *root = yaml_document_get_root_node(&file->document);
    if (!root) return NULL; // An empty file.
    if (root->type != YAML_MAPPING_NODE) {
        return error_new(
            ERROR_GENERIC, "%s:%zu: not a map but %s", file->path, line_of(root), type_of(root));
    }
    for (size_t i = 0; i < pair_count(root); i++) {
        const yaml_node_t *key = node_at(file, root->data.mapping.pairs.start[i].key);
        const yaml_node_t *value = node_at(file, root->data.mapping.pairs.start[i].value);
        TRY(check_key(file, root, i, key));
        TRY(read_pair(config, file, key, value));
    }
    return NULL;
}

static struct error *parse_error(const yaml_parser_t *parser, const char *path)
{
    return error_new(
        ERROR_GENERIC,
        "%s:%zu: %s",
        path,
        parser->problem_mark.line + 1,
        parser->problem ? parser->problem : "not YAML");
}

static struct error *read_file(struct config *config, const char *path)
{
    FILE *stream = fopen(path, "re");
    if (!stream) return error_new(ERROR_GENERIC, "Cannot read config %s: %m", path);
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) abort();
    yaml_parser_set_input_file(&parser, stream);
    struct file file = {.path = path};
    struct error *error = NULL;
    if (yaml_parser_load(&parser, &file.document)) {
        error = read_document(config, &file);
        yaml_document_delete(&file.document);
    } else {
        error = parse_error(&parser, path);
    }
    yaml_parser_delete(&parser);
    fclose(stream);
    return error;
}

// -------------------------------------------------------------------------------------------------
// Flags

// Whether `flag`, without its dashes, is the name of a key.
static bool is_flag_of(struct slice flag, const char *name)
{
    if (flag.size != strlen(name)) return false;
    for (size_t i = 0; i < flag.size; i++) {
        bool is_dash = flag.data[i] == '-' && name[i] == '_';
        if (flag.data[i] != name[i] && !is_dash) return false;
    }
    return true;
}

static struct error *set_flag(struct config *config, struct slice flag, struct slice value)
{
    if (slice_equal(flag, SLICE_OF("config"))) return NULL; // Was read before.
    if (slice_equal(flag, SLICE_OF("peer"))) {
        const char *equals = memchr(value.data, '=', value.size);
        size_t size = equals ? (size_t)(equals - value.data) : 0;
        struct slice name = slice_from(value.data, size);
        if (equals && set_peer(config, name, slice_from(equals + 1, value.size - size - 1)))
            return NULL;
        return error_new(
            ERROR_GENERIC,
            "Value \"%.*s\" of --peer is not allowed; allowed is NAME=ADDRESS, %s",
            SLICE(value),
            PEER_ALLOWED);
    }
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (!is_flag_of(flag, KEYS[i].name)) continue;
        if (KEYS[i].set(config, value)) return NULL;
        return error_new(
            ERROR_GENERIC,
            "Value \"%.*s\" of --%.*s is not allowed; allowed is %s",
            SLICE(value),
            SLICE(flag),
            KEYS[i].allowed);
    }
    return error_new(ERROR_GENERIC, "Unknown option --%.*s; see --help", SLICE(flag));
}

// Splits the argument at `*index`: `--flag=value`, or `--flag` and the next argument.
static struct error *next_flag(
    int argc, char **argv, int *index, struct slice *ret_flag, struct slice *ret_value)
{
    const char *argument = argv[*index];
    if (strncmp(argument, "--", 2) != 0 || argument[2] == '\0')
        return error_new(ERROR_GENERIC, "Unexpected argument \"%s\"; see --help", argument);
    argument += 2;
    const char *equals = strchr(argument, '=');
    if (equals) {
        *ret_flag = slice_from(argument, (size_t)(equals - argument));
        *ret_value = slice_from_text(equals + 1);
    } else {
        if (*index + 1 >= argc)
            return error_new(ERROR_GENERIC, "Option --%s needs a value; see --help", argument);
        *ret_flag = slice_from_text(argument);
        *ret_value = slice_from_text(argv[++*index]);
    }
    return NULL;
}

static bool has_argument(int argc, char **argv, const char *argument)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], argument) == 0) return true;
    }
    return false;
}

static struct error *find_config(int argc, char **argv, const char **ret_path)
{
    for (int i = 1; i < argc; i++) {
        struct slice flag = {0};
        struct slice value = {0};
        TRY(next_flag(argc, argv, &i, &flag, &value));
        if (slice_equal(flag, SLICE_OF("config"))) *ret_path = value.data;
    }
    return NULL;
}

static struct error *load(int argc, char **argv, struct config *config)
{
    const char *path = NULL;
    TRY(find_config(argc, argv, &path));
    if (path) TRY(read_file(config, path));
    for (int i = 1; i < argc; i++) {
        struct slice flag = {0};
        struct slice value = {0};
        TRY(next_flag(argc, argv, &i, &flag, &value));
        TRY(set_flag(config, flag, value));
    }
    if (!config->cluster_name) {
        return error_new(
            ERROR_GENERIC, "No cluster name: set cluster_name in the config, or --cluster-name");
    }
    if (!config->data_dir) {
        return error_new(
            ERROR_GENERIC, "No data folder: set data_dir in the config, or --data-dir");
    }
    if (config->cell_tag == 0) {
        uint64_t hash = hash_bytes(slice_from_text(config->cluster_name), 0);
        config->cell_tag = (uint16_t)(1 + hash % 0xfffe);
    }
    return NULL;
}

struct error *config_load(int argc, char **argv, struct config *ret_config)
{
    struct config config = {
        .http_head_size = 256 * KIB,
        .memory_limit = 512 * MIB,
        .log_level = LOG_LEVEL_INFO,
        .commit_timeout_ms = 30000,
        .sync_wait_ms = 2000,
        .wants_help = has_argument(argc, argv, "--help"),
        .wants_version = has_argument(argc, argv, "--version"),
    };
    set_text(&config.grpc_address, SLICE_OF("127.0.0.1:9100"));
    set_text(&config.http_address, SLICE_OF("127.0.0.1:9180"));
    struct error *error = NULL;
    if (!config.wants_help && !config.wants_version) error = load(argc, argv, &config);
    if (error) {
        config_release(&config);
        return error;
    }
    *ret_config = config;
    return NULL;
}

void config_release(struct config *config)
{
    for (size_t i = 0; i < arr_count(config->peers); i++) {
        free(config->peers[i].name);
        free(config->peers[i].address);
    }
    arr_free(config->peers);
    free(config->cluster_name);
    free(config->data_dir);
    free(config->grpc_address);
    free(config->http_address);
    free(config->port_file);
    free(config->root_token_file);
    free(config->peer_secret_file);
}

void config_print_help(const char *program, FILE *stream)
{
    fprintf(stream, "Usage: %s [OPTION VALUE]...\n\n", program);
    fprintf(stream, "  %-34s %s\n", "--config", "A YAML file with the same as keys (data_dir)");
    for (size_t i = 0; i < KEY_COUNT; i++) {
        char flag[64];
        snprintf(flag, sizeof flag, "--%s", KEYS[i].name);
        for (char *c = strchr(flag, '_'); c; c = strchr(c, '_')) *c = '-';
        fprintf(stream, "  %-34s %s\n", flag, KEYS[i].help);
    }
    fprintf(stream, "  %-34s %s\n", "--peer", "NAME=ADDRESS of another cluster; may be repeated");
    fprintf(stream, "  %-34s %s\n", "--help", "This");
    fprintf(stream, "  %-34s %s\n", "--version", "The version");
}
