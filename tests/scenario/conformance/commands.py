"""Every command through the official Python library; run by conformance_test.py in an environment that has it.

    commands.py META_ADDRESS REPLICA_ADDRESS REPLICA_CLUSTER
"""

import json
import sys
import time
import urllib.request

from yt import wrapper as yt
from yt import yson

HAS_BINDINGS = yson.TYPE == "BINARY"
KEYS = [{"name": "k", "type": "int64", "sort_order": "ascending"}]
SCHEMA = KEYS + [{"name": "v", "type": "string"}, {"name": "n", "type": "uint64"}, {"name": "a", "type": "any"}]
COUNTERS = KEYS + [{"name": "sum", "type": "int64", "aggregate": "sum"}]


def client_of(address):
    return yt.YtClient(
        address,
        config={
            # What must be refused is not tried for minutes. Nothing else is changed.
            "proxy": {"retries": {"enable": False}},
            "dynamic_table_retries": {"enable": False},
            "tabular_data_format": "yson" if HAS_BINDINGS else "json",
        },
    )


def until(condition, what):
    end = time.monotonic() + 30
    while True:
        try:
            value = condition()
            if value:
                return value
        except yt.YtResponseError as error:
            value = error
        assert time.monotonic() < end, "waited for %s; last: %s" % (what, value)
        time.sleep(0.02)


def metric(client, name):
    with urllib.request.urlopen("http://%s/metrics" % client.config["proxy"]["url"]) as answer:
        return next(float(line.split()[-1]) for line in answer.read().decode().splitlines() if line.startswith(name))


def refused(code, call, *args, **options):
    try:
        result = call(*args, **options)
    except yt.YtResponseError as error:
        assert error.contains_code(code), "expected code %d: %s" % (code, error)
        return str(error)
    raise AssertionError("it was not refused: %r" % result)


def equal(actual, expected):
    assert actual == expected, "expected %r, got %r" % (expected, actual)


def rows_of(rows):
    return [dict(row) for row in rows]


def test_tree(client):
    equal(client.exists("//tmp/tree"), False)
    node_id = client.create("map_node", "//tmp/tree", attributes={"note": "имя", "number": 5})
    equal(client.get("//tmp/tree/@id"), node_id)
    equal(client.get("#" + node_id + "/@note"), "имя")
    refused(501, client.create, "map_node", "//tmp/tree")
    equal(client.create("map_node", "//tmp/tree", ignore_existing=True), node_id)
    client.create("map_node", "//tmp/tree/a/b/c", recursive=True)
    for value in "text", 5, 2.5, True, ["list", 1], {"m": {"n": 1}}:
        client.set("//tmp/tree/value", value)
        equal(client.get("//tmp/tree/value"), value)
        client.remove("//tmp/tree/value", recursive=True)
    client.set("//tmp/tree/value", 5)
    client.set("//tmp/tree/map", {"x": 1, "y": {"z": "q"}})
    equal(client.get("//tmp/tree/map"), {"x": 1, "y": {"z": "q"}})
    equal(sorted(client.list("//tmp/tree")), ["a", "map", "value"])
    shown = client.list("//tmp/tree", attributes=["type"])
    equal({str(name): name.attributes["type"] for name in shown}["a"], "map_node")
    client.set("//tmp/tree/@more", ["a", {"b": 1}])
    equal(client.get("//tmp/tree/@more/1/b"), 1)
    equal(client.get_attribute("//tmp/tree", "note"), "имя")
    equal(client.has_attribute("//tmp/tree", "none"), False)
    client.set_attribute("//tmp/tree", "number", 6)
    equal(client.get("//tmp/tree/@number"), 6)
    equal(client.get("//tmp/tree", attributes=["number"]).attributes["number"], 6)
    client.remove("//tmp/tree/@more")
    equal(client.exists("//tmp/tree/@more"), False)
    client.remove("//tmp/tree/map", recursive=True)
    refused(500, client.get, "//tmp/tree/map")
    refused(500, client.get, "//tmp/tree/@none")
    assert "имени" in refused(500, client.get, "//tmp/нет/имени")
    client.remove("//tmp/tree/none", force=True)
    client.mkdir("//tmp/tree/deep/er", recursive=True)
    equal(sorted(client.search("//tmp/tree/deep")), ["//tmp/tree/deep", "//tmp/tree/deep/er"])


def test_moving(client, offers):
    client.create("map_node", "//tmp/moving/a", recursive=True, attributes={"note": 1})
    if offers("copy"):
        client.copy("//tmp/moving/a", "//tmp/moving/b")
        equal(client.get("//tmp/moving/b/@note"), 1)
    if offers("move"):
        client.move("//tmp/moving/a", "//tmp/moving/c")
        equal(client.exists("//tmp/moving/a"), False)
        equal(client.get("//tmp/moving/c/@note"), 1)
    if offers("link"):
        client.create("map_node", "//tmp/moving/target")
        client.link("//tmp/moving/target", "//tmp/moving/link")
        equal(client.get("//tmp/moving/link/@id"), client.get("//tmp/moving/target/@id"))


def test_rows(client, offers):
    path = "//tmp/rows"
    client.create("table", path, attributes={"dynamic": True, "schema": SCHEMA})
    refused(1702, client.insert_rows, path, [{"k": 1}])
    client.mount_table(path, sync=True)
    rows = [{"k": i, "v": "value %d" % i, "n": 2**63 + i, "a": {"list": [i]}} for i in range(100)]
    client.insert_rows(path, rows)
    equal(rows_of(client.lookup_rows(path, [{"k": 5}, {"k": 500}])), [rows[5]])
    equal(rows_of(client.lookup_rows(path, [{"k": 6}], column_names=["v"])), [{"v": "value 6"}])
    if HAS_BINDINGS:  # The library's reader of JSON does not take the null of a missing row.
        kept = list(client.lookup_rows(path, [{"k": 500}, {"k": 1}], keep_missing_rows=True))
        equal([not row or row == yson.YsonEntity() for row in kept], [True, False])
    client.insert_rows(path, [{"k": 5, "v": "new"}], update=True)
    equal(rows_of(client.lookup_rows(path, [{"k": 5}])), [dict(rows[5], v="new")])
    client.insert_rows(path, [{"k": 5, "v": "whole"}])
    equal(rows_of(client.lookup_rows(path, [{"k": 5}]))[0]["n"], None)
    client.delete_rows(path, [{"k": 7}, {"k": 8}])
    equal(rows_of(client.lookup_rows(path, [{"k": 7}])), [])
    equal(len(rows_of(client.select_rows("k, v from [%s]" % path))), 98)
    equal(rows_of(client.select_rows("k from [%s] where k in (1, 2, 7)" % path)), [{"k": 1}, {"k": 2}])
    equal(rows_of(client.select_rows("sum(k) as s from [%s] where k < 5 group by 1" % path)), [{"s": 10}])
    refused(307, client.insert_rows, path, [{"k": "no number"}])
    refused(1, client.select_rows, "nonsense from [%s] where" % path)
    refused(500, client.select_rows, "* from [//tmp/no/such]")
    if HAS_BINDINGS:
        client.insert_rows(path, [{"k": 200, "v": b"\xff\x00bytes"}])
        found = list(client.lookup_rows(path, [{b"k": 200}], format=yt.YsonFormat(encoding=None)))
        equal(found[0][b"v"], b"\xff\x00bytes")
    if offers("explain_query"):
        assert client.explain_query("* from [%s] where k = 1" % path)
    client.create("table", "//tmp/counters", attributes={"dynamic": True, "schema": COUNTERS})
    client.mount_table("//tmp/counters", sync=True)
    for _ in range(3):
        client.insert_rows("//tmp/counters", [{"k": 1, "sum": 2}], aggregate=True, update=True)
    equal(rows_of(client.lookup_rows("//tmp/counters", [{"k": 1}])), [{"k": 1, "sum": 6}])


def test_formats(client):
    path = "//tmp/rows"
    expected = b'{"k":1,"v":"value 1"}\n{"k":2,"v":"value 2"}\n'
    query = "k, v from [%s] where k in (1, 2)" % path
    equal(client.select_rows(query, format="json", raw=True).read(), expected)
    text = client.select_rows(query, format="<format=text>yson", raw=True).read()
    equal(text, b'{"k"=1;"v"="value 1";};\n{"k"=2;"v"="value 2";};\n')
    equal(client.select_rows(query, format="dsv", raw=True).read(), b"k=1\tv=value 1\nk=2\tv=value 2\n")
    columns = client.select_rows(query, format="<columns=[v;k]>schemaful_dsv", raw=True).read()
    equal(columns, b"value 1\t1\nvalue 2\t2\n")
    client.insert_rows(path, b'{"k":300,"v":"raw"}\n{"k":301}\n', format="json", raw=True)
    typeless = "<enable_string_to_all_conversion=%true>dsv"
    client.insert_rows(path, b"k=310\tv=300\n", format=typeless, raw=True)
    equal(client.lookup_rows(path, b"k=310\n", format=typeless, raw=True).read(), b"k=310\tv=300\n")
    client.delete_rows(path, b"k=310\n", format=typeless, raw=True)
    client.insert_rows(path, b'{k=302;v="raw"};\n{k=303}\n', format="yson", raw=True)
    equal(len(rows_of(client.select_rows("k from [%s] where k >= 300" % path))), 4)
    for encoding in "identity", "gzip":
        client.config["proxy"]["content_encoding"] = encoding
        client.config["proxy"]["accept_encoding"] = encoding
        rows = [{"k": 1000 + i, "v": "x" * 100} for i in range(3000)]
        client.insert_rows(path, rows)
        equal(len(rows_of(client.select_rows("k, v from [%s] where k >= 1000" % path))), 3000)
        client.delete_rows(path, [{"k": row["k"]} for row in rows])
    client.config["proxy"]["content_encoding"] = "gzip"


def test_tablets(client):
    path = "//tmp/tablets"
    client.create("table", path, attributes={"dynamic": True, "schema": SCHEMA})
    client.reshard_table(path, [[], [10], [20]])
    equal(client.get(path + "/@tablet_count"), 3)
    client.mount_table(path, sync=True)
    client.freeze_table(path, sync=True)
    refused(1702, client.insert_rows, path, [{"k": 1}])
    client.unfreeze_table(path, sync=True)
    client.insert_rows(path, [{"k": 1}, {"k": 15}])
    client.remount_table(path)
    infos = client.get_tablet_infos(path, [0, 1, 2])
    equal(len(infos["tablets"]), 3)
    equal(client.get_tablet_errors(path)["tablet_errors"], {})
    client.unmount_table(path, sync=True)
    client.alter_table(path, schema=SCHEMA + [{"name": "w", "type": "int64"}])
    equal(len(client.get(path + "/@schema")), 5)
    client.mount_table(path, sync=True)
    ordered = "//tmp/ordered"
    client.create("table", ordered, attributes={"dynamic": True, "schema": [{"name": "v", "type": "string"}]})
    client.mount_table(ordered, sync=True)
    client.insert_rows(ordered, [{"v": str(i)} for i in range(10)])
    client.trim_rows(ordered, 0, 4)
    until(lambda: len(rows_of(client.select_rows("v from [%s]" % ordered))) == 6, "rows are trimmed")
    equal(client.get_tablet_infos(ordered, [0])["tablets"][0]["trimmed_row_count"], 4)


def test_transactions(client):
    path = "//tmp/rows"
    with client.Transaction(type="tablet"):
        client.insert_rows(path, [{"k": 400, "v": "a"}])
        client.insert_rows(path, [{"k": 401, "v": "b"}])
        client.delete_rows(path, [{"k": 1}])
    equal(len(rows_of(client.lookup_rows(path, [{"k": 400}, {"k": 401}, {"k": 1}]))), 2)
    try:
        with client.Transaction(type="tablet"):
            client.insert_rows(path, [{"k": 402}])
            raise ValueError
    except ValueError:
        pass
    equal(rows_of(client.lookup_rows(path, [{"k": 402}])), [])
    transaction = client.start_transaction(type="tablet", timeout=60000)
    client.ping_transaction(transaction)
    client.abort_transaction(transaction)
    refused(11000, client.commit_transaction, transaction)
    transaction = client.start_transaction(type="tablet", timeout=100)
    # A ping would keep it alive.
    until(lambda: metric(client, "retable_tablet_transactions") == 0, "it runs out of time")
    refused(11000, client.ping_transaction, transaction)
    one = client.start_transaction(type="tablet", timeout=60000)
    other = client.start_transaction(type="tablet", timeout=60000)
    for each in one, other:
        with under(client, each):
            client.insert_rows(path, [{"k": 500, "v": each}])
    client.commit_transaction(one)
    refused(1700, client.commit_transaction, other)


class under:
    """Commands of a client go under a transaction."""

    def __init__(self, client, transaction):
        self.client = client
        self.transaction = transaction

    def __enter__(self):
        self.client.COMMAND_PARAMS["transaction_id"] = self.transaction

    def __exit__(self, *error):
        self.client.COMMAND_PARAMS["transaction_id"] = "0-0-0-0"


def test_replication(meta, replica, cluster):
    path = "//tmp/replicated"
    schema = KEYS + [{"name": "v", "type": "string"}]
    meta.create("replicated_table", path, attributes={"dynamic": True, "schema": schema})
    refused(1, meta.create, "table_replica", attributes={"table_path": path})
    replica_id = meta.create(
        "table_replica", attributes={"table_path": path, "cluster_name": cluster, "replica_path": "//tmp/replica"}
    )
    refused(500, meta.alter_table_replica, "1-2-2c5-3", enabled=True)
    replica.create(
        "table", "//tmp/replica", attributes={"dynamic": True, "schema": schema, "upstream_replica_id": replica_id}
    )
    meta.mount_table(path, sync=True)
    replica.mount_table("//tmp/replica", sync=True)
    refused(1714, meta.insert_rows, path, [{"k": 1, "v": "a"}])
    meta.insert_rows(path, [{"k": 1, "v": "a"}], require_sync_replica=False)
    refused(1736, meta.select_rows, "* from [%s]" % path)
    meta.alter_table_replica(replica_id, enabled=True, mode="sync")
    until(lambda: meta.get("#%s/@state" % replica_id) == "enabled", "the replica is enabled")
    until(lambda: meta.insert_rows(path, [{"k": 2, "v": "b"}]) or True, "the replica is in sync")
    equal(rows_of(meta.lookup_rows(path, [{"k": 1}, {"k": 2}])), [{"k": 1, "v": "a"}, {"k": 2, "v": "b"}])
    equal(len(rows_of(replica.select_rows("* from [//tmp/replica]"))), 2)
    timestamp = meta.generate_timestamp()
    assert timestamp > 1 << 60 or timestamp > 1 << 50, timestamp
    equal(meta.get_in_sync_replicas(path, timestamp, [{"k": 1}]), [replica_id])
    equal(meta.get_in_sync_replicas(path, timestamp, [], all_keys=True), [replica_id])
    refused(1, replica.insert_rows, "//tmp/replica", [{"k": 9, "v": "x"}])
    info = meta.get_tablet_infos(path, [0])["tablets"][0]["replica_infos"][0]
    equal(info["replica_id"], replica_id)
    equal(meta.get_tablet_errors(path)["replication_errors"], {})
    shown = meta.get(path + "/@replicas")
    equal(shown[replica_id]["cluster_name"], cluster)
    meta.alter_table_replica(replica_id, enabled=False)


def test_rest(client):
    equal(client.get_user_name(), "root")
    equal(client.get_current_user()["user"], "root")
    equal(client.check_permission("root", "read", "//tmp")["action"], "allow")
    batch = client.create_batch_client()
    made = batch.create("map_node", "//tmp/batch")
    wrong = batch.get("//tmp/no/such")
    batch.commit_batch()
    assert made.is_ok(), made.get_error()
    assert not wrong.is_ok()
    equal(wrong.get_error()["code"], 500)
    batch = client.create_batch_client()
    found = batch.exists("//tmp/batch")
    listed = batch.list("//tmp/tree")
    batch.commit_batch()
    equal(found.get_result(), True)
    assert "a" in list(listed.get_result())


def main():
    meta_address, replica_address, cluster = sys.argv[1:]
    meta = client_of(meta_address)
    replica = client_of(replica_address)
    with urllib.request.urlopen("http://%s/api/v4" % meta_address) as answer:
        known = {command["name"] for command in json.load(answer)}

    def offers(name):
        return name in known

    test_tree(meta)
    test_moving(meta, offers)
    test_rows(meta, offers)
    test_formats(meta)
    test_tablets(meta)
    test_transactions(meta)
    test_replication(meta, replica, cluster)
    test_rest(meta)
    print("all is well, %s" % ("with bindings" if HAS_BINDINGS else "without bindings"))


if __name__ == "__main__":
    main()
