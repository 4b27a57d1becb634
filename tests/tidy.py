"""Checks what the compiler cannot: functions that we do not use, which folder may include which, and that the map names every file.

    tidy.py ROOT
"""

import os
import re
import sys

BANNED = ["strcpy", "strcat", "sprintf", "strtok", "atoi", "gets"]
BANNED_OUTSIDE_CLOCK = ["time", "gettimeofday", "clock_gettime", "rand", "srand"]  # The clock is io/clock.c, randomness is base/rng.h.

# What a folder may include of ours; a folder may always include itself and what lies below the ones named.
CORE_OF_CLUSTER = ["base", "model", "cluster/core", "cluster/query"]
MACHINE = ["cluster/machine.h", "cluster/reads.h"]
DAEMON = CORE_OF_CLUSTER + ["io", "proto", "cluster", "coordinator/core", "replica_node/core", "replicator/core"]
ARROWS = {
    "base": [],
    "model": ["base"],
    "io": ["base", "model", "proto"],
    "cluster/query": ["base", "model"],
    "cluster/core": CORE_OF_CLUSTER,
    "cluster/commands": CORE_OF_CLUSTER + MACHINE + ["coordinator/core", "replica_node/core"],
    "replicator/core": ["base", "model"],
    "coordinator/core": CORE_OF_CLUSTER + ["replicator/core"],
    "replica_node/core": CORE_OF_CLUSTER,
    "cluster": DAEMON,
    "coordinator": DAEMON + ["replicator", "replica_node"],
    "replica_node": DAEMON,
    "client": ["base", "model", "io", "proto"],
    "cli": ["base", "model", "io", "proto", "client"],
    "bench": ["base", "model", "io", "proto", "client"],
    "tests/sim": CORE_OF_CLUSTER + MACHINE + ["cluster/commands", "coordinator/core", "replica_node/core"],
}
# The machine is a core too, though it lies beside the daemon's files.
CORE_FILES = [
    "cluster/lookups.c", "cluster/machine.c", "cluster/read_routes.c", "cluster/reads.c", "cluster/transactions.c", *MACHINE,
]
# What no core includes: it does no I/O and knows neither threads nor time.
OUTSIDE = (
    r"time\.h|pthread\.h|unistd\.h|fcntl\.h|stdatomic\.h|sys/.*|grpc.*|rocksdb.*|yaml\.h|systemd.*|protobuf-c.*|microhttpd\.h"
)
# Libraries that only io knows; bench measures their own limits.
FOREIGN = r"grpc/.*|openssl/.*|rocksdb/.*|yaml\.h|microhttpd\.h|brotli/.*|lz4\.h|snappy-c\.h|zlib\.h|zstd\.h"

# Folders of which docs/ARCHITECTURE.md names every .c file.
MAPPED = ["base", "model", "io", "cluster", "cluster/core", "coordinator/core", "replicator/core", "replica_node/core"]


def sources(root):
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not re.match(r"\.|build|__pycache__", name))
        for file in sorted(files):
            if file.endswith((".c", ".h", ".re", ".y")):
                yield os.path.relpath(os.path.join(folder, file), root)


def without_comments(text):
    """Comments and strings become blanks; lines stay where they are."""
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(\\.|[^"\\\n])*"', lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def is_core(path):
    return path in CORE_FILES or "/core/" in path or path.startswith(("model/", "cluster/query/"))


def is_below(path, place):
    return path == place or path.startswith(place + "/")


def faults_of(path, text):
    code = without_comments(text)
    banned = BANNED + ([] if path == "io/clock.c" else BANNED_OUTSIDE_CLOCK)
    for found in re.finditer(r"(?<![\w.>])(%s)\s*\(" % "|".join(banned), code):
        yield found.start(), "%s is not used here" % found.group(1)

    folder = next((name for name in sorted(ARROWS, key=len, reverse=True) if is_below(path, name)), None)
    for found in re.finditer(r'^#include "([^"]+)"', text, re.MULTILINE):
        place = found.group(1)
        if "/" not in place or folder is None:
            continue  # Generated beside the file, or a test, which may include anything.
        allowed = [name for name in ARROWS[folder] if path not in CORE_FILES or name not in ("io", "proto")]
        if not any(is_below(place, name) for name in [folder] + allowed):
            yield found.start(), "%s must not include %s" % (folder, place)
    if folder not in ("io", "bench") and folder is not None:
        for found in re.finditer(r"^#include <(%s)>" % FOREIGN, text, re.MULTILINE):
            yield found.start(), "only io uses <%s>" % found.group(1)
    if is_core(path):
        for found in re.finditer(r"^#include <(%s)>" % OUTSIDE, text, re.MULTILINE):
            yield found.start(), "a core does no I/O, and this includes <%s>" % found.group(1)


def main():
    root = sys.argv[1]
    count = 0
    with open(os.path.join(root, "docs", "ARCHITECTURE.md")) as file:
        page = file.read()
    for path in sources(root):
        folder, name = os.path.split(path)
        if folder in MAPPED and name.endswith(".c") and not re.search(r"[`/]%s(\.[a-z]+)?`" % name[:-2], page):
            print("%s:1: docs/ARCHITECTURE.md does not name it" % path)
            count += 1
        with open(os.path.join(root, path)) as file:
            text = file.read()
        for position, fault in faults_of(path, text):
            print("%s:%d: %s" % (path, text.count("\n", 0, position) + 1, fault))
            count += 1
    print("%d faults" % count)
    return count > 0


if __name__ == "__main__":
    sys.exit(main())
