"""Answers larger than any memory limit, through the coordinator: they stream from the replica's cluster to the client."""

import json
import os
import socket
import subprocess

import retable
from http_test import ask, command
from retable import until

SCHEMA = "[{name=k;type=int64;sort_order=ascending};{name=v;type=string}]"
ROW_COUNT = 160000
VALUE_SIZE = 1000
WHOLE_SIZE_MAX = 128 << 20  # Of an answer that would have to be held whole.
GROWTH_MAX = 128 << 20  # Parts, the windows of gRPC, and what the allocator keeps.
HAS_SANITIZER = bool({"ASAN_OPTIONS", "TSAN_OPTIONS"} & set(os.environ))  # It keeps freed memory for a while.


def memory(daemon, name):
    with open("/proc/%d/status" % daemon.process.pid) as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(name + ":"))


def grows_little(daemon, act):
    with open("/proc/%d/clear_refs" % daemon.process.pid, "w") as file:
        file.write("5")  # The peak begins anew.
    before = memory(daemon, "VmRSS")
    act()
    growth = memory(daemon, "VmHWM") - before
    assert growth < GROWTH_MAX or HAS_SANITIZER, "%s grew by %d MB" % (daemon.name, growth >> 20)


def fill(daemon, table):
    step = 16000
    for begin in range(0, ROW_COUNT, step):
        rows = b"".join(b'{"k":%d,"v":"%s"}\n' % (k, b"x" * VALUE_SIZE) for k in range(begin, begin + step))
        assert command(daemon, "insert_rows", {"path": table, "input_format": "json"}, rows).json() == {}


def start_select(daemon, table):
    """A connection on which the answer to a query of the whole table begins to come."""
    host, port = daemon.http_address.split(":")
    connection = socket.create_connection((host, int(port)), timeout=retable.TIMEOUT_S)
    parameters = json.dumps({"query": "* from [%s]" % table, "output_format": "json"})
    head = "GET /api/v4/select_rows HTTP/1.1\r\nHost: x\r\nX-YT-Parameters: %s\r\nX-YT-Header-Format: json\r\n\r\n" % parameters
    connection.sendall(head.encode())
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection


def read_all(connection):
    answer = bytearray()
    while True:
        piece = connection.recv(1 << 20)
        if not piece:
            return bytes(answer)
        answer += piece
        if answer.endswith(b"\r\n\r\n") and b"\r\n0\r\n" in answer[-4096:]:
            return bytes(answer)


def parse(answer):
    """The body of a chunked answer, and its trailers."""
    body = []
    at = answer.index(b"\r\n\r\n") + 4
    while True:
        end = answer.index(b"\r\n", at)
        size = int(answer[at:end], 16)
        if size == 0:
            return b"".join(body), answer[end:]
        body.append(answer[end + 2 : end + 2 + size])
        at = end + 2 + size + 2


def test_whole(daemon, table):
    def over_http():
        connection = start_select(daemon, table)
        body, trailers = parse(read_all(connection))
        connection.close()
        lines = body.splitlines()
        assert b"X-YT-Error" not in trailers, trailers
        assert len(body) > WHOLE_SIZE_MAX and len(lines) == ROW_COUNT, (len(body), len(lines))
        assert json.loads(lines[0])["k"] == 0 and json.loads(lines[-1])["k"] == ROW_COUNT - 1

    def over_grpc():
        with subprocess.Popen(
            [os.environ["RETABLE"], "select-rows", "* from [%s]" % table, "--format", "json", "--print-statistics"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, YT_PROXY=daemon.address),
        ) as reader:
            out, statistics = reader.communicate(timeout=retable.TIMEOUT_S)
        assert reader.returncode == 0 and len(out) > WHOLE_SIZE_MAX and out.count(b"\n") == ROW_COUNT, (len(out), statistics)
        assert ('"rows_read" = %du;' % ROW_COUNT).encode() in statistics, statistics

    grows_little(daemon, over_http)
    grows_little(daemon, over_grpc)


def start_reader(daemon, table):
    """A process of the command line, to which an answer begins to come over gRPC."""
    reader = subprocess.Popen(
        [os.environ["RETABLE"], "select-rows", "* from [%s]" % table, "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ, YT_PROXY=daemon.address),
    )
    assert reader.stdout.read(1 << 20)
    return reader


def test_left(daemon, table):
    """Clients that leave in the middle: what was being read for them is given back."""
    for _ in range(3):
        start_select(daemon, table).close()
    with start_reader(daemon, table) as reader:
        reader.kill()
    until(lambda: requests_under_way(daemon) == 0, "no requests are under way")


def requests_under_way(daemon):
    text = ask(daemon, "GET", "/metrics").body.decode()
    return next(int(line.split()[-1]) for line in text.splitlines() if line.startswith("retable_requests "))


def test_stopped(daemon, table):
    """A daemon stops cleanly though nobody takes the rest of its answers."""
    connection = start_select(daemon, table)
    with start_reader(daemon, table) as reader:
        assert daemon.stop() == 0
        reader.kill()
    connection.close()
    daemon.start()


def test_replica_dies(daemon, node, table):
    """The rest of the answer cannot come: the client is told so in trailers."""
    connection = start_select(daemon, table)
    node.kill()
    _, trailers = parse(read_all(connection))
    assert b"X-YT-Error: {" in trailers and b"first" in trailers, trailers
    connection.close()


def test(world):
    node = world.node("first")
    primary = world.coordinator("primary", "--peer", "first=" + node.address)
    table = "//tmp/large"
    primary.create("replicated_table", table, attributes="{dynamic=%%true;schema=%s}" % SCHEMA)
    replica_id = primary.create(
        "table_replica",
        attributes='{table_path="%s";cluster_name=first;replica_path="//tmp/copy";mode=sync;enabled=%%true}' % table,
    )
    node.create("table", "//tmp/copy", attributes='{dynamic=%%true;schema=%s;upstream_replica_id="%s"}' % (SCHEMA, replica_id))
    node.mount("//tmp/copy")
    primary.mount(table)
    fill(primary, table)
    test_whole(primary, table)
    test_left(primary, table)
    test_stopped(node, "//tmp/copy")
    test_stopped(primary, table)

    def is_back():
        return primary.select("k from [%s] where k = 7" % table) == [{"k": 7}]

    until(is_back, "the replica is in sync again")
    test_replica_dies(primary, node, table)
    node.start()
    until(is_back, "the replica is in sync again")


if __name__ == "__main__":
    with retable.World() as world:
        test(world)
