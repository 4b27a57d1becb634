"""How a daemon starts, refuses to start, stops and comes back."""

import os
import shutil
import signal
import socket
import subprocess

import retable
from retable import until

SCHEMA = "[{name=key;type=int64;sort_order=ascending};{name=value;type=string}]"


def start_fails(binary, *args):
    """Runs a daemon that must end by itself with an error; returns exit code and what it said."""
    done = subprocess.run(
        [os.environ[binary]] + list(args), stderr=subprocess.PIPE, timeout=retable.TIMEOUT_S, text=True
    )
    assert done.returncode != 0
    return done.returncode, done.stderr


def test_refusals(world):
    node = world.node("here")
    code, text = start_fails("RETABLE_NODE", "--cluster-name", "here", "--data-dir", node.folder)
    assert code == 1 and "in use by another process" in text, text

    other = os.path.join(world.folder, "other")
    code, text = start_fails(
        "RETABLE_NODE", "--cluster-name", "x", "--data-dir", other, "--grpc-address", node.address
    )
    assert code == 1 and "is the address in use?" in text, text

    config = os.path.join(world.folder, "config.yaml")
    with open(config, "w") as file:
        file.write("cluster_name: x\ndata_dri: /tmp\n")
    code, text = start_fails("RETABLE_NODE", "--config", config)
    assert code == 2 and config + ":2: unknown key" in text, text

    # A folder remembers whose it is, and that it had a store.
    node.stop()
    code, text = start_fails("RETABLE_NODE", "--cluster-name", "there", "--data-dir", node.folder)
    assert code == 1 and 'belongs to cluster \\"here\\"' in text, text
    moved = node.folder + "-moved"
    shutil.move(node.folder + "/store", moved)
    code, text = start_fails("RETABLE_NODE", "--cluster-name", "here", "--data-dir", node.folder)
    assert code == 1 and "has lost its store" in text, text
    shutil.move(moved, node.folder + "/store")
    node.start()


def test_stopping(world):
    node = world.node("plain")
    node.create("table", "//tmp/t", attributes="{dynamic=%%true;schema=%s}" % SCHEMA)
    node.mount("//tmp/t")
    for i, number in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGKILL)):
        rows = [{"key": key, "value": "of round %d" % i} for key in range(100)]
        node.insert("//tmp/t", rows)
        code = node.stop(number)
        assert code == (0 if number != signal.SIGKILL else -number), code
        node.start()
        # What was acknowledged is there, tablets are mounted, and time did not go back.
        assert node.select("* from [//tmp/t]") == rows
    before = int(node.run("generate-timestamp"))
    node.kill()
    node.start()
    assert int(node.run("generate-timestamp")) > before


def test_ids_are_not_given_again(world):
    """A cluster that is made anew under its old name is another one: replicas of the old one must not take it for that."""
    node = world.node("again")
    first = node.create("map_node", "//tmp/x")
    node.stop()
    shutil.rmtree(node.folder)
    node.start()
    assert node.create("map_node", "//tmp/x") != first


def test_large_answers(world):
    node = world.node("large")
    node.create("table", "//tmp/t", attributes="{dynamic=%%true;schema=%s}" % SCHEMA)
    node.mount("//tmp/t")
    for begin in range(0, 60, 10):
        node.insert("//tmp/t", [{"key": key, "value": "x" * 400000} for key in range(begin, begin + 10)])
    rows = node.select("* from [//tmp/t]")
    assert [row["key"] for row in rows] == list(range(60))
    assert all(len(row["value"]) == 400000 for row in rows)
    assert len(node.lookup("//tmp/t", [{"key": key} for key in range(60)])) == 60
    assert node.refused("select-rows", "key from [//tmp/t]", "--output-row-limit", "3")
    assert node.refused("select-rows", "nonsense")


def test_cell_address(world):
    """Tablets say where their cell is: at the address of the config, or if that is any at the machine's name."""
    for name, args in ("one", []), ("any", ["--grpc-address", "0.0.0.0:0"]):
        node = world.node(name, *args)
        node.create("table", "//tmp/t", attributes="{dynamic=%%true;schema=%s}" % SCHEMA)
        node.mount("//tmp/t")
        host, port = node.get("//tmp/t/@tablets/0/cell_leader_address").rsplit(":", 1)
        assert host == (socket.gethostname() if args else "127.0.0.1"), host
        assert port == node.address.rsplit(":", 1)[1]
        cell = node.get("//tmp/t/@tablets/0/cell_id")
        node.run("unmount-table", "//tmp/t", "--sync")
        assert "No such tablet cell 1-2-3-4" in node.refused("mount-table", "//tmp/t", "--cell-id", "1-2-3-4")
        node.run("mount-table", "//tmp/t", "--cell-id", cell, "--sync")


def test_own_replica(world):
    """A replica may live on the meta-cluster itself."""
    primary = world.coordinator("primary")
    table = "//tmp/table"
    primary.create("replicated_table", table, attributes="{dynamic=%%true;schema=%s}" % SCHEMA)
    replica_id = primary.create(
        "table_replica",
        attributes='{table_path="%s";cluster_name=primary;replica_path="//tmp/replica";mode=sync}' % table,
    )
    primary.create(
        "table",
        "//tmp/replica",
        attributes='{dynamic=%%true;schema=%s;upstream_replica_id="%s"}' % (SCHEMA, replica_id),
    )
    primary.mount("//tmp/replica")
    primary.run("alter-table-replica", replica_id, "--enable")
    primary.mount(table)
    row = {"key": 1, "value": "one"}
    until(lambda: primary.insert(table, [row]) is None, "the replica is in sync")
    assert primary.lookup(table, [{"key": 1}]) == [row]
    assert primary.select("* from [%s]" % table) == [row]


if __name__ == "__main__":
    for test in test_refusals, test_stopping, test_ids_are_not_given_again, test_large_answers, test_cell_address, test_own_replica:
        with retable.World() as world:
            test(world)
