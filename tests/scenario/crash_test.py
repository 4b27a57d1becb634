"""Three daemons are killed at random moments under load: the replicas hold what was acknowledged, and only that.

    RETABLE_CRASH_COUNT   how often each daemon is killed, 20 by default
    RETABLE_CRASH_SEED    of the random choices; printed, and drawn if it is not given

`writer` commits to a sorted and an ordered replicated table at once, with one replica in mode sync and one async, and
keeps a log of what it was told. What depends on the daemons' speed is not repeated by the seed.
"""

import collections
import json
import os
import random
import signal
import subprocess
import sys
import time

import retable
from retable import until

KILL_COUNT = int(os.environ.get("RETABLE_CRASH_COUNT", "20"))
KILL_DELAY_S_MAX = 0.15
RESTART_DELAY_S_MAX = 0.3
EARLY_S_MAX = 0.5  # How long the next kill waits, if it does not wait for acknowledged writes.
EARLY_SHARE = 0.3
ACKNOWLEDGED_COUNT = 30  # Otherwise it waits for so many.
OVERLAP_SHARE = 0.3
FALSE_START_SHARE = 0.2  # Killed once more while it starts.
SWITCH_COUNT = 6  # How often the mode of the asynchronous replica changes, and back.
DRAIN_S = 60
PAGE_ROW_COUNT = 10000  # Of one query's answer.
INPUT_ROW_LIMIT = 10**9

SORTED = "//tmp/sorted"
ORDERED = "//tmp/ordered"
SORTED_SCHEMA = "[{name=key;type=int64;sort_order=ascending};{name=value;type=int64}]"
ORDERED_SCHEMA = "[{name=n;type=int64}]"
SECOND_TABLET_KEY = 1 << 40


class Writer:
    """The process that writes, and its log."""

    def __init__(self, world, address, seed):
        self.log_path = os.path.join(world.folder, "writer.jsonl")
        self.process = subprocess.Popen(
            [os.environ["RETABLE_WRITER"], address, SORTED, ORDERED, self.log_path, str(seed)]
        )
        until(lambda: os.path.exists(self.log_path), "the writer starts")
        self.log = open(self.log_path)
        self.rest = ""
        self.outcomes = []
        self.acknowledged_count = 0

    def read(self):
        """Reads what was logged since; returns how many commits are acknowledged."""
        lines = (self.rest + self.log.read()).split("\n")
        self.rest = lines.pop()
        news = [json.loads(line) for line in lines]
        self.outcomes += news
        self.acknowledged_count += sum(outcome["outcome"] == "ok" for outcome in news)
        assert self.process.poll() in (None, 0), "the writer died"
        return self.acknowledged_count

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=DRAIN_S + retable.TIMEOUT_S) == 0
        self.read()
        assert not self.rest

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()


# ---------------------------------------------------------------- the clusters


def make_replica(primary, node, table, schema, mode, attributes=""):
    replica_id = primary.create(
        "table_replica",
        attributes='{table_path="%s";cluster_name=%s;replica_path="%s";mode=%s}' % (table, node.name, table, mode),
    )
    node.create(
        "table",
        table,
        attributes='{dynamic=%%true;schema=%s;upstream_replica_id="%s";%s}' % (schema, replica_id, attributes),
    )
    node.mount(table)
    primary.run("alter-table-replica", replica_id, "--enable")
    return replica_id


def make_tables(primary, sync_node, async_node):
    """Returns the ids of each table's two replicas."""
    replicas = {}
    for table, schema, attributes in (
        (SORTED, SORTED_SCHEMA, "pivot_keys=[[];[%d]]" % SECOND_TABLET_KEY),
        (ORDERED, ORDERED_SCHEMA, ""),
    ):
        primary.create("replicated_table", table, attributes="{dynamic=%%true;schema=%s;%s}" % (schema, attributes))
        replicas[table] = [
            make_replica(primary, sync_node, table, schema, "sync", attributes),
            make_replica(primary, async_node, table, schema, "async", attributes),
        ]
        primary.mount(table)
    return replicas


def switch_mode(primary, replicas, mode):
    """Changes the mode of both tables' asynchronous replica, whatever happens meanwhile."""
    for replica_id in replicas[SORTED][1], replicas[ORDERED][1]:
        primary.run("alter-table-replica", replica_id, "--mode", mode)
        until(lambda: primary.get("#%s/@mode" % replica_id) == mode, "the replica's mode is " + mode)


# ---------------------------------------------------------------- crashes


def choose_victims(dice, counts):
    """One daemon or several at once; each as often as it has to, in random order."""
    names = [name for name, count in counts.items() for _ in range(KILL_COUNT - count)]
    victims = [dice.choice(names)]
    while dice.random() < OVERLAP_SHARE:
        victims.append(dice.choice(names))
    return list(dict.fromkeys(victims))


def crash(dice, victims):
    """Kills daemons one after another, then starts them in another order."""
    for daemon in victims:
        time.sleep(dice.uniform(0, KILL_DELAY_S_MAX))
        assert daemon.process.poll() is None, "%s died by itself:\n%s" % (daemon.name, daemon.log())
        assert daemon.kill() == -signal.SIGKILL
    for daemon in dice.sample(victims, len(victims)):
        time.sleep(dice.uniform(0, RESTART_DELAY_S_MAX))
        if dice.random() < FALSE_START_SHARE:
            daemon.launch()
            time.sleep(dice.uniform(0, KILL_DELAY_S_MAX))
            daemon.kill()
        daemon.start()


def wait_for_writes(writer):
    before = writer.read()
    until(lambda: writer.read() >= before + ACKNOWLEDGED_COUNT, "writes go on")


def crash_all(dice, daemons, writer, primary, replicas):
    """Kills each daemon KILL_COUNT times."""
    counts = {name: 0 for name in daemons}
    round_count = 0
    mode = "async"
    switch_period = max(1, 3 * KILL_COUNT // (2 * SWITCH_COUNT))
    while min(counts.values()) < KILL_COUNT:
        victims = choose_victims(dice, counts)
        crash(dice, [daemons[name] for name in victims])
        for name in victims:
            counts[name] += 1
        if dice.random() < EARLY_SHARE:
            time.sleep(dice.uniform(0, EARLY_S_MAX))
        else:
            wait_for_writes(writer)
        round_count += 1
        if round_count % switch_period == 0:
            mode = "sync" if mode == "async" else "async"
            switch_mode(primary, replicas, mode)
            wait_for_writes(writer)
    switch_mode(primary, replicas, "async")
    return counts


# ---------------------------------------------------------------- the end


def is_drained(primary, replica_id):
    tablets = primary.get("#%s/@tablets" % replica_id)
    return all(
        tablet["flushed_row_count"] == tablet["current_replication_row_index"] and not tablet["has_error"]
        for tablet in tablets
    )


def wait_until_drained(primary, replicas):
    # Only a sorted table can be asked who has everything.
    timestamp = primary.run("generate-timestamp")
    command = ["get-in-sync-replicas", SORTED, "--all-keys", "--timestamp", timestamp, "--format", "json"]
    ids = sorted(replicas[SORTED])
    until(lambda: sorted(json.loads(primary.run(*command))) == ids, "the replicas are in sync", DRAIN_S)
    for table, ids in replicas.items():
        primary.run("freeze-table", table)
        primary.until_state(table, "frozen")
        for replica_id in ids:
            until(lambda: is_drained(primary, replica_id), "%s drains" % table, DRAIN_S)


def select_all(node, key, column, table):
    """Pairs of `key` and another column, in the order of `key`."""
    rows = []
    where = ""
    while True:
        query = "%s as k, %s as v from [%s] %s order by k limit %d" % (key, column, table, where, PAGE_ROW_COUNT)
        page = node.select(query, "--input-row-limit", str(INPUT_ROW_LIMIT), "--output-row-limit", str(PAGE_ROW_COUNT))
        rows += [(row["k"], row["v"]) for row in page]
        if len(page) < PAGE_ROW_COUNT:
            return rows
        where = "where %s > %d" % (key, page[-1]["k"])


def read_rows(node):
    """What a cluster holds: the sorted table's values by key, and the ordered table's numbers in order."""
    rows = select_all(node, "key", "value", SORTED)
    values = dict(rows)
    assert len(values) == len(rows), "%s: a key is there twice" % node.name
    rows = select_all(node, "[$row_index]", "n", ORDERED)
    numbers = [n for _, n in rows]
    assert rows == list(enumerate(numbers)), "%s: row indexes have a gap" % node.name

    # Aggregates see the same rows.
    query = "sum(1) as c, sum(%s) as s from [%s] group by 1"
    for column, table, expected in ("value", SORTED, list(values.values())), ("n", ORDERED, numbers):
        row = node.select(query % (column, table), "--input-row-limit", str(INPUT_ROW_LIMIT))
        assert row == [{"c": len(expected), "s": sum(expected)}], (node.name, table, row)
    return values, numbers


def compare(outcomes, values, numbers):
    """Returns what is wrong with the rows of one cluster, as texts."""
    wrong = []
    counts = collections.Counter(numbers)
    expected = {}
    for outcome in outcomes:
        n, keys, kind = outcome["n"], outcome["keys"], outcome["outcome"]
        found = counts.pop(n, 0) + sum(key in values for key in keys)
        if kind == "ok" or (kind == "unknown" and found > 0):
            for key in keys:
                expected[key] = n
            if found != 1 + len(keys):
                wrong.append("%s: found %d rows of %d" % (outcome, found, 1 + len(keys)))
        elif found != 0:
            wrong.append("%s: found %d rows of none" % (outcome, found))
    wrong += ["an ordered row that nobody wrote: %s" % n for n in counts]
    wrong += [
        "key %d has %s instead of %s" % (key, values.get(key), expected.get(key))
        for key in sorted(set(values) | set(expected))
        if values.get(key) != expected.get(key)
    ]

    # The ordered table has the order of commits.
    timestamps = {outcome["n"]: outcome["timestamp"] for outcome in outcomes if outcome["outcome"] == "ok"}
    order = [timestamps[n] for n in numbers if n in timestamps]
    if order != sorted(order):
        wrong.append("the ordered table is not in the order of commit timestamps")
    if len(set(order)) != len(order):
        wrong.append("two commits have the same timestamp")
    return wrong


def check_comparison(outcomes, values, numbers):
    """The comparison must notice whatever may be wrong."""
    acknowledged = [outcome for outcome in outcomes if outcome["outcome"] == "ok"]
    n, key = acknowledged[0]["n"], acknowledged[0]["keys"][0]
    assert compare(outcomes, {k: v for k, v in values.items() if k != key}, numbers)
    assert compare(outcomes, {**values, key: n + 1}, numbers)
    assert compare(outcomes, {**values, -1: n}, numbers)
    assert compare(outcomes, values, [m for m in numbers if m != n])
    assert compare(outcomes, values, numbers + [n])
    assert compare(outcomes, values, numbers + [-1])
    assert compare(outcomes, values, numbers[::-1])
    refused = dict(acknowledged[0], outcome="fail")
    assert compare([refused] + outcomes[1:] if outcomes[0]["n"] == n else [refused], values, numbers)


def test(world, seed):
    dice = random.Random(seed)
    sync_node = world.node("sync")
    async_node = world.node("async")
    peers = ["--peer", "sync=" + sync_node.address, "--peer", "async=" + async_node.address]
    primary = world.coordinator("primary", *peers)
    daemons = {daemon.name: daemon for daemon in (primary, sync_node, async_node)}
    replicas = make_tables(primary, sync_node, async_node)

    start = time.monotonic()
    writer = Writer(world, primary.address, dice.getrandbits(32))
    try:
        wait_for_writes(writer)
        counts = crash_all(dice, daemons, writer, primary, replicas)
        writer.stop()
    finally:
        writer.close()
    outcomes = writer.outcomes
    kinds = collections.Counter(outcome["outcome"] for outcome in outcomes)
    codes = collections.Counter(outcome["code"] for outcome in outcomes if outcome["outcome"] == "fail")
    repeated = collections.Counter(outcome["outcome"] for outcome in outcomes if outcome["repeats"])
    print("kills: %s" % counts)
    print("outcomes: %s; of repeated ones: %s; errors: %s" % (dict(kinds), dict(repeated), dict(codes)))
    print("crashes took %.0f s" % (time.monotonic() - start), flush=True)
    assert [outcome["n"] for outcome in sorted(outcomes, key=lambda o: o["n"])] == list(range(1, len(outcomes) + 1))

    wait_until_drained(primary, replicas)
    contents = [read_rows(node) for node in (sync_node, async_node)]
    for node, (values, numbers) in zip((sync_node, async_node), contents):
        wrong = compare(outcomes, values, numbers)
        assert not wrong, "%s: %d findings:\n%s" % (node.name, len(wrong), "\n".join(wrong[:50]))
    assert contents[0] == contents[1], "the replicas differ"
    check_comparison(outcomes, *contents[0])
    print("all of it took %.0f s" % (time.monotonic() - start))


if __name__ == "__main__":
    seed = os.environ.get("RETABLE_CRASH_SEED") or str(random.SystemRandom().getrandbits(32))
    print("seed: " + seed, flush=True)
    with retable.World() as world:
        test(world, int(seed))
