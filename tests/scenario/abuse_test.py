"""Clients that behave badly over HTTP: each meets a limit with a clear error, and the daemon goes on, no bigger than before."""

import gzip
import http.client
import json
import os
import socket
import struct
import time

import retable
from http_test import ask, command, make_table, refused

CONNECTION_COUNT = 1000
MEMORY_MAX = (4096 if "ASAN_OPTIONS" in os.environ else 512) << 20  # A sanitizer takes several times as much.


def status_of(daemon, name):
    with open("/proc/%d/status" % daemon.process.pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name + ":"))


def thread_count(daemon):
    return status_of(daemon, "Threads")


def memory(daemon):
    return status_of(daemon, "VmRSS") << 10


def connect(daemon):
    host, port = daemon.http_address.split(":")
    return socket.create_connection((host, int(port)), timeout=retable.TIMEOUT_S)


def is_alive(daemon):
    assert ask(daemon, "GET", "/ping").status == 200
    assert ask(daemon, "GET", "/api/v3/exists?path=//tmp").json() is True


def test_slow_and_gone(daemon):
    """Clients that stop midway: in a head, in a body, with an answer under way."""
    held = []
    heads = [
        b"GET /api/v4/get HTT",
        b"GET /api/v4/get HTTP/1.1\r\nHost: x\r\nX-YT-Para",
        b"PUT /api/v4/set HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
        b"PUT /api/v4/set HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n{",
        b"PUT /api/v4/set HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n\r\n",
    ]
    for head in heads * 20:
        connection = connect(daemon)
        connection.sendall(head)
        held.append(connection)
    is_alive(daemon)
    for i, connection in enumerate(held):
        if i % 2:  # Half of them say nothing, the others break off.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    for _ in range(50):  # Asks, and does not wait for the answer.
        connection = connect(daemon)
        parameters = json.dumps({"query": "* from [//tmp/abuse]"})
        connection.sendall(b"GET /api/v4/select_rows HTTP/1.1\r\nHost: x\r\nX-YT-Parameters: %s\r\n\r\n" % parameters.encode())
        connection.close()
    is_alive(daemon)


def test_oversize(daemon):
    # A head: the answer may get lost when the connection breaks under what was sent in vain.
    try:
        answer = ask(daemon, "GET", "/api/v4/get", headers={"X-YT-Parameters": "x" * 400000})
        assert answer.status == 431, answer.status
    except (OSError, http.client.HTTPException):
        pass
    # What fits, as Python's client sends long queries.
    long_path = {"path": "//tmp/" + "x" * 200000}
    refused(command(daemon, "get", long_path, method="GET"), 400, 1)
    refused(command(daemon, "set", {"path": "//tmp/big"}, b'"' + b"x" * (17 << 20) + b'"'), 400, 1)
    refused(ask(daemon, "POST", "/api/v4/get", None, b'{"path":"' + b"x" * (17 << 20) + b'"}'), 400, 1)
    for nest in ("[", "{a=", "<a="), ("{\"a\":", "[", "{\"a\":["):
        text = (nest[0] * 100000).encode()
        kind = "json" if nest[0].startswith('{"') else "yson"
        refused(command(daemon, "set", {"path": "//tmp/deep", "input_format": kind}, text), 400, 1)
    deep_query = "&".join("a%s=1" % ("[b]" * 1000) for _ in range(3))
    refused(ask(daemon, "GET", "/api/v4/get?" + deep_query), 400, 1)
    is_alive(daemon)


def test_bombs(daemon):
    """Little that becomes a lot."""
    zeros = gzip.compress(b"\0" * (300 << 20), 9)
    before = memory(daemon)
    refused(command(daemon, "set", {"path": "//tmp/bomb"}, zeros, headers={"Content-Encoding": "gzip"}), 400, 1)
    row = b'{"k":1,"v":"%s"}\n' % (b"x" * 1000)
    rows = gzip.compress(row * 200000, 9)  # 200 MB of rows.
    parameters = {"path": "//tmp/abuse", "input_format": "json"}
    refused(command(daemon, "insert_rows", parameters, rows, headers={"Content-Encoding": "gzip"}), 400, 1717)
    block = struct.pack("<HQQ", 23308, 1000, 1 << 40) + b"x" * 992
    refused(command(daemon, "insert_rows", parameters, block, headers={"Content-Encoding": "z-zstd_3"}), 400, 1)
    assert memory(daemon) < max(MEMORY_MAX, before), memory(daemon)
    is_alive(daemon)


def test_million_rows(daemon):
    """More rows than a transaction takes: refused as a whole, and nothing is written."""
    before = json.loads(command(daemon, "select_rows", {"query": "sum(1) as n from [//tmp/abuse] group by 1", "output_format": "json"}, method="GET").body or b'{"n":0}')["n"]
    rows = b"".join(b'{"k":%d}\n' % i for i in range(1000000))
    answer = command(daemon, "insert_rows", {"path": "//tmp/abuse", "input_format": "json"}, rows)
    assert "too many rows" in json.dumps(answer.error).lower(), answer.error
    refused(answer, 400, 1717)
    after = json.loads(command(daemon, "select_rows", {"query": "sum(1) as n from [//tmp/abuse] group by 1", "output_format": "json"}, method="GET").body or b'{"n":0}')["n"]
    assert before == after
    assert memory(daemon) < MEMORY_MAX, memory(daemon)
    fitting = b"".join(b'{"k":%d}\n' % i for i in range(200000))
    assert command(daemon, "insert_rows", {"path": "//tmp/abuse", "input_format": "json"}, fitting).json() == {}


def test_idle_connections(daemon):
    threads = thread_count(daemon)
    connections = []
    for _ in range(CONNECTION_COUNT):
        connection = connect(daemon)
        connection.sendall(b"GET /hosts HTTP/1.1\r\nHost: x\r\n\r\n")
        connections.append(connection)
    for connection in connections:
        answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200"), answer
    first = memory(daemon)
    assert first < MEMORY_MAX, first
    for _ in range(3):  # They stay, are used again, and cost no more.
        for connection in connections:
            connection.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        for connection in connections:
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        is_alive(daemon)
    assert memory(daemon) < first + (32 << 20), (first, memory(daemon))
    print("%d connections: %d MB" % (CONNECTION_COUNT, memory(daemon) >> 20))
    assert thread_count(daemon) <= threads, (threads, thread_count(daemon))
    count = b"retable_http_connections %d\n" % (CONNECTION_COUNT + 1)  # Others end soon.
    retable.until(lambda: count in ask(daemon, "GET", "/metrics").body, "only these are left")
    for connection in connections:
        connection.close()
    retable.until(lambda: b"retable_http_connections 1\n" in ask(daemon, "GET", "/metrics").body, "they are gone")


def test_many_at_once(daemon):
    """Bodies that together are more than the daemon keeps: some are told to come again, none is lost in silence."""
    connections = []
    body = b'"' + b"x" * (15 << 20) + b'"'
    head = b"PUT /api/v4/set HTTP/1.1\r\nHost: x\r\nX-YT-Parameters: {\"path\":\"//tmp/many\"}\r\nContent-Length: %d\r\n\r\n"
    for _ in range(30):
        connection = connect(daemon)
        connection.sendall(head % len(body) + body[:-1])
        connections.append(connection)
    answers = []
    for connection in connections:
        connection.sendall(body[-1:])
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = connection.recv(65536)
            assert piece, answer
            answer += piece
        answers.append(answer[9:12])
        connection.close()
    assert set(answers) <= {b"400", b"503"} and b"503" in answers, answers
    assert memory(daemon) < MEMORY_MAX, memory(daemon)
    is_alive(daemon)


def test():
    with retable.World() as world:
        daemon = world.node("abused")
        make_table(daemon, "//tmp/abuse")
        for each in test_slow_and_gone, test_oversize, test_bombs, test_million_rows, test_many_at_once:
            start = time.monotonic()
            each(daemon)
            print("%s %.1f s, %d MB" % (each.__name__, time.monotonic() - start, memory(daemon) >> 20), flush=True)
        test_idle_connections(world.node("idle"))


if __name__ == "__main__":
    test()
