#include "cli/clusters.h"

#include "base/slice.h"

#include <stdio.h>

static const char *file_path(struct arena *arena)
{
    const char *path = getenv("RETABLE_CLUSTERS");
    if (path && path[0]) return path;
    const char *config = getenv("XDG_CONFIG_HOME");
    if (config && config[0]) return arena_print(arena, "%s/retable/clusters", config);
    const char *home = getenv("HOME");
    return arena_print(arena, "%s/.config/retable/clusters", home ? home : "");
}

// Reads the next word off a line; it is empty at the end.
static struct slice next_word(const char **line)
{
    *line += strspn(*line, " \t");
    struct slice word = slice_from(*line, strcspn(*line, " \t#\r\n"));
    *line += word.size;
    return word;
}

struct error *clusters_find(struct arena *arena, const char *proxy, const char **ret_address)
{
    if (!proxy) proxy = getenv("YT_PROXY");
    if (!proxy || !proxy[0])
        return error_new(ERROR_GENERIC, "No cluster is given: use --proxy or set YT_PROXY");
    if (strchr(proxy, ':')) {
        *ret_address = proxy;
        return NULL;
    }
    const char *path = file_path(arena);
    FILE *file = fopen(path, "re");
    if (!file) {
        return error_new(ERROR_GENERIC, "Cluster %s is not known: cannot read %s: %m", proxy, path);
    }
    const char *found = NULL;
    char line[1024];
    while (!found && fgets(line, sizeof line, file)) {
        const char *rest = line;
        struct slice name = next_word(&rest);
        struct slice address = next_word(&rest);
        if (slice_equal_text(name, proxy) && address.size > 0)
            found = arena_copy(arena, address).data;
    }
    fclose(file);
    if (!found) {
        return error_new(
            ERROR_GENERIC, "Cluster %s is not known: %s has no such name", proxy, path);
    }
    *ret_address = found;
    return NULL;
}
