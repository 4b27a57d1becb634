"""docs/compatibility.md tried line by line through the official Python library: a case for each row of its tables. Run by
conformance_test.py in an environment that has the library.

    compatibility.py META_ADDRESS REPLICA_ADDRESS REPLICA_CLUSTER

A row without a case fails, and so does a case without a row.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import traceback
import urllib.error
import urllib.request

from yt import wrapper as yt
from yt.wrapper import driver

from commands import KEYS, client_of, equal, metric, refused, rows_of, under, until

SCHEMA = KEYS + [{"name": "v", "type": "string"}]
TYPED = KEYS + [
    {"name": "u", "type": "uint64"}, {"name": "d", "type": "double"}, {"name": "b", "type": "boolean"},
    {"name": "s", "type": "string"}, {"name": "y", "type": "any"},
]  # fmt: skip
DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "docs", "compatibility.md")
# Rows about other clients: conformance_test.py runs these with their own programs.
ELSEWHERE = {"Go", "JavaScript"}
NO_ID = "1-2-3-4"

CASES = {}


def row(name):
    """The case of the row whose first cell this is, without its marks."""

    def register(case):
        assert name not in CASES, name
        CASES[name] = case
        return case

    return register


def rows_of_document():
    with open(DOCUMENT) as file:
        lines = file.read().splitlines()
    tables = [(line, after) for line, after in zip(lines, lines[1:] + [""]) if line.startswith("|")]
    heads = {line for line, after in tables if after.startswith("|---")}
    cells = [line.split("|")[1].strip().replace("`", "") for line, _ in tables if line not in heads]
    return [cell for cell in cells if cell and set(cell) != {"-"}]


def ask(client, command, data=None, mutation_id=None, **parameters):
    """A command with parameters as they are; its answer has the shape of version 4."""
    answer = driver.make_formatted_request(
        command, parameters, "json", data=data, mutation_id=mutation_id, client=client
    )
    return json.loads(answer) if answer else None


def selected(client, query, **options):
    return rows_of(client.select_rows(query, **options))


def table(client, path, schema=SCHEMA, mount=True, **attributes):
    client.create("table", path, recursive=True, attributes=dict(attributes, dynamic=True, schema=schema))
    if mount:
        client.mount_table(path, sync=True)
    return path


class Clusters:
    def __init__(self, meta, replica, replica_name):
        self.meta = meta
        self.replica = replica
        self.replica_name = replica_name
        self.address = meta.config["proxy"]["url"]

    def replicated(self, path, mode="sync", schema=SCHEMA):
        """A replicated table with one replica that is in sync, or enabled at least; returns the replica's id."""
        self.meta.create("replicated_table", path, recursive=True, attributes={"dynamic": True, "schema": schema})
        replica_path = path + "_replica"
        attributes = {"table_path": path, "cluster_name": self.replica_name, "replica_path": replica_path, "mode": mode}
        replica_id = self.meta.create("table_replica", attributes=attributes)
        table(self.replica, replica_path, schema=schema, upstream_replica_id=replica_id)
        self.meta.mount_table(path, sync=True)
        self.meta.alter_table_replica(replica_id, enabled=True)
        wait = {} if mode == "sync" else {"require_sync_replica": False}
        until(lambda: self.meta.insert_rows(path, [{"k": 0}], **wait) or True, "the replica is in sync")
        return replica_id


# ---------------------------------------------------------------------------------------------------------------------
# Commands


@row("create")
def create(of):
    client, home = of.meta, "//tmp/create"
    client.create("map_node", home + "/a/b", recursive=True)
    refused(500, client.create, "map_node", home + "/no/parent")
    equal(client.create("map_node", home, ignore_existing=True), client.get(home + "/@id"))
    refused(501, client.create, "map_node", home)
    client.create("document", home, force=True, attributes={"value": {"x": 1}})
    equal(client.get(home), {"x": 1})
    for kind in "string_node", "int64_node", "uint64_node", "double_node", "boolean_node", "list_node":
        equal(client.get(client.create(kind, "//tmp/create_" + kind) and "//tmp/create_%s/@type" % kind), kind)
    for kind in "table", "replicated_table":
        client.create(kind, "//tmp/create_" + kind, attributes={"dynamic": True, "schema": SCHEMA})
    assert client.create("table_collocation", attributes={"collocation_type": "replication", "table_paths": ["//tmp/create_replicated_table"]})
    for kind in "file", "journal", "account", "user", "tablet_cell", "tablet_cell_bundle", "nonsense":
        refused(1, client.create, kind, "//tmp/create_" + kind)
    ask(client, "create", type="map_node", path="//tmp/create_2", lock_existing=True, ignore_type_mismatch=True)


@row("get")
def get(of):
    client = of.meta
    client.set("//tmp/get", {"a": 1})
    equal(ask(client, "get", path="//tmp/get"), {"value": {"a": 1}})
    equal(ask(client, "get", path="//tmp/get", return_only_value=True, max_size=1), {"a": 1})
    equal(client.get("//tmp/get", attributes=["type"]).attributes["type"], "map_node")


@row("list")
def list_(of):
    client = of.meta
    client.set("//tmp/list", {"a": 1, "b": 2})
    equal(ask(client, "list", path="//tmp/list"), {"value": ["a", "b"]})
    equal(sorted(ask(client, "list", path="//tmp/list", return_only_value=True)), ["a", "b"])
    equal(len(client.list("//tmp/list", max_size=1)), 1)
    equal({name.attributes["type"] for name in client.list("//tmp/list", attributes=["type"])}, {"int64_node"})


@row("exists, set, remove, multiset_attributes")
def nodes(of):
    client, path = of.meta, "//tmp/nodes"
    client.set(path + "/deep/er", 5, recursive=True)
    equal(client.exists(path + "/deep/er"), True)
    refused(1, client.remove, path)
    client.remove(path, recursive=True)
    equal(client.exists(path), False)
    client.remove(path, force=True)
    client.set(path, {"x": 1})
    refused(1, client.set, path, {"y": 2})
    client.set(path, {"y": 2}, force=True)
    equal(client.get(path), {"y": 2})
    table(client, path + "_table", mount=False)
    refused(1, client.set, path + "_table", 1, force=True)
    driver.make_request("multiset_attributes", {"path": path + "/@", "input_format": "json"}, data=b'{"x":1,"y":"z"}', client=client)
    equal((client.get(path + "/@x"), client.get(path + "/@y")), (1, "z"))


@row("copy, move, link")
def moving(of):
    client, home = of.meta, "//tmp/moving_rows"
    client.set(home + "/a", {"x": 1}, recursive=True)
    client.copy(home + "/a", home + "/new/b", recursive=True)
    refused(501, client.copy, home + "/a", home + "/new/b")
    client.copy(home + "/a", home + "/new/b", force=True, preserve_creation_time=True)
    client.copy(home + "/a", home + "/new/b", ignore_existing=True)
    client.move(home + "/a", home + "/c")
    equal((client.exists(home + "/a"), client.get(home + "/c")), (False, {"x": 1}))
    client.link(home + "/c", home + "/links/d", recursive=True)
    equal(client.get(home + "/links/d/x"), 1)
    of.replicated("//tmp/moving_replicated")
    refused(1, client.copy, "//tmp/moving_replicated", home + "/r")


@row("lock, unlock")
def locks(of):
    client, path = of.meta, "//tmp/locks"
    client.create("map_node", path)
    one = client.start_transaction(type="master", timeout=60000)
    other = client.start_transaction(type="master", timeout=60000)
    with under(client, one):
        client.lock(path, mode="shared", child_key="x")
        client.lock(path, mode="shared", attribute_key="y")
        refused(1, client.lock, path, waitable=True)
        refused(1, client.lock, path, mode="snapshot")
    with under(client, other):
        refused(402, client.lock, path)
    with under(client, one):
        client.unlock(path)
    with under(client, other):
        client.lock(path, mode="exclusive")
    client.abort_transaction(one)
    client.abort_transaction(other)


@row("start_transaction (start_tx)")
def start_transaction(of):
    client = of.meta
    for kind in "tablet", "master":
        made = ask(client, "start_transaction", type=kind, timeout=60000, deadline="2100-01-01T00:00:00Z", prerequisite_transaction_ids=[NO_ID])
        ask(client, "abort_transaction", transaction_id=made["transaction_id"])
    refused(1, ask, client, "start_transaction", type="nonsense")
    master = client.start_transaction(type="master", timeout=60000)
    with under(client, master):
        refused(1, client.set, "//tmp/start_transaction", 1)
    client.abort_transaction(master)


@row("ping_, commit_, abort_transaction (…_tx)")
def end_transaction(of):
    client = of.meta
    for end in client.commit_transaction, client.abort_transaction:
        transaction = client.start_transaction(type="tablet", timeout=60000)
        ask(client, "ping_transaction", transaction_id=transaction, sticky=True)
        end(transaction)
        refused(11000, client.ping_transaction, transaction)


@row("generate_timestamp")
def generate_timestamp(of):
    first, second = of.meta.generate_timestamp(), of.meta.generate_timestamp()
    assert first < second


@row("mount_table, unmount_table, remount_table, freeze_table, unfreeze_table")
def mounting(of):
    client, path = of.meta, table(of.meta, "//tmp/mounting", mount=False, pivot_keys=[[], [10]])
    refused(500, client.mount_table, path, cell_id=NO_ID)
    client.mount_table(path)
    until(lambda: client.get(path + "/@tablet_state") == "mounted", "it is mounted")
    cell = client.get(path + "/@tablets/0/cell_id")
    assert client.get(path + "/@tablets/0/cell_leader_address").startswith("127.0.0.1:")
    client.unmount_table(path, sync=True)
    client.mount_table(path, first_tablet_index=1, last_tablet_index=1, freeze=True, cell_id=cell)
    equal([tablet["state"] for tablet in client.get(path + "/@tablets")], ["unmounted", "frozen"])
    refused(1, client.mount_table, path, first_tablet_index=2, last_tablet_index=2)
    client.mount_table(path, freeze=True)
    until(lambda: client.get(path + "/@tablet_state") == "frozen", "it is frozen")
    for command, state in ("unfreeze_table", "mounted"), ("remount_table", "mounted"), ("freeze_table", "frozen"):
        ask(client, command, path=path)
        until(lambda: client.get(path + "/@tablet_state") == state, state)
    client.unmount_table(path, force=True, sync=True)


@row("reshard_table")
def reshard_table(of):
    client, path = of.meta, table(of.meta, "//tmp/reshard", mount=False)
    client.reshard_table(path, [[], [10], [20]])
    client.reshard_table(path, [[10], [15]], first_tablet_index=1, last_tablet_index=1)
    equal(client.get(path + "/@pivot_keys"), [[], [10], [15], [20]])
    client.reshard_table(path, tablet_count=2, uniform=True)
    equal(client.get(path + "/@tablet_count"), 2)
    client.mount_table(path, sync=True)
    refused(1706, client.reshard_table, path, [[]])


@row("alter_table")
def alter_table(of):
    client, path = of.meta, table(of.meta, "//tmp/alter", mount=False)
    client.alter_table(path, schema=SCHEMA + [{"name": "w", "type": "int64"}])
    client.alter_table(path, dynamic=True)
    equal(len(client.get(path + "/@schema")), 3)
    client.alter_table(path, upstream_replica_id="1-2-2c5-3")
    equal(client.get(path + "/@upstream_replica_id"), "1-2-2c5-3")
    refused(1, ask, client, "alter_table", path=path, schema_modification="unversioned_update")


@row("alter_table_replica")
def alter_table_replica(of):
    client, replica = of.meta, of.replicated("//tmp/alter_replica")
    client.alter_table_replica(replica, mode="async", enabled=False)
    until(lambda: client.get("#%s/@state" % replica) == "disabled", "it is disabled")
    ask(client, "alter_table_replica", replica_id=replica, preserve_timestamps=True, atomicity="full", enable_replicated_table_tracker=False)
    equal(client.get("#%s/@mode" % replica), "async")
    ask(client, "alter_table_replica", replica_id=replica, replica_path="//tmp/alter_replica_elsewhere")
    equal(client.get("#%s/@replica_path" % replica), "//tmp/alter_replica_elsewhere")
    refused(1, ask, client, "alter_table_replica", replica_id=replica, mode="nonsense")


@row("enable_table_replica, disable_table_replica")
def enable_table_replica(of):
    replica = of.replicated("//tmp/enable_replica")
    for command, state in ("disable_table_replica", "disabled"), ("enable_table_replica", "enabled"):
        ask(of.meta, command, replica_id=replica)
        until(lambda: of.meta.get("#%s/@state" % replica) == state, state)


@row("insert_rows, delete_rows")
def insert_rows(of):
    client, path = of.meta, table(of.meta, "//tmp/insert", KEYS + [{"name": "v", "type": "string"}, {"name": "sum", "type": "int64", "aggregate": "sum"}])
    client.insert_rows(path, [{"k": 1, "v": "a", "sum": 1}], atomicity="none", durability="async")
    client.insert_rows(path, [{"k": 1, "sum": 2}], update=True, aggregate=True)
    equal(selected(client, "* from [%s]" % path), [{"k": 1, "v": "a", "sum": 3}])
    transaction = client.start_transaction(type="tablet", timeout=60000)
    with under(client, transaction):
        client.delete_rows(path, [{"k": 1}])
    equal(len(selected(client, "* from [%s]" % path)), 1)
    client.commit_transaction(transaction)
    equal(selected(client, "* from [%s]" % path), [])
    of.replicated("//tmp/insert_replicated", mode="async")
    refused(1714, client.insert_rows, "//tmp/insert_replicated", [{"k": 1}], require_sync_replica=True)
    client.insert_rows("//tmp/insert_replicated", [{"k": 1}], require_sync_replica=False)
    refused(1717, client.insert_rows, path, b"".join(b"{k=%d};" % k for k in range(262145)), format="yson", raw=True)


@row("lock_rows")
def lock_rows(of):
    client, path = of.meta, table(of.meta, "//tmp/lock_rows", KEYS + [{"name": "v", "type": "string", "lock": "group"}])
    client.insert_rows(path, [{"k": 1}])
    reader = client.start_transaction(type="tablet", timeout=60000)
    with under(client, reader):
        client.lock_rows(path, [{"k": 1}], locks=["group"], lock_type="shared_strong")
    client.insert_rows(path, [{"k": 1, "v": "changed"}], update=True)
    refused(1700, client.commit_transaction, reader)


@row("lookup_rows")
def lookup_rows(of):
    client, path = of.meta, table(of.meta, "//tmp/lookup")
    before = client.generate_timestamp()
    client.insert_rows(path, [{"k": 1, "v": "a"}])
    keys = {"path": path, "data": b'{"k":2}\n{"k":1}\n', "input_format": "json"}
    asked = dict(path=path, column_names=["v"], keep_missing_rows=True, input_format="json", output_format="json")
    equal(driver.make_request("lookup_rows", asked, data=keys["data"], client=client), b'null\n{"v":"a"}\n')
    equal(rows_of(client.lookup_rows(path, [{"k": 1}], timestamp=before)), [])
    client.insert_rows(path, [{"k": 1, "v": "b"}])
    asked = dict(path=path, versioned=True, input_format="json", output_format="json")
    versions = json.loads(driver.make_request("lookup_rows", asked, data=b'{"k":1}', client=client))
    equal([version["$value"] for version in versions["$value"]["v"]], ["b", "a"])
    # JSON doubles a dollar sign at the beginning of a name.
    asked = dict(path=path, versioned_read_options={"read_mode": "latest_timestamp"}, input_format="json", output_format="json")
    stamped = json.loads(driver.make_request("lookup_rows", asked, data=b'{"k":1}', client=client))
    equal(stamped["$$timestamp:v"], versions["$value"]["v"][0]["$attributes"]["timestamp"])


@row("select_rows")
def select_rows(of):
    client, path = of.meta, table(of.meta, "//tmp/select")
    before = client.generate_timestamp()
    client.insert_rows(path, [{"k": k, "v": str(k)} for k in range(10)])
    query = "k from [%s]" % path
    equal(selected(client, query, timestamp=before), [])
    equal(len(selected(client, query, output_row_limit=3, fail_on_incomplete_result=False)), 3)
    refused(1, client.select_rows, query, input_row_limit=3, fail_on_incomplete_result=True)
    refused(1, client.select_rows, query, allow_full_scan=False)
    equal(len(selected(client, query + ' with hint "{require_sync_replica=%false}"')), 10)
    join = "a.k from [%s] as a join [%s] as b on a.v = b.v" % (path, path)
    refused(1, client.select_rows, join)
    equal(len(selected(client, join, allow_join_without_index=True)), 10)
    equal(selected(client, query + " where k in {keys}", placeholder_values={"keys": [1, 2]}, range_expansion_limit=1), [{"k": 1}, {"k": 2}])
    refused(1, ask, client, "select_rows", query=query + " order by v limit 10", memory_limit_per_node=1)
    statistics = {}
    selected(client, query, response_parameters=statistics)
    equal(statistics["rows_read"], 10)
    refused(1, ask, client, "select_rows", query=query, udf_registry_path="//tmp")


@row("explain_query")
def explain_query(of):
    path = table(of.meta, "//tmp/explain")
    assert ask(of.meta, "explain_query", query="k from [%s] where k = 1" % path)["query"]


@row("trim_rows")
def trim_rows(of):
    client, path = of.meta, table(of.meta, "//tmp/trim", [{"name": "v", "type": "string"}])
    client.insert_rows(path, [{"v": "a"}, {"v": "b"}])
    client.trim_rows(path, 0, 1)
    equal(selected(client, "v from [%s]" % path), [{"v": "b"}])


@row("get_in_sync_replicas")
def get_in_sync_replicas(of):
    client, path = of.meta, "//tmp/in_sync"
    replica = of.replicated(path)
    timestamp = client.generate_timestamp()
    equal(client.get_in_sync_replicas(path, timestamp, [{"k": 1}], cached_sync_replicas_timeout=60000), [replica])
    equal(client.get_in_sync_replicas(path, timestamp, [], all_keys=True), [replica])


@row("get_tablet_infos, get_tablet_errors, get_table_pivot_keys")
def get_tablet_infos(of):
    client, path = of.meta, table(of.meta, "//tmp/infos", pivot_keys=[[], [10]])
    equal(len(ask(client, "get_tablet_infos", path=path, tablet_indexes=[0, 1], request_errors=True)["tablets"]), 2)
    equal(ask(client, "get_tablet_errors", path=path, limit=1)["tablet_errors"], {})
    equal(ask(client, "get_table_pivot_keys", path=path), [{}, {"k": 10}])
    equal(ask(client, "get_table_pivot_keys", path=path, represent_key_as_list=True), [[], [10]])


@row("check_permission, get_current_user, add_member, remove_member")
def check_permission(of):
    client = of.meta
    equal(client.get_current_user()["user"], "root")
    client.create("user", attributes={"name": "anna"})
    client.create("group", attributes={"name": "readers"})
    client.create("map_node", "//tmp/guarded", attributes={"inherit_acl": False})
    client.set("//tmp/guarded/@acl", [{"action": "allow", "subjects": ["readers"], "permissions": ["read"]}])
    equal(client.check_permission("anna", "read", "//tmp/guarded")["action"], "deny")
    client.add_member("anna", "readers")
    equal(client.check_permission("anna", "read", "//tmp/guarded")["action"], "allow")
    equal(client.check_permission("anna", "write", "//tmp/guarded")["action"], "deny")
    client.remove_member("anna", "readers")
    refused(907, client.check_permission, "nobody", "read", "//tmp")


@row("issue_token, revoke_token, list_user_tokens")
def tokens(of):
    client = of.meta
    client.create("user", attributes={"name": "erika"})
    token = client.issue_token("erika")
    assert isinstance(token, str) and len(token) > 32, token
    found = json.loads(client.list_user_tokens("erika"))
    equal(found, [hashlib.sha256(token.encode()).hexdigest()])
    client.revoke_token("erika", token=token)
    equal(json.loads(client.list_user_tokens("erika")), [])
    refused(907, client.issue_token, "nobody")


@row("get_version, get_supported_features, parse_ypath, discover_proxies")
def service(of):
    client = of.meta
    assert ask(client, "get_version")["version"]
    assert client.get_supported_features()
    assert ask(client, "parse_ypath", path="//tmp/t")["path"]
    equal(ask(client, "discover_proxies", type="http")["proxies"], [of.address])
    refused(1, ask, client, "discover_proxies", type="rpc")


@row("execute_batch")
def execute_batch(of):
    requests = [{"command": "exists", "parameters": {"path": "//tmp"}}, {"command": "select_rows", "parameters": {"query": "1"}}]
    results = ask(of.meta, "execute_batch", requests=requests, concurrency=1)["results"]
    equal(results[0]["output"], {"value": True})
    equal(results[1]["error"]["code"], 1)


@row("get_tracker_status, get_tracker_history, switch_over, wait_replicas, ban_replica_cluster, unban_replica_cluster")
def tracker(of):
    """Commands of ours, which the library has no function for."""
    client, path = of.meta, "//tmp/tracker"
    of.replicated(path)
    equal(ask(client, "get_tracker_status", path=path)["path"], path)
    equal(ask(client, "get_tracker_history", path=path), [])
    ask(client, "wait_replicas", path=path, timeout=30000)
    refused(1, ask, client, "switch_over", path=path, cluster_name="nowhere")
    ask(client, "ban_replica_cluster", cluster_name=of.replica_name)
    ask(client, "unban_replica_cluster", cluster_name=of.replica_name)


# ---------------------------------------------------------------------------------------------------------------------
# Parameters


@row("mutation_id, retry")
def mutation_id(of):
    client = of.meta
    asked = dict(type="map_node", path="//tmp/mutation_id", mutation_id="1-2-3-5")
    first = ask(client, "create", **asked)
    equal(ask(client, "create", **asked), first)
    equal(ask(client, "create", retry=True, **asked), first)
    refused(501, ask, client, "create", type="map_node", path="//tmp/mutation_id")


@row("timeout")
def timeout(of):
    path = table(of.meta, "//tmp/timeout")
    of.meta.insert_rows(path, [{"k": k} for k in range(20000)])
    query = "sum(a.k * b.k) from [%s] as a join [%s] as b on a.k % 2 = b.k % 2 group by 1".replace("% 2", "%% 2") % (path, path)
    refused(3, ask, of.meta, "select_rows", query=query, allow_join_without_index=True, timeout=50)


@row("input_format, output_format")
def formats(of):
    of.meta.set("//tmp/formats", 5)
    equal(of.meta.get("//tmp/formats", format="<format=text>yson"), b"5")
    refused(1, ask, of.meta, "get", path="//tmp/formats", input_format="nonsense")


@row("transaction_id")
def transaction_id(of):
    path = table_once(of)
    refused(11000, ask, of.meta, "insert_rows", path=path, data=b'{"k":1}', input_format="json", transaction_id="1-2-2-4")


def table_once(of):
    """A table for cases that look at one row at most."""
    if not of.replica.exists("//tmp/once"):
        table(of.replica, "//tmp/once", TYPED)
    if not of.meta.exists("//tmp/once"):
        table(of.meta, "//tmp/once", TYPED)
    return "//tmp/once"


@row("suppress_…, read_from, cache_sticky_group_size, ping_ancestor_transactions, prerequisite_transaction_ids")
def ignored(of):
    asked = dict(suppress_access_tracking=True, suppress_upstream_sync=True, read_from="cache", cache_sticky_group_size=3)
    found = ask(of.meta, "exists", path="//tmp", ping_ancestor_transactions=True, prerequisite_transaction_ids=[NO_ID], **asked)
    equal(found, {"value": True})


# ---------------------------------------------------------------------------------------------------------------------
# Formats


def through(of, name, text, output=None, query="* from [//tmp/once] where k = 1"):
    """Writes a row of key 1 in a format, and reads it in another."""
    path = table_once(of)
    of.meta.delete_rows(path, [{"k": 1}])
    of.meta.insert_rows(path, text, format=name, raw=True)
    return of.meta.select_rows(query, format=output or name, raw=True).read()


@row("yson")
def yson(of):
    text = b'{"k"=1;"u"=2u;"d"=0.5;"b"=%true;"s"="\\xFF";"y"={"a"=[#;];};};\n'
    equal(through(of, "<format=text;sort_keys=%true;lazy=%true>yson", text), text)
    assert through(of, "yson", text).startswith(b"{\x01\x02k=\x02\x02;")
    assert b'    "u" = 2u;\n' in through(of, "<format=pretty>yson", text)
    for wrong in b"{k=1;k=2}", b"{k=99999999999999999999}", b"{k=1;y=" + b"[" * 70 + b"]" * 70 + b"}":
        refused(1, through, of, "yson", wrong)


@row("json")
def json_(of):
    text = b'{"k":1,"u":2,"d":0.5,"b":true,"s":"\xc3\xbf","y":{"a":[null]}}\n'
    equal(through(of, "json", text), text)
    outputs = {
        "<encode_utf8=%false>json": ("s", "'\\xd1\\x8b'", b'{"s":"\xd1\x8b"}\n'),
        "<format=pretty>json": ("k", "1", b'{\n    "k": 1\n}\n'),
        "<stringify=%true>json": ("k", "1", b'{"k":"1"}\n'),
        "<annotate_with_types=%true>json": ("k", "1", b'{"k":{"$type":"int64","$value":1}}\n'),
        "<string_length_limit=2>json": ("s", "'abc'", b'{"s":{"$incomplete":true,"$value":"ab"}}\n'),
        "<stringify_nan_and_infinity=%true>json": ("d", "inf", b'{"d":"inf"}\n'),
        "<skip_null_values=%true>json": ("s", "null", b"{}\n"),
        "<plain=%true>json": ("y", "yson_string_to_any('{\"$a\"=1}')", b'{"y":{"$a":1}}\n'),
        "json": ("y", "yson_string_to_any('{\"$a\"=1}')", b'{"y":{"$$a":1}}\n'),
        "<attributes_mode=never>json": ("y", "yson_string_to_any('<a=1>b')", b'{"y":"b"}\n'),
    }
    for output, (name, value, expected) in outputs.items():
        query = "%s as %s from [//tmp/once] where [k] = 1" % (value, name if name != "k" else "k2")
        found = through(of, "json", text, output, query)
        equal((output, found), (output, expected.replace(b'"k"', b'"k2"')))


@row("dsv, schemaful_dsv")
def dsv(of):
    convert = "enable_string_to_all_conversion=%true"
    equal(through(of, "<%s>dsv" % convert, b"k=1\ts=a\\tb\n"), b"k=1\ts=a\\tb\n")
    columns = "<%s;columns=[k;s;d];missing_value_mode=print_sentinel;missing_value_sentinel=none>schemaful_dsv" % convert
    equal(through(of, columns, b"1\ta\tnone\n"), b"1\ta\tnone\n")
    refused(1, through, of, "yson", b"{k=1}", "<columns=[k;s]>schemaful_dsv")
    refused(1, through, of, "<field_separator=\",\">dsv", b"k=1\n")
    refused(307, through, of, "dsv", b"k=1\n")


@row("skiff, arrow, protobuf, yamr")
def other_formats(of):
    for name in "skiff", "arrow", "protobuf", "yamr":
        text = refused(1, driver.make_request, "select_rows", {"query": "k from [%s]" % table_once(of), "output_format": name}, client=of.meta)
        assert 'Format "%s" is not supported' % name in text, text


@row("conversion of types on input")
def conversions(of):
    equal(through(of, "yson", b"{k=1u;u=2;d=3}", "json", "k, u, d from [//tmp/once] where k = 1"), b'{"k":1,"u":2,"d":3.0}\n')
    text = b'{k="1";u="2";d="0.5";b="true";s=7}'
    refused(307, through, of, "yson", text)
    expected = b'{"k":1,"u":2,"d":0.5,"b":true,"s":"7"}\n'
    equal(through(of, "<enable_type_conversion=%true>yson", text, "json", "k, u, d, b, s from [//tmp/once] where k = 1"), expected)
    both = "<enable_string_to_all_conversion=%true;enable_all_to_string_conversion=%true>yson"
    equal(through(of, both, text, "json", "k, u, d, b, s from [//tmp/once] where k = 1"), expected)
    refused(307, through, of, "<enable_integral_type_conversion=%false>yson", b"{k=1;u=2}")


# ---------------------------------------------------------------------------------------------------------------------
# Clients


@row("yt, Python")
def yt_python(of):
    """Typed, with its own process; what is not offered is said before anything is asked."""
    program = os.path.join(os.path.dirname(sys.executable), "yt")
    environment = dict(os.environ, YT_PROXY=of.address)

    def typed(*words):
        return subprocess.run([program, *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    equal(typed("exists", "//tmp").stdout, "true\n")
    done = typed("list-operations")
    assert done.returncode == 1 and "is not supported" in done.stderr, done.stderr
    assert typed("read-table", "//tmp/once", "--format", "json").returncode == 1
    assert typed("read-file", "//tmp/once").returncode == 1


@row("impersonation")
def impersonation(of):
    of.meta.create("user", attributes={"name": "dora"})
    client = yt.YtClient(of.address, config={"impersonation_user": "dora", "proxy": {"retries": {"enable": False}}})
    equal(client.get_user_name(), "dora")
    refused(901, client.create, "user", attributes={"name": "other"})


@row("tokens")
def authentication(of):  # Where it is required: access_test.py.
    client = yt.YtClient(of.address, token="nonsense", config={"proxy": {"retries": {"enable": False}}})
    equal(client.get_user_name(), "root")


@row("TLS")
def encryption(of):
    try:
        urllib.request.urlopen("https://%s/api/v4" % of.address)
    except (urllib.error.URLError, OSError):
        return
    raise AssertionError("there is TLS")


# ---------------------------------------------------------------------------------------------------------------------


def check_what_is_not_there(of):
    with urllib.request.urlopen("http://%s/api/v4" % of.address) as answer:
        names = {command["name"] for command in json.load(answer)}
    untried = {name for name in names if not any(re.search(r"\b%s\b" % name, cell) for cell in CASES)}
    # The last row but one of transactions has them shortened.
    assert untried <= {"ping_transaction", "commit_transaction"}, untried
    for name in "read_table", "start_operation", "read_file", "list_operations", "start_query":
        try:
            urllib.request.urlopen("http://%s/api/v4/%s" % (of.address, name))
        except urllib.error.HTTPError as error:
            equal(error.code, 404)


def main():
    meta_address, replica_address, replica_name = sys.argv[1:]
    of = Clusters(client_of(meta_address), client_of(replica_address), replica_name)
    wanted = rows_of_document()
    for cell in wanted:
        assert cell in CASES or cell in ELSEWHERE, "row %r of docs/compatibility.md has no case" % cell
    for cell in CASES:
        assert cell in wanted, "case %r has no row in docs/compatibility.md" % cell
    failed = []
    for cell, case in CASES.items():
        try:
            case(of)
        except Exception as error:  # All that fail are told.
            line = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == __file__][-1]
            failed.append("%s (line %d): %s: %s" % (cell, line, type(error).__name__, str(error)[:500]))
    check_what_is_not_there(of)
    assert not failed, "%d rows are not as they say:\n%s" % (len(failed), "\n".join(failed))
    print("%d rows are as they say" % len(CASES))


if __name__ == "__main__":
    main()
