"""The same rows are written again and again by four clients, in conflict, while daemons are killed and replicas switched.

Transactions (rewriter.c) write and delete rows of a sorted table of three tablets, and append what they do to an
ordered table of two, each replicated to two clusters, of which one at least is in mode sync. In the end the ordered
table must have what was acknowledged, once, whole and in the order of commits, and the sorted table must be what one
gets by doing what the ordered one says. RETABLE_CRASH_COUNT (20) is how often each daemon is killed;
RETABLE_CRASH_SEED repeats the choices of a run, though of course not its timing.
"""

import json
import os
import random
import signal
import subprocess
import time

import retable
from retable import until

CRASH_COUNT = int(os.environ.get("RETABLE_CRASH_COUNT", "20"))
SEED = int(os.environ.get("RETABLE_CRASH_SEED", str(random.randrange(10**9))))
CLIENT_COUNT = 4
PAUSE_US = 2000
TABLE, LOG = "//tmp/table", "//tmp/log"
TABLE_SCHEMA = "[{name=key;type=int64;sort_order=ascending};{name=value;type=int64}]"
LOG_SCHEMA = "[{name=key;type=int64};{name=value;type=int64};{name=is_deleted;type=boolean}]"
MODES = [("sync", "async"), ("async", "sync"), ("sync", "sync")]


class Rewriter:
    def __init__(self, world, address, number):
        self.path = os.path.join(world.folder, "rewriter-%d" % number)
        self.ok_count = 0
        self.offset = 0
        with open(self.path, "wb") as output:
            self.process = subprocess.Popen(
                [os.environ["RETABLE_REWRITER"], address, TABLE, LOG, str(number), str(SEED + number), str(PAUSE_US)],
                stdin=subprocess.DEVNULL,
                stdout=output,
            )

    def count_ok(self):
        """How many transactions were acknowledged by now."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            text = file.read()
        text = text[: text.rfind(b"\n") + 1]
        self.offset += len(text)
        self.ok_count += text.count(b'"outcome":"ok"')
        return self.ok_count

    def stop(self):
        """Returns what it said of all transactions."""
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(timeout=60) == 0
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        with open(self.path) as file:
            return [json.loads(line) for line in file]


class Replicated:
    """Both tables with their replicas."""

    def __init__(self, meta, nodes):
        self.meta = meta
        self.nodes = nodes
        self.replica_ids = {node.name: [] for node in nodes}
        self.make(TABLE, TABLE_SCHEMA, ["[]", "[150]", "[250]"])
        self.make(LOG, LOG_SCHEMA, ["--tablet-count", "2"])
        for node in nodes:
            for replica_id in self.replica_ids[node.name]:
                meta.run("alter-table-replica", replica_id, "--enable")

    def make(self, path, schema, tablets):
        self.meta.create("replicated_table", path, attributes="{dynamic=%%true;schema=%s}" % schema)
        self.meta.run("reshard-table", path, *tablets)
        for node, mode in zip(self.nodes, MODES[0]):
            attributes = '{table_path="%s";cluster_name="%s";replica_path="%s";mode=%s}' % (path, node.name, path, mode)
            replica_id = self.meta.create("table_replica", attributes=attributes)
            self.replica_ids[node.name].append(replica_id)
            attributes = '{dynamic=%%true;schema=%s;upstream_replica_id="%s"}' % (schema, replica_id)
            node.create("table", path, attributes=attributes)
            node.run("reshard-table", path, *tablets)
            node.mount(path)
        self.meta.mount(path)

    def set_mode(self, node, mode):
        for replica_id in self.replica_ids[node.name]:
            until(
                lambda: self.meta.run("alter-table-replica", replica_id, "--mode", mode) == "",
                "replica %s is %s" % (replica_id, mode),
            )

    def switch(self, modes):
        """The new sync replica first, so that there is one all the time."""
        for node, mode in sorted(zip(self.nodes, modes), key=lambda pair: pair[1] != "sync"):
            self.set_mode(node, mode)

    def is_replicated(self):
        for ids in self.replica_ids.values():
            for replica_id in ids:
                for tablet in self.meta.get("#%s/@tablets" % replica_id):
                    if tablet["current_replication_row_index"] != tablet["flushed_row_count"]:
                        return False
        return True

    def contents(self, node):
        """The rows of the table as a map, and of each tablet of the log the list of (value, key, is_deleted)."""
        rows = {row["key"]: row["value"] for row in node.select("* from [%s]" % TABLE)}
        logs = {}
        query = "[$tablet_index] as t, [$row_index] as i, key, value, is_deleted from [%s]" % LOG
        for row in sorted(node.select(query), key=lambda row: (row["t"], row["i"])):
            log = logs.setdefault(row["t"], [])
            assert row["i"] == len(log), "row indexes have a gap: %s" % row
            log.append((row["value"], row["key"], row["is_deleted"]))
        return rows, logs


def crash(world, rng, tables, clients):
    """Kills each daemon CRASH_COUNT times, sometimes two at once."""
    victims = [daemon for daemon in world.daemons for _ in range(CRASH_COUNT)]
    rng.shuffle(victims)
    while victims:
        chosen = [victims.pop()]
        if victims and victims[-1] != chosen[0] and rng.random() < 0.2:
            chosen.append(victims.pop())
        time.sleep(rng.uniform(0.01, 0.3))
        for daemon in chosen:
            daemon.kill()
        time.sleep(rng.choice([0, rng.uniform(0, 0.3)]))
        for daemon in chosen:
            daemon.start()
        if rng.random() < 0.3:
            tables.switch(rng.choice(MODES))
        before = sum(client.count_ok() for client in clients)
        until(lambda: sum(client.count_ok() for client in clients) > before, "writes go on")


def check(transactions, rows, logs):
    """Compares what clients were told with what a replica holds."""
    keys_of = {}  # Of each value: keys in the log.
    final = {}
    for tablet, log in logs.items():
        for value, key, is_deleted in log:
            assert key % 2 == tablet, "key %d lies in tablet %d" % (key, tablet)
            keys_of.setdefault(value, []).append(key)
            final[key] = None if is_deleted else value
    assert rows == {key: value for key, value in final.items() if value is not None}, "the tables do not fit together"

    known = {transaction["value"]: transaction for transaction in transactions}
    assert len(known) == len(transactions)
    for value, transaction in known.items():
        keys = sorted(keys_of.get(value, []))
        assert transaction["outcome"] != "refused" or not keys, "refused, and there: %s" % transaction
        assert transaction["outcome"] != "ok" or keys, "acknowledged, and lost: %s" % transaction
        assert not keys or keys == sorted(transaction["keys"]), "in part, or twice: %s, %s" % (transaction, keys)
    assert set(keys_of) <= set(known), "nobody wrote %s" % sorted(set(keys_of) - set(known))

    for tablet, log in logs.items():
        values = dict.fromkeys(value for value, _, _ in log if known[value]["outcome"] == "ok")
        timestamps = [known[value]["timestamp"] for value in values]
        assert timestamps == sorted(set(timestamps)), "tablet %d is not in the order of commits" % tablet


def test(world):
    print("seed %d" % SEED, flush=True)
    rng = random.Random(SEED)
    first = world.node("first")
    second = world.node("second")
    meta = world.coordinator("meta", "--peer", "first=" + first.address, "--peer", "second=" + second.address)
    tables = Replicated(meta, [first, second])

    clients = []
    transactions = []
    try:
        for number in range(1, CLIENT_COUNT + 1):
            clients.append(Rewriter(world, meta.address, number))
        crash(world, rng, tables, clients)
    finally:
        for client in clients:
            transactions += client.stop()
    faults = [line for line in transactions if "fault" in line]
    assert not faults, faults
    counts = {kind: sum(line["outcome"] == kind for line in transactions) for kind in ("ok", "refused", "unknown")}
    repeated = sum(line["outcome"] == "ok" and line["repeats"] > 0 for line in transactions)
    print("transactions: %s; ok after a repetition: %d" % (counts, repeated), flush=True)
    assert counts["ok"] >= 10 * CRASH_COUNT

    until(tables.is_replicated, "replicas have everything")
    contents = tables.contents(first)
    assert tables.contents(second) == contents, "replicas differ"
    check(transactions, *contents)

    # All of it is still there after a clean stop of everything.
    for daemon in world.daemons:
        assert daemon.stop() == 0
    for daemon in world.daemons:
        daemon.start()
    for node in first, second:
        assert tables.contents(node) == contents


if __name__ == "__main__":
    with retable.World() as world:
        test(world)
