"""The HTTP interface by hand: what official clients do not try, and what operators ask for."""

import gzip
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import zlib

import clients
import retable
from retable import until

KEYS = [{"name": "k", "type": "int64", "sort_order": "ascending"}]
SCHEMA = KEYS + [{"name": "v", "type": "string"}]


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()
        self.error = None
        if response.status >= 400 and response.headers.get("Content-Type") == "application/json":
            self.error = json.loads(self.body)
            if len(self.body) >= 12000:  # Too long for a head, which then has neither.
                assert "X-YT-Error" not in self.headers and "X-YT-Response-Code" not in self.headers
                return
            assert self.headers["X-YT-Error"].encode() == self.body, self.headers
            assert self.headers["X-YT-Response-Code"] == str(self.error["code"])

    def json(self):
        assert self.status == 200, (self.status, self.body)
        return json.loads(self.body)


def ask(daemon, method, path, parameters=None, body=None, headers=None):
    connection = http.client.HTTPConnection(daemon.http_address, timeout=retable.TIMEOUT_S)
    headers = dict(headers or {})
    if parameters is not None:
        headers["X-YT-Parameters"] = json.dumps(parameters)
    connection.request(method, path, body, headers)
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def command(daemon, name, parameters, body=None, method="PUT", headers=None, version="v4"):
    return ask(daemon, method, "/api/%s/%s" % (version, name), parameters, body, headers)


def post(daemon, name, parameters, version="v4"):
    return ask(daemon, "POST", "/api/%s/%s" % (version, name), None, json.dumps(parameters))


def refused(answer, status, code):
    assert answer.status == status and answer.error["code"] == code, (answer.status, answer.body)
    return answer.error["message"]


def test_shapes(daemon):
    create = {"type": "map_node", "path": "//tmp/shapes"}
    node_id = post(daemon, "create", create).json()["node_id"]
    assert post(daemon, "get", {"path": "//tmp/shapes/@id"}, "v3").json() == node_id
    assert post(daemon, "get", {"path": "//tmp/shapes/@id"}).json() == {"value": node_id}
    assert post(daemon, "get", {"path": "//tmp/shapes/@id", "return_only_value": True}).json() == node_id
    assert post(daemon, "remove", {"path": "//tmp/shapes"}).json() == {}
    assert post(daemon, "create", create, "v3").json() != node_id
    empty = post(daemon, "remove", {"path": "//tmp/shapes"}, "v3")
    assert (empty.status, empty.body) == (200, b"")
    # What v4 has renamed works under both names in both versions.
    for version, name, form in ("v3", "start_tx", "%s"), ("v4", "start_tx", "{%s}"), ("v3", "start_transaction", "%s"):
        answer = post(daemon, name, {"type": "tablet"}, version).json()
        assert isinstance(answer, dict) == (form == "{%s}"), answer
    # A query alone.
    listed = ask(daemon, "GET", "/api/v4/list/?path=/&output_format[$value]=yson&output_format[$attributes][format]=text")
    assert listed.headers["Content-Type"] == "application/x-yt-yson-text" and listed.body.startswith(b'{"value"=['), listed.body
    assert ask(daemon, "GET", "/API/V3/exists?path=//tmp").json() is True
    # Commands and their kinds, each with five keys.
    for version in "v3", "v4":
        for entry in ask(daemon, "GET", "/api/" + version).json():
            assert sorted(entry) == ["input_type", "is_heavy", "is_volatile", "name", "output_type"], entry
    assert ask(daemon, "GET", "/api/").json() == ["v3", "v4"]
    assert ask(daemon, "GET", "/hosts").json() == [daemon.http_address]
    assert ask(daemon, "POST", "/auth/whoami", body="{}").json()["login"] == "root"
    assert ask(daemon, "GET", "/version").body
    assert ask(daemon, "GET", "/service").json()["version"]


def test_refusals(daemon):
    assert refused(ask(daemon, "GET", "/nowhere"), 404, 1) == "Nothing is served at /nowhere"
    refused(ask(daemon, "GET", "/api/v4/no_such"), 404, 1)
    refused(ask(daemon, "GET", "/api/v4/get"), 400, 1)
    assert "имя" in refused(command(daemon, "get", {"path": "//tmp/имя"}, method="GET", headers={"X-YT-Header-Format": "<encode_utf8=%false>json"}), 400, 500)
    refused(command(daemon, "set", {"path": "//tmp/x"}, "1", headers={"Content-Encoding": "zip"}), 415, 1)
    refused(command(daemon, "set", {"path": "//tmp/x"}, "not json"), 400, 1)
    refused(ask(daemon, "GET", "/api/v4/get", headers={"X-YT-Parameters": "{"}), 400, 1)
    refused(command(daemon, "get", {"path": "//tmp", "output_format": "skiff"}, method="GET"), 400, 1)


def make_table(daemon, path):
    post(daemon, "create", {"type": "table", "path": path, "attributes": {"dynamic": True, "schema": SCHEMA}}).json()
    daemon.mount(path)


def test_bodies(daemon):
    path = "//tmp/bodies"
    make_table(daemon, path)
    rows = b"".join(b'{"k":%d,"v":"%s"}\n' % (i, b"x" * 50) for i in range(5000))
    parameters = {"path": path, "input_format": "json"}
    for encoding, body in (None, rows), ("gzip", gzip.compress(rows)), ("gzip", zlib.compress(rows)), ("deflate", zlib.compress(rows)):
        headers = {"Content-Encoding": encoding} if encoding else {}
        assert command(daemon, "insert_rows", parameters, body, headers=headers).json() == {}
    # In chunks, of sizes that cut rows anywhere.
    pieces = (rows[i : i + 997] for i in range(0, len(rows), 997))
    assert command(daemon, "insert_rows", parameters, pieces).json() == {}
    query = {"query": "k, v from [%s]" % path, "output_format": "json"}
    plain = command(daemon, "select_rows", query, method="GET")
    assert plain.body == rows and plain.headers.get("Content-Encoding") is None
    packed = command(daemon, "select_rows", query, method="GET", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.body) == rows
    blocks = command(daemon, "select_rows", query, method="GET", headers={"Accept-Encoding": "z-zstd_3"})
    assert blocks.headers["Content-Encoding"] == "z-zstd_3" and len(blocks.body) < len(rows) / 4
    short = {"query": "k from [%s] where k = 1" % path, "output_format": "json"}
    small = command(daemon, "select_rows", short, method="GET", headers={"Accept-Encoding": "gzip"})
    assert small.body == b'{"k":1}\n' and small.headers.get("Content-Encoding") is None
    counted = command(daemon, "select_rows", dict(short, enable_statistics=True), method="GET")
    assert json.loads(counted.headers["X-YT-Response-Parameters"])["rows_read"] == 1, counted.headers
    bad = gzip.compress(rows)[:-20]
    refused(command(daemon, "insert_rows", parameters, bad, headers={"Content-Encoding": "gzip"}), 400, 1)


def test_late_error(daemon):
    """What goes wrong after the first rows were sent is said in trailers."""
    path = "//tmp/late"
    make_table(daemon, path)
    rows = "".join("{k=%d;v=%s};" % (i, "x" * 100) for i in range(5000)) + '{k=5000;v="\\xff"}'
    parameters = {"path": path, "input_format": "yson"}
    assert command(daemon, "insert_rows", parameters, rows).json() == {}
    query = {"query": "k, v from [%s]" % path}
    query["output_format"] = {"$value": "json", "$attributes": {"encode_utf8": False}}
    connection = http.client.HTTPConnection(daemon.http_address, timeout=retable.TIMEOUT_S)
    connection.connect()
    head = "GET /api/v4/select_rows HTTP/1.1\r\nHost: x\r\nX-YT-Parameters: %s\r\nConnection: close\r\n\r\n"
    connection.sock.sendall((head % json.dumps(query)).encode())
    answer = b""
    while True:
        piece = connection.sock.recv(65536)
        if not piece:
            break
        answer += piece
    connection.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer[:100]
    assert b"Trailer: X-YT-Error, X-YT-Response-Code" in answer
    trailers = answer[answer.rindex(b"\r\n0\r\n") :]
    assert b"X-YT-Error: {" in trailers and b"X-YT-Response-Code: 1\r\n" in trailers, trailers
    # In the first row it is an ordinary error.
    query["query"] += " where k = 5000"
    refused(command(daemon, "select_rows", query, method="GET"), 400, 1)


def test_parts(daemon):
    """A large answer is made while it is read; who stops reading leaves nothing behind."""
    path = "//tmp/parts"
    make_table(daemon, path)
    text = "x" * 1000
    for begin in range(0, 30000, 10000):
        rows = "".join('{"k":%d,"v":"%s%d"}\n' % (k, text, k) for k in range(begin, begin + 10000))
        assert command(daemon, "insert_rows", {"path": path, "input_format": "json"}, rows).json() == {}
    query = {"query": "k, v from [%s]" % path, "output_format": "json"}
    for encoding in "identity", "gzip":
        answer = command(daemon, "select_rows", query, method="GET", headers={"Accept-Encoding": encoding})
        body = gzip.decompress(answer.body) if encoding == "gzip" else answer.body
        found = [json.loads(line) for line in body.splitlines()]
        assert found == [{"k": k, "v": "%s%d" % (text, k)} for k in range(30000)], (len(found), answer.headers)

    def metrics():
        return ask(daemon, "GET", "/metrics").body.decode()

    connections = []
    for _ in range(3):
        connection = http.client.HTTPConnection(daemon.http_address, timeout=retable.TIMEOUT_S)
        connection.request("GET", "/api/v4/select_rows", headers={"X-YT-Parameters": json.dumps(query)})
        connection.getresponse().read(100000)
        connections.append(connection)
    assert metric(metrics(), "retable_requests") == 3
    for connection in connections[:2]:
        connection.close()
    until(lambda: metric(metrics(), "retable_requests") == 1, "the others are forgotten")
    until(lambda: metric(metrics(), "retable_store_snapshots", family="data") == 1, "their snapshots are, too")
    return connections[2]  # It is read no further, and must not hold up what follows.


def test_repeated(daemon):
    """A mutation that is sent again hears the first answer, also from a process that was killed in between."""
    create = {"type": "map_node", "path": "//tmp/repeated", "mutation_id": "a-b-c-d"}
    first = post(daemon, "create", create).json()
    assert post(daemon, "create", dict(create, retry=True)).json() == first
    refusal = dict(create, mutation_id="a-b-c-e")
    refused(post(daemon, "create", refusal), 400, 501)
    daemon.kill()
    daemon.start()
    assert post(daemon, "create", dict(create, retry=True)).json() == first
    post(daemon, "remove", {"path": "//tmp/repeated"}).json()
    refused(post(daemon, "create", dict(refusal, retry=True)), 400, 501)
    assert post(daemon, "create", dict(create, retry=True)).json() == first
    assert post(daemon, "exists", {"path": "//tmp/repeated"}).json() == {"value": False}


def test_parts_again(daemon):
    """An answer that is being read when the daemon stops."""
    query = {"query": "k, v from [//tmp/parts]", "output_format": "json"}
    connection = http.client.HTTPConnection(daemon.http_address, timeout=retable.TIMEOUT_S)
    connection.request("GET", "/api/v4/select_rows", headers={"X-YT-Parameters": json.dumps(query)})
    connection.getresponse().read(100000)
    return connection


def metric(text, name, **labels):
    for line in text.splitlines():
        found = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? (\S+)", line)
        if not found or found.group(1) != name:
            continue
        if all('%s="%s"' % pair in (found.group(2) or "") for pair in labels.items()):
            return float(found.group(3))
    raise AssertionError("there is no %s with %s" % (name, labels))


def check_metrics(text):
    """What promtool finds, and as far as it goes without it."""
    names = re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE)
    assert len(names) == len(set(names)), names
    helped = re.findall(r"^# HELP (\S+) .", text, re.MULTILINE)
    assert names == helped
    current = None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            current, kind = line.split()[2:]
            assert (kind == "counter") == current.endswith("_total"), line
            allowed = [current + "_sum", current + "_count"] if kind == "summary" else [current]
        elif not line.startswith("#"):
            assert line.split("{")[0].split()[0] in allowed, line
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr.strip(), done.stderr


def test_operators(world):
    replica = world.node("replica")
    meta = world.coordinator("meta", "--peer", "replica=" + replica.address)
    for daemon in replica, meta:
        for path in "/ping", "/health/live", "/health/ready":
            assert ask(daemon, "GET", path).status == 200, path
    attributes = {"dynamic": True, "schema": SCHEMA}
    post(meta, "create", {"type": "replicated_table", "path": "//tmp/r", "attributes": attributes}).json()
    of_replica = {"table_path": "//tmp/r", "cluster_name": "replica", "replica_path": "//tmp/<r>", "mode": "async"}
    replica_id = post(meta, "create", {"type": "table_replica", "attributes": of_replica}).json()["object_id"]
    bound = dict(attributes, upstream_replica_id=replica_id)
    post(replica, "create", {"type": "table", "path": "//tmp/<r>", "attributes": bound}).json()
    replica.mount("//tmp/<r>")
    meta.mount("//tmp/r")
    loose = {"path": "//tmp/r", "input_format": "json", "require_sync_replica": False}
    assert command(meta, "insert_rows", loose, '{"k":1,"v":"test"}').json() == {}

    text = ask(meta, "GET", "/metrics").body.decode()
    check_metrics(text)
    assert metric(text, "retable_write_rows_total", table_path="//tmp/r") == 1
    assert metric(text, "retable_commit_data_weight_bytes_total", table_path="//tmp/r") == 13
    assert metric(text, "retable_replica_lag_rows", replica_id=replica_id) == 1
    assert metric(text, "retable_replica_info", replica_id=replica_id, mode="async", state="disabled") == 1
    assert metric(text, "process_resident_memory_bytes") > 1 << 20
    post(meta, "alter_table_replica", {"replica_id": replica_id, "enabled": True}).json()
    until(lambda: metric(ask(meta, "GET", "/metrics").body.decode(), "retable_replica_lag_rows") == 0, "no lag")
    text = ask(meta, "GET", "/metrics").body.decode()
    assert metric(text, "retable_replica_replication_rows_total", replica_cluster="replica") == 1
    there = ask(replica, "GET", "/metrics").body.decode()
    check_metrics(there)
    assert metric(there, "retable_commit_rows_total", table_path="//tmp/<r>") == 1

    test_sensors(meta, replica)

    page = ask(meta, "GET", "/")
    assert page.headers["Content-Type"].startswith("text/html")
    page = page.body.decode()
    for part in "//tmp/r", "//tmp/&lt;r&gt;", replica_id, "<td>async</td>", "<td>enabled</td>", replica.address, "connected":
        assert part in page, part
    assert "<script" not in page
    # A replica that is away shows with what is wrong.
    replica.kill()
    until(lambda: "class=bad>not connected" in ask(meta, "GET", "/").body.decode(), "the page says so")


# The sensors of YTsaurus's tablet nodes, and what they are here.
SENSORS = {
    "write/row_count": "retable_write_rows_total",
    "write/data_weight": "retable_write_data_weight_bytes_total",
    "commit/row_count": "retable_commit_rows_total",
    "commit/data_weight": "retable_commit_data_weight_bytes_total",
    "replica/lag_row_count": "retable_replica_lag_rows",
    "replica/lag_time": "retable_replica_lag_seconds",
    "replica/replication_row_count": "retable_replica_replication_rows_total",
    "replica/replication_data_weight": "retable_replica_replication_data_weight_bytes_total",
    "replica/replication_error_count": "retable_replica_replication_errors_total",
    "replica/replication_batch_row_count": "retable_replica_replication_batch_rows",
    "replica/replication_batch_data_weight": "retable_replica_replication_batch_data_weight_bytes",
    "replica/replication_throttle_time": "retable_replica_replication_throttle_seconds",
    "replica/replication_transaction_start_time": "retable_replica_replication_start_seconds",
    "replica/replication_transaction_commit_time": "retable_replica_replication_commit_seconds",
    "replica/replication_rows_write_time": "retable_replica_replication_write_seconds",
    "replica/replication_rows_read_time": "retable_store_log_read_seconds",
    "replica/replication_bytes_throttled": "retable_replica_replication_throttled_bytes_total",
    "replica_mode_switch_count": "retable_replica_mode_switches_total",
}


def sensors(daemon, path):
    """The values of all sensors of a table; of summaries their counts."""
    text = ask(daemon, "GET", "/metrics").body.decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)", text, re.MULTILINE))
    return {
        sensor: metric(
            text,
            name + ("_count" if kinds[name] == "summary" else ""),
            **({} if name.startswith("retable_store_") else {"table_path": path}),
        )
        for sensor, name in SENSORS.items()
    }


def summary(daemon, name, path):
    text = ask(daemon, "GET", "/metrics").body.decode()
    return metric(text, name + "_sum", table_path=path), metric(text, name + "_count", table_path=path)


def test_sensors(meta, replica):
    """Each sensor is documented, there, and moves."""
    with open(os.path.join(os.path.dirname(__file__), "../../docs/metrics.md")) as file:
        lines = file.read().splitlines()
    for sensor, name in SENSORS.items():
        shown = sensor.replace("replica/", "", 1) if sensor.startswith("replica/replication_") else sensor
        assert any("`%s`" % shown in line and "`%s`" % name in line for line in lines), (sensor, name)

    path, there = "//tmp/sensors", "//tmp/sensors_there"
    attributes = {"dynamic": True, "schema": SCHEMA}
    post(meta, "create", {"type": "replicated_table", "path": path, "attributes": attributes}).json()
    of_replica = {"table_path": path, "cluster_name": "replica", "replica_path": there, "mode": "async", "enabled": True}
    replica_id = post(meta, "create", {"type": "table_replica", "attributes": of_replica}).json()["object_id"]
    bound = dict(attributes, upstream_replica_id=replica_id)
    post(replica, "create", {"type": "table", "path": there, "attributes": bound}).json()
    replica.mount(there)
    meta.mount(path)
    before = sensors(meta, path)
    assert before["write/row_count"] == before["replica/replication_row_count"] == 0, before

    def insert(begin, count, size=100):
        rows = "\n".join('{"k":%d,"v":"%s"}' % (k, "x" * size) for k in range(begin, begin + count))
        loose = {"path": path, "input_format": "json", "require_sync_replica": False}
        assert command(meta, "insert_rows", loose, rows).json() == {}

    # More than is kept in memory of a log.
    meta.run("alter-table-replica", replica_id, "--disable")
    for i in range(3):
        insert(1000 + 40 * i, 40, size=100000)
    meta.run("alter-table-replica", replica_id, "--enable")
    until(lambda: sensors(meta, path)["replica/lag_row_count"] == 0, "it has what was written meanwhile")

    # Each transaction has more than the throttler lets go in a second.
    meta.run("set", path + "/@replication_throttler", "{limit=5000}")
    meta.run("remount-table", path)
    for i in range(3):
        insert(60 * i, 60)
    until(lambda: sensors(meta, path)["replica/lag_time"] > 0, "the replica is behind")
    assert sensors(meta, path)["replica/lag_row_count"] > 0
    until(lambda: sensors(meta, path)["replica/lag_row_count"] == 0, "it has everything")
    assert sensors(meta, path)["replica/lag_time"] == 0
    total, count = summary(meta, "retable_replica_replication_batch_rows", path)
    assert total == 300 and count >= 6, (total, count)
    total, count = summary(meta, "retable_replica_replication_throttle_seconds", path)
    assert total > 0.5, (total, count)
    for name in "write", "start":
        assert summary(meta, "retable_replica_replication_%s_seconds" % name, path)[0] > 0, name

    errors = sensors(meta, path)["replica/replication_error_count"]
    replica.run("unmount-table", there, "--sync")
    insert(0, 1)
    until(lambda: sensors(meta, path)["replica/replication_error_count"] > errors, "the replica refuses it")
    replica.mount(there)
    meta.run("set", path + "/@replicated_table_options", "{enable_replicated_table_tracker=%true}")
    until(lambda: sensors(meta, path)["replica_mode_switch_count"] == 1, "the tracker makes it synchronous")
    until(lambda: sensors(meta, path)["replica/lag_row_count"] == 0, "it has the row, too")
    after = sensors(meta, path)
    still = [sensor for sensor in SENSORS if after[sensor] <= before[sensor] and not sensor.startswith("replica/lag")]
    assert not still, (still, after)
    meta.run("remove", path)
    text = ask(meta, "GET", "/metrics").body.decode()
    check_metrics(text)
    assert path not in text


def test_stopping(daemon):
    """An idle connection does not hold up a stop, and a daemon without HTTP has no port for it."""
    connection = http.client.HTTPConnection(daemon.http_address, timeout=retable.TIMEOUT_S)
    connection.request("GET", "/hosts")
    connection.getresponse().read()
    assert daemon.stop() == 0
    daemon.args += ["--http-address", "off"]
    path = daemon.launch()
    until(lambda: retable.os.path.exists(path), "it starts")
    with open(path) as file:
        assert file.read().split()[1] == "0"
    assert daemon.stop(signal.SIGTERM) == 0
    connection.close()


def test():
    with retable.World() as world:
        daemon = world.node("single")
        test_shapes(daemon)
        test_refusals(daemon)
        test_bodies(daemon)
        test_late_error(daemon)
        stalled = test_parts(daemon)
        test_repeated(daemon)
        stalled.close()
        stalled = test_parts_again(daemon)
        test_stopping(daemon)
        stalled.close()
        test_operators(world)


if __name__ == "__main__":
    clients.run_test(test)
