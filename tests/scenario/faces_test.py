"""The same commands over HTTP, over gRPC and by our command line, each on a cluster of its own: the same answers, the same
error codes, the same state in the end. Every command of the daemons' table must be among them."""

import http.client
import json
import os
import re
import subprocess

import retable

SCHEMA = "[{name=k;type=int64;sort_order=ascending};{name=v;type=string}]"
WIDER = SCHEMA[:-1] + ";{name=w;type=double}]"
REPLICA = '{table_path="//tmp/r";cluster_name=far;replica_path="//tmp/r"}'
QUEUE = "{dynamic=%true;schema=[{name=v;type=string}]}"
TABLE = "attributes={dynamic=%%true;schema=%s}" % SCHEMA
ROWS = "{k=1;v=a};{k=2;v=b};"
KEYS = "{k=2};{k=7};"
TEXT = ["--format", "<format=text>yson"]

# A command, its parameters in YSON, its input, and how it is typed; None if the command line does not have it. `$name` is an
# id that another case has given: each face has its own.
CASES = [
    ("create", "type=map_node;path=\"//tmp/m\"", "", ["create", "map_node", "//tmp/m"]),
    ("create", "type=map_node;path=\"//tmp/m\"", "", ["create", "map_node", "//tmp/m"]),
    ("create", "type=nonsense;path=\"//tmp/n\"", "", ["create", "nonsense", "//tmp/n"]),
    ("create", "type=table;path=\"//tmp/t\";" + TABLE, "", ["create", "table", "//tmp/t", "--attributes", "{dynamic=%%true;schema=%s}" % SCHEMA]),
    ("exists", "path=\"//tmp/t\"", "", ["exists", "//tmp/t"]),
    ("exists", "path=\"//tmp/none\"", "", ["exists", "//tmp/none"]),
    ("get", "path=\"//tmp/t/@type\"", "", ["get", "//tmp/t/@type", "--format", "<format=text>yson"]),
    ("get", "path=\"//tmp/none\"", "", ["get", "//tmp/none", "--format", "<format=text>yson"]),
    ("list", "path=\"//tmp\"", "", ["list", "//tmp", "--format", "<format=text>yson"]),
    ("insert_rows", "path=\"//tmp/t\"", ROWS, ["insert-rows", "//tmp/t", "--format", "yson"]),
    ("mount_table", "path=\"//tmp/t\";cell_id=\"1-2-3-4\"", "", ["mount-table", "//tmp/t", "--cell-id", "1-2-3-4"]),
    ("mount_table", "path=\"//tmp/t\"", "", ["mount-table", "//tmp/t"]),
    ("insert_rows", "path=\"//tmp/t\"", ROWS, ["insert-rows", "//tmp/t", "--format", "yson"]),
    ("insert_rows", "path=\"//tmp/t\"", "{k=text}", ["insert-rows", "//tmp/t", "--format", "yson"]),
    ("insert_rows", "path=\"//tmp/t\"", "{k=", ["insert-rows", "//tmp/t", "--format", "yson"]),
    ("lookup_rows", "path=\"//tmp/t\"", KEYS, ["lookup-rows", "//tmp/t", "--format", "<format=text>yson"]),
    ("lookup_rows", "path=\"//tmp/t\";versioned=%true", "{k=7}", ["lookup-rows", "//tmp/t", "--versioned", "--format", "<format=text>yson"]),
    ("select_rows", "query=\"k, v from [//tmp/t]\"", "", ["select-rows", "k, v from [//tmp/t]", "--format", "<format=text>yson"]),
    ("select_rows", "query=\"k, v from [//tmp/t] with hint \\\"{require_sync_replica=%false}\\\"\"", "", ["select-rows", "k, v from [//tmp/t] with hint \"{require_sync_replica=%false}\"", "--format", "<format=text>yson"]),
    ("select_rows", "query=\"k, v from [//tmp/t] with hint \\\"{speed=1}\\\"\"", "", ["select-rows", "k, v from [//tmp/t] with hint \"{speed=1}\"", "--format", "<format=text>yson"]),
    ("select_rows", "query=\"nonsense\"", "", ["select-rows", "nonsense", "--format", "<format=text>yson"]),
    ("delete_rows", "path=\"//tmp/t\"", "{k=1}", ["delete-rows", "//tmp/t", "--format", "yson"]),
    ("freeze_table", "path=\"//tmp/t\"", "", ["freeze-table", "//tmp/t"]),
    ("insert_rows", "path=\"//tmp/t\"", ROWS, ["insert-rows", "//tmp/t", "--format", "yson"]),
    ("unfreeze_table", "path=\"//tmp/t\"", "", ["unfreeze-table", "//tmp/t"]),
    ("select_rows", "query=\"k, v from [//tmp/t]\"", "", ["select-rows", "k, v from [//tmp/t]", "--format", "<format=text>yson"]),
    ("trim_rows", "path=\"//tmp/t\";tablet_index=0;trimmed_row_count=1", "", ["trim-rows", "//tmp/t", "0", "1"]),
    ("get_tablet_errors", "path=\"//tmp/t\"", "", ["get-tablet-errors", "//tmp/t"] + TEXT),
    ("get_tablet_infos", "path=\"//tmp/t\";tablet_indexes=[0]", "", ["get-tablet-infos", "//tmp/t", "--tablet-indexes", "0"] + TEXT),
    ("get_tablet_infos", "path=\"//tmp/t\";tablet_indexes=[5]", "", ["get-tablet-infos", "//tmp/t", "--tablet-indexes", "5"] + TEXT),
    ("get_in_sync_replicas", "path=\"//tmp/t\";timestamp=1u;all_keys=%true", "", None),
    ("get_table_pivot_keys", "path=\"//tmp/t\"", "", None),
    ("explain_query", "query=\"k from [//tmp/t] where k = 2\"", "", ["explain-query", "k from [//tmp/t] where k = 2"] + TEXT),
    ("explain_query", "query=\"k from [//tmp/none]\"", "", ["explain-query", "k from [//tmp/none]"] + TEXT),
    ("generate_timestamp", "", "", ["generate-timestamp"]),
    ("remount_table", "path=\"//tmp/t\"", "", ["remount-table", "//tmp/t"]),
    ("reshard_table", "path=\"//tmp/t\";pivot_keys=[[];[5]]", "", ["reshard-table", "//tmp/t", "[]", "[5]"]),
    ("alter_table_replica", "replica_id=\"1-2-2c5-3\";enabled=%true", "", ["alter-table-replica", "1-2-2c5-3", "--enable"]),
    ("ping_transaction", "transaction_id=\"1-2-3-4\"", "", None),
    ("commit_transaction", "transaction_id=\"1-2-3-4\"", "", None),
    ("abort_transaction", "transaction_id=\"1-2-3-4\"", "", None),
    ("start_transaction", "type=nonsense", "", ["start-tx", "--type", "nonsense"]),
    ("start_transaction", "type=tablet;timeout=60000", "", ["start-tx", "--timeout", "60000"], "rows"),
    ("insert_rows", "path=\"//tmp/t\";transaction_id=\"$rows\"", "{k=9;v=x}", ["--tx", "$rows", "insert-rows", "//tmp/t", "--format", "yson"]),
    ("lock_rows", "path=\"//tmp/t\";locks=[\"<primary>\"];transaction_id=\"$rows\"", "{k=2}", None),
    ("lock_rows", "path=\"//tmp/t\";lock_type=nonsense;transaction_id=\"$rows\"", "{k=2}", None),
    ("ping_transaction", "transaction_id=\"$rows\"", "", ["ping-tx", "$rows"]),
    ("commit_transaction", "transaction_id=\"$rows\"", "", ["commit-tx", "$rows"]),
    ("commit_transaction", "transaction_id=\"$rows\"", "", ["commit-tx", "$rows"]),
    ("select_rows", "query=\"k, v from [//tmp/t]\"", "", ["select-rows", "k, v from [//tmp/t]"] + TEXT),
    ("start_transaction", "type=master;timeout=60000", "", ["start-tx", "--type", "master", "--timeout", "60000"], "nodes"),
    ("lock", "path=\"//tmp/t\";transaction_id=\"$nodes\"", "", ["--tx", "$nodes", "lock", "//tmp/t"] + TEXT),
    ("lock", "path=\"//tmp/none\";transaction_id=\"$nodes\"", "", ["--tx", "$nodes", "lock", "//tmp/none"]),
    ("remove", "path=\"//tmp/t\"", "", ["remove", "//tmp/t"]),
    ("unlock", "path=\"//tmp/t\";transaction_id=\"$nodes\"", "", ["--tx", "$nodes", "unlock", "//tmp/t"]),
    ("abort_transaction", "transaction_id=\"$nodes\"", "", ["abort-tx", "$nodes"]),
    ("create", "type=user;attributes={name=anna}", "", ["create", "user", "--attributes", "{name=anna}"]),
    ("create", "type=group;attributes={name=team}", "", ["create", "group", "--attributes", "{name=team}"]),
    ("add_member", "member=anna;group=team", "", ["add-member", "anna", "team"]),
    ("add_member", "member=anna;group=team", "", ["add-member", "anna", "team"]),
    ("get", "path=\"//sys/groups/team/@members\"", "", ["get", "//sys/groups/team/@members"] + TEXT),
    ("set", "path=\"//tmp/@acl\"", "[{action=deny;subjects=[team];permissions=[read]}]", None),
    ("set", "path=\"//tmp/@acl\"", "[{action=deny;subjects=[nobody];permissions=[read]}]", None),
    ("get", "path=\"//tmp/@acl\"", "", None),
    ("remove_member", "member=anna;group=team", "", ["remove-member", "anna", "team"]),
    ("remove_member", "member=anna;group=team", "", ["remove-member", "anna", "team"]),
    ("check_permission", "user=anna;permission=read;path=\"//tmp\"", "", ["check-permission", "anna", "read", "//tmp"] + TEXT),
    ("check_permission", "user=nobody;permission=read;path=\"//tmp\"", "", ["check-permission", "nobody", "read", "//tmp"] + TEXT),
    ("issue_token", "user=anna", "", None),
    ("issue_token", "user=nobody", "", ["issue-token", "nobody"]),
    ("list_user_tokens", "user=team", "", ["list-user-tokens", "team"] + TEXT),
    ("list_user_tokens", "user=root", "", ["list-user-tokens", "root"] + TEXT),
    ("revoke_token", "user=anna;token_sha256=\"5\"", "", ["revoke-token", "anna", "5"]),
    ("get_version", "", "", None),
    ("get_supported_features", "", "", None),
    ("discover_proxies", "type=nonsense", "", None),
    ("discover_proxies", "type=rpc", "", None),
    ("execute_batch", "requests=[{command=exists;parameters={path=\"//tmp\"}};{command=get;parameters={path=\"//tmp/none/@id\"}}]", "", None),
    ("execute_batch", "requests=[{command=select_rows;parameters={query=\"k from [//tmp/t]\"}}]", "", None),
    ("get_current_user", "", "", ["whoami"] + TEXT),
    ("parse_ypath", "path=\"//tmp/t\"", "", None),
    ("set", "path=\"//tmp/m/v\"", "{a=[1;2u]}", ["set", "//tmp/m/v", "{a=[1;2u]}"]),
    ("get", "path=\"//tmp/m\"", "", ["get", "//tmp/m", "--format", "<format=text>yson"]),
    ("multiset_attributes", "path=\"//tmp/m/@\"", "{x=1;y={z=2u}}", None),
    ("get", "path=\"//tmp/m/@y\"", "", None),
    ("copy", "source_path=\"//tmp/m\";destination_path=\"//tmp/n\"", "", ["copy", "//tmp/m", "//tmp/n"]),
    ("copy", "source_path=\"//tmp/m\";destination_path=\"//tmp/n\"", "", ["copy", "//tmp/m", "//tmp/n"]),
    ("move", "source_path=\"//tmp/n\";destination_path=\"//tmp/o\"", "", ["move", "//tmp/n", "//tmp/o"]),
    ("move", "source_path=\"//tmp/n\";destination_path=\"//tmp/o\"", "", ["move", "//tmp/n", "//tmp/o"]),
    ("link", "target_path=\"//tmp/m\";link_path=\"//tmp/l\"", "", ["link", "//tmp/m", "//tmp/l"]),
    ("get", "path=\"//tmp/l/v\"", "", ["get", "//tmp/l/v"] + TEXT),
    ("link", "target_path=\"//tmp/none\";link_path=\"//tmp/l\"", "", ["link", "//tmp/none", "//tmp/l"]),
    ("remove", "path=\"//tmp/m\";recursive=%true", "", ["remove", "//tmp/m", "--recursive"]),
    ("remove", "path=\"//tmp/m\";recursive=%true", "", ["remove", "//tmp/m", "--recursive"]),
    ("unmount_table", "path=\"//tmp/t\"", "", ["unmount-table", "//tmp/t"]),
    ("get", "path=\"//tmp/t/@tablet_state\"", "", ["get", "//tmp/t/@tablet_state", "--format", "<format=text>yson"]),
    ("reshard_table", "path=\"//tmp/t\";pivot_keys=[[];[5]]", "", ["reshard-table", "//tmp/t", "[]", "[5]"]),
    ("get_table_pivot_keys", "path=\"//tmp/t\";represent_key_as_list=%true", "", None),
    ("alter_table", "path=\"//tmp/t\";schema=%s" % WIDER, "", ["alter-table", "//tmp/t", "--schema", WIDER]),
    ("alter_table", "path=\"//tmp/t\";schema=%s" % SCHEMA, "", ["alter-table", "//tmp/t", "--schema", SCHEMA]),
    ("create", "type=table;path=\"//tmp/q\";attributes=%s" % QUEUE, "", ["create", "table", "//tmp/q", "--attributes", QUEUE]),
    ("mount_table", "path=\"//tmp/q\"", "", ["mount-table", "//tmp/q"]),
    ("insert_rows", "path=\"//tmp/q\"", "{v=a};{v=b}", ["insert-rows", "//tmp/q", "--format", "yson"]),
    ("trim_rows", "path=\"//tmp/q\";tablet_index=0;trimmed_row_count=1", "", ["trim-rows", "//tmp/q", "0", "1"]),
    ("trim_rows", "path=\"//tmp/q\";tablet_index=3;trimmed_row_count=1", "", ["trim-rows", "//tmp/q", "3", "1"]),
    # What is replicated: the replica's cluster is not there.
    ("create", "type=replicated_table;path=\"//tmp/r\";" + TABLE, "", ["create", "replicated_table", "//tmp/r", "--attributes", "{dynamic=%%true;schema=%s}" % SCHEMA]),
    ("get_tracker_status", "path=\"//tmp/r\"", "", None),
    ("wait_replicas", "path=\"//tmp/r\";timeout=50", "", ["replica", "wait", "//tmp/r", "--timeout", "50"]),
    ("create", "type=table_replica;attributes=%s" % REPLICA, "", ["create", "table_replica", "--attributes", REPLICA], "replica"),
    ("mount_table", "path=\"//tmp/r\"", "", ["mount-table", "//tmp/r"]),
    ("enable_table_replica", "replica_id=\"$replica\"", "", None),
    ("get", "path=\"#$replica/@state\"", "", None),
    ("disable_table_replica", "replica_id=\"$replica\"", "", None),
    ("enable_table_replica", "replica_id=\"1-2-2c5-3\"", "", None),
    ("disable_table_replica", "replica_id=\"1-2-2c5-3\"", "", None),
    ("alter_table_replica", "replica_id=\"$replica\";mode=async;enabled=%true", "", ["alter-table-replica", "$replica", "--mode", "async", "--enable"]),
    ("insert_rows", "path=\"//tmp/r\"", ROWS, ["insert-rows", "//tmp/r", "--format", "yson"]),
    ("insert_rows", "path=\"//tmp/r\";require_sync_replica=%false", ROWS, ["insert-rows", "//tmp/r", "--format", "yson", "--no-require-sync-replica"]),
    ("select_rows", "query=\"* from [//tmp/r]\"", "", ["select-rows", "* from [//tmp/r]"] + TEXT),
    ("get_in_sync_replicas", "path=\"//tmp/r\";timestamp=1u;all_keys=%true", "", ["get-in-sync-replicas", "//tmp/r", "--timestamp", "1", "--all-keys"] + TEXT),
    ("get_in_sync_replicas", "path=\"//tmp/r\";timestamp=0u;all_keys=%true", "", ["get-in-sync-replicas", "//tmp/r", "--timestamp", "0", "--all-keys"] + TEXT),
    ("wait_replicas", "path=\"//tmp/r\";timeout=50", "", ["replica", "wait", "//tmp/r", "--timeout", "50"]),
    ("wait_replicas", "path=\"//tmp/none\"", "", ["replica", "wait", "//tmp/none"]),
    ("ban_replica_cluster", "cluster_name=far", "", ["replica", "ban", "far"]),
    ("get", "path=\"//tmp/r/@replicas/$replica/state\"", "", ["get", "//tmp/r/@replicas/$replica/state"] + TEXT),
    ("unban_replica_cluster", "cluster_name=far", "", ["replica", "unban", "far"]),
    ("unban_replica_cluster", "cluster_name=far", "", ["replica", "unban", "far"]),
    ("ban_replica_cluster", "", "", None),
    ("get_tracker_history", "path=\"//tmp/r\"", "", ["tracker", "history", "//tmp/r"] + TEXT),
    ("switch_over", "path=\"//tmp/r\";cluster_name=near", "", None),
    ("switch_over", "path=\"//tmp/r\";cluster_name=far;dry_run=%true", "", None),
]

# What one daemon alone can only refuse.
REFUSED_ONLY = {"discover_proxies", "revoke_token", "switch_over", "wait_replicas"}


def plain(text):
    """What must be the same: ids and times are not."""
    text = re.sub(r'"?[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+"?', "ID", text.strip())
    text = re.sub(r"ytct-[0-9a-f]{64}", "TOKEN", text)
    return re.sub(r"\d{15,}u?", "TIME", text)


def over_http(daemon, name, parameters, text):
    connection = http.client.HTTPConnection(daemon.http_address, timeout=retable.TIMEOUT_S)
    kind = "<format=text>yson"
    headers = {"X-YT-Header-Format": kind, "X-YT-Parameters": "{input_format=%s;output_format=%s;%s}" % (kind, kind, parameters)}
    connection.request("PUT", "/api/v3/" + name, text, headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return "error " + answer.headers["X-YT-Response-Code"] if answer.status != 200 else body


def over_grpc(daemon, name, parameters, text):
    done = subprocess.run(
        [os.environ["RETABLE_EXECUTOR"], daemon.address, name, "{%s}" % parameters],
        input=text, capture_output=True, text=True, timeout=retable.TIMEOUT_S,
    )
    assert done.returncode == 0, done
    return done.stdout


def typed(daemon, words, text):
    try:
        return daemon.run(*words, stdin=text)
    except retable.CommandError as error:
        code = re.search(r"\bcode:? *(\d+)", error.text)
        assert code, error
        return "error " + code.group(1)


def scalar(text):
    """The command line prints ids and booleans bare."""
    return text.replace("%", "").strip('"')


class Face:
    """A way to a cluster of its own, with the ids that it was given there."""

    def __init__(self, daemon, ask):
        self.daemon = daemon
        self.ask = ask
        self.ids = {}

    def filled(self, text):
        for name, value in self.ids.items():
            text = text.replace("$" + name, value)
        return text

    def answer(self, name, *parts):
        """The answer without what differs from cluster to cluster; its id, if it is one, is kept under `name`."""
        found = self.ask(self.daemon, *parts)
        if name:
            self.ids[name] = found.strip().strip('"')
        return plain(found)


def commands(daemon):
    connection = http.client.HTTPConnection(daemon.http_address, timeout=retable.TIMEOUT_S)
    connection.request("GET", "/api/v4")
    names = {command["name"] for command in json.loads(connection.getresponse().read())}
    connection.close()
    return names


def test():
    with retable.World() as world:
        web = Face(world.coordinator("web", "--peer", "far=127.0.0.1:1"), over_http)
        rpc = Face(world.coordinator("rpc", "--peer", "far=127.0.0.1:1"), over_grpc)
        line = Face(world.coordinator("line", "--peer", "far=127.0.0.1:1"), typed)
        untried = commands(web.daemon) - {case[0] for case in CASES}
        assert not untried, "commands without a case here: %s" % sorted(untried)
        codes = set()
        succeeded = set()
        for name, parameters, text, words, *kept in CASES:
            kept = kept[0] if kept else None
            expected = rpc.answer(kept, name, rpc.filled(parameters), text)
            codes.add(expected if expected.startswith("error") else None)
            if not expected.startswith("error"):
                succeeded.add(name)
            found = web.answer(kept, name, web.filled(parameters), text)
            assert found == expected, (name, parameters, "http", found, "grpc", expected)
            if words is None:
                continue
            found = line.answer(kept, [line.filled(word) for word in words], text)
            assert scalar(found) == scalar(expected), (name, words, "cli", found, "grpc", expected)
        assert len(codes) > 6, codes
        assert {case[0] for case in CASES} - succeeded == REFUSED_ONLY, succeeded


if __name__ == "__main__":
    test()
