"""The same commands over HTTP, over gRPC and by our command line, each on a cluster of its own: the same answers, the same
error codes, the same state in the end."""

import http.client
import os
import re
import subprocess

import retable

SCHEMA = "[{name=k;type=int64;sort_order=ascending};{name=v;type=string}]"
TABLE = "attributes={dynamic=%%true;schema=%s}" % SCHEMA
ROWS = "{k=1;v=a};{k=2;v=b};"
KEYS = "{k=2};{k=7};"

# A command, its parameters in YSON, its input, and how it is typed; None if the command line does not have it.
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
    ("mount_table", "path=\"//tmp/t\"", "", ["mount-table", "//tmp/t"]),
    ("insert_rows", "path=\"//tmp/t\"", ROWS, ["insert-rows", "//tmp/t", "--format", "yson"]),
    ("insert_rows", "path=\"//tmp/t\"", "{k=text}", ["insert-rows", "//tmp/t", "--format", "yson"]),
    ("insert_rows", "path=\"//tmp/t\"", "{k=", ["insert-rows", "//tmp/t", "--format", "yson"]),
    ("lookup_rows", "path=\"//tmp/t\"", KEYS, ["lookup-rows", "//tmp/t", "--format", "<format=text>yson"]),
    ("select_rows", "query=\"k, v from [//tmp/t]\"", "", ["select-rows", "k, v from [//tmp/t]", "--format", "<format=text>yson"]),
    ("select_rows", "query=\"nonsense\"", "", ["select-rows", "nonsense", "--format", "<format=text>yson"]),
    ("delete_rows", "path=\"//tmp/t\"", "{k=1}", ["delete-rows", "//tmp/t", "--format", "yson"]),
    ("freeze_table", "path=\"//tmp/t\"", "", ["freeze-table", "//tmp/t"]),
    ("insert_rows", "path=\"//tmp/t\"", ROWS, ["insert-rows", "//tmp/t", "--format", "yson"]),
    ("unfreeze_table", "path=\"//tmp/t\"", "", ["unfreeze-table", "//tmp/t"]),
    ("select_rows", "query=\"k, v from [//tmp/t]\"", "", ["select-rows", "k, v from [//tmp/t]", "--format", "<format=text>yson"]),
    ("trim_rows", "path=\"//tmp/t\";tablet_index=0;trimmed_row_count=1", "", ["trim-rows", "//tmp/t", "0", "1"]),
    ("get_tablet_errors", "path=\"//tmp/t\"", "", None),
    ("get_tablet_infos", "path=\"//tmp/t\";tablet_indexes=[5]", "", None),
    ("get_in_sync_replicas", "path=\"//tmp/t\";timestamp=1u;all_keys=%true", "", None),
    ("alter_table_replica", "replica_id=\"1-2-2c5-3\";enabled=%true", "", ["alter-table-replica", "1-2-2c5-3", "--enable"]),
    ("ping_transaction", "transaction_id=\"1-2-3-4\"", "", None),
    ("commit_transaction", "transaction_id=\"1-2-3-4\"", "", None),
    ("abort_transaction", "transaction_id=\"1-2-3-4\"", "", None),
    ("start_transaction", "type=nonsense", "", None),
    ("get_current_user", "", "", None),
    ("parse_ypath", "path=\"//tmp/t\"", "", None),
    ("set", "path=\"//tmp/m/v\"", "{a=[1;2u]}", ["set", "//tmp/m/v", "{a=[1;2u]}"]),
    ("get", "path=\"//tmp/m\"", "", ["get", "//tmp/m", "--format", "<format=text>yson"]),
    ("remove", "path=\"//tmp/m\";recursive=%true", "", ["remove", "//tmp/m", "--recursive"]),
    ("remove", "path=\"//tmp/m\";recursive=%true", "", ["remove", "//tmp/m", "--recursive"]),
    ("unmount_table", "path=\"//tmp/t\"", "", ["unmount-table", "//tmp/t"]),
    ("get", "path=\"//tmp/t/@tablet_state\"", "", ["get", "//tmp/t/@tablet_state", "--format", "<format=text>yson"]),
]


def plain(text):
    """What must be the same: ids and times are not."""
    text = re.sub(r'"?[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+"?', "ID", text.strip())
    return re.sub(r"\d{15,}u?", "TIME", text)


def over_http(daemon, name, parameters, text):
    connection = http.client.HTTPConnection(daemon.http_address, timeout=retable.TIMEOUT_S)
    kind = "<format=text>yson"
    headers = {"X-YT-Header-Format": kind, "X-YT-Parameters": "{input_format=%s;output_format=%s;%s}" % (kind, kind, parameters)}
    connection.request("PUT", "/api/v3/" + name, text, headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return "error " + answer.headers["X-YT-Response-Code"] if answer.status != 200 else plain(body)


def over_grpc(daemon, name, parameters, text):
    done = subprocess.run(
        [os.environ["RETABLE_EXECUTOR"], daemon.address, name, "{%s}" % parameters],
        input=text, capture_output=True, text=True, timeout=retable.TIMEOUT_S,
    )
    assert done.returncode == 0, done
    return plain(done.stdout)


def typed(daemon, words, text):
    try:
        return plain(daemon.run(*words, stdin=text))
    except retable.CommandError as error:
        return "error " + re.search(r"\bcode:? *(\d+)", error.text).group(1)


def scalar(text):
    """The command line prints ids and booleans bare."""
    return text.replace("%", "").strip('"')


def test():
    with retable.World() as world:
        web, rpc, line = (world.node(name) for name in ("web", "rpc", "line"))
        codes = set()
        for name, parameters, text, words in CASES:
            expected = over_grpc(rpc, name, parameters, text)
            codes.add(expected if expected.startswith("error") else None)
            found = over_http(web, name, parameters, text)
            assert found == expected, (name, parameters, "http", found, "grpc", expected)
            if words is None:
                continue
            found = typed(line, words, text)
            assert scalar(found) == scalar(expected), (name, words, "cli", found, "grpc", expected)
        assert len(codes) > 6, codes


if __name__ == "__main__":
    test()
